//! The load itself: threads, connections, and calls in flight.
//!
//! Closed loop: each call waits for the one before it. Open loop: calls begin by the clock, and a
//! call's time counts from when it should have begun, so that a server that stalls cannot hide it.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use farcall::{Client, Endpoint, Error, Options};
use tokio::sync::Semaphore;
use tokio::task::LocalSet;

use super::work::Work;
use crate::latency::Latencies;

/// How long a loop pauses after a call that failed, so that a dead server is not stormed.
const AFTER_FAILURE: Duration = Duration::from_millis(10);

/// What is done to the server.
#[derive(Clone, Debug)]
pub(crate) struct Load {
    pub(crate) endpoint: Endpoint,
    pub(crate) options: Options,
    pub(crate) work: Arc<Work>,
    pub(crate) connections: usize,
    /// Calls in flight on each connection; in an open loop the most.
    pub(crate) in_flight: usize,
    /// Open loop: calls begun each second, on all connections together.
    pub(crate) rate: Option<f64>,
    pub(crate) threads: usize,
    /// Not measured, at the beginning.
    pub(crate) warm_up: Duration,
    /// Measured.
    pub(crate) duration: Duration,
}

/// What the threads and whoever watches them share.
#[derive(Debug, Default)]
pub(crate) struct Watch {
    /// Calls that have ended, well or not.
    pub(crate) ended: AtomicU64,
    /// Set to end early.
    pub(crate) stop: AtomicBool,
}

/// What came of it.
#[derive(Debug)]
pub(crate) struct Outcome {
    /// Times of the calls that were answered.
    pub(crate) times: Latencies,
    /// Calls that were not.
    pub(crate) failed: u64,
    /// Why the first of them was not.
    pub(crate) first_error: Option<Error>,
    /// How long was measured.
    pub(crate) measured: Duration,
}

impl Outcome {
    fn new() -> Self {
        Self {
            times: Latencies::new(),
            failed: 0,
            first_error: None,
            measured: Duration::ZERO,
        }
    }

    fn merge(&mut self, other: Self) {
        self.times.merge(&other.times);
        self.failed += other.failed;
        self.measured = self.measured.max(other.measured);
        if self.first_error.is_none() {
            self.first_error = other.first_error;
        }
    }
}

/// When what is measured begins and ends.
#[derive(Clone, Copy)]
struct Span {
    from: Instant,
    until: Instant,
}

/// Runs the load on threads of its own; blocks until it is over.
///
/// # Errors
/// The first connection that cannot be made.
pub(crate) fn run(load: &Load, watch: &Arc<Watch>) -> anyhow::Result<Outcome> {
    let threads = load.threads.clamp(1, load.connections);
    let start = |index: usize| {
        let connections = (load.connections + threads - 1 - index) / threads;
        let (load, watch) = (load.clone(), Arc::clone(watch));
        std::thread::spawn(move || one_thread(&load, connections, &watch))
    };
    let running: Vec<_> = (0..threads).map(start).collect();
    let mut whole = Outcome::new();
    let mut failure = None;
    for thread in running {
        match thread.join() {
            Ok(Ok(part)) => whole.merge(part),
            Ok(Err(error)) => failure = failure.or(Some(error)),
            Err(_) => anyhow::bail!("a thread of the load panicked"),
        }
    }
    failure.map_or(Ok(whole), Err)
}

fn one_thread(load: &Load, connections: usize, watch: &Arc<Watch>) -> anyhow::Result<Outcome> {
    let runtime = crate::output::runtime()?;
    LocalSet::new().block_on(&runtime, async {
        let mut clients = Vec::new();
        for _ in 0..connections {
            let made = load
                .work
                .connect(&load.endpoint, load.options.clone())
                .await;
            clients.push(made.inspect_err(|_| watch.stop.store(true, Ordering::Relaxed))?);
        }
        Ok(measure(load, clients, watch).await)
    })
}

async fn measure(load: &Load, clients: Vec<Client>, watch: &Arc<Watch>) -> Outcome {
    let from = Instant::now() + load.warm_up;
    let span = Span {
        from,
        until: from + load.duration,
    };
    let tally = Rc::new(RefCell::new(Outcome::new()));
    let mut loops = Vec::new();
    for client in clients {
        let worker = Rc::new(Worker {
            client,
            work: Arc::clone(&load.work),
            watch: Arc::clone(watch),
            tally: Rc::clone(&tally),
            span,
        });
        match load.rate {
            Some(rate) => loops.push(open_loop(
                worker,
                rate / to_f64(load.connections),
                load.in_flight,
            )),
            None => loops.extend((0..load.in_flight).map(|_| closed_loop(Rc::clone(&worker)))),
        }
    }
    for one in loops {
        let _ = one.await;
    }
    let measured = Instant::now()
        .min(span.until)
        .saturating_duration_since(span.from);
    let mut outcome = tally.replace(Outcome::new());
    outcome.measured = measured;
    outcome
}

/// One connection's part of the load.
struct Worker {
    client: Client,
    work: Arc<Work>,
    watch: Arc<Watch>,
    tally: Rc<RefCell<Outcome>>,
    span: Span,
}

impl Worker {
    fn is_over(&self) -> bool {
        Instant::now() >= self.span.until || self.watch.stop.load(Ordering::Relaxed)
    }

    /// One call, its time counted from `since`. Returns whether it was answered.
    async fn call(&self, since: Instant) -> bool {
        let called = self.work.call(&self.client).await;
        let now = Instant::now();
        self.watch.ended.fetch_add(1, Ordering::Relaxed);
        let mut tally = self.tally.borrow_mut();
        let is_answered = called.is_ok();
        match called {
            _ if now < self.span.from || now > self.span.until => {}
            Ok(()) => tally.times.record(now - since),
            Err(error) => {
                tally.failed += 1;
                tally.first_error.get_or_insert(error);
            }
        }
        is_answered
    }
}

fn closed_loop(worker: Rc<Worker>) -> tokio::task::JoinHandle<()> {
    tokio::task::spawn_local(async move {
        while !worker.is_over() {
            if !worker.call(Instant::now()).await {
                tokio::time::sleep(AFTER_FAILURE).await;
            }
        }
    })
}

fn open_loop(worker: Rc<Worker>, rate: f64, most: usize) -> tokio::task::JoinHandle<()> {
    let interval = Duration::from_secs_f64(1.0 / rate);
    let slots = Arc::new(Semaphore::new(most));
    tokio::task::spawn_local(async move {
        let mut due = Instant::now();
        let mut calls = tokio::task::JoinSet::new();
        while !worker.is_over() {
            wait_until(due).await;
            let Ok(slot) = Arc::clone(&slots).acquire_owned().await else {
                break;
            };
            let (worker, since) = (Rc::clone(&worker), due);
            calls.spawn_local(async move {
                worker.call(since).await;
                drop(slot);
            });
            due += interval;
            while calls.try_join_next().is_some() {}
        }
        while calls.join_next().await.is_some() {}
    })
}

/// Waits more exactly than the runtime's timer, which counts whole milliseconds: the rest of the
/// wait goes round the loop.
async fn wait_until(due: Instant) {
    let coarse = Duration::from_micros(1500);
    if let Some(early) = due.checked_duration_since(Instant::now() + coarse) {
        tokio::time::sleep(early).await;
    }
    while Instant::now() < due {
        tokio::task::yield_now().await;
    }
}

#[expect(clippy::cast_precision_loss, reason = "nobody makes 2^52 connections")]
fn to_f64(count: usize) -> f64 {
    count as f64
}
