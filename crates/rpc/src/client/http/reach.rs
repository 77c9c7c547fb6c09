//! Connections to the RPC proxy: TCP, perhaps through an HTTP proxy, and TLS.
//!
//! Read first: RFC 9110 section 9.3.6 (`CONNECT`), RFC 5929 section 4 (`tls-server-end-point`).

use std::io;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use farcall_rpch::Direction;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::head::{Body, Head, Piece};
use super::route::{HTTP_PROXY_PORT, Route};
use super::trouble;
use crate::client::connect::ByteStream;
#[cfg(feature = "tls")]
use crate::error::TlsFault;
use crate::error::{Cause, Error, Phase};
use crate::socket;
#[cfg(feature = "tls")]
use crate::tls::Certificate;

/// Longest body that is read to keep a connection, in bytes.
const BODY: usize = 64 << 10;

/// How long an HTTP proxy may take to connect, at most: its own patience ends before ours.
pub(super) const PATIENCE: Duration = Duration::from_secs(30);

/// A connection to the RPC proxy.
pub(super) struct Connection {
    pub(super) io: Box<dyn ByteStream>,
    /// What was received and not used.
    pub(super) received: BytesMut,
    /// Requests go to an HTTP proxy, in clear.
    pub(super) forwarded: bool,
    /// The channel's name for channel bindings.
    pub(super) channel: Option<Vec<u8>>,
    /// The proxy's certificate.
    #[cfg(feature = "tls")]
    pub(super) certificate: Option<std::sync::Arc<Certificate>>,
}

/// Connects. `through`: by the HTTP proxy.
pub(super) async fn connect(route: &Route, through: bool) -> Result<Connection, Error> {
    let connected = async {
        let stream = tcp(route, through).await?;
        secure(route, stream, through).await
    };
    connected
        .await
        .map_err(|error| error.with_peer(route.shown()))
}

/// TCP to the RPC proxy, or to the HTTP proxy, which is asked for a tunnel if TLS is to go through it.
async fn tcp(route: &Route, through: bool) -> Result<TcpStream, Error> {
    let Some(http_proxy) = route.http_proxy.as_ref().filter(|_| through) else {
        return dial(&route.proxy.host, route.port, route).await;
    };
    let port = http_proxy.port.unwrap_or(HTTP_PROXY_PORT);
    let named =
        |error: Error| error.with_peer(format!("HTTP proxy {}", http_proxy.with_port(port)));
    let mut stream = dial(&http_proxy.host, port, route).await.map_err(named)?;
    if route.secure {
        tunnel(route, &mut stream).await.map_err(named)?;
    }
    Ok(stream)
}

async fn dial(host: &str, port: u16, route: &Route) -> Result<TcpStream, Error> {
    let found = tokio::net::lookup_host((host, port))
        .await
        .map_err(|error| {
            Error::io(Phase::Resolve, &error).hint(format!("is '{host}' spelled right?"))
        })?;
    let mut last = None;
    for address in found {
        match TcpStream::connect(address).await {
            Ok(stream) => {
                socket::tune(&stream, &route.limits);
                return Ok(stream);
            }
            Err(error) => last = Some(error),
        }
    }
    let error = last.unwrap_or_else(|| io::ErrorKind::AddrNotAvailable.into());
    let said = Error::io(Phase::Connect, &error);
    Err(match error.kind() {
        io::ErrorKind::ConnectionRefused => {
            said.hint("is a proxy running there, and at this port?")
        }
        _ => said,
    })
}

async fn tunnel(route: &Route, stream: &mut TcpStream) -> Result<(), Error> {
    let to = route.proxy.with_port(route.port);
    let mut request = format!("CONNECT {to} HTTP/1.1\r\nHost: {to}\r\n");
    if let Some(authorization) = &route.http_proxy_authorization {
        request.push_str(&format!("Proxy-Authorization: {authorization}\r\n"));
    }
    request.push_str("\r\n");
    let asked = async {
        stream
            .write_all(request.as_bytes())
            .await
            .map_err(|error| trouble::lost(&error))?;
        let mut received = BytesMut::new();
        read_head(stream, &mut received)
            .await
            .map(|head| (head, received))
    };
    let late = |_| Err(Error::new(Phase::Connect, Cause::Deadline(PATIENCE)));
    let answered = tokio::time::timeout(PATIENCE, asked)
        .await
        .unwrap_or_else(late);
    let (head, received) = answered?;
    match head.status {
        200..=299 if received.is_empty() => Ok(()),
        200..=299 => Err(Error::local(
            Phase::Connect,
            "what is behind the HTTP proxy speaks before it is spoken to",
        )),
        407 => Err(trouble::refused(&head)),
        status => Err(Error::local(
            Phase::Connect,
            format!("the HTTP proxy answered {status} to CONNECT"),
        )
        .hint("it may not let its users connect to that host or port")),
    }
}

