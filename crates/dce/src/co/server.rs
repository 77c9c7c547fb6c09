//! The server's half of an association: every PDU judged, every rule of order kept, whole calls out.
//!
//! Read first: C706 section 12.6 (the PDUs) and MS-RPCE section 3.3.1 and 3.3.3. One [`Server`] stands for one
//! connection. What its connections share is an [`Endpoint`].
//!
//! In: [`handle_bytes`](Server::handle_bytes) until it returns `None`, [`handle_timeout`](Server::handle_timeout),
//! [`answer`](Server::answer). Commands: [`reply`](Server::reply), [`fault`](Server::fault). Out: events as return
//! values, bytes in the queue that is an argument, [`poll_timeout`](Server::poll_timeout). What `out` holds after
//! an event [`Close`](Event::Close) is to be written before the connection is closed.
//!
//! This file does not know what an operation is, and runs none.

use super::Stub;
use super::group::{Group, Groups};
use crate::security::{Acceptor, Answer, AuthLevel, AuthType, Principal, Query};
use crate::seed::Seed;
use crate::syntax::{Order, Syntax, SyntaxId, Uuid};
use bytes::Bytes;
use farcall_wire::TransmitQueue;
use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Which callers an interface takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Floor {
    /// Whether calls without authentication pass.
    pub anonymous: bool,
    /// The lowest level at which authenticated callers pass.
    pub authenticated: AuthLevel,
}

impl Floor {
    /// Everyone at any level: for interfaces that only tell what anybody may know.
    pub const OPEN: Self = Self {
        anonymous: true,
        authenticated: AuthLevel::CONNECT,
    };

    /// Callers who proved who they are and whose calls cannot be changed on the way.
    pub const AUTHENTICATED: Self = Self {
        anonymous: false,
        authenticated: AuthLevel::INTEGRITY,
    };
}

/// An interface that an endpoint serves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Interface {
    /// Its name and version. A client's major version must be equal, its minor not higher.
    pub id: SyntaxId,
    /// What the server knows it by; comes back in [`Call::service`].
    pub service: usize,
    /// Who may call it.
    pub floor: Floor,
}

/// What a server's associations may take and how they answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerConfig {
    /// Largest fragment sent and, for requests, received, in bytes. Range 2048..=65528; default 5840, as every
    /// peer has it over TCP (4280 over named pipes).
    pub fragment: u16,
    /// What a `bind_ack` tells as secondary address, without the closing NUL: the port in decimal, or a path.
    pub secondary_address: Vec<u8>,
    /// Whether NDR64 is accepted. Default true.
    pub ndr64: bool,
    /// Whether calls of one connection may be in flight together. Default true.
    pub multiplexing: bool,
    /// Largest stub of a request over all fragments, in bytes. Default 4 MiB.
    pub request: usize,
    /// Most presentation contexts of one connection. Default 1024.
    pub contexts: usize,
    /// Most security contexts of one connection. Default 64.
    pub auth_contexts: usize,
    /// Most calls of one connection in flight. Default 1024.
    pub in_flight: usize,
    /// How long a half received PDU, a half received request or an unfinished authentication may rest. Default
    /// 30 s.
    pub partial: Duration,
}

impl Default for ServerConfig {
    fn default() -> Self {
        Self {
            fragment: 5840,
            secondary_address: Vec::new(),
            ndr64: true,
            multiplexing: true,
            request: 4 << 20,
            contexts: 1024,
            auth_contexts: 64,
            in_flight: 1024,
            partial: Duration::from_secs(30),
        }
    }
}

/// What all connections to one endpoint share.
pub struct Endpoint {
    /// Limits and answers.
    pub config: ServerConfig,
    /// What is served here.
    pub interfaces: Vec<Interface>,
    /// The association groups of the endpoint's family.
    pub groups: Arc<Groups>,
    /// The mechanisms; `None`: authentication is not served.
    pub acceptor: Option<Arc<dyn Acceptor>>,
}

impl fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Endpoint")
            .field("config", &self.config)
            .field("interfaces", &self.interfaces)
            .finish_non_exhaustive()
    }
}

/// An authenticated caller.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Caller {
    /// Who.
    pub principal: Principal,
    /// By which mechanism's trailer.
    pub auth_type: AuthType,
    /// How the caller's calls are protected.
    pub level: AuthLevel,
    /// The key shared with the caller.
    pub session_key: Option<Vec<u8>>,
}

/// Where the reply to a call goes: small, and copied at will.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReplyTo {
    /// The client's number of the call.
    pub call_id: u32,
    /// The presentation context of the call.
    pub context_id: u16,
    /// The byte order of the request, and so of the reply.
    pub order: Order,
    /// Which security context protects the reply.
    pub(crate) auth: Option<u32>,
}

/// Shows that the security check of the call's context was made: nothing else can make one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Verified(());

