//! A server that sees what the inspector forwards, and PDUs of both sides made of bytes. The property test and the fuzz
//! target `proxy_inspector` play it.

use std::collections::{HashMap, VecDeque};

use farcall_dce::pdu::auth::{self, Trailer};
use farcall_dce::pdu::bind::{Bind, BindAck, ContextResult, PresentationContext, Reason};
use farcall_dce::pdu::call::Request;
use farcall_dce::pdu::{Flags, Header, PacketType};
use farcall_dce::security::{AuthLevel, AuthType};
use farcall_dce::syntax::{Features, Order, SyntaxId, Uuid};
use farcall_proxy::inspect::{Act, Inspector, NO_OPERATION, mask};
use farcall_proxy::policy::Ask;

/// Bytes that somebody chose, zeros at the end.
struct Choices<'a>(&'a [u8]);

impl<'a> Choices<'a> {
    fn byte(&mut self) -> u8 {
        let Some((first, rest)) = self.0.split_first() else {
            return 0;
        };
        self.0 = rest;
        *first
    }

    fn slice(&mut self) -> &'a [u8] {
        let len = usize::from(self.byte()).min(self.0.len());
        let (slice, rest) = self.0.split_at(len);
        self.0 = rest;
        slice
    }
}

fn interface(n: u8) -> SyntaxId {
    SyntaxId::new(Uuid::new(u32::from(n % 3), 0, 0, [1; 8]), 1, 0)
}

/// The policy: the second interface is denied, and operation 5 of all others.
fn allows(ask: &Ask) -> bool {
    // What no interface has, no server executes.
    ask.opnum() == Some(NO_OPERATION)
        || (ask.interface().is_none_or(|it| it != interface(1)) && ask.opnum() != Some(5))
}

fn whole(
    mut body: Vec<u8>,
    ptype: PacketType,
    flags: Flags,
    call_id: u8,
    choices: &mut Choices<'_>,
) -> Vec<u8> {
    let header = Header::new(ptype, flags, Order::Little, call_id.into());
    body.splice(0..0, header.emit());
    match choices.byte() % 4 {
        0 => {
            let level = AuthLevel(choices.byte() % 8);
            let trailer = Trailer {
                auth_type: AuthType::NTLM,
                level,
                pad_length: 0,
                context_id: u32::from(choices.byte() % 3),
            };
            let _ = auth::append(&mut body, 0, trailer, &[7; 16]);
        }
        _ => {
            let _ = auth::finish(&mut body, 0, 0);
        }
    }
    body
}

fn bind(choices: &mut Choices<'_>, ptype: PacketType, call_id: u8) -> Vec<u8> {
    let count = choices.byte() % 4;
    let one = |choices: &mut Choices<'_>| PresentationContext {
        context_id: u16::from(choices.byte() % 4),
        interface: interface(choices.byte()),
        transfers: match choices.byte() % 5 {
            0 => vec![SyntaxId::features(Features::ALL), SyntaxId::NDR],
            1 => vec![],
            2 => vec![SyntaxId::features(Features::ALL)],
            _ => vec![SyntaxId::NDR],
        },
    };
    let contexts = (0..count).map(|_| one(choices)).collect();
    let mut body = Vec::new();
    Bind {
        max_xmit_frag: 5840,
        max_recv_frag: 5840,
        assoc_group_id: 0,
        contexts,
    }
    .emit(&mut body, Order::Little);
    whole(body, ptype, Flags::WHOLE, call_id, choices)
}

/// A server that sees what was forwarded. It may keep the first meaning of a number or the last, so both are kept.
#[derive(Default)]
struct Model {
    contexts: HashMap<u16, Vec<SyntaxId>>,
    pending: VecDeque<(u32, Bind)>,
    partial: Option<(u32, u16, u16)>,
}

impl Model {
    fn sees(&mut self, pdu: &[u8]) {
        let header = Header::parse(pdu.first_chunk().expect("a header")).expect("a header");
        let body = &pdu[Header::LEN..];
        match header.ptype {
            PacketType::BIND | PacketType::ALTER_CONTEXT => {
                let bind = Bind::parse(body, header.order()).expect("a bind that was forwarded");
                self.pending.push_back((header.call_id, bind));
            }
            PacketType::REQUEST => {
                let request = Request::parse(body, &header).expect("a request that was forwarded");
                let named = (header.call_id, request.context_id, request.opnum);
                match header.flags.has(Flags::FIRST) {
                    true => assert!(self.partial.is_none()),
                    false => assert_eq!(self.partial, Some(named)),
                }
                self.partial = (!header.flags.has(Flags::LAST)).then_some(named);
                // Whatever it means to the server must be allowed.
                for meaning in self.contexts.get(&request.context_id).into_iter().flatten() {
                    let ask = Ask::Call {
                        interface: *meaning,
                        opnum: request.opnum,
                        level: AuthLevel::NONE,
                    };
                    assert!(allows(&ask), "{ask:?}");
                }
            }
            PacketType::ORPHANED
                if self
                    .partial
                    .is_some_and(|(call_id, ..)| call_id == header.call_id) =>
            {
                self.partial = None;
            }
            _ => {}
        }
    }

