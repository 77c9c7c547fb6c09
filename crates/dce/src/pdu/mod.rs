//! Every PDU of the connection-oriented protocol, both ways and in both byte orders.
//!
//! Read first: C706 section 12.6.4 (the PDUs one by one) and MS-RPCE section 2.2.2 (what Microsoft added). A PDU is
//! a [`Header`], a body, and, if the header says so, an authentication verifier at its end. Bodies
//! are parsed from what stands between the two; nothing here remembers anything or decides what a peer may do.

pub(crate) mod cursor;
pub mod header;
pub mod bind;
pub mod call;
pub mod auth;
pub mod verification;

pub use header::{Flags, Header, PacketType};

#[cfg(test)]
mod tests;
#[cfg(test)]
mod captured_tests;
