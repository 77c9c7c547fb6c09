//! Types: what a field, a parameter, a result or a typedef is on the wire.
//!
//! Read first: C706 chapter 14 ("Transfer Syntax NDR"); MS-RPCE 2.2.4 and 2.2.5 (NDR64). A [`Type`] has everything of its
//! place in it: the attributes of fields, of typedefs and of the interface (`pointer_default`)
//! have been put where they act.

use super::{Expr, InterfaceId, ItemId};
use crate::model::Model;

/// A scalar.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Base {
    /// `boolean`: one byte, 0 is false.
    Boolean,
    /// `byte`: 8 bits that mean nothing to NDR.
    Byte,
    /// `char`: an 8-bit character, unsigned.
    Char,
    /// `wchar_t`: a UTF-16 unit.
    WChar,
    /// `small`, `int8`: signed, 8 bits.
    Small,
    /// `unsigned small`, `uint8`: unsigned, 8 bits.
    USmall,
    /// `short`: signed, 16 bits.
    Short,
    /// `unsigned short`: 16 bits.
    UShort,
    /// `long`, `int`: signed, 32 bits.
    Long,
    /// `unsigned long`: 32 bits.
    ULong,
    /// `hyper`: signed, 64 bits.
    Hyper,
    /// `unsigned hyper`: 64 bits.
    UHyper,
    /// IEEE single precision.
    Float,
    /// IEEE double precision.
    Double,
    /// `error_status_t`, also pidl's `WERROR` and `NTSTATUS`, and `HRESULT`: unsigned, 32 bits.
    ErrorStatus,
    /// `__int3264`: signed; 32 bits in NDR (sign extended), 64 bits in NDR64.
    Int3264,
    /// `unsigned __int3264`: 32 bits in NDR, 64 bits in NDR64.
    UInt3264,
    /// pidl's `uint1632`: 16 bits in NDR, 32 bits in NDR64, as an enum is.
    UInt1632,
    /// pidl's `dlong`: signed, 64 bits, aligned to 4.
    DLong,
    /// pidl's `udlong`, `NTTIME`, `NTTIME_1sec`: unsigned, 64 bits, aligned to 4.
    UDLong,
    /// pidl's `udlongr`: as `UDLong`, the high half first.
    UDLongR,
    /// pidl's `ipv4address`: 4 bytes, big endian in either byte order.
    Ipv4,
    /// pidl's `ipv6address`: 16 bytes as they are.
    Ipv6,
    /// A struct that is a UUID: 32, 16 and 16 bits and 8 bytes, under any of its names (`GUID`, `uuid_t`, `IID`).
    Uuid,
}

/// What a pointer is on the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum PointerClass {
    /// Never null. As (or directly behind) a parameter it has no referent id; inside of another
    /// construct it has one, whose value says nothing.
    Ref,
    /// Null or not, never an alias.
    Unique,
    /// `ptr`: null or not, and pointers with the same referent id are aliases.
    Full,
    /// pidl's `relative`: a 32-bit offset from the enclosing [`Struct::relative_base`](super::Struct) (or the start of
    /// the stream), 0 for null.
    Relative,
    /// pidl's `relative_short`: the same, 16 bits.
    RelativeShort,
    /// `ignore`: a referent id, and nothing it points to.
    Ignore,
}

/// A pointer.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Pointer {
    /// What it is on the wire.
    pub class: PointerClass,
    /// What it points to; [`Type::Void`] for [`PointerClass::Ignore`] of `void *` only.
    pub pointee: Type,
    /// pidl's `max_recursion(n)`: how often this pointer may be followed within itself.
    pub max_recursion: Option<u32>,
    /// pidl's `to_null`: a string there ends at the first NUL, whatever the count says.
    pub to_null: bool,
}

/// How many elements one dimension of an array has.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Extent {
    /// Known to both sides, not on the wire.
    Fixed(u32),
    /// On the wire as the maximum count, hoisted. `size_is` (or `max_is` plus one, with a lower bound
    /// subtracted) in elements, if one was written: what arrives must equal it.
    Conformant(Option<Expr>),
    /// Not on the wire, computed: pidl's `x[n]` without `size_is`, where `n` is a field.
    Computed(Expr),
    /// Until the end of the data: pidl's `flag(NDR_REMAINING)`.
    Remaining,
}

