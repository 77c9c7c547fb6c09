//! The client against a clock that the test moves, and against random sequences of operations.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::panic
)]

use super::*;
use crate::msg::{ReplyBody, encode_refusal, encode_success, parse_call};
use crate::record::{Assembler, RecordLimits};
use proptest::prelude::*;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

const TARGET: Target = Target {
    program: 10,
    version: 1,
    procedure: 3,
};

fn server() -> SocketAddr {
    "192.0.2.1:2049".parse().unwrap()
}

fn stream() -> Client<u32> {
    Client::stream(ClientConfig::default(), &Seed::replay(1))
}

fn datagram() -> Client<u32> {
    Client::datagram(ClientConfig::default(), server(), &Seed::replay(1))
}

fn secs(n: u64) -> Duration {
    Duration::from_secs(n)
}

/// The calls in what the client hands out for its stream: xid and argument.
fn sent(client: &mut Client<u32>) -> Vec<(u32, u32)> {
    let mut out = TransmitQueue::new();
    client.poll_transmit(&mut out);
    let bytes = Bytes::from(out.to_vec());
    let (mut assembler, mut at, mut calls) =
        (Assembler::new(RecordLimits::default()), 0, Vec::new());
    while let Some(record) = assembler.next(&bytes, &mut at).unwrap() {
        calls.push(read_call(&record.bytes(&bytes)));
    }
    assert_eq!(assembler.pending(), None);
    calls
}

fn read_call(message: &[u8]) -> (u32, u32) {
    let (header, at) = parse_call(message).unwrap();
    (
        header.xid,
        u32::from_be_bytes(message[at..at + 4].try_into().unwrap()),
    )
}

fn reply(xid: u32) -> Vec<u8> {
    let mut queue = TransmitQueue::new();
    encode_success(&mut queue, Framing::Datagram, xid, &7_u32).unwrap();
    queue.to_vec()
}

fn call(client: &mut Client<u32>, now: Instant, n: u32, wait: Option<u64>) -> CallId {
    let deadline = wait.map(|wait| now + secs(wait));
    client
        .call(now, TARGET, &AuthBlock::none(), &n, deadline, n)
        .unwrap()
}

#[test]
fn replies_come_in_any_order() {
    let (mut client, now) = (stream(), Instant::now());
    let ids: Vec<_> = (0..40).map(|n| call(&mut client, now, n, None)).collect();
    assert_eq!(
        sent(&mut client),
        ids.iter().map(|id| id.0).zip(0..40).collect::<Vec<_>>()
    );
    for (n, id) in ids.iter().enumerate().rev() {
        let message = reply(id.0);
        let Incoming::Reply {
            id: got,
            token,
            header,
            results,
        } = client.handle_record(&message)
        else {
            panic!()
        };
        assert_eq!((got, usize::try_from(token).unwrap()), (*id, n));
        assert_eq!(
            (header.body, &message[results..]),
            (ReplyBody::Success, &[0, 0, 0, 7][..])
        );
    }
    assert_eq!((client.in_flight(), client.queued()), (0, 0));
}

#[test]
fn the_first_xid_is_the_seeds_and_the_counter_wraps() {
    let now = Instant::now();
    let first = |seed| {
        call(
            &mut Client::stream(ClientConfig::default(), &Seed::replay(seed)),
            now,
            0,
            None,
        )
        .0
    };
    assert_eq!(first(1), first(1));
    assert_ne!(first(1), first(2));
    let mut client = stream();
    client.next_xid = u32::MAX;
    assert_eq!(call(&mut client, now, 0, None), CallId(u32::MAX));
    assert_eq!(call(&mut client, now, 0, None), CallId(0));
}

#[test]
fn an_xid_is_not_used_again_while_its_call_is_pending() {
    let (mut client, now) = (stream(), Instant::now());
    client.next_xid = 5;
    call(&mut client, now, 0, None);
    client.next_xid = 5;
    assert_eq!(call(&mut client, now, 1, None), CallId(6));
    client.next_xid = 5 + 16;
    assert_eq!(
        call(&mut client, now, 1, None),
        CallId(23),
        "busy slots are skipped"
    );
}

