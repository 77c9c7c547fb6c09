//! The duplicate request cache: what is the same call, what is not, and what is kept.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::panic
)]

use super::*;
use crate::auth::OpaqueAuth;
use proptest::prelude::*;
use std::collections::BTreeMap;

fn header(xid: u32) -> CallHeader<'static> {
    let none = OpaqueAuth::NONE;
    CallHeader {
        xid,
        program: 1,
        version: 2,
        procedure: 3,
        credential: none,
        verifier: none,
    }
}

fn cache(config: DrcConfig) -> Drc<u32> {
    Drc::new(config, Seed::replay(1))
}

fn inet(text: &str) -> Origin {
    Origin::Inet(text.parse().unwrap())
}

fn key(drc: &Drc<u32>, xid: u32) -> Key {
    drc.key(
        inet("192.0.2.1:1000"),
        Framing::Stream,
        Layer::PLAIN,
        Principal::Nobody,
        &header(xid),
        b"args",
    )
}

fn begin(drc: &mut Drc<u32>, now: Instant, xid: u32, to: u32) -> Begin {
    let key = key(drc, xid);
    drc.begin(now, key, to)
}

fn new(begin: Begin) -> Ticket {
    let Begin::New(ticket) = begin else {
        panic!("expected a new call, got {begin:?}")
    };
    ticket
}

fn reply(len: usize) -> Option<Bytes> {
    Some(Bytes::from(vec![7; len]))
}

#[test]
fn a_done_call_is_answered_again() {
    let (mut drc, now) = (cache(DrcConfig::default()), Instant::now());
    let ticket = new(begin(&mut drc, now, 1, 10));
    assert_eq!(drc.finish(now, ticket, reply(24)), Some(10));
    for _ in 0..3 {
        let Begin::Replay(again) = begin(&mut drc, now, 1, 11) else {
            panic!()
        };
        assert_eq!(Some(again), reply(24));
    }
    assert_eq!(
        drc.counters(),
        DrcCounters {
            new: 1,
            replayed: 3,
            ..DrcCounters::default()
        }
    );
}

#[test]
fn the_reply_goes_where_the_latest_duplicate_came_from() {
    let (mut drc, now) = (cache(DrcConfig::default()), Instant::now());
    let ticket = new(begin(&mut drc, now, 1, 10));
    assert!(matches!(begin(&mut drc, now, 1, 11), Begin::InProgress));
    assert!(matches!(begin(&mut drc, now, 1, 12), Begin::InProgress));
    assert_eq!(drc.finish(now, ticket, reply(24)), Some(12));
}

#[test]
fn an_aborted_call_may_be_executed_again() {
    let (mut drc, now) = (cache(DrcConfig::default()), Instant::now());
    let ticket = new(begin(&mut drc, now, 1, 10));
    assert_eq!(drc.abort(ticket), Some(10));
    let _ticket = new(begin(&mut drc, now, 1, 10));
}

#[test]
fn a_call_without_reply_is_not_executed_again() {
    let (mut drc, now) = (cache(DrcConfig::default()), Instant::now());
    let ticket = new(begin(&mut drc, now, 1, 10));
    drc.finish(now, ticket, None);
    assert!(matches!(begin(&mut drc, now, 1, 10), Begin::Silent));
}

