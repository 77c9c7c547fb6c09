//! Our binder in the place of rpcbind: rpcinfo and libtirpc's programs use it, and it answers as rpcbind does,
//! except where that is wrong.

use std::future::Future;
use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, UdpSocket};
use std::os::unix::net::UnixStream;
use std::process::Command;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use farcall::generated::rpcbind::{Rpcb, v3, v4};
use farcall::server::Builder;
use farcall::{Cause, Server};
use farcall_binder::{Binder, Owner, Policy};
use farcall_conformance::demo;
use farcall_conformance::peer::rpcbind::rpcinfo;
use farcall_conformance::peer::tirpc::{self, Mode, Pair};
use farcall_conformance::peer::{self, available, ganesha, rpcbind};
use farcall_conformance::probe::{self, ANSWER, Answer, Call, Heard, SILENCE, Stream};
use farcall_conformance::{case, network_test};
use nix::sys::signal::Signal;

const RPCBIND: u32 = 100_000;
const PROGRAM: u32 = 0x2000_0055;
const DEMO: u32 = 0x2000_0099;
const SOCKET: &str = "/run/rpcbind.sock";

const SET: u32 = 1;
const UNSET: u32 = 2;
const GETPORT: u32 = 3;
const GETADDR: u32 = 3;
const UADDR2TADDR: u32 = 7;
const TADDR2UADDR: u32 = 8;
const GETVERSADDR: u32 = 9;
const INDIRECT: u32 = 10;
const GETADDRLIST: u32 = 11;
const GETSTAT: u32 = 12;

/// Runs a future on a runtime of its own.
fn run<T>(work: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    runtime.expect("a runtime").block_on(work)
}

/// Our binder where rpcbind would be, taking registrations where rpcbind does.
fn start_ours() -> Binder {
    start_with(Policy {
        loopback: true,
        ..Policy::default()
    })
}

fn start_with(policy: Policy) -> Binder {
    let begun = Instant::now();
    loop {
        let builder = Binder::builder()
            .policy(policy)
            .listen("tcp://[::]:111")
            .listen("udp://[::]:111");
        let started = run(builder.listen(format!("unix://{SOCKET}")).start());
        match started {
            // The last connection of an rpcbind that has ended may still hold the port: it does not share it.
            Err(error)
                if matches!(error.cause(), Cause::Io(ErrorKind::AddrInUse, _))
                    && begun.elapsed() < Duration::from_secs(90) =>
            {
                std::thread::sleep(Duration::from_millis(50));
            }
            started => return started.expect("start our binder"),
        }
    }
}

/// A way to ask.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    Udp,
    Tcp,
    Udp6,
    Tcp6,
    Local,
}

/// One question and what is heard.
fn ask(way: Way, call: &Call) -> Heard {
    ask_within(way, call, ANSWER)
}

/// As [`ask`], with so much time for an answer.
fn ask_within(way: Way, call: &Call, limit: Duration) -> Heard {
    let address: SocketAddr = match way {
        Way::Udp | Way::Tcp | Way::Local => ([127, 0, 0, 1], 111).into(),
        Way::Udp6 | Way::Tcp6 => "[::1]:111".parse().expect("an address"),
    };
    match way {
        Way::Udp | Way::Udp6 => datagram(address, &call.bytes(), limit),
        Way::Tcp | Way::Tcp6 => {
            let mut stream = Stream::connect(address).expect("connect");
            stream.send(&call.record()).expect("send");
            stream.hear(limit).expect("hear")
        }
        Way::Local => {
            let mut stream = UnixStream::connect(SOCKET).expect("connect");
            stream.set_read_timeout(Some(limit)).expect("set a limit");
            stream.write_all(&call.record()).expect("send");
            let mut mark = [0; 4];
            stream.read_exact(&mut mark).expect("a mark");
            let length = u32::from_be_bytes(mark) & 0x7fff_ffff;
            let mut message = vec![0; usize::try_from(length).expect("a length")];
            stream.read_exact(&mut message).expect("a message");
            let (xid, said) = probe::answer(&message);
            Heard::Reply(xid, said)
        }
    }
}

/// One datagram and its answer, from whatever port: rpcbind answers what it has passed on from another one.
fn datagram(address: SocketAddr, message: &[u8], limit: Duration) -> Heard {
    let socket = UdpSocket::bind((address.ip(), 0)).expect("bind");
    socket.set_read_timeout(Some(limit)).expect("set a limit");
    socket.send_to(message, address).expect("send");
    let mut reply = [0; 9000];
    match socket.recv_from(&mut reply) {
        Ok((length, _)) => {
            let (xid, said) = probe::answer(&reply[..length]);
            Heard::Reply(xid, said)
        }
        Err(_) => Heard::Silence,
    }
}

