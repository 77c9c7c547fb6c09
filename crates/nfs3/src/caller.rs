//! Who calls and what that one may do (RFC 1813, section 4.4; the credential is AUTH_SYS, RFC 5531 appendix A).
//!
//! Run by root, the server itself decides by owner, group and others as the system would, for the user that the
//! credential claims and squashing leaves. POSIX access control lists are not read: only the mode bits count. Run by
//! anyone else, it does everything as that user, the kernel decides, and credentials are not looked at. AUTH_SYS is a
//! claim, not a proof: the networks allowed are the only thing that stands behind it.

use crate::attr::Attr;

/// Execute or search permission.
pub const EXECUTE: u32 = 1;
/// Write permission.
pub const WRITE: u32 = 2;
/// Read permission.
pub const READ: u32 = 4;

/// Whose rights count.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Identity {
    /// The caller's if the server runs as the machine's root, else the server's own.
    #[default]
    Auto,
    /// The user the server runs as, for every caller.
    Server,
    /// The user that the credential names. Needs root.
    Caller,
}

/// Which callers become the anonymous user.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Squash {
    /// None: a client's root is root here.
    None,
    /// User and group 0.
    #[default]
    Root,
    /// All.
    All,
}

/// User and groups.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct User {
    /// User number.
    pub uid: u32,
    /// Group number.
    pub gid: u32,
    /// Further groups.
    pub gids: Vec<u32>,
}

/// On whose behalf an operation is done.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Caller {
    /// The server's own user; the kernel decides.
    Server,
    /// This user; we decide.
    User(User),
}

/// From a credential to a caller.
#[derive(Clone, Copy, Debug)]
pub struct Policy {
    /// Whether callers act as themselves. False: all act as the server.
    pub as_caller: bool,
    /// Who becomes anonymous.
    pub squash: Squash,
    /// User number of the anonymous user.
    pub anonymous_uid: u32,
    /// Group number of the anonymous user.
    pub anonymous_gid: u32,
}

impl Policy {
    /// The caller for a credential; `None` is AUTH_NONE.
    pub fn caller(&self, credential: Option<User>) -> Caller {
        if !self.as_caller {
            return Caller::Server;
        }
        // The number -1 means "leave it" to chown: nobody is that.
        let real = |user: &User| user.uid != u32::MAX && !user.in_group(u32::MAX);
        let Some(user) = credential.filter(|user| self.squash != Squash::All && real(user)) else {
            return Caller::User(self.anonymous());
        };
        Caller::User(if self.squash == Squash::Root {
            self.without_root(user)
        } else {
            user
        })
    }

    fn anonymous(&self) -> User {
        User {
            uid: self.anonymous_uid,
            gid: self.anonymous_gid,
            gids: Vec::new(),
        }
    }

    fn without_root(&self, mut user: User) -> User {
        if user.uid == 0 {
            return self.anonymous();
        }
        for gid in std::iter::once(&mut user.gid)
            .chain(&mut user.gids)
            .filter(|gid| **gid == 0)
        {
            *gid = self.anonymous_gid;
        }
        user
    }
}

impl User {
    /// Whether the user is in a group.
    pub fn in_group(&self, gid: u32) -> bool {
        self.gid == gid || self.gids.contains(&gid)
    }

    /// Which of [`READ`], [`WRITE`] and [`EXECUTE`] the mode bits give this user.
    pub fn rights(&self, attr: &Attr) -> u32 {
        if self.uid == 0 {
            let runs = attr.is_directory() || attr.mode & 0o111 != 0;
            return if runs {
                READ | WRITE | EXECUTE
            } else {
                READ | WRITE
            };
        }
        let class = match (self.uid == attr.uid, self.in_group(attr.gid)) {
            (true, _) => attr.mode >> 6,
            (false, true) => attr.mode >> 3,
            (false, false) => attr.mode,
        };
        class & 0o7
    }

    /// Whether the user has all of `wanted`.
    pub fn may(&self, attr: &Attr, wanted: u32) -> bool {
        self.rights(attr) & wanted == wanted
    }

