//! Numbers whose wire form is not that of their Rust type, and the arithmetic of expressions.
//!
//! Read first: MS-RPCE section 2.2.4.1.2 (`__int3264`). The others are of the Samba project's IDL:
//! its headers say how they lie. Expressions of `size_is` and the like are computed here on 64
//! bits and never panic: a zero divisor gives zero.

use super::array::ANY;
use super::read::Reader;
use super::shape::Shape;
use super::syntax::Align;
use super::value::{Put, Take};
use super::write::{Writer, out_of_range};
use crate::error::{DecodeErrorKind, EncodeError};

/// Shapes of numbers: name, Rust type, alignment, fewest bytes, how to write and to read.
macro_rules! shapes {
    ($($(#[$doc:meta])* $name:ident($type:ty) $align:expr, $min:literal, $put:expr, $take:expr;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, Debug)]
        pub struct $name;

        impl Shape<$type> for $name {
            const ALIGN: Align = $align;
            const MIN: usize = $min;
            #[inline]
            fn put(self, it: &$type, w: &mut Writer) -> Put {
                let put: fn(&$type, &mut Writer) -> Put = $put;
                put(it, w)
            }
            #[inline]
            fn take(self, it: &mut $type, r: &mut Reader<'_>) -> Take {
                let take: fn(&mut $type, &mut Reader<'_>) -> Take = $take;
                take(it, r)
            }
        }
    )*};
}

shapes! {
    /// `__int3264`: 4 bytes in NDR, sign extended, 8 in NDR64.
    Int3264(i64) Align::WIDE, 4,
        |it, w| match w.mode().is_ndr64() {
            true => { w.i64(*it); Ok(()) }
            false => {
                let narrow = i32::try_from(*it).map_err(|_| over(*it, i32::MIN, i32::MAX))?;
                w.i32(narrow);
                Ok(())
            }
        },
        |it, r| {
            *it = match r.mode().is_ndr64() { true => r.i64()?, false => r.i32()?.into() };
            Ok(())
        };
    /// `unsigned __int3264`: 4 bytes in NDR, 8 in NDR64.
    UInt3264(u64) Align::WIDE, 4,
        |it, w| w.wide(*it),
        |it, r| { *it = r.wide()?; Ok(()) };
    /// pidl's `uint1632`: 2 bytes in NDR, 4 in NDR64, as an enumeration.
    UInt1632(u16) Align::ENUM, 2,
        |it, w| { w.enum16(*it); Ok(()) },
        |it, r| { *it = r.enum16()?; Ok(()) };
    /// pidl's `dlong`: 8 bytes that are aligned to 4.
    DLong(i64) Align::A4, 8,
        |it, w| { put_halves(it.cast_unsigned(), w); Ok(()) },
        |it, r| { *it = take_halves(r)?.cast_signed(); Ok(()) };
    /// pidl's `udlong` and `NTTIME`: 8 bytes that are aligned to 4, the low half first.
    UDLong(u64) Align::A4, 8,
        |it, w| { put_halves(*it, w); Ok(()) },
        |it, r| { *it = take_halves(r)?; Ok(()) };
    /// pidl's `udlongr`: as [`UDLong`], the high half first.
    UDLongR(u64) Align::A4, 8,
        |it, w| { put_halves(it.rotate_left(32), w); Ok(()) },
        |it, r| { *it = take_halves(r)?.rotate_left(32); Ok(()) };
    /// pidl's `ipv4address`: 4 bytes as they are, aligned to 4.
    Ipv4([u8; 4]) Align::A4, 4,
        |it, w| { w.align(Align::A4); w.slice(it); Ok(()) },
        |it, r| { r.align(Align::A4)?; *it = *r.array()?; Ok(()) };
}

/// The low half, then the high half, each in the mode's order.
fn put_halves(value: u64, w: &mut Writer) {
    let (low, high) = (value & 0xffff_ffff, value >> 32);
    for half in [low, high] {
        w.u32(u32::try_from(half).unwrap_or_default());
    }
}

fn take_halves(r: &mut Reader<'_>) -> Result<u64, crate::error::DecodeError> {
    let low = u64::from(r.u32()?);
    Ok(low | (u64::from(r.u32()?) << 32))
}

fn over(value: i64, min: i32, max: i32) -> EncodeError {
    out_of_range(value.into(), min.into(), max.into())
}

/// A constant of the interface on the wire: pidl's `value` with what it computes to. What arrives
/// is kept as it is.
#[derive(Clone, Copy, Debug)]
pub struct Computed<S>(pub i64, pub S);

impl<T: super::value::Tag, S: Shape<T>> Shape<T> for Computed<S> {
    const ALIGN: Align = S::ALIGN;
    const MIN: usize = S::MIN;
    fn put(self, it: &T, w: &mut Writer) -> Put {
        match T::from_int(self.0) {
            _ if self.0 == ANY => self.1.put(it, w),
            Some(value) => self.1.put(&value, w),
            None => Err(out_of_range(self.0.into(), 0, 0)),
        }
    }
    fn take(self, it: &mut T, r: &mut Reader<'_>) -> Take {
        self.1.take(it, r)
    }
}

/// The known value `index`, or [`ANY`].
pub fn known(values: &[i64], index: usize) -> i64 {
    values.get(index).copied().unwrap_or(ANY)
}

/// `c ? x : y`.
pub fn either(c: i64, x: i64, y: i64) -> i64 {
    if c != 0 { x } else { y }
}

/// `a / b`, and 0 if `b` is 0.
pub fn div(a: i64, b: i64) -> i64 {
    a.checked_div(b).unwrap_or(0)
}

/// `a % b`, and 0 if `b` is 0.
pub fn rem(a: i64, b: i64) -> i64 {
    a.checked_rem(b).unwrap_or(0)
}

/// `a << b`, and 0 if nothing is left.
pub fn shl(a: i64, b: i64) -> i64 {
    u32::try_from(b)
        .ok()
        .and_then(|b| a.checked_shl(b))
        .unwrap_or(0)
}

/// `a >> b`, and 0 if nothing is left.
pub fn shr(a: i64, b: i64) -> i64 {
    u32::try_from(b)
        .ok()
        .and_then(|b| a.checked_shr(b))
        .unwrap_or(0)
}

/// `a` cut to so many bits, 1 to 64, and sign extended if the type is signed.
pub fn cut(a: i64, bits: u32, signed: bool) -> i64 {
    let gone = 64_u32.saturating_sub(bits).min(63);
    match signed {
        true => shr(shl(a, gone.into()), gone.into()),
        false => a
            .cast_unsigned()
            .wrapping_shl(gone)
            .wrapping_shr(gone)
            .cast_signed(),
    }
}

/// pidl's `strlen_m` and its like: nothing behind a null pointer, one more for the terminator, and
/// none for an empty text either unless `empty`.
pub fn text_len(len: Option<usize>, terminated: bool, empty: bool) -> i64 {
    match len {
        None => 0,
        Some(0) if terminated && !empty => 0,
        Some(len) => {
            let len = i64::try_from(len).unwrap_or(i64::MAX);
            len.saturating_add(i64::from(terminated))
        }
    }
}

/// The element that an expression names, if there is one.
pub fn element<T>(items: &[T], index: i64) -> Option<&T> {
    items.get(usize::try_from(index).ok()?)
}

impl Reader<'_> {
    /// Checks what could not be checked while its parts were read.
    ///
    /// # Errors
    /// [`BadCount`](DecodeErrorKind::BadCount), [`BadSwitch`](DecodeErrorKind::BadSwitch).
    pub fn check(&self, result: Result<(), DecodeErrorKind>) -> Take {
        result.map_err(|kind| self.error(kind))
    }
}
