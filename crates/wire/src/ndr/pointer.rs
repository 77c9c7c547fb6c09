//! Pointers: an identifier in place, what it points at later.
//!
//! Read first: [C706] section 14.3.10 to 14.3.12 (pointers, deferral, full pointers). A top-level
//! reference pointer has no form of its own, so nothing here stands for it.
//!
//! A [`Full`] pointer may be an alias of one met before, also of one that encloses it: cycles are
//! labels, not loops in memory, so nothing here can run in a ring.
//!
//! [C706]: https://pubs.opengroup.org/onlinepubs/9629399/chap14.htm

use crate::error::{DecodeErrorKind, EncodeError, EncodeErrorKind};

use super::read::Reader;
use super::shape::Shape;
use super::syntax::Align;
use super::value::{Int, Put, Take};
use super::write::{FIRST_REFERENT, Label, Writer};

/// A `[unique]` pointer: `Option`.
#[derive(Clone, Copy, Debug)]
pub struct Unique<S>(pub S);

impl<T: Default, S: Shape<T>> Shape<Option<T>> for Unique<S> {
    const ALIGN: Align = Align::WIDE;
    const MIN: usize = 4;
    #[inline]
    fn put(self, it: &Option<T>, w: &mut Writer) -> Put {
        w.referent(it.is_some())
    }
    #[inline]
    fn put_referents(self, it: &Option<T>, w: &mut Writer) -> Put {
        match it {
            Some(it) => w.nested(|w| self.0.put_whole(it, w)),
            None => Ok(()),
        }
    }
    #[inline]
    fn take(self, it: &mut Option<T>, r: &mut Reader<'_>) -> Take {
        *it = r.referent()?.then(T::default);
        Ok(())
    }
    #[inline]
    fn take_referents(self, it: &mut Option<T>, r: &mut Reader<'_>) -> Take {
        match it {
            Some(it) => r.nested(|r| self.0.take_whole(it, r)),
            None => Ok(()),
        }
    }
    #[inline]
    fn check(self, it: &Option<T>) -> Result<(), DecodeErrorKind> {
        it.as_ref().map_or(Ok(()), |it| self.0.check(it))
    }
}

/// An embedded `[ref]` pointer: the value itself. What identifier a peer writes in its place is
/// of no consequence.
#[derive(Clone, Copy, Debug)]
pub struct Ref<S>(pub S);

impl<T: Default, S: Shape<T>> Shape<T> for Ref<S> {
    const ALIGN: Align = Align::WIDE;
    const MIN: usize = 4;
    #[inline]
    fn put(self, _: &T, w: &mut Writer) -> Put {
        w.wide(FIRST_REFERENT.into())
    }
    #[inline]
    fn put_referents(self, it: &T, w: &mut Writer) -> Put {
        w.nested(|w| self.0.put_whole(it, w))
    }
    #[inline]
    fn take(self, _: &mut T, r: &mut Reader<'_>) -> Take {
        r.wide().map(|_| ())
    }
    #[inline]
    fn take_referents(self, it: &mut T, r: &mut Reader<'_>) -> Take {
        r.nested(|r| self.0.take_whole(it, r))
    }
    #[inline]
    fn check(self, it: &T) -> Result<(), DecodeErrorKind> {
        self.0.check(it)
    }
}

/// What a `[ptr]` full pointer points at.
///
/// A value that is pointed at more than once has a label; the other pointers are aliases of it.
/// The value stands where the walk over the referents meets it first, depth first.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub enum Full<T> {
    /// Nothing.
    #[default]
    Null,
    /// A value of its own. Label 0 is no label: nothing else points at it.
    Value(u32, Box<T>),
    /// The value with this label.
    Alias(u32),
}

impl<T> Full<T> {
    /// A pointer to a value that nothing else points at.
    pub fn new(value: T) -> Self {
        Self::Value(0, Box::new(value))
    }

