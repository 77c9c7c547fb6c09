//! Strings: arrays that end with a zero, which is sent and counted.
//!
//! Read first: [C706] section 14.3.4 (strings), MS-RPCE sections 2.2.4.1.1 (`wchar_t`) and
//! 2.2.5.3.3 (NDR64). What is kept is the text without its terminator: bytes in a [`Str`], UTF-16
//! in a [`WideStr`]. A string that does not end with zero is refused.
//!
//! [C706]: https://pubs.opengroup.org/onlinepubs/9629399/chap14.htm

use std::fmt;

use crate::error::{DecodeError, DecodeErrorKind, EncodeError, EncodeErrorKind};
use crate::text::Str;

use super::array::{ANY, Sequence, Span, hoist, hoisted};
use super::read::Reader;
use super::shape::{Plain, Shape};
use super::syntax::Align;
use super::value::{Put, Take, Value};
use super::write::Writer;

/// A string of 16-bit characters that are usually UTF-16.
///
/// Windows allows any units in names, so they are kept as they are; it prints lossily and
/// compares with `&str`.
#[derive(Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct WideStr(Vec<u16>);

impl WideStr {
    /// The string of these units.
    pub fn from_units(units: Vec<u16>) -> Self {
        Self(units)
    }

    /// Its units.
    pub fn units(&self) -> &[u16] {
        &self.0
    }

    /// Number of units.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The text, if it is UTF-16.
    ///
    /// # Errors
    /// A surrogate without its partner.
    pub fn to_text(&self) -> Result<String, std::string::FromUtf16Error> {
        String::from_utf16(&self.0)
    }
}

impl From<&str> for WideStr {
    fn from(text: &str) -> Self {
        Self(text.encode_utf16().collect())
    }
}

impl From<String> for WideStr {
    fn from(text: String) -> Self {
        Self::from(text.as_str())
    }
}

impl PartialEq<str> for WideStr {
    fn eq(&self, other: &str) -> bool {
        self.0.iter().copied().eq(other.encode_utf16())
    }
}

impl PartialEq<&str> for WideStr {
    fn eq(&self, other: &&str) -> bool {
        *self == **other
    }
}

impl fmt::Display for WideStr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&String::from_utf16_lossy(&self.0))
    }
}

impl fmt::Debug for WideStr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&String::from_utf16_lossy(&self.0), f)
    }
}

impl Sequence for WideStr {
    type Item = u16;
    #[inline]
    fn items(&self) -> &[u16] {
        &self.0
    }
    #[inline]
    fn items_mut(&mut self) -> &mut [u16] {
        &mut []
    }
    #[inline]
    fn take_items<S: Shape<u16>>(
        shape: S,
        r: &mut Reader<'_>,
        count: usize,
    ) -> Result<Self, DecodeError> {
        Vec::take_items(shape, r, count).map(Self)
    }
}

/// What a string of `[string]` can be kept in.
pub trait Text: Sequence<Item: Value + PartialEq> {
    /// Drops the last unit.
    fn pop(&mut self) -> Option<Self::Item>;
}

impl Text for WideStr {
    fn pop(&mut self) -> Option<u16> {
        self.0.pop()
    }
}

impl Text for Str {
    #[inline]
    fn pop(&mut self) -> Option<u8> {
        Self::pop(self)
    }
}

/// Units of other kinds, such as the octets and small integers that C706 allows.
impl<T: Value + PartialEq> Text for Vec<T> {
    fn pop(&mut self) -> Option<T> {
        Self::pop(self)
    }
}

/// A conformant string, [C706] section 14.3.4.2: maximum, offset 0, count, units, zero.
///
/// Made with what `size_is` says of its room; [`ANY`] is what the text needs.
///
/// [C706]: https://pubs.opengroup.org/onlinepubs/9629399/chap14.htm
#[derive(Clone, Copy, Debug)]
pub struct ConformantString(pub i64);

/// A varying string, [C706] section 14.3.4.1, in an array of so many units: offset 0, count,
/// units, zero.
///
/// [C706]: https://pubs.opengroup.org/onlinepubs/9629399/chap14.htm
#[derive(Clone, Copy, Debug)]
pub struct VaryingString(pub i64);

impl<Q: Text> Shape<Q> for ConformantString {
    const ALIGN: Align = Align::WIDE;
    const MIN: usize = 8;
    fn put_counts(self, it: &Q, w: &mut Writer) -> Put {
        let len = it.items().len().saturating_add(1);
        let room = roomy(len, self.0)?;
        w.align(Align::WIDE);
        w.wide(room)
    }
    fn put(self, it: &Q, w: &mut Writer) -> Put {
        put_units(it, w)
    }
    fn take_counts(self, r: &mut Reader<'_>) -> Take {
        hoist(r)
    }
    fn take(self, it: &mut Q, r: &mut Reader<'_>) -> Take {
        let max = hoisted(r)?;
        r.agree(max, self.0)?;
        take_units(it, r, max)
    }
}

impl<Q: Text> Shape<Q> for VaryingString {
    const ALIGN: Align = Align::WIDE;
    const MIN: usize = 8;
    fn put(self, it: &Q, w: &mut Writer) -> Put {
        roomy(it.items().len().saturating_add(1), self.0)?;
        put_units(it, w)
    }
    fn take(self, it: &mut Q, r: &mut Reader<'_>) -> Take {
        take_units(it, r, u64::try_from(self.0).unwrap_or(u64::MAX))
    }
}

/// The room of a string of `len` units, terminator included.
fn roomy(len: usize, room: i64) -> Result<u64, EncodeError> {
    let wanted = u64::try_from(len).unwrap_or(u64::MAX);
    match u64::try_from(room) {
        Ok(room) if room >= wanted => Ok(room),
        _ if room == ANY => Ok(wanted),
        _ => Err(EncodeError::new(EncodeErrorKind::BadCount {
            len,
            expected: room,
        })),
    }
}

fn put_units<Q: Text>(it: &Q, w: &mut Writer) -> Put {
    let items = it.items();
    w.align(Align::WIDE);
    w.wide(0)?;
    w.count(items.len().saturating_add(1))?;
    Q::Item::put_items(items, w)?;
    Q::Item::default().put(w)
}

fn take_units<Q: Text>(it: &mut Q, r: &mut Reader<'_>, max: u64) -> Take {
    // req: c706-14.3.4
    let span = Span::len(ANY);
    let count = span.take(r, max)?;
    *it = Q::take_items(Plain, r, count)?;
    match it.pop() {
        Some(last) if last == Q::Item::default() => Ok(()),
        _ => Err(r.error(DecodeErrorKind::Invalid("string does not end with zero"))),
    }
}
