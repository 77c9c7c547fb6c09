//! Record marking: hand-made streams, every split, every refusal.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::as_conversions
)]

use super::*;
use proptest::prelude::*;

/// A stream of one record in the given fragments.
fn stream(fragments: &[&[u8]]) -> Vec<u8> {
    let mut out = Vec::new();
    for (i, fragment) in fragments.iter().enumerate() {
        let last = if i + 1 == fragments.len() { LAST } else { 0 };
        out.extend_from_slice(&(fragment.len() as u32 | last).to_be_bytes());
        out.extend_from_slice(fragment);
    }
    out
}

/// All records of `stream`, handed in as pieces that end at the given offsets.
fn records(
    limits: RecordLimits,
    stream: &[u8],
    cuts: &[usize],
) -> Result<Vec<Vec<u8>>, RecordError> {
    let mut assembler = Assembler::new(limits);
    let mut out = Vec::new();
    let mut from = 0;
    for &cut in cuts.iter().chain([&stream.len()]) {
        let batch = Bytes::copy_from_slice(&stream[from..cut]);
        from = cut;
        let mut at = 0;
        while let Some(record) = assembler.next(&batch, &mut at)? {
            out.push(record.bytes(&batch).to_vec());
        }
        assert_eq!(at, batch.len(), "the batch is used up");
    }
    Ok(out)
}

fn small() -> RecordLimits {
    RecordLimits {
        record: 64,
        fragments: 4,
    }
}

#[test]
fn mark_has_the_last_bit_and_the_length() {
    assert_eq!(mark(24), [0x80, 0, 0, 24]);
    assert_eq!(mark(0x0123_4567), [0x81, 0x23, 0x45, 0x67]);
    assert_eq!(mark(usize::MAX), [0xff; 4]);
}

#[test]
fn whole_records_are_not_copied() {
    let mut bytes = stream(&[b"abcd"]);
    bytes.extend(stream(&[b"efghijkl"]));
    let batch = Bytes::from(bytes);
    let mut assembler = Assembler::new(small());
    let mut at = 0;
    assert_eq!(
        assembler.next(&batch, &mut at),
        Ok(Some(Record::InBatch(4..8)))
    );
    assert_eq!(
        assembler.next(&batch, &mut at),
        Ok(Some(Record::InBatch(12..20)))
    );
    assert_eq!(assembler.next(&batch, &mut at), Ok(None));
    assert_eq!((at, assembler.held(), assembler.pending()), (20, 0, None));
}

#[test]
fn every_pair_of_cuts_gives_the_same_records() {
    let mut bytes = stream(&[b"", b"a", b"", b"bcdef"]);
    bytes.extend(stream(&[b"ghij"]));
    bytes.extend(stream(&[b"k", b""]));
    let want = vec![b"abcdef".to_vec(), b"ghij".to_vec(), b"k".to_vec()];
    for first in 0..=bytes.len() {
        for second in first..=bytes.len() {
            assert_eq!(
                records(small(), &bytes, &[first, second]).as_ref(),
                Ok(&want),
                "cut at {first}, {second}"
            );
        }
    }
    let every_byte: Vec<usize> = (0..bytes.len()).collect();
    assert_eq!(records(small(), &bytes, &every_byte), Ok(want));
}

#[test]
fn every_truncation_is_pending_and_gives_nothing() {
    let bytes = stream(&[b"abc", b"defgh"]);
    for cut in 0..bytes.len() {
        let mut assembler = Assembler::new(small());
        let mut at = 0;
        assert_eq!(assembler.next(&bytes[..cut], &mut at), Ok(None));
        let lacks = match cut {
            0 => None,
            1..=3 | 7..=10 => Some(0),
            4..=6 => Some(7 - cut),
            _ => Some(16 - cut),
        };
        assert_eq!(assembler.pending(), lacks, "after {cut} bytes");
    }
}

#[test]
fn caps_are_checked_when_the_mark_is_read() {
    let limit = |stream: &[u8]| records(small(), stream, &[]);
    assert_eq!(
        limit(&[0x80, 0, 0, 65]),
        Err(RecordError::TooLarge {
            claimed: 65,
            limit: 64
        })
    );
    assert_eq!(
        limit(&[0xff; 4]),
        Err(RecordError::TooLarge {
            claimed: 0x7fff_ffff,
            limit: 64
        })
    );
    let second = [&stream(&[&[7; 60], b""])[..64], &[0, 0, 0, 5]].concat();
    assert_eq!(
        limit(&second),
        Err(RecordError::TooLarge {
            claimed: 65,
            limit: 64
        })
    );
    assert_eq!(
        limit(&[0; 20]),
        Err(RecordError::TooManyFragments { limit: 4 })
    );
    assert_eq!(limit(&[0x80, 0, 0, 0]), Err(RecordError::Empty));
    assert_eq!(limit(&stream(&[b"", b""])), Err(RecordError::Empty));
    assert_eq!(limit(&stream(&[&[1; 64]])), Ok(vec![vec![1; 64]]));
}

#[test]
fn a_claim_takes_no_memory() {
    let mut assembler = Assembler::new(RecordLimits {
        record: MAX_FRAGMENT,
        fragments: 1,
    });
    let mut at = 0;
    assert_eq!(assembler.next(&[0xff; 4], &mut at), Ok(None));
    assert_eq!(
        (assembler.held(), assembler.pending()),
        (0, Some(0x7fff_ffff))
    );
    assert_eq!(assembler.room(), FIRST_ROOM);
}

