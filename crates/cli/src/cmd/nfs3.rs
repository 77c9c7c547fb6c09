//! `farcall nfs3`: a real, read-write NFS version 3 and MOUNT server for a directory.

use std::path::PathBuf;
use std::sync::Arc;

use farcall::Server;
use farcall_nfs3::Nfs3;
use farcall_nfs3::caller::{Identity, Squash};
use farcall_nfs3::network::Network;
use farcall_nfs3::principal::Principals;
use farcall_onc::auth::Flavor;

use crate::daemon::{self, Listen};
use crate::guard;
use crate::output::{Done, Failure, Output};
use crate::secure::SecureServer;

/// NFS and MOUNT share one port, so that no binder is needed: clients are told it twice.
const DEFAULT: &[&str] = &["tcp://127.0.0.1:0", "udp://127.0.0.1:0"];

/// Serve a directory over NFS version 3
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The directory
    directory: PathBuf,

    #[command(flatten)]
    listen: Listen,

    #[command(flatten)]
    secure: SecureServer,

    /// Refuse every change
    #[arg(long)]
    read_only: bool,

    /// What clients mount
    #[arg(long, default_value = "/", value_name = "PATH")]
    name: String,

    /// Who may come: ADDRESS or ADDRESS/BITS; may repeat [default: this machine]
    #[arg(long, value_name = "NETWORK")]
    allow: Vec<Network>,

    /// Which callers become the anonymous user
    #[arg(long, value_enum, default_value = "root")]
    squash: Who,

    /// Whose rights count
    #[arg(long, value_enum, default_value = "auto")]
    identity: Whose,

    /// What callers must show of themselves, the best first: krb5p, krb5i, krb5, sys, none; clients are told of it when they
    /// mount, and a call with less is refused [default: sys,none, or krb5p,krb5i,krb5 with --keytab]
    #[arg(long, value_name = "LIST", value_delimiter = ',')]
    sec: Vec<Sec>,

    /// Keys of this service, such as nfs/HOST: callers may prove themselves by Kerberos (RPCSEC_GSS)
    #[arg(long, value_name = "FILE")]
    keytab: Option<PathBuf>,

    /// Users of this Kerberos realm are this machine's users of the same names; others are the anonymous user
    #[arg(long, value_name = "REALM", requires = "keytab")]
    realm: Option<String>,

    /// Keep the key of the handles here, so that clients do not notice a restart
    #[arg(long, value_name = "DIR")]
    state: Option<PathBuf>,
}

/// Which callers become the anonymous user.
#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum Who {
    /// None: a client's root is root here
    None,
    /// User and group 0
    Root,
    /// All
    All,
}

/// Whose rights count.
#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum Whose {
    /// The callers' if the server runs as root, else the server's own
    Auto,
    /// The users' that the credentials name; needs root
    Caller,
    /// The server's own user's, for every caller
    Server,
}

/// What a caller shows of itself, as `exports(5)` names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Sec {
    /// Nothing
    None,
    /// A user that is claimed (AUTH_SYS)
    Sys,
    /// Kerberos
    Krb5,
    /// Kerberos with integrity
    Krb5i,
    /// Kerberos with privacy
    Krb5p,
}

impl Sec {
    /// All of Kerberos, the best first.
    const PROVED: [Self; 3] = [Self::Krb5p, Self::Krb5i, Self::Krb5];

    fn flavor(self) -> Flavor {
        match self {
            Self::None => Flavor::NONE,
            Self::Sys => Flavor::SYS,
            Self::Krb5 => Flavor::KRB5,
            Self::Krb5i => Flavor::KRB5I,
            Self::Krb5p => Flavor::KRB5P,
        }
    }
}

impl Args {
    /// To be called before anything else: the Kerberos library takes the keytab from the environment alone.
    pub(crate) fn prepare(&self) -> anyhow::Result<()> {
        guard::prepare(self.keytab.as_deref())
    }

    /// What callers must show.
    fn flavors(&self) -> anyhow::Result<Vec<Flavor>> {
        let proved = self.sec.iter().any(|sec| Sec::PROVED.contains(sec));
        let listed = match (self.sec.as_slice(), &self.keytab) {
            ([], Some(_)) => &Sec::PROVED,
            ([], None) => &[Sec::Sys, Sec::None][..],
            (listed, Some(_)) if !proved => {
                let text =
                    format!("--keytab is for Kerberos, which --sec does not list: {listed:?}");
                return Err(Failure::new(text).hint("--sec krb5p,krb5i,krb5").into());
            }
            (_, None) if proved => {
                return Err(Failure::new("Kerberos needs the keys of this service")
                    .hint("--keytab FILE, with a key of nfs/HOST")
                    .into());
            }
            (listed, _) => listed,
        };
        Ok(listed.iter().map(|sec| sec.flavor()).collect())
    }
}

pub(crate) async fn run(args: Args, out: &Output) -> anyhow::Result<Done> {
    let server = build(&args)?;
    let services = vec![server.service(), server.mount_service()];
    let endpoints = args.listen.endpoints(DEFAULT)?;
    let builder = match &args.keytab {
        Some(keytab) => Server::builder().gss(Arc::new(guard::keys(keytab)?)),
        None => Server::builder(),
    };
    let certificates = args.secure.certificates()?;
    daemon::serve_with(
        (builder, certificates),
        services,
        endpoints,
        &args.listen,
        out,
    )
    .await
}

fn build(args: &Args) -> anyhow::Result<Nfs3> {
    let mut builder = Nfs3::builder(&args.directory)
        .name(args.name.clone())
        .read_only(args.read_only)
        .flavors(args.flavors()?)
        .squash(match args.squash {
            Who::None => Squash::None,
            Who::Root => Squash::Root,
            Who::All => Squash::All,
        })
        .identity(match args.identity {
            Whose::Auto => Identity::Auto,
            Whose::Caller => Identity::Caller,
            Whose::Server => Identity::Server,
        });
    if !args.allow.is_empty() {
        builder = builder.networks(args.allow.clone());
    }
    if let Some(realm) = &args.realm {
        builder = builder.principals(Principals::of_realm(realm));
    }
    if let Some(state) = &args.state {
        builder = builder.state_dir(state);
    }
    Ok(builder.build()?)
}
