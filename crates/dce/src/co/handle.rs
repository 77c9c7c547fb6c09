//! Context handles: what a server keeps for a client between calls.
//!
//! Read first: C706 sections 5.1.6 and 4.2.16.6 (context handles and rundown) and MS-RPCE sections 3.3.1.4.1 and
//! 2.2.4.7 (`strict_context_handle`, `type_strict_context_handle`). A handle on the wire is 20 bytes that mean
//! something only to the server that made them: its number is drawn from a seed, so that no client can guess the
//! handle of another group. The table belongs to an association group and is dropped with it: dropping a state is its
//! rundown. Which calls wait for each other on one handle is for the state itself to say; it is shared.

use crate::seed::Seed;
use crate::syntax::{SyntaxId, Uuid};
use farcall_wire::ndr::ContextHandle;
use std::any::Any;
use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

/// A state behind a handle. Calls that use it share it.
pub type State = Arc<dyn Any + Send + Sync>;

/// Who may use a handle (MS-RPCE section 3.3.1.4.1).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Strictness {
    /// Only operations of the interface that made it, and only as the type it was made as. The default.
    #[default]
    Type,
    /// Only operations of the interface that made it.
    Interface,
    /// Operations of every interface in the group.
    Open,
}

/// What a handle was made as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Kind {
    /// The interface whose operation made it.
    pub interface: SyntaxId,
    /// The name of its type in the interface.
    pub name: &'static str,
}

/// A handle that cannot be used: fault [`CONTEXT_MISMATCH`](crate::status::CONTEXT_MISMATCH).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mismatch;

impl fmt::Display for Mismatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("no such context handle in this association group, or of another kind")
    }
}

impl std::error::Error for Mismatch {}

/// No further handle: fault [`REMOTE_NO_MEMORY`](crate::status::REMOTE_NO_MEMORY).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TooMany {
    /// The limit.
    pub limit: usize,
}

impl fmt::Display for TooMany {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} context handles are open in the group already",
            self.limit
        )
    }
}

impl std::error::Error for TooMany {}

struct Entry {
    kind: Kind,
    state: State,
}

/// The open handles of one association group.
pub(crate) struct Handles {
    seed: Seed,
    drawn: u64,
    limit: usize,
    open: HashMap<Uuid, Entry, Seed>,
}

impl Handles {
    pub(crate) fn new(seed: Seed, limit: usize) -> Self {
        Self {
            open: HashMap::with_hasher(seed.clone()),
            drawn: 0,
            limit,
            seed,
        }
    }

    // req: dce-handle-unguessable
    pub(crate) fn open(&mut self, kind: Kind, state: State) -> Result<ContextHandle, TooMany> {
        if self.open.len() >= self.limit {
            return Err(TooMany { limit: self.limit });
        }
        let mut uuid = self.draw();
        while uuid.is_nil() || self.open.contains_key(&uuid) {
            uuid = self.draw();
        }
        self.open.insert(uuid, Entry { kind, state });
        Ok(ContextHandle {
            attributes: 0,
            uuid,
        })
    }

    fn draw(&mut self) -> Uuid {
        let mut bytes = [0; 16];
        for half in bytes.chunks_exact_mut(8) {
            half.copy_from_slice(&self.seed.draw(self.drawn).to_le_bytes());
            self.drawn = self.drawn.wrapping_add(1);
        }
        Uuid::from_bytes_be(bytes)
    }

    /// What is open under a handle. We give out none with attributes, and so take none.
    fn entry(&self, handle: &ContextHandle) -> Result<&Entry, Mismatch> {
        let found = self.open.get(&handle.uuid);
        found.filter(|_| handle.attributes == 0).ok_or(Mismatch)
    }

    // req: dce-handle-strict
    pub(crate) fn find(
        &self,
        handle: &ContextHandle,
        kind: Kind,
        strictness: Strictness,
    ) -> Result<State, Mismatch> {
        let entry = self.entry(handle)?;
        allowed(entry, kind, strictness)
            .then(|| Arc::clone(&entry.state))
            .ok_or(Mismatch)
    }

    pub(crate) fn close(
        &mut self,
        handle: &ContextHandle,
        kind: Kind,
        strictness: Strictness,
    ) -> Result<State, Mismatch> {
        let entry = self.entry(handle)?;
        if !allowed(entry, kind, strictness) {
            return Err(Mismatch);
        }
        self.open
            .remove(&handle.uuid)
            .map(|entry| entry.state)
            .ok_or(Mismatch)
    }

    pub(crate) fn len(&self) -> usize {
        self.open.len()
    }

    /// Takes all states, for their rundown.
    pub(crate) fn drain(&mut self) -> Vec<State> {
        self.open.drain().map(|(_, entry)| entry.state).collect()
    }
}

fn allowed(entry: &Entry, kind: Kind, strictness: Strictness) -> bool {
    match strictness {
        Strictness::Type => entry.kind == kind,
        Strictness::Interface => entry.kind.interface == kind.interface,
        Strictness::Open => true,
    }
}
