//! Making a connection, driving it, and making it again.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Poll, ready};
use std::time::{Duration, Instant};

use farcall_onc::msg::Target;
use farcall_onc::record::RecordError;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, UdpSocket, UnixStream};

use super::datagram::DatagramDriver;
use super::link::{Link, Standing};
use super::options::{Options, Ping, Reconnect};
use super::ping;
use super::resolve;
#[cfg(feature = "tls")]
use super::secure;
use super::stream::{End, StreamDriver};
use super::timer::Timer;
use crate::endpoint::{Endpoint, Transport};
use crate::error::{Cause, Error, Phase};
use crate::socket;

/// A byte stream of any kind.
pub trait ByteStream: AsyncRead + AsyncWrite + Send + Unpin + 'static {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin + 'static> ByteStream for T {}

/// A server that drives connections which its own clients make: calls go both ways on them.
pub(crate) trait Converse: Send + Sync {
    /// Whether it still does.
    ///
    /// # Errors
    /// It has ended.
    fn ready(&self) -> Result<(), Error>;

    /// Drives a connection to its end.
    fn drive(&self, made: Made) -> Pin<Box<dyn Future<Output = End> + Send + '_>>;
}

/// How a client comes to its connection.
pub(crate) enum Connector {
    /// By an endpoint; without a port, rpcbind knows where this program's version is.
    Endpoint {
        endpoint: Endpoint,
        program: u32,
        version: u32,
        /// A connection that was made before the driver began.
        first: Mutex<Option<Made>>,
        /// Who drives the connections, if they are served as well.
        converse: Option<Arc<dyn Converse>>,
    },
    /// It was given one, and only that one.
    Given(Mutex<Option<Box<dyn ByteStream>>>),
    /// A server's address for datagrams, and perhaps a socket that is connected to it already.
    Datagrams(Mutex<Option<UdpSocket>>, SocketAddr),
}

/// A connection that was made.
pub(crate) enum Made {
    Tcp(TcpStream),
    #[cfg(feature = "tls")]
    Tls(Box<crate::tls::TlsStream<TcpStream>>),
    Unix(UnixStream),
    Given(Box<dyn ByteStream>),
    Datagrams(UdpSocket, SocketAddr),
}

impl Connector {
    async fn connect(&self, link: &Link) -> Result<Made, Error> {
        match self {
            Self::Endpoint {
                endpoint,
                program,
                version,
                first,
                converse,
            } => {
                if let Some(converse) = converse {
                    converse.ready()?;
                }
                let first = first.lock().unwrap_or_else(PoisonError::into_inner).take();
                match first {
                    Some(made) => Ok(made),
                    None => connect(endpoint, *program, *version, &link.options).await,
                }
            }
            Self::Given(stream) => {
                let given = stream.lock().unwrap_or_else(PoisonError::into_inner).take();
                given
                    .map(Made::Given)
                    .ok_or_else(|| gone("the stream it was given has ended"))
            }
            Self::Datagrams(socket, server) => {
                let given = socket.lock().unwrap_or_else(PoisonError::into_inner).take();
                let socket = match given {
                    Some(socket) => socket,
                    None => datagram_socket(*server)
                        .await
                        .map_err(|error| Error::io(Phase::Connect, &error))?,
                };
                Ok(Made::Datagrams(socket, *server))
            }
        }
    }

    /// Whether a connection can be made again.
    fn is_repeatable(&self) -> bool {
        !matches!(self, Self::Given(_))
    }

    /// Lets go of what was made before the driver began: it belongs to a runtime that is gone.
    fn forget(&self) {
        match self {
            Self::Endpoint { first, .. } => {
                first.lock().unwrap_or_else(PoisonError::into_inner).take();
            }
            Self::Datagrams(socket, _) => {
                socket.lock().unwrap_or_else(PoisonError::into_inner).take();
            }
            Self::Given(_) => {}
        }
    }

