//! `farcall binder`: an rpcbind (versions 2, 3 and 4) and an endpoint mapper on one registry, on any port.

use std::net::SocketAddr;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context;
use farcall::Family;
use farcall::server::Listening;
use farcall_binder::{Binder, Embedded, Memory, Policy, Rate, Store};
use listenfd::ListenFd;
use nix::unistd::{Gid, Uid, User};

use crate::daemon::{self, Signals};
use crate::guard::Guard;
use crate::output::{Done, Output};
use crate::peer;
use crate::secure::SecureServer;

/// Where clients of an rpcbind look for it; binding there needs root.
const DEFAULT: &[&str] = &[
    "tcp://[::]:111",
    "udp://[::]:111",
    "unix:///run/rpcbind.sock",
    "ncacn_ip_tcp:[::][135]",
    "ncalrpc:[epmapper]",
];

/// The registry of the binder that everybody finds.
const REGISTRY: &str = "/var/lib/farcall/registry";

/// The port at which an endpoint mapper is looked for.
const MAPPER: u16 = 135;

/// Run an rpcbind and endpoint mapper: where programs and interfaces are to be found, for whoever asks
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Listen at this endpoint; may repeat; port 0 lets the system choose
    /// [default: the sockets that systemd hands over, or else where clients look for an rpcbind, on port 111, and for an endpoint mapper, on port 135, which needs root]
    #[arg(short, long, value_name = "ENDPOINT", value_parser = peer::endpoint)]
    listen: Vec<farcall::Endpoint>,

    /// Take registrations over loopback, too, where nobody knows who calls
    /// [default: over Unix sockets only]
    #[arg(long)]
    loopback: bool,

    /// Tell the whole list and the statistics over UDP to other machines, too (strangers can aim them at somebody else)
    #[arg(long)]
    open_dump: bool,

    /// Pass calls on to other programs of this machine (CALLIT, BCAST, INDIRECT), save those that trust this machine
    #[arg(long)]
    indirect: bool,

    /// How many questions a second of one other machine are answered over UDP; 0: any number
    #[arg(long, value_name = "N", default_value_t = Rate::default().per_second)]
    rate: u32,

    /// Keep registrations in this file, or only in memory
    /// [default: in STATE_DIRECTORY or /var/lib/farcall when it listens where clients look, or else in memory]
    #[arg(long, value_name = "FILE|none")]
    state: Option<PathBuf>,

    /// Take over what rpcbind has left in its files in this directory, and leave them there in the end
    #[arg(long, value_name = "DIR")]
    warm_start: Option<PathBuf>,

    /// How often registrations of dead processes are looked for, in seconds; 0: never
    #[arg(long, value_name = "SECONDS", default_value = "30", value_parser = peer::seconds)]
    sweep: Duration,

    /// Become this user when everything is open
    #[arg(long, value_name = "NAME")]
    user: Option<String>,

    #[command(flatten)]
    secure: SecureServer,

    #[command(flatten)]
    guard: Guard,

    /// How long running calls may go on after SIGTERM, in seconds
    #[arg(long, value_name = "SECONDS", default_value = "10", value_parser = peer::seconds)]
    grace: Duration,
}

impl Args {
    /// Whom the endpoint mapper lets in.
    pub(crate) fn guard(&self) -> &Guard {
        &self.guard
    }

    fn policy(&self) -> Policy {
        Policy {
            loopback: self.loopback,
            open_dump: self.open_dump,
            indirect: self.indirect,
            rate: Rate {
                per_second: self.rate,
                ..Rate::default()
            },
        }
    }

    /// The file of registrations, if there is to be one.
    fn registry(&self) -> Option<PathBuf> {
        match &self.state {
            Some(none) if none.as_os_str() == "none" => None,
            Some(file) => Some(file.clone()),
            None if !self.listen.is_empty() => None,
            None => Some(match std::env::var_os("STATE_DIRECTORY") {
                Some(directory) => Path::new(&directory).join("registry"),
                None => REGISTRY.into(),
            }),
        }
    }
}

pub(crate) async fn run(args: Args, out: &Output) -> anyhow::Result<Done> {
    let user = args.user.as_deref().map(find_user).transpose()?;
    match args.registry() {
        None => serve(args, user, Memory::new(), out).await,
        Some(file) => {
            let store = open(&file, user.as_ref())?;
            serve(args, user, store, out).await
        }
    }
}

