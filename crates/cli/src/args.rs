//! The command line: what was typed, and which command it goes to.
//!
//! The options of a command stand in its own file; here are those that every command takes.

use clap::{CommandFactory, Parser, Subcommand};

use crate::cmd;
use crate::output::{Choice, Done, Output};

/// Remote procedure calls that speak the standards.
#[derive(Debug, Parser)]
#[command(
    name = "farcall",
    version,
    max_term_width = 100,
    disable_help_subcommand = true
)]
pub(crate) struct Args {
    /// Print JSON, for programs to read
    #[arg(long, global = true)]
    json: bool,

    /// Use colour: only on terminals, always, or never
    #[arg(long, global = true, value_enum, default_value_t, value_name = "WHEN")]
    color: Choice,

    /// Log more to standard error; repeat for more (-vv, -vvv)
    #[arg(short, long, global = true, action = clap::ArgAction::Count)]
    verbose: u8,

    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Gen(cmd::r#gen::Args),
    Lint(cmd::lint::Args),
    Describe(cmd::describe::Args),
    Ls(cmd::ls::Args),
    Ping(cmd::ping::Args),
    Call(cmd::call::Args),
    Decode(cmd::transcode::DecodeArgs),
    Encode(cmd::transcode::EncodeArgs),
    Bench(cmd::bench::Args),
    Binder(cmd::binder::Args),
    Nfs3(cmd::nfs3::Args),
    Proxy(cmd::proxy::Args),
    User(cmd::user::Args),
    Shell(cmd::shell::Args),
    Echo(cmd::echo::Args),
    Trace(cmd::trace::Args),
    Demo(cmd::demo::Args),
    Completions(cmd::manual::CompletionsArgs),
    #[command(hide = true)]
    Man(cmd::manual::ManArgs),
}

impl Args {
    /// How often `-v` was given.
    pub(crate) fn verbose(&self) -> u8 {
        self.verbose
    }

    /// Does what has to be done before anything else: a daemon that is told of a keytab begins again with it.
    pub(crate) fn prepare(&self) -> anyhow::Result<()> {
        match &self.command {
            Command::Echo(args) => args.guard().prepare(),
            Command::Binder(args) => args.guard().prepare(),
            Command::Nfs3(args) => args.prepare(),
            Command::Proxy(args) => args.prepare(),
            _ => Ok(()),
        }
    }

    /// Where results and messages go.
    pub(crate) fn output(&self) -> Output {
        Output::new(self.json, self.color)
    }

    /// Runs the command.
    pub(crate) async fn run(self, out: &Output) -> anyhow::Result<Done> {
        match self.command {
            Command::Gen(args) => cmd::r#gen::run(&args, out),
            Command::Lint(args) => cmd::lint::run(&args, out),
            Command::Describe(args) => cmd::describe::run(args, out).await,
            Command::Ls(args) => cmd::ls::run(args, out).await,
            Command::Ping(args) => cmd::ping::run(args, out).await,
            Command::Call(args) => cmd::call::run(args, out).await,
            Command::Decode(args) => cmd::transcode::decode(&args, out),
            Command::Encode(args) => cmd::transcode::encode(&args, out),
            Command::Bench(args) => cmd::bench::run(args, out).await,
            Command::Binder(args) => cmd::binder::run(args, out).await,
            Command::Nfs3(args) => cmd::nfs3::run(args, out).await,
            Command::Proxy(args) => cmd::proxy::run(args, out).await,
            Command::User(args) => cmd::user::run(&args, out),
            Command::Shell(args) => cmd::shell::run(args, out).await,
            Command::Echo(args) => cmd::echo::run(args, out).await,
            Command::Trace(args) => cmd::trace::run(args, out).await,
            Command::Demo(args) => cmd::demo::run(args, out).await,
            Command::Completions(args) => cmd::manual::completions(&args, Self::command(), out),
            Command::Man(args) => cmd::manual::man(&args, Self::command(), out),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_does_not_contradict_itself() {
        Args::command().debug_assert();
    }

    #[test]
    fn no_command_has_an_option_of_all_commands_again() {
        let whole = Args::command();
        let everywhere: Vec<&str> = whole
            .get_arguments()
            .map(|arg| arg.get_id().as_str())
            .collect();
        for command in whole.get_subcommands() {
            for arg in command.get_arguments() {
                let id = arg.get_id().as_str();
                assert!(!everywhere.contains(&id), "{} {id}", command.get_name());
            }
        }
    }
}
