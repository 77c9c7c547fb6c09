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

/// Drives one connection to its end, on a lane while it is busy.
pub(crate) async fn drive<S: Lend>(connection: impl Visiting<S>) -> End {
    // In a box: it moves, and an idle connection must not have room for where it may move to.
    let mut connection = Box::new(connection);
    loop {
        let lane = match (&mut *connection).await {
            Leave::Ended(end) => return end,
            Leave::Busy(lane) => lane,
        };
        // Without a thread it goes on where it is.
        let Ok(started) = lane.start(on_lane) else {
            continue;
        };
        connection = match visit(connection, started).await {
            Ok((connection, None)) => connection,
            Ok((_, Some(end))) => return end,
            Err(error) => return End::Io(error),
        };
    }
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
    if end.is_none() {
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
