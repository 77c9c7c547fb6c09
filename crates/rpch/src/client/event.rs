//! What a client's virtual connection tells.

use crate::channel::ChannelId;
use crate::direction::Direction;
use crate::failure::Failure;

/// What a client's virtual connection tells.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// Connect to the proxy, authenticate, and send this request on a connection of its own. Its body is what
    /// [`poll_transmit`](super::Client::poll_transmit) gives for the channel.
    Open {
        /// The new channel.
        channel: ChannelId,
        /// IN or OUT: the method.
        direction: Direction,
        /// Its `Content-Length`, in bytes.
        content_length: u64,
    },
    /// The virtual connection stands: PDUs may be sent.
    Opened,
    /// Transmit what is left for the channel, then close it.
    Close(ChannelId),
    /// The virtual connection is over. A [`Close`](Event::Close) for each of its channels came before.
    Failed(Failure),
}
