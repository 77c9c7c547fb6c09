//! The outbound proxy's half of a virtual connection.

use crate::channel::{ChannelId, Ended, Leg, Load, Pdu, earliest, flooded, has_come};
use crate::config::ProxyConfig;
use crate::failure::{Failure, code};
use crate::flow::{Patience, Receiver, Sender};
use crate::frame::{Frame, Splitter};
use crate::http::{RpcError, response};
use crate::number::{millis, narrow};
use crate::opening::First;
use crate::out_proxy::event::Event;
use crate::out_proxy::table::{FromClient, FromServer, State, from_client, from_server, waits_for};
use crate::rts::{Cookie, Destination, Message};
use bytes::Bytes;
use farcall_dce::seed::Seed;
use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// The server is told of bytes that are not its own when there are more than these, as Windows does.
const NOTIFY: u32 = 1031;

/// The outbound proxy's half of a virtual connection.
#[derive(Debug)]
pub struct OutProxy {
    config: ProxyConfig,
    channels: u32,
    state: State,
    until: Option<Instant>,
    client: OutChannel,
    successor: Option<OutChannel>,
    /// Channels that have said their last PDU.
    leaving: Vec<Leg>,
    /// Why it is over, for clients whose requests were answered with success before that.
    last_words: Vec<(ChannelId, Bytes)>,
    server: Leg,
    connected: bool,
    greeted: bool,
    receiver: Receiver,
    /// PDUs to be judged, how many are with the judge, and what passed.
    received: VecDeque<Pdu>,
    undecided: usize,
    queue: VecDeque<Item>,
    /// What comes behind so many PDUs that are not judged.
    mark: Option<(usize, Item)>,
    /// OUT_R1/A2 or OUT_R2/A2 for the successor, that came before the successor goes on.
    early: Option<Bytes>,
    /// Bytes of our own on the channel that the server does not know of.
    own: u32,
    /// It is not known whether the client understands pings.
    silent: bool,
    events: VecDeque<Event>,
}

#[derive(Debug)]
struct OutChannel {
    leg: Leg,
    sender: Sender,
    responded: bool,
    /// The request's body is whole.
    whole: bool,
}

/// What is to be put on the channel, in order.
#[derive(Debug)]
enum Item {
    Pdu(Pdu),
    /// A PDU of our own.
    Own(Bytes),
    /// The predecessor's end: the successor goes on.
    Switch,
    /// The end: another proxy goes on.
    Finish,
}

impl OutProxy {
    /// Begins with the first PDU of a channel, [`ChannelId::FIRST`], of a virtual connection that this proxy does not know:
    /// [`Event::Connect`] follows.
    ///
    /// # Errors
    /// [`Failure::Unexpected`]: `first` is another role's.
    pub fn new(
        config: ProxyConfig,
        now: Instant,
        seed: &Seed,
        first: &First,
    ) -> Result<Self, Failure> {
        let _ = seed;
        let words = words(&config, first)?;
        let id = ChannelId(1);
        let mut server = Leg::new(id, words.cookie, Splitter::new().with_banner(), now);
        server.plugged = true;
        server.say(now, &words.server);
        let mut client = OutChannel::new(ChannelId::FIRST, words.cookie, words.window, now);
        if words.state == State::Connecting {
            let timeout = millis(config.connection_timeout);
            client.leg.say(now, &Message::ConnA3 { timeout });
        }
        Ok(Self {
            channels: 2,
            state: words.state,
            until: now.checked_add(config.setup),
            client,
            successor: None,
            leaving: Vec::new(),
            last_words: Vec::new(),
            server,
            connected: false,
            greeted: !config.banner,
            receiver: Receiver::new(config.window),
            received: VecDeque::new(),
            undecided: 0,
            queue: VecDeque::new(),
            mark: None,
            early: None,
            own: 0,
            silent: false,
            events: VecDeque::from([Event::Connect(id)]),
            config,
        })
    }

