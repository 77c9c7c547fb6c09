//! The inbound proxy's half of a virtual connection.

use crate::channel::{ChannelId, Ended, Leg, Load, Pdu, earliest, flooded, has_come};
use crate::config::ProxyConfig;
use crate::failure::{Failure, code};
use crate::flow::{Patience, Receiver, Sender};
use crate::frame::{Frame, Splitter};
use crate::in_proxy::event::Event;
use crate::in_proxy::table::{FromClient, FromServer, State, from_client, from_server, waits_for};
use crate::number::{millis, narrow};
use crate::opening::First;
use crate::rts::command::DEFAULT_KEEPALIVE;
use crate::rts::{Cookie, Destination, Message};
use bytes::Bytes;
use farcall_dce::pdu::header::Flags;
use farcall_dce::seed::Seed;
use std::collections::VecDeque;
use std::net::IpAddr;
use std::time::{Duration, Instant};

/// The inbound proxy's half of a virtual connection.
#[derive(Debug)]
pub struct InProxy {
    config: ProxyConfig,
    channels: u32,
    state: State,
    until: Option<Instant>,
    client: Leg,
    receiver: Receiver,
    successor: Option<Successor>,
    server: Leg,
    connected: bool,
    greeted: bool,
    /// There is one as soon as the server takes calls.
    sender: Option<Sender>,
    /// PDUs to be judged, how many are with the judge, and those that passed.
    received: VecDeque<Pdu>,
    undecided: usize,
    queue: VecDeque<Pdu>,
    /// Bytes of all of these, of whichever channel.
    held: u32,
    manners: Manners,
    /// The client has sent RTS PDUs of its own accord.
    speaks: bool,
    last_heard: Instant,
    mid_call: bool,
    events: VecDeque<Event>,
}

/// A channel that waits for its predecessor to end.
#[derive(Debug)]
struct Successor {
    leg: Leg,
    early: Vec<Bytes>,
}

/// What is known of how a client does flow control.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Manners {
    /// Nothing.
    Unknown,
    /// It does.
    Good,
    /// It sends beyond its window, so it needs no acknowledgements, and may not understand any.
    None,
}

impl InProxy {
    /// Begins with the first PDU of a channel, [`ChannelId::FIRST`], of a virtual connection that this proxy does not know:
    /// [`Event::Connect`] follows. `client` is its address, which the server is told.
    ///
    /// # Errors
    /// [`Failure::Unexpected`]: `first` is another role's.
    pub fn new(
        config: ProxyConfig,
        now: Instant,
        seed: &Seed,
        first: &First,
        client: IpAddr,
    ) -> Result<Self, Failure> {
        let _ = seed;
        let (state, cookie, words) = words(&config, first, client)?;
        let id = ChannelId(1);
        let mut server = Leg::new(id, cookie, Splitter::new().with_banner(), now);
        server.plugged = true;
        server.say(now, &words);
        let mut events = VecDeque::from([Event::Connect(id)]);
        if let Message::ConnB1 { keepalive, .. } = first.message {
            events.push_back(Event::KeepAlive(keep_alive(keepalive)));
        }
        Ok(Self {
            channels: 2,
            state,
            until: now.checked_add(config.setup),
            client: Leg::new(ChannelId::FIRST, cookie, Splitter::new(), now),
            receiver: Receiver::new(config.window),
            successor: None,
            server,
            connected: false,
            greeted: !config.banner,
            sender: None,
            received: VecDeque::new(),
            undecided: 0,
            queue: VecDeque::new(),
            held: 0,
            speaks: false,
            manners: if config.compatible {
                Manners::Unknown
            } else {
                Manners::Good
            },
            last_heard: now,
            mid_call: false,
            events,
            config,
        })
    }

