//! Association groups at a server, and the context handles that live in them.
//!
//! Read first: C706 sections 4.2.16.6 (context handles) and 9.3.3 (association groups), MS-RPCE
//! section 3.3.1.5.6. The connections of one client to one server form a group, whichever of the
//! server's threads they are on. A context handle is a name for state that an operation opened;
//! any call of the same group may use it, and the state is dropped, which is its rundown, when it
//! is closed or when the group has lost its last connection and its last call.
//!
//! Nothing here is touched by a call that uses no handle; failures are the status of a fault. A handle's name is made of two secret
//! hashes, so that it cannot be guessed.

use std::any::Any;
use std::collections::HashMap;
use std::collections::hash_map::RandomState;
use std::fmt;
use std::hash::BuildHasher;
use std::ops::{Deref, DerefMut};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use farcall_wire::Uuid;
use tokio::sync::{OwnedRwLockReadGuard, OwnedRwLockWriteGuard, RwLock};

use crate::interface::Interface;

/// `nca_s_fault_context_mismatch`: the handle is of another group, interface or type, or of none.
const CONTEXT_MISMATCH: u32 = 0x1c00_001a;

/// `nca_s_fault_remote_no_memory`: there is no room for another handle.
const REMOTE_NO_MEMORY: u32 = 0x1c00_001b;

/// Locks that groups are spread over, so that connections on different threads rarely meet.
const SHARDS: usize = 16;

/// All groups of a server.
#[derive(Debug)]
pub(crate) struct Groups {
    shards: [Mutex<HashMap<Key, Weak<Group>>>; SHARDS],
    names: Names,
    /// Handles that one group may have open.
    handles: usize,
}

/// A source of names that nobody outside can guess.
#[derive(Debug)]
struct Names {
    count: AtomicU64,
    secrets: [RandomState; 2],
}

impl Names {
    fn new() -> Self {
        // Two states made one after the other on one thread differ in one half of their keys by
        // one; by way of a hash they differ in all of it.
        Self {
            count: AtomicU64::new(1),
            secrets: [RandomState::new(), RandomState::new()],
        }
    }

    fn next(&self) -> [u64; 2] {
        let count = self.count.fetch_add(1, Ordering::Relaxed);
        let mut salt = 0_u64;
        self.secrets.each_ref().map(|secret| {
            salt = secret.hash_one((count, salt));
            salt
        })
    }

    fn uuid(&self) -> Uuid {
        let [high, low] = self.next();
        Uuid::new(
            (high >> 32) as u32,
            (high >> 16) as u16,
            // Version 4, variant 1: a random UUID, as RFC 9562 section 5.4 has it.
            (high as u16 & 0x0fff) | 0x4000,
            ((low & 0x3fff_ffff_ffff_ffff) | 0x8000_0000_0000_0000).to_be_bytes(),
        )
    }
}

impl Groups {
    /// No groups; each that comes may have this many handles open.
    pub(crate) fn new(handles: usize) -> Arc<Self> {
        Arc::new(Self {
            shards: Default::default(),
            names: Names::new(),
            handles,
        })
    }

    fn shard(&self, key: Key) -> MutexGuard<'_, HashMap<Key, Weak<Group>>> {
        let shard = &self.shards[key.1 as usize % SHARDS];
        shard.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What the connections of the association group with this id over `scope` share. They must
    /// hold it as long as they last.
    pub(crate) fn of(self: &Arc<Self>, scope: Scope, id: u32) -> Arc<Group> {
        let key = (scope, id);
        let mut shard = self.shard(key);
        if let Some(group) = shard.get(&key).and_then(Weak::upgrade) {
            return group;
        }
        let group = Arc::new(Group {
            key,
            handles: Mutex::default(),
            groups: Arc::clone(self),
        });
        shard.insert(key, Arc::downgrade(&group));
        group
    }
}

/// A group's id on the wire, and over what it counts.
type Key = (Scope, u32);

/// Which kind of transport a group's connections are over: ids of one mean nothing over another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Scope {
    /// TCP.
    Network,
    /// A socket of this machine, or of this process.
    Local,
}

/// What one client's connections to a server share.
pub(crate) struct Group {
    key: Key,
    handles: Mutex<HashMap<Uuid, Entry>>,
    groups: Arc<Groups>,
}

/// What a context handle stands for.
#[derive(Clone)]
struct Entry {
    interface: Uuid,
    /// A `RwLock` of whatever was opened.
    state: Arc<dyn Any + Send + Sync>,
}

