//! Calls under TLS (RFC 9289): who speaks how with whom, who is believed to be who, and what is said in clear beside it.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use farcall::server::Builder;
use farcall::tls::{Clients, Own, Pem, Policy, ServerSettings, ServerTls, Tls};
use farcall::{
    Cause, Client, Identity, Limits, Options, Refuse, Server, TlsFault, Transport, blocking,
};
use farcall_onc::auth::{AuthStat, AuthSys};
use farcall_wire::{Str, xdr};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::authority::Authority;
use crate::common::{PROGRAM, Test, add, bare, bulk, echo, service};

fn builder(test: &Test) -> Builder {
    Server::builder().serve(service(test))
}

async fn start(builder: Builder) -> Server {
    let listening = builder.listen("tcp://127.0.0.1:0");
    listening.start().await.expect("starts")
}

fn options(tls: Option<Tls>) -> Options {
    Options {
        tls,
        ..Options::default()
    }
}

async fn connect(server: &Server, options: Options) -> Result<Client, farcall::Error> {
    let endpoint = &server.endpoints()[0];
    Client::connect_with(endpoint, PROGRAM.number, PROGRAM.version, options).await
}

fn fault(error: &farcall::Error) -> TlsFault {
    match error.cause() {
        Cause::Tls(fault, _) => *fault,
        _ => panic!("{error}"),
    }
}

#[tokio::test]
async fn calls_of_any_size_and_number_go_under_tls() {
    let authority = Authority::new();
    let test = Test::default();
    let builder = builder(&test).tls(Policy::Require, authority.server(Clients::Unasked));
    let server = builder
        .listen("tls://127.0.0.1:0")
        .start()
        .await
        .expect("starts");
    let endpoint = server.endpoint(Transport::Tls).expect("listens");
    assert!(endpoint.to_string().starts_with("tls://127.0.0.1:"));
    let client = connect(&server, options(Some(Tls::require(authority.client(None)))))
        .await
        .expect("connects");
    assert_eq!(add(&client, 40, 2).await.expect("answered"), 42);
    let long = "x".repeat(1 << 20);
    assert_eq!(
        echo(&client, &long)
            .await
            .expect("answered")
            .as_bytes()
            .len(),
        1 << 20
    );
    let calls: Vec<_> = (0..500).map(|i| tokio::spawn(add(&client, i, 1))).collect();
    for (i, call) in (0..).zip(calls) {
        assert_eq!(call.await.expect("joined").expect("answered"), i + 1);
    }
    // More than fits into any buffer on the way, to a client that reads late.
    let large: Vec<_> = (0..8).map(|_| bulk(&client, 3 << 20)).collect();
    for call in large {
        assert_eq!(call.await.expect("answered").len(), 3 << 20);
    }
    server.drain(Duration::from_secs(5)).await;
}

#[tokio::test]
async fn what_was_answered_arrives_though_the_server_ends() {
    let authority = Authority::new();
    let test = Test::default();
    let server =
        start(builder(&test).tls(Policy::Require, authority.server(Clients::Unasked))).await;
    let client = connect(&server, options(Some(Tls::require(authority.client(None)))))
        .await
        .expect("connects");
    let waiting = tokio::spawn(bare(&client, 3));
    let calls: Vec<_> = (0..4)
        .map(|_| tokio::spawn(bulk(&client, 3 << 20)))
        .collect();
    while test.calls.load(std::sync::atomic::Ordering::SeqCst) < 5 {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    test.gate.notify_one();
    server.drain(Duration::from_secs(20)).await;
    for call in calls {
        assert_eq!(
            call.await.expect("joined").expect("answered").len(),
            3 << 20
        );
    }
    waiting.await.expect("joined").expect("answered");
}

/// How a call went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Went {
    Clear,
    Tls,
    Refused,
}

