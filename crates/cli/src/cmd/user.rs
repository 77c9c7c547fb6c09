//! `farcall user`: the file of users that daemons check passwords with (`--users FILE`).
//!
//! Passwords are asked for without echo, twice where they are set, or read from standard input. What is stored is the NT hash, since
//! NTLM can be checked with nothing less; it is as good as the password, which every command that writes one says.

use std::path::{Path, PathBuf};

use anyhow::bail;
use farcall_security::users::{self, User};
use farcall_security::{Password, Users};
use serde_json::json;

use crate::output::{Done, Failure, Output};
use crate::password;
use crate::table::Table;

/// Keep the file of users that daemons check passwords with
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, clap::Subcommand)]
enum Verb {
    /// Add a user; the file is made if it is not there
    Add {
        #[command(flatten)]
        who: Who,
        /// A group that the user belongs to; may repeat
        #[arg(long, value_name = "NAME")]
        group: Vec<String>,
        #[command(flatten)]
        secret: Secret,
    },
    /// Give a user another password
    Passwd {
        #[command(flatten)]
        who: Who,
        #[command(flatten)]
        secret: Secret,
    },
    /// Take a user out
    Remove {
        #[command(flatten)]
        who: Who,
    },
    /// List the users, without their hashes
    List {
        /// The file
        file: PathBuf,
    },
    /// Check a password: exit code 0 if it is right, 1 if not
    Verify {
        #[command(flatten)]
        who: Who,
        #[command(flatten)]
        secret: Secret,
    },
}

/// A user in a file.
#[derive(Debug, clap::Args)]
struct Who {
    /// The file
    file: PathBuf,

    /// The user: NAME or DOMAIN\NAME
    user: String,
}

impl Who {
    fn names(&self) -> (&str, &str) {
        let (domain, name) = self.user.split_once('\\').unwrap_or(("", &self.user));
        (name, domain)
    }
}

/// Where a password comes from.
#[derive(Clone, Copy, Debug, clap::Args)]
struct Secret {
    /// Read the password from the first line of standard input
    #[arg(long)]
    password_stdin: bool,
}

pub(crate) fn run(args: &Args, out: &Output) -> anyhow::Result<Done> {
    match &args.verb {
        Verb::Add { who, group, secret } => add(who, group, *secret, out),
        Verb::Passwd { who, secret } => passwd(who, *secret, out),
        Verb::Remove { who } => remove(who),
        Verb::List { file } => list(file, out),
        Verb::Verify { who, secret } => verify(who, *secret),
    }
}

fn add(who: &Who, groups: &[String], secret: Secret, out: &Output) -> anyhow::Result<Done> {
    let password = secret.read(true)?;
    let (name, domain) = who.names();
    let added = Users::edit(&who.file, |users| {
        users.add(name, domain, &password, groups)
    });
    added.map_err(explained)?;
    warn(&who.file, out);
    Ok(Done::Yes)
}

fn passwd(who: &Who, secret: Secret, out: &Output) -> anyhow::Result<Done> {
    let (name, domain) = who.names();
    // A user who is not there is said before a password is asked for.
    let there = load(&who.file)?;
    if !there
        .iter()
        .any(|user| user.full_name().eq_ignore_ascii_case(&who.user))
    {
        return Err(explained(users::Error::Missing(who.user.clone())));
    }
    let password = secret.read(true)?;
    let changed = Users::edit(&who.file, |users| {
        users.set_password(name, domain, &password)
    });
    changed.map_err(explained)?;
    warn(&who.file, out);
    Ok(Done::Yes)
}

fn remove(who: &Who) -> anyhow::Result<Done> {
    let (name, domain) = who.names();
    load(&who.file)?;
    let removed = Users::edit(&who.file, |users| users.remove(name, domain));
    removed.map_err(explained)?;
    Ok(Done::Yes)
}

fn list(file: &Path, out: &Output) -> anyhow::Result<Done> {
    let users = load(file)?;
    if out.is_json() {
        let all: Vec<serde_json::Value> = users.iter().map(as_json).collect();
        out.json(&json!(all))?;
        return Ok(Done::Yes);
    }
    let mut table = Table::new(&["USER", "GROUPS", "PASSWORD"]);
    for user in users.iter() {
        let locked = user.account.nt_hash.is_none();
        let password = if locked { "none" } else { "set" };
        table.row([
            user.full_name(),
            user.account.groups.join(","),
            password.to_owned(),
        ]);
    }
    for line in table.lines() {
        out.line(line)?;
    }
    Ok(Done::Yes)
}

fn as_json(user: &User) -> serde_json::Value {
    json!({
        "name": user.account.name,
        "domain": user.account.domain,
        "groups": user.account.groups,
        "password": user.account.nt_hash.is_some(),
    })
}

fn verify(who: &Who, secret: Secret) -> anyhow::Result<Done> {
    let users = load(&who.file)?;
    let password = secret.read(false)?;
    let (name, domain) = who.names();
    Ok(match users.verify(name, domain, &password) {
        true => Done::Yes,
        false => Done::No,
    })
}

fn load(file: &Path) -> anyhow::Result<Users> {
    Users::load(file).map_err(explained)
}

/// The error with what would help.
fn explained(error: users::Error) -> anyhow::Error {
    let failure = Failure::new(error.to_string());
    match &error {
        users::Error::Exposed { path, .. } => {
            failure.hint(format!("chmod 600 {}", path.display())).into()
        }
        users::Error::Exists(_) => failure
            .hint("farcall user passwd changes a password")
            .into(),
        users::Error::Missing(_) => failure.hint("farcall user list shows who is there").into(),
        _ => failure.into(),
    }
}

fn warn(file: &Path, out: &Output) {
    let file = file.display();
    out.message(format_args!(
        "warning: {file} holds NT hashes, which are as good as the passwords: keep it to its owner"
    ));
}

impl Secret {
    /// The password; asked for twice if it is to be `set`.
    fn read(self, set: bool) -> anyhow::Result<Password> {
        let password = match self.password_stdin {
            true => password::from_stdin()?,
            false => password::asked(
                "Password",
                set,
                "--password-stdin reads it from standard input",
            )?,
        };
        if set && password.expose().is_empty() {
            bail!(Failure::new("the password is empty"));
        }
        Ok(password)
    }
}
