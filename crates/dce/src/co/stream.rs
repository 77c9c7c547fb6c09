//! The boundaries of PDUs on a byte stream.
//!
//! Read first: C706 section 12.6.3.1 (`frag_length`). A PDU that lies whole in what was received is handed out as a
//! place in it; one that is cut is put together in memory that grows with what arrives. A PDU is at most 65535 bytes
//! long, whatever was negotiated. This file looks at a header's length and order, and at nothing else.

use crate::pdu::cursor::widen;
use crate::pdu::header::{Header, HeaderError};
use bytes::{Bytes, BytesMut};
use std::ops::Range;

/// A whole PDU.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Pdu {
    /// In the batch, at this place.
    InBatch(Range<usize>),
    /// It came in several batches.
    Assembled(Bytes),
}

impl Pdu {
    /// The PDU's bytes; `batch` is what was handed to [`Splitter::next`].
    #[inline]
    #[must_use]
    pub fn slice<'a>(&'a self, batch: &'a [u8]) -> &'a [u8] {
        match self {
            Self::InBatch(range) => batch.get(range.clone()).unwrap_or_default(),
            Self::Assembled(bytes) => bytes,
        }
    }
}

/// What is known of a PDU that is not whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Start {
    /// None has begun.
    Nothing,
    /// The first byte, which says the version of the protocol.
    Version(u8),
    /// All of its header.
    Header(Header),
}

impl Start {
    /// Whether this cannot become a PDU of the protocol: what follows need not be waited for.
    // req: dce-first-bytes
    #[must_use]
    pub fn is_hopeless(&self) -> bool {
        match self {
            Self::Nothing => false,
            Self::Version(version) => !VERSIONS.contains(version),
            Self::Header(header) => header.check().is_err(),
        }
    }
}

/// First bytes of what may be a PDU, be it of another version: that is told which there is, once its header is here.
/// Others speak another protocol altogether.
pub const VERSIONS: std::ops::RangeInclusive<u8> = 1..=6;

/// Finds the PDUs of one received byte stream. Between PDUs it holds no memory.
#[derive(Debug, Default)]
pub struct Splitter {
    /// The beginning of a PDU that was cut.
    part: BytesMut,
}

impl Splitter {
    /// A splitter at the beginning of a stream.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The next whole PDU of `batch` from offset `at`, with its header; `at` moves past what was used.
    ///
    /// `None`: the batch is used up; the beginning of a PDU at its end was copied inside.
    ///
    /// # Errors
    /// [`HeaderError::FragLength`]: the stream has no more boundaries and must be closed.
    // req: dce-706-12.6.3-stream
    #[inline]
    pub fn next(
        &mut self,
        batch: &[u8],
        at: &mut usize,
    ) -> Result<Option<(Header, Pdu)>, HeaderError> {
        let rest = batch.get(*at..).unwrap_or_default();
        if self.part.is_empty()
            && let Some(header) = rest.first_chunk::<{ Header::LEN }>()
        {
            let header = Header::parse(header)?;
            let len = widen(header.frag_length);
            if len <= rest.len() {
                let end = at.saturating_add(len);
                let place = *at..end;
                *at = end;
                return Ok(Some((header, Pdu::InBatch(place))));
            }
        }
        self.assemble(rest, at)
    }

    /// What is known of a PDU that is not whole.
    #[must_use]
    pub fn start(&self) -> Start {
        match (self.part.first_chunk(), self.part.first()) {
            (Some(header), _) => Header::parse(header).map_or(Start::Nothing, Start::Header),
            (None, Some(version)) => Start::Version(*version),
            (None, None) => Start::Nothing,
        }
    }

    /// Whether a PDU has begun that is not whole.
    #[inline]
    #[must_use]
    pub fn is_partial(&self) -> bool {
        !self.part.is_empty()
    }

    /// Bytes held for it.
    #[must_use]
    pub fn held(&self) -> usize {
        self.part.capacity()
    }

    #[cold]
    fn assemble(
        &mut self,
        mut rest: &[u8],
        at: &mut usize,
    ) -> Result<Option<(Header, Pdu)>, HeaderError> {
        if self.part.len() < Header::LEN {
            let missing = Header::LEN.saturating_sub(self.part.len());
            rest = self.take(rest, missing, at);
        }
        let Some(header) = self.part.first_chunk::<{ Header::LEN }>() else {
            return Ok(None);
        };
        let header = Header::parse(header)?;
        let missing = widen(header.frag_length).saturating_sub(self.part.len());
        self.take(rest, missing, at);
        if self.part.len() < widen(header.frag_length) {
            return Ok(None);
        }
        let whole = std::mem::take(&mut self.part).freeze();
        Ok(Some((header, Pdu::Assembled(whole))))
    }

