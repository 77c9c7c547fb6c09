//! The export list: from a handle or a path to the export meant (RFC 1813, appendix I, for the paths).

use std::net::IpAddr;

use farcall_onc::auth::Flavor;

use crate::attr::Attr;
use crate::caller::{Caller, EXECUTE, User};
use crate::export::Export;
use crate::handle::{FileId, Key, LENGTH};
use crate::name::Name;
use crate::status::Status;

/// Longest path that MOUNT takes, in bytes (`MNTPATHLEN`).
pub const LONGEST_PATH: usize = 1024;

/// All that one server exports.
#[derive(Debug)]
pub struct Exports {
    key: Key,
    list: Vec<Export>,
}

impl Exports {
    /// A list whose handles are made with `key`.
    pub fn new(key: Key, list: Vec<Export>) -> Self {
        Self { key, list }
    }

    /// The exports in the order they were given.
    pub fn iter(&self) -> impl Iterator<Item = &Export> {
        self.list.iter()
    }

    /// The export and the file that a handle names, for a peer that may use them.
    ///
    /// # Errors
    /// [`Status::BadHandle`] for what we did not make, [`Status::Stale`] for an export that is no more,
    /// [`Status::Acces`] for a peer that the export is not for.
    pub fn open(&self, handle: &[u8], peer: Option<IpAddr>) -> Result<(&Export, FileId), Status> {
        let file = FileId::open(handle, &self.key)?;
        let export = self.list.iter().find(|export| export.id == file.export);
        let export = export.ok_or(Status::Stale)?;
        if !export.admits(peer) {
            return Err(Status::Acces);
        }
        Ok((export, file))
    }

    // req: nfs3-1813-i-mnt
    /// The handle for a path: an export's name, or that with the way to a directory below it.
    ///
    /// The caller must be able to search each directory on the way: a handle would otherwise be a way around them. Whoever
    /// comes with a flavour that the export does not take gets the handle too, as nobody in particular (RFC 2623 section
    /// 2.3.1: a client learns only from the answer which flavours there are); it opens nothing for him.
    ///
    /// # Errors
    /// [`Status::NoEnt`], [`Status::NotDir`]; [`Status::Acces`] for a peer or a user that may not, and for `..`.
    pub fn mount(
        &self,
        path: &[u8],
        peer: Option<IpAddr>,
        user: Option<User>,
        flavor: Flavor,
    ) -> Result<[u8; LENGTH], Status> {
        if path.len() > LONGEST_PATH {
            return Err(Status::NameTooLong);
        }
        let parts = || parts(path);
        let (export, depth) = self.covering(parts().collect::<Vec<_>>().as_slice())?;
        if !export.admits(peer) {
            return Err(Status::Acces);
        }
        let caller = export.caller(user.filter(|_| export.takes(flavor)));
        let mut file = export.root();
        for part in parts().skip(depth) {
            file = step(export, &caller, file, part)?;
        }
        let attr: Attr = export.getattr(file)?;
        attr.expect_directory()?;
        Ok(export.handle(file))
    }

    /// The export with the longest name that the path begins with, and how many parts that name has.
    fn covering(&self, path: &[&[u8]]) -> Result<(&Export, usize), Status> {
        let covers = |export: &&Export| parts(export.name()).zip(path).all(|(a, b)| a == *b);
        let depth = |export: &Export| parts(export.name()).count();
        self.list
            .iter()
            .filter(|export| depth(export) <= path.len())
            .filter(covers)
            .map(|export| (export, depth(export)))
            .max_by_key(|(_, depth)| *depth)
            .ok_or(Status::NoEnt)
    }
}

fn step(export: &Export, caller: &Caller, from: FileId, part: &[u8]) -> Result<FileId, Status> {
    let name = Name::entry(part, Status::Acces)?;
    let directory = export.find_directory(from)?;
    caller.expect(&directory.attr, EXECUTE)?;
    let child = export.child(&directory, name.as_bytes())?;
    child.attr.expect_directory()?;
    Ok(export.id_of(&child.attr))
}

/// The names of a path; a slash too many and `.` mean nothing.
fn parts(path: &[u8]) -> impl Iterator<Item = &[u8]> {
    path.split(|b| *b == b'/')
        .filter(|part| !matches!(*part, b"" | b"."))
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::caller::{Policy, Squash};
    use crate::export::Spec;
    use crate::network::Network;

    fn exports(directory: &Path, names: &[&str], key: u8) -> Exports {
        let key = Key::new([key; 32]);
        let export = |name: &&str| {
            let policy = Policy {
                as_caller: false,
                squash: Squash::Root,
                anonymous_uid: 1,
                anonymous_gid: 1,
            };
            let spec = Spec {
                directory: directory.to_owned(),
                name: name.as_bytes().to_vec(),
                read_only: false,
                networks: Network::LOOPBACK.to_vec(),
                flavors: vec![Flavor::SYS],
                policy,
            };
            Export::new(spec, &key, 0).unwrap()
        };
        Exports::new(key.clone(), names.iter().map(export).collect())
    }

    #[test]
    fn paths_lead_to_directories_of_the_longest_export() {
        let place = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(place.path().join("a/b")).unwrap();
        std::fs::write(place.path().join("f"), b"").unwrap();
        std::os::unix::fs::symlink("/etc", place.path().join("l")).unwrap();
        let exports = exports(place.path(), &["/", "/data"], 1);
        let mount = |path: &str| exports.mount(path.as_bytes(), None, None, Flavor::SYS);
        let export = |path| exports.open(&mount(path).unwrap(), None).unwrap().0.name();
        assert_eq!(export("/"), b"/");
        assert_eq!(export("//a/./b/"), b"/");
        assert_eq!(export("/data"), b"/data");
        assert_eq!(export("/data/a/b"), b"/data");
        assert_eq!(mount("/").unwrap(), mount("").unwrap());
        assert_ne!(mount("/").unwrap(), mount("/data").unwrap());
        assert_eq!(mount("/none"), Err(Status::NoEnt));
        assert_eq!(mount("/f"), Err(Status::NotDir));
        assert_eq!(mount("/l"), Err(Status::NotDir));
        assert_eq!(mount("/a/.."), Err(Status::Acces));
        assert_eq!(mount(&"/a".repeat(600)), Err(Status::NameTooLong));
    }

    #[test]
    fn handles_of_other_servers_and_foreign_peers_are_refused() {
        let place = tempfile::tempdir().unwrap();
        let ours = exports(place.path(), &["/"], 1);
        let handle = ours.mount(b"/", None, None, Flavor::SYS).unwrap();
        let far = Some("192.0.2.1".parse().unwrap());
        assert_eq!(ours.mount(b"/", far, None, Flavor::SYS), Err(Status::Acces));
        assert_eq!(ours.open(&handle, far).unwrap_err(), Status::Acces);
        assert!(
            ours.open(&handle, Some("127.0.0.9".parse().unwrap()))
                .is_ok()
        );
        let theirs = exports(place.path(), &["/"], 2);
        assert_eq!(theirs.open(&handle, None).unwrap_err(), Status::BadHandle);
        let renamed = exports(place.path(), &["/new"], 1);
        assert_eq!(renamed.open(&handle, None).unwrap_err(), Status::Stale);
        assert_eq!(
            renamed.mount(b"/other", None, None, Flavor::SYS),
            Err(Status::NoEnt)
        );
    }
}
