//! Remote procedure calls that speak the standards: clients and servers of ONC RPC and DCE/RPC.
//!
//! An interface file (`.x` or `.idl`) becomes a module with types, a client and a server trait
//! (`farcall-idl` in `build.rs`, or `farcall gen`). The stubs of the standard programs and
//! interfaces are here already, in [`generated`]; this is the calculator's:
//!
//! ```
//! use farcall::generated::calc::{self, v1::Server as _};
//! use farcall::{Call, Refuse, Server};
//! # #[derive(Default)] struct Calc;
//! # impl calc::v1::Server for Calc {
//! #     async fn add(&self, _: &Call, a: i32, b: i32) -> Result<i32, Refuse> { Ok(a + b) }
//! #     async fn divide(&self, _: &Call, _: calc::Division) -> Result<calc::DivisionResult, Refuse> { Err(Refuse::ProcUnavail) }
//! #     async fn sum(&self, _: &Call, _: calc::Numbers) -> Result<i64, Refuse> { Err(Refuse::ProcUnavail) }
//! #     async fn mean(&self, _: &Call, _: calc::Sample) -> Result<f64, Refuse> { Err(Refuse::ProcUnavail) }
//! #     async fn describe(&self, _: &Call, _: calc::Sample) -> Result<calc::Statistics, Refuse> { Err(Refuse::ProcUnavail) }
//! #     async fn echo(&self, _: &Call, t: calc::Text) -> Result<calc::Text, Refuse> { Ok(t) }
//! #     async fn echo_block(&self, _: &Call, b: calc::Block) -> Result<calc::Block, Refuse> { Ok(b) }
//! #     async fn sleep(&self, _: &Call, _: u32) -> Result<u32, Refuse> { Ok(0) }
//! #     async fn count(&self, _: &Call, by: i64) -> Result<i64, Refuse> { Ok(by) }
//! #     async fn grind(&self, _: &Call, _: u32) -> Result<(), Refuse> { Ok(()) }
//! # }
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), farcall::Error> {
//! let server = Server::builder()
//!     .serve(calc::v1::service(Calc))
//!     .listen("tcp://127.0.0.1:0")
//!     .start()
//!     .await?;
//! let client = calc::v1::Client::connect(&server.endpoints()[0]).await?;
//! assert_eq!(client.add(40, 2).await?, 42);
//! server.drain(std::time::Duration::from_secs(1)).await;
//! # Ok(()) }
//! ```
//!
//! An interface of DCE/RPC is served and called the same way, at endpoints that are string
//! bindings. By default an interface takes only callers that prove who they are
//! ([`Builder::authenticate_with`](server::Builder::authenticate_with)) and whose calls cannot be
//! changed on the way. Every endpoint has the management interface, of which anybody may inquire:
//!
//! ```
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), farcall::Error> {
//! use farcall::generated::mgmt::mgmt;
//! let server = farcall::Server::builder().listen("ncacn_ip_tcp:127.0.0.1[0]").start().await?;
//! let client = mgmt::Client::connect(&server.endpoints()[0]).await?;
//! assert_eq!(client.is_server_listening().await?.result, 1);
//! # Ok(()) }
//! ```
//!
//! Modules, from the ground up: what things are called ([`endpoint`], [`program`]), what may go
//! wrong ([`error`], [`limits`]), TLS (`tls`, with that feature, which is on by default), a call as its procedure sees it ([`call`], [`pipe`]), what generated
//! code stands on ([`stub`]), the clients ([`client`], [`blocking`]), tower's seam ([`middleware`]),
//! the ten steps of a call ([`trace`]), rpcbind and the endpoint mapper ([`registrar`],
//! [`client::resolve`], [`client::mapper`]), the server ([`server`]), and a kit for users' tests
//! ([`testkit`]).

extern crate self as farcall;

pub mod error;
#[cfg(feature = "tls")]
pub mod tls;
mod local;
pub mod endpoint;
pub mod limits;
pub mod program;
pub mod interface;
mod steps;
pub mod held;
mod desk;
mod line;
mod conduit;
pub mod call;
pub mod pipe;
mod turn;
mod association;
mod operations;
mod piped;
pub mod stub;
mod scratch;
mod socket;
mod nudge;
mod packet_info;
pub mod client;
pub mod blocking;
pub mod middleware;
pub mod trace;
mod mapped;
pub mod registrar;
pub mod generated;
pub mod server;
pub mod testkit;

pub use call::{Call, Credential, Identity, Peer, Proved, Refuse};
pub use client::broadcast::Broadcast;
pub use client::{Calling, Client, Credentials, Gss, Options, Ping, Reconnect, Retry};
pub use endpoint::{Endpoint, Family, IntoEndpoint, Transport};
pub use error::{Cause, Error, Phase, TlsFault};
pub use held::{Held, Shared};
pub use limits::Limits;
pub use registrar::Registrar;
pub use server::{DuplicateRequests, Runtime, Server};
