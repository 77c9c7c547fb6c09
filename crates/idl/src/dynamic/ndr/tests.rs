//! Bytes worked out by hand from C706 chapter 14 and MS-RPCE 2.2.5, both ways.

use serde_json::{Value, json};

use super::*;

const HEAD: &str = "[uuid(12345778-1234-abcd-ef00-0123456789ab), version(1.0), pointer_default(unique)] interface x {";

fn model(body: &str) -> Model {
    let text = format!("{HEAD} {body} }}");
    match crate::parse_str("t.idl", &text, &crate::Options::default()) {
        Ok((model, _)) => model,
        Err(errors) => panic!("{errors}"),
    }
}

fn named(model: &Model, name: &str) -> Type {
    Type::Named(model.ndr().lookup(name).unwrap())
}

/// The value has these bytes, and they have this value.
#[track_caller]
fn both(codec: &Codec<'_>, ty: &Type, value: &Value, bytes: &[u8]) {
    let encoded = codec
        .encode(ty, value)
        .unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(encoded, bytes);
    assert_eq!(&codec.decode(ty, bytes).unwrap(), value);
    for len in 0..bytes.len() {
        assert!(
            codec.decode(ty, &bytes[..len]).is_err(),
            "{len} bytes are enough"
        );
    }
}

#[test]
fn a_struct_is_aligned_field_by_field() {
    // C706 14.2.2: each field to its own size; NDR64 pads the whole (MS-RPCE 2.2.5.3.4.1).
    let model = model("typedef struct { char a; hyper b; short c; } s;");
    let ty = named(&model, "s");
    let value = json!({"a": 1, "b": "2", "c": 3});
    let mut bytes = vec![1, 0, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0, 3, 0];
    both(&Codec::new(&model), &ty, &value, &bytes);
    bytes.extend([0; 6]);
    let codec = Codec::new(&model).syntax(Syntax::Ndr64);
    assert_eq!(codec.encode(&ty, &value).unwrap(), bytes);
    assert_eq!(codec.decode(&ty, &bytes).unwrap(), value);
    let big = [1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2, 0, 3];
    both(&Codec::new(&model).order(Order::Big), &ty, &value, &big);
}

#[test]
fn counts_are_hoisted_and_may_be_left_out() {
    // C706 14.3.7.2: the maximum count stands in front of the struct.
    let model = model("typedef struct { short n; [size_is(n)] short a[]; } s;");
    let ty = named(&model, "s");
    let codec = Codec::new(&model);
    let bytes = [2, 0, 0, 0, 2, 0, 7, 0, 8, 0];
    both(&codec, &ty, &json!({"n": 2, "a": [7, 8]}), &bytes);
    assert_eq!(codec.encode(&ty, &json!({"a": [7, 8]})).unwrap(), bytes);
    assert!(codec.encode(&ty, &json!({"n": 3, "a": [7, 8]})).is_err());
    let wrong = [3, 0, 0, 0, 2, 0, 7, 0, 8, 0, 9, 0];
    let error = codec.decode(&ty, &wrong).unwrap_err();
    assert_eq!(
        error.to_string(),
        "a: count is 3, the interface says 2 at byte 6"
    );
}

#[test]
fn counts_of_bytes_are_derived_from_units() {
    let model = model(
        "typedef struct { unsigned short l; unsigned short m; [size_is(m/2), length_is(l/2)] wchar_t *b; } s;",
    );
    let ty = named(&model, "s");
    let codec = Codec::new(&model);
    let bytes = codec.encode(&ty, &json!({"b": "ab"})).unwrap();
    let expected = [
        4, 0, 4, 0, 0, 0, 2, 0, // lengths, referent
        2, 0, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0, b'a', 0, b'b', 0,
    ];
    assert_eq!(bytes, expected);
    assert_eq!(
        codec.decode(&ty, &bytes).unwrap(),
        json!({"l": 4, "m": 4, "b": "ab"})
    );
}

