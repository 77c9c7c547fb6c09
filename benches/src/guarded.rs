//! What proves and protects calls under `RPCSEC_GSS`: Kerberos of the system, with the tickets and keys that the environment names.

use anyhow::Result;
use farcall::server::Builder;

/// How calls are protected; the word stands in the names of the roles.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Service {
    Integrity,
    Privacy,
}

/// A server that lets callers prove who they are.
#[cfg(feature = "kerberos")]
pub(crate) fn accepting(builder: Builder) -> Result<Builder> {
    let keys = farcall_security::kerberos::Service::open(None, None)?;
    let mechanisms = farcall_security::Mechanisms::new().with_kerberos(keys);
    Ok(builder.gss(std::sync::Arc::new(mechanisms)))
}

/// How a client's calls are protected.
#[cfg(feature = "kerberos")]
pub(crate) fn calling(service: Service) -> Result<farcall::Gss> {
    use farcall_onc::gss::Service as Word;
    let identity = farcall_security::kerberos::Identity {
        principal: None,
        password: None,
    };
    Ok(farcall::Gss {
        initiator: std::sync::Arc::new(farcall_security::Credentials::kerberos(identity)),
        service: match service {
            Service::Integrity => Word::INTEGRITY,
            Service::Privacy => Word::PRIVACY,
        },
        target: Some(crate::kdc::SERVICE.to_owned()),
    })
}

#[cfg(not(feature = "kerberos"))]
pub(crate) fn accepting(_: Builder) -> Result<Builder> {
    anyhow::bail!("built without --features kerberos")
}

#[cfg(not(feature = "kerberos"))]
pub(crate) fn calling(_: Service) -> Result<farcall::Gss> {
    anyhow::bail!("built without --features kerberos")
}
