//! What a client offers, what it may hold, and why it refuses a call.

use crate::security::ProtectError;
use crate::syntax::Order;
use std::fmt;
use std::time::Duration;

/// What a client's association may take, and what it offers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientConfig {
    /// Largest fragment offered both ways, in bytes. Range 2048..=65528; default 5840, as Windows offers.
    pub fragment: u16,
    /// Whether NDR64 is offered beside NDR. Default true.
    pub ndr64: bool,
    /// The byte order of what is sent. Default little.
    pub order: Order,
    /// Whether calls may be in flight together, if the server agrees. Otherwise they wait for each other.
    /// Default true.
    pub multiplexing: bool,
    /// Whether header signing is offered where calls are protected. Default true.
    pub sign_header: bool,
    /// Whether a server that does not agree on header signing is refused where calls are protected per packet; header
    /// signing is offered then in any case. Default false: older servers do not know it.
    pub require_sign_header: bool,
    /// Whether requests carry a verification trailer where calls are protected. Default true.
    pub verification: bool,
    /// Most bytes of responses that are partly received, over all calls. Default 64 MiB.
    pub response: usize,
    /// Most calls in flight. Default 4096.
    pub in_flight: usize,
    /// No further call is taken while this many bytes wait to be transmitted. Default 16 MiB.
    pub queued: usize,
    /// How long a call that was asked to cancel may still take before it is given up. Default 1 s.
    pub cancel: Duration,
    /// The association group to join; 0 for a new one. Default 0.
    pub group: u32,
}

impl Default for ClientConfig {
    fn default() -> Self {
        Self {
            fragment: 5840,
            ndr64: true,
            order: Order::Little,
            multiplexing: true,
            sign_header: true,
            require_sign_header: false,
            verification: true,
            response: 64 << 20,
            in_flight: 4096,
            queued: 16 << 20,
            cancel: Duration::from_secs(1),
            group: 0,
        }
    }
}

impl ClientConfig {
    /// Whether header signing is offered.
    pub(super) const fn offers_sign_header(&self) -> bool {
        self.sign_header || self.require_sign_header
    }
}

/// Why a call was not taken. Nothing was queued.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum CallError {
    /// [`ClientConfig::in_flight`] calls are pending.
    InFlight {
        /// The limit.
        limit: usize,
    },
    /// [`ClientConfig::queued`] bytes wait already: the peer does not read.
    Queued {
        /// The limit.
        limit: usize,
    },
    /// The association is not bound, or over.
    NotBound,
    /// The presentation context is not there, or the server refused it.
    NoContext,
    /// A call's arguments come [in pieces](super::Pieces) and are not all there: nothing can be sent before.
    Open,
    /// There is no such call, or its arguments are all there, or it waits for another call.
    NotOpen,
    /// A call without a reply, and the server takes one call at a time: make it a call with one.
    NotMultiplexing,
    /// The request could not be protected.
    Protect(ProtectError),
}

impl fmt::Display for CallError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::InFlight { limit } => write!(
                f,
                "{limit} calls in flight already (ClientConfig::in_flight)"
            ),
            Self::Queued { limit } => write!(
                f,
                "over {limit} bytes wait for the peer already (ClientConfig::queued)"
            ),
            Self::NotBound => f.write_str("the association is not bound"),
            Self::NoContext => f.write_str("the server did not accept the interface"),
            Self::Open => f.write_str("the arguments of another call are not all there"),
            Self::NotMultiplexing => {
                f.write_str("the server takes one call at a time, and this one would have no end")
            }
            Self::NotOpen => f.write_str("no more arguments of that call are sent"),
            Self::Protect(error) => write!(f, "request: {error}"),
        }
    }
}

impl std::error::Error for CallError {}
