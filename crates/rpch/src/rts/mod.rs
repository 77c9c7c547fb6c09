//! RTS PDUs: what clients, proxies and servers say to each other beside the calls.
//!
//! Read first: MS-RPCH section 2.2. A PDU is a header, flags and commands ([`Pdu`]); its flags and the kinds of its
//! commands together say which of the PDUs of section 2.2.4 it is ([`Message`]).
//!
//! Modules, from the ground up: [`cookie`], [`command`], [`pdu`], [`message`].

pub mod cookie;
pub mod command;
pub mod pdu;
pub mod message;

pub use command::{Command, Destination, FlowControlAck, RtsError};
pub use cookie::Cookie;
pub use message::{Kind, Message};
pub use pdu::{Flags, Pdu};

#[cfg(test)]
#[allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects
)]
mod tests;
