//! The oracle for XDR bytes: what rpcgen and libtirpc make of an interface, compared with what
//! our compiler makes of it, both ways; by generated code and by the dynamic codec.

#[path = "../../crates/idl/tests/compiled/choices.rs"]
mod choices;

use std::fs::{self, File};
use std::path::Path;
use std::process::{Command, Stdio};

use farcall_conformance::case;
use farcall_conformance::peer::{Scratch, available};
use farcall_idl::dynamic::Codec;
use farcall_idl::{Model, Options, Type};
use farcall_wire::{DecodeError, DecodeOwned, Encode, xdr};
use proptest::prelude::*;
use proptest::strategy::ValueTree as _;
use proptest::test_runner::TestRunner;
use serde_json::json;

use choices::Choices;

#[allow(unreachable_pub)]
mod oracle {
    include!(concat!(env!("OUT_DIR"), "/oracle.rs"));
}

const NEEDS: &[&str] = &["rpcgen", "gcc"];

/// What the oracle says to bytes that it refuses.
const REFUSED: u32 = u32::MAX;

type Again = fn(&[u8]) -> Result<Vec<u8>, DecodeError>;

fn again<T: DecodeOwned + Encode>(bytes: &[u8]) -> Result<Vec<u8>, DecodeError> {
    let value: T = xdr::from_slice(bytes)?;
    Ok(xdr::to_vec(&value).expect("what was decoded can be encoded"))
}

/// The types in the order in which `oracle.c` numbers them.
const TYPES: [(&str, Again); 7] = [
    ("plain", again::<oracle::Plain>),
    ("lengths", again::<oracle::Lengths>),
    ("by_enum", again::<oracle::ByEnum>),
    ("by_bool", again::<oracle::ByBool>),
    ("by_int", again::<oracle::ByInt>),
    ("tree", again::<oracle::Tree>),
    ("everything", again::<oracle::Everything>),
];

fn model() -> Model {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("idl/oracle.x");
    let parsed = farcall_idl::parse_file(file, &Options::default());
    parsed.unwrap_or_else(|error| panic!("{error}")).0
}

/// The oracle, compiled in a folder of its own.
struct Oracle {
    scratch: Scratch,
}

impl Oracle {
    fn build() -> Self {
        let scratch = Scratch::new("oracle").expect("a folder");
        let write = |name, text: &str| fs::write(scratch.file(name), text).expect("write");
        write("oracle.x", include_str!("../idl/oracle.x"));
        write("main.c", include_str!("../peers/oracle.c"));
        let run = |program: &str, arguments: &[&str]| {
            let mut command = Command::new(program);
            let output = command.args(arguments).current_dir(scratch.path()).output();
            let output = output.expect("start");
            let error = String::from_utf8_lossy(&output.stderr).into_owned();
            assert!(output.status.success(), "{program}: {error}");
        };
        run("rpcgen", &["-h", "-o", "oracle.h", "oracle.x"]);
        run("rpcgen", &["-c", "-o", "oracle_xdr.c", "oracle.x"]);
        let sources = [
            "-I/usr/include/tirpc",
            "-w",
            "-o",
            "oracle",
            "main.c",
            "oracle_xdr.c",
            "-ltirpc",
        ];
        run("gcc", &sources);
        Self { scratch }
    }

    /// Runs it over the frames; gives the frames that it answers with.
    fn run(&self, argument: Option<&str>, frames: &[u8]) -> Vec<u8> {
        let input = self.scratch.file("frames");
        fs::write(&input, frames).expect("write the frames");
        let output = Command::new(self.scratch.file("oracle"))
            .args(argument)
            .stdin(File::open(input).expect("open the frames"))
            .stderr(Stdio::inherit())
            .output()
            .expect("start the oracle");
        assert!(output.status.success(), "{:?}", output.status);
        output.stdout
    }
}

fn put_frame(frames: &mut Vec<u8>, number: usize, bytes: &[u8]) {
    let length = u32::try_from(bytes.len()).expect("small");
    frames.extend(u32::try_from(number).expect("small").to_be_bytes());
    frames.extend(length.to_be_bytes());
    frames.extend(bytes);
}

/// The next frame: a type's number and the bytes, unless the oracle refused.
fn take_frame(frames: &mut &[u8]) -> Option<(usize, Option<Vec<u8>>)> {
    let (head, rest) = frames.split_first_chunk::<8>()?;
    let number = u32::from_be_bytes([head[0], head[1], head[2], head[3]]);
    let length = u32::from_be_bytes([head[4], head[5], head[6], head[7]]);
    let (bytes, rest) = match length {
        REFUSED => (None, rest),
        n => {
            let (bytes, rest) = rest.split_at(n as usize);
            (Some(bytes.to_vec()), rest)
        }
    };
    *frames = rest;
    Some((number as usize, bytes))
}

