//! Generated code of `.idl` files, compiled: bytes worked out by hand, and random messages that come
//! back in both syntaxes and both orders, cut and broken ones refused.

#![cfg(feature = "emit")]

#[path = "compiled/messages.rs"]
mod messages;

use farcall_wire::ndr::{self, Order, Reader, Represent, Shape as _, Syntax, Writer};
use farcall_wire::{DecodeErrorKind, EncodeError, EncodeErrorKind};

use messages::{Dice, MODES, Transcode, again, make};

#[rustfmt::skip]
#[allow(unreachable_pub)]
mod shapes {
    include!("../fixtures/shapes.rs");
}

#[rustfmt::skip]
#[allow(unreachable_pub)]
mod samba {
    include!("../fixtures/samba.rs");
}

#[rustfmt::skip]
#[allow(unreachable_pub)]
mod objects {
    include!("../fixtures/objects.rs");
}

#[rustfmt::skip]
#[allow(unreachable_pub)]
mod dialect {
    include!("../fixtures/dialect.rs");
}

use shapes::shapes::codec;

/// The program's own type for the interface's `text_on_wire`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Text(String);

impl Represent for Text {
    type Wire = shapes::CountedBytes;

    fn to_wire(&self) -> Result<shapes::CountedBytes, EncodeError> {
        let len = u16::try_from(self.0.len());
        Ok(shapes::CountedBytes {
            len: len.map_err(|_| EncodeError::new(EncodeErrorKind::TooLarge))?,
            bytes: Some(self.0.clone().into_bytes()),
        })
    }

    fn from_wire(wire: shapes::CountedBytes) -> Result<Self, DecodeErrorKind> {
        let bytes = wire.bytes.unwrap_or_default();
        let text = String::from_utf8(bytes).map_err(|_| DecodeErrorKind::NotUtf8)?;
        Ok(Self(text))
    }
}

fn hex(text: &str) -> Vec<u8> {
    let digits: Vec<u8> = text.bytes().filter(|b| !b.is_ascii_whitespace()).collect();
    let byte = |pair: &[u8]| u8::from_str_radix(str::from_utf8(pair).unwrap(), 16).unwrap();
    digits.chunks(2).map(byte).collect()
}

fn written(put: impl Fn(&mut Writer) -> Result<(), EncodeError>) -> [Vec<u8>; 4] {
    MODES.map(|(syntax, order)| {
        let mut w = Writer::new(syntax, order);
        put(&mut w).unwrap();
        w.into_bytes()
    })
}

#[test]
fn the_reply_depends_on_what_was_asked() {
    let it = shapes::shapes::ArraysOut {
        max: 1,
        items: vec![7],
        results: vec![8, 9],
        filled: 2,
    };
    let [ndr, ..] = written(|w| codec::put_arrays_reply(w, &[5], &it));
    // max; maximum count 1 and one short; maximum count 5, offset 0, count 2 and two longs; filled.
    let expected =
        "01000000 01000000 0700 0000 05000000 00000000 02000000 08000000 09000000 02000000";
    assert_eq!(ndr, hex(expected));
    let mut r = Reader::new(&ndr, Syntax::Ndr, Order::Little).with_known(&[5]);
    assert_eq!(codec::take_arrays_reply(&mut r).unwrap(), it);
    let mut r = Reader::new(&ndr, Syntax::Ndr, Order::Little).with_known(&[4]);
    let error = codec::take_arrays_reply(&mut r).unwrap_err();
    assert_eq!(
        error.kind(),
        &DecodeErrorKind::BadCount {
            count: 5,
            expected: 4
        }
    );
    assert_eq!(error.path(), "results");
}

#[test]
fn a_length_behind_its_array_is_checked_when_it_is_known() {
    // One byte, its maximum count in front; then the length, max, and no items.
    let bytes = hex("01000000 61 000000 02000000 00000000 00000000");
    let mut r = Reader::new(&bytes, Syntax::Ndr, Order::Little);
    let error = codec::take_arrays(&mut r).unwrap_err();
    assert_eq!(
        error.kind(),
        &DecodeErrorKind::BadCount {
            count: 1,
            expected: 2
        }
    );
    assert_eq!(error.path(), "before_its_length");
}

