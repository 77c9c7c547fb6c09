//! READDIR and READDIRPLUS (RFC 1813, sections 3.3.16 and 3.3.17).
//!
//! The cookie verifier is a constant of the key: our cookies never go stale, so it only tells them from another server's.
//! The counts a client gives are kept to the byte, with the sizes that XDR makes of an entry.

use std::os::fd::AsFd;

use super::{Outcome, TRANSFER, with};
use crate::attr::Attr;
use crate::caller::{Caller, EXECUTE, READ};
use crate::export::{Export, Node};
use crate::handle::{FileId, LENGTH};
use crate::listing::Entry;
use crate::status::Status;

/// What a reply without entries takes: status-independent attributes (4 + 84), verifier, end of list, end of directory.
const FRAME: usize = 88 + 8 + 4 + 4;
/// What an entry takes beside its name: the mark before it, inode, the name's length, cookie.
const ENTRY: usize = 4 + 8 + 4 + 8;
/// What READDIRPLUS adds: attributes (4 + 84) and handle with its mark and length.
const PLUS: usize = 88 + 8 + LENGTH;

/// Entries of a directory.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Page<E> {
    /// Attributes of the directory.
    pub attr: Attr,
    /// Goes with the cookies.
    pub verifier: [u8; 8],
    /// Cookie, inode and name of each entry, and what else the procedure gives.
    pub entries: Vec<(u64, u64, Vec<u8>, E)>,
    /// Whether these are the last.
    pub eof: bool,
}

/// Attributes and handle of an entry; none for what is not to be entered, or was removed just now.
pub type PlusEntry = Option<(FileId, Attr)>;

impl Export {
    // req: nfs3-1813-3.3.16-count
    /// Procedure 16: names after `cookie`, in a reply of at most `count` bytes.
    ///
    /// # Errors
    /// [`Status::NotDir`], [`Status::BadCookie`]; [`Status::TooSmall`] if not one entry fits.
    pub fn readdir(
        &self,
        caller: &Caller,
        directory: FileId,
        (cookie, verifier): (u64, [u8; 8]),
        count: u32,
    ) -> Outcome<Page<()>, Option<Attr>> {
        let node = self.find(directory)?;
        let most = count.min(TRANSFER) as usize;
        let page = self.page(caller, &node, (cookie, verifier), |used, name| {
            used.total + ENTRY + padded(name) <= most
        });
        let (entries, eof) = with(page, Some(node.attr))?;
        let entries = entries
            .into_iter()
            .map(|(cookie, inode, name)| (cookie, inode, name, ()))
            .collect();
        Ok(Page {
            attr: node.attr,
            verifier: self.cookies(),
            entries,
            eof,
        })
    }

    /// Procedure 17: names after `cookie` with attributes and handles: at most `names` bytes of names, inodes and cookies in a reply of
    /// at most `count` bytes.
    ///
    /// # Errors
    /// As [`Export::readdir`].
    pub fn readdirplus(
        &self,
        caller: &Caller,
        directory: FileId,
        (cookie, verifier): (u64, [u8; 8]),
        names: u32,
        count: u32,
    ) -> Outcome<Page<PlusEntry>, Option<Attr>> {
        let node = self.find(directory)?;
        let (names, most) = (names as usize, count.min(TRANSFER) as usize);
        let page = self.page(caller, &node, (cookie, verifier), |used, name| {
            let total = used.total + used.entries * PLUS + ENTRY + PLUS + padded(name);
            let first = used.entries == 0;
            total <= most && (first || used.names + ENTRY + padded(name) <= names)
        });
        let (entries, eof) = with(page, Some(node.attr))?;
        let sees = caller.expect(&node.attr, EXECUTE).is_ok();
        let entries = entries
            .into_iter()
            .map(|(cookie, inode, name)| {
                let plus = if sees { self.plus(&node, &name) } else { None };
                (
                    cookie,
                    plus.map_or(inode, |(_, attr)| attr.inode),
                    name,
                    plus,
                )
            })
            .collect();
        Ok(Page {
            attr: node.attr,
            verifier: self.cookies(),
            entries,
            eof,
        })
    }

    /// The entries after a cookie for as long as they fit, and whether they are the last.
    fn page(
        &self,
        caller: &Caller,
        directory: &Node,
        (cookie, verifier): (u64, [u8; 8]),
        fits: impl Fn(&Used, &[u8]) -> bool,
    ) -> Result<(Vec<Named>, bool), Status> {
        directory.attr.expect_directory()?;
        caller.expect(&directory.attr, READ)?;
        if cookie != 0 && verifier != self.cookies() {
            return Err(Status::BadCookie);
        }
        let id = self.id_of(&directory.attr);
        let file = directory.as_fd();
        let listing = self
            .listings
            .page(id, file, &directory.attr, cookie, &self.key)?;
        let dots = self.dots(directory);
        let dots = dots.into_iter().filter(|dot| dot.cookie > cookie);
        let mut used = Used {
            total: FRAME,
            names: 0,
            entries: 0,
        };
        let mut entries: Vec<Named> = Vec::new();
        for entry in dots.chain(listing.after(cookie)) {
            if !fits(&used, entry.name) {
                // Of two entries with one cookie none or both are given.
                entries.retain(|(cookie, ..)| *cookie != entry.cookie);
                let empty = entries.is_empty();
                return if empty {
                    Err(Status::TooSmall)
                } else {
                    Ok((entries, false))
                };
            }
            used.total += ENTRY + padded(entry.name);
            used.names += ENTRY + padded(entry.name);
            used.entries += 1;
            entries.push((entry.cookie, entry.inode, entry.name.to_vec()));
        }
        Ok((entries, true))
    }

    fn dots(&self, directory: &Node) -> [Entry<'static>; 2] {
        let inode = directory.attr.inode;
        let above = self
            .parent(directory)
            .map_or(inode, |above| above.attr.inode);
        let entry = |cookie, inode, name| Entry {
            cookie,
            inode,
            name,
        };
        [entry(1, inode, b"."), entry(2, above, b"..")]
    }

    fn plus(&self, directory: &Node, name: &[u8]) -> PlusEntry {
        let attr = match name {
            b"." => directory.attr,
            b".." => self.parent(directory).ok()?.attr,
            name => {
                let attr = super::entry_attr(directory, name).ok()?;
                self.tree.note(&attr, &directory.attr, name);
                attr
            }
        };
        Some((self.id_of(&attr), attr))
    }

    fn cookies(&self) -> [u8; 8] {
        self.key
            .number("cookies", &self.id.to_be_bytes())
            .to_be_bytes()
    }
}

/// Cookie, inode, name.
type Named = (u64, u64, Vec<u8>);

/// What a page takes so far.
struct Used {
    total: usize,
    names: usize,
    entries: usize,
}

/// The bytes of a name on the wire.
fn padded(name: &[u8]) -> usize {
    name.len().next_multiple_of(4)
}
