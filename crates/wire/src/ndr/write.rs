//! The writer of NDR and NDR64 in either byte order.
//!
//! Read first: [C706] sections 14.2 and 14.3.10 (alignment, referent identifiers). One pass over
//! a value: bytes are appended, and a value that the interface does not allow stops it. What a
//! value is made of stands in the files beside.
//!
//! [C706]: https://pubs.opengroup.org/onlinepubs/9629399/chap14.htm

use std::collections::BTreeMap;

use crate::cursor::copy;
use crate::error::{EncodeError, EncodeErrorKind as Kind};

use super::syntax::{Align, Mode, Order, Syntax};

/// Deepest nesting of pointers that is written, in levels.
const DEPTH: u32 = 1024;

/// The first referent identifier, as deployed peers have it.
pub(super) const FIRST_REFERENT: u32 = 0x0002_0000;

/// How much memory is cleared beyond what is needed, at least and at most.
const LEAST: usize = 64;
const MOST: usize = 512;

/// From how many bytes on it is worth not to clear memory first.
pub(super) const LARGE: usize = 256;

/// Positions that the first walk over a value keeps for the second, in order. What a pointer
/// points at has its own.
#[derive(Debug, Default)]
pub(super) struct Kept {
    all: Vec<usize>,
    next: usize,
}

impl Kept {
    pub(super) fn push_back(&mut self, position: usize) {
        self.all.push(position);
    }

    pub(super) fn pop_front(&mut self) -> Option<usize> {
        let position = *self.all.get(self.next)?;
        self.next = self.next.saturating_add(1);
        Some(position)
    }

    /// Begins with none; what there was comes back.
    #[inline]
    pub(super) fn enter(&mut self) -> Outer {
        let outer = Outer {
            next: self.next,
            len: self.all.len(),
        };
        self.next = outer.len;
        outer
    }

    /// Goes back to what there was.
    #[inline]
    pub(super) fn leave(&mut self, outer: Outer) {
        self.all.truncate(outer.len);
        self.next = outer.next;
    }
}

/// Where the enclosing positions are.
#[derive(Clone, Copy, Debug)]
pub(super) struct Outer {
    next: usize,
    len: usize,
}

/// A growing stub: the bytes of a call's parameters.
///
/// Positions, and with them alignment, count from where the stub begins.
#[derive(Debug)]
pub struct Writer {
    /// What is written, and behind it zeros: memory is cleared in large pieces, and alignment is
    /// nothing but going on.
    bytes: Vec<u8>,
    /// Where the stub begins in `bytes`.
    origin: usize,
    /// Where it ends.
    end: usize,
    mode: Mode,
    depth: u32,
    next_referent: u32,
    pub(super) full: BTreeMap<u32, Label>,
    /// Positions that the first walk keeps for the second, in order.
    pub(super) offsets: Kept,
    /// Where offsets of relative pointers count from.
    pub(super) base: usize,
}

/// A label of full pointers: its identifier on the wire, and whether its value is written.
#[derive(Clone, Copy, Debug)]
pub(super) struct Label {
    pub(super) id: u32,
    pub(super) written: bool,
}

impl Writer {
    /// A writer of a stub on its own.
    pub fn new(syntax: Syntax, order: Order) -> Self {
        Self::append_to(Vec::new(), syntax, order)
    }

    /// A writer of a stub behind what `bytes` already holds.
    pub fn append_to(bytes: Vec<u8>, syntax: Syntax, order: Order) -> Self {
        Self {
            origin: bytes.len(),
            end: bytes.len(),
            bytes,
            mode: Mode::new(syntax, order),
            depth: DEPTH,
            next_referent: FIRST_REFERENT,
            full: BTreeMap::new(),
            offsets: Kept::default(),
            base: 0,
        }
    }

    /// All bytes, those before the stub included.
    pub fn into_bytes(mut self) -> Vec<u8> {
        self.bytes.truncate(self.end);
        self.bytes
    }

    /// The bytes of the stub.
    pub fn stub(&self) -> &[u8] {
        self.bytes.get(self.origin..self.end).unwrap_or_default()
    }

    /// Bytes of the stub so far.
    #[inline]
    pub fn position(&self) -> usize {
        self.end.wrapping_sub(self.origin)
    }

    /// Syntax, order and packing.
    #[inline]
    pub fn mode(&self) -> Mode {
        self.mode
    }

