//! The duplicate request cache: a repeated call gets the reply of the first one and is not executed again.
//!
//! Read first: RFC 5531 section 5 on what a server may remember by the xid, and RFC 1813 section 4.4 on why
//! non-idempotent procedures need it. Also on streams: a client that reconnects sends its calls again.
//!
//! A call is known by everything that tells two calls apart: who sent it (address, principal, security of the
//! transport), its number, what it calls, and a checksum of its arguments with their length ([`Key`]). So no
//! caller is ever answered with somebody else's reply. A call is *in progress* or *done*: while it is in
//! progress, the reply goes to where the latest duplicate came from, so it is not lost with a dead connection.
//!
//! Every operation takes constant time, bytes have a budget, and done calls are forgotten after a time. This
//! file does not decide which procedures need it: idempotent ones do not. With RPCSEC_GSS it stands below the
//! authentication: keep the results, and compute the reply's verifier anew.

use crate::msg::{CallHeader, Framing};
use crate::seed::Seed;
use crate::server::Caller;
use core::net::{IpAddr, SocketAddr};
use farcall_wire::Bytes;
use std::collections::{HashMap, VecDeque};
use std::hash::{BuildHasher, Hasher};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How many bytes of the arguments go into the checksum, at most. Their length always does.
const CHECKED: usize = 1024;

/// What one entry is charged besides its reply, in bytes: its key twice, with the empty places that a table and
/// a queue keep. With the default budget the entries fill less than half of a table, which is why a table never
/// grows because of the marks that forgotten entries leave in it.
const OVERHEAD: usize = 640;

/// How much the cache keeps, how long, and what it takes for the same client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DrcConfig {
    /// Memory for entries and replies, in bytes. Default 8 MiB.
    pub bytes: usize,
    /// Longest reply kept, in bytes. Default 64 KiB.
    pub reply: usize,
    /// How long a done call is remembered. Default 120 s; below 8 s, retransmissions outlive it.
    pub ttl: Duration,
    /// Most calls in progress. Default 4096.
    pub in_progress: usize,
    /// Whether the port belongs to a client's address.
    pub port: PortPolicy,
}

impl Default for DrcConfig {
    fn default() -> Self {
        Self {
            bytes: 8 << 20,
            reply: 64 << 10,
            ttl: Duration::from_secs(120),
            in_progress: 4096,
            port: PortPolicy::default(),
        }
    }
}

/// Whether the port belongs to a client's address.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum PortPolicy {
    /// For datagrams only: a socket repeats its datagrams, but a client that reconnects a stream may come from
    /// another port. The default.
    #[default]
    Datagrams,
    /// Always: a client that reconnects from another port is another client.
    Always,
    /// Never: all callers of one host with the same principal are one client.
    Never,
}

/// Where a call comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Origin {
    /// An Internet address.
    Inet(SocketAddr),
    /// This machine, without an address: the number of the connection or of the peer's user.
    Local(u64),
}

/// Who the server takes the caller for.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Principal {
    /// Nobody in particular.
    Nobody,
    /// A Unix user.
    Unix {
        /// User.
        uid: u32,
        /// Group.
        gid: u32,
    },
    /// A name that a security mechanism has proved, with the mechanism.
    Named(Arc<[u8]>),
}

impl From<&Caller<'_>> for Principal {
    fn from(caller: &Caller<'_>) -> Self {
        match caller {
            Caller::None => Self::Nobody,
            Caller::Sys(sys) => Self::Unix {
                uid: sys.uid,
                gid: sys.gid,
            },
            Caller::Short(sys) => Self::Unix {
                uid: sys.uid,
                gid: sys.gid,
            },
            Caller::Proved(principal) => Self::Named(principal.name.as_bytes().into()),
        }
    }
}

/// How the transport is protected. Replies never cross from one to another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Layer(pub u8);

impl Layer {
    /// Not at all.
    pub const PLAIN: Self = Self(0);
    /// TLS.
    pub const TLS: Self = Self(1);
}

