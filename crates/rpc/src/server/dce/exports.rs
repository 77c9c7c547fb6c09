//! What all associations of a server share: the interfaces, who may call them, the groups of
//! connections, and the statistics.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use farcall_dce::co::group::Groups;
use farcall_dce::co::server::{Endpoint, Interface as CoreInterface, ServerConfig};
use farcall_dce::security::Acceptor;
use farcall_dce::seed::Seed;

use crate::error::{Error, Phase};
use crate::interface::Interface;
use crate::limits::Limits;
use crate::operations::{Access, Exported, Hook, Plan, Slot};

/// What the associations of a server may do, as its builder was told.
#[derive(Clone, Default)]
pub(crate) struct Terms {
    pub(crate) access: Access,
    pub(crate) acceptor: Option<Arc<dyn Acceptor>>,
    pub(crate) authorize: Option<Hook>,
    pub(crate) secondary_address: Option<String>,
    pub(crate) no_ndr64: bool,
    pub(crate) max_auth_contexts: Option<usize>,
    pub(crate) require_header_signing: bool,
    pub(crate) remote_stop: bool,
}

impl std::fmt::Debug for Terms {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Terms")
            .field("access", &self.access)
            .field("authenticates", &self.acceptor.is_some())
            .finish_non_exhaustive()
    }
}

/// What all associations of a server share.
pub(crate) struct Exports {
    services: Vec<(Exported, Plan)>,
    interfaces: Vec<CoreInterface>,
    terms: Terms,
    config: ServerConfig,
    /// Association groups over TCP, over HTTP, and on this machine.
    groups: [Arc<Groups>; 3],
    seed: Seed,
    pub(crate) statistics: Arc<Statistics>,
}

/// Where associations come in: what one listening socket's connections share.
#[derive(Clone)]
pub(crate) struct Door {
    pub(crate) exports: Arc<Exports>,
    pub(crate) endpoint: Arc<Endpoint>,
}

/// Over what kind of transport a door's associations come: groups of one mean nothing over
/// another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Scope {
    /// TCP.
    Network,
    /// RPC over HTTP.
    Http,
    /// A socket of this machine, or of this process.
    Local,
}

/// Calls and PDUs of a server, as its management interface tells them.
#[derive(Debug, Default)]
pub(crate) struct Statistics {
    pub(crate) calls_in: AtomicU32,
    pub(crate) calls_out: AtomicU32,
    pub(crate) packets_in: AtomicU32,
    pub(crate) packets_out: AtomicU32,
}

impl Statistics {
    /// The four numbers in the order of C706 appendix Q, `rpc_c_stats_*`.
    pub(crate) fn all(&self) -> [u32; 4] {
        let all = [
            &self.calls_in,
            &self.calls_out,
            &self.packets_in,
            &self.packets_out,
        ];
        all.map(|counter| counter.load(Ordering::Relaxed))
    }
}

impl Exports {
    /// Checks and sorts what a server is to export.
    ///
    /// # Errors
    /// Two services have the same interface and major version.
    pub(crate) fn new(
        services: Vec<Exported>,
        terms: Terms,
        limits: &Limits,
        seed: Seed,
        statistics: Arc<Statistics>,
    ) -> Result<Self, Error> {
        let interfaces = interfaces(&services, &terms)?;
        let plan = |(service, index): (Exported, usize)| {
            let hook = terms.authorize.as_ref();
            let plan = service.plan(index, limits.wire(), &terms.access, hook);
            (service, plan)
        };
        let groups = |index| Groups::with_handle_limit(sub_seed(&seed, index), limits.handles);
        Ok(Self {
            interfaces,
            config: config(limits, &terms),
            groups: [groups(1), groups(3), groups(2)],
            services: services.into_iter().zip(0..).map(plan).collect(),
            terms,
            seed,
            statistics,
        })
    }

    /// The door of an endpoint whose `bind_ack` tells `address` as the secondary address.
    pub(crate) fn door(self: &Arc<Self>, scope: Scope, address: &str) -> Door {
        let groups = match scope {
            Scope::Network => &self.groups[0],
            Scope::Http => &self.groups[1],
            Scope::Local => &self.groups[2],
        };
        let address = self.terms.secondary_address.as_deref().unwrap_or(address);
        let endpoint = Endpoint {
            config: ServerConfig {
                secondary_address: address.as_bytes().to_vec(),
                ..self.config.clone()
            },
            interfaces: self.interfaces.clone(),
            groups: Arc::clone(groups),
            acceptor: self.terms.acceptor.clone(),
        };
        Door {
            exports: Arc::clone(self),
            endpoint: Arc::new(endpoint),
        }
    }

    /// Sets `slot` to work for a service.
    #[inline]
    pub(crate) fn begin(&self, service: usize, slot: &mut Slot) {
        if let Some((service, plan)) = self.services.get(service) {
            service.work(plan, slot);
        }
    }

    /// The interface of a service.
    pub(crate) fn interface(&self, service: usize) -> Option<&'static Interface> {
        let (service, _) = self.services.get(service)?;
        Some(service.interface())
    }

    /// Randomness for one more association.
    pub(crate) fn seed(&self, connection: u64) -> Seed {
        sub_seed(&self.seed, connection.wrapping_add(16))
    }
}

/// The names by which services are bound.
fn interfaces(services: &[Exported], terms: &Terms) -> Result<Vec<CoreInterface>, Error> {
    let mut interfaces: Vec<CoreInterface> = Vec::new();
    for (index, service) in services.iter().enumerate() {
        let interface = service.interface();
        let id = interface.syntax_id();
        let same = |other: &CoreInterface| (other.id.uuid, other.id.major) == (id.uuid, id.major);
        if interfaces.iter().any(same) {
            let text = format!("{interface} is served twice");
            return Err(Error::local(Phase::Serve, text));
        }
        interfaces.push(CoreInterface {
            id,
            service: index,
            floor: service.admission(&terms.access),
            pipes: pipes(interface),
        });
    }
    Ok(interfaces)
}

/// The operations that have pipes: each of their calls is handed out with a way for pieces.
fn pipes(interface: &'static Interface) -> &'static [u16] {
    let piped = interface
        .operations
        .iter()
        .filter(|it| it.in_pipes > 0 || it.out_pipes > 0);
    // A few bytes for each server of an interface with pipes, which live as long as its description.
    piped
        .map(|operation| operation.opnum)
        .collect::<Vec<_>>()
        .leak()
}

fn config(limits: &Limits, terms: &Terms) -> ServerConfig {
    let default = ServerConfig::default();
    ServerConfig {
        fragment: limits.fragment,
        ndr64: !terms.no_ndr64,
        request: limits.stub,
        contexts: limits.contexts,
        require_sign_header: terms.require_header_signing,
        auth_contexts: terms.max_auth_contexts.unwrap_or(limits.auth_contexts),
        // req: dce-face-busy
        in_flight: limits.calls,
        partial: limits.partial,
        pipe: limits.pipe_stall,
        ..default
    }
}

/// A seed of its own under `seed`.
fn sub_seed(seed: &Seed, index: u64) -> Seed {
    let mut bytes = [0; 32];
    for (part, at) in bytes.chunks_exact_mut(8).zip(0_u64..) {
        let number = seed.draw(index.wrapping_mul(4).wrapping_add(at));
        part.copy_from_slice(&number.to_be_bytes());
    }
    Seed::new(bytes)
}
