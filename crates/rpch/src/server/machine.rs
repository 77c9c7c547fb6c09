//! The server's half of a virtual connection.

use crate::channel::{ChannelId, Leg, earliest, flooded, has_come};
use crate::config::{ServerConfig, threshold};
use crate::failure::{Failure, SendError};
use crate::flow::{Patience, Receiver, Sender};
use crate::frame::{Frame, Splitter};
use crate::number::narrow;
use crate::opening::First;
use crate::rts::command::MIN_LIFETIME;
use crate::rts::{Cookie, Destination, FlowControlAck, Message};
use crate::server::event::Event;
use crate::server::table::{In, OnIn, OnOut, Open, Out, on_in, on_out};
use bytes::Bytes;
use farcall_dce::seed::Seed;
use std::collections::VecDeque;
use std::net::{IpAddr, Ipv4Addr};
use std::time::Instant;

/// Bytes of an OUT channel's life that are kept for RTS PDUs: no RPC PDU takes them.
const RESERVE: u32 = 4 << 10;
/// The last of these are kept for the PDUs that recycle, and for those of the proxy.
const LAST: u32 = 1280;
/// Most bytes that one PingTrafficSentNotify is believed to tell of (Windows: 8 KiB).
const PINGS: u32 = 8 << 10;

/// The server's half of a virtual connection.
#[derive(Debug)]
pub struct Server {
    config: ServerConfig,
    channels: u32,
    open: Open,
    input: In,
    output: Out,
    virtual_connection: Cookie,
    in_leg: Option<InLeg>,
    in_successor: Option<InLeg>,
    out_leg: Option<OutLeg>,
    out_successor: Option<OutLeg>,
    /// OUT connections that are still written to their end, until when they may stay.
    leaving: Vec<(OutLeg, Option<Instant>)>,
    /// The cookie of OUT_R2's successor.
    next_cookie: Option<Cookie>,
    /// What CONN/B2 said.
    in_window: u32,
    in_timeout: u32,
    group: Cookie,
    client: IpAddr,
    splitter: Splitter,
    queue: VecDeque<Bytes>,
    queued: usize,
    /// Acknowledgements to the client that do not fit the channel's life; the newest for each channel.
    held: Vec<(Cookie, Bytes)>,
    received: VecDeque<(ChannelId, Bytes)>,
    /// Bytes of these, of whichever channel.
    undelivered: u32,
    events: VecDeque<Event>,
    /// The OUT connection whose last PDU, OUT_R2/B2, goes although it is over.
    refused: Option<ChannelId>,
    setup_until: Option<Instant>,
    in_until: Option<Instant>,
    out_until: Option<Instant>,
}

#[derive(Debug)]
struct InLeg {
    leg: Leg,
    receiver: Receiver,
}

#[derive(Debug)]
struct OutLeg {
    leg: Leg,
    sender: Sender,
    lifetime: u32,
}

impl Server {
    /// Begins with the first PDU of a connection, [`ChannelId::FIRST`], of a virtual connection that this server does not
    /// know.
    ///
    /// # Errors
    /// [`Failure::Unexpected`]: `first` establishes nothing, or is another role's.
    pub fn new(
        config: ServerConfig,
        now: Instant,
        seed: &Seed,
        first: &First,
    ) -> Result<Self, Failure> {
        let _ = seed;
        let open = match first.message {
            Message::ConnA2 { .. } => Open::B2W,
            Message::ConnB2 { .. } => Open::A2W,
            _ => return Err(unexpected(first)),
        };
        let mut server = Self {
            channels: 0,
            open,
            input: In::Opened,
            output: Out::Opened,
            virtual_connection: first.virtual_connection(),
            in_leg: None,
            in_successor: None,
            out_leg: None,
            out_successor: None,
            leaving: Vec::new(),
            next_cookie: None,
            in_window: 0,
            in_timeout: 0,
            group: Cookie([0; 16]),
            client: IpAddr::V4(Ipv4Addr::UNSPECIFIED),
            splitter: Splitter::new(),
            queue: VecDeque::new(),
            queued: 0,
            held: Vec::new(),
            received: VecDeque::new(),
            undelivered: 0,
            events: VecDeque::new(),
            refused: None,
            setup_until: now.checked_add(config.setup),
            in_until: None,
            out_until: None,
            config,
        };
        server.half(now, first);
        Ok(server)
    }

