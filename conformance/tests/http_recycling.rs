//! Virtual connections over real sockets and processes of their own: client, inbound and outbound proxies (each a `farcall proxy` that is one of the two
//! alone), server (`farcall echo`). With lifetimes and windows as small as they may be, channels are recycled again and again: no byte is lost, doubled or
//! out of place, and whoever dies takes both ends along.

use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use farcall::Cause;
use farcall::client::Options;
use farcall::generated::rpcecho::rpcecho;
use farcall_conformance::dce::runtime;
use farcall_conformance::network_test;
use farcall_conformance::peer::Scratch;
use farcall_conformance::peer::farcall::{self as program, Farcall};
use nix::sys::signal::Signal;
use tokio::io::{AsyncWriteExt, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};

/// Where the server listens.
const SERVER: u16 = 7593;
/// Where the client finds what it takes for a proxy.
const FRONT: u16 = 8080;
/// Inbound and outbound proxies.
const INS: [u16; 2] = [8001, 8002];
const OUTS: [u16; 2] = [8003, 8004];

/// The least lifetime of a channel, in bytes.
const LIFETIME: u32 = 128 << 10;

/// To which of the proxies of its kind the next channel goes.
#[derive(Clone, Copy, Debug)]
enum Turns {
    /// Always the first: a channel is recycled by the proxy that has it (IN_R2, OUT_R2).
    Same,
    /// Each in turn: by another (IN_R1, OUT_R1).
    InTurn,
    /// Two, then the other: in both ways.
    Mixed,
}

impl Turns {
    fn of(self, number: usize) -> usize {
        match self {
            Self::Same => 0,
            Self::InTurn => number % 2,
            Self::Mixed => number / 2 % 2,
        }
    }
}

/// What stands between the client and the proxies, and looks at nothing but the method: a balancer that knows no affinity.
#[derive(Debug)]
struct Front {
    ins: AtomicUsize,
    outs: AtomicUsize,
}

impl Front {
    async fn start(turns: Turns) -> Arc<Self> {
        let front = Arc::new(Self {
            ins: AtomicUsize::new(0),
            outs: AtomicUsize::new(0),
        });
        let listener = TcpListener::bind(("127.0.0.1", FRONT)).await.expect("bind");
        let this = Arc::clone(&front);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let this = Arc::clone(&this);
                tokio::spawn(async move { this.pass(stream, turns).await });
            }
        });
        front
    }

    async fn pass(&self, mut stream: TcpStream, turns: Turns) -> io::Result<()> {
        let mut method = [0; 5];
        while stream.peek(&mut method).await? < method.len() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        let (ports, count) = match &method {
            b"RPC_I" => (INS, &self.ins),
            _ => (OUTS, &self.outs),
        };
        let port = ports[turns.of(count.fetch_add(1, Ordering::SeqCst))];
        let mut there = TcpStream::connect(("127.0.0.1", port)).await?;
        there.set_nodelay(true)?;
        stream.set_nodelay(true)?;
        let passed = copy_bidirectional(&mut stream, &mut there).await;
        let _ = there.shutdown().await;
        passed.map(|_| ())
    }

    fn channels(&self) -> [usize; 2] {
        [&self.ins, &self.outs].map(|count| count.load(Ordering::SeqCst))
    }
}

/// A proxy that is one of the two alone; `rules` stand before the one that allows everything. Inbound ones hand over what they have seen of a client.
fn proxy(scratch: &Scratch, role: &str, port: u16, window: &str, rules: &str) -> Farcall {
    let peers = match role {
        "in" => peers(scratch, port),
        _ => String::new(),
    };
    lonely(scratch, role, port, window, &format!("{peers}{rules}"))
}

/// Where an inbound proxy is asked, and where it asks the others.
fn peers(scratch: &Scratch, port: u16) -> String {
    let at = |port: u16| format!("\"127.0.0.1:{}\"", port + 1000);
    // All of them, so that all may have the same: that it asks itself too does not matter.
    let others: Vec<String> = INS.into_iter().map(at).collect();
    fs::write(scratch.file("farm.key"), [7; 32]).expect("written");
    fs::set_permissions(scratch.file("farm.key"), fs::Permissions::from_mode(0o600))
        .expect("closed");
    format!(
        "[peers]\nlisten = {}\nothers = [{}]\nsecret = \"farm.key\"\n",
        at(port),
        others.join(", ")
    )
}

/// A proxy that knows no others.
fn lonely(scratch: &Scratch, role: &str, port: u16, window: &str, rules: &str) -> Farcall {
    let text = format!(
        "[limits]\nlifetime = \"128KiB\"\nwindow = \"{window}\"\n\
         [[listen]]\nname = \"one\"\nroles = \"{role}\"\nendpoint = \"http://127.0.0.1:{port}\"\n\
         [listen.authentication.anonymous]\nreason = \"a test\"\n\
         [[target]]\nname = \"echo\"\nhosts = [\"127.0.0.1\"]\nports = [{SERVER}]\n\
         {rules}[[rule]]\nname = \"everything\"\naction = \"allow\"\ntargets = [\"echo\"]\n"
    );
    let file = scratch.file(&format!("proxy{port}.toml"));
    fs::write(&file, text).expect("written");
    let arguments = ["proxy", "--config", &file.display().to_string()];
    Farcall::start(&arguments, 1).expect("farcall proxy")
}

