//! Arrays, optional data and whole argument lists whose parts are no types of their own.
//!
//! A bound like `string name<255>` belongs to the place where it is declared, so an array of such
//! names cannot be read or written through [`Decode`](crate::Decode) and
//! [`Encode`](trait@crate::Encode) of its element type. The functions here are their namesakes in
//! [`xdr`](crate::xdr) with the element's codec as an argument. Generated code calls them; the
//! limits and the checks are the same.

use crate::cursor::Reader;
use crate::error::{At, DecodeError, DecodeErrorKind, EncodeError};
use crate::write::{Size, Writer};
use crate::xdr::Encode;

/// Reads a string of at most `max` bytes as text.
///
/// # Errors
/// As [`Reader::opaque_vec`], and [`NotUtf8`](DecodeErrorKind::NotUtf8).
#[inline]
pub fn text_var(r: &mut Reader<'_>, max: u32) -> Result<String, DecodeError> {
    let bytes = r.opaque_vec(max)?;
    String::from_utf8(bytes).map_err(|_| r.error(DecodeErrorKind::NotUtf8))
}

/// Reads a string of at most `max` bytes as text that stays where it lies.
///
/// # Errors
/// As [`Reader::opaque_var`], and [`NotUtf8`](DecodeErrorKind::NotUtf8).
#[inline]
pub fn text_slice<'a>(r: &mut Reader<'a>, max: u32) -> Result<&'a str, DecodeError> {
    let bytes = r.opaque_var(max)?;
    std::str::from_utf8(bytes).map_err(|_| r.error(DecodeErrorKind::NotUtf8))
}

/// Reads a variable-length array of at most `max` elements that take at least `min_len` bytes
/// each.
///
/// # Errors
/// As [`xdr::array_var`](crate::xdr::array_var).
#[inline]
pub fn array_var<'a, T>(
    r: &mut Reader<'a>,
    max: u32,
    min_len: usize,
    one: impl FnMut(&mut Reader<'a>) -> Result<T, DecodeError>,
) -> Result<Vec<T>, DecodeError> {
    let count = r.length(max)?;
    elements(r, count, min_len, one)
}

/// Reads a fixed-length array of elements that take at least `min_len` bytes each.
///
/// # Errors
/// As [`xdr::array_fixed`](crate::xdr::array_fixed).
#[inline]
pub fn array_fixed<'a, T, const N: usize>(
    r: &mut Reader<'a>,
    min_len: usize,
    one: impl FnMut(&mut Reader<'a>) -> Result<T, DecodeError>,
) -> Result<[T; N], DecodeError> {
    let items = elements(r, N, min_len, one)?;
    let found = items.len();
    <[T; N]>::try_from(items).map_err(|_| {
        r.error(DecodeErrorKind::Truncated {
            needed: N,
            available: found,
        })
    })
}

/// As [`array_fixed`], for arrays that are too large for the stack.
///
/// # Errors
/// As [`array_fixed`].
#[inline]
pub fn array_boxed<'a, T, const N: usize>(
    r: &mut Reader<'a>,
    min_len: usize,
    one: impl FnMut(&mut Reader<'a>) -> Result<T, DecodeError>,
) -> Result<Box<[T; N]>, DecodeError> {
    let items = elements(r, N, min_len, one)?;
    sized(r, items.into_boxed_slice())
}

/// Reads fixed-length opaque data that is too large for the stack.
///
/// # Errors
/// As [`Reader::opaque_fixed`], and [`BudgetExceeded`](DecodeErrorKind::BudgetExceeded).
#[inline]
pub fn opaque_boxed<const N: usize>(r: &mut Reader<'_>) -> Result<Box<[u8; N]>, DecodeError> {
    let data = r.opaque_fixed::<N>()?;
    r.charge(N)?;
    sized(r, Box::from(data.as_slice()))
}

/// The same items, their number known.
#[inline]
fn sized<T, const N: usize>(r: &Reader<'_>, items: Box<[T]>) -> Result<Box<[T; N]>, DecodeError> {
    items.try_into().map_err(|items: Box<[T]>| {
        r.error(DecodeErrorKind::Truncated {
            needed: N,
            available: items.len(),
        })
    })
}

/// Reads a fixed-length array of numbers without taking memory for it.
///
/// # Errors
/// What is wrong with an element.
#[inline]
pub fn array_plain<'a, T: Copy + Default, const N: usize>(
    r: &mut Reader<'a>,
    mut one: impl FnMut(&mut Reader<'a>) -> Result<T, DecodeError>,
) -> Result<[T; N], DecodeError> {
    let mut items = [T::default(); N];
    for (i, item) in items.iter_mut().enumerate() {
        *item = one(r).at_index(i)?;
    }
    Ok(items)
}

