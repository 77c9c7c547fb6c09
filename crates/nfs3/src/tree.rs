//! Where an inode is: from a handle back to a path, without any privilege.
//!
//! The tree remembers for each inode seen the directory it was seen in and its name there. These are hints only: whoever
//! follows one opens the path below the root and checks that the inode found is the one wanted. When there is no hint
//! or it has gone wrong (the server was started anew, someone renamed a directory behind its back), the exported
//! directory is searched, breadth first, and every entry met becomes a hint. A search is bounded in entries, runs alone,
//! and is followed by a pause four times as long as itself; who asks within a long pause is told to come again. A directory
//! that the server may enter but not read hides its files from a search.
//!
//! The memory taken is bounded too: at [`HINTS`] entries the hints of files are dropped; those of directories stay unless they are
//! too many themselves.

use std::collections::{HashMap, VecDeque};
use std::mem::MaybeUninit;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use rustix::fs::{OFlags, RawDir};
use rustix::io::Errno;

use crate::attr::Attr;
use crate::confine::{Beneath, reopen};

/// How many inodes are remembered before those of files are dropped.
pub const HINTS: usize = 1 << 20;
/// How many entries one search looks at before it gives up.
pub const SEARCHED: usize = 1 << 22;
/// How many names a path may have; the system's own limit on a path's length is met at about half of it.
const DEPTH: usize = 4096;
/// How many inodes known to be gone are remembered.
const GONE: usize = 1 << 16;
/// How long a finding of "gone" stands, at least.
const STANDS: Duration = Duration::from_secs(1);
/// The longest a caller is made to wait for the end of a pause.
const PATIENCE: Duration = Duration::from_millis(100);

/// An inode within the server.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct Ident {
    /// The file system.
    pub device: u64,
    /// Inode number.
    pub inode: u64,
}

impl From<&Attr> for Ident {
    fn from(attr: &Attr) -> Self {
        Self {
            device: attr.fsid,
            inode: attr.inode,
        }
    }
}

/// What a search says of an inode.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Found {
    /// It is there: its path relative to the root.
    At(Vec<u8>),
    /// It is nowhere in the export.
    Gone,
    /// There was a search just now; ask again in a moment.
    Later,
}

#[derive(Debug)]
struct Hint {
    parent: Ident,
    name: Box<[u8]>,
    directory: bool,
}

/// The hints of one export.
#[derive(Debug)]
pub struct Tree {
    root: Ident,
    hints: Mutex<HashMap<Ident, Hint>>,
    search: Mutex<Search>,
}

/// What is left of the last search.
#[derive(Debug, Default)]
struct Search {
    began: Option<Instant>,
    ended: Option<Instant>,
    complete: bool,
    gone: HashMap<Ident, Instant>,
}

impl Tree {
    /// A tree that knows its root only.
    pub fn new(root: &Attr) -> Self {
        let search = Mutex::default();
        Self {
            root: root.into(),
            hints: Mutex::default(),
            search,
        }
    }

    /// Remembers where a file was seen.
    pub fn note(&self, file: &Attr, parent: &Attr, name: &[u8]) {
        self.insert(file.into(), parent.into(), name, file.is_directory());
    }

    /// Forgets that `parent` has `file` under `name`.
    pub fn forget(&self, file: &Attr, parent: &Attr, name: &[u8]) {
        let mut hints = lock(&self.hints);
        let known = hints.get(&file.into());
        if known.is_some_and(|hint| hint.parent == parent.into() && *hint.name == *name) {
            hints.remove(&file.into());
        }
    }

    /// Remembers that a file has lost its last name, so that nobody searches for it.
    pub fn lost(&self, file: &Attr) {
        lock(&self.search).lose(file.into());
    }

