//! The client's side: a ticket for the service, from a password or from the tickets that are there.

use farcall_dce::security::{Answer, AuthLevel, Denied};
use libgssapi::context::{ClientCtx, CtxFlags};
use libgssapi::credential::{Cred, CredUsage};
use libgssapi::error::Error;
use libgssapi::name::Name;
use libgssapi::oid::{GSS_MECH_KRB5, GSS_NT_HOSTBASED_SERVICE, GSS_NT_KRB5_PRINCIPAL, OidSet};

use super::fault::{self, By};
use super::session::{CONFIDENTIALITY, INTEGRITY, Session};
use super::tickets;
use super::turn::{self, Known, Look};
use crate::context::{Handshake, Progress};
use crate::environment::ChannelBindings;
use crate::secret::Password;

/// `GSS_C_DCE_STYLE`: three legs, and wrap tokens beside their message (RFC 4757 section 7.1).
const DCE_STYLE: u32 = 0x1000;

/// Who a client is.
#[derive(Clone, Debug, Default)]
pub struct Identity {
    /// The principal, `name@REALM`; `None` for that of the user's tickets.
    pub principal: Option<String>,
    /// Its password; `None` to use the user's tickets.
    pub password: Option<Password>,
}

/// A client in the middle of its exchange.
pub struct Initiator {
    identity: Identity,
    target: String,
    dce: bool,
    bindings: Option<Vec<u8>>,
    /// Flags that the library asks for and that are taken back.
    unwanted: u32,
    known: Known,
    state: State,
}

enum State {
    Start,
    Asked,
    Running(Option<ClientCtx>),
    Over,
}

impl Initiator {
    /// A client of `target`: a principal (`host/server@REALM`), a service at a host (`host@server`), or a host.
    #[must_use]
    pub fn new(
        identity: Identity,
        target: &str,
        dce: bool,
        bindings: Option<ChannelBindings>,
    ) -> Self {
        Self {
            identity,
            target: target.to_owned(),
            dce,
            bindings: bindings.map(|bindings| bindings.application_data().to_vec()),
            unwanted: 0,
            known: Known::default(),
            state: State::Start,
        }
    }

    /// Asks for no more than this level of DCE/RPC needs. Without it, for integrity and confidentiality.
    #[must_use]
    pub fn for_level(mut self, level: AuthLevel) -> Self {
        self.unwanted = match level {
            AuthLevel::PRIVACY => 0,
            AuthLevel::PKT | AuthLevel::INTEGRITY => CONFIDENTIALITY,
            _ => CONFIDENTIALITY | INTEGRITY,
        };
        self
    }

    fn start(&mut self) -> Progress {
        let (identity, target, dce) = (self.identity.clone(), self.target.clone(), self.dce);
        let unwanted = self.unwanted;
        let make = move || {
            let made = context(&identity, &target, dce);
            let (context, credential) = made.map_err(|error| fault::told(&error, By::Initiator))?;
            let look = match dce {
                true => look(credential, unwanted),
                false => turn::unseen(),
            };
            Ok((context, look))
        };
        self.state = State::Asked;
        Progress::Need(turn::ask(make, Vec::new(), self.bindings.clone()))
    }
}

/// Finds the keys of the exchange, and takes back what is not wanted.
fn look(credential: Cred, unwanted: u32) -> Look {
    Box::new(move |token| {
        let mut known = Known::default();
        let (Some(ap_req), Some(cache)) = (&token, tickets::of(&credential)) else {
            return (token, known);
        };
        known.session = Session::of_initiator(&cache, ap_req);
        let changed = known.session.as_ref().filter(|_| unwanted != 0);
        match changed.and_then(|session| session.without(unwanted, ap_req)) {
            Some(changed) => {
                known.taken_back = unwanted;
                (Some(changed), known)
            }
            None => (token, known),
        }
    })
}

fn context(identity: &Identity, target: &str, dce: bool) -> Result<(ClientCtx, Cred), Error> {
    let mechanisms = OidSet::singleton(GSS_MECH_KRB5)?;
    let kind = Some(GSS_NT_KRB5_PRINCIPAL);
    let name = identity.principal.as_deref();
    let name = name
        .map(|name| Name::new(name.as_bytes(), kind))
        .transpose()?;
    let (name, usage) = (name.as_ref(), CredUsage::Initiate);
    let credential = match &identity.password {
        Some(password) => {
            Cred::acquire_with_password(name, password.expose(), None, usage, Some(&mechanisms))?
        }
        None => Cred::acquire(name, None, usage, Some(&mechanisms))?,
    };
    let mut flags =
        CtxFlags::GSS_C_MUTUAL_FLAG | CtxFlags::GSS_C_INTEG_FLAG | CtxFlags::GSS_C_CONF_FLAG;
    if dce {
        // Elsewhere messages may come in any order, and who carries them notices repetitions (RFC 2203 section 5.2.2).
        flags |= CtxFlags::GSS_C_REPLAY_FLAG | CtxFlags::GSS_C_SEQUENCE_FLAG;
    }
    let style = CtxFlags::from_bits_retain(if dce { DCE_STYLE } else { 0 });
    let target = service(target)?;
    let mechanism = Some(GSS_MECH_KRB5);
    let context = ClientCtx::new(Some(credential.clone()), target, flags | style, mechanism);
    Ok((context, credential))
}

fn service(target: &str) -> Result<Name, Error> {
    if target.contains('/') {
        return Name::new(target.as_bytes(), Some(GSS_NT_KRB5_PRINCIPAL));
    }
    let full = match target.contains('@') {
        true => target.to_owned(),
        false => format!("host@{target}"),
    };
    Name::new(full.as_bytes(), Some(GSS_NT_HOSTBASED_SERVICE))
}

impl Handshake for Initiator {
    fn step(&mut self, token: &[u8]) -> Result<Progress, Denied> {
        match std::mem::replace(&mut self.state, State::Over) {
            State::Start => Ok(self.start()),
            State::Running(Some(context)) if !token.is_empty() => {
                self.state = State::Asked;
                let session = self.known.session.as_ref();
                self.known.key = session.and_then(|session| session.key(token));
                let (token, bindings) = (token.to_vec(), self.bindings.clone());
                Ok(Progress::Need(turn::ask(
                    move || Ok((context, turn::unseen())),
                    token,
                    bindings,
                )))
            }
            _ => Err(Denied::package("no token is expected now")),
        }
    }

    fn answer(&mut self, answer: Answer) -> Result<Progress, Denied> {
        let State::Asked = std::mem::replace(&mut self.state, State::Over) else {
            return Err(Denied::package("nothing was asked"));
        };
        let mut context = None;
        let known = &mut self.known;
        let progress = turn::take::<ClientCtx>(answer, &mut context, known, self.dce, false)?;
        self.state = State::Running(context);
        Ok(progress)
    }
}
