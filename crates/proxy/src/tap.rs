//! A capture of the RPC inside: what was relayed, without TLS and HTTP, for `tshark` and Wireshark to read.
//!
//! The file is a classic pcap of bare IP packets. Each virtual connection is shown as one TCP connection from the client's
//! address to the target's port 135, whatever port it really has: there every reader takes it for DCE/RPC. What must
//! not be seen is overwritten with zeros before it is written: tokens and cookies always, arguments and results unless the configuration says
//! otherwise; what cannot be taken apart is overwritten whole. Lengths stay. Nothing here decrypts what RPC itself has encrypted.

use std::fs::File;
use std::io::{self, Write};
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::ops::Range;
use std::path::Path;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use farcall_dce::pdu::auth::Verifier;
use farcall_dce::pdu::call::{Fault, Request, Response};
use farcall_dce::pdu::{Header, PacketType};

use crate::config::{self, Redact};
use crate::identity::Identity;
use crate::metrics::Way;
use crate::policy::pattern::User;

/// The port that targets have in captures.
const PORT: u16 = 135;

/// Bytes of a packet's data; a PDU may take several.
const SEGMENT: usize = 16 << 10;

/// A pcap file's header: microseconds, version 2.4, packets of up to 256 KiB, each beginning with its IP header
/// (LINKTYPE_RAW).
const FILE_HEADER: [u32; 6] = [0xa1b2_c3d4, 0x0004_0002, 0, 0, 0x0004_0000, 101];

/// A capture.
#[derive(Debug)]
pub struct Tap {
    to: Mutex<Option<Capture>>,
    redact: Redact,
    targets: Vec<String>,
    users: Vec<User>,
}

#[derive(Debug)]
struct Capture {
    file: File,
    left: usize,
}

/// One virtual connection in a capture.
#[derive(Clone, Debug)]
pub struct Flow {
    client: SocketAddr,
    server: IpAddr,
    /// What each side has sent: the client, the server.
    sent: [u32; 2],
}

impl Flow {
    /// A connection from `client` to `server`.
    #[must_use]
    pub fn new(client: SocketAddr, server: IpAddr) -> Self {
        Self {
            client,
            server,
            sent: [1, 1],
        }
    }
}

impl Tap {
    /// Begins a capture; a file that is there is overwritten.
    ///
    /// # Errors
    /// Those of the file.
    pub fn open(config: &config::Tap) -> io::Result<Self> {
        let mut file = create(&config.file)?;
        let header: Vec<u8> = FILE_HEADER
            .iter()
            .flat_map(|word| word.to_le_bytes())
            .collect();
        file.write_all(&header)?;
        let left = config.size.saturating_sub(header.len());
        Ok(Self {
            to: Mutex::new(Some(Capture { file, left })),
            redact: config.redact,
            targets: config
                .targets
                .iter()
                .map(|it| it.get_ref().clone())
                .collect(),
            users: config.users.iter().map(|it| User::new(it)).collect(),
        })
    }

    /// Whether connections of `who` to `target` are captured.
    #[must_use]
    pub fn wants(&self, target: &str, who: &Identity) -> bool {
        let to = self.targets.is_empty() || self.targets.iter().any(|it| it == target);
        to && (self.users.is_empty() || self.users.iter().any(|it| it.matches(who)))
    }

    /// Writes one whole PDU that was relayed. A capture that is full, or a disk that is, ends it silently.
    pub fn write(&self, flow: &mut Flow, way: Way, pdu: &[u8]) {
        let mut pdu = pdu.to_vec();
        redact(&mut pdu, self.redact);
        let now = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        let mut to = self.to.lock().unwrap_or_else(PoisonError::into_inner);
        for piece in pdu.chunks(SEGMENT) {
            let record = record(flow, way, piece, now);
            let written = match to.as_mut() {
                Some(capture) if record.len() <= capture.left => {
                    capture.left = capture.left.saturating_sub(record.len());
                    capture.file.write_all(&record).is_ok()
                }
                _ => false,
            };
            if !written {
                *to = None;
                return;
            }
        }
    }
}

/// A new file that its owner alone may read.
fn create(path: &Path) -> io::Result<File> {
    use std::os::unix::fs::OpenOptionsExt;
    File::options()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(path)
}

/// Overwrites what must not be seen.
pub fn redact(pdu: &mut [u8], what: Redact) {
    let Some(hide) = hidden(pdu, what) else {
        return pdu.iter_mut().skip(Header::LEN).for_each(|byte| *byte = 0);
    };
    for range in hide {
        if let Some(bytes) = pdu.get_mut(range) {
            bytes.fill(0);
        }
    }
}

