//! How a connection comes to a lane and back, whatever is spoken on it.
//!
//! A connection says by how it leaves its runtime that it is busy and that a lane is free for it
//! ([`Leave::Busy`]). It is lent to the lane's thread, which polls it once: a read sleeps there,
//! so that one poll lasts until something has to wait. Then the runtime goes on with it.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use farcall_onc::record::RecordError;

use super::lane::{Lane, Lend, PATIENCE, Started, Switch};
use crate::call::Peer;
use crate::limits::Limits;

/// Why a connection ended.
#[derive(Debug)]
pub(crate) enum End {
    /// The peer closed it, or we did after draining, and everything was answered.
    Done,
    /// The transport failed.
    Io(io::Error),
    /// What came is no record stream.
    Record(RecordError),
    /// A message that is not answered but ends the stream.
    Violation(String),
    /// A limit of time was reached; it is named.
    Timeout(&'static str),
    /// The server was told to end at once.
    Aborted,
    /// Nothing more is said in clear: TLS begins.
    Secure,
}

/// Tells how a connection ended.
pub(crate) fn log_end(peer: Peer, end: End) {
    match end {
        End::Secure => tracing::warn!(%peer, "connection closed: there is no TLS here"),
        End::Done => tracing::trace!(%peer, "connection closed"),
        End::Io(error) => tracing::debug!(%peer, %error, "connection lost"),
        End::Record(error) => tracing::warn!(%peer, %error, "connection closed: no record stream"),
        End::Violation(why) => tracing::warn!(%peer, why, "connection closed"),
        End::Timeout(limit) => tracing::debug!(%peer, limit, "connection closed: time limit"),
        End::Aborted => tracing::debug!(%peer, "connection aborted"),
    }
}

/// Why a connection leaves the runtime it was driven on.
pub(crate) enum Leave {
    /// It is over.
    Ended(End),
    /// It is so busy that this lane is for it.
    Busy(Lane),
}

/// A connection that may be lent to a lane.
pub(crate) trait Visiting<S>: Future<Output = Leave> + Unpin + Send + 'static {
    /// The transport, to be told where it is driven.
    fn io(&mut self) -> &mut Switch<S>;

    /// What the server allows.
    fn limits(&self) -> &Limits;

    /// It goes to a lane; `waker` is for the server's next stage.
    fn enter_lane(&mut self, waker: Waker);

    /// It comes back to a runtime.
    fn leave_lane(&mut self);
}

/// Drives one connection to its end, on a lane while it is busy. The transport comes back if TLS is to begin on it.
pub(crate) async fn drive<S: Lend>(connection: impl Visiting<S>) -> (End, Option<S>) {
    // In a box: it moves, and an idle connection must not have room for where it may move to.
    let mut connection = Box::new(connection);
    loop {
        let lane = match (&mut *connection).await {
            Leave::Ended(end) => return ended(end, &mut *connection),
            Leave::Busy(lane) => lane,
        };
        // Without a thread it goes on where it is.
        let Ok(started) = lane.start(on_lane) else {
            continue;
        };
        connection = match visit(connection, started).await {
            Ok((connection, None)) => connection,
            Ok((mut connection, Some(end))) => return ended(end, &mut *connection),
            Err(error) => return (End::Io(error), None),
        };
    }
}

fn ended<S: Lend>(end: End, connection: &mut impl Visiting<S>) -> (End, Option<S>) {
    let stream = match end {
        End::Secure => connection.io().take(),
        _ => None,
    };
    (end, stream)
}

/// A connection that was on a lane, and how it ended if it did there.
type Visitor<C> = (Box<C>, Option<End>);

/// Lends a connection to a lane until it cannot stay there.
async fn visit<S: Lend, C: Visiting<S>>(
    mut connection: Box<C>,
    lane: Started<Box<C>, Visitor<C>>,
) -> io::Result<Visitor<C>> {
    let patience = patience(connection.limits());
    let waker = connection.io().enter_lane(patience)?;
    connection.enter_lane(waker);
    let (mut connection, end) = lane.run(connection).await?;
    connection.leave_lane();
    if matches!(end, None | Some(End::Secure)) {
        connection.io().leave_lane()?;
    }
    Ok((connection, end))
}

/// Drives a connection on a lane, until it ends or something has to wait.
fn on_lane<C: Future<Output = Leave> + Unpin>(mut connection: Box<C>) -> Visitor<C> {
    let mut cx = Context::from_waker(Waker::noop());
    let end = match Pin::new(&mut *connection).poll(&mut cx) {
        Poll::Ready(Leave::Ended(end)) => Some(end),
        Poll::Ready(Leave::Busy(_)) | Poll::Pending => None,
    };
    (connection, end)
}

/// How long a read on a lane may sleep before the runtime takes over: there all clocks run.
pub(crate) fn patience(limits: &Limits) -> Duration {
    let idle = Some(limits.idle).filter(|idle| !idle.is_zero());
    PATIENCE
        .min(limits.partial)
        .min(idle.unwrap_or(Duration::MAX))
}
