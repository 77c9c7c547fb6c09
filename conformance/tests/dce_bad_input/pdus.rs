//! PDUs that are cut short, changed, out of order, or of calls that do not end (CVE-2015-5370, CVE-2022-26809, CVE-2021-23192).

use farcall_conformance::raw::{
    FIRST, Heard, LAST, LSARPC, Line, MGMT, Pdu, RPCECHO, ptype, words,
};

use super::{ACCESS_DENIED, ADD_ONE, PROTO_ERROR, SINK_DATA, echo, faults, serves};

/// An NTLM NEGOTIATE (MS-NLMP section 2.2.1.1) that asks for what every client asks for.
pub(super) const NEGOTIATE: [u8; 32] = [
    b'N', b'T', b'L', b'M', b'S', b'S', b'P', 0, 1, 0, 0, 0, 0x37, 0x82, 0x08, 0x62, 0, 0, 0, 0, 0,
    0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
];

/// NTLM, as `auth_type`.
pub(super) const NTLM: u8 = 10;

/// Something of every kind that a client may send: alone, or after a bind.
fn samples() -> Vec<(bool, Pdu)> {
    let text = [5, 0, 5].map(u32::to_le_bytes).concat();
    vec![
        (false, Pdu::bind(RPCECHO)),
        (
            false,
            Pdu::contexts(ptype::BIND, 0, &[(0, RPCECHO), (7, MGMT), (300, LSARPC)]),
        ),
        (false, Pdu::bind(RPCECHO).auth(NTLM, 5, 1, &NEGOTIATE)),
        (true, Pdu::contexts(ptype::ALTER_CONTEXT, 0, &[(1, MGMT)])),
        (
            true,
            Pdu::contexts(ptype::ALTER_CONTEXT, 0, &[(1, MGMT)]).auth(NTLM, 6, 2, &NEGOTIATE),
        ),
        (
            true,
            Pdu::new(ptype::AUTH3, 1, &[0; 4]).auth(NTLM, 5, 1, &NEGOTIATE),
        ),
        (true, Pdu::request(2, ADD_ONE, &words(&[41]))),
        (
            true,
            Pdu::request(
                2,
                super::ECHO_DATA,
                &[&words(&[5, 5])[..], b"12345"].concat(),
            ),
        ),
        (
            true,
            Pdu::request(
                2,
                super::TEST_CALL,
                &[&text[..], b"h\0e\0l\0l\0\0\0"].concat(),
            ),
        ),
        (
            true,
            Pdu::request(2, ADD_ONE, &words(&[41])).auth(NTLM, 5, 1, &[1; 16]),
        ),
        (true, Pdu::new(ptype::CO_CANCEL, 2, &[])),
        (true, Pdu::new(ptype::ORPHANED, 2, &[])),
    ]
}

#[test]
fn no_pdu_that_is_cut_or_changed_hurts() {
    let scratch = farcall_conformance::peer::Scratch::new("bad").expect("a folder");
    if !farcall_conformance::peer::farcall::available() {
        return;
    }
    let users = farcall_conformance::peer::farcall::users(&scratch).expect("a file of users");
    let Some(mut echo) = echo(&["--users", &users]) else {
        return;
    };
    let send = |bound: bool, bytes: &[u8]| {
        let line = match bound {
            true => Line::bound(echo.address(), RPCECHO),
            false => Line::connect(echo.address()).expect("connect"),
        };
        // Whatever it answers, it ends.
        line.last(bytes)
    };
    for (bound, pdu) in samples() {
        let whole = pdu.bytes();
        for at in 0..whole.len() {
            // Cut in the middle, and cut with a length that says so.
            send(bound, &whole[..at]);
            if at >= 16 {
                let mut short = whole[..at].to_vec();
                let length = u16::try_from(at).expect("a short PDU");
                short[8..10].copy_from_slice(&length.to_le_bytes());
                send(bound, &short);
            }
            for change in [|byte: u8| byte ^ 1, |byte: u8| !byte] {
                let mut changed = whole.clone();
                changed[at] = change(changed[at]);
                send(bound, &changed);
            }
        }
    }
    serves(&mut echo);
    let said = echo.process.output();
    assert!(!said.contains("panic"), "{said}");
}

/// A fragment of a call of `SinkData`.
fn fragment(flags: u8, hint: u32, stub: &[u8]) -> Pdu {
    Pdu::request(1, SINK_DATA, stub).flags(flags).hint(hint)
}

