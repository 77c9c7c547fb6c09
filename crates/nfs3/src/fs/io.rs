//! READ, WRITE and COMMIT (RFC 1813, sections 3.3.6, 3.3.7 and 3.3.21).
//!
//! What COMMIT or a stable WRITE has answered for is on the disk: both wait for `fsync`. When a flush fails, data that
//! clients believe to be with us may be lost, so the verifier changes and they send them again.

use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;

use bytes::Bytes;
use rustix::buffer::spare_capacity;
use rustix::fs::{Access, AtFlags, CWD, Mode, OFlags, accessat, chmod, fdatasync};
use rustix::io::{Errno, pread, pwrite};
use rustix::process::geteuid;

use super::{Failed, Outcome, TRANSFER, sync, with};
use crate::attr::{Attr, Wcc};
use crate::caller::{Caller, EXECUTE, READ, WRITE};
use crate::confine::{own, reopen};
use crate::export::Export;
use crate::handle::FileId;
use crate::status::Status;

/// What READ found.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Read {
    /// Attributes after reading.
    pub attr: Option<Attr>,
    /// The bytes.
    pub data: Bytes,
    /// Whether they reach the end of the file.
    pub eof: bool,
}

/// How lasting a WRITE shall be (`stable_how`).
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
#[repr(i32)]
pub enum Stable {
    /// COMMIT will follow.
    Unstable = 0,
    /// The data are on the disk.
    Data = 1,
    /// The data and all attributes are on the disk.
    File = 2,
}

/// What WRITE did.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Written {
    /// Attributes before and after.
    pub wcc: Wcc,
    /// How many bytes were written.
    pub count: u32,
    /// How lasting they are.
    pub committed: Stable,
    /// Tells one run of the server from the next.
    pub verifier: [u8; 8],
}

impl Export {
    // req: nfs3-1813-3.3.6-read
    /// Procedure 6: bytes of a file; at most [`TRANSFER`] of them.
    ///
    /// # Errors
    /// [`Status::IsDir`], [`Status::Inval`] for what has no contents, [`Status::Acces`].
    pub fn read(
        &self,
        caller: &Caller,
        file: FileId,
        offset: u64,
        count: u32,
    ) -> Outcome<Read, Option<Attr>> {
        let (open, attr) = self.contents(caller, file, false)?;
        let left = u32::try_from(attr.size.saturating_sub(offset)).unwrap_or(u32::MAX);
        let data = with(
            read_at(&open, offset, count.min(TRANSFER).min(left)),
            Some(attr),
        )?;
        let attr = Attr::of(&open).ok();
        let size = attr.map_or(0, |attr| attr.size);
        let eof = offset.saturating_add(data.len() as u64) >= size;
        Ok(Read { attr, data, eof })
    }

    // req: nfs3-1813-3.3.7-verifier
    /// Procedure 7: writes to a file, all of `data` or an error.
    ///
    /// # Errors
    /// As [`Export::read`]; [`Status::FBig`], [`Status::NoSpc`] and the like.
    pub fn write(
        &self,
        caller: &Caller,
        file: FileId,
        offset: u64,
        data: &[u8],
        stable: Stable,
    ) -> Outcome<Written, Wcc> {
        self.expect_writable()?;
        let alone = self.lock(file);
        let (open, before) = self.contents(caller, file, true).map_err(bare)?;
        let mut written = fits(offset, data)
            .and_then(|()| drop_privileges(caller, &open, &before))
            .and_then(|()| write_at(&open, offset, data));
        let wcc = Wcc {
            before: Some(before.before()),
            after: Attr::of(&open).ok(),
        };
        drop(alone);
        if let Ok(count) = written {
            written = self.flush(&open, stable).map(|()| count);
        }
        let count = with(written, wcc)?;
        Ok(Written {
            wcc,
            count,
            committed: stable,
            verifier: self.verifier(),
        })
    }

    // req: nfs3-1813-3.3.21-commit
    /// Procedure 21: waits until all that was written to a file is on the disk. The range is not looked at: more is flushed
    /// than asked for, never less.
    ///
    /// # Errors
    /// As [`Export::write`].
    pub fn commit(&self, caller: &Caller, file: FileId) -> Outcome<(Wcc, [u8; 8]), Wcc> {
        self.expect_writable()?;
        // Who may no longer write may still wait for what was written.
        let open = self.contents(caller, file, true);
        let (open, before) = open
            .or_else(|_| self.contents(caller, file, false))
            .map_err(bare)?;
        let flushed = self.flush(&open, Stable::File);
        let wcc = Wcc {
            before: Some(before.before()),
            after: Attr::of(&open).ok(),
        };
        with(flushed, wcc).map(|()| (wcc, self.verifier()))
    }

