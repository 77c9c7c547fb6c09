//! Any PDUs of both sides through the inspector: whatever it forwards, the server cannot take for an operation that the
//! policy denies, however it keeps its presentation contexts, and also when another proxy goes on with the connection.
#![no_main]

#[path = "../../crates/proxy/tests/model/mod.rs"]
mod model;

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    if let Some((hands_over, data)) = data.split_first() {
        model::run(data, Some(usize::from(*hands_over)));
    }
});
