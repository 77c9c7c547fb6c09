//! What all connections of a server share: the services, the limits, the stage of life, and the
//! admission of messages.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};

use bytes::Bytes;
use farcall_onc::msg::{self, CallHeader, Framing};
use farcall_onc::record::Record;
use farcall_onc::server::{Admission, Admitted, Caller, Registry};
use tokio::sync::watch;

use super::mailbox::Inbox;
use super::once::{Cache, DuplicateRequests, Run};
use super::origin::Origin;
use crate::call::{Call, Credential};
use crate::limits::Limits;
use crate::steps::recorder::Recorder;
use crate::steps::step::Step;
use crate::stub::{Plan, Registered, Slot};
use crate::turn::{Arguments, Incoming, Turn};

/// How far a server's life has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Stage {
    /// It takes connections and calls.
    Serving = 0,
    /// It ends what it has begun.
    Draining = 1,
    /// It ends now.
    Aborting = 2,
}

/// What all connections of a server share.
pub(crate) struct Hub {
    pub(crate) limits: Limits,
    pub(crate) registry: Registry,
    pub(crate) services: Vec<(Registered, Plan)>,
    cache: Option<Arc<Cache>>,
    pub(crate) recorder: Option<Recorder>,
    stage: AtomicU8,
    /// Wakes whoever waits for the next stage.
    stages: watch::Sender<Stage>,
    connections: AtomicU64,
}

/// What becomes of the stream after a message.
pub(crate) enum Verdict {
    /// The message was admitted, answered or passed over.
    Taken,
    /// The stream must be closed, for this reason.
    Close(String),
}

impl Hub {
    pub(crate) fn new(
        limits: Limits,
        registry: Registry,
        services: Vec<Registered>,
        duplicates: DuplicateRequests,
        recorder: Option<Recorder>,
    ) -> Self {
        let wire = limits.wire();
        let services = services
            .into_iter()
            .enumerate()
            .map(|(index, service)| {
                let plan = service.plan(index, wire);
                (service, plan)
            })
            .collect();
        Self {
            limits,
            registry,
            services,
            cache: Cache::new(duplicates),
            recorder,
            stage: AtomicU8::new(0),
            stages: watch::Sender::new(Stage::Serving),
            connections: AtomicU64::new(1),
        }
    }

    /// How far the server's life has come.
    #[inline]
    pub(crate) fn stage(&self) -> Stage {
        match self.stage.load(Ordering::Acquire) {
            0 => Stage::Serving,
            1 => Stage::Draining,
            _ => Stage::Aborting,
        }
    }

    /// Goes on to a later stage; never back.
    pub(crate) fn enter(&self, stage: Stage) {
        self.stage.fetch_max(stage as u8, Ordering::AcqRel);
        self.stages.send_if_modified(|now| {
            let later = stage > *now;
            *now = stage.max(*now);
            later
        });
    }

    /// Notices changes of the stage.
    pub(crate) fn stages(&self) -> watch::Receiver<Stage> {
        self.stages.subscribe()
    }

    /// A number for a connection, unique in this server.
    pub(crate) fn number_connection(&self) -> u64 {
        self.connections.fetch_add(1, Ordering::Relaxed)
    }

    /// A mailbox for a connection, if calls over this transport can be run elsewhere.
    pub(crate) fn inbox(&self, origin: &mut Origin) -> Option<Inbox> {
        let framing = origin.transport.framing();
        let covered = self
            .cache
            .as_ref()
            .is_some_and(|cache| cache.covers(framing));
        let (mailbox, inbox) = covered.then(Inbox::new)?;
        origin.mailbox = Some(mailbox);
        Some(inbox)
    }

    /// Sets `slot` to work for a service.
    #[inline]
    pub(crate) fn begin(&self, service: usize, slot: &mut Slot) {
        if let Some((service, plan)) = self.services.get(service) {
            service.work(plan, slot);
        }
    }

