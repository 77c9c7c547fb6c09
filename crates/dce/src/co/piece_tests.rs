//! Calls whose arguments and results come in pieces: pipes.
//!
//! Read first: C706 sections 12.6.2 (fragments) and 5.1.4 (pipes).
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::arithmetic_side_effects
)]

use super::client::{CallError, CallId, ClientConfig, Pieces};
use super::server::{Close, Event, ServerConfig};
use super::tests::{ECHO, LEVELS, PIPED, Pair, SECOND, Setup, data};
use super::toy::Toy;
use crate::pdu::header::Header;
use crate::security::AuthLevel;
use crate::status;
use crate::syntax::Order;
use bytes::Bytes;
use farcall_wire::TransmitQueue;
use std::time::Duration;

const BOTH: Pieces = Pieces {
    request: true,
    response: true,
};

fn begin(pair: &mut Pair, stub: &[u8], token: u32) -> CallId {
    let context = pair.context(ECHO);
    pair.client
        .call_in_pieces(pair.now, context, PIPED, None, stub, None, token, BOTH)
        .unwrap()
}

/// What the server has been given of the arguments, and whether that is all.
fn arguments(pair: &Pair) -> (Vec<u8>, bool) {
    let all = pair.pieces.iter().flat_map(|(_, piece, _)| piece.clone());
    (all.collect(), pair.pieces.last().is_some_and(|it| it.2))
}

fn part(pair: &mut Pair, at: usize, stub: &[u8]) {
    let (to, mut out) = (pair.held[at].to, TransmitQueue::new());
    pair.server.part(&to, stub, &mut out).unwrap();
    pair.feed_client(&out.to_vec());
}

fn reply(pair: &mut Pair, at: usize, stub: &[u8]) {
    let (to, mut out) = (pair.held[at].to, TransmitQueue::new());
    pair.server.reply(&to, stub, &mut out).unwrap();
    pair.feed_client(&out.to_vec());
    pair.drain_client();
}

#[test]
fn arguments_and_results_come_in_pieces_at_every_level_in_both_orders() {
    for (n, level) in LEVELS.into_iter().enumerate() {
        for cut in [0, 7] {
            let order = [Order::Little, Order::Big][n % 2];
            let mut pair = Pair::new(Setup {
                client: ClientConfig {
                    order,
                    ..ClientConfig::default()
                },
                toy: Toy {
                    token: 28,
                    ..Toy::default()
                },
                level,
                cut,
                ..Setup::default()
            });
            let all = data(40_003);
            let id = begin(&mut pair, &all[..100], 1);
            pair.drive();
            // All but a few bytes of what there is has come, and the call has begun.
            assert_eq!(arguments(&pair), (all[..96].to_vec(), false), "{level:?}");
            assert!(pair.held[0].open);
            for (from, to) in [(100, 101), (101, 30_000), (30_000, 40_003)] {
                pair.client
                    .more(id, &all[from..to], to == all.len())
                    .unwrap();
                pair.drive();
                let (got, whole) = arguments(&pair);
                assert_eq!(whole, to == all.len());
                assert!(got.len() > to - 16, "{level:?} {to}");
                assert!(got[..to - 15] == all[..to - 15], "{level:?} {to}");
            }
            let (got, _) = arguments(&pair);
            // A verification trailer may be behind, which is nobody's business any more.
            assert!(got.starts_with(&all) && got.len() <= all.len() + 84);
            assert_eq!(pair.client.more(id, b"", true), Err(CallError::NotOpen));
            for range in [0..20, 20..21, 21..20_000] {
                part(&mut pair, 0, &all[range.clone()]);
                let got = pair.parts.concat();
                assert!(
                    got.len() > range.end - 16 && all.starts_with(&got),
                    "{level:?}"
                );
            }
            reply(&mut pair, 0, &all[20_000..]);
            let (token, last) = pair.got.pop().unwrap();
            assert_eq!(
                (token, [pair.parts.concat(), last.unwrap()].concat()),
                (1, all)
            );
            assert_eq!(pair.server.in_flight() + pair.client.in_flight(), 0);
            assert_eq!(pair.closed, None);
        }
    }
}