#[test]
fn referents_follow_in_the_order_of_their_pointers() {
    // C706 14.3.12.3: depth first, behind the outermost construct.
    let model = model("typedef struct n { long v; struct n *next; [string] char *s; } n;");
    let ty = named(&model, "n");
    let value = json!([{"v": 1, "s": "hi"}, {"v": 2, "s": null}]);
    let bytes = [
        1, 0, 0, 0, 0, 0, 2, 0, 4, 0, 2, 0, // v, two referents
        2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, // the next one
        3, 0, 0, 0, 0, 0, 0, 0, 3, 0, 0, 0, b'h', b'i', 0,
    ];
    both(&Codec::new(&model), &ty, &value, &bytes);
}

#[test]
fn unions_are_chosen_by_what_switch_is_says() {
    let model = model(
        "typedef [switch_type(short)] union { [case(1)] long a; [case(2)] hyper b; [default] ; } u;
         typedef struct { short t; [switch_is(t)] u u; } s;
         typedef union switch (long t) { case 5: short x; } e;",
    );
    let codec = Codec::new(&model);
    let ty = named(&model, "s");
    // The discriminant is in front of the arm, which is aligned by itself in NDR (C706 14.3.8).
    let bytes = [1, 0, 1, 0, 9, 0, 0, 0];
    let value = json!({"t": 1, "u": {"DISCRIMINANT": 1, "a": 9}});
    both(&codec, &ty, &value, &bytes);
    assert_eq!(codec.encode(&ty, &json!({"u": {"a": 9}})).unwrap(), bytes);
    let void = json!({"t": 7, "u": 7});
    assert_eq!(codec.encode(&ty, &void).unwrap(), [7, 0, 7, 0]);
    let wrong = [2, 0, 1, 0, 9, 0, 0, 0];
    assert!(codec.decode(&ty, &wrong).is_err());
    let e = named(&model, "e");
    both(&codec, &e, &json!({"t": 5, "x": 6}), &[5, 0, 0, 0, 6, 0]);
}

#[test]
fn operations_have_arguments_and_results() {
    let model = model(
        "typedef [context_handle] void *H;
         long f([in] H h, [in, string, unique] wchar_t *name, [in] long n, [out, size_is(n)] long *a, [out] H *o);",
    );
    let codec = Codec::new(&model);
    let (interface, operation) = codec.operation("f").unwrap();
    assert_eq!(interface.name, "x");
    let arguments =
        json!({"h": {"$handle": "00000001-0002-0003-0405-060708090a0b"}, "name": null, "n": 2});
    let bytes = codec.encode_in(operation, &arguments).unwrap();
    let handle = [0, 0, 0, 0, 1, 0, 0, 0, 2, 0, 3, 0, 4, 5, 6, 7, 8, 9, 10, 11];
    let expected = [&handle[..], &[0; 4], &[2, 0, 0, 0]].concat();
    assert_eq!(bytes, expected);
    assert_eq!(codec.decode_in(operation, &bytes).unwrap(), arguments);
    let results = json!({"a": [3, 4], "o": null, "result": -1});
    let bytes = codec
        .encode_out(operation, &results, Some(&arguments))
        .unwrap();
    let expected = [
        &[2, 0, 0, 0, 3, 0, 0, 0, 4, 0, 0, 0][..],
        &[0; 20],
        &[0xff; 4],
    ]
    .concat();
    assert_eq!(bytes, expected);
    assert_eq!(
        codec
            .decode_out(operation, &bytes, Some(&arguments))
            .unwrap(),
        results
    );
    assert_eq!(codec.decode_out(operation, &bytes, None).unwrap(), results);
    let three = json!({"a": [3, 4, 5], "o": null, "result": 0});
    assert!(
        codec
            .encode_out(operation, &three, Some(&arguments))
            .is_err()
    );
}

