//! What the ten steps are, and the record of one call.

use std::fmt;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use farcall_wire::Uuid;

use crate::endpoint::Transport;

/// One of the ten steps of a call; each is one instant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(usize)]
pub enum Step {
    /// 1, by the client: its stub begins to pack the arguments.
    ClientPacks = 1,
    /// 2, by the client's kernel: it hands the message's last byte to the network device.
    CallLeaves = 2,
    /// 3, by the server's kernel: it has the packet that brings the message's last byte.
    CallArrives = 3,
    /// 4, by the server: it has read the message and looks at its header.
    ServerReceives = 4,
    /// 5, by the server: the arguments are unpacked, the procedure begins.
    ProcedureBegins = 5,
    /// 6, by the server: the procedure has returned, its result is about to be packed.
    ProcedureReturns = 6,
    /// 7, by the server's kernel: it hands the reply's last byte to the network device.
    ReplyLeaves = 7,
    /// 8, by the client's kernel: it has the packet that brings the reply's last byte.
    ReplyArrives = 8,
    /// 9, by the client: it has read the reply.
    ClientReceives = 9,
    /// 10, by the client: the reply is unpacked, the caller has the result or the refusal.
    CallerHasResult = 10,
}

impl Step {
    /// All of them, in order.
    pub const ALL: [Self; 10] = [
        Self::ClientPacks,
        Self::CallLeaves,
        Self::CallArrives,
        Self::ServerReceives,
        Self::ProcedureBegins,
        Self::ProcedureReturns,
        Self::ReplyLeaves,
        Self::ReplyArrives,
        Self::ClientReceives,
        Self::CallerHasResult,
    ];

    /// Its number, 1 to 10.
    pub fn number(self) -> usize {
        self as usize
    }

    /// Whether it is seen at the server's end.
    pub fn is_at_server(self) -> bool {
        (Self::CallArrives..=Self::ReplyLeaves).contains(&self)
    }

    /// Whether only the kernel knows it.
    pub fn is_the_kernels(self) -> bool {
        matches!(
            self,
            Self::CallLeaves | Self::CallArrives | Self::ReplyLeaves | Self::ReplyArrives
        )
    }

    /// It in a few words, at most 22 characters.
    pub fn title(self) -> &'static str {
        match self {
            Self::ClientPacks => "client packs",
            Self::CallLeaves => "kernel sends the call",
            Self::CallArrives => "server's kernel has it",
            Self::ServerReceives => "server receives it",
            Self::ProcedureBegins => "procedure begins",
            Self::ProcedureReturns => "procedure returns",
            Self::ReplyLeaves => "kernel sends the reply",
            Self::ReplyArrives => "client's kernel has it",
            Self::ClientReceives => "client receives it",
            Self::CallerHasResult => "caller has the result",
        }
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.title())
    }
}

/// Who read the clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Source {
    /// The client's or server's own program.
    Program,
    /// The kernel, by `SO_TIMESTAMPING`.
    Kernel,
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Program => "program",
            Self::Kernel => "kernel",
        })
    }
}

/// A reading of the clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Instant {
    /// Nanoseconds since 1970 by `CLOCK_REALTIME`, the clock of the kernel's timestamps.
    pub nanoseconds: u64,
    /// Who read it.
    pub source: Source,
}

/// What is known of a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mark {
    /// When it was.
    At(Instant),
    /// That end took part, but there is no instant: the transport has no kernel timestamps, or
    /// the kernel gave none, or the call did not come that far.
    NotMeasured,
    /// It was at an end that we do not see.
    NotSeen,
}

/// The record of one call: up to ten instants and what was called.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Steps {
    /// How the call travelled.
    pub transport: Transport,
    /// The interface, if the call was one of DCE/RPC.
    pub interface: Option<Uuid>,
    /// The program's number; of an interface, the first field of its UUID.
    pub program: u32,
    /// The version of the program; of an interface, the major one.
    pub version: u32,
    /// The procedure's or operation's number.
    pub procedure: u32,
    /// The number that ties the two ends' records together.
    pub xid: u32,
    /// The other end, as the end that recorded it names it.
    pub peer: String,
    /// Whether the client's end is recorded.
    pub client: bool,
    /// Whether the server's end is recorded.
    pub server: bool,
    pub(crate) instants: [Option<Instant>; 10],
}

