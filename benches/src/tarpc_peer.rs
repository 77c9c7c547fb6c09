//! The tarpc peer: bincode over TCP, on a single-thread runtime at both ends.

use std::sync::Arc;

use anyhow::Result;
use tarpc::context;
use tarpc::server::{BaseChannel, Channel as _};
use tarpc::tokio_serde::formats::Bincode;
use tarpc::tokio_util::codec::{Framed, LengthDelimitedCodec};
use tokio::net::{TcpListener, TcpStream};
use tokio_stream::StreamExt as _;

use crate::closed::{self, Peer};
use crate::options::Options;
use crate::pace::Report;
use crate::process::announce;
use crate::raw_tokio::runtime;
use crate::shape::{MEBIBYTE, Work, pattern};

#[tarpc::service]
trait Bench {
    async fn null();
    async fn echo(data: Vec<u8>) -> Vec<u8>;
    async fn read(bytes: u32) -> Vec<u8>;
}

#[derive(Clone)]
struct Answers(Arc<Vec<u8>>);

impl Bench for Answers {
    async fn null(self, _: context::Context) {}

    async fn echo(self, _: context::Context, data: Vec<u8>) -> Vec<u8> {
        data
    }

    async fn read(self, _: context::Context, bytes: u32) -> Vec<u8> {
        self.0.iter().take(bytes as usize).copied().collect()
    }
}

fn framed(stream: TcpStream) -> Framed<TcpStream, LengthDelimitedCodec> {
    let codec = LengthDelimitedCodec::builder()
        .max_frame_length(4 << 20)
        .new_codec();
    Framed::new(stream, codec)
}

/// `server tarpc`.
pub(crate) fn server(_: &Options) -> Result<()> {
    let answers = Answers(Arc::new(pattern(MEBIBYTE)));
    runtime()?.block_on(async {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        announce(listener.local_addr()?)?;
        loop {
            let (stream, _) = listener.accept().await?;
            stream.set_nodelay(true)?;
            let transport = tarpc::serde_transport::new(framed(stream), Bincode::default());
            let requests = BaseChannel::with_defaults(transport).execute(answers.clone().serve());
            tokio::spawn(async move {
                let mut requests = std::pin::pin!(requests);
                while let Some(request) = requests.next().await {
                    tokio::spawn(request);
                }
            });
        }
    })
}

struct Calls(BenchClient);

impl Peer for Calls {
    type Reply = Vec<u8>;

    async fn null(&self) -> Result<()> {
        Ok(self.0.null(context::current()).await?)
    }

    async fn echo(&self, data: &[u8]) -> Result<Vec<u8>> {
        Ok(self.0.echo(context::current(), data.to_vec()).await?)
    }

    async fn read(&self, bytes: u32) -> Result<Vec<u8>> {
        Ok(self.0.read(context::current(), bytes).await?)
    }
}

async fn connect(address: &str) -> Result<Calls> {
    let stream = TcpStream::connect(address).await?;
    stream.set_nodelay(true)?;
    let transport = tarpc::serde_transport::new(framed(stream), Bincode::default());
    Ok(Calls(
        BenchClient::new(tarpc::client::Config::default(), transport).spawn(),
    ))
}

/// `client tarpc`.
pub(crate) fn client(options: &Options) -> Result<Report> {
    let address: String = options.required("address")?;
    let work: Work = options.required("work")?;
    runtime()?.block_on(async { closed::run(connect(&address).await?, work, options).await })
}

/// `client idle-tarpc`: many connections that have made one call each.
pub(crate) fn idle(options: &Options) -> Result<()> {
    runtime()?.block_on(closed::idle(options, connect))
}
