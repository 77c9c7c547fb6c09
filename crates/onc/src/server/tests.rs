//! The order of checks, and every answer of the behaviour table that concerns a message's header.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::arithmetic_side_effects
)]

use super::*;
use crate::auth::{AuthBlock, ShortConfig, ShortTable};
use crate::msg::{MessageType, Target, encode_call};
use crate::seed::Seed;
use farcall_wire::TransmitQueue;
use std::time::Instant;

const XID: u32 = 0x0102_0304;

/// Program 10 in versions 2 and 4, program 20 version 1 that requires `AUTH_SYS`.
fn registry() -> Registry {
    let mut registry = Registry::new(Padding::Compatible);
    registry.insert(10, 4, Accepts::ANY, 1).unwrap();
    registry.insert(10, 2, Accepts::ANY, 0).unwrap();
    registry.insert(20, 1, Accepts::SYS, 2).unwrap();
    registry
}

fn auth(flavor: u32, body: &[u8]) -> AuthBlock {
    AuthBlock::new(
        OpaqueAuth {
            flavor: Flavor(flavor),
            body,
        },
        OpaqueAuth::NONE,
    )
    .unwrap()
}

fn sys() -> AuthBlock {
    AuthBlock::sys(&AuthSys {
        uid: 7,
        ..AuthSys::default()
    })
    .unwrap()
}

fn call(program: u32, version: u32, procedure: u32, auth: &AuthBlock) -> Vec<u8> {
    let mut queue = TransmitQueue::new();
    let target = Target {
        program,
        version,
        procedure,
    };
    encode_call(&mut queue, Framing::Datagram, XID, target, auth, &42_u32).unwrap();
    queue.to_vec()
}

fn admit(message: &[u8], framing: Framing) -> Admission<'_> {
    registry().admit(message, framing, |_| None)
}

fn answer(message: &[u8]) -> ReplyBody {
    let answers =
        [Framing::Stream, Framing::Datagram].map(|framing| match admit(message, framing) {
            Admission::Answer { xid: XID, body } => body,
            other => panic!("expected an answer, got {other:?}"),
        });
    assert_eq!(answers[0], answers[1]);
    answers[0]
}

fn with_word(mut message: Vec<u8>, at: usize, word: u32) -> Vec<u8> {
    message[at..at + 4].copy_from_slice(&word.to_be_bytes());
    message
}

#[test]
fn a_good_call_is_admitted() {
    let message = call(10, 4, 3, &AuthBlock::none());
    let Admission::Call(admitted) = admit(&message, Framing::Stream) else {
        panic!()
    };
    assert_eq!(
        (
            admitted.header.xid,
            admitted.header.procedure,
            admitted.service
        ),
        (XID, 3, 1)
    );
    assert_eq!(
        (&message[admitted.args..], admitted.caller),
        (&[0, 0, 0, 42][..], Caller::None)
    );

    let message = call(20, 1, 3, &sys());
    let Admission::Call(admitted) = admit(&message, Framing::Datagram) else {
        panic!()
    };
    let Caller::Sys(caller) = admitted.caller else {
        panic!()
    };
    assert_eq!((caller.uid, admitted.service), (7, 2));
}

#[test]
fn procedure_0_succeeds_without_a_credential_everywhere() {
    for (program, version, service) in [(10, 2, 0), (10, 4, 1), (20, 1, 2)] {
        for auth in [AuthBlock::none(), sys(), auth(0, b"abc")] {
            let message = call(program, version, 0, &auth);
            assert_eq!(
                admit(&message, Framing::Stream),
                Admission::Null { xid: XID, service }
            );
        }
    }
}

#[test]
fn programs_and_versions_that_are_not_here() {
    let none = AuthBlock::none();
    assert_eq!(answer(&call(11, 4, 0, &none)), ReplyBody::ProgUnavail);
    for version in [0, 1, 3, 5, u32::MAX] {
        assert_eq!(
            answer(&call(10, version, 0, &none)),
            ReplyBody::ProgMismatch { low: 2, high: 4 }
        );
    }
    assert_eq!(
        answer(&call(20, 3, 0, &none)),
        ReplyBody::ProgMismatch { low: 1, high: 1 }
    );
}

