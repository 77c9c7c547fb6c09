//! Two ends over a stream that splits at every byte, with a virtual clock.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::arithmetic_side_effects,
    clippy::as_conversions
)]

use super::client::{self, Client, ClientConfig};
use super::group::Groups;
use super::server::{self, Call, Endpoint, Floor, Interface, Server, ServerConfig};
use super::toy::{TOY, Toy};
use crate::security::{AuthLevel, Initiator};
use crate::seed::Seed;
use crate::status;
use crate::syntax::{Features, Order, Syntax, SyntaxId, Uuid};
use bytes::Bytes;
use farcall_wire::TransmitQueue;
use std::sync::Arc;
use std::time::{Duration, Instant};

pub(crate) const ECHO: SyntaxId = SyntaxId::new(Uuid::new(0x60a1_5ec5, 1, 2, [3; 8]), 1, 0);
pub(crate) const SECOND: SyntaxId = SyntaxId::new(Uuid::new(0x60a1_5ec6, 1, 2, [3; 8]), 2, 1);
pub(crate) const CLOSED: SyntaxId = SyntaxId::new(Uuid::new(0x60a1_5ec7, 1, 2, [3; 8]), 1, 0);

/// The operation whose arguments come in pieces.
pub(crate) const PIPED: u16 = 9;

pub(crate) fn endpoint(config: ServerConfig, toy: Option<Toy>) -> Endpoint {
    let row = |id, service, floor| Interface {
        id,
        service,
        floor,
        pipes: &[PIPED],
    };
    Endpoint {
        config,
        interfaces: vec![
            row(ECHO, 7, Floor::OPEN),
            row(SECOND, 8, Floor::OPEN),
            row(CLOSED, 9, Floor::AUTHENTICATED),
        ],
        groups: Groups::new(Seed::replay(5)),
        acceptor: toy.map(|toy| Arc::new(toy) as Arc<dyn crate::security::Acceptor>),
    }
}

/// Both ends of one connection. The server echoes the arguments of operation 0, and is silent about others until told.
pub(crate) struct Pair {
    pub(crate) client: Client<u32>,
    pub(crate) server: Server,
    pub(crate) now: Instant,
    /// Bytes that travel together; 0: all.
    pub(crate) cut: usize,
    pub(crate) held: Vec<Call>,
    /// Pieces of arguments that the server was handed, the first ones included.
    pub(crate) pieces: Vec<(u32, Vec<u8>, bool)>,
    /// Pieces of results that the client was handed.
    pub(crate) parts: Vec<Vec<u8>>,
    pub(crate) said: Vec<String>,
    pub(crate) got: Vec<(u32, Result<Vec<u8>, String>)>,
    pub(crate) bound: Vec<client::Bound>,
    pub(crate) closed: Option<client::Close>,
}

#[derive(Default)]
pub(crate) struct Setup {
    pub(crate) client: ClientConfig,
    pub(crate) server: ServerConfig,
    pub(crate) toy: Toy,
    pub(crate) level: Option<AuthLevel>,
    pub(crate) cut: usize,
}

impl Pair {
    pub(crate) fn new(setup: Setup) -> Self {
        let endpoint = Arc::new(endpoint(setup.server, Some(setup.toy)));
        Self::at(setup.client, &endpoint, setup.toy, setup.level, setup.cut)
    }

    pub(crate) fn at(
        config: ClientConfig,
        endpoint: &Arc<Endpoint>,
        toy: Toy,
        level: Option<AuthLevel>,
        cut: usize,
    ) -> Self {
        let now = Instant::now();
        let mut pair = Self {
            client: Client::new(config, now, &Seed::replay(1)),
            server: Server::new(Arc::clone(endpoint), now, &Seed::replay(2)),
            now,
            cut,
            held: Vec::new(),
            pieces: Vec::new(),
            parts: Vec::new(),
            said: Vec::new(),
            got: Vec::new(),
            bound: Vec::new(),
            closed: None,
        };
        let authentication = level.map(|level| client::Authentication {
            exchange: toy.initiate("server", level).unwrap(),
            auth_type: TOY,
            level,
        });
        pair.client.bind(now, &[ECHO], authentication);
        pair.drive();
        pair
    }