impl Steps {
    /// The instant of a step, if it was measured.
    pub fn instant(&self, step: Step) -> Option<Instant> {
        self.instants.get(step.number() - 1).copied().flatten()
    }

    /// What is known of a step.
    pub fn mark(&self, step: Step) -> Mark {
        let seen = match step.is_at_server() {
            true => self.server,
            false => self.client,
        };
        match self.instant(step) {
            Some(instant) => Mark::At(instant),
            None if seen => Mark::NotMeasured,
            None => Mark::NotSeen,
        }
    }

    /// Sets the instant of a step; nanoseconds of 0 mean that there is none.
    pub(crate) fn set(&mut self, step: Step, nanoseconds: u64) {
        let source = match step.is_the_kernels() {
            true => Source::Kernel,
            false => Source::Program,
        };
        if let Some(place) = self.instants.get_mut(step.number() - 1) {
            *place = (nanoseconds != 0).then_some(Instant {
                nanoseconds,
                source,
            });
        }
    }

    /// The client's and the server's record of one call as one. Both ends must have the same
    /// clock: that of one machine, or clocks that are kept together well enough.
    ///
    /// `None` if they are not of the same call.
    #[must_use]
    pub fn merge(client: &Self, server: &Self) -> Option<Self> {
        let same = client.xid == server.xid
            && client.transport == server.transport
            && client.interface == server.interface
            && (client.program, client.version, client.procedure)
                == (server.program, server.version, server.procedure);
        if !same || !client.client || !server.server {
            return None;
        }
        let mut both = client.clone();
        both.server = true;
        for step in Step::ALL.into_iter().filter(|step| step.is_at_server()) {
            let seen = server.instant(step);
            both.set(step, seen.map_or(0, |instant| instant.nanoseconds));
        }
        Some(both)
    }

    /// From the first measured instant to the last.
    pub fn elapsed(&self) -> Duration {
        let mut measured = self.instants.iter().flatten().map(|i| i.nanoseconds);
        let first = measured.next().unwrap_or(0);
        Duration::from_nanos(measured.next_back().unwrap_or(first).saturating_sub(first))
    }

    /// The ten steps as rows of a table: offsets from the first measured instant, and how long
    /// it was to the next one.
    pub fn rows(&self) -> [Row; 10] {
        let first = self.instants.iter().flatten().next();
        let first = first.map_or(0, |instant| instant.nanoseconds);
        Step::ALL.map(|step| {
            let mark = self.mark(step);
            let at = match mark {
                Mark::At(instant) => Some(instant.nanoseconds),
                _ => None,
            };
            let later = self.instants.iter().skip(step.number()).flatten().next();
            Row {
                step,
                mark,
                offset: at.map(|at| Duration::from_nanos(at.saturating_sub(first))),
                took: at
                    .zip(later)
                    .map(|(at, later)| Duration::from_nanos(later.nanoseconds.saturating_sub(at))),
            }
        })
    }
}

/// One step as a table shows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Row {
    /// The step.
    pub step: Step,
    /// What is known of it.
    pub mark: Mark,
    /// Its instant, from the first measured one on.
    pub offset: Option<Duration>,
    /// How long it was from its instant to the next measured one.
    pub took: Option<Duration>,
}

impl Row {
    /// Who measured it, or why nobody did.
    pub fn by(&self) -> &'static str {
        match self.mark {
            Mark::At(Instant {
                source: Source::Program,
                ..
            }) => "program",
            Mark::At(_) => "kernel",
            Mark::NotMeasured => "not measured",
            Mark::NotSeen => "not seen",
        }
    }
}

/// Now, by the clock of the record.
pub(crate) fn now() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    u64::try_from(since.unwrap_or_default().as_nanos()).unwrap_or(u64::MAX)
}
