//! A directory in an order that holds still (RFC 1813, sections 3.3.16 and 3.3.17, on cookies).
//!
//! The cookie of an entry is a keyed hash of its name, and a listing is sorted by cookie. So a cookie means the same place
//! whatever is created, removed or renamed meanwhile, on every file system and after a restart of the server: an entry that is
//! neither renamed nor removed while a client lists is met exactly once. `.` has cookie 1, `..` has 2.
//!
//! A listing is kept while its directory's times stand, so that a large directory is not read anew for each page.

use std::collections::HashMap;
use std::mem::MaybeUninit;
use std::os::fd::AsFd;
use std::sync::{Arc, Mutex};

use rustix::fs::{OFlags, RawDir};

use crate::attr::{Attr, Time};
use crate::confine::reopen;
use crate::handle::{FileId, Key};
use crate::status::Status;
use crate::tree::lock;

/// How many listings are kept, and how many entries in all of them.
const KEPT: usize = 32;
const KEPT_ENTRIES: usize = 1 << 20;

/// One name of a directory.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Entry<'a> {
    /// The place after this entry.
    pub cookie: u64,
    /// Inode number.
    pub inode: u64,
    /// The name.
    pub name: &'a [u8],
}

/// All names of one directory at one time, `.` and `..` left out.
#[derive(Debug)]
pub struct Listing {
    times: (Time, Time),
    names: Vec<u8>,
    /// Cookie, inode, where the name starts and how long it is.
    entries: Vec<(u64, u64, usize, usize)>,
}

/// Listings that may be asked for again.
#[derive(Debug, Default)]
pub struct Listings(Mutex<HashMap<FileId, Arc<Listing>>>);

impl Listing {
    /// Reads a directory.
    ///
    /// # Errors
    /// What the system says.
    pub fn read(directory: impl AsFd, key: &Key) -> Result<Self, Status> {
        let attr = Attr::of(&directory)?;
        let file = reopen(directory, OFlags::RDONLY | OFlags::DIRECTORY)?;
        let mut listing = Self {
            times: (attr.mtime, attr.ctime),
            names: Vec::new(),
            entries: Vec::new(),
        };
        let mut buffer = [MaybeUninit::uninit(); 32 << 10];
        let mut reader = RawDir::new(&file, &mut buffer);
        while let Some(entry) = reader.next() {
            let entry = entry?;
            listing.add(entry.file_name().to_bytes(), entry.ino(), key);
        }
        listing.entries.sort_unstable();
        Ok(listing)
    }

    // req: nfs3-1813-3.3.16-cookie
    /// The entries after a cookie, in their order.
    pub fn after(&self, cookie: u64) -> impl Iterator<Item = Entry<'_>> {
        let from = self.entries.partition_point(|entry| entry.0 <= cookie);
        self.entries[from..]
            .iter()
            .map(|&(cookie, inode, start, length)| Entry {
                cookie,
                inode,
                name: &self.names[start..start + length],
            })
    }

    fn add(&mut self, name: &[u8], inode: u64, key: &Key) {
        if matches!(name, b"." | b"..") {
            return;
        }
        let start = self.names.len();
        self.names.extend_from_slice(name);
        self.entries
            .push((cookie(name, key), inode, start, name.len()));
    }
}

impl Listings {
    /// The listing of a directory for the page after `cookie`. The first page is always read anew.
    ///
    /// # Errors
    /// As [`Listing::read`].
    pub fn page(
        &self,
        id: FileId,
        directory: impl AsFd,
        attr: &Attr,
        cookie: u64,
        key: &Key,
    ) -> Result<Arc<Listing>, Status> {
        if cookie != 0 {
            let kept = lock(&self.0).get(&id).map(Arc::clone);
            if let Some(kept) = kept.filter(|kept| kept.times == (attr.mtime, attr.ctime)) {
                return Ok(kept);
            }
        }
        let listing = Arc::new(Listing::read(directory, key)?);
        self.keep(id, &listing);
        Ok(listing)
    }

    fn keep(&self, id: FileId, listing: &Arc<Listing>) {
        let mut kept = lock(&self.0);
        kept.remove(&id);
        let entries: usize = kept.values().map(|listing| listing.entries.len()).sum();
        if kept.len() >= KEPT || entries + listing.entries.len() > KEPT_ENTRIES {
            kept.clear();
        }
        if listing.entries.len() <= KEPT_ENTRIES {
            kept.insert(id, Arc::clone(listing));
        }
    }
}

/// 63 bits of hash, since some clients keep cookies in a signed number; above those of `.` and `..`.
fn cookie(name: &[u8], key: &Key) -> u64 {
    (key.number("cookie", name) >> 1).max(3)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_stays_is_met_exactly_once_whatever_happens_around_it() {
        let place = tempfile::tempdir().unwrap();
        let path = |name: &str| place.path().join(name);
        for n in 0..500 {
            std::fs::write(path(&format!("stay{n}")), b"").unwrap();
            std::fs::write(path(&format!("move{n}")), b"").unwrap();
        }
        let (key, directory) = (
            Key::new([3; 32]),
            std::fs::File::open(place.path()).unwrap(),
        );
        let (mut cookie, mut met, mut round) = (0, Vec::new(), 0);
        loop {
            let listing = Listing::read(&directory, &key).unwrap();
            let page: Vec<_> = listing.after(cookie).take(7).collect();
            let Some(last) = page.last() else { break };
            cookie = last.cookie;
            met.extend(page.iter().map(|entry| entry.name.to_vec()));
            std::fs::rename(path(&format!("move{round}")), path(&format!("new{round}"))).unwrap();
            std::fs::remove_file(path(&format!("move{}", 499 - round))).unwrap();
            round += 1;
        }
        let mut stayed: Vec<_> = met
            .iter()
            .filter(|name| name.starts_with(b"stay"))
            .collect();
        assert_eq!(stayed.len(), 500);
        stayed.sort();
        stayed.dedup();
        assert_eq!(stayed.len(), 500);
    }

    #[test]
    fn a_listing_is_kept_while_the_directory_stands() {
        let place = tempfile::tempdir().unwrap();
        std::fs::write(place.path().join("a"), b"").unwrap();
        let (key, listings) = (Key::new([3; 32]), Listings::default());
        let directory = std::fs::File::open(place.path()).unwrap();
        let id = FileId {
            export: 0,
            device: 0,
            inode: 1,
            generation: 0,
        };
        let attr = Attr::of(&directory).unwrap();
        let first = listings.page(id, &directory, &attr, 0, &key).unwrap();
        let second = listings.page(id, &directory, &attr, 5, &key).unwrap();
        assert!(Arc::ptr_eq(&first, &second));
        let later = Attr {
            mtime: Time {
                seconds: 1,
                nanoseconds: 0,
            },
            ..attr
        };
        assert!(!Arc::ptr_eq(
            &first,
            &listings.page(id, &directory, &later, 5, &key).unwrap()
        ));
    }
}
