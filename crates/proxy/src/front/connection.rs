//! One connection: PROXY protocol, TLS, and then its requests.
//!
//! Read first: MS-RPCH sections 3.2.3.5 and 3.2.4.5 (what proxies do with requests). The order is: form, path, method, who, and only then which
//! server, since some clients begin to authenticate before they name one. What a request is, its length says: up to 16 bytes an echo
//! request, more a channel. When a request for a channel is let in, the HTTP library is left: its service fails, which ends it without a word, and
//! what it and the guard have read of the body goes with the socket.

use std::convert::Infallible;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use farcall_security::ChannelBindings;
use http::{Method, Request, Response, StatusCode, Version, header};
use http_body_util::BodyExt;
use hyper::body::{Body, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::sync::Mutex;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tokio_util::task::task_tracker::TaskTrackerToken;

use super::answers::{self, Reply};
use super::counts::{Counted, Counts};
use crate::auth::{Authenticator, Failed, Session, Verdict};
use crate::channel::{Asked, Channels, Direction, code};
use crate::config::listen::Roles;
use crate::config::value::Network;
use crate::guard::{Fault, Guard};
use crate::identity::Identity;
use crate::line::{self, Gathered, Line, Manner, Socket};
use crate::metrics::Phase;
use crate::origin;
use crate::target::Target;
use crate::tls;

/// Longest body of an echo request (MS-RPCH section 2.1.2.1.5).
const MAX_ECHO: u64 = 16;

/// Shortest body of an IN channel (MS-RPCH section 2.1.2.1.1.1), 128 KiB.
const MIN_IN: u64 = 128 << 10;

const BAD_REQUEST: &[u8] =
    b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";

/// The paths, in lower case: for clients without and with a certificate.
const PATHS: [&str; 2] = ["/rpc/rpcproxy.dll", "/rpcwithcert/rpcproxy.dll"];

/// What a listener is, as it was loaded; connections keep the one that they began with.
#[derive(Debug)]
pub struct Setup {
    /// What rules and logs call it.
    pub name: Arc<str>,
    /// Which of the two proxies it is.
    pub roles: Roles,
    /// TLS, if it speaks it.
    pub tls: Option<tls::Server>,
    /// How clients say who they are.
    pub authenticator: Arc<Authenticator>,
    /// The networks of proxies in front.
    pub fronts: Vec<Network>,
    /// They begin connections with the PROXY protocol.
    pub proxy_protocol: bool,
    /// They say the client's address in `X-Forwarded-For`.
    pub forwarded: bool,
    /// They keep clients' connections apart.
    pub own_connections: bool,
    /// They do TLS, with certificates that these name.
    pub bindings: Vec<ChannelBindings>,
}

/// How long clients may take.
#[derive(Clone, Copy, Debug)]
pub struct Timing {
    /// For a head, and for each of PROXY protocol and TLS before it.
    pub header: Duration,
}

/// Whoever writes down what happens at the front.
pub trait Witness: Send + Sync + 'static {
    /// A connection came.
    fn came(&self) {}
    /// A connection that came has ended.
    fn went(&self) {}
    /// So many more connections have come so far, or fewer.
    fn phase(&self, phase: Phase, by: i64) {
        let _ = (phase, by);
    }
    /// Too many connections: this one is closed at once.
    fn crowded(&self, listener: &str, source: IpAddr);
    /// A request that has not one meaning; its connection is closed.
    fn doubtful(&self, listener: &str, source: IpAddr, fault: Fault);
    /// Credentials that were not believed.
    fn unproved(&self, listener: &str, source: IpAddr, failed: &Failed);
    /// A connection is somebody from now on.
    fn proved(&self, listener: &str, source: IpAddr, identity: &Identity);
    /// A request that is refused before it reaches the relay, and why. What the client wrote is not made safe for a log.
    fn refused(
        &self,
        listener: &str,
        source: IpAddr,
        identity: Option<&Identity>,
        asked: &str,
        reason: &str,
    );
}

/// What all connections share.
pub struct Shared {
    /// Whoever relays.
    pub channels: Arc<dyn Channels>,
    /// Whoever writes down.
    pub witness: Arc<dyn Witness>,
    /// How many connections there are.
    pub counts: Arc<Counts>,
    /// How long clients may take.
    pub timing: Timing,
    /// Cancelled when no new requests are taken.
    pub draining: CancellationToken,
    /// Cancelled when everything ends.
    pub ended: CancellationToken,
}