    /// Attaches another connection: the other half, or one that recycles a channel.
    ///
    /// # Errors
    /// [`Failure`]: close the newcomer; nothing has changed here.
    // req: rpch-3.2.5.5-attach
    pub fn attach(&mut self, now: Instant, first: &First) -> Result<ChannelId, Failure> {
        if first.virtual_connection() != self.virtual_connection {
            return Err(Failure::Violation(
                "the virtual connection's cookie is another",
            ));
        }
        match (self.open, first.message) {
            (Open::A2W, Message::ConnA2 { .. }) | (Open::B2W, Message::ConnB2 { .. }) => {
                let id = self.half(now, first);
                self.opened(now);
                Ok(id)
            }
            (Open::Opened, Message::InR1A2 { .. }) if self.input == In::Opened => {
                self.in_r1_a2(now, first)
            }
            (Open::Opened, Message::OutR1A4 { .. }) if self.output == Out::OpenedA4W => {
                self.out_r1_a4(now, first)
            }
            _ => Err(unexpected(first)),
        }
    }

    /// One half of a virtual connection.
    fn half(&mut self, now: Instant, first: &First) -> ChannelId {
        let id = self.channel();
        match first.message {
            Message::ConnA2 {
                out_channel,
                lifetime,
                window,
                ..
            } => {
                self.out_leg = Some(OutLeg::new(id, out_channel, window, lifetime, now));
            }
            Message::ConnB2 {
                in_channel,
                window,
                timeout,
                group,
                client,
                ..
            } => {
                self.in_leg = Some(InLeg::new(id, in_channel, self.config.window, now));
                (self.in_window, self.in_timeout) = (window, timeout);
                (self.group, self.client) = (group, client);
            }
            _ => {}
        }
        id
    }

    fn opened(&mut self, now: Instant) {
        let (Some(input), Some(output)) = (&mut self.in_leg, &mut self.out_leg) else {
            return;
        };
        let (window, timeout) = (self.in_window, self.in_timeout);
        output.leg.say(now, &Message::ConnC { window, timeout });
        let window = self.config.window;
        input.leg.say(now, &Message::ConnB3 { window });
        self.open = Open::Opened;
        self.setup_until = None;
        let (client, group) = (self.client, self.group);
        self.events.push_back(Event::Opened { client, group });
    }

    fn in_r1_a2(&mut self, now: Instant, first: &First) -> Result<ChannelId, Failure> {
        let Message::InR1A2 {
            succession,
            window,
            timeout,
        } = first.message
        else {
            return Err(unexpected(first));
        };
        let known = self.in_leg.as_ref().map(|input| input.leg.cookie);
        if known != Some(succession.predecessor) {
            return Err(Failure::Violation("the predecessor's cookie is another"));
        }
        let id = self.channel();
        self.in_successor = Some(InLeg::new(
            id,
            succession.successor,
            self.config.window,
            now,
        ));
        (self.in_window, self.in_timeout) = (window, timeout);
        self.say_out(now, &Message::InR1A4 { window, timeout });
        self.input = In::A6W;
        self.in_until = now.checked_add(self.config.recycle);
        Ok(id)
    }

