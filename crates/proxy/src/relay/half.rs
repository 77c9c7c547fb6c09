//! The driver of one half of a virtual connection: a proxy's machine and its connections.
//!
//! Read first: the documentation of `farcall_rpch`, whose loop this is. One task owns all of it; what others want of it comes as a
//! [`Command`]. Every PDU is judged before it is handed back to the machine.

use std::future::poll_fn;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use bytes::Bytes;
use farcall_rpch::{Ended, First, Load};
use tokio::sync::mpsc;

use super::alarm::Alarm;
use super::machine::{Event, Machine};
use super::reach::Reach;
use super::table::Virtual;
use super::wire::{Happened, Wire};
use crate::channel::{Direction, code};
use crate::line::Line;

/// Rounds in a row before others on the thread have their turn.
const ROUNDS: usize = 32;

/// Bytes that are read from one connection before others have their turn.
const AT_ONCE: usize = 64 << 10;

/// How long what is over may take to write its last words.
const LAST_WORDS: Duration = Duration::from_secs(5);

/// A client's request.
pub(super) struct Request {
    /// Its connection.
    pub(super) line: Box<Line>,
    /// Bytes that it declared: an IN channel's lifetime.
    pub(super) length: u64,
}

/// What others want of a half.
pub(super) enum Command {
    /// A channel that recycles the one that is there; who asks was checked.
    Attach(Box<First>, Request),
    /// A PDU of our own for the client.
    Inject(Bytes),
    /// The client understands pings.
    MayPing,
    /// End it, and tell the client this code, the log these words.
    Close(u32, &'static str),
}

/// Judges what passes.
pub(super) trait Judge: Send + 'static {
    /// Says what becomes of a PDU.
    fn judge(&mut self, pdu: &Bytes) -> Ruling;
    /// The server is reached.
    fn reached(&mut self);
    /// The server cannot be reached.
    fn unreached(&mut self);
    /// Calls go through.
    fn opened(&mut self);
    /// A channel is replaced by another that came here.
    fn recycled(&mut self);
    /// How full it is, and how many bytes are left of the client's channel.
    fn load(&mut self, load: Load, left: u64);
    /// It is over; why, where this side ended it.
    fn ended(&mut self, ended: &Ended, why: Option<&'static str>);
    /// Nothing of it is left, and of the other half nothing either if it was the `last`.
    fn gone(&mut self, last: bool);
}

/// What becomes of a PDU.
pub(super) enum Ruling {
    /// It goes on.
    Forward,
    /// This goes on in its place.
    Replace(Bytes),
    /// It goes nowhere.
    Refuse,
    /// Nothing more of this connection can be trusted.
    Violation,
}

/// What a half begins with.
pub(super) struct Parts {
    /// Which half it is.
    pub(super) direction: Direction,
    /// The length of an OUT channel's response.
    pub(super) lifetime: u32,
    /// How its server is reached.
    pub(super) reach: Arc<Reach>,
    /// The virtual connection.
    pub(super) shared: Arc<Virtual>,
    /// How long the client may say nothing.
    pub(super) idle: Duration,
    /// What others want of it.
    pub(super) commands: mpsc::UnboundedReceiver<Command>,
    /// The request whose channel is the machine's first.
    pub(super) request: Request,
}

/// One half, to be run.
pub(super) struct Half<M, J: Judge> {
    machine: M,
    judge: J,
    direction: Direction,
    lifetime: u32,
    reach: Arc<Reach>,
    shared: Arc<Virtual>,
    wires: Vec<Wire>,
    commands: mpsc::UnboundedReceiver<Command>,
    alarm: Alarm,
    /// When the client said something last, and how long it may say nothing.
    heard: Instant,
    idle: Duration,
    /// It is over, and everything ends at this moment at the latest.
    over: Option<Instant>,
    /// Bytes that are left of the client's channel.
    left: u64,
    /// Why this side ended it.
    why: Option<&'static str>,
}

impl<M, J: Judge> Drop for Half<M, J> {
    fn drop(&mut self) {
        let last = self.shared.left(self.direction);
        self.judge.gone(last);
    }
}

impl<M: Machine, J: Judge> Half<M, J> {
    /// A half that has not run yet.
    pub(super) fn new(machine: M, judge: J, parts: Parts) -> Self {
        let now = Instant::now();
        let left = match parts.direction {
            Direction::In => parts.request.length,
            Direction::Out => parts.lifetime.into(),
        };
        Self {
            machine,
            judge,
            direction: parts.direction,
            lifetime: parts.lifetime,
            reach: parts.reach,
            shared: parts.shared,
            wires: vec![Wire::client(
                farcall_rpch::ChannelId::FIRST,
                parts.request.line,
            )],
            commands: parts.commands,
            alarm: Alarm::new(now),
            heard: now,
            idle: parts.idle,
            over: None,
            left,
            why: None,
        }
    }

