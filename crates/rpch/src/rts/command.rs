//! The commands that RTS PDUs are made of.
//!
//! Read first: MS-RPCH sections 2.2.3.2 to 2.2.3.5. Values out of the range that the section gives are refused, but
//! for two that deployed peers stretch: windows up to 1 GiB (a Windows registry value) and connection timeouts from 30 s
//! (section 3.2.1.1.6.1 says so, 2.2.3.5.3 says 120 s). A version is sent as 1 and ignored.

use crate::rts::cookie::Cookie;
use core::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Where a PDU with a Destination command goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Destination {
    /// `FDClient`.
    Client,
    /// `FDInProxy`.
    InProxy,
    /// `FDServer`.
    Server,
    /// `FDOutProxy`.
    OutProxy,
}

/// What arrived on a channel so far, and what may come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FlowControlAck {
    /// Bytes of RPC PDUs received on the channel.
    pub bytes_received: u32,
    /// Bytes free in the receive window when this was sent.
    pub available_window: u32,
    /// The channel.
    pub channel: Cookie,
}

/// One command. Windows and lifetimes are in bytes, times in milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Command {
    /// Size of a receive window, 8 KiB to 1 GiB.
    ReceiveWindowSize(u32),
    /// Acknowledgement of what arrived.
    FlowControlAck(FlowControlAck),
    /// How long an idle connection may be expected to live, 30 000 to 14 400 000.
    ConnectionTimeout(u32),
    /// The name of a virtual connection or a channel; the place in the PDU says which.
    Cookie(Cookie),
    /// Bytes that a channel carries in its life, 128 KiB to 2 GiB.
    ChannelLifetime(u32),
    /// Interval of keep-alives toward the server, 60 000 and more; 0 means 300 000.
    ClientKeepalive(u32),
    /// The sender's version; 1, and ignored.
    Version(u32),
    /// Nothing.
    Empty,
    /// This many bytes without meaning, up to 65535.
    Padding(u16),
    /// A successor channel was not established.
    NegativeAnce,
    /// A successor channel was established.
    Ance,
    /// The client's address, as the inbound proxy sees it.
    ClientAddress(IpAddr),
    /// The client's association group.
    AssociationGroupId(Cookie),
    /// The PDU is to be forwarded to there.
    Destination(Destination),
    /// Bytes of ping traffic that the outbound proxy sent.
    PingTrafficSentNotify(u32),
}

/// Why bytes are no RTS PDU.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum RtsError {
    /// A field of the header does not have the one value that it may have; `(its name, its value)`.
    Header(&'static str, u32),
    /// The PDU's length field does not say how long it is.
    FragLength {
        /// What it says.
        said: u16,
        /// Bytes that are there.
        bytes: usize,
    },
    /// Flags that do not exist.
    Flags(u16),
    /// More commands than any PDU has.
    TooManyCommands(u16),
    /// It ends inside its header or a command.
    Truncated,
    /// A kind of command that does not exist.
    UnknownCommand(u32),
    /// A command's value is out of its range; `(its name, the value)`.
    Range(&'static str, u32),
    /// Bytes stand behind the last command.
    Trailing(usize),
    /// The flags and commands belong to no PDU of section 2.2.4.
    UnknownPdu {
        /// The flags.
        flags: u16,
        /// How many commands.
        commands: usize,
    },
}

impl fmt::Display for RtsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Header(field, value) => write!(f, "RTS header with {field} {value:#x}"),
            Self::FragLength { said, bytes } => {
                write!(f, "RTS PDU of {bytes} bytes says that it has {said}")
            }
            Self::Flags(flags) => write!(f, "RTS flags {flags:#06x}"),
            Self::TooManyCommands(count) => write!(f, "RTS PDU with {count} commands"),
            Self::Truncated => f.write_str("RTS PDU ends too early"),
            Self::UnknownCommand(kind) => write!(f, "RTS command {kind}"),
            Self::Range(command, value) => write!(f, "{command} of {value} is out of range"),
            Self::Trailing(count) => write!(f, "{count} bytes behind the last RTS command"),
            Self::UnknownPdu { flags, commands } => {
                write!(
                    f,
                    "no RTS PDU has flags {flags:#06x} and these {commands} commands"
                )
            }
        }
    }
}