impl Group {
    fn handles(&self) -> MutexGuard<'_, HashMap<Uuid, Entry>> {
        self.handles.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Gives `state` a handle that operations of `interface` may use.
    pub(crate) fn open<T: Send + Sync + 'static>(
        &self,
        interface: &Interface,
        state: T,
    ) -> Result<Uuid, u32> {
        let entry = Entry {
            interface: interface.uuid,
            state: Arc::new(RwLock::new(state)),
        };
        let uuid = self.groups.names.uuid();
        let mut handles = self.handles();
        if handles.len() >= self.groups.handles {
            tracing::warn!(
                limit = self.groups.handles,
                "a client has too many handles open"
            );
            return Err(REMOTE_NO_MEMORY);
        }
        handles.insert(uuid, entry);
        Ok(uuid)
    }

    /// What a handle of `interface` stands for.
    pub(crate) fn find<T: Send + Sync + 'static>(
        &self,
        interface: &Interface,
        handle: Uuid,
    ) -> Result<Arc<RwLock<T>>, u32> {
        let entry = self.handles().get(&handle).cloned();
        entry
            .filter(|entry| entry.interface == interface.uuid)
            .and_then(|entry| entry.state.downcast().ok())
            .ok_or(CONTEXT_MISMATCH)
    }

    /// Closes a handle of `interface`; its state is dropped as soon as nobody holds it.
    pub(crate) fn close(&self, interface: &Interface, handle: Uuid) -> Result<(), u32> {
        let mut handles = self.handles();
        let known = handles.get(&handle);
        if known.is_none_or(|entry| entry.interface != interface.uuid) {
            return Err(CONTEXT_MISMATCH);
        }
        let entry = handles.remove(&handle);
        // Dropping what was opened may run code of the application: not under the lock.
        drop(handles);
        drop(entry);
        Ok(())
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        let mut shard = self.groups.shard(self.key);
        // Another group may have come to the same id since.
        if shard
            .get(&self.key)
            .is_some_and(|there| there.strong_count() == 0)
        {
            shard.remove(&self.key);
        }
    }
}

impl fmt::Debug for Group {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Group")
            .field("key", &self.key)
            .field("handles", &self.handles().len())
            .finish_non_exhaustive()
    }
}

/// State behind a context handle, held by one call alone until this is dropped.
#[derive(Debug)]
pub struct Held<T>(OwnedRwLockWriteGuard<T>);

impl<T> Held<T> {
    /// Waits until no other call holds it.
    pub(crate) async fn of(state: Arc<RwLock<T>>) -> Self {
        Self(state.write_owned().await)
    }
}

impl<T> Deref for Held<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0
    }
}

impl<T> DerefMut for Held<T> {
    fn deref_mut(&mut self) -> &mut T {
        &mut self.0
    }
}

/// State behind a context handle, held together with other calls that only look at it.
#[derive(Debug)]
pub struct Shared<T>(OwnedRwLockReadGuard<T>);

impl<T> Shared<T> {
    /// Waits until no call holds it alone.
    pub(crate) async fn of(state: Arc<RwLock<T>>) -> Self {
        Self(state.read_owned().await)
    }
}

impl<T> Deref for Shared<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn interface(name: &'static str, first: u32) -> Interface {
        Interface {
            uuid: Uuid::new(first, 0, 0, [0; 8]),
            major: 1,
            minor: 0,
            name,
            operations: &[],
            endpoints: &[],
        }
    }

    static ONE: Interface = interface("one", 1);
    static OTHER: Interface = interface("other", 2);

    fn is_mismatch<T>(result: &Result<T, u32>) -> bool {
        matches!(result, Err(CONTEXT_MISMATCH))
    }

    #[test]
    fn a_handle_is_good_for_its_group_interface_and_type_alone() {
        let groups = Groups::new(8);
        let (group, stranger) = (groups.of(Scope::Network, 1), groups.of(Scope::Network, 2));
        let handle = group.open(&ONE, String::from("state")).expect("opened");
        assert!(group.find::<String>(&ONE, handle).is_ok());
        assert!(is_mismatch(&group.find::<u32>(&ONE, handle)));
        assert!(is_mismatch(&group.find::<String>(&OTHER, handle)));
        assert!(is_mismatch(&stranger.find::<String>(&ONE, handle)));
        assert!(is_mismatch(&group.find::<String>(&ONE, Uuid::NIL)));
        assert!(is_mismatch(&group.close(&OTHER, handle)));
        assert!(group.close(&ONE, handle).is_ok());
        assert!(is_mismatch(&group.find::<String>(&ONE, handle)));
    }

    #[test]
    fn a_handle_lives_until_the_last_connection_of_its_group_is_gone() {
        let groups = Groups::new(8);
        let first = groups.of(Scope::Network, 7);
        let second = groups.of(Scope::Network, 7);
        let local = groups.of(Scope::Local, 7);
        let state = Arc::new(());
        let handle = first.open(&ONE, Arc::clone(&state)).expect("opened");
        drop(first);
        assert!(second.find::<Arc<()>>(&ONE, handle).is_ok());
        assert!(is_mismatch(&local.find::<Arc<()>>(&ONE, handle)));
        drop(second);
        assert_eq!(Arc::strong_count(&state), 1, "rundown");
        let again = groups.of(Scope::Network, 7);
        assert!(is_mismatch(&again.find::<Arc<()>>(&ONE, handle)));
    }

    #[test]
    fn a_group_has_no_more_handles_than_its_limit() {
        let group = Groups::new(2).of(Scope::Local, 1);
        let handles: Vec<_> = (0..2).filter_map(|n| group.open(&ONE, n).ok()).collect();
        assert_ne!(handles[0], handles[1]);
        assert_eq!(group.open(&ONE, 3), Err(REMOTE_NO_MEMORY));
    }
}
