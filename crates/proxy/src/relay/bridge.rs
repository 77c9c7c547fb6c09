//! Bridges: the server's half of virtual connections, in front of servers that speak DCE/RPC over TCP or locally.
//!
//! Read first: MS-RPCH section 3.2.5 (the server's role). The proxies' halves connect to a bridge as they would to a server, over memory; where both
//! have come, the bridge connects to the real server, and PDUs go through as they are. Neither side knows of the other's transport.

use std::collections::{HashMap, VecDeque};
use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use bytes::{Buf, Bytes};
use farcall_dce::seed::Seed;
use farcall_rpch::frame::BANNER;
use farcall_rpch::rts::Cookie;
use farcall_rpch::{ChannelId, First, Opening, Role, Server, ServerConfig, server};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, ReadBuf};
use tokio::sync::mpsc;
use tokio::time::Sleep;

use super::reach::Place;
use super::wire::{Connecting, Happened, Stream, Wire};

/// Bytes in flight between a half and its bridge.
const PIPE: usize = 128 << 10;

/// Bytes that are read from a server at once.
const CHUNK: usize = 32 << 10;

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
    stream: DuplexStream,
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
    pub(super) fn join(self: &Arc<Self>, place: Place, limit: Duration) -> DuplexStream {
        let (near, far) = tokio::io::duplex(PIPE);
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
        mut stream: DuplexStream,
        place: Place,
        limit: Duration,
    ) -> io::Result<()> {
        stream.write_all(BANNER).await?;
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
        let bridge = Bridge::new(&self, newcomer, commands, place, limit);
        if let Ok(bridge) = bridge {
            bridge.run().await;
        }
        let mut standing = self.standing.lock().unwrap_or_else(PoisonError::into_inner);
        standing.remove(&cookie);
        Ok(())
    }
}

async fn read_first(stream: &mut DuplexStream, limit: Duration) -> io::Result<(First, Bytes)> {
    let mut opening = Opening::new(Role::Server, Instant::now(), limit);
    let mut chunk = [0; 512];
    loop {
        let len = stream.read(&mut chunk).await?;
        if len == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let mut bytes = Bytes::copy_from_slice(chunk.get(..len).unwrap_or_default());
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
    timer: Pin<Box<Sleep>>,
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
            timer: Box::pin(tokio::time::sleep_until(now.into())),
            over: false,
            most,
        };
        this.add(now, ChannelId::FIRST, newcomer);
        Ok(this)
    }

    fn add(&mut self, now: Instant, channel: ChannelId, newcomer: Newcomer) {
        let stream = newcomer.stream;
        let ready: Connecting = Box::pin(async move { Ok(Box::new(stream) as Box<dyn Stream>) });
        self.legs.push(Wire::server(channel, ready));
        if !newcomer.rest.is_empty() {
            self.machine.handle_bytes(now, channel, newcomer.rest);
        }
    }

    async fn run(mut self) {
        poll_fn(|cx| self.poll(cx)).await;
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        loop {
            let now = Instant::now();
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
            progress |= self.time_out(cx, now);
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
            let readable = self.machine.is_readable(leg.id);
            match leg.poll_read(cx, readable) {
                Poll::Pending => continue,
                Poll::Ready(Happened::Bytes(bytes)) => {
                    self.machine.handle_bytes(now, leg.id, bytes)
                }
                Poll::Ready(Happened::Connected) => {}
                Poll::Ready(Happened::Closed | Happened::Unreached) => {
                    self.machine.handle_closed(now, leg.id)
                }
            }
            progress = true;
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
        if self.timer.deadline() != at.into() {
            self.timer.as_mut().reset(at.into());
        }
        self.timer.as_mut().poll(cx).is_ready()
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
        while waiting.len() < 16
            && let Some(pdu) = machine.poll_pdu()
        {
            waiting.push_back(pdu);
            progress = true;
        }
        let Some(first) = waiting.front_mut() else {
            break;
        };
        match Pin::new(&mut *stream).poll_write(cx, first)? {
            Poll::Pending => break,
            Poll::Ready(0) => return Err(io::ErrorKind::WriteZero.into()),
            Poll::Ready(len) => {
                first.advance(len);
                if first.is_empty() {
                    waiting.pop_front();
                }
                progress = true;
            }
        }
    }
    if machine.queued() < most {
        let mut chunk = [0; CHUNK];
        let mut buffer = ReadBuf::new(&mut chunk);
        if let Poll::Ready(read) = Pin::new(stream).poll_read(cx, &mut buffer) {
            read?;
            if buffer.filled().is_empty() {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            let bytes = Bytes::copy_from_slice(buffer.filled());
            machine.send(now, bytes).map_err(io::Error::other)?;
            progress = true;
        }
    }
    Ok(progress)
}
