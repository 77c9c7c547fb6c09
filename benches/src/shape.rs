//! What is exchanged: the kinds of work, their sizes on the wire, and the bytes a reply must hold.
//!
//! The layouts are ONC RPC's (RFC 5531 sections 9 and 11) with AUTH_NONE throughout, and DCE/RPC's
//! (C706 section 12.6) without authentication; every raw program and the load generator build on
//! the same figures.

use std::fmt;
use std::io::Read;
use std::str::FromStr;

use anyhow::{Context, Result, bail, ensure};

/// The program every ONC server here answers; `idl/bench.x` says the same.
pub(crate) const PROGRAM: u32 = 0x2000_0b01;
pub(crate) const VERSION: u32 = 1;
/// Largest read reply asked for.
pub(crate) const MEBIBYTE: usize = 1 << 20;
/// A call's header: xid, kind, RPC version, program, version, procedure, credential, verifier.
pub(crate) const CALL_HEADER: usize = 40;
/// A successful reply's header: xid, kind, accepted, verifier, success.
pub(crate) const REPLY_HEADER: usize = 24;
/// The record mark before either, on a stream.
pub(crate) const MARK: usize = 4;

/// Header and fixed body of a DCE/RPC request or response in one fragment.
const DCE_HEAD: usize = 24;

/// One call's work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Work {
    /// Nothing in, nothing out.
    Null,
    /// That many bytes in and the same bytes out. A multiple of four.
    Echo(usize),
    /// A number in, that many bytes of [`pattern`] out. A multiple of four.
    Read(usize),
    /// Over DCE/RPC: is the server listening? Every server's management interface can tell.
    Listening,
}

impl Work {
    pub(crate) fn procedure(self) -> u32 {
        match self {
            Self::Null => 0,
            Self::Echo(_) => 1,
            Self::Read(_) | Self::Listening => 2,
        }
    }

    /// Bytes of a call's arguments.
    pub(crate) fn arguments(self) -> usize {
        match self {
            Self::Null | Self::Listening => 0,
            Self::Echo(n) => 4 + n,
            Self::Read(_) => 4,
        }
    }

    /// Bytes of a reply's results.
    pub(crate) fn results(self) -> usize {
        match self {
            Self::Null | Self::Listening => 0,
            Self::Echo(n) | Self::Read(n) => 4 + n,
        }
    }

    /// Payload bytes a reply carries, for GB/s.
    pub(crate) fn payload(self) -> usize {
        match self {
            Self::Null | Self::Listening => 0,
            Self::Echo(n) | Self::Read(n) => n,
        }
    }
}

impl fmt::Display for Work {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Null => f.write_str("null"),
            Self::Echo(n) => write!(f, "echo:{n}"),
            Self::Read(n) => write!(f, "read:{n}"),
            Self::Listening => f.write_str("listening"),
        }
    }
}

impl FromStr for Work {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> Result<Self> {
        match text {
            "null" => return Ok(Self::Null),
            "listening" => return Ok(Self::Listening),
            _ => {}
        }
        let (kind, size) = text
            .split_once(':')
            .context("work is null, listening, echo:N or read:N")?;
        let size: usize = size.parse().with_context(|| format!("work {text}"))?;
        ensure!(
            size.is_multiple_of(4),
            "{size} bytes would need padding; take a multiple of 4"
        );
        match kind {
            "echo" => Ok(Self::Echo(size)),
            "read" => Ok(Self::Read(size)),
            _ => bail!("work {text} is not null, echo:N or read:N"),
        }
    }
}

/// Over what the bytes travel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Transport {
    Tcp,
    Udp,
    /// DCE/RPC over TCP.
    Dce,
}

impl fmt::Display for Transport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Tcp => "tcp",
            Self::Udp => "udp",
            Self::Dce => "dce",
        })
    }
}

impl FromStr for Transport {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> Result<Self> {
        match text {
            "tcp" => Ok(Self::Tcp),
            "udp" => Ok(Self::Udp),
            "dce" => Ok(Self::Dce),
            _ => bail!("transport {text} is not tcp, udp or dce"),
        }
    }
}

