//! Registrations in memory: gone with the process.

use super::{Insert, Removed, Store, StoreError, Which};
use crate::element::Element;
use crate::mapping::{Mapping, Owner};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Registrations in memory.
#[derive(Debug)]
pub struct Memory {
    capacity: usize,
    /// Replaced as a whole, so that a reader's snapshot stays as it is.
    mappings: Mutex<Arc<Vec<Mapping>>>,
    /// As the mappings.
    elements: Mutex<Arc<Vec<Element>>>,
}

impl Memory {
    /// Room for 4096 mappings and as many elements.
    #[must_use]
    pub fn new() -> Self {
        Self::with_capacity(4096)
    }

    /// Room for `capacity` mappings and as many elements.
    #[must_use]
    pub fn with_capacity(capacity: usize) -> Self {
        Self {
            capacity,
            mappings: Mutex::default(),
            elements: Mutex::default(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Arc<Vec<Mapping>>> {
        // Nothing panics while it is held, and a snapshot is never half changed.
        self.mappings.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn lock_elements(&self) -> MutexGuard<'_, Arc<Vec<Element>>> {
        // Edits work on copies.
        self.elements.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn edit_now<E>(
        &self,
        edit: impl Fn(&mut Vec<Element>) -> Result<(), E>,
    ) -> Result<Result<(), E>, StoreError> {
        let mut elements = self.lock_elements();
        let mut edited = Vec::clone(&elements);
        let before = edited.len();
        if let Err(refused) = edit(&mut edited) {
            return Ok(Err(refused));
        }
        if edited.len() > self.capacity.max(before) {
            return Err(StoreError::Full {
                limit: self.capacity,
            });
        }
        *elements = Arc::new(edited);
        Ok(Ok(()))
    }

    pub(super) fn insert_now(&self, mapping: Mapping) -> Result<Insert, StoreError> {
        let mut mappings = self.lock();
        if let Some(there) = mappings.iter().find(|there| there.slot == mapping.slot) {
            return Ok(if there.address == mapping.address {
                Insert::Same
            } else {
                Insert::Taken
            });
        }
        if mappings.len() >= self.capacity {
            return Err(StoreError::Full {
                limit: self.capacity,
            });
        }
        Arc::make_mut(&mut mappings).push(mapping);
        Ok(Insert::Inserted)
    }

    /// Memory that holds these already.
    pub(super) fn holding(mappings: Vec<Mapping>, elements: Vec<Element>) -> Self {
        let memory = Self::new();
        *memory.lock() = Arc::new(mappings);
        *memory.lock_elements() = Arc::new(elements);
        memory
    }

    /// Replaces the mappings.
    pub(super) fn replace_mappings(&self, mappings: Vec<Mapping>) {
        *self.lock() = Arc::new(mappings);
    }

    /// Replaces the elements.
    pub(super) fn replace_elements(&self, elements: Vec<Element>) {
        *self.lock_elements() = Arc::new(elements);
    }

    /// Most mappings, and most elements.
    pub(super) fn capacity(&self) -> usize {
        self.capacity
    }

    pub(super) fn forget_now(&self, mappings: &[Mapping]) -> usize {
        let mut there = self.lock();
        let before = there.len();
        if there.iter().any(|mapping| mappings.contains(mapping)) {
            Arc::make_mut(&mut there).retain(|mapping| !mappings.contains(mapping));
        }
        before.saturating_sub(there.len())
    }

    pub(super) fn remove_now(&self, which: Which<'_>, by: &Owner) -> Removed {
        let mut found = Removed::default();
        let mut mappings = self.lock();
        if mappings.iter().any(|there| which.holds(there.slot)) {
            Arc::make_mut(&mut mappings).retain(|there| {
                let meant = which.holds(there.slot);
                let goes = meant && by.may_remove(&there.owner);
                found.removed += usize::from(goes);
                found.kept += usize::from(meant && !goes);
                !goes
            });
        }
        found
    }
}

impl Default for Memory {
    fn default() -> Self {
        Self::new()
    }
}

impl Store for Memory {
    fn mappings(&self) -> Arc<Vec<Mapping>> {
        Arc::clone(&self.lock())
    }

    async fn insert(&self, mapping: Mapping) -> Result<Insert, StoreError> {
        self.insert_now(mapping)
    }

    async fn remove(&self, which: Which<'_>, by: Owner) -> Result<Removed, StoreError> {
        Ok(self.remove_now(which, &by))
    }

    async fn forget(&self, mappings: &[Mapping]) -> Result<usize, StoreError> {
        Ok(self.forget_now(mappings))
    }

    fn elements(&self) -> Arc<Vec<Element>> {
        Arc::clone(&self.lock_elements())
    }

    async fn edit_elements<E: Send>(
        &self,
        edit: impl Fn(&mut Vec<Element>) -> Result<(), E> + Send,
    ) -> Result<Result<(), E>, StoreError> {
        self.edit_now(edit)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mapping::Slot;
    use farcall_onc::uaddr::{Netid, Uaddr};

    fn mapping(version: u32, netid: Netid, port: u16, owner: Owner) -> Mapping {
        let slot = Slot {
            program: 7,
            version,
            netid,
        };
        Mapping {
            slot,
            address: Uaddr::Inet(([0, 0, 0, 0], port).into()),
            owner,
            process: None,
        }
    }

    #[test]
    fn a_slot_holds_one_address() {
        let memory = Memory::with_capacity(2);
        let insert =
            |version, port| memory.insert_now(mapping(version, Netid::Tcp, port, Owner::Unknown));
        assert_eq!(insert(1, 10), Ok(Insert::Inserted));
        assert_eq!(insert(1, 10), Ok(Insert::Same));
        assert_eq!(insert(1, 11), Ok(Insert::Taken));
        assert_eq!(insert(2, 10), Ok(Insert::Inserted));
        assert_eq!(insert(3, 10), Err(StoreError::Full { limit: 2 }));
        assert_eq!(memory.mappings().len(), 2);
    }

    #[test]
    fn what_has_changed_is_not_forgotten() {
        let memory = Memory::new();
        let old = mapping(1, Netid::Tcp, 10, Owner::User(1));
        let stays = mapping(2, Netid::Tcp, 10, Owner::User(1));
        for mapping in [&old, &stays] {
            memory.insert_now(mapping.clone()).expect("there is room");
        }
        let newer = mapping(1, Netid::Tcp, 11, Owner::User(1));
        assert_eq!(memory.forget_now(&[newer]), 0);
        assert_eq!(memory.forget_now(&[old]), 1);
        assert_eq!(*memory.mappings(), [stays]);
    }

    #[test]
    fn only_the_owner_and_the_superuser_remove() {
        let memory = Memory::new();
        let (alice, bob) = (Owner::User(1), Owner::User(2));
        for (netid, owner) in [
            (Netid::Tcp, alice.clone()),
            (Netid::Udp, bob),
            (Netid::Tcp6, Owner::Superuser),
        ] {
            memory
                .insert_now(mapping(1, netid, 5, owner))
                .expect("there is room");
        }
        let snapshot = memory.mappings();
        let all = Which {
            program: 7,
            version: 1,
            netids: &Netid::ALL,
        };
        let other = Which { version: 2, ..all };
        assert_eq!(
            memory.remove_now(other, &Owner::Superuser),
            Removed::default()
        );
        assert_eq!(
            memory.remove_now(all, &alice),
            Removed {
                removed: 1,
                kept: 2
            }
        );
        assert_eq!(
            memory.remove_now(all, &Owner::Superuser),
            Removed {
                removed: 2,
                kept: 0
            }
        );
        assert_eq!((memory.mappings().len(), snapshot.len()), (0, 3));
    }
}
