//! What is taken for a request like the last one, and what is not.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::as_conversions
)]

use super::tests::{LE, MPX, Peer, Said, alice, bind, request};
use super::*;
use crate::co::tests::{ECHO, PIPED, SECOND};
use crate::pdu::header::{Flags, PacketType};
use crate::pdu::verification::Verification;
use crate::syntax::{Order, SyntaxId};
use farcall_wire::TransmitQueue;

/// The request that the tests begin with, and one like it.
fn first() -> Vec<u8> {
    request(50, 1, 1, Flags::WHOLE, b"arguments")
}

fn next() -> Vec<u8> {
    request(51, 1, 8, Flags::WHOLE, b"0123")
}

/// A peer whose server is used to requests; none is in flight.
fn used_to() -> Peer {
    let mut peer = Peer::bound(MPX);
    peer.heard(&first(), Said::Nothing);
    let call = peer.calls.pop().unwrap();
    peer.server.finish(&call.to);
    peer
}

fn service(peer: &Peer, pdu: &[u8]) -> Option<usize> {
    peer.server.plain_service(pdu, 0)
}

fn take(peer: &mut Peer, pdu: &[u8]) -> Plain {
    let service = service(peer, pdu).unwrap();
    peer.server.take_plain(pdu, &mut 0, service).unwrap()
}

#[test]
fn a_request_like_the_last_one_is_the_same_call() {
    let (mut plain, mut full) = (used_to(), used_to());
    full.heard(&next(), Said::Nothing);
    let judged = full.calls.pop().unwrap();
    // Behind three bytes of something else, before half of another.
    let mut batch = b"...".to_vec();
    batch.extend(next());
    batch.extend(&next()[..20]);
    let mut at = 3;
    assert_eq!(plain.server.plain_service(&batch, at), Some(judged.service));
    assert_eq!(plain.server.take_plain(&batch, &mut at, 77), None);
    let call = plain
        .server
        .take_plain(&batch, &mut at, judged.service)
        .unwrap();
    assert_eq!(at, 3 + next().len());
    assert_eq!(&batch[call.stub.clone()], b"0123");
    assert_eq!(
        (call.to, call.opnum, call.syntax),
        (judged.to, 8, judged.syntax)
    );
    assert_eq!(
        plain.server.take_plain(&batch, &mut at, judged.service),
        None
    );
    let mut replies = [TransmitQueue::new(), TransmitQueue::new()];
    plain
        .server
        .reply(&call.to, b"it", &mut replies[0])
        .unwrap();
    full.server
        .reply(&judged.to, b"it", &mut replies[1])
        .unwrap();
    assert_eq!(replies[0].to_vec(), replies[1].to_vec());
    assert_eq!(plain.server.take_packets(), full.server.take_packets());
    assert_eq!(plain.server.in_flight(), 0);
}

#[test]
fn what_differs_in_its_head_is_not_like_the_last_one() {
    let peer = used_to();
    let right = next();
    assert!(service(&peer, &right).is_some());
    for cut in 0..right.len() {
        assert_eq!(service(&peer, &right[..cut]), None, "cut at {cut}");
    }
    // Version, type, flags, representation, length of a token, context.
    for place in (0..8).chain([10, 11, 20, 21]) {
        let mut other = right.clone();
        other[place] ^= 1;
        assert_eq!(service(&peer, &other), None, "byte {place}");
    }
    for len in [0_u16, 15, 23, right.len() as u16 + 1, u16::MAX] {
        let mut other = right.clone();
        other[8..10].copy_from_slice(&len.to_le_bytes());
        assert_eq!(service(&peer, &other), None, "length {len}");
    }
    let piped = request(51, 1, PIPED, Flags::WHOLE, b"");
    assert_eq!(service(&peer, &piped), None, "its arguments come in pieces");
    let large = request(51, 1, 8, Flags::WHOLE, &[0; 5840 - 23]);
    assert_eq!(service(&peer, &large), None, "more than was agreed");
    let large = request(51, 1, 8, Flags::WHOLE, &[0; 5840 - 24]);
    assert!(service(&peer, &large).is_some());
}