    /// Attaches a channel that recycles the one that is there. Make sure first that it is the same client that asks.
    ///
    /// # Errors
    /// [`Failure`]: refuse the newcomer; nothing has changed here.
    // req: rpch-3.2.3.5.5.1-in-r2
    pub fn attach(&mut self, now: Instant, first: &First) -> Result<ChannelId, Failure> {
        let Message::InA1(succession) = first.message else {
            return Err(unexpected(first));
        };
        if self.state != State::Opened {
            return Err(unexpected(first));
        }
        if succession.predecessor != self.client.cookie {
            return Err(Failure::Violation("the predecessor's cookie is another"));
        }
        let id = ChannelId(self.channels);
        self.channels = self.channels.wrapping_add(1);
        let leg = Leg::new(id, succession.successor, Splitter::new(), now);
        self.successor = Some(Successor {
            leg,
            early: Vec::new(),
        });
        self.server.former = Some(self.server.cookie);
        self.server.cookie = succession.successor;
        self.server
            .say(now, &Message::Successor(succession.successor));
        self.enter(now, State::OpenedA5W, self.config.recycle);
        Ok(id)
    }

    fn enter(&mut self, now: Instant, state: State, limit: Duration) {
        self.state = state;
        self.until = match state {
            State::Opened | State::Finished => None,
            _ => now.checked_add(limit),
        };
    }

    /// The connection to the server stands.
    pub fn handle_connected(&mut self, now: Instant, channel: ChannelId) {
        if channel == self.server.id {
            self.connected = true;
            self.greet(now);
        }
    }

    fn greet(&mut self, now: Instant) {
        if !self.connected || !self.greeted {
            return;
        }
        match self.state {
            State::Connecting => self.enter(now, State::B3W, self.config.setup),
            State::ConnectingR1 => self.enter(now, State::WaitB2, self.config.recycle),
            _ => return,
        }
        self.server.plugged = false;
    }

    /// Bytes came on a channel.
    pub fn handle_bytes(&mut self, now: Instant, channel: ChannelId, bytes: Bytes) {
        if let Some(successor) = &mut self.successor
            && successor.leg.id == channel
        {
            successor.early.push(bytes);
            return;
        }
        let read = match channel == self.server.id {
            true => self.read_server(now, bytes),
            false => self.read_client(now, channel, bytes),
        };
        let read = read.and_then(|()| flooded([&self.server]));
        if let Err(failure) = read {
            self.fail(failure);
        }
        self.pump(now);
    }

    fn read_client(
        &mut self,
        now: Instant,
        channel: ChannelId,
        mut bytes: Bytes,
    ) -> Result<(), Failure> {
        self.last_heard = now;
        while self.client.id == channel && self.state != State::Finished {
            match self.client.next(&mut bytes)? {
                None => return Ok(()),
                Some(Frame::Rpc(pdu)) => self.rpc(pdu)?,
                Some(Frame::Rts(pdu)) => self.client_rts(now, pdu)?,
                Some(_) => return Err(Failure::Violation("a client's stream of PDUs is broken")),
            }
        }
        Ok(())
    }

    fn rpc(&mut self, bytes: Bytes) -> Result<(), Failure> {
        if matches!(self.state, State::Flushing | State::Leaving) {
            return Err(Failure::Violation("a call's PDU behind IN_R1/A5"));
        }
        let len = narrow(bytes.len());
        let flags = Flags(bytes.get(3).copied().unwrap_or_default());
        self.mid_call = !flags.has(Flags::LAST);
        self.receiver.arrived(len);
        self.held = self.held.saturating_add(len);
        if self.config.compatible && self.receiver.is_overrun() {
            self.manners = Manners::None;
        }
        self.received.push_back(Pdu {
            bytes,
            from: self.client.id,
            len,
        });
        Ok(())
    }

    fn client_rts(&mut self, now: Instant, pdu: Bytes) -> Result<(), Failure> {
        let message = Message::parse(&pdu)?;
        let rule = from_client(self.state, message.kind());
        if rule != FromClient::Violation && !std::mem::replace(&mut self.speaks, true) {
            self.events.push_back(Event::Speaks);
        }
        match rule {
            FromClient::Forward => self.forward_rts(now, pdu, &message)?,
            FromClient::KeepAlive => {
                if let Message::KeepAlive { interval } = message {
                    self.events
                        .push_back(Event::KeepAlive(keep_alive(interval)));
                }
            }
            FromClient::R1A5 => self.r1_a5(now, pdu),
            FromClient::R2A5 => return self.r2_a5(now, &message),
            FromClient::Ignore => {}
            FromClient::Violation => {
                let message = message.kind();
                return Err(Failure::Unexpected {
                    message,
                    at: "from the client",
                });
            }
        }
        Ok(())
    }

