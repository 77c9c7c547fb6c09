//! Proving to the RPC proxy who one is, on each connection anew.
//!
//! Read first: RFC 7617 (Basic), RFC 6750 section 2.1 (Bearer), RFC 4559 (Negotiate), MS-NTHT section 2.1 (NTLM), MS-RPCH section 2.1.2.1. Legs of NTLM and
//! Negotiate are requests without a body, which proxies take for echo requests, until the mechanism has no more to say than a
//! last token: that goes with the channel's own request. Where the proxy has the last word (Negotiate with NTLM), it says it in the
//! answer to an echo request; the channel's request follows on the same connection, which is proved by then.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use farcall_dce::security::{Denied, Exchange, Step};
use farcall_rpch::Direction;

use super::head::Head;
use super::reach::{Connection, connect};
use super::route::Route;
use super::trouble;
use crate::client::http_options::HttpCredentials;
use crate::endpoint::HttpAuth;
use crate::error::{Cause, Error, Phase};

/// Requests of one exchange.
const LEGS: usize = 8;

/// A connection on which the channel's request may be sent, with this `Authorization`.
pub(super) struct Ready {
    pub(super) connection: Connection,
    pub(super) authorization: Option<String>,
}

/// What a step asks for.
enum Next {
    /// This token, and then the proxy's answer.
    Continue(Vec<u8>),
    /// This token and no answer to it.
    Last(Option<Vec<u8>>),
}

/// Connects, and proves who the client is as far as that can be done before the channel's request.
pub(super) async fn ready(
    route: &Route,
    direction: Direction,
    through: bool,
) -> Result<Ready, Error> {
    let connection = connect(route, through).await?;
    prove(route, connection, direction, through)
        .await
        .map_err(|error| error.with_peer(route.shown()))
}

/// The same with a connection that stands.
pub(super) async fn prove(
    route: &Route,
    connection: Connection,
    direction: Direction,
    through: bool,
) -> Result<Ready, Error> {
    let authorization = match &route.credentials {
        HttpCredentials::Anonymous => None,
        HttpCredentials::Basic(login) => Some(login.basic()),
        HttpCredentials::Bearer(token) => Some(format!("Bearer {token}")),
        HttpCredentials::Mechanism(_) => {
            return Legs::new(route, direction, through)?.run(connection).await;
        }
    };
    Ok(Ready {
        connection,
        authorization,
    })
}

/// An exchange over one connection.
struct Legs<'a> {
    route: &'a Route,
    direction: Direction,
    through: bool,
    scheme: &'static str,
}

impl<'a> Legs<'a> {
    fn new(route: &'a Route, direction: Direction, through: bool) -> Result<Self, Error> {
        let scheme = match route.credentials.auth() {
            HttpAuth::Ntlm => "NTLM",
            _ => "Negotiate",
        };
        Ok(Self {
            route,
            direction,
            through,
            scheme,
        })
    }

    async fn run(self, mut connection: Connection) -> Result<Ready, Error> {
        let mut exchange = self.begin(connection.channel.clone()).await?;
        let mut next = step(&mut exchange, Vec::new()).await?;
        for leg in 0..LEGS {
            let token = match next {
                Next::Continue(token) => token,
                Next::Last(token) => {
                    let authorization = token.map(|token| self.header(&token));
                    return Ok(Ready {
                        connection,
                        authorization,
                    });
                }
            };
            let authorization = self.header(&token);
            let asked = connection
                .ask(self.route, self.direction, Some(&authorization))
                .await;
            let (head, _) = asked?;
            match head.status {
                401 => {
                    let answer = self.answer(&head, leg)?;
                    if head.is_last() {
                        return Err(not_kept());
                    }
                    next = step(&mut exchange, answer).await?;
                }
                200 if leg == 0 && self.token(&head).is_none() => return Err(not_asked()),
                200 => return self.believed(connection, &head, exchange).await,
                _ => return Err(trouble::refused(&head)),
            }
        }
        Err(denied("the exchange with the RPC proxy has no end"))
    }

