//! What a client makes of a server that breaks rules, and of one that keeps them in its own way.
//!
//! The server's PDUs are built field by field; what Windows and Samba do differently from C706 is said where it is shown.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::arithmetic_side_effects,
    clippy::as_conversions
)]

use super::*;
use crate::co::tests::{ECHO, SECOND};
use crate::co::toy::{Guarding, TOY, Toy};
use crate::pdu::auth::{self, Trailer};
use crate::pdu::bind::{Bind, BindAck, BindNak, ContextResult, NakReason, Reason, ResultCode};
use crate::pdu::header::{Flags, Header, PacketType};
use crate::pdu::verification::{self, Verification};
use crate::security::{AuthLevel, Initiator, ProtectError, Protection};
use crate::seed::Seed;
use crate::status;
use crate::syntax::{Features, Order, Syntax, SyntaxId};
use bytes::Bytes;
use farcall_wire::TransmitQueue;
use std::time::{Duration, Instant};

const LE: Order = Order::Little;
const MPX: Flags = Flags(0x13);

struct End {
    client: Client<u32>,
    now: Instant,
    events: Vec<Event<u32>>,
    /// The number under which the last PDU went out.
    call_id: u32,
}

impl End {
    fn new(config: ClientConfig) -> Self {
        let now = Instant::now();
        Self {
            client: Client::new(config, now, &Seed::replay(3)),
            now,
            events: Vec::new(),
            call_id: 0,
        }
    }

    /// What the client sends, as PDUs.
    fn sent(&mut self) -> Vec<Vec<u8>> {
        let mut out = TransmitQueue::new();
        self.client.poll_transmit(&mut out);
        let (mut rest, mut pdus) = (&out.to_vec()[..], Vec::new());
        while !rest.is_empty() {
            let header = Header::parse(rest.first_chunk().unwrap()).unwrap();
            assert_eq!(header.check(), Ok(()));
            self.call_id = header.call_id;
            let (pdu, tail) = rest.split_at(header.frag_length.into());
            pdus.push(pdu.to_vec());
            rest = tail;
        }
        pdus
    }

    fn hear(&mut self, bytes: &[u8]) {
        let (batch, mut at) = (Bytes::copy_from_slice(bytes), 0);
        while let Some(event) = self.client.handle_bytes(self.now, &batch, &mut at) {
            self.events.push(event);
        }
        while let Some(event) = self.client.poll_event() {
            self.events.push(event);
        }
    }

    /// Takes the events so far, as text.
    fn told(&mut self) -> Vec<String> {
        self.events
            .drain(..)
            .map(|event| match event {
                Event::Bound(bound) => format!(
                    "bound {}",
                    bound.iter().filter(|b| b.context.is_ok()).count()
                ),
                Event::Response { token, stub, .. } => format!("response {token} {stub:?}"),
                Event::Piece { stub, .. } => format!("piece {stub:?}"),
                Event::Fault { token, fault, .. } => format!("fault {token} {fault}"),
                Event::Ended {
                    token, cause, sent, ..
                } => format!("ended {token} {cause:?} {sent}"),
                Event::Ask(_) => "ask".into(),
                Event::Close(close) => format!("close: {close}"),
            })
            .collect()
    }

    /// The client after a bind of one interface, answered with NDR and these flags.
    fn bound(config: ClientConfig, flags: Flags) -> Self {
        let mut end = Self::new(config);
        end.client.bind(end.now, &[ECHO], None);
        end.sent();
        let ack = ack(&[accepted(), rejected(), features()]);
        end.hear(&answer(
            PacketType::BIND_ACK,
            flags,
            end.call_id,
            &ack,
            None,
        ));
        assert_eq!(end.told(), ["bound 1"]);
        end
    }

    fn call(&mut self, token: u32) -> u32 {
        let id = self
            .client
            .call(self.now, 0, 5, None, b"args", None, token)
            .unwrap();
        self.sent();
        id.0
    }
}

fn accepted() -> ContextResult {
    ContextResult::accepted(SyntaxId::NDR)
}

fn rejected() -> ContextResult {
    ContextResult::rejected(Reason::TRANSFER_SYNTAXES)
}

fn features() -> ContextResult {
    ContextResult {
        result: ResultCode::NEGOTIATE_ACK,
        reason: Reason(3),
        transfer: SyntaxId::NIL,
    }
}

fn ack(results: &[ContextResult]) -> BindAck {
    BindAck {
        max_xmit_frag: 4280,
        max_recv_frag: 4280,
        assoc_group_id: 0x1234,
        secondary_address: b"135".to_vec(),
        results: results.to_vec(),
    }
}

