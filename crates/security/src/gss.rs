//! Mechanisms behind the traits of the ONC core: an exchange, and codes and wrapped messages of a context.
//!
//! Read first: RFC 2203 section 5.2, RFC 4121 (Kerberos' tokens). The context must be able to encrypt: which service
//! its calls use is not known when it is made. NTLM can stand here too, but no peer of RPCSEC_GSS speaks it, and its
//! messages must arrive in order: it is for tests.

use std::sync::Arc;
use std::time::Duration;

use farcall_dce::security::{Denied as Refused, ProtectError};
use farcall_onc::gss::{
    self, Acceptor, Answer, Broken, Denied, Handshake, Initiator, Principal, Progress, Query,
};

use crate::context;
use crate::credentials::{Auth, Credentials};
use crate::mechanisms::Mechanisms;
use crate::spnego::Mechanism;

/// An exchange of any mechanism.
struct Exchange(Box<dyn context::Handshake>);

impl Handshake for Exchange {
    fn step(&mut self, token: &[u8]) -> Result<Progress, Denied> {
        self.0.step(token).map_err(denied).and_then(progress)
    }

    fn answer(&mut self, answer: Answer) -> Result<Progress, Denied> {
        self.0.answer(answer).map_err(denied).and_then(progress)
    }
}

/// The peer is told what concerns it, such as its clock, by the number that libraries of Kerberos have for it.
fn denied(refused: Refused) -> Denied {
    Denied {
        minor: gss::minor::of(&refused.reason),
        ..Denied::new(refused.reason)
    }
}

fn progress(progress: context::Progress) -> Result<Progress, Denied> {
    Ok(match progress {
        context::Progress::Continue(token) => Progress::Continue(token),
        context::Progress::Need(query) => Progress::Need(Query(query.0)),
        context::Progress::Done { token, context } => Progress::Done {
            token,
            context: Box::new(Protected::new(context)?),
        },
    })
}

/// A context that protects whole messages.
struct Protected {
    context: Box<dyn context::Context>,
    peer: Principal,
}

impl Protected {
    fn new(context: Box<dyn context::Context>) -> Result<Self, Denied> {
        let peer = context.peer();
        if peer.anonymous {
            return Err(Denied::new("nobody in particular was proved"));
        }
        if !context.integrity() {
            return Err(Denied::new("the context proves no messages"));
        }
        let name = match peer.domain.as_str() {
            "" => peer.name.clone(),
            realm => format!("{}@{realm}", peer.name),
        };
        let peer = Principal {
            name: Arc::from(name),
            mechanism: peer.mechanism,
        };
        Ok(Self { context, peer })
    }
}

fn broken(error: ProtectError) -> Broken {
    match error {
        ProtectError::Mechanism(why) => Broken(why),
        _ => Broken("the message is not what its context protects"),
    }
}

impl gss::Context for Protected {
    fn peer(&self) -> &Principal {
        &self.peer
    }

    fn lifetime(&self) -> Option<Duration> {
        self.context.lifetime()
    }

    fn mic(&mut self, message: &[u8]) -> Result<Vec<u8>, Broken> {
        self.context.mic(message).map_err(broken)
    }

    fn verify_mic(&mut self, message: &[u8], mic: &[u8]) -> Result<(), Broken> {
        self.context.verify_mic(message, mic).map_err(broken)
    }

    fn wrap(&mut self, message: &[u8]) -> Result<Vec<u8>, Broken> {
        self.context.wrap(message, true).map_err(broken)
    }

    fn unwrap(&mut self, wrapped: &[u8]) -> Result<Vec<u8>, Broken> {
        let (message, encrypted) = self.context.unwrap(wrapped).map_err(broken)?;
        match encrypted {
            true => Ok(message),
            false => Err(Broken("a message that should be encrypted is not")),
        }
    }
}

/// An exchange that cannot begin.
struct Nothing(Refused);

impl Handshake for Nothing {
    fn step(&mut self, _: &[u8]) -> Result<Progress, Denied> {
        Err(denied(self.0.clone()))
    }

    fn answer(&mut self, _: Answer) -> Result<Progress, Denied> {
        Err(denied(self.0.clone()))
    }
}

/// Kerberos where it is served, as RPCSEC_GSS has it.
impl Acceptor for Mechanisms {
    fn accept(&self) -> Box<dyn Handshake> {
        let served = self.served();
        let mechanism = served.first().copied().unwrap_or(Mechanism::Kerberos);
        match self.begin(Some(mechanism)) {
            Ok(handshake) => Box::new(Exchange(handshake)),
            Err(refused) => Box::new(Nothing(refused)),
        }
    }
}

impl Initiator for Credentials {
    fn initiate(&self, target: &str) -> Result<Box<dyn Handshake>, Denied> {
        if self.auth() == Auth::Spnego {
            return Err(Denied::new("RPCSEC_GSS takes one mechanism, and no SPNEGO"));
        }
        let handshake = self.begin(target, true, false).map_err(denied)?;
        Ok(Box::new(Exchange(handshake)))
    }
}
