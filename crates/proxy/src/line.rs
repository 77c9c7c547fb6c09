//! A client's connection from the moment on when its request for a channel has been let in: the bytes of the channel, and nothing else.
//!
//! Read first: RFC 9112 sections 6.2 (a body of a declared length), 9.3 and 9.6, RFC 9110 section 10.1.1 (100-continue); MS-RPCH sections 2.1.2.1.3 and
//! 2.1.2.1.4 (the responses). A channel is one request and one response that last for hours. The HTTP library, which is made for many requests
//! in a row, is left as soon as the head of such a request has been judged: what is read after that is the request's declared body, byte for byte,
//! and what is written is one head and then the channel. The connection ends with it: nothing behind the body is ever served.
//!
//! A line that waits holds no buffer; bytes are read into one of the thread's.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::future::poll_fn;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::{Duration, SystemTime};

use bytes::{Buf, Bytes};
use http::HeaderValue;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::server::TlsStream;

/// Bytes that are read at once.
const CHUNK: usize = 64 << 10;

/// Pieces that are written at once.
const PIECES: usize = 32;

/// A queue of more places than these is not kept when it is empty.
const KEPT: usize = 8;

/// What a client still sends after an error is thrown away: this much of it, and for this long.
const LINGER: (usize, Duration) = (256 << 10, Duration::from_secs(1));

const CONTINUE: &[u8] = b"HTTP/1.1 100 Continue\r\n\r\n";

thread_local! {
    static PLAIN: RefCell<Vec<u8>> = RefCell::new(vec![0; CHUNK]);
    // Of its own, since TLS reads while the other is being filled.
    static SEALED: RefCell<Vec<u8>> = RefCell::new(vec![0; CHUNK]);
}

/// Reads what is there, at most `most` bytes of it; nothing at the end.
pub(crate) fn poll_bytes<S: AsyncRead + Unpin + ?Sized>(
    stream: &mut S,
    cx: &mut Context<'_>,
    most: u64,
) -> Poll<io::Result<Bytes>> {
    let most = usize::try_from(most).unwrap_or(usize::MAX).min(CHUNK);
    PLAIN.with_borrow_mut(|chunk| {
        let mut buffer = ReadBuf::new(chunk.get_mut(..most).unwrap_or_default());
        ready!(Pin::new(stream).poll_read(cx, &mut buffer))?;
        Poll::Ready(Ok(Bytes::copy_from_slice(buffer.filled())))
    })
}

/// Writes once, of everything that waits as much as is taken.
pub(crate) fn poll_send<S: AsyncWrite + Unpin + ?Sized>(
    stream: &mut S,
    cx: &mut Context<'_>,
    waiting: &mut VecDeque<Bytes>,
) -> Poll<io::Result<()>> {
    let mut slices = [IoSlice::new(&[]); PIECES];
    let pieces = slices.iter_mut().zip(waiting.iter());
    let count = pieces
        .map(|(slice, bytes)| *slice = IoSlice::new(bytes))
        .count();
    let stream = Pin::new(stream);
    let written = match slices.get(..count).unwrap_or_default() {
        [] => return Poll::Ready(Ok(())),
        [one] => stream.poll_write(cx, one),
        many => stream.poll_write_vectored(cx, many),
    };
    let mut written = ready!(written)?;
    if written == 0 {
        return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
    }
    while let Some(first) = waiting.front_mut()
        && written >= first.len()
    {
        written -= first.len();
        waiting.pop_front();
    }
    if let Some(first) = waiting.front_mut() {
        first.advance(written);
    } else if waiting.capacity() > KEPT {
        *waiting = VecDeque::new();
    }
    Poll::Ready(Ok(()))
}

/// A socket below TLS. TLS asks for little at a time; this reads all that is there, and keeps no buffer when nothing is left.
#[derive(Debug)]
pub struct Gathered {
    stream: TcpStream,
    ahead: Bytes,
}

impl Gathered {
    /// Nothing was read of the stream that is not `TLS`'s.
    #[must_use]
    pub fn new(stream: TcpStream) -> Self {
        let ahead = Bytes::new();
        Self { stream, ahead }
    }
}

