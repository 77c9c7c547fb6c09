//! Channels: the connections that one virtual connection consists of, as its machine names them to its driver.
//!
//! Read first: MS-RPCH section 3.2.1.1.1. A [`ChannelId`] stands for one TCP connection (or HTTP request on one); it is
//! never used twice within a machine.

use crate::failure::Failure;
use crate::frame::{Frame, Splitter};
use crate::number::narrow;
use crate::rts::{Cookie, Destination, FlowControlAck, Message};
use bytes::Bytes;
use core::fmt;
use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// One connection of a virtual connection.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ChannelId(pub(crate) u32);

impl ChannelId {
    /// The channel that a machine of a proxy or a server was made with.
    pub const FIRST: Self = Self(0);

    /// A number of its own within the machine, for logs.
    #[must_use]
    pub fn number(self) -> u32 {
        self.0
    }
}

impl fmt::Debug for ChannelId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "channel {}", self.0)
    }
}

/// An RPC PDU on its way through a proxy. It counts in the window of the channel on which it came until it is handed
/// back, whatever becomes of it.
#[derive(Debug)]
pub struct Pdu {
    /// The PDU. A proxy may put another in its place.
    pub bytes: Bytes,
    pub(crate) from: ChannelId,
    pub(crate) len: u32,
}

/// How a virtual connection ended at a proxy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ended {
    /// Another proxy carries it on: the channel here was recycled.
    HandedOver,
    /// It is over.
    Failed(Failure),
}

/// How full a proxy's half of a virtual connection is, for people who watch.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Load {
    /// Bytes of RPC that came and have not gone on.
    pub queued: u32,
    /// Bytes that may be sent on before an acknowledgement is needed; 0 before there is a window.
    pub window: u32,
    /// A PDU waits until the other side acknowledges.
    pub stalled: bool,
}

/// Bytes that may wait in one channel for the driver to take, in front of what flow control holds back.
const BACKLOG: usize = 64 << 10;

/// More than this waits only for a peer that takes nothing while others speak through us to it.
const FLOOD: usize = 256 << 10;

/// Acknowledgements that wait in one channel, each for another: the newest says what the older ones said.
const ACKS: usize = 4;

/// What waits for the driver.
#[derive(Debug)]
enum Out {
    Pdu(Bytes),
    /// OUT_R1/A8 or OUT_R2/A7 of the client.
    Switch(Bytes),
    /// The acknowledgement at this place.
    Ack(usize),
}

/// An acknowledgement that waits: to whom, and of which channel.
#[derive(Debug)]
struct Ack {
    to: Option<Destination>,
    channel: Cookie,
    pdu: Bytes,
}

/// One connection: what is read from it and written to it.
#[derive(Debug)]
pub(crate) struct Leg {
    pub(crate) id: ChannelId,
    /// The cookie of the channel, and the one before, where the connection outlives channels.
    pub(crate) cookie: Cookie,
    pub(crate) former: Option<Cookie>,
    splitter: Splitter,
    out: VecDeque<Out>,
    acks: [Option<Ack>; ACKS],
    switching: bool,
    backlog: usize,
    /// Bytes put on the channel so far, of its lifetime.
    pub(crate) carried: u32,
    /// Nothing is handed out.
    pub(crate) plugged: bool,
    pub(crate) last_sent: Instant,
    waiting: Option<Instant>,
}

impl Leg {
    pub(crate) fn new(id: ChannelId, cookie: Cookie, splitter: Splitter, now: Instant) -> Self {
        Self {
            id,
            cookie,
            former: None,
            splitter,
            out: VecDeque::new(),
            acks: [const { None }; ACKS],
            switching: false,
            backlog: 0,
            carried: 0,
            plugged: false,
            last_sent: now,
            waiting: None,
        }
    }

    /// The next frame of what was read.
    pub(crate) fn next(&mut self, input: &mut Bytes) -> Result<Option<Frame>, Failure> {
        self.splitter.next(input)
    }

    pub(crate) fn say(&mut self, now: Instant, message: &Message) {
        self.put(now, message.emit());
    }

    /// Puts a PDU on the channel.
    pub(crate) fn put(&mut self, now: Instant, pdu: Bytes) {
        self.count(pdu.len());
        self.push(now, Out::Pdu(pdu));
    }

    fn count(&mut self, len: usize) {
        self.backlog = self.backlog.saturating_add(len);
        self.carried = self.carried.saturating_add(narrow(len));
    }

    fn push(&mut self, now: Instant, out: Out) {
        self.out.push_back(out);
        self.waiting.get_or_insert(now);
    }

