//! Clients and servers of interfaces, over sockets of this machine.

mod access;
mod awake;
mod calls;
mod counter;
mod echo;
mod find;
mod handles;
mod raw;
mod trace;
