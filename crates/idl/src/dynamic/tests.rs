//! The forms in which values are written, and the words for what is wrong with them.

use serde_json::{Value, json};

use super::{Binary, Codec, Error};
use crate::model::{Model, Procedure, Type};
use crate::preprocess::Options;
use crate::rpcl::parse_str;

const SOURCE: &str = "
    const LIMIT = 7;
    typedef string name<9>;
    typedef int *maybe;
    enum color { RED = 0, GREEN = 1, EMERALD = 1 };
    struct pair { int a; unsigned hyper b; };
    struct holder { name title; pair *both; maybe *twice; opaque raw<4>; };
    union shape switch (color kind) { case RED: pair sides; case GREEN: void; };
    struct node { int value; node *next; };
    typedef node *nodes;
    program P { version V {
        void NOTHING(void) = 1;
        int LONE(pair given) = 2;
        int SUM(int numbers<4>) = 3;
        int ADD(int a, int b) = 4;
        hyper UNNAMED(int, color) = 5;
        nodes LIST(nodes) = 6;
    } = 1; } = 0x20000001;";

fn model() -> Model {
    let parsed = parse_str("p.x", SOURCE, &Options::default());
    parsed.unwrap_or_else(|error| panic!("{error}")).0
}

fn named(model: &Model, name: &str) -> Type {
    Type::Named(model.lookup(name).expect("it is in the source"))
}

fn procedure<'m>(model: &'m Model, name: &str) -> &'m Procedure {
    let mut all = model.programs()[0].versions[0].procedures.iter();
    all.find(|procedure| procedure.name == name)
        .expect("it is in the source")
}

fn encode(name: &str, value: &Value) -> Result<Vec<u8>, Error> {
    let model = model();
    Codec::new(&model).encode(&named(&model, name), value)
}

fn refused(name: &str, value: &Value) -> (String, Option<String>) {
    let error = encode(name, value).expect_err("it is wrong");
    (error.to_string(), error.help().map(str::to_owned))
}

#[test]
fn integers_are_numbers_digits_or_constants() {
    let with = |a: Value| encode("pair", &json!({"a": a, "b": 0})).map(|bytes| bytes[3]);
    for a in [
        json!(7),
        json!(7.0),
        json!("7"),
        json!("0x7"),
        json!("LIMIT"),
    ] {
        assert_eq!(with(a.clone()).expect("seven"), 7, "{a}");
    }
    let wrong = |a: Value| with(a).expect_err("it is wrong").to_string();
    assert_eq!(wrong(json!(7.5)), "a: 7.5 is no integer");
    assert_eq!(
        wrong(json!("SEVEN")),
        "a: \"SEVEN\" is no integer and no constant"
    );
    assert_eq!(wrong(json!(true)), "a: expected an integer, got a boolean");
    assert_eq!(
        wrong(json!(2_147_483_648_u32)),
        "a: 2147483648 is not within -2147483648..=2147483647"
    );
}

#[test]
fn wide_integers_are_strings_out_and_either_in() {
    let model = model();
    let (codec, pair) = (Codec::new(&model), named(&model, "pair"));
    let most = json!({"a": -1, "b": "18446744073709551615"});
    let bytes = codec
        .encode(&pair, &json!({"a": -1, "b": u64::MAX}))
        .expect("a number");
    assert_eq!(bytes, [0xff; 12]);
    assert_eq!(codec.encode(&pair, &most).expect("a string"), bytes);
    assert_eq!(codec.decode(&pair, &bytes).expect("decode"), most);
}

