//! RTS PDUs: recorded bytes, bytes by hand, every refusal, and round trips.

use super::command::{MAX_LIFETIME, MAX_WINDOW, MIN_LIFETIME, MIN_WINDOW};
use super::message::Succession;
use super::*;
use proptest::prelude::*;
use std::net::IpAddr;

fn hex(text: &str) -> Vec<u8> {
    let digits: Vec<u8> = text
        .bytes()
        .filter(|byte| !byte.is_ascii_whitespace())
        .collect();
    digits
        .chunks(2)
        .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap())
        .collect()
}

const A: Cookie = Cookie([0xaa; 16]);
const B: Cookie = Cookie([0xbb; 16]);
const C: Cookie = Cookie([0xcc; 16]);
const CHAIN: Succession = Succession {
    virtual_connection: A,
    predecessor: B,
    successor: C,
};

/// Bytes and meaning. The header before the length is the same in all: section 2.2.3.6.1.
fn table() -> Vec<(&'static str, Message)> {
    vec![
        // Recorded from Samba, but for the cookies.
        (
            "4c00 0000 00000000 0000 0400 06000000 01000000 03000000 VVV 03000000 PPP 00000000 00000400",
            Message::ConnA1 { virtual_connection: A, out_channel: B, window: 0x4_0000 },
        ),
        (
            "6800 0000 00000000 0000 0600 06000000 01000000 03000000 VVV 03000000 PPP
             04000000 00000040 05000000 e0930400 0c000000 SSS",
            Message::ConnB1 {
                virtual_connection: A,
                in_channel: B,
                lifetime: 1 << 30,
                keepalive: 300_000,
                group: C,
            },
        ),
        // What four clients accepted.
        ("1c00 0000 00000000 0000 0100 02000000 c0d40100", Message::ConnA3 { timeout: 120_000 }),
        (
            "2c00 0000 00000000 0000 0300 06000000 01000000 00000000 00000100 02000000 c0d40100",
            Message::ConnC { window: 0x1_0000, timeout: 120_000 },
        ),
        ("1400 0000 00000000 4000 0000", Message::Echo),
        // Recorded from impacket, but for the cookie.
        (
            "3800 0000 00000000 0200 0200 0d000000 03000000 01000000 14000200 00000400 VVV",
            Message::FlowControlAck {
                to: Some(Destination::OutProxy),
                ack: FlowControlAck { bytes_received: 0x2_0014, available_window: 0x4_0000, channel: A },
            },
        ),
        // By hand: sections 2.2.4.3, 2.2.4.6, 2.2.4.7.
        (
            "5400 0000 00000000 1000 0500 06000000 01000000 03000000 VVV 03000000 PPP
             04000000 00000040 00000000 00000100",
            Message::ConnA2 { virtual_connection: A, out_channel: B, lifetime: 1 << 30, window: 0x1_0000 },
        ),
        (
            "8000 0000 00000000 0800 0700 06000000 01000000 03000000 VVV 03000000 PPP 00000000 00000100
             02000000 c0d40100 0c000000 SSS 0b000000 00000000 070200c0 000000000000000000000000",
            Message::ConnB2 {
                virtual_connection: A,
                in_channel: B,
                window: 0x1_0000,
                timeout: 120_000,
                group: C,
                client: IpAddr::from([192, 0, 2, 7]),
            },
        ),
        (
            "8c00 0000 00000000 0800 0700 06000000 01000000 03000000 VVV 03000000 PPP 00000000 00000100
             02000000 c0d40100 0c000000 SSS 0b000000 01000000 07000000000000000000 0000b80d0120
             000000000000000000000000",
            Message::ConnB2 {
                virtual_connection: A,
                in_channel: B,
                window: 0x1_0000,
                timeout: 120_000,
                group: C,
                client: "2001:db8::7".parse().unwrap(),
            },
        ),
        (
            "2400 0000 00000000 0000 0200 00000000 00000100 06000000 01000000",
            Message::ConnB3 { window: 0x1_0000 },
        ),
        // Sections 2.2.4.10 to 2.2.4.22.
        (
            "5800 0000 00000000 0400 0400 06000000 01000000 03000000 VVV 03000000 PPP 03000000 SSS",
            Message::InA1(CHAIN),
        ),
        (
            "6800 0000 00000000 0c00 0600 06000000 01000000 03000000 VVV 03000000 PPP 03000000 SSS
             00000000 00000100 02000000 c0d40100",
            Message::InR1A2 { succession: CHAIN, window: 0x1_0000, timeout: 120_000 },
        ),
        (
            "3400 0000 00000000 0000 0400 0d000000 00000000 06000000 01000000 00000000 00000100
             02000000 c0d40100",
            Message::InR1A4 { window: 0x1_0000, timeout: 120_000 },
        ),
        ("2800 0000 00000000 0000 0100 03000000 SSS", Message::Successor(C)),
        ("1800 0000 00000000 0000 0100 07000000", Message::InR1B1),
        ("1c00 0000 00000000 0000 0100 00000000 00000100", Message::InR1B2 { window: 0x1_0000 }),
        ("1c00 0000 00000000 0000 0100 0d000000 00000000", Message::InR2A4),
        // Sections 2.2.4.23 to 2.2.4.45.
        ("1c00 0000 00000000 0400 0100 0d000000 00000000", Message::OutA2),
        (
            "6000 0000 00000000 0400 0500 06000000 01000000 03000000 VVV 03000000 PPP 03000000 SSS
             00000000 00000100",
            Message::OutA3 { succession: CHAIN, window: 0x1_0000 },
        ),
        (
            "7000 0000 00000000 1400 0700 06000000 01000000 03000000 VVV 03000000 PPP 03000000 SSS
             04000000 00000200 00000000 00000100 02000000 c0d40100",
            Message::OutR1A4 {
                succession: CHAIN,
                lifetime: 0x2_0000,
                window: 0x1_0000,
                timeout: 120_000,
            },
        ),
        (
            "2c00 0000 00000000 1000 0300 0d000000 00000000 06000000 01000000 02000000 c0d40100",
            Message::OutR1A6 { timeout: 120_000 },
        ),
        ("3000 0000 00000000 1000 0200 0d000000 02000000 03000000 SSS", Message::OutA8(C)),
        ("1800 0000 00000000 0000 0100 0a000000", Message::Ance),
        ("2000 0000 00000000 0000 0200 0d000000 00000000 0a000000", Message::OutR2A6),
        (
            "3800 0000 00000000 1000 0300 0d000000 02000000 03000000 SSS 06000000 01000000",
            Message::OutR2A7(C),
        ),
        ("1800 0000 00000000 0000 0100 09000000", Message::OutR2B2),
        ("1800 0000 00000000 2000 0100 0a000000", Message::OutR2B3),
        ("1800 0000 00000000 0100 0100 07000000", Message::OutR2C1(None)),
        ("1f00 0000 00000000 0100 0100 08000000 03000000 000000", Message::OutR2C1(Some(3))),
        // Sections 2.2.4.46 to 2.2.4.51.
        ("1c00 0000 00000000 0200 0100 05000000 60ea0000", Message::KeepAlive { interval: 60_000 }),
        ("1c00 0000 00000000 0200 0100 0e000000 08040000", Message::PingTrafficSent { bytes: 1032 }),
        ("1400 0000 00000000 0100 0000", Message::Ping),
        (
            "3000 0000 00000000 0200 0100 01000000 10000000 00200000 VVV",
            Message::FlowControlAck {
                to: None,
                ack: FlowControlAck { bytes_received: 16, available_window: 0x2000, channel: A },
            },
        ),
    ]
}

