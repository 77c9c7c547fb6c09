//! A reply header that parses is the one that encodes to the same bytes.
#![no_main]

use farcall_onc::msg::{self, Framing};
use farcall_wire::TransmitQueue;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|message: &[u8]| {
    let Ok((reply, at)) = msg::parse_reply(message) else {
        return;
    };
    assert!(at <= message.len());
    let _ = reply.body.to_string();
    let mut queue = TransmitQueue::new();
    msg::encode_reply(&mut queue, Framing::Datagram, &reply, &()).expect("bounded by the parser");
    let again = queue.to_vec();
    assert_eq!(again.len(), at);
    assert_eq!(msg::parse_reply(&again), Ok((reply, at)));
    assert!(msg::parse_kind(message).is_some());
});
