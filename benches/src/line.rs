//! Ways to a DCE/RPC server, as a raw client goes them: TCP, TLS, and a virtual connection of RPC
//! over HTTP, plain or in TLS.
//!
//! Read first: MS-RPCH sections 3.2.2.5 (how a client opens) and 3.2.1.1.4 (what it
//! acknowledges). It recycles nothing, so a channel must live longer than a sample.

use std::fmt;
use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::path::PathBuf;
use std::str::FromStr;
use std::sync::Arc;

use anyhow::{Context, Result, bail, ensure};
use farcall_rpch::rts::{Cookie, Destination, FlowControlAck, Message};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};

use crate::options::Options;
use crate::shape::read_pdu;

/// What a request of RPC over HTTP asks for; `middle.rs` lets it through.
pub(crate) const TARGET: &str = "server1:593";
/// The name in the certificates of `middle.rs`.
pub(crate) const NAME: &str = "localhost";

const WINDOW: u32 = 256 << 10;
const LIFETIME: u32 = 1 << 30;
const BUFFER: usize = 256 << 10;
const RTS: u8 = 20;

/// How a client reaches a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    Tcp,
    Tls,
    Http,
    Https,
}

impl fmt::Display for Way {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Tcp => "tcp",
            Self::Tls => "tls",
            Self::Http => "http",
            Self::Https => "https",
        })
    }
}

impl FromStr for Way {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> Result<Self> {
        match text {
            "tcp" => Ok(Self::Tcp),
            "tls" => Ok(Self::Tls),
            "http" => Ok(Self::Http),
            "https" => Ok(Self::Https),
            _ => bail!("a way is tcp, tls, http or https, not {text}"),
        }
    }
}

/// Opens lines of one kind to one address.
pub(crate) struct Opener {
    way: Way,
    address: String,
    tls: Option<Arc<ClientConfig>>,
}

impl Opener {
    /// What `--way`, `--address` and `--ca` say; TCP where nothing is said.
    pub(crate) fn new(options: &Options) -> Result<Self> {
        let authority: Option<PathBuf> = options.value("ca")?;
        Ok(Self {
            way: options.value("way")?.unwrap_or(Way::Tcp),
            address: options.required("address")?,
            tls: authority.map(|file| trusting(&file)).transpose()?,
        })
    }

    pub(crate) fn open(&self, number: u64) -> Result<Line> {
        match self.way {
            Way::Tcp | Way::Tls => Ok(Line::Stream(self.stream()?)),
            Way::Http | Way::Https => Ok(Line::Virtual(Virtual::open(self, number)?)),
        }
    }

    fn stream(&self) -> Result<Stream> {
        let address = &self.address;
        let stream =
            TcpStream::connect(address).with_context(|| format!("connecting to {address}"))?;
        stream.set_nodelay(true)?;
        if matches!(self.way, Way::Tcp | Way::Http) {
            return Ok(Stream::Plain(stream));
        }
        let config = self.tls.clone().context("--ca is missing")?;
        let session = ClientConnection::new(config, ServerName::try_from(NAME)?)?;
        Ok(Stream::Tls(Box::new(StreamOwned::new(session, stream))))
    }
}

/// TLS that trusts the certificate in `file`.
fn trusting(file: &std::path::Path) -> Result<Arc<ClientConfig>> {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(file)?)?;
    let config = ClientConfig::builder().with_root_certificates(roots);
    Ok(Arc::new(config.with_no_client_auth()))
}

/// One socket.
pub(crate) enum Stream {
    Plain(TcpStream),
    Tls(Box<StreamOwned<ClientConnection, TcpStream>>),
}

impl Read for Stream {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Plain(stream) => stream.read(into),
            Self::Tls(stream) => stream.read(into),
        }
    }
}

impl Write for Stream {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Plain(stream) => stream.write(bytes),
            Self::Tls(stream) => stream.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Plain(stream) => stream.flush(),
            Self::Tls(stream) => stream.flush(),
        }
    }
}

/// What carries RPC PDUs.
pub(crate) enum Line {
    Stream(Stream),
    Virtual(Virtual),
}

impl Read for Line {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Stream(stream) => stream.read(into),
            Self::Virtual(line) => line.read(into),
        }
    }
}

impl Write for Line {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Stream(stream) => stream.write(bytes),
            Self::Virtual(line) => line.inbound.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Stream(stream) => stream.flush(),
            Self::Virtual(line) => line.inbound.flush(),
        }
    }
}

