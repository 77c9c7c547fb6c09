//! The test kit misbehaves as it is told, and calls survive what they should survive.

use std::time::{Duration, Instant};

use farcall::testkit::{Faults, Loss, Relay, link};
use farcall::{Cause, Client, Options, Runtime, Server};

use crate::common::{PROGRAM, Test, add, bulk, echo, service};

async fn start(test: &Test) -> Server {
    let server = Server::builder()
        .serve(service(test))
        .runtime(Runtime::Current);
    server
        .listen("udp://127.0.0.1:0")
        .start()
        .await
        .expect("starts")
}

#[tokio::test]
async fn bytes_one_by_one_are_calls_all_the_same() {
    let server = start(&Test::default()).await;
    let client = link(
        &server,
        Faults {
            chunk: Some(1),
            ..Faults::default()
        },
    )
    .expect("link");
    assert_eq!(
        echo(&client, "one by one").await.expect("echo"),
        "one by one"
    );
    assert_eq!(bulk(&client, 10_000).await.expect("bulk").len(), 10_000);
}

#[tokio::test]
async fn a_cut_stream_fails_its_calls_and_says_that_they_may_have_run() {
    let server = start(&Test::default()).await;
    let client = link(
        &server,
        Faults {
            cut_after: Some(50),
            ..Faults::default()
        },
    )
    .expect("link");
    assert_eq!(add(&client, 1, 1).await.expect("32 bytes pass"), 2);
    let error = add(&client, 1, 1)
        .await
        .expect_err("cut in the middle of the reply");
    assert!(matches!(error.cause(), Cause::Disconnected(_)), "{error}");
    assert!(error.may_have_executed());
}

#[tokio::test]
async fn a_changed_record_mark_ends_the_connection() {
    let server = start(&Test::default()).await;
    let faults = Faults {
        corrupt_at: Some(0),
        ..Faults::default()
    };
    let client = link(&server, faults).expect("link");
    let error = add(&client, 1, 1)
        .await
        .expect_err("the mark claims too much");
    assert!(matches!(error.cause(), Cause::Disconnected(_)), "{error}");
}

#[tokio::test(start_paused = true)]
async fn latency_takes_virtual_time_only() {
    let server = start(&Test::default()).await;
    let latency = Duration::from_secs(3);
    let client = link(
        &server,
        Faults {
            latency,
            ..Faults::default()
        },
    )
    .expect("link");
    let (wall, begun) = (Instant::now(), tokio::time::Instant::now());
    for i in 0..5 {
        assert_eq!(add(&client, i, 1).await.expect("late, but in time"), i + 1);
    }
    assert!(begun.elapsed() >= 5 * latency);
    assert!(wall.elapsed() < latency, "no test waits on the clock");
}

#[tokio::test]
async fn calls_over_a_lossy_network_run_exactly_once() {
    let test = Test::default();
    let server = start(&test).await;
    let address = server.endpoints()[0].clone();
    let address = (
        address.host().expect("host").to_owned(),
        address.port().expect("port"),
    );
    let address = tokio::net::lookup_host(address)
        .await
        .expect("address")
        .next()
        .expect("one");
    let loss = Loss {
        lost: 25,
        repeated: 25,
        delay: Duration::from_millis(3),
        seed: 7,
    };
    let relay = Relay::start(address, loss).await.expect("relay");
    let mut options = Options::default();
    options.retransmit.first = Duration::from_millis(20);
    options.retransmit.longest = Duration::from_millis(40);
    let endpoint = format!("udp://{}", relay.address());
    let client = Client::connect_with(endpoint, PROGRAM.number, 1, options).await;
    let client = client.expect("connects");
    for i in 0..100 {
        assert_eq!(add(&client, i, i).await.expect("comes through"), 2 * i);
    }
    assert!(
        relay.dropped() > 20,
        "{} datagrams were lost",
        relay.dropped()
    );
    assert_eq!(test.calls.load(std::sync::atomic::Ordering::SeqCst), 100);
}

#[cfg(feature = "fake")]
#[tokio::test]
async fn a_fake_serves_an_interface_file_with_the_answers_it_is_given() {
    use farcall::generated::calc;
    use farcall::testkit::Fake;
    use serde_json::json;

    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../idl/calc.x");
    let fake = Fake::from_file(path)
        .expect("an interface")
        .answer("ADD", json!(7))
        .answer_with("ECHO", |text| Ok(text.clone()))
        .refuse("SLEEP", farcall::Refuse::SystemErr("tired".into()));
    let services = fake.services().into_iter();
    let server = services.fold(Server::builder(), |server, service| server.serve(service));
    let server = server.start().await.expect("starts");
    let client = calc::v1::Client::from(Client::in_process(&server).expect("pair"));
    assert_eq!(client.add(1, 2).await.expect("answered"), 7);
    assert_eq!(client.echo(&"again".into()).await.expect("echoed"), "again");
    let error = client.sleep(1).await.expect_err("refused");
    assert!(matches!(error.cause(), Cause::SystemError), "{error}");
    let error = client.count(1).await.expect_err("no answer was given");
    assert!(
        matches!(error.cause(), Cause::ProcedureUnavailable),
        "{error}"
    );
    let calls = fake.calls();
    assert_eq!(
        calls[0],
        ("ADD".to_owned(), json!({"a": 1, "b": 2})),
        "{calls:?}"
    );
    assert!(Fake::from_file("/nonexistent.x").is_err());
}

#[cfg(feature = "fake")]
#[tokio::test(flavor = "multi_thread")]
async fn clients_made_from_an_interface_file_take_options() {
    use farcall::generated::calc::v1;
    use farcall::testkit::Fake;
    use farcall::{Identity, Refuse};
    use farcall_onc::auth::{AuthStat, AuthSys};

    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../idl/calc.x");
    let fake = Fake::from_file(path).expect("an interface");
    let fake = fake.answer("ADD", serde_json::json!(7));
    let services = fake.services().into_iter();
    let server = services
        .fold(Server::builder(), |server, service| server.serve(service))
        .authorize(|call| match call.identity() {
            Identity::Claimed(sys) if sys.uid == 7 => Ok(()),
            _ => Err(Refuse::Auth(AuthStat::TOOWEAK)),
        })
        .listen("tcp://127.0.0.1:0");
    let server = server.start().await.expect("starts");
    let endpoint = server.endpoints()[0].clone();
    let claim = AuthSys {
        uid: 7,
        ..AuthSys::default()
    };
    let claims = Options::default().auth_sys(&claim).expect("fits");

    let client = v1::Client::connect_with(&endpoint, claims.clone());
    let client = client.await.expect("connects");
    assert_eq!(client.add(1, 2).await.expect("let in"), 7);
    let plain = v1::Client::connect(&endpoint).await.expect("connects");
    let error = plain.add(1, 2).await.expect_err("not let in");
    assert!(matches!(error.cause(), Cause::Authentication(_)), "{error}");
    let waited = tokio::task::spawn_blocking(move || {
        let client = v1::BlockingClient::connect_with(&endpoint, claims).expect("connects");
        client.add(1, 2)
    });
    assert_eq!(waited.await.expect("joins").expect("let in"), 7);
}