#[test]
fn late_and_repeated_replies_are_ignored_and_counted() {
    let (mut client, now) = (stream(), Instant::now());
    let id = call(&mut client, now, 0, Some(1));
    sent(&mut client);
    client.handle_timeout(now + secs(1));
    let event = client.poll_event().unwrap();
    assert_eq!(
        (event.id, event.cause, event.sent),
        (id, Cause::TimedOut, true)
    );
    assert_eq!(
        client.handle_record(&reply(id.0)),
        Incoming::Ignored(Ignored::UnknownXid(id.0))
    );
    let id = call(&mut client, now, 0, None);
    assert!(matches!(
        client.handle_record(&reply(id.0)),
        Incoming::Reply { .. }
    ));
    assert_eq!(
        client.handle_record(&reply(id.0)),
        Incoming::Ignored(Ignored::UnknownXid(id.0))
    );
    assert_eq!(
        client.handle_record(&[1, 2, 3]),
        Incoming::Ignored(Ignored::Undecodable)
    );
    let counters = client.counters();
    assert_eq!(
        (
            counters.unknown_xid,
            counters.undecodable,
            counters.timeouts
        ),
        (2, 1, 1)
    );
}

#[test]
fn a_malformed_reply_on_a_stream_ends_its_call() {
    let (mut client, now) = (stream(), Instant::now());
    let id = call(&mut client, now, 9, None);
    let message = reply(id.0);
    assert!(matches!(
        client.handle_record(&message[..20]),
        Incoming::Malformed { token: 9, .. }
    ));
    assert_eq!(client.in_flight(), 0);
}

#[test]
fn a_call_from_the_other_side_is_told_apart() {
    let (mut client, now) = (stream(), Instant::now());
    let id = call(&mut client, now, 9, None);
    let mut message = reply(id.0);
    message[7] = 0;
    assert_eq!(client.handle_record(&message), Incoming::Call);
    assert_eq!(client.in_flight(), 1);
}

#[test]
fn deadlines_are_kept_and_the_earliest_wakes() {
    let (mut client, now) = (stream(), Instant::now());
    call(&mut client, now, 1, Some(300));
    call(&mut client, now, 2, Some(5));
    call(&mut client, now, 3, None);
    assert_eq!(client.poll_timeout(), Some(now + secs(5)));
    client.handle_timeout(now + secs(4));
    assert_eq!(client.poll_event(), None);
    client.handle_timeout(now + secs(6));
    let event = client.poll_event().unwrap();
    assert_eq!(
        (event.token, event.cause, event.sent),
        (2, Cause::TimedOut, false)
    );
    assert_eq!(client.poll_timeout(), Some(now + secs(300)));
    client.handle_timeout(now + secs(301));
    assert_eq!(client.poll_event().unwrap().token, 1);
    assert_eq!((client.poll_timeout(), client.in_flight()), (None, 1));
    assert_eq!(
        sent(&mut client)
            .iter()
            .map(|call| call.1)
            .collect::<Vec<_>>(),
        [3]
    );
}

#[test]
fn cancelled_calls_leave_no_bytes_behind() {
    let (mut client, now) = (stream(), Instant::now());
    let ids: Vec<_> = (0..6).map(|n| call(&mut client, now, n, None)).collect();
    for n in [4, 0, 2, 3] {
        assert_eq!(client.cancel(ids[n]).map(|(_, sent)| sent), Some(false));
    }
    assert_eq!(client.cancel(ids[0]), None);
    assert_eq!(client.queued(), 2 * 48);
    assert_eq!(sent(&mut client), [(ids[1].0, 1), (ids[5].0, 5)]);
    assert_eq!(client.cancel(ids[1]), Some((1, true)));
    assert_eq!((client.in_flight(), client.counters().cancelled), (1, 5));
}

#[test]
fn a_peer_that_does_not_read_bounds_the_queue() {
    let config = ClientConfig {
        queued: 100,
        in_flight: 4,
        ..ClientConfig::default()
    };
    let (mut client, now) = (Client::stream(config, &Seed::replay(1)), Instant::now());
    let ids: Vec<_> = (0..3).map(|n| call(&mut client, now, n, None)).collect();
    let refused = client
        .call(now, TARGET, &AuthBlock::none(), &9_u32, None, 9)
        .unwrap_err();
    assert_eq!(
        refused.to_string(),
        "over 100 bytes wait for the peer already (ClientConfig::queued)"
    );
    client.cancel(ids[1]);
    call(&mut client, now, 3, None);
    assert_eq!(sent(&mut client).len(), 3);
    call(&mut client, now, 4, None);
    let refused = client.call(now, TARGET, &AuthBlock::none(), &9_u32, None, 9);
    assert_eq!(refused, Err(CallError::InFlight { limit: 4 }));
}

