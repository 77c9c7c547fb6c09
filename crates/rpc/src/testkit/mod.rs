//! A test kit for users: networks that misbehave on purpose, and servers that only pretend.
//!
//! - [`Client::in_process`](crate::Client::in_process) needs no network at all;
//! - [`Faulty`] wraps a byte stream: it delays, cuts into pieces, corrupts, or ends it;
//! - [`link`] makes a stream and serves a server over its other end, faults in between;
//! - [`Relay`] stands between a UDP client and its server: it loses, repeats and delays
//!   datagrams, by a seed;
//! - `Fake` (feature `fake`) serves an interface file with the answers a test gives it.
//!
//! Faults keep tokio's time, so a test with a paused clock (`tokio::time::pause`) waits for
//! nothing.

pub mod faulty;
pub mod relay;
#[cfg(feature = "fake")]
pub mod fake;

#[cfg(feature = "fake")]
pub use fake::Fake;
pub use faulty::{Faults, Faulty, interface_link, link};
pub use relay::{Loss, Relay};
