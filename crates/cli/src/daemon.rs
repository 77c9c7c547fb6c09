//! What every daemon does alike: endpoints, registration, `ready` lines, signals.
//!
//! SIGTERM and SIGINT drain, a second one ends the process at once. SIGHUP is for reloading: no
//! daemon has a file of settings to read again, so it means what is left of it. Certificates are
//! read again, and those that are registered somewhere register again at once.

use std::time::Duration;

use farcall::registrar::Registration;
use farcall::server::Builder;
use farcall::stub::Registered;
use farcall::{Endpoint, Error, Registrar};
use serde_json::json;
use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::output::{Done, Output};
use crate::peer;
use crate::secure::Certificates;

/// How long taking registrations back may last.
const UNREGISTER: Duration = Duration::from_secs(2);

/// Where a daemon listens and is found.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct Listen {
    /// Listen at this endpoint; may repeat; port 0 lets the system choose
    #[arg(short, long, value_name = "ENDPOINT", value_parser = peer::endpoint)]
    pub(crate) listen: Vec<Endpoint>,

    /// Register with the rpcbind at this endpoint, or with none
    /// [default: the one of this machine, if there is one]
    #[arg(long, value_name = "ENDPOINT|none", value_parser = register)]
    pub(crate) register: Option<Register>,

    /// How long running calls may go on after SIGTERM, in seconds
    #[arg(long, value_name = "SECONDS", default_value = "10", value_parser = peer::seconds)]
    pub(crate) grace: Duration,
}

/// With whom a daemon registers.
#[derive(Clone, Debug)]
pub(crate) enum Register {
    /// With nobody.
    No,
    /// With the rpcbind at this endpoint.
    At(Endpoint),
}

fn register(text: &str) -> Result<Register, crate::output::Failure> {
    match text {
        "none" => Ok(Register::No),
        _ => peer::endpoint(text).map(Register::At),
    }
}

impl Listen {
    /// The endpoints that were asked for, or else these.
    pub(crate) fn endpoints(&self, default: &[&str]) -> Result<Vec<Endpoint>, Error> {
        match self.listen.is_empty() {
            true => default.iter().map(|text| text.parse()).collect(),
            false => Ok(self.listen.clone()),
        }
    }
}

/// Serves until a signal ends it, with a server that is configured already, its connections protected with these
/// certificates.
pub(crate) async fn serve_with(
    (builder, certificates): (Builder, Certificates),
    services: Vec<Registered>,
    endpoints: Vec<Endpoint>,
    listen: &Listen,
    out: &Output,
) -> anyhow::Result<Done> {
    let mut signals = Signals::new()?;
    let programs = services.iter().filter_map(Registered::program).collect();
    let interfaces: Vec<_> = services.iter().filter_map(Registered::exported).collect();
    let builder = certificates.apply(builder);
    let builder = services.into_iter().fold(builder, Builder::serve);
    let builder = endpoints
        .iter()
        .fold(builder, |builder, endpoint| builder.listen(endpoint));
    let server = builder.start().await?;
    let registration =
        registered(&listen.register, programs, &interfaces, server.endpoints()).await?;
    ready(server.endpoints(), out)?;
    while signals.asked().await == Asked::Reload {
        certificates.read_again();
        if let Some(registration) = &registration {
            match registration.renew().await {
                Ok(()) => tracing::info!("registered again"),
                Err(error) => tracing::warn!(%error, "could not be registered again"),
            }
        }
    }
    tracing::info!("draining");
    let ending = async {
        if let Some(registration) = registration {
            registration.remove(UNREGISTER).await;
        }
        server.drain(listen.grace).await;
    };
    Ok(signals.unless_asked_again(ending).await)
}

/// Registers programs and interfaces; that this machine has no rpcbind or no endpoint mapper is
/// no error unless one was named.
async fn registered(
    register: &Option<Register>,
    programs: Vec<&'static farcall::stub::Program>,
    interfaces: &[&'static farcall::stub::Interface],
    endpoints: &[Endpoint],
) -> Result<Option<Registration>, Error> {
    match register {
        Some(Register::No) => Ok(None),
        Some(Register::At(binder)) => Registrar::at(binder)?
            .register_all(programs, interfaces, endpoints)
            .await
            .map(Some),
        None => {
            let registering = Registrar::local()
                .register_all(programs, interfaces, endpoints)
                .await;
            Ok(registering
                .inspect_err(|error| tracing::info!(%error, "not registered"))
                .ok())
        }
    }
}

/// One line for each endpoint: whoever started the daemon waits for them.
pub(crate) fn ready(endpoints: &[Endpoint], out: &Output) -> std::io::Result<()> {
    for endpoint in endpoints {
        match out.is_json() {
            true => out.json(&json!({ "ready": endpoint.to_string() }))?,
            false => out.line(format_args!("ready {endpoint}"))?,
        }
    }
    Ok(())
}

/// What a signal asks of a daemon.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Asked {
    /// SIGTERM or SIGINT: to end.
    End,
    /// SIGHUP: to look again at what lies outside.
    Reload,
}

/// The signals that a daemon heeds.
pub(crate) struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hangup: Signal,
}

impl Signals {
    /// From now on signals are waited for and no longer kill.
    pub(crate) fn new() -> std::io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            hangup: signal(SignalKind::hangup())?,
        })
    }

    /// Waits for the next signal.
    pub(crate) async fn asked(&mut self) -> Asked {
        tokio::select! {
            _ = self.terminate.recv() => Asked::End,
            _ = self.interrupt.recv() => Asked::End,
            _ = self.hangup.recv() => Asked::Reload,
        }
    }

    /// Waits for SIGTERM or SIGINT; there is nothing to reload.
    pub(crate) async fn asked_to_end(&mut self) {
        self.asked_to_end_or(|| tracing::info!("nothing to reload"))
            .await;
    }

    /// Waits for SIGTERM or SIGINT, and reloads meanwhile.
    pub(crate) async fn asked_to_end_or(&mut self, reload: impl Fn()) {
        while self.asked().await == Asked::Reload {
            reload();
        }
        tracing::info!("draining");
    }

    /// Finishes `ending`, unless one more signal asks to end at once.
    pub(crate) async fn unless_asked_again(&mut self, ending: impl Future<Output = ()>) -> Done {
        tokio::select! {
            () = ending => Done::Yes,
            () = self.asked_to_end() => Done::No,
        }
    }
}
