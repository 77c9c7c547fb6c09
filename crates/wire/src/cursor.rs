//! The bounded reader over bytes that a stranger sent.
//!
//! Read first: [RFC 4506] sections 3 and 4 (block size, the data types). This file knows the
//! four-byte unit, padding, and the limits; what a value is made of stands in
//! [`xdr`](crate::xdr).
//!
//! Invariants: nothing here panics or loops on any input; a count is compared with what is left
//! before memory is taken for it; depth and memory have budgets.
//!
//! [RFC 4506]: https://www.rfc-editor.org/rfc/rfc4506

use bytes::Bytes;

use crate::error::{DecodeError, DecodeErrorKind as Kind};

/// How padding bytes are judged.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Padding {
    /// Any bytes may stand in the padding, as deployed C peers allow. The default.
    #[default]
    Compatible,
    /// Padding must be zero, as [RFC 4506] section 3 has senders write it.
    ///
    /// [RFC 4506]: https://www.rfc-editor.org/rfc/rfc4506#section-3
    Strict,
}

/// What decoding may cost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Deepest nesting of recursive types, in levels. Default 64. Linked lists do not count:
    /// they are read in a loop.
    pub depth: u32,
    /// Largest count of any one string, opaque or array, whatever the interface declares.
    /// Default `u32::MAX`: the bytes that are present are the real bound.
    pub length: u32,
    /// Memory that the decoded value may take, in bytes, borrowed bytes not counted.
    /// Default 64 MiB.
    pub memory: usize,
    /// How padding is judged. Default [`Padding::Compatible`].
    pub padding: Padding,
}

impl Limits {
    /// The default limits.
    pub const DEFAULT: Self = Self {
        depth: 64,
        length: u32::MAX,
        memory: 64 << 20,
        padding: Padding::Compatible,
    };
}

impl Default for Limits {
    fn default() -> Self {
        Self::DEFAULT
    }
}

/// A cursor over received bytes that cannot read, count, recurse or allocate past its limits.
///
/// Made from a slice, or from a [`Bytes`] whose parts can then be handed out without a copy.
#[derive(Debug)]
pub struct Reader<'a> {
    rest: &'a [u8],
    /// Offset of the end of `rest`, so that a position costs nothing to keep.
    end: usize,
    shared: Option<&'a Bytes>,
    depth: u32,
    memory: usize,
    limits: Limits,
}

impl<'a> Reader<'a> {
    /// A reader over `bytes` with the default limits.
    #[inline]
    pub fn new(bytes: &'a [u8]) -> Self {
        Self::with_limits(bytes, Limits::DEFAULT)
    }

    /// A reader over `bytes` with `limits`.
    #[inline]
    pub fn with_limits(bytes: &'a [u8], limits: Limits) -> Self {
        Self {
            rest: bytes,
            end: bytes.len(),
            shared: None,
            depth: limits.depth,
            memory: limits.memory,
            limits,
        }
    }

    /// A reader over `part`, which lies inside `whole`: [`bytes_var`](Self::bytes_var) hands out
    /// slices of `whole` instead of copies. If `part` lies elsewhere, it copies.
    #[inline]
    pub fn shared(whole: &'a Bytes, part: &'a [u8], limits: Limits) -> Self {
        Self {
            shared: Some(whole),
            ..Self::with_limits(part, limits)
        }
    }

    /// Bytes not read yet.
    #[inline]
    pub fn remaining(&self) -> usize {
        self.rest.len()
    }

    /// Bytes read so far.
    #[inline]
    pub fn position(&self) -> usize {
        self.end.wrapping_sub(self.rest.len())
    }

