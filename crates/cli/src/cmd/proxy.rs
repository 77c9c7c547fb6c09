//! `farcall proxy`: the RPC proxy as a daemon, and what helps to keep its configuration.

mod check;
mod explain;
mod probe;

use std::net::{IpAddr, ToSocketAddrs};
use std::path::PathBuf;
use std::time::Duration;

use farcall_proxy::Proxy;
use farcall_proxy::config::{Fault, Faults};
use serde_json::{Value, json};

use crate::daemon::{Asked, Signals};
use crate::output::{Done, Output};
use crate::peer;

/// Run the RPC proxy: clients outside reach RPC servers inside over HTTP, authenticated and checked
///
/// SIGHUP reads the configuration, certificates and keys again; what is wrong changes nothing. SIGTERM lets connections end, a second one
/// ends them at once.
#[derive(Debug, clap::Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(crate) struct Args {
    #[command(subcommand)]
    verb: Option<Verb>,

    /// The configuration
    #[arg(short, long, value_name = "FILE", default_value = "proxy.toml")]
    config: PathBuf,

    /// How long connections may go on after SIGTERM, in seconds
    /// [default: what the configuration says]
    #[arg(long, value_name = "SECONDS", value_parser = peer::seconds)]
    grace: Option<Duration>,
}

#[derive(Debug, clap::Subcommand)]
enum Verb {
    /// Say what is wrong or unwise in a configuration; exit code 1 if something is wrong
    Check(check::Args),
    /// Say what would be decided about a caller and a call, by which rule, and why; exit code 1 if it is denied
    Explain(explain::Args),
    /// Go through a proxy to a server as a client does, and say of each step how it went; exit code 1 if one fails
    Probe(Box<probe::Args>),
    /// Print a configuration to begin with
    Template,
}

impl Args {
    /// To be called before anything else: the Kerberos library takes the keytab from the environment alone.
    #[cfg(feature = "kerberos")]
    pub(crate) fn prepare(&self) -> anyhow::Result<()> {
        let read = match &self.verb {
            None => farcall_proxy::config::Config::load(&self.config),
            Some(_) => return Ok(()),
        };
        // What is wrong with the file is said when it is loaded.
        let Ok((config, _)) = read else {
            return Ok(());
        };
        let mut negotiate = config
            .listeners
            .iter()
            .filter_map(|listener| listener.authentication.negotiate.as_ref());
        match negotiate.find_map(|negotiate| negotiate.keytab.as_ref()) {
            Some(keytab) => Ok(farcall_security::kerberos::keytab::restart_with(keytab)?),
            None => Ok(()),
        }
    }

    /// To be called before anything else; without Kerberos there is nothing to do.
    #[cfg(not(feature = "kerberos"))]
    #[allow(
        clippy::unused_self,
        clippy::unnecessary_wraps,
        reason = "with Kerberos there is"
    )]
    pub(crate) fn prepare(&self) -> anyhow::Result<()> {
        Ok(())
    }
}

pub(crate) async fn run(args: Args, out: &Output) -> anyhow::Result<Done> {
    match args.verb {
        None => run_proxy(args, out).await,
        Some(Verb::Check(args)) => check::run(&args, out),
        Some(Verb::Explain(args)) => explain::run(&args, out),
        Some(Verb::Probe(args)) => probe::run(*args, out).await,
        Some(Verb::Template) => {
            out.text(farcall_proxy::check::TEMPLATE)?;
            Ok(Done::Yes)
        }
    }
}

async fn run_proxy(args: Args, out: &Output) -> anyhow::Result<Done> {
    let out = out.clone();
    // It has a runtime of its own, with all cores: one connection's TLS is not to delay another's calls.
    let serving = tokio::task::spawn_blocking(move || {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .enable_all()
            .build()?;
        runtime.block_on(serve(args, &out))
    });
    serving.await?
}

async fn serve(args: Args, out: &Output) -> anyhow::Result<Done> {
    let mut signals = Signals::new()?;
    let proxy = Proxy::start(&args.config).await?;
    for endpoint in proxy.endpoints() {
        match out.is_json() {
            true => out.json(&json!({ "ready": endpoint }))?,
            false => out.line(format_args!("ready {endpoint}"))?,
        }
    }
    while signals.asked().await == Asked::Reload {
        match tokio::task::block_in_place(|| proxy.reload()) {
            Ok(change) => {
                tracing::info!(
                    generation = change.generation,
                    rules = change.rules,
                    "configuration read again"
                );
                if !change.at_next_start.is_empty() {
                    let keys = change.at_next_start.join(", ");
                    tracing::warn!(keys, "in force with the next start only");
                }
            }
            Err(error) => {
                tracing::error!(%error, "configuration not read again, what was in force stays")
            }
        }
    }
    tracing::info!("draining");
    Ok(signals.unless_asked_again(proxy.drain(args.grace)).await)
}

/// The addresses of a name, as this machine's resolver has them.
fn resolve(name: &str) -> std::io::Result<Vec<IpAddr>> {
    Ok((name, 0).to_socket_addrs()?.map(|it| it.ip()).collect())
}

/// Prints what is wrong with a configuration, each with its place and its hint.
fn tell(faults: &[Fault], severity: &str, out: &Output) -> std::io::Result<()> {
    let paint = out.paint();
    for fault in faults {
        let word = match severity {
            "error" => paint.red(severity),
            _ => paint.bold(severity),
        };
        out.line(format_args!("{word}: {fault}"))?;
        if let Some((line, mark)) = marked(fault) {
            let number = fault.place.line.to_string();
            out.line(format_args!("{number} | {line}"))?;
            out.line(format_args!("{:1$} | {mark}", "", number.len()))?;
        }
        if let Some(hint) = &fault.hint {
            out.line(format_args!("  {} {hint}", paint.cyan("hint:")))?;
        }
    }
    Ok(())
}

/// The line of the file that a fault is in, and what is below it to show where, if it can be shown.
fn marked(fault: &Fault) -> Option<(String, String)> {
    let place = &fault.place;
    let text = std::fs::read_to_string(&fault.file).ok()?;
    let line = text
        .lines()
        .nth(place.line.checked_sub(1)?)?
        .replace('\t', " ");
    let long = line.chars().count();
    if long > 200 || place.column > long || line.chars().any(char::is_control) {
        return None;
    }
    let before = " ".repeat(place.column.saturating_sub(1));
    Some((line, before + &"^".repeat(place.width.clamp(1, 200))))
}

fn described(faults: &[Fault], severity: &str) -> Vec<Value> {
    let one = |fault: &Fault| {
        json!({
            "severity": severity,
            "file": fault.file,
            "line": fault.place.line,
            "column": fault.place.column,
            "key": fault.place.key,
            "message": fault.what,
            "hint": fault.hint,
        })
    };
    faults.iter().map(one).collect()
}

/// Faults as an error of the command.
fn failed(faults: &Faults) -> anyhow::Error {
    let first = faults.0.first();
    let mut failure =
        crate::output::Failure::new(first.map_or_else(String::new, ToString::to_string));
    if let Some(hint) = first.and_then(|it| it.hint.clone()) {
        failure = failure.hint(hint);
    }
    failure
        .hint("farcall proxy check FILE says all that is wrong")
        .into()
}
