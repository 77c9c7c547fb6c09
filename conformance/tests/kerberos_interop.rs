//! Kerberos against an MIT centre: our two sides with each other, Scapy as either, with AES and RC4, bare and inside SPNEGO.

use std::process::Command;

use farcall_conformance::peer::kdc::{Kdc, KeyKind, PASSWORD, REALM, SERVICE, USER};
use farcall_conformance::peer::talk::{Talk, establish, hex, protect};
use farcall_conformance::peer::{available, python};
use farcall_conformance::{case, network_test};

const CENTRE: [&str; 3] = ["krb5kdc", "kadmin.local", "kdb5_util"];

fn ours(kdc: &Kdc, role: &str, mechanism: &str, options: &[&str]) -> Talk {
    let mut command = Command::new(env!("CARGO_BIN_EXE_security-peer"));
    command
        .envs(kdc.environment())
        .args([role, mechanism])
        .args(options);
    Talk::start("ours", &mut command).expect("start ours")
}

fn client_options() -> [String; 3] {
    [
        format!("principal={USER}@{REALM}"),
        format!("password={PASSWORD}"),
        format!("target={SERVICE}@{REALM}"),
    ]
}

fn our_client(kdc: &Kdc, mechanism: &str, more: &[&str]) -> Talk {
    let options = client_options();
    let options: Vec<&str> = options
        .iter()
        .map(String::as_str)
        .chain(more.iter().copied())
        .collect();
    ours(kdc, "initiate", mechanism, &options)
}

fn our_server(kdc: &Kdc, mechanism: &str) -> Talk {
    let keytab = format!("keytab={}", kdc.keytab().display());
    ours(
        kdc,
        "accept",
        mechanism,
        &[&keytab, "user=bob", "password=secret"],
    )
}

#[test]
fn both_our_sides_agree_with_every_kind_of_key() {
    if !available(&CENTRE) {
        return;
    }
    for kind in [
        KeyKind::AES256,
        KeyKind::AES128,
        KeyKind::AES256_SHA2,
        KeyKind::AES128_SHA2,
        KeyKind::RC4,
    ] {
        let kdc = Kdc::start(kind).expect("a centre");
        for mechanism in ["krb5", "spnego-krb5"] {
            let mut client = our_client(&kdc, mechanism, &[]);
            let mut server = our_server(&kdc, mechanism);
            let peer = establish(&mut client, &mut server).expect("a ticket");
            assert_eq!(peer, format!("kerberos:{REALM}\\{USER}"));
            protect(&mut client, &mut server, true);
            same_key(&mut client, &mut server);
        }
        case::ran(
            "mit-krb5",
            &format!("ours with ours, three legs, {}, bare and in SPNEGO", kind.0),
        );
    }
}

/// Both sides have the same session key.
fn same_key(client: &mut Talk, server: &mut Talk) {
    let key = client.ask("key").expect("the client's key");
    assert_eq!(key, server.ask("key").expect("the server's key"));
    assert!(key[0].len() >= 32, "{key:?}");
}

/// What Scapy calls a kind of key.
fn short(kind: KeyKind) -> &'static str {
    match kind {
        KeyKind::AES256 => "kind=aes256",
        _ => "kind=aes128",
    }
}

#[test]
fn servers_of_scapy_agree_with_us() {
    if !available(&CENTRE) || !python::available() {
        return;
    }
    for kind in [KeyKind::AES256, KeyKind::AES128] {
        let kdc = Kdc::start(kind).expect("a centre");
        let key = format!("key={}", hex(&kdc.service_key().expect("the key")));
        for mechanism in ["krb5", "spnego-krb5"] {
            let mut client = our_client(&kdc, mechanism, &[]);
            let mut script = python::script("security.py");
            script.args([
                "scapy",
                "accept",
                mechanism,
                &format!("target={SERVICE}"),
                &key,
                short(kind),
            ]);
            let mut server = Talk::start("scapy", &mut script).expect("start Scapy");
            establish(&mut client, &mut server).expect("a ticket");
            protect(&mut client, &mut server, true);
            same_key(&mut client, &mut server);
            let case = format!("our client, {mechanism}, three legs, {}", kind.0);
            case::ran("scapy", &case);
        }
    }
}

