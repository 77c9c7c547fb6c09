//! What a server's half of a virtual connection tells.

use crate::channel::ChannelId;
use crate::failure::Failure;
use crate::rts::Cookie;
use std::net::IpAddr;

/// What a server's half of a virtual connection tells.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// Both halves are there: PDUs may be sent.
    Opened {
        /// The client's address, as the inbound proxy says. Its byte order is not certain with every proxy, and nobody
        /// proves it: for records, not for decisions.
        client: IpAddr,
        /// The client's association group.
        group: Cookie,
    },
    /// Transmit what is left for the channel, then close it.
    Close(ChannelId),
    /// The virtual connection is over. A [`Close`](Event::Close) for each of its channels came before.
    Failed(Failure),
}
