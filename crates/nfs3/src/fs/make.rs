//! CREATE, MKDIR, SYMLINK and MKNOD (RFC 1813, sections 3.3.8 to 3.3.11): making something under a new name.
//!
//! What is new belongs to the caller. Between the making and the giving away another user of the machine who may write to
//! the directory could put something of ours in its place; so what is given away must be of the kind made, have one
//! link, belong to the server's user, and be born after the call came.

use std::os::fd::{AsFd, OwnedFd};
use std::time::SystemTime;

use rustix::fs::{FileType, Mode, OFlags, chmod, makedev, mkdirat, mknodat, openat, symlinkat};
use rustix::io::Errno;
use rustix::process::geteuid;

use super::change::apply;
use super::{Outcome, sync, sync_directory};
use crate::attr::{Attr, Kind, SetAttr, SetTime, Time, Wcc};
use crate::caller::{Caller, EXECUTE, WRITE};
use crate::confine::own;
use crate::export::{Export, Node as Open};
use crate::handle::FileId;
use crate::name::Name;
use crate::status::Status;

/// Mode of what is made without one.
const FILE_MODE: u32 = 0o600;
const DIRECTORY_MODE: u32 = 0o700;
/// Longest text of a symbolic link, as of any path.
const LONGEST_LINK: usize = 4095;
/// How much coarser than the clock a file system's birth times are, at most.
const COARSE: u64 = 2_000_000_000;

/// How CREATE treats a file that is there already (`createhow3`).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum How {
    /// Takes it; of the attributes only the size is applied to it.
    Unchecked(SetAttr),
    /// Refuses.
    Guarded(SetAttr),
    /// Refuses, unless it was made by a call with the same verifier, which is kept in the file's times.
    Exclusive([u8; 8]),
}

/// What MKNOD makes.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Node {
    /// A block device.
    Block(u32, u32),
    /// A character device.
    Character(u32, u32),
    /// A socket.
    Socket,
    /// A pipe with a name.
    Fifo,
}

/// Something made.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Made {
    /// What it is.
    pub file: FileId,
    /// Its attributes.
    pub attr: Attr,
}

impl Export {
    // req: nfs3-1813-3.3.8-create
    /// Procedure 8: makes a regular file.
    ///
    /// # Errors
    /// [`Status::Exist`], [`Status::Acces`], and those of names and of the disk.
    pub fn create(
        &self,
        caller: &Caller,
        directory: FileId,
        name: &[u8],
        how: How,
    ) -> Outcome<(Made, Wcc), Wcc> {
        self.in_directory(directory, |directory| {
            let name = entry(caller, directory, name)?;
            match open_new(directory, name) {
                Ok(file) => self.fill(caller, directory, name, file, how),
                Err(Errno::EXIST) => self.take(caller, directory, name, how),
                Err(error) => Err(error.into()),
            }
        })
    }

    /// Procedure 9: makes a directory.
    ///
    /// # Errors
    /// As [`Export::create`].
    pub fn mkdir(
        &self,
        caller: &Caller,
        directory: FileId,
        name: &[u8],
        set: &SetAttr,
    ) -> Outcome<(Made, Wcc), Wcc> {
        self.in_directory(directory, |directory| {
            let name = entry(caller, directory, name)?;
            let since = SystemTime::now();
            mkdirat(
                &directory.file,
                name.as_bytes(),
                Mode::from_raw_mode(DIRECTORY_MODE),
            )?;
            let set = SetAttr {
                mode: set.mode.or(Some(DIRECTORY_MODE)),
                ..*set
            };
            self.adopt(caller, directory, name, Kind::Directory, &set, since)
        })
    }

