//! TLS of both roles, for whatever is spoken over it: certificates, whom they are from, and what the other side is told.
//!
//! Read first: RFC 8446 (TLS 1.3), RFC 6125 (whose certificate it is), RFC 5929 section 4.1 (`tls-server-end-point`).
//! [`ClientTls`] and [`ServerTls`] are made from PEM, in files or in memory. What was read from files can be read anew while
//! connections go on ([`reload`](ServerTls::reload)); by itself that happens within 10 s of a change. Sessions are not
//! taken up again and nothing is sent before the handshake is over: each connection proves anew who is at its ends.
//!
//! What this file does not do: it knows no RPC. How calls of ONC RPC come to be protected stands in the drivers
//! (RFC 9289); DTLS is not spoken.

mod fault;
mod pem;
pub mod certificate;
mod policy;
mod stream;
mod blocking;

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use rustls::client::{ResolvesClientCert, Resumption, WebPkiServerVerifier};
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::pki_types::ServerName;
use rustls::server::{NoServerSessionStorage, WebPkiClientVerifier};
use rustls::sign::CertifiedKey;
use rustls::{
    ClientConfig, RootCertStore, ServerConfig, SignatureScheme, SupportedProtocolVersion,
};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_rustls::{TlsAcceptor, TlsConnector};

pub use crate::error::TlsFault;
pub(crate) use blocking::BlockingStream;
pub use certificate::Certificate;
pub use fault::TlsError;
use fault::explain;
pub(crate) use fault::explain_lost;
pub use pem::Pem;
pub(crate) use policy::Secure;
pub use policy::{Certified, Policy, Tls};
pub use stream::TlsStream;

/// How often files are looked at for changes, at most.
const LOOK: Duration = Duration::from_secs(10);

/// Whose word is believed about certificates.
#[derive(Clone, Debug, Default)]
pub enum Trust {
    /// The authorities that the system trusts: the file named by `SSL_CERT_FILE`, or where distributions keep it.
    #[default]
    System,
    /// The authorities in this PEM, and no others.
    Authorities(Pem),
}

/// A certificate with its chain, and its key.
#[derive(Clone, Debug)]
pub struct Own {
    /// The certificate first, then those that lead to an authority.
    pub certificate: Pem,
    /// Its private key.
    pub key: Pem,
}

/// Which versions of TLS are spoken.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Versions {
    /// TLS 1.3, the only one RPC-with-TLS allows (RFC 9289 section 5).
    #[default]
    Tls13,
    /// TLS 1.2 as well.
    Tls12,
}

impl Versions {
    fn list(self) -> &'static [&'static SupportedProtocolVersion] {
        const NEW: &[&SupportedProtocolVersion] = &[&rustls::version::TLS13];
        const BOTH: &[&SupportedProtocolVersion] =
            &[&rustls::version::TLS13, &rustls::version::TLS12];
        match self {
            Self::Tls13 => NEW,
            Self::Tls12 => BOTH,
        }
    }
}

/// What a client shows and believes.
#[derive(Clone, Debug, Default)]
pub struct ClientSettings {
    /// Whom to believe about the server's certificate. Default: the system's authorities.
    pub trust: Trust,
    /// What is shown to a server that asks for a certificate. Default none.
    pub own: Option<Own>,
    /// The name that the server's certificate must have, a DNS name or an address. Default: the host that is called.
    pub server_name: Option<String>,
    /// The subject (RFC 4514) that the server's certificate must have beside its name. Default: any.
    pub subject: Option<String>,
    /// Lists of revoked certificates; they must not have expired. Default none.
    pub revoked: Vec<Pem>,
    /// Default TLS 1.3 alone.
    pub versions: Versions,
}

/// Whether a server asks its clients for certificates.
#[derive(Clone, Debug, Default)]
pub enum Clients {
    /// It does not.
    #[default]
    Unasked,
    /// It does, and one that is shown must be from these authorities; a client may have none.
    Optional(Pem),
    /// Every client must show one that is from these authorities.
    Required(Pem),
}

/// What a server shows and asks for.
#[derive(Clone, Debug)]
pub struct ServerSettings {
    /// What is shown to clients.
    pub own: Own,
    /// What is asked of them.
    pub clients: Clients,
    /// Lists of revoked certificates of clients; they must not have expired.
    pub revoked: Vec<Pem>,
    /// Which versions are spoken.
    pub versions: Versions,
}

impl ServerSettings {
    /// A server that shows this and asks for nothing, over TLS 1.3.
    pub fn new(certificate: impl Into<Pem>, key: impl Into<Pem>) -> Self {
        Self {
            own: Own {
                certificate: certificate.into(),
                key: key.into(),
            },
            clients: Clients::Unasked,
            revoked: Vec::new(),
            versions: Versions::default(),
        }
    }
}

