//! Calls in the other direction: from the end that was called to the end that calls, over the same connection.
//!
//! Read first: RFC 5531 section 9: nothing in a message says that one end of a stream only calls and the other only
//! answers; the direction word tells calls and replies apart. So whoever serves a connection can call its peer over it,
//! as an ordinary [`Client`]: the server its clients ([`Call::back_channel`]), and a client that also serves
//! ([`Server::connect`](crate::Server::connect)) whom it called.
//!
//! The connection is driven by the server's side of it ([`server::stream`](crate::server)); this file is what that
//! driver and the callers share. A client of a caller does not connect again: it ends with its connection. A client that
//! also serves may, since it has an endpoint: what makes its calls outlives each connection.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::task::Context;
use std::time::Instant;

use bytes::Bytes;
use farcall_onc::client::Client as Core;
use farcall_onc::record::Record;
use farcall_wire::TransmitQueue;
use tokio::sync::oneshot;

use super::connect::{Connector, Converse, Made};
use super::gss::Guard;
use super::link::{Link, Standing};
use super::options::{Options, Reconnect};
use super::{Client, ClientHandle, Handle, seed};
use crate::call::Call;
use crate::endpoint::Endpoint;
use crate::error::{Cause, Error, Phase};
use crate::line::Line;

/// What makes calls over a connection that is served.
pub(crate) struct Back {
    link: Arc<Link>,
    /// What clients hold, as long as there are any.
    handle: Mutex<Weak<ClientHandle>>,
    peer: String,
    /// The connection was made by us: nobody needs it when its clients are gone.
    ours: bool,
    /// Who made the connection that carries it now, and waits for its end.
    ended: Mutex<Option<oneshot::Sender<()>>>,
}

impl Back {
    fn new(peer: String, options: &Options, ours: bool) -> Arc<Self> {
        let options = Options {
            reconnect: match ours {
                true => options.reconnect,
                false => Reconnect::Never,
            },
            ..options.clone()
        };
        let core = Core::stream(Link::config(&options), &seed());
        let link = Link::new(core, options);
        {
            let mut state = link.lock();
            (state.standing, state.handles) = (Standing::Up, 0);
        }
        Arc::new(Self {
            link,
            handle: Mutex::default(),
            peer,
            ours,
            ended: Mutex::default(),
        })
    }

    /// From now on `line` carries it; tells when that has ended.
    pub(crate) fn carried_by(self: &Arc<Self>, line: &Line) -> oneshot::Receiver<()> {
        let (ended, over) = oneshot::channel();
        *lock(&self.ended) = Some(ended);
        line.back_or(|| Arc::clone(self) as Arc<_>);
        over
    }

    /// What makes calls over `line`, if anything does. What makes them may go on over another line when this one has
    /// ended, and none of that concerns this one.
    #[inline]
    pub(crate) fn of(line: &Line) -> Option<Arc<Self>> {
        let back = Self::made(line)?;
        (!line.has_ended()).then_some(back)
    }

    /// What made calls over `line` at any time.
    #[inline]
    fn made(line: &Line) -> Option<Arc<Self>> {
        Arc::clone(line.back()?).downcast().ok()
    }

    fn client(self: &Arc<Self>, options: Options) -> Client {
        let mut known = lock(&self.handle);
        let handle = known.upgrade().unwrap_or_else(|| {
            self.link.lock().handles += 1;
            let handle = Arc::new(ClientHandle {
                link: Arc::clone(&self.link),
                connector: Arc::new(Connector::Given(None.into())),
                peer: self.peer.clone(),
            });
            *known = Arc::downgrade(&handle);
            handle
        });
        Client {
            guard: Guard::of(&options, &handle, None),
            handle: Handle::Onc(handle),
            options: Arc::new(options),
        }
    }

    /// Puts what callers have encoded behind `out`, and notes whom to wake for more.
    pub(crate) fn transmit(&self, cx: &Context<'_>, out: &mut TransmitQueue) {
        let mut state = self.link.lock();
        state.core.poll_transmit(out);
        state.sleep(cx.waker());
    }

