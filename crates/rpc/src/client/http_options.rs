//! How RPC over HTTP reaches its proxy, and who the client is to it.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use farcall_dce::security::{AuthType, Initiator};
use farcall_wire::Uuid;

use crate::endpoint::{HttpAuth, Place};
#[cfg(feature = "tls")]
use crate::tls::ClientTls;

/// Windows, lifetimes and time-outs of channels.
pub type ChannelConfig = farcall_rpch::ClientConfig;

/// How a client of `ncacn_http` reaches the RPC proxy, and who it is to it. What a string binding says
/// ([`NetworkOptions`](crate::endpoint::NetworkOptions)) comes before what is said here.
///
/// Who the client is to the server, behind the proxy, stands in [`Options::credentials`](crate::Options::credentials): the two may
/// well be different.
#[derive(Clone, Debug)]
pub struct HttpOptions {
    /// The RPC proxy. Default `None`: the host of the server that is called.
    pub rpc_proxy: Option<Place>,
    /// An HTTP proxy on the way to it, usually at port 80. Default none.
    pub http_proxy: Option<Place>,
    /// When that is used. Default [`HttpProxyUse::IfNeeded`].
    pub http_proxy_use: HttpProxyUse,
    /// Name and password for the HTTP proxy (Basic). Default none.
    pub http_proxy_login: Option<Login>,
    /// Whether TLS is spoken with the RPC proxy. Default true. Without it everybody on the way can read and change what is
    /// said, and with [`HttpCredentials::Basic`] the password.
    pub secure: bool,
    /// Whom to trust about the proxy's certificate, what name to expect, and which certificate to show; with one to show, the
    /// path of clients with certificates is asked for. Default `None`: what the system trusts, TLS 1.2 and 1.3.
    #[cfg(feature = "tls")]
    pub tls: Option<ClientTls>,
    /// Who the client is to the proxy. Default [`HttpCredentials::Anonymous`].
    pub credentials: HttpCredentials,
    /// Windows, lifetimes and time-outs of channels. Its `setup` is no longer than
    /// [`Options::connect_timeout`](crate::Options::connect_timeout).
    pub channels: ChannelConfig,
    /// The connection timeout that the proxy is asked for (`MinConnTimeout`), 120 s to 4 h; half of it is the interval of pings.
    /// Default `None`: the proxy's own.
    pub connection_timeout: Option<Duration>,
    /// `ResourceTypeUuid`, by which some gateways choose what they do. Default none.
    pub resource_type: Option<Uuid>,
    /// `SessionId`, for load balancers. Default none.
    pub session: Option<Uuid>,
}

impl Default for HttpOptions {
    fn default() -> Self {
        Self {
            rpc_proxy: None,
            http_proxy: None,
            http_proxy_use: HttpProxyUse::IfNeeded,
            http_proxy_login: None,
            secure: true,
            #[cfg(feature = "tls")]
            tls: None,
            credentials: HttpCredentials::Anonymous,
            channels: ChannelConfig::default(),
            connection_timeout: None,
            resource_type: None,
            session: None,
        }
    }
}

/// When an HTTP proxy that is known is used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum HttpProxyUse {
    /// If the RPC proxy answers an echo request only through it (MS-RPCH section 3.2.2.4.1.1). One that answers directly, at most
    /// 200 ms after the other answer, is reached directly.
    #[default]
    IfNeeded,
    /// Always; nothing is tried directly.
    Always,
}

/// A name and a password.
#[derive(Clone, PartialEq, Eq)]
pub struct Login {
    /// The user, perhaps as `DOMAIN\name`.
    pub user: String,
    password: String,
}

impl Login {
    /// A name and a password.
    pub fn new(user: impl Into<String>, password: impl Into<String>) -> Self {
        Self {
            user: user.into(),
            password: password.into(),
        }
    }

    /// As `Basic` has it (RFC 7617).
    pub(crate) fn basic(&self) -> String {
        use base64::Engine;
        let both = format!("{}:{}", self.user, self.password);
        let coded = base64::engine::general_purpose::STANDARD.encode(both);
        format!("Basic {coded}")
    }
}

/// Says nothing of the password.
impl fmt::Debug for Login {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Login")
            .field("user", &self.user)
            .finish_non_exhaustive()
    }
}

/// Who a client is to an RPC proxy.
#[derive(Clone, Default)]
pub enum HttpCredentials {
    /// Nobody in particular, or whoever its certificate names.
    #[default]
    Anonymous,
    /// A name and a password, told to the proxy with the first request (RFC 7617).
    Basic(Login),
    /// A token that somebody signed, told to the proxy with the first request (RFC 6750).
    Bearer(String),
    /// A mechanism with its secret: NTLM by itself if that is its type, `Negotiate` for any other. Inside TLS it is told
    /// the name of the channel, so that nobody can carry its tokens to another.
    Mechanism(Arc<dyn Initiator>),
}

impl HttpCredentials {
    /// How they prove what they say.
    pub fn auth(&self) -> HttpAuth {
        match self {
            Self::Anonymous => HttpAuth::None,
            Self::Basic(_) => HttpAuth::Basic,
            Self::Bearer(_) => HttpAuth::Bearer,
            Self::Mechanism(initiator) if initiator.auth_type() == AuthType::NTLM => HttpAuth::Ntlm,
            Self::Mechanism(_) => HttpAuth::Negotiate,
        }
    }
}

/// Says nothing of secrets.
impl fmt::Debug for HttpCredentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Basic(login) => f.debug_tuple("Basic").field(login).finish(),
            _ => f.write_str(self.auth().name()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_login_is_coded_as_rfc_7617_has_it_and_shows_no_password() {
        // The example of RFC 7617 section 2.
        let login = Login::new("Aladdin", "open sesame");
        assert_eq!(login.basic(), "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==");
        let shown = format!("{:?}", HttpCredentials::Basic(login));
        assert!(
            shown.contains("Aladdin") && !shown.contains("sesame"),
            "{shown}"
        );
        assert_eq!(
            format!("{:?}", HttpCredentials::Bearer("ey".into())),
            "bearer"
        );
    }
}
