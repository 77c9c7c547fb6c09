//! Universal addresses and network identifiers: how rpcbind writes where a service listens.
//!
//! Read first: RFC 5665 sections 5.2.3 ("Uaddr Format") and 5.1 (netids), RFC 1833 section 2.1. An IPv4
//! address is `a.b.c.d.h.l`, an IPv6 address is its usual text followed by `.h.l`, where `h` and `l` are the
//! two bytes of the port; a local address is the path of a socket. This file resolves no names.

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::fmt;

/// Longest path of a local address, in bytes: what a Unix socket's address holds besides its final zero.
pub const MAX_PATH: usize = 107;

/// A kind of transport, as rpcbind names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Netid {
    /// UDP over IPv4.
    Udp,
    /// TCP over IPv4.
    Tcp,
    /// UDP over IPv6.
    Udp6,
    /// TCP over IPv6.
    Tcp6,
    /// A Unix stream socket of this machine; also called `unix`.
    Local,
}

/// Whether a transport keeps connections: the `nc_semantics` of an rpcbind entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Semantics {
    /// Datagrams: 1.
    Connectionless,
    /// Connections with an orderly end: 3.
    ConnectionsOrderly,
}

impl Semantics {
    /// The number on the wire (RFC 1833 section 2.1).
    #[must_use]
    pub fn number(self) -> u32 {
        match self {
            Self::Connectionless => 1,
            Self::ConnectionsOrderly => 3,
        }
    }
}

impl Netid {
    /// Every one of them.
    pub const ALL: [Self; 5] = [Self::Udp, Self::Tcp, Self::Udp6, Self::Tcp6, Self::Local];

    /// The netid of this name; `None` if it is not a known one.
    #[must_use]
    pub fn parse(name: &[u8]) -> Option<Self> {
        Some(match name {
            b"udp" => Self::Udp,
            b"tcp" => Self::Tcp,
            b"udp6" => Self::Udp6,
            b"tcp6" => Self::Tcp6,
            b"local" | b"unix" => Self::Local,
            _ => return None,
        })
    }

    /// Its name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Udp => "udp",
            Self::Tcp => "tcp",
            Self::Udp6 => "udp6",
            Self::Tcp6 => "tcp6",
            Self::Local => "local",
        }
    }

    /// The netid of an Internet transport with this address.
    #[must_use]
    pub fn of(address: SocketAddr, datagram: bool) -> Self {
        match (address.ip().to_canonical(), datagram) {
            (IpAddr::V4(_), true) => Self::Udp,
            (IpAddr::V4(_), false) => Self::Tcp,
            (IpAddr::V6(_), true) => Self::Udp6,
            (IpAddr::V6(_), false) => Self::Tcp6,
        }
    }

    /// The netid that version 2 of the protocol means by an IP protocol number.
    #[must_use]
    pub fn from_protocol(number: u32) -> Option<Self> {
        match number {
            6 => Some(Self::Tcp),
            17 => Some(Self::Udp),
            _ => None,
        }
    }

    /// The IP protocol number by which version 2 of the protocol knows it: IPv4 only.
    #[must_use]
    pub fn protocol(self) -> Option<u32> {
        match self {
            Self::Tcp => Some(6),
            Self::Udp => Some(17),
            _ => None,
        }
    }

    /// The protocol family's name: `inet`, `inet6` or `loopback`.
    #[must_use]
    pub fn family(self) -> &'static str {
        match self {
            Self::Udp | Self::Tcp => "inet",
            Self::Udp6 | Self::Tcp6 => "inet6",
            Self::Local => "loopback",
        }
    }

    /// The protocol's name within its family: `udp`, `tcp`, or `-`.
    #[must_use]
    pub fn protocol_name(self) -> &'static str {
        match self {
            Self::Udp | Self::Udp6 => "udp",
            Self::Tcp | Self::Tcp6 => "tcp",
            Self::Local => "-",
        }
    }

    /// Whether it keeps connections.
    #[must_use]
    pub fn semantics(self) -> Semantics {
        match self {
            Self::Udp | Self::Udp6 => Semantics::Connectionless,
            Self::Tcp | Self::Tcp6 | Self::Local => Semantics::ConnectionsOrderly,
        }
    }
}

