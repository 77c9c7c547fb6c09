//! `ORPCTHIS` and `ORPCTHAT` (MS-DCOM section 2.2.13): bytes worked out by hand.

use bytes::Bytes;
use farcall_wire::ndr::{OrpcExtent, OrpcThat, OrpcThis, Reader, Writer};
use farcall_wire::{DecodeErrorKind, Uuid};

use super::{MODES, NDR, NDR64, hex};

fn this() -> OrpcThis {
    OrpcThis {
        cid: Uuid::new(0x01020304, 0x0506, 0x0708, [9, 10, 11, 12, 13, 14, 15, 16]),
        ..OrpcThis::default()
    }
}

fn extended() -> OrpcThis {
    let data = Bytes::from_static(&[1, 2, 3]);
    let id = Uuid::new(0xaabbccdd, 0, 0, [0; 8]);
    OrpcThis {
        extensions: vec![OrpcExtent { id, data }],
        ..this()
    }
}

#[test]
fn an_orpcthis_has_version_causality_and_a_pointer_to_extensions() {
    let head = "0500 0700 00000000 00000000 04030201 0605 0807 090a0b0c0d0e0f10";
    for (mode, end) in [(NDR, "00000000"), (NDR64, "00000000 0000000000000000")] {
        let mut w = Writer::new(mode.syntax, mode.order);
        this().put(&mut w).unwrap();
        assert_eq!(w.stub(), hex(&format!("{head} {end}")), "{mode:?}");
    }
    // The array's count, its pointers, of which the second fills it up to an even number, and
    // the extension, whose bytes are filled up to a multiple of eight.
    let array = "00000200 01000000 00000000 04000200 02000000 08000200 00000000";
    let extent = "08000000 ddccbbaa 0000 0000 0000000000000000 03000000 0102030000000000";
    let mut w = Writer::new(NDR.syntax, NDR.order);
    extended().put(&mut w).unwrap();
    assert_eq!(w.stub(), hex(&format!("{head} {array} {extent}")));
}

#[test]
fn both_are_read_as_they_were_written_and_no_part_of_them_is() {
    let that = OrpcThat {
        flags: 0,
        extensions: extended().extensions,
    };
    for mode in MODES {
        for it in [this(), extended()] {
            let mut w = Writer::new(mode.syntax, mode.order);
            it.put(&mut w).unwrap();
            let mut r = Reader::new(w.stub(), mode.syntax, mode.order);
            assert_eq!(OrpcThis::take(&mut r).unwrap(), it);
            r.finish().unwrap();
            for len in 0..w.stub().len() {
                let mut r = Reader::new(&w.stub()[..len], mode.syntax, mode.order);
                OrpcThis::take(&mut r).unwrap_err();
            }
        }
        let mut w = Writer::new(mode.syntax, mode.order);
        that.put(&mut w).unwrap();
        let mut r = Reader::new(w.stub(), mode.syntax, mode.order);
        assert_eq!(OrpcThat::take(&mut r).unwrap(), that);
        r.finish().unwrap();
    }
}

#[test]
fn extensions_that_disagree_with_their_counts_are_refused() {
    let head = "0500 0700 00000000 00000000 00000000 0000 0000 0000000000000000 00000200";
    let refused = |rest: &str| {
        let bytes = hex(&format!("{head} {rest}"));
        let mut r = Reader::new(&bytes, NDR.syntax, NDR.order);
        OrpcThis::take(&mut r).unwrap_err().kind().clone()
    };
    let room = refused("01000000 00000000 04000200 01000000 08000200");
    assert!(matches!(
        room,
        DecodeErrorKind::BadCount {
            count: 1,
            expected: 2
        }
    ));
    let many = refused("ffffffff 00000000 04000200 00000001");
    assert!(matches!(many, DecodeErrorKind::BadCount { .. }), "{many:?}");
    let size = refused(
        "01000000 00000000 04000200 02000000 08000200 00000000 10000000 00000000 0000 0000 0000000000000000 03000000",
    );
    assert!(matches!(
        size,
        DecodeErrorKind::BadCount {
            count: 16,
            expected: 3
        }
    ));
}
