//! Clients and servers of interfaces, over sockets of this machine.

mod access;
mod awake;
mod broken;
mod calls;
mod counter;
mod echo;
#[cfg(feature = "fake")]
mod fake;
mod find;
mod forms;
mod handles;
mod http;
mod lanes;
mod raw;
mod trace;
