//! A file of users: names, domains, hashes of passwords, groups; one user a line.
//!
//! ```text
//! # comments and empty lines stay where they are
//! alice:8846f7eaee8fb117ad06bdd830b7586c:admins,operators
//! EXAMPLE\bob:a4f49c406510bdcab6824ee7c30fd852:
//! carol:*:
//! ```
//!
//! A hash is `NTOWFv1` of MS-NLMP section 3.3.1, MD4 of the password without salt. **Whoever reads one can log in with it**, so a file
//! that others may read is refused, and what is written here is for its owner alone. `*` is a user without a password.
//!
//! A user without a domain is found whatever domain a client names beside it; one with a domain is found by that domain, and without one
//! if no other user has the name. Names and domains are compared without regard to case.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use zeroize::Zeroizing;

use crate::account::{Account, Accounts, split};
use crate::ntlm::keys::nt_hash;
use crate::secret::{Key, Password};

/// Largest file that is read, in bytes.
pub const MAX_FILE: u64 = 16 * 1024 * 1024;

/// Permissions that nobody but the owner may have, the group's reading left aside.
const EXPOSED: u32 = 0o027;

/// What is wrong with a file of users.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// It cannot be read or written.
    #[error("{path}: {source}")]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// Others may read or change it.
    #[error("{path}: mode {mode:03o} lets others at it, expected 600")]
    Exposed {
        /// The file.
        path: PathBuf,
        /// Its permissions.
        mode: u32,
    },
    /// It is too large.
    #[error("users file of {len} bytes, limit {MAX_FILE}")]
    Large {
        /// Its length.
        len: u64,
    },
    /// A line is none of a user.
    #[error("line {line}: {what}")]
    Line {
        /// Counted from 1.
        line: usize,
        /// What is wrong with it.
        what: &'static str,
    },
    /// A name that cannot stand in the file.
    #[error(
        "{0:?} is no name: it is empty or holds ':', '\\', '@', '#', ',' or a control character"
    )]
    Name(String),
    /// There is such a user already.
    #[error("there is a user {0} already")]
    Exists(String),
    /// There is no such user.
    #[error("there is no user {0}")]
    Missing(String),
}

/// A user as the file has it.
#[derive(Clone, Debug)]
pub struct User {
    /// Name, domain, hash, and groups that policies may name.
    pub account: Account,
}

impl User {
    /// `DOMAIN\name`, or the name alone.
    #[must_use]
    pub fn full_name(&self) -> String {
        full_name(&self.account.name, &self.account.domain)
    }

    fn line(&self) -> Zeroizing<String> {
        let hash = match &self.account.nt_hash {
            Some(hash) => hex(hash),
            None => Zeroizing::new("*".to_owned()),
        };
        let (name, groups) = (self.full_name(), self.account.groups.join(","));
        Zeroizing::new(format!("{name}:{}:{groups}", *hash))
    }

    fn is(&self, name: &str, domain: &str) -> bool {
        same(&self.account.name, name) && same(&self.account.domain, domain)
    }
}

/// One line: a user, or what is kept as it is.
#[derive(Clone, Debug)]
enum Line {
    User(User),
    Other(String),
}

/// The users of a file.
#[derive(Clone, Debug, Default)]
pub struct Users {
    lines: Vec<Line>,
}

impl Users {
    /// Reads the text of a file.
    ///
    /// # Errors
    /// [`Error::Line`] with the first line that is wrong.
    pub fn parse(text: &str) -> Result<Self, Error> {
        let mut users = Self::default();
        for (number, line) in text.lines().enumerate() {
            let at = |what| Error::Line {
                line: number.saturating_add(1),
                what,
            };
            let read = parse_line(line).map_err(at)?;
            if let Line::User(user) = &read
                && users
                    .exact(&user.account.name, &user.account.domain)
                    .is_some()
            {
                return Err(at("this user stands in an earlier line too"));
            }
            users.lines.push(read);
        }
        Ok(users)
    }

    /// The text of a file.
    #[must_use]
    pub fn text(&self) -> Zeroizing<String> {
        let mut text = Zeroizing::new(String::new());
        for line in &self.lines {
            match line {
                Line::User(user) => text.push_str(&user.line()),
                Line::Other(other) => text.push_str(other),
            }
            text.push('\n');
        }
        text
    }

    /// Reads a file.
    ///
    /// # Errors
    /// [`Error::Exposed`] if others may read it or anybody but its owner change it, else [`Error::Io`], [`Error::Large`], [`Error::Line`].
    pub fn load(path: &Path) -> Result<Self, Error> {
        let io = |source| io_error(path, source);
        let file = File::open(path).map_err(io)?;
        let found = file.metadata().map_err(io)?;
        let mode = found.permissions().mode() & 0o777;
        if mode & EXPOSED != 0 {
            let path = path.to_owned();
            return Err(Error::Exposed { path, mode });
        }
        if found.len() > MAX_FILE {
            return Err(Error::Large { len: found.len() });
        }
        let mut text = Zeroizing::new(String::new());
        io::Read::read_to_string(&mut io::Read::take(file, MAX_FILE), &mut text).map_err(io)?;
        Self::parse(&text)
    }

