//! What callers and the driver of one connection share: the client core, and who waits for what.
//!
//! Callers encode straight into the core's queue under one lock, which is nearly always free:
//! the driver holds it only to move bytes in and out. There is no task, no channel and no
//! allocation for each call.

use std::borrow::Cow;
use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Waker;
use std::time::{Duration, Instant};

use bytes::Bytes;
use farcall_onc::auth::{AuthStat, Shortened};
use farcall_onc::client::{
    CallError, CallId, Cause as Lost, Client as Core, ClientConfig, Incoming, Maker,
};
use farcall_onc::msg::{ReplyBody, Target};
use farcall_onc::record::Record;
use farcall_wire::Encode;

use super::options::Options;
use crate::error::{Cause, Error, Phase};

/// A caller's place in the table of those who wait.
pub(crate) type Ticket = usize;

/// What a caller waits for.
#[derive(Debug)]
pub(crate) enum Outcome {
    /// The server ran the procedure: the results lie here.
    Results(Bytes, Range<usize>),
    /// It did not, or nobody knows.
    Failed(Error),
    /// It did not: the server has forgotten the short form of the caller's credential. The call is to be made again.
    Forgotten,
}

/// In which form the caller's credential went with a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    /// As it is; a short form of it may be learnt.
    Full,
    /// As the handle that the server gave for it.
    Short,
    /// As it is, and another than the connection's own.
    Other,
}

/// One who waits.
#[derive(Debug)]
struct Waiter {
    waker: Option<Waker>,
    outcome: Option<Outcome>,
    /// The call, while it is pending in the core.
    id: Option<CallId>,
    /// How long the call was given.
    given: Duration,
    /// It wants the whole reply, whatever it says.
    whole: bool,
    form: Form,
}

/// How things stand with the connection.
#[derive(Clone, Debug)]
pub(crate) enum Standing {
    /// There is none, and nobody is making one.
    Down,
    /// A driver is connecting, or connected.
    Up,
    /// There will be none any more.
    Closed(Error),
}

/// What callers and the driver share.
pub(crate) struct Link {
    state: Mutex<State>,
    pub(crate) options: Options,
}

pub(crate) struct State {
    pub(crate) core: Core<Ticket>,
    waiters: Vec<Option<Waiter>>,
    free: Vec<Ticket>,
    pub(crate) standing: Standing,
    /// The driver, if it has nothing to do.
    sleeping: Option<Waker>,
    /// Handles that callers hold; with the last one the connection ends.
    pub(crate) handles: usize,
    woken: Vec<Waker>,
    /// How the last connection ended.
    pub(crate) ended: Option<Error>,
    /// Messages received, ever.
    pub(crate) received: u64,
    /// The connection's own credential and its short form, if that is wanted.
    short: Option<Shortened>,
}

impl Link {
    pub(crate) fn new(core: Core<Ticket>, options: Options) -> Arc<Self> {
        let state = State {
            core,
            waiters: Vec::new(),
            free: Vec::new(),
            standing: Standing::Down,
            sleeping: None,
            handles: 1,
            woken: Vec::new(),
            ended: None,
            received: 0,
            short: options.short.then(|| Shortened::new(options.auth.clone())),
        };
        Arc::new(Self {
            state: Mutex::new(state),
            options,
        })
    }

