//! Pipes: elements in chunks, an empty chunk at the end.
//!
//! Read first: [C706] section 14.3.9 (pipes), MS-RPCE section 2.2.5.3.4.5 (NDR64: each chunk ends
//! with its count negated). A [`Pipe`] holds what was collected; those who stream have
//! [`Inflow`](super::Inflow) and [`Outflow`](super::Outflow).
//!
//! [C706]: https://pubs.opengroup.org/onlinepubs/9629399/chap14.htm

use crate::error::{DecodeError, DecodeErrorKind, EncodeError, EncodeErrorKind};

use super::array::Sequence as _;
use super::read::Reader;
use super::shape::Shape;
use super::syntax::Align;
use super::value::{Put, Take};
use super::write::Writer;

/// Elements in the chunks that we write.
const CHUNK: usize = 4096;

/// All elements of a pipe.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Pipe<T>(pub Vec<T>);

impl<T> Default for Pipe<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<T> From<Vec<T>> for Pipe<T> {
    fn from(items: Vec<T>) -> Self {
        Self(items)
    }
}

/// The form of a [`Pipe`] whose elements have the form `S`.
#[derive(Clone, Copy, Debug)]
pub struct Chunks<S>(pub S);

impl<T: Default, S: Shape<T>> Shape<Pipe<T>> for Chunks<S> {
    const ALIGN: Align = Align::WIDE;
    const MIN: usize = 4;
    fn put(self, it: &Pipe<T>, w: &mut Writer) -> Put {
        for chunk in it.0.chunks(CHUNK) {
            put_chunk(self.0, chunk, w)?;
        }
        put_chunk(self.0, &[], w)
    }
    fn take(self, it: &mut Pipe<T>, r: &mut Reader<'_>) -> Take {
        while let Some(chunk) = take_chunk(self.0, r)? {
            it.0.extend(chunk);
        }
        Ok(())
    }
}

/// Writes one chunk; an empty one ends the pipe.
///
/// # Errors
/// What an element does not allow, and more than 2^31 - 1 elements.
pub fn put_chunk<T: Default, S: Shape<T>>(shape: S, items: &[T], w: &mut Writer) -> Put {
    let count =
        i32::try_from(items.len()).map_err(|_| EncodeError::new(EncodeErrorKind::TooLarge))?;
    w.align(Align::WIDE);
    w.count(items.len())?;
    shape.put_items(items, w)?;
    if w.mode().is_ndr64() {
        w.i64(i64::from(count).wrapping_neg());
    }
    Ok(())
}

/// Reads one chunk; `None` is the end of the pipe.
///
/// # Errors
/// What is wrong with the bytes, an NDR64 count that is not negated after the chunk included.
pub fn take_chunk<T: Default, S: Shape<T>>(
    shape: S,
    r: &mut Reader<'_>,
) -> Result<Option<Vec<T>>, DecodeError> {
    // req: msrpce-2.2.5.3.4.5
    let count = r.wide()?;
    let len = r.length(count)?;
    let items = Vec::take_items(shape, r, len)?;
    if r.mode().is_ndr64() && r.u64()? != count.wrapping_neg() {
        return Err(r.error(DecodeErrorKind::Invalid(
            "pipe chunk does not end with its count negated",
        )));
    }
    Ok((count != 0).then_some(items))
}
