//! What a client may hold, how it repeats itself, and why it refuses a call.

use farcall_wire::EncodeError;
use std::time::Duration;

/// What a client may hold, and how it repeats itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClientConfig {
    /// Most calls in flight. Default 4096.
    pub in_flight: usize,
    /// No further call is taken while this many bytes wait to be transmitted. Default 16 MiB.
    pub queued: usize,
    /// Longest datagram sent. Default 8800: deployed C servers read no more.
    pub datagram: usize,
    /// When datagrams are sent again.
    pub retransmit: Retransmit,
}

/// When a call sent as a datagram is sent again: after `first`, then after twice as long each time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retransmit {
    /// The first wait. Default 1 s.
    pub first: Duration,
    /// The longest wait. Default 16 s.
    pub longest: Duration,
}

impl Default for ClientConfig {
    fn default() -> Self {
        let retransmit = Retransmit {
            first: Duration::from_secs(1),
            longest: Duration::from_secs(16),
        };
        Self {
            in_flight: 4096,
            queued: 16 << 20,
            datagram: 8800,
            retransmit,
        }
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
    /// The message is longer than [`ClientConfig::datagram`].
    Datagram {
        /// The message's length.
        len: usize,
        /// The limit.
        limit: usize,
    },
    /// The arguments break a bound of their interface.
    Encode(EncodeError),
    /// The message could not be made: see who was to make it.
    Unmade,
}

impl std::fmt::Display for CallError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::InFlight { limit } => write!(
                f,
                "{limit} calls in flight already (ClientConfig::in_flight)"
            ),
            Self::Queued { limit } => write!(
                f,
                "over {limit} bytes wait for the peer already (ClientConfig::queued)"
            ),
            Self::Datagram { len, limit } => {
                write!(
                    f,
                    "call of {len} bytes does not fit a datagram of {limit} (ClientConfig::datagram)"
                )
            }
            Self::Encode(error) => write!(f, "arguments: {error}"),
            Self::Unmade => f.write_str("the message could not be made"),
        }
    }
}

impl std::error::Error for CallError {}

impl From<EncodeError> for CallError {
    fn from(error: EncodeError) -> Self {
        Self::Encode(error)
    }
}
