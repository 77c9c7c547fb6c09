//! `tshark` reads what a tap has captured.

use std::path::Path;
use std::process::Command;

use farcall_dce::pdu::auth::{self, Trailer};
use farcall_dce::pdu::bind::{Bind, PresentationContext};
use farcall_dce::pdu::call::{Fault, Request};
use farcall_dce::pdu::{Flags, Header, PacketType};
use farcall_dce::security::{AuthLevel, AuthType};
use farcall_dce::syntax::{Order, SyntaxId};
use farcall_proxy::config::Config;
use farcall_proxy::metrics::Way;
use farcall_proxy::names::Names;
use farcall_proxy::tap::{Flow, Tap};

fn pdu(ptype: PacketType, call_id: u32, body: &[u8], token: bool) -> Vec<u8> {
    let mut pdu = Header::new(ptype, Flags::WHOLE, Order::Little, call_id)
        .emit()
        .to_vec();
    pdu.extend_from_slice(body);
    let trailer = Trailer {
        auth_type: AuthType::NTLM,
        level: AuthLevel::PRIVACY,
        pad_length: 0,
        context_id: 0,
    };
    match token {
        true => assert!(auth::append(&mut pdu, 0, trailer, &[0xee; 16])),
        false => assert!(auth::finish(&mut pdu, 0, 0)),
    }
    pdu
}

#[test]
fn tshark_names_what_was_called_and_finds_nothing_wrong() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("tap.pcap");
    let text = format!(
        "[tap]\nfile = \"{}\"\nreason = \"a test\"\n",
        file.display()
    );
    let (config, _) = Config::parse(Path::new("p"), &text).expect("TOML");
    let tap = Tap::open(&config.tap.expect("a tap")).expect("a file");
    let samr = Names::standard().called("samr").next().expect("known").uuid;
    let contexts = vec![PresentationContext {
        context_id: 0,
        interface: SyntaxId::new(samr, 1, 0),
        transfers: vec![SyntaxId::NDR],
    }];
    let mut bind = Vec::new();
    Bind {
        max_xmit_frag: 5840,
        max_recv_frag: 5840,
        assoc_group_id: 0,
        contexts,
    }
    .emit(&mut bind, Order::Little);
    let mut flow = Flow::new(
        "192.0.2.1:50000".parse().expect("an address"),
        [10, 0, 0, 5].into(),
    );
    tap.write(&mut flow, Way::In, &pdu(PacketType::BIND, 1, &bind, false));
    let request = Request {
        alloc_hint: 32,
        context_id: 0,
        opnum: 64,
        object: None,
    };
    let mut body = request.emit(Order::Little).to_vec();
    body.extend_from_slice(b"a secret that must not be seen  ");
    tap.write(
        &mut flow,
        Way::In,
        &pdu(PacketType::REQUEST, 2, &body, true),
    );
    let fault = Fault {
        alloc_hint: 24,
        context_id: 0,
        cancel_count: 0,
        flags: 0,
        status: 5,
    };
    tap.write(&mut flow, Way::Out, &fault.pdu(Order::Little, 2, true));
    let written = std::fs::read(&file).expect("a file");
    assert!(!written.windows(6).any(|it| it == b"secret"));
    let shown = Command::new("tshark")
        .arg("-r")
        .arg(&file)
        .args([
            "-T",
            "fields",
            "-E",
            "separator=/t",
            "-e",
            "_ws.col.Protocol",
            "-e",
            "dcerpc.pkt_type",
            "-e",
            "dcerpc.opnum",
            "-e",
            "dcerpc.cn_status",
            "-e",
            "_ws.malformed",
        ])
        .output();
    let Ok(shown) = shown else {
        println!("there is no tshark here");
        return;
    };
    let text = String::from_utf8_lossy(&shown.stdout);
    println!("{text}");
    let rows: Vec<Vec<&str>> = text
        .lines()
        .map(|line| line.split('\t').collect())
        .collect();
    let column = |at: usize| rows.iter().map(|row| row[at]).collect::<Vec<_>>();
    assert_eq!(column(1), ["11", "0", "3"], "{text}");
    assert_eq!(rows[1][2], "64", "{text}");
    assert_eq!(rows[2][3], "0x00000005", "{text}");
    assert_eq!(column(4), ["", "", ""], "{text}");
}
