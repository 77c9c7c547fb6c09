//! Wire forms that stand beside the type: what attributes make of a field.
//!
//! The same `Vec<u16>` may be a conformant array, a varying one, or lie behind a pointer. A
//! [`Shape`] says which: small values that nest, such as `Unique(Conformant(n, Plain))`. Generated
//! code writes each field as `SHAPE.put(&self.field, w)`, and so on for the other walks.

use crate::error::{At as _, DecodeError, DecodeErrorKind, EncodeError, EncodeErrorKind};

use super::read::Reader;
use super::syntax::{Align, Mode, Order, Syntax};
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

    /// Whether a value that was read agrees with the numbers of this shape, which were not known
    /// while it was read.
    ///
    /// # Errors
    /// [`BadCount`](DecodeErrorKind::BadCount), [`BadSwitch`](DecodeErrorKind::BadSwitch).
    #[inline]
    fn check(self, _: &T) -> Result<(), DecodeErrorKind> {
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
        // req: c706-14.3.12.3
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
    #[inline]
    fn check(self, it: &Box<T>) -> Result<(), DecodeErrorKind> {
        self.0.check(it)
    }
    #[inline]
    fn put_whole(self, it: &Box<T>, w: &mut Writer) -> Put {
        self.0.put_whole(it, w)
    }
    #[inline]
    fn take_whole(self, it: &mut Box<T>, r: &mut Reader<'_>) -> Take {
        r.charge(size_of::<T>())?;
        self.0.take_whole(it, r)
    }
}

/// A type of the program's own that stands for one of the interface: `transmit_as`,
/// `represent_as`, `wire_marshal`, `user_marshal` and `cs_char` in the interface file or beside it.
///
/// The compiler is told by `Config::extern_path` which type it is. It stands in generated code as it is: in arguments and
/// results, behind pointers, and in structures and arrays too, unless what is on the wire has pointers of its own. Then
/// it is [`As`] there, since the value cannot be made before those are read.
///
/// ```
/// use farcall_wire::ndr::Represent;
/// use farcall_wire::{DecodeErrorKind, EncodeError};
///
/// /// A temperature; `typedef [represent_as(celsius)] short temperature;` is what the interface has.
/// #[derive(Clone, Debug, Default, PartialEq)]
/// struct Celsius(f32);
///
/// impl Represent for Celsius {
///     type Wire = i16; // tenths
///
///     fn to_wire(&self) -> Result<i16, EncodeError> {
///         Ok((self.0 * 10.0).round() as i16)
///     }
///
///     fn from_wire(tenths: i16) -> Result<Self, DecodeErrorKind> {
///         match tenths {
///             -2732.. => Ok(Self(f32::from(tenths) / 10.0)),
///             _ => Err(DecodeErrorKind::Invalid("colder than anything")),
///         }
///     }
/// }
/// ```
pub trait Represent: Default {
    /// What is on the wire.
    type Wire: Default;

    /// The value for the wire.
    ///
    /// # Errors
    /// A value that cannot be sent.
    fn to_wire(&self) -> Result<Self::Wire, EncodeError>;

    /// The value from the wire.
    ///
    /// # Errors
    /// What is wrong with it: often [`Invalid`](DecodeErrorKind::Invalid).
    fn from_wire(wire: Self::Wire) -> Result<Self, DecodeErrorKind>;
}

/// The local form of an operation with `call_as`: what callers give and get, and what a server's method takes and gives,
/// in place of what is on the wire.
///
/// The compiler is told by `Config::call_as` which type says so; it is never made, its functions are what counts.
pub trait CallAs: 'static {
    /// What is called with.
    type Call: Send + 'static;
    /// What comes of it.
    type Outcome: Send + 'static;
    /// The arguments on the wire: one by itself, several as a tuple in their order.
    type Arguments;
    /// What is given back on the wire: one value by itself, several as the structure that generated code has.
    type Results;

    /// The arguments that go.
    ///
    /// # Errors
    /// A call that cannot be made.
    fn arguments(call: &Self::Call) -> Result<Self::Arguments, EncodeError>;

    /// What came back.
    ///
    /// # Errors
    /// What is wrong with it.
    fn outcome(results: Self::Results) -> Result<Self::Outcome, DecodeErrorKind>;

    /// The call that came.
    ///
    /// # Errors
    /// What is wrong with its arguments.
    fn call(arguments: Self::Arguments) -> Result<Self::Call, DecodeErrorKind>;

    /// What goes back.
    ///
    /// # Errors
    /// What cannot be sent.
    fn results(outcome: Self::Outcome) -> Result<Self::Results, EncodeError>;
}

