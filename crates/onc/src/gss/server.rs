//! The contexts that a server keeps, and what it does with a call of theirs before any program sees it.
//!
//! Read first: RFC 2203 sections 5.2 and 5.3. The order of checks is fixed: the context is known
//! (`RPCSEC_GSS_CREDPROBLEM`), the code over the header as it was received is right (the same), the sequence number is
//! below its end (`RPCSEC_GSS_CTXPROBLEM`), it is new (or the call is dropped), the arguments are what was protected
//! (`GARBAGE_ARGS`). So nobody without the key moves a window, and a context that was lost is made anew.
//!
//! Handles are random and say nothing. Contexts serve all connections of a server. Their number is bounded; the one
//! that was idle longest makes room, and half-made ones never push whole ones out. Nothing here decides who may call
//! what, and exchanges run where the driver wants them: what is taken out for that is [`Establishing`].

use super::mechanism::{Acceptor, Broken, Context, Denied, Handshake, Principal, Progress};
use super::message::{
    self, Credential, Handle, InitResult, MAX_SEQ, Procedure, Service, join_seq, put_opaque,
    split_seq,
};
use super::window::{self, Window};
use crate::auth::{AuthStat, Flavor, OpaqueAuth};
use crate::msg::CallHeader;
use crate::seed::Seed;
use std::borrow::Cow;
use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Bytes of a handle of ours.
const HANDLE: usize = 24;

/// How many contexts a server keeps, and how long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GssConfig {
    /// Most contexts. Default 16384.
    pub contexts: usize,
    /// Most contexts that are being made. Default 1024.
    pub establishing: usize,
    /// How long one that is being made waits for its client. Default 30 s.
    pub patience: Duration,
    /// How long a context lives without a call. Default 1 h.
    pub idle: Duration,
    /// How long a context lives at most; the mechanism may say less. Default 24 h.
    pub lifetime: Duration,
}

impl Default for GssConfig {
    fn default() -> Self {
        Self {
            contexts: 16384,
            establishing: 1024,
            patience: Duration::from_secs(30),
            idle: Duration::from_secs(3600),
            lifetime: Duration::from_secs(24 * 3600),
        }
    }
}

/// An established context of a server; calls of several connections may want it at once.
#[derive(Clone)]
pub struct Held(Arc<Inside>);

struct Inside {
    live: Mutex<Live>,
    principal: Principal,
    handle: Handle,
}

struct Live {
    context: Box<dyn Context>,
    window: Window,
}

impl fmt::Debug for Held {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Held")
            .field("principal", &self.0.principal)
            .finish_non_exhaustive()
    }
}

impl Held {
    /// Who calls.
    #[must_use]
    pub fn principal(&self) -> &Principal {
        &self.0.principal
    }

    fn live(&self) -> std::sync::MutexGuard<'_, Live> {
        self.0.live.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The code for the verifier of an accepted reply to the call with this number.
    ///
    /// # Errors
    /// The mechanism fails: the call cannot be answered.
    pub fn verifier(&self, seq: u32) -> Result<Vec<u8>, Broken> {
        self.live().context.mic(&seq.to_be_bytes())
    }

    /// The results of the call with this number as they travel under its service.
    ///
    /// # Errors
    /// The mechanism fails: the call cannot be answered.
    pub fn seal<'a>(
        &self,
        seq: u32,
        service: Service,
        results: &'a [u8],
    ) -> Result<Cow<'a, [u8]>, Broken> {
        seal(self.live().context.as_mut(), seq, service, results)
    }
}

/// Protects arguments or results: the same on both sides.
pub(super) fn seal<'a>(
    context: &mut dyn Context,
    seq: u32,
    service: Service,
    plain: &'a [u8],
) -> Result<Cow<'a, [u8]>, Broken> {
    let mut body = Vec::new();
    match service {
        Service::INTEGRITY => {
            let protected = join_seq(seq, plain);
            let mic = context.mic(&protected)?;
            put_opaque(&mut body, &protected);
            put_opaque(&mut body, &mic);
        }
        Service::PRIVACY => put_opaque(&mut body, &context.wrap(&join_seq(seq, plain))?),
        _ => return Ok(Cow::Borrowed(plain)),
    }
    Ok(Cow::Owned(body))
}