/// What tells one call from every other.
// req: onc-drc-key
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Key {
    host: Option<IpAddr>,
    port: u64,
    framing: Framing,
    layer: Layer,
    principal: Principal,
    xid: u32,
    program: u32,
    version: u32,
    procedure: u32,
    len: usize,
    checksum: u64,
}

/// The right to finish a call that was begun. Dropping it leaves the call in progress for ever, so don't.
#[derive(Debug)]
#[must_use = "a call that is begun must be finished or aborted"]
pub struct Ticket(Key);

/// What to do with a call.
#[derive(Debug)]
pub enum Begin {
    /// It is new: execute it, then [`finish`](Drc::finish) or [`abort`](Drc::abort).
    New(Ticket),
    /// It is being executed: do nothing. Its reply will go where this duplicate came from.
    InProgress,
    /// It was executed and this was the reply: send it.
    Replay(Bytes),
    /// It was executed and there is no reply to send: it had none.
    Silent,
    /// It was executed and its reply was too long to keep. Do not execute it again; `SYSTEM_ERR` is honest.
    NotKept,
    /// Too many calls are in progress: drop it. A datagram will come again.
    Full,
}

/// What happened so far, and what is held.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DrcCounters {
    /// Calls that were new.
    pub new: u64,
    /// Duplicates of a call in progress.
    pub in_progress: u64,
    /// Duplicates of a call that was done.
    pub replayed: u64,
    /// Entries that made room for others before their time.
    pub evicted: u64,
    /// Replies too long to keep.
    pub not_kept: u64,
}

/// A call the cache knows; `R` is where its reply goes.
#[derive(Debug)]
enum Entry<R> {
    InProgress(R),
    Done(Done),
}

#[derive(Debug)]
enum Done {
    Reply(Bytes),
    Silent,
    NotKept,
}

/// The cache of one service endpoint; `R` names the transport a reply goes to.
#[derive(Debug)]
pub struct Drc<R> {
    config: DrcConfig,
    seed: Seed,
    entries: HashMap<Key, Entry<R>, Seed>,
    /// The done entries in the order in which they expire, each once.
    done: VecDeque<(Key, Instant)>,
    /// What the done entries are charged.
    bytes: usize,
    counters: DrcCounters,
}

impl<R> Drc<R> {
    /// An empty cache.
    #[must_use]
    pub fn new(config: DrcConfig, seed: Seed) -> Self {
        Self {
            config,
            entries: HashMap::with_hasher(seed.clone()),
            seed,
            done: VecDeque::new(),
            bytes: 0,
            counters: DrcCounters::default(),
        }
    }

    /// The key of a call: `header` and `args` as they came, `principal` as authentication found it. With
    /// RPCSEC_GSS, `args` are the arguments after unwrapping: what is around them differs in each repetition.
    #[must_use]
    pub fn key(
        &self,
        origin: Origin,
        framing: Framing,
        layer: Layer,
        principal: Principal,
        header: &CallHeader<'_>,
        args: &[u8],
    ) -> Key {
        let (host, port) = match (origin, self.config.port, framing) {
            (Origin::Local(number), ..) => (None, number),
            (Origin::Inet(a), PortPolicy::Always, _)
            | (Origin::Inet(a), PortPolicy::Datagrams, Framing::Datagram) => {
                (Some(a.ip().to_canonical()), a.port().into())
            }
            (Origin::Inet(a), ..) => (Some(a.ip().to_canonical()), 0),
        };
        let mut hasher = self.seed.build_hasher();
        hasher.write(args.get(..CHECKED).unwrap_or(args));
        let CallHeader {
            xid,
            program,
            version,
            procedure,
            ..
        } = *header;
        let (len, checksum) = (args.len(), hasher.finish());
        Key {
            host,
            port,
            framing,
            layer,
            principal,
            xid,
            program,
            version,
            procedure,
            len,
            checksum,
        }
    }

