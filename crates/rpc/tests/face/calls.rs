//! Calls end to end: a server and clients of ours over every transport.

use std::sync::atomic::Ordering;
use std::time::Duration;

use crate::common::{Test, add, bare, bulk, echo, service};
use farcall::{Cause, Client, Endpoint, Limits, Server, Transport};

async fn start(test: &Test) -> Server {
    start_with(test, Limits::default()).await
}

async fn start_with(test: &Test, limits: Limits) -> Server {
    let path = std::env::temp_dir().join(format!("farcall-{}-{:p}.sock", std::process::id(), test));
    Server::builder()
        .serve(service(test))
        .limits(limits)
        .listen("tcp://127.0.0.1:0")
        .listen("udp://127.0.0.1:0")
        .listen("udp://0.0.0.0:0")
        .listen(format!("unix://{}", path.display()))
        .start()
        .await
        .expect("server starts")
}

async fn connect(endpoint: &Endpoint) -> Client {
    let (program, version) = (
        crate::common::PROGRAM.number,
        crate::common::PROGRAM.version,
    );
    Client::connect(endpoint, program, version)
        .await
        .expect("connects")
}

async fn clients(server: &Server) -> Vec<(String, Client)> {
    let mut clients = vec![(
        "in-process".to_owned(),
        Client::in_process(server).expect("pair"),
    )];
    for endpoint in server.endpoints() {
        let text = endpoint.to_string().replace("0.0.0.0", "127.0.0.1");
        clients.push((
            text.clone(),
            connect(&text.parse().expect("endpoint")).await,
        ));
    }
    clients
}

#[tokio::test]
async fn every_transport_carries_calls() {
    let test = Test::default();
    let server = start(&test).await;
    for (name, client) in clients(&server).await {
        assert_eq!(
            echo(&client, "hello").await.expect(&name),
            "hello",
            "{name}"
        );
        assert_eq!(add(&client, 40, 2).await.expect(&name), 42, "{name}");
        bare(&client, 0).await.expect(&name);
        let slow = client
            .call(&crate::common::PROGRAM, 7, &(), |r| r.u32())
            .await;
        assert_eq!(slow.expect(&name), 7, "{name}: runs on the pool");
    }
}

#[tokio::test]
async fn many_calls_are_in_flight_on_one_connection() {
    let test = Test::default();
    let server = start(&test).await;
    for (name, client) in clients(&server).await {
        // More datagrams at once than a socket holds would only test retransmission.
        let many = if name.starts_with("udp") { 100 } else { 500 };
        let calls = (0..many).map(|i| {
            let client = client.clone();
            tokio::spawn(async move { add(&client, i, i).await })
        });
        for (i, call) in calls.collect::<Vec<_>>().into_iter().enumerate() {
            let sum = call.await.expect("task").expect(&name);
            assert_eq!(sum, 2 * i as i32, "{name}");
        }
    }
}

#[tokio::test]
async fn a_pending_procedure_does_not_delay_the_others() {
    let test = Test::default();
    let server = start(&test).await;
    for (name, client) in clients(&server).await {
        let waiting = tokio::spawn({
            let client = client.clone();
            async move { bare(&client, 3).await }
        });
        while test.waiting.load(Ordering::SeqCst) == 0 {
            tokio::task::yield_now().await;
        }
        for i in 0..10 {
            assert_eq!(add(&client, i, 1).await.expect(&name), i + 1);
        }
        test.gate.notify_one();
        waiting.await.expect("task").expect(&name);
        while test.waiting.load(Ordering::SeqCst) != 0 {
            tokio::task::yield_now().await;
        }
    }
}

#[tokio::test]
async fn refusals_say_what_the_protocol_says() {
    let test = Test::default();
    let server = start(&test).await;
    let endpoint = server.endpoint(Transport::Tcp).expect("tcp");
    let client = connect(endpoint).await;
    let target = |program, version, procedure| farcall::stub::Target {
        program,
        version,
        procedure,
    };
    let number = crate::common::PROGRAM.number;
    let call = async |target| {
        client
            .call_target(target, &(), |_| Ok(()))
            .await
            .expect_err("refused")
    };
    let error = call(target(number + 1, 1, 1)).await;
    assert!(
        matches!(error.cause(), Cause::ProgramUnavailable),
        "{error}"
    );
    let error = call(target(number, 9, 1)).await;
    assert!(
        matches!(error.cause(), Cause::ProgramMismatch { low: 1, high: 1 }),
        "{error}"
    );
    let error = call(target(number, 1, 99)).await;
    assert!(
        matches!(error.cause(), Cause::ProcedureUnavailable),
        "{error}"
    );
    let error = call(target(number, 1, 2)).await;
    assert!(matches!(error.cause(), Cause::GarbageArguments), "{error}");
    assert!(!error.may_have_executed());
}