    /// The core's configuration under these options.
    pub(crate) fn config(options: &Options) -> ClientConfig {
        ClientConfig {
            in_flight: options.in_flight,
            queued: options.limits.write_queue.max(16 << 20),
            datagram: options.limits.datagram,
            retransmit: options.retransmit,
        }
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether all handles are gone and nobody waits.
    pub(crate) fn is_deserted(&self) -> bool {
        let state = self.lock();
        state.handles == 0 && state.core.in_flight() == 0
    }

    /// A handle is gone; the driver looks whether it is needed any more.
    pub(crate) fn desert(&self) {
        let mut state = self.lock();
        state.handles = state.handles.saturating_sub(1);
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
}

impl State {
    /// Puts a call into the core and its caller into the table. `None` for the driver: it runs
    /// already, or has just been woken; otherwise the caller must start one.
    pub(crate) fn call<A: Encode + ?Sized>(
        &mut self,
        now: Instant,
        target: Target,
        auth: &farcall_onc::auth::AuthBlock,
        arguments: &A,
        given: Duration,
        waker: &Waker,
    ) -> Result<(Ticket, bool), Error> {
        if let Standing::Closed(error) = &self.standing {
            return Err(error.clone().executed(false));
        }
        let (form, auth) = match &self.short {
            Some(short) if short.full() == auth => match short.is_short() {
                true => (Form::Short, Cow::Owned(short.block().clone())),
                false => (Form::Full, Cow::Borrowed(auth)),
            },
            _ => (Form::Other, Cow::Borrowed(auth)),
        };
        let ticket = self.seat(waker, given, form);
        let deadline = now.checked_add(given);
        match self
            .core
            .call(now, target, &auth, arguments, deadline, ticket)
        {
            Ok(id) => {
                self.waiter(ticket).id = Some(id);
                Ok((ticket, self.rouse()))
            }
            Err(error) => {
                self.leave(ticket);
                Err(refused(error))
            }
        }
    }

    /// Puts a call into the core to which no reply is expected. `true`: the caller must start a driver.
    pub(crate) fn one_way<A: Encode + ?Sized>(
        &mut self,
        target: Target,
        auth: &farcall_onc::auth::AuthBlock,
        arguments: &A,
    ) -> Result<bool, Error> {
        if let Standing::Closed(error) = &self.standing {
            return Err(error.clone().executed(false));
        }
        let put = self.core.one_way(target, auth, arguments);
        put.map_err(refused)?;
        Ok(self.rouse())
    }

    /// As [`call`](Self::call), with a message that `make` makes, for the whole reply.
    pub(crate) fn call_message(
        &mut self,
        now: Instant,
        make: Maker,
        given: Duration,
        waker: &Waker,
    ) -> Result<(Ticket, bool), Error> {
        if let Standing::Closed(error) = &self.standing {
            return Err(error.clone().executed(false));
        }
        let ticket = self.seat(waker, given, Form::Other);
        let deadline = now.checked_add(given);
        match self.core.call_message(now, make, deadline, ticket) {
            Ok(id) => {
                let waiter = self.waiter(ticket);
                (waiter.id, waiter.whole) = (Some(id), true);
                Ok((ticket, self.rouse()))
            }
            Err(error) => {
                self.leave(ticket);
                Err(refused(error))
            }
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

    fn seat(&mut self, waker: &Waker, given: Duration, form: Form) -> Ticket {
        let waiter = Waiter {
            waker: Some(waker.clone()),
            outcome: None,
            id: None,
            given,
            whole: false,
            form,
        };
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
            self.leave(ticket);
            return Some(outcome);
        }
        match &mut waiter.waker {
            Some(known) if known.will_wake(waker) => {}
            other => *other = Some(waker.clone()),
        }
        None
    }

    /// Gives a call up; its bytes are taken back if they have not been sent.
    pub(crate) fn abandon(&mut self, ticket: Ticket) {
        if let Some(id) = self.waiter(ticket).id.take() {
            self.core.cancel(id);
        }
        self.leave(ticket);
    }

    fn finish(&mut self, ticket: Ticket, outcome: Outcome) {
        let waiter = self.waiter(ticket);
        waiter.id = None;
        waiter.outcome = Some(outcome);
        if let Some(waker) = waiter.waker.take() {
            self.woken.push(waker);
        }
    }

    /// Matches a received record with its call.
    pub(crate) fn receive(&mut self, record: &Record, batch: &Bytes) {
        self.received = self.received.wrapping_add(1);
        let (bytes, range): (&Bytes, _) = match record {
            Record::InBatch(range) => (batch, range.clone()),
            Record::Assembled(bytes) => (bytes, 0..bytes.len()),
        };
        let message = bytes.get(range.clone()).unwrap_or_default();
        let incoming = self.core.handle_record(message);
        let forgotten = self.heed(&incoming);
        if let Some((ticket, came)) = self.outcome(incoming, bytes, range) {
            self.finish(ticket, forgotten.unwrap_or(came));
        }
    }

    /// Learns the short form of the caller's credential from a reply, or that it is none any more.
    fn heed(&mut self, incoming: &Incoming<'_, Ticket>) -> Option<Outcome> {
        let Incoming::Reply { token, header, .. } = incoming else {
            return None;
        };
        self.short.as_ref()?;
        let form = self.waiter(*token).form;
        let short = self.short.as_mut()?;
        match (form, header.body) {
            (Form::Full, ReplyBody::Success) => short.learn(header.verifier),
            (Form::Short, ReplyBody::AuthError(stat)) => {
                // Another call may have found it out before.
                let forgotten = short.refused(stat) || stat == AuthStat::REJECTEDCRED;
                return forgotten.then_some(Outcome::Forgotten);
            }
            _ => {}
        }
        None
    }

    /// Matches a received datagram with its call.
    pub(crate) fn receive_datagram(&mut self, from: std::net::SocketAddr, bytes: &Bytes) {
        let incoming = self.core.handle_datagram(from, bytes);
        let forgotten = self.heed(&incoming);
        if let Some((ticket, came)) = self.outcome(incoming, bytes, 0..bytes.len()) {
            self.finish(ticket, forgotten.unwrap_or(came));
        }
    }

    /// Whether a server may have heard calls on a connection that ended so: not if it never believed in the client under TLS.
    fn may_be_heard(error: &Error) -> bool {
        !matches!(error.cause(), Cause::Tls(..)) || error.may_have_executed()
    }

    /// What an incoming message means for its caller.
    fn outcome(
        &self,
        incoming: Incoming<'_, Ticket>,
        bytes: &Bytes,
        range: Range<usize>,
    ) -> Option<(Ticket, Outcome)> {
        let (ticket, came) = outcome(incoming, bytes, range.clone())?;
        match self.waiters.get(ticket) {
            Some(Some(waiter)) if waiter.whole => {
                Some((ticket, Outcome::Results(bytes.clone(), range)))
            }
            _ => Some((ticket, came)),
        }
    }

    /// Tells callers what the core found out without a message: time-outs and losses.
    fn drain_events(&mut self) {
        while let Some(event) = self.core.poll_event() {
            let error = match (event.cause, &self.ended) {
                (Lost::TimedOut, _) => {
                    let given = self.waiter(event.token).given;
                    Error::new(Phase::Call, Cause::Deadline(given))
                }
                (Lost::Lost, Some(ended)) => ended.clone(),
                (Lost::Lost, None) => Error::new(
                    Phase::Call,
                    Cause::Disconnected("before the reply came".into()),
                ),
            };
            let sent = event.sent && Self::may_be_heard(&error);
            self.finish(event.token, Outcome::Failed(error.executed(sent)));
        }
    }

    /// Fails every call that is pending.
    pub(crate) fn fail_all(&mut self, error: &Error) {
        for ticket in 0..self.waiters.len() {
            let Some(Some(waiter)) = self.waiters.get_mut(ticket) else {
                continue;
            };
            let Some(id) = waiter.id.take() else { continue };
            let sent = self.core.cancel(id).is_some_and(|(_, sent)| sent);
            let error = error.clone().executed(sent && Self::may_be_heard(error));
            self.finish(ticket, Outcome::Failed(error));
        }
    }
}

/// What an incoming message means for its caller.
fn outcome(
    incoming: Incoming<'_, Ticket>,
    bytes: &Bytes,
    range: Range<usize>,
) -> Option<(Ticket, Outcome)> {
    match incoming {
        Incoming::Reply {
            token,
            header,
            results,
            ..
        } => {
            let outcome = match failure(header.body) {
                None => Outcome::Results(bytes.clone(), range.start + results..range.end),
                Some(cause) => Outcome::Failed(Error::new(Phase::Call, cause)),
            };
            Some((token, outcome))
        }
        Incoming::Malformed { token, error, .. } => Some((
            token,
            Outcome::Failed(Error::new(Phase::Decode, Cause::Decode(error))),
        )),
        Incoming::Call | Incoming::Ignored(_) => None,
    }
}

/// Why a reply is no success.
pub(crate) fn failure(body: ReplyBody) -> Option<Cause> {
    Some(match body {
        ReplyBody::Success => return None,
        ReplyBody::ProgUnavail => Cause::ProgramUnavailable,
        ReplyBody::ProgMismatch { low, high } => Cause::ProgramMismatch { low, high },
        ReplyBody::ProcUnavail => Cause::ProcedureUnavailable,
        ReplyBody::GarbageArgs => Cause::GarbageArguments,
        ReplyBody::SystemErr => Cause::SystemError,
        ReplyBody::RpcMismatch { low, high } => Cause::RpcMismatch { low, high },
        ReplyBody::AuthError(stat) => Cause::Authentication(stat),
        other => Cause::Other(other.to_string()),
    })
}

pub(crate) fn refused(error: CallError) -> Error {
    match error {
        CallError::Encode(error) => error.into(),
        CallError::InFlight { .. } => Error::new(Phase::Call, Cause::Limit(error.to_string()))
            .executed(false)
            .hint("raise Options::in_flight, or wait for calls to end"),
        CallError::Datagram { .. } => Error::new(Phase::Encode, Cause::Limit(error.to_string()))
            .hint("use TCP, or raise Limits::datagram"),
        other => Error::new(Phase::Call, Cause::Limit(other.to_string())).executed(false),
    }
}
