//! An RTS PDU as what it is made of: flags and commands.
//!
//! Read first: MS-RPCH section 2.2.3.6. Every field of the header has exactly one value, but for the length; nothing
//! may stand behind the last command.

use crate::rts::command::{Command, RtsError};
use bytes::Bytes;

/// `Flags` of an RTS PDU.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Flags(pub u16);

impl Flags {
    /// None.
    pub const NONE: Self = Self(0);
    /// The sender is alive.
    pub const PING: Self = Self(0x01);
    /// A command that no other flag tells of.
    pub const OTHER_CMD: Self = Self(0x02);
    /// A channel is being recycled.
    pub const RECYCLE_CHANNEL: Self = Self(0x04);
    /// About an IN channel.
    pub const IN_CHANNEL: Self = Self(0x08);
    /// About an OUT channel.
    pub const OUT_CHANNEL: Self = Self(0x10);
    /// The last PDU of a channel.
    pub const EOF: Self = Self(0x20);
    /// An echo.
    pub const ECHO: Self = Self(0x40);
    /// All that exist.
    const ALL: u16 = 0x7f;
}

/// An RTS PDU, whatever it means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pdu {
    /// Its flags.
    pub flags: Flags,
    /// Its commands, in order.
    pub commands: Vec<Command>,
}

/// Length of the header of an RTS PDU, flags and number of commands included.
pub const HEADER_LEN: usize = 20;

/// No PDU of section 2.2.4 has more commands than seven.
const MAX_COMMANDS: u16 = 16;

/// What stands before the length: version 5.0, PTYPE 20, first and last fragment, little-endian ASCII IEEE.
const START: [u8; 8] = [5, 0, 20, 3, 0x10, 0, 0, 0];

impl Pdu {
    /// Reads a whole PDU.
    ///
    /// # Errors
    /// Every variant of [`RtsError`] but [`UnknownPdu`](RtsError::UnknownPdu).
    // req: rpch-2.2.3.6-header
    pub fn parse(bytes: &[u8]) -> Result<Self, RtsError> {
        let (header, mut rest) = bytes
            .split_first_chunk::<HEADER_LEN>()
            .ok_or(RtsError::Truncated)?;
        let (flags, count) = header_of(header, bytes.len())?;
        let mut commands = Vec::with_capacity(usize::from(count));
        for _ in 0..count {
            commands.push(Command::parse(&mut rest)?);
        }
        match rest.len() {
            0 => Ok(Self { flags, commands }),
            more => Err(RtsError::Trailing(more)),
        }
    }

    /// The PDU's bytes. One that would not fit a length field (two paddings of 64 KiB) is cut off; none of section
    /// 2.2.4 is near.
    #[must_use]
    pub fn emit(&self) -> Bytes {
        let mut out = Vec::with_capacity(HEADER_LEN.saturating_add(128));
        out.extend_from_slice(&START);
        out.extend_from_slice(&[0; 8]);
        out.extend_from_slice(&self.flags.0.to_le_bytes());
        let count = u16::try_from(self.commands.len()).unwrap_or(u16::MAX);
        out.extend_from_slice(&count.to_le_bytes());
        for command in &self.commands {
            command.emit(&mut out);
        }
        let len = u16::try_from(out.len()).unwrap_or(u16::MAX);
        out.truncate(usize::from(len));
        for (to, from) in out.iter_mut().skip(START.len()).zip(len.to_le_bytes()) {
            *to = from;
        }
        Bytes::from(out)
    }
}

/// Flags and number of commands of a header that is right in every field.
fn header_of(header: &[u8; HEADER_LEN], bytes: usize) -> Result<(Flags, u16), RtsError> {
    let [
        major,
        minor,
        ptype,
        pfc,
        d0,
        d1,
        d2,
        d3,
        l0,
        l1,
        a0,
        a1,
        c0,
        c1,
        c2,
        c3,
        f0,
        f1,
        n0,
        n1,
    ] = *header;
    only("rpc_vers", u32::from(major), 5)?;
    only("rpc_vers_minor", u32::from(minor), 0)?;
    only("PTYPE", u32::from(ptype), 20)?;
    only("pfc_flags", u32::from(pfc), 3)?;
    only("packed_drep", u32::from_le_bytes([d0, d1, d2, d3]), 0x10)?;
    let said = u16::from_le_bytes([l0, l1]);
    if usize::from(said) != bytes {
        return Err(RtsError::FragLength { said, bytes });
    }
    only("auth_length", u32::from(u16::from_le_bytes([a0, a1])), 0)?;
    only("call_id", u32::from_le_bytes([c0, c1, c2, c3]), 0)?;
    let flags = u16::from_le_bytes([f0, f1]);
    if flags & !Flags::ALL != 0 {
        return Err(RtsError::Flags(flags));
    }
    let count = u16::from_le_bytes([n0, n1]);
    if count > MAX_COMMANDS {
        return Err(RtsError::TooManyCommands(count));
    }
    Ok((Flags(flags), count))
}

fn only(field: &'static str, value: u32, expected: u32) -> Result<(), RtsError> {
    if value == expected {
        Ok(())
    } else {
        Err(RtsError::Header(field, value))
    }
}
