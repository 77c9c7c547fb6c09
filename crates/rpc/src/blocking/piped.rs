//! Calls with pipes that block their thread.
//!
//! The thread that makes the call moves everything: it asks the sources for elements and writes
//! them, then reads results and hands their elements to whoever takes them. What is between is
//! never more than a pipe's window.

use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};
use std::time::Instant;

use bytes::Bytes;
use farcall_dce::co::client::{CallId, Pieces};
use farcall_wire::ndr::Inflow;
use farcall_wire::{DecodeError, EncodeError, ndr};

use super::association::{Association, Came, Packed};
use crate::client::Options;
use crate::client::dce::link;
use crate::conduit::Conduit;
use crate::error::{Error, Phase};
use crate::interface::Interface;
use crate::pipe::{Intake, Outlet, Sinks, Sources};

/// Wakes a thread that waits for a source.
struct Rouse(Thread);

impl Wake for Rouse {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

/// A call with pipes, ready to be made.
pub(super) struct Piped<'s> {
    packed: Packed,
    conduit: Arc<Conduit>,
    outlet: Outlet,
    sources: Sources,
    sinks: Sinks<'s>,
}

impl Association {
    /// Packs what stands beside the pipes of a call.
    pub(super) fn pack_piped<'s>(
        &self,
        interface: &'static Interface,
        opnum: u16,
        options: &Options,
        encode: impl FnOnce(&mut ndr::Writer) -> Result<(), EncodeError>,
        (sources, sinks): (Sources, Sinks<'s>),
    ) -> Result<Piped<'s>, Error> {
        let limits = &options.limits;
        let conduit = Arc::new(Conduit::new(limits.pipe, limits.stub));
        let flow = ndr::Outflow::new(self.syntax(), options.order());
        let outlet = Outlet::new(Arc::clone(&conduit), flow);
        let stub = outlet.part(encode)?;
        Ok(Piped {
            packed: Packed::new(interface, opnum, stub.into(), self.syntax()),
            conduit,
            outlet,
            sources,
            sinks,
        })
    }

    /// Makes a call with pipes and waits for its result.
    pub(super) fn call_piped<T>(
        &mut self,
        mut piped: Piped<'_>,
        options: &Options,
        known: &[i64],
        take: fn(&mut ndr::Reader<'_>) -> Result<T, DecodeError>,
    ) -> Result<T, Error> {
        let packed = &piped.packed;
        let context = self.context(packed, Instant::now() + options.timeout)?;
        let pieces = Pieces {
            request: !piped.sources.is_empty(),
            response: true,
        };
        let (now, object) = (Instant::now(), options.object);
        let begun = self.core().call_in_pieces(
            now,
            context,
            packed.opnum,
            object,
            packed.stub(),
            None,
            (),
            pieces,
        );
        let id = begun.map_err(link::refused_call)?;
        let called = self
            .feed(&mut piped, id)
            .and_then(|()| self.receive_all(&mut piped, options, known, take));
        called.map_err(|error| match self.core().cancel(id) {
            None => error,
            Some(_) => {
                // What is left of either half cannot be told from the next call.
                self.forget();
                error.executed(true)
            }
        })
    }

    /// Writes what the sources give until they end.
    fn feed(&mut self, piped: &mut Piped<'_>, id: CallId) -> Result<(), Error> {
        if piped.sources.is_empty() {
            return Ok(());
        }
        let waker = Waker::from(Arc::new(Rouse(thread::current())));
        let mut cx = Context::from_waker(&waker);
        loop {
            let ended = match piped.sources.poll_feed(&mut cx, &piped.outlet) {
                Poll::Ready(fed) => {
                    fed?;
                    piped.outlet.finish();
                    true
                }
                Poll::Pending => false,
            };
            let mut moved = false;
            while let Some((piece, last)) = piped.conduit.take() {
                let more = self.core().more(id, &piece, last);
                more.map_err(link::refused_call)?;
                moved = true;
                if last {
                    break;
                }
            }
            self.send().map_err(|e| self.ended(&e))?;
            match (ended, moved) {
                (true, _) => return Ok(()),
                (false, true) => {}
                (false, false) => thread::park(),
            }
        }
    }

    /// Reads the results; each piece of them in time.
    fn receive_all<T>(
        &mut self,
        piped: &mut Piped<'_>,
        options: &Options,
        known: &[i64],
        take: fn(&mut ndr::Reader<'_>) -> Result<T, DecodeError>,
    ) -> Result<T, Error> {
        let mut intake = None;
        loop {
            let deadline = Instant::now() + options.timeout;
            let (piece, order, last) = match self.wait(deadline, Phase::Call)? {
                Came::Piece(piece, order) => (piece, order, false),
                Came::Results(piece, order) => (piece, order, true),
                Came::Failed(error) => return Err(error),
                Came::Bound => return Err(Error::local(Phase::Call, "an unexpected bind_ack")),
            };
            let intake = intake.get_or_insert_with(|| {
                let flow = Inflow::new(piped.packed.syntax, order, options.limits.wire());
                Intake::new(Arc::clone(&piped.conduit), flow)
            });
            piped.conduit.deliver(piece, last);
            while let Some(piece) = self.another() {
                let (piece, last) = piece?;
                piped.conduit.deliver(piece, last);
            }
            let mut cx = Context::from_waker(Waker::noop());
            if let Poll::Ready(done) = piped.sinks.poll_drain(&mut cx, intake) {
                done?;
                let part = std::pin::pin!(intake.part(known, options.limits.stub, take));
                if let Poll::Ready(result) = part.poll(&mut cx) {
                    return Ok(result?);
                }
            }
        }
    }

    /// A piece that came with the last read.
    fn another(&mut self) -> Option<Result<(Bytes, bool), Error>> {
        match self.ready.pop_front()? {
            Came::Piece(piece, _) => Some(Ok((piece, false))),
            Came::Results(piece, _) => Some(Ok((piece, true))),
            Came::Failed(error) => Some(Err(error)),
            Came::Bound => self.another(),
        }
    }
}
