//! The server's side of one association: the hot path of DCE/RPC.
//!
//! One future drives one connection: it reads large, hands every complete PDU that arrived to the
//! association's core, polls operations in place, and writes all responses at once. Only an
//! operation that is pending becomes a call in flight of its own. While it idles, a connection
//! holds no buffers: they belong to the thread. The future runs on a core's runtime, or on a
//! [lane](crate::server::lane) as long as nothing in it has to wait.
//!
//! What this file does not do: it does not parse or judge PDUs ([`farcall_dce`] does), does not
//! accept and does not know what an operation is.

use std::future::Future;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use bytes::Bytes;
use farcall_dce::co::server::{Caller, Close, Event, Packets, Server as Core};
use farcall_dce::security::{Answer, Query};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::task::JoinHandle;
use tokio::time::Sleep;
use tokio_util::io::poll_read_buf;

use super::exports::Door;
use super::workers::Workers;
use crate::association::{self, Incoming, Turn};
use crate::call::Place;
use crate::conduit::Conduit;
use crate::desk::Desk;
use crate::error::{Error, Phase};
use crate::limits::Limits;
use crate::scratch;
use crate::server::hub::{Hub, Stage};
use crate::server::lane::{Lane, Pulse, Switch};
use crate::server::origin::Origin;
use crate::server::visit::{End, Leave, Visiting, patience};

/// Reads and writes in one poll before other connections get their turn.
const TURNS: usize = 16;

/// When nothing will have taken too long.
const FAR: Duration = Duration::from_secs(24 * 3600);

/// One association, as a future that ends when the connection does.
pub(crate) struct Connection<IO> {
    io: IO,
    hub: Arc<Hub>,
    door: Door,
    origin: Origin,
    /// The association, while it is not in a turn.
    core: Option<Box<Core>>,
    place: Option<Arc<Place>>,
    workers: Workers,
    /// What is left over from the last turn, if anything is.
    turn: Option<Box<Turn>>,
    generation: u64,
    /// Work that authentication asked for, and what could not be looked at meanwhile.
    asking: Option<(JoinHandle<Answer>, Bytes, usize)>,
    /// No more calls will be read.
    closing: bool,
    /// Why the association is over: what was answered is still written.
    ended: Option<Close>,
    clock: Clock,
    /// How busy it is, if it may have a lane.
    pulse: Option<Pulse>,
    /// It is on a lane: a read sleeps, so nothing else may wait meanwhile.
    laned: bool,
    /// Who was told to be woken, by the timer and by the server's next stage.
    waker: Option<Waker>,
}

/// When what last happened, and the one timer.
struct Clock {
    /// The last byte read, or the last response finished.
    active: Instant,
    /// Since when responses have not moved.
    stalled: Option<Instant>,
    /// Something was read in this poll, at `active`.
    fresh: bool,
    /// Nothing is being read, for reasons of ours: the peer is not late.
    paused: bool,
    /// The timer, once it was needed.
    timer: Option<Pin<Box<Sleep>>>,
}

impl<IO: AsyncRead + AsyncWrite + Unpin> Connection<IO> {
    pub(crate) fn new(io: IO, hub: Arc<Hub>, door: Door, origin: Origin) -> Self {
        let now = Instant::now();
        let seed = door.exports.seed(origin.source.connection);
        let core = Core::new(Arc::clone(&door.endpoint), now, &seed);
        Self {
            io,
            hub,
            door,
            origin,
            core: Some(Box::new(core)),
            place: None,
            workers: Workers::default(),
            turn: None,
            generation: 0,
            asking: None,
            closing: false,
            ended: None,
            clock: Clock {
                active: now,
                stalled: None,
                fresh: false,
                paused: false,
                timer: None,
            },
            pulse: None,
            laned: false,
            waker: None,
        }
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
        let known = self.waker.as_ref();
        if known.is_some_and(|known| known.will_wake(cx.waker())) {
            return true;
        }
        self.hub.watch(self.origin.source.connection, cx.waker());
        self.waker = Some(cx.waker().clone());
        false
    }

