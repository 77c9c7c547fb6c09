//! A string as XDR means it: bytes.
//!
//! [RFC 4506] section 4.11 speaks of ASCII, file names on the wire are whatever the server's
//! disk holds. So a [`Str`] keeps bytes and offers text: it prints lossily, compares with `&str`,
//! and converts to `&str` when it can.
//!
//! [RFC 4506]: https://www.rfc-editor.org/rfc/rfc4506#section-4.11

use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::ops::Deref;

use crate::cursor::copy;

/// A string of bytes that are usually text.
///
/// Up to [`Str::SHORT`] bytes lie in the value itself; only longer ones take memory.
#[derive(Clone)]
pub struct Str(Kept);

#[derive(Clone)]
enum Kept {
    /// Its length, its bytes, and zeros behind them.
    Short([u8; Str::SHORT + 1]),
    /// More than [`Str::SHORT`] bytes.
    Long(Vec<u8>),
}

impl Str {
    /// The longest string that takes no memory of its own, in bytes.
    pub const SHORT: usize = 15;

    /// The bytes.
    #[inline]
    pub fn as_bytes(&self) -> &[u8] {
        match &self.0 {
            // The optimiser sees that no length leads out of fifteen bytes.
            Kept::Short([len, bytes @ ..]) => {
                bytes.get(..usize::from(*len & 15)).unwrap_or_default()
            }
            Kept::Long(bytes) => bytes,
        }
    }

    /// A short string: its length, its bytes, and zeros behind them.
    #[inline]
    pub(crate) fn short(&self) -> Option<&[u8; Self::SHORT + 1]> {
        match &self.0 {
            Kept::Short(short) => Some(short),
            Kept::Long(_) => None,
        }
    }

    /// The text, if it is UTF-8.
    ///
    /// # Errors
    /// The first byte that is not UTF-8.
    pub fn as_str(&self) -> Result<&str, std::str::Utf8Error> {
        std::str::from_utf8(self.as_bytes())
    }

    /// Takes the last byte away.
    pub(crate) fn pop(&mut self) -> Option<u8> {
        match &mut self.0 {
            Kept::Short([len, bytes @ ..]) => {
                let left = len.checked_sub(1)?;
                let last = bytes.get_mut(usize::from(left))?;
                *len = left;
                Some(std::mem::take(last))
            }
            Kept::Long(bytes) => {
                let last = bytes.pop()?;
                if bytes.len() <= Self::SHORT {
                    *self = Self::from(bytes.as_slice());
                }
                Some(last)
            }
        }
    }

    /// The bytes in a vector; those of a long string are not copied.
    pub fn into_bytes(self) -> Vec<u8> {
        match self.0 {
            Kept::Long(bytes) => bytes,
            Kept::Short(_) => self.as_bytes().to_vec(),
        }
    }
}

impl Default for Str {
    fn default() -> Self {
        Self(Kept::Short([0; Self::SHORT + 1]))
    }
}

impl Deref for Str {
    type Target = [u8];
    #[inline]
    fn deref(&self) -> &[u8] {
        self.as_bytes()
    }
}

impl AsRef<[u8]> for Str {
    fn as_ref(&self) -> &[u8] {
        self
    }
}

impl From<&[u8]> for Str {
    #[inline]
    fn from(bytes: &[u8]) -> Self {
        match u8::try_from(bytes.len()) {
            Ok(len) if bytes.len() <= Self::SHORT => {
                let mut short = [0; Self::SHORT + 1];
                let [first, rest @ ..] = &mut short;
                *first = len;
                copy(rest.get_mut(..bytes.len()).unwrap_or_default(), bytes);
                Self(Kept::Short(short))
            }
            _ => Self(Kept::Long(bytes.to_vec())),
        }
    }
}

impl From<&str> for Str {
    fn from(text: &str) -> Self {
        Self::from(text.as_bytes())
    }
}

/// Takes the vector if it is long, and copies it out if it is short.
impl From<Vec<u8>> for Str {
    fn from(bytes: Vec<u8>) -> Self {
        match bytes.len() <= Self::SHORT {
            true => Self::from(bytes.as_slice()),
            false => Self(Kept::Long(bytes)),
        }
    }
}

impl From<String> for Str {
    fn from(text: String) -> Self {
        Self::from(text.into_bytes())
    }
}

impl PartialEq for Str {
    fn eq(&self, other: &Self) -> bool {
        self.as_bytes() == other.as_bytes()
    }
}

impl Eq for Str {}

impl PartialOrd for Str {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Str {
    fn cmp(&self, other: &Self) -> Ordering {
        self.as_bytes().cmp(other)
    }
}

impl Hash for Str {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.as_bytes().hash(state);
    }
}

impl PartialEq<str> for Str {
    fn eq(&self, other: &str) -> bool {
        self.as_bytes() == other.as_bytes()
    }
}

impl PartialEq<&str> for Str {
    fn eq(&self, other: &&str) -> bool {
        self.as_bytes() == other.as_bytes()
    }
}

impl fmt::Display for Str {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&String::from_utf8_lossy(self))
    }
}

impl fmt::Debug for Str {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{}\"", self.escape_ascii())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_and_long_strings_are_alike() {
        assert_eq!(size_of::<Str>(), size_of::<Vec<u8>>());
        for len in 0..40_usize {
            let text: String = ('a'..='z').cycle().take(len).collect();
            let (short, long) = (Str::from(text.as_str()), Str::from(text.clone()));
            assert_eq!(short, long);
            assert_eq!(short.cmp(&long), Ordering::Equal);
            assert_eq!(long.short().is_some(), len <= Str::SHORT);
            assert_eq!(short.to_string(), text);
            assert_eq!(short.clone().into_bytes(), text.as_bytes());
            assert!(short < Str::from(format!("{text}a")));
            let mut popped = Str::from(format!("{text}a"));
            assert_eq!(popped.pop(), Some(b'a'));
            assert_eq!(popped, short);
            assert_eq!(popped.short().is_some(), len <= Str::SHORT);
        }
        assert!(Str::default().is_empty());
        assert_eq!(Str::default().pop(), None);
    }
}
