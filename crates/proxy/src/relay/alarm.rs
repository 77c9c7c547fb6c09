//! One timer for a time that moves with every PDU: it is set anew only where it would ring too late.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Instant;

use tokio::time::Sleep;

/// A timer.
pub(super) struct Alarm(Pin<Box<Sleep>>);

impl Alarm {
    /// One that has rung.
    pub(super) fn new(now: Instant) -> Self {
        Self(Box::pin(tokio::time::sleep_until(now.into())))
    }

    /// Wakes the task at this time or before. True if it has come already, so that the clock is to be looked at again.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>, at: Instant) -> bool {
        let at = at.into();
        if self.0.is_elapsed() || self.0.deadline() > at {
            self.0.as_mut().reset(at);
        }
        loop {
            match self.0.as_mut().poll(cx) {
                Poll::Pending => return false,
                Poll::Ready(()) if self.0.deadline() >= at => return true,
                // It was set for an earlier time, which is none any more.
                Poll::Ready(()) => self.0.as_mut().reset(at),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::future::poll_fn;
    use std::time::Duration;

    #[tokio::test]
    async fn it_rings_at_the_time_that_was_said_last_whichever_way_that_moved() {
        for (moves, last) in [([10, 50], 50), ([600_000, 30], 30)] {
            let begun = Instant::now();
            let after = |millis| begun + Duration::from_millis(millis);
            let mut alarm = Alarm::new(begun);
            for at in moves {
                poll_fn(|cx| Poll::Ready(alarm.poll(cx, after(at)))).await;
            }
            poll_fn(|cx| match alarm.poll(cx, after(last)) {
                true => Poll::Ready(()),
                false => Poll::Pending,
            })
            .await;
            assert!(begun.elapsed() >= Duration::from_millis(last), "{moves:?}");
        }
    }
}
