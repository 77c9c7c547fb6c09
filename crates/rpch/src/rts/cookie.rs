//! Cookies: the names of virtual connections, channels and association groups.
//!
//! Read first: MS-RPCH section 2.2.3.1. Who knows a cookie can join a connection, so cookies are drawn from a secret
//! and compared in a time that does not depend on them.

use core::fmt;
use farcall_dce::seed::Seed;
use std::hash::{Hash, Hasher};

/// The name of a virtual connection, a channel or an association group: 16 bytes that nobody can guess.
#[derive(Clone, Copy)]
pub struct Cookie(pub [u8; 16]);

impl Cookie {
    /// The cookie that belongs to `index` under this seed.
    #[must_use]
    pub fn draw(seed: &Seed, index: u64) -> Self {
        let seed = seed.child(index);
        let mut bytes = [0; 16];
        for (half, part) in bytes.chunks_exact_mut(8).zip(0..) {
            half.copy_from_slice(&seed.draw(part).to_le_bytes());
        }
        Self(bytes)
    }
}

impl PartialEq for Cookie {
    fn eq(&self, other: &Self) -> bool {
        let difference = self.0.iter().zip(&other.0);
        std::hint::black_box(difference.fold(0, |sum, (a, b)| sum | (a ^ b))) == 0
    }
}

impl Eq for Cookie {}

impl Hash for Cookie {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.hash(state);
    }
}

/// The first four bytes only: a log must not let its reader join a connection.
impl fmt::Debug for Cookie {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c, d, ..] = self.0;
        write!(f, "{a:02x}{b:02x}{c:02x}{d:02x}…")
    }
}