    /// Forwards what goes to the server or through it (section 3.2.1.5.2). It does not wait for the channel to be
    /// unplugged: an acknowledgement must not wait behind the calls whose answers it makes room for.
    fn forward_rts(&mut self, now: Instant, pdu: Bytes, message: &Message) -> Result<(), Failure> {
        match message.destination() {
            Some(Destination::Server | Destination::OutProxy) => {
                if self.manners == Manners::Unknown {
                    self.manners = Manners::Good;
                }
                match message {
                    Message::FlowControlAck { to, ack } => {
                        self.server.put_ack(now, *to, ack.channel, pdu);
                        Ok(())
                    }
                    _ => self.server.put_switch(now, pdu),
                }
            }
            _ => Err(Failure::Violation("a PDU marked for forwarding to nowhere")),
        }
    }

    fn r1_a5(&mut self, now: Instant, pdu: Bytes) {
        self.server.put(now, pdu);
        self.events.push_back(Event::Close(self.client.id));
        self.enter(now, State::Flushing, self.config.stall);
    }

    // req: rpch-3.2.3.5.8-in-r2-a5
    fn r2_a5(&mut self, now: Instant, message: &Message) -> Result<(), Failure> {
        let Some(successor) = self.successor.take() else {
            return Ok(());
        };
        if *message != Message::Successor(successor.leg.cookie) {
            return Err(Failure::Violation("the successor's cookie is another"));
        }
        let old = std::mem::replace(&mut self.client, successor.leg);
        self.receiver = Receiver::new(self.config.window);
        self.events.push_back(Event::Close(old.id));
        self.enter(now, State::Opened, Duration::ZERO);
        let id = self.client.id;
        let early = successor.early;
        early
            .into_iter()
            .try_for_each(|bytes| self.read_client(now, id, bytes))
    }

    fn read_server(&mut self, now: Instant, mut bytes: Bytes) -> Result<(), Failure> {
        while self.state != State::Finished {
            match self.server.next(&mut bytes)? {
                None => return Ok(()),
                Some(Frame::Banner) => {
                    self.greeted = true;
                    self.greet(now);
                }
                Some(Frame::Rts(pdu)) => self.server_rts(now, &Message::parse(&pdu)?)?,
                Some(_) => {
                    return Err(Failure::Violation(
                        "a call's PDU from the server on an IN channel",
                    ));
                }
            }
        }
        Ok(())
    }

    fn server_rts(&mut self, now: Instant, message: &Message) -> Result<(), Failure> {
        match from_server(self.state, message.kind()) {
            FromServer::Unplug => {
                if let Message::ConnB3 { window } | Message::InR1B2 { window } = *message {
                    self.sender = Some(Sender::new(window));
                }
                self.enter(now, State::Opened, Duration::ZERO);
                self.events.push_back(Event::Opened);
                Ok(())
            }
            FromServer::Ack => self.ack(message),
            FromServer::Ignore => Ok(()),
            FromServer::Violation => Err(Failure::Unexpected {
                message: message.kind(),
                at: "from the server",
            }),
        }
    }

    fn ack(&mut self, message: &Message) -> Result<(), Failure> {
        let Message::FlowControlAck {
            to: None | Some(Destination::InProxy),
            ack,
        } = message
        else {
            return Err(Failure::Violation("an acknowledgement for somebody else"));
        };
        let Some(sender) = self
            .sender
            .as_mut()
            .filter(|_| self.server.is_named(ack.channel))
        else {
            return Ok(());
        };
        sender
            .acknowledged(ack)
            .map_err(|untrue| Failure::Violation(untrue.0))
    }

    /// A channel's connection could not be made, was closed or lost.
    pub fn handle_closed(&mut self, now: Instant, channel: ChannelId) {
        let _ = now;
        let is_successor = self.successor.as_ref().is_some_and(|s| s.leg.id == channel);
        if channel == self.server.id {
            match self.state {
                State::Leaving => self.end(Ended::HandedOver),
                State::Connecting | State::ConnectingR1 => {
                    self.fail_with(
                        Failure::Lost("the connection to the server"),
                        code::SERVER_UNAVAILABLE,
                    );
                }
                _ => self.fail(Failure::Lost("the server's connection")),
            }
        } else if is_successor || (channel == self.client.id && !self.is_handed_over()) {
            self.fail(Failure::Lost("the client's IN channel"));
        }
    }

