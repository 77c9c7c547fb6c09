//! RPC over HTTP for callers that block their thread: a virtual connection of a thread of its own, and a socket to it.
//!
//! The protocol needs two connections, pings and acknowledgements at all times, and so a task that is never blocked. It runs on a
//! runtime of that thread alone; what is called sees a stream socket. The thread ends with either end of it.

use std::io;
use std::os::unix::net::UnixStream;
use std::sync::mpsc::{SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use tokio::io::{AsyncRead, AsyncWrite, BufReader, copy_buf, split};

use crate::client::Options;
use crate::client::dce::connect;
use crate::endpoint::Endpoint;
use crate::error::{Error, Phase};
use crate::interface::Interface;

/// Bytes that are copied at a time.
const PART: usize = 64 << 10;

/// Why a virtual connection ended, once it has: a socket says no more than that it did.
#[derive(Clone, Debug, Default)]
pub(crate) struct Fate(Arc<Mutex<Option<Error>>>);

impl Fate {
    /// The reason, if there is one.
    pub(crate) fn reason(&self) -> Option<Error> {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    fn set(&self, error: &io::Error) {
        let known = error.get_ref().and_then(|it| it.downcast_ref::<Error>());
        let mut reason = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        *reason = known.cloned();
    }
}

/// Opens a virtual connection and waits until it stands.
///
/// # Errors
/// As a client that does not block.
pub(crate) fn open(
    endpoint: &Endpoint,
    interface: &'static Interface,
    options: &Options,
) -> Result<(UnixStream, Fate), Error> {
    let local = |error: io::Error| Error::io(Phase::Connect, &error);
    let (near, far) = UnixStream::pair().map_err(local)?;
    far.set_nonblocking(true).map_err(local)?;
    let (told, heard) = sync_channel(1);
    let fate = Fate::default();
    let carrier = Carrier {
        endpoint: endpoint.clone(),
        interface,
        options: options.clone(),
        fate: fate.clone(),
        told,
    };
    let thread = thread::Builder::new().name("farcall-http".to_owned());
    thread.spawn(move || carrier.run(far)).map_err(local)?;
    let opened = heard.recv();
    let gone = |_| Error::local(Phase::Connect, "the thread of the virtual connection ended");
    opened.map_err(gone)??;
    Ok((near, fate))
}

/// What the thread needs.
struct Carrier {
    endpoint: Endpoint,
    interface: &'static Interface,
    options: Options,
    fate: Fate,
    told: SyncSender<Result<(), Error>>,
}

impl Carrier {
    fn run(self, far: UnixStream) {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build();
        match runtime {
            Ok(runtime) => runtime.block_on(self.carry(far)),
            Err(error) => self.tell(Err(Error::io(Phase::Connect, &error))),
        }
    }

    /// Whoever opened it waits for nothing else.
    fn tell(&self, opened: Result<(), Error>) {
        if self.told.send(opened).is_err() {
            tracing::debug!("nobody waits for a virtual connection");
        }
    }

    async fn carry(self, far: UnixStream) {
        let connecting = connect::virtual_connection(&self.endpoint, self.interface, &self.options);
        let limit = self.options.connect_timeout;
        let connected = tokio::time::timeout(limit, connecting).await;
        let connected = connected.unwrap_or_else(|_| Err(connect::late(limit)));
        let far = tokio::net::UnixStream::from_std(far);
        let far = far.map_err(|error| Error::io(Phase::Connect, &error));
        match connected.and_then(|stream| Ok((stream, far?))) {
            Ok((stream, far)) => {
                self.tell(Ok(()));
                if let Err(error) = copy(stream, far).await {
                    self.fate.set(&error);
                }
            }
            Err(error) => self.tell(Err(error)),
        }
    }
}

/// Copies both ways until one of the two ends.
async fn copy(
    stream: impl AsyncRead + AsyncWrite,
    far: impl AsyncRead + AsyncWrite,
) -> io::Result<u64> {
    let (from, mut to) = split(stream);
    let (far_from, mut far_to) = split(far);
    let mut from = BufReader::with_capacity(PART, from);
    let mut far_from = BufReader::with_capacity(PART, far_from);
    tokio::select! {
        ended = copy_buf(&mut from, &mut far_to) => ended,
        ended = copy_buf(&mut far_from, &mut to) => ended,
    }
}
