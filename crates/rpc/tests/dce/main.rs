//! Clients and servers of interfaces, over sockets of this machine.

mod calls;
mod echo;