    fn out_r1_a4(&mut self, now: Instant, first: &First) -> Result<ChannelId, Failure> {
        let Message::OutR1A4 {
            succession,
            lifetime,
            window,
            timeout,
        } = first.message
        else {
            return Err(unexpected(first));
        };
        let known = self.out_leg.as_ref().map(|output| output.leg.cookie);
        if known != Some(succession.predecessor) {
            return Err(Failure::Violation("the predecessor's cookie is another"));
        }
        let id = self.channel();
        self.out_successor = Some(OutLeg::new(id, succession.successor, window, lifetime, now));
        self.say_out(now, &Message::OutR1A6 { timeout });
        self.output = Out::OpenedA8W;
        Ok(id)
    }

    fn say_out(&mut self, now: Instant, message: &Message) {
        if let Some(output) = &mut self.out_leg {
            output.leg.say(now, message);
        }
    }

    /// Bytes came on a connection.
    pub fn handle_bytes(&mut self, now: Instant, channel: ChannelId, bytes: Bytes) {
        let read = self.read(now, channel, bytes);
        if let Err(failure) = read.and_then(|()| flooded(self.legs())) {
            self.fail(failure);
        }
        self.pump(now);
    }

    /// All connections that are here.
    fn legs(&self) -> impl Iterator<Item = &Leg> {
        let ins = [&self.in_leg, &self.in_successor].into_iter().flatten();
        let outs = [&self.out_leg, &self.out_successor].into_iter().flatten();
        let outs = outs.chain(self.leaving.iter().map(|(out, _)| out));
        ins.map(|input| &input.leg).chain(outs.map(|out| &out.leg))
    }

    fn read(&mut self, now: Instant, channel: ChannelId, mut bytes: Bytes) -> Result<(), Failure> {
        while self.open != Open::Closed {
            let Some(leg) = self.leg(channel) else {
                return Ok(());
            };
            match leg.next(&mut bytes)? {
                None => return Ok(()),
                Some(Frame::Rts(pdu)) => self.rts(now, channel, pdu)?,
                Some(Frame::Rpc(pdu)) => self.rpc(channel, pdu)?,
                Some(_) => return Err(Failure::Violation("a proxy's stream of PDUs is broken")),
            }
        }
        Ok(())
    }

    fn leg(&mut self, channel: ChannelId) -> Option<&mut Leg> {
        let leaving = self.leaving.iter_mut().map(|(out, _)| &mut out.leg);
        let ins = [&mut self.in_leg, &mut self.in_successor]
            .into_iter()
            .flatten();
        let outs = [&mut self.out_leg, &mut self.out_successor]
            .into_iter()
            .flatten();
        let mut legs = ins
            .map(|i| &mut i.leg)
            .chain(outs.map(|o| &mut o.leg))
            .chain(leaving);
        legs.find(|leg| leg.id == channel)
    }

    fn is_in(&self, channel: ChannelId) -> bool {
        self.in_leg
            .as_ref()
            .is_some_and(|input| input.leg.id == channel)
    }

    fn is_out(&self, channel: ChannelId) -> bool {
        self.out_leg
            .as_ref()
            .is_some_and(|output| output.leg.id == channel)
    }

    fn rpc(&mut self, channel: ChannelId, pdu: Bytes) -> Result<(), Failure> {
        if self.open != Open::Opened || !self.is_in(channel) {
            return Err(Failure::Violation("a call's PDU where none may come"));
        }
        if let Some(input) = &mut self.in_leg {
            input.receiver.arrived(narrow(pdu.len()));
        }
        self.undelivered = self.undelivered.saturating_add(narrow(pdu.len()));
        self.received.push_back((channel, pdu));
        Ok(())
    }

    fn rts(&mut self, now: Instant, channel: ChannelId, pdu: Bytes) -> Result<(), Failure> {
        let message = Message::parse(&pdu)?;
        if self.is_in(channel) {
            return self.rts_in(now, pdu, &message);
        }
        if self.is_out(channel) {
            return self.rts_out(now, &message);
        }
        let in_successor = self
            .in_successor
            .as_ref()
            .is_some_and(|i| i.leg.id == channel);
        match message {
            Message::Ping => Ok(()),
            Message::PingTrafficSent { .. } if !in_successor => Ok(()),
            // What the client says through a successor that is still plugged.
            Message::FlowControlAck { .. } | Message::OutA8(_) | Message::OutR2A7(_)
                if in_successor =>
            {
                self.rts_in(now, pdu, &message)
            }
            Message::FlowControlAck { to: None, ack } => self.out_ack(now, &ack, None),
            _ => Err(Failure::Unexpected {
                message: message.kind(),
                at: "on a connection that is not the default one",
            }),
        }
    }