    /// Writes a file anew: beside the old one, for its owner alone, and then in its place in one step.
    ///
    /// # Errors
    /// [`Error::Io`], also where the path is a device, a folder, a link or anything else that is no regular file;
    /// what was there is untouched then.
    pub fn save(&self, path: &Path) -> Result<(), Error> {
        let io = |source| io_error(path, source);
        replaceable(path).map_err(io)?;
        let mut nonce = [0; 8];
        getrandom::fill(&mut nonce).map_err(|fault| io(io::Error::other(fault)))?;
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let beside = folder(path).join(format!(".{name}.{:016x}", u64::from_le_bytes(nonce)));
        let written = write_new(&beside, self.text().as_bytes())
            .and_then(|()| fs::rename(&beside, path))
            .and_then(|()| File::open(folder(path))?.sync_all());
        if written.is_err() {
            // It may not be there.
            let _ = fs::remove_file(&beside);
        }
        written.map_err(io)
    }

    /// Changes a file, which may not be there yet, while nobody else does.
    ///
    /// # Errors
    /// What the change says, or reading and writing; the old file is untouched then.
    pub fn edit<T>(
        path: &Path,
        change: impl FnOnce(&mut Self) -> Result<T, Error>,
    ) -> Result<T, Error> {
        let io = |source| io_error(path, source);
        let lock = File::open(folder(path)).map_err(io)?;
        lock.lock().map_err(io)?;
        replaceable(path).map_err(io)?;
        let mut users = match fs::exists(path).map_err(io)? {
            true => Self::load(path)?,
            false => Self::default(),
        };
        let result = change(&mut users)?;
        users.save(path)?;
        Ok(result)
    }

    /// The users, in the order of the file.
    pub fn iter(&self) -> impl Iterator<Item = &User> {
        self.lines.iter().filter_map(|line| match line {
            Line::User(user) => Some(user),
            Line::Other(_) => None,
        })
    }

    /// Adds a user at the end.
    ///
    /// # Errors
    /// [`Error::Exists`], or [`Error::Name`] for a name, domain or group that cannot stand in the file.
    pub fn add(
        &mut self,
        name: &str,
        domain: &str,
        password: &Password,
        groups: &[String],
    ) -> Result<(), Error> {
        let texts = groups.iter().map(String::as_str).chain([name]);
        let texts = texts.chain((!domain.is_empty()).then_some(domain));
        if let Some(wrong) = texts.into_iter().find(|text| !is_name(text)) {
            return Err(Error::Name(wrong.to_owned()));
        }
        if self.exact(name, domain).is_some() {
            return Err(Error::Exists(full_name(name, domain)));
        }
        let account = Account {
            name: name.to_owned(),
            domain: domain.to_owned(),
            nt_hash: Some(nt_hash(password.expose())),
            groups: groups.to_vec(),
        };
        self.lines.push(Line::User(User { account }));
        Ok(())
    }

    /// Gives a user another password.
    ///
    /// # Errors
    /// [`Error::Missing`].
    pub fn set_password(
        &mut self,
        name: &str,
        domain: &str,
        password: &Password,
    ) -> Result<(), Error> {
        let users = self.lines.iter_mut().filter_map(|line| match line {
            Line::User(user) => Some(user),
            Line::Other(_) => None,
        });
        let mut named = users.filter(|user| user.is(name, domain));
        let user = named.next();
        let user = user.ok_or_else(|| Error::Missing(full_name(name, domain)))?;
        user.account.nt_hash = Some(nt_hash(password.expose()));
        Ok(())
    }

    /// Takes a user out.
    ///
    /// # Errors
    /// [`Error::Missing`].
    pub fn remove(&mut self, name: &str, domain: &str) -> Result<(), Error> {
        let before = self.lines.len();
        self.lines
            .retain(|line| !matches!(line, Line::User(user) if user.is(name, domain)));
        match self.lines.len() == before {
            true => Err(Error::Missing(full_name(name, domain))),
            false => Ok(()),
        }
    }

    /// Whether a password is the user's. Without a user it takes as long.
    #[must_use]
    pub fn verify(&self, name: &str, domain: &str, password: &Password) -> bool {
        let given = nt_hash(password.expose());
        let found = self
            .lookup(name, domain)
            .and_then(|user| user.account.nt_hash.as_ref());
        let same = *found.unwrap_or(&Key::default()) == given;
        same && found.is_some()
    }

    /// The user that a client means by these names, as the head of this file says.
    #[must_use]
    pub fn lookup(&self, user: &str, domain: &str) -> Option<&User> {
        let (name, domain) = split(user, domain);
        if let Some(user) = self.exact(name, domain).or_else(|| self.exact(name, "")) {
            return Some(user);
        }
        let mut named = self.iter().filter(|user| same(&user.account.name, name));
        match (named.next(), named.next()) {
            (Some(user), None) if domain.is_empty() => Some(user),
            _ => None,
        }
    }

