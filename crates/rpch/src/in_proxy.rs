//! The inbound proxy's role: what a client sends, to the server.
//!
//! Read first: MS-RPCH section 3.2.3. Which server a client may reach, and which calls, is the driver's to decide: it knows the
//! request, and every RPC PDU passes through its hands.
//!
//! Modules, from the ground up: `event`, `table` (which PDU when), `machine`.

mod event;
mod table;
mod machine;

pub use event::Event;
pub use machine::InProxy;
