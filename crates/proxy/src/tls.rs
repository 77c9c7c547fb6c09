//! TLS of a listener: certificates by name, clients' certificates, and what authentication must know of the channel.
//!
//! Read first: RFC 5929 section 4.1 (`tls-server-end-point`), RFC 6125 section 6.4.3 (wildcards), RFC 4514 (names as text). A listener speaks HTTP/1.1
//! alone and gives no session tickets: some clients stop at the first, and a session that is taken up again would have no
//! client certificate of its own. What was loaded together stays together: a connection keeps the certificates that it began
//! with, so reading them anew disturbs nobody.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use farcall_security::ChannelBindings;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, CertificateRevocationListDer, PrivateKeyDer};
use rustls::server::{
    ClientHello, NoServerSessionStorage, ResolvesServerCert, WebPkiClientVerifier,
};
use rustls::sign::CertifiedKey;
use rustls::{RootCertStore, ServerConfig};
use sha2::{Digest, Sha256, Sha384, Sha512};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_rustls::{TlsAcceptor, server::TlsStream};
use x509_parser::prelude::{FromDer, GeneralName, X509Certificate, X509Name};

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
    pub client: Option<Arc<ClientCertificate>>,
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
            .map(|der| ClientCertificate::parse(der))
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

/// The channel bindings of a server's certificate: its hash under the hash of its signature, SHA-256 in place of older ones.
#[must_use]
pub fn end_point(certificate: &CertificateDer<'_>) -> Option<ChannelBindings> {
    let (_, parsed) = X509Certificate::from_der(certificate).ok()?;
    let algorithm = parsed.signature_algorithm.algorithm.to_id_string();
    let hash = match algorithm.as_str() {
        // MD5, SHA-1, SHA-224 and SHA-256 with RSA; SHA-1 and SHA-256 with ECDSA.
        "1.2.840.113549.1.1.4"
        | "1.2.840.113549.1.1.5"
        | "1.2.840.113549.1.1.14"
        | "1.2.840.113549.1.1.11"
        | "1.2.840.10045.4.1"
        | "1.2.840.10045.4.3.2" => Sha256::digest(certificate).to_vec(),
        "1.2.840.113549.1.1.12" | "1.2.840.10045.4.3.3" => Sha384::digest(certificate).to_vec(),
        "1.2.840.113549.1.1.13" | "1.2.840.10045.4.3.4" => Sha512::digest(certificate).to_vec(),
        // RSASSA-PSS says its hash in its parameters; SHA-256 unless they name a longer one.
        "1.2.840.113549.1.1.10" => pss_hash(&parsed, certificate),
        _ => return None,
    };
    Some(ChannelBindings::tls_server_end_point(&hash))
}

fn pss_hash(parsed: &X509Certificate<'_>, certificate: &[u8]) -> Vec<u8> {
    // The identifiers of SHA-384 and SHA-512 (RFC 4055 section 2.1), as they stand in the parameters.
    const SHA384: &[u8] = &[0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x02];
    const SHA512: &[u8] = &[0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x03];
    let parameters = parsed.signature_algorithm.parameters.as_ref();
    let bytes = parameters.map_or(&[][..], |any| any.data);
    let names = |oid: &[u8]| bytes.windows(oid.len()).any(|window| window == oid);
    match (names(SHA384), names(SHA512)) {
        (true, _) => Sha384::digest(certificate).to_vec(),
        (_, true) => Sha512::digest(certificate).to_vec(),
        _ => Sha256::digest(certificate).to_vec(),
    }
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

/// What identities are made of in a client's certificate. Only verified certificates come here.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ClientCertificate {
    /// The subject (RFC 4514).
    pub subject: String,
    /// The issuer (RFC 4514).
    pub issuer: String,
    /// The subject's last common name.
    pub common_name: String,
    /// The subject's organisational units.
    pub units: Vec<String>,
    /// The first DNS name.
    pub dns: String,
    /// The first mail address.
    pub mail: String,
    /// The user principal name.
    pub upn: String,
}

