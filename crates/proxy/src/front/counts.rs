//! How many connections there are, in all and from each source.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};

use crate::auth::lockout::network_of;

/// Counts of what is there now.
#[derive(Debug)]
pub struct Counts {
    most: usize,
    most_per_source: usize,
    now: Mutex<Now>,
}

#[derive(Debug, Default)]
struct Now {
    all: usize,
    sources: HashMap<IpAddr, usize>,
}

/// One that is counted, until this is dropped.
#[derive(Debug)]
pub struct Counted {
    counts: Arc<Counts>,
    source: IpAddr,
}

impl Counts {
    /// Nothing is there. At most `most` can be, and `most_per_source` from one source.
    #[must_use]
    pub fn new(most: usize, most_per_source: usize) -> Arc<Self> {
        Arc::new(Self {
            most,
            most_per_source,
            now: Mutex::default(),
        })
    }

    /// Counts one more, unless there are too many.
    #[must_use]
    pub fn enter(self: &Arc<Self>, source: IpAddr) -> Option<Counted> {
        let source = network_of(source);
        let mut now = self.now.lock().unwrap_or_else(PoisonError::into_inner);
        let there = now.sources.get(&source).copied().unwrap_or_default();
        if now.all >= self.most || there >= self.most_per_source {
            return None;
        }
        now.all += 1;
        now.sources.insert(source, there + 1);
        let counts = Arc::clone(self);
        Some(Counted { counts, source })
    }

    /// How many there are.
    #[must_use]
    pub fn all(&self) -> usize {
        self.now.lock().unwrap_or_else(PoisonError::into_inner).all
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        let mut now = self
            .counts
            .now
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        now.all -= 1;
        if let Some(there) = now.sources.get_mut(&self.source) {
            *there -= 1;
            if *there == 0 {
                now.sources.remove(&self.source);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_leaves_makes_room_for_who_comes() {
        let counts = Counts::new(3, 2);
        let source = |last| IpAddr::from([192, 0, 2, last]);
        let one = counts.enter(source(1)).expect("room");
        let _two = counts.enter(source(1)).expect("room");
        assert!(counts.enter(source(1)).is_none(), "two from one source");
        let _three = counts.enter(source(2)).expect("room");
        assert!(counts.enter(source(3)).is_none(), "three in all");
        drop(one);
        assert!(counts.enter(source(1)).is_some());
        assert_eq!(counts.all(), 2);
        assert_eq!(counts.now.lock().expect("whole").sources.len(), 2);
    }
}
