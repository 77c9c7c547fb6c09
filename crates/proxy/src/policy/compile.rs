//! From `[[rule]]` to rules that can be asked: what names mean, and whether they agree with the rest of the file.

use std::path::Path;

use farcall_dce::syntax::Uuid;
use jiff::tz::TimeZone;
use toml::Spanned;

use crate::config::place::{Fault, Faults, Source};
use crate::config::rule::Operation;
use crate::config::value::Ports;
use crate::config::{Action, Config, Switch, rule};
use crate::identity::AuthKind;
use crate::names::{Known, Names, like};
use crate::policy::decide::Policy;
use crate::policy::pattern::{Glob, User};
use crate::policy::rule::{At, Group, Rule, Version, Which, bit};
use crate::target::Host;

/// The pack of rules against coercion and theft of credentials, as `proxy.toml` would have them.
pub const DENY_PACK: &str = include_str!("../../templates/deny-pack.toml");

/// What `include` calls it.
const PACK: &str = "deny-pack";

/// Most rules of a policy.
pub const MAX_RULES: usize = 10_000;

/// Makes the policy of a configuration. `names` says what interfaces and operations are called.
///
/// # Errors
/// [`Faults`]: everything that is wrong with the rules, each where it stands.
pub fn compile(config: &Config, source: &Source, names: &Names) -> Result<Policy, Faults> {
    let mut this = Compiler {
        config,
        source,
        names,
        faults: Vec::new(),
    };
    let mut rules = Vec::new();
    let placed = config.rules.iter().any(|rule| rule.include.is_some());
    let pack = pack(names)?;
    if config.policy.deny_pack == Switch::On && !placed {
        rules.extend(pack.clone());
    }
    for rule in config.rules.iter().take(MAX_RULES) {
        match &rule.include {
            Some(include) => this.include(include, rule, &pack, &mut rules),
            None => rules.extend(this.rule(rule)),
        }
    }
    if config.rules.len() > MAX_RULES {
        let what = format!("{} rules, limit {MAX_RULES}", config.rules.len());
        this.faults.push(source.fault(0..0, what));
    }
    this.unique(&rules);
    let zone = this.zone();
    match this.faults.is_empty() {
        true => Ok(Policy::new(rules, zone, config.policy.mode)),
        false => Err(Faults(this.faults)),
    }
}

/// The rules of the pack.
fn pack(names: &Names) -> Result<Vec<Rule>, Faults> {
    let (config, source) = Config::parse(Path::new(PACK), DENY_PACK)?;
    let mut compiler = Compiler {
        config: &config,
        source: &source,
        names,
        faults: Vec::new(),
    };
    let rules: Vec<Rule> = config
        .rules
        .iter()
        .filter_map(|it| compiler.rule(it))
        .collect();
    match compiler.faults.is_empty() {
        true => Ok(rules
            .into_iter()
            .map(|rule| Rule { line: 0, ..rule })
            .collect()),
        false => Err(Faults(compiler.faults)),
    }
}

struct Compiler<'a> {
    config: &'a Config,
    source: &'a Source,
    names: &'a Names,
    faults: Vec<Fault>,
}

