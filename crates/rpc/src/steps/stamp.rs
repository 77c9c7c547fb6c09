//! The kernel's timestamps: `SO_TIMESTAMPING` on a socket, read with its messages.
//!
//! Read first: `Documentation/networking/timestamping.rst` of Linux. Software timestamps are
//! asked for in both directions. That of a received packet comes as a control message with its
//! bytes; that of a sent one comes through the socket's error queue, with a number that tells
//! which one it was: for a stream the place of the last byte of one send (from 0 at the moment
//! the option is set), for datagrams the place of the datagram.

use std::io::{self, IoSlice, IoSliceMut};
use std::net::UdpSocket;
use std::os::fd::{AsFd, AsRawFd, RawFd};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::libc;
use nix::sys::socket::{
    ControlMessageOwned, MsgFlags, SockaddrStorage, TimestampingFlag, recvmsg, sendmsg, setsockopt,
    sockopt,
};
use nix::sys::time::TimeSpec;

/// Asks for timestamps of everything that is received and sent from now on.
pub(crate) fn enable(socket: &impl AsFd) -> io::Result<()> {
    let flags = TimestampingFlag::SOF_TIMESTAMPING_SOFTWARE
        | TimestampingFlag::SOF_TIMESTAMPING_RX_SOFTWARE
        | TimestampingFlag::SOF_TIMESTAMPING_TX_SOFTWARE
        | TimestampingFlag::SOF_TIMESTAMPING_OPT_ID
        | TimestampingFlag::SOF_TIMESTAMPING_OPT_TSONLY;
    Ok(setsockopt(socket, sockopt::Timestamping, &flags)?)
}

/// Receives into `room`: how many bytes, and when the kernel had the last of them; 0 if it does
/// not say.
pub(crate) fn receive(fd: RawFd, room: &mut [u8]) -> io::Result<(usize, u64)> {
    let mut space = nix::cmsg_space!([libc::timespec; 3]);
    let mut slices = [IoSliceMut::new(room)];
    let flags = MsgFlags::empty();
    let message = recvmsg::<SockaddrStorage>(fd, &mut slices, Some(&mut space), flags)?;
    let arrived = message.cmsgs()?.find_map(|message| software(&message));
    Ok((message.bytes, arrived.unwrap_or(0)))
}

/// Sends bytes of a stream, or one datagram to the connected peer.
pub(crate) fn send(fd: RawFd, slices: &[IoSlice<'_>]) -> io::Result<usize> {
    Ok(sendmsg::<SockaddrStorage>(
        fd,
        slices,
        &[],
        MsgFlags::MSG_NOSIGNAL,
        None,
    )?)
}

/// Reads all timestamps of sent messages that there are: `each` is told number and instant.
pub(crate) fn sent(fd: RawFd, mut each: impl FnMut(u32, u64)) {
    let flags = MsgFlags::MSG_ERRQUEUE | MsgFlags::MSG_DONTWAIT;
    loop {
        let mut space = nix::cmsg_space!([libc::timespec; 3], [u8; 64]);
        let mut slices = [IoSliceMut::new(&mut [])];
        let message = recvmsg::<SockaddrStorage>(fd, &mut slices, Some(&mut space), flags);
        let message = match message {
            Ok(message) => message,
            Err(Errno::EINTR) => continue,
            Err(_) => return,
        };
        let Ok(messages) = message.cmsgs() else {
            return;
        };
        let (mut number, mut instant) = (None, None);
        for message in messages {
            instant = instant.or_else(|| software(&message));
            number = number.or_else(|| which(&message));
        }
        if let (Some(number), Some(instant)) = (number, instant) {
            each(number, instant);
        }
    }
}

/// The software timestamp that a control message brings.
pub(crate) fn software(message: &ControlMessageOwned) -> Option<u64> {
    match message {
        ControlMessageOwned::ScmTimestampsns(stamps) => nanoseconds(&stamps.system),
        _ => None,
    }
}

fn nanoseconds(at: &TimeSpec) -> Option<u64> {
    let (seconds, rest) = (u64::try_from(at.tv_sec()).ok()?, at.tv_nsec());
    let all = seconds
        .checked_mul(1_000_000_000)?
        .checked_add(u64::try_from(rest).ok()?)?;
    (all != 0).then_some(all)
}

/// `SO_EE_ORIGIN_TIMESTAMPING`: the entry of an error queue is a timestamp.
const ORIGIN: u8 = 4;

/// `SCM_TSTAMP_SND`: it was taken when the packet was handed to the device.
const HANDED_OVER: u32 = 0;

/// Which sent message an entry of the error queue is about.
fn which(message: &ControlMessageOwned) -> Option<u32> {
    let error = match message {
        ControlMessageOwned::Ipv4RecvErr(error, _) => error,
        ControlMessageOwned::Ipv6RecvErr(error, _) => error,
        _ => return None,
    };
    (error.ee_origin == ORIGIN && error.ee_info == HANDED_OVER).then_some(error.ee_data)
}

/// Makes sure that the kernel takes timestamps of what arrives: it begins to when some socket
/// has asked for them, but only a moment later. The socket that asks is kept.
pub(crate) fn rouse() {
    static ASKING: OnceLock<Option<UdpSocket>> = OnceLock::new();
    ASKING.get_or_init(|| ask().ok());
}

/// How long to wait for that, at most.
const PATIENCE: Duration = Duration::from_millis(250);

/// Sends datagrams to itself until one has a timestamp.
fn ask() -> io::Result<UdpSocket> {
    let socket = UdpSocket::bind(("127.0.0.1", 0))?;
    socket.connect(socket.local_addr()?)?;
    socket.set_read_timeout(Some(Duration::from_millis(20)))?;
    enable(&socket)?;
    let fd = socket.as_raw_fd();
    let begun = Instant::now();
    while begun.elapsed() < PATIENCE {
        socket.send(&[0])?;
        sent(fd, |_, _| {});
        match receive(fd, &mut [0; 8]) {
            Ok((_, 0)) => std::thread::yield_now(),
            _ => break,
        }
    }
    Ok(socket)
}
