//! The management interface, which every endpoint has: what is served, since when, how much, and
//! by which name authentication knows the server.
//!
//! Read first: C706 appendix Q (the `mgmt` interface) and MS-RPCE section 2.2.1.3. Anybody may
//! inquire; who may stop the server says its builder.

use std::sync::Arc;

use farcall_dce::security::{Acceptor, AuthType};
use farcall_dce::status::ACCESS_DENIED;
use farcall_wire::{Str, ndr};

use super::exports::{Statistics, Terms};
use crate::call::{Call, Refuse};
pub(crate) use crate::generated::mgmt::mgmt::INTERFACE;
use crate::generated::mgmt::mgmt::{
    InqIfIdsOut, InqPrincNameOut, InqStatsOut, IsServerListeningOut, Server, service,
};
use crate::generated::mgmt::{RpcIfIdT, RpcIfIdVectorT};
use crate::interface::Interface;
use crate::operations::Exported;
use crate::server::hub::{Hub, Stage};
use crate::stub::Registered;

/// Anybody may ask these: everything, since `rpc__mgmt_stop_server_listening` judges its callers itself.
const INQUIRIES: [u16; 5] = [0, 1, 2, 3, 4];

/// `ERROR_INSUFFICIENT_BUFFER`: the caller has too little room for the name.
const INSUFFICIENT_BUFFER: u32 = 122;

/// `RPC_S_UNKNOWN_AUTHN_SERVICE`: the server knows no such mechanism.
const UNKNOWN_AUTHN_SERVICE: u32 = 1747;

/// The interface over one server.
struct Mgmt {
    served: Vec<&'static Interface>,
    statistics: Arc<Statistics>,
    hub: Arc<Hub>,
    acceptor: Option<Arc<dyn Acceptor>>,
    remote_stop: bool,
}

/// The management interface of a server with these services.
// req: dce-mgmt-everywhere
pub(crate) fn registered(
    services: &[Exported],
    terms: &Terms,
    statistics: &Arc<Statistics>,
    hub: &Arc<Hub>,
) -> Registered {
    let served = services.iter().map(Exported::interface);
    let mgmt = Mgmt {
        served: served.chain([&INTERFACE]).collect(),
        statistics: Arc::clone(statistics),
        hub: Arc::clone(hub),
        acceptor: terms.acceptor.clone(),
        remote_stop: terms.remote_stop,
    };
    service(mgmt).allow_anonymous_for(&INQUIRIES)
}

impl Server for Mgmt {
    async fn inq_if_ids(&self, _: &Call) -> Result<InqIfIdsOut, Refuse> {
        let id = |interface: &&Interface| {
            ndr::Full::new(RpcIfIdT {
                uuid: interface.uuid,
                vers_major: interface.major,
                vers_minor: interface.minor,
            })
        };
        let if_id: Vec<_> = self.served.iter().map(id).collect();
        Ok(InqIfIdsOut {
            if_id_vector: ndr::Full::new(RpcIfIdVectorT {
                count: u32::try_from(if_id.len()).unwrap_or(u32::MAX),
                if_id,
            }),
            status: 0,
        })
    }

    /// As many of the four numbers as the caller has room for.
    async fn inq_stats(&self, _: &Call, count: u32) -> Result<InqStatsOut, Refuse> {
        let all = self.statistics.all();
        let room = usize::try_from(count).unwrap_or(usize::MAX);
        let statistics = all.get(..room).unwrap_or(&all).to_vec();
        Ok(InqStatsOut {
            count: u32::try_from(statistics.len()).unwrap_or(0),
            statistics,
            status: 0,
        })
    }

    async fn is_server_listening(&self, _: &Call) -> Result<IsServerListeningOut, Refuse> {
        Ok(IsServerListeningOut {
            status: 0,
            result: u32::from(self.hub.stage() == Stage::Serving),
        })
    }

    async fn stop_server_listening(&self, call: &Call) -> Result<u32, Refuse> {
        if !self.remote_stop || call.is_anonymous() {
            // Peers expect the refusal as the operation's own status, not as a fault.
            return Ok(ACCESS_DENIED);
        }
        let principal = call.principal().map(tracing::field::display);
        tracing::info!(principal, "told to stop");
        self.hub.enter(Stage::Draining);
        Ok(0)
    }

    /// The name, if the caller has room for it and its NUL.
    async fn inq_princ_name(
        &self,
        _: &Call,
        authn_proto: u32,
        princ_name_size: u32,
    ) -> Result<InqPrincNameOut, Refuse> {
        let mechanism = u8::try_from(authn_proto).ok().map(AuthType);
        let acceptor = self.acceptor.as_ref();
        let name = mechanism.and_then(|mechanism| acceptor?.principal_name(mechanism));
        let room = usize::try_from(princ_name_size).unwrap_or(usize::MAX);
        let (name, status) = match name {
            Some(name) if name.len() < room => (name.into_bytes(), 0),
            Some(_) => (Vec::new(), INSUFFICIENT_BUFFER),
            None => (Vec::new(), UNKNOWN_AUTHN_SERVICE),
        };
        Ok(InqPrincNameOut {
            princ_name: Str::from(name),
            status,
        })
    }
}
