//! One context of a client: how it is made, how its calls go out, and what their replies prove.
//!
//! Read first: RFC 2203 sections 5.2 and 5.3, 5.3.3.1 on repetitions. A repeated call keeps its xid and gets a new
//! sequence number; whichever of them the reply proves is right. A client keeps as many calls in flight as the
//! server's window allows, and no more. Nothing here sends, waits or decides when a context is made anew.

use super::mechanism::{Broken, Context, Denied, Handshake, Principal, Progress};
use super::message::{
    Credential, Handle, InitResult, MAX_SEQ, Procedure, Service, put_opaque, verifier,
};
use super::minor;
use super::server::{open, seal};
use crate::auth::{AuthStat, Flavor, OpaqueAuth};
use crate::msg::{MessageType, RPC_VERSION, ReplyBody, ReplyHeader, Target};
use farcall_wire::xdr;
use std::borrow::Cow;
use std::fmt;

/// Rounds of tokens before an exchange is given up.
const MAX_ROUNDS: usize = 16;

/// A context in the making. Each round is a call of the null procedure.
pub struct Initiation {
    handshake: Box<dyn Handshake>,
    service: Service,
    handle: Handle,
    rounds: usize,
    /// Our mechanism is done.
    context: Option<Box<dyn Context>>,
    /// The server's is done, and this is its verifier over its window.
    complete: Option<(InitResult, Vec<u8>)>,
}

impl fmt::Debug for Initiation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Initiation")
            .field("rounds", &self.rounds)
            .finish_non_exhaustive()
    }
}

/// What to do next for a context.
#[derive(Debug)]
pub enum Next {
    /// Step the exchange with this token, and hand what it came to to [`Initiation::call`].
    Step(Vec<u8>),
    /// Send this message, and hand the reply to [`Initiation::handle_reply`].
    Call(Vec<u8>),
    /// The context stands.
    Established(Box<Established>),
}

impl Initiation {
    /// An exchange that has not begun, for calls of this service: step [`handshake`](Self::handshake) with an empty
    /// token.
    #[must_use]
    pub fn new(handshake: Box<dyn Handshake>, service: Service) -> Self {
        Self {
            handshake,
            service,
            handle: Vec::new(),
            rounds: 0,
            context: None,
            complete: None,
        }
    }

    /// The exchange.
    pub fn handshake(&mut self) -> &mut dyn Handshake {
        self.handshake.as_mut()
    }

    /// Takes what a step came to. Its message is for the null procedure of `target`; its xid is the first word, and
    /// nothing proves it yet.
    ///
    /// # Errors
    /// The exchange failed.
    pub fn call(&mut self, xid: u32, target: Target, progress: Progress) -> Result<Next, Denied> {
        let token = match progress {
            Progress::Continue(token) => Some(token),
            Progress::Done { token, context } => {
                self.context = Some(context);
                token.filter(|token| !token.is_empty())
            }
            Progress::Need(_) => return Err(Denied::new("a question was not answered")),
        };
        match token {
            Some(token) => self.message(xid, target, &token).map(Next::Call),
            None => self.established(),
        }
    }

    fn message(&mut self, xid: u32, target: Target, token: &[u8]) -> Result<Vec<u8>, Denied> {
        self.rounds = self.rounds.saturating_add(1);
        if self.rounds > MAX_ROUNDS {
            return Err(Denied::new("the exchange of tokens does not end"));
        }
        let procedure = match self.handle.is_empty() {
            true => Procedure::INIT,
            false => Procedure::CONTINUE_INIT,
        };
        let credential = Credential {
            procedure,
            seq: 0,
            // libtirpc's server takes the service of all calls from here.
            service: self.service,
            handle: &self.handle,
        };
        let null = Target {
            procedure: 0,
            ..target
        };
        let mut message = head(xid, null, &credential);
        message.extend([0; 8]);
        put_opaque(&mut message, token);
        Ok(message)
    }