/// What [`seal`] protected; nothing if it is not what the peer protected, or belongs to another call.
pub(super) fn open<'a>(
    context: &mut dyn Context,
    seq: u32,
    service: Service,
    body: &'a [u8],
) -> Option<Cow<'a, [u8]>> {
    match service {
        Service::INTEGRITY => {
            let (protected, mic) = message::parse_integrity(body).ok()?;
            context.verify_mic(protected, mic).ok()?;
            let (inner, plain) = split_seq(protected)?;
            (inner == seq).then_some(Cow::Borrowed(plain))
        }
        Service::PRIVACY => {
            let mut protected = context.unwrap(message::parse_privacy(body).ok()?).ok()?;
            let (inner, _) = split_seq(&protected)?;
            protected.drain(..4);
            (inner == seq).then_some(Cow::Owned(protected))
        }
        _ => Some(Cow::Borrowed(body)),
    }
}

/// A call that belongs to a context.
#[derive(Debug)]
pub struct Arrived<'a> {
    /// The context.
    pub held: Held,
    /// The call's number in it: the reply needs it.
    pub seq: u32,
    /// How the arguments were protected, and the results must be.
    pub service: Service,
    /// The arguments in the clear.
    pub arguments: Cow<'a, [u8]>,
}

/// A context that is being made, taken out for a step of its exchange. What is not given back to
/// [`Contexts::finish`] is forgotten.
pub struct Establishing {
    handle: Handle,
    handshake: Box<dyn Handshake>,
}

impl fmt::Debug for Establishing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Establishing(..)")
    }
}

impl Establishing {
    /// The exchange: [`step`](Handshake::step) it with the client's token.
    pub fn handshake(&mut self) -> &mut dyn Handshake {
        self.handshake.as_mut()
    }
}

/// What to do with a call whose credential is `RPCSEC_GSS`.
#[derive(Debug)]
pub enum Verdict<'a> {
    /// Hand it to the program.
    Call(Arrived<'a>),
    /// Step the exchange with this token and hand what it came to to [`Contexts::finish`].
    Establish(Establishing, &'a [u8]),
    /// The context is gone: answer success without results, under this context's verifier and service.
    Destroyed(Arrived<'a>),
    /// Deny it.
    Denied(AuthStat),
    /// Answer `GARBAGE_ARGS`; with a verifier of this context for this number, if there is one.
    Garbage(Option<(Held, u32)>),
    /// Drop it without an answer: it is a repetition.
    Silent,
}

/// What [`Contexts::look`] found out about a call.
#[derive(Debug)]
pub enum Looked<'a> {
    /// All there is to know.
    Decided(Verdict<'a>),
    /// Whose context it names; what the mechanism must say to it is still open.
    Unproved(Unproved<'a>),
}

/// A call of an established context that nothing proves yet. The mechanism is asked by [`judge`](Self::judge), which
/// takes its time and holds nothing but this one context.
#[derive(Debug)]
pub struct Unproved<'a> {
    held: Held,
    procedure: Procedure,
    seq: u32,
    service: Service,
    /// What the verifier must prove.
    signed: Option<&'a [u8]>,
    verifier: OpaqueAuth<'a>,
    arguments: &'a [u8],
}

impl<'a> Unproved<'a> {
    /// Checks the code over the header, the number, and what protects the arguments, in this order.
    // req: onc-2203-5.3-order
    #[must_use]
    pub fn judge(self) -> Verdict<'a> {
        let (seq, service) = (self.seq, self.service);
        let OpaqueAuth { flavor, body: mic } = self.verifier;
        let mut live = self.held.live();
        let signed = self.signed.filter(|_| flavor == Flavor::GSS);
        let proved = signed.is_some_and(|signed| live.context.verify_mic(signed, mic).is_ok());
        if !proved {
            return Verdict::Denied(AuthStat::GSS_CREDPROBLEM);
        }
        if seq >= MAX_SEQ {
            return Verdict::Denied(AuthStat::GSS_CTXPROBLEM);
        }
        if !live.window.take(seq) {
            return Verdict::Silent;
        }
        let opened = open(live.context.as_mut(), seq, service, self.arguments);
        drop(live);
        let held = self.held;
        let Some(arguments) = opened else {
            return Verdict::Garbage(Some((held, seq)));
        };
        let arrived = Arrived {
            held,
            seq,
            service,
            arguments,
        };
        match self.procedure {
            Procedure::DESTROY => Verdict::Destroyed(arrived),
            _ => Verdict::Call(arrived),
        }
    }
}

/// The reply to a call that creates a context: a successful one with these results.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Created {
    /// What the client is told.
    pub result: InitResult,
    /// The code over the window, once the context stands; otherwise the verifier is `AUTH_NONE`.
    pub verifier: Option<Vec<u8>>,
    /// Who was proved, once the context stands.
    pub principal: Option<Principal>,
}

