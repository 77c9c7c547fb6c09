//! The blocking client: one call at a time, made by the thread that wants the result.
//!
//! A call is one write and one read, nothing else, so this is the client with the lowest latency.
//! It needs no runtime. It takes `&self`, and threads that share one wait for each other.

mod carried;
mod reach;
mod association;
mod guarded;
mod one_way;
mod piped;

use std::fmt;
use std::io::{self, IoSlice, Read, Write};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use farcall_onc::auth::Shortened;
use farcall_onc::client::{CallId, Client as Core, Incoming};
use farcall_onc::msg::{ReplyBody, ReplyHeader, Target};
use farcall_onc::record::{Assembler, Record, RecordError, RecordLimits};
use farcall_wire::{Encode, EncodeError, Reader, TransmitQueue, ndr};

use crate::client::dce::faults;
use crate::client::link::{Link, failure, refused};
use crate::client::{self, Decoder, NdrDecoder, Options};
use crate::endpoint::{Endpoint, IntoEndpoint, Transport};
use crate::error::{Cause, Error, Phase};
use crate::interface::Interface;
use crate::pipe::{Sinks, Sources};
use crate::program::Program;
use association::Association;
pub(crate) use association::initiate;
pub(crate) use carried::Fate;
use guarded::Session;
pub(crate) use reach::{Address, Socket, find, find_interface, open_for, open_stream};

/// Room for one read, in bytes; any datagram fits.
const ROOM: usize = 64 << 10;

/// From how many missing bytes on a record is read into memory of its own.
const LARGE: usize = 32 << 10;

/// A connection to a server for calls that block their thread.
pub struct Client {
    inner: Mutex<Inner>,
    options: Options,
    endpoint: Endpoint,
    address: Address,
    /// The program and version that it was made for.
    called: (u32, u32),
    /// The association, if it is a client of interfaces.
    association: Option<Mutex<Association>>,
}

struct Inner {
    core: Core<()>,
    socket: Option<Socket>,
    out: TransmitQueue,
    assembler: Assembler,
    /// Where a read lands.
    input: Box<[u8]>,
    /// What the socket's time-out is set to.
    patience: Duration,
    /// The security context, once there is one.
    session: Option<Session>,
    /// The caller's credential and its short form, if that is wanted.
    short: Option<Shortened>,
    /// What the reply to the call in flight is taken for.
    wanted: Wanted,
}

/// What the reply to the call in flight is taken for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wanted {
    /// Its results; the call went with the whole credential.
    Results,
    /// Its results; the call went with a short form.
    Short,
    /// The server has forgotten that short form.
    Forgotten,
    /// All of it, whatever it says.
    Whole,
}

impl Client {
    /// Connects to `endpoint` for calls to a version of a program. Without a port in the
    /// endpoint, the host's rpcbind is asked where that version is.
    ///
    /// # Errors
    /// The host, the program or the port cannot be found, or the connection is refused.
    pub fn connect(endpoint: impl IntoEndpoint, program: u32, version: u32) -> Result<Self, Error> {
        Self::connect_with(endpoint, program, version, Options::default())
    }

    /// As [`connect`](Self::connect), with options. Of those that concern the connection only
    /// `connect_timeout`, `limits`, `retransmit` and `tls` apply. Under [`Options::gss`] the first call makes the security
    /// context; what its mechanism must ask elsewhere, it asks on this thread.
    ///
    /// # Errors
    /// As [`connect`](Self::connect).
    pub fn connect_with(
        endpoint: impl IntoEndpoint,
        program: u32,
        version: u32,
        options: Options,
    ) -> Result<Self, Error> {
        let endpoint = endpoint.into_endpoint()?;
        let address = find(&endpoint, program, version)?;
        let client = Self {
            inner: Mutex::new(inner(&address, &endpoint, &options)),
            options,
            endpoint,
            address,
            called: (program, version),
            association: None,
        };
        client.with_inner(|inner| client.ensure(inner))?;
        Ok(client)
    }

