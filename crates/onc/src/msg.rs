//! Call and reply messages: their headers in and out.
//!
//! Read first: RFC 5531 sections 8 and 9 ("The RPC Message Protocol"). A call header is six words, a credential
//! and a verifier; a reply header is three words, then either a verifier and an `accept_stat`, or a
//! `reject_stat`. Arguments and results follow; this file does not look at them, and it does not decide what to
//! do with a call ([`server`](crate::server) does).

use crate::auth::{AuthBlock, AuthStat, Flavor, MAX_BODY, OpaqueAuth};
use crate::number::number;
use crate::record::mark;
use farcall_wire::cursor::pad_len;
use farcall_wire::{
    DecodeError, DecodeErrorKind, Encode, EncodeError, Reader, Size, TransmitQueue, Writer,
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

/// The header of a call, borrowed from the message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CallHeader<'a> {
    /// The number that ties the reply to the call. It has no order.
    pub xid: u32,
    /// The program.
    pub program: u32,
    /// The version of the program.
    pub version: u32,
    /// The procedure.
    pub procedure: u32,
    /// Who calls.
    pub credential: OpaqueAuth<'a>,
    /// What shows it.
    pub verifier: OpaqueAuth<'a>,
}

/// Why a message is not a call we can look at further, and so what to answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CallFault {
    /// Too short to tell a call from a reply.
    Truncated {
        /// Bytes there are.
        len: usize,
    },
    /// Not a call.
    NotACall {
        /// The message's number.
        xid: u32,
        /// What it is instead.
        kind: MessageType,
    },
    /// Another version of the RPC protocol.
    RpcMismatch {
        /// The call's number.
        xid: u32,
        /// The version on the wire.
        version: u32,
    },
    /// The message ends within its header.
    Garbage {
        /// The call's number.
        xid: u32,
    },
    /// The credential claims more than [`MAX_BODY`] bytes.
    BadCredential {
        /// The call's number.
        xid: u32,
    },
    /// The verifier claims more than [`MAX_BODY`] bytes.
    BadVerifier {
        /// The call's number.
        xid: u32,
    },
}

impl std::fmt::Display for CallFault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Truncated { len } => write!(f, "message of {len} bytes, too short for a header"),
            Self::NotACall { xid, kind } => {
                write!(f, "message {xid:#010x} has type {kind}, expected CALL")
            }
            Self::RpcMismatch { xid, version } => {
                write!(f, "call {xid:#010x} has RPC version {version}, expected 2")
            }
            Self::Garbage { xid } => write!(f, "call {xid:#010x} ends within its header"),
            Self::BadCredential { xid } => {
                write!(f, "call {xid:#010x} has a credential over {MAX_BODY} bytes")
            }
            Self::BadVerifier { xid } => {
                write!(f, "call {xid:#010x} has a verifier over {MAX_BODY} bytes")
            }
        }
    }
}

impl std::error::Error for CallFault {}

