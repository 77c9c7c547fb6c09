//! Places where clients come in: accepting, reading anew, draining.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use tokio::net::TcpListener;
use tokio_util::task::TaskTracker;

use super::connection::{self, Pages, Setup, Shared};

/// How long accepting rests when the system refuses it: it has no more files, say.
const REST: Duration = Duration::from_millis(50);

/// A socket that listens, and what it is.
#[derive(Debug)]
pub struct Listener {
    socket: TcpListener,
    setup: Arc<ArcSwap<Setup>>,
}

impl Listener {
    /// Listens.
    ///
    /// # Errors
    /// What the system says.
    pub async fn bind(address: SocketAddr, setup: Setup) -> io::Result<Self> {
        let socket = TcpListener::bind(address).await?;
        let setup = Arc::new(ArcSwap::from_pointee(setup));
        Ok(Self { socket, setup })
    }

    /// Where it listens, the port filled in.
    ///
    /// # Errors
    /// What the system says.
    pub fn address(&self) -> io::Result<SocketAddr> {
        self.socket.local_addr()
    }
}

/// All listeners, running.
#[derive(Debug)]
pub struct Front {
    shared: Arc<Shared>,
    setups: Vec<Arc<ArcSwap<Setup>>>,
    tasks: TaskTracker,
}

impl Front {
    /// Accepts connections from now on.
    #[must_use]
    pub fn start(shared: Arc<Shared>, listeners: Vec<Listener>) -> Self {
        let tasks = TaskTracker::new();
        let setups = listeners
            .iter()
            .map(|listener| Arc::clone(&listener.setup))
            .collect();
        for listener in listeners {
            tasks.spawn(accept(Arc::clone(&shared), listener, tasks.clone()));
        }
        tasks.close();
        Self {
            shared,
            setups,
            tasks,
        }
    }

    /// Gives the listeners, in the order in which they were started, what was loaded anew. Connections that are there keep what
    /// they began with.
    pub fn replace(&self, setups: Vec<Setup>) {
        for (old, new) in self.setups.iter().zip(setups) {
            old.store(Arc::new(new));
        }
    }

    /// How many connections there are.
    #[must_use]
    pub fn connections(&self) -> usize {
        self.shared.counts.all()
    }

    /// Takes no more connections and no more requests, waits for what is there, and ends what is left after `grace`. Channels are
    /// the relay's to end.
    pub async fn drain(&self, grace: Duration) {
        self.shared.draining.cancel();
        if tokio::time::timeout(grace, self.tasks.wait())
            .await
            .is_err()
        {
            self.shared.ended.cancel();
            self.tasks.wait().await;
        }
    }
}

impl Drop for Front {
    fn drop(&mut self) {
        self.shared.draining.cancel();
        self.shared.ended.cancel();
    }
}

async fn accept(shared: Arc<Shared>, listener: Listener, tasks: TaskTracker) {
    loop {
        let accepted = tokio::select! {
            accepted = listener.socket.accept() => accepted,
            () = shared.draining.cancelled() => return,
        };
        match accepted {
            Ok((stream, peer)) => {
                let setup = listener.setup.load_full();
                let (shared, token) = (Arc::clone(&shared), tasks.token());
                tokio::spawn(connection::serve(shared, setup, (stream, peer), token));
            }
            Err(error) => {
                tracing::warn!(%error, "not accepted");
                tokio::time::sleep(REST).await;
            }
        }
    }
}

/// Serves pages to machines and people inside, until it is dropped: `text` says what a path shows, and of which media type.
pub async fn plain(socket: TcpListener, header: Duration, text: Pages) {
    /// Most connections at a time; more wait.
    const MOST: usize = 64;
    let permits = Arc::new(tokio::sync::Semaphore::new(MOST));
    loop {
        let Ok(permit) = Arc::clone(&permits).acquire_owned().await else {
            return;
        };
        match socket.accept().await {
            Ok((stream, _)) => {
                let serving = connection::page(stream, header, Arc::clone(&text));
                tokio::spawn(async move {
                    // A page is a moment's work.
                    let _ = tokio::time::timeout(header * 2, serving).await;
                    drop(permit);
                });
            }
            Err(_) => tokio::time::sleep(REST).await,
        }
    }
}
