//! The client's half of a conversation: calls out, replies matched, time-outs, retransmission.
//!
//! Read first: RFC 5531 sections 5 and 9 (the xid, and what a transport does and does not promise). One
//! [`Client`] stands for one connection or one server address. It can be held in a mutex: a call is encoded
//! straight into the queue of bytes to transmit, and a reply is matched without looking at anything but its slot.
//!
//! Four kinds of methods. Commands: [`call`](Client::call), [`one_way`](Client::one_way),
//! [`cancel`](Client::cancel), [`lost`](Client::lost). In: [`handle_record`](Client::handle_record),
//! [`handle_datagram`](Client::handle_datagram), [`handle_timeout`](Client::handle_timeout). Out:
//! [`poll_transmit`](Client::poll_transmit), [`poll_datagram`](Client::poll_datagram),
//! [`poll_event`](Client::poll_event), [`poll_timeout`](Client::poll_timeout). After any input, drain the
//! outputs in this order. Time must not run backwards.
//!
//! Numbers ([xids](CallId)) are a full 32-bit counter from a random start and are never reused while a call is
//! pending, so neither a server's cache of an earlier run nor a late reply is mistaken for ours. A random xid
//! is no authentication. This file does not decide whether a call may be repeated.

use crate::auth::AuthBlock;
use crate::msg::{Framing, MessageType, Target, encode_call, parse_kind, parse_reply};
use crate::record::mark;
use crate::seed::Seed;
use core::net::SocketAddr;
use farcall_wire::{Bytes, Encode, EncodeError, TransmitQueue};
use std::collections::VecDeque;
use std::time::{Duration, Instant};

mod config;
mod event;
mod outbox;

pub use config::{CallError, ClientConfig, Retransmit};
pub use event::{CallId, Cause, Counters, Event, Ignored, Incoming};
use outbox::Outbox;

/// Slots a client begins with.
const FIRST_SLOTS: usize = 16;

/// A call in flight.
#[derive(Debug)]
struct Pending<T> {
    xid: u32,
    token: T,
    deadline: Option<Instant>,
    sending: Sending,
}

/// How far the transmission of a call is.
#[derive(Debug)]
enum Sending {
    /// In the stream at this count of bytes, mark included.
    Stream { at: u64, len: usize },
    /// As a datagram, kept for repetition.
    Datagram {
        message: Message,
        sent: u32,
        queued: bool,
        next: Instant,
        wait: Duration,
    },
}

/// The message of a call as a datagram.
enum Message {
    /// It is sent again as it is.
    Same(Bytes),
    /// It is made anew each time; the first one is made already.
    Anew { first: Option<Bytes>, make: Maker },
}

/// Makes the message of a call with this xid, without any framing; `None` if that cannot be done any more.
pub type Maker = Box<dyn FnMut(u32) -> Option<Bytes> + Send>;

impl std::fmt::Debug for Message {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Same(bytes) => write!(f, "Same({} bytes)", bytes.len()),
            Self::Anew { .. } => f.write_str("Anew(..)"),
        }
    }
}

/// Something to send as a datagram.
#[derive(Debug)]
enum Outgoing {
    /// A pending call's message, unless the call is over by then.
    Call(u32),
    /// A message without a reply.
    OneWay(Bytes),
}

/// One client of one server; `T` is what a caller wants back with the reply (a waker, a sender).
#[derive(Debug)]
pub struct Client<T> {
    config: ClientConfig,
    /// Where datagrams must come from; `None` on a stream.
    server: Option<SocketAddr>,
    next_xid: u32,
    /// A power of two of slots, at most half of them busy; a call's slot is its xid modulo their number.
    slots: Vec<Option<Pending<T>>>,
    busy: usize,
    /// Messages of a stream not handed out yet; its queue is scratch for datagrams.
    outbox: Outbox,
    outgoing: VecDeque<Outgoing>,
    /// No deadline and no retransmission is due before this.
    wake: Option<Instant>,
    events: VecDeque<Event<T>>,
    counters: Counters,
}

impl<T> Client<T> {
    /// A client on one connection.
    #[must_use]
    pub fn stream(config: ClientConfig, seed: &Seed) -> Self {
        Self::new(config, None, seed)
    }

