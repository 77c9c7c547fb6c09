//! How often one source may ask: a bucket of questions for each, which fills again.
//!
//! Addresses of datagrams can be forged. So a source that asks too often is not told so, it is not answered: what it
//! sent costs whoever owns the address nothing. The table of sources is bounded; sources that find no place in it
//! share one bucket.

use core::net::IpAddr;
use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

/// How often one source may ask.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    /// Questions per second, in the long run. 0: there is no limit.
    pub per_second: u32,
    /// Questions at once. At least 1.
    pub burst: u32,
}

impl Default for Rate {
    /// 100 per second, 500 at once: a host that mounts a hundred file systems does not notice.
    fn default() -> Self {
        Self {
            per_second: 100,
            burst: 500,
        }
    }
}

/// Most sources that have a bucket of their own.
const SOURCES: usize = 4096;

/// What sources may ask now.
#[derive(Debug)]
pub(crate) struct Buckets {
    rate: Rate,
    table: Mutex<Table>,
}

#[derive(Debug, Default)]
struct Table {
    own: HashMap<IpAddr, Bucket>,
    /// Of all sources that found no place.
    shared: Option<Bucket>,
}

/// How many questions there were, and when that was true. Questions leak out as time passes.
#[derive(Clone, Copy, Debug)]
struct Bucket {
    level: f64,
    at: Instant,
}

impl Bucket {
    fn level(&self, rate: Rate, now: Instant) -> f64 {
        let passed = now.saturating_duration_since(self.at).as_secs_f64();
        (self.level - passed * f64::from(rate.per_second)).max(0.0)
    }

    fn take(&mut self, rate: Rate, now: Instant) -> bool {
        let level = self.level(rate, now);
        let fits = level + 1.0 <= f64::from(rate.burst.max(1));
        (self.level, self.at) = (level + f64::from(u8::from(fits)), now);
        fits
    }
}

impl Buckets {
    pub(crate) fn new(rate: Rate) -> Self {
        Self {
            rate,
            table: Mutex::default(),
        }
    }

    /// Whether a question of `source` is to be answered; it is counted then.
    // req: onc-binder-rate
    pub(crate) fn take(&self, now: Instant, source: IpAddr) -> bool {
        if self.rate.per_second == 0 {
            return true;
        }
        let mut table = self.table.lock().unwrap_or_else(PoisonError::into_inner);
        let (rate, source) = (self.rate, network(source));
        if !table.own.contains_key(&source) && table.own.len() >= SOURCES {
            table.own.retain(|_, bucket| bucket.level(rate, now) > 0.0);
        }
        let empty = Bucket {
            level: 0.0,
            at: now,
        };
        let full = table.own.len() >= SOURCES && !table.own.contains_key(&source);
        let bucket = match full {
            true => table.shared.get_or_insert(empty),
            false => table.own.entry(source).or_insert(empty),
        };
        bucket.take(rate, now)
    }
}

/// What counts as one source: an IPv4 address, and the 64 bits of an IPv6 network, in which a host has its pick.
fn network(source: IpAddr) -> IpAddr {
    match source.to_canonical() {
        IpAddr::V6(six) => {
            let [a, b, c, d, ..] = six.segments();
            IpAddr::from([a, b, c, d, 0, 0, 0, 0])
        }
        four => four,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn address(text: &str) -> IpAddr {
        text.parse().expect(text)
    }

    #[test]
    fn a_source_has_its_burst_and_then_its_rate() {
        let rate = Rate {
            per_second: 2,
            burst: 3,
        };
        let (buckets, start) = (Buckets::new(rate), Instant::now());
        let take = |millis, source: &str| {
            buckets.take(start + Duration::from_millis(millis), address(source))
        };
        let burst: Vec<bool> = (0..5).map(|_| take(0, "192.0.2.1")).collect();
        assert_eq!(burst, [true, true, true, false, false]);
        assert!(take(0, "192.0.2.2"), "another source has its own");
        assert!(take(500, "192.0.2.1"), "half a second is one question");
        assert!(!take(500, "192.0.2.1"));
        assert!(take(60_000, "192.0.2.1"));
    }

    #[test]
    fn a_network_of_six_is_one_source_and_so_is_a_mapped_address() {
        let rate = Rate {
            per_second: 1,
            burst: 1,
        };
        let (buckets, now) = (Buckets::new(rate), Instant::now());
        assert!(buckets.take(now, address("2001:db8::1")));
        assert!(!buckets.take(now, address("2001:db8::2")));
        assert!(buckets.take(now, address("2001:db8:0:1::2")));
        assert!(buckets.take(now, address("192.0.2.1")));
        assert!(!buckets.take(now, address("::ffff:192.0.2.1")));
    }

    #[test]
    fn the_table_is_bounded_and_the_rest_share() {
        let rate = Rate {
            per_second: 1,
            burst: 2,
        };
        let (buckets, now) = (Buckets::new(rate), Instant::now());
        let numbered = |number: u32| IpAddr::from(number.to_be_bytes());
        for number in 0..4096 {
            assert!(buckets.take(now, numbered(0x0a00_0000 + number)));
        }
        assert!(buckets.take(now, numbered(0x0b00_0000)));
        assert!(buckets.take(now, numbered(0x0b00_0001)));
        assert!(!buckets.take(now, numbered(0x0b00_0002)));
        let len = || buckets.table.lock().expect("nobody panicked").own.len();
        assert_eq!(len(), 4096);
        let later = now + Duration::from_secs(5);
        assert!(buckets.take(later, numbered(0x0b00_0002)));
        assert_eq!(len(), 1, "idle ones make room");
    }

    #[test]
    fn no_rate_is_no_limit() {
        let rate = Rate {
            per_second: 0,
            burst: 0,
        };
        let (buckets, now) = (Buckets::new(rate), Instant::now());
        assert!((0..10_000).all(|_| buckets.take(now, address("192.0.2.1"))));
    }
}
