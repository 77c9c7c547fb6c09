//! Expected bytes are put together by hand from RFC 9289 section 4.1 and RFC 5531 section 9.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::panic
)]

use super::*;
use crate::server::Accepts;
use farcall_wire::Padding;
use proptest::prelude::*;

const PROGRAM: u32 = 0x2000_0099;

fn registry() -> Registry {
    let mut registry = Registry::new(Padding::Compatible);
    registry.insert(PROGRAM, 1, Accepts::ANY, 0).expect("new");
    registry
}

/// A call of `procedure` with a credential and a verifier, as words behind the xid 7.
fn call(program: u32, version: u32, procedure: u32, auth: &[u32]) -> Vec<u8> {
    let head = [7, 0, 2, program, version, procedure];
    head.iter()
        .chain(auth)
        .flat_map(|word| word.to_be_bytes())
        .collect()
}

fn probe() -> Vec<u8> {
    call(PROGRAM, 1, 0, &[7, 0, 0, 0])
}

fn answer(stat: AuthStat) -> Judgement {
    refused(7, stat)
}

#[test]
fn the_probe_and_its_answer_have_the_bytes_of_the_standard() {
    let (_, bytes) = Probe::new(7, PROGRAM, 1);
    assert_eq!(bytes[..4], [0x80, 0, 0, 40]);
    assert_eq!(bytes[4..], probe());
    let wanted = b"\0\0\0\x07\0\0\0\x01\0\0\0\0\0\0\0\0\0\0\0\x08STARTTLS\0\0\0\0";
    assert_eq!(&accepted(7), wanted);
}

#[test]
fn a_willing_server_starts_and_then_nobody_speaks_in_clear() {
    for terms in [Terms::Offered, Terms::Demanded] {
        let mut gate = Gate::new(terms);
        assert_eq!(
            gate.judge(&probe(), &registry(), true),
            Judgement::Start { xid: 7 }
        );
        assert!(gate.is_starting() && !gate.is_open());
        for message in [probe(), call(PROGRAM, 1, 1, &[0; 4]), b"junk".to_vec()] {
            assert_eq!(gate.judge(&message, &registry(), true), Judgement::Close);
        }
    }
}

#[test]
fn a_probe_with_anything_else_under_way_ends_the_connection() {
    let mut gate = Gate::new(Terms::Offered);
    assert_eq!(gate.judge(&probe(), &registry(), false), Judgement::Close);
    assert!(!gate.is_starting());
}

#[test]
fn what_is_wrong_with_a_probe_is_said() {
    let mut gate = Gate::new(Terms::Offered);
    for (message, stat) in [
        (call(PROGRAM, 1, 1, &[7, 0, 0, 0]), AuthStat::BADCRED),
        (call(PROGRAM, 1, 0, &[7, 4, 0, 0, 0]), AuthStat::BADCRED),
        (call(PROGRAM, 1, 0, &[7, 0, 0, 4, 0]), AuthStat::BADVERF),
        (call(PROGRAM, 1, 0, &[7, 0, 1, 0]), AuthStat::BADVERF),
    ] {
        assert_eq!(gate.judge(&message, &registry(), true), answer(stat));
    }
    let other = call(PROGRAM + 1, 1, 0, &[7, 0, 0, 0]);
    let body = ReplyBody::ProgUnavail;
    assert_eq!(
        gate.judge(&other, &registry(), true),
        Judgement::Answer { xid: 7, body }
    );
    let later = call(PROGRAM, 3, 0, &[7, 0, 0, 0]);
    let body = ReplyBody::ProgMismatch { low: 1, high: 1 };
    assert_eq!(
        gate.judge(&later, &registry(), true),
        Judgement::Answer { xid: 7, body }
    );
    assert_eq!(
        gate.judge(&probe(), &registry(), true),
        Judgement::Start { xid: 7 }
    );
}

#[test]
fn a_probe_under_tls_is_refused_and_calls_are_not() {
    let mut gate = Gate::secured();
    assert!(gate.is_open());
    assert_eq!(
        gate.judge(&probe(), &registry(), true),
        answer(AuthStat::BADCRED)
    );
    assert_eq!(
        gate.judge(&call(PROGRAM, 1, 1, &[0; 4]), &registry(), true),
        Judgement::Pass
    );
}

#[test]
fn a_server_without_tls_passes_the_probe_on_to_be_refused_as_unknown() {
    let mut gate = Gate::new(Terms::Unoffered);
    assert_eq!(gate.judge(&probe(), &registry(), true), Judgement::Pass);
    let message = probe();
    let admission = registry().admit(&message, crate::msg::Framing::Stream, |_| None);
    let body = ReplyBody::AuthError(AuthStat::REJECTEDCRED);
    assert_eq!(admission, crate::server::Admission::Answer { xid: 7, body });
}

