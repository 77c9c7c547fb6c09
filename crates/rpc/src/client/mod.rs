//! The client: a handle that is cheap to clone, a connection that any number of calls share.
//!
//! ```no_run
//! # async fn example() -> Result<(), farcall::Error> {
//! use farcall::stub::Target;
//! let client = farcall::Client::connect("tcp://127.0.0.1:2049", 100_003, 3).await?;
//! let null = Target { program: 100_003, version: 3, procedure: 0 };
//! client.call_target(null, &(), |_| Ok(())).await?;
//! # Ok(()) }
//! ```
//!
//! Generated clients wrap it and give each procedure a method.

pub(crate) mod timer;
pub(crate) mod http_options;
pub(crate) mod options;
pub(crate) mod link;
pub(crate) mod ping;
pub(crate) mod stream;
pub(crate) mod datagram;
pub mod resolve;
#[cfg(feature = "tls")]
pub(crate) mod secure;
pub(crate) mod connect;
pub mod http;
pub(crate) mod dce;
pub(crate) mod gss;
pub(crate) mod calling;
pub(crate) mod back;
pub mod broadcast;

use std::fmt;
use std::sync::Arc;
use std::task::Waker;
use std::time::{Duration, Instant};

use farcall_onc::auth::{AuthBlock, AuthStat};
use farcall_onc::client::{Client as Core, Maker};
use farcall_onc::msg::Target;
use farcall_onc::seed::Seed;
use farcall_wire::{DecodeError, Encode, EncodeError, ndr};
use tokio::net::UnixStream;
use tokio::runtime::Handle as Runtime;

use crate::conduit::Conduit;
use crate::endpoint::{Endpoint, Family, IntoEndpoint};
use crate::error::{Cause, Error, Phase};
use crate::interface::Interface;
use crate::pipe::{Answer, Outlet, Sources};
use crate::scratch;
use crate::stub::Program;
pub use calling::{Calling, Decoder};
pub use connect::ByteStream;
use connect::Connector;
pub use dce::mapper;
use farcall_dce::co::client::{Client as Association, Pieces};
use farcall_dce::security::Principal;
use gss::Guard;
use link::{Link, Outcome, Ticket};
pub use options::{Credentials, Gss, Options, Ping, Reconnect, Retry};

/// A connection to a server, shared by all its clones.
///
/// It takes `&self`, may be used from any task and thread, carries any number of calls in
/// flight, and connects again by itself (see [`Reconnect`]).
#[derive(Clone)]
pub struct Client {
    handle: Handle,
    options: Arc<Options>,
    /// The security context that its calls share, if they are to have one.
    guard: Option<Arc<Guard>>,
}

/// What all clones share, by family.
#[derive(Clone)]
pub(crate) enum Handle {
    Onc(Arc<ClientHandle>),
    Dce(Arc<dce::Handle>),
}

/// What all clones share; with the last one the connection ends.
pub(crate) struct ClientHandle {
    link: Arc<Link>,
    connector: Arc<Connector>,
    /// The peer, for errors.
    peer: String,
}

impl fmt::Debug for ClientHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ClientHandle({})", self.peer)
    }
}

impl Client {
    /// Connects to `endpoint` for calls to a version of a program. Without a port in the
    /// endpoint, the host's rpcbind is asked where that version is.
    ///
    /// # Errors
    /// The host, the program or the port cannot be found, or the connection is refused.
    pub async fn connect(
        endpoint: impl IntoEndpoint,
        program: u32,
        version: u32,
    ) -> Result<Self, Error> {
        Self::connect_with(endpoint, program, version, Options::default()).await
    }

    /// As [`connect`](Self::connect), with options.
    ///
    /// # Errors
    /// As [`connect`](Self::connect).
    pub async fn connect_with(
        endpoint: impl IntoEndpoint,
        program: u32,
        version: u32,
        options: Options,
    ) -> Result<Self, Error> {
        let endpoint = endpoint.into_endpoint()?;
        let limit = options.connect_timeout;
        if connect::is_datagram(&endpoint) {
            #[cfg(feature = "tls")]
            secure::wanted(&endpoint, &options).map_err(|error| error.with_peer(&endpoint))?;
            let connecting = connect::connect_udp(&endpoint, program, version);
            let (socket, server) = within(limit, &endpoint, connecting).await?;
            let core = Core::datagram(Link::config(&options), server, &seed());
            let connector = Connector::Datagrams(Some(socket).into(), server);
            return Self::make(core, connector, format!("udp://{server}"), options).started();
        }
        let connecting = connect::connect(&endpoint, program, version, &options);
        let first = Some(within(limit, &endpoint, connecting).await?).into();
        let peer = endpoint.to_string();
        let core = Core::stream(Link::config(&options), &seed());
        let connector = Connector::Endpoint {
            endpoint,
            program,
            version,
            first,
            converse: None,
        };
        Self::make(core, connector, peer, options).started()
    }

