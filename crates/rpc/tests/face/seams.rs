//! The seams: tower's middleware on both sides, streams of other kinds.

use std::sync::atomic::Ordering;
use std::time::Duration;

use farcall::middleware::Request;
use farcall::{Cause, Client, Options, Peer, Server};
use tower::{Service, ServiceBuilder, ServiceExt};

use crate::common::{PROGRAM, Test, add, bare, echo, service};

#[tokio::test]
async fn towers_middleware_stands_before_a_service() {
    let test = Test::default();
    let limited = service(&test).layer(|inner| {
        ServiceBuilder::new()
            .timeout(Duration::from_millis(50))
            .service(inner)
    });
    let server = Server::builder().serve(limited).listen("tcp://127.0.0.1:0");
    let server = server.start().await.expect("starts");
    let client = Client::in_process(&server).expect("pair");
    assert_eq!(
        echo(&client, "through the tower").await.expect("echo"),
        "through the tower"
    );
    let error = bare(&client, 3).await.expect_err("tower's time-out");
    assert!(matches!(error.cause(), Cause::SystemError), "{error}");
    let error = client
        .call(&PROGRAM, 2, &(), |_| Ok(()))
        .await
        .expect_err("no arguments");
    assert!(matches!(error.cause(), Cause::GarbageArguments), "{error}");
}

#[tokio::test]
async fn the_client_is_a_tower_service() {
    let test = Test::default();
    let server = Server::builder()
        .serve(service(&test))
        .start()
        .await
        .expect("starts");
    let client = Client::in_process(&server).expect("pair");
    let mut client = ServiceBuilder::new().concurrency_limit(1).service(client);
    let target = farcall::stub::Target {
        program: PROGRAM.number,
        version: 1,
        procedure: 2,
    };
    let request = Request {
        target,
        arguments: vec![0, 0, 0, 1, 0, 0, 0, 2].into(),
    };
    let sum = client
        .ready()
        .await
        .expect("ready")
        .call(request)
        .await
        .expect("sum");
    assert_eq!(&sum[..], [0, 0, 0, 3]);
}

#[tokio::test]
async fn a_stream_of_another_kind_carries_calls() {
    let test = Test::default();
    let server = Server::builder()
        .serve(service(&test))
        .start()
        .await
        .expect("starts");
    // A pipe of seven bytes: every record is read and written in pieces.
    let (ours, theirs) = tokio::io::duplex(7);
    server
        .serve_stream(theirs, Peer::InProcess)
        .expect("served");
    let client = Client::over(ours, "a pipe", Options::default());
    assert_eq!(
        echo(&client, "in small pieces").await.expect("echo"),
        "in small pieces"
    );
    assert_eq!(add(&client, 20, 22).await.expect("add"), 42);
    assert_eq!(test.calls.load(Ordering::SeqCst), 2);
}
