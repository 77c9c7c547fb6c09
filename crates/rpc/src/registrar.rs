//! Registering services with an rpcbind or an endpoint mapper, and taking them away again.
//!
//! Read first: [RFC 1833] sections 2 and 3. A registration is a program, a version, a netid and a
//! universal address. rpcbind takes it only from its own machine. Versions 4 and 3 say the same;
//! a binder that has neither is told by version 2, which knows numbers and IPv4 only.
//!
//! A program that is registered already is left alone while it answers a null call; what a dead
//! server left behind is replaced.
//!
//! An rpcbind or endpoint mapper that is started anew has forgotten everything. So registrations are said again from
//! time to time: for one that is there already, that changes nothing.
//!
//! [RFC 1833]: https://www.rfc-editor.org/rfc/rfc1833

use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak, mpsc};
use std::time::Duration;

use farcall_onc::msg::Target;
use farcall_onc::uaddr::{Netid, Uaddr};
use farcall_wire::{DecodeError, Reader, Str};

use crate::client::{Client, Options, mapper, resolve};
use crate::endpoint::{Endpoint, Family, IntoEndpoint, Transport};
use crate::error::{Cause, Error, Phase};
use crate::interface::Interface;
use crate::mapped::Mapped;
use crate::program::Program;

/// Where rpcbind's Unix socket is.
const LOCAL_SOCKET: &str = "/run/rpcbind.sock";

const SET: u32 = 1;
const UNSET: u32 = 2;
const DUMP: u32 = 4;

/// A client of an rpcbind that registers a server's programs, and of an endpoint mapper that
/// registers its interfaces.
#[derive(Clone, Debug)]
pub struct Registrar {
    /// The binder, by the ways to reach it, best first.
    ways: Vec<Endpoint>,
    /// The endpoint mapper, by the ways to reach it, best first.
    mappers: Vec<Endpoint>,
    /// How often registrations are said again.
    every: Duration,
}

/// How often registrations are said again, if nobody asks for something else.
const EVERY: Duration = Duration::from_secs(30);

/// How long a registration that is dropped waits until it has been taken back.
const LAST_WORDS: Duration = Duration::from_millis(250);

impl Registrar {
    /// The rpcbind of this machine: by its Unix socket, so that it knows who registers, and if
    /// there is none by TCP and UDP on port 111; and its endpoint mapper, over `ncalrpc` or by TCP
    /// on port 135.
    pub fn local() -> Self {
        let inet = |transport| Endpoint::Host {
            transport,
            host: "127.0.0.1".to_owned(),
            port: Some(resolve::RPCBIND_PORT),
        };
        let socket = Endpoint::Unix(LOCAL_SOCKET.into());
        let over_tcp = Endpoint::Host {
            transport: Transport::NcacnIpTcp,
            host: "127.0.0.1".to_owned(),
            port: Some(mapper::MAPPER_PORT),
        };
        Self {
            ways: vec![socket, inet(Transport::Tcp), inet(Transport::Udp)],
            mappers: vec![Endpoint::Local("epmapper".to_owned()), over_tcp],
            every: EVERY,
        }
    }

    /// The binder at `endpoint`: rpcbind at an endpoint of ONC RPC, an endpoint mapper at one of
    /// DCE/RPC. Of a server only the services of that family are registered then.
    ///
    /// # Errors
    /// The endpoint is not understood.
    pub fn at(endpoint: impl IntoEndpoint) -> Result<Self, Error> {
        let endpoint = endpoint.into_endpoint()?;
        let (mut ways, mut mappers) = (Vec::new(), Vec::new());
        match endpoint.transport().family() {
            Family::Onc => ways.push(endpoint),
            Family::Dce => mappers.push(endpoint),
        }
        Ok(Self {
            ways,
            mappers,
            every: EVERY,
        })
    }

