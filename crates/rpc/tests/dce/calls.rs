//! Calls of operations, from our client to our server.

use std::sync::atomic::Ordering;
use std::time::Duration;

use farcall::{Call, Calling, Client, Endpoint, Error, Options, Peer, Phase, Server, Transport};
use farcall_wire::ndr;

use crate::counter::{self, COUNTER, Counters};
use crate::echo::{self, ADD_ONE, ECHO, Echo, NOTE, PANIC, THREAD, UNTIL_CANCELLED, WAIT};

pub(crate) const TCP: &str = "ncacn_ip_tcp:127.0.0.1[0]";

pub(crate) async fn serve(echo: &Echo, endpoint: &str) -> Server {
    let server = Server::builder()
        .serve(echo::service(echo))
        .listen(endpoint);
    server.start().await.expect("server starts")
}

pub(crate) async fn connect(server: &Server, options: Options) -> Client {
    let endpoint = &server.endpoints()[0];
    let client = Client::connect_interface_with(endpoint, &ECHO, options).await;
    client.expect("connects")
}

/// Waits until so many operations wait.
pub(crate) async fn until_waiting(echo: &Echo, count: usize) {
    let waiting = async {
        while echo.waiting.load(Ordering::SeqCst) != count {
            tokio::task::yield_now().await;
        }
    };
    let waited = tokio::time::timeout(Duration::from_secs(10), waiting).await;
    waited.expect("operations wait");
}

/// The status of the fault that a call was answered with.
pub(crate) fn status(error: &Error) -> u32 {
    match error.cause() {
        farcall::Cause::Fault(status) => *status,
        other => panic!("no fault: {other:?}"),
    }
}

#[tokio::test]
async fn calls_are_answered_over_tcp_in_both_syntaxes_and_byte_orders() {
    let server = serve(&Echo::default(), TCP).await;
    for (ndr64, big_endian) in [(false, false), (true, false), (false, true)] {
        let options = Options {
            ndr64,
            big_endian,
            ..Options::default()
        };
        let client = connect(&server, options).await;
        assert_eq!(echo::add_one(&client, 41).await.expect("added"), 42);
        for len in [0, 1, 5000, 200_000] {
            let data = vec![7; len];
            assert_eq!(echo::echo_data(&client, &data).await.expect("echoed"), data);
        }
    }
    server.drain(Duration::from_secs(1)).await;
}

#[tokio::test]
async fn calls_are_answered_within_this_process() {
    let server = serve(&Echo::default(), TCP).await;
    let client = Client::interface_in_process(&server, &ECHO).expect("connects");
    assert_eq!(echo::add_one(&client, 1).await.expect("added"), 2);
}

#[tokio::test]
async fn a_local_endpoint_knows_its_callers() {
    let name = format!("test-{}", std::process::id());
    let seen = std::sync::Arc::new(std::sync::Mutex::new(None));
    let notes = std::sync::Arc::clone(&seen);
    let server = Server::builder()
        .serve(echo::service(&Echo::default()))
        .listen(format!("ncalrpc:[{name}]"))
        .authorize(move |call: &Call| {
            *notes.lock().expect("unpoisoned") = Some((call.peer(), call.transport()));
            Ok(())
        });
    let server = server.start().await.expect("server starts");
    assert_eq!(server.endpoints(), [Endpoint::Local(name)]);
    let client = connect(&server, Options::default()).await;
    assert_eq!(echo::add_one(&client, 1).await.expect("added"), 2);
    let seen = seen.lock().expect("unpoisoned").expect("asked");
    assert_eq!(seen.1, Transport::Ncalrpc);
    assert!(
        matches!(seen.0, Peer::Unix { pid: Some(pid), .. } if pid as u32 == std::process::id())
    );
}

#[tokio::test]
async fn calls_of_one_connection_run_side_by_side() {
    let echo = Echo::default();
    let server = serve(&echo, TCP).await;
    let client = connect(&server, Options::default()).await;
    let waits: Vec<_> = (0..100)
        .map(|_| tokio::spawn(echo::bare(&client, WAIT)))
        .collect();
    until_waiting(&echo, 100).await;
    assert_eq!(echo::add_one(&client, 1).await.expect("added"), 2);
    echo.gate.notify_waiters();
    for wait in waits {
        wait.await.expect("no panic").expect("waited");
    }
}

#[tokio::test]
async fn a_panicking_operation_is_answered_and_the_connection_lives() {
    let server = serve(&Echo::default(), TCP).await;
    let client = connect(&server, Options::default()).await;
    let error = echo::bare(&client, PANIC).await.expect_err("fault");
    assert_eq!(status(&error), 0x1c00_0012);
    assert!(error.may_have_executed());
    assert_eq!(echo::add_one(&client, 1).await.expect("added"), 2);
}

#[tokio::test]
async fn an_operation_that_is_not_there_did_not_execute() {
    let server = serve(&Echo::default(), TCP).await;
    let client = connect(&server, Options::default()).await;
    let error = echo::bare(&client, 99).await.expect_err("fault");
    assert_eq!(status(&error), 0x1c01_0002);
    assert!(!error.may_have_executed());
    assert_eq!(error.procedure(), Some("rpcecho.99"));
}