#[test]
fn an_arm_is_only_sent_under_a_discriminant_that_chooses_it() {
    let mut chosen = shapes::Chosen {
        kind: 1,
        it: shapes::Choice::Other(1, 7),
        tint: shapes::Tinted::Red(1),
    };
    let mut w = Writer::new(Syntax::Ndr, Order::Little);
    let error = codec::put_choose(&mut w, 1, &chosen).unwrap_err();
    assert!(matches!(
        error.kind(),
        EncodeErrorKind::BadDiscriminant { value: 1, .. }
    ));
    chosen.it = shapes::Choice::SmallOne(7);
    let [ndr, _, ndr64, _] = written(|w| codec::put_choose(w, 1, &chosen));
    // level; kind, discriminant, the byte; the color and a long.
    assert_eq!(
        ndr,
        hex("01000000 0000 0000 01000000 01000000 07 00 0100 01000000")
    );
    assert_eq!(
        ndr64,
        hex(
            "01000000 00000000 01000000 00000000 01000000 00000000 07 00000000000000 \
             01000000 00000000 01000000 00000000"
        )
    );
}

#[test]
fn the_programs_own_types_stand_for_what_is_on_the_wire() {
    let (one, all) = (Text("ab".to_owned()), vec![Text("c".to_owned()).into()]);
    let [ndr, ..] = written(|w| codec::put_represented(w, &one, 1, &all));
    let expected = "0200 0000 00000200 02000000 6162 0000 01000000 \
                    01000000 0100 0000 04000200 01000000 63";
    assert_eq!(ndr, hex(expected));
    let mut r = Reader::new(&ndr, Syntax::Ndr, Order::Little);
    assert_eq!(codec::take_represented(&mut r).unwrap(), (one, 1, all));
    let broken = hex("0100 0000 00000200 01000000 ff 000000 00000000 00000000");
    let mut r = Reader::new(&broken, Syntax::Ndr, Order::Little);
    let error = codec::take_represented(&mut r).unwrap_err();
    assert_eq!(error.kind(), &DecodeErrorKind::NotUtf8);
}

#[test]
fn out_pipes_come_first_and_in_pipes_last() {
    let out = shapes::shapes::StreamOut {
        output: vec![1, 2].into(),
        sum: 3,
    };
    let [ndr, ..] = written(|w| codec::put_stream_reply(w, &[], &out));
    assert_eq!(ndr, hex("02000000 0100 0200 00000000 03000000"));
}

/// All messages of an interface come back in all modes; what is cut or broken is refused or is a
/// message, and nothing panics.
fn come_back(transcode: Transcode, opnums: impl IntoIterator<Item = u16>) {
    let mut dice = Dice(7);
    for opnum in opnums {
        let mut made = 0;
        for _ in 0..40 {
            let Some(request) = make(transcode, opnum, false, &[], &mut dice) else {
                continue;
            };
            let messages = [
                (false, Some(&request).map(|it| it.bytes.clone())),
                (
                    true,
                    make(transcode, opnum, true, &request.known, &mut dice).map(|it| it.bytes),
                ),
            ];
            for (reply, bytes) in messages {
                let Some(bytes) = bytes else { continue };
                made += 1;
                for mode in MODES {
                    let other = again(
                        transcode,
                        opnum,
                        reply,
                        &request.known,
                        &bytes,
                        (MODES[0], mode),
                    );
                    let other = other.unwrap();
                    let back = again(
                        transcode,
                        opnum,
                        reply,
                        &request.known,
                        &other,
                        (mode, MODES[0]),
                    );
                    assert_eq!(back.as_ref(), Ok(&bytes), "{opnum} {reply} {mode:?}");
                    let cut = dice.below(other.len());
                    let _ = again(
                        transcode,
                        opnum,
                        reply,
                        &request.known,
                        &other[..cut],
                        (mode, mode),
                    );
                    let mut broken = other;
                    if let Some(byte) = broken.get_mut(cut) {
                        *byte ^= dice.byte();
                    }
                    let _ = again(
                        transcode,
                        opnum,
                        reply,
                        &request.known,
                        &broken,
                        (mode, mode),
                    );
                }
            }
        }
        assert!(made > 0, "no message of operation {opnum} was made");
    }
}

#[test]
fn random_messages_of_every_shape_come_back() {
    come_back(codec::transcode, 0..9);
}

