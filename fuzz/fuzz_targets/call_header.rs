//! A call header that parses is the one that encodes to the same bytes; a server's answer to any
//! message is one that the peer can read.
#![no_main]

use farcall_onc::auth::{AuthBlock, Flavor, SysRef};
use farcall_onc::msg::{self, Framing, Target};
use farcall_onc::server::{Accepts, Admission, Registry};
use farcall_wire::{Padding, TransmitQueue};
use libfuzzer_sys::fuzz_target;

fn registry(padding: Padding) -> Registry {
    let mut registry = Registry::new(padding);
    for (version, accepts) in [(1, Accepts::ANY), (3, Accepts::SYS)] {
        registry
            .insert(0x2000_0099, version, accepts, 0)
            .expect("not there yet");
    }
    registry
}

fn header(message: &[u8]) {
    let Ok((call, at)) = msg::parse_call(message) else {
        return;
    };
    assert!(at <= message.len());
    let target = Target {
        program: call.program,
        version: call.version,
        procedure: call.procedure,
    };
    let auth = AuthBlock::new(call.credential, call.verifier).expect("bounded by the parser");
    let mut queue = TransmitQueue::new();
    msg::encode_call(&mut queue, Framing::Datagram, call.xid, target, &auth, &()).expect("short");
    let again = queue.to_vec();
    assert_eq!(again.len(), at);
    assert_eq!(msg::parse_call(&again), Ok((call, at)));
    if call.credential.flavor == Flavor::SYS
        && let Ok(sys) = SysRef::parse(call.credential.body, Padding::Compatible)
    {
        assert!(sys.gids().len() <= 16);
        let _ = sys.to_owned();
    }
}

fn admission(message: &[u8]) {
    for padding in [Padding::Compatible, Padding::Strict] {
        for framing in [Framing::Stream, Framing::Datagram] {
            let mut queue = TransmitQueue::new();
            match registry(padding).admit(message, framing, |_| None) {
                Admission::Answer { xid, body } => {
                    msg::encode_refusal(&mut queue, Framing::Datagram, xid, body);
                    let reply = queue.to_vec();
                    let (read, at) = msg::parse_reply(&reply).expect("our own reply");
                    assert_eq!((read.xid, read.body, at), (xid, body, reply.len()));
                    let longer = reply.len() > message.len();
                    assert!(
                        !longer || framing == Framing::Stream,
                        "an answer longer than the datagram"
                    );
                }
                Admission::Call(call) => assert!(call.args <= message.len()),
                Admission::Silent(_) => assert_eq!(framing, Framing::Datagram),
                Admission::Null { .. } | Admission::Close(_) => {}
            }
        }
    }
}

fuzz_target!(|message: &[u8]| {
    header(message);
    admission(message);
});
