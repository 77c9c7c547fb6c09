//! Every PDU both ways, with bytes worked out from C706 section 12.6.4 and MS-RPCE section 2.2.2.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects
)]

use super::auth::{self, BadVerifier, Trailer, Verifier};
use super::bind::*;
use super::call::{Fault, Request, Response};
use super::header::{Flags, Header, HeaderError, PacketType};
use super::verification::{self, Header2, Verification};
use crate::security::{AuthLevel, AuthType};
use crate::syntax::{Order, SyntaxId, Uuid};
use proptest::prelude::*;

const NDR_LE: [u8; 20] = [
    0x04, 0x5d, 0x88, 0x8a, 0xeb, 0x1c, 0xc9, 0x11, 0x9f, 0xe8, 0x08, 0x00, 0x2b, 0x10, 0x48, 0x60,
    2, 0, 0, 0,
];
const NDR_BE: [u8; 20] = [
    0x8a, 0x88, 0x5d, 0x04, 0x1c, 0xeb, 0x11, 0xc9, 0x9f, 0xe8, 0x08, 0x00, 0x2b, 0x10, 0x48, 0x60,
    0, 0, 0, 2,
];

fn header() -> Header {
    Header {
        version: 5,
        minor: 0,
        ptype: PacketType::REQUEST,
        flags: Flags(0x83),
        drep: [0x10, 0, 0, 0],
        frag_length: 0x0122,
        auth_length: 0x10,
        call_id: 0x0403_0201,
    }
}

#[test]
fn a_header_both_ways_in_both_orders() {
    let little = [5, 0, 0, 0x83, 0x10, 0, 0, 0, 0x22, 1, 0x10, 0, 1, 2, 3, 4];
    let big = [5, 0, 0, 0x83, 0, 0, 0, 0, 1, 0x22, 0, 0x10, 4, 3, 2, 1];
    let other = Header {
        drep: [0; 4],
        ..header()
    };
    for (header, bytes) in [(header(), little), (other, big)] {
        assert_eq!(Header::parse(&bytes), Ok(header));
        assert_eq!(header.emit(), bytes);
        assert_eq!(header.check(), Ok(()));
    }
    assert_eq!(header().order(), Order::Little);
    assert_eq!(other.order(), Order::Big);
}

#[test]
fn a_header_is_checked_field_by_field() {
    let short = |frag_length| {
        let bytes = Header {
            frag_length,
            ..header()
        }
        .emit();
        Header::parse(&bytes).unwrap_err()
    };
    assert_eq!(short(0), HeaderError::FragLength(0));
    assert_eq!(short(15), HeaderError::FragLength(15));
    let check = |header: Header| header.check();
    let at = |version, minor| {
        check(Header {
            version,
            minor,
            ..header()
        })
    };
    assert_eq!(at(5, 1), Ok(()));
    assert_eq!(at(5, 2), Err(HeaderError::Version(5, 2)));
    assert_eq!(at(4, 0), Err(HeaderError::Version(4, 0)));
    for drep in [
        [0x11, 0, 0, 0],
        [0x20, 0, 0, 0],
        [0x10, 1, 0, 0],
        [0x10, 3, 0, 0],
        [0, 0, 1, 0],
        [0, 0, 0, 1],
    ] {
        let refused = check(Header { drep, ..header() });
        assert_eq!(refused, Err(HeaderError::Representation(drep)));
    }
    for (frag_length, auth_length, fits) in [
        (16, 0, true),
        (24, 1, false),
        (25, 1, true),
        (25, 2, false),
        (40, u16::MAX, false),
    ] {
        let header = Header {
            frag_length,
            auth_length,
            ..header()
        };
        assert_eq!(header.check().is_ok(), fits, "{frag_length} {auth_length}");
    }
}

fn bind() -> Bind {
    Bind {
        max_xmit_frag: 5840,
        max_recv_frag: 4280,
        assoc_group_id: 0x1122_3344,
        contexts: vec![PresentationContext {
            context_id: 0x0102,
            interface: SyntaxId::new(Uuid::new(1, 2, 3, [4; 8]), 1, 6),
            transfers: vec![SyntaxId::NDR],
        }],
    }
}

