//! The whole: one store, rpcbind's three versions and the endpoint mapper over it, and the endpoints they are served
//! at. rpcbind answers at endpoints of ONC RPC, the endpoint mapper at those of DCE/RPC.

use crate::directory::Directory;
use crate::element::Element;
use crate::epm::EndpointMapper;
use crate::mapping::{Mapping, Owner, Slot};
use crate::registry::{Policy, RPCBIND, Registry};
use crate::rpcbind::Rpcbind;
use crate::statistics::{Counts, Statistics};
use crate::store::{Memory, Store};
use crate::sweep::Sweeper;
use crate::warm;
use core::net::{IpAddr, Ipv4Addr, SocketAddr};
use farcall::generated::epmapper::ept;
use farcall::generated::mgmt::mgmt;
use farcall::server::Listening;
use farcall::stub::Interface;
use farcall::{Endpoint, Error, Family, IntoEndpoint, Limits, Server, Transport};
use farcall_dce::syntax::SyntaxId;
use farcall_dce::tower::{Protseq, Tower};
use farcall_onc::uaddr::{Netid, Uaddr};
use farcall_wire::Uuid;
use std::fs::Permissions;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

/// A binder to be; see [`Binder::builder`].
#[derive(Debug)]
pub struct Builder<S = Memory> {
    server: farcall::server::Builder,
    limits: Limits,
    policy: Policy,
    store: S,
    /// How many endpoints it makes itself.
    endpoints: usize,
    sweep: Duration,
    warm: Option<PathBuf>,
}

impl<S: Store> Builder<S> {
    /// Listens at an endpoint. May repeat. Clients of ONC RPC expect port 111 over TCP and UDP, and
    /// `unix:///run/rpcbind.sock`; clients of DCE/RPC expect `ncacn_ip_tcp:[135]` and `ncalrpc:[epmapper]`.
    #[must_use]
    pub fn listen(mut self, endpoint: impl IntoEndpoint) -> Self {
        self.server = self.server.listen(endpoint);
        self.endpoints += 1;
        self
    }

    /// Serves a socket that listens already, as the system's service manager hands them over. May repeat.
    #[must_use]
    pub fn listen_on(mut self, family: Family, socket: Listening) -> Self {
        self.server = self.server.listen_on(family, socket);
        self
    }

    /// How often registrations are looked after: those of dead processes at whose addresses nobody listens are taken
    /// away. Default 30 s. Zero: never.
    #[must_use]
    pub fn sweep(mut self, every: Duration) -> Self {
        self.sweep = every;
        self
    }

    /// Takes over what rpcbind has left in its files in this directory, and leaves them there again in the end, so that
    /// rpcbind may take over. Default: neither. See [`warm`].
    #[must_use]
    pub fn warm_start(mut self, directory: impl Into<PathBuf>) -> Self {
        self.warm = Some(directory.into());
        self
    }

    /// What callers may do. Default [`Policy::default`].
    #[must_use]
    pub fn policy(mut self, policy: Policy) -> Self {
        self.policy = policy;
        self
    }

    /// What peers may cost. Default: records of 64 KiB, 1 MiB of decoded values, 64 connections per source,
    /// 60 s idle; the rest as [`Limits::default`].
    #[must_use]
    pub fn limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// Where the server runs. Default as [`farcall::Server`]'s.
    #[must_use]
    pub fn runtime(mut self, runtime: farcall::Runtime) -> Self {
        self.server = self.server.runtime(runtime);
        self
    }

    /// Configures the server below further: how callers of DCE/RPC may authenticate, say.
    ///
    /// # Errors
    /// What `f` returns.
    pub fn configure<E>(
        mut self,
        f: impl FnOnce(farcall::server::Builder) -> Result<farcall::server::Builder, E>,
    ) -> Result<Self, E> {
        self.server = f(self.server)?;
        Ok(self)
    }

    /// Where registrations are kept. Default [`Memory`].
    #[must_use]
    pub fn store<T: Store>(self, store: T) -> Builder<T> {
        Builder {
            server: self.server,
            limits: self.limits,
            policy: self.policy,
            store,
            endpoints: self.endpoints,
            sweep: self.sweep,
            warm: self.warm,
        }
    }

