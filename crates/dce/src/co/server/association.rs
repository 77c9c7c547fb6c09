//! The server's half of one association.

use crate::co::fragment::{self, Message};
use crate::co::group::Group;
use crate::co::server::answer;
use crate::co::server::calls::{Begun, Calls};
use crate::co::server::config::Endpoint;
use crate::co::server::contexts::Contexts;
use crate::co::server::event::{Close, Event, ReplyError, ReplyTo};
use crate::co::server::habit::Habit;
use crate::co::server::partial::Partial;
use crate::co::server::security::Security;
use crate::co::server::table::{Leg, Rule, State, rule};
use crate::co::stream::{Pdu, Splitter, Start, VERSIONS};
use crate::pdu::auth::Trailer;
use crate::pdu::bind::{BindAck, NakReason};
use crate::pdu::header::{Flags, Header, PacketType};
use crate::security::Answer;
use crate::seed::Seed;
use crate::status;
use crate::syntax::{Features, Order};
use bytes::Bytes;
use farcall_wire::TransmitQueue;
use std::fmt;
use std::sync::Arc;
use std::time::Instant;

/// The server's half of one association.
///
/// In: [`handle_bytes`](Self::handle_bytes) until it returns `None`, [`handle_timeout`](Self::handle_timeout),
/// [`answer`](Self::answer). Commands: [`reply`](Self::reply), [`fault`](Self::fault), [`finish`](Self::finish),
/// [`shutdown`](Self::shutdown). Out: events as return values, bytes appended to the queue that is an argument,
/// [`poll_timeout`](Self::poll_timeout). Time must not run backwards.
pub struct Server {
    pub(super) endpoint: Arc<Endpoint>,
    pub(super) state: State,
    pub(super) splitter: Splitter,
    pub(super) contexts: Contexts,
    pub(super) security: Security,
    pub(super) calls: Calls,
    pub(super) partial: Option<Box<Partial>>,
    pub(super) asking: Option<Box<Token>>,
    pub(super) group: Option<Arc<Group>>,
    pub(super) max_frag: u16,
    /// Calls may be in flight together.
    pub(super) multiplexing: bool,
    /// The byte order of the last bind.
    pub(super) order: Order,
    /// Since when something is missing.
    pub(super) since: Option<Instant>,
    pub(super) packets: Packets,
    /// What the last request was like, if the next one may be taken by that.
    pub(super) habit: Option<Habit>,
}

/// How many PDUs an association has received and sent, and how many calls they were.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Packets {
    /// Whole PDUs that came.
    pub received: u32,
    /// PDUs that were put into the queue.
    pub sent: u32,
    /// Calls that were handed out.
    pub calls: u32,
}

impl Packets {
    #[inline]
    pub(super) fn sent(&mut self, count: u32) {
        self.sent = self.sent.wrapping_add(count);
    }
}

/// A token that is being worked on, and what must be said when it is done.
#[derive(Debug)]
pub(super) struct Token {
    pub(super) place: usize,
    pub(super) leg: Leg,
    pub(super) trailer: Trailer,
    pub(super) header: Header,
    /// What answers a bind or an alter_context.
    pub(super) ack: Option<BindAck>,
}

/// How a request or alter_context is refused with a fault.
#[derive(Clone, Copy)]
pub(super) struct Refuse {
    pub(super) call_id: u32,
    pub(super) context_id: u16,
    pub(super) order: Order,
    pub(super) status: u32,
    pub(super) did_not_execute: bool,
}

impl Refuse {
    /// Nothing was executed, and no context can be named.
    pub(super) fn bare(header: &Header, status: u32) -> Self {
        Self {
            call_id: header.call_id,
            context_id: 0,
            order: header.order(),
            status,
            did_not_execute: true,
        }
    }

    pub(super) fn about(context_id: u16, header: &Header, status: u32) -> Self {
        Self {
            context_id,
            did_not_execute: false,
            ..Self::bare(header, status)
        }
    }

    /// The fault of a call that is partly received.
    pub(super) fn of(partial: &Partial, status: u32) -> Self {
        let first = &partial.first;
        Self::about(first.request.context_id, &first.header, status)
    }

    /// The same, saying that nothing was executed.
    pub(super) fn unexecuted(self) -> Self {
        Self {
            did_not_execute: true,
            ..self
        }
    }

    /// The same, not saying that nothing was executed.
    pub(super) fn executed(self) -> Self {
        Self {
            did_not_execute: false,
            ..self
        }
    }
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Server")
            .field("state", &self.state)
            .field("contexts", &self.contexts)
            .field("calls", &self.calls)
            .field("group", &self.group)
            .finish_non_exhaustive()
    }
}

