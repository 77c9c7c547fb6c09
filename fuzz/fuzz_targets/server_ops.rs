//! Any sequence of registrations, removals, handles and calls: the server answers each call as a
//! model does that knows RFC 5531 by heart.
#![no_main]

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use farcall_onc::auth::{AuthBlock, AuthStat, AuthSys};
use farcall_onc::auth::{ShortConfig, ShortTable};
use farcall_onc::msg::{self, Framing, ReplyBody, Target};
use farcall_onc::seed::Seed;
use farcall_onc::server::{Accepts, Admission, Caller, Registry};
use farcall_wire::{Padding, TransmitQueue};
use libfuzzer_sys::fuzz_target;

const TTL: Duration = Duration::from_secs(5);

struct World {
    registry: Registry,
    served: BTreeSet<(u32, u32)>,
    handles: ShortTable,
    /// Handles that were issued, to whom, and until when they hold.
    issued: Vec<([u8; 16], u32, Instant)>,
    now: Instant,
}

impl World {
    fn insert(&mut self, program: u32, version: u32) {
        let done = self
            .registry
            .insert(program, version, Accepts::ANY, version as usize);
        assert_eq!(done.is_ok(), self.served.insert((program, version)));
    }

    fn remove(&mut self, program: u32, version: u32) {
        assert_eq!(
            self.registry.remove(program, version),
            self.served.remove(&(program, version))
        );
    }

    fn issue(&mut self, uid: u32) {
        let user = AuthSys {
            stamp: 0,
            machine: b"vm".to_vec(),
            uid,
            gid: 0,
            gids: Vec::new(),
        };
        let handle = self
            .handles
            .issue(self.now, &user)
            .expect("a table with room");
        let known = self.issued.iter().any(|(other, ..)| *other == handle);
        if !known {
            self.issued.push((handle, uid, self.now + TTL));
        }
        assert!(self.handles.len() <= 4);
    }

    fn call(&self, target: Target, handle: Option<usize>) {
        let handle = handle.and_then(|at| self.issued.get(at));
        let auth = match handle {
            Some((handle, ..)) => AuthBlock::short(handle).expect("short"),
            None => AuthBlock::none(),
        };
        let mut queue = TransmitQueue::new();
        msg::encode_call(&mut queue, Framing::Datagram, 9, target, &auth, &()).expect("short");
        let message = queue.to_vec();
        let accept = |body: &[u8]| self.handles.accept(self.now, body);
        let admission = self.registry.admit(&message, Framing::Stream, accept);
        if let Some((_, uid, until)) = handle {
            if admission == rejected() {
                return;
            }
            assert!(self.now < *until, "a handle outlived its time");
            if let Admission::Call(call) = &admission {
                assert!(matches!(&call.caller, Caller::Short(user) if user.uid == *uid));
            }
        }
        self.judge(target, &admission);
    }

    fn judge(&self, target: Target, admission: &Admission<'_>) {
        let Target {
            program,
            version,
            procedure,
        } = target;
        let served = || {
            self.served
                .range((program, 0)..=(program, u32::MAX))
                .map(|row| row.1)
        };
        let expected = match (served().min(), served().max()) {
            (Some(low), Some(high)) if !self.served.contains(&(program, version)) => {
                Some(ReplyBody::ProgMismatch { low, high })
            }
            (None, _) => Some(ReplyBody::ProgUnavail),
            _ => None,
        };
        match (admission, expected) {
            (Admission::Answer { xid: 9, body }, Some(expected)) => assert_eq!(*body, expected),
            (Admission::Null { xid: 9, service }, None) => {
                assert_eq!((procedure, *service), (0, version as usize));
            }
            (Admission::Call(call), None) => assert_eq!(call.service, version as usize),
            (admission, expected) => panic!("{admission:?}, expected {expected:?}"),
        }
    }
}

fn rejected() -> Admission<'static> {
    Admission::Answer {
        xid: 9,
        body: ReplyBody::AuthError(AuthStat::REJECTEDCRED),
    }
}

fuzz_target!(|operations: &[u8]| {
    let config = ShortConfig {
        capacity: 4,
        ttl: TTL,
    };
    let mut world = World {
        registry: Registry::new(Padding::Compatible),
        served: BTreeSet::new(),
        handles: ShortTable::new(config, Seed::replay(3)),
        issued: Vec::new(),
        now: Instant::now(),
    };
    for pair in operations.chunks_exact(2).take(300) {
        let (program, version) = (u32::from(pair[1] >> 4), u32::from(pair[1] & 15));
        let target = Target {
            program,
            version,
            procedure: u32::from(pair[0] >> 3 & 1),
        };
        match pair[0] & 7 {
            0 | 1 => world.insert(program, version),
            2 => world.remove(program, version),
            3 => world.issue(program),
            4 => world.now += Duration::from_millis(u64::from(pair[1]) * 20),
            5 => world.call(target, Some(usize::from(pair[0] >> 4))),
            _ => world.call(target, None),
        }
    }
});
