//! Randomness as an argument: a secret that a state machine gets when it is made.
//!
//! From one [`Seed`] come start values, unguessable handles and keyed hash tables. A test that passes the same
//! seed sees the same run. What it yields must not protect secrets: it is keyed SipHash, not a cipher.

use std::hash::{BuildHasher, DefaultHasher, Hasher};

/// 256 secret bits that all randomness of one state machine comes from.
#[derive(Clone)]
pub struct Seed([u8; 32]);

impl Seed {
    /// A seed of these bytes, which should come from the operating system.
    #[must_use]
    pub fn new(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// A seed for a test or a simulation: `number` repeats the whole run.
    #[must_use]
    pub fn replay(number: u64) -> Self {
        let mut bytes = [0; 32];
        for (to, from) in bytes.iter_mut().zip(number.to_be_bytes()) {
            *to = from;
        }
        Self(bytes)
    }

    /// The pseudo-random number that belongs to `index` under this seed.
    #[must_use]
    pub fn draw(&self, index: u64) -> u64 {
        let mut hasher = self.build_hasher();
        hasher.write_u64(index);
        hasher.finish()
    }

    /// A seed for a part of the machine, the part's number being `index`.
    #[must_use]
    pub fn child(&self, index: u64) -> Self {
        let mut bytes = [0; 32];
        for (word, part) in bytes.chunks_exact_mut(8).zip(0_u64..) {
            let mut hasher = self.build_hasher();
            hasher.write_u64(index);
            hasher.write_u64(part);
            word.copy_from_slice(&hasher.finish().to_le_bytes());
        }
        Self(bytes)
    }
}

impl std::fmt::Debug for Seed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Seed(..)")
    }
}

/// A hash table keyed by a seed cannot be flooded by whoever chooses its keys.
impl BuildHasher for Seed {
    type Hasher = DefaultHasher;

    fn build_hasher(&self) -> DefaultHasher {
        let mut hasher = DefaultHasher::new();
        hasher.write(&self.0);
        hasher
    }
}
