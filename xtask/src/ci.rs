//! All of continuous integration, as steps that a person can run one by one.

use anyhow::Result;

use crate::step::{Outcome, Report};
use crate::{corpus, cost, deny, fuzz, r#gen, layers, msrv, requirements, run, style, suite};

/// How long each fuzz target runs: in a usual run, and with `--full`.
const FUZZ_SECONDS: [u64; 2] = [4, 60];

/// Everything; `full` runs longer where longer finds more.
pub(crate) fn run(full: bool) -> bool {
    let mut report = Report::default();
    report.step("peers", suite::install_peers);
    report.step("format", format);
    report.step("layers", layers::check);
    report.step("style", style::check);
    report.step("requirements", requirements::check);
    report.step("clippy", clippy);
    report.step("features", features);
    report.step("generated", r#gen::check);
    report.step("msrv", msrv::check);
    report.step("cost", cost::check);
    report.step("docs", docs);
    suite::run(&mut report, &[]);
    report.step("fuzz", || fuzz::smoke(FUZZ_SECONDS[usize::from(full)], &[]));
    report.step("deny", deny::check);
    if full {
        report.step("corpus", corpus::check);
        report.step("benches", benches);
    }
    report.finish()
}

/// Formatting, as rustfmt wants it.
pub(crate) fn format() -> Result<Outcome> {
    run::run(&mut run::cargo(&["fmt", "--all", "--check"]))?;
    Ok(Outcome::pass("rustfmt"))
}

/// Warnings of the compiler and of clippy are errors.
pub(crate) fn clippy() -> Result<Outcome> {
    let arguments = [
        "clippy",
        "--workspace",
        "--all-targets",
        "--features",
        suite::FEATURES,
        "--locked",
        "--",
        "-D",
        "warnings",
    ];
    run::run(&mut run::cargo(&arguments))?;
    Ok(Outcome::pass("no warnings"))
}

/// The command builds without what needs foreign libraries, too.
pub(crate) fn features() -> Result<Outcome> {
    run::run(&mut run::cargo(&[
        "check",
        "--package",
        "farcall-cli",
        "--locked",
    ]))?;
    Ok(Outcome::pass("the command without Kerberos"))
}

/// The documentation builds without a warning.
pub(crate) fn docs() -> Result<Outcome> {
    let mut command = run::cargo(&["doc", "--workspace", "--lib", "--no-deps", "--locked"]);
    run::run(command.env("RUSTDOCFLAGS", "-D warnings"))?;
    Ok(Outcome::pass("no warnings"))
}

/// The benches build and every part of them runs; figures are not looked at.
pub(crate) fn benches() -> Result<Outcome> {
    let arguments = [
        "run",
        "--release",
        "--manifest-path",
        "benches/Cargo.toml",
        "--",
        "--smoke",
    ];
    run::run(&mut run::cargo(&arguments))?;
    Ok(Outcome::pass("everything runs"))
}