/// The messages of one kind of work on a stream, with number 0, and where in them what differs is.
/// Echo payloads are [`pattern`].
#[derive(Debug)]
pub(crate) struct Frame {
    pub(crate) call: Vec<u8>,
    pub(crate) reply: Vec<u8>,
    /// Where the four bytes of the number are, in either.
    pub(crate) id: usize,
    /// The number's least significant byte comes first.
    little: bool,
    /// Where an echo's payload begins.
    pub(crate) call_data: usize,
    pub(crate) reply_data: usize,
}

impl Frame {
    pub(crate) fn of(work: Work, transport: Transport) -> Self {
        match transport {
            Transport::Tcp | Transport::Udp => Self {
                call: call_template(work),
                reply: reply_template(work),
                id: MARK,
                little: false,
                call_data: MARK + CALL_HEADER + 4,
                reply_data: MARK + REPLY_HEADER + 4,
            },
            Transport::Dce => Self {
                call: dce_call(work),
                reply: dce_reply(work),
                id: 12,
                little: true,
                call_data: DCE_HEAD + 8,
                reply_data: DCE_HEAD + 4,
            },
        }
    }

    /// The bytes of a number.
    #[inline]
    pub(crate) fn id_bytes(&self, id: u32) -> [u8; 4] {
        match self.little {
            true => id.to_le_bytes(),
            false => id.to_be_bytes(),
        }
    }

    /// The number in a message.
    #[inline]
    pub(crate) fn id_of(&self, message: &[u8]) -> Result<u32> {
        let bytes = message[self.id..self.id + 4].try_into()?;
        Ok(match self.little {
            true => u32::from_le_bytes(bytes),
            false => u32::from_be_bytes(bytes),
        })
    }
}

/// The bytes of a call of `work` with xid 0, record mark first.
pub(crate) fn call_template(work: Work) -> Vec<u8> {
    let mut call = Vec::new();
    let length = CALL_HEADER + work.arguments();
    put(&mut call, 0x8000_0000 | length as u32);
    for word in [0, 0, 2, PROGRAM, VERSION, work.procedure(), 0, 0, 0, 0] {
        put(&mut call, word);
    }
    match work {
        Work::Null | Work::Listening => {}
        Work::Echo(n) => {
            put(&mut call, n as u32);
            call.extend_from_slice(&pattern(n));
        }
        Work::Read(n) => put(&mut call, n as u32),
    }
    call
}

/// The bytes of the reply to that call, record mark first.
pub(crate) fn reply_template(work: Work) -> Vec<u8> {
    let mut reply = Vec::new();
    put(
        &mut reply,
        0x8000_0000 | (REPLY_HEADER + work.results()) as u32,
    );
    for word in [0, 1, 0, 0, 0, 0] {
        put(&mut reply, word);
    }
    if let Work::Echo(n) | Work::Read(n) = work {
        put(&mut reply, n as u32);
        reply.extend_from_slice(&pattern(n));
    }
    reply
}

/// The bytes of a request of `work` in one fragment, on presentation context 0.
fn dce_call(work: Work) -> Vec<u8> {
    let mut stub = Vec::new();
    if let Work::Echo(n) = work {
        stub.extend_from_slice(&(n as u32).to_le_bytes());
        stub.extend_from_slice(&(n as u32).to_le_bytes());
        stub.extend_from_slice(&pattern(n));
    }
    dce_pdu(0, work.procedure() as u16, &stub)
}

/// The bytes of the response to it.
fn dce_reply(work: Work) -> Vec<u8> {
    let mut stub = Vec::new();
    match work {
        Work::Null | Work::Read(_) => {}
        Work::Echo(n) => {
            stub.extend_from_slice(&(n as u32).to_le_bytes());
            stub.extend_from_slice(&pattern(n));
        }
        // A status of 0, and: yes.
        Work::Listening => stub.extend_from_slice(&[0, 0, 0, 0, 1, 0, 0, 0]),
    }
    dce_pdu(2, 0, &stub)
}

