//! RPC over HTTP: the options that say how the RPC proxy is reached, and who the caller is to it.
//!
//! What an endpoint says (`ncacn_http:HOST[PORT,RpcProxy=…]`) is not said again here; what is said in both places is taken from
//! the endpoint. Who the caller is to the proxy may be another than to the server; without a user of its own it is the same.

use std::path::PathBuf;
use std::sync::Arc;

use farcall::client::http::{HttpCredentials, HttpOptions, HttpProxyUse, Login};
use farcall::endpoint::{HttpAuth, Place};
use farcall::tls::ClientTls;
use farcall::{Endpoint, Transport};
use farcall_security as security;
use farcall_security::ntlm::ClientConfig;

use crate::caller::{self, Caller};
use crate::output::Failure;
use crate::password;

/// How an RPC proxy is reached.
#[derive(Clone, Debug, Default, clap::Args)]
#[command(next_help_heading = "RPC over HTTP (ncacn_http)")]
pub(crate) struct HttpWay {
    /// The RPC proxy [default: what the endpoint says, otherwise the server's own host]
    #[arg(long, value_name = "HOST[:PORT]")]
    rpc_proxy: Option<Place>,

    /// An HTTP proxy on the way, used if the RPC proxy is not reached without it
    #[arg(long, value_name = "HOST[:PORT]")]
    http_proxy: Option<Place>,

    /// Use the HTTP proxy in any case
    #[arg(long, requires = "http_proxy")]
    http_proxy_always: bool,

    /// How to prove to the RPC proxy who calls: none, basic, ntlm, negotiate or bearer
    /// [default: what the endpoint says; bearer with a token, ntlm with a user]
    #[arg(long, value_name = "WAY")]
    http_auth: Option<HttpAuth>,

    /// The user for the RPC proxy, as NAME or DOMAIN\NAME [default: --user, if --http-auth asks for one]
    #[arg(long, value_name = "USER")]
    http_user: Option<String>,

    /// Take that user's password from the first line of this file; - is standard input
    /// [default: ask at the terminal]
    #[arg(long, value_name = "FILE")]
    http_password_file: Option<PathBuf>,

    /// Take a bearer token from the first line of this file; - is standard input
    #[arg(long, value_name = "FILE")]
    http_token_file: Option<PathBuf>,

    /// Speak no TLS with the RPC proxy: passwords of basic and all that is said can be read on the way
    #[arg(long)]
    http_plain: bool,
}

impl HttpWay {
    /// As options of a client that calls `endpoint`.
    pub(crate) fn options(
        &self,
        endpoint: &Endpoint,
        caller: &Caller,
        tls: Option<ClientTls>,
    ) -> anyhow::Result<HttpOptions> {
        if endpoint.transport() != Transport::NcacnHttp {
            return Ok(HttpOptions::default());
        }
        let said = endpoint.network_options();
        let way = said.and_then(|said| said.auth).or(self.http_auth);
        let way = way.unwrap_or(match (&self.http_token_file, &self.http_user) {
            (Some(_), _) => HttpAuth::Bearer,
            (None, Some(_)) => HttpAuth::Ntlm,
            (None, None) => HttpAuth::None,
        });
        Ok(HttpOptions {
            rpc_proxy: self.rpc_proxy.clone(),
            http_proxy: self.http_proxy.clone(),
            http_proxy_use: match self.http_proxy_always {
                true => HttpProxyUse::Always,
                false => HttpProxyUse::IfNeeded,
            },
            secure: !self.http_plain,
            tls,
            credentials: self.credentials(way, caller)?,
            ..HttpOptions::default()
        })
    }

