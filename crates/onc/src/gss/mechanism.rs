//! What `RPCSEC_GSS` asks of a mechanism: the traits that this core defines and `farcall-security` implements.
//!
//! Read first: RFC 2743 sections 1.2.6 and 1.2.7, RFC 2203 section 5.2 (how tokens travel). A mechanism is a row of
//! steps, each a token from the peer and a token for it; what a step needs from outside, or what would block, it
//! asks as a [`Query`], which the driver runs and answers. An established [`Context`] does not wait.

use std::any::Any;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// Why an exchange failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Denied {
    /// The GSS-API's major status for the peer; `GSS_S_FAILURE` where the mechanism knows none better.
    pub major: u32,
    /// The mechanism's own status for the peer.
    pub minor: u32,
    /// For our own log: lower case, no full stop, no secret.
    pub reason: String,
}

impl Denied {
    /// `GSS_S_FAILURE`, for `reason`.
    #[must_use]
    pub fn new(reason: impl Into<String>) -> Self {
        Self {
            major: super::InitResult::FAILURE,
            minor: 0,
            reason: reason.into(),
        }
    }
}

impl fmt::Display for Denied {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "authentication failed: {}", self.reason)
    }
}

impl std::error::Error for Denied {}

/// A context could not protect a message, or the message is not what the peer protected.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Broken(pub &'static str);

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

impl std::error::Error for Broken {}

/// The output of a [`Query`], known only to the exchange that asked.
pub type Answer = Box<dyn Any + Send>;

/// Work that an exchange cannot do in place. The driver runs it aside and hands its output back.
pub struct Query(pub Box<dyn FnOnce() -> Answer + Send>);

impl fmt::Debug for Query {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Query(..)")
    }
}

/// What a step of an exchange came to.
pub enum Progress {
    /// This token goes to the peer, and its answer to the next step.
    Continue(Vec<u8>),
    /// The context stands; a last token may still have to go to the peer.
    Done {
        /// What the peer must get, if anything.
        token: Option<Vec<u8>>,
        /// What protects messages from now on.
        context: Box<dyn Context>,
    },
    /// Run this and give its output to [`Handshake::answer`].
    Need(Query),
}

impl fmt::Debug for Progress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Continue(token) => write!(f, "Continue({} bytes)", token.len()),
            Self::Done { token, .. } => write!(f, "Done({:?} bytes)", token.as_ref().map(Vec::len)),
            Self::Need(_) => f.write_str("Need(..)"),
        }
    }
}

/// One side of one exchange.
pub trait Handshake: Send {
    /// Takes the peer's token; an initiator's first step has an empty one.
    ///
    /// # Errors
    /// [`Denied`]; the exchange is over then.
    fn step(&mut self, token: &[u8]) -> Result<Progress, Denied>;

    /// Takes the output of the [`Query`] that the last step asked for.
    ///
    /// # Errors
    /// [`Denied`]; the exchange is over then.
    fn answer(&mut self, answer: Answer) -> Result<Progress, Denied>;
}

/// Who was proved to be at the other end.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Principal {
    /// Its name as the mechanism shows it, such as `alice@RPC.TEST`.
    pub name: Arc<str>,
    /// What proved it, such as `kerberos`.
    pub mechanism: &'static str,
}

/// An established context. Codes and wrapped messages carry what keeps them apart by themselves.
pub trait Context: Send {
    /// Who was proved to be at the other end.
    fn peer(&self) -> &Principal;

    /// How long the context is good, from when it was established; `None` if without end.
    fn lifetime(&self) -> Option<Duration>;

    /// A message integrity code over `message` (`GSS_GetMIC`).
    ///
    /// # Errors
    /// [`Broken`] if the mechanism fails; the context is of no use then.
    fn mic(&mut self, message: &[u8]) -> Result<Vec<u8>, Broken>;

    /// Checks a code that the peer made over `message` (`GSS_VerifyMIC`).
    ///
    /// # Errors
    /// [`Broken`] if it does not prove the message.
    fn verify_mic(&mut self, message: &[u8], mic: &[u8]) -> Result<(), Broken>;

    /// The message encrypted and proved, as one piece (`GSS_Wrap`).
    ///
    /// # Errors
    /// [`Broken`] if the mechanism fails or does not encrypt.
    fn wrap(&mut self, message: &[u8]) -> Result<Vec<u8>, Broken>;

    /// The message inside what the peer made with [`wrap`](Self::wrap) (`GSS_Unwrap`).
    ///
    /// # Errors
    /// [`Broken`] if it was changed, or was not encrypted.
    fn unwrap(&mut self, wrapped: &[u8]) -> Result<Vec<u8>, Broken>;
}

/// A server's mechanisms.
pub trait Acceptor: Send + Sync {
    /// Begins an exchange with a client.
    fn accept(&self) -> Box<dyn Handshake>;
}

/// A client's credentials.
pub trait Initiator: Send + Sync {
    /// Begins an exchange with the service `target`, such as `nfs@files.example`.
    ///
    /// # Errors
    /// [`Denied`] if the credentials have no way to that target.
    fn initiate(&self, target: &str) -> Result<Box<dyn Handshake>, Denied>;
}
