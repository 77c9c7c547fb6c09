//! A TCP connection that reads and writes as any other and takes the kernel's timestamps along.

use std::future::Future;
use std::io::{self, IoSlice};
use std::os::fd::AsRawFd;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, Interest, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::Sleep;

use super::stamp;
use super::tap::Tap;

/// Bytes of one read: the memory for it is cleared first, which must not take long.
const ROOM: usize = 32 << 10;

/// How long to wait for room when the runtime cannot tell: a timestamp in the error queue makes
/// a socket look writable for good.
const PAUSE: Duration = Duration::from_millis(1);

/// A TCP connection with a tap.
pub(crate) struct Stamped {
    stream: TcpStream,
    tap: Arc<Tap>,
    pause: Option<Pin<Box<Sleep>>>,
}

impl Stamped {
    pub(crate) fn new(stream: TcpStream, tap: Arc<Tap>) -> Self {
        Self {
            stream,
            tap,
            pause: None,
        }
    }

    /// Takes in the timestamps of what was sent.
    fn collect(&self) {
        let tap = &self.tap;
        stamp::sent(self.stream.as_raw_fd(), |number, instant| {
            tap.stamped(number.wrapping_add(1), instant);
        });
    }

    /// Waits for room to write, by the clock if need be.
    fn poll_pause(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if let Some(pause) = &mut self.pause {
            ready!(pause.as_mut().poll(cx));
            self.pause = None;
        }
        Poll::Ready(())
    }
}

impl AsyncRead for Stamped {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.collect();
        let room = buf.initialize_unfilled_to(buf.remaining().min(ROOM));
        let fd = self.stream.as_raw_fd();
        loop {
            ready!(self.stream.poll_read_ready(cx))?;
            let read = self
                .stream
                .try_io(Interest::READABLE, || stamp::receive(fd, room));
            match read {
                Ok((n, arrived)) => {
                    self.tap.arrived(arrived);
                    buf.advance(n);
                    return Poll::Ready(Ok(()));
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Poll::Ready(Err(error)),
            }
        }
    }
}

impl AsyncWrite for Stamped {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.poll_write_vectored(cx, &[IoSlice::new(buf)])
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let fd = self.stream.as_raw_fd();
        let mut full = 0;
        loop {
            ready!(self.poll_pause(cx));
            ready!(self.stream.poll_write_ready(cx))?;
            let written = self
                .stream
                .try_io(Interest::WRITABLE, || stamp::send(fd, slices));
            match written {
                Ok(n) => {
                    self.tap.sent(n);
                    self.collect();
                    return Poll::Ready(Ok(n));
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    full += 1;
                    if full > 1 {
                        self.collect();
                        self.pause = Some(Box::pin(tokio::time::sleep(PAUSE)));
                    }
                }
                Err(error) => return Poll::Ready(Err(error)),
            }
        }
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

impl Drop for Stamped {
    fn drop(&mut self) {
        self.collect();
        self.tap.end();
    }
}
