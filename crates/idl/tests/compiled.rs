//! Generated code, compiled: it must agree with the dynamic codec, which reads the model, on
//! random values, on cut bytes and on broken bytes; and with bytes worked out by hand.

#![cfg(feature = "emit")]

#[path = "compiled/choices.rs"]
mod choices;

use std::path::Path;

use farcall_idl::dynamic::{Binary, Codec};
use farcall_idl::{Model, Options, Type};
use farcall_wire::{DecodeError, DecodeErrorKind as Kind, DecodeOwned, Encode, xdr};
use proptest::prelude::*;
use serde_json::{Value, json};

use choices::Choices;

#[rustfmt::skip]
#[allow(unreachable_pub)]
mod types {
    include!("../fixtures/types.rs");
}

#[rustfmt::skip]
#[allow(unreachable_pub)]
mod recursive {
    include!("../fixtures/recursive.rs");
}

#[rustfmt::skip]
#[allow(unreachable_pub)]
mod names {
    include!("../fixtures/names.rs");
}

#[rustfmt::skip]
#[allow(unreachable_pub)]
mod options {
    include!("../fixtures/options.rs");
}

/// The user's own type for the interface's `foreign`.
#[derive(Clone, Debug, PartialEq)]
pub struct Foreign(u64);

impl Encode for Foreign {
    const FIXED: Option<usize> = Some(8);
    fn measure(&self, size: &mut farcall_wire::Size) -> Result<(), farcall_wire::EncodeError> {
        size.add(8);
        Ok(())
    }
    fn encode(&self, w: &mut farcall_wire::Writer<'_>) {
        w.u64(self.0);
    }
}

impl<'a> farcall_wire::Decode<'a> for Foreign {
    const MIN_LEN: usize = 8;
    fn decode(r: &mut farcall_wire::Reader<'a>) -> Result<Self, DecodeError> {
        r.u64().map(Self)
    }
}

fn model(name: &str) -> Model {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures");
    let file = folder.join(name).with_extension("x");
    let parsed = farcall_idl::parse_file(file, &Options::default());
    parsed.unwrap_or_else(|error| panic!("{error}")).0
}

/// Decodes with compiled code and encodes again.
type Again = fn(&[u8]) -> Result<Vec<u8>, DecodeError>;

fn again<T: DecodeOwned + Encode>(bytes: &[u8]) -> Result<Vec<u8>, DecodeError> {
    let value: T = xdr::from_slice(bytes)?;
    Ok(xdr::to_vec(&value).expect("what was decoded can be encoded"))
}

/// Compiled types by their names in the interface.
macro_rules! table {
    ($module:ident: $($name:literal $type:ident),* $(,)?) => {
        &[$(($name, again::<$module::$type> as Again)),*]
    };
}

const TYPES: &[(&str, Again)] = table!(types:
    "plain" Plain, "lengths" Lengths, "color" Color, "bounded" Bounded, "mixed" Mixed,
    "by_enum" ByEnum, "by_enum_default" ByEnumDefault, "by_bool" ByBool,
    "by_bool_default" ByBoolDefault, "by_int" ByInt, "by_unsigned" ByUnsigned,
    "same_length" SameLength, "holder" Holder,
);

const RECURSIVE: &[(&str, Again)] = table!(recursive:
    "node" Node, "entry" Entry, "beads" Beads, "tree" Tree, "branches" Branches, "even" Even,
    "odd" Odd, "expression" Expression, "folder" Folder, "all" All,
);

const OPTIONS: &[(&str, Again)] = table!(options:
    "file" File, "found" Found, "listed" Listed, "listing" Listing, "folder" Folder,
);

/// The borrowing twin, made to own and encoded; and encoded as it is.
fn through_twin(bytes: &[u8]) -> Result<Vec<u8>, DecodeError> {
    let twin: options::ListingRef<'_> = xdr::from_slice(bytes)?;
    let owned = xdr::to_vec(&twin.to_owned()).expect("it was decoded");
    let borrowed = xdr::to_vec(&twin).expect("it was decoded");
    assert_eq!(owned, borrowed);
    Ok(borrowed)
}

