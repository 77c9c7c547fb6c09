//! An association with a server of DCE/RPC whose calls block their thread.

use std::collections::VecDeque;
use std::io::{self, Read};
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use farcall_dce::co::client::{Authentication, Bound, CallId, Client as Core, Event};
use farcall_dce::seed::Seed;
use farcall_dce::syntax::{Syntax, SyntaxId};
use farcall_wire::{EncodeError, TransmitQueue, ndr};

use super::{Address, Fate, ROOM, Socket, broken, is_late, open_stream, undecodable, write_some};
use crate::client::dce::faults;
use crate::client::dce::link;
use crate::client::{Credentials, NdrDecoder, Options, random};
use crate::endpoint::Endpoint;
use crate::error::{Cause, Error, Phase};
use crate::interface::Interface;
use crate::scratch;

/// A connection and what is bound on it.
pub(super) struct Association {
    core: Core<()>,
    socket: Option<Socket>,
    /// What becomes of the connection, where a socket does not say it.
    fate: Option<Fate>,
    out: TransmitQueue,
    /// What the association has bound, or was refused.
    contexts: Vec<Bound>,
    /// The interfaces that calls were made to, the first one first.
    interfaces: Vec<SyntaxId>,
    /// How arguments are packed, once that is known.
    syntax: Option<Syntax>,
    /// What came with the last read, and was not asked for yet: pieces of results.
    pub(super) ready: VecDeque<Came>,
    /// Where a read lands.
    input: Box<[u8]>,
}

/// A packed call.
pub(super) struct Packed {
    pub(super) interface: &'static Interface,
    pub(super) opnum: u16,
    stub: Vec<u8>,
    pub(super) syntax: Syntax,
}

impl Packed {
    pub(super) fn new(
        interface: &'static Interface,
        opnum: u16,
        stub: Vec<u8>,
        syntax: Syntax,
    ) -> Self {
        Self {
            interface,
            opnum,
            stub,
            syntax,
        }
    }

    pub(super) fn stub(&self) -> &[u8] {
        &self.stub
    }
}

impl Drop for Packed {
    fn drop(&mut self) {
        scratch::give_stub(std::mem::take(&mut self.stub));
    }
}

/// What an event means for whoever waits.
pub(super) enum Came {
    Bound,
    /// A part of results that come in pieces.
    Piece(Bytes, ndr::Order),
    Results(Bytes, ndr::Order),
    Failed(Error),
}

impl Association {
    pub(super) fn new(interface: &Interface, options: &Options) -> Self {
        Self {
            core: core(options, None),
            socket: None,
            fate: None,
            out: TransmitQueue::new(),
            contexts: Vec::new(),
            interfaces: vec![interface.syntax_id()],
            syntax: None,
            ready: VecDeque::new(),
            input: vec![0; ROOM].into(),
        }
    }

    /// How arguments are packed.
    pub(super) fn syntax(&self) -> Syntax {
        self.syntax.unwrap_or_default()
    }

    pub(super) fn core(&mut self) -> &mut Core<()> {
        &mut self.core
    }

    /// Connects and binds unless that is done.
    pub(super) fn ensure(
        &mut self,
        address: &Address,
        endpoint: &Endpoint,
        options: &Options,
    ) -> Result<(), Error> {
        if self.socket.is_some() {
            return Ok(());
        }
        let opened = open_stream(address, endpoint, options);
        let (socket, fate) = opened.map_err(|error| error.with_peer(endpoint))?;
        let host = endpoint.host().unwrap_or("localhost");
        let credentials = options.credentials.as_ref();
        let authentication = credentials.map(|c| initiate(c, host)).transpose()?;
        self.core = core(options, self.syntax);
        (self.socket, self.fate, self.contexts) = (Some(socket), fate, Vec::new());
        self.out.clear();
        self.core
            .bind(Instant::now(), &self.interfaces, authentication);
        let bound = self.wait(Instant::now() + options.connect_timeout, Phase::Bind);
        if let Err(error) = bound.and_then(|came| came.bound()) {
            self.forget();
            return Err(error.executed(false));
        }
        if self.syntax.is_none() {
            let accepted = self.contexts.iter().find_map(|bound| bound.context.ok());
            self.syntax = accepted.map(|(_, syntax)| syntax);
        }
        Ok(())
    }

