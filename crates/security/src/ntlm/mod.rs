//! NTLM version 2, both sides, for connections.
//!
//! Read first: MS-NLMP sections 2.2 (messages), 3.1.5.1 and 3.2.5.1 (the two sides), 3.3.2 (version 2), 3.4 (session
//! security) and 4.2.4 (values to check against). Left out on purpose: version 1 and LM responses, the OEM character
//! set, session security without the extended kind, and connectionless use.
//!
//! - [`flags`]: what is negotiated;
//! - [`target`]: attribute pairs of a target;
//! - [`message`]: the three messages as bytes;
//! - [`keys`]: one-way functions and derived keys;
//! - [`session`]: signing and sealing;
//! - [`client`] and [`server`]: the two sides.

pub mod flags;
pub mod target;
pub mod message;
pub mod keys;
pub mod session;
pub mod client;
pub mod server;

pub use client::{Client, ClientConfig};
pub use flags::Flags;
pub use keys::nt_hash;
pub use server::{Bindings, Server, ServerConfig, Targets};
