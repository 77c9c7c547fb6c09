//! Bridges: the server's half of virtual connections, in front of servers that speak DCE/RPC over TCP or locally.
//!
//! Read first: MS-RPCH section 3.2.5 (the server's role). The proxies' halves connect to a bridge as they would to a server, over memory; where both
//! have come, the bridge connects to the real server, and PDUs go through as they are. Neither side knows of the other's transport.

use std::collections::{HashMap, VecDeque};
use std::future::poll_fn;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use bytes::Bytes;
use farcall_dce::seed::Seed;
use farcall_rpch::frame::BANNER;
use farcall_rpch::rts::Cookie;
use farcall_rpch::{ChannelId, First, Opening, Role, Server, ServerConfig, server};
use tokio::sync::mpsc;

use super::alarm::Alarm;
use super::pipe::{Pipe, pipe};
use super::reach::Place;
use super::wire::{Connecting, Happened, Stream, Wire};

/// Pieces that wait to be written to a server, beyond which no more are taken.
const MOST: usize = 32;

/// Bridges that stand, by their virtual connection.
pub(super) struct Bridges {
    config: ServerConfig,
    first: Duration,
    standing: Mutex<HashMap<Cookie, mpsc::UnboundedSender<Newcomer>>>,
}

/// Another connection of a half.
struct Newcomer {
    first: First,
    rest: Bytes,
    stream: Pipe,
}

impl Bridges {
    /// None yet. A connection's first PDU must come within `first`.
    pub(super) fn new(config: ServerConfig, first: Duration) -> Arc<Self> {
        Arc::new(Self {
            config,
            first,
            standing: Mutex::default(),
        })
    }

    /// A connection to a bridge, which reaches the server at `place`.
    pub(super) fn join(self: &Arc<Self>, place: Place, limit: Duration) -> Pipe {
        let (near, far) = pipe();
        let this = Arc::clone(self);
        tokio::spawn(async move {
            if let Err(error) = this.accept(far, place, limit).await {
                tracing::debug!(%error, "bridge not joined");
            }
        });
        near
    }

    async fn accept(
        self: Arc<Self>,
        mut stream: Pipe,
        place: Place,
        limit: Duration,
    ) -> io::Result<()> {
        let mut banner = VecDeque::from([Bytes::from_static(BANNER)]);
        poll_fn(|cx| stream.poll_send(cx, &mut banner)).await?;
        let opening = read_first(&mut stream, self.first);
        let (first, rest) = tokio::time::timeout(self.first, opening).await??;
        let cookie = first.virtual_connection();
        let newcomer = Newcomer {
            first,
            rest,
            stream,
        };
        let commands = {
            let mut standing = self.standing.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some(to) = standing.get(&cookie) {
                // A bridge that has just ended takes no one; its client has ended too.
                let _ = to.send(newcomer);
                return Ok(());
            }
            let (to, commands) = mpsc::unbounded_channel();
            standing.insert(cookie, to);
            commands
        };
        let standing = Standing(self, cookie);
        let bridge = Bridge::new(&standing.0, newcomer, commands, place, limit)?;
        // A task of its own, which holds nothing of how it began.
        tokio::spawn(bridge.run(standing));
        Ok(())
    }
}

/// The place of a bridge among the others, until this is dropped.
struct Standing(Arc<Bridges>, Cookie);

impl Drop for Standing {
    fn drop(&mut self) {
        let standing = self.0.standing.lock();
        standing
            .unwrap_or_else(PoisonError::into_inner)
            .remove(&self.1);
    }
}

