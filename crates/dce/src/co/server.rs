//! The server's half of an association: every PDU judged, every rule of order kept, whole calls out.
//!
//! Read first: C706 section 12.6 (the PDUs) and MS-RPCE sections 3.3.1 and 3.3.3. One [`Server`] stands for one
//! connection; what connections share is an [`Endpoint`]. This file does not know what an operation is, and runs none.
//!
//! Modules, from the ground up: `config`, `event`, `table` (which PDU when), `contexts` (presentation), `security`
//! (who), `calls` (in flight), `habit` (what requests usually look like), `partial` (a request in fragments), `answer`
//! (what is said), `association` (all of it together), `binding` and `requests` (its larger halves), `plain` (requests
//! like the last one).

mod config;
mod event;
mod table;
mod contexts;
mod security;
mod calls;
mod habit;
mod partial;
mod answer;
mod association;
mod binding;
mod requests;
mod plain;

pub use association::{Packets, Server};
pub use config::{Endpoint, Floor, Interface, ServerConfig};
pub use event::{Call, Caller, Close, Event, ReplyError, ReplyTo, Verified};
pub use plain::Plain;

#[cfg(test)]
mod tests;
#[cfg(test)]
mod plain_tests;
