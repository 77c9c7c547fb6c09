//! A server's connection that is protected: the handshake, who the client is, and the calls under it (RFC 9289 sections 4
//! to 6).
//!
//! The probe is answered by whoever drove the connection in clear; its transport comes here, with nothing of it read that
//! was not answered. A handshake has as long as a record ([`Limits::partial`](crate::Limits::partial)), whatever the client
//! does meanwhile. What is served then is a connection as any other, but that it stays on its runtime: a lane reads from
//! sockets.

use std::sync::Arc;

use farcall_onc::tls::ALPN;
use tokio::io::{AsyncRead, AsyncWrite};

use super::hub::{Hub, Stage};
use super::origin::Origin;
use super::stream::StreamConnection;
use super::visit::{Leave, log_end};
use crate::call::Source;
use crate::endpoint::Transport;
use crate::error::TlsFault;
use crate::line::Line;
use crate::tls::TlsStream;

/// Makes TLS of a connection whose client has asked for it, and drives it to its end.
// req: onc-9289-server
pub(crate) async fn serve<S>(stream: S, hub: Arc<Hub>, source: Source)
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let peer = source.peer;
    let Some(stream) = handshake(stream, &hub, source).await else {
        return;
    };
    let certified = match (&hub.secure, stream.peer()) {
        (Some(secure), Some(certificate)) => match secure.certify(certificate) {
            Ok(certified) => Some(certified),
            Err(error) => {
                tracing::warn!(%peer, %error, "connection closed");
                return;
            }
        },
        _ => None,
    };
    tracing::debug!(%peer, principal = certified.as_ref().map(|it| &*it.principal), "TLS");
    let mut origin = Origin::new(Transport::Tls, peer, source.local);
    origin.source.connection = source.connection;
    if let Some(recorder) = &hub.recorder {
        // The kernel's timestamps are of what it carries, and that is not what was packed.
        origin.record(recorder, false);
    }
    let connection = StreamConnection::new(stream, hub, origin).with_line(Line::of(certified));
    if let Leave::Ended(end) = connection.await {
        log_end(peer, end);
    }
}

/// The handshake, within its time and the server's life.
async fn handshake<S>(stream: S, hub: &Hub, source: Source) -> Option<TlsStream<S>>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let peer = source.peer;
    let secure = hub.secure.as_ref()?;
    let mut stages = hub.stages();
    let accepting = secure.with.accept(stream, &[ALPN]);
    let made = tokio::select! {
        biased;
        _ = stages.wait_for(|stage| *stage != Stage::Serving) => return None,
        made = tokio::time::timeout(hub.limits.partial, accepting) => made,
    };
    match made {
        Ok(Ok(stream)) => Some(stream),
        Ok(Err(error)) if error.fault() == TlsFault::Interrupted => {
            tracing::debug!(%peer, %error, "TLS did not come about");
            None
        }
        Ok(Err(error)) => {
            tracing::warn!(%peer, %error, "TLS did not come about");
            None
        }
        Err(_) => {
            tracing::debug!(%peer, limit = "partial", "TLS did not come about: time limit");
            None
        }
    }
}
