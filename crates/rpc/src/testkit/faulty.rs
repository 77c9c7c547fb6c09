//! A byte stream that misbehaves as it is told.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::Sleep;

use crate::call::Peer;
use crate::client::{Client, Options};
use crate::endpoint::Family;
use crate::error::Error;
use crate::interface::Interface;
use crate::server::Server;

/// What goes wrong on a stream. The default: nothing.
#[derive(Clone, Debug, Default)]
pub struct Faults {
    /// At most this many bytes in one read, and in one write.
    pub chunk: Option<usize>,
    /// Every read takes this much longer.
    pub latency: Duration,
    /// The stream ends, both ways, when this many bytes have been read.
    pub cut_after: Option<u64>,
    /// The byte read at this offset arrives with its lowest bit changed.
    pub corrupt_at: Option<u64>,
}

/// A byte stream with [`Faults`].
#[derive(Debug)]
pub struct Faulty<IO> {
    io: IO,
    faults: Faults,
    /// Bytes read so far.
    read: u64,
    /// The latency of the next read, while it lasts.
    wait: Option<Pin<Box<Sleep>>>,
    /// The latency of the next read has been waited for.
    waited: bool,
}

impl<IO> Faulty<IO> {
    /// `io`, with `faults` in what is read from it and written to it.
    pub fn new(io: IO, faults: Faults) -> Self {
        Self {
            io,
            faults,
            read: 0,
            wait: None,
            waited: false,
        }
    }

    /// Bytes that may still be read, and in one piece.
    fn room(&self, wanted: usize) -> usize {
        let left = self
            .faults
            .cut_after
            .map(|cut| cut.saturating_sub(self.read));
        let left = left.map_or(usize::MAX, |left| {
            usize::try_from(left).unwrap_or(usize::MAX)
        });
        wanted
            .min(left)
            .min(self.faults.chunk.unwrap_or(usize::MAX).max(1))
    }

    fn is_cut(&self) -> bool {
        self.faults.cut_after.is_some_and(|cut| self.read >= cut)
    }

    /// Changes what is to arrive changed.
    fn corrupt(&mut self, bytes: &mut [u8]) {
        let offset = self
            .faults
            .corrupt_at
            .and_then(|at| at.checked_sub(self.read));
        let byte = offset.and_then(|at| bytes.get_mut(usize::try_from(at).ok()?));
        if let Some(byte) = byte {
            *byte ^= 1;
        }
        self.read += bytes.len() as u64;
    }

    fn poll_latency(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if self.waited || self.faults.latency.is_zero() {
            return Poll::Ready(());
        }
        let latency = self.faults.latency;
        let wait = self
            .wait
            .get_or_insert_with(|| Box::pin(tokio::time::sleep(latency)));
        ready!(wait.as_mut().poll(cx));
        (self.wait, self.waited) = (None, true);
        Poll::Ready(())
    }
}

impl<IO: AsyncRead + Unpin> AsyncRead for Faulty<IO> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        if this.is_cut() {
            return Poll::Ready(Ok(()));
        }
        ready!(this.poll_latency(cx));
        let mut piece = vec![0; this.room(buffer.remaining())];
        let mut part = ReadBuf::new(&mut piece);
        ready!(Pin::new(&mut this.io).poll_read(cx, &mut part))?;
        let len = part.filled().len();
        piece.truncate(len);
        this.waited = false;
        this.corrupt(&mut piece);
        buffer.put_slice(&piece);
        Poll::Ready(Ok(()))
    }
}

impl<IO: AsyncWrite + Unpin> AsyncWrite for Faulty<IO> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        if self.is_cut() {
            return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
        }
        let most = self
            .faults
            .chunk
            .unwrap_or(usize::MAX)
            .max(1)
            .min(bytes.len());
        Pin::new(&mut self.io).poll_write(cx, bytes.get(..most).unwrap_or_default())
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }
}

/// A client of `server` over a stream in memory, with `faults` in what the client reads and
/// writes. The server's end is driven on the current runtime.
///
/// # Errors
/// There is no current runtime.
pub fn link(server: &Server, faults: Faults) -> Result<Client, Error> {
    let (ours, theirs) = tokio::io::duplex(64 << 10);
    server.serve_stream(theirs, Peer::InProcess)?;
    Ok(Client::over(
        Faulty::new(ours, faults),
        "simulated link",
        Options::default(),
    ))
}

/// As [`link`], for calls to an interface of the server.
///
/// # Errors
/// There is no current runtime.
pub fn interface_link(
    server: &Server,
    interface: &'static Interface,
    faults: Faults,
) -> Result<Client, Error> {
    let (ours, theirs) = tokio::io::duplex(64 << 10);
    server.serve_stream_of(Family::Dce, theirs, Peer::InProcess)?;
    let stream = Faulty::new(ours, faults);
    let options = Options::default();
    Ok(Client::interface_over(
        stream,
        interface,
        "simulated link",
        options,
    ))
}
