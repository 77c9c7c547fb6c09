//! Making a connection for an association, binding it, driving it, and making it again.

use std::future::Future;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Poll, ready};
use std::time::{Duration, Instant};

use farcall_dce::co::client::{Authentication, Client as Core};
use farcall_dce::seed::Seed;
use tokio::net::{TcpStream, UnixStream};

use super::driver::{Driver, End};
use super::faults;
use super::link::Link;
use super::mapper;
use crate::client::connect::{ByteStream, gone, refused};
use crate::client::http;
use crate::client::http::VirtualStream;
use crate::client::link::Standing;
use crate::client::options::{Credentials, Options, Reconnect};
use crate::client::random;
use crate::client::timer::Timer;
use crate::endpoint::{Endpoint, Transport};
use crate::error::{Cause, Error, Phase};
use crate::interface::Interface;
use crate::{local, socket};

/// How a client comes to its connection.
pub(crate) enum Connector {
    /// By an endpoint; without a port, the endpoint mapper knows where this interface is.
    Endpoint {
        endpoint: Endpoint,
        interface: &'static Interface,
    },
    /// It was given one, and only that one.
    Given(Mutex<Option<Box<dyn ByteStream>>>),
}

/// A connection that was made.
pub(crate) enum Made {
    Tcp(TcpStream),
    Unix(UnixStream),
    Given(Box<dyn ByteStream>),
}

impl Connector {
    async fn connect(&self, options: &Options) -> Result<Made, Error> {
        match self {
            Self::Endpoint {
                endpoint,
                interface,
            } => connect(endpoint, interface, options).await,
            Self::Given(stream) => {
                let given = stream.lock().unwrap_or_else(PoisonError::into_inner).take();
                given
                    .map(Made::Given)
                    .ok_or_else(|| gone("the stream it was given has ended"))
            }
        }
    }

    /// Whether a connection can be made again.
    pub(crate) fn is_repeatable(&self) -> bool {
        matches!(self, Self::Endpoint { .. })
    }

    /// The host, for the name by which authentication asks for the server.
    fn host(&self) -> &str {
        match self {
            Self::Endpoint { endpoint, .. } => endpoint.host().unwrap_or("localhost"),
            Self::Given(_) => "localhost",
        }
    }
}

/// Opens a virtual connection of RPC over HTTP.
pub(crate) async fn virtual_connection(
    endpoint: &Endpoint,
    interface: &'static Interface,
    options: &Options,
) -> Result<VirtualStream, Error> {
    let port = mapper::http_port(endpoint, interface, options).await?;
    let route = http::route::Route::new(endpoint, port, options)?;
    http::open::open(route).await
}

/// That the time for connecting is up.
pub(crate) fn late(limit: Duration) -> Error {
    Error::new(Phase::Connect, Cause::Deadline(limit))
        .hint("the host does not answer: is it up, and does a firewall let the port through?")
}

/// Connects to an endpoint of a stream. A virtual connection of RPC over HTTP is a stream like any other.
async fn connect(
    endpoint: &Endpoint,
    interface: &'static Interface,
    options: &Options,
) -> Result<Made, Error> {
    let failed = |error: io::Error| refused(&error, endpoint);
    if endpoint.transport() == Transport::NcacnHttp {
        let stream = virtual_connection(endpoint, interface, options).await?;
        return Ok(Made::Given(Box::new(stream)));
    }
    if let Endpoint::Local(name) = endpoint {
        let mut last = None;
        for path in local::to_connect(name).map_err(failed)? {
            match UnixStream::connect(path).await {
                Ok(stream) => return Ok(Made::Unix(stream)),
                // That there is something but it cannot be reached says more than that there is nothing.
                Err(error) if last.is_none() || error.kind() != io::ErrorKind::NotFound => {
                    last = Some(error);
                }
                Err(_) => {}
            }
        }
        return Err(failed(
            last.unwrap_or_else(|| io::ErrorKind::NotFound.into()),
        ));
    }
    let mut last = None;
    for address in mapper::addresses(endpoint, interface, options).await? {
        match TcpStream::connect(address).await {
            Ok(stream) => {
                socket::tune(&stream, &options.limits);
                return Ok(Made::Tcp(stream));
            }
            Err(error) => last = Some(error),
        }
    }
    Err(failed(
        last.unwrap_or_else(|| io::ErrorKind::AddrNotAvailable.into()),
    ))
}

