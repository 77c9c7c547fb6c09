//! Passwords: from a file, from standard input, or from the terminal without an echo.
//!
//! A password is never an argument, which every process of the machine could read.

use std::fs::{File, OpenOptions};
use std::io::{self, BufRead, BufReader, Write};
use std::path::Path;

use anyhow::{Context, bail};
use farcall_security::Password;
use rustix::termios::{LocalModes, OptionalActions, tcgetattr, tcsetattr};

use crate::output::Failure;

/// Longest password that is read, in bytes.
const LONGEST: u64 = 4096;

/// The first line of a file.
pub(crate) fn from_file(path: &Path) -> anyhow::Result<Password> {
    let read = File::open(path).and_then(|file| first_line(BufReader::new(file)));
    let text = read.with_context(|| path.display().to_string())?;
    Ok(Password::new(text))
}

/// The first line of standard input.
pub(crate) fn from_stdin() -> anyhow::Result<Password> {
    let line = first_line(io::stdin().lock()).context("read the password")?;
    Ok(Password::new(line))
}

/// The first line, without its end.
fn first_line(from: impl BufRead) -> io::Result<String> {
    let mut line = String::new();
    from.take(LONGEST).read_line(&mut line)?;
    let end = line.trim_end_matches(['\r', '\n']).len();
    line.truncate(end);
    Ok(line)
}

/// What a person types at the terminal after a prompt, without an echo; asked for `twice` if it is to be set. `hint` says what
/// to do without a terminal.
pub(crate) fn asked(prompt: &str, twice: bool, hint: &str) -> anyhow::Result<Password> {
    let terminal = OpenOptions::new().read(true).write(true).open("/dev/tty");
    let Ok(terminal) = terminal else {
        let failure = Failure::new("no terminal to ask for the password");
        bail!(failure.hint(hint));
    };
    let password = hidden(&terminal, &format!("{prompt}: "))?;
    if twice && hidden(&terminal, "Again: ")? != password {
        bail!(Failure::new("the two passwords differ"));
    }
    Ok(Password::new(password))
}

/// Asks on the terminal without echo. Keys that would interrupt the program are read like others, so that echo is never left off.
fn hidden(mut terminal: &File, prompt: &str) -> anyhow::Result<String> {
    let before = tcgetattr(terminal)?;
    let mut quiet = before.clone();
    quiet
        .local_modes
        .remove(LocalModes::ECHO | LocalModes::ISIG);
    tcsetattr(terminal, OptionalActions::Flush, &quiet)?;
    let asked = write!(terminal, "{prompt}").and_then(|()| first_line(BufReader::new(terminal)));
    tcsetattr(terminal, OptionalActions::Flush, &before)?;
    writeln!(terminal)?;
    let password = asked?;
    if password.contains(['\u{3}', '\u{1c}']) {
        bail!(Failure::new("interrupted"));
    }
    Ok(password)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_the_first_line_without_its_end() {
        for text in ["pass word", "pass word\n", "pass word\r\nmore\n"] {
            assert_eq!(
                first_line(text.as_bytes()).ok().as_deref(),
                Some("pass word")
            );
        }
        assert_eq!(first_line(&b""[..]).ok().as_deref(), Some(""));
        assert!(first_line(&b"\xff\n"[..]).is_err());
    }
}
