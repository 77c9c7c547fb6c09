//! Reaching for a peer: the options that every calling command takes, and null calls.

use std::time::Duration;

use farcall::stub::Target;
use farcall::{Cause, Client, Endpoint, Family, Options, Phase, Transport};
use farcall_dce::security::AuthLevel;
use farcall_onc::gss::Service;
use farcall_security as security;
use farcall_wire::Uuid;

use crate::caller::Caller;
use crate::http::HttpWay;
use crate::output::Failure;
use crate::secure::Tls;

/// Version 2 of rpcbind: the one that everybody speaks.
pub(crate) const PORTMAP: (u32, u32) = (100_000, 2);

/// rpcbind's port.
pub(crate) const RPCBIND_PORT: u16 = 111;

/// A version that nobody has: asking for it tells which ones there are.
const NO_VERSION: u32 = 0xffff_fffe;

/// How a peer is reached.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct Reach {
    /// Longest time for connecting and for each call, in seconds
    #[arg(long, value_name = "SECONDS", default_value = "5", value_parser = seconds)]
    pub(crate) timeout: Duration,

    /// Who calls: nobody; over ONC RPC this user by AUTH_SYS (which proves nothing); over DCE/RPC a user by
    /// NTLM or SPNEGO; over both a user by Kerberos (ONC RPC: RPCSEC_GSS), with nobody able to change what is said
    /// (krb5i) or to read it (krb5p)
    #[arg(long, value_enum, default_value_t)]
    pub(crate) auth: Auth,

    #[command(flatten)]
    pub(crate) caller: Caller,

    /// DCE/RPC: the object that calls name
    #[arg(long, value_name = "UUID", value_parser = object)]
    pub(crate) object: Option<Uuid>,

    /// DCE/RPC: use NDR64 if the server has it
    #[arg(long)]
    pub(crate) ndr64: bool,

    /// DCE/RPC: the endpoint mapper to ask [default: the host's, on port 135]
    #[arg(long, value_name = "ENDPOINT", value_parser = endpoint)]
    pub(crate) mapper: Option<Endpoint>,

    #[command(flatten)]
    pub(crate) tls: Tls,

    #[command(flatten)]
    pub(crate) http: HttpWay,
}

/// Which credential calls carry.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Auth {
    /// AUTH_NONE.
    #[default]
    None,
    /// AUTH_SYS: this machine, user and groups.
    Sys,
    /// NTLM.
    Ntlm,
    /// SPNEGO, over NTLM or Kerberos.
    Spnego,
    /// Kerberos; over DCE/RPC at the level that --level says.
    Krb5,
    /// Kerberos with integrity.
    Krb5i,
    /// Kerberos with privacy.
    Krb5p,
}

impl Reach {
    /// As options of a client.
    pub(crate) fn options(&self) -> anyhow::Result<Options> {
        let options = Options {
            timeout: self.timeout,
            connect_timeout: self.timeout,
            object: self.object,
            ndr64: self.ndr64,
            mapper: self.mapper.clone(),
            tls: self.tls.for_onc()?,
            ..Options::default()
        };
        let (integrity, privacy) = (AuthLevel::INTEGRITY, AuthLevel::PRIVACY);
        match self.auth {
            Auth::None => Ok(options),
            Auth::Sys => Ok(options.auth_sys(&myself())?),
            Auth::Ntlm => self.proved(options, security::Auth::Ntlm),
            Auth::Spnego => self.proved(options, security::Auth::Spnego),
            Auth::Krb5 => self.kerberos(options, None, Service::NONE),
            Auth::Krb5i => self.kerberos(options, Some(integrity), Service::INTEGRITY),
            Auth::Krb5p => self.kerberos(options, Some(privacy), Service::PRIVACY),
        }
    }

    /// As options of a client that calls `endpoint`, which may say by itself how it is reached.
    ///
    /// # Errors
    /// Something was asked for that this endpoint's family does not have: nothing is left out in silence.
    pub(crate) fn options_to(&self, endpoint: &Endpoint) -> anyhow::Result<Options> {
        match endpoint.transport().family() {
            Family::Onc => self.fits_onc()?,
            Family::Dce => self.fits_dce(endpoint)?,
        }
        let mut options = self.options()?;
        options.http = self
            .http
            .options(endpoint, &self.caller, self.tls.for_http()?)?;
        Ok(options)
    }

    /// Nothing is asked for that only DCE/RPC has.
    fn fits_onc(&self) -> Result<(), Failure> {
        const WAYS: &str = "over ONC RPC: --auth sys, krb5, krb5i or krb5p";
        let auth = match self.auth {
            Auth::Ntlm => Some("--auth ntlm"),
            Auth::Spnego => Some("--auth spnego"),
            _ => None,
        };
        let option = auth
            .or(self.object.map(|_| "--object"))
            .or(self.ndr64.then_some("--ndr64"))
            .or(self.mapper.as_ref().map(|_| "--mapper"));
        if let Some(option) = option {
            let failure = Failure::new(format!(
                "{option} is for DCE/RPC, and this endpoint speaks ONC RPC"
            ));
            return Err(failure.hint(match auth {
                Some(_) => WAYS,
                None => "leave it away, or name an endpoint such as ncacn_ip_tcp:HOST[PORT]",
            }));
        }
        match (self.auth, self.caller.option()) {
            (Auth::None | Auth::Sys, Some(option)) => {
                Err(Failure::new(format!("{option} proves nobody without a mechanism")).hint(WAYS))
            }
            _ => Ok(()),
        }
    }

