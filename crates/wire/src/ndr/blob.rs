//! Pieces that only the Samba project's IDL has: blobs, strings whose counts are their own,
//! values in bytes of their own (subcontexts), and pointers that are offsets.
//!
//! Read first: the `flag`, `relative` and `subcontext` attributes in the headers of pidl. Nothing
//! here is in C706. Relative pointers may point anywhere in the bytes, also many at one place: what
//! is read again takes fuel.

use bytes::Bytes;

use crate::error::{DecodeError, DecodeErrorKind, EncodeError, EncodeErrorKind};

use super::array::ANY;
use super::read::Reader;
use super::shape::{Plain, Shape};
use super::string::Text;
use super::syntax::{Align, Mode, Order, Syntax};
use super::value::{Put, Take, Value};
use super::write::{Writer, out_of_range};

/// `DATA_BLOB`: a 32-bit count and bytes.
#[derive(Clone, Copy, Debug)]
pub struct CountedBlob;

impl Shape<Bytes> for CountedBlob {
    const ALIGN: Align = Align::A4;
    const MIN: usize = 4;
    fn put(self, it: &Bytes, w: &mut Writer) -> Put {
        w.u32(narrow(it.len())?);
        w.slice(it);
        Ok(())
    }
    fn take(self, it: &mut Bytes, r: &mut Reader<'_>) -> Take {
        let len = r.u32()?;
        *it = r.bytes(r.length(len.into())?)?;
        Ok(())
    }
}

/// `DATA_BLOB` of `flag(NDR_ALIGN4)` and the like: the bytes up to the alignment.
#[derive(Clone, Copy, Debug)]
pub struct Filler(pub u8);

impl Shape<Bytes> for Filler {
    const ALIGN: Align = Align::A1;
    const MIN: usize = 0;
    fn put(self, it: &Bytes, w: &mut Writer) -> Put {
        let gap = super::syntax::gap(w.position(), self.0);
        let filler = it.get(..gap.min(it.len())).unwrap_or_default();
        w.slice(filler);
        w.zeros(gap.saturating_sub(filler.len()));
        Ok(())
    }
    fn take(self, it: &mut Bytes, r: &mut Reader<'_>) -> Take {
        let gap = super::syntax::gap(r.position(), self.0);
        *it = r.bytes(gap.min(r.remaining()))?;
        Ok(())
    }
}

/// The counts in front of a [`FlaggedString`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StringCounts {
    /// None: up to a zero, or to the end of the bytes.
    None,
    /// 32 bits.
    Size4,
    /// 16 bits.
    Size2,
    /// A 32-bit offset, 0, and a 32-bit length.
    Length4,
    /// Size, offset and length.
    SizeLength4,
    /// 16 bits, or 0xffff and 32 bits.
    LargeSize,
    /// So many units, filled with zeros.
    Fixed(u32),
}

/// pidl's `string` with its flags.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FlaggedString {
    /// The counts in front.
    pub counts: StringCounts,
    /// Whether a zero ends it.
    pub terminated: bool,
    /// Whether counts are of bytes, not of units.
    pub byte_size: bool,
}

impl FlaggedString {
    fn unit<Q: Text>() -> usize {
        <Q::Item as Value>::MIN
    }

    /// Writes the counts of `len` units.
    fn put_counts<Q: Text>(self, len: usize, w: &mut Writer) -> Put {
        let unit = if self.byte_size { Self::unit::<Q>() } else { 1 };
        let count = narrow(len.saturating_mul(unit))?;
        let short = || u16::try_from(count).map_err(|_| out_of_range(count.into(), 0, 0xffff));
        match self.counts {
            StringCounts::None | StringCounts::Fixed(_) => {}
            StringCounts::Size4 => w.u32(count),
            StringCounts::Size2 => w.u16(short()?),
            StringCounts::Length4 => [0, count].into_iter().for_each(|n| w.u32(n)),
            StringCounts::SizeLength4 => [count, 0, count].into_iter().for_each(|n| w.u32(n)),
            StringCounts::LargeSize => match short() {
                Ok(short) if short != u16::MAX => w.u16(short),
                _ => {
                    w.u16(u16::MAX);
                    w.u32(count);
                }
            },
        }
        Ok(())
    }

