//! Certificates for what is measured under TLS: one that signs itself, made before the run, read by both ends.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use farcall::tls::{ClientSettings, ClientTls, Pem, ServerSettings, ServerTls, Tls, Trust};

fn file(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("target/tls")
        .join(name)
}

/// Makes the certificate.
pub(crate) fn build() -> Result<()> {
    std::fs::create_dir_all(file(""))?;
    let made = rcgen::generate_simple_self_signed(vec!["127.0.0.1".to_owned()])?;
    std::fs::write(file("certificate.pem"), made.cert.pem())?;
    std::fs::write(file("key.pem"), made.signing_key.serialize_pem())?;
    Ok(())
}

/// The server's side.
pub(crate) fn server() -> Result<ServerTls> {
    let settings = ServerSettings::new(file("certificate.pem"), file("key.pem"));
    ServerTls::new(settings).context("TLS")
}

/// The client's side, which speaks in no other way.
pub(crate) fn client() -> Result<Tls> {
    let settings = ClientSettings {
        trust: Trust::Authorities(Pem::File(file("certificate.pem"))),
        ..ClientSettings::default()
    };
    Ok(Tls::require(ClientTls::new(settings).context("TLS")?))
}
