//! Record marking: the boundaries of messages on a byte stream.
//!
//! Read first: RFC 5531 section 11, "Record Marking Standard". A record is one message; it travels as one or
//! more fragments, each behind a four-byte mark (bit 31: last fragment; bits 30..0: length of what follows).
//! Received fragments may be cut anywhere, also inside a word, and may be empty. What we send is always exactly
//! one fragment ([`mark`]), because several deployed servers reset a connection that carries more.
//!
//! This file does not look into messages and does no I/O.

use bytes::{Bytes, BytesMut};
use std::fmt;
use std::ops::Range;

/// Bit 31 of a mark: this fragment ends its record.
const LAST: u32 = 0x8000_0000;

/// Largest length one mark can carry, in bytes.
pub const MAX_FRAGMENT: u32 = 0x7fff_ffff;

/// How much of one payload may be reserved before its bytes have arrived.
const FIRST_ROOM: usize = 64 * 1024;

/// How many times the bytes that have arrived may be reserved for those that have not: a claim is believed as far
/// as the peer has paid for it. Growing in smaller steps would copy a large record several times.
const AHEAD: usize = 3;

/// The same for a peer that has just sent a record as long as that: its next one is then put together without
/// being copied.
const FAR_AHEAD: usize = 16;

/// What one record may take; checked as soon as the four bytes of a mark are known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RecordLimits {
    /// Largest record in bytes, over all its fragments. Range 1..=[`MAX_FRAGMENT`], default 4 MiB.
    pub record: u32,
    /// Most fragments of one record, empty ones counted. Default 1024.
    pub fragments: u32,
}

impl Default for RecordLimits {
    fn default() -> Self {
        Self {
            record: 4 << 20,
            fragments: 1024,
        }
    }
}

/// One complete record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Record {
    /// The record lies whole in the batch that was handed in, at this place.
    InBatch(Range<usize>),
    /// The record came in several fragments or several batches and was put together.
    Assembled(Bytes),
}

impl Record {
    /// The record's bytes; `batch` is what was handed to [`Assembler::next`]. Not a copy.
    #[inline]
    #[must_use]
    pub fn bytes(&self, batch: &Bytes) -> Bytes {
        match self {
            Self::InBatch(range) if batch.get(range.clone()).is_some() => {
                batch.slice(range.clone())
            }
            Self::InBatch(_) => Bytes::new(),
            Self::Assembled(bytes) => bytes.clone(),
        }
    }
}

/// Why a byte stream has no more record boundaries. The connection must be closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum RecordError {
    /// A mark claims more than [`RecordLimits::record`] allows.
    TooLarge {
        /// The record's length so far plus what the mark claims.
        claimed: u64,
        /// [`RecordLimits::record`].
        limit: u32,
    },
    /// A record comes in more than [`RecordLimits::fragments`] fragments.
    TooManyFragments {
        /// [`RecordLimits::fragments`].
        limit: u32,
    },
    /// A record without a single byte.
    Empty,
    /// The first word of a record is not a mark but the beginning of another protocol.
    Foreign(ForeignProtocol),
    /// The driver put more bytes into [`Assembler::buffer`] than [`Assembler::pending`] allowed.
    Overrun {
        /// Bytes the driver added.
        added: usize,
        /// Bytes the fragment lacked.
        pending: usize,
    },
}

impl fmt::Display for RecordError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooLarge { claimed, limit } => {
                write!(
                    f,
                    "record of {claimed} bytes, limit {limit} (RecordLimits::record)"
                )
            }
            Self::TooManyFragments { limit } => {
                write!(
                    f,
                    "record in more than {limit} fragments (RecordLimits::fragments)"
                )
            }
            Self::Empty => f.write_str("empty record"),
            Self::Foreign(protocol) => write!(f, "the peer speaks {protocol}, not ONC RPC"),
            Self::Overrun { added, pending } => {
                write!(f, "{added} bytes added to a fragment that lacked {pending}")
            }
        }
    }
}