network_test! {
    /// Scapy asks at port 88.
    fn clients_of_scapy_agree_with_us() {
        if !available(&CENTRE) || !python::available() {
            return;
        }
        for kind in [KeyKind::AES256, KeyKind::AES128] {
            let kdc = Kdc::start_at(kind, 88).expect("a centre");
            let principal = format!("principal={USER}@{REALM}");
            let (password, target) = (format!("password={PASSWORD}"), format!("target={SERVICE}"));
            for mechanism in ["krb5", "spnego-krb5"] {
                let mut script = python::script("security.py");
                script.args(["scapy", "initiate", mechanism, &principal, &password, &target, "kdc=127.0.0.1", short(kind)]);
                let mut client = Talk::start("scapy", &mut script).expect("start Scapy");
                let mut server = our_server(&kdc, mechanism);
                let peer = establish(&mut client, &mut server).expect("a ticket");
                assert_eq!(peer, format!("kerberos:{REALM}\\{USER}"));
                protect(&mut client, &mut server, true);
                same_key(&mut client, &mut server);
                let case = format!("its client, {mechanism}, three legs, {}", kind.0);
                case::ran("scapy", &case);
            }
        }
    }
}

#[test]
fn two_legs_give_whole_messages_and_codes() {
    if !available(&CENTRE) {
        return;
    }
    let kdc = Kdc::start(KeyKind::AES256).expect("a centre");
    let mut client = our_client(&kdc, "krb5", &["dce=no"]);
    let mut server = our_server(&kdc, "krb5");
    establish(&mut client, &mut server).expect("a ticket");
    protect(&mut client, &mut server, false);
    let wrapped = client.ask("wrap 00112233").expect("wrap");
    let plain = server
        .ask(&format!("unwrap {}", wrapped[0]))
        .expect("unwrap");
    assert_eq!(plain, ["00112233"]);
    case::ran(
        "mit-krb5",
        "ours with ours, two legs, codes and whole messages",
    );
}

#[test]
fn nobody_gets_in_without_a_ticket_for_us() {
    if !available(&CENTRE) {
        return;
    }
    let kdc = Kdc::start(KeyKind::AES256).expect("a centre");
    let target = format!("target={SERVICE}@{REALM}");
    let principal = format!("principal={USER}@{REALM}");
    let mut wrong = ours(
        &kdc,
        "initiate",
        "krb5",
        &[&principal, "password=wrong", &target],
    );
    wrong.step(&[]).expect_err("a wrong password");
    let mut none = ours(&kdc, "initiate", "krb5", &[&target]);
    none.step(&[]).expect_err("no tickets");
    // A ticket of another centre's, for the same names.
    let other = Kdc::start(KeyKind::AES256).expect("another centre");
    let mut client = our_client(&other, "krb5", &[]);
    let mut server = our_server(&kdc, "krb5");
    establish(&mut client, &mut server).expect_err("another key");
    // A request a second time.
    let mut client = our_client(&kdc, "krb5", &[]);
    let token = client
        .step(&[])
        .expect("a ticket")
        .token
        .expect("a request");
    our_server(&kdc, "krb5")
        .step(&token)
        .expect("the first time");
    our_server(&kdc, "krb5")
        .step(&token)
        .expect_err("the second time");
    // Anything else.
    our_server(&kdc, "krb5")
        .step(b"\x6e\x03abc")
        .expect_err("no request");
    our_server(&kdc, "krb5").step(&[]).expect_err("no request");
    case::ran(
        "mit-krb5",
        "wrong passwords, no tickets, keys of others, repeated requests",
    );
}

