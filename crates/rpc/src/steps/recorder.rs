//! Which calls a server samples, and the last of their records.

use std::collections::VecDeque;
use std::fmt;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Duration;

use farcall_wire::Uuid;

use super::step::Steps;
use crate::endpoint::Transport;

/// What is known of a call when it is decided whether it is sampled.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Subject {
    /// How it came.
    pub transport: Transport,
    /// The interface, if the call is one of DCE/RPC.
    pub interface: Option<Uuid>,
    /// The program's number; of an interface, the first field of its UUID.
    pub program: u32,
    /// The version of the program; of an interface, the major one.
    pub version: u32,
    /// The procedure's or operation's number.
    pub procedure: u32,
    /// The call's number.
    pub xid: u32,
    /// Who called.
    pub peer: String,
}

/// Samples calls of a server and keeps the last records. Cheap to clone; all clones are one.
///
/// A server without one pays nothing for it. With one, every TCP connection and UDP socket asks
/// the kernel for timestamps and reads them, sampled or not: about 2 µs for each small call.
#[derive(Clone)]
pub struct Recorder(Arc<Shared>);

type Predicate = dyn Fn(&Subject) -> bool + Send + Sync;

struct Shared {
    every: u64,
    only: Option<Box<Predicate>>,
    capacity: AtomicUsize,
    calls: AtomicU64,
    kept: Mutex<VecDeque<Steps>>,
    more: Condvar,
}

/// Records that are kept unless something else is asked for.
const CAPACITY: usize = 256;

impl Recorder {
    /// Samples every `n`th call; 0 is as good as 1, which is all of them. The last 256 records
    /// are kept.
    pub fn every(n: u64) -> Self {
        Self::make(n.max(1), None)
    }

    /// Samples the calls of which `wanted` is true. It is asked for each call, so it should be
    /// quick. The last 256 records are kept.
    pub fn only(wanted: impl Fn(&Subject) -> bool + Send + Sync + 'static) -> Self {
        Self::make(1, Some(Box::new(wanted)))
    }

    /// The same, keeping this many records.
    #[must_use]
    pub fn capacity(self, records: usize) -> Self {
        self.0.capacity.store(records.max(1), Ordering::Relaxed);
        self
    }

    fn make(every: u64, only: Option<Box<Predicate>>) -> Self {
        Self(Arc::new(Shared {
            every,
            only,
            capacity: AtomicUsize::new(CAPACITY),
            calls: AtomicU64::new(0),
            kept: Mutex::default(),
            more: Condvar::new(),
        }))
    }

    /// Decides about a call.
    pub(crate) fn choose(&self, subject: impl FnOnce() -> Subject) -> Option<Subject> {
        let number = self.0.calls.fetch_add(1, Ordering::Relaxed);
        if !number.is_multiple_of(self.0.every) {
            return None;
        }
        let subject = subject();
        match &self.0.only {
            Some(only) if !only(&subject) => None,
            _ => Some(subject),
        }
    }

    /// Keeps a record; the oldest goes if there is no room.
    pub(crate) fn keep(&self, steps: Steps) {
        let mut kept = self.0.kept.lock().unwrap_or_else(PoisonError::into_inner);
        while kept.len() >= self.0.capacity.load(Ordering::Relaxed) {
            kept.pop_front();
        }
        kept.push_back(steps);
        self.0.more.notify_all();
    }

    /// The records, oldest first.
    pub fn records(&self) -> Vec<Steps> {
        let kept = self.0.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.iter().cloned().collect()
    }

    /// Forgets all records.
    pub fn clear(&self) {
        let mut kept = self.0.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.clear();
    }

    /// The latest record of the call with this number. The server may still be at its last step
    /// when the caller has its result, so this waits for at most `patience`; it blocks the
    /// thread.
    pub fn wait(&self, xid: u32, patience: Duration) -> Option<Steps> {
        let find = |kept: &VecDeque<Steps>| kept.iter().rev().find(|s| s.xid == xid).cloned();
        let kept = self.0.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let (kept, _) = self
            .0
            .more
            .wait_timeout_while(kept, patience, |kept| find(kept).is_none())
            .unwrap_or_else(PoisonError::into_inner);
        find(&kept)
    }
}

impl fmt::Debug for Recorder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Recorder")
            .field("every", &self.0.every)
            .field("capacity", &self.0.capacity)
            .finish_non_exhaustive()
    }
}