    /// Packs a call as the association wants it.
    pub(super) fn pack(
        &self,
        interface: &'static Interface,
        opnum: u16,
        options: &Options,
        encode: impl FnOnce(&mut ndr::Writer) -> Result<(), EncodeError>,
    ) -> Result<Packed, Error> {
        let syntax = self.syntax.unwrap_or_default();
        let mut writer = ndr::Writer::append_to(scratch::take_stub(), syntax, options.order());
        encode(&mut writer)?;
        Ok(Packed {
            interface,
            opnum,
            stub: writer.into_bytes(),
            syntax,
        })
    }

    /// Makes a call and waits for its result.
    pub(super) fn call<T>(
        &mut self,
        packed: &Packed,
        options: &Options,
        known: &[i64],
        decode: NdrDecoder<T>,
    ) -> Result<T, Error> {
        let deadline = Instant::now() + options.timeout;
        let context = self.context(packed, deadline)?;
        let (now, object) = (Instant::now(), options.object);
        let begun = self.core.call(
            now,
            context,
            packed.opnum,
            object,
            &packed.stub,
            Some(deadline),
            (),
        );
        let id = begun.map_err(link::refused_call)?;
        let (bytes, order) = match self.wait(deadline, Phase::Call) {
            Ok(Came::Results(bytes, order)) => (bytes, order),
            Ok(Came::Bound | Came::Piece(..)) => {
                return Err(Error::local(Phase::Call, "an unexpected bind_ack"));
            }
            Ok(Came::Failed(error)) => return Err(error),
            Err(error) => return Err(self.give_up(id, error)),
        };
        let limits = options.limits.wire();
        let reader = ndr::Reader::shared(&bytes, &bytes, packed.syntax, order, limits);
        decode(&mut reader.with_known(known)).map_err(undecodable)
    }

    /// The presentation context of a call's interface, which is bound if it is not yet.
    pub(super) fn context(&mut self, packed: &Packed, deadline: Instant) -> Result<u16, Error> {
        let id = packed.interface.syntax_id();
        let find = |contexts: &[Bound]| {
            let found = contexts.iter().find(|bound| bound.interface == id);
            found.map(|bound| bound.context)
        };
        if find(&self.contexts).is_none() {
            self.interfaces.push(id);
            let asked = self.core.alter(Instant::now(), &[id]);
            asked.map_err(link::refused_call)?;
            self.wait(deadline, Phase::Bind)?.bound()?;
        }
        match find(&self.contexts) {
            Some(Ok((context, syntax))) if syntax == packed.syntax => Ok(context),
            Some(Ok(_)) => Err(link::other_syntax(packed.interface)),
            Some(Err(refused)) => Err(faults::refused(refused)),
            None => Err(Error::local(
                Phase::Bind,
                "the server did not answer for it",
            )),
        }
    }

    /// Sends what the core has and reads until something has come.
    pub(super) fn wait(&mut self, deadline: Instant, phase: Phase) -> Result<Came, Error> {
        if let Some(came) = self.ready.pop_front() {
            return Ok(came);
        }
        let given = deadline.saturating_duration_since(Instant::now());
        loop {
            self.send().map_err(|e| self.ended(&e))?;
            while let Some(event) = self.core.poll_event() {
                if let Some(came) = self.take(event, &Bytes::new()) {
                    return Ok(came);
                }
            }
            let Some(len) = self.read(deadline)? else {
                return Err(Error::new(phase, Cause::Deadline(given)));
            };
            let batch = Bytes::copy_from_slice(self.input.get(..len).unwrap_or_default());
            self.receive(&batch);
            if let Some(came) = self.ready.pop_front() {
                return Ok(came);
            }
        }
    }

    fn receive(&mut self, batch: &Bytes) {
        let mut at = 0;
        while let Some(event) = self.core.handle_bytes(Instant::now(), batch, &mut at) {
            let came = self.take(event, batch);
            // Only pieces come in numbers: of anything else, the first is what is waited for.
            let pieces = matches!(self.ready.back(), None | Some(Came::Piece(..)));
            self.ready.extend(came.filter(|_| pieces));
        }
    }