#[test]
fn a_server_that_runs_uses_keys_that_are_new_in_its_keytab() {
    if !available(&CENTRE) {
        return;
    }
    let kdc = Kdc::start(KeyKind::AES256).expect("a centre");
    let mut server = our_server(&kdc, "krb5");
    // It has begun, with the keys that there were.
    server.ask("key").expect_err("no context yet");
    kdc.new_service_keys().expect("new keys");
    let mut client = our_client(&kdc, "krb5", &[]);
    establish(&mut client, &mut server).expect("a ticket for the new key");
    protect(&mut client, &mut server, true);
    same_key(&mut client, &mut server);
    case::ran("mit-krb5", "new keys in the keytab of a server that runs");
}

#[test]
fn what_is_wrong_with_tickets_is_said() {
    if !available(&CENTRE) {
        return;
    }
    let kdc = Kdc::start(KeyKind::AES256).expect("a centre");
    let target = format!("target={SERVICE}@{REALM}");
    let principal = format!("principal={USER}@{REALM}");
    let told = |options: &[&str]| {
        let mut client = ours(&kdc, "initiate", "krb5", options);
        client.step(&[]).expect_err("no token").to_string()
    };
    for (error, parts) in [
        (
            told(&[&target]),
            &["there is no Kerberos ticket: kinit gets one"][..],
        ),
        (
            told(&[&principal, "password=wrong", &target]),
            &["the password is wrong"],
        ),
        (
            told(&["principal=nobody@FARCALL.TEST", "password=x", &target]),
            &["nobody", "not found"],
        ),
        (
            told(&[
                &principal,
                &format!("password={PASSWORD}"),
                "target=host/other.test@FARCALL.TEST",
            ]),
            &["host/other.test", "not found"],
        ),
    ] {
        for part in parts {
            assert!(error.contains(part), "no {part:?} in {error}");
        }
    }
    kdc.kinit_expired().expect("a ticket that was good");
    let error = told(&[&target]);
    assert!(
        error.contains("expired") && error.contains("kinit"),
        "{error}"
    );
    case::ran(
        "mit-krb5",
        "no tickets, old ones, unknown names and wrong passwords are told",
    );
}

#[test]
fn spnego_takes_what_both_sides_have_and_says_so() {
    if !available(&CENTRE) {
        return;
    }
    let kdc = Kdc::start(KeyKind::AES256).expect("a centre");
    let mut client = our_client(&kdc, "spnego-both", &["user=bob"]);
    let mut server = our_server(&kdc, "spnego-both");
    let peer = establish(&mut client, &mut server).expect("a ticket");
    assert!(peer.starts_with("kerberos:"));
    // The server knows NTLM alone: the client that offers both must prove its list, the one that offers one is refused.
    let options = [
        &format!("target={SERVICE}@{REALM}"),
        "user=bob",
        "password=secret",
        &format!("principal={USER}@{REALM}"),
    ];
    let mut server = ours(&kdc, "accept", "spnego", &["user=bob", "password=secret"]);
    let mut client = ours(&kdc, "initiate", "spnego-both", &options);
    let denied = establish(&mut client, &mut server);
    denied.expect_err("no ticket for the first choice, so no first token: no silent fallback");
    let mut server = ours(
        &kdc,
        "accept",
        "spnego",
        &["user=alice", &format!("password={PASSWORD}")],
    );
    let mut client = our_client(&kdc, "spnego-both", &["user=alice"]);
    let peer = establish(&mut client, &mut server).expect("the second choice");
    assert_eq!(peer, "ntlm:alice");
    protect(&mut client, &mut server, true);
    let mut server = ours(
        &kdc,
        "accept",
        "spnego",
        &["user=alice", &format!("password={PASSWORD}")],
    );
    let mut client = our_client(&kdc, "spnego-krb5", &[]);
    establish(&mut client, &mut server).expect_err("what was not offered");
    case::ran(
        "mit-krb5",
        "SPNEGO over both mechanisms, no fallback that was not offered",
    );
}