#[cfg(feature = "tls")]
async fn secure(route: &Route, stream: TcpStream, through: bool) -> Result<Connection, Error> {
    let Some(tls) = &route.tls else {
        return Ok(Connection::plain(stream, through));
    };
    let alpn: &[&[u8]] = &[b"http/1.1"];
    let secured = tls.connect(stream, &route.certificate, alpn).await;
    let stream = secured.map_err(|error| match Error::from(error) {
        error if matches!(error.cause(), Cause::Tls(TlsFault::NotTls, _)) => error
            .hint("does the RPC proxy speak TLS at that port? HttpUseTls=false does without it"),
        error => error,
    })?;
    let channel = stream.end_point().map(|hash| {
        let mut channel = b"tls-server-end-point:".to_vec();
        channel.extend_from_slice(hash);
        channel
    });
    let certificate = stream.peer().cloned();
    Ok(Connection {
        channel,
        certificate,
        ..Connection::new(Box::new(stream), false)
    })
}

#[cfg(not(feature = "tls"))]
async fn secure(route: &Route, stream: TcpStream, through: bool) -> Result<Connection, Error> {
    match route.secure {
        false => Ok(Connection::plain(stream, through)),
        true => Err(Error::local(Phase::Connect, "this build has no TLS")
            .hint("build with the feature tls, or say HttpUseTls=0")),
    }
}

impl Connection {
    fn plain(stream: TcpStream, through: bool) -> Self {
        Self::new(Box::new(stream), through)
    }

    fn new(io: Box<dyn ByteStream>, forwarded: bool) -> Self {
        Self {
            io,
            received: BytesMut::new(),
            forwarded,
            channel: None,
            #[cfg(feature = "tls")]
            certificate: None,
        }
    }

    /// Sends a request without a body, and reads all of its response. If that is not the connection's last, another may follow.
    pub(super) async fn ask(
        &mut self,
        route: &Route,
        direction: Direction,
        authorization: Option<&str>,
    ) -> Result<(Head, Vec<u8>), Error> {
        let request = route.request(direction, 0, authorization, self.forwarded);
        let wrote = async {
            self.io.write_all(request.as_bytes()).await?;
            self.io.flush().await
        };
        wrote.await.map_err(|error| trouble::lost(&error))?;
        let head = read_head(&mut self.io, &mut self.received).await?;
        let body = self.body(&head).await?;
        Ok((head, body))
    }

    async fn body(&mut self, head: &Head) -> Result<Vec<u8>, Error> {
        let framing = head.framing().map_err(trouble::garbled)?;
        let (mut body, mut found) = (Body::new(framing), Vec::new());
        loop {
            let mut part: Bytes = self.received.split().freeze();
            loop {
                match body.next(&mut part).map_err(trouble::garbled)? {
                    Piece::Bytes(piece) => found.extend_from_slice(&piece),
                    Piece::More => break,
                    Piece::End => {
                        self.received.extend_from_slice(&part);
                        return Ok(found);
                    }
                }
                // Whoever says that much says nothing that matters here.
                if found.len() > BODY {
                    return Ok(found);
                }
            }
            match self.io.read_buf(&mut self.received).await {
                Ok(0) => return Ok(found),
                Ok(_) => {}
                Err(error) => return Err(trouble::lost(&error)),
            }
        }
    }
}

/// Reads the head of the response; interim ones are passed over.
async fn read_head<S: tokio::io::AsyncRead + Unpin>(
    stream: &mut S,
    received: &mut BytesMut,
) -> Result<Head, Error> {
    loop {
        match Head::take(received).map_err(trouble::garbled)? {
            Some(head) if head.is_interim() => continue,
            Some(head) => return Ok(head),
            None => {}
        }
        match stream.read_buf(received).await {
            Ok(0) => return Err(trouble::lost(&io::ErrorKind::UnexpectedEof.into())),
            Ok(_) => {}
            Err(error) => return Err(trouble::lost(&error)),
        }
    }
}
