//! What callers and the driver of one association share: the client core, who waits for what, and
//! which interfaces are bound.
//!
//! A call on an interface that is bound is encoded straight into the core's queue under one lock,
//! which is nearly always free. Other calls wait here until the driver has bound their interface;
//! so do calls of which no byte had left when their connection was lost.

use std::collections::VecDeque;
use std::ops::Deref;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Poll, Waker};
use std::time::{Duration, Instant};

use bytes::Bytes;
use farcall_dce::co::Stub;
use farcall_dce::co::client::{
    Bound, CallError, CallId, Cause as Lost, Client as Core, ClientConfig, Close, Event, Pieces,
    Refused,
};
use farcall_dce::security::Query;
use farcall_dce::syntax::{Order, Syntax, SyntaxId};
use farcall_wire::Uuid;
use smallvec::SmallVec;

use super::faults;
use crate::client::link::{Standing, Ticket};
use crate::client::options::Options;
use crate::conduit::Conduit;
use crate::error::{Cause, Error, Phase};
use crate::interface::Interface;
use crate::scratch;

/// Packed arguments of up to this many bytes are kept without an allocation.
const INLINE: usize = 128;

/// Bytes of arguments in pieces that are handed on at once.
const FEED: usize = 256 << 10;

/// A call to an operation, ready to be sent.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    pub(crate) interface: &'static Interface,
    pub(crate) opnum: u16,
    pub(crate) object: Option<Uuid>,
    /// The packed arguments, and how they are packed.
    pub(crate) stub: Packed,
    pub(crate) syntax: Syntax,
    /// What of it comes and goes in pieces, if it has pipes.
    pub(crate) flow: Option<Flow>,
}

/// Packed arguments, kept until the call is over so that it can be made again: small ones without an allocation.
#[derive(Clone, Debug)]
pub(crate) enum Packed {
    Small(SmallVec<[u8; INLINE]>),
    Large(Bytes),
}

impl Packed {
    /// What was packed into memory of this thread, which is given back.
    pub(crate) fn new(stub: Vec<u8>) -> Self {
        if stub.len() > INLINE {
            return Self::Large(stub.into());
        }
        let small = SmallVec::from_slice(&stub);
        scratch::give_stub(stub);
        Self::Small(small)
    }
}

impl Deref for Packed {
    type Target = [u8];

    #[inline]
    fn deref(&self) -> &[u8] {
        match self {
            Self::Small(bytes) => bytes,
            Self::Large(bytes) => bytes,
        }
    }
}

/// What of a call comes and goes in pieces.
#[derive(Clone, Debug)]
pub(crate) struct Flow {
    pub(crate) conduit: Arc<Conduit>,
    pub(crate) pieces: Pieces,
}

impl Request {
    /// Whether the caller wants no answer.
    fn is_maybe(&self) -> bool {
        let operation = self.interface.operation(self.opnum);
        operation.is_some_and(|operation| operation.maybe)
    }
}

/// What a caller waits for.
#[derive(Debug)]
pub(crate) enum Outcome {
    /// The server ran the operation: the packed results.
    Results {
        bytes: Bytes,
        syntax: Syntax,
        order: Order,
    },
    /// The results of a call with pipes have begun to come.
    Begun { syntax: Syntax, order: Order },
    /// It did not, or nobody knows.
    Failed(Error),
}

/// One who waits.
#[derive(Debug)]
struct Waiter {
    waker: Option<Waker>,
    outcome: Option<Outcome>,
    /// The call, while it is pending in the core.
    id: Option<CallId>,
    request: Request,
    /// How long the call was given, and until when.
    given: Duration,
    deadline: Option<Instant>,
    /// Its results have begun to come in pieces.
    begun: bool,
    /// Whoever waited was told so: the pipes are all that is heard of the call from then on.
    detached: bool,
}