    /// How often registrations are said again, so that one that was started anew
    /// learns of them. Default 30 s. Zero: never.
    #[must_use]
    pub fn every(mut self, pause: Duration) -> Self {
        self.every = pause;
        self
    }

    /// The same, and the binder at `endpoint` too.
    ///
    /// # Errors
    /// The endpoint is not understood.
    pub fn and_at(mut self, endpoint: impl IntoEndpoint) -> Result<Self, Error> {
        let more = Self::at(endpoint)?;
        self.ways.extend(more.ways);
        self.mappers.extend(more.mappers);
        Ok(self)
    }

    /// Registers each of `programs` at each of `endpoints` of ONC RPC with rpcbind, and each of
    /// `interfaces` at each of those of DCE/RPC with the endpoint mapper.
    ///
    /// # Errors
    /// As [`register`](Self::register).
    pub async fn register_all(
        &self,
        programs: Vec<&'static Program>,
        interfaces: &[&'static Interface],
        endpoints: &[Endpoint],
    ) -> Result<Registration, Error> {
        let (onc, dce): (Vec<_>, Vec<_>) = endpoints
            .iter()
            .cloned()
            .partition(|endpoint| endpoint.transport().family() == Family::Onc);
        let has_interfaces = !interfaces.is_empty() && !dce.is_empty() && !self.mappers.is_empty();
        let mut registration = match programs.is_empty() || onc.is_empty() || self.ways.is_empty() {
            true => Registration {
                registrar: self.clone(),
                entered: None,
                mapped: None,
            },
            false => self.register(programs, &onc).await?,
        };
        if has_interfaces {
            match Mapped::register(&self.mappers, interfaces, &dce).await {
                Ok(mapped) => registration.mapped = Some(self.kept(mapped)),
                Err(error) => {
                    registration.remove(Duration::from_secs(2)).await;
                    return Err(error);
                }
            }
        }
        Ok(registration)
    }

    /// Registers each of `programs` at each of `endpoints` with rpcbind, and keeps that true on
    /// the current runtime as long as the [`Registration`] exists.
    ///
    /// # Errors
    /// No binder answers, or it refuses; what was registered before that is taken back.
    pub async fn register(
        &self,
        programs: Vec<&'static Program>,
        endpoints: &[Endpoint],
    ) -> Result<Registration, Error> {
        let client = self.connect().await?;
        let mut entered = Entered {
            client,
            entries: Vec::new(),
            ended: AtomicBool::new(false),
        };
        for program in programs {
            for entry in endpoints
                .iter()
                .flat_map(|endpoint| entries(program, endpoint))
            {
                if entered.has(&entry) {
                    continue;
                }
                if let Err(error) = entered.add(entry).await {
                    entered.remove(Duration::from_secs(2)).await;
                    return Err(error);
                }
            }
        }
        Ok(Registration {
            registrar: self.clone(),
            entered: Some(self.kept(entered)),
            mapped: None,
        })
    }

    /// What is said again from time to time on the current runtime, as long as somebody has it.
    fn kept<T: Renew>(&self, what: T) -> Arc<T> {
        let what = Arc::new(what);
        if !self.every.is_zero() {
            tokio::spawn(keep(Arc::downgrade(&what), self.every));
        }
        what
    }

    async fn connect(&self) -> Result<Client, Error> {
        let options = Options {
            timeout: Duration::from_secs(5),
            connect_timeout: Duration::from_secs(2),
            ..Options::default()
        };
        let mut first = None;
        for way in &self.ways {
            match Client::connect_with(way, resolve::RPCBIND, 4, options.clone()).await {
                Ok(client) => return Ok(client),
                Err(error) => {
                    first.get_or_insert(error);
                }
            }
        }
        let error = first.unwrap_or_else(|| Error::local(Phase::Register, "no binder is named"));
        let peer = error.peer().unwrap_or("rpcbind").to_owned();
        Err(Error::new(Phase::Register, error.cause().clone())
            .with_peer(peer)
            .hint("is rpcbind running? `farcall binder` is one; without it, register with none"))
    }
}

/// One program's version at one address.
#[derive(Clone, Debug)]
struct Entry {
    program: u32,
    version: u32,
    netid: Netid,
    address: Uaddr,
}

/// What an endpoint is called in rpcbind; a dual-stack socket has two names.
fn entries(program: &Program, endpoint: &Endpoint) -> Vec<Entry> {
    let (program, version) = (program.number, program.version);
    let entry = |netid, address| Entry {
        program,
        version,
        netid,
        address,
    };
    let Endpoint::Host {
        transport,
        host,
        port,
    } = endpoint
    else {
        let path = endpoint
            .path()
            .map(|path| path.as_os_str().as_encoded_bytes().to_vec());
        return path
            .map(|path| entry(Netid::Local, Uaddr::Local(path)))
            .into_iter()
            .collect();
    };
    let Ok(ip) = host.parse::<IpAddr>() else {
        return Vec::new();
    };
    let named = |ip: IpAddr| {
        let address = SocketAddr::new(ip, port.unwrap_or(0));
        entry(
            Netid::of(address, *transport == Transport::Udp),
            Uaddr::Inet(address),
        )
    };
    match ip {
        IpAddr::V6(v6) if v6.is_unspecified() => {
            vec![named(ip), named(IpAddr::from([0, 0, 0, 0]))]
        }
        _ => vec![named(ip)],
    }
}

/// What was registered; [`remove`](Self::remove) takes it away again.
///
/// If it is dropped instead, it is taken away as far as that can be done in a quarter of a second.
#[derive(Debug)]
pub struct Registration {
    registrar: Registrar,
    /// With rpcbind; nothing once it has been taken away.
    entered: Option<Arc<Entered>>,
    /// With an endpoint mapper.
    mapped: Option<Arc<Mapped>>,
}

impl Registration {
    /// Says all that rpcbind and the endpoint mapper were told again: what they have forgotten is there afterwards.
    ///
    /// # Errors
    /// No binder answers, or something else is registered in the place of one of ours.
    pub async fn renew(&self) -> Result<(), Error> {
        if let Some(entered) = &self.entered {
            entered.renew().await?;
        }
        match &self.mapped {
            Some(mapped) => mapped.renew().await,
            None => Ok(()),
        }
    }

