//! Client, server and duplicate request cache over a simulated network: every seed, every loss rate.

use farcall_conformance::link::{Conditions, Dice};
use farcall_conformance::pair::{COUNT, End, MISSING, Pair, Plan};
use farcall_onc::client::{Client, ClientConfig, Incoming};
use farcall_onc::drc::{Begin, Drc, DrcConfig, Layer, Origin, Principal};
use farcall_onc::msg::{
    Framing, ReplyBody, Target, encode_call, encode_refusal, encode_success, parse_call,
    parse_reply,
};
use farcall_onc::record::{Assembler, RecordLimits};
use farcall_onc::seed::Seed;
use farcall_onc::server::{Accepts, Admission, Registry};
use farcall_wire::{Bytes, Padding, TransmitQueue};
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// Loss in percent that every simulation goes through.
const LOSSES: [u64; 5] = [0, 1, 5, 15, 30];

/// Calls of one simulation.
const CALLS: u32 = 100;

fn millis(n: u64) -> Duration {
    Duration::from_millis(n)
}

/// A network that loses, repeats and reorders; a procedure that may take longer than the first repetition.
fn plan(seed: u64, loss: u64) -> Plan {
    Plan {
        seed,
        network: Conditions {
            loss,
            duplicate: loss,
            delay: millis(1)..millis(400),
        },
        work: millis(0)..millis(2500),
        drc: Some(DrcConfig::default()),
        client: ClientConfig::default(),
        reconnects: 0,
    }
}

/// Runs `CALLS` calls with a deadline that no loss rate here exhausts.
fn run(plan: &Plan) -> Pair {
    let mut pair = Pair::new(plan);
    for argument in 0..CALLS {
        pair.call(COUNT, argument, Duration::from_secs(3600))
            .expect("begin a call");
    }
    pair.run();
    pair
}

#[test]
fn every_call_is_executed_exactly_once_and_answered_with_its_own_result() {
    for loss in LOSSES {
        for seed in 0..20 {
            let pair = run(&plan(seed, loss));
            for argument in 0..CALLS {
                let got = (pair.executed().get(&argument), pair.ends().get(&argument));
                assert_eq!(
                    got,
                    (Some(&1), Some(&End::Result(argument ^ 1))),
                    "loss {loss} seed {seed}"
                );
            }
            assert_eq!(pair.client.in_flight(), 0);
            assert!(
                loss < 5 || pair.lost() > 0,
                "the network lost nothing at {loss} %"
            );
        }
    }
}

/// The simulation finds what it looks for: without the cache, calls are executed twice.
#[test]
fn without_the_cache_some_calls_are_executed_more_than_once() {
    let plan = Plan {
        drc: None,
        ..plan(1, 15)
    };
    assert!(run(&plan).executed().values().any(|count| *count > 1));
}

#[test]
fn the_same_seed_gives_the_same_run() {
    let seen = |seed| {
        let pair = run(&plan(seed, 15));
        (pair.lost(), pair.client.counters())
    };
    assert_eq!(seen(7), seen(7));
    assert_ne!(seen(7), seen(8));
}

#[test]
fn a_deadline_ends_a_call_when_nothing_arrives() {
    let mut pair = Pair::new(&plan(1, 100));
    let start = pair.now;
    pair.call(COUNT, 1, Duration::from_secs(10))
        .expect("begin a call");
    pair.run();
    assert_eq!(pair.ends().get(&1), Some(&End::TimedOut));
    assert_eq!(pair.now - start, Duration::from_secs(10));
    assert_eq!(
        (pair.client.counters().retransmits, pair.client.in_flight()),
        (3, 0)
    );
}

#[test]
fn a_call_is_executed_at_most_once_when_deadlines_are_short() {
    for seed in 0..50 {
        let mut pair = Pair::new(&plan(seed, 30));
        for argument in 0..CALLS {
            pair.call(COUNT, argument, millis(3000))
                .expect("begin a call");
        }
        pair.run();
        assert_eq!(pair.ends().len(), CALLS as usize);
        assert!(
            pair.executed().values().all(|count| *count == 1),
            "seed {seed}"
        );
        for (argument, end) in pair.ends() {
            assert!(
                *end == End::TimedOut || *end == End::Result(argument ^ 1),
                "seed {seed}: {end:?}"
            );
        }
    }
}

#[test]
fn a_refusal_arrives_through_any_network() {
    for seed in 0..20 {
        let mut pair = Pair::new(&plan(seed, 30));
        pair.call(MISSING, 5, Duration::from_secs(3600))
            .expect("begin a call");
        pair.run();
        assert_eq!(
            pair.ends().get(&5),
            Some(&End::Refused(ReplyBody::ProgUnavail))
        );
    }
}

/// A client of a stream that, like an NFS client, sends its unanswered calls again on every new connection.
struct Stubborn {
    unanswered: BTreeMap<u32, Bytes>,
    answers: BTreeMap<u32, u32>,
}