#[test]
fn members_are_named_in_what_is_wrong() {
    let (message, hint) = refused("pair", &json!({"a": 1}));
    assert_eq!(message, "member \"b\" is missing");
    assert_eq!(hint.as_deref(), Some("the members are a, b"));
    let (message, hint) = refused("pair", &json!({"a": 1, "b": 2, "c": 3}));
    assert_eq!(message, "there is no \"c\" here");
    assert_eq!(hint.as_deref(), Some("known are a, b"));
    let (message, _) = refused("holder", &json!({"title": "far too long", "raw": null}));
    assert_eq!(message, "title: 12 bytes are over the declared 9");
    let (message, hint) = refused("holder", &json!({"title": "", "raw": "abc"}));
    assert_eq!(message, "raw: expected bytes, got a string");
    assert!(hint.is_some_and(|hint| hint.contains("$hex")));
    let both = json!({"title": "", "raw": {"$hex": ""}, "both": {"a": [], "b": 0}});
    assert_eq!(
        refused("holder", &both).0,
        "both.a: expected an integer, got an array"
    );
}

#[test]
fn what_is_optional_may_be_left_out_and_nested_is_told_apart() {
    let model = model();
    let (codec, holder) = (Codec::new(&model), named(&model, "holder"));
    let short = json!({"title": "t", "raw": {"$base64": "AQI="}});
    let bytes = codec.encode(&holder, &short).expect("encode");
    assert_eq!(
        bytes,
        b"\0\0\0\x01t\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x02\x01\x02\0\0"
    );
    for (twice, words) in [
        (Value::Null, &[0_u8][..]),
        (json!({"$some": null}), &[1, 0]),
        (json!({"$some": 5}), &[1, 1, 5]),
    ] {
        let whole = json!({
            "title": "", "both": null, "twice": twice, "raw": {"$hex": ""},
        });
        let bytes = codec.encode(&holder, &whole).expect("encode");
        let inner: Vec<u8> = bytes[8..bytes.len() - 4]
            .chunks(4)
            .map(|word| word[3])
            .collect();
        assert_eq!(inner, words);
        assert_eq!(codec.decode(&holder, &bytes).expect("decode"), whole);
    }
}

#[test]
fn enums_and_unions() {
    assert_eq!(
        encode("color", &json!("EMERALD")).expect("a further name"),
        [0, 0, 0, 1]
    );
    assert_eq!(
        encode("color", &json!(9)).expect("any number"),
        [0, 0, 0, 9]
    );
    let model = model();
    let codec = Codec::new(&model);
    let read = codec
        .decode(&named(&model, "color"), &[0, 0, 0, 9])
        .expect("any number");
    assert_eq!(read, json!(9));
    let (message, hint) = refused("color", &json!("BLUE"));
    assert_eq!(message, "\"BLUE\" is no value of enum color");
    assert_eq!(
        hint.as_deref(),
        Some("write one of RED, GREEN, or a number")
    );

    assert_eq!(
        encode("shape", &json!({"kind": "GREEN"})).expect("void"),
        [0, 0, 0, 1]
    );
    assert_eq!(
        refused("shape", &json!({"sides": {}})).0,
        "discriminant \"kind\" is missing"
    );
    let (message, hint) = refused("shape", &json!({"kind": "RED"}));
    assert_eq!(message, "arm \"sides\" is missing");
    assert!(hint.is_some_and(|hint| hint.contains("\"sides\": …")));
    let (message, hint) = refused("shape", &json!({"kind": 9}));
    assert_eq!(message, "kind: no arm for 9");
    assert_eq!(hint.as_deref(), Some("there are arms for RED, GREEN"));
    let error = codec
        .decode(&named(&model, "shape"), &[0, 0, 0, 9])
        .expect_err("no arm");
    assert_eq!(error.to_string(), "union shape has no arm for 9 at byte 4");
}

