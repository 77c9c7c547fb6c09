//! A client and a server of the ONC core at the two ends of a simulated network.
//!
//! The server's procedure is not idempotent: it counts how often it ran for each argument. It takes a while, so
//! repetitions meet it in progress. Time is a value that the pair moves to the next instant at which anything
//! happens.

use crate::link::{Conditions, Dice, Link, Packet};
use core::net::SocketAddr;
use farcall_onc::auth::AuthBlock;
use farcall_onc::client::{CallError, CallId, Client, ClientConfig, Incoming};
use farcall_onc::drc::{Begin, Drc, DrcConfig, Layer, Origin, Principal, Ticket};
use farcall_onc::msg::{Framing, ReplyBody, Target, encode_refusal, encode_success};
use farcall_onc::seed::Seed;
use farcall_onc::server::{Accepts, Admission, Admitted, Registry};
use farcall_wire::{Bytes, Padding, TransmitQueue, xdr};
use std::collections::BTreeMap;
use std::ops::Range;
use std::time::{Duration, Instant};

/// The procedure that counts.
pub const COUNT: Target = Target {
    program: 0x2000_0001,
    version: 1,
    procedure: 7,
};

/// A procedure that is not there.
pub const MISSING: Target = Target {
    program: 0x2000_0002,
    version: 1,
    procedure: 7,
};

/// What one simulation is made of.
#[derive(Clone, Debug)]
pub struct Plan {
    /// What everything random comes from.
    pub seed: u64,
    /// The network.
    pub network: Conditions,
    /// How long the procedure takes.
    pub work: Range<Duration>,
    /// The server's duplicate request cache, if it has one.
    pub drc: Option<DrcConfig>,
    /// The client.
    pub client: ClientConfig,
    /// In how many of 1000 datagrams the client comes back with another socket first: from another port, and deaf to
    /// what was sent to the old one.
    pub reconnects: u64,
}

/// How a call ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// With this result.
    Result(u32),
    /// With this refusal.
    Refused(ReplyBody),
    /// Without a reply.
    TimedOut,
}

/// The server: registry, cache, and the procedure calls that run.
#[derive(Debug)]
struct Server {
    registry: Registry,
    drc: Option<Drc<SocketAddr>>,
    work: Range<Duration>,
    dice: Dice,
    running: Vec<Running>,
    /// How often the procedure ran for each argument.
    executed: BTreeMap<u32, u32>,
}

/// A call whose procedure runs.
#[derive(Debug)]
struct Running {
    until: Instant,
    xid: u32,
    argument: u32,
    ticket: Option<Ticket>,
    from: SocketAddr,
}

/// The pair and its clock.
#[derive(Debug)]
pub struct Pair {
    /// The instant it is.
    pub now: Instant,
    /// The client; the token is the call's argument.
    pub client: Client<u32>,
    link: Link<SocketAddr>,
    server: Server,
    ends: BTreeMap<u32, End>,
    /// The client's socket now.
    socket: SocketAddr,
    reconnects: u64,
    dice: Dice,
}

fn server_address() -> SocketAddr {
    SocketAddr::from(([192, 0, 2, 2], 2049))
}

impl Pair {
    /// A pair that has not spoken yet.
    pub fn new(plan: &Plan) -> Self {
        let mut registry = Registry::new(Padding::Strict);
        let inserted = registry.insert(COUNT.program, COUNT.version, Accepts::ANY, 0);
        inserted.expect("the registry was empty");
        let server = Server {
            registry,
            drc: plan
                .drc
                .map(|config| Drc::new(config, Seed::replay(plan.seed ^ 1))),
            work: plan.work.clone(),
            dice: Dice::new(plan.seed ^ 2),
            running: Vec::new(),
            executed: BTreeMap::new(),
        };
        Self {
            now: Instant::now(),
            client: Client::datagram(plan.client, server_address(), &Seed::replay(plan.seed ^ 3)),
            link: Link::new(plan.network.clone(), plan.seed ^ 4),
            server,
            ends: BTreeMap::new(),
            socket: SocketAddr::from(([192, 0, 2, 1], 700)),
            reconnects: plan.reconnects,
            dice: Dice::new(plan.seed ^ 5),
        }
    }

    /// Begins a call; how it ends is then found in [`ends`](Self::ends) under its argument.
    ///
    /// # Errors
    /// What the client refuses.
    pub fn call(
        &mut self,
        target: Target,
        argument: u32,
        within: Duration,
    ) -> Result<CallId, CallError> {
        let deadline = Some(self.now + within);
        self.client.call(
            self.now,
            target,
            &AuthBlock::none(),
            &argument,
            deadline,
            argument,
        )
    }

    /// Runs until nothing moves any more.
    ///
    /// # Panics
    /// When it never comes to rest.
    pub fn run(&mut self) {
        for _ in 0..10_000_000 {
            self.flush();
            let Some(next) = self.next_instant() else {
                return;
            };
            self.now = self.now.max(next);
            self.step();
        }
        panic!("ten million steps, and still no rest");
    }

    /// How each call ended, by its argument.
    pub fn ends(&self) -> &BTreeMap<u32, End> {
        &self.ends
    }

