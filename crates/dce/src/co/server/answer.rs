//! The PDUs that a server sends of itself: acks, naks, faults.
//!
//! Read first: C706 sections 12.6.4.4, 12.6.4.5 and 12.6.4.7. Each is one fragment. This file decides nothing.

use crate::pdu::auth::{self, Trailer};
use crate::pdu::bind::{BindAck, BindNak, NakReason};
use crate::pdu::call::Fault;
use crate::pdu::header::{Flags, Header, PacketType};
use crate::syntax::Order;
use farcall_wire::TransmitQueue;

/// Appends a fault without extended information.
pub(super) fn fault(
    order: Order,
    call_id: u32,
    context_id: u16,
    status: u32,
    did_not_execute: bool,
    out: &mut TransmitQueue,
) {
    let fault = Fault {
        alloc_hint: Fault::HINT,
        context_id,
        cancel_count: 0,
        flags: 0,
        status,
    };
    out.put_slice(&fault.pdu(order, call_id, did_not_execute));
}

/// Appends a `bind_nak`.
pub(super) fn nak(order: Order, call_id: u32, reason: NakReason, out: &mut TransmitQueue) {
    let header = Header::new(PacketType::BIND_NAK, Flags::WHOLE, order, call_id);
    let mut pdu = header.emit().to_vec();
    BindNak::new(reason).emit(&mut pdu, order);
    // 24 bytes always fit.
    let _ = auth::finish(&mut pdu, 0, 0);
    out.put_slice(&pdu);
}

/// Appends a `bind_ack` or `alter_context_resp`. The answer to a token has a trailer even if its own is empty.
/// Returns false, with nothing appended, if it would be too long.
#[must_use]
pub(super) fn ack(
    header: &Header,
    body: &BindAck,
    token: Option<(Trailer, &[u8])>,
    out: &mut TransmitQueue,
) -> bool {
    let order = header.order();
    let mut pdu = header.emit().to_vec();
    body.emit(&mut pdu, order);
    let fits = match token {
        Some((trailer, token)) => auth::append(&mut pdu, 0, trailer, token),
        None => auth::finish(&mut pdu, 0, 0),
    };
    if fits {
        out.put_slice(&pdu);
    }
    fits
}

/// Appends a `shutdown`.
pub(super) fn shutdown(order: Order, out: &mut TransmitQueue) {
    let mut header = Header::new(PacketType::SHUTDOWN, Flags::WHOLE, order, 0);
    header.frag_length = 16;
    out.put_slice(&header.emit());
}