/// A whole request.
#[derive(Clone, Debug)]
pub struct Call {
    /// Give this to [`Server::reply`].
    pub to: ReplyTo,
    /// [`Interface::service`] of the interface called.
    pub service: usize,
    /// The operation's number.
    pub opnum: u16,
    /// How the stub is encoded and the reply must be.
    pub syntax: Syntax,
    /// The object that the call names.
    pub object: Option<Uuid>,
    /// The arguments.
    pub stub: Stub,
    /// The caller, if authenticated.
    pub caller: Option<Arc<Caller>>,
    /// No reply is wanted.
    pub maybe: bool,
    /// The security check was made.
    pub verified: Verified,
}

/// What a server's association yields.
#[derive(Debug)]
pub enum Event {
    /// A call to run.
    Call(Call),
    /// The client would like this call to end early; it still waits for a reply.
    Cancel {
        /// The call.
        call_id: u32,
    },
    /// The client has given this call up. No reply is sent any more; [`Server::reply`] may still be called.
    Orphaned {
        /// The call.
        call_id: u32,
    },
    /// Run this aside and hand its output to [`Server::answer`]. Until then
    /// [`handle_bytes`](Server::handle_bytes) takes nothing.
    Ask(Query),
    /// Write what `out` holds, then close the connection.
    Close(Close),
}

/// Why an association is over.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Close {
    /// The peer broke a rule of the protocol, in these words.
    Violation(&'static str),
    /// Something took longer than [`ServerConfig::partial`].
    Slow,
}

/// Why a reply was not put on its way. The caller has been sent a fault instead.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ReplyError {
    /// No such call is in flight: it is orphaned, or was answered.
    NoCall,
    /// The reply could not be protected.
    Protect(crate::security::ProtectError),
}

/// The server's half of one association.
pub struct Server {
    endpoint: Arc<Endpoint>,
    group: Option<Arc<Group>>,
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Server")
            .field("endpoint", &self.endpoint)
            .field("group", &self.group)
            .finish_non_exhaustive()
    }
}

impl Server {
    /// An association of which nothing has arrived.
    #[must_use]
    pub fn new(endpoint: Arc<Endpoint>, now: Instant, seed: &Seed) -> Self {
        let _ = (now, seed);
        Self {
            endpoint,
            group: None,
        }
    }

    /// The next thing that `batch` brings from offset `at`, which moves past what was used. Answers of the
    /// protocol itself are appended to `out`.
    ///
    /// `None`: the batch is used up (the beginning of a PDU at its end was copied inside), or an
    /// [`Ask`](Event::Ask) is unanswered; then keep the batch and come back. A request that is one unprotected
    /// fragment costs neither a copy nor an allocation.
    pub fn handle_bytes(
        &mut self,
        now: Instant,
        batch: &Bytes,
        at: &mut usize,
        out: &mut TransmitQueue,
    ) -> Option<Event> {
        let _ = (now, out);
        *at = batch.len();
        None
    }

    /// Hands in the output of an [`Ask`](Event::Ask).
    pub fn answer(
        &mut self,
        now: Instant,
        answer: Answer,
        out: &mut TransmitQueue,
    ) -> Option<Event> {
        let _ = (now, answer, out);
        None
    }

    /// Ends what has taken too long.
    pub fn handle_timeout(&mut self, now: Instant, out: &mut TransmitQueue) -> Option<Event> {
        let _ = (now, out);
        None
    }

    /// When [`handle_timeout`](Self::handle_timeout) wants to be called.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        None
    }

    /// Appends the response to a call: one fragment or as many as it takes, protected as the call was.
    ///
    /// # Errors
    /// [`ReplyError`].
    pub fn reply(
        &mut self,
        to: &ReplyTo,
        stub: &[u8],
        out: &mut TransmitQueue,
    ) -> Result<(), ReplyError> {
        let _ = (to, stub, out);
        Ok(())
    }

    /// Appends a fault as the answer to a call. `executed`: whether any part of the operation may have run.
    ///
    /// # Errors
    /// [`ReplyError`].
    pub fn fault(
        &mut self,
        to: &ReplyTo,
        status: u32,
        executed: bool,
        out: &mut TransmitQueue,
    ) -> Result<(), ReplyError> {
        let _ = (to, status, executed, out);
        Ok(())
    }

    /// Ends the bookkeeping of a call that gets no answer: a `maybe` call that has run.
    pub fn finish(&mut self, to: &ReplyTo) {
        let _ = to;
    }

    /// The association group, once bound. A call that uses its context handles holds it.
    #[must_use]
    pub fn group(&self) -> Option<&Arc<Group>> {
        self.group.as_ref()
    }

    /// Calls that were handed out and not answered.
    #[must_use]
    pub fn in_flight(&self) -> usize {
        0
    }

    /// Whether an [`Ask`](Event::Ask) is unanswered.
    #[must_use]
    pub fn is_asking(&self) -> bool {
        false
    }

    /// Whether bytes of a PDU, fragments of a request or legs of an authentication are missing.
    #[must_use]
    pub fn is_partial(&self) -> bool {
        false
    }
}