    /// Takes a reply.
    pub(crate) fn receive(&self, record: &Record, batch: &Bytes) {
        self.link.settle(|state| state.receive(record, batch));
    }

    /// Whether callers wait for replies.
    pub(crate) fn is_waiting(&self) -> bool {
        self.link.lock().core.in_flight() > 0
    }

    /// Whether somebody may call.
    pub(crate) fn is_wanted(&self) -> bool {
        !self.link.is_deserted()
    }

    /// Whether the connection was made for its clients, and they are gone.
    pub(crate) fn is_over(&self) -> bool {
        self.ours && self.link.is_deserted()
    }

    /// When the next call's time is over.
    pub(crate) fn poll_timeout(&self) -> Option<Instant> {
        self.link.lock().core.poll_timeout()
    }

    /// Ends the calls whose time is over.
    pub(crate) fn handle_timeout(&self, now: Instant) {
        self.link.settle(|state| state.core.handle_timeout(now));
    }

    /// The connection is over: whoever made it is told, or else whoever waits, and whoever calls later.
    pub(crate) fn close(&self) {
        match lock(&self.ended).take() {
            // If nobody listens, its runtime is gone, and its clients have been told so.
            Some(ended) => drop(ended.send(())),
            None => self.link.close(&gone()),
        }
    }
}

impl fmt::Debug for Back {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Back({})", self.peer)
    }
}

fn gone() -> Error {
    Error::new(
        Phase::Call,
        Cause::Disconnected("the connection that carried it has ended".into()),
    )
}

/// A client whose connections are served as well: `converse` drives them for it. The first one is made already.
pub(crate) fn forward(
    (endpoint, program, version): (Endpoint, u32, u32),
    first: Made,
    options: Options,
    converse: impl FnOnce(Arc<Back>) -> Arc<dyn Converse>,
) -> Result<Client, Error> {
    let peer = endpoint.to_string();
    let back = Back::new(peer.clone(), &options, true);
    back.link.lock().handles = 1;
    let connector = Connector::Endpoint {
        endpoint,
        program,
        version,
        first: Some(first).into(),
        converse: Some(converse(Arc::clone(&back))),
    };
    let handle = Arc::new(ClientHandle {
        link: Arc::clone(&back.link),
        connector: Arc::new(connector),
        peer,
    });
    *lock(&back.handle) = Arc::downgrade(&handle);
    let client = Client {
        guard: Guard::of(&options, &handle, None),
        handle: Handle::Onc(handle),
        options: Arc::new(options),
    };
    client.started()
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A connection is over.
pub(crate) fn lost(line: &Line) {
    if line.end()
        && let Some(back) = Back::made(line)
    {
        back.close();
    }
}

impl Call {
    /// An ordinary client of whoever makes this call, over the same connection. It may be kept and used after the
    /// call has been answered, until the connection ends; its calls fail then. All such clients of a connection
    /// share it.
    ///
    /// Only what a connection is used for keeps it open: while such a client exists, it does not count as idle.
    ///
    /// # Errors
    /// The call came in a datagram or over DCE/RPC, or its connection has ended.
    // req: onc-5531-9-back
    pub fn back_channel(&self) -> Result<Client, Error> {
        let Some(line) = &self.line else {
            let text =
                "there is no way back to the caller: the call came by itself, not over a stream";
            return Err(Error::local(Phase::Connect, text));
        };
        if line.has_ended() {
            return Err(gone());
        }
        let options = Options::default();
        let peer = || format!("caller {}", self.peer());
        line.back_or(|| Back::new(peer(), &options, false));
        let back = Back::of(line).ok_or_else(gone)?;
        let client = back.client(options);
        // It may have ended in between.
        match line.has_ended() {
            true => Err(gone()),
            false => Ok(client),
        }
    }
}
