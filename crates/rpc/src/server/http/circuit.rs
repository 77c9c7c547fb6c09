//! One virtual connection: its legs, the machine, and the association behind it, in one task.
//!
//! Read first: the documentation of `farcall_rpch`, whose loop this is. The association is the one that serves a TCP connection
//! ([`Association`]); here it reads and writes a [`Pipe`], and is polled when it was woken or the pipe has moved. Whatever ends either ends
//! both: an association that is over has its last words sent before the virtual connection is closed.

use std::future::Future;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use bytes::Bytes;
use farcall_dce::seed::Seed;
use farcall_rpch::rts::Message;
use farcall_rpch::server::Event;
use farcall_rpch::{ChannelId, Failure, First, Server as Machine, ServerConfig};
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio::time::Sleep;

use super::leg::{Happened, Keep, Leg, Unpaired};
use super::pipe::{Near, Pipe};
use crate::call::Peer;
use crate::client;
use crate::endpoint::Transport;
use crate::server::dce::connection::Connection as Association;
use crate::server::dce::exports::Door;
use crate::server::hub::{Hub, Stage};
use crate::server::origin::Origin;
use crate::server::visit::{End, Leave};

/// Rounds in a row before other connections get their turn.
const ROUNDS: usize = 32;

/// Bytes that may wait for the client's window in the machine before the association's stay with it.
const AHEAD: usize = 64 << 10;

/// How long what is over may take to write its last words.
const LAST_WORDS: Duration = Duration::from_secs(5);

/// A connection whose first PDU has come.
pub(crate) struct Newcomer {
    pub(crate) first: First,
    /// What was read behind it.
    pub(crate) rest: Bytes,
    pub(crate) stream: TcpStream,
    /// The proxy.
    pub(crate) source: SocketAddr,
    pub(crate) keep: Keep,
    pub(crate) unpaired: Unpaired,
}

/// What all virtual connections of an endpoint share.
#[derive(Clone)]
pub(crate) struct Shared {
    pub(crate) hub: Arc<Hub>,
    pub(crate) door: Door,
    pub(crate) config: ServerConfig,
}

/// One virtual connection, as a future that ends when nothing is left of it.
pub(crate) struct Circuit {
    shared: Shared,
    machine: Machine,
    legs: Vec<Leg>,
    newcomers: mpsc::UnboundedReceiver<Newcomer>,
    pipe: Pipe,
    association: Option<Box<Association<Near>>>,
    /// The pipe has moved since the association was polled.
    stirred: bool,
    /// The association is over; what it said last is still sent.
    closing: bool,
    /// Everything is over, at the latest at this moment.
    over: Option<Instant>,
    timer: Pin<Box<Sleep>>,
    /// The inbound proxy, or as long as it is not there the outbound one.
    source: SocketAddr,
    local: Option<SocketAddr>,
    /// By this number the server's next stage wakes it.
    number: u64,
}

impl Circuit {
    /// A virtual connection of which one half is here.
    ///
    /// # Errors
    /// What came first establishes nothing.
    pub(crate) fn new(
        shared: Shared,
        newcomer: Newcomer,
        newcomers: mpsc::UnboundedReceiver<Newcomer>,
    ) -> Result<Self, Failure> {
        let now = Instant::now();
        let seed = Seed::new(client::random());
        let machine = Machine::new(shared.config.clone(), now, &seed, &newcomer.first)?;
        let number = shared.hub.number_connection();
        let mut this = Self {
            source: newcomer.source,
            local: newcomer.stream.local_addr().ok(),
            shared,
            machine,
            legs: Vec::new(),
            newcomers,
            pipe: Pipe::default(),
            association: None,
            stirred: false,
            closing: false,
            over: None,
            timer: Box::pin(tokio::time::sleep_until(now.into())),
            number,
        };
        this.add(now, ChannelId::FIRST, newcomer);
        Ok(this)
    }

