//! The guard below the HTTP server: it reads each request's raw head, and lets through only what has exactly one meaning.
//!
//! Read first: RFC 9112 sections 2.2, 3, 5 and 6, and 11.2 (request smuggling). A general HTTP library is lenient where
//! two programs in a row may read differently; here a connection ends at the first doubt. The guard stands between the socket and
//! the library: a head is held back until all of it has been judged, and then exactly as many bytes of body follow as
//! it declares. It does not answer; whoever owns the connection asks [`Found::fault`] afterwards.

use std::fmt;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll};

use bytes::{Buf, Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// Largest head of a request, in bytes: a Kerberos token with many groups fits.
pub const MAX_HEAD: usize = 64 * 1024;

/// Largest body that a request may declare: the largest that the protocol knows (MS-RPCH section 2.1.2.1.1.1), 2 GiB.
pub const MAX_BODY: u64 = 1 << 31;

/// Bytes that are read at once while a head is awaited.
const CHUNK: usize = 4096;

/// Why a request was not let through.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Fault {
    /// More than [`MAX_HEAD`] bytes.
    TooLong,
    /// A line that does not end in carriage return and line feed, or one of the two elsewhere.
    BareLine,
    /// A header that goes on in the next line.
    Folded,
    /// A request line that is not method, path and version with single spaces.
    RequestLine,
    /// A header that is not name, colon and printable value.
    Header,
    /// `Transfer-Encoding`, whatever it says.
    TransferEncoding,
    /// `Content-Length` twice, or not a plain decimal number.
    ContentLength,
    /// `Host` or `Authorization` twice.
    Repeated,
    /// A declared body of more than [`MAX_BODY`] bytes.
    TooLarge,
}

impl Fault {
    /// What is wrong, in a few words, for a log.
    #[must_use]
    pub const fn reason(self) -> &'static str {
        match self {
            Self::TooLong => "head of more than 65536 bytes",
            Self::BareLine => "line that does not end in CR LF",
            Self::Folded => "folded header",
            Self::RequestLine => "request line with a second meaning",
            Self::Header => "header with a second meaning",
            Self::TransferEncoding => "Transfer-Encoding",
            Self::ContentLength => "Content-Length repeated or no number",
            Self::Repeated => "Host or Authorization repeated",
            Self::TooLarge => "body of more than 2147483648 bytes",
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.reason())
    }
}

/// A place where the guard leaves what it found.
#[derive(Clone, Debug, Default)]
pub struct Found(Arc<OnceLock<Fault>>);

impl Found {
    /// The fault, if there was one.
    #[must_use]
    pub fn fault(&self) -> Option<Fault> {
        self.0.get().copied()
    }
}

/// A byte stream whose requests are judged. Writing passes through.
#[derive(Debug)]
pub struct Guard<S> {
    stream: S,
    /// Read and not yet judged, except for the first `ready` bytes, which may go on.
    raw: BytesMut,
    ready: usize,
    /// Bytes of `raw` that hold no end of a head.
    searched: usize,
    /// Bytes of the current body that are still to come from the stream.
    body: u64,
    found: Found,
}

impl<S> Guard<S> {
    /// Guards a stream; `early` was read from it already.
    pub fn new(stream: S, early: &[u8]) -> Self {
        Self {
            stream,
            raw: BytesMut::from(early),
            ready: 0,
            searched: 0,
            body: 0,
            found: Found::default(),
        }
    }

    /// Where its fault will be found.
    pub fn found(&self) -> Found {
        self.found.clone()
    }

    /// The stream below, and what was read of it and has not gone on.
    pub fn into_parts(self) -> (S, Bytes) {
        (self.stream, self.raw.freeze())
    }

    /// Judges what has been read, once a head is complete. False if more must be read.
    fn judge(&mut self) -> Result<bool, Fault> {
        if self.raw.is_empty() {
            return Ok(false);
        }
        let from = self.searched.saturating_sub(3);
        let Some(at) = find_end(self.raw.get(from..).unwrap_or_default())? else {
            self.searched = self.raw.len();
            return match self.raw.len() > MAX_HEAD {
                true => Err(Fault::TooLong),
                false => Ok(false),
            };
        };
        let end = from + at;
        if end > MAX_HEAD {
            return Err(Fault::TooLong);
        }
        let length = judge_head(self.raw.get(..end).unwrap_or_default())?;
        let rest = self.raw.len() - end;
        let here = usize::try_from(length).unwrap_or(usize::MAX).min(rest);
        self.ready = end + here;
        self.body = length - here as u64;
        self.searched = 0;
        Ok(true)
    }