impl Compiler<'_> {
    fn wrong<T>(&mut self, at: &Spanned<T>, what: impl Into<String>) {
        self.faults.push(self.source.fault(at.span(), what));
    }

    fn wrong_with_hint<T>(
        &mut self,
        at: &Spanned<T>,
        what: impl Into<String>,
        hint: impl Into<String>,
    ) {
        self.faults
            .push(self.source.fault(at.span(), what).hint(hint));
    }

    fn zone(&mut self) -> TimeZone {
        let Some(zone) = &self.config.policy.zone else {
            return TimeZone::system();
        };
        TimeZone::get(zone.get_ref()).unwrap_or_else(|_| {
            let what = format!("time zone {:?} is not known here", zone.get_ref());
            self.wrong_with_hint(zone, what, "a name such as \"Europe/Berlin\" or \"UTC\"");
            TimeZone::UTC
        })
    }

    fn include(
        &mut self,
        include: &Spanned<String>,
        rule: &rule::Rule,
        pack: &[Rule],
        rules: &mut Vec<Rule>,
    ) {
        if include.get_ref() != PACK {
            let what = format!(
                "{:?} cannot be included, expected \"deny-pack\"",
                include.get_ref()
            );
            return self.wrong(include, what);
        }
        if rule.name.is_some() || rule.action.is_some() {
            return self.wrong(include, "an include beside other keys, expected it alone");
        }
        if self.config.policy.deny_pack == Switch::Off {
            return self.wrong(
                include,
                "the pack is included here, and [policy] has deny-pack = \"off\"",
            );
        }
        rules.extend_from_slice(pack);
    }

    fn unique(&mut self, rules: &[Rule]) {
        let mut seen = std::collections::BTreeSet::new();
        for rule in rules {
            if !seen.insert(&rule.name) {
                let mut at = self.config.rules.iter().filter_map(|it| it.name.as_ref());
                let span = at
                    .rfind(|it| **it.get_ref() == *rule.name)
                    .map_or(0..0, Spanned::span);
                let what = format!("a second rule {:?}, expected a name of its own", rule.name);
                self.faults.push(self.source.fault(span, what));
            }
        }
    }

    fn rule(&mut self, rule: &rule::Rule) -> Option<Rule> {
        let Some(name) = &rule.name else {
            let what = "a rule without a name, expected one for the audit log";
            self.faults
                .push(self.source.fault(self.somewhere(rule), what));
            return None;
        };
        let Some(action) = rule.action else {
            self.wrong_with_hint(
                name,
                "a rule without an action",
                "action = \"allow\" or action = \"deny\"",
            );
            return None;
        };
        self.agree(name, action, rule);
        let kinds = rule
            .authentication
            .iter()
            .map(|it| self.kind(it))
            .fold(0, |all, it| all | it);
        let listeners = rule
            .listeners
            .iter()
            .filter_map(|it| self.listener(it))
            .collect();
        let targets = rule
            .targets
            .iter()
            .filter_map(|it| self.target(it))
            .collect();
        let groups = rule.groups.iter().map(|it| self.group(it)).collect();
        Some(Rule {
            name: name.get_ref().as_str().into(),
            reason: rule.reason.as_deref().map(Into::into),
            action,
            mode: rule.mode,
            line: self.source.fault(name.span(), "").place.line,
            users: rule
                .users
                .iter()
                .map(|it| User::new(it.get_ref()))
                .collect(),
            groups,
            issuers: rule
                .issuers
                .iter()
                .map(|it| Glob::new(it.get_ref()))
                .collect(),
            kinds,
            sources: rule.sources.clone().into(),
            listeners,
            targets,
            interfaces: self.interfaces(rule).into(),
            minimum: rule.minimum_level.as_ref().map(|it| it.get_ref().0),
            below: rule.below_level.as_ref().map(|it| it.get_ref().0),
            hours: rule.hours.clone().into(),
            rate: rule.rate.as_ref().map(|it| *it.get_ref()),
        })
    }

    /// Some byte of a rule, to say where it is.
    fn somewhere(&self, rule: &rule::Rule) -> std::ops::Range<usize> {
        let texts = [
            &rule.users,
            &rule.groups,
            &rule.targets,
            &rule.interfaces,
            &rule.listeners,
        ];
        let first = texts.into_iter().flatten().next();
        first.map_or(0..0, Spanned::span)
    }

    /// Keys that must not stand together.
    fn agree(&mut self, name: &Spanned<String>, action: Action, rule: &rule::Rule) {
        let text = name.get_ref();
        if text.is_empty() || text.chars().any(char::is_control) {
            self.wrong(name, "a name that is empty or holds control characters");
        }
        if let (Action::Deny, Some(rate)) = (action, &rule.rate) {
            self.wrong(
                rate,
                "a rate at a rule that denies, expected it at one that allows",
            );
        }
        if let (Action::Deny, Some(level)) = (action, &rule.minimum_level) {
            self.wrong_with_hint(
                level,
                "a minimum-level at a rule that denies",
                "below-level denies calls below a level",
            );
        }
        if let (Action::Allow, Some(level)) = (action, &rule.below_level) {
            self.wrong_with_hint(
                level,
                "a below-level at a rule that allows",
                "minimum-level allows calls from a level upwards",
            );
        }
    }

    fn kind(&mut self, word: &Spanned<String>) -> u8 {
        AuthKind::from_word(word.get_ref()).map_or_else(
            || {
                let all: Vec<&str> = AuthKind::ALL.iter().map(|kind| kind.word()).collect();
                let what = format!(
                    "{:?} is no kind of authentication, expected one of {}",
                    word.get_ref(),
                    all.join(", ")
                );
                self.wrong(word, what);
                0
            },
            bit,
        )
    }

    fn listener(&mut self, name: &Spanned<String>) -> Option<Box<str>> {
        let config = self.config;
        let mut all = config.listeners.iter().map(|it| it.name.get_ref().as_str());
        if all.any(|it| it == name.get_ref()) {
            return Some(name.get_ref().as_str().into());
        }
        let all: Vec<&str> = config
            .listeners
            .iter()
            .map(|it| it.name.get_ref().as_str())
            .collect();
        let what = format!("there is no listener {:?}", name.get_ref());
        self.wrong_with_hint(name, what, listed("listeners", &all));
        None
    }

    fn group(&self, name: &Spanned<String>) -> Group {
        let members = self
            .config
            .groups
            .iter()
            .filter(|(it, _)| it.eq_ignore_ascii_case(name.get_ref()));
        Group {
            name: name.get_ref().as_str().into(),
            members: members
                .flat_map(|(_, members)| members)
                .map(|it| User::new(it.get_ref()))
                .collect(),
        }
    }

    /// `files`, `files:593`, or a host of it.
    fn target(&mut self, text: &Spanned<String>) -> Option<At> {
        let whole = text.get_ref().as_str();
        let (name, ports) = match self.named(whole) {
            Some(name) => (Some(name), None),
            None => match whole.rsplit_once(':') {
                Some((name, ports)) => (self.named(name), ports.parse::<Ports>().ok()),
                None => (None, None),
            },
        };
        match (name, ports) {
            (Some(name), ports) if ports.is_some() || self.named(whole).is_some() => Some(At {
                target: name.into(),
                ports,
            }),
            _ => {
                let config = self.config;
                let all: Vec<&str> = config
                    .targets
                    .iter()
                    .map(|it| it.name.get_ref().as_str())
                    .collect();
                let what = format!("there is no target {whole:?}");
                self.wrong_with_hint(text, what, listed("targets", &all));
                None
            }
        }
    }

    /// The target that a text names by its name or a host.
    fn named(&self, text: &str) -> Option<&str> {
        let host: Option<Host> = text.parse().ok();
        let is = |target: &&crate::config::Target| {
            let mut hosts = target
                .hosts
                .iter()
                .filter_map(|it| it.get_ref().parse::<Host>().ok());
            target.name.get_ref() == text || hosts.any(|it| Some(it) == host)
        };
        self.config
            .targets
            .iter()
            .find(is)
            .map(|it| it.name.get_ref().as_str())
    }

    fn interfaces(&mut self, rule: &rule::Rule) -> Vec<Which> {
        let before = self.faults.len();
        let mut all: Vec<Which> = rule
            .interfaces
            .iter()
            .flat_map(|it| self.interface(it))
            .collect();
        if rule.operations.is_empty() || self.faults.len() > before {
            return all;
        }
        if all.is_empty() {
            // Operations that name their interfaces bring them along.
            for operation in &rule.operations {
                let name = operation
                    .get_ref()
                    .0
                    .split_once('.')
                    .map(|(interface, _)| interface);
                for known in name.iter().flat_map(|name| self.names.called(name)) {
                    if !all.iter().any(|it| it.uuid == known.uuid) {
                        all.push(Which {
                            uuid: known.uuid,
                            version: Version::Any,
                            operations: None,
                        });
                    }
                }
            }
        }
        for which in &mut all {
            which.operations = Some(Box::default());
        }
        for operation in &rule.operations {
            self.operation(operation, &mut all);
        }
        all.retain(|it| {
            it.operations
                .as_ref()
                .is_none_or(|ranges| !ranges.is_empty())
        });
        all
    }

    /// `samr`, `samr v1`, `samr v1.0`, or a UUID in place of the name.
    fn interface(&mut self, text: &Spanned<String>) -> Vec<Which> {
        let mut words = text.get_ref().split_whitespace();
        let (name, version) = (words.next().unwrap_or_default(), words.next());
        let version = match version {
            None => Some(Version::Any),
            Some(version) => read_version(version),
        };
        let (Some(version), None) = (version, words.next()) else {
            let what = format!(
                "{:?} is no interface, expected a name or a UUID, and perhaps a version",
                text.get_ref()
            );
            self.wrong_with_hint(text, what, "such as \"samr\", \"samr v1\" or \"samr v1.0\"");
            return Vec::new();
        };
        let which = |uuid| Which {
            uuid,
            version,
            operations: None,
        };
        if let Ok(uuid) = name.parse::<Uuid>() {
            return vec![which(uuid)];
        }
        let found: Vec<Which> = self.names.called(name).map(|it| which(it.uuid)).collect();
        if found.is_empty() {
            let like = self.names.like(name);
            let hint = match like.is_empty() {
                true => "its UUID, or a table of names in [policy] names".to_owned(),
                false => format!("did you mean {}?", like.join(" or ")),
            };
            self.wrong_with_hint(text, format!("no interface is called {name:?}"), hint);
        }
        found
    }

    /// Adds an operation to those interfaces that have it.
    fn operation(&mut self, text: &Spanned<Operation>, all: &mut [Which]) {
        let whole = text.get_ref().0.as_str();
        let (of, name) = match whole.split_once('.') {
            Some((interface, name)) => (Some(interface), name),
            None => (None, whole),
        };
        let numbers = read_numbers(name);
        if numbers.is_some() && all.is_empty() {
            return self.wrong(
                text,
                "an operation by its number, but no interface, expected interfaces beside it",
            );
        }
        let mut found = false;
        for which in all.iter_mut() {
            let known = self.names.of(which.uuid);
            if of.is_some_and(|of| {
                !known.is_some_and(|it| it.names.iter().any(|name| name.eq_ignore_ascii_case(of)))
            }) {
                continue;
            }
            let ranges = match numbers {
                Some(range) => vec![range],
                None => known.map_or_else(Vec::new, |it| called(it, name)),
            };
            found |= !ranges.is_empty();
            let before = which.operations.take().unwrap_or_default();
            which.operations = Some(before.iter().copied().chain(ranges).collect());
        }
        if !found {
            let known = all.iter().filter_map(|it| self.names.of(it.uuid));
            let near = like(
                name,
                known.flat_map(|it| it.operations.values().map(String::as_str)),
            );
            let hint = match near.is_empty() {
                true => "its number, or a table of names in [policy] names".to_owned(),
                false => format!("did you mean {}?", near.join(" or ")),
            };
            self.wrong_with_hint(
                text,
                format!("no operation of these interfaces is called {whole:?}"),
                hint,
            );
        }
    }
}

/// Numbers of the operations of an interface that a name, or one with `*` in it, means.
fn called(known: &Known, name: &str) -> Vec<(u16, u16)> {
    let glob = Glob::new(name);
    let named = known.operations.iter().filter(|(_, it)| glob.matches(it));
    named.map(|(opnum, _)| (*opnum, *opnum)).collect()
}

/// `v1` or `v1.0`.
fn read_version(text: &str) -> Option<Version> {
    let text = text.strip_prefix('v')?;
    match text.split_once('.') {
        Some((major, minor)) => Some(Version::Exact(major.parse().ok()?, minor.parse().ok()?)),
        None => text.parse().ok().map(Version::Major),
    }
}

/// `3` or `0-5`.
fn read_numbers(text: &str) -> Option<(u16, u16)> {
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    let (first, last) = (first.parse().ok()?, last.parse().ok()?);
    (first <= last).then_some((first, last))
}

fn listed(what: &str, all: &[&str]) -> String {
    match all.is_empty() {
        true => format!("there are no {what}"),
        false => format!("the {what} are {}", all.join(", ")),
    }
}