#[test]
fn arguments_in_every_bracket() {
    let model = model();
    let codec = Codec::new(&model);
    let call = |name, value: Value| codec.encode_arguments(procedure(&model, name), &value);
    for none in [json!(null), json!([]), json!({})] {
        assert!(call("NOTHING", none).expect("nothing").is_empty());
    }
    let error = call("NOTHING", json!(1)).expect_err("too many");
    assert_eq!(
        error.to_string(),
        "NOTHING takes no arguments, got a number"
    );

    let pair = json!({"a": 1, "b": 2});
    let bytes = call("LONE", pair.clone()).expect("itself");
    assert_eq!(call("LONE", json!([pair])).expect("in an array"), bytes);
    assert_eq!(
        call("LONE", json!({"given": pair})).expect("by name"),
        bytes
    );
    let error = call("LONE", json!({"given": {"a": 1}})).expect_err("too little");
    assert_eq!(error.to_string(), "given: member \"b\" is missing");
    assert_eq!(call("SUM", json!([5])).expect("the array itself").len(), 8);

    let bytes = call("ADD", json!({"b": 2, "a": 1})).expect("by name");
    assert_eq!(call("ADD", json!([1, 2])).expect("in order"), bytes);
    assert_eq!(call("ADD", json!({"a": 1})).expect_err("b").path(), "b");
    let error = call("ADD", json!([1])).expect_err("too few");
    assert_eq!(error.to_string(), "expected 2 arguments, got an array of 1");
    assert!(call("UNNAMED", json!({"a": 1})).is_err());

    let back = |name, bytes: &[u8]| codec.decode_arguments(procedure(&model, name), bytes);
    assert_eq!(
        back("ADD", &bytes).expect("decode"),
        json!({"a": 1, "b": 2})
    );
    let bytes = call("UNNAMED", json!([3, "RED"])).expect("in order");
    assert_eq!(back("UNNAMED", &bytes).expect("decode"), json!([3, "RED"]));
    assert_eq!(back("NOTHING", &[]).expect("decode"), Value::Null);
    assert_eq!(back("ADD", &[0, 0, 0, 1]).expect_err("cut").path(), "b");
}

#[test]
fn lists_are_arrays() {
    let model = model();
    let codec = Codec::new(&model);
    let list = procedure(&model, "LIST");
    let value = json!([{"value": 1}, {"value": 2}]);
    let bytes = codec.encode_result(list, &value).expect("encode");
    let words: Vec<u8> = bytes.chunks(4).map(|word| word[3]).collect();
    assert_eq!(words, [1, 1, 1, 2, 0]);
    assert_eq!(codec.decode_result(list, &bytes).expect("decode"), value);
    let broken = [0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 3];
    let error = codec
        .decode_result(list, &broken)
        .expect_err("3 is no boolean");
    assert_eq!(
        error.to_string(),
        "[1]: boolean is 3, expected 0 or 1 at byte 12"
    );
}

#[test]
fn bytes_are_shown_as_asked_for() {
    let model = model();
    let holder = named(&model, "holder");
    let wire = b"\0\0\0\x01\xff\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x01\x07\0\0\0";
    let show = |binary| {
        let value = Codec::new(&model)
            .binary(binary)
            .decode(&holder, wire)
            .expect("decode");
        (value["title"].clone(), value["raw"].clone())
    };
    let hex = (json!({"$hex": "ff"}), json!({"$hex": "07"}));
    assert_eq!(show(Binary::Shortest), hex);
    assert_eq!(show(Binary::Hex), hex);
    assert_eq!(
        show(Binary::Base64),
        (json!({"$base64": "/w=="}), json!({"$base64": "Bw=="}))
    );
    let error = encode("holder", &json!({"title": "", "raw": {"$hex": "0"}}));
    assert_eq!(
        error.expect_err("half a byte").to_string(),
        "raw: not hexadecimal"
    );
    let error = encode("holder", &json!({"title": "", "raw": {"$base64": "%"}}));
    assert!(
        error
            .expect_err("not base64")
            .message()
            .starts_with("not base64")
    );
}

#[test]
fn forged_counts_take_no_memory() {
    let model = model();
    let sum = procedure(&model, "SUM");
    let error = Codec::new(&model)
        .decode_arguments(sum, &[0xff; 4])
        .expect_err("too long");
    assert_eq!(error.offset(), Some(4));
    let error = Codec::new(&model)
        .decode_arguments(sum, &[0, 0, 0, 4])
        .expect_err("cut");
    assert_eq!(error.message(), "truncated: 16 bytes needed, 0 left");
}
