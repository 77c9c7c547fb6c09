//! Tests of the inspector: associations PDU by PDU.

use farcall_dce::pdu::auth::{self, Trailer};
use farcall_dce::pdu::bind::{ContextResult, PresentationContext, Reason};
use farcall_dce::syntax::Features;

use super::*;

const A: SyntaxId = SyntaxId::new(Uuid::new(0xa, 0, 0, [0; 8]), 1, 0);
const B: SyntaxId = SyntaxId::new(Uuid::new(0xb, 0, 0, [0; 8]), 1, 0);

fn whole(mut pdu: Vec<u8>, ptype: PacketType, flags: Flags, order: Order, call_id: u32) -> Vec<u8> {
    let header = Header::new(ptype, flags, order, call_id);
    pdu.splice(0..0, header.emit());
    assert!(auth::finish(&mut pdu, 0, 0));
    pdu
}

/// A PDU with a verifier for security context 7.
fn secured(mut pdu: Vec<u8>, level: AuthLevel) -> Vec<u8> {
    let trailer = Trailer {
        auth_type: AuthType::NTLM,
        level,
        pad_length: 0,
        context_id: 7,
    };
    assert!(auth::append(&mut pdu, 0, trailer, &[0xee; 16]));
    pdu
}

fn contexts(list: &[(u16, SyntaxId)]) -> Vec<PresentationContext> {
    let one = |(context_id, interface): &(u16, SyntaxId)| PresentationContext {
        context_id: *context_id,
        interface: *interface,
        transfers: vec![SyntaxId::NDR],
    };
    list.iter().map(one).collect()
}

fn binding(
    ptype: PacketType,
    order: Order,
    call_id: u32,
    contexts: Vec<PresentationContext>,
) -> Vec<u8> {
    let mut body = Vec::new();
    let bind = Bind {
        max_xmit_frag: 5840,
        max_recv_frag: 5840,
        assoc_group_id: 0,
        contexts,
    };
    bind.emit(&mut body, order);
    whole(body, ptype, Flags::WHOLE, order, call_id)
}

fn bind(list: &[(u16, SyntaxId)]) -> Vec<u8> {
    binding(PacketType::BIND, Order::Little, 1, contexts(list))
}

fn alter(call_id: u32, list: &[(u16, SyntaxId)]) -> Vec<u8> {
    binding(
        PacketType::ALTER_CONTEXT,
        Order::Little,
        call_id,
        contexts(list),
    )
}

fn ack(ptype: PacketType, call_id: u32, accepted: &[bool]) -> Vec<u8> {
    let result = |accepted: &bool| match accepted {
        true => ContextResult::accepted(SyntaxId::NDR),
        false => ContextResult::rejected(Reason::ABSTRACT_SYNTAX),
    };
    let ack = BindAck {
        max_xmit_frag: 5840,
        max_recv_frag: 5840,
        assoc_group_id: 9,
        secondary_address: b"593".to_vec(),
        results: accepted.iter().map(result).collect(),
    };
    let mut body = Vec::new();
    ack.emit(&mut body, Order::Little);
    whole(body, ptype, Flags::WHOLE, Order::Little, call_id)
}

fn fragment(call_id: u32, flags: Flags, context_id: u16, opnum: u16) -> Vec<u8> {
    let request = Request {
        alloc_hint: 4,
        context_id,
        opnum,
        object: None,
    };
    let mut body = request.emit(Order::Little).to_vec();
    body.extend([1, 2, 3, 4]);
    whole(body, PacketType::REQUEST, flags, Order::Little, call_id)
}

fn call(call_id: u32, context_id: u16, opnum: u16) -> Vec<u8> {
    fragment(call_id, Flags::WHOLE, context_id, opnum)
}

fn bare(ptype: PacketType, call_id: u32) -> Vec<u8> {
    whole(Vec::new(), ptype, Flags::WHOLE, Order::Little, call_id)
}