    fn is_handed_over(&self) -> bool {
        matches!(
            self.state,
            State::Flushing | State::Leaving | State::Finished
        )
    }

    /// Time has passed.
    pub fn handle_timeout(&mut self, now: Instant) {
        if self.state == State::Finished {
            return;
        }
        if has_come(self.until, now) {
            if self.state == State::Leaving {
                self.events.push_back(Event::Close(self.server.id));
                return self.end(Ended::HandedOver);
            }
            let code = match self.state {
                State::Connecting | State::ConnectingR1 => code::SERVER_UNAVAILABLE,
                _ => code::CALL_FAILED,
            };
            return self.fail_with(Failure::TimedOut(waits_for(self.state)), code);
        }
        let patience = self
            .sender
            .as_ref()
            .map(|s| s.patience(now, None, self.config.stall));
        if patience.is_some_and(|patience| patience != Patience::Waits) {
            return self.fail(Failure::TimedOut("the server's window"));
        }
        if has_come(self.server.deadline(self.config.stall), now) {
            return self.fail(Failure::TimedOut("the server to take bytes"));
        }
        self.pump(now);
    }

    /// The next RPC PDU to be judged. Each must be handed to [`forward`](Self::forward) or [`refuse`](Self::refuse), in
    /// order. Behind another proxy's channel there is none before the server has said that that one is done with: until then it may be the
    /// other's turn to judge.
    pub fn poll_pdu(&mut self) -> Option<Pdu> {
        if matches!(self.state, State::ConnectingR1 | State::WaitB2) {
            return None;
        }
        let pdu = self.received.pop_front()?;
        self.undecided = self.undecided.saturating_add(1);
        Some(pdu)
    }

    /// Sends a PDU on its way to the server. Its bytes may have been replaced.
    pub fn forward(&mut self, now: Instant, pdu: Pdu) {
        self.undecided = self.undecided.saturating_sub(1);
        if self.state != State::Finished {
            self.queue.push_back(pdu);
            self.pump(now);
        }
    }

    /// Drops a PDU.
    pub fn refuse(&mut self, now: Instant, pdu: Pdu) {
        self.undecided = self.undecided.saturating_sub(1);
        self.consumed(&pdu);
        self.pump(now);
    }

    fn consumed(&mut self, pdu: &Pdu) {
        self.held = self.held.saturating_sub(pdu.len);
        if pdu.from == self.client.id {
            self.receiver.consumed(pdu.len);
        }
    }

    /// Moves what may go onto the connection to the server.
    fn pump(&mut self, now: Instant) {
        if self.state == State::Finished {
            return;
        }
        while let Some(len) = self.queue.front().map(|pdu| narrow(pdu.bytes.len())) {
            let Some(sender) = self.sender.as_mut().filter(|_| self.server.has_room()) else {
                break;
            };
            if !sender.fits(len) {
                sender.stall(now);
                break;
            }
            sender.sent(len);
            if let Some(pdu) = self.queue.pop_front() {
                self.consumed(&pdu);
                self.server.put(now, pdu.bytes);
            }
        }
        let is_empty = self.queue.is_empty() && self.received.is_empty() && self.undecided == 0;
        if self.state == State::Flushing && is_empty {
            self.server.say(now, &Message::InR1B1);
            self.enter(now, State::Leaving, self.config.recycle);
        }
        if has_come(self.acknowledge_at(now), now) {
            let ack = self.receiver.acknowledge(self.client.cookie);
            let to = Some(Destination::Client);
            self.server.acknowledge(now, to, ack);
            if self.manners == Manners::Unknown {
                self.manners = Manners::Good;
            }
        }
    }

