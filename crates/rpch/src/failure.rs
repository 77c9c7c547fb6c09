//! How a virtual connection ends before its time, and what the other side is told about it.
//!
//! Read first: MS-RPCH sections 3.2.2.5.11, 3.2.3.5.10, 3.2.4.5.14 and 3.2.5.5.13: closing, an error and a breach of
//! the protocol all end every channel of the connection. Blame is in the variant.

use crate::rts::{Kind, RtsError};
use core::fmt;
use farcall_dce::pdu::header::HeaderError;

/// `RPC_S_*` and other Win32 codes that `RPC Error:` carries.
pub mod code {
    /// The client may not do this.
    pub const ACCESS_DENIED: u32 = 5;
    /// The server cannot be reached.
    pub const SERVER_UNAVAILABLE: u32 = 0x6ba;
    /// Too many connections.
    pub const SERVER_TOO_BUSY: u32 = 0x6bb;
    /// A connection of a virtual connection was lost.
    pub const CALL_FAILED: u32 = 0x6be;
    /// Somebody broke the protocol.
    pub const PROTOCOL_ERROR: u32 = 0x6c0;
}

/// Why a virtual connection is over.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Failure {
    /// Bytes that are no RTS PDU.
    Rts(RtsError),
    /// Bytes that are no PDU.
    Header(HeaderError),
    /// A legal PDU at a time, or on a channel, where it may not come.
    Unexpected {
        /// The PDU.
        message: Kind,
        /// What was expected, or where it came.
        at: &'static str,
    },
    /// A rule of the protocol was broken, in these words.
    Violation(&'static str),
    /// A connection was closed or lost; which one.
    Lost(&'static str),
    /// Nothing came for too long; what was waited for.
    TimedOut(&'static str),
    /// The proxy answered a request with an error.
    Refused {
        /// The HTTP status.
        status: u16,
        /// The code behind `RPC Error:`, if there was one.
        error: Option<u32>,
    },
    /// Our own side closed it.
    Closed,
}

impl Failure {
    /// The code that a `503 RPC Error:` tells the client.
    #[must_use]
    pub fn code(&self) -> u32 {
        match self {
            Self::Rts(_) | Self::Header(_) | Self::Unexpected { .. } | Self::Violation(_) => {
                code::PROTOCOL_ERROR
            }
            Self::Refused {
                error: Some(error), ..
            } => *error,
            Self::Refused {
                status: 401 | 403, ..
            } => code::ACCESS_DENIED,
            Self::Refused { .. } => code::SERVER_UNAVAILABLE,
            Self::Lost(_) | Self::TimedOut(_) | Self::Closed => code::CALL_FAILED,
        }
    }
}

impl From<RtsError> for Failure {
    fn from(error: RtsError) -> Self {
        Self::Rts(error)
    }
}

impl From<HeaderError> for Failure {
    fn from(error: HeaderError) -> Self {
        Self::Header(error)
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Rts(error) => error.fmt(f),
            Self::Header(error) => error.fmt(f),
            Self::Unexpected { message, at } => write!(f, "{message} came {at}"),
            Self::Violation(what) => write!(f, "the peer broke the protocol: {what}"),
            Self::Lost(what) => write!(f, "{what} was closed"),
            Self::TimedOut(what) => write!(f, "waited too long for {what}"),
            Self::Refused {
                status,
                error: Some(error),
            } => {
                write!(f, "the proxy answered {status}, RPC error {error:#x}")
            }
            Self::Refused {
                status,
                error: None,
            } => write!(f, "the proxy answered {status}"),
            Self::Closed => f.write_str("closed by this side"),
        }
    }
}

impl std::error::Error for Failure {}

/// Why bytes were not taken for transmission.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SendError {
    /// The virtual connection does not stand yet, or no more.
    NotOpen,
    /// More bytes wait than the configuration's `queued` allows.
    Queued {
        /// The limit.
        limit: usize,
    },
    /// They are no RPC PDUs.
    NoPdu(Failure),
}

impl fmt::Display for SendError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotOpen => f.write_str("the virtual connection is not open"),
            Self::Queued { limit } => {
                write!(f, "over {limit} bytes wait for the peer already (queued)")
            }
            Self::NoPdu(failure) => write!(f, "what is to be sent: {failure}"),
        }
    }
}

impl std::error::Error for SendError {}