/// Which elements of a dimension are on the wire: `offset` and `actual count` are, in front of them.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Default)]
pub struct Slice {
    /// `first_is` minus the lower bound; absent: 0.
    pub first: Option<Expr>,
    /// `length_is`, or from `first_is` and `last_is`; absent: up to the end.
    pub length: Option<Expr>,
}

/// One dimension of an array.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Dimension {
    /// How many elements.
    pub extent: Extent,
    /// Whether it is varying, and how.
    pub slice: Option<Slice>,
    /// C706's lower bound, for people: on the wire everything counts from 0.
    pub lower: i64,
}

/// An array: the dimensions from the slowest to the fastest.
///
/// If one dimension is varying, all dimensions have an offset and an actual count on the wire (C706 14.3.3.4, "Uni-dimensional Varying Arrays" and following);
/// the maximum counts of conformant arrays are those of all dimensions, fixed ones included.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Array {
    /// An element; never an array unless behind a named type.
    pub element: Type,
    /// At least one.
    pub dimensions: Vec<Dimension>,
}

/// What a string's characters are on the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Encoding {
    /// 8 bits in whatever code page both sides agree on: kept as bytes.
    Bytes,
    /// 16-bit units of UTF-16.
    Utf16,
    /// 8 bits, UTF-8 (pidl's `charset(UTF8)`).
    Utf8,
    /// pidl's `charset(DOS)`: 8 bits in a DOS code page, kept as bytes.
    Dos,
    /// pidl's `charset(UTF16MUNGED)`: UTF-16 whose surrogates may stand alone.
    Utf16Munged,
}

/// `[string]`, or an array with pidl's `charset`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Str {
    /// The characters.
    pub encoding: Encoding,
    /// How many characters there is room for: `Fixed` for `x[n]` (then there is no maximum count on the wire),
    /// `Conformant` for `*x` and `x[]`.
    pub extent: Extent,
    /// `Some` if offset and actual count are on the wire; with `[string]` always, and its `length` is given only together with `length_is`.
    pub slice: Option<Slice>,
    /// `[string]`: the last character on the wire is NUL and not part of the value. Otherwise
    /// (pidl's `charset` alone) the count says how long it is.
    pub terminated: bool,
}

/// How pidl's own `string` types (whose form is in their flags) are on the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct FlaggedString {
    /// The characters; `STR_ASCII` and `STR_RAW8` are [`Encoding::Bytes`].
    pub encoding: Encoding,
    /// The counts in front, in order: `STR_SIZE4` and `STR_LEN4` give (size, offset, length), each alone only its own.
    pub counts: StringCounts,
    /// Whether a NUL is on the wire (not with `STR_NOTERM`).
    pub terminated: bool,
    /// `STR_BYTESIZE`: counts are in bytes, not characters.
    pub byte_size: bool,
    /// `STR_NO_EMBEDDED_NUL`: a NUL inside is refused.
    pub no_embedded_nul: bool,
}

/// The counts in front of a [`FlaggedString`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum StringCounts {
    /// None, up to a NUL (`STR_NULLTERM`) or to the end of the data.
    None,
    /// `STR_SIZE4`: 32 bits.
    Size4,
    /// `STR_SIZE2`: 16 bits.
    Size2,
    /// `STR_LEN4`: a 32-bit offset, which is 0, and a 32-bit length.
    Length4,
    /// `STR_SIZE4|STR_LEN4`: size, offset, length.
    SizeLength4,
    /// `STR_LARGE_SIZE`: a 16-bit count, or 0xffff and a 32-bit one.
    LargeSize,
    /// `STR_CHARLEN`, `STR_FIXLEN…`: as many bytes as the number says, filled with NUL.
    Fixed(u32),
}

/// pidl's `DATA_BLOB`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Blob {
    /// A 32-bit count and bytes.
    Counted,
    /// `NDR_REMAINING`: all bytes up to the end of the data.
    Remaining,
    /// `NDR_ALIGN2`, `4`, `8`: the bytes up to the next multiple of this.
    Align(u8),
}

/// How long a [`Subcontext`]'s length in front of it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SubcontextHeader {
    /// `subcontext(0)`: none.
    None,
    /// `subcontext(2)`: 16 bits.
    Short,
    /// `subcontext(4)`: 32 bits.
    Long,
    /// `subcontext(0xFFFFFC01)`: the header of type serialization version 1.
    Pickle,
}