    /// A client that connects at its first call. For stream endpoints.
    ///
    /// # Errors
    /// The endpoint is not understood, or is one of datagrams.
    pub fn lazy(
        endpoint: impl IntoEndpoint,
        program: u32,
        version: u32,
        options: Options,
    ) -> Result<Self, Error> {
        let endpoint = endpoint.into_endpoint()?;
        if connect::is_datagram(&endpoint) {
            return Err(
                Error::local(Phase::Connect, "a datagram client is not made lazily")
                    .hint("use connect"),
            );
        }
        let peer = endpoint.to_string();
        let core = Core::stream(Link::config(&options), &seed());
        let connector = Connector::Endpoint {
            endpoint,
            program,
            version,
            first: None.into(),
            converse: None,
        };
        Ok(Self::make(core, connector, peer, options))
    }

    /// A client of a server in this process, without a listening socket.
    ///
    /// # Errors
    /// The process has no descriptor left.
    pub fn in_process(server: &impl InProcess) -> Result<Self, Error> {
        Ok(Self::over(
            server.connect_in_process(Family::Onc)?,
            "in-process",
            Options::default(),
        ))
    }

    /// A client over a byte stream that is connected already, of whatever kind. It is not
    /// connected again when it ends.
    pub fn over(stream: impl ByteStream, peer: impl Into<String>, options: Options) -> Self {
        let core = Core::stream(Link::config(&options), &seed());
        let connector = Connector::Given(Some(Box::new(stream) as Box<dyn ByteStream>).into());
        Self::make(core, connector, peer.into(), options)
    }

    fn make(core: Core<Ticket>, connector: Connector, peer: String, options: Options) -> Self {
        let link = Link::new(core, options.clone());
        let handle = ClientHandle {
            link,
            connector: Arc::new(connector),
            peer,
        };
        let handle = Arc::new(handle);
        Self {
            guard: Guard::of(&options, &handle, None),
            handle: Handle::Onc(handle),
            options: Arc::new(options),
        }
    }

    /// The same client, its driver running.
    fn started(self) -> Result<Self, Error> {
        if let Handle::Onc(handle) = &self.handle {
            handle.link.lock().standing = link::Standing::Up;
            handle.drive()?;
        }
        Ok(self)
    }

    /// The same connection, with calls made under other options. What concerns the connection
    /// itself stays as it was made.
    #[must_use]
    pub fn with_options(&self, options: Options) -> Self {
        let guard = match &self.handle {
            Handle::Onc(handle) => Guard::of(&options, handle, self.guard.as_ref()),
            Handle::Dce(_) => None,
        };
        Self {
            handle: self.handle.clone(),
            options: Arc::new(options),
            guard,
        }
    }

    /// The same connection, with calls made by another caller.
    #[must_use]
    pub fn with_auth(&self, auth: AuthBlock) -> Self {
        self.with_options(Options {
            auth,
            ..(*self.options).clone()
        })
    }

    /// Tells the server to forget the security context of [`Options::gss`], and waits until it has, 2 s at most. A
    /// client that is dropped does the same as long as its runtime lives; a process that ends at once should wait.
    pub async fn close_context(&self) {
        if let Some(guard) = &self.guard {
            guard.close().await;
        }
    }

    /// The options under which calls are made.
    pub fn options(&self) -> &Options {
        &self.options
    }

    /// The peer, as errors name it.
    pub fn peer(&self) -> &str {
        match &self.handle {
            Handle::Onc(handle) => &handle.peer,
            Handle::Dce(handle) => &handle.peer,
        }
    }

    /// Whom the mechanism proved the server of interfaces to be, and which mechanism it was; nothing without
    /// credentials, or while there is no connection.
    pub fn server(&self) -> Option<Principal> {
        self.ask_association(|core| core.principal().cloned())
    }

