//! What a command prints, and how it ends.
//!
//! Data goes to standard output, messages to standard error. A run ends with 0 (done), 1 (the
//! answer is no: a file has errors, a server refused) or 2 (it could not be tried: bad usage, no
//! connection). A reader that goes away (`| head`) is no failure. Nothing is said by colour alone.

use std::fmt::{self, Display};
use std::io::{self, IsTerminal, Write};
use std::process::ExitCode;

use farcall::{Error, Phase};

/// When to do something that only suits a terminal.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Choice {
    /// If the output is a terminal.
    #[default]
    Auto,
    /// In any case.
    Always,
    /// In no case.
    Never,
}

/// How a command that could be tried has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Done {
    /// As it should: exit code 0.
    Yes,
    /// The answer is no, and has been printed: exit code 1.
    No,
    /// It could not be tried, which has been printed: exit code 2.
    Untried,
}

/// Standard output and standard error, as the user wants them.
#[derive(Clone, Debug)]
pub(crate) struct Output {
    json: bool,
    colour: bool,
    colour_of_messages: bool,
}

impl Output {
    /// Decides on colour once.
    pub(crate) fn new(json: bool, colour: Choice) -> Self {
        Self {
            json,
            colour: wants_colour(colour, io::stdout().is_terminal()) && !json,
            colour_of_messages: wants_colour(colour, io::stderr().is_terminal()),
        }
    }

    /// Whether a program reads standard output.
    pub(crate) fn is_json(&self) -> bool {
        self.json
    }

    /// How to colour text on standard output.
    pub(crate) fn paint(&self) -> Paint {
        Paint(self.colour)
    }

    /// Whether a person watches standard error, so that a progress bar makes sense.
    pub(crate) fn is_watched(&self) -> bool {
        io::stderr().is_terminal()
    }

    /// Prints text and a line feed to standard output.
    pub(crate) fn line(&self, text: impl Display) -> io::Result<()> {
        writeln!(io::stdout().lock(), "{text}")
    }

    /// Prints text as it is to standard output.
    pub(crate) fn text(&self, text: impl Display) -> io::Result<()> {
        write!(io::stdout().lock(), "{text}")
    }

    /// Prints a value as JSON on one line.
    pub(crate) fn json(&self, value: &serde_json::Value) -> io::Result<()> {
        self.line(value)
    }

    /// Prints a value as JSON over several lines, for people.
    pub(crate) fn pretty_json(&self, value: &serde_json::Value) -> io::Result<()> {
        self.line(format_args!("{value:#}"))
    }

    /// Says something to the user on standard error.
    pub(crate) fn message(&self, text: impl Display) {
        let _ = writeln!(io::stderr().lock(), "{text}");
    }

    /// Says what would help, on standard error.
    pub(crate) fn hint(&self, text: impl Display) {
        let label = Paint(self.colour_of_messages).cyan("hint:");
        self.message(format_args!("{label} {text}"));
    }

    /// Says on standard error what went wrong and what would help.
    pub(crate) fn error(&self, error: &anyhow::Error) {
        let label = Paint(self.colour_of_messages).red("error:");
        self.message(format_args!("{label} {}", Chain(error)));
        for hint in hints(error) {
            self.hint(hint);
        }
    }

    /// Ends a run: says why it failed, if it did, and gives the exit code.
    pub(crate) fn conclude(&self, result: anyhow::Result<Done>) -> ExitCode {
        match result {
            Ok(Done::Yes) => ExitCode::SUCCESS,
            Ok(Done::No) => ExitCode::from(1),
            Ok(Done::Untried) => ExitCode::from(2),
            Err(error) if is_broken_pipe(&error) => ExitCode::SUCCESS,
            Err(error) => {
                self.error(&error);
                ExitCode::from(code(&error))
            }
        }
    }
}

/// A mistake of the user's, or a state of the world, with what would help.
#[derive(Debug)]
pub(crate) struct Failure {
    message: String,
    hints: Vec<String>,
    is_answer: bool,
}

impl Failure {
    /// A failure without a hint.
    pub(crate) fn new(message: impl Into<String>) -> Self {
        Self {
            message: message.into(),
            hints: Vec::new(),
            is_answer: false,
        }
    }

    /// The same failure, as the answer to what was asked: exit code 1.
    pub(crate) fn answer(mut self) -> Self {
        self.is_answer = true;
        self
    }

    /// The same failure, with one more thing that would help.
    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hints.push(hint.into());
        self
    }
}

impl Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Failure {}

/// Colours for terminals; nothing else when they are off.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Paint(bool);

impl Paint {
    /// Text between an SGR sequence and its reset.
    pub(crate) fn sgr(self, code: &str, text: impl Display) -> String {
        match self.0 {
            true => format!("\x1b[{code}m{text}\x1b[0m"),
            false => text.to_string(),
        }
    }

