//! The server: services, endpoints, a life from `start` to `drain`.
//!
//! ```no_run
//! # async fn example(service: farcall::stub::Registered) -> Result<(), farcall::Error> {
//! let server = farcall::Server::builder()
//!     .serve(service)
//!     .listen("tcp://127.0.0.1:0")
//!     .listen("udp://127.0.0.1:0")
//!     .start()
//!     .await?;
//! println!("{:?}", server.endpoints());
//! server.drain(std::time::Duration::from_secs(10)).await;
//! # Ok(()) }
//! ```

pub(crate) mod armor;
pub(crate) mod mailbox;
pub(crate) mod origin;
pub(crate) mod guarded;
pub(crate) mod once;
pub(crate) mod lane;
pub(crate) mod hub;
pub(crate) mod workers;
pub(crate) mod visit;
pub(crate) mod stream;
pub(crate) mod datagram;
pub(crate) mod cores;
pub(crate) mod census;
pub(crate) mod dce;
pub(crate) mod http;
#[cfg(feature = "tls")]
pub(crate) mod secure;
pub(crate) mod accept;
mod conversation;

use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use farcall_dce::security::AuthLevel;
use farcall_onc::auth::ShortConfig;
use farcall_onc::msg::Framing;
use farcall_onc::server::Registry;
use farcall_onc::tls::Terms;
use farcall_wire::Padding;
use tokio::net::{TcpListener, UdpSocket, UnixListener, UnixStream};
use tokio::sync::watch;
use tokio_util::task::TaskTracker;

use crate::call::{Call, Peer, Refuse};
use crate::client::connect;
use crate::client::{ByteStream, Client, InProcess, Options, back, within};
use crate::endpoint::{Endpoint, Family, IntoEndpoint, Transport};
use crate::error::{Error, Phase};
use crate::limits::Limits;
use crate::local;
use crate::operations::{Anonymous, Exported};
use crate::registrar::{Registrar, Registration};
use crate::socket;
use crate::steps::recorder::Recorder;
use crate::steps::stamp;
use crate::stub::{Hosted, Kind, Registered};
use accept::{Acceptor, Listener, Speaks};
use census::Census;
use conversation::Conversation;
use cores::Cores;
pub use cores::Runtime;
use datagram::DatagramServer;
use dce::exports::{Exports, Scope};
use farcall_onc::gss::GssConfig;
use guarded::Guarding;
use http::exchange::Exchange;
use hub::{Hub, Stage};
pub use once::DuplicateRequests;
use origin::Origin;

/// What a server will be; see [`Server::builder`].
#[derive(Debug, Default)]
pub struct Builder {
    services: Vec<Registered>,
    endpoints: Vec<Result<Endpoint, Error>>,
    listening: Vec<(Family, Listening)>,
    limits: Limits,
    runtime: Runtime,
    padding: Padding,
    duplicates: DuplicateRequests,
    registrar: Option<Registrar>,
    recorder: Option<Recorder>,
    lanes: Option<usize>,
    guarding: Option<Arc<Guarding>>,
    shorts: Option<ShortConfig>,
    terms: dce::exports::Terms,
    #[cfg(feature = "tls")]
    secure: Option<crate::tls::Secure>,
}

/// A socket that listens already.
#[derive(Debug)]
#[non_exhaustive]
pub enum Listening {
    /// A TCP socket, listening.
    Tcp(std::net::TcpListener),
    /// A UDP socket, bound.
    Udp(std::net::UdpSocket),
    /// A Unix stream socket, listening.
    Unix(std::os::unix::net::UnixListener),
}

impl Builder {
    /// Serves a program and version, or an interface: what a stub's `service()` returned. May
    /// repeat. Programs are served at endpoints of ONC RPC, interfaces at those of DCE/RPC.
    #[must_use]
    pub fn serve(mut self, service: Registered) -> Self {
        self.services.push(service);
        self
    }

    /// Listens at an endpoint, such as `tcp://0.0.0.0:2049`, `ncacn_ip_tcp:0.0.0.0[135]`, `ncacn_http:0.0.0.0[593]`
    /// (to which RPC proxies connect) or `ncalrpc:[name]`. May repeat. Port 0, or no port, lets the kernel choose.
    #[must_use]
    pub fn listen(mut self, endpoint: impl IntoEndpoint) -> Self {
        self.endpoints.push(endpoint.into_endpoint());
        self
    }

