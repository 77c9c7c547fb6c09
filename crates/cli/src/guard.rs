//! Whom a daemon lets in, and what it tells its clients.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use farcall::server::Builder;
use farcall_dce::security::AuthLevel;
use farcall_security::ntlm::ServerConfig;
use farcall_security::{Mechanisms, UsersFile};

use crate::caller::auth_level;
use crate::output::Failure;

/// Whom a daemon of DCE/RPC lets in.
#[derive(Clone, Debug, Default, clap::Args)]
pub(crate) struct Guard {
    /// Users who may authenticate by NTLM, alone or within SPNEGO: a file made by `farcall user`
    #[arg(long, value_name = "FILE")]
    users: Option<PathBuf>,

    /// Keys of this service: clients may authenticate by Kerberos, alone or within SPNEGO
    #[arg(long, value_name = "FILE")]
    keytab: Option<PathBuf>,

    /// Refuse authenticated clients that protect their calls less: connect, packet, integrity, privacy
    #[arg(long, value_name = "LEVEL", value_parser = auth_level)]
    auth_floor: Option<AuthLevel>,

    /// Refuse authenticated clients of DCE/RPC that do not offer to sign headers too
    #[arg(long)]
    require_header_signing: bool,

    /// Whether clients may choose NDR64
    #[arg(long, value_name = "on|off", default_value = "on", value_parser = on_or_off)]
    ndr64: Switch,

    /// Tell clients this secondary address when they bind [default: the port or name]
    #[arg(long, value_name = "TEXT")]
    secondary_address: Option<String>,

    /// Security contexts of one connection
    #[arg(long, value_name = "N")]
    max_auth_contexts: Option<usize>,
}

/// On or off, on by default.
#[derive(Clone, Copy, Debug)]
struct Switch(bool);

impl Default for Switch {
    fn default() -> Self {
        Self(true)
    }
}

fn on_or_off(text: &str) -> Result<Switch, Failure> {
    match text {
        "on" => Ok(Switch(true)),
        "off" => Ok(Switch(false)),
        _ => Err(Failure::new("expected on or off")),
    }
}

impl Guard {
    /// The same server, guarded so.
    pub(crate) fn apply(&self, builder: Builder) -> anyhow::Result<Builder> {
        self.apply_with(builder, false)
    }

    /// As [`apply`](Self::apply); `nobody`: clients of NTLM may say that they are nobody.
    pub(crate) fn apply_with(&self, mut builder: Builder, nobody: bool) -> anyhow::Result<Builder> {
        builder = builder.ndr64(self.ndr64.0);
        builder = builder.require_header_signing(self.require_header_signing);
        if let Some(level) = self.auth_floor {
            builder = builder.auth_floor(level);
        }
        if let Some(address) = &self.secondary_address {
            builder = builder.secondary_address(address);
        }
        if let Some(most) = self.max_auth_contexts {
            builder = builder.max_auth_contexts(most);
        }
        Ok(match self.mechanisms(nobody)? {
            Some(mechanisms) => builder.authenticate_with(Arc::new(mechanisms)),
            None => builder,
        })
    }

    /// To be called before anything else: the Kerberos library takes the keytab from the environment alone.
    pub(crate) fn prepare(&self) -> anyhow::Result<()> {
        prepare(self.keytab.as_deref())
    }

    /// The keys of this service, for Kerberos.
    pub(crate) fn keytab(&self) -> Option<&Path> {
        self.keytab.as_deref()
    }

    /// The mechanisms, if there are any.
    fn mechanisms(&self, nobody: bool) -> anyhow::Result<Option<Mechanisms>> {
        if self.users.is_none() && self.keytab.is_none() {
            return Ok(None);
        }
        let host = host();
        let mut mechanisms = Mechanisms::new().with_principal(&format!("host/{host}"));
        if let Some(path) = &self.users {
            let users = UsersFile::open(path)?;
            let short = host.split('.').next().unwrap_or_default().to_uppercase();
            let config = ServerConfig {
                dns_computer: host,
                anonymous: nobody,
                ..ServerConfig::new(&short, &short, Arc::new(users))
            };
            mechanisms = mechanisms.with_ntlm(config);
        }
        if let Some(path) = &self.keytab {
            mechanisms = with_keytab(mechanisms, path)?;
        }
        Ok(Some(mechanisms))
    }
}

/// To be called before anything else by a daemon that was told of this keytab.
#[cfg(feature = "kerberos")]
pub(crate) fn prepare(keytab: Option<&Path>) -> anyhow::Result<()> {
    match keytab {
        Some(keytab) => Ok(farcall_security::kerberos::keytab::restart_with(keytab)?),
        None => Ok(()),
    }
}

/// To be called before anything else; without Kerberos there is nothing to do.
#[cfg(not(feature = "kerberos"))]
pub(crate) fn prepare(_: Option<&Path>) -> anyhow::Result<()> {
    Ok(())
}

/// Kerberos alone, with the keys of a file.
pub(crate) fn keys(keytab: &Path) -> anyhow::Result<Mechanisms> {
    with_keytab(Mechanisms::new(), keytab)
}

#[cfg(feature = "kerberos")]
fn with_keytab(mechanisms: Mechanisms, keytab: &Path) -> anyhow::Result<Mechanisms> {
    let service = farcall_security::kerberos::Service::open(Some(keytab), None)?;
    Ok(mechanisms.with_kerberos(service))
}

#[cfg(not(feature = "kerberos"))]
fn with_keytab(_: Mechanisms, _: &Path) -> anyhow::Result<Mechanisms> {
    Err(Failure::new("this build has no Kerberos for --keytab")
        .hint("build with --features kerberos (needs libkrb5-dev and libclang-dev)")
        .into())
}

/// This machine's name.
fn host() -> String {
    let name = rustix::system::uname();
    name.nodename().to_string_lossy().into_owned()
}
