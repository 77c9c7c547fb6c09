//! Calls to everybody at once, by UDP: one question, any number of answers.
//!
//! Read first: RFC 5531 section 8.4.2 ("Broadcast Remote Procedure Calls") and RFC 1833 section 3.2 (`CALLIT`). A
//! broadcast goes to a port, and a program's port is not the same everywhere; so it goes to rpcbind's, either with a
//! question for rpcbind itself (where is this program? instruments are found so), or with a call that each rpcbind passes
//! on to the program beside it ([`Broadcast::through_rpcbind`]). Whoever cannot answer well keeps silent.
//!
//! The question is repeated, since it may be lost, with the same number, so that each host is heard once. Nobody knows
//! how many will answer: time ends it. What is no answer to this question is passed over.

use std::collections::HashSet;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::ops::Range;
use std::task::Poll;
use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};
use farcall_onc::auth::AuthBlock;
use farcall_onc::msg::{Framing, ReplyBody, Target, encode_call, parse_reply};
use farcall_onc::uaddr::{Netid, Uaddr};
use farcall_wire::{DecodeError, Encode, Reader, Str, TransmitQueue, xdr};
use nix::net::if_::InterfaceFlags;
use socket2::{Domain, Protocol, SockRef, Socket, Type};
use tokio::io::ReadBuf;
use tokio::net::UdpSocket;

use super::calling::Decoder;
use super::resolve::{RPCBIND, RPCBIND_PORT};
use super::{link, seed};
use crate::error::{Cause, Error, Phase};

/// Longest datagram there can be.
const MAX_DATAGRAM: usize = 65_536;

/// The first pause before the question is repeated; it doubles.
const FIRST_PAUSE: Duration = Duration::from_millis(500);

/// A call to everybody.
#[derive(Clone, Debug)]
pub struct Broadcast {
    target: Target,
    arguments: Vec<u8>,
    through: Option<u32>,
    auth: AuthBlock,
    to: Vec<SocketAddr>,
    within: Duration,
    most: usize,
}

/// What one host answered.
#[derive(Clone, Debug)]
pub struct Answer<T> {
    /// The host, as it answered.
    pub from: SocketAddr,
    /// Where the program itself listens, if an rpcbind that passed the call on has said so.
    pub program: Option<SocketAddr>,
    /// The result, or why there is none.
    pub result: Result<T, Error>,
}

impl Broadcast {
    /// A call of this procedure with these arguments, for nobody yet.
    ///
    /// # Errors
    /// The arguments break a bound of their interface.
    pub fn new<A: Encode + ?Sized>(target: Target, arguments: &A) -> Result<Self, Error> {
        Ok(Self {
            target,
            arguments: xdr::to_vec(arguments)?,
            through: None,
            auth: AuthBlock::none(),
            to: Vec::new(),
            within: Duration::from_secs(5),
            most: 1024,
        })
    }

    /// Sends it to this address too: a broadcast or multicast address, or one host's.
    #[must_use]
    pub fn to(mut self, address: SocketAddr) -> Self {
        self.to.push(address);
        self
    }

    /// Sends it to `port` at the broadcast address of each interface of this machine that is up and has one.
    ///
    /// # Errors
    /// The interfaces cannot be listed, or none has such an address.
    pub fn to_segments(mut self, port: u16) -> Result<Self, Error> {
        let failed = |error: nix::errno::Errno| Error::io(Phase::Connect, &error.into());
        let mut any = false;
        for interface in nix::ifaddrs::getifaddrs().map_err(failed)? {
            let wanted = InterfaceFlags::IFF_UP | InterfaceFlags::IFF_BROADCAST;
            let address = interface
                .broadcast
                .filter(|_| interface.flags.contains(wanted));
            if let Some(four) = address.and_then(|address| address.as_sockaddr_in().copied()) {
                self.to.push(SocketAddr::new(four.ip().into(), port));
                any = true;
            }
        }
        match any {
            true => Ok(self),
            false => Err(
                Error::local(Phase::Connect, "no interface has a broadcast address")
                    .hint("name one: Broadcast::to"),
            ),
        }
    }

    /// Lets each rpcbind pass the call on to the program beside it, in this version of rpcbind's protocol: 2, which all
    /// know, 3, or 4. Where nothing else is said, it goes to port 111.
    #[must_use]
    pub fn through_rpcbind(mut self, version: u32) -> Self {
        self.through = Some(version);
        self
    }

