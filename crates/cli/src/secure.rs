//! TLS on the command line: how a caller protects its connections (of ONC RPC by RFC 9289, and to RPC proxies), and how a
//! daemon of ONC RPC does.

use std::path::PathBuf;

use anyhow::Context;
use farcall::server::Builder;
use farcall::tls::{
    ClientSettings, ClientTls, Clients, Own, Pem, Policy, ServerSettings, ServerTls, Trust,
    Versions,
};

use crate::output::Failure;

/// How a caller protects its connections, whom it believes and what it shows.
#[derive(Clone, Debug, Default, clap::Args)]
#[command(next_help_heading = "TLS")]
pub(crate) struct Tls {
    /// ONC RPC: protect connections over TCP by TLS: only if the server can do it (opportunistic), always (require; also
    /// without a word), or always and with a certificate of our own (mutual). For tls://, and with one of the options
    /// below, it is require
    #[arg(
        long,
        value_enum,
        value_name = "HOW",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "require"
    )]
    tls: Option<How>,

    /// Trust the authorities in this file (PEM), and no others [default: those that the system trusts]
    #[arg(long, value_name = "FILE")]
    ca: Option<PathBuf>,

    /// The name that the certificate of the other side must be for [default: the host that is called]
    #[arg(long, value_name = "NAME")]
    server_name: Option<String>,

    /// Show this certificate (PEM)
    #[arg(long, value_name = "FILE", requires = "key")]
    cert: Option<PathBuf>,

    /// Its private key (PEM)
    #[arg(long, value_name = "FILE", requires = "cert")]
    key: Option<PathBuf>,
}

/// Whether connections are protected.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum How {
    /// Only if the other side can do it
    #[default]
    Opportunistic,
    /// Always
    Require,
    /// Always, and both sides show certificates
    Mutual,
}

impl From<How> for Policy {
    fn from(how: How) -> Self {
        match how {
            How::Opportunistic => Self::Opportunistic,
            How::Require => Self::Require,
            How::Mutual => Self::RequireMutual,
        }
    }
}

impl Tls {
    /// The option that asks for TLS, if there is one.
    pub(crate) fn option(&self) -> Option<&'static str> {
        let tls = self.tls.map(|_| "--tls");
        let ca = self.ca.as_ref().map(|_| "--ca");
        let name = self.server_name.as_ref().map(|_| "--server-name");
        let own = self.cert.as_ref().map(|_| "--cert");
        tls.or(ca).or(name).or(own)
    }

    /// Whether anything is said of certificates.
    fn is_named(&self) -> bool {
        self.ca.is_some() || self.server_name.is_some() || self.cert.is_some()
    }

    fn with(&self, versions: Versions) -> anyhow::Result<ClientTls> {
        let own = self.cert.clone().zip(self.key.clone());
        let settings = ClientSettings {
            trust: match &self.ca {
                Some(file) => Trust::Authorities(file.clone().into()),
                None => Trust::System,
            },
            own: own.map(|(certificate, key)| Own {
                certificate: certificate.into(),
                key: key.into(),
            }),
            server_name: self.server_name.clone(),
            versions,
            ..ClientSettings::default()
        };
        Ok(ClientTls::new(settings).map_err(farcall::Error::from)?)
    }

    /// As settings of a client that speaks HTTP; none if nothing is said.
    pub(crate) fn for_http(&self) -> anyhow::Result<Option<ClientTls>> {
        match self.is_named() {
            true => self.with(Versions::Tls12).map(Some),
            false => Ok(None),
        }
    }

    /// What clients of ONC RPC are to do; nothing if nothing is said. Whoever names certificates wants TLS.
    pub(crate) fn for_onc(&self) -> anyhow::Result<Option<farcall::tls::Tls>> {
        let policy = match (self.tls, self.is_named()) {
            (Some(how), _) => how.into(),
            (None, true) => Policy::Require,
            (None, false) => return Ok(None),
        };
        let with = self.with(Versions::Tls13)?;
        Ok(Some(farcall::tls::Tls { policy, with }))
    }
}

