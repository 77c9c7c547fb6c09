//! Running a procedure once though its call comes twice: the duplicate request cache at work.
//!
//! A call that must not run twice runs as a task of its own, so that it ends even if its
//! connection does not live that long; its reply goes wherever its latest duplicate came from.
//! Which calls those are: procedures that are not idempotent, over the transports that
//! [`DuplicateRequests`] names. All others take the hot path and never come here.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use bytes::Bytes;
use farcall_onc::auth::{Flavor, OpaqueAuth, ShortHandle};
use farcall_onc::drc::{Begin, Drc, DrcConfig, Layer, Origin as Source, Principal, Ticket};
use farcall_onc::msg::{self, Framing, ReplyBody, ReplyHeader};
use farcall_onc::server::Admitted;
use farcall_wire::TransmitQueue;

use super::armor::Armor;
use super::guarded::Kept;
use super::mailbox::{Mailbox, Target};
use super::origin::Origin;
use crate::call::{Call, Peer, Refuse};
use crate::client::seed;
use crate::endpoint::Transport;
use crate::steps::tap::Sample;
use crate::stub::{Hosted, Plan, Raw, fits_datagram};
use crate::turn::Turn;

/// Over which transports the server remembers replies, so that a repeated call is answered and
/// not run again. Procedures declared idempotent are never remembered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum DuplicateRequests {
    /// Over none.
    Off,
    /// Over UDP, where repetition is part of every lossy network. The default.
    Datagrams(DrcConfig),
    /// Over every transport: also clients that repeat their calls on a new connection get the
    /// old reply.
    All(DrcConfig),
}

impl Default for DuplicateRequests {
    fn default() -> Self {
        Self::Datagrams(DrcConfig::default())
    }
}

/// The duplicate request cache of a server.
pub(crate) struct Cache {
    drc: Mutex<Drc<Target>>,
    streams: bool,
}

impl Cache {
    pub(crate) fn new(which: DuplicateRequests) -> Option<Arc<Self>> {
        let (config, streams) = match which {
            DuplicateRequests::Off => return None,
            DuplicateRequests::Datagrams(config) => (config, false),
            DuplicateRequests::All(config) => (config, true),
        };
        Some(Arc::new(Self {
            drc: Mutex::new(Drc::new(config, seed())),
            streams,
        }))
    }

    /// Whether calls over this framing are remembered.
    pub(crate) fn covers(&self, framing: Framing) -> bool {
        self.streams || framing == Framing::Datagram
    }

    /// Runs a call unless it has been run, or is running.
    pub(crate) fn once(
        self: &Arc<Self>,
        origin: &Origin,
        admitted: &Admitted<'_>,
        run: Run,
        armor: Option<Armor>,
        turn: &mut Turn,
    ) {
        let Some(mailbox) = origin.mailbox.clone() else {
            return;
        };
        let (peer, local) = (origin.source.peer, origin.source.local);
        let target = Target::new(mailbox.clone(), peer, local).armored(armor.clone());
        let framing = origin.source.transport.framing();
        let xid = admitted.header.xid;
        match self.begin(origin, admitted, &run.arguments, target) {
            Begin::New(ticket) => self.spawn(ticket, run, mailbox),
            Begin::InProgress | Begin::Silent => {}
            Begin::Replay(message) => {
                let message = match &armor {
                    Some(armor) => armor.dress(&message),
                    None => Some(message),
                };
                if let Some(message) = message {
                    turn.put_message(origin.source.transport, peer, local, &message);
                }
            }
            Begin::Full if framing == Framing::Datagram => {}
            Begin::NotKept | Begin::Full => {
                turn.refuse(origin.source.transport, xid, ReplyBody::SystemErr);
                if framing == Framing::Datagram {
                    turn.address(peer, local);
                }
            }
        }
    }

    fn begin(
        &self,
        origin: &Origin,
        admitted: &Admitted<'_>,
        arguments: &[u8],
        target: Target,
    ) -> Begin {
        let source = match origin.source.peer {
            Peer::Inet(address) => Source::Inet(address),
            Peer::Unix { uid, .. } => Source::Local(uid.into()),
            Peer::InProcess => Source::Local(u64::MAX ^ origin.source.connection),
        };
        let framing = origin.source.transport.framing();
        let principal = Principal::from(&admitted.caller);
        let mut drc = self.drc.lock().unwrap_or_else(PoisonError::into_inner);
        let key = drc.key(
            source,
            framing,
            match origin.source.transport {
                Transport::Tls => Layer::TLS,
                _ => Layer::PLAIN,
            },
            principal,
            &admitted.header,
            arguments,
        );
        drc.begin(origin.source.received, key, target)
    }

