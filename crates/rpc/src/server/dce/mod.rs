//! DCE/RPC at the server: interfaces, associations, and the management interface that every
//! endpoint has.

pub(crate) mod exports;
pub(crate) mod workers;
pub(crate) mod connection;
pub(crate) mod mgmt;

use std::sync::Arc;

use farcall_dce::seed::Seed;

use super::hub::Hub;
use crate::client;
use crate::error::Error;
use crate::limits::Limits;
use crate::operations::Exported;
use crate::stub::Kind;
use exports::{Exports, Statistics, Terms};

/// What a server exports: its services and, unless one of them is it, the management interface.
///
/// # Errors
/// Two services have the same interface and major version.
pub(crate) fn exports(
    mut services: Vec<Exported>,
    terms: Terms,
    limits: &Limits,
    hub: &Arc<Hub>,
) -> Result<Arc<Exports>, Error> {
    let statistics = Arc::<Statistics>::default();
    let has_mgmt = services
        .iter()
        .any(|service| service.interface().uuid == mgmt::INTERFACE.uuid);
    if !has_mgmt {
        let mgmt = mgmt::registered(&services, &terms, &statistics, hub);
        if let Kind::Interface(mgmt) = mgmt.into_kind() {
            services.push(mgmt);
        }
    }
    let seed = Seed::new(client::random());
    let exports = Exports::new(services, terms, limits, seed, statistics)?;
    Ok(Arc::new(exports))
}