fn mapping(program: u32, version: u32, protocol: u32, port: u32) -> Vec<u8> {
    probe::words(&[program, version, protocol, port])
}

fn rpcb(program: u32, version: u32, netid: &str, address: &str) -> Vec<u8> {
    let mut bytes = probe::words(&[program, version]);
    for text in [netid, address, ""] {
        bytes.extend(probe::opaque(text.as_bytes()));
    }
    bytes
}

fn call(version: u32, procedure: u32, arguments: &[u8]) -> Call {
    Call::new(RPCBIND, version, procedure).arguments(arguments)
}

/// The questions to which both must answer alike, in this order: later ones see what earlier ones did.
fn questions() -> Vec<(&'static str, Way, Call)> {
    use Way::{Local, Tcp, Tcp6, Udp, Udp6};
    let set = |text| rpcb(PROGRAM, 1, "tcp", text);
    let of = |program, version| rpcb(program, version, "", "");
    vec![
        ("set", Udp, call(4, SET, &set("0.0.0.0.8.1"))),
        ("set again", Udp, call(4, SET, &set("0.0.0.0.8.1"))),
        (
            "set another address",
            Udp,
            call(4, SET, &set("0.0.0.0.8.2")),
        ),
        (
            "set over tcp",
            Tcp,
            call(3, SET, &rpcb(PROGRAM, 2, "tcp6", "::.8.2")),
        ),
        (
            "old port",
            Udp,
            call(2, GETPORT, &mapping(PROGRAM, 1, 6, 0)),
        ),
        (
            "old port over tcp",
            Tcp,
            call(2, GETPORT, &mapping(PROGRAM, 1, 6, 0)),
        ),
        (
            "old port of another version",
            Udp,
            call(2, GETPORT, &mapping(PROGRAM, 9, 6, 0)),
        ),
        (
            "old port of another protocol",
            Udp,
            call(2, GETPORT, &mapping(PROGRAM, 1, 17, 0)),
        ),
        (
            "old port of no protocol",
            Udp,
            call(2, GETPORT, &mapping(PROGRAM, 1, 0, 0)),
        ),
        (
            "old port of no program",
            Udp,
            call(2, GETPORT, &mapping(PROGRAM + 1, 1, 6, 0)),
        ),
        ("old set", Udp, call(2, SET, &mapping(PROGRAM, 5, 17, 3000))),
        (
            "old set again",
            Udp,
            call(2, SET, &mapping(PROGRAM, 5, 17, 3000)),
        ),
        (
            "old set of another port",
            Udp,
            call(2, SET, &mapping(PROGRAM, 5, 17, 3001)),
        ),
        (
            "old set of another protocol",
            Udp,
            call(2, SET, &mapping(PROGRAM, 6, 1, 3001)),
        ),
        (
            "address",
            Tcp,
            call(4, GETADDR, &rpcb(PROGRAM, 1, "tcp", "")),
        ),
        (
            "address of version 3",
            Tcp,
            call(3, GETADDR, &rpcb(PROGRAM, 1, "tcp", "")),
        ),
        (
            "the netid asked for does not count",
            Tcp,
            call(4, GETADDR, &rpcb(PROGRAM, 1, "udp", "")),
        ),
        ("address over udp", Udp, call(4, GETADDR, &of(PROGRAM, 5))),
        (
            "address of another version",
            Udp,
            call(4, GETADDR, &of(PROGRAM, 9)),
        ),
        ("address over tcp6", Tcp6, call(4, GETADDR, &of(PROGRAM, 2))),
        (
            "no address over udp6",
            Udp6,
            call(4, GETADDR, &of(PROGRAM, 2)),
        ),
        (
            "its own address over tcp6",
            Tcp6,
            call(4, GETADDR, &of(RPCBIND, 4)),
        ),
        (
            "its own address over udp6",
            Udp6,
            call(3, GETADDR, &of(RPCBIND, 3)),
        ),
        (
            "its own address here",
            Local,
            call(4, GETADDR, &of(RPCBIND, 4)),
        ),
        (
            "another transport's address here",
            Local,
            call(4, GETADDR, &rpcb(PROGRAM, 1, "tcp", "")),
        ),
        (
            "exactly this version",
            Udp,
            call(4, GETVERSADDR, &of(PROGRAM, 5)),
        ),
        (
            "not exactly this version",
            Udp,
            call(4, GETVERSADDR, &of(PROGRAM, 9)),
        ),
        (
            "no list of another version",
            Udp,
            call(4, GETADDRLIST, &of(PROGRAM, 9)),
        ),
        ("no list here", Local, call(4, GETADDRLIST, &of(RPCBIND, 4))),
        (
            "taddr",
            Udp,
            call(4, UADDR2TADDR, &probe::opaque(b"127.0.0.1.0.111")),
        ),
        (
            "taddr of version 3",
            Tcp,
            call(3, UADDR2TADDR, &probe::opaque(b"127.0.0.1.0.111")),
        ),
        (
            "taddr of six",
            Udp6,
            call(4, UADDR2TADDR, &probe::opaque(b"::1.0.111")),
        ),
        (
            "taddr here",
            Local,
            call(4, UADDR2TADDR, &probe::opaque(b"/run/x")),
        ),
        (
            "taddr of nothing",
            Udp,
            call(4, UADDR2TADDR, &probe::opaque(b"hello")),
        ),
        (
            "uaddr",
            Udp,
            call(4, TADDR2UADDR, &taddr(&[2, 0, 0, 111, 127, 0, 0, 1])),
        ),
        ("uaddr of nothing", Udp, call(4, TADDR2UADDR, &taddr(b"xx"))),
        (
            "unset what is not there",
            Udp,
            call(4, UNSET, &rpcb(PROGRAM, 77, "tcp", "")),
        ),
        (
            "unset rpcbind",
            Udp,
            call(4, UNSET, &rpcb(RPCBIND, 4, "tcp", "")),
        ),
        (
            "root sets here",
            Local,
            call(4, SET, &rpcb(PROGRAM, 11, "tcp", "0.0.0.0.8.3")),
        ),
        (
            "somebody unsets root's",
            Udp,
            call(4, UNSET, &rpcb(PROGRAM, 11, "tcp", "")),
        ),
        (
            "it is still there",
            Tcp,
            call(4, GETVERSADDR, &of(PROGRAM, 11)),
        ),
        (
            "old unset of all protocols",
            Udp,
            call(2, UNSET, &mapping(PROGRAM, 5, 6, 1)),
        ),
        ("it is gone", Udp, call(4, GETVERSADDR, &of(PROGRAM, 5))),
        (
            "unset on all transports",
            Udp,
            call(4, UNSET, &of(PROGRAM, 1)),
        ),
        (
            "that is gone too",
            Tcp,
            call(4, GETVERSADDR, &of(PROGRAM, 1)),
        ),
        (
            "silent: old broadcast",
            Udp,
            call(2, 5, &probe::words(&[PROGRAM, 1, 0, 0])),
        ),
        (
            "silent: old broadcast over tcp",
            Tcp,
            call(2, 5, &probe::words(&[PROGRAM, 1, 0, 0])),
        ),
        (
            "silent: broadcast",
            Udp,
            call(4, 5, &probe::words(&[PROGRAM, 1, 0, 0])),
        ),
        (
            "indirect null",
            Udp,
            call(4, INDIRECT, &probe::words(&[RPCBIND, 4, 0, 0])),
        ),
        (
            "indirect, denied",
            Udp,
            call(4, INDIRECT, &probe::words(&[RPCBIND, 4, 4, 0])),
        ),
        (
            "indirect mount",
            Udp,
            call(4, INDIRECT, &probe::words(&[100_005, 3, 1, 0])),
        ),
        (
            "broadcast, denied",
            Udp,
            call(2, 5, &probe::words(&[100_003, 3, 1, 0])),
        ),
        (
            "indirect to nobody",
            Udp,
            call(4, INDIRECT, &probe::words(&[PROGRAM + 7, 1, 1, 0])),
        ),
        (
            "indirect to another version",
            Udp,
            call(4, INDIRECT, &probe::words(&[RPCBIND, 9, 0, 0])),
        ),
        ("no such procedure in 2", Udp, call(2, 6, &[])),
        ("no such procedure in 3", Tcp, call(3, 9, &[])),
        ("no such procedure in 4", Udp, call(4, 13, &[])),
        ("no such version", Tcp, call(5, 0, &[])),
        ("no such program", Udp, Call::new(PROGRAM, 1, 0)),
        ("null of 2", Udp, call(2, 0, &[])),
        ("null of 3", Tcp6, call(3, 0, &[])),
        ("null of 4", Local, call(4, 0, &[])),
        ("statistics", Tcp, call(4, GETSTAT, &[])),
        ("statistics over udp", Udp, call(4, GETSTAT, &[])),
    ]
}

