//! Any bytes from a server, and any commands, at a client's association: each call ends exactly once, and what is sent
//! is whole PDUs.
#![no_main]

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use bytes::Bytes;
use farcall_dce::co::client::{CallId, Client, ClientConfig, Event, Pieces};
use farcall_dce::pdu::header::Header;
use farcall_dce::seed::Seed;
use farcall_dce::syntax::{SyntaxId, Uuid};
use farcall_wire::TransmitQueue;
use libfuzzer_sys::fuzz_target;

const ECHO: SyntaxId = SyntaxId::new(Uuid::new(0x60a1_5ec5, 1, 2, [3; 8]), 1, 0);

struct World {
    client: Client<u32>,
    now: Instant,
    next: u32,
    open: BTreeSet<u32>,
    ids: Vec<(CallId, u32)>,
    closed: bool,
    sent: Vec<u8>,
    /// The number of the last PDU sent: answers are patched to it, or the fuzzer would never guess one.
    call_id: u32,
}

impl World {
    fn over(&mut self, token: u32) {
        assert!(self.open.remove(&token), "call {token} ended twice");
    }

    fn note(&mut self, event: Event<u32>) {
        assert!(!self.closed, "an event after the end");
        match event {
            Event::Response { token, .. }
            | Event::Fault { token, .. }
            | Event::Ended { token, .. } => self.over(token),
            Event::Close(_) => self.closed = true,
            Event::Piece { .. } | Event::Bound(_) | Event::Ask(_) => {}
        }
    }

    fn drain(&mut self) {
        while let Some(event) = self.client.poll_event() {
            self.note(event);
        }
        let mut out = TransmitQueue::new();
        self.client.poll_transmit(&mut out);
        let bytes = out.to_vec();
        let mut rest = &bytes[..];
        while !rest.is_empty() {
            let header = Header::parse(rest.first_chunk().expect("a header")).expect("a PDU");
            header.check().expect("ours");
            self.call_id = header.call_id;
            rest = &rest[usize::from(header.frag_length)..];
        }
        self.sent.extend(bytes);
    }

    fn feed(&mut self, bytes: &[u8]) {
        let mut bytes = bytes.to_vec();
        if bytes.len() >= 16 && bytes[12] == 0 {
            bytes[12..16].copy_from_slice(&self.call_id.to_le_bytes());
        }
        let (batch, mut at) = (Bytes::from(bytes), 0);
        while let Some(event) = self.client.handle_bytes(self.now, &batch, &mut at) {
            self.note(event);
        }
    }

    fn command(&mut self, number: u8) {
        match number & 7 {
            0..=2 => {
                let stub = vec![number; usize::from(number) * 40];
                let deadline = (number & 8 != 0).then(|| self.now + Duration::from_secs(2));
                let context = u16::from(number >> 6);
                let token = self.next;
                let begun = self
                    .client
                    .call(self.now, context, 1, None, &stub, deadline, token);
                if let Ok(id) = begun {
                    self.next += 1;
                    self.open.insert(token);
                    self.ids.push((id, token));
                }
            }
            3 => {
                if let Some((id, token)) = self.ids.pop()
                    && let Some((own, _)) = self.client.cancel(id)
                {
                    assert_eq!(own, token);
                    self.over(token);
                }
            }
            4 => {
                self.now += Duration::from_secs(u64::from(number >> 4));
                self.client.handle_timeout(self.now);
            }
            5 => drop(self.client.alter(self.now, &[ECHO])),
            7 if number & 8 == 0 => {
                let (stub, token) = (vec![number; usize::from(number) * 40], self.next);
                let pieces = Pieces {
                    request: number & 16 != 0,
                    response: number & 32 != 0,
                };
                let begun = self
                    .client
                    .call_in_pieces(self.now, 0, 1, None, &stub, None, token, pieces);
                if let Ok(id) = begun {
                    self.next += 1;
                    self.open.insert(token);
                    self.ids.push((id, token));
                }
            }
            7 => {
                let open = self.ids.iter().find(|(id, _)| self.client.is_open(*id));
                if let Some((id, _)) = open.copied() {
                    let stub = vec![1; usize::from(number) * 20];
                    drop(self.client.more(id, &stub, number & 16 != 0));
                }
            }
            6 => drop(self.client.maybe(0, 1, None, b"hint")),
            _ => {}
        }
        self.drain();
        assert_eq!(self.client.in_flight(), self.open.len());
    }
}

fuzz_target!(|script: &[u8]| {
    let now = Instant::now();
    let config = ClientConfig {
        response: 10_000,
        in_flight: 8,
        ..ClientConfig::default()
    };
    let mut world = World {
        client: Client::new(config, now, &Seed::replay(1)),
        now,
        next: 0,
        open: BTreeSet::new(),
        ids: Vec::new(),
        closed: false,
        sent: Vec::new(),
        call_id: 0,
    };
    world.client.bind(now, &[ECHO], None);
    world.drain();
    let mut rest = script;
    while let [low, high, tail @ ..] = rest {
        let len = usize::from(u16::from_le_bytes([*low, *high & 0x0f])).min(tail.len());
        let (piece, tail) = tail.split_at(len);
        world.feed(piece);
        world.drain();
        let Some((command, tail)) = tail.split_first() else {
            break;
        };
        world.command(*command);
        rest = tail;
    }
    world.client.lost();
    world.drain();
    assert!(world.open.is_empty(), "calls that never ended");
});
