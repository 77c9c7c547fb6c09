//! PDUs that are none.

use std::io::Write;
use std::net::TcpStream;
use std::thread;

use farcall_conformance::raw::{Heard, Pdu, RPCECHO, words};

use super::{ADD_ONE, Host, NOBODY, Tunnel, a1, answer, b1, cookie, head, host, rest, sent};

const SHORT: &str = "[limits]\nfirst-rts = \"1s\"\npairing = \"1s\"\n";

/// Everything that one changed byte or one cut makes of a PDU.
fn changes(pdu: &[u8]) -> Vec<Vec<u8>> {
    let flips = (0..pdu.len()).flat_map(|at| {
        [0, 0xff].map(|value| {
            let mut changed = pdu.to_vec();
            changed[at] = if changed[at] == value {
                value ^ 0x80
            } else {
                value
            };
            changed
        })
    });
    let cuts = (1..pdu.len()).map(|len| pdu[..len].to_vec());
    flips.chain(cuts).collect()
}

/// Each is answered with an error, or ends: nothing hangs. What became another cookie waits for its other channel, as it should.
fn refused(mut streams: Vec<TcpStream>) {
    thread::scope(|scope| {
        for stream in &mut streams {
            scope.spawn(move || {
                let head = answer(stream);
                let waited = head.starts_with("HTTP/1.1 200 Success\r\n");
                let refused = head.is_empty() || head.starts_with("HTTP/1.1 503 RPC Error: ");
                assert!(waited || refused, "{head}");
                rest(stream);
            });
        }
    });
}

#[test]
fn row_12_malformed_rts() {
    let Some(mut host) = host(&format!("{SHORT}per-source = 5000\nper-user = 5000\n"), "") else {
        return;
    };
    let vc = cookie();
    for (method, length, pdu) in [
        ("RPC_OUT_DATA", 76, a1(vc)),
        ("RPC_IN_DATA", 1 << 30, b1(vc, 1 << 30)),
    ] {
        for some in changes(&pdu).chunks(200) {
            let streams = some.iter().map(|pdu| {
                let mut stream = sent(
                    host.at(NOBODY),
                    head(method, "srv1:593", length, "").as_bytes(),
                );
                stream.write_all(pdu).expect("sent");
                stream
            });
            refused(streams.collect());
        }
    }
    host.serves();
}

/// What comes behind the first PDU of an IN channel: RTS where RPC is awaited, and RPC that is none.
fn misfit(host: &Host, pdu: &[u8]) -> Tunnel {
    let mut tunnel = Tunnel::open(host.at(NOBODY), cookie(), "");
    let _ = tunnel.r#in.write_all(pdu);
    let _ = tunnel.r#in.shutdown(std::net::Shutdown::Write);
    tunnel
}

#[test]
fn row_12_malformed_rpc() {
    let Some(mut host) = host(&format!("{SHORT}per-source = 5000\nper-user = 5000\n"), "") else {
        return;
    };
    let bind = Pdu::bind(RPCECHO).bytes();
    let request = [bind.clone(), Pdu::request(7, ADD_ONE, &words(&[1])).bytes()].concat();
    let rts = [b1(cookie(), 1 << 30), a1(cookie())].concat();
    let heads = [
        changes(&bind),
        changes(&request[bind.len()..])
            .into_iter()
            .map(|pdu| [&bind[..], &pdu].concat())
            .collect(),
    ];
    let all: Vec<Vec<u8>> = heads
        .into_iter()
        .flatten()
        .step_by(3)
        .chain([rts])
        .collect();
    for some in all.chunks(32) {
        thread::scope(|scope| {
            for pdu in some {
                let host = &host;
                scope.spawn(move || {
                    // Whatever comes, it ends: the client said that it is the end.
                    let mut tunnel = misfit(host, pdu);
                    loop {
                        match tunnel.hear() {
                            Heard::Closed => break,
                            heard => assert_ne!(heard, Heard::Silence, "{pdu:x?}"),
                        }
                    }
                });
            }
        });
    }
    host.serves();
}
