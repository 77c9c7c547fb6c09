//! The policy and the records, PDU by PDU.
//!
//! What a client sends is followed in clear headers; what the policy denies gets a fault and goes no further. The audit log has every
//! connection and every denial, and all calls where the configuration asks for them.

use std::net::IpAddr;
use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError};

use bytes::Bytes;
use farcall_rpch::Ended;

use super::half::{Command, Judge, Ruling};
use super::table::Virtual;
use crate::audit::{Audit, Event, Kind, Shown, Text, Verdict};
use crate::channel::{Asked, Direction};
use crate::config::Calls;
use crate::front::Witness;
use crate::guard::Fault;
use crate::identity::Identity;
use crate::inspect::{self, Act, Back};
use crate::live::{Live, State};
use crate::metrics::{Metrics, Refusal, Way};
use crate::policy::{Ask, Decision, Moment, Rates, Reason, Request};
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
    pub(super) fn may_connect(&self, state: &State, asked: &Asked, target: &str, ask: Ask) -> bool {
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
    pub(super) fn violated(&self, asked: &Asked, reason: &str) {
        self.metrics.refusals.of(Refusal::Protocol).one();
        let wanted = asked.target.to_string();
        self.audit.record(&Event {
            asked: Some(Text(&wanted)),
            reason: Some(Text(reason)),
            ..event(Kind::Violation, asked)
        });
    }
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
}

impl Rules {
    pub(super) fn new(services: Arc<Services>, shared: Arc<Virtual>, direction: Direction) -> Self {
        Self {
            services,
            shared,
            direction,
            denied: 0,
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
            inspector.client(pdu, at.ticks, &mut allows)
        };
        match act {
            Ok(Act::Forward) => Ruling::Forward,
            Ok(Act::Swallow) => Ruling::Refuse,
            Ok(Act::Answer(fault)) => {
                self.denied += 1;
                if self.denied > MOST_DENIED {
                    return self.violation("too many denied calls");
                }
                let fault = Bytes::copy_from_slice(&fault);
                match self.shared.tell(Direction::Out, Command::Inject(fault)) {
                    true => Ruling::Refuse,
                    // Nobody here can answer: what was denied must still not pass in silence.
                    false => Ruling::Violation,
                }
            }
            Err(violation) => self.violation(violation.0),
        }
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
        metrics.latency.took(std::time::Duration::from_nanos(ticks));
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
        let (way, at) = match self.direction {
            Direction::In => (Way::In, 0),
            Direction::Out => (Way::Out, 1),
        };
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

    fn opened(&mut self) {
        self.shared.opened.store(true, Ordering::Relaxed);
        if self.direction == Direction::In {
            self.services.metrics.opened.one();
            self.services
                .metrics
                .setup
                .took(self.shared.since.elapsed());
        }
    }

    fn ended(&mut self, ended: &Ended) {
        let reason = match ended {
            Ended::HandedOver => "handed over to another proxy".to_owned(),
            Ended::Failed(failure) => failure.to_string(),
        };
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
}

impl Witness for Services {
    fn came(&self) {
        self.metrics.accepted.one();
        self.metrics.connections.add(1);
    }

    fn went(&self) {
        self.metrics.connections.add(-1);
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