/// How a daemon of ONC RPC protects its connections over TCP.
#[derive(Clone, Debug, Default, clap::Args)]
#[command(next_help_heading = "TLS, for ONC RPC")]
pub(crate) struct SecureServer {
    /// Protect connections over TCP by TLS with the certificate in this PEM file; it is read again when it has changed, and on SIGHUP
    #[arg(long, value_name = "FILE", requires = "tls_key")]
    tls_cert: Option<PathBuf>,

    /// Its key, in PEM
    #[arg(long, value_name = "FILE", requires = "tls_cert")]
    tls_key: Option<PathBuf>,

    /// Clients may show certificates from the authorities in this PEM file, and must if the policy is mutual
    #[arg(long, value_name = "FILE", requires = "tls_cert")]
    tls_ca: Option<PathBuf>,

    /// Certificates of clients that were revoked, in PEM; may repeat
    #[arg(long, value_name = "FILE", requires = "tls_ca")]
    tls_crl: Vec<PathBuf>,

    /// Whom to answer: also callers in clear (opportunistic), only those under TLS, or only those who show a certificate (mutual)
    #[arg(
        long,
        value_enum,
        value_name = "POLICY",
        default_value = "opportunistic",
        requires = "tls_cert"
    )]
    tls_policy: How,
}

/// What a daemon shows of itself and believes of its clients, if its connections are protected.
#[derive(Clone, Debug, Default)]
pub(crate) struct Certificates(Option<(Policy, ServerTls)>);

impl Certificates {
    /// The same server, its connections protected so.
    pub(crate) fn apply(&self, builder: Builder) -> Builder {
        match self.0.clone() {
            Some((policy, with)) => builder.tls(policy, with),
            None => builder,
        }
    }

    /// Reads the files again. What is wrong with them is told, and what was read before stays in force.
    pub(crate) fn read_again(&self) {
        let Some((_, with)) = &self.0 else { return };
        match with.reload() {
            Ok(()) => tracing::info!("certificates were read again"),
            Err(error) => tracing::warn!(%error, "certificates are used as they were read before"),
        }
    }
}

impl SecureServer {
    /// Reads what was named.
    pub(crate) fn certificates(&self) -> anyhow::Result<Certificates> {
        let Some((certificate, key)) = self.tls_cert.clone().zip(self.tls_key.clone()) else {
            return Ok(Certificates::default());
        };
        let clients = match (&self.tls_ca, self.tls_policy) {
            (None, How::Mutual) => {
                return Err(Failure::new(
                    "--tls-policy mutual needs to know whose certificates to believe",
                )
                .hint("name the authority of the clients: --tls-ca FILE")
                .into());
            }
            (None, _) => Clients::Unasked,
            (Some(file), How::Mutual) => Clients::Required(file.clone().into()),
            (Some(file), _) => Clients::Optional(file.clone().into()),
        };
        let settings = ServerSettings {
            clients,
            revoked: self.tls_crl.iter().cloned().map(Pem::File).collect(),
            ..ServerSettings::new(certificate, key)
        };
        let with = ServerTls::new(settings).context("TLS")?;
        Ok(Certificates(Some((self.tls_policy.into(), with))))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_names_certificates_wants_tls() {
        assert!(Tls::default().for_onc().expect("nothing").is_none());
        let nowhere = Tls {
            ca: Some("/nowhere.pem".into()),
            ..Tls::default()
        };
        let error = format!("{:#}", nowhere.for_onc().expect_err("no file"));
        assert!(error.contains("TLS: /nowhere.pem: "), "{error}");
    }

    #[test]
    fn mutual_proof_needs_an_authority() {
        let args = SecureServer {
            tls_cert: Some("c.pem".into()),
            tls_key: Some("k.pem".into()),
            tls_policy: How::Mutual,
            ..SecureServer::default()
        };
        let error = args.certificates().expect_err("no authority");
        assert!(error.to_string().contains("whose certificates"), "{error}");
    }
}
