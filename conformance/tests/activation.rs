//! Sockets that the system's service manager hands over, by its own tool: the binder serves them, each for what it is.

use std::net::{TcpListener, UdpSocket};
use std::process::Command;
use std::time::{Duration, Instant};

use ::farcall::generated::rpcbind::{Rpcb, v4};
use farcall_conformance::case;
use farcall_conformance::peer::{Process, Scratch, available, farcall, find};
use nix::sys::signal::Signal;

const TOOL: &str = "systemd-socket-activate";

const PROGRAM: u32 = 0x2000_0078;

/// The binder behind sockets of the tool's making.
fn activated(arguments: &[&str]) -> Process {
    let mut command = Command::new(find(TOOL).expect("the tool"));
    command.args(arguments).arg(farcall::program());
    command.args(["binder", "--state", "none"]);
    Process::start("binder", &mut command).expect("it starts")
}

fn client(endpoint: &str) -> v4::BlockingClient {
    v4::BlockingClient::connect(endpoint).expect("it connects")
}

fn registered(endpoint: &str) -> bool {
    let all = client(endpoint).dump().expect("it answers");
    all.iter().any(|node| node.rpcb_map.r_prog == PROGRAM)
}

#[test]
fn the_service_managers_own_tool_hands_sockets_to_our_binder() {
    if !available(&[TOOL]) || !farcall::available() {
        return;
    }
    let scratch = Scratch::new("activation").expect("scratch");
    let free = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = free.local_addr().expect("its address");
    drop(free);
    let path = scratch.file("rpcbind.sock").display().to_string();
    let mut binder = activated(&["-l", &address.to_string(), "-l", &path]);
    binder.port(address).expect("the tool listens");
    let (tcp, unix) = (format!("tcp://{address}"), format!("unix://{path}"));
    let entry = Rpcb {
        r_prog: PROGRAM,
        r_vers: 1,
        r_netid: "tcp".into(),
        r_addr: "0.0.0.0.8.1".into(),
        r_owner: "".into(),
    };
    assert!(
        !client(&tcp).set(&entry).expect("an answer"),
        "nobody knows who calls"
    );
    assert!(client(&unix).set(&entry).expect("an answer"));
    assert!(registered(&tcp) && registered(&unix));
    let ended = binder.stop(Signal::SIGTERM).expect("it ends");
    assert!(ended.success(), "{ended}");

    let free = UdpSocket::bind("127.0.0.1:0").expect("a port");
    let address = free.local_addr().expect("its address");
    drop(free);
    let binder = activated(&["-d", "-l", &address.to_string()]);
    // It is started by the first datagram, once the tool has the socket.
    let (udp, end) = (
        format!("udp://{address}"),
        Instant::now() + Duration::from_secs(30),
    );
    let all = loop {
        match client(&udp).dump() {
            Ok(all) => break all,
            Err(error) => assert!(Instant::now() < end, "{error}"),
        }
        std::thread::sleep(Duration::from_millis(50));
    };
    assert!(all.iter().all(|node| node.rpcb_map.r_prog != PROGRAM));
    let ended = binder.stop(Signal::SIGTERM).expect("it ends");
    assert!(ended.success(), "{ended}");
    case::ran(
        "systemd",
        "systemd-socket-activate hands sockets to our binder",
    );
}
