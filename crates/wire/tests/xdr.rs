//! XDR against RFC 4506: expected bytes are worked out by hand from the sections named beside
//! them, never taken from our own encoder.

#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::as_conversions,
    reason = "a test may fail loudly"
)]

use farcall_wire::{
    Bytes, Decode, DecodeErrorKind as Kind, Encode, Limits, Padding, Quadruple, Reader, Str, xdr,
};
use proptest::prelude::*;

fn bytes(hex: &str) -> Vec<u8> {
    let digits: Vec<u8> = hex.bytes().filter(|b| !b.is_ascii_whitespace()).collect();
    let byte = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).expect("hex"), 16);
    digits
        .chunks(2)
        .map(|pair| byte(pair).expect("hex"))
        .collect()
}

/// The value encodes to these bytes, the bytes decode to this value, and every truncation of
/// them and every byte too many is refused.
fn both_ways<T>(value: T, hex: &str)
where
    T: Encode + for<'a> Decode<'a> + PartialEq + std::fmt::Debug,
{
    let wire = bytes(hex);
    assert_eq!(xdr::to_vec(&value).expect("encodes"), wire, "{value:?}");
    assert_eq!(xdr::from_slice::<T>(&wire).expect("decodes"), value);
    for len in 0..wire.len() {
        let error = xdr::from_slice::<T>(&wire[..len]).expect_err("truncated");
        let truncated = matches!(error.kind(), Kind::Truncated { .. });
        assert!(truncated, "{value:?} cut to {len}: {error}");
    }
    let mut longer = wire;
    longer.push(0);
    let error = xdr::from_slice::<T>(&longer).expect_err("a byte too many");
    assert_eq!(error.kind(), &Kind::TrailingBytes(1));
}

#[test]
fn integers_4_1_to_4_5() {
    both_ways(-2_i32, "fffffffe");
    both_ways(i32::MIN, "80000000");
    both_ways(0x0102_0304_u32, "01020304");
    both_ways(-2_i64, "fffffffffffffffe");
    both_ways(0x0102_0304_0506_0708_u64, "0102030405060708");
    both_ways(true, "00000001");
    both_ways(false, "00000000");
    both_ways((), "");
}

#[test]
fn small_integers_of_rpcgen_take_four_bytes_and_must_fit() {
    both_ways(-1_i8, "ffffffff");
    both_ways(200_u8, "000000c8");
    both_ways(-300_i16, "fffffed4");
    both_ways(65_535_u16, "0000ffff");
    for wire in ["00000100", "ffffffff"] {
        assert!(xdr::from_slice::<u8>(&bytes(wire)).is_err(), "{wire}");
    }
    assert!(xdr::from_slice::<i8>(&bytes("00000080")).is_err());
}

#[test]
fn floating_point_4_6_to_4_8_bit_for_bit() {
    both_ways(1.0_f32, "3f800000");
    both_ways(-2.5_f64, "c004000000000000");
    assert_eq!(
        xdr::to_vec(&-0.0_f64).expect("encodes"),
        bytes("8000000000000000")
    );
    // A signalling not-a-number keeps its payload.
    let odd = f64::from_bits(0x7ff4_0000_0000_0bad);
    let back: f64 = xdr::from_slice(&xdr::to_vec(&odd).expect("encodes")).expect("decodes");
    assert_eq!(back.to_bits(), odd.to_bits());
    // 1.0: the exponent's bias is 16383.
    both_ways(
        Quadruple::from_bits(0x3fff << 112),
        "3fff0000000000000000000000000000",
    );
}

#[test]
fn strings_and_padding_4_9_to_4_11() {
    both_ways(Str::from(""), "00000000");
    both_ways(Str::from("a"), "00000001 61000000");
    both_ways(
        Str::from("sillyprog"),
        "00000009 73696c6c 7970726f 67000000",
    );
    both_ways(Str::from(&b"\xff\0\x80!"[..]), "00000004 ff008021");
}

#[test]
fn optional_data_and_lists_4_19() {
    both_ways(None::<u32>, "00000000");
    both_ways(Some(7_u32), "00000001 00000007");
    let wire = bytes("00000001 0000000a 00000001 0000000b 00000000");
    let mut r = Reader::new(&wire);
    assert_eq!(xdr::list::<u32>(&mut r).expect("a list"), [10, 11]);
    r.finish().expect("all of it");
    for len in 0..wire.len() {
        assert!(
            xdr::list::<u32>(&mut Reader::new(&wire[..len])).is_err(),
            "cut to {len}"
        );
    }
    let chain = bytes("0000000a 00000001 0000000b 00000000");
    assert_eq!(
        xdr::chain::<u32>(&mut Reader::new(&chain)).expect("a chain"),
        [10, 11]
    );
}

