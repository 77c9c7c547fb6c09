//! TLS of a listener: certificates by name, clients' certificates, and what authentication must know of the channel.
//!
//! Read first: RFC 5929 section 4.1 (`tls-server-end-point`), RFC 6125 section 6.4.3 (wildcards). What a certificate says is read by `farcall::tls::Certificate`. A listener speaks HTTP/1.1
//! alone and gives no session tickets: some clients stop at the first, and a session that is taken up again would have no
//! client certificate of its own. What was loaded together stays together: a connection keeps the certificates that it began
//! with, so reading them anew disturbs nobody.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use farcall::tls::Certificate;
use farcall_security::ChannelBindings;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, CertificateRevocationListDer, PrivateKeyDer};
use rustls::server::{
    ClientHello, NoServerSessionStorage, ResolvesServerCert, WebPkiClientVerifier,
};
use rustls::sign::CertifiedKey;
use rustls::{RootCertStore, ServerConfig};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_rustls::{TlsAcceptor, server::TlsStream};

use crate::config::listen::{Certificates, Tls, TlsVersion};

/// Why certificates are not used.
#[derive(Debug, thiserror::Error)]
#[error("{path}: {what}")]
pub struct Error {
    path: PathBuf,
    what: String,
}

impl Error {
    fn new(path: &Path, what: impl ToString) -> Self {
        Self {
            path: path.to_owned(),
            what: what.to_string(),
        }
    }
}

/// What a listener needs to speak TLS, as it was loaded.
#[derive(Clone, Debug)]
pub struct Server {
    config: Arc<ServerConfig>,
    shown: Arc<Shown>,
}

/// What is known of a TLS connection when it stands.
#[derive(Clone, Debug)]
pub struct Channel {
    /// Its name for channel bindings; `None` where the certificate's signature has no hash of its own (RFC 5929 section 4.1).
    pub bindings: Option<ChannelBindings>,
    /// The certificate that the client showed, verified.
    pub client: Option<Arc<Certificate>>,
}

impl Server {
    /// Loads what a configuration names.
    ///
    /// # Errors
    /// [`Error`] with the file that is not what it should be.
    pub fn load(tls: &Tls) -> Result<Self, Error> {
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let shown = Arc::new(Shown::load(tls, &provider)?);
        let versions: &[_] = match tls.minimum {
            TlsVersion::V12 => &[&rustls::version::TLS13, &rustls::version::TLS12],
            TlsVersion::V13 => &[&rustls::version::TLS13],
        };
        let wrong = |error| Error::new(&tls.certificate, error);
        let builder = ServerConfig::builder_with_provider(Arc::clone(&provider));
        let builder = builder.with_protocol_versions(versions).map_err(wrong)?;
        let builder = match tls.client_certificates {
            Certificates::Off => builder.with_no_client_auth(),
            _ => builder.with_client_cert_verifier(verifier(tls, provider)?),
        };
        let resolver: Arc<dyn ResolvesServerCert> = Arc::<Shown>::clone(&shown);
        let mut config = builder.with_cert_resolver(resolver);
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        config.send_tls13_tickets = 0;
        config.session_storage = Arc::new(NoServerSessionStorage {});
        Ok(Self {
            config: Arc::new(config),
            shown,
        })
    }

    /// Makes TLS of a connection.
    ///
    /// # Errors
    /// What the socket or TLS says.
    pub async fn accept<S: AsyncRead + AsyncWrite + Unpin>(
        &self,
        stream: S,
    ) -> io::Result<(TlsStream<S>, Channel)> {
        let acceptor = TlsAcceptor::from(Arc::clone(&self.config));
        let stream = acceptor.accept(stream).await?;
        let (_, connection) = stream.get_ref();
        let certificate = self.shown.choose(connection.server_name());
        let bindings = certificate.cert.first().and_then(end_point);
        let client = connection.peer_certificates().and_then(<[_]>::first);
        let client = client
            .map(|der| Certificate::parse(der).map_err(io::Error::other))
            .transpose()?;
        let client = client.map(Arc::new);
        Ok((stream, Channel { bindings, client }))
    }
}

