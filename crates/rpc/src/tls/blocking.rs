//! A client's connection under TLS that blocks its thread.

use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::sync::atomic::Ordering;

use rustls::{ClientConnection, StreamOwned};

use super::fault::{TlsError, explain};
use super::{ClientTls, wrong};

/// A connection under TLS that blocks its thread; the socket's own time-outs hold.
pub(crate) struct BlockingStream {
    inner: StreamOwned<ClientConnection, TcpStream>,
    shown: bool,
}

impl ClientTls {
    /// As [`connect`](Self::connect), blocking.
    ///
    /// # Errors
    /// As [`connect`](Self::connect).
    pub(crate) fn connect_blocking(
        &self,
        mut stream: TcpStream,
        host: &str,
        alpn: &[&[u8]],
    ) -> Result<BlockingStream, TlsError> {
        if let Err(error) = self.0.refresh_if_due() {
            tracing::warn!(%error, "certificates have changed and are not used");
        }
        let (name, config, asked) = self.begin(host, alpn)?;
        let mut connection = ClientConnection::new(config, name).map_err(wrong)?;
        while connection.is_handshaking() {
            let moved = connection.complete_io(&mut stream);
            let (read, written) = moved.map_err(|error| explain(&error))?;
            if (read, written) == (0, 0) {
                return Err(explain(&io::ErrorKind::UnexpectedEof.into()));
            }
        }
        self.check(&connection)?;
        Ok(BlockingStream {
            inner: StreamOwned::new(connection, stream),
            shown: asked.load(Ordering::Relaxed),
        })
    }
}

impl BlockingStream {
    /// Whether the server asked for our certificate.
    pub(crate) fn has_shown(&self) -> bool {
        self.shown
    }

    /// The connection beneath.
    pub(crate) fn transport(&self) -> &TcpStream {
        &self.inner.sock
    }
}

impl Read for BlockingStream {
    fn read(&mut self, room: &mut [u8]) -> io::Result<usize> {
        self.inner.read(room)
    }
}

impl Write for BlockingStream {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.inner.write(bytes)
    }

    fn write_vectored(&mut self, slices: &[io::IoSlice<'_>]) -> io::Result<usize> {
        self.inner.write_vectored(slices)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

impl Drop for BlockingStream {
    fn drop(&mut self) {
        // A courtesy, as far as there is room for it.
        self.inner.conn.send_close_notify();
        let _ = self.inner.sock.set_nonblocking(true);
        let _ = self.inner.conn.write_tls(&mut self.inner.sock);
    }
}
