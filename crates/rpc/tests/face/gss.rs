//! Calls under a security context (RFC 2203) through the face: what is proved, what is lost and made anew, and what a
//! server with a small window is spared. The mechanism is a toy; real ones are met in `conformance`.

use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use bytes::Bytes;
use farcall::server::Builder;
use farcall::stub::Raw;
use farcall::tls::{Clients, Policy, Tls};
use farcall::{Call, Cause, Client, Gss, Identity, Options, Refuse, Runtime, Server, Transport};
use farcall_onc::auth::{AuthStat, OpaqueAuth};
use farcall_onc::gss::message::verifier;
use farcall_onc::gss::{Arrived, Contexts, GssConfig, Service, Verdict};
use farcall_onc::msg::{Framing, ReplyBody, ReplyHeader, encode_refusal, encode_reply, parse_call};
use farcall_onc::record::{Assembler, RecordLimits};
use farcall_onc::seed::Seed;
use farcall_wire::{Encode, Str, TransmitQueue, xdr};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::authority::Authority;
use crate::common::{PROGRAM, Test, add, echo, service};
use crate::toy::{Caller, Toy, code};

const SERVICES: [Service; 3] = [Service::NONE, Service::INTEGRITY, Service::PRIVACY];

/// Options of a caller with this name.
fn options(name: &'static str, service: Service) -> Options {
    Options {
        gss: Some(Gss {
            initiator: Arc::new(Caller(name)),
            service,
            target: None,
        }),
        timeout: Duration::from_secs(60),
        ..Options::default()
    }
}

fn builder(test: &Test, toy: &Toy, config: GssConfig) -> Builder {
    Server::builder()
        .serve(service(test))
        .gss_with(Arc::new(toy.clone()), config)
        .listen("tcp://127.0.0.1:0")
        .listen("udp://127.0.0.1:0")
}

async fn start(toy: &Toy, config: GssConfig) -> (Server, Test) {
    let test = Test::default();
    let server = builder(&test, toy, config).start().await.expect("starts");
    (server, test)
}

async fn connect(server: &Server, transport: Transport, options: Options) -> Client {
    let endpoint = server.endpoint(transport).expect("listens");
    let client = Client::connect_with(endpoint, PROGRAM.number, PROGRAM.version, options);
    client.await.expect("connects")
}

#[tokio::test]
async fn every_service_is_carried_over_every_transport() {
    let toy = Toy::default();
    let (server, _) = start(&toy, GssConfig::default()).await;
    for transport in [Transport::Tcp, Transport::Udp] {
        for kind in SERVICES {
            let client = connect(&server, transport, options("alice", kind)).await;
            let text = "x".repeat(3001);
            assert_eq!(
                echo(&client, &text).await.expect("echo"),
                Str::from(text.as_str())
            );
            assert_eq!(add(&client, 40, 2).await.expect("add"), 42);
            client.close_context().await;
        }
    }
    assert_eq!(toy.made(), 6);
}

#[tokio::test]
async fn a_context_that_the_server_has_lost_is_made_anew_without_the_caller_noticing() {
    let toy = Toy::default();
    let config = GssConfig {
        contexts: 1,
        ..GssConfig::default()
    };
    let (server, _) = start(&toy, config).await;
    let alice = connect(&server, Transport::Tcp, options("alice", Service::PRIVACY)).await;
    let bob = connect(&server, Transport::Udp, options("bob", Service::NONE)).await;
    for _ in 0..3 {
        // There is room for one context: each pushes the other's out.
        assert_eq!(add(&alice, 1, 2).await.expect("alice"), 3);
        assert_eq!(add(&bob, 3, 4).await.expect("bob"), 7);
    }
    assert_eq!(toy.made(), 6);
}

#[tokio::test]
async fn a_context_is_made_anew_once_for_a_call_and_no_more() {
    let toy = Toy::default();
    let config = GssConfig {
        idle: Duration::ZERO,
        ..GssConfig::default()
    };
    let (server, test) = start(&toy, config).await;
    let client = connect(&server, Transport::Tcp, options("alice", Service::NONE)).await;
    let error = add(&client, 1, 2).await.expect_err("forgotten at once");
    assert!(
        error.to_string().contains("RPCSEC_GSS_CREDPROBLEM"),
        "{error}"
    );
    assert!(!error.may_have_executed());
    assert_eq!((toy.made(), test.calls.load(Ordering::SeqCst)), (2, 0));
}

