//! A network of a test's own: its loopback, its port 111, its `/run`.
//!
//! The test starts itself a second time under `unshare`, in fresh network and mount namespaces,
//! and there runs its body. Root needs nothing else; other users also get a user namespace where
//! the system allows it. Nothing outside is touched, and all of it is gone with the process.

use std::fs;
use std::io;
use std::process::Command;

use crate::{case, peer};

/// Set in the process that runs inside.
const INSIDE: &str = "FARCALL_INSIDE_NETWORK";

/// What it is set to in a user namespace, where root is not really root.
const AS_USER: &str = "user";

/// Where Kerberos finds its files inside: a library reads them from the environment, which a test
/// cannot change once it runs. None of the files is there before a test writes it.
pub const KERBEROS: [(&str, &str); 3] = [
    ("KRB5_CONFIG", "/run/krb5.conf"),
    ("KRB5_KTNAME", "FILE:/run/krb5.keytab"),
    ("KRB5CCNAME", "FILE:/run/krb5.ccache"),
];

/// What makes the fresh namespaces usable: loopback up, an empty `/run`, a folder for rpcbind
/// that belongs to the user to which it drops its privileges.
const PREPARE: &str = "\
set -e
PATH=$PATH:/usr/sbin:/sbin
ip link set lo up
mount -t tmpfs tmpfs /run
mkdir -p /run/rpcbind
chown _rpc /run/rpcbind 2>/dev/null || true
exec \"$@\"";

/// Runs the body of a test in a network of its own; `test` is the test's full name as the test
/// runner knows it. Use [`network_test!`](crate::network_test), which knows it.
///
/// # Panics
/// When the body does, or in continuous integration when there can be no such network.
pub fn run(test: &str, body: impl FnOnce()) {
    if std::env::var_os(INSIDE).is_some() {
        return body();
    }
    if !peer::available(&["unshare", "ip"]) {
        return;
    }
    let (namespaces, as_whom) = if nix::unistd::geteuid().is_root() {
        ("-nm", "root")
    } else {
        ("-rnm", AS_USER)
    };
    if !Command::new("unshare")
        .args([namespaces, "true"])
        .status()
        .is_ok_and(|done| done.success())
    {
        return case::skipped("no network namespaces for this user");
    }
    let own = std::env::current_exe().expect("the path of this test program");
    let status = Command::new("unshare")
        .args([namespaces, "sh", "-c", PREPARE, "sh"])
        .arg(own)
        .args([test, "--exact", "--nocapture", "--include-ignored"])
        .env(INSIDE, as_whom)
        .envs(KERBEROS)
        .status()
        .expect("start unshare");
    assert!(status.success(), "{test} inside its own network: {status}");
}

/// Gives hosts names: `/etc/hosts` has this text, in the test's own network alone.
///
/// # Errors
/// Outside such a network, and what the system says.
pub fn hosts(text: &str) -> io::Result<()> {
    if std::env::var_os(INSIDE).is_none() {
        return Err(io::Error::other("not in a network of a test's own"));
    }
    fs::write("/run/hosts", text)?;
    let mut command = Command::new("mount");
    command.args(["--bind", "/run/hosts", "/etc/hosts"]);
    if command.status()?.success() {
        return Ok(());
    }
    Err(io::Error::other("mount over /etc/hosts"))
}

/// Whether we run in a user namespace of [`run`]'s, where no other user can be changed to.
pub fn has_one_user() -> bool {
    std::env::var_os(INSIDE).is_some_and(|as_whom| as_whom == AS_USER)
}

/// A test whose body runs in a network of its own.
///
/// ```
/// farcall_conformance::network_test! {
///     /// Port 111 is free there.
///     fn binds_port_111() {
///         std::net::TcpListener::bind(("127.0.0.1", 111)).unwrap();
///     }
/// }
/// ```
#[macro_export]
macro_rules! network_test {
    ($($(#[$attribute:meta])* fn $name:ident() $body:block)+) => {$(
        $(#[$attribute])*
        #[test]
        fn $name() {
            let path = concat!(module_path!(), "::", stringify!($name));
            let test = path.split_once("::").map_or(path, |(_, rest)| rest);
            $crate::network::run(test, || $body);
        }
    )+};
}
