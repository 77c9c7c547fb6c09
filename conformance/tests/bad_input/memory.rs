//! Memory: what a message claims costs nothing; what it holds is bounded.

use std::io::Read;

use farcall_conformance::peer::Ours;
use farcall_conformance::probe::{
    ANSWER, Answer, Heard, Stream, datagram, fragment, opaque, words,
};

use super::{call, server, serves};

/// What a server's memory may move by over a million calls without anything being lost: sixteen
/// pages. A leak of one byte in fifteen calls would be more.
const LEAK: u64 = 64 << 10;

/// Calls that are sent at once.
const BATCH: usize = 64;

/// Datagrams on their way at a time.
const WINDOW: usize = 20;

/// A million calls, in batches.
const ROUNDS: usize = 1_000_000 / BATCH;

/// How much a server grows through `rounds` of `work`, once it has seen some.
fn grows(server: &Ours, rounds: usize, mut work: impl FnMut()) -> u64 {
    for _ in 0..rounds / 5 {
        work();
    }
    let before = server.process.memory().expect("memory");
    for _ in 0..rounds {
        work();
    }
    server
        .process
        .memory()
        .expect("memory")
        .saturating_sub(before)
}

#[test]
fn a_claim_of_4_gib_in_60_bytes_takes_no_memory() {
    let server = server(&[]);
    let bomb = call(1).arguments(&words(&[0xffff_fff0, 0, 0, 0, 0]));
    let mut stream = Stream::connect(server.tcp).expect("connect");
    let garbage = Heard::Reply(0x0123_4567, Answer::GarbageArgs);
    assert_eq!(stream.ask(&bomb).expect("ask"), garbage);
    let bombs = bomb.record().repeat(BATCH);
    let mut replies = [0; 28 * BATCH];
    let grown = grows(&server, ROUNDS, || {
        stream.send(&bombs).expect("send");
        stream.0.read_exact(&mut replies).expect("answers");
    });
    assert!(grown <= LEAK, "{grown} bytes over TCP");
    let socket = std::net::UdpSocket::bind("127.0.0.1:0").expect("a socket");
    socket.connect(server.udp).expect("connect");
    socket.set_read_timeout(Some(ANSWER)).expect("a limit");
    let (mut reply, mut datagram, mut xid) = ([0; 64], bomb.bytes(), 0_u32);
    let grown = grows(&server, ROUNDS, || {
        // Each is a call of its own: one like another that is being worked on would be passed over.
        // No more at a time than any socket's buffer holds: a datagram that is lost has no answer.
        for _ in 0..BATCH / WINDOW {
            for _ in 0..WINDOW {
                xid = xid.wrapping_add(1);
                datagram[..4].copy_from_slice(&xid.to_be_bytes());
                socket.send(&datagram).expect("send");
            }
            for _ in 0..WINDOW {
                assert_eq!(socket.recv(&mut reply).expect("an answer"), 24);
            }
        }
    });
    assert!(grown <= LEAK, "{grown} bytes over UDP");
}

#[test]
fn record_marks_that_claim_take_no_memory() {
    let server = server(&[]);
    serves(&server);
    let before = server.process.memory().expect("memory");
    // Just under the limit, so that the server has to wait for what will never come.
    let mut open = Vec::new();
    for _ in 0..200 {
        let mut stream = Stream::connect(server.tcp).expect("connect");
        stream.send(&words(&[0x803f_fff0])).expect("send");
        stream.send(&[0; 40]).expect("send");
        open.push(stream);
    }
    serves(&server);
    let grown = server
        .process
        .memory()
        .expect("memory")
        .saturating_sub(before);
    // 800 MiB are claimed; what is allowed is the bookkeeping of 200 connections.
    assert!(grown < 8 << 20, "{grown} bytes for 200 connections");
}

#[test]
fn a_long_list_is_decoded_without_depth() {
    let mut server = server(&[]);
    // data<>, h, d, the void arm; then half a million nodes.
    let mut arguments = words(&[0, 0, 1, 0, 0, 7]);
    arguments.extend(words(&[1, 9]).repeat(500_000));
    arguments.extend(words(&[0]));
    let mut stream = Stream::connect(server.tcp).expect("connect");
    match stream.ask(&call(3).arguments(&arguments)).expect("ask") {
        Heard::Reply(_, Answer::Success(results)) => {
            assert!(results.len() > 500_000 * 8, "{} bytes", results.len());
        }
        other => panic!("{other:?}"),
    }
    assert!(server.process.is_running().expect("look"));
}

#[test]
fn deep_nesting_is_garbage_and_not_a_stack_overflow() {
    let mut server = server(&[]);
    let mut stream = Stream::connect(server.tcp).expect("connect");
    for depth in [100, 10_000, 900_000] {
        // A tree that only ever goes left: one bool a level.
        let arguments = words(&[1]).repeat(depth);
        let heard = stream.ask(&call(4).arguments(&arguments)).expect("ask");
        assert_eq!(
            heard,
            Heard::Reply(0x0123_4567, Answer::GarbageArgs),
            "depth {depth}"
        );
    }
    assert!(server.process.is_running().expect("look"));
}

#[test]
fn a_client_that_never_reads_is_bounded_and_harms_nobody() {
    let server = server(&["write_queue=262144", "write_stall=60000"]);
    serves(&server);
    let before = server.process.memory().expect("memory");
    let mut stream = Stream::connect(server.tcp).expect("connect");
    let record = call(1).arguments(&opaque(&[b'x'; 4096])).record();
    let calls = record.repeat(64);
    stream
        .0
        .set_write_timeout(Some(std::time::Duration::from_millis(300)))
        .expect("a limit");
    let mut sent = 0;
    // Until the server stops reading; far more than it may hold.
    while sent < 256 << 20 && stream.send(&calls).is_ok() {
        sent += calls.len();
    }
    assert!(sent < 256 << 20, "the server read everything");
    let grown = server
        .process
        .memory()
        .expect("memory")
        .saturating_sub(before);
    assert!(grown < 16 << 20, "{grown} bytes for {sent} sent");
    serves(&server);
}

#[test]
fn junk_datagrams_take_no_memory() {
    let server = server(&[]);
    let junk = fragment(&[0x5a; 1200], false);
    let socket = std::net::UdpSocket::bind("127.0.0.1:0").expect("a socket");
    let grown = grows(&server, 20_000, || {
        socket.send_to(&junk, server.udp).expect("send");
    });
    assert!(grown < 1 << 20, "{grown} bytes");
    let heard = datagram(server.udp, &call(0).bytes(), ANSWER).expect("ask");
    assert_eq!(
        heard,
        Heard::Reply(0x0123_4567, Answer::Success(Vec::new()))
    );
}
