//! The relay: virtual connections, from an authenticated request for a channel to the server and back.
//!
//! Read first: MS-RPCH sections 1.3.2, 3.2.3 and 3.2.4. A request is asked which target it wants, the policy whether it may, and its first
//! PDU which virtual connection it belongs to; then a task of its own drives the machine of that half. Nothing of a client reaches a server
//! before that server has said what it is, and no PDU passes that was not judged.
//!
//! - `machine`: one set of verbs for the two proxies' machines;
//! - `pipe`: connections within this process;
//! - `alarm`: a timer;
//! - `wire`: the connections of a half;
//! - `heir`: a connection that waits for what another proxy knows;
//! - `reach`, `bridge`: how targets are reached;
//! - `table`: virtual connections by their cookie;
//! - `half`: the driver;
//! - `mask`: what a server is given in the place of what was denied;
//! - `rules`: the policy and the records, PDU by PDU.

mod machine;
mod pipe;
mod alarm;
mod wire;
mod heir;
mod bridge;
mod reach;
mod half;
mod table;
mod mask;
mod rules;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use farcall_dce::binding::{Protseq, StringBinding};
use farcall_dce::seed::Seed;
use farcall_rpch::{Failure, First, InProxy, Opening, OutProxy, ProxyConfig, Role, ServerConfig};
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant as Clock, timeout_at};

use crate::channel::{Asked, Channels, Direction, code};
use crate::config::Limits;
use crate::inspect::{Inspector, Snapshot};
use crate::line::Line;
use crate::metrics::{Phase, Recycle, Refusal, Way};
use crate::peers::{Claim, Holder, Peers, Promised};
use crate::policy::{Ask, Pinned};
use crate::status::Row;
use crate::tap::Flow;
use bridge::Bridges;
use half::{Command, Half, Parts, Request};
use heir::Gate;
use reach::{Place, Reach};
use rules::Rules;
use table::{Joined, Table, Virtual};

pub use rules::Services;

/// The relay of one proxy.
pub struct Relay {
    services: Arc<Services>,
    table: Arc<Table>,
    bridges: Arc<Bridges>,
    peers: Option<Arc<Peers>>,
}

impl Relay {
    /// A relay without virtual connections. How many there may be is what the configuration says now. What clients began at one of the `peers` can
    /// go on here.
    #[must_use]
    pub fn new(services: Arc<Services>, peers: Option<Arc<Peers>>) -> Self {
        let limits = services.live.current().config.limits.clone();
        let config = ServerConfig {
            window: width(limits.window),
            queued: limits.queue,
            setup: limits.pairing,
            ..ServerConfig::default()
        };
        Self {
            table: Table::new(limits.virtual_connections, limits.per_user),
            bridges: Bridges::new(config, limits.first_rts),
            services,
            peers,
        }
    }

    /// How many virtual connections there are.
    #[must_use]
    pub fn connections(&self) -> usize {
        self.table.len()
    }

    /// The virtual connections, for people.
    #[must_use]
    pub fn rows(&self) -> Vec<Row> {
        self.table
            .list()
            .iter()
            .map(|shared| shared.row())
            .collect()
    }

    /// Waits until all virtual connections have ended, and ends what is left after `grace`.
    pub async fn drain(&self, grace: Duration) {
        for shared in self.table.list() {
            shared.advance(&self.services.metrics, Phase::Draining);
        }
        if tokio::time::timeout(grace, self.table.emptied())
            .await
            .is_err()
        {
            self.table.close_all(code::CALL_FAILED);
            // What does not even end then is ended with its connections.
            let _ = tokio::time::timeout(Duration::from_secs(2), self.table.emptied()).await;
            self.table.abort_all();
        }
    }

    /// Takes a channel, or ends it.
    async fn channel(&self, mut asked: Asked) {
        match self.admit(&mut asked).await {
            Ok((first, pinned, limits)) => self.place(first, asked, (&pinned, &limits)).await,
            Err(Some(code)) => asked.line.refuse(code).await,
            Err(None) => asked.line.finish().await,
        }
    }

