//! The whole proxy: a configuration in force, listeners in front, the relay behind, and pages for people inside.

use std::io;
use std::net::{IpAddr, SocketAddr, ToSocketAddrs};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

use crate::audit::{Audit, Event, Kind, Text};
use crate::auth::lockout::Lockout;
use crate::auth::{self, Authenticator};
use crate::check;
use crate::config::Listener as Settings;
use crate::config::place::Faults;
use crate::front::{Counts, Front, Listener, Pages, Setup, Shared, Timing, plain};
use crate::live::{Change, Live, State};
use crate::metrics::{MEDIA_TYPE, Metrics};
use crate::peers::{self, Peers};
use crate::policy::Rates;
use crate::relay::{Relay, Services};
use crate::status::Snapshot;
use crate::tap::Tap;
use crate::tls;

/// Why a proxy does not start, or does not take a new configuration.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The configuration is wrong.
    #[error(transparent)]
    Config(#[from] Faults),
    /// Certificates of a listener.
    #[error("listener {listener:?}: {error}")]
    Tls {
        /// The listener.
        listener: String,
        /// What is wrong.
        error: tls::Error,
    },
    /// The accounts or keys of a listener.
    #[error("listener {listener:?}: {error}")]
    Authentication {
        /// The listener.
        listener: String,
        /// What is wrong.
        error: auth::Error,
    },
    /// Something cannot be listened at or opened.
    #[error("{what}: {error}")]
    Io {
        /// What.
        what: String,
        /// What the system says.
        error: io::Error,
    },
}

/// A running proxy. Dropping it ends it at once; [`drain`](Proxy::drain) lets it finish.
pub struct Proxy {
    front: Front,
    relay: Arc<Relay>,
    services: Arc<Services>,
    lockout: Arc<Lockout>,
    endpoints: Vec<String>,
    _pages: Option<AbortOnDropHandle<()>>,
    _asked: Option<AbortOnDropHandle<()>>,
}

impl Proxy {
    /// Reads a configuration and starts what it says: connections are taken when this returns.
    ///
    /// # Errors
    /// [`Error`].
    pub async fn start(file: &Path) -> Result<Self, Error> {
        let live = Arc::new(Live::start(file, &mut resolve)?);
        let state = live.current();
        let audit = state.config.audit.file.as_deref();
        let opened = Audit::open(audit).map_err(|error| Error::Io {
            what: format!(
                "audit log {}",
                audit.unwrap_or(Path::new("on standard output")).display()
            ),
            error,
        });
        let tap = state.config.tap.as_ref().map(|tap| {
            Tap::open(tap).map_err(|error| Error::Io {
                what: format!("capture {}", tap.file.display()),
                error,
            })
        });
        let services = Arc::new(Services {
            live,
            rates: Rates::default(),
            audit: opened?,
            metrics: Metrics::default(),
            tap: tap.transpose()?,
        });
        let lockout = Lockout::new(&state.config.lockout);
        let farm = farm(&state)?;
        let relay = Arc::new(Relay::new(Arc::clone(&services), farm.clone()));
        let mut listeners = Vec::new();
        let mut endpoints = Vec::new();
        for (settings, setup) in state.config.listeners.iter().zip(setups(&state, &lockout)?) {
            let at = settings.endpoint.get_ref();
            let wrong = |error| Error::Io {
                what: at.to_string(),
                error,
            };
            let listener = Listener::bind(at.address, setup).await.map_err(wrong)?;
            let scheme = if at.tls { "https" } else { "http" };
            endpoints.push(format!("{scheme}://{}", listener.address().map_err(wrong)?));
            listeners.push(listener);
        }
        let limits = &state.config.limits;
        let shared = Arc::new(Shared {
            channels: Arc::<Relay>::clone(&relay),
            witness: Arc::<Services>::clone(&services),
            counts: Counts::new(limits.connections, limits.per_source),
            timing: Timing {
                header: limits.header,
            },
            draining: CancellationToken::new(),
            ended: CancellationToken::new(),
        });
        let draining = shared.draining.clone();
        let pages = pages(&state, &services, &relay, draining, &mut endpoints).await?;
        let asked = match farm {
            Some(farm) => Some(asked(&state, farm, &relay).await?),
            None => None,
        };
        services.audit.record(&Event::new(Kind::Start));
        Ok(Self {
            front: Front::start(shared, listeners),
            relay,
            services,
            lockout,
            endpoints,
            _pages: pages,
            _asked: asked,
        })
    }

    /// Where it can be reached, ports filled in: its listeners in the order of the file, and then its pages.
    #[must_use]
    pub fn endpoints(&self) -> &[String] {
        &self.endpoints
    }

    /// Reads the configuration, certificates and keys again and puts them in force, all or nothing.
    ///
    /// # Errors
    /// [`Error`]; what was in force stays.
    pub fn reload(&self) -> Result<Change, Error> {
        let changed = self.try_reload();
        match &changed {
            Ok(_) => self.services.metrics.reloads.one(),
            Err(_) => self.services.metrics.reloads_failed.one(),
        }
        let said = match &changed {
            Ok(change) => format!("generation {} is in force", change.generation),
            Err(error) => error.to_string(),
        };
        self.services.audit.reopen();
        let event = Event {
            reason: Some(Text(&said)),
            ..Event::new(Kind::Reload)
        };
        self.services.audit.record(&event);
        changed
    }

    fn try_reload(&self) -> Result<Change, Error> {
        let live = &self.services.live;
        let change = live.reload(&mut resolve)?;
        match setups(&live.current(), &self.lockout) {
            Ok(setups) => {
                self.front.replace(setups);
                Ok(change)
            }
            Err(error) => {
                live.roll_back();
                Err(error)
            }
        }
    }

