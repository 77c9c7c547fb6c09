//! The names of interfaces and transfer syntaxes, and how a sender represents its data.
//!
//! Read first: C706 sections 12.6.3.1 (`p_syntax_id_t`) and 14.1 (the format label) and MS-RPCE sections 2.2.4.12
//! and 3.3.1.5.3 (NDR64 and the features that a bind negotiates). This file holds names, not the data they describe.

use core::fmt;

pub use farcall_wire::Uuid;
pub use farcall_wire::ndr::{Order, Syntax};

/// The name of an interface or of a transfer syntax (`p_syntax_id_t`).
#[derive(Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct SyntaxId {
    /// Which.
    pub uuid: Uuid,
    /// Its major version: the low half of the version on the wire.
    pub major: u16,
    /// Its minor version.
    pub minor: u16,
}

/// The first eight bytes of the UUID that asks for features instead of naming a transfer syntax, as its fields.
const FEATURES: (u32, u16, u16) = (0x6cb7_1c2c, 0x9812, 0x4540);

impl SyntaxId {
    /// No syntax: what a result that accepts nothing carries.
    pub const NIL: Self = Self::new(Uuid::NIL, 0, 0);

    /// NDR 2.0, [C706] chapter 14.
    ///
    /// [C706]: https://pubs.opengroup.org/onlinepubs/9629399/chap14.htm
    pub const NDR: Self = Self::new(
        Uuid::new(
            0x8a88_5d04,
            0x1ceb,
            0x11c9,
            [0x9f, 0xe8, 0x08, 0x00, 0x2b, 0x10, 0x48, 0x60],
        ),
        2,
        0,
    );

    /// NDR64 1.0, MS-RPCE section 2.2.5.
    pub const NDR64: Self = Self::new(
        Uuid::new(
            0x7171_0533,
            0xbeba,
            0x4937,
            [0x83, 0x19, 0xb5, 0xdb, 0xef, 0x9c, 0xcc, 0x36],
        ),
        1,
        0,
    );

    /// A name and version.
    #[must_use]
    pub const fn new(uuid: Uuid, major: u16, minor: u16) -> Self {
        Self { uuid, major, minor }
    }

    /// The name under which a bind asks for `features`.
    #[must_use]
    pub const fn features(features: Features) -> Self {
        let [low, high] = features.0.to_le_bytes();
        let (d1, d2, d3) = FEATURES;
        Self::new(Uuid::new(d1, d2, d3, [low, high, 0, 0, 0, 0, 0, 0]), 1, 0)
    }

    /// The features asked for, if this is no transfer syntax but such a question.
    #[must_use]
    pub fn as_features(&self) -> Option<Features> {
        let (d1, d2, d3, [low, high, rest @ ..]) = self.uuid.fields();
        let asks = (d1, d2, d3) == FEATURES && rest == [0; 6] && self.major == 1;
        asks.then(|| Features(u16::from_le_bytes([low, high])))
    }

    /// Which syntax stubs are in, if it is one that we speak.
    #[must_use]
    pub fn as_syntax(&self) -> Option<Syntax> {
        match *self {
            Self::NDR => Some(Syntax::Ndr),
            Self::NDR64 => Some(Syntax::Ndr64),
            _ => None,
        }
    }

    /// The transfer syntax of that name.
    #[must_use]
    pub const fn of(syntax: Syntax) -> Self {
        match syntax {
            Syntax::Ndr => Self::NDR,
            Syntax::Ndr64 => Self::NDR64,
        }
    }

    /// The version as one number, as it is on the wire.
    #[must_use]
    pub const fn version(&self) -> u32 {
        let [a, b] = self.major.to_le_bytes();
        let [c, d] = self.minor.to_le_bytes();
        u32::from_le_bytes([a, b, c, d])
    }

    /// The name with a version as it is on the wire.
    #[must_use]
    pub const fn with_version(uuid: Uuid, version: u32) -> Self {
        let [a, b, c, d] = version.to_le_bytes();
        Self::new(uuid, u16::from_le_bytes([a, b]), u16::from_le_bytes([c, d]))
    }
}

impl fmt::Display for SyntaxId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} v{}.{}", self.uuid, self.major, self.minor)
    }
}

impl fmt::Debug for SyntaxId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Features that both ends of a connection must know of (MS-RPCE section 3.3.1.5.3).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Features(pub u16);

impl Features {
    /// Several security contexts on one connection.
    pub const SECURITY_CONTEXT_MULTIPLEXING: Self = Self(1);
    /// The connection stays when a call on it is orphaned.
    pub const KEEP_CONNECTION_ON_ORPHAN: Self = Self(2);
    /// Both.
    pub const ALL: Self = Self(3);

    /// Those that are in both.
    #[must_use]
    pub const fn and(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    /// Whether all of `other` are in this.
    #[must_use]
    pub const fn has(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_features_are_two_bytes_in_a_uuid() {
        let id = SyntaxId::features(Features::ALL);
        assert_eq!(id.to_string(), "6cb71c2c-9812-4540-0300-000000000000 v1.0");
        assert_eq!(id.as_features(), Some(Features(3)));
        assert_eq!(SyntaxId::NDR.as_features(), None);
        assert_eq!(id.as_syntax(), None);
    }

    #[test]
    fn a_version_is_two_numbers_in_one() {
        let id = SyntaxId::with_version(Uuid::NIL, 0x0002_0001);
        assert_eq!((id.major, id.minor, id.version()), (1, 2, 0x0002_0001));
    }
}
