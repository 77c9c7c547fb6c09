//! Strings: C706 section 14.3.4, MS-RPCE section 2.2.5.3.3.

use farcall_wire::ndr::{
    ANY, Conformant, ConformantString, Counted, Plain, Unique, VaryingString, WideStr,
};
use farcall_wire::{DecodeErrorKind, EncodeErrorKind, Str};

use super::{NDR, hex, kind, lies, refused, take};

#[test]
fn a_conformant_string_counts_its_terminator() {
    lies(
        ConformantString(ANY),
        &Str::from("ab"),
        "03000000 00000000 03000000 616200",
        "0300000000000000 0000000000000000 0300000000000000 616200",
    );
    lies(
        ConformantString(5),
        &WideStr::from("ab"),
        "05000000 00000000 03000000 6100 6200 0000",
        "0500000000000000 0000000000000000 0300000000000000 6100 6200 0000",
    );
    lies(
        ConformantString(ANY),
        &WideStr::default(),
        "01000000 00000000 01000000 0000",
        "0100000000000000 0000000000000000 0100000000000000 0000",
    );
}

#[test]
fn a_varying_string_has_no_maximum_count() {
    lies(
        VaryingString(3),
        &Str::from("ab"),
        "00000000 03000000 616200",
        "0000000000000000 0300000000000000 616200",
    );
    assert!(matches!(
        refused(VaryingString(2), &Str::from("ab")),
        EncodeErrorKind::BadCount {
            len: 3,
            expected: 2
        }
    ));
}

#[test]
fn a_pointer_to_a_string_has_the_string_behind_it() {
    lies(
        Unique(ConformantString(ANY)),
        &Some(WideStr::from("a")),
        "00000200 02000000 00000000 02000000 6100 0000",
        "0000020000000000 0200000000000000 0000000000000000 0200000000000000 6100 0000",
    );
}

#[test]
fn a_string_without_its_terminator_is_refused() {
    let unended = hex("02000000 00000000 02000000 6162");
    assert!(matches!(
        kind::<Str, _>(NDR, ConformantString(ANY), &unended),
        DecodeErrorKind::Invalid(_)
    ));
    let empty = hex("00000000 00000000 00000000");
    assert!(matches!(
        kind::<Str, _>(NDR, ConformantString(ANY), &empty),
        DecodeErrorKind::Invalid(_)
    ));
    let offset = hex("02000000 01000000 01000000 00");
    assert!(matches!(
        kind::<Str, _>(NDR, ConformantString(ANY), &offset),
        DecodeErrorKind::BadCount { .. }
    ));
    let long = hex("01000000 00000000 02000000 6100");
    assert!(matches!(
        kind::<Str, _>(NDR, ConformantString(ANY), &long),
        DecodeErrorKind::TooLong { len: 2, max: 1 }
    ));
}

#[test]
fn what_is_no_utf_16_is_kept() {
    let odd = WideStr::from_units(vec![0xd800, 0x61]);
    lies(Counted(2, Plain), &odd, "00d8 6100", "00d8 6100");
    assert!(odd.to_text().is_err());
    assert_eq!(odd.to_string(), "\u{fffd}a");
    assert_eq!(WideStr::from("ä"), "ä");
    assert_eq!(format!("{:?}", WideStr::from("a")), "\"a\"");
}

#[test]
fn text_that_is_only_counted_keeps_its_zeros() {
    let text: WideStr = take(NDR, Conformant(2, Plain), &hex("02000000 6100 0000")).unwrap();
    assert_eq!(text.units(), [0x61, 0]);
}