    fn take(&mut self, event: Event<()>, batch: &Bytes) -> Option<Came> {
        match event {
            Event::Bound(bound) => {
                self.contexts.extend(bound);
                Some(Came::Bound)
            }
            Event::Response { order, stub, .. } => Some(Came::Results(stub.bytes(batch), order)),
            Event::Piece { order, stub, .. } => Some(Came::Piece(stub.bytes(batch), order)),
            Event::Fault { fault, .. } => Some(Came::Failed(faults::error(&fault))),
            Event::Ended { sent, .. } => {
                let why = Cause::Disconnected("before the reply came".into());
                Some(Came::Failed(Error::new(Phase::Call, why).executed(sent)))
            }
            Event::Ask(query) => {
                let answer = (query.0)();
                self.core.answer(Instant::now(), answer);
                None
            }
            Event::Close(close) => {
                let error = faults::closed(&close);
                self.forget();
                Some(Came::Failed(error))
            }
        }
    }

    pub(super) fn send(&mut self) -> io::Result<()> {
        self.core.poll_transmit(&mut self.out);
        while !self.out.is_empty() {
            let written = match self.socket.as_mut() {
                Some(Socket::Tcp(stream)) => write_some(stream, &self.out),
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
        Ok(())
    }

    /// Reads at least one byte before the deadline; nothing if it passes.
    fn read(&mut self, deadline: Instant) -> Result<Option<usize>, Error> {
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Ok(None);
            }
            let left = Some(left.max(Duration::from_millis(1)));
            let read = match self.socket.as_mut() {
                Some(Socket::Tcp(stream)) => stream
                    .set_read_timeout(left)
                    .and_then(|()| stream.read(&mut self.input)),
                Some(Socket::Unix(stream)) => stream
                    .set_read_timeout(left)
                    .and_then(|()| stream.read(&mut self.input)),
                _ => Err(io::ErrorKind::NotConnected.into()),
            };
            match read {
                Ok(0) => return Err(self.ended(&io::ErrorKind::UnexpectedEof.into())),
                Ok(n) => return Ok(Some(n)),
                Err(error) if is_late(&error) || error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(self.ended(&error)),
            }
        }
    }

    /// Why the connection ended, for a call that was under way.
    pub(super) fn ended(&self, error: &io::Error) -> Error {
        let reason = self.fate.as_ref().and_then(Fate::reason);
        reason.unwrap_or_else(|| broken(error, true))
    }

    /// Tells the server that nobody waits for a call any more, or gives the connection up if it
    /// is broken.
    fn give_up(&mut self, id: CallId, error: Error) -> Error {
        let sent = self.core.cancel(id).is_none_or(|((), sent)| sent);
        if !matches!(error.cause(), Cause::Deadline(_)) || self.send().is_err() {
            self.forget();
        }
        error.executed(sent)
    }

    /// Gives the connection up; the next call makes another.
    pub(super) fn forget(&mut self) {
        self.ready.clear();
        self.core.lost();
        while self.core.poll_event().is_some() {}
        (self.socket, self.fate, self.contexts) = (None, None, Vec::new());
        self.out.clear();
    }
}

impl Came {
    /// That the interfaces were answered for.
    fn bound(self) -> Result<(), Error> {
        match self {
            Self::Bound => Ok(()),
            Self::Failed(error) => Err(error),
            Self::Piece(..) | Self::Results(..) => Err(Error::local(
                Phase::Bind,
                "a response instead of a bind_ack",
            )),
        }
    }
}

fn core(options: &Options, syntax: Option<Syntax>) -> Core<()> {
    let config = link::config(options, syntax, 0);
    Core::new(config, Instant::now(), &Seed::new(random()))
}

/// Begins to prove who one is; that may block.
pub(crate) fn initiate(credentials: &Credentials, host: &str) -> Result<Authentication, Error> {
    let target = credentials.target.clone();
    let target = target.unwrap_or_else(|| format!("host/{host}"));
    let (initiator, level) = (Arc::clone(&credentials.initiator), credentials.level);
    let exchange = initiator
        .initiate(&target, level)
        .map_err(|denied| Error::new(Phase::Authenticate, Cause::Denied(denied.reason)))?;
    Ok(Authentication {
        exchange,
        auth_type: initiator.auth_type(),
        level,
    })
}