    /// What has not been read yet.
    #[inline]
    pub fn rest(&self) -> &'a [u8] {
        self.rest
    }

    /// The limits this reader keeps.
    #[inline]
    pub fn limits(&self) -> &Limits {
        &self.limits
    }

    /// An error of `kind` at the current position.
    // Always: were a call given this reader's address, its fields could not live in registers.
    #[inline(always)]
    pub fn error(&self, kind: Kind) -> DecodeError {
        DecodeError::new(kind, self.position())
    }

    #[inline(always)]
    fn truncated(&self, needed: usize) -> DecodeError {
        truncated(self.position(), needed, self.rest.len())
    }

    /// Says that the value ends here.
    ///
    /// # Errors
    /// [`TrailingBytes`](Kind::TrailingBytes) if bytes are left.
    #[inline]
    pub fn finish(&self) -> Result<(), DecodeError> {
        match self.rest.len() {
            0 => Ok(()),
            n => Err(self.error(Kind::TrailingBytes(n))),
        }
    }

    /// The next `N` bytes, as they are.
    ///
    /// # Errors
    /// [`Truncated`](Kind::Truncated).
    #[inline]
    pub fn array<const N: usize>(&mut self) -> Result<&'a [u8; N], DecodeError> {
        match self.rest.split_first_chunk::<N>() {
            Some((head, rest)) => {
                self.rest = rest;
                Ok(head)
            }
            None => Err(self.truncated(N)),
        }
    }

    /// The next `n` bytes, as they are.
    ///
    /// # Errors
    /// [`Truncated`](Kind::Truncated).
    #[inline]
    pub fn slice(&mut self, n: usize) -> Result<&'a [u8], DecodeError> {
        match self.rest.split_at_checked(n) {
            Some((head, rest)) => {
                self.rest = rest;
                Ok(head)
            }
            None => Err(self.truncated(n)),
        }
    }

    /// The next `N` bytes as a reader of their own.
    ///
    /// One bounds check is made here; the optimiser sees the length and drops the checks of the
    /// fixed-size fields read from it.
    ///
    /// # Errors
    /// [`Truncated`](Kind::Truncated).
    #[inline]
    pub fn block<const N: usize>(&mut self) -> Result<Reader<'a>, DecodeError> {
        let start = self.position();
        let head = self.array::<N>()?;
        Ok(Reader {
            rest: head,
            end: start.wrapping_add(N),
            shared: self.shared,
            depth: self.depth,
            memory: self.memory,
            limits: self.limits,
        })
    }

    /// An unsigned integer, 4 bytes.
    ///
    /// # Errors
    /// [`Truncated`](Kind::Truncated).
    #[inline]
    pub fn u32(&mut self) -> Result<u32, DecodeError> {
        Ok(u32::from_be_bytes(*self.array()?))
    }

    /// A signed integer, 4 bytes.
    ///
    /// # Errors
    /// [`Truncated`](Kind::Truncated).
    #[inline]
    pub fn i32(&mut self) -> Result<i32, DecodeError> {
        Ok(i32::from_be_bytes(*self.array()?))
    }

    /// An unsigned hyper integer, 8 bytes.
    ///
    /// # Errors
    /// [`Truncated`](Kind::Truncated).
    #[inline]
    pub fn u64(&mut self) -> Result<u64, DecodeError> {
        Ok(u64::from_be_bytes(*self.array()?))
    }

    /// A hyper integer, 8 bytes.
    ///
    /// # Errors
    /// [`Truncated`](Kind::Truncated).
    #[inline]
    pub fn i64(&mut self) -> Result<i64, DecodeError> {
        Ok(i64::from_be_bytes(*self.array()?))
    }

    /// A single-precision floating-point number, bit for bit.
    ///
    /// # Errors
    /// [`Truncated`](Kind::Truncated).
    #[inline]
    pub fn f32(&mut self) -> Result<f32, DecodeError> {
        Ok(f32::from_bits(self.u32()?))
    }

    /// A double-precision floating-point number, bit for bit.
    ///
    /// # Errors
    /// [`Truncated`](Kind::Truncated).
    #[inline]
    pub fn f64(&mut self) -> Result<f64, DecodeError> {
        Ok(f64::from_bits(self.u64()?))
    }

    /// A boolean: 0 or 1, nothing else.
    ///
    /// # Errors
    /// [`Truncated`](Kind::Truncated), [`BadBool`](Kind::BadBool).
    #[inline]
    pub fn bool(&mut self) -> Result<bool, DecodeError> {
        // req: xdr-4506-4.4-bool
        match self.u32()? {
            0 => Ok(false),
            1 => Ok(true),
            other => Err(self.error(Kind::BadBool(other))),
        }
    }

    /// A count, checked against the declared `max` and [`Limits::length`].
    ///
    /// # Errors
    /// [`Truncated`](Kind::Truncated), [`TooLong`](Kind::TooLong).
    #[inline]
    pub fn length(&mut self, max: u32) -> Result<usize, DecodeError> {
        let max = max.min(self.limits.length);
        let len = self.u32()?;
        match usize::try_from(len) {
            Ok(len_here) if len <= max => Ok(len_here),
            _ => Err(too_long(self.position(), len, max)),
        }
    }

    /// Skips the padding after `len` bytes.
    #[inline]
    fn padding(&mut self, len: usize) -> Result<(), DecodeError> {
        let padding = self.slice(pad_len(len))?;
        if self.limits.padding == Padding::Strict {
            must_be_zero(self.position(), padding)?;
        }
        Ok(())
    }

    /// Fixed-length opaque data of `N` bytes, borrowed.
    ///
    /// # Errors
    /// [`Truncated`](Kind::Truncated), [`NonZeroPadding`](Kind::NonZeroPadding).
    #[inline]
    pub fn opaque_fixed<const N: usize>(&mut self) -> Result<&'a [u8; N], DecodeError> {
        let data = self.array::<N>()?;
        self.padding(N)?;
        Ok(data)
    }

    /// Variable-length opaque data of at most `max` bytes, borrowed.
    ///
    /// # Errors
    /// [`Truncated`](Kind::Truncated), [`TooLong`](Kind::TooLong),
    /// [`NonZeroPadding`](Kind::NonZeroPadding).
    #[inline]
    pub fn opaque_var(&mut self, max: u32) -> Result<&'a [u8], DecodeError> {
        let len = self.length(max)?;
        let run = self.slice(padded(len))?;
        let (data, padding) = run.split_at_checked(len).unwrap_or((run, &[]));
        if self.limits.padding == Padding::Strict {
            must_be_zero(self.position(), padding)?;
        }
        Ok(data)
    }

    /// Variable-length opaque data of at most `max` bytes, copied into memory of its own.
    ///
    /// # Errors
    /// As [`opaque_var`](Self::opaque_var), and [`BudgetExceeded`](Kind::BudgetExceeded).
    #[inline]
    pub fn opaque_vec(&mut self, max: u32) -> Result<Vec<u8>, DecodeError> {
        let data = self.opaque_var(max)?;
        self.charge(data.len())?;
        Ok(data.to_vec())
    }

    /// Variable-length opaque data of at most `max` bytes: a slice of the shared buffer if this
    /// reader has one, otherwise a copy.
    ///
    /// # Errors
    /// As [`opaque_vec`](Self::opaque_vec).
    #[inline]
    pub fn bytes_var(&mut self, max: u32) -> Result<Bytes, DecodeError> {
        let data = self.opaque_var(max)?;
        self.hand_out(data)
    }

    /// `data`, which was just read, as a slice of the shared buffer if there is one, otherwise as
    /// a copy.
    #[inline]
    fn hand_out(&mut self, data: &[u8]) -> Result<Bytes, DecodeError> {
        if let Some(whole) = self.shared
            && let Some(at) = offset(whole, data)
        {
            return Ok(whole.slice(at..at.saturating_add(data.len())));
        }
        self.charge(data.len())?;
        Ok(Bytes::copy_from_slice(data))
    }

    /// Everything that has not been read yet, as it is: a slice of the shared buffer if there is
    /// one, otherwise a copy.
    ///
    /// # Errors
    /// [`BudgetExceeded`](Kind::BudgetExceeded).
    pub fn take_rest(&mut self) -> Result<Bytes, DecodeError> {
        self.bytes(self.rest.len())
    }

    /// The next `n` bytes, as they are: a slice of the shared buffer if there is one, otherwise
    /// a copy.
    ///
    /// # Errors
    /// [`Truncated`](Kind::Truncated), [`BudgetExceeded`](Kind::BudgetExceeded).
    pub(crate) fn bytes(&mut self, n: usize) -> Result<Bytes, DecodeError> {
        let data = self.slice(n)?;
        self.hand_out(data)
    }

    /// Takes `bytes` from the memory budget.
    ///
    /// # Errors
    /// [`BudgetExceeded`](Kind::BudgetExceeded).
    #[inline]
    pub fn charge(&mut self, bytes: usize) -> Result<(), DecodeError> {
        match self.memory.checked_sub(bytes) {
            Some(left) => {
                self.memory = left;
                Ok(())
            }
            None => Err(self.error(Kind::BudgetExceeded {
                limit: self.limits.memory,
            })),
        }
    }

    /// Decodes one level deeper.
    ///
    /// # Errors
    /// [`DepthExceeded`](Kind::DepthExceeded), and what `f` returns.
    #[inline]
    pub fn nested<T>(
        &mut self,
        f: impl FnOnce(&mut Self) -> Result<T, DecodeError>,
    ) -> Result<T, DecodeError> {
        self.descend()?;
        let value = f(self)?;
        self.ascend();
        Ok(value)
    }

    /// Goes on at `rest`, which ends where these bytes end; returns what was left before.
    #[inline]
    pub(crate) fn seek(&mut self, rest: &'a [u8]) -> &'a [u8] {
        std::mem::replace(&mut self.rest, rest)
    }

    /// A reader of `part`, whose positions count from its start, with what is left of the limits.
    #[inline]
    pub(crate) fn part(&self, part: &'a [u8]) -> Self {
        Self {
            rest: part,
            end: part.len(),
            shared: self.shared,
            depth: self.depth,
            memory: self.memory,
            limits: self.limits,
        }
    }

    /// Takes over what a [`part`](Self::part) has left of the limits.
    #[inline]
    pub(crate) fn settle(&mut self, part: &Self) {
        self.memory = part.memory;
    }

    /// Counts one level down; [`ascend`](Self::ascend) counts it up again.
    #[inline]
    pub(crate) fn descend(&mut self) -> Result<(), DecodeError> {
        let Some(left) = self.depth.checked_sub(1) else {
            return Err(self.error(Kind::DepthExceeded {
                limit: self.limits.depth,
            }));
        };
        self.depth = left;
        Ok(())
    }

    #[inline]
    pub(crate) fn ascend(&mut self) {
        self.depth = self.depth.saturating_add(1);
    }
}