/// A request (type 0) or a response (type 2) in one fragment.
fn dce_pdu(ptype: u8, last: u16, stub: &[u8]) -> Vec<u8> {
    let mut pdu = vec![5, 0, ptype, 3, 0x10, 0, 0, 0];
    pdu.extend_from_slice(&((DCE_HEAD + stub.len()) as u16).to_le_bytes());
    pdu.extend_from_slice(&[0; 6]);
    pdu.extend_from_slice(&(stub.len() as u32).to_le_bytes());
    pdu.extend_from_slice(&[0, 0]);
    pdu.extend_from_slice(&last.to_le_bytes());
    pdu.extend_from_slice(stub);
    pdu
}

/// NDR 2.0, as a bind names it.
const NDR: [u8; 20] = [
    0x04, 0x5d, 0x88, 0x8a, 0xeb, 0x1c, 0xc9, 0x11, 0x9f, 0xe8, 0x08, 0x00, 0x2b, 0x10, 0x48, 0x60,
    2, 0, 0, 0,
];
/// The interface of `idl/bench_dce.idl`.
const BENCH: [u8; 20] = [
    0xc1, 0xe4, 0x0b, 0x0b, 0x1a, 0x6d, 0x0e, 0x4f, 0x9f, 0x57, 0x2f, 0x6a, 0x0c, 0x6d, 0x6e, 0x01,
    1, 0, 0, 0,
];
/// Remote management, C706 appendix Q.
const MANAGEMENT: [u8; 20] = [
    0x80, 0xbd, 0xa8, 0xaf, 0x8a, 0x7d, 0xc9, 0x11, 0xbe, 0xf4, 0x08, 0x00, 0x2b, 0x10, 0x29, 0x89,
    1, 0, 0, 0,
];

/// The `bind` before calls of `work`: one context, multiplexing.
pub(crate) fn dce_bind(work: Work) -> Vec<u8> {
    let mut bind = vec![5, 0, 11, 0x13, 0x10, 0, 0, 0, 72, 0, 0, 0, 1, 0, 0, 0];
    bind.extend_from_slice(&[0xd0, 0x16, 0xd0, 0x16, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 1, 0]);
    bind.extend_from_slice(match work {
        Work::Listening => &MANAGEMENT,
        _ => &BENCH,
    });
    bind.extend_from_slice(&NDR);
    bind
}

/// A `bind_ack` that accepts the one context.
pub(crate) fn dce_bind_ack() -> Vec<u8> {
    let mut ack = vec![5, 0, 12, 0x13, 0x10, 0, 0, 0, 56, 0, 0, 0, 1, 0, 0, 0];
    ack.extend_from_slice(&[0xd0, 0x16, 0xd0, 0x16, 1, 0, 0, 0, 0, 0, 0, 0]);
    ack.extend_from_slice(&[1, 0, 0, 0, 0, 0, 0, 0]);
    ack.extend_from_slice(&NDR);
    ack
}

/// Reads one PDU from the front of a stream.
pub(crate) fn read_pdu(stream: &mut impl Read) -> Result<Vec<u8>> {
    let mut pdu = vec![0; 16];
    stream.read_exact(&mut pdu)?;
    pdu.resize(usize::from(u16::from_le_bytes([pdu[8], pdu[9]])), 0);
    stream.read_exact(&mut pdu[16..])?;
    Ok(pdu)
}

/// The bytes every payload holds: no period a power of two would hide.
pub(crate) fn pattern(length: usize) -> Vec<u8> {
    (0..length).map(|i| (i % 251) as u8).collect()
}

/// Checks a read's payload: all of it (`thorough`), or its length and bytes spread over it.
pub(crate) fn check_read(body: &[u8], expected: &[u8], thorough: bool) -> Result<()> {
    ensure!(
        body.len() == expected.len(),
        "{} bytes read instead of {}",
        body.len(),
        expected.len()
    );
    let right = match thorough {
        true => body == expected,
        false => (0..body.len())
            .step_by(65_521)
            .all(|i| body[i] == expected[i]),
    };
    ensure!(right, "a read's payload is not the pattern");
    Ok(())
}

fn put(to: &mut Vec<u8>, word: u32) {
    to.extend_from_slice(&word.to_be_bytes());
}
