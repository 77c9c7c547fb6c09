//! Whether connections of ONC RPC are protected, and who is believed to be at their other end (RFC 9289 sections 4 to 6).

use std::fmt;
use std::sync::Arc;

use super::certificate::Certificate;
use super::fault::TlsError;
use super::{ClientTls, ServerTls};
use crate::error::TlsFault;

/// Whether connections are protected by TLS. The last two fail rather than speak in clear.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Policy {
    /// They are not.
    #[default]
    Off,
    /// They are where the other side can do it. Whoever sits in between can see to it that it cannot.
    Opportunistic,
    /// They must be, and the server must prove who it is.
    Require,
    /// They must be, and both sides must prove who they are.
    RequireMutual,
}

/// TLS of a client of ONC RPC: [`Options::tls`](crate::Options::tls).
#[derive(Clone, Debug)]
pub struct Tls {
    /// Whether connections over TCP are protected. It also keeps calls from going over UDP in clear if they must be; Unix
    /// sockets stay on this machine, and it does not concern them.
    pub policy: Policy,
    /// What is shown and believed.
    pub with: ClientTls,
}

impl Tls {
    /// TLS where the server can do it.
    pub fn opportunistic(with: ClientTls) -> Self {
        let policy = Policy::Opportunistic;
        Self { policy, with }
    }

    /// TLS with a server that proves who it is, or nothing.
    pub fn require(with: ClientTls) -> Self {
        let policy = Policy::Require;
        Self { policy, with }
    }

    /// TLS with a server that proves who it is and wants to know who we are, or nothing.
    pub fn require_mutual(with: ClientTls) -> Self {
        let policy = Policy::RequireMutual;
        Self { policy, with }
    }
}

/// Who is at the other end of a connection, by its certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Certified {
    /// Its name here: what [`Builder::tls_principal`](crate::server::Builder::tls_principal) makes of the certificate.
    pub principal: String,
    /// The certificate itself.
    pub certificate: Certificate,
}

/// Makes a name of a certificate.
pub(crate) type Naming = Arc<dyn Fn(&Certificate) -> Option<String> + Send + Sync>;

/// TLS of a server of ONC RPC.
#[derive(Clone)]
pub(crate) struct Secure {
    pub(crate) policy: Policy,
    pub(crate) with: ServerTls,
    pub(crate) naming: Option<Naming>,
}

impl Secure {
    /// Who showed this certificate.
    ///
    /// # Errors
    /// It names nobody.
    pub(crate) fn certify(&self, certificate: &Certificate) -> Result<Certified, TlsError> {
        let principal = match &self.naming {
            Some(naming) => naming(certificate),
            // A certificate whose subject is empty names somebody elsewhere, and only the program knows where.
            None => Some(certificate.subject.clone()).filter(|subject| !subject.is_empty()),
        };
        let principal = principal.ok_or_else(|| {
            let text = format!("the certificate of {certificate} names nobody who is known here");
            TlsError::new(TlsFault::Refused, text)
        })?;
        Ok(Certified {
            principal,
            certificate: certificate.clone(),
        })
    }
}

impl fmt::Debug for Secure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Secure")
            .field("policy", &self.policy)
            .field("with", &self.with)
            .finish_non_exhaustive()
    }
}
