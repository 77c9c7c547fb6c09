//! The policy, and how it decides.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};

use jiff::tz::TimeZone;

use crate::config::value::Counted;
use crate::config::{Action, Mode};
use crate::policy::rates::Rates;
use crate::policy::request::{Ask, Decision, Reason, Request, RuleId};
use crate::policy::rule::{Judged, Local, Rule};

/// A policy, made of a configuration by [`compile`](crate::policy::compile()).
#[derive(Debug)]
pub struct Policy {
    pub(crate) rules: Box<[Rule]>,
    pub(crate) hits: Box<[AtomicU64]>,
    pub(crate) zone: TimeZone,
    pub(crate) mode: Mode,
}

impl Policy {
    pub(crate) fn new(rules: Vec<Rule>, zone: TimeZone, mode: Mode) -> Self {
        Self {
            hits: rules.iter().map(|_| AtomicU64::new(0)).collect(),
            rules: rules.into(),
            zone,
            mode,
        }
    }

    /// The rules in order.
    #[must_use]
    pub fn rules(&self) -> &[Rule] {
        &self.rules
    }

    /// A rule.
    #[must_use]
    pub fn rule(&self, id: RuleId) -> Option<&Rule> {
        self.rules.get(usize::try_from(id.0).ok()?)
    }

    /// Each rule's name and how often it has decided.
    pub fn hits(&self) -> impl Iterator<Item = (&str, u64)> {
        let counts = self.hits.iter().map(|count| count.load(Ordering::Relaxed));
        self.rules.iter().map(|rule| &*rule.name).zip(counts)
    }

    /// Rules that never decide, each with the one above it that does; as far as that is plain to see.
    pub fn unreachable(&self) -> impl Iterator<Item = (RuleId, RuleId)> {
        let ids = || (0..).map(RuleId).zip(&self.rules);
        ids().filter_map(move |(id, rule)| {
            let mut above = ids().take_while(move |(above, _)| *above < id);
            let (above, _) = above.find(|(_, above)| above.covers(rule))?;
            Some((id, above))
        })
    }

    /// Whether denials are only recorded.
    #[must_use]
    pub fn only_records(&self) -> bool {
        self.mode == Mode::Audit
    }

    /// Decides, and counts what a rate counts.
    #[must_use]
    pub fn decide(&self, request: &Request<'_>, rates: &Rates) -> Decision {
        let decision = self.verdict(request, Some(rates));
        if let Some(id) = decision.rule
            && !matches!(decision.reason, Reason::Nearly(_))
            && let Ok(at) = usize::try_from(id.0)
            && let Some(count) = self.hits.get(at)
        {
            count.fetch_add(1, Ordering::Relaxed);
        }
        decision
    }

    /// Decides without counting, and says what each rule said.
    #[must_use]
    pub fn explain(&self, request: &Request<'_>) -> Explanation {
        let local = Local::new(&self.zone, request.at.unix);
        let judged = (0..).map(RuleId).zip(&self.rules);
        let seen = judged.map(|(rule, it)| Seen {
            rule,
            judged: it.judge(request, &local),
        });
        Explanation {
            seen: seen.collect(),
            decision: self.verdict(request, None),
        }
    }

    fn verdict(&self, request: &Request<'_>, rates: Option<&Rates>) -> Decision {
        let local = Local::new(&self.zone, request.at.unix);
        let (mut noted, mut nearly) = (None, None);
        for (id, rule) in (0..).map(RuleId).zip(&self.rules) {
            let judged = rule.judge(request, &local);
            match judged {
                Judged::No(_) => continue,
                Judged::Nearly(condition) => {
                    if rule.action == Action::Allow && rule.mode == Mode::Enforce {
                        nearly = nearly.or(Some((id, condition)));
                    }
                    continue;
                }
                // What is not known yet may turn out not to be denied.
                Judged::Later if rule.action == Action::Deny => continue,
                Judged::Later | Judged::Yes => {}
            }
            if rule.mode == Mode::Audit {
                noted = noted.or(Some(id));
                continue;
            }
            let (verdict, reason) = said(rule, judged, request, rates);
            return self.decided(verdict, Some(id), reason, noted);
        }
        match nearly {
            Some((id, condition)) => {
                self.decided(false, Some(id), Reason::Nearly(condition), noted)
            }
            None => self.decided(false, None, Reason::NoRule, noted),
        }
    }

