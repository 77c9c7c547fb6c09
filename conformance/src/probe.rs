//! Raw messages: what a peer, a broken peer or an attacker may send, byte for byte.
//!
//! Nothing here uses our own codecs: these bytes are written down by hand from RFC 5531 sections
//! 8, 9 and 11, and replies are read word by word.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream, UdpSocket};
use std::time::Duration;

/// How long a probe waits for an answer that must come.
pub const ANSWER: Duration = Duration::from_secs(5);

/// How long a probe waits to see that nothing comes.
pub const SILENCE: Duration = Duration::from_millis(150);

/// Words as XDR writes them.
pub fn words(words: &[u32]) -> Vec<u8> {
    words.iter().flat_map(|word| word.to_be_bytes()).collect()
}

/// Variable-length opaque data as XDR writes it.
pub fn opaque(data: &[u8]) -> Vec<u8> {
    let mut bytes = words(&[u32::try_from(data.len()).expect("short data")]);
    bytes.extend_from_slice(data);
    bytes.resize(bytes.len().next_multiple_of(4), 0);
    bytes
}

/// A call message, every part of which can be set to something wrong.
#[derive(Clone, Debug)]
pub struct Call {
    /// The transaction id.
    pub xid: u32,
    /// 0 for a call, 1 for a reply.
    pub kind: u32,
    /// The version of RPC itself: 2.
    pub rpc_version: u32,
    /// The program.
    pub program: u32,
    /// Its version.
    pub version: u32,
    /// The procedure.
    pub procedure: u32,
    /// Flavor, length and body of the credential.
    pub credential: Vec<u8>,
    /// Flavor, length and body of the verifier.
    pub verifier: Vec<u8>,
    /// The arguments.
    pub arguments: Vec<u8>,
}

impl Call {
    /// A call without credential and arguments.
    pub fn new(program: u32, version: u32, procedure: u32) -> Self {
        Self {
            xid: 0x0123_4567,
            kind: 0,
            rpc_version: 2,
            program,
            version,
            procedure,
            credential: words(&[0, 0]),
            verifier: words(&[0, 0]),
            arguments: Vec::new(),
        }
    }

    /// With another transaction id.
    pub fn xid(mut self, xid: u32) -> Self {
        self.xid = xid;
        self
    }

    /// With a credential of this flavor and body.
    pub fn credential(mut self, flavor: u32, body: &[u8]) -> Self {
        self.credential = words(&[flavor]);
        self.credential.extend(opaque(body));
        self
    }

    /// With a verifier of this flavor and body.
    pub fn verifier(mut self, flavor: u32, body: &[u8]) -> Self {
        self.verifier = words(&[flavor]);
        self.verifier.extend(opaque(body));
        self
    }

    /// With these argument bytes.
    pub fn arguments(mut self, arguments: &[u8]) -> Self {
        self.arguments = arguments.to_vec();
        self
    }

    /// The message.
    pub fn bytes(&self) -> Vec<u8> {
        let mut bytes = words(&[self.xid, self.kind, self.rpc_version]);
        bytes.extend(words(&[self.program, self.version, self.procedure]));
        bytes.extend_from_slice(&self.credential);
        bytes.extend_from_slice(&self.verifier);
        bytes.extend_from_slice(&self.arguments);
        bytes
    }

    /// The message as one record of one fragment.
    pub fn record(&self) -> Vec<u8> {
        fragment(&self.bytes(), true)
    }
}

/// A fragment with its mark.
pub fn fragment(payload: &[u8], last: bool) -> Vec<u8> {
    let length = u32::try_from(payload.len()).expect("short payload");
    let mut bytes = words(&[length | if last { 0x8000_0000 } else { 0 }]);
    bytes.extend_from_slice(payload);
    bytes
}

/// The body of an AUTH_SYS credential.
pub fn sys(machine: &[u8], uid: u32, gid: u32, gids: &[u32]) -> Vec<u8> {
    let mut body = words(&[7]);
    body.extend(opaque(machine));
    body.extend(words(&[
        uid,
        gid,
        u32::try_from(gids.len()).expect("few groups"),
    ]));
    body.extend(words(gids));
    body
}

/// What a reply says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// SUCCESS with these result bytes.
    Success(Vec<u8>),
    /// PROG_UNAVAIL.
    ProgUnavail,
    /// PROG_MISMATCH with the lowest and the highest version.
    ProgMismatch(u32, u32),
    /// PROC_UNAVAIL.
    ProcUnavail,
    /// GARBAGE_ARGS.
    GarbageArgs,
    /// SYSTEM_ERR.
    SystemErr,
    /// RPC_MISMATCH with the lowest and the highest version of RPC.
    RpcMismatch(u32, u32),
    /// AUTH_ERROR with its reason.
    AuthError(u32),
    /// Anything else, as words.
    Other(Vec<u32>),
}

