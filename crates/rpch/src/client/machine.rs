//! The client's half of a virtual connection.

use crate::channel::{ChannelId, Leg, earliest, has_come};
use crate::client::event::Event;
use crate::client::table::{In, Open, Out, Rule, State, rule, waits_for};
use crate::config::{ClientConfig, threshold};
use crate::direction::Direction;
use crate::failure::{Failure, SendError};
use crate::flow::{Patience, Receiver, Sender};
use crate::frame::{Frame, Splitter};
use crate::http::StatusLine;
use crate::http::request::{OUT_NEW, OUT_SUCCESSOR};
use crate::http::response::RpcError;
use crate::number::{millis, narrow};
use crate::rts::command::MIN_WINDOW;
use crate::rts::message::Succession;
use crate::rts::{Cookie, Destination, Message};
use bytes::Bytes;
use farcall_dce::seed::Seed;
use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// Bytes of an IN channel's life that are kept for RTS PDUs: no RPC PDU takes them.
const RESERVE: u32 = 4 << 10;
/// The last of these are kept for the PDUs that recycle.
const LAST: u32 = 256;

/// The client's half of a virtual connection.
#[derive(Debug)]
pub struct Client {
    config: ClientConfig,
    seed: Seed,
    drawn: u64,
    channels: u32,
    state: State,
    virtual_connection: Cookie,
    /// The default IN channel, and its window at the proxy.
    input: Leg,
    sender: Sender,
    window: u32,
    in_successor: Option<Leg>,
    /// IN channels that have said their last PDU, until when they may stay.
    leaving: Vec<(Leg, Option<Instant>)>,
    /// The default OUT channel.
    output: OutChannel,
    out_successor: Option<OutChannel>,
    splitter: Splitter,
    queue: VecDeque<Bytes>,
    queued: usize,
    received: VecDeque<(ChannelId, Bytes)>,
    /// Bytes of these, of whichever channel.
    undelivered: u32,
    events: VecDeque<Event>,
    ping: Duration,
    /// When opening, or recycling a channel, will have taken too long.
    setup_until: Option<Instant>,
    in_until: Option<Instant>,
    out_until: Option<Instant>,
}

#[derive(Debug)]
struct OutChannel {
    leg: Leg,
    receiver: Receiver,
    responded: bool,
    /// What came before the channel is the default one.
    early: Vec<Bytes>,
}

impl Client {
    /// Begins to open a virtual connection: two [`Event::Open`] follow, and [`Event::Opened`] or [`Event::Failed`].
    ///
    /// `seed` must be secret and new: the connection's cookies are drawn from it.
    #[must_use]
    pub fn new(config: ClientConfig, now: Instant, seed: &Seed) -> Self {
        let [vc, group, input, output] = [0, 1, 2, 3].map(|index| Cookie::draw(seed, index));
        let group = config.group.unwrap_or(group);
        let output = OutChannel::new(ChannelId(1), output, config.window, now);
        let mut client = Self {
            seed: seed.clone(),
            drawn: 4,
            channels: 2,
            state: State {
                open: Open::OutChannelWait,
                input: In::Opened,
                output: Out::Opened,
            },
            virtual_connection: vc,
            input: Leg::new(ChannelId(0), input, Splitter::new(), now),
            sender: Sender::new(MIN_WINDOW),
            window: MIN_WINDOW,
            in_successor: None,
            leaving: Vec::new(),
            output,
            out_successor: None,
            splitter: Splitter::new(),
            queue: VecDeque::new(),
            queued: 0,
            received: VecDeque::new(),
            undelivered: 0,
            events: VecDeque::new(),
            ping: config.ping.unwrap_or(Duration::from_secs(60)),
            setup_until: now.checked_add(config.setup),
            in_until: None,
            out_until: None,
            config,
        };
        client.open(now, group);
        client
    }

    /// The two requests and what they begin with (section 3.2.2.4.1.2).
    fn open(&mut self, now: Instant, group: Cookie) {
        self.ask(
            self.input.id,
            Direction::In,
            u64::from(self.config.lifetime),
        );
        self.ask(self.output.leg.id, Direction::Out, OUT_NEW);
        let b1 = Message::ConnB1 {
            virtual_connection: self.virtual_connection,
            in_channel: self.input.cookie,
            lifetime: self.config.lifetime,
            keepalive: millis(self.config.keepalive),
            group,
        };
        let a1 = Message::ConnA1 {
            virtual_connection: self.virtual_connection,
            out_channel: self.output.leg.cookie,
            window: self.config.window,
        };
        self.input.say(now, &b1);
        self.output.leg.say(now, &a1);
    }

