//! Secrets in memory: never shown, wiped when they go, compared in constant time.
//!
//! What is kept here is a key of 16 bytes or a password. Copies that cryptographic code makes on its stack are
//! wiped where that code is ours; what a library keeps inside is its own affair.

use std::fmt;

use subtle::{Choice, ConditionallySelectable, ConstantTimeEq};
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

/// A key of 16 bytes. Its `Debug` does not show it.
#[derive(Clone, Default)]
pub struct Key([u8; 16]);

impl Key {
    /// A key with these bytes.
    #[must_use]
    pub const fn new(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    /// Its bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }

    /// `first` or, where the choice is set, `second`, without a branch.
    pub(crate) fn select(first: &Self, second: &Self, choice: Choice) -> Self {
        let mut chosen = [0; 16];
        for ((to, a), b) in chosen.iter_mut().zip(&first.0).zip(&second.0) {
            *to = u8::conditional_select(a, b, choice);
        }
        Self(chosen)
    }
}

impl From<[u8; 16]> for Key {
    fn from(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }
}

impl ConstantTimeEq for Key {
    fn ct_eq(&self, other: &Self) -> Choice {
        self.0.ct_eq(&other.0)
    }
}

/// In constant time.
impl PartialEq for Key {
    fn eq(&self, other: &Self) -> bool {
        bool::from(self.ct_eq(other))
    }
}

impl Eq for Key {}

impl Drop for Key {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

impl ZeroizeOnDrop for Key {}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Key(..)")
    }
}

/// A password. Its `Debug` does not show it.
#[derive(Clone)]
pub struct Password(Zeroizing<String>);

impl Password {
    /// This password.
    #[must_use]
    pub fn new(text: String) -> Self {
        Self(Zeroizing::new(text))
    }

    /// Its text, for the mechanism that proves it.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl From<&str> for Password {
    fn from(text: &str) -> Self {
        Self::new(text.to_owned())
    }
}

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Password(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_secret_is_shown() {
        assert_eq!(format!("{:?}", Key::new([0x41; 16])), "Key(..)");
        assert_eq!(format!("{:?}", Password::from("hunter2")), "Password(..)");
    }

    #[test]
    fn a_choice_takes_one_key_whole() {
        let (a, b) = (Key::new([1; 16]), Key::new([2; 16]));
        assert_eq!(Key::select(&a, &b, Choice::from(0)), a);
        assert_eq!(Key::select(&a, &b, Choice::from(1)), b);
        assert_ne!(a, b);
    }
}