    /// Takes every registration away, for at most `limit`.
    pub async fn remove(mut self, limit: Duration) {
        if let Some(mapped) = self.mapped.take() {
            mapped.remove(limit).await;
        }
        if let Some(entered) = self.entered.take() {
            entered.remove(limit).await;
        }
    }
}

impl Drop for Registration {
    fn drop(&mut self) {
        let (entered, mapped) = (self.entered.take(), self.mapped.take());
        if entered.is_none() && mapped.is_none() {
            return;
        }
        let registrar = self.registrar.clone();
        let entries = entered.map_or_else(Vec::new, |entered| {
            entered.end();
            entered.entries.clone()
        });
        if let Some(mapped) = &mapped {
            mapped.end();
        }
        // The runtime on which this was made may be gone, or be the one that waits here.
        let (done, waiting) = mpsc::channel();
        let unregistering = std::thread::Builder::new().name("farcall-unregister".to_owned());
        let spawned = unregistering.spawn(move || {
            take_back(&registrar, entries, mapped);
            let _ = done.send(());
        });
        if spawned.is_ok() {
            let _ = waiting.recv_timeout(LAST_WORDS);
        }
    }
}

/// Unregisters on a runtime of its own; that is tried once.
fn take_back(registrar: &Registrar, entries: Vec<Entry>, mapped: Option<Arc<Mapped>>) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    let Ok(runtime) = runtime else { return };
    runtime.block_on(async {
        let limit = Duration::from_secs(2);
        if !entries.is_empty()
            && let Ok(client) = registrar.connect().await
        {
            let entered = Entered {
                client,
                entries,
                ended: AtomicBool::new(true),
            };
            entered.remove(limit).await;
        }
        if let Some(mapped) = mapped {
            mapped.remove(limit).await;
        }
    });
}

