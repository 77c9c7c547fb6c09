//! One exported directory: its options, and the way from a handle to an open descriptor.
//!
//! What is done with the descriptor is [`crate::fs`]'s business.

use std::hash::{BuildHasher, BuildHasherDefault, DefaultHasher};
use std::net::IpAddr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard};

use farcall_onc::auth::Flavor;
use rustix::io::Errno;

use crate::attr::Attr;
use crate::caller::{Caller, Policy, User};
use crate::confine::{Beneath, expect_same_mount};
use crate::files::Files;
use crate::handle::{FileId, Key, LENGTH};
use crate::listing::Listings;
use crate::network::Network;
use crate::status::Status;
use crate::tree::{Found, Ident, Tree, join, lock};

/// Locks that keep attributes before and after true; a file's lock is chosen by its inode.
const LOCKS: usize = 64;

/// What is to be exported and how.
#[derive(Clone, Debug)]
pub struct Spec {
    /// The directory.
    pub directory: PathBuf,
    /// What clients mount, beginning with `/`.
    pub name: Vec<u8>,
    /// Refuse every change.
    pub read_only: bool,
    /// Who may come.
    pub networks: Vec<Network>,
    /// What callers must show of themselves: the flavours that are taken, the best first.
    pub flavors: Vec<Flavor>,
    /// Who counts as whom.
    pub policy: Policy,
}

/// A directory that is served.
#[derive(Debug)]
pub struct Export {
    pub(crate) id: u64,
    pub(crate) spec: Spec,
    pub(crate) key: Key,
    pub(crate) beneath: Beneath,
    pub(crate) tree: Tree,
    pub(crate) files: Files,
    pub(crate) listings: Listings,
    verifier: AtomicU64,
    locks: [Mutex<()>; LOCKS],
}

/// A file found from its handle: a descriptor that names it, its attributes, and its path below the root.
#[derive(Debug)]
pub struct Node {
    pub(crate) file: OwnedFd,
    pub(crate) attr: Attr,
    pub(crate) path: Vec<u8>,
}

impl AsFd for Node {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }
}

impl Node {
    pub(crate) fn new(file: OwnedFd, path: Vec<u8>) -> Result<Self, Status> {
        let attr = Attr::of(&file)?;
        Ok(Self { file, attr, path })
    }

    /// The attributes now.
    pub(crate) fn now(&self) -> Option<Attr> {
        Attr::of(&self.file).ok()
    }
}

impl Export {
    /// Opens the directory. `verifier` is what WRITE and COMMIT tell clients of this run of the server.
    ///
    /// # Errors
    /// As [`Beneath::new`].
    pub fn new(spec: Spec, key: &Key, verifier: u64) -> Result<Self, Errno> {
        let beneath = Beneath::new(&spec.directory)?;
        let root = *beneath.attr();
        let words = [root.inode.to_be_bytes(), root.generation.to_be_bytes()].concat();
        Ok(Self {
            id: key.number("export", &[&words, &*spec.name].concat()),
            spec,
            key: key.clone(),
            tree: Tree::new(&root),
            beneath,
            files: Files::default(),
            listings: Listings::default(),
            verifier: AtomicU64::new(verifier),
            locks: std::array::from_fn(|_| Mutex::default()),
        })
    }

    /// The name that clients mount.
    pub fn name(&self) -> &[u8] {
        &self.spec.name
    }

    /// The root's file.
    pub fn root(&self) -> FileId {
        self.id_of(self.beneath.attr())
    }

    /// The bytes a client gets for a file.
    pub fn handle(&self, file: FileId) -> [u8; LENGTH] {
        file.seal(&self.key)
    }

    /// Whether a peer may use this export. No address means a caller on this machine.
    pub fn admits(&self, peer: Option<IpAddr>) -> bool {
        peer.is_none_or(|peer| {
            self.spec
                .networks
                .iter()
                .any(|network| network.contains(peer))
        })
    }

    /// The flavours that are taken, the best first.
    pub fn flavors(&self) -> &[Flavor] {
        &self.spec.flavors
    }

    /// Whether calls of this flavour are taken: it is listed, or protects more than one of Kerberos that is.
    pub fn takes(&self, flavor: Flavor) -> bool {
        let strength = |flavor: &Flavor| {
            let kerberos = [Flavor::KRB5, Flavor::KRB5I, Flavor::KRB5P];
            kerberos.iter().position(|it| it == flavor)
        };
        let listed = &self.spec.flavors;
        listed.contains(&flavor)
            || strength(&flavor).is_some_and(|given| {
                listed
                    .iter()
                    .filter_map(strength)
                    .any(|least| least <= given)
            })
    }

    /// The networks this export is for.
    pub fn networks(&self) -> &[Network] {
        &self.spec.networks
    }

    /// Whether every address may use this export.
    pub fn is_for_all(&self) -> bool {
        Network::ANY
            .iter()
            .all(|all| self.spec.networks.contains(all))
    }

    /// On whose behalf a call with this credential is done.
    pub fn caller(&self, credential: Option<User>) -> Caller {
        self.spec.policy.caller(credential)
    }