impl std::fmt::Debug for Shared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Shared")
            .field("counts", &self.counts)
            .finish_non_exhaustive()
    }
}

/// What is held as long as a connection is there, whoever has it.
struct Held {
    witness: Arc<dyn Witness>,
    _counted: Option<Counted>,
    _token: TaskTrackerToken,
}

impl Drop for Held {
    fn drop(&mut self) {
        self.witness.went();
    }
}

/// Serves a connection until it ends, or until its channel is the relay's.
pub(super) async fn serve(
    shared: Arc<Shared>,
    setup: Arc<Setup>,
    (stream, peer): (TcpStream, SocketAddr),
    token: TaskTrackerToken,
) {
    shared.witness.came();
    let held = Held {
        witness: Arc::clone(&shared.witness),
        _counted: None,
        _token: token,
    };
    let stage = Stage::new(Arc::clone(&shared.witness));
    // What this takes is given back before the channel begins.
    let served = Box::pin(begin(&shared, &setup, (stream, peer), (stage, held)));
    let asked = tokio::select! {
        result = served => match result {
            Ok(asked) => asked,
            Err(error) => {
                tracing::debug!(listener = &*setup.name, %peer, %error, "connection ended");
                return;
            }
        },
        () = shared.ended.cancelled() => return,
    };
    if let Some(asked) = asked {
        tokio::select! {
            () = shared.channels.open(asked) => {}
            () = shared.ended.cancelled() => {}
        }
    }
}

async fn begin(
    shared: &Arc<Shared>,
    setup: &Arc<Setup>,
    (mut stream, peer): (TcpStream, SocketAddr),
    (stage, mut held): (Stage, Held),
) -> io::Result<Option<Asked>> {
    stream.set_nodelay(true)?;
    let mut source = canonical(peer);
    let from_front = origin::listed(&setup.fronts, source.ip());
    // Counted by its own address until a front has said another.
    let mut counted = (!from_front).then(|| shared.counts.enter(source.ip()));
    if from_front && setup.proxy_protocol {
        let header = timeout(shared.timing.header, origin::read_proxy_header(&mut stream));
        source = header.await??.unwrap_or(source);
        counted = Some(shared.counts.enter(source.ip()));
    }
    if matches!(counted, Some(None)) {
        shared.witness.crowded(&setup.name, source.ip());
        return Ok(None);
    }
    held._counted = counted.flatten();
    let connection = Connection {
        shared: Arc::clone(shared),
        setup: Arc::clone(setup),
        source,
        from_front,
        session: Mutex::new(None),
        busy: AtomicBool::new(false),
        admitted: std::sync::Mutex::new(None),
        stage,
    };
    match &setup.tls {
        None => {
            let bindings = setup.bindings.clone();
            let socket = Socket::Plain(stream);
            connection.run((socket, held), bindings, None).await
        }
        Some(tls) => {
            let accepting = tls.accept(Gathered::new(stream));
            let (stream, channel) = timeout(shared.timing.header, accepting).await??;
            let bindings = match setup.bindings.is_empty() {
                true => channel.bindings.into_iter().collect(),
                false => setup.bindings.clone(),
            };
            let socket = Socket::Tls(Box::new(stream));
            connection
                .run((socket, held), bindings, channel.client)
                .await
        }
    }
}

fn canonical(address: SocketAddr) -> SocketAddr {
    SocketAddr::new(address.ip().to_canonical(), address.port())
}

struct Connection {
    shared: Arc<Shared>,
    setup: Arc<Setup>,
    source: SocketAddr,
    from_front: bool,
    session: Mutex<Option<Session>>,
    /// A request is being answered.
    busy: AtomicBool,
    /// A request for a channel that is let in: no other can follow.
    admitted: std::sync::Mutex<Option<Admitted>>,
    stage: Stage,
}

/// A request for a channel, as long as the HTTP library has its connection.
struct Admitted {
    direction: Direction,
    identity: Arc<Identity>,
    source: SocketAddr,
    target: Target,
    length: u64,
    timeout: Option<Duration>,
    /// What the library has given out of the body already.
    early: BytesMut,
    manner: Manner,
}

/// How far a connection has come, as long as the relay does not say it.
struct Stage {
    witness: Arc<dyn Witness>,
    now: std::sync::Mutex<Option<Phase>>,
}

