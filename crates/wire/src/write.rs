//! The way out: the size pass and the writer.
//!
//! Encoding is two passes. The first adds up the exact [`Size`] and checks every declared bound,
//! so it is the only one that can fail. The second fills exactly that many bytes through a
//! [`Writer`]. Between them stands one reservation, made by the `transmit` module. Large opaque
//! data that is already shared ([`Bytes`]) may be left where it lies.
//!
//! Read first: [RFC 4506] section 3. This file does no I/O.
//!
//! [RFC 4506]: https://www.rfc-editor.org/rfc/rfc4506

use std::collections::VecDeque;

use bytes::Bytes;

use crate::cursor::{copy, pad_len, padded};
use crate::error::{EncodeError, EncodeErrorKind as Kind};
use crate::wide::loop_over;

/// Shared opaque data of at least this many bytes is transmitted from where it lies.
pub const SHARE_FROM: usize = 4096;

/// Deepest nesting of recursive values that is encoded, in levels.
const DEPTH: u32 = 256;

/// What the size pass adds up.
#[derive(Debug)]
pub struct Size {
    inline: usize,
    /// The sum was too large to be counted.
    over: bool,
    shared: usize,
    share_from: usize,
    depth: u32,
}

impl Size {
    /// Nothing yet. Opaque data stays inline unless it is shared and at least
    /// [`SHARE_FROM`] bytes long.
    #[inline]
    pub fn new() -> Self {
        Self {
            inline: 0,
            over: false,
            shared: 0,
            share_from: SHARE_FROM,
            depth: DEPTH,
        }
    }

    /// Nothing yet; all data will be copied into one buffer.
    #[inline]
    pub fn contiguous() -> Self {
        Self {
            share_from: usize::MAX,
            ..Self::new()
        }
    }

    /// `n` more bytes.
    #[inline]
    pub fn add(&mut self, n: usize) {
        self.inline = self.inline.saturating_add(n);
    }

    /// What `f` adds, summed up on its own first: an element does not wait for the sum of those
    /// before it.
    ///
    /// # Errors
    /// What `f` returns.
    #[inline]
    pub(crate) fn apart(
        &mut self,
        f: impl FnOnce(&mut Self) -> Result<(), EncodeError>,
    ) -> Result<(), EncodeError> {
        let before = std::mem::take(&mut self.inline);
        let result = f(self);
        // Noted rather than acted upon: the loop over the elements has no branch for it.
        let (sum, over) = self.inline.overflowing_add(before);
        self.inline = sum;
        self.over |= over;
        result
    }

    /// `count` more items of `each` bytes.
    #[inline]
    pub fn add_many(&mut self, each: usize, count: usize) {
        self.add(each.saturating_mul(count));
    }

    /// Variable-length opaque data: count, `len` bytes, padding.
    ///
    /// # Errors
    /// [`TooLong`](Kind::TooLong) if `len` is over `max`.
    #[inline]
    pub fn opaque_var(&mut self, len: usize, max: u32) -> Result<(), EncodeError> {
        if u32::try_from(len).is_ok_and(|len| len <= max) {
            self.add(padded(len).saturating_add(4));
            return Ok(());
        }
        Err(EncodeError::new(Kind::TooLong { len, max }))
    }

    /// Fixed-length opaque data: `len` bytes, padding.
    #[inline]
    pub fn opaque_fixed(&mut self, len: usize) {
        self.add(padded(len));
    }

    /// As [`opaque_var`](Self::opaque_var), for data that may be transmitted from where it lies.
    ///
    /// # Errors
    /// [`TooLong`](Kind::TooLong) if there are more than `max` bytes.
    #[inline]
    pub fn bytes_var(&mut self, data: &Bytes, max: u32) -> Result<(), EncodeError> {
        if data.len() < self.share_from {
            return self.opaque_var(data.len(), max);
        }
        self.length(data.len(), max)?;
        self.shared = self.shared.saturating_add(data.len());
        self.add(pad_len(data.len()));
        Ok(())
    }

    /// Bytes that are encoded already.
    #[inline]
    pub fn raw_bytes(&mut self, data: &Bytes) {
        match data.len() < self.share_from {
            true => self.add(data.len()),
            false => self.shared = self.shared.saturating_add(data.len()),
        }
    }