#[test]
fn arrays_4_12_and_4_13() {
    let wire = bytes("00000002 00000001 00000002");
    assert_eq!(
        xdr::array_var::<u32>(&mut Reader::new(&wire), 2).expect("fits"),
        [1, 2]
    );
    let error = xdr::array_var::<u32>(&mut Reader::new(&wire), 1).expect_err("over its bound");
    assert_eq!(error.kind(), &Kind::TooLong { len: 2, max: 1 });
    let fixed = xdr::array_fixed::<i64, 2>(&mut Reader::new(&bytes(
        "0000000000000001 fffffffffffffffe",
    )));
    assert_eq!(fixed.expect("two"), [1, -2]);
}

#[test]
fn padding_is_judged_as_it_was_asked_for() {
    let wire = bytes("00000001 61000001");
    assert_eq!(xdr::from_slice::<Str>(&wire).expect("compatible"), "a");
    let strict = Limits {
        padding: Padding::Strict,
        ..Limits::DEFAULT
    };
    let error = Str::decode(&mut Reader::with_limits(&wire, strict)).expect_err("strict");
    assert_eq!(error.kind(), &Kind::NonZeroPadding);
    let opaque = bytes("0102 03ff");
    assert_eq!(
        Reader::new(&opaque)
            .opaque_fixed::<3>()
            .expect("compatible"),
        &[1, 2, 3]
    );
    assert!(
        Reader::with_limits(&opaque, strict)
            .opaque_fixed::<3>()
            .is_err()
    );
}

#[test]
fn a_boolean_is_0_or_1() {
    let error = xdr::from_slice::<bool>(&bytes("00000002")).expect_err("two");
    assert_eq!(error.kind(), &Kind::BadBool(2));
    assert!(xdr::from_slice::<Option<u32>>(&bytes("000000ff 00000000")).is_err());
}

#[test]
fn a_claimed_count_takes_no_memory() {
    // Every element size, the largest counts there are, and nothing behind them.
    for claim in [u32::MAX, 0x8000_0000, 0x3fff_ffff, 0x1000_0000] {
        let wire = claim.to_be_bytes();
        let mut r = Reader::new(&wire);
        assert!(matches!(
            xdr::array_var::<u64>(&mut r, u32::MAX)
                .expect_err("bomb")
                .kind(),
            Kind::Truncated { .. }
        ));
        assert!(xdr::array_var::<u32>(&mut Reader::new(&wire), u32::MAX).is_err());
        assert!(xdr::array_var::<Str>(&mut Reader::new(&wire), u32::MAX).is_err());
        assert!(xdr::array_var::<Quadruple>(&mut Reader::new(&wire), u32::MAX).is_err());
        assert!(Reader::new(&wire).opaque_vec(u32::MAX).is_err());
        assert!(Reader::new(&wire).bytes_var(u32::MAX).is_err());
    }
    // Elements without bytes are bounded by the memory budget.
    let void = xdr::array_var::<()>(&mut Reader::new(&u32::MAX.to_be_bytes()), u32::MAX);
    assert!(matches!(
        void.expect_err("bomb").kind(),
        Kind::BudgetExceeded { .. }
    ));
}

#[test]
fn memory_length_and_depth_are_budgets() {
    let wire = xdr::to_vec(&Str::from("0123456789")).expect("encodes");
    let poor = Limits {
        memory: 9,
        ..Limits::DEFAULT
    };
    let error = Str::decode(&mut Reader::with_limits(&wire, poor)).expect_err("ten bytes");
    assert_eq!(error.kind(), &Kind::BudgetExceeded { limit: 9 });
    let short = Limits {
        length: 9,
        ..Limits::DEFAULT
    };
    let error = Str::decode(&mut Reader::with_limits(&wire, short)).expect_err("ten bytes");
    assert_eq!(error.kind(), &Kind::TooLong { len: 10, max: 9 });
    fn dive(r: &mut Reader<'_>, levels: u32) -> Result<(), farcall_wire::DecodeError> {
        match levels {
            0 => Ok(()),
            levels => r.nested(|r| dive(r, levels - 1)),
        }
    }
    let shallow = Limits {
        depth: 5,
        ..Limits::DEFAULT
    };
    let mut r = Reader::with_limits(&[], shallow);
    dive(&mut r, 5).expect("five levels");
    dive(&mut r, 5).expect("and five again: what was left is given back");
    let error = dive(&mut r, 6).expect_err("six");
    assert_eq!(error.kind(), &Kind::DepthExceeded { limit: 5 });
}

#[test]
fn an_error_says_where() {
    let wire = bytes("00000002 00000001 61000000 00000009");
    let error = xdr::array_var::<Str>(&mut Reader::new(&wire), 9).expect_err("cut");
    assert_eq!((error.offset(), error.path().as_str()), (16, "[1]"));
}

#[test]
fn a_long_list_is_read_without_recursion() {
    let mut wire = Vec::new();
    for n in 0..1_000_000_u32 {
        wire.extend(1_u32.to_be_bytes());
        wire.extend(n.to_be_bytes());
    }
    wire.extend(0_u32.to_be_bytes());
    let list = xdr::list::<u32>(&mut Reader::new(&wire)).expect("a list");
    assert_eq!(list.len(), 1_000_000);
}