#[test]
fn a_bind_both_ways_in_both_orders() {
    let mut little = vec![0xd0, 0x16, 0xb8, 0x10, 0x44, 0x33, 0x22, 0x11, 1, 0, 0, 0];
    little.extend([
        2, 1, 1, 0, 1, 0, 0, 0, 2, 0, 3, 0, 4, 4, 4, 4, 4, 4, 4, 4, 1, 0, 6, 0,
    ]);
    little.extend(NDR_LE);
    let mut big = vec![0x16, 0xd0, 0x10, 0xb8, 0x11, 0x22, 0x33, 0x44, 1, 0, 0, 0];
    big.extend([
        1, 2, 1, 0, 0, 0, 0, 1, 0, 2, 0, 3, 4, 4, 4, 4, 4, 4, 4, 4, 0, 6, 0, 1,
    ]);
    big.extend(NDR_BE);
    for (order, bytes) in [(Order::Little, little), (Order::Big, big)] {
        assert_eq!(Bind::parse(&bytes, order), Ok(bind()));
        let mut out = Vec::new();
        bind().emit(&mut out, order);
        assert_eq!(out, bytes);
        for len in 0..bytes.len() {
            assert!(Bind::parse(&bytes[..len], order).is_err(), "cut to {len}");
        }
    }
}

#[test]
fn a_bind_ack_both_ways() {
    let ack = BindAck {
        max_xmit_frag: 4280,
        max_recv_frag: 4280,
        assoc_group_id: 0x53f0,
        secondary_address: b"\\PIPE\\lsass".to_vec(),
        results: vec![
            ContextResult::accepted(SyntaxId::NDR),
            ContextResult::rejected(Reason::ABSTRACT_SYNTAX),
        ],
    };
    let mut bytes = vec![0xb8, 0x10, 0xb8, 0x10, 0xf0, 0x53, 0, 0, 12, 0];
    bytes.extend(b"\\PIPE\\lsass\0");
    // 16 + 22 bytes so far: two of padding.
    bytes.extend([0, 0, 2, 0, 0, 0]);
    bytes.extend([0; 4]);
    bytes.extend(NDR_LE);
    bytes.extend([2, 0, 1, 0]);
    bytes.extend([0; 20]);
    assert_eq!(BindAck::parse(&bytes, Order::Little), Ok(ack.clone()));
    let mut out = Vec::new();
    ack.emit(&mut out, Order::Little);
    assert_eq!(out, bytes);
    for len in 0..bytes.len() {
        assert!(BindAck::parse(&bytes[..len], Order::Little).is_err());
    }
    // An answer to alter_context has no address at all, and two bytes of padding.
    let mut out = Vec::new();
    let alter = BindAck {
        secondary_address: Vec::new(),
        results: Vec::new(),
        ..ack
    };
    alter.emit(&mut out, Order::Little);
    assert_eq!(
        out,
        [
            0xb8, 0x10, 0xb8, 0x10, 0xf0, 0x53, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0
        ]
    );
    assert_eq!(BindAck::parse(&out, Order::Little), Ok(alter));
}

#[test]
fn a_bind_nak_both_ways() {
    let bytes = [4, 0, 1, 5, 0, 0, 0, 0];
    let nak = BindNak::new(NakReason::PROTOCOL_VERSION_NOT_SUPPORTED);
    assert_eq!(BindNak::parse(&bytes, Order::Little), Ok(nak.clone()));
    let mut out = Vec::new();
    nak.emit(&mut out, Order::Little);
    assert_eq!(out, bytes);
    // Versions may be missing, but not half of one.
    let bare = BindNak::parse(&bytes[..2], Order::Little).unwrap();
    assert_eq!((bare.reason.0, bare.versions.len()), (4, 0));
    for len in [0, 1, 3, 4] {
        assert!(BindNak::parse(&bytes[..len], Order::Little).is_err());
    }
}

#[test]
fn a_request_both_ways() {
    let object = Uuid::new(0x0102_0304, 0x0506, 0x0708, [9; 8]);
    let request = Request {
        alloc_hint: 0x0a0b_0c0d,
        context_id: 0x0102,
        opnum: 0x0304,
        object: Some(object),
    };
    let mut bytes = vec![0x0d, 0x0c, 0x0b, 0x0a, 2, 1, 4, 3];
    assert_eq!(request.emit(Order::Little), bytes[..]);
    assert_eq!(
        request.emit(Order::Big),
        [0x0a, 0x0b, 0x0c, 0x0d, 1, 2, 3, 4]
    );
    bytes.extend([4, 3, 2, 1, 6, 5, 8, 7, 9, 9, 9, 9, 9, 9, 9, 9]);
    assert_eq!(Request::parse(&bytes, &header()), Ok(request));
    let without = Header {
        flags: Flags::WHOLE,
        ..header()
    };
    let plain = Request {
        object: None,
        ..request
    };
    assert_eq!(Request::parse(&bytes, &without), Ok(plain));
    assert_eq!((request.stub(), plain.stub()), (40, 24));
    for len in 0..24 {
        assert!(Request::parse(&bytes[..len], &header()).is_err());
        assert_eq!(Request::parse(&bytes[..len], &without).is_err(), len < 8);
    }
}