/// An association whose policy denies interface B, and operation 5 of everything. It keeps what was asked.
#[derive(Default)]
struct Both {
    inspector: Inspector,
    asked: Vec<Asked>,
}

impl Both {
    fn sends(&mut self, pdu: &[u8]) -> Result<Act, Violation> {
        let asked = &mut self.asked;
        self.inspector.client(pdu, 100, &mut |it| {
            asked.push(*it);
            it.ask.interface() != Some(B) && it.ask.opnum() != Some(5)
        })
    }

    fn answers(&mut self, pdu: &[u8]) -> Result<Back, Violation> {
        self.inspector.server(pdu)
    }

    /// Bound to A as context 0, and to `more`.
    fn bound(more: &[(u16, SyntaxId)]) -> Self {
        let mut both = Self::default();
        let list: Vec<_> = [(0, A)].into_iter().chain(more.iter().copied()).collect();
        assert_eq!(both.sends(&bind(&list)), Ok(Act::Forward));
        let results = vec![true; list.len()];
        assert_eq!(
            both.answers(&ack(PacketType::BIND_ACK, 1, &results)),
            Ok(Back::Nothing)
        );
        both.asked.clear();
        both
    }

    /// The level that the last question was about.
    fn level(&self) -> Option<AuthLevel> {
        self.asked.last().and_then(|it| it.ask.level())
    }
}

fn fault(act: Result<Act, Violation>) -> (u32, u32) {
    let Ok(Act::Answer(pdu)) = act else {
        panic!("no fault but {act:?}");
    };
    let word = |at: usize| u32::from_le_bytes([pdu[at], pdu[at + 1], pdu[at + 2], pdu[at + 3]]);
    (word(12), word(24))
}

fn refused(act: Result<Act, Violation>, expected: &str) {
    let error = act.expect_err(expected);
    assert!(error.0.contains(expected), "{error}");
}

#[test]
fn a_denied_call_gets_a_fault_and_the_connection_lives() {
    let mut both = Both::bound(&[]);
    assert_eq!(both.sends(&call(2, 0, 4)), Ok(Act::Forward));
    // C706 section 12.6.4.7, MS-RPCE section 2.2.2.10: first, last and did-not-execute; 32 bytes; the call's number; a hint of
    // 24; the context; status 5.
    let expected = [
        5, 0, 3, 0x23, 0x10, 0, 0, 0, 32, 0, 0, 0, 3, 0, 0, 0, 24, 0, 0, 0, 0, 0, 0, 0, 5, 0, 0, 0,
        0, 0, 0, 0,
    ];
    assert_eq!(both.sends(&call(3, 0, 5)), Ok(Act::Answer(expected)));
    assert_eq!(both.sends(&call(4, 0, 4)), Ok(Act::Forward));
    let asked: Vec<_> = both
        .asked
        .iter()
        .map(|it| (it.call_id, it.ask.opnum()))
        .collect();
    assert_eq!(asked, [(2, Some(4)), (3, Some(5)), (4, Some(4))]);
}

#[test]
fn the_fragments_of_a_denied_call_are_swallowed() {
    let mut both = Both::bound(&[]);
    assert_eq!(fault(both.sends(&fragment(2, Flags::FIRST, 0, 5))), (2, 5));
    assert_eq!(both.sends(&fragment(2, Flags(0), 0, 5)), Ok(Act::Swallow));
    assert_eq!(
        both.sends(&bare(PacketType::CO_CANCEL, 2)),
        Ok(Act::Swallow)
    );
    assert_eq!(
        both.sends(&fragment(2, Flags::LAST, 0, 5)),
        Ok(Act::Swallow)
    );
    assert_eq!(
        both.sends(&fragment(3, Flags::FIRST, 0, 4)),
        Ok(Act::Forward)
    );
    assert_eq!(both.sends(&fragment(3, Flags(0), 0, 4)), Ok(Act::Forward));
    assert_eq!(
        both.sends(&fragment(3, Flags::LAST, 0, 4)),
        Ok(Act::Forward)
    );
    // Each call was asked about once.
    assert_eq!(both.asked.len(), 2);
}

