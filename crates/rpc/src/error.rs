//! One error for callers: one pointer wide, and it answers their questions.
//!
//! It says in which phase of the call things went wrong, with which peer and procedure, what the
//! root cause was, whether the procedure may have run ([`Error::may_have_executed`]), whether
//! calling again can help ([`Error::is_retryable`]), and what the user can do
//! ([`Error::hints`]).

use std::fmt;
use std::time::Duration;

use farcall_dce::status;
use farcall_onc::auth::AuthStat;
use farcall_wire::{DecodeError, EncodeError};

/// Where on its way a call was.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Phase {
    /// Finding the host, or the program's port through rpcbind.
    Resolve,
    /// Connecting the transport.
    Connect,
    /// Agreeing on interface and transfer syntax with a server of DCE/RPC.
    Bind,
    /// Making TLS of the connection.
    Secure,
    /// Proving who one is to a server of DCE/RPC.
    Authenticate,
    /// Packing the arguments.
    Encode,
    /// The call was handed to the transport, or is waiting for its reply.
    Call,
    /// Unpacking the result.
    Decode,
    /// Starting a server.
    Serve,
    /// Registering with rpcbind.
    Register,
}

impl fmt::Display for Phase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Resolve => "resolve",
            Self::Connect => "connect",
            Self::Bind => "bind",
            Self::Secure => "secure",
            Self::Authenticate => "authenticate",
            Self::Encode => "encode",
            Self::Call => "call",
            Self::Decode => "decode",
            Self::Serve => "serve",
            Self::Register => "register",
        })
    }
}

/// What kind of thing is wrong with a connection under TLS.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum TlsFault {
    /// Certificates, keys or names given here are not usable.
    Settings,
    /// The peer's certificate has expired.
    Expired,
    /// The peer's certificate is not valid yet.
    NotYetValid,
    /// The peer's certificate is from an authority that is not trusted here.
    UnknownIssuer,
    /// The peer's certificate is somebody else's.
    WrongName,
    /// The peer's certificate was revoked, or nobody knows whether it was.
    Revoked,
    /// Something else is wrong with the peer's certificate.
    BadCertificate,
    /// One side insists on a certificate, and the other shows none.
    CertificateRequired,
    /// The peer refused us.
    Refused,
    /// What the peer sends is not TLS.
    NotTls,
    /// The peer does not offer TLS, and we insist on it.
    NotOffered,
    /// The two speak no version of TLS in common.
    Version,
    /// The two speak no protocol in common under TLS.
    Protocol,
    /// The connection failed or ended, or it took too long.
    Interrupted,
}

/// What went wrong.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Cause {
    /// The operating system refused.
    Io(std::io::ErrorKind, String),
    /// The call's deadline passed. The duration is how long the call was given.
    Deadline(Duration),
    /// The connection ended before the reply came.
    Disconnected(String),
    /// The server does not have the program: `PROG_UNAVAIL`.
    ProgramUnavailable,
    /// The server has the program in other versions: `PROG_MISMATCH`.
    ProgramMismatch {
        /// Lowest version it has.
        low: u32,
        /// Highest version it has.
        high: u32,
    },
    /// The program has no such procedure: `PROC_UNAVAIL`.
    ProcedureUnavailable,
    /// The server could not unpack the arguments: `GARBAGE_ARGS`.
    GarbageArguments,
    /// The server failed: `SYSTEM_ERR`.
    SystemError,
    /// The server speaks other versions of RPC itself: `RPC_MISMATCH`.
    RpcMismatch {
        /// Lowest version it speaks.
        low: u32,
        /// Highest version it speaks.
        high: u32,
    },
    /// The server refused the credential: `AUTH_ERROR`.
    Authentication(AuthStat),
    /// The server of DCE/RPC answered with a fault of this status, one of `nca_s_*` or a Win32
    /// code.
    Fault(u32),
    /// The server of DCE/RPC did not bind the association or the interface, for this reason.
    BindRefused(String),
    /// One side did not believe the other to be who it should be, for this reason.
    Denied(String),
    /// There is no TLS on the connection, or none that would do, for this reason.
    Tls(TlsFault, String),
    /// Our own arguments break a bound of the interface.
    Encode(EncodeError),
    /// The result is not what the interface says.
    Decode(DecodeError),
    /// A limit of ours was reached; the text names the option.
    Limit(String),
    /// The client or server was closed by its owner.
    Closed,
    /// Anything else, in words.
    Other(String),
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Io(_, text) | Self::Limit(text) | Self::Other(text) => f.write_str(text),
            Self::Deadline(given) => write!(f, "no reply within {given:?}"),
            Self::Disconnected(why) => write!(f, "connection ended: {why}"),
            Self::ProgramUnavailable => f.write_str("program unavailable (PROG_UNAVAIL)"),
            Self::ProgramMismatch { low, high } => {
                write!(
                    f,
                    "program is there in versions {low} to {high} (PROG_MISMATCH)"
                )
            }
            Self::ProcedureUnavailable => f.write_str("procedure unavailable (PROC_UNAVAIL)"),
            Self::GarbageArguments => {
                f.write_str("server could not decode the arguments (GARBAGE_ARGS)")
            }
            Self::SystemError => f.write_str("server failed (SYSTEM_ERR)"),
            Self::RpcMismatch { low, high } => {
                write!(
                    f,
                    "server speaks RPC versions {low} to {high} (RPC_MISMATCH)"
                )
            }
            Self::Authentication(stat) => write!(f, "credential refused ({stat})"),
            Self::Fault(status) => match status::name(*status) {
                Some(name) => write!(f, "fault {name} ({status:#010x})"),
                None => write!(f, "fault {status:#010x}"),
            },
            Self::BindRefused(why) => f.write_str(why),
            Self::Denied(why) => write!(f, "authentication failed: {why}"),
            Self::Tls(_, why) => write!(f, "TLS: {why}"),
            Self::Encode(error) => write!(f, "{error}"),
            Self::Decode(error) => write!(f, "{error}"),
            Self::Closed => f.write_str("closed"),
        }
    }
}

