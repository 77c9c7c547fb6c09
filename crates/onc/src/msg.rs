//! Call and reply messages: their headers in and out.
//!
//! Read first: RFC 5531 sections 8 and 9 ("The RPC Message Protocol"). A call header is six words, a credential
//! and a verifier; a reply header is three words, then either a verifier and an `accept_stat`, or a
//! `reject_stat`. Arguments and results follow; this file does not look at them, and it does not decide what to
//! do with a call ([`server`](crate::server) does).

mod call;
mod reply;

use crate::number::number;
use crate::record::mark;
use farcall_wire::{Encode, EncodeError, TransmitQueue};

pub use call::{CallFault, CallHeader, Target, encode_call, parse_call};
pub use reply::{
    ReplyBody, ReplyHeader, encode_refusal, encode_reply, encode_success, parse_reply,
    success_header, success_record,
};

/// The only version of the protocol there is.
pub const RPC_VERSION: u32 = 2;

number! {
    /// Which way a message goes: `msg_type`.
    MessageType {
        /// A call.
        CALL = 0, "CALL";
        /// A reply.
        REPLY = 1, "REPLY";
    }
}

number! {
    /// Whether the call was accepted: `reply_stat`.
    ReplyStat {
        /// Accepted; the procedure may still have failed.
        ACCEPTED = 0, "MSG_ACCEPTED";
        /// Denied: wrong protocol version or authentication.
        DENIED = 1, "MSG_DENIED";
    }
}

number! {
    /// What became of an accepted call: `accept_stat`.
    AcceptStat {
        /// The results follow.
        SUCCESS = 0, "SUCCESS";
        /// The program is not here.
        PROG_UNAVAIL = 1, "PROG_UNAVAIL";
        /// The program is here in other versions.
        PROG_MISMATCH = 2, "PROG_MISMATCH";
        /// The program has no such procedure.
        PROC_UNAVAIL = 3, "PROC_UNAVAIL";
        /// The arguments cannot be decoded.
        GARBAGE_ARGS = 4, "GARBAGE_ARGS";
        /// The server is in trouble of its own.
        SYSTEM_ERR = 5, "SYSTEM_ERR";
    }
}

number! {
    /// Why a call was denied: `reject_stat`.
    RejectStat {
        /// Another version of the RPC protocol.
        RPC_MISMATCH = 0, "RPC_MISMATCH";
        /// Authentication failed.
        AUTH_ERROR = 1, "AUTH_ERROR";
    }
}

/// How messages are told apart on the way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Framing {
    /// A byte stream: each message is a record ([`record`](crate::record)).
    Stream,
    /// Each message is a datagram.
    Datagram,
}

/// The number and the direction of a message, if it is long enough to have them.
#[inline]
#[must_use]
pub fn parse_kind(message: &[u8]) -> Option<(u32, MessageType)> {
    let [xid, kind] = words(message.first_chunk::<8>()?);
    Some((xid, MessageType(kind)))
}

/// `N` bytes as words. Copies nothing that is not used.
#[inline]
fn words<const N: usize, const W: usize>(bytes: &[u8; N]) -> [u32; W] {
    let (words, _) = bytes.as_chunks::<4>();
    let mut out = [0; W];
    for (to, from) in out.iter_mut().zip(words) {
        *to = u32::from_be_bytes(*from);
    }
    out
}

/// Appends a message in its framing.
#[inline]
fn append<T: Encode>(
    queue: &mut TransmitQueue,
    framing: Framing,
    message: &T,
) -> Result<usize, EncodeError> {
    match framing {
        Framing::Stream => queue.append_after(message, mark),
        Framing::Datagram => queue.append(message),
    }
}

/// `W` words as bytes.
#[inline]
fn bytes<const W: usize, const N: usize>(words: [u32; W]) -> [u8; N] {
    let mut out = [0; N];
    for (to, from) in out.as_chunks_mut::<4>().0.iter_mut().zip(words) {
        *to = from.to_be_bytes();
    }
    out
}

#[cfg(test)]
mod tests;
