//! The seam to tower: a call as a value, for time-outs, limits and middleware of any origin.
//!
//! Both sides meet [`tower_service::Service`]. At the server, [`Registered::layer`] puts
//! middleware before a service; at the client, [`Client`] is itself a tower service over
//! [`Request`]. What passes here is owned, so a call that goes through middleware costs what
//! owning costs; calls of services without middleware never come here.

use std::future::poll_fn;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use farcall_onc::msg::Target;
use farcall_wire::{Limits as WireLimits, Reader, TransmitQueue};

use crate::call::{Call, Refuse};
use crate::client::{Calling, Client};
use crate::error::Error;
use crate::program::Program;
use crate::stub::{Hosted, Raw, Registered, Reply, Service};

/// A call at the server, before its arguments are unpacked.
#[derive(Clone, Debug)]
pub struct Invocation {
    /// Who calls what.
    pub call: Call,
    /// The packed arguments.
    pub arguments: Bytes,
}

/// A result at the server, packed.
#[derive(Debug, Default)]
pub struct Results(TransmitQueue);

impl Results {
    /// The packed result, copied into one piece.
    pub fn to_bytes(&self) -> Bytes {
        self.0.to_vec().into()
    }
}

impl From<Bytes> for Results {
    fn from(packed: Bytes) -> Self {
        let mut queue = TransmitQueue::new();
        queue.put_bytes(&packed);
        Self(queue)
    }
}

/// A running procedure behind the seam.
pub type Running = Pin<Box<dyn Future<Output = Result<Results, Refuse>> + Send>>;

/// The service itself, at the bottom of its middleware.
#[derive(Clone, Debug)]
pub struct Bottom {
    service: Hosted,
    limits: WireLimits,
}

impl tower_service::Service<Invocation> for Bottom {
    type Response = Results;
    type Error = Refuse;
    type Future = Running;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Refuse>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, invocation: Invocation) -> Running {
        let Self { service, limits } = self.clone();
        let Invocation { call, arguments } = invocation;
        Box::pin(async move { service.run(call, arguments, limits).await.map(Results) })
    }
}

/// A service with middleware before it.
struct Layered<T> {
    program: &'static Program,
    top: T,
}

impl<T> Service for Layered<T>
where
    T: tower_service::Service<Invocation, Response = Results> + Clone + Send + Sync + 'static,
    T::Future: Send,
    T::Error: Into<Refuse> + Send,
{
    fn program(&self) -> &'static Program {
        self.program
    }

    async fn call(
        &self,
        call: &Call,
        arguments: &mut Reader<'_>,
        reply: &mut Reply<'_>,
    ) -> Result<(), Refuse> {
        let arguments = arguments.take_rest()?;
        let mut top = self.top.clone();
        poll_fn(|cx| top.poll_ready(cx)).await.map_err(Into::into)?;
        let invocation = Invocation {
            call: call.clone(),
            arguments,
        };
        let results = top.call(invocation).await.map_err(Into::into)?;
        reply.encode(&results.0)
    }
}

impl Registered {
    /// Puts middleware before the service: `wrap` gets the service and returns what is to be
    /// called instead, for instance `|inner| ServiceBuilder::new().concurrency_limit(8).service(inner)`.
    /// Procedure 0 is answered before it.
    #[must_use]
    pub fn layer<T>(self, wrap: impl FnOnce(Bottom) -> T) -> Self
    where
        T: tower_service::Service<Invocation, Response = Results> + Clone + Send + Sync + 'static,
        T::Future: Send,
        T::Error: Into<Refuse> + Send,
    {
        self.program_too(|hosted| {
            let service = hosted.clone();
            let program = service.program();
            let limits = WireLimits::DEFAULT;
            hosted.serve(Layered {
                program,
                top: wrap(Bottom { service, limits }),
            });
        })
    }
}

/// A call at the client, its arguments packed.
#[derive(Clone, Debug)]
pub struct Request {
    /// What is called.
    pub target: Target,
    /// The packed arguments.
    pub arguments: Bytes,
}

/// The client as a tower service: packed arguments in, packed result out.
impl tower_service::Service<Request> for Client {
    type Response = Bytes;
    type Error = Error;
    type Future = Calling<Bytes>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request) -> Calling<Bytes> {
        self.call_target(request.target, &Raw(&request.arguments), |r| r.take_rest())
    }
}