fn answer(
    ptype: PacketType,
    flags: Flags,
    id: u32,
    ack: &BindAck,
    token: Option<(Trailer, &[u8])>,
) -> Vec<u8> {
    let mut pdu = Header::new(ptype, flags, LE, id).emit().to_vec();
    ack.emit(&mut pdu, LE);
    let fits = match token {
        Some((trailer, token)) => auth::append(&mut pdu, 0, trailer, token),
        None => auth::finish(&mut pdu, 0, 0),
    };
    assert!(fits);
    pdu
}

fn response(id: u32, flags: Flags, stub: &[u8]) -> Vec<u8> {
    let mut pdu = Header::new(PacketType::RESPONSE, flags, LE, id)
        .emit()
        .to_vec();
    pdu.extend([0, 0, 0, 0, 0, 0, 0, 0]);
    pdu.extend(stub);
    assert!(auth::finish(&mut pdu, 0, 0));
    pdu
}

fn fault(id: u32, status: u32) -> Vec<u8> {
    let fault = crate::pdu::call::Fault {
        alloc_hint: 24,
        context_id: 0,
        cancel_count: 0,
        flags: 0,
        status,
    };
    fault.pdu(LE, id, false).to_vec()
}

#[test]
fn a_bind_offers_both_syntaxes_and_features() {
    let mut end = End::new(ClientConfig::default());
    end.client.bind(end.now, &[ECHO], None);
    let pdus = end.sent();
    let header = Header::parse(pdus[0].first_chunk().unwrap()).unwrap();
    assert_eq!((header.ptype, header.flags), (PacketType::BIND, MPX));
    let bind = Bind::parse(&pdus[0][16..], LE).unwrap();
    assert_eq!(
        (bind.max_xmit_frag, bind.max_recv_frag, bind.assoc_group_id),
        (5840, 5840, 0)
    );
    let offers: Vec<_> = bind
        .contexts
        .iter()
        .map(|c| (c.context_id, c.interface, c.transfers.clone()))
        .collect();
    assert_eq!(
        offers,
        [
            (0, ECHO, vec![SyntaxId::NDR]),
            (1, ECHO, vec![SyntaxId::NDR64]),
            (2, ECHO, vec![SyntaxId::features(Features(3))]),
        ]
    );
}

#[test]
fn what_the_server_grants_is_kept_to() {
    let end = End::bound(ClientConfig::default(), MPX);
    assert!(end.client.is_multiplexing());
    assert_eq!(
        (end.client.group(), end.client.features()),
        (0x1234, Features::ALL)
    );
    // The server takes fragments of 4280 bytes.
    let mut end = end;
    end.client
        .call(end.now, 0, 5, None, &[7; 5000], None, 1)
        .unwrap();
    let lens: Vec<usize> = end.sent().iter().map(Vec::len).collect();
    assert_eq!(lens, [4280, 5000 - 4256 + 24]);
    let end = End::bound(ClientConfig::default(), Flags::WHOLE);
    assert!(!end.client.is_multiplexing());
}

#[test]
fn a_server_may_prefer_ndr64() {
    let mut end = End::new(ClientConfig::default());
    end.client.bind(end.now, &[ECHO], None);
    end.sent();
    let both = ack(&[
        rejected(),
        ContextResult::accepted(SyntaxId::NDR64),
        features(),
    ]);
    end.hear(&answer(PacketType::BIND_ACK, MPX, end.call_id, &both, None));
    let Some(Event::Bound(bound)) = end.events.pop() else {
        panic!()
    };
    assert_eq!(bound[0].context, Ok((1, Syntax::Ndr64)));
}

