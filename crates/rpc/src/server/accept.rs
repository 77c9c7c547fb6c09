//! Accepting connections: caps overall and per source, and errors that must not end it.
//!
//! One task accepts for a listening socket and hands connections to the cores in turn. When the
//! process has no descriptor left, a reserve is given up for a moment, so that the connection
//! can be taken and closed instead of being offered again and again.

use std::fs::File;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use farcall_onc::tls::Terms;
use tokio::net::{TcpListener, TcpStream, UnixListener, UnixStream};
use tokio::runtime::Handle;
use tokio_util::task::TaskTracker;
use tokio_util::task::task_tracker::TaskTrackerToken;

use super::census::{Census, Counted};
use super::dce::connection::Connection as Association;
use super::dce::exports::Door;
use super::http::arrival::{self, Arrival};
use super::http::exchange::Exchange;
use super::hub::{Hub, Stage};
use super::lane::{Lend, Switch};
use super::origin::Origin;
use super::stream::StreamConnection;
use super::visit::{self, End, Leave, log_end};
use crate::call::Peer;
use crate::endpoint::Transport;
use crate::line::Line;
use crate::socket;
use crate::steps::stamp;
use crate::steps::stamped::Stamped;

/// A listening stream socket.
pub(crate) enum Listener {
    Tcp(TcpListener),
    Unix(UnixListener),
}

/// An accepted connection.
enum Accepted {
    Tcp(TcpStream, SocketAddr),
    Unix(UnixStream),
}

impl Listener {
    async fn accept(&self) -> io::Result<Accepted> {
        match self {
            Self::Tcp(listener) => listener
                .accept()
                .await
                .map(|(s, from)| Accepted::Tcp(s, from)),
            Self::Unix(listener) => listener.accept().await.map(|(s, _)| Accepted::Unix(s)),
        }
    }
}

impl Accepted {
    fn source(&self) -> Option<IpAddr> {
        match self {
            Self::Tcp(_, from) => Some(from.ip().to_canonical()),
            Self::Unix(_) => None,
        }
    }
}

/// What an acceptor needs to hand connections out.
pub(crate) struct Acceptor {
    pub(crate) hub: Arc<Hub>,
    pub(crate) cores: Vec<Handle>,
    pub(crate) census: Arc<Census>,
    pub(crate) tasks: TaskTracker,
    pub(crate) speaks: Speaks,
}

/// What is spoken on a connection.
#[derive(Clone)]
pub(crate) enum Speaks {
    /// ONC RPC, TLS offered or demanded over TCP.
    Onc(Terms),
    /// DCE/RPC.
    Dce(Door),
    /// DCE/RPC over virtual connections, which proxies bring.
    Http(Arc<Exchange>),
}

impl Speaks {
    /// The transport of a TCP connection.
    pub(crate) fn over_tcp(&self) -> Transport {
        match self {
            Self::Onc(_) => Transport::Tcp,
            Self::Dce(_) => Transport::NcacnIpTcp,
            Self::Http(_) => Transport::NcacnHttp,
        }
    }

    /// The transport of a Unix socket.
    pub(crate) fn over_unix(&self) -> Transport {
        match self {
            Self::Onc(_) => Transport::Unix,
            Self::Dce(_) | Self::Http(_) => Transport::Ncalrpc,
        }
    }

    fn terms(&self) -> Terms {
        match self {
            Self::Onc(terms) => *terms,
            Self::Dce(_) | Self::Http(_) => Terms::Unoffered,
        }
    }
}

impl Acceptor {
    /// Accepts until the server drains.
    pub(crate) async fn run(self, listener: Listener) {
        let mut stages = self.hub.stages();
        let mut reserve = File::open("/dev/null").ok();
        let mut next = 0_usize;
        loop {
            let accepted = tokio::select! {
                biased;
                _ = stages.wait_for(|stage| *stage != Stage::Serving) => return,
                accepted = listener.accept() => accepted,
            };
            match accepted {
                Ok(accepted) => {
                    self.hand_out(accepted, next);
                    next = next.wrapping_add(1);
                }
                Err(error) => survive(&error, &listener, &mut reserve).await,
            }
        }
    }

