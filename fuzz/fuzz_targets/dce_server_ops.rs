//! Any bytes and any commands at a server's association: it answers whole PDUs, keeps its limits, and when it is closed
//! it says nothing more. The same bytes cut anywhere have the same answers.
#![no_main]

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use farcall_dce::co::group::Groups;
use farcall_dce::co::server::{
    Call, Endpoint, Event, Floor, Interface, ReplyError, Server, ServerConfig,
};
use farcall_dce::pdu::header::Header;
use farcall_dce::security::{Acceptor, Answer, AuthLevel, AuthType, Denied, Exchange, Principal};
use farcall_dce::security::{ProtectError, Protection, Query, Step};
use farcall_dce::seed::Seed;
use farcall_dce::syntax::{SyntaxId, Uuid};
use farcall_wire::TransmitQueue;
use libfuzzer_sys::fuzz_target;

/// A mechanism that the fuzzer drives by the first byte of each token.
struct Loose;

impl Acceptor for Loose {
    fn accept(&self, auth_type: AuthType, _level: AuthLevel) -> Option<Box<dyn Exchange>> {
        (auth_type.0 < 20).then(|| Box::new(Loose) as Box<dyn Exchange>)
    }

    fn principal_name(&self, _auth_type: AuthType) -> Option<String> {
        None
    }
}

impl Exchange for Loose {
    fn step(&mut self, token: &[u8]) -> Result<Step, Denied> {
        match token.first().map(|byte| byte & 3) {
            Some(0) => Ok(Step::Continue(vec![1; token.len()])),
            Some(1) => Ok(Step::Need(Query(Box::new(|| Box::new(()) as Answer)))),
            Some(2) => done(),
            _ => Err(Denied::new("no")),
        }
    }

    fn answer(&mut self, _answer: Answer) -> Result<Step, Denied> {
        done()
    }
}

fn done() -> Result<Step, Denied> {
    Ok(Step::Done {
        token: None,
        protection: Box::new(Shield(Principal::default())),
    })
}

/// Accepts what ends with an even byte.
struct Shield(Principal);

impl Protection for Shield {
    fn principal(&self) -> &Principal {
        &self.0
    }

    fn token_len(&self, _level: AuthLevel, _protected: usize) -> usize {
        16
    }

    fn protect(
        &mut self,
        _level: AuthLevel,
        pdu: &mut [u8],
        stub: std::ops::Range<usize>,
        _sign_header: bool,
        token: &mut [u8],
    ) -> Result<(), ProtectError> {
        assert!(stub.end <= pdu.len() && token.len() == 16);
        Ok(())
    }

    fn verify(
        &mut self,
        _level: AuthLevel,
        pdu: &mut [u8],
        stub: std::ops::Range<usize>,
        _sign_header: bool,
        token: &[u8],
    ) -> Result<(), ProtectError> {
        assert!(stub.start <= stub.end && stub.end <= pdu.len());
        match token.last().is_some_and(|byte| byte % 2 == 0) {
            true => Ok(()),
            false => Err(ProtectError::BadToken),
        }
    }

    fn session_key(&self) -> Option<&[u8]> {
        None
    }
}

const ECHO: SyntaxId = SyntaxId::new(Uuid::new(0x60a1_5ec5, 1, 2, [3; 8]), 1, 0);

fn endpoint() -> Arc<Endpoint> {
    Arc::new(Endpoint {
        config: ServerConfig {
            request: 4000,
            contexts: 4,
            auth_contexts: 3,
            in_flight: 4,
            ..ServerConfig::default()
        },
        interfaces: vec![Interface {
            id: ECHO,
            service: 0,
            floor: Floor::OPEN,
            pipes: &[1, 3],
        }],
        groups: Groups::new(Seed::replay(1)),
        acceptor: Some(Arc::new(Loose)),
    })
}

struct World {
    server: Server,
    now: Instant,
    calls: Vec<Call>,
    closed: bool,
    out: TransmitQueue,
}

impl World {
    fn new() -> Self {
        let now = Instant::now();
        Self {
            server: Server::new(endpoint(), now, &Seed::replay(2)),
            now,
            calls: Vec::new(),
            closed: false,
            out: TransmitQueue::new(),
        }
    }

    fn feed(&mut self, bytes: &[u8]) {
        let (batch, mut at) = (Bytes::copy_from_slice(bytes), 0);
        while let Some(event) = self
            .server
            .handle_bytes(self.now, &batch, &mut at, &mut self.out)
        {
            self.take(event);
        }
        assert_eq!(at, batch.len());
        assert!(self.server.in_flight() <= 4);
    }

    fn take(&mut self, event: Event) {
        assert!(!self.closed, "an event after the end");
        match event {
            Event::Call(call) => self.calls.push(call),
            Event::Ask(query) => {
                let answered = self.server.answer(self.now, (query.0)(), &mut self.out);
                if let Some(event) = answered {
                    self.take(event);
                }
            }
            Event::Close(_) => self.closed = true,
            _ => {}
        }
    }

    fn command(&mut self, number: u8) {
        if number & 0x80 != 0 {
            self.now += Duration::from_secs(u64::from(number & 0x3f));
            if let Some(event) = self.server.handle_timeout(self.now, &mut self.out) {
                self.take(event);
            }
            return;
        }
        if self.calls.is_empty() {
            return;
        }
        let call = self.calls.remove(usize::from(number) % self.calls.len());
        let stub = vec![number; usize::from(number) * 100];
        match number & 3 {
            0 => self.server.finish(&call.to),
            2 if number & 4 != 0 => {
                let _ = self.server.part(&call.to, &stub, &mut self.out);
                self.calls.push(call);
            }
            1 => drop(self.server.fault(&call.to, 5, true, &mut self.out)),
            _ => match self.server.reply(&call.to, &stub, &mut self.out) {
                Ok(()) | Err(ReplyError::NoCall) => {}
                Err(error) => panic!("{error}"),
            },
        }
    }

    /// What was said is whole PDUs.
    fn judge(&self) {
        let out = self.out.to_vec();
        let mut rest = &out[..];
        while !rest.is_empty() {
            let header = Header::parse(rest.first_chunk().expect("a header")).expect("a PDU");
            header.check().expect("ours");
            rest = &rest[usize::from(header.frag_length)..];
        }
    }
}

fuzz_target!(|input: &[u8]| {
    let Some((cut, script)) = input.split_first() else {
        return;
    };
    // Chunks: two bytes of length, the bytes, and a command.
    let (mut world, mut rest, mut stream) = (World::new(), script, Vec::new());
    while let [low, high, tail @ ..] = rest {
        let len = usize::from(u16::from_le_bytes([*low, *high])).min(tail.len());
        let (piece, tail) = tail.split_at(len);
        world.feed(piece);
        stream.extend_from_slice(piece);
        let Some((command, tail)) = tail.split_first() else {
            break;
        };
        world.command(*command);
        rest = tail;
    }
    world.judge();
    // Without commands, where the stream is cut makes no difference.
    let cut = usize::from(*cut) + 1;
    let (mut whole, mut pieces) = (World::new(), World::new());
    whole.feed(&stream);
    stream.chunks(cut).for_each(|piece| pieces.feed(piece));
    assert_eq!(whole.out.to_vec(), pieces.out.to_vec());
    assert_eq!(
        (whole.closed, whole.calls.len()),
        (pieces.closed, pieces.calls.len())
    );
});
