//! A connection within this process: whole pieces of bytes go from one end to the other, and none is copied.
//!
//! It behaves as a socket does: an end that is dropped or closed is the end of the stream for the other, after what is on its way; writing to
//! an end that has gone fails; and a reader that does not read makes the writer wait.

use std::collections::VecDeque;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use bytes::Bytes;

/// Bytes on their way in one direction, beyond which a writer waits.
const MOST: usize = 128 << 10;

/// One end.
#[derive(Debug)]
pub(super) struct Pipe {
    both: Arc<Mutex<[Way; 2]>>,
    /// The way that is read here; the other is written.
    reads: usize,
}

#[derive(Debug, Default)]
struct Way {
    pieces: VecDeque<Bytes>,
    bytes: usize,
    /// Nothing more is written, or nothing more is read.
    closed: bool,
    reader: Option<Waker>,
    writer: Option<Waker>,
}

impl Way {
    fn close(&mut self) {
        self.closed = true;
        wake(&mut self.reader);
        wake(&mut self.writer);
    }
}

fn wake(waker: &mut Option<Waker>) {
    if let Some(waker) = waker.take() {
        waker.wake();
    }
}

/// Remembers who waits.
fn wait(place: &mut Option<Waker>, cx: &Context<'_>) {
    match place {
        Some(waker) => waker.clone_from(cx.waker()),
        None => *place = Some(cx.waker().clone()),
    }
}

/// Both ends of a new one.
pub(super) fn pipe() -> (Pipe, Pipe) {
    let both = Arc::new(Mutex::default());
    let end = |reads| Pipe {
        both: Arc::clone(&both),
        reads,
    };
    (end(0), end(1))
}

impl Pipe {
    fn lock(&self) -> MutexGuard<'_, [Way; 2]> {
        self.both.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What is read here, and what is written.
    fn ways(&self, both: &mut [Way; 2], act: impl FnOnce(&mut Way, &mut Way)) {
        let [first, second] = both;
        match self.reads {
            0 => act(first, second),
            _ => act(second, first),
        }
    }

    /// The next piece; nothing at the end.
    pub(super) fn poll_bytes(&mut self, cx: &mut Context<'_>) -> Poll<Bytes> {
        let mut both = self.lock();
        let mut got = Poll::Pending;
        self.ways(&mut both, |from, _| match from.pieces.pop_front() {
            Some(piece) => {
                from.bytes = from.bytes.saturating_sub(piece.len());
                if from.bytes < MOST / 2 {
                    wake(&mut from.writer);
                }
                got = Poll::Ready(piece);
            }
            None if from.closed => got = Poll::Ready(Bytes::new()),
            None => {
                from.pieces = VecDeque::new();
                wait(&mut from.reader, cx);
            }
        });
        got
    }

    /// Writes what waits, as much as there is room for.
    ///
    /// # Errors
    /// The other end has gone.
    pub(super) fn poll_send(
        &mut self,
        cx: &mut Context<'_>,
        waiting: &mut VecDeque<Bytes>,
    ) -> Poll<io::Result<()>> {
        let mut both = self.lock();
        let mut done = Poll::Ready(Ok(()));
        self.ways(&mut both, |_, to| {
            if to.closed {
                done = Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
                return;
            }
            if to.bytes >= MOST {
                wait(&mut to.writer, cx);
                done = Poll::Pending;
                return;
            }
            while to.bytes < MOST
                && let Some(piece) = waiting.pop_front()
            {
                // Nothing is what the end looks like.
                if !piece.is_empty() {
                    to.bytes = to.bytes.saturating_add(piece.len());
                    to.pieces.push_back(piece);
                }
            }
            wake(&mut to.reader);
        });
        done
    }

    /// Writes nothing more.
    pub(super) fn close(&mut self) {
        let mut both = self.lock();
        self.ways(&mut both, |_, to| to.close());
    }
}

impl Drop for Pipe {
    fn drop(&mut self) {
        self.lock().iter_mut().for_each(Way::close);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::future::poll_fn;
    use std::pin::pin;
    use std::task::Context;

    async fn send(pipe: &mut Pipe, bytes: &Bytes) -> io::Result<()> {
        let mut waiting = VecDeque::from([bytes.clone()]);
        poll_fn(|cx| pipe.poll_send(cx, &mut waiting)).await
    }

    async fn read(pipe: &mut Pipe) -> Bytes {
        poll_fn(|cx| pipe.poll_bytes(cx)).await
    }

    #[tokio::test]
    async fn pieces_arrive_in_order_and_the_end_behind_them() {
        let (mut near, mut far) = pipe();
        let (one, two) = (Bytes::from_static(b"one"), Bytes::from_static(b"two"));
        send(&mut near, &one).await.expect("sent");
        send(&mut near, &Bytes::new()).await.expect("nothing");
        send(&mut near, &two).await.expect("sent");
        near.close();
        assert_eq!(read(&mut far).await, one);
        assert_eq!(read(&mut far).await, two);
        assert!(read(&mut far).await.is_empty());
        send(&mut far, &one).await.expect("the other way is open");
        assert_eq!(read(&mut near).await, one);
        drop(far);
        assert!(read(&mut near).await.is_empty());
        assert!(send(&mut near, &one).await.is_err());
    }

    #[tokio::test]
    async fn who_does_not_read_makes_the_other_wait_and_wakes_it_then() {
        let (mut near, mut far) = pipe();
        let piece = Bytes::from(vec![1; MOST / 2]);
        send(&mut near, &piece).await.expect("room");
        send(&mut near, &piece).await.expect("room");
        let writing = tokio::spawn(async move {
            send(&mut near, &Bytes::from_static(b"last"))
                .await
                .expect("sent");
        });
        tokio::task::yield_now().await;
        assert!(!writing.is_finished());
        assert_eq!(read(&mut far).await.len(), MOST / 2);
        assert_eq!(read(&mut far).await.len(), MOST / 2);
        writing.await.expect("woken");
        assert_eq!(&read(&mut far).await[..], b"last");
        assert!(read(&mut far).await.is_empty(), "dropped");
    }

    #[test]
    fn a_reader_that_waits_is_woken() {
        let (mut near, mut far) = pipe();
        let mut cx = Context::from_waker(Waker::noop());
        assert!(far.poll_bytes(&mut cx).is_pending());
        let mut waiting = VecDeque::from([Bytes::from_static(b"x")]);
        assert!(near.poll_send(&mut cx, &mut waiting).is_ready());
        let reading = pin!(read(&mut far));
        assert!(reading.poll(&mut cx).is_ready());
    }
}
