//! Values of MS-NLMP section 4.2, and two ends of a session.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use super::super::message::tests::hex;
use super::*;

const PLAINTEXT: &str = "50006c00610069006e007400650078007400";

fn session(flags: u32, key: &str, end: End) -> Session {
    let key = Key::new(hex(key).try_into().unwrap());
    Session::new(Flags(flags), key, end, Principal::default())
}

fn ends(flags: Flags) -> (Session, Session) {
    let end = |end| Session::new(flags, Key::new([0x55; 16]), end, Principal::default());
    (end(End::Client), end(End::Server))
}

const STRONG: Flags = Flags(Flags::SIGN.0 | Flags::SEAL.0 | Flags::KEY_128.0 | Flags::KEY_EXCH.0);

/// Section 4.2.4.4: keys exchanged, 128 bits.
#[test]
fn a_message_is_sealed_as_in_the_specification() {
    let key = "55555555555555555555555555555555";
    let mut client = session(0xe288_8235, key, End::Client);
    let wrapped = client.wrap(&hex(PLAINTEXT), true).unwrap();
    let signature = "010000007fb38ec5c55d497600000000";
    let sealed = "54e50165bf1936dc996020c1811b0f06fb5f";
    assert_eq!(wrapped, hex(&format!("{signature}{sealed}")));
    let mut server = session(0xe288_8235, key, End::Server);
    assert_eq!(server.unwrap(&wrapped).unwrap(), (hex(PLAINTEXT), true));
}

/// Section 4.2.3.4: keys not exchanged, 56 bits.
#[test]
fn a_message_is_sealed_with_a_weaker_key_as_in_the_specification() {
    let mut client = session(0x820a_8233, "eb93429a8bd952f8b89c55b87f475edc", End::Client);
    let wrapped = client.wrap(&hex(PLAINTEXT), true).unwrap();
    let signature = "01000000ff2aeb52f681793a00000000";
    let sealed = "a02372f6530273f3aa1eb90190ce5200c99d";
    assert_eq!(wrapped, hex(&format!("{signature}{sealed}")));
}

#[test]
fn messages_go_both_ways_in_order() {
    let (mut client, mut server) = ends(STRONG);
    for round in 0..5_u8 {
        let mut pdu = vec![round; 40];
        let mut token = [0; SIGNATURE_LEN];
        client.seal(&mut pdu, 8..32, true, &mut token).unwrap();
        assert_eq!((&pdu[..8], &pdu[32..]), (&[round; 8][..], &[round; 8][..]));
        assert_ne!(&pdu[8..32], [round; 24]);
        server.unseal(&mut pdu, 8..32, true, &token).unwrap();
        assert_eq!(pdu, [round; 40]);
        let mic = server.mic(&pdu).unwrap();
        client.verify_mic(&pdu, &mic).unwrap();
    }
}

#[test]
fn the_header_is_signed_only_where_that_is_asked_for() {
    for whole in [false, true] {
        let (mut client, mut server) = ends(STRONG);
        let mut pdu = vec![3; 40];
        let mut token = [0; SIGNATURE_LEN];
        client.seal(&mut pdu, 8..32, whole, &mut token).unwrap();
        pdu[0] ^= 1;
        let checked = server.unseal(&mut pdu, 8..32, whole, &token);
        assert_eq!(checked.is_err(), whole);
    }
}

#[test]
fn a_message_that_is_changed_repeated_skipped_or_mirrored_is_refused() {
    let fresh = || ends(STRONG);
    let (mut client, mut server) = fresh();
    let first = client.mic(b"one").unwrap();
    let second = client.mic(b"two").unwrap();
    server.verify_mic(b"one", &first).unwrap();
    assert_eq!(
        server.verify_mic(b"one", &first),
        Err(ProtectError::BadToken)
    );
    let (_, mut server) = fresh();
    assert_eq!(
        server.verify_mic(b"two", &second),
        Err(ProtectError::BadToken)
    );
    let (_, mut server) = fresh();
    assert_eq!(
        server.verify_mic(b"onE", &first),
        Err(ProtectError::BadToken)
    );
    let (mut client, _) = fresh();
    assert_eq!(
        client.verify_mic(b"one", &first),
        Err(ProtectError::BadToken)
    );
    for bit in 0..128_usize {
        let (_, mut server) = fresh();
        let mut token = first.clone();
        token[bit / 8] ^= 1 << (bit % 8);
        assert_eq!(
            server.verify_mic(b"one", &token),
            Err(ProtectError::BadToken)
        );
    }
}

#[test]
fn keys_of_every_strength_differ() {
    let one = |flags: Flags| {
        ends(STRONG.without(Flags::KEY_128) | flags)
            .0
            .wrap(b"text", true)
            .unwrap()
    };
    let strengths = [
        one(Flags::KEY_128 | Flags::KEY_56),
        one(Flags::KEY_56),
        one(Flags::default()),
    ];
    assert_ne!(strengths[0], strengths[1]);
    assert_ne!(strengths[1], strengths[2]);
    assert_eq!(one(Flags::KEY_128), strengths[0]);
}

#[test]
fn what_was_not_negotiated_is_not_done() {
    let (mut client, _) = ends(Flags::KEY_128 | Flags::KEY_EXCH);
    assert!(!client.integrity() && !client.confidentiality());
    client.mic(b"text").unwrap_err();
    let (mut client, _) = ends(Flags::SIGN);
    assert!(client.integrity() && !client.confidentiality());
    client.wrap(b"text", true).unwrap_err();
    assert_eq!(client.wrap(b"text", false).unwrap()[16..], *b"text");
}

#[test]
fn lengths_that_do_not_fit_are_refused() {
    let (mut client, mut server) = ends(STRONG);
    client.sign(b"text", &mut [0; 15]).unwrap_err();
    client
        .seal(&mut [0; 4], 2..5, true, &mut [0; 16])
        .unwrap_err();
    server
        .unseal(&mut [0; 4], 5..9, false, &[0; 16])
        .unwrap_err();
    server.unwrap(&[0; 15]).unwrap_err();
}

#[test]
fn after_the_mechanisms_are_agreed_streams_begin_anew_and_counting_goes_on() {
    let (mut client, mut server) = ends(STRONG);
    let mic = client.mic(b"list").unwrap();
    server.verify_mic(b"list", &mic).unwrap();
    client.mechanisms_agreed();
    server.mechanisms_agreed();
    let mut body = *b"text";
    let mut token = [0; 16];
    client.seal(&mut body, 0..4, true, &mut token).unwrap();
    // The key stream of the first message, and the second number.
    let (mut other, _) = ends(STRONG);
    assert_eq!(other.wrap(b"text", true).unwrap()[16..], body);
    assert_eq!(token[12..], [1, 0, 0, 0]);
    server.unseal(&mut body, 0..4, true, &token).unwrap();
}
