//! A server's mechanisms: what it can be asked for, and with which accounts and keys.
//!
//! One value serves DCE/RPC through the trait [`Acceptor`], and anything else through [`Mechanisms::begin`], which knows nothing of
//! PDUs. Level call is refused, as peers expect; which levels an interface admits is decided elsewhere.

use std::sync::Arc;

use farcall_dce::security::{Acceptor, AuthLevel, AuthType, Denied, Exchange};

use crate::context::Handshake;
use crate::dce::AtLevel;
#[cfg(feature = "kerberos")]
use crate::kerberos;
use crate::ntlm::{Server, ServerConfig};
use crate::spnego::{self, Mechanism, Offer};

/// What a server accepts. Empty by default: nobody can authenticate.
#[derive(Clone, Default)]
pub struct Mechanisms {
    ntlm: Option<Arc<ServerConfig>>,
    #[cfg(feature = "kerberos")]
    kerberos: Option<Arc<kerberos::Service>>,
    principal: Option<String>,
}

impl Mechanisms {
    /// None yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Accepts NTLM, bare and inside SPNEGO.
    #[must_use]
    pub fn with_ntlm(mut self, config: ServerConfig) -> Self {
        self.ntlm = Some(Arc::new(config));
        self
    }

    /// Accepts Kerberos, bare and inside SPNEGO.
    #[cfg(feature = "kerberos")]
    #[must_use]
    pub fn with_kerberos(mut self, service: kerberos::Service) -> Self {
        self.kerberos = Some(Arc::new(service));
        self
    }

    /// The service principal name that clients are told to ask for. Default: none.
    #[must_use]
    pub fn with_principal(mut self, name: &str) -> Self {
        self.principal = Some(name.to_owned());
        self
    }

    /// The mechanisms that are served, best first.
    #[must_use]
    pub fn served(&self) -> Vec<Mechanism> {
        let kerberos = self.has_kerberos().then_some(Mechanism::Kerberos);
        let ntlm = self.ntlm.as_ref().map(|_| Mechanism::Ntlm);
        kerberos.into_iter().chain(ntlm).collect()
    }

    #[cfg(feature = "kerberos")]
    const fn has_kerberos(&self) -> bool {
        self.kerberos.is_some()
    }

    #[cfg(not(feature = "kerberos"))]
    const fn has_kerberos(&self) -> bool {
        false
    }

    /// Begins an exchange of one mechanism, or of SPNEGO over all that are served if none is named.
    ///
    /// # Errors
    /// [`Denied`] if it is not served.
    pub fn begin(&self, mechanism: Option<Mechanism>) -> Result<Box<dyn Handshake>, Denied> {
        let served = self.served();
        match mechanism {
            Some(mechanism) => self.one(mechanism),
            None if served.is_empty() => Err(Denied::package("no mechanism is served")),
            None => {
                let offer = |mechanism| {
                    let all = self.clone();
                    let begin = Box::new(move || all.one(mechanism));
                    Offer { mechanism, begin }
                };
                let offers = served.into_iter().map(offer).collect();
                Ok(Box::new(spnego::Acceptor::new(offers)))
            }
        }
    }

    fn one(&self, mechanism: Mechanism) -> Result<Box<dyn Handshake>, Denied> {
        match (mechanism, &self.ntlm) {
            (Mechanism::Ntlm, Some(config)) => Ok(Box::new(Server::new(Arc::clone(config)))),
            (Mechanism::Kerberos, _) => self.kerberos(),
            (Mechanism::Ntlm, None) => Err(Denied::package("NTLM is not served")),
        }
    }

    #[cfg(feature = "kerberos")]
    fn kerberos(&self) -> Result<Box<dyn Handshake>, Denied> {
        let service = self.kerberos.as_ref();
        let service = service.ok_or_else(|| Denied::package("Kerberos is not served"))?;
        Ok(Box::new(kerberos::Acceptor::new(Arc::clone(service))))
    }

    #[cfg(not(feature = "kerberos"))]
    fn kerberos(&self) -> Result<Box<dyn Handshake>, Denied> {
        Err(Denied::package("Kerberos is not built in"))
    }
}

impl Acceptor for Mechanisms {
    fn accept(&self, auth_type: AuthType, level: AuthLevel) -> Option<Box<dyn Exchange>> {
        let mechanism = match auth_type {
            AuthType::NTLM => Some(Mechanism::Ntlm),
            AuthType::KERBEROS => Some(Mechanism::Kerberos),
            AuthType::SPNEGO => None,
            _ => return None,
        };
        let offered = matches!(
            level,
            AuthLevel::CONNECT | AuthLevel::PKT | AuthLevel::INTEGRITY | AuthLevel::PRIVACY
        );
        let handshake = self.begin(mechanism).ok().filter(|_| offered)?;
        Some(Box::new(AtLevel::accepting(handshake, level)))
    }

    fn principal_name(&self, auth_type: AuthType) -> Option<String> {
        let serves = match auth_type {
            AuthType::NTLM => self.ntlm.is_some(),
            AuthType::KERBEROS => self.has_kerberos(),
            AuthType::SPNEGO => !self.served().is_empty(),
            _ => false,
        };
        self.principal.clone().filter(|_| serves)
    }
}
