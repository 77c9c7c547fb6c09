//! What a client has queued for its stream, and can still take back.
//!
//! Positions are counts of bytes since the stream of this client began. A message can be removed as long as the
//! queue has not been handed out; removed messages are skipped lazily, and the queue is written anew when they
//! outweigh the rest. No message is ever cut: what has begun to go out goes out whole.

use farcall_wire::TransmitQueue;
use std::ops::Range;

/// Messages of a stream that have not been handed out yet.
#[derive(Debug, Default)]
pub(super) struct Outbox {
    pub(super) queue: TransmitQueue,
    /// Count of the first byte in `queue`.
    taken: u64,
    /// Removed messages within `queue`, and their length in all.
    dead: Vec<Range<u64>>,
    dead_len: usize,
}

/// How positions changed when the queue was written anew: these ranges are gone.
#[derive(Debug)]
pub(super) struct Moved(Vec<Range<u64>>);

impl Moved {
    /// Where the message that began `at` begins now.
    pub(super) fn from(&self, at: u64) -> u64 {
        let before = self.0.iter().take_while(|range| range.start < at);
        at.wrapping_sub(
            before
                .map(|range| range.end.wrapping_sub(range.start))
                .sum(),
        )
    }
}

impl Outbox {
    /// Bytes that wait.
    #[inline]
    pub(super) fn len(&self) -> usize {
        self.queue.len().saturating_sub(self.dead_len)
    }

    /// Where the next message will begin.
    #[inline]
    pub(super) fn position(&self) -> u64 {
        self.taken.wrapping_add(widen(self.queue.len()))
    }

    /// Whether the message that began `at` has been handed out.
    #[inline]
    pub(super) fn is_taken(&self, at: u64) -> bool {
        at < self.taken
    }

    /// Whether [`rewrite`](Self::rewrite) must come before the queue is handed out.
    #[inline]
    pub(super) fn is_dirty(&self) -> bool {
        !self.dead.is_empty()
    }

    /// Moves everything behind `out` and returns how many bytes that is.
    #[inline]
    pub(super) fn hand_out(&mut self, out: &mut TransmitQueue) -> usize {
        let len = self.queue.len();
        self.taken = self.taken.wrapping_add(widen(len));
        out.append_queue(&mut self.queue);
        len
    }

    /// Takes the message of `len` bytes at `at` back; whether the queue should now be written anew.
    pub(super) fn remove(&mut self, at: u64, len: usize) -> bool {
        if self.is_taken(at) {
            return false;
        }
        self.dead.push(at..at.wrapping_add(widen(len)));
        self.dead_len = self.dead_len.saturating_add(len);
        if self.dead_len >= self.queue.len() {
            self.queue.clear();
            self.dead.clear();
            self.dead_len = 0;
        }
        self.dead_len.saturating_mul(2) > self.queue.len()
    }

    /// Writes the queue anew without the removed messages.
    #[cold]
    pub(super) fn rewrite(&mut self) -> Moved {
        let mut dead = std::mem::take(&mut self.dead);
        dead.sort_unstable_by_key(|range| range.start);
        let mut live = TransmitQueue::new();
        let mut at = self.taken;
        for part in self.queue.parts() {
            let end = at.wrapping_add(widen(part.len()));
            for piece in gaps(&dead, at..end) {
                let from = narrow(piece.start.wrapping_sub(at));
                let to = narrow(piece.end.wrapping_sub(at));
                live.put_slice(part.get(from..to).unwrap_or_default());
            }
            at = end;
        }
        self.queue = live;
        self.dead_len = 0;
        Moved(dead)
    }
}

/// The parts of `whole` that no range of the sorted `dead` covers.
fn gaps(dead: &[Range<u64>], whole: Range<u64>) -> Vec<Range<u64>> {
    let mut out = Vec::new();
    let mut at = whole.start;
    for range in dead
        .iter()
        .filter(|range| range.end > whole.start && range.start < whole.end)
    {
        if range.start > at {
            out.push(at..range.start);
        }
        at = at.max(range.end);
    }
    if at < whole.end {
        out.push(at..whole.end);
    }
    out
}

#[inline]
fn widen(len: usize) -> u64 {
    u64::try_from(len).unwrap_or(u64::MAX)
}

fn narrow(len: u64) -> usize {
    usize::try_from(len).unwrap_or(usize::MAX)
}