#[test]
fn requests_end_at_four_mebibytes_whatever_they_promise() {
    let Some(mut echo) = echo(&[]) else { return };
    let before = echo.process.memory().expect("memory");
    // A promise beyond the limit is refused before anything is kept.
    for hint in [u32::MAX, (4 << 20) + 1, 1 << 31] {
        let mut line = Line::bound(echo.address(), RPCECHO);
        faults(&line.ask(&fragment(FIRST, hint, &[0; 64])), ACCESS_DENIED);
        assert_eq!(line.hear(farcall_conformance::raw::ANSWER), Heard::Closed);
    }
    // Without a promise, the sum decides.
    let mut line = Line::bound(echo.address(), RPCECHO);
    let piece = vec![0; 5800];
    line.send(&fragment(FIRST, 0, &piece).bytes());
    let further = fragment(0, 0, &piece).bytes();
    let mut sent = piece.len();
    while sent <= 4 << 20 {
        line.send(&further);
        sent += piece.len();
    }
    faults(&line.hear(farcall_conformance::raw::ANSWER), ACCESS_DENIED);
    assert_eq!(line.hear(farcall_conformance::raw::ANSWER), Heard::Closed);
    // A call within the limit is one.
    let mut line = Line::bound(echo.address(), RPCECHO);
    let size: u32 = 4_000_000;
    let stub = [words(&[size, size]), vec![7; 4_000_000]].concat();
    let mut pieces = stub.chunks(5800).peekable();
    let mut flags = FIRST;
    while let Some(piece) = pieces.next() {
        flags |= if pieces.peek().is_none() { LAST } else { 0 };
        line.send(&fragment(flags, 0, piece).bytes());
        flags = 0;
    }
    let heard = line.hear(farcall_conformance::raw::ANSWER);
    assert_eq!(heard.stub(), Some(&[][..]), "{heard:x?}");
    let grown = echo
        .process
        .memory()
        .expect("memory")
        .saturating_sub(before);
    assert!(grown < 48 << 20, "{grown} bytes more");
    serves(&mut echo);
}

#[test]
fn fragments_that_do_not_belong_together_are_refused() {
    let Some(mut echo) = echo(&[]) else { return };
    let begun = || {
        let mut line = Line::bound(echo.address(), RPCECHO);
        line.send(&fragment(FIRST, 0, &[0; 64]).bytes());
        line
    };
    let other_call = Pdu {
        call_id: 2,
        ..fragment(LAST, 0, &[0; 64])
    };
    let other_order = Pdu {
        drep: [0, 0, 0, 0],
        ..fragment(LAST, 0, &[0; 64])
    };
    let first_again = fragment(FIRST, 0, &[0; 64]);
    let with_a_token = fragment(LAST, 0, &[0; 64]).auth(NTLM, 5, 1, &[1; 16]);
    for (pdu, status) in [
        (other_call, PROTO_ERROR),
        (first_again, PROTO_ERROR),
        (with_a_token, ACCESS_DENIED),
    ] {
        let mut line = begun();
        faults(&line.ask(&pdu), status);
        assert_eq!(line.hear(farcall_conformance::raw::ANSWER), Heard::Closed);
    }
    // Its length is written in the order that it says.
    let mut bytes = other_order.bytes();
    bytes[8..10].reverse();
    let mut line = begun();
    line.send(&bytes);
    let heard = line.hear(farcall_conformance::raw::ANSWER);
    assert!(matches!(heard, Heard::Pdu(ptype::FAULT, ..)), "{heard:x?}");
    assert_eq!(line.hear(farcall_conformance::raw::ANSWER), Heard::Closed);
    // A fragment of no call, and a larger one than was agreed.
    let mut line = Line::bound(echo.address(), RPCECHO);
    faults(&line.ask(&fragment(LAST, 0, &[0; 64])), PROTO_ERROR);
    let mut line = Line::bound(echo.address(), RPCECHO);
    faults(
        &line.ask(&fragment(FIRST | LAST, 0, &[0; 6000])),
        PROTO_ERROR,
    );
    serves(&mut echo);
}

#[test]
fn a_call_before_authentication_has_ended_is_refused() {
    if !farcall_conformance::peer::farcall::available() {
        return;
    }
    let scratch = farcall_conformance::peer::Scratch::new("bad").expect("a folder");
    let users = farcall_conformance::peer::farcall::users(&scratch).expect("a file of users");
    let Some(mut echo) = echo(&["--users", &users]) else {
        return;
    };
    for token in [None, Some([0; 16])] {
        let (mut line, _) = Line::bound_with(
            echo.address(),
            &Pdu::bind(RPCECHO).auth(NTLM, 5, 1, &NEGOTIATE),
        );
        let mut request = Pdu::request(2, ADD_ONE, &words(&[1]));
        if let Some(token) = token {
            request = request.auth(NTLM, 5, 1, &token);
            faults(&line.ask(&request), PROTO_ERROR);
            assert_eq!(line.hear(farcall_conformance::raw::ANSWER), Heard::Closed);
        } else {
            // Without a verifier it is nobody's call, and this server takes those.
            assert_eq!(line.ask(&request).stub(), Some(&words(&[2])[..]));
        }
    }
    // A second bind, and no contexts.
    let mut line = Line::bound(echo.address(), RPCECHO);
    let heard = line.ask(&Pdu::bind(RPCECHO));
    assert!(
        matches!(heard, Heard::Pdu(ptype::BIND_NAK, ..)),
        "{heard:x?}"
    );
    assert_eq!(line.hear(farcall_conformance::raw::ANSWER), Heard::Closed);
    let mut line = Line::connect(echo.address()).expect("connect");
    let heard = line.ask(&Pdu::contexts(ptype::BIND, 0, &[]));
    assert!(
        matches!(heard, Heard::Pdu(ptype::BIND_NAK, ..)),
        "{heard:x?}"
    );
    serves(&mut echo);
}
