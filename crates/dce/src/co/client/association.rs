//! The client's half of one association.

use crate::co::client::config::{CallError, ClientConfig};
use crate::co::client::event::{Authentication, Bound, CallId, Cause, Close, Event, Fault, Pieces};
use crate::co::client::slots::Slots;
use crate::co::client::table::{Rule, State, rule};
use crate::co::fragment::{self, Guard, Message};
use crate::co::stream::{Pdu, Splitter};
use crate::pdu::bind::PresentationContext;
use crate::pdu::call;
use crate::pdu::cursor::widen;
use crate::pdu::header::{Flags, Header, PacketType, drep};
use crate::pdu::verification::{Header2, Verification};
use crate::security::{Answer, AuthLevel, AuthType, Exchange, Principal};
use crate::seed::Seed;
use crate::syntax::{Features, Order, Syntax, SyntaxId, Uuid};
use bytes::{Bytes, BytesMut};
use farcall_wire::TransmitQueue;
use std::collections::VecDeque;
use std::fmt;
use std::time::Instant;

/// The client's half of one association; `T` is what a caller wants back with the response (a waker, a sender).
pub struct Client<T> {
    pub(super) config: ClientConfig,
    pub(super) state: State,
    pub(super) splitter: Splitter,
    pub(super) contexts: Vec<Context>,
    pub(super) next_context: u16,
    /// What the bind or alter_context that is unanswered asked for.
    pub(super) asked: Option<Asked>,
    /// What is asked for when that is answered.
    pub(super) to_ask: VecDeque<Vec<SyntaxId>>,
    pub(super) exchange: Option<Leg>,
    /// The contexts of a bind whose first token is not there yet.
    pub(super) first: Option<Vec<PresentationContext>>,
    pub(super) guard: Option<Guard>,
    pub(super) asking: bool,
    pub(super) sign_header: bool,
    pub(super) slots: Slots<Pending<T>>,
    /// Calls that wait for each other, where the server does not multiplex.
    pub(super) waiting: VecDeque<u32>,
    pub(super) waiting_len: usize,
    /// The call whose arguments are not all there.
    pub(super) open: Option<u32>,
    /// Calls given up whose answers may still come.
    pub(super) abandoned: VecDeque<u32>,
    pub(super) on_the_way: usize,
    /// Bytes of responses that are partly received.
    pub(super) partial: usize,
    pub(super) outbox: TransmitQueue,
    /// Bytes handed out for transmission.
    pub(super) taken: u64,
    /// No deadline is due before this.
    pub(super) wake: Option<Instant>,
    pub(super) events: VecDeque<Event<T>>,
    pub(super) max_frag: u16,
    pub(super) multiplexing: bool,
    pub(super) features: Features,
    pub(super) group: u32,
    /// The server asked for the connection to be closed.
    pub(super) leaving: bool,
}

/// Calls given up that are remembered.
const ABANDONED: usize = 1024;

/// A presentation context that the server accepted.
#[derive(Clone, Copy, Debug)]
pub(super) struct Context {
    pub(super) id: u16,
    pub(super) interface: SyntaxId,
    pub(super) syntax: Syntax,
}

/// What is unanswered, and under which number.
#[derive(Debug)]
pub(super) struct Asked {
    pub(super) call_id: u32,
    /// What was asked for.
    pub(super) interface: Option<SyntaxId>,
    /// The contexts offered for it.
    pub(super) offers: Vec<(u16, Offer)>,
    /// What is to be asked for next.
    pub(super) rest: Vec<SyntaxId>,
    /// What was answered so far.
    pub(super) bound: Vec<Bound>,
}

/// What a context was offered for.
#[derive(Clone, Copy, Debug)]
pub(super) enum Offer {
    /// Calls in this transfer syntax.
    Syntax(Syntax),
    /// None: it asks for features.
    Features,
}

impl Offer {
    pub(super) fn transfer(self) -> SyntaxId {
        match self {
            Self::Syntax(syntax) => SyntaxId::of(syntax),
            Self::Features => SyntaxId::features(Features::ALL),
        }
    }
}

