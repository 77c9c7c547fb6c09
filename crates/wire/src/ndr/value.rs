//! Values that have one form on the wire, whatever stands around them.
//!
//! Read first: [C706] sections 14.2 and 14.3.5 to 14.3.7 (structures, conformance hoisted to the
//! front of the outermost structure), 14.3.12.3 (deferral of referents).
//!
//! [C706]: https://pubs.opengroup.org/onlinepubs/9629399/chap14.htm

use crate::error::{At as _, DecodeError, DecodeErrorKind, EncodeError};
use crate::uuid::Uuid;

use super::read::Reader;
use super::syntax::{Align, Order};
use super::write::{LARGE, Writer};

/// What writing gives.
pub type Put = Result<(), EncodeError>;

/// What reading into a place gives.
pub type Take = Result<(), DecodeError>;

/// A type with a wire form of its own: a number, a structure, a handle.
///
/// `put` and `take` are the flat walk, the `_referents` functions what its pointers point at, the
/// `_counts` functions the maximum counts that stand before the outermost structure. Generated
/// code implements it. As a whole a value is written by [`put_whole`](super::Shape::put_whole) of
/// [`Plain`](super::Plain).
pub trait Value: Default {
    /// Its alignment.
    const ALIGN: Align;
    /// Fewest bytes that its flat part takes. A claimed count is refused when the bytes present
    /// could not hold that many.
    const MIN: usize;

    /// Writes the maximum counts of a conformant structure.
    ///
    /// # Errors
    /// What the interface does not allow.
    #[inline]
    fn put_counts(&self, _: &mut Writer) -> Put {
        // req: c706-14.3.7
        Ok(())
    }

    /// Writes what lies in place.
    ///
    /// # Errors
    /// What the interface does not allow.
    fn put(&self, w: &mut Writer) -> Put;

    /// Writes what the pointers in it point at.
    ///
    /// # Errors
    /// What the interface does not allow.
    #[inline]
    fn put_referents(&self, _: &mut Writer) -> Put {
        Ok(())
    }

    /// Reads the maximum counts of a conformant structure.
    ///
    /// # Errors
    /// What is wrong with the bytes.
    #[inline]
    fn take_counts(_: &mut Reader<'_>) -> Take {
        Ok(())
    }

