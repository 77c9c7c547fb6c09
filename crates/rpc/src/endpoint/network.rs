//! The network options of a string binding: the way to a server of RPC over HTTP, as `ncacn_http:server[593,RpcProxy=…]` says it.
//!
//! Read first: MS-RPCH section 2.1 (what options must and may say), C706 section 3.1.1 (where they stand). Names are those that
//! users of Windows, Samba and impacket know, letters in any case. What is not known is refused: an option that is
//! ignored may be the one that was to keep a password from the wire.

use std::fmt;
use std::str::FromStr;

/// A host, and perhaps a port.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Place {
    /// A name, an IPv4 address, or an IPv6 address without brackets.
    pub host: String,
    /// The port; what is usual if there is none.
    pub port: Option<u16>,
}

impl Place {
    /// A host at the usual port.
    pub fn new(host: impl Into<String>) -> Self {
        Self {
            host: host.into(),
            port: None,
        }
    }

    /// `host:port`, an IPv6 address in brackets, with this port if it has none.
    pub(crate) fn with_port(&self, usual: u16) -> String {
        let port = self.port.unwrap_or(usual);
        match self.host.contains(':') {
            true => format!("[{}]:{port}", self.host),
            false => format!("{}:{port}", self.host),
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.host.contains(':') {
            true => write!(f, "[{}]", self.host)?,
            false => f.write_str(&self.host)?,
        }
        self.port.map_or(Ok(()), |port| write!(f, ":{port}"))
    }
}

impl FromStr for Place {
    type Err = String;

    /// Reads `host`, `host:port`, `[v6]`, `[v6]:port` or an IPv6 address alone.
    fn from_str(text: &str) -> Result<Self, String> {
        let (host, port) = match text.strip_prefix('[') {
            Some(rest) => {
                let (host, rest) = rest.split_once(']').ok_or("']' is missing")?;
                (host, rest.strip_prefix(':'))
            }
            None if text.matches(':').count() > 1 => (text, None),
            None => match text.split_once(':') {
                Some((host, port)) => (host, Some(port)),
                None => (text, None),
            },
        };
        if host.is_empty()
            || host.contains(|c: char| c.is_control() || c.is_whitespace() || c == '/')
        {
            return Err("it names no host".to_owned());
        }
        let port = port.map(|port| match port.parse() {
            Ok(0) | Err(_) => Err(format!("port '{port}' is no number from 1 to 65535")),
            Ok(port) => Ok(port),
        });
        Ok(Self {
            host: host.to_owned(),
            port: port.transpose()?,
        })
    }
}

/// How a client proves to an RPC proxy who it is, as `HttpAuthOption` names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum HttpAuth {
    /// Not at all.
    None,
    /// A name and a password in clear, inside TLS (RFC 7617).
    Basic,
    /// NTLM (MS-NTHT).
    Ntlm,
    /// SPNEGO, over Kerberos or NTLM (RFC 4559).
    Negotiate,
    /// A token that somebody signed (RFC 6750).
    Bearer,
}

impl HttpAuth {
    /// Its name in a string binding.
    pub fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Basic => "basic",
            Self::Ntlm => "ntlm",
            Self::Negotiate => "negotiate",
            Self::Bearer => "bearer",
        }
    }
}

impl fmt::Display for HttpAuth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for HttpAuth {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Ok(match text.to_ascii_lowercase().as_str() {
            "none" | "anonymous" => Self::None,
            "basic" => Self::Basic,
            "ntlm" => Self::Ntlm,
            "negotiate" | "spnego" | "krb5" | "kerberos" => Self::Negotiate,
            "bearer" => Self::Bearer,
            _ => return Err("it is none of none, basic, ntlm, negotiate, bearer".to_owned()),
        })
    }
}

/// What a string binding says about the way to a server of RPC over HTTP. What it says nothing about,
/// [`HttpOptions`](crate::client::http::HttpOptions) says.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct NetworkOptions {
    /// `RpcProxy`: the RPC proxy. Without it the RPC proxy is asked for at the server's own host.
    pub rpc_proxy: Option<Place>,
    /// `HttpProxy`: an HTTP proxy on the way to it, used if there is no other way.
    pub http_proxy: Option<Place>,
    /// `HttpUseTls`: whether TLS is spoken with the RPC proxy.
    pub tls: Option<bool>,
    /// `HttpAuthOption`: how the client proves to the RPC proxy who it is.
    pub auth: Option<HttpAuth>,
    /// `ServerCertificateSubject`: the name that the RPC proxy's certificate is for, if not the one it is called by; `msstd:` may
    /// stand before it.
    pub certificate: Option<String>,
}

