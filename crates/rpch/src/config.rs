//! What clients, proxies and servers offer, and how long they wait.
//!
//! Read first: MS-RPCH sections 2.2.3.5 (the ranges), 3.2.2.2, 3.2.4.2 and 3.2.5.2 (timers) and their product notes. Every
//! state in which a machine waits for somebody ends at one of these times.

use crate::rts::Cookie;
use std::time::Duration;

/// How a client's virtual connection is opened and kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientConfig {
    /// Receive window of OUT channels, in bytes. Range 8 KiB..=1 GiB, at least a fragment; default 256 KiB.
    pub window: u32,
    /// Bytes that an IN channel carries: the `Content-Length` of its request. Range 128 KiB..=2 GiB; default 1 GiB.
    pub lifetime: u32,
    /// With this many bytes of it left, an IN channel is recycled. Default `None`: 1 MiB, at most a quarter of the
    /// lifetime.
    pub recycle_at: Option<u32>,
    /// Keep-alive that the inbound proxy is asked for toward the server. At least 60 s; default 300 s.
    pub keepalive: Duration,
    /// Most time without a byte on an IN channel, whatever the proxy's connection timeout allows. Default `None`: half
    /// of the connection timeout.
    pub ping: Option<Duration>,
    /// The association group, shared by the client's connections to one server. Default `None`: a new one.
    pub group: Option<Cookie>,
    /// No more is taken for transmission while this many bytes wait. Default 16 MiB.
    pub queued: usize,
    /// How long opening may take. Default 30 s.
    pub setup: Duration,
    /// How long recycling a channel may take. Default 60 s.
    pub recycle: Duration,
    /// How long a full window, or a connection that takes no bytes, is borne. Default 5 min.
    pub stall: Duration,
}

impl Default for ClientConfig {
    fn default() -> Self {
        Self {
            window: 256 << 10,
            lifetime: 1 << 30,
            recycle_at: None,
            keepalive: Duration::from_secs(300),
            ping: None,
            group: None,
            queued: 16 << 20,
            setup: Duration::from_secs(30),
            recycle: Duration::from_secs(60),
            stall: Duration::from_secs(300),
        }
    }
}

/// What an inbound or outbound proxy offers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProxyConfig {
    /// Receive window, in bytes: of IN channels toward clients, and of OUT channels toward servers. Range 8 KiB..=1 GiB,
    /// at least a fragment; default 256 KiB.
    pub window: u32,
    /// Bytes that an OUT channel carries: the `Content-Length` of its response. Range 128 KiB..=2 GiB; default 1 GiB.
    pub lifetime: u32,
    /// Connection timeout that clients are told; half of it is the interval of pings. Range 120 s..=4 h; default 120 s,
    /// since routers at home forget idle connections after 300. An OUT request's `MinConnTimeout` takes its place.
    pub connection_timeout: Duration,
    /// Whether the server must say its banner before a byte is sent to it. Default true.
    pub banner: bool,
    /// Whether what a client does decides how it is treated: one that never acknowledges is sent to as its connection
    /// allows, and one that may not understand it is not acknowledged unless it waits. Default true.
    pub compatible: bool,
    /// How long a client that never acknowledged may leave its window full before it is taken for one that never will.
    /// Default 500 ms.
    pub grace: Duration,
    /// How long a client must have been silent, its window used up, before it is acknowledged for the first time: in
    /// the middle of a call; between calls ten times as long. Default 200 ms.
    pub hold: Duration,
    /// How long opening may take. Default 30 s.
    pub setup: Duration,
    /// How long recycling a channel may take. Default 60 s.
    pub recycle: Duration,
    /// How long a full window, or a connection that takes no bytes, is borne. Default 5 min.
    pub stall: Duration,
}

impl Default for ProxyConfig {
    fn default() -> Self {
        Self {
            window: 256 << 10,
            lifetime: 1 << 30,
            connection_timeout: Duration::from_secs(120),
            banner: true,
            compatible: true,
            grace: Duration::from_millis(500),
            hold: Duration::from_millis(200),
            setup: Duration::from_secs(30),
            recycle: Duration::from_secs(60),
            stall: Duration::from_secs(300),
        }
    }
}

/// What a server's endpoint offers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerConfig {
    /// Receive window of IN channels, in bytes. Range 8 KiB..=1 GiB, at least a fragment; default 256 KiB.
    pub window: u32,
    /// With this many bytes of it left, an OUT channel is recycled. Default `None`: 1 MiB, at most a quarter of the
    /// lifetime.
    pub recycle_at: Option<u32>,
    /// No more is taken for transmission while this many bytes wait. Default 16 MiB.
    pub queued: usize,
    /// How long the two halves of a connection wait for each other (Windows: 15 min). Default 30 s.
    pub setup: Duration,
    /// How long recycling a channel may take. Default 60 s.
    pub recycle: Duration,
    /// How long a full window, or a connection that takes no bytes, is borne. Default 5 min.
    pub stall: Duration,
}

impl Default for ServerConfig {
    fn default() -> Self {
        Self {
            window: 256 << 10,
            recycle_at: None,
            queued: 16 << 20,
            setup: Duration::from_secs(30),
            recycle: Duration::from_secs(60),
            stall: Duration::from_secs(300),
        }
    }
}

/// With how many bytes left a channel of this lifetime is recycled.
pub(crate) fn threshold(chosen: Option<u32>, lifetime: u32) -> u32 {
    chosen.unwrap_or(1 << 20).min(lifetime / 4)
}
