//! Sans-io ONC RPC: messages, records, authentication flavours, client, server, duplicate request cache.
//!
//! Nothing here opens a socket, reads a clock or draws a random number: bytes, instants and seeds are arguments.
//!
//! Modules, from the ground up; each uses only those above it:
//!
//! - [`uaddr`]: universal addresses and netids, as rpcbind writes them;
//! - [`record`]: the boundaries of messages on a byte stream;
//! - [`seed`]: randomness as an argument;
//! - [`auth`]: credentials, verifiers, and the flavours `AUTH_SYS` and `AUTH_SHORT`;
//! - [`msg`]: the headers of calls and replies;
//! - [`gss`]: `RPCSEC_GSS`: proved callers, protected arguments and results;
//! - [`server`]: what a server does with a message before a program sees it;
//! - [`tls`]: how a connection comes to be protected by TLS;
//! - [`drc`]: the duplicate request cache;
//! - [`client`]: calls out, replies matched, time-outs, retransmission.

mod number;
pub mod uaddr;
pub mod record;
pub mod seed;
pub mod auth;
pub mod msg;
pub mod gss;
pub mod server;
pub mod tls;
pub mod drc;
pub mod client;