    /// The proxy believes it: an echo request was answered.
    async fn believed(
        self,
        connection: Connection,
        head: &Head,
        mut exchange: Option<Box<dyn Exchange>>,
    ) -> Result<Ready, Error> {
        if let Some(token) = self.token(head)
            && let Next::Continue(_) = step(&mut exchange, token?).await?
        {
            return Err(denied("the RPC proxy is done before the mechanism is"));
        }
        if !head.is_last() && !head.says("persistent-auth", "false") {
            return Ok(Ready {
                connection,
                authorization: None,
            });
        }
        // It asks for a proof with each request, so the first token goes with the channel's own.
        let connection = connect(self.route, self.through).await?;
        let mut exchange = self.begin(connection.channel.clone()).await?;
        match step(&mut exchange, Vec::new()).await? {
            Next::Continue(token) | Next::Last(Some(token)) => Ok(Ready {
                connection,
                authorization: Some(self.header(&token)),
            }),
            Next::Last(None) => Err(denied("the mechanism has nothing to say")),
        }
    }

    /// Begins an exchange; that may ask servers, so it is done on the pool for blocking work.
    async fn begin(&self, channel: Option<Vec<u8>>) -> Result<Option<Box<dyn Exchange>>, Error> {
        let HttpCredentials::Mechanism(initiator) = &self.route.credentials else {
            return Err(denied("there is no mechanism"));
        };
        let initiator = std::sync::Arc::clone(initiator);
        let target = format!("HTTP/{}", self.route.proxy.host);
        let begun = tokio::task::spawn_blocking(move || {
            initiator.initiate_elsewhere(&target, channel.as_deref())
        });
        let exchange = begun.await.map_err(|_| denied("the mechanism panicked"))?;
        exchange.map(Some).map_err(|error| refuse(&error))
    }

    fn header(&self, token: &[u8]) -> String {
        format!("{} {}", self.scheme, STANDARD.encode(token))
    }

    /// The token of our scheme in a response, if there is one.
    fn token(&self, head: &Head) -> Option<Result<Vec<u8>, Error>> {
        let ours = head.all("www-authenticate").find_map(|value| {
            let (scheme, token) = value.split_once(' ')?;
            scheme
                .eq_ignore_ascii_case(self.scheme)
                .then_some(token.trim())
        })?;
        Some(
            STANDARD
                .decode(ours)
                .map_err(|_| denied("the RPC proxy's token is no base64")),
        )
    }

    /// The token of a 401.
    fn answer(&self, head: &Head, leg: usize) -> Result<Vec<u8>, Error> {
        if let Some(token) = self.token(head) {
            return token;
        }
        let offers = |value: &str| value.eq_ignore_ascii_case(self.scheme);
        let offered = head.all("www-authenticate").any(offers);
        match (leg, offered) {
            (0, false) => Err(trouble::refused(head)
                .hint(format!("the RPC proxy does not take {}", self.scheme))),
            (0, true) => Err(trouble::refused(head)
                .hint(format!("the RPC proxy offers {} and does not go on with it; something in front may share connections among clients", self.scheme))),
            _ => Err(trouble::refused(head)),
        }
    }
}

fn denied(why: &str) -> Error {
    Error::new(Phase::Authenticate, Cause::Denied(why.to_owned()))
}

fn refuse(error: &Denied) -> Error {
    Error::new(Phase::Authenticate, Cause::Denied(error.reason.clone()))
}

fn not_asked() -> Error {
    denied("the RPC proxy let a request pass without asking for the proof")
        .hint("it may take strangers: leave the HTTP credentials away, or name a proxy that asks for them")
}

fn not_kept() -> Error {
    denied("the RPC proxy closes the connection in the middle of the exchange")
        .hint("NTLM and Negotiate need one connection to the end: something in front may not keep it; Basic inside TLS does without")
}

/// One step, with what it asks from outside. The exchange is lent to the pool for blocking work and comes back.
async fn step(exchange: &mut Option<Box<dyn Exchange>>, token: Vec<u8>) -> Result<Next, Error> {
    let Some(mut running) = exchange.take() else {
        return Err(denied("the exchange is over"));
    };
    let stepping = tokio::task::spawn_blocking(move || {
        let mut step = running.step(&token);
        while let Ok(Step::Need(query)) = step {
            step = running.answer((query.0)());
        }
        (running, step)
    });
    let (running, step) = stepping
        .await
        .map_err(|_| denied("the mechanism panicked"))?;
    *exchange = Some(running);
    match step {
        Ok(Step::Continue(token)) => Ok(Next::Continue(token)),
        Ok(Step::Done { token, .. }) => Ok(Next::Last(token)),
        Ok(Step::Need(_)) => Err(denied("the mechanism asks on and on")),
        Err(error) => Err(refuse(&error)),
    }
}