/// The driver's task: connects, binds, drives, and connects again as long as somebody wants it.
///
/// It is watched from here on: its runtime may go away before it is polled at all.
pub(crate) fn run(
    link: Arc<Link>,
    connector: Arc<Connector>,
    group: u32,
) -> impl Future<Output = ()> + Send + 'static {
    let watch = Watch {
        link: Arc::clone(&link),
        ended: false,
    };
    run_watched(link, connector, group, watch)
}

async fn run_watched(link: Arc<Link>, connector: Arc<Connector>, mut group: u32, mut watch: Watch) {
    let mut pause = None;
    loop {
        match establish(&link, &connector, group).await {
            Ok(made) => {
                pause = None;
                let end = drive(made, &link).await;
                if !lost(&link, &connector, end) {
                    break;
                }
            }
            Err(error) => match next_pause(&link, pause) {
                Some(next) => {
                    tracing::debug!(%error, pause = ?next, "connecting failed");
                    pause = Some(next);
                    keeping_time(&link, tokio::time::sleep(next)).await;
                }
                None => {
                    give_up(&link, &connector, &error);
                    break;
                }
            },
        }
        // The group it was to join went with its last connection, if this was it.
        group = 0;
    }
    watch.ended = true;
}

/// Makes a connection within its time and begins to bind; calls that give up meanwhile are told
/// so.
async fn establish(link: &Arc<Link>, connector: &Connector, group: u32) -> Result<Made, Error> {
    let limit = link.options.connect_timeout;
    let connecting = async {
        let made = connector.connect(&link.options).await?;
        let authentication = match &link.options.credentials {
            Some(credentials) => Some(initiate(credentials, connector.host()).await?),
            None => None,
        };
        Ok::<_, Error>((made, authentication))
    };
    let connecting = tokio::time::timeout(limit, connecting);
    let (made, authentication) = match keeping_time(link, connecting).await {
        Ok(made) => made?,
        Err(_) => return Err(late(limit)),
    };
    let now = Instant::now();
    let mut core = Core::new(link.config(group), now, &Seed::new(random()));
    link.settle(|state| {
        core.bind(now, &state.wanted(), authentication);
        state.begin_association(core);
    });
    Ok(made)
}

/// Begins to prove who one is; that may ask servers, so it is done on the pool for blocking work.
async fn initiate(credentials: &Credentials, host: &str) -> Result<Authentication, Error> {
    let (initiator, level) = (Arc::clone(&credentials.initiator), credentials.level);
    let target = credentials.target.clone();
    let target = target.unwrap_or_else(|| format!("host/{host}"));
    let auth_type = initiator.auth_type();
    let initiating = tokio::task::spawn_blocking(move || initiator.initiate(&target, level));
    let exchange = match initiating.await {
        Ok(Ok(exchange)) => exchange,
        Ok(Err(denied)) => {
            return Err(Error::new(
                Phase::Authenticate,
                Cause::Denied(denied.reason),
            ));
        }
        Err(_) => return Err(Error::local(Phase::Authenticate, "the mechanism panicked")),
    };
    Ok(Authentication {
        exchange,
        auth_type,
        level,
    })
}

