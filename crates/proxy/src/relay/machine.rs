//! One set of verbs for the two proxies' machines, so that one driver runs both.

use std::time::{Duration, Instant};

use bytes::Bytes;
use farcall_rpch::channel::Pdu;
use farcall_rpch::{
    ChannelId, Ended, Failure, First, InProxy, Load, OutProxy, in_proxy, out_proxy,
};

/// What a machine asks its driver to do, or tells it.
#[derive(Debug)]
pub(super) enum Event {
    /// Connect to the server.
    Connect(ChannelId),
    /// Have the kernel look after the connection to the server.
    KeepAlive(Duration),
    /// Answer the OUT request with success.
    Respond(ChannelId),
    /// Calls go through.
    Opened,
    /// The client understands RTS PDUs that come unasked.
    Speaks,
    /// Answer the client's request with this code.
    Refuse(ChannelId, u32),
    /// Transmit what is left, then close.
    Close(ChannelId),
    /// It is over.
    Ended(Ended),
}

/// A proxy's half of a virtual connection, as its driver sees it.
pub(super) trait Machine: Send + 'static {
    fn attach(&mut self, now: Instant, first: &First) -> Result<ChannelId, Failure>;
    fn handle_connected(&mut self, now: Instant, channel: ChannelId);
    fn handle_bytes(&mut self, now: Instant, channel: ChannelId, bytes: Bytes);
    fn handle_closed(&mut self, now: Instant, channel: ChannelId);
    fn handle_timeout(&mut self, now: Instant);
    fn poll_pdu(&mut self) -> Option<Pdu>;
    fn forward(&mut self, now: Instant, pdu: Pdu);
    fn refuse(&mut self, now: Instant, pdu: Pdu);
    /// Sends the client a PDU of our own. Only an outbound proxy can.
    fn inject(&mut self, now: Instant, pdu: Bytes);
    /// Pings are sent to the client. Only an outbound proxy does.
    fn may_ping(&mut self);
    fn close(&mut self, now: Instant, code: u32);
    fn poll_transmit(&mut self, now: Instant, channel: ChannelId) -> Option<Bytes>;
    fn is_readable(&self, channel: ChannelId) -> bool;
    fn load(&self) -> Load;
    fn poll_timeout(&self) -> Option<Instant>;
    fn poll_event(&mut self) -> Option<Event>;
}

macro_rules! same_verbs {
    ($type:ty) => {
        fn attach(&mut self, now: Instant, first: &First) -> Result<ChannelId, Failure> {
            <$type>::attach(self, now, first)
        }
        fn handle_connected(&mut self, now: Instant, channel: ChannelId) {
            <$type>::handle_connected(self, now, channel);
        }
        fn handle_bytes(&mut self, now: Instant, channel: ChannelId, bytes: Bytes) {
            <$type>::handle_bytes(self, now, channel, bytes);
        }
        fn handle_closed(&mut self, now: Instant, channel: ChannelId) {
            <$type>::handle_closed(self, now, channel);
        }
        fn handle_timeout(&mut self, now: Instant) {
            <$type>::handle_timeout(self, now);
        }
        fn poll_pdu(&mut self) -> Option<Pdu> {
            <$type>::poll_pdu(self)
        }
        fn forward(&mut self, now: Instant, pdu: Pdu) {
            <$type>::forward(self, now, pdu);
        }
        fn refuse(&mut self, now: Instant, pdu: Pdu) {
            <$type>::refuse(self, now, pdu);
        }
        fn close(&mut self, now: Instant, code: u32) {
            <$type>::close(self, now, code);
        }
        fn poll_transmit(&mut self, now: Instant, channel: ChannelId) -> Option<Bytes> {
            <$type>::poll_transmit(self, now, channel)
        }
        fn is_readable(&self, channel: ChannelId) -> bool {
            <$type>::is_readable(self, channel)
        }
        fn load(&self) -> Load {
            <$type>::load(self)
        }
        fn poll_timeout(&self) -> Option<Instant> {
            <$type>::poll_timeout(self)
        }
    };
}

impl Machine for InProxy {
    same_verbs!(InProxy);

    fn inject(&mut self, _: Instant, _: Bytes) {}

    fn may_ping(&mut self) {}

    fn poll_event(&mut self) -> Option<Event> {
        Self::poll_event(self).map(|event| match event {
            in_proxy::Event::Connect(channel) => Event::Connect(channel),
            in_proxy::Event::KeepAlive(interval) => Event::KeepAlive(interval),
            in_proxy::Event::Opened => Event::Opened,
            in_proxy::Event::Speaks => Event::Speaks,
            in_proxy::Event::Refuse { channel, code } => Event::Refuse(channel, code),
            in_proxy::Event::Close(channel) => Event::Close(channel),
            in_proxy::Event::Ended(ended) => Event::Ended(ended),
        })
    }
}

impl Machine for OutProxy {
    same_verbs!(OutProxy);

    fn inject(&mut self, now: Instant, pdu: Bytes) {
        Self::inject(self, now, pdu);
    }

    fn may_ping(&mut self) {
        Self::may_ping(self);
    }

    fn poll_event(&mut self) -> Option<Event> {
        Self::poll_event(self).map(|event| match event {
            out_proxy::Event::Connect(channel) => Event::Connect(channel),
            out_proxy::Event::Respond(channel) => Event::Respond(channel),
            out_proxy::Event::Opened => Event::Opened,
            out_proxy::Event::Refuse { channel, code } => Event::Refuse(channel, code),
            out_proxy::Event::Close(channel) => Event::Close(channel),
            out_proxy::Event::Ended(ended) => Event::Ended(ended),
        })
    }
}
