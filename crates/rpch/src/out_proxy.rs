//! The outbound proxy's role: what a server sends, to the client.
//!
//! Read first: MS-RPCH section 3.2.4. Which server a client may reach, and which calls, is the driver's to decide: it knows the
//! request, and every RPC PDU passes through its hands.
//!
//! Modules, from the ground up: `event`, `table` (which PDU when), `machine`.

mod event;
mod table;
mod machine;

pub use event::Event;
pub use machine::OutProxy;
