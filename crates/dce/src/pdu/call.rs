//! The PDUs of a call: request, response, fault.
//!
//! Read first: C706 sections 12.6.4.7 to 12.6.4.10 (fault, request, response) and MS-RPCE section 2.2.2.10 (faults
//! with extended error information). `co_cancel`, `orphaned` and `shutdown` have no body. The structures here hold
//! fields and say where the stub begins; the stub itself is nobody's business here.

use crate::pdu::cursor::{Input, u16_as, u16_of, u32_as, u32_of, uuid_of};
use crate::pdu::header::{Flags, Header, PacketType};
use crate::syntax::{Order, Uuid};
use farcall_wire::{DecodeError, DecodeErrorKind as Kind};

#[cold]
fn cut(body: &[u8], needed: usize) -> DecodeError {
    let available = body.len();
    DecodeError::new(Kind::Truncated { needed, available }, 0)
}

/// The fields of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Request {
    /// How much stub is to come, this fragment's included. A hint: nothing may depend on it.
    pub alloc_hint: u32,
    /// The presentation context (`p_cont_id`).
    pub context_id: u16,
    /// The operation.
    pub opnum: u16,
    /// The object, if [`Flags::OBJECT_UUID`] says that there is one.
    pub object: Option<Uuid>,
}

impl Request {
    /// Length on the wire without an object, header included: where the stub begins.
    pub const LEN: usize = 24;

    /// Length of an object before the stub.
    pub const OBJECT_LEN: usize = 16;

    /// Reads the fields from what follows the header.
    ///
    /// # Errors
    /// [`DecodeError`]; offsets are from the end of the header.
    // req: dce-706-12.6.4-request
    #[inline]
    pub fn parse(body: &[u8], header: &Header) -> Result<Self, DecodeError> {
        // By hand: this is on the path of every call.
        let order = header.order();
        let Some((fields, rest)) = body.split_first_chunk::<8>() else {
            return Err(cut(body, 8));
        };
        let [h0, h1, h2, h3, c0, c1, o0, o1] = *fields;
        let object = match header.flags.has(Flags::OBJECT_UUID) {
            true => match rest.first_chunk::<16>() {
                Some(object) => Some(uuid_of(*object, order)),
                None => return Err(cut(body, 24)),
            },
            false => None,
        };
        Ok(Self {
            alloc_hint: u32_of([h0, h1, h2, h3], order),
            context_id: u16_of([c0, c1], order),
            opnum: u16_of([o0, o1], order),
            object,
        })
    }

    /// Where the stub begins in the PDU.
    #[inline]
    #[must_use]
    pub fn stub(&self) -> usize {
        match self.object {
            Some(_) => Self::LEN + Self::OBJECT_LEN,
            None => Self::LEN,
        }
    }

    /// The eight bytes behind the header.
    #[must_use]
    pub fn emit(&self, order: Order) -> [u8; 8] {
        let [a, b, c, d] = u32_as(self.alloc_hint, order);
        let [e, f] = u16_as(self.context_id, order);
        let [g, h] = u16_as(self.opnum, order);
        [a, b, c, d, e, f, g, h]
    }
}

/// The fields of a response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Response {
    /// How much stub is to come, this fragment's included. A hint.
    pub alloc_hint: u32,
    /// The presentation context of the request.
    pub context_id: u16,
    /// Cancels that the server has received for the call.
    pub cancel_count: u8,
}

impl Response {
    /// Where the stub begins in the PDU.
    pub const LEN: usize = 24;

    /// Reads the fields from what follows the header.
    ///
    /// # Errors
    /// [`DecodeError`]; offsets are from the end of the header.
    // req: dce-706-12.6.4-response
    #[inline]
    pub fn parse(body: &[u8], order: Order) -> Result<Self, DecodeError> {
        let Some([h0, h1, h2, h3, c0, c1, cancel_count, _]) = body.first_chunk::<8>() else {
            return Err(cut(body, 8));
        };
        Ok(Self {
            alloc_hint: u32_of([*h0, *h1, *h2, *h3], order),
            context_id: u16_of([*c0, *c1], order),
            cancel_count: *cancel_count,
        })
    }

    /// The eight bytes behind the header.
    #[inline]
    #[must_use]
    pub fn emit(&self, order: Order) -> [u8; 8] {
        let [a, b, c, d] = u32_as(self.alloc_hint, order);
        let [e, f] = u16_as(self.context_id, order);
        [a, b, c, d, e, f, self.cancel_count, 0]
    }
}

/// A fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fault {
    /// How much stub is to come; Windows sends 24 where there is none.
    pub alloc_hint: u32,
    /// The presentation context of the request, or 0 where the fault is about none.
    pub context_id: u16,
    /// Cancels that the server has received for the call.
    pub cancel_count: u8,
    /// Bit 0: extended error information follows (MS-RPCE section 2.2.2.10).
    pub flags: u8,
    /// An `nca_s_*` or Win32 status.
    pub status: u32,
}

impl Fault {
    /// Where extended error information begins in the PDU.
    pub const LEN: usize = 32;

    /// Bit 0 of [`flags`](Self::flags).
    pub const EXTENDED: u8 = 1;

    /// What `alloc_hint` is where nothing follows, as Windows has it; it must not be 0.
    pub const HINT: u32 = 24;

    /// Reads the fields from what follows the header.
    ///
    /// # Errors
    /// [`DecodeError`]; offsets are from the end of the header. The reserved word at the end may be missing.
    // req: dce-706-12.6.4-fault
    pub fn parse(body: &[u8], order: Order) -> Result<Self, DecodeError> {
        let mut input = Input::new(body, order);
        Ok(Self {
            alloc_hint: input.u32()?,
            context_id: input.u16()?,
            cancel_count: input.u8()?,
            flags: input.u8()?,
            status: input.u32()?,
        })
    }

    /// A whole fault PDU without extended error information and without a verifier.
    #[must_use]
    pub fn pdu(&self, order: Order, call_id: u32, did_not_execute: bool) -> [u8; Self::LEN] {
        let flags = Flags::WHOLE.with_if(did_not_execute, Flags::DID_NOT_EXECUTE);
        let mut header = Header::new(PacketType::FAULT, flags, order, call_id);
        header.frag_length = 32;
        let mut pdu = [0; Self::LEN];
        let [h0, h1, h2, h3] = u32_as(self.alloc_hint, order);
        let [c0, c1] = u16_as(self.context_id, order);
        let [s0, s1, s2, s3] = u32_as(self.status, order);
        let body = [
            h0,
            h1,
            h2,
            h3,
            c0,
            c1,
            self.cancel_count,
            self.flags,
            s0,
            s1,
            s2,
            s3,
            0,
            0,
            0,
            0,
        ];
        for (to, from) in pdu.iter_mut().zip(header.emit().into_iter().chain(body)) {
            *to = from;
        }
        pdu
    }
}