#[test]
fn whatever_differs_is_another_call() {
    let drc = cache(DrcConfig::default());
    let unix = |uid, gid| Principal::Unix { uid, gid };
    let base = drc.key(
        inet("192.0.2.1:9"),
        Framing::Datagram,
        Layer::PLAIN,
        unix(1, 1),
        &header(1),
        b"args",
    );
    let with = |change: &dyn Fn(&mut CallHeader<'_>)| {
        let mut header = header(1);
        change(&mut header);
        drc.key(
            inet("192.0.2.1:9"),
            Framing::Datagram,
            Layer::PLAIN,
            unix(1, 1),
            &header,
            b"args",
        )
    };
    assert_eq!(with(&|_| ()), base);
    let mut others = vec![
        with(&|h| h.xid = 2),
        with(&|h| h.program = 2),
        with(&|h| h.version = 3),
        with(&|h| h.procedure = 4),
        drc.key(
            inet("192.0.2.2:9"),
            Framing::Datagram,
            Layer::PLAIN,
            unix(1, 1),
            &header(1),
            b"args",
        ),
        drc.key(
            inet("192.0.2.1:8"),
            Framing::Datagram,
            Layer::PLAIN,
            unix(1, 1),
            &header(1),
            b"args",
        ),
        drc.key(
            Origin::Local(9),
            Framing::Datagram,
            Layer::PLAIN,
            unix(1, 1),
            &header(1),
            b"args",
        ),
        drc.key(
            inet("192.0.2.1:9"),
            Framing::Stream,
            Layer::PLAIN,
            unix(1, 1),
            &header(1),
            b"args",
        ),
        drc.key(
            inet("192.0.2.1:9"),
            Framing::Datagram,
            Layer::TLS,
            unix(1, 1),
            &header(1),
            b"args",
        ),
        drc.key(
            inet("192.0.2.1:9"),
            Framing::Datagram,
            Layer::PLAIN,
            unix(2, 1),
            &header(1),
            b"args",
        ),
        drc.key(
            inet("192.0.2.1:9"),
            Framing::Datagram,
            Layer::PLAIN,
            unix(1, 2),
            &header(1),
            b"args",
        ),
        drc.key(
            inet("192.0.2.1:9"),
            Framing::Datagram,
            Layer::PLAIN,
            Principal::Nobody,
            &header(1),
            b"args",
        ),
        drc.key(
            inet("192.0.2.1:9"),
            Framing::Datagram,
            Layer::PLAIN,
            unix(1, 1),
            &header(1),
            b"argz",
        ),
        drc.key(
            inet("192.0.2.1:9"),
            Framing::Datagram,
            Layer::PLAIN,
            unix(1, 1),
            &header(1),
            b"args\0\0\0\0",
        ),
    ];
    let named = Principal::Named(Arc::from(&b"alice"[..]));
    others.push(drc.key(
        inet("192.0.2.1:9"),
        Framing::Datagram,
        Layer::PLAIN,
        named,
        &header(1),
        b"args",
    ));
    assert!(others.iter().all(|other| *other != base));
}

#[test]
fn bytes_beyond_the_checksum_count_by_their_length() {
    let drc = cache(DrcConfig::default());
    let key = |args: &[u8]| {
        drc.key(
            Origin::Local(1),
            Framing::Stream,
            Layer::PLAIN,
            Principal::Nobody,
            &header(1),
            args,
        )
    };
    let mut args = vec![0; 2000];
    let base = key(&args);
    args[255] = 1;
    assert_ne!(key(&args), base);
    args[255] = 0;
    args[1999] = 1;
    assert_eq!(key(&args), base);
    args.push(0);
    assert_ne!(key(&args), base);
}

#[test]
fn the_port_counts_as_configured() {
    let same = |port, framing| {
        let drc = cache(DrcConfig {
            port,
            ..DrcConfig::default()
        });
        let key = |origin| {
            drc.key(
                origin,
                framing,
                Layer::PLAIN,
                Principal::Nobody,
                &header(1),
                b"",
            )
        };
        assert_eq!(key(inet("192.0.2.1:1")), key(inet("[::ffff:192.0.2.1]:1")));
        key(inet("192.0.2.1:1")) == key(inet("192.0.2.1:2"))
    };
    let both = |port| (same(port, Framing::Stream), same(port, Framing::Datagram));
    assert_eq!(both(PortPolicy::Datagrams), (true, false));
    assert_eq!(both(PortPolicy::Always), (false, false));
    assert_eq!(both(PortPolicy::Never), (true, true));
}

