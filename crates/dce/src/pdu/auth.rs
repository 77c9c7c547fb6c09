//! The authentication verifier: a trailer of eight bytes and a token, at the end of a PDU.
//!
//! Read first: MS-RPCE section 2.2.2.11 (`sec_trailer`) and C706 section 13.2.6. `auth_length` counts the token alone.
//! In front of the trailer stands padding, whose length the trailer tells; it must begin at a multiple of four from
//! the PDU's start, and we make it a multiple of sixteen from the stub's, as Windows does.

use crate::pdu::cursor::{u32_as, u32_of, widen};
use crate::pdu::header::Header;
use crate::security::{AuthLevel, AuthType};
use crate::syntax::Order;
use std::ops::Range;

/// The trailer (`sec_trailer`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Trailer {
    /// The security provider.
    pub auth_type: AuthType,
    /// How much it protects.
    pub level: AuthLevel,
    /// Padding between the stub and the trailer.
    pub pad_length: u8,
    /// Which security context of the connection.
    pub context_id: u32,
}

impl Trailer {
    /// Length on the wire, in bytes.
    pub const LEN: usize = 8;

    /// What the stub is padded to, from its start.
    pub const ALIGN: usize = 16;

    /// Reads a trailer.
    #[must_use]
    pub fn parse(bytes: &[u8; Self::LEN], order: Order) -> Self {
        let [auth_type, level, pad_length, _, a, b, c, d] = *bytes;
        Self {
            auth_type: AuthType(auth_type),
            level: AuthLevel(level),
            pad_length,
            context_id: u32_of([a, b, c, d], order),
        }
    }

    /// The trailer's bytes.
    #[must_use]
    pub fn emit(&self, order: Order) -> [u8; Self::LEN] {
        let [a, b, c, d] = u32_as(self.context_id, order);
        [
            self.auth_type.0,
            self.level.0,
            self.pad_length,
            0,
            a,
            b,
            c,
            d,
        ]
    }
}

/// Where the verifier lies in a PDU.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verifier {
    /// The trailer.
    pub trailer: Trailer,
    /// Where it begins: the end of the body and its padding.
    pub at: usize,
    /// Where the token lies.
    pub token: Range<usize>,
}

/// The verifier of a PDU is not one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BadVerifier;

impl Verifier {
    /// Finds the verifier of `pdu`, which is as long as its header says. `body` is where in it the variable part
    /// begins; the verifier must lie behind. `None`: there is none.
    ///
    /// # Errors
    /// [`BadVerifier`]: it does not fit, or does not begin at a multiple of four.
    // req: dce-rpce-2.2.2.11-place
    pub fn find(pdu: &[u8], header: &Header, body: usize) -> Result<Option<Self>, BadVerifier> {
        if header.auth_length == 0 {
            return Ok(None);
        }
        let len = pdu.len();
        let token = len
            .checked_sub(widen(header.auth_length))
            .ok_or(BadVerifier)?;
        let at = token.checked_sub(Trailer::LEN).ok_or(BadVerifier)?;
        if at < body || !at.is_multiple_of(4) {
            return Err(BadVerifier);
        }
        let bytes = pdu
            .get(at..)
            .and_then(|rest| rest.first_chunk())
            .ok_or(BadVerifier)?;
        Ok(Some(Self {
            trailer: Trailer::parse(bytes, header.order()),
            at,
            token: token..len,
        }))
    }

    /// The same for a PDU with a stub that begins at `stub`; its padding must lie within the stub. Returns where
    /// the stub proper ends, too.
    ///
    /// # Errors
    /// [`BadVerifier`].
    // req: dce-rpce-2.2.2.11-pad
    #[inline]
    pub fn find_after_stub(
        pdu: &[u8],
        header: &Header,
        stub: usize,
    ) -> Result<(Option<Self>, usize), BadVerifier> {
        if header.auth_length == 0 {
            return match pdu.len() < stub {
                true => Err(BadVerifier),
                false => Ok((None, pdu.len())),
            };
        }
        Self::find_last(pdu, header, stub)
    }

    #[cold]
    fn find_last(
        pdu: &[u8],
        header: &Header,
        stub: usize,
    ) -> Result<(Option<Self>, usize), BadVerifier> {
        let found = Self::find(pdu, header, stub)?.ok_or(BadVerifier)?;
        let end = found
            .at
            .checked_sub(usize::from(found.trailer.pad_length))
            .filter(|end| *end >= stub)
            .ok_or(BadVerifier)?;
        Ok((Some(found), end))
    }
}

/// Padding after `len` bytes of stub, so that the trailer stands at a multiple of [`Trailer::ALIGN`].
#[inline]
#[must_use]
pub fn padding(len: usize) -> usize {
    len.wrapping_neg() & (Trailer::ALIGN - 1)
}

/// Appends a verifier to a PDU whose header begins at `start`: pads the body to a multiple of four, appends trailer
/// and token, and sets both lengths in the header. For PDUs that carry a leg of an exchange.
///
/// Returns false if the PDU would be longer than its header can say; it is useless then.
#[must_use]
pub fn append(pdu: &mut Vec<u8>, start: usize, trailer: Trailer, token: &[u8]) -> bool {
    let body = pdu.len().saturating_sub(start);
    let pad = farcall_wire::cursor::pad_len(body);
    pdu.resize(pdu.len().saturating_add(pad), 0);
    let order = order_at(pdu, start);
    let trailer = Trailer {
        pad_length: u8::try_from(pad).unwrap_or(0),
        ..trailer
    };
    pdu.extend_from_slice(&trailer.emit(order));
    pdu.extend_from_slice(token);
    finish(pdu, start, token.len())
}

/// Sets `frag_length` and `auth_length` of the PDU that begins at `start` and ends with `pdu`.
#[must_use]
pub fn finish(pdu: &mut [u8], start: usize, auth_length: usize) -> bool {
    let len = pdu.len().saturating_sub(start);
    let order = order_at(pdu, start);
    let (Ok(frag), Ok(auth)) = (u16::try_from(len), u16::try_from(auth_length)) else {
        return false;
    };
    let lengths = [
        crate::pdu::cursor::u16_as(frag, order),
        crate::pdu::cursor::u16_as(auth, order),
    ];
    let at = start.saturating_add(8);
    let fields = pdu.iter_mut().skip(at);
    for (to, from) in fields.zip(lengths.into_iter().flatten()) {
        *to = from;
    }
    true
}

fn order_at(pdu: &[u8], start: usize) -> Order {
    match pdu.get(start.saturating_add(4)) {
        Some(0x10) => Order::Little,
        _ => Order::Big,
    }
}
