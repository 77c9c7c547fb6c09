//! Calls: six words, a credential, a verifier, and the arguments.
//!
//! Read first: RFC 5531 section 9, `call_body`. What is wrong with a header says what to answer ([`CallFault`]).

use super::{Framing, MessageType, RPC_VERSION, append, bytes, parse_kind, words};
use crate::auth::{AuthBlock, Flavor, MAX_BODY, OpaqueAuth};
use crate::record::mark;
use farcall_wire::cursor::pad_len;
use farcall_wire::{Encode, EncodeError, Size, TransmitQueue, Writer};

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
