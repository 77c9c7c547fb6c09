//! Values without generated code have the bytes of generated code: random messages of the
//! interfaces in `idl/`, written by what the compiler makes of them, become JSON and the same
//! bytes again, straight from the model, in both syntaxes and both orders.

// Most of it is generated code, which is looked at elsewhere.
#![cfg(not(clippy))]

#[path = "../../crates/idl/tests/compiled/messages.rs"]
mod messages;

use std::path::Path;

use farcall_idl::dynamic::ndr::Codec;
use farcall_idl::model::ndr::Operation;
use farcall_idl::{Model, Options};

use messages::{Dice, MODES, Transcode, again, make};

/// The interfaces: the file, the interface in it, and our code.
macro_rules! interfaces {
    ($($file:ident $module:ident;)*) => {
        $(#[allow(unreachable_pub, clippy::pedantic, unused, clippy::all)]
        #[rustfmt::skip]
        mod $file {
            include!(concat!(env!("OUT_DIR"), "/codecs/", stringify!($file), ".rs"));
        })*
        const INTERFACES: &[(&str, &str, Transcode)] = &[
            $((stringify!($file), stringify!($module), $file::$module::codec::transcode),)*
        ];
    };
}

interfaces! {
    rpcecho rpcecho;
    epmapper ept;
    mgmt mgmt;
    lsarpc lsarpc;
    samr samr;
    srvsvc srvsvc;
    streams streams;
    svcctl svcctl;
    winreg winreg;
    netlogon logon;
    unixinfo unixinfo;
}

/// Messages that are made of each kind, at most.
const MESSAGES: usize = 8;

/// Fewest messages that must have been compared, each in four modes.
const EXPECTED: usize = 2500;

fn model(file: &str) -> Model {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("../idl/{file}.idl"));
    let parsed = farcall_idl::parse_file(path, &Options::default());
    parsed.unwrap_or_else(|error| panic!("{file}: {error}")).0
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// What is different about a message in one mode, if anything is.
fn differs(
    codec: &Codec<'_>,
    operation: &Operation,
    request: &[u8],
    reply: Option<&[u8]>,
) -> Option<String> {
    let arguments = match codec.decode_in(operation, request) {
        Ok(arguments) => arguments,
        Err(error) => return Some(format!("request {} is not read: {error}", hex(request))),
    };
    let (json, bytes, written) = match reply {
        None => {
            let written = codec.encode_in(operation, &arguments);
            (arguments, request, written)
        }
        Some(reply) => match codec.decode_out(operation, reply, Some(&arguments)) {
            Ok(results) => {
                let written = codec.encode_out(operation, &results, Some(&arguments));
                (results, reply, written)
            }
            Err(error) => {
                let (request, reply) = (hex(request), hex(reply));
                return Some(format!("reply {reply} to {request} is not read: {error}"));
            }
        },
    };
    match written {
        Ok(written) if written == bytes => None,
        Ok(written) => Some(format!(
            "\n  compiled {}\n  dynamic  {}\n  {json}",
            hex(bytes),
            hex(&written)
        )),
        Err(error) => Some(format!("{} is not written: {error}: {json}", hex(bytes))),
    }
}

#[test]
fn random_messages_are_the_same_bytes_without_generated_code() {
    let mut dice = Dice(5);
    let (mut compared, mut wrong) = (0, Vec::new());
    for (file, module, transcode) in INTERFACES {
        let model = model(file);
        let mut interfaces = model.ndr().interfaces().map(|(_, it)| it);
        let interface = interfaces.find(|it| it.name.eq_ignore_ascii_case(module));
        let interface = interface.unwrap_or_else(|| panic!("{module} is not in {file}.idl"));
        for operation in &interface.operations {
            let opnum = operation.opnum;
            for _ in 0..MESSAGES {
                let Some(request) = make(*transcode, opnum, false, &[], &mut dice) else {
                    continue;
                };
                let reply = make(*transcode, opnum, true, &request.known, &mut dice);
                compared += 1 + usize::from(reply.is_some());
                for mode in MODES {
                    let in_mode = |reply, bytes: &[u8]| {
                        let known = &request.known;
                        again(*transcode, opnum, reply, known, bytes, (MODES[0], mode))
                            .expect("a message in every mode")
                    };
                    let codec = Codec::new(&model).syntax(mode.0).order(mode.1);
                    let asked = in_mode(false, &request.bytes);
                    let answered = reply.as_ref().map(|it| in_mode(true, &it.bytes));
                    for reply in [None, answered.as_deref()] {
                        let found = differs(&codec, operation, &asked, reply);
                        wrong.extend(
                            found.map(|what| {
                                format!("{module}.{} {mode:?}: {what}", operation.name)
                            }),
                        );
                    }
                }
            }
        }
    }
    println!("{compared} messages, {} differences", wrong.len());
    let mut seen = String::new();
    for one in &wrong {
        let key = one.split(' ').next().unwrap_or_default();
        if seen != key {
            println!("{one}");
            key.clone_into(&mut seen);
        }
    }
    assert_eq!(wrong.len(), 0);
    assert!(
        compared >= EXPECTED,
        "only {compared} messages were compared"
    );
}