    /// Writes a part in another mode.
    ///
    /// # Errors
    /// What `f` returns.
    pub fn with_mode(
        &mut self,
        mode: Mode,
        f: impl FnOnce(&mut Self) -> Result<(), EncodeError>,
    ) -> Result<(), EncodeError> {
        let before = std::mem::replace(&mut self.mode, mode);
        let result = f(self);
        self.mode = before;
        result
    }

    /// Takes memory for `more` bytes at once.
    #[inline]
    pub fn reserve(&mut self, more: usize) {
        let free = self.bytes.len().saturating_sub(self.end);
        self.bytes.reserve(more.saturating_sub(free));
    }

    /// Writes zeros up to the alignment.
    #[inline]
    pub fn align(&mut self, align: Align) {
        // req: c706-14.2
        let gap = align.gap(self.mode, self.position());
        self.zeros(gap);
    }

    /// Writes `n` zeros.
    #[inline]
    pub fn zeros(&mut self, n: usize) {
        self.extend_to(self.end.saturating_add(n));
    }

    /// Writes zeros up to the alignment in NDR64; nothing in NDR.
    ///
    /// Structures and arrays of NDR64 end at their alignment (MS-RPCE section 2.2.5.3.4.1).
    #[inline]
    pub fn trailer(&mut self, align: Align) {
        if self.mode.is_ndr64() {
            self.align(align);
        }
    }

    /// Writes bytes as they are.
    #[inline]
    pub fn slice(&mut self, bytes: &[u8]) {
        if bytes.len() < LARGE {
            return copy(self.block(bytes.len()), bytes);
        }
        // Without clearing first what is written at once.
        self.bytes.truncate(self.end);
        self.bytes.extend_from_slice(bytes);
        self.end = self.bytes.len();
    }

    /// Writes a count, an offset or a pointer: 4 bytes in NDR, 8 in NDR64.
    ///
    /// # Errors
    /// [`OutOfRange`](Kind::OutOfRange) if it does not fit.
    #[inline]
    pub fn wide(&mut self, value: u64) -> Result<(), EncodeError> {
        if self.mode.is_ndr64() {
            self.u64(value);
            return Ok(());
        }
        let narrow =
            u32::try_from(value).map_err(|_| out_of_range(value.into(), 0, u32::MAX.into()))?;
        self.u32(narrow);
        Ok(())
    }

    /// Writes the number of something.
    ///
    /// # Errors
    /// As [`wide`](Self::wide).
    #[inline]
    pub fn count(&mut self, len: usize) -> Result<(), EncodeError> {
        self.wide(u64::try_from(len).unwrap_or(u64::MAX))
    }

    /// Writes a fresh referent identifier where a pointer lies, or zero for none.
    ///
    /// # Errors
    /// [`TooLarge`](Kind::TooLarge) when all identifiers are used.
    #[inline]
    pub fn referent(&mut self, present: bool) -> Result<(), EncodeError> {
        let id = match present {
            true => self.fresh_referent()?,
            false => 0,
        };
        self.wide(id.into())
    }

    pub(super) fn fresh_referent(&mut self) -> Result<u32, EncodeError> {
        let id = self.next_referent;
        let next = id.checked_add(4);
        self.next_referent = next.ok_or_else(|| EncodeError::new(Kind::TooLarge))?;
        Ok(id)
    }

    /// Overwrites a number written earlier, at a position of the stub.
    pub(super) fn patch_u32(&mut self, position: usize, value: u32) {
        let bytes = match self.mode.order {
            Order::Little => value.to_le_bytes(),
            Order::Big => value.to_be_bytes(),
        };
        self.patch(position, &bytes);
    }

    /// As [`patch_u32`](Self::patch_u32).
    pub(super) fn patch_u16(&mut self, position: usize, value: u16) {
        let bytes = match self.mode.order {
            Order::Little => value.to_le_bytes(),
            Order::Big => value.to_be_bytes(),
        };
        self.patch(position, &bytes);
    }

    fn patch(&mut self, position: usize, bytes: &[u8]) {
        let start = self.origin.saturating_add(position);
        let end = start.saturating_add(bytes.len());
        if let Some(place) = self.bytes.get_mut(start..end) {
            place.copy_from_slice(bytes);
        }
    }

