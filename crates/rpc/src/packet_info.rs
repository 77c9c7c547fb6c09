//! Datagrams with their destination: a reply must leave from the address its call was sent to.
//!
//! A socket that is bound to an address of its own needs none of this. One that is bound to the
//! unspecified address asks the kernel (`IP_PKTINFO`, `IPV6_RECVPKTINFO`) and says so when it
//! sends.

use std::cell::RefCell;
use std::io::{self, IoSlice, IoSliceMut};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::fd::AsRawFd;
use std::task::{Context, Poll, ready};

use bytes::BytesMut;
use nix::libc;
use nix::sys::socket::{
    ControlMessage, ControlMessageOwned, MsgFlags, SockaddrStorage, recvmsg, sendmsg, setsockopt,
    sockopt,
};
use tokio::io::Interest;
use tokio::net::UdpSocket;

use crate::steps::stamp;

/// Asks for the destination of every datagram.
pub(crate) fn enable(socket: &UdpSocket) -> io::Result<()> {
    if socket.local_addr()?.is_ipv6() {
        setsockopt(socket, sockopt::Ipv6RecvPacketInfo, &true)?;
        // A dual-stack socket delivers IPv4 datagrams too; their destination comes mapped.
        return Ok(());
    }
    Ok(setsockopt(socket, sockopt::Ipv4PacketInfo, &true)?)
}

/// What is known of a received datagram.
pub(crate) struct Received {
    /// Where it came from.
    pub(crate) from: SocketAddr,
    /// Where it went to, if the kernel was asked to tell.
    pub(crate) to: Option<SocketAddr>,
    /// When the kernel had it, if it was asked to tell; else 0.
    pub(crate) arrived: u64,
}

/// Appends one datagram to `input`. `more`: also what the kernel was asked to tell with it.
pub(crate) fn poll_receive(
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

fn receive_with(socket: &UdpSocket, input: &mut BytesMut) -> io::Result<Received> {
    let port = socket.local_addr()?.port();
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
            to = destination(message).or(to);
        }
        let len = message.bytes;
        input.extend_from_slice(buffer.get(..len).unwrap_or_default());
        let to = to.map(|ip| SocketAddr::new(ip, port));
        Ok(Received { from, to, arrived })
    })
}

fn destination(message: ControlMessageOwned) -> Option<IpAddr> {
    match message {
        ControlMessageOwned::Ipv4PacketInfo(info) => {
            Some(Ipv4Addr::from(info.ipi_addr.s_addr.to_ne_bytes()).into())
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

/// Sends one datagram, from `from` if that is given. `more`: in a way that also gets on with a
/// socket whose error queue is not empty, which to the runtime looks writable though it is full.
pub(crate) fn poll_send(
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
    socket: &UdpSocket,
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