impl NetworkOptions {
    /// Reads `Name=value,Name=value`.
    ///
    /// # Errors
    /// Which option is wrong, and why.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let mut options = Self::default();
        for option in text.split(',').map(str::trim).filter(|it| !it.is_empty()) {
            let (name, value) = option.split_once('=').unwrap_or((option, ""));
            let (name, value) = (name.trim(), value.trim());
            options
                .take(&name.to_ascii_lowercase(), value)
                .map_err(|why| format!("option {name}: {why}"))?;
        }
        Ok(options)
    }

    fn take(&mut self, name: &str, value: &str) -> Result<(), String> {
        match name {
            "rpcproxy" => self.rpc_proxy = Some(value.parse()?),
            "httpproxy" => self.http_proxy = Some(value.parse()?),
            "httpusetls" => self.tls = Some(is_yes(value)?),
            "httpauthoption" => self.auth = Some(value.parse()?),
            "servercertificatesubject" => self.certificate = Some(subject(value)?),
            _ => {
                return Err("it is not known; options are RpcProxy, HttpProxy, HttpUseTls, HttpAuthOption and ServerCertificateSubject".to_owned());
            }
        }
        Ok(())
    }

    /// Whether nothing is said.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

impl fmt::Display for NetworkOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let said = [
            self.rpc_proxy.as_ref().map(|it| format!("RpcProxy={it}")),
            self.http_proxy.as_ref().map(|it| format!("HttpProxy={it}")),
            self.tls.map(|it| format!("HttpUseTls={it}")),
            self.auth.map(|it| format!("HttpAuthOption={it}")),
            self.certificate
                .as_ref()
                .map(|it| format!("ServerCertificateSubject={it}")),
        ];
        let said: Vec<String> = said.into_iter().flatten().collect();
        f.write_str(&said.join(","))
    }
}

fn is_yes(value: &str) -> Result<bool, String> {
    match value.to_ascii_lowercase().as_str() {
        "1" | "true" | "yes" => Ok(true),
        "0" | "false" | "no" => Ok(false),
        _ => Err("it is neither true nor false".to_owned()),
    }
}

/// The name in a principal name that is made from a certificate.
fn subject(value: &str) -> Result<String, String> {
    let named = match value.get(..6) {
        Some(prefix) if prefix.eq_ignore_ascii_case("msstd:") => value.get(6..),
        _ if value.to_ascii_lowercase().starts_with("fullsic:") => {
            return Err("chains of issuers (fullsic) are not compared; give msstd:NAME".to_owned());
        }
        _ => Some(value),
    };
    let named = named.unwrap_or_default();
    match named.is_empty() {
        true => Err("it names nobody".to_owned()),
        false => Ok(named.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_are_read_as_users_of_windows_samba_and_impacket_write_them() {
        let options = NetworkOptions::parse(
            "RpcProxy=proxy.example:8443, httpproxy=[::1]:3128,HTTPUSETLS=1,HttpAuthOption=NTLM,ServerCertificateSubject=msstd:mail.example",
        )
        .unwrap();
        assert_eq!(
            options.to_string(),
            "RpcProxy=proxy.example:8443,HttpProxy=[::1]:3128,HttpUseTls=true,HttpAuthOption=ntlm,ServerCertificateSubject=mail.example"
        );
        assert_eq!(NetworkOptions::parse(&options.to_string()), Ok(options));
        assert!(NetworkOptions::parse("").unwrap().is_empty());
    }

    #[test]
    fn an_option_that_is_wrong_is_named() {
        for (text, why) in [
            ("RpcProxy=", "names no host"),
            ("RpcProxy=h:0", "no number"),
            ("RpcProxy=a b", "names no host"),
            ("HttpProxy=[::1", "']' is missing"),
            ("HttpUseTls=maybe", "neither"),
            ("HttpAuthOption=digest", "none of"),
            ("ServerCertificateSubject=msstd:", "names nobody"),
            ("ServerCertificateSubject=fullsic:a\\b", "not compared"),
            ("seal", "not known"),
        ] {
            let error = NetworkOptions::parse(text).unwrap_err();
            let name = text.split('=').next().unwrap_or_default();
            assert!(error.contains(why) && error.contains(name), "{error}");
        }
    }
}