/// A client's side of TLS, cheap to clone; all clones are reloaded together.
#[derive(Clone)]
pub struct ClientTls(Arc<Kept<ClientSettings, ClientConfig>>);

/// A server's side of TLS, cheap to clone; all clones are reloaded together.
#[derive(Clone)]
pub struct ServerTls(Arc<Kept<ServerSettings, ServerLoaded>>);

/// What a server has read.
struct ServerLoaded {
    config: ServerConfig,
    end_point: Option<Vec<u8>>,
}

impl ClientTls {
    /// Reads what the settings name.
    ///
    /// # Errors
    /// A file that is not what it should be, or a key that is not the certificate's.
    pub fn new(settings: ClientSettings) -> Result<Self, TlsError> {
        Kept::new(settings, load_client, client_files).map(Self)
    }

    /// Reads it again; connections that stand stay as they are.
    ///
    /// # Errors
    /// As [`new`](Self::new); what was read before stays in force then.
    pub fn reload(&self) -> Result<(), TlsError> {
        self.0.reload()
    }

    /// Whether there is a certificate to show.
    pub fn has_certificate(&self) -> bool {
        self.0.settings.own.is_some()
    }

    /// Makes TLS of a connection to `host`, which must show a certificate for that name unless the settings say
    /// otherwise. One of the protocols `alpn` is agreed on if the server takes part in that at all. Nothing here
    /// limits how long it takes.
    ///
    /// # Errors
    /// The server is not who it should be, wants what we have not, or does not speak TLS.
    pub async fn connect<S: AsyncRead + AsyncWrite + Unpin>(
        &self,
        stream: S,
        host: &str,
        alpn: &[&[u8]],
    ) -> Result<TlsStream<S>, TlsError> {
        self.0.look();
        let (name, config, asked) = self.begin(host, alpn)?;
        let connecting = TlsConnector::from(config).connect(name, stream);
        let stream = connecting.await.map_err(|error| explain(&error))?;
        let peer = self.check(stream.get_ref().1)?;
        let end_point = peer.end_point.clone();
        let shown = asked.load(Ordering::Relaxed);
        Ok(TlsStream::new(stream.into(), Some(peer), end_point, shown))
    }

    /// What one handshake goes by: whose certificate it must be, and a note whether ours was asked for.
    fn begin(&self, host: &str, alpn: &[&[u8]]) -> Result<Begun, TlsError> {
        let name = self.0.settings.server_name.as_deref().unwrap_or(host);
        let mut config = ClientConfig::clone(&self.0.current());
        config.alpn_protocols = alpn.iter().map(|name| name.to_vec()).collect();
        let asked = Arc::new(AtomicBool::new(false));
        config.client_auth_cert_resolver = Arc::new(Noting {
            inner: config.client_auth_cert_resolver,
            asked: Arc::clone(&asked),
        });
        Ok((server_name(name)?, Arc::new(config), asked))
    }

    /// The server's certificate, of which more may be demanded than its name.
    fn check(&self, connection: &rustls::CommonState) -> Result<Certificate, TlsError> {
        let shown = connection.peer_certificates().unwrap_or_default();
        let peer = Certificate::parse(shown.first().map_or(&[][..], |der| der.as_ref()))?;
        match &self.0.settings.subject {
            Some(wanted) if *wanted != peer.subject => Err(TlsError::new(
                TlsFault::WrongName,
                format!(
                    "the server's certificate is of {}, and not of {wanted}",
                    peer.subject
                ),
            )),
            _ => Ok(peer),
        }
    }
}

impl ServerTls {
    /// Reads what the settings name.
    ///
    /// # Errors
    /// A file that is not what it should be, or a key that is not the certificate's.
    pub fn new(settings: ServerSettings) -> Result<Self, TlsError> {
        Kept::new(settings, load_server, server_files).map(Self)
    }

    /// Reads it again; connections that stand stay as they are.
    ///
    /// # Errors
    /// As [`new`](Self::new); what was read before stays in force then.
    pub fn reload(&self) -> Result<(), TlsError> {
        self.0.reload()
    }

    /// Whether every client must show a certificate.
    pub fn requires_certificates(&self) -> bool {
        matches!(self.0.settings.clients, Clients::Required(_))
    }