impl fmt::Display for Netid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Where a service listens.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Uaddr {
    /// An Internet address and port.
    Inet(SocketAddr),
    /// The path of a Unix socket.
    Local(Vec<u8>),
}

/// A universal address that is none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UaddrError {
    /// The text, as far as it is printable.
    text: String,
    /// What was expected.
    expected: &'static str,
}

impl fmt::Display for UaddrError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "universal address {:?}, expected {}",
            self.text, self.expected
        )
    }
}

impl std::error::Error for UaddrError {}

impl Uaddr {
    /// Reads the universal address of a transport.
    ///
    /// # Errors
    /// [`UaddrError`] when the text does not have the form that belongs to `netid`.
    // req: onc-5665-5.2.3
    pub fn parse(netid: Netid, text: &[u8]) -> Result<Self, UaddrError> {
        let (parsed, expected) = match netid {
            Netid::Udp | Netid::Tcp => (parse_inet::<Ipv4Addr>(text), "a.b.c.d.high.low"),
            Netid::Udp6 | Netid::Tcp6 => {
                (parse_inet::<Ipv6Addr>(text), "IPv6 address and .high.low")
            }
            Netid::Local => (parse_path(text), "a path of at most 107 bytes"),
        };
        parsed.ok_or_else(|| UaddrError {
            text: printable(text),
            expected,
        })
    }

    /// The Internet address, if it is one.
    #[must_use]
    pub fn socket(&self) -> Option<SocketAddr> {
        match self {
            Self::Inet(address) => Some(*address),
            Self::Local(_) => None,
        }
    }

    /// The port; 0 for a local address.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.socket().map_or(0, |address| address.port())
    }

    /// The same address, with `host` in place of "any address of this machine": what a caller who reached the
    /// machine at `host` can use.
    #[must_use]
    pub fn reachable_at(self, host: IpAddr) -> Self {
        match (self, host) {
            (Self::Inet(SocketAddr::V4(any)), IpAddr::V4(_)) if any.ip().is_unspecified() => {
                Self::Inet(SocketAddr::new(host, any.port()))
            }
            (Self::Inet(SocketAddr::V6(any)), IpAddr::V6(_)) if any.ip().is_unspecified() => {
                Self::Inet(SocketAddr::new(host, any.port()))
            }
            (other, _) => other,
        }
    }

    /// The bytes of the universal address.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        match self {
            Self::Inet(address) => inet_text(*address).into_bytes(),
            Self::Local(path) => path.clone(),
        }
    }

    /// The address as a Linux `sockaddr`: what rpcbind's `UADDR2TADDR` returns. Family in the byte order of
    /// this machine, as the C structure has it.
    // req: onc-1833-taddr
    #[must_use]
    pub fn to_taddr(&self) -> Vec<u8> {
        match self {
            Self::Inet(SocketAddr::V4(a)) => [
                &AF_INET.to_ne_bytes()[..],
                &a.port().to_be_bytes(),
                &a.ip().octets(),
                &[0; 8],
            ]
            .concat(),
            Self::Inet(SocketAddr::V6(a)) => {
                let (port, scope) = (a.port().to_be_bytes(), a.scope_id().to_ne_bytes());
                [
                    &AF_INET6.to_ne_bytes()[..],
                    &port,
                    &[0; 4],
                    &a.ip().octets(),
                    &scope,
                ]
                .concat()
            }
            Self::Local(path) => [&AF_UNIX.to_ne_bytes()[..], path].concat(),
        }
    }

    /// How large a `sockaddr` of its family is, in bytes: the `maxlen` that goes with
    /// [`to_taddr`](Self::to_taddr).
    #[must_use]
    pub fn taddr_len(&self) -> u32 {
        match self {
            Self::Inet(SocketAddr::V4(_)) => 16,
            Self::Inet(SocketAddr::V6(_)) => 28,
            Self::Local(_) => 110,
        }
    }

    /// The address in a Linux `sockaddr`: the other way. `None` if it is of another family or too short.
    #[must_use]
    pub fn from_taddr(taddr: &[u8]) -> Option<Self> {
        let (family, rest) = taddr.split_first_chunk::<2>()?;
        match u16::from_ne_bytes(*family) {
            AF_INET => {
                let (port, rest) = rest.split_first_chunk::<2>()?;
                let host = Ipv4Addr::from(*rest.first_chunk::<4>()?);
                Some(Self::Inet(SocketAddr::new(
                    host.into(),
                    u16::from_be_bytes(*port),
                )))
            }
            AF_INET6 => {
                let (port, rest) = rest.split_first_chunk::<2>()?;
                let host = Ipv6Addr::from(*rest.get(4..)?.first_chunk::<16>()?);
                Some(Self::Inet(SocketAddr::new(
                    host.into(),
                    u16::from_be_bytes(*port),
                )))
            }
            AF_UNIX => parse_path(rest.split(|byte| *byte == 0).next()?),
            _ => None,
        }
    }
}

