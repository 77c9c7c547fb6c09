//! What a server's associations share: the interfaces, their callers, the limits.

use crate::co::group::Groups;
use crate::security::{Acceptor, AuthLevel};
use crate::syntax::SyntaxId;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// Which callers an interface takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Floor {
    /// Whether callers pass who did not prove who they are.
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
    /// What the server knows it by; comes back in [`Call::service`](super::Call::service).
    pub service: usize,
    /// Who may call it.
    pub floor: Floor,
    /// The operations whose arguments have pipes in them: their calls begin with the first fragment, and
    /// [`ServerConfig::request`] does not bound them. Whoever takes the pieces bounds them by not reading on.
    pub pipes: &'static [u16],
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
    /// Whether header signing is agreed on where a client offers it. Default true.
    pub sign_header: bool,
    /// Whether a client that does not offer header signing is refused when it begins a security context that protects each
    /// packet; header signing is agreed on then in any case. Default false: older clients do not know it.
    pub require_sign_header: bool,
    /// Whether a verifier of a `bind` or `alter_context` must claim no padding. Default false: peers claim some.
    pub strict_padding: bool,
    /// Largest stub of a request over all fragments, in bytes. Default 4 MiB.
    pub request: usize,
    /// Most presentation contexts of one connection. Default 1024.
    pub contexts: usize,
    /// Most security contexts of one connection. Default 2049, as Windows has it.
    pub auth_contexts: usize,
    /// Most of those whose exchange has not ended. Default 16.
    pub unfinished: usize,
    /// Most calls of one connection in flight. Default 1024.
    pub in_flight: usize,
    /// How long a half received PDU, the next fragment of a request or the next leg of an authentication may take.
    /// Default 30 s.
    pub partial: Duration,
    /// How long the next fragment of an [open](super::Call::open) call may take. Default 5 min.
    pub pipe: Duration,
}

impl Default for ServerConfig {
    fn default() -> Self {
        Self {
            fragment: 5840,
            secondary_address: Vec::new(),
            ndr64: true,
            multiplexing: true,
            sign_header: true,
            require_sign_header: false,
            strict_padding: false,
            request: 4 << 20,
            contexts: 1024,
            auth_contexts: 2049,
            unfinished: 16,
            in_flight: 1024,
            partial: Duration::from_secs(30),
            pipe: Duration::from_secs(300),
        }
    }
}

impl ServerConfig {
    /// Whether header signing is agreed on with a client that offers it.
    pub(super) const fn agrees_on_sign_header(&self) -> bool {
        self.sign_header || self.require_sign_header
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

impl Endpoint {
    /// The interface that a client's `id` means.
    // req: dce-rpce-interface-version
    #[must_use]
    pub fn interface(&self, id: &SyntaxId) -> Option<&Interface> {
        self.interfaces.iter().find(|served| {
            served.id.uuid == id.uuid && served.id.major == id.major && served.id.minor >= id.minor
        })
    }
}

impl fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Endpoint")
            .field("config", &self.config)
            .field("interfaces", &self.interfaces)
            .field("groups", &self.groups)
            .finish_non_exhaustive()
    }
}
