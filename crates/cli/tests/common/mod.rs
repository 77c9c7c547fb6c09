//! The real binary, and a calculator for it to call.
#![allow(dead_code)] // Each file of tests uses a part.

use std::io::{BufRead, BufReader, Write};
use std::path::PathBuf;
use std::process::{Child, ChildStdout, Command, Output, Stdio};
use std::time::Duration;

use farcall::generated::calc::{self, v1};
use farcall::{Call, Endpoint, Refuse, Server, Transport};

/// What a run has printed, and its exit code.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) stdout: String,
    pub(crate) stderr: String,
    pub(crate) code: i32,
}

impl Ran {
    fn of(output: Output) -> Self {
        let text = |bytes| String::from_utf8(bytes).expect("output is UTF-8");
        Self {
            stdout: text(output.stdout),
            stderr: text(output.stderr),
            code: output.status.code().expect("it was not killed"),
        }
    }

    /// Standard output as JSON.
    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// Expects success and returns standard output.
    #[track_caller]
    pub(crate) fn ok(self) -> String {
        assert_eq!(self.code, 0, "{self:?}");
        self.stdout
    }

    /// Expects a failure whose message and hints contain these.
    #[track_caller]
    pub(crate) fn fails(self, code: i32, parts: &[&str]) {
        assert_eq!(self.code, code, "{self:?}");
        for part in parts {
            assert!(self.stderr.contains(part), "no {part:?} in {self:?}");
        }
    }
}

fn command() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_farcall"));
    command.env_remove("FARCALL_LOG").env("NO_COLOR", "1");
    command.current_dir(root());
    command
}

/// The workspace.
pub(crate) fn root() -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."))
}

/// Runs the command in the workspace's root.
pub(crate) fn farcall(args: &[&str]) -> Ran {
    let output = command().args(args).stdin(Stdio::null()).output();
    Ran::of(output.expect("the command runs"))
}

/// Runs the command with this on its standard input.
pub(crate) fn farcall_with(args: &[&str], input: &[u8]) -> Ran {
    let pipes = command()
        .args(args)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn();
    let mut child = pipes.expect("the command runs");
    child
        .stdin
        .take()
        .expect("it has one")
        .write_all(input)
        .expect("it reads");
    Ran::of(child.wait_with_output().expect("it ends"))
}

/// A daemon of ours; killed with the test.
pub(crate) struct Daemon {
    child: Child,
    lines: BufReader<ChildStdout>,
}

impl Daemon {
    /// Starts it.
    pub(crate) fn start(args: &[&str]) -> Self {
        Self::run(
            command()
                .args(args)
                .stdin(Stdio::null())
                .stdout(Stdio::piped()),
        )
    }

    /// Starts it as a command says, whose output is a pipe.
    pub(crate) fn run(command: &mut Command) -> Self {
        let started = command.spawn();
        let mut child = started.expect("the daemon runs");
        let lines = BufReader::new(child.stdout.take().expect("it has one"));
        Self { child, lines }
    }

    /// The endpoint of its next `ready` line.
    pub(crate) fn ready(&mut self) -> String {
        let mut line = String::new();
        self.lines.read_line(&mut line).expect("it prints");
        let endpoint = line.trim().strip_prefix("ready ");
        endpoint
            .unwrap_or_else(|| panic!("{line:?} is no ready line"))
            .to_owned()
    }

    /// With the endpoint of its next `ready` line.
    pub(crate) fn with_endpoint(mut self) -> (Self, String) {
        let endpoint = self.ready();
        (self, endpoint)
    }

    /// Its process.
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Sends it a signal, by name.
    pub(crate) fn signal(&self, name: &str) {
        let id = self.child.id().to_string();
        let sent = Command::new("kill")
            .args([&format!("-{name}"), &id])
            .status();
        assert!(sent.expect("kill runs").success());
    }

    /// Waits for its end and returns its exit code.
    pub(crate) fn code(mut self) -> Option<i32> {
        self.child.wait().expect("it ends").code()
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The calculator of `idl/calc.x`; what nobody calls here it refuses.
struct Calc;

impl v1::Server for Calc {
    async fn add(&self, _: &Call, a: i32, b: i32) -> Result<i32, Refuse> {
        Ok(a.wrapping_add(b))
    }

    async fn divide(&self, _: &Call, args: calc::Division) -> Result<calc::DivisionResult, Refuse> {
        if args.divisor == 0 {
            return Ok(calc::DivisionResult::DividedByZero);
        }
        Ok(calc::DivisionResult::Divided(calc::Quotient {
            quotient: args.dividend / args.divisor,
            remainder: args.dividend % args.divisor,
        }))
    }

    async fn sum(&self, _: &Call, args: calc::Numbers) -> Result<i64, Refuse> {
        Ok(args.iter().map(|number| number.value).sum())
    }

    async fn mean(&self, _: &Call, _: calc::Sample) -> Result<f64, Refuse> {
        Ok(f64::NAN)
    }

    async fn describe(&self, _: &Call, _: calc::Sample) -> Result<calc::Statistics, Refuse> {
        Err(Refuse::SystemErr("not today".into()))
    }

    async fn echo(&self, _: &Call, args: calc::Text) -> Result<calc::Text, Refuse> {
        Ok(args)
    }

    async fn echo_block(&self, _: &Call, args: calc::Block) -> Result<calc::Block, Refuse> {
        Ok(args)
    }

    async fn sleep(&self, _: &Call, _: u32) -> Result<u32, Refuse> {
        Err(Refuse::NoReply)
    }

    async fn count(&self, call: &Call, _: i64) -> Result<i64, Refuse> {
        Ok(call.credential().sys().map_or(-1, |sys| i64::from(sys.uid)))
    }

    async fn grind(&self, _: &Call, _: u32) -> Result<(), Refuse> {
        Err(Refuse::ProcUnavail)
    }
}

/// A running calculator, over TCP and UDP.
pub(crate) struct Calculator {
    _runtime: tokio::runtime::Runtime,
    server: Option<Server>,
}

impl Calculator {
    pub(crate) fn start() -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .expect("a runtime");
        let builder = Server::builder()
            .serve(v1::service(Calc))
            .listen("tcp://127.0.0.1:0")
            .listen("udp://127.0.0.1:0");
        let server = runtime.block_on(builder.start()).expect("it starts");
        Self {
            _runtime: runtime,
            server: Some(server),
        }
    }

    fn endpoint(&self, transport: Transport) -> String {
        let server = self.server.as_ref().expect("it runs");
        server
            .endpoint(transport)
            .map(Endpoint::to_string)
            .expect("it listens")
    }

    pub(crate) fn tcp(&self) -> String {
        self.endpoint(Transport::Tcp)
    }

    pub(crate) fn udp(&self) -> String {
        self.endpoint(Transport::Udp)
    }
}

impl Drop for Calculator {
    fn drop(&mut self) {
        if let Some(server) = self.server.take() {
            self._runtime
                .block_on(server.drain(Duration::from_millis(100)));
        }
    }
}