#[tokio::test]
async fn a_call_that_is_not_made_says_nothing_about_its_context() {
    let toy = Toy::default();
    let (server, test) = start(&toy, GssConfig::default()).await;
    let options = Options {
        in_flight: 1,
        ..options("alice", Service::INTEGRITY)
    };
    let client = connect(&server, Transport::Tcp, options).await;
    assert_eq!(add(&client, 1, 2).await.expect("answered"), 3);
    let waits = tokio::spawn({
        let client = client.clone();
        async move { client.call(&PROGRAM, 3, &(), |_| Ok(())).await }
    });
    while test.waiting.load(Ordering::SeqCst) == 0 {
        tokio::task::yield_now().await;
    }
    let refused = add(&client, 1, 2).await.expect_err("one is in flight");
    assert!(matches!(refused.cause(), Cause::Limit(_)), "{refused}");
    test.gate.notify_one();
    waits.await.expect("runs").expect("answered");
    assert_eq!(add(&client, 3, 4).await.expect("answered"), 7);
    assert_eq!(toy.made(), 1);
}

#[tokio::test]
async fn a_call_too_long_for_a_datagram_is_refused_at_once() {
    let toy = Toy::default();
    let (server, test) = start(&toy, GssConfig::default()).await;
    for kind in SERVICES {
        let client = connect(&server, Transport::Udp, options("alice", kind)).await;
        let begun = Instant::now();
        let error = echo(&client, &"x".repeat(70_000))
            .await
            .expect_err("too long");
        assert!(matches!(error.cause(), Cause::Limit(_)), "{error}");
        assert!(
            error.to_string().contains("does not fit a datagram"),
            "{error}"
        );
        assert!(!error.may_have_executed() && begun.elapsed() < Duration::from_secs(30));
        assert_eq!(add(&client, 1, 2).await.expect("the context stands"), 3);
    }
    assert_eq!((toy.made(), test.calls.load(Ordering::SeqCst)), (3, 3));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_code_that_takes_long_to_check_delays_nobody_else() {
    let toy = Toy::default();
    let builder = builder(&Test::default(), &toy, GssConfig::default());
    let server = builder.runtime(Runtime::Threads(2)).lanes(0).start();
    let server = server.await.expect("starts");
    // Connections go to the threads in turn.
    let slow = connect(&server, Transport::Tcp, options("slow", Service::NONE)).await;
    let quick = connect(&server, Transport::Tcp, options("quick", Service::NONE)).await;
    assert_eq!(add(&slow, 1, 2).await.expect("answered"), 3);
    toy.gate.set(true);
    let waits = tokio::spawn(async move { add(&slow, 3, 4).await });
    while toy.gate.waiting() == 0 {
        tokio::task::yield_now().await;
    }
    let answered = tokio::time::timeout(Duration::from_secs(20), add(&quick, 5, 6)).await;
    toy.gate.set(false);
    assert_eq!(answered.expect("in time").expect("answered"), 11);
    assert_eq!(waits.await.expect("runs").expect("answered"), 7);
}

/// What a server says to a proved call.
#[derive(Clone, Copy, Debug)]
enum Say {
    /// What it should.
    Sum,
    /// It is denied.
    Deny(AuthStat),
    /// Success, under a code that is wrong.
    Forged,
}

/// A server by hand that advertises this window, keeps so many calls waiting before it answers any, and says `say` to
/// the call with that number. It tells how many calls waited at once.
async fn by_hand(
    listener: TcpListener,
    window: u32,
    keep: usize,
    calls: usize,
    say: impl Fn(usize) -> Say,
) -> usize {
    let (mut stream, _) = listener.accept().await.expect("a client");
    let toy = Arc::new(Toy::default());
    let mut contexts = Contexts::new(GssConfig::default(), toy, Seed::new([7; 32]));
    let mut assembler = Assembler::new(RecordLimits::default());
    let (mut waiting, mut most, mut seen) = (Vec::new(), 0, 0);
    let mut buffer = vec![0; 1 << 16];
    while seen < calls || !waiting.is_empty() {
        let read = stream.read(&mut buffer).await.expect("reads");
        if read == 0 {
            return most;
        }
        let (batch, mut at) = (Bytes::copy_from_slice(&buffer[..read]), 0);
        while let Some(record) = assembler.next(&batch, &mut at).expect("records") {
            let message = record.bytes(&batch);
            let (header, args) = parse_call(&message).expect("a call");
            match contexts.admit(Instant::now(), &message, &header, args) {
                Verdict::Establish(mut establishing, token) => {
                    let progress = establishing.handshake().step(token);
                    let created = contexts.finish(Instant::now(), establishing, progress);
                    let mut result = created.result;
                    result.window = window;
                    let mic = code(&window.to_be_bytes());
                    send(&mut stream, header.xid, verifier(&mic), &result).await;
                }
                Verdict::Call(arrived) => {
                    let arguments = arrived.arguments.to_vec();
                    let Arrived {
                        held, seq, service, ..
                    } = arrived;
                    waiting.push((header.xid, held, seq, service, arguments));
                }
                Verdict::Destroyed(_) => {}
                other => panic!("{other:?}"),
            }
        }
        most = most.max(waiting.len());
        while waiting.len() >= keep || (seen + waiting.len() >= calls && !waiting.is_empty()) {
            let (xid, held, seq, service, arguments) = waiting.remove(0);
            let words: Vec<i32> = arguments
                .chunks(4)
                .map(|word| i32::from_be_bytes(word.try_into().expect("a word")))
                .collect();
            let results = xdr::to_vec(&(words[0] + words[1])).expect("fits");
            let mic = held.verifier(seq).expect("a code");
            match say(seen) {
                Say::Sum => {
                    let sealed = held.seal(seq, service, &results).expect("sealed");
                    send(&mut stream, xid, verifier(&mic), &Raw(&sealed)).await;
                }
                Say::Forged => {
                    let mic = code(b"something else");
                    send(&mut stream, xid, verifier(&mic), &Raw(&results)).await;
                }
                Say::Deny(stat) => {
                    let mut queue = TransmitQueue::new();
                    encode_refusal(&mut queue, Framing::Stream, xid, ReplyBody::AuthError(stat));
                    stream.write_all(&queue.to_vec()).await.expect("written");
                }
            }
            seen += 1;
        }
    }
    most
}

async fn send<T: Encode>(stream: &mut TcpStream, xid: u32, verifier: OpaqueAuth<'_>, results: &T) {
    let header = ReplyHeader {
        xid,
        verifier,
        body: ReplyBody::Success,
    };
    let mut queue = TransmitQueue::new();
    encode_reply(&mut queue, Framing::Stream, &header, results).expect("fits");
    stream.write_all(&queue.to_vec()).await.expect("written");
}

async fn listen() -> (TcpListener, String) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("listens");
    let endpoint = format!("tcp://{}", listener.local_addr().expect("an address"));
    (listener, endpoint)
}