/// Linux's numbers of the address families.
const AF_UNIX: u16 = 1;
const AF_INET: u16 = 2;
const AF_INET6: u16 = 10;

impl fmt::Display for Uaddr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Inet(address) => f.write_str(&inet_text(*address)),
            Self::Local(path) => f.write_str(&printable(path)),
        }
    }
}

fn inet_text(address: SocketAddr) -> String {
    let [high, low] = address.port().to_be_bytes();
    format!("{}.{high}.{low}", address.ip())
}

fn printable(text: &[u8]) -> String {
    String::from_utf8_lossy(text).into_owned()
}

/// An address with the two bytes of its port behind it.
fn parse_inet<A: std::str::FromStr + Into<IpAddr>>(text: &[u8]) -> Option<Uaddr> {
    let text = std::str::from_utf8(text).ok()?;
    let (rest, low) = text.rsplit_once('.')?;
    let (host, high) = rest.rsplit_once('.')?;
    let host: A = host.parse().ok()?;
    let port = u16::from_be_bytes([parse_byte(high)?, parse_byte(low)?]);
    Some(Uaddr::Inet(SocketAddr::new(host.into(), port)))
}

/// A decimal number of one byte, digits only.
fn parse_byte(text: &str) -> Option<u8> {
    text.bytes()
        .all(|byte| byte.is_ascii_digit())
        .then(|| text.parse().ok())?
}