#[test]
fn a_lost_connection_ends_what_was_sent_and_keeps_the_rest() {
    let (mut client, now) = (stream(), Instant::now());
    call(&mut client, now, 1, None);
    sent(&mut client);
    let second = call(&mut client, now, 2, None);
    client.lost();
    let event = client.poll_event().unwrap();
    assert_eq!(
        (event.token, event.cause, event.sent),
        (1, Cause::Lost, true)
    );
    assert_eq!(client.poll_event(), None);
    assert_eq!(sent(&mut client), [(second.0, 2)]);
}

#[test]
fn one_way_calls_take_no_slot() {
    let (mut client, now) = (stream(), Instant::now());
    client.one_way(TARGET, &AuthBlock::none(), &1_u32).unwrap();
    call(&mut client, now, 2, None);
    assert_eq!(
        sent(&mut client)
            .iter()
            .map(|call| call.1)
            .collect::<Vec<_>>(),
        [1, 2]
    );
    assert_eq!(client.in_flight(), 1);
    let mut client = datagram();
    client.one_way(TARGET, &AuthBlock::none(), &1_u32).unwrap();
    assert_eq!(read_call(&client.poll_datagram().unwrap()).1, 1);
    assert_eq!(client.poll_datagram(), None);
}

#[test]
fn datagrams_are_sent_again_with_the_same_xid_after_1_2_4_seconds() {
    let (mut client, start) = (datagram(), Instant::now());
    let id = call(&mut client, start, 5, Some(10));
    let first = client.poll_datagram().unwrap();
    assert_eq!(read_call(&first), (id.0, 5));
    let mut at = Vec::new();
    while let Some(wake) = client.poll_timeout() {
        client.handle_timeout(wake);
        while let Some(again) = client.poll_datagram() {
            assert_eq!(again, first);
            at.push((wake - start).as_secs());
        }
    }
    assert_eq!(at, [1, 3, 7]);
    let event = client.poll_event().unwrap();
    assert_eq!(
        (event.cause, event.sent, client.counters().retransmits),
        (Cause::TimedOut, true, 3)
    );
}

#[test]
fn retransmission_waits_no_longer_than_the_longest() {
    let retransmit = Retransmit {
        first: secs(1),
        longest: secs(3),
    };
    let config = ClientConfig {
        retransmit,
        ..ClientConfig::default()
    };
    let (mut client, start) = (
        Client::datagram(config, server(), &Seed::replay(1)),
        Instant::now(),
    );
    call(&mut client, start, 5, None);
    client.poll_datagram();
    let mut at = Vec::new();
    for _ in 0..5 {
        let wake = client.poll_timeout().unwrap();
        client.handle_timeout(wake);
        assert!(client.poll_datagram().is_some());
        at.push((wake - start).as_secs());
    }
    assert_eq!(at, [1, 3, 6, 9, 12]);
}

#[test]
fn a_datagram_that_could_not_be_sent_is_not_sent_twice() {
    let (mut client, start) = (datagram(), Instant::now());
    call(&mut client, start, 5, None);
    client.handle_timeout(start + secs(1));
    client.handle_timeout(start + secs(3));
    assert!(client.poll_datagram().is_some());
    assert_eq!(client.poll_datagram(), None);
}