    fn hand_out(&mut self, buf: &mut ReadBuf<'_>) {
        let len = self.ready.min(buf.remaining());
        buf.put_slice(self.raw.get(..len).unwrap_or_default());
        self.raw.advance(len);
        self.ready -= len;
        if self.raw.is_empty() {
            // What a long head took is not kept for a connection that may stay for days.
            self.raw = BytesMut::new();
        }
    }
}

impl<S: AsyncRead + Unpin> Guard<S> {
    fn read_body(&mut self, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let most = usize::try_from(self.body).unwrap_or(usize::MAX);
        let before = buf.filled().len();
        if most >= buf.remaining() {
            std::task::ready!(Pin::new(&mut self.stream).poll_read(cx, buf))?;
            self.body -= (buf.filled().len() - before) as u64;
            return Poll::Ready(Ok(()));
        }
        // The last of a body: no byte of what follows may be taken along.
        let mut part = ReadBuf::new(buf.initialize_unfilled_to(most));
        std::task::ready!(Pin::new(&mut self.stream).poll_read(cx, &mut part))?;
        let len = part.filled().len();
        buf.advance(len);
        self.body -= len as u64;
        Poll::Ready(Ok(()))
    }

    /// Reads more of a head. False at the end of the stream.
    fn read_head(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<bool>> {
        let mut chunk = [0; CHUNK];
        let mut part = ReadBuf::new(&mut chunk);
        std::task::ready!(Pin::new(&mut self.stream).poll_read(cx, &mut part))?;
        self.raw.extend_from_slice(part.filled());
        Poll::Ready(Ok(!part.filled().is_empty()))
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Guard<S> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        loop {
            if this.found.fault().is_some() || buf.remaining() == 0 {
                return Poll::Ready(Ok(()));
            }
            if this.ready > 0 {
                this.hand_out(buf);
                return Poll::Ready(Ok(()));
            }
            if this.body > 0 {
                return this.read_body(cx, buf);
            }
            match this.judge() {
                Ok(true) => {}
                Ok(false) if !std::task::ready!(this.read_head(cx))? => return Poll::Ready(Ok(())),
                Ok(false) => {}
                Err(fault) => {
                    let _ = this.found.0.set(fault);
                }
            }
        }
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Guard<S> {
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
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().stream).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}

/// The length up to and with the empty line that ends a head, if it is there. A line feed by itself is a fault at once.
fn find_end(bytes: &[u8]) -> Result<Option<usize>, Fault> {
    let mut last = None;
    for (at, byte) in bytes.iter().enumerate() {
        if *byte != b'\n' {
            continue;
        }
        // The first byte may follow a carriage return that was searched before.
        if at > 0 && bytes.get(at - 1) != Some(&b'\r') {
            return Err(Fault::BareLine);
        }
        if last.is_some_and(|last| last + 2 == at) {
            return Ok(Some(at + 1));
        }
        last = Some(at);
    }
    Ok(None)
}

/// Judges a whole head, the empty line at its end included: the length of the body that follows.
///
/// # Errors
/// [`Fault`]: what has two meanings.
pub fn judge_head(head: &[u8]) -> Result<u64, Fault> {
    let text = head.strip_suffix(b"\r\n\r\n").ok_or(Fault::BareLine)?;
    let mut lines = Lines(Some(text));
    judge_request_line(lines.next().ok_or(Fault::RequestLine)??)?;
    let mut seen = Seen::default();
    for line in lines {
        seen.header(line?)?;
    }
    Ok(seen.length.unwrap_or(0))
}

/// Lines that end in CR LF; neither of the two stands anywhere else.
struct Lines<'a>(Option<&'a [u8]>);

impl<'a> Iterator for Lines<'a> {
    type Item = Result<&'a [u8], Fault>;

