//! What all connections of a server share: the services, the limits, the stage of life, and the
//! admission of messages.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Waker;

use bytes::Bytes;
use farcall_onc::auth::Flavor;
use farcall_onc::auth::{ShortConfig, ShortTable};
use farcall_onc::gss::Arrived;
use farcall_onc::msg::{self, CallHeader, Framing, ReplyBody};
use farcall_onc::record::Record;
use farcall_onc::server::{Admission, Admitted, Caller, Plain, Registry};
use farcall_onc::tls::{self, Judgement, Terms};
use tokio::sync::watch;

use super::armor::{self, Armor};
use super::guarded::{Guarding, Kept, Ruling, is_guarded};
use super::lane::Lanes;
use super::mailbox::{Inbox, Target};
use super::once::{Cache, DuplicateRequests, Run};
use super::origin::Origin;
use crate::call::{Call, Callee, Credential, Proved, Refuse};
use crate::client::back::Back;
use crate::client::seed;
use crate::limits::Limits;
use crate::operations::Hook;
use crate::steps::recorder::Recorder;
use crate::steps::step::Step;
use crate::stub::{Hosted, Plan, Slot};
use crate::turn::{self, Arguments, Incoming, Turn};

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
    pub(crate) services: Vec<(Hosted, Plan)>,
    cache: Option<Arc<Cache>>,
    /// Security contexts, if callers may have any.
    guarding: Option<Arc<Guarding>>,
    /// TLS, if it is offered.
    #[cfg(feature = "tls")]
    pub(crate) secure: Option<crate::tls::Secure>,
    /// Shorter credentials that were issued, if they are.
    shorts: Option<Mutex<ShortTable>>,
    pub(crate) recorder: Option<Recorder>,
    /// Threads for busy connections.
    pub(crate) lanes: Lanes,
    /// Threads for busy UDP sockets.
    pub(crate) socket_lanes: Lanes,
    stage: AtomicU8,
    /// Wakes whoever waits for the next stage.
    stages: watch::Sender<Stage>,
    connections: AtomicU64,
    /// Whom to wake when the stage changes, by connection.
    wakers: Mutex<HashMap<u64, Waker>>,
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
        services: Vec<Hosted>,
        duplicates: DuplicateRequests,
        recorder: Option<Recorder>,
        (authorize, shorts): (Option<Hook>, Option<ShortConfig>),
        lanes: usize,
    ) -> Self {
        let wire = limits.wire();
        let services = services
            .into_iter()
            .zip(0..)
            .map(|(service, index)| {
                let plan = service.plan(index, wire, authorize.clone());
                (service, plan)
            })
            .collect();
        Self {
            limits,
            registry,
            services,
            cache: Cache::new(duplicates),
            guarding: None,
            #[cfg(feature = "tls")]
            secure: None,
            shorts: shorts.map(|config| Mutex::new(ShortTable::new(config, seed()))),
            recorder,
            lanes: Lanes::new(lanes),
            socket_lanes: Lanes::new(lanes),
            stage: AtomicU8::new(0),
            stages: watch::Sender::new(Stage::Serving),
            connections: AtomicU64::new(1),
            wakers: Mutex::default(),
        }
    }

    /// Callers may prove who they are, as this says.
    pub(crate) fn guard(&mut self, guarding: Option<Arc<Guarding>>) {
        self.guarding = guarding;
    }

    /// Whether TLS is offered on a connection, or demanded. Without connections there is none: what must be protected
    /// is refused there.
    pub(crate) fn terms(&self, framing: Framing) -> Terms {
        #[cfg(feature = "tls")]
        if let Some(secure) = &self.secure {
            use crate::tls::Policy;
            return match (secure.policy, framing) {
                (Policy::Off, _) | (Policy::Opportunistic, Framing::Datagram) => Terms::Unoffered,
                (Policy::Opportunistic, Framing::Stream) => Terms::Offered,
                (Policy::Require | Policy::RequireMutual, _) => Terms::Demanded,
            };
        }
        let _ = framing;
        Terms::Unoffered
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
        self.wakers().values().for_each(Waker::wake_by_ref);
    }

    /// A connection wants to be woken when the stage changes. It looks at the stage afterwards.
    pub(crate) fn watch(&self, connection: u64, waker: &Waker) {
        self.wakers().insert(connection, waker.clone());
    }

    /// A connection is gone.
    pub(crate) fn unwatch(&self, connection: u64) {
        self.wakers().remove(&connection);
    }

    fn wakers(&self) -> MutexGuard<'_, HashMap<u64, Waker>> {
        self.wakers.lock().unwrap_or_else(PoisonError::into_inner)
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
        let wanted = self.remembers(origin) || self.guarding.is_some();
        let (mailbox, inbox) = wanted.then(Inbox::new)?;
        origin.mailbox = Some(mailbox);
        Some(inbox)
    }

    /// Whether the duplicate request cache has to see calls over this transport.
    fn remembers(&self, origin: &Origin) -> bool {
        let framing = origin.source.transport.framing();
        let cache = self.cache.as_ref();
        cache.is_some_and(|cache| cache.covers(framing))
    }

    /// Sets `slot` to work for a service.
    #[inline]
    pub(crate) fn begin(&self, service: u32, slot: &mut Slot) {
        if let Some((service, plan)) = self.services.get(service as usize) {
            service.work(plan, slot);
        }
    }

    /// Judges one message: it becomes a call of `turn`, a reply in it, or nothing.
    #[inline]
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
        if let Some(plain) = origin.habit.as_ref().and_then(|h| h.recognise(message)) {
            self.take_plain(origin, record, plain, turn);
            return Verdict::Taken;
        }
        self.judge(origin, record, batch, message, turn)
    }

    /// Makes a call like the last one a call of `turn`.
    #[inline]
    fn take_plain(&self, origin: &mut Origin, record: &Record, plain: Plain, turn: &mut Turn) {
        let Plain {
            xid,
            procedure,
            service,
        } = plain;
        if procedure == 0 {
            return self.null(origin, xid, service, turn);
        }
        let sample = match self.services.get(service) {
            Some((service, _)) if origin.is_sampled() => {
                origin.sample(service.program(), procedure, xid)
            }
            _ => None,
        };
        turn.calls.push_back(Incoming {
            // Services are counted in 32 bits: see `new`.
            service: u32::try_from(service).unwrap_or(u32::MAX),
            xid,
            procedure,
            credential: Credential::None,
            short: None,
            sample,
            arguments: place(record, Plain::ARGUMENTS, origin),
        });
    }

    /// Judges a message that is not like the last one.
    fn judge(
        &self,
        origin: &mut Origin,
        record: &Record,
        batch: &Bytes,
        message: &[u8],
        turn: &mut Turn,
    ) -> Verdict {
        if is_reply(message)
            && let Some(back) = turn.line.as_deref().and_then(Back::of)
        {
            back.receive(record, batch);
            return Verdict::Taken;
        }
        if (!origin.gate.is_open() || is_tls_probe(message))
            && let Some(verdict) = self.stop(origin, message, turn)
        {
            return verdict;
        }
        if let Some(guarding) = self.guarding.as_ref().filter(|_| is_guarded(message))
            && let Ok((header, args)) = msg::parse_call(message)
        {
            self.judge_guarded(guarding, origin, message, &header, args, turn);
            return Verdict::Taken;
        }
        let framing = origin.source.transport.framing();
        let now = origin.source.received;
        let admission = self.registry.admit(message, framing, |handle| {
            let shorts = self.shorts.as_ref()?;
            lock(shorts).accept(now, handle)
        });
        // Calls that the duplicate request cache has to see are not taken like this.
        if !self.remembers(origin)
            && origin.gate.is_open()
            && matches!(admission, Admission::Call(_) | Admission::Null { .. })
        {
            origin.habit = self.registry.habit(message).or(origin.habit);
        }
        match admission {
            Admission::Call(admitted) => self.take(origin, record, batch, &admitted, turn),
            Admission::Null { xid, service } => self.null(origin, xid, service, turn),
            Admission::Answer { xid, body } => {
                tracing::debug!(peer = %origin.source.peer, xid, %body, "call refused");
                turn.refuse(origin.source.transport, xid, body);
                self.answered(origin, turn);
            }
            Admission::Silent(fault) => {
                tracing::trace!(peer = %origin.source.peer, ?fault, "ignored")
            }
            Admission::Close(fault) => return Verdict::Close(format!("{fault:?}")),
        }
        Verdict::Taken
    }

    /// Answers what is a matter of TLS; nothing if the message goes on as any other.
    #[cold]
    fn stop(&self, origin: &mut Origin, message: &[u8], turn: &mut Turn) -> Option<Verdict> {
        let transport = origin.source.transport;
        if transport.framing() == Framing::Datagram && is_tls_probe(message) {
            // DTLS is not spoken.
            return None;
        }
        let behind = turn.at < turn.batch.len();
        let alone = !behind && !origin.occupied && turn.calls.is_empty();
        match origin.gate.judge(message, &self.registry, alone) {
            Judgement::Pass => None,
            Judgement::Answer { xid, body } => {
                tracing::debug!(peer = %origin.source.peer, xid, %body, "call refused");
                turn.refuse(transport, xid, body);
                self.answered(origin, turn);
                Some(Verdict::Taken)
            }
            Judgement::Start { xid } => {
                let (peer, local) = (origin.source.peer, origin.source.local);
                let message = Bytes::copy_from_slice(&tls::accepted(xid));
                turn.put_message(transport, peer, local, &message);
                Some(Verdict::Taken)
            }
            Judgement::Close => {
                let why = "something in clear is beside the TLS probe".to_owned();
                Some(Verdict::Close(why))
            }
        }
    }

    /// Judges a call under `RPCSEC_GSS`.
    fn judge_guarded(
        &self,
        guarding: &Arc<Guarding>,
        origin: &mut Origin,
        message: &[u8],
        header: &CallHeader<'_>,
        args: usize,
        turn: &mut Turn,
    ) {
        let (source, mailbox) = (origin.source, origin.mailbox.clone());
        let target = || Some(Target::new(mailbox?, source.peer, source.local));
        match guarding.rule(source.received, message, header, args, target) {
            Ruling::Call(arrived) => self.take_guarded(origin, header, &arrived, turn),
            Ruling::Answer(message) => {
                turn.put_message(source.transport, source.peer, source.local, &message);
            }
            Ruling::Refuse(body) => {
                tracing::debug!(peer = %source.peer, xid = header.xid, %body, "call refused");
                turn.refuse(source.transport, header.xid, body);
                self.answered(origin, turn);
            }
            Ruling::Nothing => {}
        }
    }

    /// Runs a call under `RPCSEC_GSS`, as a task of its own.
    fn take_guarded(
        &self,
        origin: &mut Origin,
        header: &CallHeader<'_>,
        arrived: &Arrived<'_>,
        turn: &mut Turn,
    ) {
        let (program, version) = (header.program, header.version);
        let located = self.registry.locate(program, version, arrived.service);
        let refused = match located {
            Ok(index) if header.procedure != 0 => {
                self.run_guarded(origin, header, arrived, index, turn).err()
            }
            Ok(_) => Some(ReplyBody::Success),
            Err(body) => Some(body),
        };
        let Some(body) = refused else { return };
        let source = origin.source;
        let reply = armor::bare(header.xid, body);
        if let Some(reply) = reply.and_then(|reply| Armor::from(arrived).dress(&reply)) {
            turn.put_message(source.transport, source.peer, source.local, &reply);
        }
    }

    /// Runs a call of a service, unless its caller may not make it.
    fn run_guarded(
        &self,
        origin: &mut Origin,
        header: &CallHeader<'_>,
        arrived: &Arrived<'_>,
        index: usize,
        turn: &mut Turn,
    ) -> Result<(), ReplyBody> {
        let place = self.services.get(index).zip(origin.mailbox.clone());
        let ((service, plan), mailbox) = place.ok_or(ReplyBody::SystemErr)?;
        let (caller, armor) = (arrived.held.principal().clone(), Armor::from(arrived));
        let proved = Proved {
            principal: caller.clone(),
            service: arrived.service,
        };
        let call = Call {
            xid: header.xid,
            procedure: header.procedure,
            callee: Callee::Program(service.program()),
            source: origin.source,
            credential: Credential::Gss(Arc::new(proved)),
            deadline: None,
            sample: origin.sample(service.program(), header.procedure, header.xid),
            short: None,
            line: turn.line.clone(),
        };
        plan.authorize(&call).map_err(|refuse| refuse.body())?;
        let run = Run {
            service: service.clone(),
            plan: plan.clone(),
            call,
            arguments: Bytes::copy_from_slice(&arrived.arguments),
        };
        if let Some(cache) = self.remembering(origin, service, header.procedure) {
            let admitted = Admitted {
                header: *header,
                caller: Caller::Proved(caller),
                args: 0,
                service: index,
            };
            cache.once(origin, &admitted, run, Some(armor), turn);
            return Ok(());
        }
        let (peer, local) = (origin.source.peer, origin.source.local);
        let target = Target::new(mailbox.clone(), peer, local);
        let kept = Kept::new(mailbox, run.arguments.len());
        run.spawn(target.armored(Some(armor)), kept);
        Ok(())
    }

    /// Answers procedure 0, which every program has.
    fn null(&self, origin: &Origin, xid: u32, service: usize, turn: &mut Turn) {
        let program = self.services.get(service).map(|(s, _)| {
            s.count_null();
            s.program()
        });
        let sample = program.and_then(|program| origin.sample(program, 0, xid));
        if let Some(sample) = &sample {
            sample.mark(Step::ProcedureBegins);
            sample.mark(Step::ProcedureReturns);
        }
        // Nothing can be wrong with a result that has no bytes.
        let _ = msg::encode_success(&mut turn.out, origin.source.transport.framing(), xid, &());
        self.answered(origin, turn);
        if let Some(sample) = sample {
            sample.packed(turn.queued(origin.source.transport));
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
        let CallHeader {
            xid,
            procedure,
            credential,
            ..
        } = admitted.header;
        let credential = match &admitted.caller {
            Caller::None => Credential::None,
            Caller::Sys(sys) => Credential::Sys(origin.remember(credential.body, sys)),
            Caller::Short(sys) => Credential::Sys(Arc::clone(sys)),
            _ => return,
        };
        let sample = origin.sample(service.program(), procedure, xid);
        let short = match (&admitted.caller, &self.shorts, &credential) {
            (Caller::Sys(_), Some(shorts), Credential::Sys(sys)) => {
                let issued = lock(shorts).issue(origin.source.received, sys);
                issued.map(Arc::new)
            }
            _ => None,
        };
        if let Some(cache) = self.remembering(origin, service, procedure) {
            let call = Call {
                xid,
                procedure,
                callee: Callee::Program(service.program()),
                source: origin.source,
                credential,
                deadline: None,
                sample,
                short,
                line: turn.line.clone(),
            };
            if let Err(refuse) = plan.authorize(&call) {
                return self.refuse(origin, xid, &refuse, turn);
            }
            let arguments = turn::apart(record.bytes(batch).slice(admitted.args..));
            let run = Run {
                service: service.clone(),
                plan: plan.clone(),
                call,
                arguments,
            };
            return cache.once(origin, admitted, run, None, turn);
        }
        let arguments = place(record, admitted.args, origin);
        let service = plan.index;
        turn.calls.push_back(Incoming {
            service,
            xid,
            procedure,
            credential,
            short,
            sample,
            arguments,
        });
    }

    /// Answers a call that its caller may not make.
    fn refuse(&self, origin: &Origin, xid: u32, refuse: &Refuse, turn: &mut Turn) {
        tracing::debug!(peer = %origin.source.peer, xid, %refuse, "call refused");
        if !matches!(refuse, Refuse::NoReply) {
            turn.refuse(origin.source.transport, xid, refuse.body());
            self.answered(origin, turn);
        }
    }

    /// The duplicate request cache, if calls of this procedure over this transport are for it.
    fn remembering(
        &self,
        origin: &Origin,
        service: &Hosted,
        procedure: u32,
    ) -> Option<&Arc<Cache>> {
        let cache = self.cache.as_ref()?;
        let covered = cache.covers(origin.source.transport.framing());
        (covered && !service.is_idempotent(procedure)).then_some(cache)
    }

    fn answered(&self, origin: &Origin, turn: &mut Turn) {
        if origin.source.transport.framing() == Framing::Datagram {
            turn.address(origin.source.peer, origin.source.local);
        }
    }
}

