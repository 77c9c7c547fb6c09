//! GETATTR, ACCESS, LOOKUP and READLINK: looking without changing (RFC 1813, sections 3.3.1 and 3.3.3 to 3.3.5).

use std::os::fd::AsFd;

use rustix::fs::{Access, AtFlags, CWD, accessat, readlinkat};

use super::{Outcome, with};
use crate::attr::{Attr, Kind};
use crate::caller::{Caller, EXECUTE, READ, WRITE};
use crate::confine::own;
use crate::export::{Export, Node};
use crate::handle::FileId;
use crate::name::Name;
use crate::status::Status;

/// Bits of ACCESS (RFC 1813, section 3.3.4).
mod bits {
    pub(super) const READ: u32 = 0x01;
    pub(super) const LOOKUP: u32 = 0x02;
    pub(super) const MODIFY: u32 = 0x04;
    pub(super) const EXTEND: u32 = 0x08;
    pub(super) const DELETE: u32 = 0x10;
    pub(super) const EXECUTE: u32 = 0x20;
}

impl Export {
    /// Procedure 1: attributes of a file.
    ///
    /// # Errors
    /// [`Status::Stale`] for a file that is gone.
    pub fn getattr(&self, file: FileId) -> Result<Attr, Status> {
        Ok(self.find(file)?.attr)
    }

    // req: nfs3-1813-3.3.3-lookup
    /// Procedure 3: a name in a directory; also says what the directory's attributes are.
    ///
    /// # Errors
    /// [`Status::NoEnt`], [`Status::NotDir`], [`Status::Acces`], and those of names.
    pub fn lookup(
        &self,
        caller: &Caller,
        directory: FileId,
        name: &[u8],
    ) -> Outcome<(FileId, Attr, Attr), Option<Attr>> {
        let directory = self.find(directory)?;
        let found = self.look(caller, &directory, name);
        let (id, attr) = with(found, Some(directory.attr))?;
        Ok((id, attr, directory.attr))
    }

    fn look(
        &self,
        caller: &Caller,
        directory: &Node,
        name: &[u8],
    ) -> Result<(FileId, Attr), Status> {
        directory.attr.expect_directory()?;
        let name = Name::new(name)?;
        caller.expect(&directory.attr, EXECUTE)?;
        let attr = if name.is_dot() {
            directory.attr
        } else if name.is_dot_dot() {
            self.parent(directory)?.attr
        } else {
            self.child(directory, name.as_bytes())?.attr
        };
        Ok((self.id_of(&attr), attr))
    }

    // req: nfs3-1813-3.3.4-access
    /// Procedure 4: which of the `wanted` accesses the caller has.
    ///
    /// # Errors
    /// [`Status::Stale`] for a file that is gone.
    pub fn access(
        &self,
        caller: &Caller,
        file: FileId,
        wanted: u32,
    ) -> Outcome<(u32, Attr), Option<Attr>> {
        let node = self.find(file)?;
        let rights = match caller {
            Caller::User(user) => user.rights(&node.attr),
            Caller::Server => own_rights(&node),
        };
        let mut granted = accesses(rights, node.attr.is_directory());
        if self.spec.read_only {
            granted &= !(bits::MODIFY | bits::EXTEND | bits::DELETE);
        }
        Ok((granted & wanted, node.attr))
    }

    /// Procedure 5: the text of a symbolic link, which the server never follows.
    ///
    /// # Errors
    /// [`Status::Inval`] for what is no symbolic link.
    pub fn readlink(&self, file: FileId) -> Outcome<(Vec<u8>, Attr), Option<Attr>> {
        let node = self.find(file)?;
        if node.attr.kind != Kind::Symlink {
            return with(Err(Status::Inval), Some(node.attr));
        }
        let text = readlinkat(&node.file, "", Vec::new()).map_err(Status::from);
        with(text, Some(node.attr)).map(|text| (text.into_bytes(), node.attr))
    }
}

/// What the user we run as may do, as the kernel says.
fn own_rights(node: &Node) -> u32 {
    let path = own(node.as_fd());
    let may = |access| accessat(CWD, &*path, access, AtFlags::EACCESS).is_ok();
    [
        (READ, Access::READ_OK),
        (WRITE, Access::WRITE_OK),
        (EXECUTE, Access::EXEC_OK),
    ]
    .into_iter()
    .filter(|(_, access)| may(*access))
    .fold(0, |rights, (right, _)| rights | right)
}

fn accesses(rights: u32, directory: bool) -> u32 {
    let mut bits = 0;
    if rights & READ != 0 {
        bits |= bits::READ;
    }
    if rights & EXECUTE != 0 {
        bits |= if directory {
            bits::LOOKUP
        } else {
            bits::EXECUTE
        };
    }
    if rights & WRITE != 0 {
        bits |= bits::MODIFY | bits::EXTEND;
        bits |= if directory { bits::DELETE } else { 0 };
    }
    bits
}