#[test]
fn a_denied_call_that_is_given_up_ends() {
    let mut both = Both::bound(&[]);
    assert_eq!(fault(both.sends(&fragment(2, Flags::FIRST, 0, 5))), (2, 5));
    assert_eq!(both.sends(&bare(PacketType::ORPHANED, 2)), Ok(Act::Swallow));
    assert_eq!(both.sends(&call(3, 0, 4)), Ok(Act::Forward));
    assert_eq!(both.sends(&bare(PacketType::ORPHANED, 3)), Ok(Act::Forward));
    assert!(both.inspector.open().is_empty());
}

#[test]
fn a_call_that_wants_no_answer_gets_none() {
    let mut both = Both::bound(&[]);
    assert_eq!(
        both.sends(&fragment(2, Flags::WHOLE.with(Flags::MAYBE), 0, 5)),
        Ok(Act::Swallow)
    );
    assert_eq!(
        both.sends(&fragment(3, Flags::WHOLE.with(Flags::MAYBE), 0, 4)),
        Ok(Act::Forward)
    );
    assert!(both.inspector.open().is_empty());
}

#[test]
fn a_request_of_a_context_that_was_not_bound_goes_nowhere() {
    let mut both = Both::bound(&[]);
    assert_eq!(fault(both.sends(&call(2, 1, 4))), (2, status::UNK_IF));
    assert!(both.asked.is_empty());
}

#[test]
fn a_bind_of_denied_interfaces_alone_is_answered_here() {
    let mut both = Both::default();
    assert_eq!(fault(both.sends(&bind(&[(0, B), (1, B)]))), (1, 5));
    assert_eq!(both.asked.len(), 1);
    // The server has seen nothing, so the client may begin again.
    assert_eq!(both.sends(&bind(&[(0, B), (1, A)])), Ok(Act::Forward));
    assert_eq!(fault(both.sends(&call(2, 0, 4))), (2, 5));
    assert_eq!(both.sends(&call(3, 1, 4)), Ok(Act::Forward));
}

#[test]
fn what_an_alter_context_adds_is_asked_about() {
    let mut both = Both::bound(&[]);
    assert_eq!(fault(both.sends(&alter(2, &[(1, B)]))), (2, 5));
    assert_eq!(fault(both.sends(&call(3, 1, 4))), (3, status::UNK_IF));
    assert_eq!(both.sends(&alter(4, &[(1, A)])), Ok(Act::Forward));
    assert_eq!(both.sends(&call(5, 1, 4)), Ok(Act::Forward));
    // Nothing at all is a leg of authentication.
    assert_eq!(
        both.sends(&secured(alter(6, &[]), AuthLevel::PRIVACY)),
        Ok(Act::Forward)
    );
}

#[test]
fn a_number_has_one_meaning() {
    let mut both = Both::bound(&[]);
    refused(
        both.sends(&alter(2, &[(0, SyntaxId::new(A.uuid, 2, 0))])),
        "presentation context of two interfaces",
    );
    let mut both = Both::bound(&[]);
    assert_eq!(
        both.sends(&secured(alter(2, &[]), AuthLevel::PRIVACY)),
        Ok(Act::Forward)
    );
    refused(
        both.sends(&secured(alter(3, &[]), AuthLevel::CONNECT)),
        "two types or levels",
    );
    let mut both = Both::bound(&[]);
    assert_eq!(
        both.sends(&secured(alter(2, &[]), AuthLevel::PRIVACY)),
        Ok(Act::Forward)
    );
    refused(
        both.sends(&secured(call(3, 0, 4), AuthLevel::CONNECT)),
        "two types or levels",
    );
}

