//! Where a program or an interface can be reached, as users of each family write it: for programs
//! `tcp://host[:port]`, `tls://host[:port]`, `udp://host[:port]`, `unix:///path`; for interfaces the string bindings
//! `ncacn_ip_tcp:host[port]`, `ncacn_http:host[port]` and `ncalrpc:[name]` (C706 section 3.1.1).
//!
//! An endpoint without a port is not an address yet: a client asks the host's rpcbind or endpoint
//! mapper for the port, a server lets the kernel choose one. `tcp6://` and `udp6://` are accepted for users of
//! netids; the address itself decides between IPv4 and IPv6.
//!
//! A server of RPC over HTTP is reached through an RPC proxy; [`network`] is the way there, as it stands in a string binding.

pub mod network;

use std::fmt;
use std::net::Ipv6Addr;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use crate::error::{Error, Phase};
use crate::local;
pub use network::{HttpAuth, NetworkOptions, Place};

/// How bytes travel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Transport {
    /// A TCP connection; messages are marked records.
    Tcp,
    /// A TCP connection under TLS, which begins in clear (RFC 9289); messages are marked records.
    Tls,
    /// UDP datagrams, one message each.
    Udp,
    /// A Unix stream socket; messages are marked records.
    Unix,
    /// A TCP connection of DCE/RPC.
    NcacnIpTcp,
    /// RPC over HTTP: DCE/RPC over the two channels of a virtual connection, which an RPC proxy brings
    /// to the server.
    NcacnHttp,
    /// A Unix stream socket of DCE/RPC, known by a name of this machine.
    Ncalrpc,
}

/// Which protocol is spoken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Family {
    /// ONC RPC: programs.
    Onc,
    /// DCE/RPC: interfaces.
    Dce,
}

impl Transport {
    /// How messages are told apart on it.
    pub(crate) fn framing(self) -> farcall_onc::msg::Framing {
        match self {
            Self::Udp => farcall_onc::msg::Framing::Datagram,
            Self::Tcp
            | Self::Tls
            | Self::Unix
            | Self::NcacnIpTcp
            | Self::NcacnHttp
            | Self::Ncalrpc => farcall_onc::msg::Framing::Stream,
        }
    }

    /// Which protocol is spoken over it.
    pub fn family(self) -> Family {
        match self {
            Self::Tcp | Self::Tls | Self::Udp | Self::Unix => Family::Onc,
            Self::NcacnIpTcp | Self::NcacnHttp | Self::Ncalrpc => Family::Dce,
        }
    }

    /// What carries it, as rpcbind knows it: it has no name for TLS.
    pub(crate) fn carrier(self) -> Self {
        match self {
            Self::Tls => Self::Tcp,
            other => other,
        }
    }

    /// The transport's name as it stands in an endpoint.
    pub fn scheme(self) -> &'static str {
        match self {
            Self::Tcp => "tcp",
            Self::Tls => "tls",
            Self::Udp => "udp",
            Self::Unix => "unix",
            Self::NcacnIpTcp => "ncacn_ip_tcp",
            Self::NcacnHttp => "ncacn_http",
            Self::Ncalrpc => "ncalrpc",
        }
    }
}

impl fmt::Display for Transport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.scheme())
    }
}

/// Where a program can be reached.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Endpoint {
    /// A host, by name or address, and perhaps a port.
    Host {
        /// TCP, of either family, with TLS or without, UDP, or RPC over HTTP.
        transport: Transport,
        /// A name, an IPv4 address, or an IPv6 address without brackets.
        host: String,
        /// The port, if it is known.
        port: Option<u16>,
    },
    /// A server of RPC over HTTP, and what is said of the way there. Clients only; a server listens at a
    /// [`Host`](Self::Host).
    Http {
        /// The server, as the RPC proxy is told it: a name, an IPv4 address, or an IPv6 address without brackets.
        host: String,
        /// The port, if it is known.
        port: Option<u16>,
        /// The way.
        options: Box<NetworkOptions>,
    },
    /// A Unix stream socket in the file system.
    Unix(PathBuf),
    /// A name of this machine, over `ncalrpc`: up to 64 letters, digits, `-`, `_` and `.`.
    Local(String),
}

impl Endpoint {
    /// How bytes travel to it.
    pub fn transport(&self) -> Transport {
        match self {
            Self::Host { transport, .. } => *transport,
            Self::Http { .. } => Transport::NcacnHttp,
            Self::Unix(_) => Transport::Unix,
            Self::Local(_) => Transport::Ncalrpc,
        }
    }