    fn next(&mut self) -> Option<Self::Item> {
        let rest = self.0.take()?;
        let Some(at) = rest.iter().position(|byte| matches!(byte, b'\r' | b'\n')) else {
            return Some(Ok(rest));
        };
        let (line, end) = rest.split_at_checked(at)?;
        let Some(after) = end.strip_prefix(b"\r\n") else {
            return Some(Err(Fault::BareLine));
        };
        self.0 = Some(after);
        Some(Ok(line))
    }
}

fn judge_request_line(line: &[u8]) -> Result<(), Fault> {
    let mut parts = line.split(|byte| *byte == b' ');
    let (Some(method), Some(path), Some(version), None) =
        (parts.next(), parts.next(), parts.next(), parts.next())
    else {
        return Err(Fault::RequestLine);
    };
    let path_fits = path.first() == Some(&b'/') && path.iter().all(|byte| byte.is_ascii_graphic());
    let version_fits = matches!(version, b"HTTP/1.0" | b"HTTP/1.1");
    match is_token(method) && path_fits && version_fits {
        true => Ok(()),
        false => Err(Fault::RequestLine),
    }
}

/// What may come once.
#[derive(Default)]
struct Seen {
    length: Option<u64>,
    host: bool,
    authorization: bool,
}

impl Seen {
    fn header(&mut self, line: &[u8]) -> Result<(), Fault> {
        if matches!(line.first(), Some(b' ' | b'\t')) {
            return Err(Fault::Folded);
        }
        let colon = line.iter().position(|byte| *byte == b':');
        let (name, value) = line
            .split_at_checked(colon.ok_or(Fault::Header)?)
            .ok_or(Fault::Header)?;
        let value = value.strip_prefix(b":").unwrap_or_default().trim_ascii();
        let printable = |byte: &u8| *byte == b'\t' || (*byte >= b' ' && *byte != 0x7f);
        if !is_token(name) || !value.iter().all(printable) {
            return Err(Fault::Header);
        }
        match name.to_ascii_lowercase().as_slice() {
            b"transfer-encoding" => Err(Fault::TransferEncoding),
            b"content-length" => self.length(value),
            b"host" => once(&mut self.host),
            b"authorization" => once(&mut self.authorization),
            _ => Ok(()),
        }
    }

