//! The probe for TLS, both ends: whatever comes, TLS starts by the exact words alone, once, and nothing in clear is taken
//! after it.
#![no_main]

use bytes::Bytes;
use farcall_onc::msg::parse_call;
use farcall_onc::server::{Accepts, Registry};
use farcall_onc::tls::{Answer, Gate, Judgement, Probe, Terms, accepted};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let Some((&how, rest)) = data.split_first() else {
        return;
    };
    match how & 1 {
        0 => client(how, rest),
        _ => server(how, rest),
    }
});

/// The answer, cut in pieces of any length.
fn client(how: u8, rest: &[u8]) {
    let (mut probe, sent) = Probe::new(0x0102_0304, 100_003, 3);
    assert_eq!(sent.len(), 44);
    let size = usize::from(how >> 1).max(1);
    let mut heard = Vec::new();
    for piece in rest.chunks(size) {
        heard.extend_from_slice(piece);
        match probe.receive(&Bytes::copy_from_slice(piece)) {
            Ok(None) => {}
            Ok(Some(Answer::Start)) => {
                // However it was cut into fragments, of which the last may be empty, it is the answer and says no more.
                assert!(heard.len() >= 36);
                assert!(heard.len() < 36 + 4 * 1024);
                return;
            }
            Ok(Some(Answer::Unwilling(_))) | Err(_) => return,
        }
    }
}

/// Messages, one behind another, each behind a byte of its length.
fn server(how: u8, mut rest: &[u8]) {
    let mut registry = Registry::default();
    registry.insert(100_003, 3, Accepts::ANY, 0).expect("new");
    let mut gate = match how >> 1 & 3 {
        0 => Gate::new(Terms::Unoffered),
        1 => Gate::new(Terms::Offered),
        2 => Gate::new(Terms::Demanded),
        _ => Gate::secured(),
    };
    let mut started = false;
    while let Some((&len, tail)) = rest.split_first() {
        let (message, tail) = tail.split_at(usize::from(len).min(tail.len()));
        rest = tail;
        let judgement = gate.judge(message, &registry, rest.is_empty());
        if started {
            assert_eq!(judgement, Judgement::Close);
        }
        if let Judgement::Start { xid } = judgement {
            let (header, _) = parse_call(message).expect("a call");
            assert!(rest.is_empty() && how >> 1 & 3 != 0 && how >> 1 & 3 != 3);
            assert_eq!(
                (header.program, header.procedure, header.credential.flavor.0),
                (100_003, 0, 7)
            );
            assert_eq!(accepted(xid)[..4], xid.to_be_bytes());
            started = true;
        }
        assert_eq!(gate.is_starting(), started);
    }
}
