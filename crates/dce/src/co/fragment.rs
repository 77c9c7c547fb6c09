//! How a message becomes fragments on the wire, protected or not, and how a protected fragment is opened.
//!
//! Read first: C706 section 12.6.2 (fragmentation) and MS-RPCE sections 2.2.2.11 and 3.3.1.5.2 (what a signature
//! covers, and that each fragment is protected by itself). `alloc_hint` tells what is left, this fragment included. A
//! fragment of a level below packet carries no token.

use crate::pdu::auth::{self, Trailer, Verifier};
use crate::pdu::call::{Request, Response};
use crate::pdu::cursor::{hint, u16_as, u32_as, uuid_as, widen};
use crate::pdu::header::{Flags, PacketType, drep};
use crate::security::{AuthLevel, AuthType, ProtectError, Protection};
use crate::syntax::{Order, Uuid};
use farcall_wire::TransmitQueue;
use std::ops::Range;

/// Largest fragment that everybody must be able to receive (`MustRecvFragSize`), in bytes.
pub const MUST_RECV_FRAG: u16 = 1432;

/// Least fragment that is agreed on, as Windows has it, in bytes.
pub const LEAST_FRAG: u16 = 2048;

/// The fragment size that a server agrees on: what the client sends and receives, at least 2048, at most the
/// transport's, and a multiple of eight.
// req: dce-rpce-frag-size
#[must_use]
pub fn agreed(xmit: u16, recv: u16, transport: u16) -> u16 {
    xmit.min(recv).max(LEAST_FRAG).min(transport) & !7
}

/// What is common to all fragments of a message.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Message {
    pub(crate) ptype: PacketType,
    /// Beside first and last.
    pub(crate) flags: Flags,
    pub(crate) order: Order,
    pub(crate) call_id: u32,
    pub(crate) context_id: u16,
    /// The operation of a request; the cancel count of a response.
    pub(crate) last: u16,
    pub(crate) object: Option<Uuid>,
    /// Largest fragment, a multiple of eight, at least 2048.
    pub(crate) max_frag: u16,
}

impl Message {
    /// Bytes before the stub.
    #[inline]
    fn head_len(&self) -> usize {
        match self.object {
            Some(_) => Request::LEN + Request::OBJECT_LEN,
            None => Request::LEN,
        }
    }

    /// The head of a fragment up to the object or the stub.
    #[inline]
    fn head(
        &self,
        frag_length: usize,
        auth_length: usize,
        flags: Flags,
        left: usize,
    ) -> [u8; Request::LEN] {
        let order = self.order;
        let [d0, d1, d2, d3] = drep(order);
        let [f0, f1] = u16_as(u16::try_from(frag_length).unwrap_or(u16::MAX), order);
        let [a0, a1] = u16_as(u16::try_from(auth_length).unwrap_or(u16::MAX), order);
        let [c0, c1, c2, c3] = u32_as(self.call_id, order);
        let [h0, h1, h2, h3] = u32_as(hint(left), order);
        let [p0, p1] = u16_as(self.context_id, order);
        let [l0, l1] = self.tail();
        let flags = self.flags.with(flags).0;
        [
            5,
            0,
            self.ptype.0,
            flags,
            d0,
            d1,
            d2,
            d3,
            f0,
            f1,
            a0,
            a1,
            c0,
            c1,
            c2,
            c3,
            h0,
            h1,
            h2,
            h3,
            p0,
            p1,
            l0,
            l1,
        ]
    }

    /// Appends a head and the object.
    #[inline]
    fn put_head(&self, head: [u8; Request::LEN], out: &mut TransmitQueue) {
        out.put_slice(&head);
        if let Some(object) = self.object {
            out.put_slice(&uuid_as(object, self.order));
        }
    }

    /// The last two bytes of the fixed body.
    #[inline]
    fn tail(&self) -> [u8; 2] {
        match self.ptype {
            PacketType::RESPONSE => {
                let [count, _] = self.last.to_le_bytes();
                [count, 0]
            }
            _ => u16_as(self.last, self.order),
        }
    }

