//! `NegotiateFlags`: what the two sides of NTLM agree on.
//!
//! Read first: MS-NLMP section 2.2.2.5. Bits without a name survive parsing and are never echoed.

use std::fmt;
use std::ops::{BitAnd, BitOr};

/// A set of flags. Open: bits without a name are kept.
#[derive(Clone, Copy, PartialEq, Eq, Default)]
pub struct Flags(pub u32);

impl Flags {
    /// Text is UTF-16.
    pub const UNICODE: Self = Self(0x0000_0001);
    /// Text is in some 8-bit character set; understood, not spoken.
    pub const OEM: Self = Self(0x0000_0002);
    /// The challenge must name its target.
    pub const REQUEST_TARGET: Self = Self(0x0000_0004);
    /// Messages can be signed.
    pub const SIGN: Self = Self(0x0000_0010);
    /// Messages can be encrypted.
    pub const SEAL: Self = Self(0x0000_0020);
    /// Connectionless use.
    pub const DATAGRAM: Self = Self(0x0000_0040);
    /// Keys from the LM response; never agreed to.
    pub const LM_KEY: Self = Self(0x0000_0080);
    /// The protocol is NTLM.
    pub const NTLM: Self = Self(0x0000_0200);
    /// The client is nobody.
    pub const ANONYMOUS: Self = Self(0x0000_0800);
    /// There is a session key in any case.
    pub const ALWAYS_SIGN: Self = Self(0x0000_8000);
    /// The target name is a domain.
    pub const TARGET_TYPE_DOMAIN: Self = Self(0x0001_0000);
    /// The target name is a server.
    pub const TARGET_TYPE_SERVER: Self = Self(0x0002_0000);
    /// Signatures are keyed per direction; required.
    pub const EXTENDED_SESSIONSECURITY: Self = Self(0x0008_0000);
    /// The server may know who the client is, and no more.
    pub const IDENTIFY: Self = Self(0x0010_0000);
    /// The challenge has attribute pairs.
    pub const TARGET_INFO: Self = Self(0x0080_0000);
    /// The version fields mean something.
    pub const VERSION: Self = Self(0x0200_0000);
    /// Sealing keys of 128 bits.
    pub const KEY_128: Self = Self(0x2000_0000);
    /// The client chooses the session key.
    pub const KEY_EXCH: Self = Self(0x4000_0000);
    /// Sealing keys of 56 bits.
    pub const KEY_56: Self = Self(0x8000_0000);

    /// Whether all of `other` is in it.
    #[must_use]
    pub const fn has(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// Whether any of `other` is in it.
    #[must_use]
    pub const fn any(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }

    /// With `other`, if `wanted`.
    #[must_use]
    pub const fn with(self, other: Self, wanted: bool) -> Self {
        if wanted { Self(self.0 | other.0) } else { self }
    }

    /// Without `other`.
    #[must_use]
    pub const fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }
}

impl BitOr for Flags {
    type Output = Self;

    fn bitor(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

impl BitAnd for Flags {
    type Output = Self;

    fn bitand(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }
}

impl fmt::Debug for Flags {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Flags({:#010x})", self.0)
    }
}