/// What must not be seen of a PDU; `None` if it cannot be taken apart.
fn hidden(pdu: &[u8], what: Redact) -> Option<Vec<Range<usize>>> {
    let (head, body) = pdu.split_first_chunk::<{ Header::LEN }>()?;
    let header = Header::parse(head).ok()?;
    header.check().ok()?;
    if header.ptype == PacketType::RTS {
        return cookies(body);
    }
    let stub = match header.ptype {
        PacketType::REQUEST => Some(Request::parse(body, &header).ok()?.stub()),
        PacketType::RESPONSE => Some(Response::LEN),
        PacketType::FAULT => Some(Fault::LEN.min(pdu.len())),
        _ => None,
    };
    let verifier = Verifier::find(pdu, &header, stub.unwrap_or(Header::LEN)).ok()?;
    let mut hide: Vec<Range<usize>> = verifier.iter().map(|it| it.token.clone()).collect();
    if let (Some(stub), Redact::Stubs) = (stub, what) {
        hide.push(stub..verifier.map_or(pdu.len(), |it| it.at));
    }
    Some(hide)
}

/// The cookies of an RTS PDU (MS-RPCH section 2.2.3.5), whose commands begin 4 bytes into its body.
fn cookies(body: &[u8]) -> Option<Vec<Range<usize>>> {
    let word = |at: usize| {
        let bytes: [u8; 4] = body.get(at..at.checked_add(4)?)?.try_into().ok()?;
        Some(u32::from_le_bytes(bytes))
    };
    let mut hide = Vec::new();
    let mut at = 4_usize;
    while at < body.len() {
        let (len, cookie) = match word(at)? {
            0 | 2 | 4 | 5 | 6 | 13 | 14 => (8, None),
            1 => (28, Some(12)),
            3 | 12 => (20, Some(4)),
            7 | 9 | 10 => (4, None),
            8 => (
                usize::try_from(word(at.checked_add(4)?)?)
                    .ok()?
                    .checked_add(8)?,
                None,
            ),
            11 => (
                if word(at.checked_add(4)?)? == 0 {
                    24
                } else {
                    36
                },
                None,
            ),
            _ => return None,
        };
        if let Some(cookie) = cookie {
            let from = at.checked_add(cookie)?.checked_add(Header::LEN)?;
            hide.push(from..from.checked_add(16)?);
        }
        at = at.checked_add(len)?;
    }
    (at == body.len()).then_some(hide)
}

/// A packet with its record's header.
fn record(flow: &mut Flow, way: Way, data: &[u8], now: Duration) -> Vec<u8> {
    let packet = packet(flow, way, data);
    let seconds = u32::try_from(now.as_secs()).unwrap_or(u32::MAX);
    let len = u32::try_from(packet.len()).unwrap_or(u32::MAX);
    let mut record = Vec::with_capacity(packet.len().saturating_add(16));
    for word in [seconds, now.subsec_micros(), len, len] {
        record.extend_from_slice(&word.to_le_bytes());
    }
    record.extend_from_slice(&packet);
    record
}

/// An IP packet with a TCP segment: acknowledged, pushed.
fn packet(flow: &mut Flow, way: Way, data: &[u8]) -> Vec<u8> {
    let (client, server) = (flow.client.ip(), flow.server);
    let len = u32::try_from(data.len()).unwrap_or(0);
    let [from_client, from_server] = &mut flow.sent;
    let (from, to, ports, sent, other) = match way {
        Way::In => (
            client,
            server,
            [flow.client.port(), PORT],
            from_client,
            from_server,
        ),
        Way::Out => (
            server,
            client,
            [PORT, flow.client.port()],
            from_server,
            from_client,
        ),
    };
    let mut tcp = Vec::with_capacity(data.len().saturating_add(20));
    tcp.extend(ports.iter().flat_map(|port| port.to_be_bytes()));
    tcp.extend(sent.to_be_bytes());
    tcp.extend(other.to_be_bytes());
    // Five words of header, ACK and PSH, a window of 65535, a checksum to come, nothing urgent.
    tcp.extend([0x50, 0x18, 0xff, 0xff, 0, 0, 0, 0]);
    tcp.extend_from_slice(data);
    *sent = sent.wrapping_add(len);
    let total = u16::try_from(tcp.len()).unwrap_or(u16::MAX);
    let (mut packet, pseudo) = match (from.to_canonical(), to.to_canonical()) {
        (IpAddr::V4(from), IpAddr::V4(to)) => {
            let addresses: Vec<u8> = [from.octets(), to.octets()].concat();
            (v4(&addresses, total), addresses)
        }
        (from, to) => {
            let addresses: Vec<u8> = [six(from), six(to)].concat();
            let mut ip = vec![0x60, 0, 0, 0];
            ip.extend(total.to_be_bytes());
            ip.extend([6, 64]);
            ip.extend_from_slice(&addresses);
            (ip, addresses)
        }
    };
    let [high, low] = total.to_be_bytes();
    let sum = checksum(&[&pseudo, &[0, 6, high, low], &tcp]).to_be_bytes();
    tcp.iter_mut()
        .skip(16)
        .zip(sum)
        .for_each(|(to, from)| *to = from);
    packet.extend_from_slice(&tcp);
    packet
}

