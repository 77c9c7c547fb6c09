//! Kerberos at the proxy: a service's keytab, where Kerberos is built in (feature `kerberos`).
//!
//! Read first: RFC 4559 section 4. The library takes the keytab from the process's environment, so a daemon that is told of one begins again with it there
//! before anything else; all listeners of a proxy have the same one.

use std::path::Path;

use farcall_security::Mechanisms;
use farcall_security::ntlm::Bindings;

use super::Error;

/// A service that clients have tickets for.
#[cfg(feature = "kerberos")]
pub type Service = farcall_security::kerberos::Service;

/// A service that clients have tickets for: there is none.
#[cfg(not(feature = "kerberos"))]
#[derive(Clone, Debug)]
pub enum Service {}

/// Opens a keytab.
///
/// # Errors
/// [`Error::Keytab`]: it has no key that can be used, or the process was started with another one.
#[cfg(feature = "kerberos")]
pub fn open(path: &Path) -> Result<Service, Error> {
    let service = Service::open(Some(path), None);
    service.map_err(|error| Error::Keytab {
        path: path.to_owned(),
        what: error.to_string(),
    })
}

/// Opens a keytab.
///
/// # Errors
/// Always: Kerberos is not built in.
#[cfg(not(feature = "kerberos"))]
pub fn open(path: &Path) -> Result<Service, Error> {
    Err(Error::Keytab {
        path: path.to_owned(),
        what: "this build has no Kerberos (feature kerberos): leave keytab out".to_owned(),
    })
}

/// Adds the service, for a channel of which this is asked.
#[cfg(feature = "kerberos")]
pub(super) fn with(mechanisms: Mechanisms, service: &Service, bindings: &Bindings) -> Mechanisms {
    let service = service.clone();
    mechanisms.with_kerberos(match bindings {
        Bindings::Off => service,
        Bindings::Allow(own) => service.with_bindings(own.clone()),
        Bindings::Require(own) => service.with_bindings(own.clone()).requiring_bindings(),
    })
}

/// There is no service to add.
#[cfg(not(feature = "kerberos"))]
pub(super) fn with(_: Mechanisms, service: &Service, _: &Bindings) -> Mechanisms {
    match *service {}
}
