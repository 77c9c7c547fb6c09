//! A request of which fragments are missing.
//!
//! Read first: C706 section 12.6.2 (fragmentation) and MS-RPCE section 3.3.3.3.1. What `alloc_hint` promises reserves
//! nothing, but a promise beyond the limit is refused at once; sums are checked before bytes are kept.

use crate::co::server::contexts::Context;
use crate::co::server::event::ReplyTo;
use crate::co::server::security::Proved;
use crate::pdu::call::Request;
use crate::pdu::header::{Flags, Header};
use crate::pdu::verification;
use bytes::{Buf as _, Bytes, BytesMut};

/// A request over its limit: fault access denied, and close.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct TooLarge;

/// What the first fragment of a request said.
#[derive(Clone, Debug)]
pub(super) struct First {
    pub(super) header: Header,
    pub(super) request: Request,
    pub(super) context: Context,
    pub(super) proved: Proved,
}

/// A request of which fragments are missing.
pub(super) struct Partial {
    pub(super) first: First,
    stub: BytesMut,
    /// Bytes of stub so far.
    len: usize,
    /// Whether they are kept: those of a caller who may not call are only counted.
    keep: bool,
    /// The call, if it was handed out and its fragments are, one by one.
    pub(super) open: Option<ReplyTo>,
    /// The client has given the open call up: the rest of it need not come.
    pub(super) orphaned: bool,
}

/// As much of the end of an open call's stub as a verification trailer may begin in, in bytes.
const TAIL: usize = verification::WINDOW + 4;

impl Partial {
    /// Begins a call that is handed out with its first fragment.
    pub(super) fn opened(first: First, to: ReplyTo, piece: &[u8]) -> Self {
        let mut partial = Self {
            stub: BytesMut::new(),
            len: 0,
            keep: false,
            open: Some(to),
            orphaned: false,
            first,
        };
        partial.pass(piece);
        partial
    }

    /// Takes note of a fragment that is handed out: only the end of the stub is kept.
    pub(super) fn pass(&mut self, piece: &[u8]) {
        self.stub.extend_from_slice(piece);
        // What is kept begins at a multiple of four of the stub.
        let over = self.stub.len().saturating_sub(TAIL) & !3;
        self.stub.advance(over);
    }

    /// The end of the stub so far.
    pub(super) fn tail(&mut self) -> Bytes {
        self.stub.split().freeze()
    }

    /// Begins with the first fragment, whose stub is `piece`.
    // req: dce-rpce-request-limit
    pub(super) fn begin(
        first: First,
        piece: &[u8],
        limit: usize,
        keep: bool,
    ) -> Result<Self, TooLarge> {
        let mut partial = Self {
            stub: BytesMut::new(),
            len: 0,
            keep,
            open: None,
            orphaned: false,
            first,
        };
        let hint = partial.first.request.alloc_hint;
        partial.push(piece, hint, limit)?;
        Ok(partial)
    }

    /// Adds a fragment.
    pub(super) fn push(&mut self, piece: &[u8], hint: u32, limit: usize) -> Result<(), TooLarge> {
        let room = limit.checked_sub(self.len).ok_or(TooLarge)?;
        let hint = usize::try_from(hint).map_err(|_| TooLarge)?;
        if hint > room || piece.len() > room {
            return Err(TooLarge);
        }
        self.len = self.len.saturating_add(piece.len());
        if self.keep {
            self.stub.extend_from_slice(piece);
        }
        Ok(())
    }

    /// Memory held for it, in bytes.
    #[cfg(test)]
    pub(super) fn held(&self) -> usize {
        self.stub.capacity()
    }

    /// Whether a fragment can be a further one: everything but its flags must be as in the first.
    // req: dce-706-12.6.2-same
    pub(super) fn fits(&self, header: &Header) -> bool {
        header.drep == self.first.header.drep && !header.flags.has(Flags::FIRST)
    }

    /// The whole.
    pub(super) fn finish(self) -> (First, Bytes) {
        (self.first, self.stub.freeze())
    }
}
