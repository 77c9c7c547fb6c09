//! The tickets of a credential, as bytes: the library writes them to a file of this process alone, which is read and removed.
//!
//! The file lies in memory where the system has a place for that, in a folder that nobody else may enter.

use std::fs::{self, DirBuilder};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use libgssapi::credential::{Cred, CredUsage};
use libgssapi::oid::GSS_MECH_KRB5;
use zeroize::Zeroizing;

/// Where a file is in memory.
const MEMORY: &str = "/dev/shm";

/// A folder of this process alone; it goes with this value.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Option<Self> {
        let mut random = [0; 16];
        getrandom::fill(&mut random).ok()?;
        let name: String = random.iter().map(|byte| format!("{byte:02x}")).collect();
        let places = [PathBuf::from(MEMORY), std::env::temp_dir()];
        places.iter().find_map(|place| {
            let path = place.join(format!("farcall-{name}"));
            let made = DirBuilder::new().mode(0o700).create(&path);
            made.is_ok().then(|| Self(path))
        })
    }

    fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// The cache of tickets of a credential; nothing if the library does not give it.
pub(super) fn of(credential: &Cred) -> Option<Zeroizing<Vec<u8>>> {
    let folder = Folder::new()?;
    let file = folder.path().join("tickets");
    let name = format!("FILE:{}", file.display());
    let (usage, mechanism) = (CredUsage::Initiate, Some(GSS_MECH_KRB5));
    let stored = credential.store_into(&name, true, false, usage, mechanism);
    stored.ok()?;
    fs::read(file).ok().map(Zeroizing::new)
}
