//! What tests of DCE/RPC share: our echo server with accounts, and clients as a user.

use std::sync::Arc;

use farcall::client::{Credentials as Protected, Options};
use farcall::{Error, Server};
use farcall_dce::security::AuthLevel;
use farcall_security::ntlm::{ClientConfig, ServerConfig};
use farcall_security::{Credentials, Mechanisms, Password, Users, kerberos};
use tokio::runtime::Runtime;

use crate::echo;
use crate::peer::samba::{DOMAIN, KEYTAB, OUR_HOST, REALM, USER, USER_PASSWORD};

/// A runtime with threads of its own, so that a server serves while a test waits for a peer.
///
/// # Panics
/// When the system gives none.
pub fn runtime() -> Runtime {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build();
    runtime.expect("a runtime")
}

fn password() -> Password {
    Password::new(USER_PASSWORD.to_owned())
}

/// NTLM, by itself and in SPNEGO, with one account: the user of the domain that Samba's peers
/// have, known to us without Samba.
///
/// # Panics
/// Never.
pub fn ntlm() -> Mechanisms {
    let mut users = Users::default();
    users
        .add(USER, DOMAIN, &password(), &[])
        .expect("a user that can be");
    let mut config = ServerConfig::new("OURS", DOMAIN, Arc::new(users));
    // impacket wants to know the DNS name of whom it speaks to.
    OUR_HOST.clone_into(&mut config.dns_computer);
    Mechanisms::new().with_ntlm(config)
}

/// Kerberos, by itself and in SPNEGO, with the keys that a domain controller of Samba's gave us.
///
/// # Panics
/// Where no [`Domain`](crate::peer::samba::Domain) was started.
pub fn keys() -> Mechanisms {
    let service = kerberos::Service::open(Some(KEYTAB.as_ref()), None);
    Mechanisms::new().with_kerberos(service.expect("our keys"))
}

/// Our echo server, and its port. Without mechanisms anybody may call; with some, whoever proves
/// who he is and protects his calls by `floor` or better.
///
/// # Errors
/// What the server says.
pub fn echo_server(
    runtime: &Runtime,
    mechanisms: Option<Mechanisms>,
    floor: AuthLevel,
) -> Result<(Server, u16), Error> {
    let mut builder = Server::builder()
        .serve(echo::service())
        .listen("ncacn_ip_tcp:127.0.0.1[0]")
        .auth_floor(floor);
    builder = match mechanisms {
        Some(mechanisms) => builder.authenticate_with(Arc::new(mechanisms)),
        None => builder.allow_anonymous(),
    };
    let server = runtime.block_on(builder.start())?;
    let port = server.endpoints().first().and_then(farcall::Endpoint::port);
    Ok((server, port.unwrap_or_default()))
}

/// How a client of ours proves that it is the user of the domain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// NTLM by itself.
    Ntlm,
    /// SPNEGO that agrees on NTLM.
    SpnegoNtlm,
    /// Kerberos by itself.
    Kerberos,
    /// SPNEGO that agrees on Kerberos.
    SpnegoKerberos,
}

impl Way {
    /// All of them.
    pub const ALL: [Self; 4] = [
        Self::Ntlm,
        Self::SpnegoNtlm,
        Self::Kerberos,
        Self::SpnegoKerberos,
    ];

    /// Options of a client that is the user, at a level.
    pub fn options(self, level: AuthLevel) -> Options {
        let config = || ClientConfig::new(USER, DOMAIN, &password());
        let identity = || kerberos::Identity {
            principal: Some(format!("{USER}@{REALM}")),
            password: Some(password()),
        };
        let credentials = match self {
            Self::Ntlm => Credentials::of_ntlm(config()),
            Self::SpnegoNtlm => Credentials::spnego().or_ntlm(config()),
            Self::Kerberos => Credentials::kerberos(identity()),
            Self::SpnegoKerberos => Credentials::spnego().or_kerberos(identity()),
        };
        Options {
            credentials: Some(Protected::new(Arc::new(credentials), level)),
            ..Options::default()
        }
    }
}
