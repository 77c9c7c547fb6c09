//! RPC over HTTP at the server: the endpoint `ncacn_http`, to which RPC proxies bring virtual connections.
//!
//! Read first: MS-RPCH sections 1.3.1, 2.1.1.2 and 3.2.5; `farcall_rpch` has the machine. A proxy connects as if to a server of
//! `ncacn_ip_tcp`, is told the banner `ncacn_http/1.0`, and sends either RTS PDUs, which make the connection a *leg* of a virtual connection,
//! or, in the first version of the protocol, PDUs of DCE/RPC at once. The two legs of a virtual connection may come from different proxies;
//! what they have in common is its cookie, by which they are brought to one core and there to one task, which drives the machine and, behind
//! it, the association.
//!
//! What a proxy says of its client is believed as far as it decides nothing: callers prove who they are in DCE/RPC itself, as over TCP. So
//! whoever reaches the port can do here what he can do at an endpoint of TCP, and no more.
//!
//! - what a connection is: [`arrival`];
//! - the memory between machine and association: [`pipe`];
//! - one TCP connection of a virtual connection: [`leg`];
//! - the driver of one virtual connection: [`circuit`];
//! - where legs find each other: [`exchange`].

pub(crate) mod arrival;
pub(crate) mod pipe;
pub(crate) mod leg;
pub(crate) mod circuit;
pub(crate) mod exchange;
