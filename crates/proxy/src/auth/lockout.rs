//! Lock-out: how often an account and a source may be wrong.
//!
//! Each has a bucket that wrong passwords fill and time empties; when it runs over, everything from there is refused for a while,
//! right passwords too. An attempt counts from its beginning, so that many at once are not cheaper than one after the other, and
//! is taken back when it succeeds. Accounts that do not exist have buckets like all others. What it takes of memory is bounded.

use std::collections::HashMap;
use std::hash::Hash;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use crate::config::Lockout as Settings;

/// Most accounts, and most sources, that are remembered.
const MOST: usize = 65_536;

/// Who was wrong how often.
#[derive(Debug)]
pub struct Lockout {
    settings: Settings,
    accounts: Mutex<Table<String>>,
    sources: Mutex<Table<IpAddr>>,
}

/// An attempt that has begun. Dropped without [`succeeded`](Attempt::succeeded), it was wrong.
#[derive(Debug)]
#[must_use]
pub struct Attempt {
    lockout: Arc<Lockout>,
    account: Option<String>,
    source: IpAddr,
}

/// An attempt is not even looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LockedOut {
    /// The account was wrong too often.
    Account,
    /// The source was.
    Source,
}

impl LockedOut {
    /// What is locked out, in a word.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Account => "account",
            Self::Source => "source",
        }
    }
}

impl Lockout {
    /// Nobody has been wrong yet.
    #[must_use]
    pub fn new(settings: &Settings) -> Arc<Self> {
        Arc::new(Self {
            settings: settings.clone(),
            accounts: Mutex::new(Table(HashMap::new())),
            sources: Mutex::new(Table(HashMap::new())),
        })
    }

    /// Begins an attempt of an account, where one is named, from a source.
    ///
    /// # Errors
    /// [`LockedOut`]; nothing may be checked then.
    pub fn begin(
        self: &Arc<Self>,
        account: Option<&str>,
        source: IpAddr,
        now: Instant,
    ) -> Result<Attempt, LockedOut> {
        let source = network_of(source);
        let account = account.map(str::to_lowercase);
        let settings = &self.settings;
        {
            let mut sources = self.sources.lock().unwrap_or_else(PoisonError::into_inner);
            if !sources.begin(&source, settings.per_source, settings, now) {
                return Err(LockedOut::Source);
            }
        }
        if let Some(account) = &account {
            let mut accounts = self.accounts.lock().unwrap_or_else(PoisonError::into_inner);
            if !accounts.begin(account, settings.per_account, settings, now) {
                return Err(LockedOut::Account);
            }
        }
        let lockout = Arc::clone(self);
        Ok(Attempt {
            lockout,
            account,
            source,
        })
    }
}

impl Attempt {
    /// It was right: it does not count, and what the account was wrong before is forgotten.
    pub fn succeeded(self) {
        let lockout = &self.lockout;
        let mut sources = lockout
            .sources
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        sources.take_back(&self.source);
        if let Some(account) = &self.account {
            let mut accounts = lockout
                .accounts
                .lock()
                .unwrap_or_else(PoisonError::into_inner);
            accounts.0.remove(account);
        }
    }
}

/// What counts as one source: an IPv4 address, the first 64 bits of an IPv6 address.
#[must_use]
pub fn network_of(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() >> 64 << 64).into(),
        address => address,
    }
}

#[derive(Debug)]
struct Bucket {
    level: f64,
    at: Instant,
    banned: Option<Instant>,
}

#[derive(Debug)]
struct Table<K>(HashMap<K, Bucket>);

impl<K: Eq + Hash + Clone> Table<K> {
    fn begin(&mut self, key: &K, limit: u32, settings: &Settings, now: Instant) -> bool {
        let rate = f64::from(limit) / settings.window.as_secs_f64().max(0.001);
        if !self.0.contains_key(key) && self.0.len() >= MOST {
            self.make_room(rate, now);
        }
        let bucket = self.0.entry(key.clone()).or_insert(Bucket {
            level: 0.0,
            at: now,
            banned: None,
        });
        if bucket.banned.is_some_and(|until| now < until) {
            return false;
        }
        let passed = now.saturating_duration_since(bucket.at).as_secs_f64();
        bucket.level = match bucket.banned.take() {
            Some(_) => 0.0,
            None => (bucket.level - passed * rate).max(0.0),
        };
        bucket.at = now;
        // Half an attempt more: what runs out between two attempts of the same moment does not count.
        if bucket.level + 1.0 > f64::from(limit) + 0.5 {
            bucket.banned = now.checked_add(settings.ban);
            return false;
        }
        bucket.level += 1.0;
        true
    }

    fn take_back(&mut self, key: &K) {
        if let Some(bucket) = self.0.get_mut(key) {
            bucket.level = (bucket.level - 1.0).max(0.0);
        }
    }

