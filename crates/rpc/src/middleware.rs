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
use farcall_wire::{Limits as WireLimits, Reader, TransmitQueue, ndr};

use crate::call::{Call, Refuse};
use crate::client::{Calling, Client};
use crate::error::Error;
use crate::operations::Exported;
use crate::program::Program;
use crate::stub::{
    Either, Hosted, Interface, NdrReply, Operations, Raw, Registered, Reply, Service,
};

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
    service: Below,
    limits: WireLimits,
}

/// Of which family the service is.
#[derive(Clone, Debug)]
enum Below {
    Program(Hosted),
    Interface(Exported),
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
        Box::pin(async move {
            match service {
                Below::Program(service) => service.run(call, arguments, limits).await.map(Results),
                Below::Interface(service) => {
                    let stub = service.run(call, arguments, limits).await?;
                    Ok(Bytes::from(stub).into())
                }
            }
        })
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
        let results = pass(self.top.clone(), call, arguments).await?;
        reply.encode(&results.0)
    }
}

/// Passes a call to the top of the middleware.
async fn pass<T>(mut top: T, call: &Call, arguments: Bytes) -> Result<Results, Refuse>
where
    T: tower_service::Service<Invocation, Response = Results>,
    T::Error: Into<Refuse>,
{
    poll_fn(|cx| top.poll_ready(cx)).await.map_err(Into::into)?;
    let invocation = Invocation {
        call: call.clone(),
        arguments,
    };
    top.call(invocation).await.map_err(Into::into)
}

/// A service of an interface with middleware before it.
struct LayeredInterface<T> {
    interface: &'static Interface,
    top: T,
}

impl<T> Operations for LayeredInterface<T>
where
    T: tower_service::Service<Invocation, Response = Results> + Clone + Send + Sync + 'static,
    T::Future: Send,
    T::Error: Into<Refuse> + Send,
{
    fn interface(&self) -> &'static Interface {
        self.interface
    }

    async fn call(
        &self,
        call: &Call,
        arguments: &mut ndr::Reader<'_>,
        reply: &mut NdrReply<'_>,
    ) -> Result<(), Refuse> {
        let arguments = arguments.bytes(arguments.remaining())?;
        let results = pass(self.top.clone(), call, arguments).await?;
        let stub = results.to_bytes();
        reply.encode(|w| {
            w.slice(&stub);
            Ok(())
        })
    }
}

impl Registered {
    /// Puts middleware before the service: `wrap` gets the service and returns what is to be
    /// called instead, for instance `|inner| ServiceBuilder::new().concurrency_limit(8).service(inner)`.
    /// Procedure 0 of a program is answered before it.
    #[must_use]
    pub fn layer<T>(self, wrap: impl FnOnce(Bottom) -> T) -> Self
    where
        T: tower_service::Service<Invocation, Response = Results> + Clone + Send + Sync + 'static,
        T::Future: Send,
        T::Error: Into<Refuse> + Send,
    {
        let limits = WireLimits::DEFAULT;
        let bottom = |service| Bottom { service, limits };
        self.with_either(|either| match either {
            Either::Program(hosted) => {
                let top = wrap(bottom(Below::Program(hosted.clone())));
                let program = hosted.program();
                hosted.serve(Layered { program, top });
            }
            Either::Interface(exported) => {
                let top = wrap(bottom(Below::Interface(exported.clone())));
                let interface = exported.interface();
                exported.replace(LayeredInterface { interface, top });
            }
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