    /// Reads what lies in place.
    ///
    /// # Errors
    /// What is wrong with the bytes.
    fn take(&mut self, r: &mut Reader<'_>) -> Take;

    /// Reads what the pointers in it point at.
    ///
    /// # Errors
    /// What is wrong with the bytes.
    #[inline]
    fn take_referents(&mut self, _: &mut Reader<'_>) -> Take {
        Ok(())
    }

    /// Writes what lies in place of many.
    ///
    /// # Errors
    /// As [`put`](Self::put), with the index in the path.
    #[inline]
    fn put_items(items: &[Self], w: &mut Writer) -> Put {
        let mut each = items.iter().enumerate();
        each.try_for_each(|(i, item)| item.put(w).at_index(i))
    }

    /// Reads what lies in place of `count`, which [`Reader::expect`] has agreed to.
    ///
    /// # Errors
    /// As [`take`](Self::take), with the index in the path.
    #[inline]
    fn take_items(r: &mut Reader<'_>, count: usize) -> Result<Vec<Self>, DecodeError> {
        let mut items = Vec::with_capacity(count);
        for i in 0..count {
            let mut item = Self::default();
            item.take(r).at_index(i)?;
            items.push(item);
        }
        Ok(items)
    }
}

/// A value that counts or chooses: what expressions such as `size_is(n / 2)` are made of.
pub trait Int {
    /// The number; one over the top of `i64` counts as the top. Nothing behind a pointer is 0.
    fn int(&self) -> i64;
}

/// A number that a union's discriminant can be.
pub trait Tag: Value + Int + Copy {
    /// The value that means `number`, if there is one.
    fn from_int(number: i64) -> Option<Self>;
}

/// How many numbers of an array are turned at a time.
const PIECE: usize = 256;

/// The basic numbers: length, word, and whole arrays as blocks.
macro_rules! numbers {
    ($($type:ident, $len:literal, $align:ident;)*) => {$(
        impl Value for $type {
            const ALIGN: Align = Align::$align;
            const MIN: usize = $len;
            #[inline]
            fn put(&self, w: &mut Writer) -> Put {
                w.$type(*self);
                Ok(())
            }
            #[inline]
            fn take(&mut self, r: &mut Reader<'_>) -> Take {
                *self = r.$type()?;
                Ok(())
            }
            #[inline]
            fn put_items(items: &[Self], w: &mut Writer) -> Put {
                if items.is_empty() {
                    return Ok(());
                }
                w.align(Self::ALIGN);
                let little = w.mode().order == Order::Little;
                let len = items.len().saturating_mul($len);
                if len < LARGE {
                    let block = w.block(len);
                    for (place, item) in block.as_chunks_mut().0.iter_mut().zip(items) {
                        *place = if little { item.to_le_bytes() } else { item.to_be_bytes() };
                    }
                    return Ok(());
                }
                w.reserve(len);
                // Piece by piece through the cache: memory need not be cleared first.
                for piece in items.chunks(PIECE) {
                    let mut words = [[0; $len]; PIECE];
                    for (word, item) in words.iter_mut().zip(piece) {
                        *word = if little { item.to_le_bytes() } else { item.to_be_bytes() };
                    }
                    let words = words.get(..piece.len()).unwrap_or_default();
                    w.slice(words.as_flattened());
                }
                Ok(())
            }
            #[inline]
            fn take_items(r: &mut Reader<'_>, count: usize) -> Result<Vec<Self>, DecodeError> {
                if count == 0 {
                    return Ok(Vec::new());
                }
                r.align(Self::ALIGN)?;
                let block = r.slice(count.saturating_mul($len))?.as_chunks().0.iter();
                Ok(match r.mode().order {
                    Order::Little => block.map(|bytes| Self::from_le_bytes(*bytes)).collect(),
                    Order::Big => block.map(|bytes| Self::from_be_bytes(*bytes)).collect(),
                })
            }
        }
    )*};
}

numbers! {
    u8, 1, A1;
    i8, 1, A1;
    u16, 2, A2;
    i16, 2, A2;
    u32, 4, A4;
    i32, 4, A4;
    u64, 8, A8;
    i64, 8, A8;
    f32, 4, A4;
    f64, 8, A8;
}

macro_rules! ints {
    ($($type:ident)*) => {$(
        impl Int for $type {
            #[inline]
            fn int(&self) -> i64 {
                i64::try_from(*self).unwrap_or(i64::MAX)
            }
        }
        impl Tag for $type {
            #[inline]
            fn from_int(number: i64) -> Option<Self> {
                Self::try_from(number).ok()
            }
        }
    )*};
}

ints!(u8 i8 u16 i16 u32 i32 u64 i64);

/// A boolean of one byte, [C706] section 14.2.2: 0 is false, everything else true.
///
/// [C706]: https://pubs.opengroup.org/onlinepubs/9629399/chap14.htm
impl Value for bool {
    const ALIGN: Align = Align::A1;
    const MIN: usize = 1;
    #[inline]
    fn put(&self, w: &mut Writer) -> Put {
        w.u8(u8::from(*self));
        Ok(())
    }
    #[inline]
    fn take(&mut self, r: &mut Reader<'_>) -> Take {
        *self = r.u8()? != 0;
        Ok(())
    }
}

impl Int for bool {
    #[inline]
    fn int(&self) -> i64 {
        i64::from(*self)
    }
}

impl Tag for bool {
    #[inline]
    fn from_int(number: i64) -> Option<Self> {
        Some(number != 0)
    }
}

/// `void`: no bytes.
impl Value for () {
    const ALIGN: Align = Align::A1;
    const MIN: usize = 0;
    #[inline]
    fn put(&self, _: &mut Writer) -> Put {
        Ok(())
    }
    #[inline]
    fn take(&mut self, _: &mut Reader<'_>) -> Take {
        Ok(())
    }
}

/// A UUID: a structure of a long, two shorts and eight bytes.
impl Value for Uuid {
    const ALIGN: Align = Align::A4;
    const MIN: usize = 16;
    #[inline]
    fn put(&self, w: &mut Writer) -> Put {
        w.align(Align::A4);
        w.slice(&match w.mode().order {
            Order::Little => self.to_bytes_le(),
            Order::Big => self.to_bytes_be(),
        });
        Ok(())
    }
    #[inline]
    fn take(&mut self, r: &mut Reader<'_>) -> Take {
        r.align(Align::A4)?;
        let bytes = *r.array()?;
        *self = match r.mode().order {
            Order::Little => Self::from_bytes_le(bytes),
            Order::Big => Self::from_bytes_be(bytes),
        };
        Ok(())
    }
}

/// An array of fixed length whose elements are whole values, [C706] section 14.3.3.1.
///
/// [C706]: https://pubs.opengroup.org/onlinepubs/9629399/chap14.htm
impl<T: Value, const N: usize> Value for [T; N]
where
    [T; N]: Default,
{
    const ALIGN: Align = T::ALIGN;
    const MIN: usize = T::MIN.saturating_mul(N);
    #[inline]
    fn put(&self, w: &mut Writer) -> Put {
        T::put_items(self, w)
    }
    #[inline]
    fn put_referents(&self, w: &mut Writer) -> Put {
        let mut each = self.iter().enumerate();
        each.try_for_each(|(i, item)| item.put_referents(w).at_index(i))
    }
    #[inline]
    fn take(&mut self, r: &mut Reader<'_>) -> Take {
        let mut each = self.iter_mut().enumerate();
        each.try_for_each(|(i, item)| item.take(r).at_index(i))
    }
    #[inline]
    fn take_referents(&mut self, r: &mut Reader<'_>) -> Take {
        let mut each = self.iter_mut().enumerate();
        each.try_for_each(|(i, item)| item.take_referents(r).at_index(i))
    }
}

impl<T: Value> Value for Box<T> {
    const ALIGN: Align = T::ALIGN;
    const MIN: usize = T::MIN;
    #[inline]
    fn put_counts(&self, w: &mut Writer) -> Put {
        T::put_counts(self, w)
    }
    #[inline]
    fn put(&self, w: &mut Writer) -> Put {
        T::put(self, w)
    }
    #[inline]
    fn put_referents(&self, w: &mut Writer) -> Put {
        T::put_referents(self, w)
    }
    #[inline]
    fn take_counts(r: &mut Reader<'_>) -> Take {
        T::take_counts(r)
    }
    #[inline]
    fn take(&mut self, r: &mut Reader<'_>) -> Take {
        r.charge(size_of::<T>())?;
        T::take(self, r)
    }
    #[inline]
    fn take_referents(&mut self, r: &mut Reader<'_>) -> Take {
        T::take_referents(self, r)
    }
}

impl<T: Int> Int for Box<T> {
    #[inline]
    fn int(&self) -> i64 {
        T::int(self)
    }
}

impl<T: Int> Int for Option<T> {
    #[inline]
    fn int(&self) -> i64 {
        self.as_ref().map_or(0, Int::int)
    }
}

impl<T: Int> Int for &T {
    #[inline]
    fn int(&self) -> i64 {
        T::int(self)
    }
}

impl Writer {
    /// Writes an enumeration that is not `v1_enum`: 2 bytes in NDR, 4 in NDR64.
    #[inline]
    pub fn enum16(&mut self, value: u16) {
        match self.mode().is_ndr64() {
            true => self.u32(value.into()),
            false => self.u16(value),
        }
    }
}

impl Reader<'_> {
    /// An enumeration that is not `v1_enum`: 2 bytes in NDR, 4 in NDR64.
    ///
    /// # Errors
    /// [`Truncated`](DecodeErrorKind::Truncated), [`OutOfRange`](DecodeErrorKind::OutOfRange) over
    /// 16 bits.
    #[inline]
    pub fn enum16(&mut self) -> Result<u16, DecodeError> {
        if !self.mode().is_ndr64() {
            return self.u16();
        }
        let wide = self.u32()?;
        u16::try_from(wide).map_err(|_| {
            self.error(DecodeErrorKind::OutOfRange {
                value: wide.into(),
                min: 0,
                max: u16::MAX.into(),
            })
        })
    }
}