#[test]
fn a_number_that_the_server_did_not_take_is_free_again() {
    let mut both = Both::bound(&[]);
    let other = SyntaxId::new(A.uuid, 2, 0);
    assert_eq!(both.sends(&alter(2, &[(0, A), (1, A)])), Ok(Act::Forward));
    assert_eq!(
        both.answers(&ack(PacketType::ALTER_CONTEXT_RESP, 2, &[false, false])),
        Ok(Back::Nothing)
    );
    assert_eq!(both.sends(&alter(3, &[(1, other)])), Ok(Act::Forward));
    // One that was taken before stays, whatever was said later.
    refused(both.sends(&alter(4, &[(0, other)])), "two interfaces");
    let mut both = Both::bound(&[]);
    assert_eq!(both.sends(&alter(2, &[(1, A)])), Ok(Act::Forward));
    let answer = Fault {
        alloc_hint: 24,
        context_id: 0,
        cancel_count: 0,
        flags: 0,
        status: 5,
    };
    assert_eq!(
        both.answers(&answer.pdu(Order::Little, 2, true)),
        Ok(Back::Nothing)
    );
    assert_eq!(both.sends(&alter(3, &[(1, other)])), Ok(Act::Forward));
}

#[test]
fn a_question_about_features_makes_no_context() {
    let mut both = Both::default();
    let mut list = contexts(&[(0, A), (1, A)]);
    list[1].transfers = vec![SyntaxId::features(Features::ALL)];
    let pdu = binding(PacketType::BIND, Order::Little, 1, list);
    assert_eq!(both.sends(&pdu), Ok(Act::Forward));
    assert_eq!(fault(both.sends(&call(2, 1, 4))), (2, status::UNK_IF));
    assert_eq!(both.sends(&call(3, 0, 4)), Ok(Act::Forward));
}

#[test]
fn features_beside_a_transfer_syntax_make_a_context() {
    // A server that knows no features takes the other one, and the interface that goes with it.
    let both = |id, interface| PresentationContext {
        context_id: id,
        interface,
        transfers: vec![SyntaxId::features(Features::ALL), SyntaxId::NDR],
    };
    let alter = |call_id, list| binding(PacketType::ALTER_CONTEXT, Order::Little, call_id, list);
    let mut denied = Both::bound(&[]);
    assert_eq!(fault(denied.sends(&alter(2, vec![both(1, B)]))), (2, 5));
    // Twice under one number, the second time of what is allowed: it could mean either.
    let mut twice = Both::bound(&[]);
    let list = [vec![both(1, B)], contexts(&[(1, A)])].concat();
    refused(twice.sends(&alter(2, list)), "two interfaces");
}

#[test]
fn the_level_is_that_of_the_security_context() {
    let mut both = Both::default();
    assert_eq!(
        both.sends(&secured(bind(&[(0, A)]), AuthLevel::PRIVACY)),
        Ok(Act::Forward)
    );
    assert_eq!(both.level(), Some(AuthLevel::PRIVACY));
    assert_eq!(
        both.sends(&secured(bare(PacketType::AUTH3, 1), AuthLevel::PRIVACY)),
        Ok(Act::Forward)
    );
    assert_eq!(
        both.sends(&secured(call(2, 0, 4), AuthLevel::PRIVACY)),
        Ok(Act::Forward)
    );
    assert_eq!(both.level(), Some(AuthLevel::PRIVACY));
    // A request that names no context is nobody's.
    assert_eq!(both.sends(&call(3, 0, 4)), Ok(Act::Forward));
    assert_eq!(both.level(), Some(AuthLevel::NONE));
    // An alter_context has what its association has.
    assert_eq!(both.sends(&alter(4, &[(1, A)])), Ok(Act::Forward));
    assert_eq!(both.level(), Some(AuthLevel::PRIVACY));
}