    /// The port, if it has one and it is known.
    pub fn port(&self) -> Option<u16> {
        match self {
            Self::Host { port, .. } | Self::Http { port, .. } => *port,
            Self::Unix(_) | Self::Local(_) => None,
        }
    }

    /// The host, if it has one.
    pub fn host(&self) -> Option<&str> {
        match self {
            Self::Host { host, .. } | Self::Http { host, .. } => Some(host),
            Self::Unix(_) | Self::Local(_) => None,
        }
    }

    /// The path, if it is a Unix socket.
    pub fn path(&self) -> Option<&Path> {
        match self {
            Self::Host { .. } | Self::Http { .. } | Self::Local(_) => None,
            Self::Unix(path) => Some(path),
        }
    }

    /// The same place with `port` filled in.
    #[must_use]
    pub fn with_port(&self, port: u16) -> Self {
        match self {
            Self::Host {
                transport, host, ..
            } => Self::Host {
                transport: *transport,
                host: host.clone(),
                port: Some(port),
            },
            Self::Http { host, options, .. } => Self::Http {
                host: host.clone(),
                port: Some(port),
                options: options.clone(),
            },
            Self::Unix(_) | Self::Local(_) => self.clone(),
        }
    }

    /// What is said of the way to a server of RPC over HTTP, if anything is.
    pub fn network_options(&self) -> Option<&NetworkOptions> {
        match self {
            Self::Http { options, .. } => Some(options),
            _ => None,
        }
    }

    /// The endpoint of a socket address.
    pub fn of(transport: Transport, address: std::net::SocketAddr) -> Self {
        Self::Host {
            transport,
            host: address.ip().to_string(),
            port: Some(address.port()),
        }
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unix(path) => write!(f, "unix://{}", path.display()),
            Self::Local(name) => write!(f, "ncalrpc:[{name}]"),
            Self::Http {
                host,
                port,
                options,
            } => {
                write!(f, "ncacn_http:{host}[")?;
                port.map_or(Ok(()), |port| write!(f, "{port}"))?;
                write!(f, ",{options}]")
            }
            Self::Host {
                transport: transport @ (Transport::NcacnIpTcp | Transport::NcacnHttp),
                host,
                port,
            } => {
                write!(f, "{transport}:{host}")?;
                port.map_or(Ok(()), |port| write!(f, "[{port}]"))
            }
            Self::Host {
                transport,
                host,
                port,
            } => {
                match host.contains(':') {
                    true => write!(f, "{transport}://[{host}]")?,
                    false => write!(f, "{transport}://{host}")?,
                }
                port.map_or(Ok(()), |port| write!(f, ":{port}"))
            }
        }
    }
}

impl FromStr for Endpoint {
    type Err = Error;

    /// Parses an endpoint as users write it.
    ///
    /// # Errors
    /// Says what is missing or not understood, with an example.
    fn from_str(text: &str) -> Result<Self, Error> {
        if let Some(endpoint) = parse_binding(text) {
            return endpoint;
        }
        let (scheme, rest) = text.split_once("://").ok_or_else(|| {
            let binding = in_brackets(text).unwrap_or_else(|| text.to_owned());
            let place = with_colon(text).unwrap_or_else(|| text.to_owned());
            bad(text, "it has no scheme").hint(format!(
                "write tcp://{place}, udp://{place} or ncacn_ip_tcp:{binding}"
            ))
        })?;
        match scheme {
            "tcp" | "tcp4" | "tcp6" => parse_host(text, Transport::Tcp, rest),
            "tls" | "tls4" | "tls6" => parse_host(text, Transport::Tls, rest),
            "udp" | "udp4" | "udp6" => parse_host(text, Transport::Udp, rest),
            "unix" | "local" => parse_unix(text, rest),
            other => Err(bad(text, format!("scheme '{other}' is not known")).hint(
                "schemes are tcp, tls, udp and unix, and ncacn_ip_tcp:, ncacn_http: and ncalrpc:",
            )),
        }
    }
}

impl TryFrom<&str> for Endpoint {
    type Error = Error;
    fn try_from(text: &str) -> Result<Self, Error> {
        text.parse()
    }
}

impl TryFrom<String> for Endpoint {
    type Error = Error;
    fn try_from(text: String) -> Result<Self, Error> {
        text.parse()
    }
}

impl TryFrom<&Endpoint> for Endpoint {
    type Error = Error;
    fn try_from(endpoint: &Endpoint) -> Result<Self, Error> {
        Ok(endpoint.clone())
    }
}

