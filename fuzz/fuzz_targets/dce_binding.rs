//! Any text as a string binding: what is read is written so that it is read alike.
#![no_main]

use farcall_dce::binding::StringBinding;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    if let Ok(binding) = text.parse::<StringBinding>() {
        let written = binding.to_string();
        assert_eq!(
            written.parse::<StringBinding>().as_ref(),
            Ok(&binding),
            "{written}"
        );
    }
});