#[test]
fn a_response_both_ways() {
    let response = Response {
        alloc_hint: 5,
        context_id: 1,
        cancel_count: 2,
    };
    let bytes = [5, 0, 0, 0, 1, 0, 2, 0];
    assert_eq!(Response::parse(&bytes, Order::Little), Ok(response));
    assert_eq!(response.emit(Order::Little), bytes);
    for len in 0..8 {
        assert!(Response::parse(&bytes[..len], Order::Little).is_err());
    }
}

#[test]
fn a_fault_both_ways() {
    let fault = Fault {
        alloc_hint: 24,
        context_id: 1,
        cancel_count: 0,
        flags: 0,
        status: 0x1c01_000b,
    };
    let pdu = [
        5, 0, 3, 0x23, 0x10, 0, 0, 0, 32, 0, 0, 0, 9, 0, 0, 0, 24, 0, 0, 0, 1, 0, 0, 0, 0x0b, 0, 1,
        0x1c, 0, 0, 0, 0,
    ];
    assert_eq!(fault.pdu(Order::Little, 9, true), pdu);
    assert_eq!(Fault::parse(&pdu[16..], Order::Little), Ok(fault));
    // The reserved word may be missing.
    assert_eq!(Fault::parse(&pdu[16..28], Order::Little), Ok(fault));
    for len in 0..12 {
        assert!(Fault::parse(&pdu[16..16 + len], Order::Little).is_err());
    }
}

fn secured(stub: usize, pad: u8, token: usize) -> (Vec<u8>, Header) {
    let trailer = Trailer {
        auth_type: AuthType::NTLM,
        level: AuthLevel::PRIVACY,
        pad_length: pad,
        context_id: 0x0102_0304,
    };
    let mut pdu = Header {
        auth_length: 0,
        ..header()
    }
    .emit()
    .to_vec();
    pdu.extend(vec![0x55; 8 + stub]);
    pdu.extend(trailer.emit(Order::Little));
    pdu.extend(vec![0xee; token]);
    assert!(auth::finish(&mut pdu, 0, token));
    let header = Header::parse(pdu.first_chunk().unwrap()).unwrap();
    (pdu, header)
}

#[test]
fn a_verifier_is_found_at_the_end() {
    let (pdu, header) = secured(16, 4, 16);
    assert_eq!(pdu[40..48], [10, 6, 4, 0, 4, 3, 2, 1]);
    let (found, end) = Verifier::find_after_stub(&pdu, &header, 24).unwrap();
    let found = found.unwrap();
    assert_eq!((found.at, found.token.clone(), end), (40, 48..64, 36));
    assert_eq!(found.trailer.context_id, 0x0102_0304);
    // A request that has none.
    let bare = Header {
        auth_length: 0,
        ..header
    };
    assert_eq!(Verifier::find_after_stub(&pdu, &bare, 24), Ok((None, 64)));
    assert_eq!(
        Verifier::find_after_stub(&pdu[..20], &bare, 24),
        Err(BadVerifier)
    );
}

#[test]
fn a_verifier_must_fit_be_aligned_and_pad_no_more_than_the_stub() {
    for (stub, pad, token, fits) in [
        (16, 16, 16, true),
        (16, 17, 16, false),
        (0, 0, 16, true),
        (0, 1, 16, false),
        (13, 0, 16, false),
        (4, 3, 1, true),
    ] {
        let (pdu, header) = secured(stub, pad, token);
        let found = Verifier::find_after_stub(&pdu, &header, 24);
        assert_eq!(found.is_ok(), fits, "{stub} {pad} {token}");
    }
    let (pdu, header) = secured(4, 0, 16);
    for auth_length in [21, 24, 48, 1000, u16::MAX] {
        let header = Header {
            auth_length,
            ..header
        };
        assert!(
            Verifier::find_after_stub(&pdu, &header, 24).is_err(),
            "{auth_length}"
        );
    }
}

fn verification() -> (Verification, Vec<u8>) {
    let said = Verification {
        header_sign: Some(true),
        syntaxes: Some((SyntaxId::NDR, SyntaxId::NDR)),
        header: Some(Header2 {
            ptype: 0,
            drep: [0x10, 0, 0, 0],
            call_id: 0x0403_0201,
            context_id: 6,
            opnum: 7,
        }),
    };
    let mut bytes = verification::SIGNATURE.to_vec();
    bytes.extend([1, 0, 4, 0, 1, 0, 0, 0]);
    bytes.extend([2, 0x80, 40, 0]);
    bytes.extend(NDR_LE);
    bytes.extend(NDR_LE);
    bytes.extend([
        3, 0xc0, 16, 0, 0, 0, 0, 0, 0x10, 0, 0, 0, 1, 2, 3, 4, 6, 0, 7, 0,
    ]);
    (said, bytes)
}

