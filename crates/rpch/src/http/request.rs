//! Requests: their heads, their lengths and their pragmas.
//!
//! Read first: MS-RPCH sections 2.1.2.1.1, 2.1.2.1.2 and 2.1.2.1.5.

use crate::direction::Direction;
use crate::http::target::Resource;
use core::fmt::Write;
use farcall_wire::Uuid;

/// `Content-Length` of the OUT request that establishes a connection: CONN/A1.
pub const OUT_NEW: u64 = 76;
/// `Content-Length` of an OUT request that recycles: OUT_R1/A3, and OUT_R1/A11 or OUT_R2/C1.
pub const OUT_SUCCESSOR: u64 = 120;
/// Longest body of an echo request.
pub const MAX_ECHO: u64 = 0x10;

/// What a request is, by its length.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// An echo request, or a leg of authentication.
    Echo,
    /// A channel.
    Channel,
}

impl Class {
    /// What a request with this `Content-Length` is. Proxies ignore what else the length says.
    #[must_use]
    pub fn of(content_length: u64) -> Self {
        match content_length {
            0..=MAX_ECHO => Self::Echo,
            _ => Self::Channel,
        }
    }
}

/// The method of a direction's requests.
#[must_use]
pub fn method(direction: Direction) -> &'static str {
    match direction {
        Direction::In => "RPC_IN_DATA",
        Direction::Out => "RPC_OUT_DATA",
    }
}

/// The direction that a method asks for; methods are letters in one case.
#[must_use]
pub fn direction(method: &str) -> Option<Direction> {
    match method {
        "RPC_IN_DATA" => Some(Direction::In),
        "RPC_OUT_DATA" => Some(Direction::Out),
        _ => None,
    }
}

/// What the `Pragma` headers of a request say to a proxy.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Pragmas {
    /// `MinConnTimeout`: the connection timeout that the client wants, in seconds, 120 to 14400.
    pub min_connection_timeout: Option<u32>,
    /// `ResourceTypeUuid`, for load balancers.
    pub resource_type: Option<Uuid>,
    /// `SessionId`, for load balancers.
    pub session: Option<Uuid>,
}

impl Pragmas {
    /// Reads the values of all `Pragma` headers; each may be a list. What is not known, or not well formed, is ignored,
    /// as HTTP has it; of what is said twice the first counts.
    #[must_use]
    pub fn parse<'a>(values: impl IntoIterator<Item = &'a str>) -> Self {
        let mut found = Self::default();
        for directive in values.into_iter().flat_map(|value| value.split(',')) {
            if let Some((name, value)) = directive.split_once('=') {
                found.take(name.trim(), value.trim().trim_matches('"'));
            }
        }
        found
    }

    fn take(&mut self, name: &str, value: &str) {
        if name.eq_ignore_ascii_case("MinConnTimeout") {
            let seconds = value.parse().ok().filter(|s| (120..=14400).contains(s));
            self.min_connection_timeout = self.min_connection_timeout.or(seconds);
        } else if name.eq_ignore_ascii_case("ResourceTypeUuid") {
            self.resource_type = self.resource_type.or(value.parse().ok());
        } else if name.eq_ignore_ascii_case("SessionId") {
            self.session = self.session.or(value.parse().ok());
        }
    }
}

/// The head of a client's request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequestHead<'a> {
    /// IN or OUT.
    pub direction: Direction,
    /// Path and server.
    pub resource: &'a Resource,
    /// The proxy, as the `Host` header names it.
    pub host: &'a str,
    /// Length of the body, in bytes. IN: the channel's lifetime; OUT: [`OUT_NEW`] or [`OUT_SUCCESSOR`]; an echo or a leg
    /// of authentication: 0.
    pub content_length: u64,
    /// The value of an `Authorization` header.
    pub authorization: Option<&'a str>,
    /// The request goes to an HTTP proxy, which is told the whole address (RFC 9112 section 3.2.2). Not inside TLS.
    pub absolute: bool,
    /// The value of a `Proxy-Authorization` header, for an HTTP proxy.
    pub proxy_authorization: Option<&'a str>,
    /// What is asked of the proxy.
    pub pragmas: Pragmas,
}

impl RequestHead<'_> {
    /// The head as text, the empty line included. Characters that would end a header early are left out.
    #[must_use]
    pub fn emit(&self) -> String {
        let mut head = String::with_capacity(320);
        let name = method(self.direction);
        let _ = match self.absolute {
            true => write!(head, "{name} http://{}{}", clean(self.host), self.resource),
            false => write!(head, "{name} {}", self.resource),
        };
        head.push_str(" HTTP/1.1\r\n");
        let mut field = |name: &str, value: &str| {
            let _ = write!(head, "{name}: {}\r\n", clean(value));
        };
        field("Accept", "application/rpc");
        field("Cache-Control", "no-cache");
        field("Connection", "Keep-Alive");
        field("Content-Length", &self.content_length.to_string());
        field("Host", self.host);
        field("Pragma", "No-cache");
        if let Some(seconds) = self.pragmas.min_connection_timeout {
            field("Pragma", &format!("MinConnTimeout={seconds}"));
        }
        if let Some(uuid) = self.pragmas.resource_type {
            field("Pragma", &format!("ResourceTypeUuid={uuid}"));
        }
        if let Some(uuid) = self.pragmas.session {
            field("Pragma", &format!("SessionId={uuid}"));
        }
        field("User-Agent", "MSRPC");
        if let Some(value) = self.authorization {
            field("Authorization", value);
        }
        if let Some(value) = self.proxy_authorization {
            field("Proxy-Authorization", value);
        }
        head.push_str("\r\n");
        head
    }
}

/// A value without what would end its header.
fn clean(value: &str) -> String {
    value.chars().filter(|c| !c.is_control()).collect()
}