/// An exchange that has not ended.
pub(super) struct Leg {
    pub(super) exchange: Box<dyn Exchange>,
    pub(super) auth_type: AuthType,
    pub(super) level: AuthLevel,
}

/// A call that is pending.
pub(super) struct Pending<T> {
    pub(super) token: T,
    pub(super) deadline: Option<Instant>,
    pub(super) stage: Stage,
    /// Its response has begun.
    pub(super) begun: bool,
    /// Its response so far.
    pub(super) response: BytesMut,
    /// What comes in pieces, if anything does.
    pub(super) flow: Option<Box<Flow>>,
}

/// A call that comes in pieces.
pub(super) struct Flow {
    pub(super) pieces: Pieces,
    message: Message,
    /// A fragment of the request has gone.
    begun: bool,
    /// What did not fill a fragment yet.
    rest: Vec<u8>,
}

/// How far a call is.
pub(super) enum Stage {
    /// It waits for another.
    Waiting(Box<Waiting>),
    /// It is in the stream at this count of bytes.
    Sent(u64),
    /// The server was asked to cancel it; at the deadline it is given up.
    Cancelling(u64),
}

/// A call that waits for another.
pub(super) struct Waiting {
    pub(super) message: Message,
    pub(super) stub: Vec<u8>,
}

/// The number of our one security context.
pub(super) const AUTH_CONTEXT: u32 = 1;

impl<T> fmt::Debug for Client<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client")
            .field("state", &self.state)
            .field("contexts", &self.contexts)
            .field("in_flight", &self.slots.len())
            .finish_non_exhaustive()
    }
}

impl<T> Client<T> {
    /// A client of a connection on which nothing has been sent.
    #[must_use]
    pub fn new(config: ClientConfig, now: Instant, seed: &Seed) -> Self {
        let _ = now;
        let [a, b, c, d, ..] = seed.draw(0).to_be_bytes();
        Self {
            state: State::Idle,
            splitter: Splitter::new(),
            contexts: Vec::new(),
            next_context: 0,
            asked: None,
            to_ask: VecDeque::new(),
            exchange: None,
            first: None,
            guard: None,
            asking: false,
            sign_header: false,
            slots: Slots::new(u32::from_be_bytes([a, b, c, d])),
            waiting: VecDeque::new(),
            waiting_len: 0,
            open: None,
            abandoned: VecDeque::new(),
            on_the_way: 0,
            partial: 0,
            outbox: TransmitQueue::new(),
            taken: 0,
            wake: None,
            events: VecDeque::new(),
            max_frag: fragment::LEAST_FRAG,
            multiplexing: false,
            features: Features::default(),
            group: config.group,
            leaving: false,
            config,
        }
    }

    /// Begins the association: asks for these interfaces, under this authentication. [`Event::Bound`] or
    /// [`Event::Close`] follows. Only the first call does anything.
    pub fn bind(
        &mut self,
        now: Instant,
        interfaces: &[SyntaxId],
        authentication: Option<Authentication>,
    ) {
        let _ = now;
        if self.state == State::Idle {
            self.state = State::Binding;
            self.begin(interfaces, authentication);
        }
    }

    /// Asks for more interfaces. [`Event::Bound`] follows.
    ///
    /// # Errors
    /// [`CallError::NotBound`].
    pub fn alter(&mut self, now: Instant, interfaces: &[SyntaxId]) -> Result<(), CallError> {
        let _ = now;
        match self.state {
            State::Bound if self.open.is_none() => self.ask_more(interfaces),
            State::Bound | State::Binding | State::Altering => {
                self.to_ask.push_back(interfaces.to_vec())
            }
            State::Idle | State::Closed => return Err(CallError::NotBound),
        }
        Ok(())
    }