/// What is known under a handle.
enum Entry {
    /// Its exchange goes on; nothing while a step of it is being taken.
    Establishing(Option<Box<dyn Handshake>>),
    Established(Held),
}

struct Slot {
    entry: Entry,
    /// Forgotten then, whatever happens.
    expires: Instant,
    /// The last call.
    used: Instant,
}

/// The contexts of a server.
pub struct Contexts {
    config: GssConfig,
    seed: Seed,
    drawn: u64,
    slots: HashMap<Handle, Slot, Seed>,
    /// How many of them are being made.
    establishing: usize,
    acceptor: Arc<dyn Acceptor>,
}

impl fmt::Debug for Contexts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Contexts")
            .field("len", &self.slots.len())
            .field("establishing", &self.establishing)
            .finish_non_exhaustive()
    }
}

impl Contexts {
    /// None yet; handles come from `seed`.
    #[must_use]
    pub fn new(config: GssConfig, acceptor: Arc<dyn Acceptor>, seed: Seed) -> Self {
        Self {
            config,
            drawn: 0,
            slots: HashMap::with_hasher(seed.clone()),
            seed,
            establishing: 0,
            acceptor,
        }
    }

    /// Contexts known, the ones that are being made included.
    #[must_use]
    pub fn len(&self) -> usize {
        self.slots.len()
    }

