//! What an inbound proxy sends on in the place of what was denied, where no outbound proxy is at hand that could answer it.
//!
//! Read first: C706 sections 12.6.4.3 (bind), 12.6.4.9 (request), MS-RPCE section 3.3.1.5. Nothing but RTS PDUs finds its way from an inbound proxy
//! to the client (MS-RPCH section 3.2.1.5.2); so the answer is left to the server, which is given something that it cannot but refuse: a request
//! under the same number for an operation that no interface has, without anything of the client's in it; a bind for interfaces that nobody has.

use bytes::{BufMut, Bytes, BytesMut};
use farcall_dce::pdu::{Flags, Header, PacketType};
use farcall_dce::syntax::Order;

/// An operation that no interface has: they are counted from 0 in 16 bits.
const NO_OPERATION: u16 = u16::MAX;

/// The interface that nobody has: 16 bytes of nothing.
const NOBODY: [u8; 16] = [0; 16];

/// Where the number of presentation contexts stands in a bind, and where the first of them begins.
const COUNT: usize = 24;
const CONTEXTS: usize = 28;

/// A presentation context, of an interface and before its transfer syntaxes; where in it their number and the interface stand; the length of a
/// transfer syntax.
const CONTEXT: usize = 24;
const TRANSFERS: usize = 2;
const INTERFACE: usize = 4;
const TRANSFER: usize = 20;

/// The context ID in a request.
const CONTEXT_ID: std::ops::Range<usize> = 20..22;

/// What goes on in the place of a denied PDU; `None` if there is nothing that could.
pub(super) fn mask(pdu: &[u8]) -> Option<Bytes> {
    let header = Header::parse(pdu.first_chunk()?).ok()?;
    match header.ptype {
        PacketType::REQUEST => request(pdu, &header),
        PacketType::BIND | PacketType::ALTER_CONTEXT => bind(pdu),
        _ => None,
    }
}

// req: rpch-proxy-mask
fn request(pdu: &[u8], header: &Header) -> Option<Bytes> {
    let context_id = pdu.get(CONTEXT_ID)?;
    let masked = Header {
        flags: Flags(Flags::FIRST.0 | Flags::LAST.0),
        frag_length: 24,
        auth_length: 0,
        ..*header
    };
    let mut bytes = BytesMut::with_capacity(24);
    bytes.extend_from_slice(&masked.emit());
    // `alloc_hint`: no argument follows.
    bytes.put_u32(0);
    bytes.extend_from_slice(context_id);
    match header.order() {
        Order::Little => bytes.put_u16_le(NO_OPERATION),
        Order::Big => bytes.put_u16(NO_OPERATION),
    }
    Some(bytes.freeze())
}

/// The same, but for the interfaces; what asks for features (it names no interface that counts) asks for them still.
fn bind(pdu: &[u8]) -> Option<Bytes> {
    let mut bytes = BytesMut::from(pdu);
    let mut at = CONTEXTS;
    for _ in 0..*bytes.get(COUNT)? {
        let transfers = *bytes.get(at.checked_add(TRANSFERS)?)?;
        let interface = at.checked_add(INTERFACE)?;
        let uuid = bytes.get_mut(interface..interface.checked_add(NOBODY.len())?)?;
        uuid.copy_from_slice(&NOBODY);
        let length = usize::from(transfers).checked_mul(TRANSFER)?;
        at = at.checked_add(CONTEXT)?.checked_add(length)?;
    }
    Some(bytes.freeze())
}

#[cfg(test)]
#[allow(clippy::indexing_slicing)]
mod tests {
    use super::*;

    /// A request of C706 section 12.6.4.9: call 7, context 2, operation 3, with arguments and a verifier.
    const REQUEST: &[u8] = &[
        5, 0, 0, 3, 0x10, 0, 0, 0, 44, 0, 4, 0, 7, 0, 0, 0, 8, 0, 0, 0, 2, 0, 3, 0, 1, 2, 3, 4, 5,
        6, 7, 8, 10, 6, 0, 0, 1, 0, 0, 0, 9, 9, 9, 9,
    ];

    #[test]
    fn a_request_keeps_its_number_and_its_context_and_nothing_else() {
        let masked = mask(REQUEST).expect("a request");
        let expected = [
            5, 0, 0, 3, 0x10, 0, 0, 0, 24, 0, 0, 0, 7, 0, 0, 0, 0, 0, 0, 0, 2, 0, 0xff, 0xff,
        ];
        assert_eq!(masked, expected[..]);
        let mut first = REQUEST.to_vec();
        first[3] = 1;
        assert_eq!(mask(&first).expect("a first fragment"), expected[..]);
    }

    #[test]
    fn a_bind_asks_for_what_nobody_has() {
        // Two contexts, of one and of two transfer syntaxes (C706 section 12.6.4.3).
        let mut bind = vec![5, 0, 11, 3, 0x10, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0];
        bind.extend([0xd0, 0x16, 0xd0, 0x16, 0, 0, 0, 0, 2, 0, 0, 0]);
        for (id, transfers) in [(0, 1), (1, 2)] {
            bind.extend([id, 0, transfers, 0]);
            bind.extend([0xaa; 16]);
            bind.extend([1, 0, 0, 0]);
            bind.extend(vec![0xbb; 20 * usize::from(transfers)]);
        }
        bind[8] = u8::try_from(bind.len()).expect("short");
        let masked = mask(&bind).expect("a bind");
        assert_eq!(masked.len(), bind.len());
        let changed: Vec<usize> = (0..bind.len())
            .filter(|at| bind[*at] != masked[*at])
            .collect();
        let expected: Vec<usize> = (32..48).chain(76..92).collect();
        assert_eq!(changed, expected);
        assert!(expected.iter().all(|at| masked[*at] == 0));
    }

    #[test]
    fn what_is_cut_short_has_no_mask() {
        for len in 0..22 {
            assert_eq!(mask(&REQUEST[..len]), None, "{len}");
        }
        assert_eq!(
            mask(&[5, 0, 16, 3, 0x10, 0, 0, 0, 16, 0, 0, 0, 1, 0, 0, 0]),
            None
        );
    }
}