    pub(crate) fn context(&self, interface: SyntaxId) -> u16 {
        let bound = self.bound.iter().find(|bound| bound.interface == interface);
        bound.unwrap().context.unwrap().0
    }

    pub(crate) fn call(&mut self, opnum: u16, stub: &[u8], token: u32) -> client::CallId {
        let context = self.context(ECHO);
        self.client
            .call(self.now, context, opnum, None, stub, None, token)
            .unwrap()
    }

    /// Moves bytes to and fro until nothing moves.
    pub(crate) fn drive(&mut self) {
        for _ in 0..1_000 {
            let mut up = TransmitQueue::new();
            self.client.poll_transmit(&mut up);
            let mut down = TransmitQueue::new();
            self.feed_server(&up.to_vec(), &mut down);
            let moved = up.len() + down.len();
            self.feed_client(&down.to_vec());
            self.drain_client();
            if moved == 0 {
                return;
            }
        }
        panic!("no end");
    }

    fn pieces(&self, bytes: &[u8]) -> Vec<Bytes> {
        let size = if self.cut == 0 {
            bytes.len().max(1)
        } else {
            self.cut
        };
        bytes.chunks(size).map(Bytes::copy_from_slice).collect()
    }

    fn feed_server(&mut self, bytes: &[u8], out: &mut TransmitQueue) {
        for batch in self.pieces(bytes) {
            let mut at = 0;
            loop {
                let event = self.server.handle_bytes(self.now, &batch, &mut at, out);
                let Some(event) = event else { break };
                self.serve(event, &batch, out);
            }
            assert_eq!(at, batch.len());
        }
    }

    fn serve(&mut self, event: server::Event, batch: &Bytes, out: &mut TransmitQueue) {
        match event {
            server::Event::Call(call) if call.opnum == 0 => {
                let stub = call.stub.bytes(batch);
                self.server.reply(&call.to, &stub, out).unwrap();
            }
            server::Event::Call(call) => {
                if call.open {
                    let first = call.stub.bytes(batch).to_vec();
                    self.pieces.push((call.to.call_id, first, false));
                }
                self.held.push(call);
            }
            server::Event::Piece { to, stub, last } => {
                let piece = stub.bytes(batch).to_vec();
                self.pieces.push((to.call_id, piece, last));
            }
            server::Event::Ask(query) => {
                let answer = (query.0)();
                if let Some(event) = self.server.answer(self.now, answer, out) {
                    self.serve(event, batch, out);
                }
            }
            other => self.said.push(format!("{other:?}")),
        }
    }

    pub(crate) fn feed_client(&mut self, bytes: &[u8]) {
        for batch in self.pieces(bytes) {
            let mut at = 0;
            while let Some(event) = self.client.handle_bytes(self.now, &batch, &mut at) {
                self.note(event, &batch);
            }
            assert_eq!(at, batch.len());
        }
    }

    pub(crate) fn drain_client(&mut self) {
        while let Some(event) = self.client.poll_event() {
            self.note(event, &Bytes::new());
        }
    }

    fn note(&mut self, event: client::Event<u32>, batch: &Bytes) {
        match event {
            client::Event::Bound(bound) => self.bound.extend(bound),
            client::Event::Response { token, stub, .. } => {
                self.got.push((token, Ok(stub.bytes(batch).to_vec())));
            }
            client::Event::Piece { stub, .. } => self.parts.push(stub.bytes(batch).to_vec()),
            client::Event::Fault { token, fault, .. } => {
                self.got.push((token, Err(fault.to_string())));
            }
            client::Event::Ended {
                token, cause, sent, ..
            } => self
                .got
                .push((token, Err(format!("{cause:?} sent {sent}")))),
            client::Event::Close(close) => self.closed = Some(close),
            client::Event::Ask(_) => panic!("the toy client asks nobody"),
        }
    }
}

pub(crate) fn data(len: usize) -> Vec<u8> {
    (0_u32..)
        .map(|n| n.to_le_bytes()[usize::from(n % 3 == 0)])
        .take(len)
        .collect()
}