/// Makes open newtypes over a number values of NDR: `ndr_number!(SidType(u16) enum16 ENUM)`.
///
/// Generated code uses it for enumerations (`enum16 ENUM`, `u32 A4`, `u8 A1`) and bitmaps.
#[macro_export]
macro_rules! ndr_number {
    ($($name:ident($type:ident) $word:ident $align:ident);* $(;)?) => {$(
        impl $crate::ndr::Value for $name {
            const ALIGN: $crate::ndr::Align = $crate::ndr::Align::$align;
            const MIN: usize = ::core::mem::size_of::<$type>();
            #[inline]
            fn put(&self, w: &mut $crate::ndr::Writer) -> $crate::ndr::Put {
                w.$word(self.0);
                Ok(())
            }
            #[inline]
            fn take(&mut self, r: &mut $crate::ndr::Reader<'_>) -> $crate::ndr::Take {
                self.0 = r.$word()?;
                Ok(())
            }
        }
        impl $crate::ndr::Int for $name {
            #[inline]
            fn int(&self) -> i64 {
                $crate::ndr::Int::int(&self.0)
            }
        }
        impl $crate::ndr::Tag for $name {
            #[inline]
            fn from_int(number: i64) -> Option<Self> {
                $crate::ndr::Tag::from_int(number).map(Self)
            }
        }
    )*};
}