#[test]
fn at_level_connect_requests_need_not_say_so_until_one_does() {
    let mut both = Both::default();
    assert_eq!(
        both.sends(&secured(bind(&[(0, A)]), AuthLevel::CONNECT)),
        Ok(Act::Forward)
    );
    assert_eq!(both.sends(&call(2, 0, 4)), Ok(Act::Forward));
    assert_eq!(both.level(), Some(AuthLevel::CONNECT));
    assert_eq!(
        both.sends(&secured(call(3, 0, 4), AuthLevel::CONNECT)),
        Ok(Act::Forward)
    );
    assert_eq!(both.sends(&call(4, 0, 4)), Ok(Act::Forward));
    assert_eq!(both.level(), Some(AuthLevel::NONE));
}

#[test]
fn a_request_of_no_security_context_goes_nowhere() {
    let mut both = Both::bound(&[]);
    assert_eq!(
        fault(both.sends(&secured(call(2, 0, 4), AuthLevel::PRIVACY))),
        (2, 5)
    );
    assert!(both.asked.is_empty());
    refused(
        both.sends(&secured(bare(PacketType::AUTH3, 1), AuthLevel::PRIVACY)),
        "no security context",
    );
    let mut both = Both::bound(&[]);
    refused(
        both.sends(&bare(PacketType::AUTH3, 1)),
        "without a verifier",
    );
}

#[test]
fn after_a_denied_call_a_context_that_numbers_its_messages_is_at_its_end() {
    for (level, ends) in [
        (AuthLevel::CONNECT, false),
        (AuthLevel::PKT, true),
        (AuthLevel::PRIVACY, true),
    ] {
        let mut both = Both::default();
        assert_eq!(
            both.sends(&secured(bind(&[(0, A)]), level)),
            Ok(Act::Forward)
        );
        assert_eq!(fault(both.sends(&secured(call(2, 0, 5), level))), (2, 5));
        let next = both.sends(&secured(call(3, 0, 4), level));
        match ends {
            false => assert_eq!(next, Ok(Act::Forward)),
            true => assert_eq!(fault(next), (3, status::SEC_PKG_ERROR)),
        }
        // What is denied anyway is still told so.
        assert_eq!(fault(both.sends(&secured(call(4, 0, 5), level))), (4, 5));
    }
}

#[test]
fn a_clients_pdus_must_be_a_clients_and_in_order() {
    for ptype in [0, 14, 16, 18, 19] {
        let pdu = match ptype {
            0 => call(1, 0, 0),
            14 => alter(1, &[(0, A)]),
            _ => bare(PacketType(ptype), 1),
        };
        refused(Both::default().sends(&pdu), "before the bind");
    }
    for ptype in [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 12, 13, 15, 17, 20, 21, 255] {
        refused(
            Both::bound(&[]).sends(&bare(PacketType(ptype), 1)),
            "no client sends",
        );
    }
    for ptype in [0, 1, 11, 14, 16, 18, 19, 20, 21] {
        let answer = Both::bound(&[]).answers(&bare(PacketType(ptype), 1));
        assert_eq!(answer, Err(Violation("a PDU that no server sends")));
    }
    refused(Both::bound(&[]).sends(&bind(&[(1, A)])), "a second bind");
    assert_eq!(
        Both::bound(&[]).answers(&ack(PacketType::ALTER_CONTEXT_RESP, 5, &[true])),
        Err(Violation("an answer to no bind"))
    );
}

#[test]
fn fragments_must_be_of_the_call_they_name() {
    let begun = || {
        let mut both = Both::bound(&[(1, A)]);
        assert_eq!(
            both.sends(&fragment(2, Flags::FIRST, 0, 4)),
            Ok(Act::Forward)
        );
        both
    };
    refused(
        begun().sends(&fragment(3, Flags(0), 0, 4)),
        "a fragment of no request",
    );
    refused(
        begun().sends(&fragment(2, Flags(0), 0, 5)),
        "another operation",
    );
    refused(
        begun().sends(&fragment(2, Flags::LAST, 1, 4)),
        "another operation",
    );
    refused(begun().sends(&call(3, 0, 4)), "amid the fragments");
    refused(
        begun().sends(&fragment(2, Flags::FIRST, 0, 4)),
        "amid the fragments",
    );
    refused(begun().sends(&alter(3, &[(2, A)])), "amid the fragments");
    refused(
        Both::bound(&[]).sends(&fragment(2, Flags::LAST, 0, 4)),
        "a fragment of no request",
    );
}