impl Server {
    /// An association of which nothing has arrived. (Nothing in it is random: group and handle numbers come from
    /// the endpoint's [`Groups`](crate::co::group::Groups).)
    #[must_use]
    pub fn new(endpoint: Arc<Endpoint>, now: Instant, seed: &Seed) -> Self {
        let _ = (now, seed);
        Self {
            state: State::Unbound,
            splitter: Splitter::new(),
            contexts: Contexts::default(),
            security: Security::default(),
            calls: Calls::default(),
            partial: None,
            asking: None,
            group: None,
            max_frag: fragment::LEAST_FRAG,
            multiplexing: false,
            order: Order::Little,
            since: None,
            packets: Packets::default(),
            habit: None,
            endpoint,
        }
    }

    /// The next thing that `batch` brings from offset `at`, which moves past what was used. Answers of the
    /// protocol itself are appended to `out`.
    ///
    /// `None`: the batch is used up (the beginning of a PDU at its end was copied inside), or an
    /// [`Ask`](Event::Ask) is unanswered; then keep the batch and come back. A request that is one unprotected
    /// fragment costs neither a copy nor an allocation.
    #[inline]
    pub fn handle_bytes(
        &mut self,
        now: Instant,
        batch: &Bytes,
        at: &mut usize,
        out: &mut TransmitQueue,
    ) -> Option<Event> {
        while self.asking.is_none() {
            if self.state == State::Closed {
                *at = batch.len();
                return None;
            }
            let event = match self.splitter.next(batch, at) {
                Ok(Some((header, pdu))) => {
                    self.progress(header.ptype);
                    self.packets.received = self.packets.received.wrapping_add(1);
                    self.take(&header, pdu, batch, out)
                }
                Ok(None) if !self.splitter.start().is_hopeless() => break,
                Ok(None) => self.give_up(out),
                Err(_) => self.close(Close::Violation("a fragment shorter than its header")),
            };
            if event.is_some() {
                return event;
            }
        }
        self.watch(now);
        None
    }

    /// Hands in the output of an [`Ask`](Event::Ask).
    pub fn answer(
        &mut self,
        now: Instant,
        answer: Answer,
        out: &mut TransmitQueue,
    ) -> Option<Event> {
        let token = self.asking.take()?;
        let outcome = self.security.answer(token.place, answer);
        let event = self.conclude(*token, outcome, out);
        self.watch(now);
        event
    }

    /// Ends what has taken too long.
    // req: dce-partial-age
    pub fn handle_timeout(&mut self, now: Instant, out: &mut TransmitQueue) -> Option<Event> {
        let _ = out;
        let due = self.poll_timeout().is_some_and(|due| due <= now);
        if due { self.close(Close::Slow) } else { None }
    }

    /// Says that nothing was read for a while, for reasons of ours: what is missing is not late.
    pub fn excuse(&mut self, now: Instant) {
        self.since = self.since.map(|_| now);
    }