    /// Answers the oldest bind as the fuzzer chooses.
    fn answer(&mut self, bits: u8) -> Option<Vec<u8>> {
        let (call_id, bind) = self.pending.pop_front()?;
        let mut results = Vec::new();
        for (index, context) in bind.contexts.iter().enumerate() {
            // No server takes features for a transfer syntax.
            let sole = matches!(&context.transfers[..], [only] if only.as_features().is_some());
            let accepted = !sole && bits & (1 << (index % 8)) != 0;
            results.push(match accepted {
                true => ContextResult::accepted(SyntaxId::NDR),
                false => ContextResult::rejected(Reason::ABSTRACT_SYNTAX),
            });
            if accepted {
                self.contexts
                    .entry(context.context_id)
                    .or_default()
                    .push(context.interface);
            }
        }
        let ack = BindAck {
            max_xmit_frag: 5840,
            max_recv_frag: 5840,
            assoc_group_id: 1,
            secondary_address: vec![],
            results,
        };
        let mut body = Vec::new();
        ack.emit(&mut body, Order::Little);
        let mut pdu = Header::new(
            PacketType::ALTER_CONTEXT_RESP,
            Flags::WHOLE,
            Order::Little,
            call_id,
        )
        .emit()
        .to_vec();
        pdu.extend(body);
        auth::finish(&mut pdu, 0, 0).then_some(pdu)
    }
}

/// Another proxy goes on, to which the server's answers do not come.
fn handed_over(inspector: &Inspector) -> Inspector {
    let text = serde_json::to_string(&inspector.snapshot()).expect("a text");
    let snapshot = serde_json::from_str(&text).expect("the same");
    let heir = Inspector::resume(&snapshot).expect("not too much");
    assert_eq!(heir.snapshot(), inspector.snapshot());
    heir
}

/// Plays what is in `data`; after so many steps another inspector goes on. Panics if a denied call is forwarded.
pub(crate) fn run(data: &[u8], hands_over: Option<usize>) {
    let mut choices = Choices(data);
    let (mut inspector, mut model) = (Inspector::new(), Model::default());
    let mut steps = 0;
    while !choices.0.is_empty() {
        if hands_over == Some(steps) {
            inspector = handed_over(&inspector);
        }
        steps += 1;
        let hears = hands_over.is_none_or(|at| steps <= at);
        let call_id = choices.byte() % 8;
        let pdu = match choices.byte() % 8 {
            0 => choices.slice().to_vec(),
            1 => bind(&mut choices, PacketType::BIND, call_id),
            2 => bind(&mut choices, PacketType::ALTER_CONTEXT, call_id),
            3 => {
                let Some(pdu) = model.answer(choices.byte()) else {
                    continue;
                };
                if hears && inspector.server(&pdu).is_err() {
                    return;
                }
                continue;
            }
            4 => {
                if inspector.server(choices.slice()).is_err() {
                    return;
                }
                continue;
            }
            5 => whole(
                vec![],
                PacketType(choices.byte() % 21),
                Flags::WHOLE,
                call_id,
                &mut choices,
            ),
            _ => {
                let flags = Flags(choices.byte() & 0x43);
                let request = Request {
                    alloc_hint: 0,
                    context_id: u16::from(choices.byte() % 4),
                    opnum: u16::from(choices.byte() % 8),
                    object: None,
                };
                let body = request.emit(Order::Little).to_vec();
                whole(body, PacketType::REQUEST, flags, call_id, &mut choices)
            }
        };
        match inspector.client(&pdu, 0, &mut |asked| allows(&asked.ask)) {
            Ok(Act::Forward) => model.sees(&pdu),
            Ok(Act::Mask) => model.sees(&mask(&pdu)),
            Ok(Act::Swallow) => {}
            Ok(Act::Answer(fault)) => assert_eq!((fault[2], fault[8]), (3, 32)),
            Err(_) => return,
        }
        assert!(inspector.open().len() <= 512);
    }
}