impl AsyncRead for Gathered {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if this.ahead.is_empty() {
            let stream = Pin::new(&mut this.stream);
            let ahead = SEALED.with_borrow_mut(|chunk| {
                let mut read = ReadBuf::new(chunk);
                ready!(stream.poll_read(cx, &mut read))?;
                let (now, later) = read
                    .filled()
                    .split_at(read.filled().len().min(buf.remaining()));
                buf.put_slice(now);
                Poll::Ready(io::Result::Ok(Bytes::copy_from_slice(later)))
            });
            this.ahead = ready!(ahead)?;
            return Poll::Ready(Ok(()));
        }
        let len = this.ahead.len().min(buf.remaining());
        buf.put_slice(this.ahead.get(..len).unwrap_or_default());
        this.ahead.advance(len);
        if this.ahead.is_empty() {
            this.ahead = Bytes::new();
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Gathered {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().stream).poll_write(cx, buf)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_shutdown(cx)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().stream).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}

/// A client's socket, in TLS or not.
#[derive(Debug)]
pub enum Socket {
    /// Not in TLS.
    Plain(TcpStream),
    /// In TLS.
    Tls(Box<TlsStream<Gathered>>),
}

/// Does the same with either.
macro_rules! either {
    ($self:expr, $stream:ident => $what:expr) => {
        match $self.get_mut() {
            Socket::Plain($stream) => $what,
            Socket::Tls($stream) => $what,
        }
    };
}

impl AsyncRead for Socket {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let stream = match self.get_mut() {
            Self::Plain(stream) => return Pin::new(stream).poll_read(cx, buf),
            Self::Tls(stream) => stream,
        };
        ready!(Pin::new(&mut *stream).poll_read(cx, buf))?;
        // TLS gives one record at a time; all that are here are taken together.
        let mut before = 0;
        while buf.filled().len() > before && buf.remaining() > 0 {
            before = buf.filled().len();
            if !matches!(
                Pin::new(&mut *stream).poll_read(cx, buf),
                Poll::Ready(Ok(()))
            ) {
                // An error comes again when it is asked for.
                break;
            }
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Socket {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        either!(self, stream => Pin::new(stream).poll_write(cx, buf))
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        either!(self, stream => Pin::new(stream).poll_flush(cx))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        either!(self, stream => Pin::new(stream).poll_shutdown(cx))
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        either!(self, stream => Pin::new(stream).poll_write_vectored(cx, bufs))
    }

    fn is_write_vectored(&self) -> bool {
        true
    }
}

/// How a request wants to be answered.
#[derive(Clone, Debug, Default)]
pub struct Manner {
    /// In HTTP/1.0.
    pub old: bool,
    /// It says that its connection is to close.
    pub closes: bool,
    /// Its client waits for `100 Continue` before it sends the body.
    pub waits: bool,
    /// The client's last token, if it has just proved who it is.
    pub proof: Option<HeaderValue>,
}

/// What a line is made of.
pub struct Parts {
    /// The connection.
    pub socket: Socket,
    /// What has been read behind the head.
    pub early: Bytes,
    /// The length that the request declares.
    pub length: u64,
    /// Whether the end of the body is the end of the channel. Otherwise it has said all it has to say, and only the end of the connection can come.
    pub ends: bool,
    /// How it is answered.
    pub manner: Manner,
    /// Whatever is to be dropped when the connection has ended.
    pub held: Box<dyn Send + Sync>,
}

/// A connection that is a channel.
pub struct Line {
    socket: Socket,
    early: Bytes,
    /// Bytes of the body that are still to be read from the socket.
    left: u64,
    /// Something stands behind the body.
    behind: bool,
    ends: bool,
    /// What is written may not have left TLS.
    unsent: bool,
    /// Until it is answered.
    manner: Option<Box<Manner>>,
    _held: Box<dyn Send + Sync>,
}

impl std::fmt::Debug for Line {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Line")
            .field("socket", &self.socket)
            .field("left", &self.left)
            .finish_non_exhaustive()
    }
}

impl Line {
    /// A line that has not been answered.
    #[must_use]
    pub fn new(parts: Parts) -> Self {
        let mut early = parts.early;
        let length = usize::try_from(parts.length).unwrap_or(usize::MAX);
        let behind = early.len() > length;
        early.truncate(length);
        Self {
            left: parts.length.saturating_sub(early.len() as u64),
            socket: parts.socket,
            early,
            behind,
            ends: parts.ends,
            unsent: false,
            manner: Some(Box::new(parts.manner)),
            _held: parts.held,
        }
    }