// req: onc-9289-policy
#[tokio::test]
async fn policies_of_both_ends_decide_and_those_that_insist_fail_closed() {
    use Went::{Clear, Refused, Tls as Under};
    let authority = Authority::new();
    let policies = [
        Policy::Off,
        Policy::Opportunistic,
        Policy::Require,
        Policy::RequireMutual,
    ];
    // A row for each server, a column for each client; the clients have certificates.
    let table = [
        [Clear, Clear, Refused, Refused],
        [Clear, Under, Under, Under],
        [Refused, Under, Under, Under],
        [Refused, Under, Under, Under],
    ];
    for (row, serving) in table.into_iter().zip(policies) {
        let seen = Arc::new(Mutex::new(None));
        let note = Arc::clone(&seen);
        let clients = Clients::Required(authority.trust());
        let built = builder(&Test::default())
            .tls(serving, authority.server(clients))
            .authorize(move |call| {
                *note.lock().expect("fine") = Some(call.is_under_tls());
                Ok(())
            });
        let server = start(built).await;
        for (wanted, policy) in row.into_iter().zip(policies) {
            let with = authority.client(Some(authority.issue("alice")));
            let made = connect(&server, options(Some(Tls { policy, with }))).await;
            let result = match made {
                Ok(client) => add(&client, 1, 2).await.map(|_| ()),
                Err(error) => Err(error),
            };
            let went = match (result, seen.lock().expect("fine").take()) {
                (Ok(()), Some(true)) => Under,
                (Ok(()), Some(false)) => Clear,
                (Ok(()), None) => panic!("nobody was asked"),
                (Err(_), seen) => {
                    assert!(seen.is_none());
                    Refused
                }
            };
            assert_eq!(went, wanted, "server {serving:?}, client {policy:?}");
        }
    }
}

#[tokio::test]
async fn in_clear_a_server_that_insists_says_that_calls_are_too_weak() {
    let authority = Authority::new();
    let test = Test::default();
    let built = builder(&test)
        .tls(Policy::Require, authority.server(Clients::Unasked))
        .listen("tcp://127.0.0.1:0")
        .listen("udp://127.0.0.1:0");
    let server = built.start().await.expect("starts");
    for endpoint in server.endpoints() {
        let client = Client::connect(endpoint, PROGRAM.number, PROGRAM.version);
        let client = client.await.expect("connects");
        bare(&client, 0)
            .await
            .expect("anybody may call procedure 0");
        for _ in 0..2 {
            let error = add(&client, 1, 2).await.expect_err("refused");
            let weak = matches!(error.cause(), Cause::Authentication(AuthStat::TOOWEAK));
            assert!(weak && !error.may_have_executed(), "{error}");
        }
        bare(&client, 0).await.expect("and again");
    }
    assert_eq!(test.calls.load(std::sync::atomic::Ordering::SeqCst), 0);
    let over_udp = server.endpoint(Transport::Udp).expect("listens");
    let insisting = options(Some(Tls::require(authority.client(None))));
    let error = Client::connect_with(over_udp, PROGRAM.number, 1, insisting)
        .await
        .expect_err("nothing protects datagrams");
    assert_eq!(fault(&error), TlsFault::NotOffered);
}