/// What arrives of `sent`, cut into batches anywhere; all of it, or only a part if the connection breaks.
fn arriving(dice: &mut Dice, sent: &[u8], breaks: bool) -> Vec<Bytes> {
    let whole = sent.len() as u64;
    let end = if breaks { dice.below(whole + 1) } else { whole } as usize;
    let (mut batches, mut at) = (Vec::new(), 0);
    while at < end {
        let len = (1 + dice.below(60) as usize).min(end - at);
        batches.push(Bytes::copy_from_slice(&sent[at..at + len]));
        at += len;
    }
    batches
}

/// The records in batches.
fn records(batches: &[Bytes]) -> Vec<Bytes> {
    let mut assembler = Assembler::new(RecordLimits::default());
    let mut out = Vec::new();
    for batch in batches {
        let mut at = 0;
        while let Some(record) = assembler.next(batch, &mut at).expect("a stream of records") {
            out.push(record.bytes(batch));
        }
    }
    out
}

/// One connection: calls go over, replies come back, and it breaks somewhere. Calls that were begun are
/// finished on a later connection, so their replies must go there.
fn connection(
    dice: &mut Dice,
    client: &mut Stubborn,
    drc: &mut Drc<u64>,
    running: &mut Vec<(farcall_onc::drc::Ticket, u32, u32)>,
    executed: &mut BTreeMap<u32, u32>,
    number: u64,
) {
    let now = Instant::now();
    let mut stream = Vec::new();
    for message in client.unanswered.values() {
        stream.extend_from_slice(&farcall_onc::record::mark(message.len()));
        stream.extend_from_slice(message);
    }
    let breaks = dice.chance(70);
    let mut replies = TransmitQueue::new();
    let put = |replies: &mut TransmitQueue, reply: &Bytes| {
        replies.put_slice(&farcall_onc::record::mark(reply.len()));
        replies.put_slice(reply);
    };
    for record in records(&arriving(dice, &stream, breaks)) {
        let (header, at) = parse_call(&record).expect("a call");
        let origin = Origin::Inet(([192, 0, 2, 1], 1000 + number as u16).into());
        let key = drc.key(
            origin,
            Framing::Stream,
            Layer::PLAIN,
            Principal::Nobody,
            &header,
            &record[at..],
        );
        match drc.begin(now, key, number) {
            Begin::New(ticket) => {
                let argument = u32::from_be_bytes(record[at..].try_into().expect("one word"));
                running.push((ticket, header.xid, argument));
            }
            Begin::Replay(reply) => put(&mut replies, &reply),
            Begin::InProgress => {}
            other => panic!("not expected: {other:?}"),
        }
    }
    for (ticket, xid, argument) in std::mem::take(running) {
        if dice.chance(50) {
            running.push((ticket, xid, argument));
            continue;
        }
        *executed.entry(argument).or_default() += 1;
        let mut queue = TransmitQueue::new();
        encode_success(&mut queue, Framing::Datagram, xid, &(argument + 1)).expect("encode");
        let reply = Bytes::from(queue.to_vec());
        let to = drc
            .finish(now, ticket, Some(reply.clone()))
            .expect("it was in progress");
        if to == number {
            put(&mut replies, &reply);
        }
    }
    for record in records(&arriving(dice, &replies.to_vec(), breaks)) {
        let (header, at) = parse_reply(&record).expect("a reply");
        let result = u32::from_be_bytes(record[at..].try_into().expect("one word"));
        if client.unanswered.remove(&header.xid).is_some() {
            client.answers.insert(header.xid, result);
        }
    }
}

#[test]
fn calls_repeated_over_new_connections_are_executed_once_and_their_replies_follow() {
    let target = Target {
        program: 1,
        version: 1,
        procedure: 1,
    };
    for seed in 0..200 {
        let mut dice = Dice::new(seed);
        let mut drc = Drc::new(DrcConfig::default(), Seed::replay(seed));
        let mut client = Stubborn {
            unanswered: BTreeMap::new(),
            answers: BTreeMap::new(),
        };
        for xid in 0..20 {
            let mut queue = TransmitQueue::new();
            let auth = farcall_onc::auth::AuthBlock::none();
            encode_call(
                &mut queue,
                Framing::Datagram,
                xid,
                target,
                &auth,
                &(xid * 10),
            )
            .expect("encode");
            client.unanswered.insert(xid, queue.to_vec().into());
        }
        let (mut running, mut executed) = (Vec::new(), BTreeMap::new());
        for number in 0..200 {
            connection(
                &mut dice,
                &mut client,
                &mut drc,
                &mut running,
                &mut executed,
                number,
            );
            if client.unanswered.is_empty() {
                break;
            }
        }
        let want: BTreeMap<u32, u32> = (0..20).map(|xid| (xid, xid * 10 + 1)).collect();
        assert_eq!(client.answers, want, "seed {seed}");
        assert!(executed.values().all(|count| *count == 1), "seed {seed}");
    }
}

