//! The project's own chores: `cargo xtask ci`, `cargo xtask test` and the steps they are made of.

mod workspace;
mod run;
mod step;
mod floors;
mod source;
mod layers;
mod style;
mod requirements;
mod r#gen;
mod cost;
mod msrv;
mod peers;
mod suite;
mod fuzz;
mod corpus;
mod deny;
mod ci;

use std::process::ExitCode;

use anyhow::{Context, Result, bail};

use step::{Outcome, Report};

const USAGE: &str = "\
cargo xtask ci [--full]        everything below; --full fuzzes longer and runs the benches
cargo xtask test [ARGUMENT…]   install peers where that is allowed, run all tests
cargo xtask format             rustfmt's check
cargo xtask clippy             clippy, warnings as errors
cargo xtask layers             the four laws of ARCHITECTURE.md
cargo xtask style              sizes and heads of files, as STYLE.md has them
cargo xtask requirements       the ledger of requirements against code and tests
cargo xtask gen [--write]      is the checked-in generated code current? write it
cargo xtask cost               lines and seconds of compiling for each generated procedure
cargo xtask msrv               does any dependency ask for a newer compiler than we do?
cargo xtask docs               rustdoc, warnings as errors
cargo xtask fuzz [SECONDS] [TARGET…]
cargo xtask corpus             do Samba's interface files compile, and pass cargo check? (only with ci --full)
cargo xtask benches            do the benches build and run? (only with ci --full)
cargo xtask deny               bans, licences and sources of what we depend on";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match dispatch(&arguments) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::from(2)
        }
    }
}

/// Runs what was asked for; tells whether all of it passed.
fn dispatch(arguments: &[String]) -> Result<bool> {
    let Some((verb, rest)) = arguments.split_first() else {
        println!("{USAGE}");
        return Ok(true);
    };
    match verb.as_str() {
        "ci" => return Ok(ci::run(rest.iter().any(|argument| argument == "--full"))),
        "test" => {
            let mut report = Report::default();
            report.step("peers", suite::install_peers);
            suite::run(&mut report, rest);
            return Ok(report.finish());
        }
        _ => {}
    }
    let work: Box<dyn FnOnce() -> Result<Outcome>> = match verb.as_str() {
        "format" => Box::new(ci::format),
        "clippy" => Box::new(ci::clippy),
        "layers" => Box::new(layers::check),
        "style" => Box::new(style::check),
        "requirements" => Box::new(requirements::check),
        "gen" => {
            let rest = rest.to_vec();
            Box::new(move || r#gen::run(&rest))
        }
        "cost" => Box::new(cost::check),
        "msrv" => Box::new(msrv::check),
        "docs" => Box::new(ci::docs),
        "fuzz" => fuzzing(rest)?,
        "benches" => Box::new(ci::benches),
        "corpus" => Box::new(corpus::check),
        "deny" => Box::new(deny::check),
        "help" | "--help" | "-h" => {
            println!("{USAGE}");
            return Ok(true);
        }
        other => bail!("unknown chore {other}\n{USAGE}"),
    };
    let mut report = Report::default();
    report.step(verb, work);
    Ok(report.finish())
}

/// `fuzz [SECONDS] [TARGET…]`.
fn fuzzing(rest: &[String]) -> Result<Box<dyn FnOnce() -> Result<Outcome>>> {
    let (seconds, only) = match rest.split_first() {
        Some((seconds, only)) => (seconds.parse().context("fuzz SECONDS")?, only.to_vec()),
        None => (4, Vec::new()),
    };
    Ok(Box::new(move || fuzz::smoke(seconds, &only)))
}
