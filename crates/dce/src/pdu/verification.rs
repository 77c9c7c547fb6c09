//! The verification trailer: what a client signs about a request that its headers do not protect.
//!
//! Read first: MS-RPCE section 2.2.2.13. It stands behind the stub of a request, before the authentication padding, at
//! a multiple of four, and begins with a signature of eight bytes. A server cannot know where the stub ends, so it
//! searches for the signature from the end. Each command it carries repeats something of the call; what does not
//! agree was changed on the way. The specification names no byte order: Samba writes and reads little-endian ones
//! behind big-endian arguments, and so do we.

use crate::pdu::cursor::{Input, Output};
use crate::pdu::header::Header;
use crate::syntax::{Order, SyntaxId};
use farcall_wire::DecodeError;

/// The eight bytes that begin the trailer.
pub const SIGNATURE: [u8; 8] = [0x8a, 0xe3, 0x13, 0x71, 0x02, 0xf4, 0x36, 0x71];

/// How far from the stub's end the signature is searched, in bytes.
pub const WINDOW: usize = 1024;

/// Flag of the last command.
const END: u16 = 0x4000;
/// Flag of a command that must be understood.
const MUST_PROCESS: u16 = 0x8000;
/// The number of a command, without its flags.
const COMMAND: u16 = 0x3fff;

const BITMASK_1: u16 = 1;
const PCONTEXT: u16 = 2;
const HEADER_2: u16 = 3;

/// Bit 0 of `bitmask1`: the client can sign headers.
const CLIENT_SUPPORTS_HEADER_SIGN: u32 = 1;

/// What a verification trailer repeats. `None` where a command is missing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Verification {
    /// Whether the client can sign headers (`bitmask1`).
    pub header_sign: Option<bool>,
    /// The interface and the transfer syntax (`pcontext`).
    pub syntaxes: Option<(SyntaxId, SyntaxId)>,
    /// Of the request's header (`header2`).
    pub header: Option<Header2>,
}

/// The fields of a request that `header2` repeats.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header2 {
    /// The packet type.
    pub ptype: u8,
    /// The data representation.
    pub drep: [u8; 4],
    /// The call.
    pub call_id: u32,
    /// The presentation context.
    pub context_id: u16,
    /// The operation.
    pub opnum: u16,
}

impl Header2 {
    /// What `header2` must say about a request.
    #[must_use]
    pub fn of(header: &Header, context_id: u16, opnum: u16) -> Self {
        Self {
            ptype: header.ptype.0,
            drep: header.drep,
            call_id: header.call_id,
            context_id,
            opnum,
        }
    }
}

/// Where in `stub` the last verification trailer begins, if there is one within [`WINDOW`] of its end.
// req: dce-rpce-2.2.2.13-search
#[must_use]
pub fn find(stub: &[u8]) -> Option<usize> {
    let from = stub.len().saturating_sub(WINDOW);
    // The trailer is aligned to four from the stub's start.
    let from = from.saturating_add(farcall_wire::cursor::pad_len(from));
    let window = stub.get(from..)?;
    window
        .windows(SIGNATURE.len())
        .enumerate()
        .rev()
        .find(|(at, bytes)| at.is_multiple_of(4) && *bytes == SIGNATURE)
        .map(|(at, _)| from.saturating_add(at))
}

impl Verification {
    /// Reads a trailer, signature included.
    ///
    /// # Errors
    /// [`DecodeError`]: it is cut short, a command has another length than it must have, comes twice, or must be
    /// understood and is not.
    // req: dce-rpce-2.2.2.13-commands
    pub fn parse(bytes: &[u8], order: Order) -> Result<Self, DecodeError> {
        let mut input = Input::new(bytes, order);
        if *input.slice(SIGNATURE.len())? != SIGNATURE {
            return Err(input.invalid("no verification trailer"));
        }
        let mut found = Self::default();
        loop {
            let command = input.u16()?;
            let len = input.u16()?;
            let value = input.slice(usize::from(len))?;
            if !found.take(command, value, order)? {
                return Err(
                    input.invalid("verification command unknown, repeated or of wrong length")
                );
            }
            if command & END != 0 {
                return Ok(found);
            }
        }
    }

    /// Takes a command; false if it cannot stand.
    fn take(&mut self, command: u16, value: &[u8], order: Order) -> Result<bool, DecodeError> {
        let mut input = Input::new(value, order);
        match (command & COMMAND, value.len()) {
            (BITMASK_1, 4) if self.header_sign.is_none() => {
                self.header_sign = Some(input.u32()? & CLIENT_SUPPORTS_HEADER_SIGN != 0);
            }
            (PCONTEXT, 40) if self.syntaxes.is_none() => {
                self.syntaxes = Some((input.syntax()?, input.syntax()?));
            }
            (HEADER_2, 16) if self.header.is_none() => {
                self.header = Some(header2(&mut input)?);
            }
            (BITMASK_1..=HEADER_2, _) => return Ok(false),
            _ => return Ok(command & MUST_PROCESS == 0),
        }
        Ok(true)
    }

    /// Appends the trailer to a stub that begins at `start` in `bytes`, padded to a multiple of four before it.
    pub fn emit(&self, bytes: &mut Vec<u8>, start: usize, order: Order) {
        let mut out = Output { bytes, order };
        out.align4(start);
        out.bytes.extend_from_slice(&SIGNATURE);
        if let Some(header_sign) = self.header_sign {
            let end = self.syntaxes.is_none() && self.header.is_none();
            out.u16(BITMASK_1 | if end { END } else { 0 });
            out.u16(4);
            out.u32(u32::from(header_sign));
        }
        if let Some((interface, transfer)) = &self.syntaxes {
            let end = self.header.is_none();
            out.u16(PCONTEXT | MUST_PROCESS | if end { END } else { 0 });
            out.u16(40);
            out.syntax(interface);
            out.syntax(transfer);
        }
        if let Some(header) = &self.header {
            out.u16(HEADER_2 | MUST_PROCESS | END);
            out.u16(16);
            out.u8(header.ptype);
            out.zeros(3);
            out.bytes.extend_from_slice(&header.drep);
            out.u32(header.call_id);
            out.u16(header.context_id);
            out.u16(header.opnum);
        }
    }

    /// Whether everything that the trailer repeats is as it arrived.
    #[must_use]
    pub fn agrees(
        &self,
        header_sign: bool,
        syntaxes: (SyntaxId, SyntaxId),
        header: Header2,
    ) -> bool {
        self.header_sign.is_none_or(|client| !client || header_sign)
            && self.syntaxes.is_none_or(|own| own == syntaxes)
            && self.header.is_none_or(|own| own == header)
    }
}

fn header2(input: &mut Input<'_>) -> Result<Header2, DecodeError> {
    let ptype = input.u8()?;
    input.slice(3)?;
    let mut drep = [0; 4];
    for to in &mut drep {
        *to = input.u8()?;
    }
    Ok(Header2 {
        ptype,
        drep,
        call_id: input.u32()?,
        context_id: input.u16()?,
        opnum: input.u16()?,
    })
}
