//! `farcall demo`: the whole of it in one go, on real input, in some seconds.
//!
//! It needs no root and no rpcbind: everything but the RPC proxy runs in this process, on free ports
//! of the loopback interface. The directory is served read-only.

mod report;
mod stage;
mod calls;
mod files;
mod refusals;
mod interfaces;
mod secure;
mod proxy;
mod steps;

use std::path::PathBuf;

use anyhow::Context;
use farcall::generated::calc::v1::PROGRAM;
use farcall::{Endpoint, Transport};

use crate::daemon::Signals;
use crate::output::{Done, Output};
use report::Report;
use stage::Stage;

/// See it all work: servers, calls, a directory over NFS, refusals, TLS, the RPC proxy, the ten steps of a call
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The directory to serve over NFS, read-only
    #[arg(default_value = ".")]
    directory: PathBuf,

    /// Leave the servers running, and say what to try with them
    #[arg(long)]
    keep: bool,
}

pub(crate) async fn run(args: Args, out: &Output) -> anyhow::Result<Done> {
    let directory = args.directory.canonicalize();
    let directory = directory.with_context(|| format!("{}", args.directory.display()))?;
    let stage = Stage::start(&directory).await?;
    let mut report = Report::new(out);
    stage::introduce(&stage, &directory, &mut report).await?;
    calls::make(&stage, &mut report).await?;
    files::read(&stage, &directory, &mut report).await?;
    refusals::provoke(&stage, &mut report).await?;
    interfaces::call(&mut report).await?;
    secure::call(&mut report).await?;
    proxy::call(&mut report).await?;
    steps::draw(&stage, &mut report)?;
    let done = report.end()?;
    if !args.keep {
        stage.end().await;
        return Ok(done);
    }
    let mut signals = Signals::new()?;
    if !out.is_json() {
        invite(&stage, out)?;
    }
    signals.asked_to_end().await;
    signals.unless_asked_again(stage.end()).await;
    Ok(done)
}

/// Says what to try with the running servers.
fn invite(stage: &Stage, out: &Output) -> anyhow::Result<()> {
    let port = |server: &farcall::Server| server.endpoint(Transport::Tcp).and_then(Endpoint::port);
    let calculator = stage::endpoint(&stage.calculator, Transport::Tcp)?;
    let [high, low] = port(&stage.calculator).unwrap_or_default().to_be_bytes();
    let nfs = port(&stage.files).unwrap_or_default();
    let binder = stage.binder.endpoints().first().context("a binder")?;
    let number = PROGRAM.number;
    let interface = stage.interface().context("writing calc.x")?;
    let interface = interface.display();
    out.line("")?;
    out.line(out.paint().bold("Still running; try in another terminal"))?;
    for line in [
        format!("farcall ls {binder}"),
        format!("farcall ping {calculator} {number} 1"),
        format!("farcall call {calculator} --idl {interface} ADD '[40, 2]'"),
        format!("farcall trace {calculator} {number} 1"),
        format!("rpcinfo -a 127.0.0.1.{high}.{low} -T tcp {number} 1"),
        format!("nfs-ls 'nfs://127.0.0.1/?version=3&nfsport={nfs}&mountport={nfs}'"),
    ] {
        out.line(format_args!("   {line}"))?;
    }
    out.line("   Ctrl-C ends it.")?;
    Ok(())
}