async fn connect_to(endpoint: &str, options: Options) -> Client {
    let client = Client::connect_with(endpoint, PROGRAM.number, PROGRAM.version, options);
    client.await.expect("connects")
}

#[tokio::test]
async fn no_more_calls_are_in_flight_than_the_servers_window_has_room_for() {
    let (listener, endpoint) = listen().await;
    let server = tokio::spawn(by_hand(listener, 5, 5, 40, |_| Say::Sum));
    let client = connect_to(&endpoint, options("alice", Service::INTEGRITY)).await;
    let calls = (0..40).map(|n| add(&client, n, 1));
    let sums = futures_util::future::join_all(calls).await;
    for (n, sum) in (0..).zip(sums) {
        assert_eq!(sum.expect("answered"), n + 1);
    }
    assert_eq!(server.await.expect("runs"), 5);
}

#[tokio::test]
async fn either_number_for_a_lost_context_makes_another_one() {
    for stat in [AuthStat::GSS_CREDPROBLEM, AuthStat::GSS_CTXPROBLEM] {
        let (listener, endpoint) = listen().await;
        let say = move |n: usize| if n == 1 { Say::Deny(stat) } else { Say::Sum };
        let server = tokio::spawn(by_hand(listener, 100, 1, 4, say));
        let client = connect_to(&endpoint, options("alice", Service::PRIVACY)).await;
        for n in 0..3 {
            assert_eq!(add(&client, n, 1).await.expect("answered"), n + 1, "{stat}");
        }
        server.await.expect("runs");
    }
}

