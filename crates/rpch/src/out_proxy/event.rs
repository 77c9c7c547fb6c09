//! What an outbound proxy's half of a virtual connection tells.

use crate::channel::{ChannelId, Ended};

/// What an outbound proxy's half of a virtual connection tells.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// Connect to the server that the request named; then
    /// [`handle_connected`](super::OutProxy::handle_connected), or [`handle_closed`](super::OutProxy::handle_closed).
    Connect(ChannelId),
    /// Answer the OUT request with the head of success, whose length is the configured lifetime. Only then is there
    /// anything to transmit for the channel: the response's body.
    Respond(ChannelId),
    /// The server has both halves: calls go through.
    Opened,
    /// Answer the OUT request, which was not answered yet, with `503 RPC Error:` and this code, then close.
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
