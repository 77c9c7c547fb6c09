//! Connections that clients of this process make and this server serves: calls go both ways.
//!
//! Read first: [`client::back`](crate::client::back), whose calls go out over them, and `client::connect`, which makes
//! them. Here each is given to one of the server's cores, like an accepted one.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Weak};

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, UnixStream};
use tokio::runtime::Handle;
use tokio::sync::oneshot;
use tokio_util::task::TaskTracker;

use super::accept;
use super::hub::{Hub, Stage};
use super::origin::Origin;
use crate::call::Peer;
use crate::client::back::{self, Back};
use crate::client::connect::{Converse, Made, gone};
use crate::client::stream::End;
use crate::endpoint::Transport;
use crate::error::Error;
use crate::line::Line;

/// What drives the connections of one such client.
pub(super) struct Conversation {
    /// The server may end before its clients.
    hub: Weak<Hub>,
    cores: Vec<Handle>,
    tasks: TaskTracker,
    back: Arc<Back>,
}

impl Conversation {
    pub(super) fn new(
        hub: &Arc<Hub>,
        cores: &[Handle],
        tasks: TaskTracker,
        back: Arc<Back>,
    ) -> Self {
        Self {
            hub: Arc::downgrade(hub),
            cores: cores.to_vec(),
            tasks,
            back,
        }
    }

    fn hub(&self) -> Result<Arc<Hub>, Error> {
        let hub = self.hub.upgrade();
        let serving = hub.filter(|hub| matches!(hub.stage(), Stage::Serving));
        serving.ok_or_else(|| gone("the server that serves it has ended"))
    }

    /// Gives a connection to a core; tells when it has ended.
    fn begin(&self, made: Made) -> io::Result<oneshot::Receiver<()>> {
        match made {
            Made::Tcp(stream) => {
                let (peer, local) = (stream.peer_addr()?, stream.local_addr().ok());
                let origin = Origin::new(Transport::Tcp, Peer::Inet(peer), local);
                let stream = stream.into_std()?;
                self.spawn(origin, move || TcpStream::from_std(stream))
            }
            Made::Unix(stream) => {
                let who = stream.peer_cred()?;
                let peer = Peer::Unix {
                    uid: who.uid(),
                    gid: who.gid(),
                    pid: who.pid(),
                };
                let origin = Origin::new(Transport::Unix, peer, None);
                let stream = stream.into_std()?;
                self.spawn(origin, move || UnixStream::from_std(stream))
            }
            #[cfg(feature = "tls")]
            Made::Tls(stream) => {
                let socket = stream.transport();
                let (peer, local) = (socket.peer_addr()?, socket.local_addr().ok());
                let origin = Origin::new(Transport::Tls, Peer::Inet(peer), local);
                // It is driven there, and stays known to this runtime.
                self.spawn(origin, move || Ok(stream))
            }
            _ => Err(io::ErrorKind::Unsupported.into()),
        }
    }

    fn spawn<IO>(
        &self,
        origin: Origin,
        stream: impl FnOnce() -> io::Result<IO> + Send + 'static,
    ) -> io::Result<oneshot::Receiver<()>>
    where
        IO: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let hub = self.hub().map_err(io::Error::other)?;
        let index = usize::try_from(hub.number_connection()).unwrap_or(0);
        let core = self.cores.get(index % self.cores.len().max(1));
        let core = core.ok_or(io::ErrorKind::NotConnected)?;
        let (token, line) = (self.tasks.token(), Line::new());
        let over = self.back.carried_by(&line);
        let carried = Carried(Arc::clone(&line));
        core.spawn(async move {
            let (_token, _carried) = (token, carried);
            match stream() {
                Ok(stream) => accept::dialed(stream, hub, origin, line).await,
                Err(error) => tracing::warn!(%error, "a connection is lost"),
            }
        });
        Ok(over)
    }
}

/// However a connection ends, also with a core that never came to it, it is told.
struct Carried(Arc<Line>);

impl Drop for Carried {
    fn drop(&mut self) {
        back::lost(&self.0);
    }
}

impl Converse for Conversation {
    fn ready(&self) -> Result<(), Error> {
        self.hub().map(drop)
    }

    fn drive(&self, made: Made) -> Pin<Box<dyn Future<Output = End> + Send + '_>> {
        Box::pin(async move {
            match self.begin(made) {
                // It tells, or is dropped with its core.
                Ok(over) => {
                    let _ = over.await;
                    End::Closed
                }
                Err(error) => End::Io(error),
            }
        })
    }
}
