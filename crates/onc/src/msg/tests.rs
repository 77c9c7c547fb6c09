//! Messages by hand from RFC 5531 section 9, every truncation, every status, round trips.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::as_conversions
)]

use super::*;
use crate::auth::{AuthBlock, AuthStat, AuthSys, Flavor, OpaqueAuth};
use proptest::prelude::*;

fn hex(text: &str) -> Vec<u8> {
    let digits: Vec<u8> = text.bytes().filter(u8::is_ascii_hexdigit).collect();
    digits
        .chunks(2)
        .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap())
        .collect()
}

/// xid 0x01020304, program 100000 version 2 procedure 3, no authentication, one word of arguments.
const CALL: &str = "01020304 00000000 00000002 000186a0 00000002 00000003 00000000 00000000 00000000 00000000 0000002a";

/// The same with AUTH_SYS: stamp 7, machine "ab", uid 1000, gid 100, gids 4 and 5.
const SYS_CALL: &str = "01020304 00000000 00000002 000186a0 00000002 00000003
    00000001 00000020  00000007 00000002 61620000 000003e8 00000064 00000002 00000004 00000005
    00000000 00000000 0000002a";

const TARGET: Target = Target {
    program: 100_000,
    version: 2,
    procedure: 3,
};

fn encoded(framing: Framing, f: impl FnOnce(&mut TransmitQueue, Framing)) -> Vec<u8> {
    let mut queue = TransmitQueue::new();
    f(&mut queue, framing);
    queue.to_vec()
}

#[test]
fn a_call_both_ways() {
    let wire = hex(CALL);
    let out = encoded(Framing::Datagram, |q, f| {
        assert_eq!(
            encode_call(q, f, 0x0102_0304, TARGET, &AuthBlock::none(), &42_u32).unwrap(),
            44
        );
    });
    assert_eq!(out, wire);
    let (header, at) = parse_call(&wire).unwrap();
    assert_eq!(
        (header.xid, header.program, header.version, header.procedure),
        (0x0102_0304, 100_000, 2, 3)
    );
    assert_eq!(
        (header.credential, header.verifier, at),
        (OpaqueAuth::NONE, OpaqueAuth::NONE, 40)
    );

    let record = encoded(Framing::Stream, |q, f| {
        encode_call(q, f, 0x0102_0304, TARGET, &AuthBlock::none(), &42_u32).unwrap();
    });
    assert_eq!(record[..4], [0x80, 0, 0, 44]);
    assert_eq!(record[4..], wire);
}

#[test]
fn a_call_with_sys_both_ways() {
    let wire = hex(SYS_CALL);
    let sys = AuthSys {
        stamp: 7,
        machine: b"ab".to_vec(),
        uid: 1000,
        gid: 100,
        gids: vec![4, 5],
    };
    let auth = AuthBlock::sys(&sys).unwrap();
    let out = encoded(Framing::Datagram, |q, f| {
        encode_call(q, f, 0x0102_0304, TARGET, &auth, &42_u32).unwrap();
    });
    assert_eq!(out, wire);
    let (header, at) = parse_call(&wire).unwrap();
    assert_eq!(
        (header.credential.flavor, header.credential.body, at),
        (Flavor::SYS, &wire[32..64], 72)
    );
}

#[test]
fn an_odd_body_is_padded_and_the_padding_not_judged() {
    let wire = hex(
        "00000001 00000000 00000002 00000009 00000001 00000001 00000063 00000001 61ffffff 00000002 00000003 010203ff",
    );
    let (header, at) = parse_call(&wire).unwrap();
    assert_eq!(
        header.credential,
        OpaqueAuth {
            flavor: Flavor(99),
            body: b"a"
        }
    );
    assert_eq!(
        (header.verifier, at),
        (
            OpaqueAuth {
                flavor: Flavor::SHORT,
                body: &[1, 2, 3]
            },
            48
        )
    );
    assert_eq!(header.credential.flavor.to_string(), "99");
    assert_eq!(
        format!("{:?}", header.verifier.flavor),
        "Flavor(AUTH_SHORT)"
    );
}