impl std::error::Error for RecordError {}

/// A protocol whose first four bytes give it away where a record mark is expected.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ForeignProtocol {
    /// HTTP, request or response.
    Http,
    /// A TLS handshake or alert without the STARTTLS probe before it.
    Tls,
    /// A PROXY protocol header, version 1 or 2.
    ProxyHeader,
    /// SSH.
    Ssh,
    /// A DCE/RPC connection-oriented PDU.
    DceRpc,
    /// A line-based text protocol: memcached, Redis, SMTP and the like.
    Text,
}

impl fmt::Display for ForeignProtocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Http => "HTTP",
            Self::Tls => "TLS",
            Self::ProxyHeader => "the PROXY protocol",
            Self::Ssh => "SSH",
            Self::DceRpc => "DCE/RPC",
            Self::Text => "a text protocol",
        })
    }
}

/// Which protocol a stream that begins like this belongs to, if it is a known one.
///
/// Meant for the log when a mark was refused: read as a mark, each of these claims many megabytes.
#[must_use]
pub fn foreign(first: [u8; 4]) -> Option<ForeignProtocol> {
    match &first {
        b"GET " | b"POST" | b"PUT " | b"HEAD" | b"OPTI" | b"DELE" | b"CONN" | b"PATC" | b"TRAC"
        | b"HTTP" | b"PRI " | b"RPC_" => Some(ForeignProtocol::Http),
        [0x14..=0x17, 0x03, 0x00..=0x04, _] => Some(ForeignProtocol::Tls),
        b"PROX" | b"\r\n\r\n" => Some(ForeignProtocol::ProxyHeader),
        b"SSH-" => Some(ForeignProtocol::Ssh),
        [0x05, 0x00 | 0x01, 0x00..=0x13, _] => Some(ForeignProtocol::DceRpc),
        // Four printable characters are at least 0x20202020: a claim of half a gigabyte.
        text if text
            .iter()
            .all(|b| matches!(b, b' '..=b'~' | b'\r' | b'\n' | b'\t')) =>
        {
            Some(ForeignProtocol::Text)
        }
        _ => None,
    }
}

/// The mark before a message that is sent as one fragment of `len` bytes.
///
/// `len` must not pass [`MAX_FRAGMENT`]; the encoders of this crate refuse longer messages, and a longer length
/// is cut to it here.
// req: onc-5531-11-send
#[inline]
#[must_use]
pub fn mark(len: usize) -> [u8; 4] {
    (u32::try_from(len).unwrap_or(MAX_FRAGMENT).min(MAX_FRAGMENT) | LAST).to_be_bytes()
}

/// The record that lies whole, in one fragment of at most `limit` bytes, at the front of `rest`: what
/// [`Assembler::next`] would find there between two records. Behind it, four bytes farther, lies the next.
#[inline]
#[must_use]
pub fn whole(rest: &[u8], limit: u32) -> Option<&[u8]> {
    let (mark, payload) = rest.split_first_chunk::<4>()?;
    // Without the last-fragment bit, `len` is beyond any limit: one comparison checks both, and zero wraps around.
    let len = u32::from_be_bytes(*mark) ^ LAST;
    if len.wrapping_sub(1) < limit {
        payload.get(..widen(len))
    } else {
        None
    }
}

/// Where the stream stands between two calls of [`Assembler::next`].
#[derive(Clone, Copy, Debug)]
enum Stage {
    /// Between two records.
    Idle,
    /// In a mark, of which `have` bytes are known; also between two fragments, with none.
    Mark { bytes: [u8; 4], have: usize },
    /// In a fragment, of which `left` bytes are missing.
    Payload { left: usize, last: bool },
}

