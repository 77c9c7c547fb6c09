//! Stubs that are checked in: written by `cargo xtask gen --write`, compared by `cargo xtask gen`.

use std::fs;
use std::path::PathBuf;

use anyhow::{Context, Result};
use farcall_idl::Config;

use crate::step::Outcome;
use crate::workspace;

/// A stub that is checked in.
struct Stub {
    /// The interface's name: `idl/NAME.x` or `idl/NAME.idl` becomes `crates/rpc/src/generated/NAME.rs`.
    name: &'static str,
    config: Config,
}

/// All stubs that are checked in.
fn stubs() -> Vec<Stub> {
    let plain = |name| Stub {
        name,
        config: Config::new(),
    };
    let nfs3 = Config::new().bytes(["READ3resok.data", "WRITE3args.data"]);
    vec![
        plain("calc"),
        plain("conv"),
        plain("epmapper"),
        plain("mgmt"),
        plain("mount"),
        Stub {
            name: "nfs3",
            config: nfs3,
        },
        plain("rpcbind"),
        plain("rpcecho"),
    ]
}

impl Stub {
    fn source(&self) -> PathBuf {
        let path = workspace::root().join("idl").join(self.name);
        let idl = path.with_extension("idl");
        match idl.exists() {
            true => idl,
            false => path.with_extension("x"),
        }
    }

    fn target(&self) -> PathBuf {
        let folder = workspace::root().join("crates/rpc/src/generated");
        folder.join(self.name).with_extension("rs")
    }

    fn code(&self) -> Result<String> {
        Ok(self.config.compile_file(self.source())?.code)
    }
}

/// Compares what is checked in with what the compiler prints; with `--write`, writes it.
pub(crate) fn run(arguments: &[String]) -> Result<Outcome> {
    match arguments.iter().any(|argument| argument == "--write") {
        true => write(),
        false => check(),
    }
}

/// Compares what is checked in with what the compiler prints.
pub(crate) fn check() -> Result<Outcome> {
    let mut outcome = Outcome::default();
    for stub in stubs() {
        let target = stub.target();
        let old = fs::read_to_string(&target).unwrap_or_default();
        if old == stub.code()? {
            outcome.passed += 1;
        } else {
            outcome.failed += 1;
            println!("{} is not what the compiler prints", target.display());
        }
    }
    outcome.note = match outcome.failed {
        0 => format!("{} stubs are current", outcome.passed),
        _ => "hint: cargo xtask gen --write".to_owned(),
    };
    Ok(outcome)
}

/// Writes all stubs.
fn write() -> Result<Outcome> {
    let stubs = stubs();
    for stub in &stubs {
        let target = stub.target();
        fs::write(&target, stub.code()?).with_context(|| format!("write {}", target.display()))?;
        println!("{}", target.display());
    }
    Ok(Outcome::pass(format!("{} stubs written", stubs.len())))
}
