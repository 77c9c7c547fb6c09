//! Records: fragments of every kind, marks that lie, other protocols.

use std::net::Shutdown;

use farcall_conformance::probe::{ANSWER, Answer, Heard, Stream, fragment, opaque, words};

use super::{call, server, serves};

fn null(xid: u32) -> Heard {
    Heard::Reply(xid, Answer::Success(Vec::new()))
}

#[test]
fn fragments_may_be_cut_anywhere_and_may_be_empty() {
    let server = server(&[]);
    let message = call(1).arguments(&opaque(b"hello")).bytes();
    let empty = fragment(b"", false);
    let cut = |cuts: &[usize], before: &[u8]| {
        let mut record = before.to_vec();
        let mut begun = 0;
        for &cut in cuts {
            record.extend(fragment(&message[begun..cut], false));
            begun = cut;
        }
        record.extend(fragment(&message[begun..], true));
        record
    };
    let every_byte: Vec<usize> = (1..message.len()).collect();
    let ends_empty = [fragment(&message, false), fragment(b"", true)].concat();
    for record in [
        cut(&[12, 24], b""),
        cut(&[1, 13, 27], b""),
        cut(&[12], &empty),
        cut(&[12], &empty.repeat(20)),
        cut(&every_byte, b""),
        ends_empty,
    ] {
        let mut stream = Stream::connect(server.tcp).expect("connect");
        stream.send(&record).expect("send");
        let heard = stream.hear(ANSWER).expect("hear");
        assert_eq!(
            heard,
            Heard::Reply(0x0123_4567, Answer::Success(opaque(b"hello")))
        );
    }
}

#[test]
fn a_record_without_a_byte_closes_the_connection() {
    let server = server(&[]);
    let mut stream = Stream::connect(server.tcp).expect("connect");
    stream.send(&fragment(b"", true)).expect("send");
    assert_eq!(stream.hear(ANSWER).expect("hear"), Heard::Closed);
    serves(&server);
}

#[test]
fn a_record_in_too_many_fragments_closes_the_connection() {
    let server = server(&[]);
    let mut stream = Stream::connect(server.tcp).expect("connect");
    // The connection may be closed while we still write.
    let _ = stream.send(&fragment(b"abcd", false).repeat(1025));
    assert_eq!(stream.hear(ANSWER).expect("hear"), Heard::Closed);
    serves(&server);
}

#[test]
fn a_mark_over_the_limit_closes_the_connection_at_once() {
    let server = server(&[]);
    for mark in [0x7fff_ffff, 0xffff_ffff, 0x8040_0001, 0x0040_0001] {
        let mut stream = Stream::connect(server.tcp).expect("connect");
        stream.send(&words(&[mark])).expect("send");
        assert_eq!(
            stream.hear(ANSWER).expect("hear"),
            Heard::Closed,
            "{mark:x}"
        );
    }
    serves(&server);
}

#[test]
fn fragments_over_the_limit_together_close_the_connection() {
    let server = server(&[]);
    let mut stream = Stream::connect(server.tcp).expect("connect");
    stream
        .send(&fragment(&vec![0; 3 << 20], false))
        .expect("send");
    stream.send(&words(&[0x8010_0001])).expect("send");
    assert_eq!(stream.hear(ANSWER).expect("hear"), Heard::Closed);
    serves(&server);
}

#[test]
fn calls_written_byte_by_byte_are_answered() {
    let server = server(&[]);
    let mut stream = Stream::connect(server.tcp).expect("connect");
    for xid in 1..4 {
        for byte in call(0).xid(xid).record() {
            stream.send(&[byte]).expect("send");
        }
        assert_eq!(stream.hear(ANSWER).expect("hear"), null(xid));
    }
}

#[test]
fn calls_in_one_write_are_all_answered() {
    let server = server(&[]);
    let mut stream = Stream::connect(server.tcp).expect("connect");
    let calls: Vec<u8> = (0..128).flat_map(|xid| call(0).xid(xid).record()).collect();
    stream.send(&calls).expect("send");
    let mut answered: Vec<u32> = Vec::new();
    for _ in 0..128 {
        match stream.hear(ANSWER).expect("hear") {
            Heard::Reply(xid, Answer::Success(_)) => answered.push(xid),
            other => panic!("{other:?}"),
        }
    }
    answered.sort_unstable();
    assert_eq!(answered, (0..128).collect::<Vec<u32>>());
}

#[test]
fn calls_in_one_write_then_closed_harm_nobody() {
    let mut server = server(&[]);
    let calls: Vec<u8> = (0..128).flat_map(|xid| call(0).xid(xid).record()).collect();
    for _ in 0..50 {
        let mut stream = Stream::connect(server.tcp).expect("connect");
        stream.send(&calls).expect("send");
        drop(stream);
        serves(&server);
    }
    assert!(server.process.is_running().expect("look"));
}

#[test]
fn a_half_closed_connection_is_still_answered() {
    let server = server(&[]);
    let mut stream = Stream::connect(server.tcp).expect("connect");
    stream.send(&call(0).record()).expect("send");
    stream.0.shutdown(Shutdown::Write).expect("half-close");
    assert_eq!(stream.hear(ANSWER).expect("hear"), null(0x0123_4567));
    assert_eq!(stream.hear(ANSWER).expect("hear"), Heard::Closed);
}

#[test]
fn other_protocols_are_turned_away_at_once() {
    let server = server(&[]);
    let tls_hello = [0x16, 0x03, 0x01, 0x02, 0x00, 0x01];
    let dce_bind = [0x05, 0x00, 0x0b, 0x03, 0x10, 0x00, 0x00, 0x00];
    let first: [&[u8]; 5] = [
        b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
        b"POST /rpc HTTP/1.0\r\n\r\n",
        b"\r\n\r\n\0\r\nQUIT\n",
        &tls_hello,
        &dce_bind,
    ];
    for bytes in first {
        let mut stream = Stream::connect(server.tcp).expect("connect");
        stream.send(bytes).expect("send");
        assert_eq!(
            stream.hear(ANSWER).expect("hear"),
            Heard::Closed,
            "{bytes:x?}"
        );
    }
    serves(&server);
}
