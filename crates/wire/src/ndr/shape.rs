//! Wire forms that stand beside the type: what attributes make of a field.
//!
//! The same `Vec<u16>` may be a conformant array, a varying one, or lie behind a pointer. A
//! [`Shape`] says which: small values that nest, such as `Unique(Conformant(n, Plain))`. Generated
//! code writes each field as `SHAPE.put(&self.field, w)`, and so on for the other walks.

use crate::error::{At as _, DecodeError, DecodeErrorKind, EncodeError, EncodeErrorKind};

use super::read::Reader;
use super::syntax::{Align, Mode, Order};
use super::value::{Int, Put, Take, Value};
use super::write::Writer;

/// The wire form of a `T`.
///
/// The functions are those of [`Value`].
pub trait Shape<T: Default>: Copy {
    /// As [`Value::ALIGN`].
    const ALIGN: Align;
    /// As [`Value::MIN`].
    const MIN: usize;

    /// As [`Value::put_counts`].
    ///
    /// # Errors
    /// What the interface does not allow.
    #[inline]
    fn put_counts(self, _: &T, _: &mut Writer) -> Put {
        Ok(())
    }

    /// As [`Value::put`].
    ///
    /// # Errors
    /// What the interface does not allow.
    fn put(self, it: &T, w: &mut Writer) -> Put;

    /// As [`Value::put_referents`].
    ///
    /// # Errors
    /// What the interface does not allow.
    #[inline]
    fn put_referents(self, _: &T, _: &mut Writer) -> Put {
        Ok(())
    }

    /// As [`Value::take_counts`].
    ///
    /// # Errors
    /// What is wrong with the bytes.
    #[inline]
    fn take_counts(self, _: &mut Reader<'_>) -> Take {
        Ok(())
    }

