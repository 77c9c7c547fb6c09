//! The common header: 16 bytes before every PDU.
//!
//! Read first: C706 section 12.6.3.1 and MS-RPCE section 2.2.2.3 (flags). Parsing takes any 16 bytes that frame a
//! PDU; [`Header::check`] says what else is wrong with them, so that the fault can be answered under the call id it
//! came with. Text and floating point in other representations than ASCII and IEEE are refused there: no peer of
//! this century sends them.

use crate::pdu::cursor::{u16_as, u16_of, u32_as, u32_of, widen};
use crate::syntax::Order;
use core::fmt;

/// What kind of PDU (`PTYPE`). Open: an unknown value prints as a number.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PacketType(pub u8);

/// What a kind of PDU is called, by number.
const NAMES: [&str; 21] = [
    "request",
    "ping",
    "response",
    "fault",
    "working",
    "nocall",
    "reject",
    "ack",
    "cl_cancel",
    "fack",
    "cancel_ack",
    "bind",
    "bind_ack",
    "bind_nak",
    "alter_context",
    "alter_context_resp",
    "auth3",
    "shutdown",
    "co_cancel",
    "orphaned",
    "rts",
];

impl PacketType {
    /// A fragment of a call's arguments.
    pub const REQUEST: Self = Self(0);
    /// A fragment of a call's results.
    pub const RESPONSE: Self = Self(2);
    /// A status instead of results.
    pub const FAULT: Self = Self(3);
    /// The beginning of an association.
    pub const BIND: Self = Self(11);
    /// The server's consent.
    pub const BIND_ACK: Self = Self(12);
    /// The server's refusal.
    pub const BIND_NAK: Self = Self(13);
    /// More presentation contexts, or another leg of authentication.
    pub const ALTER_CONTEXT: Self = Self(14);
    /// The server's answer to that.
    pub const ALTER_CONTEXT_RESP: Self = Self(15);
    /// A last leg of authentication, which is not answered.
    pub const AUTH3: Self = Self(16);
    /// The server asks for the connection to be closed.
    pub const SHUTDOWN: Self = Self(17);
    /// The client asks for a call to end early.
    pub const CO_CANCEL: Self = Self(18);
    /// The client has given a call up.
    pub const ORPHANED: Self = Self(19);
    /// RPC over HTTP's own (MS-RPCH).
    pub const RTS: Self = Self(20);
}

impl fmt::Display for PacketType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match NAMES.get(usize::from(self.0)) {
            Some(name) => f.write_str(name),
            None => write!(f, "PTYPE {}", self.0),
        }
    }
}

impl fmt::Debug for PacketType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// `pfc_flags`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Flags(pub u8);

impl Flags {
    /// The first fragment.
    pub const FIRST: Self = Self(0x01);
    /// The last fragment.
    pub const LAST: Self = Self(0x02);
    /// First and last: a whole message.
    pub const WHOLE: Self = Self(0x03);
    /// On requests: a cancel waits at the sender.
    pub const PENDING_CANCEL: Self = Self(0x04);
    /// On binds, alters and their answers: the sender can sign headers (MS-RPCE section 2.2.2.3).
    pub const SUPPORT_HEADER_SIGN: Self = Self(0x04);
    /// Several calls may be in flight on one connection.
    pub const CONC_MPX: Self = Self(0x10);
    /// On faults: nothing of the call was executed.
    pub const DID_NOT_EXECUTE: Self = Self(0x20);
    /// On requests: no reply is wanted.
    pub const MAYBE: Self = Self(0x40);
    /// On requests: an object UUID stands before the stub.
    pub const OBJECT_UUID: Self = Self(0x80);

    /// Whether all of `other` are set.
    #[inline]
    #[must_use]
    pub const fn has(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// These and those.
    #[inline]
    #[must_use]
    pub const fn with(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// These, and `other` if `condition` holds.
    #[must_use]
    pub const fn with_if(self, condition: bool, other: Self) -> Self {
        if condition { self.with(other) } else { self }
    }
}

/// The common header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// Major version; 5.
    pub version: u8,
    /// Minor version; 0, and 1 is understood.
    pub minor: u8,
    /// What follows.
    pub ptype: PacketType,
    /// `pfc_flags`.
    pub flags: Flags,
    /// `packed_drep`: how the sender represents numbers and text.
    pub drep: [u8; 4],
    /// Length of the PDU, this header included.
    pub frag_length: u16,
    /// Length of the authentication token, its 8-byte trailer not counted.
    pub auth_length: u16,
    /// The call that the PDU belongs to.
    pub call_id: u32,
}

/// Why a header is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum HeaderError {
    /// The length cannot be a PDU's: it is below that of the header. No boundary can be found after it.
    FragLength(u16),
    /// Not version 5.0 or 5.1.
    Version(u8, u8),
    /// Numbers or text in a representation that is not spoken: EBCDIC, or another floating point than IEEE.
    Representation([u8; 4]),
    /// The authentication verifier does not fit the PDU.
    AuthLength(u16),
}

