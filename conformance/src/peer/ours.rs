//! Our own demo server as a child process, looked at from outside.

use std::fs;
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

    /// The memory it holds, in bytes.
    ///
    /// # Errors
    /// When it has ended.
    pub fn memory(&self) -> io::Result<u64> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.process.id()))?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let kib = line.and_then(|line| line.trim().strip_suffix(" kB"));
        let kib: Option<u64> = kib.and_then(|kib| kib.parse().ok());
        Ok(kib.ok_or_else(|| io::Error::other("no VmRSS"))? << 10)
    }

    /// How many descriptors it has open.
    ///
    /// # Errors
    /// When it has ended.
    pub fn descriptors(&self) -> io::Result<usize> {
        Ok(fs::read_dir(format!("/proc/{}/fd", self.process.id()))?.count())
    }

    /// The processor time it has used, in clock ticks (of which a second has 100).
    ///
    /// # Errors
    /// When it has ended.
    pub fn ticks(&self) -> io::Result<u64> {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.process.id()))?;
        let behind_name = stat.rsplit_once(')').map_or("", |(_, rest)| rest);
        // Fields 14 and 15 of proc(5); the state, field 3, is the first one here.
        let times = behind_name.split_whitespace().skip(11).take(2);
        times
            .map(|time| time.parse::<u64>().map_err(io::Error::other))
            .sum()
    }
}