#[tokio::test]
async fn a_certificate_proves_who_calls_and_auth_sys_goes_with_it() {
    let authority = Authority::new();
    let seen = Arc::new(Mutex::new(Vec::new()));
    let note = Arc::clone(&seen);
    let built = builder(&Test::default())
        .tls(
            Policy::RequireMutual,
            authority.server(Clients::Required(authority.trust())),
        )
        .tls_principal(|certificate| {
            certificate
                .dns
                .first()
                .filter(|dns| *dns != "nobody")
                .cloned()
        })
        .authorize(move |call| match call.identity() {
            Identity::Certificate(certified) if certified.principal == "mallory" => {
                Err(Refuse::Auth(AuthStat::TOOWEAK))
            }
            Identity::Certificate(certified) => {
                let uid = call.credential().sys().map(|sys| sys.uid);
                note.lock()
                    .expect("fine")
                    .push((certified.principal.clone(), uid));
                Ok(())
            }
            _ => Err(Refuse::Auth(AuthStat::TOOWEAK)),
        });
    let server = start(built).await;
    let called = async |name: &str, sys: Option<AuthSys>| {
        let tls = Tls::require_mutual(authority.client(Some(authority.issue(name))));
        let mut options = options(Some(tls));
        if let Some(sys) = sys {
            options = options.auth_sys(&sys).expect("short");
        }
        add(&connect(&server, options).await?, 1, 2).await
    };
    let sys = AuthSys {
        stamp: 0,
        machine: b"vm".to_vec(),
        uid: 1000,
        gid: 100,
        gids: vec![],
    };
    assert_eq!(called("alice", None).await.expect("let in"), 3);
    assert_eq!(called("bob", Some(sys)).await.expect("let in"), 3);
    called("mallory", None).await.expect_err("not let in");
    let error = called("nobody", None).await.expect_err("ended");
    assert!(matches!(error.cause(), Cause::Disconnected(_)), "{error}");
    let seen = std::mem::take(&mut *seen.lock().expect("fine"));
    assert_eq!(
        seen,
        [("alice".to_owned(), None), ("bob".to_owned(), Some(1000))]
    );
}

#[tokio::test]
async fn errors_say_what_is_wrong_with_whose_certificate() {
    let authority = Authority::new();
    let other = Authority::new();
    let serving = |own: Own| {
        let settings = ServerSettings::new(own.certificate, own.key);
        builder(&Test::default()).tls(Policy::Require, ServerTls::new(settings).expect("made"))
    };
    for (own, wanted) in [
        (authority.issue_until("127.0.0.1", 2001), TlsFault::Expired),
        (authority.issue("127.0.0.2"), TlsFault::WrongName),
        (other.issue("127.0.0.1"), TlsFault::UnknownIssuer),
    ] {
        let server = start(serving(own)).await;
        let tls = Tls::require(authority.client(None));
        let error = connect(&server, options(Some(tls.clone())))
            .await
            .expect_err("refused");
        assert_eq!(fault(&error), wanted, "{error}");
        assert!(!error.hints().is_empty() && !error.may_have_executed());
        // A server that is willing and not who it should be is spoken to in no other way.
        let tls = Tls {
            policy: Policy::Opportunistic,
            ..tls
        };
        connect(&server, options(Some(tls)))
            .await
            .expect_err("refused");
    }
    let required = || Clients::Required(authority.trust());
    let server =
        start(builder(&Test::default()).tls(Policy::RequireMutual, authority.server(required())))
            .await;
    for (own, wanted) in [
        (None, TlsFault::CertificateRequired),
        (Some(other.issue("alice")), TlsFault::Refused),
        (
            Some(authority.issue_until("alice", 2001)),
            TlsFault::Refused,
        ),
    ] {
        // With TLS 1.3 the client's side stands before the server has looked.
        let tls = Tls::require(authority.client(own));
        let client = connect(&server, options(Some(tls)))
            .await
            .expect("connects");
        let error = add(&client, 1, 2).await.expect_err("refused");
        assert_eq!(fault(&error), wanted, "{error}");
        assert!(!error.may_have_executed(), "{error}");
    }
    let without = Tls::require_mutual(authority.client(None));
    let error = connect(&server, options(Some(without)))
        .await
        .expect_err("nothing to show");
    assert_eq!(fault(&error), TlsFault::Settings);
    let unasking =
        start(builder(&Test::default()).tls(Policy::Require, authority.server(Clients::Unasked)))
            .await;
    let mutual = Tls::require_mutual(authority.client(Some(authority.issue("alice"))));
    let error = connect(&unasking, options(Some(mutual)))
        .await
        .expect_err("one side only");
    assert_eq!(fault(&error), TlsFault::CertificateRequired);
}