    fn exact(&self, name: &str, domain: &str) -> Option<&User> {
        self.iter().find(|user| user.is(name, domain))
    }
}

impl Accounts for Users {
    fn find(&self, user: &str, domain: &str) -> Option<Account> {
        self.lookup(user, domain).map(|user| user.account.clone())
    }
}

/// A file that is read again whenever it has changed. While it cannot be read, what was read last stays.
#[derive(Debug)]
pub struct UsersFile {
    path: PathBuf,
    read: Mutex<(Stamp, Users)>,
}

/// What tells that a file is another one.
type Stamp = (u64, i64, i64, u64);

impl UsersFile {
    /// Reads a file for the first time.
    ///
    /// # Errors
    /// As [`Users::load`].
    pub fn open(path: &Path) -> Result<Self, Error> {
        let stamp = stamp(path).map_err(|source| io_error(path, source))?;
        Ok(Self {
            path: path.to_owned(),
            read: Mutex::new((stamp, Users::load(path)?)),
        })
    }

    /// Runs `look` over the users as the file has them now.
    pub fn with<T>(&self, look: impl FnOnce(&Users) -> T) -> T {
        let mut read = self.read.lock().unwrap_or_else(PoisonError::into_inner);
        if let Ok(now) = stamp(&self.path)
            && now != read.0
            && let Ok(users) = Users::load(&self.path)
        {
            *read = (now, users);
        }
        look(&read.1)
    }
}

impl Accounts for UsersFile {
    fn find(&self, user: &str, domain: &str) -> Option<Account> {
        self.with(|users| users.find(user, domain))
    }
}

fn stamp(path: &Path) -> io::Result<Stamp> {
    let found = fs::metadata(path)?;
    Ok((found.ino(), found.mtime(), found.mtime_nsec(), found.len()))
}

fn io_error(path: &Path, source: io::Error) -> Error {
    let path = path.to_owned();
    Error::Io { path, source }
}

fn folder(path: &Path) -> &Path {
    let parent = path
        .parent()
        .filter(|parent| !parent.as_os_str().is_empty());
    parent.unwrap_or(Path::new("."))
}

/// Refuses to put a file in the place of what is none: a device or a link would be gone.
fn replaceable(path: &Path) -> io::Result<()> {
    match fs::symlink_metadata(path) {
        Ok(there) if !there.is_file() => Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            "it is no regular file, and is not replaced by one",
        )),
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

fn write_new(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut options = OpenOptions::new();
    let mut file = options
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}

fn parse_line(line: &str) -> Result<Line, &'static str> {
    let trimmed = line.trim();
    if trimmed.is_empty() || trimmed.starts_with('#') {
        // Without the carriage return that a last line without its end would keep.
        return Ok(Line::Other(line.trim_end().to_owned()));
    }
    let mut parts = trimmed.split(':');
    let (Some(full), Some(hash)) = (parts.next(), parts.next()) else {
        return Err("expected name:hash:groups");
    };
    let groups = parts.next().unwrap_or_default();
    if parts.next().is_some() {
        return Err("more than three columns");
    }
    let (domain, name) = full.split_once('\\').unwrap_or(("", full));
    let groups: Vec<String> = match groups {
        "" => Vec::new(),
        groups => groups.split(',').map(str::to_owned).collect(),
    };
    let named = is_name(name) && (!full.contains('\\') || is_name(domain));
    if !named || !groups.iter().all(|group| is_name(group)) {
        return Err("a name, domain or group that is none");
    }
    let nt_hash = match hash {
        "*" => None,
        hash => Some(from_hex(hash).ok_or("the hash is neither 32 hexadecimal digits nor *")?),
    };
    let account = Account {
        name: name.to_owned(),
        domain: domain.to_owned(),
        nt_hash,
        groups,
    };
    Ok(Line::User(User { account }))
}

fn is_name(text: &str) -> bool {
    let special = |letter: char| letter.is_control() || ":\\@#,".contains(letter);
    !text.is_empty() && text.trim() == text && text.len() <= 256 && !text.contains(special)
}

fn same(a: &str, b: &str) -> bool {
    let lower = |text: &str| {
        text.chars()
            .flat_map(char::to_lowercase)
            .collect::<String>()
    };
    a == b || lower(a) == lower(b)
}

fn full_name(name: &str, domain: &str) -> String {
    match domain {
        "" => name.to_owned(),
        domain => format!("{domain}\\{name}"),
    }
}

fn hex(key: &Key) -> Zeroizing<String> {
    let number = u128::from_be_bytes(*key.as_bytes());
    Zeroizing::new(format!("{number:032x}"))
}

fn from_hex(text: &str) -> Option<Key> {
    let digits = text.len() == 32 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    let number = u128::from_str_radix(text, 16).ok().filter(|_| digits)?;
    Some(Key::new(number.to_be_bytes()))
}

#[cfg(test)]
mod tests;