    /// Runs it to its end.
    pub(super) async fn run(mut self) {
        poll_fn(|cx| {
            let polled = self.poll(cx);
            self.judge.load(self.machine.load(), self.left);
            polled
        })
        .await;
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        // One look at the clock serves all rounds, unless it has rung.
        let mut now = Instant::now();
        for _ in 0..ROUNDS {
            let mut progress = self.take_commands(cx, now);
            progress |= self.obey(now);
            progress |= self.judge_all(now);
            progress |= self.obey(now);
            progress |= self.transmit(cx, now);
            progress |= self.receive(cx, now);
            if self.time_out(cx, now) {
                now = Instant::now();
                progress = true;
            }
            self.wires.retain(|wire| !wire.is_gone());
            if self
                .over
                .is_some_and(|until| self.wires.is_empty() || until <= now)
            {
                return Poll::Ready(());
            }
            if !progress {
                return Poll::Pending;
            }
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    fn take_commands(&mut self, cx: &mut Context<'_>, now: Instant) -> bool {
        let mut progress = false;
        while self.over.is_none()
            && let Poll::Ready(Some(command)) = self.commands.poll_recv(cx)
        {
            progress = true;
            match command {
                Command::Attach(first, request) => self.attach(now, &first, request),
                Command::Inject(pdu) => self.machine.inject(now, pdu),
                Command::MayPing => self.machine.may_ping(),
                Command::Close(code, why) => self.close(now, code, why),
            }
        }
        progress
    }

    fn close(&mut self, now: Instant, code: u32, why: &'static str) {
        self.why.get_or_insert(why);
        self.machine.close(now, code);
    }

    fn attach(&mut self, now: Instant, first: &First, request: Request) {
        let length = request.length;
        match self.machine.attach(now, first) {
            Ok(channel) => {
                self.wires.push(Wire::client(channel, request.line));
                self.left = match self.direction {
                    Direction::In => length,
                    Direction::Out => self.lifetime.into(),
                };
                self.judge.recycled();
            }
            Err(failure) => {
                tracing::info!(%failure, direction = self.direction.word(), "channel not recycled");
                tokio::spawn(request.line.refuse(failure.code()));
            }
        }
    }

    fn obey(&mut self, now: Instant) -> bool {
        let mut progress = false;
        while let Some(event) = self.machine.poll_event() {
            progress = true;
            match event {
                Event::Connect(channel) => {
                    let connecting = self.reach.connect();
                    self.wires.push(Wire::connecting(channel, connecting));
                }
                Event::KeepAlive(interval) => {
                    self.wires.iter().for_each(|wire| wire.keep_alive(interval))
                }
                Event::Respond(channel) => {
                    let lifetime = self.lifetime;
                    self.at(channel, |wire| wire.respond(lifetime));
                }
                Event::Opened => {
                    // Where the inbound half is not here, nobody can tell.
                    if self.shared.has_spoken() {
                        self.machine.may_ping();
                    }
                    self.judge.opened();
                }
                Event::Speaks => self.shared.speaks(),
                Event::Refuse(channel, code) => self.at(channel, |wire| wire.refuse(code)),
                Event::Close(channel) => {
                    self.hand_over(channel, now);
                    self.at(channel, Wire::close);
                }
                Event::Ended(ended) => {
                    self.judge.ended(&ended, self.why.take());
                    self.wires.iter_mut().for_each(Wire::close);
                    self.over = now.checked_add(LAST_WORDS);
                }
            }
        }
        progress
    }

    fn at(&mut self, channel: farcall_rpch::ChannelId, act: impl FnOnce(&mut Wire)) {
        if let Some(wire) = self.wires.iter_mut().find(|wire| wire.id == channel) {
            act(wire);
        }
    }

    /// Gives a connection everything that the machine has for it.
    fn hand_over(&mut self, channel: farcall_rpch::ChannelId, now: Instant) {
        if let Some(wire) = self.wires.iter_mut().find(|wire| wire.id == channel) {
            while let Some(bytes) = self.machine.poll_transmit(now, channel) {
                wire.write(bytes);
            }
        }
    }

    fn judge_all(&mut self, now: Instant) -> bool {
        let mut progress = false;
        while let Some(mut pdu) = self.machine.poll_pdu() {
            progress = true;
            match self.judge.judge(&pdu.bytes) {
                Ruling::Forward => self.machine.forward(now, pdu),
                Ruling::Replace(bytes) => {
                    pdu.bytes = bytes;
                    self.machine.forward(now, pdu);
                }
                Ruling::Refuse => self.machine.refuse(now, pdu),
                Ruling::Violation => {
                    self.machine.refuse(now, pdu);
                    self.close(now, code::PROTOCOL_ERROR, "the client broke the protocol");
                }
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
                if wire.is_client() {
                    self.left = self.left.saturating_sub(length(&bytes));
                }
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
            let mut got = 0;
            while got < AT_ONCE
                && let Poll::Ready(happened) = wire.poll_read(cx, self.machine.is_readable(wire.id))
            {
                progress = true;
                match happened {
                    Happened::Bytes(bytes) => {
                        got += bytes.len();
                        if wire.is_client() {
                            self.heard = now;
                            if self.direction == Direction::In {
                                self.left = self.left.saturating_sub(length(&bytes));
                            }
                        }
                        self.machine.handle_bytes(now, wire.id, bytes);
                    }
                    Happened::Connected => {
                        self.judge.reached();
                        self.machine.handle_connected(now, wire.id);
                    }
                    Happened::Unreached => {
                        self.judge.unreached();
                        self.machine.handle_closed(now, wire.id);
                    }
                    Happened::Closed => self.machine.handle_closed(now, wire.id),
                }
            }
        }
        progress
    }

    fn time_out(&mut self, cx: &mut Context<'_>, now: Instant) -> bool {
        let silent = self.heard.checked_add(self.idle);
        let silent = silent.filter(|_| self.direction == Direction::In);
        let next = match self.over {
            Some(until) => Some(until),
            None => self.machine.poll_timeout().into_iter().chain(silent).min(),
        };
        let Some(at) = next else {
            return false;
        };
        if at <= now && self.over.is_none() {
            if silent == Some(at) {
                self.close(now, code::CALL_FAILED, "the client was silent for too long");
                self.heard = now;
            }
            self.machine.handle_timeout(now);
            return true;
        }
        // Ready between the two looks at the clock: the next round takes it.
        self.alarm.poll(cx, at)
    }
}

fn length(bytes: &Bytes) -> u64 {
    u64::try_from(bytes.len()).unwrap_or(u64::MAX)
}
