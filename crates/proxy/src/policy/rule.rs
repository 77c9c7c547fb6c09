//! One rule, ready to be asked.
//!
//! A rule that is asked about something says yes, no, or that it cannot say yet: at the time of a connection nobody knows which
//! interface will be called. It looks at what is known first, so that a rule which is not about this client costs little.

use std::cell::Cell;
use std::fmt;

use farcall_dce::security::AuthLevel;
use farcall_dce::syntax::{SyntaxId, Uuid};
use jiff::tz::TimeZone;

use crate::config::value::{Hours, Network, Ports, Rate};
use crate::config::{Action, Mode};
use crate::identity::Identity;
use crate::policy::pattern::{Glob, User};
use crate::policy::request::{Ask, Request};

/// What a rule asks of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Condition {
    /// The user.
    Users,
    /// The user's groups.
    Groups,
    /// Who vouches for the user.
    Issuers,
    /// How the user was authenticated.
    Authentication,
    /// The source's address.
    Sources,
    /// The listener.
    Listeners,
    /// The target.
    Targets,
    /// The interface.
    Interfaces,
    /// The operation.
    Operations,
    /// The level of authentication, which is too low.
    MinimumLevel,
    /// The level of authentication, which is high enough.
    BelowLevel,
    /// The hour.
    Hours,
}

impl Condition {
    /// The key of a rule that it is written under.
    #[must_use]
    pub const fn key(self) -> &'static str {
        match self {
            Self::Users => "users",
            Self::Groups => "groups",
            Self::Issuers => "issuers",
            Self::Authentication => "authentication",
            Self::Sources => "sources",
            Self::Listeners => "listeners",
            Self::Targets => "targets",
            Self::Interfaces => "interfaces",
            Self::Operations => "operations",
            Self::MinimumLevel => "minimum-level",
            Self::BelowLevel => "below-level",
            Self::Hours => "hours",
        }
    }
}

impl fmt::Display for Condition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.key())
    }
}

/// What a rule says of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Judged {
    /// It matches.
    Yes,
    /// It matches as far as is known; what it asks of besides is not known yet.
    Later,
    /// It does not: this condition does not hold.
    No(Condition),
    /// It does not, and this condition alone does not hold.
    Nearly(Condition),
}

/// A group as a rule names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Group {
    pub(crate) name: Box<str>,
    /// Its members of the configuration.
    pub(crate) members: Box<[User]>,
}

impl Group {
    fn holds(&self, who: &Identity) -> bool {
        who.groups
            .iter()
            .any(|it| it.eq_ignore_ascii_case(&self.name))
            || self.members.iter().any(|it| it.matches(who))
    }
}

/// A target as a rule names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct At {
    pub(crate) target: Box<str>,
    pub(crate) ports: Option<Ports>,
}

/// Versions of an interface.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Version {
    Any,
    Major(u16),
    Exact(u16, u16),
}

/// An interface as a rule names it, with its operations: ranges, or all.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Which {
    pub(crate) uuid: Uuid,
    pub(crate) version: Version,
    pub(crate) operations: Option<Box<[(u16, u16)]>>,
}

impl Which {
    fn is(&self, interface: &SyntaxId) -> bool {
        let version = match self.version {
            Version::Any => true,
            Version::Major(major) => interface.major == major,
            Version::Exact(major, minor) => (interface.major, interface.minor) == (major, minor),
        };
        self.uuid == interface.uuid && version
    }

    fn has(&self, opnum: u16) -> bool {
        let Some(ranges) = &self.operations else {
            return true;
        };
        ranges
            .iter()
            .any(|(first, last)| *first <= opnum && opnum <= *last)
    }

    fn covers(&self, other: &Self) -> bool {
        let version = self.version == other.version
            || match (self.version, other.version) {
                (Version::Any, _) => true,
                (Version::Major(major), Version::Exact(it, _)) => major == it,
                _ => false,
            };
        let operations = match (&self.operations, &other.operations) {
            (None, _) => true,
            (Some(_), None) => false,
            (Some(own), Some(ranges)) => {
                let within =
                    |(first, last): &(u16, u16)| own.iter().any(|(a, b)| a <= first && last <= b);
                ranges.iter().all(within)
            }
        };
        self.uuid == other.uuid && version && operations
    }
}

