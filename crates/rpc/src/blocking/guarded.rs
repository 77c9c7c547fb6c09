//! Calls of the blocking client under `RPCSEC_GSS`.
//!
//! Read first: RFC 2203 sections 5.2 and 5.3.3, `farcall_onc::gss`; [`client::gss`](crate::client) does the same for
//! calls that share a connection. Here one call is in flight, so no server's window is too small; what a mechanism must ask
//! elsewhere is asked by the thread that wants the result.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use farcall_onc::client::Maker;
use farcall_onc::gss::client::Next;
use farcall_onc::gss::{Established, Initiation, Progress};
use farcall_onc::msg::Target;
use farcall_wire::{Encode, Reader, xdr};

use super::{Client, Inner, Socket, Time, Wanted, undecodable};
use crate::client::gss::{Attempts, answered, denied, left, name, numbered};
use crate::client::link::refused;
use crate::client::{Decoder, Gss};
use crate::error::Error;

/// How long a server is waited for that is told to forget a context.
const FAREWELL: Duration = Duration::from_secs(2);

/// A context that stands.
pub(super) struct Session {
    established: Arc<Mutex<Established>>,
    /// Whose null procedure made it.
    target: Target,
}

/// One writer at a time: the client's own lock is held. What panicked meanwhile left numbers that were not used.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Client {
    /// Makes a call; a context that the server has lost is made anew once.
    pub(super) fn exchange_guarded<A: Encode + ?Sized, T>(
        &self,
        inner: &mut Inner,
        gss: &Gss,
        target: Target,
        arguments: &A,
        decode: Decoder<T>,
    ) -> Result<T, Error> {
        let deadline = Instant::now() + self.options.timeout;
        let arguments = Bytes::from(xdr::to_vec(arguments)?);
        let mut again = true;
        loop {
            let established = self.session(inner, gss, target, deadline)?;
            let attempts: Arc<Mutex<Attempts>> = Arc::default();
            let make: Maker = {
                let (established, attempts) = (Arc::clone(&established), Arc::clone(&attempts));
                let arguments = arguments.clone();
                Box::new(move |xid| {
                    let made = lock(&established).call(xid, target, &arguments);
                    lock(&attempts).note(made)
                })
            };
            let reply = self.whole(inner, make, deadline);
            let attempts = std::mem::take(&mut *lock(&attempts));
            if reply.is_err() && attempts.exhausted {
                inner.session = None;
            }
            match attempts.open(&mut lock(&established), &reply?)? {
                Ok(results) => {
                    let mut reader = Reader::with_limits(&results, self.options.limits.wire());
                    return decode(&mut reader).map_err(undecodable);
                }
                Err(fault) => {
                    inner.session = None;
                    if attempts.is_repeated() {
                        return Err(Error::from(fault).executed(true));
                    }
                    if !std::mem::replace(&mut again, false) {
                        return Err(fault.into());
                    }
                }
            }
        }
    }

    /// The context, made now if there is none.
    fn session(
        &self,
        inner: &mut Inner,
        gss: &Gss,
        target: Target,
        deadline: Instant,
    ) -> Result<Arc<Mutex<Established>>, Error> {
        if let Some(session) = &inner.session {
            return Ok(Arc::clone(&session.established));
        }
        let established = self.establish(inner, gss, target, deadline)?;
        let established = Arc::new(Mutex::new(established));
        inner.session = Some(Session {
            established: Arc::clone(&established),
            target,
        });
        Ok(established)
    }

    fn establish(
        &self,
        inner: &mut Inner,
        gss: &Gss,
        target: Target,
        deadline: Instant,
    ) -> Result<Established, Error> {
        let handshake = gss
            .initiator
            .initiate(&name(gss, &self.endpoint.to_string()));
        let mut initiation = Initiation::new(handshake.map_err(denied)?, gss.service);
        let mut next = Next::Step(Vec::new());
        loop {
            next = match next {
                Next::Step(token) => {
                    let progress = step(&mut initiation, &token)?;
                    initiation.call(0, target, progress).map_err(denied)?
                }
                Next::Call(call) => {
                    let reply = self.whole(inner, numbered(call), deadline)?;
                    answered(&mut initiation, &reply)?
                }
                Next::Established(established) => return Ok(*established),
            };
        }
    }

    /// A call whose message `make` makes, for its whole reply.
    fn whole(&self, inner: &mut Inner, make: Maker, deadline: Instant) -> Result<Bytes, Error> {
        self.ensure(inner)?;
        let begun = Instant::now();
        let id = inner
            .core
            .call_message(begun, make, Some(deadline), ())
            .map_err(refused)?;
        inner.wanted = Wanted::Whole;
        let time = Time {
            begun,
            given: left(deadline),
            asked: true,
        };
        let all: Decoder<Bytes> = |reader| Ok(Bytes::copy_from_slice(reader.rest()));
        inner.finish(id, time, all, &self.options)
    }

    /// Tells the server to forget the security context of [`Options::gss`](super::Options::gss), and waits until it
    /// has, 2 s at most. A client that is dropped tells it too, and does not wait.
    pub fn close_context(&self) {
        self.with_inner(|inner| {
            if let Some(session) = inner.session.take() {
                let _ = self.whole(inner, farewell(session), Instant::now() + FAREWELL);
            }
        });
    }
}

/// The message that tells a server to forget a context.
fn farewell(session: Session) -> Maker {
    Box::new(move |xid| {
        let message = lock(&session.established).destroy(xid, session.target);
        message.ok().map(Bytes::from)
    })
}

/// The server is told, if there is a connection; nobody waits for its answer.
impl Drop for Inner {
    fn drop(&mut self) {
        let (Some(session), Some(_)) = (self.session.take(), &self.socket) else {
            return;
        };
        let now = Instant::now();
        if self
            .core
            .call_message(now, farewell(session), None, ())
            .is_ok()
        {
            let _ = match self.socket {
                Some(Socket::Udp(_)) => self.send_datagrams(),
                _ => self.send(),
            };
        }
    }
}

/// One step of the mechanism, its questions answered here.
fn step(initiation: &mut Initiation, token: &[u8]) -> Result<Progress, Error> {
    let mut progress = initiation.handshake().step(token).map_err(denied)?;
    while let Progress::Need(query) = progress {
        progress = initiation.handshake().answer((query.0)()).map_err(denied)?;
    }
    Ok(progress)
}
