//! Types that pidl has of its own, by name.

use crate::model::ndr::{Base, Blob, Type};

/// A type that needs no definition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Native {
    Scalar(Base),
    /// `string`, whose form its flags say.
    String,
    StringArray,
    Blob,
    /// Something that is a C pointer and never on the wire.
    Pointer,
    /// A type whose C code is written by hand, and of which nothing else is known.
    Handwritten(&'static str),
    /// C706's `ISO_LATIN_1` and its like.
    Octets,
}

/// The native type of a name that nobody defined.
pub(super) fn native(name: &str) -> Option<Native> {
    let base = match name {
        "int8" | "int8_t" => Base::Small,
        "uint8" | "uint8_t" | "boolean8" | "u_char" | "uchar" => Base::USmall,
        "int16" | "int16_t" | "int1632" => Base::Short,
        "uint16" | "uint16_t" | "u_short" | "ushort" => Base::UShort,
        "uint1632" => Base::UInt1632,
        "int32" | "int32_t" => Base::Long,
        "uint32" | "uint32_t" | "uint" | "boolean32" | "u_int" | "u_long" | "ulong" | "time_t"
        | "mode_t" => Base::ULong,
        "int3264" => Base::Int3264,
        "uint3264" => Base::UInt3264,
        "int64" | "int64_t" => Base::Hyper,
        "uint64" | "uint64_t" | "HYPER_T" | "uid_t" | "gid_t" | "NTTIME_hyper" => Base::UHyper,
        "dlong" => Base::DLong,
        "udlong" | "NTTIME" | "NTTIME_1sec" => Base::UDLong,
        "udlongr" => Base::UDLongR,
        "WERROR" | "NTSTATUS" | "HRESULT" | "COMRESULT" => Base::ErrorStatus,
        "ipv4address" => Base::Ipv4,
        "ipv6address" => Base::Ipv6,
        _ => return other(name),
    };
    Some(Native::Scalar(base))
}

fn other(name: &str) -> Option<Native> {
    Some(match name {
        "string" => Native::String,
        "string_array" => Native::StringArray,
        "DATA_BLOB" => Native::Blob,
        "pointer" => Native::Pointer,
        "ISO_LATIN_1" | "ISO_MULTI_LINGUAL" | "ISO_UCS" => Native::Octets,
        "dns_string" => Native::Handwritten("dns_string"),
        "nbt_string" => Native::Handwritten("nbt_string"),
        "wrepl_nbt_name" => Native::Handwritten("wrepl_nbt_name"),
        "dnsp_name" => Native::Handwritten("dnsp_name"),
        "dnsp_string" => Native::Handwritten("dnsp_string"),
        _ => return None,
    })
}

impl Native {
    /// The type, where no flags say more.
    pub(super) fn plain(self) -> Type {
        match self {
            Self::Scalar(base) => Type::Base(base),
            Self::Blob => Type::Blob(Blob::Counted),
            Self::Handwritten(_) => Type::Blob(Blob::Remaining),
            Self::Octets => Type::Base(Base::Byte),
            Self::String | Self::StringArray | Self::Pointer => Type::Absent,
        }
    }
}