    /// Attaches a channel that recycles the one that is there. Make sure first that it is the same client that asks.
    ///
    /// # Errors
    /// [`Failure`]: refuse the newcomer; nothing has changed here.
    // req: rpch-3.2.4.5.6.1-out-r2
    pub fn attach(&mut self, now: Instant, first: &First) -> Result<ChannelId, Failure> {
        let Message::OutA3 { succession, window } = first.message else {
            return Err(unexpected(first));
        };
        if self.state != State::Opened || self.successor.is_some() {
            return Err(unexpected(first));
        }
        if succession.predecessor != self.client.leg.cookie {
            return Err(Failure::Violation("the predecessor's cookie is another"));
        }
        let id = ChannelId(self.channels);
        self.channels = self.channels.wrapping_add(1);
        self.successor = Some(OutChannel::new(id, succession.successor, window, now));
        self.server
            .say(now, &Message::Successor(succession.successor));
        self.enter(now, State::B1OrC1W, self.config.recycle);
        Ok(id)
    }

    // req: rpch-compat-pings
    /// Sends a client no pings from now on, unless it has acknowledged something or [`may_ping`](Self::may_ping) says that it understands them: some
    /// clients take one for the answer to a call. Nothing changes if the configuration is not `compatible`.
    pub fn hold_pings(&mut self) {
        self.silent = self.config.compatible;
    }