    /// Says an acknowledgement, in place of an older one that still waits.
    pub(crate) fn acknowledge(
        &mut self,
        now: Instant,
        to: Option<Destination>,
        ack: FlowControlAck,
    ) {
        let pdu = Message::FlowControlAck { to, ack }.emit();
        self.put_ack(now, to, ack.channel, pdu);
    }

    /// Puts an acknowledgement on the channel, in place of an older one that still waits. Nobody has as many channels
    /// that are acknowledged at once as there are places; if somebody says so, the newest takes the last.
    pub(crate) fn put_ack(
        &mut self,
        now: Instant,
        to: Option<Destination>,
        channel: Cookie,
        pdu: Bytes,
    ) {
        let is_it = |place: &Option<Ack>| match place {
            Some(ack) => ack.to == to && ack.channel == channel,
            None => false,
        };
        let known = self.acks.iter().position(is_it);
        let place = known.or_else(|| self.acks.iter().position(Option::is_none));
        let at = place.unwrap_or(ACKS - 1);
        let Some(place) = self.acks.get_mut(at) else {
            return;
        };
        let len = pdu.len();
        match place.replace(Ack { to, channel, pdu }) {
            Some(old) => {
                self.backlog = self.backlog.saturating_sub(old.pdu.len());
                self.carried = self.carried.saturating_sub(narrow(old.pdu.len()));
                self.count(len);
            }
            None => {
                self.count(len);
                self.push(now, Out::Ack(at));
            }
        }
    }

    /// Puts the client's word that an OUT channel's successor may go on, of which no second comes before the server
    /// has heard the first.
    ///
    /// # Errors
    /// [`Failure::Violation`]: it does.
    pub(crate) fn put_switch(&mut self, now: Instant, pdu: Bytes) -> Result<(), Failure> {
        if std::mem::replace(&mut self.switching, true) {
            return Err(Failure::Violation(
                "a second successor of an OUT channel before the first",
            ));
        }
        self.count(pdu.len());
        self.push(now, Out::Switch(pdu));
        Ok(())
    }

    /// Drops what waits.
    pub(crate) fn clear(&mut self) {
        self.out.clear();
        self.acks = [const { None }; ACKS];
        self.switching = false;
        (self.backlog, self.waiting) = (0, None);
    }

    /// Whether more waits than anybody who keeps to the rules brings about.
    pub(crate) fn is_flooded(&self) -> bool {
        self.backlog > FLOOD
    }

    /// Whether what flow control holds back may be put behind what waits.
    pub(crate) fn has_room(&self) -> bool {
        !self.plugged && self.backlog < BACKLOG
    }

    /// Whether everything was handed out.
    pub(crate) fn is_drained(&self) -> bool {
        self.out.is_empty()
    }

    /// The next bytes to transmit.
    pub(crate) fn take(&mut self, now: Instant) -> Option<Bytes> {
        if self.plugged {
            return None;
        }
        let bytes = match self.out.pop_front()? {
            Out::Pdu(pdu) => pdu,
            Out::Switch(pdu) => {
                self.switching = false;
                pdu
            }
            Out::Ack(at) => self.acks.get_mut(at).and_then(Option::take)?.pdu,
        };
        self.backlog = self.backlog.saturating_sub(bytes.len());
        self.last_sent = now;
        self.waiting = (!self.out.is_empty()).then_some(now);
        Some(bytes)
    }

    /// When what waits will have waited too long.
    pub(crate) fn deadline(&self, limit: Duration) -> Option<Instant> {
        self.waiting?.checked_add(limit)
    }

    /// Whether the cookie names this channel.
    pub(crate) fn is_named(&self, cookie: Cookie) -> bool {
        self.cookie == cookie || self.former == Some(cookie)
    }

    /// Bytes left of a lifetime.
    pub(crate) fn left(&self, lifetime: u32) -> u32 {
        lifetime.saturating_sub(self.carried)
    }
}

/// The failure of a virtual connection of which a leg is flooded.
pub(crate) fn flooded<'a>(legs: impl IntoIterator<Item = &'a Leg>) -> Result<(), Failure> {
    match legs.into_iter().any(Leg::is_flooded) {
        true => Err(Failure::Violation(
            "more to be sent on than the next hop takes",
        )),
        false => Ok(()),
    }
}

/// The first of some instants, those that are there.
pub(crate) fn earliest(instants: impl IntoIterator<Item = Option<Instant>>) -> Option<Instant> {
    instants.into_iter().flatten().min()
}

/// Whether an instant is there and has come.
pub(crate) fn has_come(at: Option<Instant>, now: Instant) -> bool {
    at.is_some_and(|at| at <= now)
}
