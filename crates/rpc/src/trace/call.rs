//! One call over a socket of its own, with the client's instants.
//!
//! It blocks its thread, so that no runtime's work lies between the kernel's instants and the
//! program's.

use std::io::{self, IoSlice};
#[cfg(feature = "tls")]
use std::io::{Read, Write};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::time::{Duration, Instant};

use bytes::Bytes;
use farcall_onc::msg::{self, MessageType, Target};
use farcall_onc::record::Assembler;
use farcall_wire::{DecodeError, Encode, Reader, TransmitQueue};

use crate::blocking::{self, Socket};
use crate::client::link::failure;
use crate::client::{self, Options};
use crate::endpoint::{Endpoint, IntoEndpoint, Transport};
use crate::error::{Cause, Error, Phase};
use crate::steps::stamp;
use crate::steps::step::{Step, Steps, now};

/// Room for one read, in bytes; any datagram fits.
const ROOM: usize = 64 << 10;

/// What came of a traced call.
#[derive(Debug)]
pub struct Traced<T> {
    /// Its result, or what the server refused it with, or how it was lost.
    pub result: Result<T, Error>,
    /// The client's instants: steps 1, 2, 8, 9 and 10, as far as the call came.
    pub steps: Steps,
}

/// Makes one call over a connection of its own and records its steps. Of the options `auth`,
/// `timeout`, `connect_timeout`, `retransmit` and `limits` apply.
///
/// # Errors
/// The server cannot be found or connected to, or the arguments cannot be packed: then there are
/// no steps. Whatever happens later is in [`Traced::result`].
pub fn call<A: Encode + ?Sized, T>(
    endpoint: impl IntoEndpoint,
    target: Target,
    options: &Options,
    arguments: &A,
    decode: impl FnOnce(&mut Reader<'_>) -> Result<T, DecodeError>,
) -> Result<Traced<T>, Error> {
    let endpoint = endpoint.into_endpoint()?;
    let mut probe = Probe::connect(&endpoint, target, options)?;
    let (auth, framing) = (&options.auth, endpoint.transport().framing());
    let mut out = TransmitQueue::new();
    probe.steps.set(Step::ClientPacks, now());
    msg::encode_call(&mut out, framing, probe.steps.xid, target, auth, arguments)?;
    let reply = probe.exchange(out, options);
    let answered = reply.is_ok();
    let result = reply.and_then(|reply| unpack(&reply, options, decode));
    if answered {
        probe.steps.set(Step::CallerHasResult, now());
    }
    probe.collect();
    Ok(Traced {
        result: result.map_err(|error| error.with_peer(&endpoint)),
        steps: probe.steps,
    })
}

/// The result that a reply brings.
fn unpack<T>(
    reply: &Bytes,
    options: &Options,
    decode: impl FnOnce(&mut Reader<'_>) -> Result<T, DecodeError>,
) -> Result<T, Error> {
    let (header, results) = msg::parse_reply(reply).map_err(blocking::undecodable)?;
    if let Some(cause) = failure(header.body) {
        return Err(Error::new(Phase::Call, cause));
    }
    let part = reply.get(results..).unwrap_or_default();
    let mut reader = Reader::shared(reply, part, options.limits.wire());
    decode(&mut reader).map_err(blocking::undecodable)
}

/// A connection for one call.
pub(super) struct Probe {
    socket: Socket,
    pub(super) steps: Steps,
    /// Bytes, or datagrams, that the kernel was given.
    left: u32,
    /// Where a read lands.
    room: Vec<u8>,
}

impl Probe {
    fn connect(endpoint: &Endpoint, target: Target, options: &Options) -> Result<Self, Error> {
        let address = blocking::find(endpoint, target.program, target.version)?;
        let transport = endpoint.transport();
        let called = (target.program, target.version);
        let socket = blocking::open_for(&address, endpoint, called, options);
        let socket = socket.map_err(|error| error.with_peer(endpoint))?;
        let steps = Steps {
            transport,
            interface: None,
            program: target.program,
            version: target.version,
            procedure: target.procedure,
            xid: client::seed().draw(0) as u32,
            peer: endpoint.to_string(),
            client: true,
            server: false,
            instants: [None; 10],
        };
        Ok(Self::over(socket, steps))
    }

    /// A probe over a socket that is connected.
    pub(super) fn over(socket: Socket, steps: Steps) -> Self {
        if is_stamped(&socket) {
            stamp::rouse();
            // Without timestamps the kernel's steps are marked as not measured.
            if let Err(error) = stamp::enable(&descriptor(&socket)) {
                tracing::debug!(%error, "the kernel gives no timestamps");
            }
        }
        Self {
            socket,
            steps,
            left: 0,
            room: vec![0; ROOM],
        }
    }

    /// Sends the call and waits for the reply.
    fn exchange(&mut self, out: TransmitQueue, options: &Options) -> Result<Bytes, Error> {
        let deadline = Instant::now() + options.timeout;
        match self.steps.transport {
            Transport::Udp => self.exchange_datagrams(&out.to_vec(), deadline, options),
            _ => self.exchange_records(out, deadline, options),
        }
    }

    /// Sends everything.
    pub(super) fn send_all(&mut self, out: &mut TransmitQueue) -> Result<(), Error> {
        while !out.is_empty() {
            let mut slices = [IoSlice::new(&[]); 64];
            let filled = out.io_slices(&mut slices);
            let n = self.send(slices.get(..filled).unwrap_or_default())?;
            self.left = self.left.wrapping_add(n as u32);
            out.advance(n);
        }
        Ok(())
    }

    fn exchange_records(
        &mut self,
        mut out: TransmitQueue,
        deadline: Instant,
        options: &Options,
    ) -> Result<Bytes, Error> {
        self.send_all(&mut out)?;
        let mut assembler = Assembler::new(blocking::record_limits(options));
        loop {
            let Some(batch) = self.receive(deadline, deadline)? else {
                return Err(late(options));
            };
            if batch.is_empty() {
                let end = io::Error::from(io::ErrorKind::UnexpectedEof);
                return Err(blocking::broken(&end, true));
            }
            let mut at = 0;
            while let Some(record) = assembler
                .next(&batch, &mut at)
                .map_err(blocking::no_records)?
            {
                let message = record.bytes(&batch);
                if self.is_answer(&message) {
                    return Ok(message);
                }
            }
        }
    }

    /// Sends, and sends again, until the reply has come.
    fn exchange_datagrams(
        &mut self,
        message: &[u8],
        deadline: Instant,
        options: &Options,
    ) -> Result<Bytes, Error> {
        let mut pause = options.retransmit.first;
        loop {
            self.send(&[IoSlice::new(message)])?;
            self.left = self.left.wrapping_add(1);
            let again = Instant::now() + pause;
            while let Some(answer) = self.receive(again.min(deadline), deadline)? {
                if self.is_answer(&answer) {
                    return Ok(answer);
                }
            }
            if Instant::now() >= deadline {
                return Err(late(options));
            }
            pause = (pause * 2).min(options.retransmit.longest);
        }
    }

    fn is_answer(&self, message: &[u8]) -> bool {
        msg::parse_kind(message) == Some((self.steps.xid, MessageType::REPLY))
    }

    fn send(&mut self, slices: &[IoSlice<'_>]) -> Result<usize, Error> {
        #[cfg(feature = "tls")]
        if let Socket::Tls(stream) = &mut self.socket {
            let sent = stream.write_vectored(slices);
            let sent = sent.and_then(|sent| stream.flush().map(|()| sent));
            return sent.map_err(|error| blocking::broken(&error, self.left > 0));
        }
        let fd = descriptor(&self.socket).as_raw_fd();
        loop {
            match stamp::send(fd, slices) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                sent => return sent.map_err(|error| blocking::broken(&error, self.left > 0)),
            }
        }
    }

    /// Reads once, noting steps 8 and 9. `None`: it is `until`, and nothing came.
    pub(super) fn receive(
        &mut self,
        until: Instant,
        deadline: Instant,
    ) -> Result<Option<Bytes>, Error> {
        loop {
            let left = until
                .min(deadline)
                .saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Ok(None);
            }
            patience(&self.socket, left).map_err(|error| blocking::broken(&error, true))?;
            let received = match &mut self.socket {
                #[cfg(feature = "tls")]
                Socket::Tls(stream) => stream.read(&mut self.room).map(|n| (n, 0)),
                socket => stamp::receive(descriptor(socket).as_raw_fd(), &mut self.room),
            };
            match received {
                Ok((n, arrived)) => {
                    self.steps.set(Step::ClientReceives, now());
                    self.steps.set(Step::ReplyArrives, arrived);
                    let bytes = self.room.get(..n).unwrap_or_default();
                    return Ok(Some(Bytes::copy_from_slice(bytes)));
                }
                Err(error) if blocking::is_late(&error) => {}
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(blocking::broken(&error, true)),
            }
        }
    }

    /// Takes the timestamp of the last send.
    pub(super) fn collect(&mut self) {
        if !is_stamped(&self.socket) {
            return;
        }
        let last = self.left.wrapping_sub(1);
        let steps = &mut self.steps;
        stamp::sent(
            descriptor(&self.socket).as_raw_fd(),
            |number, instant| match number == last {
                true => steps.set(Step::CallLeaves, instant),
                false => tracing::trace!(number, "timestamp of an earlier send"),
            },
        );
    }
}

/// Whether the kernel can say when what was packed leaves and arrives: it knows no Unix sockets, and under TLS other bytes.
fn is_stamped(socket: &Socket) -> bool {
    matches!(socket, Socket::Tcp(_) | Socket::Udp(_))
}

fn descriptor(socket: &Socket) -> BorrowedFd<'_> {
    match socket {
        Socket::Tcp(stream) => stream.as_fd(),
        #[cfg(feature = "tls")]
        Socket::Tls(stream) => stream.transport().as_fd(),
        Socket::Unix(stream) => stream.as_fd(),
        Socket::Udp(socket) => socket.as_fd(),
    }
}

fn patience(socket: &Socket, left: Duration) -> io::Result<()> {
    let left = Some(left.max(Duration::from_millis(1)));
    match socket {
        Socket::Tcp(stream) => stream.set_read_timeout(left),
        #[cfg(feature = "tls")]
        Socket::Tls(stream) => stream.transport().set_read_timeout(left),
        Socket::Unix(stream) => stream.set_read_timeout(left),
        Socket::Udp(socket) => socket.set_read_timeout(left),
    }
}

pub(super) fn late(options: &Options) -> Error {
    Error::new(Phase::Call, Cause::Deadline(options.timeout))
}
