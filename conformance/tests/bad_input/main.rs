//! What our server does with input that is wrong, hostile or merely unusual, over TCP and UDP.
//!
//! Each test is a row of the field report on deployed peers: what they do wrong, ours must not.
//! The server runs in a process of its own; the bytes are written by hand.

mod addresses;
mod connections;
mod credentials;
mod memory;
mod messages;
mod records;

use farcall_conformance::demo::NUMBER;
use farcall_conformance::peer::Ours;
use farcall_conformance::probe::{ANSWER, Answer, Call, Heard, SILENCE, Stream, datagram};

/// A demo server with these limits.
fn server(limits: &[&str]) -> Ours {
    Ours::start(env!("CARGO_BIN_EXE_demo-server"), limits).expect("start the demo server")
}

/// A call of version 1.
fn call(procedure: u32) -> Call {
    Call::new(NUMBER, 1, procedure)
}

/// What the server says to a call over TCP, on a connection of its own.
fn over_tcp(server: &Ours, call: &Call) -> Heard {
    let mut stream = Stream::connect(server.tcp).expect("connect");
    stream.ask(call).expect("ask")
}

/// What the server says to a call over UDP.
fn over_udp(server: &Ours, call: &Call) -> Heard {
    datagram(server.udp, &call.bytes(), ANSWER).expect("ask")
}

/// The server says the same over both.
fn says(server: &Ours, call: &Call, expected: &Answer) {
    let expected = Heard::Reply(call.xid, expected.clone());
    assert_eq!(over_tcp(server, call), expected, "over TCP: {call:x?}");
    assert_eq!(over_udp(server, call), expected, "over UDP: {call:x?}");
}

/// The server ignores this datagram.
fn ignores(server: &Ours, message: &[u8]) {
    let heard = datagram(server.udp, message, SILENCE).expect("send");
    assert_eq!(heard, Heard::Silence, "to {message:x?}");
}

/// The server still serves a new client, at once.
fn serves(server: &Ours) {
    let heard = over_tcp(server, &call(0));
    assert_eq!(
        heard,
        Heard::Reply(0x0123_4567, Answer::Success(Vec::new()))
    );
}