    /// The key that is shared with the server of interfaces, for those that use it themselves; nothing without credentials,
    /// while there is no connection, or where the mechanism has none. It is a secret.
    pub fn session_key(&self) -> Option<Vec<u8>> {
        self.ask_association(|core| core.session_key().map(<[u8]>::to_vec))
    }

    fn ask_association<T>(&self, ask: impl FnOnce(&Association<Ticket>) -> Option<T>) -> Option<T> {
        match &self.handle {
            Handle::Onc(_) => None,
            Handle::Dce(handle) => ask(handle.link.lock().core.as_ref()?),
        }
    }

    /// Calls a procedure of a described program. This is what generated clients do.
    #[inline]
    pub fn call<A: Encode + ?Sized, T>(
        &self,
        program: &'static Program,
        procedure: u32,
        arguments: &A,
        decode: Decoder<T>,
    ) -> Calling<T> {
        let target = Target {
            program: program.number,
            version: program.version,
            procedure,
        };
        Calling::new(self.clone(), target, Some(program), arguments, decode)
    }

    /// Calls a procedure by its numbers.
    pub fn call_target<A: Encode + ?Sized, T>(
        &self,
        target: Target,
        arguments: &A,
        decode: Decoder<T>,
    ) -> Calling<T> {
        Calling::new(self.clone(), target, None, arguments, decode)
    }

    /// Connects to `endpoint`, a string binding such as `ncacn_ip_tcp:host[port]`, for calls to an
    /// interface. Without a port in the endpoint, the host's endpoint mapper is asked where that
    /// interface is. Calls to other interfaces of the same server may follow.
    ///
    /// # Errors
    /// The host, the interface or the port cannot be found, or the connection or the binding is
    /// refused.
    pub async fn connect_interface(
        endpoint: impl IntoEndpoint,
        interface: &'static Interface,
    ) -> Result<Self, Error> {
        Self::connect_interface_with(endpoint, interface, Options::default()).await
    }

    /// As [`connect_interface`](Self::connect_interface), with options.
    ///
    /// # Errors
    /// As [`connect_interface`](Self::connect_interface).
    pub async fn connect_interface_with(
        endpoint: impl IntoEndpoint,
        interface: &'static Interface,
        options: Options,
    ) -> Result<Self, Error> {
        let endpoint = endpoint.into_endpoint()?;
        if endpoint.transport().family() != Family::Dce {
            let text = format!("{endpoint} is no endpoint of DCE/RPC");
            return Err(Error::local(Phase::Connect, text)
                .hint("write ncacn_ip_tcp:host[port], ncacn_http:host[port,RpcProxy=proxy] or ncalrpc:[name]"));
        }
        let peer = endpoint.to_string();
        let connector = dce::connect::Connector::Endpoint {
            endpoint,
            interface,
        };
        Self::bind(Arc::new(connector), interface, 0, peer, options).await
    }

    /// Connects and binds.
    async fn bind(
        connector: Arc<dce::connect::Connector>,
        interface: &'static Interface,
        group: u32,
        peer: String,
        options: Options,
    ) -> Result<Self, Error> {
        let limit = options.connect_timeout;
        let opening = dce::link::Opening::Waiting(None);
        let link = dce::link::Link::new(interface, None, opening, options.clone());
        link.lock().standing = link::Standing::Up;
        let handle = dce::Handle {
            link,
            connector,
            group,
            peer,
        };
        handle.drive()?;
        let opened = tokio::time::timeout(limit, handle.link.opened()).await;
        let late = |_| {
            Err(Error::new(Phase::Bind, Cause::Deadline(limit))
                .hint("is it a server of DCE/RPC that listens there?"))
        };
        opened
            .unwrap_or_else(late)
            .map_err(|error| dce::faults::asked_for(error, interface))
            .map_err(|error| error.with_peer(&handle.peer).executed(false))?;
        Ok(Self {
            handle: Handle::Dce(Arc::new(handle)),
            options: Arc::new(options),
            guard: None,
        })
    }

    /// Another connection to the same server in the same association group: context handles that
    /// were opened over one are good over the other.
    ///
    /// # Errors
    /// This is no client of interfaces, or as [`connect_interface`](Self::connect_interface).
    pub async fn connect_again(&self, interface: &'static Interface) -> Result<Self, Error> {
        let Handle::Dce(handle) = &self.handle else {
            return Err(no_interfaces(interface));
        };
        let (connector, group) = (Arc::clone(&handle.connector), handle.link.group());
        let (peer, options) = (handle.peer.clone(), (*self.options).clone());
        Self::bind(connector, interface, group, peer, options).await
    }

