//! Who has mounted what, as MOUNT's DUMP tells it (RFC 1813, appendix I).
//!
//! The list is a courtesy: it starts empty, clients forget to sign off, and nothing depends on it. So it is bounded, and the oldest
//! entry goes when it is full.

use std::collections::VecDeque;
use std::sync::Mutex;

use crate::tree::lock;

/// How many mounts are remembered.
pub const REMEMBERED: usize = 1024;

/// The list of mounts.
#[derive(Debug, Default)]
pub struct Mounts(Mutex<VecDeque<Mount>>);

/// One mount.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Mount {
    /// The client's address.
    pub host: String,
    /// The path it asked for.
    pub path: Vec<u8>,
}

impl Mounts {
    /// Remembers a mount.
    pub fn add(&self, host: &str, path: &[u8]) {
        let mount = Mount {
            host: host.to_owned(),
            path: path.to_vec(),
        };
        let mut mounts = lock(&self.0);
        mounts.retain(|known| *known != mount);
        if mounts.len() >= REMEMBERED {
            mounts.pop_front();
        }
        mounts.push_back(mount);
    }

    /// Forgets a host's mount of a path, or all of the host's.
    pub fn remove(&self, host: &str, path: Option<&[u8]>) {
        let gone = |mount: &Mount| mount.host == host && path.is_none_or(|path| mount.path == path);
        lock(&self.0).retain(|mount| !gone(mount));
    }

    /// All that is remembered, oldest first.
    pub fn list(&self) -> Vec<Mount> {
        lock(&self.0).iter().cloned().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mounts_are_remembered_once_and_not_without_end() {
        let mounts = Mounts::default();
        mounts.add("a", b"/");
        mounts.add("a", b"/");
        mounts.add("a", b"/x");
        mounts.add("b", b"/");
        assert_eq!(mounts.list().len(), 3);
        mounts.remove("a", Some(b"/"));
        assert_eq!(
            mounts.list()[0],
            Mount {
                host: "a".to_owned(),
                path: b"/x".to_vec()
            }
        );
        mounts.remove("a", None);
        assert_eq!(mounts.list().len(), 1);
        for n in 0..2 * REMEMBERED {
            mounts.add(&n.to_string(), b"/");
        }
        assert_eq!(mounts.list().len(), REMEMBERED);
    }
}
