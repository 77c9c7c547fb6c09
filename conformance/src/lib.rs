//! Vectors, simulated network and interop with real peers.
//!
//! The only crate that may use every other. What stands here is what its tests are made of:
//!
//! - [`case`]: the count of interop cases, which continuous integration compares with
//!   `interop.toml`;
//! - [`peer`]: real peers as child processes: libtirpc, rpcbind, tshark;
//! - [`network`]: a network of a test's own, with its own loopback, port 111 and `/run`;
//! - [`probe`]: raw messages, well-formed or not, without any of our own codecs;
//! - [`raw`]: the same for PDUs of DCE/RPC;
//! - [`certificates`]: an authority of a test's own;
//! - [`demo`]: our side of the demo program; [`thermometer`]: the interface of the guide;
//! - [`echo`]: our side of Samba's test interface; [`interfaces`]: what domain controllers offer;
//! - [`streams`]: our own interface of pipes;
//! - [`dce`]: our echo server with accounts, and our clients as a user of Samba's domain;
//! - [`link`]: a simulated network with loss, delay, duplication and reordering, and its clock;
//! - [`pair`]: a client and a server of the ONC core at the two ends of such a link.

pub mod case;
pub mod peer;
pub mod network;
pub mod probe;
pub mod raw;
pub mod certificates;
pub mod demo;
pub mod echo;
pub mod interfaces;
pub mod streams;
pub mod dce;
pub mod thermometer;
#[cfg(doctest)]
pub mod guide;
pub mod link;
pub mod pair;