    /// The value, if it stands here.
    pub fn value(&self) -> Option<&T> {
        match self {
            Self::Value(_, value) => Some(value),
            Self::Null | Self::Alias(_) => None,
        }
    }
}

impl<T> From<Option<T>> for Full<T> {
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::Null, Self::new)
    }
}

impl<T: Int> Int for Full<T> {
    fn int(&self) -> i64 {
        self.value().map_or(0, Int::int)
    }
}

/// The form of a [`Full`] pointer.
#[derive(Clone, Copy, Debug)]
pub struct FullPointer<S>(pub S);

impl<T: Default, S: Shape<T>> Shape<Full<T>> for FullPointer<S> {
    const ALIGN: Align = Align::WIDE;
    const MIN: usize = 4;

    fn put(self, it: &Full<T>, w: &mut Writer) -> Put {
        let id = match it {
            Full::Null => 0,
            Full::Value(0, _) => w.fresh_referent()?,
            Full::Value(label, _) | Full::Alias(label) => w.labelled(*label)?,
        };
        w.wide(id.into())
    }

    fn put_referents(self, it: &Full<T>, w: &mut Writer) -> Put {
        match it {
            Full::Null => Ok(()),
            Full::Value(label, value) => {
                w.settle(*label, true)?;
                w.nested(|w| self.0.put_whole(value, w))
            }
            Full::Alias(label) => w.settle(*label, false),
        }
    }

    fn take(self, it: &mut Full<T>, r: &mut Reader<'_>) -> Take {
        let id = r.wide()?;
        *it = match u32::try_from(id) {
            Ok(0) => Full::Null,
            Ok(id) => Full::Alias(id),
            Err(_) => {
                return Err(r.error(DecodeErrorKind::Invalid("referent identifier over 32 bits")));
            }
        };
        Ok(())
    }

    fn take_referents(self, it: &mut Full<T>, r: &mut Reader<'_>) -> Take {
        // req: c706-14.3.12-full
        let Full::Alias(id) = *it else {
            return Ok(());
        };
        if !r.full.insert(id) {
            return Ok(());
        }
        r.charge(size_of::<T>().saturating_add(FULL_ENTRY))?;
        let mut value = Box::<T>::default();
        r.nested(|r| self.0.take_whole(&mut value, r))?;
        *it = Full::Value(id, value);
        Ok(())
    }

    fn check(self, it: &Full<T>) -> Result<(), DecodeErrorKind> {
        it.value().map_or(Ok(()), |it| self.0.check(it))
    }
}

/// A pointer that is not followed: MIDL's `ignore`. It is written as null.
#[derive(Clone, Copy, Debug)]
pub struct Ignored;

impl Shape<()> for Ignored {
    const ALIGN: Align = Align::WIDE;
    const MIN: usize = 4;
    fn put(self, (): &(), w: &mut Writer) -> Put {
        w.wide(0)
    }
    fn take(self, (): &mut (), r: &mut Reader<'_>) -> Take {
        r.wide().map(|_| ())
    }
}

/// Memory of one entry in the table of full pointers, in bytes.
const FULL_ENTRY: usize = 16;

impl Writer {
    /// The identifier of a label, fresh if it was not met before.
    fn labelled(&mut self, label: u32) -> Result<u32, EncodeError> {
        if label == 0 {
            return Err(EncodeError::new(EncodeErrorKind::BadAlias(0)));
        }
        if let Some(known) = self.full.get(&label) {
            return Ok(known.id);
        }
        let id = self.fresh_referent()?;
        let written = false;
        self.full.insert(label, Label { id, written });
        Ok(id)
    }

    /// Checks that a label's value comes once, and before its aliases.
    fn settle(&mut self, label: u32, is_value: bool) -> Put {
        match self.full.get_mut(&label) {
            None if label == 0 && is_value => Ok(()),
            Some(known) if known.written != is_value => {
                known.written = true;
                Ok(())
            }
            _ => Err(EncodeError::new(EncodeErrorKind::BadAlias(label))),
        }
    }
}