    /// A client of one server address, by datagrams.
    #[must_use]
    pub fn datagram(config: ClientConfig, server: SocketAddr, seed: &Seed) -> Self {
        Self::new(config, Some(canonical(server)), seed)
    }

    fn new(config: ClientConfig, server: Option<SocketAddr>, seed: &Seed) -> Self {
        let [a, b, c, d, ..] = seed.draw(0).to_be_bytes();
        Self {
            config,
            server,
            next_xid: u32::from_be_bytes([a, b, c, d]),
            slots: Vec::new(),
            busy: 0,
            outbox: Outbox::default(),
            outgoing: VecDeque::new(),
            wake: None,
            events: VecDeque::new(),
            counters: Counters::default(),
        }
    }

    /// Begins a call. Its bytes wait in [`poll_transmit`](Self::poll_transmit) or
    /// [`poll_datagram`](Self::poll_datagram); without a `deadline` it waits for ever.
    ///
    /// # Errors
    /// [`CallError`]; nothing is queued then, and `token` is dropped.
    // req: onc-client-xid
    #[inline]
    pub fn call<A: Encode + ?Sized>(
        &mut self,
        now: Instant,
        target: Target,
        auth: &AuthBlock,
        args: &A,
        deadline: Option<Instant>,
        token: T,
    ) -> Result<CallId, CallError> {
        let xid = self.next_free()?;
        let sending = match self.server {
            None => self.put_stream(xid, target, auth, args)?,
            Some(_) => self.put_datagram(now, xid, target, auth, args)?,
        };
        self.note(xid, deadline, sending, token);
        Ok(CallId(xid))
    }

    /// The xid of the next call, which has a slot.
    #[inline]
    fn next_free(&mut self) -> Result<u32, CallError> {
        if self.busy >= self.config.in_flight {
            return Err(CallError::InFlight {
                limit: self.config.in_flight,
            });
        }
        if self.busy.saturating_mul(2) >= self.slots.len() {
            self.grow();
        }
        Ok(self.free_xid())
    }

    /// A call is in flight.
    #[inline]
    fn note(&mut self, xid: u32, deadline: Option<Instant>, sending: Sending, token: T) {
        self.next_xid = xid.wrapping_add(1);
        self.wake_by(deadline);
        let at = self.slot(xid);
        if let Some(slot) = self.slots.get_mut(at) {
            *slot = Some(Pending {
                xid,
                token,
                deadline,
                sending,
            });
            self.busy = self.busy.saturating_add(1);
        }
    }

    /// Begins a call whose whole message `make` knows to make: one whose authentication covers its header, xid
    /// included. On a stream it is asked once; as a datagram, also for each repetition, which differs then.
    ///
    /// # Errors
    /// [`CallError`]; nothing is queued then, and `token` is dropped.
    pub fn call_message(
        &mut self,
        now: Instant,
        mut make: Maker,
        deadline: Option<Instant>,
        token: T,
    ) -> Result<CallId, CallError> {
        let xid = self.next_free()?;
        let sending = match self.server {
            None => {
                let message = make(xid).ok_or(CallError::Unmade)?;
                self.put_stream_with(|queue| {
                    queue.put_slice(&mark(message.len()));
                    queue.put_bytes(&message);
                    Ok(message.len())
                })?
            }
            Some(_) => {
                let first = make(xid).ok_or(CallError::Unmade)?;
                self.expect_datagram(first.len())?;
                let first = Some(first);
                self.repeat_from(now, xid, Message::Anew { first, make })
            }
        };
        self.note(xid, deadline, sending, token);
        Ok(CallId(xid))
    }

    /// Sends a call to which no reply is expected: the server's procedure sends none. On a stream, a normal
    /// call afterwards tells that it arrived.
    ///
    /// # Errors
    /// [`CallError`]; nothing is queued then.
    pub fn one_way<A: Encode + ?Sized>(
        &mut self,
        target: Target,
        auth: &AuthBlock,
        args: &A,
    ) -> Result<(), CallError> {
        if self.slots.is_empty() {
            self.grow();
        }
        let xid = self.free_xid();
        if self.server.is_none() {
            self.put_stream(xid, target, auth, args)?;
        } else {
            let message = self.encode_datagram(xid, target, auth, args)?;
            self.outgoing.push_back(Outgoing::OneWay(message));
        }
        self.next_xid = xid.wrapping_add(1);
        Ok(())
    }

