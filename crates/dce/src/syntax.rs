//! The names of interfaces and transfer syntaxes, and how data is represented.
//!
//! Read first: C706 section 12.6.3.1 (`p_syntax_id_t`) and MS-RPCE sections 2.2.4.12 and 3.3.1.5.3 (NDR64 and the
//! features a bind negotiates). This file holds names, not the data they describe.

use core::fmt;

pub use farcall_wire::Uuid;
pub use farcall_wire::ndr::{Order, Syntax};

/// The name of an interface or of a transfer syntax (`p_syntax_id_t`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct SyntaxId {
    /// Which.
    pub uuid: Uuid,
    /// Its major version: the low half of the version on the wire.
    pub major: u16,
    /// Its minor version.
    pub minor: u16,
}

impl SyntaxId {
    /// NDR 2.0, [C706 chapter 14].
    ///
    /// [C706 chapter 14]: https://pubs.opengroup.org/onlinepubs/9629399/chap14.htm
    pub const NDR: Self = Self {
        uuid: Uuid::new(
            0x8a88_5d04,
            0x1ceb,
            0x11c9,
            [0x9f, 0xe8, 0x08, 0x00, 0x2b, 0x10, 0x48, 0x60],
        ),
        major: 2,
        minor: 0,
    };

    /// NDR64 1.0, MS-RPCE section 2.2.5.
    pub const NDR64: Self = Self {
        uuid: Uuid::new(
            0x7171_0533,
            0xbeba,
            0x4937,
            [0x83, 0x19, 0xb5, 0xdb, 0xef, 0x9c, 0xcc, 0x36],
        ),
        major: 1,
        minor: 0,
    };
}

impl fmt::Display for SyntaxId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} v{}.{}", self.uuid, self.major, self.minor)
    }
}
