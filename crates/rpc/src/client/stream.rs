//! The client's side of one byte stream.
//!
//! One future drives one connection: everything that callers put into the core's queue leaves in
//! one write, and a read's replies are matched under one lock.

use std::future::Future;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use bytes::{BufMut, Bytes};
use farcall_onc::record::{Assembler, Record, RecordError, RecordLimits};
use farcall_wire::TransmitQueue;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_util::io::poll_read_buf;

use super::link::Link;
use super::timer::Timer;
use crate::scratch;

/// Reads and writes in one poll before other tasks get their turn.
const TURNS: usize = 16;

/// From how many missing bytes on a record is read into memory of its own.
const LARGE: usize = 64 << 10;

/// Why a connection ended.
#[derive(Debug)]
pub(crate) enum End {
    /// The peer closed it.
    Closed,
    /// The transport failed.
    Io(io::Error),
    /// What came is no record stream.
    Record(RecordError),
    /// The peer has taken nothing for too long.
    Stalled(Duration),
    /// The server has not answered so many null calls in a row.
    Silent(u32),
    /// Nobody needs it any more.
    Deserted,
}

/// A connection being driven; it ends when the connection does.
pub(crate) struct StreamDriver<IO> {
    io: IO,
    link: Arc<Link>,
    assembler: Assembler,
    out: TransmitQueue,
    stalled: Option<Instant>,
    timer: Timer,
}

impl<IO: AsyncRead + AsyncWrite + Unpin> StreamDriver<IO> {
    pub(crate) fn new(io: IO, link: Arc<Link>) -> Self {
        let limits = &link.options.limits;
        let limits = RecordLimits {
            record: limits.record,
            fragments: limits.fragments,
        };
        Self {
            io,
            link,
            assembler: Assembler::new(limits),
            out: TransmitQueue::new(),
            stalled: None,
            timer: Timer::new(),
        }
    }

    /// Reads before it writes: a connection that the server has closed is noticed before calls
    /// are put on it, and they go to the next one instead.
    fn drive(&mut self, cx: &mut Context<'_>) -> Poll<End> {
        for _ in 0..TURNS {
            let read = match self.read(cx) {
                Ok(read) => read,
                Err(end) => return Poll::Ready(end),
            };
            if let Err(end) = self.transmit(cx) {
                return Poll::Ready(end);
            }
            if read.is_pending() {
                return self.rest(cx);
            }
        }
        // A server that never stops sending does not stop the clock.
        let now = Instant::now();
        self.link.settle(|state| state.core.handle_timeout(now));
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    /// Takes what callers have encoded and writes it, as far as the peer takes it.
    fn transmit(&mut self, cx: &mut Context<'_>) -> Result<(), End> {
        loop {
            if self.out.is_empty() {
                let idle = {
                    let mut state = self.link.lock();
                    let idle = state.core.poll_transmit(&mut self.out) == 0;
                    if idle {
                        state.sleep(cx.waker());
                    }
                    idle
                };
                if idle {
                    return self.flush(cx);
                }
            }
            let io = Pin::new(&mut self.io);
            let written = match self.out.contiguous() {
                // A plain write is the cheaper system call.
                Some(bytes) => io.poll_write(cx, bytes),
                None => {
                    let mut slices = [IoSlice::new(&[]); 64];
                    let filled = self.out.io_slices(&mut slices);
                    io.poll_write_vectored(cx, slices.get(..filled).unwrap_or_default())
                }
            };
            match written {
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

    /// What was written may still be inside of the transport: TLS keeps what its own has no room for.
    #[inline]
    fn flush(&mut self, cx: &mut Context<'_>) -> Result<(), End> {
        match Pin::new(&mut self.io).poll_flush(cx) {
            Poll::Ready(Ok(())) => {
                self.stalled = None;
                Ok(())
            }
            Poll::Ready(Err(error)) => Err(End::Io(error)),
            Poll::Pending => {
                self.stalled.get_or_insert_with(Instant::now);
                Ok(())
            }
        }
    }

    /// Reads once and hands replies to their callers.
    fn read(&mut self, cx: &mut Context<'_>) -> Result<Poll<()>, End> {
        match self.assembler.pending() {
            Some(missing) if missing > LARGE => self.read_large(cx, missing),
            _ => self.read_batch(cx),
        }
    }

    fn read_batch(&mut self, cx: &mut Context<'_>) -> Result<Poll<()>, End> {
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
        let assembler = &mut self.assembler;
        let received = self.link.settle(|state| {
            let mut at = 0;
            while let Some(record) = assembler.next(&batch, &mut at)? {
                state.receive(&record, &batch);
            }
            Ok(())
        });
        received.map(Poll::Ready).map_err(End::Record)
    }

    fn read_large(&mut self, cx: &mut Context<'_>, missing: usize) -> Result<Poll<()>, End> {
        let room = self.assembler.room();
        let buffer = self.assembler.buffer();
        buffer.reserve(room);
        match poll_read_buf(Pin::new(&mut self.io), cx, &mut buffer.limit(missing)) {
            Poll::Ready(Ok(0)) => Err(End::Closed),
            Poll::Ready(Ok(_)) => {
                if let Some(record) = self.assembler.filled().map_err(End::Record)? {
                    self.receive(&record);
                }
                Ok(Poll::Ready(()))
            }
            Poll::Ready(Err(error)) => Err(End::Io(error)),
            Poll::Pending => Ok(Poll::Pending),
        }
    }

    fn receive(&self, record: &Record) {
        self.link
            .settle(|state| state.receive(record, &Bytes::new()));
    }

    /// Waits; the time-outs of calls are kept meanwhile.
    fn rest(&mut self, cx: &mut Context<'_>) -> Poll<End> {
        if self.link.is_deserted() && self.out.is_empty() {
            return Poll::Ready(End::Deserted);
        }
        let stall = self.link.options.limits.write_stall;
        loop {
            let calls = self.link.lock().core.poll_timeout();
            let stalled = self.stalled.map(|since| since + stall);
            let Some(next) = calls.into_iter().chain(stalled).min() else {
                return Poll::Pending;
            };
            if self.timer.poll_until(cx, next).is_pending() {
                return Poll::Pending;
            }
            let now = Instant::now();
            if stalled.is_some_and(|at| at <= now) {
                return Poll::Ready(End::Stalled(stall));
            }
            self.link.settle(|state| state.core.handle_timeout(now));
        }
    }
}

impl<IO: AsyncRead + AsyncWrite + Unpin> Future for StreamDriver<IO> {
    type Output = End;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<End> {
        self.drive(cx)
    }
}
