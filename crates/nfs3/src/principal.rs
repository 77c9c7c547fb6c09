//! Which user of this machine a proved principal is.
//!
//! Kerberos proves a name in a realm (RFC 4120 section 6.1), and files belong to numbers: what lies between is a choice of
//! whoever runs the server. [`Principals::of_realm`] takes a realm's users for this machine's users of the same names, as
//! `/etc/passwd` and `/etc/group` know them. Principals with an instance, such as `nfs/host`, are services and
//! machines and no users; nor is anybody of another realm, whoever may vouch for it.

use std::collections::HashMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::caller::User;

/// How long what the files say is believed.
const FRESH: Duration = Duration::from_secs(30);

/// From a principal such as `alice@EXAMPLE.ORG` to a user.
type Map = dyn Fn(&str) -> Option<User> + Send + Sync;

/// Which users proved principals are. By default none: all are the anonymous user.
#[derive(Clone)]
pub struct Principals(Arc<Map>);

impl Default for Principals {
    fn default() -> Self {
        Self::new(|_| None)
    }
}

impl fmt::Debug for Principals {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Principals(..)")
    }
}

impl Principals {
    /// As `map` says; it is asked at each call and must not wait.
    pub fn new(map: impl Fn(&str) -> Option<User> + Send + Sync + 'static) -> Self {
        Self(Arc::new(map))
    }

    /// Users of `realm` are this machine's users of the same names.
    pub fn of_realm(realm: &str) -> Self {
        Self::of_files(realm, Path::new("/etc"))
    }

    /// The same by the files of another directory.
    fn of_files(realm: &str, directory: &Path) -> Self {
        let (realm, directory) = (realm.to_owned(), directory.to_owned());
        let known: Mutex<Option<(Instant, HashMap<String, User>)>> = Mutex::default();
        Self::new(move |principal| {
            let name = local(principal, &realm)?;
            let mut known = known.lock().unwrap_or_else(PoisonError::into_inner);
            let users = match known.take() {
                Some((since, users)) if since.elapsed() < FRESH => (since, users),
                _ => (Instant::now(), users(&directory)),
            };
            known.insert(users).1.get(name).cloned()
        })
    }

    /// The user that a principal is.
    pub fn user(&self, principal: &str) -> Option<User> {
        (self.0)(principal)
    }
}

/// The name of a user of `realm`.
fn local<'a>(principal: &'a str, realm: &str) -> Option<&'a str> {
    let (name, of) = principal.rsplit_once('@')?;
    let plain = !name.is_empty() && !name.contains(['/', '@', '\\', ':']);
    (plain && of == realm).then_some(name)
}

/// All users that the files name, with their groups. A file that cannot be read names nobody.
fn users(directory: &Path) -> HashMap<String, User> {
    let read = |name: &str| {
        let path: PathBuf = directory.join(name);
        std::fs::read_to_string(path).unwrap_or_default()
    };
    let mut users = HashMap::new();
    for line in read("passwd").lines() {
        let fields: Vec<&str> = line.split(':').collect();
        let [name, _, uid, gid, ..] = fields[..] else {
            continue;
        };
        if let (Ok(uid), Ok(gid)) = (uid.parse(), gid.parse()) {
            let gids = Vec::new();
            users.insert(name.to_owned(), User { uid, gid, gids });
        }
    }
    for line in read("group").lines() {
        let fields: Vec<&str> = line.split(':').collect();
        let [_, _, gid, members, ..] = fields[..] else {
            continue;
        };
        let Ok(gid) = gid.parse() else { continue };
        for member in members.split(',') {
            if let Some(user) = users.get_mut(member) {
                user.gids.push(gid);
            }
        }
    }
    users
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn users_of_the_realm_are_those_of_the_same_names_and_nobody_else_is() {
        let place = tempfile::tempdir().unwrap();
        std::fs::write(
            place.path().join("passwd"),
            "root:x:0:0::/:/bin/sh\nalice:x:1001:100:Alice:/home/alice:/bin/sh\nbroken\nbad:x:one:2::/:\n",
        )
        .unwrap();
        std::fs::write(
            place.path().join("group"),
            "users:x:100:\nstaff:x:50:alice,bob\nwheel:x:10:alice\n",
        )
        .unwrap();
        let principals = Principals::of_files("RPC.TEST", place.path());
        let alice = User {
            uid: 1001,
            gid: 100,
            gids: vec![50, 10],
        };
        assert_eq!(principals.user("alice@RPC.TEST"), Some(alice));
        assert_eq!(principals.user("root@RPC.TEST").unwrap().uid, 0);
        for nobody in [
            "alice@OTHER.TEST",
            "alice@rpc.test",
            "alice",
            "@RPC.TEST",
            "bob@RPC.TEST",
            "bad@RPC.TEST",
            "alice/admin@RPC.TEST",
            "alice@OTHER.TEST@RPC.TEST",
        ] {
            assert_eq!(principals.user(nobody), None, "{nobody}");
        }
        assert_eq!(Principals::default().user("alice@RPC.TEST"), None);
    }
}