    /// Takes no more connections, lets those that are there end, and ends what is left after `grace`, or after what the configuration says.
    pub async fn drain(self, grace: Option<Duration>) {
        let grace = grace.unwrap_or_else(|| self.services.live.current().config.limits.drain);
        self.services.audit.record(&Event::new(Kind::Stop));
        let until = Instant::now() + grace;
        let left = || until.saturating_duration_since(Instant::now());
        tokio::join!(
            self.relay.drain(left()),
            self.front.drain(left() + Duration::from_secs(3))
        );
        self.services.audit.flush();
    }
}

/// The addresses of a name, as the system resolves it. Called when a configuration is read, never for a client.
fn resolve(name: &str) -> io::Result<Vec<IpAddr>> {
    let found = (name, 0).to_socket_addrs()?;
    Ok(found.map(|address| address.ip()).collect())
}

fn setups(state: &State, lockout: &Arc<Lockout>) -> Result<Vec<Setup>, Error> {
    state
        .config
        .listeners
        .iter()
        .map(|settings| setup(settings, lockout))
        .collect()
}

fn setup(settings: &Settings, lockout: &Arc<Lockout>) -> Result<Setup, Error> {
    let name = settings.name.get_ref();
    let of_tls = |error| Error::Tls {
        listener: name.clone(),
        error,
    };
    let authenticator = Authenticator::new(&settings.authentication, Arc::clone(lockout));
    let authenticator = authenticator.map_err(|error| Error::Authentication {
        listener: name.clone(),
        error,
    })?;
    let front = settings.front.as_ref();
    let certificates = front.map_or(&[][..], |front| &front.certificates);
    let bindings = certificates
        .iter()
        .map(|path| tls::bindings_of(path).map_err(of_tls));
    Ok(Setup {
        name: name.as_str().into(),
        roles: settings.roles,
        tls: settings
            .tls
            .as_ref()
            .map(|tls| tls::Server::load(tls).map_err(of_tls))
            .transpose()?,
        authenticator: Arc::new(authenticator),
        fronts: front.map(|front| front.trusted.clone()).unwrap_or_default(),
        proxy_protocol: front.is_some_and(|front| front.proxy_protocol),
        forwarded: front.is_some_and(|front| front.forwarded),
        own_connections: front.is_some_and(|front| front.own_connections),
        bindings: bindings.collect::<Result<_, _>>()?,
    })
}

/// The other proxies of the same farm, if there are any.
fn farm(state: &State) -> Result<Option<Arc<Peers>>, Error> {
    let Some(settings) = &state.config.peers else {
        return Ok(None);
    };
    let peers = Peers::new(settings.others.clone(), &settings.secret);
    let wrong = |error| Error::Io {
        what: format!("peers.secret {}", settings.secret.display()),
        error,
    };
    Ok(Some(Arc::new(peers.map_err(wrong)?)))
}

/// Lets them ask what is here.
async fn asked(
    state: &State,
    farm: Arc<Peers>,
    relay: &Arc<Relay>,
) -> Result<AbortOnDropHandle<()>, Error> {
    let at = state.config.peers.as_ref().map(|it| it.listen.get_ref());
    let bound = match at {
        Some(at) => peers::Listener::bind(at).await,
        None => Err(io::ErrorKind::NotFound.into()),
    };
    let listener = bound.map_err(|error| Error::Io {
        what: at.map_or_else(String::new, |at| format!("peers at {at}")),
        error,
    })?;
    let serving = peers::serve(listener, farm, Arc::<Relay>::clone(relay));
    Ok(AbortOnDropHandle::new(tokio::spawn(serving)))
}

async fn pages(
    state: &State,
    services: &Arc<Services>,
    relay: &Arc<Relay>,
    draining: CancellationToken,
    endpoints: &mut Vec<String>,
) -> Result<Option<AbortOnDropHandle<()>>, Error> {
    let Some(settings) = &state.config.metrics else {
        return Ok(None);
    };
    let at: SocketAddr = *settings.listen.get_ref();
    let wrong = |error| Error::Io {
        what: format!("metrics at {at}"),
        error,
    };
    let socket = TcpListener::bind(at).await.map_err(wrong)?;
    endpoints.push(format!(
        "http://{}/status",
        socket.local_addr().map_err(wrong)?
    ));
    let (services, relay) = (Arc::clone(services), Arc::clone(relay));
    let started = Instant::now();
    let text: Pages = Arc::new(move |path| match path {
        "/metrics" => {
            let state = services.live.current();
            Some((
                MEDIA_TYPE,
                services
                    .metrics
                    .text(&state.policy, services.audit.failed()),
            ))
        }
        "/status" => Some((
            "text/plain; charset=utf-8",
            status(&services, &relay, draining.is_cancelled(), started),
        )),
        _ => None,
    });
    let serving = plain(socket, state.config.limits.header, text);
    Ok(Some(AbortOnDropHandle::new(tokio::spawn(serving))))
}

fn status(services: &Services, relay: &Relay, draining: bool, started: Instant) -> String {
    let state = services.live.current();
    let snapshot = Snapshot {
        uptime: started.elapsed(),
        generation: state.generation,
        rules: state.policy.rules().len(),
        only_records: state.policy.only_records(),
        draining,
        connections: services.metrics.connections.value(),
        warnings: check::warnings(&state.config, &state.source, &state.policy),
        rows: relay.rows(),
    };
    snapshot.to_string()
}

#[cfg(test)]
mod tests;
