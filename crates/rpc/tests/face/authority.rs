//! Certificates made on the spot.

use farcall::tls::{
    ClientSettings, ClientTls, Clients, Own, Pem, ServerSettings, ServerTls, Trust,
};
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, date_time_ymd};

/// An authority, and whom it vouches for.
pub(crate) struct Authority {
    pem: String,
    issuer: Issuer<'static, KeyPair>,
}

impl Authority {
    pub(crate) fn new() -> Self {
        let mut params = CertificateParams::default();
        params
            .distinguished_name
            .push(DnType::CommonName, "authority");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().expect("a key");
        let pem = params.self_signed(&key).expect("signed").pem();
        let issuer = Issuer::new(params, key);
        Self { pem, issuer }
    }

    pub(crate) fn trust(&self) -> Pem {
        Pem::Text(self.pem.clone().into_bytes())
    }

    /// A certificate for this name.
    pub(crate) fn issue(&self, name: &str) -> Own {
        self.issue_until(name, 2090)
    }

    /// A certificate for this name that is good until this year.
    pub(crate) fn issue_until(&self, name: &str, year: i32) -> Own {
        let mut params = CertificateParams::new(vec![name.to_owned()]).expect("a name");
        params.distinguished_name.push(DnType::CommonName, name);
        params.not_before = date_time_ymd(2000, 1, 1);
        params.not_after = date_time_ymd(year, 1, 1);
        let key = KeyPair::generate().expect("a key");
        let certificate = params.signed_by(&key, &self.issuer).expect("signed");
        Own {
            certificate: Pem::Text(certificate.pem().into_bytes()),
            key: Pem::Text(key.serialize_pem().into_bytes()),
        }
    }

    /// A server on this machine.
    pub(crate) fn server(&self, clients: Clients) -> ServerTls {
        let own = self.issue("127.0.0.1");
        ServerTls::new(ServerSettings {
            clients,
            ..ServerSettings::new(own.certificate, own.key)
        })
        .expect("a server")
    }

    /// A client that believes this authority, and shows this.
    pub(crate) fn client(&self, own: Option<Own>) -> ClientTls {
        ClientTls::new(ClientSettings {
            trust: Trust::Authorities(self.trust()),
            own,
            ..ClientSettings::default()
        })
        .expect("a client")
    }
}
