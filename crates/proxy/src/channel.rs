//! A channel as it comes from the HTTP side: who asks for which server.
//!
//! Read first: MS-RPCH sections 2.1.2.1.3 to 2.1.2.1.6 (responses). The front hands each authenticated request for a channel to whoever
//! relays ([`Channels`]), with the connection on which it came; neither knows more of the other than what stands here.

use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use crate::identity::Identity;
use crate::line::Line;
use crate::target::Target;

/// The direction of a channel, from the client's side.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Direction {
    /// What the client sends: `RPC_IN_DATA`.
    In,
    /// What it receives: `RPC_OUT_DATA`.
    Out,
}

impl Direction {
    /// Its word in logs.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::In => "in",
            Self::Out => "out",
        }
    }
}

/// A request for a channel, authenticated and well formed.
#[derive(Debug)]
pub struct Asked {
    /// Which.
    pub direction: Direction,
    /// Who asks.
    pub identity: Arc<Identity>,
    /// Whence: the client's address, not that of a proxy in front.
    pub source: SocketAddr,
    /// Through which listener.
    pub listener: Arc<str>,
    /// For which server.
    pub target: Target,
    /// The length that the request declares: of an IN channel its lifetime.
    pub length: u64,
    /// The connection timeout that the client asks for.
    pub timeout: Option<Duration>,
    /// Its connection, from the body of the request on.
    pub line: Box<Line>,
}

/// Win32 codes that clients are told.
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

/// Whoever relays.
pub trait Channels: Send + Sync + 'static {
    /// Takes a request for a channel, and answers it when there is something to answer: an IN channel is answered only when it
    /// fails. The channel may go on when this has ended; if this is dropped, everything is to end.
    fn open(&self, asked: Asked) -> Pin<Box<dyn Future<Output = ()> + Send + '_>>;
}
