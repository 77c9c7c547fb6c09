//! The security contexts of a connection, at the server: exchanges, who a request is from, and replies' protection.
//!
//! Read first: MS-RPCE sections 3.3.1.5.2 (security contexts), 2.2.2.11 and 3.3.3.5. A connection may have several
//! contexts, each under a number of the client's. A request without a verifier is from nobody, unless the client has
//! a context at level connect and has never named one in a request. This file does not look at stubs.

use crate::co::fragment::Guard;
use crate::co::server::config::Endpoint;
use crate::co::server::event::{Caller, Verified};
use crate::co::server::table::{Leg, LegRule, Stage, leg_rule};
use crate::pdu::auth::{Trailer, Verifier};
use crate::pdu::bind::NakReason;
use crate::security::{Answer, AuthLevel, AuthType, Denied, Exchange, ProtectError, Query, Step};
use crate::status;
use std::sync::Arc;

/// A security context.
struct Context {
    id: u32,
    auth_type: AuthType,
    level: AuthLevel,
    standing: Standing,
}

enum Standing {
    Exchanging(Box<dyn Exchange>),
    Established(Guard, Arc<Caller>),
    /// Its requests are answered with this fault.
    Poisoned(u32),
}

/// The security contexts of one connection.
#[derive(Default)]
pub(super) struct Security {
    contexts: Vec<Context>,
    unfinished: usize,
    /// The client can sign headers, as it said itself.
    pub(super) client_signs: bool,
    /// Headers are signed.
    sign_header: bool,
    /// The context of requests without a verifier.
    default: Option<usize>,
    /// A request has named a context at level connect: there is no default any more.
    explicit: bool,
}

/// A token is refused: how a bind is answered, and how an alter_context or auth3.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Refusal {
    pub(super) nak: NakReason,
    pub(super) status: u32,
}

impl Refusal {
    const DENIED: Self = Self {
        nak: NakReason::NOT_SPECIFIED,
        status: status::ACCESS_DENIED,
    };
    const PROTO_ERROR: Self = Self {
        nak: NakReason::NOT_SPECIFIED,
        status: status::PROTO_ERROR,
    };
    const UNKNOWN_TYPE: Self = Self {
        nak: NakReason::AUTHENTICATION_TYPE_NOT_RECOGNIZED,
        status: status::SEC_PKG_ERROR,
    };
    const CALL_LEVEL: Self = Self {
        nak: NakReason::INVALID_CHECKSUM,
        status: status::SEC_PKG_ERROR,
    };
}

/// What a step of an exchange came to.
pub(super) enum Outcome {
    /// This token goes to the client, which is to send another.
    More(Vec<u8>),
    /// The context stands; this token, maybe empty, goes to the client.
    Done(Vec<u8>, Arc<Caller>),
    /// Something must be asked.
    Ask(Query),
    /// The exchange failed, and the context is poisoned.
    Denied(Denied),
}

/// A request is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unproved {
    /// Its context's exchange goes on.
    Unfinished,
    /// With this fault.
    Fault(u32),
    /// It is not protected as it should be.
    Protect(ProtectError),
}

/// Who a request is from, and that this was checked.
#[derive(Clone, Debug)]
pub(super) struct Proved {
    pub(super) verified: Verified,
    pub(super) caller: Option<Arc<Caller>>,
    /// The place of the context that protects each fragment of the call, and of the reply.
    pub(super) guard: Option<u16>,
}

impl Security {
    /// Says what the flags of a bind or alter_context ask for.
    // req: dce-rpce-header-sign
    pub(super) fn offer_header_signing(&mut self, served: bool) {
        self.client_signs = true;
        self.sign_header = served;
        for context in &mut self.contexts {
            if let Standing::Established(guard, _) = &mut context.standing {
                guard.sign_header = served;
            }
        }
    }

    /// Whether an exchange goes on.
    pub(super) fn is_unfinished(&self) -> bool {
        self.unfinished > 0
    }

    fn place(&self, id: u32) -> Option<usize> {
        self.contexts.iter().position(|context| context.id == id)
    }

    fn stage(&self, id: u32) -> (Stage, Option<usize>) {
        let Some(place) = self.place(id) else {
            return (Stage::Unknown, None);
        };
        let stage = match self.contexts.get(place).map(|context| &context.standing) {
            Some(Standing::Exchanging(_)) => Stage::Exchanging,
            Some(Standing::Established(..)) => Stage::Established,
            Some(Standing::Poisoned(_)) => Stage::Poisoned,
            None => Stage::Unknown,
        };
        (stage, Some(place))
    }

