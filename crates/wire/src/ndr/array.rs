//! Arrays: fixed, conformant, varying, both, and of several dimensions.
//!
//! Read first: [C706] section 14.3.3 (arrays), MS-RPCE section 2.2.5.3.2 (NDR64). Only the
//! elements that are sent are kept: of a varying array those from its first to its last. The
//! interface's expressions are the numbers that a shape is made with; [`ANY`] stands where an
//! expression cannot be computed yet.
//!
//! [C706]: https://pubs.opengroup.org/onlinepubs/9629399/chap14.htm

use bytes::Bytes;

use crate::error::{At as _, DecodeError, DecodeErrorKind, EncodeError, EncodeErrorKind};
use crate::text::Str;

use super::read::Reader;
use super::shape::Shape;
use super::syntax::Align;
use super::value::{Put, Take};
use super::write::Writer;

/// A number that the interface does not say, or not yet.
pub const ANY: i64 = i64::MIN;

/// What holds the elements of an array.
pub trait Sequence: Default {
    /// An element.
    type Item: Default;

    /// The elements.
    fn items(&self) -> &[Self::Item];

    /// The elements, if they can hold pointers: only those are visited again.
    fn items_mut(&mut self) -> &mut [Self::Item];

    /// Reads `count` elements.
    ///
    /// # Errors
    /// What is wrong with the bytes.
    fn take_items<S: Shape<Self::Item>>(
        shape: S,
        r: &mut Reader<'_>,
        count: usize,
    ) -> Result<Self, DecodeError>;

    /// Reads elements up to the end of the bytes.
    ///
    /// # Errors
    /// What is wrong with the bytes.
    fn take_rest<S: Shape<Self::Item>>(shape: S, r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let count = r.remaining().checked_div(S::MIN.max(1)).unwrap_or(0);
        Self::take_items(shape, r, count)
    }
}

impl<T: Default> Sequence for Vec<T> {
    type Item = T;
    #[inline]
    fn items(&self) -> &[T] {
        self
    }
    #[inline]
    fn items_mut(&mut self) -> &mut [T] {
        self
    }
    #[inline]
    fn take_items<S: Shape<T>>(
        shape: S,
        r: &mut Reader<'_>,
        count: usize,
    ) -> Result<Self, DecodeError> {
        r.expect(count, S::MIN, size_of::<T>().max(1))?;
        shape.take_items(r, count)
    }
    fn take_rest<S: Shape<T>>(shape: S, r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let mut items = Self::new();
        while r.remaining() > 0 {
            r.burn(1)?;
            r.charge(size_of::<T>().max(1))?;
            let mut item = T::default();
            shape.take(&mut item, r).at_index(items.len())?;
            items.push(item);
        }
        Ok(items)
    }
}

/// Bytes that are borrowed from the received buffer where it is shared.
impl Sequence for Bytes {
    type Item = u8;
    #[inline]
    fn items(&self) -> &[u8] {
        self
    }
    #[inline]
    fn items_mut(&mut self) -> &mut [u8] {
        &mut []
    }
    #[inline]
    fn take_items<S: Shape<u8>>(
        _: S,
        r: &mut Reader<'_>,
        count: usize,
    ) -> Result<Self, DecodeError> {
        r.bytes(count)
    }
}

impl Sequence for Str {
    type Item = u8;
    #[inline]
    fn items(&self) -> &[u8] {
        self
    }
    #[inline]
    fn items_mut(&mut self) -> &mut [u8] {
        &mut []
    }
    #[inline]
    fn take_items<S: Shape<u8>>(
        _: S,
        r: &mut Reader<'_>,
        count: usize,
    ) -> Result<Self, DecodeError> {
        let bytes = r.slice(count)?;
        r.charge(count)?;
        Ok(Self::from(bytes))
    }
}

/// An array of fixed length that has pointers or other shapes in it.
#[derive(Clone, Copy, Debug)]
pub struct Each<S>(pub S);

impl<T: Default, S: Shape<T>, const N: usize> Shape<[T; N]> for Each<S>
where
    [T; N]: Default,
{
    const ALIGN: Align = S::ALIGN;
    const MIN: usize = S::MIN.saturating_mul(N);
    fn put(self, it: &[T; N], w: &mut Writer) -> Put {
        self.0.put_items(it, w)
    }
    fn put_referents(self, it: &[T; N], w: &mut Writer) -> Put {
        put_referents(self.0, it, w)
    }
    fn take(self, it: &mut [T; N], r: &mut Reader<'_>) -> Take {
        let mut each = it.iter_mut().enumerate();
        each.try_for_each(|(i, item)| self.0.take(item, r).at_index(i))
    }
    fn take_referents(self, it: &mut [T; N], r: &mut Reader<'_>) -> Take {
        take_referents(self.0, it, r)
    }
}

