//! FSSTAT, FSINFO and PATHCONF (RFC 1813, sections 3.3.18 to 3.3.20): what the file system offers.

use rustix::fs::fstatvfs;

use super::{Outcome, TRANSFER, with};
use crate::attr::{Attr, Time};
use crate::export::Export;
use crate::handle::FileId;
use crate::name::LONGEST;
use crate::status::Status;

/// Properties of FSINFO: hard links, symbolic links, the same answers everywhere, times can be set.
const PROPERTIES: u32 = 0x01 | 0x02 | 0x08 | 0x10;
/// The fewest links any file system of Linux allows a file that allows more than one (ext4's figure is 65,000).
const LINKS: u32 = 32_000;

/// Room on the file system (FSSTAT).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Space {
    /// Attributes of the file asked about.
    pub attr: Attr,
    /// Bytes: in all, free, free to users.
    pub bytes: [u64; 3],
    /// Files: in all, free, free to users.
    pub files: [u64; 3],
}

/// Limits and preferences (FSINFO and PATHCONF).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Limits {
    /// Attributes of the file asked about.
    pub attr: Attr,
    /// Largest READ and WRITE, in bytes.
    pub transfer: u32,
    /// Preferred size of READDIR, in bytes.
    pub listing: u32,
    /// What sizes should be a multiple of, in bytes.
    pub multiple: u32,
    /// Largest file, in bytes.
    pub size: u64,
    /// How fine the server's times are.
    pub delta: Time,
    /// What there is: see RFC 1813, section 3.3.19.
    pub properties: u32,
    /// Most links to a file.
    pub links: u32,
    /// Longest name, in bytes.
    pub name: u32,
}

impl Export {
    /// Procedure 18: room on the file system.
    ///
    /// # Errors
    /// [`Status::Stale`], [`Status::Io`].
    pub fn fsstat(&self, file: FileId) -> Outcome<Space, Option<Attr>> {
        let node = self.find(file)?;
        let about = with(fstatvfs(&node.file).map_err(Status::from), Some(node.attr))?;
        let bytes = |blocks: u64| blocks.saturating_mul(about.f_frsize);
        Ok(Space {
            attr: node.attr,
            bytes: [about.f_blocks, about.f_bfree, about.f_bavail].map(bytes),
            files: [about.f_files, about.f_ffree, about.f_favail],
        })
    }

    /// Procedures 19 and 20: limits. `transfer` is what the transport carries in one call beside its own needs.
    ///
    /// # Errors
    /// [`Status::Stale`], [`Status::Io`].
    pub fn limits(&self, file: FileId, transfer: u32) -> Outcome<Limits, Option<Attr>> {
        let node = self.find(file)?;
        let about = with(fstatvfs(&node.file).map_err(Status::from), Some(node.attr))?;
        let name = u32::try_from(about.f_namemax)
            .unwrap_or(u32::MAX)
            .min(LONGEST as u32);
        let transfer = transfer.min(TRANSFER);
        Ok(Limits {
            attr: node.attr,
            transfer,
            listing: transfer.min(64 << 10),
            multiple: 4096,
            size: i64::MAX as u64,
            delta: Time {
                seconds: 0,
                nanoseconds: 1,
            },
            properties: PROPERTIES,
            links: LINKS,
            name,
        })
    }
}
