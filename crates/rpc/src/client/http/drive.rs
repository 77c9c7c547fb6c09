//! The task of a virtual connection: the machine, its connections, and the byte stream above.
//!
//! Read first: the documentation of `farcall_rpch`, whose loop this is. The task lives until nobody wants the stream or the
//! connection has failed; it sends pings and recycles channels whether or not somebody reads.

use std::future::poll_fn;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use farcall_rpch::client::Event;
use farcall_rpch::{ChannelId, Client, Direction, Failure};

use super::pipe::Pipe;
use super::proof;
use super::route::Route;
use super::trouble;
use super::wire::{Happened, Opening, Wire};
use crate::client::timer::Timer;
use crate::error::{Cause, Error, Phase};

/// Rounds in a row before others on the thread have their turn.
const ROUNDS: usize = 32;

/// No more is taken from the stream while this much waits for the proxy's window.
const AHEAD: usize = 64 << 10;

/// How long what is over may take to write its last words.
const LAST_WORDS: Duration = Duration::from_secs(2);

/// A virtual connection being driven.
pub(super) struct Drive {
    machine: Client,
    route: Arc<Route>,
    /// The HTTP proxy is used.
    through: bool,
    wires: Vec<Wire>,
    pipe: Arc<Pipe>,
    timer: Timer,
    opened: bool,
    /// Why a connection failed, in better words than the machine has.
    cause: Option<Error>,
    /// The user is gone, and what is left is written until this moment at the latest.
    leaving: Option<Instant>,
    /// It is over, and everything ends at this moment at the latest.
    over: Option<Instant>,
}

impl Drive {
    pub(super) fn new(machine: Client, route: Arc<Route>, through: bool, pipe: Arc<Pipe>) -> Self {
        Self {
            machine,
            route,
            through,
            wires: Vec::new(),
            pipe,
            timer: Timer::new(),
            opened: false,
            cause: None,
            leaving: None,
            over: None,
        }
    }