    /// As [`Value::take`].
    ///
    /// # Errors
    /// What is wrong with the bytes.
    fn take(self, it: &mut T, r: &mut Reader<'_>) -> Take;

    /// As [`Value::take_referents`].
    ///
    /// # Errors
    /// What is wrong with the bytes.
    #[inline]
    fn take_referents(self, _: &mut T, _: &mut Reader<'_>) -> Take {
        Ok(())
    }

    /// As [`Value::put_items`].
    ///
    /// # Errors
    /// As [`put`](Self::put), with the index in the path.
    #[inline]
    fn put_items(self, items: &[T], w: &mut Writer) -> Put {
        let mut each = items.iter().enumerate();
        each.try_for_each(|(i, item)| self.put(item, w).at_index(i))
    }

    /// As [`Value::take_items`].
    ///
    /// # Errors
    /// As [`take`](Self::take), with the index in the path.
    #[inline]
    fn take_items(self, r: &mut Reader<'_>, count: usize) -> Result<Vec<T>, DecodeError> {
        let mut items = Vec::with_capacity(count);
        for i in 0..count {
            let mut item = T::default();
            self.take(&mut item, r).at_index(i)?;
            items.push(item);
        }
        Ok(items)
    }

    /// Writes a value with everything that belongs to it: a parameter, or what a pointer points
    /// at.
    ///
    /// # Errors
    /// What the interface does not allow.
    #[inline]
    fn put_whole(self, it: &T, w: &mut Writer) -> Put {
        self.put_counts(it, w)?;
        self.put(it, w)?;
        self.put_referents(it, w)
    }

    /// Reads a value with everything that belongs to it.
    ///
    /// # Errors
    /// What is wrong with the bytes.
    #[inline]
    fn take_whole(self, it: &mut T, r: &mut Reader<'_>) -> Take {
        self.take_counts(r)?;
        self.take(it, r)?;
        self.take_referents(it, r)
    }

    /// A value with everything that belongs to it.
    ///
    /// # Errors
    /// What is wrong with the bytes.
    #[inline]
    fn read(self, r: &mut Reader<'_>) -> Result<T, DecodeError> {
        let mut it = T::default();
        self.take_whole(&mut it, r)?;
        Ok(it)
    }
}

/// The type's own form.
#[derive(Clone, Copy, Debug)]
pub struct Plain;

impl<T: Value> Shape<T> for Plain {
    const ALIGN: Align = T::ALIGN;
    const MIN: usize = T::MIN;
    #[inline]
    fn put_counts(self, it: &T, w: &mut Writer) -> Put {
        it.put_counts(w)
    }
    #[inline]
    fn put(self, it: &T, w: &mut Writer) -> Put {
        it.put(w)
    }
    #[inline]
    fn put_referents(self, it: &T, w: &mut Writer) -> Put {
        it.put_referents(w)
    }
    #[inline]
    fn take_counts(self, r: &mut Reader<'_>) -> Take {
        T::take_counts(r)
    }
    #[inline]
    fn take(self, it: &mut T, r: &mut Reader<'_>) -> Take {
        it.take(r)
    }
    #[inline]
    fn take_referents(self, it: &mut T, r: &mut Reader<'_>) -> Take {
        it.take_referents(r)
    }
    #[inline]
    fn put_items(self, items: &[T], w: &mut Writer) -> Put {
        T::put_items(items, w)
    }
    #[inline]
    fn take_items(self, r: &mut Reader<'_>, count: usize) -> Result<Vec<T>, DecodeError> {
        T::take_items(r, count)
    }
}

/// A boxed value in the form of the value.
#[derive(Clone, Copy, Debug)]
pub struct Boxed<S>(pub S);

impl<T: Default, S: Shape<T>> Shape<Box<T>> for Boxed<S> {
    const ALIGN: Align = S::ALIGN;
    const MIN: usize = S::MIN;
    #[inline]
    fn put_counts(self, it: &Box<T>, w: &mut Writer) -> Put {
        self.0.put_counts(it, w)
    }
    #[inline]
    fn put(self, it: &Box<T>, w: &mut Writer) -> Put {
        self.0.put(it, w)
    }
    #[inline]
    fn put_referents(self, it: &Box<T>, w: &mut Writer) -> Put {
        self.0.put_referents(it, w)
    }
    #[inline]
    fn take_counts(self, r: &mut Reader<'_>) -> Take {
        self.0.take_counts(r)
    }
    #[inline]
    fn take(self, it: &mut Box<T>, r: &mut Reader<'_>) -> Take {
        r.charge(size_of::<T>())?;
        self.0.take(it, r)
    }
    #[inline]
    fn take_referents(self, it: &mut Box<T>, r: &mut Reader<'_>) -> Take {
        self.0.take_referents(it, r)
    }
}

/// A number that the interface bounds: `range(min, max)`, MS-RPCE section 2.2.4.14.
#[derive(Clone, Copy, Debug)]
pub struct Ranged<S>(pub i64, pub i64, pub S);

impl<T: Value + Int, S: Shape<T>> Shape<T> for Ranged<S> {
    const ALIGN: Align = S::ALIGN;
    const MIN: usize = S::MIN;
    #[inline]
    fn put(self, it: &T, w: &mut Writer) -> Put {
        // req: msrpce-2.2.4.14.1
        let value = it.int();
        match (self.0..=self.1).contains(&value) {
            true => self.2.put(it, w),
            false => Err(EncodeError::new(EncodeErrorKind::OutOfRange {
                value: value.into(),
                min: self.0.into(),
                max: self.1.into(),
            })),
        }
    }
    #[inline]
    fn take(self, it: &mut T, r: &mut Reader<'_>) -> Take {
        self.2.take(it, r)?;
        let value = it.int();
        match (self.0..=self.1).contains(&value) {
            true => Ok(()),
            false => Err(r.error(DecodeErrorKind::OutOfRange {
                value: value.into(),
                min: self.0.into(),
                max: self.1.into(),
            })),
        }
    }
}

/// A part in another byte order or without alignment: pidl's `flag(NDR_BIG_ENDIAN)`,
/// `flag(NDR_LITTLE_ENDIAN)` and `flag(NDR_NOALIGN)`.
#[derive(Clone, Copy, Debug)]
pub struct In<S>(pub Part, pub S);

/// What [`In`] changes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Part {
    /// The byte order; `None` leaves it.
    pub order: Option<Order>,
    /// Whether nothing is aligned; `false` leaves it.
    pub packed: bool,
}

impl Part {
    fn of(self, mode: Mode) -> Mode {
        Mode {
            order: self.order.unwrap_or(mode.order),
            packed: self.packed || mode.packed,
            ..mode
        }
    }
}

impl<T: Default, S: Shape<T>> Shape<T> for In<S> {
    const ALIGN: Align = S::ALIGN;
    const MIN: usize = S::MIN;
    fn put_counts(self, it: &T, w: &mut Writer) -> Put {
        let mode = self.0.of(w.mode());
        w.with_mode(mode, |w| self.1.put_counts(it, w))
    }
    fn put(self, it: &T, w: &mut Writer) -> Put {
        let mode = self.0.of(w.mode());
        w.with_mode(mode, |w| self.1.put(it, w))
    }
    fn put_referents(self, it: &T, w: &mut Writer) -> Put {
        let mode = self.0.of(w.mode());
        w.with_mode(mode, |w| self.1.put_referents(it, w))
    }
    fn take_counts(self, r: &mut Reader<'_>) -> Take {
        let mode = self.0.of(r.mode());
        r.with_mode(mode, |r| self.1.take_counts(r))
    }
    fn take(self, it: &mut T, r: &mut Reader<'_>) -> Take {
        let mode = self.0.of(r.mode());
        r.with_mode(mode, |r| self.1.take(it, r))
    }
    fn take_referents(self, it: &mut T, r: &mut Reader<'_>) -> Take {
        let mode = self.0.of(r.mode());
        r.with_mode(mode, |r| self.1.take_referents(it, r))
    }
}
