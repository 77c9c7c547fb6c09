//! Raw PDUs of DCE/RPC: what a peer, a broken peer or an attacker may send, byte for byte.
//!
//! Nothing here uses our own codecs: these bytes are written down by hand from C706 chapter 12 and MS-RPCE section 2.2.2, and what comes
//! back is read number by number. The twin for ONC RPC is [`probe`](crate::probe).

use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::time::Duration;

/// How long an answer that must come may take.
pub const ANSWER: Duration = Duration::from_secs(20);

/// Types of PDUs (C706 section 12.6.4).
pub mod ptype {
    /// A call, or a fragment of one.
    pub const REQUEST: u8 = 0;
    /// Its result.
    pub const RESPONSE: u8 = 2;
    /// Its refusal.
    pub const FAULT: u8 = 3;
    /// The first PDU of a client.
    pub const BIND: u8 = 11;
    /// Its answer.
    pub const BIND_ACK: u8 = 12;
    /// Its refusal.
    pub const BIND_NAK: u8 = 13;
    /// More contexts, or a further leg of authentication.
    pub const ALTER_CONTEXT: u8 = 14;
    /// Its answer.
    pub const ALTER_CONTEXT_RESP: u8 = 15;
    /// The last leg of authentication.
    pub const AUTH3: u8 = 16;
    /// The server is going.
    pub const SHUTDOWN: u8 = 17;
    /// A wish that a call may end.
    pub const CO_CANCEL: u8 = 18;
    /// A call is given up.
    pub const ORPHANED: u8 = 19;
}

/// The first fragment of several.
pub const FIRST: u8 = 1;
/// The last one.
pub const LAST: u8 = 2;
/// Calls may be in flight together.
pub const CONC_MPX: u8 = 0x10;

/// An interface's or transfer syntax's name and version, as they stand in a little-endian PDU.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Name(pub &'static str, pub u16, pub u16);

/// NDR.
pub const NDR: Name = Name("8a885d04-1ceb-11c9-9fe8-08002b104860", 2, 0);
/// The test interface of Samba.
pub const RPCECHO: Name = Name("60a15ec5-4de8-11d7-a637-005056a20182", 1, 0);
/// The management interface.
pub const MGMT: Name = Name("afa8bd80-7d8a-11c9-bef4-08002b102989", 1, 0);
/// The endpoint mapper.
pub const EPMAPPER: Name = Name("e1af8308-5d1f-11c9-91a4-08002b14a0fa", 3, 0);
/// The local security authority.
pub const LSARPC: Name = Name("12345778-1234-abcd-ef00-0123456789ab", 0, 0);
/// The logon service.
pub const NETLOGON: Name = Name("12345678-1234-abcd-ef00-01234567cffb", 1, 0);

impl Name {
    /// Its 20 bytes: the first three fields of a UUID are numbers, the last eight bytes are not.
    pub fn bytes(self) -> Vec<u8> {
        let mut bytes = uuid(self.0);
        bytes.extend(self.1.to_le_bytes());
        bytes.extend(self.2.to_le_bytes());
        bytes
    }
}

/// The 16 bytes of a UUID in a little-endian PDU.
pub fn uuid(text: &str) -> Vec<u8> {
    let digits: Vec<u8> = text.bytes().filter(|digit| *digit != b'-').collect();
    let byte = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).unwrap_or(""), 16);
    let big: Vec<u8> = digits
        .chunks(2)
        .map(|pair| byte(pair).expect("hexadecimal digits"))
        .collect();
    let order = [3, 2, 1, 0, 5, 4, 7, 6, 8, 9, 10, 11, 12, 13, 14, 15];
    order.map(|at: usize| big[at]).to_vec()
}

/// Numbers of 32 bits, little-endian.
pub fn words(words: &[u32]) -> Vec<u8> {
    words.iter().flat_map(|word| word.to_le_bytes()).collect()
}

/// A PDU, every part of which can be set to something wrong.
#[derive(Clone, Debug)]
pub struct Pdu {
    /// 5.
    pub version: u8,
    /// What it is.
    pub ptype: u8,
    /// `pfc_flags`.
    pub flags: u8,
    /// How numbers are written: little-endian, ASCII, IEEE.
    pub drep: [u8; 4],
    /// Which call.
    pub call_id: u32,
    /// Its length as it says it, where that is not its length.
    pub frag_length: Option<u16>,
    /// What follows the header.
    pub body: Vec<u8>,
    /// The security trailer's type, level and context, and its token.
    pub auth: Option<(u8, u8, u32, Vec<u8>)>,
}