/// One random value of one type, in JSON and through both codecs.
fn agree(model: &Model, name: &str, again: Again, choices: &[u8]) -> (Vec<u8>, Type) {
    let ty = Type::Named(
        model
            .lookup(name)
            .expect("the table names types of the fixture"),
    );
    let value = Choices::new(model, choices).value(&ty);
    let codec = Codec::new(model).binary(Binary::Hex);
    let bytes = codec
        .encode(&ty, &value)
        .unwrap_or_else(|error| panic!("{name} {value}: {error}"));
    assert_eq!(again(&bytes).expect(name), bytes, "{name} {value}");
    assert_eq!(codec.decode(&ty, &bytes).expect(name), value, "{name}");
    (bytes, ty)
}

/// Every cut of the bytes is refused by both.
fn refuse_cuts(model: &Model, ty: &Type, again: Again, bytes: &[u8]) {
    let codec = Codec::new(model);
    for end in (0..bytes.len()).rev().take(60) {
        assert!(
            again(&bytes[..end]).is_err(),
            "{end} of {} bytes",
            bytes.len()
        );
        assert!(codec.decode(ty, &bytes[..end]).is_err());
    }
}

/// Both take broken bytes or both refuse them; only enums and text are read more freely from the
/// model.
fn judge_alike(model: &Model, ty: &Type, again: Again, bytes: &[u8]) {
    let free = Codec::new(model).decode(ty, bytes);
    match again(bytes) {
        Ok(_) => assert!(free.is_ok(), "{free:?}"),
        Err(error) => {
            let lenient = matches!(error.kind(), Kind::BadEnum { .. } | Kind::NotUtf8);
            assert!(free.is_err() || lenient, "{error}");
        }
    }
}

fn check(model: &Model, table: &[(&str, Again)], choices: &[u8], flip: (usize, u8)) {
    for (name, again) in table {
        let (mut bytes, ty) = agree(model, name, *again, choices);
        refuse_cuts(model, &ty, *again, &bytes);
        let at = flip.0 % bytes.len().max(1);
        if let Some(byte) = bytes.get_mut(at) {
            *byte ^= flip.1;
        }
        judge_alike(model, &ty, *again, &bytes);
    }
}

fn seeds() -> impl Strategy<Value = (Vec<u8>, (usize, u8))> {
    let choices = prop::collection::vec(any::<u8>(), 0..600);
    (choices, (any::<usize>(), 1..=255_u8))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 32, failure_persistence: None, ..Default::default() })]

    #[test]
    fn every_type((choices, flip) in seeds()) {
        check(&model("types"), TYPES, &choices, flip);
    }

    #[test]
    fn recursive_types((choices, flip) in seeds()) {
        check(&model("recursive"), RECURSIVE, &choices, flip);
    }

    #[test]
    fn types_with_options((choices, flip) in seeds()) {
        let model = model("options");
        check(&model, OPTIONS, &choices, flip);
        check(&model, &[("listing", through_twin)], &choices, flip);
    }
}

/// The bytes of [RFC 4506] section 7, worked out there by hand: a file named `sillyprog` of
/// user `john`.
///
/// [RFC 4506]: https://www.rfc-editor.org/rfc/rfc4506#section-7
#[test]
fn the_rfc_own_example() {
    let source = "
        const MAXUSERNAME = 32; const MAXFILELEN = 65535; const MAXNAMELEN = 255;
        enum filekind { TEXT = 0, DATA = 1, EXEC = 2 };
        union filetype switch (filekind kind) {
        case TEXT: void;
        case DATA: string creator<MAXNAMELEN>;
        case EXEC: string interpretor<MAXNAMELEN>;
        };
        struct file {
            string filename<MAXNAMELEN>; filetype type;
            string owner<MAXUSERNAME>; opaque data<MAXFILELEN>;
        };";
    let parsed = farcall_idl::parse_str("file.x", source, &Options::default());
    let (model, _) = parsed.unwrap_or_else(|error| panic!("{error}"));
    let file = Type::Named(model.lookup("file").expect("file"));
    let value = json!({
        "filename": "sillyprog",
        "type": {"kind": "EXEC", "interpretor": "lisp"},
        "owner": "john",
        "data": {"$hex": "28717569 7429"},
    });
    let wire =
        b"\0\0\0\x09sillyprog\0\0\0\0\0\0\x02\0\0\0\x04lisp\0\0\0\x04john\0\0\0\x06(quit)\0\0";
    let codec = Codec::new(&model);
    assert_eq!(codec.encode(&file, &value).expect("encode"), wire);
    let read: Value = codec.decode(&file, wire).expect("decode");
    assert_eq!(read["data"], json!({"$hex": "287175697429"}));
}

