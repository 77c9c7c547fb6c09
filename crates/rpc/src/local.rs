//! Where the sockets of `ncalrpc` endpoints are: a name is an entry of one directory, never a path.
//!
//! The directory is `FARCALL_LOCAL_DIR` if that is set. Otherwise it is `/run/farcall` for the
//! superuser, and for others `farcall` in their `XDG_RUNTIME_DIR`, or failing that in a directory
//! of their own under the system's temporary one. A client looks there and then in `/run/farcall`.

use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

/// Where the superuser's servers are.
const SYSTEM: &str = "/run/farcall";

/// Longest name, in bytes: with any usual directory it fits a socket's address.
const LONGEST: usize = 64;

// req: dce-face-local-name
/// Whether a name may be an entry of the directory: nothing that leads elsewhere.
pub(crate) fn is_name(name: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    (1..=LONGEST).contains(&name.len()) && name.chars().all(plain) && !name.starts_with('.')
}

/// The directory of this user's servers.
fn directory() -> PathBuf {
    if let Some(named) = std::env::var_os("FARCALL_LOCAL_DIR") {
        return named.into();
    }
    let user = nix::unistd::geteuid();
    if user.is_root() {
        return SYSTEM.into();
    }
    match std::env::var_os("XDG_RUNTIME_DIR") {
        Some(runtime) => Path::new(&runtime).join("farcall"),
        None => std::env::temp_dir().join(format!("farcall-{user}")),
    }
}

/// Where a server listens by this name; the directory is made if it is not there.
pub(crate) fn to_listen(name: &str) -> io::Result<PathBuf> {
    let directory = directory();
    let made = std::fs::DirBuilder::new()
        .recursive(true)
        .mode(0o755)
        .create(&directory);
    made?;
    // What somebody else could change, somebody else could listen in.
    let found = std::fs::symlink_metadata(&directory)?;
    let owner = found.uid();
    let ours = owner == nix::unistd::geteuid().as_raw() || owner == 0;
    if !found.is_dir() || !ours || (found.mode() & 0o002) != 0 {
        let text = format!("{} is not a directory of ours alone", directory.display());
        return Err(io::Error::new(io::ErrorKind::PermissionDenied, text));
    }
    entry(&directory, name)
}

// req: dce-face-local-open
/// Lets every user of this machine connect, where the server is the superuser's: the kernel tells it who each of them is. Other users'
/// servers stay theirs.
pub(crate) fn open(path: &Path) -> io::Result<()> {
    match nix::unistd::geteuid().is_root() {
        true => std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o666)),
        false => Ok(()),
    }
}

/// Where a client looks for a server of this name, best first.
pub(crate) fn to_connect(name: &str) -> io::Result<Vec<PathBuf>> {
    let (own, system) = (directory(), PathBuf::from(SYSTEM));
    let mut ways = vec![entry(&own, name)?];
    if own != system {
        ways.push(entry(&system, name)?);
    }
    Ok(ways)
}

fn entry(directory: &Path, name: &str) -> io::Result<PathBuf> {
    match is_name(name) {
        true => Ok(directory.join(name)),
        false => Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            format!("'{name}' is no name of a local endpoint"),
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_never_leads_out_of_the_directory() {
        for name in ["echo", "EPMAPPER", "a.b-c_1"] {
            assert!(is_name(name), "{name}");
        }
        let long = "x".repeat(65);
        for name in [
            "", ".", "..", "../x", "a/b", "/run/x", "a\0b", "ä", ".hidden", &long,
        ] {
            assert!(!is_name(name), "{name}");
            assert!(to_connect(name).is_err());
        }
    }
}