/// So many elements with no count before them: a long fixed array, or an array of pidl whose
/// length stands elsewhere.
#[derive(Clone, Copy, Debug)]
pub struct Counted<S>(pub i64, pub S);

impl<Q: Sequence, S: Shape<Q::Item>> Shape<Q> for Counted<S> {
    const ALIGN: Align = S::ALIGN;
    const MIN: usize = 0;
    fn put(self, it: &Q, w: &mut Writer) -> Put {
        agree(it.items().len(), self.0)?;
        self.1.put_items(it.items(), w)
    }
    fn put_referents(self, it: &Q, w: &mut Writer) -> Put {
        put_referents(self.1, it.items(), w)
    }
    fn take(self, it: &mut Q, r: &mut Reader<'_>) -> Take {
        let count = u64::try_from(self.0).unwrap_or(0);
        let count = r.length(count)?;
        *it = Q::take_items(self.1, r, count)?;
        Ok(())
    }
    fn take_referents(self, it: &mut Q, r: &mut Reader<'_>) -> Take {
        take_referents(self.1, it.items_mut(), r)
    }
    fn check(self, it: &Q) -> Result<(), DecodeErrorKind> {
        counted(it.items().len(), self.0)
    }
}

/// All elements up to the end of the bytes: pidl's `flag(NDR_REMAINING)`.
#[derive(Clone, Copy, Debug)]
pub struct Remaining<S>(pub S);

impl<Q: Sequence, S: Shape<Q::Item>> Shape<Q> for Remaining<S> {
    const ALIGN: Align = S::ALIGN;
    const MIN: usize = 0;
    fn put(self, it: &Q, w: &mut Writer) -> Put {
        self.0.put_items(it.items(), w)
    }
    fn put_referents(self, it: &Q, w: &mut Writer) -> Put {
        put_referents(self.0, it.items(), w)
    }
    fn take(self, it: &mut Q, r: &mut Reader<'_>) -> Take {
        *it = Q::take_rest(self.0, r)?;
        Ok(())
    }
    fn take_referents(self, it: &mut Q, r: &mut Reader<'_>) -> Take {
        take_referents(self.0, it.items_mut(), r)
    }
}

/// A conformant array, [C706] section 14.3.3.2: `size_is` elements, all of them sent.
///
/// [C706]: https://pubs.opengroup.org/onlinepubs/9629399/chap14.htm
#[derive(Clone, Copy, Debug)]
pub struct Conformant<S>(pub i64, pub S);

impl<Q: Sequence, S: Shape<Q::Item>> Shape<Q> for Conformant<S> {
    const ALIGN: Align = S::ALIGN;
    const MIN: usize = 0;
    fn put_counts(self, it: &Q, w: &mut Writer) -> Put {
        agree(it.items().len(), self.0)?;
        w.align(Align::WIDE);
        w.count(it.items().len())
    }
    fn put(self, it: &Q, w: &mut Writer) -> Put {
        agree(it.items().len(), self.0)?;
        self.1.put_items(it.items(), w)
    }
    fn put_referents(self, it: &Q, w: &mut Writer) -> Put {
        put_referents(self.1, it.items(), w)
    }
    fn take_counts(self, r: &mut Reader<'_>) -> Take {
        hoist(r)
    }
    fn take(self, it: &mut Q, r: &mut Reader<'_>) -> Take {
        let count = hoisted(r)?;
        r.agree(count, self.0)?;
        let count = r.length(count)?;
        *it = Q::take_items(self.1, r, count)?;
        Ok(())
    }
    fn take_referents(self, it: &mut Q, r: &mut Reader<'_>) -> Take {
        take_referents(self.1, it.items_mut(), r)
    }
    fn check(self, it: &Q) -> Result<(), DecodeErrorKind> {
        counted(it.items().len(), self.0)
    }
}

/// What a varying array sends of itself.
#[derive(Clone, Copy, Debug)]
pub struct Span {
    /// The index of the first element sent: `first_is`. [`ANY`] is 0.
    pub first: i64,
    /// How many are sent: `length_is`.
    pub len: i64,
}