    /// What WRITE and COMMIT tell clients: unwritten data are lost if it is another than before.
    pub fn verifier(&self) -> [u8; 8] {
        self.verifier.load(Ordering::Relaxed).to_be_bytes()
    }

    /// Data that a client believed to be on their way to the disk are lost: it shall send all again.
    pub(crate) fn change_verifier(&self) {
        self.verifier.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn id_of(&self, attr: &Attr) -> FileId {
        FileId {
            export: self.id,
            device: attr.fsid.wrapping_sub(self.beneath.attr().fsid),
            inode: attr.inode,
            generation: attr.generation,
        }
    }

    // req: nfs3-1813-2.6-stale
    /// Finds the file a handle names.
    pub(crate) fn find(&self, id: FileId) -> Result<Node, Status> {
        let ident = self.ident(id);
        if let Some(path) = self.tree.path(ident)
            && let Some(node) = self.at(path, id)?
        {
            return Ok(node);
        }
        match self.tree.search(&self.beneath, ident) {
            Found::At(path) => self.at(path, id)?.ok_or(Status::Stale),
            Found::Gone => Err(Status::Stale),
            Found::Later => Err(Status::Jukebox),
        }
    }

    /// Finds the directory a handle names.
    pub(crate) fn find_directory(&self, id: FileId) -> Result<Node, Status> {
        let node = self.find(id)?;
        node.attr.expect_directory()?;
        Ok(node)
    }

    /// Opens an entry of a directory and remembers where it is.
    pub(crate) fn child(&self, directory: &Node, name: &[u8]) -> Result<Node, Status> {
        let file = self.beneath.child(&directory.file, name).map_err(beneath)?;
        let node = Node::new(file, join(&directory.path, name))?;
        expect_same_mount(&node.attr)?;
        self.tree.note(&node.attr, &directory.attr, name);
        Ok(node)
    }

    /// Opens the directory above; the root's is the root.
    pub(crate) fn parent(&self, directory: &Node) -> Result<Node, Status> {
        let above = match directory.path.iter().rposition(|b| *b == b'/') {
            Some(slash) => &directory.path[..slash],
            None => &[][..],
        };
        Node::new(self.beneath.open(above).map_err(beneath)?, above.to_vec())
    }

    /// Keeps others of our clients off this file or directory.
    pub(crate) fn lock(&self, id: FileId) -> MutexGuard<'_, ()> {
        lock(&self.locks[Self::place(id)])
    }

    /// Keeps others off two directories; the order is the same for everyone.
    pub(crate) fn lock_both(
        &self,
        a: FileId,
        b: FileId,
    ) -> (MutexGuard<'_, ()>, Option<MutexGuard<'_, ()>>) {
        let (a, b) = (Self::place(a), Self::place(b));
        let first = lock(&self.locks[a.min(b)]);
        (first, (a != b).then(|| lock(&self.locks[a.max(b)])))
    }

    // req: nfs3-1813-2.6-rofs
    /// Refuses changes to a read-only export.
    pub(crate) fn expect_writable(&self) -> Result<(), Status> {
        if self.spec.read_only {
            Err(Status::RoFs)
        } else {
            Ok(())
        }
    }

    fn place(id: FileId) -> usize {
        let hash = BuildHasherDefault::<DefaultHasher>::default().hash_one(id);
        usize::try_from(hash % LOCKS as u64).unwrap_or(0)
    }

    fn ident(&self, id: FileId) -> Ident {
        let device = id.device.wrapping_add(self.beneath.attr().fsid);
        Ident {
            device,
            inode: id.inode,
        }
    }

    /// What is at `path`, if it is the file wanted. An inode number that is used again is a stale handle.
    fn at(&self, path: Vec<u8>, id: FileId) -> Result<Option<Node>, Status> {
        let file = match self.beneath.open(&path) {
            Ok(file) => file,
            Err(error @ (Errno::ACCESS | Errno::MFILE | Errno::NFILE | Errno::NOMEM)) => {
                return Err(error.into());
            }
            Err(_) => return Ok(None),
        };
        let node = Node::new(file, path)?;
        let found = self.id_of(&node.attr);
        if found == id {
            return Ok(Some(node));
        }
        if (found.device, found.inode) == (id.device, id.inode) {
            return Err(Status::Stale);
        }
        Ok(None)
    }
}

impl Caller {
    /// Refuses what the mode bits do not give. For the server's own user the kernel does.
    ///
    /// # Errors
    /// [`Status::Acces`].
    pub(crate) fn expect(&self, attr: &Attr, wanted: u32) -> Result<(), Status> {
        match self {
            Self::User(user) if !user.may(attr, wanted) => Err(Status::Acces),
            _ => Ok(()),
        }
    }

    /// As [`Caller::expect`], but the owner always may: a client checks when a file is opened, and a file opened
    /// stays readable and writable.
    pub(crate) fn expect_or_owner(&self, attr: &Attr, wanted: u32) -> Result<(), Status> {
        match self {
            Self::User(user) if user.owns(attr) => Ok(()),
            _ => self.expect(attr, wanted),
        }
    }
}

/// A mount point and a way out of the export look alike to a client: no admittance.
fn beneath(error: Errno) -> Status {
    match error {
        Errno::XDEV => Status::Acces,
        error => error.into(),
    }
}