    fn credentials(&self, way: HttpAuth, caller: &Caller) -> anyhow::Result<HttpCredentials> {
        Ok(match way {
            HttpAuth::Basic => {
                let user = self.user(caller)?;
                let password = self.password(&user, caller)?;
                HttpCredentials::Basic(Login::new(user, password.expose()))
            }
            HttpAuth::Bearer => HttpCredentials::Bearer(self.token()?),
            HttpAuth::Ntlm => mechanism(security::Credentials::of_ntlm(self.ntlm(caller)?)),
            HttpAuth::Negotiate if self.user(caller).is_err() => {
                mechanism(caller.kerberos(security::Auth::Spnego)?)
            }
            HttpAuth::Negotiate => {
                mechanism(security::Credentials::spnego().or_ntlm(self.ntlm(caller)?))
            }
            _ => HttpCredentials::Anonymous,
        })
    }

    fn user(&self, caller: &Caller) -> anyhow::Result<String> {
        let user = self.http_user.as_deref().or(caller.user());
        let user = user.ok_or_else(|| {
            Failure::new("the RPC proxy is to be told a user, and none is named")
                .hint("--http-user NAME or --http-user 'DOMAIN\\NAME'")
        });
        Ok(user?.to_owned())
    }

    fn password(&self, user: &str, caller: &Caller) -> anyhow::Result<security::Password> {
        let own = self.http_password_file.as_deref();
        let shared = caller.password_file().filter(|_| self.http_user.is_none());
        caller::password_of(
            &format!("Password of {user} for the RPC proxy"),
            own.or(shared),
            "--http-password-file FILE takes it from a file, - from standard input",
        )
    }

    fn ntlm(&self, caller: &Caller) -> anyhow::Result<ClientConfig> {
        let user = self.user(caller)?;
        let (domain, name) = user.split_once(['\\', '/']).unwrap_or(("", &user));
        Ok(ClientConfig::new(
            name,
            domain,
            &self.password(&user, caller)?,
        ))
    }

    fn token(&self) -> anyhow::Result<String> {
        let Some(path) = &self.http_token_file else {
            return Err(
                Failure::new("the RPC proxy is to be given a token, and none is named")
                    .hint("--http-token-file FILE")
                    .into(),
            );
        };
        let token = match path.as_os_str() == "-" {
            true => password::from_stdin()?,
            false => password::from_file(path)?,
        };
        Ok(token.expose().to_owned())
    }
}

fn mechanism(credentials: security::Credentials) -> HttpCredentials {
    HttpCredentials::Mechanism(Arc::new(credentials))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn way(binding: &str, http: &HttpWay) -> anyhow::Result<HttpAuth> {
        let endpoint: Endpoint = binding.parse()?;
        let options = http.options(&endpoint, &Caller::default(), None)?;
        Ok(options.credentials.auth())
    }

    #[test]
    fn the_way_to_prove_oneself_is_what_was_said_or_what_fits() {
        let file = tempfile::NamedTempFile::new().expect("a file");
        std::fs::write(file.path(), "secret\n").expect("written");
        let nobody = HttpWay::default();
        let user = HttpWay {
            http_user: Some(r"LAB\alice".into()),
            http_password_file: Some(file.path().into()),
            ..HttpWay::default()
        };
        let token = HttpWay {
            http_token_file: Some(file.path().into()),
            ..HttpWay::default()
        };
        let plain = "ncacn_http:srv[593]";
        assert_eq!(way(plain, &nobody).expect("nobody"), HttpAuth::None);
        assert_eq!(way(plain, &user).expect("a user"), HttpAuth::Ntlm);
        assert_eq!(way(plain, &token).expect("a token"), HttpAuth::Bearer);
        let basic = "ncacn_http:srv[593,HttpAuthOption=basic]";
        assert_eq!(way(basic, &user).expect("a user"), HttpAuth::Basic);
        let error = way(basic, &nobody).expect_err("nobody").to_string();
        assert!(error.contains("none is named"), "{error}");
        // Nobody is asked for a password on the way to a server of TCP.
        assert_eq!(
            way("ncacn_ip_tcp:srv[1]", &user).expect("TCP"),
            HttpAuth::None
        );
    }
}
