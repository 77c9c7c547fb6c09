//! A file of names and password hashes, as web servers keep them: `name:hash`, one a line, hashes of argon2 or bcrypt.
//!
//! Read first: RFC 9106 (argon2); bcrypt as `htpasswd -B` writes it. Older kinds of hashes are refused by name. A name that is not in the file
//! costs what one that is there costs: the password is checked against another line's hash, always the same one for a name, and the
//! result is thrown away. A file that others may read is refused; it is read again when it changes.

use std::collections::HashMap;
use std::fs::{self, File};
use std::io::{self, Read};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use argon2::password_hash::PasswordVerifier;
use argon2::password_hash::phc::PasswordHash;
use argon2::{Argon2, Params};
use farcall_security::Password;
use sha2::{Digest, Sha256};

/// Largest file that is read, in bytes.
const MAX_FILE: u64 = 16 * 1024 * 1024;

/// Permissions that nobody but the owner may have, the group's reading left aside.
const EXPOSED: u32 = 0o027;

/// Why a file is not used.
#[derive(Debug, thiserror::Error)]
#[error("{path}: {what}")]
pub struct Error {
    path: PathBuf,
    what: String,
}

/// The lines of a file.
#[derive(Default)]
struct Lines {
    hashes: HashMap<String, String>,
    /// Names in an order that says nothing of the file's.
    names: Vec<String>,
    secret: [u8; 16],
}

/// What tells that a file is another one.
type Stamp = (u64, i64, i64, u64);

/// A file that is read again whenever it has changed. While it cannot be read, what was read last stays.
pub struct PasswordFile {
    path: PathBuf,
    read: Mutex<(Stamp, Arc<Lines>)>,
}

impl std::fmt::Debug for PasswordFile {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "PasswordFile({})", self.path.display())
    }
}

impl PasswordFile {
    /// Reads a file for the first time.
    ///
    /// # Errors
    /// [`Error`]: it cannot be read, others may read it, or a line is wrong.
    pub fn open(path: &Path) -> Result<Self, Error> {
        let wrong = |what: String| Error {
            path: path.to_owned(),
            what,
        };
        let stamp = stamp(path).map_err(|error| wrong(error.to_string()))?;
        let lines = load(path).map_err(wrong)?;
        Ok(Self {
            path: path.to_owned(),
            read: Mutex::new((stamp, Arc::new(lines))),
        })
    }

    /// The name as the file has it, if the password is its. Takes as long as the hash asks for: run it aside.
    #[must_use]
    pub fn verify(&self, user: &str, password: &Password) -> Option<String> {
        let lines = self.lines();
        let name = lines.find(user);
        let hash = name
            .or_else(|| lines.instead_of(user))
            .and_then(|name| lines.hashes.get(name))?;
        let right = check(password.expose(), hash);
        name.filter(|_| right).map(str::to_owned)
    }

    fn lines(&self) -> Arc<Lines> {
        let mut read = self.read.lock().unwrap_or_else(PoisonError::into_inner);
        if let Ok(now) = stamp(&self.path)
            && now != read.0
        {
            match load(&self.path) {
                Ok(lines) => *read = (now, Arc::new(lines)),
                Err(what) => {
                    tracing::warn!(file = %self.path.display(), what, "password file not read again");
                    read.0 = now;
                }
            }
        }
        Arc::clone(&read.1)
    }
}

impl Lines {
    /// The line that a client means: what it wrote or, where no line has its domain, the name without it.
    fn find(&self, user: &str) -> Option<&str> {
        let stored = |name: &str| self.hashes.get_key_value(&name.to_lowercase());
        let bare = user.rsplit_once('\\').map(|(_, name)| name);
        let found = stored(user).or_else(|| stored(bare?));
        found.map(|(name, _)| name.as_str())
    }

