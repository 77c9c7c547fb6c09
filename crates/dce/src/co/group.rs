//! Association groups: what the connections of one client share at one server.
//!
//! Read first: C706 section 9.3.3.2 (association groups) and MS-RPCE section 3.3.3.4.2. A group lives as long as a
//! connection or a call holds it; when the last lets go, its context handles are run down: their states are
//! dropped. A group belongs to the endpoint family whose [`Groups`] made it; its number means nothing elsewhere.

use crate::seed::Seed;
use std::sync::Arc;

/// The association groups of one endpoint family: all TCP endpoints of a server, say.
#[derive(Debug)]
pub struct Groups {
    _seed: Seed,
}

/// One association group.
#[derive(Debug)]
pub struct Group {
    id: u32,
}

impl Groups {
    /// No groups yet. Group ids are drawn from `seed`.
    #[must_use]
    pub fn new(seed: Seed) -> Arc<Self> {
        Arc::new(Self { _seed: seed })
    }
}

impl Group {
    /// Its number (`assoc_group_id`), never 0.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.id
    }
}