    /// Drives it to its end.
    pub(super) async fn run(mut self) {
        poll_fn(|cx| self.poll(cx)).await;
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        self.pipe.watch(cx.waker());
        for _ in 0..ROUNDS {
            let now = Instant::now();
            let mut progress = self.obey(now);
            progress |= self.exchange(now);
            progress |= self.obey(now);
            progress |= self.transmit(cx, now);
            progress |= self.receive(cx, now);
            progress |= self.leave(now);
            progress |= self.time_out(cx, now);
            self.wires.retain(|wire| !wire.is_gone());
            let late = |until: Instant| self.wires.is_empty() || until <= now;
            if self.over.is_some_and(late) {
                return Poll::Ready(());
            }
            if !progress {
                return Poll::Pending;
            }
            self.pipe.watch(cx.waker());
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    fn obey(&mut self, now: Instant) -> bool {
        let mut progress = false;
        while let Some(event) = self.machine.poll_event() {
            progress = true;
            match event {
                Event::Open {
                    channel,
                    direction,
                    content_length,
                } => self.open(channel, direction, content_length),
                Event::Opened => {
                    self.opened = true;
                    self.pipe.opened();
                }
                Event::Close(channel) => {
                    self.hand_over(channel, now);
                    self.at(channel, Wire::close);
                }
                Event::Failed(failure) => self.failed(&failure, now),
            }
        }
        progress
    }

    fn open(&mut self, channel: ChannelId, direction: Direction, content_length: u64) {
        let (route, through) = (Arc::clone(&self.route), self.through);
        let opening: Opening = Box::pin(async move {
            let ready = proof::ready(&route, direction, through).await?;
            let authorization = ready.authorization.as_deref();
            let forwarded = ready.connection.forwarded;
            let request = route.request(direction, content_length, authorization, forwarded);
            Ok((ready, request))
        });
        self.wires.push(Wire::new(channel, direction, opening));
    }

    fn failed(&mut self, failure: &Failure, now: Instant) {
        let error = match (self.cause.take(), failure) {
            (Some(cause), Failure::Lost(_) | Failure::Refused { .. }) => cause,
            _ => trouble::failed(failure, self.opened),
        };
        let error = match self.opened {
            true => on_a_call(&error),
            false => error,
        };
        tracing::debug!(%failure, %error, "virtual connection ended");
        self.pipe.fail(error.with_peer(self.route.shown()));
        self.wires.iter_mut().for_each(Wire::close);
        self.over = now.checked_add(LAST_WORDS);
    }

    fn at(&mut self, channel: ChannelId, act: impl FnOnce(&mut Wire)) {
        if let Some(wire) = self.wires.iter_mut().find(|wire| wire.id == channel) {
            act(wire);
        }
    }

    /// Gives a connection everything that the machine has for it.
    fn hand_over(&mut self, channel: ChannelId, now: Instant) {
        if let Some(wire) = self.wires.iter_mut().find(|wire| wire.id == channel) {
            while let Some(bytes) = self.machine.poll_transmit(now, channel) {
                wire.write(bytes);
            }
        }
    }

    /// Moves PDUs between the machine and the stream.
    fn exchange(&mut self, now: Instant) -> bool {
        let mut progress = false;
        while self.opened
            && self.pipe.has_room()
            && let Some(pdu) = self.machine.poll_pdu()
        {
            progress = true;
            self.pipe.deliver(pdu);
        }
        while self.opened && self.over.is_none() && self.machine.queued() < AHEAD {
            let Some(bytes) = self.pipe.take() else {
                break;
            };
            progress = true;
            if let Err(error) = self.machine.send(now, bytes) {
                tracing::warn!(%error, "not sent");
                self.machine.close(now);
            }
        }
        progress
    }

    fn transmit(&mut self, cx: &mut Context<'_>, now: Instant) -> bool {
        let mut progress = false;
        for wire in &mut self.wires {
            while wire.has_room()
                && let Some(bytes) = self.machine.poll_transmit(now, wire.id)
            {
                wire.write(bytes);
                progress = true;
            }
            progress |= wire.poll_write(cx);
        }
        progress
    }

    fn receive(&mut self, cx: &mut Context<'_>, now: Instant) -> bool {
        let mut progress = false;
        for wire in &mut self.wires {
            let readable = self.machine.is_readable(wire.id);
            let Poll::Ready(happened) = wire.poll_read(cx, readable) else {
                continue;
            };
            progress = true;
            match happened {
                Happened::Connected => {}
                Happened::Bytes(bytes) => self.machine.handle_bytes(now, wire.id, bytes),
                Happened::Head(head) => {
                    if head.status != 200 {
                        self.cause.get_or_insert(trouble::refused(&head));
                    }
                    self.machine
                        .handle_response(now, wire.id, head.status, &head.reason);
                }
                Happened::Closed(error) => {
                    self.cause.get_or_insert(error);
                    self.machine.handle_closed(now, wire.id);
                    // An IN channel that has said all closes without harm.
                    if self.machine.poll_timeout().is_some() {
                        self.cause = None;
                    }
                }
            }
        }
        progress
    }

    /// Ends it if nobody wants it, when what was said is written.
    fn leave(&mut self, now: Instant) -> bool {
        if self.over.is_some() || !self.pipe.is_left() {
            return false;
        }
        let until = *self.leaving.get_or_insert(now + LAST_WORDS);
        let written = self.pipe.is_empty()
            && self.machine.is_drained()
            && self.wires.iter().all(Wire::is_drained);
        if !self.opened || written || until <= now {
            self.machine.close(now);
            return true;
        }
        false
    }

    fn time_out(&mut self, cx: &mut Context<'_>, now: Instant) -> bool {
        let next = match self.over {
            Some(until) => Some(until),
            None => self
                .machine
                .poll_timeout()
                .into_iter()
                .chain(self.leaving)
                .min(),
        };
        let Some(at) = next else {
            return false;
        };
        if at <= now && self.over.is_none() {
            self.machine.handle_timeout(now);
            return true;
        }
        // Ready between the two looks at the clock: the next round takes it.
        self.timer.poll_until(cx, at).is_ready()
    }
}

/// The same of a connection that calls were made on: where it failed is not where they were.
fn on_a_call(error: &Error) -> Error {
    let why = match error.cause() {
        Cause::Disconnected(why) => why.clone(),
        other => other.to_string(),
    };
    let told = Error::new(Phase::Call, Cause::Disconnected(why));
    let hints = error.hints().iter();
    hints.fold(told, |told, hint| told.hint(hint.as_str()))
}