/// Calls to be passed on, when that is allowed: to rpcbind itself, and to the demo server at UDP port 7777.
fn passed_on() -> Vec<(&'static str, Way, Call)> {
    use Way::{Tcp, Udp};
    let add = |a: u32, b: u32| probe::opaque(&probe::words(&[a, b]));
    let to = |target: [u32; 3], arguments: Vec<u8>| [probe::words(&target), arguments].concat();
    let demo = |procedure| to([DEMO, 1, procedure], add(40, 2));
    let nothing = || probe::words(&[0]);
    vec![
        (
            "registered",
            Way::Local,
            call(4, SET, &rpcb(DEMO, 1, "udp", "127.0.0.1.30.97")),
        ),
        ("port mapper", Udp, call(2, 5, &demo(2))),
        ("rpcbind 3", Udp, call(3, 5, &demo(2))),
        ("broadcast", Udp, call(4, 5, &demo(2))),
        ("indirect", Udp, call(4, INDIRECT, &demo(2))),
        (
            "null of itself",
            Udp,
            call(4, 5, &to([RPCBIND, 3, 0], nothing())),
        ),
        (
            "silent: no procedure, broadcast",
            Udp,
            call(2, 5, &demo(77)),
        ),
        ("no procedure, indirect", Udp, call(4, INDIRECT, &demo(77))),
        (
            "no arguments, indirect",
            Udp,
            call(4, INDIRECT, &to([DEMO, 1, 2], nothing())),
        ),
        (
            "silent: no version, broadcast",
            Udp,
            call(4, 5, &to([DEMO, 9, 2], add(1, 2))),
        ),
        (
            "no version, indirect",
            Udp,
            call(4, INDIRECT, &to([DEMO, 9, 2], add(1, 2))),
        ),
        ("denied", Udp, call(4, 5, &to([RPCBIND, 4, 4], nothing()))),
        ("statistics", Tcp, call(4, GETSTAT, &[])),
    ]
}

