//! One child process: what it prints is kept, and it ends with us.

use std::fs;
use std::io::{self, BufRead, BufReader, Read};
use std::net::{SocketAddr, TcpStream};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// How long a peer may take to become ready or to end.
pub const LIMIT: Duration = Duration::from_secs(20);

/// Between two looks at something that gives no event (a foreign port, a foreign exit).
const PAUSE: Duration = Duration::from_millis(5);

/// A running peer.
#[derive(Debug)]
pub struct Process {
    name: String,
    child: Child,
    printed: Arc<Printed>,
}

/// The lines that a process printed on standard output and error.
#[derive(Debug, Default)]
struct Printed {
    state: Mutex<(String, usize)>,
    more: Condvar,
}

impl Process {
    /// Starts a command.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn start(name: &str, command: &mut Command) -> io::Result<Self> {
        command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut child = command.spawn()?;
        let printed = Arc::new(Printed::default());
        if let Some(pipe) = child.stdout.take() {
            printed.clone().read(pipe);
        }
        if let Some(pipe) = child.stderr.take() {
            printed.clone().read(pipe);
        }
        Ok(Self {
            name: name.to_owned(),
            child,
            printed,
        })
    }

    /// Runs a command to its end, and gives how it ended and what it printed.
    ///
    /// # Errors
    /// When it cannot be started, or does not end within [`LIMIT`].
    pub fn run(name: &str, command: &mut Command) -> io::Result<(ExitStatus, String)> {
        Self::run_within(name, command, LIMIT)
    }

    /// The same with another limit.
    ///
    /// # Errors
    /// When it cannot be started, or does not end within `limit`.
    pub fn run_within(
        name: &str,
        command: &mut Command,
        limit: Duration,
    ) -> io::Result<(ExitStatus, String)> {
        let mut process = Self::start(name, command)?;
        let status = process.ended_within(limit)?;
        Ok((status, process.printed.whole()))
    }

    /// Its process id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// The memory it holds, in bytes.
    ///
    /// # Errors
    /// When it has ended.
    pub fn memory(&self) -> io::Result<u64> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.id()))?;
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
        Ok(fs::read_dir(format!("/proc/{}/fd", self.id()))?.count())
    }

    /// The processor time it has used, in clock ticks (of which a second has 100).
    ///
    /// # Errors
    /// When it has ended.
    pub fn ticks(&self) -> io::Result<u64> {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.id()))?;
        let behind_name = stat.rsplit_once(')').map_or("", |(_, rest)| rest);
        // Fields 14 and 15 of proc(5); the state, field 3, is the first one here.
        let times = behind_name.split_whitespace().skip(11).take(2);
        times
            .map(|time| time.parse::<u64>().map_err(io::Error::other))
            .sum()
    }

    /// What it has printed so far.
    pub fn output(&self) -> String {
        self.printed
            .state
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .0
            .clone()
    }

    /// Whether it still runs.
    ///
    /// # Errors
    /// What the system says.
    pub fn is_running(&mut self) -> io::Result<bool> {
        Ok(self.child.try_wait()?.is_none())
    }

    /// Waits until it has printed a line that contains `text`, and gives that line.
    ///
    /// # Errors
    /// When it ends or [`LIMIT`] passes before that.
    pub fn line(&self, text: &str) -> io::Result<String> {
        Ok(self.lines(text, 1)?.remove(0))
    }

    /// Waits until it has printed so many lines that contain `text`, at least one, and gives them.
    ///
    /// # Errors
    /// When it ends or [`LIMIT`] passes before that.
    pub fn lines(&self, text: &str, count: usize) -> io::Result<Vec<String>> {
        let found = |printed: &str| {
            let whole = printed.rsplit_once('\n').map_or("", |(whole, _)| whole);
            let lines = whole.lines().filter(|line| line.contains(text));
            let lines: Vec<String> = lines.take(count).map(str::to_owned).collect();
            (lines.len() == count && count > 0).then_some(lines)
        };
        let state = self
            .printed
            .state
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let waits = |state: &mut (String, usize)| found(&state.0).is_none() && state.1 > 0;
        let (state, _) = self
            .printed
            .more
            .wait_timeout_while(state, LIMIT, waits)
            .unwrap_or_else(PoisonError::into_inner);
        found(&state.0).ok_or_else(|| self.fault(&format!("did not print {text:?}"), &state.0))
    }

    /// Waits until it accepts connections at `address`.
    ///
    /// # Errors
    /// When it ends or [`LIMIT`] passes before that.
    pub fn port(&mut self, address: SocketAddr) -> io::Result<()> {
        let end = Instant::now() + LIMIT;
        while Instant::now() < end && self.is_running()? {
            if TcpStream::connect_timeout(&address, PAUSE * 20).is_ok() {
                return Ok(());
            }
            thread::sleep(PAUSE);
        }
        Err(self.fault(&format!("does not accept at {address}"), &self.output()))
    }

    /// Sends it a signal.
    ///
    /// # Errors
    /// When it is gone.
    pub fn signal(&self, signal: Signal) -> io::Result<()> {
        let id = i32::try_from(self.child.id()).map_err(io::Error::other)?;
        Ok(kill(Pid::from_raw(id), signal)?)
    }

    /// Waits until it ends of itself.
    ///
    /// # Errors
    /// When [`LIMIT`] passes before that.
    pub fn ended(&mut self) -> io::Result<ExitStatus> {
        self.ended_within(LIMIT)
    }

    fn ended_within(&mut self, limit: Duration) -> io::Result<ExitStatus> {
        let end = Instant::now() + limit;
        while Instant::now() < end {
            if let Some(status) = self.child.try_wait()? {
                return Ok(status);
            }
            thread::sleep(PAUSE);
        }
        Err(self.fault("still runs", &self.output()))
    }

    /// Asks it to end with `signal`, and waits until it has.
    ///
    /// # Errors
    /// When it does not end within [`LIMIT`].
    pub fn stop(mut self, signal: Signal) -> io::Result<ExitStatus> {
        self.signal(signal)?;
        self.ended()
    }

    fn fault(&self, what: &str, printed: &str) -> io::Error {
        io::Error::other(format!("{} {what}; it printed:\n{printed}", self.name))
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Printed {
    /// All that was printed, once the pipes have ended: soon after the process, unless a child of
    /// its own holds them open.
    fn whole(&self) -> String {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let open = |state: &mut (String, usize)| state.1 > 0;
        let (state, _) = self
            .more
            .wait_timeout_while(state, LIMIT, open)
            .unwrap_or_else(PoisonError::into_inner);
        state.0.clone()
    }

    /// Reads lines from a pipe until it ends.
    fn read(self: Arc<Self>, pipe: impl Read + Send + 'static) {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).1 += 1;
        thread::spawn(move || {
            let mut lines = BufReader::new(pipe);
            let mut line = Vec::new();
            while matches!(lines.read_until(b'\n', &mut line), Ok(1..)) {
                let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
                state.0.push_str(&String::from_utf8_lossy(&line));
                line.clear();
                self.more.notify_all();
            }
            self.state.lock().unwrap_or_else(PoisonError::into_inner).1 -= 1;
            self.more.notify_all();
        });
    }
}
