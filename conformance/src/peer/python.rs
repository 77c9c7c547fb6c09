//! Peers written in Python: scripts of ours in `conformance/peers/`, run by one of two
//! interpreters.
//!
//! The bindings of Samba live in Debian's own interpreter; impacket, Scapy and pyspnego in an
//! environment that `cargo xtask test` makes below `target/`.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::case;

/// Debian's own interpreter.
const DEBIAN: &str = "/usr/bin/python3";

/// Names another folder than `target/peers/python`.
const ELSEWHERE: &str = "FARCALL_PEERS_PYTHON";

/// The environment with impacket, Scapy and pyspnego, whether it is there or not.
pub fn environment() -> PathBuf {
    let usual = || super::cache().join("python");
    std::env::var_os(ELSEWHERE).map_or_else(usual, PathBuf::from)
}

/// Whether the environment is there; says so if not.
///
/// # Panics
/// In continuous integration, when it is not there.
pub fn available() -> bool {
    let here = environment().join("bin/python3").is_file();
    if !here {
        case::skipped("no Python packages: cargo xtask test installs them");
    }
    here
}

/// Whether Debian's interpreter has the bindings of Samba; says so if not.
///
/// # Panics
/// In continuous integration, when it has not.
pub fn samba_available() -> bool {
    let here = Path::new("/usr/lib/python3/dist-packages/samba/__init__.py").is_file();
    if !here {
        case::skipped("no bindings of Samba for Python");
    }
    here
}

/// A script of ours, run in the environment.
pub fn script(name: &str) -> Command {
    let mut command = Command::new(environment().join("bin/python3"));
    command.arg(place(name)).env("PYTHONWARNINGS", "ignore");
    command
}

/// A script of ours, run with the bindings of Samba.
pub fn samba_script(name: &str) -> Command {
    let mut command = Command::new(DEBIAN);
    command.arg(place(name));
    command
}

/// A script of ours that needs no packages.
pub fn plain_script(name: &str) -> Command {
    let mut command = Command::new("python3");
    command.arg(place(name)).env("PYTHONWARNINGS", "ignore");
    command
}

/// A program that came with a package of the environment, such as `rpcmap.py`.
pub fn program(name: &str) -> Command {
    let mut command = Command::new(environment().join("bin").join(name));
    command.env("PYTHONWARNINGS", "ignore");
    command
}

fn place(script: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("peers")
        .join(script)
}