#[test]
fn each_authentication_failure_has_its_reason() {
    let stat = |auth: &AuthBlock| match answer(&call(10, 4, 1, auth)) {
        ReplyBody::AuthError(stat) => stat,
        other => panic!("{other:?}"),
    };
    for flavor in [2, 3, 6, 7, 99, 390_003] {
        assert_eq!(
            stat(&auth(flavor, &[])),
            AuthStat::REJECTEDCRED,
            "flavor {flavor}"
        );
    }
    let long_name = [&[0, 0, 0, 1, 0, 0, 1, 0][..], &[b'x'; 256], &[0; 12]].concat();
    assert_eq!(stat(&auth(1, &long_name)), AuthStat::BADCRED);
    let groups = [&[0; 16][..], &[0, 0, 0, 17], &[0; 68]].concat();
    assert_eq!(stat(&auth(1, &groups)), AuthStat::BADCRED);
    assert_eq!(stat(&auth(1, &[0; 12])), AuthStat::BADCRED);
    assert_eq!(
        answer(&call(20, 1, 1, &AuthBlock::none())),
        ReplyBody::AuthError(AuthStat::TOOWEAK)
    );
}

#[test]
fn short_handles_are_looked_up() {
    let now = Instant::now();
    let mut table = ShortTable::new(ShortConfig::default(), Seed::replay(3));
    let handle = table
        .issue(
            now,
            &AuthSys {
                uid: 9,
                ..AuthSys::default()
            },
        )
        .unwrap();
    let message = call(20, 1, 1, &AuthBlock::short(&handle).unwrap());
    let registry = registry();
    let Admission::Call(admitted) =
        registry.admit(&message, Framing::Stream, |h| table.accept(now, h))
    else {
        panic!()
    };
    let Caller::Short(caller) = admitted.caller else {
        panic!()
    };
    assert_eq!(caller.uid, 9);
    let unknown = call(20, 1, 1, &AuthBlock::short(&[1; 16]).unwrap());
    let body = ReplyBody::AuthError(AuthStat::REJECTEDCRED);
    assert_eq!(
        registry.admit(&unknown, Framing::Stream, |h| table.accept(now, h)),
        Admission::Answer { xid: XID, body }
    );
}

#[test]
fn the_first_fault_in_the_fixed_order_is_answered() {
    // Everything is wrong; then one thing after the other is set right.
    let mut message = call(11, 9, 1, &auth(99, &[1; 4]));
    message = with_word(message, 28, 401);
    message = with_word(message, 8, 3);
    assert_eq!(answer(&message), ReplyBody::OTHER_RPC_VERSION);
    message = with_word(message, 8, 2);
    assert_eq!(answer(&message), ReplyBody::AuthError(AuthStat::BADCRED));
    message = with_word(message, 28, 4);
    message = with_word(message, 40, 401);
    assert_eq!(answer(&message), ReplyBody::AuthError(AuthStat::BADVERF));
    message = with_word(message, 40, 0);
    assert_eq!(
        answer(&message),
        ReplyBody::AuthError(AuthStat::REJECTEDCRED)
    );
    message = with_word(message, 24, 0);
    assert_eq!(answer(&message), ReplyBody::ProgUnavail);
    message = with_word(message, 12, 10);
    assert_eq!(
        answer(&message),
        ReplyBody::ProgMismatch { low: 2, high: 4 }
    );
    message = with_word(message, 16, 4);
    assert!(matches!(
        admit(&message, Framing::Stream),
        Admission::Call(_)
    ));
}

#[test]
fn half_headers_are_answered_on_a_stream_and_dropped_as_datagrams() {
    let message = call(10, 4, 1, &sys());
    let args = message.len() - 4;
    for cut in 0..args {
        let stream = admit(&message[..cut], Framing::Stream);
        let datagram = admit(&message[..cut], Framing::Datagram);
        if cut < 8 {
            assert_eq!(stream, Admission::Close(CallFault::Truncated { len: cut }));
            assert_eq!(
                datagram,
                Admission::Silent(CallFault::Truncated { len: cut })
            );
        } else {
            assert_eq!(
                stream,
                Admission::Answer {
                    xid: XID,
                    body: ReplyBody::GarbageArgs
                },
                "cut at {cut}"
            );
            assert_eq!(
                datagram,
                Admission::Silent(CallFault::Garbage { xid: XID }),
                "cut at {cut}"
            );
        }
    }
}

