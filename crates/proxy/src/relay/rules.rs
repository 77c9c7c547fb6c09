//! The policy and the records, PDU by PDU.
//!
//! What a client sends is followed in clear headers; what the policy denies gets a fault and goes no further. The audit log has every
//! connection and every denial, and all calls where the configuration asks for them.

use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use farcall_dce::pdu::PacketType;
use farcall_rpch::{Ended, Failure, Load};

use super::half::{Command, Judge, Ruling};
use super::mask;
use super::table::Virtual;
use crate::audit::{Audit, Event, Kind, Shown, Text, Verdict};
use crate::channel::{Asked, Direction};
use crate::config::Calls;
use crate::front::Witness;
use crate::guard::Fault;
use crate::identity::Identity;
use crate::inspect::{self, Act, Back};
use crate::live::{Live, State};
use crate::metrics::{Metrics, Phase, Recycle, Refusal, Way};
use crate::policy::{Ask, Decision, Moment, Pinned, Rates, Reason, Request};
use crate::tap::Tap;

/// Denied calls of one virtual connection; whoever goes on then is cut off, since each answer may have to wait in memory.
const MOST_DENIED: usize = 10_000;

/// What decides and what is written down.
pub struct Services {
    /// The configuration and policy in force.
    pub live: Arc<Live>,
    /// How often what was done.
    pub rates: Rates,
    /// The audit log.
    pub audit: Audit,
    /// What is counted.
    pub metrics: Metrics,
    /// A capture of what is relayed, if there is one.
    pub tap: Option<Tap>,
}

impl Services {
    /// Whether a client may be connected; written down either way.
    pub(super) fn may_connect(
        &self,
        state: &State,
        asked: &Asked,
        pinned: &Pinned,
        ask: Ask,
    ) -> bool {
        let target = &*pinned.name;
        let at = |address: &IpAddr| SocketAddr::new(*address, asked.target.port);
        let request = Request {
            who: &asked.identity,
            source: asked.source.ip(),
            listener: &asked.listener,
            target,
            port: asked.target.port,
            ask,
            at: Moment::now(),
        };
        let decision = state.policy.decide(&request, &self.rates);
        let wanted = asked.target.to_string();
        let words = state.policy.words(&decision).to_string();
        let rule = decision.rule.and_then(|id| state.policy.rule(id));
        self.audit.record(&Event {
            asked: Some(Text(&wanted)),
            target: Some(Text(target)),
            address: pinned.addresses.first().map(at),
            decision: Some(Verdict::of(&decision)),
            rule: rule.map(|rule| Text(&rule.name)),
            reason: Some(Text(&words)),
            ..event(Kind::Connect, asked)
        });
        self.count(&decision, Refusal::Connect);
        decision.allow
    }

    fn count(&self, decision: &Decision, refusal: Refusal) {
        match Verdict::of(decision) {
            Verdict::Allow => {}
            Verdict::WouldDeny => self.metrics.would_deny.one(),
            Verdict::Deny if decision.reason == Reason::Rate => {
                self.metrics.refusals.of(Refusal::Rate).one();
            }
            Verdict::Deny => self.metrics.refusals.of(refusal).one(),
        }
    }

    /// There is no such target.
    pub(super) fn no_target(&self, asked: &Asked, reason: &str) {
        self.metrics.refusals.of(Refusal::Target).one();
        let wanted = asked.target.to_string();
        self.audit.record(&Event {
            asked: Some(Text(&wanted)),
            decision: Some(Verdict::Deny),
            reason: Some(Text(reason)),
            ..event(Kind::Connect, asked)
        });
    }

    /// A client did what no client does.
    pub(super) fn violated(&self, asked: &Asked, why: Refusal, reason: &str) {
        self.metrics.refusals.of(why).one();
        let wanted = asked.target.to_string();
        self.audit.record(&Event {
            asked: Some(Text(&wanted)),
            reason: Some(Text(reason)),
            ..event(Kind::Violation, asked)
        });
    }
}

/// Whether it is a PDU that the server answers with what it has taken.
fn is_bind(pdu: &[u8]) -> bool {
    let kinds = [PacketType::BIND, PacketType::ALTER_CONTEXT];
    pdu.get(2)
        .is_some_and(|kind| kinds.contains(&PacketType(*kind)))
}

fn event(kind: Kind, asked: &Asked) -> Event<'_> {
    let event = Event {
        listener: Some(Text(&asked.listener)),
        source: Some(asked.source.ip()),
        ..Event::new(kind)
    };
    event.by(&asked.identity)
}

