//! Protocol towers: a way to an interface, as the endpoint mapper keeps and tells it.
//!
//! Read first: C706 appendix I (protocol identifiers) and appendix L (the tower's octet string), MS-RPCE section
//! 2.2.1.2.2 (what each floor holds). Numbers that name a floor's parts are little-endian whoever sends them; ports and
//! addresses are in network order. A floor this file does not know survives as bytes. It resolves no names.

use core::fmt;
use core::net::Ipv4Addr;

use farcall_wire::{DecodeError, DecodeErrorKind, Reader, Uuid};

use crate::syntax::SyntaxId;

/// Most floors that are read: no tower in use has more than seven.
pub const MAX_FLOORS: usize = 32;

/// The identifiers of protocols that stand first in a floor's left half.
mod protocol {
    pub(super) const UUID: u8 = 0x0d;
    pub(super) const TCP: u8 = 0x07;
    pub(super) const UDP: u8 = 0x08;
    pub(super) const IP: u8 = 0x09;
    pub(super) const CONNECTIONLESS: u8 = 0x0a;
    pub(super) const CONNECTION: u8 = 0x0b;
    pub(super) const LOCAL: u8 = 0x0c;
    pub(super) const PIPE: u8 = 0x0f;
    pub(super) const LRPC: u8 = 0x10;
    pub(super) const NETBIOS: u8 = 0x11;
    pub(super) const HTTP: u8 = 0x1f;
    pub(super) const UNIX: u8 = 0x20;
}

/// One floor of a tower.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Floor {
    /// An interface or a transfer syntax.
    Syntax(SyntaxId),
    /// The connection-oriented protocol, with its minor version.
    Connection(u16),
    /// The connectionless protocol, with its minor version.
    Connectionless(u16),
    /// The local protocol (`ncalrpc`), with its minor version.
    Local(u16),
    /// A TCP port.
    Tcp(u16),
    /// A UDP port.
    Udp(u16),
    /// A port at which RPC over HTTP is served.
    Http(u16),
    /// An IPv4 address; `0.0.0.0` stands for whichever the asker used.
    Ip(Ipv4Addr),
    /// The name of a named pipe, `\PIPE\name`, without its NUL.
    Pipe(Vec<u8>),
    /// The name of a local endpoint, without its NUL.
    Lrpc(Vec<u8>),
    /// The NetBIOS name of a host, without its NUL.
    NetBios(Vec<u8>),
    /// The path of a Unix socket, without its NUL.
    Unix(Vec<u8>),
    /// Anything else: both halves as they came.
    Other {
        /// The left half: a protocol identifier and its data.
        left: Vec<u8>,
        /// The right half.
        right: Vec<u8>,
    },
}

impl Floor {
    /// Reads one floor.
    fn parse(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let left = half(r)?;
        let right = half(r)?;
        Ok(Self::known(left, right).unwrap_or_else(|| Self::Other {
            left: left.to_vec(),
            right: right.to_vec(),
        }))
    }

    /// The floor these halves make, if both are as its protocol has them.
    fn known(left: &[u8], right: &[u8]) -> Option<Self> {
        let (id, data) = left.split_first()?;
        Some(match *id {
            protocol::UUID => Self::Syntax(syntax(data, right)?),
            _ if !data.is_empty() => return None,
            protocol::CONNECTION => Self::Connection(little(right)?),
            protocol::CONNECTIONLESS => Self::Connectionless(little(right)?),
            protocol::LOCAL => Self::Local(little(right)?),
            protocol::TCP => Self::Tcp(big(right)?),
            protocol::UDP => Self::Udp(big(right)?),
            protocol::HTTP => Self::Http(big(right)?),
            protocol::IP => Self::Ip(<[u8; 4]>::try_from(right).ok()?.into()),
            protocol::PIPE => Self::Pipe(text(right)?),
            protocol::LRPC => Self::Lrpc(text(right)?),
            protocol::NETBIOS => Self::NetBios(text(right)?),
            protocol::UNIX => Self::Unix(text(right)?),
            _ => return None,
        })
    }

    /// Both halves, as they are written.
    fn halves(&self) -> (Vec<u8>, Vec<u8>) {
        match self {
            Self::Syntax(id) => syntax_halves(id),
            Self::Connection(minor) => number(protocol::CONNECTION, minor.to_le_bytes()),
            Self::Connectionless(minor) => number(protocol::CONNECTIONLESS, minor.to_le_bytes()),
            Self::Local(minor) => number(protocol::LOCAL, minor.to_le_bytes()),
            Self::Tcp(port) => number(protocol::TCP, port.to_be_bytes()),
            Self::Udp(port) => number(protocol::UDP, port.to_be_bytes()),
            Self::Http(port) => number(protocol::HTTP, port.to_be_bytes()),
            Self::Ip(address) => (vec![protocol::IP], address.octets().to_vec()),
            Self::Pipe(name) => named(protocol::PIPE, name),
            Self::Lrpc(name) => named(protocol::LRPC, name),
            Self::NetBios(name) => named(protocol::NETBIOS, name),
            Self::Unix(path) => named(protocol::UNIX, path),
            Self::Other { left, right } => (left.clone(), right.clone()),
        }
    }
}