#[test]
fn a_response_that_never_fills_a_fragment_is_one() {
    let mut pair = Pair::new(Setup::default());
    let id = begin(&mut pair, b"", 1);
    pair.client.more(id, b"", true).unwrap();
    pair.drive();
    // Nothing was there to begin with, so it is a call as any other.
    assert!(!pair.held[0].open);
    part(&mut pair, 0, b"few");
    assert!(pair.parts.is_empty());
    reply(&mut pair, 0, b"");
    assert_eq!(pair.got, [(1, Ok(b"few".to_vec()))]);
}

#[test]
fn more_arguments_than_the_limit_of_a_request_pass_through() {
    let mut pair = Pair::new(Setup {
        server: ServerConfig {
            request: 1000,
            ..ServerConfig::default()
        },
        level: Some(AuthLevel::PRIVACY),
        ..Setup::default()
    });
    let all = data(100_000);
    let id = begin(&mut pair, &all, 1);
    pair.client.more(id, b"", true).unwrap();
    pair.drive();
    assert!(arguments(&pair).0.starts_with(&all));
    assert!(pair.server.held() == 0 && pair.closed.is_none());
}

#[test]
fn nothing_else_is_sent_before_all_arguments_are_there() {
    let mut pair = Pair::new(Setup::default());
    let id = begin(&mut pair, &data(32), 1);
    pair.call(0, b"four", 2);
    pair.client.alter(pair.now, &[SECOND]).unwrap();
    let refused = pair.client.maybe(pair.context(ECHO), 1, None, b"");
    assert_eq!(refused, Err(CallError::Open));
    let other = begin(&mut pair, &data(48), 3);
    assert!(pair.client.is_open(id) && !pair.client.is_open(other));
    assert_eq!(pair.client.more(other, b"", true), Err(CallError::NotOpen));
    pair.drive();
    assert!(pair.got.is_empty() && pair.bound.len() == 1);
    pair.client.more(id, &data(5), true).unwrap();
    pair.drive();
    assert_eq!(pair.got, [(2, Ok(b"four".to_vec()))]);
    assert_eq!(pair.bound.len(), 2);
    assert!(pair.client.is_open(other));
    pair.client.more(other, b"end", true).unwrap();
    pair.drive();
    let mut all = data(32);
    all.extend(data(5));
    all.extend(data(48));
    all.extend(b"end");
    assert_eq!(arguments(&pair), (all, true));
    assert_eq!(pair.closed, None);
}

#[test]
fn a_fault_may_come_in_the_middle_of_either_half() {
    // Of the arguments: the client sends no more of them, and the server forgets those that come.
    let mut pair = Pair::new(Setup::default());
    let id = begin(&mut pair, &data(16), 1);
    pair.drive();
    let (to, mut out) = (pair.held[0].to, TransmitQueue::new());
    pair.server
        .fault(&to, status::PIPE_DISCIPLINE, true, &mut out)
        .unwrap();
    pair.client.more(id, &data(16_000), false).unwrap();
    let mut up = TransmitQueue::new();
    pair.client.poll_transmit(&mut up);
    let (batch, mut at) = (Bytes::from(up.to_vec()), 0);
    assert!(
        pair.server
            .handle_bytes(pair.now, &batch, &mut at, &mut out)
            .is_none()
    );
    pair.feed_client(&out.to_vec());
    let said = pair.got.pop().unwrap().1.unwrap_err();
    assert!(said.contains("pipe_discipline"), "{said}");
    assert_eq!(pair.client.more(id, b"", true), Err(CallError::NotOpen));
    pair.call(0, b"next", 2);
    pair.drive();
    assert_eq!(pair.got, [(2, Ok(b"next".to_vec()))]);
    // Of the results.
    let id = begin(&mut pair, &data(16), 3);
    pair.client.more(id, b"", true).unwrap();
    pair.drive();
    part(&mut pair, 1, &data(64));
    let (to, mut out) = (pair.held[1].to, TransmitQueue::new());
    pair.server.fault(&to, 87, true, &mut out).unwrap();
    pair.feed_client(&out.to_vec());
    assert_eq!(pair.got.pop().unwrap().0, 3);
    assert_eq!((pair.parts.concat(), pair.closed), (data(64), None));
}

#[test]
fn a_call_is_given_up_in_the_middle_of_its_arguments() {
    let mut pair = Pair::new(Setup::default());
    let id = begin(&mut pair, &data(16), 1);
    pair.drive();
    assert_eq!(pair.client.cancel(id), Some((1, true)));
    pair.call(0, b"next", 2);
    pair.drive();
    assert_eq!(pair.said.len(), 1);
    assert!(pair.said[0].starts_with("Orphaned"), "{:?}", pair.said);
    assert_eq!(pair.got, [(2, Ok(b"next".to_vec()))]);
    assert_eq!((pair.server.in_flight(), pair.closed), (0, None));
}