fn parse_path(text: &[u8]) -> Option<Uaddr> {
    let fits = !text.is_empty() && text.len() <= MAX_PATH && !text.contains(&0);
    fits.then(|| Uaddr::Local(text.to_vec()))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn parse(netid: Netid, text: &str) -> Option<String> {
        Uaddr::parse(netid, text.as_bytes())
            .ok()
            .map(|uaddr| uaddr.to_string())
    }

    #[test]
    fn every_form_both_ways() {
        let cases = [
            (Netid::Tcp, "0.0.0.0.0.111", "0.0.0.0:111"),
            (Netid::Udp, "192.0.2.7.8.1", "192.0.2.7:2049"),
            (Netid::Udp6, "::.0.111", "[::]:111"),
            (Netid::Tcp6, "2001:db8::1.255.255", "[2001:db8::1]:65535"),
            (
                Netid::Tcp6,
                "::ffff:192.0.2.1.0.80",
                "[::ffff:192.0.2.1]:80",
            ),
        ];
        for (netid, text, socket) in cases {
            let uaddr = Uaddr::parse(netid, text.as_bytes()).unwrap();
            assert_eq!(uaddr, Uaddr::Inet(socket.parse().unwrap()));
            assert_eq!(
                (uaddr.to_string().as_str(), uaddr.to_bytes()),
                (text, text.as_bytes().to_vec())
            );
        }
        assert_eq!(
            parse(Netid::Local, "/run/rpcbind.sock").as_deref(),
            Some("/run/rpcbind.sock")
        );
    }

    #[test]
    fn what_is_no_address_is_refused() {
        let bad = [
            "",
            ".",
            "..",
            "1.2.3.4",
            "1.2.3.4.5",
            "1.2.3.4.5.6.7",
            "1.2.3.4.0.256",
            "1.2.3.4.+1.2",
            "1.2.3.4..2",
            "1.2.3.4.0.",
            "256.2.3.4.0.1",
            " 1.2.3.4.0.1",
            "1.2.3.4.0.1 ",
            "::1.0.1",
            "localhost.0.1",
        ];
        for text in bad {
            assert_eq!(parse(Netid::Tcp, text), None, "{text:?}");
        }
        for text in ["1.2.3.4.0.1", ":::.0.1", "::1%lo.0.1", "::1.0"] {
            assert_eq!(parse(Netid::Udp6, text), None, "{text:?}");
        }
        assert_eq!(parse(Netid::Local, ""), None);
        assert_eq!(parse(Netid::Local, "a\0b"), None);
        assert!(parse(Netid::Local, &"x".repeat(107)).is_some());
        assert_eq!(parse(Netid::Local, &"x".repeat(108)), None);
        let error = Uaddr::parse(Netid::Tcp, b"x").unwrap_err();
        assert_eq!(
            error.to_string(),
            "universal address \"x\", expected a.b.c.d.high.low"
        );
    }

    #[test]
    fn any_address_becomes_the_one_that_was_reached() {
        let at = |uaddr: &str, host: &str| {
            let uaddr = Uaddr::Inet(uaddr.parse().unwrap());
            uaddr.reachable_at(host.parse().unwrap()).to_string()
        };
        assert_eq!(at("0.0.0.0:111", "192.0.2.1"), "192.0.2.1.0.111");
        assert_eq!(at("[::]:111", "2001:db8::1"), "2001:db8::1.0.111");
        assert_eq!(at("127.0.0.1:111", "192.0.2.1"), "127.0.0.1.0.111");
        assert_eq!(at("[::]:111", "192.0.2.1"), "::.0.111");
    }

    #[test]
    fn a_taddr_is_the_sockaddr_that_rpcbind_sends() {
        let uaddr = Uaddr::parse(Netid::Tcp, b"127.0.0.1.0.111").unwrap();
        let taddr = uaddr.to_taddr();
        if cfg!(target_endian = "little") {
            // Captured from rpcbind 1.2.6 on x86-64.
            assert_eq!(
                taddr,
                [2, 0, 0, 0x6f, 0x7f, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0]
            );
        }
        for (uaddr, len, maxlen) in [
            (uaddr, 16, 16),
            (
                Uaddr::parse(Netid::Udp6, b"2001:db8::1.8.1").unwrap(),
                28,
                28,
            ),
            (Uaddr::parse(Netid::Local, b"/run/x").unwrap(), 8, 110),
        ] {
            let taddr = uaddr.to_taddr();
            assert_eq!((taddr.len(), uaddr.taddr_len()), (len, maxlen));
            assert_eq!(Uaddr::from_taddr(&taddr), Some(uaddr));
        }
        for cut in 0..8 {
            assert_eq!(Uaddr::from_taddr(taddr.get(..cut).unwrap()), None);
        }
        assert_eq!(Uaddr::from_taddr(&[99, 0, 0, 0, 0, 0, 0, 0]), None);
    }

    #[test]
    fn netids_and_their_numbers() {
        for netid in Netid::ALL {
            assert_eq!(Netid::parse(netid.name().as_bytes()), Some(netid));
            assert_eq!(
                netid
                    .protocol()
                    .and_then(Netid::from_protocol)
                    .unwrap_or(netid),
                netid
            );
        }
        assert_eq!(Netid::parse(b"unix"), Some(Netid::Local));
        assert_eq!(
            (Netid::parse(b"rawip"), Netid::from_protocol(1)),
            (None, None)
        );
        assert_eq!(
            Netid::of("[::ffff:1.2.3.4]:5".parse().unwrap(), false),
            Netid::Tcp
        );
        assert_eq!(Netid::of("[::1]:5".parse().unwrap(), true), Netid::Udp6);
    }
}
