//! A relay between both ends that changes PDUs on their way: what is noticed, with and without signed headers.
//!
//! The toy mechanism signs what a level and the agreement on headers say (MS-RPCE section 3.3.1.5.2.2), no more, as
//! Kerberos does. NTLM signs headers in any case; `farcall-security` tests that.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::arithmetic_side_effects,
    clippy::as_conversions
)]

use super::client::{self, Client, ClientConfig};
use super::server::{self, Server, ServerConfig};
use super::tests::{ECHO, SECOND, endpoint};
use super::toy::{TOY, Toy};
use crate::pdu::header::{Flags, PacketType};
use crate::security::{AuthLevel, Initiator};
use crate::seed::Seed;
use crate::syntax::Syntax;
use bytes::Bytes;
use farcall_wire::TransmitQueue;
use std::sync::Arc;
use std::time::Instant;

const LEVELS: [AuthLevel; 3] = [AuthLevel::PKT, AuthLevel::INTEGRITY, AuthLevel::PRIVACY];

/// `nca_s_fault_access_denied`, as Windows and Samba say it.
const DENIED: u32 = 5;
/// `RPC_S_SEC_PKG_ERROR`: a signature does not verify.
const UNSIGNED: u32 = 0x721;
/// `nca_s_proto_error`.
const PROTO_ERROR: u32 = 0x1c01_000b;

/// The context of the second interface: the first took three, for NDR, NDR64 and features.
const SECOND_CONTEXT: u8 = 3;

/// What is called: an operation, with arguments that are no multiple of anything.
const OPNUM: u16 = 2;
const ARGUMENTS: &[u8] = b"0123456789abcdef01";

/// A call that reached the server.
#[derive(Debug, PartialEq)]
struct Ran {
    service: usize,
    opnum: u16,
    call_id: u32,
    syntax: Syntax,
    object: bool,
    stub: Vec<u8>,
}

/// Both ends, and the relay between them.
struct Road {
    client: Client<u32>,
    server: Server,
    now: Instant,
    ran: Vec<Ran>,
    /// The server refused a bind or a call, for this reason.
    refused: Option<u32>,
    /// The client refused the server.
    closed: Option<client::Close>,
    context: u16,
}

impl Road {
    fn new(client: ClientConfig, server: ServerConfig, level: AuthLevel) -> Self {
        let now = Instant::now();
        let endpoint = Arc::new(endpoint(server, Some(Toy::default())));
        let mut road = Self {
            client: Client::new(client, now, &Seed::replay(1)),
            server: Server::new(endpoint, now, &Seed::replay(2)),
            now,
            ran: Vec::new(),
            refused: None,
            closed: None,
            context: 0,
        };
        let authentication = client::Authentication {
            exchange: Toy::default().initiate("server", level).unwrap(),
            auth_type: TOY,
            level,
        };
        road.client.bind(now, &[ECHO, SECOND], Some(authentication));
        road
    }

    /// Moves PDUs to and fro until none moves, each changed by the relay.
    fn drive(&mut self, change: impl Fn(&mut [u8])) {
        for _ in 0..100 {
            let mut up = TransmitQueue::new();
            self.client.poll_transmit(&mut up);
            let mut down = TransmitQueue::new();
            let mut moved = 0;
            for mut pdu in pdus(&up.to_vec()) {
                change(&mut pdu);
                self.feed_server(pdu, &mut down);
                moved += 1;
            }
            for mut pdu in pdus(&down.to_vec()) {
                change(&mut pdu);
                self.feed_client(pdu);
                moved += 1;
            }
            if moved == 0 {
                return;
            }
        }
        panic!("no end");
    }

    fn feed_server(&mut self, pdu: Vec<u8>, out: &mut TransmitQueue) {
        let (batch, mut at) = (Bytes::from(pdu), 0);
        while let Some(event) = self.server.handle_bytes(self.now, &batch, &mut at, out) {
            match event {
                server::Event::Call(call) => self.ran.push(Ran {
                    service: call.service,
                    opnum: call.opnum,
                    call_id: call.to.call_id,
                    syntax: call.syntax,
                    object: call.object.is_some(),
                    stub: call.stub.bytes(&batch).to_vec(),
                }),
                server::Event::Authenticated(_) | server::Event::Close(_) => {}
                other => panic!("{other:?}"),
            }
        }
    }

    fn feed_client(&mut self, pdu: Vec<u8>) {
        match PacketType(pdu[2]) {
            PacketType::FAULT => {
                let status = pdu[24..28].try_into().unwrap();
                self.refused = Some(u32::from_le_bytes(status));
            }
            PacketType::BIND_NAK => {
                self.refused = Some(u16::from_le_bytes([pdu[16], pdu[17]]).into())
            }
            _ => {}
        }
        let (batch, mut at) = (Bytes::from(pdu), 0);
        while let Some(event) = self.client.handle_bytes(self.now, &batch, &mut at) {
            self.note(event);
        }
        while let Some(event) = self.client.poll_event() {
            self.note(event);
        }
    }

    fn note(&mut self, event: client::Event<u32>) {
        match event {
            client::Event::Bound(bound) => self.context = bound[0].context.unwrap().0,
            client::Event::Close(close) => self.closed = Some(close),
            _ => {}
        }
    }