#[test]
fn every_truncation_of_a_call_says_what_to_answer() {
    let xid = 0x0102_0304;
    for (wire, args) in [(hex(CALL), 40), (hex(SYS_CALL), 72)] {
        for cut in 0..args {
            let want = if cut < 8 {
                CallFault::Truncated { len: cut }
            } else {
                CallFault::Garbage { xid }
            };
            assert_eq!(parse_call(&wire[..cut]), Err(want), "cut at {cut}");
        }
        assert!(parse_call(&wire[..args]).is_ok());
    }
}

#[test]
fn each_fault_is_told_apart() {
    let xid = 0x0102_0304;
    let with = |at: usize, word: u32| {
        let mut wire = hex(CALL);
        wire[at..at + 4].copy_from_slice(&word.to_be_bytes());
        wire
    };
    assert_eq!(
        parse_call(&with(4, 1)),
        Err(CallFault::NotACall {
            xid,
            kind: MessageType::REPLY
        })
    );
    assert_eq!(
        parse_call(&with(4, 2)),
        Err(CallFault::NotACall {
            xid,
            kind: MessageType(2)
        })
    );
    assert_eq!(
        parse_call(&with(8, 3)),
        Err(CallFault::RpcMismatch { xid, version: 3 })
    );
    assert_eq!(
        parse_call(&with(8, 3)[..12]),
        Err(CallFault::RpcMismatch { xid, version: 3 })
    );
    assert_eq!(
        parse_call(&with(28, 401)),
        Err(CallFault::BadCredential { xid })
    );
    assert_eq!(
        parse_call(&with(28, u32::MAX)),
        Err(CallFault::BadCredential { xid })
    );
    assert_eq!(parse_call(&with(28, 400)), Err(CallFault::Garbage { xid }));
    assert_eq!(
        parse_call(&with(36, 401)),
        Err(CallFault::BadVerifier { xid })
    );
    assert_eq!(parse_call(&with(36, 5)), Err(CallFault::Garbage { xid }));
}

#[test]
fn bodies_of_400_bytes_pass() {
    let body = [7; 400];
    let auth = OpaqueAuth {
        flavor: Flavor::SYS,
        body: &body,
    };
    let block = AuthBlock::new(auth, auth).unwrap();
    let wire = encoded(Framing::Datagram, |q, f| {
        encode_call(q, f, 1, TARGET, &block, &()).unwrap();
    });
    let (header, at) = parse_call(&wire).unwrap();
    assert_eq!(
        (header.credential, header.verifier, at),
        (auth, auth, wire.len())
    );
    assert!(
        AuthBlock::new(
            OpaqueAuth {
                flavor: Flavor::SYS,
                body: &[7; 401]
            },
            OpaqueAuth::NONE
        )
        .is_err()
    );
}

/// Every reply of RFC 5531 section 9, by hand.
fn replies() -> Vec<(&'static str, ReplyBody)> {
    vec![
        (
            "00000009 00000001 00000000 00000000 00000000 00000000",
            ReplyBody::Success,
        ),
        (
            "00000009 00000001 00000000 00000000 00000000 00000001",
            ReplyBody::ProgUnavail,
        ),
        (
            "00000009 00000001 00000000 00000000 00000000 00000002 00000002 00000004",
            ReplyBody::ProgMismatch { low: 2, high: 4 },
        ),
        (
            "00000009 00000001 00000000 00000000 00000000 00000003",
            ReplyBody::ProcUnavail,
        ),
        (
            "00000009 00000001 00000000 00000000 00000000 00000004",
            ReplyBody::GarbageArgs,
        ),
        (
            "00000009 00000001 00000000 00000000 00000000 00000005",
            ReplyBody::SystemErr,
        ),
        (
            "00000009 00000001 00000000 00000000 00000000 00000011",
            ReplyBody::Accepted(AcceptStat(17)),
        ),
        (
            "00000009 00000001 00000001 00000000 00000002 00000002",
            ReplyBody::OTHER_RPC_VERSION,
        ),
        (
            "00000009 00000001 00000001 00000001 00000005",
            ReplyBody::AuthError(AuthStat::TOOWEAK),
        ),
        (
            "00000009 00000001 00000001 00000001 00000012",
            ReplyBody::AuthError(AuthStat(18)),
        ),
        (
            "00000009 00000001 00000001 00000007",
            ReplyBody::Denied(RejectStat(7)),
        ),
    ]
}

