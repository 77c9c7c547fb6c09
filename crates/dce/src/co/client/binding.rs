//! How a client binds: what it offers, what it makes of the answer, and the legs of an exchange.
//!
//! Read first: MS-RPCE sections 3.3.2.4.1 and 3.3.1.5.2 and C706 section 12.6.4.3. For each interface NDR is offered and,
//! as a context of its own, NDR64: a server takes one of them. One more context asks for features. Servers of Windows
//! and Samba accept one new context a PDU, so each interface is asked for by itself. The token that ends an exchange
//! goes as auth3, all others as alter_context. This file does not know a mechanism.

use crate::co::client::association::{AUTH_CONTEXT, Asked, Client, Context, Leg, Offer, fault_of};
use crate::co::client::event::{Authentication, Bound, Close, Event, Refused};
use crate::co::client::table::State;
use crate::co::fragment::{Guard, MUST_RECV_FRAG};
use crate::pdu::auth::{self, Trailer, Verifier};
use crate::pdu::bind::{
    Bind, BindAck, BindNak, ContextResult, PresentationContext, Reason, ResultCode,
};
use crate::pdu::call::Fault;
use crate::pdu::header::{Flags, Header, PacketType};
use crate::security::{Answer, Denied, Step};
use crate::syntax::{Features, Syntax, SyntaxId};

impl<T> Client<T> {
    pub(super) fn begin(
        &mut self,
        interfaces: &[SyntaxId],
        authentication: Option<Authentication>,
    ) {
        let (call_id, contexts) = self.prepare(interfaces, Vec::new(), true);
        let Some(Authentication {
            exchange,
            auth_type,
            level,
        }) = authentication
        else {
            return self.ask(PacketType::BIND, call_id, contexts, None);
        };
        self.exchange = Some(Leg {
            exchange,
            auth_type,
            level,
        });
        self.first = Some(contexts);
        self.step(|leg| leg.exchange.step(&[]));
    }

    /// Asks for more interfaces with an alter_context.
    pub(super) fn ask_more(&mut self, interfaces: &[SyntaxId]) {
        self.ask_next(interfaces, Vec::new());
    }

    fn ask_next(&mut self, interfaces: &[SyntaxId], bound: Vec<Bound>) {
        self.state = State::Altering;
        let (call_id, contexts) = self.prepare(interfaces, bound, false);
        self.ask(PacketType::ALTER_CONTEXT, call_id, contexts, None);
    }

    /// Makes the contexts that ask for the first of `interfaces`, and remembers the others.
    // req: dce-client-offers
    fn prepare(
        &mut self,
        interfaces: &[SyntaxId],
        bound: Vec<Bound>,
        features: bool,
    ) -> (u32, Vec<PresentationContext>) {
        let call_id = self.slots.draw();
        let (first, rest) = match interfaces.split_first() {
            Some((first, rest)) => (Some(*first), rest.to_vec()),
            None => (None, Vec::new()),
        };
        let mut asked = Asked {
            call_id,
            interface: first,
            offers: Vec::new(),
            rest,
            bound,
        };
        let mut contexts = Vec::new();
        if let Some(interface) = first {
            let ndr64 = self.config.ndr64.then_some(Offer::Syntax(Syntax::Ndr64));
            let offers = [Some(Offer::Syntax(Syntax::Ndr)), ndr64];
            let offers = offers
                .into_iter()
                .chain([features.then_some(Offer::Features)]);
            for offer in offers.flatten() {
                contexts.push(PresentationContext {
                    context_id: self.next_context,
                    interface,
                    transfers: vec![offer.transfer()],
                });
                asked.offers.push((self.next_context, offer));
                self.next_context = self.next_context.wrapping_add(1);
            }
        }
        self.asked = Some(asked);
        (call_id, contexts)
    }

    /// Appends a bind or alter_context.
    fn ask(
        &mut self,
        ptype: PacketType,
        call_id: u32,
        contexts: Vec<PresentationContext>,
        token: Option<&[u8]>,
    ) {
        let order = self.config.order;
        let sign = token.is_some() && self.config.offers_sign_header();
        let flags = Flags::WHOLE
            .with_if(self.config.multiplexing, Flags::CONC_MPX)
            .with_if(sign, Flags::SUPPORT_HEADER_SIGN);
        let mut pdu = Header::new(ptype, flags, order, call_id).emit().to_vec();
        let body = Bind {
            max_xmit_frag: self.config.fragment,
            max_recv_frag: self.config.fragment,
            assoc_group_id: self.group,
            contexts,
        };
        body.emit(&mut pdu, order);
        self.append(pdu, token);
    }