/// Makes newtypes of a value values in its form: `ndr_same!(PolicyHandle(ndr::ContextHandle))`.
///
/// Generated code uses it for the types of context handles.
#[macro_export]
macro_rules! ndr_same {
    ($($name:ident($type:ty));* $(;)?) => {$(
        impl $crate::ndr::Value for $name {
            const ALIGN: $crate::ndr::Align = <$type as $crate::ndr::Value>::ALIGN;
            const MIN: usize = <$type as $crate::ndr::Value>::MIN;
            #[inline]
            fn put(&self, w: &mut $crate::ndr::Writer) -> $crate::ndr::Put {
                $crate::ndr::Value::put(&self.0, w)
            }
            #[inline]
            fn take(&mut self, r: &mut $crate::ndr::Reader<'_>) -> $crate::ndr::Take {
                $crate::ndr::Value::take(&mut self.0, r)
            }
        }
        impl From<$type> for $name {
            #[inline]
            fn from(it: $type) -> Self {
                Self(it)
            }
        }
        impl From<$name> for $type {
            #[inline]
            fn from(it: $name) -> Self {
                it.0
            }
        }
    )*};
}

/// Makes encapsulated unions values: the discriminant is theirs alone.
#[macro_export]
macro_rules! ndr_encapsulated {
    ($($name:ident);* $(;)?) => {$(
        impl $crate::ndr::Value for $name {
            const ALIGN: $crate::ndr::Align =
                <$crate::ndr::Switch as $crate::ndr::Shape<Self>>::ALIGN;
            const MIN: usize = <$crate::ndr::Switch as $crate::ndr::Shape<Self>>::MIN;
            #[inline]
            fn put(&self, w: &mut $crate::ndr::Writer) -> $crate::ndr::Put {
                $crate::ndr::Shape::put($crate::ndr::Switch($crate::ndr::ANY), self, w)
            }
            #[inline]
            fn put_referents(&self, w: &mut $crate::ndr::Writer) -> $crate::ndr::Put {
                $crate::ndr::Union::put_arm_referents(self, w)
            }
            #[inline]
            fn take(&mut self, r: &mut $crate::ndr::Reader<'_>) -> $crate::ndr::Take {
                $crate::ndr::Shape::take($crate::ndr::Switch($crate::ndr::ANY), self, r)
            }
            #[inline]
            fn take_referents(&mut self, r: &mut $crate::ndr::Reader<'_>) -> $crate::ndr::Take {
                $crate::ndr::Union::take_arm_referents(self, r)
            }
        }
    )*};
}

/// Gives bitmaps the operators of bits.
#[macro_export]
macro_rules! ndr_bits {
    ($($name:ident);* $(;)?) => {$(
        impl $name {
            /// Whether all bits of `other` are set.
            #[inline]
            #[allow(dead_code)]
            pub const fn contains(self, other: Self) -> bool {
                self.0 & other.0 == other.0
            }
        }
        impl ::core::ops::BitOr for $name {
            type Output = Self;
            #[inline]
            fn bitor(self, other: Self) -> Self {
                Self(self.0 | other.0)
            }
        }
        impl ::core::ops::BitAnd for $name {
            type Output = Self;
            #[inline]
            fn bitand(self, other: Self) -> Self {
                Self(self.0 & other.0)
            }
        }
    )*};
}