    /// Judges a token's trailer and finds or makes its context.
    // req: dce-rpce-auth-levels
    pub(super) fn leg(
        &mut self,
        endpoint: &Endpoint,
        trailer: &Trailer,
        leg: Leg,
    ) -> Result<usize, Refusal> {
        let (stage, place) = self.stage(trailer.context_id);
        match leg_rule(stage, leg) {
            LegRule::Begin => self.begin(endpoint, trailer),
            LegRule::Continue => self.resume(place, trailer),
            LegRule::Denied => Err(Refusal::DENIED),
            LegRule::ProtoError => Err(Refusal::PROTO_ERROR),
        }
    }

    fn begin(&mut self, endpoint: &Endpoint, trailer: &Trailer) -> Result<usize, Refusal> {
        let Trailer {
            auth_type, level, ..
        } = *trailer;
        if !(AuthLevel::CONNECT..=AuthLevel::PRIVACY).contains(&level) {
            return Err(Refusal::DENIED);
        }
        if auth_type == AuthType::NONE {
            return Err(Refusal {
                status: status::ACCESS_DENIED,
                ..Refusal::UNKNOWN_TYPE
            });
        }
        let limits = &endpoint.config;
        if self.contexts.len() >= limits.auth_contexts || self.unfinished >= limits.unfinished {
            return Err(Refusal::PROTO_ERROR);
        }
        let acceptor = endpoint.acceptor.as_ref().ok_or(Refusal::UNKNOWN_TYPE)?;
        if level == AuthLevel::CALL {
            let served = acceptor.accept(auth_type, AuthLevel::PKT).is_some();
            return Err(if served {
                Refusal::CALL_LEVEL
            } else {
                Refusal::UNKNOWN_TYPE
            });
        }
        // req: dce-rpce-header-sign-required
        if limits.require_sign_header && level.is_per_packet() && !self.sign_header {
            return Err(Refusal::DENIED);
        }
        let exchange = acceptor
            .accept(auth_type, level)
            .ok_or(Refusal::UNKNOWN_TYPE)?;
        let place = self.contexts.len();
        if level == AuthLevel::CONNECT && !self.explicit {
            self.default = Some(place);
        }
        self.unfinished = self.unfinished.saturating_add(1);
        self.contexts.push(Context {
            id: trailer.context_id,
            auth_type,
            level,
            standing: Standing::Exchanging(exchange),
        });
        Ok(place)
    }

    /// A further leg must be of the type and level of the first.
    // req: dce-rpce-legs-same
    fn resume(&self, place: Option<usize>, trailer: &Trailer) -> Result<usize, Refusal> {
        let place = place.ok_or(Refusal::PROTO_ERROR)?;
        let context = self.contexts.get(place).ok_or(Refusal::PROTO_ERROR)?;
        match (
            trailer.auth_type == context.auth_type,
            trailer.level == context.level,
        ) {
            (true, true) => Ok(place),
            (true, false) => Err(Refusal::DENIED),
            (false, _) if trailer.auth_type == AuthType::NONE => Err(Refusal::DENIED),
            (false, _) => Err(Refusal::UNKNOWN_TYPE),
        }
    }

    /// Takes the client's token.
    pub(super) fn step(&mut self, place: usize, token: &[u8]) -> Outcome {
        self.advance(place, |exchange| exchange.step(token))
    }

    /// Takes the answer to what the last step asked.
    pub(super) fn answer(&mut self, place: usize, answer: Answer) -> Outcome {
        self.advance(place, |exchange| exchange.answer(answer))
    }

    fn advance(
        &mut self,
        place: usize,
        f: impl FnOnce(&mut dyn Exchange) -> Result<Step, Denied>,
    ) -> Outcome {
        let Some(context) = self.contexts.get_mut(place) else {
            return Outcome::Denied(Denied::new("no such security context"));
        };
        let Standing::Exchanging(exchange) = &mut context.standing else {
            return Outcome::Denied(Denied::new("no exchange goes on"));
        };
        match f(exchange.as_mut()) {
            Ok(Step::Continue(token)) => Outcome::More(token),
            Ok(Step::Need(query)) => Outcome::Ask(query),
            Ok(Step::Done { token, protection }) => {
                let caller = Arc::new(Caller {
                    principal: protection.principal().clone(),
                    auth_type: context.auth_type,
                    level: context.level,
                    session_key: protection.session_key().map(<[u8]>::to_vec),
                });
                let guard = Guard {
                    auth_type: context.auth_type,
                    level: context.level,
                    context_id: context.id,
                    sign_header: self.sign_header,
                    protection,
                };
                context.standing = Standing::Established(guard, Arc::clone(&caller));
                self.unfinished = self.unfinished.saturating_sub(1);
                Outcome::Done(token.unwrap_or_default(), caller)
            }
            Err(denied) => {
                self.poison(place, denied.status);
                Outcome::Denied(denied)
            }
        }
    }

