//! SETATTR (RFC 1813, section 3.3.2), and giving attributes to what was just made.

use std::os::fd::AsFd;

use rustix::fs::{
    AtFlags, CWD, Gid, Mode, OFlags, Timespec, Timestamps, UTIME_NOW, UTIME_OMIT, Uid, chmod,
    chownat, ftruncate, utimensat,
};

use super::{Outcome, sync, with};
use crate::attr::{Attr, Kind, SetAttr, SetTime, Time, Wcc};
use crate::caller::{Caller, User, WRITE};
use crate::confine::{own, reopen};
use crate::export::{Export, Node};
use crate::handle::FileId;
use crate::status::Status;

/// The set-group-id bit.
const SET_GROUP: u32 = 0o2000;

impl Export {
    // req: nfs3-1813-3.3.2-guard
    /// Procedure 2: changes attributes; with `guard` only if the file's ctime is still that.
    ///
    /// # Errors
    /// [`Status::NotSync`] if the guard does not hold, [`Status::Perm`] for what only the owner or root may do.
    pub fn setattr(
        &self,
        caller: &Caller,
        file: FileId,
        set: &SetAttr,
        guard: Option<Time>,
    ) -> Outcome<Wcc, Wcc> {
        let _alone = self.lock(file);
        let node = self.find(file)?;
        let result = self.expect_writable().and_then(|()| {
            if guard.is_some_and(|ctime| ctime != node.attr.ctime) {
                return Err(Status::NotSync);
            }
            let set = permitted(caller, &node.attr, set)?;
            self.truncate(&node, &set)?;
            apply(&node.file, node.attr.kind, &set)?;
            keep(&node)
        });
        let wcc = Wcc {
            before: Some(node.attr.before()),
            after: node.now(),
        };
        with(result, wcc).map(|()| wcc)
    }

    /// Sets the size, if that is asked for.
    pub(super) fn truncate(&self, node: &Node, set: &SetAttr) -> Result<(), Status> {
        let Some(size) = set.size else { return Ok(()) };
        node.attr.expect_regular()?;
        if size > i64::MAX as u64 {
            return Err(Status::FBig);
        }
        match self.files.find(self.id_of(&node.attr), true) {
            Some(open) if self.still_writable(&open, &node.attr) => ftruncate(&open, size)?,
            _ => ftruncate(reopen(&node.file, OFlags::WRONLY)?, size)?,
        }
        Ok(())
    }
}

/// Waits until the attributes are on the disk. What we may not open cannot be synced: let it be.
fn keep(node: &Node) -> Result<(), Status> {
    if !matches!(node.attr.kind, Kind::Regular | Kind::Directory) {
        return Ok(());
    }
    match reopen(&node.file, OFlags::RDONLY) {
        Ok(file) => sync(&file),
        Err(_) => Ok(()),
    }
}

/// Owner, mode and times of an open file, in this order: a change of owner may take bits of the mode away.
pub(super) fn apply(file: impl AsFd, kind: Kind, set: &SetAttr) -> Result<(), Status> {
    let file = file.as_fd();
    if set.uid.is_some() || set.gid.is_some() {
        let owner = set.uid.map(Uid::from_raw);
        let group = set.gid.map(Gid::from_raw);
        chownat(file, "", owner, group, AtFlags::EMPTY_PATH)?;
    }
    if let Some(mode) = set.mode {
        if kind == Kind::Symlink {
            return Err(Status::NotSupp);
        }
        chmod(own(file), Mode::from_raw_mode(mode & 0o7777))?;
    }
    set_times(file, kind, set)
}

fn set_times(file: std::os::fd::BorrowedFd<'_>, kind: Kind, set: &SetAttr) -> Result<(), Status> {
    if (set.atime, set.mtime) == (SetTime::Keep, SetTime::Keep) {
        return Ok(());
    }
    let times = Timestamps {
        last_access: stamp(set.atime)?,
        last_modification: stamp(set.mtime)?,
    };
    if kind == Kind::Symlink {
        return Ok(utimensat(file, "", &times, AtFlags::EMPTY_PATH)?);
    }
    Ok(utimensat(CWD, own(file), &times, AtFlags::empty())?)
}

fn stamp(set: SetTime) -> Result<Timespec, Status> {
    let (tv_sec, tv_nsec) = match set {
        SetTime::Keep => (0, UTIME_OMIT),
        SetTime::Now => (0, UTIME_NOW),
        SetTime::At(time) if time.nanoseconds < 1_000_000_000 => {
            (i64::from(time.seconds), i64::from(time.nanoseconds))
        }
        SetTime::At(_) => return Err(Status::Inval),
    };
    Ok(Timespec { tv_sec, tv_nsec })
}

/// What of `set` the caller may do; all of it or a refusal, but for bits the system would drop silently.
fn permitted(caller: &Caller, attr: &Attr, set: &SetAttr) -> Result<SetAttr, Status> {
    let mut set = *set;
    // The number -1 means "leave it" to chown.
    if set.uid == Some(u32::MAX) || set.gid == Some(u32::MAX) {
        return Err(Status::Inval);
    }
    let Caller::User(user) = caller else {
        return Ok(set);
    };
    if user.uid == 0 {
        return Ok(set);
    }
    let owns = user.owns(attr);
    let touches = |time| matches!(time, SetTime::At(_));
    let owners_alone = set.mode.is_some() || touches(set.atime) || touches(set.mtime);
    if (owners_alone && !owns) || !may_give(user, attr, &set) {
        return Err(Status::Perm);
    }
    let changes = set.size.is_some() || set.atime != SetTime::Keep || set.mtime != SetTime::Keep;
    if changes && !owns && !user.may(attr, WRITE) {
        return Err(Status::Acces);
    }
    let group = set.gid.unwrap_or(attr.gid);
    set.mode = set.mode.map(|mode| {
        if user.in_group(group) {
            mode
        } else {
            mode & !SET_GROUP
        }
    });
    Ok(set)
}

/// Only root gives files away; an owner may choose among the own groups.
fn may_give(user: &User, attr: &Attr, set: &SetAttr) -> bool {
    let uid = set.uid.is_none_or(|uid| uid == attr.uid && user.owns(attr));
    let gid = set
        .gid
        .is_none_or(|gid| user.owns(attr) && (gid == attr.gid || user.in_group(gid)));
    uid && gid
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nanoseconds_beyond_a_second_are_refused() {
        let time = Time {
            seconds: 1,
            nanoseconds: 1_000_000_000,
        };
        assert_eq!(stamp(SetTime::At(time)).unwrap_err(), Status::Inval);
        // These two would mean "now" and "leave it" to the system.
        for nanoseconds in [0x3fff_ffff, 0x3fff_fffe] {
            let time = Time {
                seconds: 1,
                nanoseconds,
            };
            assert_eq!(stamp(SetTime::At(time)).unwrap_err(), Status::Inval);
        }
    }
}
