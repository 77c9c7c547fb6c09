//! What an inbound proxy's half of a virtual connection tells.

use crate::channel::{ChannelId, Ended};
use std::time::Duration;

/// What an inbound proxy's half of a virtual connection tells.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// Connect to the server that the request named; then
    /// [`handle_connected`](super::InProxy::handle_connected), or [`handle_closed`](super::InProxy::handle_closed).
    Connect(ChannelId),
    /// Have the kernel look after the connection to the server with keep-alives of this interval.
    KeepAlive(Duration),
    /// The server has both halves: calls go through.
    Opened,
    /// The client has sent an RTS PDU that nothing but flow control, pings or recycling asked of it: it understands those that come unasked. Said
    /// once.
    Speaks,
    /// Answer the IN request with `503 RPC Error:` and this code, then close its connection.
    Refuse {
        /// The client's channel.
        channel: ChannelId,
        /// A Win32 code.
        code: u32,
    },
    /// Transmit what is left for the channel, then close it.
    Close(ChannelId),
    /// It is over here. [`Refuse`](Event::Refuse) or [`Close`](Event::Close) for each channel came before.
    Ended(Ended),
}