    /// When [`handle_timeout`](Self::handle_timeout) wants to be called.
    #[inline]
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        let since = self.since.filter(|_| self.asking.is_none())?;
        let config = &self.endpoint.config;
        let is_open = |partial: &Partial| partial.open.is_some();
        let flows = self.partial.as_deref().is_some_and(is_open) && !self.splitter.is_partial();
        since.checked_add(match flows {
            true => config.pipe,
            false => config.partial,
        })
    }

    /// Appends the response to a call: one fragment or as many as it takes, protected as the call was.
    ///
    /// # Errors
    /// [`ReplyError`].
    #[inline]
    pub fn reply(
        &mut self,
        to: &ReplyTo,
        stub: &[u8],
        out: &mut TransmitQueue,
    ) -> Result<(), ReplyError> {
        let note = self
            .calls
            .end(to.call_id, to.serial)
            .ok_or(ReplyError::NoCall)?;
        let message = self.response(to, note.cancels);
        if let Some(begun) = note.response {
            return self.last_part(&message, to, *begun, stub, out);
        }
        let Some(place) = to.guard else {
            let sent = message.plain(stub, out);
            self.packets.sent(sent);
            return Ok(());
        };
        let guard = self.security.guard(place).ok_or(ReplyError::NoCall)?;
        let sent = message.protected(stub, guard, out);
        self.packets.sent(sent.map_err(ReplyError::Protect)?);
        Ok(())
    }

    /// Appends a part of the response to a call: as many fragments as it fills, and one of what is left of it,
    /// but for a few bytes that stay behind. [`reply`](Self::reply) appends the last part.
    ///
    /// # Errors
    /// [`ReplyError`].
    pub fn part(
        &mut self,
        to: &ReplyTo,
        stub: &[u8],
        out: &mut TransmitQueue,
    ) -> Result<(), ReplyError> {
        let note = self.calls.note(to.call_id, to.serial);
        let note = note.ok_or(ReplyError::NoCall)?;
        let cancels = note.cancels;
        let mut begun = note.response.take().unwrap_or_default();
        begun.rest.extend_from_slice(stub);
        let message = self.response(to, cancels);
        let guard = match to.guard {
            Some(place) => Some(self.security.guard(place).ok_or(ReplyError::NoCall)?),
            None => None,
        };
        let rest = std::mem::take(&mut begun.rest);
        let sent = message.parts(&rest, &mut begun.begun, false, guard, out);
        let (count, kept) = sent.map_err(ReplyError::Protect)?;
        self.packets.sent(count);
        let from = rest.len().saturating_sub(kept);
        begun
            .rest
            .extend_from_slice(rest.get(from..).unwrap_or_default());
        if let Some(note) = self.calls.note(to.call_id, to.serial) {
            note.response = Some(begun);
        }
        Ok(())
    }

    #[cold]
    fn last_part(
        &mut self,
        message: &Message,
        to: &ReplyTo,
        mut begun: Begun,
        stub: &[u8],
        out: &mut TransmitQueue,
    ) -> Result<(), ReplyError> {
        begun.rest.extend_from_slice(stub);
        let guard = match to.guard {
            Some(place) => Some(self.security.guard(place).ok_or(ReplyError::NoCall)?),
            None => None,
        };
        let sent = message.parts(&begun.rest, &mut begun.begun, true, guard, out);
        self.packets.sent(sent.map_err(ReplyError::Protect)?.0);
        Ok(())
    }

    #[inline]
    fn response(&self, to: &ReplyTo, cancels: u8) -> Message {
        Message {
            ptype: PacketType::RESPONSE,
            flags: Flags(0),
            order: to.order,
            call_id: to.call_id,
            // req: dce-response-context-low-byte
            context_id: to.context_id & 0xff,
            last: u16::from(cancels),
            object: None,
            max_frag: self.max_frag,
        }
    }

    /// Appends a fault as the answer to a call. `executed`: whether any part of the operation may have run. A fault
    /// is never protected: clients take it so.
    ///
    /// # Errors
    /// [`ReplyError::NoCall`].
    pub fn fault(
        &mut self,
        to: &ReplyTo,
        status: u32,
        executed: bool,
        out: &mut TransmitQueue,
    ) -> Result<(), ReplyError> {
        self.calls
            .end(to.call_id, to.serial)
            .ok_or(ReplyError::NoCall)?;
        answer::fault(to.order, to.call_id, to.context_id, status, !executed, out);
        self.packets.sent(1);
        Ok(())
    }

    /// Ends the bookkeeping of a call that gets no answer: a `maybe` call that has run.
    pub fn finish(&mut self, to: &ReplyTo) {
        self.calls.end(to.call_id, to.serial);
    }

    /// Memory held for a request that is partly received, in bytes.
    #[cfg(test)]
    pub(crate) fn held(&self) -> usize {
        self.partial.as_ref().map_or(0, |partial| partial.held())
    }

    /// Asks the client to close the connection when its calls are done.
    pub fn shutdown(&mut self, out: &mut TransmitQueue) {
        if self.state == State::Bound {
            answer::shutdown(self.order, out);
            self.packets.sent(1);
        }
    }

    /// The association group, once bound. A call that uses its context handles holds it.
    #[must_use]
    pub fn group(&self) -> Option<&Arc<Group>> {
        self.group.as_ref()
    }

    /// The features that both ends know of, as the bind negotiated them.
    #[must_use]
    pub fn features(&self) -> Features {
        self.contexts.features()
    }

    /// PDUs since the last time this was asked.
    #[inline]
    pub fn take_packets(&mut self) -> Packets {
        std::mem::take(&mut self.packets)
    }

    /// Calls that were handed out and not answered.
    #[inline]
    #[must_use]
    pub fn in_flight(&self) -> usize {
        self.calls.len()
    }

    /// Whether an [`Ask`](Event::Ask) is unanswered.
    #[must_use]
    pub fn is_asking(&self) -> bool {
        self.asking.is_some()
    }

    /// Whether bytes of a PDU, fragments of a request or legs of an authentication are missing.
    #[inline]
    #[must_use]
    pub fn is_partial(&self) -> bool {
        let is_missing = |partial: &Partial| !partial.orphaned;
        self.splitter.is_partial()
            || self.partial.as_deref().is_some_and(is_missing)
            || self.security.is_unfinished()
    }

    /// Takes note that something of what was missing came: while fragments of a request are, only a request is.
    #[inline]
    fn progress(&mut self, ptype: PacketType) {
        if self.partial.is_none() || ptype == PacketType::REQUEST {
            self.since = None;
        }
    }

    /// Remembers since when something is missing.
    #[inline]
    pub(super) fn watch(&mut self, now: Instant) {
        if self.state == State::Closed || !self.is_partial() {
            self.since = None;
        } else if self.since.is_none() {
            self.since = Some(now);
        }
    }

    #[cold]
    pub(super) fn close(&mut self, why: Close) -> Option<Event> {
        self.state = State::Closed;
        self.partial = None;
        self.asking = None;
        self.since = None;
        Some(Event::Close(why))
    }

    /// Answers with a fault; the connection stays.
    #[cold]
    pub(super) fn refuse(&mut self, refuse: Refuse, out: &mut TransmitQueue) -> Option<Event> {
        let Refuse {
            call_id,
            context_id,
            order,
            status,
            did_not_execute,
        } = refuse;
        answer::fault(order, call_id, context_id, status, did_not_execute, out);
        self.packets.sent(1);
        None
    }

    /// Answers with a fault, and closes.
    #[cold]
    pub(super) fn expel(
        &mut self,
        refuse: Refuse,
        why: &'static str,
        out: &mut TransmitQueue,
    ) -> Option<Event> {
        self.refuse(refuse, out);
        self.close(Close::Violation(why))
    }

    /// Answers a bind with a refusal, and closes.
    #[cold]
    pub(super) fn nak(
        &mut self,
        header: &Header,
        reason: NakReason,
        why: &'static str,
        out: &mut TransmitQueue,
    ) -> Option<Event> {
        answer::nak(header.order(), header.call_id, reason, out);
        self.packets.sent(1);
        self.close(Close::Violation(why))
    }

    /// One whole PDU.
    #[inline]
    fn take(
        &mut self,
        header: &Header,
        pdu: Pdu,
        batch: &Bytes,
        out: &mut TransmitQueue,
    ) -> Option<Event> {
        let rule = rule(self.state, header.ptype);
        self.habit = None;
        if header.check().is_err() {
            return self.malformed(header, rule, out);
        }
        match rule {
            Rule::Request => self.request(header, pdu, batch, out),
            Rule::Bind => self.bind(header, pdu.slice(batch), out),
            Rule::Alter => self.alter(header, pdu.slice(batch), out),
            Rule::Auth3 => self.auth3(header, pdu.slice(batch), out),
            Rule::Cancel => self.cancel(header.call_id),
            Rule::Orphaned => self.orphaned(header.call_id),
            Rule::Rebind => self.nak(header, NakReason::NOT_SPECIFIED, "a second bind", out),
            Rule::Violation => self.violation(header, "a PDU out of order", out),
            Rule::Ignore => None,
        }
    }

    /// Ends an association whose next PDU cannot be one, however long it is waited for: what speaks another protocol
    /// altogether is told nothing.
    #[cold]
    fn give_up(&mut self, out: &mut TransmitQueue) -> Option<Event> {
        match self.splitter.start() {
            Start::Header(header) => self.malformed(&header, rule(self.state, header.ptype), out),
            _ => self.close(Close::Violation("bytes that are no PDU")),
        }
    }

    #[cold]
    fn malformed(&mut self, header: &Header, rule: Rule, out: &mut TransmitQueue) -> Option<Event> {
        if !VERSIONS.contains(&header.version) {
            return self.close(Close::Violation("bytes that are no PDU"));
        }
        let why = "a header of another version or representation, or a verifier that does not fit";
        match rule {
            Rule::Bind | Rule::Rebind => {
                self.nak(header, NakReason::PROTOCOL_VERSION_NOT_SUPPORTED, why, out)
            }
            Rule::Ignore => None,
            _ => self.violation(header, why, out),
        }
    }

    pub(super) fn violation(
        &mut self,
        header: &Header,
        why: &'static str,
        out: &mut TransmitQueue,
    ) -> Option<Event> {
        self.expel(Refuse::bare(header, status::PROTO_ERROR), why, out)
    }

    // req: dce-rpce-cancel
    fn cancel(&mut self, call_id: u32) -> Option<Event> {
        self.calls
            .cancel(call_id)
            .then_some(Event::Cancel { call_id })
    }

    // req: dce-rpce-orphaned
    fn orphaned(&mut self, call_id: u32) -> Option<Event> {
        if let Some(partial) = &mut self.partial {
            partial.orphaned |= partial.open.is_some() && partial.first.header.call_id == call_id;
        }
        self.calls
            .orphan(call_id)
            .then_some(Event::Orphaned { call_id })
    }
}