fn server() -> Farcall {
    let endpoint = format!("ncacn_http:127.0.0.1[{SERVER}]");
    Farcall::start(&["echo", "-l", &endpoint, "--register", "none"], 1).expect("farcall echo")
}

/// A client whose channels are as short, and whose window is as small, as they may be.
async fn client(window: u32) -> rpcecho::Client {
    let mut options = Options {
        timeout: Duration::from_secs(60),
        ..Options::default()
    };
    options.http.secure = false;
    options.http.channels.lifetime = LIFETIME;
    options.http.channels.window = window;
    let endpoint =
        format!("ncacn_http:127.0.0.1[{SERVER},RpcProxy=127.0.0.1:{FRONT},HttpUseTls=false]");
    let connecting = rpcecho::Client::connect_with(endpoint, options);
    connecting.await.expect("connects")
}

/// Bytes that differ from call to call and from place to place.
fn data(number: usize) -> Vec<u8> {
    let len = number.wrapping_mul(2_654_435_761) % 24_000;
    let byte = |at: usize| (at / 3).wrapping_mul(31).wrapping_add(number) as u8;
    (0..len).map(byte).collect()
}

/// Calls side by side, each answered with what it sent; gives how many bytes went each way.
async fn traffic(client: &rpcecho::Client, calls: usize, at_once: usize) -> usize {
    let next = Arc::new(AtomicUsize::new(0));
    let total = Arc::new(AtomicUsize::new(0));
    let caller = |_| {
        let (client, next, total) = (client.clone(), Arc::clone(&next), Arc::clone(&total));
        tokio::spawn(async move {
            loop {
                let number = next.fetch_add(1, Ordering::SeqCst);
                if number >= calls {
                    return;
                }
                let sent = data(number);
                let len = u32::try_from(sent.len()).expect("short");
                let back = client.echo_data(len, &sent).await;
                assert_eq!(back.expect("echoed"), sent, "call {number}");
                total.fetch_add(sent.len(), Ordering::SeqCst);
            }
        })
    };
    for caller in (0..at_once).map(caller).collect::<Vec<_>>() {
        caller.await.expect("no caller panicked");
    }
    total.load(Ordering::SeqCst)
}

/// Connections that stand at a port of ours, both ends counted.
fn standing(port: u16) -> usize {
    let text = fs::read_to_string("/proc/net/tcp").expect("the table of connections");
    let wanted = format!(":{port:04X}");
    let stands = |line: &&str| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        fields[3] == "01" && (fields[1].ends_with(&wanted) || fields[2].ends_with(&wanted))
    };
    text.lines().skip(1).filter(stands).count()
}