#[test]
fn only_the_server_is_listened_to() {
    let (mut client, now) = (datagram(), Instant::now());
    let id = call(&mut client, now, 5, None);
    let message = reply(id.0);
    for stranger in ["192.0.2.2:2049", "192.0.2.1:2050", "[::1]:2049"] {
        let incoming = client.handle_datagram(stranger.parse().unwrap(), &message);
        assert_eq!(incoming, Incoming::Ignored(Ignored::WrongSource));
    }
    for cut in 0..message.len() - 4 {
        assert!(matches!(
            client.handle_datagram(server(), &message[..cut]),
            Incoming::Ignored(_)
        ));
    }
    let mapped = "[::ffff:192.0.2.1]:2049".parse().unwrap();
    assert!(matches!(
        client.handle_datagram(mapped, &message),
        Incoming::Reply { token: 5, .. }
    ));
    assert_eq!(
        client.handle_datagram(mapped, &message),
        Incoming::Ignored(Ignored::UnknownXid(id.0))
    );
    assert_eq!(client.counters().wrong_source, 3);
}

#[test]
fn a_cancelled_datagram_is_never_sent() {
    let (mut client, now) = (datagram(), Instant::now());
    let id = call(&mut client, now, 5, None);
    assert_eq!(client.cancel(id), Some((5, false)));
    assert_eq!(client.poll_datagram(), None);
}

#[test]
fn a_datagram_has_a_longest_length() {
    let config = ClientConfig {
        datagram: 43,
        ..ClientConfig::default()
    };
    let mut client = Client::datagram(config, server(), &Seed::replay(1));
    let refused = client.call(Instant::now(), TARGET, &AuthBlock::none(), &9_u32, None, 9);
    assert_eq!(refused, Err(CallError::Datagram { len: 44, limit: 43 }));
    assert_eq!((client.in_flight(), client.poll_datagram()), (0, None));
}

#[test]
fn a_refusal_is_a_reply() {
    let (mut client, now) = (stream(), Instant::now());
    let id = call(&mut client, now, 5, None);
    let mut queue = TransmitQueue::new();
    encode_refusal(
        &mut queue,
        Framing::Datagram,
        id.0,
        ReplyBody::ProgMismatch { low: 2, high: 3 },
    );
    let message = queue.to_vec();
    let Incoming::Reply { header, .. } = client.handle_record(&message) else {
        panic!()
    };
    assert_eq!(header.body, ReplyBody::ProgMismatch { low: 2, high: 3 });
}

/// What a test does to a client.
#[derive(Clone, Debug)]
enum Op {
    Call(Option<u8>),
    Cancel(prop::sample::Index),
    Reply(prop::sample::Index),
    Stale(u32),
    Transmit,
    Pass(u8),
    Lost,
}

fn ops() -> impl Strategy<Value = Vec<Op>> {
    let op = prop_oneof![
        6 => prop::option::of(0_u8..20).prop_map(Op::Call),
        3 => any::<prop::sample::Index>().prop_map(Op::Cancel),
        3 => any::<prop::sample::Index>().prop_map(Op::Reply),
        1 => any::<u32>().prop_map(Op::Stale),
        2 => Just(Op::Transmit),
        2 => (0_u8..9).prop_map(Op::Pass),
        1 => Just(Op::Lost),
    ];
    prop::collection::vec(op, 0..120)
}

/// A maker of messages of this many bytes, which counts them.
fn maker(len: usize, made: &Arc<AtomicU32>) -> Maker {
    let made = Arc::clone(made);
    Box::new(move |xid: u32| {
        let n = made.fetch_add(1, Ordering::SeqCst);
        let mut message = [xid.to_be_bytes(), n.to_be_bytes()].concat();
        message.resize(len, 0);
        Some(Bytes::from(message))
    })
}

#[test]
fn a_made_message_that_fits_no_datagram_is_refused_at_once() {
    let (mut client, made) = (datagram(), Arc::default());
    let limit = ClientConfig::default().datagram;
    let now = Instant::now();
    let long = client.call_message(now, maker(limit + 1, &made), None, 1);
    let len = limit + 1;
    assert_eq!(long, Err(CallError::Datagram { len, limit }));
    assert_eq!((client.in_flight(), client.poll_datagram()), (0, None));
    let fits = client.call_message(now, maker(limit, &made), None, 2);
    assert!(fits.is_ok());
    let unmade = client.call_message(now, Box::new(|_| None), None, 3);
    assert_eq!(unmade, Err(CallError::Unmade));
}

