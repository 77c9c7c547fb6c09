//! The way through an RPC proxy, step by step, for whoever wants to know at which step it ends.
//!
//! Each step does one thing more than the one before: the connection with TLS, an echo, the proof of who one is, a virtual connection.

use std::sync::Arc;

use farcall_rpch::Direction;

use super::echo::{self, Echoed};
use super::open;
use super::proof;
use super::reach::{self, Connection};
use super::route::Route;
use super::trouble;
use crate::client::connect::ByteStream;
use crate::client::options::Options;
use crate::endpoint::Endpoint;
use crate::error::Error;
#[cfg(feature = "tls")]
use crate::tls::Certificate;

/// The port that a probe asks for if its endpoint has none: that of endpoint mappers (MS-RPCH section 1.9).
const MAPPER_PORT: u16 = 593;

/// The way to one server of RPC over HTTP.
///
/// ```no_run
/// # async fn example() -> Result<(), farcall::Error> {
/// use farcall::client::http::probe::{Echo, Probe};
/// let endpoint: farcall::Endpoint = "ncacn_http:srv[593,RpcProxy=proxy.example]".parse()?;
/// let probe = Probe::new(&endpoint, &farcall::Options::default())?;
/// let mut reached = probe.reach(false).await?;
/// if let Echo::Challenged(offers) = reached.echo().await? {
///     println!("the proxy takes {}", offers.join(", "));
/// }
/// # Ok(()) }
/// ```
#[derive(Clone, Debug)]
pub struct Probe {
    route: Arc<Route>,
}

/// A connection to the RPC proxy.
pub struct Reached {
    route: Arc<Route>,
    connection: Connection,
    through: bool,
}

/// An answer to an echo request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Echo {
    /// The RPC proxy answers strangers.
    Answered,
    /// It wants to know who asks first, in one of these ways.
    Challenged(Vec<String>),
}

impl Probe {
    /// The way to an endpoint of `ncacn_http`.
    ///
    /// # Errors
    /// The endpoint and the options contradict each other, or certificates are not what they should be.
    pub fn new(endpoint: &Endpoint, options: &Options) -> Result<Self, Error> {
        let port = endpoint.port().unwrap_or(MAPPER_PORT);
        let route = Arc::new(Route::new(endpoint, port, options)?);
        Ok(Self { route })
    }

    /// The RPC proxy, for people.
    pub fn proxy(&self) -> String {
        self.route.shown()
    }

    /// Whether TLS is spoken with the RPC proxy.
    pub fn is_secure(&self) -> bool {
        self.route.secure
    }

    /// Finds out whether the HTTP proxy that is known, if one is, has to be used.
    ///
    /// # Errors
    /// The RPC proxy is reached neither way.
    pub async fn needs_http_proxy(&self) -> Result<bool, Error> {
        echo::is_needed(&self.route).await
    }

    /// Connects to the RPC proxy, `through` the HTTP proxy or directly, and speaks TLS if that is wanted.
    ///
    /// # Errors
    /// It is not reached, or not believed to be who it should be.
    pub async fn reach(&self, through: bool) -> Result<Reached, Error> {
        Ok(Reached {
            connection: reach::connect(&self.route, through).await?,
            route: Arc::clone(&self.route),
            through,
        })
    }

    /// Opens a virtual connection; an association can be made over it with
    /// [`Client::interface_over`](crate::Client::interface_over).
    ///
    /// # Errors
    /// The proxy does not let the client in, or does not reach the server.
    pub async fn open(&self, through: bool) -> Result<impl ByteStream + use<>, Error> {
        open::open_by(Arc::clone(&self.route), through).await
    }
}

impl Reached {
    /// The certificate that the proxy showed, verified.
    #[cfg(feature = "tls")]
    pub fn certificate(&self) -> Option<&Certificate> {
        self.connection.certificate.as_deref()
    }

    /// Whether authentication can be bound to the TLS connection.
    pub fn is_bindable(&self) -> bool {
        self.connection.channel.is_some()
    }

    /// Asks for an echo as nobody.
    ///
    /// # Errors
    /// What answers is no RPC proxy, or answers neither with an echo nor with a challenge.
    pub async fn echo(&mut self) -> Result<Echo, Error> {
        let echoed = echo::echo(&self.route, &mut self.connection).await;
        match echoed.map_err(|error| error.with_peer(self.route.shown()))? {
            Echoed::Yes => Ok(Echo::Answered),
            Echoed::Asked(head) => {
                let offers = head.all("www-authenticate");
                Ok(Echo::Challenged(offers.map(str::to_owned).collect()))
            }
        }
    }

    /// Proves to the proxy who the client is, with another echo request.
    ///
    /// # Errors
    /// It does not believe it.
    pub async fn authenticate(self) -> Result<(), Error> {
        let route = self.route;
        let proving = proof::prove(&route, self.connection, Direction::In, self.through);
        let proved = async {
            let mut ready = proving.await?;
            let authorization = ready.authorization.as_deref();
            let asked = ready.connection.ask(&route, Direction::In, authorization);
            let (head, _) = asked.await?;
            match head.status {
                200 => Ok(()),
                _ => Err(trouble::refused(&head)),
            }
        };
        proved
            .await
            .map_err(|error: Error| error.with_peer(route.shown()))
    }
}

impl std::fmt::Debug for Reached {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Reached")
            .field("proxy", &self.route.shown())
            .field("through", &self.through)
            .finish_non_exhaustive()
    }
}
