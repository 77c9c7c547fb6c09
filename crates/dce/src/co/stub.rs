//! Where the arguments of a call or its results lie. This file does not look into them.

use bytes::Bytes;
use std::ops::Range;

/// Where the stub of a request or of a response lies.
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