#[tokio::test]
async fn other_refusals_are_told_and_keep_the_context() {
    let (listener, endpoint) = listen().await;
    let say = |n: usize| match n {
        0 => Say::Deny(AuthStat::TOOWEAK),
        1 => Say::Forged,
        _ => Say::Sum,
    };
    let server = tokio::spawn(by_hand(listener, 100, 1, 3, say));
    let client = connect_to(&endpoint, options("alice", Service::NONE)).await;
    let weak = add(&client, 1, 1).await.expect_err("denied");
    assert!(
        weak.to_string().contains("AUTH_TOOWEAK") && !weak.may_have_executed(),
        "{weak}"
    );
    let forged = add(&client, 1, 1).await.expect_err("proved by nobody");
    assert!(forged.may_have_executed(), "{forged}");
    assert_eq!(add(&client, 1, 1).await.expect("answered"), 2);
    server.await.expect("runs");
}

/// Who may add: whoever is proved to be alice; who may echo: anybody who says who he is.
fn alice_adds(call: &Call) -> Result<(), Refuse> {
    let may = match (call.procedure(), call.identity()) {
        (2, Identity::Proved(proved)) => &*proved.principal.name == "alice",
        (2, Identity::Process) => true,
        (1, Identity::Nobody) => false,
        (1, _) => true,
        _ => false,
    };
    match may {
        true => Ok(()),
        false => Err(Refuse::Auth(AuthStat::TOOWEAK)),
    }
}

#[tokio::test]
async fn each_procedure_is_allowed_by_whatever_proves_its_caller() {
    let toy = Toy::default();
    let path = std::env::temp_dir().join(format!("farcall-gss-{}.sock", std::process::id()));
    let path = format!("unix://{}", path.display());
    let server = builder(&Test::default(), &toy, GssConfig::default())
        .authorize(alice_adds)
        .listen(path.as_str())
        .start()
        .await
        .expect("starts");
    let sys = farcall_onc::auth::AuthSys {
        machine: "m".into(),
        uid: 7,
        ..farcall_onc::auth::AuthSys::default()
    };
    let claimed = Options::default().auth_sys(&sys).expect("fits");
    let nobody = Options::default();
    let tcp = Transport::Tcp;
    let row = [
        (
            "a principal",
            connect(&server, tcp, options("alice", Service::NONE)).await,
            true,
            true,
        ),
        (
            "another",
            connect(&server, tcp, options("bob", Service::PRIVACY)).await,
            false,
            true,
        ),
        ("a claim", connect(&server, tcp, claimed).await, false, true),
        (
            "nobody",
            connect(&server, tcp, nobody.clone()).await,
            false,
            false,
        ),
        (
            "the kernel's word",
            connect(&server, Transport::Unix, nobody).await,
            false,
            true,
        ),
        (
            "this process",
            Client::in_process(&server).expect("a way"),
            true,
            true,
        ),
    ];
    for (who, client, adds, echoes) in row {
        let (added, echoed) = (add(&client, 1, 2).await, echo(&client, "x").await);
        assert_eq!((added.is_ok(), echoed.is_ok()), (adds, echoes), "{who}");
        for error in [added.err(), echoed.err()].into_iter().flatten() {
            let weak = format!("{:?}", Cause::Authentication(AuthStat::TOOWEAK));
            assert_eq!(format!("{:?}", error.cause()), weak, "{who}");
        }
    }
}