/// A value of the program's own in a structure or an array, where what is on the wire has pointers: `0` holds
/// it, and it is at hand as if it were that.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct As<L: Represent>(pub L, Pending<L::Wire>);

impl<L: Represent> As<L> {
    /// The value.
    pub fn into_inner(self) -> L {
        self.0
    }
}

impl<L: Represent> core::ops::Deref for As<L> {
    type Target = L;
    fn deref(&self) -> &L {
        &self.0
    }
}

impl<L: Represent> core::ops::DerefMut for As<L> {
    fn deref_mut(&mut self) -> &mut L {
        &mut self.0
    }
}

/// What was read of a value and waits for what its pointers point at.
type Pending<W> = Option<Box<W>>;

impl<L: Represent> From<L> for As<L> {
    fn from(value: L) -> Self {
        Self(value, None)
    }
}

/// The form of [`As`], when the wire's type has the form `S`.
#[derive(Clone, Copy, Debug)]
pub struct Via<S>(pub S);

impl<L: Represent, S: Shape<L::Wire>> Shape<As<L>> for Via<S> {
    const ALIGN: Align = S::ALIGN;
    const MIN: usize = S::MIN;
    fn put_counts(self, it: &As<L>, w: &mut Writer) -> Put {
        self.0.put_counts(&it.0.to_wire()?, w)
    }
    fn put(self, it: &As<L>, w: &mut Writer) -> Put {
        self.0.put(&it.0.to_wire()?, w)
    }
    fn put_referents(self, it: &As<L>, w: &mut Writer) -> Put {
        self.0.put_referents(&it.0.to_wire()?, w)
    }
    fn take_counts(self, r: &mut Reader<'_>) -> Take {
        self.0.take_counts(r)
    }
    fn take(self, it: &mut As<L>, r: &mut Reader<'_>) -> Take {
        r.charge(size_of::<L::Wire>())?;
        self.0.take(it.1.get_or_insert_default(), r)
    }
    fn take_referents(self, it: &mut As<L>, r: &mut Reader<'_>) -> Take {
        let mut wire = it.1.take().unwrap_or_default();
        self.0.take_referents(&mut wire, r)?;
        it.0 = L::from_wire(*wire).map_err(|kind| r.error(kind))?;
        Ok(())
    }
}

/// The form of a value of the program's own where nothing has to wait, when the wire's type has the
/// form `S`: a parameter, what a pointer points at, or anything if the wire's type has no pointers.
#[derive(Clone, Copy, Debug)]
pub struct Own<S>(pub S);