    /// Takes the reply to a creating call.
    ///
    /// # Errors
    /// The server denied the call, or what it answered proves nothing.
    pub fn handle_reply(
        &mut self,
        header: &ReplyHeader<'_>,
        results: &[u8],
    ) -> Result<Next, Denied> {
        if header.body != ReplyBody::Success {
            return Err(Denied::new(format!("the server answers: {}", header.body)));
        }
        let mut result = InitResult::parse(results)
            .map_err(|error| Denied::new(format!("the server's answer: {error}")))?;
        match result.major {
            InitResult::CONTINUE_NEEDED => {
                self.handle = result.handle;
                Ok(Next::Step(result.token))
            }
            InitResult::COMPLETE => {
                let token = std::mem::take(&mut result.token);
                let verifier = match header.verifier.flavor {
                    Flavor::GSS => header.verifier.body.to_vec(),
                    _ => Vec::new(),
                };
                self.complete = Some((result, verifier));
                match self.context {
                    Some(_) => self.established(),
                    None => Ok(Next::Step(token)),
                }
            }
            _ => Err(Denied {
                major: result.major,
                minor: result.minor,
                reason: refusal(&result),
            }),
        }
    }

    /// Both mechanisms are done, or should be.
    fn established(&mut self) -> Result<Next, Denied> {
        let Some(mut context) = self.context.take() else {
            return Err(Denied::new("the server ended the exchange too early"));
        };
        let Some((result, verifier)) = self.complete.take() else {
            return Err(Denied::new(
                "the server expects more than our mechanism has",
            ));
        };
        let window = result.window.to_be_bytes();
        if context.verify_mic(&window, &verifier).is_err() {
            return Err(Denied::new(
                "the server's verifier does not prove its window",
            ));
        }
        Ok(Next::Established(Box::new(Established {
            context,
            handle: result.handle,
            window: result.window.max(1),
            service: self.service,
            seq: 0,
        })))
    }
}

/// A context that stands.
pub struct Established {
    context: Box<dyn Context>,
    handle: Handle,
    window: u32,
    service: Service,
    /// The last number used.
    seq: u32,
}

impl fmt::Debug for Established {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Established")
            .field("peer", self.context.peer())
            .field("service", &self.service)
            .field("seq", &self.seq)
            .finish_non_exhaustive()
    }
}

/// Why a reply is of no use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReplyFault {
    /// The verifier does not prove that the server answered this call.
    Verifier,
    /// The results are not what the server protected.
    Results,
    /// The server does not know the context any more: make one anew, once.
    Context(AuthStat),
}

impl fmt::Display for ReplyFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Verifier => f.write_str("the verifier of the reply does not prove the server"),
            Self::Results => f.write_str("the results were changed on their way"),
            Self::Context(stat) => write!(f, "the server has lost the security context ({stat})"),
        }
    }
}

impl std::error::Error for ReplyFault {}

/// A context has used up its sequence numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Exhausted;

impl fmt::Display for Exhausted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the security context has used up its sequence numbers")
    }
}

impl std::error::Error for Exhausted {}

impl From<Exhausted> for Broken {
    fn from(_: Exhausted) -> Self {
        Self("the security context has used up its sequence numbers")
    }
}

impl Established {
    /// Who serves, as far as the mechanism proves it.
    #[must_use]
    pub fn peer(&self) -> &Principal {
        self.context.peer()
    }

    /// How arguments and results are protected.
    #[must_use]
    pub fn service(&self) -> Service {
        self.service
    }

    /// How many calls may be in flight.
    #[must_use]
    pub fn window(&self) -> u32 {
        self.window
    }

    /// A call as a message, and its sequence number. A repetition is made the same way, with the same xid: it gets
    /// another number.
    ///
    /// # Errors
    /// The numbers are used up ([`Exhausted`]), or the mechanism fails; make another context.
    // req: onc-2203-5.3.3.1-retransmit
    pub fn call(
        &mut self,
        xid: u32,
        target: Target,
        arguments: &[u8],
    ) -> Result<(Vec<u8>, u32), Broken> {
        self.message(Procedure::DATA, xid, target, arguments)
    }

    /// The message that tells the server to forget the context.
    ///
    /// # Errors
    /// As [`call`](Self::call).
    pub fn destroy(&mut self, xid: u32, target: Target) -> Result<Vec<u8>, Broken> {
        let null = Target {
            procedure: 0,
            ..target
        };
        Ok(self.message(Procedure::DESTROY, xid, null, &[])?.0)
    }