    /// The client understands pings (its inbound proxy says [`Speaks`](crate::in_proxy::Event::Speaks)), or nobody can tell.
    pub fn may_ping(&mut self) {
        self.silent = false;
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
            State::Connecting => {
                self.enter(now, State::C1W, self.config.setup);
                self.respond();
            }
            State::ConnectingR1 => self.enter(now, State::A11W, self.config.recycle),
            _ => return,
        }
        self.server.plugged = false;
    }

    fn respond(&mut self) {
        self.client.responded = true;
        self.client.leg.plugged = false;
        self.events.push_back(Event::Respond(self.client.leg.id));
    }

    /// Bytes came on a channel.
    pub fn handle_bytes(&mut self, now: Instant, channel: ChannelId, bytes: Bytes) {
        let read = match channel == self.server.id {
            true => self.read_server(now, bytes),
            false => self.read_client(now, channel, bytes),
        };
        let read = read.and_then(|()| flooded([&self.server, &self.client.leg]));
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
        loop {
            let successor = self.successor.as_mut().filter(|out| out.leg.id == channel);
            let Some(out) =
                successor.or(Some(&mut self.client).filter(|out| out.leg.id == channel))
            else {
                return Ok(());
            };
            match out.leg.next(&mut bytes)? {
                None => return Ok(()),
                Some(Frame::Rts(pdu)) => self.client_rts(now, channel, &Message::parse(&pdu)?)?,
                Some(_) => {
                    return Err(Failure::Violation(
                        "a call's PDU from the client on an OUT channel",
                    ));
                }
            }
        }
    }

    fn client_rts(
        &mut self,
        now: Instant,
        channel: ChannelId,
        message: &Message,
    ) -> Result<(), Failure> {
        match from_client(self.state, message.kind()) {
            FromClient::A11 => {
                self.enter(now, State::Opened, Duration::ZERO);
                self.respond();
                self.events.push_back(Event::Opened);
            }
            FromClient::C1 => self.out_c1(now, channel)?,
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

    /// The successor's request is whole (section 3.2.4.5.11).
    fn out_c1(&mut self, now: Instant, channel: ChannelId) -> Result<(), Failure> {
        if let Some(successor) = &mut self.successor {
            if successor.leg.id != channel {
                return Err(Failure::Violation("OUT_R2/C1 on the predecessor"));
            }
            successor.whole = true;
            match self.state {
                State::B1OrC1W => self.enter(now, State::B1W, self.config.recycle),
                _ => self.enter(now, State::Opened, Duration::ZERO),
            }
            return Ok(());
        }
        self.client.whole = true;
        self.enter(now, State::Opened, Duration::ZERO);
        self.respond();
        Ok(())
    }

    fn read_server(&mut self, now: Instant, mut bytes: Bytes) -> Result<(), Failure> {
        while self.state != State::Finished {
            match self.server.next(&mut bytes)? {
                None => return Ok(()),
                Some(Frame::Banner) => {
                    self.greeted = true;
                    self.greet(now);
                }
                Some(Frame::Rts(pdu)) => self.server_rts(now, pdu)?,
                Some(Frame::Rpc(pdu)) => self.rpc(pdu)?,
                Some(Frame::Line(_)) => return Err(Failure::Violation("a line from the server")),
            }
        }
        Ok(())
    }

    fn rpc(&mut self, bytes: Bytes) -> Result<(), Failure> {
        if matches!(
            self.state,
            State::Connecting | State::C1W | State::ConnectingR1 | State::Flushing
        ) {
            return Err(Failure::Violation(
                "a call's PDU from the server at a wrong time",
            ));
        }
        let len = narrow(bytes.len());
        self.receiver.arrived(len);
        self.received.push_back(Pdu {
            bytes,
            from: self.server.id,
            len,
        });
        Ok(())
    }

    fn server_rts(&mut self, now: Instant, pdu: Bytes) -> Result<(), Failure> {
        let message = Message::parse(&pdu)?;
        match from_server(self.state, message.kind()) {
            FromServer::C1 => {
                self.client.leg.put(now, pdu);
                self.enter(now, State::Opened, Duration::ZERO);
                self.events.push_back(Event::Opened);
            }
            FromServer::Forward => self.client.leg.put(now, pdu),
            FromServer::A2 => self.out_a2(now, pdu)?,
            FromServer::Ack => self.ack(now, pdu, &message)?,
            FromServer::A9 => {
                self.mark(Item::Finish);
                self.enter(now, State::Flushing, self.config.stall);
            }
            FromServer::B1 => self.out_b1(now),
            FromServer::B2 => self.out_b2(now),
            FromServer::Ignore => {}
            FromServer::Violation => {
                let message = message.kind();
                return Err(Failure::Unexpected {
                    message,
                    at: "from the server",
                });
            }
        }
        Ok(())
    }

    fn ack(&mut self, now: Instant, pdu: Bytes, message: &Message) -> Result<(), Failure> {
        let Message::FlowControlAck { to, ack } = message else {
            return Ok(());
        };
        match to {
            Some(Destination::Client) => {
                self.client.leg.put_ack(now, *to, ack.channel, pdu);
                Ok(())
            }
            None | Some(Destination::OutProxy) => {
                let channels = [Some(&mut self.client), self.successor.as_mut()];
                let found = channels
                    .into_iter()
                    .flatten()
                    .find(|out| out.leg.cookie == ack.channel);
                let Some(out) = found else {
                    return Ok(());
                };
                out.sender
                    .acknowledged(ack)
                    .map_err(|untrue| Failure::Violation(untrue.0))
            }
            _ => Err(Failure::Violation("an acknowledgement for somebody else")),
        }
    }

    /// Puts something behind all PDUs that came so far.
    fn mark(&mut self, item: Item) {
        match self.received.len().saturating_add(self.undecided) {
            0 => self.queue.push_back(item),
            before => self.mark = Some((before, item)),
        }
    }

    fn decided(&mut self) {
        self.undecided = self.undecided.saturating_sub(1);
        if let Some((before, item)) = self.mark.take() {
            match before.saturating_sub(1) {
                0 => self.queue.push_back(item),
                before => self.mark = Some((before, item)),
            }
        }
    }

    /// The server wants another successor. If there is one that is to go on behind what still waits, that is worn out
    /// already, and it is the one that says so to the client.
    fn out_a2(&mut self, now: Instant, pdu: Bytes) -> Result<(), Failure> {
        if self.successor.is_none() {
            self.client.leg.put(now, pdu);
        } else if self.early.replace(pdu).is_some() {
            return Err(Failure::Violation("one channel is to be recycled twice"));
        }
        Ok(())
    }

    /// The successor goes on (section 3.2.4.5.10), when what came so far is with the client.
    fn out_b1(&mut self, now: Instant) {
        self.mark(Item::Switch);
        match self.state {
            State::B1OrC1W => self.enter(now, State::R2C1W, self.config.recycle),
            _ => self.enter(now, State::Opened, Duration::ZERO),
        }
    }

    fn out_b2(&mut self, now: Instant) {
        if let Some(successor) = self.successor.take() {
            let channel = successor.leg.id;
            let code = code::PROTOCOL_ERROR;
            self.events.push_back(Event::Refuse { channel, code });
        }
        self.enter(now, State::Opened, Duration::ZERO);
    }

    fn switch(&mut self, now: Instant) {
        let Some(mut successor) = self.successor.take() else {
            return;
        };
        successor.sender.follow(&self.client.sender);
        if let Some(pdu) = self.early.take() {
            successor.leg.put(now, pdu);
        }
        let whole = successor.whole;
        self.server.former = Some(self.server.cookie);
        self.server.cookie = successor.leg.cookie;
        let mut old = std::mem::replace(&mut self.client, successor);
        old.leg.say(now, &Message::OutR2B3);
        self.events.push_back(Event::Close(old.leg.id));
        self.leaving.retain(|leg| !leg.is_drained());
        self.leaving.push(old.leg);
        if whole {
            self.respond();
        }
    }

    fn finish(&mut self, now: Instant) {
        self.client.leg.say(now, &Message::Ance);
        self.events.push_back(Event::Close(self.client.leg.id));
        self.events.push_back(Event::Close(self.server.id));
        self.end(Ended::HandedOver);
    }

    /// A channel's connection could not be made, was closed or lost.
    pub fn handle_closed(&mut self, now: Instant, channel: ChannelId) {
        let _ = now;
        let is_successor = self
            .successor
            .as_ref()
            .is_some_and(|out| out.leg.id == channel);
        if channel == self.server.id {
            match self.state {
                State::Connecting | State::ConnectingR1 => {
                    self.fail_with(
                        Failure::Lost("the connection to the server"),
                        code::SERVER_UNAVAILABLE,
                    );
                }
                _ => self.fail(Failure::Lost("the server's connection")),
            }
        } else if channel == self.client.leg.id || is_successor {
            self.fail(Failure::Lost("the client's OUT channel"));
        } else if let Some(at) = self.leaving.iter().position(|leg| leg.id == channel)
            && !self.leaving.swap_remove(at).is_drained()
        {
            self.fail(Failure::Lost(
                "an OUT channel that was not written to its end",
            ));
        }
    }

    /// Time has passed.
    pub fn handle_timeout(&mut self, now: Instant) {
        if self.state == State::Finished {
            return;
        }
        if has_come(self.until, now) {
            let code = match self.state {
                State::Connecting | State::ConnectingR1 => code::SERVER_UNAVAILABLE,
                _ => code::CALL_FAILED,
            };
            return self.fail_with(Failure::TimedOut(waits_for(self.state)), code);
        }
        match self
            .client
            .sender
            .patience(now, self.grace(), self.config.stall)
        {
            Patience::Waits => {}
            Patience::Relaxes => self.client.sender.relax(),
            Patience::Ends => return self.fail(Failure::TimedOut("the client's window")),
        }
        if has_come(self.waits(), now) {
            return self.fail(Failure::TimedOut("a connection to take bytes"));
        }
        if has_come(self.ping_at(), now) {
            self.client.leg.last_sent = now;
            let ping = Message::Ping.emit();
            self.own = self.own.saturating_add(narrow(ping.len()));
            self.client.leg.put(now, ping);
        }
        self.pump(now);
    }

    // req: rpch-compat-no-ack
    fn grace(&self) -> Option<Duration> {
        self.config.compatible.then_some(self.config.grace)
    }

    /// A client that does no flow control understands no pings either.
    fn ping_at(&self) -> Option<Instant> {
        let may = self.state == State::Opened
            && self.client.responded
            && self.client.leg.is_drained()
            && !self.client.sender.is_relaxed()
            && (!self.silent || self.client.sender.is_heard());
        let half = self.config.connection_timeout.mul_f32(0.5);
        may.then(|| self.client.leg.last_sent.checked_add(half))
            .flatten()
    }

    fn waits(&self) -> Option<Instant> {
        let successor = self.successor.as_ref().map(|out| &out.leg);
        let legs = [&self.client.leg, &self.server]
            .into_iter()
            .chain(successor)
            .chain(&self.leaving);
        earliest(legs.map(|leg| leg.deadline(self.config.stall)))
    }

    /// The next RPC PDU to be judged. Each must be handed to [`forward`](Self::forward) or [`refuse`](Self::refuse), in
    /// order.
    pub fn poll_pdu(&mut self) -> Option<Pdu> {
        let pdu = self.received.pop_front()?;
        self.undecided = self.undecided.saturating_add(1);
        Some(pdu)
    }

    /// Sends a PDU on its way to the client. Its bytes may have been replaced.
    pub fn forward(&mut self, now: Instant, pdu: Pdu) {
        if self.state != State::Finished {
            self.queue.push_back(Item::Pdu(pdu));
            self.decided();
            self.pump(now);
        }
    }

    /// Drops a PDU.
    pub fn refuse(&mut self, now: Instant, pdu: Pdu) {
        self.receiver.consumed(pdu.len);
        self.decided();
        self.pump(now);
    }

    /// Sends the client a PDU of our own, between two of the server's: a fault, in place of a request that was refused.
    pub fn inject(&mut self, now: Instant, pdu: Bytes) {
        if self.state != State::Finished {
            self.queue.push_back(Item::Own(pdu));
            self.pump(now);
        }
    }

    /// Moves what may go onto the channel to the client.
    fn pump(&mut self, now: Instant) {
        while self.state != State::Finished {
            let len = match self.queue.front() {
                None => break,
                Some(Item::Switch) => {
                    self.queue.pop_front();
                    self.switch(now);
                    continue;
                }
                Some(Item::Finish) => return self.finish(now),
                Some(Item::Pdu(pdu)) => narrow(pdu.bytes.len()),
                Some(Item::Own(bytes)) => narrow(bytes.len()),
            };
            if !self.client.leg.has_room() {
                break;
            }
            if !self.client.sender.fits(len) {
                self.client.sender.stall(now);
                break;
            }
            self.put(now, len);
        }
        self.tell_server(now);
        if self.state != State::Finished && self.client.leg.carried > self.config.lifetime {
            self.fail(Failure::Violation(
                "the server sent beyond the channel's lifetime",
            ));
        }
    }

    fn put(&mut self, now: Instant, len: u32) {
        self.client.sender.sent(len);
        match self.queue.pop_front() {
            Some(Item::Pdu(pdu)) => {
                self.receiver.consumed(pdu.len);
                // The server counts what it sent, not what we made of it.
                self.own = self.own.saturating_add(len.saturating_sub(pdu.len));
                self.client.leg.put(now, pdu.bytes);
            }
            Some(Item::Own(bytes)) => {
                self.own = self.own.saturating_add(len);
                self.client.leg.put(now, bytes);
            }
            _ => {}
        }
    }

    fn tell_server(&mut self, now: Instant) {
        if self.state == State::Finished {
            return;
        }
        if self.receiver.is_due() {
            let ack = self.receiver.acknowledge(self.server.cookie);
            self.server.acknowledge(now, None, ack);
        }
        if self.own > NOTIFY {
            let bytes = std::mem::take(&mut self.own);
            self.server.say(now, &Message::PingTrafficSent { bytes });
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
        let channels = [Some(&self.client), self.successor.as_ref()];
        for out in channels.into_iter().flatten() {
            let channel = out.leg.id;
            let event = match out.responded {
                true => {
                    self.last_words.push((channel, last_words(code)));
                    Event::Close(channel)
                }
                false => Event::Refuse { channel, code },
            };
            self.events.push_back(event);
        }
        self.events.push_back(Event::Close(self.server.id));
        self.leaving.clear();
        self.client.leg.plugged = true;
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
        if let Some(at) = self.last_words.iter().position(|(to, _)| *to == channel) {
            return Some(self.last_words.swap_remove(at).1);
        }
        if channel == self.client.leg.id {
            self.pump(now);
            // A switch may just have made it the old one.
            if channel == self.client.leg.id {
                return self.client.leg.take(now);
            }
        }
        if channel == self.server.id && self.state != State::Finished {
            self.pump(now);
            return self.server.take(now);
        }
        let leg = self.leaving.iter_mut().find(|leg| leg.id == channel)?;
        leg.take(now)
    }

    /// How full it is.
    #[must_use]
    pub fn load(&self) -> Load {
        Load {
            queued: self.receiver.held(),
            window: self.client.sender.available(),
            stalled: self.client.sender.is_stalled(),
        }
    }

    /// Whether a channel should be read from.
    #[must_use]
    pub fn is_readable(&self, channel: ChannelId) -> bool {
        channel != self.server.id || self.receiver.has_room()
    }

    /// When [`handle_timeout`](Self::handle_timeout) is to be called. Later hurts, earlier does not.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        if self.state == State::Finished {
            return None;
        }
        earliest([
            self.until,
            self.client.sender.deadline(self.grace(), self.config.stall),
            self.waits(),
            self.ping_at(),
        ])
    }

    /// What there is to be told.
    pub fn poll_event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }
}

