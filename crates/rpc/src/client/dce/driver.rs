//! The client's side of one association's byte stream.
//!
//! One future drives one connection: everything that callers put into the core's queue leaves in
//! one write, and a read's responses are matched under one lock.

use std::future::Future;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use bytes::Bytes;
use farcall_dce::co::client::Close;
use farcall_dce::security::Answer;
use farcall_wire::TransmitQueue;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::task::JoinHandle;
use tokio_util::io::poll_read_buf;

use super::link::Link;
use crate::client::timer::Timer;
use crate::scratch;

/// Reads and writes in one poll before other tasks get their turn.
const TURNS: usize = 16;

/// Why a connection ended.
#[derive(Debug)]
pub(crate) enum End {
    /// The peer closed it.
    Closed,
    /// The transport failed.
    Io(io::Error),
    /// The association is over.
    Over(Close),
    /// The peer has taken nothing for too long.
    Stalled(Duration),
    /// The server did not answer the bind in this time.
    Unbound(Duration),
    /// Nobody needs it any more.
    Deserted,
}

/// A connection being driven; it ends when the connection does.
pub(crate) struct Driver<IO> {
    io: IO,
    link: Arc<Link>,
    out: TransmitQueue,
    /// Work that authentication asked for, and what could not be looked at meanwhile.
    asking: Option<(JoinHandle<Answer>, Bytes, usize)>,
    stalled: Option<Instant>,
    /// Nothing is read: results in pieces wait to be taken.
    full: bool,
    /// When the first binding must be over, until it is.
    binding: Option<Instant>,
    timer: Timer,
}

impl<IO: AsyncRead + AsyncWrite + Unpin> Driver<IO> {
    /// Drives a stream on which the link's core has begun to bind.
    pub(crate) fn new(io: IO, link: Arc<Link>) -> Self {
        let binding = Instant::now().checked_add(link.options.connect_timeout);
        Self {
            io,
            link,
            out: TransmitQueue::new(),
            asking: None,
            stalled: None,
            full: false,
            binding,
            timer: Timer::new(),
        }
    }