#[test]
fn no_datagram_is_answered_with_a_longer_one() {
    let message = with_word(call(10, 4, 1, &sys()), 8, 3);
    for cut in 12..message.len() {
        let fault = CallFault::RpcMismatch {
            xid: XID,
            version: 3,
        };
        let answered = admit(&message[..cut], Framing::Datagram) != Admission::Silent(fault);
        assert_eq!(answered, cut >= 24, "cut at {cut}");
    }
}

#[test]
fn a_reply_sent_to_a_server_is_not_answered() {
    for kind in [1, 2] {
        let message = with_word(call(10, 4, 1, &sys()), 4, kind);
        let fault = CallFault::NotACall {
            xid: XID,
            kind: MessageType(kind),
        };
        assert_eq!(admit(&message, Framing::Stream), Admission::Close(fault));
        assert_eq!(admit(&message, Framing::Datagram), Admission::Silent(fault));
    }
}

#[test]
fn strict_refuses_what_deployed_servers_let_pass() {
    let mut strict = Registry::new(Padding::Strict);
    strict.insert(10, 4, Accepts::ANY, 0).unwrap();
    let verified = AuthBlock::new(
        OpaqueAuth::NONE,
        OpaqueAuth {
            flavor: Flavor::SYS,
            body: b"x",
        },
    )
    .unwrap();
    for (auth, stat) in [
        (auth(0, b"abc"), AuthStat::BADCRED),
        (verified, AuthStat::BADVERF),
    ] {
        let message = call(10, 4, 1, &auth);
        assert!(matches!(
            admit(&message, Framing::Stream),
            Admission::Call(_)
        ));
        let body = ReplyBody::AuthError(stat);
        assert_eq!(
            strict.admit(&message, Framing::Stream, |_| None),
            Admission::Answer { xid: XID, body }
        );
    }
}

#[test]
fn rows_come_and_go() {
    let mut registry = registry();
    assert_eq!(
        registry.insert(10, 2, Accepts::ANY, 9),
        Err(Duplicate {
            program: 10,
            version: 2,
            service: 0
        })
    );
    assert!(registry.remove(10, 2) && !registry.remove(10, 2));
    assert_eq!(
        registry.programs().collect::<Vec<_>>(),
        [(10, 4, 1), (20, 1, 2)]
    );
}

/// A plain call of procedure 5 in words.
fn plain(program: u32, version: u32) -> Vec<u8> {
    [7, 0, 2, program, version, 5, 0, 0, 0, 0, 42]
        .iter()
        .flat_map(|word: &u32| word.to_be_bytes())
        .collect()
}

#[test]
fn a_habit_recognises_what_would_be_admitted_and_nothing_else() {
    let mut registry = Registry::new(Padding::Strict);
    registry.insert(100, 1, Accepts::ANY, 3).unwrap();
    registry.insert(100, 2, Accepts::SYS, 4).unwrap();
    let message = plain(100, 1);
    let habit = registry.habit(&message).unwrap();
    let expected = Plain {
        xid: 7,
        procedure: 5,
        service: 3,
    };
    assert_eq!(habit.recognise(&message), Some(expected));
    let Admission::Call(admitted) = registry.admit(&message, Framing::Stream, |_| None) else {
        panic!("admitted")
    };
    assert_eq!((admitted.service, admitted.args), (3, Plain::ARGUMENTS));
    // The arguments are not looked at; any other change of a word makes it another kind of call.
    for cut in 40..message.len() {
        assert_eq!(habit.recognise(&message[..cut]), Some(expected));
    }
    for cut in 0..40 {
        assert_eq!(habit.recognise(&message[..cut]), None, "{cut} bytes");
    }
    for at in (4..20).chain(24..40) {
        let mut other = message.clone();
        other[at] ^= 1;
        assert_eq!(habit.recognise(&other), None, "byte {at}");
    }
    // A program that takes no strangers, one that is not here, and a credential are no habits.
    assert_eq!(registry.habit(&plain(100, 2)), None);
    assert_eq!(registry.habit(&plain(101, 1)), None);
    let mut credential = message;
    credential[27] = 1;
    assert_eq!(registry.habit(&credential), None);
}
