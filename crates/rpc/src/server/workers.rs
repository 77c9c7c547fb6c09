//! The procedures of one connection: polled in place, kept only while they are pending.

use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::task::{Context, Poll};

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;

use super::hub::Hub;
use super::mailbox::Inbox;
use crate::endpoint::Transport;
use crate::stub::Slot;
use crate::turn::{self, Charge, Turn};

/// The workers of one connection.
#[derive(Default)]
pub(crate) struct Workers {
    /// Pending procedures, one call each.
    pending: FuturesUnordered<Pending>,
    /// The memory of a worker that is done.
    spare: Option<Slot>,
    /// Replies of calls that run elsewhere.
    inbox: Option<Inbox>,
    /// More may lie in the inbox: it was left alone because replies were piling up.
    left: bool,
    /// What pending procedures keep.
    charged: Charge,
}

/// This many pending calls may keep the block in which they came; those that follow are copied
/// out of theirs. (A block is what a thread reads into, and a call may be a small part of it.)
const KEPT: usize = 4;

impl Workers {
    /// Workers whose calls may run elsewhere, if there is an inbox.
    pub(crate) fn new(inbox: Option<Inbox>) -> Self {
        Self {
            inbox,
            ..Self::default()
        }
    }

    /// Whether no procedure is pending.
    pub(crate) fn is_empty(&self) -> bool {
        // In this order: a call's reply lies in the inbox before the call is over.
        self.len() == 0 && self.inbox.as_ref().is_none_or(|i| i.receiver.is_empty())
    }

    /// Procedures that are pending, here and elsewhere.
    fn len(&self) -> usize {
        self.pending.len() + self.inbox.as_ref().map_or(0, Inbox::running)
    }

    /// Whether the cap on calls in flight is reached: nothing more is read then.
    pub(crate) fn is_full(&self, hub: &Hub) -> bool {
        let elsewhere = self.inbox.as_ref().map_or(0, Inbox::held);
        let held = self.charged.bytes.saturating_add(elsewhere);
        self.len() >= hub.limits.calls || held > hub.limits.arguments
    }

    /// Takes in replies that were made elsewhere.
    fn collect(&mut self, cx: &mut Context<'_>, transport: Transport, turn: &mut Turn) {
        let Some(inbox) = &mut self.inbox else { return };
        loop {
            self.left = turn.out.len() > turn.write_queue;
            if self.left {
                return;
            }
            let Poll::Ready(Some(delivery)) = inbox.receiver.poll_recv(cx) else {
                return;
            };
            if let Some(message) = delivery.message {
                turn.put_message(transport, delivery.peer, delivery.local, &message);
                if let Some(sample) = delivery.sample {
                    sample.packed(turn.queued(transport));
                }
            }
        }
    }

    /// Whether something waits that may be gone on with now: a call, or replies made elsewhere.
    pub(crate) fn can_run(&self, hub: &Hub, turn: &Turn) -> bool {
        let waits = self.left || (!turn.calls.is_empty() && !self.is_full(hub));
        waits && turn.out.len() <= turn.write_queue
    }

    /// Goes on with pending procedures that were woken, then begins the calls that wait.
    pub(crate) fn run(
        &mut self,
        cx: &mut Context<'_>,
        hub: &Hub,
        transport: Transport,
        turn: &mut Box<Turn>,
    ) {
        self.collect(cx, transport, turn);
        if self.pending.is_empty() && turn.calls.is_empty() {
            return;
        }
        turn.apart = self.charged.blocks >= KEPT;
        turn.enter(|| {
            self.resume(cx);
            while let Some(service) = self.next_service(hub) {
                self.begin(cx, hub, service);
            }
        });
        self.charged.settle(&mut turn.charged);
    }

    fn resume(&mut self, cx: &mut Context<'_>) {
        while let Poll::Ready(Some(slot)) = self.pending.poll_next_unpin(cx) {
            self.spare = slot.or(self.spare.take());
        }
    }

    /// The service of the next call, if it may be begun.
    fn next_service(&self, hub: &Hub) -> Option<u32> {
        if self.is_full(hub) {
            return None;
        }
        turn::with(|turn| {
            let next = turn.calls.front()?;
            (turn.out.len() <= turn.write_queue).then_some(next.service)
        })
    }

    fn begin(&mut self, cx: &mut Context<'_>, hub: &Hub, service: u32) {
        let mut slot = self.spare.take().unwrap_or_else(|| Slot::new(async {}));
        hub.begin(service, &mut slot);
        match poll_caught(&mut slot, cx) {
            Some(Poll::Ready(())) => self.spare = Some(slot),
            Some(Poll::Pending) => {
                let call = turn::with(Turn::detach);
                self.pending.push(Pending {
                    slot: Some(slot),
                    call,
                });
            }
            None => turn::with(Turn::panicked),
        }
    }
}

/// Polls a worker; `None` if its procedure panicked, which the process log has been told.
fn poll_caught(slot: &mut Slot, cx: &mut Context<'_>) -> Option<Poll<()>> {
    catch_unwind(AssertUnwindSafe(|| slot.poll(cx))).ok()
}

/// A pending procedure; it ends by giving its memory back.
struct Pending {
    slot: Option<Slot>,
    call: Option<turn::Current>,
}

impl Future for Pending {
    type Output = Option<Slot>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Slot>> {
        let this = &mut *self;
        let Some(slot) = &mut this.slot else {
            return Poll::Ready(None);
        };
        turn::with(|turn| turn.attach(this.call.take()));
        match poll_caught(slot, cx) {
            Some(Poll::Pending) => {
                this.call = turn::with(Turn::detach);
                Poll::Pending
            }
            Some(Poll::Ready(())) => Poll::Ready(this.slot.take()),
            None => {
                turn::with(Turn::panicked);
                Poll::Ready(None)
            }
        }
    }
}
