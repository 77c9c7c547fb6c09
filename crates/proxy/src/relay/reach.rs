//! Reaching a target: a connection to a server of RPC over HTTP, or a bridge to one that is none.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::net::{TcpStream, UnixStream};
use tokio::time::timeout;

use super::bridge::Bridges;
use super::heir::{Gate, Withheld};
use super::wire::{Connecting, Stream};

/// Where a target is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// At one of these addresses, in this order.
    Tcp(Vec<SocketAddr>),
    /// On this machine.
    Local(PathBuf),
}

impl Place {
    /// Connects.
    pub(super) async fn connect(&self, limit: Duration) -> io::Result<Box<dyn Stream>> {
        match self {
            Self::Tcp(addresses) => tcp(addresses, limit).await,
            Self::Local(path) => {
                let stream = timeout(limit, UnixStream::connect(path)).await??;
                Ok(Box::new(stream))
            }
        }
    }
}

async fn tcp(addresses: &[SocketAddr], limit: Duration) -> io::Result<Box<dyn Stream>> {
    let mut last = io::Error::new(io::ErrorKind::AddrNotAvailable, "the target has no address");
    for address in addresses {
        match timeout(limit, TcpStream::connect(address)).await {
            Ok(Ok(stream)) => {
                stream.set_nodelay(true)?;
                return Ok(Box::new(stream));
            }
            Ok(Err(error)) => last = error,
            Err(late) => last = late.into(),
        }
    }
    Err(last)
}

/// How a target is reached.
pub(super) struct Reach {
    /// Where it is.
    pub(super) place: Place,
    /// How long reaching it may take, for each address.
    pub(super) limit: Duration,
    /// The bridges, if it is no server of RPC over HTTP.
    pub(super) bridges: Option<Arc<Bridges>>,
    /// What the first connection waits for before anything is heard on it.
    pub(super) gate: Mutex<Option<Gate>>,
}

impl Reach {
    /// Begins a connection.
    pub(super) fn connect(&self) -> Connecting {
        let (place, limit) = (self.place.clone(), self.limit);
        match &self.bridges {
            Some(bridges) => {
                let near = bridges.join(place, limit);
                Box::pin(async move { Ok(Box::new(near) as Box<dyn Stream>) })
            }
            None => {
                let gate = self.gate.lock().unwrap_or_else(PoisonError::into_inner);
                let gate = { gate }.take();
                Box::pin(async move {
                    let stream = place.connect(limit).await?;
                    Ok(match gate {
                        Some(gate) => Box::new(Withheld::new(stream, gate)),
                        None => stream,
                    })
                })
            }
        }
    }
}
