//! Asking whether the server is still there, on a connection that carries nothing.
//!
//! Procedure 0 of every program takes and returns nothing, so a call of it says no more than that
//! the program is served. TCP's own keep-alive finds a dead host; this also finds a host that
//! lives and a server that does not. It is off unless asked for ([`Options::ping`]).
//!
//! [`Options::ping`]: super::options::Options::ping

use std::future::poll_fn;
use std::task::Poll;
use std::time::{Duration, Instant};

use farcall_onc::auth::AuthBlock;
use farcall_onc::msg::Target;

use super::link::{Link, Outcome, Ticket};
use super::options::Ping;
use crate::error::Cause;

/// Asks again and again; ends when the server has missed too many answers.
pub(crate) async fn until_silent(link: &Link, ping: Ping, target: Target) {
    let mut seen = 0;
    let mut missed = 0;
    while missed < ping.misses.max(1) {
        tokio::time::sleep(ping.after).await;
        let (busy, received) = {
            let state = link.lock();
            (state.core.in_flight() > 0, state.received)
        };
        if busy || received != seen {
            (seen, missed) = (received, 0);
            continue;
        }
        missed = match answered(link, ping.answer, target).await {
            true => 0,
            false => missed + 1,
        };
        seen = link.lock().received;
    }
}

/// Whether the server answers a null call in time; a refusal is an answer.
async fn answered(link: &Link, within: Duration, target: Target) -> bool {
    let mut asked = Asked { link, ticket: None };
    poll_fn(|cx| {
        let mut state = link.lock();
        let Some(ticket) = asked.ticket else {
            let auth = AuthBlock::none();
            let called = state.call(Instant::now(), target, &auth, &(), within, cx.waker());
            // A call that cannot even be made says nothing of the server.
            let Ok((ticket, _)) = called else {
                return Poll::Ready(true);
            };
            asked.ticket = Some(ticket);
            return Poll::Pending;
        };
        let Some(outcome) = state.collect(ticket, cx.waker()) else {
            return Poll::Pending;
        };
        asked.ticket = None;
        Poll::Ready(match outcome {
            Outcome::Results(..) | Outcome::Forgotten => true,
            Outcome::Failed(error) => !matches!(error.cause(), Cause::Deadline(_)),
        })
    })
    .await
}

/// A question on its way; it is taken back with the connection.
struct Asked<'a> {
    link: &'a Link,
    ticket: Option<Ticket>,
}

impl Drop for Asked<'_> {
    fn drop(&mut self) {
        if let Some(ticket) = self.ticket.take() {
            self.link.lock().abandon(ticket);
        }
    }
}
