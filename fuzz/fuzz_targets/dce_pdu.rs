//! Any bytes as any PDU: what parses encodes to what parses to the same.
#![no_main]

use farcall_dce::pdu::auth::Verifier;
use farcall_dce::pdu::bind::{Bind, BindAck, BindNak};
use farcall_dce::pdu::call::{Fault, Request, Response};
use farcall_dce::pdu::header::Header;
use farcall_dce::pdu::verification::{self, Verification};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|pdu: &[u8]| {
    let Some(Ok(header)) = pdu.first_chunk().map(Header::parse) else {
        return;
    };
    assert_eq!(header.emit(), pdu[..16]);
    let (order, body) = (header.order(), &pdu[16..]);
    if let Ok(bind) = Bind::parse(body, order) {
        let mut out = Vec::new();
        bind.emit(&mut out, order);
        assert_eq!(Bind::parse(&out, order).as_ref(), Ok(&bind));
        // Memory is in proportion to what came.
        let held: usize = bind.contexts.iter().map(|c| c.transfers.len()).sum();
        assert!(held * 20 <= body.len());
    }
    if let Ok(ack) = BindAck::parse(body, order) {
        let mut out = Vec::new();
        ack.emit(&mut out, order);
        let again = BindAck::parse(&out, order).expect("what we sent");
        assert_eq!(again.results, ack.results);
    }
    if let Ok(nak) = BindNak::parse(body, order) {
        let mut out = Vec::new();
        nak.emit(&mut out, order);
        assert_eq!(BindNak::parse(&out, order), Ok(nak));
    }
    if let Ok(request) = Request::parse(body, &header) {
        assert_eq!(request.emit(order), body[..8]);
        if let Ok((Some(found), end)) = Verifier::find_after_stub(pdu, &header, request.stub()) {
            assert!(request.stub() <= end && end <= found.at && found.token.end == pdu.len());
        }
    }
    let _ = Response::parse(body, order);
    let _ = Fault::parse(body, order);
    if let Some(at) = verification::find(body)
        && let Ok(said) = Verification::parse(&body[at..], order)
    {
        let mut out = Vec::new();
        said.emit(&mut out, 0, order);
        if said != Verification::default() {
            assert_eq!(Verification::parse(&out, order), Ok(said));
        }
    }
});
