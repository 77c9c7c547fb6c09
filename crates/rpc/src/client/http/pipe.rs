//! A virtual connection as a byte stream: what its task and its user share.
//!
//! The task puts in what has come and takes what is to go; neither side holds more than [`ROOM`] bytes. A virtual connection that
//! fails says so to its user when all that came before has been read.

use std::collections::VecDeque;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use bytes::{Buf, Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::error::Error;

/// Bytes that may wait each way.
pub(super) const ROOM: usize = 256 << 10;

/// What the task and the user share.
#[derive(Debug, Default)]
pub(super) struct Pipe {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    incoming: VecDeque<Bytes>,
    held: usize,
    outgoing: BytesMut,
    opened: bool,
    failed: Option<Error>,
    /// The user is gone.
    left: bool,
    reader: Option<Waker>,
    writer: Option<Waker>,
    task: Option<Waker>,
}

fn wake(waker: Option<Waker>) {
    if let Some(waker) = waker {
        waker.wake();
    }
}

impl Pipe {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// For the task: it is woken when there is more to go, or more room for what comes.
    pub(super) fn watch(&self, waker: &Waker) {
        match &mut self.state().task {
            Some(known) => known.clone_from(waker),
            none => *none = Some(waker.clone()),
        }
    }

    /// For the task: whether there is room for what comes.
    pub(super) fn has_room(&self) -> bool {
        self.state().held < ROOM
    }

    /// For the task: this has come.
    pub(super) fn deliver(&self, bytes: Bytes) {
        let reader = {
            let mut state = self.state();
            if state.left {
                return;
            }
            state.held += bytes.len();
            state.incoming.push_back(bytes);
            state.reader.take()
        };
        wake(reader);
    }

    /// For the task: what is to go.
    pub(super) fn take(&self) -> Option<Bytes> {
        let (bytes, writer) = {
            let mut state = self.state();
            let bytes = state.outgoing.split().freeze();
            (bytes, state.writer.take())
        };
        wake(writer);
        (!bytes.is_empty()).then_some(bytes)
    }

    /// For the task: whether nothing is to go.
    pub(super) fn is_empty(&self) -> bool {
        self.state().outgoing.is_empty()
    }

    /// For the task: the virtual connection stands.
    pub(super) fn opened(&self) {
        let reader = {
            let mut state = self.state();
            state.opened = true;
            state.reader.take()
        };
        wake(reader);
    }

    /// For the task: it is over.
    pub(super) fn fail(&self, error: Error) {
        let (reader, writer) = {
            let mut state = self.state();
            state.failed.get_or_insert(error);
            (state.reader.take(), state.writer.take())
        };
        wake(reader);
        wake(writer);
    }

    /// For the task: whether the user is gone.
    pub(super) fn is_left(&self) -> bool {
        self.state().left
    }
}

/// A virtual connection as its user has it.
#[derive(Debug)]
pub(crate) struct VirtualStream(Arc<Pipe>);

impl VirtualStream {
    pub(super) fn new(pipe: Arc<Pipe>) -> Self {
        Self(pipe)
    }

    /// Waits until the virtual connection stands, or has failed.
    pub(super) async fn opened(&self) -> Result<(), Error> {
        std::future::poll_fn(|cx| {
            let mut state = self.0.state();
            if let Some(error) = &state.failed {
                return Poll::Ready(Err(error.clone()));
            }
            if state.opened {
                return Poll::Ready(Ok(()));
            }
            state.reader = Some(cx.waker().clone());
            Poll::Pending
        })
        .await
    }
}

impl AsyncRead for VirtualStream {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let task = {
            let mut state = self.0.state();
            if state.incoming.is_empty() {
                if let Some(error) = &state.failed {
                    return Poll::Ready(Err(io::Error::other(error.clone())));
                }
                state.reader = Some(cx.waker().clone());
                return Poll::Pending;
            }
            let was_full = state.held >= ROOM;
            let mut filled = 0;
            while buf.remaining() > 0
                && let Some(first) = state.incoming.front_mut()
            {
                let len = first.len().min(buf.remaining());
                buf.put_slice(first.get(..len).unwrap_or_default());
                first.advance(len);
                filled += len;
                if first.is_empty() {
                    state.incoming.pop_front();
                }
            }
            state.held = state.held.saturating_sub(filled);
            match was_full && state.held < ROOM {
                true => state.task.take(),
                false => None,
            }
        };
        wake(task);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for VirtualStream {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.poll_write_vectored(cx, &[io::IoSlice::new(bytes)])
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let (taken, task) = {
            let mut state = self.0.state();
            if let Some(error) = &state.failed {
                return Poll::Ready(Err(io::Error::other(error.clone())));
            }
            let mut room = ROOM.saturating_sub(state.outgoing.len());
            if room == 0 {
                state.writer = Some(cx.waker().clone());
                return Poll::Pending;
            }
            let mut taken = 0;
            for slice in slices {
                let part = slice.get(..slice.len().min(room)).unwrap_or_default();
                state.outgoing.extend_from_slice(part);
                (room, taken) = (room - part.len(), taken + part.len());
            }
            (taken, state.task.take())
        };
        wake(task);
        Poll::Ready(Ok(taken))
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

impl Drop for VirtualStream {
    fn drop(&mut self) {
        let task = {
            let mut state = self.0.state();
            state.left = true;
            state.incoming.clear();
            state.held = 0;
            state.task.take()
        };
        wake(task);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Phase;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    #[tokio::test]
    async fn what_came_before_a_failure_is_read_before_it() {
        let pipe = Arc::new(Pipe::default());
        let mut stream = VirtualStream::new(Arc::clone(&pipe));
        pipe.opened();
        stream.opened().await.unwrap();
        pipe.deliver(Bytes::from_static(b"last words"));
        pipe.fail(Error::local(Phase::Call, "gone"));
        let mut heard = [0; 10];
        stream.read_exact(&mut heard).await.unwrap();
        assert_eq!(&heard, b"last words");
        let error = stream.read_u8().await.unwrap_err();
        let inner = error.get_ref().and_then(|it| it.downcast_ref::<Error>());
        assert_eq!(inner.unwrap().to_string(), "gone");
        assert!(stream.write_all(b"x").await.is_err());
    }

    #[tokio::test]
    async fn neither_side_holds_more_than_there_is_room_for() {
        let pipe = Arc::new(Pipe::default());
        let mut stream = VirtualStream::new(Arc::clone(&pipe));
        let more = vec![7; ROOM + 1];
        let mut cx = Context::from_waker(Waker::noop());
        let wrote = Pin::new(&mut stream).poll_write(&mut cx, &more);
        assert!(matches!(wrote, Poll::Ready(Ok(ROOM))));
        assert!(
            Pin::new(&mut stream)
                .poll_write(&mut cx, &more)
                .is_pending()
        );
        assert_eq!(pipe.take().map(|it| it.len()), Some(ROOM));
        assert!(Pin::new(&mut stream).poll_write(&mut cx, &more).is_ready());
        pipe.deliver(Bytes::from(more));
        assert!(!pipe.has_room());
        stream.read_exact(&mut [0; 2]).await.unwrap();
        assert!(pipe.has_room());
        drop(stream);
        assert!(pipe.is_left());
    }
}