    /// Procedure 10: makes a symbolic link. Its text is the client's business: the server never follows it.
    ///
    /// # Errors
    /// As [`Export::create`]; [`Status::Inval`] for a text that is empty or holds a zero byte.
    pub fn symlink(
        &self,
        caller: &Caller,
        directory: FileId,
        name: &[u8],
        text: &[u8],
        set: &SetAttr,
    ) -> Outcome<(Made, Wcc), Wcc> {
        self.in_directory(directory, |directory| {
            let name = entry(caller, directory, name)?;
            if text.is_empty() || text.contains(&0) {
                return Err(Status::Inval);
            }
            if text.len() > LONGEST_LINK {
                return Err(Status::NameTooLong);
            }
            let since = SystemTime::now();
            symlinkat(text, &directory.file, name.as_bytes())?;
            // A symbolic link has no mode of its own.
            let set = SetAttr {
                mode: None,
                size: None,
                ..*set
            };
            self.adopt(caller, directory, name, Kind::Symlink, &set, since)
        })
    }

    /// Procedure 11: makes a pipe, a socket or a device.
    ///
    /// # Errors
    /// As [`Export::create`]; [`Status::Perm`] for a device when the caller is not root.
    pub fn mknod(
        &self,
        caller: &Caller,
        directory: FileId,
        name: &[u8],
        node: Node,
        set: &SetAttr,
    ) -> Outcome<(Made, Wcc), Wcc> {
        self.in_directory(directory, |directory| {
            let name = entry(caller, directory, name)?;
            let (kind, system, (major, minor)) = match node {
                Node::Block(major, minor) => (Kind::Block, FileType::BlockDevice, (major, minor)),
                Node::Character(major, minor) => {
                    (Kind::Character, FileType::CharacterDevice, (major, minor))
                }
                Node::Socket => (Kind::Socket, FileType::Socket, (0, 0)),
                Node::Fifo => (Kind::Fifo, FileType::Fifo, (0, 0)),
            };
            if matches!(kind, Kind::Block | Kind::Character) && !is_root(caller) {
                return Err(Status::Perm);
            }
            let since = SystemTime::now();
            let mode = Mode::from_raw_mode(FILE_MODE);
            mknodat(
                &directory.file,
                name.as_bytes(),
                system,
                mode,
                makedev(major, minor),
            )?;
            let set = SetAttr {
                mode: set.mode.or(Some(FILE_MODE)),
                size: None,
                ..*set
            };
            self.adopt(caller, directory, name, kind, &set, since)
        })
    }

    /// Gives a new regular file its owner, attributes and place.
    fn fill(
        &self,
        caller: &Caller,
        directory: &Open,
        name: Name<'_>,
        file: OwnedFd,
        how: How,
    ) -> Result<Made, Status> {
        let set = match how {
            How::Unchecked(set) | How::Guarded(set) => SetAttr {
                mode: set.mode.or(Some(FILE_MODE)),
                ..set
            },
            How::Exclusive(verifier) => {
                let (atime, mtime) = times(verifier);
                let (atime, mtime) = (SetTime::At(atime), SetTime::At(mtime));
                SetAttr {
                    mode: Some(FILE_MODE),
                    atime,
                    mtime,
                    ..SetAttr::default()
                }
            }
        };
        if let Some(size) = set.size.filter(|size| *size > 0) {
            rustix::fs::ftruncate(&file, size)?;
        }
        apply(&file, Kind::Regular, &given(caller, directory, &set))?;
        sync(&file)?;
        sync_directory(directory)?;
        let attr = Attr::of(&file)?;
        self.tree.note(&attr, &directory.attr, name.as_bytes());
        let id = self.id_of(&attr);
        self.files.keep(id, file, true);
        Ok(Made { file: id, attr })
    }

    /// CREATE met a file that is there.
    fn take(
        &self,
        caller: &Caller,
        directory: &Open,
        name: Name<'_>,
        how: How,
    ) -> Result<Made, Status> {
        let node = self.child(directory, name.as_bytes())?;
        let made = |attr: Attr| Made {
            file: self.id_of(&attr),
            attr,
        };
        if node.attr.kind != Kind::Regular {
            return Err(Status::Exist);
        }
        match how {
            How::Guarded(_) => Err(Status::Exist),
            How::Exclusive(verifier) if (node.attr.atime, node.attr.mtime) == times(verifier) => {
                Ok(made(node.attr))
            }
            How::Exclusive(_) => Err(Status::Exist),
            How::Unchecked(set) => {
                if set.size.is_some() {
                    caller.expect_or_owner(&node.attr, WRITE)?;
                    self.truncate(&node, &set)?;
                }
                node.now().map(made).ok_or(Status::Stale)
            }
        }
    }