    /// Appends the message without protection. Returns how many fragments that took.
    #[inline]
    pub(crate) fn plain(&self, stub: &[u8], out: &mut TransmitQueue) -> u32 {
        let head_len = self.head_len();
        let room = widen(self.max_frag).saturating_sub(head_len);
        if stub.len() <= room {
            let len = stub.len().saturating_add(head_len);
            let head = self.head(len, 0, Flags::WHOLE, stub.len());
            out.put_slice(head.get(..head_len).unwrap_or_default());
            out.put_slice(stub);
            return 1;
        }
        self.plain_fragments(stub, room, out)
    }

    #[cold]
    fn plain_fragments(&self, mut stub: &[u8], room: usize, out: &mut TransmitQueue) -> u32 {
        let head_len = self.head_len();
        let (mut flags, mut count) = (Flags::FIRST, 0_u32);
        while !stub.is_empty() {
            let left = stub.len();
            let (piece, rest) = stub.split_at_checked(room).unwrap_or((stub, &[]));
            let flags_now = flags.with_if(rest.is_empty(), Flags::LAST);
            let len = piece.len().saturating_add(head_len);
            let head = self.head(len, 0, flags_now, left);
            self.put_head(head, out);
            out.put_slice(piece);
            (stub, flags) = (rest, Flags(0));
            count = count.saturating_add(1);
        }
        count
    }

    /// Appends the message, each fragment protected by `guard`. Returns how many there are.
    ///
    /// # Errors
    /// [`ProtectError`]; fragments before the one that failed are in `out` then, and the connection is useless.
    // req: dce-rpce-fragment-protected
    pub(crate) fn protected(
        &self,
        mut stub: &[u8],
        guard: &mut Guard,
        out: &mut TransmitQueue,
    ) -> Result<u32, ProtectError> {
        let room = guard.room(widen(self.max_frag).saturating_sub(self.head_len()));
        let (mut flags, mut count) = (Flags::FIRST, 0_u32);
        let mut pdu = Vec::new();
        loop {
            let left = stub.len();
            let (piece, rest) = stub.split_at_checked(room).unwrap_or((stub, &[]));
            let flags_now = flags.with_if(rest.is_empty(), Flags::LAST);
            self.one_protected(piece, left, flags_now, guard, &mut pdu)?;
            out.put_slice(&pdu);
            count = count.saturating_add(1);
            if rest.is_empty() {
                return Ok(count);
            }
            (stub, flags) = (rest, Flags(0));
        }
    }

    /// Appends fragments of a message whose bytes are not all there: `begun` says whether one has gone, and
    /// `last` whether `stub` is the rest. Otherwise what does not come to a multiple of sixteen at the end of
    /// `stub` stays behind. Returns how many fragments there are, and how many bytes have stayed.
    ///
    /// # Errors
    /// As [`protected`](Self::protected).
    // req: dce-706-12.6.2-pipes
    pub(crate) fn parts(
        &self,
        mut stub: &[u8],
        begun: &mut bool,
        last: bool,
        mut guard: Option<&mut Guard>,
        out: &mut TransmitQueue,
    ) -> Result<(u32, usize), ProtectError> {
        let left = widen(self.max_frag).saturating_sub(self.head_len());
        let room = guard.as_ref().map_or(left & !7, |guard| guard.room(left));
        let (mut pdu, mut count) = (Vec::new(), 0_u32);
        loop {
            let (piece, rest) = stub.split_at_checked(room).unwrap_or((stub, &[]));
            let ends = rest.is_empty();
            let kept = match ends && !last {
                true => piece.len() & (Trailer::ALIGN - 1),
                false => 0,
            };
            let piece = piece
                .get(..piece.len().saturating_sub(kept))
                .unwrap_or(piece);
            if piece.is_empty() && !last {
                return Ok((count, kept));
            }
            let first = Flags(0).with_if(!*begun, Flags::FIRST);
            let flags = first.with_if(ends && last, Flags::LAST);
            // How much is left is not known before the end.
            let hint = if last { stub.len() } else { 0 };
            match guard.as_deref_mut() {
                Some(guard) => {
                    self.one_protected(piece, hint, flags, guard, &mut pdu)?;
                    out.put_slice(&pdu);
                }
                None => {
                    let len = piece.len().saturating_add(self.head_len());
                    self.put_head(self.head(len, 0, flags, hint), out);
                    out.put_slice(piece);
                }
            }
            *begun = true;
            count = count.saturating_add(1);
            if ends {
                return Ok((count, kept));
            }
            stub = rest;
        }
    }

