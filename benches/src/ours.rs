//! Farcall itself: the server, the async client and the blocking client, through stubs that are
//! generated from `idl/bench.x` as any user's are.

use std::future::Future;
use std::net::SocketAddr;
use std::time::Instant;

use anyhow::{Context, Result, ensure};
use farcall::tls::Policy;
use farcall::{Call, Endpoint, Limits, Refuse, Server};
use farcall_wire::Bytes;

use crate::closed::{self, Peer};
use crate::guarded::{self, Service};
use crate::load::stamp;
use crate::options::Options;
use crate::ours_dce;
use crate::pace::{Pace, Report};
use crate::process::announce;
use crate::raw_tokio::runtime;
use crate::secure;
use crate::shape::{MEBIBYTE, Transport, Work, check_read, pattern};

/// What the compiler makes of `idl/bench.x`.
#[allow(unreachable_pub, dead_code, missing_docs)]
pub(crate) mod bench {
    include!(concat!(env!("OUT_DIR"), "/bench.rs"));
}

use bench::v1;

/// The three procedures; the pattern is built once.
struct Bench(Bytes);

impl v1::Server for Bench {
    async fn echo(&self, _: &Call, data: Bytes) -> Result<Bytes, Refuse> {
        Ok(data)
    }

    async fn read(&self, _: &Call, length: u32) -> Result<Bytes, Refuse> {
        let length = length as usize;
        if length > self.0.len() {
            return Err(Refuse::GarbageArgs);
        }
        Ok(self.0.slice(..length))
    }
}

/// How calls are covered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cover {
    /// In clear.
    Clear,
    /// By TLS.
    Tls,
    /// By `RPCSEC_GSS`.
    Gss(Service),
}

/// `server farcall`: the default server, but for how many connections one address may have; `server farcall-tls` and
/// `server farcall-gss` the same under cover.
pub(crate) fn server(options: &Options, cover: Cover) -> Result<()> {
    let transport: Transport = options.required("transport")?;
    if transport == Transport::Dce {
        return ours_dce::server();
    }
    let limits = Limits {
        connections_per_source: 10_000,
        ..Limits::default()
    };
    runtime()?.block_on(async {
        let mut builder = Server::builder();
        builder = match cover {
            Cover::Clear => builder,
            Cover::Tls => builder.tls(Policy::Require, secure::server()?),
            Cover::Gss(_) => guarded::accepting(builder)?,
        };
        let server = builder
            .serve(v1::service(Bench(pattern(MEBIBYTE).into())))
            .limits(limits)
            .listen(format!("{transport}://127.0.0.1:0"))
            .start()
            .await?;
        let endpoint = server
            .endpoints()
            .first()
            .context("one endpoint was asked for")?;
        announce(address(endpoint)?)?;
        std::future::pending().await
    })
}

fn address(endpoint: &Endpoint) -> Result<SocketAddr> {
    let text = endpoint.to_string();
    let (_, address) = text.split_once("://").with_context(|| text.clone())?;
    Ok(address.parse()?)
}

fn endpoint(options: &Options) -> Result<String> {
    let transport: Transport = options.required("transport")?;
    let address: String = options.required("address")?;
    Ok(format!("{transport}://{address}"))
}

struct Calls(v1::Client);

impl Peer for Calls {
    type Reply = Bytes;

    async fn null(&self) -> Result<()> {
        Ok(self.0.null().await?)
    }

    fn echo(&self, data: &[u8]) -> impl Future<Output = Result<Bytes>> + Send {
        let calling = self.0.echo(&Bytes::copy_from_slice(data));
        async { Ok(calling.await?) }
    }

    async fn read(&self, bytes: u32) -> Result<Bytes> {
        Ok(self.0.read(bytes).await?)
    }
}

fn called_with(cover: Cover) -> Result<farcall::Options> {
    let mut options = farcall::Options::default();
    match cover {
        Cover::Clear => {}
        Cover::Tls => options.tls = Some(secure::client()?),
        Cover::Gss(service) => options.gss = Some(guarded::calling(service)?),
    }
    Ok(options)
}

/// `client farcall`, and the same under cover.
pub(crate) fn client(options: &Options, cover: Cover) -> Result<Report> {
    let work: Work = options.required("work")?;
    if options.required::<Transport>("transport")? == Transport::Dce {
        return ours_dce::client(work, options);
    }
    let endpoint = endpoint(options)?;
    runtime()?.block_on(async {
        let connecting = v1::Client::connect_with(endpoint.as_str(), called_with(cover)?);
        let client = connecting.await?;
        closed::run(Calls(client), work, options).await
    })
}

/// `client farcall-blocking`: one call in flight, made by the thread that wants the result; `client farcall-tls-blocking`
/// the same under TLS.
pub(crate) fn blocking(options: &Options, cover: Cover) -> Result<Report> {
    let work: Work = options.required("work")?;
    ensure!(
        options.required::<usize>("flight")? == 1,
        "a blocking client keeps one in flight"
    );
    let pace = Pace::new(options.timing()?, work, 1);
    if options.required::<Transport>("transport")? == Transport::Dce {
        return ours_dce::blocking(work, &pace, options);
    }
    let endpoint = endpoint(options)?;
    let client = v1::BlockingClient::connect_with(endpoint.as_str(), called_with(cover)?)?;
    let mut payload = pattern(work.payload());
    let mut latencies = Vec::new();
    let mut last = Instant::now();
    for count in 0_u32.. {
        match work {
            Work::Null | Work::Listening => client.null()?,
            Work::Echo(_) => {
                payload[..4].copy_from_slice(&count.to_be_bytes());
                let reply = client.echo(&Bytes::copy_from_slice(&payload))?;
                ensure!(reply == payload, "the echo is not what was sent");
            }
            Work::Read(n) => check_read(&client.read(n as u32)?, &payload, pace.warming())?,
        }
        if !stamp(&pace, &mut last, &mut latencies)? {
            break;
        }
    }
    pace.report(latencies)
}
