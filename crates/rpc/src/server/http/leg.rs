//! One TCP connection of a virtual connection: what is read from it and written to it, without waiting for it.
//!
//! A leg that is closed writes what it was given, ends its stream, and reads for a moment what still comes: a socket that is closed over
//! unread bytes would destroy what is on its way to the proxy.

use std::any::Any;
use std::collections::VecDeque;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::{Buf, Bytes, BytesMut};
use farcall_rpch::ChannelId;
use tokio::io::{AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_util::io::poll_read_buf;

use crate::scratch;

/// Segments that may wait to be written before no more are asked for.
const SEGMENTS: usize = 16;

/// What is read at once is copied if it is less than this, in bytes.
const LITTLE: usize = 8 << 10;

/// How long what still comes is read after the end.
const LINGER: Duration = Duration::from_secs(1);

/// Legs that belong to no virtual connection that stands.
#[derive(Clone, Debug, Default)]
pub(crate) struct Loose(Arc<AtomicUsize>);

/// One such leg; dropping it says that it belongs somewhere, or is gone.
#[derive(Debug)]
pub(crate) struct Unpaired(Loose);

impl Loose {
    /// Counts one more, unless there are `most`.
    pub(crate) fn count(&self, most: usize) -> Option<Unpaired> {
        let more = |now: usize| (now < most).then(|| now.saturating_add(1));
        let counted = self
            .0
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, more);
        counted.ok().map(|_| Unpaired(self.clone()))
    }
}

impl Drop for Unpaired {
    fn drop(&mut self) {
        self.0.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// What is held as long as a connection lives: it is counted, and the server waits for it.
pub(crate) type Keep = Box<dyn Any + Send>;

/// What happened on a leg.
pub(crate) enum Happened {
    /// These bytes came.
    Bytes(Bytes),
    /// It is gone.
    Closed,
}

/// One TCP connection.
pub(crate) struct Leg {
    pub(crate) id: ChannelId,
    stream: TcpStream,
    waiting: VecDeque<Bytes>,
    closing: bool,
    gone: bool,
    keep: Option<Keep>,
    /// It belongs to no virtual connection that stands.
    unpaired: Option<Unpaired>,
}

impl Leg {
    pub(crate) fn new(id: ChannelId, stream: TcpStream, keep: Keep) -> Self {
        Self {
            id,
            stream,
            waiting: VecDeque::new(),
            closing: false,
            gone: false,
            keep: Some(keep),
            unpaired: None,
        }
    }

    /// The same, which waits for the other half.
    pub(crate) fn unpaired(mut self, unpaired: Unpaired) -> Self {
        self.unpaired = Some(unpaired);
        self
    }

    /// The virtual connection stands.
    pub(crate) fn pair(&mut self) {
        self.unpaired = None;
    }

    /// Whether nothing is left of it here.
    pub(crate) fn is_gone(&self) -> bool {
        self.gone
    }

    /// Whether everything it was given is written.
    pub(crate) fn is_written(&self) -> bool {
        self.waiting.is_empty()
    }

    /// Whether it takes more.
    pub(crate) fn has_room(&self) -> bool {
        !self.gone && self.waiting.len() < SEGMENTS
    }

    /// Takes bytes to be written.
    pub(crate) fn write(&mut self, bytes: Bytes) {
        self.waiting.push_back(bytes);
    }

    /// Ends it when everything is written.
    pub(crate) fn close(&mut self) {
        self.closing = true;
        self.unpaired = None;
    }

    /// Writes what can be written. True if something was.
    pub(crate) fn poll_write(&mut self, cx: &mut Context<'_>) -> bool {
        let mut progress = false;
        while !self.waiting.is_empty() {
            match self.write_some(cx) {
                Poll::Pending => return progress,
                Poll::Ready(Ok(())) => progress = true,
                // Reading says that it is gone.
                Poll::Ready(Err(_)) => self.waiting.clear(),
            }
        }
        if self.closing && !self.gone {
            self.gone = true;
            return true;
        }
        progress
    }

    fn write_some(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let stream = Pin::new(&mut self.stream);
        let written = match (self.waiting.len(), self.waiting.front()) {
            (1, Some(only)) => stream.poll_write(cx, only),
            _ => {
                let mut slices = [IoSlice::new(&[]); SEGMENTS];
                let pairs = slices.iter_mut().zip(&self.waiting);
                let filled = pairs.map(|(slice, bytes)| *slice = IoSlice::new(bytes));
                let filled = filled.count();
                stream.poll_write_vectored(cx, slices.get(..filled).unwrap_or_default())
            }
        };
        let mut len = std::task::ready!(written)?;
        if len == 0 {
            return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
        }
        while let Some(first) = self.waiting.front_mut() {
            let part = first.len().min(len);
            first.advance(part);
            len = len.saturating_sub(part);
            if !first.is_empty() {
                break;
            }
            self.waiting.pop_front();
        }
        Poll::Ready(Ok(()))
    }

    /// Reads once.
    pub(crate) fn poll_read(&mut self, cx: &mut Context<'_>) -> Poll<Happened> {
        if self.closing || self.gone {
            return Poll::Pending;
        }
        let read = scratch::with_input(|input| {
            match std::task::ready!(poll_read_buf(Pin::new(&mut self.stream), cx, input)) {
                Ok(len) if len > 0 => Poll::Ready(Some(batch(input))),
                _ => Poll::Ready(None),
            }
        });
        Poll::Ready(match std::task::ready!(read) {
            Some(bytes) => Happened::Bytes(bytes),
            None => {
                self.gone = true;
                Happened::Closed
            }
        })
    }

    /// Lets it end by itself, if it was closed and not lost.
    pub(crate) fn part(mut self) {
        if !self.closing {
            return;
        }
        let (mut stream, keep) = (self.stream, self.keep.take());
        tokio::spawn(async move {
            let _keep = keep;
            let ending = async {
                stream.shutdown().await?;
                let mut chunk = [0; 4096];
                while stream.read(&mut chunk).await? > 0 {}
                io::Result::Ok(())
            };
            let _ = tokio::time::timeout(LINGER, ending).await;
        });
    }
}

/// Takes what was read. What waits for the association must not keep the thread's whole buffer with it, so little is copied.
fn batch(input: &mut BytesMut) -> Bytes {
    match input.len() < LITTLE {
        true => {
            let bytes = Bytes::copy_from_slice(input);
            input.clear();
            bytes
        }
        false => input.split().freeze(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loose_legs_are_counted_up_to_the_limit_and_no_further() {
        let loose = Loose::default();
        let first = loose.count(2);
        let second = loose.count(2);
        assert!(first.is_some() && second.is_some() && loose.count(2).is_none());
        drop(first);
        assert!(loose.count(2).is_some());
    }
}