impl fmt::Display for HeaderError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::FragLength(len) => write!(f, "fragment of {len} bytes, at least 16 expected"),
            Self::Version(major, minor) => write!(f, "version {major}.{minor}, expected 5.0"),
            Self::Representation(drep) => write!(
                f,
                "data representation {drep:02x?}, expected integers of either order, ASCII, IEEE"
            ),
            Self::AuthLength(len) => {
                write!(
                    f,
                    "authentication token of {len} bytes does not fit the fragment"
                )
            }
        }
    }
}

impl std::error::Error for HeaderError {}

/// The integer representation: least significant byte first.
const LITTLE: u8 = 0x10;

impl Header {
    /// Length on the wire, in bytes.
    pub const LEN: usize = 16;

    /// A header of version 5.0 whose lengths are still 0.
    #[must_use]
    pub fn new(ptype: PacketType, flags: Flags, order: Order, call_id: u32) -> Self {
        Self {
            version: 5,
            minor: 0,
            ptype,
            flags,
            drep: drep(order),
            frag_length: 0,
            auth_length: 0,
            call_id,
        }
    }

    /// Reads a header.
    ///
    /// # Errors
    /// [`HeaderError::FragLength`]: after it, nothing on the stream can be understood.
    // req: dce-706-12.6.3-header
    #[inline]
    pub fn parse(bytes: &[u8; Self::LEN]) -> Result<Self, HeaderError> {
        let [
            version,
            minor,
            ptype,
            flags,
            d0,
            d1,
            d2,
            d3,
            f0,
            f1,
            a0,
            a1,
            c0,
            c1,
            c2,
            c3,
        ] = *bytes;
        let order = order_of(d0);
        let frag_length = u16_of([f0, f1], order);
        if widen(frag_length) < Self::LEN {
            return Err(HeaderError::FragLength(frag_length));
        }
        Ok(Self {
            version,
            minor,
            ptype: PacketType(ptype),
            flags: Flags(flags),
            drep: [d0, d1, d2, d3],
            frag_length,
            auth_length: u16_of([a0, a1], order),
            call_id: u32_of([c0, c1, c2, c3], order),
        })
    }

    /// Looks for what is wrong with a header whose PDU has a boundary.
    ///
    /// # Errors
    /// [`HeaderError`], but never [`FragLength`](HeaderError::FragLength).
    // req: dce-706-12.6.3-check
    #[inline]
    pub fn check(&self) -> Result<(), HeaderError> {
        if self.version != 5 || self.minor > 1 {
            return Err(HeaderError::Version(self.version, self.minor));
        }
        if !matches!(self.drep, [0 | LITTLE, 0, 0, 0]) {
            return Err(HeaderError::Representation(self.drep));
        }
        let verifier = widen(self.auth_length).saturating_add(Self::LEN + 8);
        if self.auth_length != 0 && verifier > widen(self.frag_length) {
            return Err(HeaderError::AuthLength(self.auth_length));
        }
        Ok(())
    }

    /// The byte order of all numbers in the PDU.
    #[inline]
    #[must_use]
    pub fn order(&self) -> Order {
        let [first, ..] = self.drep;
        order_of(first)
    }

    /// The header's bytes.
    #[inline]
    #[must_use]
    pub fn emit(&self) -> [u8; Self::LEN] {
        let order = self.order();
        let [d0, d1, d2, d3] = self.drep;
        let [f0, f1] = u16_as(self.frag_length, order);
        let [a0, a1] = u16_as(self.auth_length, order);
        let [c0, c1, c2, c3] = u32_as(self.call_id, order);
        [
            self.version,
            self.minor,
            self.ptype.0,
            self.flags.0,
            d0,
            d1,
            d2,
            d3,
            f0,
            f1,
            a0,
            a1,
            c0,
            c1,
            c2,
            c3,
        ]
    }
}

/// The format label of a sender with this byte order, ASCII and IEEE floating point.
#[inline]
#[must_use]
pub fn drep(order: Order) -> [u8; 4] {
    match order {
        Order::Little => [LITTLE, 0, 0, 0],
        Order::Big => [0; 4],
    }
}

#[inline]
fn order_of(first: u8) -> Order {
    match first & 0xf0 {
        LITTLE => Order::Little,
        _ => Order::Big,
    }
}
