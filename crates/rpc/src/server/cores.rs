//! Where a server runs: threads of its own, each with a single-thread runtime, or the caller's.
//!
//! A connection stays on the core it was given to, so nothing it does needs a lock; a shared
//! work-stealing runtime costs small calls a factor of three.

use std::future::Future;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use tokio::runtime::Handle;
use tokio_util::sync::CancellationToken;

use crate::error::{Error, Phase};

/// Where a server's connections run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Runtime {
    /// On this many threads of the server's own, each with a single-thread runtime. Handlers are
    /// on such a runtime too: `tokio::spawn` in them lands there.
    Threads(usize),
    /// On the runtime that starts the server.
    Current,
}

impl Default for Runtime {
    /// One thread for each processor.
    fn default() -> Self {
        Self::Threads(std::thread::available_parallelism().map_or(1, usize::from))
    }
}

impl Runtime {
    /// How many lanes a server has that runs there, unless it is told otherwise.
    pub(crate) fn lanes(self) -> usize {
        match self {
            Self::Threads(n) => n,
            Self::Current => 0,
        }
    }
}

/// How long the end of a server waits for its cores.
const PATIENCE: Duration = Duration::from_secs(1);

/// The running cores of a server.
pub(crate) struct Cores {
    handles: Vec<Handle>,
    threads: Vec<JoinHandle<()>>,
    stop: CancellationToken,
}

impl Cores {
    /// Starts what `runtime` asks for.
    pub(crate) fn start(runtime: Runtime) -> Result<Self, Error> {
        let mut cores = Self {
            handles: Vec::new(),
            threads: Vec::new(),
            stop: CancellationToken::new(),
        };
        match runtime {
            Runtime::Current => {
                let handle = Handle::try_current().map_err(|_| {
                    Error::local(Phase::Serve, "there is no current tokio runtime")
                        .hint("use Runtime::Threads, or start the server inside a runtime")
                })?;
                cores.handles.push(handle);
            }
            Runtime::Threads(n) => (0..n.max(1)).try_for_each(|i| cores.start_thread(i))?,
        }
        Ok(cores)
    }

    fn start_thread(&mut self, index: usize) -> Result<(), Error> {
        let io = |e: std::io::Error| Error::io(Phase::Serve, &e);
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(io)?;
        self.handles.push(runtime.handle().clone());
        let stop = self.stop.clone();
        let thread = std::thread::Builder::new()
            .name(format!("farcall-{index}"))
            .spawn(move || {
                runtime.block_on(stop.cancelled());
                runtime.shutdown_background();
            })
            .map_err(io)?;
        self.threads.push(thread);
        Ok(())
    }

    /// How many cores there are.
    pub(crate) fn len(&self) -> usize {
        self.handles.len()
    }

    /// The handles of all cores.
    pub(crate) fn handles(&self) -> &[Handle] {
        &self.handles
    }

    /// Runs `future` on core `index`.
    pub(crate) fn spawn(&self, index: usize, future: impl Future<Output = ()> + Send + 'static) {
        if let Some(handle) = self.handles.get(index % self.handles.len().max(1)) {
            handle.spawn(future);
        }
    }
}

impl Drop for Cores {
    fn drop(&mut self) {
        self.stop.cancel();
        // A thread that drops the server from within cannot wait for itself, and a procedure that
        // blocks its core for ever is left behind: it must not keep `drain` from ending.
        let me = std::thread::current().id();
        let others = self.threads.iter().filter(|t| t.thread().id() != me);
        let since = Instant::now();
        for thread in others {
            while !thread.is_finished() && since.elapsed() < PATIENCE {
                std::thread::sleep(Duration::from_micros(200));
            }
        }
    }
}