#[test]
fn answers_to_a_bind_that_are_none_end_it() {
    let all = [accepted(), rejected(), features()];
    let right = ack(&all);
    let of = |results: &[ContextResult]| ack(results);
    let cases: Vec<(Vec<u8>, &str)> = vec![
        (
            answer(PacketType::BIND_ACK, MPX, 0, &right, None),
            "under another number",
        ),
        (
            answer(PacketType::BIND_ACK, MPX, 1, &of(&all[..2]), None),
            "not offered",
        ),
        (
            answer(
                PacketType::BIND_ACK,
                MPX,
                1,
                &of(&[
                    ContextResult::accepted(SyntaxId::NDR64),
                    rejected(),
                    features(),
                ]),
                None,
            ),
            "not offered",
        ),
        (
            answer(
                PacketType::BIND_ACK,
                MPX,
                1,
                &of(&[ContextResult::accepted(ECHO), rejected(), features()]),
                None,
            ),
            "not offered",
        ),
        (
            answer(
                PacketType::BIND_ACK,
                MPX,
                1,
                &BindAck {
                    max_recv_frag: 1431,
                    ..right.clone()
                },
                None,
            ),
            "smaller than 1432",
        ),
        (response(1, Flags::WHOLE, b""), "out of order"),
    ];
    for (mut pdu, why) in cases {
        let mut end = End::new(ClientConfig::default());
        end.client.bind(end.now, &[ECHO], None);
        end.sent();
        if pdu[12] == 1 {
            pdu[12..16].copy_from_slice(&end.call_id.to_le_bytes());
        }
        end.hear(&pdu);
        let told = end.told();
        assert!(
            told.len() == 1 && told[0].contains(why),
            "{told:?}, expected {why}"
        );
    }
}

#[test]
fn a_server_of_another_protocol_is_not_waited_for() {
    for said in [
        &b"H"[..],
        b"HTTP/1.1 400 Bad Request\r\n",
        b"SSH-2.0-x\r\n",
        &[0; 7],
    ] {
        let mut end = End::new(ClientConfig::default());
        end.client.bind(end.now, &[ECHO], None);
        end.sent();
        end.hear(said);
        let told = end.told();
        assert!(
            told.iter()
                .any(|one| one.ends_with(": bytes that are no PDU")),
            "{told:?}"
        );
    }
}

#[test]
fn a_refused_bind_says_why() {
    let mut end = End::new(ClientConfig::default());
    end.client.bind(end.now, &[ECHO], None);
    end.sent();
    let mut pdu = Header::new(PacketType::BIND_NAK, Flags::WHOLE, LE, end.call_id)
        .emit()
        .to_vec();
    BindNak::new(NakReason::AUTHENTICATION_TYPE_NOT_RECOGNIZED).emit(&mut pdu, LE);
    assert!(auth::finish(&mut pdu, 0, 0));
    end.hear(&pdu);
    assert_eq!(
        end.told(),
        ["close: bind refused: authentication type not recognized"]
    );
    let mut end = End::new(ClientConfig::default());
    end.client.bind(end.now, &[ECHO], None);
    end.sent();
    let pdu = fault(end.call_id, status::ACCESS_DENIED);
    end.hear(&pdu);
    let expected =
        "close: bind or authentication answered by fault 0x00000005 (ERROR_ACCESS_DENIED)";
    assert_eq!(end.told(), [expected]);
}

#[test]
fn an_answer_to_no_call_ends_the_association() {
    for pdu in [response(77, Flags::WHOLE, b""), fault(77, 5)] {
        let mut end = End::bound(ClientConfig::default(), MPX);
        end.call(1);
        end.hear(&pdu);
        let why = "close: the server broke the protocol: an answer to a call that was not made";
        assert_eq!(end.told(), ["ended 1 Lost true", why]);
        assert_eq!(
            end.client.call(end.now, 0, 0, None, b"", None, 2),
            Err(CallError::NotBound)
        );
    }
}

#[test]
fn pdus_out_of_order_end_the_association() {
    // A server may call nobody back: a request is among them.
    for ptype in [0, 1, 4, 11, 12, 13, 14, 15, 16, 18, 19, 20, 99].map(PacketType) {
        let mut end = End::bound(ClientConfig::default(), MPX);
        let mut pdu = Header::new(ptype, Flags::WHOLE, LE, 1).emit().to_vec();
        assert!(auth::finish(&mut pdu, 0, 0));
        end.hear(&pdu);
        let told = end.told();
        assert!(told[0].contains("out of order"), "{ptype}: {told:?}");
    }
}

#[test]
fn fragments_of_responses_may_mix_but_not_their_order() {
    let mut end = End::bound(ClientConfig::default(), MPX);
    let (a, b) = (end.call(1), end.call(2));
    end.hear(&response(a, Flags::FIRST, b"a1"));
    end.hear(&response(b, Flags::FIRST, b"b1"));
    end.hear(&response(a, Flags(0), b""));
    end.hear(&response(a, Flags::LAST, b"a2"));
    end.hear(&response(b, Flags::LAST, b"b2"));
    assert_eq!(
        end.told(),
        ["response 1 Own(b\"a1a2\")", "response 2 Own(b\"b1b2\")"]
    );
    for (first, second) in [
        (Flags(0), None),
        (Flags::LAST, None),
        (Flags::FIRST, Some(Flags::FIRST)),
        (Flags::FIRST, Some(Flags::WHOLE)),
    ] {
        let mut end = End::bound(ClientConfig::default(), MPX);
        let id = end.call(1);
        end.hear(&response(id, first, b"xx"));
        if let Some(second) = second {
            end.hear(&response(id, second, b"yy"));
        }
        let told = end.told();
        assert!(
            told[1].contains("fragments of a response out of order"),
            "{told:?}"
        );
    }
}