/// Judges one half's PDUs.
pub(super) struct Rules {
    services: Arc<Services>,
    shared: Arc<Virtual>,
    direction: Direction,
    denied: usize,
    /// What the metrics have of this half.
    load: Load,
}

impl Rules {
    pub(super) fn new(services: Arc<Services>, shared: Arc<Virtual>, direction: Direction) -> Self {
        shared.advance(&services.metrics, Phase::Reaching);
        Self {
            services,
            shared,
            direction,
            denied: 0,
            load: Load::default(),
        }
    }

    fn of_client(&mut self, pdu: &Bytes) -> Ruling {
        let state = self.services.live.current();
        let at = Moment::now();
        let mut allows = |asked: &inspect::Asked| self.allows(&state, asked, at);
        let act = {
            let mut inspector = self
                .shared
                .inspector
                .lock()
                .unwrap_or_else(PoisonError::into_inner);
            if is_bind(pdu) && !self.shared.hears() {
                inspector.be_alone();
            }
            inspector.client(pdu, at.ticks, &mut allows)
        };
        match act {
            Ok(Act::Forward) => Ruling::Forward,
            Ok(Act::Swallow) => Ruling::Refuse,
            Ok(Act::Mask) => Ruling::Replace(inspect::mask(pdu).into()),
            Ok(Act::Answer(fault)) => {
                self.denied += 1;
                if self.denied > MOST_DENIED {
                    return self.violation("too many denied calls");
                }
                let fault = Bytes::copy_from_slice(&fault);
                match self.shared.tell(Direction::Out, Command::Inject(fault)) {
                    true => Ruling::Refuse,
                    // Nobody here can answer; the server can, and must not see what was denied.
                    false => self.mask(pdu),
                }
            }
            Err(violation) => self.violation(violation.0),
        }
    }

    fn mask(&self, pdu: &Bytes) -> Ruling {
        let Some(masked) = mask::mask(pdu) else {
            return Ruling::Violation;
        };
        let inspector = self.shared.inspector.lock();
        inspector
            .unwrap_or_else(PoisonError::into_inner)
            .left_to_server();
        Ruling::Replace(masked)
    }

    fn of_server(&self, pdu: &Bytes) -> Ruling {
        if !self.shared.is_followed() {
            return Ruling::Forward;
        }
        let back = {
            let mut inspector = self
                .shared
                .inspector
                .lock()
                .unwrap_or_else(PoisonError::into_inner);
            inspector.server(pdu)
        };
        match back {
            Ok(Back::Nothing) => Ruling::Forward,
            Ok(Back::Denied) => Ruling::Replace(inspect::denied(pdu).into()),
            Ok(Back::Ended(ended)) => {
                self.ended_call(&ended);
                Ruling::Forward
            }
            Err(violation) => self.violation(violation.0),
        }
    }

    fn ended_call(&self, ended: &inspect::Ended) {
        let metrics = &self.services.metrics;
        if ended.fault.is_some() {
            metrics.faults.one();
        }
        let ticks = Moment::now().ticks.saturating_sub(ended.call.since);
        let took = Duration::from_nanos(ticks);
        metrics.latency.took(took);
        let state = self.services.live.current();
        if state.config.audit.calls == Calls::All {
            self.record_end(&state, ended, took);
        }
    }

    fn record_end(&self, state: &State, ended: &inspect::Ended, took: Duration) {
        let call = &ended.call;
        let uuid = call.interface.uuid;
        let name = state.names.interface(uuid);
        self.services.audit.record(&Event {
            interface: Some(Shown(uuid)),
            interface_name: Some(Text(&name)),
            opnum: Some(call.opnum),
            operation: state.names.operation(uuid, call.opnum).map(Text),
            call: Some(call.call_id),
            status: ended.fault,
            bytes_in: Some(call.sent),
            bytes_out: Some(call.received),
            micros: u64::try_from(took.as_micros()).ok(),
            ..self.event(Kind::Return)
        });
    }