    fn message(
        &mut self,
        procedure: Procedure,
        xid: u32,
        target: Target,
        arguments: &[u8],
    ) -> Result<(Vec<u8>, u32), Broken> {
        let seq = self.seq.saturating_add(1);
        if seq >= MAX_SEQ {
            return Err(Exhausted.into());
        }
        self.seq = seq;
        let credential = Credential {
            procedure,
            seq,
            service: self.service,
            handle: &self.handle,
        };
        let mut message = head(xid, target, &credential);
        let mic = self.context.mic(&message)?;
        put_auth(&mut message, verifier(&mic));
        message.extend_from_slice(&seal(self.context.as_mut(), seq, self.service, arguments)?);
        Ok((message, seq))
    }

    /// The results of a successful reply to the call that was sent with these numbers; empty for any other accepted
    /// reply, which is proved as well.
    ///
    /// # Errors
    /// [`ReplyFault`]. A denied reply is proved by nothing: it is [`ReplyFault::Context`] if it says that the
    /// context is unknown, and otherwise passed on.
    pub fn open<'a>(
        &mut self,
        seqs: &[u32],
        header: &ReplyHeader<'_>,
        results: &'a [u8],
    ) -> Result<Cow<'a, [u8]>, ReplyFault> {
        match header.body {
            ReplyBody::AuthError(stat @ (AuthStat::GSS_CREDPROBLEM | AuthStat::GSS_CTXPROBLEM)) => {
                return Err(ReplyFault::Context(stat));
            }
            body if !body.is_accepted() => return Ok(Cow::Borrowed(&[])),
            _ => {}
        }
        let context = self.context.as_mut();
        let mut seqs = seqs.iter().rev();
        let seq = seqs.find(|seq| proves(context, header.verifier, &seq.to_be_bytes()));
        let seq = *seq.ok_or(ReplyFault::Verifier)?;
        if header.body != ReplyBody::Success {
            return Ok(Cow::Borrowed(&[]));
        }
        open(self.context.as_mut(), seq, self.service, results).ok_or(ReplyFault::Results)
    }
}

#[cfg(test)]
impl Established {
    /// The same context with this as its last number.
    pub(super) fn at(self, seq: u32) -> Self {
        Self { seq, ..self }
    }

    /// A call with the first number that may not be used.
    #[allow(clippy::unwrap_used)]
    pub(super) fn past_the_end(&mut self, target: Target) -> Vec<u8> {
        let credential = Credential {
            procedure: Procedure::DATA,
            seq: MAX_SEQ,
            service: self.service,
            handle: &self.handle,
        };
        let mut message = head(1, target, &credential);
        let mic = self.context.mic(&message).unwrap();
        put_auth(&mut message, verifier(&mic));
        message
    }
}

/// What a server that refuses an exchange says of it.
fn refusal(result: &InitResult) -> String {
    match minor::text(result.minor) {
        Some(words) => format!("the server says: {words}"),
        None => format!(
            "the server's mechanism refuses: major status {:#x}, minor status {}",
            result.major, result.minor
        ),
    }
}

/// Whether a verifier of the server's is a code over `message`.
fn proves(context: &mut dyn Context, verifier: OpaqueAuth<'_>, message: &[u8]) -> bool {
    verifier.flavor == Flavor::GSS && context.verify_mic(message, verifier.body).is_ok()
}

/// A call's message through its credential: what its verifier proves.
fn head(xid: u32, target: Target, credential: &Credential<'_>) -> Vec<u8> {
    let words = [
        xid,
        MessageType::CALL.0,
        RPC_VERSION,
        target.program,
        target.version,
        target.procedure,
    ];
    let mut message = Vec::with_capacity(256);
    message.extend(words.iter().flat_map(|word| word.to_be_bytes()));
    // A handle longer than a credential takes was refused when it came.
    let body = xdr::to_vec(credential).unwrap_or_default();
    put_auth(
        &mut message,
        OpaqueAuth {
            flavor: Flavor::GSS,
            body: &body,
        },
    );
    message
}

fn put_auth(message: &mut Vec<u8>, auth: OpaqueAuth<'_>) {
    message.extend(auth.flavor.0.to_be_bytes());
    put_opaque(message, auth.body);
}