#[test]
fn every_reply_both_ways() {
    for (text, body) in replies() {
        let wire = hex(text);
        let header = ReplyHeader {
            xid: 9,
            verifier: OpaqueAuth::NONE,
            body,
        };
        assert_eq!(parse_reply(&wire).unwrap(), (header, wire.len()), "{body}");
        assert_eq!(
            encoded(Framing::Datagram, |q, f| encode_refusal(q, f, 9, body)),
            wire,
            "{body}"
        );
        let record = encoded(Framing::Stream, |q, f| encode_refusal(q, f, 9, body));
        assert_eq!(record, [&mark(wire.len())[..], &wire].concat());
    }
}

#[test]
fn every_truncation_of_a_reply_is_refused() {
    for (text, _) in replies() {
        let wire = hex(text);
        for cut in 0..wire.len() {
            assert!(parse_reply(&wire[..cut]).is_err(), "{text} cut at {cut}");
        }
    }
}

#[test]
fn a_null_reply_is_28_bytes_on_a_stream() {
    let wire = encoded(Framing::Stream, |q, f| {
        encode_success(q, f, 0xaabb_ccdd, &()).unwrap();
    });
    assert_eq!(
        wire,
        hex("80000018 aabbccdd 00000001 00000000 00000000 00000000 00000000")
    );
    let wire = encoded(Framing::Datagram, |q, f| {
        encode_success(q, f, 0xaabb_ccdd, &7_u32).unwrap();
    });
    assert_eq!(
        wire,
        hex("aabbccdd 00000001 00000000 00000000 00000000 00000000 00000007")
    );
}

#[test]
fn a_reply_may_carry_a_verifier() {
    let verifier = OpaqueAuth {
        flavor: Flavor::SHORT,
        body: b"hello",
    };
    let header = ReplyHeader {
        xid: 9,
        verifier,
        body: ReplyBody::Success,
    };
    let wire = encoded(Framing::Datagram, |q, f| {
        encode_reply(q, f, &header, &7_u32).unwrap();
    });
    assert_eq!(
        wire,
        hex("00000009 00000001 00000000 00000002 00000005 68656c6c 6f000000 00000000 00000007")
    );
    assert_eq!(parse_reply(&wire).unwrap(), (header, 32));
    let mut long = wire.clone();
    long[16..20].copy_from_slice(&401_u32.to_be_bytes());
    assert!(parse_reply(&long).is_err());
}

#[test]
fn a_call_is_not_a_reply() {
    let error = parse_reply(&hex(CALL)).unwrap_err();
    assert_eq!(error.to_string(), "message is not a reply at byte 8");
    let mut odd = hex("00000009 00000001 00000002 00000000 00000000 00000000");
    assert!(parse_reply(&odd).is_err());
    odd[11] = 0;
    assert!(parse_reply(&odd).is_ok());
}

proptest! {
    #[test]
    fn calls_round_trip(
        xid: u32, program: u32, version: u32, procedure: u32, flavors: (u32, u32),
        cred in prop::collection::vec(any::<u8>(), 0..=400), verf in prop::collection::vec(any::<u8>(), 0..=400),
        args in prop::collection::vec(any::<u32>(), 0..9),
    ) {
        let credential = OpaqueAuth { flavor: Flavor(flavors.0), body: &cred };
        let verifier = OpaqueAuth { flavor: Flavor(flavors.1), body: &verf };
        let block = AuthBlock::new(credential, verifier).unwrap();
        let mut queue = TransmitQueue::new();
        let target = Target { program, version, procedure };
        for arg in &args {
            encode_call(&mut queue, Framing::Datagram, xid, target, &block, arg).unwrap();
        }
        let wire = queue.to_vec();
        for (message, arg) in wire.chunks(wire.len().max(1) / args.len().max(1)).zip(&args) {
            let (header, at) = parse_call(message).unwrap();
            prop_assert_eq!(header, CallHeader { xid, program, version, procedure, credential, verifier });
            prop_assert_eq!(&message[at..], &arg.to_be_bytes());
        }
    }

    #[test]
    fn any_bytes_parse_without_a_panic(bytes in prop::collection::vec(any::<u8>(), 0..600), flip: bool) {
        let mut bytes = bytes;
        if flip {
            for (to, from) in bytes.iter_mut().zip(hex(CALL)) {
                *to = from;
            }
        }
        if let Ok((_, at)) = parse_call(&bytes) {
            prop_assert!(at <= bytes.len());
        }
        if let Ok((_, at)) = parse_reply(&bytes) {
            prop_assert!(at <= bytes.len());
        }
    }
}