    /// Nothing is asked for that only ONC RPC has. To an RPC proxy there is TLS, and a user may be for it alone.
    fn fits_dce(&self, endpoint: &Endpoint) -> Result<(), Failure> {
        const WAYS: &str = "over DCE/RPC: --auth ntlm, spnego or krb5, with --level privacy";
        if self.auth == Auth::Sys {
            let failure =
                Failure::new("--auth sys is for ONC RPC, and this endpoint speaks DCE/RPC");
            return Err(failure.hint(WAYS));
        }
        if endpoint.transport() == Transport::NcacnHttp {
            return Ok(());
        }
        if let Some(option) = self.tls.option() {
            let failure = Failure::new(format!(
                "{option} is for ONC RPC and RPC over HTTP: DCE/RPC over {} has no TLS",
                endpoint.transport()
            ));
            return Err(failure.hint(WAYS));
        }
        match (self.auth, self.caller.option()) {
            (Auth::None, Some(option)) => {
                Err(Failure::new(format!("{option} proves nobody without a mechanism")).hint(WAYS))
            }
            _ => Ok(()),
        }
    }

    fn proved(&self, options: Options, auth: security::Auth) -> anyhow::Result<Options> {
        let credentials = self.caller.credentials(auth)?;
        Ok(Options {
            credentials: Some(credentials),
            ..options
        })
    }

    /// Kerberos, for whichever family is called: at this level over DCE/RPC, with this service over ONC RPC.
    fn kerberos(
        &self,
        options: Options,
        level: Option<AuthLevel>,
        service: Service,
    ) -> anyhow::Result<Options> {
        let mut options = self.proved(options, security::Auth::Kerberos)?;
        if let (Some(credentials), Some(level)) = (&mut options.credentials, level) {
            credentials.level = level;
        }
        options.gss = Some(self.caller.gss(service)?);
        Ok(options)
    }
}

/// A null call of a program's version.
pub(crate) fn null(client: &Client, program: u32, version: u32) -> farcall::Calling<()> {
    let target = Target {
        program,
        version,
        procedure: 0,
    };
    client.call_target(target, &(), |_| Ok(()))
}

/// A client of the first of these programs, in whichever version. Where a server is asked for TLS, it is asked through a
/// program and a version, and answers only if it has them.
pub(crate) async fn connect_through(
    endpoint: &Endpoint,
    programs: impl IntoIterator<Item = u32>,
    options: &Options,
) -> Result<Client, farcall::Error> {
    let mut last = None;
    for program in programs {
        let connect = |version| Client::connect_with(endpoint, program, version, options.clone());
        match connect(1).await {
            Ok(client) => return Ok(client),
            Err(error) => match error.cause() {
                Cause::ProgramMismatch { high, .. } => return connect(*high).await,
                Cause::ProgramUnavailable => last = Some(error),
                _ => return Err(error),
            },
        }
    }
    let none = || farcall::Error::local(Phase::Connect, "no program was named");
    Err(last.unwrap_or_else(none))
}

/// Lowest and highest version of a program that a peer has; `None` if it has none of it.
pub(crate) async fn versions(
    client: &Client,
    program: u32,
) -> Result<Option<(u32, u32)>, farcall::Error> {
    match null(client, program, NO_VERSION).await {
        Ok(()) => Ok(Some((NO_VERSION, NO_VERSION))),
        Err(error) => match error.cause() {
            Cause::ProgramMismatch { low, high } => Ok(Some((*low, *high))),
            Cause::ProgramUnavailable => Ok(None),
            _ => Err(error),
        },
    }
}

/// An endpoint as a user writes it, for the command line's parser: its errors have no room for
/// hints, so they stand in the message.
pub(crate) fn endpoint(text: &str) -> Result<Endpoint, Failure> {
    text.parse().map_err(|error: farcall::Error| {
        let mut message = error.cause().to_string();
        for hint in error.hints() {
            message.push_str(&format!("\nhint: {hint}"));
        }
        Failure::new(message)
    })
}

fn object(text: &str) -> Result<Uuid, farcall_wire::uuid::NotUuid> {
    text.parse()
}

/// A time in seconds, fractions allowed.
pub(crate) fn seconds(text: &str) -> Result<Duration, Failure> {
    let parsed = text.parse().ok().map(Duration::try_from_secs_f64);
    match parsed {
        Some(Ok(time)) => Ok(time),
        _ => Err(Failure::new(
            "expected a number of seconds, such as 2 or 0.5",
        )),
    }
}

/// This process as AUTH_SYS names it.
fn myself() -> farcall_onc::auth::AuthSys {
    let machine = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let numbers = |key: &str| -> Vec<u32> {
        let line = status.lines().find_map(|line| line.strip_prefix(key));
        let words = line.unwrap_or_default().split_whitespace();
        words.filter_map(|word| word.parse().ok()).collect()
    };
    // Real, effective, saved, file system: what counts is the effective one.
    let effective = |key| numbers(key).get(1).copied().unwrap_or(65_534);
    let mut gids = numbers("Groups:");
    gids.truncate(16);
    farcall_onc::auth::AuthSys {
        stamp: 0,
        machine: machine.trim().into(),
        uid: effective("Uid:"),
        gid: effective("Gid:"),
        gids,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seconds_may_have_fractions_and_no_sign() {
        assert_eq!(seconds("0.5").unwrap(), Duration::from_millis(500));
        for bad in ["", "-1", "x", "1e99", "NaN"] {
            assert!(seconds(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn this_process_has_a_credential() {
        let reach = Reach {
            timeout: Duration::from_secs(1),
            auth: Auth::Sys,
            caller: Caller::default(),
            object: None,
            ndr64: false,
            mapper: None,
            tls: Tls::default(),
            http: HttpWay::default(),
        };
        assert!(reach.options().is_ok());
    }
}
