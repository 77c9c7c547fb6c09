//! A record stream cut anywhere gives the same records and the same end, and reserves no more than
//! a multiple of what was received.
#![no_main]

use farcall_onc::record::{Assembler, RecordError, RecordLimits};
use farcall_wire::Bytes;
use libfuzzer_sys::fuzz_target;

/// Everything that an assembler says about a stream which comes in pieces of `piece` bytes.
fn read(stream: &Bytes, piece: usize) -> (Vec<Bytes>, Option<RecordError>) {
    let limits = RecordLimits {
        record: 4096,
        fragments: 8,
    };
    let mut assembler = Assembler::new(limits);
    let mut records = Vec::new();
    let mut received = 0;
    while received < stream.len() {
        let batch = stream.slice(received..stream.len().min(received + piece));
        received += batch.len();
        let mut at = 0;
        loop {
            match assembler.next(&batch, &mut at) {
                Ok(Some(record)) => records.push(record.bytes(&batch)),
                Ok(None) => break,
                Err(error) => return (records, Some(error)),
            }
        }
        assert_eq!(at, batch.len(), "a batch is used up");
        assert!(
            assembler.held() <= 32 * received.max(64),
            "{} held",
            assembler.held()
        );
        assert!(assembler.pending().unwrap_or(0) <= 4096);
    }
    (records, None)
}

fuzz_target!(|input: &[u8]| {
    let Some((&piece, stream)) = input.split_first() else {
        return;
    };
    let stream = Bytes::copy_from_slice(stream);
    let whole = read(&stream, stream.len().max(1));
    for record in &whole.0 {
        assert!(!record.is_empty() && record.len() <= 4096);
    }
    assert_eq!(read(&stream, usize::from(piece).max(1)), whole);
    assert_eq!(read(&stream, 1), whole);
});
