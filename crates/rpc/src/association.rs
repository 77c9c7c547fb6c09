//! One turn of a DCE/RPC association: the calls that one read brought, and the responses that one
//! write takes away.
//!
//! It is to interfaces what [`turn`](crate::turn) is to programs. While a connection polls
//! operations, its turn lies in a thread-local place and with it the core of its association, so
//! that a finished operation is packed and protected where it ends. A call costs no lock, no
//! channel, no task and no allocation.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::ops::Range;
use std::sync::Arc;
use std::task::Waker;

use bytes::Bytes;
use farcall_dce::co::Stub;
use farcall_dce::co::server::{Call as Request, ReplyError, ReplyTo, Server as Core};
use farcall_dce::security::ProtectError;
use farcall_dce::status;
use farcall_wire::{EncodeError, TransmitQueue, ndr};

use crate::call::{Call, Callee, Credential, Invoked, Place, Source};
use crate::conduit::Conduit;
use crate::error::Error;
use crate::interface::Interface;
use crate::steps::tap::Sample;

/// Largest buffer for packing that a thread keeps, in bytes.
const KEEP: usize = 1 << 20;

/// Results in pieces wait in their pipes while so many bytes wait for the peer.
const FLOW: usize = 256 << 10;

/// A request that waits for its operation.
#[derive(Debug)]
pub(crate) struct Incoming {
    pub(crate) request: Request,
    pub(crate) sample: Option<Arc<Sample>>,
    /// What of it comes and goes in pieces, if it has pipes.
    pub(crate) conduit: Option<Arc<Conduit>>,
}

/// The calls and responses of one turn.
#[derive(Debug, Default)]
pub(crate) struct Turn {
    /// The association of the connection that is being polled.
    pub(crate) core: Option<Box<Core>>,
    /// Responses, as PDUs.
    pub(crate) out: TransmitQueue,
    /// Requests that wait for their operation.
    pub(crate) calls: VecDeque<Incoming>,
    /// The bytes in which `calls` lie.
    pub(crate) batch: Bytes,
    /// How far the batch has been taken in.
    pub(crate) at: usize,
    /// Requests there that are like the last one are taken by workers without being queued.
    pub(crate) ahead: bool,
    /// Where the batch came from.
    pub(crate) source: Option<Source>,
    /// What the connection's calls share.
    pub(crate) place: Option<Arc<Place>>,
    /// Changes with `batch`.
    pub(crate) generation: u64,
    /// No new operation is begun while more than this waits in `out`.
    pub(crate) write_queue: usize,
    /// The call whose operation runs right now.
    pub(crate) current: Option<ReplyTo>,
    /// The worker that is polled was pending: it ends with the call it works on, so that what is
    /// pending is known by one call.
    pub(crate) resumed: bool,
    /// Calls with pipes that were handed out and are not over.
    conduits: Vec<(ReplyTo, Arc<Conduit>)>,
    /// Where results are packed.
    scratch: Vec<u8>,
    /// A response could not be protected: nobody can make sense of what would follow, so the connection ends.
    pub(crate) broken: Option<ProtectError>,
}

thread_local! {
    static TURN: RefCell<Box<Turn>> = RefCell::default();
    static IDLE: RefCell<[Option<Box<Turn>>; 2]> = const { RefCell::new([None, None]) };
}

/// An idle turn.
pub(crate) fn take_turn() -> Box<Turn> {
    IDLE.with_borrow_mut(|turns| turns.iter_mut().find_map(Option::take))
        .unwrap_or_default()
}

/// Gives an idle turn back.
pub(crate) fn give_turn(mut turn: Box<Turn>) {
    turn.forget_batch();
    (turn.place, turn.source, turn.broken) = (None, None, None);
    IDLE.with_borrow_mut(|turns| {
        if let Some(place) = turns.iter_mut().find(|place| place.is_none()) {
            *place = Some(turn);
        }
    });
}