/// A netbuf that holds these bytes and room for a `sockaddr_in`.
fn taddr(bytes: &[u8]) -> Vec<u8> {
    let mut whole = bytes.to_vec();
    if bytes.len() > 2 {
        whole.resize(16, 0);
    }
    let mut netbuf = probe::words(&[16]);
    netbuf.extend(probe::opaque(&whole));
    netbuf
}

/// What rpcinfo prints, line by line, without regard to order and to the width of its columns.
fn lines(arguments: &[&str]) -> Vec<String> {
    let (done, text) = rpcinfo(arguments).expect("run rpcinfo");
    assert!(done, "rpcinfo {arguments:?}: {text}");
    let words = |line: &str| line.split_whitespace().collect::<Vec<_>>().join(" ");
    let mut lines: Vec<String> = text.lines().map(words).collect();
    lines.sort();
    lines
}

/// The rpcinfo commands whose whole output must be the same.
const LISTS: [&[&str]; 8] = [
    &["-m", "127.0.0.1"],
    &["-s", "127.0.0.1"],
    &["-s", "::1"],
    &["-p", "127.0.0.1"],
    &["-p", "::1"],
    &["127.0.0.1"],
    &[],
    &["-l", "127.0.0.1", "100000", "4"],
];

/// What one of the two says to all of these.
fn answers(questions: Vec<(&'static str, Way, Call)>) -> Vec<(&'static str, Heard)> {
    let limit = |name: &str| match name.starts_with("silent") {
        true => SILENCE,
        false => ANSWER,
    };
    let asked = questions.into_iter();
    asked
        .map(|(name, way, call)| (name, ask_within(way, &call, limit(name))))
        .collect()
}

/// What one of the two says to everything.
fn survey() -> (Vec<(&'static str, Heard)>, Vec<Vec<String>>) {
    (answers(questions()), LISTS.map(lines).to_vec())
}

fn truth(heard: &Heard) -> Option<bool> {
    match heard {
        Heard::Reply(_, Answer::Success(bytes)) => Some(*bytes == [0, 0, 0, 1]),
        _ => None,
    }
}

/// Memory of this process, in KiB.
fn resident() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").expect("read the status");
    let line = status
        .lines()
        .find(|line| line.starts_with("VmRSS:"))
        .expect("a line");
    line.split_whitespace()
        .nth(1)
        .and_then(|number| number.parse().ok())
        .expect("a number")
}

network_test! {
    fn our_answers_are_rpcbinds_answers() {
        if !available(&["rpcbind", "rpcinfo"]) {
            return;
        }
        let theirs = rpcbind::start().expect("start rpcbind");
        let (their_answers, their_lists) = survey();
        theirs.stop(Signal::SIGTERM).expect("stop rpcbind");
        let _ = std::fs::remove_file(SOCKET);
        let _ours = start_ours();
        let (our_answers, our_lists) = survey();
        for (ours, theirs) in our_answers.iter().zip(&their_answers) {
            assert_eq!(ours, theirs, "ours first");
        }
        for ((ours, theirs), command) in our_lists.iter().zip(&their_lists).zip(LISTS) {
            assert_eq!(ours, theirs, "rpcinfo {command:?}, ours first");
        }
        case::ran("rpcbind", "our answers are its answers");
        case::ran("rpcbind", "rpcinfo prints the same lists");
    }

    fn calls_are_passed_on_as_rpcbind_passes_them_on() {
        if !available(&["rpcbind"]) {
            return;
        }
        let runtime = tokio::runtime::Runtime::new().expect("a runtime");
        let server = demo::services().into_iter().fold(Server::builder(), Builder::serve);
        let server = runtime.block_on(server.listen("udp://127.0.0.1:7777").start()).expect("start");
        // -r: pass calls on.
        let theirs = rpcbind::start_with(&["-r"]).expect("start rpcbind");
        let their_answers = answers(passed_on());
        theirs.stop(Signal::SIGTERM).expect("stop rpcbind");
        let _ = std::fs::remove_file(SOCKET);
        let ours = start_with(Policy { indirect: true, ..Policy::default() });
        let our_answers = answers(passed_on());
        for (ours, theirs) in our_answers.iter().zip(&their_answers) {
            match ours {
                // Why the program refused, rpcbind does not tell.
                (_, Heard::Reply(_, Answer::ProcUnavail | Answer::GarbageArgs)) => {
                    assert!(matches!(theirs, (_, Heard::Reply(_, Answer::SystemErr))), "{theirs:?}");
                }
                _ => assert_eq!(ours, theirs, "ours first"),
            }
        }
        let sum = |heard: &Heard| match heard {
            Heard::Reply(_, Answer::Success(bytes)) => bytes.ends_with(&[0, 0, 0, 4, 0, 0, 0, 42]),
            _ => false,
        };
        assert!(our_answers[1..5].iter().all(|(_, heard)| sum(heard)), "{our_answers:?}");
        run(ours.drain(Duration::from_secs(1)));
        runtime.block_on(server.drain(Duration::from_secs(1)));
        case::ran("rpcbind", "calls that are passed on");
    }

    fn registrations_go_from_rpcbind_to_us_and_back() {
        if !available(&["rpcbind", "rpcinfo"]) {
            return;
        }
        let set = |version, netid, address| ask(Way::Local, &call(4, SET, &rpcb(PROGRAM, version, netid, address)));
        let theirs = rpcbind::start().expect("start rpcbind");
        assert_eq!(truth(&set(1, "tcp", "0.0.0.0.8.1")), Some(true));
        assert_eq!(truth(&set(1, "udp6", "::.8.1")), Some(true));
        let before = lines(&["127.0.0.1"]);
        theirs.stop(Signal::SIGTERM).expect("stop rpcbind");
        let _ = std::fs::remove_file(SOCKET);
        let builder = Binder::builder().warm_start("/run/rpcbind").sweep(Duration::ZERO);
        let builder = builder.listen("tcp://[::]:111").listen("udp://[::]:111").listen(format!("unix://{SOCKET}"));
        let ours = run(builder.start()).expect("start our binder");
        assert_eq!(lines(&["127.0.0.1"]), before);
        assert_eq!(truth(&set(2, "tcp6", "::.8.2")), Some(true));
        let during = lines(&["127.0.0.1"]);
        run(ours.drain(Duration::from_secs(1)));
        // It reads them as the user it becomes.
        for file in ["rpcbind.xdr", "portmap.xdr"] {
            let owner = Command::new("chown").args(["_rpc", &format!("/run/rpcbind/{file}")]).status();
            assert!(owner.is_ok());
        }
        let theirs = rpcbind::start().expect("start rpcbind");
        assert_eq!(lines(&["127.0.0.1"]), during);
        theirs.stop(Signal::SIGTERM).expect("stop rpcbind");
        case::ran("rpcbind", "registrations go over to us and back");
    }

    fn nfs_clients_and_servers_meet_through_our_binder() {
        if !available(&["showmount", "nfs-ls", "ganesha.nfsd"]) {
            return;
        }
        // As it comes: registrations over the Unix socket only.
        let binder = start_with(Policy::default());
        let mut ganesha = ganesha::start().expect("start ganesha");
        for port in [2049, 20048] {
            ganesha.port(([127, 0, 0, 1], port).into()).expect("ganesha listens");
        }
        let registered = || binder.registry().all().iter().any(|m| m.slot.program == 100_005);
        let end = std::time::Instant::now() + Duration::from_secs(30);
        while !registered() && std::time::Instant::now() < end {
            std::thread::sleep(Duration::from_millis(20));
        }
        assert!(registered(), "{:?}", binder.registry().all());
        let shown = Command::new(peer::find("showmount").expect("showmount")).args(["-e", "127.0.0.1"]).output();
        let shown = String::from_utf8_lossy(&shown.expect("run showmount").stdout).into_owned();
        assert!(shown.contains("/mem"), "{shown}");
        let listed = Command::new("nfs-ls").arg("nfs://127.0.0.1/mem").output().expect("run nfs-ls");
        assert!(listed.status.success(), "{}", String::from_utf8_lossy(&listed.stderr));
        ganesha.stop(Signal::SIGTERM).expect("stop ganesha");
        case::ran("nfs-ganesha", "found through our binder by showmount and libnfs");
    }

    fn rpcinfo_finds_everything() {
        if !available(&["rpcinfo"]) {
            return;
        }
        let _ours = start_ours();
        let all: [&[&str]; 14] = [
            &["-t", "127.0.0.1", "100000"],
            &["-u", "127.0.0.1", "100000"],
            &["-t", "127.0.0.1", "100000", "2"],
            &["-u", "127.0.0.1", "100000", "4"],
            &["-n", "111", "-t", "127.0.0.1", "100000", "2"],
            &["-T", "tcp", "127.0.0.1", "100000"],
            &["-T", "udp", "127.0.0.1", "100000", "3"],
            &["-T", "tcp6", "::1", "100000"],
            &["-T", "udp6", "::1", "100000"],
            &["-T", "local", "localhost", "100000", "4"],
            &["-a", "127.0.0.1.0.111", "-T", "tcp", "100000"],
            &["-a", "127.0.0.1.0.111", "-T", "udp", "100000", "4"],
            &["-s", "127.0.0.1"],
            &["-s"],
        ];
        for arguments in all {
            let (done, text) = rpcinfo(arguments).expect("run rpcinfo");
            let fine = text.contains("ready and waiting") || text.contains("portmapper");
            assert!(done && fine, "rpcinfo {arguments:?}: {text}");
        }
        let (done, text) = rpcinfo(&["-T", "tcp", "127.0.0.1", "536870997"]).expect("run rpcinfo");
        assert!(!done && text.contains("not registered"), "{text}");
        case::ran("rpcinfo", "every option finds our binder");
    }

    fn libtirpc_programs_meet_through_our_binder() {
        if !available(tirpc::NEEDS) {
            return;
        }
        let binder = start_ours();
        let pair = Pair::build().expect("build the pair");
        for mode in [Mode::Blocking, Mode::NonBlocking] {
            let server = pair.server(mode).expect("start the server");
            let transports = binder.registry().all().iter().filter(|m| m.slot.program != RPCBIND).count();
            assert!(transports >= 8, "two versions on four transports, got {transports}");
            for (host, netid) in [("127.0.0.1", "tcp"), ("127.0.0.1", "udp"), ("::1", "tcp"), ("::1", "udp")] {
                let printed = pair.client(host, netid, true).expect("run the client");
                assert!(printed.contains("add: RPC: Success 42"), "{mode:?} {host} {netid}: {printed}");
            }
            // It ends without taking back what it registered; the next one does that first.
            server.stop(Signal::SIGTERM).expect("stop the server");
        }
        case::ran("libtirpc", "server and client meet through our binder");
    }

    fn where_rpcbind_is_wrong_we_are_not() {
        let _ours = start_ours();
        let garbage = Heard::Reply(0x0123_4567, Answer::GarbageArgs);
        assert_eq!(ask(Way::Udp, &call(2, SET, &probe::words(&[PROGRAM, 7, 17]))), garbage);
        assert_eq!(ask(Way::Tcp, &call(4, SET, &probe::words(&[PROGRAM, 7]))), garbage);
        for (netid, address) in [
            ("foo", "0.0.0.0.8.1"),
            ("", "0.0.0.0.8.1"),
            ("udp", "hello"),
            ("udp", ""),
            ("udp", "0.0.0.0.0.0"),
            ("tcp6", "0.0.0.0.8.1"),
        ] {
            let heard = ask(Way::Udp, &call(4, SET, &rpcb(PROGRAM, 1, netid, address)));
            assert_eq!(truth(&heard), Some(false), "{netid} {address}");
        }
        for (protocol, port) in [(17, 0), (17, 70_000)] {
            let heard = ask(Way::Udp, &call(2, SET, &mapping(PROGRAM, 1, protocol, port)));
            assert_eq!(truth(&heard), Some(false), "port {port}");
        }
        for way in [Way::Udp, Way::Local] {
            let heard = ask(way, &call(4, SET, &rpcb(RPCBIND, 9, "tcp", "0.0.0.0.8.1")));
            assert_eq!(truth(&heard), Some(false), "rpcbind itself");
        }
        // rpcbind says that root's mapping is gone, and keeps it.
        let set = call(4, SET, &rpcb(PROGRAM, 11, "tcp", "0.0.0.0.8.3"));
        assert_eq!(truth(&ask(Way::Local, &set)), Some(true));
        let unset = call(2, UNSET, &mapping(PROGRAM, 11, 0, 0));
        assert_eq!(truth(&ask(Way::Udp, &unset)), Some(false));
    }

    fn strangers_ask_but_neither_register_nor_take_the_list_by_udp() {
        let binder = start_ours();
        // An address of this machine that is not the loopback network's stands for another machine.
        let added = Command::new("ip").args(["addr", "add", "192.0.2.1/32", "dev", "lo"]).status();
        assert!(added.expect("run ip").success());
        let socket = UdpSocket::bind("192.0.2.1:0").expect("bind");
        socket.connect("192.0.2.1:111").expect("connect");
        socket.set_read_timeout(Some(ANSWER)).expect("set a limit");
        let ask = |call: &Call| {
            socket.send(&call.bytes()).expect("send");
            let mut reply = [0; 2000];
            let length = socket.recv(&mut reply).expect("an answer");
            probe::answer(&reply[..length]).1
        };
        assert_eq!(ask(&call(4, 4, &[])), Answer::AuthError(5), "AUTH_TOOWEAK");
        assert_eq!(ask(&call(2, 4, &[])), Answer::AuthError(5), "AUTH_TOOWEAK");
        let no = Answer::Success(vec![0; 4]);
        assert_eq!(ask(&call(4, SET, &rpcb(PROGRAM, 1, "tcp", "0.0.0.0.8.1"))), no);
        assert_eq!(ask(&call(2, SET, &mapping(PROGRAM, 1, 6, 2049))), no);
        assert_eq!(ask(&call(4, UNSET, &rpcb(PROGRAM, 1, "tcp", ""))), no);
        let port = ask(&call(2, GETPORT, &mapping(RPCBIND, 4, 17, 0)));
        assert_eq!(port, Answer::Success(vec![0, 0, 0, 111]));
        let address = ask(&call(4, GETADDR, &rpcb(RPCBIND, 4, "udp", "")));
        assert_eq!(address, Answer::Success(probe::opaque(b"192.0.2.1.0.111")));
        assert_eq!(binder.registry().all().iter().filter(|m| m.slot.program == PROGRAM).count(), 0);
    }

    fn strangers_get_short_answers_and_not_again_and_again() {
        let _ours = start_with(Policy::default());
        let added = Command::new("ip").args(["addr", "add", "192.0.2.1/32", "dev", "lo"]).status();
        assert!(added.expect("run ip").success());
        let socket = UdpSocket::bind("192.0.2.1:0").expect("bind");
        socket.connect("192.0.2.1:111").expect("connect");
        socket.set_read_timeout(Some(SILENCE)).expect("set a limit");
        let answer = |call: &Call| {
            socket.send(&call.bytes()).expect("send");
            let mut reply = [0; 9000];
            socket.recv(&mut reply).ok()
        };
        // Every procedure of every version, with arguments that are as long as they usually are.
        let rpcb = rpcb(RPCBIND, 4, "udp", "0.0.0.0.0.111");
        let uaddr = probe::opaque(b"192.0.2.1.0.111");
        for version in [2, 3, 4] {
            for procedure in 0..=12 {
                let arguments = match (version, procedure) {
                    (_, 0 | 4 | 6 | 12) => Vec::new(),
                    (2, 1..=3) => mapping(RPCBIND, 4, 17, 111),
                    (_, 5 | 10) => probe::words(&[PROGRAM, 1, 1, 0]),
                    (_, 7) => uaddr.clone(),
                    (_, 8) => taddr(&[2, 0, 0, 111, 192, 0, 2, 1]),
                    _ => rpcb.clone(),
                };
                let call = call(version, procedure, &arguments);
                let len = answer(&call).unwrap_or(0);
                // A list of addresses is twice as long as its question, and nothing else is longer.
                let most = if procedure == GETADDRLIST { 3 } else { 1 } * call.bytes().len();
                assert!(len <= most, "version {version} procedure {procedure}: {len} bytes for {}", call.bytes().len());
            }
        }
        // A flood is answered as far as the rate goes: 500 at once, 100 a second.
        let getport = call(2, GETPORT, &mapping(RPCBIND, 4, 17, 0)).bytes();
        let began = std::time::Instant::now();
        let mut answers = 0;
        let mut reply = [0; 9000];
        for _ in 0..40 {
            for _ in 0..50 {
                socket.send(&getport).expect("send");
            }
            while socket.recv(&mut reply).is_ok() {
                answers += 1;
            }
        }
        let most = 500 + 100 * (began.elapsed().as_secs() + 1);
        assert!((200..=most).contains(&answers), "{answers} answers to 2000 questions, at most {most}");
        // Others are served meanwhile.
        let other = ask(Way::Udp, &call(2, GETPORT, &mapping(RPCBIND, 4, 17, 0)));
        assert_eq!(other, Heard::Reply(0x0123_4567, Answer::Success(vec![0, 0, 0, 111])));
    }

    fn what_trusts_this_machine_is_called_for_nobody() {
        let _ours = start_with(Policy { indirect: true, ..Policy::default() });
        let denied = [
            (RPCBIND, 1), (RPCBIND, 2), (RPCBIND, 4), (RPCBIND, 12), // itself
            (100_003, 1), (100_003, 21), (100_005, 1), (100_005, 3), (100_005, 4), // NFS, MOUNT
            (100_004, 3), (100_004, 8), (100_007, 2), (100_009, 1), // NIS
            (100_011, 1), (100_021, 7), (100_024, 2), (100_227, 1), // quotas, locks, status, access lists
        ];
        let too_weak = Heard::Reply(0x0123_4567, Answer::AuthError(5));
        for (program, procedure) in denied {
            for (version, by) in [(2, 5), (3, 5), (4, 5), (4, INDIRECT)] {
                let passing = call(version, by, &probe::words(&[program, 3, procedure, 0]));
                assert_eq!(ask(Way::Udp, &passing), too_weak, "{program} {procedure} by {version} {by}");
            }
            let passing = call(4, INDIRECT, &probe::words(&[program, 3, procedure, 0]));
            for way in [Way::Tcp, Way::Local] {
                assert_eq!(ask(way, &passing), too_weak, "{program} {procedure} {way:?}");
            }
        }
    }

    fn every_user_of_the_machine_registers_under_its_own_name() {
        if !available(&["rpcgen", "gcc", "rpcinfo", "setpriv"]) {
            return;
        }
        let mut other_user = Command::new("setpriv");
        let other_user = other_user.args(["--reuid", "7", "--clear-groups", "true"]).status();
        if !other_user.is_ok_and(|done| done.success()) {
            return case::skipped("only root can become another user");
        }
        let binder = start_ours();
        let pair = Pair::build().expect("build the pair");
        let _server = pair.server_as(7, Mode::Blocking).expect("start the server");
        let owned = |owner| binder.registry().all().iter().filter(|m| m.owner == owner).count();
        assert!(owned(Owner::User(7)) >= 8, "{:?}", binder.registry().all());
        // Another user cannot take it back, and root can.
        let rpcinfo = peer::find("rpcinfo").expect("rpcinfo");
        let delete = |uid: &str| {
            let mut command = Command::new("setpriv");
            command.args(["--reuid", uid, "--clear-groups"]).arg(&rpcinfo);
            command.args(["-d", &DEMO.to_string(), "1"]).output().expect("run rpcinfo")
        };
        let before = owned(Owner::User(7));
        delete("8");
        assert_eq!(owned(Owner::User(7)), before);
        delete("0");
        assert_eq!(owned(Owner::User(7)), before / 2, "version 2 stays");
        case::ran("rpcinfo", "-d removes what its caller owns, root anything");
    }

    fn claims_of_gigabytes_take_nothing() {
        let _ours = start_ours();
        let before = resident();
        for way in [Way::Udp, Way::Tcp, Way::Local] {
            for length in [0x7fff_ffff, 0xffff_ffff, 0x4000_0000] {
                for _ in 0..200 {
                    let heard = ask(way, &call(4, SET, &probe::words(&[PROGRAM, 1, length, 0x6162_6364])));
                    assert_eq!(heard, Heard::Reply(0x0123_4567, Answer::GarbageArgs));
                }
            }
        }
        assert!(resident() < before + (16 << 10), "from {before} KiB to {} KiB", resident());
    }

    fn our_clients_use_our_binder() {
        let binder = start_ours();
        run(async {
            let client = v4::Client::connect(format!("unix://{SOCKET}")).await.expect("connect");
            let rpcb = Rpcb {
                r_prog: PROGRAM,
                r_vers: 1,
                r_netid: "udp6".into(),
                r_addr: "::.8.1".into(),
                r_owner: "anybody".into(),
            };
            assert!(client.set(&rpcb).await.expect("set"));
            let dump = client.dump().await.expect("dump");
            let last = &dump.last().expect("mappings").rpcb_map;
            assert_eq!((&last.r_netid, &last.r_owner), (&"udp6".into(), &"superuser".into()));
            assert_eq!(dump.len(), 13);

            let six = v3::Client::connect("udp://[::1]:111").await.expect("connect");
            assert_eq!(six.getaddr(&rpcb).await.expect("getaddr").to_string(), "::1.8.1");
            assert_eq!(six.dump().await.expect("dump over loopback").len(), 13);
            let time = Duration::from_secs(six.gettime().await.expect("gettime").into());
            let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970");
            assert!(now.abs_diff(time) < Duration::from_secs(5));
            assert!(client.unset(&rpcb).await.expect("unset"));
        });
        run(binder.drain(Duration::from_secs(1)));
        assert!(!std::path::Path::new(SOCKET).exists());
    }
}