    fn rts_in(&mut self, now: Instant, pdu: Bytes, message: &Message) -> Result<(), Failure> {
        match (
            on_in(self.open, self.input, self.output, message.kind()),
            *message,
        ) {
            (OnIn::Ack, Message::FlowControlAck { to, ack }) => self.in_ack(now, pdu, to, &ack),
            (OnIn::OutR1A8, Message::OutA8(cookie)) => self.out_r1_a8(now, cookie),
            (OnIn::OutR2A8, Message::OutA8(cookie) | Message::OutR2A7(cookie)) => {
                self.out_r2_a8(now, cookie)
            }
            (OnIn::R1A6, Message::Successor(cookie)) => self.in_r1_a6(now, cookie),
            (OnIn::R1B1, _) => {
                self.in_r1_b1(now);
                Ok(())
            }
            (OnIn::R2A2, Message::Successor(cookie)) => {
                self.in_r2_a2(now, cookie);
                Ok(())
            }
            (OnIn::Ignore, _) => Ok(()),
            _ => Err(Failure::Unexpected {
                message: message.kind(),
                at: "from the inbound proxy",
            }),
        }
    }

    fn rts_out(&mut self, now: Instant, message: &Message) -> Result<(), Failure> {
        match (on_out(self.open, self.output, message.kind()), *message) {
            (OnOut::Ack, Message::FlowControlAck { to: None, ack }) => {
                self.out_ack(now, &ack, None)
            }
            (OnOut::PingTrafficSent, Message::PingTrafficSent { bytes }) => {
                if let Some(output) = &mut self.out_leg {
                    let bytes = bytes.min(PINGS);
                    output.leg.carried = output.leg.carried.saturating_add(bytes);
                }
                Ok(())
            }
            (OnOut::R2A4, Message::Successor(cookie)) => {
                self.next_cookie = Some(cookie);
                self.say_out(now, &Message::OutR2A6);
                self.output = Out::OpenedR2A8W;
                Ok(())
            }
            (OnOut::Ignore, _) => Ok(()),
            _ => Err(Failure::Unexpected {
                message: message.kind(),
                at: "from the outbound proxy",
            }),
        }
    }

    /// An acknowledgement on an IN connection: the client's for an outbound proxy, or the inbound proxy's for the client.
    // req: rpch-3.2.1.5.2-forward-acks
    fn in_ack(
        &mut self,
        now: Instant,
        pdu: Bytes,
        to: Option<Destination>,
        ack: &FlowControlAck,
    ) -> Result<(), Failure> {
        match to {
            Some(Destination::OutProxy) => self.out_ack(now, ack, Some(pdu)),
            Some(Destination::Client) => {
                self.ack_client(now, ack.channel, pdu);
                Ok(())
            }
            _ => Err(Failure::Violation(
                "an acknowledgement on the wrong connection",
            )),
        }
    }

    /// Acknowledges what we sent on the OUT connection that the cookie names, or forwards an acknowledgement there: a
    /// predecessor may still be flushing what it has.
    fn out_ack(
        &mut self,
        now: Instant,
        ack: &FlowControlAck,
        forward: Option<Bytes>,
    ) -> Result<(), Failure> {
        if let Some(out) = self.named(ack.channel) {
            let Some(pdu) = forward else {
                let acknowledged = out.sender.acknowledged(ack);
                return acknowledged.map_err(|untrue| Failure::Violation(untrue.0));
            };
            put_uncounted(&mut out.leg, now, ack.channel, pdu);
        } else if let (Some(pdu), Some(out)) = (forward, &mut self.out_leg)
            && self.next_cookie == Some(ack.channel)
        {
            // In OUT_R2 the proxy knows the successor as the default channel before we do.
            put_uncounted(&mut out.leg, now, ack.channel, pdu);
        }
        Ok(())
    }

