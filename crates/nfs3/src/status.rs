//! What the server answers when it refuses: `nfsstat3` (RFC 1813, section 2.6), and how the system's errors become it.
//!
//! One table for all procedures. It does not narrow the answer to the list a procedure's description names: clients
//! map every status they know, and the honest cause is worth more than a listed one.

use rustix::io::Errno;
use thiserror::Error;

/// Status of an NFS version 3 reply other than "ok" (RFC 1813, section 2.6, `nfsstat3`).
#[derive(Clone, Copy, Debug, Error, Eq, Hash, PartialEq)]
#[error("nfs status {} ({self:?})", *self as i32)]
#[allow(missing_docs)] // the names are the specification's
#[repr(i32)]
pub enum Status {
    Perm = 1,
    NoEnt = 2,
    Io = 5,
    NxIo = 6,
    Acces = 13,
    Exist = 17,
    XDev = 18,
    NoDev = 19,
    NotDir = 20,
    IsDir = 21,
    Inval = 22,
    FBig = 27,
    NoSpc = 28,
    RoFs = 30,
    MLink = 31,
    NameTooLong = 63,
    NotEmpty = 66,
    DQuot = 69,
    Stale = 70,
    Remote = 71,
    BadHandle = 10001,
    NotSync = 10002,
    BadCookie = 10003,
    NotSupp = 10004,
    TooSmall = 10005,
    ServerFault = 10006,
    BadType = 10007,
    Jukebox = 10008,
}

impl Status {
    /// The number on the wire.
    pub fn code(self) -> i32 {
        self as i32
    }
}

impl From<Errno> for Status {
    fn from(error: Errno) -> Self {
        match error {
            Errno::PERM => Self::Perm,
            Errno::NOENT => Self::NoEnt,
            Errno::IO | Errno::UCLEAN | Errno::BADMSG => Self::Io,
            Errno::NXIO => Self::NxIo,
            // A busy name is a mount point or the like, which a client may not touch; a busy text is in use.
            Errno::ACCESS | Errno::BUSY | Errno::TXTBSY => Self::Acces,
            Errno::EXIST => Self::Exist,
            Errno::XDEV => Self::XDev,
            Errno::NODEV => Self::NoDev,
            // A symbolic link where a directory was needed: the server never follows one.
            Errno::NOTDIR | Errno::LOOP => Self::NotDir,
            Errno::ISDIR => Self::IsDir,
            Errno::INVAL => Self::Inval,
            Errno::FBIG | Errno::OVERFLOW => Self::FBig,
            Errno::NOSPC => Self::NoSpc,
            Errno::ROFS => Self::RoFs,
            Errno::MLINK => Self::MLink,
            Errno::NAMETOOLONG => Self::NameTooLong,
            Errno::NOTEMPTY => Self::NotEmpty,
            Errno::DQUOT => Self::DQuot,
            Errno::STALE => Self::Stale,
            Errno::REMOTE => Self::Remote,
            Errno::OPNOTSUPP | Errno::NOSYS => Self::NotSupp,
            // Short of something for the moment: the client shall come again.
            Errno::AGAIN | Errno::NOMEM | Errno::MFILE | Errno::NFILE | Errno::TIMEDOUT => {
                Self::Jukebox
            }
            _ => Self::ServerFault,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_of_the_system_keep_their_meaning() {
        let table = [
            (Errno::PERM, 1),
            (Errno::NOENT, 2),
            (Errno::IO, 5),
            (Errno::NXIO, 6),
            (Errno::ACCESS, 13),
            (Errno::EXIST, 17),
            (Errno::XDEV, 18),
            (Errno::NODEV, 19),
            (Errno::NOTDIR, 20),
            (Errno::ISDIR, 21),
            (Errno::INVAL, 22),
            (Errno::FBIG, 27),
            (Errno::NOSPC, 28),
            (Errno::ROFS, 30),
            (Errno::MLINK, 31),
            (Errno::NAMETOOLONG, 63),
            (Errno::NOTEMPTY, 66),
            (Errno::DQUOT, 69),
            (Errno::STALE, 70),
            (Errno::REMOTE, 71),
            (Errno::OPNOTSUPP, 10004),
            (Errno::MFILE, 10008),
            (Errno::BADF, 10006),
        ];
        for (error, code) in table {
            assert_eq!(Status::from(error).code(), code, "{error:?}");
        }
    }
}