    fn spawn(self: &Arc<Self>, ticket: Ticket, run: Run, first: Mailbox) {
        let held = run.arguments.len();
        first.hold(held);
        let begun = Begun {
            cache: Arc::clone(self),
            ticket: Some(ticket),
            first,
            held,
            sample: run.call.sample.clone(),
        };
        tokio::spawn(async move {
            let framing = run.call.source.transport.framing();
            let short = run.call.short.clone();
            let (xid, result) = run.run().await;
            begun.finish(message(xid, framing, short.as_deref(), result));
        });
    }
}

/// A call that runs; it is finished, or forgotten when it is dropped.
struct Begun {
    cache: Arc<Cache>,
    ticket: Option<Ticket>,
    /// Where it came from first.
    first: Mailbox,
    /// Bytes of its arguments.
    held: usize,
    sample: Option<Arc<Sample>>,
}

impl Begun {
    fn finish(mut self, message: Option<Bytes>) {
        self.release();
        let Some(ticket) = self.ticket.take() else {
            return;
        };
        let latest = self.lock().finish(Instant::now(), ticket, message.clone());
        if let Some(latest) = latest {
            let sample = self.sample.take();
            let sample = sample.filter(|_| latest.is_connection(&self.first));
            latest.deliver(message, sample);
        }
    }

    /// Its arguments are no longer kept; the connection they came over may read on.
    fn release(&mut self) {
        let held = std::mem::take(&mut self.held);
        if held > 0 {
            self.first.release(held);
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Drc<Target>> {
        self.cache
            .drc
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Begun {
    fn drop(&mut self) {
        self.release();
        if let Some(ticket) = self.ticket.take() {
            // Its target is dropped with the lock released.
            let _forgotten = self.lock().abort(ticket);
        }
    }
}

impl Run {
    /// Runs the call as a task of its own; its reply goes to `target`.
    pub(crate) fn spawn(self, target: Target, kept: Kept) {
        tokio::spawn(async move {
            let framing = self.call.source.transport.framing();
            let sample = self.call.sample.clone();
            let (xid, result) = self.run().await;
            drop(kept);
            target.deliver(message(xid, framing, None, result), sample);
        });
    }
}

/// A call and what it takes to run it.
pub(crate) struct Run {
    pub(crate) service: Hosted,
    pub(crate) plan: Plan,
    pub(crate) call: Call,
    pub(crate) arguments: Bytes,
}

impl Run {
    async fn run(self) -> (u32, Result<TransmitQueue, Refuse>) {
        let (xid, limits) = (self.call.xid, self.plan.limits);
        let runtime = tokio::runtime::Handle::current();
        let blocking = self.plan.is_blocking(self.call.procedure);
        let running = async move { self.service.run(self.call, self.arguments, limits).await };
        let task = match blocking {
            true => tokio::task::spawn_blocking({
                let pool = runtime.clone();
                move || pool.block_on(running)
            }),
            false => runtime.spawn(running),
        };
        let panicked = || Err(Refuse::SystemErr("it panicked".into()));
        (xid, task.await.unwrap_or_else(|_| panicked()))
    }
}

/// The reply as a message without its mark; `None` if there is to be none.
fn message(
    xid: u32,
    framing: Framing,
    short: Option<&ShortHandle>,
    result: Result<TransmitQueue, Refuse>,
) -> Option<Bytes> {
    let (body, results) = match result {
        Ok(results) if framing == Framing::Datagram && !fits_datagram(results.len()) => {
            tracing::warn!(len = results.len(), "result does not fit a datagram");
            (ReplyBody::SystemErr, Vec::new())
        }
        Ok(results) => (ReplyBody::Success, results.to_vec()),
        Err(Refuse::NoReply) => return None,
        Err(refuse) => (refuse.body(), Vec::new()),
    };
    let mut queue = TransmitQueue::new();
    let verifier = match (short, body) {
        (Some(short), ReplyBody::Success) => OpaqueAuth {
            flavor: Flavor::SHORT,
            body: short,
        },
        _ => OpaqueAuth::NONE,
    };
    let header = ReplyHeader {
        xid,
        verifier,
        body,
    };
    msg::encode_reply(&mut queue, Framing::Datagram, &header, &Raw(&results)).ok()?;
    Some(queue.to_vec().into())
}