#[test]
fn responses_are_limited_in_size() {
    let config = ClientConfig {
        response: 3000,
        ..ClientConfig::default()
    };
    let mut end = End::bound(config, MPX);
    let (a, b) = (end.call(1), end.call(2));
    end.hear(&response(a, Flags::FIRST, &[0; 2000]));
    end.hear(&response(b, Flags::FIRST, &[0; 1000]));
    assert!(end.told().is_empty());
    end.hear(&response(b, Flags::LAST, &[0; 1]));
    let told = end.told();
    assert!(told[2].contains("ClientConfig::response"), "{told:?}");
    // A fragment larger than was offered.
    let mut end = End::bound(ClientConfig::default(), MPX);
    let id = end.call(1);
    end.hear(&response(id, Flags::WHOLE, &[0; 5840 - 24 + 1]));
    assert!(end.told()[1].contains("larger than was agreed"));
}

#[test]
fn faults_carry_extended_information_if_they_say_so() {
    let mut end = End::bound(ClientConfig::default(), MPX);
    let id = end.call(1);
    let mut pdu = fault(id, status::PROTO_ERROR);
    pdu[3] |= 0x20;
    pdu[23] = 1;
    pdu.extend(b"eerr");
    pdu[8] = 36;
    end.hear(&pdu);
    let Some(Event::Fault { fault, .. }) = end.events.pop() else {
        panic!()
    };
    assert_eq!(fault.extended.as_deref(), Some(&b"eerr"[..]));
    assert!(fault.did_not_execute);
    assert_eq!(
        fault.to_string(),
        "fault 0x1c01000b (nca_s_proto_error), not executed"
    );
}

#[test]
fn calls_are_refused_for_their_reasons() {
    let mut idle = End::new(ClientConfig::default());
    assert_eq!(
        idle.client.call(idle.now, 0, 0, None, b"", None, 1),
        Err(CallError::NotBound)
    );
    assert_eq!(
        idle.client.alter(idle.now, &[SECOND]),
        Err(CallError::NotBound)
    );
    let config = ClientConfig {
        in_flight: 2,
        queued: 50,
        ..ClientConfig::default()
    };
    let mut end = End::bound(config, MPX);
    // Context 1 was offered and refused.
    assert_eq!(
        end.client.call(end.now, 1, 0, None, b"", None, 1),
        Err(CallError::NoContext)
    );
    let call = |end: &mut End| {
        end.client
            .call(end.now, 0, 0, None, &[0; 40], None, 1)
            .map(|_| ())
    };
    assert_eq!(call(&mut end), Ok(()));
    assert_eq!(call(&mut end), Err(CallError::Queued { limit: 50 }));
    end.sent();
    assert_eq!(call(&mut end), Ok(()));
    end.sent();
    assert_eq!(call(&mut end), Err(CallError::InFlight { limit: 2 }));
}

#[test]
fn a_lost_connection_says_which_calls_may_have_run() {
    let mut end = End::bound(ClientConfig::default(), MPX);
    end.call(1);
    end.client
        .call(end.now, 0, 5, None, b"args", None, 2)
        .unwrap();
    end.client.lost();
    end.hear(b"");
    let mut told = end.told();
    told.sort();
    assert_eq!(told, ["ended 1 Lost true", "ended 2 Lost false"]);
    assert!(end.sent().is_empty());
}

#[test]
fn without_multiplexing_a_call_has_a_reply() {
    let mut end = End::bound(ClientConfig::default(), Flags::WHOLE);
    end.client.call(end.now, 0, 5, None, b"", None, 1).unwrap();
    let refused = end.client.maybe(0, 5, None, b"");
    assert_eq!(refused, Err(CallError::NotMultiplexing));
    assert_eq!(end.sent().len(), 1);
}

