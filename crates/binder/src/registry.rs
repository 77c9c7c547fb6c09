//! Who may register what, and what is found: the rules of rpcbind, apart from its messages.
//!
//! Read first: RFC 1833 sections 2.2 and 3. Where the specification is silent, this does what rpcbind 1.2.6
//! does (its answers to each of these questions were recorded), except where that is wrong: an address that is
//! none, an unknown transport, and program 100000 itself cannot be registered here.

use crate::mapping::{Mapping, Owner, Slot};
use crate::process::Process;
use crate::rate::{Buckets, Rate};
use crate::store::{Insert, Store, StoreError, Which};
use core::net::{IpAddr, SocketAddr};
use farcall_onc::uaddr::{Netid, Uaddr};
use std::sync::{Arc, OnceLock};
use std::time::Instant;

/// The number of rpcbind's own program.
pub const RPCBIND: u32 = 100_000;

/// Ports below this one can only be bound by the superuser.
const FIRST_UNPRIVILEGED_PORT: u16 = 1024;

/// What callers may do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Policy {
    /// Whether callers over loopback may register. Default no: only callers over a Unix socket may, as the
    /// kernel tells who they are. (libtirpc and ntirpc register there.) Those over loopback own what they register
    /// as `unknown`, and so does everybody else on the machine.
    pub loopback: bool,
    /// Whether anybody may ask for the whole list, and for the statistics, by UDP. Default no, only this machine:
    /// both are many times as long as the question, so strangers could aim them at somebody else.
    pub open_dump: bool,
    /// Whether calls are passed on to other programs of this machine, save those that must never be. Default no:
    /// see [`indirect`](crate::indirect).
    pub indirect: bool,
    /// How often one address of another machine is answered over UDP. Default [`Rate::default`].
    pub rate: Rate,
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
    /// Its process, if the kernel told.
    pub process: Option<Process>,
    /// Its address, if it is known.
    pub source: Option<IpAddr>,
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
            process: None,
            source: Some(peer.ip()),
        }
    }

    /// A caller by a Unix socket.
    #[must_use]
    pub fn unix(uid: u32) -> Self {
        Self {
            netid: Netid::Local,
            reached_at: None,
            owner: Some(Owner::of_user(uid)),
            process: None,
            source: None,
        }
    }

    /// The same caller, which is this process.
    #[must_use]
    pub fn of(mut self, process: Option<Process>) -> Self {
        self.process = process;
        self
    }

    /// Whether the call came in a datagram, and the answer goes in one.
    #[must_use]
    pub fn is_datagram(&self) -> bool {
        matches!(self.netid, Netid::Udp | Netid::Udp6)
    }

    /// Whether the call came in a datagram from another machine, so that its sender may be somebody else than it says.
    #[must_use]
    pub fn is_stranger_by_datagram(&self) -> bool {
        self.is_datagram() && self.owner.is_none()
    }
}

/// The mappings of a machine and the rules for them.
#[derive(Debug)]
pub struct Registry<S> {
    store: Arc<S>,
    policy: Policy,
    buckets: Buckets,
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
            buckets: Buckets::new(policy.rate),
            own: OnceLock::new(),
        }
    }

    /// What callers may do.
    #[must_use]
    pub fn policy(&self) -> &Policy {
        &self.policy
    }

    /// Where the mappings are kept.
    #[must_use]
    pub fn store(&self) -> &S {
        &self.store
    }

    /// Whether this caller is to be answered: another machine that asks too often in datagrams is not.
    #[must_use]
    pub fn is_heard(&self, caller: &Caller, now: Instant) -> bool {
        match caller.source {
            Some(source) if caller.is_stranger_by_datagram() => self.buckets.take(now, source),
            _ => true,
        }
    }

    /// Registers again what was registered before this binder began: whoever may have done it, and without asking
    /// who owns the place. How many of them are registered now.
    ///
    /// # Errors
    /// What the store says.
    pub async fn restore(&self, mappings: Vec<Mapping>) -> Result<usize, StoreError> {
        let mut restored = 0;
        for mapping in mappings {
            let slot = mapping.slot;
            if slot.program == RPCBIND || !is_usable(slot.netid, &mapping.address) {
                continue;
            }
            restored += usize::from(self.store.insert(mapping).await? != Insert::Taken);
        }
        Ok(restored)
    }

    /// The lowest and the highest version of a program on a transport, if it is there.
    #[must_use]
    pub fn versions(&self, program: u32, netid: Netid) -> Option<(u32, u32)> {
        let mappings = self.store.mappings();
        let all = self.own().iter().chain(mappings.iter());
        let of_it = all.filter(|there| (there.slot.program, there.slot.netid) == (program, netid));
        let versions: Vec<u32> = of_it.map(|there| there.slot.version).collect();
        versions
            .iter()
            .min()
            .copied()
            .zip(versions.iter().max().copied())
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
                process: caller.process,
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
        self.may_have_all(caller).then(|| self.all())
    }

    /// Whether this caller may have answers that are much longer than their questions.
    // req: onc-binder-stat
    #[must_use]
    pub fn may_have_all(&self, caller: &Caller) -> bool {
        self.policy.open_dump || !caller.is_stranger_by_datagram()
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
