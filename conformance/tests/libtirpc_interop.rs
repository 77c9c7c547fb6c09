//! Us and libtirpc, in both directions: blocking and non-blocking connections, TCP, UDP, IPv4 and
//! IPv6, AUTH_NONE and AUTH_SYS, always through rpcbind.

use std::future::Future;
use std::time::Duration;

use farcall::{Cause, Error, Options, Registrar, Server};
use farcall_conformance::demo::{self, Blob, NUMBER, Node, Shape, Str, Tree, v1, v2};
use farcall_conformance::peer::tirpc::{self, Mode, Pair};
use farcall_conformance::peer::{Process, available, rpcbind};
use farcall_conformance::{case, network_test};
use farcall_onc::auth::AuthSys;
use farcall_onc::msg::Target;

/// Where a server can be asked for, with a name for the list of cases.
const WAYS: [(&str, &str); 4] = [
    ("tcp://127.0.0.1", "tcp"),
    ("udp://127.0.0.1", "udp"),
    ("tcp://[::1]", "tcp6"),
    ("udp://[::1]", "udp6"),
];

/// Runs a future on a runtime of its own.
fn run<T>(work: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    runtime.expect("a runtime").block_on(work)
}

/// rpcbind and the compiled pair.
fn peers() -> (Process, Pair) {
    (
        rpcbind::start().expect("start rpcbind"),
        Pair::build().expect("build the pair"),
    )
}

fn sys() -> Options {
    let credential = AuthSys {
        stamp: 1,
        machine: b"farcall".to_vec(),
        uid: 1000,
        gid: 1000,
        gids: (1..=16).collect(),
    };
    Options::default()
        .auth_sys(&credential)
        .expect("within its bounds")
}

fn blob(data: usize, nodes: i32) -> Blob {
    Blob {
        data: (0..data).map(|at| at.to_le_bytes()[0]).collect(),
        h: 1 << 40,
        d: -0.5,
        s: Shape::Green(Str::from("a text of odd length")),
        list: (0..nodes).map(|v| Node { v }).collect(),
    }
}

/// Calls everything that version 1 has.
async fn call_all(client: &v1::Client) -> Result<(), Error> {
    assert_eq!(client.echo(&Str::from("hello")).await?.as_bytes(), b"hello");
    assert_eq!(client.echo(&Str::from("")).await?.as_bytes(), b"");
    assert_eq!(client.add(40, 2).await?, 42);
    assert_eq!(client.add(i32::MAX, i32::MIN).await?, -1);
    let sent = blob(1001, 100);
    let expected = Blob {
        h: (1 << 40) + 1,
        d: -1.0,
        s: Shape::Red(42),
        ..sent.clone()
    };
    assert_eq!(client.blob(&sent).await?, expected);
    let leaf = || {
        Some(Box::new(Tree {
            left: None,
            right: None,
            v: 20,
        }))
    };
    assert_eq!(
        client
            .sum(&Tree {
                left: leaf(),
                right: leaf(),
                v: 2
            })
            .await?,
        42
    );
    Ok(())
}

/// Calls to our client's liking, in both modes of their server.
fn our_client(mode: Mode, name: &str) {
    if !available(tirpc::NEEDS) {
        return;
    }
    let (_rpcbind, pair) = peers();
    let _server = pair.server(mode).expect("start the server");
    for (endpoint, way) in WAYS {
        for (options, auth) in [(Options::default(), "none"), (sys(), "sys")] {
            run(async {
                let client = farcall::Client::connect_with(endpoint, NUMBER, 1, options).await?;
                call_all(&client.into()).await
            })
            .unwrap_or_else(|error| panic!("{way} {auth}: {error:?}"));
            case::ran(
                "libtirpc",
                &format!("our client, {name} server, {way}, auth {auth}"),
            );
        }
    }
}