/// pidl's `subcontext`: bytes that are a stream of their own.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Subcontext {
    /// What is in front of it.
    pub header: SubcontextHeader,
    /// `subcontext_size`: how many bytes it takes; absent: as many as the value, or on decoding those that are left.
    pub size: Option<Expr>,
    /// `compression(algorithm, …)`, by name: what is inside cannot be seen, and stays bytes.
    pub compression: Option<String>,
    /// What is in it.
    pub inner: Type,
}

/// What an interface pointer's interface is.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Iid {
    /// The interface that the type names.
    Known(InterfaceId),
    /// `iid_is`: the value of a field or parameter that is a UUID, which [`Expr::Place`] names.
    Place(Expr),
    /// Nothing is known of it.
    Unknown,
}

/// A type as it stands in a field, a parameter, a result or a typedef.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Type {
    /// Nothing: no bytes.
    Void,
    /// A scalar.
    Base(Base),
    /// A scalar that must lie within `low..=high` on the wire: `range`.
    Range(Box<Type>, i128, i128),
    /// An enum, bitmap, struct, encapsulated union, typedef, context handle or pipe.
    Named(ItemId),
    /// A union that is not encapsulated, and the value of `switch_is` that says which arm it has. `None`: nothing
    /// outside says so, the discriminant on the wire alone does.
    Union(ItemId, Option<Box<Expr>>),
    /// A pointer.
    Pointer(Box<Pointer>),
    /// An array.
    Array(Box<Array>),
    /// A string.
    String(Box<Str>),
    /// What an interface pointer points to: `MInterfacePointer`, a conformant structure of a
    /// count and the bytes of an OBJREF (MS-DCOM 2.2.14). Always behind a [`Type::Pointer`].
    Interface(Iid),
    /// A pipe of such elements that has no typedef.
    Pipe(Box<Type>),
    /// A context handle without a typedef of its own: 20 bytes.
    ContextHandle,
    /// pidl's own string types.
    FlaggedString(FlaggedString),
    /// pidl's `string_array`: such strings until an empty one.
    StringArray(FlaggedString),
    /// pidl's `DATA_BLOB`.
    Blob(Blob),
    /// pidl's `subcontext`.
    Subcontext(Box<Subcontext>),
    /// pidl's `transmit` of nothing: fields that are not on the wire (`skip`, C pointers).
    Absent,
}

impl Type {
    /// The type behind typedefs without a conversion, ranges included only where written at the
    /// place: never [`Type::Named`] of a plain typedef.
    pub fn resolve<'a>(&'a self, model: &'a Model) -> &'a Type {
        model.ndr().resolve(self)
    }
}

impl Base {
    /// Bytes in NDR.
    pub fn size(self) -> u8 {
        use Base::*;
        match self {
            Boolean | Byte | Char | Small | USmall => 1,
            WChar | Short | UShort | UInt1632 => 2,
            Long | ULong | Float | ErrorStatus | Int3264 | UInt3264 | Ipv4 => 4,
            Hyper | UHyper | Double | DLong | UDLong | UDLongR => 8,
            Ipv6 | Uuid => 16,
        }
    }

    /// Bytes in NDR64.
    pub fn size64(self) -> u8 {
        match self {
            Self::Int3264 | Self::UInt3264 => 8,
            Self::UInt1632 => 4,
            _ => self.size(),
        }
    }

    /// What its first byte's position is a multiple of, in NDR.
    pub fn align(self) -> u8 {
        match self {
            Self::DLong | Self::UDLong | Self::UDLongR | Self::Uuid => 4,
            Self::Ipv6 => 1,
            _ => self.size(),
        }
    }

    /// What its first byte's position is a multiple of, in NDR64.
    pub fn align64(self) -> u8 {
        match self {
            Self::Int3264 | Self::UInt3264 => 8,
            Self::UInt1632 => 4,
            _ => self.align(),
        }
    }

    /// Whether its values may be negative.
    pub fn is_signed(self) -> bool {
        use Base::*;
        matches!(self, Small | Short | Long | Hyper | Int3264 | DLong)
    }

    /// Whether its values are whole numbers.
    pub fn is_integer(self) -> bool {
        !matches!(
            self,
            Self::Float | Self::Double | Self::Ipv4 | Self::Ipv6 | Self::Uuid
        )
    }
}