    /// Asks the policy, and reads the first PDU; or says the code for the client, if it is there to hear one.
    async fn admit(&self, asked: &mut Asked) -> Result<(First, Pinned, Limits), Option<u32>> {
        let limits = self.services.live.current().config.limits.clone();
        let pinned = self.admitted(asked)?;
        let role = match asked.direction {
            Direction::In => Role::InProxy,
            Direction::Out => Role::OutProxy,
        };
        let read = {
            let _waits = self.services.metrics.phases.of(Phase::FirstRts).held();
            first(&mut asked.line, role, limits.first_rts).await
        };
        match read {
            Ok(first) => Ok((first, pinned, limits)),
            Err(FirstError::Gone) => Err(None),
            Err(FirstError::Late) => {
                let why = Refusal::Timeout;
                self.services.violated(asked, why, "no first PDU in time");
                Err(Some(code::CALL_FAILED))
            }
            Err(FirstError::Wrong(failure)) => {
                let (why, words) = (Refusal::Protocol, failure.to_string());
                self.services.violated(asked, why, &words);
                Err(Some(failure.code()))
            }
        }
    }

    /// Gives a channel to the half that it belongs to.
    async fn place(&self, first: First, asked: Asked, state: (&Pinned, &Limits)) {
        let joined = match self.table.join(&first, &asked, &state.0.name) {
            Ok(joined) => joined,
            Err((code, reason)) => {
                let why = match code {
                    code::SERVER_TOO_BUSY => Refusal::Limit,
                    _ => Refusal::Protocol,
                };
                self.services.violated(&asked, why, reason);
                return asked.line.refuse(code).await;
            }
        };
        let claim = (!first.is_establishing()).then(|| claim(&first, &asked));
        let direction = asked.direction;
        let gate = match self.taken_over(&joined, direction, claim, state.0).await {
            Ok(gate) => gate,
            Err(reason) => {
                self.services.violated(&asked, Refusal::Protocol, reason);
                return asked.line.refuse(code::CALL_FAILED).await;
            }
        };
        let about = About {
            direction: asked.direction,
            client: asked.source.ip(),
            port: asked.target.port,
            timeout: asked.timeout,
            length: asked.length,
        };
        let request = Request {
            line: asked.line,
            length: about.length,
        };
        let unplaced = match joined {
            Joined::Attach(commands) => {
                let attach = Command::Attach(Box::new(first), request);
                match commands.send(attach) {
                    Err(mpsc::error::SendError(Command::Attach(_, request))) => {
                        Some((code::CALL_FAILED, request))
                    }
                    _ => None,
                }
            }
            Joined::Half(shared, commands) => {
                let state = (state.0, state.1, gate);
                let begun = self.begin(&first, &about, state, &shared, commands, request);
                begun.err().inspect(|_| {
                    shared.left(about.direction);
                })
            }
        };
        if let Some((code, request)) = unplaced {
            request.line.refuse(code).await;
        }
    }

