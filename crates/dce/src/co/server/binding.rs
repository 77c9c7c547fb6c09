//! How a server takes binds, alter_contexts and auth3s.
//!
//! Read first: MS-RPCE sections 3.3.3.3.1 (bind and alter_context) and 3.3.1.5.2 (legs of an exchange). A bind is
//! refused with a `bind_nak`, the others with a fault; the connection is closed after either. A token that must wait
//! for somebody else's answer keeps its PDU's acknowledgement ready.

use crate::co::fragment;
use crate::co::server::answer;
use crate::co::server::association::{Refuse, Server, Token};
use crate::co::server::event::{Caller, Close, Event};
use crate::co::server::security::Outcome;
use crate::co::server::table::{Leg, State};
use crate::pdu::auth::{BadVerifier, Trailer, Verifier};
use crate::pdu::bind::{Bind, BindAck, ContextResult, NakReason};
use crate::pdu::call::Request;
use crate::pdu::header::{Flags, Header, PacketType};
use crate::security::{AuthType, Denied, Query};
use crate::status;
use farcall_wire::TransmitQueue;
use std::sync::Arc;

impl Server {
    /// The verifier of a bind, alter_context or auth3, whose padding is only claimed.
    fn verifier(&self, pdu: &[u8], header: &Header) -> Result<Option<Verifier>, BadVerifier> {
        let found = Verifier::find(pdu, header, Header::LEN)?;
        if let Some(verifier) = &found {
            let claimed = usize::from(verifier.trailer.pad_length);
            let most = verifier.at.saturating_sub(Request::LEN);
            let strict = self.endpoint.config.strict_padding || header.ptype == PacketType::AUTH3;
            if claimed > if strict { 0 } else { most } {
                return Err(BadVerifier);
            }
        }
        Ok(found)
    }

    pub(super) fn bind(
        &mut self,
        header: &Header,
        pdu: &[u8],
        out: &mut TransmitQueue,
    ) -> Option<Event> {
        let not_specified = NakReason::NOT_SPECIFIED;
        let Ok(verifier) = self.verifier(pdu, header) else {
            let reason = NakReason::PROTOCOL_VERSION_NOT_SUPPORTED;
            return self.nak(header, reason, "a verifier that does not fit", out);
        };
        let end = verifier.as_ref().map_or(pdu.len(), |verifier| verifier.at);
        let body = pdu.get(Header::LEN..end).unwrap_or_default();
        let Ok(bind) = Bind::parse(body, header.order()) else {
            return self.nak(header, not_specified, "a bind that is cut short", out);
        };
        let endpoint = Arc::clone(&self.endpoint);
        let results = match self.contexts.negotiate(&endpoint, &bind, true) {
            Ok(results) => results,
            Err(violated) => return self.nak(header, not_specified, violated.0, out),
        };
        self.take_offer(header);
        let place = match verifier
            .as_ref()
            .map(|v| self.security.leg(&endpoint, &v.trailer, Leg::Bind))
        {
            None => None,
            Some(Ok(place)) => Some(place),
            Some(Err(refusal)) => {
                return self.nak(header, refusal.nak, "authentication refused", out);
            }
        };
        let group = match bind.assoc_group_id {
            0 => endpoint.groups.create(),
            id => endpoint.groups.join(id),
        };
        let Some(group) = group else {
            return self.nak(header, not_specified, "no such association group", out);
        };
        let config = &endpoint.config;
        self.max_frag = fragment::agreed(bind.max_xmit_frag, bind.max_recv_frag, config.fragment);
        self.multiplexing = config.multiplexing && header.flags.has(Flags::CONC_MPX);
        self.order = header.order();
        self.state = State::Bound;
        let ack = self.ack(group.id(), config.secondary_address.clone(), results);
        self.group = Some(group);
        self.settle(header, Leg::Bind, ack, verifier.zip(place), pdu, out)
    }

