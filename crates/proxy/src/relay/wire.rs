//! The connections of a half: what is read from each and written to each, without waiting for any of them.
//!
//! A request of a client is read as the body of an HTTP request and, if it is for an OUT channel, written as the body of its response;
//! a server is read and written as a stream. Nothing is read here that nobody asks for, and little is written ahead.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::{Buf, Bytes};
use farcall_rpch::ChannelId;
use http_body::Body;
use hyper::body::Incoming;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::PollSender;

use crate::channel::{Answer, code, stream};

/// Bytes that are read from a server at once.
const CHUNK: usize = 64 << 10;

/// How long the end of a response is put off, so that the HTTP server has written what it was given.
const LAST: Duration = Duration::from_millis(200);

thread_local! {
    static SCRATCH: RefCell<Vec<u8>> = RefCell::new(vec![0; CHUNK]);
}

/// A byte stream to a server.
pub(super) trait Stream: AsyncRead + AsyncWrite + Send + Unpin {
    /// Asks the kernel to look after the connection.
    fn keep_alive(&self, interval: Duration);
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
}

impl Stream for tokio::io::DuplexStream {
    fn keep_alive(&self, _: Duration) {}
}

impl Stream for tokio::net::UnixStream {
    fn keep_alive(&self, _: Duration) {}
}

/// A connection that is being made.
pub(super) type Connecting = Pin<Box<dyn Future<Output = io::Result<Box<dyn Stream>>> + Send>>;

/// A client's request.
pub(super) struct Request {
    /// What was read already, behind the first PDU.
    pub(super) early: Bytes,
    /// What is still to be read.
    pub(super) body: Incoming,
    /// Bytes that the request declared: an IN channel's lifetime.
    pub(super) length: u64,
    /// Whether the end of what is read is the end of the channel: an OUT request has said all it has to say then.
    pub(super) ends: bool,
    /// Where its answer goes.
    pub(super) answer: oneshot::Sender<Answer>,
}

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
    Client {
        early: Bytes,
        body: Option<Incoming>,
        ends: bool,
        answer: Option<oneshot::Sender<Answer>>,
        to: Option<Response>,
    },
    Connecting(Connecting),
    Server(Box<dyn Stream>),
    Gone,
}

/// The sending end of a response's body.
struct Response {
    to: PollSender<Bytes>,
    gone: Pin<Box<dyn Future<Output = ()> + Send>>,
}

impl Wire {
    /// A client's request.
    pub(super) fn client(id: ChannelId, request: Request) -> Self {
        Self::new(
            id,
            End::Client {
                early: request.early,
                body: Some(request.body),
                ends: request.ends,
                answer: Some(request.answer),
                to: None,
            },
        )
    }

    /// A server that is being reached.
    pub(super) fn server(id: ChannelId, connecting: Connecting) -> Self {
        Self::new(id, End::Connecting(connecting))
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
        matches!(self.end, End::Client { .. })
    }

    /// Whether it takes more to be written.
    pub(super) fn has_room(&self) -> bool {
        let writes = match &self.end {
            End::Client { to, .. } => to.is_some(),
            End::Server(_) => true,
            End::Connecting(_) | End::Gone => false,
        };
        writes && self.waiting.len() < 16
    }

    /// Takes bytes to be written.
    pub(super) fn write(&mut self, bytes: Bytes) {
        self.waiting.push_back(bytes);
    }

    /// Answers a client with success; bytes can be written from now on.
    pub(super) fn respond(&mut self, lifetime: u32) {
        let End::Client { answer, to, .. } = &mut self.end else {
            return;
        };
        if let Some(answer) = answer.take() {
            let (sender, body) = stream();
            *to = Some(Response::new(sender));
            // If the client has gone, reading says so.
            let _ = answer.send(Answer::Opened { lifetime, body });
        }
    }

    /// Answers a client with an error.
    pub(super) fn refuse(&mut self, code: u32) {
        if let End::Client { answer, .. } = &mut self.end
            && let Some(answer) = answer.take()
        {
            let _ = answer.send(Answer::Refused(code));
        }
        self.end = End::Gone;
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
        while let Poll::Ready(written) = self.write_some(cx) {
            match written {
                Ok(true) => progress = true,
                Ok(false) => break,
                Err(_) => {
                    // Reading says that it is gone.
                    self.waiting.clear();
                    break;
                }
            }
        }
        if self.closing && self.waiting.is_empty() && !self.is_gone() {
            progress |= self.poll_end(cx);
        }
        progress
    }

