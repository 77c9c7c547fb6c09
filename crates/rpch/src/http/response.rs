//! Responses: success, echo, and errors with their RPC code.
//!
//! Read first: MS-RPCH sections 2.1.2.1.3, 2.1.2.1.4 and 2.1.2.1.6. An IN channel is answered only if it fails.

use core::fmt;

/// The body of an echo response: an Echo RTS PDU.
pub const ECHO: &[u8; 20] = &[
    5, 0, 20, 3, 0x10, 0, 0, 0, 20, 0, 0, 0, 0, 0, 0, 0, 0x40, 0, 0, 0,
];

/// Longest reason phrase, in bytes.
pub const MAX_REASON: usize = 1024;

/// The media type of every body.
pub const CONTENT_TYPE: &str = "application/rpc";

/// The reason phrase of success.
pub const SUCCESS: &str = "Success";

/// The head that opens an OUT channel, with its lifetime as its length.
#[must_use]
pub fn out_head(lifetime: u32) -> String {
    format!(
        "HTTP/1.1 200 {SUCCESS}\r\nContent-Type: {CONTENT_TYPE}\r\nContent-Length: {lifetime}\r\n\r\n"
    )
}

/// The head of an echo response; [`ECHO`] follows.
#[must_use]
pub fn echo_head() -> String {
    format!("HTTP/1.1 200 {SUCCESS}\r\nContent-Type: {CONTENT_TYPE}\r\nContent-Length: 20\r\n\r\n")
}

/// A response that refuses, whole, after which the connection is closed.
#[must_use]
pub fn error(error: &RpcError) -> String {
    format!(
        "HTTP/1.0 503 {error}\r\nContent-Type: text/html\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
    )
}

/// What a reason phrase says of an error: `RPC Error: 6ba`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RpcError {
    /// A Win32 code.
    pub code: u32,
    /// Extended error information in base64 (MS-EERR), as it came.
    pub ee_info: Option<String>,
}

impl RpcError {
    /// An error with nothing to add.
    #[must_use]
    pub fn new(code: u32) -> Self {
        Self {
            code,
            ee_info: None,
        }
    }

    /// Reads a reason phrase; `None` if it tells of no RPC error.
    // req: rpch-2.1.2.1.3-reason
    #[must_use]
    pub fn parse(reason: &str) -> Option<Self> {
        if reason.len() > MAX_REASON {
            return None;
        }
        let rest = reason.trim().strip_prefix("RPC Error:")?;
        let (code, info) = match rest.split_once(',') {
            Some((code, info)) => (code, Some(info)),
            None => (rest, None),
        };
        let code = code.trim();
        let code = code.strip_prefix("0x").unwrap_or(code);
        let is_hex = !code.is_empty() && code.bytes().all(|byte| byte.is_ascii_hexdigit());
        let code = u32::from_str_radix(code, 16).ok().filter(|_| is_hex)?;
        let ee_info = info
            .and_then(|info| info.trim().strip_prefix("EEInfo:"))
            .map(|info| info.trim().to_owned());
        Some(Self { code, ee_info })
    }
}

/// The reason phrase. Information that is no base64, or would make it too long, is left out.
impl fmt::Display for RpcError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RPC Error: {:x}", self.code)?;
        let is_base64 = |byte: u8| byte.is_ascii_alphanumeric() || b"+/=".contains(&byte);
        match &self.ee_info {
            Some(info) if info.len() < MAX_REASON - 64 && info.bytes().all(is_base64) => {
                write!(f, ", EEInfo: {info}")
            }
            _ => Ok(()),
        }
    }
}

/// A status line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StatusLine {
    /// The status code.
    pub status: u16,
    /// The reason phrase.
    pub reason: String,
}

impl StatusLine {
    /// Reads a status line of HTTP/1.0 or 1.1, without its line end.
    #[must_use]
    pub fn parse(line: &[u8]) -> Option<Self> {
        let line = std::str::from_utf8(line).ok()?;
        let rest = line
            .strip_prefix("HTTP/1.1 ")
            .or_else(|| line.strip_prefix("HTTP/1.0 "))?;
        let (status, reason) = rest.split_once(' ').unwrap_or((rest, ""));
        let is_status = status.len() == 3 && status.bytes().all(|byte| byte.is_ascii_digit());
        let status = status.parse().ok().filter(|_| is_status)?;
        Some(Self {
            status,
            reason: reason.to_owned(),
        })
    }

    /// The RPC error that it tells of.
    #[must_use]
    pub fn error(&self) -> Option<RpcError> {
        RpcError::parse(&self.reason)
    }
}