    /// Reads, runs and writes until there is nothing to do but wait.
    fn drive(&mut self, cx: &mut Context<'_>, turn: &mut Box<Turn>) -> Poll<End> {
        let turns = if self.laned { usize::MAX } else { TURNS };
        for _ in 0..turns {
            match self.hub.stage() {
                Stage::Serving => {}
                Stage::Draining => self.drain(turn),
                Stage::Aborting => return Poll::Ready(End::Aborted),
            }
            self.run(cx, turn);
            turn.pump(cx.waker());
            self.count(turn);
            if let Some(error) = turn.broken.take() {
                self.ended.get_or_insert(Close::Protect(error));
            }
            if let Err(error) = self.flush(cx, turn) {
                return Poll::Ready(End::Io(error));
            }
            if let Some(close) = &self.ended
                && turn.out.is_empty()
            {
                return Poll::Ready(end(close));
            }
            // What has just been written may have made room in a pipe.
            if self.can_run(turn) || turn.pump(cx.waker()) {
                continue;
            }
            let closed = self.is_closed() && !(turn.is_open() && self.ended.is_none());
            if closed || !self.may_read(turn) {
                self.clock.paused = true;
                return self.rest(turn);
            }
            if self.laned && !self.is_prompt(turn) {
                return Poll::Pending;
            }
            if std::mem::take(&mut self.clock.paused) {
                self.unpause(turn);
            }
            let progress = match self.asking.is_some() {
                true => self.learn(cx, turn),
                false => match self.read(cx, turn) {
                    Ok(progress) => progress,
                    Err(error) => return Poll::Ready(End::Io(error)),
                },
            };
            if progress.is_pending() {
                return self.rest(turn);
            }
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    // req: dce-face-shutdown
    /// Takes no more calls; the client is told so once.
    fn drain(&mut self, turn: &mut Turn) {
        if !self.closing
            && let Some(core) = &mut turn.core
        {
            core.shutdown(&mut turn.out);
        }
        self.closing = true;
    }

    /// Runs what waits, and takes in what is left of the batch.
    fn run(&mut self, cx: &mut Context<'_>, turn: &mut Box<Turn>) {
        let most = self.hub.limits.calls;
        turn.ahead = !self.origin.is_sampled();
        self.workers.run(cx, &self.door.exports, most, turn);
        while turn.has_more() {
            self.admit(turn);
            self.count(turn);
            self.workers.run(cx, &self.door.exports, most, turn);
        }
        if turn.calls.is_empty() {
            turn.forget_batch();
        }
    }

    /// Adds what has happened since to the server's statistics.
    #[inline]
    fn count(&self, turn: &mut Turn) {
        let Some(core) = &mut turn.core else { return };
        let packets = core.take_packets();
        if packets != Packets::default() {
            let statistics = &self.door.exports.statistics;
            let add = |counter: &AtomicU32, n| counter.fetch_add(n, Ordering::Relaxed);
            add(&statistics.packets_in, packets.received);
            add(&statistics.packets_out, packets.sent);
            add(&statistics.calls_in, packets.calls);
        }
    }

    /// Whether no more PDUs are taken.
    fn is_closed(&self) -> bool {
        self.closing || self.ended.is_some()
    }

    /// Whether a call that waits may be begun.
    fn can_run(&self, turn: &Turn) -> bool {
        let limits = &self.hub.limits;
        !turn.calls.is_empty()
            && turn.out.len() <= limits.write_queue
            && !self.workers.is_full(limits.calls)
    }

    /// Whether more may be read.
    fn may_read(&self, turn: &Turn) -> bool {
        turn.calls.is_empty() && turn.out.len() <= self.hub.limits.write_queue && !turn.is_full()
    }

    /// Whether everything is done, or there is something to wait for.
    fn rest(&self, turn: &Turn) -> Poll<End> {
        let idle = turn.is_idle() && self.workers.is_empty();
        match (&self.ended, self.closing && idle) {
            (Some(close), _) if turn.out.is_empty() => Poll::Ready(end(close)),
            (_, true) => Poll::Ready(End::Done),
            _ => Poll::Pending,
        }
    }

    /// Whether everything that came has been answered, and nothing that is missing is late so
    /// soon that a lane would sleep beyond that.
    fn is_prompt(&self, turn: &Turn) -> bool {
        let missing = turn.core.as_ref().and_then(|core| core.poll_timeout());
        let sleep = self.clock.active + patience(&self.hub.limits);
        turn.is_idle()
            && self.workers.is_empty()
            && self.asking.is_none()
            && missing.is_none_or(|late| late > sleep)
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

    /// Writes what waits, as far as the peer takes it.
    fn flush(&mut self, cx: &mut Context<'_>, turn: &mut Turn) -> io::Result<()> {
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
            self.clock.stalled = None;
            if !self.clock.fresh {
                self.clock.active = Instant::now();
            }
        }
        Ok(())
    }

    /// Reads once and takes in what arrived.
    fn read(&mut self, cx: &mut Context<'_>, turn: &mut Turn) -> io::Result<Poll<()>> {
        let batch =
            scratch::with_input(
                |input| match poll_read_buf(Pin::new(&mut self.io), cx, input) {
                    Poll::Ready(Ok(_)) => Ok(Poll::Ready(input.split().freeze())),
                    Poll::Ready(Err(error)) => Err(error),
                    Poll::Pending => Ok(Poll::Pending),
                },
            )?;
        let Poll::Ready(batch) = batch else {
            return Ok(Poll::Pending);
        };
        if batch.is_empty() {
            self.hang_up(turn);
            turn.break_off(None, &gone());
            return Ok(Poll::Ready(()));
        }
        let now = Instant::now();
        (self.clock.active, self.clock.fresh) = (now, true);
        self.origin.source.received = now;
        self.begin_batch(batch, 0, turn);
        Ok(Poll::Ready(()))
    }

    // req: dce-face-gone
    /// The client has closed the connection: nobody waits for what is not answered, and it is dropped. (No client of DCE/RPC
    /// closes one direction alone.)
    fn hang_up(&mut self, turn: &mut Turn) {
        self.closing = true;
        self.workers.abandon();
        turn.calls.clear();
    }

    /// What is to be taken in from now on.
    fn begin_batch(&mut self, batch: Bytes, at: usize, turn: &mut Turn) {
        self.generation = self.generation.wrapping_add(1);
        turn.generation = self.generation;
        turn.take_batch(batch, at, self.origin.source);
    }

    /// Hands what is left of the batch to the core, up to the first call behind which a worker can
    /// go on by itself. Behind what ends the association nothing counts.
    fn admit(&mut self, turn: &mut Turn) {
        let (now, batch) = (self.origin.source.received, turn.batch.clone());
        while let Some(core) = &mut turn.core {
            let Some(event) = core.handle_bytes(now, &batch, &mut turn.at, &mut turn.out) else {
                break;
            };
            let at = turn.at;
            if let Some(query) = self.take(event, &batch, turn) {
                self.ask(query, batch.clone(), at);
            }
            if self.asking.is_some() || self.ended.is_some() {
                break;
            }
            if turn.service_ahead().is_some() {
                return;
            }
        }
        turn.skip();
    }

    /// Takes in what the core found; a question is for the caller to have answered.
    fn take(&mut self, event: Event, batch: &Bytes, turn: &mut Turn) -> Option<Query> {
        match event {
            Event::Call(request) => self.call(request, turn),
            Event::Piece { to, stub, last } => turn.deliver(&to, stub.bytes(batch), last),
            Event::Cancel { call_id } => self.cancel(call_id),
            Event::Orphaned { call_id } => self.orphan(call_id, turn),
            Event::Ask(query) => return Some(query),
            Event::Authenticated(result) => self.authenticated(&result),
            Event::Close(close) => self.ended = Some(close),
        }
        None
    }

    /// Tells the log who came, or who did not.
    fn authenticated(&self, result: &Result<Arc<Caller>, String>) {
        let peer = self.origin.source.peer;
        match result {
            Ok(caller) => tracing::debug!(%peer, ?caller, "authenticated"),
            Err(why) => tracing::info!(%peer, why, "authentication failed"),
        }
    }

    fn call(&mut self, request: farcall_dce::co::server::Call, turn: &mut Turn) {
        if self.place.is_none() {
            self.place = Self::settle(turn);
        }
        if turn.place.is_none() {
            turn.place.clone_from(&self.place);
        }
        let interface = self.door.exports.interface(request.service);
        let sample = interface.and_then(|interface| {
            self.origin
                .sample_operation(interface, request.opnum, request.to.call_id)
        });
        let piped = interface.and_then(|interface| interface.operation(request.opnum));
        let piped = piped.filter(|it| it.in_pipes > 0 || it.out_pipes > 0);
        let conduit = piped.map(|_| {
            let limits = &self.hub.limits;
            let conduit = Arc::new(Conduit::new(limits.pipe, limits.stub));
            if !request.open {
                conduit.deliver(Bytes::new(), true);
            }
            turn.open(request.to, &conduit);
            conduit
        });
        turn.calls.push_back(Incoming {
            request,
            sample,
            conduit,
        });
    }

    /// Reading goes on after a pause of ours.
    fn unpause(&mut self, turn: &mut Turn) {
        self.clock.active = Instant::now();
        if let Some(core) = &mut turn.core {
            core.excuse(self.clock.active);
        }
    }

    /// What the calls of the association share, once it is bound.
    fn settle(turn: &Turn) -> Option<Arc<Place>> {
        Some(Arc::new(Place {
            group: Arc::clone(turn.core.as_ref()?.group()?),
            desk: Desk::default(),
        }))
    }

    fn cancel(&self, call: u32) {
        if let Some(place) = &self.place {
            place.desk.cancel(call);
        }
    }

    // req: dce-face-orphaned
    /// The client has given a call up: what works on it is dropped, also if it has not begun.
    fn orphan(&mut self, call: u32, turn: &mut Turn) {
        self.workers.abort(call);
        turn.break_off(Some(call), &gone());
        turn.calls
            .retain(|incoming| incoming.request.to.call_id != call);
        if let Some(place) = &self.place {
            place.desk.end(call);
        }
    }

    /// Has a question answered on the pool for blocking work.
    fn ask(&mut self, query: Query, rest: Bytes, at: usize) {
        let answering = tokio::task::spawn_blocking(move || (query.0)());
        self.asking = Some((answering, rest, at));
    }

    /// Goes on with authentication when its question is answered.
    fn learn(&mut self, cx: &mut Context<'_>, turn: &mut Turn) -> Poll<()> {
        let Some((answering, ..)) = &mut self.asking else {
            return Poll::Ready(());
        };
        let Poll::Ready(answer) = Pin::new(answering).poll(cx) else {
            return Poll::Pending;
        };
        let Some((_, rest, at)) = self.asking.take() else {
            return Poll::Ready(());
        };
        let Ok(answer) = answer else {
            self.ended = Some(Close::Violation("authentication failed within"));
            return Poll::Ready(());
        };
        let now = Instant::now();
        let event = match &mut turn.core {
            Some(core) => core.answer(now, answer, &mut turn.out),
            None => None,
        };
        if let Some(event) = event
            && let Some(query) = self.take(event, &rest, turn)
        {
            self.ask(query, rest, at);
            return Poll::Ready(());
        }
        if self.ended.is_none() {
            self.origin.source.received = now;
            self.begin_batch(rest, at, turn);
        }
        Poll::Ready(())
    }

    /// Watches the clock: half PDUs, slow readers, idle peers. A timer that is armed early
    /// enough, and known not to have fired, is left alone: that is the case after nearly every
    /// read.
    fn watch(&mut self, cx: &mut Context<'_>, enlisted: bool) -> Poll<End> {
        if self.laned {
            return Poll::Pending;
        }
        loop {
            let (wanted, why) = self.deadline();
            let clock = &mut self.clock;
            let timer = clock
                .timer
                .get_or_insert_with(|| Box::pin(tokio::time::sleep_until(wanted.into())));
            let armed = timer.deadline().into_std();
            if wanted < armed {
                timer.as_mut().reset(wanted.into());
            } else if enlisted && clock.fresh && clock.active < armed {
                return Poll::Pending;
            }
            if timer.as_mut().poll(cx).is_pending() {
                return Poll::Pending;
            }
            if wanted <= Instant::now() {
                return Poll::Ready(End::Timeout(why));
            }
            timer.as_mut().reset(wanted.into());
            clock.fresh = false;
        }
    }

    /// The next moment at which something will have taken too long, and what.
    fn deadline(&self) -> (Instant, &'static str) {
        let limits = &self.hub.limits;
        let far = self.clock.active + FAR;
        if let Some(since) = self.clock.stalled {
            return (since + limits.write_stall, "write_stall");
        }
        let core = self.turn.as_ref().and_then(|turn| turn.core.as_ref());
        let core = self.core.as_ref().or(core);
        let partial = core.and_then(|core| core.poll_timeout());
        if let Some(partial) = partial
            && !self.clock.paused
            && self.asking.is_none()
        {
            return (partial, "partial");
        }
        if !self.workers.is_empty() || self.turn.is_some() || limits.idle.is_zero() {
            return (far, "idle");
        }
        let idle = self.clock.active + limits.idle;
        if idle > Instant::now() || !core.is_some_and(|core| holds_handles(core)) {
            return (idle, "idle");
        }
        match limits.idle_held.is_zero() {
            true => (Instant::now() + FAR, "idle"),
            false => (idle.max(self.clock.active + limits.idle_held), "idle"),
        }
    }
}

/// Whether the client would lose something with its last connection.
// req: dce-face-idle
fn holds_handles(core: &Core) -> bool {
    core.group().is_some_and(|group| group.handles() > 0)
}

/// How a connection ends when its association does.
fn end(close: &Close) -> End {
    match close {
        Close::Slow => End::Timeout("partial"),
        other => End::Violation(other.to_string()),
    }
}

impl<IO: AsyncRead + AsyncWrite + Unpin> Future for Connection<IO> {
    type Output = Leave;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Leave> {
        let this = &mut *self;
        let enlisted = this.enlist(cx);
        this.clock.fresh = false;
        let mut turn = this.turn.take().unwrap_or_else(association::take_turn);
        turn.write_queue = this.hub.limits.write_queue;
        if turn.core.is_none() {
            turn.core = this.core.take();
            turn.place.clone_from(&this.place);
            turn.source = Some(this.origin.source);
        }
        let polled = this.drive(cx, &mut turn);
        let lane = match polled {
            Poll::Pending => this.lane(&turn),
            Poll::Ready(_) => None,
        };
        if turn.is_idle() {
            this.core = turn.core.take();
            association::give_turn(turn);
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

impl<S> Visiting<S> for Connection<Switch<S>>
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
        (self.laned, self.clock.timer) = (true, None);
    }

    fn leave_lane(&mut self) {
        self.hub.unwatch(self.origin.source.connection);
        (self.laned, self.waker) = (false, None);
        self.pulse = self.pulse.as_ref().map(|_| Pulse::default());
    }
}

/// What a pipe says when its caller is gone.
fn gone() -> Error {
    Error::local(Phase::Call, "the caller is gone")
}

impl<IO> Drop for Connection<IO> {
    fn drop(&mut self) {
        if let Some(turn) = &mut self.turn {
            turn.break_off(None, &gone());
        }
        if let Some((answering, ..)) = &self.asking {
            answering.abort();
        }
        self.hub.unwatch(self.origin.source.connection);
    }
}