/// The call a worker works on, and the bytes in which its arguments lie.
#[derive(Debug)]
pub(crate) struct Held {
    pub(crate) call: Call,
    pub(crate) bytes: Bytes,
    generation: u64,
}

impl Turn {
    /// Whether nothing waits, neither calls nor responses.
    pub(crate) fn is_idle(&self) -> bool {
        self.calls.is_empty() && self.out.is_empty() && !self.has_more() && self.conduits.is_empty()
    }

    /// Whether the batch has been taken in only in part.
    #[inline]
    pub(crate) fn has_more(&self) -> bool {
        self.at < self.batch.len()
    }

    /// Goes on to another batch, from offset `at` on.
    pub(crate) fn take_batch(&mut self, batch: Bytes, at: usize, source: Source) {
        (self.batch, self.at) = (batch, at);
        self.source = Some(source);
    }

    /// What is left of the batch is not taken in.
    pub(crate) fn skip(&mut self) {
        self.at = self.batch.len();
    }

    /// Lets go of the batch.
    pub(crate) fn forget_batch(&mut self) {
        (self.batch, self.at) = (Bytes::new(), 0);
    }

    /// The service of the next call, if it may be begun.
    #[inline]
    pub(crate) fn next_service(&self) -> Option<usize> {
        if self.out.len() > self.write_queue {
            return None;
        }
        match self.calls.front() {
            Some(next) => Some(next.request.service),
            None => self.service_ahead(),
        }
    }

    /// The service that the next request in the batch is for, if a worker may take it from there.
    #[inline]
    pub(crate) fn service_ahead(&self) -> Option<usize> {
        let core = self.core.as_ref().filter(|_| self.ahead)?;
        self.place.as_ref()?;
        core.plain_service(&self.batch, self.at)
    }

    /// A call with pipes has come.
    pub(crate) fn open(&mut self, to: ReplyTo, conduit: &Arc<Conduit>) {
        self.conduits.push((to, Arc::clone(conduit)));
    }

    /// More of a call's arguments have come.
    pub(crate) fn deliver(&mut self, to: &ReplyTo, piece: Bytes, last: bool) {
        if let Some((_, conduit)) = self.conduits.iter().find(|(own, _)| own == to) {
            conduit.deliver(piece, last);
        }
    }

    /// Whether arguments of a call are read too slowly to read more of them.
    pub(crate) fn is_full(&self) -> bool {
        self.conduits.iter().any(|(_, conduit)| conduit.is_full())
    }

    /// Whether arguments of a call are still to come.
    pub(crate) fn is_open(&self) -> bool {
        self.conduits.iter().any(|(_, conduit)| conduit.is_open())
    }

    /// Ends what comes and goes in pieces: of one call, or of all.
    pub(crate) fn break_off(&mut self, call: Option<u32>, why: &Error) {
        self.conduits.retain(|(to, conduit)| {
            let ends = call.is_none_or(|call| call == to.call_id);
            if ends {
                conduit.end(Some(why.clone()));
            }
            !ends
        });
    }

    /// Lets results that operations have written into pipes go, as far as the peer takes them.
    /// Whether anything went.
    pub(crate) fn pump(&mut self, waker: &Waker) -> bool {
        let mut moved = false;
        for n in 0..self.conduits.len() {
            let Some((to, conduit)) = self.conduits.get(n).cloned() else {
                break;
            };
            conduit.watch(waker);
            while self.out.len() <= self.write_queue.min(FLOW)
                && let Some((piece, _)) = conduit.take()
            {
                self.part(&to, &piece);
                moved = true;
            }
        }
        moved
    }

    fn part(&mut self, to: &ReplyTo, piece: &[u8]) {
        if let Some(core) = &mut self.core {
            let told = core.part(to, piece, &mut self.out);
            self.note(to, told);
        }
    }