    /// Makes a context useless: its requests are answered with `status`.
    // req: dce-rpce-poisoned
    pub(super) fn poison(&mut self, place: usize, status: u32) {
        if let Some(context) = self.contexts.get_mut(place) {
            if matches!(context.standing, Standing::Exchanging(_)) {
                self.unfinished = self.unfinished.saturating_sub(1);
            }
            context.standing = Standing::Poisoned(status);
        }
    }

    /// Whether a first fragment may be looked at: not if its context's exchange goes on.
    #[inline]
    pub(super) fn is_ready(&self, trailer: Option<&Trailer>) -> bool {
        if self.unfinished == 0 {
            return true;
        }
        let place = match trailer {
            Some(trailer) => self.place(trailer.context_id),
            None => self.default,
        };
        let context = place.and_then(|place| self.contexts.get(place));
        !context.is_some_and(|context| matches!(context.standing, Standing::Exchanging(_)))
    }

    /// Checks a first fragment without a verifier.
    #[inline]
    pub(super) fn bare(&self) -> Result<Proved, Unproved> {
        let caller = match self.default.and_then(|place| self.contexts.get(place)) {
            None => None,
            Some(context) => match &context.standing {
                Standing::Exchanging(_) => return Err(Unproved::Unfinished),
                Standing::Poisoned(status) => return Err(Unproved::Fault(*status)),
                Standing::Established(_, caller) => Some(Arc::clone(caller)),
            },
        };
        Ok(Proved {
            verified: Verified(()),
            caller,
            guard: None,
        })
    }

    /// Checks a first fragment with a verifier and decrypts it in place. The verifier must name a context that
    /// stands, in every field.
    // req: dce-rpce-first-fragment
    pub(super) fn first(
        &mut self,
        pdu: &mut [u8],
        stub: usize,
        verifier: &Verifier,
    ) -> Result<Proved, Unproved> {
        let denied = Unproved::Fault(status::ACCESS_DENIED);
        let place = self.place(verifier.trailer.context_id).ok_or(denied)?;
        let context = self.contexts.get_mut(place).ok_or(denied)?;
        let (guard, caller) = match &mut context.standing {
            Standing::Exchanging(_) => return Err(Unproved::Unfinished),
            Standing::Poisoned(status) => return Err(Unproved::Fault(*status)),
            Standing::Established(guard, caller) => (guard, caller),
        };
        if !guard.is_named_by(&verifier.trailer) {
            return Err(denied);
        }
        let per_packet = guard.level.is_per_packet();
        if per_packet {
            guard.open(pdu, stub, verifier).map_err(Unproved::Protect)?;
        }
        let caller = Some(Arc::clone(caller));
        self.default = None;
        self.explicit |= !per_packet;
        let guard = u16::try_from(place).ok().filter(|_| per_packet);
        Ok(Proved {
            verified: Verified(()),
            caller,
            guard,
        })
    }

    /// Checks a further fragment under the context of the first, whatever its own trailer says, and decrypts it.
    // req: dce-rpce-next-fragment
    pub(super) fn next(
        &mut self,
        proved: &Proved,
        pdu: &mut [u8],
        stub: usize,
        verifier: Option<&Verifier>,
    ) -> Result<(), Unproved> {
        match (proved.guard, verifier) {
            (None, None) => Ok(()),
            (None, Some(_)) if proved.caller.is_some() => Ok(()),
            (None, Some(_)) => Err(Unproved::Fault(status::ACCESS_DENIED)),
            (Some(_), None) => Err(Unproved::Fault(status::PROTO_ERROR)),
            (Some(place), Some(verifier)) => self
                .guard(place)
                .ok_or(Unproved::Fault(status::ACCESS_DENIED))?
                .open(pdu, stub, verifier)
                .map_err(Unproved::Protect),
        }
    }

    /// The context at that place, if it stands.
    pub(super) fn guard(&mut self, place: u16) -> Option<&mut Guard> {
        match &mut self.contexts.get_mut(usize::from(place))?.standing {
            Standing::Established(guard, _) => Some(guard),
            _ => None,
        }
    }
}
