//! The first bytes of a connection: what is no PDU is cut at once, what stops is cut in time.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use farcall_conformance::raw::{Heard, Line, Pdu, RPCECHO, ptype};

use super::{binder, echo, serves};

/// A peer that stops in the middle is given 10 s; whoever is cut long before was cut for what it said.
const AT_ONCE: Duration = Duration::from_secs(8);

/// What other protocols begin with.
const OTHERS: [(&str, &[u8]); 11] = [
    ("one byte", b"G"),
    ("HTTP", b"GET / HTTP/1.1\r\nHost: example\r\n\r\n"),
    ("HTTP, cut short", b"GET / HTT"),
    ("the preface of HTTP/2", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"),
    (
        "TLS",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\x5f\x5f\x5f\x5f\x5f\x5f\x5f\x5f\x5f",
    ),
    ("SSH", b"SSH-2.0-OpenSSH_9.2\r\n"),
    (
        "ONC RPC",
        b"\x80\x00\x00\x28\x01\x23\x45\x67\x00\x00\x00\x00\x00\x00\x00\x02\x00\x01\x86\xa0",
    ),
    (
        "SMB",
        b"\x00\x00\x00\x54\xffSMBr\x00\x00\x00\x00\x18\x01\x28\x00\x00\x00\x00\x00\x00",
    ),
    ("one zero", b"\0"),
    ("zeros", &[0; 200]),
    ("ones", &[0xff; 200]),
];

/// How long it takes until the server closes.
fn cut(address: SocketAddr, what: &str, bytes: &[u8]) {
    let mut line = Line::connect(address).expect("connect");
    let begun = Instant::now();
    line.send(bytes);
    let heard = line.hear(AT_ONCE);
    let heard = match heard {
        // Whoever says that it speaks another version may be told which one is spoken.
        Heard::Pdu(..) => line.hear(AT_ONCE),
        other => other,
    };
    assert_eq!(heard, Heard::Closed, "{what}");
    assert!(
        begun.elapsed() < AT_ONCE,
        "{what}: cut after {:?}",
        begun.elapsed()
    );
}

#[test]
fn what_is_no_pdu_is_cut_at_once() {
    let (Some(mut echo), Some(binder)) = (echo(&[]), binder(&[])) else {
        return;
    };
    for (what, bytes) in OTHERS {
        cut(echo.address(), what, bytes);
        cut(binder.address(), what, bytes);
    }
    serves(&mut echo);
}

#[test]
fn a_header_that_cannot_be_is_cut_before_its_body_comes() {
    let Some(mut echo) = echo(&[]) else { return };
    let whole = Pdu::bind(RPCECHO);
    let of = |change: fn(&mut Pdu)| {
        let mut pdu = whole.clone();
        pdu.frag_length = Some(5000);
        change(&mut pdu);
        pdu.bytes()
    };
    let wrong: [(&str, Vec<u8>); 6] = [
        ("version 4", of(|pdu| pdu.version = 4)),
        ("EBCDIC", of(|pdu| pdu.drep[0] = 0x11)),
        ("floats of a VAX", of(|pdu| pdu.drep[1] = 1)),
        ("a length of 0", of(|pdu| pdu.frag_length = Some(0))),
        ("a length of 15", of(|pdu| pdu.frag_length = Some(15))),
        ("a verifier longer than all", {
            let mut bytes = of(|_| {});
            bytes[10..12].copy_from_slice(&0xffff_u16.to_le_bytes());
            bytes
        }),
    ];
    for (what, bytes) in &wrong {
        cut(echo.address(), what, &bytes[..16]);
        cut(echo.address(), what, bytes);
    }
    // On a connection that is bound, too.
    for (what, bytes) in &wrong {
        let mut line = Line::bound(echo.address(), RPCECHO);
        line.send(&bytes[..16]);
        let mut heard = line.hear(AT_ONCE);
        if matches!(heard, Heard::Pdu(..)) {
            heard = line.hear(AT_ONCE);
        }
        assert_eq!(heard, Heard::Closed, "{what}");
    }
    serves(&mut echo);
}

/// Descriptors that a server opens for itself after it has said that it is ready, at most; far less than the test opens.
const OWN: usize = 16;

#[test]
fn whoever_stops_in_the_middle_is_cut_in_time_and_holds_nothing() {
    let Some(mut echo) = echo(&[]) else { return };
    let descriptors = echo.process.descriptors().expect("descriptors");
    let before = echo.process.memory().expect("memory");
    let bind = Pdu::bind(RPCECHO).bytes();
    let huge = Pdu {
        frag_length: Some(u16::MAX),
        ..Pdu::bind(RPCECHO)
    };
    let first = Pdu::request(1, super::SINK_DATA, &[0; 64]).flags(farcall_conformance::raw::FIRST);
    let mut open = Vec::new();
    for each in 0..200 {
        let mut line = match each % 4 {
            3 => Line::bound(echo.address(), RPCECHO),
            _ => Line::connect(echo.address()).expect("connect"),
        };
        match each % 4 {
            0 => line.send(&bind[..1]),
            1 => line.send(&bind[..40]),
            2 => line.send(&huge.bytes()),
            _ => line.send(&first.bytes()),
        }
        open.push(line);
    }
    serves(&mut echo);
    let grown = echo
        .process
        .memory()
        .expect("memory")
        .saturating_sub(before);
    assert!(grown < 16 << 20, "{grown} bytes for {} halves", open.len());
    for mut line in open {
        // The age of what is partly there: 10 s.
        assert_eq!(line.hear(Duration::from_secs(60)), Heard::Closed);
    }
    super::eventually("descriptors are not given back", || {
        echo.process.descriptors().expect("descriptors") <= descriptors + OWN
    });
    serves(&mut echo);
}

#[test]
fn what_only_servers_send_is_refused() {
    let Some(mut echo) = echo(&[]) else { return };
    for kind in (0..=30).filter(|kind| {
        ![
            ptype::REQUEST,
            ptype::BIND,
            ptype::ALTER_CONTEXT,
            ptype::AUTH3,
            ptype::CO_CANCEL,
            ptype::ORPHANED,
        ]
        .contains(kind)
    }) {
        let mut line = Line::bound(echo.address(), RPCECHO);
        let heard = line.ask(&Pdu::new(kind, 3, &[0; 16]));
        super::faults(&heard, super::PROTO_ERROR);
        assert_eq!(line.hear(AT_ONCE), Heard::Closed, "type {kind}");
    }
    for kind in (0..=30).filter(|kind| *kind != ptype::BIND) {
        let mut line = Line::connect(echo.address()).expect("connect");
        let heard = line.ask(&Pdu::new(kind, 3, &[0; 16]));
        super::faults(&heard, super::PROTO_ERROR);
        assert_eq!(
            line.hear(AT_ONCE),
            Heard::Closed,
            "type {kind} before a bind"
        );
    }
    serves(&mut echo);
}