    fn ask(&mut self, channel: ChannelId, direction: Direction, content_length: u64) {
        self.events.push_back(Event::Open {
            channel,
            direction,
            content_length,
        });
    }

    /// A response's head came for a channel, with this status and reason phrase.
    pub fn handle_response(&mut self, now: Instant, channel: ChannelId, status: u16, reason: &str) {
        let is_successor = self
            .out_successor
            .as_ref()
            .is_some_and(|out| out.leg.id == channel);
        let is_out = channel == self.output.leg.id || is_successor;
        if status != 200 || !is_out {
            if self.is_known(channel) {
                let error = RpcError::parse(reason).map(|error| error.code);
                self.fail(Failure::Refused { status, error });
            }
            return;
        }
        let successor = self.out_successor.as_mut().filter(|_| is_successor);
        let out = successor.unwrap_or(&mut self.output);
        if std::mem::replace(&mut out.responded, true) {
            return self.fail(Failure::Violation("a second response to one request"));
        }
        if self.state.open == Open::OutChannelWait {
            self.state.open = Open::WaitA3;
        }
        let _ = now;
    }

    /// Bytes of the body of an OUT channel's response.
    pub fn handle_bytes(&mut self, now: Instant, channel: ChannelId, bytes: Bytes) {
        if let Some(out) = &mut self.out_successor
            && out.leg.id == channel
        {
            out.early.push(bytes);
            return;
        }
        if let Err(failure) = self.read(now, channel, bytes) {
            self.fail(failure);
        }
        self.pump(now);
    }

    fn read(&mut self, now: Instant, channel: ChannelId, mut bytes: Bytes) -> Result<(), Failure> {
        while self.output.leg.id == channel && self.state.open != Open::Closed {
            let Some(frame) = self.output.leg.next(&mut bytes)? else {
                return Ok(());
            };
            match frame {
                Frame::Rpc(pdu) => self.rpc(pdu)?,
                Frame::Rts(pdu) => self.rts(now, &Message::parse(&pdu)?)?,
                Frame::Line(line) => return Err(refusal(&line)),
                Frame::Banner => return Err(Failure::Violation("a banner from the proxy")),
            }
        }
        Ok(())
    }

    fn rpc(&mut self, pdu: Bytes) -> Result<(), Failure> {
        if self.state.open != Open::Opened {
            return Err(Failure::Violation("a call's PDU before CONN/C2"));
        }
        self.output.receiver.arrived(narrow(pdu.len()));
        self.undelivered = self.undelivered.saturating_add(narrow(pdu.len()));
        self.received.push_back((self.output.leg.id, pdu));
        Ok(())
    }

    fn rts(&mut self, now: Instant, message: &Message) -> Result<(), Failure> {
        match rule(self.state, message.kind()) {
            Rule::A3 => self.a3(message),
            Rule::C2 => self.c2(message),
            Rule::InA4 => self.in_a4(now, message),
            Rule::OutA2 => self.out_a2(now),
            Rule::OutR1A6 => self.out_r1_a6(now),
            Rule::OutR2A6 => self.out_r2_a6(now),
            Rule::OutR1A10 => self.out_switch(now, true)?,
            Rule::OutR2B3 => self.out_switch(now, false)?,
            Rule::Ack => self.ack(message)?,
            Rule::Ignore => {}
            Rule::Violation => {
                return Err(Failure::Unexpected {
                    message: message.kind(),
                    at: waits_for(self.state),
                });
            }
        }
        Ok(())
    }

    fn a3(&mut self, message: &Message) {
        if let Message::ConnA3 { timeout } = *message {
            self.pings(timeout);
        }
        self.state.open = Open::WaitC2;
    }

    fn c2(&mut self, message: &Message) {
        if let Message::ConnC { window, timeout } = *message {
            self.window = window;
            self.sender = Sender::new(window);
            self.pings(timeout);
        }
        self.state.open = Open::Opened;
        self.setup_until = None;
        self.events.push_back(Event::Opened);
    }

    /// Half of a connection timeout is the interval of pings.
    fn pings(&mut self, timeout: u32) {
        let half = Duration::from_millis(u64::from(timeout / 2));
        self.ping = self.config.ping.map_or(half, |ping| ping.min(half));
    }

