//! The operations of one association: polled in place, kept only while they are pending.

use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::task::{Context, Poll};

use farcall_dce::co::server::ReplyTo;
use futures_util::StreamExt;
use futures_util::future::{AbortHandle, Abortable};
use futures_util::stream::FuturesUnordered;

use super::exports::Exports;
use crate::association::{self, Turn};
use crate::operations::Slot;

/// The workers of one association.
#[derive(Default)]
pub(crate) struct Workers {
    /// Pending operations, one call each.
    pending: FuturesUnordered<Abortable<Pending>>,
    /// How to end each of them.
    ends: Vec<(u32, AbortHandle)>,
    /// The memory of a worker that is done.
    spare: Option<Slot>,
}

impl Workers {
    /// Whether no operation is pending.
    pub(crate) fn is_empty(&self) -> bool {
        self.pending.is_empty()
    }

    /// Whether so many operations are pending: nothing more is begun then.
    pub(crate) fn is_full(&self, most: usize) -> bool {
        self.pending.len() >= most
    }

    /// Drops the operation that works on a call which its client has given up.
    pub(crate) fn abort(&mut self, call: u32) {
        self.ends.retain(|(id, end)| {
            if *id == call {
                end.abort();
            }
            *id != call
        });
    }

    /// Drops all that is pending: the client is gone.
    pub(crate) fn abandon(&mut self) {
        self.ends.clear();
        self.pending.clear();
    }

    /// Goes on with pending operations that were woken, then begins the calls that wait, unless
    /// `most` are pending.
    pub(crate) fn run(
        &mut self,
        cx: &mut Context<'_>,
        exports: &Exports,
        most: usize,
        turn: &mut Box<Turn>,
    ) {
        if self.pending.is_empty() && turn.calls.is_empty() && turn.service_ahead().is_none() {
            return;
        }
        turn.enter(|| {
            self.resume(cx);
            while let Some(service) = self.next_service(most) {
                self.begin(cx, exports, service);
            }
        });
    }

    fn resume(&mut self, cx: &mut Context<'_>) {
        while let Poll::Ready(Some(ended)) = self.pending.poll_next_unpin(cx) {
            if let Ok((slot, call)) = ended {
                self.spare = slot.or(self.spare.take());
                self.ends.retain(|(id, _)| *id != call);
            }
        }
        association::with(|turn| turn.resumed = false);
    }

    /// The service of the next call, if it may be begun.
    #[inline]
    fn next_service(&self, most: usize) -> Option<usize> {
        if self.is_full(most) {
            return None;
        }
        association::with(|turn| turn.next_service())
    }

    fn begin(&mut self, cx: &mut Context<'_>, exports: &Exports, service: usize) {
        let mut slot = self.spare.take().unwrap_or_else(|| Slot::new(async {}));
        exports.begin(service, &mut slot);
        match poll_caught(&mut slot, cx) {
            Some(Poll::Ready(())) => self.spare = Some(slot),
            Some(Poll::Pending) => self.keep(slot, association::with(Turn::detach)),
            None => association::with(Turn::panicked),
        }
    }

    fn keep(&mut self, slot: Slot, to: Option<ReplyTo>) {
        let (end, registration) = AbortHandle::new_pair();
        let call = to.map_or(0, |to| to.call_id);
        self.ends.push((call, end));
        let pending = Pending {
            slot: Some(slot),
            call,
            to,
        };
        self.pending.push(Abortable::new(pending, registration));
    }
}

/// Polls a worker; `None` if its operation panicked, which the process log has been told.
fn poll_caught(slot: &mut Slot, cx: &mut Context<'_>) -> Option<Poll<()>> {
    catch_unwind(AssertUnwindSafe(|| slot.poll(cx))).ok()
}

/// A pending operation; it ends by giving its memory back.
struct Pending {
    slot: Option<Slot>,
    /// The call it works on: by this number it is ended.
    call: u32,
    to: Option<ReplyTo>,
}

impl Future for Pending {
    type Output = (Option<Slot>, u32);

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = &mut *self;
        let Some(slot) = &mut this.slot else {
            return Poll::Ready((None, this.call));
        };
        association::with(|turn| turn.attach(this.to.take()));
        match poll_caught(slot, cx) {
            Some(Poll::Pending) => {
                this.to = association::with(Turn::detach);
                Poll::Pending
            }
            Some(Poll::Ready(())) => Poll::Ready((this.slot.take(), this.call)),
            None => {
                association::with(Turn::panicked);
                Poll::Ready((None, this.call))
            }
        }
    }
}
