//! The server's half of a virtual connection.

use crate::channel::ChannelId;
use crate::config::ServerConfig;
use crate::failure::{Failure, SendError};
use crate::opening::First;
use crate::server::event::Event;
use bytes::Bytes;
use farcall_dce::seed::Seed;
use std::time::Instant;

/// The server's half of a virtual connection.
#[derive(Debug)]
pub struct Server {
    config: ServerConfig,
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
        let _ = (now, seed, first);
        Ok(Self { config })
    }

    /// Attaches another connection: the other half, or one that recycles a channel.
    ///
    /// # Errors
    /// [`Failure`]: close the newcomer; nothing has changed here.
    pub fn attach(&mut self, now: Instant, first: &First) -> Result<ChannelId, Failure> {
        let _ = (now, first);
        Err(Failure::Closed)
    }

    /// Bytes came on a connection.
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