    /// Who drives the connections, if not we.
    fn converse(&self) -> Option<&dyn Converse> {
        match self {
            Self::Endpoint { converse, .. } => converse.as_deref(),
            _ => None,
        }
    }

    /// What to ask whether the server is there, if it is to be asked.
    fn ping(&self, options: &Options) -> Option<(Ping, Target)> {
        let Self::Endpoint {
            program, version, ..
        } = self
        else {
            return None;
        };
        let target = Target {
            program: *program,
            version: *version,
            procedure: 0,
        };
        options.ping.map(|ping| (ping, target))
    }
}

pub(crate) fn gone(why: &str) -> Error {
    Error::new(Phase::Connect, Cause::Disconnected(why.into()))
}

/// Connects to an endpoint of a stream.
pub(crate) async fn connect(
    endpoint: &Endpoint,
    program: u32,
    version: u32,
    options: &Options,
) -> Result<Made, Error> {
    let failed = |error: io::Error| refused(&error, endpoint);
    if let Endpoint::Unix(path) = endpoint {
        return UnixStream::connect(path)
            .await
            .map(Made::Unix)
            .map_err(failed);
    }
    #[cfg(feature = "tls")]
    if let Some(tls) = secure::wanted(endpoint, options).map_err(|e| e.with_peer(endpoint))? {
        let addresses = resolve::addresses(endpoint, program, version).await?;
        let stream = dial(&addresses, endpoint, options).await?;
        let called = (program, version);
        let secured = secure::secure(stream, endpoint, called, &tls).await;
        return match secured.map_err(|error| error.with_peer(endpoint))? {
            secure::Secured::Tls(stream) => Ok(Made::Tls(stream)),
            secure::Secured::Clear(stream) => Ok(Made::Tcp(stream)),
            secure::Secured::Again => dial(&addresses, endpoint, options).await.map(Made::Tcp),
        };
    }
    #[cfg(not(feature = "tls"))]
    if endpoint.transport() == Transport::Tls {
        let text = "this build has no TLS (feature \"tls\" of farcall)";
        return Err(Error::local(Phase::Connect, text).with_peer(endpoint));
    }
    let addresses = resolve::addresses(endpoint, program, version).await?;
    dial(&addresses, endpoint, options).await.map(Made::Tcp)
}

/// Connects to the first address that answers.
async fn dial(
    addresses: &[SocketAddr],
    endpoint: &Endpoint,
    options: &Options,
) -> Result<TcpStream, Error> {
    let mut last = None;
    for address in addresses {
        match TcpStream::connect(address).await {
            Ok(stream) => {
                socket::tune(&stream, &options.limits);
                return Ok(stream);
            }
            Err(error) => last = Some(error),
        }
    }
    let last = last.unwrap_or_else(|| io::ErrorKind::AddrNotAvailable.into());
    Err(refused(&last, endpoint))
}

pub(crate) fn refused(error: &io::Error, endpoint: &Endpoint) -> Error {
    let said = Error::io(Phase::Connect, error).with_peer(endpoint);
    match error.kind() {
        io::ErrorKind::ConnectionRefused => said.hint("is the server running, and at this port?"),
        io::ErrorKind::NotFound => said.hint("no socket there: is the server running?"),
        _ => said,
    }
}

/// A UDP socket connected to an endpoint.
pub(crate) async fn connect_udp(
    endpoint: &Endpoint,
    program: u32,
    version: u32,
) -> Result<(UdpSocket, SocketAddr), Error> {
    let failed = |error: io::Error| Error::io(Phase::Connect, &error).with_peer(endpoint);
    let addresses = resolve::addresses(endpoint, program, version).await?;
    let Some(server) = addresses.into_iter().next() else {
        return Err(failed(io::ErrorKind::AddrNotAvailable.into()));
    };
    let socket = datagram_socket(server).await.map_err(failed)?;
    Ok((socket, server))
}

