//! Structures, as generated code writes them: alignment, hoisting, trailing gaps.

use farcall_wire::ndr::{self, Align, Conformant, Int as _, Plain, Shape as _, Unique};
use farcall_wire::{At as _, DecodeErrorKind};

use super::{MODES, NDR, hex, kind, lies, put};

/// `struct { short a; hyper b; char c; }`
#[derive(Clone, Debug, Default, PartialEq)]
struct Gaps {
    a: u16,
    b: u64,
    c: u8,
}

impl ndr::Value for Gaps {
    const ALIGN: Align = Align::new(8, 8);
    const MIN: usize = 11;
    fn put(&self, w: &mut ndr::Writer) -> ndr::Put {
        w.align(Self::ALIGN);
        self.a.put(w)?;
        self.b.put(w)?;
        self.c.put(w)?;
        w.trailer(Self::ALIGN);
        Ok(())
    }
    fn take(&mut self, r: &mut ndr::Reader<'_>) -> ndr::Take {
        r.align(Self::ALIGN)?;
        self.a.take(r).at("a")?;
        self.b.take(r).at("b")?;
        self.c.take(r).at("c")?;
        r.trailer(Self::ALIGN)
    }
}

/// `struct { long len; [size_is(len)] hyper items[]; }`
#[derive(Clone, Debug, Default, PartialEq)]
struct Tail {
    len: u32,
    items: Vec<u64>,
}

impl ndr::Value for Tail {
    const ALIGN: Align = Align::new(8, 8);
    const MIN: usize = 4;
    fn put_counts(&self, w: &mut ndr::Writer) -> ndr::Put {
        Conformant(self.len.int(), Plain).put_counts(&self.items, w)
    }
    fn put(&self, w: &mut ndr::Writer) -> ndr::Put {
        w.align(Self::ALIGN);
        self.len.put(w)?;
        Conformant(self.len.int(), Plain).put(&self.items, w)?;
        w.trailer(Self::ALIGN);
        Ok(())
    }
    fn take_counts(r: &mut ndr::Reader<'_>) -> ndr::Take {
        ndr::Shape::<Vec<u64>>::take_counts(Conformant(ndr::ANY, Plain), r)
    }
    fn take(&mut self, r: &mut ndr::Reader<'_>) -> ndr::Take {
        r.align(Self::ALIGN)?;
        self.len.take(r).at("len")?;
        Conformant(self.len.int(), Plain)
            .take(&mut self.items, r)
            .at("items")?;
        r.trailer(Self::ALIGN)
    }
}

#[test]
fn a_structure_ends_with_a_gap_in_ndr64_only() {
    // C706 14.3.5; MS-RPCE 2.2.5.3.4.1.
    let value = Gaps { a: 1, b: 2, c: 3 };
    lies(
        Plain,
        &value,
        "0100 000000000000 0200000000000000 03",
        "0100 000000000000 0200000000000000 03 00000000000000",
    );
    let two = [value.clone(), value];
    assert_eq!(
        put(NDR, Plain, &two),
        hex(
            "0100 000000000000 0200000000000000 03 00000000000000 0100 000000000000 \
             0200000000000000 03"
        )
    );
}

#[test]
fn the_maximum_count_is_hoisted_and_aligned_by_itself() {
    // C706 14.3.7.1: the count to 4, the structure to 8 because of its elements.
    let value = Tail {
        len: 1,
        items: vec![5],
    };
    lies(
        Plain,
        &value,
        "01000000 00000000 01000000 00000000 0500000000000000",
        "0100000000000000 01000000 00000000 0500000000000000",
    );
    assert_eq!(
        kind::<Tail, _>(
            NDR,
            Plain,
            &hex("01000000 00000000 02000000 00000000 0500000000000000")
        ),
        DecodeErrorKind::BadCount {
            count: 1,
            expected: 2
        }
    );
}

#[test]
fn a_pointer_to_a_conformant_structure_has_the_count_behind_the_pointer() {
    lies(
        Unique(Plain),
        &Some(Tail {
            len: 0,
            items: Vec::new(),
        }),
        "00000200 00000000 00000000",
        "0000020000000000 0000000000000000 00000000 00000000",
    );
}

#[test]
fn errors_name_the_field() {
    let error = super::take::<Gaps, _>(NDR, Plain, &hex("0100 000000000000 02")).unwrap_err();
    assert_eq!(error.path(), "b");
    assert_eq!(error.offset(), 8);
    for mode in MODES {
        let error = super::take::<[Gaps; 2], _>(mode, Plain, &[0; 27]).unwrap_err();
        assert!(error.path().starts_with("[1]."), "{error}");
    }
}
