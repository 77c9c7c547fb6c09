//! `binder`: who may register, what outlives the process, where its sockets come from, and as whom it runs.

mod common;

use std::fs;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};

use common::Daemon;
use farcall::generated::rpcbind::{Rpcb, v4};

const PROGRAM: u32 = 0x2000_0077;

fn rpcb(version: u32) -> Rpcb {
    Rpcb {
        r_prog: PROGRAM,
        r_vers: version,
        r_netid: "tcp".into(),
        r_addr: "0.0.0.0.8.1".into(),
        r_owner: "".into(),
    }
}

fn client(endpoint: &str) -> v4::BlockingClient {
    v4::BlockingClient::connect(endpoint).expect("it connects")
}

fn set(endpoint: &str, version: u32) -> bool {
    client(endpoint).set(&rpcb(version)).expect("it answers")
}

/// The versions of our program that are registered.
fn registered(endpoint: &str) -> Vec<u32> {
    let all = client(endpoint).dump().expect("it answers");
    let ours = all.iter().filter(|node| node.rpcb_map.r_prog == PROGRAM);
    ours.map(|node| node.rpcb_map.r_vers).collect()
}

fn socket(place: &Path) -> String {
    format!("unix://{}", place.join("socket").display())
}

fn end(daemon: Daemon) {
    daemon.signal("TERM");
    assert_eq!(daemon.code(), Some(0));
}

#[test]
fn registrations_come_over_the_unix_socket_unless_it_is_told_otherwise() {
    let place = tempfile::tempdir().unwrap();
    let socket = socket(place.path());
    let mut binder = Daemon::start(&["binder", "-l", "tcp://127.0.0.1:0", "-l", &socket]);
    let (tcp, unix) = (binder.ready(), binder.ready());
    assert!(!set(&tcp, 1), "over loopback nobody knows who calls");
    assert!(set(&unix, 2));
    assert_eq!(registered(&tcp), [2]);
    end(binder);
    let mut binder = Daemon::start(&["binder", "--loopback", "-l", "tcp://127.0.0.1:0"]);
    assert!(set(&binder.ready(), 1));
    end(binder);
}

#[test]
fn a_registry_in_a_file_outlives_the_daemon() {
    let place = tempfile::tempdir().unwrap();
    let (socket, state) = (socket(place.path()), place.path().join("kept/registry"));
    let state = state.display().to_string();
    let start = || {
        // Nobody answers at what is registered here.
        let options = ["--state", &state, "--sweep", "0", "-l", &socket];
        let mut binder = Daemon::start(&[&["binder"][..], &options].concat());
        let endpoint = binder.ready();
        (binder, endpoint)
    };
    let (binder, endpoint) = start();
    assert!(set(&endpoint, 1) && set(&endpoint, 2));
    // Not even killing it loses what it has acknowledged.
    binder.signal("KILL");
    assert_eq!(binder.code(), None);
    let (binder, endpoint) = start();
    assert_eq!(registered(&endpoint), [1, 2]);
    assert!(client(&endpoint).unset(&rpcb(1)).expect("it answers"));
    end(binder);
    let (binder, endpoint) = start();
    assert_eq!(registered(&endpoint), [2]);
    end(binder);
}

#[test]
fn what_dead_processes_registered_is_swept() {
    let place = tempfile::tempdir().unwrap();
    let (socket, state) = (socket(place.path()), place.path().join("registry"));
    let state = state.display().to_string();
    let options = ["binder", "--state", &state, "-l", &socket];
    let mut binder = Daemon::start(&[&options[..], &["--sweep", "0"]].concat());
    let endpoint = binder.ready();
    // By a process that is over at once.
    let json = r#"{"r_prog": 536871031, "r_vers": 1, "r_netid": "udp", "r_addr": "127.0.0.1.0.9", "r_owner": ""}"#;
    let call = [
        "call",
        &endpoint,
        "--idl",
        "idl/rpcbind.x",
        "--version",
        "4",
        "RPCBPROC_SET",
        json,
    ];
    let call = common::farcall(&call);
    assert_eq!(call.code, 0, "{}", call.stderr);
    assert_eq!(registered(&endpoint), [1]);
    end(binder);
    let mut binder = Daemon::start(&[&options[..], &["--sweep", "0.05"]].concat());
    let endpoint = binder.ready();
    let swept = (0..200).any(|_| {
        std::thread::sleep(std::time::Duration::from_millis(20));
        registered(&endpoint).is_empty()
    });
    assert!(swept, "it is still there");
    end(binder);
}

