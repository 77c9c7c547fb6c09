//! Connection-oriented associations: the protocol on one byte stream, from both ends.
//!
//! Read first: C706 chapters 9 to 12 with MS-RPCE sections 2.2.2 and 3.3. A client binds an association and
//! calls over it; the server's half judges every PDU and yields whole calls.

pub mod group;
pub mod server;
pub mod client;

use bytes::Bytes;
use std::ops::Range;

/// Where the stub of a call or of a response lies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Stub {
    /// In the batch that was handed in, at this place: one unprotected fragment that lies whole in it.
    InBatch(Range<usize>),
    /// In memory of its own: it came in several fragments or reads, or was decrypted.
    Own(Bytes),
}

impl Stub {
    /// The stub's bytes; `batch` is what was handed in. Not a copy.
    #[inline]
    #[must_use]
    pub fn bytes(&self, batch: &Bytes) -> Bytes {
        match self {
            Self::InBatch(range) if batch.get(range.clone()).is_some() => {
                batch.slice(range.clone())
            }
            Self::InBatch(_) => Bytes::new(),
            Self::Own(bytes) => bytes.clone(),
        }
    }
}