    /// The successor of the IN channel stands (section 3.2.2.5.5). What waits for the window goes the new way; what was
    /// put on the old channel goes first.
    fn in_a4(&mut self, now: Instant, message: &Message) {
        let Some(successor) = self.in_successor.take() else {
            return;
        };
        if let Message::InR1A4 { window, timeout } = *message {
            self.window = window;
            self.pings(timeout);
        }
        self.sender = Sender::new(self.window);
        let mut old = std::mem::replace(&mut self.input, successor);
        old.say(now, &Message::Successor(self.input.cookie));
        self.input.plugged = true;
        self.leaving
            .push((old, now.checked_add(self.config.recycle)));
        self.state.input = In::Opened;
        self.in_until = None;
    }

    fn out_a2(&mut self, now: Instant) {
        let (id, cookie) = (self.channel(), self.cookie());
        self.ask(id, Direction::Out, OUT_SUCCESSOR);
        let mut out = OutChannel::new(id, cookie, self.config.window, now);
        let a3 = Message::OutA3 {
            succession: Succession {
                virtual_connection: self.virtual_connection,
                predecessor: self.output.leg.cookie,
                successor: cookie,
            },
            window: self.config.window,
        };
        out.leg.say(now, &a3);
        self.out_successor = Some(out);
        self.state.output = Out::OpenedA6W;
        self.out_until = now.checked_add(self.config.recycle);
    }

    fn out_r1_a6(&mut self, now: Instant) {
        if let Some(out) = &self.out_successor {
            self.input.say(now, &Message::OutA8(out.leg.cookie));
        }
        self.state.output = Out::OpenedA10W;
    }

    fn out_r2_a6(&mut self, now: Instant) {
        if let Some(out) = &mut self.out_successor {
            self.input.say(now, &Message::OutR2A7(out.leg.cookie));
            out.leg.say(now, &Message::OutR2C1(None));
        }
        self.state.output = Out::B3W;
    }

    /// The successor of the OUT channel takes over. `tell`: it does not know yet (OUT_R1).
    fn out_switch(&mut self, now: Instant, tell: bool) -> Result<(), Failure> {
        let Some(mut successor) = self.out_successor.take() else {
            return Ok(());
        };
        if tell {
            successor.leg.say(now, &Message::Ance);
        }
        let early = std::mem::take(&mut successor.early);
        let old = std::mem::replace(&mut self.output, successor);
        self.events.push_back(Event::Close(old.leg.id));
        self.state.output = Out::Opened;
        self.out_until = None;
        let id = self.output.leg.id;
        early
            .into_iter()
            .try_for_each(|bytes| self.read(now, id, bytes))
    }

    fn ack(&mut self, message: &Message) -> Result<(), Failure> {
        let Message::FlowControlAck {
            to: None | Some(Destination::Client),
            ack,
        } = message
        else {
            return Err(Failure::Violation("an acknowledgement for somebody else"));
        };
        if !self.input.is_named(ack.channel) {
            return Ok(());
        }
        self.sender
            .acknowledged(ack)
            .map_err(|untrue| Failure::Violation(untrue.0))
    }

    /// A channel's connection could not be made, was closed or lost.
    pub fn handle_closed(&mut self, now: Instant, channel: ChannelId) {
        let _ = now;
        let leaving = self.leaving.iter().position(|(leg, _)| leg.id == channel);
        if let Some(at) = leaving {
            let (leg, _) = self.leaving.swap_remove(at);
            if leg.is_drained() {
                return;
            }
            return self.fail(Failure::Lost(
                "an IN channel that was not written to its end",
            ));
        }
        if channel == self.input.id || self.in_successor.as_ref().is_some_and(|l| l.id == channel) {
            self.fail(Failure::Lost("an IN channel"));
        } else if self.is_known(channel) {
            self.fail(Failure::Lost("an OUT channel"));
        }
    }

    /// Time has passed.
    pub fn handle_timeout(&mut self, now: Instant) {
        if self.state.open == Open::Closed {
            return;
        }
        for (at, what) in [
            (self.setup_until, "the virtual connection to open"),
            (self.in_until, "an IN channel's successor"),
            (self.out_until, "an OUT channel's successor"),
            (self.waits(), "a connection to take bytes"),
        ] {
            if has_come(at, now) {
                return self.fail(Failure::TimedOut(what));
            }
        }
        if self.sender.patience(now, None, self.config.stall) != Patience::Waits {
            return self.fail(Failure::TimedOut("the inbound proxy's window"));
        }
        let events = &mut self.events;
        self.leaving.retain(|(leg, until)| {
            let is_over = has_come(*until, now);
            if is_over {
                events.push_back(Event::Close(leg.id));
            }
            !is_over
        });
        if has_come(self.ping_at(), now) {
            self.input.last_sent = now;
            self.input.say(now, &Message::Ping);
        }
        self.pump(now);
    }