    fn allows(&self, state: &State, asked: &inspect::Asked, at: Moment) -> bool {
        let shared = &self.shared;
        let request = Request {
            who: &shared.identity,
            source: shared.source.ip(),
            listener: &shared.listener,
            target: &shared.target_name,
            port: shared.target.port,
            ask: asked.ask,
            at,
        };
        let decision = state.policy.decide(&request, &self.services.rates);
        let (kind, refusal) = match asked.ask {
            Ask::Call { .. } => (Kind::Call, Refusal::Call),
            _ => (Kind::Bind, Refusal::Bind),
        };
        self.services.count(&decision, refusal);
        if !decision.allow {
            shared.denied.fetch_add(1, Ordering::Relaxed);
        } else if kind == Kind::Call {
            shared.calls.fetch_add(1, Ordering::Relaxed);
            self.services.metrics.calls.one();
        }
        let plain = Verdict::of(&decision) == Verdict::Allow && decision.noted.is_none();
        if !plain || state.config.audit.calls == Calls::All {
            self.record(state, asked, &decision, kind);
        }
        decision.allow
    }

    fn record(&self, state: &State, asked: &inspect::Asked, decision: &Decision, kind: Kind) {
        let interface = asked.ask.interface().map(|it| it.uuid);
        let name = interface.map(|uuid| state.names.interface(uuid));
        let opnum = asked.ask.opnum();
        let operation = interface
            .zip(opnum)
            .and_then(|(uuid, opnum)| state.names.operation(uuid, opnum));
        let words = state.policy.words(decision).to_string();
        let rule = |id| state.policy.rule(id).map(|rule| Text(&rule.name));
        self.services.audit.record(&Event {
            interface: interface.map(Shown),
            interface_name: name.as_deref().map(Text),
            opnum,
            operation: operation.map(Text),
            call: Some(asked.call_id),
            level: asked.ask.level().map(Shown),
            decision: Some(Verdict::of(decision)),
            rule: decision.rule.and_then(rule),
            reason: Some(Text(&words)),
            noted: decision.noted.and_then(rule),
            ..self.event(kind)
        });
    }

    fn event(&self, kind: Kind) -> Event<'_> {
        let shared = &self.shared;
        let event = Event {
            connection: Some(shared.number),
            listener: Some(Text(&shared.listener)),
            source: Some(shared.source.ip()),
            target: Some(Text(&shared.target_name)),
            ..Event::new(kind)
        };
        event.by(&shared.identity)
    }

    /// The way of what this half carries, and its place in pairs.
    const fn way(&self) -> (Way, usize) {
        match self.direction {
            Direction::In => (Way::In, 0),
            Direction::Out => (Way::Out, 1),
        }
    }

    fn violation(&self, reason: &str) -> Ruling {
        self.services.metrics.refusals.of(Refusal::Protocol).one();
        self.services.audit.record(&Event {
            reason: Some(Text(reason)),
            ..self.event(Kind::Violation)
        });
        Ruling::Violation
    }
}

impl Judge for Rules {
    fn judge(&mut self, pdu: &Bytes) -> Ruling {
        let (way, at) = self.way();
        let len = u64::try_from(pdu.len()).unwrap_or(u64::MAX);
        self.services.metrics.bytes.of(way).add(len);
        if let Some(counted) = self.shared.bytes.get(at) {
            counted.fetch_add(len, Ordering::Relaxed);
        }
        if let Some(tap) = &self.services.tap {
            let mut flow = self
                .shared
                .flow
                .lock()
                .unwrap_or_else(PoisonError::into_inner);
            if let Some(flow) = flow.as_mut() {
                tap.write(flow, way, pdu);
            }
        }
        match self.direction {
            Direction::In => self.of_client(pdu),
            Direction::Out => self.of_server(pdu),
        }
    }

    fn reached(&mut self) {
        self.shared.advance(&self.services.metrics, Phase::Pairing);
    }

    fn unreached(&mut self) {
        let refusals = &self.services.metrics.refusals;
        refusals.of(Refusal::Unreachable).one();
    }

    fn opened(&mut self) {
        self.shared.advance(&self.services.metrics, Phase::Open);
        if self.direction == Direction::In {
            let metrics = &self.services.metrics;
            metrics.opened.one();
            metrics.setup.took(self.shared.since.elapsed());
        }
    }