impl Stage {
    /// A request is awaited.
    fn new(witness: Arc<dyn Witness>) -> Self {
        witness.phase(Phase::Head, 1);
        let now = std::sync::Mutex::new(Some(Phase::Head));
        Self { witness, now }
    }

    fn go(&self, to: Option<Phase>) {
        let mut now = self.now.lock().unwrap_or_else(PoisonError::into_inner);
        for (phase, by) in [(*now, -1), (to, 1)] {
            if let Some(phase) = phase {
                self.witness.phase(phase, by);
            }
        }
        *now = to;
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        self.go(None);
    }
}

/// A request that the HTTP library does not answer.
#[derive(Debug, thiserror::Error)]
enum NoAnswer {
    #[error("closed")]
    Closed,
    #[error("it is a channel from now on")]
    Admitted,
}

impl Connection {
    /// Serves requests, up to the one for a channel that is let in.
    async fn run(
        self,
        (stream, held): (Socket, Held),
        bindings: Vec<ChannelBindings>,
        certificate: Option<Arc<farcall::tls::Certificate>>,
    ) -> io::Result<Option<Asked>> {
        let with_certificate = certificate.is_some();
        let authenticator = Arc::clone(&self.setup.authenticator);
        let session = Session::new(authenticator, self.source.ip(), bindings, certificate)
            .shared_line(self.from_front && self.setup.forwarded && !self.setup.own_connections);
        *self.session.lock().await = Some(session);
        let guard = Guard::new(stream, b"");
        let found = guard.found();
        let this = Arc::new(self);
        let service = {
            let this = Arc::clone(&this);
            service_fn(move |request| {
                let this = Arc::clone(&this);
                Box::pin(async move { this.answer(request, with_certificate).await })
            })
        };
        let mut http = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(this.shared.timing.header)
            .serve_connection(TokioIo::new(guard), service);
        let served = {
            let draining = this.shared.draining.cancelled();
            tokio::pin!(draining);
            let mut drained = false;
            std::future::poll_fn(|cx| {
                if !drained && draining.as_mut().poll(cx).is_ready() {
                    drained = true;
                    Pin::new(&mut http).graceful_shutdown();
                }
                http.poll_without_shutdown(cx)
            })
            .await
        };
        let parts = http.into_parts();
        let (mut stream, raw) = parts.io.into_inner().into_parts();
        let fault = found.fault();
        if let Some(fault) = fault {
            this.shared
                .witness
                .doubtful(&this.setup.name, this.source.ip(), fault);
        }
        let admitted = {
            let place = this.admitted.lock();
            place.unwrap_or_else(PoisonError::into_inner).take()
        };
        if let Some(admitted) = admitted {
            return Ok(Some(this.asked(
                admitted,
                (stream, parts.read_buf, raw),
                held,
            )));
        }
        if let Err(error) = &served {
            tracing::trace!(%error, "HTTP ended");
        }
        if fault.is_some() && !this.busy.load(Ordering::Relaxed) {
            timeout(this.shared.timing.header, stream.write_all(BAD_REQUEST)).await??;
        }
        line::finish(stream).await;
        Ok(None)
    }

    /// A channel with its connection: what was read behind the head goes before what is still to be read.
    fn asked(
        &self,
        admitted: Admitted,
        (socket, buffered, raw): (Socket, Bytes, Bytes),
        held: Held,
    ) -> Asked {
        let mut early = admitted.early;
        early.extend_from_slice(&buffered);
        early.extend_from_slice(&raw);
        let line = Line::new(line::Parts {
            socket,
            early: early.freeze(),
            length: admitted.length,
            ends: admitted.direction == Direction::In,
            manner: admitted.manner,
            held: Box::new(held),
        });
        Asked {
            direction: admitted.direction,
            identity: admitted.identity,
            source: admitted.source,
            listener: Arc::clone(&self.setup.name),
            target: admitted.target,
            length: admitted.length,
            timeout: admitted.timeout,
            line: Box::new(line),
        }
    }

    /// Answers one request.
    async fn answer(
        &self,
        request: Request<Incoming>,
        with_certificate: bool,
    ) -> Result<Response<Reply>, NoAnswer> {
        self.busy.store(true, Ordering::Relaxed);
        self.stage.go(None);
        let answered = self.judge(request, with_certificate).await;
        if !matches!(answered, Err(NoAnswer::Admitted)) {
            self.busy.store(false, Ordering::Relaxed);
            self.stage.go(Some(Phase::Head));
        }
        answered
    }

