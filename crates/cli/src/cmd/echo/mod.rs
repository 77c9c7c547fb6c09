//! `farcall echo`: a server for anyone's clients and test suites of DCE/RPC.
//!
//! It serves rpcecho whole, and small true versions of what clients of Windows' services try first: a handle that opens
//! and closes, a challenge, who the caller is. Being there for tests, it admits anonymous callers and every level of
//! protection unless it is told otherwise.

pub(crate) mod rpcecho;
mod lsarpc;
mod samr;
mod netlogon;
mod drsuapi;
mod dssetup;
mod unixinfo;

use farcall::Server;
use farcall::generated::rpcecho::rpcecho as echo;
use farcall::stub::Registered;
use farcall_dce::security::AuthLevel;

use crate::daemon::{self, Listen};
use crate::guard::Guard;
use crate::output::{Done, Output};

/// Where it listens if it is not told.
const DEFAULT: &[&str] = &["ncacn_ip_tcp:127.0.0.1[0]"];

/// Run a test server of DCE/RPC: rpcecho, and a little of lsarpc, samr, netlogon, drsuapi, dssetup and unixinfo
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    listen: Listen,

    #[command(flatten)]
    guard: Guard,

    /// Let only callers in who prove who they are; anybody may still ask the management interface
    #[arg(long)]
    no_anonymous: bool,
}

impl Args {
    /// Whom it lets in.
    pub(crate) fn guard(&self) -> &Guard {
        &self.guard
    }
}

pub(crate) async fn run(args: Args, out: &Output) -> anyhow::Result<Done> {
    let endpoints = args.listen.endpoints(DEFAULT)?;
    let builder = Server::builder().auth_floor(AuthLevel::CONNECT);
    let builder = match args.no_anonymous {
        true => builder,
        false => builder.allow_anonymous(),
    };
    let builder = args.guard.apply_with(builder, !args.no_anonymous)?;
    daemon::serve_with(builder, services(), endpoints, &args.listen, out).await
}

/// Everything it serves.
pub(crate) fn services() -> Vec<Registered> {
    vec![
        echo::service(rpcecho::Echo),
        lsarpc::service(),
        samr::service(),
        netlogon::service(),
        drsuapi::service(),
        dssetup::service(),
        unixinfo::service(),
    ]
}
