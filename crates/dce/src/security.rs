//! What authentication asks of a mechanism: the traits that this core defines and `farcall-security` implements.
//!
//! Read first: MS-RPCE sections 2.2.1.1.7 and 2.2.1.1.8 (authentication types and levels), 2.2.2.11 (the
//! security trailer) and 3.3.1.5.2 (building and using a security context). A mechanism is a row of steps, each
//! a token from the peer and a token for it; what a step needs from outside (a user store, a library that
//! blocks) it asks as a [`Query`], which the driver runs and answers. Once it is done there is a [`Protection`],
//! which works on PDUs in place and does not wait. Nothing here knows a PDU's layout; no mechanism lives here.

use std::any::Any;
use std::fmt;
use std::ops::Range;

/// Which security provider a trailer belongs to (`auth_type`). Open: an unknown value prints as a number.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct AuthType(pub u8);

impl AuthType {
    /// No security provider.
    pub const NONE: Self = Self(0);
    /// Kerberos as OSF's DCE used it.
    pub const KRB5_DCE: Self = Self(1);
    /// SPNEGO, which agrees on Kerberos or NTLM.
    pub const SPNEGO: Self = Self(9);
    /// NTLM.
    pub const NTLM: Self = Self(10);
    /// TLS as a security provider.
    pub const SCHANNEL: Self = Self(14);
    /// Kerberos.
    pub const KERBEROS: Self = Self(16);
    /// The netlogon secure channel.
    pub const NETLOGON: Self = Self(68);
    /// The local system over `ncalrpc`, as Samba uses it.
    pub const NCALRPC_AS_SYSTEM: Self = Self(200);

    fn name(self) -> Option<&'static str> {
        Some(match self {
            Self::NONE => "none",
            Self::KRB5_DCE => "krb5-dce",
            Self::SPNEGO => "spnego",
            Self::NTLM => "ntlm",
            Self::SCHANNEL => "schannel",
            Self::KERBEROS => "kerberos",
            Self::NETLOGON => "netlogon",
            Self::NCALRPC_AS_SYSTEM => "ncalrpc-as-system",
            _ => return None,
        })
    }
}

/// How much a security context protects (`auth_level`). Ordered: a higher level protects more.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct AuthLevel(pub u8);

impl AuthLevel {
    /// No authentication.
    pub const NONE: Self = Self(1);
    /// The peer is known when the association is made; nothing after that is protected.
    pub const CONNECT: Self = Self(2);
    /// The first fragment of each call. MS-RPCE has it raised to [`PKT`](Self::PKT); no peer offers it.
    pub const CALL: Self = Self(3);
    /// Where each fragment comes from.
    pub const PKT: Self = Self(4);
    /// That no fragment was changed.
    pub const INTEGRITY: Self = Self(5);
    /// That nobody read the stub either.
    pub const PRIVACY: Self = Self(6);

    fn name(self) -> Option<&'static str> {
        Some(match self {
            Self::NONE => "none",
            Self::CONNECT => "connect",
            Self::CALL => "call",
            Self::PKT => "packet",
            Self::INTEGRITY => "integrity",
            Self::PRIVACY => "privacy",
            _ => return None,
        })
    }

    /// Whether each fragment carries a token of its own.
    #[must_use]
    pub fn is_per_packet(self) -> bool {
        self >= Self::PKT
    }
}

macro_rules! shown {
    ($($name:ident),*) => {$(
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                match self.name() {
                    Some(name) => f.write_str(name),
                    None => write!(f, "{}", self.0),
                }
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}({self})", stringify!($name))
            }
        }
    )*};
}

shown!(AuthType, AuthLevel);

/// Who was proved to be at the other end.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Principal {
    /// The account, without the domain.
    pub name: String,
    /// The domain or realm; empty where the mechanism knows none.
    pub domain: String,
    /// What proved it: `"ntlm"`, `"kerberos"`, ….
    pub mechanism: &'static str,
    /// Proved to be nobody in particular: the mechanism ran, and the peer has no account.
    pub anonymous: bool,
    /// The groups that the account is in, as where accounts are kept has them; empty where the mechanism knows none. Policies
    /// name them.
    pub groups: Vec<String>,
}

/// `DOMAIN\name`, or the name alone.
impl fmt::Display for Principal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.anonymous, self.domain.as_str()) {
            (true, _) => f.write_str("anonymous"),
            (false, "") => f.write_str(&self.name),
            (false, domain) => write!(f, "{domain}\\{}", self.name),
        }
    }
}

/// Why an exchange failed. The peer is told only that it did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Denied {
    /// The status for a fault or a log; access denied (5) unless the mechanism knows better.
    pub status: u32,
    /// For our own log: lower case, no full stop, no secret.
    pub reason: String,
}

impl Denied {
    /// Access denied, for `reason`.
    #[must_use]
    pub fn new(reason: impl Into<String>) -> Self {
        Self {
            status: 5,
            reason: reason.into(),
        }
    }

