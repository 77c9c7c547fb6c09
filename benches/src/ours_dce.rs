//! Farcall over DCE/RPC: the server and the clients of `idl/bench_dce.idl`, through generated stubs.

use std::future::Future;
use std::time::Instant;

use anyhow::{Context, Result, bail, ensure};
use farcall::{Call, Limits, Refuse, Server};

use crate::closed::{self, Peer};
use crate::load::stamp;
use crate::options::Options;
use crate::pace::{Pace, Report};
use crate::process::announce;
use crate::raw_tokio::runtime;
use crate::shape::{Work, pattern};

/// What the compiler makes of `idl/bench_dce.idl`.
#[allow(unreachable_pub, dead_code, missing_docs)]
pub(crate) mod stubs {
    include!(concat!(env!("OUT_DIR"), "/bench_dce.rs"));
}

use stubs::bench_dce;

struct Bench;

impl bench_dce::Server for Bench {
    async fn null(&self, _: &Call) -> Result<(), Refuse> {
        Ok(())
    }

    async fn echo(&self, _: &Call, _: u32, data: Vec<u8>) -> Result<Vec<u8>, Refuse> {
        Ok(data)
    }
}

/// The default server, but for how many connections one address may have. It answers calls to its
/// management interface, too.
pub(crate) fn server() -> Result<()> {
    let limits = Limits {
        connections_per_source: 10_000,
        ..Limits::default()
    };
    runtime()?.block_on(async {
        let server = Server::builder()
            .serve(bench_dce::service(Bench))
            .allow_anonymous()
            .limits(limits)
            .listen("ncacn_ip_tcp:127.0.0.1[0]")
            .start()
            .await?;
        let port = server.endpoints().first().and_then(|e| e.port());
        let port = port.context("one endpoint was asked for")?;
        announce(([127, 0, 0, 1], port).into())?;
        std::future::pending().await
    })
}

/// The string binding of an address.
fn binding(options: &Options) -> Result<String> {
    let address: String = options.required("address")?;
    let (host, port) = address.split_once(':').with_context(|| address.clone())?;
    Ok(format!("ncacn_ip_tcp:{host}[{port}]"))
}

struct Calls(bench_dce::Client);

impl Peer for Calls {
    type Reply = Vec<u8>;

    async fn null(&self) -> Result<()> {
        Ok(self.0.null().await?)
    }

    fn echo(&self, data: &[u8]) -> impl Future<Output = Result<Vec<u8>>> + Send {
        let calling = self.0.echo(data.len() as u32, &data.to_vec());
        async { Ok(calling.await?) }
    }

    async fn read(&self, _: u32) -> Result<Vec<u8>> {
        bail!("there are no large reads over DCE/RPC")
    }
}

/// The async client.
pub(crate) fn client(work: Work, options: &Options) -> Result<Report> {
    let binding = binding(options)?;
    runtime()?.block_on(async {
        let client = bench_dce::Client::connect(binding.as_str()).await?;
        closed::run(Calls(client), work, options).await
    })
}

/// The blocking client: one call in flight, made by the thread that wants the result.
pub(crate) fn blocking(work: Work, pace: &Pace, options: &Options) -> Result<Report> {
    let client = bench_dce::BlockingClient::connect(binding(options)?.as_str())?;
    let mut payload = pattern(work.payload());
    let mut latencies = Vec::new();
    let mut last = Instant::now();
    for count in 0_u32.. {
        if let Work::Echo(n) = work {
            payload[..4].copy_from_slice(&count.to_be_bytes());
            let reply = client.echo(n as u32, &payload)?;
            ensure!(reply == payload, "the echo is not what was sent");
        } else {
            client.null()?;
        }
        if !stamp(pace, &mut last, &mut latencies)? {
            break;
        }
    }
    pace.report(latencies)
}
