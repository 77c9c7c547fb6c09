//! Nobody sleeps while there is work, and no clock stops: servers and clients at their limits.

use std::io::{Read, Write};
use std::net::{TcpStream, UdpSocket};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use farcall::client::{Options, Reconnect, Retry};
use farcall::{Client, DuplicateRequests, Limits, Server, Transport};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::common::{PROGRAM, Test, add, bare, bulk, service};

fn message(xid: u32, procedure: u32, arguments: &[u32]) -> Vec<u8> {
    [xid, 0, 2, PROGRAM.number, 1, procedure, 0, 0, 0, 0]
        .iter()
        .chain(arguments)
        .flat_map(|word| word.to_be_bytes())
        .collect()
}

fn record(xid: u32, procedure: u32, arguments: &[u32]) -> Vec<u8> {
    let message = message(xid, procedure, arguments);
    let mark = 0x8000_0000 | message.len() as u32;
    [&mark.to_be_bytes()[..], &message].concat()
}

async fn start(limits: Limits, duplicates: DuplicateRequests, endpoint: &str) -> Server {
    let server = Server::builder().serve(service(&Test::default()));
    let server = server.limits(limits).duplicate_requests(duplicates);
    server.listen(endpoint).start().await.expect("starts")
}

fn address(server: &Server, transport: Transport) -> (&'static str, u16) {
    let endpoint = server.endpoint(transport).expect("endpoint");
    ("127.0.0.1", endpoint.port().expect("port"))
}

