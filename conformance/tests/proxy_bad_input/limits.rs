//! What one client can cost.

use std::io::Write;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::time::{Duration, Instant};

use farcall_conformance::raw::{Heard, Pdu, RPCECHO, words};
use tokio::net::{TcpSocket, TcpStream};

use super::{
    ADD_ONE, Host, NOBODY, SOURCE_DATA, Tunnel, USERS, a1, answer, b1, cookie, eventually, head,
    host, rest, sent,
};

/// Half-open sockets.
const MANY: u16 = 10_000;

/// Calls whose median is taken.
const CALLS: usize = 400;

/// As many descriptors as the system lets this process have.
fn raise_descriptors() -> bool {
    use nix::sys::resource::{Resource, getrlimit, setrlimit};
    let (_, hard) = getrlimit(Resource::RLIMIT_NOFILE).expect("a limit");
    setrlimit(Resource::RLIMIT_NOFILE, hard, hard).is_ok() && hard > u64::from(MANY) + 1000
}

/// Ten thousand connections from many sources: some say nothing, some begin a request, some begin a channel and do not go on.
async fn half_open(to: SocketAddr) -> Vec<TcpStream> {
    let mut all = Vec::new();
    for each in 0..MANY {
        let [_, low] = (each / 200).to_be_bytes();
        let socket = TcpSocket::new_v4().expect("a socket");
        let source = Ipv4Addr::new(127, 2, low, 1);
        socket
            .bind(SocketAddr::new(source.into(), 0))
            .expect("bound");
        let stream = socket.connect(to).await.expect("connect");
        let begun = match each % 3 {
            0 => String::new(),
            1 => "RPC_IN_DATA /rpc/rpcproxy.dll?srv1:593 HTTP/1.1\r\nHost: h\r\nX: ".to_owned(),
            _ => head("RPC_OUT_DATA", "srv1:593", 76, ""),
        };
        stream.try_write(begun.as_bytes()).expect("sent");
        all.push(stream);
    }
    all
}

/// The median of a good client's calls, and the processor time of the proxy that all of them took, in ticks.
fn work(host: &Host, tunnel: &mut Tunnel) -> (Duration, u64) {
    let before = host.proxy.process.ticks().expect("running");
    let mut times: Vec<Duration> = (0..CALLS)
        .map(|_| {
            let begun = Instant::now();
            tunnel.add_one(1);
            begun.elapsed()
        })
        .collect();
    times.sort();
    let ticks = host.proxy.process.ticks().expect("running") - before;
    (times[CALLS / 2], ticks)
}

#[test]
fn row_10_ten_thousand_half_open_sockets() {
    if !raise_descriptors() {
        return farcall_conformance::case::skipped("fewer than 11 000 descriptors");
    }
    // They stay as long as the test wants.
    let limits = "[limits]\nheader = \"120s\"\nfirst-rts = \"120s\"\n";
    let Some(mut host) = host(limits, "") else {
        return;
    };
    let mut tunnel = Tunnel::open(host.at(NOBODY), cookie(), "");
    tunnel.bind();
    let _warm = work(&host, &mut tunnel);
    let (alone, alone_ticks) = work(&host, &mut tunnel);
    let memory = host.proxy.process.memory().expect("running");
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime");
    let many = runtime.block_on(half_open(host.at(NOBODY)));
    eventually("all of them are there", || {
        host.metric("connections") >= i64::from(MANY)
    });
    eventually("some are awaited at each place", || {
        host.metric("channels{phase=\"head\"}") >= 6000
            && host.metric("channels{phase=\"first-rts\"}") >= 3000
    });
    let (among, among_ticks) = work(&host, &mut tunnel);
    // A call's work does not grow with who else is there. Machines that test are busy, so the factors are generous.
    assert!(
        among <= alone * 4 + Duration::from_millis(2),
        "{alone:?} alone, {among:?} among {MANY}"
    );
    assert!(
        among_ticks <= alone_ticks * 3 + 30,
        "{alone_ticks} ticks alone, {among_ticks} among {MANY}"
    );
    // Nor does who waits cost much.
    let each = host
        .proxy
        .process
        .memory()
        .expect("running")
        .saturating_sub(memory)
        / u64::from(MANY);
    assert!(each < 24 << 10, "{each} bytes for each that waits");
    // A newcomer is let in, and everything is given back.
    host.serves();
    drop(many);
    eventually("they are gone", || host.metric("connections") < 10);
    println!(
        "median {alone:?} alone, {among:?} among {MANY}; {alone_ticks} and {among_ticks} ticks; {each} bytes each"
    );
}