/// Turns what a user wrote into an endpoint; what cannot fail converts into [`Error`] too.
pub trait IntoEndpoint {
    /// The endpoint.
    ///
    /// # Errors
    /// As [`Endpoint::from_str`].
    fn into_endpoint(self) -> Result<Endpoint, Error>;
}

impl<T> IntoEndpoint for T
where
    T: TryInto<Endpoint>,
    T::Error: Into<Error>,
{
    fn into_endpoint(self) -> Result<Endpoint, Error> {
        self.try_into().map_err(Into::into)
    }
}

impl From<std::convert::Infallible> for Error {
    fn from(never: std::convert::Infallible) -> Self {
        match never {}
    }
}

fn bad(text: &str, why: impl fmt::Display) -> Error {
    Error::local(
        Phase::Resolve,
        format!("'{text}' is not an endpoint: {why}"),
    )
}

fn parse_unix(text: &str, path: &str) -> Result<Endpoint, Error> {
    if !path.starts_with('/') {
        return Err(bad(text, "its path is not absolute").hint("write unix:///run/name.sock"));
    }
    // The kernel's sockaddr_un holds 108 bytes with the final NUL.
    if path.len() >= 108 {
        return Err(bad(
            text,
            format!("its path has {} bytes, at most 107 fit", path.len()),
        ));
    }
    Ok(Endpoint::Unix(PathBuf::from(path)))
}

fn parse_host(text: &str, transport: Transport, rest: &str) -> Result<Endpoint, Error> {
    let rest = rest.strip_suffix('/').unwrap_or(rest);
    if let Some(place) = with_colon(rest) {
        let why = match rest.ends_with(']') {
            true => "its port stands in brackets",
            false => "its IPv6 address stands in no brackets, and a port behind it",
        };
        return Err(bad(text, why).hint(format!("write {transport}://{place}")));
    }
    let (host, port) = match rest.strip_prefix('[') {
        Some(inner) => {
            let (host, tail) = inner
                .split_once(']')
                .ok_or_else(|| bad(text, "']' is missing"))?;
            (
                host,
                tail.strip_prefix(':')
                    .map(Some)
                    .unwrap_or((!tail.is_empty()).then_some(tail)),
            )
        }
        None if rest.matches(':').count() > 1 && !is_ipv6(rest) => {
            return Err(bad(text, format!("'{rest}' is no IPv6 address")));
        }
        None if is_ipv6(rest) => (rest, None),
        None => match rest.split_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (rest, None),
        },
    };
    if host.is_empty() {
        return Err(bad(text, "the host is missing"));
    }
    let port = port.map(|port| parse_port(text, port)).transpose()?;
    Ok(Endpoint::Host {
        transport,
        host: host.to_owned(),
        port,
    })
}

/// A string binding of one of the protocol sequences that are spoken; `None` if it is none.
fn parse_binding(text: &str) -> Option<Result<Endpoint, Error>> {
    let (sequence, rest) = text.split_once(':')?;
    if !sequence.starts_with("nca") {
        return None;
    }
    let bracketed = ipv6_in_brackets(rest).filter(|_| sequence != "ncalrpc");
    let (address, tail) =
        bracketed.unwrap_or_else(|| rest.split_at(rest.find('[').unwrap_or(rest.len())));
    let endpoint = match tail.strip_prefix('[').map(|tail| tail.strip_suffix(']')) {
        Some(None) => return Some(Err(bad(text, "']' is missing at its end"))),
        Some(Some(endpoint)) => (!endpoint.is_empty()).then_some(endpoint),
        None if tail.is_empty() => None,
        None => return Some(Err(behind_brackets(text, (sequence, address, tail)))),
    };
    Some(match sequence {
        "ncacn_ip_tcp" => parse_host_binding(text, Transport::NcacnIpTcp, address, endpoint),
        "ncacn_http" => parse_host_binding(text, Transport::NcacnHttp, address, endpoint),
        "ncalrpc" => parse_local(text, endpoint),
        other => Err(bad(
            text,
            format!("the protocol sequence '{other}' is not spoken"),
        )
        .hint("sequences are ncacn_ip_tcp, ncacn_http and ncalrpc")),
    })
}

/// An IPv6 address in brackets, as it begins a text, and what stands behind it.
fn ipv6_in_brackets(text: &str) -> Option<(&str, &str)> {
    let parts = text.strip_prefix('[')?.split_once(']');
    parts.filter(|(address, _)| is_ipv6(address))
}

/// Something other than `[port]` stands behind the address of a string binding.
fn behind_brackets(text: &str, (sequence, address, tail): (&str, &str, &str)) -> Error {
    match tail.strip_prefix(':').filter(|port| is_port(port)) {
        Some(port) => bad(text, "a port stands in brackets")
            .hint(format!("write {sequence}:[{address}][{port}]")),
        None => bad(text, format!("'{tail}' stands behind its address")),
    }
}