    fn named(&mut self, cookie: Cookie) -> Option<&mut OutLeg> {
        let legs = [&mut self.out_leg, &mut self.out_successor];
        let legs = legs.into_iter().flatten();
        let mut legs = legs.chain(self.leaving.iter_mut().map(|(out, _)| out));
        legs.find(|out| out.leg.is_named(cookie))
    }

    /// Sends an acknowledgement to the client, or keeps it until there is a channel with some life left.
    fn ack_client(&mut self, now: Instant, channel: Cookie, pdu: Bytes) {
        let Some(out) = &mut self.out_leg else {
            return;
        };
        if out.leg.left(out.lifetime) > LAST {
            let to = Some(Destination::Client);
            return out.leg.put_ack(now, to, channel, pdu);
        }
        self.held.retain(|(cookie, _)| *cookie != channel);
        if self.held.len() < 4 {
            self.held.push((channel, pdu));
        }
    }

    fn in_r1_a6(&mut self, now: Instant, cookie: Cookie) -> Result<(), Failure> {
        if self
            .in_successor
            .as_ref()
            .is_none_or(|successor| successor.leg.cookie != cookie)
        {
            return Err(Failure::Violation("the successor's cookie is another"));
        }
        self.input = In::OpenedB1W;
        // The predecessor may have much to flush.
        self.in_until = now.checked_add(self.config.stall);
        Ok(())
    }

    fn in_r1_b1(&mut self, now: Instant) {
        let Some(mut successor) = self.in_successor.take() else {
            return;
        };
        let window = self.config.window;
        successor.leg.say(now, &Message::InR1B2 { window });
        if let Some(old) = self.in_leg.replace(successor) {
            self.events.push_back(Event::Close(old.leg.id));
        }
        self.input = In::Opened;
        self.in_until = None;
    }

    fn in_r2_a2(&mut self, now: Instant, cookie: Cookie) {
        if let Some(input) = &mut self.in_leg {
            input.leg.former = Some(input.leg.cookie);
            input.leg.cookie = cookie;
        }
        self.say_out(now, &Message::InR2A4);
    }

    fn out_r1_a8(&mut self, now: Instant, cookie: Cookie) -> Result<(), Failure> {
        if self
            .out_successor
            .as_ref()
            .is_none_or(|successor| successor.leg.cookie != cookie)
        {
            return Err(Failure::Violation("the successor's cookie is another"));
        }
        if let Some(successor) = self.out_successor.take()
            && let Some(mut old) = self.out_leg.replace(successor)
        {
            old.leg.say(now, &Message::Ance);
            self.leaving.push((old, now.checked_add(self.config.stall)));
        }
        self.output = Out::Opened;
        self.out_until = None;
        Ok(())
    }

    fn out_r2_a8(&mut self, now: Instant, cookie: Cookie) -> Result<(), Failure> {
        let Some(output) = &mut self.out_leg else {
            return Ok(());
        };
        if self.next_cookie.take() != Some(cookie) {
            // All that still goes.
            output.leg.clear();
            output.leg.say(now, &Message::OutR2B2);
            self.refused = Some(output.leg.id);
            return Err(Failure::Violation("the successor's cookie is another"));
        }
        output.leg.say(now, &Message::Ance);
        output.leg.former = Some(output.leg.cookie);
        output.leg.cookie = cookie;
        output.leg.carried = 0;
        self.output = Out::Opened;
        self.out_until = None;
        Ok(())
    }