    fn one_protected(
        &self,
        piece: &[u8],
        left: usize,
        flags: Flags,
        guard: &mut Guard,
        pdu: &mut Vec<u8>,
    ) -> Result<(), ProtectError> {
        let head_len = self.head_len();
        let pad = auth::padding(piece.len());
        let body = piece.len().saturating_add(pad);
        let token_len = guard.protection.token_len(guard.level, body);
        let signed = head_len.saturating_add(body).saturating_add(Trailer::LEN);
        let len = signed.saturating_add(token_len);
        if len > widen(u16::MAX) {
            return Err(ProtectError::Mechanism("the token does not fit a fragment"));
        }
        let head = self.head(len, token_len, flags, left);
        pdu.clear();
        pdu.extend_from_slice(&head);
        if let Some(object) = self.object {
            pdu.extend_from_slice(&uuid_as(object, self.order));
        }
        pdu.extend_from_slice(piece);
        pdu.resize(pdu.len().saturating_add(pad), 0);
        pdu.extend_from_slice(&guard.trailer(pad).emit(self.order));
        pdu.resize(len, 0);
        let (pdu, token) = pdu
            .split_at_mut_checked(signed)
            .ok_or(ProtectError::Mechanism("fragment length"))?;
        let stub = head_len..head_len.saturating_add(body);
        guard
            .protection
            .protect(guard.level, pdu, stub, guard.sign_header, token)
    }
}

/// An established security context, as fragments see it.
pub(crate) struct Guard {
    pub(crate) auth_type: AuthType,
    pub(crate) level: AuthLevel,
    pub(crate) context_id: u32,
    pub(crate) sign_header: bool,
    pub(crate) protection: Box<dyn Protection>,
}

impl Guard {
    fn trailer(&self, pad: usize) -> Trailer {
        Trailer {
            auth_type: self.auth_type,
            level: self.level,
            pad_length: u8::try_from(pad).unwrap_or(0),
            context_id: self.context_id,
        }
    }

    /// Whether a trailer names this context, in every field.
    pub(crate) fn is_named_by(&self, trailer: &Trailer) -> bool {
        (trailer.auth_type, trailer.level, trailer.context_id)
            == (self.auth_type, self.level, self.context_id)
    }

    /// How much stub fits a fragment that has `left` bytes behind its head: a multiple of sixteen, at least one.
    fn room(&self, left: usize) -> usize {
        let left = left.saturating_sub(Trailer::LEN);
        let token = self.protection.token_len(self.level, left);
        let room = left.saturating_sub(token);
        (room & !(Trailer::ALIGN - 1)).max(Trailer::ALIGN)
    }

    /// Checks a fragment and decrypts it in place. `stub` is where its stub begins; padding included, it ends where
    /// the verifier does.
    pub(crate) fn open(
        &mut self,
        pdu: &mut [u8],
        stub: usize,
        verifier: &Verifier,
    ) -> Result<(), ProtectError> {
        let range: Range<usize> = stub..verifier.at;
        let (signed, token) = pdu
            .split_at_mut_checked(verifier.token.start)
            .ok_or(ProtectError::BadToken)?;
        self.protection
            .verify(self.level, signed, range, self.sign_header, token)
    }
}

const _: () = assert!(Request::LEN == Response::LEN);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_agreed_size_is_what_windows_agrees_on() {
        // Requested both ways, and the answer: MS-RPCE's suite of Samba, checked against Windows.
        for (xmit, recv, both) in [
            (0xffff, 0xffff, 5840),
            (0, 0xffff, 2048),
            (0xffff, 0, 2048),
            (0, 0, 2048),
            (3199, 0, 2048),
            (0, 3199, 2048),
            (3199, 0xffff, 3192),
            (0xffff, 3199, 3192),
        ] {
            assert_eq!(agreed(xmit, recv, 5840), both, "{xmit} {recv}");
        }
        assert_eq!(agreed(0xffff, 0xffff, 4280), 4280);
    }
}
