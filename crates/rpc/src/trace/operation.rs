//! One call of an interface's operation over a socket of its own, with the client's instants.
//!
//! Binding (and proving who one is) comes before the first of them and is not part of the record.

use std::io;
use std::time::Instant;

use bytes::Bytes;
use farcall_dce::co::client::{Client as Core, Event};
use farcall_dce::seed::Seed;
use farcall_wire::{DecodeError, EncodeError, TransmitQueue, ndr};

use super::call::{Probe, Traced, late};
use crate::blocking::{self, Fate};
use crate::client::dce::{faults, link};
use crate::client::{self, Options};
use crate::endpoint::{Endpoint, IntoEndpoint};
use crate::error::{Error, Phase};
use crate::interface::Interface;
use crate::steps::step::{Step, Steps, now};

/// What came from the server.
enum Came {
    /// The association is bound: context and syntax.
    Bound(u16, ndr::Syntax),
    /// A result.
    Response(Bytes, ndr::Order),
}

/// An association over a probe.
struct Association {
    probe: Probe,
    core: Core<()>,
    out: TransmitQueue,
    /// What becomes of the connection, where a socket does not say it.
    fate: Option<Fate>,
}

/// Makes one call of an operation over a connection of its own and records its steps. Of the
/// options those apply that apply to [`blocking::Client`].
///
/// # Errors
/// The server cannot be found, connected to or bound, or the arguments cannot be packed: then
/// there are no steps. Whatever happens later is in [`Traced::result`].
pub fn operation<T>(
    endpoint: impl IntoEndpoint,
    interface: &'static Interface,
    opnum: u16,
    options: &Options,
    encode: impl FnOnce(&mut ndr::Writer) -> Result<(), EncodeError>,
    decode: impl FnOnce(&mut ndr::Reader<'_>) -> Result<T, DecodeError>,
) -> Result<Traced<T>, Error> {
    let endpoint = endpoint.into_endpoint()?;
    let failing = |error: Error| error.with_peer(&endpoint);
    let mut association = Association::connect(&endpoint, interface, opnum, options)?;
    let bound = association.bind(&endpoint, interface, options);
    let (context, syntax) = bound.map_err(failing)?;
    association.probe.steps.set(Step::ClientPacks, now());
    let mut writer = ndr::Writer::new(syntax, options.order());
    encode(&mut writer)?;
    let (begun, object) = (Instant::now(), options.object);
    let id = association
        .core
        .call(begun, context, opnum, object, writer.stub(), None, ())
        .map_err(link::refused_call)?;
    association.probe.steps.xid = id.0;
    let came = association.wait(begun + options.timeout, options);
    let result = came.and_then(|came| match came {
        Came::Response(stub, order) => {
            let limits = options.limits.wire();
            let mut reader = ndr::Reader::shared(&stub, &stub, syntax, order, limits);
            let result = decode(&mut reader).map_err(blocking::undecodable)?;
            association.probe.steps.set(Step::CallerHasResult, now());
            Ok(result)
        }
        Came::Bound(..) => Err(Error::local(Phase::Call, "an unexpected bind_ack")),
    });
    association.probe.collect();
    Ok(Traced {
        result: result.map_err(failing),
        steps: association.probe.steps,
    })
}

impl Association {
    fn connect(
        endpoint: &Endpoint,
        interface: &'static Interface,
        opnum: u16,
        options: &Options,
    ) -> Result<Self, Error> {
        let address = blocking::find_interface(endpoint, interface, options)?;
        let transport = endpoint.transport();
        let opened = blocking::open_stream(&address, endpoint, options);
        let (socket, fate) = opened.map_err(|error| error.with_peer(endpoint))?;
        let steps = Steps {
            transport,
            interface: Some(interface.uuid),
            program: interface.uuid.fields().0,
            version: interface.major.into(),
            procedure: opnum.into(),
            xid: 0,
            peer: endpoint.to_string(),
            client: true,
            server: false,
            instants: [None; 10],
        };
        let config = link::config(options, None, 0);
        Ok(Self {
            probe: Probe::over(socket, steps),
            core: Core::new(config, Instant::now(), &Seed::new(client::random())),
            out: TransmitQueue::new(),
            fate,
        })
    }

    fn bind(
        &mut self,
        endpoint: &Endpoint,
        interface: &Interface,
        options: &Options,
    ) -> Result<(u16, ndr::Syntax), Error> {
        let host = endpoint.host().unwrap_or("localhost");
        let credentials = options.credentials.as_ref();
        let authentication = credentials
            .map(|credentials| blocking::initiate(credentials, host))
            .transpose()?;
        let begun = Instant::now();
        self.core
            .bind(begun, &[interface.syntax_id()], authentication);
        match self.wait(begun + options.connect_timeout, options)? {
            Came::Bound(context, syntax) => Ok((context, syntax)),
            Came::Response(..) => Err(Error::local(Phase::Bind, "an unexpected response")),
        }
    }

    /// Sends what the core has, and reads until something has come.
    fn wait(&mut self, deadline: Instant, options: &Options) -> Result<Came, Error> {
        loop {
            self.core.poll_transmit(&mut self.out);
            self.probe.send_all(&mut self.out)?;
            while let Some(event) = self.core.poll_event() {
                if let Some(came) = self.take(event, &Bytes::new())? {
                    return Ok(came);
                }
            }
            let Some(batch) = self.probe.receive(deadline, deadline)? else {
                return Err(late(options));
            };
            if batch.is_empty() {
                let end = io::Error::from(io::ErrorKind::UnexpectedEof);
                let reason = self.fate.as_ref().and_then(Fate::reason);
                return Err(reason.unwrap_or_else(|| blocking::broken(&end, true)));
            }
            let mut at = 0;
            while let Some(event) = self.core.handle_bytes(Instant::now(), &batch, &mut at) {
                if let Some(came) = self.take(event, &batch)? {
                    self.core.poll_transmit(&mut self.out);
                    self.probe.send_all(&mut self.out)?;
                    return Ok(came);
                }
            }
        }
    }

    fn take(&mut self, event: Event<()>, batch: &Bytes) -> Result<Option<Came>, Error> {
        match event {
            Event::Bound(bound) => match bound.first().map(|bound| bound.context) {
                Some(Ok((context, syntax))) => Ok(Some(Came::Bound(context, syntax))),
                Some(Err(refused)) => Err(faults::refused(refused)),
                None => Ok(None),
            },
            Event::Response { order, stub, .. } => {
                Ok(Some(Came::Response(stub.bytes(batch), order)))
            }
            // A call that is traced asks for its response as a whole.
            Event::Piece { .. } => Ok(None),
            Event::Fault { fault, .. } => Err(faults::error(&fault)),
            Event::Ended { sent, .. } => {
                let end = io::Error::from(io::ErrorKind::UnexpectedEof);
                Err(blocking::broken(&end, sent))
            }
            Event::Ask(query) => {
                let answer = (query.0)();
                self.core.answer(Instant::now(), answer);
                Ok(None)
            }
            Event::Close(close) => Err(faults::closed(&close)),
        }
    }
}