    /// Judges one message: it becomes a call of `turn`, a reply in it, or nothing.
    pub(crate) fn admit(
        &self,
        origin: &mut Origin,
        record: &Record,
        batch: &Bytes,
        turn: &mut Turn,
    ) -> Verdict {
        let message = match record {
            Record::InBatch(range) => batch.get(range.clone()).unwrap_or_default(),
            Record::Assembled(bytes) => bytes,
        };
        let framing = origin.transport.framing();
        match self.registry.admit(message, framing, |_| None) {
            Admission::Call(admitted) => self.take(origin, record, batch, &admitted, turn),
            Admission::Null { xid, service } => self.null(origin, xid, service, turn),
            Admission::Answer { xid, body } => {
                tracing::debug!(peer = %origin.peer, xid, %body, "call refused");
                turn.refuse(origin.transport, xid, body);
                self.answered(origin, turn);
            }
            Admission::Silent(fault) => tracing::trace!(peer = %origin.peer, ?fault, "ignored"),
            Admission::Close(fault) => return Verdict::Close(format!("{fault:?}")),
        }
        Verdict::Taken
    }

    /// Answers procedure 0, which every program has.
    fn null(&self, origin: &Origin, xid: u32, service: usize, turn: &mut Turn) {
        let program = self.services.get(service).map(|(s, _)| s.program());
        let sample = program.and_then(|program| origin.sample(program, 0, xid));
        if let Some(sample) = &sample {
            sample.mark(Step::ProcedureBegins);
            sample.mark(Step::ProcedureReturns);
        }
        // Nothing can be wrong with a result that has no bytes.
        let _ = msg::encode_success(&mut turn.out, origin.transport.framing(), xid, &());
        self.answered(origin, turn);
        if let Some(sample) = sample {
            sample.packed(turn.queued(origin.transport));
        }
    }

    /// Makes an admitted message a call of `turn`.
    fn take(
        &self,
        origin: &mut Origin,
        record: &Record,
        batch: &Bytes,
        admitted: &Admitted<'_>,
        turn: &mut Turn,
    ) {
        let Some((service, plan)) = self.services.get(admitted.service) else {
            return;
        };
        let arguments = match record {
            Record::InBatch(range) => Arguments::InBatch(range.start + admitted.args..range.end),
            Record::Assembled(bytes) => Arguments::Own(bytes.slice(admitted.args..)),
        };
        let CallHeader {
            xid,
            procedure,
            credential,
            ..
        } = admitted.header;
        let call = Call {
            xid,
            procedure,
            program: service.program(),
            transport: origin.transport,
            peer: origin.peer,
            local: origin.local,
            credential: match &admitted.caller {
                Caller::Sys(sys) => Credential::Sys(origin.remember(credential.body, sys)),
                Caller::Short(sys) => Credential::Sys(Arc::clone(sys)),
                _ => Credential::None,
            },
            received: origin.received,
            deadline: None,
            connection: origin.connection,
            sample: origin.sample(service.program(), procedure, xid),
        };
        let index = admitted.service;
        match self.remembering(origin, service, procedure) {
            None => turn.calls.push_back(Incoming {
                service: index,
                call,
                arguments,
            }),
            Some(cache) => {
                let arguments = record.bytes(batch).slice(admitted.args..);
                let run = Run {
                    service: service.clone(),
                    plan: plan.clone(),
                    call,
                    arguments,
                };
                cache.once(origin, admitted, run, turn);
            }
        }
    }

    /// The duplicate request cache, if calls of this procedure over this transport are for it.
    fn remembering(
        &self,
        origin: &Origin,
        service: &Registered,
        procedure: u32,
    ) -> Option<&Arc<Cache>> {
        let cache = self.cache.as_ref()?;
        let covered = cache.covers(origin.transport.framing());
        (covered && !service.is_idempotent(procedure)).then_some(cache)
    }

    fn answered(&self, origin: &Origin, turn: &mut Turn) {
        if origin.transport.framing() == Framing::Datagram {
            turn.address(origin.peer, origin.local);
        }
    }
}