    /// The open file and its attributes, once the caller's permission is clear.
    fn contents(
        &self,
        caller: &Caller,
        file: FileId,
        write: bool,
    ) -> Outcome<(Arc<OwnedFd>, Attr), Option<Attr>> {
        if let Some(open) = self.files.find(file, write)
            && let Some(attr) = self.usable(caller, file, &open, write)?
        {
            return Ok((open, attr));
        }
        let node = self.find(file)?;
        let attr = Some(node.attr);
        with(node.attr.expect_regular(), attr)?;
        with(permission(caller, &node.attr, write), attr)?;
        let opened = if write {
            reopen(&node.file, OFlags::RDWR).or_else(|_| reopen(&node.file, OFlags::WRONLY))
        } else {
            reopen(&node.file, OFlags::RDONLY)
        };
        let open = with(opened.map_err(Status::from), attr)?;
        Ok((self.files.keep(file, open, write), node.attr))
    }

    /// Attributes of a file kept open, if it may still be used as it is.
    fn usable(
        &self,
        caller: &Caller,
        file: FileId,
        open: &OwnedFd,
        write: bool,
    ) -> Outcome<Option<Attr>, Option<Attr>> {
        let attr = Attr::of(open)?;
        if attr.links == 0 {
            self.files.close(file);
            return Err(Status::Stale.into());
        }
        with(permission(caller, &attr, write), Some(attr))?;
        Ok((*caller != Caller::Server || kernel_allows(open, &attr, write)).then_some(attr))
    }

    /// Whether a file kept open for writing would still be opened so.
    pub(super) fn still_writable(&self, open: &OwnedFd, attr: &Attr) -> bool {
        !self.spec.read_only && kernel_allows(open, attr, true)
    }

    fn flush(&self, open: &OwnedFd, stable: Stable) -> Result<(), Status> {
        let flushed = match stable {
            Stable::Unstable => Ok(()),
            Stable::Data => fdatasync(open).map_err(Status::from),
            Stable::File => sync(open),
        };
        if flushed.is_err() {
            self.change_verifier();
        }
        flushed
    }
}

/// A client reads what it executes, and an owner may always go on with an open file.
fn permission(caller: &Caller, attr: &Attr, write: bool) -> Result<(), Status> {
    if write {
        return caller.expect_or_owner(attr, WRITE);
    }
    caller
        .expect_or_owner(attr, READ)
        .or_else(|_| caller.expect(attr, EXECUTE))
}

/// A file kept open must not outlive the server's permission to it, except where the server's user owns it.
fn kernel_allows(open: &OwnedFd, attr: &Attr, write: bool) -> bool {
    let access = if write {
        Access::WRITE_OK
    } else {
        Access::READ_OK
    };
    attr.uid == geteuid().as_raw()
        || accessat(CWD, own(open.as_fd()), access, AtFlags::EACCESS).is_ok()
}

/// Who writes to a program takes its set-user-id away, as the system does for everyone but root.
fn drop_privileges(caller: &Caller, open: &OwnedFd, attr: &Attr) -> Result<(), Status> {
    let group = if attr.mode & 0o010 != 0 { 0o2000 } else { 0 };
    let dropped = attr.mode & !(0o4000 | group);
    match caller {
        Caller::User(user) if user.uid != 0 && dropped != attr.mode => {
            Ok(chmod(own(open.as_fd()), Mode::from_raw_mode(dropped))?)
        }
        _ => Ok(()),
    }
}

fn fits(offset: u64, data: &[u8]) -> Result<(), Status> {
    match offset.checked_add(data.len() as u64) {
        Some(end) if end <= i64::MAX as u64 => Ok(()),
        _ => Err(Status::FBig),
    }
}

fn read_at(file: &OwnedFd, offset: u64, count: u32) -> Result<Bytes, Status> {
    let count = count as usize;
    if offset > i64::MAX as u64 {
        return Ok(Bytes::new());
    }
    let mut data = Vec::with_capacity(count);
    while data.len() < count {
        let at = offset + data.len() as u64;
        match pread(file, spare_capacity(&mut data), at) {
            Ok(0) => break,
            Err(Errno::INTR) | Ok(_) => {}
            Err(error) => return Err(error.into()),
        }
    }
    data.truncate(count);
    Ok(data.into())
}

fn write_at(file: &OwnedFd, offset: u64, data: &[u8]) -> Result<u32, Status> {
    let mut done = 0;
    while done < data.len() {
        match pwrite(file, &data[done..], offset + done as u64) {
            Ok(0) => return Err(Status::Io),
            Ok(count) => done += count,
            Err(Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
    u32::try_from(done).map_err(|_| Status::Inval)
}

/// The attributes a refused write has are those before it.
fn bare(failed: Failed<Option<Attr>>) -> Failed<Wcc> {
    let before = failed.attrs.map(|attr| attr.before());
    Failed {
        status: failed.status,
        attrs: Wcc {
            before,
            after: failed.attrs,
        },
    }
}