    async fn judge(
        &self,
        request: Request<Incoming>,
        with_certificate: bool,
    ) -> Result<Response<Reply>, NoAnswer> {
        let path = request.uri().path().to_ascii_lowercase();
        let Some(at) = PATHS.iter().position(|known| *known == path) else {
            return Ok(self.refuse(
                &request,
                None,
                "another path",
                answers::last(StatusCode::NOT_FOUND),
            ));
        };
        let direction = match self.direction(request.method()) {
            Ok(direction) => direction,
            Err(status) => {
                return Ok(self.refuse(&request, None, "another method", answers::last(status)));
            }
        };
        let length = request.body().size_hint().exact().unwrap_or(0);
        let source = self.source(&request);
        if length <= MAX_ECHO {
            return self.small(request, source).await;
        }
        let (identity, token) = match self.who(&request, source).await {
            Verdict::Known {
                identity, token, ..
            } => (identity, token),
            Verdict::Ask { challenges, .. } => return Ok(answers::unauthorized(challenges)),
        };
        if at == 1 && !with_certificate {
            let refused = answers::rpc_error(code::ACCESS_DENIED);
            return Ok(self.refuse(
                &request,
                Some(&identity),
                "the path of clients with a certificate, without one",
                refused,
            ));
        }
        let target: Target = match request.uri().query().unwrap_or_default().parse() {
            Ok(target) => target,
            Err(reason) => {
                let refused = answers::rpc_error(code::ACCESS_DENIED);
                return Ok(self.refuse(
                    &request,
                    Some(&identity),
                    &format!("no target: {reason}"),
                    refused,
                ));
            }
        };
        if direction == Direction::In && length < MIN_IN {
            let refused = answers::rpc_error(code::PROTOCOL_ERROR);
            return Ok(self.refuse(
                &request,
                Some(&identity),
                "an IN channel of less than 128 KiB",
                refused,
            ));
        }
        let admitted = Admitted {
            direction,
            identity,
            source,
            target,
            length,
            timeout: connection_timeout(&request),
            manner: manner(&request, token),
            early: given(request.into_body()).await,
        };
        let mut place = self.admitted.lock().unwrap_or_else(PoisonError::into_inner);
        *place = Some(admitted);
        Err(NoAnswer::Admitted)
    }

    fn direction(&self, method: &Method) -> Result<Direction, StatusCode> {
        match (method.as_str(), self.setup.roles) {
            ("RPC_IN_DATA", Roles::Both | Roles::In) => Ok(Direction::In),
            ("RPC_OUT_DATA", Roles::Both | Roles::Out) => Ok(Direction::Out),
            ("RPC_CONNECT", _) => Err(StatusCode::NOT_IMPLEMENTED),
            _ => Err(StatusCode::METHOD_NOT_ALLOWED),
        }
    }

    /// A leg of authentication, or an echo request.
    async fn small(
        &self,
        mut request: Request<Incoming>,
        source: SocketAddr,
    ) -> Result<Response<Reply>, NoAnswer> {
        // Read whatever becomes of it: the connection goes on.
        let body = timeout(self.shared.timing.header, request.body_mut().collect()).await;
        if !matches!(body, Ok(Ok(_))) {
            return Err(NoAnswer::Closed);
        }
        let verdict = self.who(&request, source).await;
        let (token, fresh) = match verdict {
            Verdict::Known { token, fresh, .. } => (token, fresh),
            Verdict::Ask { challenges, .. } => return Ok(answers::unauthorized(challenges)),
        };
        // Clients of HTTP/1.0 that prove themselves with an empty request expect the last token in a 401, and go on then.
        if fresh && token.is_some() && request.version() == Version::HTTP_10 {
            return Ok(answers::unauthorized(token.into_iter().collect()));
        }
        Ok(answers::with_proof(answers::echo(), token))
    }

