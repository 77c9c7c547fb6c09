//! XDR, the external data representation: RFC 4506 as two traits.
//!
//! Read first: [RFC 4506] section 4, one subsection per type. [`Encode`] and [`Decode`] are
//! implemented here for the basic types and by generated code for everything an interface file
//! declares. Opaque data and strings have bounds that belong to the place where they are
//! declared, so they are read and written by [`Reader`] and [`Writer`] directly.
//!
//! `u8`, `i8`, `u16` and `i16` are rpcgen's `char` and `short`: they travel in four bytes.
//!
//! What this file does not do: it never recurses along a linked list ([`list`]), and it never
//! reserves memory for more elements than the bytes present could hold.
//!
//! [RFC 4506]: https://www.rfc-editor.org/rfc/rfc4506

use crate::cursor::Reader;
use crate::error::{At, DecodeError, DecodeErrorKind, EncodeError, EncodeErrorKind};
use crate::text::Str;
use crate::wide::loop_over;
use crate::write::{Size, Writer};

/// A value that can be written as XDR.
pub trait Encode {
    /// Length on the wire in bytes, if every value of the type has the same.
    const FIXED: Option<usize> = None;

    /// Adds this value's length to `size` and checks every declared bound.
    ///
    /// # Errors
    /// The bound that the value breaks.
    fn measure(&self, size: &mut Size) -> Result<(), EncodeError>;