    fn add(&mut self, now: Instant, channel: ChannelId, newcomer: Newcomer) {
        if matches!(newcomer.first.message(), Message::ConnB2 { .. }) {
            self.source = newcomer.source;
        }
        let leg = Leg::new(channel, newcomer.stream, newcomer.keep);
        self.legs.push(match newcomer.first.is_establishing() {
            true => leg.unpaired(newcomer.unpaired),
            false => leg,
        });
        if !newcomer.rest.is_empty() {
            self.machine.handle_bytes(now, channel, newcomer.rest);
        }
    }

    fn drive(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        // Nobody says which part of it was woken.
        self.stirred = true;
        self.shared.hub.watch(self.number, cx.waker());
        for _ in 0..ROUNDS {
            let now = Instant::now();
            if self.stage(now) {
                return Poll::Ready(());
            }
            let mut progress = self.join(cx, now);
            progress |= self.obey(now);
            progress |= self.deliver();
            progress |= self.associate(cx);
            progress |= self.send(now);
            progress |= self.exchange(cx, now);
            progress |= self.finish(now);
            progress |= self.time_out(cx, now);
            self.part();
            let late = self.over.is_some_and(|until| until <= now);
            if self.over.is_some() && (self.legs.is_empty() || late) {
                return Poll::Ready(());
            }
            if !progress {
                return Poll::Pending;
            }
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    /// Obeys the server's stage. `true`: it ends at once.
    fn stage(&mut self, now: Instant) -> bool {
        match self.shared.hub.stage() {
            Stage::Serving => false,
            Stage::Aborting => true,
            Stage::Draining => {
                // With an association it ends when that has.
                if self.association.is_none() && !self.closing && self.over.is_none() {
                    self.machine.close(now);
                }
                false
            }
        }
    }

    /// Takes in connections that came.
    fn join(&mut self, cx: &mut Context<'_>, now: Instant) -> bool {
        let mut progress = false;
        while let Poll::Ready(Some(newcomer)) = self.newcomers.poll_recv(cx) {
            progress = true;
            match self.machine.attach(now, &newcomer.first) {
                Ok(channel) => self.add(now, channel, newcomer),
                // It is closed by being dropped.
                Err(failure) => {
                    tracing::info!(peer = %newcomer.source, %failure, "connection refused");
                }
            }
        }
        progress
    }

    /// Does what the machine says.
    fn obey(&mut self, now: Instant) -> bool {
        let mut progress = false;
        while let Some(event) = self.machine.poll_event() {
            progress = true;
            match event {
                Event::Opened { client, .. } => {
                    tracing::debug!(proxy = %self.source, %client, "virtual connection open");
                    self.open();
                }
                Event::Close(channel) => self.close(channel, now),
                Event::Failed(failure) => {
                    self.fail(&failure);
                    self.over = now.checked_add(LAST_WORDS);
                }
            }
        }
        progress
    }

    fn open(&mut self) {
        self.legs.iter_mut().for_each(Leg::pair);
        let (hub, door) = (&self.shared.hub, &self.shared.door);
        let peer = Peer::Inet(self.source);
        let mut origin = Origin::new(Transport::NcacnHttp, peer, self.local);
        origin.source.connection = hub.number_connection();
        if let Some(recorder) = &hub.recorder {
            // The kernel's timestamps would be those of two connections.
            origin.record(recorder, false);
        }
        let near = self.pipe.near();
        let association = Association::new(near, Arc::clone(hub), door.clone(), origin);
        self.association = Some(Box::new(association));
    }

    fn close(&mut self, channel: ChannelId, now: Instant) {
        if let Some(leg) = self.legs.iter_mut().find(|leg| leg.id == channel) {
            while let Some(bytes) = self.machine.poll_transmit(now, channel) {
                leg.write(bytes);
            }
            leg.close();
        }
    }

    // req: rpch-face-ends-both
    fn fail(&mut self, failure: &Failure) {
        let proxy = self.source;
        match failure {
            Failure::Closed => tracing::trace!(%proxy, "virtual connection closed"),
            Failure::Lost(_) | Failure::TimedOut(_) => {
                tracing::debug!(%proxy, %failure, "virtual connection lost");
            }
            _ => tracing::warn!(%proxy, %failure, "virtual connection closed"),
        }
        self.pipe.break_off();
        self.association = None;
        self.newcomers.close();
    }

    /// Gives the association what came.
    fn deliver(&mut self) -> bool {
        let mut progress = false;
        while self.association.is_some()
            && self.pipe.has_room()
            && let Some(pdu) = self.machine.poll_pdu()
        {
            self.pipe.give(pdu);
            progress = true;
        }
        self.stirred |= progress;
        progress
    }

    /// Lets the association go on, if there may be something to do.
    fn associate(&mut self, cx: &mut Context<'_>) -> bool {
        if !std::mem::take(&mut self.stirred) {
            return false;
        }
        let Some(association) = &mut self.association else {
            return false;
        };
        let Poll::Ready(left) = Pin::new(&mut **association).poll(cx) else {
            return false;
        };
        self.association = None;
        self.closing = true;
        let proxy = self.source;
        match left {
            Leave::Ended(End::Violation(why)) => tracing::warn!(%proxy, why, "association closed"),
            Leave::Ended(end) => tracing::debug!(%proxy, ?end, "association ended"),
            // Only those leave for a lane that were told that they may.
            Leave::Busy(_) => {}
        }
        true
    }

    /// Sends what the association has written.
    fn send(&mut self, now: Instant) -> bool {
        let mut progress = false;
        while self.over.is_none()
            && self.machine.queued() < AHEAD
            && let Some(bytes) = self.pipe.take()
        {
            progress = true;
            if let Err(error) = self.machine.send(now, bytes) {
                tracing::warn!(%error, "an answer could not be sent");
                self.machine.close(now);
                break;
            }
        }
        self.stirred |= progress;
        progress
    }

    /// Writes and reads what can be written and read.
    fn exchange(&mut self, cx: &mut Context<'_>, now: Instant) -> bool {
        let mut progress = false;
        for leg in &mut self.legs {
            while leg.has_room()
                && let Some(bytes) = self.machine.poll_transmit(now, leg.id)
            {
                leg.write(bytes);
                progress = true;
            }
            progress |= leg.poll_write(cx);
            if !self.machine.is_readable(leg.id) {
                continue;
            }
            match leg.poll_read(cx) {
                Poll::Pending => continue,
                Poll::Ready(Happened::Bytes(bytes)) => {
                    self.machine.handle_bytes(now, leg.id, bytes);
                }
                Poll::Ready(Happened::Closed) => self.machine.handle_closed(now, leg.id),
            }
            progress = true;
        }
        progress
    }

    /// Closes the virtual connection when the association's last words are written.
    fn finish(&mut self, now: Instant) -> bool {
        let written = self.pipe.is_empty()
            && self.machine.is_drained()
            && self.legs.iter().all(Leg::is_written);
        if self.closing && self.over.is_none() && written {
            self.machine.close(now);
            self.closing = false;
            return true;
        }
        false
    }

    fn part(&mut self) {
        if self.legs.iter().any(Leg::is_gone) {
            let (gone, here) = std::mem::take(&mut self.legs)
                .into_iter()
                .partition::<Vec<_>, _>(Leg::is_gone);
            self.legs = here;
            gone.into_iter().for_each(Leg::part);
        }
    }

    fn time_out(&mut self, cx: &mut Context<'_>, now: Instant) -> bool {
        let Some(at) = self.over.or_else(|| self.machine.poll_timeout()) else {
            return false;
        };
        if at <= now && self.over.is_none() {
            self.machine.handle_timeout(now);
            return true;
        }
        if self.timer.deadline() != at.into() {
            self.timer.as_mut().reset(at.into());
        }
        // Ready between the two looks at the clock: the next round takes it.
        self.timer.as_mut().poll(cx).is_ready()
    }
}

impl Future for Circuit {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        self.drive(cx)
    }
}

impl Drop for Circuit {
    fn drop(&mut self) {
        self.shared.hub.unwatch(self.number);
    }
}