    fn ping_at(&self) -> Option<Instant> {
        let may = self.state.open == Open::Opened
            && self.input.is_drained()
            && self.input.left(self.config.lifetime) > LAST;
        may.then(|| self.input.last_sent.checked_add(self.ping))
            .flatten()
    }

    /// When bytes will have waited too long in a channel.
    fn waits(&self) -> Option<Instant> {
        let limit = self.config.stall;
        let successors = [
            self.in_successor.as_ref(),
            self.out_successor.as_ref().map(|o| &o.leg),
        ];
        let legs = [&self.input, &self.output.leg].into_iter();
        let legs = legs.chain(successors.into_iter().flatten());
        let legs = legs.chain(self.leaving.iter().map(|(leg, _)| leg));
        earliest(legs.map(|leg| leg.deadline(limit)))
    }

    /// Sends RPC PDUs, cut anywhere: a PDU goes as soon as it is whole.
    ///
    /// # Errors
    /// [`SendError`].
    pub fn send(&mut self, now: Instant, mut bytes: Bytes) -> Result<(), SendError> {
        if self.state.open != Open::Opened {
            return Err(SendError::NotOpen);
        }
        if self.queued > self.config.queued {
            return Err(SendError::Queued {
                limit: self.config.queued,
            });
        }
        while let Some(frame) = self.splitter.next(&mut bytes).map_err(SendError::NoPdu)? {
            let Frame::Rpc(pdu) = frame else {
                return Err(SendError::NoPdu(Failure::Violation(
                    "an RTS PDU of a higher layer",
                )));
            };
            self.queued = self.queued.saturating_add(pdu.len());
            self.queue.push_back(pdu);
        }
        self.pump(now);
        Ok(())
    }

    /// Moves what may go onto the IN channel.
    fn pump(&mut self, now: Instant) {
        if self.state.open != Open::Opened {
            return;
        }
        self.acknowledge(now);
        let lifetime = self.config.lifetime;
        let mut worn = self.input.left(lifetime) <= threshold(self.config.recycle_at, lifetime);
        while let Some(len) = self.queue.front().map(|pdu| narrow(pdu.len())) {
            if !self.input.has_room() {
                break;
            }
            if self.input.left(lifetime) < len.saturating_add(RESERVE) {
                worn = true;
                break;
            }
            if !self.sender.fits(len) {
                self.sender.stall(now);
                break;
            }
            if let Some(pdu) = self.queue.pop_front() {
                self.queued = self.queued.saturating_sub(pdu.len());
                self.sender.sent(len);
                self.input.put(now, pdu);
            }
        }
        if worn && self.state.input == In::Opened {
            self.recycle(now);
        }
    }

    fn acknowledge(&mut self, now: Instant) {
        let may = self.input.left(self.config.lifetime) > LAST;
        if may && self.output.receiver.is_due() {
            let ack = self.output.receiver.acknowledge(self.output.leg.cookie);
            let to = Some(Destination::OutProxy);
            self.input.acknowledge(now, to, ack);
        }
    }

    /// Begins to recycle the IN channel (section 3.2.2.5.12).
    fn recycle(&mut self, now: Instant) {
        let (id, cookie) = (self.channel(), self.cookie());
        self.ask(id, Direction::In, u64::from(self.config.lifetime));
        let mut leg = Leg::new(id, cookie, Splitter::new(), now);
        let a1 = Message::InA1(Succession {
            virtual_connection: self.virtual_connection,
            predecessor: self.input.cookie,
            successor: cookie,
        });
        leg.say(now, &a1);
        self.in_successor = Some(leg);
        self.state.input = In::OpenedA4W;
        self.in_until = now.checked_add(self.config.recycle);
    }

    /// Bytes of PDUs that wait, flow control included.
    #[must_use]
    pub fn queued(&self) -> usize {
        self.queued
    }

    /// Whether everything that was sent is with the driver.
    #[must_use]
    pub fn is_drained(&self) -> bool {
        let leaving = self.leaving.iter().map(|(leg, _)| leg);
        let mut ins = [&self.input].into_iter().chain(leaving);
        self.queued == 0 && ins.all(Leg::is_drained)
    }

    /// Tells the inbound proxy how often it should look whether the server is still there. At least a minute.
    pub fn keep_alive(&mut self, now: Instant, interval: Duration) {
        if self.state.open == Open::Opened && self.input.left(self.config.lifetime) > LAST {
            let interval = millis(interval).max(60_000);
            self.input.say(now, &Message::KeepAlive { interval });
        }
    }

