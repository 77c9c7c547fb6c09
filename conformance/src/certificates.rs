//! Certificates for tests, made on the spot by an authority of their own, in files that any peer can read.

use std::io;
use std::path::{Path, PathBuf};

use farcall::tls::{
    ClientSettings, ClientTls, Clients, Own, Pem, ServerSettings, ServerTls, Trust,
};
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, KeyUsagePurpose};

/// An authority whose certificate lies in `ca.pem` of a folder.
#[derive(Debug)]
pub struct Authority {
    folder: PathBuf,
    issuer: Issuer<'static, KeyPair>,
}

/// A certificate and its key, in files.
#[derive(Clone, Debug)]
pub struct Issued {
    /// The certificate.
    pub certificate: PathBuf,
    /// Its key.
    pub key: PathBuf,
}

impl Issued {
    /// As our own side shows it.
    pub fn own(&self) -> Own {
        Own {
            certificate: Pem::File(self.certificate.clone()),
            key: Pem::File(self.key.clone()),
        }
    }
}

impl Authority {
    /// A new one.
    ///
    /// # Errors
    /// The folder cannot be written to.
    pub fn new(folder: &Path) -> io::Result<Self> {
        let mut params = CertificateParams::default();
        params
            .distinguished_name
            .push(DnType::CommonName, "authority of the tests");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let key = KeyPair::generate().map_err(io::Error::other)?;
        let certificate = params.self_signed(&key).map_err(io::Error::other)?;
        std::fs::write(folder.join("ca.pem"), certificate.pem())?;
        Ok(Self {
            folder: folder.to_owned(),
            issuer: Issuer::new(params, key),
        })
    }

    /// The file that peers are to believe.
    pub fn file(&self) -> PathBuf {
        self.folder.join("ca.pem")
    }

    /// A certificate whose subject is `name`, for these names and addresses, in `NAME.pem` and `NAME.key`.
    ///
    /// # Errors
    /// The folder cannot be written to.
    pub fn issue(&self, name: &str, names: &[&str]) -> io::Result<Issued> {
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let mut params = CertificateParams::new(names).map_err(io::Error::other)?;
        params.distinguished_name.push(DnType::CommonName, name);
        params.use_authority_key_identifier_extension = true;
        let key = KeyPair::generate().map_err(io::Error::other)?;
        let signed = params.signed_by(&key, &self.issuer);
        let issued = Issued {
            certificate: self.folder.join(format!("{name}.pem")),
            key: self.folder.join(format!("{name}.key")),
        };
        std::fs::write(&issued.certificate, signed.map_err(io::Error::other)?.pem())?;
        std::fs::write(&issued.key, key.serialize_pem())?;
        Ok(issued)
    }

    /// A server of ours on this machine.
    ///
    /// # Errors
    /// The folder cannot be written to.
    pub fn server(&self, mutual: bool) -> io::Result<ServerTls> {
        let own = self.issue("server", &["localhost", "127.0.0.1", "::1"])?;
        let settings = ServerSettings {
            clients: match mutual {
                true => Clients::Required(self.file().into()),
                false => Clients::Unasked,
            },
            ..ServerSettings::new(own.certificate, own.key)
        };
        ServerTls::new(settings).map_err(io::Error::other)
    }

    /// A client of ours that believes this authority.
    ///
    /// # Errors
    /// The folder cannot be read.
    pub fn client(&self, own: Option<&Issued>) -> io::Result<ClientTls> {
        let settings = ClientSettings {
            trust: Trust::Authorities(self.file().into()),
            own: own.map(Issued::own),
            ..ClientSettings::default()
        };
        ClientTls::new(settings).map_err(io::Error::other)
    }
}