/// What callers and the driver share.
pub(crate) struct Link {
    state: Mutex<State>,
    pub(crate) options: Options,
}

/// A core's configuration under these options; with a `syntax`, only in that one.
pub(crate) fn config(options: &Options, syntax: Option<Syntax>, group: u32) -> ClientConfig {
    ClientConfig {
        fragment: options.limits.fragment,
        ndr64: syntax.map_or(options.ndr64, |syntax| syntax == Syntax::Ndr64),
        order: options.order(),
        response: options.limits.memory.min(64 << 20),
        in_flight: options.in_flight,
        queued: options.limits.write_queue.max(16 << 20),
        group,
        require_sign_header: options
            .credentials
            .as_ref()
            .is_some_and(|it| it.require_header_signing),
        ..ClientConfig::default()
    }
}

/// How far the first binding has come.
#[derive(Debug)]
pub(crate) enum Opening {
    /// It is under way; whoever connects waits.
    Waiting(Option<Waker>),
    /// It failed.
    Failed(Error),
    /// It succeeded, or nobody waits for it.
    Over,
}

pub(crate) struct State {
    /// The association; none while there is no connection.
    pub(crate) core: Option<Core<Ticket>>,
    /// What the association has bound, or was refused.
    contexts: Vec<Bound>,
    /// The interfaces that calls were made to, the first one first.
    interfaces: Vec<SyntaxId>,
    /// An `alter_context` is unanswered.
    altering: bool,
    /// How arguments are packed, once that is known; it never changes then.
    syntax: Option<Syntax>,
    waiters: Vec<Option<Waiter>>,
    free: Vec<Ticket>,
    /// Calls with pipes that are pending in the core.
    piped: Vec<Ticket>,
    /// Calls that wait for their interface to be bound.
    waiting: VecDeque<Ticket>,
    pub(crate) standing: Standing,
    pub(crate) opening: Opening,
    /// The driver, if it has nothing to do.
    sleeping: Option<Waker>,
    /// Handles that callers hold; with the last one the connection ends.
    handles: usize,
    woken: Vec<Waker>,
    /// How the last connection ended.
    pub(crate) ended: Option<Error>,
    /// What the driver is to do: have a question answered, or close.
    pub(crate) query: Option<Query>,
    pub(crate) close: Option<Close>,
    in_flight: usize,
}

impl Link {
    /// A link for calls to `interface`; with a `syntax`, only in that one.
    pub(crate) fn new(
        interface: &Interface,
        syntax: Option<Syntax>,
        opening: Opening,
        options: Options,
    ) -> Arc<Self> {
        let state = State {
            core: None,
            contexts: Vec::new(),
            interfaces: vec![interface.syntax_id()],
            altering: false,
            syntax,
            waiters: Vec::new(),
            free: Vec::new(),
            piped: Vec::new(),
            waiting: VecDeque::new(),
            standing: Standing::Down,
            opening,
            sleeping: None,
            handles: 1,
            woken: Vec::new(),
            ended: None,
            query: None,
            close: None,
            in_flight: options.in_flight,
        };
        Arc::new(Self {
            state: Mutex::new(state),
            options,
        })
    }

