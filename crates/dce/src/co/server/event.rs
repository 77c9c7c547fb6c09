//! What a server's association yields.

use crate::co::stub::Stub;
use crate::security::{AuthLevel, AuthType, Principal, ProtectError, Query};
use crate::syntax::{Order, Syntax, Uuid};
use std::fmt;
use std::sync::Arc;

/// An authenticated caller.
#[derive(Clone, PartialEq, Eq)]
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

/// Without the key.
impl fmt::Debug for Caller {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "Caller({} by {} at {})",
            self.principal, self.auth_type, self.level
        )
    }
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
    /// The place of the security context that protects the reply.
    pub(crate) guard: Option<u16>,
    /// Tells the call from others that have its number at other times.
    pub(crate) serial: u32,
}

/// Shows that the check of the call's protection was made: only that check can make one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Verified(pub(in crate::co::server) ());

/// A request: whole, unless it is [open](Self::open).
#[derive(Clone, Debug)]
pub struct Call {
    /// Give this to [`Server::reply`](super::Server::reply).
    pub to: ReplyTo,
    /// [`Interface::service`](super::Interface::service) of the interface called.
    pub service: usize,
    /// The operation's number.
    pub opnum: u16,
    /// How the stub is encoded and the reply must be.
    pub syntax: Syntax,
    /// The object that the call names.
    pub object: Option<Uuid>,
    /// The arguments, and whatever the client put behind them.
    pub stub: Stub,
    /// The caller, if authenticated.
    pub caller: Option<Arc<Caller>>,
    /// More of the arguments follow as [`Event::Piece`]: the operation is one of
    /// [`Interface::pipes`](super::Interface::pipes), and `stub` is what its first fragment brought.
    pub open: bool,
    /// No reply is wanted: end the call with [`Server::finish`](super::Server::finish).
    pub maybe: bool,
    /// The check of the call's protection was made.
    pub verified: Verified,
}

/// What a server's association yields.
#[derive(Debug)]
pub enum Event {
    /// A call to run.
    Call(Call),
    /// More of the arguments of an [open](Call::open) call.
    Piece {
        /// The call.
        to: ReplyTo,
        /// The next bytes of its stub.
        stub: Stub,
        /// They are the last ones: the request is whole.
        last: bool,
    },
    /// The client would like this call to end early; it still waits for a reply.
    Cancel {
        /// The call.
        call_id: u32,
    },
    /// The client has given this call up: end it. It is in flight no more, and a reply to it is refused.
    Orphaned {
        /// The call.
        call_id: u32,
    },
    /// Run this aside and hand its output to [`Server::answer`](super::Server::answer). Until then
    /// [`Server::handle_bytes`](super::Server::handle_bytes) takes nothing.
    Ask(Query),
    /// An exchange ended: with a caller, or with the reason why there is none. For logs; nothing need be done.
    Authenticated(Result<Arc<Caller>, String>),
    /// Write what `out` holds, then close the connection.
    Close(Close),
}

/// Why an association is over.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Close {
    /// The peer broke a rule of the protocol, in these words.
    Violation(&'static str),
    /// The peer did not authenticate itself.
    Denied(String),
    /// A request is not protected as was agreed.
    Protect(ProtectError),
    /// Something took longer than [`ServerConfig::partial`](super::ServerConfig::partial).
    Slow,
}

impl fmt::Display for Close {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Violation(what) => f.write_str(what),
            Self::Denied(why) => write!(f, "authentication failed: {why}"),
            Self::Protect(error) => write!(f, "request: {error}"),
            Self::Slow => f.write_str("the next fragment took too long (ServerConfig::partial)"),
        }
    }
}

/// Why a reply was not put on its way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ReplyError {
    /// No such call is in flight: it is orphaned, or was answered.
    NoCall,
    /// The reply could not be protected. Close the connection.
    Protect(ProtectError),
}

impl fmt::Display for ReplyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoCall => f.write_str("the call is orphaned or was answered"),
            Self::Protect(error) => write!(f, "reply: {error}"),
        }
    }
}

impl std::error::Error for ReplyError {}
