//! The measurable part of `STYLE.md`: every file opens with what it is, no file and no function
//! outgrows its bound.
//!
//! Generated files are left alone, and the sizes of tests, which may be tables. A function's length
//! is counted from its `fn` to its last brace.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};

use crate::layers;
use crate::source;
use crate::step::Outcome;
use crate::workspace;

/// Longest file, in lines, tests at its end not counted.
const FILE: usize = 900;

/// Longest function, in lines.
const FUNCTION: usize = 120;

/// Checks all source and prints what is out of bounds.
///
/// # Errors
/// When a file cannot be read.
pub(crate) fn check() -> Result<Outcome> {
    let mut faults = Vec::new();
    let mut files = 0;
    for folder in [
        "crates",
        "conformance",
        "examples",
        "xtask",
        "fuzz/fuzz_targets",
    ] {
        for path in workspace::files(&workspace::root().join(folder), &["rs"])? {
            let text = fs::read_to_string(&path).with_context(|| workspace::shown(&path))?;
            if layers::is_generated(&text) || is_data(&path) {
                continue;
            }
            files += 1;
            one(&workspace::shown(&path), &text, &mut faults);
        }
    }
    for fault in &faults {
        println!("{fault}");
    }
    println!("style: {files} files, {} faults", faults.len());
    Ok(if faults.is_empty() {
        Outcome::pass(format!("{files} files"))
    } else {
        Outcome::fail(format!("{} faults", faults.len()))
    })
}

/// Expected output of the compiler is data, not source.
fn is_data(path: &Path) -> bool {
    path.iter()
        .any(|part| part == "fixtures" || part == "corpus")
}

fn one(path: &str, text: &str, faults: &mut Vec<String>) {
    if !text.trim_start().starts_with("//!") {
        faults.push(format!("{path}:1: does not say what it is (//!)"));
    }
    let tests = path.contains("/tests/") || path.ends_with("tests.rs");
    let product = text.split("\n#[cfg(test)]").next().unwrap_or(text);
    let lines = product.lines().count();
    if !tests && lines > FILE {
        faults.push(format!("{path}: {lines} lines, at most {FILE}"));
    }
    for (name, line, length) in source::functions(product) {
        if !tests && length > FUNCTION {
            faults.push(format!(
                "{path}:{line}: {name} has {length} lines, at most {FUNCTION}"
            ));
        }
    }
}