#[tokio::test]
async fn settings_that_cannot_hold_are_no_server() {
    let authority = Authority::new();
    let unasking = authority.server(Clients::Unasked);
    let error = builder(&Test::default())
        .tls(Policy::RequireMutual, unasking)
        .start()
        .await;
    assert!(
        error
            .expect_err("refused")
            .to_string()
            .contains("not asked for certificates")
    );
    let error = builder(&Test::default())
        .listen("tls://127.0.0.1:0")
        .start()
        .await;
    assert!(
        error
            .expect_err("refused")
            .to_string()
            .contains("no certificate to show")
    );
}

#[tokio::test]
async fn a_server_that_ends_the_connection_at_the_probe_is_called_in_clear_or_not_at_all() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0")
        .await
        .expect("bound");
    let endpoint = format!("tcp://{}", listener.local_addr().expect("bound"));
    let plain = start(builder(&Test::default())).await;
    let behind = plain.endpoints()[0].port().expect("a port");
    tokio::spawn(async move {
        loop {
            let Ok((mut near, _)) = listener.accept().await else {
                return;
            };
            let mut head = [0; 44];
            let Ok(44) = near.read_exact(&mut head).await else {
                continue;
            };
            if head[31] == 7 {
                continue;
            }
            let Ok(mut far) = TcpStream::connect(("127.0.0.1", behind)).await else {
                return;
            };
            tokio::spawn(async move {
                far.write_all(&head).await.expect("written");
                let _ = tokio::io::copy_bidirectional(&mut near, &mut far).await;
            });
        }
    });
    let authority = Authority::new();
    let with = authority.client(None);
    let tls = Tls::opportunistic(with.clone());
    let client = Client::connect_with(endpoint.as_str(), PROGRAM.number, 1, options(Some(tls)));
    assert_eq!(
        add(&client.await.expect("connects"), 1, 2)
            .await
            .expect("answered"),
        3
    );
    let client = Client::connect_with(
        endpoint.as_str(),
        PROGRAM.number,
        1,
        options(Some(Tls::require(with))),
    );
    assert_eq!(
        fault(&client.await.expect_err("refused")),
        TlsFault::NotOffered
    );
}

#[tokio::test]
async fn certificates_are_exchanged_and_no_connection_is_dropped() {
    let folder = std::env::temp_dir().join(format!("farcall-tls-{}", std::process::id()));
    std::fs::create_dir_all(&folder).expect("a folder");
    let authority = Authority::new();
    let write = |own: &Own| {
        let (Pem::Text(certificate), Pem::Text(key)) = (&own.certificate, &own.key) else {
            unreachable!()
        };
        std::fs::write(folder.join("cert.pem"), certificate).expect("written");
        std::fs::write(folder.join("key.pem"), key).expect("written");
    };
    write(&authority.issue("127.0.0.1"));
    let settings = ServerSettings::new(folder.join("cert.pem"), folder.join("key.pem"));
    let with = ServerTls::new(settings).expect("made");
    let server = start(builder(&Test::default()).tls(Policy::Require, with.clone())).await;
    let tls = || options(Some(Tls::require(authority.client(None))));
    let old = connect(&server, tls()).await.expect("connects");
    add(&old, 1, 2).await.expect("answered");
    write(&authority.issue("127.0.0.9"));
    with.reload().expect("read");
    let error = connect(&server, tls()).await.expect_err("another name");
    assert_eq!(fault(&error), TlsFault::WrongName);
    assert_eq!(add(&old, 1, 2).await.expect("answered"), 3);
    write(&authority.issue("127.0.0.1"));
    with.reload().expect("read");
    connect(&server, tls()).await.expect("connects again");
    assert_eq!(add(&old, 1, 2).await.expect("answered"), 3);
    let _ = std::fs::remove_dir_all(folder);
}