    /// Starts the binder: it takes calls when this returns.
    ///
    /// # Errors
    /// An endpoint that cannot be listened at.
    pub async fn start(self) -> Result<Binder<S>, Error> {
        let store = Arc::new(self.store);
        let registry = Arc::new(Registry::new(Arc::clone(&store), self.policy));
        let directory = Arc::new(Directory::new(store));
        let statistics = Arc::new(Statistics::default());
        let rpcbind = Rpcbind::new(Arc::clone(&registry), Arc::clone(&statistics));
        let mapper = EndpointMapper::new(Arc::clone(&directory), MAPPER);
        if let Some(directory) = &self.warm {
            restore(&registry, directory).await;
        }
        let mut server = self.server.limits(self.limits);
        for service in rpcbind.services() {
            server = server.serve(service);
        }
        let server = server.serve(ept::service(mapper).allow_anonymous());
        let server = server.start().await?;
        server
            .endpoints()
            .iter()
            .take(self.endpoints)
            .filter_map(Endpoint::path)
            .for_each(open_to_all);
        registry.announce(all_own_mappings(server.endpoints()));
        directory.announce(server.endpoints().iter().flat_map(own_elements).collect());
        let sweeper = match self.sweep.is_zero() {
            true => None,
            false => Sweeper::start(self.sweep, Arc::clone(&registry), Arc::clone(&directory))
                .inspect_err(|error| tracing::warn!(%error, "nothing is swept"))
                .ok(),
        };
        Ok(Binder {
            server,
            sweeper,
            registry,
            directory,
            statistics,
            warm: self.warm,
        })
    }
}

/// Takes over what rpcbind has left. What cannot be understood is no reason not to serve.
async fn restore<S: Store>(registry: &Registry<S>, directory: &Path) {
    let shown = directory.display();
    let left = match warm::load(directory) {
        Ok(left) => left,
        Err(error) => return tracing::warn!(%error, directory = %shown, "not taken over"),
    };
    match registry.restore(left).await {
        Ok(count) => tracing::info!(count, directory = %shown, "registrations taken over"),
        Err(error) => tracing::warn!(%error, directory = %shown, "not taken over"),
    }
}

/// The object that this mapper is, for `ept_inq_object`: a name of ours, since one mapper is like another.
const MAPPER: Uuid = Uuid::new(
    0x6661_7263,
    0x616c,
    0x4c00,
    [0x80, 0x6d, 0x61, 0x70, 0x70, 0x65, 0x72, 0x00],
);

/// A running rpcbind and endpoint mapper. Dropping it ends it at once; [`drain`](Binder::drain) lets it finish.
#[derive(Debug)]
pub struct Binder<S = Memory> {
    server: Server,
    sweeper: Option<Sweeper>,
    registry: Arc<Registry<S>>,
    directory: Arc<Directory<S>>,
    statistics: Arc<Statistics>,
    warm: Option<PathBuf>,
}

impl Binder {
    /// A binder to be configured.
    #[must_use]
    pub fn builder() -> Builder {
        let limits = Limits {
            record: 64 << 10,
            memory: 1 << 20,
            connections_per_source: 64,
            idle: Duration::from_secs(60),
            // Handles of strangers who list what there is.
            idle_held: Duration::from_secs(300),
            ..Limits::default()
        };
        Builder {
            server: Server::builder(),
            limits,
            policy: Policy::default(),
            store: Memory::new(),
            endpoints: 0,
            sweep: Duration::from_secs(30),
            warm: None,
        }
    }
}

impl<S: Store> Binder<S> {
    /// The endpoints it is served at, ports filled in, in the order they were asked for.
    #[must_use]
    pub fn endpoints(&self) -> &[Endpoint] {
        self.server.endpoints()
    }

    /// What is registered, for whoever embeds the binder.
    #[must_use]
    pub fn registry(&self) -> &Registry<S> {
        &self.registry
    }

    /// What is registered with the endpoint mapper, for whoever embeds the binder.
    #[must_use]
    pub fn directory(&self) -> &Directory<S> {
        &self.directory
    }

    /// The server below, for calls within this process.
    #[must_use]
    pub fn server(&self) -> &Server {
        &self.server
    }

    /// What it has done since it was started.
    #[must_use]
    pub fn statistics(&self) -> [Counts; 3] {
        self.statistics.all()
    }

    /// Ends it in order, within `grace`. What rpcbind is to take over is in its files then.
    pub async fn drain(mut self, grace: Duration) {
        self.sweeper.take();
        let all = self.registry.all();
        self.server.drain(grace).await;
        if let Some(directory) = self.warm
            && let Err(error) = warm::save(&directory, &all)
        {
            tracing::warn!(%error, directory = %directory.display(), "nothing left for rpcbind");
        }
    }
}

/// Lets every user of this machine connect: the kernel tells who each of them is.
fn open_to_all(socket: &Path) {
    if let Err(error) = std::fs::set_permissions(socket, Permissions::from_mode(0o666)) {
        tracing::warn!(socket = %socket.display(), %error, "only its owner can connect");
    }
}

/// Where the binder itself is to be found, in the order in which rpcbind lists itself.
fn all_own_mappings(endpoints: &[Endpoint]) -> Vec<Mapping> {
    let mut mappings: Vec<Mapping> = endpoints.iter().flat_map(own_mappings).collect();
    mappings.sort_by_key(|mapping| match mapping.slot.netid {
        Netid::Tcp6 => 0,
        Netid::Udp6 => 1,
        Netid::Tcp => 2,
        Netid::Udp => 3,
        Netid::Local => 4,
    });
    mappings
}

