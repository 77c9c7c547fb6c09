//! Who may register what, and what is found: the rules of rpcbind, apart from its messages.
//!
//! Read first: RFC 1833 sections 2.2 and 3. Where the specification is silent, this does what rpcbind 1.2.6
//! does (its answers to each of these questions were recorded), except where that is wrong: an address that is
//! none, an unknown transport, and program 100000 itself cannot be registered here.

use crate::mapping::{Mapping, Owner, Slot};
use crate::store::{Insert, Store, StoreError, Which};
use core::net::SocketAddr;
use farcall_onc::uaddr::{Netid, Uaddr};
use std::sync::{Arc, OnceLock};

/// The number of rpcbind's own program.
pub const RPCBIND: u32 = 100_000;

/// Ports below this one can only be bound by the superuser.
const FIRST_UNPRIVILEGED_PORT: u16 = 1024;

/// What callers may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Policy {
    /// Whether callers over loopback may register. Default yes, as libtirpc and deployed servers do over UDP;
    /// they own what they register as `unknown`, and so does everybody else on the machine. Without it, only
    /// callers over a Unix socket may.
    pub loopback: bool,
    /// Whether anybody may ask for the whole list by UDP. Default no, only this machine: the list is many
    /// times as long as the question, so strangers could aim it at somebody else.
    pub open_dump: bool,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            loopback: true,
            open_dump: false,
        }
    }
}

/// Who asks, and how.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Caller {
    /// The transport on which the call came.
    pub netid: Netid,
    /// The address the call was sent to, if it has one.
    pub reached_at: Option<SocketAddr>,
    /// Who it is, on this machine; `None` for callers of other machines.
    pub owner: Option<Owner>,
}

impl Caller {
    /// A caller by the Internet: `peer` called `reached_at`.
    #[must_use]
    pub fn inet(peer: SocketAddr, reached_at: Option<SocketAddr>, datagram: bool) -> Self {
        let local = peer.ip().to_canonical().is_loopback();
        let owner = match peer.port() < FIRST_UNPRIVILEGED_PORT {
            true => Owner::Superuser,
            false => Owner::Unknown,
        };
        Self {
            netid: Netid::of(peer, datagram),
            reached_at,
            owner: local.then_some(owner),
        }
    }

    /// A caller by a Unix socket.
    #[must_use]
    pub fn unix(uid: u32) -> Self {
        Self {
            netid: Netid::Local,
            reached_at: None,
            owner: Some(Owner::of_user(uid)),
        }
    }
}

/// The mappings of a machine and the rules for them.
#[derive(Debug)]
pub struct Registry<S> {
    store: Arc<S>,
    policy: Policy,
    /// rpcbind's own mappings, known once it listens.
    own: OnceLock<Vec<Mapping>>,
}

impl<S: Store> Registry<S> {
    /// The rules over a store.
    #[must_use]
    pub fn new(store: impl Into<Arc<S>>, policy: Policy) -> Self {
        Self {
            store: store.into(),
            policy,
            own: OnceLock::new(),
        }
    }

    /// Says where this rpcbind itself is to be found; the first word counts.
    pub fn announce(&self, own: Vec<Mapping>) {
        // Said once, when the server has started.
        let _ = self.own.set(own);
    }

    /// Registers a mapping: whether it is registered now.
    ///
    /// # Errors
    /// What the store says.
    // req: onc-1833-set, onc-1833-local
    pub async fn set(
        &self,
        caller: &Caller,
        slot: Slot,
        address: Uaddr,
    ) -> Result<bool, StoreError> {
        let Some(owner) = self.registrant(caller) else {
            return Ok(false);
        };
        if slot.program == RPCBIND || !is_usable(slot.netid, &address) {
            return Ok(false);
        }
        match self
            .store
            .insert(Mapping {
                slot,
                address,
                owner,
            })
            .await
        {
            Ok(insert) => Ok(insert != Insert::Taken),
            Err(StoreError::Full { limit }) => {
                tracing::warn!(limit, "registry is full");
                Ok(false)
            }
            Err(error) => Err(error),
        }
    }

