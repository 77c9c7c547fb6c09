//! The client's half of an association: binds, calls out, responses matched, deadlines, cancellation.
//!
//! Read first: C706 sections 9.3 and 12.6 and MS-RPCE section 3.3.2. One [`Client`] stands for one connection. It
//! can be held in a mutex: a call is encoded straight into the queue of bytes to transmit.
//!
//! Four kinds of methods. Commands: [`bind`](Client::bind) first, then [`alter`](Client::alter),
//! [`call`](Client::call), [`cancel`](Client::cancel), [`lost`](Client::lost). In:
//! [`handle_bytes`](Client::handle_bytes) until it returns `None`, [`handle_timeout`](Client::handle_timeout),
//! [`answer`](Client::answer). Out: [`poll_event`](Client::poll_event), [`poll_transmit`](Client::poll_transmit),
//! [`poll_timeout`](Client::poll_timeout). After any input or command, drain the outputs in this order. Time
//! must not run backwards.
//!
//! Modules, from the ground up: `config`, `event`, `table` (which PDU when), `slots` (calls by number), `association`
//! (all of it together), `binding` and `responses` (its larger halves).

mod config;
mod event;
mod table;
mod slots;
mod association;
mod binding;
mod responses;

pub use association::Client;
pub use config::{CallError, ClientConfig};
pub use event::{Authentication, Bound, CallId, Cause, Close, Event, Fault, Pieces, Refused};

#[cfg(test)]
mod tests;
