//! Between the interface's types (`idl/nfs3.x`) and ours.

use farcall::generated::nfs3 as wire;

use crate::attr::{Attr, Before, Kind, SetAttr, SetTime, Time, Wcc};
use crate::fs::Stable;
use crate::handle::LENGTH;
use crate::status::Status;

/// A status as the interface numbers it.
pub(crate) fn stat(status: Status) -> wire::Nfsstat3 {
    use wire::Nfsstat3 as To;
    match status {
        Status::Perm => To::Nfs3ErrPerm,
        Status::NoEnt => To::Nfs3ErrNoent,
        Status::Io => To::Nfs3ErrIo,
        Status::NxIo => To::Nfs3ErrNxio,
        Status::Acces => To::Nfs3ErrAcces,
        Status::Exist => To::Nfs3ErrExist,
        Status::XDev => To::Nfs3ErrXdev,
        Status::NoDev => To::Nfs3ErrNodev,
        Status::NotDir => To::Nfs3ErrNotdir,
        Status::IsDir => To::Nfs3ErrIsdir,
        Status::Inval => To::Nfs3ErrInval,
        Status::FBig => To::Nfs3ErrFbig,
        Status::NoSpc => To::Nfs3ErrNospc,
        Status::RoFs => To::Nfs3ErrRofs,
        Status::MLink => To::Nfs3ErrMlink,
        Status::NameTooLong => To::Nfs3ErrNametoolong,
        Status::NotEmpty => To::Nfs3ErrNotempty,
        Status::DQuot => To::Nfs3ErrDquot,
        Status::Stale => To::Nfs3ErrStale,
        Status::Remote => To::Nfs3ErrRemote,
        Status::BadHandle => To::Nfs3ErrBadhandle,
        Status::NotSync => To::Nfs3ErrNotSync,
        Status::BadCookie => To::Nfs3ErrBadCookie,
        Status::NotSupp => To::Nfs3ErrNotsupp,
        Status::TooSmall => To::Nfs3ErrToosmall,
        Status::ServerFault => To::Nfs3ErrServerfault,
        Status::BadType => To::Nfs3ErrBadtype,
        Status::Jukebox => To::Nfs3ErrJukebox,
    }
}

/// A handle.
pub(crate) fn handle(bytes: [u8; LENGTH]) -> wire::NfsFh3 {
    wire::NfsFh3 {
        data: bytes.to_vec(),
    }
}

/// A handle that follows.
pub(crate) fn post_handle(bytes: Option<[u8; LENGTH]>) -> wire::PostOpFh3 {
    bytes.map_or(wire::PostOpFh3::False, |bytes| {
        wire::PostOpFh3::True(handle(bytes))
    })
}

/// Attributes.
pub(crate) fn attr(attr: &Attr) -> wire::Fattr3 {
    wire::Fattr3 {
        r#type: kind(attr.kind),
        mode: attr.mode,
        nlink: attr.links,
        uid: attr.uid,
        gid: attr.gid,
        size: attr.size,
        used: attr.used,
        rdev: wire::Specdata3 {
            specdata1: attr.device.0,
            specdata2: attr.device.1,
        },
        fsid: attr.fsid,
        fileid: attr.inode,
        atime: time(attr.atime),
        mtime: time(attr.mtime),
        ctime: time(attr.ctime),
    }
}

/// Attributes that follow, if they are known.
pub(crate) fn post(known: Option<Attr>) -> wire::PostOpAttr {
    known.map_or(wire::PostOpAttr::False, |known| {
        wire::PostOpAttr::True(attr(&known))
    })
}

/// Attributes before and after.
pub(crate) fn wcc(wcc: Wcc) -> wire::WccData {
    wire::WccData {
        before: wcc.before.map_or(wire::PreOpAttr::False, before),
        after: post(wcc.after),
    }
}

/// A time.
pub(crate) fn time(time: Time) -> wire::Nfstime3 {
    wire::Nfstime3 {
        seconds: time.seconds,
        nseconds: time.nanoseconds,
    }
}

/// A time that a client sent.
pub(crate) fn from_time(time: &wire::Nfstime3) -> Time {
    Time {
        seconds: time.seconds,
        nanoseconds: time.nseconds,
    }
}

/// Attributes that a client sets.
pub(crate) fn set(from: &wire::Sattr3) -> SetAttr {
    SetAttr {
        mode: match from.mode {
            wire::SetMode3::True(mode) => Some(mode),
            wire::SetMode3::False => None,
        },
        uid: match from.uid {
            wire::SetUid3::True(uid) => Some(uid),
            wire::SetUid3::False => None,
        },
        gid: match from.gid {
            wire::SetGid3::True(gid) => Some(gid),
            wire::SetGid3::False => None,
        },
        size: match from.size {
            wire::SetSize3::True(size) => Some(size),
            wire::SetSize3::False => None,
        },
        atime: match &from.atime {
            wire::SetAtime::SetToClientTime(time) => SetTime::At(from_time(time)),
            wire::SetAtime::Default(how) => set_time(*how),
        },
        mtime: match &from.mtime {
            wire::SetMtime::SetToClientTime(time) => SetTime::At(from_time(time)),
            wire::SetMtime::Default(how) => set_time(*how),
        },
    }
}

/// How lasting a client wants its data.
pub(crate) fn stable(how: wire::StableHow) -> Stable {
    match how {
        wire::StableHow::Unstable => Stable::Unstable,
        wire::StableHow::DataSync => Stable::Data,
        wire::StableHow::FileSync => Stable::File,
    }
}

/// How lasting they are.
pub(crate) fn stable_how(stable: Stable) -> wire::StableHow {
    match stable {
        Stable::Unstable => wire::StableHow::Unstable,
        Stable::Data => wire::StableHow::DataSync,
        Stable::File => wire::StableHow::FileSync,
    }
}

fn kind(kind: Kind) -> wire::Ftype3 {
    match kind {
        Kind::Regular => wire::Ftype3::Nf3Reg,
        Kind::Directory => wire::Ftype3::Nf3Dir,
        Kind::Block => wire::Ftype3::Nf3Blk,
        Kind::Character => wire::Ftype3::Nf3Chr,
        Kind::Symlink => wire::Ftype3::Nf3Lnk,
        Kind::Socket => wire::Ftype3::Nf3Sock,
        Kind::Fifo => wire::Ftype3::Nf3Fifo,
    }
}

fn before(before: Before) -> wire::PreOpAttr {
    wire::PreOpAttr::True(wire::WccAttr {
        size: before.size,
        mtime: time(before.mtime),
        ctime: time(before.ctime),
    })
}

fn set_time(how: wire::TimeHow) -> SetTime {
    match how {
        wire::TimeHow::SetToServerTime => SetTime::Now,
        _ => SetTime::Keep,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_status_keeps_its_number() {
        let all = [
            Status::Perm,
            Status::NoEnt,
            Status::Io,
            Status::NxIo,
            Status::Acces,
            Status::Exist,
            Status::XDev,
            Status::NoDev,
            Status::NotDir,
            Status::IsDir,
            Status::Inval,
            Status::FBig,
            Status::NoSpc,
            Status::RoFs,
            Status::MLink,
            Status::NameTooLong,
            Status::NotEmpty,
            Status::DQuot,
            Status::Stale,
            Status::Remote,
            Status::BadHandle,
            Status::NotSync,
            Status::BadCookie,
            Status::NotSupp,
            Status::TooSmall,
            Status::ServerFault,
            Status::BadType,
            Status::Jukebox,
        ];
        for status in all {
            assert_eq!(stat(status) as i32, status.code());
        }
    }
}