impl Span {
    /// From the first element on.
    pub const fn len(len: i64) -> Self {
        Self { first: ANY, len }
    }

    fn put(self, len: usize, w: &mut Writer) -> Put {
        agree(len, self.len)?;
        w.wide(u64::try_from(self.first).unwrap_or(0))?;
        w.count(len)
    }

    /// Offset and actual count, checked against `max`.
    pub(super) fn take(self, r: &mut Reader<'_>, max: u64) -> Result<usize, DecodeError> {
        let offset = r.wide()?;
        let first = if self.first == ANY { 0 } else { self.first };
        r.agree(offset, first)?;
        let len = r.wide()?;
        if offset.checked_add(len).is_none_or(|end| end > max) {
            return Err(r.error(DecodeErrorKind::TooLong { len, max }));
        }
        r.agree(len, self.len)?;
        r.length(len)
    }
}

/// A varying array, [C706] section 14.3.3.3: at most so many elements, of which a span is sent.
///
/// [C706]: https://pubs.opengroup.org/onlinepubs/9629399/chap14.htm
#[derive(Clone, Copy, Debug)]
pub struct Varying<S>(pub i64, pub Span, pub S);

impl<Q: Sequence, S: Shape<Q::Item>> Shape<Q> for Varying<S> {
    const ALIGN: Align = Align::WIDE.max(S::ALIGN);
    const MIN: usize = 8;
    fn put(self, it: &Q, w: &mut Writer) -> Put {
        within(it.items().len(), self.1.first, self.0)?;
        self.1.put(it.items().len(), w)?;
        self.2.put_items(it.items(), w)
    }
    fn put_referents(self, it: &Q, w: &mut Writer) -> Put {
        put_referents(self.2, it.items(), w)
    }
    fn take(self, it: &mut Q, r: &mut Reader<'_>) -> Take {
        let max = u64::try_from(self.0).unwrap_or(u64::MAX);
        let count = self.1.take(r, max)?;
        *it = Q::take_items(self.2, r, count)?;
        Ok(())
    }
    fn take_referents(self, it: &mut Q, r: &mut Reader<'_>) -> Take {
        take_referents(self.2, it.items_mut(), r)
    }
    fn check(self, it: &Q) -> Result<(), DecodeErrorKind> {
        counted(it.items().len(), self.1.len)
    }
}

/// A conformant varying array, [C706] section 14.3.3.4: `size_is`, the span, the elements.
///
/// [C706]: https://pubs.opengroup.org/onlinepubs/9629399/chap14.htm
#[derive(Clone, Copy, Debug)]
pub struct ConformantVarying<S>(pub i64, pub Span, pub S);

impl<Q: Sequence, S: Shape<Q::Item>> Shape<Q> for ConformantVarying<S> {
    const ALIGN: Align = Align::WIDE.max(S::ALIGN);
    const MIN: usize = 8;
    fn put_counts(self, it: &Q, w: &mut Writer) -> Put {
        // req: c706-14.3.3
        let len = it.items().len();
        within(len, self.1.first, self.0)?;
        w.align(Align::WIDE);
        match u64::try_from(self.0) {
            Ok(max) => w.wide(max),
            Err(_) => w.count(len),
        }
    }
    fn put(self, it: &Q, w: &mut Writer) -> Put {
        self.1.put(it.items().len(), w)?;
        self.2.put_items(it.items(), w)
    }
    fn put_referents(self, it: &Q, w: &mut Writer) -> Put {
        put_referents(self.2, it.items(), w)
    }
    fn take_counts(self, r: &mut Reader<'_>) -> Take {
        hoist(r)
    }
    fn take(self, it: &mut Q, r: &mut Reader<'_>) -> Take {
        let max = hoisted(r)?;
        r.agree(max, self.0)?;
        let count = self.1.take(r, max)?;
        *it = Q::take_items(self.2, r, count)?;
        Ok(())
    }
    fn take_referents(self, it: &mut Q, r: &mut Reader<'_>) -> Take {
        take_referents(self.2, it.items_mut(), r)
    }
    fn check(self, it: &Q) -> Result<(), DecodeErrorKind> {
        counted(it.items().len(), self.1.len)
    }
}

