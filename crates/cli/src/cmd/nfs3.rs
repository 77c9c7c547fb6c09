//! `farcall nfs3`: a real, read-write NFS version 3 and MOUNT server for a directory.

use std::path::PathBuf;

use farcall_nfs3::Nfs3;
use farcall_nfs3::caller::{Identity, Squash};
use farcall_nfs3::network::Network;

use crate::daemon::{self, Listen};
use crate::output::{Done, Output};

/// NFS and MOUNT share one port, so that no binder is needed: clients are told it twice.
const DEFAULT: &[&str] = &["tcp://127.0.0.1:0", "udp://127.0.0.1:0"];

/// Serve a directory over NFS version 3
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The directory
    directory: PathBuf,

    #[command(flatten)]
    listen: Listen,

    /// Refuse every change
    #[arg(long)]
    read_only: bool,

    /// What clients mount
    #[arg(long, default_value = "/", value_name = "PATH")]
    name: String,

    /// Who may come: ADDRESS or ADDRESS/BITS; may repeat [default: this machine]
    #[arg(long, value_name = "NETWORK")]
    allow: Vec<Network>,

    /// Which callers become the anonymous user
    #[arg(long, value_enum, default_value = "root")]
    squash: Who,

    /// Whose rights count
    #[arg(long, value_enum, default_value = "auto")]
    identity: Whose,

    /// Keep the key of the handles here, so that clients do not notice a restart
    #[arg(long, value_name = "DIR")]
    state: Option<PathBuf>,
}

/// Which callers become the anonymous user.
#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum Who {
    /// None: a client's root is root here
    None,
    /// User and group 0
    Root,
    /// All
    All,
}

/// Whose rights count.
#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum Whose {
    /// The callers' if the server runs as root, else the server's own
    Auto,
    /// The users' that the credentials name; needs root
    Caller,
    /// The server's own user's, for every caller
    Server,
}

pub(crate) async fn run(args: Args, out: &Output) -> anyhow::Result<Done> {
    let server = build(&args)?;
    let services = vec![server.service(), server.mount_service()];
    let endpoints = args.listen.endpoints(DEFAULT)?;
    daemon::serve(services, endpoints, &args.listen, out).await
}

fn build(args: &Args) -> anyhow::Result<Nfs3> {
    let mut builder = Nfs3::builder(&args.directory)
        .name(args.name.clone())
        .read_only(args.read_only)
        .squash(match args.squash {
            Who::None => Squash::None,
            Who::Root => Squash::Root,
            Who::All => Squash::All,
        })
        .identity(match args.identity {
            Whose::Auto => Identity::Auto,
            Whose::Caller => Identity::Caller,
            Whose::Server => Identity::Server,
        });
    if !args.allow.is_empty() {
        builder = builder.networks(args.allow.clone());
    }
    if let Some(state) = &args.state {
        builder = builder.state_dir(state);
    }
    Ok(builder.build()?)
}