/// Half a floor: a count of bytes and the bytes.
fn half<'a>(r: &mut Reader<'a>) -> Result<&'a [u8], DecodeError> {
    let len = u16::from_le_bytes(*r.array::<2>()?);
    r.slice(len.into())
}

fn little(right: &[u8]) -> Option<u16> {
    Some(u16::from_le_bytes(right.try_into().ok()?))
}

fn big(right: &[u8]) -> Option<u16> {
    Some(u16::from_be_bytes(right.try_into().ok()?))
}

/// Text with a NUL behind it, the NUL taken off.
fn text(right: &[u8]) -> Option<Vec<u8>> {
    let (last, text) = right.split_last()?;
    (*last == 0 && !text.contains(&0)).then(|| text.to_vec())
}

fn number(protocol: u8, bytes: [u8; 2]) -> (Vec<u8>, Vec<u8>) {
    (vec![protocol], bytes.to_vec())
}

fn named(protocol: u8, name: &[u8]) -> (Vec<u8>, Vec<u8>) {
    let mut right = name.to_vec();
    right.push(0);
    (vec![protocol], right)
}

/// UUID and major version from the left half, minor version from the right.
fn syntax(data: &[u8], right: &[u8]) -> Option<SyntaxId> {
    let (uuid, major) = data.split_first_chunk::<16>()?;
    Some(SyntaxId {
        uuid: Uuid::from_bytes_le(*uuid),
        major: little(major)?,
        minor: little(right)?,
    })
}

fn syntax_halves(id: &SyntaxId) -> (Vec<u8>, Vec<u8>) {
    let mut left = vec![protocol::UUID];
    left.extend(id.uuid.to_bytes_le());
    left.extend(id.major.to_le_bytes());
    (left, id.minor.to_le_bytes().to_vec())
}

/// How bytes travel: the protocol sequences of C706 appendix B and MS-RPCE section 2.1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Protseq {
    /// `ncacn_ip_tcp`: connection-oriented over TCP.
    Tcp,
    /// `ncadg_ip_udp`: connectionless over UDP.
    Udp,
    /// `ncacn_np`: connection-oriented over SMB's named pipes.
    Pipe,
    /// `ncalrpc`: within one machine.
    Local,
    /// `ncacn_http`: connection-oriented over HTTP, through an RPC proxy.
    Http,
    /// `ncacn_unix_stream`: connection-oriented over Unix sockets, as Samba has it.
    Unix,
}

impl Protseq {
    /// All of them.
    pub const ALL: [Self; 6] = [
        Self::Tcp,
        Self::Udp,
        Self::Pipe,
        Self::Local,
        Self::Http,
        Self::Unix,
    ];

    /// Its name, as it stands in string bindings.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Tcp => "ncacn_ip_tcp",
            Self::Udp => "ncadg_ip_udp",
            Self::Pipe => "ncacn_np",
            Self::Local => "ncalrpc",
            Self::Http => "ncacn_http",
            Self::Unix => "ncacn_unix_stream",
        }
    }

    /// The one with this name; the letters' case does not matter.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        let is_it = |protseq: &Self| protseq.name().eq_ignore_ascii_case(name);
        Self::ALL.into_iter().find(is_it)
    }
}

impl fmt::Display for Protseq {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A way to an interface: what is spoken, from the interface down to the wire.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Tower {
    /// The floors, the interface first.
    pub floors: Vec<Floor>,
}

impl Tower {
    /// The tower of an interface at an endpoint: a port, or a name. `host`: an address for Internet protocols,
    /// `0.0.0.0` where it does not matter.
    ///
    /// `None` if the endpoint is none of its protocol: not a port.
    #[must_use]
    pub fn new(
        interface: SyntaxId,
        transfer: SyntaxId,
        protseq: Protseq,
        endpoint: &str,
        host: Ipv4Addr,
    ) -> Option<Self> {
        let port = || match endpoint {
            "" => Some(0),
            _ => endpoint.parse().ok(),
        };
        let name = || endpoint.as_bytes().to_vec();
        let mut floors = vec![Floor::Syntax(interface), Floor::Syntax(transfer)];
        match protseq {
            Protseq::Tcp => floors.extend([Floor::Connection(0), Floor::Tcp(port()?)]),
            Protseq::Http => floors.extend([Floor::Connection(0), Floor::Http(port()?)]),
            Protseq::Udp => floors.extend([Floor::Connectionless(0), Floor::Udp(port()?)]),
            Protseq::Pipe => floors.extend([Floor::Connection(0), Floor::Pipe(name())]),
            Protseq::Unix => floors.extend([Floor::Connection(0), Floor::Unix(name())]),
            Protseq::Local => floors.extend([Floor::Local(0), Floor::Lrpc(name())]),
        }
        match protseq {
            Protseq::Tcp | Protseq::Http | Protseq::Udp => floors.push(Floor::Ip(host)),
            Protseq::Pipe => floors.push(Floor::NetBios(Vec::new())),
            Protseq::Local | Protseq::Unix => {}
        }
        Some(Self { floors })
    }