network_test! {
    fn our_client_calls_a_blocking_libtirpc_server() {
        our_client(Mode::Blocking, "blocking");
    }

    fn our_client_calls_a_non_blocking_libtirpc_server() {
        our_client(Mode::NonBlocking, "non-blocking");
    }

    /// libtirpc cuts long replies into fragments; we put them together.
    fn long_replies_come_in_fragments() {
        if !available(tirpc::NEEDS) {
            return;
        }
        let (_rpcbind, pair) = peers();
        for (mode, name) in [(Mode::Blocking, "blocking"), (Mode::NonBlocking, "non-blocking")] {
            let _server = pair.server(mode).expect("start the server");
            run(async {
                let client = v1::Client::connect("tcp://127.0.0.1").await.expect("connect");
                let sent = blob(900_000, 1000);
                let back = client.blob(&sent).await.expect("call");
                assert!(back.data == sent.data && back.list == sent.list);
            });
            case::ran("libtirpc", &format!("our client, {name} server, 900 kB each way"));
        }
    }

    /// The server works on one connection's calls one after the other; we send them all at once.
    fn many_calls_in_flight_to_a_server_that_takes_one_at_a_time() {
        if !available(tirpc::NEEDS) {
            return;
        }
        let (_rpcbind, pair) = peers();
        for (mode, name) in [(Mode::Blocking, "blocking"), (Mode::NonBlocking, "non-blocking")] {
            let _server = pair.server(mode).expect("start the server");
            run(async {
                let client = v1::Client::connect("tcp://127.0.0.1").await.expect("connect");
                let calls: Vec<_> = (0..200)
                    .map(|i| tokio::spawn(client.add(i, i)))
                    .collect();
                for (i, call) in (0..200).zip(calls) {
                    assert_eq!(call.await.expect("join").expect("call"), 2 * i);
                }
            });
            case::ran("libtirpc", &format!("our client, {name} server, 200 calls in flight"));
        }
    }

    fn refusals_of_a_libtirpc_server_are_understood() {
        if !available(tirpc::NEEDS) {
            return;
        }
        let (_rpcbind, pair) = peers();
        let _server = pair.server(Mode::Blocking).expect("start the server");
        for (endpoint, way) in WAYS {
            run(async {
                let raw = farcall::Client::connect(endpoint, NUMBER, 1).await.expect("connect");
                let target = |version, procedure| Target { program: NUMBER, version, procedure };
                let refused = raw.call_target(target(1, 77), &(), |_| Ok(())).await;
                let error = refused.expect_err("no such procedure");
                assert!(matches!(error.cause(), Cause::ProcedureUnavailable), "{error:?}");
                assert!(!error.may_have_executed());
                let refused = raw.call_target(target(9, 1), &(), |_| Ok(())).await;
                let error = refused.expect_err("no such version");
                let range = matches!(error.cause(), Cause::ProgramMismatch { low: 1, high: 2 });
                assert!(range, "{error:?}");
                let client = v1::Client::from(raw);
                assert_eq!(client.add(1, 2).await.expect("still there"), 3);
            });
            case::ran("libtirpc", &format!("our client, refusals, {way}"));
        }
    }

    /// A procedure that never answers ends at its deadline, and the connection goes on.
    fn a_call_without_a_reply_ends_at_its_deadline() {
        if !available(tirpc::NEEDS) {
            return;
        }
        let (_rpcbind, pair) = peers();
        let _server = pair.server(Mode::Blocking).expect("start the server");
        run(async {
            let client = v2::Client::connect("tcp://127.0.0.1").await.expect("connect");
            let text = Str::from("no answer");
            let call = client.oneway(&text);
            let error = call.deadline(Duration::from_millis(300)).await.expect_err("no reply");
            assert!(error.may_have_executed(), "{error:?}");
            let back = client.echo2(&Str::from("there")).await.expect("still there");
            assert_eq!(back.as_bytes(), b"there");
        });
        case::ran("libtirpc", "our client, a procedure that sends no reply");
    }

    fn a_libtirpc_client_calls_our_server() {
        if !available(tirpc::NEEDS) {
            return;
        }
        let (_rpcbind, pair) = peers();
        let server = run_server();
        for (host, netid, way) in [
            ("127.0.0.1", "tcp", "tcp"),
            ("127.0.0.1", "udp", "udp"),
            ("::1", "tcp", "tcp6"),
            ("::1", "udp", "udp6"),
        ] {
            for (sys, auth) in [(false, "none"), (true, "sys")] {
                let printed = pair.client(host, netid, sys).expect("run the client");
                let lines: Vec<&str> = printed.lines().collect();
                assert_eq!(lines[..6], GOOD, "{way} {auth}: {printed}");
                assert!(lines[6].contains("low version = 1, high version = 2"), "{printed}");
                case::ran("libtirpc", &format!("their client, our server, {way}, auth {auth}"));
            }
        }
        drop(server);
    }
}

/// What the libtirpc client prints when all is well.
const GOOD: [&str; 6] = [
    "null: RPC: Success",
    "echo: RPC: Success hello",
    "add: RPC: Success 42",
    "blob: RPC: Success 5 1099511627777 -1 42 1 -2",
    "sum: RPC: Success 42",
    "unknown procedure: RPC: Procedure unavailable",
];

/// Our server over everything, registered with rpcbind; its own threads serve it.
fn run_server() -> Server {
    run(async {
        let registrar = Registrar::at("tcp://127.0.0.1:111").expect("an endpoint");
        let mut builder = Server::builder().register_with(registrar);
        for endpoint in [
            "tcp://0.0.0.0:0",
            "udp://0.0.0.0:0",
            "tcp://[::]:0",
            "udp://[::]:0",
        ] {
            builder = builder.listen(endpoint);
        }
        for service in demo::services() {
            builder = builder.serve(service);
        }
        builder
            .start()
            .await
            .expect("start and register our server")
    })
}
