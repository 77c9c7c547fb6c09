//! The connections of a half: what is read from each and written to each, without waiting for any of them.
//!
//! A client is read as the body of its request and, on an OUT channel, written as the body of its response; a server is read and written as a
//! stream. Nothing is read here that nobody asks for, and little is written ahead.

use std::collections::VecDeque;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use farcall_rpch::ChannelId;
use tokio::io::AsyncWrite;
use tokio::runtime::Handle;

use super::pipe::Pipe;
use crate::channel::code;
use crate::line::{self, Line};

/// Pieces that wait to be written, beyond which no more are taken.
const MOST: usize = 32;

/// A byte stream to a server.
pub(super) trait Stream: Send {
    /// Asks the kernel to look after the connection.
    fn keep_alive(&self, interval: Duration);
    /// Reads what is there; nothing at the end.
    fn poll_bytes(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Bytes>>;
    /// Writes once, of everything that waits as much as is taken.
    fn poll_send(
        &mut self,
        cx: &mut Context<'_>,
        waiting: &mut VecDeque<Bytes>,
    ) -> Poll<io::Result<()>>;
    /// Ends what is written.
    fn poll_close(&mut self, cx: &mut Context<'_>) -> Poll<()>;
}

impl Stream for tokio::net::TcpStream {
    fn keep_alive(&self, interval: Duration) {
        let keepalive = socket2::TcpKeepalive::new()
            .with_time(interval)
            .with_interval(interval);
        if let Err(error) = socket2::SockRef::from(self).set_tcp_keepalive(&keepalive) {
            tracing::debug!(%error, "no keep-alive");
        }
    }

    fn poll_bytes(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Bytes>> {
        line::poll_bytes(self, cx, u64::MAX)
    }

    fn poll_send(
        &mut self,
        cx: &mut Context<'_>,
        waiting: &mut VecDeque<Bytes>,
    ) -> Poll<io::Result<()>> {
        line::poll_send(self, cx, waiting)
    }

    fn poll_close(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        Pin::new(self).poll_shutdown(cx).map(drop)
    }
}

impl Stream for tokio::net::UnixStream {
    fn keep_alive(&self, _: Duration) {}

    fn poll_bytes(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Bytes>> {
        line::poll_bytes(self, cx, u64::MAX)
    }

    fn poll_send(
        &mut self,
        cx: &mut Context<'_>,
        waiting: &mut VecDeque<Bytes>,
    ) -> Poll<io::Result<()>> {
        line::poll_send(self, cx, waiting)
    }

    fn poll_close(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        Pin::new(self).poll_shutdown(cx).map(drop)
    }
}

impl Stream for Pipe {
    fn keep_alive(&self, _: Duration) {}

    fn poll_bytes(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Bytes>> {
        Pipe::poll_bytes(self, cx).map(Ok)
    }

    fn poll_send(
        &mut self,
        cx: &mut Context<'_>,
        waiting: &mut VecDeque<Bytes>,
    ) -> Poll<io::Result<()>> {
        Pipe::poll_send(self, cx, waiting)
    }

    fn poll_close(&mut self, _: &mut Context<'_>) -> Poll<()> {
        self.close();
        Poll::Ready(())
    }
}

/// A connection that is being made.
pub(super) type Connecting = Pin<Box<dyn Future<Output = io::Result<Box<dyn Stream>>> + Send>>;

/// What happened on a connection.
#[derive(Debug)]
pub(super) enum Happened {
    /// These bytes came.
    Bytes(Bytes),
    /// It stands.
    Connected,
    /// It could not be made.
    Unreached,
    /// It is gone.
    Closed,
}

/// One connection.
pub(super) struct Wire {
    pub(super) id: ChannelId,
    end: End,
    /// Given, and not yet written.
    waiting: VecDeque<Bytes>,
    /// Nothing more is read, and when all is written it ends.
    closing: bool,
}

enum End {
    Client(Box<Line>),
    Connecting(Connecting),
    Server(Box<dyn Stream>),
    Gone,
}

impl Wire {
    /// A client's channel.
    pub(super) fn client(id: ChannelId, line: Box<Line>) -> Self {
        Self::new(id, End::Client(line))
    }

    /// A server that is being reached.
    pub(super) fn connecting(id: ChannelId, connecting: Connecting) -> Self {
        Self::new(id, End::Connecting(connecting))
    }

    /// A connection that stands.
    pub(super) fn standing(id: ChannelId, stream: Box<dyn Stream>) -> Self {
        Self::new(id, End::Server(stream))
    }

    fn new(id: ChannelId, end: End) -> Self {
        Self {
            id,
            end,
            waiting: VecDeque::new(),
            closing: false,
        }
    }

    /// Whether nothing is left of it.
    pub(super) fn is_gone(&self) -> bool {
        matches!(self.end, End::Gone)
    }

    /// Whether a client is at its other end.
    pub(super) fn is_client(&self) -> bool {
        matches!(self.end, End::Client(_))
    }

    /// Whether it takes more to be written.
    pub(super) fn has_room(&self) -> bool {
        let writes = match &self.end {
            End::Client(line) => line.is_answered(),
            End::Server(_) => true,
            End::Connecting(_) | End::Gone => false,
        };
        writes && self.waiting.len() < MOST
    }

    /// Takes bytes to be written.
    pub(super) fn write(&mut self, bytes: Bytes) {
        self.waiting.push_back(bytes);
    }

    /// Answers a client with success; bytes can be written from now on.
    pub(super) fn respond(&mut self, lifetime: u32) {
        if let End::Client(line) = &mut self.end
            && !line.is_answered()
        {
            let head = line.opened(lifetime);
            self.waiting.push_back(head);
        }
    }

    /// Answers a client with an error.
    pub(super) fn refuse(&mut self, code: u32) {
        if let End::Client(line) = std::mem::replace(&mut self.end, End::Gone)
            && !line.is_answered()
        {
            tokio::spawn(line.refuse(code));
        }
    }

    /// Ends it when everything is written.
    pub(super) fn close(&mut self) {
        self.closing = true;
        if matches!(self.end, End::Connecting(_)) {
            self.end = End::Gone;
        }
    }

    /// Has the kernel look after it.
    pub(super) fn keep_alive(&self, interval: Duration) {
        if let End::Server(stream) = &self.end {
            stream.keep_alive(interval);
        }
    }

    /// Writes what can be written. True if something was.
    pub(super) fn poll_write(&mut self, cx: &mut Context<'_>) -> bool {
        let mut progress = false;
        while !self.waiting.is_empty() {
            let sent = match &mut self.end {
                End::Server(stream) => stream.poll_send(cx, &mut self.waiting),
                End::Client(line) if line.is_answered() => line.poll_send(cx, &mut self.waiting),
                _ => {
                    self.waiting.clear();
                    break;
                }
            };
            match sent {
                Poll::Ready(Ok(())) => progress = true,
                // Reading says that it is gone.
                Poll::Ready(Err(_)) => self.waiting.clear(),
                Poll::Pending => break,
            }
        }
        let sent = match &mut self.end {
            End::Client(line) => line.poll_flush(cx),
            _ => true,
        };
        if self.closing && sent && self.waiting.is_empty() && !self.is_gone() {
            progress |= self.poll_end(cx);
        }
        progress
    }

    fn poll_end(&mut self, cx: &mut Context<'_>) -> bool {
        if let End::Server(stream) = &mut self.end
            && stream.poll_close(cx).is_pending()
        {
            return false;
        }
        if let End::Client(line) = std::mem::replace(&mut self.end, End::Gone) {
            tokio::spawn(line.finish());
        }
        true
    }

    /// What happened on it, if it is to be read.
    pub(super) fn poll_read(&mut self, cx: &mut Context<'_>, readable: bool) -> Poll<Happened> {
        if self.closing {
            return Poll::Pending;
        }
        let happened = match &mut self.end {
            End::Gone => return Poll::Pending,
            End::Connecting(connecting) => match std::task::ready!(connecting.as_mut().poll(cx)) {
                Ok(stream) => {
                    self.end = End::Server(stream);
                    return Poll::Ready(Happened::Connected);
                }
                Err(error) => {
                    tracing::debug!(%error, "server not reached");
                    Happened::Unreached
                }
            },
            End::Server(_) | End::Client(_) if !readable => return Poll::Pending,
            End::Server(stream) => came(std::task::ready!(stream.poll_bytes(cx))),
            End::Client(line) => came(Ok(std::task::ready!(line.poll_next(cx)))),
        };
        if matches!(happened, Happened::Closed | Happened::Unreached) {
            self.end = End::Gone;
        }
        Poll::Ready(happened)
    }
}

fn came(read: io::Result<Bytes>) -> Happened {
    match read {
        Ok(bytes) if !bytes.is_empty() => Happened::Bytes(bytes),
        _ => Happened::Closed,
    }
}

impl Drop for Wire {
    fn drop(&mut self) {
        if let End::Client(line) = std::mem::replace(&mut self.end, End::Gone)
            && !line.is_answered()
            && let Ok(runtime) = Handle::try_current()
        {
            runtime.spawn(line.refuse(code::CALL_FAILED));
        }
    }
}
