//! Where the legs of virtual connections find each other, whichever proxies they come from and whichever core took them.
//!
//! Each virtual connection belongs to one core, which its cookie chooses (by a hash that nobody outside can foretell); a leg goes there as
//! soon as it has named its cookie, and each core has a table of its own.

use std::collections::HashMap;
use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use farcall_rpch::rts::Cookie;
use farcall_rpch::{First, ServerConfig};
use tokio::net::TcpStream;
use tokio::runtime::Handle;
use tokio::sync::mpsc;

use super::circuit::{Circuit, Newcomer, Shared};
use super::leg::{Keep, Loose, Unpaired};
use crate::limits::Limits;
use crate::server::dce::exports::Door;
use crate::server::hub::Hub;

/// The least window that the protocol allows, in bytes (MS-RPCH section 2.2.3.5.1).
const LEAST_WINDOW: u32 = 8 << 10;

/// Virtual connections by their cookie, of one core.
type Table = HashMap<Cookie, mpsc::UnboundedSender<Newcomer>>;

/// The virtual connections of one endpoint.
pub(crate) struct Exchange {
    shared: Shared,
    cores: Vec<(Handle, Mutex<Table>)>,
    hasher: RandomState,
    loose: Loose,
}

impl Exchange {
    pub(crate) fn new(hub: Arc<Hub>, door: Door, cores: &[Handle]) -> Arc<Self> {
        let config = config(&hub.limits);
        let core = |handle: &Handle| (handle.clone(), Mutex::default());
        Arc::new(Self {
            shared: Shared { hub, door, config },
            cores: cores.iter().map(core).collect(),
            hasher: RandomState::new(),
            loose: Loose::default(),
        })
    }

    /// The way by which associations come in that are no virtual connections.
    pub(crate) fn door(&self) -> &Door {
        &self.shared.door
    }

    /// Counts one more leg that belongs nowhere yet, unless there are too many.
    pub(crate) fn count(&self) -> Option<Unpaired> {
        self.loose.count(self.shared.hub.limits.unpaired)
    }

    /// Brings a leg to where its virtual connection is.
    ///
    /// # Errors
    /// The connection cannot go to another core.
    pub(crate) fn bring(
        self: &Arc<Self>,
        (first, rest): (First, Bytes),
        stream: TcpStream,
        source: SocketAddr,
        keep: Keep,
        unpaired: Unpaired,
    ) -> io::Result<()> {
        let cookie = first.virtual_connection();
        let count = u64::try_from(self.cores.len().max(1)).unwrap_or(1);
        let index = self.hasher.hash_one(cookie) % count;
        let index = usize::try_from(index).unwrap_or(0);
        let Some((core, _)) = self.cores.get(index) else {
            return Ok(());
        };
        let (this, stream) = (Arc::clone(self), stream.into_std()?);
        core.spawn(async move {
            // It belongs to this core's reactor from here on.
            let Ok(stream) = TcpStream::from_std(stream) else {
                return;
            };
            let newcomer = Newcomer {
                first,
                rest,
                stream,
                source,
                keep,
                unpaired,
            };
            this.join(index, cookie, newcomer).await;
        });
        Ok(())
    }

    /// Joins a leg to its virtual connection; the first leg drives it.
    async fn join(&self, core: usize, cookie: Cookie, newcomer: Newcomer) {
        let Some((to, circuit)) = self.place(core, cookie, newcomer) else {
            return;
        };
        circuit.await;
        if let Some(mut table) = self.table(core)
            && table.get(&cookie).is_some_and(|now| now.same_channel(&to))
        {
            table.remove(&cookie);
        }
    }

    // req: rpch-face-pairing
    /// Hands a leg to the virtual connection that is there, or makes one.
    fn place(
        &self,
        core: usize,
        cookie: Cookie,
        newcomer: Newcomer,
    ) -> Option<(mpsc::UnboundedSender<Newcomer>, Circuit)> {
        let mut table = self.table(core)?;
        let newcomer = match table.get(&cookie) {
            // One that has just ended takes nobody.
            Some(to) => match to.send(newcomer) {
                Ok(()) => return None,
                Err(back) => back.0,
            },
            None => newcomer,
        };
        let peer = newcomer.source;
        let (to, newcomers) = mpsc::unbounded_channel();
        match Circuit::new(self.shared.clone(), newcomer, newcomers) {
            Ok(circuit) => {
                table.insert(cookie, to.clone());
                Some((to, circuit))
            }
            Err(failure) => {
                tracing::info!(%peer, %failure, "connection refused");
                None
            }
        }
    }

    fn table(&self, core: usize) -> Option<MutexGuard<'_, Table>> {
        let (_, table) = self.cores.get(core)?;
        Some(table.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

fn config(limits: &Limits) -> ServerConfig {
    let largest = u32::from(limits.fragment).max(LEAST_WINDOW);
    ServerConfig {
        window: limits.window.clamp(largest, 1 << 30),
        setup: limits.pairing,
        stall: limits.write_stall,
        ..ServerConfig::default()
    }
}