/// Finds the records of one received byte stream.
///
/// Feed it each batch of received bytes by calling [`next`](Self::next) until it returns `None`. A record that
/// lies whole in a batch costs neither a copy nor an allocation. Between records it holds no memory.
#[derive(Debug)]
pub struct Assembler {
    limits: RecordLimits,
    stage: Stage,
    fragments: u32,
    /// The payload of the record so far.
    body: BytesMut,
    /// How much of `body` has been counted against the current fragment.
    counted: usize,
    /// Length of the last record that was put together: one as long is believed earlier.
    proved: usize,
}

impl Assembler {
    /// An assembler at the beginning of a stream.
    #[must_use]
    pub fn new(limits: RecordLimits) -> Self {
        let limits = RecordLimits {
            record: limits.record.min(MAX_FRAGMENT),
            ..limits
        };
        Self {
            limits,
            stage: Stage::Idle,
            fragments: 0,
            body: BytesMut::new(),
            counted: 0,
            proved: 0,
        }
    }

    /// The next complete record of `batch` from offset `at`, which moves past what was used.
    ///
    /// `None`: the batch is used up; the beginning of a record at its end was copied inside.
    ///
    /// # Errors
    /// [`RecordError`] when the stream breaks a limit or is not a record stream; the connection must be closed.
    // req: onc-5531-11-receive
    #[inline]
    pub fn next(&mut self, batch: &[u8], at: &mut usize) -> Result<Option<Record>, RecordError> {
        let rest = batch.get(*at..).unwrap_or_default();
        if let (Stage::Idle, Some(message)) = (self.stage, whole(rest, self.limits.record)) {
            let start = at.saturating_add(4);
            *at = start.saturating_add(message.len());
            return Ok(Some(Record::InBatch(start..*at)));
        }
        self.assemble(rest, at)
    }

    /// How far a half received record is: `None` between records, otherwise the bytes its current fragment
    /// still lacks, which is 0 as long as the next mark is not known.
    #[must_use]
    pub fn pending(&self) -> Option<usize> {
        match self.stage {
            Stage::Idle => None,
            Stage::Mark { .. } => Some(0),
            Stage::Payload { left, .. } => Some(left),
        }
    }

    /// Bytes held for a half received record.
    #[must_use]
    pub fn held(&self) -> usize {
        self.body.capacity()
    }

    /// How much a driver should reserve in [`buffer`](Self::buffer) for its next read: never more than
    /// [`pending`](Self::pending), and growing with what has arrived instead of with what was claimed, now or in
    /// the record before.
    #[must_use]
    pub fn room(&self) -> usize {
        self.pending()
            .unwrap_or(0)
            .min(self.ahead(self.body.len()).max(FIRST_ROOM))
    }

    /// How much may be reserved behind `arrived` bytes of a record.
    fn ahead(&self, arrived: usize) -> usize {
        let few = arrived.saturating_mul(AHEAD);
        match arrived.saturating_mul(FAR_AHEAD) >= self.proved {
            true => few.max(self.proved.saturating_sub(self.body.len())),
            false => few,
        }
    }

    /// The payload so far: a driver may append received bytes here, at most [`pending`](Self::pending) of
    /// them, and must call [`filled`](Self::filled) afterwards.
    #[must_use]
    pub fn buffer(&mut self) -> &mut BytesMut {
        &mut self.body
    }

    /// Takes note of what the driver appended to [`buffer`](Self::buffer); returns the record if that was its
    /// end. (It is never [`Record::InBatch`].)
    ///
    /// # Errors
    /// [`RecordError::Overrun`] when more was appended than was pending, [`RecordError::Empty`] never.
    pub fn filled(&mut self) -> Result<Option<Record>, RecordError> {
        let added = self.body.len().saturating_sub(self.counted);
        let Stage::Payload { left, last } = self.stage else {
            return if added == 0 {
                Ok(None)
            } else {
                Err(RecordError::Overrun { added, pending: 0 })
            };
        };
        let Some(left) = left.checked_sub(added) else {
            return Err(RecordError::Overrun {
                added,
                pending: left,
            });
        };
        self.counted = self.body.len();
        self.stage = Stage::Payload { left, last };
        if left == 0 {
            self.end_fragment(last)
        } else {
            Ok(None)
        }
    }