    /// Whether no context is known.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.slots.is_empty()
    }

    /// Decides about a call: `message` is all of it, `header` and `args` are what
    /// [`parse_call`](crate::msg::parse_call) found. The same as [`look`](Self::look), [`judge`](Unproved::judge) and
    /// [`end`](Self::end) in one.
    pub fn admit<'a>(
        &mut self,
        now: Instant,
        message: &'a [u8],
        header: &CallHeader<'a>,
        args: usize,
    ) -> Verdict<'a> {
        let verdict = match self.look(now, message, header, args) {
            Looked::Decided(verdict) => return verdict,
            Looked::Unproved(unproved) => unproved.judge(),
        };
        if let Verdict::Destroyed(arrived) = &verdict {
            self.end(arrived);
        }
        verdict
    }

    /// The part of a decision that needs all contexts, and takes no time: as [`admit`](Self::admit), without asking a
    /// mechanism. Whoever shares the contexts gives them free before the rest.
    pub fn look<'a>(
        &mut self,
        now: Instant,
        message: &'a [u8],
        header: &CallHeader<'a>,
        args: usize,
    ) -> Looked<'a> {
        let credential = match Credential::parse(header.credential.body) {
            Ok(credential) => credential,
            Err(stat) => return Looked::Decided(Verdict::Denied(stat)),
        };
        let arguments = message.get(args..).unwrap_or_default();
        Looked::Decided(match credential.procedure {
            Procedure::INIT => self.begin(now, header, &credential, arguments),
            Procedure::CONTINUE_INIT => self.go_on(now, header, &credential, arguments),
            procedure => match self.find(now, credential.handle) {
                None => Verdict::Denied(AuthStat::GSS_CREDPROBLEM),
                Some(held) => {
                    return Looked::Unproved(Unproved {
                        held,
                        procedure,
                        seq: credential.seq,
                        service: credential.service,
                        signed: signed(message, header),
                        verifier: header.verifier,
                        arguments,
                    });
                }
            },
        })
    }

    /// Forgets the context of a call that was [`Verdict::Destroyed`].
    pub fn end(&mut self, destroyed: &Arrived<'_>) {
        self.forget(&destroyed.held.0.handle);
    }

    /// The first token of a new context.
    fn begin<'a>(
        &mut self,
        now: Instant,
        header: &CallHeader<'_>,
        credential: &Credential<'_>,
        arguments: &'a [u8],
    ) -> Verdict<'a> {
        if !credential.handle.is_empty() || !creates(header) {
            return Verdict::Denied(AuthStat::BADCRED);
        }
        let Ok(token) = message::parse_token(arguments) else {
            return Verdict::Garbage(None);
        };
        if self.establishing >= self.config.establishing {
            self.forget_what_is_over(now);
        }
        if self.establishing >= self.config.establishing {
            // The client tries again; others are served meanwhile.
            return Verdict::Silent;
        }
        let handle = self.fresh();
        let slot = Slot {
            entry: Entry::Establishing(None),
            expires: after(now, self.config.patience),
            used: now,
        };
        self.slots.insert(handle.clone(), slot);
        self.establishing = self.establishing.saturating_add(1);
        let handshake = self.acceptor.accept();
        Verdict::Establish(Establishing { handle, handshake }, token)
    }

    /// A further token.
    fn go_on<'a>(
        &mut self,
        now: Instant,
        header: &CallHeader<'_>,
        credential: &Credential<'_>,
        arguments: &'a [u8],
    ) -> Verdict<'a> {
        if !creates(header) {
            return Verdict::Denied(AuthStat::BADCRED);
        }
        let Ok(token) = message::parse_token(arguments) else {
            return Verdict::Garbage(None);
        };
        let slot = self.slots.get_mut(credential.handle);
        let slot = slot.filter(|slot| slot.expires > now);
        match slot.map(|slot| &mut slot.entry) {
            Some(Entry::Establishing(handshake)) => match handshake.take() {
                Some(handshake) => {
                    let handle = credential.handle.to_vec();
                    Verdict::Establish(Establishing { handle, handshake }, token)
                }
                // The same token again, while its step is being taken.
                None => Verdict::Silent,
            },
            Some(Entry::Established(_)) | None => Verdict::Denied(AuthStat::GSS_CREDPROBLEM),
        }
    }

    /// Takes what a step came to, and says what the client is told. A [`Progress::Need`] must have been answered.
    pub fn finish(
        &mut self,
        now: Instant,
        establishing: Establishing,
        progress: Result<Progress, Denied>,
    ) -> Created {
        let Establishing { handle, handshake } = establishing;
        match progress {
            Ok(Progress::Continue(token)) => {
                let Some(slot) = self.slots.get_mut(&handle) else {
                    return failed(&Denied::new("the exchange took too long"));
                };
                slot.entry = Entry::Establishing(Some(handshake));
                slot.expires = after(now, self.config.patience);
                created(handle, InitResult::CONTINUE_NEEDED, token)
            }
            Ok(Progress::Done { token, context }) => self.establish(now, handle, token, context),
            Ok(Progress::Need(_)) => {
                self.fail(&handle, &Denied::new("a question was not answered"))
            }
            Err(denied) => self.fail(&handle, &denied),
        }
    }

    fn establish(
        &mut self,
        now: Instant,
        handle: Handle,
        token: Option<Vec<u8>>,
        mut context: Box<dyn Context>,
    ) -> Created {
        let Ok(verifier) = context.mic(&window::ADVERTISED.to_be_bytes()) else {
            return self.fail(&handle, &Denied::new("the mechanism makes no code"));
        };
        let lifetime = context.lifetime().unwrap_or(self.config.lifetime);
        let principal = context.peer().clone();
        let live = Live {
            context,
            window: Window::default(),
        };
        let held = Held(Arc::new(Inside {
            live: Mutex::new(live),
            principal: principal.clone(),
            handle: handle.clone(),
        }));
        let Some(slot) = self.slots.get_mut(&handle) else {
            return failed(&Denied::new("the exchange took too long"));
        };
        slot.entry = Entry::Established(held);
        (slot.expires, slot.used) = (after(now, lifetime.min(self.config.lifetime)), now);
        self.establishing = self.establishing.saturating_sub(1);
        self.make_room(now);
        Created {
            verifier: Some(verifier),
            principal: Some(principal),
            ..created(handle, InitResult::COMPLETE, token.unwrap_or_default())
        }
    }

    fn fail(&mut self, handle: &Handle, denied: &Denied) -> Created {
        self.forget(handle);
        failed(denied)
    }

    /// The established context of a handle.
    fn find(&mut self, now: Instant, handle: &[u8]) -> Option<Held> {
        let idle = self.config.idle;
        let slot = self.slots.get_mut(handle)?;
        if slot.expires <= now || after(slot.used, idle) <= now {
            self.forget(handle);
            return None;
        }
        let Entry::Established(held) = &slot.entry else {
            return None;
        };
        slot.used = now;
        Some(held.clone())
    }

    fn forget(&mut self, handle: &[u8]) {
        if let Some(slot) = self.slots.remove(handle) {
            let half = matches!(slot.entry, Entry::Establishing(_));
            self.establishing = self.establishing.saturating_sub(usize::from(half));
        }
    }

    /// Forgets what is over.
    fn forget_what_is_over(&mut self, now: Instant) {
        let idle = self.config.idle;
        self.slots
            .retain(|_, slot| slot.expires > now && after(slot.used, idle) > now);
        let half = |slot: &&Slot| matches!(slot.entry, Entry::Establishing(_));
        self.establishing = self.slots.values().filter(half).count();
    }

    /// After one more context stands: if there are too many, what is over goes, or else the one that was idle longest.
    /// Only who has proved itself comes here, so strangers push nobody out.
    // req: onc-2203-gss-room
    fn make_room(&mut self, now: Instant) {
        let whole = |this: &Self| this.slots.len().saturating_sub(this.establishing);
        if whole(self) <= self.config.contexts {
            return;
        }
        self.forget_what_is_over(now);
        if whole(self) <= self.config.contexts {
            return;
        }
        let whole = self.slots.iter();
        let whole = whole.filter(|(_, slot)| matches!(slot.entry, Entry::Established(_)));
        let oldest = whole.min_by_key(|(_, slot)| slot.used);
        if let Some(handle) = oldest.map(|(handle, _)| handle.clone()) {
            self.forget(&handle);
        }
    }

    /// A handle that was not drawn before.
    fn fresh(&mut self) -> Handle {
        let mut handle = Vec::with_capacity(HANDLE);
        while handle.len() < HANDLE {
            self.drawn = self.drawn.wrapping_add(1);
            handle.extend(self.seed.draw(self.drawn).to_be_bytes());
        }
        handle
    }
}

