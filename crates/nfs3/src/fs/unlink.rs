//! REMOVE, RMDIR, RENAME and LINK (RFC 1813, sections 3.3.12 to 3.3.15): changing which names there are.

use std::os::fd::AsFd;

use rustix::fs::{AtFlags, CWD, linkat, renameat, unlinkat};

use super::{Failed, Outcome, entry_attr, sync_directory, with};
use crate::attr::{Attr, Kind, Wcc};
use crate::caller::{Caller, EXECUTE, READ, WRITE};
use crate::confine::own;
use crate::export::{Export, Node};
use crate::handle::FileId;
use crate::name::Name;
use crate::status::Status;

impl Export {
    /// Procedure 12: removes a name of anything but a directory.
    ///
    /// # Errors
    /// [`Status::IsDir`] for a directory; [`Status::NoEnt`], [`Status::Acces`].
    pub fn remove(&self, caller: &Caller, directory: FileId, name: &[u8]) -> Outcome<Wcc, Wcc> {
        self.in_directory(directory, |directory| {
            let name = Name::entry(name, Status::Inval)?;
            let attr = self.removable(caller, directory, name)?;
            if attr.is_directory() {
                return Err(Status::IsDir);
            }
            self.unlink(directory, name, &attr, AtFlags::empty())
        })
        .map(|((), wcc)| wcc)
    }

    /// Procedure 13: removes an empty directory.
    ///
    /// # Errors
    /// [`Status::NotEmpty`], [`Status::NotDir`]; [`Status::Inval`] for `.`, [`Status::Exist`] for `..`.
    pub fn rmdir(&self, caller: &Caller, directory: FileId, name: &[u8]) -> Outcome<Wcc, Wcc> {
        self.in_directory(directory, |directory| {
            let dots = if name == b"." {
                Status::Inval
            } else {
                Status::Exist
            };
            let name = Name::entry(name, dots)?;
            let attr = self.removable(caller, directory, name)?;
            attr.expect_directory()?;
            self.unlink(directory, name, &attr, AtFlags::REMOVEDIR)
        })
        .map(|((), wcc)| wcc)
    }

    /// Procedure 14: gives something another name, in this or another directory.
    ///
    /// # Errors
    /// [`Status::NoEnt`], [`Status::Exist`], [`Status::NotEmpty`], [`Status::Inval`] for a directory into itself.
    pub fn rename(
        &self,
        caller: &Caller,
        (from, name): (FileId, &[u8]),
        (to, new): (FileId, &[u8]),
    ) -> Outcome<(Wcc, Wcc), (Wcc, Wcc)> {
        let _alone = self.lock_both(from, to);
        let (from, to) = (self.find(from)?, self.find(to)?);
        let result = self
            .expect_writable()
            .and_then(|()| self.move_name(caller, (&from, name), (&to, new)));
        let wcc = |node: &Node| Wcc {
            before: Some(node.attr.before()),
            after: node.now(),
        };
        let both = (wcc(&from), wcc(&to));
        with(result, both).map(|()| both)
    }

    /// Procedure 15: gives a file one more name.
    ///
    /// # Errors
    /// [`Status::Exist`], [`Status::MLink`]; [`Status::IsDir`] for a directory.
    pub fn link(
        &self,
        caller: &Caller,
        file: FileId,
        directory: FileId,
        name: &[u8],
    ) -> Outcome<(Option<Attr>, Wcc), (Option<Attr>, Wcc)> {
        let node = self.find(file)?;
        let linked = self.in_directory(directory, |directory| {
            let name = Name::entry(name, Status::Exist)?;
            caller.expect(&directory.attr, WRITE | EXECUTE)?;
            may_link(caller, &node.attr)?;
            let file = own(node.as_fd());
            linkat(
                CWD,
                file,
                &directory.file,
                name.as_bytes(),
                AtFlags::SYMLINK_FOLLOW,
            )?;
            self.tree.note(&node.attr, &directory.attr, name.as_bytes());
            sync_directory(directory)
        });
        match linked {
            Ok(((), wcc)) => Ok((node.now(), wcc)),
            Err(Failed { status, attrs }) => Err(Failed {
                status,
                attrs: (node.now(), attrs),
            }),
        }
    }

    /// Attributes of what the caller may take out of a directory.
    fn removable(&self, caller: &Caller, directory: &Node, name: Name<'_>) -> Result<Attr, Status> {
        caller.expect(&directory.attr, WRITE | EXECUTE)?;
        let attr = entry_attr(directory, name.as_bytes())?;
        match caller {
            Caller::User(user) if !user.may_unlink(&directory.attr, &attr) => Err(Status::Acces),
            _ => Ok(attr),
        }
    }

    fn unlink(
        &self,
        directory: &Node,
        name: Name<'_>,
        attr: &Attr,
        flags: AtFlags,
    ) -> Result<(), Status> {
        unlinkat(&directory.file, name.as_bytes(), flags)?;
        self.unname(directory, name, attr);
        sync_directory(directory)
    }

    /// A name is gone; with the last one so is the file.
    fn unname(&self, directory: &Node, name: Name<'_>, attr: &Attr) {
        self.tree.forget(attr, &directory.attr, name.as_bytes());
        if attr.is_directory() || attr.links <= 1 {
            self.files.close(self.id_of(attr));
            self.tree.lost(attr);
        }
    }

    fn move_name(
        &self,
        caller: &Caller,
        (from, name): (&Node, &[u8]),
        (to, new): (&Node, &[u8]),
    ) -> Result<(), Status> {
        from.attr.expect_directory()?;
        to.attr.expect_directory()?;
        let name = Name::entry(name, Status::Inval)?;
        let new = Name::entry(new, Status::Inval)?;
        let moved = self.removable(caller, from, name)?;
        let replaced = match self.removable(caller, to, new) {
            Err(Status::NoEnt) => None,
            found => Some(found?),
        };
        let leaves = !from.attr.same_file(&to.attr);
        if leaves && moved.is_directory() {
            // Its `..` changes with it.
            caller.expect(&moved, WRITE)?;
        }
        renameat(&from.file, name.as_bytes(), &to.file, new.as_bytes())?;
        if !replaced.is_some_and(|replaced| replaced.same_file(&moved)) {
            replaced.inspect(|replaced| self.unname(to, new, replaced));
            self.tree.forget(&moved, &from.attr, name.as_bytes());
            self.tree.note(&moved, &to.attr, new.as_bytes());
        }
        sync_directory(to)?;
        if leaves { sync_directory(from) } else { Ok(()) }
    }
}

/// Who may not write to a file shall not keep it alive under an own name (as Linux decides with protected hard links).
fn may_link(caller: &Caller, attr: &Attr) -> Result<(), Status> {
    if attr.is_directory() {
        return Err(Status::IsDir);
    }
    let Caller::User(user) = caller else {
        return Ok(());
    };
    let runs_as_another = attr.mode & 0o4000 != 0 || attr.mode & 0o2010 == 0o2010;
    let plain = attr.kind == Kind::Regular && !runs_as_another;
    if user.owns(attr) || (plain && user.may(attr, READ | WRITE)) {
        return Ok(());
    }
    Err(Status::Perm)
}
