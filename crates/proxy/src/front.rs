//! The front: where clients come in, from the accepted connection to an authenticated request for a channel.
//!
//! Read first: MS-RPCH sections 2.1.2.1 (HTTP), 2.2.2 (URIs) and 2.1.2.1.6 (errors). The HTTP library is below; above it stand the
//! guard, which sees raw requests before it does, and TLS. A connection that was answered with an error is closed, after what the
//! client still sends has been thrown away for a moment: a socket that is closed over unread bytes destroys the answer.
//!
//! - [`counts`]: how many connections there are, and from where;
//! - [`answers`]: the responses;
//! - [`connection`]: what happens on one connection;
//! - [`listener`]: places where clients come in, and their end.

pub mod counts;
pub mod answers;
pub mod connection;
pub mod listener;

pub use connection::{Pages, Setup, Shared, Timing, Witness};
pub use counts::Counts;
pub use listener::{Front, Listener, plain};

#[cfg(test)]
mod tests;
