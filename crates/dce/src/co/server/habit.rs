//! What requests of a connection usually look like.
//!
//! Read first: C706 section 12.6.4.9 (the request PDU). Everything in the head of a request that does not differ from
//! call to call is compared at once. Whether what is usual passes is not known here.

use crate::co::server::event::Verified;
use crate::pdu::call::Request;
use crate::pdu::cursor::{u16_as, u16_of, u32_of};
use crate::pdu::header::{Flags, Header};
use crate::syntax::{Order, Syntax};

/// What a request was like that has become a call.
#[derive(Clone, Copy, Debug)]
pub(super) struct Habit {
    /// Version, type, flags and representation, as they stood in its header.
    fixed: [u8; 8],
    /// Its presentation context, as it stood there.
    context: [u8; 2],
    pub(super) context_id: u16,
    pub(super) order: Order,
    pub(super) syntax: Syntax,
    /// The service that the context is for.
    pub(super) service: usize,
    /// Operations with pipes: their requests are never plain.
    pipes: &'static [u16],
    pub(super) verified: Verified,
}

/// Flags that say of a request that it is not plain.
const SPECIAL: u8 = Flags::PENDING_CANCEL.0 | Flags::MAYBE.0 | Flags::OBJECT_UUID.0;

/// What differs from request to request.
#[derive(Clone, Copy)]
pub(super) struct Own {
    pub(super) call_id: u32,
    pub(super) opnum: u16,
}

impl Habit {
    /// What is usual after a request with this header on a context, served by `service` some of whose operations have
    /// `pipes`, for which nothing has to be proved; none if that request was of a special kind.
    #[inline]
    pub(super) fn new(
        header: &Header,
        (context_id, syntax): (u16, Syntax),
        (service, pipes): (usize, &'static [u16]),
        verified: Verified,
    ) -> Option<Self> {
        let whole = header.flags.has(Flags::WHOLE) && header.flags.0 & SPECIAL == 0;
        let [a, b, c, d, e, f, g, h, ..] = header.emit();
        (whole && header.auth_length == 0).then(|| Self {
            fixed: [a, b, c, d, e, f, g, h],
            context: u16_as(context_id, header.order()),
            context_id,
            order: header.order(),
            syntax,
            service,
            pipes,
            verified,
        })
    }

    /// What a request says of itself and how long its PDU is, if the rest of its head is as usual.
    #[inline]
    pub(super) fn read(&self, head: &[u8; Request::LEN]) -> Option<(Own, u16)> {
        let [
            f0,
            f1,
            f2,
            f3,
            f4,
            f5,
            f6,
            f7,
            l0,
            l1,
            a0,
            a1,
            c0,
            c1,
            c2,
            c3,
            _,
            _,
            _,
            _,
            p0,
            p1,
            o0,
            o1,
        ] = *head;
        let usual = [f0, f1, f2, f3, f4, f5, f6, f7] == self.fixed
            && [a0, a1] == [0, 0]
            && [p0, p1] == self.context;
        let own = Own {
            call_id: u32_of([c0, c1, c2, c3], self.order),
            opnum: u16_of([o0, o1], self.order),
        };
        let usual = usual && !self.pipes.contains(&own.opnum);
        usual.then_some((own, u16_of([l0, l1], self.order)))
    }
}