impl std::error::Error for RtsError {}

/// Smallest receive window, in bytes.
pub const MIN_WINDOW: u32 = 8 << 10;
/// Largest receive window that is believed, in bytes.
pub const MAX_WINDOW: u32 = 1 << 30;
/// Shortest channel lifetime, in bytes.
pub const MIN_LIFETIME: u32 = 128 << 10;
/// Longest channel lifetime, in bytes.
pub const MAX_LIFETIME: u32 = 2 << 30;

/// What a keep-alive of 0 stands for, in milliseconds.
pub const DEFAULT_KEEPALIVE: u32 = 300_000;

impl Destination {
    fn of(value: u32) -> Result<Self, RtsError> {
        match value {
            0 => Ok(Self::Client),
            1 => Ok(Self::InProxy),
            2 => Ok(Self::Server),
            3 => Ok(Self::OutProxy),
            _ => Err(RtsError::Range("Destination", value)),
        }
    }

    fn value(self) -> u32 {
        match self {
            Self::Client => 0,
            Self::InProxy => 1,
            Self::Server => 2,
            Self::OutProxy => 3,
        }
    }
}

impl Command {
    /// Reads one command from the front of `rest`.
    // req: rpch-2.2.3.5-commands
    pub(crate) fn parse(rest: &mut &[u8]) -> Result<Self, RtsError> {
        let kind = u32_of(rest)?;
        Ok(match kind {
            0 => Self::ReceiveWindowSize(within(
                u32_of(rest)?,
                MIN_WINDOW,
                MAX_WINDOW,
                "ReceiveWindowSize",
            )?),
            1 => Self::FlowControlAck(FlowControlAck {
                bytes_received: u32_of(rest)?,
                available_window: u32_of(rest)?,
                channel: cookie_of(rest)?,
            }),
            2 => Self::ConnectionTimeout(within(
                u32_of(rest)?,
                30_000,
                14_400_000,
                "ConnectionTimeout",
            )?),
            3 => Self::Cookie(cookie_of(rest)?),
            4 => Self::ChannelLifetime(within(
                u32_of(rest)?,
                MIN_LIFETIME,
                MAX_LIFETIME,
                "ChannelLifetime",
            )?),
            5 => Self::ClientKeepalive(keepalive(u32_of(rest)?)?),
            6 => Self::Version(u32_of(rest)?),
            7 => Self::Empty,
            8 => Self::Padding(padding(rest)?),
            9 => Self::NegativeAnce,
            10 => Self::Ance,
            11 => Self::ClientAddress(address_of(rest)?),
            12 => Self::AssociationGroupId(cookie_of(rest)?),
            13 => Self::Destination(Destination::of(u32_of(rest)?)?),
            14 => Self::PingTrafficSentNotify(u32_of(rest)?),
            _ => return Err(RtsError::UnknownCommand(kind)),
        })
    }

    /// Appends the command.
    pub(crate) fn emit(&self, out: &mut Vec<u8>) {
        put(out, self.kind());
        match self {
            Self::ReceiveWindowSize(value)
            | Self::ConnectionTimeout(value)
            | Self::ChannelLifetime(value)
            | Self::ClientKeepalive(value)
            | Self::Version(value)
            | Self::PingTrafficSentNotify(value) => put(out, *value),
            Self::FlowControlAck(ack) => {
                put(out, ack.bytes_received);
                put(out, ack.available_window);
                out.extend_from_slice(&ack.channel.0);
            }
            Self::Cookie(cookie) | Self::AssociationGroupId(cookie) => {
                out.extend_from_slice(&cookie.0);
            }
            Self::Padding(count) => {
                put(out, u32::from(*count));
                out.resize(out.len().saturating_add(usize::from(*count)), 0);
            }
            Self::ClientAddress(address) => emit_address(out, *address),
            Self::Destination(to) => put(out, to.value()),
            Self::Empty | Self::NegativeAnce | Self::Ance => {}
        }
    }

