//! What only the Samba project's IDL has, as its code writes it.

use farcall_wire::ndr::{
    ANY, Conformant, CountedBlob, Each, FlaggedString, Header, In, Order, Part, Plain, Relative,
    RelativeShort, StringArray, StringCounts, Subcontext, WideStr,
};
use farcall_wire::{Bytes, DecodeErrorKind, Str};

use super::{MODES, NDR, hex, kind, lies, put, take};

#[test]
fn a_relative_pointer_is_an_offset() {
    let shape = Each(Relative(Plain));
    let pair = [Some(0x0102_u16), None];
    lies(
        shape,
        &pair,
        "08000000 00000000 0201",
        "08000000 00000000 0201",
    );
    let short = Each(RelativeShort(Plain));
    lies(short, &[None, Some(7_u8)], "0000 0400 07", "0000 0400 07");
    assert!(matches!(
        kind::<[Option<u16>; 2], _>(NDR, shape, &hex("09000000 00000000")),
        DecodeErrorKind::Invalid(_)
    ));
}

#[test]
fn a_subcontext_counts_from_its_own_start() {
    let shape = Each(Subcontext(Header::Long, ANY, Plain));
    lies(
        shape,
        &[[1_u64]; 1],
        "08000000 0100000000000000",
        "08000000 0100000000000000",
    );
    let pickled = Subcontext(Header::Pickle, ANY, Conformant(ANY, Plain));
    lies(
        pickled,
        &vec![1_u8],
        "01100800cccccccc 08000000 00000000 01000000 01 000000",
        "01100800cccccccc 08000000 00000000 01000000 01 000000",
    );
    let sized = Subcontext(Header::None, 4, Plain);
    assert_eq!(put(NDR, sized, &7_u16), hex("0700 0000"));
    assert_eq!(take::<u16, _>(NDR, sized, &hex("0700 0000")).unwrap(), 7);
}

#[test]
fn strings_have_the_counts_of_their_flags() {
    let shape = |counts, terminated, byte_size| FlaggedString {
        counts,
        terminated,
        byte_size,
    };
    let text = WideStr::from("ab");
    for (counts, terminated, bytes, expected) in [
        (StringCounts::None, true, false, "6100 6200 0000"),
        (StringCounts::Size4, true, false, "03000000 6100 6200 0000"),
        (StringCounts::Size2, false, true, "0400 6100 6200"),
        (
            StringCounts::Length4,
            true,
            false,
            "00000000 03000000 6100 6200 0000",
        ),
        (
            StringCounts::SizeLength4,
            false,
            false,
            "02000000 00000000 02000000 6100 6200",
        ),
        (StringCounts::LargeSize, false, true, "0400 6100 6200"),
        (StringCounts::Fixed(3), true, false, "6100 6200 0000"),
    ] {
        lies(shape(counts, terminated, bytes), &text, expected, expected);
    }
    let each = StringArray(shape(StringCounts::None, true, false));
    let texts = vec![Str::from("a"), Str::from("bc")];
    assert_eq!(put(NDR, each, &texts), hex("6100 626300 00"));
    assert_eq!(
        take::<Vec<Str>, _>(NDR, each, &hex("6100 626300 00")).unwrap(),
        texts
    );
}

#[test]
fn parts_have_their_own_order_and_alignment() {
    let big = In(Part::SAME.order(Order::Big), Plain);
    for mode in MODES {
        assert_eq!(put(mode, big, &0x0102_u16), hex("0102"));
    }
    #[derive(Debug, Default, PartialEq)]
    struct Odd(u8, u32);
    impl farcall_wire::ndr::Value for Odd {
        const ALIGN: farcall_wire::ndr::Align = farcall_wire::ndr::Align::A4;
        const MIN: usize = 5;
        fn put(&self, w: &mut farcall_wire::ndr::Writer) -> farcall_wire::ndr::Put {
            w.u8(self.0);
            w.u32(self.1);
            Ok(())
        }
        fn take(&mut self, r: &mut farcall_wire::ndr::Reader<'_>) -> farcall_wire::ndr::Take {
            *self = Self(r.u8()?, r.u32()?);
            Ok(())
        }
    }
    let packed = In(Part::SAME.packed(), Plain);
    lies(packed, &Odd(1, 2), "01 02000000", "01 02000000");
    lies(
        CountedBlob,
        &Bytes::from_static(b"ab"),
        "02000000 6162",
        "02000000 6162",
    );
}