    /// Serves a socket that listens already, as the system's service manager hands them over. May
    /// repeat; such endpoints come after those of [`listen`](Self::listen). A Unix socket stays in
    /// the file system when the server ends.
    #[must_use]
    pub fn listen_on(mut self, family: Family, socket: Listening) -> Self {
        self.listening.push((family, socket));
        self
    }

    /// What peers may cost. Default [`Limits::default`].
    #[must_use]
    pub fn limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// Where it runs. Default [`Runtime::default`].
    #[must_use]
    pub fn runtime(mut self, runtime: Runtime) -> Self {
        self.runtime = runtime;
        self
    }

    /// How many busy connections, and how many busy UDP sockets, may have a thread of their own
    /// at a time, which saves them the reactor. A connection is busy when calls follow each other
    /// closely, and stays on its thread as long as its procedures answer at once. Default: as
    /// many as [`Runtime::Threads`] has; none with [`Runtime::Current`]. 0: none.
    #[must_use]
    pub fn lanes(mut self, count: usize) -> Self {
        self.lanes = Some(count);
        self
    }

    /// Whether headers and credentials must be as the specification says, or may be as deployed
    /// peers write them. Default [`Padding::Compatible`].
    #[must_use]
    pub fn strictness(mut self, padding: Padding) -> Self {
        self.padding = padding;
        self
    }

    /// Over which transports repeated calls are answered instead of being run again. Default
    /// [`DuplicateRequests::default`].
    #[must_use]
    pub fn duplicate_requests(mut self, which: DuplicateRequests) -> Self {
        self.duplicates = which;
        self
    }

    /// Registers every service at every endpoint of its family there, keeps that true though
    /// rpcbind is started anew, and unregisters on [`drain`](Server::drain); a server that is
    /// dropped tries to. Default: no registration.
    #[must_use]
    pub fn register_with(mut self, registrar: Registrar) -> Self {
        self.registrar = Some(registrar);
        self
    }

    /// Samples calls: their steps at this end go into `recorder`. Default: none.
    #[must_use]
    pub fn record(mut self, recorder: Recorder) -> Self {
        self.recorder = Some(recorder);
        self
    }

    /// ONC RPC: the mechanisms by which clients may prove who they are under `RPCSEC_GSS`; the keys must be those of
    /// the service principal that clients ask for, such as `nfs@files.example`. Which programs insist on it, and how
    /// their calls must be protected, says [`Registered::accept`](crate::stub::Registered::accept). Default: none.
    #[must_use]
    pub fn gss(self, acceptor: Arc<dyn farcall_onc::gss::Acceptor>) -> Self {
        self.gss_with(acceptor, GssConfig::default())
    }

    /// As [`gss`](Self::gss), with bounds on the contexts that are kept.
    #[must_use]
    pub fn gss_with(
        mut self,
        acceptor: Arc<dyn farcall_onc::gss::Acceptor>,
        config: GssConfig,
    ) -> Self {
        self.guarding = Some(Guarding::new(acceptor, config));
        self
    }

    /// Gives callers with `AUTH_SYS` a short handle that they may send instead of their whole credential
    /// (`AUTH_SHORT`, RFC 5531 appendix A), and takes such handles. A handle is worth no more than the credential that it
    /// stands for. Default: none are given and none are taken.
    #[must_use]
    pub fn short_credentials(mut self, config: ShortConfig) -> Self {
        self.shorts = Some(config);
        self
    }

    /// ONC RPC: protects connections over TCP by TLS (RFC 9289), where clients ask for it or, if the policy insists,
    /// everywhere: calls in clear are refused then (`AUTH_TOOWEAK`), also over UDP, but for procedure 0 without credentials. Endpoints
    /// `tls://` insist whatever the policy is. Unix sockets and this process are not concerned. Default: none.
    ///
    /// Connections stay as they are when certificates are changed; see [`ServerTls::reload`](crate::tls::ServerTls::reload).
    #[cfg(feature = "tls")]
    #[must_use]
    pub fn tls(mut self, policy: crate::tls::Policy, with: crate::tls::ServerTls) -> Self {
        let naming = self.secure.and_then(|secure| secure.naming);
        self.secure = Some(crate::tls::Secure {
            policy,
            with,
            naming,
        });
        self
    }

