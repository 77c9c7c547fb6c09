//! The procedures of NFS version 3 (RFC 1813, section 3.3) as plain synchronous functions on an [`Export`].
//!
//! Nothing here knows of RPC: arguments are checked values, results are plain ones, and a refusal carries the attributes that
//! the reply must carry. All of them may wait for a disk.
//!
//! [`Export`]: crate::export::Export

#![allow(
    clippy::result_large_err,
    reason = "what succeeds is as large: both carry a file's attributes"
)]

mod change;
mod info;
mod io;
mod list;
mod look;
mod make;
mod unlink;

#[cfg(test)]
mod tests;

pub use info::{Limits, Space};
pub use io::{Read, Stable, Written};
pub use list::{Page, PlusEntry};
pub use make::{How, Made, Node as NewNode};

use std::os::fd::AsFd;

use rustix::fs::{OFlags, fsync};
use rustix::io::Errno;

use crate::attr::{Attr, Wcc};
use crate::confine::reopen;
use crate::export::{Export, Node};
use crate::handle::FileId;
use crate::status::Status;

/// Largest READ and WRITE, in bytes (`rtmax`, `wtmax`).
pub const TRANSFER: u32 = 1 << 20;

/// A refusal with the attributes that go into its reply.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Failed<A> {
    /// Why.
    pub status: Status,
    /// What is known of the files all the same.
    pub attrs: A,
}

/// Result of a procedure whose refusal carries attributes.
pub type Outcome<T, A> = Result<T, Failed<A>>;

impl<A: Default> From<Status> for Failed<A> {
    fn from(status: Status) -> Self {
        Self {
            status,
            attrs: A::default(),
        }
    }
}

/// Adds attributes to a refusal.
fn with<T, A>(result: Result<T, Status>, attrs: A) -> Outcome<T, A> {
    result.map_err(|status| Failed { status, attrs })
}

impl Export {
    // req: nfs3-1813-2.6-wcc
    /// Does something to a directory with its attributes before and after, and nobody of ours in between.
    fn in_directory<T>(
        &self,
        directory: FileId,
        action: impl FnOnce(&Node) -> Result<T, Status>,
    ) -> Outcome<(T, Wcc), Wcc> {
        let _alone = self.lock(directory);
        let node = self.find_directory(directory)?;
        let result = self.expect_writable().and_then(|()| action(&node));
        let wcc = Wcc {
            before: Some(node.attr.before()),
            after: node.now(),
        };
        with(result, wcc).map(|value| (value, wcc))
    }
}

/// Makes changes to a directory's names last. A directory we may change but not read cannot be synced: let it be.
fn sync_directory(directory: &Node) -> Result<(), Status> {
    match reopen(&directory.file, OFlags::RDONLY | OFlags::DIRECTORY) {
        Ok(file) => sync(&file),
        Err(_) => Ok(()),
    }
}

/// Waits until a file is on the disk; file systems that have none refuse.
fn sync(file: impl AsFd) -> Result<(), Status> {
    match fsync(file) {
        Ok(()) | Err(Errno::INVAL | Errno::ROFS | Errno::OPNOTSUPP) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

/// Attributes of what is under a name, which may not be a mount point.
fn entry_attr(directory: &Node, name: &[u8]) -> Result<Attr, Status> {
    let attr = Attr::at(&directory.file, name)?;
    crate::confine::expect_same_mount(&attr)?;
    Ok(attr)
}
