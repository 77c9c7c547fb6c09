//! Every rule of order, limit and reason, one by one: what a server answers to raw PDUs.
//!
//! The expected answers are those of Windows as Samba's `raw_protocol` suite describes them; the bytes are worked out
//! from C706 section 12.6.4.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::arithmetic_side_effects,
    clippy::as_conversions
)]

use super::*;
use crate::co::stub::Stub;
use crate::co::tests::{CLOSED, ECHO, SECOND, endpoint};
use crate::co::toy::{TOY, Toy};
use crate::pdu::auth::{self, Trailer};
use crate::pdu::bind::{Bind, BindAck, PresentationContext};
use crate::pdu::header::{Flags, Header, PacketType};
use crate::pdu::verification::{Header2, Verification};
use crate::security::{AuthLevel, AuthType, Protection};
use crate::seed::Seed;
use crate::syntax::{Features, Order, SyntaxId, Uuid};
use bytes::Bytes;
use farcall_wire::TransmitQueue;
use std::sync::Arc;
use std::time::{Duration, Instant};

pub(super) const LE: Order = Order::Little;
const ACCESS_DENIED: u32 = 5;
const PROTO_ERROR: u32 = 0x1c01_000b;

/// One connection, and what it heard.
pub(super) struct Peer {
    pub(super) server: Server,
    now: Instant,
    pub(super) calls: Vec<Call>,
    closed: bool,
}

/// An answer, as a test compares it.
#[derive(Debug, PartialEq)]
pub(super) enum Said {
    Nothing,
    Ack(Vec<(u16, u16)>),
    Nak(u16),
    /// Call id, context, status, and whether nothing was executed.
    Fault(u32, u16, u32, bool),
    Response(Vec<u8>),
}

impl Peer {
    fn new() -> Self {
        Self::of(ServerConfig {
            secondary_address: b"135".to_vec(),
            ..ServerConfig::default()
        })
    }

    pub(super) fn of(config: ServerConfig) -> Self {
        Self::at(Arc::new(endpoint(config, Some(Toy::default()))))
    }

    fn at(endpoint: Arc<Endpoint>) -> Self {
        let now = Instant::now();
        Self {
            server: Server::new(endpoint, now, &Seed::replay(0)),
            now,
            calls: Vec::new(),
            closed: false,
        }
    }

    /// A peer that has bound the first interface as context 1.
    pub(super) fn bound(flags: Flags) -> Self {
        let mut peer = Self::new();
        let ack = peer.say(&bind(
            PacketType::BIND,
            flags,
            &[(1, ECHO, &[SyntaxId::NDR])],
        ));
        assert_eq!(ack, Said::Ack(vec![(0, 0)]));
        peer
    }

    fn raw(&mut self, pdu: &[u8]) -> Vec<u8> {
        let (batch, mut at) = (Bytes::copy_from_slice(pdu), 0);
        let mut out = TransmitQueue::new();
        while let Some(event) = self
            .server
            .handle_bytes(self.now, &batch, &mut at, &mut out)
        {
            match event {
                Event::Call(call) => {
                    // Operation 0 comes back at once; its stub is made the test's own.
                    let stub = call.stub.bytes(&batch);
                    if call.opnum == 0 {
                        self.server.reply(&call.to, &stub, &mut out).unwrap();
                    }
                    self.calls.push(Call {
                        stub: Stub::Own(stub),
                        ..call
                    });
                }
                Event::Close(_) => self.closed = true,
                Event::Ask(_) => panic!("nothing is asked here"),
                Event::Piece { .. }
                | Event::Authenticated(_)
                | Event::Cancel { .. }
                | Event::Orphaned { .. } => {}
            }
        }
        out.to_vec()
    }

    pub(super) fn say(&mut self, pdu: &[u8]) -> Said {
        said(&self.raw(pdu))
    }

    /// Says something, and expects to be shown the door with this answer.
    #[track_caller]
    fn expelled(mut self, pdu: &[u8], answer: Said) {
        assert_eq!(self.say(pdu), answer);
        assert!(self.closed, "the connection is still open");
        assert_eq!(
            self.raw(&request(99, 1, 0, Flags::WHOLE, b"")),
            b"",
            "a deaf server answered"
        );
    }

    /// Says something, and expects this answer and that the connection goes on.
    #[track_caller]
    pub(super) fn heard(&mut self, pdu: &[u8], answer: Said) {
        assert_eq!(self.say(pdu), answer);
        assert!(!self.closed, "the connection is closed");
    }
}

fn said(bytes: &[u8]) -> Said {
    if bytes.is_empty() {
        return Said::Nothing;
    }
    let header = Header::parse(bytes.first_chunk().unwrap()).unwrap();
    assert_eq!(usize::from(header.frag_length), bytes.len(), "one PDU");
    let body = &bytes[16..];
    match header.ptype {
        PacketType::BIND_ACK | PacketType::ALTER_CONTEXT_RESP => {
            let ack = BindAck::parse(body, header.order()).unwrap();
            Said::Ack(
                ack.results
                    .iter()
                    .map(|r| (r.result.0, r.reason.0))
                    .collect(),
            )
        }
        PacketType::BIND_NAK => {
            assert_eq!(bytes.len(), 24);
            assert_eq!(body[2..], [1, 5, 0, 0, 0, 0]);
            Said::Nak(u16::from_le_bytes([body[0], body[1]]))
        }
        PacketType::FAULT => {
            assert_eq!((bytes.len(), &body[..4]), (32, &[24, 0, 0, 0][..]));
            assert_eq!((&body[6..8], &body[12..]), (&[0, 0][..], &[0; 4][..]));
            let dne = match header.flags.0 {
                0x03 => false,
                0x23 => true,
                other => panic!("flags {other:#x}"),
            };
            let context = u16::from_le_bytes([body[4], body[5]]);
            let status = u32::from_le_bytes(body[8..12].try_into().unwrap());
            Said::Fault(header.call_id, context, status, dne)
        }
        PacketType::RESPONSE => {
            assert_eq!(header.flags, Flags::WHOLE);
            let hint = u32::from_le_bytes(body[..4].try_into().unwrap());
            assert_eq!(hint as usize, bytes.len() - 24);
            Said::Response(body[8..].to_vec())
        }
        other => panic!("{other}"),
    }
}

pub(super) type Offer<'a> = (u16, SyntaxId, &'a [SyntaxId]);

