//! What the three versions have done since they were started: what `GETSTAT` tells.
//!
//! Read first: RFC 1833 section 2.2.1 (`RPCBPROC_GETSTAT`). Counts as rpcbind counts, with one difference: its lists of
//! what was asked for grow without end, and ours are bounded.

use farcall_onc::uaddr::Netid;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Procedures that are counted, for each version.
pub const PROCEDURES: usize = 13;

/// Most rows of a list; what comes later is not listed.
const ROWS: usize = 256;

/// A version of the protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Version {
    /// The port mapper.
    Two,
    /// rpcbind.
    Three,
    /// rpcbind, the current one.
    Four,
}

impl Version {
    /// All of them, in the order in which `GETSTAT` tells them.
    pub const ALL: [Self; 3] = [Self::Two, Self::Three, Self::Four];

    fn index(self) -> usize {
        match self {
            Self::Two => 0,
            Self::Three => 1,
            Self::Four => 2,
        }
    }
}

/// How often the address of a program was asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Asked {
    /// The program.
    pub program: u32,
    /// Its version.
    pub version: u32,
    /// The transport.
    pub netid: Netid,
    /// How often it was there.
    pub success: u32,
    /// How often it was not.
    pub failure: u32,
}

/// How often calls of a procedure were to be passed on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Passed {
    /// The program.
    pub program: u32,
    /// Its version.
    pub version: u32,
    /// The procedure.
    pub procedure: u32,
    /// The transport on which the calls came.
    pub netid: Netid,
    /// How often the program was there.
    pub success: u32,
    /// How often it was not.
    pub failure: u32,
    /// How often by `INDIRECT`.
    pub indirect: u32,
}

/// What one version has done.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Calls of each procedure.
    pub calls: [u32; PROCEDURES],
    /// Registrations.
    pub set: u32,
    /// Registrations that were taken back.
    pub unset: u32,
    /// What was asked for, the newest first.
    pub asked: Vec<Asked>,
    /// What was passed on, the newest first.
    pub passed: Vec<Passed>,
}

/// What all versions have done.
#[derive(Debug, Default)]
pub struct Statistics {
    counts: Mutex<[Counts; 3]>,
    /// Calls of procedure 0, which the server answers itself.
    nulls: [Arc<AtomicU64>; 3],
}

impl Statistics {
    fn lock(&self) -> MutexGuard<'_, [Counts; 3]> {
        // Nothing panics while it is held.
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn note(&self, version: Version, change: impl FnOnce(&mut Counts)) {
        if let Some(counts) = self.lock().get_mut(version.index()) {
            change(counts);
        }
    }

    /// Where calls of procedure 0 are to be counted.
    #[must_use]
    pub fn nulls(&self, version: Version) -> Arc<AtomicU64> {
        let [two, three, four] = &self.nulls;
        Arc::clone(match version {
            Version::Two => two,
            Version::Three => three,
            Version::Four => four,
        })
    }

    /// A call came.
    pub fn called(&self, version: Version, procedure: usize) {
        self.note(version, |counts| {
            if let Some(count) = counts.calls.get_mut(procedure) {
                raise(count);
            }
        });
    }

    /// Something was registered.
    pub fn set(&self, version: Version) {
        self.note(version, |counts| raise(&mut counts.set));
    }

    /// Something was taken back.
    pub fn unset(&self, version: Version) {
        self.note(version, |counts| raise(&mut counts.unset));
    }

    /// An address was asked for.
    pub fn asked(&self, version: Version, what: (u32, u32, Netid), found: bool) {
        self.note(version, |counts| {
            let same = |row: &&mut Asked| (row.program, row.version, row.netid) == what;
            let full = counts.asked.len() >= ROWS;
            match counts.asked.iter_mut().find(same) {
                Some(row) if found => raise(&mut row.success),
                Some(row) => raise(&mut row.failure),
                None if full => {}
                None => counts.asked.insert(
                    0,
                    Asked {
                        program: what.0,
                        version: what.1,
                        netid: what.2,
                        success: u32::from(found),
                        failure: u32::from(!found),
                    },
                ),
            }
        });
    }

    /// A call was to be passed on.
    pub fn passed(
        &self,
        version: Version,
        what: (u32, u32, u32, Netid),
        indirect: bool,
        found: bool,
    ) {
        self.note(version, |counts| {
            let same =
                |row: &&mut Passed| (row.program, row.version, row.procedure, row.netid) == what;
            let full = counts.passed.len() >= ROWS;
            match counts.passed.iter_mut().find(same) {
                Some(row) => {
                    raise(if found {
                        &mut row.success
                    } else {
                        &mut row.failure
                    });
                    if indirect {
                        raise(&mut row.indirect);
                    }
                }
                None if full => {}
                None => counts.passed.insert(
                    0,
                    Passed {
                        program: what.0,
                        version: what.1,
                        procedure: what.2,
                        netid: what.3,
                        success: u32::from(found),
                        failure: u32::from(!found),
                        // rpcbind begins with 1 whatever it was.
                        indirect: 1,
                    },
                ),
            }
        });
    }

    /// All counts, in the order of [`Version::ALL`].
    #[must_use]
    pub fn all(&self) -> [Counts; 3] {
        let mut all = self.lock().clone();
        for (counts, nulls) in all.iter_mut().zip(&self.nulls) {
            let nulls = nulls.load(Ordering::Relaxed);
            if let Some(first) = counts.calls.first_mut() {
                *first = u32::try_from(nulls).unwrap_or(u32::MAX);
            }
        }
        all
    }
}

fn raise(count: &mut u32) {
    *count = count.saturating_add(1);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_asked_for_is_listed_newest_first_and_bounded() {
        let statistics = Statistics::default();
        statistics.asked(Version::Four, (7, 1, Netid::Udp), true);
        statistics.asked(Version::Four, (8, 1, Netid::Udp), false);
        statistics.asked(Version::Four, (7, 1, Netid::Udp), false);
        let [two, _, four] = statistics.all();
        assert_eq!(two, Counts::default());
        let rows: Vec<_> = four
            .asked
            .iter()
            .map(|row| (row.program, row.success, row.failure))
            .collect();
        assert_eq!(rows, [(8, 0, 1), (7, 1, 1)]);
        for program in 0..1000 {
            statistics.asked(Version::Two, (program, 1, Netid::Tcp), false);
            statistics.passed(Version::Two, (program, 1, 0, Netid::Udp), false, false);
        }
        let [two, ..] = statistics.all();
        assert_eq!((two.asked.len(), two.passed.len()), (256, 256));
    }

    #[test]
    fn null_calls_are_the_first_procedure() {
        let statistics = Statistics::default();
        statistics
            .nulls(Version::Three)
            .fetch_add(5, Ordering::Relaxed);
        statistics.called(Version::Three, 4);
        statistics.called(Version::Three, 99);
        let [_, three, _] = statistics.all();
        assert_eq!(three.calls, [5, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0]);
    }
}