    /// Appends an auth3: a leg that nothing answers.
    fn ask3(&mut self, call_id: u32, token: &[u8]) {
        let order = self.config.order;
        let header = Header::new(PacketType::AUTH3, Flags::WHOLE, order, call_id);
        let mut pdu = header.emit().to_vec();
        pdu.resize(pdu.len().saturating_add(4), 0);
        self.append(pdu, Some(token));
    }

    fn append(&mut self, mut pdu: Vec<u8>, token: Option<&[u8]>) {
        let trailer = self.exchange.as_ref().map(|leg| Trailer {
            auth_type: leg.auth_type,
            level: leg.level,
            pad_length: 0,
            context_id: AUTH_CONTEXT,
        });
        let fits = match (token, trailer) {
            (Some(token), Some(trailer)) => auth::append(&mut pdu, 0, trailer, token),
            _ => auth::finish(&mut pdu, 0, 0),
        };
        match fits {
            true => self.outbox.put_slice(&pdu),
            false => self.close(Close::Denied(Denied::new("the token does not fit a PDU"))),
        }
    }

    /// Takes a step of the exchange and does what it says.
    fn step(&mut self, f: impl FnOnce(&mut Leg) -> Result<Step, Denied>) {
        let Some(leg) = &mut self.exchange else {
            return;
        };
        match f(leg) {
            Ok(Step::Continue(token)) => self.send_leg(&token, false),
            Ok(Step::Need(query)) => {
                self.asking = true;
                self.events.push_back(Event::Ask(query));
            }
            Ok(Step::Done { token, protection }) => {
                let guard = Guard {
                    auth_type: leg.auth_type,
                    level: leg.level,
                    context_id: AUTH_CONTEXT,
                    sign_header: self.sign_header,
                    protection,
                };
                if let Some(token) = token {
                    self.send_leg(&token, true);
                }
                self.guard = Some(guard);
                if self.first.is_none() && self.state != State::Closed {
                    self.exchange = None;
                    self.bound();
                }
            }
            Err(denied) => self.close(Close::Denied(denied)),
        }
    }

    pub(super) fn resume(&mut self, answer: Answer) {
        self.step(|leg| leg.exchange.answer(answer));
    }

    /// Sends a token: with the bind, with an alter_context, or, if it is the last, as auth3.
    fn send_leg(&mut self, token: &[u8], last: bool) {
        let Some(call_id) = self.asked.as_ref().map(|asked| asked.call_id) else {
            return;
        };
        if let Some(contexts) = self.first.take() {
            self.ask(PacketType::BIND, call_id, contexts, Some(token));
            // A mechanism of one token: the answer to the bind is still to come.
            if last {
                self.first = Some(Vec::new());
            }
            return;
        }
        if last {
            return self.ask3(call_id, token);
        }
        let again = self.contexts.first().map(|context| PresentationContext {
            context_id: context.id,
            interface: context.interface,
            transfers: vec![SyntaxId::of(context.syntax)],
        });
        match again {
            Some(again) => self.ask(PacketType::ALTER_CONTEXT, call_id, vec![again], Some(token)),
            None => self.close(Close::Violation(
                "a token for an association without an interface",
            )),
        }
    }

    /// The server's consent to a bind.
    pub(super) fn ack(&mut self, header: &Header, pdu: &[u8]) {
        let Some(call_id) = self.asked.as_ref().map(|asked| asked.call_id) else {
            return self.close(Close::Violation("a bind_ack that nothing asked for"));
        };
        if call_id != header.call_id {
            return self.close(Close::Violation("a bind_ack under another number"));
        }
        let Some((ack, verifier)) = self.parse_ack(header, pdu) else {
            return;
        };
        let frag = ack.max_recv_frag.min(self.config.fragment);
        if frag < MUST_RECV_FRAG {
            return self.close(Close::Violation("fragments smaller than 1432 bytes"));
        }
        self.max_frag = frag & !7;
        self.multiplexing = self.config.multiplexing && header.flags.has(Flags::CONC_MPX);
        let echoed = header.flags.has(Flags::SUPPORT_HEADER_SIGN);
        self.sign_header = self.config.offers_sign_header() && echoed;
        if self.lacks_signed_headers() {
            let why = "the server does not sign headers, which is required";
            return self.close(Close::Denied(Denied::package(why)));
        }
        self.group = ack.assoc_group_id;
        if !self.take_results(&ack.results) {
            return self.close(Close::Violation("results that were not offered"));
        }
        self.go_on(verifier, pdu);
    }

    /// Whether signed headers are required and were not agreed on.
    // req: dce-rpce-header-sign-required
    fn lacks_signed_headers(&self) -> bool {
        let signs = |leg: &Leg| leg.level.is_per_packet();
        self.config.require_sign_header
            && !self.sign_header
            && self.exchange.as_ref().is_some_and(signs)
    }

