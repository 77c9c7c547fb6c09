//! The closed loop of an async client: K tasks, each with one call in flight, all checked.
//!
//! tonic, tarpc and ours run under this one loop, so their clients differ in nothing else.

use std::future::Future;
use std::sync::Arc;
use std::time::Instant;

use anyhow::{Result, ensure};
use tokio::task::JoinSet;

use crate::load::stamp;
use crate::options::Options;
use crate::pace::{Pace, Report};
use crate::shape::{Work, check_read, pattern};

/// A client under measurement.
pub(crate) trait Peer: Send + Sync + 'static {
    /// The bytes a reply holds.
    type Reply: AsRef<[u8]> + Send;

    fn null(&self) -> impl Future<Output = Result<()>> + Send;
    fn echo(&self, data: &[u8]) -> impl Future<Output = Result<Self::Reply>> + Send;
    fn read(&self, bytes: u32) -> impl Future<Output = Result<Self::Reply>> + Send;
}

/// One task's calls and what their replies must be.
pub(crate) struct Task<P> {
    peer: Arc<P>,
    work: Work,
    payload: Vec<u8>,
    count: u32,
}

impl<P: Peer> Task<P> {
    fn new(peer: Arc<P>, work: Work, number: usize) -> Self {
        Self {
            peer,
            work,
            payload: pattern(work.payload()),
            count: (number as u32) << 24,
        }
    }

    /// One call, and the check of its reply.
    async fn call(&mut self, thorough: bool) -> Result<()> {
        match self.work {
            Work::Null | Work::Listening => self.peer.null().await,
            Work::Echo(n) => {
                self.count = self.count.wrapping_add(1);
                let stamp = self.count.to_be_bytes();
                let length = n.min(stamp.len());
                self.payload[..length].copy_from_slice(&stamp[..length]);
                let reply = self.peer.echo(&self.payload).await?;
                ensure!(
                    reply.as_ref() == self.payload,
                    "the echo is not what was sent"
                );
                Ok(())
            }
            Work::Read(n) => {
                let reply = self.peer.read(n as u32).await?;
                check_read(reply.as_ref(), &self.payload, thorough)
            }
        }
    }

    async fn many(mut self, pace: Arc<Pace>) -> Result<()> {
        loop {
            self.call(pace.warming()).await?;
            if !pace.completed(1)? {
                return Ok(());
            }
        }
    }

    async fn single(mut self, pace: Arc<Pace>) -> Result<Vec<u32>> {
        let mut latencies = Vec::new();
        let mut last = Instant::now();
        loop {
            self.call(pace.warming()).await?;
            if !stamp(&pace, &mut last, &mut latencies)? {
                return Ok(latencies);
            }
        }
    }
}

/// Runs `--flight` tasks until the pace says stop.
pub(crate) async fn run<P: Peer>(peer: P, work: Work, options: &Options) -> Result<Report> {
    let flight: usize = options.required("flight")?;
    let pace = Arc::new(Pace::new(options.timing()?, work, flight));
    let peer = Arc::new(peer);
    if flight == 1 {
        let latencies = tokio::spawn(Task::new(peer, work, 0).single(pace.clone())).await??;
        return pace.report(latencies);
    }
    let mut tasks = JoinSet::new();
    for number in 0..flight {
        tasks.spawn(Task::new(peer.clone(), work, number).many(pace.clone()));
    }
    while let Some(result) = tasks.join_next().await {
        result??;
    }
    pace.report(Vec::new())
}

/// Opens `--connections` of them, makes one null call on each, and holds them.
pub(crate) async fn idle<P: Peer>(
    options: &Options,
    connect: impl AsyncFn(&str) -> Result<P>,
) -> Result<()> {
    let address: String = options.required("address")?;
    let mut peers = Vec::new();
    for _ in 0..options.required("connections")? {
        let peer = connect(&address).await?;
        peer.null().await?;
        peers.push(peer);
    }
    crate::idle::hold()
}
