//! What a client does when nothing goes wrong, and when something does.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use farcall_dce::security::{AuthLevel, Initiator};
use farcall_onc::auth::{AuthBlock, AuthSys};
use farcall_onc::client::Retransmit;
use farcall_onc::gss;
use farcall_wire::Uuid;
use farcall_wire::ndr::Order;

use crate::client::http_options::HttpOptions;
use crate::endpoint::Endpoint;
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

/// Asking an idle connection's server, by the null procedure, whether it is still there.
///
/// For connections that are made by an endpoint over a stream: only they know a program to ask,
/// and only they are connections.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ping {
    /// A connection that has carried nothing for this long is asked. While a call is in flight it
    /// is not idle: a server may well work on one call at a time.
    pub after: Duration,
    /// How long the server has to answer; any answer will do, a refusal too.
    pub answer: Duration,
    /// After this many questions without an answer in a row the connection is given up, and the
    /// next call makes another. At least 1.
    pub misses: u32,
}

impl Default for Ping {
    /// After 30 s, with 5 s to answer, three times.
    fn default() -> Self {
        Self {
            after: Duration::from_secs(30),
            answer: Duration::from_secs(5),
            misses: 3,
        }
    }
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
    /// ONC RPC: by what calls are proved and protected, instead of [`auth`](Self::auth). Default none.
    pub gss: Option<Gss>,
    /// ONC RPC: whether connections over TCP are protected by TLS (RFC 9289), and by what. Default none: endpoints
    /// `tls://` are, with a server whose certificate is from an authority of the system's, and no others.
    #[cfg(feature = "tls")]
    pub tls: Option<crate::tls::Tls>,
    /// Whether a short handle that the server gives for [`auth`](Self::auth) is sent instead of it (`AUTH_SHORT`, RFC
    /// 5531 appendix A). A server may forget its handles at any time; a call that is refused for that has not run and is
    /// made again with the whole credential. Default false.
    pub short: bool,
    /// Calls in flight at once; one more fails. Default 4096.
    pub in_flight: usize,
    /// UDP: when a call is sent again. Default after 1 s, then twice as long each time, at most
    /// every 16 s.
    pub retransmit: Retransmit,
    /// DCE/RPC: who calls, and how calls are protected. Default: nobody in particular, not at all.
    pub credentials: Option<Credentials>,
    /// DCE/RPC: the object that calls name. Default none.
    pub object: Option<Uuid>,
    /// DCE/RPC: whether NDR64 is used if the server has it. Default false: NDR is smaller.
    pub ndr64: bool,
    /// DCE/RPC: whether arguments are sent in big-endian order. Default false.
    pub big_endian: bool,
    /// DCE/RPC: the endpoint mapper that is asked where an interface is. Default: the one on port
    /// 135 of the host that is called; over HTTP the one on its port 593, through the same RPC proxy.
    pub mapper: Option<Endpoint>,
    /// RPC over HTTP: how the RPC proxy is reached, and who the client is to it. Default [`HttpOptions::default`].
    pub http: HttpOptions,
    /// Whether the server of an idle connection is asked if it is still there. Default `None`:
    /// dead hosts are found by TCP itself (`Limits::keep_alive`).
    pub ping: Option<Ping>,
    /// Bounds on what the server can cost. Default [`Limits::default`].
    pub limits: Limits,
}

/// By what a client proves to a server of DCE/RPC who it is, and how its calls are protected.
#[derive(Clone)]
pub struct Credentials {
    /// The mechanism with its secret.
    pub initiator: Arc<dyn Initiator>,
    /// How calls are protected. [`AuthLevel::INTEGRITY`] or [`AuthLevel::PRIVACY`].
    pub level: AuthLevel,
    /// The name under which the mechanism knows the server. Default `host/` and the host's name.
    pub target: Option<String>,
    /// Whether a server that does not agree to sign the headers of PDUs too is refused. Without signed headers, whoever
    /// relays calls can change what stands outside the arguments (MS-RPCE section 3.3.1.5.2.2). Default false: older
    /// servers do not know it. It has no meaning at level connect, where nothing is signed.
    pub require_header_signing: bool,
}

impl Credentials {
    /// These credentials at this level, for a server under its usual name.
    pub fn new(initiator: Arc<dyn Initiator>, level: AuthLevel) -> Self {
        Self {
            initiator,
            level,
            target: None,
            require_header_signing: false,
        }
    }
}

/// Says nothing of the secret.
impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credentials")
            .field("mechanism", &self.initiator.auth_type())
            .field("level", &self.level)
            .field("target", &self.target)
            .finish_non_exhaustive()
    }
}

/// How a client's calls are proved and protected by `RPCSEC_GSS` (RFC 2203).
#[derive(Clone)]
pub struct Gss {
    /// The mechanism with its credentials, such as `farcall_security::Credentials`.
    pub initiator: Arc<dyn gss::Initiator>,
    /// How arguments and results are protected.
    pub service: gss::Service,
    /// The service principal, such as `nfs@files.example`. Default `host@` and the host's name.
    pub target: Option<String>,
}

/// Says nothing of credentials.
impl fmt::Debug for Gss {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Gss")
            .field("service", &self.service)
            .field("target", &self.target)
            .finish_non_exhaustive()
    }
}

impl Gss {
    /// Whether a context made for one serves the other.
    pub(crate) fn is(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.initiator, &other.initiator)
            && (self.service, &self.target) == (other.service, &other.target)
    }
}

impl Default for Options {
    fn default() -> Self {
        Self {
            timeout: Duration::from_secs(25),
            connect_timeout: Duration::from_secs(10),
            reconnect: Reconnect::OnCall,
            retry: Retry::Never,
            auth: AuthBlock::none(),
            gss: None,
            #[cfg(feature = "tls")]
            tls: None,
            short: false,
            in_flight: 4096,
            retransmit: farcall_onc::client::ClientConfig::default().retransmit,
            credentials: None,
            object: None,
            ndr64: false,
            big_endian: false,
            mapper: None,
            http: HttpOptions::default(),
            ping: None,
            limits: Limits::default(),
        }
    }
}

impl Options {
    /// In which byte order arguments are packed.
    pub(crate) fn order(&self) -> Order {
        match self.big_endian {
            true => Order::Big,
            false => Order::Little,
        }
    }

    /// The same options with the caller named by an `AUTH_SYS` credential.
    ///
    /// # Errors
    /// The machine name or the groups are over their bounds.
    pub fn auth_sys(mut self, credential: &AuthSys) -> Result<Self, Error> {
        self.auth = AuthBlock::sys(credential)?;
        Ok(self)
    }
}