    /// A connection was closed or lost.
    pub fn handle_closed(&mut self, now: Instant, channel: ChannelId) {
        let _ = now;
        if let Some(at) = self
            .leaving
            .iter()
            .position(|(out, _)| out.leg.id == channel)
        {
            let (out, _) = self.leaving.swap_remove(at);
            if !out.leg.is_drained() {
                self.fail(Failure::Lost(
                    "an OUT connection that was not written to its end",
                ));
            }
        } else if self.leg(channel).is_some() {
            self.fail(Failure::Lost("a proxy's connection"));
        }
    }

    /// Time has passed.
    pub fn handle_timeout(&mut self, now: Instant) {
        if self.open == Open::Closed {
            return;
        }
        for (at, what) in [
            (self.setup_until, "the other half of the virtual connection"),
            (self.in_until, "an IN channel's successor"),
            (self.out_until, "an OUT channel's successor"),
            (self.waits(), "a proxy to take bytes"),
        ] {
            if has_come(at, now) {
                return self.fail(Failure::TimedOut(what));
            }
        }
        let sender = self.out_leg.as_ref().map(|out| &out.sender);
        let patience = sender.map(|sender| sender.patience(now, None, self.config.stall));
        if patience.is_some_and(|patience| patience != Patience::Waits) {
            return self.fail(Failure::TimedOut("the outbound proxy's window"));
        }
        let events = &mut self.events;
        self.leaving.retain(|(out, until)| {
            let is_over = has_come(*until, now);
            if is_over {
                events.push_back(Event::Close(out.leg.id));
            }
            !is_over
        });
        self.pump(now);
    }

    fn waits(&self) -> Option<Instant> {
        let limit = self.config.stall;
        let ins = [&self.in_leg, &self.in_successor]
            .into_iter()
            .flatten()
            .map(|input| &input.leg);
        let outs = [&self.out_leg, &self.out_successor].into_iter().flatten();
        let legs = ins.chain(outs.map(|output| &output.leg));
        earliest(legs.map(|leg| leg.deadline(limit)))
    }

