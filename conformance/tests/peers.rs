//! The rig itself: the peers start, speak to each other and end, before we blame our own code.

use farcall_conformance::network_test;
use farcall_conformance::peer::tirpc::{self, Mode, Pair};
use farcall_conformance::peer::tshark::Capture;
use farcall_conformance::peer::{available, rpcbind};
use farcall_conformance::probe::{Answer, Call, Heard, Stream};
use nix::sys::signal::Signal;

/// What the libtirpc client prints when all is well.
const GOOD: [&str; 6] = [
    "null: RPC: Success",
    "echo: RPC: Success hello",
    "add: RPC: Success 42",
    "blob: RPC: Success 5 1099511627777 -1 42 1 -2",
    "sum: RPC: Success 42",
    "unknown procedure: RPC: Procedure unavailable",
];

network_test! {
    fn the_libtirpc_pair_speaks_to_itself() {
        if !available(tirpc::NEEDS) {
            return;
        }
        let pair = Pair::build().expect("build the pair");
        let rpcbind = rpcbind::start().expect("start rpcbind");
        for mode in [Mode::Blocking, Mode::NonBlocking] {
            let server = pair.server(mode).expect("start the server");
            for (host, netid) in [("127.0.0.1", "tcp"), ("127.0.0.1", "udp"), ("::1", "tcp")] {
                let printed = pair.client(host, netid, true).expect("run the client");
                let lines: Vec<&str> = printed.lines().collect();
                assert_eq!(lines[..6], GOOD, "{mode:?} {host} {netid}: {printed}");
            }
            let status = server.stop(Signal::SIGTERM).expect("stop the server");
            assert!(!status.success(), "a server that was told to end: {status}");
        }
        rpcbind.stop(Signal::SIGTERM).expect("stop rpcbind");
    }

    fn the_probe_and_tshark_see_the_same() {
        if !available(&["rpcbind", "tshark"]) {
            return;
        }
        let _rpcbind = rpcbind::start().expect("start rpcbind");
        let capture = Capture::of_onc("tcp", 111).expect("start tshark");
        let mut stream = Stream::connect(([127, 0, 0, 1], 111).into()).expect("connect");
        let heard = stream.ask(&Call::new(100_000, 4, 0)).expect("ask");
        assert_eq!(heard, Heard::Reply(0x0123_4567, Answer::Success(Vec::new())));
        let heard = stream.ask(&Call::new(100_000, 9, 0)).expect("ask");
        assert_eq!(heard, Heard::Reply(0x0123_4567, Answer::ProgMismatch(2, 4)));
        let captured = capture.stop().expect("stop tshark");
        let seen = captured.fields("rpc.msgtyp == 1", &["rpc.xid", "rpc.state_accept"]);
        assert_eq!(seen.expect("read the capture"), ["0x01234567\t0", "0x01234567\t2"]);
    }
}