    /// Calls, through a relay that changes the request.
    fn call(&mut self, change: impl Fn(&mut [u8])) {
        let called = self
            .client
            .call(self.now, self.context, OPNUM, None, ARGUMENTS, None, 1);
        called.unwrap();
        self.drive(|pdu| {
            if PacketType(pdu[2]) == PacketType::REQUEST {
                change(pdu);
            }
        });
    }
}

fn pdus(mut bytes: &[u8]) -> Vec<Vec<u8>> {
    let mut all = Vec::new();
    while !bytes.is_empty() {
        let length = usize::from(u16::from_le_bytes([bytes[8], bytes[9]]));
        let (pdu, rest) = bytes.split_at(length);
        all.push(pdu.to_vec());
        bytes = rest;
    }
    all
}

/// What comes of a request that was changed on its way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Outcome {
    /// It ran as it was sent.
    AsSent,
    /// It ran, but is not what was sent: what the relay said instead of what the caller said.
    Changed,
    /// It did not run, and the caller was not told.
    Held,
    /// The server refused it with this status.
    Refused(u32),
}

use Outcome::{AsSent, Changed, Held, Refused};

/// Which of the two defences there are besides the signature of the stub.
#[derive(Clone, Copy, Debug)]
struct Defence {
    trailer: bool,
    headers: bool,
}

/// None, the verification trailer, signed headers without and with it.
const DEFENCES: [Defence; 4] = [
    Defence {
        trailer: false,
        headers: false,
    },
    Defence {
        trailer: true,
        headers: false,
    },
    Defence {
        trailer: false,
        headers: true,
    },
    Defence {
        trailer: true,
        headers: true,
    },
];

fn outcome(level: AuthLevel, defence: Defence, change: fn(&mut [u8])) -> Outcome {
    let config = || ClientConfig {
        sign_header: defence.headers,
        verification: defence.trailer,
        ..ClientConfig::default()
    };
    let road = |change: fn(&mut [u8])| {
        let mut road = Road::new(config(), ServerConfig::default(), level);
        road.drive(|_| {});
        road.call(change);
        road
    };
    let plain = road(|_| {});
    assert_eq!((plain.ran.len(), plain.refused), (1, None));
    let changed = road(change);
    match (changed.ran.as_slice(), changed.refused) {
        ([], None) => Held,
        ([], Some(status)) => Refused(status),
        (ran, _) if ran == plain.ran => AsSent,
        _ => Changed,
    }
}

/// Where the security trailer of a request stands.
fn trailer_of(pdu: &[u8]) -> usize {
    pdu.len() - usize::from(u16::from_le_bytes([pdu[10], pdu[11]])) - 8
}

/// The verification trailer: a signature of 8 bytes and three commands of 8, 44 and 20 bytes.
const VERIFICATION: u8 = 80;

fn hide_verification(pdu: &mut [u8]) {
    let trailer = trailer_of(pdu);
    let at = pdu.windows(4).position(|it| it == [0x8a, 0xe3, 0x13, 0x71]);
    // At level privacy the relay does not see it, but knows how long it is.
    if at.is_some() || pdu[trailer + 1] == AuthLevel::PRIVACY.0 && pdu.len() > 24 + 100 {
        pdu[trailer + 2] += VERIFICATION;
    }
}