    /// What stands out.
    pub(crate) fn bold(self, text: impl Display) -> String {
        self.sgr("1", text)
    }

    /// What matters less.
    pub(crate) fn dim(self, text: impl Display) -> String {
        self.sgr("2", text)
    }

    /// What went wrong.
    pub(crate) fn red(self, text: impl Display) -> String {
        self.sgr("1;31", text)
    }

    /// What went well.
    pub(crate) fn green(self, text: impl Display) -> String {
        self.sgr("32", text)
    }

    /// What helps.
    pub(crate) fn cyan(self, text: impl Display) -> String {
        self.sgr("36", text)
    }
}

/// Logs of the library to standard error: warnings, or more with `-v`, or as `FARCALL_LOG` says.
pub(crate) fn init_log(verbose: u8) {
    use tracing_subscriber::EnvFilter;
    let level = match verbose {
        0 => "warn",
        1 => "info",
        2 => "debug",
        _ => "trace",
    };
    let filter = EnvFilter::try_from_env("FARCALL_LOG").unwrap_or_else(|_| EnvFilter::new(level));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(io::stderr)
        .with_ansi(io::stderr().is_terminal())
        .init();
}

/// The runtime that commands run on: one thread. Servers bring their own.
pub(crate) fn runtime() -> anyhow::Result<tokio::runtime::Runtime> {
    let mut builder = tokio::runtime::Builder::new_current_thread();
    Ok(builder.enable_all().build()?)
}

fn wants_colour(choice: Choice, is_terminal: bool) -> bool {
    let refused = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    match choice {
        Choice::Always => true,
        Choice::Never => false,
        Choice::Auto => is_terminal && !refused,
    }
}

/// An error with its causes, on one line; a cause that its effect already tells is left out.
struct Chain<'a>(&'a anyhow::Error);

impl Display for Chain<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut told = self.0.to_string();
        f.write_str(&told)?;
        for cause in self.0.chain().skip(1).map(ToString::to_string) {
            if !told.contains(&cause) {
                write!(f, ": {cause}")?;
                told = cause;
            }
        }
        Ok(())
    }
}

/// What would help, from every error of the chain that knows.
fn hints(error: &anyhow::Error) -> Vec<String> {
    let of = |cause: &(dyn std::error::Error + 'static)| {
        if let Some(failure) = cause.downcast_ref::<Failure>() {
            return failure.hints.clone();
        }
        let ours = cause.downcast_ref::<Error>();
        ours.map_or_else(Vec::new, |error| error.hints().to_vec())
    };
    error.chain().flat_map(of).collect()
}

/// 1 if it was tried and the answer is no, 2 if it could not be tried.
fn code(error: &anyhow::Error) -> u8 {
    if error
        .downcast_ref::<Failure>()
        .is_some_and(|it| it.is_answer)
    {
        return 1;
    }
    match error.downcast_ref::<Error>().map(Error::phase) {
        Some(Phase::Call | Phase::Decode) => 1,
        _ => 2,
    }
}

fn is_broken_pipe(error: &anyhow::Error) -> bool {
    error
        .chain()
        .filter_map(|cause| cause.downcast_ref::<io::Error>())
        .any(|cause| cause.kind() == io::ErrorKind::BrokenPipe)
}

#[cfg(test)]
mod tests {
    use super::*;
    use anyhow::Context;

    #[test]
    fn an_error_says_its_causes_once_and_its_hints() {
        let failure = Failure::new("no file").hint("name one");
        let error = Err::<(), _>(failure).context("reading").unwrap_err();
        assert_eq!(Chain(&error).to_string(), "reading: no file");
        assert_eq!(hints(&error), ["name one"]);
        let error = Err::<(), _>(Failure::new("x"))
            .context("say x")
            .unwrap_err();
        assert_eq!(Chain(&error).to_string(), "say x");
    }

    #[test]
    fn what_was_tried_is_told_from_what_was_not() {
        let refused = Error::new(Phase::Call, farcall::Cause::ProcedureUnavailable);
        assert_eq!(code(&refused.into()), 1);
        let unreachable = Error::local(Phase::Connect, "no route");
        assert_eq!(code(&unreachable.into()), 2);
        assert_eq!(code(&anyhow::anyhow!("bad JSON")), 2);
        assert_eq!(code(&Failure::new("no file").into()), 2);
        assert_eq!(code(&Failure::new("bad file").answer().into()), 1);
    }

    #[test]
    fn colour_is_only_for_those_who_want_it() {
        assert!(!wants_colour(Choice::Never, true));
        assert!(wants_colour(Choice::Always, false));
        assert!(!wants_colour(Choice::Auto, false));
        assert_eq!(Paint(false).red("x"), "x");
        assert_eq!(Paint(true).bold("x"), "\x1b[1mx\x1b[0m");
    }
}
