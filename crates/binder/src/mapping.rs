//! What is registered: a program's version, the transport, the address there, and who said so.
//!
//! Read first: RFC 1833 section 2.1 (`struct rpcb`). Addresses and netids are checked when they come in, so a
//! mapping in the registry is always one that a client can use.

use crate::process::Process;
use farcall_onc::uaddr::{Netid, Uaddr};
use std::fmt;
use std::sync::Arc;

/// The place of a mapping: at most one address is registered in each.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Slot {
    /// The program.
    pub program: u32,
    /// Its version.
    pub version: u32,
    /// The transport.
    pub netid: Netid,
}

/// One registration.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Mapping {
    /// What is registered, and for which transport.
    pub slot: Slot,
    /// Where it listens.
    pub address: Uaddr,
    /// Who registered it.
    pub owner: Owner,
    /// The process that did, if it is known.
    pub process: Option<Process>,
}

/// Who registered a mapping: the only one who may take it back, besides the superuser.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Owner {
    /// The superuser of this machine.
    Superuser,
    /// This user of this machine, as the kernel told.
    User(u32),
    /// Whoever proved to have this name, on this machine.
    Principal(Arc<str>),
    /// Somebody on this machine: the call came over loopback, which tells no more.
    Unknown,
}

impl Owner {
    /// The owner that a user id means.
    #[must_use]
    pub fn of_user(uid: u32) -> Self {
        if uid == 0 {
            Self::Superuser
        } else {
            Self::User(uid)
        }
    }

    /// Whether this caller may take back what `owner` registered.
    #[must_use]
    pub fn may_remove(&self, owner: &Self) -> bool {
        *self == Self::Superuser || self == owner
    }
}

/// As rpcbind writes it: `superuser`, the number of the user, `unknown`; a principal by its name.
impl fmt::Display for Owner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Superuser => f.write_str("superuser"),
            Self::User(uid) => write!(f, "{uid}"),
            Self::Principal(name) => f.write_str(name),
            Self::Unknown => f.write_str("unknown"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn owners_and_what_they_may_remove() {
        let owners = [
            Owner::of_user(0),
            Owner::of_user(1000),
            Owner::of_user(7),
            Owner::Principal("LAB\\alice".into()),
            Owner::Unknown,
        ];
        assert_eq!(
            owners.each_ref().map(|owner| owner.to_string()),
            ["superuser", "1000", "7", "LAB\\alice", "unknown"]
        );
        for (i, by) in owners.iter().enumerate() {
            for (k, owner) in owners.iter().enumerate() {
                assert_eq!(by.may_remove(owner), i == 0 || i == k, "{by} {owner}");
            }
        }
    }
}