    /// Where a channel follows one of another proxy: what is to be awaited before anything of it is judged, or why that channel cannot go on here. Then
    /// nothing has changed, here or at the server.
    // req: rpch-3.2.3.5.5-in-r1-judge
    async fn taken_over(
        &self,
        joined: &Joined,
        direction: Direction,
        claim: Option<Claim>,
        pinned: &Pinned,
    ) -> Result<Option<Gate>, &'static str> {
        let (Joined::Half(shared, _), Some(claim)) = (joined, claim) else {
            return Ok(None);
        };
        // It is given up, if it must be, also when the client goes meanwhile.
        let left = Left(Some((shared, direction)));
        if pinned.bridge.is_some() {
            return Err(
                "a channel of another proxy's, to a target with a bridge, which only that proxy has",
            );
        }
        if direction == Direction::Out {
            left.stays();
            return Ok(None);
        }
        let found = match &self.peers {
            Some(peers) => peers.find(&claim).await,
            None => None,
        };
        let Some(promised) = found else {
            return Err(
                "a channel of another proxy's, and no other proxy says what the client has bound",
            );
        };
        left.stays();
        Ok(Some(inherit(promised, Arc::clone(shared))))
    }

    /// The target, if the policy lets the client to it.
    fn admitted(&self, asked: &Asked) -> Result<Pinned, u32> {
        let state = self.services.live.current();
        let pinned = match state.targets.find(&asked.target) {
            Ok(pinned) => pinned,
            Err(refused) => {
                self.services.no_target(asked, &refused.to_string());
                return Err(code::ACCESS_DENIED);
            }
        };
        match self
            .services
            .may_connect(&state, asked, pinned, Ask::Connect)
        {
            true => Ok(pinned.clone()),
            false => Err(code::ACCESS_DENIED),
        }
    }

    fn begin(
        &self,
        first: &First,
        about: &About,
        (pinned, limits, gate): (&Pinned, &Limits, Option<Gate>),
        shared: &Arc<Virtual>,
        commands: mpsc::UnboundedReceiver<Command>,
        request: Request,
    ) -> Result<(), (u32, Request)> {
        let mut secret = [0; 32];
        if getrandom::fill(&mut secret).is_err() {
            return Err((code::SERVER_TOO_BUSY, request));
        }
        let (seed, now) = (Seed::new(secret), Instant::now());
        let config = proxy_config(limits, pinned, about);
        let lifetime = config.lifetime;
        let machine = match about.direction {
            Direction::In => InProxy::new(config, now, &seed, first, about.client).map(Either::In),
            Direction::Out => OutProxy::new(config, now, &seed, first).map(Either::Out),
        };
        let machine = match machine {
            Ok(machine) => machine,
            Err(failure) => return Err((failure.code(), request)),
        };
        let direction = about.direction;
        self.capture(shared, pinned);
        let rules = Rules::new(Arc::clone(&self.services), Arc::clone(shared), direction);
        if !first.is_establishing() {
            // What another proxy began goes on here.
            let recycles = &self.services.metrics.recycles;
            let way = match direction {
                Direction::In => Way::In,
                Direction::Out => Way::Out,
            };
            recycles.of(Recycle::other(way)).one();
        }
        let parts = Parts {
            direction,
            lifetime,
            reach: self.reach(pinned, about.port, limits, gate),
            shared: Arc::clone(shared),
            idle: limits.idle,
            commands,
            request,
        };
        let task = match machine {
            Either::In(machine) => tokio::spawn(Half::new(machine, rules, parts).run()),
            Either::Out(mut machine) => {
                machine.hold_pings();
                tokio::spawn(Half::new(machine, rules, parts).run())
            }
        };
        shared.runs(direction, task.abort_handle());
        Ok(())
    }

    /// Begins to capture a virtual connection, if it is to be and is not yet.
    fn capture(&self, shared: &Virtual, pinned: &Pinned) {
        let tap = self.services.tap.as_ref();
        if tap.is_some_and(|tap| tap.wants(&shared.target_name, &shared.identity)) {
            let server = pinned.addresses.first().copied();
            let server = server.unwrap_or(std::net::Ipv4Addr::LOCALHOST.into());
            let mut flow = shared.flow.lock().unwrap_or_else(PoisonError::into_inner);
            flow.get_or_insert_with(|| Flow::new(shared.source, server));
        }
    }

    fn reach(&self, pinned: &Pinned, port: u16, limits: &Limits, gate: Option<Gate>) -> Arc<Reach> {
        let bridge = pinned.bridge.as_ref();
        let place = match bridge.map(|bridge| (bridge.protseq, bridge)) {
            Some((Protseq::Local | Protseq::Unix, bridge)) => Place::Local(local(bridge)),
            _ => {
                let port = bridge.and_then(endpoint_port).unwrap_or(port);
                let at = |address: &std::net::IpAddr| SocketAddr::new(*address, port);
                Place::Tcp(pinned.addresses.iter().map(at).collect())
            }
        };
        Arc::new(Reach {
            place,
            limit: limits.connect,
            bridges: bridge.map(|_| Arc::clone(&self.bridges)),
            gate: Mutex::new(gate),
        })
    }
}

/// The machine of a half.
enum Either {
    In(InProxy),
    Out(OutProxy),
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.table.abort_all();
    }
}

/// A place in a virtual connection that is given up unless it stays.
struct Left<'a>(Option<(&'a Arc<Virtual>, Direction)>);