/// A rule, ready to be asked.
#[derive(Clone, Debug)]
pub struct Rule {
    /// What logs call it.
    pub name: Box<str>,
    /// What logs say beside its name.
    pub reason: Option<Box<str>>,
    /// What it does.
    pub action: Action,
    /// Whether it is carried out.
    pub mode: Mode,
    /// The line it begins at; 0 for one of the pack.
    pub line: usize,
    pub(crate) users: Box<[User]>,
    pub(crate) groups: Box<[Group]>,
    pub(crate) issuers: Box<[Glob]>,
    /// One bit for each kind of authentication; none for any.
    pub(crate) kinds: u8,
    pub(crate) sources: Box<[Network]>,
    pub(crate) listeners: Box<[Box<str>]>,
    pub(crate) targets: Box<[At]>,
    pub(crate) interfaces: Box<[Which]>,
    pub(crate) minimum: Option<AuthLevel>,
    pub(crate) below: Option<AuthLevel>,
    pub(crate) hours: Box<[Hours]>,
    pub(crate) rate: Option<Rate>,
}

/// The local time of a request, found when the first rule asks for it.
pub(crate) struct Local<'a> {
    zone: &'a TimeZone,
    unix: i64,
    found: Cell<Option<(usize, u16)>>,
}

impl<'a> Local<'a> {
    pub(crate) const fn new(zone: &'a TimeZone, unix: i64) -> Self {
        let found = Cell::new(None);
        Self { zone, unix, found }
    }

    /// The day of the week, from 0 for Monday, and the minute of the day.
    fn get(&self) -> (usize, u16) {
        self.found.get().unwrap_or_else(|| {
            let offset = match jiff::Timestamp::from_second(self.unix) {
                Ok(at) => i64::from(self.zone.to_offset(at).seconds()),
                Err(_) => 0,
            };
            let local = self.unix.saturating_add(offset);
            // 1970 began on a Thursday.
            let day = local.div_euclid(86_400).saturating_add(3).rem_euclid(7);
            let minute = local.rem_euclid(86_400) / 60;
            let found = (
                usize::try_from(day).unwrap_or(0),
                u16::try_from(minute).unwrap_or(0),
            );
            self.found.set(Some(found));
            found
        })
    }
}

/// The bit of a kind of authentication.
pub(crate) fn bit(kind: crate::identity::AuthKind) -> u8 {
    let place = crate::identity::AuthKind::ALL
        .iter()
        .position(|it| *it == kind);
    place.map_or(0, |place| 1 << place)
}

impl Rule {
    /// Whether it allows everybody everything on every target.
    pub(crate) fn is_open(&self) -> bool {
        let who = self.users.is_empty()
            && self.groups.is_empty()
            && self.issuers.is_empty()
            && self.sources.is_empty();
        let what = self.targets.is_empty() && self.interfaces.is_empty();
        self.action == Action::Allow && self.mode == Mode::Enforce && who && what
    }

    /// What it says.
    pub(crate) fn judge(&self, request: &Request<'_>, local: &Local<'_>) -> Judged {
        if let Some(condition) = self.differs(request) {
            return Judged::No(condition);
        }
        let interface = match self.interface(&request.ask) {
            Judged::No(condition) => return Judged::No(condition),
            other => other,
        };
        if let Some(condition) = self.is_not(request) {
            return Judged::No(condition);
        }
        let level = self.level(&request.ask);
        match (level, self.is_time(local)) {
            (Judged::No(condition), true) => Judged::Nearly(condition),
            (Judged::No(condition), false) => Judged::No(condition),
            (_, false) => Judged::Nearly(Condition::Hours),
            (Judged::Yes, true) => interface,
            (_, true) => Judged::Later,
        }
    }

