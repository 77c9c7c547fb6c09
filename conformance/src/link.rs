//! A simulated network: packets are lost, delayed, repeated and overtake each other, all from one seed.
//!
//! Nothing waits: the owner of the clock asks when the next packet arrives and moves its clock there. The same
//! seed gives the same run, so a failure replays.

use farcall_wire::Bytes;
use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::ops::Range;
use std::time::{Duration, Instant};

/// A small generator of pseudo-random numbers (SplitMix64), for simulations only.
#[derive(Clone, Debug)]
pub struct Dice(u64);

impl Dice {
    /// Dice that fall the same way for the same seed.
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// The next 64 bits.
    pub fn roll(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number below `bound`, which is not 0.
    pub fn below(&mut self, bound: u64) -> u64 {
        self.roll() % bound
    }

    /// True in `percent` of 100 rolls.
    pub fn chance(&mut self, percent: u64) -> bool {
        self.below(100) < percent
    }

    /// A duration within the range.
    pub fn within(&mut self, range: &Range<Duration>) -> Duration {
        let width = range.end.saturating_sub(range.start).as_nanos();
        let width = u64::try_from(width).unwrap_or(u64::MAX).max(1);
        range.start + Duration::from_nanos(self.below(width))
    }
}

/// What the network does to packets.
#[derive(Clone, Debug)]
pub struct Conditions {
    /// Packets of 100 that are lost.
    pub loss: u64,
    /// Packets of 100 that arrive twice.
    pub duplicate: u64,
    /// How long a packet travels; a wide range reorders.
    pub delay: Range<Duration>,
}

/// A packet that has arrived.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Packet<A> {
    /// Who sent it.
    pub from: A,
    /// To whom.
    pub to: A,
    /// What is in it.
    pub bytes: Bytes,
}

/// A packet on its way: when it arrives, its number, and itself.
type Flight<A> = Reverse<(Instant, u64, Packet<A>)>;

/// The network between any number of addresses of type `A`.
#[derive(Debug)]
pub struct Link<A> {
    conditions: Conditions,
    dice: Dice,
    flying: BinaryHeap<Flight<A>>,
    sent: u64,
    lost: u64,
}

impl<A: Clone + Ord> Link<A> {
    /// An idle network.
    pub fn new(conditions: Conditions, seed: u64) -> Self {
        Self {
            conditions,
            dice: Dice::new(seed),
            flying: BinaryHeap::new(),
            sent: 0,
            lost: 0,
        }
    }

    /// Sends a packet, which may arrive once, twice or never.
    pub fn send(&mut self, now: Instant, packet: Packet<A>) {
        if self.dice.chance(self.conditions.loss) {
            self.lost += 1;
            return;
        }
        if self.dice.chance(self.conditions.duplicate) {
            self.fly(now, packet.clone());
        }
        self.fly(now, packet);
    }

    fn fly(&mut self, now: Instant, packet: Packet<A>) {
        let arrives = now + self.dice.within(&self.conditions.delay);
        self.sent += 1;
        self.flying.push(Reverse((arrives, self.sent, packet)));
    }

    /// When the next packet arrives.
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.flying.peek().map(|Reverse((arrives, ..))| *arrives)
    }

    /// The next packet that has arrived by `now`.
    pub fn receive(&mut self, now: Instant) -> Option<Packet<A>> {
        if self.poll_timeout()? > now {
            return None;
        }
        self.flying.pop().map(|Reverse((_, _, packet))| packet)
    }

    /// Packets that were lost so far.
    pub fn lost(&self) -> u64 {
        self.lost
    }
}