fn parse_host_binding(
    text: &str,
    transport: Transport,
    host: &str,
    port: Option<&str>,
) -> Result<Endpoint, Error> {
    if host.is_empty() {
        let hint = format!("write {transport}:host[port]");
        return Err(bad(text, "the host is missing").hint(hint));
    }
    if let (None, Some(binding)) = (port, in_brackets(host)) {
        return Err(
            bad(text, "a port stands in brackets").hint(format!("write {transport}:{binding}"))
        );
    }
    if transport == Transport::NcacnHttp
        && let Some((port, options)) = port.and_then(|port| port.split_once(','))
    {
        let port = (!port.is_empty()).then(|| parse_port(text, port));
        let (host, port) = (host.to_owned(), port.transpose()?);
        let options = NetworkOptions::parse(options).map_err(|why| bad(text, why))?;
        return Ok(Endpoint::Http {
            host,
            port,
            options: Box::new(options),
        });
    }
    if port.is_some_and(|port| port.contains(',')) {
        return Err(bad(text, "options are not part of an endpoint")
            .hint("options are given beside it, in code or on the command line"));
    }
    let port = port.map(|port| parse_port(text, port)).transpose()?;
    Ok(Endpoint::Host {
        transport,
        host: host.to_owned(),
        port,
    })
}

/// `host[port]` for `host:port`, as a string binding wants it; nothing if it is not that.
fn in_brackets(text: &str) -> Option<String> {
    let (host, port) = text.rsplit_once(':')?;
    let is_host = !host.contains(':') || (is_ipv6(host) && !is_ipv6(text));
    (is_host && is_port(port)).then(|| match host.contains(':') {
        true => format!("[{host}][{port}]"),
        false => format!("{host}[{port}]"),
    })
}

/// `host:port` for `host[port]`, and `[IPv6]:port` for an address without brackets that a port makes no address;
/// nothing if it is neither.
fn with_colon(text: &str) -> Option<String> {
    let (host, port) = match text.strip_suffix(']') {
        Some(inner) => inner.rsplit_once('[')?,
        None if is_ipv6(text) => return None,
        None => text.rsplit_once(':').filter(|(host, _)| is_ipv6(host))?,
    };
    let inner = host.strip_prefix('[').and_then(|it| it.strip_suffix(']'));
    let host = inner.unwrap_or(host);
    if !is_port(port) || host.is_empty() || host.contains(['[', ']']) {
        return None;
    }
    Some(match host.contains(':') {
        true => format!("[{host}]:{port}"),
        false => format!("{host}:{port}"),
    })
}

/// Whether it is an IPv6 address, with a zone or without.
fn is_ipv6(text: &str) -> bool {
    let (address, zone) = text.split_once('%').unwrap_or((text, "0"));
    address.parse::<Ipv6Addr>().is_ok() && !zone.is_empty() && !zone.contains([':', '[', ']'])
}

/// Whether it is digits, as a port is.
fn is_port(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|c| c.is_ascii_digit())
}

fn parse_local(text: &str, name: Option<&str>) -> Result<Endpoint, Error> {
    match name {
        Some(name) if local::is_name(name) => Ok(Endpoint::Local(name.to_owned())),
        Some(_) => Err(bad(
            text,
            "its name is not of up to 64 letters, digits, '-', '_' and '.'",
        )),
        None => Err(bad(text, "its name is missing").hint("write ncalrpc:[name]")),
    }
}

