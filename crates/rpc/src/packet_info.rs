//! Datagrams with their destination: a reply must leave from the address its call was sent to.
//!
//! A socket that is bound to an address of its own needs none of this. One that is bound to the
//! unspecified address asks the kernel (`IP_PKTINFO`, `IPV6_RECVPKTINFO`) and says so when it
//! sends.

use std::cell::RefCell;
use std::io::{self, IoSlice, IoSliceMut};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::fd::AsRawFd;
use std::sync::Arc;
use std::task::{Context, Poll, Waker, ready};
use std::time::Duration;

use bytes::BytesMut;
use nix::libc;
use nix::sys::socket::{
    ControlMessage, ControlMessageOwned, MsgFlags, SockaddrStorage, recvmsg, sendmsg, setsockopt,
    sockopt,
};
use tokio::io::Interest;
use tokio::net::UdpSocket;

use crate::nudge::Nudge;
use crate::steps::stamp;

/// Asks for the destination of every datagram.
pub(crate) fn enable(socket: &UdpSocket) -> io::Result<()> {
    if socket.local_addr()?.is_ipv6() {
        setsockopt(socket, sockopt::Ipv6RecvPacketInfo, &true)?;
        // A dual-stack socket delivers IPv4 datagrams too. Their destination comes mapped, and if the system can
        // also as IPv4's own, which for a broadcast is the address of ours that it reached.
        let _ = setsockopt(socket, sockopt::Ipv4PacketInfo, &true);
        return Ok(());
    }
    Ok(setsockopt(socket, sockopt::Ipv4PacketInfo, &true)?)
}

/// What is known of a received datagram.
pub(crate) struct Received {
    /// Where it came from.
    pub(crate) from: SocketAddr,
    /// Where it went to, if the kernel was asked to tell.
    pub(crate) to: Option<IpAddr>,
    /// When the kernel had it, if it was asked to tell; else 0.
    pub(crate) arrived: u64,
}

/// A UDP socket, on a runtime or on a lane.
pub(crate) enum DatagramSocket {
    /// On a runtime.
    Runtime(UdpSocket),
    /// On a lane: receiving sleeps, and is pending when nothing has come for too long.
    Lane(Arc<std::net::UdpSocket>),
    /// Lost on the way.
    Gone,
}

impl DatagramSocket {
    /// Appends one datagram to `input`. `more`: also what the kernel was asked to tell with it.
    pub(crate) fn poll_receive(
        &self,
        cx: &mut Context<'_>,
        input: &mut BytesMut,
        more: bool,
    ) -> Poll<io::Result<Received>> {
        match self {
            Self::Runtime(socket) => poll_receive(socket, cx, input, more),
            Self::Lane(socket) => match more {
                false => pending(receive(socket, input)),
                true => pending(receive_with(socket, input)),
            },
            Self::Gone => Poll::Ready(Err(io::ErrorKind::NotConnected.into())),
        }
    }

    /// Sends one datagram, from `from` if that is given. `more`: in a way that also gets on with
    /// a socket whose error queue is not empty, which to the runtime looks writable though it is
    /// full.
    pub(crate) fn poll_send(
        &self,
        cx: &mut Context<'_>,
        bytes: &[u8],
        to: SocketAddr,
        from: Option<SocketAddr>,
        more: bool,
    ) -> Poll<io::Result<()>> {
        match self {
            Self::Runtime(socket) => poll_send(socket, cx, bytes, to, from, more),
            Self::Lane(socket) => match from {
                None => pending(socket.send_to(bytes, to).map(drop)),
                Some(from) => pending(send_from(socket, bytes, to, Some(from.ip()))),
            },
            Self::Gone => Poll::Ready(Err(io::ErrorKind::NotConnected.into())),
        }
    }

    /// Goes to a lane, where receiving sleeps for at most `patience`. Returns a waker that ends
    /// such a sleep, and all receiving.
    pub(crate) fn enter_lane(&mut self, patience: Duration) -> io::Result<Waker> {
        let Self::Runtime(socket) = std::mem::replace(self, Self::Gone) else {
            return Err(io::ErrorKind::NotConnected.into());
        };
        let socket = Arc::new(socket.into_std()?);
        socket.set_read_timeout(Some(patience))?;
        socket.set_nonblocking(false)?;
        *self = Self::Lane(Arc::clone(&socket));
        Ok(Nudge::waker(socket))
    }

    /// Goes to the current runtime.
    pub(crate) fn leave_lane(&mut self) -> io::Result<()> {
        let Self::Lane(socket) = std::mem::replace(self, Self::Gone) else {
            return Err(io::ErrorKind::NotConnected.into());
        };
        socket.set_nonblocking(true)?;
        // The waker may still hold it; what the runtime gets is its own.
        let own = match Arc::try_unwrap(socket) {
            Ok(own) => own,
            Err(shared) => shared.try_clone()?,
        };
        *self = Self::Runtime(UdpSocket::from_std(own)?);
        Ok(())
    }
}

/// What a socket on a lane could not do in time is pending.
fn pending<T>(done: io::Result<T>) -> Poll<io::Result<T>> {
    match done {
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => Poll::Pending,
        done => Poll::Ready(done),
    }
}

