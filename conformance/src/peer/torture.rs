//! smbtorture: the test suite of Samba, told to test a server of ours.

use std::io;
use std::path::Path;
use std::process::Command;

use super::{Process, find};

/// What a run of it found.
#[derive(Debug, Default)]
pub struct Found {
    /// The tests that passed.
    pub passed: Vec<String>,
    /// The tests that did not.
    pub failed: Vec<String>,
    /// All that it printed.
    pub printed: String,
}

/// Runs a suite such as `rpc.echo` against a binding such as `ncacn_ip_tcp:127.0.0.1[135,ndr64]`.
///
/// `credentials` are arguments, such as `-U%` for nobody; `configuration` is a file as
/// [`client_configuration`](super::samba::client_configuration) writes it.
///
/// # Errors
/// When it cannot be started or does not end in time.
pub fn run(
    configuration: &Path,
    binding: &str,
    suite: &str,
    credentials: &[&str],
) -> io::Result<Found> {
    let program = find("smbtorture").ok_or_else(|| io::Error::other("no smbtorture"))?;
    let mut command = Command::new(program);
    let mut file = std::ffi::OsString::from("--configfile=");
    file.push(configuration);
    command.arg(file).arg(binding).arg(suite).args(credentials);
    let (_, printed) = Process::run("smbtorture", &mut command)?;
    Ok(read(printed))
}

/// Reads what it prints: a line for each test, `success: NAME` or `failure: NAME [` and the like.
fn read(printed: String) -> Found {
    let mut found = Found::default();
    for line in printed.lines() {
        let Some((word, name)) = line.split_once(": ") else {
            continue;
        };
        let name = name.trim_end_matches(" [").to_owned();
        match word {
            "success" => found.passed.push(name),
            "failure" | "error" => found.failed.push(name),
            _ => {}
        }
    }
    found.printed = printed;
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_are_read_from_its_lines() {
        let printed = "test: echo.addone\ntime: 2026-11-24 06:16:31\nsuccess: echo.addone\n\
                       failure: echo.sleep [\n../../source4/torture: failed\n]\n";
        let found = read(printed.to_owned());
        assert_eq!(found.passed, ["echo.addone"]);
        assert_eq!(found.failed, ["echo.sleep"]);
    }
}
