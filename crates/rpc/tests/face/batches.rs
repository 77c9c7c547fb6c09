//! What comes in one batch is answered call by call, whatever else is in it.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use farcall::{Limits, Runtime, Server, Transport};

use crate::common::{PROGRAM, Test, service};

/// A record: xid, program, procedure, the words of credential and verifier, arguments.
fn record(xid: u32, program: u32, procedure: u32, auth: &[u32], arguments: &[u32]) -> Vec<u8> {
    let body = [xid, 0, 2, program, 1, procedure];
    let words = body.iter().chain(auth).chain(arguments);
    let body: Vec<u8> = words.flat_map(|word| word.to_be_bytes()).collect();
    let mark = 0x8000_0000 | u32::try_from(body.len()).expect("short");
    [mark.to_be_bytes().to_vec(), body].concat()
}

const NONE: &[u32] = &[0; 4];

/// AUTH_SYS: no machine name, user and group 7, no further groups.
const SYS: &[u32] = &[1, 20, 0, 0, 7, 7, 0, 0, 0];

fn add(xid: u32) -> Vec<u8> {
    record(xid, PROGRAM.number, 2, NONE, &[xid, 1])
}

/// The same record in two fragments.
fn in_two(record: &[u8]) -> Vec<u8> {
    let (first, second) = record[4..].split_at(20);
    let last = 0x8000_0000 | second.len() as u32;
    [&20_u32.to_be_bytes(), first, &last.to_be_bytes(), second].concat()
}

async fn connect(test: &Test, limits: Limits) -> (Server, TcpStream) {
    let server = Server::builder().serve(service(test)).limits(limits);
    // On one core: connections share what belongs to its thread.
    let server = server.runtime(Runtime::Threads(1));
    let server = server.listen("tcp://127.0.0.1:0").start().await;
    let server = server.expect("starts");
    let stream = connect_again(&server);
    (server, stream)
}

fn connect_again(server: &Server) -> TcpStream {
    let port = server.endpoint(Transport::Tcp).and_then(|e| e.port());
    let stream = TcpStream::connect(("127.0.0.1", port.expect("port"))).expect("connects");
    let patience = Some(Duration::from_secs(20));
    stream.set_read_timeout(patience).expect("time-out");
    stream
}

/// `count` replies: by xid, all words behind it.
fn replies(stream: &mut TcpStream, count: usize) -> BTreeMap<u32, Vec<u32>> {
    let mut all = BTreeMap::new();
    for _ in 0..count {
        let mut mark = [0; 4];
        stream.read_exact(&mut mark).expect("a mark");
        let mut body = vec![0; (u32::from_be_bytes(mark) & 0x7fff_ffff) as usize];
        stream.read_exact(&mut body).expect("a reply");
        let (words, _) = body.as_chunks::<4>();
        let words: Vec<u32> = words.iter().map(|word| u32::from_be_bytes(*word)).collect();
        assert!(all.insert(words[0], words[1..].to_vec()).is_none());
    }
    all
}

/// The reply to [`add`] behind its xid: accepted, no verifier, success.
fn sum(xid: u32) -> Vec<u32> {
    vec![1, 0, 0, 0, 0, xid + 1]
}

#[tokio::test(flavor = "multi_thread")]
async fn every_kind_of_call_in_one_batch_has_its_own_answer() {
    let test = Test::default();
    let (_server, mut stream) = connect(&test, Limits::default()).await;
    let number = PROGRAM.number;
    // By now the server knows what this connection's calls look like.
    stream.write_all(&add(1)).expect("sent");
    assert_eq!(replies(&mut stream, 1), BTreeMap::from([(1, sum(1))]));
    let batch = [
        add(2),
        add(3),
        record(4, number, 3, NONE, &[]), // waits
        add(5),
        record(6, number, 0, NONE, &[]), // null
        record(7, number, 2, SYS, &[7, 1]),
        add(8),
        record(9, 99, 2, NONE, &[]),       // no such program
        record(10, number, 77, NONE, &[]), // no such procedure
        record(11, number, 2, NONE, &[1]), // too few arguments
        in_two(&add(12)),
        record(13, number, 4, NONE, &[]), // panics
        add(14),
        record(15, number, 5, NONE, &[]), // never answered
        add(16),
    ]
    .concat();
    let (whole, half) = batch.split_at(batch.len() - 11);
    stream.write_all(whole).expect("sent");
    let mut answers = replies(&mut stream, 12);
    stream.write_all(half).expect("sent");
    answers.extend(replies(&mut stream, 1));
    for xid in [2, 3, 5, 7, 8, 12, 14, 16] {
        assert_eq!(answers.remove(&xid), Some(sum(xid)), "{xid}");
    }
    let refusals = [(6, 0), (9, 1), (10, 3), (11, 4), (13, 5)];
    for (xid, status) in refusals {
        assert_eq!(
            answers.remove(&xid),
            Some(vec![1, 0, 0, 0, status]),
            "{xid}"
        );
    }
    assert_eq!(answers, BTreeMap::new());
    test.gate.notify_one();
    assert_eq!(
        replies(&mut stream, 1),
        BTreeMap::from([(4, vec![1, 0, 0, 0, 0])])
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn the_limit_of_a_record_holds_in_the_middle_of_a_batch() {
    let limits = Limits {
        record: 60,
        ..Limits::default()
    };
    let (server, mut stream) = connect(&Test::default(), limits).await;
    let long = record(4, PROGRAM.number, 2, NONE, &[1; 6]);
    let batch = [add(1), add(2), add(3), long, add(5)].concat();
    stream.write_all(&batch).expect("sent");
    let expected = [1, 2, 3].map(|xid| (xid, sum(xid)));
    assert_eq!(replies(&mut stream, 3), BTreeMap::from(expected));
    assert!(matches!(stream.read(&mut [0]), Ok(0) | Err(_)), "closed");
    let mut next = connect_again(&server);
    next.write_all(&add(6)).expect("sent");
    assert_eq!(replies(&mut next, 1), BTreeMap::from([(6, sum(6))]));
}
