//! The server's side of one byte stream: the hot path.
//!
//! One future drives one connection: it reads large, admits every complete record that arrived,
//! polls procedures in place, and writes all replies at once. Only a procedure that is pending
//! becomes a call in flight of its own. While it idles, a connection holds no buffers: they
//! belong to the thread.
//!
//! The future runs on a core's runtime, or on a [lane](super::lane) as long as nothing in it has
//! to wait.
//!
//! What this file does not do: it does not parse ([`farcall_onc`] does), does not accept
//! ([`accept`](super::accept)) and does not know what a procedure is ([`stub`](crate::stub)).

use std::future::Future;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use bytes::{BufMut, Bytes};
use farcall_onc::record::{Assembler, Record, RecordLimits};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::Sleep;
use tokio_util::io::poll_read_buf;

use super::hub::{Hub, Stage, Verdict};
use super::lane::{Lane, Pulse, Switch};
use super::origin::Origin;
use super::visit::{End, Leave, Visiting};
use super::workers::Workers;
use crate::client::back::{self, Back};
use crate::limits::Limits;
use crate::line::Line;
use crate::scratch;
use crate::turn::{Ahead, Incoming, Turn};

/// Reads and writes in one poll before other connections get their turn.
const TURNS: usize = 16;

/// From how many missing bytes on a record is read into memory of its own.
const LARGE: usize = 64 << 10;

/// One connection, as a future that ends when the connection does.
pub(crate) struct StreamConnection<IO> {
    io: IO,
    hub: Arc<Hub>,
    origin: Origin,
    assembler: Assembler,
    workers: Workers,
    /// What is left over from the last turn, if anything is.
    turn: Option<Box<Turn>>,
    generation: u64,
    /// No more calls will be read.
    closing: bool,
    clock: Clock,
    /// How busy it is, if it may have a lane.
    pulse: Option<Pulse>,
    /// It is on a lane: a read sleeps, so nothing else may wait meanwhile.
    laned: bool,
    /// Who was told to be woken, by the timer and by the server's next stage.
    waker: Option<Waker>,
    /// For calls in the other direction; in the turn while that is being driven.
    line: Option<Arc<Line>>,
    /// The transport keeps some of what was written.
    unflushed: bool,
}

/// When what last happened, and the one timer.
struct Clock {
    /// The last byte read, or the last reply finished.
    active: Instant,
    /// Since when replies have not moved.
    stalled: Option<Instant>,
    /// Something was read in this poll, at `active`.
    fresh: bool,
    /// Nothing is being read, for reasons of ours: the peer is not late.
    paused: bool,
    /// The timer, once it was needed.
    timer: Option<Pin<Box<Sleep>>>,
}

impl<IO: AsyncRead + AsyncWrite + Unpin> StreamConnection<IO> {
    pub(crate) fn new(io: IO, hub: Arc<Hub>, mut origin: Origin) -> Self {
        let limits = RecordLimits {
            record: hub.limits.record,
            fragments: hub.limits.fragments,
        };
        let now = Instant::now();
        Self {
            io,
            assembler: Assembler::new(limits),
            workers: Workers::new(hub.inbox(&mut origin)),
            origin,
            turn: None,
            generation: 0,
            closing: false,
            clock: Clock {
                active: now,
                stalled: None,
                fresh: false,
                paused: false,
                timer: None,
            },
            hub,
            pulse: None,
            laned: false,
            waker: None,
            line: Some(Line::new()),
            unflushed: false,
        }
    }

    /// The same connection, with this line for calls in the other direction.
    pub(crate) fn with_line(mut self, line: Arc<Line>) -> Self {
        self.line = Some(line);
        self
    }

    /// The same connection, which may go to a lane when it is busy.
    pub(crate) fn may_have_lane(mut self) -> Self {
        self.pulse = Some(Pulse::default());
        self
    }