/// Where the binder itself is to be found at one of its endpoints. Version 2 knows IPv4 only.
fn own_mappings(endpoint: &Endpoint) -> Vec<Mapping> {
    let mut mappings = Vec::new();
    for (netid, address) in own_addresses(endpoint) {
        let versions: &[u32] = if netid.protocol().is_some() {
            &[4, 3, 2]
        } else {
            &[4, 3]
        };
        mappings.extend(versions.iter().map(|version| Mapping {
            slot: Slot {
                program: RPCBIND,
                version: *version,
                netid,
            },
            address: address.clone(),
            owner: Owner::Superuser,
            process: None,
        }));
    }
    mappings
}

/// What the endpoint mapper itself serves at one of its endpoints.
fn own_elements(endpoint: &Endpoint) -> Vec<Element> {
    let (protseq, name) = match (endpoint.transport(), endpoint.port()) {
        (Transport::NcacnIpTcp, Some(port)) => (Protseq::Tcp, port.to_string()),
        (Transport::NcacnHttp, Some(port)) => (Protseq::Http, port.to_string()),
        (Transport::Ncalrpc, _) => (Protseq::Local, local_name(endpoint)),
        _ => return Vec::new(),
    };
    let host = match endpoint.host().map(str::parse) {
        Some(Ok(IpAddr::V4(host))) => host,
        _ => Ipv4Addr::UNSPECIFIED,
    };
    let element = |interface: &Interface| {
        let id = SyntaxId {
            uuid: interface.uuid,
            major: interface.major,
            minor: interface.minor,
        };
        let tower = Tower::new(id, SyntaxId::NDR, protseq, &name, host)?;
        Element::new(Uuid::NIL, tower, ANNOTATION, Owner::Superuser)
    };
    let own = [&ept::INTERFACE, &mgmt::INTERFACE].map(element);
    own.into_iter().flatten().collect()
}

/// What the mapper says of itself.
const ANNOTATION: &[u8] = b"Farcall endpoint mapper";

/// The name of a local endpoint.
fn local_name(endpoint: &Endpoint) -> String {
    match endpoint {
        Endpoint::Local(name) => name.to_string(),
        _ => String::new(),
    }
}

/// The transports of an endpoint. A socket at `[::]` takes IPv4 too.
fn own_addresses(endpoint: &Endpoint) -> Vec<(Netid, Uaddr)> {
    if !matches!(
        endpoint.transport(),
        Transport::Tcp | Transport::Tls | Transport::Udp | Transport::Unix
    ) {
        return Vec::new();
    }
    if let Some(path) = endpoint.path() {
        return vec![(
            Netid::Local,
            Uaddr::Local(path.as_os_str().as_bytes().to_vec()),
        )];
    }
    let host = endpoint.host().and_then(|host| host.parse().ok());
    let (Some(host), Some(port)) = (host, endpoint.port()) else {
        return Vec::new();
    };
    let hosts = match host {
        IpAddr::V6(any) if any.is_unspecified() => vec![host, Ipv4Addr::UNSPECIFIED.into()],
        _ => vec![host],
    };
    let at = |host| {
        let address = SocketAddr::new(host, port);
        (
            Netid::of(address, endpoint.transport() == Transport::Udp),
            Uaddr::Inet(address),
        )
    };
    hosts.into_iter().map(at).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_binder_announces_itself_as_rpcbind_does() {
        let shown = |text: &str| -> Vec<String> {
            let mappings = own_mappings(&text.parse().expect(text));
            let show = |m: &Mapping| {
                format!(
                    "{} {} {} {}",
                    m.slot.version, m.slot.netid, m.address, m.owner
                )
            };
            mappings.iter().map(show).collect()
        };
        let udp = [
            "4 udp 0.0.0.0.0.111 superuser",
            "3 udp 0.0.0.0.0.111 superuser",
            "2 udp 0.0.0.0.0.111 superuser",
        ];
        assert_eq!(shown("udp://0.0.0.0:111"), udp);
        let both = shown("udp://[::]:111");
        assert_eq!(
            both[..2],
            ["4 udp6 ::.0.111 superuser", "3 udp6 ::.0.111 superuser"]
        );
        assert_eq!(both[2..], udp);
        assert_eq!(
            shown("tcp://[::1]:111"),
            ["4 tcp6 ::1.0.111 superuser", "3 tcp6 ::1.0.111 superuser"]
        );
        assert_eq!(
            shown("unix:///run/x"),
            ["4 local /run/x superuser", "3 local /run/x superuser"]
        );
    }
}
