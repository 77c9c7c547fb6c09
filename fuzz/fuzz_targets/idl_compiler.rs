//! The compiler of `.idl` and `.acf` files: any text gives a model or errors, each at a place in the text, in
//! bounded time.
#![no_main]

use farcall_idl::{Files, Options};
use libfuzzer_sys::fuzz_target;

/// One file that others may include or import.
const OTHER: &str =
    "typedef [context_handle] void *HANDLE_T;\nconst long LIMIT = 3;\n#define TWO 2\n";

fuzz_target!(|input: &[u8]| {
    let Ok(text) = std::str::from_utf8(input) else {
        return;
    };
    // What is behind the first line of dashes is the configuration.
    let (text, configuration) = text.split_once("\n----\n").unwrap_or((text, ""));
    let files = [
        ("other.idl".into(), OTHER.to_owned()),
        ("fuzz.acf".into(), configuration.to_owned()),
    ];
    let options = Options {
        files: Files::Memory(files.into()),
        ..Options::default()
    };
    match farcall_idl::parse_str("fuzz.idl", text, &options) {
        Ok((model, warnings)) => {
            for (_, interface) in model.ndr().interfaces() {
                assert!(!interface.name.is_empty());
            }
            assert!(warnings.len() <= 1000, "{} warnings", warnings.len());
        }
        Err(diagnostics) => {
            assert!(diagnostics.errors() > 0, "refused without an error");
            let shown = diagnostics.to_string();
            assert!(!shown.is_empty());
        }
    }
});