fn body(offers: &[Offer<'_>]) -> Bind {
    Bind {
        max_xmit_frag: 5840,
        max_recv_frag: 5840,
        assoc_group_id: 0,
        contexts: offers
            .iter()
            .map(|(context_id, interface, transfers)| PresentationContext {
                context_id: *context_id,
                interface: *interface,
                transfers: transfers.to_vec(),
            })
            .collect(),
    }
}

pub(super) fn bind(ptype: PacketType, flags: Flags, offers: &[Offer<'_>]) -> Vec<u8> {
    bind_with(ptype, flags, &body(offers), None)
}

fn bind_with(
    ptype: PacketType,
    flags: Flags,
    body: &Bind,
    token: Option<(Trailer, &[u8])>,
) -> Vec<u8> {
    let mut pdu = Header::new(ptype, flags, LE, 7).emit().to_vec();
    body.emit(&mut pdu, LE);
    match token {
        // What the trailer claims stands, whatever padding there is.
        Some((trailer, token)) => {
            pdu.extend(trailer.emit(LE));
            pdu.extend(token);
            assert!(auth::finish(&mut pdu, 0, token.len()));
        }
        None => assert!(auth::finish(&mut pdu, 0, 0)),
    }
    pdu
}

fn trailer(auth_type: AuthType, level: u8) -> Trailer {
    Trailer {
        auth_type,
        level: AuthLevel(level),
        pad_length: 0,
        context_id: 3,
    }
}

/// A fragment of a request; the hint is what the stub is long.
pub(super) fn request(
    call_id: u32,
    context: u16,
    opnum: u16,
    flags: Flags,
    stub: &[u8],
) -> Vec<u8> {
    hinted(call_id, context, opnum, flags, stub, stub.len() as u32)
}

fn hinted(call_id: u32, context: u16, opnum: u16, flags: Flags, stub: &[u8], hint: u32) -> Vec<u8> {
    let mut pdu = Header::new(PacketType::REQUEST, flags, LE, call_id)
        .emit()
        .to_vec();
    pdu.extend(hint.to_le_bytes());
    pdu.extend(context.to_le_bytes());
    pdu.extend(opnum.to_le_bytes());
    pdu.extend(stub);
    assert!(auth::finish(&mut pdu, 0, 0));
    pdu
}

fn bare(ptype: PacketType, call_id: u32) -> Vec<u8> {
    let mut pdu = Header::new(ptype, Flags::WHOLE, LE, call_id)
        .emit()
        .to_vec();
    assert!(auth::finish(&mut pdu, 0, 0));
    pdu
}

pub(super) const MPX: Flags = Flags(0x13);

#[test]
fn a_bind_is_acknowledged_byte_by_byte() {
    let mut peer = Peer::new();
    let asked = bind(
        PacketType::BIND,
        MPX.with(Flags::SUPPORT_HEADER_SIGN),
        &[(1, ECHO, &[SyntaxId::NDR])],
    );
    let answer = peer.raw(&asked);
    let group = peer.server.group().unwrap().id().to_le_bytes();
    let mut expected = vec![
        5, 0, 12, 0x17, 0x10, 0, 0, 0, 60, 0, 0, 0, 7, 0, 0, 0, // header
        0xd0, 0x16, 0xd0, 0x16, // 5840 both ways
    ];
    expected.extend(group);
    expected.extend([4, 0, b'1', b'3', b'5', 0, 0, 0]); // "135", NUL, two bytes of padding
    expected.extend([1, 0, 0, 0, 0, 0, 0, 0]); // one result: accepted
    expected.extend(SyntaxId::NDR.uuid.to_bytes_le());
    expected.extend([2, 0, 0, 0]);
    assert_eq!(answer, expected);
}

#[test]
fn an_alter_is_acknowledged_without_address_and_multiplexing() {
    let mut peer = Peer::bound(MPX);
    let answer = peer.raw(&bind(
        PacketType::ALTER_CONTEXT,
        MPX.with(Flags::SUPPORT_HEADER_SIGN),
        &[(2, SECOND, &[SyntaxId::NDR])],
    ));
    assert_eq!((answer[2], answer[3], answer.len()), (15, 0x07, 56));
    assert_eq!(answer[24..28], [0, 0, 0, 0]);
}

#[test]
fn the_flags_of_a_bind_matter_little() {
    for flags in [0, 0x01, 0x02, 0x08, 0x20, 0x40, 0x80, 0xff] {
        let mut peer = Peer::new();
        let answer = peer.raw(&bind(
            PacketType::BIND,
            Flags(flags),
            &[(1, ECHO, &[SyntaxId::NDR])],
        ));
        assert_eq!(answer[3], 3 | flags & 0x14, "{flags:#x}");
        peer.heard(
            &request(1, 1, 0, Flags::WHOLE, b"abcd"),
            Said::Response(b"abcd".to_vec()),
        );
    }
}

#[test]
fn a_big_endian_client_is_answered_in_its_order() {
    let mut pdu = Header::new(PacketType::BIND, Flags::WHOLE, Order::Big, 7)
        .emit()
        .to_vec();
    body(&[(1, ECHO, &[SyntaxId::NDR])]).emit(&mut pdu, Order::Big);
    assert!(auth::finish(&mut pdu, 0, 0));
    let mut peer = Peer::new();
    let answer = peer.raw(&pdu);
    assert_eq!(
        answer[..20],
        [
            5, 0, 12, 3, 0, 0, 0, 0, 0, 60, 0, 0, 0, 0, 0, 7, 0x16, 0xd0, 0x16, 0xd0
        ]
    );
    assert_eq!(answer[40..44], [0x8a, 0x88, 0x5d, 0x04]);
    let call = [
        5, 0, 0, 3, 0, 0, 0, 0, 0, 24, 0, 0, 0, 0, 0, 9, 0, 0, 0, 0, 0, 1, 0, 5,
    ];
    peer.raw(&call);
    let call = &peer.calls[0];
    assert_eq!(
        (call.to.order, call.opnum, call.to.context_id),
        (Order::Big, 5, 1)
    );
}

#[test]
fn only_a_bind_begins() {
    for ptype in (0..=21)
        .map(PacketType)
        .filter(|ptype| *ptype != PacketType::BIND)
    {
        let mut pdu = bare(ptype, 4);
        pdu.extend([0; 24]);
        assert!(auth::finish(&mut pdu, 0, 0));
        Peer::new().expelled(&pdu, Said::Fault(4, 0, PROTO_ERROR, true));
    }
}

#[test]
fn what_only_a_server_sends_is_refused() {
    for ptype in [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 12, 13, 15, 17, 20, 21, 255].map(PacketType) {
        Peer::bound(MPX).expelled(&bare(ptype, 4), Said::Fault(4, 0, PROTO_ERROR, true));
    }
}

#[test]
fn a_second_bind_is_refused() {
    let again = bind(
        PacketType::BIND,
        Flags::WHOLE,
        &[(2, ECHO, &[SyntaxId::NDR])],
    );
    Peer::bound(MPX).expelled(&again, Said::Nak(0));
}

#[test]
fn a_bind_without_contexts_or_transfer_syntaxes_is_refused() {
    let none = bind(PacketType::BIND, Flags::WHOLE, &[]);
    Peer::new().expelled(&none, Said::Nak(0));
    let empty = bind(PacketType::BIND, Flags::WHOLE, &[(1, ECHO, &[])]);
    Peer::new().expelled(&empty, Said::Nak(0));
    let alter = |offers: &[Offer<'_>]| bind(PacketType::ALTER_CONTEXT, Flags::WHOLE, offers);
    let refused = Said::Fault(7, 0, PROTO_ERROR, true);
    Peer::bound(MPX).expelled(&alter(&[]), refused);
    let refused = Said::Fault(7, 0, PROTO_ERROR, true);
    Peer::bound(MPX).expelled(&alter(&[(1, ECHO, &[])]), refused);
}

#[test]
fn contexts_are_judged_one_by_one() {
    let other = SyntaxId::new(Uuid::new(1, 2, 3, [4; 8]), 1, 0);
    let newer = SyntaxId { minor: 9, ..ECHO };
    let major = SyntaxId { major: 2, ..ECHO };
    let older = SyntaxId { minor: 0, ..SECOND };
    let mut peer = Peer::new();
    let asked = [
        (1, ECHO, &[SyntaxId::NIL, SyntaxId::NDR][..]),
        (2, ECHO, &[SyntaxId::NDR]),
        (3, other, &[SyntaxId::NDR]),
        (4, newer, &[SyntaxId::NDR]),
        (5, major, &[SyntaxId::NDR]),
        (6, older, &[SyntaxId::NDR64, SyntaxId::NDR]),
        (0xffff, CLOSED, &[other]),
    ];
    let answer = peer.say(&bind(PacketType::BIND, Flags::WHOLE, &asked));
    assert_eq!(
        answer,
        Said::Ack(vec![(0, 0), (2, 2), (2, 1), (2, 1), (2, 1), (0, 0), (2, 2)])
    );
    peer.heard(&request(1, 6, 3, Flags::WHOLE, b""), Said::Nothing);
    assert_eq!(
        (peer.calls[0].syntax, peer.calls[0].service),
        (crate::syntax::Syntax::Ndr64, 8)
    );
    let call = peer.calls[0].to;
    peer.server.finish(&call);
    // Those that were not accepted cannot be called; the connection goes on.
    for context in [2, 3, 4, 5, 0xffff, 77] {
        let unknown = Said::Fault(1, 0, 0x1c01_0003, true);
        peer.heard(&request(1, context, 0, Flags::WHOLE, b""), unknown);
    }
}

#[test]
fn ndr64_can_be_off() {
    let mut peer = Peer::of(ServerConfig {
        ndr64: false,
        ..ServerConfig::default()
    });
    let asked = [
        (1, ECHO, &[SyntaxId::NDR64][..]),
        (2, SECOND, &[SyntaxId::NDR64, SyntaxId::NDR]),
    ];
    let answer = peer.say(&bind(PacketType::BIND, Flags::WHOLE, &asked));
    assert_eq!(answer, Said::Ack(vec![(2, 2), (0, 0)]));
}

#[test]
fn a_context_keeps_what_it_is() {
    let alter = |offers: &[Offer<'_>]| bind(PacketType::ALTER_CONTEXT, Flags::WHOLE, offers);
    let mut peer = Peer::bound(MPX);
    peer.heard(
        &alter(&[(1, ECHO, &[SyntaxId::NIL, SyntaxId::NDR])]),
        Said::Ack(vec![(0, 0)]),
    );
    peer.heard(
        &alter(&[(1, ECHO, &[SyntaxId::NIL, CLOSED])]),
        Said::Ack(vec![(2, 2)]),
    );
    // The second of two for one interface is refused and stays as it was.
    peer.heard(
        &alter(&[(4, ECHO, &[SyntaxId::NDR]), (1, ECHO, &[SyntaxId::NDR])]),
        Said::Ack(vec![(0, 0), (2, 2)]),
    );
    peer.heard(&request(1, 1, 0, Flags::WHOLE, b""), Said::Response(vec![]));
    let refused = || Said::Fault(7, 0, PROTO_ERROR, true);
    Peer::bound(MPX).expelled(&alter(&[(1, SECOND, &[SyntaxId::NDR])]), refused());
    Peer::bound(MPX).expelled(&alter(&[(1, ECHO, &[SyntaxId::NDR64])]), refused());
    Peer::bound(MPX).expelled(
        &alter(&[(1, ECHO, &[SyntaxId::NDR, SyntaxId::NDR64])]),
        refused(),
    );
}

#[test]
fn features_are_negotiated_once_and_only_as_first_transfer_syntax() {
    let features = |n| SyntaxId::features(Features(n));
    let say = |offers: &[Offer<'_>]| {
        let mut peer = Peer::new();
        (
            peer.say(&bind(PacketType::BIND, Flags::WHOLE, offers)),
            peer.server.features().0,
        )
    };
    for (asked, granted) in [(0, 0), (1, 1), (2, 2), (3, 3), (0xffff, 3)] {
        let answer = say(&[(
            1,
            SyntaxId::NIL,
            &[features(asked), features(3), SyntaxId::NIL],
        )]);
        assert_eq!(answer, (Said::Ack(vec![(3, granted)]), granted));
    }
    let late = say(&[(1, SyntaxId::NIL, &[SyntaxId::NIL, features(3)])]);
    assert_eq!(late, (Said::Ack(vec![(2, 1)]), 0));
    let twice = [(1, ECHO, &[features(1)][..]), (2, ECHO, &[features(2)])];
    assert_eq!(say(&twice).0, Said::Nak(0));
}

#[test]
fn presentation_contexts_are_limited() {
    let mut peer = Peer::of(ServerConfig {
        contexts: 2,
        ..ServerConfig::default()
    });
    let ndr: &[SyntaxId] = &[SyntaxId::NDR];
    let answer = peer.say(&bind(
        PacketType::BIND,
        Flags::WHOLE,
        &[(1, ECHO, ndr), (2, SECOND, ndr), (3, CLOSED, ndr)],
    ));
    assert_eq!(answer, Said::Ack(vec![(0, 0), (0, 0), (2, 3)]));
}

#[test]
fn association_groups_are_joined_by_number() {
    let endpoint = Arc::new(endpoint(ServerConfig::default(), None));
    let mut one = Peer::at(Arc::clone(&endpoint));
    let offers: &[Offer<'_>] = &[(1, ECHO, &[SyntaxId::NDR])];
    one.say(&bind(PacketType::BIND, Flags::WHOLE, offers));
    let group = one.server.group().unwrap().id();
    let join = |assoc_group_id| {
        let body = Bind {
            assoc_group_id,
            ..body(offers)
        };
        bind_with(PacketType::BIND, Flags::WHOLE, &body, None)
    };
    let mut two = Peer::at(Arc::clone(&endpoint));
    two.heard(&join(group), Said::Ack(vec![(0, 0)]));
    assert_eq!(two.server.group().unwrap().id(), group);
    Peer::at(Arc::clone(&endpoint)).expelled(&join(group ^ 1), Said::Nak(0));
    // The field of an alter_context means nothing.
    let body = Bind {
        assoc_group_id: group ^ 1,
        max_xmit_frag: 9,
        ..body(offers)
    };
    let answer = two.raw(&bind_with(
        PacketType::ALTER_CONTEXT,
        Flags::WHOLE,
        &body,
        None,
    ));
    assert_eq!(answer[20..24], group.to_le_bytes());
    assert_eq!(answer[16..20], [0xd0, 0x16, 0xd0, 0x16]);
}

#[test]
fn other_versions_and_representations_are_refused() {
    let offer = bind(
        PacketType::BIND,
        Flags::WHOLE,
        &[(1, ECHO, &[SyntaxId::NDR])],
    );
    let call = request(5, 1, 0, Flags::WHOLE, b"");
    // Version, minor version, EBCDIC, VAX, Cray and IBM floating point, and the bytes that must be zero.
    for (at, value) in [
        (0, 4),
        (1, 2),
        (4, 0x11),
        (5, 1),
        (5, 2),
        (5, 3),
        (6, 1),
        (7, 1),
    ] {
        let with = |pdu: &[u8]| {
            let mut pdu = pdu.to_vec();
            pdu[at] = value;
            pdu
        };
        Peer::new().expelled(&with(&offer), Said::Nak(4));
        Peer::bound(MPX).expelled(&with(&call), Said::Fault(5, 0, PROTO_ERROR, true));
    }
    let mut minor = offer;
    minor[1] = 1;
    Peer::new().heard(&minor, Said::Ack(vec![(0, 0)]));
}

#[test]
fn what_is_no_pdu_is_not_waited_for() {
    for bytes in [
        &b"G"[..],
        b"GET / HTTP/1.1\r\nHost: example\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        &[0; 5],
        &[0; 40],
    ] {
        Peer::new().expelled(bytes, Said::Nothing);
        Peer::bound(MPX).expelled(bytes, Said::Nothing);
    }
    // Nor is it answered when it comes in one piece.
    let mut seven = bind(
        PacketType::BIND,
        Flags::WHOLE,
        &[(1, ECHO, &[SyntaxId::NDR])],
    );
    seven[0] = 7;
    Peer::new().expelled(&seven, Said::Nothing);
    Peer::new().expelled(&seven[..1], Said::Nothing);
    // Another version is told that there is only ours, once its header is here.
    seven[0] = 4;
    Peer::new().heard(&seven[..15], Said::Nothing);
    Peer::new().expelled(&seven[..16], Said::Nak(4));
    // A header that cannot be is judged before the rest comes.
    let offer = bind(
        PacketType::BIND,
        Flags::WHOLE,
        &[(1, ECHO, &[SyntaxId::NDR])],
    );
    let mut ebcdic = offer[..16].to_vec();
    ebcdic[4] = 0x11;
    Peer::new().expelled(&ebcdic, Said::Nak(4));
    Peer::new().heard(&offer[..16], Said::Nothing);
}

#[test]
fn a_request_may_be_as_large_as_the_transport_allows() {
    let mut peer = Peer::new();
    let small = Bind {
        max_recv_frag: 0,
        ..body(&[(1, ECHO, &[SyntaxId::NDR])])
    };
    peer.say(&bind_with(PacketType::BIND, MPX, &small, None));
    // 2048 bytes were agreed on, and still 5840 are taken; operation 1 is not answered.
    peer.heard(&request(1, 1, 1, Flags::WHOLE, &[0; 5816]), Said::Nothing);
    assert_eq!(peer.calls.len(), 1);
    peer.expelled(
        &request(2, 1, 1, Flags::WHOLE, &[0; 5817]),
        Said::Fault(2, 0, PROTO_ERROR, false),
    );
}

#[test]
fn a_bind_may_be_as_large_as_a_pdu() {
    let transfers = [&[SyntaxId::NIL; 250][..], &[SyntaxId::NDR]].concat();
    let offers: Vec<Offer<'_>> = (0..12).map(|n| (n, ECHO, &transfers[..])).collect();
    let pdu = bind(PacketType::BIND, Flags::WHOLE, &offers);
    assert!(pdu.len() > 60_000);
    let Said::Ack(results) = Peer::new().say(&pdu) else {
        panic!()
    };
    assert_eq!(
        (results.len(), results[0], results[11]),
        (12, (0, 0), (2, 2))
    );
}

#[test]
fn fragments_of_one_request_follow_each_other() {
    let first = |flags: u8| request(2, 1, 1, Flags(flags), b"abcd");
    // Only the first, twice; nothing but middles; only the last.
    for flags in [0x01, 0x41, 0x21, 0x11, 0x09] {
        let mut peer = Peer::bound(Flags::WHOLE);
        peer.heard(&first(flags), Said::Nothing);
        peer.expelled(&first(flags), Said::Fault(2, 1, PROTO_ERROR, false));
    }
    for flags in [0x00, 0x02] {
        Peer::bound(Flags::WHOLE).expelled(&first(flags), Said::Fault(2, 0, PROTO_ERROR, false));
        Peer::bound(MPX).expelled(&first(flags), Said::Fault(2, 1, PROTO_ERROR, false));
    }
    // Context and operation of a further fragment mean nothing; its cancel does no harm.
    let mut peer = Peer::bound(Flags::WHOLE);
    peer.heard(&first(0x01), Said::Nothing);
    peer.heard(&request(2, 111, 111, Flags(0x04), b"efgh"), Said::Nothing);
    peer.heard(&request(2, 111, 111, Flags(0x06), b"ijkl"), Said::Nothing);
    let call = &peer.calls[0];
    assert_eq!(call.stub, Stub::Own(Bytes::from_static(b"abcdefghijkl")));
    assert_eq!((call.opnum, call.to.context_id), (1, 1));
}

#[test]
fn a_call_among_the_fragments_of_another_ends_it_all() {
    let first = request(3, 1, 1, Flags::FIRST, b"");
    let other = |flags| request(4, 77, 1, flags, b"");
    for flags in [Flags::FIRST, Flags::LAST, Flags::WHOLE, Flags(0)] {
        // Without multiplexing the fault is the first call's, with it the new one's.
        let mut peer = Peer::bound(Flags::WHOLE);
        peer.heard(&first, Said::Nothing);
        peer.expelled(&other(flags), Said::Fault(3, 1, PROTO_ERROR, false));
        let mut peer = Peer::bound(MPX);
        peer.heard(&first, Said::Nothing);
        peer.expelled(&other(flags), Said::Fault(4, 0, PROTO_ERROR, false));
    }
}

#[test]
fn fragments_are_of_one_representation() {
    let mut peer = Peer::bound(MPX);
    peer.heard(&request(3, 1, 1, Flags::FIRST, b""), Said::Nothing);
    let big = [
        5, 0, 0, 2, 0, 0, 0, 0, 0, 24, 0, 0, 0, 0, 0, 3, 0, 0, 0, 0, 0, 1, 0, 1,
    ];
    peer.expelled(&big, Said::Fault(3, 1, PROTO_ERROR, false));
}

#[test]
fn calls_wait_for_each_other_without_multiplexing() {
    let mut peer = Peer::bound(Flags::WHOLE);
    peer.heard(&request(1, 1, 1, Flags::WHOLE, b""), Said::Nothing);
    peer.expelled(
        &request(2, 1, 1, Flags::WHOLE, b""),
        Said::Fault(2, 0, PROTO_ERROR, false),
    );
    let mut peer = Peer::bound(MPX);
    peer.heard(&request(1, 1, 1, Flags::WHOLE, b""), Said::Nothing);
    peer.heard(&request(2, 1, 1, Flags::WHOLE, b""), Said::Nothing);
    assert_eq!(peer.server.in_flight(), 2);
    peer.expelled(
        &request(2, 1, 1, Flags::WHOLE, b""),
        Said::Fault(2, 1, PROTO_ERROR, true),
    );
}

#[test]
fn calls_in_flight_are_limited() {
    let mut peer = Peer::of(ServerConfig {
        in_flight: 2,
        ..ServerConfig::default()
    });
    peer.say(&bind(PacketType::BIND, MPX, &[(1, ECHO, &[SyntaxId::NDR])]));
    for id in [1, 2] {
        peer.heard(&request(id, 1, 1, Flags::WHOLE, b""), Said::Nothing);
    }
    let busy = Said::Fault(3, 1, 0x1c01_0014, true);
    peer.heard(&request(3, 1, 1, Flags::WHOLE, b""), busy);
    let call = peer.calls[0].to;
    peer.server.finish(&call);
    peer.heard(&request(3, 1, 1, Flags::WHOLE, b""), Said::Nothing);
}

#[test]
fn a_request_over_the_limit_is_refused_and_a_hint_is_only_a_hint() {
    let limited = || {
        let mut peer = Peer::of(ServerConfig {
            request: 8000,
            ..ServerConfig::default()
        });
        peer.say(&bind(PacketType::BIND, MPX, &[(1, ECHO, &[SyntaxId::NDR])]));
        peer
    };
    let refused = || Said::Fault(1, 1, ACCESS_DENIED, false);
    // A whole request may say what it likes.
    for hint in [0, 1, u32::MAX] {
        limited().heard(&hinted(1, 1, 1, Flags::WHOLE, b"abcd", hint), Said::Nothing);
    }
    limited().expelled(&hinted(1, 1, 1, Flags::FIRST, b"", 8001), refused());
    limited().expelled(&hinted(1, 1, 1, Flags::FIRST, b"", u32::MAX), refused());
    let first = hinted(1, 1, 1, Flags::FIRST, &[0; 4000], 0);
    for hint in [0, 4000] {
        let mut peer = limited();
        peer.heard(&first, Said::Nothing);
        peer.heard(
            &hinted(1, 1, 1, Flags::LAST, &[0; 4000], hint),
            Said::Nothing,
        );
        assert_eq!(peer.calls.len(), 1);
    }
    for (len, hint) in [(4001, 0), (0, 4001), (0, u32::MAX)] {
        let mut peer = limited();
        peer.heard(&first, Said::Nothing);
        peer.expelled(
            &hinted(1, 1, 1, Flags::LAST, &[0; 5000][..len], hint),
            refused(),
        );
    }
}

#[test]
fn a_call_that_is_cancelled_as_it_begins_is_no_call() {
    for flags in [Flags(0x07), Flags(0x05)] {
        let refused = Said::Fault(2, 0, 0x6bd, true);
        Peer::bound(MPX).expelled(&request(2, 1, 1, flags, b""), refused);
    }
}

#[test]
fn cancels_and_orphans_of_no_call_are_passed_over() {
    for ptype in [PacketType::CO_CANCEL, PacketType::ORPHANED] {
        let mut peer = Peer::bound(MPX);
        peer.heard(&bare(ptype, 3), Said::Nothing);
        // Of a call that is partly received, too.
        peer.heard(&request(3, 1, 0, Flags::FIRST, b"ab"), Said::Nothing);
        peer.heard(&bare(ptype, 3), Said::Nothing);
        peer.heard(
            &request(3, 1, 0, Flags::LAST, b"cd"),
            Said::Response(b"abcd".to_vec()),
        );
    }
}

#[test]
fn the_number_of_an_orphaned_call_is_free_and_its_reply_goes_nowhere() {
    let mut peer = Peer::bound(MPX);
    peer.heard(&request(3, 1, 1, Flags::WHOLE, b"old"), Said::Nothing);
    peer.heard(&bare(PacketType::ORPHANED, 3), Said::Nothing);
    assert_eq!(peer.server.in_flight(), 0);
    peer.heard(&request(3, 1, 1, Flags::WHOLE, b"new"), Said::Nothing);
    let (old, new, mut out) = (peer.calls[0].to, peer.calls[1].to, TransmitQueue::new());
    let late = peer.server.reply(&old, b"old", &mut out);
    assert_eq!((late, out.len()), (Err(ReplyError::NoCall), 0));
    peer.server.reply(&new, b"new!", &mut out).unwrap();
    assert_eq!(said(&out.to_vec()), Said::Response(b"new!".to_vec()));
}

#[test]
fn a_response_tells_how_many_cancels_came() {
    let mut peer = Peer::bound(MPX);
    peer.heard(&request(3, 1, 1, Flags::WHOLE, b""), Said::Nothing);
    peer.heard(&bare(PacketType::CO_CANCEL, 3), Said::Nothing);
    peer.heard(&bare(PacketType::CO_CANCEL, 3), Said::Nothing);
    let (to, mut out) = (peer.calls[0].to, TransmitQueue::new());
    peer.server.reply(&to, b"", &mut out).unwrap();
    assert_eq!(out.to_vec()[20..24], [1, 0, 2, 0]);
}

#[test]
fn a_response_has_the_low_byte_of_the_context_and_a_fault_all_of_it() {
    let mut peer = Peer::new();
    peer.say(&bind(
        PacketType::BIND,
        MPX,
        &[(0x1234, ECHO, &[SyntaxId::NDR])],
    ));
    peer.raw(&request(1, 0x1234, 1, Flags::WHOLE, b""));
    peer.raw(&request(2, 0x1234, 1, Flags::WHOLE, b""));
    let mut out = TransmitQueue::new();
    peer.server.reply(&peer.calls[0].to, b"", &mut out).unwrap();
    assert_eq!(out.to_vec()[20..22], [0x34, 0]);
    out.clear();
    peer.server
        .fault(&peer.calls[1].to, 0x1c01_0002, false, &mut out)
        .unwrap();
    assert_eq!(
        said(&out.to_vec()),
        Said::Fault(2, 0x1234, 0x1c01_0002, true)
    );
    let again = peer.server.reply(&peer.calls[0].to, b"", &mut out);
    assert_eq!(again, Err(ReplyError::NoCall));
}

#[test]
fn a_long_response_counts_down_what_is_left() {
    let mut peer = Peer::bound(MPX);
    peer.raw(&request(1, 1, 1, Flags::WHOLE, b""));
    let mut out = TransmitQueue::new();
    let stub = vec![7; 5816 * 2 + 1];
    peer.server
        .reply(&peer.calls[0].to, &stub, &mut out)
        .unwrap();
    let bytes = out.to_vec();
    let heads: Vec<(u8, u16, u32)> = [0, 5840, 11680]
        .map(|at| &bytes[at..])
        .map(|b| {
            (
                b[3],
                u16::from_le_bytes([b[8], b[9]]),
                u32::from_le_bytes(b[16..20].try_into().unwrap()),
            )
        })
        .to_vec();
    assert_eq!(heads, [(1, 5840, 11633), (0, 5840, 5817), (2, 25, 1)]);
    assert_eq!(bytes.len(), 11680 + 25);
}

#[test]
fn an_object_stands_before_the_stub() {
    let mut peer = Peer::bound(MPX);
    let object = Uuid::new(0x0102_0304, 5, 6, [7; 8]);
    let mut stub = object.to_bytes_le().to_vec();
    stub.extend(b"rest");
    peer.raw(&request(1, 1, 1, Flags(0x83), &stub));
    let call = &peer.calls[0];
    assert_eq!(
        (call.object, &call.stub),
        (Some(object), &Stub::Own(Bytes::from_static(b"rest")))
    );
    // An object that is cut short is no request.
    Peer::bound(MPX).expelled(
        &request(1, 1, 1, Flags(0x83), &stub[..15]),
        Said::Fault(1, 0, PROTO_ERROR, true),
    );
}

#[test]
fn half_of_anything_gets_old() {
    let second = Duration::from_secs(1);
    let config = || ServerConfig {
        partial: Duration::from_secs(3),
        ..ServerConfig::default()
    };
    let offer = bind(PacketType::BIND, MPX, &[(1, ECHO, &[SyntaxId::NDR])]);
    // A header that does not go on.
    let mut peer = Peer::of(config());
    peer.raw(&offer[..9]);
    assert_eq!(peer.server.poll_timeout(), Some(peer.now + 3 * second));
    // More of the same PDU does not make it younger.
    peer.now += 2 * second;
    peer.raw(&offer[9..12]);
    peer.now += second;
    let mut out = TransmitQueue::new();
    assert!(
        peer.server
            .handle_timeout(peer.now - second, &mut out)
            .is_none()
    );
    let end = peer.server.handle_timeout(peer.now, &mut out);
    assert!(matches!(end, Some(Event::Close(Close::Slow))));
    // Once it is over, it is over.
    peer.raw(b"\x05\0");
    assert_eq!(peer.server.poll_timeout(), None);
    let again = peer.server.handle_timeout(peer.now + 9 * second, &mut out);
    assert!(again.is_none() && out.is_empty());
    // A request of which the next fragment does not come; each fragment gives it more time.
    let mut peer = Peer::of(config());
    peer.raw(&offer);
    assert_eq!(peer.server.poll_timeout(), None);
    peer.raw(&request(1, 1, 1, Flags::FIRST, b""));
    peer.now += 2 * second;
    peer.raw(&request(1, 1, 1, Flags(0), b""));
    let due = peer.server.poll_timeout();
    assert_eq!(due, Some(peer.now + 3 * second));
    // Nothing else does.
    peer.now += second;
    peer.raw(&bare(PacketType::CO_CANCEL, 1));
    peer.raw(&bind(
        PacketType::ALTER_CONTEXT,
        MPX,
        &[(1, ECHO, &[SyntaxId::NDR])],
    ));
    assert_eq!(peer.server.poll_timeout(), due);
    peer.raw(&request(1, 1, 1, Flags::LAST, b""));
    assert_eq!(peer.server.poll_timeout(), None);
    // An exchange that does not go on.
    let mut peer = Peer::of(config());
    peer.raw(&hello(TOY, 5));
    assert_eq!(peer.server.poll_timeout(), Some(peer.now + 3 * second));
}

#[test]
fn every_truncation_of_a_bind_or_request_is_refused_without_a_panic() {
    let offer = hello(TOY, 5);
    for len in 16..offer.len() {
        let mut cut = offer[..len].to_vec();
        cut[8..10].copy_from_slice(&(len as u16).to_le_bytes());
        let answer = Peer::new().say(&cut);
        assert!(matches!(answer, Said::Nak(_)), "{len}: {answer:?}");
    }
    let call = request(1, 1, 1, Flags::WHOLE, b"");
    for len in 16..24 {
        let mut cut = call[..len].to_vec();
        cut[8] = len as u8;
        Peer::bound(MPX).expelled(&cut, Said::Fault(1, 0, PROTO_ERROR, true));
    }
}

#[test]
fn no_byte_of_any_pdu_makes_a_server_panic() {
    let mut script = vec![hello(TOY, 5), password(PacketType::ALTER_CONTEXT, TOY, 5)];
    script.push(request(1, 1, 1, Flags(0x81), &[1; 40]));
    script.push(request(1, 1, 1, Flags::LAST, &[1; 40]));
    script.push(bare(PacketType::CO_CANCEL, 1));
    for (at, pdu) in script.iter().enumerate() {
        for place in 0..pdu.len() {
            for value in [0, 1, 0x7f, 0x80, 0xff, pdu[place] ^ 0x10] {
                let mut peer = Peer::new();
                for before in &script[..at] {
                    peer.raw(before);
                }
                let mut mutated = pdu.clone();
                mutated[place] = value;
                peer.raw(&mutated);
                peer.raw(&script[script.len() - 2]);
            }
        }
    }
}

// Authentication.

fn hello(auth_type: AuthType, level: u8) -> Vec<u8> {
    let body = body(&[(1, ECHO, &[SyntaxId::NDR])]);
    let token = Some((trailer(auth_type, level), &b"hello alice "[..11]));
    bind_with(PacketType::BIND, MPX, &body, token)
}

/// The second leg, with whatever else it claims to be.
fn password(ptype: PacketType, auth_type: AuthType, level: u8) -> Vec<u8> {
    leg(ptype, trailer(auth_type, level), b"PASSWORD")
}

fn leg(ptype: PacketType, trailer: Trailer, token: &[u8]) -> Vec<u8> {
    if ptype == PacketType::AUTH3 {
        let mut pdu = Header::new(ptype, Flags::WHOLE, LE, 7).emit().to_vec();
        pdu.extend([0; 4]);
        pdu.extend(trailer.emit(LE));
        pdu.extend(token);
        assert!(auth::finish(&mut pdu, 0, token.len()));
        return pdu;
    }
    bind_with(
        ptype,
        Flags::WHOLE,
        &body(&[(1, ECHO, &[SyntaxId::NDR])]),
        Some((trailer, token)),
    )
}

/// A peer that authenticated itself at a level.
pub(super) fn alice(level: u8) -> Peer {
    let mut peer = Peer::new();
    peer.heard(&hello(TOY, level), Said::Ack(vec![(0, 0)]));
    peer.heard(&password(PacketType::AUTH3, TOY, level), Said::Nothing);
    peer
}

/// A client's protection of requests.
struct Signer {
    guarding: crate::co::toy::Guarding,
    /// Signs headers, too.
    headers: bool,
}

impl Signer {
    fn new() -> Self {
        Self {
            guarding: crate::co::toy::Guarding::new("server", 16),
            headers: false,
        }
    }

    fn sign(&mut self, trailer: Trailer, pdu: &[u8]) -> Vec<u8> {
        let mut pdu = pdu.to_vec();
        let pad = auth::padding(pdu.len() - 24);
        pdu.resize(pdu.len() + pad, 0);
        let end = pdu.len();
        let trailer = Trailer {
            pad_length: pad as u8,
            ..trailer
        };
        pdu.extend(trailer.emit(LE));
        let mut token = [0; 16];
        pdu.extend(token);
        assert!(auth::finish(&mut pdu, 0, 16));
        let signed = end + 8;
        self.guarding
            .protect(
                AuthLevel::INTEGRITY,
                &mut pdu[..signed],
                24..end,
                self.headers,
                &mut token,
            )
            .unwrap();
        pdu[signed..].copy_from_slice(&token);
        pdu
    }
}

const INTEGRITY: u8 = 5;

#[test]
fn levels_and_types_of_a_bind_have_their_reasons() {
    for (auth_type, level, reason) in [
        (TOY, 0, 0),
        (TOY, 1, 0),
        (TOY, 7, 0),
        (TOY, 255, 0),
        (TOY, 3, 9),
        (AuthType::NONE, 0, 0),
        (AuthType::NONE, 1, 0),
        (AuthType::NONE, 2, 8),
        (AuthType::NONE, 3, 8),
        (AuthType::NONE, 6, 8),
        (AuthType(111), 3, 8),
        (AuthType(111), 5, 8),
    ] {
        Peer::new().expelled(&hello(auth_type, level), Said::Nak(reason));
    }
    // A server without mechanisms knows no type.
    let none = Arc::new(endpoint(ServerConfig::default(), None));
    Peer::at(none).expelled(&hello(TOY, 5), Said::Nak(8));
    // A token that is none.
    let bad = bind_with(
        PacketType::BIND,
        MPX,
        &body(&[(1, ECHO, &[SyntaxId::NDR])]),
        Some((trailer(TOY, 5), b"what?")),
    );
    Peer::new().expelled(&bad, Said::Nak(9));
}

#[test]
fn padding_of_a_bind_is_only_claimed_unless_it_is_claimed_strictly() {
    let with = |ptype, pad_length, token: &[u8]| {
        let trailer = Trailer {
            pad_length,
            ..trailer(TOY, 5)
        };
        leg(ptype, trailer, token)
    };
    // 72 bytes of header and body: 48 of them may be claimed as padding.
    Peer::new().heard(
        &with(PacketType::BIND, 48, b"hello alice"),
        Said::Ack(vec![(0, 0)]),
    );
    Peer::new().expelled(&with(PacketType::BIND, 49, b"hello alice"), Said::Nak(4));
    let greeted = || {
        let mut peer = Peer::new();
        peer.heard(&hello(TOY, 5), Said::Ack(vec![(0, 0)]));
        peer
    };
    greeted().heard(
        &with(PacketType::ALTER_CONTEXT, 48, b"PASSWORD"),
        Said::Ack(vec![(0, 0)]),
    );
    let refused = Said::Fault(7, 0, PROTO_ERROR, true);
    greeted().expelled(&with(PacketType::ALTER_CONTEXT, 49, b"PASSWORD"), refused);
    let refused = Said::Fault(7, 0, 0x1c00_001b, true);
    greeted().expelled(&with(PacketType::AUTH3, 1, b"PASSWORD"), refused);
    let strict = Peer::of(ServerConfig {
        strict_padding: true,
        ..ServerConfig::default()
    });
    strict.expelled(&with(PacketType::BIND, 1, b"hello alice"), Said::Nak(4));
}

#[test]
fn a_verifier_that_does_not_fit_is_refused() {
    // Eight bytes of token are claimed of a bind without any.
    let mut none = bind(PacketType::BIND, Flags::WHOLE, &[]);
    none[10] = 8;
    Peer::new().expelled(&none, Said::Nak(4));
}

#[test]
fn further_legs_are_of_the_type_and_level_of_the_first() {
    let greeted = || {
        let mut peer = Peer::new();
        peer.heard(&hello(TOY, 5), Said::Ack(vec![(0, 0)]));
        peer
    };
    let fault = |status| Said::Fault(7, 0, status, true);
    let alter = PacketType::ALTER_CONTEXT;
    greeted().expelled(&password(alter, TOY, 6), fault(ACCESS_DENIED));
    greeted().expelled(&password(alter, AuthType::KERBEROS, 5), fault(0x721));
    greeted().expelled(&password(alter, AuthType::NONE, 5), fault(ACCESS_DENIED));
    // What is wrong with the contexts comes first, but for a token without a type.
    let wrong = body(&[(1, SECOND, &[SyntaxId::NDR])]);
    for (auth_type, status) in [
        (AuthType::KERBEROS, PROTO_ERROR),
        (AuthType::NONE, ACCESS_DENIED),
    ] {
        let pdu = bind_with(
            alter,
            Flags::WHOLE,
            &wrong,
            Some((trailer(auth_type, 5), b"PASSWORD")),
        );
        greeted().expelled(&pdu, fault(status));
    }
    // Once it stands, a context takes no more.
    alice(5).expelled(&password(alter, TOY, 5), fault(ACCESS_DENIED));
    alice(5).expelled(&password(PacketType::AUTH3, TOY, 5), fault(PROTO_ERROR));
    let bound = Peer::bound(MPX);
    bound.expelled(&password(PacketType::AUTH3, TOY, 5), fault(PROTO_ERROR));
}

#[test]
fn the_answer_to_a_last_token_has_an_empty_trailer() {
    let mut peer = Peer::new();
    peer.heard(&hello(TOY, 5), Said::Ack(vec![(0, 0)]));
    let answer = peer.raw(&password(PacketType::ALTER_CONTEXT, TOY, 5));
    let end = answer.len();
    assert_eq!((answer[2], &answer[10..12]), (15, &[0, 0][..]));
    assert_eq!(answer[end - 8..], [10, 5, 0, 0, 3, 0, 0, 0]);
}

#[test]
fn nothing_is_called_before_authentication_has_ended() {
    let mut signer = Signer::new();
    let signed = signer.sign(trailer(TOY, 5), &request(1, 1, 1, Flags::WHOLE, b""));
    let mut peer = Peer::new();
    peer.heard(&hello(TOY, 5), Said::Ack(vec![(0, 0)]));
    peer.expelled(&signed, Said::Fault(1, 0, PROTO_ERROR, true));
    // At level connect, a request without a verifier is the context's own, too.
    let mut peer = Peer::new();
    peer.heard(&hello(TOY, 2), Said::Ack(vec![(0, 0)]));
    peer.expelled(
        &request(1, 1, 1, Flags::WHOLE, b""),
        Said::Fault(1, 0, PROTO_ERROR, true),
    );
}

#[test]
fn a_failed_exchange_poisons_its_context() {
    for (token, status) in [(&b"password"[..], ACCESS_DENIED), (b"hello bob", 0x721)] {
        let mut signer = Signer::new();
        let mut peer = Peer::new();
        peer.heard(&hello(TOY, 5), Said::Ack(vec![(0, 0)]));
        peer.heard(
            &leg(PacketType::AUTH3, trailer(TOY, 5), token),
            Said::Nothing,
        );
        let signed = signer.sign(trailer(TOY, 5), &request(1, 1, 1, Flags::WHOLE, b""));
        peer.expelled(&signed, Said::Fault(1, 1, status, false));
    }
}

#[test]
fn a_verifier_names_a_context_in_every_field() {
    let call = request(1, 1, 0, Flags::WHOLE, b"0123456789abcdef");
    let own = trailer(TOY, INTEGRITY);
    let mut peer = alice(INTEGRITY);
    let Said::Nothing = peer.say(&Signer::new().sign(own, &request(1, 1, 1, Flags::WHOLE, b"")))
    else {
        panic!()
    };
    assert_eq!(
        peer.calls[0].caller.as_ref().unwrap().principal.name,
        "alice"
    );
    for wrong in [
        Trailer {
            context_id: 4,
            ..own
        },
        Trailer {
            auth_type: AuthType(9),
            ..own
        },
        Trailer {
            level: AuthLevel(2),
            ..own
        },
        Trailer {
            level: AuthLevel(6),
            ..own
        },
    ] {
        let signed = Signer::new().sign(wrong, &call);
        alice(INTEGRITY).expelled(&signed, Said::Fault(1, 1, ACCESS_DENIED, false));
    }
    // One that verifies under nothing.
    let mut forged = Signer::new().sign(own, &call);
    *forged.last_mut().unwrap() ^= 0;
    forged[30] ^= 1;
    alice(INTEGRITY).expelled(&forged, Said::Fault(1, 1, 0x721, false));
    // A trailer where nobody authenticated.
    let signed = Signer::new().sign(trailer(AuthType::NONE, 2), &call);
    Peer::bound(MPX).expelled(&signed, Said::Fault(1, 1, ACCESS_DENIED, false));
    // More padding than there is stub.
    let mut padded = Signer::new().sign(own, &call);
    padded[42] = 17;
    alice(INTEGRITY).expelled(&padded, Said::Fault(1, 0, PROTO_ERROR, false));
}

#[test]
fn further_fragments_verify_under_the_context_of_the_first() {
    let own = trailer(TOY, INTEGRITY);
    let first = request(3, 1, 1, Flags::FIRST, &[1; 16]);
    let last = |context, opnum| request(3, context, opnum, Flags::LAST, &[2; 16]);
    let begun = || {
        let (mut peer, mut signer) = (alice(INTEGRITY), Signer::new());
        peer.heard(&signer.sign(own, &first), Said::Nothing);
        (peer, signer)
    };
    // What the trailer, the context and the operation say is not looked at; the signature is.
    let (mut peer, mut signer) = begun();
    let odd = Trailer {
        auth_type: AuthType(111),
        level: AuthLevel(111),
        pad_length: 0,
        context_id: 111,
    };
    peer.heard(&signer.sign(odd, &last(111, 111)), Said::Nothing);
    assert_eq!(peer.calls.len(), 1);
    // Under another sequence number, as any other context would be.
    let (peer, _) = begun();
    peer.expelled(
        &Signer::new().sign(own, &last(1, 1)),
        Said::Fault(3, 1, 0x721, false),
    );
    // Without a verifier.
    let (peer, _) = begun();
    peer.expelled(&last(1, 1), Said::Fault(3, 1, PROTO_ERROR, false));
    // A first fragment again: the signature is looked at before the order.
    let (peer, mut signer) = begun();
    peer.expelled(
        &signer.sign(own, &first),
        Said::Fault(3, 1, PROTO_ERROR, false),
    );
    let (peer, _) = begun();
    peer.expelled(
        &Signer::new().sign(own, &first),
        Said::Fault(3, 1, 0x721, false),
    );
}

#[test]
fn requests_without_a_verifier_are_nobodys_or_the_one_that_connected() {
    let who = |peer: &mut Peer| {
        peer.heard(&request(50, 1, 1, Flags::WHOLE, b""), Said::Nothing);
        let call = peer.calls.pop().unwrap();
        peer.server.finish(&call.to);
        call.caller.map(|caller| caller.principal.name.clone())
    };
    assert_eq!(who(&mut Peer::bound(MPX)), None);
    assert_eq!(who(&mut alice(INTEGRITY)), None);
    let mut peer = alice(2);
    assert_eq!(who(&mut peer).as_deref(), Some("alice"));
    // Once a request has named the context, those that name none are nobody's.
    let named = Signer::new().sign(trailer(TOY, 2), &request(1, 1, 0, Flags::WHOLE, b""));
    assert!(matches!(peer.say(&named), Said::Response(_)));
    assert_eq!(who(&mut peer), None);
    // A higher level is not the context's.
    let raised = Signer::new().sign(trailer(TOY, 4), &request(1, 1, 0, Flags::WHOLE, b""));
    peer.expelled(&raised, Said::Fault(1, 1, ACCESS_DENIED, false));
}

#[test]
fn security_contexts_are_limited() {
    let greet = |id| {
        let trailer = Trailer {
            context_id: id,
            ..trailer(TOY, 5)
        };
        leg(PacketType::ALTER_CONTEXT, trailer, b"hello alice")
    };
    let finish = |id| {
        let trailer = Trailer {
            context_id: id,
            ..trailer(TOY, 5)
        };
        leg(PacketType::AUTH3, trailer, b"PASSWORD")
    };
    let bound = |auth_contexts, unfinished| {
        let mut peer = Peer::of(ServerConfig {
            auth_contexts,
            unfinished,
            ..ServerConfig::default()
        });
        peer.say(&bind(PacketType::BIND, MPX, &[(1, ECHO, &[SyntaxId::NDR])]));
        peer
    };
    let refused = || Said::Fault(7, 0, PROTO_ERROR, true);
    let mut peer = bound(3, 16);
    for id in 0..3 {
        peer.heard(&greet(id), Said::Ack(vec![(0, 0)]));
        peer.heard(&finish(id), Said::Nothing);
    }
    peer.expelled(&greet(3), refused());
    let mut peer = bound(100, 2);
    peer.heard(&greet(0), Said::Ack(vec![(0, 0)]));
    peer.heard(&greet(1), Said::Ack(vec![(0, 0)]));
    peer.expelled(&greet(2), refused());
}

#[test]
fn a_verification_trailer_must_agree() {
    let header = Header::new(PacketType::REQUEST, Flags::WHOLE, LE, 1);
    let right = Verification {
        header_sign: Some(false),
        syntaxes: Some((ECHO, SyntaxId::NDR)),
        header: Some(Header2::of(&header, 1, 1)),
    };
    let say = |said: &Verification, secured: bool| {
        let mut stub = b"arg".to_vec();
        said.emit(&mut stub, 0, LE);
        let pdu = request(1, 1, 1, Flags::WHOLE, &stub);
        let (mut peer, pdu) = match secured {
            true => (
                alice(INTEGRITY),
                Signer::new().sign(trailer(TOY, INTEGRITY), &pdu),
            ),
            false => (Peer::bound(MPX), pdu),
        };
        let answer = peer.say(&pdu);
        (answer, peer.closed, peer.calls.pop().map(|call| call.stub))
    };
    let taken = (
        Said::Nothing,
        false,
        Some(Stub::Own(Bytes::from_static(b"arg\0"))),
    );
    let refused = || (Said::Fault(1, 1, ACCESS_DENIED, false), true, None);
    for secured in [true, false] {
        assert_eq!(say(&right, secured), taken);
        for wrong in [
            Verification {
                header_sign: Some(true),
                ..right
            },
            Verification {
                syntaxes: Some((SECOND, SyntaxId::NDR)),
                ..right
            },
            Verification {
                syntaxes: Some((ECHO, SyntaxId::NDR64)),
                ..right
            },
            Verification {
                header: Some(Header2::of(&header, 2, 1)),
                ..right
            },
            Verification {
                header: Some(Header2::of(&header, 1, 2)),
                ..right
            },
            Verification {
                header: Some(Header2::of(
                    &Header {
                        call_id: 9,
                        ..header
                    },
                    1,
                    1,
                )),
                ..right
            },
        ] {
            assert_eq!(say(&wrong, secured), refused(), "{wrong:?}");
        }
    }
}

#[test]
fn arguments_that_look_like_a_verification_trailer_are_arguments() {
    let mut stub = crate::pdu::verification::SIGNATURE.to_vec();
    stub.extend([0xff; 100]);
    let mut peer = Peer::bound(MPX);
    peer.heard(
        &request(1, 1, 0, Flags::WHOLE, &stub),
        Said::Response(stub.clone()),
    );
}

#[test]
fn header_signing_is_the_connections_and_may_be_agreed_on_later() {
    let own = trailer(TOY, INTEGRITY);
    let call = request(1, 1, 0, Flags::WHOLE, b"0123456789abcdef");
    let alter = |flags| {
        bind(
            PacketType::ALTER_CONTEXT,
            flags,
            &[(1, ECHO, &[SyntaxId::NDR])],
        )
    };
    let signing = Flags::WHOLE.with(Flags::SUPPORT_HEADER_SIGN);
    // Agreed on by an alter_context without a token: from then on headers are signed, of contexts that stood before, too.
    let (mut peer, mut signer) = (alice(INTEGRITY), Signer::new());
    assert_eq!(peer.raw(&signer.sign(own, &call))[2], 2);
    assert_eq!(peer.raw(&alter(signing))[3], 0x07);
    signer.headers = true;
    assert_eq!(peer.raw(&signer.sign(own, &call))[2], 2);
    signer.headers = false;
    peer.expelled(&signer.sign(own, &call), Said::Fault(1, 1, 0x721, false));
    // The flag of an auth3 means nothing.
    let (mut peer, mut signer) = (Peer::new(), Signer::new());
    peer.heard(&hello(TOY, INTEGRITY), Said::Ack(vec![(0, 0)]));
    let mut last = password(PacketType::AUTH3, TOY, INTEGRITY);
    last[3] |= 0x04;
    peer.heard(&last, Said::Nothing);
    assert_eq!(peer.raw(&signer.sign(own, &call))[2], 2);
    // A server may not want it at all.
    let mut peer = Peer::of(ServerConfig {
        sign_header: false,
        ..ServerConfig::default()
    });
    let answer = peer.raw(&bind(
        PacketType::BIND,
        signing,
        &[(1, ECHO, &[SyntaxId::NDR])],
    ));
    assert_eq!(answer[3], 0x03);
}

#[test]
fn whoever_may_not_call_gets_no_memory() {
    let mut peer = Peer::new();
    peer.say(&bind(
        PacketType::BIND,
        MPX,
        &[(1, CLOSED, &[SyntaxId::NDR]), (2, ECHO, &[SyntaxId::NDR])],
    ));
    let piece = [7; 5000];
    for (context, kept) in [(1, false), (2, true)] {
        peer.heard(&request(1, context, 1, Flags::FIRST, &piece), Said::Nothing);
        peer.heard(&request(1, context, 1, Flags(0), &piece), Said::Nothing);
        assert_eq!(peer.server.held() >= 10_000, kept);
        assert_eq!(peer.server.held() == 0, !kept);
        let answer = match kept {
            true => Said::Nothing,
            false => Said::Fault(1, context, ACCESS_DENIED, true),
        };
        peer.heard(&request(1, context, 1, Flags::LAST, &piece), answer);
    }
    assert_eq!(peer.calls.len(), 1);
}
