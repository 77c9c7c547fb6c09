//! The client's half of an association: binds, calls out, responses matched, deadlines, cancellation.
//!
//! Read first: C706 sections 9.3 and 12.6 and MS-RPCE section 3.3.2. One [`Client`] stands for one connection. It
//! can be held in a mutex: a call is encoded straight into the queue of bytes to transmit.
//!
//! Four kinds of methods. Commands: [`bind`](Client::bind) first, then [`alter`](Client::alter),
//! [`call`](Client::call), [`cancel`](Client::cancel), [`lost`](Client::lost). In:
//! [`handle_bytes`](Client::handle_bytes) until it returns `None`, [`handle_timeout`](Client::handle_timeout),
//! [`answer`](Client::answer). Out: [`poll_event`](Client::poll_event), [`poll_transmit`](Client::poll_transmit),
//! [`poll_timeout`](Client::poll_timeout). After any input or command, drain the outputs in this order. Time
//! must not run backwards.

use crate::co::stub::Stub;
use crate::security::{
    Answer, AuthLevel, AuthType, Denied, Exchange, Principal, ProtectError, Query,
};
use crate::seed::Seed;
use crate::syntax::{Order, Syntax, SyntaxId, Uuid};
use bytes::Bytes;
use farcall_wire::TransmitQueue;
use std::collections::VecDeque;
use std::fmt;
use std::time::{Duration, Instant};

/// What a client's association may take, and what it offers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientConfig {
    /// Largest fragment offered both ways, in bytes. Range 2048..=65528; default 5840.
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
    /// Whether requests carry a verification trailer where calls are protected. Default true.
    pub verification: bool,
    /// Largest stub of a response over all fragments, in bytes. Default 64 MiB.
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
            verification: true,
            response: 64 << 20,
            in_flight: 4096,
            queued: 16 << 20,
            cancel: Duration::from_secs(1),
            group: 0,
        }
    }
}

/// A call in flight: its number on the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct CallId(pub u32);

/// How an association authenticates: the beginning of an exchange, and what it is announced as.
pub struct Authentication {
    /// What [`Initiator::initiate`](crate::security::Initiator::initiate) returned.
    pub exchange: Box<dyn Exchange>,
    /// The type that the trailer names.
    pub auth_type: AuthType,
    /// How calls are protected.
    pub level: AuthLevel,
}

impl fmt::Debug for Authentication {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Authentication({} at {})", self.auth_type, self.level)
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
            Self::Protect(error) => write!(f, "request: {error}"),
        }
    }
}

impl std::error::Error for CallError {}

/// A fault that the server answered with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// An `nca_s_*` or Win32 status.
    pub status: u32,
    /// The server says that the operation did not begin.
    pub did_not_execute: bool,
    /// Extended error information as it came (MS-EERR), if there is any.
    pub extended: Option<Bytes>,
}

/// Why the server refused a presentation context.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refused {
    /// `p_cont_def_result_t`: 1 refused by the user, 2 by the provider.
    pub result: u16,
    /// `p_provider_reason_t`: 1 abstract syntax, 2 transfer syntaxes, 3 a local limit.
    pub reason: u16,
}

/// What became of a presentation context that was offered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bound {
    /// The interface.
    pub interface: SyntaxId,
    /// What calls name the context by, and how their stubs are encoded.
    pub context: Result<(u16, Syntax), Refused>,
}

/// Why an association is over. Close the connection.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Close {
    /// The server refused to bind, for this reason (`p_reject_reason_t`).
    BindNak {
        /// The reason.
        reason: u16,
    },
    /// The server answered the bind or the authentication with a fault.
    Fault(Fault),
    /// We do not believe the server to be who it should be, or have no way to convince it.
    Denied(Denied),
    /// The server broke a rule of the protocol, in these words.
    Violation(&'static str),
    /// A response does not verify.
    Protect(ProtectError),
    /// The server asked for the connection to be closed.
    Shutdown,
}

/// What a client's association tells.
#[derive(Debug)]
pub enum Event<T> {
    /// A [`bind`](Client::bind) or [`alter`](Client::alter) was answered, in the order of its interfaces.
    Bound(Vec<Bound>),
    /// The response to a call, which is over.
    Response {
        /// The call.
        id: CallId,
        /// What the caller gave with it.
        token: T,
        /// The byte order of the results.
        order: Order,
        /// The results; encoded as the presentation context says.
        stub: Stub,
    },
    /// The server answered a call with a fault.
    Fault {
        /// The call.
        id: CallId,
        /// What the caller gave with it.
        token: T,
        /// The fault.
        fault: Fault,
    },
    /// A call is over without an answer.
    Ended {
        /// The call.
        id: CallId,
        /// What the caller gave with it.
        token: T,
        /// Why.
        cause: Cause,
        /// Whether a byte of it was handed out for transmission. If not, it cannot have been executed.
        sent: bool,
    },
    /// Run this aside and hand its output to [`Client::answer`].
    Ask(Query),
    /// The association is over; an [`Ended`](Event::Ended) for each call in flight came before.
    Close(Close),
}