#[test]
fn each_repetition_of_a_made_message_is_made_anew_and_the_first_only_once() {
    let (mut client, made, start) = (datagram(), Arc::default(), Instant::now());
    let deadline = Some(start + secs(5));
    let id = client.call_message(start, maker(8, &made), deadline, 1);
    let id = id.unwrap();
    let mut sent = Vec::new();
    loop {
        sent.extend(std::iter::from_fn(|| client.poll_datagram()));
        let Some(wake) = client.poll_timeout() else {
            break;
        };
        client.handle_timeout(wake);
    }
    let wanted = [0_u32, 1, 2].map(|n| [id.0.to_be_bytes(), n.to_be_bytes()].concat());
    assert_eq!(sent, wanted);
    assert_eq!(made.load(Ordering::SeqCst), 3);
}

/// What the test believes about a call in flight.
#[derive(Clone, Copy, Debug)]
struct Belief {
    xid: u32,
    deadline: Option<Instant>,
    sent: bool,
}

/// Checks every event against what was believed.
fn drain(client: &mut Client<u32>, beliefs: &mut BTreeMap<u32, Belief>, now: Instant) {
    while let Some(event) = client.poll_event() {
        let belief = beliefs.remove(&event.token).expect("a call ends once");
        assert_eq!((event.id.0, event.sent), (belief.xid, belief.sent));
        match event.cause {
            Cause::TimedOut => assert!(belief.deadline.unwrap() <= now),
            Cause::Lost => assert!(belief.sent),
        }
    }
}

proptest! {
    #[test]
    fn any_sequence_of_operations_keeps_the_books(ops in ops()) {
        let (mut client, mut now) = (stream(), Instant::now());
        let mut beliefs: BTreeMap<u32, Belief> = BTreeMap::new();
        for (n, op) in (0_u32..).zip(ops) {
            let pick = |index: prop::sample::Index| (!beliefs.is_empty())
                .then(|| beliefs.iter().nth(index.index(beliefs.len())).map(|(n, b)| (*n, *b)).unwrap());
            match op {
                Op::Call(wait) => {
                    let id = call(&mut client, now, n, wait.map(u64::from));
                    let deadline = wait.map(|wait| now + secs(wait.into()));
                    prop_assert!(beliefs.values().all(|b| b.xid != id.0));
                    beliefs.insert(n, Belief { xid: id.0, deadline, sent: false });
                }
                Op::Cancel(index) => if let Some((n, belief)) = pick(index) {
                    prop_assert_eq!(client.cancel(CallId(belief.xid)), Some((n, belief.sent)));
                    beliefs.remove(&n);
                },
                Op::Reply(index) => if let Some((n, belief)) = pick(index) {
                    let message = reply(belief.xid);
                    let Incoming::Reply { token, .. } = client.handle_record(&message) else { panic!() };
                    prop_assert_eq!(token, n);
                    beliefs.remove(&n);
                },
                Op::Stale(xid) => if beliefs.values().all(|b| b.xid != xid) {
                    let message = reply(xid);
                    let incoming = client.handle_record(&message);
                    prop_assert_eq!(incoming, Incoming::Ignored(Ignored::UnknownXid(xid)));
                },
                Op::Transmit => {
                    let calls = sent(&mut client);
                    let unsent: Vec<_> = beliefs.iter().filter(|(_, b)| !b.sent).map(|(n, b)| (b.xid, *n)).collect();
                    prop_assert_eq!(calls, unsent, "what waits is exactly what nobody gave up");
                    beliefs.values_mut().for_each(|b| b.sent = true);
                }
                Op::Pass(seconds) => {
                    now += secs(seconds.into());
                    client.handle_timeout(now);
                    drain(&mut client, &mut beliefs, now);
                    prop_assert!(beliefs.values().all(|b| b.deadline.is_none_or(|d| d > now)));
                    let earliest = beliefs.values().filter_map(|b| b.deadline).min();
                    prop_assert!(earliest.is_none() || client.poll_timeout() <= earliest);
                }
                Op::Lost => {
                    client.lost();
                    drain(&mut client, &mut beliefs, now);
                    prop_assert!(beliefs.values().all(|b| !b.sent));
                }
            }
            prop_assert_eq!(client.in_flight(), beliefs.len());
            prop_assert_eq!(client.queued(), 48 * beliefs.values().filter(|b| !b.sent).count());
        }
    }
}
