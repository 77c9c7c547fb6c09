//! Confinement: nothing outside the exported directory is ever opened.
//!
//! Every path starts at the descriptor of the export's root and is resolved by `openat2` with `RESOLVE_BENEATH`,
//! `RESOLVE_NO_SYMLINKS`, `RESOLVE_NO_MAGICLINKS` and `RESOLVE_NO_XDEV`; where the kernel has no such call, one component
//! at a time with `O_NOFOLLOW`. So no symbolic link is followed, no `..` is resolved by the kernel, and no file system
//! mounted below the root is entered, whatever others do to the directory meanwhile.
//!
//! Descriptors from here only name a file (`O_PATH`). Contents are reached by [`reopen`], which goes through
//! `/proc/self/fd` and therefore reaches that very inode.

use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use rustix::fs::{CWD, Mode, OFlags, ResolveFlags, openat, openat2};
use rustix::io::Errno;

use crate::attr::Attr;
use crate::status::Status;

/// How often a path is tried again when a rename came between (`openat2` says `EAGAIN`).
const TRIES: u32 = 16;

/// The directory that nothing leaves.
#[derive(Debug)]
pub struct Beneath {
    root: OwnedFd,
    attr: Attr,
    by_steps: AtomicBool,
}

impl Beneath {
    /// Opens the root. Symbolic links in this path are followed: it is the administrator's.
    ///
    /// # Errors
    /// What the system says; [`Errno::NOTDIR`] if it is no directory, [`Errno::NOSYS`] if `/proc` is not mounted.
    pub fn new(path: &Path) -> Result<Self, Errno> {
        let root = openat(CWD, path, naming() | OFlags::DIRECTORY, Mode::empty())?;
        let attr = Attr::of(&root).map_err(|_| Errno::IO)?;
        openat(
            CWD,
            own(root.as_fd()),
            naming() | OFlags::DIRECTORY,
            Mode::empty(),
        )
        .map_err(|_| Errno::NOSYS)?;
        Ok(Self {
            root,
            attr,
            by_steps: AtomicBool::new(false),
        })
    }

    /// Attributes of the root when it was opened.
    pub fn attr(&self) -> &Attr {
        &self.attr
    }

    /// A descriptor naming what is at `path`, relative to the root; the root itself for the empty path.
    /// A symbolic link at the end is named, not followed.
    ///
    /// # Errors
    /// What the system says; [`Errno::XDEV`] at a mount point, [`Errno::LOOP`] or [`Errno::NOTDIR`] at a symbolic link on the way.
    pub fn open(&self, path: &[u8]) -> Result<OwnedFd, Errno> {
        if path.is_empty() {
            return self.root.try_clone().map_err(|_| Errno::MFILE);
        }
        self.below(&self.root, path)
    }

    /// A descriptor naming the entry `name` of a directory below the root. `..` is refused here as everywhere.
    ///
    /// # Errors
    /// As [`Beneath::open`].
    pub fn child(&self, directory: impl AsFd, name: &[u8]) -> Result<OwnedFd, Errno> {
        self.below(directory, name)
    }

    /// Makes this root resolve component by component, as on a kernel without `openat2`.
    #[cfg(test)]
    pub(crate) fn resolve_by_steps(&self) {
        self.by_steps.store(true, Ordering::Relaxed);
    }

    fn below(&self, directory: impl AsFd, path: &[u8]) -> Result<OwnedFd, Errno> {
        if path
            .split(|b| *b == b'/')
            .any(|part| matches!(part, b"" | b"." | b".."))
        {
            return Err(Errno::XDEV);
        }
        if !self.by_steps.load(Ordering::Relaxed) {
            match at_once(directory.as_fd(), path) {
                Err(Errno::NOSYS) => self.by_steps.store(true, Ordering::Relaxed),
                Err(Errno::AGAIN) => {}
                done => return done,
            }
        }
        by_steps(directory.as_fd(), path)
    }
}

/// A second descriptor, for reading or writing, of exactly the inode that `file` names.
///
/// # Errors
/// What the system says of the permission. A pipe or a device is opened without waiting for its other end.
pub fn reopen(file: impl AsFd, flags: OFlags) -> Result<OwnedFd, Errno> {
    let flags = flags | OFlags::CLOEXEC | OFlags::NONBLOCK | OFlags::NOCTTY;
    openat(CWD, own(file.as_fd()), flags, Mode::empty())
}

/// The path by which the system knows one of our descriptors.
pub fn own(file: BorrowedFd<'_>) -> String {
    format!("/proc/self/fd/{}", file.as_raw_fd())
}

/// Refuses to enter what is mounted below the export.
///
/// # Errors
/// [`Status::Acces`].
pub fn expect_same_mount(attr: &Attr) -> Result<(), Status> {
    if attr.mount_root {
        Err(Status::Acces)
    } else {
        Ok(())
    }
}

