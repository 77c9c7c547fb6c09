//! Building a server: which directories, for whom, and what is kept.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustix::process::geteuid;
use thiserror::Error;

use farcall_onc::auth::Flavor;

use crate::caller::{Identity, Policy, Squash};
use crate::export::{Export, Spec};
use crate::exports::Exports;
use crate::mounts::{Mount, Mounts};
use crate::network::Network;
use crate::principal::Principals;
use crate::state;

/// User and group of callers without an identity, as systems call `nobody` and `nogroup`.
const NOBODY: u32 = 65534;

/// An NFS version 3 server with its MOUNT service, to be put into a [`farcall::Server`].
///
/// Cloning is cheap; clones serve the same exports.
#[derive(Clone, Debug)]
pub struct Nfs3 {
    pub(crate) exports: Arc<Exports>,
    pub(crate) mounts: Arc<Mounts>,
    pub(crate) principals: Principals,
}

/// What a server will be; see [`Nfs3::builder`].
///
/// Options of an export ([`name`](Self::name) to [`anonymous`](Self::anonymous), and [`flavors`](Self::flavors),) are those of the export begun last.
#[derive(Debug)]
pub struct Builder {
    begun: Vec<Spec>,
    last: Spec,
    identity: Identity,
    state: Option<PathBuf>,
    principals: Principals,
}

/// Why a server cannot be.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum BuildError {
    /// A directory that cannot be exported.
    #[error("cannot export {}: {source}", path.display())]
    Directory {
        /// The directory.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// A name that clients could not mount.
    #[error(
        "an export cannot be named `{0}`: expected a path that begins with / and is none of the others' names"
    )]
    Name(String),
    /// The state directory does not serve.
    #[error("cannot keep state in {}: {source}", path.display())]
    State {
        /// The state directory.
        path: PathBuf,
        /// What is wrong.
        source: io::Error,
    },
    /// The system gave no random bytes.
    #[error("no random bytes: {0}")]
    Random(io::Error),
    /// Serving callers under their own identity needs the machine's root.
    #[error(
        "callers cannot act as themselves: the server runs as user {0}, expected root with all users mapped"
    )]
    Identity(u32),
}

impl Nfs3 {
    /// Begins a server that exports `directory` as `/`, read-write, to this machine, with root squashed.
    pub fn builder(directory: impl Into<PathBuf>) -> Builder {
        Builder {
            begun: Vec::new(),
            last: spec(directory.into()),
            identity: Identity::Auto,
            state: None,
            principals: Principals::default(),
        }
    }

    /// What is exported.
    pub fn exports(&self) -> &Exports {
        &self.exports
    }

    /// Who has mounted what, as far as is known, oldest first.
    pub fn mounts(&self) -> Vec<Mount> {
        self.mounts.list()
    }
}

impl Builder {
    /// The flavours of credentials that are taken, the best first: [`Flavor::SYS`], [`Flavor::NONE`], and pseudo-flavours such
    /// as [`Flavor::KRB5P`]. Clients are told of them when they mount (RFC 1813 appendix I, RFC 2623 section 2.7); a call
    /// to a file with any other is refused with `AUTH_TOOWEAK`, but one that protects more than a listed flavour of
    /// Kerberos is taken too. Default `AUTH_SYS` and `AUTH_NONE`, which prove nothing.
    ///
    /// For those of Kerberos the server that serves this needs its keys: [`farcall::server::Builder::gss`].
    #[must_use]
    pub fn flavors(mut self, flavors: impl Into<Vec<Flavor>>) -> Self {
        self.last.flavors = flavors.into();
        self
    }

    /// Who the principals are that Kerberos proves. Default: the anonymous user, all of them. Matters only if callers
    /// act as themselves.
    #[must_use]
    pub fn principals(mut self, principals: Principals) -> Self {
        self.principals = principals;
        self
    }

    /// Begins one more export. Each needs a [`name`](Self::name) of its own.
    #[must_use]
    pub fn export(mut self, directory: impl Into<PathBuf>) -> Self {
        let done = std::mem::replace(&mut self.last, spec(directory.into()));
        self.begun.push(done);
        self
    }

    /// What clients mount. Default `/`. A directory below is mounted by the name and the way to it.
    #[must_use]
    pub fn name(mut self, name: impl Into<Vec<u8>>) -> Self {
        self.last.name = name.into();
        self
    }

    /// Refuse every change. Default: changes are taken.
    #[must_use]
    pub fn read_only(mut self, read_only: bool) -> Self {
        self.last.read_only = read_only;
        self
    }

    /// Who may come, by address. Default [`Network::LOOPBACK`].
    ///
    /// Anyone there may claim to be any user: AUTH_SYS proves nothing.
    #[must_use]
    pub fn networks(mut self, networks: impl Into<Vec<Network>>) -> Self {
        self.last.networks = networks.into();
        self
    }

    /// Which callers become the anonymous user. Default [`Squash::Root`]. Matters only if callers act as themselves.
    #[must_use]
    pub fn squash(mut self, squash: Squash) -> Self {
        self.last.policy.squash = squash;
        self
    }

    /// User and group of the anonymous user. Default 65534 and 65534.
    #[must_use]
    pub fn anonymous(mut self, uid: u32, gid: u32) -> Self {
        self.last.policy.anonymous_uid = uid;
        self.last.policy.anonymous_gid = gid;
        self
    }

    /// Whose rights count. Default [`Identity::Auto`].
    #[must_use]
    pub fn identity(mut self, identity: Identity) -> Self {
        self.identity = identity;
        self
    }