/// Runs `future` and keeps the time-outs of calls meanwhile, also of those that come meanwhile.
async fn keeping_time<T>(link: &Link, future: impl Future<Output = T>) -> T {
    let mut future = std::pin::pin!(future);
    let mut timer = Timer::new();
    std::future::poll_fn(move |cx| {
        if let Poll::Ready(value) = future.as_mut().poll(cx) {
            return Poll::Ready(value);
        }
        loop {
            let next = {
                let mut state = link.lock();
                state.sleep(cx.waker());
                state.poll_timeout()
            };
            let Some(next) = next else {
                return Poll::Pending;
            };
            ready!(timer.poll_until(cx, next));
            link.settle(|state| state.handle_timeout(Instant::now()));
        }
    })
    .await
}

async fn drive(made: Made, link: &Arc<Link>) -> End {
    let link = Arc::clone(link);
    match made {
        Made::Tcp(stream) => Driver::new(stream, link).await,
        Made::Unix(stream) => Driver::new(stream, link).await,
        Made::Given(stream) => Driver::new(stream, link).await,
    }
}

/// The pause before the next attempt to connect, if there is to be one.
fn next_pause(link: &Link, last: Option<Duration>) -> Option<Duration> {
    let Reconnect::Persistent { first, longest } = link.options.reconnect else {
        return None;
    };
    let state = link.lock();
    // Whoever connects for the first time wants to know what is wrong.
    if state.is_opening() || state.pending() == 0 {
        return None;
    }
    drop(state);
    Some(last.map_or(first, |last| (last * 2).min(longest)))
}

/// The connection ended: whoever sent a call on it is told. `true`: calls wait for another one.
fn lost(link: &Link, connector: &Connector, end: End) -> bool {
    if matches!(end, End::Deserted) {
        link.settle(|state| {
            state.core = None;
            state.standing = Standing::Down;
        });
        return false;
    }
    let bound = link.lock().is_bound();
    let ended = describe(&end);
    tracing::debug!(error = %ended, "connection ended");
    if link.options.reconnect == Reconnect::Never || !connector.is_repeatable() {
        link.settle(|state| state.lose(ended.clone()));
        link.close(&ended);
        return false;
    }
    link.settle(|state| {
        state.lose(ended.clone());
        // What was not bound will not be bound next time either.
        if !bound {
            state.fail_all(&ended.clone().executed(false));
        }
        let again = state.pending() > 0;
        if !again {
            state.standing = Standing::Down;
        }
        again
    })
}

/// What the calls that were sent on the connection are told.
fn describe(end: &End) -> Error {
    if let End::Io(error) = end
        && let Some(known) = error.get_ref().and_then(|it| it.downcast_ref::<Error>())
    {
        return known.clone();
    }
    let why = match end {
        End::Over(close) => return faults::closed(close),
        End::Unbound(limit) => {
            return Error::new(Phase::Bind, Cause::Deadline(*limit))
                .hint("is it a server of DCE/RPC that listens there?");
        }
        End::Closed => "the server closed it before the reply came".into(),
        End::Io(error) => error.to_string(),
        End::Stalled(limit) => format!("the server took nothing for {limit:?} (write_stall)"),
        End::Deserted => "no longer needed".into(),
    };
    Error::new(Phase::Call, Cause::Disconnected(why))
}

/// No connection can be made: whoever waits for one is told.
fn give_up(link: &Link, connector: &Connector, error: &Error) {
    if link.options.reconnect == Reconnect::Never || !connector.is_repeatable() {
        link.close(error);
        return;
    }
    link.settle(|state| {
        state.standing = Standing::Down;
        state.fail_all(error);
    });
}

/// Notices that the driver's runtime went away under it.
struct Watch {
    link: Arc<Link>,
    ended: bool,
}

impl Drop for Watch {
    fn drop(&mut self) {
        if self.ended {
            return;
        }
        let error = Error::new(
            Phase::Call,
            Cause::Disconnected("the runtime that drove it was shut down".into()),
        );
        self.link.settle(|state| {
            state.lose(error.clone());
            state.standing = Standing::Down;
            state.fail_all(&error);
        });
    }
}