    fn decided(
        &self,
        verdict: bool,
        rule: Option<RuleId>,
        reason: Reason,
        noted: Option<RuleId>,
    ) -> Decision {
        Decision {
            allow: verdict || self.only_records(),
            verdict,
            rule,
            reason,
            noted,
        }
    }

    /// A decision's reason in words.
    #[must_use]
    pub fn words<'a>(&'a self, decision: &Decision) -> Words<'a> {
        Words {
            rule: decision.rule.and_then(|id| self.rule(id)),
            reason: decision.reason,
        }
    }
}

/// What a rule that matches says.
fn said(
    rule: &Rule,
    judged: Judged,
    request: &Request<'_>,
    rates: Option<&Rates>,
) -> (bool, Reason) {
    if rule.action == Action::Deny {
        return (false, Reason::Rule);
    }
    let counted = match request.ask {
        Ask::Connect => Some(Counted::Connections),
        Ask::Bind { .. } => None,
        Ask::Call { .. } => Some(Counted::Calls),
    };
    if let (Some(rate), Some(rates)) = (&rule.rate, rates)
        && Some(rate.counted) == counted
        && !rates.take(
            &rule.name,
            rate,
            request.who,
            request.source,
            request.at.ticks,
        )
    {
        return (false, Reason::Rate);
    }
    match judged {
        Judged::Later => (true, Reason::MayAllow),
        _ => (true, Reason::Rule),
    }
}

/// What every rule said of a request, and what came of it. Rates are not counted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Explanation {
    /// Each rule, in order.
    pub seen: Vec<Seen>,
    /// What was decided.
    pub decision: Decision,
}

/// What one rule said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Seen {
    /// The rule.
    pub rule: RuleId,
    /// What it said.
    pub judged: Judged,
}

impl Explanation {
    /// Rules behind the one that decided that would have matched as well.
    pub fn later(&self) -> impl Iterator<Item = RuleId> {
        let decided = match self.decision.reason {
            Reason::Rule | Reason::MayAllow | Reason::Rate => self.decision.rule,
            Reason::NoRule | Reason::Nearly(_) => None,
        };
        let behind = self
            .seen
            .iter()
            .filter(move |it| decided.is_some_and(|decided| it.rule > decided));
        behind
            .filter(|it| it.judged == Judged::Yes)
            .map(|it| it.rule)
    }
}

/// A reason in words.
#[derive(Clone, Copy, Debug)]
pub struct Words<'a> {
    rule: Option<&'a Rule>,
    reason: Reason,
}

impl fmt::Display for Words<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = self.rule.map_or("", |rule| &*rule.name);
        match self.reason {
            Reason::Rule => {
                let action = match self.rule.map(|rule| rule.action) {
                    Some(Action::Allow) => "allowed",
                    _ => "denied",
                };
                write!(f, "{action} by rule {name:?}")?;
                match self.rule.and_then(|rule| rule.reason.as_deref()) {
                    Some(reason) => write!(f, ": {reason}"),
                    None => Ok(()),
                }
            }
            Reason::MayAllow => write!(f, "let in, since rule {name:?} may allow calls"),
            Reason::Rate => write!(f, "denied: more often than rule {name:?} allows"),
            Reason::NoRule => f.write_str("denied: no rule allows it"),
            Reason::Nearly(condition) => write!(
                f,
                "denied: no rule allows it; rule {name:?} would but for its {condition}"
            ),
        }
    }
}