/// Faults that may be gone when the same call is made again: too busy, out of memory, a failure of
/// communication.
const TRANSIENT: [u32; 5] = [
    status::SERVER_TOO_BUSY,
    status::WIN32_SERVER_TOO_BUSY,
    status::REMOTE_NO_MEMORY,
    status::COMM_FAILURE,
    status::SERVER_UNAVAILABLE,
];

#[derive(Clone, Debug)]
struct Inner {
    phase: Phase,
    cause: Cause,
    peer: Option<String>,
    procedure: Option<String>,
    may_have_executed: bool,
    hints: Vec<String>,
}

/// Why a call, a connection or a server failed.
#[derive(Clone)]
pub struct Error(Box<Inner>);

impl Error {
    /// An error of `cause` in `phase`.
    #[cold]
    pub fn new(phase: Phase, cause: Cause) -> Self {
        let may_have_executed = match &cause {
            Cause::Deadline(_)
            | Cause::Disconnected(_)
            | Cause::SystemError
            | Cause::Fault(_)
            | Cause::Decode(_) => {
                matches!(phase, Phase::Call | Phase::Decode)
            }
            _ => false,
        };
        Self(Box::new(Inner {
            phase,
            cause,
            peer: None,
            procedure: None,
            may_have_executed,
            hints: Vec::new(),
        }))
    }

    /// An error in words, before anything was sent.
    #[cold]
    pub fn local(phase: Phase, text: impl Into<String>) -> Self {
        Self::new(phase, Cause::Other(text.into()))
    }

    /// An error of the operating system.
    #[cold]
    pub fn io(phase: Phase, error: &std::io::Error) -> Self {
        Self::new(phase, Cause::Io(error.kind(), error.to_string()))
    }

    /// The same error, with one more thing that would help.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.0.hints.push(hint.into());
        self
    }

    /// The same error, naming the peer unless one is named already.
    #[must_use]
    pub fn with_peer(mut self, peer: impl fmt::Display) -> Self {
        self.0.peer.get_or_insert_with(|| peer.to_string());
        self
    }

    /// The same error, naming the procedure unless one is named already.
    #[must_use]
    pub fn with_procedure(mut self, procedure: impl fmt::Display) -> Self {
        self.0
            .procedure
            .get_or_insert_with(|| procedure.to_string());
        self
    }

    /// The same error; says whether the call's bytes may have reached the peer.
    #[must_use]
    pub fn executed(mut self, may_have: bool) -> Self {
        self.0.may_have_executed = may_have;
        self
    }

    /// Where on its way the call was.
    pub fn phase(&self) -> Phase {
        self.0.phase
    }

    /// What went wrong.
    pub fn cause(&self) -> &Cause {
        &self.0.cause
    }

    /// The peer, if one was reached for.
    pub fn peer(&self) -> Option<&str> {
        self.0.peer.as_deref()
    }

    /// The procedure by name, if it was a call.
    pub fn procedure(&self) -> Option<&str> {
        self.0.procedure.as_deref()
    }

    /// What would help, one sentence each.
    pub fn hints(&self) -> &[String] {
        &self.0.hints
    }

    /// Whether the procedure may have run at the server.
    ///
    /// `false` is a promise: the call never left, or the server said that it did not run it.
    pub fn may_have_executed(&self) -> bool {
        self.0.may_have_executed
    }

    /// Whether the same call can succeed later without anything being changed here.
    pub fn is_retryable(&self) -> bool {
        match &self.0.cause {
            Cause::Io(kind, _) => !matches!(
                kind,
                std::io::ErrorKind::PermissionDenied | std::io::ErrorKind::InvalidInput
            ),
            Cause::Deadline(_) | Cause::Disconnected(_) | Cause::SystemError => true,
            Cause::Tls(fault, _) => *fault == TlsFault::Interrupted,
            Cause::Fault(status) => TRANSIENT.contains(status),
            _ => false,
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(procedure) = &self.0.procedure {
            write!(f, "{procedure}: ")?;
        }
        match self.0.phase {
            Phase::Call => {}
            phase => write!(f, "{phase}: ")?,
        }
        write!(f, "{}", self.0.cause)?;
        match &self.0.peer {
            Some(peer) => write!(f, " ({peer})"),
            None => Ok(()),
        }
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match &self.0.cause {
            Cause::Encode(error) => Some(error),
            Cause::Decode(error) => Some(error),
            _ => None,
        }
    }
}

impl From<EncodeError> for Error {
    fn from(error: EncodeError) -> Self {
        Self::new(Phase::Encode, Cause::Encode(error))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_is_one_pointer_wide() {
        assert_eq!(size_of::<Error>(), size_of::<usize>());
        assert_eq!(size_of::<Result<(), Error>>(), size_of::<usize>());
    }

    #[test]
    fn only_what_left_may_have_run() {
        let late = Error::new(Phase::Call, Cause::Deadline(Duration::from_secs(1)));
        assert!(late.may_have_executed() && late.is_retryable());
        let refused = Error::new(Phase::Call, Cause::ProcedureUnavailable);
        assert!(!refused.may_have_executed() && !refused.is_retryable());
        let unsent = Error::new(Phase::Connect, Cause::Deadline(Duration::from_secs(1)));
        assert!(!unsent.may_have_executed());
    }
}
