//! The sampled calls of one connection: their marks, and the kernel's word about their replies.
//!
//! A tap counts what its socket has handed to the kernel: bytes of a stream, or datagrams. A
//! reply that is packed is known by the count at which it will have left; when the send that
//! takes it there is done, its timestamp has that very number.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::recorder::{Recorder, Subject};
use super::step::{Step, Steps, now};

/// A sampled call at its server, with what was marked so far.
#[derive(Debug)]
pub(crate) struct Sample {
    subject: Subject,
    /// Steps 3 to 7; 0 is none.
    marks: [AtomicU64; 5],
    tap: Arc<Tap>,
}

impl Sample {
    /// Notes that the call is at this step now.
    #[inline]
    pub(crate) fn mark(&self, step: Step) {
        self.set(step, now());
    }

    fn set(&self, step: Step, nanoseconds: u64) {
        if let Some(mark) = self.marks.get(step.number().wrapping_sub(3)) {
            mark.store(nanoseconds, Ordering::Release);
        }
    }

    fn at(&self, step: Step) -> u64 {
        let mark = self.marks.get(step.number().wrapping_sub(3));
        mark.map_or(0, |mark| mark.load(Ordering::Acquire))
    }

    /// The reply is packed; `queued` bytes (or datagrams) wait to be sent, it being the last.
    pub(crate) fn packed(self: &Arc<Self>, queued: usize) {
        let mut state = self.tap.lock();
        let end = state.left + queued as u64;
        if !state.kernel {
            drop(state);
            return self.settle();
        }
        state.waiting.push_back(Waiting {
            end,
            sent: false,
            sample: Arc::clone(self),
        });
    }

    /// There will be no reply.
    pub(crate) fn unanswered(&self) {
        self.settle();
    }

    /// Everything that will be known is known.
    fn settle(&self) {
        self.tap.recorder.keep(self.steps());
    }

    fn steps(&self) -> Steps {
        let mut steps = Steps {
            transport: self.subject.transport,
            interface: self.subject.interface,
            program: self.subject.program,
            version: self.subject.version,
            procedure: self.subject.procedure,
            xid: self.subject.xid,
            peer: self.subject.peer.clone(),
            client: false,
            server: true,
            instants: [None; 10],
        };
        for step in Step::ALL.into_iter().filter(|step| step.is_at_server()) {
            steps.set(step, self.at(step));
        }
        steps
    }
}

/// Where one socket's sampled calls are followed.
#[derive(Debug)]
pub(crate) struct Tap {
    recorder: Recorder,
    /// When the kernel had what was read last; 0 if it did not say.
    arrived: AtomicU64,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    /// Whether there will be timestamps of what is sent.
    kernel: bool,
    /// Bytes, or datagrams, that the kernel was given.
    left: u64,
    /// Replies whose timestamp is not there yet, in their order.
    waiting: VecDeque<Waiting>,
}

#[derive(Debug)]
struct Waiting {
    /// The count at which it has left: first its own, then that of the send that took it.
    end: u64,
    /// The kernel has been given it.
    sent: bool,
    sample: Arc<Sample>,
}

impl Tap {
    /// A tap of a socket whose kernel gives timestamps, or not.
    pub(crate) fn new(recorder: &Recorder, kernel: bool) -> Arc<Self> {
        Arc::new(Self {
            recorder: recorder.clone(),
            arrived: AtomicU64::new(0),
            state: Mutex::new(State {
                kernel,
                left: 0,
                waiting: VecDeque::new(),
            }),
        })
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The kernel had what was read last at this instant.
    pub(crate) fn arrived(&self, nanoseconds: u64) {
        self.arrived.store(nanoseconds, Ordering::Release);
    }

    /// A sample of the call that was read last, if the recorder wants it.
    pub(crate) fn sample(
        self: &Arc<Self>,
        subject: impl FnOnce() -> Subject,
    ) -> Option<Arc<Sample>> {
        let received = now();
        let subject = self.recorder.choose(subject)?;
        let sample = Sample {
            subject,
            marks: Default::default(),
            tap: Arc::clone(self),
        };
        sample.set(Step::CallArrives, self.arrived.load(Ordering::Acquire));
        sample.set(Step::ServerReceives, received);
        Some(Arc::new(sample))
    }

    /// The kernel was given so many more bytes or datagrams.
    pub(crate) fn sent(&self, n: usize) {
        let mut state = self.lock();
        state.left += n as u64;
        let left = state.left;
        let unsent = state.waiting.iter_mut().filter(|waiting| !waiting.sent);
        for waiting in unsent.take_while(|waiting| waiting.end <= left) {
            (waiting.end, waiting.sent) = (left, true);
        }
    }

    /// The kernel sent what ends before `count`, a count of 32 bits, at this instant.
    pub(crate) fn stamped(&self, count: u32, nanoseconds: u64) {
        let mut state = self.lock();
        let last = |waiting: &Waiting| waiting.sent && waiting.end as u32 == count;
        if !state.waiting.iter().any(last) {
            return;
        }
        // Those before it got none: the queue of timestamps was full, or two sends became one.
        while state.waiting.iter().any(last) {
            let Some(waiting) = state.waiting.pop_front() else {
                return;
            };
            if last(&waiting) && nanoseconds >= waiting.sample.at(Step::ProcedureReturns) {
                waiting.sample.set(Step::ReplyLeaves, nanoseconds);
            }
            waiting.sample.settle();
        }
    }

    /// There will be no more timestamps of what is sent.
    pub(crate) fn end(&self) {
        let mut state = self.lock();
        state.kernel = false;
        let waiting = std::mem::take(&mut state.waiting);
        drop(state);
        for waiting in waiting {
            waiting.sample.settle();
        }
    }
}