    /// Ends a call nobody waits for any more: its slot is free, and what was not handed out for transmission
    /// never will be. Returns its token and whether a byte of it was handed out.
    // req: onc-client-cancel
    pub fn cancel(&mut self, id: CallId) -> Option<(T, bool)> {
        let pending = self.take(id.0)?;
        self.counters.cancelled = self.counters.cancelled.saturating_add(1);
        let sent = self.is_sent(&pending.sending);
        self.bury(&pending.sending);
        Some((pending.token, sent))
    }

    /// Says that the connection is gone. Calls of which a byte was handed out end in
    /// [`poll_event`](Self::poll_event); the others stay queued for the next connection.
    pub fn lost(&mut self) {
        for at in 0..self.slots.len() {
            let outbox = &self.outbox;
            let is_out = |pending: &mut Pending<T>| match pending.sending {
                Sending::Stream { at, .. } => outbox.is_taken(at),
                Sending::Datagram { .. } => false,
            };
            let Some(gone) = self.slots.get_mut(at).and_then(|slot| slot.take_if(is_out)) else {
                continue;
            };
            self.busy = self.busy.saturating_sub(1);
            let id = CallId(gone.xid);
            self.events.push_back(Event {
                id,
                token: gone.token,
                cause: Cause::Lost,
                sent: true,
            });
        }
    }

