//! The client's side of a UDP socket: one server, datagrams out and in, retransmission.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Instant;

use bytes::Bytes;
use tokio::net::UdpSocket;

use super::link::Link;
use super::stream::End;
use super::timer::Timer;
use crate::error::{Cause, Error, Phase};
use crate::scratch;

/// Longest datagram there can be.
const MAX_DATAGRAM: usize = 65_536;

/// Datagrams sent or received before other tasks get their turn.
const BATCH: usize = 64;

/// A UDP socket being driven; it ends when nobody needs it any more.
pub(crate) struct DatagramDriver {
    socket: UdpSocket,
    server: SocketAddr,
    link: Arc<Link>,
    /// A datagram that the socket would not take yet.
    unsent: Option<Bytes>,
    timer: Timer,
}

impl DatagramDriver {
    /// The socket must be connected: the kernel then drops what others send, and reports an
    /// unreachable server.
    pub(crate) fn new(socket: UdpSocket, server: SocketAddr, link: Arc<Link>) -> Self {
        Self {
            socket,
            server,
            link,
            unsent: None,
            timer: Timer::new(),
        }
    }

    fn send(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        for _ in 0..BATCH {
            if self.unsent.is_none() {
                let mut state = self.link.lock();
                self.unsent = state.core.poll_datagram();
                if self.unsent.is_none() {
                    state.sleep(cx.waker());
                }
            }
            let Some(datagram) = &self.unsent else {
                return Poll::Pending;
            };
            match self.socket.poll_send(cx, datagram) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(Ok(_)) => {}
                Poll::Ready(Err(error)) => self.failed(&error),
            }
            self.unsent = None;
        }
        Poll::Ready(())
    }

    fn receive(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        for _ in 0..BATCH {
            let received = scratch::with_datagram(MAX_DATAGRAM, |input| {
                loop {
                    match self.socket.poll_recv_ready(cx) {
                        Poll::Pending => return Poll::Pending,
                        Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
                        Poll::Ready(Ok(())) => {}
                    }
                    match self.socket.try_recv_buf(input) {
                        Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                        Err(error) => return Poll::Ready(Err(error)),
                        Ok(_) => return Poll::Ready(Ok(input.split().freeze())),
                    }
                }
            });
            match received {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(Ok(datagram)) => {
                    self.link
                        .settle(|state| state.receive_datagram(self.server, &datagram));
                }
                Poll::Ready(Err(error)) => self.failed(&error),
            }
        }
        Poll::Ready(())
    }

    /// The host said that nobody is there: calls fail now instead of at their deadline.
    fn failed(&self, error: &io::Error) {
        if error.kind() != io::ErrorKind::ConnectionRefused {
            tracing::debug!(%error, server = %self.server, "datagram lost");
            return;
        }
        let error = Error::new(Phase::Call, Cause::Io(error.kind(), error.to_string()))
            .with_peer(format!("udp://{}", self.server))
            .hint("is the server running, and at this port?");
        self.link.settle(|state| state.fail_all(&error));
    }

    fn rest(&mut self, cx: &mut Context<'_>) -> Poll<End> {
        if self.link.is_deserted() && self.unsent.is_none() {
            return Poll::Ready(End::Deserted);
        }
        let Some(next) = self.link.lock().core.poll_timeout() else {
            return Poll::Pending;
        };
        if self.timer.poll_until(cx, next).is_ready() {
            self.link
                .settle(|state| state.core.handle_timeout(Instant::now()));
            cx.waker().wake_by_ref();
        }
        Poll::Pending
    }
}

impl Future for DatagramDriver {
    type Output = End;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<End> {
        let sent = self.send(cx);
        let received = self.receive(cx);
        if sent.is_ready() || received.is_ready() {
            cx.waker().wake_by_ref();
        }
        match sent {
            // There is more to send.
            Poll::Ready(()) => Poll::Pending,
            Poll::Pending => self.rest(cx),
        }
    }
}
