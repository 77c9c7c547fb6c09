//! Type serialization: MS-RPCE sections 2.2.6 and 2.2.7.

use farcall_wire::ndr::pickle::{self, Pickler, Procedure, Unpickler, Version};
use farcall_wire::ndr::{ANY, ConformantString, Order, Plain, Syntax, Unique};
use farcall_wire::{DecodeErrorKind, Limits, Str, Uuid};

use super::hex;

const HELLO: &str = "00000200 03000000 00000000 03000000 686900";

fn hello() -> Option<Str> {
    Some(Str::from("hi"))
}

#[test]
fn version_1_has_a_header_of_eight_bytes_and_private_headers() {
    let mut pickler = Pickler::new(Version::One(Order::Little));
    pickler
        .put(Unique(ConformantString(ANY)), &hello())
        .unwrap();
    pickler.put_primitive(&7_u16).unwrap();
    let bytes = pickler.into_bytes();
    let expected =
        format!("01100800cccccccc 18000000 00000000 {HELLO} 0000000000 0700 000000000000");
    assert_eq!(bytes, hex(&expected));

    let mut unpickler = Unpickler::new(&bytes, Limits::DEFAULT).unwrap();
    assert_eq!(unpickler.version(), Version::One(Order::Little));
    let text: Option<Str> = unpickler.take(Unique(ConformantString(ANY))).unwrap();
    assert_eq!(text, hello());
    assert_eq!(unpickler.take_primitive::<u16>().unwrap(), 7);
    assert!(unpickler.is_at_end());
}

#[test]
fn version_1_may_be_big_endian() {
    let mut pickler = Pickler::new(Version::One(Order::Big));
    pickler.put(Plain, &[1_u16, 2]).unwrap();
    let bytes = pickler.into_bytes();
    assert_eq!(
        bytes,
        hex("01000800cccccccc 00000008 00000000 0001 0002 00000000")
    );
    let read: [u16; 2] = pickle::from_bytes(&bytes, Limits::DEFAULT).unwrap();
    assert_eq!(read, [1, 2]);
}

#[test]
fn version_2_says_its_syntax_and_interface() {
    let interface = (Uuid::new(1, 2, 3, [4; 8]), 5, 6);
    for (syntax, transfer) in [
        (Syntax::Ndr, "045d888aeb1cc9119fe808002b104860 0200 0000"),
        (Syntax::Ndr64, "33057171babe37498319b5dbef9ccc36 0100 0000"),
    ] {
        let mut pickler = Pickler::new(Version::Two(syntax, interface));
        pickler.put_primitive(&7_u32).unwrap();
        let bytes = pickler.into_bytes();
        let filler = "cc".repeat(20);
        let expected = format!(
            "02104000 {filler} {transfer} 01000000 0200 0300 0404040404040404 0500 0600 \
             10000000 000000000000000000000000 07000000 000000000000000000000000"
        );
        assert_eq!(bytes, hex(&expected));
        let mut unpickler = Unpickler::new(&bytes, Limits::DEFAULT).unwrap();
        assert_eq!(unpickler.version(), Version::Two(syntax, interface));
        assert_eq!(unpickler.take_primitive::<u32>().unwrap(), 7);
        assert!(unpickler.is_at_end());
    }
}

#[test]
fn other_headers_and_all_truncations_are_refused() {
    for header in ["03100800cccccccc", "01110800cccccccc", "01100900cccccccc"] {
        let error = Unpickler::new(&hex(header), Limits::DEFAULT).unwrap_err();
        assert!(matches!(error.kind(), DecodeErrorKind::Invalid(_)));
    }
    let bytes = pickle::to_bytes(&[1_u32, 2]).unwrap();
    for len in 0..bytes.len() {
        pickle::from_bytes::<[u32; 2]>(&bytes[..len], Limits::DEFAULT).unwrap_err();
    }
    let mut more = bytes.to_vec();
    more.push(0);
    let error = pickle::from_bytes::<[u32; 2]>(&more, Limits::DEFAULT).unwrap_err();
    assert_eq!(error.kind(), &DecodeErrorKind::TrailingBytes(1));
    let long = hex("01100800cccccccc ffffffff 00000000 00000000");
    let error = pickle::from_bytes::<u32>(&long, Limits::DEFAULT).unwrap_err();
    assert!(matches!(error.kind(), DecodeErrorKind::Truncated { .. }));
}

#[test]
fn a_procedure_stands_in_front_of_its_parameters() {
    // As MIDL's encoding services have it: version 1 and little-endian, filler, NDR, the interface, the number, 1,
    // the length with what fills it up to eight bytes.
    let procedure = Procedure {
        interface: (Uuid::new(1, 2, 3, [4; 8]), 5, 6),
        number: 9,
    };
    let bytes = procedure.to_bytes(|w| {
        w.u16(7);
        Ok(())
    });
    let bytes = bytes.unwrap();
    let expected = "0101cccc 045d888aeb1cc9119fe808002b104860 0200 0000 \
        01000000 0200 0300 0404040404040404 0500 0600 09000000 01000000 08000000 0700 000000000000";
    assert_eq!(bytes, hex(expected));
    let read = procedure.from_bytes(&bytes, Limits::DEFAULT, |r| r.u16());
    assert_eq!(read.unwrap(), 7);

    for end in 0..bytes.len() {
        let read = procedure.from_bytes(&bytes[..end], Limits::DEFAULT, |r| r.u16());
        assert!(read.is_err(), "{end}");
    }
    let changed = |at: usize| {
        let mut other = bytes.clone();
        other[at] ^= 0x10;
        let read = procedure.from_bytes(&other, Limits::DEFAULT, |r| r.u16());
        read.map_err(|error| error.kind().clone())
    };
    let invalid = |what| Err(DecodeErrorKind::Invalid(what));
    assert_eq!(changed(0), invalid("not a procedure serialization header"));
    assert_eq!(changed(4), invalid("unknown transfer syntax"));
    assert_eq!(changed(24), invalid("parameters of another procedure"));
    assert_eq!(changed(44), invalid("parameters of another procedure"));
    // What is filler is not looked at.
    assert_eq!(changed(2), Ok(7));
    let all = procedure.from_bytes(&bytes, Limits::DEFAULT, |_| Ok(()));
    assert_eq!(all.unwrap_err().kind(), &DecodeErrorKind::TrailingBytes(8));
}
