//! What the two halves of a call in pieces share: bytes that came and were not read, bytes that
//! wait to go, and who waits for either.
//!
//! One side is the connection's driver, which delivers what comes and takes what goes; the other
//! is whoever reads or writes a pipe, often in another task. Neither holds more than a window:
//! while a pipe is full its connection is not read, and while too much waits to go its writer
//! waits. What this file does not do: it knows neither elements nor fragments.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use bytes::Bytes;

use crate::error::Error;

/// What a piece costs beside its bytes: many small ones are not for free.
const EACH: usize = 64;

/// The two halves of one call.
#[derive(Debug)]
pub(crate) struct Conduit {
    state: Mutex<State>,
    /// Bytes that may wait each way.
    window: usize,
    /// Most bytes beside the pipes.
    most: usize,
}

#[derive(Debug, Default)]
struct State {
    incoming: Half,
    outgoing: Half,
    /// Why no more comes or goes.
    failed: Option<Error>,
    /// The call is over: what is written goes nowhere.
    over: bool,
    driver: Option<Waker>,
}

/// Bytes on their way in one direction.
#[derive(Debug, Default)]
struct Half {
    pieces: VecDeque<Bytes>,
    held: usize,
    /// No more follow.
    ended: bool,
    /// Who reads or writes them.
    waiting: Option<Waker>,
}

impl Half {
    fn push(&mut self, piece: Bytes) {
        if !piece.is_empty() {
            self.held = self.held.saturating_add(piece.len() + EACH);
            self.pieces.push_back(piece);
        }
    }

    fn pop(&mut self) -> Option<Bytes> {
        let piece = self.pieces.pop_front()?;
        self.held = self.held.saturating_sub(piece.len() + EACH);
        Some(piece)
    }

    fn wait(&mut self, cx: &Context<'_>) {
        match &mut self.waiting {
            Some(known) => known.clone_from(cx.waker()),
            none => *none = Some(cx.waker().clone()),
        }
    }

    fn clear(&mut self) {
        self.pieces.clear();
        self.held = 0;
    }
}

fn wake(waker: Option<Waker>) {
    if let Some(waker) = waker {
        waker.wake();
    }
}

impl Conduit {
    /// With so many bytes waiting each way, and beside the pipes.
    pub(crate) fn new(window: usize, most: usize) -> Self {
        Self {
            state: Mutex::default(),
            window,
            most,
        }
    }

