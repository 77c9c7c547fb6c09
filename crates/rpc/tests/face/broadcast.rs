//! Calls to everybody on a segment, which here is the loopback network.

use std::net::SocketAddr;
use std::time::Duration;

use crate::common::{PROGRAM, Test, service};
use farcall::stub::Target;
use farcall::{Broadcast, Cause, Server};

const fn target(procedure: u32) -> Target {
    Target {
        program: PROGRAM.number,
        version: PROGRAM.version,
        procedure,
    }
}

async fn start(endpoint: &str) -> (Server, u16) {
    let server = Server::builder()
        .serve(service(&Test::default()))
        .listen(endpoint);
    let server = server.start().await.expect("starts");
    let port = server.endpoints()[0].port().expect("a port");
    (server, port)
}

fn everybody(port: u16) -> SocketAddr {
    ([127, 255, 255, 255], port).into()
}

// req: onc-5531-8.4.2
#[tokio::test]
async fn whoever_hears_a_broadcast_answers_once_from_its_own_address() {
    for endpoint in ["udp://0.0.0.0:0", "udp://[::]:0"] {
        let (_server, port) = start(endpoint).await;
        let ask = Broadcast::new(target(2), &(40, 2)).expect("packed");
        // Long enough for the question to be repeated.
        let ask = ask.to(everybody(port)).within(Duration::from_millis(700));
        let answers = ask.collect(|r| r.i32()).await.expect("asked");
        assert_eq!(answers.len(), 1, "{endpoint}: {answers:?}");
        assert_eq!(answers[0].from, SocketAddr::from(([127, 0, 0, 1], port)));
        assert_eq!(*answers[0].result.as_ref().expect("a sum"), 42);
    }
}

#[tokio::test]
async fn a_refusal_is_an_answer_and_silence_is_none() {
    let (_server, port) = start("udp://0.0.0.0:0").await;
    let ask = |procedure| {
        let ask = Broadcast::new(target(procedure), &()).expect("packed");
        ask.to(everybody(port)).within(Duration::from_millis(100))
    };
    let answers = ask(99).collect(|_| Ok(())).await.expect("asked");
    let error = answers[0]
        .result
        .as_ref()
        .expect_err("there is no such procedure");
    assert!(
        matches!(error.cause(), Cause::ProcedureUnavailable),
        "{error}"
    );
    let answers = ask(5).collect(|_| Ok(())).await.expect("asked");
    assert!(answers.is_empty(), "{answers:?}");
}

#[tokio::test]
async fn it_ends_as_soon_as_enough_have_answered() {
    let (_server, port) = start("udp://0.0.0.0:0").await;
    let ask = Broadcast::new(target(2), &(1, 1))
        .expect("packed")
        .to(everybody(port));
    let began = std::time::Instant::now();
    let ask = ask.within(Duration::from_secs(60)).at_most(1);
    assert_eq!(ask.collect(|r| r.i32()).await.expect("asked").len(), 1);
    assert!(began.elapsed() < Duration::from_secs(30));
}

#[tokio::test]
async fn nobody_can_be_asked_nothing() {
    let ask = Broadcast::new(target(2), &(1, 1)).expect("packed");
    let error = ask.collect(|r| r.i32()).await.expect_err("nobody");
    assert!(error.to_string().contains("nobody to ask"), "{error}");
}