    /// The security package failed (1825), for `reason`: a token that is none, not a wrong password.
    #[must_use]
    pub fn package(reason: impl Into<String>) -> Self {
        Self {
            status: 1825,
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

/// A PDU could not be protected, or is not what the peer protected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ProtectError {
    /// The token does not verify.
    BadToken,
    /// The mechanism cannot do this level.
    Level(AuthLevel),
    /// The mechanism failed for a reason of its own, named for the log.
    Mechanism(&'static str),
}

impl fmt::Display for ProtectError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::BadToken => f.write_str("the security token does not verify"),
            Self::Level(level) => write!(f, "the mechanism cannot protect at level {level}"),
            Self::Mechanism(why) => f.write_str(why),
        }
    }
}

impl std::error::Error for ProtectError {}

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
pub enum Step {
    /// This token goes to the peer, and its answer to the next step.
    Continue(Vec<u8>),
    /// The security context stands; a last token may still have to go to the peer.
    Done {
        /// What the peer must get, if anything.
        token: Option<Vec<u8>>,
        /// What the context does to PDUs.
        protection: Box<dyn Protection>,
    },
    /// Run this and give its output to [`Exchange::answer`].
    Need(Query),
}

impl fmt::Debug for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Continue(token) => write!(f, "Continue({} bytes)", token.len()),
            Self::Done { token, .. } => {
                let len = token.as_ref().map(Vec::len);
                write!(f, "Done({len:?} bytes)")
            }
            Self::Need(_) => f.write_str("Need(..)"),
        }
    }
}

/// One side of one mechanism's exchange, for one security context.
pub trait Exchange: Send {
    /// Takes the peer's token; an initiator's first step has an empty one.
    ///
    /// # Errors
    /// [`Denied`]; the exchange is over then.
    fn step(&mut self, token: &[u8]) -> Result<Step, Denied>;

    /// Takes the output of the [`Query`] that the last step asked for.
    ///
    /// # Errors
    /// [`Denied`]; the exchange is over then.
    fn answer(&mut self, answer: Answer) -> Result<Step, Denied>;
}

/// What an established context does to PDUs. Sequence numbers are inside, one per direction.
pub trait Protection: Send {
    /// Who is at the other end.
    fn principal(&self) -> &Principal;

    /// Bytes of the token at this level over `protected` bytes of stub and padding: known before the work is
    /// done, since it stands in the header.
    fn token_len(&self, level: AuthLevel, protected: usize) -> usize;

    /// Protects a PDU that is to be sent, in place.
    ///
    /// `pdu` is everything from the header to the security trailer inclusive; `stub` is where in it the stub and
    /// its padding lie; only they are encrypted. `token` has exactly [`token_len`](Self::token_len) bytes. With
    /// `sign_header` the signature covers all of `pdu`, otherwise `stub` alone.
    ///
    /// # Errors
    /// [`ProtectError`]; the PDU must not be sent then.
    fn protect(
        &mut self,
        level: AuthLevel,
        pdu: &mut [u8],
        stub: Range<usize>,
        sign_header: bool,
        token: &mut [u8],
    ) -> Result<(), ProtectError>;

    /// Checks a PDU that was received and decrypts its stub in place; arguments as for
    /// [`protect`](Self::protect).
    ///
    /// # Errors
    /// [`ProtectError`]; nothing of the PDU may be used then.
    fn verify(
        &mut self,
        level: AuthLevel,
        pdu: &mut [u8],
        stub: Range<usize>,
        sign_header: bool,
        token: &[u8],
    ) -> Result<(), ProtectError>;

    /// The key both ends share, for interfaces that use it themselves.
    fn session_key(&self) -> Option<&[u8]>;
}

/// A server's mechanisms.
pub trait Acceptor: Send + Sync {
    /// Begins an exchange; `None` if this type is not served, or not at this level.
    fn accept(&self, auth_type: AuthType, level: AuthLevel) -> Option<Box<dyn Exchange>>;

    /// The name a client must ask its mechanism for, as the management interface tells it.
    fn principal_name(&self, auth_type: AuthType) -> Option<String>;
}

/// A client's credentials.
pub trait Initiator: Send + Sync {
    /// The type to announce.
    fn auth_type(&self) -> AuthType;

    /// Begins an exchange with the principal `target`.
    ///
    /// # Errors
    /// [`Denied`] if the credentials cannot do that level or have no way to that target.
    fn initiate(&self, target: &str, level: AuthLevel) -> Result<Box<dyn Exchange>, Denied>;

    /// Begins an exchange with the principal `target` whose tokens another protocol carries, HTTP for one: without the legs
    /// that DCE/RPC adds to a mechanism, and for no protection of messages. `channel` names the channel that it runs
    /// inside, as channel bindings do: application data such as `tls-server-end-point:` and a hash (RFC 5929).
    ///
    /// By default there is no such exchange.
    ///
    /// # Errors
    /// [`Denied`] if the credentials cannot do that or have no way to that target.
    fn initiate_elsewhere(
        &self,
        target: &str,
        channel: Option<&[u8]>,
    ) -> Result<Box<dyn Exchange>, Denied> {
        let _ = (target, channel);
        Err(Denied::package("these credentials are for DCE/RPC alone"))
    }
}
