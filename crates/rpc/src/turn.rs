//! One turn of a connection: the calls that one read brought, and the replies that one write
//! takes away.
//!
//! While a connection (or a UDP socket) polls procedures, its turn lies in a thread-local place.
//! Workers take the next call from it and put finished replies into it, so a call costs no lock,
//! no channel, no task and no allocation. A worker whose procedure is pending keeps only the call
//! it works on; when it goes on later, it does so inside another turn of the same connection.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::net::SocketAddr;
use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use farcall_wire::TransmitQueue;

use farcall_onc::auth::ShortHandle;
use farcall_onc::msg::{self, ReplyBody};
use farcall_onc::record;
use farcall_onc::server::{Habit, Plain};

use crate::call::{Call, Callee, Credential, Peer, Source};
use crate::endpoint::Transport;
use crate::line::Line;
use crate::program::Program;
use crate::steps::tap::Sample;

/// Where the arguments of a call lie.
#[derive(Debug)]
pub(crate) enum Arguments {
    /// In the turn's batch, from and to these bytes.
    InBatch(u32, u32),
    /// In memory of their own; the call may come from elsewhere than the batch.
    Own(Box<(Bytes, Source)>),
}

/// A call that has been admitted and waits for its procedure: what it does not share with the
/// other calls of its turn.
#[derive(Debug)]
pub(crate) struct Incoming {
    /// The service, by its place in the server's list.
    pub(crate) service: u32,
    pub(crate) xid: u32,
    pub(crate) procedure: u32,
    pub(crate) credential: Credential,
    /// A shorter credential for its caller's next calls.
    pub(crate) short: Option<Arc<ShortHandle>>,
    pub(crate) sample: Option<Arc<Sample>>,
    pub(crate) arguments: Arguments,
}

/// What the arguments of pending procedures keep from being used for something else.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Charge {
    /// Arguments that lie in a block of a thread's, and so keep all of it.
    pub(crate) blocks: usize,
    /// Their bytes.
    pub(crate) bytes: usize,
}

impl Charge {
    fn add(&mut self, other: Self) {
        self.blocks = self.blocks.wrapping_add(other.blocks);
        self.bytes = self.bytes.wrapping_add(other.bytes);
    }

    fn subtract(&mut self, other: Self) {
        self.blocks = self.blocks.wrapping_sub(other.blocks);
        self.bytes = self.bytes.wrapping_sub(other.bytes);
    }

    /// Takes over a change, which may be one to less.
    pub(crate) fn settle(&mut self, change: &mut Self) {
        self.add(std::mem::take(change));
    }
}

/// Arguments of up to this many bytes are copied where they would keep a block.
const SMALL: usize = 64 << 10;

/// The same bytes; few of them in memory of their own, so that they keep nothing else.
pub(crate) fn apart(bytes: Bytes) -> Bytes {
    match bytes.len() <= SMALL {
        true => Bytes::copy_from_slice(&bytes),
        false => bytes,
    }
}

/// The calls and replies of one turn.
#[derive(Debug, Default)]
pub(crate) struct Turn {
    /// Replies, in the form in which the transport takes them.
    pub(crate) out: TransmitQueue,
    /// For datagrams: whom each reply in `out` is for, and where it ends.
    pub(crate) datagrams: VecDeque<Datagram>,
    /// Calls that wait for their procedure.
    pub(crate) calls: VecDeque<Incoming>,
    /// The bytes in which `calls` lie.
    pub(crate) batch: Bytes,
    /// How far the batch has been admitted.
    pub(crate) at: usize,
    /// Calls that lie there and look like this are taken by workers without being queued.
    pub(crate) ahead: Option<Ahead>,
    /// Where the batch came from.
    pub(crate) source: Option<Source>,
    /// Changes with `batch`.
    pub(crate) generation: u64,
    /// No new procedure is begun while more than this waits in `out`.
    pub(crate) write_queue: usize,
    /// The call whose procedure runs right now.
    pub(crate) current: Option<Current>,
    /// Calls that are begun now get memory of their own if they are small: many are pending.
    pub(crate) apart: bool,
    /// What became charged to the connection in this turn; it may be less than nothing.
    pub(crate) charged: Charge,
    /// The connection, while it is being polled.
    pub(crate) line: Option<Arc<Line>>,
}

/// Which calls of a batch need not be judged one by one.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ahead {
    pub(crate) habit: Habit,
    /// Longest record, in bytes.
    pub(crate) longest: u32,
}