    fn kind(&self) -> u32 {
        match self {
            Self::ReceiveWindowSize(_) => 0,
            Self::FlowControlAck(_) => 1,
            Self::ConnectionTimeout(_) => 2,
            Self::Cookie(_) => 3,
            Self::ChannelLifetime(_) => 4,
            Self::ClientKeepalive(_) => 5,
            Self::Version(_) => 6,
            Self::Empty => 7,
            Self::Padding(_) => 8,
            Self::NegativeAnce => 9,
            Self::Ance => 10,
            Self::ClientAddress(_) => 11,
            Self::AssociationGroupId(_) => 12,
            Self::Destination(_) => 13,
            Self::PingTrafficSentNotify(_) => 14,
        }
    }
}

fn within(value: u32, min: u32, max: u32, name: &'static str) -> Result<u32, RtsError> {
    if (min..=max).contains(&value) {
        Ok(value)
    } else {
        Err(RtsError::Range(name, value))
    }
}

fn keepalive(value: u32) -> Result<u32, RtsError> {
    match value {
        0 | 60_000.. => Ok(value),
        _ => Err(RtsError::Range("ClientKeepalive", value)),
    }
}

fn padding(rest: &mut &[u8]) -> Result<u16, RtsError> {
    let count = u32_of(rest)?;
    let count = u16::try_from(count).map_err(|_| RtsError::Range("Padding", count))?;
    take(rest, usize::from(count))?;
    Ok(count)
}

/// Addresses are little-endian numbers, says section 2.2.3.2: their bytes stand the other way round.
fn address_of(rest: &mut &[u8]) -> Result<IpAddr, RtsError> {
    let address = match u32_of(rest)? {
        0 => {
            let [a, b, c, d] = chunk(rest)?;
            IpAddr::V4(Ipv4Addr::new(d, c, b, a))
        }
        1 => {
            let mut bytes: [u8; 16] = chunk(rest)?;
            bytes.reverse();
            IpAddr::V6(Ipv6Addr::from(bytes))
        }
        kind => return Err(RtsError::Range("AddressType", kind)),
    };
    take(rest, 12)?;
    Ok(address)
}

fn emit_address(out: &mut Vec<u8>, address: IpAddr) {
    match address {
        IpAddr::V4(address) => {
            put(out, 0);
            out.extend(address.octets().iter().rev());
        }
        IpAddr::V6(address) => {
            put(out, 1);
            out.extend(address.octets().iter().rev());
        }
    }
    out.extend_from_slice(&[0; 12]);
}

fn put(out: &mut Vec<u8>, value: u32) {
    out.extend_from_slice(&value.to_le_bytes());
}

fn u32_of(rest: &mut &[u8]) -> Result<u32, RtsError> {
    chunk(rest).map(u32::from_le_bytes)
}

fn cookie_of(rest: &mut &[u8]) -> Result<Cookie, RtsError> {
    chunk(rest).map(Cookie)
}

fn take<'a>(rest: &mut &'a [u8], count: usize) -> Result<&'a [u8], RtsError> {
    let (head, tail) = rest.split_at_checked(count).ok_or(RtsError::Truncated)?;
    *rest = tail;
    Ok(head)
}

fn chunk<const N: usize>(rest: &mut &[u8]) -> Result<[u8; N], RtsError> {
    let (head, tail) = rest.split_first_chunk().ok_or(RtsError::Truncated)?;
    *rest = tail;
    Ok(*head)
}