    /// Who calls. Default `AUTH_NONE`.
    #[must_use]
    pub fn auth(mut self, auth: AuthBlock) -> Self {
        self.auth = auth;
        self
    }

    /// For how long answers are waited for. Default 5 s.
    #[must_use]
    pub fn within(mut self, time: Duration) -> Self {
        self.within = time;
        self
    }

    /// Most hosts that are heard. Default 1024.
    #[must_use]
    pub fn at_most(mut self, hosts: usize) -> Self {
        self.most = hosts;
        self
    }

    /// Asks, and hands each answer to `heard` as it comes, until the time is over, as many as are wanted have answered,
    /// or `heard` says `false`.
    ///
    /// # Errors
    /// There is nobody to ask, or nothing could be sent at all.
    // req: onc-5531-8.4.2
    pub async fn ask<T>(
        &self,
        decode: Decoder<T>,
        mut heard: impl FnMut(Answer<T>) -> bool,
    ) -> Result<(), Error> {
        let mut asking = self.begin()?;
        let end = tokio::time::Instant::now() + self.within;
        let mut pause = FIRST_PAUSE;
        while tokio::time::Instant::now() < end {
            asking.send().await?;
            let next = end.min(tokio::time::Instant::now() + pause);
            while let Ok((from, datagram)) = tokio::time::timeout_at(next, asking.receive()).await {
                let Some(answer) = asking.judge(from, &datagram, decode) else {
                    continue;
                };
                if !heard(answer) || asking.heard.len() >= self.most {
                    return Ok(());
                }
            }
            pause *= 2;
        }
        Ok(())
    }

    /// Asks, and collects what is answered.
    ///
    /// # Errors
    /// As [`ask`](Self::ask).
    pub async fn collect<T>(&self, decode: Decoder<T>) -> Result<Vec<Answer<T>>, Error> {
        let mut all = Vec::new();
        self.ask(decode, |answer| {
            all.push(answer);
            true
        })
        .await?;
        Ok(all)
    }

    fn begin(&self) -> Result<Asking, Error> {
        let [a, b, c, d, ..] = seed().draw(u64::from(self.target.program)).to_be_bytes();
        let xid = u32::from_be_bytes([a, b, c, d]);
        let mut queue = TransmitQueue::new();
        let Target {
            program,
            version,
            procedure,
        } = self.target;
        let framing = Framing::Datagram;
        match self.through {
            None => encode_call(
                &mut queue,
                framing,
                xid,
                self.target,
                &self.auth,
                &crate::stub::Raw(&self.arguments),
            )?,
            Some(rpcbind) => {
                let target = Target {
                    program: RPCBIND,
                    version: rpcbind,
                    procedure: CALLIT,
                };
                let arguments = Str::from(self.arguments.clone());
                let call = (program, version, procedure, arguments);
                encode_call(&mut queue, framing, xid, target, &self.auth, &call)?
            }
        };
        let to = self.to.iter().map(|to| match (to.port(), self.through) {
            (0, Some(_)) => SocketAddr::new(to.ip(), RPCBIND_PORT),
            _ => *to,
        });
        let (four, six): (Vec<SocketAddr>, Vec<SocketAddr>) = to.partition(SocketAddr::is_ipv4);
        let sockets = [Asked::of(four)?, Asked::of(six)?];
        if sockets.iter().all(Option::is_none) {
            return Err(Error::local(Phase::Connect, "there is nobody to ask")
                .hint("name an address: Broadcast::to, Broadcast::to_segments"));
        }
        Ok(Asking {
            xid,
            message: queue.to_vec().into(),
            through: self.through,
            sockets: sockets.into_iter().flatten().collect(),
            heard: HashSet::new(),
            began: Instant::now(),
        })
    }
}

/// `PMAPPROC_CALLIT`, `RPCBPROC_CALLIT`, `RPCBPROC_BCAST`: the same number.
const CALLIT: u32 = 5;

/// A socket of one family and whom it asks.
struct Asked {
    socket: UdpSocket,
    to: Vec<SocketAddr>,
}

impl Asked {
    /// None if nobody is to be asked.
    fn of(to: Vec<SocketAddr>) -> Result<Option<Self>, Error> {
        let Some(first) = to.first() else {
            return Ok(None);
        };
        let any: IpAddr = match first.ip() {
            IpAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
            IpAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
        };
        let made = || -> io::Result<UdpSocket> {
            let socket = Socket::new(
                Domain::for_address(*first),
                Type::DGRAM,
                Some(Protocol::UDP),
            )?;
            socket.set_nonblocking(true)?;
            if first.is_ipv4() {
                SockRef::from(&socket).set_broadcast(true)?;
            }
            socket.bind(&SocketAddr::new(any, 0).into())?;
            UdpSocket::from_std(socket.into())
        };
        let socket = made().map_err(|error| Error::io(Phase::Connect, &error))?;
        Ok(Some(Self { socket, to }))
    }
}