    /// Forgets whom there is nothing to remember of and, if that is nobody, who was wrong least.
    fn make_room(&mut self, rate: f64, now: Instant) {
        self.0.retain(|_, bucket| {
            let passed = now.saturating_duration_since(bucket.at).as_secs_f64();
            bucket.banned.is_some_and(|until| now < until) || bucket.level > passed * rate
        });
        if self.0.len() < MOST {
            return;
        }
        let weight = |bucket: &Bucket| (bucket.banned.is_some(), bucket.level);
        let least = self.0.iter().min_by(|(_, a), (_, b)| {
            weight(a)
                .partial_cmp(&weight(b))
                .unwrap_or(std::cmp::Ordering::Equal)
        });
        if let Some(key) = least.map(|(key, _)| key.clone()) {
            self.0.remove(&key);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn lockout(per_account: u32, per_source: u32) -> Arc<Lockout> {
        Lockout::new(&Settings {
            per_account,
            per_source,
            window: Duration::from_secs(100),
            ban: Duration::from_secs(1000),
        })
    }

    fn source(last: u8) -> IpAddr {
        [192, 0, 2, last].into()
    }

    /// How many of `count` wrong attempts were looked at.
    fn wrong(
        lockout: &Arc<Lockout>,
        account: &str,
        from: impl Fn(u8) -> IpAddr,
        count: u8,
        now: Instant,
    ) -> usize {
        let looked_at = |at: &u8| lockout.begin(Some(account), from(*at), now).is_ok();
        (0..count).filter(looked_at).count()
    }

    #[test]
    fn a_thousand_guesses_of_one_account_are_cut_whether_from_one_source_or_many() {
        let now = Instant::now();
        assert_eq!(wrong(&lockout(10, 50), "bob", |_| source(1), 250, now), 10);
        assert_eq!(wrong(&lockout(10, 50), "BOB", source, 250, now), 10);
    }

    #[test]
    fn one_source_that_tries_many_accounts_is_cut() {
        let (lockout, now) = (lockout(10, 50), Instant::now());
        let tried = (0..250).filter(|at| {
            lockout
                .begin(Some(&format!("user{at}")), source(1), now)
                .is_ok()
        });
        assert_eq!(tried.count(), 50);
        assert_eq!(
            lockout.begin(Some("other"), source(1), now).map(drop),
            Err(LockedOut::Source)
        );
        assert!(lockout.begin(Some("other"), source(2), now).is_ok());
    }

    #[test]
    fn who_is_right_stays_in_however_often() {
        let (lockout, now) = (lockout(3, 5), Instant::now());
        for _ in 0..100 {
            lockout
                .begin(Some("bob"), source(1), now)
                .expect("not locked out")
                .succeeded();
        }
    }

    #[test]
    fn a_right_password_does_not_help_who_is_locked_out_until_the_ban_ends() {
        let (lockout, now) = (lockout(3, 50), Instant::now());
        assert_eq!(wrong(&lockout, "bob", |_| source(1), 10, now), 3);
        let later = |seconds| now + Duration::from_secs(seconds);
        assert_eq!(
            lockout.begin(Some("bob"), source(2), later(999)).map(drop),
            Err(LockedOut::Account)
        );
        lockout
            .begin(Some("bob"), source(2), later(1001))
            .expect("free again")
            .succeeded();
    }

    #[test]
    fn wrong_passwords_are_forgotten_with_time() {
        let (lockout, now) = (lockout(10, 50), Instant::now());
        for at in 0..100 {
            let now = now + Duration::from_secs(at * 11);
            assert!(
                lockout.begin(Some("bob"), source(1), now).is_ok(),
                "attempt {at}"
            );
        }
    }

    #[test]
    fn addresses_of_one_network_of_64_bits_are_one_source() {
        let a = network_of("2001:db8::1".parse().expect("address"));
        assert_eq!(a, network_of("2001:db8::ffff:1".parse().expect("address")));
        assert_ne!(a, network_of("2001:db8:0:1::1".parse().expect("address")));
        assert_eq!(
            network_of("::ffff:192.0.2.1".parse().expect("address")),
            source(1)
        );
    }

    #[test]
    fn what_is_remembered_is_bounded() {
        let mut table = Table(HashMap::new());
        let (now, settings) = (Instant::now(), Settings::default());
        for key in 0..70_000_u32 {
            if key == 1 || key >= MOST as u32 {
                table.begin(&0, 1_000_000, &settings, now);
            }
            assert!(table.begin(&key, 1_000_000, &settings, now));
            assert!(table.0.len() <= MOST);
            if key > MOST as u32 + 10 {
                break;
            }
        }
        assert!(table.0.contains_key(&0), "who was wrong most is remembered");
    }
}
