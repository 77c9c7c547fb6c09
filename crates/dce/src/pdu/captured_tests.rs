//! PDUs of real peers, as they came over TCP: Samba 4.17 (`smbtorture`, and its domain controller), impacket 0.13 and
//! Scapy 2.8. Each is read for what it says, and written again byte by byte.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use super::auth::{self, Trailer, Verifier};
use super::bind::{Bind, BindAck, BindNak, NakReason, Reason};
use super::call::{Fault, Response};
use super::header::{Flags, Header, PacketType};
use crate::security::{AuthLevel, AuthType};
use crate::status;
use crate::syntax::{Features, Order, SyntaxId};

fn bytes(hex: &str) -> Vec<u8> {
    let digits: Vec<u8> = hex.bytes().filter(u8::is_ascii_hexdigit).collect();
    let byte = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap();
    digits.chunks(2).map(byte).collect()
}

fn header(pdu: &[u8]) -> Header {
    let header = Header::parse(pdu.first_chunk().unwrap()).unwrap();
    assert_eq!(
        (header.check(), usize::from(header.frag_length)),
        (Ok(()), pdu.len())
    );
    header
}

/// Reads a bind and writes it again.
fn bind(hex: &str) -> (Header, Bind, Option<Verifier>) {
    let pdu = bytes(hex);
    let header = header(&pdu);
    assert_eq!(header.ptype, PacketType::BIND);
    let verifier = Verifier::find(&pdu, &header, Header::LEN).unwrap();
    let end = verifier.as_ref().map_or(pdu.len(), |verifier| verifier.at);
    let bind = Bind::parse(&pdu[16..end], header.order()).unwrap();
    let mut again = header.emit().to_vec();
    bind.emit(&mut again, header.order());
    let written = match &verifier {
        Some(found) => auth::append(&mut again, 0, found.trailer, &pdu[found.token.clone()]),
        None => auth::finish(&mut again, 0, 0),
    };
    assert!(written && again == pdu, "{again:02x?}");
    (header, bind, verifier)
}

const SMBTORTURE: &str = "05000b03100000007400000001000000d016d01600000000 02000000
    00000100c55ea160e84dd711a637005056a2018201000000 045d888aeb1cc9119fe808002b10486002000000
    01000100c55ea160e84dd711a637005056a2018201000000 2c1cb76c12984045030000000000000001000000";
const SMBTORTURE_BIG_NDR64: &str = "05000b0300000000007400000000000116d016d000000000 02000000
    0000010060a15ec54de811d7a637005056a2018200000001 71710533beba49378319b5dbef9ccc3600000001
    0001010060a15ec54de811d7a637005056a2018200000001 6cb71c2c98124540030000000000000000000001";
const SMBTORTURE_NTLM: &str = "05000b0710000000a400280001000000d016d01600000000 02000000
    00000100c55ea160e84dd711a637005056a2018201000000 045d888aeb1cc9119fe808002b10486002000000
    01000100c55ea160e84dd711a637005056a2018201000000 2c1cb76c12984045030000000000000001000000
    0a05000001000000 4e544c4d53535000010000001582086200000000280000000000000028000000060100000000000f";
const IMPACKET: &str = "05000b03100000004800000001000000b810b81000000000 01000000
    0000010080bda8af8a7dc911bef408002b10298901000000 045d888aeb1cc9119fe808002b10486002000000";
const SCAPY: &str = "05000b0310000000a000000001000000d016002000000000 03000000
    000001000883afe11f5dc91191a408002b14a0fa03000000 045d888aeb1cc9119fe808002b10486002000000
    010001000883afe11f5dc91191a408002b14a0fa03000000 33057171babe37498319b5dbef9ccc3601000000
    020001000883afe11f5dc91191a408002b14a0fa03000000 2c1cb76c12984045030000000000000001000000";

#[test]
fn binds_of_real_clients() {
    for (hex, order, syntax) in [
        (SMBTORTURE, Order::Little, SyntaxId::NDR),
        (SMBTORTURE_BIG_NDR64, Order::Big, SyntaxId::NDR64),
    ] {
        let (header, bind, verifier) = bind(hex);
        assert_eq!(
            (header.order(), header.flags, verifier),
            (order, Flags::WHOLE, None)
        );
        let echo = bind.contexts[0].interface;
        assert_eq!(
            echo.to_string(),
            "60a15ec5-4de8-11d7-a637-005056a20182 v1.0"
        );
        assert_eq!(bind.contexts[0].transfers, [syntax]);
        assert_eq!(
            bind.contexts[1].transfers[0].as_features(),
            Some(Features::ALL)
        );
    }
    let (header, _, verifier) = bind(SMBTORTURE_NTLM);
    assert!(header.flags.has(Flags::SUPPORT_HEADER_SIGN));
    let trailer = Trailer {
        auth_type: AuthType::NTLM,
        level: AuthLevel::INTEGRITY,
        pad_length: 0,
        context_id: 1,
    };
    assert_eq!(verifier.unwrap().trailer, trailer);
    let (_, impacket, _) = bind(IMPACKET);
    assert_eq!((impacket.max_xmit_frag, impacket.contexts.len()), (4280, 1));
    let (_, scapy, _) = bind(SCAPY);
    assert_eq!((scapy.max_recv_frag, scapy.contexts.len()), (8192, 3));
    assert_eq!(scapy.contexts[1].transfers, [SyntaxId::NDR64]);
}

#[test]
fn answers_of_a_real_server() {
    let ack = bytes(
        "05000c03100000003c00000001000000b810b810b5040000 0400313335000000
         0100000000000000 045d888aeb1cc9119fe808002b10486002000000",
    );
    let parsed = BindAck::parse(&ack[16..], header(&ack).order()).unwrap();
    assert_eq!(
        (parsed.assoc_group_id, &parsed.secondary_address[..]),
        (0x4b5, &b"135"[..])
    );
    assert_eq!(
        (parsed.results[0].reason, parsed.results[0].transfer),
        (Reason::NOT_SPECIFIED, SyntaxId::NDR)
    );
    let mut again = header(&ack).emit().to_vec();
    parsed.emit(&mut again, Order::Little);
    assert_eq!(again, ack);

    let nak = bytes("05000d0310000000180000000100000000000105 00000000");
    let parsed = BindNak::parse(&nak[16..], header(&nak).order()).unwrap();
    assert_eq!(
        (parsed.reason, parsed.versions.as_slice()),
        (NakReason::NOT_SPECIFIED, &[(5, 0)][..])
    );
    let mut again = header(&nak).emit().to_vec();
    parsed.emit(&mut again, Order::Little);
    assert_eq!(again, nak);

    for (hex, status, call_id) in [
        (
            "0500032310000000200000000300000018000000000000000200011c00000000",
            status::OP_RNG_ERROR,
            3,
        ),
        (
            "0500032310000000200000000300000018000000000000000300011c00000000",
            status::UNK_IF,
            3,
        ),
    ] {
        let pdu = bytes(hex);
        let fault = Fault::parse(&pdu[16..], header(&pdu).order()).unwrap();
        assert_eq!(fault.status, status);
        assert_eq!(fault.pdu(Order::Little, call_id, true)[..], pdu);
    }

    let response = bytes("050002031000000018000000020000004000000000000000");
    let parsed = Response::parse(&response[16..], Order::Little).unwrap();
    assert_eq!(
        (parsed.alloc_hint, parsed.emit(Order::Little)),
        (64, [64, 0, 0, 0, 0, 0, 0, 0])
    );
}
