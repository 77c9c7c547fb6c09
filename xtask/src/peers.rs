//! The real peers that the interop tests talk to: which are missing, and how they are installed.
//!
//! All of them are Debian packages. They are installed only by root, only where `apt-get`
//! exists, and without starting a daemon.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use anyhow::{Context, Result, bail};

use crate::run;

/// A program that tests need and the Debian package that brings it.
struct Peer {
    program: &'static str,
    package: &'static str,
}

const PEERS: &[Peer] = &[
    Peer {
        program: "rpcgen",
        package: "rpcsvc-proto",
    },
    Peer {
        program: "rpcbind",
        package: "rpcbind",
    },
    Peer {
        program: "rpcinfo",
        package: "rpcbind",
    },
    Peer {
        program: "ganesha.nfsd",
        package: "nfs-ganesha",
    },
    Peer {
        program: "nfs-ls",
        package: "libnfs-utils",
    },
    Peer {
        program: "showmount",
        package: "nfs-common",
    },
    Peer {
        program: "tshark",
        package: "tshark",
    },
    Peer {
        program: "ip",
        package: "iproute2",
    },
    Peer {
        program: "unshare",
        package: "util-linux",
    },
    Peer {
        program: "gcc",
        package: "gcc",
    },
    Peer {
        program: "pkg-config",
        package: "pkg-config",
    },
];

/// Files that tests need and the Debian package that brings them; each under one of the roots.
const FILES: &[Peer] = &[
    Peer {
        program: "include/tirpc/rpc/rpc.h",
        package: "libtirpc-dev",
    },
    Peer {
        program: "lib/*/ganesha/libfsalmem.so",
        package: "nfs-ganesha-mem",
    },
];

/// Where daemons are told not to start while packages are installed.
const POLICY: &str = "/usr/sbin/policy-rc.d";

/// Installs what is missing where that is allowed; elsewhere says what is missing.
///
/// # Errors
/// In continuous integration, when a peer is still missing afterwards.
pub(crate) fn install() -> Result<()> {
    let missing = missing();
    if missing.is_empty() {
        println!("peers: all there");
        return Ok(());
    }
    println!("peers: missing {}", missing.join(" "));
    if is_root() && run::exists("apt-get", &["--version"]) {
        apt(&missing)?;
    }
    let missing = self::missing();
    if !missing.is_empty() && run::in_ci() {
        bail!("missing peers: {}", missing.join(" "));
    }
    if !missing.is_empty() {
        println!("peers: tests that need them are skipped");
        println!("hint: as root, apt-get install {}", missing.join(" "));
    }
    Ok(())
}

/// The packages whose programs or files are not there.
fn missing() -> Vec<&'static str> {
    let programs = PEERS.iter().filter(|peer| !on_path(peer.program));
    let files = FILES.iter().filter(|file| !below_usr(file.program));
    let mut packages: Vec<&str> = programs.chain(files).map(|peer| peer.package).collect();
    packages.sort_unstable();
    packages.dedup();
    packages
}

/// Whether a program is found, in the folders of daemons too.
fn on_path(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let daemons = ["/usr/sbin", "/sbin"].map(Into::into);
    std::env::split_paths(&path)
        .chain(daemons)
        .any(|folder| folder.join(program).is_file())
}

/// Whether a file is below `/usr`; one part of its path may be `*`.
fn below_usr(file: &str) -> bool {
    let Some((before, after)) = file.split_once("/*/") else {
        return Path::new("/usr").join(file).is_file();
    };
    let Ok(folders) = fs::read_dir(Path::new("/usr").join(before)) else {
        return false;
    };
    folders
        .flatten()
        .any(|folder| folder.path().join(after).is_file())
}

fn is_root() -> bool {
    fs::metadata("/proc/self").is_ok_and(|own| std::os::unix::fs::MetadataExt::uid(&own) == 0)
}

/// Installs packages, with every daemon told not to start.
fn apt(packages: &[&str]) -> Result<()> {
    let wrote = forbid_daemons()?;
    let mut arguments = vec!["install", "-y", "--no-install-recommends"];
    arguments.extend(packages);
    let done = run::run(apt_get(&["update"]).env("LC_ALL", "C"))
        .and_then(|()| run::run(&mut apt_get(&arguments)));
    if wrote {
        fs::remove_file(POLICY).context(POLICY)?;
    }
    done
}

fn apt_get(arguments: &[&str]) -> std::process::Command {
    let mut command = run::command("apt-get", arguments);
    command
        .env("DEBIAN_FRONTEND", "noninteractive")
        .stdin(std::process::Stdio::null());
    command
}

/// Writes the policy that starts no daemon, unless there is one; tells whether it wrote it.
fn forbid_daemons() -> Result<bool> {
    if Path::new(POLICY).exists() {
        return Ok(false);
    }
    fs::write(POLICY, "#!/bin/sh\nexit 101\n").context(POLICY)?;
    fs::set_permissions(POLICY, fs::Permissions::from_mode(0o755)).context(POLICY)?;
    Ok(true)
}
