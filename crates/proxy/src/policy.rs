//! The policy: who may reach what, when and how often. One ordered list of rules; the first that matches decides, and what
//! no rule allows is denied.
//!
//! A client is judged three times. When it connects, by who it is, whence it comes and which target it wants
//! ([`Ask::Connect`]); when it binds an interface ([`Ask::Bind`]); and at the first fragment of every call, by interface,
//! operation and level of authentication ([`Ask::Call`]). What cannot be known yet is left open: a connection is let in
//! if some call on it might be allowed, and a rule that denies some calls does not deny the connection.
//!
//! A [`Policy`] is made of a configuration once and does not change. Deciding is a pure function of the
//! request, the moment and the [`Rates`], takes no memory and waits for nothing. Names are not resolved here: targets are
//! pinned to their addresses when the file is loaded ([`Targets`]).

pub mod request;
pub mod rates;
pub mod targets;
pub mod pattern;
pub mod rule;
pub mod decide;
pub mod compile;

pub use compile::{DENY_PACK, compile};
pub use decide::{Explanation, Policy, Seen};
pub use rates::Rates;
pub use request::{Ask, Decision, Moment, Reason, Request, RuleId};
pub use targets::{Pinned, Targets};

#[cfg(test)]
mod tests;
