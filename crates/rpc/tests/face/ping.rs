//! The null ping: an idle connection's server is asked whether it is still there.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::mpsc;
use std::time::Duration;

use farcall::{Client, Options, Ping};

use crate::common::{PROGRAM, bare};

const PING: Ping = Ping {
    after: Duration::from_millis(20),
    answer: Duration::from_millis(20),
    misses: 2,
};

/// A client whose connection this test serves by hand.
async fn connect(ping: Option<Ping>) -> (Client, TcpListener, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("listens");
    let endpoint = format!("tcp://{}", listener.local_addr().expect("address"));
    let options = Options {
        ping,
        ..Options::default()
    };
    let client = Client::connect_with(endpoint, PROGRAM.number, 1, options).await;
    let (stream, _) = listener.accept().expect("a connection");
    stream
        .set_read_timeout(Some(Duration::from_secs(20)))
        .expect("time-out");
    (client.expect("connects"), listener, stream)
}

/// The words of a call without arguments, read from the connection.
fn read_call(stream: &mut TcpStream) -> [u32; 11] {
    let mut bytes = [0; 44];
    stream.read_exact(&mut bytes).expect("a call");
    let mut words = [0; 11];
    for (word, bytes) in words.iter_mut().zip(bytes.as_chunks().0) {
        *word = u32::from_be_bytes(*bytes);
    }
    words
}

/// RFC 5531 section 9: accepted, verifier AUTH_NONE, SUCCESS; 24 bytes after the mark.
fn success(xid: u32) -> Vec<u8> {
    [0x8000_0018, xid, 1, 0, 0, 0, 0]
        .iter()
        .flat_map(|word: &u32| word.to_be_bytes())
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_silent_server_is_asked_and_given_up() {
    let (client, listener, mut stream) = connect(Some(PING)).await;
    for _ in 0..PING.misses {
        let [mark, _, call, rpc, program, version, procedure, ..] = read_call(&mut stream);
        assert_eq!((mark, call, rpc), (0x8000_0028, 0, 2));
        assert_eq!((program, version, procedure), (PROGRAM.number, 1, 0));
    }
    assert_eq!(stream.read(&mut [0]).expect("the end"), 0);
    // The next call makes another connection.
    let calling = tokio::spawn(async move { bare(&client, 1).await });
    let (mut stream, _) = listener.accept().expect("another connection");
    let xid = read_call(&mut stream)[1];
    stream.write_all(&success(xid)).expect("answered");
    calling.await.expect("a task").expect("a reply");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_answers_keeps_its_connection() {
    let (client, _listener, mut stream) = connect(Some(PING)).await;
    // Far more questions than it might miss.
    for _ in 0..10 {
        let [_, xid, _, _, _, _, procedure, ..] = read_call(&mut stream);
        assert_eq!(procedure, 0);
        stream.write_all(&success(xid)).expect("answered");
    }
    drop(client);
    // A last question may be on its way; then the connection ends.
    let mut rest = Vec::new();
    stream.read_to_end(&mut rest).expect("the end");
    assert!(rest.len() <= 44);
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_is_asked_while_a_call_is_in_flight() {
    let (client, _listener, mut stream) = connect(Some(PING)).await;
    let calling = tokio::spawn(async move { bare(&client, 7).await });
    let xid = loop {
        let [_, xid, _, _, _, _, procedure, ..] = read_call(&mut stream);
        if procedure == 7 {
            break xid;
        }
        stream.write_all(&success(xid)).expect("answered");
    };
    let (sender, receiver) = mpsc::channel();
    let mut theirs = stream.try_clone().expect("a second handle");
    std::thread::spawn(move || sender.send(theirs.read(&mut [0; 1]).is_ok_and(|n| n > 0)));
    let asked = receiver.recv_timeout(PING.after * 10);
    assert!(asked.is_err(), "a question beside a call in flight");
    stream.write_all(&success(xid)).expect("answered");
    calling.await.expect("a task").expect("a reply");
}