    /// Most bytes beside the pipes.
    pub(crate) fn most(&self) -> usize {
        self.most
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// For the driver: a piece has come; `last`: no more do.
    pub(crate) fn deliver(&self, piece: Bytes, last: bool) {
        let waiting = {
            let mut state = self.state();
            state.incoming.push(piece);
            state.incoming.ended |= last;
            state.incoming.waiting.take()
        };
        wake(waiting);
    }

    /// For the driver: whether so much waits to be read that nothing more is taken in.
    pub(crate) fn is_full(&self) -> bool {
        let state = self.state();
        state.incoming.held > self.window && !state.over
    }

    /// For the driver: whether more is to come.
    pub(crate) fn is_open(&self) -> bool {
        let state = self.state();
        !state.incoming.ended && !state.over
    }

    /// For the driver: `waker` is woken when there is more to take, and when there is room again
    /// for what comes.
    pub(crate) fn watch(&self, waker: &Waker) {
        match &mut self.state().driver {
            Some(known) => known.clone_from(waker),
            none => *none = Some(waker.clone()),
        }
    }

    /// For the driver: the next piece that is to go, and whether it is the last; an empty one if
    /// only the end is left.
    pub(crate) fn take(&self) -> Option<(Bytes, bool)> {
        let (taken, waiting) = {
            let mut state = self.state();
            let half = &mut state.outgoing;
            let piece = match half.pop() {
                Some(piece) => piece,
                None if half.ended => Bytes::new(),
                None => return None,
            };
            let last = half.ended && half.pieces.is_empty();
            let room = half.held <= self.window;
            let waiting = room.then(|| half.waiting.take()).flatten();
            (Some((piece, last)), waiting)
        };
        wake(waiting);
        taken
    }

    /// For the driver: the call is over, for this reason if it failed. What has come may still be
    /// read if it did not.
    pub(crate) fn end(&self, failed: Option<Error>) {
        let (reader, writer) = {
            let mut state = self.state();
            if state.over {
                return;
            }
            state.over = true;
            state.outgoing.clear();
            if failed.is_some() {
                state.incoming.clear();
                state.failed = failed;
            }
            (state.incoming.waiting.take(), state.outgoing.waiting.take())
        };
        wake(reader);
        wake(writer);
    }

    /// Whether the call is over.
    pub(crate) fn is_over(&self) -> bool {
        self.state().over
    }

    /// The next piece that came; nothing after the last one.
    pub(crate) fn poll_piece(&self, cx: &Context<'_>) -> Poll<Result<Option<Bytes>, Error>> {
        let (piece, driver) = {
            let mut state = self.state();
            if let Some(error) = &state.failed {
                return Poll::Ready(Err(error.clone()));
            }
            let was_full = state.incoming.held > self.window;
            match state.incoming.pop() {
                Some(piece) => {
                    let opens = was_full && state.incoming.held <= self.window;
                    let driver = opens.then(|| state.driver.take()).flatten();
                    (Some(piece), driver)
                }
                None if state.incoming.ended || state.over => (None, None),
                None => {
                    state.incoming.wait(cx);
                    return Poll::Pending;
                }
            }
        };
        wake(driver);
        Poll::Ready(Ok(piece))
    }

    /// Waits until there is room for what is to go.
    pub(crate) fn poll_room(&self, cx: &Context<'_>) -> Poll<Result<(), Error>> {
        let mut state = self.state();
        if let Some(error) = &state.failed {
            return Poll::Ready(Err(error.clone()));
        }
        if state.outgoing.held <= self.window || state.over {
            return Poll::Ready(Ok(()));
        }
        state.outgoing.wait(cx);
        Poll::Pending
    }

    /// Has a piece go.
    pub(crate) fn send(&self, piece: Bytes) {
        let driver = {
            let mut state = self.state();
            if state.over || piece.is_empty() {
                return;
            }
            state.outgoing.push(piece);
            state.driver.take()
        };
        wake(driver);
    }

    /// Says that all has been sent.
    pub(crate) fn finish(&self) {
        let driver = {
            let mut state = self.state();
            state.outgoing.ended = true;
            state.driver.take()
        };
        wake(driver);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::task::Wake;

    #[derive(Default)]
    struct Count(AtomicUsize);

    impl Wake for Count {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    #[test]
    fn a_full_pipe_stops_its_connection_and_wakes_it_when_there_is_room() {
        let (driver, reader) = (Arc::new(Count::default()), Arc::new(Count::default()));
        let woken = |who: &Count| who.0.swap(0, Ordering::Relaxed);
        let waker = Waker::from(Arc::clone(&reader));
        let cx = Context::from_waker(&waker);
        let conduit = Conduit::new(100, 100);
        conduit.watch(&Waker::from(Arc::clone(&driver)));
        assert!(conduit.poll_piece(&cx).is_pending());
        conduit.deliver(Bytes::from_static(&[1; 30]), false);
        assert_eq!((woken(&reader), conduit.is_full()), (1, false));
        conduit.deliver(Bytes::from_static(&[2; 30]), true);
        assert!(conduit.is_full());
        assert!(matches!(conduit.poll_piece(&cx), Poll::Ready(Ok(Some(piece))) if piece[0] == 1));
        assert_eq!((woken(&driver), conduit.is_full()), (1, false));
        assert!(matches!(conduit.poll_piece(&cx), Poll::Ready(Ok(Some(piece))) if piece[0] == 2));
        assert!(matches!(conduit.poll_piece(&cx), Poll::Ready(Ok(None))));
    }

    #[test]
    fn a_writer_waits_for_room_and_learns_of_the_end() {
        let (driver, writer) = (Arc::new(Count::default()), Arc::new(Count::default()));
        let woken = |who: &Count| who.0.swap(0, Ordering::Relaxed);
        let waker = Waker::from(Arc::clone(&writer));
        let cx = Context::from_waker(&waker);
        let driving = Waker::from(Arc::clone(&driver));
        let conduit = Conduit::new(100, 100);
        conduit.watch(&driving);
        assert!(conduit.take().is_none());
        conduit.send(Bytes::from_static(&[1; 80]));
        assert_eq!(woken(&driver), 1);
        assert!(conduit.poll_room(&cx).is_pending());
        conduit.finish();
        assert_eq!(conduit.take(), Some((Bytes::from_static(&[1; 80]), true)));
        assert_eq!(woken(&writer), 1);
        assert!(matches!(conduit.poll_room(&cx), Poll::Ready(Ok(()))));
        conduit.end(Some(Error::local(crate::error::Phase::Call, "gone")));
        assert!(matches!(conduit.poll_room(&cx), Poll::Ready(Err(_))));
        assert!(matches!(conduit.poll_piece(&cx), Poll::Ready(Err(_))));
    }
}