fn naming() -> OFlags {
    OFlags::PATH | OFlags::CLOEXEC
}

fn at_once(directory: impl AsFd, path: &[u8]) -> Result<OwnedFd, Errno> {
    let resolve = ResolveFlags::BENEATH
        | ResolveFlags::NO_SYMLINKS
        | ResolveFlags::NO_MAGICLINKS
        | ResolveFlags::NO_XDEV;
    for _ in 0..TRIES {
        match openat2(
            &directory,
            path,
            naming() | OFlags::NOFOLLOW,
            Mode::empty(),
            resolve,
        ) {
            Err(Errno::AGAIN | Errno::INTR) => {}
            // Some sandboxes answer "not permitted" to calls they do not know.
            Err(Errno::PERM) => return Err(Errno::NOSYS),
            done => return done,
        }
    }
    Err(Errno::AGAIN)
}

fn by_steps(directory: impl AsFd, path: &[u8]) -> Result<OwnedFd, Errno> {
    let mut at = None;
    let mut parts = path.split(|b| *b == b'/').peekable();
    while let Some(part) = parts.next() {
        let mut flags = naming() | OFlags::NOFOLLOW;
        flags.set(OFlags::DIRECTORY, parts.peek().is_some());
        let next = match &at {
            None => openat(&directory, part, flags, Mode::empty())?,
            Some(open) => openat(open, part, flags, Mode::empty())?,
        };
        if Attr::of(&next).is_ok_and(|attr| attr.mount_root) {
            return Err(Errno::XDEV);
        }
        at = Some(next);
    }
    at.ok_or(Errno::NOENT)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    fn roots(path: &Path) -> [Beneath; 2] {
        let slow = Beneath::new(path).unwrap();
        slow.resolve_by_steps();
        [Beneath::new(path).unwrap(), slow]
    }

    #[test]
    fn only_what_is_beneath_opens() {
        let place = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(place.path().join("in/a/b")).unwrap();
        std::fs::write(place.path().join("in/a/b/f"), b"x").unwrap();
        std::fs::write(place.path().join("secret"), b"x").unwrap();
        for root in roots(&place.path().join("in")) {
            assert!(root.open(b"").is_ok());
            assert!(root.open(b"a").is_ok());
            assert!(root.open(b"a/b/f").is_ok());
            for path in [
                &b".."[..],
                b"../secret",
                b"a/../../secret",
                b"/etc",
                b"a//b",
                b".",
                b"a/b/..",
            ] {
                assert_eq!(root.open(path).unwrap_err(), Errno::XDEV, "{path:?}");
            }
            assert_eq!(root.open(b"a/none").unwrap_err(), Errno::NOENT);
            assert_eq!(root.open(b"a/b/f/x").unwrap_err(), Errno::NOTDIR);
        }
    }

    #[test]
    fn symbolic_links_are_named_and_never_followed() {
        let place = tempfile::tempdir().unwrap();
        std::fs::create_dir(place.path().join("in")).unwrap();
        symlink("/etc", place.path().join("in/abs")).unwrap();
        symlink("..", place.path().join("in/up")).unwrap();
        symlink("/proc/self/root", place.path().join("in/magic")).unwrap();
        for root in roots(&place.path().join("in")) {
            for link in ["abs", "up", "magic"] {
                let file = root.open(link.as_bytes()).unwrap();
                assert_eq!(Attr::of(&file).unwrap().kind, crate::attr::Kind::Symlink);
                let through = format!("{link}/passwd");
                let error = root.open(through.as_bytes()).unwrap_err();
                assert!(matches!(error, Errno::LOOP | Errno::NOTDIR), "{error:?}");
            }
        }
    }

    #[test]
    fn a_mounted_file_system_is_not_entered() {
        for root in roots(Path::new("/")) {
            assert_eq!(root.open(b"proc").unwrap_err(), Errno::XDEV);
            assert_eq!(root.open(b"proc/self").unwrap_err(), Errno::XDEV);
        }
    }

    #[test]
    fn reopening_reaches_the_same_inode_after_a_rename() {
        let place = tempfile::tempdir().unwrap();
        std::fs::write(place.path().join("f"), b"old").unwrap();
        let root = Beneath::new(place.path()).unwrap();
        let named = root.open(b"f").unwrap();
        std::fs::rename(place.path().join("f"), place.path().join("g")).unwrap();
        std::fs::write(place.path().join("f"), b"new").unwrap();
        let file = reopen(&named, OFlags::RDONLY).unwrap();
        let mut content = [0; 3];
        rustix::io::read(&file, &mut content[..]).unwrap();
        assert_eq!(&content, b"old");
    }
}