#[tokio::test]
async fn a_panicking_procedure_is_answered_and_the_connection_lives() {
    let test = Test::default();
    let server = start(&test).await;
    for (name, client) in clients(&server).await {
        let error = bare(&client, 4).await.expect_err("it panicked");
        assert!(
            matches!(error.cause(), Cause::SystemError),
            "{name}: {error}"
        );
        assert_eq!(add(&client, 1, 1).await.expect(&name), 2);
    }
}

#[tokio::test]
async fn a_deadline_ends_a_call_and_a_late_reply_is_ignored() {
    let test = Test::default();
    let server = start(&test).await;
    for (name, client) in clients(&server).await {
        let error = bare(&client, 3)
            .deadline(Duration::from_millis(30))
            .await
            .expect_err("late");
        assert!(
            matches!(error.cause(), Cause::Deadline(_)),
            "{name}: {error}"
        );
        assert!(error.may_have_executed(), "{name}");
        test.gate.notify_one();
        assert_eq!(add(&client, 1, 1).await.expect(&name), 2);
    }
}

#[tokio::test]
async fn a_dropped_call_is_cancelled() {
    let test = Test::default();
    let server = start(&test).await;
    let client = connect(server.endpoint(Transport::Tcp).expect("tcp")).await;
    let call = bare(&client, 3);
    let cancelled = tokio::time::timeout(Duration::from_millis(20), call).await;
    assert!(cancelled.is_err());
    assert_eq!(add(&client, 2, 2).await.expect("lives"), 4);
    test.gate.notify_waiters();
}

#[tokio::test]
async fn large_results_come_whole() {
    let test = Test::default();
    let server = start(&test).await;
    let client = connect(server.endpoint(Transport::Tcp).expect("tcp")).await;
    for len in [0, 1, 4095, 4096, 70_000, 1 << 20, 4_000_000] {
        let data = bulk(&client, len).await.expect("bulk");
        assert_eq!(data.len(), len as usize);
        assert!(data.iter().all(|b| *b == 7));
    }
    let both = tokio::join!(bulk(&client, 1 << 20), bulk(&client, 1 << 20));
    assert_eq!(
        both.0.expect("bulk").len() + both.1.expect("bulk").len(),
        2 << 20
    );
}

#[tokio::test]
async fn a_result_too_large_for_a_datagram_is_an_error_not_silence() {
    let test = Test::default();
    let server = start(&test).await;
    let client = connect(server.endpoint(Transport::Udp).expect("udp")).await;
    assert_eq!(bulk(&client, 60_000).await.expect("fits").len(), 60_000);
    let error = bulk(&client, 70_000).await.expect_err("does not fit");
    assert!(matches!(error.cause(), Cause::SystemError), "{error}");
}

#[tokio::test]
async fn draining_lets_calls_finish_and_always_ends() {
    let test = Test::default();
    let server = start(&test).await;
    let client = connect(server.endpoint(Transport::Tcp).expect("tcp")).await;
    let finishing = tokio::spawn({
        let client = client.clone();
        async move { bare(&client, 3).await }
    });
    while test.waiting.load(Ordering::SeqCst) == 0 {
        tokio::task::yield_now().await;
    }
    let draining = tokio::spawn(server.drain(Duration::from_secs(20)));
    tokio::task::yield_now().await;
    test.gate.notify_one();
    finishing
        .await
        .expect("task")
        .expect("finished while draining");
    draining.await.expect("drained");
    let error = add(&client, 1, 1).await.expect_err("gone");
    assert!(!error.may_have_executed(), "{error}");

    let server = start(&test).await;
    let client = connect(server.endpoint(Transport::Tcp).expect("tcp")).await;
    let stuck = tokio::spawn(async move { bare(&client, 3).await });
    while test.waiting.load(Ordering::SeqCst) == 0 {
        tokio::task::yield_now().await;
    }
    server.drain(Duration::from_millis(50)).await;
    let error = stuck.await.expect("task").expect_err("aborted");
    assert!(error.may_have_executed(), "{error}");
}