#[test]
fn without_multiplexing_a_call_given_up_takes_the_connection_along() {
    let mut end = End::bound(ClientConfig::default(), Flags::WHOLE);
    let deadline = Some(end.now + Duration::from_secs(1));
    end.client
        .call(end.now, 0, 5, None, b"", deadline, 1)
        .unwrap();
    end.client.call(end.now, 0, 5, None, b"", None, 2).unwrap();
    assert_eq!(end.sent().len(), 1);
    end.now += Duration::from_secs(1);
    end.client.handle_timeout(end.now);
    assert_eq!(end.sent()[0][2], 18);
    end.now += Duration::from_secs(1);
    end.client.handle_timeout(end.now);
    end.hear(b"");
    let why = "close: a call was given up on a connection without multiplexing";
    assert_eq!(
        end.told(),
        ["ended 1 TimedOut true", "ended 2 Lost false", why]
    );
}

#[test]
fn numbers_go_round() {
    let mut end = End::bound(ClientConfig::default(), MPX);
    let mut last = None;
    for _ in 0..100 {
        let id = end.call(1);
        assert_ne!(Some(id), last);
        last = Some(id);
        end.hear(&response(id, Flags::WHOLE, b""));
    }
    assert_eq!((end.told().len(), end.client.in_flight()), (100, 0));
}

// Authentication.

fn trailer(level: u8) -> Trailer {
    Trailer {
        auth_type: TOY,
        level: AuthLevel(level),
        pad_length: 0,
        context_id: 1,
    }
}

fn asking(config: ClientConfig, level: AuthLevel) -> End {
    let mut end = End::new(config);
    let authentication = Authentication {
        exchange: Toy::default().initiate("server", level).unwrap(),
        auth_type: TOY,
        level,
    };
    end.client.bind(end.now, &[ECHO], Some(authentication));
    end
}

/// A client that authenticated itself; the server echoes header signing if `signs`.
fn known(signs: bool) -> (End, Vec<Vec<u8>>) {
    let mut end = asking(ClientConfig::default(), AuthLevel::INTEGRITY);
    let mut pdus = end.sent();
    let ack = ack(&[accepted(), rejected(), features()]);
    let flags = MPX.with_if(signs, Flags::SUPPORT_HEADER_SIGN);
    let token = Some((trailer(5), &b"prove it"[..]));
    end.hear(&answer(
        PacketType::BIND_ACK,
        flags,
        end.call_id,
        &ack,
        token,
    ));
    assert_eq!(end.told(), ["bound 1"]);
    pdus.extend(end.sent());
    (end, pdus)
}

#[test]
fn the_last_token_goes_as_auth3() {
    let (_, pdus) = known(true);
    let ends: Vec<_> = pdus
        .iter()
        .map(|pdu| (pdu[2], pdu[3], pdu.len() % 4))
        .collect();
    assert_eq!(ends, [(11, 0x17, 3), (16, 0x03, 0)]);
    // Four bytes of padding, the trailer, the token.
    assert_eq!(pdus[1][16..28], [0, 0, 0, 0, 10, 5, 0, 0, 1, 0, 0, 0]);
    assert_eq!(pdus[1][28..], *b"PASSWORD");
}

#[test]
fn a_server_must_answer_a_token_in_the_same_context() {
    let ack = ack(&[accepted(), rejected(), features()]);
    let right = trailer(5);
    let other = [
        Some((
            Trailer {
                level: AuthLevel(6),
                ..right
            },
            &b"prove it"[..],
        )),
        Some((
            Trailer {
                context_id: 2,
                ..right
            },
            b"prove it",
        )),
        Some((right, b"who are you?")),
        None,
    ];
    for token in other {
        let mut end = asking(ClientConfig::default(), AuthLevel::INTEGRITY);
        end.sent();
        end.hear(&answer(PacketType::BIND_ACK, MPX, end.call_id, &ack, token));
        let told = end.told();
        assert!(
            told.len() == 1 && told[0].starts_with("close: "),
            "{told:?}"
        );
    }
}

