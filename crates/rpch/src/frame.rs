//! The boundaries of PDUs on a channel, and what else may stand at one.
//!
//! Read first: C706 section 12.6.3.1 (`frag_length`), MS-RPCH section 2.1.1.2.1 (the legacy server response). A PDU that
//! lies whole in what was received is handed out without a copy, unless it is small: whoever keeps it would keep all that
//! was received with it. One that is cut is put together in memory that grows with what arrives. A server may begin with its banner; a proxy may, instead of a PDU, put an HTTP status line into
//! the body of an OUT channel. This file looks at no PDU's meaning.

use crate::failure::Failure;
use bytes::{Buf, Bytes, BytesMut};
use farcall_dce::pdu::header::{Header, PacketType};

/// What a server says when a connection is accepted.
pub const BANNER: &[u8; 14] = b"ncacn_http/1.0";

/// PDUs of so many bytes are copied out of what was received.
const LITTLE: usize = 4 << 10;

/// Longest status line in a body, in bytes (MS-RPCH section 2.1.2.1.3).
const LINE: usize = 1024;

/// What stood at a boundary.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Frame {
    /// An RTS PDU, unparsed.
    Rts(Bytes),
    /// Any other PDU: its header is sound, and it is as long as that says.
    Rpc(Bytes),
    /// The server's banner.
    Banner,
    /// A line that begins like an HTTP response, without its end.
    Line(Bytes),
}

/// Finds the PDUs of one received byte stream. Between PDUs it holds no memory.
#[derive(Debug, Default)]
pub struct Splitter {
    part: BytesMut,
    banner: bool,
    lines: bool,
}

impl Splitter {
    /// A splitter at the beginning of a stream of PDUs.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The same, where a banner may come first.
    #[must_use]
    pub fn with_banner(mut self) -> Self {
        self.banner = true;
        self
    }

    /// The same, where a status line may come instead of a PDU.
    #[must_use]
    pub fn with_lines(mut self) -> Self {
        self.lines = true;
        self
    }

    /// Whether a PDU has begun that is not whole.
    #[must_use]
    pub fn is_partial(&self) -> bool {
        !self.part.is_empty()
    }

    /// The next frame of `input`, which loses what was used. `None`: `input` is used up.
    ///
    /// # Errors
    /// [`Failure::Header`] and [`Failure::Violation`]: the stream has no more boundaries.
    pub fn next(&mut self, input: &mut Bytes) -> Result<Option<Frame>, Failure> {
        if self.part.is_empty() {
            if input.is_empty() {
                return Ok(None);
            }
            let need = self.need(input)?;
            if need <= input.len() && need >= Header::LEN {
                let mut whole = input.split_to(need);
                if need <= LITTLE || need.saturating_mul(4) < input.len() {
                    whole = Bytes::copy_from_slice(&whole);
                }
                return self.frame(whole).map(Some);
            }
        }
        loop {
            let need = self.need(&self.part)?;
            if !self.part.is_empty() && self.part.len() >= need {
                let whole = std::mem::take(&mut self.part).freeze();
                return self.frame(whole).map(Some);
            }
            if input.is_empty() {
                return Ok(None);
            }
            let step = need.saturating_sub(self.part.len()).min(input.len());
            self.part
                .extend_from_slice(input.get(..step).unwrap_or_default());
            input.advance(step);
        }
    }

    /// How many bytes are needed before more can be said about what begins like this.
    fn need(&self, begun: &[u8]) -> Result<usize, Failure> {
        match begun.first() {
            None => Ok(1),
            Some(b'n') if self.banner => Ok(BANNER.len()),
            Some(b'H') if self.lines => line_need(begun),
            Some(version) if *version != 5 || begun.get(1).is_some_and(|minor| *minor > 1) => {
                Err(Failure::Violation("what begins here is no PDU"))
            }
            Some(_) => match begun.first_chunk::<{ Header::LEN }>() {
                None => Ok(Header::LEN),
                Some(header) => {
                    let header = Header::parse(header)?;
                    // What is wrong is not waited for.
                    header.check()?;
                    Ok(usize::from(header.frag_length))
                }
            },
        }
    }