    fn length(&mut self, value: &[u8]) -> Result<(), Fault> {
        let digits = (1..=10).contains(&value.len()) && value.iter().all(u8::is_ascii_digit);
        if self.length.is_some() || !digits {
            return Err(Fault::ContentLength);
        }
        let add = |sum: u64, digit: &u8| sum * 10 + u64::from(digit - b'0');
        let length = value.iter().fold(0, add);
        self.length = Some(length);
        match length > MAX_BODY {
            true => Err(Fault::TooLarge),
            false => Ok(()),
        }
    }
}

fn once(seen: &mut bool) -> Result<(), Fault> {
    match std::mem::replace(seen, true) {
        true => Err(Fault::Repeated),
        false => Ok(()),
    }
}

fn is_token(text: &[u8]) -> bool {
    let letter = |byte: &u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(byte);
    !text.is_empty() && text.iter().all(letter)
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::AsyncReadExt;

    const GOOD: &str =
        "RPC_IN_DATA /rpc/rpcproxy.dll?h:593 HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\n";

    /// What gets through of these pieces, and the fault.
    async fn through(pieces: &[&[u8]]) -> (Vec<u8>, Option<Fault>) {
        let mut mock = tokio_test_stream(pieces);
        let mut guard = Guard::new(&mut mock, b"");
        let mut out = Vec::new();
        guard.read_to_end(&mut out).await.expect("reads");
        (out, guard.found().fault())
    }

    /// A stream that gives one piece a read.
    fn tokio_test_stream<'a>(pieces: &'a [&'a [u8]]) -> impl AsyncRead + Unpin + 'a {
        struct Pieces<'a>(std::slice::Iter<'a, &'a [u8]>);
        impl AsyncRead for Pieces<'_> {
            fn poll_read(
                mut self: Pin<&mut Self>,
                _: &mut Context<'_>,
                buf: &mut ReadBuf<'_>,
            ) -> Poll<io::Result<()>> {
                if let Some(piece) = self.0.next() {
                    buf.put_slice(piece);
                }
                Poll::Ready(Ok(()))
            }
        }
        Pieces(pieces.iter())
    }

    #[tokio::test]
    async fn heads_and_bodies_pass_as_they_are_however_they_are_cut() {
        let all = format!("{GOOD}12345{GOOD}67890");
        let (out, fault) = through(&[all.as_bytes()]).await;
        assert_eq!((out.as_slice(), fault), (all.as_bytes(), None));
        let bytes: Vec<&[u8]> = all.as_bytes().chunks(1).collect();
        let (out, fault) = through(&bytes).await;
        assert_eq!((out.as_slice(), fault), (all.as_bytes(), None));
    }

    #[tokio::test]
    async fn a_second_head_is_judged_after_the_first_body() {
        let bad = "GET / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n";
        let all = format!("{GOOD}12345{bad}");
        let (out, fault) = through(&[all.as_bytes()]).await;
        assert_eq!(out, format!("{GOOD}12345").as_bytes());
        assert_eq!(fault, Some(Fault::TransferEncoding));
    }

    #[tokio::test]
    async fn nothing_of_a_bad_head_gets_through() {
        let line = "RPC_IN_DATA /rpc/rpcproxy.dll?h:1 HTTP/1.1\r\n";
        for (head, expected) in [
            (
                format!("{line}Transfer-Encoding: identity\r\n\r\n"),
                Fault::TransferEncoding,
            ),
            (
                format!("{line}tRANSFER-eNCODING:\r\n\r\n"),
                Fault::TransferEncoding,
            ),
            (
                format!("{line}Content-Length: 1\r\nContent-Length: 1\r\n\r\n"),
                Fault::ContentLength,
            ),
            (
                format!("{line}Content-Length: 1, 1\r\n\r\n"),
                Fault::ContentLength,
            ),
            (
                format!("{line}Content-Length: +1\r\n\r\n"),
                Fault::ContentLength,
            ),
            (
                format!("{line}Content-Length: 0x1\r\n\r\n"),
                Fault::ContentLength,
            ),
            (
                format!("{line}Content-Length:\r\n\r\n"),
                Fault::ContentLength,
            ),
            (
                format!("{line}Content-Length: 99999999999\r\n\r\n"),
                Fault::ContentLength,
            ),
            (
                format!("{line}Content-Length: 2147483649\r\n\r\n"),
                Fault::TooLarge,
            ),
            (format!("{line}Content-Length : 1\r\n\r\n"), Fault::Header),
            (format!("{line}A: 1\r\n B: 2\r\n\r\n"), Fault::Folded),
            (format!("{line}A: 1\r\n\tB: 2\r\n\r\n"), Fault::Folded),
            (format!("{line}A: 1\nB: 2\r\n\r\n"), Fault::BareLine),
            (format!("{line}A: 1\rB: 2\r\n\r\n"), Fault::BareLine),
            (format!("{line}A: \0\r\n\r\n"), Fault::Header),
            (format!("{line}no colon\r\n\r\n"), Fault::Header),
            (format!("{line}: empty\r\n\r\n"), Fault::Header),
            (format!("{line}Host: a\r\nHost: a\r\n\r\n"), Fault::Repeated),
            (
                format!("{line}Authorization: a\r\nauthorization: b\r\n\r\n"),
                Fault::Repeated,
            ),
            ("GET  / HTTP/1.1\r\n\r\n".to_owned(), Fault::RequestLine),
            ("GET / HTTP/1.1 \r\n\r\n".to_owned(), Fault::RequestLine),
            ("GET / HTTP/2.0\r\n\r\n".to_owned(), Fault::RequestLine),
            ("GET /\r\n\r\n".to_owned(), Fault::RequestLine),
            (
                "GET http://h/ HTTP/1.1\r\n\r\n".to_owned(),
                Fault::RequestLine,
            ),
            (
                "GET /\u{e9} HTTP/1.1\r\n\r\n".to_owned(),
                Fault::RequestLine,
            ),
            ("\r\nGET / HTTP/1.1\r\n\r\n".to_owned(), Fault::RequestLine),
            ("GET / HTTP/1.1\n\n".to_owned(), Fault::BareLine),
            ("PRI * HTTP/2.0\r\n\r\n".to_owned(), Fault::RequestLine),
        ] {
            let (out, fault) = through(&[head.as_bytes()]).await;
            assert_eq!(
                (out.as_slice(), fault),
                (&b""[..], Some(expected)),
                "{head:?}"
            );
            let bytes: Vec<&[u8]> = head.as_bytes().chunks(1).collect();
            assert_eq!(
                through(&bytes).await.1,
                Some(expected),
                "byte by byte: {head:?}"
            );
        }
    }

    #[tokio::test]
    async fn a_head_without_end_is_refused_at_the_limit() {
        let long = format!("GET / HTTP/1.1\r\nA: {}", "a".repeat(MAX_HEAD));
        assert_eq!(through(&[&long.as_bytes()[..4000]; 16]).await.1, None);
        let pieces: Vec<&[u8]> = long.as_bytes().chunks(4000).collect();
        assert_eq!(through(&pieces).await, (Vec::new(), Some(Fault::TooLong)));
    }

    #[tokio::test]
    async fn what_was_read_before_is_judged_like_the_rest() {
        let (early, rest) = GOOD.as_bytes().split_at(10);
        let pieces = [rest, b"12345"];
        let mut guard = Guard::new(tokio_test_stream(&pieces), early);
        let mut out = Vec::new();
        guard.read_to_end(&mut out).await.expect("reads");
        assert_eq!(out, format!("{GOOD}12345").as_bytes());
    }
}
