//! Remote procedure calls that speak the standards: ONC RPC clients and servers.

extern crate self as farcall;

pub mod error;
pub mod endpoint;
pub mod limits;
pub mod program;
pub mod call;
mod turn;
pub mod stub;
mod scratch;
mod socket;
mod packet_info;
pub mod client;
pub mod blocking;
pub mod middleware;
pub mod registrar;
pub mod server;
pub mod generated;

pub use call::{Call, Credential, Peer, Refuse};
pub use client::{Calling, Client, Options, Reconnect, Retry};
pub use endpoint::{Endpoint, IntoEndpoint, Transport};
pub use error::{Cause, Error, Phase};
pub use limits::Limits;
pub use registrar::Registrar;
pub use server::{DuplicateRequests, Runtime, Server};