    /// The answer to an alter_context: to one that asked for interfaces, or to a leg.
    pub(super) fn alter_ack(&mut self, header: &Header, pdu: &[u8]) {
        let asked = self.asked.as_ref().map(|asked| asked.call_id);
        if asked != Some(header.call_id) {
            return self.close(Close::Violation(
                "an alter_context_resp under another number",
            ));
        }
        let Some((ack, verifier)) = self.parse_ack(header, pdu) else {
            return;
        };
        if self.state == State::Altering && !self.take_results(&ack.results) {
            return self.close(Close::Violation("results that were not offered"));
        }
        self.go_on(verifier, pdu);
    }

    fn parse_ack(&mut self, header: &Header, pdu: &[u8]) -> Option<(BindAck, Option<Verifier>)> {
        let Ok(verifier) = Verifier::find(pdu, header, Header::LEN) else {
            self.close(Close::Violation("a verifier that does not fit"));
            return None;
        };
        let end = verifier.as_ref().map_or(pdu.len(), |verifier| verifier.at);
        let body = pdu.get(Header::LEN..end).unwrap_or_default();
        match BindAck::parse(body, header.order()) {
            Ok(ack) => Some((ack, verifier)),
            Err(_) => {
                self.close(Close::Violation("an answer to a bind that is cut short"));
                None
            }
        }
    }

    /// Matches results to offers; false if they do not.
    // req: dce-client-results
    fn take_results(&mut self, results: &[ContextResult]) -> bool {
        let Some(asked) = &mut self.asked else {
            return false;
        };
        let Some(interface) = asked.interface else {
            return results.is_empty();
        };
        if results.len() != asked.offers.len() {
            return false;
        }
        let mut context = Err(Refused {
            result: ResultCode::PROVIDER_REJECTION.0,
            reason: Reason::NOT_SPECIFIED.0,
        });
        for ((id, offer), result) in asked.offers.iter().zip(results) {
            match (offer, result.result, &context) {
                (Offer::Features, ResultCode::NEGOTIATE_ACK, _) => {
                    self.features = Features(result.reason.0).and(Features::ALL);
                }
                (Offer::Features, ..) => {}
                (_, ResultCode::ACCEPTANCE, _) if result.transfer != offer.transfer() => {
                    return false;
                }
                (Offer::Syntax(syntax), ResultCode::ACCEPTANCE, Err(_)) => {
                    context = Ok((*id, *syntax));
                    self.contexts.push(Context {
                        id: *id,
                        interface,
                        syntax: *syntax,
                    });
                }
                (_, _, Ok(_)) => {}
                (_, code, Err(_)) => {
                    context = Err(Refused {
                        result: code.0,
                        reason: result.reason.0,
                    });
                }
            }
        }
        asked.bound.push(Bound { interface, context });
        true
    }

    /// Goes on with the exchange if there is one, else the association stands.
    fn go_on(&mut self, verifier: Option<Verifier>, pdu: &[u8]) {
        if self.first.take().is_some() {
            // The exchange ended with the bind's own token.
            self.exchange = None;
            if let Some(guard) = &mut self.guard {
                guard.sign_header = self.sign_header;
            }
            return self.bound();
        }
        let Some(leg) = &self.exchange else {
            return self.bound();
        };
        let Some(verifier) = verifier else {
            let why = "the server did not answer the authentication";
            return self.close(Close::Denied(Denied::new(why)));
        };
        let Trailer {
            auth_type,
            level,
            context_id,
            ..
        } = verifier.trailer;
        if (auth_type, level, context_id) != (leg.auth_type, leg.level, AUTH_CONTEXT) {
            return self.close(Close::Violation("a token of another security context"));
        }
        let token = pdu.get(verifier.token).unwrap_or_default();
        self.step(|leg| leg.exchange.step(token));
    }

    /// What was asked for is answered: the next is asked for, if there is one.
    fn bound(&mut self) {
        self.state = State::Bound;
        let Some(asked) = self.asked.take() else {
            return;
        };
        if !asked.rest.is_empty() {
            return self.ask_next(&asked.rest, asked.bound);
        }
        self.events.push_back(Event::Bound(asked.bound));
        if let Some(interfaces) = self.to_ask.pop_front() {
            self.ask_more(&interfaces);
        }
    }

    /// The server's refusal of a bind.
    pub(super) fn nak(&mut self, header: &Header, pdu: &[u8]) {
        let body = pdu.get(Header::LEN..).unwrap_or_default();
        match BindNak::parse(body, header.order()) {
            Ok(nak) => self.close(Close::BindNak {
                reason: nak.reason.0,
            }),
            Err(_) => self.close(Close::Violation("a bind_nak that is cut short")),
        }
    }

    /// A fault instead of the answer to a bind, a leg or an alter_context.
    pub(super) fn bind_fault(&mut self, header: &Header, fault: &Fault) {
        self.close(Close::Fault(fault_of(header, fault, &[])));
    }
}
