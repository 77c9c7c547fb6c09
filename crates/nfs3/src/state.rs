//! What the server remembers between two starts: the key of its handles, in `nfs3.key` of the state directory.
//!
//! The file holds the 32 bytes of the key and nothing else, is readable by its owner alone, is never reached through a
//! symbolic link, and comes into being whole or not at all. Nothing else needs to be kept: an inode's path is found
//! again by [`crate::tree`].

use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::Path;

use rustix::fs::OFlags;
use rustix::rand::{GetRandomFlags, getrandom};

use crate::handle::Key;

const FILE: &str = "nfs3.key";

/// The key kept in `directory`, made there if there is none yet.
///
/// # Errors
/// What the system says; [`io::ErrorKind::InvalidData`] for a file that cannot be our key or that others may read.
pub fn kept_key(directory: &Path) -> io::Result<Key> {
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(directory)?;
    match read(&directory.join(FILE)) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => make(directory),
        done => done,
    }
}

/// A key for one run of the server only.
///
/// # Errors
/// What the system's source of random bytes says.
pub fn fresh_key() -> io::Result<Key> {
    random().map(Key::new)
}

/// Random bytes from the system.
pub(crate) fn random<const N: usize>() -> io::Result<[u8; N]> {
    let mut bytes = [0; N];
    let mut filled = 0;
    while filled < N {
        filled += getrandom(&mut bytes[filled..], GetRandomFlags::empty())?;
    }
    Ok(bytes)
}

fn read(path: &Path) -> io::Result<Key> {
    let nofollow = OFlags::NOFOLLOW.bits() as i32;
    let file = OpenOptions::new()
        .read(true)
        .custom_flags(nofollow)
        .open(path)?;
    let about = file.metadata()?;
    if !about.is_file() || about.mode() & 0o077 != 0 {
        return Err(invalid(
            path,
            format!("mode is {:o}, expected a file with 600", about.mode()),
        ));
    }
    let mut bytes = Vec::new();
    file.take(Key::LENGTH as u64 + 1).read_to_end(&mut bytes)?;
    let length = bytes.len();
    let key = bytes.try_into().map_err(|_| {
        invalid(
            path,
            format!("it has {length} or more bytes, expected {}", Key::LENGTH),
        )
    })?;
    Ok(Key::new(key))
}

/// Writes a new key beside the place and links it in, so that of two servers starting at once one wins and both agree.
fn make(directory: &Path) -> io::Result<Key> {
    let place = directory.join(FILE);
    let draft = u64::from_be_bytes(random()?);
    let draft = directory.join(format!("{FILE}.{draft:016x}"));
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&draft)?;
    let written = file
        .write_all(&random::<{ Key::LENGTH }>()?)
        .and_then(|()| file.sync_all());
    let linked = written.and_then(|()| std::fs::hard_link(&draft, &place));
    std::fs::remove_file(&draft)?;
    match linked {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
        _ => File::open(directory)?.sync_all()?,
    }
    read(&place)
}

fn invalid(path: &Path, what: String) -> io::Error {
    let message = format!(
        "{} cannot be the key of our handles: {what}",
        path.display()
    );
    io::Error::new(io::ErrorKind::InvalidData, message)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt, symlink};

    use super::*;

    fn print(key: &Key) -> [u8; 32] {
        key.hash("test", b"")
    }

    #[test]
    fn the_key_is_made_once_and_kept() {
        let place = tempfile::tempdir().unwrap();
        let state = place.path().join("a/b");
        let first = kept_key(&state).unwrap();
        assert_eq!(print(&first), print(&kept_key(&state).unwrap()));
        assert_ne!(print(&first), print(&fresh_key().unwrap()));
        let mode = std::fs::metadata(state.join(FILE)).unwrap().mode();
        assert_eq!(mode & 0o7777, 0o600);
        assert_eq!(std::fs::read_dir(&state).unwrap().count(), 1);
    }

    #[test]
    fn a_doubtful_key_is_refused() {
        let place = tempfile::tempdir().unwrap();
        let file = place.path().join(FILE);
        kept_key(place.path()).unwrap();
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o644)).unwrap();
        assert_eq!(
            kept_key(place.path()).unwrap_err().kind(),
            io::ErrorKind::InvalidData
        );
        for length in [0, 31, 33] {
            std::fs::write(&file, vec![1; length]).unwrap();
            std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o600)).unwrap();
            assert_eq!(
                kept_key(place.path()).unwrap_err().kind(),
                io::ErrorKind::InvalidData
            );
        }
        std::fs::rename(&file, place.path().join("elsewhere")).unwrap();
        symlink("elsewhere", &file).unwrap();
        assert!(kept_key(place.path()).is_err());
    }
}
