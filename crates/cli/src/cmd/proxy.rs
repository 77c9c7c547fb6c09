//! `farcall proxy`: the RPC proxy as a daemon.

use std::path::PathBuf;
use std::time::Duration;

use farcall_proxy::Proxy;
use serde_json::json;

use crate::daemon::{Asked, Signals};
use crate::output::{Done, Output};
use crate::peer;

/// Run the RPC proxy: clients outside reach RPC servers inside over HTTP, authenticated and checked
///
/// SIGHUP reads the configuration, certificates and keys again; what is wrong changes nothing. SIGTERM lets connections end, a second one
/// ends them at once.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The configuration
    #[arg(short, long, value_name = "FILE", default_value = "proxy.toml")]
    config: PathBuf,

    /// How long connections may go on after SIGTERM, in seconds
    /// [default: what the configuration says]
    #[arg(long, value_name = "SECONDS", value_parser = peer::seconds)]
    grace: Option<Duration>,
}

pub(crate) async fn run(args: Args, out: &Output) -> anyhow::Result<Done> {
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
