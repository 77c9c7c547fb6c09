//! Sans-io RPC over HTTP v2 (MS-RPCH): RTS PDUs and the four roles, client, inbound proxy, outbound proxy and server.
//!
//! Nothing here opens a socket, reads a clock, draws a random number or speaks HTTP on a wire: bytes, instants and seeds
//! are arguments; connections are numbers.
//!
//! # How a driver uses it
//!
//! One machine stands for one virtual connection in one role; it lives in one task that owns the connection's sockets.
//! A proxy or a server reads the first PDU of each new connection with an [`opening::Opening`] and finds the machine in a
//! table of its own, by cookie. The driver's loop is the same for all four:
//!
//! 1. feed one input: [`handle_bytes`](client::Client::handle_bytes) (for an OUT request of a client only the body of
//!    its response, whose head goes to [`handle_response`](client::Client::handle_response)),
//!    `handle_closed`, [`handle_connected`](in_proxy::InProxy::handle_connected), `handle_timeout`, or a command;
//! 2. drain `poll_event` and obey: open a request, connect to the server, answer a request, close a channel;
//! 3. drain `poll_pdu`: RPC PDUs, for the association (client, server) or for inspection (proxies, which hand each one
//!    back in order with `forward` or `refuse`). Not taking PDUs is back-pressure: they are consumed when they are taken,
//!    or, at a proxy, when they were transmitted;
//! 4. for each channel: write what `poll_transmit` gives, until it gives nothing or the socket blocks;
//! 5. sleep until something can be read from a channel for which `is_readable`, or until `poll_timeout`.
//!
//! `Close` means: write what `poll_transmit` still gives for that channel, end the stream, and read and throw away what
//! still comes for a moment (a socket closed over unread bytes destroys what is on its way). After `Failed` or `Ended`
//! the machine says nothing more, but for what is left to transmit.
//!
//! Modules, from the ground up; each uses only those above it:
//!
//! - `number`: widths of numbers;
//! - [`direction`]: IN or OUT;
//! - [`rts`]: RTS PDUs;
//! - [`failure`]: how a virtual connection ends early;
//! - [`frame`]: the boundaries of PDUs;
//! - [`flow`](mod@flow): windows;
//! - [`http`]: what the HTTP messages say, as values;
//! - [`config`]: what each role offers;
//! - [`channel`]: the connections of a virtual connection;
//! - [`opening`]: the first PDU of a channel;
//! - [`client`], [`in_proxy`], [`out_proxy`], [`server`]: the four roles.

mod number;
pub mod direction;
pub mod rts;
pub mod failure;
pub mod frame;
pub mod flow;
pub mod http;
pub mod config;
pub mod channel;
pub mod opening;
pub mod client;
pub mod in_proxy;
pub mod out_proxy;
pub mod server;

pub use channel::{ChannelId, Ended, Load, Pdu};
pub use client::Client;
pub use config::{ClientConfig, ProxyConfig, ServerConfig};
pub use direction::Direction;
pub use failure::Failure;
pub use in_proxy::InProxy;
pub use opening::{First, Opening, Role};
pub use out_proxy::OutProxy;
pub use server::Server;
