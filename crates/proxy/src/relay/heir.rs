//! A connection to a server that is not heard, but for its banner, until another proxy has told what it knows.
//!
//! Read first: MS-RPCH section 3.2.3.5.5. A successor's channel is plugged until the server says IN_R1/B2, and that comes when the predecessor is done. The
//! predecessor tells what it has seen at the same moment, by another way; whatever the server says is not heard before that is here, so no PDU is
//! judged without it.

use std::collections::VecDeque;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use farcall_rpch::frame::BANNER;
use tokio::sync::oneshot;

use super::wire::Stream;

/// Ends when what is known has come; an error of it is that it never will.
pub(super) type Gate = oneshot::Receiver<()>;

/// The connection.
pub(super) struct Withheld {
    stream: Box<dyn Stream>,
    gate: Option<Gate>,
    /// Bytes of the banner that may still be heard. A server that sends none is not understood any earlier: no PDU is that short.
    clear: usize,
    /// What came with the banner.
    held: Bytes,
}

impl Withheld {
    pub(super) fn new(stream: Box<dyn Stream>, gate: Gate) -> Self {
        Self {
            stream,
            gate: Some(gate),
            clear: BANNER.len(),
            held: Bytes::new(),
        }
    }
}

impl Stream for Withheld {
    fn keep_alive(&self, interval: Duration) {
        self.stream.keep_alive(interval);
    }

    fn poll_bytes(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Bytes>> {
        if let Some(gate) = &mut self.gate {
            if self.clear > 0 {
                let mut bytes = ready!(self.stream.poll_bytes(cx))?;
                let len = self.clear.min(bytes.len());
                self.clear = self.clear.saturating_sub(len);
                let banner = bytes.split_to(len);
                self.held = bytes;
                return Poll::Ready(Ok(banner));
            }
            ready!(Pin::new(gate).poll(cx)).map_err(io::Error::other)?;
            self.gate = None;
        }
        if !self.held.is_empty() {
            return Poll::Ready(Ok(std::mem::take(&mut self.held)));
        }
        self.stream.poll_bytes(cx)
    }

    fn poll_send(
        &mut self,
        cx: &mut Context<'_>,
        waiting: &mut VecDeque<Bytes>,
    ) -> Poll<io::Result<()>> {
        self.stream.poll_send(cx, waiting)
    }

    fn poll_close(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        self.stream.poll_close(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::task::Waker;

    /// A server that says all of this at once, and then nothing more.
    struct Says(Option<Bytes>);

    impl Stream for Says {
        fn keep_alive(&self, _: Duration) {}

        fn poll_bytes(&mut self, _: &mut Context<'_>) -> Poll<io::Result<Bytes>> {
            self.0
                .take()
                .map_or(Poll::Pending, |said| Poll::Ready(Ok(said)))
        }

        fn poll_send(
            &mut self,
            _: &mut Context<'_>,
            waiting: &mut VecDeque<Bytes>,
        ) -> Poll<io::Result<()>> {
            waiting.clear();
            Poll::Ready(Ok(()))
        }

        fn poll_close(&mut self, _: &mut Context<'_>) -> Poll<()> {
            Poll::Ready(())
        }
    }

    fn withheld(said: &[u8]) -> (oneshot::Sender<()>, Withheld) {
        let (open, gate) = oneshot::channel();
        let said = Bytes::copy_from_slice(said);
        (open, Withheld::new(Box::new(Says(Some(said))), gate))
    }

    #[test]
    fn nothing_but_the_banner_is_heard_before_the_gate_opens_and_everything_is_said() {
        let mut cx = Context::from_waker(Waker::noop());
        let (open, mut withheld) = withheld(b"ncacn_http/1.0B2");
        let heard = withheld.poll_bytes(&mut cx);
        assert!(matches!(heard, Poll::Ready(Ok(banner)) if banner == BANNER[..]));
        assert!(withheld.poll_bytes(&mut cx).is_pending());
        let mut waiting = VecDeque::from([Bytes::from_static(b"A2")]);
        assert!(withheld.poll_send(&mut cx, &mut waiting).is_ready());
        assert!(waiting.is_empty());
        open.send(()).expect("awaited");
        let heard = withheld.poll_bytes(&mut cx);
        assert!(matches!(heard, Poll::Ready(Ok(rest)) if rest == b"B2"[..]));
        assert!(withheld.poll_bytes(&mut cx).is_pending());
    }

    #[test]
    fn a_gate_that_never_opens_is_a_connection_that_is_lost() {
        let mut cx = Context::from_waker(Waker::noop());
        let (open, mut withheld) = withheld(BANNER);
        assert!(withheld.poll_bytes(&mut cx).is_ready());
        drop(open);
        assert!(matches!(withheld.poll_bytes(&mut cx), Poll::Ready(Err(_))));
    }

    #[test]
    fn the_end_is_heard_at_once_before_the_banner() {
        let mut cx = Context::from_waker(Waker::noop());
        let (_open, mut withheld) = withheld(b"");
        let heard = withheld.poll_bytes(&mut cx);
        assert!(matches!(heard, Poll::Ready(Ok(end)) if end.is_empty()));
    }
}