    /// How whoever shows a certificate is called here ([`Certified::principal`](crate::tls::Certified::principal)); nothing: it
    /// is nobody who is known, and the connection ends. Call it after [`tls`](Self::tls). Default: by the certificate's
    /// subject (RFC 4514).
    #[cfg(feature = "tls")]
    #[must_use]
    pub fn tls_principal(
        mut self,
        name: impl Fn(&crate::tls::Certificate) -> Option<String> + Send + Sync + 'static,
    ) -> Self {
        if let Some(secure) = &mut self.secure {
            secure.naming = Some(Arc::new(name));
        }
        self
    }

    /// DCE/RPC: the mechanisms by which clients may prove who they are. Default: none.
    #[must_use]
    pub fn authenticate_with(mut self, acceptor: Arc<dyn farcall_dce::security::Acceptor>) -> Self {
        self.terms.acceptor = Some(acceptor);
        self
    }

    /// Asked before each call, with who calls ([`Call::identity`]) and what (program or interface, procedure or
    /// operation); an error is what the caller is told. Over ONC RPC it is asked of every call except of procedure 0,
    /// which answers everybody, also of a repeated one that would be answered from the cache; over DCE/RPC of whoever
    /// has passed the floor of the interface. It runs on the connection's core: it must not block. Default: they may.
    #[must_use]
    pub fn authorize(
        mut self,
        ask: impl Fn(&Call) -> Result<(), Refuse> + Send + Sync + 'static,
    ) -> Self {
        self.terms.authorize = Some(Arc::new(ask));
        self
    }

    /// DCE/RPC: clients may call without proving who they are, unless the interface says
    /// otherwise. Default: they may not.
    #[must_use]
    pub fn allow_anonymous(mut self) -> Self {
        self.terms.access.anonymous = Anonymous::All;
        self
    }

    /// DCE/RPC: clients that prove who they are must protect their calls at least so, unless the
    /// interface says otherwise. Default [`AuthLevel::INTEGRITY`].
    #[must_use]
    pub fn auth_floor(mut self, level: AuthLevel) -> Self {
        self.terms.access.floor = level;
        self
    }

    /// DCE/RPC: whether clients that protect their calls must offer to sign the headers of PDUs too; others are refused when
    /// they bind. Without signed headers, whoever relays calls can change what stands outside the arguments (MS-RPCE
    /// section 3.3.1.5.2.2). Default false: older clients do not know it.
    #[must_use]
    pub fn require_header_signing(mut self, required: bool) -> Self {
        self.terms.require_header_signing = required;
        self
    }

    /// DCE/RPC: what clients are told as secondary address when they bind. Default: the port, or
    /// the name of the local endpoint.
    #[must_use]
    pub fn secondary_address(mut self, address: impl Into<String>) -> Self {
        self.terms.secondary_address = Some(address.into());
        self
    }

    /// DCE/RPC: whether clients may choose NDR64. Default true.
    #[must_use]
    pub fn ndr64(mut self, allowed: bool) -> Self {
        self.terms.no_ndr64 = !allowed;
        self
    }

    /// DCE/RPC: security contexts of one connection. Default
    /// [`Limits::auth_contexts`](crate::Limits::auth_contexts).
    #[must_use]
    pub fn max_auth_contexts(mut self, most: usize) -> Self {
        self.terms.max_auth_contexts = Some(most);
        self
    }

    /// DCE/RPC: whether an authenticated client may stop the server through its management
    /// interface, if [`authorize`](Self::authorize) agrees. Default false: access is denied.
    #[must_use]
    pub fn remote_stop(mut self, allowed: bool) -> Self {
        self.terms.remote_stop = allowed;
        self
    }

