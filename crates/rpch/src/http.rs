//! What the HTTP messages of RPC over HTTP v2 say, as values and as text; no connection, no authentication.
//!
//! Read first: MS-RPCH sections 2.1.2.1 and 2.2.2. Strict where a proxy decides by it: two literal paths, nothing
//! percent-encoded, a port without a leading zero. What a specification tells proxies to ignore is ignored.
//!
//! Modules: [`target`] (paths and `server:port`), [`request`], [`response`].

pub mod target;
pub mod request;
pub mod response;

pub use request::{Class, Pragmas, RequestHead};
pub use response::{ECHO, RpcError, StatusLine};
pub use target::{NotRpc, Resource, Target};

#[cfg(test)]
#[allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects
)]
mod tests;
