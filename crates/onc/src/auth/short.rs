//! `AUTH_SHORT`: handles that a server issues for `AUTH_SYS` credentials it has seen.
//!
//! Read first: RFC 5531 appendix A. A server may put a handle into the verifier of a reply; the client may then
//! send the handle instead of the whole credential. A server may forget handles at any time: it answers
//! `AUTH_REJECTEDCRED`, and the client sends the full credential again. A handle is worth no more than the
//! credential it stands for. Issuing is off unless a server asks for it.

use super::{AuthBlock, AuthStat, AuthSys, Flavor, OpaqueAuth};
use crate::seed::Seed;
use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// What the body of an `AUTH_SHORT` credential of ours is.
pub type Handle = [u8; 16];

/// How many handles are remembered, and how long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ShortConfig {
    /// Most handles at a time; the oldest makes room. Default 1024.
    pub capacity: usize,
    /// How long a handle is accepted after it was issued. Default one hour.
    pub ttl: Duration,
}

impl Default for ShortConfig {
    fn default() -> Self {
        Self {
            capacity: 1024,
            ttl: Duration::from_secs(3600),
        }
    }
}

/// The handles a server has issued.
#[derive(Debug)]
pub struct ShortTable {
    config: ShortConfig,
    seed: Seed,
    /// How many handles were drawn; each number is used once.
    drawn: u64,
    by_handle: HashMap<Handle, (Arc<AuthSys>, Instant), Seed>,
    by_credential: HashMap<Arc<AuthSys>, Handle, Seed>,
    /// Handles in the order in which they expire.
    order: VecDeque<(Handle, Instant)>,
}

impl ShortTable {
    /// An empty table; handles come from `seed`.
    #[must_use]
    pub fn new(config: ShortConfig, seed: Seed) -> Self {
        Self {
            config,
            drawn: 0,
            by_handle: HashMap::with_hasher(seed.clone()),
            by_credential: HashMap::with_hasher(seed.clone()),
            order: VecDeque::new(),
            seed,
        }
    }

    /// The handle for a credential: the one it has, or a new one. `None` if the capacity is 0.
    // req: onc-5531-a-short
    pub fn issue(&mut self, now: Instant, credential: &AuthSys) -> Option<Handle> {
        self.expire(now);
        if let Some(handle) = self.by_credential.get(credential) {
            return Some(*handle);
        }
        if self.config.capacity == 0 {
            return None;
        }
        while self.order.len() >= self.config.capacity {
            self.forget_oldest();
        }
        let expires = now.checked_add(self.config.ttl)?;
        let handle = self.fresh();
        let credential = Arc::new(credential.clone());
        self.by_credential.insert(Arc::clone(&credential), handle);
        self.by_handle.insert(handle, (credential, expires));
        self.order.push_back((handle, expires));
        Some(handle)
    }

    /// The credential that the body of an `AUTH_SHORT` credential stands for, if the handle is still known.
    #[must_use]
    pub fn accept(&self, now: Instant, body: &[u8]) -> Option<Arc<AuthSys>> {
        let handle = Handle::try_from(body).ok()?;
        let (credential, expires) = self.by_handle.get(&handle)?;
        (now < *expires).then(|| Arc::clone(credential))
    }

    /// Handles remembered now.
    #[must_use]
    pub fn len(&self) -> usize {
        self.order.len()
    }

    /// Whether no handle is remembered.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.order.is_empty()
    }

    /// Forgets every handle whose time is over.
    fn expire(&mut self, now: Instant) {
        while self
            .order
            .front()
            .is_some_and(|(_, expires)| *expires <= now)
        {
            self.forget_oldest();
        }
    }

    fn forget_oldest(&mut self) {
        let Some((handle, _)) = self.order.pop_front() else {
            return;
        };
        if let Some((credential, _)) = self.by_handle.remove(&handle) {
            self.by_credential.remove(&credential);
        }
    }

    /// 128 bits that were not drawn before.
    fn fresh(&mut self) -> Handle {
        let mut handle = Handle::default();
        for half in handle.as_chunks_mut::<8>().0 {
            self.drawn = self.drawn.wrapping_add(1);
            *half = self.seed.draw(self.drawn).to_be_bytes();
        }
        handle
    }
}

