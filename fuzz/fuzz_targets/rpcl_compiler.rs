//! The compiler of `.x` files: any text gives a model or errors, each at a place in the text, in
//! bounded time.
#![no_main]

use farcall_idl::{Files, Options};
use libfuzzer_sys::fuzz_target;

/// One file that others may include.
const INCLUDED: &str = "typedef opaque handle<8>;\nconst LIMIT = 3;\n#define TWO 2\n";

fuzz_target!(|input: &[u8]| {
    let Ok(text) = std::str::from_utf8(input) else {
        return;
    };
    let files = Files::Memory([("included.x".into(), INCLUDED.to_owned())].into());
    let options = Options {
        files,
        ..Options::default()
    };
    match farcall_idl::parse_str("fuzz.x", text, &options) {
        Ok((model, warnings)) => {
            for program in model.programs() {
                assert!(!program.name.is_empty());
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
