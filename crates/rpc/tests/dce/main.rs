//! Clients and servers of interfaces, over sockets of this machine.

#[allow(dead_code, reason = "not all tests are here yet")]
mod echo;