    /// Whether the whole body has been given out.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        self.left == 0 && self.early.is_empty()
    }

    /// Whether its request was answered.
    #[must_use]
    pub fn is_answered(&self) -> bool {
        self.manner.is_none()
    }

    /// Bytes that were given out and are to be given out again, before all others.
    pub fn put_back(&mut self, bytes: Bytes) {
        self.early = match self.early.is_empty() {
            true => bytes,
            false => [bytes, std::mem::take(&mut self.early)].concat().into(),
        };
    }

    /// The next bytes of the body; nothing when it has ended or the client has gone.
    pub async fn next(&mut self) -> Bytes {
        if let Some(manner) = &mut self.manner
            && std::mem::take(&mut manner.waits)
        {
            // Reading says whether the client has gone.
            let _ = self.socket.write_all(CONTINUE).await;
            let _ = self.socket.flush().await;
        }
        poll_fn(|cx| self.poll_next(cx)).await
    }

    /// The next bytes of the body; nothing when the channel has ended or the client has gone.
    pub fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Bytes> {
        if !self.early.is_empty() {
            return Poll::Ready(std::mem::take(&mut self.early));
        }
        if self.left > 0 {
            let read = ready!(poll_bytes(&mut self.socket, cx, self.left));
            let bytes = read.unwrap_or_default();
            self.left = self.left.saturating_sub(bytes.len() as u64);
            return Poll::Ready(bytes);
        }
        if !self.ends && !self.behind {
            // Its end, or what no client sends.
            let _ = ready!(poll_bytes(&mut self.socket, cx, 1));
        }
        Poll::Ready(Bytes::new())
    }

    /// Writes once, of everything that waits as much as is taken.
    pub fn poll_send(
        &mut self,
        cx: &mut Context<'_>,
        waiting: &mut VecDeque<Bytes>,
    ) -> Poll<io::Result<()>> {
        self.unsent |= !waiting.is_empty();
        poll_send(&mut self.socket, cx, waiting)
    }

    /// Sends what TLS still has. True if it has nothing.
    pub fn poll_flush(&mut self, cx: &mut Context<'_>) -> bool {
        if self.unsent {
            // If it fails, reading says so.
            self.unsent = Pin::new(&mut self.socket).poll_flush(cx).is_pending();
        }
        !self.unsent
    }

    /// The head of success of an OUT channel of this lifetime, to be written first.
    pub fn opened(&mut self, lifetime: u32) -> Bytes {
        let manner = self.manner.take().unwrap_or_default();
        let more = format!("content-type: application/rpc\r\ncontent-length: {lifetime}\r\n");
        head(&manner, "200 Success", &more)
    }

    /// Tells the client `503 RPC Error:` and this Win32 code, and ends.
    pub async fn refuse(mut self: Box<Self>, code: u32) {
        if let Some(manner) = self.manner.take() {
            let manner = Manner {
                closes: true,
                proof: None,
                ..*manner
            };
            let status = format!("503 RPC Error: {code:x}");
            let head = head(&manner, &status, "content-length: 0\r\n");
            // The client may have gone.
            let _ = timeout(LINGER.1, self.socket.write_all(&head)).await;
        }
        self.finish().await;
    }

    /// Ends, so that what was written last arrives.
    pub async fn finish(self: Box<Self>) {
        let Self { socket, _held, .. } = *self;
        finish(socket).await;
    }
}

fn head(manner: &Manner, status: &str, more: &str) -> Bytes {
    let version = u8::from(!manner.old);
    let mut head = format!("HTTP/1.{version} {status}\r\n{more}");
    if manner.closes {
        head.push_str("connection: close\r\n");
    }
    let mut head = head.into_bytes();
    if let Some(token) = &manner.proof {
        head.extend_from_slice(b"persistent-auth: true\r\n");
        head.extend_from_slice(b"www-authenticate: ");
        head.extend_from_slice(token.as_bytes());
        head.extend_from_slice(b"\r\n");
    }
    let now = httpdate::HttpDate::from(SystemTime::now());
    head.extend_from_slice(format!("date: {now}\r\n\r\n").as_bytes());
    head.into()
}

/// Ends a connection so that its last answer arrives: a socket that is closed over unread bytes destroys it.
pub async fn finish<S: AsyncRead + AsyncWrite + Unpin>(mut stream: S) {
    let (most, time) = LINGER;
    let ending = async {
        stream.shutdown().await?;
        let mut chunk = vec![0; 8 << 10];
        let mut rest = most;
        while rest > 0 {
            match stream.read(&mut chunk).await? {
                0 => break,
                len => rest = rest.saturating_sub(len),
            }
        }
        Ok::<_, io::Error>(())
    };
    // Whatever comes of it, the connection is over.
    let _ = timeout(time, ending).await;
}

#[cfg(test)]
mod tests;
