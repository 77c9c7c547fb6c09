//! Fuzzing: builds every target of `fuzz/` once and runs each for some seconds from its corpus.
//!
//! The targets are those of cargo-fuzz, and `cargo +nightly fuzz run TARGET` works on them; for
//! the smoke run the stable compiler's coverage passes are enough. There is no address
//! sanitizer in it: all of Farcall forbids `unsafe`.

use std::fs;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;

use anyhow::{Context, Result, bail};

use crate::step::Outcome;
use crate::{run, workspace};

/// What the compiler is told so that libFuzzer sees which edges an input reaches.
const FLAGS: &[&str] = &[
    "-Cpasses=sancov-module",
    "-Cllvm-args=-sanitizer-coverage-level=4",
    "-Cllvm-args=-sanitizer-coverage-inline-8bit-counters",
    "-Cllvm-args=-sanitizer-coverage-pc-table",
    "-Cllvm-args=-sanitizer-coverage-trace-compares",
    "-Ccodegen-units=1",
    "-Cdebug-assertions",
    "-Coverflow-checks",
    "--cfg",
    "fuzzing",
];

/// The largest input and the memory that one run may take, in bytes and MiB.
const BOUNDS: [&str; 4] = [
    "-max_len=65536",
    "-rss_limit_mb=1024",
    "-malloc_limit_mb=256",
    "-timeout=10",
];

/// Runs each target (or only those in `only`) for `seconds`.
///
/// # Errors
/// When a target cannot be built or started.
pub(crate) fn smoke(seconds: u64, only: &[String]) -> Result<Outcome> {
    let folder = workspace::root().join("fuzz");
    let mut targets = targets(&folder)?;
    if !only.is_empty() {
        targets.retain(|target| only.contains(target));
    }
    if targets.is_empty() {
        return Ok(Outcome::nothing("no targets"));
    }
    let host = host()?;
    run::run(
        run::cargo(&[
            "build",
            "--release",
            "--bins",
            "--manifest-path",
            "fuzz/Cargo.toml",
            "--target",
            &host,
        ])
        .env("CARGO_ENCODED_RUSTFLAGS", FLAGS.join("\x1f")),
    )?;
    let binaries = folder.join("target").join(&host).join("release");
    let mut outcome = Outcome::default();
    let mut executions = 0;
    for found in all(&folder, &binaries, &targets, seconds) {
        let found = found?;
        executions += found.executions;
        if found.is_good() {
            outcome.passed += 1;
        } else {
            outcome.failed += 1;
        }
    }
    outcome.note = format!("{} targets, {executions} executions", targets.len());
    Ok(outcome)
}

/// Runs the targets, one on each processor at a time, and says what each did when it ends.
fn all(folder: &Path, binaries: &Path, targets: &[String], seconds: u64) -> Vec<Result<Found>> {
    let next = AtomicUsize::new(0);
    let results = Mutex::new(Vec::new());
    let work = || {
        while let Some(target) = targets.get(next.fetch_add(1, Ordering::Relaxed)) {
            let found = one(folder, &binaries.join(target), target, seconds);
            if let Ok(found) = &found {
                println!("{target}: {found}");
            }
            results
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .push(found);
        }
    };
    let processors = thread::available_parallelism().map_or(1, usize::from);
    thread::scope(|scope| {
        for _ in 0..processors {
            scope.spawn(work);
        }
    });
    results.into_inner().unwrap_or_else(PoisonError::into_inner)
}

/// The names of the targets: the files in `fuzz/fuzz_targets`.
fn targets(folder: &Path) -> Result<Vec<String>> {
    let files = workspace::files(&folder.join("fuzz_targets"), &["rs"])?;
    let stems = files.iter().filter_map(|path| path.file_stem());
    Ok(stems
        .map(|stem| stem.to_string_lossy().into_owned())
        .collect())
}

/// The target triple of this machine, from the compiler.
fn host() -> Result<String> {
    let told = run::command("rustc", &["-vV"])
        .output()
        .context("rustc -vV")?;
    let told = String::from_utf8_lossy(&told.stdout).into_owned();
    let host = told.lines().find_map(|line| line.strip_prefix("host: "));
    host.map(str::to_owned).context("rustc names no host")
}

/// What one target did.
struct Found {
    executions: u64,
    coverage: u64,
    corpus: usize,
    crashed: bool,
}

impl Found {
    /// Something ran, it reached more than the empty harness, and nothing crashed.
    fn is_good(&self) -> bool {
        !self.crashed && self.executions > 0 && self.coverage > 0
    }
}

impl std::fmt::Display for Found {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self {
            executions,
            coverage,
            corpus,
            crashed,
        } = self;
        write!(
            f,
            "{executions} executions, {coverage} edges, {corpus} seeds"
        )?;
        if *crashed {
            f.write_str(", CRASHED")
        } else {
            Ok(())
        }
    }
}

/// Runs one target from its seeds, in a scratch folder for what it finds.
fn one(folder: &Path, binary: &Path, target: &str, seconds: u64) -> Result<Found> {
    let seeds = folder.join("corpus").join(target);
    let scratch = folder.join("target").join("smoke").join(target);
    let artifacts = folder.join("artifacts").join(target);
    for made in [&scratch, &artifacts] {
        fs::create_dir_all(made).with_context(|| workspace::shown(made))?;
    }
    let corpus = workspace::entries_in(&seeds)?;
    if corpus == 0 {
        bail!("{target} has no seeds in {}", workspace::shown(&seeds));
    }
    let mut command = run::command(&binary.to_string_lossy(), &[]);
    command
        .arg(format!("-max_total_time={seconds}"))
        .args(BOUNDS);
    command.arg(format!("-artifact_prefix={}/", artifacts.display()));
    command
        .arg("-print_final_stats=1")
        .arg(&scratch)
        .arg(&seeds);
    let (success, text) = run::tee_quietly(&mut command)?;
    if !success {
        println!("{text}");
    }
    Ok(Found {
        executions: executions(&text),
        coverage: coverage(&text),
        corpus,
        crashed: !success,
    })
}

/// The count of executions that libFuzzer prints at the end.
fn executions(text: &str) -> u64 {
    let told = text
        .lines()
        .find_map(|line| line.strip_prefix("stat::number_of_executed_units:"));
    told.and_then(|told| told.trim().parse().ok()).unwrap_or(0)
}

/// The last count of edges that libFuzzer printed.
fn coverage(text: &str) -> u64 {
    let told = text
        .lines()
        .rev()
        .find_map(|line| line.split_once(" cov: "));
    let told = told.and_then(|(_, rest)| rest.split_whitespace().next());
    told.and_then(|told| told.parse().ok()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn libfuzzers_own_figures_are_read() {
        let text = "#2\tINITED cov: 10 ft: 11\n#99\tDONE   cov: 33 ft: 44\nstat::number_of_executed_units: 99";
        assert_eq!((executions(text), coverage(text)), (99, 33));
        assert_eq!((executions(""), coverage("")), (0, 0));
    }
}
