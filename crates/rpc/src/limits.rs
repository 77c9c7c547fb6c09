//! What a server or client allows, in one struct, with safe defaults.

use std::time::Duration;

/// Bounds on what peers can cost. Every one applies from the first byte; an error that one of
/// them caused names it.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Longest record received, in bytes, all fragments together. Default 4 MiB. It is checked
    /// against the record mark, before memory is taken.
    pub record: u32,
    /// Most fragments of one record. Default 1024.
    pub fragments: u32,
    /// Longest datagram sent, in bytes. Default 8800, which deployed peers accept.
    pub datagram: usize,
    /// Calls in flight on one connection; beyond, the server stops reading. Default 1024.
    pub calls: usize,
    /// Bytes of arguments that calls in flight on one connection may keep; beyond, the server stops
    /// reading. Default 16 MiB.
    pub arguments: usize,
    /// Bytes of replies (or calls) that may wait for a slow peer on one connection; beyond, the
    /// server stops reading and running. Default 4 MiB.
    pub write_queue: usize,
    /// How long a peer may leave all of that unread before it is dropped. Default 30 s.
    pub write_stall: Duration,
    /// How long a connection may carry nothing. Default 6 min. Zero: for ever.
    pub idle: Duration,
    /// DCE/RPC: the same while its client holds context handles, which would be lost with the connection. Default 24 h.
    /// Zero: for ever.
    pub idle_held: Duration,
    /// How long a record (over DCE/RPC a PDU, a request or an authentication) may take to arrive from its first byte to its last, if nothing of it
    /// arrives in between. Default 10 s.
    pub partial: Duration,
    /// Connections of one server. Default 10 000.
    pub connections: usize,
    /// Connections of one server from one address. Default 1 000. An RPC proxy is one address: two connections for each of
    /// its clients come from it.
    pub connections_per_source: usize,
    /// Bytes of arguments and results that decoding may take. Default 64 MiB.
    pub memory: usize,
    /// Deepest nesting of recursive values. Default 64.
    pub depth: u32,
    /// DCE/RPC: largest fragment offered, in bytes: 2048 to 65528. Default 5840, as every peer has
    /// it over TCP.
    pub fragment: u16,
    /// DCE/RPC: largest stub of a request or response, all fragments together, in bytes. Default
    /// 4 MiB.
    pub stub: usize,
    /// DCE/RPC: bytes of a call's pipes that may wait each way, to be read or to be sent. Default
    /// 256 KiB.
    pub pipe: usize,
    /// DCE/RPC: how long the next piece of an `[in]` pipe may take. Default 5 min.
    pub pipe_stall: Duration,
    /// DCE/RPC: presentation contexts (interfaces in a syntax) of one connection. Default 1024.
    pub contexts: usize,
    /// DCE/RPC: security contexts of one connection. Default 2049, as Windows has it.
    pub auth_contexts: usize,
    /// DCE/RPC: context handles that one client may have open at one server. Default 4096.
    pub handles: usize,
    /// RPC over HTTP: how long a connection may take to be part of a virtual connection that stands: its first PDU, and the
    /// other half. Default 30 s (Windows: 15 min).
    pub pairing: Duration,
    /// RPC over HTTP: connections of one endpoint that are not yet part of a virtual connection that stands. Default 1 000.
    pub unpaired: usize,
    /// RPC over HTTP: bytes of calls that a proxy may send before they are taken, of each virtual connection: 8 KiB to 1 GiB,
    /// and no less than a fragment. Default 256 KiB.
    pub window: u32,
    /// Dead peers: TCP keep-alive begins after this silence. Default 60 s. Zero: off.
    pub keep_alive: Duration,
    /// Dead peers: sent bytes must be acknowledged within this time (`TCP_USER_TIMEOUT`).
    /// Default 60 s. Zero: the system's own.
    pub user_timeout: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            record: 4 << 20,
            fragments: 1024,
            datagram: 8800,
            calls: 1024,
            arguments: 16 << 20,
            write_queue: 4 << 20,
            write_stall: Duration::from_secs(30),
            idle: Duration::from_secs(360),
            idle_held: Duration::from_secs(24 * 3600),
            partial: Duration::from_secs(10),
            connections: 10_000,
            connections_per_source: 1_000,
            memory: 64 << 20,
            depth: 64,
            fragment: 5840,
            stub: 4 << 20,
            pipe: 256 << 10,
            pipe_stall: Duration::from_secs(300),
            contexts: 1024,
            auth_contexts: 2049,
            handles: 4096,
            pairing: Duration::from_secs(30),
            unpaired: 1_000,
            window: 256 << 10,
            keep_alive: Duration::from_secs(60),
            user_timeout: Duration::from_secs(60),
        }
    }
}

impl Limits {
    /// What decoding may cost under these limits.
    pub fn wire(&self) -> farcall_wire::Limits {
        farcall_wire::Limits {
            depth: self.depth,
            memory: self.memory,
            ..Default::default()
        }
    }
}
