//! A broadcast on a segment with a real rpcbind and our binder on it: both pass the call on, and both are heard.

use std::net::SocketAddr;
use std::process::Command;
use std::time::Duration;

use farcall::stub::Target;
use farcall::{Broadcast, Server};
use farcall_binder::{Binder, Policy};
use farcall_conformance::demo::{self, NUMBER};
use farcall_conformance::peer::{Process, available, rpcbind};
use farcall_conformance::{case, network_test};
use farcall_wire::Str;

/// Everybody on the segment.
const EVERYBODY: [u8; 4] = [10, 99, 0, 255];

/// Runs a command of the system's; whether it did what it was told.
fn done(line: &str) -> bool {
    let words: Vec<&str> = line.split_whitespace().collect();
    let ran = Command::new(words[0]).args(&words[1..]).status();
    ran.is_ok_and(|done| done.success())
}

/// A second host, with a real rpcbind that passes calls on, on a segment with this one.
fn neighbour() -> Option<Process> {
    let made = [
        "ip netns add neighbour",
        "ip link add segment type veth peer name other netns neighbour",
        "ip addr add 10.99.0.1/24 brd 10.99.0.255 dev segment",
        "ip link set segment up",
        "ip -n neighbour addr add 10.99.0.2/24 brd 10.99.0.255 dev other",
        "ip -n neighbour link set other up",
        "ip -n neighbour link set lo up",
    ];
    if !made.iter().all(|line| done(line)) {
        case::skipped("no second network namespace for this user");
        return None;
    }
    Some(rpcbind::start_in("neighbour", ([10, 99, 0, 2], 111).into()).expect("start rpcbind"))
}

fn address(host: [u8; 4], port: u16) -> SocketAddr {
    (host, port).into()
}

network_test! {
    fn a_broadcast_is_answered_by_everybody_on_the_segment() {
        if !available(&["rpcbind", "ip", "unshare"]) {
            return;
        }
        let Some(_neighbour) = neighbour() else { return };
        let runtime = tokio::runtime::Runtime::new().expect("a runtime");
        runtime.block_on(async {
            let policy = Policy { indirect: true, loopback: true, ..Policy::default() };
            let binder = Binder::builder().policy(policy).listen("udp://[::]:111").start().await.expect("our binder");
            // Through rpcbind: each of them has itself registered.
            for version in [2, 3, 4] {
                let null = Target { program: 100_000, version: 4, procedure: 0 };
                let ask = Broadcast::new(null, &()).expect("packed").through_rpcbind(version);
                let ask = ask.to_segments(0).expect("a segment").within(Duration::from_secs(10)).at_most(2);
                let answers = ask.collect(|_| Ok(())).await.expect("asked");
                let mut programs: Vec<_> = answers.iter().filter_map(|answer| answer.program).collect();
                programs.sort();
                assert_eq!(programs, [address([10, 99, 0, 1], 111), address([10, 99, 0, 2], 111)], "{answers:?}");
                assert!(answers.iter().all(|answer| answer.result.is_ok()), "{answers:?}");
            }
            // A question for rpcbind itself, as instruments are looked for.
            let getport = Target { program: 100_000, version: 2, procedure: 3 };
            let ask = Broadcast::new(getport, &(100_000, 2, 17, 0)).expect("packed");
            let ask = ask.to(address(EVERYBODY, 111)).within(Duration::from_secs(10)).at_most(2);
            let answers = ask.collect(|r| r.u32()).await.expect("asked");
            let ports: Vec<_> = answers.iter().map(|answer| *answer.result.as_ref().expect("a port")).collect();
            assert_eq!(ports, [111, 111], "{answers:?}");
            // A program that only one of them has: the other keeps silent.
            let server = demo::services().into_iter().fold(Server::builder(), farcall::server::Builder::serve);
            let registrar = farcall::Registrar::at("udp://127.0.0.1:111").expect("an endpoint");
            let server = server.listen("udp://0.0.0.0:0").register_with(registrar).start().await.expect("our server");
            let echo = Target { program: NUMBER, version: 1, procedure: 1 };
            let ask = Broadcast::new(echo, &Str::from("anybody?")).expect("packed").through_rpcbind(2);
            let ask = ask.to(address(EVERYBODY, 111)).within(Duration::from_millis(700));
            let answers = ask.collect(|r| farcall_wire::xdr::string_var(r, 100)).await.expect("asked");
            assert_eq!(answers.len(), 1, "{answers:?}");
            assert_eq!(answers[0].result.as_ref().expect("an echo").as_ref(), b"anybody?");
            let port = server.endpoints()[0].port().expect("a port");
            assert_eq!(answers[0].program, Some(address([10, 99, 0, 1], port)));
            server.drain(Duration::from_secs(1)).await;
            binder.drain(Duration::from_secs(1)).await;
        });
        case::ran("rpcbind", "a broadcast on a segment with it and our binder");
    }
}