#[test]
fn random_messages_of_a_file_by_others_come_back() {
    // Chance hardly ever finds the four counts of the matrix in the operation behind these.
    come_back(dialect::dialect::codec::transcode, 0..10);
}

/// The value is these bytes in NDR, little-endian, and comes back in all modes.
fn lies<T: ndr::Value + PartialEq + std::fmt::Debug>(value: &T, expected: &str) {
    let all = written(|w| ndr::Plain.put_whole(value, w));
    assert_eq!(all[0], hex(expected));
    for ((syntax, order), bytes) in MODES.into_iter().zip(all) {
        let mut r = Reader::new(&bytes, syntax, order);
        let read: T = ndr::Plain.read(&mut r).unwrap();
        assert_eq!(&read, value, "{syntax:?} {order:?}");
        r.finish().unwrap();
    }
}

#[test]
fn sambas_dialect_is_written_as_its_flags_say() {
    let mixed = samba::Mixed {
        len: 6,
        name: Some("ab".into()),
        network: 0x0102_0304,
        inside: samba::Packed { a: 1, b: 2 },
        level: 1,
        it: samba::Untagged::Number(7),
        when: 5,
        small: samba::Tiny::B,
        blob: farcall_wire::Bytes::from_static(b"x"),
        ended: "e".into(),
    };
    // len and a pointer; the big-endian number; five bytes of their own without a gap; level, the
    // arm alone; a time of two halves; a byte; a counted blob; a text up to its zero; the name.
    let expected = "0600 0000 00000200 01020304 05000000 01 02000000 000000 01000000 07000000 \
                    05000000 00000000 ff 000000 01000000 78 6500 0000 000000 \
                    03000000 00000000 03000000 6100 6200 0000";
    lies(&mixed, expected);
    // What is computed does not depend on what the field says.
    let wrong = samba::Mixed { len: 9, ..mixed };
    let [ndr, ..] = written(|w| ndr::Plain.put_whole(&wrong, w));
    assert_eq!(ndr, hex(expected));
}

#[test]
fn relative_pointers_count_from_the_start_of_their_structure() {
    let offsets = samba::Offsets {
        first: Some(9),
        text: Some("a".into()),
        mark: 1,
    };
    lies(
        &offsets,
        "09000000 10000000 01 000000 09000000 02000000 00000000 02000000 6100 0000",
    );
}

#[test]
fn methods_of_objects_have_orpcthis_in_front() {
    use objects::i_adder;
    let [ndr, _, ndr64, _] = written(|w| i_adder::codec::put_add(w, 3, 4));
    // Version 5.7, no flags, no causality, no extensions; then the arguments (MS-DCOM 2.2.13.3).
    let this = "0500 0700 00000000 00000000 00000000 0000 0000 0000000000000000";
    assert_eq!(ndr, hex(&format!("{this} 00000000 03000000 04000000")));
    let wide = format!("{this} 00000000 0000000000000000 03000000 04000000");
    assert_eq!(ndr64, hex(&wide));
    let mut r = Reader::new(&ndr, Syntax::Ndr, Order::Little);
    assert_eq!(i_adder::codec::take_add(&mut r).unwrap(), (3, 4));
    let it = i_adder::AddOut { sum: 7, result: 0 };
    let [reply, ..] = written(|w| i_adder::codec::put_add_reply(w, &[], &it));
    assert_eq!(reply, hex("00000000 00000000 07000000 00000000"));
    let mut r = Reader::new(&reply, Syntax::Ndr, Order::Little);
    assert_eq!(i_adder::codec::take_add_reply(&mut r).unwrap(), it);
    // The derived interface has the methods of its base, under their numbers, and its own behind them.
    let numbers: Vec<u16> = [3, 4, 5].to_vec();
    let described = |name: &str| {
        let (model, _) = farcall_idl::parse_file(
            concat!(env!("CARGO_MANIFEST_DIR"), "/fixtures/objects.idl"),
            &farcall_idl::Options::default(),
        )
        .unwrap();
        let (_, it) = model
            .ndr()
            .interfaces()
            .find(|(_, it)| it.name == name)
            .unwrap();
        it.operations.iter().map(|it| it.opnum).collect::<Vec<_>>()
    };
    assert_eq!(described("IAdder"), numbers[..2]);
    assert_eq!(described("IAdder2"), numbers[2..]);
}
