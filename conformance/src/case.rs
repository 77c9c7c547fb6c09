//! The count of interop cases: which ran with a real peer, and what to do where a peer is missing.

use std::fs::OpenOptions;
use std::io::Write;

/// Where cases are written to, one `PEER: CASE` a line, when `cargo xtask test` runs us.
const LOG: &str = "FARCALL_INTEROP_LOG";

/// Says that a case ran with a real peer and passed. Called at the end of a test.
///
/// # Panics
/// When the log cannot be written: an uncounted case is a lost one.
pub fn ran(peer: &str, case: &str) {
    println!("{peer}: {case}");
    let Some(path) = std::env::var_os(LOG) else {
        return;
    };
    let log = OpenOptions::new().create(true).append(true).open(path);
    let written = log.and_then(|mut log| log.write_all(format!("{peer}: {case}\n").as_bytes()));
    written.expect("write the log of interop cases");
}

/// Whether this is continuous integration, where a missing peer is a failure.
pub fn in_ci() -> bool {
    std::env::var("CI").is_ok_and(|value| value == "true" || value == "1")
}

/// Says why a test does nothing here.
///
/// # Panics
/// In continuous integration, where nothing may be skipped.
pub fn skipped(why: &str) {
    assert!(
        !in_ci(),
        "nothing is skipped in continuous integration: {why}"
    );
    println!("skipped: {why}");
}