/// Reads the header of a call; the arguments begin at the returned offset. Allocates nothing.
///
/// # Errors
/// [`CallFault`], which says what to answer.
// req: onc-5531-9-call
#[inline]
pub fn parse_call(message: &[u8]) -> Result<(CallHeader<'_>, usize), CallFault> {
    let Some((head, rest)) = message.split_first_chunk::<32>() else {
        return Err(short_call(message));
    };
    let [
        xid,
        kind,
        rpc_version,
        program,
        version,
        procedure,
        flavor,
        len,
    ] = words(head);
    if kind != MessageType::CALL.0 || rpc_version != RPC_VERSION {
        return Err(not_version_two(xid, kind, rpc_version));
    }
    let Some((credential, rest)) = split_body(rest, len) else {
        return Err(if len > MAX_BODY {
            CallFault::BadCredential { xid }
        } else {
            CallFault::Garbage { xid }
        });
    };
    let Some((head, rest)) = rest.split_first_chunk::<8>() else {
        return Err(CallFault::Garbage { xid });
    };
    let [verifier_flavor, len] = words(head);
    let Some((verifier, arguments)) = split_body(rest, len) else {
        return Err(if len > MAX_BODY {
            CallFault::BadVerifier { xid }
        } else {
            CallFault::Garbage { xid }
        });
    };
    let header = CallHeader {
        xid,
        program,
        version,
        procedure,
        credential: OpaqueAuth {
            flavor: Flavor(flavor),
            body: credential,
        },
        verifier: OpaqueAuth {
            flavor: Flavor(verifier_flavor),
            body: verifier,
        },
    };
    Ok((header, message.len().wrapping_sub(arguments.len())))
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

/// The body of a credential or verifier and what follows its padding. `None` if it is too long or not there.
#[inline]
fn split_body(bytes: &[u8], len: u32) -> Option<(&[u8], &[u8])> {
    if len == 0 {
        return Some((&[], bytes));
    }
    if len > MAX_BODY {
        return None;
    }
    let len = usize::try_from(len).ok()?;
    let (body, rest) = bytes.split_at_checked(len)?;
    Some((body, rest.get(pad_len(len)..)?))
}

/// What is wrong with a message that has fewer than eight words.
#[cold]
fn short_call(message: &[u8]) -> CallFault {
    let Some((xid, kind)) = parse_kind(message) else {
        return CallFault::Truncated { len: message.len() };
    };
    let Some(version) = message.get(8..).and_then(|rest| rest.first_chunk::<4>()) else {
        return not_version_two(xid, kind.0, RPC_VERSION);
    };
    not_version_two(xid, kind.0, u32::from_be_bytes(*version))
}

/// What is wrong with a message whose second and third word are these; if they are fine, it ends too early.
#[cold]
fn not_version_two(xid: u32, kind: u32, version: u32) -> CallFault {
    let kind = MessageType(kind);
    if kind != MessageType::CALL {
        return CallFault::NotACall { xid, kind };
    }
    if version != RPC_VERSION {
        CallFault::RpcMismatch { xid, version }
    } else {
        CallFault::Garbage { xid }
    }
}

/// Where a call goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Target {
    /// The program.
    pub program: u32,
    /// The version of the program.
    pub version: u32,
    /// The procedure.
    pub procedure: u32,
}

/// Appends a call to `queue`, as one record or one datagram, and returns the message's length without its mark.
///
/// # Errors
/// What measuring the arguments found; nothing is appended then.
// req: onc-5531-11-send
#[inline]
pub fn encode_call<A: Encode + ?Sized>(
    queue: &mut TransmitQueue,
    framing: Framing,
    xid: u32,
    target: Target,
    auth: &AuthBlock,
    args: &A,
) -> Result<usize, EncodeError> {
    if auth.is_none() {
        return encode_bare_call(queue, framing, xid, target, args);
    }
    append(
        queue,
        framing,
        &CallMessage {
            xid,
            target,
            auth,
            args,
        },
    )
}

/// A call with `AUTH_NONE`: its whole header is one block of fixed length.
#[inline]
fn encode_bare_call<A: Encode + ?Sized>(
    queue: &mut TransmitQueue,
    framing: Framing,
    xid: u32,
    target: Target,
    args: &A,
) -> Result<usize, EncodeError> {
    let Target {
        program,
        version,
        procedure,
    } = target;
    let header = [
        xid,
        MessageType::CALL.0,
        RPC_VERSION,
        program,
        version,
        procedure,
        0,
        0,
        0,
        0,
    ];
    let args = match framing {
        Framing::Datagram => queue.append_after(args, |_| bytes::<10, 40>(header))?,
        Framing::Stream => queue.append_after(args, |len| {
            let mut record = [0; 44];
            if let Some((place, rest)) = record.split_first_chunk_mut::<4>() {
                *place = mark(len.saturating_add(40));
                rest.copy_from_slice(&bytes::<10, 40>(header));
            }
            record
        })?,
    };
    Ok(args.saturating_add(40))
}

/// A whole call.
struct CallMessage<'a, A: ?Sized> {
    xid: u32,
    target: Target,
    auth: &'a AuthBlock,
    args: &'a A,
}

impl<A: Encode + ?Sized> Encode for CallMessage<'_, A> {
    #[inline]
    fn measure(&self, size: &mut Size) -> Result<(), EncodeError> {
        size.add(24);
        size.add(self.auth.as_bytes().len());
        self.args.measure(size)
    }
    #[inline]
    fn encode(&self, w: &mut Writer<'_>) {
        let Target {
            program,
            version,
            procedure,
        } = self.target;
        w.array(bytes::<6, 24>([
            self.xid,
            MessageType::CALL.0,
            RPC_VERSION,
            program,
            version,
            procedure,
        ]));
        w.slice(self.auth.as_bytes());
        self.args.encode(w);
    }
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

#[cfg(test)]
mod tests;