    /// The path of an inode as far as is known; empty for the root.
    pub fn path(&self, file: Ident) -> Option<Vec<u8>> {
        let hints = lock(&self.hints);
        let mut names: Vec<&[u8]> = Vec::new();
        let mut at = file;
        while at != self.root {
            let hint = hints.get(&at)?;
            names.push(&hint.name);
            if names.len() > DEPTH {
                return None;
            }
            at = hint.parent;
        }
        names.reverse();
        Some(names.join(&b'/'))
    }

    /// Looks for an inode in the whole export; see the module for when.
    pub fn search(&self, beneath: &Beneath, wanted: Ident) -> Found {
        let asked = Instant::now();
        let mut search = lock(&self.search);
        if let Some(known) = search.answer(asked, wanted) {
            return match self.path(wanted) {
                // Another search met it while this one waited.
                Some(path) if known == Found::Gone => Found::At(path),
                _ => known,
            };
        }
        std::thread::sleep(search.rest());
        search.began = Some(Instant::now());
        let (found, complete) = self.walk(beneath, wanted);
        search.ended = Some(Instant::now());
        search.complete = complete;
        match found {
            Some(path) => Found::At(path),
            None => {
                search.lose(wanted);
                Found::Gone
            }
        }
    }

    /// Walks the export until the inode is met; also says whether all of it was seen.
    fn walk(&self, beneath: &Beneath, wanted: Ident) -> (Option<Vec<u8>>, bool) {
        let (mut seen, mut complete) = (0, true);
        let mut queue = VecDeque::from([(self.root, Vec::new())]);
        while let Some((directory, path)) = queue.pop_front() {
            let Ok(entries) = entries(beneath, &path) else {
                complete = false;
                continue;
            };
            for (name, attr) in entries {
                seen += 1;
                let file = Ident::from(&attr);
                self.insert(file, directory, &name, attr.is_directory());
                let place = join(&path, &name);
                if file == wanted {
                    return (Some(place), false);
                }
                if attr.is_directory() {
                    queue.push_back((file, place));
                }
            }
            if seen > SEARCHED {
                tracing::warn!(seen, "the search for an inode gave up");
                return (None, false);
            }
        }
        (None, complete)
    }

    fn insert(&self, file: Ident, parent: Ident, name: &[u8], directory: bool) {
        if file == self.root {
            return;
        }
        let mut hints = lock(&self.hints);
        if hints.len() >= HINTS {
            hints.retain(|_, hint| hint.directory);
            if hints.len() >= HINTS / 2 {
                hints.clear();
            }
        }
        hints.insert(
            file,
            Hint {
                parent,
                name: name.into(),
                directory,
            },
        );
    }
}

impl Search {
    /// What is known already, if a new search is not due.
    fn answer(&self, asked: Instant, wanted: Ident) -> Option<Found> {
        let stands = STANDS.max(self.rest());
        if self
            .gone
            .get(&wanted)
            .is_some_and(|since| since.elapsed() < stands)
        {
            return Some(Found::Gone);
        }
        // The last one began after the question and saw everything: what it did not meet was not there.
        if self.complete && self.began.is_some_and(|began| began >= asked) {
            return Some(Found::Gone);
        }
        (self.rest() > PATIENCE).then_some(Found::Later)
    }

    /// How much of the pause is left.
    fn rest(&self) -> Duration {
        let Some((began, ended)) = self.began.zip(self.ended) else {
            return Duration::ZERO;
        };
        let pause = ended.duration_since(began).saturating_mul(4);
        pause.saturating_sub(ended.elapsed())
    }

    fn lose(&mut self, file: Ident) {
        if self.gone.len() >= GONE {
            self.gone.clear();
        }
        self.gone.insert(file, Instant::now());
    }
}