/// A thousand random values of each type, as our bytes.
fn random_frames(model: &Model) -> Vec<(usize, Vec<u8>)> {
    let codec = Codec::new(model);
    let mut runner = TestRunner::deterministic();
    let seeds = prop::collection::vec(any::<u8>(), 0..800);
    let mut frames = Vec::new();
    for number in 0..TYPES.len() * 1000 {
        let seed = seeds.new_tree(&mut runner).expect("bytes").current();
        let number = number % TYPES.len();
        let ty = Type::Named(model.lookup(TYPES[number].0).expect("a type of the file"));
        let value = Choices::new(model, &seed).without_nul().value(&ty);
        let bytes = codec
            .encode(&ty, &value)
            .unwrap_or_else(|e| panic!("{e}: {value}"));
        assert_eq!(codec.decode(&ty, &bytes).expect("our own bytes"), value);
        frames.push((number, bytes));
    }
    frames
}

#[test]
fn random_values_pass_through_libtirpc_unchanged() {
    if !available(NEEDS) {
        return;
    }
    let (model, oracle) = (model(), Oracle::build());
    let frames = random_frames(&model);
    let mut input = Vec::new();
    for (number, bytes) in &frames {
        put_frame(&mut input, *number, bytes);
    }
    let output = oracle.run(None, &input);
    let mut rest = &output[..];
    for (number, bytes) in &frames {
        let (name, again) = TYPES[*number];
        let (echoed, theirs) = take_frame(&mut rest).expect("an answer to each frame");
        assert_eq!(echoed, *number);
        assert_eq!(
            theirs.as_ref(),
            Some(bytes),
            "{name}: libtirpc and the model"
        );
        assert_eq!(again(bytes).as_ref(), Ok(bytes), "{name}: generated code");
    }
    assert!(rest.is_empty());
    case::ran("libtirpc", "XDR of random values through rpcgen's codecs");
}

#[test]
fn a_value_built_in_c_reads_the_same_here() {
    if !available(NEEDS) {
        return;
    }
    let (model, oracle) = (model(), Oracle::build());
    let output = oracle.run(Some("sample"), &[]);
    let (_, bytes) = take_frame(&mut &output[..]).expect("one frame");
    let bytes = bytes.expect("libtirpc encodes its own value");
    let everything = Type::Named(model.lookup("everything").expect("everything"));
    let codec = Codec::new(&model);
    let expected = sample();
    assert_eq!(codec.decode(&everything, &bytes).expect("decode"), expected);
    assert_eq!(codec.encode(&everything, &expected).expect("encode"), bytes);
    let value: oracle::Everything = xdr::from_slice(&bytes).expect("decode");
    assert_eq!(value.fixed.a_hyper, -(1 << 62));
    assert_eq!(value.fixed.a_color, oracle::Color::Far);
    assert_eq!(value.variable.names, ["", "nine char"]);
    assert_eq!(value.one, oracle::ByEnum::Green("green".into()));
    assert_eq!(value.list.len(), 2);
    assert_eq!(xdr::to_vec(&value).expect("encode"), bytes);
    case::ran("libtirpc", "XDR of a value that C built");
}

/// What `sample` in `oracle.c` builds.
fn sample() -> serde_json::Value {
    let fixed = json!({
        "an_int": -2_147_483_648_i64,
        "an_unsigned": 4_294_967_295_u32,
        "a_hyper": "-4611686018427387904",
        "an_unsigned_hyper": "18446744073709551615",
        "a_float": 0.1,
        "a_double": -1.5e-300,
        "a_bool": true,
        "a_char": -128,
        "a_short": -32768,
        "an_unsigned_short": 65535,
        "an_opaque": {"$hex": "0102030405"},
        "numbers": [1, -2, 3],
        "a_color": "FAR",
    });
    json!({
        "fixed": fixed,
        "variable": {
            "any_bytes": {"$hex": "fffe00"},
            "few_bytes": {"$hex": "3132333435363738"},
            "any_text": "text",
            "few_text": "nine char",
            "any_numbers": [1, -2, 3],
            "few_numbers": ["-1", "1099511627776"],
            "doubles": [-0.5, 1e300],
            "names": ["", "nine char"],
            "plains": [],
        },
        "one": {"which": "GREEN", "text": "green"},
        "two": {"there": false},
        "three": {"number": 77, "rest": fixed},
        "list": [{"label": "a"}, {"label": "b"}],
        "root": {
            "left": null,
            "right": {"left": null, "right": null, "value": 7},
            "value": -8,
        },
    })
}
