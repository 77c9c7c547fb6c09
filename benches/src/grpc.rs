//! The tonic peer, written as its generator writes it: messages, codec, service and client.
//!
//! Both ends run on a single-thread runtime. Stream windows are 4 MiB, or bulk reads would
//! measure flow control.

use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context as Turn, Poll};

use anyhow::{Context, Result};
use bytes::Bytes;
use tokio::net::TcpListener;
use tokio_stream::StreamExt as _;
use tokio_stream::wrappers::TcpListenerStream;
use tonic::body::Body;
use tonic::codegen::{Service, http};
use tonic::server::{Grpc as ServerGrpc, NamedService, UnaryService};
use tonic::transport::{Channel, Endpoint, Server};
use tonic::{Request, Response, Status};
use tonic_prost::ProstCodec;

use crate::closed::{self, Peer};
use crate::options::Options;
use crate::pace::Report;
use crate::process::announce;
use crate::raw_tokio::runtime;
use crate::shape::{MEBIBYTE, Work, pattern};

const WINDOW: u32 = 4 << 20;
const LARGEST: usize = 4 << 20;

#[derive(Clone, PartialEq, prost::Message)]
struct Empty {}

#[derive(Clone, PartialEq, prost::Message)]
struct Payload {
    #[prost(bytes = "bytes", tag = "1")]
    data: Bytes,
}

#[derive(Clone, PartialEq, prost::Message)]
struct Length {
    #[prost(uint32, tag = "1")]
    bytes: u32,
}

type Answer<T> = Pin<Box<dyn Future<Output = Result<Response<T>, Status>> + Send>>;

/// The three methods; the pattern is built once.
#[derive(Clone)]
struct Bench(Arc<Bytes>);

struct Null;
struct Echo;
struct Read(Arc<Bytes>);

impl UnaryService<Empty> for Null {
    type Response = Empty;
    type Future = Answer<Empty>;

    fn call(&mut self, _: Request<Empty>) -> Self::Future {
        Box::pin(async { Ok(Response::new(Empty {})) })
    }
}

impl UnaryService<Payload> for Echo {
    type Response = Payload;
    type Future = Answer<Payload>;

    fn call(&mut self, request: Request<Payload>) -> Self::Future {
        Box::pin(async { Ok(Response::new(request.into_inner())) })
    }
}

impl UnaryService<Length> for Read {
    type Response = Payload;
    type Future = Answer<Payload>;

    fn call(&mut self, request: Request<Length>) -> Self::Future {
        let whole = self.0.clone();
        Box::pin(async move {
            let length = request.into_inner().bytes as usize;
            if length > whole.len() {
                return Err(Status::invalid_argument("more than there is"));
            }
            Ok(Response::new(Payload {
                data: whole.slice(..length),
            }))
        })
    }
}

impl NamedService for Bench {
    const NAME: &'static str = "bench.Bench";
}

impl Service<http::Request<Body>> for Bench {
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Turn<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        let whole = self.0.clone();
        match request.uri().path() {
            "/bench.Bench/Null" => Box::pin(async move {
                Ok(ServerGrpc::new(ProstCodec::default())
                    .unary(Null, request)
                    .await)
            }),
            "/bench.Bench/Echo" => Box::pin(async move {
                Ok(ServerGrpc::new(ProstCodec::default())
                    .unary(Echo, request)
                    .await)
            }),
            "/bench.Bench/Read" => Box::pin(async move {
                Ok(ServerGrpc::new(ProstCodec::default())
                    .unary(Read(whole), request)
                    .await)
            }),
            _ => Box::pin(async { Ok(Status::unimplemented("no such method").into_http()) }),
        }
    }
}

/// `server tonic`.
pub(crate) fn server(_: &Options) -> Result<()> {
    runtime()?.block_on(async {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        announce(listener.local_addr()?)?;
        let incoming = TcpListenerStream::new(listener).map(|stream| {
            let stream = stream?;
            stream.set_nodelay(true)?;
            Ok::<_, std::io::Error>(stream)
        });
        Server::builder()
            .initial_stream_window_size(WINDOW)
            .initial_connection_window_size(8 * WINDOW)
            .add_service(Bench(Arc::new(pattern(MEBIBYTE).into())))
            .serve_with_incoming(incoming)
            .await
            .context("serving")
    })
}

struct Calls(Channel);

impl Calls {
    async fn unary<A, R>(&self, path: &'static str, argument: A) -> Result<R>
    where
        A: prost::Message + 'static,
        R: prost::Message + Default + 'static,
    {
        let mut client =
            tonic::client::Grpc::new(self.0.clone()).max_decoding_message_size(LARGEST);
        client.ready().await.context("the channel")?;
        let path = http::uri::PathAndQuery::from_static(path);
        let codec = ProstCodec::<A, R>::default();
        Ok(client
            .unary(Request::new(argument), path, codec)
            .await?
            .into_inner())
    }
}

impl Peer for Calls {
    type Reply = Bytes;

    async fn null(&self) -> Result<()> {
        self.unary::<_, Empty>("/bench.Bench/Null", Empty {})
            .await
            .map(drop)
    }

    async fn echo(&self, data: &[u8]) -> Result<Bytes> {
        let payload = Payload {
            data: Bytes::copy_from_slice(data),
        };
        Ok(self
            .unary::<_, Payload>("/bench.Bench/Echo", payload)
            .await?
            .data)
    }

    async fn read(&self, bytes: u32) -> Result<Bytes> {
        Ok(self
            .unary::<_, Payload>("/bench.Bench/Read", Length { bytes })
            .await?
            .data)
    }
}

async fn connect(address: &str) -> Result<Calls> {
    let channel = Endpoint::from_shared(format!("http://{address}"))?
        .tcp_nodelay(true)
        .initial_stream_window_size(WINDOW)
        .initial_connection_window_size(8 * WINDOW)
        .connect()
        .await?;
    Ok(Calls(channel))
}

/// `client tonic`.
pub(crate) fn client(options: &Options) -> Result<Report> {
    let address: String = options.required("address")?;
    let work: Work = options.required("work")?;
    runtime()?.block_on(async { closed::run(connect(&address).await?, work, options).await })
}

/// `client idle-tonic`: many connections that have made one call each.
pub(crate) fn idle(options: &Options) -> Result<()> {
    runtime()?.block_on(closed::idle(options, connect))
}