#[tokio::test]
async fn arguments_that_cannot_be_decoded_are_bad_stub_data() {
    let server = serve(&Echo::default(), TCP).await;
    let client = connect(&server, Options::default()).await;
    let error = echo::bare(&client, ADD_ONE).await.expect_err("fault");
    assert_eq!(status(&error), 0x6f7);
}

#[tokio::test]
async fn an_interface_that_is_not_served_is_refused_when_it_is_bound() {
    let server = serve(&Echo::default(), TCP).await;
    let error = Client::connect_interface(&server.endpoints()[0], &COUNTER).await;
    let error = error.expect_err("refused");
    assert_eq!(error.phase(), Phase::Bind);
    assert!(!error.may_have_executed());
    assert!(error.to_string().contains("does not have the interface"));
}

#[tokio::test]
async fn a_second_interface_is_bound_on_the_same_connection() {
    let server = Server::builder()
        .serve(echo::service(&Echo::default()))
        .serve(counter::service(&Counters::default()))
        .listen(TCP);
    let server = server.start().await.expect("server starts");
    let client = connect(&server, Options::default()).await;
    assert_eq!(echo::add_one(&client, 1).await.expect("added"), 2);
    let calls = (0..10).map(|_| counter::open(&client));
    for opened in calls.collect::<Vec<_>>() {
        opened.await.expect("opened");
    }
    assert_eq!(echo::add_one(&client, 2).await.expect("added"), 3);
}

#[tokio::test]
async fn a_deadline_cancels_and_a_dropped_call_is_given_up() {
    let echo = Echo::default();
    let server = serve(&echo, TCP).await;
    let client = connect(&server, Options::default()).await;
    let late = echo::bare(&client, UNTIL_CANCELLED).deadline(Duration::from_millis(50));
    let error = late.await.expect_err("cancelled");
    assert_eq!(status(&error), 0x1c00_000d, "the operation has heard of it");
    assert!(error.may_have_executed());
    until_waiting(&echo, 0).await;

    let dropped = tokio::spawn(echo::bare(&client, WAIT));
    until_waiting(&echo, 1).await;
    dropped.abort();
    until_waiting(&echo, 0).await;
    assert_eq!(echo::add_one(&client, 1).await.expect("added"), 2);
}

#[tokio::test]
async fn an_operation_that_does_not_hear_of_the_cancel_is_given_up_after_a_grace() {
    let echo = Echo::default();
    let server = serve(&echo, TCP).await;
    let client = connect(&server, Options::default()).await;
    let late = echo::bare(&client, WAIT).deadline(Duration::from_millis(50));
    let error = late.await.expect_err("late");
    assert!(matches!(error.cause(), farcall::Cause::Deadline(given) if given.as_millis() == 50));
    assert!(error.may_have_executed());
    // The server has dropped it: nobody waits any more.
    until_waiting(&echo, 0).await;
    assert_eq!(echo::add_one(&client, 1).await.expect("added"), 2);
}

#[tokio::test]
async fn a_call_that_provably_did_not_run_is_made_again() {
    let tries = std::sync::Arc::new(std::sync::atomic::AtomicUsize::new(0));
    let seen = std::sync::Arc::clone(&tries);
    let server = Server::builder()
        .serve(echo::service(&Echo::default()))
        .listen(TCP)
        .authorize(move |_: &Call| match seen.fetch_add(1, Ordering::SeqCst) {
            0 | 1 => Err(farcall::Refuse::Fault(0x1c01_0014)),
            _ => Ok(()),
        });
    let server = server.start().await.expect("server starts");
    let client = connect(&server, Options::default()).await;
    let once = echo::add_one(&client, 1).retry(farcall::Retry::Never);
    let error = once.await.expect_err("busy");
    assert!(error.is_retryable() && !error.may_have_executed());
    let sum = echo::add_one(&client, 1).retry(farcall::Retry::Safe(3));
    assert_eq!(sum.await.expect("added"), 2);
    assert_eq!(tries.load(Ordering::SeqCst), 3);
}

#[tokio::test]
async fn a_client_that_would_connect_for_ever_still_says_why_it_cannot_at_first() {
    let options = Options {
        reconnect: farcall::Reconnect::Persistent {
            first: Duration::from_millis(10),
            longest: Duration::from_millis(10),
        },
        ..Options::default()
    };
    let error = Client::connect_interface_with("ncacn_ip_tcp:127.0.0.1[1]", &ECHO, options);
    let error = error.await.expect_err("nobody listens");
    assert_eq!(error.phase(), Phase::Connect);
}

#[tokio::test]
async fn a_maybe_call_has_no_answer_and_an_operation_that_blocks_runs_on_the_pool() {
    let echo = Echo::default();
    let server = serve(&echo, TCP).await;
    let client = connect(&server, Options::default()).await;
    for _ in 0..10 {
        echo::bare(&client, NOTE).await.expect("sent");
    }
    let ours = client.operation(&ECHO, THREAD, &[], |_| Ok(()), |r| r.u32());
    assert_eq!(ours.await.expect("told"), 0, "not a core of the server");
    assert_eq!(echo.calls.load(Ordering::SeqCst), 11);
}