    /// Writes the value. It has been measured, so this cannot fail.
    fn encode(&self, w: &mut Writer<'_>);

    /// Measures the elements of an array, its count not included.
    ///
    /// # Errors
    /// As [`measure`](Self::measure), with the index in the path.
    #[inline]
    fn measure_slice(items: &[Self], size: &mut Size) -> Result<(), EncodeError>
    where
        Self: Sized,
    {
        if let Some(each) = Self::FIXED {
            size.add_many(each, items.len());
            return Ok(());
        }
        for (i, item) in items.iter().enumerate() {
            size.apart(|size| item.measure(size)).at_index(i)?;
        }
        Ok(())
    }

    /// Writes the elements of an array, its count not included.
    #[inline]
    fn encode_slice(items: &[Self], w: &mut Writer<'_>)
    where
        Self: Sized,
    {
        items.iter().for_each(|item| item.encode(w));
    }
}

/// A value that can be read from XDR; it may borrow from the bytes.
pub trait Decode<'a>: Sized {
    /// Fewest bytes that a value takes on the wire. A claimed count is refused when the bytes
    /// present could not hold that many.
    const MIN_LEN: usize;

    /// Reads one value.
    ///
    /// # Errors
    /// Whatever is wrong with the bytes: kind, offset and field.
    fn decode(r: &mut Reader<'a>) -> Result<Self, DecodeError>;

    /// Reads `count` values, the count itself already read.
    ///
    /// # Errors
    /// As [`decode`](Self::decode), with the index in the path.
    #[inline]
    fn decode_vec(r: &mut Reader<'a>, count: usize) -> Result<Vec<Self>, DecodeError> {
        reserve::<Self>(r, count)?;
        let mut items = Vec::with_capacity(count);
        for i in 0..count {
            items.push(Self::decode(r).at_index(i)?);
        }
        Ok(items)
    }
}

/// A value that can be read from XDR and borrows nothing.
pub trait DecodeOwned: for<'a> Decode<'a> {}
impl<T: for<'a> Decode<'a>> DecodeOwned for T {}

/// Checks that `count` elements of `T` can be present, and takes their memory from the budget.
#[inline]
fn reserve<'a, T: Decode<'a>>(r: &mut Reader<'a>, count: usize) -> Result<(), DecodeError> {
    let needed = count.saturating_mul(T::MIN_LEN);
    if needed > r.remaining() {
        return Err(r.error(DecodeErrorKind::Truncated {
            needed,
            available: r.remaining(),
        }));
    }
    r.charge(count.saturating_mul(size_of::<T>().max(1)))
}

/// Writes `value` into bytes of its own.
///
/// # Errors
/// The declared bound that the value breaks.
pub fn to_vec<T: Encode + ?Sized>(value: &T) -> Result<Vec<u8>, EncodeError> {
    let mut size = Size::contiguous();
    value.measure(&mut size)?;
    let mut bytes = vec![0; size.total()];
    let mut w = Writer::new(&mut bytes);
    value.encode(&mut w);
    debug_assert!(w.is_full(), "measured and written bytes differ");
    Ok(bytes)
}

/// Reads one value that takes all of `bytes`.
///
/// # Errors
/// Whatever is wrong with the bytes, trailing bytes included.
pub fn from_slice<'a, T: Decode<'a>>(bytes: &'a [u8]) -> Result<T, DecodeError> {
    let mut r = Reader::new(bytes);
    let value = T::decode(&mut r)?;
    r.finish()?;
    Ok(value)
}

/// The basic types: name, length, and the reader's and writer's word for each.
macro_rules! basic {
    ($($type:ty, $len:literal, $word:ident, $section:literal;)*) => {$(
        #[doc = concat!("[RFC 4506] section ", $section, ".")]
        ///
        /// [RFC 4506]: https://www.rfc-editor.org/rfc/rfc4506
        impl Encode for $type {
            const FIXED: Option<usize> = Some($len);
            #[inline]
            fn measure(&self, size: &mut Size) -> Result<(), EncodeError> {
                size.add($len);
                Ok(())
            }
            #[inline]
            fn encode(&self, w: &mut Writer<'_>) {
                w.$word(*self);
            }
            #[inline]
            fn encode_slice(items: &[Self], w: &mut Writer<'_>) {
                w.words(items.iter().map(|item| item.to_be_bytes()));
            }
        }
        impl<'a> Decode<'a> for $type {
            const MIN_LEN: usize = $len;
            #[inline]
            fn decode(r: &mut Reader<'a>) -> Result<Self, DecodeError> {
                r.$word()
            }
            #[inline]
            fn decode_vec(r: &mut Reader<'a>, count: usize) -> Result<Vec<Self>, DecodeError> {
                reserve::<Self>(r, count)?;
                let run = r.slice(count.saturating_mul($len))?;
                let mut items = Vec::with_capacity(count);
                loop_over(
                    run.len(),
                    #[inline(always)]
                    || {
                        let words = run.as_chunks().0.iter();
                        items.extend(words.map(#[inline(always)] |word| Self::from_be_bytes(*word)));
                    },
                );
                Ok(items)
            }
        }
    )*};
}

basic! {
    i32, 4, i32, "4.1";
    u32, 4, u32, "4.2";
    i64, 8, i64, "4.5";
    u64, 8, u64, "4.5";
    f32, 4, f32, "4.6";
    f64, 8, f64, "4.7";
}

/// rpcgen's `char` and `short`: a small integer in four bytes.
macro_rules! small {
    ($($type:ty, $wide:ty, $word:ident;)*) => {$(
        impl Encode for $type {
            const FIXED: Option<usize> = Some(4);
            #[inline]
            fn measure(&self, size: &mut Size) -> Result<(), EncodeError> {
                size.add(4);
                Ok(())
            }
            #[inline]
            fn encode(&self, w: &mut Writer<'_>) {
                w.$word(<$wide>::from(*self));
            }
        }
        impl<'a> Decode<'a> for $type {
            const MIN_LEN: usize = 4;
            #[inline]
            fn decode(r: &mut Reader<'a>) -> Result<Self, DecodeError> {
                let wide = r.$word()?;
                Self::try_from(wide).map_err(|_| {
                    r.error(DecodeErrorKind::Invalid(concat!(
                        "number does not fit ",
                        stringify!($type)
                    )))
                })
            }
        }
    )*};
}

small! {
    i8, i32, i32;
    u8, u32, u32;
    i16, i32, i32;
    u16, u32, u32;
}

/// [RFC 4506] section 4.4.
///
/// [RFC 4506]: https://www.rfc-editor.org/rfc/rfc4506#section-4.4
impl Encode for bool {
    const FIXED: Option<usize> = Some(4);
    #[inline]
    fn measure(&self, size: &mut Size) -> Result<(), EncodeError> {
        size.add(4);
        Ok(())
    }
    #[inline]
    fn encode(&self, w: &mut Writer<'_>) {
        w.bool(*self);
    }
}

impl<'a> Decode<'a> for bool {
    const MIN_LEN: usize = 4;
    #[inline]
    fn decode(r: &mut Reader<'a>) -> Result<Self, DecodeError> {
        r.bool()
    }
}

/// [RFC 4506] section 4.16: `void`, no bytes at all.
///
/// [RFC 4506]: https://www.rfc-editor.org/rfc/rfc4506#section-4.16
impl Encode for () {
    const FIXED: Option<usize> = Some(0);
    #[inline]
    fn measure(&self, _: &mut Size) -> Result<(), EncodeError> {
        Ok(())
    }
    #[inline]
    fn encode(&self, _: &mut Writer<'_>) {}
}

impl<'a> Decode<'a> for () {
    const MIN_LEN: usize = 0;
    #[inline]
    fn decode(_: &mut Reader<'a>) -> Result<Self, DecodeError> {
        Ok(())
    }
}

/// A quadruple-precision floating-point number, [RFC 4506] section 4.8: sign, 15 bits of
/// exponent, 112 of fraction. Rust has no such type, so it is carried bit for bit.
///
/// [RFC 4506]: https://www.rfc-editor.org/rfc/rfc4506#section-4.8
#[derive(Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct Quadruple(u128);

impl Quadruple {
    /// The number whose bits are these.
    pub const fn from_bits(bits: u128) -> Self {
        Self(bits)
    }

    /// The bits.
    pub const fn to_bits(self) -> u128 {
        self.0
    }
}

impl std::fmt::Debug for Quadruple {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Quadruple(0x{:032x})", self.0)
    }
}

impl Encode for Quadruple {
    const FIXED: Option<usize> = Some(16);
    #[inline]
    fn measure(&self, size: &mut Size) -> Result<(), EncodeError> {
        size.add(16);
        Ok(())
    }
    #[inline]
    fn encode(&self, w: &mut Writer<'_>) {
        w.array(self.0.to_be_bytes());
    }
}

impl<'a> Decode<'a> for Quadruple {
    const MIN_LEN: usize = 16;
    #[inline]
    fn decode(r: &mut Reader<'a>) -> Result<Self, DecodeError> {
        Ok(Self(u128::from_be_bytes(*r.array()?)))
    }
}

/// A string without a declared bound, [RFC 4506] section 4.11.
///
/// [RFC 4506]: https://www.rfc-editor.org/rfc/rfc4506#section-4.11
impl Encode for Str {
    #[inline]
    fn measure(&self, size: &mut Size) -> Result<(), EncodeError> {
        size.opaque_var(self.len(), u32::MAX)
    }
    #[inline]
    fn encode(&self, w: &mut Writer<'_>) {
        encode_string(self, w);
    }
}

impl<'a> Decode<'a> for Str {
    const MIN_LEN: usize = 4;
    #[inline]
    fn decode(r: &mut Reader<'a>) -> Result<Self, DecodeError> {
        string_var(r, u32::MAX)
    }
}

/// Reads a string of at most `max` bytes.
///
/// # Errors
/// As [`Reader::opaque_vec`].
#[inline]
pub fn string_var(r: &mut Reader<'_>, max: u32) -> Result<Str, DecodeError> {
    let bytes = r.opaque_var(max)?;
    r.charge(bytes.len())?;
    Ok(Str::from(bytes))
}

/// Writes a string.
#[inline(always)]
pub fn encode_string(text: &Str, w: &mut Writer<'_>) {
    match text.short() {
        Some(short) => w.opaque_short(short),
        None => w.opaque_var(text),
    }
}

/// Optional-data, [RFC 4506] section 4.19: a boolean, and the value if it is true.
///
/// [RFC 4506]: https://www.rfc-editor.org/rfc/rfc4506#section-4.19
impl<T: Encode> Encode for Option<T> {
    #[inline]
    fn measure(&self, size: &mut Size) -> Result<(), EncodeError> {
        size.add(4);
        self.as_ref().map_or(Ok(()), |value| value.measure(size))
    }
    #[inline]
    fn encode(&self, w: &mut Writer<'_>) {
        w.bool(self.is_some());
        if let Some(value) = self {
            value.encode(w);
        }
    }
}

impl<'a, T: Decode<'a>> Decode<'a> for Option<T> {
    const MIN_LEN: usize = 4;
    // Always: a large value that is returned is copied in wider steps than it was written in,
    // and the processor waits for that.
    #[inline(always)]
    fn decode(r: &mut Reader<'a>) -> Result<Self, DecodeError> {
        if r.bool()? {
            T::decode(r).map(Some)
        } else {
            Ok(None)
        }
    }
}

impl<T: Encode + ?Sized> Encode for Box<T> {
    #[inline]
    fn measure(&self, size: &mut Size) -> Result<(), EncodeError> {
        T::measure(self, size)
    }
    #[inline]
    fn encode(&self, w: &mut Writer<'_>) {
        T::encode(self, w);
    }
}

impl<'a, T: Decode<'a>> Decode<'a> for Box<T> {
    const MIN_LEN: usize = T::MIN_LEN;
    #[inline]
    fn decode(r: &mut Reader<'a>) -> Result<Self, DecodeError> {
        r.charge(size_of::<T>())?;
        T::decode(r).map(Self::new)
    }
}

impl<T: Encode + ?Sized> Encode for &T {
    const FIXED: Option<usize> = None;
    #[inline]
    fn measure(&self, size: &mut Size) -> Result<(), EncodeError> {
        T::measure(self, size)
    }
    #[inline]
    fn encode(&self, w: &mut Writer<'_>) {
        T::encode(self, w);
    }
}

/// Several values, one after the other: the arguments of a procedure.
macro_rules! tuple {
    ($($name:ident),+) => {
        impl<$($name: Encode),+> Encode for ($($name,)+) {
            #[inline]
            #[allow(non_snake_case)]
            fn measure(&self, size: &mut Size) -> Result<(), EncodeError> {
                let ($($name,)+) = self;
                $($name.measure(size)?;)+
                Ok(())
            }
            #[inline]
            #[allow(non_snake_case)]
            fn encode(&self, w: &mut Writer<'_>) {
                let ($($name,)+) = self;
                $($name.encode(w);)+
            }
        }
    };
}

tuple!(A);
tuple!(A, B);
tuple!(A, B, C);
tuple!(A, B, C, D);
tuple!(A, B, C, D, E);
tuple!(A, B, C, D, E, F);
tuple!(A, B, C, D, E, F, G);
tuple!(A, B, C, D, E, F, G, H);

/// Reads a variable-length array of at most `max` elements, [RFC 4506] section 4.13.
///
/// # Errors
/// [`TooLong`](DecodeErrorKind::TooLong), [`Truncated`](DecodeErrorKind::Truncated) before any
/// memory is taken, and what is wrong with an element.
///
/// [RFC 4506]: https://www.rfc-editor.org/rfc/rfc4506#section-4.13
#[inline]
pub fn array_var<'a, T: Decode<'a>>(r: &mut Reader<'a>, max: u32) -> Result<Vec<T>, DecodeError> {
    let count = r.length(max)?;
    T::decode_vec(r, count)
}

/// Measures a variable-length array of at most `max` elements.
///
/// # Errors
/// The bound that the array or an element breaks.
#[inline]
pub fn measure_array_var<T: Encode>(
    items: &[T],
    size: &mut Size,
    max: u32,
) -> Result<(), EncodeError> {
    size.length(items.len(), max)?;
    T::measure_slice(items, size)
}

/// Writes a variable-length array.
#[inline]
pub fn encode_array_var<T: Encode>(items: &[T], w: &mut Writer<'_>) {
    w.length(items.len());
    T::encode_slice(items, w);
}

/// Reads a fixed-length array of `N` elements, [RFC 4506] section 4.12.
///
/// # Errors
/// What is wrong with an element.
///
/// [RFC 4506]: https://www.rfc-editor.org/rfc/rfc4506#section-4.12
#[inline]
pub fn array_fixed<'a, T: Decode<'a>, const N: usize>(
    r: &mut Reader<'a>,
) -> Result<[T; N], DecodeError> {
    let items = T::decode_vec(r, N)?;
    let found = items.len();
    <[T; N]>::try_from(items).map_err(|_| {
        r.error(DecodeErrorKind::Truncated {
            needed: N,
            available: found,
        })
    })
}

/// Reads a linked list: optional-data nodes, each followed by the next, without recursion.
///
/// # Errors
/// What is wrong with a node, with its index in the path.
#[inline]
pub fn list<'a, T: Decode<'a>>(r: &mut Reader<'a>) -> Result<Vec<T>, DecodeError> {
    // req: xdr-4506-4.19-lists
    let mut nodes = Vec::new();
    while r.bool().at_index(nodes.len())? {
        push_node(r, &mut nodes)?;
    }
    Ok(nodes)
}

/// Reads a node and the linked list that follows it.
///
/// # Errors
/// As [`list`].
#[inline]
pub fn chain<'a, T: Decode<'a>>(r: &mut Reader<'a>) -> Result<Vec<T>, DecodeError> {
    let mut nodes = Vec::new();
    push_node(r, &mut nodes)?;
    while r.bool().at_index(nodes.len())? {
        push_node(r, &mut nodes)?;
    }
    Ok(nodes)
}

/// Memory that is taken for a list by its first node, at most, in bytes.
const GUESSED: usize = 64 << 10;

#[inline]
fn push_node<'a, T: Decode<'a>>(r: &mut Reader<'a>, nodes: &mut Vec<T>) -> Result<(), DecodeError> {
    r.charge(size_of::<T>().max(1))?;
    let before = r.remaining();
    let node = T::decode(r).at_index(nodes.len())?;
    if nodes.is_empty() {
        // Lists are mostly of like nodes; what is taken on that guess is bounded.
        let each = before.saturating_sub(r.remaining()).saturating_add(4);
        let like = r.remaining().checked_div(each).unwrap_or(0);
        let most = GUESSED.checked_div(size_of::<T>()).unwrap_or(GUESSED);
        nodes.reserve(like.min(most).saturating_add(1));
    }
    nodes.push(node);
    Ok(())
}

/// Measures a linked list.
///
/// # Errors
/// The bound that a node breaks.
#[inline]
pub fn measure_list<T: Encode>(nodes: &[T], size: &mut Size) -> Result<(), EncodeError> {
    size.add(4);
    size.add_many(4, nodes.len());
    T::measure_slice(nodes, size)
}

/// Writes a linked list.
#[inline]
pub fn encode_list<T: Encode>(nodes: &[T], w: &mut Writer<'_>) {
    for node in nodes {
        w.bool(true);
        node.encode(w);
    }
    w.bool(false);
}

/// Measures a node and the linked list that follows it.
///
/// # Errors
/// [`EmptyChain`](EncodeErrorKind::EmptyChain) if there is no first node.
#[inline]
pub fn measure_chain<T: Encode>(nodes: &[T], size: &mut Size) -> Result<(), EncodeError> {
    if nodes.is_empty() {
        return Err(EncodeError::new(EncodeErrorKind::EmptyChain));
    }
    size.add_many(4, nodes.len());
    T::measure_slice(nodes, size)
}

/// Writes a node and the linked list that follows it.
#[inline]
pub fn encode_chain<T: Encode>(nodes: &[T], w: &mut Writer<'_>) {
    if let Some((first, rest)) = nodes.split_first() {
        first.encode(w);
        encode_list(rest, w);
    }
}