    pub(super) fn alter(
        &mut self,
        header: &Header,
        pdu: &[u8],
        out: &mut TransmitQueue,
    ) -> Option<Event> {
        let Ok(verifier) = self.verifier(pdu, header) else {
            return self.violation(header, "a verifier that does not fit", out);
        };
        let end = verifier.as_ref().map_or(pdu.len(), |verifier| verifier.at);
        let body = pdu.get(Header::LEN..end).unwrap_or_default();
        let Ok(alter) = Bind::parse(body, header.order()) else {
            return self.violation(header, "an alter_context that is cut short", out);
        };
        let nobody = |v: &Verifier| v.trailer.auth_type == AuthType::NONE;
        if verifier.as_ref().is_some_and(nobody) {
            let refuse = Refuse::bare(header, status::ACCESS_DENIED);
            return self.expel(refuse, "a token without a type", out);
        }
        let endpoint = Arc::clone(&self.endpoint);
        let results = match self.contexts.negotiate(&endpoint, &alter, false) {
            Ok(results) => results,
            Err(violated) => return self.violation(header, violated.0, out),
        };
        self.take_offer(header);
        let place = match verifier
            .as_ref()
            .map(|v| self.security.leg(&endpoint, &v.trailer, Leg::Alter))
        {
            None => None,
            Some(Ok(place)) => Some(place),
            Some(Err(refusal)) => {
                let refuse = Refuse::bare(header, refusal.status);
                return self.expel(refuse, "authentication refused", out);
            }
        };
        let group = self.group.as_ref().map_or(0, |group| group.id());
        let ack = self.ack(group, Vec::new(), results);
        self.settle(header, Leg::Alter, ack, verifier.zip(place), pdu, out)
    }

    /// Takes the offer to sign headers, if a bind or alter_context makes it.
    fn take_offer(&mut self, header: &Header) {
        if header.flags.has(Flags::SUPPORT_HEADER_SIGN) {
            self.security
                .offer_header_signing(self.endpoint.config.agrees_on_sign_header());
        }
    }

    fn ack(
        &self,
        assoc_group_id: u32,
        secondary_address: Vec<u8>,
        results: Vec<ContextResult>,
    ) -> BindAck {
        BindAck {
            max_xmit_frag: self.max_frag,
            max_recv_frag: self.max_frag,
            assoc_group_id,
            secondary_address,
            results,
        }
    }

    /// Takes the token of a bind or alter_context, if it has one, and answers.
    fn settle(
        &mut self,
        header: &Header,
        leg: Leg,
        ack: BindAck,
        token: Option<(Verifier, usize)>,
        pdu: &[u8],
        out: &mut TransmitQueue,
    ) -> Option<Event> {
        let Some((verifier, place)) = token else {
            return self.acknowledge(header, leg, &ack, None, out);
        };
        let outcome = self
            .security
            .step(place, pdu.get(verifier.token).unwrap_or_default());
        let token = Token {
            place,
            leg,
            trailer: verifier.trailer,
            header: *header,
            ack: Some(ack),
        };
        self.conclude(token, outcome, out)
    }

    // req: dce-rpce-ack-flags
    fn acknowledge(
        &mut self,
        asked: &Header,
        leg: Leg,
        ack: &BindAck,
        token: Option<(Trailer, &[u8])>,
        out: &mut TransmitQueue,
    ) -> Option<Event> {
        let agrees = self.endpoint.config.agrees_on_sign_header();
        let signs = agrees && asked.flags.has(Flags::SUPPORT_HEADER_SIGN);
        let flags = Flags::WHOLE.with_if(signs, Flags::SUPPORT_HEADER_SIGN);
        let (ptype, flags) = match leg {
            Leg::Bind => (
                PacketType::BIND_ACK,
                flags.with_if(self.multiplexing, Flags::CONC_MPX),
            ),
            _ => (PacketType::ALTER_CONTEXT_RESP, flags),
        };
        let header = Header::new(ptype, flags, asked.order(), asked.call_id);
        if answer::ack(&header, ack, token, out) {
            self.packets.sent(1);
            return None;
        }
        self.violation(asked, "an answer that does not fit a fragment", out)
    }

