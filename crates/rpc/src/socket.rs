//! Making and tuning sockets: options that every connection wants, on both sides.

use std::io;
use std::net::SocketAddr;
use std::os::fd::AsFd;

use socket2::{Domain, Protocol, SockRef, Socket, TcpKeepalive, Type};

use crate::limits::Limits;

/// Connections that may wait to be accepted.
const BACKLOG: i32 = 1024;

/// Small messages at once; dead peers found.
///
/// Options that a system does not know are left alone: none of them is needed to be correct.
pub(crate) fn tune(stream: &impl AsFd, limits: &Limits) {
    let socket = SockRef::from(stream);
    let _ = socket.set_tcp_nodelay(true);
    if !limits.keep_alive.is_zero() {
        let every = (limits.keep_alive / 4).max(std::time::Duration::from_secs(1));
        let keep_alive = TcpKeepalive::new()
            .with_time(limits.keep_alive)
            .with_interval(every);
        let _ = socket.set_tcp_keepalive(&keep_alive);
    }
    if !limits.user_timeout.is_zero() {
        let _ = socket.set_tcp_user_timeout(Some(limits.user_timeout));
    }
}

/// A listening TCP socket. `[::]` takes IPv4 too.
pub(crate) fn listen_tcp(address: SocketAddr) -> io::Result<std::net::TcpListener> {
    let socket = Socket::new(
        Domain::for_address(address),
        Type::STREAM,
        Some(Protocol::TCP),
    )?;
    socket.set_reuse_address(true)?;
    if address.is_ipv6() && address.ip().is_unspecified() {
        socket.set_only_v6(false)?;
    }
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}

/// A bound UDP socket that tells to which address a datagram was sent, if it is bound to none.
pub(crate) fn bind_udp(address: SocketAddr) -> io::Result<std::net::UdpSocket> {
    let socket = Socket::new(
        Domain::for_address(address),
        Type::DGRAM,
        Some(Protocol::UDP),
    )?;
    if address.is_ipv6() && address.ip().is_unspecified() {
        socket.set_only_v6(false)?;
    }
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    Ok(socket.into())
}