impl Ahead {
    /// The plain call of `service` that lies at the front of `rest`, and its length.
    #[inline]
    fn next(&self, rest: &[u8], service: u32) -> Option<(Plain, usize)> {
        let message = record::whole(rest, self.longest)?;
        let plain = self.habit.recognise(message)?;
        let fits = plain.procedure != 0 && u32::try_from(plain.service) == Ok(service);
        fits.then_some((plain, message.len()))
    }
}

/// As much of a call as it takes to say that its procedure panicked.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Current {
    xid: u32,
    /// Whom a datagram in answer is for.
    datagram: Option<(Peer, Option<SocketAddr>)>,
    /// What its arguments keep while it is pending.
    charge: Charge,
}

/// Whom a reply is for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Datagram {
    pub(crate) to: SocketAddr,
    /// The address the call was sent to: the reply leaves from there.
    pub(crate) from: Option<SocketAddr>,
    /// Length of `out` when the reply had been put there.
    pub(crate) end: usize,
}

thread_local! {
    static TURN: RefCell<Box<Turn>> = RefCell::default();
}

/// The call a worker works on, and the batch in which its arguments lie.
#[derive(Debug)]
pub(crate) struct Held {
    pub(crate) call: Call,
    pub(crate) bytes: Bytes,
    generation: u64,
}

impl Turn {
    /// Whether the batch has been admitted only in part.
    #[inline]
    pub(crate) fn has_more(&self) -> bool {
        self.at < self.batch.len()
    }

    /// Lets go of the batch, unless calls lie in it.
    #[inline]
    pub(crate) fn forget_batch(&mut self) {
        if self.calls.is_empty() {
            self.batch = Bytes::new();
            (self.at, self.ahead) = (0, None);
        }
    }

    /// Whether nothing waits, neither calls nor replies.
    pub(crate) fn is_idle(&self) -> bool {
        self.calls.is_empty() && self.out.is_empty()
    }

    /// Runs `f` with this turn in the thread's place, and takes it back even if `f` panics.
    pub(crate) fn enter<T>(self: &mut Box<Self>, f: impl FnOnce() -> T) -> T {
        struct Back<'a>(&'a mut Box<Turn>);
        impl Drop for Back<'_> {
            fn drop(&mut self) {
                TURN.with_borrow_mut(|turn| std::mem::swap(turn, self.0));
            }
        }
        TURN.with_borrow_mut(|turn| std::mem::swap(turn, self));
        let _back = Back(self);
        f()
    }

    /// How much waits to be sent: bytes of a stream, or datagrams.
    pub(crate) fn queued(&self, transport: Transport) -> usize {
        match transport {
            Transport::Udp => self.datagrams.len(),
            _ => self.out.len(),
        }
    }

    /// Puts a refusal into `out`, in the transport's framing.
    pub(crate) fn refuse(&mut self, transport: Transport, xid: u32, body: ReplyBody) {
        msg::encode_refusal(&mut self.out, transport.framing(), xid, body);
    }

    /// Notes that the reply to `call` has been put into `out`.
    #[inline]
    pub(crate) fn answered(&mut self, call: &Call) {
        if call.source.transport == Transport::Udp {
            self.address(call.source.peer, call.source.local);
        }
    }

    /// Notes whom the bytes since the last datagram are for.
    pub(crate) fn address(&mut self, peer: Peer, from: Option<SocketAddr>) {
        if let Peer::Inet(to) = peer {
            self.datagrams.push_back(Datagram {
                to,
                from,
                end: self.out.len(),
            });
        }
    }

    /// Puts a whole message into `out`, in the transport's framing.
    pub(crate) fn put_message(
        &mut self,
        transport: Transport,
        peer: Peer,
        from: Option<SocketAddr>,
        message: &Bytes,
    ) {
        if transport == Transport::Udp {
            self.out.put_bytes(message);
            self.address(peer, from);
        } else {
            self.out.put_slice(&record::mark(message.len()));
            self.out.put_bytes(message);
        }
    }

    /// Takes note of the call that a pending procedure works on, away from this turn.
    pub(crate) fn detach(&mut self) -> Option<Current> {
        let current = self.current.take()?;
        self.charged.add(current.charge);
        Some(current)
    }

    /// The procedure that goes on now works on this call.
    pub(crate) fn attach(&mut self, current: Option<Current>) {
        if let Some(current) = &current {
            self.charged.subtract(current.charge);
        }
        self.current = current;
    }

    /// Answers the call whose procedure panicked.
    pub(crate) fn panicked(&mut self) {
        let Some(current) = self.current.take() else {
            return;
        };
        let Some((peer, local)) = current.datagram else {
            return self.refuse(Transport::Tcp, current.xid, ReplyBody::SystemErr);
        };
        self.refuse(Transport::Udp, current.xid, ReplyBody::SystemErr);
        self.address(peer, local);
    }
}