#[test]
fn the_byte_order_stays_and_answers_are_in_it() {
    let mut both = Both::default();
    let pdu = binding(PacketType::BIND, Order::Big, 1, contexts(&[(0, B)]));
    let Ok(Act::Answer(answer)) = both.sends(&pdu) else {
        panic!("no fault");
    };
    assert_eq!(
        (answer[4], &answer[8..10], &answer[24..28]),
        (0, &[0, 32][..], &[0, 0, 0, 5][..])
    );
    refused(both.sends(&bind(&[(0, A)])), "a byte order that changes");
}

#[test]
fn whatever_is_cut_off_is_refused() {
    let pdus = [
        secured(bind(&[(0, A), (1, A)]), AuthLevel::PRIVACY),
        secured(alter(2, &[(1, A)]), AuthLevel::PRIVACY),
        secured(call(2, 0, 4), AuthLevel::PRIVACY),
        bare(PacketType::ORPHANED, 2),
    ];
    for pdu in pdus {
        for len in 0..pdu.len() {
            let mut both = if pdu[2] == 11 {
                Both::default()
            } else {
                Both::bound(&[])
            };
            let mut cut = pdu[..len].to_vec();
            assert!(both.sends(&cut).is_err());
            // The same with a length that agrees.
            if let Some(field) = cut.get_mut(8..10) {
                field.copy_from_slice(&u16::try_from(len).expect("short").to_le_bytes());
                let result = both.sends(&cut);
                assert!(
                    result != Ok(Act::Forward) || len >= 24,
                    "{len} of {}",
                    pdu.len()
                );
            }
        }
        let mut long = pdu.clone();
        long.push(0);
        let mut both = if pdu[2] == 11 {
            Both::default()
        } else {
            Both::bound(&[])
        };
        assert!(both.sends(&long).is_err());
    }
}

#[test]
fn contexts_that_reach_into_the_verifier_are_none() {
    let mut pdu = secured(bind(&[(0, A)]), AuthLevel::PRIVACY);
    // There are two contexts, it says; the second would be the trailer and the token.
    pdu[24] = 2;
    refused(Both::default().sends(&pdu), "a bind that cannot be read");
}

#[test]
fn the_end_of_a_call_is_told_with_what_it_took() {
    let mut both = Both::bound(&[]);
    assert_eq!(
        both.sends(&fragment(2, Flags::FIRST, 0, 4)),
        Ok(Act::Forward)
    );
    assert_eq!(
        both.sends(&fragment(2, Flags::LAST, 0, 4)),
        Ok(Act::Forward)
    );
    assert_eq!(both.sends(&call(3, 0, 6)), Ok(Act::Forward));
    assert_eq!(both.inspector.open().len(), 2);
    let response = |flags| whole(vec![0; 8], PacketType::RESPONSE, flags, Order::Little, 2);
    assert_eq!(both.answers(&response(Flags::FIRST)), Ok(Back::Nothing));
    let call = Open {
        call_id: 2,
        interface: A,
        opnum: 4,
        since: 100,
        sent: 56,
        received: 48,
    };
    assert_eq!(
        both.answers(&response(Flags::LAST)),
        Ok(Back::Ended(Ended { call, fault: None }))
    );
    let fault = Fault {
        alloc_hint: 24,
        context_id: 0,
        cancel_count: 0,
        flags: 0,
        status: 0x6f7,
    };
    let Ok(Back::Ended(ended)) = both.answers(&fault.pdu(Order::Little, 3, false)) else {
        panic!("no end");
    };
    assert_eq!((ended.call.opnum, ended.fault), (6, Some(0x6f7)));
    assert!(both.inspector.open().is_empty());
}

