//! Passwords: from a file, from standard input, or from the terminal without an echo.
//!
//! A password is never an argument, which every process of the machine could read.

use std::fs;
use std::io::{self, BufRead, IsTerminal, Write};
use std::path::Path;

use anyhow::Context;
use farcall_security::Password;
use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcsetattr};

use crate::output::Failure;

/// The first line of a file.
pub(crate) fn from_file(path: &Path) -> anyhow::Result<Password> {
    let text = fs::read_to_string(path).with_context(|| path.display().to_string())?;
    Ok(first_line(text))
}

/// The first line of standard input.
pub(crate) fn from_stdin() -> anyhow::Result<Password> {
    let mut line = String::new();
    io::stdin().lock().read_line(&mut line)?;
    Ok(first_line(line))
}

/// What a person types at the terminal after `prompt`; it is not shown.
pub(crate) fn asked(prompt: &str) -> anyhow::Result<Password> {
    if !io::stdin().is_terminal() {
        return Err(
            Failure::new("a password is needed, and there is no terminal to ask at")
                .hint("--password-file FILE takes it from a file, - from standard input")
                .into(),
        );
    }
    eprint!("{prompt}: ");
    io::stderr().flush()?;
    let quiet = Quiet::new()?;
    let line = from_stdin();
    drop(quiet);
    eprintln!();
    line
}

fn first_line(mut text: String) -> Password {
    let end = text.find(['\n', '\r']).unwrap_or(text.len());
    text.truncate(end);
    Password::new(text)
}

/// A terminal that does not show what is typed, for as long as this lives.
struct Quiet(Termios);

impl Quiet {
    fn new() -> io::Result<Self> {
        let before = tcgetattr(io::stdin())?;
        let mut quiet = before.clone();
        quiet.local_modes.remove(LocalModes::ECHO);
        tcsetattr(io::stdin(), OptionalActions::Flush, &quiet)?;
        Ok(Self(before))
    }
}

impl Drop for Quiet {
    fn drop(&mut self) {
        // Nothing helps a terminal that is gone.
        let _ = tcsetattr(io::stdin(), OptionalActions::Flush, &self.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_ends_with_its_line() {
        for (text, password) in [("a b\nc", "a b"), ("x\r\n", "x"), ("", ""), ("y", "y")] {
            assert_eq!(first_line(text.into()).expose(), password);
        }
    }
}