impl ClientCertificate {
    /// Reads a certificate.
    ///
    /// # Errors
    /// `InvalidData` for what is none.
    pub fn parse(der: &[u8]) -> io::Result<Self> {
        let wrong = |_| {
            io::Error::new(
                io::ErrorKind::InvalidData,
                "the client's certificate cannot be read",
            )
        };
        let (_, parsed) = X509Certificate::from_der(der).map_err(wrong)?;
        let text = |name: &x509_parser::x509::AttributeTypeAndValue<'_>| {
            name.as_str().unwrap_or_default().to_owned()
        };
        let subject = parsed.subject();
        let mut read = Self {
            subject: rfc4514(subject),
            issuer: rfc4514(parsed.issuer()),
            common_name: subject
                .iter_common_name()
                .last()
                .map(text)
                .unwrap_or_default(),
            units: subject.iter_organizational_unit().map(text).collect(),
            ..Self::default()
        };
        if let Ok(Some(names)) = parsed.subject_alternative_name() {
            for name in &names.value.general_names {
                read.other_name(name);
            }
        }
        Ok(read)
    }

    fn other_name(&mut self, name: &GeneralName<'_>) {
        let first = |slot: &mut String, text: &str| {
            if slot.is_empty() {
                text.clone_into(slot);
            }
        };
        match name {
            GeneralName::DNSName(text) => first(&mut self.dns, text),
            GeneralName::RFC822Name(text) => first(&mut self.mail, text),
            GeneralName::OtherName(oid, value)
                if oid.to_id_string() == "1.3.6.1.4.1.311.20.2.3" =>
            {
                first(&mut self.upn, explicit_utf8(value).unwrap_or_default());
            }
            _ => {}
        }
    }
}

/// The text in `[0] EXPLICIT UTF8String`, of lengths below 128.
fn explicit_utf8(value: &[u8]) -> Option<&str> {
    match value {
        [0xa0, outer, 0x0c, inner, text @ ..]
            if *outer < 128
                && usize::from(*outer) == text.len() + 2
                && usize::from(*inner) == text.len() =>
        {
            std::str::from_utf8(text).ok()
        }
        _ => None,
    }
}

/// A name as RFC 4514 section 2 writes it: the last part first.
fn rfc4514(name: &X509Name<'_>) -> String {
    let mut parts: Vec<String> = name
        .iter_rdn()
        .map(|rdn| {
            let pairs: Vec<String> = rdn
                .iter()
                .map(|pair| {
                    let key = key_of(&pair.attr_type().to_id_string());
                    format!("{key}={}", escaped(pair.as_str().unwrap_or_default()))
                })
                .collect();
            pairs.join("+")
        })
        .collect();
    parts.reverse();
    parts.join(",")
}

/// The short names of RFC 4514 section 3; anything else by its numbers.
fn key_of(oid: &str) -> String {
    let short = match oid {
        "2.5.4.3" => "CN",
        "2.5.4.6" => "C",
        "2.5.4.7" => "L",
        "2.5.4.8" => "ST",
        "2.5.4.9" => "STREET",
        "2.5.4.10" => "O",
        "2.5.4.11" => "OU",
        "0.9.2342.19200300.100.1.1" => "UID",
        "0.9.2342.19200300.100.1.25" => "DC",
        other => other,
    };
    short.to_owned()
}

fn escaped(text: &str) -> String {
    let last = text.chars().count().saturating_sub(1);
    let mut out = String::with_capacity(text.len());
    for (at, letter) in text.chars().enumerate() {
        let edge = (letter == ' ' && (at == 0 || at == last)) || (letter == '#' && at == 0);
        if letter.is_control() {
            out.extend(
                letter
                    .to_string()
                    .bytes()
                    .map(|byte| format!("\\{byte:02x}")),
            );
            continue;
        }
        if edge || "\"+,;<>\\".contains(letter) {
            out.push('\\');
        }
        out.push(letter);
    }
    out
}

#[cfg(test)]
mod tests;
