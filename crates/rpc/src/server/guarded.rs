//! Calls under `RPCSEC_GSS` at a server: contexts that all connections share, calls that run away from their
//! connection's turn, replies that are proved and protected on their way out.
//!
//! Read first: RFC 2203 section 5.3, `farcall_onc::gss`. These calls are not on the hot path: a mechanism works on
//! each message. The duplicate request cache stands below: it keeps replies in the clear, and each repetition is
//! proved anew. What blocks in a mechanism runs on the pool.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use bytes::Bytes;
use farcall_onc::auth::OpaqueAuth;
use farcall_onc::gss::message::verifier;

use farcall_onc::gss::{
    Acceptor, Arrived, Contexts, Created, Denied, Establishing, GssConfig, InitResult, Looked,
    Progress, Service, Verdict,
};
use farcall_onc::msg::{CallHeader, ReplyBody};

use super::armor::{Armor, bare, reply};
use super::mailbox::{Mailbox, Target};
use crate::client::seed;

/// The security contexts of a server.
#[derive(Debug)]
pub(crate) struct Guarding {
    contexts: Mutex<Contexts>,
}

/// Where the flavour of the credential stands in a call.
const FLAVOR: std::ops::Range<usize> = 24..28;

/// Whether a message claims a credential of `RPCSEC_GSS`.
#[inline]
pub(crate) fn is_guarded(message: &[u8]) -> bool {
    message.get(FLAVOR) == Some(&[0, 0, 0, 6])
}

/// What becomes of a call.
pub(crate) enum Ruling<'a> {
    /// Run it.
    Call(Arrived<'a>),
    /// Send this message.
    Answer(Bytes),
    /// It is refused in the clear.
    Refuse(ReplyBody),
    /// It is passed over, or answered later.
    Nothing,
}

impl Guarding {
    pub(crate) fn new(acceptor: Arc<dyn Acceptor>, config: GssConfig) -> Arc<Self> {
        let contexts = Contexts::new(config, acceptor, seed());
        Arc::new(Self {
            contexts: Mutex::new(contexts),
        })
    }

    fn contexts(&self) -> MutexGuard<'_, Contexts> {
        self.contexts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Judges a call; the reply to one that makes a context goes to `target` later.
    pub(crate) fn rule<'a>(
        self: &Arc<Self>,
        now: Instant,
        message: &'a [u8],
        header: &CallHeader<'a>,
        args: usize,
        target: impl FnOnce() -> Option<Target>,
    ) -> Ruling<'a> {
        let looked = self.contexts().look(now, message, header, args);
        // The mechanism works while others look for their contexts.
        let verdict = match looked {
            Looked::Decided(verdict) => verdict,
            Looked::Unproved(unproved) => unproved.judge(),
        };
        match verdict {
            Verdict::Call(arrived) => Ruling::Call(arrived),
            Verdict::Denied(stat) => Ruling::Refuse(ReplyBody::AuthError(stat)),
            Verdict::Garbage(None) => Ruling::Refuse(ReplyBody::GarbageArgs),
            Verdict::Garbage(Some((held, seq))) => {
                let armor = Armor::new(held, seq, Service::NONE);
                dressed(header.xid, &armor, ReplyBody::GarbageArgs)
            }
            Verdict::Destroyed(arrived) => {
                self.contexts().end(&arrived);
                destroyed(header.xid, &arrived)
            }
            Verdict::Silent => Ruling::Nothing,
            Verdict::Establish(establishing, token) => {
                if let Some(target) = target() {
                    self.establish(header.xid, establishing, token.to_vec(), target);
                }
                Ruling::Nothing
            }
        }
    }

    /// Steps an exchange and answers its client.
    fn establish(
        self: &Arc<Self>,
        xid: u32,
        mut establishing: Establishing,
        token: Vec<u8>,
        target: Target,
    ) {
        let guarding = Arc::clone(self);
        tokio::spawn(async move {
            let progress = step(&mut establishing, &token).await;
            if let Err(denied) = &progress {
                tracing::info!(%denied, peer = %target.peer(), "no security context");
            }
            let created = guarding
                .contexts()
                .finish(Instant::now(), establishing, progress);
            if let Some(principal) = &created.principal {
                tracing::debug!(principal = &*principal.name, peer = %target.peer(), "security context");
            }
            target.deliver(created_reply(xid, &created), None);
        });
    }
}

/// One step of the mechanism, its questions answered on the pool.
async fn step(establishing: &mut Establishing, token: &[u8]) -> Result<Progress, Denied> {
    let mut progress = establishing.handshake().step(token)?;
    while let Progress::Need(query) = progress {
        let answer = tokio::task::spawn_blocking(query.0).await;
        let answer = answer.map_err(|_| Denied::new("the mechanism panicked"))?;
        progress = establishing.handshake().answer(answer)?;
    }
    Ok(progress)
}

fn destroyed<'a>(xid: u32, arrived: &Arrived<'_>) -> Ruling<'a> {
    dressed(xid, &Armor::from(arrived), ReplyBody::Success)
}

fn dressed<'a>(xid: u32, armor: &Armor, body: ReplyBody) -> Ruling<'a> {
    let message = bare(xid, body).and_then(|message| armor.dress(&message));
    message.map_or(Ruling::Refuse(ReplyBody::SystemErr), Ruling::Answer)
}

/// The reply to a call that makes a context.
fn created_reply(xid: u32, created: &Created) -> Option<Bytes> {
    let verifier = match &created.verifier {
        Some(mic) => verifier(mic),
        None => OpaqueAuth::NONE,
    };
    reply::<InitResult>(xid, verifier, ReplyBody::Success, &created.result)
}

/// Bytes of arguments that a call which runs elsewhere keeps; its connection reads on when they are gone.
pub(crate) struct Kept {
    mailbox: Mailbox,
    bytes: usize,
}

impl Kept {
    pub(crate) fn new(mailbox: Mailbox, bytes: usize) -> Self {
        mailbox.hold(bytes);
        Self { mailbox, bytes }
    }
}

impl Drop for Kept {
    fn drop(&mut self) {
        self.mailbox.release(self.bytes);
    }
}
