//! Generated code that serializes outside of calls: bytes worked out by hand and bytes of Samba's, the same from values
//! without generated code.

#![cfg(feature = "emit")]

use std::path::Path;

use farcall_idl::Model;
use farcall_idl::dynamic::ndr::Codec;
use farcall_idl::model::ndr::Type;
use farcall_wire::ndr::pickle::Version;
use farcall_wire::ndr::{Order, Syntax, WideStr};
use farcall_wire::{DecodeErrorKind, Limits, Uuid};
use serde_json::json;

#[rustfmt::skip]
#[allow(unreachable_pub)]
mod file {
    include!("../fixtures/pickles.rs");
}

use file::keepsakes::pickles as operations;
use file::{Mark, Note, pickles};

const ONE: Version = Version::One(Order::Little);
const LIMITS: Limits = Limits::DEFAULT;

/// The body of the note: id 7, padding, a referent, then "hi" as a conformant varying string.
const NOTE: &str = "0700 0000 00000200 03000000 00000000 03000000 6800 6900 0000";

fn note() -> Note {
    Note {
        id: 7,
        text: Some(WideStr::from("hi")),
    }
}

fn hex(text: &str) -> Vec<u8> {
    let digits: Vec<u8> = text.bytes().filter(|b| !b.is_ascii_whitespace()).collect();
    let byte = |pair: &[u8]| u8::from_str_radix(str::from_utf8(pair).unwrap(), 16).unwrap();
    digits.chunks(2).map(byte).collect()
}

fn model() -> Model {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/pickles.idl");
    let (model, warnings) = farcall_idl::parse_file(path, &Default::default()).unwrap();
    assert!(warnings.is_empty(), "{warnings:?}");
    model
}

fn named(model: &Model, name: &str) -> Type {
    Type::Named(model.ndr().lookup(name).unwrap())
}

#[test]
fn a_type_has_a_common_and_a_private_header() {
    // MS-RPCE 2.2.6.1 and 2.2.6.2: 26 bytes are filled up to 32.
    let expected = format!("01100800cccccccc 20000000 00000000 {NOTE} 000000000000");
    let bytes = pickles::encode_note(ONE, &note()).unwrap();
    assert_eq!(bytes, hex(&expected));
    assert_eq!(pickles::decode_note(&bytes, LIMITS).unwrap(), note());

    // A reference to it is the same; a unique pointer stands in front of what it points to.
    assert_eq!(pickles::encode_note_reference(ONE, &note()).unwrap(), bytes);
    assert_eq!(
        pickles::decode_note_reference(&bytes, LIMITS).unwrap(),
        note()
    );
    let expected = "01100800cccccccc 20000000 00000000 00000200 0700 0000 04000200 \
        03000000 00000000 03000000 6800 6900 0000 0000";
    let bytes = pickles::encode_note_pointer(ONE, &Some(note())).unwrap();
    assert_eq!(bytes, hex(expected));
    assert_eq!(
        pickles::decode_note_pointer(&bytes, LIMITS).unwrap(),
        Some(note())
    );
}

#[test]
fn a_primitive_has_no_private_header_in_version_1() {
    // MS-RPCE 2.2.6.3.
    let bytes = pickles::encode_number(Version::One(Order::Big), &7).unwrap();
    assert_eq!(bytes, hex("01000800cccccccc 00000007 00000000"));
    assert_eq!(pickles::decode_number(&bytes, LIMITS).unwrap(), 7);
}

#[test]
fn a_union_has_its_discriminant() {
    let value = Mark::Value(1.0);
    let bytes = pickles::encode_mark(ONE, &value).unwrap();
    let expected = "01100800cccccccc 10000000 00000000 0100 000000000000 000000000000f03f";
    assert_eq!(bytes, hex(expected));
    assert_eq!(pickles::decode_mark(&bytes, LIMITS).unwrap(), value);
}

#[test]
fn every_version_and_order_comes_back_and_no_part_of_it_does() {
    let interface = (Uuid::new(1, 2, 3, [4; 8]), 5, 6);
    let versions = [
        ONE,
        Version::One(Order::Big),
        Version::Two(Syntax::Ndr, interface),
        Version::Two(Syntax::Ndr64, interface),
    ];
    let model = model();
    let codec = Codec::new(&model);
    for version in versions {
        let bytes = pickles::encode_note_pointer(version, &Some(note())).unwrap();
        let read = pickles::decode_note_pointer(&bytes, LIMITS).unwrap();
        assert_eq!(read, Some(note()), "{version:?}");
        for end in 0..bytes.len() {
            assert!(pickles::decode_note_pointer(&bytes[..end], LIMITS).is_err());
        }
        let ty = named(&model, "note_pointer");
        let value = codec.unpickle(&ty, &bytes).unwrap();
        assert_eq!(value, json!({"id": 7, "text": "hi"}));
        assert_eq!(codec.pickle(&ty, version, &value).unwrap(), bytes);
        let mut longer = bytes;
        longer.extend([0; 16]);
        let error = pickles::decode_note_pointer(&longer, LIMITS).unwrap_err();
        assert_eq!(error.kind(), &DecodeErrorKind::TrailingBytes(16));
    }
}