    fn write_some(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<bool>> {
        let Some(first) = self.waiting.front_mut() else {
            return Poll::Ready(Ok(false));
        };
        match &mut self.end {
            End::Server(stream) => {
                let len = std::task::ready!(Pin::new(stream).poll_write(cx, first))?;
                if len == 0 {
                    return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
                }
                first.advance(len);
                if first.is_empty() {
                    self.waiting.pop_front();
                }
                Poll::Ready(Ok(true))
            }
            End::Client {
                to: Some(response), ..
            } => {
                let gone = |_| io::Error::from(io::ErrorKind::BrokenPipe);
                std::task::ready!(response.to.poll_reserve(cx)).map_err(gone)?;
                let bytes = self.waiting.pop_front().unwrap_or_default();
                response.to.send_item(bytes).map_err(gone)?;
                Poll::Ready(Ok(true))
            }
            _ => {
                self.waiting.clear();
                Poll::Ready(Ok(false))
            }
        }
    }

    fn poll_end(&mut self, cx: &mut Context<'_>) -> bool {
        match &mut self.end {
            End::Server(stream) => match Pin::new(stream).poll_shutdown(cx) {
                Poll::Pending => return false,
                Poll::Ready(_) => {}
            },
            End::Client { to, .. } => {
                if let Some(response) = to.take() {
                    tokio::spawn(response.end());
                }
            }
            End::Connecting(_) | End::Gone => {}
        }
        self.end = End::Gone;
        true
    }

    /// Whether it should be polled for something to read although its reader is full: it may be gone.
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
            End::Server(_) if !readable => return Poll::Pending,
            End::Server(stream) => std::task::ready!(read(stream.as_mut(), cx)),
            End::Client {
                early,
                body,
                ends,
                answer,
                to,
            } => {
                std::task::ready!(poll_client(cx, early, (body, *ends), answer, to, readable))
            }
        };
        if matches!(happened, Happened::Closed | Happened::Unreached) {
            self.end = End::Gone;
        }
        Poll::Ready(happened)
    }
}

fn poll_client(
    cx: &mut Context<'_>,
    early: &mut Bytes,
    (body, ends): (&mut Option<Incoming>, bool),
    answer: &mut Option<oneshot::Sender<Answer>>,
    to: &mut Option<Response>,
    readable: bool,
) -> Poll<Happened> {
    let gone = match (answer, to.as_mut()) {
        (_, Some(response)) => response.gone.as_mut().poll(cx).is_ready(),
        (Some(answer), None) => answer.poll_closed(cx).is_ready(),
        (None, None) => true,
    };
    if gone {
        return Poll::Ready(Happened::Closed);
    }
    if !readable {
        return Poll::Pending;
    }
    if !early.is_empty() {
        return Poll::Ready(Happened::Bytes(std::mem::take(early)));
    }
    let Some(incoming) = body else {
        return Poll::Pending;
    };
    match std::task::ready!(Pin::new(incoming).poll_frame(cx)) {
        Some(Ok(frame)) => match frame.into_data() {
            Ok(bytes) => Poll::Ready(Happened::Bytes(bytes)),
            Err(_) => Poll::Ready(Happened::Closed),
        },
        Some(Err(_)) => Poll::Ready(Happened::Closed),
        // An OUT request has said all it has to say; an IN channel has come to the end of its lifetime.
        None => {
            *body = None;
            match ends {
                true => Poll::Ready(Happened::Closed),
                false => Poll::Pending,
            }
        }
    }
}

fn read(stream: &mut dyn Stream, cx: &mut Context<'_>) -> Poll<Happened> {
    SCRATCH.with_borrow_mut(|scratch| {
        let mut buffer = ReadBuf::new(scratch);
        match std::task::ready!(Pin::new(stream).poll_read(cx, &mut buffer)) {
            Ok(()) if buffer.filled().is_empty() => Poll::Ready(Happened::Closed),
            Ok(()) => Poll::Ready(Happened::Bytes(Bytes::copy_from_slice(buffer.filled()))),
            Err(_) => Poll::Ready(Happened::Closed),
        }
    })
}

impl Response {
    fn new(to: mpsc::Sender<Bytes>) -> Self {
        let other = to.clone();
        Self {
            to: PollSender::new(to),
            gone: Box::pin(async move { other.closed().await }),
        }
    }

    /// Ends the response when the HTTP server has taken and written what is on its way.
    async fn end(self) {
        let Some(to) = self.to.get_ref() else {
            return;
        };
        while to.capacity() < to.max_capacity() && !to.is_closed() {
            tokio::time::sleep(LAST / 10).await;
        }
        tokio::time::sleep(LAST).await;
    }
}

impl Drop for Wire {
    fn drop(&mut self) {
        if let End::Client { answer, .. } = &mut self.end
            && let Some(answer) = answer.take()
        {
            let _ = answer.send(Answer::Refused(code::CALL_FAILED));
        }
    }
}