fn blocking(server: &Server, transport: Transport, options: Options) -> farcall::blocking::Client {
    let endpoint = server.endpoint(transport).expect("listens");
    let (program, version) = (PROGRAM.number, PROGRAM.version);
    farcall::blocking::Client::connect_with(endpoint, program, version, options).expect("connects")
}

fn added(client: &farcall::blocking::Client, a: i32, b: i32) -> Result<i32, farcall::Error> {
    client.call(&PROGRAM, 2, &(a, b), |r| r.i32())
}

#[tokio::test]
async fn the_blocking_client_has_security_contexts_too() {
    let toy = Toy::default();
    let config = GssConfig {
        contexts: 1,
        ..GssConfig::default()
    };
    let (server, _) = start(&toy, config).await;
    for transport in [Transport::Tcp, Transport::Udp] {
        for kind in SERVICES {
            let alice = blocking(&server, transport, options("alice", kind));
            let bob = blocking(&server, transport, options("bob", kind));
            let before = toy.made();
            for _ in 0..2 {
                // There is room for one context: each pushes the other's out.
                assert_eq!(added(&alice, 1, 2).expect("alice"), 3);
                assert_eq!(added(&bob, 3, 4).expect("bob"), 7);
            }
            assert_eq!(toy.made() - before, 4);
            bob.close_context();
            assert_eq!(added(&bob, 5, 6).expect("another one"), 11);
        }
    }
    let client = blocking(&server, Transport::Udp, options("alice", Service::PRIVACY));
    let text = Str::from("x".repeat(70_000).as_str());
    let long = client.call(&PROGRAM, 1, &text, |_| Ok(()));
    assert!(matches!(
        long.expect_err("too long").cause(),
        Cause::Limit(_)
    ));
    assert_eq!(added(&client, 1, 2).expect("goes on"), 3);
    let target = farcall::stub::Target {
        program: PROGRAM.number,
        version: PROGRAM.version,
        procedure: 5,
    };
    assert!(
        client.one_way(target, &()).is_err(),
        "nothing would prove the server"
    );
}

#[tokio::test]
async fn a_blocking_clients_context_that_is_forgotten_at_once_is_made_twice_and_no_more() {
    let toy = Toy::default();
    let config = GssConfig {
        idle: Duration::ZERO,
        ..GssConfig::default()
    };
    let (server, test) = start(&toy, config).await;
    let client = blocking(&server, Transport::Tcp, options("alice", Service::NONE));
    let error = added(&client, 1, 2).expect_err("forgotten at once");
    assert!(
        error.to_string().contains("RPCSEC_GSS_CREDPROBLEM"),
        "{error}"
    );
    assert_eq!((toy.made(), test.calls.load(Ordering::SeqCst)), (2, 0));
}

#[tokio::test]
async fn the_blocking_client_sends_short_credentials_and_calls_without_a_reply() {
    let test = Test::default();
    let config = farcall_onc::auth::ShortConfig {
        capacity: 1,
        ..farcall_onc::auth::ShortConfig::default()
    };
    let server = Server::builder()
        .serve(service(&test))
        .short_credentials(config)
        .listen("tcp://127.0.0.1:0")
        .start()
        .await
        .expect("starts");
    let claims = |uid: u32| {
        let sys = farcall_onc::auth::AuthSys {
            machine: "m".into(),
            uid,
            ..farcall_onc::auth::AuthSys::default()
        };
        let options = Options {
            short: true,
            ..Options::default()
        };
        blocking(
            &server,
            Transport::Tcp,
            options.auth_sys(&sys).expect("fits"),
        )
    };
    let who = |client: &farcall::blocking::Client| {
        client.call(&PROGRAM, 8, &(), |r| {
            let uid = r.u32()?;
            r.opaque_var(1000)?;
            Ok(uid)
        })
    };
    let (seven, eight) = (claims(7), claims(8));
    for _ in 0..3 {
        // One handle at a time: each client's makes the other's forgotten.
        for _ in 0..2 {
            assert_eq!(who(&seven).expect("answered"), 7);
        }
        assert_eq!(who(&eight).expect("answered"), 8);
    }
    let target = farcall::stub::Target {
        program: PROGRAM.number,
        version: PROGRAM.version,
        procedure: 5,
    };
    let before = test.calls.load(Ordering::SeqCst);
    for _ in 0..10 {
        seven.one_way(target, &()).expect("sent");
    }
    assert_eq!(who(&seven).expect("answered"), 7);
    assert_eq!(test.calls.load(Ordering::SeqCst) - before, 11);
}

