//! A channel as it comes from the HTTP side: who asks for which server, and how it is answered.
//!
//! Read first: MS-RPCH sections 2.1.2.1.3 to 2.1.2.1.6 (responses). The front hands each authenticated request for a channel to whoever
//! relays ([`Channels`]); neither knows more of the other than what stands here.

use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use tokio::sync::mpsc;

use crate::identity::Identity;
use crate::target::Target;

/// PDUs that wait between the relay and the HTTP server. What waits in the socket comes beside it.
const WAITING: usize = 16;

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
    /// What the client sends.
    pub body: Incoming,
}

/// How a request for a channel is answered.
#[derive(Debug)]
pub enum Answer {
    /// Success, which only an OUT channel has: so many bytes follow, and they come from here.
    Opened {
        /// The length that is declared: the channel's lifetime.
        lifetime: u32,
        /// The bytes.
        body: Stream,
    },
    /// `503 RPC Error:` with this Win32 code.
    Refused(u32),
    /// No answer: the connection ends.
    Closed,
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
    /// Takes a request for a channel and answers it, when there is something to answer: an IN channel is answered only when it
    /// fails. If this is dropped, the client has gone.
    fn open(&self, asked: Asked) -> Pin<Box<dyn Future<Output = Answer> + Send + '_>>;
}

/// The bytes of an OUT channel, on their way to the HTTP server.
#[derive(Debug)]
pub struct Stream(mpsc::Receiver<Bytes>);

/// Both ends of the bytes of an OUT channel. When the sending end goes, the connection ends; when the client goes, the sending end
/// notices.
#[must_use]
pub fn stream() -> (mpsc::Sender<Bytes>, Stream) {
    let (to, from) = mpsc::channel(WAITING);
    (to, Stream(from))
}

/// The body of any response.
#[derive(Debug)]
pub enum Reply {
    /// It is here.
    Whole(Bytes),
    /// It comes.
    Stream(Stream),
}

impl Body for Reply {
    type Data = Bytes;
    type Error = std::convert::Infallible;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        match self.get_mut() {
            Self::Whole(bytes) if bytes.is_empty() => Poll::Ready(None),
            Self::Whole(bytes) => Poll::Ready(Some(Ok(Frame::data(std::mem::take(bytes))))),
            Self::Stream(Stream(from)) => from
                .poll_recv(cx)
                .map(|bytes| bytes.map(|bytes| Ok(Frame::data(bytes)))),
        }
    }

    fn is_end_stream(&self) -> bool {
        matches!(self, Self::Whole(bytes) if bytes.is_empty())
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Whole(bytes) => SizeHint::with_exact(bytes.len() as u64),
            Self::Stream(_) => SizeHint::default(),
        }
    }
}