/// A new socket that is connected to `server`.
async fn datagram_socket(server: SocketAddr) -> io::Result<UdpSocket> {
    let any: SocketAddr = match server {
        SocketAddr::V4(_) => ([0, 0, 0, 0], 0).into(),
        SocketAddr::V6(_) => ([0_u16; 8], 0).into(),
    };
    let socket = UdpSocket::bind(any).await?;
    socket.connect(server).await?;
    Ok(socket)
}

/// The driver's task: connects, drives, and connects again as long as somebody wants it.
///
/// It is watched from here on: its runtime may go away before it is polled at all.
pub(crate) fn run(
    link: Arc<Link>,
    connector: Arc<Connector>,
) -> impl Future<Output = ()> + Send + 'static {
    let watch = Watch {
        link: Arc::clone(&link),
        connector: Arc::clone(&connector),
        ended: false,
    };
    run_watched(link, connector, watch)
}

async fn run_watched(link: Arc<Link>, connector: Arc<Connector>, mut watch: Watch) {
    let mut pause = None;
    let mut haste = Haste::default();
    loop {
        match establish(&link, &connector).await {
            Ok(made) => {
                pause = None;
                let began = Instant::now();
                let end = drive_asking(made, &link, &connector).await;
                if !lost(&link, &connector, end) {
                    break;
                }
                if let Some(pause) = haste.pause(began.elapsed()) {
                    wait(&link, pause).await;
                }
            }
            Err(error) => match next_pause(&link, pause) {
                Some(next) => {
                    tracing::debug!(%error, pause = ?next, "connecting failed");
                    pause = Some(next);
                    wait(&link, next).await;
                }
                None => {
                    give_up(&link, &connector, &error);
                    break;
                }
            },
        }
    }
    watch.ended = true;
}

/// Makes a connection within its time; calls that give up meanwhile are told so.
async fn establish(link: &Arc<Link>, connector: &Connector) -> Result<Made, Error> {
    let limit = link.options.connect_timeout;
    let connecting = tokio::time::timeout(limit, connector.connect(link));
    match keeping_time(link, connecting).await {
        Ok(made) => made,
        Err(_) => Err(Error::new(Phase::Connect, Cause::Deadline(limit))
            .hint("the host does not answer: is it up, and does a firewall let the port through?")),
    }
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
                state.core.poll_timeout()
            };
            let Some(next) = next else {
                return Poll::Pending;
            };
            ready!(timer.poll_until(cx, next));
            link.settle(|state| state.core.handle_timeout(Instant::now()));
        }
    })
    .await
}

async fn wait(link: &Link, pause: Duration) {
    keeping_time(link, tokio::time::sleep(pause)).await;
}

/// How hastily connections follow each other: a server that accepts and closes at once is not
/// called upon again and again without a breath.
#[derive(Default)]
struct Haste {
    /// Connections that ended soon, in a row.
    short: u32,
}

impl Haste {
    /// A connection that lives this long is no haste.
    const SOON: Duration = Duration::from_secs(1);
    /// The pause after the second short connection; it doubles with each that follows.
    const FIRST: Duration = Duration::from_millis(50);
    /// The longest pause is the first, doubled this many times: 3.2 s.
    const DOUBLED: u32 = 6;

    /// The pause before the next connection, the last one having lived for `lived`.
    fn pause(&mut self, lived: Duration) -> Option<Duration> {
        if lived >= Self::SOON {
            self.short = 0;
            return None;
        }
        let before = self.short;
        self.short = before.saturating_add(1);
        let doubled = before.checked_sub(1)?.min(Self::DOUBLED);
        Some(Self::FIRST * 2_u32.pow(doubled))
    }
}

/// Drives a connection, and asks meanwhile whether the server is there if that is wanted.
async fn drive_asking(made: Made, link: &Arc<Link>, connector: &Connector) -> End {
    let driving = async {
        match connector.converse() {
            Some(converse) => converse.drive(made).await,
            None => drive(made, link).await,
        }
    };
    let Some((ping, target)) = connector.ping(&link.options) else {
        return driving.await;
    };
    tokio::select! {
        biased;
        end = driving => end,
        () = ping::until_silent(link, ping, target) => End::Silent(ping.misses),
    }
}

