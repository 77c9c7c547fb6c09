//! A connection under TLS, and what is known of its other end.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::certificate::Certificate;

/// A connection under TLS. What is written may stay inside until it is flushed. A connection that is dropped says so to
/// its peer (`close_notify`), if there is room for it.
pub struct TlsStream<S: AsyncRead + AsyncWrite + Unpin> {
    inner: tokio_rustls::TlsStream<S>,
    peer: Option<Arc<Certificate>>,
    end_point: Option<Vec<u8>>,
    shown: bool,
}

impl<S: AsyncRead + AsyncWrite + Unpin> TlsStream<S> {
    pub(super) fn new(
        inner: tokio_rustls::TlsStream<S>,
        peer: Option<Certificate>,
        end_point: Option<Vec<u8>>,
        shown: bool,
    ) -> Self {
        Self {
            inner,
            peer: peer.map(Arc::new),
            end_point,
            shown,
        }
    }

    /// Whether our own certificate was shown: a server's always is, a client's only if the server asks for it.
    pub fn has_shown(&self) -> bool {
        self.shown
    }

    /// The certificate that the peer showed, verified; a client need not have shown one.
    pub fn peer(&self) -> Option<&Arc<Certificate>> {
        self.peer.as_ref()
    }

    /// The protocol that was agreed on, if any was.
    pub fn alpn(&self) -> Option<&[u8]> {
        self.inner.get_ref().1.alpn_protocol()
    }

    /// The channel's name for authentication inside of it, `tls-server-end-point` (RFC 5929 section 4.1): the hash of the
    /// server's certificate, seen from either end. `None` if its signature has no hash of its own.
    pub fn end_point(&self) -> Option<&[u8]> {
        self.end_point.as_deref()
    }

    /// The connection beneath.
    pub fn transport(&self) -> &S {
        self.inner.get_ref().0
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncRead for TlsStream<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_read(cx, buf)
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for TlsStream<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.inner).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.inner).poll_write_vectored(cx, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Drop for TlsStream<S> {
    fn drop(&mut self) {
        // A courtesy: whoever does not take it at once does without.
        let mut cx = Context::from_waker(Waker::noop());
        let _ = Pin::new(&mut self.inner).poll_shutdown(&mut cx);
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> std::fmt::Debug for TlsStream<S> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TlsStream")
            .field("peer", &self.peer)
            .finish_non_exhaustive()
    }
}