    /// The same server, over a connection of its own, with calls made under other options.
    ///
    /// # Errors
    /// The connection is refused.
    pub fn with_options(&self, options: Options) -> Result<Self, Error> {
        let (endpoint, address) = (self.endpoint.clone(), self.address.clone());
        let client = Self {
            inner: Mutex::new(inner(&address, &endpoint, &options)),
            options,
            endpoint,
            address,
            called: self.called,
            association: None,
        };
        client.with_inner(|inner| client.ensure(inner))?;
        Ok(client)
    }

    fn with_inner<T>(&self, f: impl FnOnce(&mut Inner) -> T) -> T {
        f(&mut self.inner.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Calls a procedure of a described program and waits for its result.
    ///
    /// # Errors
    /// As the asynchronous client: see [`Error`].
    pub fn call<A: Encode + ?Sized, T>(
        &self,
        program: &'static Program,
        procedure: u32,
        arguments: &A,
        decode: Decoder<T>,
    ) -> Result<T, Error> {
        let target = Target {
            program: program.number,
            version: program.version,
            procedure,
        };
        self.call_target(target, arguments, decode)
            .map_err(|error| error.with_procedure(program.procedure_name(procedure)))
    }

    /// Calls a procedure by its numbers and waits for its result.
    ///
    /// # Errors
    /// As the asynchronous client: see [`Error`].
    pub fn call_target<A: Encode + ?Sized, T>(
        &self,
        target: Target,
        arguments: &A,
        decode: Decoder<T>,
    ) -> Result<T, Error> {
        self.with_inner(|inner| self.exchange(inner, target, arguments, decode))
            .map_err(|error| error.with_peer(&self.endpoint))
    }

    /// As [`connect`](Self::connect), for calls to an interface, to a string binding such as
    /// `ncacn_ip_tcp:host[port]`. Without a port in it, the host's endpoint mapper is asked.
    ///
    /// # Errors
    /// As [`client::Client::connect_interface`].
    pub fn connect_interface(
        endpoint: impl IntoEndpoint,
        interface: &'static Interface,
    ) -> Result<Self, Error> {
        Self::connect_interface_with(endpoint, interface, Options::default())
    }

    /// As [`connect_interface`](Self::connect_interface), with options.
    ///
    /// # Errors
    /// As [`client::Client::connect_interface`].
    pub fn connect_interface_with(
        endpoint: impl IntoEndpoint,
        interface: &'static Interface,
        options: Options,
    ) -> Result<Self, Error> {
        let endpoint = endpoint.into_endpoint()?;
        let address = find_interface(&endpoint, interface, &options)?;
        let mut association = Association::new(interface, &options);
        association
            .ensure(&address, &endpoint, &options)
            .map_err(|error| error.with_peer(&endpoint))?;
        Ok(Self {
            inner: Mutex::new(inner(&address, &endpoint, &options)),
            options,
            endpoint,
            address,
            called: (0, 0),
            association: Some(Mutex::new(association)),
        })
    }

    /// Calls an operation of an interface and waits for its result.
    ///
    /// # Errors
    /// As the asynchronous client: see [`Error`].
    pub fn operation<T>(
        &self,
        interface: &'static Interface,
        opnum: u16,
        known: &[i64],
        encode: impl FnOnce(&mut ndr::Writer) -> Result<(), EncodeError>,
        decode: NdrDecoder<T>,
    ) -> Result<T, Error> {
        let Some(association) = &self.association else {
            let text = format!("this is a client of programs: it cannot call {interface}");
            return Err(Error::local(Phase::Call, text)
                .hint("connect with blocking::Client::connect_interface"));
        };
        let mut association = association.lock().unwrap_or_else(PoisonError::into_inner);
        let calling = association
            .ensure(&self.address, &self.endpoint, &self.options)
            .and_then(|()| association.pack(interface, opnum, &self.options, encode))
            .and_then(|packed| association.call(&packed, &self.options, known, decode));
        calling.map_err(|error| {
            let error = error.with_procedure(interface.operation_name(opnum));
            faults::advised(error.with_peer(&self.endpoint), &self.options)
        })
    }

    /// Calls an operation that has pipes. This is what generated clients do: `encode` packs what
    /// stands beside the pipes, `sources` are those that go, and `sinks` take those that come.
    ///
    /// # Errors
    /// As the asynchronous client: see [`Error`].
    #[expect(clippy::too_many_arguments, reason = "generated code calls it")]
    pub fn operation_piped<T>(
        &self,
        interface: &'static Interface,
        opnum: u16,
        known: &[i64],
        encode: impl FnOnce(&mut ndr::Writer) -> Result<(), EncodeError>,
        sources: Sources,
        sinks: Sinks<'_>,
        decode: NdrDecoder<T>,
    ) -> Result<T, Error> {
        let Some(association) = &self.association else {
            let text = format!("this is a client of programs: it cannot call {interface}");
            return Err(Error::local(Phase::Call, text)
                .hint("connect with blocking::Client::connect_interface"));
        };
        let mut association = association.lock().unwrap_or_else(PoisonError::into_inner);
        let calling = association
            .ensure(&self.address, &self.endpoint, &self.options)
            .and_then(|()| {
                let pipes = (sources, sinks);
                association.pack_piped(interface, opnum, &self.options, encode, pipes)
            })
            .and_then(|piped| association.call_piped(piped, &self.options, known, decode));
        calling.map_err(|error| {
            let error = error.with_procedure(interface.operation_name(opnum));
            faults::advised(error.with_peer(&self.endpoint), &self.options)
        })
    }

    fn exchange<A: Encode + ?Sized, T>(
        &self,
        inner: &mut Inner,
        target: Target,
        arguments: &A,
        decode: Decoder<T>,
    ) -> Result<T, Error> {
        if self.association.is_some() {
            let text = "this is a client of interfaces, not of programs";
            return Err(Error::local(Phase::Call, text));
        }
        if let Some(gss) = &self.options.gss {
            return self.exchange_guarded(inner, gss, target, arguments, decode);
        }
        let result = self.attempt(inner, target, arguments, decode);
        match inner.wanted {
            // It has not run, and goes again with the whole credential.
            Wanted::Forgotten => self.attempt(inner, target, arguments, decode),
            _ => result,
        }
    }

    fn attempt<A: Encode + ?Sized, T>(
        &self,
        inner: &mut Inner,
        target: Target,
        arguments: &A,
        decode: Decoder<T>,
    ) -> Result<T, Error> {
        self.ensure(inner)?;
        let begun = Instant::now();
        let deadline = begun + self.options.timeout;
        let short = inner.short.as_ref().filter(|short| short.is_short());
        let (auth, wanted) = match short {
            Some(short) => (short.block(), Wanted::Short),
            None => (&self.options.auth, Wanted::Results),
        };
        let id = inner
            .core
            .call(begun, target, auth, arguments, Some(deadline), ())
            .map_err(refused)?;
        inner.wanted = wanted;
        let time = Time {
            begun,
            given: self.options.timeout,
            asked: false,
        };
        inner.finish(id, time, decode, &self.options)
    }

    /// Connects unless it is connected.
    fn ensure(&self, inner: &mut Inner) -> Result<(), Error> {
        if inner.socket.is_some() {
            return Ok(());
        }
        let opened = open_for(&self.address, &self.endpoint, self.called, &self.options);
        inner.socket = Some(opened.map_err(|error| error.with_peer(&self.endpoint))?);
        inner.patience = Duration::ZERO;
        inner.assembler = Assembler::new(record_limits(&self.options));
        Ok(())
    }
}

pub(crate) fn record_limits(options: &Options) -> RecordLimits {
    RecordLimits {
        record: options.limits.record,
        fragments: options.limits.fragments,
    }
}

fn inner(address: &Address, endpoint: &Endpoint, options: &Options) -> Inner {
    let config = Link::config(options);
    let core = match address {
        Address::Inet(server) if endpoint.transport() == Transport::Udp => {
            Core::datagram(config, *server, &client::seed())
        }
        _ => Core::stream(config, &client::seed()),
    };
    Inner {
        core,
        socket: None,
        out: TransmitQueue::new(),
        assembler: Assembler::new(record_limits(options)),
        input: vec![0; ROOM].into(),
        patience: Duration::ZERO,
        session: None,
        short: options.short.then(|| Shortened::new(options.auth.clone())),
        wanted: Wanted::Results,
    }
}

/// The time of one call. The clock is not read before the first wait: nothing has passed then.
struct Time {
    begun: Instant,
    given: Duration,
    asked: bool,
}

impl Time {
    fn left(&mut self) -> Duration {
        if std::mem::replace(&mut self.asked, true) {
            return self.given.saturating_sub(self.begun.elapsed());
        }
        self.given
    }
}

impl Inner {
    /// Waits for the reply to a call; what is broken is given up.
    fn finish<T>(
        &mut self,
        id: CallId,
        mut time: Time,
        decode: Decoder<T>,
        options: &Options,
    ) -> Result<T, Error> {
        let result = self.transfer(&mut time, decode, options);
        if let Err(error) = &result {
            self.core.cancel(id);
            if matches!(
                error.cause(),
                Cause::Io(..) | Cause::Disconnected(_) | Cause::Tls(..)
            ) {
                self.forget();
            }
        }
        result
    }

    /// Learns the short form of the caller's credential from a reply, or that it is none any more.
    fn heed(&mut self, header: &ReplyHeader<'_>) {
        let Some(short) = &mut self.short else {
            return;
        };
        match (self.wanted, header.body) {
            (Wanted::Results, ReplyBody::Success) => short.learn(header.verifier),
            (Wanted::Short, ReplyBody::AuthError(stat)) if short.refused(stat) => {
                self.wanted = Wanted::Forgotten;
            }
            _ => {}
        }
    }

    /// Sends what the core has and reads until the one reply has come.
    fn transfer<T>(
        &mut self,
        time: &mut Time,
        decode: Decoder<T>,
        options: &Options,
    ) -> Result<T, Error> {
        if matches!(self.socket, Some(Socket::Udp(_))) {
            return self.transfer_datagrams(time, decode, options);
        }
        self.send().map_err(|e| broken(&e, true))?;
        loop {
            let result = match self.assembler.pending() {
                Some(missing) if missing > LARGE => {
                    self.read_large(missing, time, decode, options)?
                }
                _ => self.read_batch(time, decode, options)?,
            };
            if let Some(result) = result {
                return result;
            }
        }
    }

    /// Reads once and looks for the reply.
    fn read_batch<T>(
        &mut self,
        time: &mut Time,
        decode: Decoder<T>,
        options: &Options,
    ) -> Result<Option<Result<T, Error>>, Error> {
        let mut input = std::mem::take(&mut self.input);
        let read = self.read(&mut input, time, options);
        let batch = input
            .get(..*read.as_ref().unwrap_or(&0))
            .unwrap_or_default();
        let result = read
            .map(drop)
            .and_then(|()| self.records(batch, decode, options));
        self.input = input;
        result
    }

    /// Looks through a batch for the reply.
    fn records<T>(
        &mut self,
        batch: &[u8],
        decode: Decoder<T>,
        options: &Options,
    ) -> Result<Option<Result<T, Error>>, Error> {
        let (mut at, mut result) = (0, None);
        while let Some(record) = self.assembler.next(batch, &mut at).map_err(no_records)? {
            result = match &record {
                Record::InBatch(range) => {
                    let message = batch.get(range.clone()).unwrap_or_default();
                    self.take(message, Reader::with_limits, decode, options)
                }
                Record::Assembled(bytes) => self.take_shared(bytes, decode, options),
            }
            .or(result);
        }
        Ok(result)
    }

    /// Reads the rest of a large record straight into its own memory.
    fn read_large<T>(
        &mut self,
        missing: usize,
        time: &mut Time,
        decode: Decoder<T>,
        options: &Options,
    ) -> Result<Option<Result<T, Error>>, Error> {
        let room = self.assembler.room().min(missing);
        let mut buffer = std::mem::take(self.assembler.buffer());
        let have = buffer.len();
        buffer.resize(have + room, 0);
        let read = self.read(buffer.get_mut(have..).unwrap_or_default(), time, options);
        buffer.truncate(have + *read.as_ref().unwrap_or(&0));
        *self.assembler.buffer() = buffer;
        read?;
        let record = self.assembler.filled().map_err(no_records)?;
        Ok(record
            .and_then(|record| self.take_shared(&record.bytes(&Bytes::new()), decode, options)))
    }

    fn send(&mut self) -> io::Result<()> {
        self.core.poll_transmit(&mut self.out);
        while !self.out.is_empty() {
            let written = match self.socket.as_mut() {
                Some(Socket::Tcp(stream)) => write_some(stream, &self.out),
                #[cfg(feature = "tls")]
                Some(Socket::Tls(stream)) => write_some(stream, &self.out),
                Some(Socket::Unix(stream)) => write_some(stream, &self.out),
                _ => Err(io::ErrorKind::NotConnected.into()),
            };
            match written {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(n) => self.out.advance(n),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        match self.socket.as_mut() {
            #[cfg(feature = "tls")]
            Some(Socket::Tls(stream)) => stream.flush(),
            _ => Ok(()),
        }
    }

    /// Reads at least one byte before the deadline.
    fn read(
        &mut self,
        room: &mut [u8],
        time: &mut Time,
        options: &Options,
    ) -> Result<usize, Error> {
        loop {
            self.be_patient(time.left(), options.timeout)
                .map_err(|e| broken(&e, true))?;
            let read = match self.socket.as_mut() {
                Some(Socket::Tcp(stream)) => stream.read(room),
                #[cfg(feature = "tls")]
                Some(Socket::Tls(stream)) => stream.read(room),
                Some(Socket::Unix(stream)) => stream.read(room),
                _ => Err(io::ErrorKind::NotConnected.into()),
            };
            match read {
                Ok(0) => return Err(broken(&io::ErrorKind::UnexpectedEof.into(), true)),
                Ok(n) => return Ok(n),
                Err(error) if is_late(&error) && time.left().is_zero() => {
                    return Err(Error::new(Phase::Call, Cause::Deadline(options.timeout)));
                }
                Err(error) if is_late(&error) || error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(broken(&error, true)),
            }
        }
    }

    /// Sets the socket's time-out for what is left of `whole`. A call in time finds it set
    /// already, and so costs no system call for it.
    fn be_patient(&mut self, left: Duration, whole: Duration) -> io::Result<()> {
        let wanted = match left > whole - whole / 4 {
            true => whole,
            false => left.max(Duration::from_millis(1)),
        };
        if wanted == self.patience {
            return Ok(());
        }
        self.patience = wanted;
        match self.socket.as_ref() {
            Some(Socket::Tcp(stream)) => stream.set_read_timeout(Some(wanted)),
            #[cfg(feature = "tls")]
            Some(Socket::Tls(stream)) => stream.transport().set_read_timeout(Some(wanted)),
            Some(Socket::Unix(stream)) => stream.set_read_timeout(Some(wanted)),
            Some(Socket::Udp(socket)) => socket.set_read_timeout(Some(wanted)),
            None => Ok(()),
        }
    }

    fn take_shared<T>(
        &mut self,
        message: &Bytes,
        decode: Decoder<T>,
        options: &Options,
    ) -> Option<Result<T, Error>> {
        self.take(
            message,
            |part, limits| Reader::shared(message, part, limits),
            decode,
            options,
        )
    }

    /// The result that a message brings, if it answers the call.
    fn take<'m, T>(
        &mut self,
        message: &'m [u8],
        reader: impl FnOnce(&'m [u8], farcall_wire::Limits) -> Reader<'m>,
        decode: Decoder<T>,
        options: &Options,
    ) -> Option<Result<T, Error>> {
        match self.core.handle_record(message) {
            Incoming::Reply { .. } if self.wanted == Wanted::Whole => {
                Some(decode(&mut reader(message, options.limits.wire())).map_err(undecodable))
            }
            Incoming::Reply {
                header, results, ..
            } => {
                self.heed(&header);
                Some(match failure(header.body) {
                    Some(cause) => Err(Error::new(Phase::Call, cause)),
                    None => {
                        let part = message.get(results..).unwrap_or_default();
                        decode(&mut reader(part, options.limits.wire())).map_err(undecodable)
                    }
                })
            }
            Incoming::Malformed { error, .. } => Some(Err(undecodable(error))),
            Incoming::Call | Incoming::Ignored(_) => None,
        }
    }

    /// Sends, and sends again, until the reply has come.
    fn transfer_datagrams<T>(
        &mut self,
        time: &mut Time,
        decode: Decoder<T>,
        options: &Options,
    ) -> Result<T, Error> {
        time.asked = true;
        let whole = options.retransmit.first.min(options.timeout);
        let mut patience = whole;
        loop {
            self.send_datagrams().map_err(|e| broken(&e, true))?;
            self.be_patient(patience, whole)
                .map_err(|e| broken(&e, true))?;
            match self.receive_datagram(decode, options) {
                Ok(Some(result)) => return result,
                Ok(None) => {}
                Err(error) if is_late(&error) => {
                    self.core.handle_timeout(Instant::now());
                    while self.core.poll_event().is_some() {}
                }
                Err(error) => return Err(broken(&error, true)),
            }
            let left = time.left();
            if left.is_zero() {
                return Err(Error::new(Phase::Call, Cause::Deadline(options.timeout)));
            }
            let next = self.core.poll_timeout();
            patience = next.map_or(left, |next| {
                left.min(next.saturating_duration_since(Instant::now()))
            });
        }
    }

    fn send_datagrams(&mut self) -> io::Result<()> {
        let Some(Socket::Udp(socket)) = &self.socket else {
            return Err(io::ErrorKind::NotConnected.into());
        };
        while let Some(datagram) = self.core.poll_datagram() {
            socket.send(&datagram)?;
        }
        Ok(())
    }

    /// Receives one datagram; the result, if it answers the call.
    fn receive_datagram<T>(
        &mut self,
        decode: Decoder<T>,
        options: &Options,
    ) -> io::Result<Option<Result<T, Error>>> {
        let Some(Socket::Udp(socket)) = &self.socket else {
            return Err(io::ErrorKind::NotConnected.into());
        };
        let len = socket.recv(&mut self.input)?;
        let input = std::mem::take(&mut self.input);
        let message = input.get(..len).unwrap_or_default();
        let result = self.take(message, Reader::with_limits, decode, options);
        self.input = input;
        Ok(result)
    }

    /// Gives the connection up; the next call makes another.
    fn forget(&mut self) {
        self.core.lost();
        while self.core.poll_event().is_some() {}
        self.socket = None;
        self.out.clear();
    }
}

/// Writes the front of a queue.
fn write_some(to: &mut impl Write, queue: &TransmitQueue) -> io::Result<usize> {
    if let Some(bytes) = queue.contiguous() {
        // A plain write is the cheaper system call.
        return to.write(bytes);
    }
    let mut slices = [IoSlice::new(&[]); 64];
    let filled = queue.io_slices(&mut slices);
    to.write_vectored(slices.get(..filled).unwrap_or_default())
}

pub(crate) fn undecodable(error: farcall_wire::DecodeError) -> Error {
    Error::new(Phase::Decode, Cause::Decode(error))
}

pub(crate) fn broken(error: &io::Error, sent: bool) -> Error {
    #[cfg(feature = "tls")]
    if let Some(said) = crate::tls::explain_lost(error) {
        return said;
    }
    Error::new(Phase::Call, Cause::Disconnected(error.to_string())).executed(sent)
}

pub(crate) fn is_late(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut
    )
}

pub(crate) fn no_records(error: RecordError) -> Error {
    Error::new(Phase::Call, Cause::Disconnected(error.to_string())).executed(true)
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("blocking::Client")
            .field("endpoint", &self.endpoint)
            .finish_non_exhaustive()
    }
}