// What is wrong, made aside and from values: a reader whose address no call takes can live in
// registers while a value is read.

#[cold]
#[inline(never)]
fn truncated(position: usize, needed: usize, available: usize) -> DecodeError {
    DecodeError::new(Kind::Truncated { needed, available }, position)
}

#[cold]
#[inline(never)]
fn too_long(position: usize, len: u32, max: u32) -> DecodeError {
    let (len, max) = (len.into(), max.into());
    DecodeError::new(Kind::TooLong { len, max }, position)
}

#[cold]
#[inline(never)]
fn must_be_zero(position: usize, padding: &[u8]) -> Result<(), DecodeError> {
    match padding.iter().any(|byte| *byte != 0) {
        true => Err(DecodeError::new(Kind::NonZeroPadding, position)),
        false => Ok(()),
    }
}

/// Bytes of padding after `len` bytes of data: 0 to 3.
#[inline]
pub const fn pad_len(len: usize) -> usize {
    len.wrapping_neg() & 3
}

/// `len` and its padding. (Lengths near the end of the address space are never present.)
#[inline]
pub(crate) const fn padded(len: usize) -> usize {
    len.saturating_add(3) & !3
}

/// Copies `from` to `to`, which are of one length; otherwise nothing.
///
/// Short data, as most names and handles are, goes as two overlapping words: a call to copy it
/// would take longer than the copy.
#[inline]
pub(crate) fn copy(to: &mut [u8], from: &[u8]) {
    if to.len() != from.len() {
        return;
    }
    if from.len() > 32 {
        to.copy_from_slice(from);
    } else if !(ends::<16>(to, from) || ends::<8>(to, from) || ends::<4>(to, from)) {
        to.iter_mut().zip(from).for_each(|(to, from)| *to = *from);
    }
}

