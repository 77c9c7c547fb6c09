//! The client's half of a virtual connection.

use crate::channel::ChannelId;
use crate::client::event::Event;
use crate::config::ClientConfig;
use crate::failure::SendError;
use bytes::Bytes;
use farcall_dce::seed::Seed;
use std::time::Instant;

/// The client's half of a virtual connection.
#[derive(Debug)]
pub struct Client {
    config: ClientConfig,
}

impl Client {
    /// Begins to open a virtual connection: two [`Event::Open`] follow, and [`Event::Opened`] or [`Event::Failed`].
    ///
    /// `seed` must be secret and new: the connection's cookies are drawn from it.
    #[must_use]
    pub fn new(config: ClientConfig, now: Instant, seed: &Seed) -> Self {
        let _ = (now, seed);
        Self { config }
    }

    /// A response's head came for a channel, with this status and reason phrase.
    pub fn handle_response(&mut self, now: Instant, channel: ChannelId, status: u16, reason: &str) {
        let _ = (now, channel, status, reason);
    }

    /// Bytes of the body of an OUT channel's response.
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

    /// Sends RPC PDUs, cut anywhere: a PDU goes as soon as it is whole.
    ///
    /// # Errors
    /// [`SendError`].
    pub fn send(&mut self, now: Instant, bytes: Bytes) -> Result<(), SendError> {
        let _ = (now, bytes, &self.config);
        Err(SendError::NotOpen)
    }

    /// Bytes of PDUs that wait, flow control included.
    #[must_use]
    pub fn queued(&self) -> usize {
        0
    }

    /// Tells the inbound proxy how often it should look whether the server is still there. At least a minute.
    pub fn keep_alive(&mut self, now: Instant, interval: std::time::Duration) {
        let _ = (now, interval);
    }

    /// Ends the virtual connection: [`Event::Close`] for each channel follows, then [`Event::Failed`].
    pub fn close(&mut self, now: Instant) {
        let _ = now;
    }

    /// The next RPC PDU for the association. Taking it consumes it.
    pub fn poll_pdu(&mut self) -> Option<Bytes> {
        None
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