    /// The number of units that the counts say; `None` if there are no counts.
    fn take_counts(self, unit: usize, r: &mut Reader<'_>) -> Result<Option<usize>, DecodeError> {
        let count = match self.counts {
            StringCounts::None => return Ok(None),
            StringCounts::Fixed(n) => return r.length(n.into()).map(Some),
            StringCounts::Size4 => r.u32()?,
            StringCounts::Size2 => r.u16()?.into(),
            StringCounts::Length4 => {
                r.u32()?;
                r.u32()?
            }
            StringCounts::SizeLength4 => {
                r.u32()?;
                r.u32()?;
                r.u32()?
            }
            StringCounts::LargeSize => match r.u16()? {
                u16::MAX => r.u32()?,
                short => short.into(),
            },
        };
        let count = r.length(count.into())?;
        let unit = if self.byte_size { unit } else { 1 };
        Ok(count.checked_div(unit))
    }
}

impl<Q: Text> Shape<Q> for FlaggedString {
    const ALIGN: Align = Align::A1;
    const MIN: usize = 0;

    fn put(self, it: &Q, w: &mut Writer) -> Put {
        let items = it.items();
        let zero = usize::from(self.terminated);
        self.put_counts::<Q>(items.len().saturating_add(zero), w)?;
        // Its units lie where they come, whatever their size.
        let packed = packed(w.mode());
        w.with_mode(packed, |w| {
            <Q::Item as Value>::put_items(items, w)?;
            match self.terminated && !matches!(self.counts, StringCounts::Fixed(_)) {
                true => Q::Item::default().put(w),
                false => Ok(()),
            }
        })?;
        if let StringCounts::Fixed(n) = self.counts {
            let rest = usize::try_from(n)
                .unwrap_or(usize::MAX)
                .checked_sub(items.len());
            let rest = rest.ok_or_else(|| {
                EncodeError::new(EncodeErrorKind::TooLong {
                    len: items.len(),
                    max: n,
                })
            })?;
            w.zeros(rest.saturating_mul(Self::unit::<Q>()));
        }
        Ok(())
    }

    fn take(self, it: &mut Q, r: &mut Reader<'_>) -> Take {
        let unit = Self::unit::<Q>();
        let count = match self.take_counts(unit, r)? {
            Some(count) => count,
            None if self.terminated => until_zero(r, unit)?,
            None => r.remaining().checked_div(unit).unwrap_or(0),
        };
        *it = r.with_mode(packed(r.mode()), |r| Q::take_items(Plain, r, count))?;
        let zeros = match self.counts {
            StringCounts::Fixed(_) => usize::MAX,
            _ => usize::from(self.terminated),
        };
        for _ in 0..zeros {
            match it.items().last() {
                Some(last) if *last == Q::Item::default() => it.pop(),
                _ => break,
            };
        }
        Ok(())
    }
}

/// The same mode without alignment.
fn packed(mode: Mode) -> Mode {
    Mode {
        packed: true,
        ..mode
    }
}

/// How many units there are up to a zero, which counts.
fn until_zero(r: &Reader<'_>, unit: usize) -> Result<usize, DecodeError> {
    let mut units = r.rest().chunks_exact(unit.max(1));
    match units.position(|unit| unit.iter().all(|byte| *byte == 0)) {
        Some(at) => Ok(at.saturating_add(1)),
        None => Err(r.error(DecodeErrorKind::Invalid("string does not end with zero"))),
    }
}

/// pidl's `string_array`: strings, and an empty one or the end of the bytes after them.
#[derive(Clone, Copy, Debug)]
pub struct StringArray(pub FlaggedString);

impl<Q: Text> Shape<Vec<Q>> for StringArray {
    const ALIGN: Align = Align::A1;
    const MIN: usize = 0;
    fn put(self, it: &Vec<Q>, w: &mut Writer) -> Put {
        self.0.put_items(it, w)?;
        self.0.put(&Q::default(), w)
    }
    fn take(self, it: &mut Vec<Q>, r: &mut Reader<'_>) -> Take {
        while r.remaining() > 0 {
            r.burn(1)?;
            let text: Q = self.0.read(r)?;
            if text.items().is_empty() {
                break;
            }
            r.charge(size_of::<Q>())?;
            it.push(text);
        }
        Ok(())
    }
}

