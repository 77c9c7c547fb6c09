//! The tests: peers, unit, vector, property, simulation and interop tests, doc tests, and the
//! count of interop cases against `conformance/interop.toml`.

use std::collections::BTreeSet;
use std::fs;

use anyhow::{Context, Result};

use crate::step::{Outcome, Report};
use crate::{peers, run, workspace};

const CASES: &str = "conformance/interop.toml";

/// What is off by default and tested all the same.
pub(crate) const FEATURES: &str = "farcall-cli/kerberos";

/// Installs peers, and what building needs, where that is allowed.
pub(crate) fn install_peers() -> Result<Outcome> {
    peers::install()?;
    Ok(Outcome::nothing("installed where they may be"))
}

/// Runs all tests as steps of `report`; peers are there, or will not be.
pub(crate) fn run(report: &mut Report, arguments: &[String]) {
    report.step("tests", || tests(arguments));
    if !arguments.is_empty() {
        return;
    }
    report.step("interop", interop);
    report.step("doc tests", || {
        counted(&mut run::cargo(&[
            "test",
            "--workspace",
            "--doc",
            "--quiet",
            "--locked",
        ]))
    });
}

/// Every test but the doc tests.
fn tests(arguments: &[String]) -> Result<Outcome> {
    let log = workspace::root().join("target/interop.log");
    if log.is_file() {
        fs::remove_file(&log)?;
    }
    let mut command = if run::exists("cargo", &["nextest", "--version"]) {
        run::cargo(&[
            "nextest",
            "run",
            "--workspace",
            "--features",
            FEATURES,
            "--no-fail-fast",
            "--no-tests=pass",
            "--locked",
        ])
    } else {
        run::cargo(&[
            "test",
            "--workspace",
            "--features",
            FEATURES,
            "--all-targets",
            "--no-fail-fast",
            "--locked",
        ])
    };
    command.args(arguments).env("FARCALL_INTEROP_LOG", &log);
    command.env("PATH", path_with_daemons());
    counted(&mut command)
}

/// The search path with the folders of daemons behind it.
fn path_with_daemons() -> String {
    let path = std::env::var("PATH").unwrap_or_default();
    format!("{path}:/usr/sbin:/sbin")
}

/// Runs a test runner and reads its own count.
fn counted(command: &mut std::process::Command) -> Result<Outcome> {
    let (success, text) = run::tee(command)?;
    let mut outcome = count(&text);
    if !success && outcome.failed == 0 {
        outcome.failed = 1;
        outcome.note = "the run failed before or after its tests".to_owned();
    }
    Ok(outcome)
}

/// Adds up the closing lines of test runners: nextest's `Summary`, or libtest's `test result`.
/// nextest repeats libtest's lines for tests that failed, so they count only without a summary.
fn count(text: &str) -> Outcome {
    let is_summary = |line: &str| line.trim_start().starts_with("Summary [");
    let closing = if text.lines().any(is_summary) {
        "Summary ["
    } else {
        "test result:"
    };
    let mut outcome = Outcome::default();
    let mut skipped = 0;
    for line in text.lines().map(str::trim_start) {
        if !line.starts_with(closing) {
            continue;
        }
        outcome.passed += number_before(line, "passed");
        outcome.failed += number_before(line, "failed") + number_before(line, "timed out");
        skipped += number_before(line, "skipped") + number_before(line, "ignored");
    }
    if skipped > 0 {
        outcome.note = format!("{skipped} skipped");
    }
    outcome
}

/// The number in front of a word: 12 for `12 passed`.
fn number_before(line: &str, word: &str) -> u64 {
    let Some((before, _)) = line.split_once(&format!(" {word}")) else {
        return 0;
    };
    let digits = before.rsplit(|one: char| !one.is_ascii_digit()).next();
    digits.and_then(|digits| digits.parse().ok()).unwrap_or(0)
}

/// Compares the interop cases that ran with those that are expected.
///
/// A test that ran a case with a real peer appended the line `PEER: CASE` to the log.
fn interop() -> Result<Outcome> {
    let path = workspace::root().join(CASES);
    if !path.is_file() {
        return Ok(Outcome::nothing("no list of cases yet"));
    }
    let expected: toml::Table = fs::read_to_string(&path)?.parse().context(CASES)?;
    let expected = listed(&expected);
    let log = fs::read_to_string(workspace::root().join("target/interop.log")).unwrap_or_default();
    let ran: BTreeSet<String> = log.lines().map(str::to_owned).collect();
    for unknown in ran.difference(&expected) {
        println!("not in {CASES}: {unknown}");
    }
    let lacking: Vec<&String> = expected.difference(&ran).collect();
    for case in &lacking {
        println!("did not run: {case}");
    }
    println!(
        "interop: {} cases ran with real peers, {} expected",
        ran.len(),
        expected.len()
    );
    let note = format!("{} of {} cases", ran.len(), expected.len());
    if lacking.is_empty() {
        return Ok(Outcome::pass(note));
    }
    if !run::in_ci() && ran.is_empty() {
        return Ok(Outcome::nothing("no peers here"));
    }
    Ok(Outcome::fail(note))
}

/// The cases of the list, as `PEER: CASE`.
fn listed(table: &toml::Table) -> BTreeSet<String> {
    let peers = table.get("peer").and_then(toml::Value::as_table);
    let mut found = BTreeSet::new();
    for (peer, entry) in peers.into_iter().flatten() {
        let cases = entry.get("cases").and_then(toml::Value::as_array);
        for case in cases.into_iter().flatten().filter_map(toml::Value::as_str) {
            found.insert(format!("{peer}: {case}"));
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_runners_are_counted() {
        let nextest = "     Summary [   0.2s] 12 tests run: 9 passed (1 slow), 2 failed, 1 timed out, 4 skipped";
        assert_eq!(
            count(nextest),
            Outcome {
                passed: 9,
                failed: 3,
                note: "4 skipped".to_owned()
            }
        );
        let libtest = "test result: ok. 3 passed; 0 failed; 1 ignored; 0 measured\ntest result: FAILED. 1 passed; 2 failed; 0 ignored";
        assert_eq!(
            count(libtest),
            Outcome {
                passed: 4,
                failed: 2,
                note: "1 skipped".to_owned()
            }
        );
        let both = format!("{libtest}\n{nextest}");
        assert_eq!(count(&both), count(nextest));
        assert_eq!(count("7 passed, nonsense"), Outcome::default());
    }

    #[test]
    fn cases_are_listed_by_peer() {
        let table: toml::Table = "[peer.rpcbind]\ncases = ['a', 'b']\n[[left_out]]\npeer = 'x'"
            .parse()
            .expect("toml");
        let found: Vec<String> = listed(&table).into_iter().collect();
        assert_eq!(found, ["rpcbind: a", "rpcbind: b"]);
    }
}
