//! A connection from its banner to its first PDU: what it is.
//!
//! Read first: MS-RPCH sections 2.1.1.2.1 (the legacy server response), 3.1.3 and 3.2.5.5 (Open_Start). The type in the header of its
//! first PDU says whether a connection is a leg of a virtual connection, or an association by itself: the first version of the protocol, in
//! which one proxy carries everything, and clients that are near enough to need none.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use bytes::{Buf, Bytes, BytesMut};
use farcall_dce::pdu::header::PacketType;
use farcall_rpch::frame::BANNER;
use farcall_rpch::{First, Opening, Role};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio::net::TcpStream;

/// Where the type of a PDU stands in its header (C706 section 12.6.3.1).
const PTYPE: usize = 2;

/// The most that is read before it is known what a connection is: RTS PDUs that may come first are smaller.
const CHUNK: usize = 512;

/// What a connection is.
pub(crate) enum Arrival {
    /// A leg of a virtual connection; `rest` was read behind its first PDU.
    Leg {
        first: First,
        rest: Bytes,
        stream: TcpStream,
    },
    /// An association by itself.
    Direct(Prefixed<TcpStream>),
}

// req: rpch-face-banner
/// Greets a connection, and reads until it is known what it is, for at most `limit`.
///
/// # Errors
/// It ended, took too long, or began with what no connection begins with.
pub(crate) async fn receive(mut stream: TcpStream, limit: Duration) -> io::Result<Arrival> {
    let opening = async {
        stream.write_all(BANNER).await?;
        let mut read = BytesMut::new();
        while read.len() <= PTYPE {
            take(&mut stream, &mut read).await?;
        }
        if read.get(PTYPE) != Some(&PacketType::RTS.0) {
            return Ok((None, read.freeze()));
        }
        let mut opening = Opening::new(Role::Server, Instant::now(), limit);
        loop {
            let mut bytes = read.split().freeze();
            let first = opening.handle_bytes(&mut bytes);
            if let Some(first) = first.map_err(io::Error::other)? {
                return Ok((Some(first), bytes));
            }
            take(&mut stream, &mut read).await?;
        }
    };
    let opened: io::Result<_> = tokio::time::timeout(limit, opening).await?;
    Ok(match opened? {
        (Some(first), rest) => Arrival::Leg {
            first,
            rest,
            stream,
        },
        (None, read) => Arrival::Direct(Prefixed {
            prefix: read,
            stream,
        }),
    })
}

/// Reads a little.
async fn take(stream: &mut TcpStream, into: &mut BytesMut) -> io::Result<()> {
    into.reserve(CHUNK);
    match stream.read_buf(into).await? {
        0 => Err(io::ErrorKind::UnexpectedEof.into()),
        _ => Ok(()),
    }
}

/// A stream of which something was read already.
pub(crate) struct Prefixed<S> {
    prefix: Bytes,
    stream: S,
}

impl<S: AsyncRead + Unpin> AsyncRead for Prefixed<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        if this.prefix.is_empty() {
            return Pin::new(&mut this.stream).poll_read(cx, buf);
        }
        let len = this.prefix.len().min(buf.remaining());
        buf.put_slice(this.prefix.get(..len).unwrap_or_default());
        this.prefix.advance(len);
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Prefixed<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