/// What stands in front of a [`Subcontext`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Header {
    /// Nothing.
    None,
    /// 16 bits of length.
    Short,
    /// 32 bits of length.
    Long,
    /// The headers of type serialization, version 1.
    Pickle,
}

/// A value in bytes of their own, whose positions count from their start: the header, the size in
/// bytes or [`ANY`], and what is inside. NDR64 does not reach into it.
#[derive(Clone, Copy, Debug)]
pub struct Subcontext<S>(pub Header, pub i64, pub S);

impl<T: Default, S: Shape<T>> Shape<T> for Subcontext<S> {
    const ALIGN: Align = Align::A1;
    const MIN: usize = 0;

    fn put(self, it: &T, w: &mut Writer) -> Put {
        let order = w.mode().order;
        let mut inner = Writer::new(Syntax::Ndr, order);
        self.2.put_whole(it, &mut inner)?;
        let mut body = inner.into_bytes();
        if let Ok(size) = usize::try_from(self.1) {
            if body.len() > size {
                return Err(out_of_range(self.1.into(), 0, self.1.into()));
            }
            body.resize(size, 0);
        }
        match self.0 {
            Header::None => {}
            Header::Short => {
                let len = u16::try_from(body.len());
                w.u16(len.map_err(|_| EncodeError::new(EncodeErrorKind::TooLarge))?);
            }
            Header::Long => w.u32(narrow(body.len())?),
            Header::Pickle => {
                body.resize(body.len().next_multiple_of(8), 0);
                w.slice(&[1, if order == Order::Little { 0x10 } else { 0 }]);
                w.u16(8);
                w.slice(&[0xcc; 4]);
                w.u32(narrow(body.len())?);
                w.u32(0);
            }
        }
        w.slice(&body);
        Ok(())
    }

    fn take(self, it: &mut T, r: &mut Reader<'_>) -> Take {
        let mut order = r.mode().order;
        let len = match self.0 {
            Header::None if self.1 == ANY => r.remaining(),
            Header::None => r.length(u64::try_from(self.1).unwrap_or(0))?,
            Header::Short => r.u16()?.into(),
            Header::Long => {
                let len = r.u32()?;
                r.length(len.into())?
            }
            Header::Pickle => {
                order = match *r.array()? {
                    [1, 0x10] => Order::Little,
                    [1, 0] => Order::Big,
                    _ => return Err(r.error(DecodeErrorKind::Invalid("not type serialization"))),
                };
                let mode = Mode { order, ..r.mode() };
                r.slice(6)?;
                let len = r.with_mode(mode, Reader::u32)?;
                r.slice(4)?;
                r.length(len.into())?
            }
        };
        let bytes = r.slice(len)?;
        r.within(bytes, order, |r| self.2.take_whole(it, r))
    }
}

/// pidl's `relative` pointer: a 32-bit offset, 0 for null, from the nearest base.
#[derive(Clone, Copy, Debug)]
pub struct Relative<S>(pub S);

/// pidl's `relative_short`: the same in 16 bits.
#[derive(Clone, Copy, Debug)]
pub struct RelativeShort<S>(pub S);

impl<T: Default, S: Shape<T>> Shape<Option<T>> for Relative<S> {
    const ALIGN: Align = Align::A4;
    const MIN: usize = 4;
    fn put(self, _: &Option<T>, w: &mut Writer) -> Put {
        w.align(Align::A4);
        w.promise();
        w.u32(0);
        Ok(())
    }
    fn put_referents(self, it: &Option<T>, w: &mut Writer) -> Put {
        let (place, offset) = w.redeem();
        let Some(it) = it else {
            return Ok(());
        };
        w.patch_u32(place, narrow(offset)?);
        w.nested(|w| self.0.put_whole(it, w))
    }
    fn take(self, it: &mut Option<T>, r: &mut Reader<'_>) -> Take {
        let offset = r.u32()?;
        follow_later(it, offset, r)
    }
    fn take_referents(self, it: &mut Option<T>, r: &mut Reader<'_>) -> Take {
        follow(self.0, it, r)
    }
    fn check(self, it: &Option<T>) -> Result<(), DecodeErrorKind> {
        it.as_ref().map_or(Ok(()), |it| self.0.check(it))
    }
}

