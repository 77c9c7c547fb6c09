//! Tokens by hand and from peers, and what is none.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use super::*;

fn hex(text: &str) -> Vec<u8> {
    let digits: Vec<u8> = text.bytes().filter(u8::is_ascii_hexdigit).collect();
    let pair = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap();
    digits.chunks(2).map(pair).collect()
}

/// By hand from RFC 4178 section 4.2.1: NTLM alone, a token of two bytes.
const INIT: &str = "
    60 20 06062b0601050502 a0 16 30 14
        a0 0e 30 0c 060a2b06010401823702020a
        a2 02 04 00";

/// By hand from RFC 4178 section 4.2.2: accept-incomplete, NTLM, token `aa`, code `bb`.
const RESP: &str = "
    a1 1f 30 1d
        a0 03 0a0101
        a1 0c 060a2b06010401823702020a
        a2 03 0401aa
        a3 03 0401bb";

#[test]
fn a_first_token_is_read_and_written() {
    let wire = hex(INIT);
    let init = Init::parse(&wire).unwrap();
    assert_eq!(init.mechanisms, [Oid::NTLM]);
    assert_eq!(init.mechanism_list, hex("300c060a2b06010401823702020a"));
    assert_eq!((init.token, init.mic), (Some(&[][..]), None));
    assert_eq!(super::init(&mechanism_list(&[Oid::NTLM]), Some(&[])), wire);
}

#[test]
fn a_later_token_is_read_and_written() {
    let wire = hex(RESP);
    let resp = Resp {
        state: Some(NegState::AcceptIncomplete),
        mechanism: Some(Oid::NTLM),
        token: Some(&[0xaa]),
        mic: Some(&[0xbb]),
    };
    assert_eq!(Resp::parse(&wire).unwrap(), resp);
    assert_eq!(resp.emit(), wire);
    let empty = Resp::default().emit();
    assert_eq!(empty, hex("a1023000"));
    assert_eq!(Resp::parse(&empty).unwrap(), Resp::default());
}

/// MS-SPNG section 2.2.1: hints stand where the code would, and the code one further.
#[test]
fn hints_are_left_aside_and_the_code_behind_them_is_found() {
    let list = "a0 0e 30 0c 060a2b06010401823702020a";
    let hints = "a3 0a 30 08 a0 06 1b04 68696e74";
    let two = hex(&format!(
        "60 2d 06062b0601050502 a0 23 30 21 {list} {hints} a4 03 0401cc"
    ));
    let init = Init::parse(&two).unwrap();
    assert_eq!((init.token, init.mic), (None, Some(&[0xcc][..])));
    let one = hex(&format!(
        "60 21 06062b0601050502 a0 17 30 15 {list} a3 03 0401cc"
    ));
    assert_eq!(Init::parse(&one).unwrap().mic, Some(&[0xcc][..]));
}

#[test]
fn flags_are_read_over() {
    let wire =
        hex("60 22 06062b0601050502 a0 18 30 16 a0 0e 300c060a2b06010401823702020a a1 04 03020080");
    assert_eq!(Init::parse(&wire).unwrap().mechanisms, [Oid::NTLM]);
}

#[test]
fn every_truncation_and_every_trailing_byte_is_refused() {
    for text in [INIT, RESP] {
        let wire = hex(text);
        for len in 0..wire.len() {
            assert!(Init::parse(&wire[..len]).is_err() && Resp::parse(&wire[..len]).is_err());
        }
        let mut longer = wire.clone();
        longer.push(0);
        assert!(Init::parse(&longer).is_err() && Resp::parse(&longer).is_err());
    }
}

#[test]
fn what_is_not_a_token_is_refused() {
    for wrong in [
        // Another mechanism's frame.
        "60 0b 06092a864886f712010202",
        // No mechanism.
        "60 10 06062b0601050502 a0 06 30 04 a0 02 3000",
        // No list.
        "60 0c 06062b0601050502 a0 02 3000",
        // A list of something else.
        "60 13 06062b0601050502 a0 09 30 07 a0 05 3003 040100",
        // A field after the last.
        "60 18 06062b0601050502 a0 0e 30 0c a0 05 3003 060100 a5 03 040100",
    ] {
        Init::parse(&hex(wrong)).unwrap_err();
    }
    for wrong in [
        // A state that is none.
        "a1 07 3005 a003 0a0104",
        "a1 08 3006 a004 0a020000",
        // Fields in the wrong order.
        "a1 0c 300a a203 0401aa a003 0a0101",
        // Not a sequence.
        "a1 02 3100",
    ] {
        Resp::parse(&hex(wrong)).unwrap_err();
    }
    let many = mechanism_list(&[Oid::NTLM; 33]);
    Init::parse(&super::init(&many, None)).unwrap_err();
    Resp::parse(&vec![0xa1; MAX_TOKEN + 1]).unwrap_err();
}

#[test]
fn a_token_that_is_repeated_as_the_code_is_no_code() {
    let wire = hex("a1 0c 300a a203 0401aa a303 0401aa");
    assert_eq!(Resp::parse(&wire).unwrap().mic, None);
}

#[test]
fn both_numbers_of_kerberos_are_kerberos() {
    for oid in [Oid::KERBEROS, Oid::KERBEROS_WINDOWS] {
        assert_eq!(Mechanism::of(oid), Some(Mechanism::Kerberos));
    }
    assert_eq!(Mechanism::of(Oid::NTLM), Some(Mechanism::Ntlm));
    assert_eq!(Mechanism::of(Oid::SPNEGO), None);
}

proptest::proptest! {
    #[test]
    fn any_bytes_are_read_without_a_panic(bytes in proptest::collection::vec(proptest::num::u8::ANY, 0..200)) {
        let _ = Init::parse(&bytes);
        let _ = Resp::parse(&bytes);
        let framed = element(APPLICATION_0, &[&element(der::OID, Oid::SPNEGO.0)[..], &element(context(0), &element(SEQUENCE, &bytes))].concat());
        let _ = Init::parse(&framed);
        let _ = Resp::parse(&element(context(1), &element(SEQUENCE, &bytes)));
    }

    #[test]
    fn tokens_survive_the_way(state in 0..4_u8, token: Option<Vec<u8>>, mic in proptest::option::of(proptest::collection::vec(proptest::num::u8::ANY, 16))) {
        proptest::prop_assume!(token != mic);
        let resp = Resp { state: NegState::of(&[state]).ok(), mechanism: None, token: token.as_deref(), mic: mic.as_deref() };
        let wire = resp.emit();
        proptest::prop_assert_eq!(Resp::parse(&wire).unwrap(), resp);
    }
}