/// A virtual connection: RPC PDUs go out on one channel and come in on the other.
pub(crate) struct Virtual {
    inbound: Stream,
    outbound: Stream,
    channel: Cookie,
    /// What was read of the OUT channel, and where in it what is unread lies.
    buffer: Vec<u8>,
    unread: std::ops::Range<usize>,
    /// What the RPC PDU that is being read still has.
    payload: usize,
    received: u32,
    acknowledged: u32,
}

impl Virtual {
    /// Opens one; `number` tells it from others of this process.
    fn open(opener: &Opener, number: u64) -> Result<Self> {
        let cookie = |kind: u8| {
            let mut bytes = [kind; 16];
            bytes[..8].copy_from_slice(&number.to_le_bytes());
            bytes[8..12].copy_from_slice(&std::process::id().to_le_bytes());
            Cookie(bytes)
        };
        let (whole, channel) = (cookie(1), cookie(2));
        let first = Message::ConnA1 {
            virtual_connection: whole,
            out_channel: channel,
            window: WINDOW,
        };
        let mut outbound = request(opener, "RPC_OUT_DATA", 76, &first)?;
        let first = Message::ConnB1 {
            virtual_connection: whole,
            in_channel: cookie(3),
            lifetime: LIFETIME,
            keepalive: 300_000,
            group: cookie(4),
        };
        let inbound = request(opener, "RPC_IN_DATA", LIFETIME, &first)?;
        accepted(&mut outbound)?;
        for _ in ["CONN/A3", "CONN/C2"] {
            ensure!(read_pdu(&mut outbound)?[2] == RTS, "no RTS PDU");
        }
        Ok(Self {
            inbound,
            outbound,
            channel,
            buffer: Vec::new(),
            unread: 0..0,
            payload: 0,
            received: 0,
            acknowledged: 0,
        })
    }

    /// Moves what is there of the current RPC PDU.
    fn take(&mut self, into: &mut [u8]) -> usize {
        let n = self.payload.min(self.unread.len()).min(into.len());
        let from = &self.buffer[self.unread.start..self.unread.start + n];
        into[..n].copy_from_slice(from);
        self.unread.start += n;
        self.payload -= n;
        self.received = self.received.wrapping_add(n as u32);
        n
    }

    /// Goes to the next RPC PDU, over RTS PDUs; whether there is one.
    fn next(&mut self) -> bool {
        while self.payload == 0 {
            let rest = &self.buffer[self.unread.clone()];
            if rest.len() < 16 {
                return false;
            }
            let length = usize::from(u16::from_le_bytes([rest[8], rest[9]]));
            if rest[2] != RTS {
                self.payload = length;
            } else if rest.len() < length {
                return false;
            } else {
                self.unread.start += length;
            }
        }
        !self.unread.is_empty()
    }

    fn fill(&mut self) -> io::Result<usize> {
        self.buffer.resize(BUFFER, 0);
        self.buffer.copy_within(self.unread.clone(), 0);
        self.unread = 0..self.unread.len();
        let n = self.outbound.read(&mut self.buffer[self.unread.end..])?;
        self.unread.end += n;
        Ok(n)
    }

    fn acknowledge(&mut self) -> io::Result<()> {
        if self.received.wrapping_sub(self.acknowledged) < WINDOW / 2 {
            return Ok(());
        }
        self.acknowledged = self.received;
        let ack = FlowControlAck {
            bytes_received: self.received,
            available_window: WINDOW,
            channel: self.channel,
        };
        let to = Some(Destination::OutProxy);
        self.inbound
            .write_all(&Message::FlowControlAck { to, ack }.emit())
    }
}

impl Read for Virtual {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        loop {
            let mut filled = 0;
            while filled < into.len() && self.next() {
                filled += self.take(&mut into[filled..]);
            }
            if filled > 0 {
                self.acknowledge()?;
                return Ok(filled);
            }
            if self.fill()? == 0 {
                return Ok(0);
            }
        }
    }
}

fn request(opener: &Opener, method: &str, length: u32, first: &Message) -> Result<Stream> {
    let mut stream = opener.stream()?;
    let mut bytes = format!(
        "{method} /rpc/rpcproxy.dll?{TARGET} HTTP/1.1\r\nHost: {NAME}\r\nContent-Length: {length}\r\n\r\n"
    )
    .into_bytes();
    bytes.extend_from_slice(&first.emit());
    stream.write_all(&bytes)?;
    Ok(stream)
}

/// Reads the head of the response on the OUT channel.
fn accepted(stream: &mut Stream) -> Result<()> {
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") {
        stream.read_exact(&mut byte)?;
        head.push(byte[0]);
    }
    let head = String::from_utf8_lossy(&head);
    ensure!(head.starts_with("HTTP/1.1 200 "), "refused: {head}");
    Ok(())
}