#[tokio::test]
async fn a_client_reconnects_by_itself() {
    let test = Test::default();
    let server = Server::builder()
        .serve(service(&test))
        .listen("tcp://127.0.0.1:0");
    let server = server.start().await.expect("starts");
    let endpoint = server.endpoints()[0].clone();
    let client = connect(&endpoint).await;
    assert_eq!(add(&client, 1, 1).await.expect("first"), 2);
    server.drain(Duration::from_secs(5)).await;
    let again = Server::builder().serve(service(&test)).listen(&endpoint);
    let _again = again.start().await.expect("starts again");
    // SLOW is declared idempotent: it is called again even if the old connection swallowed it.
    let call = client.call(&crate::common::PROGRAM, 7, &(), |r| r.u32());
    assert_eq!(call.retry(farcall::Retry::Safe(5)).await.expect("again"), 7);
    assert_eq!(add(&client, 2, 2).await.expect("second"), 4);
}

#[tokio::test]
async fn credentials_and_peers_are_seen() {
    let test = Test::default();
    let server = start(&test).await;
    let sys = farcall_onc::auth::AuthSys {
        uid: 501,
        gid: 20,
        ..Default::default()
    };
    let auth = farcall_onc::auth::AuthBlock::sys(&sys).expect("fits");
    for (name, client) in clients(&server).await {
        let who = client
            .with_auth(auth.clone())
            .call(&crate::common::PROGRAM, 8, &(), |r| {
                Ok((r.u32()?, farcall_wire::xdr::string_var(r, 100)?.to_string()))
            });
        let (uid, peer) = who.await.expect(&name);
        assert_eq!(uid, 501, "{name}");
        match name.split(':').next().expect("scheme") {
            "unix" => assert!(peer.contains("uid"), "{peer}"),
            "in-process" => assert_eq!(peer, "in-process"),
            _ => assert!(peer.starts_with("127.0.0.1:"), "{peer}"),
        }
    }
}

#[test]
fn the_blocking_client_needs_no_runtime() {
    let test = Test::default();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    let server = runtime.expect("runtime").block_on(start(&test));
    for endpoint in server.endpoints() {
        let endpoint = endpoint.to_string().replace("0.0.0.0", "127.0.0.1");
        let number = crate::common::PROGRAM.number;
        let client = farcall::blocking::Client::connect(endpoint.as_str(), number, 1);
        let client = client.expect(&endpoint);
        for i in 0..100 {
            let sum = client.call(&crate::common::PROGRAM, 2, &(i, 1), |r| r.i32());
            assert_eq!(sum.expect(&endpoint), i + 1);
        }
        let error = client
            .call(&crate::common::PROGRAM, 99, &(), |_| Ok(()))
            .expect_err("no such");
        assert!(
            matches!(error.cause(), Cause::ProcedureUnavailable),
            "{error}"
        );
        if !endpoint.starts_with("udp") {
            let data = client.call(&crate::common::PROGRAM, 6, &3_000_000_u32, |r| {
                r.bytes_var(u32::MAX)
            });
            assert_eq!(data.expect(&endpoint).len(), 3_000_000);
        }
        let options = farcall::Options::default();
        let options = farcall::Options {
            timeout: Duration::from_millis(50),
            ..options
        };
        let hasty = client.with_options(options).expect(&endpoint);
        let error = hasty
            .call(&crate::common::PROGRAM, 3, &(), |_| Ok(()))
            .expect_err("too late");
        assert!(
            matches!(error.cause(), Cause::Deadline(_)),
            "{endpoint}: {error}"
        );
        test.gate.notify_one();
        let sum = hasty.call(&crate::common::PROGRAM, 2, &(5, 6), |r| r.i32());
        assert_eq!(
            sum.expect("the late reply is passed over"),
            11,
            "{endpoint}"
        );
    }
}
