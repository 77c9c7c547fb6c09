//! What a client does when nothing goes wrong, and when something does.

use std::time::Duration;

use farcall_onc::auth::{AuthBlock, AuthSys};
use farcall_onc::client::Retransmit;

use crate::error::Error;
use crate::limits::Limits;

/// Whether a failed call is made again by the client itself.
///
/// The default is never. Even then nothing is lost: an [`Error`] says whether the procedure may
/// have run ([`Error::may_have_executed`]).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Retry {
    /// Never.
    #[default]
    Never,
    /// At most this many times, with pauses that begin at 50 ms and double: a call that provably
    /// did not run, and one that may have run if its procedure is declared idempotent.
    Safe(u32),
}

/// When a client connects again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Reconnect {
    /// At the next call; a failed attempt fails the calls that wait for it. The default.
    OnCall,
    /// At the next call, again and again until the deadlines of the calls that wait; the pause
    /// begins at `first` and doubles up to `longest`.
    Persistent {
        /// The first pause.
        first: Duration,
        /// The longest pause.
        longest: Duration,
    },
    /// Not at all: the client fails for good with its connection.
    Never,
}

/// How a client connects and calls. Every field has a safe default.
#[derive(Clone, Debug)]
pub struct Options {
    /// How long a call may take, if it does not say itself. Default 25 s, as the C library has it.
    pub timeout: Duration,
    /// How long connecting may take, name and port look-up included. Default 10 s.
    pub connect_timeout: Duration,
    /// When it connects again. Default [`Reconnect::OnCall`].
    pub reconnect: Reconnect,
    /// Whether failed calls are repeated. Default [`Retry::Never`].
    pub retry: Retry,
    /// Who calls. Default `AUTH_NONE`.
    pub auth: AuthBlock,
    /// Calls in flight at once; one more fails. Default 4096.
    pub in_flight: usize,
    /// UDP: when a call is sent again. Default after 1 s, then twice as long each time, at most
    /// every 16 s.
    pub retransmit: Retransmit,
    /// Bounds on what the server can cost. Default [`Limits::default`].
    pub limits: Limits,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            timeout: Duration::from_secs(25),
            connect_timeout: Duration::from_secs(10),
            reconnect: Reconnect::OnCall,
            retry: Retry::Never,
            auth: AuthBlock::none(),
            in_flight: 4096,
            retransmit: farcall_onc::client::ClientConfig::default().retransmit,
            limits: Limits::default(),
        }
    }
}

impl Options {
    /// The same options with the caller named by an `AUTH_SYS` credential.
    ///
    /// # Errors
    /// The machine name or the groups are over their bounds.
    pub fn auth_sys(mut self, credential: &AuthSys) -> Result<Self, Error> {
        self.auth = AuthBlock::sys(credential)?;
        Ok(self)
    }
}