/// What is in the directory at `path`, without `.` and `..` and without what is mounted there.
fn entries(beneath: &Beneath, path: &[u8]) -> Result<Vec<(Vec<u8>, Attr)>, Errno> {
    let named = beneath.open(path)?;
    let directory = reopen(&named, OFlags::RDONLY | OFlags::DIRECTORY)?;
    let mut buffer = [MaybeUninit::uninit(); 32 << 10];
    let mut reader = RawDir::new(&directory, &mut buffer);
    let mut found = Vec::new();
    while let Some(entry) = reader.next() {
        let entry = entry?;
        let name = entry.file_name().to_bytes();
        if matches!(name, b"." | b"..") {
            continue;
        }
        match Attr::at(&directory, name) {
            Ok(attr) if !attr.mount_root => found.push((name.to_vec(), attr)),
            _ => {}
        }
    }
    Ok(found)
}

/// A path with one more name.
pub fn join(path: &[u8], name: &[u8]) -> Vec<u8> {
    if path.is_empty() {
        return name.to_vec();
    }
    [path, name].join(&b'/')
}

/// The data stay whole whatever happened to another thread that held the lock.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ident(path: &std::path::Path) -> Ident {
        let parent = std::fs::File::open(path.parent().unwrap()).unwrap();
        let name = path.file_name().unwrap().as_encoded_bytes();
        Ident::from(&Attr::at(parent, name).unwrap())
    }

    #[test]
    fn an_inode_is_found_by_searching_and_then_known() {
        let place = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(place.path().join("a/b/c")).unwrap();
        std::fs::write(place.path().join("a/b/c/f"), b"").unwrap();
        let beneath = Beneath::new(place.path()).unwrap();
        let tree = Tree::new(beneath.attr());
        let file = ident(&place.path().join("a/b/c/f"));
        assert_eq!(tree.path(file), None);
        assert_eq!(tree.search(&beneath, file), Found::At(b"a/b/c/f".to_vec()));
        assert_eq!(tree.path(file), Some(b"a/b/c/f".to_vec()));
        assert_eq!(
            tree.path(ident(&place.path().join("a/b"))),
            Some(b"a/b".to_vec())
        );
        assert_eq!(tree.path(beneath.attr().into()), Some(Vec::new()));
    }

    #[test]
    fn what_is_gone_is_searched_for_once() {
        let place = tempfile::tempdir().unwrap();
        let beneath = Beneath::new(place.path()).unwrap();
        let tree = Tree::new(beneath.attr());
        let device = beneath.attr().fsid;
        let nowhere = Ident {
            device,
            inode: u64::MAX,
        };
        assert_eq!(tree.search(&beneath, nowhere), Found::Gone);
        assert_eq!(tree.search(&beneath, nowhere), Found::Gone);
        let other = Ident {
            device,
            inode: u64::MAX - 1,
        };
        assert_eq!(tree.search(&beneath, other), Found::Gone);
    }

    #[test]
    fn after_a_long_search_one_has_to_come_again() {
        let wanted = Ident {
            device: 1,
            inode: 1,
        };
        let now = Instant::now();
        let mut search = Search {
            began: now.checked_sub(Duration::from_secs(10)),
            ended: Some(now),
            ..Search::default()
        };
        assert_eq!(search.answer(now, wanted), Some(Found::Later));
        search.lose(wanted);
        assert_eq!(search.answer(now, wanted), Some(Found::Gone));
        let other = Ident {
            device: 1,
            inode: 2,
        };
        search.complete = true;
        let before = now.checked_sub(Duration::from_secs(11)).unwrap();
        assert_eq!(search.answer(before, other), Some(Found::Gone));
    }

    #[test]
    fn hints_in_a_circle_lead_nowhere() {
        let place = tempfile::tempdir().unwrap();
        let beneath = Beneath::new(place.path()).unwrap();
        let tree = Tree::new(beneath.attr());
        let (a, b) = (
            Ident {
                device: 1,
                inode: 1,
            },
            Ident {
                device: 1,
                inode: 2,
            },
        );
        tree.insert(a, b, b"a", true);
        tree.insert(b, a, b"b", true);
        assert_eq!(tree.path(a), None);
    }
}