    /// Keeps at most `n` bytes of `rest` and returns what is left.
    fn take<'b>(&mut self, rest: &'b [u8], n: usize, at: &mut usize) -> &'b [u8] {
        let (piece, tail) = rest.split_at_checked(n).unwrap_or((rest, &[]));
        self.part.extend_from_slice(piece);
        *at = at.saturating_add(piece.len());
        tail
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing)]
mod tests {
    use super::*;

    /// Two PDUs without bodies that matter: an orphaned of 16 bytes and a shutdown of 20, big-endian.
    fn stream() -> Vec<u8> {
        let mut bytes = vec![5, 0, 19, 3, 0x10, 0, 0, 0, 16, 0, 0, 0, 7, 0, 0, 0];
        bytes.extend([5, 0, 17, 3, 0, 0, 0, 0, 0, 20, 0, 0, 0, 0, 0, 9, 1, 2, 3, 4]);
        bytes
    }

    fn all(cuts: &[usize]) -> Vec<(u32, Vec<u8>)> {
        let (bytes, mut splitter, mut found) = (stream(), Splitter::new(), Vec::new());
        let mut from = 0;
        for to in cuts.iter().copied().chain([bytes.len()]) {
            let (batch, mut at) = (&bytes[from..to], 0);
            while let Some((header, pdu)) = splitter.next(batch, &mut at).unwrap() {
                found.push((header.call_id, pdu.slice(batch).to_vec()));
            }
            assert_eq!(at, batch.len());
            from = to;
        }
        assert!(!splitter.is_partial());
        found
    }

    #[test]
    fn every_pair_of_cuts_gives_the_same_pdus() {
        let whole = all(&[]);
        assert_eq!(whole.len(), 2);
        assert_eq!((whole[0].0, whole[1].0), (7, 9));
        for a in 0..stream().len() {
            for b in a..stream().len() {
                assert_eq!(all(&[a, b]), whole, "cut at {a} and {b}");
            }
        }
    }

    #[test]
    fn a_length_below_the_header_ends_the_stream() {
        for len in 0..16 {
            let mut bytes = stream();
            bytes[8] = len;
            let error = Err(HeaderError::FragLength(len.into()));
            assert_eq!(Splitter::new().next(&bytes, &mut 0), error);
            // Also if the header itself came in two parts.
            let mut splitter = Splitter::new();
            assert_eq!(splitter.next(&bytes[..9], &mut 0), Ok(None));
            assert_eq!(splitter.next(&bytes[9..], &mut 0), error);
        }
    }

    #[test]
    fn what_cannot_become_a_pdu_is_known_early() {
        let begun = |bytes: &[u8]| {
            let mut splitter = Splitter::new();
            assert_eq!(splitter.next(bytes, &mut 0), Ok(None));
            splitter.start()
        };
        assert_eq!(Splitter::new().start(), Start::Nothing);
        assert_eq!(begun(&[5, 0]), Start::Version(5));
        assert!(!begun(&[5, 0]).is_hopeless() && !Start::Nothing.is_hopeless());
        for other in [0, 7, 0x16, b'G', 0xff] {
            assert_eq!(begun(&[other]), Start::Version(other));
            assert!(begun(&[other]).is_hopeless());
        }
        let header = [5, 0, 0, 3, 0x10, 0, 0, 0, 0xff, 0xff, 0, 0, 7, 0, 0, 0];
        assert!(matches!(begun(&header), Start::Header(header) if header.call_id == 7));
        assert!(!begun(&header).is_hopeless());
        // The version, EBCDIC, a VAX's floats, a verifier longer than all.
        for (at, byte) in [(0, 4), (1, 2), (4, 0x11), (5, 1), (11, 0xff)] {
            let mut wrong = header;
            (wrong[at], wrong[9]) = (byte, 0x7f);
            assert!(begun(&wrong).is_hopeless(), "byte {at}");
        }
    }

    #[test]
    fn memory_grows_with_what_arrives() {
        let mut splitter = Splitter::new();
        let header = [5, 0, 0, 3, 0x10, 0, 0, 0, 0xff, 0xff, 0, 0, 7, 0, 0, 0];
        assert_eq!(splitter.next(&header, &mut 0), Ok(None));
        assert!(splitter.is_partial() && splitter.held() < 1024);
    }
}