#[test]
fn a_number_in_flight_and_a_call_too_many_are_judged_in_full() {
    let mut peer = used_to();
    let call = take(&mut peer, &next());
    assert_eq!(service(&peer, &next()), None, "the number is in flight");
    assert!(service(&peer, &request(52, 1, 8, Flags::WHOLE, b"")).is_some());
    peer.server.finish(&call.to);
    assert!(service(&peer, &next()).is_some());
    let config = ServerConfig {
        in_flight: 1,
        ..ServerConfig::default()
    };
    let mut peer = Peer::of(config);
    peer.say(&bind(PacketType::BIND, MPX, &[(1, ECHO, &[SyntaxId::NDR])]));
    peer.heard(&first(), Said::Nothing);
    assert_eq!(service(&peer, &next()), None);
}

#[test]
fn a_verification_trailer_is_judged_in_full() {
    let said = Verification {
        header_sign: Some(false),
        syntaxes: Some((ECHO, SyntaxId::NDR)),
        header: None,
    };
    let mut stub = b"arg!".to_vec();
    said.emit(&mut stub, 0, LE);
    assert_eq!(
        service(&used_to(), &request(51, 1, 8, Flags::WHOLE, &stub)),
        None
    );
}

#[test]
fn any_other_pdu_ends_the_habit() {
    let cancel = || {
        let mut pdu = request(99, 1, 0, Flags::WHOLE, b"");
        pdu.truncate(16);
        (pdu[2], pdu[8]) = (18, 16);
        pdu
    };
    let alter = || {
        bind(
            PacketType::ALTER_CONTEXT,
            MPX,
            &[(2, SECOND, &[SyntaxId::NDR])],
        )
    };
    for other in [cancel(), alter(), request(60, 1, 1, Flags::FIRST, b"")] {
        let mut peer = used_to();
        peer.say(&other);
        assert_eq!(service(&peer, &next()), None);
    }
    // Half a PDU, too, until it is whole.
    let mut peer = used_to();
    peer.say(&first()[..30]);
    assert_eq!(service(&peer, &next()), None);
    peer.say(&first()[30..]);
    assert!(service(&peer, &next()).is_some());
}

#[test]
fn requests_of_a_special_kind_make_no_habit() {
    // Without multiplexing.
    let mut peer = Peer::bound(Flags::WHOLE);
    peer.heard(&first(), Said::Nothing);
    let call = peer.calls.pop().unwrap();
    peer.server.finish(&call.to);
    assert_eq!(service(&peer, &next()), None);
    // No answer is wanted, or an object is named.
    let mut peer = Peer::bound(MPX);
    peer.heard(
        &request(1, 1, 1, Flags::WHOLE.with(Flags::MAYBE), b""),
        Said::Nothing,
    );
    assert_eq!(service(&peer, &next()), None);
    let object = request(2, 1, 1, Flags::WHOLE.with(Flags::OBJECT_UUID), &[7; 16]);
    peer.heard(&object, Said::Nothing);
    assert_eq!(service(&peer, &next()), None);
    // Somebody is authenticated.
    let mut peer = alice(2);
    peer.heard(&request(1, 1, 1, Flags::WHOLE, b""), Said::Nothing);
    assert!(peer.calls.pop().unwrap().caller.is_some());
    assert_eq!(service(&peer, &next()), None);
    // A refusal is no habit either.
    let mut peer = Peer::bound(MPX);
    assert!(matches!(
        peer.say(&request(1, 9, 1, Flags::WHOLE, b"")),
        Said::Fault(..)
    ));
    assert_eq!(service(&peer, &next()), None);
}

#[test]
fn big_endian_requests_have_their_habit() {
    let mut peer = used_to();
    let big = |call: u32, opnum: u16| {
        let mut pdu = request(0, 0, 0, Flags::WHOLE, b"0123");
        pdu[4] = 0;
        pdu[8..10].copy_from_slice(&28_u16.to_be_bytes());
        pdu[12..16].copy_from_slice(&call.to_be_bytes());
        pdu[16..20].copy_from_slice(&4_u32.to_be_bytes());
        pdu[20..22].copy_from_slice(&1_u16.to_be_bytes());
        pdu[22..24].copy_from_slice(&opnum.to_be_bytes());
        pdu
    };
    assert_eq!(service(&peer, &big(7, 3)), None);
    peer.say(&big(7, 3));
    let call = take(&mut peer, &big(8, 0x102));
    assert_eq!((call.to.call_id, call.opnum), (8, 0x102));
    assert_eq!(call.to.order, Order::Big);
}