fn parse_port(text: &str, port: &str) -> Result<u16, Error> {
    port.parse()
        .map_err(|_| bad(text, format!("port '{port}' is not a number up to 65535")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_form_is_read_and_written_alike() {
        for (text, shown) in [
            ("tcp://host", "tcp://host"),
            ("tcp://host:2049", "tcp://host:2049"),
            ("tcp://host:2049/", "tcp://host:2049"),
            ("tls://host:2049", "tls://host:2049"),
            ("udp://127.0.0.1:0", "udp://127.0.0.1:0"),
            ("tcp://[::1]:111", "tcp://[::1]:111"),
            ("tcp://::1", "tcp://[::1]"),
            ("udp6://[fe80::1%eth0]:9", "udp://[fe80::1%eth0]:9"),
            ("unix:///run/calc.sock", "unix:///run/calc.sock"),
            ("ncacn_ip_tcp:host", "ncacn_ip_tcp:host"),
            ("ncacn_ip_tcp:host[]", "ncacn_ip_tcp:host"),
            ("ncacn_ip_tcp:127.0.0.1[135]", "ncacn_ip_tcp:127.0.0.1[135]"),
            ("ncacn_ip_tcp:::1[0]", "ncacn_ip_tcp:::1[0]"),
            ("ncacn_ip_tcp:[::1]", "ncacn_ip_tcp:::1"),
            ("ncacn_ip_tcp:[::1][]", "ncacn_ip_tcp:::1"),
            ("ncacn_ip_tcp:[::1][99]", "ncacn_ip_tcp:::1[99]"),
            ("ncacn_http:[::][593]", "ncacn_http:::[593]"),
            (
                "ncacn_ip_tcp:[fe80::1%eth0][9]",
                "ncacn_ip_tcp:fe80::1%eth0[9]",
            ),
            (
                "ncacn_http:[::1][593,RpcProxy=[::2]]",
                "ncacn_http:::1[593,RpcProxy=[::2]]",
            ),
            ("ncacn_http:host", "ncacn_http:host"),
            ("ncacn_http:127.0.0.1[593]", "ncacn_http:127.0.0.1[593]"),
            (
                "ncacn_http:srv[593,RpcProxy=p:8443,httpusetls=0]",
                "ncacn_http:srv[593,RpcProxy=p:8443,HttpUseTls=false]",
            ),
            (
                "ncacn_http:::1[,RpcProxy=[::2]]",
                "ncacn_http:::1[,RpcProxy=[::2]]",
            ),
            ("ncalrpc:[echo]", "ncalrpc:[echo]"),
        ] {
            let endpoint: Endpoint = text.parse().expect(text);
            assert_eq!(endpoint.to_string(), shown);
            assert_eq!(shown.parse::<Endpoint>().expect(shown), endpoint);
        }
    }

    #[test]
    fn what_is_not_an_endpoint_says_why() {
        for (text, why) in [
            ("localhost:111", "no scheme"),
            ("http://x", "not known"),
            ("tcp://", "host is missing"),
            ("tcp://:99", "host is missing"),
            ("tcp://h:70000", "not a number"),
            ("tcp://[::1", "']' is missing"),
            ("unix://run/x", "not absolute"),
            ("ncacn_ip_tcp:[135]", "host is missing"),
            ("ncacn_http:[593]", "host is missing"),
            ("ncacn_ip_tcp:h[135", "']' is missing"),
            ("ncacn_ip_tcp:[::1][135", "']' is missing"),
            ("ncacn_ip_tcp:[::1]x", "'x' stands behind"),
            ("tcp://a:b:c", "no IPv6 address"),
            ("ncacn_ip_tcp:h[x]", "not a number"),
            ("ncacn_ip_tcp:h:135", "in brackets"),
            ("ncacn_http:h[593,RpcProxy=]", "names no host"),
            ("ncacn_ip_tcp:h[135,RpcProxy=p]", "not part of an endpoint"),
            ("ncalrpc:", "name is missing"),
            ("ncalrpc:[../x]", "letters"),
            ("ncacn_np:h[x]", "not spoken"),
        ] {
            let error = text.parse::<Endpoint>().expect_err(text).to_string();
            assert!(error.contains(why), "{error}");
        }
        for text in ["h:135", "ncacn_ip_tcp:h:135"] {
            let error = text.parse::<Endpoint>().expect_err(text);
            let hints = error.hints().join(" ");
            assert!(hints.ends_with("ncacn_ip_tcp:h[135]"), "{hints}");
        }
        for (text, hint) in [
            ("tcp://::1:33415", "write tcp://[::1]:33415"),
            (
                "udp://fe80::1%eth0:33415",
                "write udp://[fe80::1%eth0]:33415",
            ),
            ("tcp://127.0.0.1[44733]", "write tcp://127.0.0.1:44733"),
            ("tcp://[::1][44733]", "write tcp://[::1]:44733"),
            ("tls://::1[44733]", "write tls://[::1]:44733"),
            ("::1:33415", "write tcp://[::1]:33415, "),
            ("ncacn_ip_tcp:::1:33415", "write ncacn_ip_tcp:[::1][33415]"),
            ("ncacn_http:[::1]:593", "write ncacn_http:[::1][593]"),
        ] {
            let error = text.parse::<Endpoint>().expect_err(text);
            let hints = error.hints().join(" ");
            assert!(hints.starts_with(hint), "{text}: {hints}");
        }
        let long = format!("unix:///{}", "x".repeat(120));
        assert!(long.parse::<Endpoint>().is_err());
    }
}
