//! Sans-io ONC RPC: messages, records, authentication flavours, client, server, duplicate request cache.
//!
//! Nothing here opens a socket, reads a clock or draws a random number: bytes, instants and seeds are arguments.
//! Modules from the ground up; each uses only those above it:

pub mod record;