/// Works on the turn of the connection that is being polled on this thread.
#[inline]
pub(crate) fn with<T>(f: impl FnOnce(&mut Turn) -> T) -> T {
    TURN.with_borrow_mut(|turn| f(turn))
}

/// What a worker of `program` works with; nothing if no call waits.
#[inline]
pub(crate) fn hold(program: &'static Program) -> Option<Held> {
    TURN.with_borrow(|turn| {
        let source = match (&turn.calls.front()?.arguments, turn.source) {
            (Arguments::Own(own), _) => own.1,
            (Arguments::InBatch(..), source) => source?,
        };
        let call = Call {
            xid: 0,
            procedure: 0,
            callee: Callee::Program(program),
            source,
            credential: Credential::None,
            deadline: None,
            sample: None,
            short: None,
            line: turn.line.clone(),
        };
        Some(Held {
            call,
            bytes: Bytes::new(),
            generation: 0,
        })
    })
}

/// Makes the next call the one `held` works on, if it is for `service` and replies are not
/// piling up. Returns where its arguments lie.
#[inline]
pub(crate) fn next(service: u32, held: &mut Held) -> Option<Range<usize>> {
    TURN.with_borrow_mut(|turn| {
        if turn.out.len() > turn.write_queue {
            return None;
        }
        let Some(first) = turn.calls.front() else {
            return next_ahead(turn, service, held);
        };
        if first.service != service {
            return None;
        }
        let incoming = turn.calls.pop_front()?;
        let range = match incoming.arguments {
            Arguments::InBatch(from, to) => {
                held.take_batch(turn)?;
                from as usize..to as usize
            }
            Arguments::Own(own) => {
                (held.bytes, held.call.source) = *own;
                held.generation = 0;
                0..held.bytes.len()
            }
        };
        let (range, charge) = held.charge(range, turn.apart);
        let call = &mut held.call;
        (call.xid, call.procedure) = (incoming.xid, incoming.procedure);
        (call.credential, call.sample) = (incoming.credential, incoming.sample);
        call.short = incoming.short;
        let source = &call.source;
        let datagrams = source.transport == Transport::Udp;
        let datagram = datagrams.then_some((source.peer, source.local));
        turn.current = Some(Current {
            xid: call.xid,
            datagram,
            charge,
        });
        Some(range)
    })
}

/// As [`next`], for a call that has not been queued.
#[inline]
fn next_ahead(turn: &mut Turn, service: u32, held: &mut Held) -> Option<Range<usize>> {
    let ahead = turn.ahead.as_ref()?;
    let (plain, len) = ahead.next(turn.batch.get(turn.at..)?, service)?;
    held.take_batch(turn)?;
    let start = turn.at + 4;
    turn.at = start + len;
    let call = &mut held.call;
    (call.xid, call.procedure) = (plain.xid, plain.procedure);
    if call.credential.sys().is_some() {
        call.credential = Credential::None;
    }
    if call.sample.is_some() {
        call.sample = None;
    }
    if call.short.is_some() {
        call.short = None;
    }
    let (range, charge) = held.charge(start + Plain::ARGUMENTS..turn.at, turn.apart);
    // Batches are of streams.
    turn.current = Some(Current {
        xid: plain.xid,
        datagram: None,
        charge,
    });
    Some(range)
}

impl Held {
    /// What the arguments at `range` will keep if their procedure is pending, and where they lie;
    /// that is memory of their own if they are to be kept apart.
    #[inline]
    fn charge(&mut self, range: Range<usize>, apart: bool) -> (Range<usize>, Charge) {
        let bytes = range.len();
        if apart && bytes <= SMALL {
            let own = self.bytes.get(range).unwrap_or_default();
            self.bytes = Bytes::copy_from_slice(own);
            self.generation = 0;
            return (0..bytes, Charge { blocks: 0, bytes });
        }
        let shares = self.generation != 0 || self.bytes.len() <= SMALL;
        let blocks = usize::from(shares);
        (range, Charge { blocks, bytes })
    }

    /// Goes on to the turn's batch.
    #[inline]
    fn take_batch(&mut self, turn: &Turn) -> Option<()> {
        if self.generation != turn.generation {
            self.bytes = turn.batch.clone();
            self.generation = turn.generation;
            self.call.source = turn.source?;
        }
        Some(())
    }
}