#[inline]
fn elements<'a, T>(
    r: &mut Reader<'a>,
    count: usize,
    min_len: usize,
    mut one: impl FnMut(&mut Reader<'a>) -> Result<T, DecodeError>,
) -> Result<Vec<T>, DecodeError> {
    let needed = count.saturating_mul(min_len);
    if needed > r.remaining() {
        return Err(r.error(DecodeErrorKind::Truncated {
            needed,
            available: r.remaining(),
        }));
    }
    r.charge(count.saturating_mul(size_of::<T>().max(1)))?;
    let mut items = Vec::with_capacity(count);
    for i in 0..count {
        items.push(one(r).at_index(i)?);
    }
    Ok(items)
}

/// Reads optional data.
///
/// # Errors
/// What `one` returns, and [`BadBool`](DecodeErrorKind::BadBool).
// Always: a large value that is returned is copied in wider steps than it was written in,
// and the processor waits for that.
#[inline(always)]
pub fn optional<'a, T>(
    r: &mut Reader<'a>,
    one: impl FnOnce(&mut Reader<'a>) -> Result<T, DecodeError>,
) -> Result<Option<T>, DecodeError> {
    if r.bool()? {
        one(r).map(Some)
    } else {
        Ok(None)
    }
}

/// Reads a value into memory of its own.
///
/// # Errors
/// What `one` returns, and [`BudgetExceeded`](DecodeErrorKind::BudgetExceeded).
#[inline]
pub fn boxed<'a, T>(
    r: &mut Reader<'a>,
    one: impl FnOnce(&mut Reader<'a>) -> Result<T, DecodeError>,
) -> Result<Box<T>, DecodeError> {
    r.charge(size_of::<T>())?;
    one(r).map(Box::new)
}

/// Measures the elements of an array, its count not included.
///
/// # Errors
/// What `one` returns, with the index in the path.
#[inline]
pub fn measure_each<T>(
    items: &[T],
    size: &mut Size,
    mut one: impl FnMut(&T, &mut Size) -> Result<(), EncodeError>,
) -> Result<(), EncodeError> {
    for (i, item) in items.iter().enumerate() {
        size.apart(|size| one(item, size)).at_index(i)?;
    }
    Ok(())
}

/// Measures a variable-length array of at most `max` elements.
///
/// # Errors
/// [`TooLong`](crate::EncodeErrorKind::TooLong), and what `one` returns.
#[inline]
pub fn measure_array_var<T>(
    items: &[T],
    size: &mut Size,
    max: u32,
    one: impl FnMut(&T, &mut Size) -> Result<(), EncodeError>,
) -> Result<(), EncodeError> {
    size.length(items.len(), max)?;
    measure_each(items, size, one)
}

/// Measures optional data.
///
/// # Errors
/// What `one` returns.
#[inline]
pub fn measure_optional<T>(
    item: &Option<T>,
    size: &mut Size,
    one: impl FnOnce(&T, &mut Size) -> Result<(), EncodeError>,
) -> Result<(), EncodeError> {
    size.add(4);
    item.as_ref().map_or(Ok(()), |item| one(item, size))
}

/// Writes the elements of an array, its count not included.
#[inline]
pub fn encode_each<T>(items: &[T], w: &mut Writer<'_>, mut one: impl FnMut(&T, &mut Writer<'_>)) {
    for item in items {
        one(item, w);
    }
}

/// Writes a variable-length array.
#[inline]
pub fn encode_array_var<T>(items: &[T], w: &mut Writer<'_>, one: impl FnMut(&T, &mut Writer<'_>)) {
    w.length(items.len());
    encode_each(items, w, one);
}

