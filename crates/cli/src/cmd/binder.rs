//! `farcall binder`: an rpcbind (versions 2, 3 and 4) and an endpoint mapper on one registry, on any port.

use farcall_binder::{Binder, Policy};

use crate::daemon::{self, Signals};
use crate::guard::Guard;
use crate::output::{Done, Output};
use crate::peer;

/// Where clients of an rpcbind look for it; binding there needs root.
const DEFAULT: &[&str] = &[
    "tcp://[::]:111",
    "udp://[::]:111",
    "unix:///run/rpcbind.sock",
    "ncacn_ip_tcp:[::][135]",
    "ncalrpc:[epmapper]",
];

/// Run an rpcbind and endpoint mapper: where programs and interfaces are to be found, for whoever asks
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Listen at this endpoint; may repeat; port 0 lets the system choose
    /// [default: where clients look for an rpcbind, on port 111, and for an endpoint mapper, on port 135, which needs root]
    #[arg(short, long, value_name = "ENDPOINT", value_parser = peer::endpoint)]
    listen: Vec<farcall::Endpoint>,

    /// Take registrations over a Unix socket only, where the caller is known
    #[arg(long)]
    known_owners: bool,

    /// Tell the whole list over UDP to other machines, too (strangers can aim it at somebody else)
    #[arg(long)]
    open_dump: bool,

    #[command(flatten)]
    guard: Guard,

    /// How long running calls may go on after SIGTERM, in seconds
    #[arg(long, value_name = "SECONDS", default_value = "10", value_parser = peer::seconds)]
    grace: std::time::Duration,
}

impl Args {
    /// Whom the endpoint mapper lets in.
    pub(crate) fn guard(&self) -> &Guard {
        &self.guard
    }
}

pub(crate) async fn run(args: Args, out: &Output) -> anyhow::Result<Done> {
    let mut signals = Signals::new()?;
    let policy = Policy {
        loopback: !args.known_owners,
        open_dump: args.open_dump,
    };
    let builder = Binder::builder()
        .policy(policy)
        .configure(|server| args.guard.apply(server))?;
    let builder = match args.listen.is_empty() {
        true => DEFAULT
            .iter()
            .fold(builder, |builder, one| builder.listen(*one)),
        false => args
            .listen
            .iter()
            .fold(builder, |builder, one| builder.listen(one)),
    };
    let binder = builder.start().await?;
    daemon::ready(binder.endpoints(), out)?;
    signals.asked_to_end().await;
    Ok(signals.unless_asked_again(binder.drain(args.grace)).await)
}
