//! The server's side of a UDP socket.
//!
//! One future drives one socket: it takes what datagrams there are, admits each, polls
//! procedures in place and sends each reply from the address its call was sent to. A datagram
//! that cannot be understood is never answered.
//!
//! While it is busy and its procedures answer at once, the socket is on a [lane](super::lane):
//! a thread that receives one datagram, answers it and sleeps in the next receive.

use std::future::Future;
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::os::fd::AsRawFd;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker, ready};
use std::time::Instant;

use bytes::Bytes;
use farcall_onc::msg::Framing;
use farcall_onc::record::Record;
use tokio::net::UdpSocket;

use super::hub::{Hub, Stage};
use super::lane::{Lane, PATIENCE, Pulse, Started};
use super::origin::Origin;
use super::workers::Workers;
use crate::call::Peer;
use crate::endpoint::Transport;
use crate::packet_info::{self, DatagramSocket};
use crate::scratch;
use crate::steps::stamp;
use crate::steps::tap::Tap;
use crate::turn::{Datagram, Turn};

/// Datagrams taken before the replies are sent.
const BATCH: usize = 32;

/// Rounds in one poll before other sockets get their turn.
const TURNS: usize = 8;

/// Longest datagram there can be.
const MAX_DATAGRAM: usize = 65_536;

/// A UDP socket and its calls, as a future that ends when the server drains.
pub(crate) struct DatagramServer {
    socket: DatagramSocket,
    /// The port it is bound to.
    port: u16,
    /// Bound to no address of its own: asks the kernel for each datagram's destination.
    unbound: bool,
    /// Where sampled calls are followed, if any are.
    tap: Option<Arc<Tap>>,
    hub: Arc<Hub>,
    origin: Origin,
    workers: Workers,
    turn: Option<Box<Turn>>,
    generation: u64,
    /// A reply that the socket would not take yet.
    waiting: bool,
    pulse: Pulse,
    /// Datagrams were received in this poll.
    fresh: bool,
    /// It is on a lane: receiving sleeps, so nothing else may wait meanwhile.
    laned: bool,
    /// Its number among those who watch the server's stage.
    number: u64,
}

/// Why a socket leaves the runtime it was driven on.
pub(crate) enum Leave {
    /// The server is over.
    Ended,
    /// It is so busy that this lane is for it.
    Busy(Lane),
}

