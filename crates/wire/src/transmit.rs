//! The queue of bytes to transmit: where a value becomes part of a stream.
//!
//! One growing buffer a connection, in which an encoded value is one reservation. Large opaque
//! data that is already shared ([`Bytes`]) is not copied: the queue remembers where it belongs
//! and hands it to the kernel from where it lies. This file does no I/O.

use std::collections::VecDeque;
use std::io::IoSlice;

use bytes::{Buf, Bytes};

use crate::error::{EncodeError, EncodeErrorKind as Kind};
use crate::write::{Cut, SHARE_FROM, Size, Writer};
use crate::xdr::Encode;

/// Longest message that is encoded, in bytes: what a record mark can say.
pub const MAX_MESSAGE: usize = 0x7fff_ffff - 1024;

/// A queue is a value that has been encoded already: an encoded call can be put into another queue,
/// and put there again, without its shared parts being copied.
impl Encode for TransmitQueue {
    fn measure(&self, size: &mut Size) -> Result<(), EncodeError> {
        size.add(self.head.len());
        self.cuts.iter().for_each(|cut| size.raw_bytes(&cut.data));
        Ok(())
    }

    fn encode(&self, w: &mut Writer<'_>) {
        let mut rest: &[u8] = self.head.bytes();
        let mut position = self.base;
        for cut in &self.cuts {
            let before = cut.at.wrapping_sub(position);
            let (part, tail) = rest.split_at_checked(before).unwrap_or((rest, &[]));
            w.slice(part);
            w.raw_bytes(&cut.data);
            (rest, position) = (tail, cut.at);
        }
        w.slice(rest);
    }
}

/// Memory that an empty queue keeps for the next message: a mebibyte of data and its header.
const KEEP: usize = (1 << 20) + 4096;

/// Least memory that a queue takes.
const LEAST: usize = 512;

/// Bytes that are appended at the end and taken from the front.
///
/// Memory is zeroed when it is first taken and then written over and over: a value that is
/// encoded into it costs no clearing.
#[derive(Debug, Default)]
struct Head {
    memory: Vec<u8>,
    start: usize,
    end: usize,
}

impl Head {
    #[inline]
    fn len(&self) -> usize {
        self.end.wrapping_sub(self.start)
    }

    #[inline]
    fn bytes(&self) -> &[u8] {
        self.memory.get(self.start..self.end).unwrap_or_default()
    }

    /// `n` more bytes at the end, to be filled.
    #[inline]
    fn room(&mut self, n: usize) -> &mut [u8] {
        if n > self.memory.len().saturating_sub(self.end) {
            self.grow(n);
        }
        let from = self.end;
        self.end = from.saturating_add(n);
        self.memory.get_mut(from..self.end).unwrap_or_default()
    }

    /// Makes room for `n` bytes behind the end: by moving to the front if that halves what the
    /// memory would have to be, else by taking more.
    #[cold]
    #[inline(never)]
    fn grow(&mut self, n: usize) {
        let len = self.len();
        let needed = len.saturating_add(n);
        self.memory.copy_within(self.start..self.end, 0);
        (self.start, self.end) = (0, len);
        if needed > self.memory.len() / 2 {
            let doubled = self.memory.len().saturating_mul(2);
            self.memory.resize(needed.max(doubled).max(LEAST), 0);
        }
    }

    #[inline]
    fn put(&mut self, bytes: &[u8]) {
        self.room(bytes.len()).copy_from_slice(bytes);
    }

    fn advance(&mut self, n: usize) {
        self.start = self.start.saturating_add(n).min(self.end);
    }

    fn clear(&mut self) {
        (self.start, self.end) = (0, 0);
    }
}

/// Bytes waiting to be transmitted: one growing head, and shared data that stands in between.
///
/// Positions in the head are counted from the first byte the queue ever held, modulo
/// `usize::MAX + 1`, so that taking bytes from the front moves nothing.
#[derive(Debug, Default)]
pub struct TransmitQueue {
    head: Head,
    /// Count of the head's first byte.
    base: usize,
    cuts: VecDeque<Cut>,
    /// Bytes in `cuts`.
    shared: usize,
}

impl TransmitQueue {
    /// An empty queue; it holds no memory until something is appended.
    pub fn new() -> Self {
        Self::default()
    }

    /// Bytes waiting.
    #[inline]
    pub fn len(&self) -> usize {
        self.head.len().saturating_add(self.shared)
    }