#[test]
fn what_rpcbind_left_is_taken_over_and_left_again() {
    let place = tempfile::tempdir().unwrap();
    let socket = socket(place.path());
    let left = place.path().join("rpcbind.xdr");
    // RFC 1833 section 2.1: one entry, program 0x20000077 version 7, tcp, 0.0.0.0.8.1, owner 1000.
    let entry =
        b"\0\0\0\x01\x20\0\0\x77\0\0\0\x07\0\0\0\x03tcp\0\0\0\0\x0b0.0.0.0.8.1\0\0\0\0\x041000\0\0\0\0";
    fs::write(&left, entry).unwrap();
    let directory = place.path().display().to_string();
    let mut binder = Daemon::start(&["binder", "--warm-start", &directory, "-l", &socket]);
    let endpoint = binder.ready();
    assert_eq!(registered(&endpoint), [7]);
    end(binder);
    let found = fs::read(&left).unwrap();
    let (ours, end) = (&entry[..entry.len() - 4], &found[found.len() - 4..]);
    assert!(found.windows(ours.len()).any(|part| part == ours));
    assert_eq!(end, [0; 4]);
    // Its own port mapper's entries are IPv4's, and it has none of them here.
    assert_eq!(
        fs::read(place.path().join("portmap.xdr")).unwrap().len(),
        24
    );
}

#[test]
fn sockets_that_are_handed_over_are_served() {
    let place = tempfile::tempdir().unwrap();
    let path = place.path().join("handed.sock");
    let tcp = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let udp = std::net::UdpSocket::bind(tcp.local_addr().unwrap()).unwrap();
    let unix = std::os::unix::net::UnixListener::bind(&path).unwrap();
    let port = tcp.local_addr().unwrap().port();
    let inherit = |socket: &dyn std::os::fd::AsFd| {
        rustix::io::fcntl_setfd(socket, rustix::io::FdFlags::empty()).unwrap();
        std::os::fd::AsRawFd::as_raw_fd(&socket.as_fd())
    };
    let (a, b, c) = (inherit(&tcp), inherit(&udp), inherit(&unix));
    // As systemd does it: from descriptor 3 on, and the number of the process in the environment.
    let script = format!(
        "exec 13<&{a} 14<&{b} 15<&{c} 3<&13 4<&14 5<&15; LISTEN_PID=$$ LISTEN_FDS=3 exec \"$0\" binder --state none"
    );
    let mut command = Command::new("bash");
    command.args(["-c", &script, env!("CARGO_BIN_EXE_farcall")]);
    let mut binder = Daemon::run(command.stdout(Stdio::piped()));
    let ready = [binder.ready(), binder.ready(), binder.ready()];
    let path = path.display();
    let wanted = [
        format!("tcp://127.0.0.1:{port}"),
        format!("udp://127.0.0.1:{port}"),
        format!("unix://{path}"),
    ];
    assert_eq!(ready, wanted);
    drop((tcp, udp, unix));
    assert!(set(&ready[2], 3));
    for endpoint in &ready {
        assert_eq!(registered(endpoint), [3], "{endpoint}");
    }
    end(binder);
    assert!(
        place.path().join("handed.sock").exists(),
        "it is whoever's made it"
    );
}

#[test]
fn root_is_dropped_when_everything_is_open() {
    if !nix::unistd::geteuid().is_root() {
        return;
    }
    // In a user namespace there may be no other user.
    let other = Command::new("true").uid(65534).gid(65534).status();
    if !other.is_ok_and(|done| done.success()) {
        return;
    }
    let place = tempfile::tempdir().unwrap();
    let (socket, state) = (socket(place.path()), place.path().join("registry"));
    let shown = state.display().to_string();
    let mut binder = Daemon::start(&[
        "binder", "--user", "nobody", "--state", &shown, "-l", &socket,
    ]);
    let endpoint = binder.ready();
    let status = fs::read_to_string(format!("/proc/{}/status", binder.id())).unwrap();
    let ids = |key: &str| -> Vec<String> {
        let line = status.lines().find_map(|line| line.strip_prefix(key));
        line.unwrap_or_default()
            .split_whitespace()
            .map(str::to_owned)
            .collect()
    };
    assert_eq!(ids("Uid:"), ["65534"; 4]);
    assert_eq!(ids("Gid:"), ["65534"; 4]);
    assert_eq!(ids("CapEff:"), ["0000000000000000"]);
    assert!(set(&endpoint, 1), "the registry is its own");
    assert_eq!(
        std::os::unix::fs::MetadataExt::uid(&fs::metadata(&state).unwrap()),
        65534
    );
    end(binder);
    let run = common::farcall(&["binder", "--user", "no such user", "-l", &socket]);
    assert_eq!(run.code, 2);
    assert!(
        run.stderr.contains("there is no user no such user"),
        "{}",
        run.stderr
    );
}