    /// Gives a connection to a core, or closes it if a cap stands against it.
    fn hand_out(&self, accepted: Accepted, turn: usize) {
        let counted = match self.census.count(accepted.source(), &self.hub.limits) {
            Ok(counted) => counted,
            Err(limit) => {
                tracing::warn!(limit, source = ?accepted.source(), "connection refused");
                return;
            }
        };
        let Some(core) = self.cores.get(turn % self.cores.len().max(1)) else {
            return;
        };
        let (hub, token) = (Arc::clone(&self.hub), self.tasks.token());
        let speaks = self.speaks.clone();
        core.spawn(async move {
            if let Err(error) = serve(accepted, hub, speaks, counted, token).await {
                tracing::debug!(%error, "connection could not be served");
            }
        });
    }
}

/// Serves one connection on the core this runs on.
async fn serve(
    accepted: Accepted,
    hub: Arc<Hub>,
    speaks: Speaks,
    counted: Counted,
    token: TaskTrackerToken,
) -> io::Result<()> {
    let keep = (counted, token);
    match accepted {
        Accepted::Tcp(stream, from) => {
            let stream = TcpStream::from_std(stream.into_std()?)?;
            socket::tune(&stream, &hub.limits);
            if let Speaks::Http(exchange) = speaks {
                return over_http(stream, from, hub, exchange, keep).await;
            }
            let mut origin = Origin::new(
                speaks.over_tcp(),
                Peer::Inet(from),
                stream.local_addr().ok(),
            )
            .on(speaks.terms());
            match &hub.recorder {
                None => connection_with_lane(stream, hub, speaks, origin).await,
                Some(recorder) => {
                    let tap = origin.record(recorder, stamp::enable(&stream).is_ok());
                    connection(Stamped::new(stream, tap), hub, speaks, origin).await;
                }
            }
        }
        Accepted::Unix(stream) => {
            let stream = UnixStream::from_std(stream.into_std()?)?;
            let who = stream.peer_cred()?;
            let peer = Peer::Unix {
                uid: who.uid(),
                gid: who.gid(),
                pid: who.pid(),
            };
            let mut origin = Origin::new(speaks.over_unix(), peer, None);
            if let Some(recorder) = &hub.recorder {
                // The kernel gives no timestamps of a Unix socket.
                origin.record(recorder, false);
            }
            connection_with_lane(stream, hub, speaks, origin).await;
        }
    }
    drop(keep);
    Ok(())
}

/// Serves a connection of RPC over HTTP: a leg goes to its virtual connection, what is an association by itself is served here.
async fn over_http(
    stream: TcpStream,
    from: SocketAddr,
    hub: Arc<Hub>,
    exchange: Arc<Exchange>,
    keep: (Counted, TaskTrackerToken),
) -> io::Result<()> {
    let Some(unpaired) = exchange.count() else {
        tracing::warn!(limit = "unpaired", source = %from, "connection refused");
        return Ok(());
    };
    let local = stream.local_addr().ok();
    let mut stages = hub.stages();
    let arrival = tokio::select! {
        biased;
        _ = stages.wait_for(|stage| *stage != Stage::Serving) => return Ok(()),
        arrival = arrival::receive(stream, hub.limits.pairing) => arrival?,
    };
    match arrival {
        Arrival::Leg {
            first,
            rest,
            stream,
        } => exchange.bring((first, rest), stream, from, Box::new(keep), unpaired)?,
        Arrival::Direct(stream) => {
            drop(unpaired);
            let mut origin = Origin::new(Transport::NcacnHttp, Peer::Inet(from), local);
            if let Some(recorder) = &hub.recorder {
                origin.record(recorder, false);
            }
            let speaks = Speaks::Dce(exchange.door().clone());
            connection(stream, hub, speaks, origin).await;
        }
    }
    Ok(())
}

