//! File handles (RFC 1813, section 2.5, `nfs_fh3`): what a client holds of a file.
//!
//! A handle is 52 bytes: a format byte and three zeros, the export, the device (relative to the export's root, so that
//! it survives a renumbering of devices), the inode, the inode's birth time as its generation, and the first 16 bytes of a
//! BLAKE3 keyed hash over all of that. Without the key nobody can make one: what fails the check is `BADHANDLE`, what
//! passes but is gone is `STALE`. The handle of a file stays the same through renames and restarts and is the same for
//! all its hard links. It carries no path; how an inode is found again is the business of [`crate::tree`].
//!
//! Where a file system keeps no birth time the generation is 0, and an inode number that is used again makes an old
//! handle mean the new file.

use crate::status::Status;

/// Length of every handle we make, in bytes; the protocol allows 64.
pub const LENGTH: usize = 52;
const MAC: usize = 36;
const FORMAT: u8 = 1;

/// The secret that makes handles ours: 32 bytes, the same at every start of a server that keeps its state.
#[derive(Clone)]
pub struct Key([u8; 32]);

impl Key {
    /// Length of the secret, in bytes.
    pub const LENGTH: usize = 32;

    /// A key from its bytes, which must be random and secret.
    pub fn new(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The keyed hash of `bytes`, made distinct by what it is used for.
    pub(crate) fn hash(&self, purpose: &str, bytes: &[u8]) -> [u8; 32] {
        let mut hasher = blake3::Hasher::new_keyed(&self.0);
        hasher.update(purpose.as_bytes());
        hasher.update(&[0]);
        hasher.update(bytes);
        *hasher.finalize().as_bytes()
    }

    /// The first eight bytes of [`Key::hash`] as a number.
    pub(crate) fn number(&self, purpose: &str, bytes: &[u8]) -> u64 {
        let [a, b, c, d, e, f, g, h, ..] = self.hash(purpose, bytes);
        u64::from_be_bytes([a, b, c, d, e, f, g, h])
    }
}

impl std::fmt::Debug for Key {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Key(secret)")
    }
}

/// What a handle names: one inode of one export.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct FileId {
    /// The export it was reached through.
    pub export: u64,
    /// Device of the inode, relative to the device of the export's root (usually 0).
    pub device: u64,
    /// Inode number.
    pub inode: u64,
    /// Birth time of the inode in nanoseconds since 1970, 0 where there is none.
    pub generation: u64,
}

impl FileId {
    /// The handle for this file.
    pub fn seal(&self, key: &Key) -> [u8; LENGTH] {
        let mut handle = [0; LENGTH];
        let (body, mac) = handle.split_at_mut(MAC);
        body[0] = FORMAT;
        let words = [self.export, self.device, self.inode, self.generation];
        for (place, word) in body[4..].chunks_exact_mut(8).zip(words) {
            place.copy_from_slice(&word.to_be_bytes());
        }
        let hash = key.hash("handle", body);
        mac.copy_from_slice(&hash[..LENGTH - MAC]);
        handle
    }

    // req: nfs3-1813-2.5-handle
    /// What a handle from the network names.
    ///
    /// # Errors
    /// [`Status::BadHandle`] for anything that [`FileId::seal`] did not make with this key.
    pub fn open(handle: &[u8], key: &Key) -> Result<Self, Status> {
        let handle: &[u8; LENGTH] = handle.try_into().map_err(|_| Status::BadHandle)?;
        let (body, mac) = handle.split_at(MAC);
        let hash = key.hash("handle", body);
        if !same(mac, &hash[..LENGTH - MAC]) || body[0] != FORMAT {
            return Err(Status::BadHandle);
        }
        let mut words = body[4..].chunks_exact(8).map(|word| {
            word.iter()
                .fold(0_u64, |sum, byte| (sum << 8) | u64::from(*byte))
        });
        let mut word = || words.next().unwrap_or(0);
        Ok(Self {
            export: word(),
            device: word(),
            inode: word(),
            generation: word(),
        })
    }
}

/// Compares without telling by its time where the first difference is.
fn same(a: &[u8], b: &[u8]) -> bool {
    a.len() == b.len() && a.iter().zip(b).fold(0, |sum, (x, y)| sum | (x ^ y)) == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: FileId = FileId {
        export: 7,
        device: 0,
        inode: 4711,
        generation: 99,
    };

    #[test]
    fn a_handle_opens_with_its_key_only() {
        let key = Key::new([1; 32]);
        let handle = FILE.seal(&key);
        assert_eq!(FileId::open(&handle, &key), Ok(FILE));
        assert_eq!(
            FileId::open(&handle, &Key::new([2; 32])),
            Err(Status::BadHandle)
        );
    }

    #[test]
    fn every_length_but_one_is_refused() {
        let key = Key::new([1; 32]);
        let mut handle = FILE.seal(&key).to_vec();
        handle.extend([0; 12]);
        for length in (0..=64).filter(|length| *length != LENGTH) {
            assert_eq!(
                FileId::open(&handle[..length], &key),
                Err(Status::BadHandle),
                "{length}"
            );
        }
    }

    #[test]
    fn every_flipped_bit_is_refused() {
        let key = Key::new([1; 32]);
        let handle = FILE.seal(&key);
        for bit in 0..LENGTH * 8 {
            let mut forged = handle;
            forged[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(
                FileId::open(&forged, &key),
                Err(Status::BadHandle),
                "bit {bit}"
            );
        }
    }
}