    /// Begins a call on presentation context `context`. Without a `deadline` it waits for ever.
    ///
    /// # Errors
    /// [`CallError`]; nothing is queued then, and `token` is dropped.
    #[expect(clippy::too_many_arguments, reason = "each is a field of the request")]
    #[inline]
    pub fn call(
        &mut self,
        now: Instant,
        context: u16,
        opnum: u16,
        object: Option<Uuid>,
        stub: &[u8],
        deadline: Option<Instant>,
        token: T,
    ) -> Result<CallId, CallError> {
        let pieces = Pieces::default();
        self.call_in_pieces(now, context, opnum, object, stub, deadline, token, pieces)
    }

    /// Begins a call of which a half comes in pieces; of the arguments, `stub` is the first piece.
    ///
    /// # Errors
    /// As [`call`](Self::call).
    #[expect(clippy::too_many_arguments, reason = "each is a field of the request")]
    #[inline]
    pub fn call_in_pieces(
        &mut self,
        now: Instant,
        context: u16,
        opnum: u16,
        object: Option<Uuid>,
        stub: &[u8],
        deadline: Option<Instant>,
        token: T,
        pieces: Pieces,
    ) -> Result<CallId, CallError> {
        let _ = now;
        self.check_room(context)?;
        let id = self.slots.draw();
        let message = self.message(id, context, opnum, object);
        let mut flow = (pieces != Pieces::default()).then(|| {
            Box::new(Flow {
                pieces,
                message,
                begun: false,
                rest: Vec::new(),
            })
        });
        let stage = if !self.may_send() {
            self.waiting_len = self.waiting_len.saturating_add(stub.len());
            self.waiting.push_back(id);
            let stub = stub.to_vec();
            Stage::Waiting(Box::new(Waiting { message, stub }))
        } else {
            let at = self.position();
            match flow.as_deref_mut().filter(|flow| flow.pieces.request) {
                Some(flow) => self.begin_open(id, flow, stub)?,
                None => self.send(&message, stub)?,
            }
            Stage::Sent(at)
        };
        self.wake_by(deadline);
        self.slots.put(
            id,
            Pending {
                token,
                deadline,
                stage,
                begun: false,
                response: BytesMut::new(),
                flow,
            },
        );
        Ok(CallId(id))
    }

    /// Whether [`more`](Self::more) takes arguments of this call now: not while it waits for another one.
    #[must_use]
    pub fn is_open(&self, id: CallId) -> bool {
        self.open == Some(id.0)
    }

    /// More of the arguments of a call; `last`: these are all. They leave in fragments as large as may be, but for
    /// a few bytes that wait for the next ones.
    ///
    /// # Errors
    /// [`CallError::NotOpen`]; [`CallError::Protect`], after which the association is useless.
    // req: dce-706-12.6.2-pipes
    pub fn more(&mut self, id: CallId, stub: &[u8], last: bool) -> Result<(), CallError> {
        if !self.is_open(id) {
            return Err(CallError::NotOpen);
        }
        let pending = self.slots.get(id.0).ok_or(CallError::NotOpen)?;
        let mut flow = pending.flow.take().ok_or(CallError::NotOpen)?;
        let sent = self.send_part(&mut flow, stub, last);
        if let Some(pending) = self.slots.get(id.0) {
            pending.flow = Some(flow);
        }
        if last {
            self.open = None;
            self.resume_sending();
        }
        sent
    }

    /// Gives a call another deadline.
    pub fn set_deadline(&mut self, id: CallId, deadline: Option<Instant>) {
        if let Some(pending) = self.slots.get(id.0)
            && !matches!(pending.stage, Stage::Cancelling(_))
        {
            pending.deadline = deadline;
            self.wake_by(deadline);
        }
    }

    /// Sends a call that has no reply (`maybe`). Only beside others: where the server does not multiplex, nothing
    /// would say when the next call may go.
    ///
    /// # Errors
    /// [`CallError`]; nothing is queued then.
    pub fn maybe(
        &mut self,
        context: u16,
        opnum: u16,
        object: Option<Uuid>,
        stub: &[u8],
    ) -> Result<(), CallError> {
        self.check_room(context)?;
        if self.open.is_some() {
            return Err(CallError::Open);
        }
        if !self.multiplexing {
            return Err(CallError::NotMultiplexing);
        }
        let id = self.slots.draw();
        let message = self.message(id, context, opnum, object);
        let message = Message {
            flags: message.flags.with(Flags::MAYBE),
            ..message
        };
        self.send(&message, stub)?;
        self.on_the_way = self.on_the_way.saturating_sub(1);
        // A server may still answer with a fault.
        self.abandon(id);
        Ok(())
    }