#[test]
fn what_is_held_has_a_bound() {
    let mut both = Both::bound(&[]);
    for call_id in 2..2000 {
        assert_eq!(both.sends(&call(call_id, 0, 4)), Ok(Act::Forward));
    }
    assert_eq!(both.inspector.open().len(), MAX_OPEN);
    let mut both = Both::bound(&[]);
    let accepted = |both: &mut Both, from: u16| {
        let list: Vec<_> = (from..from + 100).map(|id| (id, A)).collect();
        both.sends(&alter(from.into(), &list))
            .map(|_| ack(PacketType::ALTER_CONTEXT_RESP, from.into(), &[true; 100]))
    };
    for from in [100, 200] {
        let answer = accepted(&mut both, from).expect("room");
        assert_eq!(both.answers(&answer), Ok(Back::Nothing));
    }
    assert_eq!(
        accepted(&mut both, 300),
        Err(Violation("too many presentation contexts"))
    );
    let mut both = Both::bound(&[]);
    let mut last = Ok(Act::Forward);
    for call_id in 2..20 {
        last = both.sends(&alter(call_id, &[(1, A)]));
    }
    refused(last, "too many binds");
}

/// A bind with a verifier that was answered, and the offer to sign headers if `signs`.
fn protected(level: AuthLevel, signs: bool) -> Both {
    let mut both = Both::default();
    let mut bind = secured(bind(&[(0, A)]), level);
    if signs {
        bind[3] |= Flags::SUPPORT_HEADER_SIGN.0;
    }
    assert_eq!(both.sends(&bind), Ok(Act::Forward));
    let ack = ack(PacketType::BIND_ACK, 1, &[true]);
    assert_eq!(both.answers(&ack), Ok(Back::Nothing));
    both
}

#[test]
fn where_headers_are_not_signed_a_denied_call_goes_to_the_server_as_one_of_no_operation() {
    for level in [AuthLevel::PKT, AuthLevel::INTEGRITY, AuthLevel::PRIVACY] {
        let mut both = protected(level, false);
        let denied_call = secured(call(2, 0, 5), level);
        assert_eq!(both.sends(&denied_call), Ok(Act::Mask));
        // C706 section 12.6.4.9: the operation stands at 22; nothing else is changed.
        let masked = mask(&denied_call);
        assert_eq!(masked[22..24], [0xff, 0xff]);
        assert_eq!(
            (&masked[..22], &masked[24..]),
            (&denied_call[..22], &denied_call[24..])
        );
        // The next call under it goes on.
        assert_eq!(both.sends(&secured(call(3, 0, 4), level)), Ok(Act::Forward));
        // The server's fault, 0x1c010002, becomes access denied.
        let mut fault =
            b"\x05\0\x03\x23\x10\0\0\0\x20\0\0\0\x02\0\0\0\0\0\0\0\0\0\0\0\x02\0\x01\x1c\0\0\0\0"
                .to_vec();
        assert_eq!(both.answers(&fault), Ok(Back::Denied));
        assert_eq!(denied(&fault)[24..28], [5, 0, 0, 0]);
        // A signed one stays as it is.
        fault[10] = 16;
        assert_eq!(denied(&fault), fault);
        assert!(both.answers(&fault[..]).is_err(), "it is not whole");
    }
}

