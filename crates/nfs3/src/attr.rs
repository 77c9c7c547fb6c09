//! Attributes of files (RFC 1813, section 2.6): read from the system, as clients see them, and as clients set them.
//!
//! Nothing here changes a file; see [`crate::fs`] for that. Times before 1970 and after 2106 do not fit the protocol's
//! unsigned seconds and are clamped.

use std::os::fd::AsFd;

use rustix::fs::{AtFlags, Statx, StatxAttributes, StatxFlags, StatxTimestamp, statx};

use crate::status::Status;

/// Type of a file (`ftype3`).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[allow(missing_docs)] // what they are is in their names
#[repr(i32)]
pub enum Kind {
    Regular = 1,
    Directory = 2,
    Block = 3,
    Character = 4,
    Symlink = 5,
    Socket = 6,
    Fifo = 7,
}

/// A point in time (`nfstime3`).
#[derive(Clone, Copy, Debug, Default, Eq, Ord, PartialEq, PartialOrd)]
pub struct Time {
    /// Seconds since the beginning of 1970, UTC.
    pub seconds: u32,
    /// Nanoseconds within the second.
    pub nanoseconds: u32,
}

/// Attributes of one file at one moment: `fattr3`, and what the server itself needs to know.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Attr {
    /// Type of the file.
    pub kind: Kind,
    /// Permission bits with set-user-id, set-group-id and sticky: 12 bits.
    pub mode: u32,
    /// Number of hard links.
    pub links: u32,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// Size in bytes.
    pub size: u64,
    /// Disk space taken, in bytes.
    pub used: u64,
    /// Major and minor number of a device file.
    pub device: (u32, u32),
    /// The file system it lives on.
    pub fsid: u64,
    /// Inode number.
    pub inode: u64,
    /// Birth time in nanoseconds since 1970, 0 where the file system keeps none.
    pub generation: u64,
    /// Time of the last access.
    pub atime: Time,
    /// Time of the last change of the contents.
    pub mtime: Time,
    /// Time of the last change of the attributes.
    pub ctime: Time,
    /// Another file system is mounted here.
    pub mount_root: bool,
}

/// Attributes that tell whether a file was changed (`wcc_attr`).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Before {
    /// Size in bytes.
    pub size: u64,
    /// Time of the last change of the contents.
    pub mtime: Time,
    /// Time of the last change of the attributes.
    pub ctime: Time,
}

/// Weak cache consistency data (`wcc_data`): attributes before and after an operation.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Wcc {
    /// Before, taken under the server's lock on the file.
    pub before: Option<Before>,
    /// After, taken under the same lock.
    pub after: Option<Attr>,
}

/// What to do with a time (`set_atime`, `set_mtime`).
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum SetTime {
    /// Leave it.
    #[default]
    Keep,
    /// Set it to the server's clock.
    Now,
    /// Set it to this.
    At(Time),
}

/// Attributes that a client sets (`sattr3`).
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct SetAttr {
    /// Permission bits.
    pub mode: Option<u32>,
    /// Owner.
    pub uid: Option<u32>,
    /// Group.
    pub gid: Option<u32>,
    /// Size in bytes.
    pub size: Option<u64>,
    /// Time of the last access.
    pub atime: SetTime,
    /// Time of the last change of the contents.
    pub mtime: SetTime,
}

impl Attr {
    /// Attributes of an open file; the descriptor may be one that only names it.
    ///
    /// # Errors
    /// Whatever `statx` says.
    pub fn of(file: impl AsFd) -> Result<Self, Status> {
        Self::at(file, b"")
    }

    /// Attributes of a name in a directory, without following it if it is a symbolic link.
    ///
    /// # Errors
    /// Whatever `statx` says.
    pub fn at(directory: impl AsFd, name: &[u8]) -> Result<Self, Status> {
        let mut flags = AtFlags::SYMLINK_NOFOLLOW | AtFlags::NO_AUTOMOUNT;
        flags.set(AtFlags::EMPTY_PATH, name.is_empty());
        let what = StatxFlags::BASIC_STATS | StatxFlags::BTIME;
        Self::try_from(&statx(directory, name, flags, what)?)
    }

    /// What a reply says of the time before the operation.
    pub fn before(&self) -> Before {
        Before {
            size: self.size,
            mtime: self.mtime,
            ctime: self.ctime,
        }
    }

    /// Whether both are attributes of the same inode.
    pub fn same_file(&self, other: &Self) -> bool {
        (self.fsid, self.inode, self.generation) == (other.fsid, other.inode, other.generation)
    }

    /// Whether this is a directory.
    pub fn is_directory(&self) -> bool {
        self.kind == Kind::Directory
    }

