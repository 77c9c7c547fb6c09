//! The oldest compiler that is promised (`rust-version`), as far as it can be kept without having
//! it at hand.
//!
//! Clippy's `incompatible_msrv`, an error like every warning, sees what of the standard library is
//! newer than the promise; here it is compared with what every locked dependency asks for. That
//! the language itself is not newer only that compiler can tell.

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use crate::run;
use crate::step::Outcome;

/// Compares every locked package's `rust-version` with ours.
pub(crate) fn check() -> Result<Outcome> {
    let output = run::cargo(&["metadata", "--format-version", "1", "--locked"]).output()?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "cargo metadata: {said}");
    let metadata: Value = serde_json::from_slice(&output.stdout)?;
    let packages = metadata["packages"].as_array().context("no packages")?;
    let asked = |package: &Value| package["rust_version"].as_str().and_then(number);
    let promised = packages
        .iter()
        .find(|package| package["name"] == "farcall")
        .and_then(asked)
        .context("farcall promises no rust-version")?;
    let newer: Vec<String> = packages
        .iter()
        .filter(|package| asked(package).is_some_and(|version| version > promised))
        .map(|package| format!("{} asks for {}", package["name"], package["rust_version"]))
        .collect();
    ensure!(newer.is_empty(), "{}", newer.join(", "));
    let (major, minor) = promised;
    let note = format!("{} packages take Rust {major}.{minor}", packages.len());
    Ok(Outcome::pass(note))
}

/// Major and minor number of a version.
fn number(text: &str) -> Option<(u32, u32)> {
    let mut parts = text.split('.').map(str::parse);
    Some((parts.next()?.ok()?, parts.next()?.ok()?))
}
