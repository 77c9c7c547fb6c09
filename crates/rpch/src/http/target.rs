//! The target of a request: which path, and which server.
//!
//! Read first: MS-RPCH section 2.2.2. This file resolves no names and allows or forbids no server.

use core::fmt;
use std::net::Ipv6Addr;

/// The path of clients without a certificate.
pub const PATH: &str = "/rpc/rpcproxy.dll";
/// The path of clients with one.
pub const PATH_WITH_CERT: &str = "/rpcwithcert/rpcproxy.dll";

/// Longest name of a server, in bytes.
pub const MAX_SERVER: usize = 1023;

/// What a request names: a path of this protocol, and behind it the server.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Resource {
    /// It is the path of clients with a certificate.
    pub with_cert: bool,
    /// The server. Some clients leave it out while they authenticate.
    pub target: Option<Target>,
}

/// The server that a client wants to reach.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Target {
    /// A DNS or NetBIOS name, an address (IPv6 without brackets), or a mailbox `GUID@domain`; its letters as they came.
    pub server: String,
    /// The port, 1 to 65535.
    pub port: u16,
}

/// Why a request target is none of this protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum NotRpc {
    /// The path is another.
    Path,
    /// There is no `server:port` behind the question mark.
    NoPort,
    /// The server's name is empty, too long, or has characters that no name has.
    Server,
    /// The port is not a number from 1 to 65535 without leading zeros.
    Port,
}

impl fmt::Display for NotRpc {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Path => "the path is not one of RPC over HTTP",
            Self::NoPort => "the query is not server:port",
            Self::Server => "the server is no name or address",
            Self::Port => "the port is no number from 1 to 65535",
        })
    }
}

impl std::error::Error for NotRpc {}

impl Resource {
    /// Reads the target of a request line: `/rpc/rpcproxy.dll?server:port`, letters of the path in any case.
    ///
    /// # Errors
    /// [`NotRpc`].
    // req: rpch-2.2.2-target
    pub fn parse(text: &str) -> Result<Self, NotRpc> {
        let (path, query) = match text.split_once('?') {
            Some((path, query)) => (path, Some(query)),
            None => (text, None),
        };
        let with_cert = path.eq_ignore_ascii_case(PATH_WITH_CERT);
        if !with_cert && !path.eq_ignore_ascii_case(PATH) {
            return Err(NotRpc::Path);
        }
        let target = match query {
            None | Some("") => None,
            Some(query) => Some(Target::parse(query)?),
        };
        Ok(Self { with_cert, target })
    }
}

impl fmt::Display for Resource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.with_cert { PATH_WITH_CERT } else { PATH })?;
        match &self.target {
            Some(target) => write!(f, "?{target}"),
            None => Ok(()),
        }
    }
}

impl Target {
    /// Reads `server:port`. An IPv6 address may stand in brackets or without; the last colon is before the port.
    ///
    /// # Errors
    /// [`NotRpc`], but not [`NotRpc::Path`].
    pub fn parse(text: &str) -> Result<Self, NotRpc> {
        let (server, port) = text.rsplit_once(':').ok_or(NotRpc::NoPort)?;
        let port = port_of(port)?;
        let server = match server.strip_prefix('[') {
            Some(rest) => address(rest.strip_suffix(']').ok_or(NotRpc::Server)?)?,
            None if server.contains(':') => address(server)?,
            None => name(server)?,
        };
        Ok(Self {
            server: server.to_owned(),
            port,
        })
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.server, self.port)
    }
}

fn address(text: &str) -> Result<&str, NotRpc> {
    match text.parse::<Ipv6Addr>() {
        Ok(_) => Ok(text),
        Err(_) => Err(NotRpc::Server),
    }
}

fn name(text: &str) -> Result<&str, NotRpc> {
    let is_fine = |byte: u8| byte.is_ascii_alphanumeric() || b"-._@".contains(&byte);
    match text.len() {
        1..=MAX_SERVER if text.bytes().all(is_fine) => Ok(text),
        _ => Err(NotRpc::Server),
    }
}

fn port_of(text: &str) -> Result<u16, NotRpc> {
    let digits = !text.is_empty() && text.len() <= 6 && text.bytes().all(|b| b.is_ascii_digit());
    match text.parse() {
        Ok(port) if digits && !text.starts_with('0') => Ok(port),
        _ => Err(NotRpc::Port),
    }
}