impl Pdu {
    /// A whole PDU of one fragment.
    pub fn new(ptype: u8, call_id: u32, body: &[u8]) -> Self {
        Self {
            version: 5,
            ptype,
            flags: FIRST | LAST,
            drep: [0x10, 0, 0, 0],
            call_id,
            frag_length: None,
            body: body.to_vec(),
            auth: None,
        }
    }

    /// A `bind` or `alter_context` of these contexts, each with NDR: their numbers and interfaces.
    pub fn contexts(ptype: u8, group: u32, contexts: &[(u16, Name)]) -> Self {
        let mut body = Vec::new();
        body.extend(5840_u16.to_le_bytes());
        body.extend(5840_u16.to_le_bytes());
        body.extend(group.to_le_bytes());
        body.extend([u8::try_from(contexts.len()).expect("few contexts"), 0, 0, 0]);
        for (id, interface) in contexts {
            body.extend(id.to_le_bytes());
            body.extend([1, 0]);
            body.extend(interface.bytes());
            body.extend(NDR.bytes());
        }
        Self::new(ptype, 1, &body)
    }

    /// A `bind` to one interface, as context 0.
    pub fn bind(interface: Name) -> Self {
        Self::contexts(ptype::BIND, 0, &[(0, interface)])
    }

    /// A call over context 0.
    pub fn request(call_id: u32, opnum: u16, stub: &[u8]) -> Self {
        let mut body = words(&[u32::try_from(stub.len()).expect("a short stub")]);
        body.extend(0_u16.to_le_bytes());
        body.extend(opnum.to_le_bytes());
        body.extend_from_slice(stub);
        Self::new(ptype::REQUEST, call_id, &body)
    }

    /// With these flags.
    pub fn flags(mut self, flags: u8) -> Self {
        self.flags = flags;
        self
    }

    /// With another `alloc_hint` (of a request).
    pub fn hint(mut self, hint: u32) -> Self {
        self.body[..4].copy_from_slice(&hint.to_le_bytes());
        self
    }

    /// With a security trailer.
    pub fn auth(mut self, auth_type: u8, level: u8, context: u32, token: &[u8]) -> Self {
        self.auth = Some((auth_type, level, context, token.to_vec()));
        self
    }

    /// Its bytes.
    pub fn bytes(&self) -> Vec<u8> {
        let mut tail = Vec::new();
        let mut token_len = 0;
        let mut body = self.body.clone();
        if let Some((auth_type, level, context, token)) = &self.auth {
            let pad = body.len().next_multiple_of(4) - body.len();
            body.resize(body.len() + pad, 0);
            tail.extend([*auth_type, *level, u8::try_from(pad).unwrap_or(0), 0]);
            tail.extend(context.to_le_bytes());
            tail.extend_from_slice(token);
            token_len = token.len();
        }
        let length = u16::try_from(16 + body.len() + tail.len()).expect("a short PDU");
        let mut bytes = vec![self.version, 0, self.ptype, self.flags];
        bytes.extend(self.drep);
        bytes.extend(self.frag_length.unwrap_or(length).to_le_bytes());
        bytes.extend(
            u16::try_from(token_len)
                .expect("a short token")
                .to_le_bytes(),
        );
        bytes.extend(self.call_id.to_le_bytes());
        bytes.extend(body);
        bytes.extend(tail);
        bytes
    }
}

/// What a server said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Heard {
    /// A PDU: its type, its call and what follows the header.
    Pdu(u8, u32, Vec<u8>),
    /// The connection was closed.
    Closed,
    /// Nothing came in time.
    Silence,
}

impl Heard {
    /// The status of a fault.
    pub fn fault(&self) -> Option<u32> {
        match self {
            Self::Pdu(ptype::FAULT, _, body) => number(body, 8),
            _ => None,
        }
    }

    /// The stub of a response.
    pub fn stub(&self) -> Option<&[u8]> {
        match self {
            Self::Pdu(ptype::RESPONSE, _, body) => body.get(8..),
            _ => None,
        }
    }

    /// The association group and the first context's result, of a `bind_ack` or `alter_context_resp`.
    pub fn bound(&self) -> Option<(u32, u16)> {
        let Self::Pdu(ptype::BIND_ACK | ptype::ALTER_CONTEXT_RESP, _, body) = self else {
            return None;
        };
        let results = self.results()?;
        Some((number(body, 4)?, *results.first()?))
    }