fn bytes_of(text: &str) -> Vec<u8> {
    let text = text
        .replace("VVV", &"aa".repeat(16))
        .replace("PPP", &"bb".repeat(16))
        .replace("SSS", &"cc".repeat(16));
    hex(&format!("05001403 10000000 {text}"))
}

#[test]
fn every_pdu_of_the_specification_both_ways() {
    for (text, message) in table() {
        let bytes = bytes_of(text);
        assert_eq!(Message::parse(&bytes), Ok(message), "{text}");
        assert_eq!(message.emit(), bytes, "{message:?}");
    }
    let mut kinds: Vec<String> = table().iter().map(|(_, m)| m.kind().to_string()).collect();
    kinds.sort();
    kinds.dedup();
    assert_eq!(kinds.len(), 30, "{kinds:?}");
}

#[test]
fn every_truncation_and_every_byte_more_is_refused() {
    for (text, _) in table() {
        let bytes = bytes_of(text);
        for len in 0..bytes.len() {
            assert!(Message::parse(&bytes[..len]).is_err(), "{text} at {len}");
            // Also if the length says so.
            let mut cut = bytes[..len].to_vec();
            if len >= 10 {
                cut[8..10].copy_from_slice(&u16::try_from(len).unwrap().to_le_bytes());
                assert!(Message::parse(&cut).is_err(), "{text} at {len}");
            }
        }
        let mut more = bytes.clone();
        more.push(0);
        let len = u16::try_from(more.len()).unwrap();
        more[8..10].copy_from_slice(&len.to_le_bytes());
        assert_eq!(Message::parse(&more), Err(RtsError::Trailing(1)), "{text}");
    }
}

