//! The `server:port` that a client asks for: the query of its request, read strictly.
//!
//! Read first: MS-RPCH section 2.2.2 (URI encoding). There is exactly one spelling for each target, so that a rule which
//! names a target cannot be gone round by writing it another way: no percent signs, no leading zeros, IPv4 addresses in
//! four decimal numbers or not at all, IPv6 addresses in brackets, an IPv4 address inside IPv6 taken for what it is. Whether a
//! target may be reached is the policy's to say; names are not resolved here.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

/// Longest host that is read, in bytes: the longest DNS name. The protocol would allow 1023.
pub const MAX_HOST: usize = 253;

/// Longest part of a name between dots, in bytes (RFC 1035 section 2.3.4).
const MAX_LABEL: usize = 63;

/// Where a client wants to go.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Target {
    /// The machine.
    pub host: Host,
    /// The port, never 0.
    pub port: u16,
}

/// A machine, by name or by address.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Host {
    /// A DNS or NetBIOS name, or `mailbox@domain`, in lower case.
    Name(String),
    /// An address. An IPv4 address inside an IPv6 one is an IPv4 address here.
    Address(IpAddr),
}

/// Why a text is no target.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct NoTarget(&'static str);

impl Host {
    /// The address, where one was asked for.
    #[must_use]
    pub const fn address(&self) -> Option<IpAddr> {
        match self {
            Self::Name(_) => None,
            Self::Address(address) => Some(*address),
        }
    }
}

/// Reads a host alone, as rules write it.
impl FromStr for Host {
    type Err = NoTarget;

    fn from_str(text: &str) -> Result<Self, NoTarget> {
        if let Some(inner) = text.strip_prefix('[') {
            let inner = inner.strip_suffix(']');
            return v6(inner.ok_or(NoTarget("a bracket that is not closed"))?);
        }
        if let Ok(address) = text.parse::<Ipv4Addr>() {
            return Ok(Self::Address(address.into()));
        }
        name(text)
    }
}

impl FromStr for Target {
    type Err = NoTarget;

    fn from_str(text: &str) -> Result<Self, NoTarget> {
        let (host, port) = text.rsplit_once(':').ok_or(NoTarget("no port"))?;
        Ok(Self {
            host: host.parse()?,
            port: read_port(port)?,
        })
    }
}

fn v6(inner: &str) -> Result<Host, NoTarget> {
    let address: Ipv6Addr = inner
        .parse()
        .map_err(|_| NoTarget("brackets around what is no IPv6 address"))?;
    Ok(Host::Address(IpAddr::V6(address).to_canonical()))
}

fn name(text: &str) -> Result<Host, NoTarget> {
    let letter = |byte: u8| byte.is_ascii_alphanumeric() || b"-_".contains(&byte);
    let label = |label: &str| (1..=MAX_LABEL).contains(&label.len()) && label.bytes().all(letter);
    if text.is_empty() {
        return Err(NoTarget("no server"));
    }
    if text.len() > MAX_HOST {
        return Err(NoTarget("a server's name of more than 253 bytes"));
    }
    let (mailbox, domain) = match text.split_once('@') {
        Some((mailbox, domain)) => (Some(mailbox), domain),
        None => (None, text),
    };
    let parts = mailbox.into_iter().flat_map(|mailbox| mailbox.split('.'));
    if !parts.chain(domain.split('.')).all(label) {
        return Err(NoTarget(
            "a server's name with other than letters, digits, '-', '_' and dots between them",
        ));
    }
    if numeric(domain) {
        return Err(NoTarget(
            "an address that is not written as four decimal numbers",
        ));
    }
    Ok(Host::Name(text.to_ascii_lowercase()))
}

/// Whether a resolver could take a name for an address: its last part is a number, decimal or hexadecimal.
fn numeric(domain: &str) -> bool {
    let last = domain.rsplit('.').next().unwrap_or_default();
    let hexadecimal = last.strip_prefix("0x").or_else(|| last.strip_prefix("0X"));
    let hexadecimal =
        hexadecimal.is_some_and(|rest| rest.bytes().all(|byte| byte.is_ascii_hexdigit()));
    hexadecimal || last.bytes().all(|byte| byte.is_ascii_digit())
}

fn read_port(text: &str) -> Result<u16, NoTarget> {
    if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_digit()) || text.starts_with('0') {
        return Err(NoTarget("a port that is no decimal number from 1 to 65535"));
    }
    text.parse()
        .map_err(|_| NoTarget("a port that is no decimal number from 1 to 65535"))
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(name) => f.write_str(name),
            Self::Address(IpAddr::V4(address)) => write!(f, "{address}"),
            Self::Address(IpAddr::V6(address)) => write!(f, "[{address}]"),
        }
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.host, self.port)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Option<String> {
        text.parse::<Target>().ok().map(|target| target.to_string())
    }

    #[test]
    fn names_addresses_and_mailboxes_are_read() {
        for (text, shown) in [
            ("server1:593", "server1:593"),
            ("Server1.Example.TEST:6001", "server1.example.test:6001"),
            ("192.0.2.7:593", "192.0.2.7:593"),
            ("[2001:DB8::1]:593", "[2001:db8::1]:593"),
            ("[::ffff:127.0.0.1]:593", "127.0.0.1:593"),
            ("MAIL_1:1", "mail_1:1"),
            (
                "0f2b8d4e-1a2b-4c3d-8e9f-001122334455@example.test:6004",
                "0f2b8d4e-1a2b-4c3d-8e9f-001122334455@example.test:6004",
            ),
            ("h:65535", "h:65535"),
        ] {
            assert_eq!(read(text).as_deref(), Some(shown), "{text}");
        }
    }

    #[test]
    fn no_target_has_a_second_spelling() {
        for text in [
            "",
            ":",
            "h",
            "h:",
            ":593",
            "h:0",
            "h:00593",
            "h:65536",
            "h:99999999999",
            "h:+593",
            "h: 593",
            "h:593 ",
            "h:593:80",
            "h%00:593",
            "h%2e:593",
            "0x7f.1:593",
            "127.1:593",
            "2130706433:593",
            "0x7f000001:593",
            "127.0.0.01:593",
            "1.2.3.4.5:593",
            "a.1:593",
            "a.0x1:593",
            "a.0x:593",
            "h.:593",
            ".h:593",
            "a..b:593",
            "::1:593",
            "[::1:593",
            "::1]:593",
            "[]:593",
            "[127.0.0.1]:593",
            "[fe80::1%eth0]:593",
            "h/x:593",
            "h?x:593",
            "h#x:593",
            "h&x=1:593",
            "u:p@h:593",
            "@h:593",
            "h@:593",
            "a@b@c:593",
            "h\r\nX:593",
            "h\0:593",
            "hé:593",
            "h\\x:593",
            "a@127.1:593",
            "h,b:593",
            "h;b:593",
        ] {
            assert_eq!(read(text), None, "{text:?}");
        }
        assert_eq!(read(&format!("{}:593", "a".repeat(64))), None);
        assert!(read(&format!("{}:593", "a".repeat(63))).is_some());
        let long = vec!["a".repeat(63); 4].join(".");
        assert_eq!(read(&format!("{long}:593")), None);
    }

    #[test]
    fn what_is_shown_is_read_again_as_itself() {
        for text in ["server1:593", "192.0.2.7:1", "[2001:db8::1]:593", "m@d:2"] {
            let target: Target = text.parse().expect(text);
            assert_eq!(target.to_string().parse(), Ok(target));
        }
    }
}