    /// What is cheap to see: through which listener, to what, how authenticated.
    fn differs(&self, request: &Request<'_>) -> Option<Condition> {
        let to = |at: &At| {
            *at.target == *request.target && at.ports.is_none_or(|ports| ports.hold(request.port))
        };
        if !self.targets.is_empty() && !self.targets.iter().any(to) {
            return Some(Condition::Targets);
        }
        if self.kinds != 0 && self.kinds & bit(request.who.kind) == 0 {
            return Some(Condition::Authentication);
        }
        if !self.listeners.is_empty() && !self.listeners.iter().any(|it| **it == *request.listener)
        {
            return Some(Condition::Listeners);
        }
        None
    }

    /// Which interface and operation.
    fn interface(&self, ask: &Ask) -> Judged {
        if self.interfaces.is_empty() {
            return Judged::Yes;
        }
        let Some(interface) = ask.interface() else {
            return Judged::Later;
        };
        let mut found = Judged::No(Condition::Interfaces);
        for which in self.interfaces.iter().filter(|which| which.is(&interface)) {
            match ask.opnum() {
                Some(opnum) if which.has(opnum) => return Judged::Yes,
                Some(_) => found = Judged::No(Condition::Operations),
                None if which.operations.is_none() => return Judged::Yes,
                None => found = Judged::Later,
            }
        }
        found
    }

    /// Who, and whence.
    fn is_not(&self, request: &Request<'_>) -> Option<Condition> {
        let who = request.who;
        if !self.sources.is_empty() && !self.sources.iter().any(|net| net.holds(request.source)) {
            return Some(Condition::Sources);
        }
        if !self.users.is_empty() && !self.users.iter().any(|user| user.matches(who)) {
            return Some(Condition::Users);
        }
        if !self.groups.is_empty() && !self.groups.iter().any(|group| group.holds(who)) {
            return Some(Condition::Groups);
        }
        let vouched = |glob: &Glob| !who.issuer.is_empty() && glob.matches(&who.issuer);
        if !self.issuers.is_empty() && !self.issuers.iter().any(vouched) {
            return Some(Condition::Issuers);
        }
        None
    }

    fn level(&self, ask: &Ask) -> Judged {
        let Some(level) = ask.level() else {
            let asks = self.minimum.is_some() || self.below.is_some();
            return if asks { Judged::Later } else { Judged::Yes };
        };
        if self.minimum.is_some_and(|minimum| level < minimum) {
            return Judged::No(Condition::MinimumLevel);
        }
        if self.below.is_some_and(|below| level >= below) {
            return Judged::No(Condition::BelowLevel);
        }
        Judged::Yes
    }

    fn is_time(&self, local: &Local<'_>) -> bool {
        if self.hours.is_empty() {
            return true;
        }
        let (day, minute) = local.get();
        self.hours.iter().any(|hours| hours.hold(day, minute))
    }

    /// Whether it decides everything that `other` would, so that `other` behind it never does, as far as that is plain to see.
    pub(crate) fn covers(&self, other: &Self) -> bool {
        self.mode == Mode::Enforce
            && all(&self.users, &other.users, User::covers)
            && all(&self.groups, &other.groups, PartialEq::eq)
            && all(&self.issuers, &other.issuers, Glob::covers)
            && (self.kinds == 0 || (other.kinds != 0 && self.kinds & other.kinds == other.kinds))
            && all(&self.sources, &other.sources, Network::covers)
            && all(&self.listeners, &other.listeners, PartialEq::eq)
            && all(&self.targets, &other.targets, |own, it| {
                own.target == it.target && (own.ports.is_none() || own.ports == it.ports)
            })
            && all(&self.interfaces, &other.interfaces, Which::covers)
            && self
                .minimum
                .is_none_or(|own| other.minimum.is_some_and(|it| own <= it))
            && self
                .below
                .is_none_or(|own| other.below.is_some_and(|it| it <= own))
            && all(&self.hours, &other.hours, PartialEq::eq)
    }
}

/// Whether each of `others` is covered by one of `own`; none at all is everything.
fn all<T>(own: &[T], others: &[T], covers: impl Fn(&T, &T) -> bool) -> bool {
    let covered = |other: &T| own.iter().any(|it| covers(it, other));
    own.is_empty() || (!others.is_empty() && others.iter().all(covered))
}