pub(crate) const LEVELS: [Option<AuthLevel>; 5] = [
    None,
    Some(AuthLevel::CONNECT),
    Some(AuthLevel::PKT),
    Some(AuthLevel::INTEGRITY),
    Some(AuthLevel::PRIVACY),
];

#[test]
fn calls_of_every_size_come_back_at_every_level_in_both_orders() {
    for level in LEVELS {
        for (order, sign_header) in [(Order::Little, true), (Order::Big, false)] {
            for mutual in [false, true] {
                let mut pair = Pair::new(Setup {
                    client: ClientConfig {
                        order,
                        sign_header,
                        ..ClientConfig::default()
                    },
                    toy: Toy {
                        mutual,
                        asks: mutual,
                        token: 28,
                        ..Toy::default()
                    },
                    level,
                    ..Setup::default()
                });
                for len in [0, 4, 12, 16, 20, 4_000, 5_816, 5_820, 60_000] {
                    pair.call(0, &data(len), 1);
                    pair.drive();
                    let got = pair.got.pop();
                    assert!(got == Some((1, Ok(data(len)))), "{level:?} {order:?} {len}");
                }
                assert_eq!(pair.closed, None);
            }
        }
    }
}

#[test]
fn a_conversation_cut_at_every_byte_is_the_same() {
    for level in LEVELS {
        for cut in 1..60 {
            let mut pair = Pair::new(Setup {
                level,
                cut,
                ..Setup::default()
            });
            for (token, len) in [(1, 4), (2, 6_000), (3, 0)] {
                pair.call(0, &data(len), token);
            }
            pair.drive();
            let expected = [(1, 4), (2, 6_000), (3, 0)].map(|(n, len)| (n, Ok(data(len))));
            assert!(pair.got == expected, "{level:?}, cut at {cut}");
        }
    }
}

#[test]
fn features_multiplexing_and_a_group_are_agreed_on() {
    let pair = Pair::new(Setup::default());
    assert_eq!(pair.client.features(), Features::ALL);
    assert_eq!(pair.server.features(), Features::ALL);
    assert!(pair.client.is_multiplexing());
    assert_eq!(pair.client.group(), pair.server.group().unwrap().id());
    let bound = pair.bound[0].context.unwrap();
    assert_eq!(bound.1, Syntax::Ndr);
}

#[test]
fn more_interfaces_are_asked_for_later() {
    let mut pair = Pair::new(Setup {
        level: Some(AuthLevel::INTEGRITY),
        ..Setup::default()
    });
    let newer = SyntaxId { minor: 2, ..SECOND };
    pair.client
        .alter(pair.now, &[SECOND, newer, CLOSED])
        .unwrap();
    pair.client.alter(pair.now, &[ECHO]).unwrap();
    pair.drive();
    let bound: Vec<_> = pair
        .bound
        .iter()
        .map(|b| (b.interface, b.context.is_ok()))
        .collect();
    let all = [
        (ECHO, true),
        (SECOND, true),
        (newer, false),
        (CLOSED, true),
        (ECHO, true),
    ];
    assert_eq!(bound, all);
    let refused = pair.bound[2].context.unwrap_err();
    assert_eq!((refused.result, refused.reason), (2, 1));
    let context = pair.context(SECOND);
    pair.client
        .call(
            pair.now,
            context,
            0,
            Some(Uuid::new(1, 2, 3, [4; 8])),
            b"four",
            None,
            9,
        )
        .unwrap();
    pair.drive();
    assert_eq!(pair.got, [(9, Ok(b"four".to_vec()))]);
}

#[test]
fn a_group_is_joined_by_a_second_connection_and_gone_with_the_last() {
    let endpoint = Arc::new(endpoint(ServerConfig::default(), None));
    let connect = |group| {
        let config = ClientConfig {
            group,
            ..ClientConfig::default()
        };
        Pair::at(config, &endpoint, Toy::default(), None, 0)
    };
    let one = connect(0);
    let two = connect(one.client.group());
    assert!(Arc::ptr_eq(
        one.server.group().unwrap(),
        two.server.group().unwrap()
    ));
    let id = one.client.group();
    drop((one, two));
    let late = connect(id);
    assert_eq!(late.closed, Some(client::Close::BindNak { reason: 0 }));
    assert!(endpoint.groups.is_empty());
}

