//! What a generated stub costs those who compile it: lines and seconds for each procedure.
//!
//! Lines are counted and have a budget. Seconds are measured by compiling the stub alone, as a
//! crate of its own against what cargo has built, less the time that a crate without anything
//! takes; they are printed, and fail only far beyond what any machine needs.

use std::fs;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use crate::step::Outcome;
use crate::{run, workspace};

/// A stub that is checked in, and how many lines of it a procedure may cost.
const BUDGETS: &[(&str, usize)] = &[("calc", 115), ("nfs3", 365)];

/// No procedure may take longer than this.
const SLOW: Duration = Duration::from_secs(1);

/// Prints both for each stub, and compares lines with their budgets.
pub(crate) fn check() -> Result<Outcome> {
    let built = build()?;
    let empty = compile(&built, "nothing", "")?;
    let mut notes = Vec::new();
    for (name, budget) in BUDGETS {
        let path = workspace::root().join(format!("crates/rpc/src/generated/{name}.rs"));
        let code = fs::read_to_string(&path).with_context(|| path.display().to_string())?;
        let procedures = code.matches("::farcall::stub::Procedure {").count().max(1);
        let lines = code.lines().count() / procedures;
        let took = compile(&built, name, &code)?.saturating_sub(empty);
        let each = took.as_secs_f64() / procedures as f64;
        let note = format!("{name}: {lines} lines, {:.0} ms a procedure", each * 1000.0);
        println!(
            "{note} ({procedures} procedures, {:.2} s in all)",
            took.as_secs_f64()
        );
        ensure!(lines <= *budget, "{note}; the budget is {budget} lines");
        ensure!(each < SLOW.as_secs_f64(), "{note}");
        notes.push(note);
    }
    Ok(Outcome::pass(notes.join("; ")))
}

/// What a stub is compiled against: the libraries, and where theirs are.
struct Built {
    farcall: PathBuf,
    wire: PathBuf,
}

/// Builds the two crates that generated code names, and finds them.
fn build() -> Result<Built> {
    let arguments = [
        "build",
        "-p",
        "farcall",
        "--message-format",
        "json",
        "--locked",
    ];
    let output = run::cargo(&arguments)
        .stderr(std::process::Stdio::inherit())
        .output()?;
    ensure!(
        output.status.success(),
        "cargo build ended with {}",
        output.status
    );
    let text = String::from_utf8_lossy(&output.stdout);
    let messages: Vec<Value> = text
        .lines()
        .filter_map(|line| serde_json::from_str(line).ok())
        .collect();
    let library = |name: &str| {
        let artifact = messages.iter().find(|message| {
            message["reason"] == "compiler-artifact" && message["target"]["name"] == name
        });
        let files = artifact.and_then(|artifact| artifact["filenames"].as_array());
        let file = files.into_iter().flatten().filter_map(Value::as_str);
        let mut libraries = file.filter(|file| file.ends_with(".rlib"));
        libraries
            .next()
            .map(PathBuf::from)
            .with_context(|| format!("{name} was not built"))
    };
    Ok(Built {
        farcall: library("farcall")?,
        wire: library("farcall_wire")?,
    })
}

/// How long it takes to compile `code` as a library of its own.
fn compile(built: &Built, name: &str, code: &str) -> Result<Duration> {
    let folder = workspace::root().join("target/cost");
    fs::create_dir_all(&folder)?;
    let source = folder.join(name).with_extension("rs");
    fs::write(&source, format!("#![allow(missing_docs)]\n{code}"))?;
    let dependencies = built.farcall.parent().unwrap_or(&folder).join("deps");
    let mut command = run::command("rustc", &["--edition", "2024", "--crate-type", "rlib"]);
    command.arg("--out-dir").arg(&folder).arg(&source);
    command
        .arg("-L")
        .arg(format!("dependency={}", dependencies.display()));
    for (name, path) in [("farcall", &built.farcall), ("farcall_wire", &built.wire)] {
        command
            .arg("--extern")
            .arg(format!("{name}={}", path.display()));
    }
    let begun = Instant::now();
    let output = command.output().context("start rustc")?;
    let took = begun.elapsed();
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(
        output.status.success(),
        "{name} does not compile alone: {said}"
    );
    Ok(took)
}
