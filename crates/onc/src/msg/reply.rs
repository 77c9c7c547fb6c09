//! Replies: three words, then a verifier and what became of the call, or why it was denied.
//!
//! Read first: RFC 5531 section 9, `reply_body`. Successful replies with an empty verifier, which is nearly all
//! of them, are one block of fixed length.

use super::{
    AcceptStat, Framing, MessageType, RPC_VERSION, RejectStat, ReplyStat, append, bytes, words,
};
use crate::auth::{AuthStat, Flavor, MAX_BODY, OpaqueAuth};
use crate::record::mark;
use farcall_wire::{
    DecodeError, DecodeErrorKind, Encode, EncodeError, Reader, Size, TransmitQueue, Writer,
};

/// What a reply says, results aside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ReplyBody {
    /// The results follow.
    Success,
    /// The program is not here.
    ProgUnavail,
    /// The program is here, in these versions.
    ProgMismatch {
        /// Lowest version.
        low: u32,
        /// Highest version.
        high: u32,
    },
    /// The program has no such procedure.
    ProcUnavail,
    /// The arguments cannot be decoded.
    GarbageArgs,
    /// The server is in trouble of its own.
    SystemErr,
    /// Accepted, with a status that is not in the specification.
    Accepted(AcceptStat),
    /// Denied: the RPC protocol is spoken in these versions.
    RpcMismatch {
        /// Lowest version.
        low: u32,
        /// Highest version.
        high: u32,
    },
    /// Denied: authentication failed.
    AuthError(AuthStat),
    /// Denied, for a reason that is not in the specification.
    Denied(RejectStat),
}

impl ReplyBody {
    /// The answer to a call in another version of the protocol.
    pub const OTHER_RPC_VERSION: Self = Self::RpcMismatch {
        low: RPC_VERSION,
        high: RPC_VERSION,
    };

    /// Whether the call was accepted (then the reply carries a verifier).
    #[must_use]
    pub fn is_accepted(&self) -> bool {
        !matches!(
            self,
            Self::RpcMismatch { .. } | Self::AuthError(_) | Self::Denied(_)
        )
    }

    /// The words after the reply header's third (and its verifier): a status and what belongs to it.
    fn tail(&self) -> ([u32; 3], usize) {
        match *self {
            Self::Success => ([AcceptStat::SUCCESS.0, 0, 0], 1),
            Self::ProgUnavail => ([AcceptStat::PROG_UNAVAIL.0, 0, 0], 1),
            Self::ProgMismatch { low, high } => ([AcceptStat::PROG_MISMATCH.0, low, high], 3),
            Self::ProcUnavail => ([AcceptStat::PROC_UNAVAIL.0, 0, 0], 1),
            Self::GarbageArgs => ([AcceptStat::GARBAGE_ARGS.0, 0, 0], 1),
            Self::SystemErr => ([AcceptStat::SYSTEM_ERR.0, 0, 0], 1),
            Self::Accepted(stat) => ([stat.0, 0, 0], 1),
            Self::RpcMismatch { low, high } => ([RejectStat::RPC_MISMATCH.0, low, high], 3),
            Self::AuthError(stat) => ([RejectStat::AUTH_ERROR.0, stat.0, 0], 2),
            Self::Denied(stat) => ([stat.0, 0, 0], 1),
        }
    }
}

impl std::fmt::Display for ReplyBody {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Success => f.write_str("success"),
            Self::ProgUnavail => f.write_str("program unavailable"),
            Self::ProgMismatch { low, high } => {
                write!(f, "program available in versions {low} to {high} only")
            }
            Self::ProcUnavail => f.write_str("procedure unavailable"),
            Self::GarbageArgs => f.write_str("the server could not decode the arguments"),
            Self::SystemErr => f.write_str("system error at the server"),
            Self::Accepted(stat) => write!(f, "unknown accept_stat {stat}"),
            Self::RpcMismatch { low, high } => {
                write!(f, "RPC protocol spoken in versions {low} to {high} only")
            }
            Self::AuthError(stat) => write!(f, "authentication failed: {stat}"),
            Self::Denied(stat) => write!(f, "unknown reject_stat {stat}"),
        }
    }
}

/// The header of a reply, borrowed from the message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReplyHeader<'a> {
    /// The number of the call that this answers.
    pub xid: u32,
    /// The server's verifier; [`OpaqueAuth::NONE`] in a denied reply, which has none.
    pub verifier: OpaqueAuth<'a>,
    /// What became of the call.
    pub body: ReplyBody,
}

/// Reads the header of a reply; the results, if any, begin at the returned offset.
///
/// Unknown status values are kept. The verifier is bounded but not judged.
///
/// # Errors
/// The message is not a reply or ends within its header, or the verifier is over [`MAX_BODY`].
// req: onc-5531-9-reply
#[inline]
pub fn parse_reply(message: &[u8]) -> Result<(ReplyHeader<'_>, usize), DecodeError> {
    if let Some(head) = message.first_chunk::<24>() {
        let [xid, kind, stat, flavor, len, accept]: [u32; 6] = words(head);
        if (kind, stat, flavor, len, accept) == (1, 0, 0, 0, 0) {
            return Ok((
                ReplyHeader {
                    xid,
                    verifier: OpaqueAuth::NONE,
                    body: ReplyBody::Success,
                },
                24,
            ));
        }
    }
    parse_any_reply(message)
}