    /// Refuses what is not a directory.
    ///
    /// # Errors
    /// [`Status::NotDir`].
    pub fn expect_directory(&self) -> Result<(), Status> {
        if self.is_directory() {
            Ok(())
        } else {
            Err(Status::NotDir)
        }
    }

    /// Refuses what is not a regular file.
    ///
    /// # Errors
    /// [`Status::IsDir`] for a directory, [`Status::Inval`] for the rest.
    pub fn expect_regular(&self) -> Result<(), Status> {
        match self.kind {
            Kind::Regular => Ok(()),
            Kind::Directory => Err(Status::IsDir),
            _ => Err(Status::Inval),
        }
    }
}

impl TryFrom<&Statx> for Attr {
    type Error = Status;

    fn try_from(stat: &Statx) -> Result<Self, Status> {
        let mode = u32::from(stat.stx_mode);
        Ok(Self {
            kind: kind(mode)?,
            mode: mode & 0o7777,
            links: stat.stx_nlink,
            uid: stat.stx_uid,
            gid: stat.stx_gid,
            size: stat.stx_size,
            used: stat.stx_blocks.saturating_mul(512),
            device: (stat.stx_rdev_major, stat.stx_rdev_minor),
            fsid: u64::from(stat.stx_dev_major) << 32 | u64::from(stat.stx_dev_minor),
            inode: stat.stx_ino,
            generation: generation(stat),
            atime: time(&stat.stx_atime),
            mtime: time(&stat.stx_mtime),
            ctime: time(&stat.stx_ctime),
            mount_root: stat.stx_attributes.contains(StatxAttributes::MOUNT_ROOT),
        })
    }
}

/// The type in the mode's upper bits (`stat(2)`, `S_IFMT`).
fn kind(mode: u32) -> Result<Kind, Status> {
    Ok(match mode & 0o170_000 {
        0o100_000 => Kind::Regular,
        0o040_000 => Kind::Directory,
        0o060_000 => Kind::Block,
        0o020_000 => Kind::Character,
        0o120_000 => Kind::Symlink,
        0o140_000 => Kind::Socket,
        0o010_000 => Kind::Fifo,
        _ => return Err(Status::ServerFault),
    })
}

fn generation(stat: &Statx) -> u64 {
    if stat.stx_mask & StatxFlags::BTIME.bits() == 0 {
        return 0;
    }
    let seconds = u64::try_from(stat.stx_btime.tv_sec).unwrap_or(0);
    seconds
        .saturating_mul(1_000_000_000)
        .saturating_add(u64::from(stat.stx_btime.tv_nsec))
}

fn time(stamp: &StatxTimestamp) -> Time {
    let seconds = u32::try_from(stamp.tv_sec.max(0)).unwrap_or(u32::MAX);
    Time {
        seconds,
        nanoseconds: stamp.tv_nsec,
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};

    use super::*;

    #[test]
    fn attributes_are_the_systems_own() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("f");
        std::fs::write(&path, b"hello").unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o6751)).unwrap();
        let outside = std::fs::metadata(&path).unwrap();
        let attr = Attr::of(std::fs::File::open(&path).unwrap()).unwrap();
        assert_eq!(attr.kind, Kind::Regular);
        assert_eq!((attr.mode, attr.size, attr.links), (0o6751, 5, 1));
        assert_eq!(
            (attr.uid, attr.gid, attr.inode),
            (outside.uid(), outside.gid(), outside.ino())
        );
        assert_eq!(i64::from(attr.mtime.seconds), outside.mtime());
        assert_eq!(i64::from(attr.ctime.nanoseconds), outside.ctime_nsec());
        assert!(!attr.mount_root);
    }

    #[test]
    fn a_symbolic_link_is_not_followed() {
        let place = tempfile::tempdir().unwrap();
        symlink("/etc/passwd", place.path().join("l")).unwrap();
        let directory = std::fs::File::open(place.path()).unwrap();
        let attr = Attr::at(&directory, b"l").unwrap();
        assert_eq!((attr.kind, attr.size), (Kind::Symlink, 11));
        assert_eq!(Attr::at(&directory, b"none"), Err(Status::NoEnt));
    }

    #[test]
    fn kinds_follow_the_mode() {
        let table = [
            (0o100644, Kind::Regular),
            (0o040755, Kind::Directory),
            (0o060600, Kind::Block),
            (0o020600, Kind::Character),
            (0o120777, Kind::Symlink),
            (0o140755, Kind::Socket),
            (0o010644, Kind::Fifo),
        ];
        for (mode, expected) in table {
            assert_eq!(kind(mode), Ok(expected));
        }
        assert_eq!(kind(0), Err(Status::ServerFault));
    }
}
