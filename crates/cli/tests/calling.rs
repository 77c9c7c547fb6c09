//! `call`, `ping`, `bench`, `describe` against a real server, and what wrong use is told.

mod common;

use std::io::{Read, Write};
use std::net::{TcpListener, UdpSocket};

use common::{Calculator, farcall, farcall_with};
use serde_json::json;

const IDL: &str = "idl/calc.x";

fn call(endpoint: &str, rest: &[&str]) -> common::Ran {
    let mut args = vec!["call", endpoint, "--idl", IDL];
    args.extend(rest);
    farcall(&args)
}

#[test]
fn a_call_takes_json_and_prints_json() {
    let calc = Calculator::start();
    for endpoint in [calc.tcp(), calc.udp()] {
        let call = |rest: &[&str]| call(&endpoint, rest).ok();
        assert_eq!(call(&["ADD", "[40, 2]"]), "42\n");
        assert_eq!(call(&["add", r#"{"a": -1, "b": 1}"#]), "0\n");
        assert_eq!(call(&["CALC_V1.ADD", "[1, 1]"]), "2\n");
        assert_eq!(call(&["CALC_NULL"]), "null\n");
        assert_eq!(
            call(&["SUM", r#"[{"value": 1}, {"value": "9007199254740993"}]"#]),
            "\"9007199254740994\"\n"
        );
        assert_eq!(call(&["MEAN", "[]"]), "\"NaN\"\n");
        assert_eq!(call(&["ECHO", r#""grüß Gott""#]), "\"grüß Gott\"\n");
        assert_eq!(
            call(&["DIVIDE", r#"{"dividend": 7, "divisor": 2}"#]),
            "{\n  \"status\": \"DIVIDED\",\n  \"value\": {\n    \"quotient\": \"3\",\n    \"remainder\": \"1\"\n  }\n}\n"
        );
        assert_eq!(
            call(&["DIVIDE", r#"{"dividend": 7, "divisor": 0}"#, "--json"]),
            "{\"status\":\"DIVIDED_BY_ZERO\"}\n"
        );
    }
}

#[test]
fn arguments_come_from_files_and_pipes_too() {
    let calc = Calculator::start();
    let place = tempfile::tempdir().unwrap();
    let file = place.path().join("arguments.json");
    std::fs::write(&file, "[20, 3]").unwrap();
    let argument = format!("@{}", file.display());
    assert_eq!(call(&calc.tcp(), &["ADD", &argument]).ok(), "23\n");
    let ran = farcall_with(
        &["call", &calc.tcp(), "--idl", IDL, "ADD", "-"],
        b"{\"a\": 5, \"b\": 6}",
    );
    assert_eq!(ran.ok(), "11\n");
}

#[test]
fn auth_sys_names_the_user() {
    let calc = Calculator::start();
    let uid = std::os::unix::fs::MetadataExt::uid(&std::fs::metadata("/proc/self").unwrap());
    assert_eq!(
        call(&calc.tcp(), &["COUNT", "1", "--auth", "sys"]).ok(),
        format!("\"{uid}\"\n")
    );
    assert_eq!(call(&calc.tcp(), &["COUNT", "1"]).ok(), "\"-1\"\n");
}

#[test]
fn wrong_names_and_wrong_json_are_told_with_what_is_right() {
    let calc = Calculator::start();
    let call = |rest: &[&str]| call(&calc.tcp(), rest);
    call(&["DIVDE", "1"]).fails(
        2,
        &[
            "error: there is no procedure 'DIVDE'",
            "hint: did you mean DIVIDE?",
        ],
    );
    call(&["NOTHING_LIKE"]).fails(2, &["hint: there are CALC_NULL, ADD, DIVIDE"]);
    call(&["ADD", "[1, \"x\"]"]).fails(2, &["arguments of ADD: [1]: \"x\" is no integer"]);
    call(&["ADD", "[1]"]).fails(
        2,
        &[
            "expected 2 arguments, got an array of 1",
            "hint: write an array [a, b]",
        ],
    );
    call(&["ADD", "[1, 4294967296]"]).fails(2, &["arguments of ADD: [1]"]);
    call(&["DIVIDE", r#"{"dividend": 1, "divisr": 2}"#])
        .fails(2, &["\"divisr\"", "hint: ", "divisor"]);
    call(&["ECHO", "hello"]).fails(
        2,
        &[
            "is not JSON",
            r#"hint: a string needs its quotes: '"hello"'"#,
        ],
    );
    call(&["ADD", "[1, 2]", "--version", "7"])
        .fails(2, &["the file has no version 7 of CALC_PROG; it has 1"]);
    let long = format!("\"{}\"", "x".repeat(1025));
    call(&["ECHO", &long]).fails(2, &["arguments of ECHO", "1025", "1024"]);
    farcall(&["call", "localhost:1", "ADD", "--idl", IDL])
        .fails(2, &["it has no scheme", "write tcp://localhost:1"]);
    farcall(&["call", &calc.tcp(), "ADD", "--idl", "no/such.x"]).fails(2, &["no/such.x"]);
}

#[test]
fn what_the_server_refuses_ends_with_one() {
    let calc = Calculator::start();
    let other = "--idl=idl/nfs3.x";
    farcall(&["call", &calc.tcp(), "NFSPROC3_NULL", other]).fails(
        1,
        &[
            "NFS_V3.NFSPROC3_NULL: program unavailable (PROG_UNAVAIL)",
            "hint: `farcall describe tcp://",
        ],
    );
    call(&calc.tcp(), &["GRIND", "1"]).fails(
        1,
        &[
            "CALC_V1.GRIND: procedure unavailable",
            "hint: is idl/calc.x the interface",
        ],
    );
    call(&calc.tcp(), &["DESCRIBE", "[]"]).fails(1, &["server failed (SYSTEM_ERR)"]);
    call(&calc.tcp(), &["SLEEP", "1", "--timeout", "0.2"]).fails(
        1,
        &["no reply within 200ms", "hint: the procedure may have run"],
    );
}

#[test]
fn a_server_with_other_versions_says_which() {
    let calc = Calculator::start();
    let place = tempfile::tempdir().unwrap();
    let file = place.path().join("calc2.x");
    let text = "program P { version V1 { int ADD(int, int) = 1; } = 1; version V3 { int ADD(int, int) = 1; } = 3; } = 0x20000c41;";
    std::fs::write(&file, text).unwrap();
    let idl = format!("--idl={}", file.display());
    farcall(&["call", &calc.tcp(), "ADD", "[1, 2]", &idl]).fails(
        1,
        &[
            "V3.ADD: program is there in versions 1 to 1",
            "hint: the interface has version 1, too: --version 1",
        ],
    );
    assert_eq!(
        farcall(&["call", &calc.tcp(), "ADD", "[1, 2]", &idl, "--version=1"]).ok(),
        "3\n"
    );
}

#[test]
fn nobody_there_is_told_from_somebody_else_there() {
    let closed = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    call(&format!("tcp://{closed}"), &["CALC_NULL"]).fails(
        2,
        &["connect: Connection refused", "hint: is the server running"],
    );
    let closed = UdpSocket::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    call(&format!("udp://{closed}"), &["CALC_NULL"])
        .fails(1, &["Connection refused", "hint: is the server running"]);
    let calc = Calculator::start();
    farcall(&["ls", &calc.tcp()]).fails(1, &["hint: that is a server of ONC RPC and no rpcbind"]);
    for (greeting, name) in [
        ("HTTP/1.1 400 Bad Request\r\n\r\n", "HTTP"),
        ("\x15\x03\x01\0\x02\x02\x32", "TLS"),
    ] {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let endpoint = format!("tcp://{}", listener.local_addr().unwrap());
        let stranger = std::thread::spawn(move || {
            let (mut peer, _) = listener.accept().unwrap();
            let _ = peer.read(&mut [0; 64]);
            peer.write_all(greeting.as_bytes()).unwrap();
            let _ = peer.read(&mut [0; 64]);
        });
        let ran = call(&endpoint, &["CALC_NULL", "--timeout", "3"]);
        ran.fails(
            1,
            &[
                &format!("the peer speaks {name}, not ONC RPC"),
                "hint: ",
                "is it the right one?",
            ],
        );
        stranger.join().unwrap();
    }
}

#[test]
fn ping_measures_and_counts() {
    let calc = Calculator::start();
    let text = farcall(&["ping", &calc.tcp(), "0x20000c41", "1", "-c", "3", "-i", "0"]).ok();
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines.len(), 6, "{text}");
    assert!(
        lines[0].contains("program 536874049 version 1: ready after"),
        "{text}"
    );
    assert!(
        lines[1].starts_with("1: ") && lines[3].starts_with("3: "),
        "{text}"
    );
    assert_eq!(lines[4], "3 calls, 3 answered, 0 not");
    assert!(
        lines[5].starts_with("min ") && lines[5].contains("p99 "),
        "{text}"
    );
    let told = farcall(&["ping", &calc.udp(), "-c", "2", "-i", "0", "--json"]).json();
    assert_eq!((&told["calls"], &told["answered"]), (&json!(2), &json!(2)));
    assert!(told["latency"]["p50"].as_f64().unwrap() > 0.0);
}

#[test]
fn ping_finds_the_version_and_stops_at_a_refusal() {
    let calc = Calculator::start();
    let told = farcall(&["ping", &calc.tcp(), "0x20000c41", "-c", "1", "--json"]).json();
    assert_eq!(told["version"], 1);
    farcall(&["ping", &calc.tcp(), "0x20000c41", "9", "-c", "3"]).fails(
        1,
        &[
            "versions 1 to 1 (PROG_MISMATCH)",
            "hint: the server has version 1",
        ],
    );
    farcall(&["ping", &calc.tcp(), "nfs", "3"]).fails(1, &["does not have program 100003 (nfs)"]);
    farcall(&["ping", &calc.tcp(), "nosuch"]).fails(2, &["'nosuch' is no program"]);
}

#[test]
fn describe_asks_an_endpoint_which_versions_it_has() {
    let calc = Calculator::start();
    let text = farcall(&["describe", &calc.tcp(), "0x20000c41"]).ok();
    assert_eq!(text, "program 536874049 versions 1 to 1\n");
    let ran = farcall(&["describe", &calc.tcp()]);
    assert_eq!((ran.code, ran.stdout.as_str()), (1, ""));
    assert!(
        ran.stderr
            .contains("hint: only well-known programs were tried"),
        "{ran:?}"
    );
}

#[test]
fn bench_measures_closed_and_open_loops() {
    let calc = Calculator::start();
    let short = ["-d", "0.3", "--warm-up", "0.05", "--json"];
    let bench = |rest: &[&str]| {
        let mut args = vec!["bench"];
        args.extend(rest);
        args.extend(short);
        let ran = farcall(&args);
        assert_eq!(ran.code, 0, "{ran:?}");
        ran.json()
    };
    let closed = bench(&[&calc.tcp(), "0x20000c41", "1", "-c", "2", "-f", "8"]);
    assert_eq!(
        (&closed["failed"], &closed["connections"]),
        (&json!(0), &json!(2))
    );
    let answered = closed["answered"].as_u64().unwrap();
    let rows = closed["histogram"].as_array().unwrap();
    assert_eq!(
        rows.iter()
            .map(|row| row["calls"].as_u64().unwrap())
            .sum::<u64>(),
        answered
    );
    let open = bench(&[
        &calc.tcp(),
        "--idl",
        IDL,
        "--op",
        "add",
        "--args",
        "[1, 2]",
        "-r",
        "500",
    ]);
    let count = open["answered"].as_u64().unwrap();
    assert!((50..=200).contains(&count), "{open}");
    farcall(&["bench", &calc.tcp()]).fails(2, &["required"]);
    farcall(&["bench", &calc.tcp(), "nfs", "3", "-d", "0.1"]).fails(1, &["PROG_UNAVAIL"]);
}

#[test]
fn what_the_family_does_not_have_is_refused_and_nothing_is_called() {
    let calc = Calculator::start();
    let tcp = calc.tcp();
    for (asked, said) in [
        (
            &["--auth", "ntlm", "--user", "joe"][..],
            "--auth ntlm is for DCE/RPC",
        ),
        (&["--auth", "spnego"], "--auth spnego is for DCE/RPC"),
        (
            &["--user", "joe"],
            "--user proves nobody without a mechanism",
        ),
        (
            &["--auth", "sys", "--password-file", "none"],
            "--password-file proves nobody",
        ),
        (&["--ndr64"], "--ndr64 is for DCE/RPC"),
    ] {
        let mut args = vec!["call", &tcp, "--idl", IDL, "ADD", "[1, 2]"];
        args.extend(asked);
        assert_eq!(farcall(&args).stdout, "", "{asked:?}");
        farcall(&args).fails(2, &[said]);
    }
    for (asked, said) in [
        (&["--auth", "sys"][..], "--auth sys is for ONC RPC"),
        (&["--tls"], "DCE/RPC over ncacn_ip_tcp has no TLS"),
        (&["-U", "joe"], "--user proves nobody without a mechanism"),
    ] {
        // Nobody is asked, so nobody needs to be there.
        let endpoint = "ncacn_ip_tcp:127.0.0.1[1]";
        let mut args = vec!["call", endpoint, "--idl", "idl/rpcecho.idl", "AddOne", "41"];
        args.extend(asked);
        farcall(&args).fails(2, &[said]);
    }
}