    /// Gives something new that has no descriptor yet its owner, attributes and place.
    fn adopt(
        &self,
        caller: &Caller,
        directory: &Open,
        name: Name<'_>,
        kind: Kind,
        set: &SetAttr,
        since: SystemTime,
    ) -> Result<Made, Status> {
        let node = self.child(directory, name.as_bytes())?;
        if !is_ours(&node.attr, kind, since) {
            return Err(Status::Acces);
        }
        apply(&node.file, kind, &given(caller, directory, set))?;
        if kind == Kind::Directory {
            // The system sets this bit in a directory below one that has it; a client's mode does not take it away.
            let inherited = directory.attr.mode & 0o2000;
            let mode = set.mode.unwrap_or(DIRECTORY_MODE) | inherited;
            chmod(own(node.as_fd()), Mode::from_raw_mode(mode))?;
        }
        sync_directory(directory)?;
        let attr = node.now().ok_or(Status::Stale)?;
        Ok(Made {
            file: self.id_of(&attr),
            attr,
        })
    }
}

/// Checks the name, then the caller's right to put something under it.
fn entry<'a>(caller: &Caller, directory: &Open, name: &'a [u8]) -> Result<Name<'a>, Status> {
    let name = Name::entry(name, Status::Exist)?;
    caller.expect(&directory.attr, WRITE | EXECUTE)?;
    Ok(name)
}

fn open_new(directory: &Open, name: Name<'_>) -> Result<OwnedFd, Errno> {
    let flags = OFlags::RDWR
        | OFlags::CREATE
        | OFlags::EXCL
        | OFlags::NOFOLLOW
        | OFlags::CLOEXEC
        | OFlags::NONBLOCK;
    openat(
        &directory.file,
        name.as_bytes(),
        flags,
        Mode::from_raw_mode(FILE_MODE),
    )
}

fn is_root(caller: &Caller) -> bool {
    match caller {
        Caller::User(user) => user.uid == 0,
        Caller::Server => geteuid().is_root(),
    }
}

/// Whose something new is: the caller's; only root may say otherwise. In a directory with the set-group-id bit the
/// directory's group stays.
fn given(caller: &Caller, directory: &Open, set: &SetAttr) -> SetAttr {
    let mut set = *set;
    let Caller::User(user) = caller else {
        return SetAttr {
            uid: None,
            gid: None,
            ..set
        };
    };
    let (uid, gid) = if user.uid == 0 {
        (set.uid, set.gid)
    } else {
        (None, None)
    };
    let inherits = directory.attr.mode & 0o2000 != 0;
    if inherits && user.uid != 0 && !user.in_group(directory.attr.gid) {
        set.mode = set.mode.map(|mode| mode & !0o2000);
    }
    set.uid = uid.filter(|uid| *uid != u32::MAX).or(Some(user.uid));
    set.gid = gid
        .filter(|gid| *gid != u32::MAX)
        .or((!inherits).then_some(user.gid));
    set
}

/// Whether this is what the call made a moment ago.
fn is_ours(attr: &Attr, kind: Kind, since: SystemTime) -> bool {
    let since = since
        .duration_since(SystemTime::UNIX_EPOCH)
        .map_or(0, |since| since.as_nanos());
    let born = attr.generation.saturating_add(COARSE);
    attr.kind == kind
        && attr.uid == geteuid().as_raw()
        && (attr.links == 1 || kind == Kind::Directory)
        && (attr.generation == 0 || u128::from(born) >= since)
}

/// Where an exclusive CREATE's verifier is kept: 31 bits each in the seconds of atime and mtime.
fn times(verifier: [u8; 8]) -> (Time, Time) {
    let [a, b, c, d, e, f, g, h] = verifier;
    let time = |bytes| Time {
        seconds: u32::from_be_bytes(bytes) & 0x7fff_ffff,
        nanoseconds: 0,
    };
    (time([a, b, c, d]), time([e, f, g, h]))
}
