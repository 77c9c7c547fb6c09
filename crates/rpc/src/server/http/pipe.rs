//! What is between a virtual connection and its association: a byte stream in memory, within one task.
//!
//! Both ends are polled by the same task, in turn, so nobody is woken here: whoever polls one end afterwards looks whether the other has
//! something to do. It holds little in either direction: what the association does not read stays in the window of the channel, and what
//! the channel does not take stays with the association, whose limits count it.

use std::collections::VecDeque;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};

use bytes::{Buf, Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// Bytes that may wait in each direction before no more are taken.
const ROOM: usize = 64 << 10;

/// The machine's end.
#[derive(Clone, Debug, Default)]
pub(crate) struct Pipe(Arc<Mutex<Inner>>);

/// The association's end: a stream.
#[derive(Debug)]
pub(crate) struct Near(Pipe);

#[derive(Debug, Default)]
struct Inner {
    /// To be read by the association.
    calls: Way,
    /// To be sent to the client.
    answers: Way,
    /// Nothing comes any more.
    broken: bool,
}

/// One direction.
#[derive(Debug, Default)]
struct Way {
    waiting: VecDeque<Bytes>,
    len: usize,
}

impl Way {
    fn push(&mut self, bytes: Bytes) {
        self.len = self.len.saturating_add(bytes.len());
        self.waiting.push_back(bytes);
    }

    fn pop(&mut self) -> Option<Bytes> {
        let bytes = self.waiting.pop_front()?;
        self.len = self.len.saturating_sub(bytes.len());
        Some(bytes)
    }

    fn has_room(&self) -> bool {
        self.len < ROOM
    }
}

impl Pipe {
    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The other end.
    pub(crate) fn near(&self) -> Near {
        Near(self.clone())
    }

    /// Whether the association may be given more.
    pub(crate) fn has_room(&self) -> bool {
        self.inner().calls.has_room()
    }

    /// Gives the association a PDU.
    pub(crate) fn give(&self, pdu: Bytes) {
        self.inner().calls.push(pdu);
    }

    /// The next that the association has written.
    pub(crate) fn take(&self) -> Option<Bytes> {
        self.inner().answers.pop()
    }

    /// Whether everything was taken.
    pub(crate) fn is_empty(&self) -> bool {
        self.inner().answers.len == 0
    }

    /// The client is gone.
    pub(crate) fn break_off(&self) {
        let mut inner = self.inner();
        inner.broken = true;
        inner.answers = Way::default();
    }
}

impl AsyncRead for Near {
    fn poll_read(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let mut inner = self.0.inner();
        if inner.calls.len == 0 {
            // At the end of a stream its reader hears of nothing.
            return match inner.broken {
                true => Poll::Ready(Ok(())),
                false => Poll::Pending,
            };
        }
        let Inner { calls, .. } = &mut *inner;
        while let Some(first) = calls.waiting.front_mut()
            && buf.remaining() > 0
        {
            let len = first.len().min(buf.remaining());
            buf.put_slice(first.get(..len).unwrap_or_default());
            first.advance(len);
            calls.len = calls.len.saturating_sub(len);
            if first.is_empty() {
                calls.waiting.pop_front();
            }
        }
        Poll::Ready(Ok(()))
    }
}

impl Near {
    fn write(&self, slices: &[IoSlice<'_>]) -> Poll<io::Result<usize>> {
        let mut inner = self.0.inner();
        if inner.broken {
            return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
        }
        if !inner.answers.has_room() {
            return Poll::Pending;
        }
        let total = slices.iter().map(|slice| slice.len()).sum::<usize>();
        let mut room = ROOM.min(total);
        let mut bytes = BytesMut::with_capacity(room);
        for slice in slices {
            let len = slice.len().min(room);
            bytes.extend_from_slice(slice.get(..len).unwrap_or_default());
            room = room.saturating_sub(len);
        }
        let len = bytes.len();
        inner.answers.push(bytes.freeze());
        Poll::Ready(Ok(len))
    }
}

impl AsyncWrite for Near {
    fn poll_write(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.write(&[IoSlice::new(bytes)])
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.write(slices)
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(near: &mut Near, room: usize) -> Option<Vec<u8>> {
        let mut memory = vec![0; room];
        let mut buf = ReadBuf::new(&mut memory);
        let mut cx = Context::from_waker(std::task::Waker::noop());
        match Pin::new(near).poll_read(&mut cx, &mut buf) {
            Poll::Ready(read) => read.map(|()| buf.filled().to_vec()).ok(),
            Poll::Pending => None,
        }
    }

    #[test]
    fn what_is_given_is_read_in_order_whatever_the_room() {
        let pipe = Pipe::default();
        let mut near = pipe.near();
        assert_eq!(read(&mut near, 8), None);
        pipe.give(Bytes::from_static(b"abc"));
        pipe.give(Bytes::from_static(b"defg"));
        assert_eq!(read(&mut near, 2).as_deref(), Some(&b"ab"[..]));
        assert_eq!(read(&mut near, 3).as_deref(), Some(&b"cde"[..]));
        assert_eq!(read(&mut near, 8).as_deref(), Some(&b"fg"[..]));
        assert_eq!(read(&mut near, 8), None);
    }

    #[test]
    fn each_way_takes_little_more_than_its_room() {
        let pipe = Pipe::default();
        let near = pipe.near();
        while pipe.has_room() {
            pipe.give(Bytes::from_static(&[0; 5840]));
        }
        assert!(pipe.inner().calls.len < ROOM + 5840);
        let large = vec![0; 3 * ROOM];
        let slices = [IoSlice::new(&large[..10]), IoSlice::new(&large)];
        assert!(matches!(near.write(&slices), Poll::Ready(Ok(ROOM))));
        assert!(near.write(&slices).is_pending());
        assert_eq!(pipe.take().map(|bytes| bytes.len()), Some(ROOM));
        assert!(pipe.is_empty() && near.write(&slices).is_ready());
    }

    #[test]
    fn a_broken_pipe_ends_for_its_reader_after_what_was_given_and_for_its_writer_at_once() {
        let pipe = Pipe::default();
        let mut near = pipe.near();
        pipe.give(Bytes::from_static(b"last"));
        pipe.break_off();
        assert_eq!(read(&mut near, 8).as_deref(), Some(&b"last"[..]));
        assert_eq!(read(&mut near, 8).as_deref(), Some(&b""[..]));
        assert!(matches!(
            near.write(&[IoSlice::new(b"x")]),
            Poll::Ready(Err(_))
        ));
    }
}