/// An array whose number of elements the interface bounds: `range` beside `size_is` or `string`,
/// MS-RPCE section 2.2.4.14.2.
#[derive(Clone, Copy, Debug)]
pub struct Limited<S>(pub i64, pub i64, pub S);

impl<Q: Sequence, S: Shape<Q>> Shape<Q> for Limited<S> {
    const ALIGN: Align = S::ALIGN;
    const MIN: usize = S::MIN;
    fn put_counts(self, it: &Q, w: &mut Writer) -> Put {
        self.2.put_counts(it, w)
    }
    fn put(self, it: &Q, w: &mut Writer) -> Put {
        let len = i64::try_from(it.items().len()).unwrap_or(i64::MAX);
        match (self.0..=self.1).contains(&len) {
            true => self.2.put(it, w),
            false => Err(super::write::out_of_range(
                len.into(),
                self.0.into(),
                self.1.into(),
            )),
        }
    }
    fn put_referents(self, it: &Q, w: &mut Writer) -> Put {
        self.2.put_referents(it, w)
    }
    fn take_counts(self, r: &mut Reader<'_>) -> Take {
        // req: msrpce-2.2.4.14.2
        self.2.take_counts(r)?;
        let max = r.counts.back().copied().unwrap_or(0);
        let value = i128::from(max);
        match (i128::from(self.0)..=i128::from(self.1)).contains(&value) {
            true => Ok(()),
            false => Err(r.error(DecodeErrorKind::OutOfRange {
                value,
                min: self.0.into(),
                max: self.1.into(),
            })),
        }
    }
    fn take(self, it: &mut Q, r: &mut Reader<'_>) -> Take {
        self.2.take(it, r)
    }
    fn take_referents(self, it: &mut Q, r: &mut Reader<'_>) -> Take {
        self.2.take_referents(it, r)
    }
    fn check(self, it: &Q) -> Result<(), DecodeErrorKind> {
        self.2.check(it)
    }
}

/// An array of several dimensions, its elements row by row.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Matrix<T> {
    /// How many elements are sent in each dimension, outermost first.
    pub dims: Vec<usize>,
    /// The elements: their number is the product of `dims`.
    pub items: Vec<T>,
}

/// One dimension of a [`Matrix`].
#[derive(Clone, Copy, Debug)]
pub struct Dimension {
    /// Its size: `size_is`, or what is declared.
    pub size: i64,
    /// What is sent of it; `None` is all.
    pub span: Option<Span>,
}

/// The form of a [`Matrix`], [C706] section 14.3.3.6 to 14.3.3.9: all maximum counts, then offset
/// and count of each dimension, then the elements.
///
/// [C706]: https://pubs.opengroup.org/onlinepubs/9629399/chap14.htm
#[derive(Clone, Copy, Debug)]
pub struct Dimensions<const N: usize, S>(pub [Dimension; N], pub bool, pub S);

impl<const N: usize, S> Dimensions<N, S> {
    fn is_conformant(&self) -> bool {
        self.1
    }
    fn is_varying(&self) -> bool {
        self.0.iter().any(|dim| dim.span.is_some())
    }
}

impl<T: Default, const N: usize, S: Shape<T>> Shape<Matrix<T>> for Dimensions<N, S> {
    const ALIGN: Align = Align::WIDE.max(S::ALIGN);
    const MIN: usize = 0;

    fn put_counts(self, it: &Matrix<T>, w: &mut Writer) -> Put {
        if !self.is_conformant() {
            return Ok(());
        }
        w.align(Align::WIDE);
        let mut dims = self.0.iter().zip(&it.dims);
        dims.try_for_each(|(dim, len)| match u64::try_from(dim.size) {
            Ok(size) => w.wide(size),
            Err(_) => w.count(*len),
        })
    }

    fn put(self, it: &Matrix<T>, w: &mut Writer) -> Put {
        let product = it.dims.iter().try_fold(1_usize, |a, b| a.checked_mul(*b));
        if it.dims.len() != N || product != Some(it.items.len()) {
            return Err(EncodeError::new(EncodeErrorKind::Invalid(
                "elements of an array are not the product of its dimensions",
            )));
        }
        let varying = self.is_varying();
        for (dim, len) in self.0.iter().zip(&it.dims) {
            match dim.span {
                _ if !varying => agree(*len, dim.size)?,
                Some(span) => {
                    within(*len, span.first, dim.size)?;
                    span.put(*len, w)?;
                }
                None => Span::len(dim.size).put(*len, w)?,
            }
        }
        self.2.put_items(&it.items, w)
    }

