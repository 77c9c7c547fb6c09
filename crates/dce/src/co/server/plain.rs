//! Requests that look like the last one, recognised by a few words.
//!
//! Read first: C706 section 12.6.4.9 (the request PDU) and `requests`, which judges requests in full. Most calls of a
//! connection are for one presentation context, unprotected and in one fragment each: what the last such request has
//! passed, the next one passes too, as long as no other PDU came in between. Only its number, its operation and its
//! arguments are its own, and those are looked at here. A request that is not like the last one is left where it is.

use crate::co::server::association::Server;
use crate::co::server::event::{ReplyTo, Verified};
use crate::co::server::habit::{Habit, Own};
use crate::co::server::requests;
use crate::co::server::table::State;
use crate::pdu::call::Request;
use crate::pdu::cursor::widen;
use crate::syntax::Syntax;
use std::ops::Range;

/// A request like the last one: what is its own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plain {
    /// Give this to [`Server::reply`].
    pub to: ReplyTo,
    /// The operation's number.
    pub opnum: u16,
    /// How the arguments are encoded and the reply must be.
    pub syntax: Syntax,
    /// Where in the batch the arguments lie.
    pub stub: Range<usize>,
    /// The check that the last one has passed.
    pub verified: Verified,
}

impl Server {
    /// The service ([`Interface::service`](super::Interface::service)) that a request like the last one is for, if a
    /// whole one lies in `batch` at offset `at`.
    #[inline]
    #[must_use]
    pub fn plain_service(&self, batch: &[u8], at: usize) -> Option<usize> {
        let (habit, ..) = self.recognise(batch.get(at..)?)?;
        Some(habit.service)
    }

    /// Takes a request like the last one, if a whole one lies in `batch` at offset `at` and it is for `service`; `at`
    /// moves past it. It is a call then, as if [`handle_bytes`](Self::handle_bytes) had yielded it: nobody is
    /// authenticated, no object is named and a reply is wanted.
    #[inline]
    pub fn take_plain(&mut self, batch: &[u8], at: &mut usize, service: usize) -> Option<Plain> {
        let (habit, head, end) = self.recognise(batch.get(*at..)?)?;
        if habit.service != service {
            return None;
        }
        let (context_id, order) = (habit.context_id, habit.order);
        let (syntax, verified) = (habit.syntax, habit.verified);
        let stub = at.saturating_add(Request::LEN)..at.saturating_add(end);
        *at = stub.end;
        self.since = None;
        self.packets.received = self.packets.received.wrapping_add(1);
        self.packets.calls = self.packets.calls.wrapping_add(1);
        let to = ReplyTo {
            call_id: head.call_id,
            context_id,
            order,
            guard: None,
            serial: self.calls.begin(head.call_id),
        };
        Some(Plain {
            to,
            opnum: head.opnum,
            syntax,
            stub,
            verified,
        })
    }

    /// A request like the last one at the front of `rest`: its own fields, and where it ends.
    #[inline]
    fn recognise(&self, rest: &[u8]) -> Option<(&Habit, Own, usize)> {
        let habit = self.habit.as_ref()?;
        let head = rest.first_chunk::<{ Request::LEN }>()?;
        let (own, len) = habit.read(head)?;
        let fits = len <= self.endpoint.config.fragment && self.state == State::Bound;
        let end = widen(len);
        let stub = rest.get(Request::LEN..end)?;
        let free =
            self.calls.len() < self.endpoint.config.in_flight && !self.calls.contains(own.call_id);
        let plain = fits && free && !self.splitter.is_partial() && !requests::may_end(stub);
        plain.then_some((habit, own, end))
    }
}