#[test]
fn fragments_of_a_masked_call_are_masked_and_an_answer_to_it_is_none() {
    let level = AuthLevel::PRIVACY;
    let mut both = protected(level, false);
    let part = |flags| secured(fragment(2, flags, 0, 5), level);
    assert_eq!(both.sends(&part(Flags::FIRST)), Ok(Act::Mask));
    assert_eq!(both.sends(&part(Flags(0))), Ok(Act::Mask));
    assert_eq!(both.sends(&part(Flags::LAST)), Ok(Act::Mask));
    let response = whole(
        vec![0; 8],
        PacketType::RESPONSE,
        Flags::WHOLE,
        Order::Little,
        2,
    );
    assert!(
        both.answers(&response).is_err(),
        "the server executed something"
    );
}

#[test]
fn where_headers_may_be_signed_a_denied_call_ends_the_security_context() {
    let level = AuthLevel::PRIVACY;
    let mut both = protected(level, true);
    assert_eq!(fault(both.sends(&secured(call(2, 0, 5), level))), (2, 5));
    let next = both.sends(&secured(call(3, 0, 4), level));
    assert_eq!(fault(next), (3, status::SEC_PKG_ERROR));
}

#[test]
fn masked_calls_that_are_not_answered_have_a_bound() {
    let level = AuthLevel::PKT;
    let mut both = protected(level, false);
    for call_id in 0..512 {
        assert_eq!(
            both.sends(&secured(call(10 + call_id, 0, 5), level)),
            Ok(Act::Mask)
        );
    }
    assert_eq!(fault(both.sends(&secured(call(9, 0, 5), level))), (9, 5));
}

#[test]
fn whoever_does_not_hear_the_server_may_be_asked_for_interfaces_without_end() {
    // Without its answers, binds would seem to wait for one for ever.
    let mut alone = Both::default();
    alone.inspector.be_alone();
    assert_eq!(alone.sends(&bind(&[(0, A)])), Ok(Act::Forward));
    for id in 1..100 {
        assert_eq!(
            alone.sends(&alter(u32::from(id), &[(id, A)])),
            Ok(Act::Forward)
        );
        assert_eq!(alone.sends(&call(1000, id, 4)), Ok(Act::Forward));
    }
    // An answer that comes after all is none to a bind that is awaited.
    let ack = ack(PacketType::ALTER_CONTEXT_RESP, 7, &[false]);
    assert_eq!(alone.answers(&ack), Ok(Back::Nothing));
    // A number keeps its meaning, whatever the server said.
    let other = SyntaxId::new(Uuid::new(0xc, 0, 0, [0; 8]), 1, 0);
    refused(alone.sends(&alter(200, &[(7, other)])), "two interfaces");
}

#[test]
fn another_inspector_goes_on_amid_a_call() {
    let first = |flags: &[Flags]| flags.iter().fold(0, |all, it| all | it.0);
    for (opnum, act) in [(4, Act::Forward), (5, Act::Swallow)] {
        let mut both = Both::bound(&[(3, B)]);
        let begun = both.sends(&fragment(9, Flags(first(&[Flags::FIRST])), 0, opnum));
        assert_eq!(begun == Ok(Act::Forward), act == Act::Forward);
        let mut heir = Both {
            inspector: Inspector::resume(&both.inspector.snapshot()).expect("not too much"),
            asked: Vec::new(),
        };
        // The next fragment goes where the first went, and names what it named.
        assert_eq!(heir.sends(&fragment(9, Flags(0), 0, opnum)), Ok(act));
        assert_eq!(heir.sends(&fragment(9, Flags::LAST, 0, opnum)), Ok(act));
        assert!(heir.asked.is_empty());
        assert_eq!(heir.sends(&call(10, 0, 4)), Ok(Act::Forward));
        assert_eq!(fault(heir.sends(&call(11, 3, 4))), (11, 5));
        refused(heir.sends(&bind(&[(4, A)])), "a second bind");
        let mut other = Both {
            inspector: Inspector::resume(&both.inspector.snapshot()).expect("not too much"),
            asked: Vec::new(),
        };
        refused(
            other.sends(&fragment(9, Flags::LAST, 0, 6)),
            "another operation",
        );
    }
}
