//! How many connections a server has, overall and from each source.
//!
//! A connection is counted from the moment that it is accepted until nothing is left of it, on whichever core that is.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};

use crate::limits::Limits;

/// Counts connections, overall and for each source.
#[derive(Debug, Default)]
pub(crate) struct Census {
    counts: Mutex<Counts>,
}

#[derive(Debug, Default)]
struct Counts {
    all: usize,
    sources: HashMap<IpAddr, usize>,
}

/// One counted connection; dropping it uncounts it.
pub(crate) struct Counted {
    census: Arc<Census>,
    source: Option<IpAddr>,
}

impl Census {
    /// Counts a connection from `source`.
    ///
    /// # Errors
    /// The limit that stands against it, by name.
    pub(crate) fn count(
        self: &Arc<Self>,
        source: Option<IpAddr>,
        limits: &Limits,
    ) -> Result<Counted, &'static str> {
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        if counts.all >= limits.connections {
            return Err("connections");
        }
        if let Some(source) = source {
            let from_there = counts.sources.entry(source).or_default();
            if *from_there >= limits.connections_per_source {
                return Err("connections_per_source");
            }
            *from_there += 1;
        }
        counts.all += 1;
        Ok(Counted {
            census: Arc::clone(self),
            source,
        })
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        let mut counts = self
            .census
            .counts
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        counts.all = counts.all.saturating_sub(1);
        let Some(source) = self.source else { return };
        if let Some(count) = counts.sources.get_mut(&source) {
            *count -= 1;
            if *count == 0 {
                counts.sources.remove(&source);
            }
        }
    }
}