/// What can be said again.
trait Renew: Send + Sync + 'static {
    fn again(&self) -> impl Future<Output = Result<(), Error>> + Send;
}

impl Renew for Entered {
    fn again(&self) -> impl Future<Output = Result<(), Error>> + Send {
        self.renew()
    }
}

impl Renew for Mapped {
    fn again(&self) -> impl Future<Output = Result<(), Error>> + Send {
        self.renew()
    }
}

/// Says registrations again and again, as long as they are wanted.
async fn keep<T: Renew>(what: Weak<T>, every: Duration) {
    loop {
        tokio::time::sleep(every).await;
        let Some(what) = what.upgrade() else {
            return;
        };
        if let Err(error) = what.again().await {
            tracing::debug!(%error, "registrations could not be renewed");
        }
    }
}

/// Registrations that an rpcbind has.
#[derive(Debug)]
struct Entered {
    client: Client,
    entries: Vec<Entry>,
    /// They are being taken away: nobody says them again.
    ended: AtomicBool,
}

impl Entered {
    async fn add(&mut self, entry: Entry) -> Result<(), Error> {
        if !self.set(&entry).await? {
            self.replace_dead(&entry).await?;
        }
        self.entries.push(entry);
        Ok(())
    }

    /// For one that is there already, SET says yes and changes nothing.
    async fn renew(&self) -> Result<(), Error> {
        for entry in &self.entries {
            if self.ended.load(Ordering::Acquire) {
                return Ok(());
            }
            if !self.set(entry).await? {
                let text = format!(
                    "program {} version {} is registered for {} elsewhere now",
                    entry.program,
                    entry.version,
                    entry.netid.name()
                );
                return Err(Error::local(Phase::Register, text));
            }
        }
        Ok(())
    }

    fn end(&self) {
        self.ended.store(true, Ordering::Release);
    }

    async fn remove(&self, limit: Duration) {
        self.end();
        let removing = async {
            for entry in &self.entries {
                if let Err(error) = self.change(UNSET, entry).await {
                    tracing::warn!(%error, ?entry, "could not be unregistered");
                }
            }
        };
        let _ = tokio::time::timeout(limit, removing).await;
    }

    /// Whether the entry's program has an address for its netid already: a binder keeps one, and
    /// an IPv4 endpoint beside a dual-stack one gives two.
    fn has(&self, entry: &Entry) -> bool {
        let key = |entry: &Entry| (entry.program, entry.version, entry.netid);
        self.entries.iter().any(|there| key(there) == key(entry))
    }

    async fn set(&self, entry: &Entry) -> Result<bool, Error> {
        self.change(SET, entry).await
    }

    /// Replaces what a dead server left behind.
    async fn replace_dead(&self, entry: &Entry) -> Result<(), Error> {
        let Entry {
            program,
            version,
            netid,
            ..
        } = entry;
        let what = format!("program {program} version {version} for {}", netid.name());
        for there in self.registered(entry).await? {
            if there != entry.address && answers(entry, &there).await {
                let text = format!("{what} is registered already, and answers at {there}");
                return Err(Error::local(Phase::Register, text)
                    .hint("stop that server, or register with none"));
            }
        }
        self.change(UNSET, entry).await?;
        if self.set(entry).await? {
            return Ok(());
        }
        Err(Error::local(Phase::Register, format!("rpcbind refused {what}"))
            .with_peer(self.client.peer())
            .hint("an old registration may belong to another user, who can remove it (rpcinfo -d)"))
    }