fn v4(addresses: &[u8], tcp: u16) -> Vec<u8> {
    let total = tcp.saturating_add(20).to_be_bytes();
    let [high, low] = total;
    let mut ip = vec![0x45, 0, high, low, 0, 0, 0x40, 0, 64, 6, 0, 0];
    ip.extend_from_slice(addresses);
    let sum = checksum(&[&ip]).to_be_bytes();
    ip.iter_mut()
        .skip(10)
        .zip(sum)
        .for_each(|(to, from)| *to = from);
    ip
}

fn six(address: IpAddr) -> [u8; 16] {
    match address {
        IpAddr::V4(it) => it.to_ipv6_mapped().octets(),
        IpAddr::V6(it) => Ipv6Addr::octets(&it),
    }
}

/// The Internet checksum (RFC 1071) over parts; each but the last is of even length.
fn checksum(parts: &[&[u8]]) -> u16 {
    let mut sum = 0_u64;
    for part in parts {
        for pair in part.chunks(2) {
            let word = match *pair {
                [a, b] => u16::from_be_bytes([a, b]),
                [a] => u16::from_be_bytes([a, 0]),
                _ => 0,
            };
            sum = sum.wrapping_add(word.into());
        }
    }
    while sum > 0xffff {
        sum = (sum & 0xffff).wrapping_add(sum >> 16);
    }
    !u16::try_from(sum).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use farcall_dce::pdu::Flags;
    use farcall_dce::pdu::auth::{self, Trailer};
    use farcall_dce::security::{AuthLevel, AuthType};
    use farcall_dce::syntax::Order;

    /// A PDU whose body ends with `stub`, with a token of 0xee.
    fn pdu(ptype: PacketType, body: &[u8]) -> Vec<u8> {
        let mut pdu = Header::new(ptype, Flags::WHOLE, Order::Little, 7)
            .emit()
            .to_vec();
        pdu.extend_from_slice(body);
        let trailer = Trailer {
            auth_type: AuthType::NTLM,
            level: AuthLevel::PRIVACY,
            pad_length: 0,
            context_id: 1,
        };
        assert!(auth::append(&mut pdu, 0, trailer, &[0xee; 16]));
        pdu
    }

    fn open(rest: &str, redact: &str) -> (tempfile::TempDir, Tap) {
        let folder = tempfile::tempdir().expect("a folder");
        let text = format!(
            "[tap]\nfile = \"{}/t.pcap\"\nreason = \"a test\"\nredact = \"{redact}\"\n{rest}",
            folder.path().display()
        );
        let (config, _) = config::Config::parse(Path::new("p"), &text).expect("TOML");
        let tap = Tap::open(&config.tap.expect("a tap")).expect("a file");
        (folder, tap)
    }

    #[test]
    fn stubs_and_tokens_are_hidden_and_headers_are_not() {
        for (ptype, head) in [
            (PacketType::REQUEST, 24),
            (PacketType::RESPONSE, 24),
            (PacketType::FAULT, 32),
        ] {
            let body = vec![0xaa; 40];
            let whole = pdu(ptype, &body);
            let mut hidden = whole.clone();
            redact(&mut hidden, Redact::Stubs);
            let at = whole.len() - 24;
            assert_eq!(hidden[..head], whole[..head]);
            assert!(hidden[head..at].iter().all(|byte| *byte == 0));
            assert_eq!(hidden[at..at + 8], whole[at..at + 8]);
            assert!(hidden[at + 8..].iter().all(|byte| *byte == 0));
            let mut tokens = whole.clone();
            redact(&mut tokens, Redact::Tokens);
            assert_eq!(tokens[..at + 8], whole[..at + 8]);
            assert!(tokens[at + 8..].iter().all(|byte| *byte == 0));
        }
        let bind = pdu(PacketType::BIND, &[0xaa; 40]);
        let mut hidden = bind.clone();
        redact(&mut hidden, Redact::Stubs);
        assert_eq!(hidden[..bind.len() - 16], bind[..bind.len() - 16]);
    }

    #[test]
    fn cookies_are_hidden() {
        // CONN/A1 (MS-RPCH section 2.2.4.2): version, two cookies, a window.
        let mut a1 = vec![
            5, 0, 20, 3, 0x10, 0, 0, 0, 76, 0, 0, 0, 0, 0, 0, 0, 0, 0, 4, 0, 6, 0, 0, 0, 1, 0, 0, 0,
        ];
        for _ in 0..2 {
            a1.extend([3, 0, 0, 0]);
            a1.extend([0xcc; 16]);
        }
        a1.extend([0, 0, 0, 0, 0, 0, 4, 0]);
        let mut hidden = a1.clone();
        redact(&mut hidden, Redact::Tokens);
        assert!(!hidden.contains(&0xcc));
        assert_eq!((&hidden[..32], &hidden[68..]), (&a1[..32], &a1[68..]));
        // An acknowledgement names its channel by its cookie.
        let mut ack = vec![
            5, 0, 20, 3, 0x10, 0, 0, 0, 48, 0, 0, 0, 0, 0, 0, 0, 2, 0, 1, 0, 1, 0, 0, 0, 9, 9, 9,
            9, 8, 8, 8, 8,
        ];
        ack.extend([0xcc; 16]);
        redact(&mut ack, Redact::Tokens);
        assert!(!ack.contains(&0xcc) && ack.contains(&8));
    }

    #[test]
    fn what_cannot_be_taken_apart_is_hidden_whole() {
        for mut bad in [
            vec![0xcc; 64],
            pdu(PacketType::REQUEST, &[0xcc; 2]),
            vec![0xcc; 3],
        ] {
            if bad.len() > 20 && bad[0] == 5 {
                // A verifier longer than the PDU.
                bad[10] = 200;
            }
            redact(&mut bad, Redact::Tokens);
            assert!(
                bad.get(16..)
                    .unwrap_or_default()
                    .iter()
                    .all(|byte| *byte == 0)
            );
        }
        let mut rts = vec![
            5, 0, 20, 3, 0x10, 0, 0, 0, 40, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 99, 0, 0, 0,
        ];
        rts.extend([0xcc; 16]);
        redact(&mut rts, Redact::Tokens);
        assert!(!rts.contains(&0xcc));
    }

    #[test]
    fn packets_are_ip_and_tcp_with_their_checksums() {
        let mut flow = Flow::new(
            "192.0.2.1:50000".parse().expect("address"),
            [10, 0, 0, 5].into(),
        );
        let first = packet(&mut flow, Way::In, b"abc");
        assert_eq!(first[..10], [0x45, 0, 0, 43, 0, 0, 0x40, 0, 64, 6]);
        assert_eq!(checksum(&[&first[..20]]), 0);
        assert_eq!(checksum(&[&first[12..20], &[0, 6, 0, 23], &first[20..]]), 0);
        assert_eq!(first[20..24], [0xc3, 0x50, 0, 135]);
        let back = packet(&mut flow, Way::Out, b"de");
        // It acknowledges three bytes.
        assert_eq!(back[20..32], [0, 135, 0xc3, 0x50, 0, 0, 0, 1, 0, 0, 0, 4]);
        let mut mixed = Flow::new(
            "[2001:db8::1]:1".parse().expect("address"),
            [10, 0, 0, 5].into(),
        );
        let six = packet(&mut mixed, Way::In, b"x");
        assert_eq!((six[0], six[6], six.len()), (0x60, 6, 61));
        assert_eq!(
            six[24..40],
            [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 10, 0, 0, 5]
        );
    }

    #[test]
    fn a_capture_has_what_it_is_to_have_and_ends_when_it_is_full() {
        let (folder, tap) = open(
            "targets = [\"files\"]\nusers = [\"DOM\\\\*\"]\nsize = 1000\n",
            "stubs",
        );
        let who = |domain: &str| Identity::new(crate::AuthKind::Ntlm, "a".into(), domain.into());
        assert!(tap.wants("files", &who("DOM")));
        assert!(!tap.wants("mail", &who("DOM")) && !tap.wants("files", &who("X")));
        let mut flow = Flow::new(
            "192.0.2.1:50000".parse().expect("address"),
            [10, 0, 0, 5].into(),
        );
        for _ in 0..50 {
            tap.write(&mut flow, Way::In, &pdu(PacketType::REQUEST, &[1; 40]));
        }
        let written = std::fs::read(folder.path().join("t.pcap")).expect("a file");
        assert!(
            written.len() <= 1000 && written.len() > 500,
            "{}",
            written.len()
        );
        assert_eq!(written[..4], [0xd4, 0xc3, 0xb2, 0xa1]);
    }
}
