//! Processes: starting a peer where it belongs, and knowing what else the machine was doing.
//!
//! A child inherits the processor it is pinned to and dies with us. Only children started here
//! are ever ended, by their own handle.

use std::ffi::OsString;
use std::fmt;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::PathBuf;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use nix::sched::{CpuSet, sched_getaffinity, sched_setaffinity};
use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::signal::{Signal, kill};
use nix::sys::time::TimeValLike;
use nix::unistd::Pid;

/// Where the two ends of a sample run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Placement {
    /// Both on the first processor: shows what the software costs.
    Same,
    /// Server on the first, client on the second: adds the wake-up of a sleeping processor.
    Split,
}

impl fmt::Display for Placement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Same => "same",
            Self::Split => "split",
        })
    }
}

impl Placement {
    pub(crate) fn server(self) -> usize {
        0
    }

    pub(crate) fn client(self) -> usize {
        match self {
            Self::Same => 0,
            Self::Split => 1,
        }
    }
}

/// A program and its arguments.
#[derive(Clone, Debug)]
pub(crate) struct Program {
    pub(crate) path: PathBuf,
    pub(crate) arguments: Vec<OsString>,
    /// Where it listens, if it does not say so itself.
    listens: Option<SocketAddr>,
    /// What it needs in its environment.
    environment: Vec<(&'static str, String)>,
}

impl Program {
    /// A role of this very executable.
    pub(crate) fn role(name: &str) -> Result<Self> {
        Ok(Self::new(std::env::current_exe()?).with("role").words(name))
    }

    pub(crate) fn new(path: PathBuf) -> Self {
        Self {
            path,
            arguments: Vec::new(),
            listens: None,
            environment: Vec::new(),
        }
    }

    pub(crate) fn with(mut self, argument: impl Into<OsString>) -> Self {
        self.arguments.push(argument.into());
        self
    }