#[test]
fn a_deadline_passes_in_the_middle_of_a_pipe_and_can_be_moved() {
    let mut pair = Pair::new(Setup::default());
    let id = begin(&mut pair, &data(16), 1);
    let later = |n| pair.now + Duration::from_secs(n);
    let (first, second) = (later(5), later(9));
    pair.client.set_deadline(id, Some(first));
    pair.drive();
    pair.client.set_deadline(id, Some(second));
    pair.client.handle_timeout(first);
    assert!(pair.client.poll_timeout().unwrap() > first);
    pair.client.handle_timeout(second);
    pair.drive();
    assert!(pair.said[0].starts_with("Cancel"), "{:?}", pair.said);
    pair.client.handle_timeout(second + Duration::from_secs(2));
    pair.drive();
    assert_eq!(pair.got, [(1, Err("TimedOut sent true".to_owned()))]);
}

#[test]
fn an_open_call_has_longer_than_a_cut_one() {
    let mut pair = Pair::new(Setup::default());
    let id = begin(&mut pair, &data(16), 1);
    pair.drive();
    let config = ServerConfig::default();
    assert_eq!(pair.server.poll_timeout(), Some(pair.now + config.pipe));
    // But the next fragment, once begun, has not.
    pair.client.more(id, &data(32), false).unwrap();
    let mut up = TransmitQueue::new();
    pair.client.poll_transmit(&mut up);
    let (batch, mut at) = (Bytes::from(up.to_vec()[..20].to_vec()), 0);
    let mut out = TransmitQueue::new();
    pair.server
        .handle_bytes(pair.now, &batch, &mut at, &mut out);
    assert_eq!(pair.server.poll_timeout(), Some(pair.now + config.partial));
    let late = pair.now + config.partial;
    let event = pair.server.handle_timeout(late, &mut out);
    assert!(matches!(event, Some(Event::Close(Close::Slow))));
}

#[test]
fn a_trailer_that_disagrees_ends_an_open_call_without_its_end() {
    // The header that the trailer vouches for says the opnum; a fragment's own flags are changed on the way.
    let mut pair = Pair::new(Setup {
        level: Some(AuthLevel::CONNECT),
        ..Setup::default()
    });
    let id = begin(&mut pair, &data(64), 1);
    pair.drive();
    let mut wrong = crate::pdu::verification::Verification {
        header_sign: Some(true),
        syntaxes: Some((SECOND, crate::syntax::SyntaxId::NDR)),
        header: None,
    };
    wrong.header_sign = None;
    let mut last = data(16);
    wrong.emit(&mut last, 0, Order::Little);
    pair.client.more(id, &last, true).unwrap();
    pair.drive();
    assert!(!arguments(&pair).1);
    let said = pair.got.pop().unwrap().1.unwrap_err();
    assert!(said.contains("0x00000005"), "{said}");
}

#[test]
fn a_fragment_of_an_open_call_keeps_every_rule() {
    let changed = |change: fn(&mut Vec<u8>)| {
        let mut pair = Pair::new(Setup {
            level: Some(AuthLevel::INTEGRITY),
            ..Setup::default()
        });
        let id = begin(&mut pair, &data(16), 1);
        pair.drive();
        pair.client.more(id, &data(32), true).unwrap();
        let mut up = TransmitQueue::new();
        pair.client.poll_transmit(&mut up);
        let mut pdu = up.to_vec();
        change(&mut pdu);
        let (batch, mut at) = (Bytes::from(pdu), 0);
        let mut out = TransmitQueue::new();
        let event = pair
            .server
            .handle_bytes(pair.now, &batch, &mut at, &mut out);
        matches!(event, Some(Event::Close(_)))
    };
    assert!(!changed(|_| {}));
    // A bit of the stub, the call's number, a first fragment again, no verifier.
    assert!(changed(|pdu| pdu[30] ^= 1));
    assert!(changed(|pdu| pdu[12] ^= 1));
    assert!(changed(|pdu| pdu[3] |= 1));
    assert!(changed(|pdu| {
        pdu.truncate(Header::LEN + 8 + 32);
        pdu[8..12].copy_from_slice(&[56, 0, 0, 0]);
    }));
}