    pub(super) fn auth3(
        &mut self,
        header: &Header,
        pdu: &[u8],
        out: &mut TransmitQueue,
    ) -> Option<Event> {
        let Ok(verifier) = self.verifier(pdu, header) else {
            let refuse = Refuse::bare(header, status::REMOTE_NO_MEMORY);
            return self.expel(refuse, "a verifier that does not fit", out);
        };
        let Some(verifier) = verifier else {
            return self.violation(header, "an auth3 without a token", out);
        };
        let endpoint = Arc::clone(&self.endpoint);
        let place = match self.security.leg(&endpoint, &verifier.trailer, Leg::Auth3) {
            Ok(place) => place,
            Err(refusal) => {
                let refuse = Refuse::bare(header, refusal.status);
                return self.expel(refuse, "authentication refused", out);
            }
        };
        let outcome = self
            .security
            .step(place, pdu.get(verifier.token).unwrap_or_default());
        let token = Token {
            place,
            leg: Leg::Auth3,
            trailer: verifier.trailer,
            header: *header,
            ack: None,
        };
        self.conclude(token, outcome, out)
    }

    /// Says what a step came to.
    pub(super) fn conclude(
        &mut self,
        token: Token,
        outcome: Outcome,
        out: &mut TransmitQueue,
    ) -> Option<Event> {
        match outcome {
            Outcome::Ask(query) => self.ask(token, query),
            Outcome::More(bytes) => self.more(&token, &bytes, out),
            Outcome::Done(bytes, caller) => self.done(&token, &bytes, caller, out),
            Outcome::Denied(denied) => self.denied(&token, denied, out),
        }
    }

    fn ask(&mut self, token: Token, query: Query) -> Option<Event> {
        self.asking = Some(Box::new(token));
        Some(Event::Ask(query))
    }

    fn more(&mut self, token: &Token, bytes: &[u8], out: &mut TransmitQueue) -> Option<Event> {
        match &token.ack {
            Some(ack) => {
                let answer = Some((token.trailer, bytes));
                self.acknowledge(&token.header, token.leg, ack, answer, out)
            }
            None => Some(Event::Authenticated(Err(self.unsendable(token)))),
        }
    }

    /// A token in answer to an auth3: there is no way to send it, and so the exchange cannot end.
    fn unsendable(&mut self, token: &Token) -> String {
        self.security.poison(token.place, status::ACCESS_DENIED);
        "an auth3 that should have been an alter_context".to_owned()
    }

    fn done(
        &mut self,
        token: &Token,
        bytes: &[u8],
        caller: Arc<Caller>,
        out: &mut TransmitQueue,
    ) -> Option<Event> {
        let Some(ack) = &token.ack else {
            return Some(Event::Authenticated(match bytes {
                [] => Ok(caller),
                _ => Err(self.unsendable(token)),
            }));
        };
        let answer = Some((token.trailer, bytes));
        let failed = self.acknowledge(&token.header, token.leg, ack, answer, out);
        if failed.is_some() {
            return failed;
        }
        Some(Event::Authenticated(Ok(caller)))
    }

    // req: dce-rpce-auth-failure
    fn denied(&mut self, token: &Token, denied: Denied, out: &mut TransmitQueue) -> Option<Event> {
        let header = &token.header;
        match token.leg {
            Leg::Auth3 => return Some(Event::Authenticated(Err(denied.reason))),
            Leg::Alter => {
                self.refuse(Refuse::bare(header, denied.status), out);
            }
            Leg::Bind => {
                let reason = NakReason::INVALID_CHECKSUM;
                answer::nak(header.order(), header.call_id, reason, out);
                self.packets.sent(1);
            }
        }
        self.close(Close::Denied(denied.reason))
    }
}
