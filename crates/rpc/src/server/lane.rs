//! Lanes: threads of their own for busy connections.
//!
//! A connection on a runtime pays for the reactor on every batch: a wait for events before the
//! read, and the bookkeeping around it. A connection that is busy, and whose procedures answer
//! at once, needs none of that: a thread that sleeps in the read itself does with one read and
//! one write a batch. So such a connection is lent to a thread of its own, a lane, of which a
//! server has few; and as soon as anything in it has to wait (a procedure, a peer that does not
//! read, a large record, a second of silence) it comes back to its runtime, where all clocks
//! run. Procedures on a lane are within that runtime: what they spawn lands there.
//!
//! This file does not drive connections: [`stream`](super::stream) and
//! [`connection`](super::dce::connection) do, and do not know where but for the rule that nothing
//! may wait on a lane.

use std::io::{self, IoSlice};
use std::os::fd::OwnedFd;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::SyncSender;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use rustix::net::{RecvFlags, SendFlags};
use socket2::SockRef;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpStream, UnixStream};
use tokio::sync::oneshot;

use crate::nudge::Nudge;

/// After this silence a connection goes back to its runtime.
pub(crate) const PATIENCE: Duration = Duration::from_secs(1);

/// Batches in a row that make a connection busy.
const BUSY: u32 = 64;

/// Batches that are further apart are not in a row.
const GAP: Duration = Duration::from_millis(20);

/// Room for one read on a lane, in bytes.
const ROOM: usize = 64 << 10;

/// The lanes of a server that are free.
#[derive(Debug, Default)]
pub(crate) struct Lanes(Arc<AtomicUsize>);

impl Lanes {
    pub(crate) fn new(count: usize) -> Self {
        Self(Arc::new(AtomicUsize::new(count)))
    }

    /// A free lane, if there is one.
    pub(crate) fn take(&self) -> Option<Lane> {
        let less = |free: usize| free.checked_sub(1);
        let taken = self
            .0
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, less);
        taken.ok().map(|_| Lane(Arc::clone(&self.0)))
    }
}

/// The right to one thread; dropping it gives it back.
#[derive(Debug)]
pub(crate) struct Lane(Arc<AtomicUsize>);

impl Drop for Lane {
    fn drop(&mut self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

impl Lane {
    /// Starts its thread, which will run `f` once, within the current runtime.
    ///
    /// # Errors
    /// There can be no further thread.
    pub(crate) fn start<T: Send + 'static, U: Send + 'static>(
        self,
        f: impl FnOnce(T) -> U + Send + 'static,
    ) -> io::Result<Started<T, U>> {
        let (input, given) = std::sync::mpsc::sync_channel(1);
        let (sender, output) = oneshot::channel();
        let runtime = tokio::runtime::Handle::current();
        std::thread::Builder::new()
            .name("farcall-lane".to_owned())
            .spawn(move || {
                let _within = runtime.enter();
                let Ok(value) = given.recv() else { return };
                let value = f(value);
                drop(self);
                // Whoever waited is gone only when the server is.
                let _ = sender.send(value);
            })?;
        Ok(Started { input, output })
    }
}

/// A lane's thread, waiting for what it is to work on.
pub(crate) struct Started<T, U> {
    input: SyncSender<T>,
    output: oneshot::Receiver<U>,
}

impl<T, U> Started<T, U> {
    /// Lends `value` to the thread and waits for what comes back.
    ///
    /// # Errors
    /// The thread panicked.
    pub(crate) async fn run(self, value: T) -> io::Result<U> {
        let ended = || io::Error::other("a lane ended");
        self.input.send(value).map_err(|_| ended())?;
        self.output.await.map_err(|_| ended())
    }
}

/// How busy a connection is.
#[derive(Debug, Default)]
pub(crate) struct Pulse {
    last: Option<Instant>,
    row: u32,
}

impl Pulse {
    /// A batch was read `now`, and all of it answered, or not. Whether that makes a busy
    /// connection.
    pub(crate) fn beat(&mut self, now: Instant, prompt: bool) -> bool {
        let follows = self.last.is_some_and(|last| now.duration_since(last) < GAP);
        self.last = Some(now);
        self.row = match prompt && follows {
            true => self.row.saturating_add(1),
            false => 0,
        };
        self.row >= BUSY
    }
}

/// A stream of the runtime that can also be read by a thread that sleeps in the read.
pub(crate) trait Lend: AsyncRead + AsyncWrite + Unpin + Send + Sized + 'static {
    /// Takes it away from the runtime.
    fn lend(self) -> io::Result<OwnedFd>;
    /// Brings it to the current runtime.
    fn back(lent: OwnedFd) -> io::Result<Self>;
}

impl Lend for TcpStream {
    fn lend(self) -> io::Result<OwnedFd> {
        self.into_std().map(Into::into)
    }

    fn back(lent: OwnedFd) -> io::Result<Self> {
        Self::from_std(lent.into())
    }
}

impl Lend for UnixStream {
    fn lend(self) -> io::Result<OwnedFd> {
        self.into_std().map(Into::into)
    }

