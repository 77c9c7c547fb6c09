//! The closed loop's clock: warm-up, measured time, counts, and both processes' CPU clocks.
//!
//! Every Rust client here is paced by this one type, whether it keeps one call in flight or has
//! 64 tasks; the C client does the same in its own words.

use std::sync::Mutex;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use nix::time::{ClockId, clock_getcpuclockid};
use nix::unistd::Pid;
use serde::{Deserialize, Serialize};

use crate::shape::Work;

/// How long, or how many calls.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Timing {
    pub(crate) warm: Duration,
    pub(crate) measure: Duration,
    /// Stop after exactly that many calls instead (system call counts need it).
    pub(crate) calls: Option<u64>,
    pub(crate) server: Pid,
}

/// What one client process reports of one sample.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Report {
    /// Calls completed and verified in the measured time.
    pub(crate) calls: u64,
    pub(crate) seconds: f64,
    /// Of one call, where one is in flight; 0 otherwise.
    pub(crate) p50_ns: u64,
    pub(crate) p99_ns: u64,
    pub(crate) client_cpu_ns: u64,
    pub(crate) server_cpu_ns: u64,
}

const WARMING: u8 = 0;
const MEASURING: u8 = 1;
const DONE: u8 = 2;

/// Shared by all tasks of a client. Single-threaded clients only: the counters are relaxed.
pub(crate) struct Pace {
    timing: Timing,
    /// Look at the clock every so many calls.
    stride: u64,
    phase: AtomicU8,
    calls: AtomicU64,
    marks: Mutex<Marks>,
}

struct Marks {
    started: Instant,
    begin: Option<Mark>,
    end: Option<Mark>,
}

#[derive(Clone, Copy)]
struct Mark {
    at: Instant,
    calls: u64,
    client: Duration,
    server: Duration,
}

impl Pace {
    pub(crate) fn new(timing: Timing, work: Work, in_flight: usize) -> Self {
        let rare = in_flight == 1 || matches!(work, Work::Read(_));
        Self {
            timing,
            stride: if rare { 1 } else { 64 },
            phase: AtomicU8::new(WARMING),
            calls: AtomicU64::new(0),
            marks: Mutex::new(Marks {
                started: Instant::now(),
                begin: None,
                end: None,
            }),
        }
    }

    /// Warm-up replies are checked byte by byte.
    pub(crate) fn warming(&self) -> bool {
        self.phase.load(Relaxed) == WARMING
    }

    /// Counts `n` completed calls and says whether to go on.
    pub(crate) fn completed(&self, n: u64) -> Result<bool> {
        let before = self.calls.load(Relaxed);
        let after = before + n;
        self.calls.store(after, Relaxed);
        if before / self.stride != after / self.stride {
            self.look(Instant::now())?;
        }
        Ok(self.phase.load(Relaxed) != DONE)
    }

    /// As [`completed`](Self::completed) for one call, where the caller has just read the clock.
    pub(crate) fn completed_at(&self, now: Instant) -> Result<bool> {
        self.calls.store(self.calls.load(Relaxed) + 1, Relaxed);
        self.look(now)?;
        Ok(self.phase.load(Relaxed) != DONE)
    }

    fn look(&self, now: Instant) -> Result<()> {
        let calls = self.calls.load(Relaxed);
        let phase = self.phase.load(Relaxed);
        let mut marks = self.marks.lock().expect("one thread");
        if let Some(limit) = self.timing.calls {
            if calls >= limit {
                self.phase.store(DONE, Relaxed);
            }
        } else if phase == WARMING && now - marks.started >= self.timing.warm {
            marks.begin = Some(self.mark(calls)?);
            self.phase.store(MEASURING, Relaxed);
        } else if phase == MEASURING
            && marks
                .begin
                .is_some_and(|begin| now - begin.at >= self.timing.measure)
        {
            marks.end = Some(self.mark(calls)?);
            self.phase.store(DONE, Relaxed);
        }
        Ok(())
    }

    fn mark(&self, calls: u64) -> Result<Mark> {
        Ok(Mark {
            server: cpu_of(self.timing.server)?,
            client: cpu_of(Pid::this())?,
            calls,
            at: Instant::now(),
        })
    }

    /// The sample's figures; `latencies` in nanoseconds, in any order, may be empty.
    pub(crate) fn report(&self, mut latencies: Vec<u32>) -> Result<Report> {
        let marks = self.marks.lock().expect("one thread");
        if self.timing.calls.is_some() {
            return Ok(Report {
                calls: self.calls.load(Relaxed),
                ..Report::default()
            });
        }
        let begin = marks.begin.context("the warm-up never ended")?;
        let end = marks.end.context("the measured time never ended")?;
        latencies.sort_unstable();
        let at = |share: usize| {
            latencies
                .get(latencies.len() * share / 100)
                .map_or(0, |&n| n.into())
        };
        Ok(Report {
            calls: end.calls - begin.calls,
            seconds: (end.at - begin.at).as_secs_f64(),
            p50_ns: at(50),
            p99_ns: at(99),
            client_cpu_ns: (end.client - begin.client).as_nanos() as u64,
            server_cpu_ns: (end.server - begin.server).as_nanos() as u64,
        })
    }
}

/// CPU time the process has used so far, all threads, from its own clock.
pub(crate) fn cpu_of(process: Pid) -> Result<Duration> {
    let clock: ClockId = clock_getcpuclockid(process).context("the process's CPU clock")?;
    Ok(clock.now()?.into())
}