fn connect(server: &Server) -> TcpStream {
    let stream = TcpStream::connect(address(server, Transport::Tcp)).expect("connects");
    let patience = Some(Duration::from_secs(5));
    stream.set_read_timeout(patience).expect("time-out");
    stream
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_before_the_end_of_a_stream_is_answered_from_its_own_bytes() {
    let server = start(
        Limits::default(),
        DuplicateRequests::Off,
        "tcp://127.0.0.1:0",
    );
    let server = server.await;
    let mut stream = connect(&server);
    let mut bytes = record(1, 2, &[40, 2]);
    // A reply is nothing to send to a server.
    bytes.extend([0x80, 0, 0, 24]);
    bytes.extend(
        [2, 1, 0, 0, 0, 0]
            .iter()
            .flat_map(|w: &u32| w.to_be_bytes()),
    );
    stream.write_all(&bytes).expect("call and reply");
    let mut reply = [0; 32];
    stream.read_exact(&mut reply).expect("answered");
    assert_eq!(reply[24..], [0, 0, 0, 0, 0, 0, 0, 42]);
}

async fn datagrams_are_all_answered(duplicates: DuplicateRequests) {
    let limits = Limits {
        write_queue: 0,
        ..Limits::default()
    };
    let server = start(limits, duplicates, "udp://127.0.0.1:0").await;
    let socket = UdpSocket::bind("127.0.0.1:0").expect("socket");
    let patience = Some(Duration::from_secs(5));
    socket.set_read_timeout(patience).expect("time-out");
    let to = address(&server, Transport::Udp);
    for round in 0..50 {
        for xid in 0..20 {
            let call = message(round * 20 + xid, 2, &[40, 2]);
            socket.send_to(&call, to).expect("sent");
        }
        for _ in 0..20 {
            socket.recv(&mut [0; 100]).expect("answered");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn datagrams_go_on_when_the_write_queue_has_drained() {
    datagrams_are_all_answered(DuplicateRequests::Off).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn replies_made_elsewhere_go_on_when_the_write_queue_has_drained() {
    datagrams_are_all_answered(DuplicateRequests::default()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_peer_is_not_late_with_what_the_server_does_not_read() {
    let limits = Limits {
        calls: 1,
        partial: Duration::from_millis(100),
        ..Limits::default()
    };
    let test = Test::default();
    let server = Server::builder().serve(service(&test)).limits(limits);
    let server = server.listen("tcp://127.0.0.1:0").start().await;
    let server = server.expect("starts");
    let mut stream = connect(&server);
    let (last, mut bytes) = (record(3, 0, &[]), record(1, 3, &[]));
    bytes.extend(record(2, 0, &[]));
    bytes.extend(&last[..20]);
    stream.write_all(&bytes).expect("two and a half calls");
    tokio::time::sleep(Duration::from_millis(400)).await;
    stream.write_all(&last[20..]).expect("the other half");
    test.gate.notify_one();
    stream.read_exact(&mut [0; 84]).expect("three replies");
}

fn options(reconnect: Reconnect) -> Options {
    Options {
        reconnect,
        ..Options::default()
    }
}

/// An endpoint where nobody listens.
fn nobody() -> String {
    let gone = std::net::TcpListener::bind("127.0.0.1:0").expect("port");
    let port = gone.local_addr().expect("address").port();
    format!("tcp://127.0.0.1:{port}")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deadline_is_kept_that_comes_while_others_wait_for_a_connection() {
    let pause = Duration::from_secs(5);
    let reconnect = Reconnect::Persistent {
        first: pause,
        longest: pause,
    };
    let client = Client::lazy(nobody(), PROGRAM.number, 1, options(reconnect)).expect("client");
    let patient = tokio::spawn(add(&client, 1, 2));
    tokio::time::sleep(Duration::from_millis(100)).await;
    let begun = Instant::now();
    let hasty = add(&client, 1, 2).deadline(Duration::from_millis(100));
    let error = hasty.await.expect_err("late");
    assert!(!error.may_have_executed());
    assert!(begun.elapsed() < Duration::from_secs(2));
    patient.abort();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deadline_is_kept_while_the_peer_takes_nothing() {
    let (ours, _theirs) = tokio::io::duplex(16);
    let client = Client::over(ours, "mute", Options::default());
    let patient = tokio::spawn(bulk(&client, 1));
    tokio::time::sleep(Duration::from_millis(100)).await;
    let begun = Instant::now();
    let hasty = add(&client, 1, 2).deadline(Duration::from_millis(100));
    let error = hasty.await.expect_err("late");
    assert!(!error.may_have_executed());
    assert!(begun.elapsed() < Duration::from_secs(2));
    patient.abort();
}

#[tokio::test(flavor = "multi_thread")]
async fn attempts_share_one_deadline() {
    let client = Client::lazy(nobody(), PROGRAM.number, 1, Options::default()).expect("client");
    let begun = Instant::now();
    let calling = add(&client, 1, 2).retry(Retry::Safe(8));
    let calling = calling.deadline(Duration::from_millis(200));
    calling.await.expect_err("nobody is there");
    assert!(begun.elapsed() < Duration::from_millis(1000));
}

/// A peer that sends replies to nobody without end.
struct Flood;

impl AsyncRead for Flood {
    fn poll_read(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<std::io::Result<()>> {
        into.put_slice(&[0x80, 0, 0, 8, 0, 0, 0, 1, 0, 0, 0, 1]);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Flood {
    fn poll_write(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<std::io::Result<usize>> {
        Poll::Ready(Ok(bytes.len()))
    }
    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Poll::Ready(Ok(()))
    }
    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deadline_is_kept_though_the_peer_never_stops_sending() {
    let client = Client::over(Flood, "flood", Options::default());
    let calling = bare(&client, 1).deadline(Duration::from_millis(100));
    let ended = tokio::time::timeout(Duration::from_secs(5), calling).await;
    ended.expect("in time").expect_err("no reply");
}

#[test]
fn a_client_outlives_the_runtime_on_which_it_was_made() {
    let runtime = || {
        let builder = &mut tokio::runtime::Builder::new_current_thread();
        builder.enable_all().build().expect("runtime")
    };
    let servers = runtime();
    let server = start(
        Limits::default(),
        DuplicateRequests::Off,
        "tcp://127.0.0.1:0",
    );
    let server = servers.block_on(server);
    let endpoint = server.endpoint(Transport::Tcp).expect("endpoint");
    let first = runtime();
    let client = first.block_on(Client::connect(endpoint, PROGRAM.number, 1));
    let client = client.expect("connects");
    drop(first);
    let sum = runtime().block_on(async {
        tokio::time::timeout(Duration::from_secs(5), add(&client, 40, 2)).await
    });
    assert_eq!(sum.expect("in time").expect("sum"), 42);
}

#[test]
fn a_datagram_client_outlives_the_runtime_on_which_it_was_made() {
    let runtime = || {
        let builder = &mut tokio::runtime::Builder::new_current_thread();
        builder.enable_all().build().expect("runtime")
    };
    let servers = runtime();
    let server = start(
        Limits::default(),
        DuplicateRequests::Off,
        "udp://127.0.0.1:0",
    );
    let server = servers.block_on(server);
    let endpoint = server.endpoint(Transport::Udp).expect("endpoint");
    for used in [true, false] {
        let first = runtime();
        let client = first.block_on(async {
            let client = Client::connect(endpoint, PROGRAM.number, 1)
                .await
                .expect("a socket");
            if used {
                assert_eq!(add(&client, 1, 2).await.expect("sum"), 3);
            }
            client
        });
        drop(first);
        let sum = runtime().block_on(async {
            tokio::time::timeout(Duration::from_secs(5), add(&client, 40, 2)).await
        });
        assert_eq!(sum.expect("in time").expect("sum"), 42);
    }
}
