//! `farcall completions` and `farcall man`: what a package installs beside the binary.

use std::path::PathBuf;

use clap::Command;
use clap_complete::Shell;

use crate::output::{Done, Failure, Output};

/// Print a shell's completions
#[derive(Debug, clap::Args)]
pub(crate) struct CompletionsArgs {
    /// The shell
    #[arg(value_enum)]
    shell: Shell,
}

/// Write manual pages, one for each command
#[derive(Debug, clap::Args)]
pub(crate) struct ManArgs {
    /// Into this directory [default: the page of farcall itself goes to standard output]
    directory: Option<PathBuf>,
}

/// Prints the completions of `command` for a shell.
pub(crate) fn completions(
    args: &CompletionsArgs,
    mut command: Command,
    out: &Output,
) -> anyhow::Result<Done> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut command, "farcall", &mut script);
    out.text(String::from_utf8_lossy(&script))?;
    Ok(Done::Yes)
}

/// Writes the manual pages of `command`.
pub(crate) fn man(args: &ManArgs, command: Command, out: &Output) -> anyhow::Result<Done> {
    match &args.directory {
        None => {
            let mut page = Vec::new();
            clap_mangen::Man::new(command).render(&mut page)?;
            out.text(String::from_utf8_lossy(&page))?;
        }
        Some(directory) => {
            let failed = |error| {
                Failure::new(format!(
                    "cannot write into {}: {error}",
                    directory.display()
                ))
            };
            std::fs::create_dir_all(directory).map_err(failed)?;
            clap_mangen::generate_to(command, directory).map_err(failed)?;
        }
    }
    Ok(Done::Yes)
}