    /// Ends a call nobody waits for any more: the server is told that it is orphaned if a byte of it was handed
    /// out or still will be. Returns its token and whether the call may be executed.
    // req: dce-client-cancel
    pub fn cancel(&mut self, id: CallId) -> Option<(T, bool)> {
        let (pending, sent) = self.give_up(id.0)?;
        Some((pending.token, sent))
    }

    /// Says that the connection is gone: all calls in flight end in [`poll_event`](Self::poll_event).
    pub fn lost(&mut self) {
        if self.state != State::Closed {
            self.state = State::Closed;
            self.open = None;
            self.outbox.clear();
            self.end_all();
        }
    }

    /// The next thing that `batch` brings from offset `at`, which moves past what was used. `None`: the batch is
    /// used up (the beginning of a PDU at its end was copied inside), or an [`Ask`](Event::Ask) is unanswered; then
    /// keep the batch and come back.
    #[inline]
    pub fn handle_bytes(
        &mut self,
        now: Instant,
        batch: &Bytes,
        at: &mut usize,
    ) -> Option<Event<T>> {
        let _ = now;
        loop {
            if let Some(event) = self.events.pop_front() {
                return Some(event);
            }
            if self.asking {
                return None;
            }
            if self.state == State::Closed {
                *at = batch.len();
                return None;
            }
            match self.splitter.next(batch, at) {
                Ok(Some((header, pdu))) => {
                    if let Some(event) = self.take(&header, pdu, batch) {
                        return Some(event);
                    }
                }
                Ok(None) if !self.splitter.start().is_hopeless() => return None,
                Ok(None) => self.close(Close::Violation("bytes that are no PDU")),
                Err(_) => self.close(Close::Violation("a fragment shorter than its header")),
            }
        }
    }

    /// Hands in the output of an [`Ask`](Event::Ask).
    pub fn answer(&mut self, now: Instant, answer: Answer) {
        let _ = now;
        if std::mem::take(&mut self.asking) {
            self.resume(answer);
        }
    }

    /// Asks the server to cancel calls whose deadline has passed, and gives them up a while later.
    // req: dce-client-deadline
    pub fn handle_timeout(&mut self, now: Instant) {
        if self.wake.is_none_or(|wake| wake > now) {
            return;
        }
        self.wake = None;
        for id in self.slots.ids() {
            let Some(pending) = self.slots.get(id) else {
                continue;
            };
            let Some(deadline) = pending.deadline else {
                continue;
            };
            if deadline > now {
                self.wake_by(Some(deadline));
                continue;
            }
            let more = now.checked_add(self.config.cancel);
            match (&pending.stage, more) {
                (Stage::Sent(at), Some(more)) if *at < self.taken => {
                    pending.stage = Stage::Cancelling(*at);
                    pending.deadline = Some(more);
                    self.note(PacketType::CO_CANCEL, id);
                    self.wake_by(Some(more));
                }
                _ => self.time_out(id),
            }
        }
    }

    /// The next event that did not come from [`handle_bytes`](Self::handle_bytes).
    pub fn poll_event(&mut self) -> Option<Event<T>> {
        self.events.pop_front()
    }

    /// Moves what is to be written to the connection behind `out` and returns how many bytes that is. What has
    /// been moved counts as sent.
    #[inline]
    pub fn poll_transmit(&mut self, out: &mut TransmitQueue) -> usize {
        let len = self.outbox.len();
        self.taken = self.position();
        out.append_queue(&mut self.outbox);
        len
    }