/// Words as bytes.
fn words(words: &[u32]) -> Vec<u8> {
    words.iter().flat_map(|word| word.to_be_bytes()).collect()
}

/// Bytes with their length in front and their padding behind.
fn opaque(bytes: &[u8]) -> Vec<u8> {
    let len = u32::try_from(bytes.len()).expect("short");
    let mut all = [&len.to_be_bytes(), bytes].concat();
    all.resize(all.len().next_multiple_of(4), 0);
    all
}

/// A call of a procedure with these bodies of credential and verifier, flavour 6 and this one.
fn stranger(procedure: u32, body: &[u8], verifier: (u32, &[u8]), arguments: &[u8]) -> Vec<u8> {
    let head = words(&[77, 0, 2, PROGRAM.number, PROGRAM.version, procedure, 6]);
    let flavor = words(&[verifier.0]);
    [
        &head[..],
        &opaque(body),
        &flavor,
        &opaque(verifier.1),
        arguments,
    ]
    .concat()
}

/// A credential of version 1: RFC 2203 section 5.
fn credential(procedure: u32, service: u32, handle: &[u8]) -> Vec<u8> {
    [words(&[1, procedure, 1, service]), opaque(handle)].concat()
}

/// What strangers may send, and the words of the reply behind its number: denied (1, 1, why), or accepted (0) with an
/// empty verifier and a status.
fn strangers() -> Vec<(&'static str, Vec<u8>, Vec<u32>)> {
    let denied = |why: u32| vec![1, 1, 1, why];
    let garbage = vec![1, 0, 0, 0, 4];
    let (bad, rejected, problem) = (1, 2, 13);
    let (data, init, go_on, destroy) = (0, 1, 2, 3);
    let mic = (6, &[0x41; 28][..]);
    let none = (0, &[][..]);
    let another = [words(&[2, data, 1, 1]), opaque(b"handle")].concat();
    vec![
        (
            "a body of nothing",
            stranger(0, &[], none, &[]),
            denied(bad),
        ),
        (
            "a body cut short",
            stranger(0, &credential(data, 1, b"h")[..17], none, &[]),
            denied(bad),
        ),
        (
            "another version",
            stranger(1, &another, mic, &[]),
            denied(rejected),
        ),
        (
            "an unknown procedure",
            stranger(1, &credential(9, 1, b"h"), mic, &[]),
            denied(bad),
        ),
        (
            "an unknown service",
            stranger(1, &credential(data, 9, b"h"), mic, &[]),
            denied(bad),
        ),
        (
            "data of nobody",
            stranger(1, &credential(data, 1, b""), mic, &[]),
            denied(problem),
        ),
        (
            "a farewell of nobody",
            stranger(0, &credential(destroy, 1, b""), mic, &[]),
            denied(problem),
        ),
        (
            "an unknown handle",
            stranger(1, &credential(data, 3, &[7; 24]), mic, &[]),
            denied(problem),
        ),
        (
            "the longest body and verifier",
            stranger(1, &credential(data, 2, &[7; 380]), (6, &[1; 400]), &[]),
            denied(problem),
        ),
        (
            "a body over 400 bytes",
            stranger(1, &credential(data, 2, &[7; 384]), mic, &[]),
            denied(bad),
        ),
        (
            "an exchange nobody began",
            stranger(0, &credential(go_on, 1, &[7; 24]), none, &opaque(b"x")),
            denied(problem),
        ),
        (
            "a beginning with a handle",
            stranger(0, &credential(init, 1, b"h"), none, &opaque(b"x")),
            denied(bad),
        ),
        (
            "a beginning of a real procedure",
            stranger(1, &credential(init, 1, b""), none, &opaque(b"x")),
            denied(bad),
        ),
        (
            "a beginning with a verifier",
            stranger(0, &credential(init, 1, b""), mic, &opaque(b"x")),
            denied(bad),
        ),
        (
            "a token of 4 GiB",
            stranger(0, &credential(init, 1, b""), none, &words(&[u32::MAX])),
            garbage,
        ),
    ]
}