    async fn who(&self, request: &Request<Incoming>, source: SocketAddr) -> Verdict {
        let mut session = self.session.lock().await;
        let Some(session) = session.as_mut() else {
            return Verdict::Ask {
                challenges: Vec::new(),
                failed: None,
            };
        };
        session.at(source.ip());
        self.stage.go(Some(Phase::Login));
        let verdict = session
            .judge(request.headers().get(header::AUTHORIZATION))
            .await;
        self.stage.go(None);
        let (name, from) = (&*self.setup.name, source.ip());
        match &verdict {
            Verdict::Known {
                identity,
                fresh: true,
                ..
            } => self.shared.witness.proved(name, from, identity),
            Verdict::Ask {
                failed: Some(failed),
                ..
            } => self.shared.witness.unproved(name, from, failed),
            _ => {}
        }
        verdict
    }

    /// Whose request it is: what a front says, where it is one.
    fn source(&self, request: &Request<Incoming>) -> SocketAddr {
        if !self.from_front || !self.setup.forwarded {
            return self.source;
        }
        match origin::forwarded(request.headers(), &self.setup.fronts) {
            Some(address) => SocketAddr::new(address, 0),
            None => self.source,
        }
    }

    fn refuse(
        &self,
        request: &Request<Incoming>,
        identity: Option<&Identity>,
        reason: &str,
        answer: Response<Reply>,
    ) -> Response<Reply> {
        let asked = format!("{} {}", request.method(), request.uri());
        self.shared.witness.refused(
            &self.setup.name,
            self.source(request).ip(),
            identity,
            &asked,
            reason,
        );
        answer
    }
}

/// What the HTTP library has given out of a body. It is left before it gives out more.
async fn given(mut body: Incoming) -> BytesMut {
    let mut given = BytesMut::new();
    let take = |cx: &mut Context<'_>| {
        while let Poll::Ready(Some(Ok(frame))) = Pin::new(&mut body).poll_frame(cx) {
            given.extend_from_slice(&frame.into_data().unwrap_or_default());
        }
        Poll::Ready(())
    };
    std::future::poll_fn(take).await;
    given
}

/// How the request for a channel is to be answered.
fn manner(request: &Request<Incoming>, proof: Option<http::HeaderValue>) -> Manner {
    let old = request.version() == Version::HTTP_10;
    let says = |name, word: &str| {
        let values = request.headers().get_all(name).into_iter();
        let mut words = values
            .filter_map(|value| value.to_str().ok())
            .flat_map(|value| value.split(','));
        words.any(|found| found.trim().eq_ignore_ascii_case(word))
    };
    Manner {
        old,
        closes: says(header::CONNECTION, "close"),
        waits: !old && says(header::EXPECT, "100-continue"),
        proof,
    }
}

/// What `Pragma: MinConnTimeout=` asks for: 120 s to 4 h (MS-RPCH section 2.1.2.1.1.1).
fn connection_timeout(request: &Request<Incoming>) -> Option<Duration> {
    let values = request.headers().get_all(header::PRAGMA);
    let directives = values
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','));
    let named = directives.filter_map(|directive| directive.trim().split_once('='));
    let mut seconds = named
        .filter(|(name, _)| name.eq_ignore_ascii_case("MinConnTimeout"))
        .filter_map(|(_, value)| value.parse().ok());
    seconds
        .find(|seconds| (120..=14_400).contains(seconds))
        .map(Duration::from_secs)
}

/// What a path shows, with its media type, if there is anything.
pub type Pages = Arc<dyn Fn(&str) -> Option<(&'static str, String)> + Send + Sync>;

/// A page for curl: a path's text, or nothing.
pub(super) async fn page(stream: TcpStream, header: Duration, text: Pages) {
    let service = service_fn(move |request: Request<Incoming>| {
        let text = Arc::clone(&text);
        async move {
            let found = match *request.method() {
                Method::GET | Method::HEAD => text(request.uri().path()),
                _ => None,
            };
            let mut response = match found {
                None => answers::last(StatusCode::NOT_FOUND),
                Some((kind, text)) => {
                    let mut response = Response::new(Reply::from(text));
                    let kind = http::HeaderValue::from_static(kind);
                    response.headers_mut().insert(header::CONTENT_TYPE, kind);
                    response
                }
            };
            response
                .headers_mut()
                .insert(header::CONNECTION, http::HeaderValue::from_static("close"));
            Ok::<_, Infallible>(response)
        }
    });
    let serving = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(header)
        .serve_connection(TokioIo::new(Guard::new(stream, b"")), service);
    if let Err(error) = serving.await {
        tracing::trace!(%error, "page not served");
    }
}
