//! Kerberos through the system's MIT library: both sides, three legs where DCE/RPC wants them, AES and RC4.
//!
//! Read first: RFC 4121 (tokens), RFC 4757 sections 7.1 and 7.2 (`GSS_C_DCE_STYLE`, RC4), MS-KILE section 3.1.1.2, MS-RPCE section 3.3.1.5.2.2.
//! Replay caches, tickets and configuration are the library's. Its calls that may ask a KDC or read files run inside a
//! [`Query`](farcall_dce::security::Query), so that a driver can run them aside; protecting messages does not block.
//!
//! - [`keytab`]: which keys a server has;
//! - `fault`: errors in words;
//! - `etype`, `store`, `session`, `tickets`: what the library does not tell of an exchange;
//! - [`context`]: the established context;
//! - [`initiator`] and [`acceptor`]: the two sides.

pub mod keytab;
mod fault;
mod etype;
mod store;
mod session;
mod tickets;
pub mod context;
mod turn;
pub mod initiator;
pub mod acceptor;

pub use acceptor::{Acceptor, Service};
pub use initiator::{Identity, Initiator};