    /// A count of `len`, checked against the declared `max`.
    ///
    /// # Errors
    /// [`TooLong`](Kind::TooLong).
    #[inline]
    pub fn length(&mut self, len: usize, max: u32) -> Result<(), EncodeError> {
        if u32::try_from(len).is_ok_and(|len| len <= max) {
            self.add(4);
            return Ok(());
        }
        Err(EncodeError::new(Kind::TooLong { len, max }))
    }

    /// Measures one level deeper.
    ///
    /// # Errors
    /// [`DepthExceeded`](Kind::DepthExceeded), and what `f` returns.
    #[inline]
    pub fn nested(
        &mut self,
        f: impl FnOnce(&mut Self) -> Result<(), EncodeError>,
    ) -> Result<(), EncodeError> {
        let Some(left) = self.depth.checked_sub(1) else {
            return Err(EncodeError::new(Kind::DepthExceeded { limit: DEPTH }));
        };
        self.depth = left;
        f(self)?;
        self.depth = left.saturating_add(1);
        Ok(())
    }

    /// All bytes, inline and shared.
    #[inline]
    pub fn total(&self) -> usize {
        self.inline().saturating_add(self.shared)
    }

    /// Bytes that are copied into the buffer.
    #[inline]
    pub fn inline(&self) -> usize {
        match self.over {
            false => self.inline,
            true => usize::MAX,
        }
    }
}

impl Default for Size {
    fn default() -> Self {
        Self::new()
    }
}

/// Fills exactly the bytes that were measured.
///
/// Writing more than was measured is a defect, which debug builds report; no byte outside the
/// measured ones is written. A peer cannot cause it.
#[derive(Debug)]
pub struct Writer<'a> {
    pub(crate) rest: &'a mut [u8],
    /// Where `rest` ends, counted as the queue counts its head.
    pub(crate) end: usize,
    pub(crate) cuts: Option<&'a mut VecDeque<Cut>>,
}

/// Shared data that stands in the stream after `at` bytes of the head.
#[derive(Debug)]
pub(crate) struct Cut {
    pub(crate) at: usize,
    pub(crate) data: Bytes,
}

#[cold]
fn overran() {
    debug_assert!(false, "more is written than was measured");
}

impl<'a> Writer<'a> {
    /// A writer over `buffer`, in which everything is copied.
    #[inline]
    pub fn new(buffer: &'a mut [u8]) -> Self {
        Self {
            rest: buffer,
            end: 0,
            cuts: None,
        }
    }

    /// Whether exactly all bytes were written.
    #[inline]
    pub fn is_full(&self) -> bool {
        self.rest.is_empty()
    }

    /// The next `n` bytes, to be filled.
    #[inline]
    fn take(&mut self, n: usize) -> &mut [u8] {
        let rest = std::mem::take(&mut self.rest);
        match rest.split_at_mut_checked(n) {
            Some((head, tail)) => {
                self.rest = tail;
                head
            }
            None => {
                overran();
                &mut []
            }
        }
    }

    /// Exactly these bytes.
    #[inline]
    pub fn array<const N: usize>(&mut self, bytes: [u8; N]) {
        let rest = std::mem::take(&mut self.rest);
        match rest.split_first_chunk_mut::<N>() {
            Some((head, tail)) => {
                *head = bytes;
                self.rest = tail;
            }
            None => overran(),
        }
    }

    /// Exactly these bytes.
    #[inline]
    pub fn slice(&mut self, bytes: &[u8]) {
        copy(self.take(bytes.len()), bytes);
    }