    fn put_referents(self, it: &Matrix<T>, w: &mut Writer) -> Put {
        put_referents(self.2, &it.items, w)
    }

    fn take_counts(self, r: &mut Reader<'_>) -> Take {
        match self.is_conformant() {
            true => (0..N).try_for_each(|_| hoist(r)),
            false => Ok(()),
        }
    }

    fn take(self, it: &mut Matrix<T>, r: &mut Reader<'_>) -> Take {
        let mut sizes = [0_u64; N];
        for (size, dim) in sizes.iter_mut().zip(&self.0) {
            *size = match self.is_conformant() {
                true => hoisted(r)?,
                false => u64::try_from(dim.size).unwrap_or(0),
            };
            r.agree(*size, dim.size)?;
        }
        let varying = self.is_varying();
        it.dims = Vec::with_capacity(N);
        let mut product = 1_u64;
        for (dim, size) in self.0.iter().zip(sizes) {
            let len = match dim.span {
                _ if !varying => r.length(size)?,
                Some(span) => span.take(r, size)?,
                None => Span::len(dim.size).take(r, size)?,
            };
            product = product.saturating_mul(u64::try_from(len).unwrap_or(u64::MAX));
            it.dims.push(len);
        }
        let count = r.length(product)?;
        it.items = Vec::take_items(self.2, r, count)?;
        Ok(())
    }

    fn take_referents(self, it: &mut Matrix<T>, r: &mut Reader<'_>) -> Take {
        take_referents(self.2, &mut it.items, r)
    }
}

/// Writes what the elements point at.
fn put_referents<T: Default, S: Shape<T>>(shape: S, items: &[T], w: &mut Writer) -> Put {
    let mut each = items.iter().enumerate();
    each.try_for_each(|(i, item)| shape.put_referents(item, w).at_index(i))
}

/// Reads what the elements point at.
fn take_referents<T: Default, S: Shape<T>>(shape: S, items: &mut [T], r: &mut Reader<'_>) -> Take {
    let mut each = items.iter_mut().enumerate();
    each.try_for_each(|(i, item)| shape.take_referents(item, r).at_index(i))
}

/// Reads a maximum count and keeps it for its array.
pub(super) fn hoist(r: &mut Reader<'_>) -> Take {
    let count = r.wide()?;
    r.counts.push_back(count);
    Ok(())
}

/// The next maximum count that was kept.
pub(super) fn hoisted(r: &mut Reader<'_>) -> Result<u64, DecodeError> {
    match r.counts.pop_front() {
        Some(count) => Ok(count),
        None => Err(r.error(DecodeErrorKind::Invalid(
            "conformant array without its maximum count",
        ))),
    }
}

/// Checks the number of elements that we hold.
pub(super) fn agree(len: usize, expected: i64) -> Put {
    match expected == ANY || i64::try_from(len) == Ok(expected) {
        true => Ok(()),
        false => Err(EncodeError::new(EncodeErrorKind::BadCount {
            len,
            expected,
        })),
    }
}

/// Checks that what is sent lies inside the array.
fn within(len: usize, first: i64, max: i64) -> Put {
    let first = if first == ANY { 0 } else { first };
    let end = i64::try_from(len)
        .ok()
        .and_then(|len| first.checked_add(len));
    match max == ANY || end.is_some_and(|end| first >= 0 && end <= max) {
        true => Ok(()),
        false => Err(EncodeError::new(EncodeErrorKind::BadCount {
            len,
            expected: max.saturating_sub(first),
        })),
    }
}

/// Checks the number of elements that were read.
fn counted(len: usize, expected: i64) -> Result<(), DecodeErrorKind> {
    match expected == ANY || i64::try_from(len) == Ok(expected) {
        true => Ok(()),
        false => Err(DecodeErrorKind::BadCount {
            count: u64::try_from(len).unwrap_or(u64::MAX),
            expected,
        }),
    }
}

impl Reader<'_> {
    /// Checks a count on the wire against the interface's expression.
    ///
    /// # Errors
    /// [`BadCount`](DecodeErrorKind::BadCount).
    #[inline]
    pub fn agree(&self, count: u64, expected: i64) -> Take {
        match expected == ANY || i64::try_from(count) == Ok(expected) {
            true => Ok(()),
            false => Err(self.error(DecodeErrorKind::BadCount { count, expected })),
        }
    }
}
