//! Numbers, booleans, UUIDs, handles.

use farcall_wire::ndr::{
    self, ContextHandle, Int3264, Plain, Ranged, UDLong, UDLongR, UInt1632, UInt3264,
};
use farcall_wire::{DecodeErrorKind, EncodeErrorKind, Uuid};

use super::{MODES, NDR, hex, kind, lies, put, refused, take};

#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Kind(u16);
farcall_wire::ndr_number!(Kind(u16) enum16 ENUM);

#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Wide(u32);
farcall_wire::ndr_number!(Wide(u32) u32 A4);

#[test]
fn numbers_are_aligned_to_their_size_and_follow_the_order() {
    // C706 14.2.3 and 14.2.4.
    for mode in MODES {
        let mut w = ndr::Writer::new(mode.syntax, mode.order);
        w.u8(1);
        w.u16(0x0203);
        w.u8(4);
        w.u32(0x0506_0708);
        w.u8(9);
        w.f64(1.0);
        let expected = match mode.order {
            ndr::Order::Little => "01 00 0302 04 000000 08070605 09 000000 000000000000f03f",
            ndr::Order::Big => "01 00 0203 04 000000 05060708 09 000000 3ff0000000000000",
        };
        assert_eq!(w.stub(), hex(expected), "{mode:?}");
    }
}

#[test]
fn positions_count_from_the_start_of_the_stub() {
    let mut w = ndr::Writer::append_to(vec![0xee; 3], ndr::Syntax::Ndr, ndr::Order::Little);
    w.u8(1);
    w.u32(2);
    assert_eq!(w.stub(), hex("01 000000 02000000"));
    assert_eq!(w.into_bytes(), hex("eeeeee 01 000000 02000000"));
}

#[test]
fn an_enum_is_two_bytes_in_ndr_and_four_in_ndr64() {
    // C706 14.2.5; MS-RPCE 2.2.5.2.
    lies(Plain, &Kind(2), "0200", "02000000");
    lies(Plain, &Wide(2), "02000000", "02000000");
    lies(UInt1632, &7, "0700", "07000000");
    assert!(matches!(
        kind::<Kind, _>(super::NDR64, Plain, &hex("00000100")),
        DecodeErrorKind::OutOfRange { value: 65536, .. }
    ));
}

#[test]
fn int3264_is_a_long_in_ndr_and_a_hyper_in_ndr64() {
    // MS-RPCE 2.2.4.1.2.
    lies(Int3264, &-2, "feffffff", "feffffffffffffff");
    lies(UInt3264, &3, "03000000", "0300000000000000");
    assert!(matches!(
        refused(Int3264, &(1 << 31)),
        EncodeErrorKind::OutOfRange { .. }
    ));
}

#[test]
fn halves_are_aligned_to_four() {
    let value = 0x0102_0304_0506_0708_u64;
    lies(UDLong, &value, "08070605 04030201", "08070605 04030201");
    lies(UDLongR, &value, "04030201 08070605", "04030201 08070605");
    assert_eq!(put(MODES[1], UDLong, &value), hex("05060708 01020304"));
}

#[test]
fn a_boolean_is_a_byte_and_anything_but_zero_is_true() {
    lies(Plain, &true, "01", "01");
    assert!(take::<bool, _>(NDR, Plain, &[7]).unwrap());
}

#[test]
fn a_uuid_follows_the_order_in_its_first_three_fields() {
    let uuid = Uuid::new(0x0102_0304, 0x0506, 0x0708, [9, 10, 11, 12, 13, 14, 15, 16]);
    let little = "04030201 0605 0807 090a0b0c0d0e0f10";
    lies(Plain, &uuid, little, little);
    assert_eq!(
        put(MODES[1], Plain, &uuid),
        hex("01020304 0506 0708 090a0b0c0d0e0f10")
    );
}

#[test]
fn a_context_handle_is_twenty_bytes_in_both_syntaxes() {
    let handle = ContextHandle {
        attributes: 0,
        uuid: Uuid::new(1, 2, 3, [4; 8]),
    };
    let bytes = "00000000 01000000 0200 0300 0404040404040404";
    lies(Plain, &handle, bytes, bytes);
    assert!(ContextHandle::NULL.is_null() && !handle.is_null());
    let null = "00000000 00000000 0000 0000 0000000000000000";
    lies(Plain, &ContextHandle::default(), null, null);
}

#[test]
fn a_number_out_of_its_range_is_neither_sent_nor_taken() {
    let shape = Ranged(2, 4, Plain);
    lies(shape, &3_u32, "03000000", "03000000");
    assert!(matches!(
        refused(shape, &5_u32),
        EncodeErrorKind::OutOfRange {
            value: 5,
            min: 2,
            max: 4
        }
    ));
    assert_eq!(
        kind::<u32, _>(NDR, shape, &hex("01000000")),
        DecodeErrorKind::OutOfRange {
            value: 1,
            min: 2,
            max: 4
        }
    );
}

#[test]
fn expressions_do_not_panic() {
    assert_eq!(ndr::div(1, 0), 0);
    assert_eq!(ndr::rem(1, 0), 0);
    assert_eq!(ndr::div(i64::MIN, -1), 0);
    assert_eq!(ndr::shl(1, 64), 0);
    assert_eq!(ndr::shl(1, -1), 0);
    assert_eq!(ndr::shr(-8, 1), -4);
    assert_eq!(ndr::cut(0x1_ff, 8, false), 0xff);
    assert_eq!(ndr::cut(0x1_ff, 8, true), -1);
    assert_eq!(ndr::cut(-1, 64, false), -1);
    assert_eq!(ndr::known(&[5], 0), 5);
    assert_eq!(ndr::known(&[5], 1), ndr::ANY);
    assert_eq!(ndr::text_len(None, true, true), 0);
    assert_eq!(ndr::text_len(Some(0), true, true), 1);
    assert_eq!(ndr::text_len(Some(0), true, false), 0);
    assert_eq!(ndr::text_len(Some(3), false, false), 3);
    assert_eq!(ndr::element(&[1, 2], 1), Some(&2));
    assert_eq!(ndr::element(&[1, 2], -1), None);
}
