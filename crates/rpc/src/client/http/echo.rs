//! Echo requests: whether an RPC proxy is there, and whether an HTTP proxy is needed to reach it.
//!
//! Read first: MS-RPCH sections 1.3.3, 2.1.2.1.5, 2.1.2.1.6, 3.2.2.4.1.1, 3.2.2.5.1 and 3.2.2.6.3. Any answer of HTTP counts here: a proxy that first wants
//! to know who asks has been reached as well.

use std::time::Duration;

use farcall_rpch::Direction;
use farcall_rpch::http::ECHO;

use super::head::Head;
use super::reach::{Connection, connect};
use super::route::Route;
use super::trouble;
use crate::client::http_options::HttpProxyUse;
use crate::error::{Error, Phase};

/// How long the direct answer is waited for when the other has come (section 3.2.2.2.3).
const DIRECT: Duration = Duration::from_millis(200);

/// An RPC proxy's answer to an echo request.
pub(super) enum Echoed {
    /// It is one.
    Yes,
    /// It wants to know who asks.
    Asked(Head),
}

/// Asks for an echo.
pub(super) async fn echo(route: &Route, connection: &mut Connection) -> Result<Echoed, Error> {
    let (head, body) = connection.ask(route, Direction::In, None).await?;
    match head.status {
        200 if body == ECHO => Ok(Echoed::Yes),
        200 => Err(Error::local(
            Phase::Connect,
            "what answers the echo request is no RPC proxy",
        )
        .hint("is it the right host and port?")),
        401 => Ok(Echoed::Asked(head)),
        _ => Err(trouble::refused(&head)),
    }
}

/// Whether the HTTP proxy is to be used.
pub(super) async fn is_needed(route: &Route) -> Result<bool, Error> {
    match (&route.http_proxy, route.http_proxy_use) {
        (None, _) => Ok(false),
        (Some(_), HttpProxyUse::Always) => Ok(true),
        (Some(_), HttpProxyUse::IfNeeded) => determine(route).await,
    }
}

// req: rpch-3.2.2.4.1.1-proxy-use
async fn determine(route: &Route) -> Result<bool, Error> {
    let attempt = |through| async move {
        let mut connection = connect(route, through).await?;
        echo(route, &mut connection).await.map(drop)
    };
    let (direct, through) = (attempt(false), attempt(true));
    tokio::pin!(direct, through);
    tokio::select! {
        biased;
        answered = &mut direct => match answered {
            Ok(()) => Ok(false),
            Err(error) => {
                tracing::debug!(%error, "the RPC proxy is not reached directly");
                through.await.map(|()| true)
            }
        },
        answered = &mut through => match answered {
            Ok(()) => {
                let also = tokio::time::timeout(DIRECT, direct).await;
                Ok(!matches!(also, Ok(Ok(()))))
            }
            Err(error) => {
                tracing::debug!(%error, "the RPC proxy is not reached through the HTTP proxy");
                direct.await.map(|()| false)
            }
        },
    }
}