impl Left<'_> {
    fn stays(mut self) {
        self.0 = None;
    }
}

impl Drop for Left<'_> {
    fn drop(&mut self) {
        if let Some((shared, direction)) = self.0.take() {
            shared.left(direction);
        }
    }
}

/// What other proxies are asked about a client that wants to go on here.
fn claim(first: &First, asked: &Asked) -> Claim {
    let identity = &asked.identity;
    Claim {
        cookie: first.virtual_connection().0,
        kind: identity.kind.word().to_owned(),
        name: identity.name.clone(),
        domain: identity.domain.clone(),
        issuer: identity.issuer.clone(),
        listener: asked.listener.to_string(),
        target: asked.target.to_string(),
    }
}

/// Waits for what another proxy has promised, as long as anybody waits for it, and goes on with it.
fn inherit(promised: Promised, shared: Arc<Virtual>) -> Gate {
    let (mut open, gate) = oneshot::channel();
    tokio::spawn(async move {
        let kept = tokio::select! {
            kept = promised.kept() => kept,
            () = open.closed() => return,
        };
        let inspector = kept.map(|snapshot| Inspector::resume(&snapshot));
        match inspector {
            Ok(Some(inspector)) => {
                shared.resume(inspector);
                // Who waited may have gone.
                let _ = open.send(());
            }
            Ok(None) => tracing::warn!("another proxy knows more than there can be"),
            Err(error) => tracing::info!(%error, "another proxy did not hand over"),
        }
    });
    gate
}

impl Holder for Relay {
    fn promise(&self, claim: &Claim) -> Option<oneshot::Receiver<Snapshot>> {
        self.table.promise(claim)
    }
}

/// What is still to be known of a request when its line is another's.
struct About {
    direction: Direction,
    client: std::net::IpAddr,
    port: u16,
    timeout: Option<Duration>,
    length: u64,
}

impl Channels for Relay {
    fn open(&self, asked: Asked) -> Pin<Box<dyn Future<Output = ()> + Send + '_>> {
        Box::pin(self.channel(asked))
    }
}

/// Why there is no first PDU.
enum FirstError {
    Gone,
    Late,
    Wrong(Failure),
}

/// Reads the first PDU of a channel. What was read behind it stays with the line.
async fn first(line: &mut Line, role: Role, limit: Duration) -> Result<First, FirstError> {
    let until = Clock::now() + limit;
    let mut opening = Opening::new(role, Instant::now(), limit);
    loop {
        if line.is_whole() {
            let ended = Failure::Violation("a body that ends before its first PDU");
            return Err(FirstError::Wrong(ended));
        }
        let bytes = timeout_at(until, line.next()).await;
        let mut bytes = bytes.map_err(|_| FirstError::Late)?;
        if bytes.is_empty() {
            return Err(FirstError::Gone);
        }
        let found = opening.handle_bytes(&mut bytes);
        if let Some(first) = found.map_err(FirstError::Wrong)? {
            line.put_back(bytes);
            return Ok(first);
        }
    }
}

fn proxy_config(limits: &Limits, pinned: &Pinned, asked: &About) -> ProxyConfig {
    ProxyConfig {
        window: width(limits.window),
        lifetime: width(limits.lifetime),
        connection_timeout: asked.timeout.unwrap_or(limits.connection_timeout),
        // A bridge says it in the server's stead.
        banner: pinned.banner,
        setup: limits.pairing,
        stall: limits.idle,
        ..ProxyConfig::default()
    }
}

fn width(size: usize) -> u32 {
    u32::try_from(size).unwrap_or(u32::MAX)
}

fn endpoint_port(bridge: &StringBinding) -> Option<u16> {
    bridge.endpoint.parse().ok()
}

/// The socket of a server on this machine: a path, or a name in the directory of local endpoints.
fn local(bridge: &StringBinding) -> PathBuf {
    let name = bridge.endpoint.clone();
    match name.starts_with('/') {
        true => name.into(),
        false => {
            let folder = std::env::var_os("FARCALL_LOCAL_DIR");
            PathBuf::from(folder.unwrap_or_else(|| "/run/farcall".into())).join(name)
        }
    }
}
