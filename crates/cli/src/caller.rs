//! Who calls over DCE/RPC: the options that say so, as a client's credentials.
//!
//! The mechanism is chosen by the user and never changed in silence: `spnego` offers Kerberos only where a ticket or a realm
//! is asked for, and what was agreed on can be seen with `-v`.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use farcall::Gss;
use farcall::client::Credentials;
use farcall_dce::security::AuthLevel;
use farcall_onc::gss::Service;
use farcall_security::credentials::{UnknownWord, level as level_named};
use farcall_security::ntlm::ClientConfig;
use farcall_security::{self as security, Password};

use crate::output::Failure;
use crate::password;

/// How a caller of DCE/RPC proves who it is.
#[derive(Clone, Debug, Default, clap::Args)]
pub(crate) struct Caller {
    /// DCE/RPC: how calls are protected: connect, packet, integrity or privacy
    #[arg(long, value_name = "LEVEL", default_value = "privacy", value_parser = level)]
    level: Level,

    /// The user who is proved, as NAME, DOMAIN\NAME or NAME@REALM; for Kerberos without it, whoever the ticket is for
    #[arg(short = 'U', long, value_name = "USER")]
    user: Option<String>,

    /// Take the user's password from the first line of this file; - is standard input
    /// [default: ask at the terminal]
    #[arg(long, value_name = "FILE")]
    password_file: Option<PathBuf>,

    /// The name under which the mechanism knows the server, as host/NAME or nfs@NAME [default: host/HOST]
    #[arg(long, value_name = "PRINCIPAL")]
    principal: Option<String>,

    /// DCE/RPC: refuse a server that does not sign headers too
    #[arg(long)]
    require_header_signing: bool,
}

/// A level that a user has named.
#[derive(Clone, Copy, Debug)]
struct Level(AuthLevel);

impl Default for Level {
    fn default() -> Self {
        Self(AuthLevel::PRIVACY)
    }
}

fn level(word: &str) -> Result<Level, UnknownWord> {
    level_named(word).map(Level)
}

/// A level of protection as users name it, for the command line's parser.
pub(crate) fn auth_level(word: &str) -> Result<AuthLevel, UnknownWord> {
    level_named(word)
}

impl Caller {
    /// The credentials for a way to authenticate.
    pub(crate) fn credentials(&self, auth: security::Auth) -> anyhow::Result<Credentials> {
        let initiator = match auth {
            security::Auth::Ntlm => security::Credentials::of_ntlm(self.ntlm()?),
            security::Auth::Spnego if self.has_password() => {
                security::Credentials::spnego().or_ntlm(self.ntlm()?)
            }
            security::Auth::Spnego | security::Auth::Kerberos => self.kerberos(auth)?,
        };
        Ok(Credentials {
            target: self.principal.clone(),
            require_header_signing: self.require_header_signing,
            ..Credentials::new(Arc::new(initiator), self.level.0)
        })
    }

    /// Whether a user with a password is meant, not a ticket.
    fn has_password(&self) -> bool {
        let of_a_realm = |user: &String| user.contains('@');
        self.user.as_ref().is_some_and(|user| !of_a_realm(user))
    }

    fn ntlm(&self) -> anyhow::Result<ClientConfig> {
        let Some(user) = &self.user else {
            return Err(Failure::new("NTLM needs a user")
                .hint("--user NAME or --user 'DOMAIN\\NAME'")
                .into());
        };
        let (domain, name) = match user.split_once(['\\', '/']) {
            Some((domain, name)) => (domain, name),
            None => ("", user.as_str()),
        };
        Ok(ClientConfig::new(name, domain, &self.password(user)?))
    }

    fn password(&self, user: &str) -> anyhow::Result<Password> {
        password_of(
            &format!("Password of {user}"),
            self.password_file.as_deref(),
            "--password-file FILE takes it from a file, - from standard input",
        )
    }

    /// The option that says who is proved, if there is one.
    pub(crate) fn option(&self) -> Option<&'static str> {
        let user = self.user.as_ref().map(|_| "--user");
        let password = self.password_file.as_ref().map(|_| "--password-file");
        let principal = self.principal.as_ref().map(|_| "--principal");
        user.or(password).or(principal)
    }

    /// The user who is proved, if one is named.
    pub(crate) fn user(&self) -> Option<&str> {
        self.user.as_deref()
    }

    /// Where that user's password is.
    pub(crate) fn password_file(&self) -> Option<&Path> {
        self.password_file.as_deref()
    }

    /// The same by Kerberos for ONC RPC.
    pub(crate) fn gss(&self, service: Service) -> anyhow::Result<Gss> {
        Ok(Gss {
            initiator: Arc::new(self.kerberos(security::Auth::Kerberos)?),
            service,
            target: self.principal.clone(),
        })
    }

    /// Kerberos, by itself or in SPNEGO, as whoever a ticket is for unless a user is named.
    #[cfg(feature = "kerberos")]
    pub(crate) fn kerberos(&self, auth: security::Auth) -> anyhow::Result<security::Credentials> {
        let password = match (&self.user, &self.password_file) {
            (Some(user), Some(_)) => Some(self.password(user)?),
            _ => None,
        };
        let identity = security::kerberos::Identity {
            principal: self.user.clone(),
            password,
        };
        Ok(match auth {
            security::Auth::Spnego => security::Credentials::spnego().or_kerberos(identity),
            _ => security::Credentials::kerberos(identity),
        })
    }

    /// There is none.
    #[cfg(not(feature = "kerberos"))]
    pub(crate) fn kerberos(&self, auth: security::Auth) -> anyhow::Result<security::Credentials> {
        Err(Failure::new(format!("this build has no Kerberos for --auth {auth}"))
            .hint("build with --features kerberos (needs libkrb5-dev and libclang-dev), or give --user NAME for NTLM")
            .into())
    }
}

/// A password from a file or standard input, or asked for at the terminal. `hint` says what to do without one.
pub(crate) fn password_of(
    prompt: &str,
    file: Option<&Path>,
    hint: &str,
) -> anyhow::Result<Password> {
    match file {
        Some(path) if path.as_os_str() == "-" => password::from_stdin(),
        Some(path) => password::from_file(path),
        None => password::asked(prompt, false, hint),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ntlm_needs_a_user_and_takes_the_password_from_a_file() {
        let nobody = Caller::default();
        assert!(nobody.credentials(security::Auth::Ntlm).is_err());
        let file = tempfile::NamedTempFile::new().expect("a file");
        std::fs::write(file.path(), "secret\n").expect("written");
        let caller = Caller {
            user: Some(r"LAB\alice".into()),
            password_file: Some(file.path().into()),
            ..Caller::default()
        };
        let config = caller.ntlm().expect("a user with a password");
        assert_eq!(
            (config.user.as_str(), config.domain.as_str()),
            ("alice", "LAB")
        );
        for auth in [security::Auth::Ntlm, security::Auth::Spnego] {
            assert!(caller.credentials(auth).is_ok());
        }
    }

    #[test]
    fn a_level_is_one_that_exists() {
        assert_eq!(auth_level("integrity"), Ok(AuthLevel::INTEGRITY));
        assert!(auth_level("paranoia").is_err());
    }
}
