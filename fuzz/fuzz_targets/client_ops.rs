//! Any sequence of calls, replies, cancellations, losses and time-outs: each call ends once, with
//! its own token, and a call that was cancelled before it was sent is never sent.
#![no_main]

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use farcall_onc::auth::AuthBlock;
use farcall_onc::client::{CallId, Client, ClientConfig, Incoming};
use farcall_onc::msg::{self, Framing, Target};
use farcall_onc::seed::Seed;
use farcall_wire::TransmitQueue;
use libfuzzer_sys::fuzz_target;

const TARGET: Target = Target {
    program: 0x2000_0099,
    version: 1,
    procedure: 1,
};
const IN_FLIGHT: usize = 12;

/// A client, and what we know of it from outside.
struct World {
    client: Client<u32>,
    server: SocketAddr,
    datagrams: bool,
    now: Instant,
    next: u32,
    /// Calls that are not over: token to id.
    open: BTreeMap<u32, CallId>,
    /// Arguments of calls that were cancelled before they were sent.
    unsent: BTreeSet<u32>,
    /// The xids on the wire, in order.
    sent: Vec<u32>,
}

impl World {
    fn new(datagrams: bool, seed: u8) -> Self {
        let config = ClientConfig {
            in_flight: IN_FLIGHT,
            queued: 4096,
            ..ClientConfig::default()
        };
        let seed = Seed::replay(seed.into());
        let server: SocketAddr = ([127, 0, 0, 1], 111).into();
        let client = if datagrams {
            Client::datagram(config, server, &seed)
        } else {
            Client::stream(config, &seed)
        };
        Self {
            client,
            server,
            datagrams,
            now: Instant::now(),
            next: 0,
            open: BTreeMap::new(),
            unsent: BTreeSet::new(),
            sent: Vec::new(),
        }
    }

    fn call(&mut self, wait: u8) {
        self.next += 1;
        let token = self.next;
        let deadline = Some(self.now + Duration::from_millis(50 * (1 + u64::from(wait))));
        let auth = AuthBlock::none();
        match self
            .client
            .call(self.now, TARGET, &auth, &token, deadline, token)
        {
            Ok(id) => {
                assert!(
                    !self.open.values().any(|open| *open == id),
                    "an xid twice in flight"
                );
                self.open.insert(token, id);
            }
            Err(error) => assert!(self.open.len() == IN_FLIGHT || !self.datagrams, "{error}"),
        }
    }

    /// Takes note of a message on the wire.
    fn note(&mut self, message: &[u8]) {
        let (header, at) = msg::parse_call(message).expect("our own call");
        let token = u32::from_be_bytes(message[at..].try_into().expect("one word"));
        assert!(!self.unsent.contains(&token), "a cancelled call was sent");
        self.sent.push(header.xid);
    }

    fn transmit(&mut self) {
        let mut queue = TransmitQueue::new();
        self.client.poll_transmit(&mut queue);
        let bytes = queue.to_vec();
        let mut rest = bytes.as_slice();
        while let Some((mark, behind)) = rest.split_first_chunk::<4>() {
            let length = (u32::from_be_bytes(*mark) & 0x7fff_ffff) as usize;
            self.note(&behind[..length]);
            rest = &behind[length..];
        }
        while let Some(message) = self.client.poll_datagram() {
            self.note(&message);
        }
    }

    fn over(&mut self, token: u32, id: CallId) {
        assert_eq!(
            self.open.remove(&token),
            Some(id),
            "a call ends once, with its own id"
        );
    }

    fn receive(&mut self, message: &[u8]) {
        let incoming = if self.datagrams {
            self.client.handle_datagram(self.server, message)
        } else {
            self.client.handle_record(message)
        };
        match incoming {
            Incoming::Reply {
                id,
                token,
                header,
                results,
            } => {
                assert_eq!(header.xid, id.0);
                assert!(results <= message.len());
                self.over(token, id);
            }
            Incoming::Malformed { id, token, .. } => {
                assert!(!self.datagrams);
                self.over(token, id);
            }
            Incoming::Call | Incoming::Ignored(_) => {}
        }
    }

    fn reply(&mut self, which: u8) {
        let Some(&xid) = self.sent.get(usize::from(which)) else {
            return;
        };
        let mut queue = TransmitQueue::new();
        msg::encode_success(&mut queue, Framing::Datagram, xid, &7_u32).expect("short");
        self.receive(&queue.to_vec());
    }

    fn cancel(&mut self, which: u8) {
        let Some((&token, &id)) = self.open.iter().nth(usize::from(which)) else {
            return;
        };
        let (cancelled, sent) = self.client.cancel(id).expect("it is in flight");
        assert_eq!(cancelled, token);
        if !sent {
            self.unsent.insert(token);
        }
        self.over(token, id);
        assert_eq!(self.client.cancel(id), None, "cancelled twice");
    }

    fn events(&mut self) {
        while let Some(event) = self.client.poll_event() {
            self.over(event.token, event.id);
        }
        assert_eq!(self.client.in_flight(), self.open.len());
    }

    fn pass(&mut self, time: Duration) {
        self.now += time;
        self.client.handle_timeout(self.now);
        self.events();
    }
}

fuzz_target!(|input: &[u8]| {
    let [first, seed, operations @ ..] = input else {
        return;
    };
    let mut world = World::new(first & 1 == 1, *seed);
    for (at, operation) in operations.iter().take(400).enumerate() {
        let argument = operation >> 3;
        match operation & 7 {
            0 | 1 => world.call(argument),
            2 => world.transmit(),
            3 => world.reply(argument),
            4 => world.cancel(argument),
            5 => world.pass(Duration::from_millis(u64::from(argument) * 40)),
            6 if argument == 0 => world.client.lost(),
            _ => world.receive(&operations[at..(at + usize::from(argument)).min(operations.len())]),
        }
        world.events();
    }
    world.pass(Duration::from_secs(3600));
    assert!(world.open.is_empty(), "a call with a deadline never ended");
});
