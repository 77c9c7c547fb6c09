//! The server's side: a keytab's keys, and any client with a ticket for one of them.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use farcall_dce::security::{Answer, Denied};
use libgssapi::context::ServerCtx;
use libgssapi::credential::{Cred, CredUsage};
use libgssapi::error::Error;
use libgssapi::name::Name;
use libgssapi::oid::{GSS_MECH_KRB5, GSS_NT_KRB5_PRINCIPAL, OidSet};

use super::keytab;
use super::session::Session;
use super::turn::{self, Known, Look};
use crate::context::{Handshake, Progress};
use crate::environment::ChannelBindings;
use zeroize::Zeroizing;

/// A service that clients have tickets for.
#[derive(Clone)]
pub struct Service {
    credential: Cred,
    bindings: Option<ChannelBindings>,
    required: bool,
}

/// A service cannot be offered.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ServiceError {
    /// The process does not use that keytab; see [`keytab::restart_with`].
    #[error("this process does not use the keytab {0}")]
    OtherKeytab(PathBuf),
    /// There is no key to be used.
    #[error("no key: {0}")]
    NoKey(String),
}

impl Service {
    /// The service of a keytab, or of the system's if none is named; of all its principals, or of one.
    ///
    /// # Errors
    /// [`ServiceError::OtherKeytab`] if the process was not started with it, [`ServiceError::NoKey`] if it cannot be used.
    pub fn open(keytab: Option<&Path>, principal: Option<&str>) -> Result<Self, ServiceError> {
        if let Some(path) = keytab.filter(|path| !keytab::is_in_use(path)) {
            return Err(ServiceError::OtherKeytab(path.to_owned()));
        }
        let credential = acquire(principal);
        let credential = credential.map_err(|fault| ServiceError::NoKey(fault.to_string()))?;
        Ok(Self {
            credential,
            bindings: None,
            required: false,
        })
    }

    /// Clients that name a channel must name this one.
    #[must_use]
    pub fn with_bindings(mut self, bindings: ChannelBindings) -> Self {
        self.bindings = Some(bindings);
        self
    }

    /// Clients must name a channel. Needs a library that says whether they did: MIT's from 1.19.
    #[must_use]
    pub const fn requiring_bindings(mut self) -> Self {
        self.required = true;
        self
    }
}

fn acquire(principal: Option<&str>) -> Result<Cred, Error> {
    let mechanisms = OidSet::singleton(GSS_MECH_KRB5)?;
    let kind = Some(GSS_NT_KRB5_PRINCIPAL);
    let name = principal
        .map(|name| Name::new(name.as_bytes(), kind))
        .transpose()?;
    Cred::acquire(name.as_ref(), None, CredUsage::Accept, Some(&mechanisms))
}

/// Finds the key that both ends share: of the exchange that the library has believed.
fn look(ap_req: Vec<u8>) -> Look {
    Box::new(move |token| {
        let keys = std::fs::read(keytab::in_use()).map(Zeroizing::new);
        let session = keys.ok();
        let session = session.and_then(|keys| Session::of_acceptor(&keys, &ap_req));
        let ap_rep = token.as_deref();
        let key = session.and_then(|session| session.key(ap_rep?));
        let known = Known {
            key,
            ..Known::default()
        };
        (token, known)
    })
}

/// A server in the middle of an exchange.
pub struct Acceptor {
    service: Arc<Service>,
    known: Known,
    state: State,
}

enum State {
    Start,
    Asked,
    Running(Option<ServerCtx>),
    Over,
}

impl Acceptor {
    /// A server that has not heard anything yet.
    #[must_use]
    pub fn new(service: Arc<Service>) -> Self {
        let (known, state) = (Known::default(), State::Start);
        Self {
            service,
            known,
            state,
        }
    }

    fn ask(&mut self, context: ServerCtx, token: &[u8], look: Look) -> Progress {
        self.state = State::Asked;
        let bindings = self.service.bindings.as_ref();
        let bindings = bindings.map(|bindings| bindings.application_data().to_vec());
        Progress::Need(turn::ask(
            move || Ok((context, look)),
            token.to_vec(),
            bindings,
        ))
    }
}

impl Handshake for Acceptor {
    fn step(&mut self, token: &[u8]) -> Result<Progress, Denied> {
        match std::mem::replace(&mut self.state, State::Over) {
            State::Start => {
                let credential = self.service.credential.clone();
                let look = look(token.to_vec());
                Ok(self.ask(ServerCtx::new(Some(credential)), token, look))
            }
            State::Running(Some(context)) => Ok(self.ask(context, token, turn::unseen())),
            _ => Err(Denied::package("no token is expected now")),
        }
    }

    fn answer(&mut self, answer: Answer) -> Result<Progress, Denied> {
        let State::Asked = std::mem::replace(&mut self.state, State::Over) else {
            return Err(Denied::package("nothing was asked"));
        };
        let mut context = None;
        // Whether the context is in the DCE style is the client's choice; asking for the other kind fails at the first message.
        let (known, bound) = (&mut self.known, self.service.required);
        let progress = turn::take::<ServerCtx>(answer, &mut context, known, true, bound)?;
        self.state = State::Running(context);
        Ok(progress)
    }
}