async fn serve<S: Store>(
    args: Args,
    user: Option<User>,
    store: S,
    out: &Output,
) -> anyhow::Result<Done> {
    let mut signals = Signals::new()?;
    let certificates = args.secure.certificates()?;
    let mut builder = Binder::builder()
        .policy(args.policy())
        .sweep(args.sweep)
        .configure(|server| args.guard.apply(certificates.apply(server)))?;
    let handed_over = handed_over()?;
    if args.listen.is_empty() && handed_over.is_empty() {
        builder = DEFAULT.iter().fold(builder, |all, one| all.listen(*one));
    }
    builder = args.listen.iter().fold(builder, |all, one| all.listen(one));
    for (family, socket) in handed_over {
        builder = builder.listen_on(family, socket);
    }
    if let Some(directory) = &args.warm_start {
        builder = builder.warm_start(directory);
    }
    let binder = builder.store(store).start().await?;
    if let Some(user) = &user {
        become_user(user)?;
    }
    daemon::ready(binder.endpoints(), out)?;
    signals.asked_to_end_or(|| certificates.read_again()).await;
    Ok(signals.unless_asked_again(binder.drain(args.grace)).await)
}

fn find_user(name: &str) -> anyhow::Result<User> {
    let found = User::from_name(name).with_context(|| format!("looking for user {name}"))?;
    found.with_context(|| format!("there is no user {name}"))
}

/// Opens the registry for whoever will use it.
fn open(file: &Path, user: Option<&User>) -> anyhow::Result<Embedded> {
    let named = || format!("registry {}", file.display());
    if let Some(directory) = file.parent().filter(|path| !path.exists()) {
        std::fs::create_dir_all(directory).with_context(named)?;
    }
    let store = Embedded::open(file).with_context(named)?;
    if let Some(user) = user {
        let there = std::fs::symlink_metadata(file).with_context(named)?;
        if there.uid() != user.uid.as_raw() {
            std::os::unix::fs::lchown(file, Some(user.uid.as_raw()), Some(user.gid.as_raw()))
                .with_context(named)?;
        }
    }
    Ok(store)
}

/// Gives up everything but being this user, for good.
fn become_user(user: &User) -> anyhow::Result<()> {
    let denied = || format!("becoming user {}", user.name);
    if Uid::effective() == user.uid && Gid::effective() == user.gid {
        return Ok(());
    }
    nix::unistd::setgroups(&[user.gid]).with_context(denied)?;
    nix::unistd::setgid(user.gid).with_context(denied)?;
    nix::unistd::setuid(user.uid).with_context(denied)?;
    let is_back = !user.uid.is_root() && nix::unistd::setuid(Uid::from_raw(0)).is_ok();
    anyhow::ensure!(
        !is_back,
        "could become root again, having become {}",
        user.name
    );
    Ok(())
}

/// The sockets that systemd hands over. Which family speaks at them, their places say: an endpoint mapper's has port 135
/// or is called `epmapper`.
fn handed_over() -> anyhow::Result<Vec<(Family, Listening)>> {
    let mut inherited = ListenFd::from_env();
    let sockets = (0..inherited.len()).map(|index| take(&mut inherited, index));
    sockets.collect()
}

fn take(inherited: &mut ListenFd, index: usize) -> anyhow::Result<(Family, Listening)> {
    if let Ok(Some(socket)) = inherited.take_tcp_listener(index) {
        let family = match socket.local_addr().as_ref().map(SocketAddr::port) {
            Ok(MAPPER) => Family::Dce,
            _ => Family::Onc,
        };
        return Ok((family, Listening::Tcp(socket)));
    }
    if let Ok(Some(socket)) = inherited.take_unix_listener(index) {
        let address = socket.local_addr()?;
        let name = address.as_pathname().and_then(Path::file_name);
        let family = match name.is_some_and(|name| name == "epmapper") {
            true => Family::Dce,
            false => Family::Onc,
        };
        return Ok((family, Listening::Unix(socket)));
    }
    let socket = inherited.take_udp_socket(index);
    let socket = socket.with_context(|| format!("socket {index} that was handed over"))?;
    let socket = socket.with_context(|| format!("socket {index} was handed over and taken"))?;
    Ok((Family::Onc, Listening::Udp(socket)))
}