#[test]
fn a_done_call_is_forgotten_after_its_time() {
    let config = DrcConfig {
        ttl: Duration::from_secs(8),
        ..DrcConfig::default()
    };
    let (mut drc, now) = (cache(config), Instant::now());
    let ticket = new(begin(&mut drc, now, 1, 10));
    drc.finish(now, ticket, reply(24));
    let just_before = now + Duration::from_millis(7999);
    assert!(matches!(
        begin(&mut drc, just_before, 1, 10),
        Begin::Replay(_)
    ));
    assert_eq!(drc.poll_timeout(), Some(now + Duration::from_secs(8)));
    drc.handle_timeout(now + Duration::from_secs(8));
    assert!(drc.is_empty());
    assert_eq!((drc.bytes(), drc.poll_timeout()), (0, None));
}

#[test]
fn a_call_in_progress_is_never_forgotten() {
    let (mut drc, now) = (
        cache(DrcConfig {
            bytes: 0,
            ..DrcConfig::default()
        }),
        Instant::now(),
    );
    let ticket = new(begin(&mut drc, now, 1, 10));
    let other = new(begin(&mut drc, now, 2, 10));
    drc.finish(now, other, reply(24));
    assert!(matches!(
        begin(&mut drc, now + Duration::from_secs(9999), 1, 11),
        Begin::InProgress
    ));
    assert_eq!(drc.finish(now, ticket, None), Some(11));
}

#[test]
fn bytes_have_a_budget_and_the_oldest_makes_room() {
    let config = DrcConfig {
        bytes: 3 * (OVERHEAD + 1000),
        ..DrcConfig::default()
    };
    let (mut drc, now) = (cache(config), Instant::now());
    for xid in 0..5 {
        let ticket = new(begin(&mut drc, now, xid, 10));
        drc.finish(now, ticket, reply(1000));
        assert!(drc.bytes() <= config.bytes);
    }
    let known: Vec<_> = (2..5)
        .map(|xid| matches!(begin(&mut drc, now, xid, 10), Begin::Replay(_)))
        .collect();
    assert_eq!(
        (known, drc.len(), drc.counters().evicted),
        (vec![true; 3], 3, 2)
    );
    assert!(matches!(begin(&mut drc, now, 1, 10), Begin::New(_)));
}

#[test]
fn a_reply_too_long_to_keep_is_remembered_without_its_bytes() {
    let (mut drc, now) = (
        cache(DrcConfig {
            reply: 100,
            ..DrcConfig::default()
        }),
        Instant::now(),
    );
    for (xid, len) in [(1, 100), (2, 101), (3, 1 << 20)] {
        let ticket = new(begin(&mut drc, now, xid, 10));
        assert_eq!(drc.finish(now, ticket, reply(len)), Some(10));
    }
    assert_eq!(drc.bytes(), 3 * OVERHEAD + 100);
    assert!(matches!(begin(&mut drc, now, 1, 10), Begin::Replay(_)));
    assert!(matches!(begin(&mut drc, now, 2, 10), Begin::NotKept));
    assert!(matches!(begin(&mut drc, now, 3, 10), Begin::NotKept));
    assert_eq!(drc.counters().not_kept, 2);
}

#[test]
fn calls_in_progress_are_bounded() {
    let (mut drc, now) = (
        cache(DrcConfig {
            in_progress: 2,
            ..DrcConfig::default()
        }),
        Instant::now(),
    );
    let first = new(begin(&mut drc, now, 1, 10));
    let _second = new(begin(&mut drc, now, 2, 10));
    assert!(matches!(begin(&mut drc, now, 3, 10), Begin::Full));
    assert!(matches!(begin(&mut drc, now, 1, 10), Begin::InProgress));
    drc.finish(now, first, reply(4));
    let _third = new(begin(&mut drc, now, 3, 10));
}

#[derive(Clone, Debug)]
enum Op {
    Call(u32),
    Finish(prop::sample::Index, Option<usize>),
    Abort(prop::sample::Index),
    Pass(u64),
}

