//! The inbound proxy's half of a virtual connection.

use crate::channel::{ChannelId, Pdu};
use crate::config::ProxyConfig;
use crate::failure::Failure;
use crate::in_proxy::event::Event;
use crate::opening::First;
use bytes::Bytes;
use farcall_dce::seed::Seed;
use std::net::IpAddr;
use std::time::Instant;

/// The inbound proxy's half of a virtual connection.
#[derive(Debug)]
pub struct InProxy {
    config: ProxyConfig,
}

impl InProxy {
    /// Begins with the first PDU of a channel, [`ChannelId::FIRST`], of a virtual connection that this proxy does not know:
    /// [`Event::Connect`] follows. `client` is its
    /// address, which the server is told.
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
        let _ = (now, seed, first, client);
        Ok(Self { config })
    }

    /// Attaches a channel that recycles the one that is there. Make sure first that it is the same client that asks.
    ///
    /// # Errors
    /// [`Failure`]: refuse the newcomer; nothing has changed here.
    pub fn attach(&mut self, now: Instant, first: &First) -> Result<ChannelId, Failure> {
        let _ = (now, first, &self.config);
        Err(Failure::Closed)
    }

    /// The connection to the server stands.
    pub fn handle_connected(&mut self, now: Instant, channel: ChannelId) {
        let _ = (now, channel);
    }

    /// Bytes came on a channel.
    pub fn handle_bytes(&mut self, now: Instant, channel: ChannelId, bytes: Bytes) {
        let _ = (now, channel, bytes);
    }

    /// A channel's connection could not be made, was closed or lost.
    pub fn handle_closed(&mut self, now: Instant, channel: ChannelId) {
        let _ = (now, channel);
    }

    /// Time has passed.
    pub fn handle_timeout(&mut self, now: Instant) {
        let _ = now;
    }

    /// The next RPC PDU to be judged. Each must be handed to [`forward`](Self::forward) or [`refuse`](Self::refuse), in
    /// order.
    pub fn poll_pdu(&mut self) -> Option<Pdu> {
        None
    }

    /// Sends a PDU on its way to the server. Its bytes may have been replaced.
    pub fn forward(&mut self, now: Instant, pdu: Pdu) {
        let _ = (now, pdu);
    }

    /// Drops a PDU.
    pub fn refuse(&mut self, now: Instant, pdu: Pdu) {
        let _ = (now, pdu);
    }

    /// Ends the virtual connection; the client is told this code where it can be.
    pub fn close(&mut self, now: Instant, code: u32) {
        let _ = (now, code);
    }

    /// The next bytes to transmit on a channel.
    pub fn poll_transmit(&mut self, now: Instant, channel: ChannelId) -> Option<Bytes> {
        let _ = (now, channel);
        None
    }

    /// Whether a channel should be read from.
    #[must_use]
    pub fn is_readable(&self, channel: ChannelId) -> bool {
        let _ = channel;
        true
    }

    /// When [`handle_timeout`](Self::handle_timeout) is to be called. Later hurts, earlier does not.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        None
    }

    /// What there is to be told.
    pub fn poll_event(&mut self) -> Option<Event> {
        None
    }
}