    /// The core's configuration, in an association group.
    pub(crate) fn config(&self, group: u32) -> ClientConfig {
        config(&self.options, self.lock().syntax, group)
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether all handles are gone and nobody waits.
    pub(crate) fn is_deserted(&self) -> bool {
        let state = self.lock();
        state.handles == 0 && state.pending() == 0
    }

    /// A handle is gone; the driver looks whether it is needed any more.
    pub(crate) fn desert(&self) {
        let mut state = self.lock();
        state.handles = 0;
        if let Some(driver) = state.sleeping.take() {
            driver.wake();
        }
    }

    /// Ends the link for good: whoever waits gets `error`, and so do all later calls.
    pub(crate) fn close(&self, error: &Error) {
        self.settle(|state| {
            state.standing = Standing::Closed(error.clone());
            state.fail_all(error);
        });
        if let Some(driver) = self.lock().sleeping.take() {
            driver.wake();
        }
    }

    /// Changes the state, then wakes whoever got an outcome, the lock released.
    pub(crate) fn settle<T>(&self, f: impl FnOnce(&mut State) -> T) -> T {
        let (value, mut woken) = {
            let mut state = self.lock();
            let value = f(&mut state);
            state.drain_events();
            (value, std::mem::take(&mut state.woken))
        };
        woken.drain(..).for_each(Waker::wake);
        let mut state = self.lock();
        if state.woken.capacity() == 0 {
            state.woken = woken;
        }
        value
    }

    /// Waits until the first binding has succeeded or failed.
    pub(crate) async fn opened(&self) -> Result<(), Error> {
        std::future::poll_fn(|cx| match &mut self.lock().opening {
            Opening::Over => Poll::Ready(Ok(())),
            Opening::Failed(error) => Poll::Ready(Err(error.clone())),
            Opening::Waiting(waker) => {
                *waker = Some(cx.waker().clone());
                Poll::Pending
            }
        })
        .await
    }

    /// How arguments are to be packed.
    pub(crate) fn syntax(&self) -> Syntax {
        self.lock().syntax.unwrap_or_default()
    }

    /// The association group of the connection; 0 if there is none.
    pub(crate) fn group(&self) -> u32 {
        self.lock().core.as_ref().map_or(0, Core::group)
    }
}

impl State {
    /// Calls that are not over.
    pub(crate) fn pending(&self) -> usize {
        let in_core = self.core.as_ref().map_or(0, Core::in_flight);
        in_core.saturating_add(self.waiting.len())
    }

    /// Puts a call into the core, or into the queue of those whose interface is not bound yet.
    /// `true`: there is no driver, and the caller must start one.
    pub(crate) fn call(
        &mut self,
        now: Instant,
        request: &Request,
        given: Duration,
        waker: &Waker,
    ) -> Result<(Ticket, bool), Error> {
        if let Standing::Closed(error) = &self.standing {
            return Err(error.clone().executed(false));
        }
        if self.waiting.len() >= self.in_flight {
            let text = format!("{} calls wait already", self.in_flight);
            return Err(Error::new(Phase::Call, Cause::Limit(text))
                .executed(false)
                .hint("raise Options::in_flight, or wait for calls to end"));
        }
        let ticket = self.seat(Waiter {
            waker: Some(waker.clone()),
            outcome: None,
            id: None,
            request: request.clone(),
            given,
            deadline: now.checked_add(given),
            begun: false,
            detached: false,
        });
        match self.begin(now, ticket) {
            Ok(true) => {}
            Ok(false) => self.waiting.push_back(ticket),
            Err(error) => {
                self.leave(ticket);
                return Err(error);
            }
        }
        Ok((ticket, self.rouse()))
    }

    /// Hands a waiter's call to the core; `false`: its interface is not bound yet.
    fn begin(&mut self, now: Instant, ticket: Ticket) -> Result<bool, Error> {
        let Some(Some(waiter)) = self.waiters.get(ticket) else {
            return Ok(true);
        };
        let (request, deadline) = (&waiter.request, waiter.deadline);
        let id = request.interface.syntax_id();
        let context = self.contexts.iter().find(|bound| bound.interface == id);
        let (Some(core), Some(bound)) = (&mut self.core, context) else {
            self.want(id);
            return Ok(false);
        };
        let (context, syntax) = bound
            .context
            .map_err(|refused| not_bound(request, refused))?;
        if syntax != request.syntax {
            return Err(other_syntax(request.interface));
        }
        let Request { opnum, object, .. } = *request;
        // Where calls wait for each other, this one has an answer as well, so that its end is known.
        if request.is_maybe() && core.is_multiplexing() {
            let sent = core.maybe(context, opnum, object, &request.stub);
            sent.map_err(refused_call)?;
            self.finish(
                ticket,
                Outcome::Results {
                    bytes: Bytes::new(),
                    syntax,
                    order: Order::Little,
                },
            );
            return Ok(true);
        }
        let stub = &request.stub;
        let begun = match &request.flow {
            None => core.call(now, context, opnum, object, stub, deadline, ticket),
            Some(flow) => {
                // While arguments are to come, it is not the server that is late.
                let deadline = deadline.filter(|_| !flow.pieces.request);
                self.piped.push(ticket);
                let pieces = flow.pieces;
                core.call_in_pieces(now, context, opnum, object, stub, deadline, ticket, pieces)
            }
        };
        match begun {
            Ok(id) => self.waiter(ticket).id = Some(id),
            Err(error) => {
                self.piped.retain(|piped| *piped != ticket);
                return Err(refused_call(error));
            }
        }
        Ok(true)
    }

