//! The surroundings of a run: a private network namespace, its congestion control, priority.
//!
//! With root the command re-executes itself inside a new namespace at a higher priority; without
//! it the loopback interface and the priority stay as they are, and the run says so.

use std::os::unix::process::CommandExt;
use std::process::Command;

use anyhow::{Context, Result, bail};
use serde::Serialize;

const INSIDE: &str = "FARCALL_BENCHES_INSIDE";
const CONTROL: &str = "/proc/sys/net/ipv4/tcp_congestion_control";

/// What the figures were taken under; part of every output.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct House {
    pub(crate) date: String,
    pub(crate) kernel: String,
    pub(crate) processor: String,
    pub(crate) processors: usize,
    pub(crate) private_network: bool,
    pub(crate) congestion_control: String,
    pub(crate) revision: String,
}

/// Moves the command into its own namespace, if it may and has not yet.
pub(crate) fn enter() -> Result<()> {
    if is_inside() {
        up()?;
        return Ok(());
    }
    if !nix::unistd::geteuid().is_root() || !available("unshare") || !available("ip") {
        return Ok(());
    }
    let error = Command::new("unshare")
        .args(["--net", "nice", "-n", "-15"])
        .arg(std::env::current_exe()?)
        .args(std::env::args_os().skip(1))
        .env(INSIDE, "1")
        .exec();
    bail!("entering a network namespace: {error}");
}

/// Whether this is a network of our own.
pub(crate) fn is_inside() -> bool {
    std::env::var_os(INSIDE).is_some()
}

fn up() -> Result<()> {
    let status = Command::new("ip")
        .args(["link", "set", "lo", "up"])
        .status()?;
    anyhow::ensure!(status.success(), "ip link set lo up ended with {status}");
    std::fs::write(CONTROL, "reno").context("setting the congestion control")
}

/// Whether a program is on the path.
pub(crate) fn available(program: &str) -> bool {
    let paths = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&paths).any(|path| path.join(program).is_file())
}

impl House {
    pub(crate) fn look() -> Self {
        let text = |path: &str| {
            std::fs::read_to_string(path)
                .unwrap_or_default()
                .trim()
                .to_owned()
        };
        let processor = text("/proc/cpuinfo")
            .lines()
            .find_map(|line| line.strip_prefix("model name")?.split_once(": "))
            .map_or_else(String::new, |(_, name)| name.to_owned());
        Self {
            date: said("date", &["-u", "+%Y-%m-%d"]),
            kernel: text("/proc/sys/kernel/osrelease"),
            processor,
            processors: crate::process::processors(),
            private_network: is_inside(),
            congestion_control: text(CONTROL),
            revision: said(
                "git",
                &[
                    "-C",
                    env!("CARGO_MANIFEST_DIR"),
                    "rev-parse",
                    "--short",
                    "HEAD",
                ],
            ),
        }
    }
}

fn said(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).output();
    output.map_or_else(
        |_| String::new(),
        |o| String::from_utf8_lossy(&o.stdout).trim().to_owned(),
    )
}