fn verifier(
    tls: &Tls,
    provider: Arc<rustls::crypto::CryptoProvider>,
) -> Result<Arc<dyn rustls::server::danger::ClientCertVerifier>, Error> {
    let path = tls.client_ca.as_deref();
    let path = path.ok_or_else(|| {
        Error::new(
            &tls.certificate,
            "clients' certificates are asked for, and no client-ca is named",
        )
    })?;
    let mut roots = RootCertStore::empty();
    for certificate in read_certificates(path)? {
        roots
            .add(certificate)
            .map_err(|error| Error::new(path, error))?;
    }
    let mut lists = Vec::new();
    for path in &tls.client_crl {
        lists.extend(read_lists(path)?);
    }
    let mut builder = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
    if !lists.is_empty() {
        builder = builder
            .with_crls(lists)
            .only_check_end_entity_revocation()
            .enforce_revocation_expiration();
    }
    if tls.client_certificates == Certificates::Optional {
        builder = builder.allow_unauthenticated();
    }
    builder.build().map_err(|error| Error::new(path, error))
}

fn read_certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, Error> {
    let read = CertificateDer::pem_file_iter(path).and_then(Iterator::collect::<Result<Vec<_>, _>>);
    match read {
        Ok(found) if found.is_empty() => Err(Error::new(path, "no certificate in it (PEM)")),
        Ok(found) => Ok(found),
        Err(error) => Err(Error::new(path, error)),
    }
}

fn read_lists(path: &Path) -> Result<Vec<CertificateRevocationListDer<'static>>, Error> {
    let read = CertificateRevocationListDer::pem_file_iter(path);
    match read.and_then(Iterator::collect::<Result<Vec<_>, _>>) {
        Ok(found) if found.is_empty() => Err(Error::new(
            path,
            "no list of revoked certificates in it (PEM)",
        )),
        Ok(found) => Ok(found),
        Err(error) => Err(Error::new(path, error)),
    }
}

/// The certificates of a listener: which one is shown is decided by the name that a client asks for and nothing else.
#[derive(Debug)]
struct Shown {
    default: Arc<CertifiedKey>,
    named: Vec<(Vec<String>, Arc<CertifiedKey>)>,
}

impl Shown {
    fn load(tls: &Tls, provider: &rustls::crypto::CryptoProvider) -> Result<Self, Error> {
        let one = |certificate: &Path, key: &Path| {
            let chain = read_certificates(certificate)?;
            let private =
                PrivateKeyDer::from_pem_file(key).map_err(|error| Error::new(key, error))?;
            CertifiedKey::from_der(chain, private, provider)
                .map(Arc::new)
                .map_err(|error| Error::new(certificate, error))
        };
        let mut named = Vec::new();
        for sni in &tls.sni {
            let names = sni.names.iter().map(|name| name.to_ascii_lowercase());
            named.push((names.collect(), one(&sni.certificate, &sni.key)?));
        }
        let default = one(&tls.certificate, &tls.key)?;
        Ok(Self { default, named })
    }

    fn choose(&self, asked: Option<&str>) -> &Arc<CertifiedKey> {
        let asked = asked.map(str::to_ascii_lowercase);
        let fits = |names: &Vec<String>| {
            asked
                .as_deref()
                .is_some_and(|asked| names.iter().any(|name| covers(name, asked)))
        };
        let found = self.named.iter().find(|(names, _)| fits(names));
        found.map_or(&self.default, |(_, key)| key)
    }
}

/// Whether a name covers the one that was asked for; `*` stands for one whole part at its beginning.
fn covers(name: &str, asked: &str) -> bool {
    match name.strip_prefix("*.") {
        Some(rest) => asked
            .split_once('.')
            .is_some_and(|(first, end)| !first.is_empty() && end == rest),
        None => name == asked,
    }
}

impl ResolvesServerCert for Shown {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(Arc::clone(self.choose(hello.server_name())))
    }
}

/// The channel bindings of a server's certificate.
#[must_use]
pub fn end_point(certificate: &CertificateDer<'_>) -> Option<ChannelBindings> {
    let read = Certificate::parse(certificate).ok()?;
    read.end_point
        .map(|hash| ChannelBindings::tls_server_end_point(&hash))
}

/// The bindings of the certificate in a file: that of a proxy in front, which does TLS for this one.
///
/// # Errors
/// [`Error`] if it has none.
pub fn bindings_of(path: &Path) -> Result<ChannelBindings, Error> {
    let certificates = read_certificates(path)?;
    let bindings = certificates.first().and_then(end_point);
    bindings.ok_or_else(|| Error::new(path, "its signature has no hash for channel bindings"))
}

#[cfg(test)]
mod tests;