#[test]
fn row_10_every_wait_ends() {
    let limits = "[limits]\nheader = \"1s\"\nfirst-rts = \"1s\"\npairing = \"1s\"\nidle = \"2s\"\n";
    let Some(mut host) = host(limits, "") else {
        return;
    };
    let to = host.at(NOBODY);
    // A head that does not come, and one that comes drop by drop.
    let mut silent = sent(to, b"");
    let mut slow = sent(to, b"RPC_IN_DATA /rpc/rpcproxy.dll?srv1:593 HTTP/1.1\r\n");
    for _ in 0..40 {
        if slow.write_all(b"X: y\r\n").is_err() {
            break;
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    assert!(!rest(&mut slow).starts_with(b"HTTP/1.1 2"));
    assert!(!rest(&mut silent).starts_with(b"HTTP/1.1 2"));
    // No first PDU; half of one; none at the other channel, which an OUT channel learns behind its success.
    let a1 = a1(cookie());
    for (begun, said) in [
        (0, "503 RPC Error: 6be"),
        (40, "503 RPC Error: 6be"),
        (76, "200 Success"),
    ] {
        let request = head("RPC_OUT_DATA", "srv1:593", 76, "");
        let mut client = sent(to, &[request.as_bytes(), &a1[..begun]].concat());
        let head = answer(&mut client);
        assert!(
            head.starts_with(&format!("HTTP/1.1 {said}\r\n")),
            "{begun}: {head}"
        );
        rest(&mut client);
    }
    let begun = [
        head("RPC_IN_DATA", "srv1:593", 1 << 30, "").as_bytes(),
        &b1(cookie(), 1 << 30),
    ]
    .concat();
    let head = answer(&mut sent(to, &begun));
    assert!(
        head.starts_with("HTTP/1.1 503 RPC Error: 6be\r\n"),
        "{head}"
    );
    // A client that is let in and falls silent: not even pings.
    let mut tunnel = Tunnel::open(to, cookie(), "");
    tunnel.bind();
    assert_eq!(tunnel.hear(), Heard::Closed);
    host.audited("the client was silent for too long", 1);
    host.audited("no first PDU in time", 2);
    assert!(
        host.metric("denials_total{why=\"timeout\"}") >= 3,
        "{}",
        host.page("/metrics")
    );
    // One that pings stays.
    let mut tunnel = Tunnel::open(to, cookie(), "");
    tunnel.bind();
    for _ in 0..12 {
        tunnel
            .r#in
            .write_all(&super::rts(1, 0, b""))
            .expect("a ping");
        std::thread::sleep(Duration::from_millis(250));
    }
    tunnel.add_one(1);
    host.serves();
    eventually("nothing is left", || {
        host.metric("connections") == 0 && host.metric("channels{phase=\"open\"}") == 0
    });
    for phase in [
        "head",
        "login",
        "first-rts",
        "reaching",
        "pairing",
        "draining",
    ] {
        assert_eq!(
            host.metric(&format!("channels{{phase=\"{phase}\"}}")),
            0,
            "{phase}"
        );
    }
}

#[test]
fn row_10_caps() {
    let limits = "[limits]\nper-source = 30\nper-user = 4\nvirtual-connections = 8\n";
    let Some(mut host) = host(limits, "") else {
        return;
    };
    // So many connections from one source, and no more: the next is closed at once.
    let to = host.at(NOBODY);
    let many: Vec<_> = (0..30).map(|_| sent(to, b"")).collect();
    eventually("they are counted", || host.metric("connections") == 30);
    assert!(rest(&mut sent(to, b"")).is_empty());
    assert!(host.metric("denials_total{why=\"limit\"}") >= 1);
    drop(many);
    eventually("they are gone", || host.metric("connections") == 0);
    // So many virtual connections of one user, and of all.
    let open = |listener: usize, more: &str| Tunnel::ask(host.at(listener), cookie(), more);
    let nobody: Vec<_> = (0..4)
        .map(|_| Tunnel::open(host.at(NOBODY), cookie(), ""))
        .collect();
    let head = answer(&mut open(NOBODY, "").out.0);
    assert!(
        head.starts_with("HTTP/1.1 503 RPC Error: 6bb\r\n"),
        "{head}"
    );
    let alice = super::basic("alice", super::PASSWORD);
    let alices: Vec<_> = (0..4)
        .map(|_| Tunnel::open(host.at(USERS), cookie(), &alice))
        .collect();
    let head = answer(&mut open(USERS, &super::basic("bob", super::PASSWORD)).out.0);
    assert!(
        head.starts_with("HTTP/1.1 503 RPC Error: 6bb\r\n"),
        "{head}"
    );
    host.audited("too many virtual connections of one user", 1);
    host.audited("too many virtual connections\"", 1);
    drop((nobody, alices));
    eventually("there is room again", || {
        host.metric("channels{phase=\"open\"}") == 0
    });
    host.serves();
}

#[test]
fn row_11_windows_ignored() {
    // A server that takes connections and reads nothing.
    let deaf = TcpListener::bind("127.0.0.1:0").expect("listen");
    let port = deaf.local_addr().expect("an address").port();
    let more = format!(
        "[[target]]\nname = \"deaf\"\nhosts = [\"deaf\"]\nports = [1]\nbridge = \"ncacn_ip_tcp:127.0.0.1[{port}]\"\n"
    );
    let rule = "[[rule]]\nname = \"deaf\"\naction = \"allow\"\ntargets = [\"deaf\"]\n";
    let Some(mut host) = host(&more, rule) else {
        return;
    };
    host.serves();
    let before = host.proxy.process.memory().expect("running");
    // Eight clients that send as Samba does, whatever their window: until nothing is read from them any more.
    let mut tunnels = Vec::new();
    let stub = vec![0x41; 4096];
    for _ in 0..8 {
        let mut tunnel = Tunnel::to(host.at(NOBODY), "deaf:1", cookie(), "", 1 << 30);
        tunnel.opened();
        tunnel
            .r#in
            .set_write_timeout(Some(Duration::from_millis(500)))
            .expect("a limit");
        let mut sent = tunnel
            .r#in
            .write(&Pdu::bind(RPCECHO).bytes())
            .expect("sent");
        while let Ok(len) = tunnel.r#in.write(&Pdu::request(7, ADD_ONE, &stub).bytes()) {
            sent += len;
            assert!(sent < 64 << 20, "it is read from without end");
        }
        tunnels.push(tunnel);
    }
    // And eight that ask for much and read nothing, nor acknowledge it.
    for _ in 0..8 {
        let mut tunnel = Tunnel::open(host.at(NOBODY), cookie(), "");
        tunnel.bind();
        for call in 0..200 {
            tunnel.send(&Pdu::request(call, SOURCE_DATA, &words(&[1_000_000])));
        }
        tunnels.push(tunnel);
    }
    host.serves();
    eventually("bytes wait", || {
        host.metric("queued_bytes{way=\"in\"}") > 0 && host.metric("stalls_total{way=\"in\"}") > 0
    });
    let status = host.page("/status");
    assert!(status.contains("QUEUED"), "{status}");
    let held = host
        .proxy
        .process
        .memory()
        .expect("running")
        .saturating_sub(before);
    assert!(
        held < 48 << 20,
        "{held} bytes for 16 clients that keep to no window\n{status}"
    );
    println!("{held} bytes for 16 clients that keep to no window");
    drop(tunnels);
    eventually("nothing of them is left", || {
        host.metric("queued_bytes{way=\"in\"}") == 0
            && host.metric("window_bytes{way=\"out\"}") == 0
    });
    host.serves();
}

#[test]
fn row_11_lifetime_overrun() {
    let Some(mut host) = host("", "") else { return };
    // An IN channel of 128 KiB that sends more than it declared.
    let mut tunnel = Tunnel::to(host.at(NOBODY), "srv1:593", cookie(), "", 128 << 10);
    tunnel.opened();
    tunnel.bind();
    let stub = vec![0; 4000];
    for call in 0..40 {
        tunnel.send(&Pdu::request(call, ADD_ONE, &stub));
    }
    loop {
        match tunnel.hear() {
            Heard::Closed => break,
            heard => assert_ne!(heard, Heard::Silence),
        }
    }
    host.serves();
}
