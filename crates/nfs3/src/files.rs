//! Files kept open between calls, so that a run of READs or WRITEs opens its file once.
//!
//! Also what makes writing work to a file that was created without write permission: the descriptor from CREATE serves the
//! WRITEs that follow, as a local program's would. Bounded; the file unused for longest goes first.

use std::collections::HashMap;
use std::os::fd::OwnedFd;
use std::sync::{Arc, Mutex};

use crate::handle::FileId;
use crate::tree::lock;

/// How many files are kept open for one export.
pub const OPEN: usize = 128;

/// The open files of one export.
#[derive(Debug, Default)]
pub struct Files(Mutex<Table>);

#[derive(Debug, Default)]
struct Table {
    clock: u64,
    open: HashMap<FileId, Open>,
}

#[derive(Debug)]
struct Open {
    file: Arc<OwnedFd>,
    writable: bool,
    used: u64,
}

impl Files {
    /// The file if it is open; with `write` only if it can be written.
    pub fn find(&self, id: FileId, write: bool) -> Option<Arc<OwnedFd>> {
        let mut table = lock(&self.0);
        table.clock += 1;
        let now = table.clock;
        let open = table
            .open
            .get_mut(&id)
            .filter(|open| open.writable || !write)?;
        open.used = now;
        Some(Arc::clone(&open.file))
    }

    /// Keeps a file, open for reading and, if `writable`, for writing too.
    pub fn keep(&self, id: FileId, file: OwnedFd, writable: bool) -> Arc<OwnedFd> {
        let file = Arc::new(file);
        let mut table = lock(&self.0);
        table.clock += 1;
        let used = table.clock;
        if table.open.len() >= OPEN && !table.open.contains_key(&id) {
            let oldest = table
                .open
                .iter()
                .min_by_key(|(_, open)| open.used)
                .map(|(id, _)| *id);
            oldest.and_then(|id| table.open.remove(&id));
        }
        table.open.insert(
            id,
            Open {
                file: Arc::clone(&file),
                writable,
                used,
            },
        );
        file
    }

    /// Closes a file, once those who use it now have done with it.
    pub fn close(&self, id: FileId) {
        lock(&self.0).open.remove(&id);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(inode: u64) -> FileId {
        FileId {
            export: 0,
            device: 0,
            inode,
            generation: 0,
        }
    }

    fn null() -> OwnedFd {
        std::fs::File::open("/dev/null").unwrap().into()
    }

    #[test]
    fn the_longest_unused_is_closed_first() {
        let files = Files::default();
        for inode in 0..OPEN as u64 {
            files.keep(id(inode), null(), false);
        }
        assert!(files.find(id(0), false).is_some());
        files.keep(id(1000), null(), false);
        assert!(files.find(id(0), false).is_some());
        assert!(files.find(id(1), false).is_none());
        files.close(id(0));
        assert!(files.find(id(0), false).is_none());
    }

    #[test]
    fn a_file_open_for_reading_does_not_serve_a_writer() {
        let files = Files::default();
        files.keep(id(1), null(), false);
        assert!(files.find(id(1), true).is_none());
        files.keep(id(1), null(), true);
        assert!(files.find(id(1), true).is_some());
    }
}