    fn back(lent: OwnedFd) -> io::Result<Self> {
        Self::from_std(lent.into())
    }
}

/// A stream that is on a runtime or on a lane.
pub(crate) enum Switch<S> {
    /// On a runtime.
    Runtime(S),
    /// On a lane.
    Lane(Lent),
    /// Lost on the way.
    Gone,
}

/// A stream on a lane.
pub(crate) struct Lent {
    socket: Arc<OwnedFd>,
    input: Box<[u8]>,
}

impl<S: Lend> Switch<S> {
    /// Goes to a lane, where a read sleeps for at most `patience`. Returns a waker that ends such
    /// a sleep, and all reading.
    pub(crate) fn enter_lane(&mut self, patience: Duration) -> io::Result<Waker> {
        let Self::Runtime(stream) = std::mem::replace(self, Self::Gone) else {
            return Err(io::ErrorKind::NotConnected.into());
        };
        let socket = Arc::new(stream.lend()?);
        let options = SockRef::from(&socket);
        options.set_read_timeout(Some(patience.max(Duration::from_millis(1))))?;
        options.set_nonblocking(false)?;
        let waker = Nudge::waker(Arc::clone(&socket));
        let input = vec![0; ROOM].into();
        *self = Self::Lane(Lent { socket, input });
        Ok(waker)
    }

    /// Takes the stream out, if it is on a runtime.
    pub(crate) fn take(&mut self) -> Option<S> {
        match std::mem::replace(self, Self::Gone) {
            Self::Runtime(stream) => Some(stream),
            Self::Lane(_) | Self::Gone => None,
        }
    }

    /// Goes to the current runtime.
    pub(crate) fn leave_lane(&mut self) -> io::Result<()> {
        let Self::Lane(lent) = std::mem::replace(self, Self::Gone) else {
            return Err(io::ErrorKind::NotConnected.into());
        };
        SockRef::from(&lent.socket).set_nonblocking(true)?;
        // The waker may still hold it; what the runtime gets is its own.
        let own = match Arc::try_unwrap(lent.socket) {
            Ok(own) => own,
            Err(shared) => shared.try_clone()?,
        };
        *self = Self::Runtime(S::back(own)?);
        Ok(())
    }
}

impl Lent {
    /// Sleeps until something comes. Pending: nothing has come for too long.
    fn read(&mut self, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let room = buf.remaining().min(self.input.len());
        let input = self.input.get_mut(..room).unwrap_or_default();
        match rustix::net::recv(&self.socket, input, RecvFlags::empty()) {
            Ok((len, _)) => {
                buf.put_slice(self.input.get(..len).unwrap_or_default());
                Poll::Ready(Ok(()))
            }
            Err(error) => pending_or(error),
        }
    }

    /// As [`write`](Self::write), from several places.
    fn write_vectored(&self, slices: &[IoSlice<'_>]) -> Poll<io::Result<usize>> {
        let flags = SendFlags::DONTWAIT | SendFlags::NOSIGNAL;
        match rustix::net::sendmsg(&self.socket, slices, &mut Default::default(), flags) {
            Ok(len) => Poll::Ready(Ok(len)),
            Err(error) => pending_or(error),
        }
    }

    /// Pending: the peer takes no more for now.
    fn write(&self, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let flags = SendFlags::DONTWAIT | SendFlags::NOSIGNAL;
        match rustix::net::send(&self.socket, bytes, flags) {
            Ok(len) => Poll::Ready(Ok(len)),
            Err(error) => pending_or(error),
        }
    }
}

fn pending_or<T>(error: rustix::io::Errno) -> Poll<io::Result<T>> {
    match error.kind() {
        io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted => Poll::Pending,
        _ => Poll::Ready(Err(error.into())),
    }
}

fn gone<T>() -> Poll<io::Result<T>> {
    Poll::Ready(Err(io::ErrorKind::NotConnected.into()))
}

impl<S: Lend> AsyncRead for Switch<S> {
    #[inline]
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match &mut *self {
            Self::Runtime(stream) => Pin::new(stream).poll_read(cx, buf),
            Self::Lane(lent) => lent.read(buf),
            Self::Gone => gone(),
        }
    }
}

impl<S: Lend> AsyncWrite for Switch<S> {
    #[inline]
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        match &mut *self {
            Self::Runtime(stream) => Pin::new(stream).poll_write(cx, bytes),
            Self::Lane(lent) => lent.write(bytes),
            Self::Gone => gone(),
        }
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match &mut *self {
            Self::Runtime(stream) => Pin::new(stream).poll_write_vectored(cx, slices),
            Self::Lane(lent) => lent.write_vectored(slices),
            Self::Gone => gone(),
        }
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut *self {
            Self::Runtime(stream) => Pin::new(stream).poll_shutdown(cx),
            Self::Lane(_) | Self::Gone => Poll::Ready(Ok(())),
        }
    }
}
