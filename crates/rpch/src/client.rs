//! The client's role: a virtual connection of an IN and an OUT channel, recycled as they wear out.
//!
//! Read first: MS-RPCH section 3.2.2. This file does not find out whether an HTTP proxy stands in between (that is the
//! driver's, with echo requests), and authenticates nobody.
//!
//! Modules, from the ground up: `event`, `table` (which PDU when), `machine`.

mod event;
mod table;
mod machine;

pub use event::Event;
pub use machine::Client;