#[test]
fn in_clear_a_server_that_insists_answers_only_procedure_0_of_nobody() {
    let mut gate = Gate::new(Terms::Demanded);
    assert!(!gate.is_open());
    let mut judge = |message: &[u8]| gate.judge(message, &registry(), true);
    assert_eq!(judge(&call(PROGRAM, 1, 0, &[0; 4])), Judgement::Pass);
    for message in [
        call(PROGRAM, 1, 1, &[0; 4]),
        call(PROGRAM, 1, 0, &[1, 0, 0, 0]),
        call(PROGRAM, 1, 0, &[6, 0, 0, 0]),
    ] {
        assert_eq!(judge(&message), answer(AuthStat::TOOWEAK));
    }
    // What has no header is told so by whoever looks next.
    assert_eq!(judge(b"junk"), Judgement::Pass);
}

fn marked(message: &[u8]) -> Vec<u8> {
    [&mark(message.len()), message].concat()
}

fn hear(bytes: &[u8]) -> Result<Option<Answer>, ProbeError> {
    Probe::new(7, PROGRAM, 1)
        .0
        .receive(&Bytes::copy_from_slice(bytes))
}

#[test]
fn only_the_exact_words_start_tls() {
    assert_eq!(hear(&marked(&accepted(7))), Ok(Some(Answer::Start)));
    let words =
        |words: &[u32]| -> Vec<u8> { words.iter().flat_map(|word| word.to_be_bytes()).collect() };
    let (start, tls) = (0x5354_4152, 0x5454_4c53);
    for (reply, said) in [
        // Answered, and nothing known of TLS.
        (words(&[7, 1, 0, 0, 0, 0]), ReplyBody::Success),
        // Another flavour, other words, and a refusal in the right words.
        (words(&[7, 1, 0, 7, 8, start, tls, 0]), ReplyBody::Success),
        (words(&[7, 1, 0, 0, 8, start, start, 0]), ReplyBody::Success),
        (words(&[7, 1, 0, 0, 4, start, 0]), ReplyBody::Success),
        (
            words(&[7, 1, 0, 0, 8, start, tls, 1]),
            ReplyBody::ProgUnavail,
        ),
        (
            words(&[7, 1, 1, 1, 2]),
            ReplyBody::AuthError(AuthStat::REJECTEDCRED),
        ),
    ] {
        assert_eq!(hear(&marked(&reply)), Ok(Some(Answer::Unwilling(said))));
    }
}

#[test]
fn what_is_not_the_answer_ends_the_connection() {
    assert_eq!(hear(&marked(&accepted(8))), Err(ProbeError::Stray));
    assert_eq!(hear(&marked(&probe())), Err(ProbeError::Stray));
    assert_eq!(hear(&marked(b"junk")), Err(ProbeError::Stray));
    let injected = [marked(&accepted(7)), b"\x80\0\0\x18".to_vec()].concat();
    assert_eq!(hear(&injected), Err(ProbeError::Behind));
    let results = [&accepted(7)[..], &[0; 4]].concat();
    assert_eq!(hear(&marked(&results)), Err(ProbeError::Behind));
    let long = hear(&[0xff; 4]);
    assert!(
        matches!(long, Err(ProbeError::Record(RecordError::TooLarge { .. }))),
        "{long:?}"
    );
}

#[test]
fn an_answer_in_pieces_is_one_answer() {
    let whole = marked(&accepted(7));
    let (mut probe, _) = Probe::new(7, PROGRAM, 1);
    let (last, rest) = whole.split_last().expect("bytes");
    for byte in rest {
        assert_eq!(probe.receive(&Bytes::copy_from_slice(&[*byte])), Ok(None));
    }
    assert_eq!(
        probe.receive(&Bytes::copy_from_slice(&[*last])),
        Ok(Some(Answer::Start))
    );
}

proptest! {
    #[test]
    fn whatever_comes_in_clear_tls_starts_once_and_by_the_exact_probe(messages in proptest::collection::vec(
        (prop_oneof![Just(probe()), any::<[u32; 4]>().prop_map(|auth| call(PROGRAM, 1, 0, &auth)), proptest::collection::vec(any::<u8>(), 0..64)], any::<bool>()), 0..12),
        demanded in any::<bool>())
    {
        let mut gate = Gate::new(if demanded { Terms::Demanded } else { Terms::Offered });
        let mut started = false;
        for (message, alone) in messages {
            let judgement = gate.judge(&message, &registry(), alone);
            if started {
                prop_assert_eq!(judgement, Judgement::Close);
            }
            if matches!(judgement, Judgement::Start { .. }) {
                // Arguments that procedure 0 does not have may lie behind its header.
                prop_assert!(alone && !started && message[4..40] == probe()[4..40]);
                started = true;
            }
            prop_assert_eq!(gate.is_starting(), started);
        }
    }
}
