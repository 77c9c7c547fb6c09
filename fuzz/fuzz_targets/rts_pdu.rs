//! Any bytes as an RTS PDU, and as a stream of frames: what is understood means the same when it is said again, and
//! where the stream is cut makes no difference.
#![no_main]

use bytes::Bytes;
use farcall_rpch::frame::Splitter;
use farcall_rpch::rts::{Message, Pdu};
use libfuzzer_sys::fuzz_target;

fn frames(pieces: &[&[u8]]) -> String {
    let mut splitter = Splitter::new().with_banner().with_lines();
    let mut seen = String::new();
    for piece in pieces {
        let mut piece = Bytes::copy_from_slice(piece);
        loop {
            match splitter.next(&mut piece) {
                Ok(Some(frame)) => seen += &format!("{frame:?}"),
                Ok(None) => break,
                Err(failure) => return seen + &failure.to_string(),
            }
        }
    }
    seen
}

fuzz_target!(|input: &[u8]| {
    if let Ok(pdu) = Pdu::parse(input) {
        assert_eq!(Pdu::parse(&pdu.emit()).as_ref(), Ok(&pdu));
    }
    if let Ok(message) = Message::parse(input) {
        assert_eq!(Message::parse(&message.emit()), Ok(message));
    }
    if let Some((cut, rest)) = input.split_first() {
        let pieces: Vec<&[u8]> = rest.chunks(usize::from(*cut) + 1).collect();
        assert_eq!(frames(&[rest]), frames(&pieces));
    }
});
