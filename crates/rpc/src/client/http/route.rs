//! The way to one server, as options and string binding together have it.

use std::time::Duration;

use farcall_rpch::Direction;
use farcall_rpch::http::{Pragmas, RequestHead, Resource, Target};

use crate::client::http_options::{ChannelConfig, HttpCredentials, HttpOptions, HttpProxyUse};
use crate::client::options::Options;
use crate::endpoint::{Endpoint, NetworkOptions, Place};
use crate::error::{Error, Phase};
use crate::limits::Limits;
#[cfg(feature = "tls")]
use crate::tls::{ClientSettings, ClientTls, Versions};

/// The way to one server.
#[derive(Clone, Debug)]
pub(crate) struct Route {
    pub(super) resource: Resource,
    pub(super) proxy: Place,
    pub(super) port: u16,
    /// An HTTP proxy on the way, if one is known.
    pub(super) http_proxy: Option<Place>,
    pub(super) http_proxy_use: HttpProxyUse,
    pub(super) http_proxy_authorization: Option<String>,
    pub(super) secure: bool,
    #[cfg(feature = "tls")]
    pub(super) tls: Option<ClientTls>,
    /// The name that the proxy's certificate is to have.
    pub(super) certificate: String,
    pub(super) credentials: HttpCredentials,
    pub(super) pragmas: Pragmas,
    pub(super) channels: ChannelConfig,
    pub(super) limits: Limits,
}

/// Port of HTTP proxies.
pub(super) const HTTP_PROXY_PORT: u16 = 80;

impl Route {
    /// The way to `port` of the endpoint's host.
    pub(crate) fn new(endpoint: &Endpoint, port: u16, options: &Options) -> Result<Self, Error> {
        let none = NetworkOptions::default();
        let said = endpoint.network_options().unwrap_or(&none);
        let http = &options.http;
        let host = endpoint.host().unwrap_or_default();
        let secure = said.tls.unwrap_or(http.secure);
        let proxy = said.rpc_proxy.as_ref().or(http.rpc_proxy.as_ref());
        let proxy = proxy.cloned().unwrap_or_else(|| Place::new(host));
        let usual = if secure { 443 } else { 80 };
        let wrong = |error| Error::local(Phase::Resolve, format!("{endpoint}: {error}"));
        let target = Target::parse(&format!("{host}:{port}")).map_err(wrong)?;
        if let Some(wanted) = said.auth
            && wanted != http.credentials.auth()
        {
            let text = format!(
                "the binding asks for HttpAuthOption={wanted}, and the credentials for the RPC proxy are of kind {}",
                http.credentials.auth()
            );
            return Err(Error::local(Phase::Authenticate, text)
                .hint("give credentials of that kind: HttpOptions::credentials"));
        }
        let seconds = |timeout: Duration| u32::try_from(timeout.as_secs()).unwrap_or(u32::MAX);
        let setup = http.channels.setup.min(options.connect_timeout);
        Ok(Self {
            resource: Resource {
                with_cert: secure && has_identity(http),
                target: Some(target),
            },
            port: proxy.port.unwrap_or(usual),
            certificate: said
                .certificate
                .clone()
                .unwrap_or_else(|| proxy.host.clone()),
            proxy,
            http_proxy: said.http_proxy.clone().or_else(|| http.http_proxy.clone()),
            http_proxy_use: http.http_proxy_use,
            http_proxy_authorization: http.http_proxy_login.as_ref().map(|login| login.basic()),
            secure,
            #[cfg(feature = "tls")]
            tls: match secure {
                true => Some(client_tls(http)?),
                false => None,
            },
            credentials: http.credentials.clone(),
            pragmas: Pragmas {
                min_connection_timeout: http
                    .connection_timeout
                    .map(|timeout| seconds(timeout).clamp(120, 14_400)),
                resource_type: http.resource_type,
                session: http.session,
            },
            channels: ChannelConfig {
                // What the machine says of a connection that does not open is better than that time is up.
                setup: setup - setup / 10,
                ..http.channels.clone()
            },
            limits: options.limits.clone(),
        })
    }