/// Waits until no connection stands at a port.
async fn quiet(port: u16) {
    let until = Instant::now() + Duration::from_secs(20);
    while standing(port) > 0 {
        assert!(Instant::now() < until, "{} at port {port}", standing(port));
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Runs traffic; every channel must have been recycled so often.
fn recycles(turns: Turns, window: u32) {
    if !program::available() {
        return;
    }
    let scratch = Scratch::new("recycling").expect("a folder");
    let text = window.to_string();
    let _server = server();
    let _ins = INS.map(|port| proxy(&scratch, "in", port, &text, ""));
    let _outs = OUTS.map(|port| proxy(&scratch, "out", port, &text, ""));
    let runtime = runtime();
    runtime.block_on(async {
        let front = Front::start(turns).await;
        let client = client(window).await;
        let began = Instant::now();
        let bytes = traffic(&client, 200, 6).await;
        let [ins, outs] = front.channels();
        eprintln!("{turns:?}, windows of {window}: {bytes} bytes each way, {ins} IN and {outs} OUT channels, {:?}", began.elapsed());
        let least = bytes / LIFETIME as usize;
        assert!(ins > least && outs > least, "{ins} and {outs} channels for {bytes} bytes");
        drop(client);
        quiet(SERVER).await;
    });
}

network_test! {
    fn channels_are_recycled_by_the_proxies_that_have_them() {
        recycles(Turns::Same, 8 << 10);
    }

    fn channels_are_recycled_by_other_proxies() {
        recycles(Turns::InTurn, 8 << 10);
    }

    fn channels_are_recycled_in_all_ways_with_larger_windows() {
        recycles(Turns::Mixed, 64 << 10);
    }

    fn whoever_dies_takes_both_ends_along() {
        if !program::available() {
            return;
        }
        let scratch = Scratch::new("dies").expect("a folder");
        let runtime = runtime();
        runtime.block_on(async {
            let _front = Front::start(Turns::Same).await;
            for dies in ["the inbound proxy", "the outbound proxy", "the server", "the client"] {
                let server = server();
                let inbound = proxy(&scratch, "in", INS[0], "64KiB", "");
                let outbound = proxy(&scratch, "out", OUTS[0], "64KiB", "");
                let client = client(64 << 10).await;
                traffic(&client, 8, 2).await;
                let waiting = client.test_sleep(60);
                let waiting = tokio::spawn(waiting);
                assert_eq!(client.add_one(1).await.expect("added"), 2, "{dies}");
                let (killed, left) = match dies {
                    "the inbound proxy" => (Some(inbound), vec![outbound, server]),
                    "the outbound proxy" => (Some(outbound), vec![inbound, server]),
                    "the server" => (Some(server), vec![inbound, outbound]),
                    _ => (None, vec![inbound, outbound, server]),
                };
                match killed {
                    Some(killed) => {
                        killed.process.stop(Signal::SIGKILL).expect("killed");
                        let error = waiting.await.expect("no panic").expect_err("nobody answers");
                        assert!(error.may_have_executed(), "{dies}: {error}");
                    }
                    None => {
                        waiting.abort();
                        let _ = waiting.await;
                    }
                }
                drop(client);
                for port in [SERVER, INS[0], OUTS[0]] {
                    quiet(port).await;
                }
                for daemon in left {
                    daemon.process.stop(Signal::SIGTERM).expect("it ends");
                }
            }
        });
    }

    fn a_proxy_that_goes_on_for_another_judges_calls_as_that_did() {
        if !program::available() {
            return;
        }
        let scratch = Scratch::new("heirs").expect("a folder");
        let _server = server();
        let rule = "[[rule]]\nname = \"no SourceData\"\naction = \"deny\"\ntargets = [\"echo\"]\ninterfaces = [\"rpcecho\"]\noperations = [\"SourceData\"]\n";
        let _ins = INS.map(|port| proxy(&scratch, "in", port, "64KiB", rule));
        let _outs = OUTS.map(|port| proxy(&scratch, "out", port, "64KiB", rule));
        runtime().block_on(async {
            let front = Front::start(Turns::InTurn).await;
            let client = client(64 << 10).await;
            for round in 1..4 {
                // More than a channel carries, so the next one is another proxy's.
                traffic(&client, 40, 2).await;
                let denied = client.source_data(100_000).await.expect_err("denied");
                assert!(matches!(denied.cause(), Cause::Fault(0x1c01_0002)), "{denied}");
                assert_eq!(client.add_one(41).await.expect("added"), 42);
                assert!(front.channels()[0] > round, "{:?}", front.channels());
            }
        });
    }

    fn a_proxy_that_knows_no_others_does_not_go_on_for_them() {
        if !program::available() {
            return;
        }
        let scratch = Scratch::new("lonely").expect("a folder");
        let _server = server();
        let _ins = INS.map(|port| lonely(&scratch, "in", port, "64KiB", "[audit]\nfile = \"audit\"\n"));
        let _outs = OUTS.map(|port| proxy(&scratch, "out", port, "64KiB", ""));
        runtime().block_on(async {
            let front = Front::start(Turns::InTurn).await;
            let client = client(64 << 10).await;
            let sent = data(23_999);
            let len = u32::try_from(sent.len()).expect("short");
            let mut lost = None;
            for _ in 0..40 {
                if let Err(error) = client.echo_data(len, &sent).await {
                    lost = Some(error);
                    break;
                }
            }
            let lost = lost.expect("the channel ends, and no other goes on for it");
            assert!(lost.may_have_executed(), "{lost}");
            // One is tried for each; a client that hears of its end between two calls has begun anew.
            let channels = front.channels()[0];
            assert!(channels >= 2 && channels.is_multiple_of(2), "{channels}");
            drop(client);
            // Both ends are told, and nothing is left.
            for port in [SERVER, INS[0], INS[1], OUTS[0], OUTS[1]] {
                quiet(port).await;
            }
        });
        let audit = fs::read_to_string(scratch.file("audit")).expect("an audit log");
        assert!(audit.contains("no other proxy says what the client has bound"), "{audit}");
    }

    fn an_inbound_proxy_alone_denies_a_call_and_the_connection_lives() {
        if !program::available() {
            return;
        }
        let scratch = Scratch::new("denies").expect("a folder");
        let _server = server();
        let rule = "[[rule]]\nname = \"no SourceData\"\naction = \"deny\"\ntargets = [\"echo\"]\ninterfaces = [\"rpcecho\"]\noperations = [\"SourceData\"]\n";
        let _inbound = proxy(&scratch, "in", INS[0], "64KiB", rule);
        let _outbound = proxy(&scratch, "out", OUTS[0], "64KiB", rule);
        runtime().block_on(async {
            let front = Front::start(Turns::Same).await;
            let client = client(64 << 10).await;
            for _ in 0..3 {
                let denied = client.source_data(100_000).await.expect_err("denied");
                // nca_s_op_rng_error: nobody has such an operation.
                assert!(matches!(denied.cause(), Cause::Fault(0x1c01_0002)), "{denied}");
                assert!(!denied.may_have_executed());
                assert_eq!(client.add_one(41).await.expect("added"), 42);
            }
            assert_eq!(front.channels(), [1, 1]);
        });
    }
}
