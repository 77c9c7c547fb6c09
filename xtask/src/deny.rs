//! Licences, bans and sources of what we depend on, by cargo-deny.

use anyhow::Result;

use crate::run;
use crate::step::Outcome;

/// Runs cargo-deny, which is compiled first where it is missing.
///
/// # Errors
/// When it cannot be installed or finds something.
pub(crate) fn check() -> Result<Outcome> {
    if !run::exists("cargo", &["deny", "--version"]) {
        run::run(&mut run::cargo(&["install", "--locked", "cargo-deny"]))?;
    }
    run::run(&mut run::cargo(&[
        "deny",
        "--log-level",
        "error",
        "--workspace",
        "check",
        "bans",
        "licenses",
        "sources",
    ]))?;
    Ok(Outcome::pass("bans, licenses, sources"))
}