    /// Sends RPC PDUs, cut anywhere: a PDU goes as soon as it is whole.
    ///
    /// # Errors
    /// [`SendError`].
    pub fn send(&mut self, now: Instant, mut bytes: Bytes) -> Result<(), SendError> {
        if self.open != Open::Opened {
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

    /// Moves what may go onto the OUT connection, and begins to recycle its channel when that is worn out.
    fn pump(&mut self, now: Instant) {
        if self.open != Open::Opened {
            return;
        }
        self.acknowledge(now);
        let Some(out) = &mut self.out_leg else {
            return;
        };
        while out.leg.left(out.lifetime) > LAST
            && let Some((channel, pdu)) = self.held.pop()
        {
            let to = Some(Destination::Client);
            out.leg.put_ack(now, to, channel, pdu);
        }
        let mut worn =
            out.leg.left(out.lifetime) <= threshold(self.config.recycle_at, out.lifetime);
        while let Some(len) = self.queue.front().map(|pdu| narrow(pdu.len())) {
            if !out.leg.has_room() {
                break;
            }
            if out.leg.left(out.lifetime) < len.saturating_add(RESERVE) {
                worn = true;
                break;
            }
            if !out.sender.fits(len) {
                out.sender.stall(now);
                break;
            }
            if let Some(pdu) = self.queue.pop_front() {
                self.queued = self.queued.saturating_sub(pdu.len());
                out.sender.sent(len);
                out.leg.put(now, pdu);
            }
        }
        if worn && self.output == Out::Opened {
            out.leg.say(now, &Message::OutA2);
            self.output = Out::OpenedA4W;
            self.out_until = now.checked_add(self.config.recycle);
        }
    }

    fn acknowledge(&mut self, now: Instant) {
        if let Some(input) = &mut self.in_leg
            && input.receiver.is_due()
        {
            let ack = input.receiver.acknowledge(input.leg.cookie);
            input.leg.acknowledge(now, None, ack);
        }
    }

    /// Bytes of PDUs that wait, flow control included.
    #[must_use]
    pub fn queued(&self) -> usize {
        self.queued
    }

    /// Whether everything that was sent is with the driver.
    #[must_use]
    pub fn is_drained(&self) -> bool {
        self.queued == 0 && self.legs().all(Leg::is_drained)
    }

    /// Ends the virtual connection: what waits is dropped, [`Event::Close`] for each channel follows, then [`Event::Failed`].
    pub fn close(&mut self, now: Instant) {
        let _ = now;
        self.fail(Failure::Closed);
    }

    fn fail(&mut self, failure: Failure) {
        if self.open == Open::Closed {
            return;
        }
        self.open = Open::Closed;
        let ins = [&self.in_leg, &self.in_successor]
            .into_iter()
            .flatten()
            .map(|input| input.leg.id);
        let outs = [&self.out_leg, &self.out_successor].into_iter().flatten();
        let outs = outs.chain(self.leaving.iter().map(|(out, _)| out));
        let ids = ins.chain(outs.map(|output| output.leg.id));
        self.events.extend(ids.map(Event::Close));
        self.events.push_back(Event::Failed(failure));
        self.queue.clear();
        self.queued = 0;
    }

    /// The next RPC PDU for the association. Taking it consumes it.
    pub fn poll_pdu(&mut self) -> Option<Bytes> {
        let (channel, pdu) = self.received.pop_front()?;
        self.undelivered = self.undelivered.saturating_sub(narrow(pdu.len()));
        if let Some(input) = &mut self.in_leg
            && input.leg.id == channel
        {
            input.receiver.consumed(narrow(pdu.len()));
        }
        Some(pdu)
    }

    /// The next bytes to transmit on a connection.
    pub fn poll_transmit(&mut self, now: Instant, channel: ChannelId) -> Option<Bytes> {
        if self.open == Open::Closed && self.refused != Some(channel) {
            return None;
        }
        if self.is_out(channel) || self.is_in(channel) {
            self.pump(now);
        }
        self.leg(channel)?.take(now)
    }

    /// Whether a connection should be read from.
    #[must_use]
    pub fn is_readable(&self, channel: ChannelId) -> bool {
        match &self.in_leg {
            Some(input) if input.leg.id == channel => {
                input.receiver.has_room() && self.undelivered <= input.receiver.limit()
            }
            _ => true,
        }
    }

    /// When [`handle_timeout`](Self::handle_timeout) is to be called. Later hurts, earlier does not.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        if self.open == Open::Closed {
            return None;
        }
        let sender = self.out_leg.as_ref().map(|out| &out.sender);
        let own = [
            self.setup_until,
            self.in_until,
            self.out_until,
            self.waits(),
            sender.and_then(|sender| sender.deadline(None, self.config.stall)),
        ];
        earliest(
            own.into_iter()
                .chain(self.leaving.iter().map(|(_, until)| *until)),
        )
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
}

impl InLeg {
    fn new(id: ChannelId, cookie: Cookie, window: u32, now: Instant) -> Self {
        Self {
            leg: Leg::new(id, cookie, Splitter::new(), now),
            receiver: Receiver::new(window),
        }
    }
}

impl OutLeg {
    fn new(id: ChannelId, cookie: Cookie, window: u32, lifetime: u32, now: Instant) -> Self {
        Self {
            leg: Leg::new(id, cookie, Splitter::new(), now),
            sender: Sender::new(window),
            lifetime: lifetime.max(MIN_LIFETIME),
        }
    }
}

/// What ends at the proxy takes nothing of the channel's life.
fn put_uncounted(leg: &mut Leg, now: Instant, channel: Cookie, pdu: Bytes) {
    let carried = leg.carried;
    leg.put_ack(now, Some(Destination::OutProxy), channel, pdu);
    leg.carried = carried;
}

fn unexpected(first: &First) -> Failure {
    Failure::Unexpected {
        message: first.message.kind(),
        at: "first on a connection to the server",
    }
}