/// Copies the first and the last `N` bytes, if there are `N`.
#[inline]
fn ends<const N: usize>(to: &mut [u8], from: &[u8]) -> bool {
    let (Some(first), Some(last)) = (from.first_chunk::<N>(), from.last_chunk::<N>()) else {
        return false;
    };
    if let Some(to) = to.first_chunk_mut::<N>() {
        *to = *first;
    }
    if let Some(to) = to.last_chunk_mut::<N>() {
        *to = *last;
    }
    true
}

/// Where in `whole` `part` lies, if it does. Compares addresses only; reads nothing through them.
#[inline]
fn offset(whole: &Bytes, part: &[u8]) -> Option<usize> {
    if part.is_empty() {
        return Some(0);
    }
    let at = part.as_ptr().addr().checked_sub(whole.as_ptr().addr())?;
    (part.len() <= whole.len().checked_sub(at)?).then_some(at)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn copies_of_every_short_length() {
        let from: Vec<u8> = (1..=40).collect();
        for len in 0..=from.len() {
            let (source, mut to) = (from.get(..len).unwrap_or_default(), vec![0; len]);
            copy(&mut to, source);
            assert_eq!(to, source);
        }
        let mut other = [0; 3];
        copy(&mut other, &[1, 2, 3, 4]);
        assert_eq!(other, [0; 3]);
    }
}