/// What a server answers to a record: the argument plus one, or a refusal.
fn serve(registry: &Registry, record: &[u8], replies: &mut TransmitQueue) {
    match registry.admit(record, Framing::Stream, |_| None) {
        Admission::Call(call) => {
            let argument = u32::from_be_bytes(record[call.args..].try_into().expect("one word"));
            let result = &argument.wrapping_add(1);
            encode_success(replies, Framing::Stream, call.header.xid, result).expect("encode");
        }
        Admission::Null { xid, .. } => {
            encode_success(replies, Framing::Stream, xid, &()).expect("encode");
        }
        Admission::Answer { xid, body } => encode_refusal(replies, Framing::Stream, xid, body),
        other => panic!("not expected: {other:?}"),
    }
}

/// One stream between a client and a server. Bytes arrive in batches cut anywhere, replies overtake each other,
/// calls are cancelled, and the connection is lost now and then.
#[test]
fn over_a_stream_every_call_ends_once_with_its_own_result() {
    let auth = farcall_onc::auth::AuthBlock::none();
    for seed in 0..100 {
        let mut dice = Dice::new(seed);
        let mut registry = Registry::new(Padding::Strict);
        registry
            .insert(COUNT.program, COUNT.version, Accepts::ANY, 0)
            .expect("it was empty");
        let mut client: Client<u32> = Client::stream(ClientConfig::default(), &Seed::replay(seed));
        let (mut ends, mut cancelled, mut ids) = (BTreeMap::new(), 0, BTreeMap::new());
        let (mut begun, mut down, mut up) = (0, Vec::new(), TransmitQueue::new());
        let mut assemblers = [(); 2].map(|()| Assembler::new(RecordLimits::default()));
        let now = Instant::now();
        while begun < 200 || client.in_flight() > 0 {
            for _ in 0..dice.below(20).min(200 - begun) {
                let argument = u32::try_from(begun).expect("a small number");
                let target = if dice.chance(20) { MISSING } else { COUNT };
                let id = client
                    .call(now, target, &auth, &argument, None, argument)
                    .expect("begin a call");
                ids.insert(argument, (id, target));
                begun += 1;
            }
            if dice.chance(30) {
                let oldest = ids
                    .keys()
                    .copied()
                    .find(|argument| !ends.contains_key(argument));
                if let Some(argument) = oldest {
                    let (token, _) = client.cancel(ids[&argument].0).expect("it is in flight");
                    assert_eq!(ends.insert(token, None), None);
                    cancelled += 1;
                }
            }
            let mut out = TransmitQueue::new();
            client.poll_transmit(&mut out);
            let mut calls = Vec::new();
            for batch in arriving(&mut dice, &out.to_vec(), false) {
                let mut at = 0;
                while let Some(record) = assemblers[0].next(&batch, &mut at).expect("records") {
                    calls.push(record.bytes(&batch));
                }
            }
            while !calls.is_empty() {
                let any = usize::try_from(dice.below(calls.len() as u64)).expect("an index");
                serve(&registry, &calls.swap_remove(any), &mut up);
            }
            let lost = dice.chance(10);
            down.extend(arriving(&mut dice, &up.to_vec(), lost));
            up.clear();
            for batch in down.drain(..) {
                let mut at = 0;
                while let Some(record) = assemblers[1].next(&batch, &mut at).expect("records") {
                    let message = record.bytes(&batch);
                    match client.handle_record(&message) {
                        Incoming::Reply {
                            id,
                            token,
                            header,
                            results,
                        } => {
                            assert_eq!(id, ids[&token].0);
                            let end = (header.body, message[results..].to_vec());
                            assert_eq!(ends.insert(token, Some(end)), None, "seed {seed}");
                        }
                        Incoming::Ignored(_) => {}
                        other => panic!("not expected: {other:?}"),
                    }
                }
            }
            if lost {
                client.lost();
                assemblers = [(); 2].map(|()| Assembler::new(RecordLimits::default()));
                while let Some(event) = client.poll_event() {
                    assert!(event.sent);
                    assert_eq!(ends.insert(event.token, None), None, "seed {seed}");
                }
            }
        }
        assert_eq!(ends.len(), 200, "seed {seed}");
        assert_eq!(client.counters().cancelled, cancelled);
        for (argument, end) in ends {
            let want = match ids[&argument].1 {
                MISSING => (ReplyBody::ProgUnavail, Vec::new()),
                _ => (ReplyBody::Success, (argument + 1).to_be_bytes().to_vec()),
            };
            assert!(
                end.is_none_or(|end| end == want),
                "seed {seed} argument {argument}"
            );
        }
    }
}
