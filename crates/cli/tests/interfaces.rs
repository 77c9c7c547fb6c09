//! `call`, `ping`, `trace`, `shell` against a server of DCE/RPC, and what wrong use is told.

mod common;

use std::io::{Read, Write};
use std::net::TcpStream;

use common::{Daemon, farcall, farcall_with};
use farcall_wire::Uuid;

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
fn describe_lists_what_a_server_says_it_has() {
    let (_daemon, endpoint) = echo(&[]);
    let listed = farcall(&["describe", &endpoint]).ok();
    assert!(
        listed.contains("60a15ec5-4de8-11d7-a637-005056a20182  1.0      rpcecho"),
        "{listed}"
    );
    let json = farcall(&["describe", &endpoint, "--json"]).json();
    assert!(json.as_array().is_some_and(|all| all.len() >= 7), "{json}");
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

/// A bind of one interface in one transfer syntax, and what the server says to it: its secondary address and the result.
fn bound(endpoint: &str, interface: (&str, u32), syntax: (&str, u32)) -> (String, u16, u16) {
    let port = endpoint.rsplit_once('[').unwrap().1.trim_end_matches(']');
    let mut stream = TcpStream::connect(("127.0.0.1", port.parse().unwrap())).unwrap();
    let id = |(uuid, version): (&str, u32)| {
        let uuid: Uuid = uuid.parse().unwrap();
        [&uuid.to_bytes_le()[..], &version.to_le_bytes()].concat()
    };
    // C706 section 12.6.4.3: 5840 bytes both ways, a new group, one context 0 with one syntax.
    let mut body = vec![0xd0, 0x16, 0xd0, 0x16, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 1, 0];
    body.extend([id(interface), id(syntax)].concat());
    let mut bind = vec![5, 0, 11, 3, 0x10, 0, 0, 0, 72, 0, 0, 0, 1, 0, 0, 0];
    bind.extend(body);
    stream.write_all(&bind).unwrap();
    let mut ack = vec![0; 16];
    stream.read_exact(&mut ack).unwrap();
    assert_eq!(ack[2], 12, "a bind_ack");
    let len = u16::from_le_bytes([ack[8], ack[9]]);
    ack.resize(usize::from(len), 0);
    stream.read_exact(&mut ack[16..]).unwrap();
    let number = |at: usize| u16::from_le_bytes([ack[at], ack[at + 1]]);
    let end = 26 + usize::from(number(24));
    let address = String::from_utf8(ack[26..end - 1].to_vec()).unwrap();
    let results = end.next_multiple_of(4) + 4;
    (address, number(results), number(results + 2))
}

const NDR: (&str, u32) = ("8a885d04-1ceb-11c9-9fe8-08002b104860", 2);
const NDR64: (&str, u32) = ("71710533-beba-4937-8319-b5dbef9ccc36", 1);

#[test]
fn every_daemon_of_dce_takes_the_same_options() {
    let place = tempfile::tempdir().unwrap();
    let path = |name: &str| place.path().join(name).display().to_string();
    let (users, password) = (path("users"), path("password"));
    std::fs::write(&password, "secret\n").unwrap();
    farcall_with(
        &["user", "add", &users, "alice", "--password-stdin"],
        b"secret\n",
    )
    .ok();
    let echo = ("60a15ec5-4de8-11d7-a637-005056a20182", 1);
    let mapper = ("e1af8308-5d1f-11c9-91a4-08002b14a0fa", 3);
    let guard = [
        "--users",
        &users,
        "--auth-floor",
        "privacy",
        "--ndr64",
        "off",
    ];
    let more = [
        "--secondary-address",
        "elsewhere",
        "--max-auth-contexts",
        "3",
    ];
    let listen = ["-l", "ncacn_ip_tcp:127.0.0.1[0]"];
    for (daemon, interface) in [
        (&["echo", "--register", "none"][..], echo),
        (&["binder"], mapper),
    ] {
        let plain = Daemon::start(&[daemon, &listen].concat()).with_endpoint();
        let port = plain
            .1
            .rsplit_once('[')
            .unwrap()
            .1
            .trim_end_matches(']')
            .to_owned();
        assert_eq!(bound(&plain.1, interface, NDR), (port.clone(), 0, 0));
        assert_eq!(bound(&plain.1, interface, NDR64), (port, 0, 0));
        let guarded = Daemon::start(&[daemon, &listen, &guard, &more].concat()).with_endpoint();
        let endpoint = guarded.1.as_str();
        assert_eq!(bound(endpoint, interface, NDR), ("elsewhere".into(), 0, 0));
        // Rejected by the provider: transfer syntaxes not supported.
        assert_eq!(
            bound(endpoint, interface, NDR64),
            ("elsewhere".into(), 2, 2)
        );
        let listed = |level: &str| {
            let who = [
                "--auth",
                "ntlm",
                "-U",
                "alice",
                "--password-file",
                &password,
            ];
            farcall(&[&["ping", "-c", "1", endpoint, "--level", level][..], &who].concat())
        };
        assert!(listed("privacy").ok().contains("1 answered"));
        let called = |level: &str| {
            let who = [
                "--auth",
                "ntlm",
                "-U",
                "alice",
                "--password-file",
                &password,
                "--level",
                level,
            ];
            match interface == echo {
                true => call(endpoint, ECHO, &[&["AddOne", "1"][..], &who].concat()),
                false => farcall(&[&["ls", endpoint][..], &who].concat()),
            }
        };
        called("privacy").ok();
        let refused = called("integrity");
        let code = refused.code;
        assert!(code != 0, "{refused:?}");
        refused.fails(code, &["ERROR_ACCESS_DENIED"]);
    }
}

#[test]
fn bench_measures_operations_at_every_level() {
    let place = tempfile::tempdir().unwrap();
    let path = |name: &str| place.path().join(name).display().to_string();
    let (users, password) = (path("users"), path("password"));
    std::fs::write(&password, "secret\n").unwrap();
    let add = ["user", "add", &users, "alice", "--password-stdin"];
    farcall_with(&add, b"secret\n").ok();
    let (_daemon, endpoint) = echo(&["--users", &users]);
    let bench = |rest: &[&str]| {
        let short = ["-d", "0.1", "--warm-up", "0.02", "--json"];
        let ran = farcall(&[&["bench", &endpoint][..], rest, &short].concat());
        assert_eq!(ran.code, 0, "{ran:?}");
        let report = ran.json();
        assert_eq!(report["failed"], 0, "{report}");
        assert!(report["answered"].as_u64() > Some(0), "{report}");
        report["call"].as_str().unwrap().to_owned()
    };
    let add_one = ["--idl", ECHO, "--op", "AddOne", "--args", "41"];
    assert_eq!(bench(&[]), "mgmt.is_server_listening");
    assert_eq!(
        bench(&["lsarpc", "-c", "2", "-f", "4"]),
        "mgmt.is_server_listening beside lsarpc v0.0"
    );
    assert_eq!(bench(&add_one), "rpcecho.AddOne");
    bench(&[&add_one[..], &["--ndr64", "-r", "200"]].concat());
    for level in ["connect", "packet", "integrity", "privacy"] {
        let who = [
            "--auth",
            "ntlm",
            "-U",
            "alice",
            "--password-file",
            &password,
        ];
        bench(&[&add_one[..], &who, &["--level", level, "-f", "4"]].concat());
    }
    let refused = |rest: &[&str]| farcall(&[&["bench", &endpoint][..], rest].concat());
    refused(&["--idl", "idl/svcctl.idl", "--op", "0"]).fails(2, &["hint: it has rpcecho 1.0"]);
    refused(&["--idl", ECHO, "--op", "AddOne"]).fails(2, &["arguments of rpcecho.AddOne: in_data"]);
    refused(&["nobody"]).fails(2, &["'nobody' is neither a UUID nor a name that is known"]);
    refused(&["lsarpc", "7.0"]).fails(2, &["hint: it has lsarpc in version 0.0"]);
}