#[test]
fn a_verification_trailer_both_ways() {
    let (said, bytes) = verification();
    assert_eq!(bytes.len(), 80);
    assert_eq!(Verification::parse(&bytes, Order::Little), Ok(said));
    let mut out = b"abcde".to_vec();
    said.emit(&mut out, 0, Order::Little);
    assert_eq!(out[..8], *b"abcde\0\0\0");
    assert_eq!(out[8..], bytes);
    assert_eq!(verification::find(&out), Some(8));
    for len in 0..bytes.len() {
        assert!(
            Verification::parse(&bytes[..len], Order::Little).is_err(),
            "cut to {len}"
        );
    }
}

#[test]
fn commands_of_a_verification_trailer_are_known_or_may_be_passed_over() {
    let with = |commands: &[u8]| {
        let bytes = [&verification::SIGNATURE[..], commands].concat();
        Verification::parse(&bytes, Order::Little)
    };
    assert!(with(&[9, 0x40, 0, 0]).is_ok());
    assert!(with(&[9, 0xc0, 0, 0]).is_err());
    assert!(with(&[1, 0x40, 3, 0, 1, 0, 0]).is_err());
    assert!(with(&[1, 0, 4, 0, 1, 0, 0, 0, 1, 0x40, 4, 0, 1, 0, 0, 0]).is_err());
    assert!(with(&[9, 0, 0, 0, 9, 0, 0, 0]).is_err());
}

#[test]
fn the_last_verification_trailer_within_1024_bytes_counts() {
    let (_, bytes) = verification();
    let behind = |n: usize| [&bytes[..], &vec![0; n]].concat();
    assert_eq!(verification::find(&behind(1024 - 80)), Some(0));
    assert_eq!(verification::find(&behind(1024 - 80 + 4)), None);
    // Not at a multiple of four.
    assert_eq!(verification::find(&[&[0][..], &bytes].concat()), None);
    assert_eq!(verification::find(&[&bytes[..], &bytes].concat()), Some(80));
    assert_eq!(verification::find(&[]), None);
    assert_eq!(verification::find(&bytes[..7]), None);
}

fn syntax() -> impl Strategy<Value = SyntaxId> {
    (any::<[u8; 16]>(), any::<u16>(), any::<u16>())
        .prop_map(|(uuid, major, minor)| SyntaxId::new(Uuid::from_bytes_be(uuid), major, minor))
}

fn contexts() -> impl Strategy<Value = Vec<PresentationContext>> {
    let context = (
        any::<u16>(),
        syntax(),
        prop::collection::vec(syntax(), 0..4),
    );
    let context = context.prop_map(|(context_id, interface, transfers)| PresentationContext {
        context_id,
        interface,
        transfers,
    });
    prop::collection::vec(context, 0..5)
}

proptest! {
    #[test]
    fn any_bind_comes_back(contexts in contexts(), fields in any::<(u16, u16, u32)>(), big in any::<bool>()) {
        let order = if big { Order::Big } else { Order::Little };
        let (max_xmit_frag, max_recv_frag, assoc_group_id) = fields;
        let bind = Bind { max_xmit_frag, max_recv_frag, assoc_group_id, contexts };
        let mut bytes = Vec::new();
        bind.emit(&mut bytes, order);
        prop_assert_eq!(Bind::parse(&bytes, order), Ok(bind));
    }

    #[test]
    fn any_bytes_are_parsed_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..200), big in any::<bool>()) {
        let order = if big { Order::Big } else { Order::Little };
        let _ = Bind::parse(&bytes, order);
        let _ = BindAck::parse(&bytes, order);
        let _ = BindNak::parse(&bytes, order);
        let _ = Response::parse(&bytes, order);
        let _ = Fault::parse(&bytes, order);
        let _ = verification::find(&bytes);
        let _ = Verification::parse(&bytes, order);
        if let Some(Ok(header)) = bytes.first_chunk().map(Header::parse) {
            prop_assert_eq!(Some(&header.emit()), bytes.first_chunk());
            let _ = header.check();
            let _ = Request::parse(&bytes, &header);
            let _ = Verifier::find_after_stub(&bytes, &header, 24);
        }
    }
}