    /// `SET` or `UNSET` in the highest version that the binder has.
    async fn change(&self, procedure: u32, entry: &Entry) -> Result<bool, Error> {
        let owner = Str::default();
        let netid = Str::from(entry.netid.name());
        let address = Str::from(entry.address.to_bytes());
        let by_address = (entry.program, entry.version, netid, address, owner);
        for version in [4, 3] {
            let target = Target {
                program: resolve::RPCBIND,
                version,
                procedure,
            };
            match self
                .client
                .call_target(target, &by_address, |r| r.bool())
                .await
            {
                Err(error) if matches!(error.cause(), Cause::ProgramMismatch { .. }) => {}
                answer => return answer.map_err(registering),
            }
        }
        let Some(by_number) = by_number(entry) else {
            return Err(Error::local(
                Phase::Register,
                format!(
                    "the binder has only version 2, which cannot say {}",
                    entry.netid.name()
                ),
            ));
        };
        let target = Target {
            program: resolve::RPCBIND,
            version: 2,
            procedure,
        };
        self.client
            .call_target(target, &by_number, |r| r.bool())
            .await
            .map_err(registering)
    }

    /// The addresses that are registered instead.
    async fn registered(&self, entry: &Entry) -> Result<Vec<Uaddr>, Error> {
        let target = Target {
            program: resolve::RPCBIND,
            version: 4,
            procedure: DUMP,
        };
        let all = self
            .client
            .call_target(target, &(), dump)
            .await
            .map_err(registering)?;
        let same = |row: &Row| {
            (row.0, row.1) == (entry.program, entry.version)
                && Netid::parse(&row.2) == Some(entry.netid)
        };
        let rows = all.iter().filter(|row| same(row));
        Ok(rows
            .filter_map(|row| Uaddr::parse(entry.netid, &row.3).ok())
            .collect())
    }
}

/// Program, version, netid, universal address.
type Row = (u32, u32, Str, Str);

/// The result of `RPCBPROC_DUMP`: a linked list of `rpcb`.
fn dump(r: &mut Reader<'_>) -> Result<Vec<Row>, DecodeError> {
    let mut rows = Vec::new();
    while r.bool()? {
        r.charge(size_of::<Row>())?;
        let (program, version) = (r.u32()?, r.u32()?);
        let (netid, address) = (r.opaque_vec(1024)?.into(), r.opaque_vec(1024)?.into());
        r.opaque_var(1024)?;
        rows.push((program, version, netid, address));
    }
    Ok(rows)
}

fn registering(error: Error) -> Error {
    let peer = error.peer().unwrap_or("rpcbind").to_owned();
    Error::new(Phase::Register, error.cause().clone()).with_peer(peer)
}

/// `pmap`: program, version, protocol and port.
fn by_number(entry: &Entry) -> Option<(u32, u32, u32, u32)> {
    let protocol = entry.netid.protocol()?;
    Some((
        entry.program,
        entry.version,
        protocol,
        entry.address.port().into(),
    ))
}

/// Whether a server answers null calls for `entry` at `address`.
async fn answers(entry: &Entry, address: &Uaddr) -> bool {
    let endpoint = match address {
        Uaddr::Inet(address) => {
            let datagrams = matches!(entry.netid, Netid::Udp | Netid::Udp6);
            let transport = if datagrams {
                Transport::Udp
            } else {
                Transport::Tcp
            };
            Endpoint::of(transport, *address)
        }
        Uaddr::Local(path) => Endpoint::Unix(String::from_utf8_lossy(path).as_ref().into()),
    };
    let limit = Duration::from_secs(2);
    let options = Options {
        timeout: limit,
        connect_timeout: limit,
        ..Options::default()
    };
    let target = Target {
        program: entry.program,
        version: entry.version,
        procedure: 0,
    };
    match Client::connect_with(&endpoint, entry.program, entry.version, options).await {
        Ok(client) => client.call_target(target, &(), |_| Ok(())).await.is_ok(),
        Err(_) => false,
    }
}