    /// Starts the server: it takes calls when this returns.
    ///
    /// # Errors
    /// An endpoint that cannot be listened at, two services of the same program and version, a
    /// registration that was refused. Nothing is left running then.
    pub async fn start(self) -> Result<Server, Error> {
        if self.recorder.is_some() {
            stamp::rouse();
        }
        let (mut hosted, mut exported) = (Vec::new(), Vec::new());
        for service in self.services {
            match service.into_kind() {
                Kind::Program(program) => hosted.push(program),
                Kind::Interface(interface) => exported.push(interface),
            }
        }
        let registry = registry(&hosted, self.padding)?;
        let programs = hosted.iter().map(Hosted::program).collect();
        let interfaces: Vec<_> = exported.iter().map(Exported::interface).collect();
        let limits = self.limits.clone();
        let mut hub = Hub::new(
            self.limits,
            registry,
            hosted,
            self.duplicates,
            self.recorder,
            (self.terms.authorize.clone(), self.shorts),
            self.lanes.unwrap_or(self.runtime.lanes()),
        );
        hub.guard(self.guarding);
        #[cfg(feature = "tls")]
        {
            hub.secure = checked(self.secure)?;
        }
        let hub = Arc::new(hub);
        let exports = dce::exports(exported, self.terms, &limits, &hub)?;
        let mut server = Server {
            running: Running {
                hub: Arc::clone(&hub),
                exports,
                cores: Cores::start(self.runtime)?,
                tasks: TaskTracker::new(),
                census: Arc::default(),
                paths: Vec::new(),
            },
            endpoints: Vec::new(),
            registration: None,
        };
        for endpoint in self.endpoints {
            let served = server.running.listen(endpoint?).await?;
            server.endpoints.push(served);
        }
        for (family, socket) in self.listening {
            let served = server.running.listen_on(family, socket)?;
            server.endpoints.push(served);
        }
        if let Some(registrar) = self.registrar {
            let registering = registrar.register_all(programs, &interfaces, &server.endpoints);
            server.registration = Some(registering.await?);
        }
        Ok(server)
    }
}

/// Settings of TLS that can keep what the policy says.
#[cfg(feature = "tls")]
fn checked(secure: Option<crate::tls::Secure>) -> Result<Option<crate::tls::Secure>, Error> {
    use crate::tls::Policy;
    match &secure {
        Some(secure)
            if secure.policy == Policy::RequireMutual && !secure.with.requires_certificates() =>
        {
            let text =
                "both sides must prove who they are, and clients are not asked for certificates";
            Err(Error::local(Phase::Serve, text).hint("Clients::Required: name their authority"))
        }
        _ => Ok(secure),
    }
}

/// The programs of a server, by number and version.
fn registry(services: &[Hosted], padding: Padding) -> Result<Registry, Error> {
    let mut registry = Registry::new(padding);
    for (index, service) in services.iter().enumerate() {
        let program = service.program();
        registry
            .insert(program.number, program.version, service.accepts(), index)
            .map_err(|duplicate| Error::local(Phase::Serve, duplicate.to_string()))?;
    }
    Ok(registry)
}

/// A running server. Dropping it ends it at once; [`drain`](Server::drain) lets it finish.
pub struct Server {
    /// First, so that a server that is dropped is no longer found before it is gone.
    registration: Option<Registration>,
    running: Running,
    endpoints: Vec<Endpoint>,
}

struct Running {
    hub: Arc<Hub>,
    exports: Arc<Exports>,
    cores: Cores,
    tasks: TaskTracker,
    census: Arc<Census>,
    /// Unix sockets to remove in the end.
    paths: Vec<PathBuf>,
}

impl Server {
    /// A server to be configured.
    pub fn builder() -> Builder {
        Builder::default()
    }

    /// The endpoints it serves, ports filled in, in the order they were asked for.
    pub fn endpoints(&self) -> &[Endpoint] {
        &self.endpoints
    }

    /// The first endpoint over `transport`.
    pub fn endpoint(&self, transport: Transport) -> Option<&Endpoint> {
        self.endpoints.iter().find(|e| e.transport() == transport)
    }

    /// Serves calls of ONC RPC that come over a byte stream of whatever kind, as if it had been
    /// accepted.
    ///
    /// Call it inside a tokio runtime if the stream belongs to one; the connection is driven
    /// there.
    ///
    /// # Errors
    /// There is no current runtime.
    pub fn serve_stream(&self, stream: impl ByteStream, peer: Peer) -> Result<(), Error> {
        self.serve_stream_of(Family::Onc, stream, peer)
    }

