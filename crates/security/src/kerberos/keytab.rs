//! Which keytab a server uses, as an argument.
//!
//! The library takes the keytab's name from the environment when it makes a credential; its call that takes one as an argument has no safe
//! binding. Changing the environment of a running process is not safe either, so a daemon that is told of a keytab replaces
//! itself by itself, with the name in its environment, before it does anything else. The file is read again for each client: keys that
//! are added to it are used without another start.

use std::ffi::{OsStr, OsString};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Where the library looks.
const VARIABLE: &str = "KRB5_KTNAME";

/// The system's keytab, unless its configuration names another.
const SYSTEM: &str = "/etc/krb5.keytab";

/// Whether this process uses that keytab.
#[must_use]
pub fn is_in_use(keytab: &Path) -> bool {
    std::env::var_os(VARIABLE).is_some_and(|name| name == value(keytab))
}

/// The keytab that this process uses.
pub(super) fn in_use() -> PathBuf {
    let named = std::env::var_os(VARIABLE).unwrap_or_else(|| SYSTEM.into());
    let bytes = named.as_encoded_bytes();
    let path = bytes
        .strip_prefix(b"FILE:")
        .or(bytes.strip_prefix(b"WRFILE:"));
    PathBuf::from(OsStr::from_bytes(path.unwrap_or(bytes)))
}

/// Makes this process use a keytab: returns at once if it does; otherwise the process begins again from the start with the
/// same arguments. To be called first in `main`, before files are open and threads run.
///
/// # Errors
/// Returns only if the program cannot be started again.
pub fn restart_with(keytab: &Path) -> io::Result<()> {
    if is_in_use(keytab) {
        return Ok(());
    }
    let mut arguments = std::env::args_os();
    let name = arguments.next().unwrap_or_default();
    let mut program = Command::new(std::env::current_exe()?);
    program.arg0(name).args(arguments);
    Err(program.env(VARIABLE, value(keytab)).exec())
}

fn value(keytab: &Path) -> OsString {
    let mut value = OsStr::new("FILE:").to_owned();
    value.push(keytab);
    value
}