type Change = (&'static str, fn(&mut [u8]), [Outcome; 4]);

/// What a relay does, and what comes of it with each defence.
const CHANGES: [Change; 11] = [
    ("the stub", |pdu| pdu[24] ^= 1, [Refused(UNSIGNED); 4]),
    (
        "the operation",
        |pdu| pdu[22] ^= 1,
        [
            Changed,
            Refused(DENIED),
            Refused(UNSIGNED),
            Refused(UNSIGNED),
        ],
    ),
    (
        "the call's number",
        |pdu| pdu[13] ^= 1,
        [
            Changed,
            Refused(DENIED),
            Refused(UNSIGNED),
            Refused(UNSIGNED),
        ],
    ),
    // Another interface.
    (
        "the context",
        |pdu| pdu[20] = SECOND_CONTEXT,
        [
            Changed,
            Refused(DENIED),
            Refused(UNSIGNED),
            Refused(UNSIGNED),
        ],
    ),
    (
        "the last fragment",
        |pdu| pdu[3] &= !Flags::LAST.0,
        [Held, Held, Refused(UNSIGNED), Refused(UNSIGNED)],
    ),
    // A call number that nothing was begun under.
    (
        "the first fragment",
        |pdu| pdu[3] &= !Flags::FIRST.0,
        [
            Refused(PROTO_ERROR),
            Refused(PROTO_ERROR),
            Refused(UNSIGNED),
            Refused(UNSIGNED),
        ],
    ),
    // The signature begins 16 bytes later.
    (
        "an object",
        |pdu| pdu[3] |= Flags::OBJECT_UUID.0,
        [Refused(UNSIGNED); 4],
    ),
    (
        "the hint of a length",
        |pdu| pdu[16] ^= 1,
        [AsSent, AsSent, Refused(UNSIGNED), Refused(UNSIGNED)],
    ),
    // The padding becomes arguments; what stands behind a verification trailer is none.
    (
        "less padding",
        |pdu| {
            let at = trailer_of(pdu);
            pdu[at + 2] = 0;
        },
        [Changed, AsSent, Refused(UNSIGNED), Refused(UNSIGNED)],
    ),
    // The arguments become padding.
    (
        "more padding",
        |pdu| {
            let at = trailer_of(pdu);
            pdu[at + 2] += 4;
        },
        [
            Changed,
            Refused(DENIED),
            Refused(UNSIGNED),
            Refused(UNSIGNED),
        ],
    ),
    // The verification trailer becomes padding: it is no defence against who knows it.
    (
        "the operation and the trailer",
        |pdu| {
            hide_verification(pdu);
            pdu[22] ^= 1;
        },
        [Changed, Changed, Refused(UNSIGNED), Refused(UNSIGNED)],
    ),
];

#[test]
fn what_a_relay_changes_outside_the_stub_is_noticed_where_headers_are_signed() {
    let mut faults = Vec::new();
    for (name, change, expected) in CHANGES {
        for level in LEVELS {
            let outcomes = DEFENCES.map(|defence| outcome(level, defence, change));
            if outcomes != expected {
                faults.push(format!("{name} at {level}: {outcomes:?}, not {expected:?}"));
            }
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

/// A relay that takes the offer of signed headers, or the answer to it, away.
fn strip(ptype: PacketType) -> impl Fn(&mut [u8]) {
    move |pdu| {
        if PacketType(pdu[2]) == ptype {
            pdu[3] &= !Flags::SUPPORT_HEADER_SIGN.0;
        }
    }
}

fn client(require_sign_header: bool) -> ClientConfig {
    ClientConfig {
        require_sign_header,
        ..ClientConfig::default()
    }
}

fn server(require_sign_header: bool) -> ServerConfig {
    ServerConfig {
        require_sign_header,
        ..ServerConfig::default()
    }
}

#[test]
fn a_relay_that_takes_signed_headers_away_is_noticed_where_they_are_required() {
    for level in LEVELS {
        // Nobody changes anything.
        let mut road = Road::new(client(true), server(true), level);
        road.drive(|_| {});
        road.call(|_| {});
        assert_eq!(
            (road.ran.len(), road.refused, &road.closed),
            (1, None, &None)
        );

        // The server misses the offer.
        let mut road = Road::new(client(false), server(true), level);
        road.drive(strip(PacketType::BIND));
        assert_eq!(
            road.refused,
            Some(0),
            "a bind_nak, for no reason that is told"
        );

        // The client misses the answer, because the server missed the offer, or the answer itself was changed.
        for ptype in [PacketType::BIND, PacketType::BIND_ACK] {
            let mut road = Road::new(client(true), server(false), level);
            road.drive(strip(ptype));
            assert_eq!(road.refused, None);
            let closed = road.closed.unwrap().to_string();
            assert!(closed.contains("does not sign headers"), "{closed}");
        }
    }
}

#[test]
fn a_relay_that_takes_signed_headers_away_is_noticed_late_or_never_where_they_are_not_required() {
    for level in LEVELS {
        // The client says again in its first call that it would have signed.
        let mut road = Road::new(client(false), server(false), level);
        road.drive(strip(PacketType::BIND));
        road.call(|_| {});
        assert_eq!((road.ran.len(), road.refused), (0, Some(DENIED)));
        // The ends do not agree on what is signed.
        let mut road = Road::new(client(false), server(false), level);
        road.drive(strip(PacketType::BIND_ACK));
        road.call(|_| {});
        assert_eq!((road.ran.len(), road.refused), (0, Some(UNSIGNED)));
        // Without the trailer, and with both changed, nobody knows.
        let mut road = Road::new(
            ClientConfig {
                verification: false,
                ..client(false)
            },
            server(false),
            level,
        );
        road.drive(strip(PacketType::BIND));
        road.call(|pdu| pdu[22] ^= 1);
        assert_eq!((road.ran[0].opnum, road.refused), (OPNUM ^ 1, None));
    }
}

#[test]
fn an_end_that_requires_signed_headers_refuses_one_that_has_none_of_them() {
    for level in LEVELS {
        let none = ServerConfig {
            sign_header: false,
            ..server(false)
        };
        let mut road = Road::new(client(true), none, level);
        road.drive(|_| {});
        assert!(
            matches!(&road.closed, Some(client::Close::Denied(_))),
            "{:?}",
            road.closed
        );
        let none = ClientConfig {
            sign_header: false,
            ..client(false)
        };
        let mut road = Road::new(none, server(true), level);
        road.drive(|_| {});
        assert_eq!(road.refused, Some(0));
    }
    // At level connect nothing is signed, so nothing is required.
    let none = ServerConfig {
        sign_header: false,
        ..server(false)
    };
    let mut road = Road::new(client(true), none, AuthLevel::CONNECT);
    road.drive(|_| {});
    road.call(|_| {});
    assert_eq!((road.ran.len(), road.closed), (1, None));
}