/// Why a call ended without an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    /// Its deadline passed.
    TimedOut,
    /// The connection is gone or the association is over.
    Lost,
}

/// The client's half of one association; `T` is what a caller wants back with the response (a waker, a sender).
pub struct Client<T> {
    config: ClientConfig,
    events: VecDeque<Event<T>>,
}

impl<T> fmt::Debug for Client<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client")
            .field("config", &self.config)
            .field("events", &self.events.len())
            .finish_non_exhaustive()
    }
}

impl<T> Client<T> {
    /// A client of a connection on which nothing has been sent.
    #[must_use]
    pub fn new(config: ClientConfig, now: Instant, seed: &Seed) -> Self {
        let _ = (now, seed);
        Self {
            config,
            events: VecDeque::new(),
        }
    }

    /// Begins the association: asks for these interfaces, under this authentication. [`Event::Bound`] or
    /// [`Event::Close`] follows.
    pub fn bind(
        &mut self,
        now: Instant,
        interfaces: &[SyntaxId],
        authentication: Option<Authentication>,
    ) {
        let _ = (now, interfaces, authentication);
    }

    /// Asks for more interfaces. [`Event::Bound`] follows.
    ///
    /// # Errors
    /// [`CallError::NotBound`].
    pub fn alter(&mut self, now: Instant, interfaces: &[SyntaxId]) -> Result<(), CallError> {
        let _ = (now, interfaces);
        Err(CallError::NotBound)
    }

    /// Begins a call on presentation context `context`. Without a `deadline` it waits for ever.
    ///
    /// # Errors
    /// [`CallError`]; nothing is queued then, and `token` is dropped.
    #[expect(clippy::too_many_arguments, reason = "each is a field of the request")]
    pub fn call(
        &mut self,
        now: Instant,
        context: u16,
        opnum: u16,
        object: Option<Uuid>,
        stub: &[u8],
        deadline: Option<Instant>,
        token: T,
    ) -> Result<CallId, CallError> {
        let _ = (now, context, opnum, object, stub, deadline, token);
        Err(CallError::NotBound)
    }

    /// Sends a call that has no reply (`maybe`).
    ///
    /// # Errors
    /// [`CallError`]; nothing is queued then.
    pub fn maybe(
        &mut self,
        context: u16,
        opnum: u16,
        object: Option<Uuid>,
        stub: &[u8],
    ) -> Result<(), CallError> {
        let _ = (context, opnum, object, stub);
        Err(CallError::NotBound)
    }

    /// Ends a call nobody waits for any more: the server is told that it is orphaned if a byte of it was handed
    /// out. Returns its token and whether one was.
    pub fn cancel(&mut self, id: CallId) -> Option<(T, bool)> {
        let _ = id;
        None
    }

    /// Says that the connection is gone: all calls in flight end in [`poll_event`](Self::poll_event).
    pub fn lost(&mut self) {}

    /// The next thing that `batch` brings from offset `at`, which moves past what was used. `None`: the batch is
    /// used up (the beginning of a PDU at its end was copied inside), or an [`Ask`](Event::Ask) is unanswered; then
    /// keep the batch and come back.
    pub fn handle_bytes(
        &mut self,
        now: Instant,
        batch: &Bytes,
        at: &mut usize,
    ) -> Option<Event<T>> {
        let _ = now;
        *at = batch.len();
        None
    }

    /// Hands in the output of an [`Ask`](Event::Ask).
    pub fn answer(&mut self, now: Instant, answer: Answer) {
        let _ = (now, answer);
    }

    /// Asks the server to cancel calls whose deadline has passed, and ends them a while later.
    pub fn handle_timeout(&mut self, now: Instant) {
        let _ = now;
    }

    /// The next event that did not come from [`handle_bytes`](Self::handle_bytes).
    pub fn poll_event(&mut self) -> Option<Event<T>> {
        self.events.pop_front()
    }

    /// Moves what is to be written to the connection behind `out` and returns how many bytes that is. What has
    /// been moved counts as sent.
    pub fn poll_transmit(&mut self, out: &mut TransmitQueue) -> usize {
        let _ = out;
        0
    }

    /// When [`handle_timeout`](Self::handle_timeout) wants to be called; it may turn out to be too early.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        None
    }

    /// What the caller gave with a call in flight.
    #[must_use]
    pub fn token_mut(&mut self, id: CallId) -> Option<&mut T> {
        let _ = id;
        None
    }

    /// Calls in flight.
    #[must_use]
    pub fn in_flight(&self) -> usize {
        0
    }

    /// Whom the mechanism proved the server to be.
    #[must_use]
    pub fn principal(&self) -> Option<&Principal> {
        None
    }

    /// The key shared with the server.
    #[must_use]
    pub fn session_key(&self) -> Option<&[u8]> {
        None
    }

    /// The association group the server answered with; 0 before.
    #[must_use]
    pub fn group(&self) -> u32 {
        0
    }
}