    /// Sees to it that the timer and the server's next stage wake this task. `true`: they were
    /// told before.
    fn enlist(&mut self, cx: &mut Context<'_>) -> bool {
        if self.laned {
            return true;
        }
        if self
            .waker
            .as_ref()
            .is_some_and(|known| known.will_wake(cx.waker()))
        {
            return true;
        }
        self.hub.watch(self.origin.source.connection, cx.waker());
        if let Some(line) = &self.line {
            line.watch(cx.waker());
        }
        self.waker = Some(cx.waker().clone());
        false
    }

    /// Reads, runs and writes until there is nothing to do but wait.
    fn drive(&mut self, cx: &mut Context<'_>, turn: &mut Box<Turn>) -> Poll<End> {
        let turns = if self.laned { usize::MAX } else { TURNS };
        for _ in 0..turns {
            match self.hub.stage() {
                Stage::Serving => {}
                Stage::Draining => self.closing = true,
                Stage::Aborting => return Poll::Ready(End::Aborted),
            }
            if let Err(end) = self.run(cx, turn) {
                return self.last_words(cx, turn, end);
            }
            let back = self.speak(cx, turn);
            if let Err(error) = self.flush(cx, turn) {
                return Poll::Ready(End::Io(error));
            }
            if self.origin.gate.is_starting() {
                return self.rest_to_secure(turn);
            }
            if self.workers.can_run(&self.hub, turn) {
                continue;
            }
            let answered = back.as_ref().is_none_or(|back| !back.is_waiting());
            if (self.closing && answered)
                || !turn.calls.is_empty()
                || turn.out.len() > self.hub.limits.write_queue
                || self.workers.is_full(&self.hub)
            {
                self.clock.paused = true;
                return self.rest(turn);
            }
            if self.laned && !self.is_prompt(turn) {
                return Poll::Pending;
            }
            if std::mem::take(&mut self.clock.paused) {
                self.clock.active = Instant::now();
            }
            match self.read(cx, turn) {
                Ok(Poll::Ready(true)) => {}
                Ok(Poll::Ready(false)) => {
                    // Nor will there be any replies.
                    self.closing = true;
                    turn.line.iter().for_each(|line| back::lost(line));
                }
                Ok(Poll::Pending) => return self.rest(turn),
                Err(end) => return self.last_words(cx, turn, end),
            }
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    /// The probe for TLS was answered: once that has been sent, nothing more is read in clear.
    fn rest_to_secure(&mut self, turn: &Turn) -> Poll<End> {
        self.clock.paused = true;
        match turn.out.is_empty() && !self.unflushed {
            true => Poll::Ready(End::Secure),
            false => Poll::Pending,
        }
    }

    /// Sends calls in the other direction, if there are any, and says who makes them.
    #[inline]
    fn speak(&mut self, cx: &mut Context<'_>, turn: &mut Box<Turn>) -> Option<Arc<Back>> {
        let back = Back::of(turn.line.as_deref()?)?;
        if turn.out.len() <= self.hub.limits.write_queue {
            back.transmit(cx, &mut turn.out);
        }
        self.closing |= back.is_over();
        Some(back)
    }

    /// Runs what waits, and admits what is left of the batch.
    fn run(&mut self, cx: &mut Context<'_>, turn: &mut Box<Turn>) -> Result<(), End> {
        let transport = self.origin.source.transport;
        self.workers.run(cx, &self.hub, transport, turn);
        while turn.has_more() {
            self.admit_more(turn)?;
            self.workers.run(cx, &self.hub, transport, turn);
        }
        turn.forget_batch();
        Ok(())
    }

    /// Whether everything is done, or there is something to wait for.
    fn rest(&self, turn: &Turn) -> Poll<End> {
        let back = turn.line.as_deref().and_then(Back::of);
        let answered = back.is_none_or(|back| !back.is_waiting());
        let idle = turn.is_idle() && self.workers.is_empty() && answered && !self.unflushed;
        if self.closing && idle {
            Poll::Ready(End::Done)
        } else {
            Poll::Pending
        }
    }

    /// Whether everything that came has been answered, and no large record is under way.
    fn is_prompt(&self, turn: &Turn) -> bool {
        let small = self.assembler.pending().is_none_or(|left| left <= LARGE);
        let one_way = turn.line.as_ref().is_none_or(|line| line.back().is_none());
        small && one_way && turn.is_idle() && self.workers.is_empty()
    }

    /// Whether the connection is to go to a lane, and to which.
    fn lane(&mut self, turn: &Turn) -> Option<Lane> {
        if self.laned {
            return None;
        }
        let prompt = self.is_prompt(turn);
        let pulse = self.pulse.as_mut().filter(|_| self.clock.fresh)?;
        pulse.beat(self.clock.active, prompt).then_some(())?;
        self.hub.lanes.take()
    }

    /// Tries once to send what was answered before the stream went wrong.
    fn last_words(&mut self, cx: &mut Context<'_>, turn: &mut Box<Turn>, end: End) -> Poll<End> {
        self.workers
            .run(cx, &self.hub, self.origin.source.transport, turn);
        let _ = self.flush(cx, turn);
        Poll::Ready(end)
    }

    /// Writes what waits, as far as the peer takes it.
    fn flush(&mut self, cx: &mut Context<'_>, turn: &mut Box<Turn>) -> io::Result<()> {
        while !turn.out.is_empty() {
            let io = Pin::new(&mut self.io);
            let written = match turn.out.contiguous() {
                // A plain write is the cheaper system call.
                Some(bytes) => io.poll_write(cx, bytes),
                None => {
                    let mut slices = [IoSlice::new(&[]); 64];
                    let filled = turn.out.io_slices(&mut slices);
                    io.poll_write_vectored(cx, slices.get(..filled).unwrap_or_default())
                }
            };
            match written {
                Poll::Ready(Ok(0)) => return Err(io::ErrorKind::WriteZero.into()),
                Poll::Ready(Ok(n)) => turn.out.advance(n),
                Poll::Ready(Err(error)) => return Err(error),
                Poll::Pending => {
                    self.clock.stalled.get_or_insert_with(Instant::now);
                    return Ok(());
                }
            }
            self.unflushed = true;
            self.clock.stalled = None;
            if !self.clock.fresh {
                self.clock.active = Instant::now();
            }
        }
        if self.unflushed {
            return self.flush_transport(cx);
        }
        Ok(())
    }

    /// What was written may still be inside of the transport: TLS keeps what its own has no room for.
    fn flush_transport(&mut self, cx: &mut Context<'_>) -> io::Result<()> {
        match Pin::new(&mut self.io).poll_flush(cx) {
            Poll::Ready(flushed) => {
                flushed?;
                (self.unflushed, self.clock.stalled) = (false, None);
            }
            Poll::Pending => {
                self.clock.stalled.get_or_insert_with(Instant::now);
            }
        }
        Ok(())
    }

    /// Reads once and admits what arrived. `false`: the peer will send no more.
    fn read(&mut self, cx: &mut Context<'_>, turn: &mut Box<Turn>) -> Result<Poll<bool>, End> {
        let read = match self.assembler.pending() {
            Some(missing) if missing > LARGE => self.read_large(cx, missing)?,
            _ => self.read_batch(cx)?,
        };
        let Poll::Ready(read) = read else {
            return Ok(Poll::Pending);
        };
        match read {
            Read::End => return Ok(Poll::Ready(false)),
            Read::Part => self.clock.active = Instant::now(),
            Read::Batch(batch) => self.admit(batch, turn)?,
            Read::Record(record) => {
                self.clock.active = Instant::now();
                self.admit_record(&record, &Bytes::new(), turn)?;
            }
        }
        Ok(Poll::Ready(true))
    }

    /// Reads as much as there is into the thread's buffer.
    fn read_batch(&mut self, cx: &mut Context<'_>) -> Result<Poll<Read>, End> {
        scratch::with_input(
            |input| match poll_read_buf(Pin::new(&mut self.io), cx, input) {
                Poll::Ready(Ok(0)) => Ok(Poll::Ready(Read::End)),
                Poll::Ready(Ok(_)) => Ok(Poll::Ready(Read::Batch(input.split().freeze()))),
                Poll::Ready(Err(error)) => Err(End::Io(error)),
                Poll::Pending => Ok(Poll::Pending),
            },
        )
    }

    /// Reads the rest of a large record straight into its own memory.
    fn read_large(&mut self, cx: &mut Context<'_>, missing: usize) -> Result<Poll<Read>, End> {
        let room = self.assembler.room();
        let buffer = self.assembler.buffer();
        buffer.reserve(room);
        let mut buffer = buffer.limit(missing);
        match poll_read_buf(Pin::new(&mut self.io), cx, &mut buffer) {
            Poll::Ready(Ok(0)) => Ok(Poll::Ready(Read::End)),
            Poll::Ready(Ok(_)) => match self.assembler.filled().map_err(End::Record)? {
                Some(record) => Ok(Poll::Ready(Read::Record(record))),
                None => Ok(Poll::Ready(Read::Part)),
            },
            Poll::Ready(Err(error)) => Err(End::Io(error)),
            Poll::Pending => Ok(Poll::Pending),
        }
    }

    /// Splits a batch into records and admits each.
    fn admit(&mut self, batch: Bytes, turn: &mut Box<Turn>) -> Result<(), End> {
        let now = Instant::now();
        (self.clock.active, self.clock.fresh) = (now, true);
        self.origin.source.received = now;
        turn.source = Some(self.origin.source);
        self.generation = self.generation.wrapping_add(1);
        turn.generation = self.generation;
        (turn.batch, turn.at) = (batch, 0);
        self.admit_more(turn)
    }

    /// Admits records of the batch, up to the first call behind which a worker can go on by
    /// itself. Behind what ends the stream nothing counts.
    fn admit_more(&mut self, turn: &mut Box<Turn>) -> Result<(), End> {
        let admitted = self.admit_some(turn);
        if admitted.is_err() {
            turn.at = turn.batch.len();
        }
        admitted
    }

    fn admit_some(&mut self, turn: &mut Box<Turn>) -> Result<(), End> {
        self.origin.occupied = !self.workers.is_empty();
        let batch = turn.batch.clone();
        while let Some(record) = {
            let next = self.assembler.next(&batch, &mut turn.at);
            next.map_err(End::Record)?
        } {
            self.admit_record(&record, &batch, turn)?;
            turn.ahead = self.ahead();
            let plain = |call: &Incoming| call.credential.sys().is_none();
            if turn.ahead.is_some() && turn.calls.back().is_some_and(plain) {
                break;
            }
        }
        Ok(())
    }

    /// Which calls a worker can take by itself.
    fn ahead(&self) -> Option<Ahead> {
        let habit = self.origin.habit.filter(|_| !self.origin.is_sampled())?;
        let longest = self.hub.limits.record;
        Some(Ahead { habit, longest })
    }

    fn admit_record(
        &mut self,
        record: &Record,
        batch: &Bytes,
        turn: &mut Box<Turn>,
    ) -> Result<(), End> {
        match self.hub.admit(&mut self.origin, record, batch, turn) {
            Verdict::Taken => Ok(()),
            Verdict::Close(why) => Err(End::Violation(why)),
        }
    }

    /// Watches the clock: half records, slow readers, idle peers. A timer that is armed early
    /// enough, and known not to have fired, is left alone: that is the case after nearly every
    /// read.
    fn watch(&mut self, cx: &mut Context<'_>, enlisted: bool) -> Poll<End> {
        if self.laned {
            return Poll::Pending;
        }
        let back = self.line.as_deref().and_then(Back::of);
        loop {
            let (wanted, why) = self.deadline(back.as_deref());
            let calls = back.as_ref().and_then(|back| back.poll_timeout());
            let next = calls.map_or(wanted, |calls| calls.min(wanted));
            let clock = &mut self.clock;
            let timer = clock
                .timer
                .get_or_insert_with(|| Box::pin(tokio::time::sleep_until(next.into())));
            let armed = timer.deadline().into_std();
            if next < armed {
                timer.as_mut().reset(next.into());
            } else if enlisted && clock.fresh && clock.active < armed {
                return Poll::Pending;
            }
            if timer.as_mut().poll(cx).is_pending() {
                return Poll::Pending;
            }
            let now = Instant::now();
            if wanted <= now {
                return Poll::Ready(End::Timeout(why));
            }
            if let Some(back) = back.as_ref().filter(|_| next <= now) {
                back.handle_timeout(now);
                continue;
            }
            timer.as_mut().reset(next.into());
            clock.fresh = false;
        }
    }

    /// The next moment at which something will have taken too long, and what.
    fn deadline(&self, back: Option<&Back>) -> (Instant, &'static str) {
        let limits = &self.hub.limits;
        let far = self.clock.active + Duration::from_secs(24 * 3600);
        if let Some(since) = self.clock.stalled {
            return (since + limits.write_stall, "write_stall");
        }
        if self.assembler.pending().is_some() && !self.clock.paused {
            return (self.clock.active + limits.partial, "partial");
        }
        let wanted = back.is_some_and(Back::is_wanted);
        if !self.workers.is_empty() || self.turn.is_some() || limits.idle.is_zero() || wanted {
            return (far, "idle");
        }
        (self.clock.active + limits.idle, "idle")
    }
}

/// What one read brought.
enum Read {
    /// The peer will send no more.
    End,
    /// Whole and partial records.
    Batch(Bytes),
    /// More of a large record.
    Part,
    /// The end of a large record.
    Record(Record),
}

impl<IO: AsyncRead + AsyncWrite + Unpin> Future for StreamConnection<IO> {
    type Output = Leave;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Leave> {
        let this = &mut *self;
        let enlisted = this.enlist(cx);
        this.clock.fresh = false;
        let mut turn = this.turn.take().unwrap_or_else(scratch::take_turn);
        turn.write_queue = this.hub.limits.write_queue;
        turn.line = this.line.take();
        let polled = this.drive(cx, &mut turn);
        let lane = match polled {
            Poll::Pending => this.lane(&turn),
            Poll::Ready(_) => None,
        };
        this.line = turn.line.take();
        if turn.is_idle() {
            turn.forget_batch();
            scratch::give_turn(turn);
        } else {
            this.turn = Some(turn);
        }
        match (polled, lane) {
            (Poll::Ready(end), _) => Poll::Ready(Leave::Ended(end)),
            (Poll::Pending, Some(lane)) => Poll::Ready(Leave::Busy(lane)),
            (Poll::Pending, None) => this.watch(cx, enlisted).map(Leave::Ended),
        }
    }
}

impl<S> Visiting<S> for StreamConnection<Switch<S>>
where
    S: Send + 'static,
    Switch<S>: AsyncRead + AsyncWrite + Unpin,
{
    fn io(&mut self) -> &mut Switch<S> {
        &mut self.io
    }

    fn limits(&self) -> &Limits {
        &self.hub.limits
    }

    fn enter_lane(&mut self, waker: Waker) {
        self.hub.watch(self.origin.source.connection, &waker);
        if let Some(line) = &self.line {
            line.watch(&waker);
        }
        (self.laned, self.clock.timer) = (true, None);
    }

    fn leave_lane(&mut self) {
        self.hub.unwatch(self.origin.source.connection);
        (self.laned, self.waker) = (false, None);
        self.pulse = self.pulse.as_ref().map(|_| Pulse::default());
    }
}

impl<IO> Drop for StreamConnection<IO> {
    fn drop(&mut self) {
        self.hub.unwatch(self.origin.source.connection);
        if let Some(line) = &self.line {
            back::lost(line);
        }
    }
}
