//! Any sequence of calls, duplicates, replies and time: against a model that remembers
//! everything, the cache never executes twice what it still knows, replays only the reply of the
//! same call, and keeps to its budget.
#![no_main]

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use farcall_onc::auth::OpaqueAuth;
use farcall_onc::drc::{Begin, Drc, DrcConfig, Layer, Origin, Principal, Ticket};
use farcall_onc::msg::{CallHeader, Framing};
use farcall_onc::seed::Seed;
use farcall_wire::Bytes;
use libfuzzer_sys::fuzz_target;

/// What the model knows of a call.
enum Known {
    InProgress(Ticket, u32),
    Done(Option<Bytes>, Instant),
}

const CONFIG: DrcConfig = DrcConfig {
    bytes: 4096,
    reply: 300,
    ttl: Duration::from_secs(10),
    in_progress: 5,
    port: farcall_onc::drc::PortPolicy::Datagrams,
};

struct World {
    drc: Drc<u32>,
    now: Instant,
    calls: BTreeMap<u8, Known>,
    evicted: u64,
    transport: u32,
}

impl World {
    /// Call number `which` (of 32 that differ in xid, user or arguments) comes in.
    fn begin(&mut self, which: u8) {
        let header = CallHeader {
            xid: u32::from(which & 7),
            program: 7,
            version: 1,
            procedure: 1,
            credential: OpaqueAuth::NONE,
            verifier: OpaqueAuth::NONE,
        };
        let principal = Principal::Unix {
            uid: u32::from(which >> 3 & 1),
            gid: 0,
        };
        let origin = Origin::Inet(([127, 0, 0, 1], 700).into());
        let arguments = [which >> 4];
        let key = self.drc.key(
            origin,
            Framing::Stream,
            Layer::PLAIN,
            principal,
            &header,
            &arguments,
        );
        self.transport += 1;
        let to = self.transport;
        match (self.drc.begin(self.now, key, to), self.calls.remove(&which)) {
            (Begin::New(ticket), known) => {
                assert!(self.may_be_forgotten(known.as_ref()), "executed twice");
                self.calls.insert(which, Known::InProgress(ticket, to));
            }
            (Begin::InProgress, Some(Known::InProgress(ticket, _))) => {
                self.calls.insert(which, Known::InProgress(ticket, to));
            }
            (Begin::Replay(reply), Some(Known::Done(Some(kept), at))) => {
                assert_eq!(reply, kept, "the reply of another call");
                self.calls.insert(which, Known::Done(Some(kept), at));
            }
            (Begin::Silent, Some(Known::Done(None, at))) => {
                self.calls.insert(which, Known::Done(None, at));
            }
            (Begin::NotKept, Some(Known::Done(Some(reply), at))) => {
                assert!(reply.len() > CONFIG.reply);
                self.calls.insert(which, Known::Done(Some(reply), at));
            }
            (Begin::Full, known) => {
                let busy = self
                    .calls
                    .values()
                    .filter(|known| matches!(known, Known::InProgress(..)));
                assert!(busy.count() >= CONFIG.in_progress);
                assert!(self.may_be_forgotten(known.as_ref()));
            }
            (begin, _) => panic!("{begin:?} does not fit what happened before"),
        }
    }

    /// Whether the cache may take a call for new.
    fn may_be_forgotten(&self, known: Option<&Known>) -> bool {
        match known {
            None => true,
            Some(Known::InProgress(..)) => false,
            Some(Known::Done(_, at)) => {
                self.drc.counters().evicted > 0 || self.now >= *at + CONFIG.ttl
            }
        }
    }

    fn finish(&mut self, which: u8, length: Option<usize>) {
        let Some(Known::InProgress(ticket, to)) = self.take_in_progress(which) else {
            return;
        };
        let reply = length.map(|length| Bytes::from(vec![which; length]));
        assert_eq!(
            self.drc.finish(self.now, ticket, reply.clone()),
            Some(to),
            "the newest way"
        );
        self.calls.insert(which, Known::Done(reply, self.now));
    }

    fn abort(&mut self, which: u8) {
        let Some(Known::InProgress(ticket, to)) = self.take_in_progress(which) else {
            return;
        };
        assert_eq!(self.drc.abort(ticket), Some(to));
    }

    fn take_in_progress(&mut self, which: u8) -> Option<Known> {
        let known = self.calls.get(&which)?;
        matches!(known, Known::InProgress(..)).then(|| self.calls.remove(&which))?
    }
}

fuzz_target!(|operations: &[u8]| {
    let seed = Seed::replay(1);
    let (drc, now) = (Drc::new(CONFIG, seed), Instant::now());
    let mut world = World {
        drc,
        now,
        calls: BTreeMap::new(),
        evicted: 0,
        transport: 0,
    };
    for operation in operations.iter().take(600) {
        let which = operation & 31;
        match operation >> 5 {
            0..=2 => world.begin(which),
            3 => world.finish(which, Some(usize::from(which) * 4)),
            4 => world.finish(which, Some(280 + usize::from(which))),
            5 => world.finish(which, None),
            6 => world.abort(which),
            _ => {
                world.now += Duration::from_millis(u64::from(which) * 200);
                world.drc.handle_timeout(world.now);
            }
        }
        assert!(
            world.drc.bytes() <= CONFIG.bytes,
            "{} bytes",
            world.drc.bytes()
        );
        assert!(world.drc.counters().evicted >= world.evicted);
        world.evicted = world.drc.counters().evicted;
        assert!(
            world
                .drc
                .poll_timeout()
                .is_none_or(|at| at <= world.now + CONFIG.ttl)
        );
    }
});