fn receive(socket: &std::net::UdpSocket, input: &mut BytesMut) -> io::Result<Received> {
    BUFFER.with_borrow_mut(|buffer| {
        let (len, from) = socket.recv_from(buffer)?;
        input.extend_from_slice(buffer.get(..len).unwrap_or_default());
        Ok(Received {
            from,
            to: None,
            arrived: 0,
        })
    })
}

fn poll_receive(
    socket: &UdpSocket,
    cx: &mut Context<'_>,
    input: &mut BytesMut,
    more: bool,
) -> Poll<io::Result<Received>> {
    loop {
        ready!(socket.poll_recv_ready(cx))?;
        let received = match more {
            false => socket.try_recv_buf_from(input).map(|(_, from)| Received {
                from,
                to: None,
                arrived: 0,
            }),
            true => socket.try_io(Interest::READABLE, || receive_with(socket, input)),
        };
        match received {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            received => return Poll::Ready(received),
        }
    }
}

thread_local! {
    static BUFFER: RefCell<Vec<u8>> = RefCell::new(vec![0; 65_536]);
}

fn receive_with(socket: &impl AsRawFd, input: &mut BytesMut) -> io::Result<Received> {
    BUFFER.with_borrow_mut(|buffer| {
        let mut space = nix::cmsg_space!(libc::in6_pktinfo, libc::in_pktinfo, [libc::timespec; 3]);
        let mut slices = [IoSliceMut::new(buffer)];
        let fd = socket.as_raw_fd();
        let message =
            recvmsg::<SockaddrStorage>(fd, &mut slices, Some(&mut space), MsgFlags::empty())?;
        let from = message
            .address
            .as_ref()
            .and_then(address)
            .ok_or(io::ErrorKind::InvalidData)?;
        let (mut to, mut arrived) = (None, 0);
        for message in message.cmsgs()? {
            arrived = stamp::software(&message).unwrap_or(arrived);
            to = match (destination(message), to) {
                (Some(IpAddr::V4(own)), _) => Some(own.into()),
                (found, known) => known.or(found),
            };
        }
        let len = message.bytes;
        input.extend_from_slice(buffer.get(..len).unwrap_or_default());
        Ok(Received { from, to, arrived })
    })
}

fn destination(message: ControlMessageOwned) -> Option<IpAddr> {
    match message {
        ControlMessageOwned::Ipv4PacketInfo(info) => {
            // The local address, also of a datagram that was sent to everybody: a reply cannot leave from there.
            Some(Ipv4Addr::from(info.ipi_spec_dst.s_addr.to_ne_bytes()).into())
        }
        ControlMessageOwned::Ipv6PacketInfo(info) => {
            Some(Ipv6Addr::from(info.ipi6_addr.s6_addr).into())
        }
        _ => None,
    }
}

fn address(storage: &SockaddrStorage) -> Option<SocketAddr> {
    if let Some(v4) = storage.as_sockaddr_in() {
        return Some(SocketAddr::new(v4.ip().into(), v4.port()));
    }
    storage
        .as_sockaddr_in6()
        .map(|v6| SocketAddr::V6((*v6).into()))
}

fn poll_send(
    socket: &UdpSocket,
    cx: &mut Context<'_>,
    bytes: &[u8],
    to: SocketAddr,
    from: Option<SocketAddr>,
    more: bool,
) -> Poll<io::Result<()>> {
    if !more {
        return socket.poll_send_to(cx, bytes, to).map_ok(drop);
    }
    let from = from.map(|from| from.ip());
    for _ in 0..2 {
        ready!(socket.poll_send_ready(cx))?;
        match socket.try_io(Interest::WRITABLE, || send_from(socket, bytes, to, from)) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            sent => return Poll::Ready(sent),
        }
    }
    cx.waker().wake_by_ref();
    Poll::Pending
}

fn send_from(
    socket: &impl AsRawFd,
    bytes: &[u8],
    to: SocketAddr,
    from: Option<IpAddr>,
) -> io::Result<()> {
    let fd = socket.as_raw_fd();
    let slices = [IoSlice::new(bytes)];
    let to = SockaddrStorage::from(to);
    let flags = MsgFlags::empty();
    match from {
        None => {
            sendmsg(fd, &slices, &[], flags, Some(&to))?;
        }
        Some(IpAddr::V4(ip)) => {
            let address = libc::in_addr {
                s_addr: u32::from_ne_bytes(ip.octets()),
            };
            let info = libc::in_pktinfo {
                ipi_ifindex: 0,
                ipi_spec_dst: address,
                ipi_addr: libc::in_addr { s_addr: 0 },
            };
            sendmsg(
                fd,
                &slices,
                &[ControlMessage::Ipv4PacketInfo(&info)],
                flags,
                Some(&to),
            )?;
        }
        Some(IpAddr::V6(ip)) => {
            let address = libc::in6_addr {
                s6_addr: ip.octets(),
            };
            let info = libc::in6_pktinfo {
                ipi6_addr: address,
                ipi6_ifindex: 0,
            };
            sendmsg(
                fd,
                &slices,
                &[ControlMessage::Ipv6PacketInfo(&info)],
                flags,
                Some(&to),
            )?;
        }
    }
    Ok(())
}