    /// What was written into the pipes of a call goes before its end.
    fn flush(&mut self, to: &ReplyTo) {
        let found = self.conduits.iter().find(|(own, _)| own == to);
        let Some(conduit) = found.map(|(_, conduit)| Arc::clone(conduit)) else {
            return;
        };
        while let Some((piece, _)) = conduit.take() {
            self.part(to, &piece);
        }
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

    /// Answers a call with a stub.
    pub(crate) fn reply(&mut self, to: &ReplyTo, stub: &[u8]) {
        if !self.conduits.is_empty() {
            self.flush(to);
        }
        if let Some(core) = &mut self.core {
            let told = core.reply(to, stub, &mut self.out);
            self.note(to, told);
        }
        self.over(to);
    }

    /// Answers a call with a fault; `executed`: any part of the operation may have run.
    pub(crate) fn fault(&mut self, to: &ReplyTo, status: u32, executed: bool) {
        if let Some(core) = &mut self.core {
            let told = core.fault(to, status, executed, &mut self.out);
            self.note(to, told);
        }
        self.over(to);
    }

    /// Why a caller does not get what it was to get.
    fn note(&mut self, to: &ReplyTo, told: Result<(), ReplyError>) {
        match told {
            Ok(()) => {}
            Err(ReplyError::NoCall) => {
                tracing::trace!(call = to.call_id, "the call was given up");
            }
            Err(ReplyError::Protect(error)) => {
                tracing::warn!(call = to.call_id, %error, "a response could not be protected");
                self.broken = Some(error);
            }
            Err(error) => tracing::warn!(call = to.call_id, %error, "response could not be sent"),
        }
    }

    /// Ends a call without an answer.
    pub(crate) fn end(&mut self, to: &ReplyTo) {
        if let Some(core) = &mut self.core {
            core.finish(to);
        }
        self.over(to);
    }

    /// Nobody asks about the call any more.
    fn over(&mut self, to: &ReplyTo) {
        if let Some(place) = &self.place {
            place.desk.end(to.call_id);
        }
        self.current = None;
        if !self.conduits.is_empty() {
            self.conduits.retain(|(own, conduit)| {
                if own == to {
                    conduit.end(None);
                }
                own != to
            });
        }
    }

    /// Packs a result and answers a call with it.
    pub(crate) fn pack(
        &mut self,
        invoked: &Invoked,
        encode: impl FnOnce(&mut ndr::Writer) -> Result<(), EncodeError>,
    ) -> Result<(), EncodeError> {
        let mut scratch = std::mem::take(&mut self.scratch);
        scratch.clear();
        let to = &invoked.to;
        let mut writer = ndr::Writer::append_to(scratch, invoked.syntax, to.order);
        let encoded = encode(&mut writer);
        let stub = writer.into_bytes();
        match encoded {
            Ok(()) if invoked.maybe => self.end(to),
            Ok(()) => self.reply(to, &stub),
            Err(_) => {}
        }
        if stub.capacity() <= KEEP {
            self.scratch = stub;
        }
        encoded
    }

    /// Takes note of the call that a pending operation works on, away from this turn.
    pub(crate) fn detach(&mut self) -> Option<ReplyTo> {
        self.current.take()
    }

    /// The operation that goes on now works on this call.
    pub(crate) fn attach(&mut self, current: Option<ReplyTo>) {
        (self.current, self.resumed) = (current, true);
    }

    /// Answers the call whose operation panicked.
    pub(crate) fn panicked(&mut self) {
        if let Some(to) = self.current.take() {
            self.fault(&to, status::UNSPEC, true);
        }
    }
}

/// Works on the turn of the connection that is being polled on this thread.
#[inline]
pub(crate) fn with<T>(f: impl FnOnce(&mut Turn) -> T) -> T {
    TURN.with_borrow_mut(|turn| f(turn))
}

/// Makes the next request the call that `held` works on, if it is for `service` and responses
/// are not piling up. Returns where its arguments lie. The first one makes `held`.
#[inline]
pub(crate) fn next(
    service: usize,
    interface: &'static Interface,
    held: &mut Option<Held>,
) -> Option<Range<usize>> {
    TURN.with_borrow_mut(|turn| {
        if turn.resumed || turn.out.len() > turn.write_queue {
            return None;
        }
        let (place, source) = (turn.place.as_ref()?, turn.source?);
        let Some(first) = turn.calls.front() else {
            return next_ahead(turn, service, interface, held);
        };
        if first.request.service != service {
            return None;
        }
        let Incoming {
            request,
            sample,
            conduit,
        } = turn.calls.pop_front()?;
        turn.current = Some(request.to);
        let held = held.get_or_insert_with(|| Held::new(source));
        let call = &mut held.call;
        (call.xid, call.procedure) = (request.to.call_id, request.opnum.into());
        (call.sample, call.source) = (sample, source);
        let invoked = invoked(&mut call.callee, interface, place, request.to);
        (invoked.object, invoked.caller) = (request.object, request.caller);
        (invoked.syntax, invoked.maybe) = (request.syntax, request.maybe);
        invoked.conduit = conduit;
        Some(held.fetch(request.stub, &turn.batch, turn.generation))
    })
}

/// As [`next`], for a request that has not been queued.
#[inline]
fn next_ahead(
    turn: &mut Turn,
    service: usize,
    interface: &'static Interface,
    held: &mut Option<Held>,
) -> Option<Range<usize>> {
    let (place, source) = (turn.place.as_ref()?, turn.source?);
    let core = turn.core.as_mut().filter(|_| turn.ahead)?;
    let plain = core.take_plain(&turn.batch, &mut turn.at, service)?;
    turn.current = Some(plain.to);
    let held = held.get_or_insert_with(|| Held::new(source));
    let call = &mut held.call;
    (call.xid, call.procedure) = (plain.to.call_id, plain.opnum.into());
    if call.sample.is_some() {
        call.sample = None;
    }
    let fresh = held.generation != turn.generation;
    if fresh {
        call.source = source;
    }
    let invoked = invoked(&mut call.callee, interface, place, plain.to);
    if invoked.caller.is_some() {
        invoked.caller = None;
    }
    (invoked.object, invoked.maybe) = (None, false);
    if invoked.conduit.is_some() {
        invoked.conduit = None;
    }
    invoked.syntax = plain.syntax;
    if fresh {
        (held.bytes, held.generation) = (turn.batch.clone(), turn.generation);
    }
    Some(plain.stub)
}

/// What is called, which is made if nothing is yet. The calls of a worker have the interface and
/// the place in common.
#[inline]
fn invoked<'a>(
    callee: &'a mut Callee,
    interface: &'static Interface,
    place: &Arc<Place>,
    to: ReplyTo,
) -> &'a mut Invoked {
    if !matches!(callee, Callee::Interface(_)) {
        *callee = Callee::Interface(Invoked {
            interface,
            object: None,
            caller: None,
            place: Arc::clone(place),
            to,
            syntax: Default::default(),
            maybe: false,
            conduit: None,
        });
    }
    match callee {
        Callee::Interface(invoked) => {
            invoked.to = to;
            invoked
        }
        _ => unreachable!("it has just been made"),
    }
}

impl Held {
    fn new(source: Source) -> Self {
        Self {
            call: Call {
                xid: 0,
                procedure: 0,
                callee: Callee::Nothing,
                source,
                credential: Credential::None,
                deadline: None,
                sample: None,
                line: None,
                short: None,
            },
            bytes: Bytes::new(),
            generation: 0,
        }
    }

    /// Takes hold of the bytes in which a stub lies.
    #[inline]
    fn fetch(&mut self, stub: Stub, batch: &Bytes, generation: u64) -> Range<usize> {
        match stub {
            Stub::InBatch(range) => {
                if self.generation != generation {
                    (self.bytes, self.generation) = (batch.clone(), generation);
                }
                range
            }
            Stub::Own(bytes) => {
                (self.bytes, self.generation) = (bytes, 0);
                0..self.bytes.len()
            }
        }
    }
}
