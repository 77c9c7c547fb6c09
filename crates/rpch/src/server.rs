//! The server's role: it pairs the halves of a virtual connection, and forwards between its proxies.
//!
//! Read first: MS-RPCH section 3.2.5. Say [`BANNER`](crate::frame::BANNER) to every connection when it is accepted, before
//! its first PDU is read.
//!
//! Modules, from the ground up: `event`, `table` (which PDU when), `machine`.

mod event;
mod table;
mod machine;

pub use event::Event;
pub use machine::Server;