#[test]
fn full_pointers_have_aliases() {
    // C706 14.3.12.2: the same identifier is the same value, which is there once.
    let model = model("typedef struct { [ptr] long *a; [ptr] long *b; [ptr] long *c; } s;");
    let ty = named(&model, "s");
    let value = json!({"a": {"$id": 131072, "value": 5}, "b": {"$ref": 131072}, "c": null});
    let bytes = [0, 0, 2, 0, 0, 0, 2, 0, 0, 0, 0, 0, 5, 0, 0, 0];
    both(&Codec::new(&model), &ty, &value, &bytes);
    let codec = Codec::new(&model);
    let circle = json!({"a": {"$id": 7, "value": 5}, "b": {"$ref": 7}, "c": null});
    assert_eq!(codec.encode(&ty, &circle).unwrap(), bytes);
    assert!(
        codec
            .encode(&ty, &json!({"a": {"$ref": 9}, "b": null, "c": null}))
            .is_err()
    );
}

#[test]
fn enums_bitmaps_and_ranges() {
    let model = model(
        "typedef enum { RED = 1, BLUE = 2 } colour; typedef [v1_enum] enum { BIG = 70000 } wide;
         typedef struct { colour c; wide w; [range(1, 5)] long r; GUID g; } s;",
    );
    let ty = named(&model, "s");
    let value =
        json!({"c": "BLUE", "w": "BIG", "r": 5, "g": "00000001-0002-0003-0405-060708090a0b"});
    let bytes = [
        2, 0, 0, 0, 0x70, 0x11, 1, 0, 5, 0, 0, 0, // colour, wide, range
        1, 0, 0, 0, 2, 0, 3, 0, 4, 5, 6, 7, 8, 9, 10, 11,
    ];
    both(&Codec::new(&model), &ty, &value, &bytes);
    let codec = Codec::new(&model);
    assert!(
        codec
            .encode(
                &ty,
                &json!({"c": 9, "w": 1, "r": 6, "g": "00000001-0002-0003-0405-060708090a0b"})
            )
            .is_err()
    );
    let mut wrong = bytes;
    wrong[8] = 6;
    assert_eq!(
        codec.decode(&ty, &wrong).unwrap_err().to_string(),
        "r: 6 is not within 1..=5"
    );
}

#[test]
fn pipes_come_in_chunks() {
    // C706 14.3.9; NDR64 ends a chunk with its count negated (MS-RPCE 2.2.5.3.4.5).
    let model = model("typedef pipe short P; void f([in] P p, [in] long n, [out] P *q);");
    let codec = Codec::new(&model);
    let (_, operation) = codec.operation("f").unwrap();
    let value = json!({"p": [1, 2], "n": 7});
    let bytes = [7, 0, 0, 0, 2, 0, 0, 0, 1, 0, 2, 0, 0, 0, 0, 0];
    assert_eq!(codec.encode_in(operation, &value).unwrap(), bytes);
    assert_eq!(codec.decode_in(operation, &bytes).unwrap(), value);
}

#[test]
fn arrays_have_several_dimensions() {
    // C706 14.3.3.6: all maximum counts, then the elements by rows.
    let model = model("void f([in] long n, [in] long m, [in, size_is(n, m)] short a[][]);");
    let codec = Codec::new(&model);
    let (_, operation) = codec.operation("f").unwrap();
    let value = json!({"n": 2, "m": 3, "a": [[1, 2, 3], [4, 5, 6]]});
    let bytes = [
        2, 0, 0, 0, 3, 0, 0, 0, 2, 0, 0, 0, 3, 0, 0, 0, // n, m, the counts
        1, 0, 2, 0, 3, 0, 4, 0, 5, 0, 6, 0,
    ];
    assert_eq!(codec.encode_in(operation, &value).unwrap(), bytes);
    assert_eq!(codec.decode_in(operation, &bytes).unwrap(), value);
}

#[test]
fn nothing_grows_with_what_bytes_claim() {
    let model = model(
        "typedef struct { long n; [size_is(n)] long a[]; } s; typedef struct q { struct q *n; } q;",
    );
    let codec = Codec::new(&model);
    let claim = [0xff, 0xff, 0xff, 0x7f, 0xff, 0xff, 0xff, 0x7f];
    assert!(codec.decode(&named(&model, "s"), &claim).is_err());
    let deep = [1, 0, 0, 0].repeat(100_000);
    assert!(codec.decode(&named(&model, "q"), &deep).is_err());
}