    /// Takes one complete record from the connection.
    // req: onc-client-match
    #[inline]
    pub fn handle_record<'m>(&mut self, record: &'m [u8]) -> Incoming<'m, T> {
        let Some((xid, kind)) = parse_kind(record) else {
            return self.ignore(Ignored::Undecodable);
        };
        if kind == MessageType::CALL {
            return Incoming::Call;
        }
        let Some(Pending { token, sending, .. }) = self.take(xid) else {
            return self.ignore(Ignored::UnknownXid(xid));
        };
        if !self.is_sent(&sending) {
            self.bury(&sending);
        }
        match parse_reply(record) {
            Ok((header, results)) => Incoming::Reply {
                id: CallId(xid),
                token,
                header,
                results,
            },
            Err(error) => Incoming::Malformed {
                id: CallId(xid),
                token,
                error,
            },
        }
    }

    /// Takes one datagram. What is not a whole reply from the server to a call in flight is ignored: anybody
    /// can send datagrams.
    // req: onc-client-source
    pub fn handle_datagram<'m>(&mut self, from: SocketAddr, message: &'m [u8]) -> Incoming<'m, T> {
        if self
            .server
            .is_some_and(|server| !same_address(server, canonical(from)))
        {
            return self.ignore(Ignored::WrongSource);
        }
        if parse_kind(message).is_some_and(|(_, kind)| kind == MessageType::CALL) {
            return Incoming::Call;
        }
        let Ok((header, results)) = parse_reply(message) else {
            return self.ignore(Ignored::Undecodable);
        };
        match self.take(header.xid) {
            Some(Pending { token, .. }) => Incoming::Reply {
                id: CallId(header.xid),
                token,
                header,
                results,
            },
            None => self.ignore(Ignored::UnknownXid(header.xid)),
        }
    }

    /// Ends the calls whose deadline has passed and queues the datagrams that are due again.
    // req: onc-client-retransmit
    pub fn handle_timeout(&mut self, now: Instant) {
        if self.wake.is_none_or(|wake| wake > now) {
            return;
        }
        self.wake = None;
        for at in 0..self.slots.len() {
            let Some(pending) = self.slots.get_mut(at).and_then(Option::as_mut) else {
                continue;
            };
            let (xid, deadline) = (pending.xid, pending.deadline);
            if deadline.is_some_and(|deadline| deadline <= now) {
                self.time_out(xid);
                continue;
            }
            if let Sending::Datagram {
                sent,
                queued,
                next,
                wait,
                ..
            } = &mut pending.sending
            {
                if *next <= now {
                    *wait = wait.saturating_mul(2).min(self.config.retransmit.longest);
                    *next = now.checked_add(*wait).unwrap_or(now);
                    if !*queued && *sent > 0 {
                        *queued = true;
                        self.outgoing.push_back(Outgoing::Call(xid));
                    }
                }
                let next = *next;
                self.wake_by(Some(next));
            }
            self.wake_by(deadline);
        }
    }

    /// Moves what is to be written to the connection behind `out` and returns how many bytes that is.
    ///
    /// What has been moved counts as sent; so move only when the connection can take it.
    #[inline]
    pub fn poll_transmit(&mut self, out: &mut TransmitQueue) -> usize {
        if self.outbox.is_dirty() {
            self.rewrite();
        }
        self.outbox.hand_out(out)
    }

    /// The next datagram to send to the server.
    pub fn poll_datagram(&mut self) -> Option<Bytes> {
        loop {
            let xid = match self.outgoing.pop_front()? {
                Outgoing::OneWay(message) => return Some(message),
                Outgoing::Call(xid) => xid,
            };
            if let Some(Pending {
                sending:
                    Sending::Datagram {
                        message,
                        sent,
                        queued,
                        ..
                    },
                ..
            }) = self.pending(xid)
            {
                let made = match message {
                    Message::Same(bytes) => Some(bytes.clone()),
                    Message::Anew { first, make } => first.take().or_else(|| make(xid)),
                };
                let again = *sent > 0;
                *queued = false;
                // What cannot be made is not sent; the call ends at its deadline.
                let Some(made) = made else { continue };
                *sent = sent.saturating_add(1);
                self.counters.retransmits =
                    self.counters.retransmits.saturating_add(u64::from(again));
                return Some(made);
            }
        }
    }

    /// The next call that ended without a reply.
    pub fn poll_event(&mut self) -> Option<Event<T>> {
        self.events.pop_front()
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
        self.pending(id.0).map(|pending| &mut pending.token)
    }

    /// Calls in flight.
    #[inline]
    #[must_use]
    pub fn in_flight(&self) -> usize {
        self.busy
    }

    /// Bytes that wait for [`poll_transmit`](Self::poll_transmit).
    #[inline]
    #[must_use]
    pub fn queued(&self) -> usize {
        self.outbox.len()
    }

    /// What happened so far.
    #[must_use]
    pub fn counters(&self) -> Counters {
        self.counters
    }

    #[inline]
    fn put_stream<A: Encode + ?Sized>(
        &mut self,
        xid: u32,
        target: Target,
        auth: &AuthBlock,
        args: &A,
    ) -> Result<Sending, CallError> {
        self.put_stream_with(|queue| encode_call(queue, Framing::Stream, xid, target, auth, args))
    }

    /// Puts what `encode` appends, whose length without the mark it returns, into the stream.
    #[inline]
    fn put_stream_with(
        &mut self,
        encode: impl FnOnce(&mut TransmitQueue) -> Result<usize, EncodeError>,
    ) -> Result<Sending, CallError> {
        if self.outbox.len() >= self.config.queued {
            return Err(CallError::Queued {
                limit: self.config.queued,
            });
        }
        let at = self.outbox.position();
        let len = encode(&mut self.outbox.queue)?;
        Ok(Sending::Stream {
            at,
            len: len.saturating_add(4),
        })
    }

    fn put_datagram<A: Encode + ?Sized>(
        &mut self,
        now: Instant,
        xid: u32,
        target: Target,
        auth: &AuthBlock,
        args: &A,
    ) -> Result<Sending, CallError> {
        let message = self.encode_datagram(xid, target, auth, args)?;
        Ok(self.repeat_from(now, xid, Message::Same(message)))
    }

    /// Queues a datagram, and sees to its repetition.
    fn repeat_from(&mut self, now: Instant, xid: u32, message: Message) -> Sending {
        let wait = self.config.retransmit.first;
        let next = now.checked_add(wait).unwrap_or(now);
        self.wake_by(Some(next));
        self.outgoing.push_back(Outgoing::Call(xid));
        Sending::Datagram {
            message,
            sent: 0,
            queued: true,
            next,
            wait,
        }
    }

    fn encode_datagram<A: Encode + ?Sized>(
        &mut self,
        xid: u32,
        target: Target,
        auth: &AuthBlock,
        args: &A,
    ) -> Result<Bytes, CallError> {
        let len = encode_call(
            &mut self.outbox.queue,
            Framing::Datagram,
            xid,
            target,
            auth,
            args,
        )?;
        let message = Bytes::from(self.outbox.queue.to_vec());
        self.outbox.queue.clear();
        self.expect_datagram(len)?;
        Ok(message)
    }

    /// Refuses a message that is longer than a datagram may be.
    fn expect_datagram(&self, len: usize) -> Result<(), CallError> {
        let limit = self.config.datagram;
        match len > limit {
            true => Err(CallError::Datagram { len, limit }),
            false => Ok(()),
        }
    }

    /// The next xid whose slot is free. At most half of the slots are busy, so there is one.
    #[inline]
    fn free_xid(&self) -> u32 {
        let mut xid = self.next_xid;
        while matches!(self.slots.get(self.slot(xid)), Some(Some(_))) {
            xid = xid.wrapping_add(1);
        }
        xid
    }

    #[inline]
    fn slot(&self, xid: u32) -> usize {
        usize::try_from(xid).unwrap_or(usize::MAX) & self.slots.len().wrapping_sub(1)
    }

    #[inline]
    fn pending(&mut self, xid: u32) -> Option<&mut Pending<T>> {
        let at = self.slot(xid);
        self.slots
            .get_mut(at)?
            .as_mut()
            .filter(|pending| pending.xid == xid)
    }

    /// Frees the slot of a call in flight.
    #[inline]
    fn take(&mut self, xid: u32) -> Option<Pending<T>> {
        let at = self.slot(xid);
        let pending = self
            .slots
            .get_mut(at)?
            .take_if(|pending| pending.xid == xid)?;
        self.busy = self.busy.saturating_sub(1);
        Some(pending)
    }

    /// Twice as many slots. Calls in different slots stay in different slots.
    #[cold]
    fn grow(&mut self) {
        let len = self.slots.len().saturating_mul(2).max(FIRST_SLOTS);
        let old = std::mem::take(&mut self.slots);
        self.slots.resize_with(len, || None);
        for pending in old.into_iter().flatten() {
            let at = self.slot(pending.xid);
            if let Some(slot) = self.slots.get_mut(at) {
                *slot = Some(pending);
            }
        }
    }

    #[cold]
    fn ignore<'m>(&mut self, why: Ignored) -> Incoming<'m, T> {
        let counter = match why {
            Ignored::UnknownXid(_) => &mut self.counters.unknown_xid,
            Ignored::WrongSource => &mut self.counters.wrong_source,
            Ignored::Undecodable => &mut self.counters.undecodable,
        };
        *counter = counter.saturating_add(1);
        Incoming::Ignored(why)
    }

    fn time_out(&mut self, xid: u32) {
        let Some(pending) = self.take(xid) else {
            return;
        };
        self.counters.timeouts = self.counters.timeouts.saturating_add(1);
        let sent = self.is_sent(&pending.sending);
        self.bury(&pending.sending);
        self.events.push_back(Event {
            id: CallId(xid),
            token: pending.token,
            cause: Cause::TimedOut,
            sent,
        });
    }

    #[inline]
    fn wake_by(&mut self, instant: Option<Instant>) {
        if let Some(instant) = instant {
            self.wake = Some(self.wake.map_or(instant, |wake| wake.min(instant)));
        }
    }

    #[inline]
    fn is_sent(&self, sending: &Sending) -> bool {
        match sending {
            Sending::Stream { at, .. } => self.outbox.is_taken(*at),
            Sending::Datagram { sent, .. } => *sent > 0,
        }
    }

    /// Takes the bytes of a call that is over back, if they still wait.
    fn bury(&mut self, sending: &Sending) {
        if let Sending::Stream { at, len } = sending
            && self.outbox.remove(*at, *len)
        {
            self.rewrite();
        }
    }

    /// Rids the queue of removed messages.
    #[cold]
    fn rewrite(&mut self) {
        let moved = self.outbox.rewrite();
        for pending in self.slots.iter_mut().flatten() {
            if let Sending::Stream { at, .. } = &mut pending.sending {
                *at = moved.from(*at);
            }
        }
    }
}

/// An IPv4 address that came through an IPv6 socket as what it is.
fn canonical(address: SocketAddr) -> SocketAddr {
    SocketAddr::new(address.ip().to_canonical(), address.port())
}

fn same_address(a: SocketAddr, b: SocketAddr) -> bool {
    (a.ip(), a.port()) == (b.ip(), b.port())
}

#[cfg(test)]
mod tests;