    /// `len` more bytes, zero, to be filled in.
    #[inline]
    pub(super) fn block(&mut self, len: usize) -> &mut [u8] {
        let start = self.end;
        self.extend_to(start.saturating_add(len));
        self.bytes.get_mut(start..self.end).unwrap_or_default()
    }

    /// Goes on to this place; what is passed over is zero.
    #[inline]
    fn extend_to(&mut self, end: usize) {
        if end > self.bytes.len() {
            self.grow(end);
        }
        self.end = end;
    }

    #[cold]
    #[inline(never)]
    fn grow(&mut self, needed: usize) {
        // Not in proportion to all there is: large pieces take away what was cleared behind them.
        let more = (needed / 4).clamp(LEAST, MOST);
        self.bytes.resize(needed.saturating_add(more), 0);
    }

    /// A number, aligned.
    #[inline]
    fn word<const N: usize>(&mut self, align: Align, bytes: [u8; N]) {
        let start = self
            .end
            .saturating_add(align.gap(self.mode, self.position()));
        self.extend_to(start.saturating_add(N));
        let place = self.bytes.get_mut(start..self.end);
        if let Some(place) = place.and_then(|place| place.first_chunk_mut::<N>()) {
            *place = bytes;
        }
    }

    /// Writes one level deeper: what a pointer points at, with all that it points at itself.
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
        let outer = self.offsets.enter();
        let result = f(self);
        self.offsets.leave(outer);
        self.depth = left.saturating_add(1);
        result
    }
}

/// An error that says that a number does not fit.
#[cold]
pub(super) fn out_of_range(value: i128, min: i128, max: i128) -> EncodeError {
    EncodeError::new(Kind::OutOfRange { value, min, max })
}

/// The words of each number: aligned to its own size, in the mode's order.
macro_rules! numbers {
    ($($name:ident: $type:ty, $align:ident;)*) => {
        impl Writer {$(
            #[doc = concat!("Writes an aligned `", stringify!($type), "`.")]
            #[inline]
            pub fn $name(&mut self, value: $type) {
                let bytes = match self.mode.order {
                    Order::Little => value.to_le_bytes(),
                    Order::Big => value.to_be_bytes(),
                };
                self.word(Align::$align, bytes);
            }
        )*}
    };
}

numbers! {
    u8: u8, A1;
    i8: i8, A1;
    u16: u16, A2;
    i16: i16, A2;
    u32: u32, A4;
    i32: i32, A4;
    u64: u64, A8;
    i64: i64, A8;
    f32: f32, A4;
    f64: f64, A8;
}

#[cfg(test)]
#[allow(clippy::arithmetic_side_effects, clippy::as_conversions)]
mod tests {
    use super::*;

    #[test]
    fn small_and_large_pieces_leave_zeros_between_them_and_nothing_behind() {
        // Behind something that was there, and in memory that holds other things.
        let mut memory = vec![0xee; 4096];
        memory.truncate(5);
        let mut w = Writer::append_to(memory, Syntax::Ndr, Order::Little);
        let mut model: Vec<u8> = Vec::new();
        for round in 0..200_usize {
            let piece = vec![round as u8 | 1; round * 7 % 601];
            w.slice(&piece);
            model.extend(&piece);
            w.u32(0x0403_0201);
            model.resize(model.len().next_multiple_of(4), 0);
            model.extend([1, 2, 3, 4]);
            w.u8(9);
            model.push(9);
            w.u64(u64::MAX);
            model.resize(model.len().next_multiple_of(8), 0);
            model.extend([0xff; 8]);
            w.zeros(round % 3);
            model.resize(model.len() + round % 3, 0);
            assert_eq!((w.stub(), w.position()), (&model[..], model.len()));
        }
        let bytes = w.into_bytes();
        assert_eq!(bytes.split_at(5), (&[0xee; 5][..], &model[..]));
    }

    #[test]
    fn each_level_keeps_positions_of_its_own() {
        let mut kept = Kept::default();
        kept.push_back(1);
        kept.push_back(2);
        assert_eq!(kept.pop_front(), Some(1));
        let outer = kept.enter();
        assert_eq!(kept.pop_front(), None);
        kept.push_back(3);
        kept.push_back(4);
        assert_eq!(kept.pop_front(), Some(3));
        kept.leave(outer);
        assert_eq!((kept.pop_front(), kept.pop_front()), (Some(2), None));
    }
}