#[test]
fn bytes_by_hand() {
    let value = types::Mixed {
        r: 1,
        w: 2,
        size: vec![3],
        block: types::Color::Green,
        self_: true,
        r#type: -1,
        value: "v".into(),
        item: 4,
    };
    let wire = b"\0\0\0\x01\0\0\0\0\0\0\0\x02\0\0\0\x01\x03\0\0\0\0\0\0\x01\0\0\0\x01\
        \xff\xff\xff\xff\0\0\0\x01v\0\0\0\0\0\0\x04";
    assert_eq!(xdr::to_vec(&value).expect("encode"), wire);
    assert_eq!(
        xdr::from_slice::<types::Mixed>(wire).expect("decode"),
        value
    );
}

#[test]
fn errors_name_the_field() {
    let wire = b"\0\0\0\x01\0\0\0\0\0\0\0\x02\0\0\0\0\0\0\0\x09\0\0\0\x01\0\0\0\0";
    let error = xdr::from_slice::<types::Mixed>(wire).expect_err("no such color");
    assert_eq!(
        error.to_string(),
        "9 is not a value of enum color at byte 20 in block"
    );
    let bounded = types::Lengths {
        any_bytes: vec![],
        few_bytes: vec![0; 8],
        any_text: "".into(),
        few_text: "".into(),
        any_numbers: vec![],
        few_numbers: vec![],
        singles: vec![],
        doubles: vec![],
        flags: vec![],
        shorts: vec![],
    };
    let error = xdr::to_vec(&bounded).expect_err("over the bound");
    assert_eq!(error.path(), "few_bytes");
}

#[test]
fn a_default_arm_keeps_to_what_is_left() {
    let right = types::Holder {
        items: vec![types::SameLength::Default(2, 7)],
    };
    assert_eq!(xdr::to_vec(&right).expect("encode").len(), 12);
    let wrong = types::Holder {
        items: vec![types::SameLength::Default(1, 7)],
    };
    let error = xdr::to_vec(&wrong).expect_err("1 has an arm of its own");
    assert_eq!(error.path(), "items[0]");
}

#[test]
fn deep_values_are_refused_and_long_lists_are_not() {
    let deep = [0, 0, 0, 1].repeat(100_000);
    let error = xdr::from_slice::<recursive::Tree>(&deep).expect_err("too deep");
    assert!(
        error
            .to_string()
            .starts_with("nested deeper than 64 levels"),
        "{error}"
    );
    let model = model("recursive");
    let tree = Type::Named(model.lookup("tree").expect("tree"));
    let error = Codec::new(&model)
        .decode(&tree, &deep)
        .expect_err("too deep");
    assert_eq!(error.message(), "nested deeper than 64 levels");

    let long = recursive::Node { value: 1 };
    let nodes = vec![long; 100_000];
    let all = recursive::All {
        direct: nodes.clone(),
        list: nodes,
        alias: vec![],
        rows: vec![],
        directory: vec![],
        string_of_beads: vec![],
        root: None,
        top: recursive::Branches {
            label: "".into(),
            children: vec![],
        },
        start: recursive::Even {
            next_odd: None,
            value: 0,
        },
        formula: None,
        folders: vec![],
    };
    let bytes = xdr::to_vec(&all).expect("encode");
    assert_eq!(
        xdr::from_slice::<recursive::All>(&bytes).expect("decode"),
        all
    );
}

#[test]
fn large_arrays_are_boxed_and_travel_like_others() {
    let model = model("types");
    let choices: Vec<u8> = (0..=u8::MAX).collect();
    let (bytes, ty) = agree(&model, "large", again::<types::Large>, &choices);
    refuse_cuts(&model, &ty, again::<types::Large>, &bytes);
    assert!(size_of::<types::Large>() < 100);
}

#[test]
fn an_open_enum_keeps_what_it_does_not_list() {
    let state: options::Status = xdr::from_slice(&[0, 0, 0, 9]).expect("any number");
    assert_eq!(state, options::Status(9));
    assert_eq!(
        format!("{state:?} {:?}", options::Status::BROKEN),
        "Status(9) BROKEN"
    );
    assert_eq!(options::Status::default(), options::Status::FINE);
}

#[test]
fn text_that_is_none_is_refused_where_it_was_asked_for() {
    let wire = b"\0\0\0\x01\xff\0\0\0\0\0\0\0";
    let error = xdr::from_slice::<options::Folder>(wire).expect_err("not UTF-8");
    assert_eq!(error.path(), "name");
}
