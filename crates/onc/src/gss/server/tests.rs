//! A client and a server of the core against each other, and a server against what nobody should send.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::panic
)]

use super::super::client::{Established, Initiation, Next, ReplyFault};
use super::super::toy::{self, Toy};
use super::*;
use crate::msg::{ReplyBody, ReplyHeader, Target, parse_call};

const TARGET: Target = Target {
    program: 0x2000_0001,
    version: 1,
    procedure: 7,
};

fn contexts(config: GssConfig) -> Contexts {
    Contexts::new(config, Arc::new(Toy { lifetime: None }), Seed::replay(1))
}

fn admit<'a>(contexts: &mut Contexts, now: Instant, message: &'a [u8]) -> Verdict<'a> {
    let (header, args) = parse_call(message).unwrap();
    contexts.admit(now, message, &header, args)
}

/// Runs a creating call through the server, and what the client is answered.
fn establish(contexts: &mut Contexts, now: Instant, message: &[u8]) -> Created {
    let Verdict::Establish(mut establishing, token) = admit(contexts, now, message) else {
        panic!("the call creates no context");
    };
    let progress = establishing.handshake().step(token);
    contexts.finish(now, establishing, progress)
}

fn success(verifier: Option<&[u8]>) -> ReplyHeader<'_> {
    ReplyHeader {
        xid: 1,
        verifier: verifier.map_or(OpaqueAuth::NONE, message::verifier),
        body: ReplyBody::Success,
    }
}

/// A client with a context at the server.
fn client(contexts: &mut Contexts, now: Instant, service: Service) -> Established {
    let mut client = Initiation::new(Box::new(toy::Client::default()), service);
    let mut next = Next::Step(Vec::new());
    loop {
        next = match next {
            Next::Step(token) => {
                let progress = client.handshake().step(&token).unwrap();
                client.call(1, TARGET, progress).unwrap()
            }
            Next::Call(message) => {
                let created = establish(contexts, now, &message);
                let results = farcall_wire::xdr::to_vec(&created.result).unwrap();
                let header = success(created.verifier.as_deref());
                client.handle_reply(&header, &results).unwrap()
            }
            Next::Established(established) => return *established,
        };
    }
}

/// A client that has not heard anything, and its first call.
fn beginner(first: Progress) -> (Initiation, Vec<u8>) {
    let handshake = Box::new(toy::Client::default());
    let mut client = Initiation::new(handshake, Service::NONE);
    match client.call(1, TARGET, first).unwrap() {
        Next::Call(message) => (client, message),
        other => panic!("{other:?}"),
    }
}

fn hello() -> Vec<u8> {
    beginner(Progress::Continue(b"hello".to_vec())).1
}

const SERVICES: [Service; 3] = [Service::NONE, Service::INTEGRITY, Service::PRIVACY];

#[test]
fn calls_and_replies_are_protected_by_each_service() {
    for service in SERVICES {
        let (mut contexts, now) = (contexts(GssConfig::default()), Instant::now());
        let mut client = client(&mut contexts, now, service);
        let (message, seq) = client.call(9, TARGET, &[1, 2, 3, 4]).unwrap();
        let hidden = message.windows(4).all(|bytes| bytes != [1, 2, 3, 4]);
        assert_eq!(hidden, service == Service::PRIVACY);
        let Verdict::Call(arrived) = admit(&mut contexts, now, &message) else {
            panic!("{service} is not admitted");
        };
        assert_eq!(&*arrived.arguments, [1, 2, 3, 4]);
        assert_eq!(&*arrived.held.principal().name, "alice");
        assert_eq!((arrived.seq, arrived.service), (seq, service));
        let verifier = arrived.held.verifier(seq).unwrap();
        let results = arrived.held.seal(seq, service, &[5; 8]).unwrap();
        let opened = client.open(&[seq], &success(Some(&verifier)), &results);
        assert_eq!(&*opened.unwrap(), [5; 8]);
    }
}

#[test]
fn a_changed_byte_anywhere_is_noticed() {
    for service in SERVICES {
        let (mut contexts, now) = (contexts(GssConfig::default()), Instant::now());
        let mut client = client(&mut contexts, now, service);
        let (message, _) = client.call(9, TARGET, &[1, 2, 3, 4]).unwrap();
        let (_, args) = parse_call(&message).unwrap();
        let unprotected = if service == Service::NONE {
            args
        } else {
            message.len()
        };
        for at in 0..unprotected {
            // The number of the RPC version and the direction are judged before; the lengths change the parse.
            let mut changed = message.clone();
            changed[at] ^= 1;
            let Ok((header, args)) = parse_call(&changed) else {
                continue;
            };
            if header.credential.flavor != crate::auth::Flavor::GSS {
                continue;
            }
            let verdict = contexts.admit(now, &changed, &header, args);
            assert!(!matches!(verdict, Verdict::Call(_)), "{service}: byte {at}");
        }
    }
}

