//! NTLM and SPNEGO with other implementations: pyspnego and Scapy as either side, impacket as a client, ours with ours.

use std::process::Command;

use farcall_conformance::case;
use farcall_conformance::peer::python;
use farcall_conformance::peer::talk::{Talk, establish, protect};

/// Ours.
fn ours(role: &str, mechanism: &str, options: &[&str]) -> Talk {
    let mut command = Command::new(env!("CARGO_BIN_EXE_security-peer"));
    Talk::start("ours", command.args([role, mechanism]).args(options)).expect("start ours")
}

/// Another's.
fn theirs(library: &str, role: &str, mechanism: &str, options: &[&str]) -> Talk {
    let mut command = python::script("security.py");
    command.args([library, role, mechanism]).args(options);
    Talk::start(library, &mut command).expect("start the peer")
}

const USER: [&str; 3] = ["user=alice", "domain=GROUP", "password=Pässw0rd!"];
const WRONG: [&str; 3] = ["user=alice", "domain=GROUP", "password=wrong"];

fn with<'a>(user: &[&'a str], more: &[&'a str]) -> Vec<&'a str> {
    user.iter().chain(more).copied().collect()
}

#[test]
fn clients_of_pyspnego_are_let_in_with_the_right_password_only() {
    if !python::available() {
        return;
    }
    for mechanism in ["ntlm", "spnego"] {
        let mut client = theirs("pyspnego", "initiate", mechanism, &USER);
        let mut server = ours("accept", mechanism, &USER);
        let peer = establish(&mut client, &mut server).expect("the right password");
        assert_eq!(peer, "ntlm:GROUP\\alice");
        protect(&mut client, &mut server, true);
        let mut client = theirs("pyspnego", "initiate", mechanism, &WRONG);
        let mut server = ours("accept", mechanism, &USER);
        let denied = establish(&mut client, &mut server).expect_err("the wrong password");
        assert!(
            denied
                .to_string()
                .contains("unknown user or wrong password"),
            "{denied}"
        );
        case::ran(
            "pyspnego",
            &format!("its client, {mechanism}, right and wrong password"),
        );
    }
}

#[test]
fn servers_of_pyspnego_let_us_in_with_the_right_password_only() {
    if !python::available() {
        return;
    }
    for mechanism in ["ntlm", "spnego"] {
        let mut client = ours(
            "initiate",
            mechanism,
            &with(&USER, &["target=host/farcall"]),
        );
        let mut server = theirs("pyspnego", "accept", mechanism, &USER);
        establish(&mut client, &mut server).expect("the right password");
        protect(&mut client, &mut server, true);
        let mut client = ours("initiate", mechanism, &WRONG);
        let mut server = theirs("pyspnego", "accept", mechanism, &USER);
        establish(&mut client, &mut server).expect_err("the wrong password");
        case::ran(
            "pyspnego",
            &format!("our client, {mechanism}, right and wrong password"),
        );
    }
}

#[test]
fn flags_of_our_client_are_understood_by_pyspnego() {
    if !python::available() {
        return;
    }
    for bits in 0..8 {
        let chosen = |bit: u8, name| if bits & bit != 0 { name } else { "" };
        let options = [
            chosen(1, "exchange=no"),
            chosen(2, "128=no"),
            chosen(4, "56=no"),
        ];
        let mut client = ours("initiate", "ntlm", &with(&USER, &options));
        let mut server = theirs("pyspnego", "accept", "ntlm", &USER);
        establish(&mut client, &mut server).expect("the right password");
        protect(&mut client, &mut server, true);
    }
    case::ran(
        "pyspnego",
        "our client, ntlm, key exchange on and off, keys of 128, 56 and 40 bits",
    );
}

#[test]
fn channels_are_compared_with_pyspnego() {
    if !python::available() {
        return;
    }
    let here = with(&USER, &["channel=tls-server-end-point:here"]);
    let there = with(&USER, &["channel=tls-server-end-point:there"]);
    for (server_channel, client_channel, same) in [(&here, &here, true), (&here, &there, false)] {
        let mut client = theirs("pyspnego", "initiate", "ntlm", client_channel);
        let mut server = ours("accept", "ntlm", server_channel);
        assert_eq!(establish(&mut client, &mut server).is_ok(), same);
        let mut client = ours("initiate", "ntlm", client_channel);
        let mut server = theirs("pyspnego", "accept", "ntlm", server_channel);
        assert_eq!(establish(&mut client, &mut server).is_ok(), same);
    }
    case::ran("pyspnego", "channel bindings, both roles");
}

#[test]
fn clients_of_impacket_are_let_in_without_a_mic_and_with_the_right_password_only() {
    if !python::available() {
        return;
    }
    for bits in 0..8 {
        let chosen = |bit: u8, name| if bits & bit != 0 { name } else { "extra=" };
        let options = [
            chosen(1, "exchange=no"),
            chosen(2, "128=no"),
            chosen(4, "56=no"),
        ];
        let mut client = theirs("impacket", "initiate", "ntlm", &with(&USER, &options));
        let mut server = ours("accept", "ntlm", &USER);
        let peer = establish(&mut client, &mut server).expect("the right password");
        assert_eq!(peer, "ntlm:GROUP\\alice");
        protect(&mut client, &mut server, true);
    }
    case::ran(
        "impacket",
        "its client, ntlm, key exchange on and off, keys of 128, 56 and 40 bits",
    );
    let mut client = theirs("impacket", "initiate", "ntlm", &WRONG);
    let mut server = ours("accept", "ntlm", &USER);
    let denied = establish(&mut client, &mut server).expect_err("the wrong password");
    assert!(
        denied
            .to_string()
            .contains("unknown user or wrong password"),
        "{denied}"
    );
    case::ran("impacket", "its client, ntlm, wrong password");
}

#[test]
fn clients_and_servers_of_scapy_agree_with_us() {
    if !python::available() {
        return;
    }
    for mechanism in ["ntlm", "spnego"] {
        for mic in ["mic=yes", "mic=no"] {
            let mut client = theirs("scapy", "initiate", mechanism, &with(&USER, &[mic]));
            let mut server = ours("accept", mechanism, &USER);
            let peer = establish(&mut client, &mut server).expect("the right password");
            assert_eq!(peer, "ntlm:GROUP\\alice");
            protect(&mut client, &mut server, true);
        }
        let mut client = theirs("scapy", "initiate", mechanism, &WRONG);
        let mut server = ours("accept", mechanism, &USER);
        establish(&mut client, &mut server).expect_err("the wrong password");
        case::ran(
            "scapy",
            &format!("its client, {mechanism}, with and without MIC, right and wrong password"),
        );
        let mut client = ours("initiate", mechanism, &USER);
        let mut server = theirs("scapy", "accept", mechanism, &USER);
        establish(&mut client, &mut server).expect("the right password");
        protect(&mut client, &mut server, true);
        let mut client = ours("initiate", mechanism, &WRONG);
        let mut server = theirs("scapy", "accept", mechanism, &USER);
        establish(&mut client, &mut server).expect_err("the wrong password");
        case::ran(
            "scapy",
            &format!("our client, {mechanism}, right and wrong password"),
        );
    }
}