#[test]
fn calls_are_answered_in_any_order() {
    let mut pair = Pair::new(Setup {
        level: Some(AuthLevel::PRIVACY),
        ..Setup::default()
    });
    let stubs: Vec<Vec<u8>> = (0..20).map(|n| data(n * 704)).collect();
    for (stub, token) in stubs.iter().zip(0..) {
        pair.call(1, stub, token);
    }
    pair.drive();
    assert_eq!((pair.held.len(), pair.server.in_flight()), (20, 20));
    let mut out = TransmitQueue::new();
    for call in std::mem::take(&mut pair.held).iter().rev() {
        assert_eq!(
            call.caller.as_ref().unwrap().principal.to_string(),
            "TOY\\alice"
        );
        let stub = call.stub.bytes(&Bytes::new());
        pair.server.reply(&call.to, &stub, &mut out).unwrap();
    }
    pair.feed_client(&out.to_vec());
    let expected: Vec<_> = (0..20)
        .rev()
        .map(|n| (n, Ok(stubs[n as usize].clone())))
        .collect();
    assert!(pair.got == expected);
}

#[test]
fn calls_wait_for_each_other_where_the_server_does_not_multiplex() {
    let mut pair = Pair::new(Setup {
        server: ServerConfig {
            multiplexing: false,
            ..ServerConfig::default()
        },
        ..Setup::default()
    });
    for token in 0..5 {
        pair.call(0, &data(9_000), token);
    }
    pair.call(1, b"held", 5);
    pair.call(0, b"behind", 6);
    pair.drive();
    let tokens: Vec<u32> = pair.got.iter().map(|(token, _)| *token).collect();
    assert_eq!(tokens, [0, 1, 2, 3, 4]);
    assert_eq!((pair.held.len(), pair.client.in_flight()), (1, 2));
    let mut out = TransmitQueue::new();
    pair.server
        .reply(&pair.held.pop().unwrap().to, b"", &mut out)
        .unwrap();
    pair.feed_client(&out.to_vec());
    pair.drive();
    assert_eq!(pair.got.pop(), Some((6, Ok(b"behind".to_vec()))));
}

#[test]
fn a_late_call_is_cancelled_and_then_orphaned() {
    let mut pair = Pair::new(Setup::default());
    let context = pair.context(ECHO);
    let deadline = Some(pair.now + Duration::from_secs(2));
    pair.client
        .call(pair.now, context, 1, None, b"slow", deadline, 4)
        .unwrap();
    pair.drive();
    assert_eq!(pair.client.poll_timeout(), deadline);
    pair.now += Duration::from_secs(2);
    pair.client.handle_timeout(pair.now);
    pair.drive();
    let call = pair.held.pop().unwrap();
    assert_eq!(
        pair.said,
        [format!("Cancel {{ call_id: {} }}", call.to.call_id)]
    );
    assert!(pair.got.is_empty());
    pair.now += Duration::from_secs(1);
    pair.client.handle_timeout(pair.now);
    pair.drive();
    assert_eq!(pair.got, [(4, Err("TimedOut sent true".into()))]);
    assert_eq!(
        pair.said[1],
        format!("Orphaned {{ call_id: {} }}", call.to.call_id)
    );
    // The server's answer is refused by itself.
    let mut out = TransmitQueue::new();
    let late = pair.server.reply(&call.to, b"", &mut out);
    assert_eq!((late, out.len()), (Err(server::ReplyError::NoCall), 0));
    pair.call(0, b"goes on.", 5);
    pair.drive();
    assert_eq!(pair.got[1], (5, Ok(b"goes on.".to_vec())));
}

