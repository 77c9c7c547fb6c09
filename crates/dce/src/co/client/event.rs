//! What a client's association is told and tells.

use crate::co::stub::Stub;
use crate::pdu::bind::NakReason;
use crate::security::{AuthLevel, AuthType, Denied, Exchange, ProtectError, Query};
use crate::status;
use crate::syntax::{Order, Syntax, SyntaxId};
use bytes::Bytes;
use std::fmt;

/// A call in flight: its number on the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct CallId(pub u32);

/// Which half of a call comes in pieces.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Pieces {
    /// The arguments: [`Client::more`](super::Client::more) brings what is missing. Nothing else is sent on the
    /// connection until they are all there. Default false.
    pub request: bool,
    /// The results: each fragment is an [`Event::Piece`], and how many there are is not limited. Default false.
    pub response: bool,
}

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
    /// The server asked for the connection to be closed, and the last call is over.
    Shutdown,
    /// A call was given up, and the connection cannot go on without its answer.
    Orphaned,
}

/// What a client's association tells.
#[derive(Debug)]
pub enum Event<T> {
    /// A [`bind`](super::Client::bind) or [`alter`](super::Client::alter) was answered, in the order of its interfaces.
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
    /// A part of the response to a call that takes its response [in pieces](Pieces). The last part is the
    /// [`Response`](Event::Response).
    Piece {
        /// The call.
        id: CallId,
        /// The byte order of the results.
        order: Order,
        /// The next bytes of the results.
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
    /// Run this aside and hand its output to [`Client::answer`](super::Client::answer). Until then
    /// [`Client::handle_bytes`](super::Client::handle_bytes) takes nothing.
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

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "fault {:#010x}", self.status)?;
        if let Some(name) = status::name(self.status) {
            write!(f, " ({name})")?;
        }
        match self.did_not_execute {
            true => f.write_str(", not executed"),
            false => Ok(()),
        }
    }
}

impl fmt::Display for Close {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::BindNak { reason } => write!(f, "bind refused: {}", NakReason(*reason)),
            Self::Fault(fault) => write!(f, "bind or authentication answered by {fault}"),
            Self::Denied(denied) => denied.fmt(f),
            Self::Violation(what) => write!(f, "the server broke the protocol: {what}"),
            Self::Protect(error) => write!(f, "response: {error}"),
            Self::Shutdown => f.write_str("the server shut the association down"),
            Self::Orphaned => {
                f.write_str("a call was given up on a connection without multiplexing")
            }
        }
    }
}
