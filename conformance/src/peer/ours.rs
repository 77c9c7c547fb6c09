//! Our own demo server as a child process.

use std::io;
use std::net::SocketAddr;
use std::process::Command;

use super::Process;

/// A running demo server that listens over TCP and UDP on loopback.
#[derive(Debug)]
pub struct Ours {
    /// The process.
    pub process: Process,
    /// Where it listens over TCP.
    pub tcp: SocketAddr,
    /// Where it listens over UDP.
    pub udp: SocketAddr,
}

impl Ours {
    /// Starts `program` (the test's `CARGO_BIN_EXE_demo-server`) with limits as `NAME=NUMBER`.
    ///
    /// # Errors
    /// When it does not come up.
    pub fn start(program: &str, limits: &[&str]) -> io::Result<Self> {
        Self::run(Command::new(program), limits)
    }

    /// The same with at most `count` open descriptors.
    ///
    /// # Errors
    /// When it does not come up.
    pub fn with_descriptors(program: &str, count: u32, limits: &[&str]) -> io::Result<Self> {
        let mut shell = Command::new("sh");
        shell.args([
            "-c",
            &format!("ulimit -n {count}; exec \"$@\""),
            "sh",
            program,
        ]);
        Self::run(shell, limits)
    }

    fn run(mut command: Command, limits: &[&str]) -> io::Result<Self> {
        command
            .args(["tcp://127.0.0.1:0", "udp://127.0.0.1:0"])
            .args(limits);
        let process = Process::start("demo server", &mut command)?;
        let address = |scheme: &str| {
            let line = process.line(&format!("ready {scheme}://"))?;
            let (_, address) = line.split_once("://").unwrap_or_default();
            address.parse().map_err(io::Error::other)
        };
        Ok(Self {
            tcp: address("tcp")?,
            udp: address("udp")?,
            process,
        })
    }
}