    fn frame(&mut self, whole: Bytes) -> Result<Frame, Failure> {
        if self.banner && whole.first() == Some(&b'n') {
            self.banner = false;
            return match whole == BANNER[..] {
                true => Ok(Frame::Banner),
                false => Err(Failure::Violation("the server's banner is another")),
            };
        }
        if self.lines && whole.first() == Some(&b'H') {
            let end = whole.len().saturating_sub(1);
            let line = whole.slice(..end);
            let end = line
                .len()
                .saturating_sub(usize::from(line.last() == Some(&b'\r')));
            return Ok(Frame::Line(line.slice(..end)));
        }
        self.banner = false;
        let Some(header) = whole.first_chunk::<{ Header::LEN }>() else {
            return Err(Failure::Violation("a PDU without a header"));
        };
        let header = Header::parse(header)?;
        match header.ptype {
            PacketType::RTS => Ok(Frame::Rts(whole)),
            _ => Ok(Frame::Rpc(whole)),
        }
    }
}

/// One more byte until there is a line end.
fn line_need(begun: &[u8]) -> Result<usize, Failure> {
    match begun.iter().position(|byte| *byte == b'\n') {
        Some(at) => Ok(at.saturating_add(1)),
        None if begun.len() >= LINE => Err(Failure::Violation("a status line without an end")),
        None => Ok(begun.len().saturating_add(1)),
    }
}

#[cfg(test)]
#[allow(clippy::indexing_slicing, clippy::arithmetic_side_effects)]
mod tests {
    use super::*;

    /// The header of a PDU that is not whole.
    const BEGUN: [u8; 16] = [5, 0, 0, 3, 0x10, 0, 0, 0, 0xff, 0xff, 0, 0, 1, 0, 0, 0];

    fn next(bytes: &[u8]) -> Result<Option<Frame>, Failure> {
        Splitter::new().next(&mut Bytes::copy_from_slice(bytes))
    }

    #[test]
    fn what_is_wrong_with_a_header_is_not_waited_for() {
        for len in 1..=BEGUN.len() {
            assert_eq!(next(&BEGUN[..len]), Ok(None), "{len}");
        }
        assert!(next(&[4]).is_err() && next(&[5, 2]).is_err());
        // The version, the data representation, a length below the header's, a verifier longer than the PDU.
        let wrong: [(usize, &[u8]); 6] = [
            (0, &[4]),
            (1, &[2]),
            (4, &[0x20]),
            (5, &[1]),
            (8, &[8, 0]),
            (10, &[0xff, 0xff]),
        ];
        for (at, wrong) in wrong {
            let mut begun = BEGUN;
            begun[at..at + wrong.len()].copy_from_slice(wrong);
            // Whole or byte by byte.
            assert!(next(&begun).is_err(), "byte {at}");
            let mut splitter = Splitter::new();
            let cut = begun.chunks(1).map(Bytes::copy_from_slice);
            let mut results = cut.map(|mut byte| splitter.next(&mut byte));
            assert!(results.any(|result| result.is_err()), "byte {at}");
        }
    }

    #[test]
    fn a_small_pdu_does_not_keep_what_was_received_with_it() {
        let mut read = vec![0; 64 << 10];
        read[..8].copy_from_slice(&[5, 0, 0, 3, 0x10, 0, 0, 0]);
        read[8] = 24;
        let last = read.len() - 24;
        read.copy_within(..24, last);
        for at in [0, last] {
            let mut input = Bytes::from(read.clone()).slice(at..);
            let lies = input.as_ptr_range();
            let Ok(Some(Frame::Rpc(pdu))) = Splitter::new().next(&mut input) else {
                unreachable!("it is a PDU");
            };
            assert!(pdu.len() == 24 && !lies.contains(&pdu.as_ptr()));
        }
    }
}