#[tokio::test]
async fn strangers_are_answered_by_the_number_and_harm_nobody() {
    use std::io::{Read, Write};
    let toy = Toy::default();
    let (server, test) = start(&toy, GssConfig::default()).await;
    let port = server
        .endpoint(Transport::Tcp)
        .and_then(|it| it.port())
        .expect("a port");
    let known = connect(&server, Transport::Tcp, options("alice", Service::PRIVACY)).await;
    assert_eq!(add(&known, 1, 2).await.expect("answered"), 3);
    let mut stream = std::net::TcpStream::connect(("127.0.0.1", port)).expect("connects");
    stream
        .set_read_timeout(Some(Duration::from_secs(20)))
        .expect("a limit");
    for (name, message, wanted) in strangers() {
        let mark = words(&[0x8000_0000 | u32::try_from(message.len()).expect("short")]);
        stream
            .write_all(&[mark, message].concat())
            .expect("written");
        let mut head = [0; 4];
        stream
            .read_exact(&mut head)
            .unwrap_or_else(|error| panic!("{name}: {error}"));
        let mut reply = vec![0; (u32::from_be_bytes(head) & 0x7fff_ffff) as usize];
        stream.read_exact(&mut reply).expect("a reply");
        let said: Vec<u32> = reply
            .chunks(4)
            .map(|word| u32::from_be_bytes(word.try_into().expect("a word")))
            .collect();
        assert_eq!(said[0], 77, "{name}");
        assert_eq!(said[1..], wanted, "{name}");
    }
    assert_eq!(add(&known, 3, 4).await.expect("answered"), 7);
    assert_eq!((toy.made(), test.calls.load(Ordering::SeqCst)), (1, 2));
}

#[tokio::test]
async fn a_mechanism_that_fails_anywhere_ends_one_call_and_nothing_else() {
    for kind in SERVICES {
        for good in 0.. {
            let toy = Toy::default();
            let (server, _) = start(&toy, GssConfig::default()).await;
            let limits = Options {
                timeout: Duration::from_millis(400),
                ..options("alice", kind)
            };
            let client = connect(&server, Transport::Tcp, limits).await;
            toy.faults.after(good);
            let ended = add(&client, 1, 2).await;
            let over = toy.faults.are_over();
            toy.faults.none();
            if let Ok(sum) = &ended {
                assert_eq!(*sum, 3, "{kind:?} after {good}");
            }
            let next = add(&client, 3, 4).deadline(Duration::from_secs(60)).await;
            assert_eq!(next.expect("goes on"), 7, "{kind:?} after {good}");
            if !over {
                assert!(
                    good >= 3 && ended.is_ok(),
                    "{kind:?}: {good} operations, {ended:?}"
                );
                break;
            }
        }
    }
}

/// Which operation of the server's mechanism fails in a call whose context stands: those that check the call come first,
/// then the code of the reply, then what protects its results.
const FAILS: [(Service, usize, bool); 5] = [
    (Service::NONE, 1, false),
    (Service::INTEGRITY, 2, false),
    (Service::INTEGRITY, 3, true),
    (Service::PRIVACY, 2, false),
    (Service::PRIVACY, 3, true),
];

