//! Which calls of a connection their client would like to end early.
//!
//! Read first: C706 section 9.5.8 (cancel) and 12.6.4.5 (the `cancel` PDU). A cancel reaches a
//! running operation only if it asks: [`Call::is_cancelled`](crate::Call::is_cancelled) and
//! [`Call::cancelled`](crate::Call::cancelled). A connection on which nobody cancels and nobody
//! asks pays one load of a number for it.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

/// The wishes of one connection's client.
#[derive(Debug, Default)]
pub(crate) struct Desk {
    notes: Mutex<Vec<Note>>,
    /// How many notes there are.
    count: AtomicUsize,
}

/// What is known of one call.
#[derive(Debug)]
struct Note {
    call: u32,
    cancelled: bool,
    waker: Option<Waker>,
}

impl Desk {
    fn notes(&self) -> MutexGuard<'_, Vec<Note>> {
        self.notes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Works on the note about a call, which is made if there is none.
    fn with_note<T>(&self, call: u32, f: impl FnOnce(&mut Note) -> T) -> T {
        let mut notes = self.notes();
        let at = notes.iter().position(|note| note.call == call);
        let at = at.unwrap_or_else(|| {
            notes.push(Note {
                call,
                cancelled: false,
                waker: None,
            });
            notes.len() - 1
        });
        self.count.store(notes.len(), Ordering::Release);
        f(&mut notes[at])
    }

    /// The client would like this call to end.
    pub(crate) fn cancel(&self, call: u32) {
        let waker = self.with_note(call, |note| {
            note.cancelled = true;
            note.waker.take()
        });
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    /// Whether the client would like this call to end.
    pub(crate) fn is_cancelled(&self, call: u32) -> bool {
        let is_this = |note: &Note| note.call == call && note.cancelled;
        self.count.load(Ordering::Acquire) != 0 && self.notes().iter().any(is_this)
    }

    /// Ready when the client would like this call to end.
    pub(crate) fn poll_cancelled(&self, call: u32, cx: &mut Context<'_>) -> Poll<()> {
        self.with_note(call, |note| match note.cancelled {
            true => Poll::Ready(()),
            false => {
                note.waker = Some(cx.waker().clone());
                Poll::Pending
            }
        })
    }

    /// The call is over: its number may mean another one from now on.
    #[inline]
    pub(crate) fn end(&self, call: u32) {
        if self.count.load(Ordering::Acquire) == 0 {
            return;
        }
        let mut notes = self.notes();
        notes.retain(|note| note.call != call);
        self.count.store(notes.len(), Ordering::Release);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cancel_wakes_its_call_and_ends_with_it() {
        let desk = Desk::default();
        let mut cx = Context::from_waker(Waker::noop());
        assert!(desk.poll_cancelled(1, &mut cx).is_pending());
        desk.cancel(1);
        assert!(desk.is_cancelled(1) && !desk.is_cancelled(2));
        assert!(desk.poll_cancelled(1, &mut cx).is_ready());
        desk.end(1);
        assert!(!desk.is_cancelled(1), "the number is free again");
        assert_eq!(desk.count.load(Ordering::Acquire), 0);
    }
}