    /// Reads a tower's octet string.
    ///
    /// # Errors
    /// Bytes are missing or left over, or there are more than [`MAX_FLOORS`] floors.
    // req: dce-tower-parse
    pub fn parse(bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut r = Reader::new(bytes);
        let count = usize::from(u16::from_le_bytes(*r.array::<2>()?));
        if count > MAX_FLOORS {
            return Err(r.error(DecodeErrorKind::Invalid("tower has more than 32 floors")));
        }
        let mut floors = Vec::with_capacity(count);
        for _ in 0..count {
            floors.push(Floor::parse(&mut r)?);
        }
        r.finish()?;
        Ok(Self { floors })
    }

    /// The tower's octet string. A half floor of more than 65,535 bytes is cut.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        bytes.extend(short(self.floors.len()).to_le_bytes());
        for floor in &self.floors {
            let (left, right) = floor.halves();
            for half in [left, right] {
                let len = short(half.len());
                bytes.extend(len.to_le_bytes());
                bytes.extend(half.iter().take(len.into()));
            }
        }
        bytes
    }

    /// The interface it leads to.
    #[must_use]
    pub fn interface(&self) -> Option<SyntaxId> {
        self.syntax_at(0)
    }

    /// The transfer syntax that is spoken.
    #[must_use]
    pub fn transfer(&self) -> Option<SyntaxId> {
        self.syntax_at(1)
    }

    fn syntax_at(&self, floor: usize) -> Option<SyntaxId> {
        match self.floors.get(floor)? {
            Floor::Syntax(id) => Some(*id),
            _ => None,
        }
    }

    /// How bytes travel, if it is a way that is known.
    #[must_use]
    pub fn protseq(&self) -> Option<Protseq> {
        match (self.floors.get(2)?, self.floors.get(3)?) {
            (Floor::Connection(_), Floor::Tcp(_)) => Some(Protseq::Tcp),
            (Floor::Connection(_), Floor::Http(_)) => Some(Protseq::Http),
            (Floor::Connection(_), Floor::Pipe(_)) => Some(Protseq::Pipe),
            (Floor::Connection(_), Floor::Unix(_)) => Some(Protseq::Unix),
            (Floor::Connectionless(_), Floor::Udp(_)) => Some(Protseq::Udp),
            (Floor::Local(_), Floor::Lrpc(_)) => Some(Protseq::Local),
            _ => None,
        }
    }

    /// The port, if it has one.
    #[must_use]
    pub fn port(&self) -> Option<u16> {
        match self.floors.get(3)? {
            Floor::Tcp(port) | Floor::Udp(port) | Floor::Http(port) => Some(*port),
            _ => None,
        }
    }

    /// The endpoint, as it stands in a string binding; empty if it is left open.
    #[must_use]
    pub fn endpoint(&self) -> Option<String> {
        match self.floors.get(3)? {
            Floor::Tcp(0) | Floor::Udp(0) | Floor::Http(0) => Some(String::new()),
            Floor::Tcp(port) | Floor::Udp(port) | Floor::Http(port) => Some(port.to_string()),
            Floor::Pipe(name) | Floor::Lrpc(name) | Floor::Unix(name) => {
                Some(String::from_utf8_lossy(name).into_owned())
            }
            _ => None,
        }
    }

    /// The IPv4 address, if it has one.
    #[must_use]
    pub fn address(&self) -> Option<Ipv4Addr> {
        let address = |floor: &Floor| match floor {
            Floor::Ip(address) => Some(*address),
            _ => None,
        };
        self.floors.iter().find_map(address)
    }

    /// The same tower at another address, if it has one.
    #[must_use]
    pub fn at(mut self, host: Ipv4Addr) -> Self {
        for floor in &mut self.floors {
            if let Floor::Ip(address) = floor {
                *address = host;
            }
        }
        self
    }
}

fn short(len: usize) -> u16 {
    u16::try_from(len).unwrap_or(u16::MAX)
}

#[cfg(test)]
mod tests;