    /// Asks what to do with a call whose reply would go to `to`.
    // req: onc-drc-states
    pub fn begin(&mut self, now: Instant, key: Key, to: R) -> Begin {
        self.handle_timeout(now);
        let Some(entry) = self.entries.get_mut(&key) else {
            return self.begin_new(key, to);
        };
        match entry {
            Entry::InProgress(old) => {
                *old = to;
                self.counters.in_progress = self.counters.in_progress.saturating_add(1);
                Begin::InProgress
            }
            Entry::Done(done) => {
                self.counters.replayed = self.counters.replayed.saturating_add(1);
                match done {
                    Done::Reply(reply) => Begin::Replay(reply.clone()),
                    Done::Silent => Begin::Silent,
                    Done::NotKept => Begin::NotKept,
                }
            }
        }
    }

    fn begin_new(&mut self, key: Key, to: R) -> Begin {
        let in_progress = self.entries.len().saturating_sub(self.done.len());
        if in_progress >= self.config.in_progress {
            return Begin::Full;
        }
        self.counters.new = self.counters.new.saturating_add(1);
        self.entries.insert(key.clone(), Entry::InProgress(to));
        Begin::New(Ticket(key))
    }

    /// Keeps the reply of a call (the message without its framing, in memory of its own; `None` if the procedure
    /// sends none) and returns where to send it: to where its latest duplicate came from.
    // req: onc-drc-retarget
    pub fn finish(&mut self, now: Instant, ticket: Ticket, reply: Option<Bytes>) -> Option<R> {
        let len = reply.as_ref().map_or(0, Bytes::len);
        let done = match reply {
            None => Done::Silent,
            Some(reply) if len <= self.config.reply => Done::Reply(reply),
            Some(_) => Done::NotKept,
        };
        let kept = if matches!(done, Done::Reply(_)) {
            len
        } else {
            0
        };
        self.counters.not_kept = self.counters.not_kept.saturating_add(u64::from(kept < len));
        let entry = self.entries.get_mut(&ticket.0)?;
        let Entry::InProgress(to) = std::mem::replace(entry, Entry::Done(done)) else {
            return None;
        };
        let expires = now.checked_add(self.config.ttl).unwrap_or(now);
        self.done.push_back((ticket.0, expires));
        self.bytes = self.bytes.saturating_add(kept).saturating_add(OVERHEAD);
        while self.bytes > self.config.bytes && self.forget_oldest() {
            self.counters.evicted = self.counters.evicted.saturating_add(1);
        }
        Some(to)
    }

    /// Forgets a call that was begun and will never be finished; a duplicate will be executed. Returns where
    /// its reply would have gone.
    pub fn abort(&mut self, ticket: Ticket) -> Option<R> {
        match self.entries.remove(&ticket.0)? {
            Entry::InProgress(to) => Some(to),
            Entry::Done(_) => None,
        }
    }

    /// Forgets the done calls whose time is over.
    pub fn handle_timeout(&mut self, now: Instant) {
        while self
            .done
            .front()
            .is_some_and(|(_, expires)| *expires <= now)
        {
            self.forget_oldest();
        }
    }

    /// When [`handle_timeout`](Self::handle_timeout) would free something.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.done.front().map(|(_, expires)| *expires)
    }

    /// What happened so far.
    #[must_use]
    pub fn counters(&self) -> DrcCounters {
        self.counters
    }

    /// Calls known, in progress and done.
    #[must_use]
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether no call is known.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// What the done calls take of [`DrcConfig::bytes`].
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    fn forget_oldest(&mut self) -> bool {
        let Some((key, _)) = self.done.pop_front() else {
            return false;
        };
        let kept = match self.entries.remove(&key) {
            Some(Entry::Done(Done::Reply(reply))) => reply.len(),
            _ => 0,
        };
        self.bytes = self.bytes.saturating_sub(kept.saturating_add(OVERHEAD));
        true
    }
}

#[cfg(test)]
mod tests;