/// Logon information of a ticket as Samba 4.17 writes it.
const LOGON: &str = "01100800cccccccce80100000000000000000200f6e5d4c3b2a1d501ffffffffffffff7fffffffffffffff7f010000000000d5010200000000000000030000000000000008000800040002001400140008000200000000000c000200000000001000020000000000140002000000000018000200070001005004000001020000020000001c000200200200000000000000000000000000000000000006000800200002000e001000240002002800020000000000000000001000000000000000000000000000000000000000000000000000000000000000010000002c00020030000200010000003400020004000000000000000400000061006e006e0061000a000000000000000a00000041006e006e006100200042006c0075006d006500000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000020000000102000007000000510400000700000004000000000000000300000044004300310000000800000000000000070000004500580041004d0050004c004500000004000000010400000000000515000000010000000200000003000000010000003800020007000000010000000101000000000012010000000400000001040000000000051500000004000000050000000600000001000000b00400000700002000000000";

#[test]
fn the_logon_information_of_a_ticket_is_read_and_written_as_samba_writes_it() {
    let bytes = hex(LOGON);
    let info = pickles::decode_validation_info_pointer(&bytes, LIMITS).unwrap();
    assert_eq!(
        pickles::encode_validation_info_pointer(ONE, &info).unwrap(),
        bytes
    );
    let info = info.unwrap();
    let text = |it: &file::UnicodeString| String::from_utf16(it.buffer.as_ref().unwrap()).unwrap();
    assert_eq!(text(&info.effective_name), "anna");
    assert_eq!(text(&info.logon_domain_name), "EXAMPLE");
    assert_eq!(info.user_id, 1104);
    assert_eq!(
        info.logon_domain_id.as_ref().unwrap().sub_authority,
        [21, 1, 2, 3]
    );
    assert_eq!(info.extra_sids.as_ref().unwrap().len(), 1);

    let model = model();
    let codec = Codec::new(&model);
    let ty = named(&model, "validation_info_pointer");
    let value = codec.unpickle(&ty, &bytes).unwrap();
    assert_eq!(value["LogonDomainName"]["Buffer"], "EXAMPLE");
    assert_eq!(codec.pickle(&ty, ONE, &value).unwrap(), bytes);
}

/// What stands in front of the parameters of the operation with this number: little-endian version 1, NDR,
/// the interface, the number, 1, the length.
fn header(number: u8, len: u8) -> String {
    format!(
        "0101 cccc 045d888aeb1cc9119fe808002b104860 0200 0000 \
         103c7a5de1880b4f9c5216f3e2a4b7d9 0200 0100 {number:02x}000000 01000000 {len:02x}000000"
    )
}

#[test]
fn an_operation_says_which_it_is_in_front_of_its_parameters() {
    // 34 bytes are filled up to 40.
    let expected = format!("{} 0500000000000000 {NOTE} 000000000000", header(2, 40));
    let bytes = operations::encode_leave(5, &note()).unwrap();
    assert_eq!(bytes, hex(&expected));

    let model = model();
    let codec = Codec::new(&model);
    let (interface, leave) = codec.operation("Leave").unwrap();
    let value = json!({"when": 5, "what": {"id": 7, "text": "hi"}});
    assert_eq!(codec.pickle_in(interface, leave, &value).unwrap(), bytes);
}

#[test]
fn what_comes_back_is_read_from_bytes_of_that_operation_alone() {
    // `Find`: when, a unique pointer, the note.
    let body =
        "0500000000000000 00000200 0700 0000 04000200 03000000 00000000 03000000 6800 6900 0000";
    let bytes = hex(&format!("{} {body} 0000", header(3, 40)));
    let found = operations::decode_find(&bytes, LIMITS).unwrap();
    assert_eq!((found.when, found.what), (5, Some(note())));
    for end in 0..bytes.len() {
        assert!(operations::decode_find(&bytes[..end], LIMITS).is_err());
    }
    let error = operations::decode_keep(&bytes, LIMITS).unwrap_err();
    assert_eq!(
        error.kind(),
        &DecodeErrorKind::Invalid("parameters of another procedure")
    );

    let model = model();
    let codec = Codec::new(&model);
    let (interface, find) = codec.operation("Find").unwrap();
    let value = codec.unpickle_out(interface, find, &bytes).unwrap();
    assert_eq!(value, json!({"when": "5", "what": {"id": 7, "text": "hi"}}));
}

#[test]
fn parameters_that_go_and_come_are_kept() {
    let notes = vec![note(), Note { id: 8, text: None }];
    let where_ = "shelf".into();
    let bytes = operations::encode_keep(2, &notes, &where_).unwrap();
    let kept = operations::decode_keep(&bytes, LIMITS).unwrap();
    assert_eq!((kept.count, kept.notes, kept.r#where), (2, notes, where_));
}