/// A client's side: its full credential, and the handle its server gave for it, if it did.
#[derive(Clone, Debug)]
pub struct Shortened {
    full: AuthBlock,
    short: Option<AuthBlock>,
}

impl Shortened {
    /// A client that has no handle yet.
    #[must_use]
    pub fn new(full: AuthBlock) -> Self {
        Self { full, short: None }
    }

    /// The full credential.
    #[must_use]
    pub fn full(&self) -> &AuthBlock {
        &self.full
    }

    /// Whether the next call goes with a handle.
    #[must_use]
    pub fn is_short(&self) -> bool {
        self.short.is_some()
    }

    /// What goes with the next call.
    #[must_use]
    pub fn block(&self) -> &AuthBlock {
        self.short.as_ref().unwrap_or(&self.full)
    }

    /// Takes note of the verifier of an accepted reply: it may hold a handle.
    pub fn learn(&mut self, verifier: OpaqueAuth<'_>) {
        if verifier.flavor == Flavor::SHORT && !verifier.body.is_empty() {
            self.short = AuthBlock::short(verifier.body).ok();
        }
    }

    /// Takes note of a refusal: whether the call should be sent again because only its handle was refused. A
    /// call that was denied has not been executed, so that is always safe.
    // req: onc-5531-a-fallback
    pub fn refused(&mut self, stat: AuthStat) -> bool {
        let handle = matches!(stat, AuthStat::REJECTEDCRED | AuthStat::BADCRED);
        handle && self.short.take().is_some()
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn credential(uid: u32) -> AuthSys {
        AuthSys {
            uid,
            ..AuthSys::default()
        }
    }

    fn table(capacity: usize) -> ShortTable {
        let config = ShortConfig {
            capacity,
            ttl: Duration::from_secs(60),
        };
        ShortTable::new(config, Seed::replay(1))
    }

    #[test]
    fn a_handle_stands_for_its_credential_until_it_expires() {
        let (mut table, now) = (table(8), Instant::now());
        let handle = table.issue(now, &credential(5)).unwrap();
        assert_eq!(table.issue(now, &credential(5)), Some(handle));
        assert_eq!(*table.accept(now, &handle).unwrap(), credential(5));
        assert_ne!(table.issue(now, &credential(6)), Some(handle));
        let later = now + Duration::from_secs(60);
        assert_eq!(table.accept(later, &handle), None);
        assert_ne!(table.issue(later, &credential(5)), Some(handle));
        assert_eq!(table.len(), 1);
    }

    #[test]
    fn the_oldest_makes_room() {
        let (mut table, now) = (table(2), Instant::now());
        let handles: Vec<_> = (0..3)
            .map(|uid| table.issue(now, &credential(uid)).unwrap())
            .collect();
        let known: Vec<_> = handles
            .iter()
            .map(|h| table.accept(now, h).map(|c| c.uid))
            .collect();
        assert_eq!((known, table.len()), (vec![None, Some(1), Some(2)], 2));
        assert_eq!(table.by_credential.len(), 2);
    }

    #[test]
    fn only_whole_handles_of_ours_are_known() {
        let (mut table, now) = (table(2), Instant::now());
        let mut handle = table.issue(now, &credential(1)).unwrap();
        assert_eq!(table.accept(now, &[]), None);
        assert_eq!(table.accept(now, handle.split_last().unwrap().1), None);
        *handle.first_mut().unwrap() ^= 1;
        assert_eq!(table.accept(now, &handle), None);
        assert_eq!(self::table(0).issue(now, &credential(1)), None);
    }

    #[test]
    fn a_client_falls_back_to_its_full_credential() {
        let full = AuthBlock::sys(&credential(5)).unwrap();
        let mut client = Shortened::new(full.clone());
        client.learn(OpaqueAuth::NONE);
        assert_eq!(*client.block(), full);
        assert!(
            !client.refused(AuthStat::REJECTEDCRED),
            "it was the full one"
        );
        client.learn(OpaqueAuth {
            flavor: Flavor::SHORT,
            body: b"handle",
        });
        assert_eq!(*client.block(), AuthBlock::short(b"handle").unwrap());
        assert!(!client.refused(AuthStat::TOOWEAK), "not the handle's fault");
        assert!(client.refused(AuthStat::REJECTEDCRED));
        assert_eq!(*client.block(), full);
    }
}