    /// Whether the user owns the file, or is root.
    pub fn owns(&self, attr: &Attr) -> bool {
        self.uid == 0 || self.uid == attr.uid
    }

    /// Whether the user may take `file` out of `directory` as far as the sticky bit decides.
    pub fn may_unlink(&self, directory: &Attr, file: &Attr) -> bool {
        directory.mode & 0o1000 == 0 || self.owns(file) || self.owns(directory)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::attr::{Kind, Time};

    fn attr(kind: Kind, mode: u32, uid: u32, gid: u32) -> Attr {
        let time = Time::default();
        Attr {
            kind,
            mode,
            links: 1,
            uid,
            gid,
            size: 0,
            used: 0,
            device: (0, 0),
            fsid: 0,
            inode: 0,
            generation: 0,
            atime: time,
            mtime: time,
            ctime: time,
            mount_root: false,
        }
    }

    fn user(uid: u32, gid: u32, gids: &[u32]) -> User {
        User {
            uid,
            gid,
            gids: gids.to_vec(),
        }
    }

    #[test]
    fn one_class_decides_even_if_the_next_gives_more() {
        let file = attr(Kind::Regular, 0o047, 10, 20);
        assert_eq!(user(10, 20, &[]).rights(&file), 0);
        assert_eq!(user(11, 20, &[]).rights(&file), READ);
        assert_eq!(user(11, 1, &[5, 20]).rights(&file), READ);
        assert_eq!(user(11, 21, &[]).rights(&file), READ | WRITE | EXECUTE);
        assert!(!user(11, 20, &[]).may(&file, READ | WRITE));
    }

    #[test]
    fn root_executes_only_what_someone_may_execute() {
        let root = user(0, 0, &[]);
        assert_eq!(
            root.rights(&attr(Kind::Regular, 0o000, 10, 20)),
            READ | WRITE
        );
        assert_eq!(
            root.rights(&attr(Kind::Regular, 0o001, 10, 20)),
            READ | WRITE | EXECUTE
        );
        assert_eq!(
            root.rights(&attr(Kind::Directory, 0o000, 10, 20)),
            READ | WRITE | EXECUTE
        );
    }

    #[test]
    fn in_a_sticky_directory_only_owners_remove() {
        let sticky = attr(Kind::Directory, 0o1777, 1, 1);
        let file = attr(Kind::Regular, 0o666, 2, 2);
        assert!(user(1, 9, &[]).may_unlink(&sticky, &file));
        assert!(user(2, 9, &[]).may_unlink(&sticky, &file));
        assert!(!user(3, 9, &[]).may_unlink(&sticky, &file));
        assert!(user(0, 0, &[]).may_unlink(&sticky, &file));
        assert!(user(3, 9, &[]).may_unlink(&attr(Kind::Directory, 0o777, 1, 1), &file));
    }

    #[test]
    fn squashing_leaves_no_root() {
        let mut policy = Policy {
            as_caller: true,
            squash: Squash::Root,
            anonymous_uid: 98,
            anonymous_gid: 99,
        };
        let anonymous = Caller::User(user(98, 99, &[]));
        assert_eq!(policy.caller(Some(user(0, 5, &[6]))), anonymous);
        assert_eq!(policy.caller(None), anonymous);
        let squashed = Caller::User(user(7, 99, &[99, 8]));
        assert_eq!(policy.caller(Some(user(7, 0, &[0, 8]))), squashed);
        assert_eq!(policy.caller(Some(user(u32::MAX, 5, &[]))), anonymous);
        assert_eq!(policy.caller(Some(user(5, 5, &[u32::MAX]))), anonymous);
        policy.squash = Squash::All;
        assert_eq!(policy.caller(Some(user(7, 7, &[]))), anonymous);
        policy.squash = Squash::None;
        assert_eq!(
            policy.caller(Some(user(0, 0, &[]))),
            Caller::User(user(0, 0, &[]))
        );
        policy.as_caller = false;
        assert_eq!(policy.caller(Some(user(7, 7, &[]))), Caller::Server);
    }
}