    /// How often the procedure ran for each argument.
    pub fn executed(&self) -> &BTreeMap<u32, u32> {
        &self.server.executed
    }

    /// Packets the network lost.
    pub fn lost(&self) -> u64 {
        self.link.lost()
    }

    /// The client's datagrams into the network.
    fn flush(&mut self) {
        while let Some(bytes) = self.client.poll_datagram() {
            if self.reconnects > 0 && self.dice.below(1000) < self.reconnects {
                // Ephemeral ports are used again, but not soon.
                let next = self.socket.port().checked_add(1).unwrap_or(1024);
                self.socket.set_port(next);
            }
            let packet = Packet {
                from: self.socket,
                to: server_address(),
                bytes,
            };
            self.link.send(self.now, packet);
        }
    }

    /// When anything happens next.
    fn next_instant(&self) -> Option<Instant> {
        let running = self.server.running.iter().map(|call| call.until).min();
        [
            self.link.poll_timeout(),
            self.client.poll_timeout(),
            running,
        ]
        .into_iter()
        .flatten()
        .min()
    }

    /// Everything that happens now.
    fn step(&mut self) {
        while let Some(packet) = self.link.receive(self.now) {
            if packet.to == server_address() {
                let answer = self.server.receive(self.now, &packet);
                self.reply(answer);
            } else if packet.to == self.socket {
                self.hear(&packet);
            }
        }
        while let Some(answer) = self.server.finish(self.now) {
            self.reply(Some(answer));
        }
        self.client.handle_timeout(self.now);
        while let Some(event) = self.client.poll_event() {
            self.end(event.token, End::TimedOut);
        }
    }

    fn reply(&mut self, answer: Option<(SocketAddr, Bytes)>) {
        if let Some((to, bytes)) = answer {
            self.link.send(
                self.now,
                Packet {
                    from: server_address(),
                    to,
                    bytes,
                },
            );
        }
    }

    fn hear(&mut self, packet: &Packet<SocketAddr>) {
        match self.client.handle_datagram(packet.from, &packet.bytes) {
            Incoming::Reply {
                token,
                header,
                results,
                ..
            } => {
                let end = match header.body {
                    ReplyBody::Success => End::Result(word(&packet.bytes[results..])),
                    body => End::Refused(body),
                };
                self.end(token, end);
            }
            Incoming::Ignored(_) => {}
            other => panic!("not expected: {other:?}"),
        }
    }

    fn end(&mut self, argument: u32, end: End) {
        let before = self.ends.insert(argument, end);
        assert_eq!(before, None, "call {argument} ended twice");
    }
}

impl Server {
    /// Takes a datagram; what it answers at once.
    fn receive(
        &mut self,
        now: Instant,
        packet: &Packet<SocketAddr>,
    ) -> Option<(SocketAddr, Bytes)> {
        match self
            .registry
            .admit(&packet.bytes, Framing::Datagram, |_| None)
        {
            Admission::Call(call) => self.begin(now, packet, &call),
            Admission::Answer { xid, body } => {
                let mut queue = TransmitQueue::new();
                encode_refusal(&mut queue, Framing::Datagram, xid, body);
                Some((packet.from, queue.to_vec().into()))
            }
            other => panic!("not expected: {other:?}"),
        }
    }

    fn begin(
        &mut self,
        now: Instant,
        packet: &Packet<SocketAddr>,
        call: &Admitted<'_>,
    ) -> Option<(SocketAddr, Bytes)> {
        let (from, args) = (packet.from, &packet.bytes[call.args..]);
        let begin = self.drc.as_mut().map(|drc| {
            let principal = Principal::from(&call.caller);
            let key = drc.key(
                Origin::Inet(from),
                Framing::Datagram,
                Layer::PLAIN,
                principal,
                &call.header,
                args,
            );
            drc.begin(now, key, from)
        });
        let ticket = match begin {
            None => None,
            Some(Begin::New(ticket)) => Some(ticket),
            Some(Begin::Replay(reply)) => return Some((from, reply)),
            Some(Begin::InProgress | Begin::Silent | Begin::NotKept | Begin::Full) => return None,
        };
        let until = now + self.dice.within(&self.work);
        self.running.push(Running {
            until,
            xid: call.header.xid,
            argument: word(args),
            ticket,
            from,
        });
        None
    }

    /// Ends a procedure call that is due, if there is one.
    fn finish(&mut self, now: Instant) -> Option<(SocketAddr, Bytes)> {
        let due = self.running.iter().position(|call| call.until <= now)?;
        let call = self.running.swap_remove(due);
        let count = self.executed.entry(call.argument).or_default();
        *count += 1;
        let mut queue = TransmitQueue::new();
        let encoded = encode_success(
            &mut queue,
            Framing::Datagram,
            call.xid,
            &(call.argument ^ *count),
        );
        encoded.expect("a number has no bounds");
        let reply = Bytes::from(queue.to_vec());
        let to = match (&mut self.drc, call.ticket) {
            (Some(drc), Some(ticket)) => drc.finish(now, ticket, Some(reply.clone()))?,
            _ => call.from,
        };
        Some((to, reply))
    }
}

/// The one word that is argument and result.
fn word(bytes: &[u8]) -> u32 {
    xdr::from_slice(bytes).expect("one word")
}
