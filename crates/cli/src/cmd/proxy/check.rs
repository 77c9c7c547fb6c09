//! `farcall proxy check`: what is wrong or unwise in a configuration.

use std::net::IpAddr;
use std::path::PathBuf;

use farcall_proxy::check;
use farcall_proxy::config::{Config, Fault, Faults};
use farcall_proxy::live::State;
use serde_json::json;

use crate::interface::{cannot_be_read, counted};
use crate::output::{Done, Output};

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The configuration
    file: PathBuf,

    /// Resolve no names and open no files: what the text alone shows
    #[arg(long)]
    offline: bool,

    /// Warnings are errors
    #[arg(long)]
    strict: bool,
}

/// What was found.
struct Found {
    errors: Vec<Fault>,
    warnings: Vec<Fault>,
}

pub(crate) fn run(args: &Args, out: &Output) -> anyhow::Result<Done> {
    let Found { errors, warnings } = find(args);
    if out.is_json() {
        let mut all = super::described(&errors, "error");
        all.extend(super::described(&warnings, "warning"));
        out.pretty_json(&json!({
            "errors": errors.len(),
            "warnings": warnings.len(),
            "diagnostics": all,
        }))?;
    } else {
        super::tell(&errors, "error", out)?;
        super::tell(&warnings, "warning", out)?;
        let (errors, warnings) = (
            counted(errors.len(), "error"),
            counted(warnings.len(), "warning"),
        );
        out.line(format_args!("{errors}, {warnings}"))?;
    }
    match !errors.is_empty() || (args.strict && !warnings.is_empty()) {
        true if cannot_be_read(&args.file) => Ok(Done::Untried),
        true => Ok(Done::No),
        false => Ok(Done::Yes),
    }
}

fn find(args: &Args) -> Found {
    let only = |Faults(errors)| Found {
        errors,
        warnings: Vec::new(),
    };
    let (config, source) = match Config::load(&args.file) {
        Ok(read) => read,
        Err(faults) => return only(faults),
    };
    let mut errors = match args.offline {
        true => Vec::new(),
        false => check::files(&config, &source),
    };
    // Any ordinary address will do for names where none are looked up.
    let mut nowhere = |_: &str| Ok(vec![IpAddr::from([192, 0, 2, 1])]);
    let made = match args.offline {
        true => {
            let mut config = config;
            config.targets.iter_mut().for_each(|it| it.networks.clear());
            State::make(config, source, &mut nowhere)
        }
        false => State::make(config, source, &mut super::resolve),
    };
    match made {
        Ok(state) => Found {
            warnings: check::warnings(&state.config, &state.source, &state.policy),
            errors,
        },
        Err(faults) => {
            errors.extend(faults.0);
            only(Faults(errors))
        }
    }
}