    /// A client of an interface of a server in this process, without a listening socket.
    ///
    /// # Errors
    /// The process has no descriptor left.
    pub fn interface_in_process(
        server: &impl InProcess,
        interface: &'static Interface,
    ) -> Result<Self, Error> {
        let stream = server.connect_in_process(Family::Dce)?;
        let options = Options::default();
        Ok(Self::interface_over(
            stream,
            interface,
            "in-process",
            options,
        ))
    }

    /// A client of an interface over a byte stream that is connected already, of whatever kind. It
    /// binds at the first call, in NDR unless the options ask for NDR64, and is not connected
    /// again when the stream ends.
    pub fn interface_over(
        stream: impl ByteStream,
        interface: &'static Interface,
        peer: impl Into<String>,
        options: Options,
    ) -> Self {
        let syntax = match options.ndr64 {
            true => ndr::Syntax::Ndr64,
            false => ndr::Syntax::Ndr,
        };
        let stream: Box<dyn ByteStream> = Box::new(stream);
        let opening = dce::link::Opening::Over;
        let handle = dce::Handle {
            link: dce::link::Link::new(interface, Some(syntax), opening, options.clone()),
            connector: Arc::new(dce::connect::Connector::Given(Some(stream).into())),
            group: 0,
            peer: peer.into(),
        };
        Self {
            handle: Handle::Dce(Arc::new(handle)),
            options: Arc::new(options),
            guard: None,
        }
    }

    /// Calls an operation of an interface. This is what generated clients do.
    ///
    /// `known` are the values of in-parameters that the decoding of out-parameters depends on.
    pub fn operation<T>(
        &self,
        interface: &'static Interface,
        opnum: u16,
        known: &[i64],
        encode: impl FnOnce(&mut ndr::Writer) -> Result<(), EncodeError>,
        decode: NdrDecoder<T>,
    ) -> Calling<T> {
        let Handle::Dce(handle) = &self.handle else {
            return Calling::ready(Err(no_interfaces(interface)));
        };
        let syntax = handle.link.syntax();
        let order = handle.link.options.order();
        let mut writer = ndr::Writer::append_to(scratch::take_stub(), syntax, order);
        if let Err(error) = encode(&mut writer) {
            let error = Error::from(error).with_procedure(interface.operation_name(opnum));
            return Calling::ready(Err(error));
        }
        let request = dce::link::Request {
            interface,
            opnum,
            object: self.options.object,
            stub: dce::link::Packed::new(writer.into_bytes()),
            syntax,
            flow: None,
        };
        Calling::operation(self.clone(), request, known, decode)
    }

    /// Calls an operation that has pipes. This is what generated clients do: `encode` packs what
    /// stands beside the pipes, and `sources` are those that go.
    pub fn operation_piped<T>(
        &self,
        interface: &'static Interface,
        opnum: u16,
        known: &[i64],
        encode: impl FnOnce(&mut ndr::Writer) -> Result<(), EncodeError>,
        sources: Sources,
        answer: Answer<T>,
    ) -> Calling<T> {
        let Handle::Dce(handle) = &self.handle else {
            return Calling::ready(Err(no_interfaces(interface)));
        };
        let (syntax, order) = (handle.link.syntax(), handle.link.options.order());
        let limits = &self.options.limits;
        let conduit = Arc::new(Conduit::new(limits.pipe, limits.stub));
        let outlet = Outlet::new(Arc::clone(&conduit), ndr::Outflow::new(syntax, order));
        let stub = match outlet.part(encode) {
            Ok(stub) => stub,
            Err(error) => {
                let error = Error::from(error).with_procedure(interface.operation_name(opnum));
                return Calling::ready(Err(error));
            }
        };
        let pieces = Pieces {
            request: !sources.is_empty(),
            response: matches!(answer, Answer::Piped(_)),
        };
        let request = dce::link::Request {
            interface,
            opnum,
            object: self.options.object,
            stub: dce::link::Packed::Large(stub),
            syntax,
            flow: Some(dce::link::Flow { conduit, pieces }),
        };
        Calling::piped(self.clone(), request, known, (sources, outlet), answer)
    }

