//! What is exchanged: the kinds of work, their sizes on the wire, and the bytes a reply must hold.
//!
//! The layouts are ONC RPC's (RFC 5531 sections 9 and 11) with AUTH_NONE throughout; every raw
//! program and the load generator build on the same figures.

use std::fmt;
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

/// One call's work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Work {
    /// Nothing in, nothing out.
    Null,
    /// That many bytes in and the same bytes out. A multiple of four.
    Echo(usize),
    /// A number in, that many bytes of [`pattern`] out. A multiple of four.
    Read(usize),
}

impl Work {
    pub(crate) fn procedure(self) -> u32 {
        match self {
            Self::Null => 0,
            Self::Echo(_) => 1,
            Self::Read(_) => 2,
        }
    }

    /// Bytes of a call's arguments.
    pub(crate) fn arguments(self) -> usize {
        match self {
            Self::Null => 0,
            Self::Echo(n) => 4 + n,
            Self::Read(_) => 4,
        }
    }

    /// Bytes of a reply's results.
    pub(crate) fn results(self) -> usize {
        match self {
            Self::Null => 0,
            Self::Echo(n) | Self::Read(n) => 4 + n,
        }
    }

    /// Payload bytes a reply carries, for GB/s.
    pub(crate) fn payload(self) -> usize {
        match self {
            Self::Null => 0,
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
        }
    }
}

impl FromStr for Work {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> Result<Self> {
        if text == "null" {
            return Ok(Self::Null);
        }
        let (kind, size) = text
            .split_once(':')
            .context("work is null, echo:N or read:N")?;
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
}

impl fmt::Display for Transport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Tcp => "tcp",
            Self::Udp => "udp",
        })
    }
}

impl FromStr for Transport {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> Result<Self> {
        match text {
            "tcp" => Ok(Self::Tcp),
            "udp" => Ok(Self::Udp),
            _ => bail!("transport {text} is not tcp or udp"),
        }
    }
}

/// The bytes of a call of `work` with xid 0, record mark first. Echo payloads are [`pattern`].
pub(crate) fn call_template(work: Work) -> Vec<u8> {
    let mut call = Vec::new();
    let length = CALL_HEADER + work.arguments();
    put(&mut call, 0x8000_0000 | length as u32);
    for word in [0, 0, 2, PROGRAM, VERSION, work.procedure(), 0, 0, 0, 0] {
        put(&mut call, word);
    }
    match work {
        Work::Null => {}
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
