//! What the policy is asked, and what it says.

use std::net::IpAddr;
use std::sync::LazyLock;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use farcall_dce::security::AuthLevel;
use farcall_dce::syntax::SyntaxId;

use crate::identity::Identity;
use crate::policy::rule::Condition;

/// When something happens, by both clocks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Moment {
    /// Seconds since 1970, for hours.
    pub unix: i64,
    /// Nanoseconds since any fixed moment, never running back, for rates.
    pub ticks: u64,
}

impl Moment {
    /// Now.
    #[must_use]
    pub fn now() -> Self {
        static START: LazyLock<Instant> = LazyLock::new(Instant::now);
        let since = SystemTime::now().duration_since(UNIX_EPOCH);
        let seconds = since.map_or(0, |since| since.as_secs());
        Self {
            unix: i64::try_from(seconds).unwrap_or(i64::MAX),
            ticks: u64::try_from(START.elapsed().as_nanos()).unwrap_or(u64::MAX),
        }
    }
}

/// What a client wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ask {
    /// To be connected to the target.
    Connect,
    /// To be able to call an interface: a presentation context of a bind or an alter_context.
    Bind {
        /// The interface.
        interface: SyntaxId,
        /// The level that the association has, or asks for with this.
        level: AuthLevel,
    },
    /// To call an operation: the first fragment of a request.
    Call {
        /// The interface of its presentation context.
        interface: SyntaxId,
        /// The operation.
        opnum: u16,
        /// The level of its security context; [`AuthLevel::NONE`] without one.
        level: AuthLevel,
    },
}

impl Ask {
    /// The interface, if there is one yet.
    #[must_use]
    pub const fn interface(&self) -> Option<SyntaxId> {
        match self {
            Self::Connect => None,
            Self::Bind { interface, .. } | Self::Call { interface, .. } => Some(*interface),
        }
    }

    /// The operation, if there is one yet.
    #[must_use]
    pub const fn opnum(&self) -> Option<u16> {
        match self {
            Self::Call { opnum, .. } => Some(*opnum),
            _ => None,
        }
    }

    /// The level of authentication, if it is known yet.
    #[must_use]
    pub const fn level(&self) -> Option<AuthLevel> {
        match self {
            Self::Connect => None,
            Self::Bind { level, .. } | Self::Call { level, .. } => Some(*level),
        }
    }
}

/// One question.
#[derive(Clone, Copy, Debug)]
pub struct Request<'a> {
    /// Who.
    pub who: &'a Identity,
    /// Whence: the client's address, not that of a proxy in front.
    pub source: IpAddr,
    /// Through which listener, by its name.
    pub listener: &'a str,
    /// To what: the name of a configured target.
    pub target: &'a str,
    /// The port that was asked for.
    pub port: u16,
    /// What.
    pub ask: Ask,
    /// When.
    pub at: Moment,
}

/// A rule, by its place in the policy.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RuleId(pub u32);

/// Why a decision is what it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// The rule says so.
    Rule,
    /// The rule might allow calls that are still to come.
    MayAllow,
    /// The rule would allow it, but not as often as that.
    Rate,
    /// No rule allows it.
    NoRule,
    /// No rule allows it; the rule would, were it not for this condition alone.
    Nearly(Condition),
}

/// What the policy says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Decision {
    /// Whether it passes.
    pub allow: bool,
    /// What the rules say; other than `allow` only if the policy merely records.
    pub verdict: bool,
    /// The rule that `reason` speaks of.
    pub rule: Option<RuleId>,
    /// Why.
    pub reason: Reason,
    /// The first rule that matched and only records.
    pub noted: Option<RuleId>,
}