    /// Hands on what is to go of calls with pipes, a bounded part of it; `waker` is woken when there
    /// is more.
    pub(crate) fn feed(&mut self, now: Instant, waker: &Waker) {
        for n in 0..self.piped.len() {
            let Some(ticket) = self.piped.get(n).copied() else {
                return;
            };
            let waiter = self.waiter(ticket);
            let (id, given) = (waiter.id, waiter.given);
            let (Some(id), Some(flow)) = (id, waiter.request.flow.clone()) else {
                continue;
            };
            flow.conduit.watch(waker);
            let Some(core) = &mut self.core else { return };
            let mut fed = 0;
            while fed < FEED
                && core.is_open(id)
                && let Some((piece, last)) = flow.conduit.take()
            {
                fed = fed.saturating_add(piece.len());
                if core.more(id, &piece, last).is_err() {
                    self.close = Some(Close::Violation("arguments cannot be protected"));
                    return;
                }
                if last {
                    core.set_deadline(id, now.checked_add(given));
                }
            }
        }
    }

    /// Whether results are read too slowly to read more of them; `waker` is woken when they are
    /// not any more.
    pub(crate) fn is_full(&self, waker: &Waker) -> bool {
        self.piped.iter().any(|ticket| {
            let waiter = self.waiters.get(*ticket).and_then(Option::as_ref);
            let flow = waiter.and_then(|waiter| waiter.request.flow.as_ref());
            flow.is_some_and(|flow| {
                flow.conduit.watch(waker);
                flow.conduit.is_full()
            })
        })
    }

    /// Nothing was read for a while, for reasons of ours: no pipe is late.
    pub(crate) fn excuse(&mut self, now: Instant) {
        for n in 0..self.piped.len() {
            if let Some(ticket) = self.piped.get(n).copied() {
                self.extend(now, ticket);
            }
        }
    }

    /// Results of a call have come: its time begins again.
    fn extend(&mut self, now: Instant, ticket: Ticket) {
        let waiter = self.waiter(ticket);
        if let (Some(id), true) = (waiter.id, waiter.begun) {
            let deadline = now.checked_add(waiter.given);
            if let Some(core) = &mut self.core {
                core.set_deadline(id, deadline);
            }
        }
    }

    /// A part of the results of a call with pipes has come.
    fn piece(&mut self, id: CallId, order: Order, piece: Bytes) {
        let Some(ticket) = self
            .core
            .as_mut()
            .and_then(|core| core.token_mut(id))
            .copied()
        else {
            return;
        };
        self.deliver(ticket, order, piece, false);
        self.extend(Instant::now(), ticket);
    }

    fn deliver(&mut self, ticket: Ticket, order: Order, piece: Bytes, last: bool) {
        let waiter = self.waiter(ticket);
        let Some(flow) = &waiter.request.flow else {
            return;
        };
        flow.conduit.deliver(piece, last);
        if !waiter.begun {
            waiter.begun = true;
            waiter.outcome = Some(Outcome::Begun {
                syntax: waiter.request.syntax,
                order,
            });
            let waker = waiter.waker.take();
            self.woken.extend(waker);
        }
    }

