//! The bounded reader of NDR and NDR64 in either byte order.
//!
//! Read first: [C706] section 14.2. Beside the limits of the [reader of XDR](crate::Reader) it has fuel:
//! steps that take no bytes, such as elements without a size, are bounded by the bytes present.
//!
//! Invariants: nothing here panics or loops on any input; a count is compared with what is left
//! before memory is taken for it.
//!
//! [C706]: https://pubs.opengroup.org/onlinepubs/9629399/chap14.htm

use std::collections::{BTreeSet, VecDeque};

use bytes::Bytes;

use crate::cursor::{self, Limits};
use crate::error::{DecodeError, DecodeErrorKind as Kind};

use super::syntax::{Align, Mode, Order, Syntax};
use super::write::Kept;

/// Steps that take no bytes, for each byte present.
const FUEL_PER_BYTE: usize = 16;

/// Steps that are always granted.
const FUEL: usize = 1 << 12;

/// A cursor over a received stub that cannot read, count, recurse or allocate past its limits.
///
/// Positions, and with them alignment, count from where the stub begins.
#[derive(Debug)]
pub struct Reader<'a> {
    inner: cursor::Reader<'a>,
    /// All bytes, for relative pointers.
    whole: &'a [u8],
    mode: Mode,
    fuel: usize,
    fuel_limit: usize,
    known: &'a [i64],
    /// Hoisted maximum counts that wait for their array.
    pub(super) counts: VecDeque<u64>,
    /// Offsets that the first walk keeps for the second, in order.
    pub(super) offsets: Kept,
    /// Where offsets of relative pointers count from.
    pub(super) base: usize,
    /// The furthest that a relative pointer was read to.
    furthest: usize,
    /// Full pointers whose value was read.
    pub(super) full: BTreeSet<u32>,
}

impl<'a> Reader<'a> {
    /// A reader over a stub with the default limits.
    pub fn new(bytes: &'a [u8], syntax: Syntax, order: Order) -> Self {
        Self::with_limits(bytes, syntax, order, Limits::DEFAULT)
    }

    /// A reader over a stub with `limits`.
    pub fn with_limits(bytes: &'a [u8], syntax: Syntax, order: Order, limits: Limits) -> Self {
        Self::over(cursor::Reader::with_limits(bytes, limits), syntax, order)
    }

    /// A reader over `part`, which lies inside `whole`: borrowed byte arrays are slices of `whole`.
    pub fn shared(
        whole: &'a Bytes,
        part: &'a [u8],
        syntax: Syntax,
        order: Order,
        limits: Limits,
    ) -> Self {
        Self::over(cursor::Reader::shared(whole, part, limits), syntax, order)
    }

    fn over(inner: cursor::Reader<'a>, syntax: Syntax, order: Order) -> Self {
        let fuel = inner.remaining().saturating_mul(FUEL_PER_BYTE);
        let fuel = fuel.saturating_add(FUEL);
        Self {
            whole: inner.rest(),
            inner,
            offsets: Kept::default(),
            base: 0,
            furthest: 0,
            mode: Mode::new(syntax, order),
            fuel,
            fuel_limit: fuel,
            known: &[],
            counts: VecDeque::new(),
            full: BTreeSet::new(),
        }
    }

    /// The same reader, told what [`known`](Self::known) answers.
    #[must_use]
    pub fn with_known(mut self, known: &'a [i64]) -> Self {
        self.known = known;
        self
    }