#[test]
fn a_repetition_is_dropped_and_a_second_attempt_is_not() {
    let (mut contexts, now) = (contexts(GssConfig::default()), Instant::now());
    let mut client = client(&mut contexts, now, Service::INTEGRITY);
    let (first, one) = client.call(9, TARGET, b"args").unwrap();
    let (again, two) = client.call(9, TARGET, b"args").unwrap();
    assert!(matches!(
        admit(&mut contexts, now, &first),
        Verdict::Call(_)
    ));
    assert!(matches!(admit(&mut contexts, now, &first), Verdict::Silent));
    let Verdict::Call(arrived) = admit(&mut contexts, now, &again) else {
        panic!("the second attempt is dropped");
    };
    // The reply may prove either of them.
    let verifier = arrived.held.verifier(one).unwrap();
    let results = arrived.held.seal(one, Service::INTEGRITY, &[]).unwrap();
    assert!(
        client
            .open(&[one, two], &success(Some(&verifier)), &results)
            .is_ok()
    );
    let other = client.open(&[two], &success(Some(&verifier)), &results);
    assert_eq!(other, Err(ReplyFault::Verifier));
}

#[test]
fn a_forged_number_moves_nobodys_window() {
    let (mut contexts, now) = (contexts(GssConfig::default()), Instant::now());
    let mut client = client(&mut contexts, now, Service::NONE);
    let (message, _) = client.call(9, TARGET, &[]).unwrap();
    let mut forged = message.clone();
    // The number stands behind eight words of header, the version and the procedure.
    forged[40..44].copy_from_slice(&0x7fff_0000_u32.to_be_bytes());
    assert!(matches!(
        admit(&mut contexts, now, &forged),
        Verdict::Denied(AuthStat::GSS_CREDPROBLEM)
    ));
    assert!(matches!(
        admit(&mut contexts, now, &message),
        Verdict::Call(_)
    ));
}

#[test]
fn handles_that_are_unknown_are_a_credential_problem() {
    let (mut contexts, now) = (contexts(GssConfig::default()), Instant::now());
    let mut client = client(&mut contexts, now, Service::NONE);
    let (message, _) = client.call(9, TARGET, &[]).unwrap();
    let mut empty = super::super::server::tests::contexts(GssConfig::default());
    assert!(matches!(
        admit(&mut empty, now, &message),
        Verdict::Denied(AuthStat::GSS_CREDPROBLEM)
    ));
    let denied = ReplyHeader {
        xid: 1,
        verifier: OpaqueAuth::NONE,
        body: ReplyBody::AuthError(AuthStat::GSS_CREDPROBLEM),
    };
    let opened = client.open(&[1], &denied, &[]);
    assert_eq!(opened, Err(ReplyFault::Context(AuthStat::GSS_CREDPROBLEM)));
}

#[test]
fn a_context_ends_when_it_is_destroyed_idle_or_old() {
    let config = GssConfig::default();
    let (mut contexts, now) = (contexts(config), Instant::now());
    let mut gone = client(&mut contexts, now, Service::PRIVACY);
    let (before, _) = gone.call(8, TARGET, &[]).unwrap();
    let destroy = gone.destroy(9, TARGET).unwrap();
    assert!(matches!(
        admit(&mut contexts, now, &destroy),
        Verdict::Destroyed(_)
    ));
    assert!(matches!(
        admit(&mut contexts, now, &before),
        Verdict::Denied(_)
    ));
    let mut idle = client(&mut contexts, now, Service::NONE);
    let (message, _) = idle.call(9, TARGET, &[]).unwrap();
    assert!(matches!(
        admit(&mut contexts, now + config.idle, &message),
        Verdict::Denied(AuthStat::GSS_CREDPROBLEM)
    ));
    assert!(contexts.is_empty());
}

#[test]
fn half_made_contexts_are_bounded_and_push_nothing_out() {
    let config = GssConfig {
        contexts: 4,
        establishing: 2,
        ..GssConfig::default()
    };
    let (mut contexts, now) = (contexts(config), Instant::now());
    let mut whole = client(&mut contexts, now, Service::NONE);
    for _ in 0..2 {
        establish(&mut contexts, now, &hello());
    }
    assert!(matches!(
        admit(&mut contexts, now, &hello()),
        Verdict::Silent
    ));
    let (message, _) = whole.call(9, TARGET, &[]).unwrap();
    assert!(matches!(
        admit(&mut contexts, now, &message),
        Verdict::Call(_)
    ));
    let later = now + config.patience;
    assert!(matches!(
        admit(&mut contexts, later, &hello()),
        Verdict::Establish(..)
    ));
    assert!(contexts.len() <= 4);
}

#[test]
fn strangers_push_no_whole_context_out_though_the_table_is_full() {
    let config = GssConfig {
        contexts: 2,
        establishing: 2,
        ..GssConfig::default()
    };
    let (mut contexts, now) = (contexts(config), Instant::now());
    let mut first = client(&mut contexts, now, Service::NONE);
    let mut second = client(&mut contexts, now, Service::NONE);
    for _ in 0..2 {
        establish(&mut contexts, now, &hello());
    }
    for _ in 0..8 {
        let flood = hello();
        assert!(matches!(admit(&mut contexts, now, &flood), Verdict::Silent));
    }
    for client in [&mut first, &mut second] {
        let (message, _) = client.call(9, TARGET, &[]).unwrap();
        assert!(matches!(
            admit(&mut contexts, now, &message),
            Verdict::Call(_)
        ));
    }
}