async fn read_first(stream: &mut Pipe, limit: Duration) -> io::Result<(First, Bytes)> {
    let mut opening = Opening::new(Role::Server, Instant::now(), limit);
    loop {
        let mut bytes = poll_fn(|cx| stream.poll_bytes(cx)).await;
        if bytes.is_empty() {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let first = opening.handle_bytes(&mut bytes);
        if let Some(first) = first.map_err(io::Error::other)? {
            return Ok((first, bytes));
        }
    }
}

/// One bridge.
struct Bridge {
    machine: Server,
    legs: Vec<Wire>,
    newcomers: mpsc::UnboundedReceiver<Newcomer>,
    place: Place,
    limit: Duration,
    inside: Inside,
    alarm: Alarm,
    over: bool,
    most: usize,
}

/// The real server.
enum Inside {
    /// Both halves are not here yet.
    Waiting,
    Connecting(Connecting),
    There(Box<dyn Stream>, VecDeque<Bytes>),
    Gone,
}

impl Bridge {
    fn new(
        bridges: &Bridges,
        newcomer: Newcomer,
        newcomers: mpsc::UnboundedReceiver<Newcomer>,
        place: Place,
        limit: Duration,
    ) -> io::Result<Self> {
        let mut secret = [0; 32];
        getrandom::fill(&mut secret).map_err(io::Error::other)?;
        let (config, now) = (bridges.config.clone(), Instant::now());
        let most = config.queued / 2;
        let machine = Server::new(config, now, &Seed::new(secret), &newcomer.first);
        let mut this = Self {
            machine: machine.map_err(io::Error::other)?,
            legs: Vec::new(),
            newcomers,
            place,
            limit,
            inside: Inside::Waiting,
            alarm: Alarm::new(now),
            over: false,
            most,
        };
        this.add(now, ChannelId::FIRST, newcomer);
        Ok(this)
    }

    fn add(&mut self, now: Instant, channel: ChannelId, newcomer: Newcomer) {
        let stream = Box::new(newcomer.stream);
        self.legs.push(Wire::standing(channel, stream));
        if !newcomer.rest.is_empty() {
            self.machine.handle_bytes(now, channel, newcomer.rest);
        }
    }

    async fn run(mut self, _standing: Standing) {
        poll_fn(|cx| self.poll(cx)).await;
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        // One look at the clock serves all rounds, unless it has rung.
        let mut now = Instant::now();
        loop {
            let mut progress = false;
            while let Poll::Ready(Some(newcomer)) = self.newcomers.poll_recv(cx) {
                progress = true;
                // One that cannot be attached is closed by being dropped.
                if let Ok(channel) = self.machine.attach(now, &newcomer.first) {
                    self.add(now, channel, newcomer);
                }
            }
            progress |= self.obey();
            progress |= self.legs(cx, now);
            progress |= self.inside(cx, now);
            if self.time_out(cx, now) {
                now = Instant::now();
                progress = true;
            }
            self.legs.retain(|leg| !leg.is_gone());
            if self.over && self.legs.is_empty() {
                return Poll::Ready(());
            }
            if !progress {
                return Poll::Pending;
            }
        }
    }

    fn obey(&mut self) -> bool {
        let mut progress = false;
        while let Some(event) = self.machine.poll_event() {
            progress = true;
            match event {
                server::Event::Opened { .. } => {
                    let (place, limit) = (self.place.clone(), self.limit);
                    let connecting = async move { place.connect(limit).await };
                    self.inside = Inside::Connecting(Box::pin(connecting));
                }
                server::Event::Close(channel) => {
                    let now = Instant::now();
                    if let Some(leg) = self.legs.iter_mut().find(|leg| leg.id == channel) {
                        while let Some(bytes) = self.machine.poll_transmit(now, channel) {
                            leg.write(bytes);
                        }
                        leg.close();
                    }
                }
                server::Event::Failed(failure) => {
                    tracing::debug!(%failure, "bridge ended");
                    self.inside = Inside::Gone;
                    self.over = true;
                }
            }
        }
        progress
    }

    fn legs(&mut self, cx: &mut Context<'_>, now: Instant) -> bool {
        let mut progress = false;
        for leg in &mut self.legs {
            while leg.has_room()
                && let Some(bytes) = self.machine.poll_transmit(now, leg.id)
            {
                leg.write(bytes);
                progress = true;
            }
            progress |= leg.poll_write(cx);
            while self.machine.is_readable(leg.id) {
                match leg.poll_read(cx, true) {
                    Poll::Pending => break,
                    Poll::Ready(Happened::Bytes(bytes)) => {
                        self.machine.handle_bytes(now, leg.id, bytes);
                    }
                    Poll::Ready(Happened::Connected) => {}
                    Poll::Ready(Happened::Closed | Happened::Unreached) => {
                        self.machine.handle_closed(now, leg.id);
                    }
                }
                progress = true;
            }
        }
        progress
    }

    fn inside(&mut self, cx: &mut Context<'_>, now: Instant) -> bool {
        let done = match &mut self.inside {
            Inside::Waiting | Inside::Gone => return false,
            Inside::Connecting(connecting) => match connecting.as_mut().poll(cx) {
                Poll::Pending => return false,
                Poll::Ready(Ok(stream)) => {
                    self.inside = Inside::There(stream, VecDeque::new());
                    return true;
                }
                Poll::Ready(Err(error)) => Err(error),
            },
            Inside::There(stream, waiting) => exchange(
                cx,
                now,
                &mut self.machine,
                stream.as_mut(),
                waiting,
                self.most,
            ),
        };
        match done {
            Ok(progress) => progress,
            Err(error) => {
                tracing::debug!(%error, "bridged server gone");
                self.inside = Inside::Gone;
                self.machine.close(now);
                true
            }
        }
    }

    fn time_out(&mut self, cx: &mut Context<'_>, now: Instant) -> bool {
        let Some(at) = self.machine.poll_timeout().filter(|_| !self.over) else {
            return false;
        };
        if at <= now {
            self.machine.handle_timeout(now);
            return true;
        }
        self.alarm.poll(cx, at)
    }
}

/// Moves what can be moved between the machine and the real server.
fn exchange(
    cx: &mut Context<'_>,
    now: Instant,
    machine: &mut Server,
    stream: &mut dyn Stream,
    waiting: &mut VecDeque<Bytes>,
    most: usize,
) -> io::Result<bool> {
    let mut progress = false;
    loop {
        while waiting.len() < MOST
            && let Some(pdu) = machine.poll_pdu()
        {
            waiting.push_back(pdu);
            progress = true;
        }
        if waiting.is_empty() || stream.poll_send(cx, waiting)?.is_pending() {
            break;
        }
        progress = true;
    }
    if machine.queued() < most
        && let Poll::Ready(read) = stream.poll_bytes(cx)
    {
        let bytes = read?;
        if bytes.is_empty() {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        machine.send(now, bytes).map_err(io::Error::other)?;
        progress = true;
    }
    Ok(progress)
}