    /// It needs this in its environment.
    pub(crate) fn within(mut self, environment: &[(&'static str, String)]) -> Self {
        self.environment.extend(environment.iter().cloned());
        self
    }

    /// It will listen here, and does not announce it.
    pub(crate) fn at(mut self, address: SocketAddr) -> Self {
        self.listens = Some(address);
        self
    }

    /// Adds several arguments that hold no spaces.
    pub(crate) fn words(self, words: &str) -> Self {
        words.split_whitespace().fold(self, Self::with)
    }

    /// Puts `words` and this program behind them: `strace -c -- program`.
    pub(crate) fn under(self, path: &str, words: &str) -> Self {
        let outer = Self::new(path.into()).words(words).with(self.path);
        self.arguments.into_iter().fold(outer, Self::with)
    }
}

/// A child that is ended when it is dropped.
pub(crate) struct Running {
    child: Child,
    listens: Option<SocketAddr>,
    pub(crate) stdin: Option<ChildStdin>,
    stdout: BufReader<ChildStdout>,
}

impl Running {
    /// Starts `program` on processor `cpu`.
    pub(crate) fn start(program: &Program, cpu: usize) -> Result<Self> {
        let before = sched_getaffinity(Pid::from_raw(0))?;
        pin(cpu)?;
        let started = Self::anywhere(program);
        sched_setaffinity(Pid::from_raw(0), &before)?;
        started
    }

    /// Starts `program` where the kernel has it.
    pub(crate) fn anywhere(program: &Program) -> Result<Self> {
        let mut child = Command::new(&program.path)
            .args(&program.arguments)
            // Large blocks are kept rather than given back: otherwise page faults are measured.
            .env("MALLOC_MMAP_THRESHOLD_", "268435456")
            .env("MALLOC_TRIM_THRESHOLD_", "268435456")
            .env_remove("RUST_BACKTRACE")
            .envs(program.environment.iter().cloned())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .with_context(|| format!("starting {}", program.path.display()))?;
        let stdin = child.stdin.take();
        let stdout = BufReader::new(child.stdout.take().context("a piped output")?);
        Ok(Self {
            child,
            listens: program.listens,
            stdin,
            stdout,
        })
    }

    /// Reads the line a server announces itself with: its address and process id.
    pub(crate) fn ready(&mut self) -> Result<(SocketAddr, Pid)> {
        if let Some(address) = self.listens {
            self.until_listening(address)?;
            return Ok((address, Pid::from_raw(self.child.id().try_into()?)));
        }
        let line = self.line()?;
        let mut words = line.split_whitespace().skip(1);
        let mut word = || {
            words
                .next()
                .with_context(|| format!("not an announcement: {line:?}"))
        };
        let address = word()?.parse()?;
        Ok((address, Pid::from_raw(word()?.parse()?)))
    }

    /// Waits until it listens.
    fn until_listening(&mut self, address: SocketAddr) -> Result<()> {
        let started = Instant::now();
        while TcpStream::connect(address).is_err() {
            if let Some(status) = self.child.try_wait()? {
                bail!("the program ended with {status} before it listened");
            }
            let late = started.elapsed() > Duration::from_secs(60);
            ensure!(!late, "the program does not listen at {address}");
            std::thread::sleep(Duration::from_millis(10));
        }
        Ok(())
    }

    pub(crate) fn line(&mut self) -> Result<String> {
        let mut line = String::new();
        self.stdout.read_line(&mut line)?;
        ensure!(!line.is_empty(), "the program ended without a word");
        Ok(line)
    }

    /// Everything it prints until it ends by itself, which must be well.
    pub(crate) fn output(mut self) -> Result<String> {
        self.stdin = None;
        let mut text = String::new();
        self.stdout.read_to_string(&mut text)?;
        let status = self.child.wait()?;
        ensure!(status.success(), "the program ended with {status}");
        Ok(text)
    }

    /// Asks process `pid` below it to end, and waits until this one has.
    pub(crate) fn end_with(mut self, pid: Pid) -> Result<()> {
        kill(pid, Signal::SIGTERM)?;
        self.child.wait()?;
        Ok(())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

fn pin(cpu: usize) -> Result<()> {
    let mut set = CpuSet::new();
    set.set(cpu)?;
    sched_setaffinity(Pid::from_raw(0), &set).with_context(|| format!("pinning to cpu {cpu}"))
}

/// A server's first line: where it listens, and its process id.
pub(crate) fn announce(address: SocketAddr) -> Result<()> {
    let mut out = std::io::stdout();
    writeln!(out, "ready {address} {}", std::process::id())?;
    Ok(out.flush()?)
}

/// A role's first act: it ends when the process that started it does.
pub(crate) fn die_with_parent() -> Result<()> {
    Ok(nix::sys::prctl::set_pdeathsig(Signal::SIGKILL)?)
}

/// What the machine's processors did besides our children, between two moments.
pub(crate) struct Noise {
    at: Instant,
    busy: f64,
    ours: f64,
}

impl Noise {
    pub(crate) fn watch() -> Result<Self> {
        Ok(Self {
            at: Instant::now(),
            busy: busy_seconds()?,
            ours: our_seconds()?,
        })
    }

    /// The share of the machine that others used since, once all our children are reaped.
    pub(crate) fn others(&self) -> Result<f64> {
        let busy = busy_seconds()? - self.busy;
        let ours = our_seconds()? - self.ours;
        let machine = self.at.elapsed().as_secs_f64() * processors() as f64;
        Ok(((busy - ours) / machine).max(0.0))
    }
}

pub(crate) fn processors() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

/// User, nice, system, interrupts and steal of all processors, from `/proc/stat`.
fn busy_seconds() -> Result<f64> {
    let stat = std::fs::read_to_string("/proc/stat")?;
    let line = stat.lines().next().context("an empty /proc/stat")?;
    let ticks: Vec<f64> = line
        .split_whitespace()
        .skip(1)
        .filter_map(|n| n.parse().ok())
        .collect();
    ensure!(ticks.len() >= 8, "/proc/stat begins with {line:?}");
    let idle = ticks[3] + ticks[4];
    let all: f64 = ticks[..8].iter().sum();
    Ok((all - idle) / 100.0)
}

fn our_seconds() -> Result<f64> {
    let mut sum = 0;
    for who in [UsageWho::RUSAGE_SELF, UsageWho::RUSAGE_CHILDREN] {
        let usage = getrusage(who)?;
        sum += usage.user_time().num_microseconds() + usage.system_time().num_microseconds();
    }
    Ok(sum as f64 / 1e6)
}
