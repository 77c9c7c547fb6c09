//! `farcall echo`: a server for anyone's clients and test suites of both families.
//!
//! Over DCE/RPC it serves rpcecho whole, and small true versions of what clients of Windows' services try first: a handle
//! that opens and closes, a challenge, who the caller is. Over ONC RPC it serves the calculator of `idl/calc.x`. Being
//! there for tests, it admits anonymous callers and every level of protection unless it is told otherwise.

pub(crate) mod calculator;
pub(crate) mod rpcecho;
mod lsarpc;
mod samr;
mod netlogon;
mod drsuapi;
mod dssetup;
mod unixinfo;

use std::sync::Arc;

use farcall::generated::calc;
use farcall::generated::rpcecho::rpcecho as echo;
use farcall::stub::Registered;
use farcall::{Call, Identity, Refuse, Server};
use farcall_dce::security::AuthLevel;
use farcall_onc::auth::AuthStat;

use crate::daemon::{self, Listen};
use crate::guard::{self, Guard};
use crate::output::{Done, Output};
use crate::secure::SecureServer;
use calculator::Calculator;

/// Where it listens if it is not told.
const DEFAULT: &[&str] = &["ncacn_ip_tcp:127.0.0.1[0]"];

/// Run a test server: of DCE/RPC with rpcecho and a little of lsarpc, samr, netlogon, drsuapi, dssetup and unixinfo, and of
/// ONC RPC with a calculator (idl/calc.x) where it listens at tcp://, tls://, udp:// or unix://
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    listen: Listen,

    #[command(flatten)]
    secure: SecureServer,

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
        true => builder.authorize(proved),
        false => builder.allow_anonymous(),
    };
    let builder = args.guard.apply_with(builder, !args.no_anonymous)?;
    let builder = match args.guard.keytab() {
        Some(keytab) => builder.gss(Arc::new(guard::keys(keytab)?)),
        None => builder,
    };
    let serving = (builder, args.secure.certificates()?);
    let mut services = services();
    services.push(calc::v1::service(Calculator::default()));
    daemon::serve_with(serving, services, endpoints, &args.listen, out).await
}

/// Over ONC RPC nobody calls who proves nothing; what DCE/RPC asks of callers is said elsewhere.
fn proved(call: &Call) -> Result<(), Refuse> {
    match (call.program(), call.identity()) {
        (Some(_), Identity::Nobody | Identity::Claimed(_)) => Err(Refuse::Auth(AuthStat::TOOWEAK)),
        _ => Ok(()),
    }
}

/// What it serves over DCE/RPC.
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