/// Writes optional data.
#[inline]
pub fn encode_optional<T>(
    item: &Option<T>,
    w: &mut Writer<'_>,
    one: impl FnOnce(&T, &mut Writer<'_>),
) {
    w.bool(item.is_some());
    if let Some(item) = item {
        one(item, w);
    }
}

/// A value that is written by two closures: the arguments of a procedure, or a result with a
/// bound of its own.
#[inline]
pub fn inline<M, E>(measure: M, encode: E) -> Inline<M, E>
where
    M: Fn(&mut Size) -> Result<(), EncodeError>,
    E: Fn(&mut Writer<'_>),
{
    Inline { measure, encode }
}

/// What [`inline`] returns.
#[derive(Clone, Copy, Debug)]
pub struct Inline<M, E> {
    measure: M,
    encode: E,
}

impl<M, E> Encode for Inline<M, E>
where
    M: Fn(&mut Size) -> Result<(), EncodeError>,
    E: Fn(&mut Writer<'_>),
{
    #[inline]
    fn measure(&self, size: &mut Size) -> Result<(), EncodeError> {
        (self.measure)(size)
    }
    #[inline]
    fn encode(&self, w: &mut Writer<'_>) {
        (self.encode)(w);
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use crate::xdr::{string_var, to_vec};

    #[test]
    fn an_array_of_bounded_strings() {
        let names = ["a", "bc"].map(crate::Str::from);
        let value = inline(
            |size| measure_array_var(&names, size, 4, |name, size| size.opaque_var(name.len(), 2)),
            |w| encode_array_var(&names, w, |name, w| w.opaque_var(name)),
        );
        let bytes = to_vec(&value).unwrap();
        assert_eq!(bytes, b"\0\0\0\x02\0\0\0\x01a\0\0\0\0\0\0\x02bc\0\0");
        let read = |max| array_var(&mut Reader::new(&bytes), max, 4, |r| string_var(r, 2));
        assert_eq!(read(4).unwrap(), names);
        assert!(read(1).is_err());
        for cut in 0..bytes.len() {
            let mut r = Reader::new(bytes.get(..cut).unwrap());
            assert!(array_var(&mut r, 4, 4, |r| string_var(r, 2)).is_err());
        }
    }

    #[test]
    fn a_bound_is_kept_on_the_way_out() {
        let names = [crate::Str::from("abc")];
        let mut size = Size::new();
        let one = |name: &crate::Str, size: &mut Size| size.opaque_var(name.len(), 2);
        let error = measure_array_var(&names, &mut size, 4, one).unwrap_err();
        assert_eq!(error.path(), "[0]");
    }

    #[test]
    fn a_sum_beyond_what_can_be_counted_stays_there() {
        let mut size = Size::new();
        let half = usize::MAX / 2 + 1;
        measure_each(&[half, half, 4], &mut size, |n, size| {
            size.add(*n);
            Ok(())
        })
        .unwrap();
        assert_eq!((size.inline(), size.total()), (usize::MAX, usize::MAX));
    }

    #[test]
    fn a_forged_count_takes_no_memory() {
        let bytes = [0xff; 8];
        let mut r = Reader::new(&bytes);
        let read = array_var(&mut r, u32::MAX, 4, |r| string_var(r, 2));
        assert!(matches!(
            read.unwrap_err().kind(),
            DecodeErrorKind::Truncated { .. }
        ));
    }

    #[test]
    fn text_is_utf8() {
        let mut r = Reader::new(b"\0\0\0\x01\xff\0\0\0");
        let error = text_var(&mut r, 4).unwrap_err();
        assert_eq!(*error.kind(), DecodeErrorKind::NotUtf8);
        let mut r = Reader::new(b"\0\0\0\x01\xff\0\0\0");
        let error = text_slice(&mut r, 4).unwrap_err();
        assert_eq!(*error.kind(), DecodeErrorKind::NotUtf8);
    }

    #[test]
    fn large_arrays_have_memory_of_their_own() {
        let bytes = vec![7; 8 << 20];
        let mut r = Reader::new(&bytes);
        let opaque = opaque_boxed::<{ 4 << 20 }>(&mut r).unwrap();
        assert!(opaque.iter().all(|byte| *byte == 7));
        let numbers = array_boxed::<u32, { 1 << 20 }>(&mut r, 4, |r| r.u32()).unwrap();
        assert!(numbers.iter().all(|number| *number == 0x0707_0707));
        r.finish().unwrap();
        assert!(opaque_boxed::<{ 9 << 20 }>(&mut Reader::new(&bytes)).is_err());
    }

    #[test]
    fn plain_arrays_and_optionals() {
        let mut r = Reader::new(b"\0\0\0\x01\0\0\0\x02\0\0\0\x01\0\0\0\x03");
        let numbers: [u32; 2] = array_plain(&mut r, |r| r.u32()).unwrap();
        assert_eq!(numbers, [1, 2]);
        let three = optional(&mut r, |r| boxed(r, |r| r.u32())).unwrap();
        assert_eq!(three, Some(Box::new(3)));
        r.finish().unwrap();
    }
}