    /// Gives up a call whose results are received, unless it is over.
    pub(crate) fn release(&mut self, ticket: Ticket, conduit: &Conduit) {
        if !conduit.is_over() {
            conduit.end(None);
            self.abandon(ticket);
        }
    }

    /// Notes that an interface is to be bound.
    fn want(&mut self, id: SyntaxId) {
        if !self.interfaces.contains(&id) {
            self.interfaces.push(id);
        }
    }

    /// The interfaces that a new association is to bind.
    pub(crate) fn wanted(&self) -> Vec<SyntaxId> {
        self.interfaces.clone()
    }

    /// A new connection stands: its association begins.
    pub(crate) fn begin_association(&mut self, core: Core<Ticket>) {
        self.core = Some(core);
        self.contexts.clear();
        (self.altering, self.query, self.close) = (false, None, None);
    }

    /// Whether somebody waits for the first binding.
    pub(crate) fn is_opening(&self) -> bool {
        matches!(self.opening, Opening::Waiting(_))
    }

    /// Whether the association has answered a bind.
    pub(crate) fn is_bound(&self) -> bool {
        !self.contexts.is_empty()
    }

    /// Goes on with calls whose interface is bound by now, and asks for the interfaces of others.
    pub(crate) fn advance(&mut self, now: Instant) {
        if self.contexts.is_empty() || self.waiting.is_empty() {
            return;
        }
        for _ in 0..self.waiting.len() {
            let Some(ticket) = self.waiting.pop_front() else {
                break;
            };
            match self.begin(now, ticket) {
                Ok(true) => {}
                Ok(false) => self.waiting.push_back(ticket),
                Err(error) => self.finish(ticket, Outcome::Failed(error.executed(false))),
            }
        }
        let is_new = |id: &SyntaxId| self.contexts.iter().all(|bound| bound.interface != *id);
        let missing: Vec<_> = self.interfaces.iter().copied().filter(is_new).collect();
        if let Some(core) = &mut self.core
            && !self.altering
            && !missing.is_empty()
        {
            self.altering = core.alter(now, &missing).is_ok();
        }
    }

    /// Wakes the driver; `true` if there is none.
    fn rouse(&mut self) -> bool {
        if matches!(self.standing, Standing::Down) {
            self.standing = Standing::Up;
            return true;
        }
        if let Some(driver) = self.sleeping.take() {
            driver.wake();
        }
        false
    }

    /// Notes whom to wake when a call is made.
    pub(crate) fn sleep(&mut self, waker: &Waker) {
        match &mut self.sleeping {
            Some(known) => known.clone_from(waker),
            none => *none = Some(waker.clone()),
        }
    }

    fn seat(&mut self, waiter: Waiter) -> Ticket {
        match self.free.pop() {
            Some(ticket) => {
                self.waiters[ticket] = Some(waiter);
                ticket
            }
            None => {
                self.waiters.push(Some(waiter));
                self.waiters.len() - 1
            }
        }
    }

    fn waiter(&mut self, ticket: Ticket) -> &mut Waiter {
        // Tickets are made by `seat` and end with `leave`, both in this file.
        self.waiters[ticket]
            .as_mut()
            .unwrap_or_else(|| unreachable!("ticket {ticket} is vacant"))
    }

    fn leave(&mut self, ticket: Ticket) {
        self.waiters[ticket] = None;
        self.free.push(ticket);
    }