    /// The proxy as people name it.
    pub(super) fn shown(&self) -> String {
        let scheme = if self.secure { "https" } else { "http" };
        format!("RPC proxy {scheme}://{}", self.proxy.with_port(self.port))
    }

    /// `Host` of requests: without the port where it is the scheme's own (RFC 9110 section 7.2).
    pub(super) fn host(&self) -> String {
        let own = if self.secure { 443 } else { 80 };
        match self.port == own {
            true => Place::new(self.proxy.host.clone()).to_string(),
            false => self.proxy.with_port(self.port),
        }
    }

    /// A request's head. `forwarded`: it goes to an HTTP proxy, in clear.
    pub(super) fn request(
        &self,
        direction: Direction,
        content_length: u64,
        authorization: Option<&str>,
        forwarded: bool,
    ) -> String {
        let host = self.host();
        let head = RequestHead {
            direction,
            resource: &self.resource,
            host: &host,
            content_length,
            authorization,
            absolute: forwarded,
            proxy_authorization: self
                .http_proxy_authorization
                .as_deref()
                .filter(|_| forwarded),
            pragmas: self.pragmas,
        };
        head.emit()
    }
}

#[cfg(feature = "tls")]
fn has_identity(http: &HttpOptions) -> bool {
    http.tls.as_ref().is_some_and(ClientTls::has_certificate)
}

#[cfg(not(feature = "tls"))]
fn has_identity(_: &HttpOptions) -> bool {
    false
}

#[cfg(feature = "tls")]
fn client_tls(http: &HttpOptions) -> Result<ClientTls, Error> {
    match &http.tls {
        Some(tls) => Ok(tls.clone()),
        None => Ok(ClientTls::new(ClientSettings {
            versions: Versions::Tls12,
            ..ClientSettings::default()
        })?),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn route(binding: &str, http: HttpOptions) -> Result<Route, Error> {
        let endpoint: Endpoint = binding.parse().unwrap();
        let options = Options {
            http,
            ..Options::default()
        };
        Route::new(&endpoint, endpoint.port().unwrap_or(593), &options)
    }

    fn plain() -> HttpOptions {
        HttpOptions {
            secure: false,
            ..HttpOptions::default()
        }
    }

    #[test]
    fn without_an_rpc_proxy_the_servers_host_is_asked() {
        let route = route("ncacn_http:srv[6001]", plain()).unwrap();
        assert_eq!(route.shown(), "RPC proxy http://srv:80");
        assert_eq!(route.resource.to_string(), "/rpc/rpcproxy.dll?srv:6001");
        assert_eq!(route.host(), "srv");
    }

    #[test]
    fn a_binding_comes_before_the_options() {
        let http = HttpOptions {
            rpc_proxy: Some(Place::new("other")),
            http_proxy: Some(Place::new("squid")),
            ..HttpOptions::default()
        };
        let route = route("ncacn_http:srv[,RpcProxy=p:8080,HttpUseTls=0]", http).unwrap();
        assert_eq!(route.host(), "p:8080");
        assert_eq!(route.http_proxy.as_ref().unwrap().with_port(80), "squid:80");
        let head = route.request(Direction::In, 0, None, true);
        assert!(
            head.starts_with("RPC_IN_DATA http://p:8080/rpc/rpcproxy.dll?srv:593 HTTP/1.1\r\n"),
            "{head}"
        );
    }

    #[test]
    fn credentials_of_another_kind_than_the_binding_asks_for_are_not_used() {
        let error = route("ncacn_http:srv[,HttpAuthOption=ntlm]", plain()).unwrap_err();
        assert!(error.to_string().contains("HttpAuthOption=ntlm"), "{error}");
        assert!(!error.may_have_executed());
        assert!(route("ncacn_http:srv[,HttpAuthOption=none]", plain()).is_ok());
    }

    #[test]
    fn a_server_that_no_request_line_can_name_is_refused() {
        let error = route("ncacn_http:a b[593]", plain()).unwrap_err();
        assert!(error.to_string().contains("no name or address"), "{error}");
    }
}
