//! The messages of MS-NLMP section 4.2.4.3, and what is none.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use super::*;

const CHALLENGE: &str = "
4e544c4d53535000020000000c000c003800000033828ae20123456789abcdef
00000000000000002400240044000000060070170000000f530065007200760065007200
02000c0044006f006d00610069006e0001000c005300650072007600650072000000 0000";

pub(in crate::ntlm) const AUTHENTICATE: &str = "
4e544c4d535350000300000018001800 6c00000054005400840000000c000c00
48000000080008005400000010001000 5c00000010001000d8000000358288e2
0501280a0000000f44006f006d006100 69006e00550073006500720043004f00
4d005000550054004500520086c35097 ac9cec102554764a57cccc19aaaaaaaa
aaaaaaaa68cd0ab851e51c96aabc927b ebef6a1c010100000000000000000000
00000000aaaaaaaaaaaaaaaa00000000 02000c0044006f006d00610069006e00
01000c00530065007200760065007200 0000000000000000c5dad2544fc97990
94ce1ce90bc9d03e";

pub(in crate::ntlm) fn hex(text: &str) -> Vec<u8> {
    let digits: Vec<u8> = text.bytes().filter(u8::is_ascii_hexdigit).collect();
    let pair = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap();
    digits.chunks(2).map(pair).collect()
}

fn challenge() -> Challenge {
    Challenge {
        flags: Flags(0xe28a_8233),
        server_challenge: [0x01, 0x23, 0x45, 0x67, 0x89, 0xab, 0xcd, 0xef],
        target_name: "Server".to_owned(),
        target_info: hex(
            "02000c0044006f006d00610069006e0001000c0053006500720076006500720000000000",
        ),
    }
}

#[test]
fn the_challenge_of_the_specification_is_read_and_written() {
    let mut wire = hex(CHALLENGE);
    assert_eq!(Challenge::parse(&wire).unwrap(), challenge());
    // The version is the only thing that is ours.
    wire[48..56].copy_from_slice(&VERSION);
    assert_eq!(challenge().emit(), wire);
}

#[test]
fn the_response_of_the_specification_is_read() {
    let wire = hex(AUTHENTICATE);
    let message = Authenticate::parse(&wire).unwrap();
    assert_eq!(message.flags, Flags(0xe288_8235));
    assert_eq!((&*message.user, &*message.domain), ("User", "Domain"));
    assert_eq!(message.workstation, "COMPUTER");
    assert_eq!(message.lm_response, &wire[0x6c..0x84]);
    assert_eq!(message.nt_response, &wire[0x84..0xd8]);
    assert_eq!(message.session_key, &wire[0xd8..0xe8]);
    // Its fields begin at 72, where a MIC would be.
    assert_eq!(mic(&wire), None);
}

#[test]
fn a_response_is_written_and_read_back() {
    let message = Authenticate {
        flags: Flags::UNICODE | Flags::VERSION,
        lm_response: &[0; 24],
        nt_response: &[7; 60],
        domain: String::new(),
        user: "łucja".to_owned(),
        workstation: "W".to_owned(),
        session_key: &[9; 16],
    };
    let wire = message.emit();
    assert_eq!(Authenticate::parse(&wire).unwrap(), message);
    assert_eq!(mic(&wire), Some([0; 16]));
    assert_eq!(mic(&with_mic(&wire, &[5; 16])), Some([5; 16]));
    assert_eq!(
        Authenticate::parse(&with_mic(&wire, &[5; 16])).unwrap(),
        message
    );
}

#[test]
fn every_truncation_is_refused() {
    for (text, least) in [(CHALLENGE, 0), (AUTHENTICATE, 0)] {
        let wire = hex(text);
        for len in least..wire.len() {
            let cut = &wire[..len];
            assert!(Challenge::parse(cut).is_err() && Authenticate::parse(cut).is_err());
        }
    }
    let negotiate = Negotiate {
        flags: Flags(0x207),
    }
    .emit();
    for len in 0..16 {
        Negotiate::parse(&negotiate[..len]).unwrap_err();
    }
}

#[test]
fn a_first_message_needs_no_names_and_keeps_unknown_flags() {
    let flags = Flags(0xffff_ffff);
    let mut wire = Negotiate { flags }.emit();
    assert_eq!(Negotiate::parse(&wire).unwrap().flags, flags);
    wire.truncate(16);
    assert_eq!(Negotiate::parse(&wire).unwrap().flags, flags);
}

#[test]
fn fields_that_leave_the_message_are_refused() {
    for (at, wrong) in [
        (0x10, "ffffffff"),
        (0x18, "e8000000"),
        (0x14, "ffff"),
        (0x2c, "ffffffff"),
    ] {
        let mut wire = hex(AUTHENTICATE);
        let wrong = hex(wrong);
        wire[at..at + wrong.len()].copy_from_slice(&wrong);
        Authenticate::parse(&wire).unwrap_err();
    }
}

#[test]
fn an_empty_field_may_lie_anywhere() {
    let mut wire = hex(AUTHENTICATE);
    wire[0x2c..0x34].copy_from_slice(&hex("00000000ffffffff"));
    assert_eq!(Authenticate::parse(&wire).unwrap().workstation, "");
}

#[test]
fn another_type_and_another_protocol_are_refused() {
    let wire = hex(CHALLENGE);
    assert!(
        Authenticate::parse(&wire)
            .unwrap_err()
            .to_string()
            .ends_with("type 2, expected 3")
    );
    Negotiate::parse(b"NTLMSSP\x01\x01\0\0\0\0\0\0\0").unwrap_err();
    Challenge::parse(&[0; MAX_MESSAGE + 1]).unwrap_err();
}

#[test]
fn text_that_is_not_utf_16_is_refused() {
    let mut wire = hex(AUTHENTICATE);
    wire[0x54..0x56].copy_from_slice(&[0, 0xd8]);
    Authenticate::parse(&wire).unwrap_err();
}

proptest::proptest! {
    #[test]
    fn any_bytes_are_read_without_a_panic(bytes in proptest::collection::vec(proptest::num::u8::ANY, 0..300), kind in 1..4_u8) {
        let mut wire = SIGNATURE.to_vec();
        wire.extend([kind, 0, 0, 0]);
        wire.extend(bytes);
        let _ = Negotiate::parse(&wire);
        let _ = Challenge::parse(&wire).map(|message| super::super::target::Pairs::parse(&message.target_info).map(|pairs| pairs.iter().count()));
        let _ = Authenticate::parse(&wire);
        let _ = mic(&wire);
    }
}