    /// When the client is to be acknowledged. One of which nothing is known only when it seems to wait for that.
    // req: rpch-compat-hold
    fn acknowledge_at(&self, now: Instant) -> Option<Instant> {
        let may = matches!(self.state, State::Opened | State::OpenedA5W) && self.receiver.is_due();
        match self.manners {
            _ if !may => None,
            Manners::Good => Some(now),
            Manners::None => None,
            Manners::Unknown if !self.receiver.is_tight() => None,
            Manners::Unknown if self.mid_call => self.last_heard.checked_add(self.config.hold),
            Manners::Unknown => self
                .last_heard
                .checked_add(self.config.hold.saturating_mul(10)),
        }
    }

    /// Ends the virtual connection; the client is told this code where it can be.
    pub fn close(&mut self, now: Instant, code: u32) {
        let _ = now;
        self.fail_with(Failure::Closed, code);
    }

    fn fail(&mut self, failure: Failure) {
        let code = failure.code();
        self.fail_with(failure, code);
    }

    fn fail_with(&mut self, failure: Failure, code: u32) {
        if self.state == State::Finished {
            return;
        }
        if !self.is_handed_over() {
            let channel = self.client.id;
            self.events.push_back(Event::Refuse { channel, code });
        }
        if let Some(successor) = &self.successor {
            let channel = successor.leg.id;
            self.events.push_back(Event::Refuse { channel, code });
        }
        self.events.push_back(Event::Close(self.server.id));
        self.end(Ended::Failed(failure));
    }

    fn end(&mut self, ended: Ended) {
        self.state = State::Finished;
        self.until = None;
        self.queue.clear();
        self.received.clear();
        self.events.push_back(Event::Ended(ended));
    }

    /// The next bytes to transmit on a channel.
    pub fn poll_transmit(&mut self, now: Instant, channel: ChannelId) -> Option<Bytes> {
        if channel != self.server.id || self.state == State::Finished {
            return None;
        }
        self.pump(now);
        self.server.take(now)
    }

    /// How full it is.
    #[must_use]
    pub fn load(&self) -> Load {
        let sender = self.sender.as_ref();
        Load {
            queued: self.receiver.held(),
            window: sender.map_or(0, Sender::available),
            stalled: sender.is_some_and(Sender::is_stalled),
        }
    }

    /// Whether a channel should be read from.
    #[must_use]
    pub fn is_readable(&self, channel: ChannelId) -> bool {
        match &self.successor {
            Some(successor) if successor.leg.id == channel => successor.early.is_empty(),
            _ if channel != self.client.id => true,
            _ => self.receiver.has_room() && self.held <= self.receiver.limit(),
        }
    }

    /// When [`handle_timeout`](Self::handle_timeout) is to be called. Later hurts, earlier does not.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        if self.state == State::Finished {
            return None;
        }
        let stall = self.config.stall;
        earliest([
            self.until,
            self.sender
                .as_ref()
                .and_then(|sender| sender.deadline(None, stall)),
            self.server.deadline(stall),
            self.acknowledge_at(self.last_heard),
        ])
    }

    /// What there is to be told.
    pub fn poll_event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }
}

/// What the server is told first, and where that leads.
fn words(
    config: &ProxyConfig,
    first: &First,
    client: IpAddr,
) -> Result<(State, Cookie, Message), Failure> {
    let (window, timeout) = (config.window, millis(config.connection_timeout));
    match first.message {
        Message::ConnB1 {
            virtual_connection,
            in_channel,
            group,
            ..
        } => {
            let b2 = Message::ConnB2 {
                virtual_connection,
                in_channel,
                window,
                timeout,
                group,
                client,
            };
            Ok((State::Connecting, in_channel, b2))
        }
        Message::InA1(succession) => {
            let a2 = Message::InR1A2 {
                succession,
                window,
                timeout,
            };
            Ok((State::ConnectingR1, succession.successor, a2))
        }
        _ => Err(unexpected(first)),
    }
}

fn unexpected(first: &First) -> Failure {
    Failure::Unexpected {
        message: first.message.kind(),
        at: "first on an IN channel",
    }
}

fn keep_alive(interval: u32) -> Duration {
    let interval = if interval == 0 {
        DEFAULT_KEEPALIVE
    } else {
        interval
    };
    Duration::from_millis(u64::from(interval))
}
