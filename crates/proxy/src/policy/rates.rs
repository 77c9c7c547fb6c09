//! How often something was done: the state behind `rate`.
//!
//! Each rule and user, or source, has one number: the instant at which all that was done so far would be paid for at the rule's
//! rate (the generic cell rate algorithm). The table has a fixed size; where it is full, whoever is closest to having paid is
//! forgotten. It is found by a keyed hash, so that nobody can choose whom to push out. Two keys with one hash share a
//! number, which is rare and errs on the side of less.

use std::hash::{BuildHasher, Hasher, RandomState};
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};

use crate::config::value::{Per, Rate};
use crate::identity::Identity;

/// Entries of the default table; each takes 16 bytes.
pub const ENTRIES: usize = 1 << 16;

/// Entries that a key may be in.
const WAYS: usize = 8;

/// Parts of the table that are locked by themselves.
const SHARDS: usize = 64;

/// One key's number.
#[derive(Clone, Copy, Debug, Default)]
struct Entry {
    /// The keyed hash of rule and key; 0 for an entry that is free.
    key: u64,
    /// When all is paid for, in ticks.
    paid: u64,
}

/// How often what was done.
#[derive(Debug)]
pub struct Rates {
    hasher: RandomState,
    shards: Box<[Mutex<Box<[Entry]>>]>,
}

impl Default for Rates {
    fn default() -> Self {
        Self::new(ENTRIES)
    }
}

impl Rates {
    /// A table of about so many entries; it never grows.
    #[must_use]
    pub fn new(entries: usize) -> Self {
        let ways = (entries / SHARDS / WAYS).max(1).saturating_mul(WAYS);
        let shard = |_| Mutex::new(vec![Entry::default(); ways].into_boxed_slice());
        Self {
            hasher: RandomState::new(),
            shards: (0..SHARDS).map(shard).collect(),
        }
    }

    /// Does it once more, if `rate` lets it: `rule` is what the rule is called, `now` the ticks of the moment.
    pub(crate) fn take(
        &self,
        rule: &str,
        rate: &Rate,
        who: &Identity,
        source: IpAddr,
        now: u64,
    ) -> bool {
        let key = self.key(rule, rate.per, who, source);
        let period = u64::try_from(rate.period.as_nanos()).unwrap_or(u64::MAX);
        let cost = period
            .checked_div(u64::from(rate.count))
            .unwrap_or(period)
            .max(1);
        let Some(shard) = self.shards.get(spread(key, SHARDS)) else {
            return false;
        };
        let mut entries = shard.lock().unwrap_or_else(PoisonError::into_inner);
        let sets = entries.len() / WAYS;
        let from = spread(key.rotate_left(32), sets.max(1)).saturating_mul(WAYS);
        let Some(set) = entries.get_mut(from..from.saturating_add(WAYS)) else {
            return false;
        };
        let Some(entry) = find(set, key) else {
            return false;
        };
        let paid = entry.paid.max(now).saturating_add(cost);
        if paid.saturating_sub(now) > period {
            return false;
        }
        entry.paid = paid;
        true
    }

    fn key(&self, rule: &str, per: Per, who: &Identity, source: IpAddr) -> u64 {
        let mut hasher = self.hasher.build_hasher();
        hasher.write(rule.as_bytes());
        hasher.write_u8(0xff);
        match per {
            Per::Rule => {}
            Per::Source => hash_source(&mut hasher, source),
            Per::User if who.name.is_empty() => hash_source(&mut hasher, source),
            Per::User => {
                for text in [&who.domain, &who.name, &who.issuer] {
                    text.bytes()
                        .for_each(|byte| hasher.write_u8(byte.to_ascii_lowercase()));
                    hasher.write_u8(0xff);
                }
            }
        }
        hasher.finish().max(1)
    }
}

/// An address; of IPv6 the 64 bits that one site has.
fn hash_source(hasher: &mut impl Hasher, source: IpAddr) {
    match source.to_canonical() {
        IpAddr::V4(it) => hasher.write_u32(u32::from(it)),
        IpAddr::V6(it) => hasher.write_u128(u128::from(it) >> 64),
    }
}

fn spread(key: u64, over: usize) -> usize {
    let over = u64::try_from(over).unwrap_or(1).max(1);
    usize::try_from(key % over).unwrap_or(0)
}

/// The entry of a key in its set: its own, or that of whoever has paid first.
fn find(set: &mut [Entry], key: u64) -> Option<&mut Entry> {
    let own = set.iter().position(|it| it.key == key);
    let at = own.or_else(|| {
        let rank = |(_, it): &(usize, &Entry)| (it.key != 0, it.paid);
        set.iter().enumerate().min_by_key(rank).map(|(at, _)| at)
    })?;
    let entry = set.get_mut(at)?;
    if entry.key != key {
        *entry = Entry { key, paid: 0 };
    }
    Some(entry)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::identity::AuthKind;

    const SECOND: u64 = 1_000_000_000;

    fn who(name: &str) -> Identity {
        Identity::new(AuthKind::Ntlm, name.to_owned(), "DOM".to_owned())
    }

    fn rate(text: &str) -> Rate {
        text.parse().expect("a rate")
    }

    fn from(last: u8) -> IpAddr {
        [192, 0, 2, last].into()
    }

    #[test]
    fn so_many_pass_at_once_and_then_so_many_in_each_period() {
        let (rates, rate) = (Rates::new(64), rate("3 calls per minute"));
        let at = |now| rates.take("r", &rate, &who("a"), from(1), now * SECOND);
        assert_eq!(
            [at(1000), at(1000), at(1000), at(1000)],
            [true, true, true, false]
        );
        // One third of a minute pays for one more.
        assert_eq!([at(1019), at(1020), at(1020)], [false, true, false]);
        assert_eq!(
            [at(2000), at(2000), at(2000), at(2000)],
            [true, true, true, false]
        );
    }

    #[test]
    fn each_user_has_its_own_and_each_rule_too() {
        let (rates, rate) = (Rates::default(), rate("1 calls per day"));
        let take = |rule, name: &str, last| rates.take(rule, &rate, &who(name), from(last), 5);
        assert!(take("r", "a", 1) && take("r", "b", 1) && take("s", "a", 1));
        // Neither another address nor another spelling is another user.
        assert!(!take("r", "a", 2) && !take("r", "A", 1));
    }

    #[test]
    fn a_source_is_an_address_or_64_bits_of_one() {
        let (rates, rate) = (Rates::default(), rate("1 connections per hour per source"));
        let take = |text: &str| rates.take("r", &rate, &who("a"), text.parse().expect(text), 5);
        assert!(take("192.0.2.1") && take("192.0.2.2") && !take("::ffff:192.0.2.1"));
        assert!(take("2001:db8::1") && !take("2001:db8::2") && take("2001:db8:0:1::1"));
    }

    #[test]
    fn nobody_is_counted_by_source() {
        let (rates, rate) = (Rates::default(), rate("1 calls per hour per user"));
        let take = |last| rates.take("r", &rate, &Identity::anonymous(), from(last), 5);
        assert!(take(1) && take(2) && !take(1));
    }

    #[test]
    fn a_full_table_forgets_and_does_not_grow() {
        let (rates, rate) = (Rates::new(1), rate("1 calls per day per user"));
        for user in 0..100_000 {
            assert!(rates.take("r", &rate, &who(&user.to_string()), from(1), 5));
        }
        let held: usize = rates
            .shards
            .iter()
            .map(|it| it.lock().expect("not poisoned").len())
            .sum();
        assert_eq!(held, SHARDS * WAYS);
    }
}