    /// Whether nothing waits.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.head.len() == 0 && self.cuts.is_empty()
    }

    /// Appends a value and returns its length on the wire.
    ///
    /// # Errors
    /// What [`Encode::measure`] found; nothing is appended then.
    #[inline]
    pub fn append<T: Encode + ?Sized>(&mut self, value: &T) -> Result<usize, EncodeError> {
        self.append_after(value, |_| [])
    }

    /// Appends a block that depends on the length of the value behind it (a record mark, a
    /// header), and then the value. Returns the value's length, the block not counted.
    ///
    /// # Errors
    /// What [`Encode::measure`] found; nothing is appended then.
    #[inline]
    pub fn append_after<T: Encode + ?Sized, const N: usize>(
        &mut self,
        value: &T,
        block: impl FnOnce(usize) -> [u8; N],
    ) -> Result<usize, EncodeError> {
        let mut size = Size::new();
        value.measure(&mut size)?;
        let total = size.total();
        if total > MAX_MESSAGE {
            return Err(EncodeError::new(Kind::TooLarge));
        }
        let mut w = self.room(size.inline().saturating_add(N));
        w.array(block(total));
        value.encode(&mut w);
        debug_assert!(
            w.is_full(),
            "{} measured bytes were not written",
            w.rest.len()
        );
        self.shared = self
            .shared
            .saturating_add(total.saturating_sub(size.inline()));
        Ok(total)
    }

    /// A writer over `n` fresh bytes at the end.
    #[inline]
    fn room(&mut self, n: usize) -> Writer<'_> {
        let end = self.base.wrapping_add(self.head.len()).wrapping_add(n);
        let rest = self.head.room(n);
        Writer {
            rest,
            end,
            cuts: Some(&mut self.cuts),
        }
    }

    /// Appends bytes as they are.
    #[inline]
    pub fn put_slice(&mut self, bytes: &[u8]) {
        self.head.put(bytes);
    }

    /// Appends shared bytes as they are; large ones are not copied.
    pub fn put_bytes(&mut self, data: &Bytes) {
        if data.len() < SHARE_FROM {
            return self.put_slice(data);
        }
        let at = self.base.wrapping_add(self.head.len());
        self.shared = self.shared.saturating_add(data.len());
        self.cuts.push_back(Cut {
            at,
            data: data.clone(),
        });
    }

    /// Moves everything from `other` behind what waits here.
    pub fn append_queue(&mut self, other: &mut TransmitQueue) {
        if self.is_empty() {
            std::mem::swap(self, other);
            return;
        }
        let shift = self
            .base
            .wrapping_add(self.head.len())
            .wrapping_sub(other.base);
        self.head.put(other.head.bytes());
        self.shared = self.shared.saturating_add(other.shared);
        for cut in other.cuts.drain(..) {
            self.cuts.push_back(Cut {
                at: cut.at.wrapping_add(shift),
                data: cut.data,
            });
        }
        other.clear();
    }

    /// All that waits, if it lies in one piece.
    #[inline]
    pub fn contiguous(&self) -> Option<&[u8]> {
        self.cuts.is_empty().then(|| self.head.bytes())
    }

    /// The first part of what waits, as slices for a vectored write. Returns how many of `slices`
    /// were filled.
    pub fn io_slices<'s>(&'s self, slices: &mut [IoSlice<'s>]) -> usize {
        let mut parts = self.parts();
        let mut filled = 0_usize;
        for (slot, part) in slices.iter_mut().zip(&mut parts) {
            *slot = IoSlice::new(part);
            filled = filled.saturating_add(1);
        }
        filled
    }

    /// All that waits, in order, as contiguous parts; none is empty.
    pub fn parts(&self) -> impl Iterator<Item = &[u8]> {
        let mut rest: &[u8] = self.head.bytes();
        let mut position = self.base;
        let mut cuts = self.cuts.iter().peekable();
        std::iter::from_fn(move || {
            if let Some(cut) = cuts.peek() {
                let before = cut.at.wrapping_sub(position);
                if before == 0 {
                    return cuts.next().map(|cut| &cut.data[..]);
                }
                let (part, tail) = rest.split_at_checked(before)?;
                (rest, position) = (tail, cut.at);
                return Some(part);
            }
            (!rest.is_empty()).then(|| std::mem::take(&mut rest))
        })
    }

    /// Takes `n` bytes from the front: they have been transmitted.
    pub fn advance(&mut self, mut n: usize) {
        while n > 0 && !self.is_empty() {
            let before = match self.cuts.front() {
                Some(cut) => cut.at.wrapping_sub(self.base),
                None => self.head.len(),
            };
            n = match before {
                0 => self.advance_cut(n),
                before => self.advance_head(n.min(before), n),
            };
        }
        if self.is_empty() {
            self.recycle();
        }
    }

    fn advance_head(&mut self, step: usize, n: usize) -> usize {
        let step = step.min(self.head.len());
        self.head.advance(step);
        self.base = self.base.wrapping_add(step);
        n.saturating_sub(step.max(1))
    }

    fn advance_cut(&mut self, n: usize) -> usize {
        let Some(cut) = self.cuts.front_mut() else {
            return 0;
        };
        let step = n.min(cut.data.len());
        cut.data.advance(step);
        self.shared = self.shared.saturating_sub(step);
        if cut.data.is_empty() {
            self.cuts.pop_front();
        }
        n.saturating_sub(step)
    }

    /// Starts over in the memory at hand, unless it grew beyond what is worth keeping.
    fn recycle(&mut self) {
        self.base = 0;
        self.head.clear();
        if self.head.memory.len() > KEEP {
            self.head = Head::default();
        }
    }

    /// Forgets everything that waits.
    pub fn clear(&mut self) {
        self.cuts.clear();
        self.shared = 0;
        self.recycle();
    }

    /// Gives back the memory of an empty queue.
    pub fn release(&mut self) {
        if self.is_empty() {
            *self = Self::new();
        }
    }

    /// All that waits, copied into one vector.
    pub fn to_vec(&self) -> Vec<u8> {
        let mut all = Vec::with_capacity(self.len());
        self.parts().for_each(|part| all.extend_from_slice(part));
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_head_is_a_queue_of_bytes_in_any_rhythm() {
        let (mut head, mut model) = (Head::default(), std::collections::VecDeque::new());
        let mut next = 0_u8;
        for round in 0..2_000_usize {
            let bytes: Vec<u8> = std::iter::repeat_with(|| {
                next = next.wrapping_add(1);
                next
            })
            .take(round % 97)
            .collect();
            head.put(&bytes);
            model.extend(bytes);
            let away = (round.wrapping_mul(31) % 101).min(model.len());
            head.advance(away);
            model.drain(..away);
            assert_eq!(head.bytes(), model.make_contiguous());
        }
        head.clear();
        assert_eq!(head.len(), 0);
    }
}
