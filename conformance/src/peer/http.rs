//! An RPC proxy with its server, both in one, in Python: made of the specification alone, for our client to be tried against.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use farcall::client::http::{HttpCredentials, HttpOptions, Login};
use farcall::client::{Options, Reconnect};
use farcall::{Endpoint, Error};
use farcall_security::ntlm::ClientConfig;
use farcall_security::{Credentials, Password};

use super::samba::{DOMAIN, USER, USER_PASSWORD};
use super::{Process, python};

/// A running peer.
#[derive(Debug)]
pub struct HttpPeer {
    process: Process,
    /// Its port on loopback.
    pub port: u16,
}

impl HttpPeer {
    /// Starts one with these options, which stand at the head of `conformance/peers/rpch_peer.py`.
    ///
    /// # Errors
    /// When it does not start.
    pub fn start(options: &[&str]) -> io::Result<Self> {
        let mut command = python::script("rpch_peer.py");
        let process = Process::start("rpch_peer.py", command.args(options))?;
        let line = process.line("listening ")?;
        let port = line.rsplit(' ').next().and_then(|port| port.parse().ok());
        Ok(Self {
            process,
            port: port.ok_or_else(|| io::Error::other("no port"))?,
        })
    }

    /// The server behind it, as a client without TLS names it.
    ///
    /// # Errors
    /// Never.
    pub fn endpoint(&self) -> Result<Endpoint, Error> {
        format!(
            "ncacn_http:server1[593,RpcProxy=127.0.0.1:{},HttpUseTls=false]",
            self.port
        )
        .parse()
    }

    /// What it has printed, a line each.
    pub fn printed(&self) -> Vec<String> {
        self.process.output().lines().map(str::to_owned).collect()
    }

    /// Waits for a line with this in it.
    ///
    /// # Errors
    /// When none comes.
    pub fn line(&self, text: &str) -> io::Result<String> {
        self.process.line(text)
    }

    /// How many of its lines have this in them.
    pub fn count(&self, text: &str) -> usize {
        let printed = self.printed();
        printed.iter().filter(|line| line.contains(text)).count()
    }

    /// What our client did that a client must not do.
    pub fn violations(&self) -> Vec<String> {
        let mut printed = self.printed();
        printed.retain(|line| line.contains("violation") || line.contains("Traceback"));
        printed
    }
}

/// A client's options for RPC over HTTP with these for the way; it does not connect again.
pub fn options(http: HttpOptions) -> Options {
    Options {
        timeout: Duration::from_secs(20),
        reconnect: Reconnect::Never,
        http,
        ..Options::default()
    }
}

/// Who the user of the tests is to a proxy: by `basic`, `ntlm` or `negotiate`, otherwise nobody.
pub fn credentials(way: &str, password: &str) -> HttpCredentials {
    let config = || ClientConfig::new(USER, DOMAIN, &Password::new(password.to_owned()));
    match way {
        "basic" => HttpCredentials::Basic(Login::new(USER, password)),
        "ntlm" => HttpCredentials::Mechanism(Arc::new(Credentials::of_ntlm(config()))),
        "negotiate" => {
            HttpCredentials::Mechanism(Arc::new(Credentials::spnego().or_ntlm(config())))
        }
        _ => HttpCredentials::Anonymous,
    }
}

/// The same with the user's own password.
pub fn own(way: &str) -> HttpCredentials {
    credentials(way, USER_PASSWORD)
}