    fn instead_of(&self, user: &str) -> Option<&str> {
        let mut hash = Sha256::new();
        hash.update(self.secret);
        hash.update(user.to_lowercase());
        let number = hash
            .finalize()
            .first_chunk()
            .copied()
            .map_or(0, u64::from_be_bytes);
        let count = u64::try_from(self.names.len())
            .ok()
            .filter(|count| *count > 0)?;
        let at = usize::try_from(number % count).unwrap_or_default();
        self.names.get(at).map(String::as_str)
    }
}

fn check(password: &str, hash: &str) -> bool {
    match hash.strip_prefix("$argon2") {
        Some(_) => PasswordHash::new(hash).is_ok_and(|hash| {
            Argon2::default()
                .verify_password(password.as_bytes(), &hash)
                .is_ok()
        }),
        None => bcrypt::verify(password, hash).unwrap_or(false),
    }
}

fn load(path: &Path) -> Result<Lines, String> {
    let said = |error: io::Error| error.to_string();
    let file = File::open(path).map_err(said)?;
    let found = file.metadata().map_err(said)?;
    let mode = found.permissions().mode() & 0o777;
    if mode & EXPOSED != 0 {
        return Err(format!("mode {mode:03o} lets others at it, expected 600"));
    }
    if found.len() > MAX_FILE {
        return Err(format!("file of {} bytes, limit {MAX_FILE}", found.len()));
    }
    let mut text = String::new();
    file.take(MAX_FILE)
        .read_to_string(&mut text)
        .map_err(said)?;
    parse(&text)
}

fn parse(text: &str) -> Result<Lines, String> {
    let mut lines = Lines::default();
    getrandom::fill(&mut lines.secret)
        .map_err(|_| "the system gives no random bytes".to_owned())?;
    for (at, line) in text.lines().enumerate() {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let wrong = |what: &str| format!("line {}: {what}", at + 1);
        let (name, hash) = line
            .split_once(':')
            .ok_or_else(|| wrong("expected name:hash"))?;
        judge(hash).map_err(wrong)?;
        let name = name.to_lowercase();
        if name.is_empty() || name.len() > 256 {
            return Err(wrong("a name that is empty or longer than 256 bytes"));
        }
        if lines.hashes.insert(name.clone(), hash.to_owned()).is_some() {
            return Err(wrong("the name stands there twice"));
        }
        lines.names.push(name);
    }
    lines.names.sort();
    Ok(lines)
}

fn judge(hash: &str) -> Result<(), &'static str> {
    if hash.starts_with("$argon2") {
        let whole = PasswordHash::new(hash).is_ok_and(|hash| {
            let both = hash.salt.is_some() && hash.hash.is_some();
            both && Params::try_from(&hash).is_ok()
        });
        return match whole {
            true => Ok(()),
            false => Err("an argon2 hash that cannot be read"),
        };
    }
    if ["$2y$", "$2b$", "$2a$"]
        .iter()
        .any(|kind| hash.starts_with(kind))
    {
        return match hash.parse::<bcrypt::HashParts>() {
            Ok(_) => Ok(()),
            Err(_) => Err("a bcrypt hash that cannot be read"),
        };
    }
    Err("neither an argon2 nor a bcrypt hash; `htpasswd -B` makes one")
}