impl<T: Default, S: Shape<T>> Shape<Option<T>> for RelativeShort<S> {
    const ALIGN: Align = Align::A2;
    const MIN: usize = 2;
    fn put(self, _: &Option<T>, w: &mut Writer) -> Put {
        w.align(Align::A2);
        w.promise();
        w.u16(0);
        Ok(())
    }
    fn put_referents(self, it: &Option<T>, w: &mut Writer) -> Put {
        let (place, offset) = w.redeem();
        let Some(it) = it else {
            return Ok(());
        };
        let offset = u16::try_from(offset);
        w.patch_u16(
            place,
            offset.map_err(|_| EncodeError::new(EncodeErrorKind::TooLarge))?,
        );
        w.nested(|w| self.0.put_whole(it, w))
    }
    fn take(self, it: &mut Option<T>, r: &mut Reader<'_>) -> Take {
        let offset = r.u16()?;
        follow_later(it, offset.into(), r)
    }
    fn take_referents(self, it: &mut Option<T>, r: &mut Reader<'_>) -> Take {
        follow(self.0, it, r)
    }
    fn check(self, it: &Option<T>) -> Result<(), DecodeErrorKind> {
        it.as_ref().map_or(Ok(()), |it| self.0.check(it))
    }
}

fn follow_later<T: Default>(it: &mut Option<T>, offset: u32, r: &mut Reader<'_>) -> Take {
    r.offsets.push_back(r.length(offset.into())?);
    *it = (offset != 0).then(T::default);
    Ok(())
}

fn follow<T: Default, S: Shape<T>>(shape: S, it: &mut Option<T>, r: &mut Reader<'_>) -> Take {
    let offset = r.offsets.pop_front().unwrap_or(0);
    let Some(it) = it else {
        return Ok(());
    };
    r.elsewhere(offset, |r| r.nested(|r| shape.take_whole(it, r)))
}

impl Writer {
    /// Keeps the position for what comes in the second walk.
    pub(super) fn promise(&mut self) {
        let position = self.position();
        self.offsets.push_back(position);
    }

    /// The position that was kept, and the offset of this one from the base.
    fn redeem(&mut self) -> (usize, usize) {
        let place = self.offsets.pop_front().unwrap_or(0);
        (place, self.position().saturating_sub(self.base))
    }

    /// The base of relative pointers is here: `relative_base`, in the first walk.
    pub fn base_here(&mut self) {
        self.promise();
    }

    /// Writes in the second walk with the base that the first one kept.
    ///
    /// # Errors
    /// What `f` returns.
    pub fn with_base(&mut self, f: impl FnOnce(&mut Self) -> Put) -> Put {
        let base = self.offsets.pop_front().unwrap_or(0);
        let before = std::mem::replace(&mut self.base, base);
        let result = f(self);
        self.base = before;
        result
    }
}

impl<'a> Reader<'a> {
    /// The base of relative pointers is here: `relative_base`, in the first walk.
    pub fn base_here(&mut self) {
        let position = self.position();
        self.offsets.push_back(position);
    }

    /// Reads in the second walk with the base that the first one kept.
    ///
    /// # Errors
    /// What `f` returns.
    pub fn with_base(&mut self, f: impl FnOnce(&mut Self) -> Take) -> Take {
        let base = self.offsets.pop_front().unwrap_or(0);
        let before = std::mem::replace(&mut self.base, base);
        let result = f(self);
        self.base = before;
        result
    }
}

/// A length in 32 bits.
fn narrow(len: usize) -> Result<u32, EncodeError> {
    u32::try_from(len).map_err(|_| EncodeError::new(EncodeErrorKind::TooLarge))
}