    fn recycled(&mut self) {
        let recycles = &self.services.metrics.recycles;
        recycles.of(Recycle::same(self.way().0)).one();
        if let Some(fill) = self.shared.ways.get(self.way().1) {
            fill.recycled.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn load(&mut self, load: Load, left: u64) {
        let (way, at) = self.way();
        let metrics = &self.services.metrics;
        let more = |now: u32, before: u32| i64::from(now) - i64::from(before);
        if load != self.load {
            let queued = more(load.queued, self.load.queued);
            metrics.queued.of(way).add(queued);
            let window = more(load.window, self.load.window);
            metrics.windows.of(way).add(window);
            if load.stalled && !self.load.stalled {
                metrics.stalls.of(way).one();
            }
            self.load = load;
        }
        if let Some(fill) = self.shared.ways.get(at) {
            fill.window.store(load.window.into(), Ordering::Relaxed);
            fill.queued.store(load.queued.into(), Ordering::Relaxed);
            fill.lifetime.store(left, Ordering::Relaxed);
        }
    }

    fn ended(&mut self, ended: &Ended, why: Option<&'static str>) {
        if self.direction == Direction::In {
            self.shared.hand_over(*ended == Ended::HandedOver);
        }
        let reason = match (ended, why) {
            (_, Some(why)) => why.to_owned(),
            (Ended::HandedOver, None) => "handed over to another proxy".to_owned(),
            (Ended::Failed(failure), None) => failure.to_string(),
        };
        let refusal = match ended {
            Ended::Failed(Failure::TimedOut(_)) => Some(Refusal::Timeout),
            Ended::Failed(
                Failure::Rts(_)
                | Failure::Header(_)
                | Failure::Unexpected { .. }
                | Failure::Violation(_),
            ) => Some(Refusal::Protocol),
            _ => None,
        };
        if let Some(refusal) = refusal {
            self.services.metrics.refusals.of(refusal).one();
        }
        let [sent, received] = self.shared.counted();
        let micros = u64::try_from(self.shared.since.elapsed().as_micros()).ok();
        self.services.audit.record(&Event {
            asked: Some(Text(self.direction.word())),
            reason: Some(Text(&reason)),
            bytes_in: Some(sent),
            bytes_out: Some(received),
            micros,
            ..self.event(Kind::Close)
        });
    }

    fn gone(&mut self, last: bool) {
        self.load(Load::default(), 0);
        if last {
            self.shared.over(&self.services.metrics);
        }
    }
}

impl Witness for Services {
    fn came(&self) {
        self.metrics.accepted.one();
        self.metrics.connections.add(1);
    }

    fn went(&self) {
        self.metrics.connections.add(-1);
    }

    fn phase(&self, phase: Phase, by: i64) {
        self.metrics.phases.of(phase).add(by);
    }

    fn crowded(&self, listener: &str, source: IpAddr) {
        self.metrics.refusals.of(Refusal::Limit).one();
        tracing::info!(listener, %source, "too many connections");
    }

    fn doubtful(&self, listener: &str, source: IpAddr, fault: Fault) {
        self.metrics.refusals.of(Refusal::Guard).one();
        self.audit.record(&Event {
            listener: Some(Text(listener)),
            source: Some(source),
            reason: Some(Text(fault.reason())),
            ..Event::new(Kind::Violation)
        });
    }

    fn unproved(&self, listener: &str, source: IpAddr, failed: &crate::auth::Failed) {
        let locked = failed.reason.ends_with("was wrong too often");
        let (kind, refusal) = match locked {
            true => (Kind::Lockout, Refusal::Lockout),
            false => (Kind::Login, Refusal::Login),
        };
        self.metrics.refusals.of(refusal).one();
        self.audit.record(&Event {
            listener: Some(Text(listener)),
            source: Some(source),
            user: failed.claimed.as_deref().map(Text),
            authentication: failed.kind.map(crate::identity::AuthKind::word),
            decision: Some(Verdict::Deny),
            reason: Some(Text(&failed.reason)),
            ..Event::new(kind)
        });
    }

    fn proved(&self, listener: &str, source: IpAddr, identity: &Identity) {
        self.metrics.logins.of(identity.kind).one();
        let event = Event {
            listener: Some(Text(listener)),
            source: Some(source),
            decision: Some(Verdict::Allow),
            ..Event::new(Kind::Login)
        };
        self.audit.record(&event.by(identity));
    }

    fn refused(
        &self,
        listener: &str,
        source: IpAddr,
        identity: Option<&Identity>,
        asked: &str,
        reason: &str,
    ) {
        self.metrics.refusals.of(Refusal::Target).one();
        let event = Event {
            listener: Some(Text(listener)),
            source: Some(source),
            asked: Some(Text(asked)),
            decision: Some(Verdict::Deny),
            reason: Some(Text(reason)),
            ..Event::new(Kind::Connect)
        };
        self.audit.record(&match identity {
            Some(identity) => event.by(identity),
            None => event,
        });
    }
}