fn ops() -> impl Strategy<Value = Vec<Op>> {
    let op = prop_oneof![
        5 => (0_u32..12).prop_map(Op::Call),
        4 => (any::<prop::sample::Index>(), prop::option::of(0_usize..300)).prop_map(|(i, len)| Op::Finish(i, len)),
        1 => any::<prop::sample::Index>().prop_map(Op::Abort),
        1 => (0_u64..80).prop_map(Op::Pass),
    ];
    prop::collection::vec(op, 0..150)
}

proptest! {
    /// Whatever happens: a call is not begun twice unless it was aborted, expired or evicted; a reply is only
    /// ever replayed to its own call; the budget holds.
    #[test]
    fn any_sequence_of_operations_keeps_the_promises(ops in ops()) {
        let config = DrcConfig { bytes: 5000, reply: 200, in_progress: 4, ..DrcConfig::default() };
        let (mut drc, mut now) = (cache(config), Instant::now());
        let mut tickets: BTreeMap<u32, (Ticket, u32)> = BTreeMap::new();
        let mut done: BTreeMap<u32, (Option<usize>, Instant)> = BTreeMap::new();
        for (to, op) in (0_u32..).zip(ops) {
            let pick = |index: prop::sample::Index| (!tickets.is_empty())
                .then(|| *tickets.keys().nth(index.index(tickets.len())).unwrap());
            match op {
                Op::Call(xid) => {
                    let evicted = drc.counters().evicted;
                    match begin(&mut drc, now, xid, to) {
                        Begin::New(ticket) => {
                            prop_assert!(!tickets.contains_key(&xid));
                            let alive = done.remove(&xid).is_some_and(|(_, expires)| expires > now);
                            prop_assert!(!alive || evicted > 0, "a done call was begun again");
                            tickets.insert(xid, (ticket, to));
                        }
                        Begin::InProgress => tickets.get_mut(&xid).expect("it is in progress").1 = to,
                        Begin::Full => prop_assert_eq!(tickets.len(), 4),
                        Begin::Replay(reply) => prop_assert_eq!((Some(reply.len()), reply[0]), (done[&xid].0, u8::try_from(xid).unwrap())),
                        Begin::Silent => prop_assert_eq!(done[&xid].0, None),
                        Begin::NotKept => prop_assert!(done[&xid].0.unwrap() > 200),
                    }
                }
                Op::Finish(index, len) => if let Some(xid) = pick(index) {
                    let (ticket, latest) = tickets.remove(&xid).unwrap();
                    let reply = len.map(|len| Bytes::from(vec![u8::try_from(xid).unwrap(); len + 1]));
                    done.insert(xid, (reply.as_ref().map(Bytes::len), now + config.ttl));
                    prop_assert_eq!(drc.finish(now, ticket, reply), Some(latest));
                },
                Op::Abort(index) => if let Some(xid) = pick(index) {
                    let (ticket, latest) = tickets.remove(&xid).unwrap();
                    prop_assert_eq!(drc.abort(ticket), Some(latest));
                },
                Op::Pass(seconds) => now += Duration::from_secs(seconds),
            }
            prop_assert!(drc.bytes() <= config.bytes);
            prop_assert!(drc.len() <= tickets.len() + config.bytes / OVERHEAD);
        }
    }
}

#[test]
fn the_table_does_not_grow_once_the_cache_is_full() {
    for seed in 1..=2 {
        let mut drc: Drc<u32> = Drc::new(DrcConfig::default(), Seed::replay(seed));
        let now = Instant::now();
        let mut capacity = 0;
        for xid in 0..300_000 {
            let ticket = new(begin(&mut drc, now, xid, 0));
            let _ = drc.finish(now, ticket, reply(24));
            if xid == 40_000 {
                capacity = drc.entries.capacity();
            }
        }
        // What is forgotten leaves marks in the table, and these must not make it grow: they go where they are.
        assert!(
            drc.entries.capacity() <= capacity.max(28_672),
            "seed {seed}"
        );
        assert!(drc.done.capacity() <= 16_384, "seed {seed}");
    }
}