#[test]
fn an_answer_to_a_call_that_was_given_up_is_passed_over() {
    let mut pair = Pair::new(Setup {
        level: Some(AuthLevel::INTEGRITY),
        ..Setup::default()
    });
    let id = pair.call(1, b"", 4);
    pair.drive();
    let call = pair.held.pop().unwrap();
    // The reply and the orphaned cross on their way.
    let mut out = TransmitQueue::new();
    pair.server.reply(&call.to, &data(9_000), &mut out).unwrap();
    assert_eq!(pair.client.cancel(id), Some((4, true)));
    pair.feed_client(&out.to_vec());
    pair.call(0, b"goes on.", 5);
    pair.drive();
    assert_eq!(pair.got, [(5, Ok(b"goes on.".to_vec()))]);
    assert_eq!(pair.closed, None);
}

#[test]
fn a_wrong_password_is_refused_on_each_way_it_can_come() {
    for (mutual, asks) in [(false, false), (false, true), (true, false), (true, true)] {
        let mut pair = Pair::new(Setup {
            toy: Toy {
                mutual,
                asks,
                wrong: true,
                ..Toy::default()
            },
            level: Some(AuthLevel::INTEGRITY),
            ..Setup::default()
        });
        if !mutual {
            // The last token came as auth3, which is not answered; the next call is.
            assert_eq!(pair.closed, None);
            pair.call(0, b"", 1);
            pair.drive();
            let denied = "fault 0x00000005 (ERROR_ACCESS_DENIED)".to_owned();
            assert_eq!(pair.got, [(1, Err(denied))]);
        } else {
            let Some(client::Close::Fault(fault)) = &pair.closed else {
                panic!("{:?}", pair.closed)
            };
            assert_eq!(fault.status, status::ACCESS_DENIED);
        }
        assert!(
            pair.said.iter().any(|said| said.contains("wrong password")),
            "{:?}",
            pair.said
        );
    }
}

#[test]
fn an_interface_that_wants_authentication_gets_it() {
    let denied = Err("fault 0x00000005 (ERROR_ACCESS_DENIED), not executed".to_owned());
    for (level, expected) in [
        (None, denied.clone()),
        (Some(AuthLevel::CONNECT), denied.clone()),
        (Some(AuthLevel::PKT), denied),
        (Some(AuthLevel::INTEGRITY), Ok(Vec::new())),
        (Some(AuthLevel::PRIVACY), Ok(Vec::new())),
    ] {
        let mut pair = Pair::new(Setup {
            level,
            ..Setup::default()
        });
        pair.client.alter(pair.now, &[CLOSED]).unwrap();
        pair.drive();
        let context = pair.context(CLOSED);
        pair.client
            .call(pair.now, context, 0, None, b"", None, 1)
            .unwrap();
        pair.drive();
        assert_eq!(pair.got, [(1, expected)], "{level:?}");
        // The connection is none the worse for it.
        pair.call(0, b"four", 2);
        pair.drive();
        assert_eq!(pair.got[1], (2, Ok(b"four".to_vec())));
    }
}

#[test]
fn a_server_that_shuts_down_lets_calls_end() {
    let mut pair = Pair::new(Setup::default());
    pair.call(1, b"", 1);
    pair.drive();
    let mut out = TransmitQueue::new();
    pair.server.shutdown(&mut out);
    pair.feed_client(&out.to_vec());
    let context = pair.context(ECHO);
    let refused = pair.client.call(pair.now, context, 0, None, b"", None, 2);
    assert_eq!(refused, Err(client::CallError::NotBound));
    assert_eq!(pair.closed, None);
    let mut out = TransmitQueue::new();
    pair.server
        .reply(&pair.held.pop().unwrap().to, b"end", &mut out)
        .unwrap();
    pair.feed_client(&out.to_vec());
    pair.drain_client();
    assert_eq!(pair.got, [(1, Ok(b"end".to_vec()))]);
    assert_eq!(pair.closed, Some(client::Close::Shutdown));
}

#[test]
fn maybe_calls_have_no_reply() {
    let mut pair = Pair::new(Setup::default());
    let context = pair.context(ECHO);
    pair.client.maybe(context, 3, None, b"hint").unwrap();
    pair.drive();
    let call = pair.held.pop().unwrap();
    assert!(call.maybe);
    assert_eq!(pair.client.in_flight(), 0);
    pair.server.finish(&call.to);
    assert_eq!(pair.server.in_flight(), 0);
}
