//! What a client tells: what a received message was, and what became of a call without a reply.

use crate::msg::ReplyHeader;
use farcall_wire::DecodeError;

/// A call in flight: its xid.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct CallId(pub u32);

/// What a received message was.
#[derive(Debug, PartialEq, Eq)]
pub enum Incoming<'m, T> {
    /// The reply to a call, which is no longer in flight.
    Reply {
        /// The call.
        id: CallId,
        /// What the caller gave with it.
        token: T,
        /// The reply's header. Its verifier is bounded and not judged.
        header: ReplyHeader<'m>,
        /// Where in the message the results begin.
        results: usize,
    },
    /// A reply on a stream that names a call in flight and has no proper header. The call is over.
    Malformed {
        /// The call.
        id: CallId,
        /// What the caller gave with it.
        token: T,
        /// What is wrong with the header.
        error: DecodeError,
    },
    /// A call from the other side: for a server on this connection, if there is one.
    Call,
    /// Nothing for us; counted in [`Counters`].
    Ignored(Ignored),
}

/// Why a message was ignored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ignored {
    /// No call in flight has this xid: a late or a repeated reply, or a forged one.
    UnknownXid(u32),
    /// The datagram is not from the server.
    WrongSource,
    /// Not a message of the protocol.
    Undecodable,
}

/// What became of a call without a reply.
#[derive(Debug, PartialEq, Eq)]
pub struct Event<T> {
    /// The call, no longer in flight.
    pub id: CallId,
    /// What the caller gave with it.
    pub token: T,
    /// Why it is over.
    pub cause: Cause,
    /// Whether a byte of it was handed out for transmission. If not, it cannot have been executed.
    pub sent: bool,
}

/// Why a call ended without a reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    /// Its deadline passed.
    TimedOut,
    /// The connection is gone.
    Lost,
}

/// What happened on the way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Replies that matched no call in flight.
    pub unknown_xid: u64,
    /// Datagrams from somebody else.
    pub wrong_source: u64,
    /// Messages that are none.
    pub undecodable: u64,
    /// Datagrams sent again.
    pub retransmits: u64,
    /// Calls whose deadline passed.
    pub timeouts: u64,
    /// Calls cancelled.
    pub cancelled: u64,
}