/// Drives one connection to its end.
pub(crate) async fn connection<IO>(mut io: IO, hub: Arc<Hub>, speaks: Speaks, mut origin: Origin)
where
    IO: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin,
{
    origin.source.connection = hub.number_connection();
    let source = origin.source;
    let left = match speaks {
        Speaks::Dce(door) => Association::new(&mut io, hub.clone(), door, origin).await,
        // A stream that is not of TCP has no other half.
        Speaks::Http(exchange) => {
            let door = exchange.door().clone();
            Association::new(&mut io, hub.clone(), door, origin).await
        }
        Speaks::Onc(_) => StreamConnection::new(&mut io, hub.clone(), origin).await,
    };
    match left {
        #[cfg(feature = "tls")]
        Leave::Ended(End::Secure) => super::secure::serve(io, hub, source).await,
        Leave::Ended(end) => log_end(source.peer, end),
        // Only those leave for a lane that were told that they may.
        Leave::Busy(_) => {}
    }
}

/// Drives a connection that we made to its end; calls go out over `line`.
pub(crate) async fn dialed<IO>(io: IO, hub: Arc<Hub>, mut origin: Origin, line: Arc<Line>)
where
    IO: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin,
{
    origin.source.connection = hub.number_connection();
    let peer = origin.source.peer;
    let connection = StreamConnection::new(io, hub, origin).with_line(line);
    if let Leave::Ended(end) = connection.await {
        log_end(peer, end);
    }
}

/// Drives one connection to its end, on a lane while it is busy.
async fn connection_with_lane<S: Lend>(
    stream: S,
    hub: Arc<Hub>,
    speaks: Speaks,
    mut origin: Origin,
) {
    origin.source.connection = hub.number_connection();
    let source = origin.source;
    let stream = Switch::Runtime(stream);
    let again = Arc::clone(&hub);
    let (end, stream) = match speaks {
        Speaks::Dce(door) => {
            visit::drive(Association::new(stream, hub, door, origin).may_have_lane()).await
        }
        Speaks::Http(exchange) => {
            let door = exchange.door().clone();
            visit::drive(Association::new(stream, hub, door, origin).may_have_lane()).await
        }
        Speaks::Onc(_) => {
            visit::drive(StreamConnection::new(stream, hub, origin).may_have_lane()).await
        }
    };
    match stream {
        #[cfg(feature = "tls")]
        // In a box: a connection in clear must not have room for it.
        Some(stream) => Box::pin(super::secure::serve(stream, again, source)).await,
        _ => {
            drop(again);
            log_end(source.peer, end);
        }
    }
}

/// Gets over an error of `accept`.
async fn survive(error: &io::Error, listener: &Listener, reserve: &mut Option<File>) {
    if is_about_the_connection(error) {
        return;
    }
    tracing::warn!(%error, "accept failed");
    if matches!(error.raw_os_error(), Some(libc_emfile) if libc_emfile == EMFILE || libc_emfile == ENFILE)
        && reserve.take().is_some()
    {
        // One descriptor is free now: the connection that could not be taken is, and is closed.
        let taken = tokio::time::timeout(Duration::from_millis(10), listener.accept()).await;
        drop(taken);
        *reserve = File::open("/dev/null").ok();
    }
    tokio::time::sleep(Duration::from_millis(20)).await;
}

const EMFILE: i32 = nix::errno::Errno::EMFILE as i32;
const ENFILE: i32 = nix::errno::Errno::ENFILE as i32;

/// Errors of `accept` that only say that this one connection is gone already.
fn is_about_the_connection(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::ConnectionRefused
            | io::ErrorKind::Interrupted
    )
}