    /// The results of all contexts, of a `bind_ack` or `alter_context_resp`.
    pub fn results(&self) -> Option<Vec<u16>> {
        let Self::Pdu(ptype::BIND_ACK | ptype::ALTER_CONTEXT_RESP, _, body) = self else {
            return None;
        };
        let short = |at: usize| Some(u16::from_le_bytes(body.get(at..at + 2)?.try_into().ok()?));
        let address = usize::from(short(8)?);
        // Padded to 4 from the beginning of the PDU, whose header has 16 bytes.
        let list = (10 + address).next_multiple_of(4);
        let count = usize::from(*body.get(list)?);
        (0..count).map(|each| short(list + 4 + each * 24)).collect()
    }
}

/// The number of 32 bits that stands there.
pub fn number(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_le_bytes(bytes.get(at..at + 4)?.try_into().ok()?))
}

/// One connection.
#[derive(Debug)]
pub struct Line(pub TcpStream);

impl Line {
    /// Connects.
    ///
    /// # Errors
    /// What the system says.
    pub fn connect(address: SocketAddr) -> io::Result<Self> {
        let stream = TcpStream::connect_timeout(&address, ANSWER)?;
        stream.set_nodelay(true)?;
        Ok(Self(stream))
    }

    /// Connects and binds to an interface.
    ///
    /// # Panics
    /// When that is not accepted.
    pub fn bound(address: SocketAddr, interface: Name) -> Self {
        Self::bound_with(address, &Pdu::bind(interface)).0
    }

    /// Connects and binds by this PDU; gives the association group too.
    ///
    /// # Panics
    /// When that is not accepted.
    pub fn bound_with(address: SocketAddr, bind: &Pdu) -> (Self, u32) {
        let mut line = Self::connect(address).expect("connect");
        let heard = line.ask(bind);
        let Some((group, 0)) = heard.bound() else {
            panic!("not bound: {heard:?}");
        };
        (line, group)
    }

    /// Sends bytes as they are; a connection that is closed meanwhile shows in what is heard.
    pub fn send(&mut self, bytes: &[u8]) {
        let _ = self.0.write_all(bytes);
    }

    /// The next PDU, or what happened instead, within `limit`.
    ///
    /// # Panics
    /// When the system says something unexpected.
    pub fn hear(&mut self, limit: Duration) -> Heard {
        self.0.set_read_timeout(Some(limit)).expect("a limit");
        match self.pdu() {
            Ok(heard) => heard,
            Err(error) => match error.kind() {
                io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut => Heard::Silence,
                io::ErrorKind::UnexpectedEof
                | io::ErrorKind::ConnectionReset
                | io::ErrorKind::BrokenPipe => Heard::Closed,
                _ => panic!("read: {error}"),
            },
        }
    }

    /// Sends a PDU and hears what comes.
    pub fn ask(&mut self, pdu: &Pdu) -> Heard {
        self.send(&pdu.bytes());
        self.hear(ANSWER)
    }

    /// Sends bytes, and nothing more ever: hears all that the server says until it closes too.
    pub fn last(mut self, bytes: &[u8]) -> Vec<Heard> {
        self.send(bytes);
        let _ = self.0.shutdown(Shutdown::Write);
        let mut all = Vec::new();
        loop {
            match self.hear(ANSWER) {
                Heard::Closed => return all,
                other => all.push(other.clone()),
            }
            assert_ne!(
                all.last(),
                Some(&Heard::Silence),
                "the connection is not closed"
            );
        }
    }

    fn pdu(&mut self) -> io::Result<Heard> {
        let mut header = [0; 16];
        self.0.read_exact(&mut header)?;
        let length = u16::from_le_bytes([header[8], header[9]]);
        let mut body = vec![0; usize::from(length).saturating_sub(16)];
        self.0.read_exact(&mut body)?;
        let call = number(&header, 12).unwrap_or_default();
        Ok(Heard::Pdu(header[2], call, body))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_written_as_a_capture_has_them() {
        // The first 20 bytes are those of NDR in any bind that Windows sends.
        let ndr = [
            0x04, 0x5d, 0x88, 0x8a, 0xeb, 0x1c, 0xc9, 0x11, 0x9f, 0xe8, 0x08, 0x00, 0x2b, 0x10,
            0x48, 0x60, 2, 0, 0, 0,
        ];
        assert_eq!(NDR.bytes(), ndr);
        assert_eq!(Pdu::bind(MGMT).bytes().len(), 72);
    }
}
