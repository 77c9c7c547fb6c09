//! Where registrations are kept. Reading is a look at a snapshot; writing may take a while.

// A file needs more of these two than memory alone.
#[cfg_attr(not(feature = "embedded"), allow(dead_code))]
mod memory;
#[cfg_attr(not(feature = "embedded"), allow(dead_code))]
mod record;
#[cfg(feature = "embedded")]
mod embedded;

#[cfg(feature = "embedded")]
pub use embedded::Embedded;
pub use memory::Memory;
pub use record::{decode_element, decode_mapping};

use crate::element::Element;
use crate::mapping::{Mapping, Owner, Slot};
use farcall_onc::uaddr::Netid;
use std::future::Future;
use std::sync::Arc;

/// What was found where a mapping was to be put.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Insert {
    /// Nothing; the mapping is registered now.
    Inserted,
    /// The same address; nothing changed.
    Same,
    /// Another address; nothing changed.
    Taken,
}

/// What was found of the mappings that were to be removed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Removed {
    /// Mappings that are gone.
    pub removed: usize,
    /// Mappings that stayed, because they belong to somebody else.
    pub kept: usize,
}

/// Which mappings are meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Which<'a> {
    /// The program.
    pub program: u32,
    /// Its version.
    pub version: u32,
    /// The transports.
    pub netids: &'a [Netid],
}

impl Which<'_> {
    /// Whether a slot is one of them.
    #[must_use]
    pub fn holds(&self, slot: Slot) -> bool {
        (slot.program, slot.version) == (self.program, self.version)
            && self.netids.contains(&slot.netid)
    }
}

/// Why a store did not do what it was asked.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// It holds as many registrations as it may.
    #[error("{limit} registrations are there already (Memory::with_capacity)")]
    Full {
        /// The limit.
        limit: usize,
    },
    /// It cannot be reached.
    #[error("registry not reachable: {0}")]
    Unreachable(String),
    /// What it holds cannot be read.
    #[error("registry is damaged: {0}")]
    Damaged(String),
}

/// Where registrations are kept.
pub trait Store: Send + Sync + 'static {
    /// All mappings, in the order in which they were registered.
    fn mappings(&self) -> Arc<Vec<Mapping>>;

    /// Puts a mapping into its slot, if nothing is there.
    ///
    /// # Errors
    /// [`StoreError`]; nothing changed then, as far as it can be known.
    fn insert(&self, mapping: Mapping) -> impl Future<Output = Result<Insert, StoreError>> + Send;

    /// Takes away the mappings that are meant, and that `by` may remove.
    ///
    /// # Errors
    /// [`StoreError`]; nothing changed then, as far as it can be known.
    fn remove(
        &self,
        which: Which<'_>,
        by: Owner,
    ) -> impl Future<Output = Result<Removed, StoreError>> + Send;

    /// Takes away exactly these mappings, whoever they belong to; one that has changed meanwhile stays. How many
    /// are gone.
    ///
    /// # Errors
    /// [`StoreError`]; nothing changed then, as far as it can be known.
    fn forget(
        &self,
        mappings: &[Mapping],
    ) -> impl Future<Output = Result<usize, StoreError>> + Send;

    /// All elements of the endpoint mapper, in the order in which they were registered.
    fn elements(&self) -> Arc<Vec<Element>>;

    /// Changes the elements as a whole: what `edit` makes of them is what is registered, unless it says that it
    /// failed. It may be run again, on newer elements, if somebody else changed them meanwhile.
    ///
    /// # Errors
    /// [`StoreError`]; nothing changed then, as far as it can be known.
    fn edit_elements<E: Send>(
        &self,
        edit: impl Fn(&mut Vec<Element>) -> Result<(), E> + Send,
    ) -> impl Future<Output = Result<Result<(), E>, StoreError>> + Send;
}