    /// The outcome of a call, if it has come; the ticket is void then.
    pub(crate) fn collect(&mut self, ticket: Ticket, waker: &Waker) -> Option<Outcome> {
        let waiter = self.waiter(ticket);
        if let Some(outcome) = waiter.outcome.take() {
            let is_over = |flow: &Flow| flow.conduit.is_over();
            if waiter.begun && !waiter.request.flow.as_ref().is_some_and(is_over) {
                waiter.detached = true;
            } else {
                self.leave(ticket);
            }
            return Some(outcome);
        }
        match &mut waiter.waker {
            Some(known) if known.will_wake(waker) => {}
            other => *other = Some(waker.clone()),
        }
        None
    }

    /// Gives a call up: the server is told that it is orphaned, if a byte of it has left.
    pub(crate) fn abandon(&mut self, ticket: Ticket) {
        let id = self.waiter(ticket).id.take();
        if let (Some(id), Some(core)) = (id, &mut self.core) {
            core.cancel(id);
            self.rouse_driver();
        }
        self.waiting.retain(|waiting| *waiting != ticket);
        self.piped.retain(|piped| *piped != ticket);
        self.leave(ticket);
    }

    fn rouse_driver(&mut self) {
        if let Some(driver) = self.sleeping.take() {
            driver.wake();
        }
    }

    fn finish(&mut self, ticket: Ticket, outcome: Outcome) {
        let waiter = self.waiter(ticket);
        waiter.id = None;
        if let Some(flow) = &waiter.request.flow {
            flow.conduit.end(match &outcome {
                Outcome::Failed(error) => Some(error.clone()),
                _ => None,
            });
            let (begun, detached) = (waiter.begun, waiter.detached);
            self.piped.retain(|piped| *piped != ticket);
            if detached {
                self.leave(ticket);
            }
            if begun {
                return;
            }
        }
        let waiter = self.waiter(ticket);
        waiter.outcome = Some(outcome);
        if let Some(waker) = waiter.waker.take() {
            self.woken.push(waker);
        }
    }

    /// The next moment at which a call must be over.
    pub(crate) fn poll_timeout(&self) -> Option<Instant> {
        let in_core = self.core.as_ref().and_then(Core::poll_timeout);
        let waiting = self.waiting.iter().filter_map(|ticket| {
            let waiter = self.waiters.get(*ticket)?.as_ref()?;
            waiter.deadline
        });
        waiting.chain(in_core).min()
    }

    /// Ends calls whose deadline has passed.
    pub(crate) fn handle_timeout(&mut self, now: Instant) {
        if let Some(core) = &mut self.core {
            core.handle_timeout(now);
        }
        for _ in 0..self.waiting.len() {
            let Some(ticket) = self.waiting.pop_front() else {
                return;
            };
            let waiter = self.waiter(ticket);
            if waiter.deadline.is_none_or(|deadline| deadline > now) {
                self.waiting.push_back(ticket);
                continue;
            }
            let late = Error::new(Phase::Call, Cause::Deadline(waiter.given));
            self.finish(ticket, Outcome::Failed(late.executed(false)));
        }
    }

    /// Takes in what the core found.
    pub(crate) fn take(&mut self, event: Event<Ticket>, batch: &Bytes) {
        match event {
            Event::Bound(bound) => self.bound(bound),
            Event::Response {
                token, order, stub, ..
            } => self.respond(token, order, &stub, batch),
            Event::Piece { id, order, stub } => self.piece(id, order, stub.bytes(batch)),
            Event::Fault { token, fault, .. } => {
                self.finish(token, Outcome::Failed(faults::error(&fault)));
            }
            Event::Ended {
                token, cause, sent, ..
            } => self.end(token, cause, sent),
            Event::Ask(query) => self.query = Some(query),
            Event::Close(close) => self.close = Some(close),
        }
    }

