//! A repeated call runs once: the duplicate request cache over real sockets, byte by byte.

use std::io::{Read, Write};
use std::net::{TcpStream, UdpSocket};
use std::sync::atomic::Ordering;
use std::time::Duration;

use crate::common::{PROGRAM, Test, service};
use farcall::{DuplicateRequests, Server, Transport};
use farcall_onc::auth::AuthBlock;
use farcall_onc::msg::{Framing, Target, encode_call};
use farcall_wire::TransmitQueue;

async fn start(test: &Test) -> Server {
    Server::builder()
        .serve(service(test))
        .duplicate_requests(DuplicateRequests::All(Default::default()))
        .listen("tcp://127.0.0.1:0")
        .listen("udp://127.0.0.1:0")
        .start()
        .await
        .expect("server starts")
}

fn call(
    framing: Framing,
    xid: u32,
    procedure: u32,
    arguments: &impl farcall_wire::Encode,
) -> Vec<u8> {
    let target = Target {
        program: PROGRAM.number,
        version: PROGRAM.version,
        procedure,
    };
    let mut queue = TransmitQueue::new();
    encode_call(
        &mut queue,
        framing,
        xid,
        target,
        &AuthBlock::none(),
        arguments,
    )
    .expect("call");
    queue.to_vec()
}

fn address(server: &Server, transport: Transport) -> String {
    let endpoint = server.endpoint(transport).expect("endpoint");
    format!(
        "{}:{}",
        endpoint.host().expect("host"),
        endpoint.port().expect("port")
    )
}

fn receive(socket: &UdpSocket) -> Vec<u8> {
    let mut buffer = [0; 1000];
    let len = socket.recv(&mut buffer).expect("a reply");
    buffer[..len].to_vec()
}

fn record(stream: &mut TcpStream) -> Vec<u8> {
    let mut mark = [0; 4];
    stream.read_exact(&mut mark).expect("a mark");
    let mut message = vec![0; (u32::from_be_bytes(mark) & 0x7fff_ffff) as usize];
    stream.read_exact(&mut message).expect("a message");
    message
}

#[tokio::test(flavor = "multi_thread")]
async fn a_repeated_datagram_gets_the_old_reply() {
    let test = Test::default();
    let server = start(&test).await;
    let socket = UdpSocket::bind("127.0.0.1:0").expect("socket");
    socket
        .set_read_timeout(Some(Duration::from_secs(10)))
        .expect("time-out");
    socket
        .connect(address(&server, Transport::Udp))
        .expect("connect");
    let datagram = call(Framing::Datagram, 77, 2, &(1, 2));
    socket.send(&datagram).expect("sent");
    let first = receive(&socket);
    socket.send(&datagram).expect("sent again");
    assert_eq!(receive(&socket), first);
    assert_eq!(test.calls.load(Ordering::SeqCst), 1);
    // The same number with other arguments is another call.
    socket
        .send(&call(Framing::Datagram, 77, 2, &(1, 3)))
        .expect("sent");
    assert_ne!(receive(&socket), first);
    assert_eq!(test.calls.load(Ordering::SeqCst), 2);
    // An idempotent procedure is run again.
    for _ in 0..2 {
        socket
            .send(&call(Framing::Datagram, 78, 7, &()))
            .expect("sent");
        receive(&socket);
    }
    assert_eq!(test.calls.load(Ordering::SeqCst), 4);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reply_follows_its_caller_to_a_new_connection() {
    let test = Test::default();
    let server = start(&test).await;
    let message = call(Framing::Stream, 99, 3, &());
    let mut old = TcpStream::connect(address(&server, Transport::Tcp)).expect("connects");
    old.write_all(&message).expect("sent");
    while test.waiting.load(Ordering::SeqCst) == 0 {
        tokio::task::yield_now().await;
    }
    drop(old);
    let mut new = TcpStream::connect(address(&server, Transport::Tcp)).expect("connects");
    new.write_all(&message).expect("sent again");
    // An answered null call shows that the duplicate before it has been seen.
    new.write_all(&call(Framing::Stream, 100, 0, &()))
        .expect("null");
    assert_eq!(record(&mut new)[..4], 100_u32.to_be_bytes());
    test.gate.notify_one();
    assert_eq!(record(&mut new)[..4], 99_u32.to_be_bytes());
    assert_eq!(test.calls.load(Ordering::SeqCst), 1, "it ran once");
    new.write_all(&message).expect("sent a third time");
    assert_eq!(record(&mut new)[..4], 99_u32.to_be_bytes());
    assert_eq!(test.calls.load(Ordering::SeqCst), 1, "and was remembered");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_that_drains_waits_for_a_reply_that_followed_it() {
    let test = Test::default();
    let server = start(&test).await;
    let address = address(&server, Transport::Tcp);
    let message = call(Framing::Stream, 99, 3, &());
    let mut old = TcpStream::connect(&address).expect("connects");
    old.write_all(&message).expect("sent");
    while test.waiting.load(Ordering::SeqCst) == 0 {
        tokio::task::yield_now().await;
    }
    let mut new = TcpStream::connect(&address).expect("connects");
    new.write_all(&message).expect("sent again");
    new.write_all(&call(Framing::Stream, 100, 0, &()))
        .expect("null");
    assert_eq!(record(&mut new)[..4], 100_u32.to_be_bytes());
    drop(old);
    let draining = tokio::spawn(server.drain(Duration::from_secs(20)));
    // The listener closes in the same stage; what is asked to end by then has been asked.
    while TcpStream::connect(&address).is_ok() {
        tokio::task::yield_now().await;
    }
    for _ in 0..1000 {
        tokio::task::yield_now().await;
    }
    test.gate.notify_one();
    assert_eq!(record(&mut new)[..4], 99_u32.to_be_bytes());
    draining.await.expect("drained");
    assert_eq!(test.calls.load(Ordering::SeqCst), 1, "it ran once");
}