impl OutChannel {
    fn new(id: ChannelId, cookie: Cookie, window: u32, now: Instant) -> Self {
        let mut leg = Leg::new(id, cookie, Splitter::new(), now);
        leg.plugged = true;
        Self {
            leg,
            sender: Sender::new(window),
            responded: false,
            whole: false,
        }
    }
}

/// What a first PDU leads to.
struct Words {
    state: State,
    cookie: Cookie,
    /// The client's receive window.
    window: u32,
    /// What the server is told first.
    server: Message,
}

fn words(config: &ProxyConfig, first: &First) -> Result<Words, Failure> {
    let (own, lifetime) = (config.window, config.lifetime);
    match first.message {
        Message::ConnA1 {
            virtual_connection,
            out_channel,
            window,
        } => Ok(Words {
            state: State::Connecting,
            cookie: out_channel,
            window,
            server: Message::ConnA2 {
                virtual_connection,
                out_channel,
                lifetime,
                window: own,
            },
        }),
        Message::OutA3 { succession, window } => Ok(Words {
            state: State::ConnectingR1,
            cookie: succession.successor,
            window,
            server: Message::OutR1A4 {
                succession,
                lifetime,
                window: own,
                timeout: millis(config.connection_timeout),
            },
        }),
        _ => Err(unexpected(first)),
    }
}

fn unexpected(first: &First) -> Failure {
    Failure::Unexpected {
        message: first.message.kind(),
        at: "first on an OUT channel",
    }
}

/// What a client hears in the middle of a successful response, where a PDU would begin: Windows says it so, and clients look for it there.
// req: rpch-2.1.2.1.3-amid
fn last_words(code: u32) -> Bytes {
    Bytes::from(response::error(&RpcError::new(code)))
}
