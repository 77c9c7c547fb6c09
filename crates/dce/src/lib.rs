//! Sans-io DCE/RPC: the connection-oriented protocol of C706 with Microsoft's extensions (MS-RPCE).
//!
//! Nothing here opens a socket, reads a clock, draws a random number or holds a key: bytes, instants, seeds and
//! security mechanisms are arguments.
//!
//! Modules, from the ground up; each uses only those above it:
//!
//! - [`seed`]: randomness as an argument;
//! - [`status`]: the statuses of faults;
//! - [`syntax`]: the names of interfaces and transfer syntaxes, and how data is represented;
//! - [`tower`]: ways to an interface, as the endpoint mapper tells them;
//! - [`binding`]: ways to an interface, as people write them;
//! - [`security`]: what authentication asks of a mechanism;
//! - [`pdu`]: every PDU, both ways;
//! - [`co`]: connection-oriented associations, the client's and the server's.

pub mod seed;
pub mod status;
pub mod syntax;
pub mod tower;
pub mod binding;
pub mod security;
pub mod pdu;
pub mod co;