fn stamp(path: &Path) -> io::Result<Stamp> {
    let found = fs::metadata(path)?;
    Ok((found.ino(), found.mtime(), found.mtime_nsec(), found.len()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::OpenOptionsExt;

    /// From the test vectors of bcrypt's authors, cost 4: the password is `<.S.2K(Zq'`.
    const BCRYPT: &str = "$2a$04$VYAclAMpaXY/oqAo9yUpkuWmoYywaPzyhu56HxXpVltnBIfmO9tgu";
    /// Made with the reference implementation's command: `echo -n password | argon2 somesalt -id -t 2 -m 8 -p 1 -e`.
    const ARGON2: &str =
        "$argon2id$v=19$m=256,t=2,p=1$c29tZXNhbHQ$nf65EOgLrQMR/uIPnA4rEsF5h7TKyQwu9U1bMCHGi/4";

    fn file(text: &str, mode: u32) -> (tempfile::TempDir, PathBuf) {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("passwords");
        let mut options = fs::OpenOptions::new();
        let mut file = options
            .create(true)
            .write(true)
            .mode(mode)
            .open(&path)
            .expect("made");
        io::Write::write_all(&mut file, text.as_bytes()).expect("written");
        (folder, path)
    }

    fn password(text: &str) -> Password {
        Password::new(text.to_owned())
    }

    #[test]
    fn passwords_of_both_kinds_are_checked() {
        let (_folder, path) = file(
            &format!("# people\nAlice:{BCRYPT}\nDOM\\bob:{ARGON2}\n"),
            0o600,
        );
        let passwords = PasswordFile::open(&path).expect("read");
        let right = password("<.S.2K(Zq'");
        assert_eq!(passwords.verify("alice", &right).as_deref(), Some("alice"));
        assert_eq!(
            passwords.verify("ANY\\ALICE", &right).as_deref(),
            Some("alice")
        );
        assert_eq!(passwords.verify("alice", &password("wrong")), None);
        assert_eq!(
            passwords
                .verify("dom\\Bob", &password("password"))
                .as_deref(),
            Some("dom\\bob")
        );
        assert_eq!(passwords.verify("bob", &password("password")), None);
        assert_eq!(
            passwords.verify("carol", &right),
            None,
            "another line's password lets nobody in"
        );
        assert_eq!(passwords.verify("carol", &password("password")), None);
    }

    #[test]
    fn who_is_not_in_the_file_costs_what_another_line_costs() {
        let lines = parse(&format!("alice:{BCRYPT}\nbob:{ARGON2}\n")).expect("read");
        let instead = lines.instead_of("carol").expect("a line");
        assert!(lines.hashes.contains_key(instead));
        assert_eq!(lines.instead_of("CAROL"), Some(instead), "always the same");
    }

    #[test]
    fn what_is_no_line_is_refused_with_its_number() {
        for (text, what) in [
            ("alice", "line 1: expected name:hash"),
            (
                "#\nalice:secret",
                "line 2: neither an argon2 nor a bcrypt hash; `htpasswd -B` makes one",
            ),
            (
                "alice:$apr1$r31.....$HqJZimcKQFAMYayBlzkrA/",
                "line 1: neither an argon2 nor a bcrypt hash; `htpasswd -B` makes one",
            ),
            (
                "alice:$2y$04$short",
                "line 1: a bcrypt hash that cannot be read",
            ),
            (
                "alice:$argon2id$v=19$m=x",
                "line 1: an argon2 hash that cannot be read",
            ),
            (
                &format!(":{BCRYPT}"),
                "line 1: a name that is empty or longer than 256 bytes",
            ),
            (
                &format!("a:{BCRYPT}\nA:{BCRYPT}"),
                "line 2: the name stands there twice",
            ),
        ] {
            assert_eq!(parse(text).err().as_deref(), Some(what), "{text}");
        }
    }

    #[test]
    fn a_file_that_others_may_read_is_refused_and_a_changed_one_is_read_again() {
        let (_folder, path) = file(&format!("alice:{BCRYPT}"), 0o644);
        assert!(PasswordFile::open(&path).is_err());
        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).expect("changed");
        let passwords = PasswordFile::open(&path).expect("read");
        let right = password("<.S.2K(Zq'");
        assert!(passwords.verify("alice", &right).is_some());
        fs::write(&path, format!("bob:{BCRYPT}\n# longer than before")).expect("written");
        assert!(passwords.verify("alice", &right).is_none());
        assert!(passwords.verify("bob", &right).is_some());
        fs::write(&path, "rubbish").expect("written");
        assert!(
            passwords.verify("bob", &right).is_some(),
            "what was read last stays"
        );
    }
}