async fn drive(made: Made, link: &Arc<Link>) -> End {
    let link = Arc::clone(link);
    match made {
        Made::Tcp(stream) => StreamDriver::new(stream, link).await,
        #[cfg(feature = "tls")]
        Made::Tls(stream) => StreamDriver::new(stream, link).await,
        Made::Unix(stream) => StreamDriver::new(stream, link).await,
        Made::Given(stream) => StreamDriver::new(stream, link).await,
        Made::Datagrams(socket, server) => DatagramDriver::new(socket, server, link).await,
    }
}

/// The pause before the next attempt to connect, if there is to be one.
fn next_pause(link: &Link, last: Option<Duration>) -> Option<Duration> {
    let Reconnect::Persistent { first, longest } = link.options.reconnect else {
        return None;
    };
    if link.lock().core.in_flight() == 0 {
        return None;
    }
    Some(last.map_or(first, |last| (last * 2).min(longest)))
}

/// The connection ended: whoever sent a call on it is told. `true`: calls wait for another one.
fn lost(link: &Link, connector: &Connector, end: End) -> bool {
    if matches!(end, End::Deserted) {
        link.settle(|state| state.standing = Standing::Down);
        return false;
    }
    let ended = describe(&end);
    tracing::debug!(error = %ended, "connection ended");
    let final_end = link.options.reconnect == Reconnect::Never || !connector.is_repeatable();
    if final_end {
        link.close(&ended);
        return false;
    }
    link.settle(|state| {
        state.ended = Some(ended);
        state.core.lost();
        let again = state.core.in_flight() > 0;
        if !again {
            state.standing = Standing::Down;
        }
        again
    })
}

/// What the calls that were sent on the connection are told.
fn describe(end: &End) -> Error {
    #[cfg(feature = "tls")]
    if let End::Io(error) = end
        && let Some(said) = crate::tls::explain_lost(error)
    {
        return said;
    }
    let why = match end {
        End::Closed => "the server closed it before the reply came".into(),
        End::Io(error) => error.to_string(),
        End::Record(error) => error.to_string(),
        End::Stalled(limit) => format!("the server took nothing for {limit:?} (write_stall)"),
        End::Silent(misses) => format!("the server answered none of {misses} null calls (ping)"),
        End::Deserted => "no longer needed".into(),
    };
    let error = Error::new(Phase::Call, Cause::Disconnected(why));
    match end {
        End::Record(RecordError::Foreign(protocol)) => error.hint(format!(
            "{protocol} is served at this port: is it the right one?"
        )),
        _ => error,
    }
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
    connector: Arc<Connector>,
    ended: bool,
}

impl Drop for Watch {
    fn drop(&mut self) {
        if self.ended {
            return;
        }
        self.connector.forget();
        let error = Error::new(
            Phase::Call,
            Cause::Disconnected("the runtime that drove it was shut down".into()),
        );
        self.link.settle(|state| {
            state.core.lost();
            state.standing = Standing::Down;
            state.fail_all(&error);
        });
    }
}

/// The transport over which an endpoint is reached, for a message.
pub(crate) fn is_datagram(endpoint: &Endpoint) -> bool {
    endpoint.transport() == Transport::Udp
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_connections_are_followed_by_longer_and_longer_pauses() {
        let mut haste = Haste::default();
        let soon = Duration::from_millis(3);
        assert_eq!(haste.pause(soon), None, "the first may be bad luck");
        let pauses: Vec<_> = (0..9).filter_map(|_| haste.pause(soon)).collect();
        let wanted = [50, 100, 200, 400, 800, 1600, 3200, 3200, 3200];
        assert_eq!(pauses, wanted.map(Duration::from_millis));
        assert_eq!(haste.pause(Duration::from_secs(2)), None);
        assert_eq!(haste.pause(soon), None);
        assert_eq!(haste.pause(soon), Some(Duration::from_millis(50)));
    }
}