/// The bytes of hexadecimal digits; spaces are for people.
fn hex(text: &str) -> Vec<u8> {
    let digits: Vec<u8> = text.bytes().filter(|b| !b.is_ascii_whitespace()).collect();
    let byte = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap();
    digits.chunks(2).map(byte).collect()
}

#[test]
fn a_list_is_an_array() {
    let model = model(
        "typedef struct node { long *a; struct node *next; long *b; } node;
         typedef struct { node *list; node first; long end; } s; void f([in] s *it);",
    );
    let ty = named(&model, "s");
    let value = json!({
        "list": [{"a": 1, "b": 2}, {"a": null, "b": 4}],
        "first": [{"a": 5, "b": null}],
        "end": 9
    });
    // C706 14.3.12.3: all pointers of the struct; then the list: its first element, what `a` points at, the
    // second element with all its own, what the first `b` points at; then what is of `first`.
    let bytes = hex("00000200 04000200 00000000 00000000 09000000
         08000200 0c000200 10000200  01000000
         00000000 00000000 14000200  04000000  02000000
         05000000");
    both(&Codec::new(&model), &ty, &value, &bytes);
    let none = json!({"list": [], "first": [{"a": null, "b": null}], "end": 0});
    both(&Codec::new(&model), &ty, &none, &[0; 20]);
    let error = Codec::new(&model)
        .encode(&ty, &json!({"list": null, "first": [], "end": 0}))
        .unwrap_err();
    assert!(error.to_string().contains("at least one"), "{error}");
    let error = Codec::new(&model)
        .encode(&ty, &json!({"list": {"next": null}, "first": [], "end": 0}))
        .unwrap_err();
    assert!(error.to_string().contains("expected an array"), "{error}");
    let long: Vec<_> = (0..20_000).map(|n| json!({"a": n, "b": n})).collect();
    let value = json!({"list": long, "first": [{"a": null, "b": null}], "end": 0});
    let codec = Codec::new(&model);
    let bytes = codec.encode(&ty, &value).unwrap();
    assert_eq!(codec.decode(&ty, &bytes).unwrap(), value);
}

#[test]
fn a_size_behind_its_array_is_the_replys_own() {
    // C706 14.3.3.2: the count of the array, one byte, and behind it how many there are now.
    let model = model("void f([out, size_is(*n)] byte *b, [in, out] unsigned long *n);");
    let codec = Codec::new(&model);
    let (_, operation) = codec.operation("f").unwrap();
    let bytes = [1, 0, 0, 0, 7, 0, 0, 0, 1, 0, 0, 0];
    let asked = json!({"n": 5});
    let results = codec.decode_out(operation, &bytes, Some(&asked)).unwrap();
    assert_eq!(results["n"], 1);
}

#[test]
fn pointers_to_null_pointers_come_back() {
    // A reference, which is nothing in the message; three unique pointers; the value.
    let model = model("void f([in] long ****p);");
    let codec = Codec::new(&model);
    let (_, operation) = codec.operation("f").unwrap();
    let (one, two, three) = ([0, 0, 2, 0], [4, 0, 2, 0], [8, 0, 2, 0]);
    let null = [0; 4];
    for (value, bytes) in [
        (json!(null), [&null[..]].concat()),
        (json!({"$some": null}), [&one[..], &null].concat()),
        (
            json!({"$some": {"$some": null}}),
            [&one[..], &two, &null].concat(),
        ),
        (json!(7), [&one[..], &two, &three, &[7, 0, 0, 0]].concat()),
    ] {
        let value = json!({ "p": value });
        assert_eq!(codec.encode_in(operation, &value).unwrap(), bytes);
        assert_eq!(codec.decode_in(operation, &bytes).unwrap(), value);
    }
}