/// A call as libtirpc 1.3.3's client sends it (captured): the record, AUTH_SYS of root on "vm", one string.
const LIBTIRPC_CALL: &str = "8000004c 4cc668af 00000000 00000002 20000099 00000001 00000001
    00000001 00000018 6b04d285 00000002 766d0000 00000000 00000000 00000000
    00000000 00000000 00000005 68656c6c 6f000000";

#[test]
fn a_captured_call_of_libtirpc_both_ways() {
    let wire = hex(LIBTIRPC_CALL);
    let (header, at) = parse_call(&wire[4..]).unwrap();
    assert_eq!(
        (header.xid, header.program, header.version, header.procedure),
        (0x4cc6_68af, 0x2000_0099, 1, 1)
    );
    assert_eq!(
        (header.verifier, &wire[4 + at..]),
        (OpaqueAuth::NONE, &wire[68..])
    );
    let sys = AuthSys::parse(header.credential.body, farcall_wire::Padding::Strict).unwrap();
    let want = AuthSys {
        stamp: 0x6b04_d285,
        machine: b"vm".to_vec(),
        uid: 0,
        gid: 0,
        gids: Vec::new(),
    };
    assert_eq!(sys, want);
    let target = Target {
        program: 0x2000_0099,
        version: 1,
        procedure: 1,
    };
    let ours = encoded(Framing::Stream, |q, f| {
        let auth = AuthBlock::sys(&sys).unwrap();
        encode_call(
            q,
            f,
            header.xid,
            target,
            &auth,
            &farcall_wire::Str::from("hello"),
        )
        .unwrap();
    });
    assert_eq!(ours, wire);
}

/// Replies as rpcbind 1.2.6 sends them (captured): the record, and what it says.
#[test]
fn captured_replies_of_rpcbind_both_ways() {
    let captured = [
        (
            "80000018 11223344 00000001 00000000 00000000 00000000 00000000",
            ReplyBody::Success,
        ),
        (
            "80000018 11223344 00000001 00000000 00000000 00000000 00000001",
            ReplyBody::ProgUnavail,
        ),
        (
            "80000020 11223344 00000001 00000000 00000000 00000000 00000002 00000002 00000004",
            ReplyBody::ProgMismatch { low: 2, high: 4 },
        ),
        (
            "80000018 11223344 00000001 00000000 00000000 00000000 00000003",
            ReplyBody::ProcUnavail,
        ),
        (
            "80000018 11223344 00000001 00000000 00000000 00000000 00000004",
            ReplyBody::GarbageArgs,
        ),
        (
            "80000014 11223344 00000001 00000001 00000001 00000002",
            ReplyBody::AuthError(AuthStat::REJECTEDCRED),
        ),
        (
            "80000014 11223344 00000001 00000001 00000001 00000001",
            ReplyBody::AuthError(AuthStat::BADCRED),
        ),
    ];
    for (text, body) in captured {
        let wire = hex(text);
        let header = ReplyHeader {
            xid: 0x1122_3344,
            verifier: OpaqueAuth::NONE,
            body,
        };
        assert_eq!(parse_reply(&wire[4..]).unwrap(), (header, wire.len() - 4));
        assert_eq!(
            encoded(Framing::Stream, |q, f| encode_refusal(
                q,
                f,
                0x1122_3344,
                body
            )),
            wire
        );
    }
}
