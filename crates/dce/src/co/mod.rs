//! Connection-oriented associations: the protocol on one byte stream, from both ends.
//!
//! Read first: C706 chapters 9 to 12 with MS-RPCE sections 2.2.2 and 3.3. A client binds an association and
//! calls over it; the server's half judges every PDU and yields whole calls.
//!
//! Modules, from the ground up: [`stub`] (where arguments and results lie), [`stream`] (boundaries), [`fragment`]
//! (messages into fragments), [`handle`] and [`group`] (what connections share), [`server`], [`client`].

pub mod stub;
pub mod stream;
pub mod fragment;
pub mod handle;
pub mod group;
pub mod server;
pub mod client;

pub use stub::Stub;

#[cfg(test)]
mod toy;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod piece_tests;
#[cfg(test)]
mod relay_tests;