    /// Values of a call's in-parameters that expressions over its out-parameters use, in the
    /// order that the generated code gave them.
    pub fn known(&self) -> &'a [i64] {
        self.known
    }

    /// Syntax, order and packing.
    #[inline]
    pub fn mode(&self) -> Mode {
        self.mode
    }

    /// Reads a part in another mode.
    ///
    /// # Errors
    /// What `f` returns.
    pub fn with_mode<T>(
        &mut self,
        mode: Mode,
        f: impl FnOnce(&mut Self) -> Result<T, DecodeError>,
    ) -> Result<T, DecodeError> {
        let before = std::mem::replace(&mut self.mode, mode);
        let result = f(self);
        self.mode = before;
        result
    }

    /// The limits this reader keeps.
    #[inline]
    pub fn limits(&self) -> &Limits {
        self.inner.limits()
    }

    /// Bytes not read yet.
    #[inline]
    pub fn remaining(&self) -> usize {
        self.inner.remaining()
    }

    /// Bytes of the stub read so far.
    #[inline]
    pub fn position(&self) -> usize {
        self.inner.position()
    }

    /// What has not been read yet.
    #[inline]
    pub fn rest(&self) -> &'a [u8] {
        self.inner.rest()
    }

    /// An error of `kind` at the current position.
    #[cold]
    #[inline(never)]
    pub fn error(&self, kind: Kind) -> DecodeError {
        self.inner.error(kind)
    }

    /// Says that the value ends here.
    ///
    /// # Errors
    /// [`TrailingBytes`](Kind::TrailingBytes) if bytes are left.
    pub fn finish(&self) -> Result<(), DecodeError> {
        let read = self.position().max(self.furthest);
        match self.whole.len().saturating_sub(read) {
            0 => Ok(()),
            left => Err(self.error(Kind::TrailingBytes(left))),
        }
    }

    /// Skips to the alignment.
    ///
    /// # Errors
    /// [`Truncated`](Kind::Truncated).
    #[inline]
    pub fn align(&mut self, align: Align) -> Result<(), DecodeError> {
        let gap = align.gap(self.mode, self.position());
        self.inner.slice(gap).map(|_| ())
    }

    /// Skips to the alignment in NDR64; nothing in NDR.
    ///
    /// # Errors
    /// None: see [`skip_to`](Self::skip_to).
    #[inline]
    pub fn trailer(&mut self, align: Align) -> Result<(), DecodeError> {
        match self.mode.is_ndr64() {
            true => self.skip_to(align),
            false => Ok(()),
        }
    }

    /// Skips to the alignment, or to the end if that comes first: what was decoded is whole, and
    /// peers differ in how they end.
    ///
    /// # Errors
    /// None; it returns as [`align`](Self::align) does.
    #[inline]
    pub fn skip_to(&mut self, align: Align) -> Result<(), DecodeError> {
        let gap = align.gap(self.mode, self.position());
        self.inner.slice(gap.min(self.remaining())).map(|_| ())
    }

    /// The next `n` bytes, as they are.
    ///
    /// # Errors
    /// [`Truncated`](Kind::Truncated).
    #[inline]
    pub fn slice(&mut self, n: usize) -> Result<&'a [u8], DecodeError> {
        self.inner.slice(n)
    }

    /// The next `N` bytes, as they are.
    ///
    /// # Errors
    /// [`Truncated`](Kind::Truncated).
    #[inline]
    pub fn array<const N: usize>(&mut self) -> Result<&'a [u8; N], DecodeError> {
        self.inner.array()
    }

    /// The next `n` bytes: a slice of the shared buffer if there is one, otherwise a copy.
    ///
    /// # Errors
    /// [`Truncated`](Kind::Truncated), [`BudgetExceeded`](Kind::BudgetExceeded).
    pub fn bytes(&mut self, n: usize) -> Result<Bytes, DecodeError> {
        self.inner.bytes(n)
    }

    /// A count, an offset or a pointer: 4 bytes in NDR, 8 in NDR64.
    ///
    /// # Errors
    /// [`Truncated`](Kind::Truncated).
    #[inline]
    pub fn wide(&mut self) -> Result<u64, DecodeError> {
        match self.mode.syntax {
            Syntax::Ndr => self.u32().map(u64::from),
            Syntax::Ndr64 => self.u64(),
        }
    }

    /// Whether a pointer points at something: its referent identifier is not zero.
    ///
    /// # Errors
    /// [`Truncated`](Kind::Truncated).
    #[inline]
    pub fn referent(&mut self) -> Result<bool, DecodeError> {
        Ok(self.wide()? != 0)
    }

    /// A count that was read, checked against [`Limits::length`].
    ///
    /// # Errors
    /// [`TooLong`](Kind::TooLong).
    #[inline]
    pub fn length(&self, count: u64) -> Result<usize, DecodeError> {
        let max = u64::from(self.limits().length);
        match usize::try_from(count) {
            Ok(len) if count <= max => Ok(len),
            _ => Err(self.error(Kind::TooLong { len: count, max })),
        }
    }

    /// Checks that `count` elements of at least `least` bytes can be present, and takes their
    /// memory of `each` bytes from the budget; elements without bytes take fuel.
    ///
    /// # Errors
    /// [`Truncated`](Kind::Truncated), [`BudgetExceeded`](Kind::BudgetExceeded),
    /// [`FuelExceeded`](Kind::FuelExceeded).
    #[inline]
    pub fn expect(&mut self, count: usize, least: usize, each: usize) -> Result<(), DecodeError> {
        let needed = count.saturating_mul(least);
        if needed > self.remaining() {
            return Err(self.error(Kind::Truncated {
                needed,
                available: self.remaining(),
            }));
        }
        if least == 0 {
            self.burn(count)?;
        }
        self.charge(count.saturating_mul(each))
    }

    /// Takes `bytes` from the memory budget.
    ///
    /// # Errors
    /// [`BudgetExceeded`](Kind::BudgetExceeded).
    #[inline]
    pub fn charge(&mut self, bytes: usize) -> Result<(), DecodeError> {
        self.inner.charge(bytes)
    }

    /// Takes `steps` from the fuel.
    ///
    /// # Errors
    /// [`FuelExceeded`](Kind::FuelExceeded).
    #[inline]
    pub fn burn(&mut self, steps: usize) -> Result<(), DecodeError> {
        match self.fuel.checked_sub(steps) {
            Some(left) => {
                self.fuel = left;
                Ok(())
            }
            None => Err(self.error(Kind::FuelExceeded {
                limit: self.fuel_limit,
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
        self.inner.descend()?;
        let outer = self.offsets.enter();
        let value = f(self)?;
        self.offsets.leave(outer);
        self.inner.ascend();
        Ok(value)
    }

    /// Reads what lies at an offset from the base of relative pointers, and comes back.
    pub(super) fn elsewhere(
        &mut self,
        offset: usize,
        f: impl FnOnce(&mut Self) -> Result<(), DecodeError>,
    ) -> Result<(), DecodeError> {
        let target = self.base.saturating_add(offset);
        let Some(rest) = self.whole.get(target..) else {
            return Err(self.error(Kind::Invalid("relative pointer leads out of the bytes")));
        };
        let before = self.inner.seek(rest);
        f(self)?;
        self.furthest = self.furthest.max(self.position());
        self.burn(self.position().saturating_sub(target).max(1))?;
        self.inner.seek(before);
        Ok(())
    }

    /// Reads `bytes`, which are a stream of their own, in NDR.
    pub(super) fn within(
        &mut self,
        bytes: &'a [u8],
        order: Order,
        f: impl FnOnce(&mut Self) -> Result<(), DecodeError>,
    ) -> Result<(), DecodeError> {
        let part = self.inner.part(bytes);
        let outer = std::mem::replace(&mut self.inner, part);
        let outer_places = (self.whole, self.base, self.furthest);
        (self.whole, self.base, self.furthest) = (bytes, 0, 0);
        let mode = Mode {
            order,
            ..Mode::new(Syntax::Ndr, order)
        };
        self.with_mode(mode, |r| r.nested(f))?;
        let part = std::mem::replace(&mut self.inner, outer);
        self.inner.settle(&part);
        (self.whole, self.base, self.furthest) = outer_places;
        Ok(())
    }
}

/// The words of each number: aligned to its own size, in the mode's order.
macro_rules! numbers {
    ($($name:ident: $type:ty, $align:ident;)*) => {
        impl Reader<'_> {$(
            #[doc = concat!("An aligned `", stringify!($type), "`.")]
            ///
            /// # Errors
            /// [`Truncated`](Kind::Truncated).
            #[inline]
            pub fn $name(&mut self) -> Result<$type, DecodeError> {
                self.align(Align::$align)?;
                let bytes = *self.inner.array()?;
                Ok(match self.mode.order {
                    Order::Little => <$type>::from_le_bytes(bytes),
                    Order::Big => <$type>::from_be_bytes(bytes),
                })
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