    /// As [`serve_stream`](Self::serve_stream), of either family.
    ///
    /// # Errors
    /// There is no current runtime.
    pub fn serve_stream_of(
        &self,
        family: Family,
        stream: impl ByteStream,
        peer: Peer,
    ) -> Result<(), Error> {
        let speaks = self.running.speaks(family, Scope::Local, "");
        let runtime = tokio::runtime::Handle::try_current()
            .map_err(|_| Error::local(Phase::Serve, "there is no current tokio runtime"))?;
        let (hub, token) = (Arc::clone(&self.running.hub), self.running.tasks.token());
        runtime.spawn(async move {
            let _token = token;
            let origin = Origin::new(speaks.over_unix(), peer, None);
            accept::connection(stream, hub, speaks, origin).await;
        });
        Ok(())
    }

    /// Connects to another server, and serves it over the same connection: it can call this server's programs as it
    /// is called. (Over there, [`Call::back_channel`] does that.) The client connects again as its options say, which
    /// over there is another connection with a back channel of its own; the connection ends when the client and its
    /// clones are gone.
    ///
    /// # Errors
    /// As [`Client::connect`], and for an endpoint of datagrams or of DCE/RPC.
    pub async fn connect(
        &self,
        endpoint: impl IntoEndpoint,
        program: u32,
        version: u32,
        options: Options,
    ) -> Result<Client, Error> {
        let endpoint = endpoint.into_endpoint()?;
        if endpoint.transport().framing() == Framing::Datagram
            || endpoint.transport().family() != Family::Onc
        {
            let text = format!("{endpoint} has no connection that carries calls both ways");
            return Err(Error::local(Phase::Connect, text).hint("use tcp:// or unix://"));
        }
        let connecting = connect::connect(&endpoint, program, version, &options);
        let made = within(options.connect_timeout, &endpoint, connecting).await?;
        let conversation = |back| {
            let running = &self.running;
            let (hub, cores) = (&running.hub, running.cores.handles());
            let tasks = running.tasks.clone();
            Arc::new(Conversation::new(hub, cores, tasks, back)) as Arc<dyn connect::Converse>
        };
        back::forward((endpoint, program, version), made, options, conversation)
    }

    /// Ends the server in order: unregisters, takes no more connections and calls, lets what is
    /// running finish for at most `grace`, then aborts what is left. It always ends.
    pub async fn drain(mut self, grace: Duration) {
        if let Some(registration) = self.registration.take() {
            registration.remove(grace.min(Duration::from_secs(5))).await;
        }
        self.running.hub.enter(Stage::Draining);
        self.running.tasks.close();
        if tokio::time::timeout(grace, self.running.tasks.wait())
            .await
            .is_err()
        {
            tracing::warn!(?grace, "draining took too long; what is left is aborted");
        }
    }
}

impl InProcess for Server {
    fn connect_in_process(&self, family: Family) -> Result<UnixStream, Error> {
        let io = |e: io::Error| Error::io(Phase::Connect, &e);
        let (ours, theirs) = std::os::unix::net::UnixStream::pair().map_err(io)?;
        ours.set_nonblocking(true).map_err(io)?;
        theirs.set_nonblocking(true).map_err(io)?;
        let speaks = self.running.speaks(family, Scope::Local, "");
        let hub = Arc::clone(&self.running.hub);
        let index = usize::try_from(hub.number_connection()).unwrap_or(0);
        let token = self.running.tasks.token();
        self.running.cores.spawn(index, async move {
            let _token = token;
            let Ok(stream) = UnixStream::from_std(ours) else {
                return;
            };
            let mut origin = Origin::new(speaks.over_unix(), Peer::InProcess, None);
            if let Some(recorder) = &hub.recorder {
                origin.record(recorder, false);
            }
            accept::connection(stream, hub, speaks, origin).await;
        });
        UnixStream::from_std(theirs).map_err(io)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.hub.enter(Stage::Aborting);
        for path in &self.paths {
            let _ = std::fs::remove_file(path);
        }
    }
}

impl std::fmt::Debug for Server {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Server")
            .field("endpoints", &self.endpoints)
            .finish_non_exhaustive()
    }
}

