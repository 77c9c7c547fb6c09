//! DCE/RPC at the client: associations, and the endpoint mapper that finds servers.

pub(crate) mod faults;
pub(crate) mod link;
pub mod mapper;
pub(crate) mod driver;
pub(crate) mod connect;

use std::sync::Arc;

use tokio::runtime::Handle as Runtime;

use crate::error::{Error, Phase};
use connect::Connector;
use link::Link;

/// What all clones of a client of interfaces share; with the last one the connection ends.
pub(crate) struct Handle {
    pub(crate) link: Arc<Link>,
    pub(crate) connector: Arc<Connector>,
    /// The association group to join with the first connection; 0 for a new one.
    pub(crate) group: u32,
    /// The peer, for errors.
    pub(crate) peer: String,
}

impl Handle {
    /// Starts the driver on the current runtime.
    pub(crate) fn drive(&self) -> Result<(), Error> {
        let runtime = Runtime::try_current().map_err(|_| {
            Error::local(Phase::Connect, "there is no current tokio runtime")
                .hint("use blocking::Client outside of a runtime")
        })?;
        let (link, connector) = (Arc::clone(&self.link), Arc::clone(&self.connector));
        runtime.spawn(connect::run(link, connector, self.group));
        Ok(())
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.link.desert();
    }
}