/// Reads a reply message: its transaction id and what it says.
pub fn answer(message: &[u8]) -> (u32, Answer) {
    let words: Vec<u32> = message
        .chunks_exact(4)
        .map(|word| u32::from_be_bytes([word[0], word[1], word[2], word[3]]))
        .collect();
    let xid = words.first().copied().unwrap_or(0);
    let said = match *words.get(1..).unwrap_or_default() {
        [1, 1, 0, low, high] => Answer::RpcMismatch(low, high),
        [1, 1, 1, reason] => Answer::AuthError(reason),
        [1, 0, _, length, ..] => {
            let at = 20 + usize::try_from(length).map_or(0, |length| length.next_multiple_of(4));
            accepted(&words[at / 4..], message.get(at + 4..).unwrap_or_default())
        }
        _ => Answer::Other(words.clone()),
    };
    (xid, said)
}

/// Reads the part of an accepted reply behind its verifier.
fn accepted(words: &[u32], results: &[u8]) -> Answer {
    match *words {
        [0, ..] => Answer::Success(results.to_vec()),
        [1] => Answer::ProgUnavail,
        [2, low, high] => Answer::ProgMismatch(low, high),
        [3] => Answer::ProcUnavail,
        [4] => Answer::GarbageArgs,
        [5] => Answer::SystemErr,
        _ => Answer::Other(words.to_vec()),
    }
}

/// What happened on a stream after something was sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Heard {
    /// A whole record came: its transaction id and what it says.
    Reply(u32, Answer),
    /// The peer closed or reset the connection.
    Closed,
    /// Nothing came in time.
    Silence,
}

/// A raw stream to a server.
#[derive(Debug)]
pub struct Stream(pub TcpStream);

impl Stream {
    /// Connects.
    ///
    /// # Errors
    /// What the system says.
    pub fn connect(address: SocketAddr) -> io::Result<Self> {
        let stream = TcpStream::connect_timeout(&address, ANSWER)?;
        stream.set_nodelay(true)?;
        Ok(Self(stream))
    }

    /// Sends bytes as they are.
    ///
    /// # Errors
    /// What the system says; a reset connection among it.
    pub fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.0.write_all(bytes)
    }

    /// The next reply, or what happened instead, within `limit`.
    ///
    /// # Errors
    /// What the system says, a reset connection excepted.
    pub fn hear(&mut self, limit: Duration) -> io::Result<Heard> {
        self.0.set_read_timeout(Some(limit))?;
        match self.message() {
            Ok(message) => {
                let (xid, said) = answer(&message);
                Ok(Heard::Reply(xid, said))
            }
            Err(error) => match error.kind() {
                io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut => Ok(Heard::Silence),
                io::ErrorKind::UnexpectedEof
                | io::ErrorKind::ConnectionReset
                | io::ErrorKind::BrokenPipe => Ok(Heard::Closed),
                _ => Err(error),
            },
        }
    }

    /// Sends a record and hears what comes.
    ///
    /// # Errors
    /// As [`Stream::hear`].
    pub fn ask(&mut self, call: &Call) -> io::Result<Heard> {
        match self.send(&call.record()) {
            Ok(()) => self.hear(ANSWER),
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(Heard::Closed),
            Err(error) => Err(error),
        }
    }

    /// The next record, its fragments put together.
    fn message(&mut self) -> io::Result<Vec<u8>> {
        let mut message = Vec::new();
        loop {
            let mut mark = [0; 4];
            self.0.read_exact(&mut mark)?;
            let mark = u32::from_be_bytes(mark);
            let length = usize::try_from(mark & 0x7fff_ffff).map_err(io::Error::other)?;
            let begun = message.len();
            message.resize(begun + length, 0);
            self.0.read_exact(&mut message[begun..])?;
            if mark & 0x8000_0000 != 0 {
                return Ok(message);
            }
        }
    }
}

/// Sends one datagram to a server and hears what comes within `limit`.
///
/// # Errors
/// What the system says.
pub fn datagram(address: SocketAddr, message: &[u8], limit: Duration) -> io::Result<Heard> {
    let socket = UdpSocket::bind(if address.is_ipv4() {
        "127.0.0.1:0"
    } else {
        "[::1]:0"
    })?;
    socket.connect(address)?;
    socket.send(message)?;
    socket.set_read_timeout(Some(limit))?;
    let mut reply = vec![0; 65_536];
    match socket.recv(&mut reply) {
        Ok(length) => {
            let (xid, said) = answer(&reply[..length]);
            Ok(Heard::Reply(xid, said))
        }
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(Heard::Silence),
        Err(error) => Err(error),
    }
}