fn lock(shorts: &Mutex<ShortTable>) -> MutexGuard<'_, ShortTable> {
    // Nothing panics while it is held.
    shorts.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Whether a message is a reply (RFC 5531 section 9: the second word).
fn is_reply(message: &[u8]) -> bool {
    message.get(4..8) == Some(&[0, 0, 0, 1])
}

/// Whether a call has the flavour of the TLS probe (RFC 9289 section 4.1: the seventh word).
fn is_tls_probe(message: &[u8]) -> bool {
    message.get(24..28) == Some(&Flavor::TLS.0.to_be_bytes())
}

/// Where the arguments lie that begin at `at` in a record.
#[inline]
fn place(record: &Record, at: usize, origin: &Origin) -> Arguments {
    if let Record::InBatch(range) = record
        && let (Ok(from), Ok(to)) = (u32::try_from(range.start + at), u32::try_from(range.end))
    {
        return Arguments::InBatch(from, to);
    }
    place_alone(record, at, origin)
}

#[inline(never)]
fn place_alone(record: &Record, at: usize, origin: &Origin) -> Arguments {
    let bytes = match record {
        Record::Assembled(bytes) => bytes.slice(at..),
        // A batch is never that long: it is one read.
        Record::InBatch(_) => Bytes::new(),
    };
    Arguments::Own(Box::new((bytes, origin.source)))
}