    /// How the arguments of [`operation`](Self::operation) are packed, for code that packs them
    /// itself: syntax and byte order. Nothing if this is a client of programs.
    pub fn packing(&self) -> Option<(ndr::Syntax, ndr::Order)> {
        match &self.handle {
            Handle::Onc(_) => None,
            Handle::Dce(handle) => Some((handle.link.syntax(), handle.link.options.order())),
        }
    }

    /// Hands a call of a program to the connection.
    pub(crate) fn begin<A: Encode + ?Sized>(
        &self,
        now: Instant,
        target: Target,
        arguments: &A,
        given: Duration,
        waker: &Waker,
    ) -> Result<Ticket, Error> {
        let Handle::Onc(handle) = &self.handle else {
            return Err(Error::local(
                Phase::Call,
                "this is a client of interfaces, not of programs",
            ));
        };
        let link = &handle.link;
        let auth = &self.options.auth;
        let (ticket, needs_driver) = link
            .lock()
            .call(now, target, auth, arguments, given, waker)?;
        handle.driven(ticket, needs_driver)
    }

    /// The same connection without a guard, to say farewell.
    fn unguarded(handle: Arc<ClientHandle>) -> Self {
        let options = handle.link.options.clone();
        Self {
            handle: Handle::Onc(handle),
            options: Arc::new(options),
            guard: None,
        }
    }

    /// As [`begin`](Self::begin), with a message that `make` makes, for the whole reply.
    fn begin_message(
        &self,
        now: Instant,
        make: Maker,
        given: Duration,
        waker: &Waker,
    ) -> Result<Ticket, Error> {
        let Handle::Onc(handle) = &self.handle else {
            return Err(Error::local(Phase::Call, "this is a client of interfaces"));
        };
        let begun = handle.link.lock().call_message(now, make, given, waker);
        let (ticket, needs_driver) = begun?;
        handle.driven(ticket, needs_driver)
    }

    /// Hands a call of a program to the connection, to which no reply is expected.
    pub(crate) fn send<A: Encode + ?Sized>(
        &self,
        target: Target,
        arguments: &A,
    ) -> Result<(), Error> {
        let Handle::Onc(handle) = &self.handle else {
            return Err(Error::local(
                Phase::Call,
                "this is a client of interfaces, not of programs",
            ));
        };
        if self.options.gss.is_some() {
            let text =
                "a call under a security context waits for its reply: only that proves the server";
            return Err(Error::local(Phase::Call, text));
        }
        let link = &handle.link;
        let auth = &self.options.auth;
        let needs_driver = link.lock().one_way(target, auth, arguments)?;
        if needs_driver && let Err(error) = handle.drive() {
            link.settle(|state| {
                state.standing = link::Standing::Down;
                state.fail_all(&error);
            });
            return Err(error);
        }
        Ok(())
    }

    /// Hands a call of an operation to the connection.
    pub(crate) fn begin_operation(
        &self,
        now: Instant,
        request: &dce::link::Request,
        given: Duration,
        waker: &Waker,
    ) -> Result<Ticket, Error> {
        let Handle::Dce(handle) = &self.handle else {
            return Err(no_interfaces(request.interface));
        };
        let link = &handle.link;
        let begun = link.lock().call(now, request, given, waker);
        let (ticket, needs_driver) = begun?;
        if needs_driver && let Err(error) = handle.drive() {
            link.settle(|state| {
                state.standing = link::Standing::Down;
                state.abandon(ticket);
                state.fail_all(&error);
            });
            return Err(error);
        }
        Ok(ticket)
    }

    pub(crate) fn collect(&self, ticket: Ticket, waker: &Waker) -> Option<Outcome> {
        match &self.handle {
            Handle::Onc(handle) => handle.link.lock().collect(ticket, waker),
            Handle::Dce(_) => None,
        }
    }

    pub(crate) fn collect_operation(
        &self,
        ticket: Ticket,
        waker: &Waker,
    ) -> Option<dce::link::Outcome> {
        match &self.handle {
            Handle::Onc(_) => None,
            Handle::Dce(handle) => handle.link.lock().collect(ticket, waker),
        }
    }

    pub(crate) fn abandon(&self, ticket: Ticket) {
        match &self.handle {
            Handle::Onc(handle) => handle.link.lock().abandon(ticket),
            Handle::Dce(handle) => handle.link.lock().abandon(ticket),
        }
    }