#[test]
fn requests_carry_a_verification_trailer_and_either_way_of_signing() {
    for signs in [true, false] {
        let (mut end, _) = known(signs);
        end.client
            .call(end.now, 0, 9, None, b"args", None, 1)
            .unwrap();
        let mut pdu = end.sent().pop().unwrap();
        // 24 bytes of header, 4 of stub, 80 of trailer, 12 of padding, 8 and 16 of verifier.
        assert_eq!((pdu.len(), pdu[8], pdu[10], pdu[122]), (144, 144, 16, 12));
        let said = Verification::parse(&pdu[28..108], LE).unwrap();
        assert_eq!(said.header_sign, Some(true));
        assert_eq!(said.syntaxes, Some((ECHO, SyntaxId::NDR)));
        let header = said.header.unwrap();
        assert_eq!(
            (header.call_id, header.context_id, header.opnum),
            (end.call_id, 0, 9)
        );
        assert_eq!(verification::find(&pdu[24..108]), Some(4));
        let mut server = Guarding::new("alice", 16);
        let (signed, token) = pdu.split_at_mut(128);
        let token = token.to_vec();
        assert_eq!(
            server.verify(AuthLevel::INTEGRITY, signed, 24..120, signs, &token),
            Ok(())
        );
    }
}

/// Protects a response as the toy server does, without header signing.
fn signed(server: &mut Guarding, pdu: &[u8]) -> Vec<u8> {
    let mut pdu = pdu.to_vec();
    let pad = auth::padding(pdu.len() - 24);
    pdu.resize(pdu.len() + pad, 0);
    let end = pdu.len();
    pdu.extend(
        Trailer {
            pad_length: pad as u8,
            ..trailer(5)
        }
        .emit(LE),
    );
    let mut token = [0; 16];
    pdu.extend(token);
    assert!(auth::finish(&mut pdu, 0, 16));
    server
        .protect(
            AuthLevel::INTEGRITY,
            &mut pdu[..end + 8],
            24..end,
            false,
            &mut token,
        )
        .unwrap();
    pdu[end + 8..].copy_from_slice(&token);
    pdu
}

#[test]
fn responses_must_verify_but_faults_may_come_bare() {
    let (mut end, _) = known(false);
    let mut server = Guarding::new("alice", 16);
    let id = end.call(1);
    end.hear(&signed(
        &mut server,
        &response(id, Flags::WHOLE, b"results"),
    ));
    assert_eq!(end.told(), ["response 1 Own(b\"results\")"]);
    let id = end.call(2);
    end.hear(&fault(id, status::BAD_STUB_DATA));
    assert_eq!(
        end.told(),
        ["fault 2 fault 0x000006f7 (RPC_X_BAD_STUB_DATA)"]
    );
    // A response without a verifier, and one that was changed.
    let (mut end, _) = known(false);
    let id = end.call(1);
    end.hear(&response(id, Flags::WHOLE, b"results"));
    assert!(matches!(
        end.events.last(),
        Some(Event::Close(Close::Protect(ProtectError::BadToken)))
    ));
    let (mut end, _) = known(false);
    let id = end.call(1);
    let mut pdu = signed(
        &mut Guarding::new("alice", 16),
        &response(id, Flags::WHOLE, b"results"),
    );
    pdu[25] ^= 1;
    end.hear(&pdu);
    assert!(matches!(
        end.events.last(),
        Some(Event::Close(Close::Protect(ProtectError::BadToken)))
    ));
    let (mut end, _) = known(false);
    let id = end.call(1);
    let mut pdu = signed(
        &mut Guarding::new("alice", 16),
        &response(id, Flags::WHOLE, b"results"),
    );
    let at = pdu.len() - 24;
    pdu[at + 1] = 6;
    end.hear(&pdu);
    assert!(end.told()[1].contains("another security context"));
}

#[test]
fn no_byte_of_any_pdu_makes_a_client_panic() {
    let all = ack(&[accepted(), rejected(), features()]);
    let script = |end: &mut End| {
        vec![
            answer(
                PacketType::BIND_ACK,
                MPX,
                end.call_id,
                &all,
                Some((trailer(5), b"prove it")),
            ),
            signed(
                &mut Guarding::new("alice", 16),
                &response(end.call_id.wrapping_add(1), Flags::WHOLE, b"results!"),
            ),
            fault(end.call_id.wrapping_add(1), 5),
        ]
    };
    let lens: Vec<usize> = script(&mut End::new(ClientConfig::default()))
        .iter()
        .map(Vec::len)
        .collect();
    for (at, len) in lens.into_iter().enumerate() {
        for place in 0..len {
            for value in [0, 1, 0x7f, 0x80, 0xff] {
                let mut end = asking(ClientConfig::default(), AuthLevel::INTEGRITY);
                end.sent();
                let pdus = script(&mut end);
                if at > 0 {
                    end.hear(&pdus[0]);
                    end.call(1);
                }
                let mut mutated = pdus[at].clone();
                mutated[place] = value;
                end.hear(&mutated);
                end.hear(&pdus[2]);
            }
        }
    }
}