    /// Makes TLS of a connection that was accepted. A client that offers protocols, and none of `alpn`, is refused;
    /// one that offers none is not. Nothing here limits how long it takes.
    ///
    /// # Errors
    /// The client is not who it should be, or does not speak TLS.
    pub async fn accept<S: AsyncRead + AsyncWrite + Unpin>(
        &self,
        stream: S,
        alpn: &[&[u8]],
    ) -> Result<TlsStream<S>, TlsError> {
        self.0.look();
        let loaded = self.0.current();
        let mut config = loaded.config.clone();
        config.alpn_protocols = alpn.iter().map(|name| name.to_vec()).collect();
        let accepting = TlsAcceptor::from(Arc::new(config)).accept(stream);
        let stream = accepting.await.map_err(|error| explain(&error))?;
        let shown = stream.get_ref().1.peer_certificates().unwrap_or_default();
        let peer = shown.first().map(|der| Certificate::parse(der));
        let (peer, end_point) = (peer.transpose()?, loaded.end_point.clone());
        Ok(TlsStream::new(stream.into(), peer, end_point, true))
    }
}

/// What one handshake of a client goes by.
type Begun = (ServerName<'static>, Arc<ClientConfig>, Arc<AtomicBool>);

/// Shows a client's certificate, and notes that it was asked for.
#[derive(Debug)]
struct Noting {
    inner: Arc<dyn ResolvesClientCert>,
    asked: Arc<AtomicBool>,
}

impl ResolvesClientCert for Noting {
    fn resolve(&self, issuers: &[&[u8]], schemes: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        let shown = self.inner.resolve(issuers, schemes);
        self.asked.store(shown.is_some(), Ordering::Relaxed);
        shown
    }

    fn has_certs(&self) -> bool {
        self.inner.has_certs()
    }
}

impl fmt::Debug for ClientTls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("ClientTls").field(&self.0.settings).finish()
    }
}

impl fmt::Debug for ServerTls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("ServerTls").field(&self.0.settings).finish()
    }
}

/// Settings with what was read last.
struct Kept<S, L> {
    settings: S,
    load: fn(&S) -> Result<L, TlsError>,
    files: fn(&S) -> Vec<&Pem>,
    read: Mutex<Read<L>>,
}

struct Read<L> {
    loaded: Arc<L>,
    /// When its files were changed last, and when they were looked at.
    marks: Vec<Option<Mark>>,
    looked: Instant,
}

/// By what a file that was changed is known: when, and how long it is.
type Mark = (SystemTime, u64);

impl<S: Send + Sync + 'static, L: Send + Sync + 'static> Kept<S, L> {
    fn new(
        settings: S,
        load: fn(&S) -> Result<L, TlsError>,
        files: fn(&S) -> Vec<&Pem>,
    ) -> Result<Arc<Self>, TlsError> {
        let marks = files(&settings).into_iter().map(mark).collect();
        let read = Read {
            loaded: Arc::new(load(&settings)?),
            marks,
            looked: Instant::now(),
        };
        let read = Mutex::new(read);
        Ok(Arc::new(Self {
            settings,
            load,
            files,
            read,
        }))
    }