    /// Reads before it writes: a connection that the server has closed is noticed before calls
    /// are put on it, and they go to the next one instead.
    fn drive(&mut self, cx: &mut Context<'_>) -> Poll<End> {
        for _ in 0..TURNS {
            let read = match self.take_in(cx) {
                Ok(read) => read,
                Err(end) => return Poll::Ready(end),
            };
            if let Err(end) = self.transmit(cx) {
                return Poll::Ready(end);
            }
            if let Some(close) = self.link.lock().close.take() {
                return Poll::Ready(End::Over(close));
            }
            if read.is_pending() {
                return self.rest(cx);
            }
        }
        // A server that never stops sending does not stop the clock.
        let now = Instant::now();
        self.link.settle(|state| state.handle_timeout(now));
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    /// Takes in what has arrived, or the answer that authentication waits for.
    fn take_in(&mut self, cx: &mut Context<'_>) -> Result<Poll<()>, End> {
        if self.asking.is_some() {
            return Ok(self.learn(cx));
        }
        let query = self.link.lock().query.take();
        if let Some(query) = query {
            self.ask(query, Bytes::new(), 0);
            return Ok(Poll::Ready(()));
        }
        self.read(cx)
    }

    /// Takes what callers have encoded and writes it, as far as the peer takes it.
    fn transmit(&mut self, cx: &mut Context<'_>) -> Result<(), End> {
        loop {
            if self.out.is_empty() {
                let taken = self.link.settle(|state| {
                    let now = Instant::now();
                    state.advance(now);
                    state.feed(now, cx.waker());
                    let taken = match &mut state.core {
                        Some(core) => core.poll_transmit(&mut self.out),
                        None => 0,
                    };
                    if taken == 0 {
                        state.sleep(cx.waker());
                    }
                    taken
                });
                if taken == 0 {
                    return Ok(());
                }
            }
            let mut slices = [IoSlice::new(&[]); 64];
            let filled = self.out.io_slices(&mut slices);
            let slices = slices.get(..filled).unwrap_or_default();
            match Pin::new(&mut self.io).poll_write_vectored(cx, slices) {
                Poll::Ready(Ok(0)) => return Err(End::Closed),
                Poll::Ready(Ok(n)) => self.out.advance(n),
                Poll::Ready(Err(error)) => return Err(End::Io(error)),
                Poll::Pending => {
                    self.stalled.get_or_insert_with(Instant::now);
                    // A call that comes meanwhile may have the earliest deadline.
                    self.link.lock().sleep(cx.waker());
                    return Ok(());
                }
            }
            self.stalled = None;
        }
    }

    /// Reads once and hands responses to their callers.
    fn read(&mut self, cx: &mut Context<'_>) -> Result<Poll<()>, End> {
        let (full, was) = {
            let state = self.link.lock();
            (state.is_full(cx.waker()), self.full)
        };
        self.full = full;
        if full {
            return Ok(Poll::Pending);
        }
        if was {
            self.link.lock().excuse(Instant::now());
        }
        let batch =
            scratch::with_input(
                |input| match poll_read_buf(Pin::new(&mut self.io), cx, input) {
                    Poll::Ready(Ok(0)) => Err(End::Closed),
                    Poll::Ready(Ok(_)) => Ok(Some(input.split().freeze())),
                    Poll::Ready(Err(error)) => Err(End::Io(error)),
                    Poll::Pending => Ok(None),
                },
            )?;
        let Some(batch) = batch else {
            return Ok(Poll::Pending);
        };
        self.receive(batch, 0);
        Ok(Poll::Ready(()))
    }

    /// Hands a batch to the core, from offset `at` on.
    fn receive(&mut self, batch: Bytes, mut at: usize) {
        let now = Instant::now();
        let query = self.link.settle(|state| {
            while let Some(core) = &mut state.core {
                let Some(event) = core.handle_bytes(now, &batch, &mut at) else {
                    break;
                };
                state.take(event, &batch);
                if state.query.is_some() || state.close.is_some() {
                    break;
                }
            }
            state.query.take()
        });
        if let Some(query) = query {
            self.ask(query, batch, at);
        }
    }

    /// Has a question answered on the pool for blocking work.
    fn ask(&mut self, query: farcall_dce::security::Query, rest: Bytes, at: usize) {
        let answering = tokio::task::spawn_blocking(move || (query.0)());
        self.asking = Some((answering, rest, at));
    }

    /// Goes on with authentication when its question is answered.
    fn learn(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let Some((answering, ..)) = &mut self.asking else {
            return Poll::Ready(());
        };
        let Poll::Ready(answer) = Pin::new(answering).poll(cx) else {
            return Poll::Pending;
        };
        let Some((_, rest, at)) = self.asking.take() else {
            return Poll::Ready(());
        };
        let now = Instant::now();
        match answer {
            Ok(answer) => self.link.settle(|state| {
                if let Some(core) = &mut state.core {
                    core.answer(now, answer);
                }
            }),
            Err(_) => {
                let why = "a question of the authentication panicked";
                self.link.lock().close = Some(Close::Violation(why));
            }
        }
        self.receive(rest, at);
        Poll::Ready(())
    }

    /// Waits; the time-outs of calls are kept meanwhile.
    fn rest(&mut self, cx: &mut Context<'_>) -> Poll<End> {
        if self.link.is_deserted() && self.out.is_empty() {
            return Poll::Ready(End::Deserted);
        }
        let stall = self.link.options.limits.write_stall;
        loop {
            let (calls, waits) = {
                let state = self.link.lock();
                let waits = state.is_opening() || !state.is_bound();
                (state.poll_timeout(), waits)
            };
            if !waits {
                self.binding = None;
            }
            let stalled = self.stalled.map(|since| since + stall);
            let next = calls.into_iter().chain(stalled).chain(self.binding);
            let Some(next) = next.min() else {
                return Poll::Pending;
            };
            if self.timer.poll_until(cx, next).is_pending() {
                return Poll::Pending;
            }
            let now = Instant::now();
            if stalled.is_some_and(|at| at <= now) {
                return Poll::Ready(End::Stalled(stall));
            }
            if self.binding.is_some_and(|at| at <= now) {
                return Poll::Ready(End::Unbound(self.link.options.connect_timeout));
            }
            self.link.settle(|state| {
                if state.is_full(cx.waker()) {
                    state.excuse(now);
                }
                state.handle_timeout(now);
            });
            // req: dce-face-cancel
            // A call that is late is cancelled, and that is to be sent.
            if let Err(end) = self.transmit(cx) {
                return Poll::Ready(end);
            }
        }
    }
}

impl<IO: AsyncRead + AsyncWrite + Unpin> Future for Driver<IO> {
    type Output = End;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<End> {
        self.drive(cx)
    }
}

impl<IO> Drop for Driver<IO> {
    fn drop(&mut self) {
        if let Some((answering, ..)) = &self.asking {
            answering.abort();
        }
    }
}
