//! Association groups: what the connections of one client share at one server.
//!
//! Read first: C706 section 9.3.3.2 (association groups) and MS-RPCE section 3.3.3.4.2. A group lives as long as a
//! connection or a call holds it; when the last lets go, its context handles are run down: their states are
//! dropped. A group belongs to the endpoint family whose [`Groups`] made it; its number means nothing elsewhere.

use crate::co::handle::{Handles, Kind, Mismatch, State, Strictness, TooMany};
use crate::seed::Seed;
use farcall_wire::ndr::ContextHandle;
use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

/// Context handles that one group may have open, unless [`Groups::with_handle_limit`] says otherwise.
const HANDLES: usize = 4096;

/// The association groups of one endpoint family: all TCP endpoints of a server, say.
pub struct Groups {
    seed: Seed,
    handles: usize,
    table: Mutex<Table>,
}

struct Table {
    drawn: u64,
    groups: HashMap<u32, Weak<Group>, Seed>,
}

/// One association group.
pub struct Group {
    id: u32,
    /// Where it is listed as long as it lives.
    home: Weak<Groups>,
    handles: Mutex<Handles>,
}

impl Groups {
    /// No groups yet. Group ids and handles are drawn from `seed`.
    #[must_use]
    pub fn new(seed: Seed) -> Arc<Self> {
        Self::with_handle_limit(seed, HANDLES)
    }

    /// The same, with at most `handles` context handles open in each group. Default 4096.
    #[must_use]
    pub fn with_handle_limit(seed: Seed, handles: usize) -> Arc<Self> {
        let groups = HashMap::with_hasher(seed.clone());
        Arc::new(Self {
            seed,
            handles,
            table: Mutex::new(Table { drawn: 0, groups }),
        })
    }

    /// A new group with one member: the caller. `None` if every number is taken.
    // req: dce-group-new
    #[must_use]
    pub fn create(self: &Arc<Self>) -> Option<Arc<Group>> {
        let mut table = lock(&self.table);
        for _ in 0..64 {
            let index = table.drawn;
            table.drawn = index.wrapping_add(1);
            let [a, b, c, d, ..] = self.seed.draw(index).to_le_bytes();
            let id = u32::from_le_bytes([a, b, c, d]);
            if id == 0 || table.groups.contains_key(&id) {
                continue;
            }
            let group = Arc::new(Group {
                id,
                home: Arc::downgrade(self),
                handles: Mutex::new(Handles::new(self.seed.child(index), self.handles)),
            });
            table.groups.insert(id, Arc::downgrade(&group));
            return Some(group);
        }
        None
    }

    /// The group of that number, if somebody is in it.
    // req: dce-group-join
    #[must_use]
    pub fn join(&self, id: u32) -> Option<Arc<Group>> {
        lock(&self.table).groups.get(&id)?.upgrade()
    }

    /// Groups that have members.
    #[must_use]
    pub fn len(&self) -> usize {
        lock(&self.table).groups.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl Group {
    /// Its number (`assoc_group_id`), never 0.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.id
    }

    /// Keeps `state` for the client under a new handle.
    ///
    /// # Errors
    /// [`TooMany`]; `state` is dropped.
    pub fn open(&self, kind: Kind, state: State) -> Result<ContextHandle, TooMany> {
        lock(&self.handles).open(kind, state)
    }

    /// The state behind a handle, asked for by an operation of `kind`'s interface that declares it as `kind`'s type.
    ///
    /// # Errors
    /// [`Mismatch`].
    pub fn find(
        &self,
        handle: &ContextHandle,
        kind: Kind,
        strictness: Strictness,
    ) -> Result<State, Mismatch> {
        lock(&self.handles).find(handle, kind, strictness)
    }

    /// Forgets a handle and returns its state; calls that use it still hold it.
    ///
    /// # Errors
    /// [`Mismatch`].
    pub fn close(
        &self,
        handle: &ContextHandle,
        kind: Kind,
        strictness: Strictness,
    ) -> Result<State, Mismatch> {
        lock(&self.handles).close(handle, kind, strictness)
    }

    /// Handles that are open.
    #[must_use]
    pub fn handles(&self) -> usize {
        lock(&self.handles).len()
    }
}

/// Runs the group's handles down and takes it off the list.
impl Drop for Group {
    fn drop(&mut self) {
        let states = lock(&self.handles).drain();
        if let Some(home) = self.home.upgrade() {
            lock(&home.table).groups.remove(&self.id);
        }
        // Outside of every lock: a state's own end may take its time.
        drop(states);
    }
}

impl fmt::Debug for Groups {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Groups({})", self.len())
    }
}

impl fmt::Debug for Group {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Group({:#010x}, {} handles)", self.id, self.handles())
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests;