#[test]
fn opaque_data_is_a_slice_of_what_was_received() {
    let whole = Bytes::from(bytes("00000005 68656c6c 6f000000"));
    let data = Reader::shared(&whole, &whole, Limits::DEFAULT)
        .bytes_var(9)
        .expect("data");
    assert_eq!(&data[..], b"hello");
    assert!(whole.as_ptr_range().contains(&data.as_ptr()), "not a copy");
    let copy = Reader::new(&whole).bytes_var(9).expect("data");
    assert!(!whole.as_ptr_range().contains(&copy.as_ptr()), "a copy");
}

#[test]
fn long_arrays_are_turned_round_word_by_word() {
    // RFC 4506 sections 4.2, 4.5, 4.13: a count, then each number with its first byte first.
    for count in [0_u32, 1, 63, 64, 65, 1000, 1003] {
        let words: Vec<u32> = (0..count).map(|i| i.wrapping_mul(0x0102_0305)).collect();
        let longs: Vec<u64> = words.iter().map(|i| u64::from(*i) << 17 | 3).collect();
        let mut wire = vec![0xaa; 8 + 12 * words.len()];
        let mut w = farcall_wire::Writer::new(&mut wire);
        xdr::encode_array_var(&words, &mut w);
        xdr::encode_array_var(&longs, &mut w);
        assert!(w.is_full());
        let mut by_hand = count.to_be_bytes().to_vec();
        words.iter().for_each(|word| {
            by_hand.extend([word >> 24, word >> 16, word >> 8, *word].map(|byte| byte as u8));
        });
        by_hand.extend(count.to_be_bytes());
        longs.iter().for_each(|long| {
            by_hand.extend((0..8).rev().map(|byte| (long >> (8 * byte)) as u8));
        });
        assert_eq!(wire, by_hand);
        let mut r = Reader::new(&wire);
        assert_eq!(
            xdr::array_var::<u32>(&mut r, u32::MAX).expect("words"),
            words
        );
        assert_eq!(
            xdr::array_var::<u64>(&mut r, u32::MAX).expect("longs"),
            longs
        );
        r.finish().expect("all of it");
    }
}

#[test]
fn short_strings_fill_exactly_their_own_bytes() {
    // RFC 4506 section 4.11: count, bytes, zeros up to a multiple of four.
    for len in 0..=16_usize {
        for behind in [0, 4, 64] {
            let text = "0123456789abcdef".get(..len).expect("ascii");
            let mut wire = vec![0xaa; 4 + len.next_multiple_of(4) + behind];
            let mut w = farcall_wire::Writer::new(&mut wire);
            xdr::encode_string(&Str::from(text), &mut w);
            w.slice(&vec![0xbb; behind]);
            assert!(w.is_full());
            let mut by_hand = (len as u32).to_be_bytes().to_vec();
            by_hand.extend(text.bytes());
            by_hand.resize(4 + len.next_multiple_of(4), 0);
            by_hand.resize(by_hand.len() + behind, 0xbb);
            assert_eq!(wire, by_hand);
        }
    }
}

proptest! {
    #[test]
    fn any_value_comes_back(
        words in prop::collection::vec(any::<u32>(), 0..40),
        longs in prop::collection::vec(any::<i64>(), 0..40),
        text in prop::collection::vec(any::<u8>(), 0..200),
        some in any::<Option<u64>>(),
    ) {
        let mut size = farcall_wire::Size::contiguous();
        xdr::measure_array_var(&words, &mut size, u32::MAX).expect("measures");
        let mut wire = vec![0; size.total()];
        let mut w = farcall_wire::Writer::new(&mut wire);
        xdr::encode_array_var(&words, &mut w);
        prop_assert!(w.is_full());
        let back = xdr::array_var::<u32>(&mut Reader::new(&wire), u32::MAX);
        prop_assert_eq!(back.expect("back"), words);
        let mut wire = vec![0; 4 + 8 * longs.len()];
        let mut w = farcall_wire::Writer::new(&mut wire);
        xdr::encode_array_var(&longs, &mut w);
        prop_assert!(w.is_full());
        prop_assert_eq!(xdr::array_var::<i64>(&mut Reader::new(&wire), u32::MAX).expect("back"), longs);
        let text = Str::from(text);
        let wire = xdr::to_vec(&(&text, some)).expect("encodes");
        let mut r = Reader::new(&wire);
        prop_assert_eq!(Str::decode(&mut r).expect("back"), text);
        prop_assert_eq!(<Option<u64>>::decode(&mut r).expect("back"), some);
        prop_assert!(r.finish().is_ok());
    }

    #[test]
    fn arbitrary_bytes_never_panic(wire in prop::collection::vec(any::<u8>(), 0..300)) {
        let _ = xdr::from_slice::<Str>(&wire);
        let _ = xdr::from_slice::<Option<Box<u64>>>(&wire);
        let _ = xdr::list::<Str>(&mut Reader::new(&wire));
        let _ = xdr::array_var::<Option<Str>>(&mut Reader::new(&wire), u32::MAX);
        let _ = xdr::array_fixed::<bool, 7>(&mut Reader::new(&wire));
    }
}
