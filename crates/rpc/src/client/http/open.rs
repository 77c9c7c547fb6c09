//! Opening a virtual connection.

use std::sync::Arc;
use std::time::Instant;

use farcall_dce::seed::Seed;
use farcall_rpch::Client;

use super::drive::Drive;
use super::echo;
use super::pipe::{Pipe, VirtualStream};
use super::route::Route;
use crate::error::{Error, Phase};

/// Opens a virtual connection, driven by a task on the current runtime.
///
/// # Errors
/// The proxy or the server cannot be reached, the proxy does not let the client in, or time is up.
pub(crate) async fn open(route: Route) -> Result<VirtualStream, Error> {
    let through = echo::is_needed(&route).await?;
    open_by(Arc::new(route), through).await
}

pub(super) async fn open_by(route: Arc<Route>, through: bool) -> Result<VirtualStream, Error> {
    let pipe = Arc::new(Pipe::default());
    let stream = VirtualStream::new(Arc::clone(&pipe));
    let seed = Seed::new(secret()?);
    let machine = Client::new(route.channels.clone(), Instant::now(), &seed);
    tokio::spawn(Drive::new(machine, route, through, pipe).run());
    stream.opened().await?;
    Ok(stream)
}

/// Cookies are drawn from it: whoever guesses them can take part in the connection.
fn secret() -> Result<[u8; 32], Error> {
    let mut bytes = [0; 32];
    getrandom::fill(&mut bytes)
        .map_err(|_| Error::local(Phase::Connect, "the system gives no random bytes"))?;
    Ok(bytes)
}