    /// The way for everything that is not one whole fragment in one batch.
    #[cold]
    fn assemble(&mut self, mut rest: &[u8], at: &mut usize) -> Result<Option<Record>, RecordError> {
        loop {
            let took = match self.stage {
                Stage::Idle if rest.is_empty() => return Ok(None),
                Stage::Idle => {
                    self.stage = Stage::Mark {
                        bytes: [0; 4],
                        have: 0,
                    };
                    0
                }
                Stage::Mark { bytes, have } => self.take_mark(bytes, have, rest)?,
                Stage::Payload { left, .. } => {
                    let piece = rest.get(..left).unwrap_or(rest);
                    let arrived = self.body.len().saturating_add(piece.len());
                    let ahead = self.ahead(arrived).max(piece.len());
                    self.body.reserve(left.min(ahead));
                    self.body.extend_from_slice(piece);
                    piece.len()
                }
            };
            *at = at.saturating_add(took);
            rest = rest.get(took..).unwrap_or_default();
            if let Some(record) = self.filled()? {
                return Ok(Some(record));
            }
            // Only a fragment without payload ends without a further byte.
            if rest.is_empty() && !matches!(self.stage, Stage::Payload { left: 0, .. }) {
                return Ok(None);
            }
        }
    }

    /// Adds what `rest` has of the current mark and begins the fragment when it is complete; returns how many
    /// bytes were used.
    fn take_mark(
        &mut self,
        mut bytes: [u8; 4],
        have: usize,
        rest: &[u8],
    ) -> Result<usize, RecordError> {
        let mut took = 0_usize;
        for (to, from) in bytes.iter_mut().skip(have).zip(rest) {
            *to = *from;
            took = took.saturating_add(1);
        }
        let have = have.saturating_add(took);
        self.stage = Stage::Mark { bytes, have };
        if have == 4 {
            self.begin_fragment(bytes)?;
        }
        Ok(took)
    }

    /// Checks a mark against the limits before a byte of its fragment is kept.
    // req: onc-record-caps
    fn begin_fragment(&mut self, bytes: [u8; 4]) -> Result<(), RecordError> {
        let word = u32::from_be_bytes(bytes);
        let len = word & MAX_FRAGMENT;
        let claimed = widen(len).saturating_add(self.body.len());
        if claimed > widen(self.limits.record) {
            if let (0, Some(protocol)) = (self.fragments, foreign(bytes)) {
                return Err(RecordError::Foreign(protocol));
            }
            let claimed = u64::try_from(claimed).unwrap_or(u64::MAX);
            return Err(RecordError::TooLarge {
                claimed,
                limit: self.limits.record,
            });
        }
        self.fragments = self.fragments.saturating_add(1);
        if self.fragments > self.limits.fragments {
            return Err(RecordError::TooManyFragments {
                limit: self.limits.fragments,
            });
        }
        self.stage = Stage::Payload {
            left: widen(len),
            last: word & LAST != 0,
        };
        Ok(())
    }

    /// Ends the current fragment, and with the last one the record.
    fn end_fragment(&mut self, last: bool) -> Result<Option<Record>, RecordError> {
        if !last {
            self.stage = Stage::Mark {
                bytes: [0; 4],
                have: 0,
            };
            return Ok(None);
        }
        if self.body.is_empty() {
            return Err(RecordError::Empty);
        }
        self.stage = Stage::Idle;
        self.fragments = 0;
        self.counted = 0;
        self.proved = self.body.len();
        Ok(Some(Record::Assembled(
            std::mem::take(&mut self.body).freeze(),
        )))
    }
}

/// A wire length as a length in memory.
#[inline]
fn widen(len: u32) -> usize {
    usize::try_from(len).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests;
