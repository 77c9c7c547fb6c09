//! Busy associations get a thread of their own, and leave it when something waits.

use std::time::{Duration, Instant};

use farcall::server::Builder;
use farcall::{Limits, Runtime, Server};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

use crate::calls::{TCP, until_waiting};
use crate::echo::{self, ADD_ONE, Echo, LANE, WAIT};
use crate::raw::{bound, call_id, fragment, read, request};

fn builder(echo: &Echo) -> Builder {
    let builder = Server::builder().serve(echo::service(echo));
    builder.runtime(Runtime::Threads(1)).listen(TCP)
}

async fn start(builder: Builder) -> (Server, u16) {
    let server = builder.start().await.expect("starts");
    let port = server.endpoints()[0].port().expect("a port");
    (server, port)
}

/// Whether a call is answered on a lane.
async fn on_lane(stream: &mut TcpStream) -> bool {
    let asked = request(2, LANE, &[]);
    stream.write_all(&asked).await.expect("sent");
    let response = read(stream).await.expect("answered");
    assert_eq!((response[2], call_id(&response)), (2, 2));
    response[24] == 1
}

/// Calls until a lane answers.
async fn get_lane(stream: &mut TcpStream) {
    let begun = Instant::now();
    while !on_lane(stream).await {
        assert!(begun.elapsed() < Duration::from_secs(100), "no lane");
    }
}

#[tokio::test]
async fn a_busy_association_has_a_thread_until_something_waits() {
    let echo = Echo::default();
    let (server, port) = start(builder(&echo)).await;
    let mut stream = bound(port).await;
    assert!(!on_lane(&mut stream).await);
    get_lane(&mut stream).await;
    let waits = request(9, WAIT, &[]);
    stream.write_all(&waits).await.expect("sent");
    until_waiting(&echo, 1).await;
    assert!(!on_lane(&mut stream).await, "what waits is on the runtime");
    echo.gate.notify_one();
    let response = read(&mut stream).await.expect("answered");
    assert_eq!((response[2], call_id(&response)), (2, 9));
    get_lane(&mut stream).await;
    let begun = Instant::now();
    server.drain(Duration::from_secs(60)).await;
    assert!(begun.elapsed() < Duration::from_secs(30), "draining ends");
}

#[tokio::test]
async fn a_server_without_lanes_serves_associations_on_its_runtime() {
    let (_server, port) = start(builder(&Echo::default()).lanes(0)).await;
    let mut stream = bound(port).await;
    for _ in 0..300 {
        assert!(!on_lane(&mut stream).await);
    }
}

#[tokio::test]
async fn requests_that_come_in_parts_are_whole_on_a_lane_too() {
    let (_server, port) = start(builder(&Echo::default())).await;
    let mut stream = bound(port).await;
    stream.set_nodelay(true).expect("set");
    get_lane(&mut stream).await;
    let mut bytes = fragment(7, ADD_ONE, 0x01, &[41, 0]);
    bytes.extend(fragment(7, ADD_ONE, 0x02, &[0, 0]));
    for part in bytes.chunks(9) {
        stream.write_all(part).await.expect("sent");
        tokio::task::yield_now().await;
    }
    let response = read(&mut stream).await.expect("answered");
    assert_eq!((response[2], call_id(&response)), (2, 7));
    assert_eq!(response[24..28], 42_u32.to_le_bytes());
}

#[tokio::test]
async fn an_association_that_falls_silent_on_a_lane_keeps_to_the_limits() {
    let limits = Limits {
        idle: Duration::from_millis(100),
        partial: Duration::from_millis(100),
        ..Limits::default()
    };
    let (_server, port) = start(builder(&Echo::default()).limits(limits)).await;
    let mut silent = bound(port).await;
    get_lane(&mut silent).await;
    assert_eq!(read(&mut silent).await, None);
    let mut half = bound(port).await;
    get_lane(&mut half).await;
    let begun = request(3, LANE, &[]);
    half.write_all(&begun[..20]).await.expect("sent");
    assert_eq!(read(&mut half).await, None);
}

#[tokio::test]
async fn a_dropped_server_ends_the_lanes_of_associations() {
    let (server, port) = start(builder(&Echo::default())).await;
    let mut stream = bound(port).await;
    get_lane(&mut stream).await;
    drop(server);
    assert_eq!(read(&mut stream).await, None);
}