impl<L: Represent, S: Shape<L::Wire>> Shape<L> for Own<S> {
    const ALIGN: Align = S::ALIGN;
    const MIN: usize = S::MIN;
    fn put_counts(self, it: &L, w: &mut Writer) -> Put {
        self.0.put_counts(&it.to_wire()?, w)
    }
    fn put(self, it: &L, w: &mut Writer) -> Put {
        self.0.put(&it.to_wire()?, w)
    }
    fn put_referents(self, it: &L, w: &mut Writer) -> Put {
        self.0.put_referents(&it.to_wire()?, w)
    }
    fn take_counts(self, r: &mut Reader<'_>) -> Take {
        self.0.take_counts(r)
    }
    fn take(self, it: &mut L, r: &mut Reader<'_>) -> Take {
        let mut wire = L::Wire::default();
        self.0.take(&mut wire, r)?;
        *it = L::from_wire(wire).map_err(|kind| r.error(kind))?;
        Ok(())
    }
    fn put_whole(self, it: &L, w: &mut Writer) -> Put {
        self.0.put_whole(&it.to_wire()?, w)
    }
    fn take_whole(self, it: &mut L, r: &mut Reader<'_>) -> Take {
        let wire = self.0.read(r)?;
        *it = L::from_wire(wire).map_err(|kind| r.error(kind))?;
        Ok(())
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

/// A part in another byte order, without alignment, or in NDR's form under NDR64: pidl's
/// `flag(NDR_BIG_ENDIAN)`, `flag(NDR_LITTLE_ENDIAN)`, `flag(NDR_NOALIGN)` and `flag(NDR_NO_NDR64)`.
#[derive(Clone, Copy, Debug)]
pub struct In<S>(pub Part, pub S);

/// What [`In`] changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Part {
    order: Option<Order>,
    packed: bool,
    narrow: bool,
    /// Alignment in front and behind, in bytes.
    align: u8,
}

impl Part {
    /// Nothing is changed.
    pub const SAME: Self = Self {
        order: None,
        packed: false,
        narrow: false,
        align: 1,
    };

    /// In this byte order.
    #[must_use]
    pub const fn order(self, order: Order) -> Self {
        Self {
            order: Some(order),
            ..self
        }
    }

    /// Without alignment.
    #[must_use]
    pub const fn packed(self) -> Self {
        Self {
            packed: true,
            ..self
        }
    }

    /// In NDR's form.
    #[must_use]
    pub const fn narrow(self) -> Self {
        Self {
            narrow: true,
            ..self
        }
    }

    /// Aligned to so many bytes in front and behind.
    #[must_use]
    pub const fn align(self, align: u8) -> Self {
        Self { align, ..self }
    }

    fn of(self, mode: Mode) -> Mode {
        Mode {
            order: self.order.unwrap_or(mode.order),
            packed: self.packed || mode.packed,
            syntax: match self.narrow {
                true => Syntax::Ndr,
                false => mode.syntax,
            },
        }
    }

    /// Writes what `f` writes in this manner.
    ///
    /// # Errors
    /// What `f` returns.
    pub fn put(self, w: &mut Writer, f: impl FnOnce(&mut Writer) -> Put) -> Put {
        let align = Align::new(self.align, self.align);
        w.align(align);
        w.with_mode(self.of(w.mode()), f)?;
        w.align(align);
        Ok(())
    }

    /// Reads what `f` reads in this manner.
    ///
    /// # Errors
    /// What `f` returns.
    pub fn take(self, r: &mut Reader<'_>, f: impl FnOnce(&mut Reader<'_>) -> Take) -> Take {
        let align = Align::new(self.align, self.align);
        r.align(align)?;
        r.with_mode(self.of(r.mode()), f)?;
        r.skip_to(align)
    }
}

impl<T: Default, S: Shape<T>> Shape<T> for In<S> {
    const ALIGN: Align = S::ALIGN;
    const MIN: usize = S::MIN;
    fn put_counts(self, it: &T, w: &mut Writer) -> Put {
        self.0.put(w, |w| self.1.put_counts(it, w))
    }
    fn put(self, it: &T, w: &mut Writer) -> Put {
        self.0.put(w, |w| self.1.put(it, w))
    }
    fn put_referents(self, it: &T, w: &mut Writer) -> Put {
        self.0.put(w, |w| self.1.put_referents(it, w))
    }
    fn take_counts(self, r: &mut Reader<'_>) -> Take {
        self.0.take(r, |r| self.1.take_counts(r))
    }
    fn take(self, it: &mut T, r: &mut Reader<'_>) -> Take {
        self.0.take(r, |r| self.1.take(it, r))
    }
    fn take_referents(self, it: &mut T, r: &mut Reader<'_>) -> Take {
        self.0.take(r, |r| self.1.take_referents(it, r))
    }
    fn check(self, it: &T) -> Result<(), DecodeErrorKind> {
        self.1.check(it)
    }
}
