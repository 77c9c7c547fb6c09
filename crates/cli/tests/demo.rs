//! `farcall demo` and `farcall trace`, as a user runs them.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};

use serde_json::Value;

fn farcall(args: &[&str], directory: &Path) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_farcall"));
    let run = command.args(args).current_dir(directory).output();
    run.expect("farcall runs")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).expect("UTF-8")
}

/// A directory with some files, one of them of several READs over UDP.
fn directory() -> tempfile::TempDir {
    let place = tempfile::tempdir().expect("a directory");
    let long: Vec<u8> = (0..100_000_u32).map(|i| (i * 7) as u8).collect();
    std::fs::write(place.path().join("long.bin"), long).expect("a file");
    std::fs::write(place.path().join("empty"), b"").expect("a file");
    std::fs::write(place.path().join("ü, with blanks"), b"x").expect("a file");
    std::fs::create_dir(place.path().join("below")).expect("a directory");
    place
}

#[test]
fn the_demo_shows_every_transport_and_every_refusal() {
    let place = directory();
    let run = farcall(&["demo"], place.path());
    let shown = text(&run.stdout);
    assert!(run.status.success(), "{shown}{}", text(&run.stderr));
    for expected in [
        "over tcp: 10 of 10",
        "over udp: 10 of 10",
        "over unix: 6 of 10",
        "PROG_UNAVAIL",
        "PROG_MISMATCH, versions 1 to 1",
        "PROC_UNAVAIL",
        "GARBAGE_ARGS",
        "AUTH_ERROR, AUTH_BADCRED",
        "6 of 6 look-ups agree",
        "ü, with blanks",
        "long.bin: 100000 bytes read",
        "knew its caller by the certificate: CN=alice",
        "AddOne through the proxy, the quickest of 20: ten steps and two hops",
        "deny: no SourceData",
        "all as they should be",
    ] {
        assert!(shown.contains(expected), "{expected} is missing:\n{shown}");
    }
    let widest = shown.lines().map(|line| line.chars().count()).max();
    assert!(widest <= Some(100), "{widest:?}\n{shown}");
}

#[test]
fn the_demo_tells_programs_the_same() {
    let place = directory();
    let run = farcall(&["demo", "--json", "."], place.path());
    let told: Value = serde_json::from_slice(&run.stdout).expect("JSON");
    assert!(run.status.success(), "{told:#}");
    assert_eq!(told["ok"], true);
    assert_eq!(told["file"]["bytes"], 100_000);
    assert_eq!(told["listing"].as_array().map(Vec::len), Some(4));
    for transport in ["tcp", "udp"] {
        let steps = told["steps"][transport].as_array().expect("ten steps");
        let by: Vec<_> = steps.iter().map(|step| step["by"].as_str()).collect();
        let (program, kernel) = (Some("program"), Some("kernel"));
        assert_eq!(
            by,
            [
                program, kernel, kernel, program, program, program, kernel, kernel, program,
                program
            ]
        );
    }
}

#[test]
fn the_call_that_a_kept_demo_proposes_works_anywhere() {
    let place = directory();
    let mut demo = Command::new(env!("CARGO_BIN_EXE_farcall"))
        .args(["demo", "--keep"])
        .current_dir(place.path())
        .stdout(Stdio::piped())
        .spawn()
        .expect("farcall runs");
    let lines = BufReader::new(demo.stdout.take().expect("piped")).lines();
    let proposed: Vec<String> = lines
        .map(|line| line.expect("a line").trim().to_owned())
        .take_while(|line| !line.starts_with("Ctrl-C"))
        .filter(|line| line.starts_with("farcall call "))
        .collect();
    let words: Vec<&str> = proposed[0].split(' ').collect();
    let run = farcall(
        &[&words[1..words.len() - 2], &["[40, 2]"]].concat(),
        place.path(),
    );
    let pid = demo.id().to_string();
    let asked = Command::new("kill").args(["-TERM", &pid]).status();
    let ended = demo.wait().expect("it ends");
    assert_eq!(text(&run.stdout).trim(), "42", "{}", text(&run.stderr));
    assert!(asked.is_ok() && ended.success(), "{ended:?}");
    let file = Path::new(words[4]);
    assert!(file.ends_with("calc.x") && !file.exists(), "{proposed:?}");
}

#[test]
fn a_directory_without_a_file_is_enough() {
    let place = tempfile::tempdir().expect("a directory");
    let run = farcall(&["demo"], place.path());
    assert!(run.status.success(), "{}", text(&run.stdout));
    assert!(text(&run.stdout).contains("none is read"));
    let run = farcall(&["demo", "nowhere"], place.path());
    assert_eq!(run.status.code(), Some(2));
}

/// A binder of its own, ended with the test.
struct Binder(Child, String);

impl Binder {
    fn start() -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_farcall"))
            .args(["binder", "--listen", "tcp://127.0.0.1:0"])
            .stdout(Stdio::piped())
            .spawn()
            .expect("farcall runs");
        let mut line = String::new();
        let stdout = child.stdout.take().expect("piped");
        BufReader::new(stdout).read_line(&mut line).expect("a line");
        let endpoint = line
            .trim()
            .strip_prefix("ready ")
            .expect("ready")
            .to_owned();
        Self(child, endpoint)
    }
}

impl Drop for Binder {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn a_traced_call_shows_what_can_be_seen_from_here() {
    let (binder, here) = (Binder::start(), Path::new("."));
    for args in [
        ["trace", &binder.1, "rpcbind", "4"].as_slice(),
        &["trace", &binder.1, "rpcbind"],
        &["trace", &binder.1],
    ] {
        let run = farcall(args, here);
        let shown = text(&run.stdout);
        assert!(run.status.success(), "{shown}{}", text(&run.stderr));
        assert_eq!(shown.matches("not seen").count(), 5, "{shown}");
        assert_eq!(shown.matches("kernel\n").count(), 2, "{shown}");
        assert_eq!(shown.matches("program\n").count(), 3, "{shown}");
    }
    let run = farcall(&["trace", &binder.1, "nfs", "3"], here);
    assert_eq!(run.status.code(), Some(1));
    assert!(text(&run.stderr).contains("PROG_UNAVAIL"));
}

#[test]
fn a_traced_call_may_be_any_of_an_interface_file() {
    let binder = Binder::start();
    let idl = concat!(env!("CARGO_MANIFEST_DIR"), "/../../idl/rpcbind.x");
    let args = [
        "trace",
        &binder.1,
        "--idl",
        idl,
        "RPCBPROC_GETTIME",
        "--json",
    ];
    let run = farcall(&args, Path::new("."));
    let told: Value = serde_json::from_slice(&run.stdout).expect("JSON");
    assert_eq!(told["program"], 100_000);
    assert_eq!(told["steps"].as_array().map(Vec::len), Some(10));
    assert_eq!(told["steps"][1]["by"], "kernel");
    assert_eq!(told["steps"][4]["by"], "not seen");
}