impl Running {
    /// Listens at `endpoint` and returns it with its port.
    async fn listen(&mut self, endpoint: Endpoint) -> Result<Endpoint, Error> {
        let failed = |e: io::Error| Error::io(Phase::Serve, &e).with_peer(&endpoint);
        match &endpoint {
            Endpoint::Unix(path) => {
                self.listen_unix(path, Speaks::Onc(Terms::Unoffered))
                    .map_err(failed)?;
                Ok(endpoint)
            }
            Endpoint::Local(name) => {
                let path = local::to_listen(name).map_err(failed)?;
                let speaks = self.speaks(Family::Dce, Scope::Local, name);
                self.listen_unix(&path, speaks).map_err(failed)?;
                local::open(&path).map_err(failed)?;
                Ok(endpoint)
            }
            Endpoint::Http { .. } => Err(Error::local(
                Phase::Serve,
                format!("{endpoint} is the way of a client"),
            )
            .hint("a server listens at ncacn_http:host[port]")),
            Endpoint::Host {
                transport,
                host,
                port,
            } => {
                let addresses = tokio::net::lookup_host((host.as_str(), port.unwrap_or(0)));
                let address =
                    addresses.await.map_err(failed)?.next().ok_or_else(|| {
                        Error::local(Phase::Serve, format!("{host} has no address"))
                    })?;
                let bound = match transport {
                    Transport::Udp => self.listen_udp(address),
                    Transport::Tls => self.listen_tls(address),
                    _ => self.listen_tcp(address, *transport),
                };
                Ok(Endpoint::of(*transport, bound.map_err(failed)?))
            }
        }
    }

    /// What is spoken at an endpoint of `family`; `address` tells clients of DCE/RPC where it is.
    fn speaks(&self, family: Family, scope: Scope, address: &str) -> Speaks {
        match family {
            Family::Onc => Speaks::Onc(match scope {
                Scope::Network => self.hub.terms(Framing::Stream),
                Scope::Http | Scope::Local => Terms::Unoffered,
            }),
            Family::Dce => Speaks::Dce(self.exports.door(scope, address)),
        }
    }

    /// What is spoken over TCP at a port, as one of its transports.
    fn speaks_at(&self, transport: Transport, port: u16) -> Speaks {
        let port = port.to_string();
        match transport {
            Transport::NcacnHttp => {
                let door = self.exports.door(Scope::Http, &port);
                let cores = self.cores.handles();
                Speaks::Http(Exchange::new(Arc::clone(&self.hub), door, cores))
            }
            Transport::Tls => Speaks::Onc(Terms::Demanded),
            other => self.speaks(other.family(), Scope::Network, &port),
        }
    }

    /// Serves a socket that listens already, and says where it does.
    fn listen_on(&self, family: Family, socket: Listening) -> Result<Endpoint, Error> {
        let failed = |e: io::Error| Error::io(Phase::Serve, &e);
        match (socket, family) {
            (Listening::Tcp(socket), family) => {
                let transport = match family {
                    Family::Onc => Transport::Tcp,
                    Family::Dce => Transport::NcacnIpTcp,
                };
                let bound = self.adopt_tcp(socket, transport).map_err(failed)?;
                Ok(Endpoint::of(transport, bound))
            }
            (Listening::Udp(socket), Family::Onc) => {
                let bound = self.adopt_udp(socket).map_err(failed)?;
                Ok(Endpoint::of(Transport::Udp, bound))
            }
            (Listening::Udp(_), Family::Dce) => Err(Error::local(
                Phase::Serve,
                "interfaces are not served over datagrams",
            )),
            (Listening::Unix(socket), family) => self.adopt_unix(socket, family).map_err(failed),
        }
    }

    fn adopt_unix(
        &self,
        socket: std::os::unix::net::UnixListener,
        family: Family,
    ) -> io::Result<Endpoint> {
        let path = socket.local_addr()?.as_pathname().map(Path::to_owned);
        let path = path.ok_or_else(|| io::Error::other("a Unix socket without a path"))?;
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let speaks = self.speaks(family, Scope::Local, &name);
        let endpoint = match family {
            Family::Onc => Endpoint::Unix(path.clone()),
            Family::Dce => Endpoint::Local(name.into_owned()),
        };
        socket.set_nonblocking(true)?;
        let _in_core = self.in_core(0);
        self.accept(Listener::Unix(UnixListener::from_std(socket)?), speaks);
        Ok(endpoint)
    }

