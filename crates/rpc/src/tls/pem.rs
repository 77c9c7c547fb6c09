//! Where certificates, keys and lists of revoked certificates are read from (RFC 7468).

use std::fmt;
use std::path::{Path, PathBuf};

use rustls::RootCertStore;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, CertificateRevocationListDer, PrivateKeyDer};

use super::fault::TlsError;
use crate::error::TlsFault;

/// Longest file that is read, in bytes.
const LONGEST: u64 = 16 << 20;

/// Where the system's authorities are on the common distributions.
const BUNDLES: [&str; 5] = [
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
];

/// Something in PEM form. What is in memory shows in no log.
#[derive(Clone)]
pub enum Pem {
    /// In a file, which is read again when it has changed.
    File(PathBuf),
    /// In memory.
    Text(Vec<u8>),
}

impl From<&Path> for Pem {
    fn from(path: &Path) -> Self {
        Self::File(path.to_owned())
    }
}

impl From<PathBuf> for Pem {
    fn from(path: PathBuf) -> Self {
        Self::File(path)
    }
}

impl fmt::Debug for Pem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Display for Pem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => write!(f, "{}", path.display()),
            Self::Text(_) => f.write_str("PEM in memory"),
        }
    }
}

impl Pem {
    /// It is not what it should be, for this reason.
    pub(super) fn wrong(&self, why: impl fmt::Display) -> TlsError {
        TlsError::new(TlsFault::Settings, format!("{self}: {why}"))
    }

    fn bytes(&self) -> Result<Vec<u8>, TlsError> {
        let path = match self {
            Self::Text(bytes) => return Ok(bytes.clone()),
            Self::File(path) => path,
        };
        let len = std::fs::metadata(path).map_err(|error| self.wrong(error))?;
        if len.len() > LONGEST {
            return Err(self.wrong(format!("it has more than {LONGEST} bytes")));
        }
        std::fs::read(path).map_err(|error| self.wrong(error))
    }

    fn all<T: PemObject>(&self, what: &str) -> Result<Vec<T>, TlsError> {
        let bytes = self.bytes()?;
        let read: Result<Vec<T>, _> = T::pem_slice_iter(&bytes).collect();
        match read {
            Ok(found) if found.is_empty() => Err(self.wrong(format!("no {what} in it (PEM)"))),
            Ok(found) => Ok(found),
            Err(error) => Err(self.wrong(error)),
        }
    }

    pub(super) fn certificates(&self) -> Result<Vec<CertificateDer<'static>>, TlsError> {
        self.all("certificate")
    }

    pub(super) fn private_key(&self) -> Result<PrivateKeyDer<'static>, TlsError> {
        let mut found = self.all::<PrivateKeyDer<'static>>("private key")?;
        Ok(found.swap_remove(0))
    }

    pub(super) fn roots(&self) -> Result<RootCertStore, TlsError> {
        let mut roots = RootCertStore::empty();
        for certificate in self.certificates()? {
            let added = roots.add(certificate);
            added.map_err(|error| self.wrong(error))?;
        }
        Ok(roots)
    }
}

pub(super) fn lists(
    revoked: &[Pem],
) -> Result<Vec<CertificateRevocationListDer<'static>>, TlsError> {
    let read = revoked
        .iter()
        .map(|pem| pem.all("list of revoked certificates"));
    let read: Result<Vec<Vec<_>>, _> = read.collect();
    Ok(read?.into_iter().flatten().collect())
}

/// What the system trusts. An authority that cannot be understood is passed over: it is one of many.
pub(super) fn system_roots() -> Result<RootCertStore, TlsError> {
    let named = std::env::var_os("SSL_CERT_FILE").map(PathBuf::from);
    let known = BUNDLES.iter().map(PathBuf::from);
    let found = named.into_iter().chain(known).find(|path| path.is_file());
    let Some(path) = found else {
        return Err(TlsError::new(
            TlsFault::Settings,
            "this system has no file of trusted authorities",
        )
        .hint("name one: --ca FILE"));
    };
    let pem = Pem::File(path);
    let mut roots = RootCertStore::empty();
    let (added, _) = roots.add_parsable_certificates(pem.certificates()?);
    match added {
        0 => Err(pem.wrong("no authority in it that can be understood")),
        _ => Ok(roots),
    }
}