#[test]
fn memory_grows_with_what_has_arrived() {
    let mut assembler = Assembler::new(RecordLimits {
        record: MAX_FRAGMENT,
        fragments: 1,
    });
    let batch = [&[0xff, 0xff, 0xff, 0xff][..], &[7; 100_000]].concat();
    assert_eq!(assembler.next(&batch, &mut 0), Ok(None));
    for _ in 0..4 {
        let arrived = assembler.buffer().len();
        assert!(assembler.held() <= 4 * arrived, "{}", assembler.held());
        let room = assembler.room();
        assert!(room <= 3 * arrived, "{room} for {arrived}");
        assembler.buffer().reserve(room);
        let more = vec![7; room];
        assembler.buffer().extend_from_slice(&more);
        assert_eq!(assembler.filled(), Ok(None));
    }
}

#[test]
fn a_record_as_long_as_the_last_is_believed_when_a_sixteenth_of_it_is_here() {
    let mut assembler = Assembler::new(RecordLimits::default());
    let whole = [&(LAST | 1_600_000).to_be_bytes()[..], &[7; 1_600_000]].concat();
    let (few, enough) = (&whole[..99_004], &whole[..100_004]);
    let room = |assembler: &mut Assembler, batch: &[u8]| {
        let mut assembler = std::mem::replace(assembler, Assembler::new(RecordLimits::default()));
        assert_eq!(assembler.next(batch, &mut 0), Ok(None));
        assembler.room()
    };
    assert_eq!(room(&mut assembler, enough), 300_000);
    for (batch, expected) in [(few, 3 * 99_000), (enough, 1_500_000)] {
        let mut proved = Assembler::new(RecordLimits::default());
        let (mut at, mut records) = (0, 0);
        // In two batches: a record that lies whole in one is not put together.
        records += usize::from(proved.next(&whole[..50], &mut at).unwrap().is_some());
        at = 0;
        records += usize::from(proved.next(&whole[50..], &mut at).unwrap().is_some());
        assert_eq!(records, 1);
        assert_eq!(room(&mut proved, batch), expected);
    }
}

#[test]
fn a_driver_may_fill_the_payload_itself() {
    let mut assembler = Assembler::new(small());
    let mut at = 0;
    assert_eq!(assembler.next(&[0, 0, 0, 6, b'a'], &mut at), Ok(None));
    assert_eq!(assembler.room(), 5);
    assembler.buffer().extend_from_slice(b"bcd");
    assert_eq!(assembler.filled(), Ok(None));
    assembler.buffer().extend_from_slice(b"ef");
    assert_eq!(assembler.filled(), Ok(None));
    assert_eq!(assembler.pending(), Some(0));
    let mut at = 0;
    assert_eq!(assembler.next(&[0x80, 0, 0, 2], &mut at), Ok(None));
    assembler.buffer().extend_from_slice(b"gh");
    assert_eq!(
        assembler.filled(),
        Ok(Some(Record::Assembled(Bytes::from_static(b"abcdefgh"))))
    );
    assert_eq!(assembler.pending(), None);

    let mut at = 0;
    assert_eq!(assembler.next(&[0x80, 0, 0, 2], &mut at), Ok(None));
    assembler.buffer().extend_from_slice(b"xyz");
    assert_eq!(
        assembler.filled(),
        Err(RecordError::Overrun {
            added: 3,
            pending: 2
        })
    );
}

#[test]
fn other_protocols_are_named() {
    let cases: &[(&[u8; 4], ForeignProtocol)] = &[
        (b"GET ", ForeignProtocol::Http),
        (b"POST", ForeignProtocol::Http),
        (b"HTTP", ForeignProtocol::Http),
        (b"\x16\x03\x01\x02", ForeignProtocol::Tls),
        (b"\r\n\r\n", ForeignProtocol::ProxyHeader),
        (b"PROX", ForeignProtocol::ProxyHeader),
        (b"SSH-", ForeignProtocol::Ssh),
        (b"\x05\x00\x0b\x03", ForeignProtocol::DceRpc),
        (b"get ", ForeignProtocol::Text),
        (b"QUIT", ForeignProtocol::Text),
    ];
    for (bytes, protocol) in cases {
        let mut at = 0;
        let got = Assembler::new(RecordLimits::default()).next(*bytes, &mut at);
        assert_eq!(got, Err(RecordError::Foreign(*protocol)));
    }
    assert_eq!(
        RecordError::Foreign(ForeignProtocol::Http).to_string(),
        "the peer speaks HTTP, not ONC RPC"
    );
    assert_eq!(foreign([0x80, 0, 0, 40]), None);
}

proptest! {
    #[test]
    fn any_fragmentation_and_any_batching_gives_the_records(
        sent in prop::collection::vec(prop::collection::vec(prop::collection::vec(any::<u8>(), 0..9), 1..4), 1..5),
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..8),
    ) {
        let sent: Vec<_> = sent.into_iter().filter(|r| r.iter().any(|f| !f.is_empty())).collect();
        let bytes: Vec<u8> = sent.iter().flat_map(|r| stream(&r.iter().map(Vec::as_slice).collect::<Vec<_>>())).collect();
        let mut cuts: Vec<usize> = cuts.iter().map(|i| i.index(bytes.len() + 1)).collect();
        cuts.sort_unstable();
        let want: Vec<Vec<u8>> = sent.iter().map(|r| r.concat()).collect();
        prop_assert_eq!(records(small(), &bytes, &cuts), Ok(want));
    }

    #[test]
    fn any_bytes_end_without_a_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = records(RecordLimits { record: 100, fragments: 8 }, &bytes, &[]);
    }
}
