//! `call`, `ping`, `trace`, `shell` against a server of DCE/RPC, and what wrong use is told.

mod common;

use common::{Daemon, farcall, farcall_with};

const ECHO: &str = "idl/rpcecho.idl";

/// An echo server and its endpoint.
fn echo(more: &[&str]) -> (Daemon, String) {
    let options = ["echo", "--register", "none"];
    let mut daemon = Daemon::start(&[&options[..], more].concat());
    let endpoint = daemon.ready();
    (daemon, endpoint)
}

fn call(endpoint: &str, idl: &str, rest: &[&str]) -> common::Ran {
    farcall(&[&["call", endpoint, "--idl", idl][..], rest].concat())
}

#[test]
fn arguments_that_are_missing_are_named() {
    let (_daemon, endpoint) = echo(&[]);
    let call = |rest: &[&str]| call(&endpoint, ECHO, rest);
    assert_eq!(
        call(&["AddOne", "41", "--json"]).ok(),
        "{\"out_data\":42}\n"
    );
    call(&["AddOne"]).fails(2, &["arguments of AddOne: in_data: is missing"]);
    call(&["AddOne", "{"]).fails(2, &["the argument is not JSON"]);
    call(&["AddTwo", "1"]).fails(2, &["there is no operation 'AddTwo'"]);
    call(&["77"]).fails(2, &["there is no operation '77'", "numbers up to 9"]);
}

#[test]
fn a_server_without_the_interface_says_what_it_has() {
    let (_daemon, endpoint) = echo(&[]);
    let refused = call(&endpoint, "idl/svcctl.idl", &["0", "{}"]);
    refused.fails(
        2,
        &[
            "error: bind: the server does not have the interface in this version",
            "hint: the server was asked for svcctl",
            "hint: it has ",
            "rpcecho 1.0",
        ],
    );
    let place = tempfile::tempdir().unwrap();
    let file = place.path().join("newer.idl");
    let text = std::fs::read_to_string(common::root().join(ECHO)).unwrap();
    std::fs::write(&file, text.replace("version(1.0)", "version(2.0)")).unwrap();
    let refused = call(&endpoint, &file.display().to_string(), &["AddOne", "1"]);
    refused.fails(2, &["hint: it has rpcecho in version 1.0"]);
}

#[test]
fn a_wrong_password_and_an_unknown_user_are_told_alike() {
    let place = tempfile::tempdir().unwrap();
    let path = |name: &str| place.path().join(name).display().to_string();
    let (users, right, wrong) = (path("users"), path("right"), path("wrong"));
    std::fs::write(&right, "secret\n").unwrap();
    std::fs::write(&wrong, "guess\n").unwrap();
    farcall_with(
        &["user", "add", &users, "alice", "--password-stdin"],
        b"secret\n",
    )
    .ok();
    let (_daemon, endpoint) = echo(&["--users", &users]);
    let call = |auth: &str, user: &str, password: &str| {
        let who = [
            "AddOne",
            "41",
            "--auth",
            auth,
            "-U",
            user,
            "--password-file",
        ];
        call(&endpoint, ECHO, &[&who[..], &[password]].concat())
    };
    for auth in ["ntlm", "spnego"] {
        call(auth, "alice", &right).ok();
        for (user, password) in [("alice", &wrong), ("bob", &right)] {
            let refused = call(auth, user, password);
            let code = refused.code;
            assert!(code != 0, "{refused:?}");
            let hint = "hint: are user name, password and domain right";
            refused.fails(code, &["ERROR_ACCESS_DENIED", hint]);
        }
    }
}

#[test]
fn endpoints_that_are_written_wrong_are_told_how() {
    for (endpoint, hint) in [
        (
            "ncacn_ip_tcp:127.0.0.1:135",
            "write ncacn_ip_tcp:127.0.0.1[135]",
        ),
        ("127.0.0.1:135", "ncacn_ip_tcp:127.0.0.1[135]"),
    ] {
        call(endpoint, ECHO, &["AddOne", "41"]).fails(2, &[hint]);
    }
}

#[test]
fn ping_finds_the_version_that_there_is() {
    let (_daemon, endpoint) = echo(&[]);
    let ping = |rest: &[&str]| farcall(&[&["ping", "-c", "1", &endpoint][..], rest].concat());
    assert!(ping(&[]).ok().contains("interface mgmt v1.0"));
    assert!(ping(&["drsuapi"]).ok().contains("interface drsuapi v4.0"));
    assert!(ping(&["lsarpc"]).ok().contains("interface lsarpc v0.0"));
    let refused = ping(&["lsarpc", "7.0"]);
    assert_eq!(refused.code, 2, "{refused:?}");
}

#[test]
fn trace_draws_a_call_of_an_operation() {
    let (_daemon, endpoint) = echo(&[]);
    let trace = |rest: &[&str]| farcall(&[&["trace", &endpoint][..], rest].concat());
    let drawn = trace(&["--idl", ECHO, "AddOne", "41"]).ok();
    assert!(
        drawn.contains("interface rpcecho version 1 operation 0"),
        "{drawn}"
    );
    assert!(drawn.contains("10"), "{drawn}");
    assert!(
        trace(&[])
            .ok()
            .contains("interface mgmt version 1 operation 2")
    );
    let steps = trace(&["--idl", ECHO, "AddOne", "41", "--json"]).json();
    assert_eq!(steps["interface"], "60a15ec5-4de8-11d7-a637-005056a20182");
    assert_eq!(steps["steps"].as_array().map(Vec::len), Some(10));
    trace(&["--idl", ECHO, "AddOne"]).fails(2, &["in_data: is missing"]);
    trace(&["AddOne"]).fails(2, &["hint: name it: --idl FILE"]);
}

#[test]
fn a_shell_keeps_results_and_says_what_it_does_not_have() {
    let (_daemon, endpoint) = echo(&[]);
    let shell = ["shell", &endpoint, "--idl", ECHO];
    let ran = farcall_with(
        &shell,
        b"a = AddOne 41\nAddOne {\"in_data\": \"$a.out_data\"}\nquit\n",
    );
    assert!(ran.ok().contains("43"));
    let ran = farcall_with(&shell, b"AddOne {\"in_data\": \"$b.out_data\"}\nAddOne\n");
    ran.fails(
        1,
        &[
            "nothing is kept as 'b'",
            "hint: keep the results of a call: b = ",
            "in_data: is missing",
        ],
    );
}