    /// Where the key of the handles is kept, so that clients do not notice a restart. Default: nowhere.
    #[must_use]
    pub fn state_dir(mut self, directory: impl Into<PathBuf>) -> Self {
        self.state = Some(directory.into());
        self
    }

    /// Opens the directories.
    ///
    /// # Errors
    /// [`BuildError`]: nothing is left behind then.
    pub fn build(mut self) -> Result<Nfs3, BuildError> {
        let as_caller = as_caller(self.identity)?;
        self.begun.push(self.last);
        check_names(&self.begun)?;
        if let Some(path) = &self.state {
            check_secret(path, &self.begun).map_err(|source| BuildError::State {
                path: path.clone(),
                source,
            })?;
        }
        let key = match &self.state {
            Some(path) => state::kept_key(path).map_err(|source| BuildError::State {
                path: path.clone(),
                source,
            })?,
            None => state::fresh_key().map_err(BuildError::Random)?,
        };
        let verifier = u64::from_be_bytes(state::random().map_err(BuildError::Random)?);
        let mut list = Vec::new();
        for mut spec in self.begun {
            spec.policy.as_caller = as_caller;
            let path = spec.directory.clone();
            let opened = Export::new(spec, &key, verifier);
            list.push(opened.map_err(|error| BuildError::Directory {
                path,
                source: error.into(),
            })?);
        }
        Ok(Nfs3 {
            exports: Arc::new(Exports::new(key, list)),
            mounts: Arc::default(),
            principals: self.principals,
        })
    }
}

fn spec(directory: PathBuf) -> Spec {
    Spec {
        directory,
        name: b"/".to_vec(),
        read_only: false,
        networks: Network::LOOPBACK.to_vec(),
        flavors: vec![Flavor::SYS, Flavor::NONE],
        policy: Policy {
            as_caller: false,
            squash: Squash::default(),
            anonymous_uid: NOBODY,
            anonymous_gid: NOBODY,
        },
    }
}

fn check_names(specs: &[Spec]) -> Result<(), BuildError> {
    for (index, spec) in specs.iter().enumerate() {
        let taken = specs
            .iter()
            .take(index)
            .any(|other| other.name == spec.name);
        if taken || !spec.name.starts_with(b"/") || spec.name.contains(&0) {
            return Err(BuildError::Name(
                String::from_utf8_lossy(&spec.name).into_owned(),
            ));
        }
    }
    Ok(())
}

/// Clients shall not read the key of their own handles.
fn check_secret(state: &Path, specs: &[Spec]) -> io::Result<()> {
    let state = std::path::absolute(state)?;
    // What does not exist yet is no symbolic link.
    let real = state
        .ancestors()
        .find_map(|above| above.canonicalize().ok());
    let state = real.unwrap_or(state);
    for spec in specs {
        if spec
            .directory
            .canonicalize()
            .is_ok_and(|exported| state.starts_with(exported))
        {
            let message = format!("it lies in {}, which is exported", spec.directory.display());
            return Err(io::Error::new(io::ErrorKind::InvalidInput, message));
        }
    }
    Ok(())
}

fn as_caller(identity: Identity) -> Result<bool, BuildError> {
    match identity {
        Identity::Server => Ok(false),
        Identity::Auto => Ok(is_machine_root()),
        Identity::Caller if is_machine_root() => Ok(true),
        Identity::Caller => Err(BuildError::Identity(geteuid().as_raw())),
    }
}

/// Whether we are root and every user there is exists in our user namespace.
fn is_machine_root() -> bool {
    let all = |map: String| map.split_whitespace().eq(["0", "0", "4294967295"]);
    let map = std::fs::read_to_string(Path::new("/proc/self/uid_map"));
    geteuid().is_root() && map.is_ok_and(all)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_exported_is_said() {
        let place = tempfile::tempdir().unwrap();
        let none = place.path().join("none");
        let error = Nfs3::builder(&none).build().unwrap_err().to_string();
        assert!(
            error.starts_with("cannot export") && error.contains("none"),
            "{error}"
        );
        std::fs::write(&none, b"").unwrap();
        assert!(matches!(
            Nfs3::builder(&none).build(),
            Err(BuildError::Directory { .. })
        ));
        let error = Nfs3::builder(place.path())
            .name("data")
            .build()
            .unwrap_err();
        assert!(matches!(error, BuildError::Name(_)));
        let twice = Nfs3::builder(place.path()).export(place.path());
        assert!(matches!(twice.build(), Err(BuildError::Name(_))));
        let state = Nfs3::builder(place.path()).state_dir(&none);
        assert!(matches!(state.build(), Err(BuildError::State { .. })));
        let open = Nfs3::builder(place.path()).state_dir(place.path().join("state"));
        let error = open.build().unwrap_err().to_string();
        assert!(error.ends_with("which is exported"), "{error}");
    }

    #[test]
    fn kept_state_keeps_handles_and_changes_the_verifier() {
        let place = tempfile::tempdir().unwrap();
        let state = place.path().join("state");
        std::fs::create_dir(place.path().join("in")).unwrap();
        let start = |kept: bool| {
            let builder = Nfs3::builder(place.path().join("in"));
            let builder = if kept {
                builder.state_dir(&state)
            } else {
                builder
            };
            let server = builder.build().unwrap();
            let handle = server.exports.mount(b"/", None, None, Flavor::SYS).unwrap();
            let verifier = server.exports.iter().next().unwrap().verifier();
            (handle, verifier)
        };
        let (first, second) = (start(true), start(true));
        assert_eq!(first.0, second.0);
        assert_ne!(first.1, second.1);
        assert_ne!(start(false).0, start(false).0);
    }
}
