//! Where keys lie: the entries of a cache of tickets and of a keytab, read.
//!
//! Read first: the formats of MIT's library, "Credential cache file format" (version 4) and "Keytab file format" (version 2). Both are
//! read whole and never written; what cannot be read has no more entries.

use super::etype::SessionKey;

/// A ticket and the key that it is good with.
pub(super) struct Ticket<'a> {
    pub(super) ticket: &'a [u8],
    pub(super) key: SessionKey,
}

/// What is left of a file; numbers are big-endian.
struct Cursor<'a>(&'a [u8]);

impl<'a> Cursor<'a> {
    fn take(&mut self, len: usize) -> Option<&'a [u8]> {
        let (head, rest) = self.0.split_at_checked(len)?;
        self.0 = rest;
        Some(head)
    }

    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (head, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(*head)
    }

    fn u16(&mut self) -> Option<u16> {
        self.array().map(u16::from_be_bytes)
    }

    fn u32(&mut self) -> Option<u32> {
        self.array().map(u32::from_be_bytes)
    }

    /// A length of 32 bits and so many bytes.
    fn counted(&mut self) -> Option<&'a [u8]> {
        let len = usize::try_from(self.u32()?).ok()?;
        self.take(len)
    }

    /// A length of 16 bits and so many bytes.
    fn short(&mut self) -> Option<&'a [u8]> {
        let len = usize::from(self.u16()?);
        self.take(len)
    }

    /// A principal of a cache.
    fn principal(&mut self) -> Option<()> {
        self.u32()?;
        let components = self.u32()?;
        self.counted()?;
        for _ in 0..components {
            self.counted()?;
        }
        Some(())
    }

    /// Addresses or authorization data of a cache: each has a type.
    fn typed(&mut self) -> Option<()> {
        for _ in 0..self.u32()? {
            self.u16()?;
            self.counted()?;
        }
        Some(())
    }
}

/// The tickets in a cache of version 4.
pub(super) fn tickets(cache: &[u8]) -> Vec<Ticket<'_>> {
    let mut cursor = Cursor(cache);
    let mut found = Vec::new();
    if cursor.u16() == Some(0x0504) && cursor.short().is_some() && cursor.principal().is_some() {
        while let Some(ticket) = ticket(&mut cursor) {
            found.push(ticket);
        }
    }
    found
}

fn ticket<'a>(cursor: &mut Cursor<'a>) -> Option<Ticket<'a>> {
    cursor.principal()?;
    cursor.principal()?;
    let etype = i32::from(cursor.u16()?);
    let key = SessionKey::new(etype, cursor.counted()?);
    // Four times, whether it is a key of a user, flags.
    cursor.take(16)?;
    cursor.take(1)?;
    cursor.take(4)?;
    cursor.typed()?;
    cursor.typed()?;
    let ticket = cursor.counted()?;
    cursor.counted()?;
    Some(Ticket { ticket, key })
}

/// The keys in a keytab of version 2.
pub(super) fn keys(keytab: &[u8]) -> Vec<SessionKey> {
    let mut cursor = Cursor(keytab);
    let mut found = Vec::new();
    if cursor.u16() != Some(0x0502) {
        return found;
    }
    while let Some(len) = cursor.u32() {
        // A negative length is that of a hole.
        let len = len.cast_signed();
        let Some(entry) = usize::try_from(len.unsigned_abs())
            .ok()
            .and_then(|len| cursor.take(len))
        else {
            break;
        };
        if len > 0 {
            found.extend(key(entry));
        }
    }
    found
}

fn key(entry: &[u8]) -> Option<SessionKey> {
    let mut cursor = Cursor(entry);
    let components = cursor.u16()?;
    cursor.short()?;
    for _ in 0..components {
        cursor.short()?;
    }
    // Type of the name, time, version.
    cursor.take(9)?;
    let etype = i32::from(cursor.u16()?);
    Some(SessionKey::new(etype, cursor.short()?))
}

#[cfg(test)]
#[allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects
)]
mod tests {
    use super::*;

    fn counted(bytes: &[u8]) -> Vec<u8> {
        let len = u32::try_from(bytes.len()).unwrap();
        [&len.to_be_bytes()[..], bytes].concat()
    }

    /// By hand after the format: `a@R` has a ticket for `s@R`.
    fn cache() -> Vec<u8> {
        let principal = |name: &[u8]| {
            let head = [0, 0, 0, 1, 0, 0, 0, 1];
            [&head[..], &counted(b"R"), &counted(name)].concat()
        };
        let mut cache = vec![5, 4, 0, 12, 0, 1, 0, 8, 0, 0, 0, 0, 0, 0, 0, 0];
        cache.extend(principal(b"a"));
        cache.extend(principal(b"a"));
        cache.extend(principal(b"s"));
        cache.extend([0, 18]);
        cache.extend(counted(&[9; 32]));
        cache.extend([0; 21]);
        // One address, no authorization data.
        cache.extend([0, 0, 0, 1, 0, 2]);
        cache.extend(counted(&[127, 0, 0, 1]));
        cache.extend([0; 4]);
        cache.extend(counted(b"the ticket"));
        cache.extend(counted(b""));
        cache
    }

    /// By hand after the format: a hole, then the key of `s@R`.
    fn keytab() -> Vec<u8> {
        let mut entry = vec![
            0, 1, 0, 1, b'R', 0, 1, b's', 0, 0, 0, 1, 0, 0, 0, 0, 3, 0, 23, 0, 16,
        ];
        entry.extend([7; 16]);
        entry.extend([0, 0, 0, 3]);
        let mut keytab = vec![5, 2, 0xff, 0xff, 0xff, 0xfe, 0, 0];
        keytab.extend(counted(&entry));
        keytab
    }

    #[test]
    fn tickets_and_keys_are_found() {
        let cache = cache();
        let tickets = tickets(&cache);
        assert_eq!(tickets.len(), 1);
        assert_eq!(tickets[0].ticket, b"the ticket");
        assert_eq!(tickets[0].key.bytes(), [9; 32]);
        let keys = keys(&keytab());
        assert_eq!(keys.len(), 1);
        assert_eq!((keys[0].etype(), keys[0].bytes()), (23, &[7; 16][..]));
    }

    #[test]
    fn what_is_cut_off_has_no_more_entries() {
        let (cache, keytab) = (cache(), keytab());
        for len in 0..cache.len() {
            assert!(tickets(&cache[..len]).is_empty(), "{len}");
        }
        for len in 0..keytab.len() {
            assert!(keys(&keytab[..len]).is_empty(), "{len}");
        }
        let huge = [&[5, 4, 0, 0, 0, 0, 0, 1][..], &[0xff; 64]].concat();
        assert!(tickets(&huge).is_empty());
    }
}