    /// Ends the virtual connection: [`Event::Close`] for each channel follows, then [`Event::Failed`].
    pub fn close(&mut self, now: Instant) {
        let _ = now;
        self.fail(Failure::Closed);
    }

    fn fail(&mut self, failure: Failure) {
        if self.state.open == Open::Closed {
            return;
        }
        self.state.open = Open::Closed;
        let successors = [
            self.in_successor.as_ref(),
            self.out_successor.as_ref().map(|o| &o.leg),
        ];
        let legs = [&self.input, &self.output.leg].into_iter();
        let legs = legs.chain(successors.into_iter().flatten());
        let legs = legs.chain(self.leaving.iter().map(|(leg, _)| leg));
        self.events.extend(legs.map(|leg| Event::Close(leg.id)));
        self.events.push_back(Event::Failed(failure));
        self.queue.clear();
        self.queued = 0;
    }

    fn is_known(&self, channel: ChannelId) -> bool {
        let successors = [
            self.in_successor.as_ref(),
            self.out_successor.as_ref().map(|o| &o.leg),
        ];
        let mut legs = [&self.input, &self.output.leg]
            .into_iter()
            .chain(successors.into_iter().flatten());
        legs.any(|leg| leg.id == channel)
    }

    /// The next RPC PDU for the association. Taking it consumes it.
    pub fn poll_pdu(&mut self) -> Option<Bytes> {
        let (channel, pdu) = self.received.pop_front()?;
        self.undelivered = self.undelivered.saturating_sub(narrow(pdu.len()));
        if channel == self.output.leg.id {
            self.output.receiver.consumed(narrow(pdu.len()));
        }
        Some(pdu)
    }

    /// The next bytes to transmit on a channel.
    pub fn poll_transmit(&mut self, now: Instant, channel: ChannelId) -> Option<Bytes> {
        if self.state.open == Open::Closed {
            return None;
        }
        if channel == self.input.id {
            self.pump(now);
            return self.input.take(now);
        }
        if channel == self.output.leg.id {
            return self.output.leg.take(now);
        }
        if let Some(leg) = self.in_successor.as_mut().filter(|leg| leg.id == channel) {
            return leg.take(now);
        }
        if let Some(out) = self
            .out_successor
            .as_mut()
            .filter(|out| out.leg.id == channel)
        {
            return out.leg.take(now);
        }
        let (leg, _) = self.leaving.iter_mut().find(|(leg, _)| leg.id == channel)?;
        let bytes = leg.take(now);
        self.input.plugged = self.leaving.iter().any(|(leg, _)| !leg.is_drained());
        bytes
    }

    /// Whether a channel should be read from.
    #[must_use]
    pub fn is_readable(&self, channel: ChannelId) -> bool {
        match &self.out_successor {
            Some(out) if out.leg.id == channel => out.early.is_empty(),
            _ if channel != self.output.leg.id => true,
            _ => {
                let receiver = &self.output.receiver;
                receiver.has_room() && self.undelivered <= receiver.limit()
            }
        }
    }

    /// When [`handle_timeout`](Self::handle_timeout) is to be called. Later hurts, earlier does not.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        if self.state.open == Open::Closed {
            return None;
        }
        let leaving = self.leaving.iter().map(|(_, until)| *until);
        let own = [
            self.setup_until,
            self.in_until,
            self.out_until,
            self.waits(),
            self.sender.deadline(None, self.config.stall),
            self.ping_at(),
        ];
        earliest(own.into_iter().chain(leaving))
    }

    /// What there is to be told.
    pub fn poll_event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    fn channel(&mut self) -> ChannelId {
        let id = ChannelId(self.channels);
        self.channels = self.channels.wrapping_add(1);
        id
    }

    fn cookie(&mut self) -> Cookie {
        let cookie = Cookie::draw(&self.seed, self.drawn);
        self.drawn = self.drawn.wrapping_add(1);
        cookie
    }
}

impl OutChannel {
    fn new(id: ChannelId, cookie: Cookie, window: u32, now: Instant) -> Self {
        Self {
            leg: Leg::new(id, cookie, Splitter::new().with_lines(), now),
            receiver: Receiver::new(window),
            responded: false,
            early: Vec::new(),
        }
    }
}

/// What a status line in the middle of a body says.
fn refusal(line: &[u8]) -> Failure {
    let line = StatusLine::parse(line);
    let error = line
        .as_ref()
        .and_then(StatusLine::error)
        .map(|error| error.code);
    Failure::Refused {
        status: line.map_or(0, |line| line.status),
        error,
    }
}
