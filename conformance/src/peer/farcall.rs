//! The command `farcall` as a user runs it: its daemons as child processes.
//!
//! The program is the one that was built with the tests: it lies in the folder above the test's own. `cargo xtask test` builds it,
//! with Kerberos, and so does any run that has the package `farcall-cli` in it.

use std::fs;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use super::{Process, Scratch};
use crate::case;
use crate::peer::samba::{DOMAIN, USER, USER_PASSWORD};

/// Names another program than the one that lies beside the tests.
const ELSEWHERE: &str = "FARCALL_PROGRAM";

/// A running daemon.
#[derive(Debug)]
pub struct Farcall {
    /// The process.
    pub process: Process,
    /// Where it said that it listens, in the order of its command line.
    pub endpoints: Vec<String>,
}

/// Where the program lies.
pub fn program() -> PathBuf {
    if let Some(path) = std::env::var_os(ELSEWHERE) {
        return path.into();
    }
    let own = std::env::current_exe().unwrap_or_default();
    let folder = own.parent().and_then(std::path::Path::parent);
    folder
        .map(|folder| folder.join("farcall"))
        .unwrap_or_default()
}

/// Whether the program is there; says so if not.
///
/// # Panics
/// In continuous integration, when it is not there.
pub fn available() -> bool {
    let here = program().is_file();
    if !here {
        case::skipped(
            "the program farcall is not built: cargo build -p farcall-cli --features kerberos",
        );
    }
    here
}

/// A command line of it.
pub fn command(arguments: &[&str]) -> Command {
    let mut command = Command::new(program());
    command.args(arguments).env_remove("FARCALL_LOG");
    command
}

/// Runs it to its end, which must be a success, and gives what it printed.
///
/// # Errors
/// When it fails, with what it printed.
pub fn run(arguments: &[&str]) -> io::Result<String> {
    let (status, printed) = Process::run("farcall", &mut command(arguments))?;
    match status.success() {
        true => Ok(printed),
        false => Err(io::Error::other(format!(
            "farcall {arguments:?}: {printed}"
        ))),
    }
}

/// Makes a file of users with one in it: the user of the domain that Samba's peers have.
///
/// # Errors
/// What the command or the file system says.
pub fn users(scratch: &Scratch) -> io::Result<String> {
    let (file, password) = (scratch.file("users"), scratch.file("password"));
    fs::write(&password, format!("{USER_PASSWORD}\n"))?;
    let mut command = command(&["user", "add", "--password-stdin"]);
    command.arg(&file).arg(format!("{DOMAIN}\\{USER}"));
    command.stdin(Stdio::from(fs::File::open(&password)?));
    let done = command.output()?;
    if !done.status.success() {
        let error = String::from_utf8_lossy(&done.stderr).into_owned();
        return Err(io::Error::other(format!("farcall user add: {error}")));
    }
    Ok(file.display().to_string())
}

impl Farcall {
    /// Starts a daemon that listens at so many endpoints, and waits until it does.
    ///
    /// # Errors
    /// When it does not come up.
    pub fn start(arguments: &[&str], endpoints: usize) -> io::Result<Self> {
        Self::run(command(arguments), endpoints)
    }

    /// The same for a daemon that listens at two endpoints, with more in its environment.
    ///
    /// # Errors
    /// When it does not come up.
    pub fn start_with(arguments: &[&str], environment: &[(&str, String)]) -> io::Result<Self> {
        let mut command = command(arguments);
        command.envs(environment.iter().map(|(name, value)| (name, value)));
        Self::run(command, 2)
    }

    /// The same with at most `count` open descriptors.
    ///
    /// # Errors
    /// When it does not come up.
    pub fn with_descriptors(count: u32, arguments: &[&str], endpoints: usize) -> io::Result<Self> {
        let mut shell = Command::new("sh");
        shell.args(["-c", &format!("ulimit -n {count}; exec \"$@\""), "sh"]);
        shell
            .arg(program())
            .args(arguments)
            .env_remove("FARCALL_LOG");
        Self::run(shell, endpoints)
    }

    fn run(mut command: Command, endpoints: usize) -> io::Result<Self> {
        let process = Process::start("farcall", &mut command)?;
        let ready = process.lines("ready ", endpoints)?;
        let endpoint = |line: &String| line.trim_start_matches("ready ").to_owned();
        Ok(Self {
            endpoints: ready.iter().map(endpoint).collect(),
            process,
        })
    }

    /// The address of its first endpoint over TCP.
    ///
    /// # Panics
    /// When it has none.
    pub fn address(&self) -> SocketAddr {
        let found = self.endpoints.iter().find_map(|text| address(text));
        found.unwrap_or_else(|| panic!("an endpoint over TCP among {:?}", self.endpoints))
    }

    /// The port of its first endpoint over TCP.
    ///
    /// # Panics
    /// When it has none.
    pub fn port(&self) -> u16 {
        self.address().port()
    }
}

/// The address in `ncacn_ip_tcp:ADDRESS[PORT]`.
fn address(endpoint: &str) -> Option<SocketAddr> {
    let rest = endpoint.strip_prefix("ncacn_ip_tcp:")?;
    let (host, port) = rest.strip_suffix(']')?.rsplit_once('[')?;
    let host = host.trim_start_matches('[').trim_end_matches(']');
    Some(SocketAddr::new(host.parse().ok()?, port.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::address;

    #[test]
    fn addresses_are_read_from_endpoints() {
        let parsed = |text: &str| address(text).map(|address| address.to_string());
        assert_eq!(
            parsed("ncacn_ip_tcp:127.0.0.1[135]").as_deref(),
            Some("127.0.0.1:135")
        );
        assert_eq!(
            parsed("ncacn_ip_tcp:[::1][49152]").as_deref(),
            Some("[::1]:49152")
        );
        assert_eq!(parsed("ncalrpc:[epmapper]"), None);
    }
}