#[test]
fn the_context_that_was_idle_longest_makes_room() {
    let config = GssConfig {
        contexts: 2,
        ..GssConfig::default()
    };
    let (mut contexts, now) = (contexts(config), Instant::now());
    let second = Duration::from_secs(1);
    let mut first = client(&mut contexts, now, Service::NONE);
    let mut next = client(&mut contexts, now + second, Service::NONE);
    let _third = client(&mut contexts, now + second * 2, Service::NONE);
    let (message, _) = first.call(9, TARGET, &[]).unwrap();
    assert!(matches!(
        admit(&mut contexts, now + second * 3, &message),
        Verdict::Denied(_)
    ));
    let (message, _) = next.call(9, TARGET, &[]).unwrap();
    assert!(matches!(
        admit(&mut contexts, now + second * 3, &message),
        Verdict::Call(_)
    ));
    assert_eq!(contexts.len(), 2);
}

#[test]
fn an_exchange_that_fails_leaves_nothing_and_says_so() {
    let (mut contexts, now) = (contexts(GssConfig::default()), Instant::now());
    let (mut client, call) = beginner(Progress::Continue(b"nonsense".to_vec()));
    let created = establish(&mut contexts, now, &call);
    assert_eq!(created.result.major, InitResult::FAILURE);
    assert!(created.result.handle.is_empty() && contexts.is_empty());
    let results = farcall_wire::xdr::to_vec(&created.result).unwrap();
    let denied = client.handle_reply(&success(None), &results);
    assert_eq!(denied.unwrap_err().major, InitResult::FAILURE);
}

#[test]
fn numbers_at_their_end_ask_for_another_context() {
    let (mut contexts, now) = (contexts(GssConfig::default()), Instant::now());
    let client = client(&mut contexts, now, Service::NONE);
    let mut last = client.at(MAX_SEQ - 2);
    let (message, seq) = last.call(1, TARGET, &[]).unwrap();
    assert_eq!(seq, MAX_SEQ - 1);
    assert!(matches!(
        admit(&mut contexts, now, &message),
        Verdict::Call(_)
    ));
    assert!(last.call(2, TARGET, &[]).is_err());
    let mut beyond = last.at(MAX_SEQ - 1);
    let message = beyond.past_the_end(TARGET);
    assert!(matches!(
        admit(&mut contexts, now, &message),
        Verdict::Denied(AuthStat::GSS_CTXPROBLEM)
    ));
}

#[test]
fn creating_calls_are_of_the_null_procedure_without_a_verifier() {
    let (mut contexts, now) = (contexts(GssConfig::default()), Instant::now());
    let call = hello();
    let mut procedure = call.clone();
    procedure[23] = 1;
    assert!(matches!(
        admit(&mut contexts, now, &procedure),
        Verdict::Denied(AuthStat::BADCRED)
    ));
    for len in call.len() - 12..call.len() {
        let (header, args) = parse_call(&call[..len]).unwrap();
        let verdict = contexts.admit(now, &call[..len], &header, args);
        assert!(matches!(verdict, Verdict::Garbage(None)), "{len} bytes");
    }
    assert!(contexts.is_empty());
}

#[test]
fn handles_have_no_structure_that_repeats() {
    let mut contexts = contexts(GssConfig::default());
    let handles: Vec<Handle> = (0..1000).map(|_| contexts.fresh()).collect();
    for at in 0..HANDLE {
        let kinds: std::collections::BTreeSet<u8> = handles.iter().map(|h| h[at]).collect();
        assert!(kinds.len() > 200, "byte {at} has {} values", kinds.len());
    }
}

#[test]
fn a_call_is_checked_while_others_look_for_their_contexts() {
    let (mut contexts, now) = (contexts(GssConfig::default()), Instant::now());
    let mut slow = client(&mut contexts, now, Service::PRIVACY);
    let mut quick = client(&mut contexts, now, Service::NONE);
    let (long, _) = slow.call(1, TARGET, b"long").unwrap();
    let (header, args) = parse_call(&long).unwrap();
    let Looked::Unproved(unproved) = contexts.look(now, &long, &header, args) else {
        panic!("a mechanism was asked in passing");
    };
    let (message, _) = quick.call(2, TARGET, &[]).unwrap();
    assert!(matches!(
        admit(&mut contexts, now, &message),
        Verdict::Call(_)
    ));
    let farewell = slow.destroy(3, TARGET).unwrap();
    let verdict = admit(&mut contexts, now, &farewell);
    assert!(matches!(verdict, Verdict::Destroyed(_)));
    assert_eq!(contexts.len(), 1, "forgotten while its call is checked");
    let Verdict::Call(arrived) = unproved.judge() else {
        panic!("the call came first");
    };
    assert_eq!(&*arrived.arguments, b"long");
}