/// A question that is under way.
struct Asking {
    xid: u32,
    message: Bytes,
    through: Option<u32>,
    sockets: Vec<Asked>,
    /// Hosts that have answered.
    heard: HashSet<IpAddr>,
    began: Instant,
}

impl Asking {
    /// Sends the question to everybody. That one address cannot be reached is no harm as long as another can.
    async fn send(&self) -> Result<(), Error> {
        let mut last = None;
        let mut any = false;
        for asked in &self.sockets {
            for to in &asked.to {
                match asked.socket.send_to(&self.message, to).await {
                    Ok(_) => any = true,
                    Err(error) => {
                        tracing::debug!(%error, %to, "broadcast not sent");
                        last =
                            Some(Error::io(Phase::Call, &error).with_peer(format!("udp://{to}")));
                    }
                }
            }
        }
        match last {
            Some(error) if !any => Err(error.executed(false)),
            _ => Ok(()),
        }
    }

    /// The next datagram. Errors of a socket are news about somebody who is not there.
    async fn receive(&self) -> (SocketAddr, Bytes) {
        let mut buffer = vec![0; MAX_DATAGRAM];
        std::future::poll_fn(|cx| {
            for asked in &self.sockets {
                loop {
                    let mut buffer = ReadBuf::new(&mut buffer);
                    match asked.socket.poll_recv_from(cx, &mut buffer) {
                        Poll::Pending => break,
                        Poll::Ready(Err(error)) => tracing::trace!(%error, "receive failed"),
                        Poll::Ready(Ok(from)) => {
                            let datagram = BytesMut::from(buffer.filled()).freeze();
                            return Poll::Ready((from, datagram));
                        }
                    }
                }
            }
            Poll::Pending
        })
        .await
    }

    /// What a datagram says, if it is a host's first answer to the question.
    fn judge<T>(
        &mut self,
        from: SocketAddr,
        datagram: &Bytes,
        decode: Decoder<T>,
    ) -> Option<Answer<T>> {
        let (header, results) = parse_reply(datagram).ok()?;
        if header.xid != self.xid {
            return None;
        }
        let from = SocketAddr::new(from.ip().to_canonical(), from.port());
        let mut program = None;
        let result = match header.body {
            ReplyBody::Success => {
                let range = match self.through {
                    None => results..datagram.len(),
                    Some(version) => {
                        let passed = passed(version, datagram, results, from).ok()?;
                        program = passed.0;
                        passed.1
                    }
                };
                let part = datagram.get(range).unwrap_or_default();
                let limits = crate::limits::Limits::default().wire();
                decode(&mut Reader::shared(datagram, part, limits))
                    .map_err(|error| Error::new(Phase::Decode, Cause::Decode(error)))
            }
            body => {
                let cause = link::failure(body)?;
                Err(Error::new(Phase::Call, cause))
            }
        };
        let result = result.map_err(|error| error.with_peer(format!("udp://{from}")));
        let is_first = self.heard.insert(from.ip());
        tracing::trace!(%from, is_first, after = ?self.began.elapsed(), "answered");
        is_first.then_some(Answer {
            from,
            program,
            result,
        })
    }
}

/// What an rpcbind says that has passed a call on: where the program is, and where its results lie.
fn passed(
    version: u32,
    datagram: &Bytes,
    results: usize,
    from: SocketAddr,
) -> Result<(Option<SocketAddr>, Range<usize>), DecodeError> {
    let part = datagram.get(results..).unwrap_or_default();
    let r = &mut Reader::new(part);
    let program = match version {
        2 => {
            let port = u16::try_from(r.u32()?).ok();
            port.map(|port| SocketAddr::new(from.ip(), port))
        }
        _ => {
            let netid = Netid::of(from, true);
            let uaddr = Uaddr::parse(netid, r.opaque_var(1024)?).ok();
            uaddr.and_then(|uaddr| uaddr.socket())
        }
    };
    let len = r.opaque_var(u32::MAX)?.len();
    r.finish()?;
    let padded = len.next_multiple_of(4);
    let start = datagram.len() - padded;
    Ok((program, start..start + len))
}
