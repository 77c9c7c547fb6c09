//! Credentials: every flavor, every bound, every way to be too long or too short.

use farcall_conformance::probe::{Answer, Heard, Stream, opaque, sys, words};

use super::{call, says, server};

/// AUTH_BADCRED.
const BADCRED: Answer = Answer::AuthError(1);
/// AUTH_REJECTEDCRED.
const REJECTED: Answer = Answer::AuthError(2);

fn success() -> Answer {
    Answer::Success(Vec::new())
}

#[test]
fn flavors_that_are_not_served_are_rejected_with_the_connection_kept() {
    let server = server(&[]);
    // AUTH_SHORT, AUTH_DH, RPCSEC_GSS (junk; an unknown handle), AUTH_TLS, unknown.
    let unknown_handle = [words(&[1, 0, 1, 1]), opaque(b"handle")].concat();
    let bodies: [(u32, &[u8]); 6] = [
        (2, b"handle"),
        (3, b"junk"),
        (6, b"junk"),
        (6, &unknown_handle),
        (7, b""),
        (99, b""),
    ];
    for (flavor, body) in bodies {
        says(&server, &call(0).credential(flavor, body), &REJECTED);
        let mut stream = Stream::connect(server.tcp).expect("connect");
        stream.ask(&call(0).credential(flavor, body)).expect("ask");
        let heard = stream.ask(&call(0)).expect("ask");
        assert_eq!(
            heard,
            Heard::Reply(0x0123_4567, success()),
            "after flavor {flavor}"
        );
    }
}

#[test]
fn no_credential_with_a_body_is_accepted_as_deployed_peers_do() {
    let server = server(&[]);
    says(&server, &call(0).credential(0, b"body"), &success());
}

#[test]
fn a_machine_name_has_255_bytes_at_most() {
    let server = server(&[]);
    says(
        &server,
        &call(0).credential(1, &sys(&[b'n'; 255], 0, 0, &[])),
        &success(),
    );
    says(
        &server,
        &call(0).credential(1, &sys(&[b'n'; 256], 0, 0, &[])),
        &BADCRED,
    );
}

#[test]
fn there_are_16_groups_at_most() {
    let server = server(&[]);
    for (count, expected) in [(0, success()), (16, success()), (17, BADCRED)] {
        says(
            &server,
            &call(0).credential(1, &sys(b"vm", 0, 0, &vec![1; count])),
            &expected,
        );
    }
    // 17 claimed, and 16 there; and as many as a word can claim.
    for claimed in [17, 0xffff_ffff] {
        let mut body = sys(b"vm", 0, 0, &[1; 16]);
        let at = body.len() - 17 * 4;
        body[at..at + 4].copy_from_slice(&words(&[claimed]));
        says(&server, &call(0).credential(1, &body), &BADCRED);
    }
}

#[test]
fn the_longest_legal_credential_is_accepted() {
    let server = server(&[]);
    let body = sys(&[b'n'; 255], 0, 0, &[1; 16]);
    assert_eq!(body.len(), 340);
    says(&server, &call(0).credential(1, &body), &success());
}

#[test]
fn a_body_too_short_by_any_number_of_bytes_is_bad() {
    let server = server(&[]);
    let body = sys(b"vm", 1, 2, &[3, 4]);
    for cut in 1..=body.len() {
        let short = &body[..body.len() - cut];
        says(&server, &call(0).credential(1, short), &BADCRED);
    }
}

#[test]
fn bytes_behind_the_groups_and_odd_padding_are_accepted_as_deployed_peers_do() {
    let server = server(&[]);
    let mut body = sys(b"vm", 1, 2, &[3]);
    body[10] = 0xff;
    says(&server, &call(0).credential(1, &body), &success());
    for tail in 1..=8 {
        let mut long = sys(b"vm", 1, 2, &[3]);
        long.resize(long.len() + tail, 0xff);
        says(&server, &call(0).credential(1, &long), &success());
    }
}

#[test]
fn bodies_have_400_bytes_at_most_and_longer_ones_are_answered() {
    let server = server(&[]);
    says(&server, &call(0).credential(0, &[0; 400]), &success());
    says(&server, &call(0).credential(0, &[0; 404]), &BADCRED);
    says(&server, &call(0).verifier(0, &[0; 400]), &success());
    // AUTH_BADVERF.
    says(
        &server,
        &call(0).verifier(0, &[0; 404]),
        &Answer::AuthError(3),
    );
}

#[test]
fn a_length_of_4_gib_in_the_credential_is_bad() {
    let server = server(&[]);
    let mut call = call(0);
    call.credential = words(&[1, 0xffff_ffff]);
    says(&server, &call, &BADCRED);
}

#[test]
fn a_verifier_that_nobody_asked_for_is_accepted_as_deployed_peers_do() {
    let server = server(&[]);
    let call = call(0)
        .credential(1, &sys(b"vm", 0, 0, &[]))
        .verifier(1, b"verifier");
    says(&server, &call, &success());
}