#[tokio::test]
async fn calls_go_both_ways_over_one_protected_connection() {
    let authority = Authority::new();
    let there = Test::default();
    let back = Arc::new(Mutex::new(None));
    let note = Arc::clone(&back);
    let built = builder(&there)
        .tls(Policy::Require, authority.server(Clients::Unasked))
        .authorize(move |call| {
            *note.lock().expect("fine") = Some(call.back_channel());
            Ok(())
        });
    let server = start(built).await;
    let ours = builder(&Test::default()).start().await.expect("starts");
    let tls = options(Some(Tls::require(authority.client(None))));
    let forward = ours.connect(&server.endpoints()[0], PROGRAM.number, 1, tls);
    let forward = forward.await.expect("connects");
    assert_eq!(add(&forward, 1, 2).await.expect("answered"), 3);
    let back = back
        .lock()
        .expect("fine")
        .take()
        .expect("called")
        .expect("a way back");
    assert_eq!(add(&back, 20, 22).await.expect("answered"), 42);
    assert_eq!(
        echo(&forward, &"y".repeat(300_000))
            .await
            .expect("answered")
            .as_bytes()
            .len(),
        300_000
    );
}

#[test]
fn a_blocking_client_speaks_under_tls_and_says_why_not() {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let authority = Authority::new();
    let built = builder(&Test::default()).tls(Policy::Require, authority.server(Clients::Unasked));
    let server = runtime.block_on(start(built));
    let endpoint = &server.endpoints()[0];
    let connect =
        |tls| blocking::Client::connect_with(endpoint, PROGRAM.number, 1, options(Some(tls)));
    let client = connect(Tls::require(authority.client(None))).expect("connects");
    for n in 0..50 {
        let sum = client.call(&PROGRAM, 2, &(n, 1), |r| r.i32());
        assert_eq!(sum.expect("answered"), n + 1);
    }
    for len in [1_usize, 5000, 900_000] {
        let text = Str::from("z".repeat(len));
        let echoed = client.call(&PROGRAM, 1, &text, |r| xdr::string_var(r, 1 << 20));
        assert_eq!(echoed.expect("answered").as_bytes().len(), len);
    }
    let error = connect(Tls::require(Authority::new().client(None))).map(|_| ());
    assert_eq!(fault(&error.expect_err("refused")), TlsFault::UnknownIssuer);
    let clear = blocking::Client::connect(endpoint, PROGRAM.number, 1).expect("connects");
    let error = clear
        .call(&PROGRAM, 2, &(1, 2), |r| r.i32())
        .expect_err("refused");
    assert!(
        matches!(error.cause(), Cause::Authentication(AuthStat::TOOWEAK)),
        "{error}"
    );
}

/// The probe as it stands on the wire, and other calls of the program.
fn call(xid: u32, procedure: u32, flavor: u32) -> Vec<u8> {
    let words = [
        0x8000_0028,
        xid,
        0,
        2,
        PROGRAM.number,
        1,
        procedure,
        flavor,
        0,
        0,
        0,
    ];
    words
        .iter()
        .flat_map(|word: &u32| word.to_be_bytes())
        .collect()
}

/// The words of the next reply behind its mark; nothing: the connection has ended.
async fn reply(stream: &mut (impl AsyncReadExt + Unpin)) -> Option<Vec<u32>> {
    let len = stream.read_u32().await.ok()? & 0x7fff_ffff;
    let mut words = Vec::new();
    for _ in 0..len / 4 {
        words.push(stream.read_u32().await.ok()?);
    }
    Some(words)
}

const STARTTLS: [u32; 8] = [7, 1, 0, 0, 8, 0x5354_4152, 0x5454_4c53, 0];

async fn raw(server: &Server) -> TcpStream {
    let port = server.endpoints()[0].port().expect("a port");
    TcpStream::connect(("127.0.0.1", port))
        .await
        .expect("connects")
}