    /// Takes mappings back: false if some are not the caller's to take.
    ///
    /// # Errors
    /// What the store says.
    // req: onc-1833-unset
    pub async fn unset(&self, caller: &Caller, which: Which<'_>) -> Result<bool, StoreError> {
        let Some(owner) = self.registrant(caller) else {
            return Ok(false);
        };
        if which.program == RPCBIND {
            return Ok(false);
        }
        Ok(self.store.remove(which, owner).await?.kept == 0)
    }

    /// All mappings, rpcbind's own first; `None` if this caller may not have the list.
    // req: onc-binder-dump
    #[must_use]
    pub fn dump(&self, caller: &Caller) -> Option<Vec<Mapping>> {
        let stranger = caller.owner.is_none() && matches!(caller.netid, Netid::Udp | Netid::Udp6);
        (self.policy.open_dump || !stranger).then(|| self.all())
    }

    /// The address of a program on a transport, as the caller can use it. `exact`: of this version only;
    /// otherwise of another version if this one is not there, since the program then tells its versions itself.
    // req: onc-1833-getaddr
    #[must_use]
    pub fn find(&self, caller: &Caller, slot: Slot, exact: bool) -> Option<Uaddr> {
        let mappings = self.store.mappings();
        let mut found = None;
        for mapping in self.own().iter().chain(mappings.iter()) {
            let there = mapping.slot;
            if there == slot {
                found = Some(mapping);
                break;
            }
            if !exact && (there.program, there.netid) == (slot.program, slot.netid) {
                found = Some(mapping);
            }
        }
        found.map(|mapping| reachable(caller, mapping))
    }

    /// Every address of exactly this version on the transports of the caller's protocol family. There are no
    /// such lists for local callers: they have one transport.
    // req: onc-1833-getaddrlist
    #[must_use]
    pub fn list(&self, caller: &Caller, program: u32, version: u32) -> Vec<(Netid, Uaddr)> {
        let family = caller.netid.family();
        let meant = |mapping: &Mapping| {
            let Slot {
                program: p,
                version: v,
                netid,
            } = mapping.slot;
            (p, v) == (program, version) && netid.family() == family && netid != Netid::Local
        };
        let all = self.all().into_iter().filter(meant);
        all.map(|mapping| (mapping.slot.netid, reachable(caller, &mapping)))
            .collect()
    }

    /// Everything, rpcbind's own mappings first.
    #[must_use]
    pub fn all(&self) -> Vec<Mapping> {
        let mappings: Arc<Vec<Mapping>> = self.store.mappings();
        self.own().iter().chain(mappings.iter()).cloned().collect()
    }

    fn own(&self) -> &[Mapping] {
        self.own.get().map_or(&[], Vec::as_slice)
    }

    /// As whom this caller may register, if it may.
    fn registrant(&self, caller: &Caller) -> Option<Owner> {
        caller
            .owner
            .clone()
            .filter(|_| caller.netid == Netid::Local || self.policy.loopback)
    }
}

/// Whether clients can call this address on this transport.
fn is_usable(netid: Netid, address: &Uaddr) -> bool {
    match (netid, address) {
        (Netid::Udp | Netid::Tcp, Uaddr::Inet(SocketAddr::V4(a))) => a.port() != 0,
        (Netid::Udp6 | Netid::Tcp6, Uaddr::Inet(SocketAddr::V6(a))) => a.port() != 0,
        (Netid::Local, Uaddr::Local(_)) => true,
        _ => false,
    }
}

/// A mapping's address with "any address" replaced by the one the caller used to reach us.
fn reachable(caller: &Caller, mapping: &Mapping) -> Uaddr {
    let address = mapping.address.clone();
    match caller.reached_at.map(|reached| reached.ip().to_canonical()) {
        Some(host) if !host.is_unspecified() => address.reachable_at(host),
        _ => address,
    }
}

#[cfg(test)]
mod tests;