    /// When [`handle_timeout`](Self::handle_timeout) wants to be called; it may turn out to be too early.
    #[inline]
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.wake
    }

    /// What the caller gave with a call in flight.
    #[inline]
    #[must_use]
    pub fn token_mut(&mut self, id: CallId) -> Option<&mut T> {
        self.slots.get(id.0).map(|pending| &mut pending.token)
    }

    /// Calls in flight.
    #[inline]
    #[must_use]
    pub fn in_flight(&self) -> usize {
        self.slots.len()
    }

    /// Whom the mechanism proved the server to be.
    #[must_use]
    pub fn principal(&self) -> Option<&Principal> {
        self.guard
            .as_ref()
            .map(|guard| guard.protection.principal())
    }

    /// The key shared with the server.
    #[must_use]
    pub fn session_key(&self) -> Option<&[u8]> {
        self.guard.as_ref()?.protection.session_key()
    }

    /// The association group the server answered with; before, the one to join.
    #[must_use]
    pub fn group(&self) -> u32 {
        self.group
    }

    /// The features that both ends know of, as the bind negotiated them.
    #[must_use]
    pub fn features(&self) -> Features {
        self.features
    }

    /// Whether calls may be in flight together.
    #[must_use]
    pub fn is_multiplexing(&self) -> bool {
        self.multiplexing
    }

    #[inline]
    fn check_room(&self, context: u16) -> Result<(), CallError> {
        if !matches!(self.state, State::Bound | State::Altering) || self.leaving {
            return Err(CallError::NotBound);
        }
        if !self.contexts.iter().any(|known| known.id == context) {
            return Err(CallError::NoContext);
        }
        if self.slots.len() >= self.config.in_flight {
            let limit = self.config.in_flight;
            return Err(CallError::InFlight { limit });
        }
        if self.outbox.len().saturating_add(self.waiting_len) >= self.config.queued {
            let limit = self.config.queued;
            return Err(CallError::Queued { limit });
        }
        Ok(())
    }

    #[inline]
    fn message(&self, call_id: u32, context_id: u16, opnum: u16, object: Option<Uuid>) -> Message {
        Message {
            ptype: PacketType::REQUEST,
            flags: Flags(0).with_if(object.is_some(), Flags::OBJECT_UUID),
            order: self.config.order,
            call_id,
            context_id,
            last: opnum,
            object,
            max_frag: self.max_frag,
        }
    }

    /// Puts a request into the outbox.
    #[inline]
    fn send(&mut self, message: &Message, stub: &[u8]) -> Result<(), CallError> {
        match &mut self.guard {
            Some(guard) if guard.level.is_per_packet() => {
                let trailer = self.config.verification.then(|| {
                    verification(message, &self.contexts, self.config.offers_sign_header())
                });
                let mut own = Vec::new();
                let stub = match trailer {
                    Some(trailer) => {
                        own.extend_from_slice(stub);
                        trailer.emit(&mut own, 0, Order::Little);
                        own.as_slice()
                    }
                    None => stub,
                };
                let sent = message.protected(stub, guard, &mut self.outbox);
                sent.map_err(CallError::Protect)?;
            }
            _ => {
                message.plain(stub, &mut self.outbox);
            }
        }
        self.on_the_way = self.on_the_way.saturating_add(1);
        Ok(())
    }

    /// Whether a request may go now.
    #[inline]
    fn may_send(&self) -> bool {
        self.open.is_none() && (self.multiplexing || self.on_the_way == 0)
    }

    /// Puts the beginning of a request into the outbox.
    fn begin_open(&mut self, id: u32, flow: &mut Flow, stub: &[u8]) -> Result<(), CallError> {
        self.send_part(flow, stub, false)?;
        self.on_the_way = self.on_the_way.saturating_add(1);
        self.open = Some(id);
        Ok(())
    }

    fn send_part(&mut self, flow: &mut Flow, stub: &[u8], last: bool) -> Result<(), CallError> {
        let mut rest = std::mem::take(&mut flow.rest);
        rest.extend_from_slice(stub);
        let guard = self.guard.as_mut().filter(|it| it.level.is_per_packet());
        if last && guard.is_some() && self.config.verification {
            // What is left begins at a multiple of sixteen of the stub.
            let trailer = verification(
                &flow.message,
                &self.contexts,
                self.config.offers_sign_header(),
            );
            trailer.emit(&mut rest, 0, Order::Little);
        }
        let (message, out) = (&flow.message, &mut self.outbox);
        let sent = message.parts(&rest, &mut flow.begun, last, guard, out);
        let (_, kept) = sent.map_err(CallError::Protect)?;
        let from = rest.len().saturating_sub(kept);
        flow.rest
            .extend_from_slice(rest.get(from..).unwrap_or_default());
        Ok(())
    }

    /// The arguments of a call are all there, or none of them are wanted any more: others may be sent.
    fn resume_sending(&mut self) {
        if self.state == State::Bound
            && let Some(interfaces) = self.to_ask.pop_front()
        {
            self.ask_more(&interfaces);
        }
        self.send_waiting();
    }

    /// A call is over: if its arguments were not all there, the server is told that no more come.
    pub(super) fn shut(&mut self, id: u32) {
        if self.open == Some(id) {
            self.open = None;
            self.note(PacketType::ORPHANED, id);
            self.resume_sending();
        }
    }

    /// Sends the next call that waits, if it may go.
    pub(super) fn send_waiting(&mut self) {
        while self.may_send() {
            let Some(id) = self.waiting.pop_front() else {
                return;
            };
            let at = self.position();
            let Some(pending) = self.slots.get(id) else {
                continue;
            };
            let Stage::Waiting(waiting) = std::mem::replace(&mut pending.stage, Stage::Sent(at))
            else {
                continue;
            };
            self.waiting_len = self.waiting_len.saturating_sub(waiting.stub.len());
            let mut flow = pending.flow.take();
            let sent = match flow.as_deref_mut().filter(|flow| flow.pieces.request) {
                Some(flow) => self.begin_open(id, flow, &waiting.stub),
                None => self.send(&waiting.message, &waiting.stub),
            };
            if let Some(pending) = self.slots.get(id) {
                pending.flow = flow;
            }
            if sent.is_err() {
                return self.close(Close::Violation("a request cannot be protected"));
            }
        }
    }

    /// Appends a PDU that has no body.
    fn note(&mut self, ptype: PacketType, call_id: u32) {
        let mut header = Header::new(ptype, Flags::WHOLE, self.config.order, call_id);
        header.frag_length = 16;
        self.outbox.put_slice(&header.emit());
    }

    #[inline]
    fn position(&self) -> u64 {
        self.taken
            .wrapping_add(u64::try_from(self.outbox.len()).unwrap_or(u64::MAX))
    }

    #[inline]
    fn wake_by(&mut self, instant: Option<Instant>) {
        if let Some(instant) = instant {
            self.wake = Some(self.wake.map_or(instant, |wake| wake.min(instant)));
        }
    }

    /// Takes a call off the books; the bool says whether a byte of it was handed out.
    pub(super) fn finish(&mut self, id: u32) -> Option<(Pending<T>, bool)> {
        let pending = self.slots.take(id)?;
        self.partial = self.partial.saturating_sub(pending.response.len());
        let sent = match &pending.stage {
            Stage::Waiting(waiting) => {
                self.waiting_len = self.waiting_len.saturating_sub(waiting.stub.len());
                self.waiting.retain(|other| *other != id);
                return Some((pending, false));
            }
            Stage::Sent(at) | Stage::Cancelling(at) => *at < self.taken,
        };
        self.on_the_way = self.on_the_way.saturating_sub(1);
        Some((pending, sent))
    }

    /// Ends a call without its answer, which may still come.
    fn give_up(&mut self, id: u32) -> Option<(Pending<T>, bool)> {
        let (pending, sent) = self.finish(id)?;
        if matches!(pending.stage, Stage::Waiting(_)) {
            return Some((pending, sent));
        }
        let was_open = self.open.take_if(|open| *open == id).is_some();
        self.note(PacketType::ORPHANED, id);
        self.abandon(id);
        if was_open && self.multiplexing {
            self.resume_sending();
        }
        if !self.multiplexing {
            // The next call could not be told from what is left of this one.
            self.close(Close::Orphaned);
            return Some((pending, sent));
        }
        // What is in the outbox will go out, even if none of it has.
        Some((pending, true))
    }

    fn abandon(&mut self, id: u32) {
        if self.abandoned.len() >= ABANDONED {
            self.abandoned.pop_front();
        }
        self.abandoned.push_back(id);
    }

    fn time_out(&mut self, id: u32) {
        // The order of events: the call that is late, then what its end costs.
        let at = self.events.len();
        if let Some((pending, sent)) = self.give_up(id) {
            let event = Event::Ended {
                id: CallId(id),
                token: pending.token,
                cause: Cause::TimedOut,
                sent,
            };
            self.events.insert(at, event);
        }
    }

    /// Ends the association and every call in it.
    #[cold]
    pub(super) fn close(&mut self, why: Close) {
        if self.state == State::Closed {
            return;
        }
        self.state = State::Closed;
        self.open = None;
        self.outbox.clear();
        self.end_all();
        self.events.push_back(Event::Close(why));
    }

    fn end_all(&mut self) {
        for id in self.slots.ids() {
            if let Some((pending, sent)) = self.finish(id) {
                self.events.push_back(Event::Ended {
                    id: CallId(id),
                    token: pending.token,
                    cause: Cause::Lost,
                    sent,
                });
            }
        }
    }

    /// One whole PDU.
    #[inline]
    fn take(&mut self, header: &Header, pdu: Pdu, batch: &Bytes) -> Option<Event<T>> {
        if header.check().is_err() {
            self.close(Close::Violation(
                "a header of another version or representation",
            ));
            return None;
        }
        match rule(self.state, header.ptype) {
            Rule::Response => return self.response(header, pdu, batch),
            Rule::Fault => return self.fault(header, pdu.slice(batch)),
            Rule::Ack => self.ack(header, pdu.slice(batch)),
            Rule::AlterAck => self.alter_ack(header, pdu.slice(batch)),
            Rule::Nak => self.nak(header, pdu.slice(batch)),
            Rule::Shutdown => self.leave(),
            Rule::Violation => self.close(Close::Violation("a PDU out of order")),
            Rule::Ignore => {}
        }
        None
    }

    // req: dce-client-shutdown
    fn leave(&mut self) {
        self.leaving = true;
        self.leave_if_done();
    }

    /// Closes if the server asked for it and nothing is pending.
    #[inline]
    pub(super) fn leave_if_done(&mut self) {
        if self.leaving && self.slots.len() == 0 {
            self.close(Close::Shutdown);
        }
    }

    /// Whether an answer to that call may still come although nobody waits.
    pub(super) fn is_abandoned(&self, id: u32) -> bool {
        self.abandoned.contains(&id)
    }

    /// Forgets an abandoned call: its answer has come.
    pub(super) fn forget(&mut self, id: u32) {
        self.abandoned.retain(|other| *other != id);
    }

    /// The largest fragment that a server may send.
    #[inline]
    pub(super) fn most(&self) -> usize {
        widen(self.config.fragment.max(self.max_frag))
    }
}

/// What a request's verification trailer says.
fn verification(message: &Message, contexts: &[Context], sign_header: bool) -> Verification {
    let context = contexts.iter().find(|it| it.id == message.context_id);
    Verification {
        header_sign: Some(sign_header),
        syntaxes: context.map(|context| (context.interface, SyntaxId::of(context.syntax))),
        header: Some(Header2 {
            ptype: message.ptype.0,
            drep: drep(message.order),
            call_id: message.call_id,
            context_id: message.context_id,
            opnum: message.last,
        }),
    }
}

/// A fault as a client's caller sees it.
pub(super) fn fault_of(header: &Header, fault: &call::Fault, extended: &[u8]) -> Fault {
    let has = fault.flags & call::Fault::EXTENDED != 0;
    Fault {
        status: fault.status,
        did_not_execute: header.flags.has(Flags::DID_NOT_EXECUTE),
        extended: (has && !extended.is_empty()).then(|| Bytes::copy_from_slice(extended)),
    }
}
