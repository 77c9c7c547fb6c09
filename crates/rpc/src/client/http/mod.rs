//! RPC over HTTP at the client: an association over a virtual connection through an RPC proxy.
//!
//! Read first: MS-RPCH sections 1.3, 2.1.2 and 3.2.2. The protocol is `farcall_rpch`'s client machine; here are its connections:
//! the way to the proxy ([`HttpOptions`]), TLS, authentication on each connection, the requests, and the task that drives the
//! machine. What comes out is a byte stream, on which an association runs as on any other.
//!
//! A string binding without `RpcProxy` means a proxy at the server's own host, as on Windows: the client always speaks HTTP, at port
//! 443, or 80 without TLS. What impacket calls RPC over HTTP without a proxy (version 1 of the server's side: a banner, then PDUs
//! on a plain TCP connection) is not spoken by this client, nor is `RPC_CONNECT` (version 1), which has neither authentication nor TLS.
//!
//! Modules, from the ground up: `head` (responses), `trouble` (failures as errors), `route` (options as they
//! came out), `reach` (connections), `proof` (authentication), `echo` (whether an HTTP proxy is needed), `pipe` (the byte stream), `wire` (the
//! connection of one channel), `drive` (the task), `open` (all of it).

mod head;
mod trouble;
pub(crate) mod route;
mod reach;
mod proof;
mod echo;
mod pipe;
mod wire;
mod drive;
pub(crate) mod open;
pub mod probe;

pub(crate) use pipe::VirtualStream;

pub use super::http_options::{ChannelConfig, HttpCredentials, HttpOptions, HttpProxyUse, Login};