    /// The next `N` bytes as a writer of their own, whose bounds the optimiser can see.
    #[inline]
    pub fn block<const N: usize>(&mut self) -> Writer<'a> {
        let rest = std::mem::take(&mut self.rest);
        match rest.split_first_chunk_mut::<N>() {
            Some((head, tail)) => {
                self.rest = tail;
                Writer {
                    rest: head,
                    end: 0,
                    cuts: None,
                }
            }
            None => {
                overran();
                Writer {
                    rest: &mut [],
                    end: 0,
                    cuts: None,
                }
            }
        }
    }

    /// An unsigned integer.
    #[inline]
    pub fn u32(&mut self, value: u32) {
        self.array(value.to_be_bytes());
    }

    /// A signed integer.
    #[inline]
    pub fn i32(&mut self, value: i32) {
        self.array(value.to_be_bytes());
    }

    /// An unsigned hyper integer.
    #[inline]
    pub fn u64(&mut self, value: u64) {
        self.array(value.to_be_bytes());
    }

    /// A hyper integer.
    #[inline]
    pub fn i64(&mut self, value: i64) {
        self.array(value.to_be_bytes());
    }

    /// A single-precision floating-point number, bit for bit.
    #[inline]
    pub fn f32(&mut self, value: f32) {
        self.u32(value.to_bits());
    }

    /// A double-precision floating-point number, bit for bit.
    #[inline]
    pub fn f64(&mut self, value: f64) {
        self.u64(value.to_bits());
    }

    /// A boolean.
    #[inline]
    pub fn bool(&mut self, value: bool) {
        self.u32(u32::from(value));
    }

    /// A count, as [`Size::length`] measured it.
    #[inline]
    pub fn length(&mut self, len: usize) {
        self.u32(u32::try_from(len).unwrap_or(u32::MAX));
    }

    /// `count` words of `N` bytes each, in one run.
    #[inline]
    pub fn words<const N: usize>(&mut self, words: impl ExactSizeIterator<Item = [u8; N]>) {
        let run = self.take(words.len().saturating_mul(N));
        loop_over(
            run.len(),
            #[inline(always)]
            || {
                for (place, word) in run.as_chunks_mut::<N>().0.iter_mut().zip(words) {
                    *place = word;
                }
            },
        );
    }

    /// The zeros after `len` bytes of data.
    #[inline]
    fn padding(&mut self, len: usize) {
        // req: xdr-4506-3-padding
        self.take(pad_len(len)).fill(0);
    }

    /// Fixed-length opaque data.
    #[inline]
    pub fn opaque_fixed(&mut self, data: &[u8]) {
        let run = self.take(padded(data.len()));
        if let Some(last) = run.last_chunk_mut::<4>() {
            *last = [0; 4];
        }
        copy(run.get_mut(..data.len()).unwrap_or_default(), data);
    }

    /// Variable-length opaque data.
    #[inline]
    pub fn opaque_var(&mut self, data: &[u8]) {
        self.length(data.len());
        self.opaque_fixed(data);
    }

    /// Variable-length opaque data of at most 15 bytes: its length, its bytes, and zeros behind
    /// them.
    ///
    /// All of them are written where there is room, and what follows is written over those that
    /// do not count: that takes no branches, and three stores.
    #[inline(always)]
    pub(crate) fn opaque_short(&mut self, short: &[u8; 16]) {
        let [len, data @ ..] = short;
        let count = usize::from(*len & 15);
        let rest = std::mem::take(&mut self.rest);
        // The optimiser sees that no count leads out of 32 bytes.
        let Some(room) = rest.first_chunk_mut::<32>() else {
            self.rest = rest;
            return self.opaque_var(data.get(..count).unwrap_or_default());
        };
        let (Some(front), Some(back)) = (data.first_chunk(), short.last_chunk()) else {
            return;
        };
        let mut w = Writer::new(room);
        w.length(count);
        w.array::<8>(*front);
        // The last seven, and a zero.
        w.array((u64::from_le_bytes(*back) >> 8).to_le_bytes());
        // Four bytes of count, and the next multiple of four.
        let taken = count.saturating_add(7) & !3;
        self.rest = rest.get_mut(taken..).unwrap_or_default();
    }

    /// Variable-length opaque data; large data is shared, not copied.
    #[inline]
    pub fn bytes_var(&mut self, data: &Bytes) {
        match &mut self.cuts {
            Some(_) if data.len() >= SHARE_FROM => self.share(data),
            _ => self.opaque_var(data),
        }
    }

    /// Variable-length opaque data that stays where it lies.
    fn share(&mut self, data: &Bytes) {
        self.length(data.len());
        self.cut(data);
        self.padding(data.len());
    }

    /// Bytes that are encoded already; large ones are shared, not copied.
    #[inline]
    pub fn raw_bytes(&mut self, data: &Bytes) {
        match &self.cuts {
            Some(_) if data.len() >= SHARE_FROM => self.cut(data),
            _ => self.slice(data),
        }
    }

    /// Notes that `data` stands here in the stream.
    fn cut(&mut self, data: &Bytes) {
        let at = self.end.wrapping_sub(self.rest.len());
        if let Some(cuts) = &mut self.cuts {
            cuts.push_back(Cut {
                at,
                data: data.clone(),
            });
        }
    }
}