fn parse_any_reply(message: &[u8]) -> Result<(ReplyHeader<'_>, usize), DecodeError> {
    let mut r = Reader::new(message);
    let xid = r.u32()?;
    if r.u32()? != MessageType::REPLY.0 {
        return Err(r.error(DecodeErrorKind::Invalid("message is not a reply")));
    }
    let (verifier, body) = match ReplyStat(r.u32()?) {
        ReplyStat::ACCEPTED => {
            let flavor = Flavor(r.u32()?);
            let verifier = OpaqueAuth {
                flavor,
                body: r.opaque_var(MAX_BODY)?,
            };
            (verifier, parse_accepted(&mut r)?)
        }
        ReplyStat::DENIED => (OpaqueAuth::NONE, parse_denied(&mut r)?),
        _ => {
            return Err(r.error(DecodeErrorKind::Invalid(
                "reply is neither accepted nor denied",
            )));
        }
    };
    Ok((
        ReplyHeader {
            xid,
            verifier,
            body,
        },
        r.position(),
    ))
}

fn parse_accepted(r: &mut Reader<'_>) -> Result<ReplyBody, DecodeError> {
    Ok(match AcceptStat(r.u32()?) {
        AcceptStat::SUCCESS => ReplyBody::Success,
        AcceptStat::PROG_UNAVAIL => ReplyBody::ProgUnavail,
        AcceptStat::PROG_MISMATCH => ReplyBody::ProgMismatch {
            low: r.u32()?,
            high: r.u32()?,
        },
        AcceptStat::PROC_UNAVAIL => ReplyBody::ProcUnavail,
        AcceptStat::GARBAGE_ARGS => ReplyBody::GarbageArgs,
        AcceptStat::SYSTEM_ERR => ReplyBody::SystemErr,
        other => ReplyBody::Accepted(other),
    })
}

fn parse_denied(r: &mut Reader<'_>) -> Result<ReplyBody, DecodeError> {
    Ok(match RejectStat(r.u32()?) {
        RejectStat::RPC_MISMATCH => ReplyBody::RpcMismatch {
            low: r.u32()?,
            high: r.u32()?,
        },
        RejectStat::AUTH_ERROR => ReplyBody::AuthError(AuthStat(r.u32()?)),
        other => ReplyBody::Denied(other),
    })
}

/// The header of a successful reply with an empty verifier, which is nearly every reply there is.
#[inline]
#[must_use]
pub fn success_header(xid: u32) -> [u8; 24] {
    bytes([xid, MessageType::REPLY.0, 0, 0, 0, 0])
}

/// The same behind its record mark; `results` is the length of what follows.
#[inline]
#[must_use]
pub fn success_record(xid: u32, results: usize) -> [u8; 28] {
    bytes([
        u32::from_be_bytes(mark(results.saturating_add(24))),
        xid,
        MessageType::REPLY.0,
        0,
        0,
        0,
        0,
    ])
}

/// Appends a successful reply with an empty verifier and returns the length of the results.
///
/// # Errors
/// What measuring the results found; nothing is appended then.
// req: onc-5531-11-send
#[inline]
pub fn encode_success<T: Encode + ?Sized>(
    queue: &mut TransmitQueue,
    framing: Framing,
    xid: u32,
    results: &T,
) -> Result<usize, EncodeError> {
    match framing {
        Framing::Stream => queue.append_after(results, |len| success_record(xid, len)),
        Framing::Datagram => queue.append_after(results, |_| success_header(xid)),
    }
}

/// Appends a reply of any kind, followed by `results` if it is [`ReplyBody::Success`], and returns the
/// message's length without its mark.
///
/// # Errors
/// What measuring the verifier or the results found; nothing is appended then.
pub fn encode_reply<T: Encode + ?Sized>(
    queue: &mut TransmitQueue,
    framing: Framing,
    header: &ReplyHeader<'_>,
    results: &T,
) -> Result<usize, EncodeError> {
    append(queue, framing, &ReplyMessage { header, results })
}

/// Appends a reply without results and with an empty verifier: every refusal. Cannot fail.
// req: onc-5531-9-errors
pub fn encode_refusal(queue: &mut TransmitQueue, framing: Framing, xid: u32, body: ReplyBody) {
    let header = ReplyHeader {
        xid,
        verifier: OpaqueAuth::NONE,
        body,
    };
    let appended = encode_reply(queue, framing, &header, &());
    debug_assert!(appended.is_ok(), "a refusal has no bound to break");
}

/// A whole reply.
struct ReplyMessage<'a, T: ?Sized> {
    header: &'a ReplyHeader<'a>,
    results: &'a T,
}

impl<T: Encode + ?Sized> Encode for ReplyMessage<'_, T> {
    fn measure(&self, size: &mut Size) -> Result<(), EncodeError> {
        size.add(12);
        if self.header.body.is_accepted() {
            self.header.verifier.measure(size)?;
        }
        size.add_many(4, self.header.body.tail().1);
        if self.header.body == ReplyBody::Success {
            self.results.measure(size)
        } else {
            Ok(())
        }
    }

    fn encode(&self, w: &mut Writer<'_>) {
        let accepted = self.header.body.is_accepted();
        let stat = if accepted {
            ReplyStat::ACCEPTED
        } else {
            ReplyStat::DENIED
        };
        w.array(bytes::<3, 12>([
            self.header.xid,
            MessageType::REPLY.0,
            stat.0,
        ]));
        if accepted {
            self.header.verifier.encode(w);
        }
        let (words, count) = self.header.body.tail();
        words.iter().take(count).for_each(|word| w.u32(*word));
        if self.header.body == ReplyBody::Success {
            self.results.encode(w);
        }
    }
}