    fn bound(&mut self, bound: Vec<Bound>) {
        if self.syntax.is_none() {
            let accepted = bound.iter().find_map(|bound| bound.context.ok());
            self.syntax = accepted.map(|(_, syntax)| syntax);
        }
        let first = bound.first().map(|bound| bound.context);
        self.contexts.extend(bound);
        self.altering = false;
        if let Opening::Waiting(waker) = &mut self.opening {
            self.woken.extend(waker.take());
            self.opening = match first {
                Some(Err(refused)) => Opening::Failed(faults::refused(refused)),
                _ => Opening::Over,
            };
        }
        self.advance(Instant::now());
    }

    fn respond(&mut self, ticket: Ticket, order: Order, stub: &Stub, batch: &Bytes) {
        let flow = self.waiter(ticket).request.flow.as_ref();
        if flow.is_some_and(|flow| flow.pieces.response) {
            self.deliver(ticket, order, stub.bytes(batch), true);
        }
        let outcome = Outcome::Results {
            bytes: stub.bytes(batch),
            syntax: self.waiter(ticket).request.syntax,
            order,
        };
        self.finish(ticket, outcome);
    }

    /// A call is over without an answer, or waits for another connection.
    fn end(&mut self, ticket: Ticket, cause: Lost, sent: bool) {
        let waiter = self.waiter(ticket);
        waiter.id = None;
        let piped = waiter.request.flow.is_some();
        let error = match (cause, &self.ended) {
            (Lost::TimedOut, _) => {
                let given = self.waiter(ticket).given;
                Error::new(Phase::Call, Cause::Deadline(given))
            }
            (Lost::Lost, _) if !sent && !piped => return self.waiting.push_back(ticket),
            (Lost::Lost, Some(ended)) => ended.clone(),
            (Lost::Lost, None) => {
                let why = "before the reply came";
                Error::new(Phase::Call, Cause::Disconnected(why.into()))
            }
        };
        self.finish(ticket, Outcome::Failed(error.executed(sent)));
    }

    fn drain_events(&mut self) {
        loop {
            let Some(core) = &mut self.core else { return };
            let Some(event) = core.poll_event() else {
                return;
            };
            self.take(event, &Bytes::new());
        }
    }

    /// The connection is gone.
    pub(crate) fn lose(&mut self, ended: Error) {
        self.ended = Some(ended);
        if let Some(core) = &mut self.core {
            core.lost();
        }
        self.drain_events();
        self.core = None;
        self.contexts.clear();
    }

    /// Fails every call that is pending, and whoever waits for the first binding.
    pub(crate) fn fail_all(&mut self, error: &Error) {
        if let Opening::Waiting(waker) = &mut self.opening {
            self.woken.extend(waker.take());
            self.opening = Opening::Failed(error.clone());
        }
        for ticket in 0..self.waiters.len() {
            let Some(Some(waiter)) = self.waiters.get_mut(ticket) else {
                continue;
            };
            if waiter.outcome.is_some() && !waiter.begun {
                continue;
            }
            let id = waiter.id.take();
            let sent = match (id, &mut self.core) {
                (Some(id), Some(core)) => core.cancel(id).is_some_and(|(_, sent)| sent),
                _ => false,
            };
            let error = error.clone().executed(sent);
            self.finish(ticket, Outcome::Failed(error));
        }
        self.waiting.clear();
    }
}

fn not_bound(request: &Request, refused: Refused) -> Error {
    faults::asked_for(faults::refused(refused), request.interface)
}

pub(crate) fn other_syntax(interface: &Interface) -> Error {
    let text = format!(
        "the server has {interface} in another transfer syntax than this connection is bound to"
    );
    Error::local(Phase::Bind, text).hint("connect to that interface by a client of its own")
}

pub(crate) fn refused_call(error: CallError) -> Error {
    let text = error.to_string();
    match error {
        CallError::InFlight { .. } => Error::new(Phase::Call, Cause::Limit(text))
            .executed(false)
            .hint("raise Options::in_flight, or wait for calls to end"),
        CallError::Queued { .. } => Error::new(Phase::Call, Cause::Limit(text)).executed(false),
        _ => Error::local(Phase::Call, text),
    }
}