    fn current(&self) -> Arc<L> {
        Arc::clone(&self.lock().loaded)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Read<L>> {
        self.read.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn marks(&self) -> Vec<Option<Mark>> {
        (self.files)(&self.settings).into_iter().map(mark).collect()
    }

    fn reload(&self) -> Result<(), TlsError> {
        // Marks are taken first: what is changed meanwhile is read again.
        let marks = self.marks();
        let loaded = Arc::new((self.load)(&self.settings)?);
        let mut read = self.lock();
        (read.loaded, read.marks) = (loaded, marks);
        Ok(())
    }

    /// Reads it again if a file has changed, aside: the next connection has the good of it.
    fn look(self: &Arc<Self>) {
        if !self.is_due() {
            return;
        }
        let this = Arc::clone(self);
        tokio::task::spawn_blocking(move || {
            if let Err(error) = this.refresh() {
                tracing::warn!(%error, "certificates have changed and are not used");
            }
        });
    }

    /// Whether it is time to look at the files.
    fn is_due(&self) -> bool {
        let mut read = self.lock();
        let due = read.looked.elapsed() >= LOOK;
        if due {
            read.looked = Instant::now();
        }
        due
    }

    fn refresh_if_due(&self) -> Result<(), TlsError> {
        match self.is_due() {
            true => self.refresh(),
            false => Ok(()),
        }
    }

    fn refresh(&self) -> Result<(), TlsError> {
        let marks = self.marks();
        if marks == self.lock().marks {
            return Ok(());
        }
        let read = self.reload();
        match &read {
            Ok(()) => tracing::info!("certificates were read anew"),
            // Until they are changed again.
            Err(_) => self.lock().marks = marks,
        }
        read
    }
}

fn mark(pem: &Pem) -> Option<Mark> {
    let Pem::File(path) = pem else { return None };
    let found = std::fs::metadata(path).ok()?;
    Some((found.modified().ok()?, found.len()))
}

fn client_files(settings: &ClientSettings) -> Vec<&Pem> {
    let trust = match &settings.trust {
        Trust::System => None,
        Trust::Authorities(pem) => Some(pem),
    };
    let own = settings
        .own
        .iter()
        .flat_map(|it| [&it.certificate, &it.key]);
    own.chain(trust).chain(&settings.revoked).collect()
}

fn server_files(settings: &ServerSettings) -> Vec<&Pem> {
    let trust = match &settings.clients {
        Clients::Unasked => None,
        Clients::Optional(pem) | Clients::Required(pem) => Some(pem),
    };
    let own = [&settings.own.certificate, &settings.own.key];
    own.into_iter()
        .chain(trust)
        .chain(&settings.revoked)
        .collect()
}

fn provider() -> Arc<CryptoProvider> {
    static PROVIDER: std::sync::LazyLock<Arc<CryptoProvider>> =
        std::sync::LazyLock::new(|| Arc::new(aws_lc_rs::default_provider()));
    Arc::clone(&PROVIDER)
}

fn wrong(error: impl fmt::Display) -> TlsError {
    TlsError::new(TlsFault::Settings, error.to_string())
}

fn load_client(settings: &ClientSettings) -> Result<ClientConfig, TlsError> {
    let roots = match &settings.trust {
        Trust::System => pem::system_roots()?,
        Trust::Authorities(pem) => pem.roots()?,
    };
    let verifier = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider());
    let verifier = match settings.revoked.is_empty() {
        true => verifier,
        false => verifier
            .with_crls(pem::lists(&settings.revoked)?)
            .only_check_end_entity_revocation()
            .enforce_revocation_expiration(),
    };
    let verifier = verifier.build().map_err(wrong)?;
    let builder = ClientConfig::builder_with_provider(provider());
    let builder = builder.with_protocol_versions(settings.versions.list());
    let builder = builder.map_err(wrong)?.with_webpki_verifier(verifier);
    let mut config = match &settings.own {
        None => builder.with_no_client_auth(),
        Some(own) => {
            let (chain, key) = (own.certificate.certificates()?, own.key.private_key()?);
            let made = builder.with_client_auth_cert(chain, key);
            made.map_err(|error| own.key.wrong(error))?
        }
    };
    config.resumption = Resumption::disabled();
    Ok(config)
}

fn load_server(settings: &ServerSettings) -> Result<ServerLoaded, TlsError> {
    let own = &settings.own;
    let (chain, key) = (own.certificate.certificates()?, own.key.private_key()?);
    let first = chain.first().map(|der| Certificate::parse(der));
    let end_point = first.transpose()?.and_then(|it| it.end_point);
    let certified = CertifiedKey::from_der(chain, key, &provider());
    let certified = certified.map_err(|error| own.key.wrong(error))?;
    let builder = ServerConfig::builder_with_provider(provider());
    let builder = builder.with_protocol_versions(settings.versions.list());
    let builder = builder.map_err(wrong)?;
    let builder = match &settings.clients {
        Clients::Unasked => builder.with_no_client_auth(),
        Clients::Optional(pem) => {
            builder.with_client_cert_verifier(verifier(pem.roots()?, &settings.revoked, false)?)
        }
        Clients::Required(pem) => {
            builder.with_client_cert_verifier(verifier(pem.roots()?, &settings.revoked, true)?)
        }
    };
    let shown = rustls::sign::SingleCertAndKey::from(certified);
    let mut config = builder.with_cert_resolver(Arc::new(shown));
    config.send_tls13_tickets = 0;
    config.session_storage = Arc::new(NoServerSessionStorage {});
    Ok(ServerLoaded { config, end_point })
}

fn verifier(
    roots: RootCertStore,
    revoked: &[Pem],
    required: bool,
) -> Result<Arc<dyn rustls::server::danger::ClientCertVerifier>, TlsError> {
    let mut builder = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider());
    if !revoked.is_empty() {
        builder = builder
            .with_crls(pem::lists(revoked)?)
            .only_check_end_entity_revocation()
            .enforce_revocation_expiration();
    }
    if !required {
        builder = builder.allow_unauthenticated();
    }
    builder.build().map_err(wrong)
}

/// A name as certificates have it: a DNS name, or an address without its zone.
fn server_name(name: &str) -> Result<ServerName<'static>, TlsError> {
    let bare = name.split_once('%').map_or(name, |(bare, _)| bare);
    ServerName::try_from(bare.to_owned()).map_err(|_| {
        TlsError::new(
            TlsFault::Settings,
            format!("'{name}' is no name that a certificate could have"),
        )
    })
}

#[cfg(test)]
mod tests;