/// Whether the call is one that may create a context: of the null procedure, with an empty verifier.
fn creates(header: &CallHeader<'_>) -> bool {
    header.procedure == 0 && header.verifier == OpaqueAuth::NONE
}

/// What the verifier of a call proves: the message as it was received, from its number through the credential and
/// its padding (RFC 2203 section 5.3.1).
// req: onc-2203-5.3.1-received
fn signed<'a>(message: &'a [u8], header: &CallHeader<'_>) -> Option<&'a [u8]> {
    // Six words, the credential's flavour and length, its body and padding.
    let body = header.credential.body.len().next_multiple_of(4);
    message.get(..body.checked_add(32)?)
}

fn after(now: Instant, wait: Duration) -> Instant {
    now.checked_add(wait).unwrap_or(now)
}

fn created(handle: Handle, major: u32, token: Vec<u8>) -> Created {
    Created {
        result: InitResult {
            handle,
            major,
            minor: 0,
            window: window::ADVERTISED,
            token,
        },
        verifier: None,
        principal: None,
    }
}

/// What the client of a failed exchange is told: no handle.
fn failed(denied: &Denied) -> Created {
    let mut created = created(Vec::new(), denied.major, Vec::new());
    (created.result.minor, created.result.window) = (denied.minor, 0);
    created
}

#[cfg(test)]
mod tests;