#[tokio::test]
async fn a_mechanism_that_fails_at_the_reply_ends_the_call_at_once_and_it_is_not_made_again() {
    for transport in [Transport::Tcp, Transport::Udp] {
        for (kind, good, has_code) in FAILS {
            let toy = Toy::default();
            let (server, test) = start(&toy, GssConfig::default()).await;
            let client = connect(&server, transport, options("alice", kind)).await;
            assert_eq!(add(&client, 1, 2).await.expect("answered"), 3);
            toy.faults.after(good);
            let failed = tokio::time::timeout(Duration::from_secs(30), add(&client, 3, 4));
            let failed = failed.await.expect("nobody waits for the deadline");
            let error = failed.expect_err("not protected");
            assert!(toy.faults.are_over(), "{kind:?} after {good}");
            assert!(error.may_have_executed(), "{kind:?} after {good}: {error}");
            match has_code {
                true => assert!(matches!(error.cause(), Cause::SystemError), "{error}"),
                false => assert!(error.to_string().contains("does not prove"), "{error}"),
            }
            assert_eq!(add(&client, 5, 6).await.expect("goes on"), 11);
            assert_eq!((toy.made(), test.calls.load(Ordering::SeqCst)), (1, 3));
        }
    }
}

/// What a server knew of a caller: who was proved, by which certificate, and whether that was under TLS.
type Known = (Option<String>, Option<String>, bool);

/// A server under TLS that takes security contexts, and what it knew of its callers.
async fn secured(toy: &Toy, authority: &Authority) -> (Server, Arc<Mutex<Vec<Known>>>) {
    let known = Arc::<Mutex<Vec<Known>>>::default();
    let seen = Arc::clone(&known);
    let server = Server::builder()
        .serve(service(&Test::default()))
        .gss(Arc::new(toy.clone()))
        .tls(
            Policy::Require,
            authority.server(Clients::Optional(authority.trust())),
        )
        .authorize(move |call| {
            let proved = match call.identity() {
                Identity::Proved(proved) => Some(proved.principal.name.to_string()),
                _ => None,
            };
            let certificate = call.certificate().map(|it| it.principal.clone());
            let row = (proved, certificate, call.is_under_tls());
            seen.lock().expect("fine").push(row);
            Ok(())
        })
        .listen("tls://127.0.0.1:0");
    (server.start().await.expect("starts"), known)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_service_is_carried_under_tls_and_both_proofs_are_known() {
    let (toy, authority) = (Toy::default(), Authority::new());
    let (server, known) = secured(&toy, &authority).await;
    for kind in SERVICES {
        for own in [None, Some(authority.issue("desk"))] {
            let machine = own.as_ref().map(|_| "CN=desk".to_owned());
            let options = Options {
                tls: Some(Tls::require(authority.client(own))),
                ..options("alice", kind)
            };
            let client = connect(&server, Transport::Tls, options.clone()).await;
            let text = "x".repeat(70_001);
            let back = echo(&client, &text).await.expect("answered");
            assert_eq!(back, Str::from(text.as_str()));
            let sums = (0..20).map(|n| add(&client, n, 1));
            for (n, sum) in (0..).zip(futures_util::future::join_all(sums).await) {
                assert_eq!(sum.expect("answered"), n + 1);
            }
            client.close_context().await;
            let endpoint = server.endpoint(Transport::Tls).expect("listens").clone();
            let sum = tokio::task::spawn_blocking(move || {
                let client = farcall::blocking::Client::connect_with(
                    &endpoint,
                    PROGRAM.number,
                    PROGRAM.version,
                    options,
                );
                added(&client.expect("connects"), 40, 2)
            });
            assert_eq!(sum.await.expect("joined").expect("answered"), 42);
            let alice = (Some("alice".to_owned()), machine, true);
            let known: Vec<Known> = std::mem::take(&mut *known.lock().expect("fine"));
            assert_eq!(known, vec![alice; 22]);
        }
    }
    assert_eq!(toy.made(), 12);
}

#[tokio::test]
async fn in_clear_no_context_is_made_where_tls_is_demanded() {
    let (toy, authority) = (Toy::default(), Authority::new());
    let (server, known) = secured(&toy, &authority).await;
    let clear = server.endpoints()[0]
        .to_string()
        .replace("tls://", "tcp://");
    let client = connect_to(&clear, options("alice", Service::PRIVACY)).await;
    let error = add(&client, 1, 2).await.expect_err("in clear");
    assert!(
        matches!(error.cause(), Cause::Authentication(AuthStat::TOOWEAK)),
        "{error}"
    );
    assert!(!error.may_have_executed() && toy.made() == 0);
    assert!(known.lock().expect("fine").is_empty());
}