impl DatagramServer {
    pub(crate) fn new(socket: UdpSocket, hub: Arc<Hub>) -> io::Result<Self> {
        let local = socket.local_addr()?;
        let unbound = local.ip().is_unspecified();
        if unbound {
            packet_info::enable(&socket)?;
        }
        let nowhere = SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), 0);
        let origin = Origin::new(Transport::Udp, Peer::Inet(nowhere), Some(local));
        let mut origin = origin.on(hub.terms(Framing::Datagram));
        let tap = hub
            .recorder
            .as_ref()
            .map(|recorder| origin.record(recorder, stamp::enable(&socket).is_ok()));
        Ok(Self {
            socket: DatagramSocket::Runtime(socket),
            port: local.port(),
            unbound,
            tap,
            workers: Workers::new(hub.inbox(&mut origin)),
            number: hub.number_connection(),
            hub,
            origin,
            turn: None,
            generation: 0,
            waiting: false,
            pulse: Pulse::default(),
            fresh: false,
            laned: false,
        })
    }

    /// Lends the socket to a lane until it cannot stay there. Whether the server is over.
    ///
    /// # Errors
    /// The lane or the socket failed.
    pub(crate) async fn visit_lane(
        mut self,
        lane: Started<Self, (Self, bool)>,
    ) -> io::Result<(Self, bool)> {
        let waker = self.socket.enter_lane(PATIENCE)?;
        self.hub.watch(self.number, &waker);
        drop(waker);
        self.laned = true;
        let (mut this, ended) = lane.run(self).await?;
        this.hub.unwatch(this.number);
        (this.laned, this.pulse) = (false, Pulse::default());
        this.socket.leave_lane()?;
        Ok((this, ended))
    }

    /// Drives the socket on a lane until the server is over or something has to wait.
    pub(crate) fn on_lane(mut self) -> (Self, bool) {
        let mut cx = Context::from_waker(Waker::noop());
        let polled = Pin::new(&mut self).poll(&mut cx);
        let ended = matches!(polled, Poll::Ready(Leave::Ended));
        (self, ended)
    }

    /// Whether everything that came has been answered.
    fn is_prompt(&self, turn: &Turn) -> bool {
        turn.is_idle() && self.workers.is_empty()
    }

    /// Whether the socket is to go to a lane, and to which.
    fn lane(&mut self, turn: &Turn) -> Option<Lane> {
        if self.laned || self.tap.is_some() || !std::mem::take(&mut self.fresh) {
            return None;
        }
        let prompt = self.is_prompt(turn);
        let busy = self.pulse.beat(self.origin.source.received, prompt);
        busy.then(|| self.hub.socket_lanes.take()).flatten()
    }

    fn drive(&mut self, cx: &mut Context<'_>, turn: &mut Box<Turn>) -> Poll<()> {
        let turns = if self.laned { usize::MAX } else { TURNS };
        for _ in 0..turns {
            let closing = match self.hub.stage() {
                Stage::Serving => false,
                Stage::Draining => true,
                Stage::Aborting => return Poll::Ready(()),
            };
            self.workers
                .run(cx, &self.hub, self.origin.source.transport, turn);
            self.send(cx, turn);
            if self.waiting {
                return Poll::Pending;
            }
            if self.workers.can_run(&self.hub, turn) {
                continue;
            }
            if closing && turn.is_idle() && self.workers.is_empty() {
                return Poll::Ready(());
            }
            if closing || !turn.calls.is_empty() || self.workers.is_full(&self.hub) {
                return Poll::Pending;
            }
            if self.laned && !self.is_prompt(turn) {
                return Poll::Pending;
            }
            ready!(self.receive(cx, turn));
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    /// Takes what datagrams there are, up to a batch.
    fn receive(&mut self, cx: &mut Context<'_>, turn: &mut Turn) -> Poll<()> {
        let mut any = false;
        let most = if self.laned { 1 } else { BATCH };
        for _ in 0..most {
            match self.receive_one(cx) {
                Poll::Ready(Ok(datagram)) => {
                    (any, self.fresh) = (true, true);
                    self.admit(datagram, turn);
                }
                // An error here is news about an earlier datagram (an ICMP message): pass over it.
                Poll::Ready(Err(error)) => tracing::trace!(%error, "receive failed"),
                Poll::Pending if any => return Poll::Ready(()),
                Poll::Pending => return Poll::Pending,
            }
        }
        Poll::Ready(())
    }

    fn receive_one(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Bytes>> {
        scratch::with_datagram(MAX_DATAGRAM, |input| {
            let more = self.unbound || self.tap.is_some();
            let received = ready!(self.socket.poll_receive(cx, input, more))?;
            self.origin.source.peer = Peer::Inet(received.from);
            if let Some(to) = received.to {
                self.origin.source.local = Some(SocketAddr::new(to, self.port));
            }
            if let Some(tap) = &self.tap {
                tap.arrived(received.arrived);
            }
            Poll::Ready(Ok(input.split().freeze()))
        })
    }

    fn admit(&mut self, datagram: Bytes, turn: &mut Turn) {
        self.origin.source.received = Instant::now();
        self.generation = self.generation.wrapping_add(1);
        let record = Record::Assembled(datagram);
        // A datagram has no stream to close: whatever is wrong with it, it is passed over.
        let _ = self
            .hub
            .admit(&mut self.origin, &record, &Bytes::new(), turn);
    }

    /// Sends replies until none is left or the socket takes no more.
    fn send(&mut self, cx: &mut Context<'_>, turn: &mut Turn) {
        self.waiting = false;
        let mut sent = 0;
        while let Some(datagram) = turn.datagrams.front().copied() {
            let len = datagram.end.saturating_sub(sent);
            if self.send_one(cx, turn, datagram, len).is_pending() {
                self.waiting = true;
                turn.datagrams
                    .iter_mut()
                    .for_each(|d| d.end = d.end.saturating_sub(sent));
                return;
            }
            turn.datagrams.pop_front();
            turn.out.advance(len);
            sent = datagram.end;
        }
    }

    fn send_one(
        &self,
        cx: &mut Context<'_>,
        turn: &Turn,
        datagram: Datagram,
        len: usize,
    ) -> Poll<()> {
        let from = datagram.from.filter(|_| self.unbound);
        let more = from.is_some() || self.tap.is_some();
        let mut parts = turn.out.parts();
        let sent = match parts.next() {
            Some(head) if head.len() >= len => {
                let head = head.get(..len).unwrap_or_default();
                self.socket.poll_send(cx, head, datagram.to, from, more)
            }
            _ => {
                let mut whole = turn.out.to_vec();
                whole.truncate(len);
                self.socket.poll_send(cx, &whole, datagram.to, from, more)
            }
        };
        let sent = ready!(sent);
        if let Err(error) = &sent {
            tracing::debug!(%error, to = %datagram.to, "reply could not be sent");
        }
        if let Some(tap) = &self.tap {
            self.follow(tap, sent.is_ok());
        }
        Poll::Ready(())
    }

    /// Takes in the timestamps of what was sent.
    fn follow(&self, tap: &Tap, sent: bool) {
        if !sent {
            // The kernel may or may not have counted it: which number is whose is not known now.
            return tap.end();
        }
        tap.sent(1);
        let DatagramSocket::Runtime(socket) = &self.socket else {
            return;
        };
        stamp::sent(socket.as_raw_fd(), |number, instant| {
            tap.stamped(number.wrapping_add(1), instant);
        });
    }
}

impl Future for DatagramServer {
    type Output = Leave;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Leave> {
        let this = &mut *self;
        let mut turn = this.turn.take().unwrap_or_else(scratch::take_turn);
        turn.write_queue = this.hub.limits.write_queue;
        let polled = this.drive(cx, &mut turn);
        let lane = this.lane(&turn);
        if turn.is_idle() {
            scratch::give_turn(turn);
        } else {
            this.turn = Some(turn);
        }
        match (polled, lane) {
            (Poll::Ready(()), _) => Poll::Ready(Leave::Ended),
            (Poll::Pending, Some(lane)) => Poll::Ready(Leave::Busy(lane)),
            (Poll::Pending, None) => Poll::Pending,
        }
    }
}