    /// Gives up a call whose results are received, unless it is over.
    pub(crate) fn release(&self, ticket: Ticket, conduit: &Conduit) {
        if let Handle::Dce(handle) = &self.handle {
            handle.link.lock().release(ticket, conduit);
        }
    }

    /// Adds to an error what this client knows.
    pub(crate) fn describe(&self, error: Error, target: Option<Target>) -> Error {
        let error = error.with_peer(self.peer());
        let Some(target) = target else {
            return dce::faults::advised(error, &self.options);
        };
        match error.cause() {
            Cause::ProgramMismatch { low, high } if low == high => {
                let hint = format!("the server has version {low} of program {}", target.program);
                error.hint(hint)
            }
            Cause::ProgramMismatch { low, high } => {
                let hint = format!("call a version from {low} to {high}");
                error.hint(hint)
            }
            Cause::Authentication(stat) => {
                let more = self.options.gss.is_some() || self.options.auth != AuthBlock::none();
                let hint = match (*stat, more) {
                    (AuthStat::TOOWEAK, true) => {
                        "the server wants more proof or protection: Options::gss (the command: --auth krb5p)"
                    }
                    _ => "try AUTH_SYS: Options::auth_sys",
                };
                error.hint(hint)
            }
            _ => error,
        }
    }
}

fn no_interfaces(interface: &Interface) -> Error {
    Error::local(
        Phase::Call,
        format!("this is a client of programs: it cannot call {interface}"),
    )
    .hint("connect with Client::connect_interface")
}

/// Reads a result of an interface's operation.
pub type NdrDecoder<T> = fn(&mut ndr::Reader<'_>) -> Result<T, DecodeError>;

impl ClientHandle {
    /// The ticket of a call that was begun, its connection being driven.
    #[inline]
    fn driven(&self, ticket: Ticket, needs_driver: bool) -> Result<Ticket, Error> {
        if needs_driver && let Err(error) = self.drive() {
            // Whoever called meanwhile counted on the driver too.
            self.link.settle(|state| {
                state.standing = link::Standing::Down;
                state.abandon(ticket);
                state.fail_all(&error);
            });
            return Err(error);
        }
        Ok(ticket)
    }

    /// Starts the driver on the current runtime.
    fn drive(&self) -> Result<(), Error> {
        let runtime = Runtime::try_current().map_err(|_| {
            Error::local(Phase::Connect, "there is no current tokio runtime")
                .hint("use blocking::Client outside of a runtime")
        })?;
        runtime.spawn(connect::run(
            Arc::clone(&self.link),
            Arc::clone(&self.connector),
        ));
        Ok(())
    }
}

impl Drop for ClientHandle {
    fn drop(&mut self) {
        self.link.desert();
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client")
            .field("peer", &self.peer())
            .finish_non_exhaustive()
    }
}

/// A server that can be called from its own process.
pub trait InProcess {
    /// Connects without a name, an address or a listening socket, to speak one of the protocols.
    ///
    /// # Errors
    /// The process has no descriptor left.
    fn connect_in_process(&self, family: Family) -> Result<UnixStream, Error>;
}

/// Runs `future`, which reaches for `endpoint`, for at most `limit`.
pub(crate) async fn within<T>(
    limit: Duration,
    endpoint: &Endpoint,
    future: impl Future<Output = Result<T, Error>>,
) -> Result<T, Error> {
    match tokio::time::timeout(limit, future).await {
        Ok(result) => result.map_err(|error| error.with_peer(endpoint)),
        Err(_) => Err(Error::new(Phase::Connect, Cause::Deadline(limit))
            .with_peer(endpoint)
            .hint("the host does not answer: is it up, and does a firewall let it through?")),
    }
}

/// Randomness for the first transaction id.
pub(crate) fn seed() -> Seed {
    Seed::new(random())
}

/// Random bytes, not for keys.
pub(crate) fn random() -> [u8; 32] {
    let mut bytes = [0; 32];
    // Not a secret: it only keeps one run's numbers apart from another's.
    let state = std::collections::hash_map::RandomState::new();
    for (i, chunk) in bytes.chunks_exact_mut(8).enumerate() {
        use std::hash::BuildHasher;
        chunk.copy_from_slice(&state.hash_one((i, Instant::now())).to_ne_bytes());
    }
    bytes
}
