//! What the client asks for, and which servers it refuses.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)]

use super::super::message::tests::hex;
use super::*;

fn config() -> ClientConfig {
    ClientConfig::new("User", "Domain", &Password::from("Password"))
}

fn challenge(flags: Flags, target_info: &[u8]) -> Vec<u8> {
    Challenge {
        flags,
        server_challenge: [1; 8],
        target_name: "SERVER".to_owned(),
        target_info: target_info.to_vec(),
    }
    .emit()
}

const INFO: &[u8] = b"\x01\0\x02\0S\0\0\0\0\0";

fn answer(config: ClientConfig, challenge: &[u8]) -> Result<Vec<u8>, Denied> {
    let mut client = Client::new(config);
    let Progress::Continue(_) = client.step(&[]).unwrap() else {
        panic!("a first message");
    };
    match client.step(challenge)? {
        Progress::Done { token, .. } => Ok(token.unwrap()),
        other => panic!("{other:?}"),
    }
}

/// MS-NLMP section 2.2.1.1: 40 bytes with empty names and a version; flags as section 3.1.5.1.1 wants them, everything strong.
#[test]
fn the_first_message_asks_for_everything_strong() {
    let mut client = Client::new(config());
    let Progress::Continue(message) = client.step(&[]).unwrap() else {
        panic!("a first message");
    };
    let expected =
        "4e544c4d5353500001000000 358288e2 0000000028000000 0000000028000000 0a0000000000000f";
    assert_eq!(message, hex(expected));
}

/// Samba's server wants a key of 16 bytes wherever the exchange of one was agreed on, and MS-NLMP section 3.1.5.1.2 has one only
/// where messages are protected.
#[test]
fn a_client_that_protects_nothing_exchanges_no_key() {
    let bare = || ClientConfig {
        sign: false,
        seal: false,
        ..config()
    };
    assert!(
        !bare()
            .flags()
            .any(Flags::KEY_EXCH | Flags::SIGN | Flags::SEAL)
    );
    let message = answer(bare(), &challenge(config().flags(), INFO)).unwrap();
    let message = Authenticate::parse(&message).unwrap();
    assert!(message.session_key.is_empty() && !message.flags.has(Flags::KEY_EXCH));
}

#[test]
fn a_server_that_grants_less_than_was_asked_for_is_refused() {
    let all = config().flags();
    answer(config(), &challenge(all, INFO)).unwrap();
    for dropped in [
        Flags::SIGN,
        Flags::SEAL,
        Flags::KEY_128,
        Flags::EXTENDED_SESSIONSECURITY,
        Flags::UNICODE,
    ] {
        answer(config(), &challenge(all.without(dropped), INFO)).unwrap_err();
    }
    let without_exchange = challenge(all.without(Flags::KEY_EXCH), INFO);
    let message = answer(config(), &without_exchange).unwrap();
    assert!(
        Authenticate::parse(&message)
            .unwrap()
            .session_key
            .is_empty()
    );
}

#[test]
fn a_server_that_knows_only_version_1_gets_no_response() {
    answer(config(), &challenge(config().flags(), b"")).unwrap_err();
    answer(config(), &challenge(config().flags(), b"\x01\0\x02\0")).unwrap_err();
}

#[test]
fn flags_that_were_not_asked_for_are_not_taken() {
    let granted = Flags(u32::MAX);
    let message = answer(config(), &challenge(granted, INFO)).unwrap();
    assert_eq!(
        Authenticate::parse(&message).unwrap().flags,
        config().flags()
    );
}

/// Section 3.1.5.1.2: the server's pairs, then flags with the MIC's bit, bindings (here none), target.
#[test]
fn the_response_carries_what_the_proof_must_cover() {
    let mut config = config();
    config.target = Some("host/a".to_owned());
    let flags = config.flags();
    let message = answer(config, &challenge(flags, INFO)).unwrap();
    let response = Authenticate::parse(&message).unwrap();
    assert_eq!(response.lm_response, [0; 24]);
    assert_ne!(message::mic(&message), Some([0; 16]));
    let pairs = response.nt_response.split_at(16 + 28).1;
    let expected = "0100 0200 5300 0600 0400 02000000 0a00 1000 00000000000000000000000000000000
        0900 0c00 68006f00730074002f006100 0000 0000 00000000";
    assert_eq!(pairs, hex(expected));
}

#[test]
fn the_servers_time_is_the_responses_time() {
    let info = hex("0700 0800 8877665544332211 0000 0000");
    let message = answer(config(), &challenge(config().flags(), &info)).unwrap();
    let response = Authenticate::parse(&message).unwrap();
    assert_eq!(response.nt_response[24..32], hex("8877665544332211"));
}

#[test]
fn nobody_sends_no_response() {
    let config = ClientConfig::anonymous();
    let flags = config.flags();
    let message = answer(config, &challenge(flags, b"")).unwrap();
    let response = Authenticate::parse(&message).unwrap();
    assert_eq!(
        (response.lm_response, response.nt_response),
        (&[0][..], &[][..])
    );
    assert_eq!(response.user, "");
}

#[test]
fn steps_out_of_order_are_refused() {
    let mut client = Client::new(config());
    client.answer(Box::new(())).unwrap_err();
    client.step(&[]).unwrap();
    client.step(&[]).unwrap_err();
    client.step(&challenge(config().flags(), INFO)).unwrap_err();
}