#[tokio::test]
async fn a_client_connects_and_binds_again() {
    let echo = Echo::default();
    let server = serve(&echo, TCP).await;
    let endpoint = server.endpoints()[0].clone();
    let client = connect(&server, Options::default()).await;
    assert_eq!(echo::add_one(&client, 1).await.expect("added"), 2);
    server.drain(Duration::ZERO).await;
    // A call that is sent before the client has noticed may have run, for all it knows; the next cannot have.
    let first = echo::add_one(&client, 1).await.expect_err("nobody there");
    let error = echo::add_one(&client, 1).await.expect_err("nobody there");
    assert!(!error.may_have_executed(), "{first}, then {error}");
    let _again = serve(&echo, &endpoint.to_string()).await;
    assert_eq!(echo::add_one(&client, 2).await.expect("added"), 3);
}

#[tokio::test]
async fn a_server_of_two_families_serves_each_at_its_own_endpoints() {
    let server = Server::builder()
        .serve(echo::service(&Echo::default()))
        .listen("tcp://127.0.0.1:0")
        .listen(TCP);
    let server = server.start().await.expect("server starts");
    let endpoint = server.endpoint(Transport::NcacnIpTcp).expect("one");
    let client = Client::connect_interface(endpoint, &ECHO).await;
    let client = client.expect("connects");
    assert_eq!(echo::add_one(&client, 1).await.expect("added"), 2);
    let onc = server.endpoint(Transport::Tcp).expect("one");
    let error = Client::connect_interface(onc, &ECHO)
        .await
        .expect_err("other family");
    assert!(error.to_string().contains("no endpoint of DCE/RPC"));
}

#[tokio::test]
async fn what_is_drained_ends_its_calls_first() {
    let echo = Echo::default();
    let server = serve(&echo, TCP).await;
    let client = connect(&server, Options::default()).await;
    let wait = tokio::spawn(echo::bare(&client, WAIT));
    until_waiting(&echo, 1).await;
    let drain = tokio::spawn(server.drain(Duration::from_secs(10)));
    echo.gate.notify_waiters();
    wait.await.expect("no panic").expect("waited");
    drop(client);
    drain.await.expect("drained");
}

/// Whether the server takes calls, by its management interface.
fn is_listening(client: &Client) -> Calling<u32> {
    client.operation(
        &counter::MGMT,
        2,
        &[],
        |_| Ok(()),
        |r: &mut ndr::Reader<'_>| {
            let _status = r.u32()?;
            r.u32()
        },
    )
}

#[tokio::test]
async fn every_endpoint_has_the_management_interface() {
    let server = serve(&Echo::default(), TCP).await;
    let client = connect(&server, Options::default()).await;
    assert_eq!(is_listening(&client).await.expect("told"), 1);
    echo::add_one(&client, 1).await.expect("added");
    let numbers = client.operation(
        &counter::MGMT,
        1,
        &[4],
        |w| {
            w.u32(4);
            Ok(())
        },
        |r: &mut ndr::Reader<'_>| {
            let (count, _hoisted) = (r.u32()?, r.wide()?);
            (0..count).map(|_| r.u32()).collect::<Result<Vec<_>, _>>()
        },
    );
    let numbers = numbers.await.expect("told");
    assert_eq!(numbers.len(), 4);
    // A bind, is_server_listening, an alter_context, AddOne and this call; what was sent is
    // counted when it is sent.
    assert!(
        numbers[0] >= 3 && numbers[2] >= 4 && numbers[3] >= 4,
        "{numbers:?}"
    );
    let stop = client.operation(&counter::MGMT, 3, &[], |_| Ok(()), |r| r.u32());
    assert_eq!(stop.await.expect("a status"), 5);
}

#[test]
fn a_blocking_client_calls_without_a_runtime() {
    let runtime = tokio::runtime::Runtime::new().expect("runtime");
    let server = runtime.block_on(serve(&Echo::default(), TCP));
    let endpoint = &server.endpoints()[0];
    for ndr64 in [false, true] {
        let options = Options {
            ndr64,
            ..Options::default()
        };
        let client = farcall::blocking::Client::connect_interface_with(endpoint, &ECHO, options);
        let client = client.expect("connects");
        for number in 0..3 {
            let encode = |w: &mut ndr::Writer| {
                w.u32(number);
                Ok(())
            };
            let sum = client.operation(&ECHO, ADD_ONE, &[], encode, |r| r.u32());
            assert_eq!(sum.expect("added"), number + 1);
        }
        let error = client.operation(&ECHO, 99, &[], |_| Ok(()), |_| Ok(()));
        assert_eq!(status(&error.expect_err("fault")), 0x1c01_0002);
        let listening = client.operation(
            &counter::MGMT,
            2,
            &[],
            |_| Ok(()),
            |r| {
                let _status = r.u32()?;
                r.u32()
            },
        );
        assert_eq!(listening.expect("told"), 1);
    }
}