    /// Sockets that are made meanwhile belong to this core.
    fn in_core(&self, core: usize) -> Option<tokio::runtime::EnterGuard<'_>> {
        self.cores
            .handles()
            .get(core)
            .map(tokio::runtime::Handle::enter)
    }

    fn listen_tcp(&self, address: SocketAddr, transport: Transport) -> io::Result<SocketAddr> {
        self.adopt_tcp(socket::listen_tcp(address)?, transport)
    }

    /// Listens where TLS is demanded, whatever holds elsewhere.
    fn listen_tls(&self, address: SocketAddr) -> io::Result<SocketAddr> {
        #[cfg(feature = "tls")]
        let possible = self.hub.secure.is_some();
        #[cfg(not(feature = "tls"))]
        let possible = false;
        match possible {
            true => self.listen_tcp(address, Transport::Tls),
            false => Err(io::Error::other(
                "there is no certificate to show (Builder::tls)",
            )),
        }
    }

    fn adopt_tcp(
        &self,
        socket: std::net::TcpListener,
        transport: Transport,
    ) -> io::Result<SocketAddr> {
        socket.set_nonblocking(true)?;
        let bound = socket.local_addr()?;
        let _in_core = self
            .cores
            .handles()
            .first()
            .map(tokio::runtime::Handle::enter);
        let speaks = self.speaks_at(transport, bound.port());
        self.accept(Listener::Tcp(TcpListener::from_std(socket)?), speaks);
        Ok(bound)
    }

    fn listen_unix(&mut self, path: &Path, speaks: Speaks) -> io::Result<()> {
        remove_dead_socket(path)?;
        let _in_core = self
            .cores
            .handles()
            .first()
            .map(tokio::runtime::Handle::enter);
        let listener = UnixListener::bind(path)?;
        drop(_in_core);
        self.paths.push(path.to_owned());
        self.accept(Listener::Unix(listener), speaks);
        Ok(())
    }

    fn accept(&self, listener: Listener, speaks: Speaks) {
        let acceptor = Acceptor {
            hub: Arc::clone(&self.hub),
            cores: self.cores.handles().to_vec(),
            census: Arc::clone(&self.census),
            tasks: self.tasks.clone(),
            speaks,
        };
        let token = self.tasks.token();
        self.cores.spawn(0, async move {
            let _token = token;
            acceptor.run(listener).await;
        });
    }

    fn listen_udp(&self, address: SocketAddr) -> io::Result<SocketAddr> {
        self.adopt_udp(socket::bind_udp(address)?)
    }

    fn adopt_udp(&self, socket: std::net::UdpSocket) -> io::Result<SocketAddr> {
        socket.set_nonblocking(true)?;
        let bound = socket.local_addr()?;
        let core = self.cores.len().saturating_sub(1);
        let _in_core = self
            .cores
            .handles()
            .get(core)
            .map(tokio::runtime::Handle::enter);
        let server = DatagramServer::new(UdpSocket::from_std(socket)?, Arc::clone(&self.hub))?;
        let (token, stages) = (self.tasks.token(), self.hub.stages());
        self.cores.spawn(core, async move {
            let _token = token;
            serve_datagrams(server, stages).await;
        });
        Ok(bound)
    }
}

/// Drives a UDP socket to its end, on a lane while it is busy.
async fn serve_datagrams(mut server: DatagramServer, mut stages: watch::Receiver<Stage>) {
    loop {
        let lane = tokio::select! {
            biased;
            leave = &mut server => match leave {
                datagram::Leave::Ended => return,
                datagram::Leave::Busy(lane) => lane,
            },
            Ok(()) = stages.changed() => continue,
        };
        // Without a thread it goes on where it is.
        let Ok(started) = lane.start(DatagramServer::on_lane) else {
            continue;
        };
        server = match server.visit_lane(started).await {
            Ok((server, false)) => server,
            Ok((_, true)) => return,
            Err(error) => {
                tracing::error!(%error, "a UDP socket is lost");
                return;
            }
        };
    }
}

/// Removes a socket that a dead server left behind; one that answers is left alone.
fn remove_dead_socket(path: &Path) -> io::Result<()> {
    use std::os::unix::fs::FileTypeExt;
    match std::fs::symlink_metadata(path) {
        Ok(found) if found.file_type().is_socket() => {
            if std::os::unix::net::UnixStream::connect(path).is_ok() {
                return Err(io::Error::new(
                    io::ErrorKind::AddrInUse,
                    "a server answers there",
                ));
            }
            std::fs::remove_file(path)
        }
        _ => Ok(()),
    }
}