#[test]
fn every_field_of_the_header_has_one_value() {
    let ping = bytes_of("1400 0000 00000000 0100 0000");
    for at in [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 18, 19] {
        let mut bytes = ping.clone();
        bytes[at] ^= 4;
        assert!(Message::parse(&bytes).is_err(), "byte {at}");
    }
    let mut bytes = ping.clone();
    bytes[17] = 0x80;
    assert_eq!(Message::parse(&bytes), Err(RtsError::Flags(0x8001)));
    bytes[17] = 0;
    bytes[19] = 1;
    assert_eq!(Message::parse(&bytes), Err(RtsError::TooManyCommands(256)));
}

#[test]
fn values_out_of_range_are_refused() {
    for (command, value) in [
        (0, MIN_WINDOW - 1),
        (0, MAX_WINDOW + 1),
        (2, 29_999),
        (2, 14_400_001),
        (4, MIN_LIFETIME - 1),
        (4, MAX_LIFETIME + 1),
        (5, 1),
        (5, 59_999),
        (8, 0x1_0000),
        (11, 2),
        (13, 4),
        (15, 0),
    ] {
        let mut bytes = bytes_of("1c00 0000 00000000 0000 0100");
        bytes.extend_from_slice(&u32::to_le_bytes(command));
        bytes.extend_from_slice(&value.to_le_bytes());
        let error = Pdu::parse(&bytes).unwrap_err();
        assert!(
            matches!(error, RtsError::Range(..) | RtsError::UnknownCommand(15)),
            "{command} {value}: {error}"
        );
    }
}

#[test]
fn commands_that_belong_to_no_pdu_are_refused() {
    let pdu = Pdu {
        flags: Flags::ECHO,
        commands: vec![Command::Ance],
    };
    let error = Message::parse(&pdu.emit());
    assert_eq!(
        error,
        Err(RtsError::UnknownPdu {
            flags: 0x40,
            commands: 1
        })
    );
}

#[test]
fn a_cookie_shows_only_its_beginning() {
    assert_eq!(format!("{A:?}"), "aaaaaaaa…");
    assert_ne!(A, B);
}

fn command() -> impl Strategy<Value = Command> {
    let cookie = any::<[u8; 16]>().prop_map(Cookie);
    prop_oneof![
        (MIN_WINDOW..=MAX_WINDOW).prop_map(Command::ReceiveWindowSize),
        (any::<u32>(), any::<u32>(), cookie.clone()).prop_map(
            |(bytes_received, available_window, channel)| {
                Command::FlowControlAck(FlowControlAck {
                    bytes_received,
                    available_window,
                    channel,
                })
            }
        ),
        (30_000..=14_400_000_u32).prop_map(Command::ConnectionTimeout),
        cookie.clone().prop_map(Command::Cookie),
        (MIN_LIFETIME..=MAX_LIFETIME).prop_map(Command::ChannelLifetime),
        (60_000..=u32::MAX).prop_map(Command::ClientKeepalive),
        any::<u32>().prop_map(Command::Version),
        Just(Command::Empty),
        (0..300_u16).prop_map(Command::Padding),
        Just(Command::NegativeAnce),
        Just(Command::Ance),
        any::<IpAddr>().prop_map(Command::ClientAddress),
        cookie.prop_map(Command::AssociationGroupId),
        Just(Command::Destination(Destination::InProxy)),
        any::<u32>().prop_map(Command::PingTrafficSentNotify),
    ]
}

proptest! {
    #[test]
    fn what_is_emitted_is_read_again(
        flags in 0..0x80_u16,
        commands in proptest::collection::vec(command(), 0..16),
    ) {
        let pdu = Pdu { flags: Flags(flags), commands };
        prop_assert_eq!(Pdu::parse(&pdu.emit()), Ok(pdu));
    }

    #[test]
    fn what_is_understood_means_the_same_when_said_again(
        bytes in proptest::collection::vec(any::<u8>(), 0..120),
        flags in 0..0x80_u16,
        count in 0..8_u16,
    ) {
        let mut pdu = vec![5, 0, 20, 3, 16, 0, 0, 0];
        pdu.extend_from_slice(&u16::try_from(bytes.len() + 20).unwrap().to_le_bytes());
        pdu.extend_from_slice(&[0; 6]);
        pdu.extend_from_slice(&flags.to_le_bytes());
        pdu.extend_from_slice(&count.to_le_bytes());
        pdu.extend_from_slice(&bytes);
        if let Ok(message) = Message::parse(&pdu) {
            prop_assert_eq!(Message::parse(&message.emit()), Ok(message));
        }
    }
}