// req: onc-9289-server
#[tokio::test]
async fn a_busy_connection_that_asks_for_tls_gets_it_and_a_second_probe_is_refused() {
    let authority = Authority::new();
    let built = builder(&Test::default())
        .tls(Policy::Opportunistic, authority.server(Clients::Unasked))
        .lanes(1);
    let server = start(built).await;
    let mut stream = raw(&server).await;
    // Busy enough for a thread of its own.
    for xid in 0..200 {
        stream.write_all(&call(xid, 0, 0)).await.expect("written");
        assert_eq!(reply(&mut stream).await, Some(vec![xid, 1, 0, 0, 0, 0]));
    }
    stream.write_all(&call(7, 0, 7)).await.expect("written");
    assert_eq!(reply(&mut stream).await, Some(STARTTLS.to_vec()));
    let client = authority.client(None);
    let tls = client.connect(stream, "127.0.0.1", &[b"sunrpc"]);
    let mut tls = tls.await.expect("TLS");
    assert_eq!(tls.alpn(), Some(&b"sunrpc"[..]));
    for xid in 0..200 {
        tls.write_all(&call(xid, 0, 0)).await.expect("written");
        tls.flush().await.expect("written");
        assert_eq!(reply(&mut tls).await, Some(vec![xid, 1, 0, 0, 0, 0]));
    }
    tls.write_all(&call(9, 0, 7)).await.expect("written");
    tls.flush().await.expect("written");
    // Denied, AUTH_ERROR, AUTH_BADCRED.
    assert_eq!(reply(&mut tls).await, Some(vec![9, 1, 1, 1, 1]));
    tls.write_all(&call(10, 0, 0)).await.expect("written");
    tls.flush().await.expect("written");
    assert_eq!(reply(&mut tls).await, Some(vec![10, 1, 0, 0, 0, 0]));
}

#[tokio::test]
async fn nothing_in_clear_beside_the_probe_is_carried_over() {
    let authority = Authority::new();
    let test = Test::default();
    let server =
        start(builder(&test).tls(Policy::Opportunistic, authority.server(Clients::Unasked))).await;
    // Behind the probe, in one write; before it, unanswered; half a record behind it.
    let behind = [call(7, 0, 7), call(8, 4, 0)].concat();
    let before = [call(8, 3, 0), call(7, 0, 7)].concat();
    let half = [call(7, 0, 7), call(8, 4, 0)[..9].to_vec()].concat();
    for bytes in [behind, before, half] {
        let mut stream = raw(&server).await;
        stream.write_all(&bytes).await.expect("written");
        assert_eq!(reply(&mut stream).await, None);
    }
    // After the answer, in place of a handshake.
    let mut stream = raw(&server).await;
    stream.write_all(&call(7, 0, 7)).await.expect("written");
    assert_eq!(reply(&mut stream).await, Some(STARTTLS.to_vec()));
    stream.write_all(&call(8, 2, 0)).await.expect("written");
    let mut rest = Vec::new();
    let _ = stream.read_to_end(&mut rest).await;
    // At most an alert of TLS: type 21.
    assert!(rest.is_empty() || rest[0] == 21, "{rest:?}");
    let executed = test.calls.load(std::sync::atomic::Ordering::SeqCst);
    assert!(executed <= 1, "only what lay before a probe: {executed}");
}

#[tokio::test]
async fn a_handshake_has_its_time_and_no_more() {
    let authority = Authority::new();
    let limits = Limits {
        partial: Duration::from_millis(300),
        ..Limits::default()
    };
    let built = builder(&Test::default())
        .tls(Policy::Require, authority.server(Clients::Unasked))
        .limits(limits);
    let server = start(built).await;
    let (mut silent, mut slow) = (raw(&server).await, raw(&server).await);
    for stream in [&mut silent, &mut slow] {
        stream.write_all(&call(7, 0, 7)).await.expect("written");
        assert_eq!(reply(stream).await, Some(STARTTLS.to_vec()));
    }
    // The beginning of a handshake that never comes to an end, a byte at a time.
    let dripping = async {
        for byte in [22_u8, 3, 1, 1, 0].into_iter().chain(std::iter::repeat(1)) {
            if slow.write_all(&[byte]).await.is_err() {
                return;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    let ended = tokio::time::timeout(Duration::from_secs(20), async {
        tokio::join!(dripping, async {
            let _ = silent.read_u8().await.expect_err("ended");
        })
    });
    ended.await.expect("both are over");
    let tls = options(Some(Tls::require(authority.client(None))));
    add(&connect(&server, tls).await.expect("connects"), 1, 2)
        .await
        .expect("answered");
}
