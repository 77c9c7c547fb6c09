//! The real peers that the interop tests talk to: which are missing, and how they are installed.
//!
//! Most are Debian packages. They are installed only by root, only where `apt-get` exists, and
//! without starting a daemon. Some are Python packages: they go to an environment of their own
//! below `target/`, which anybody may make.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use anyhow::{Context, Result, bail};

use crate::{run, workspace};

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
        program: "systemd-socket-activate",
        package: "systemd",
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
    Peer {
        program: "samba",
        package: "samba",
    },
    Peer {
        program: "smbtorture",
        package: "samba-testsuite",
    },
    Peer {
        program: "rpcclient",
        package: "smbclient",
    },
    Peer {
        program: "ntlm_auth",
        package: "winbind",
    },
    Peer {
        program: "haproxy",
        package: "haproxy",
    },
    Peer {
        program: "nginx",
        package: "nginx",
    },
    Peer {
        program: "curl",
        package: "curl",
    },
    Peer {
        program: "krb5kdc",
        package: "krb5-kdc",
    },
    Peer {
        program: "kadmin.local",
        package: "krb5-admin-server",
    },
    Peer {
        program: "kinit",
        package: "krb5-user",
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
    Peer {
        program: "share/samba/setup/provision_basedn.ldif",
        package: "samba-ad-provision",
    },
    Peer {
        program: "lib/*/samba/ldb/samldb.so",
        package: "samba-dsdb-modules",
    },
    Peer {
        program: "lib/*/samba/vfs/acl_xattr.so",
        package: "samba-vfs-modules",
    },
    Peer {
        program: "lib/python3/dist-packages/samba/__init__.py",
        package: "python3-samba",
    },
    Peer {
        program: "lib/*/ensurepip/__init__.py",
        package: "python3-venv",
    },
    Peer {
        program: "include/gssapi/gssapi.h",
        package: "libkrb5-dev",
    },
    Peer {
        program: "lib/*/lib/libclang.so",
        package: "libclang-dev",
    },
];

/// Debian's own interpreter: the bindings of Samba are there, and it makes the environment.
const PYTHON: &str = "/usr/bin/python3";

/// Where the environment for Python packages is made, below the root of the workspace. The tests
/// know it as `farcall_conformance::peer::python::environment`.
const ENVIRONMENT: &str = "target/peers/python";

/// What is installed there. One change here makes a new environment.
const PYTHON_PACKAGES: &[&str] = &[
    "impacket==0.13.1",
    "scapy==2.8.0",
    "cryptography",
    "pyspnego",
];

/// Where daemons are told not to start while packages are installed.
const POLICY: &str = "/usr/sbin/policy-rc.d";

/// Installs what is missing where that is allowed; elsewhere says what is missing.
///
/// # Errors
/// In continuous integration, when a peer is still missing afterwards.
pub(crate) fn install() -> Result<()> {
    install_packages()?;
    install_python()
}

/// The Debian packages.
fn install_packages() -> Result<()> {
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

/// The Python packages, unless they are there already.
fn install_python() -> Result<()> {
    let environment = workspace::root().join(ENVIRONMENT);
    let note = environment.join("packages");
    let wanted = PYTHON_PACKAGES.join("\n");
    if fs::read_to_string(&note).is_ok_and(|there| there == wanted) {
        println!("peers: all Python packages there");
        return Ok(());
    }
    let made = make_environment(&environment).and_then(|()| Ok(fs::write(&note, wanted)?));
    if let Err(error) = made {
        if run::in_ci() {
            return Err(error.context("install Python packages"));
        }
        println!("peers: no Python packages: {error:#}");
        println!("peers: tests that need them are skipped");
    }
    Ok(())
}

/// Makes the environment anew, with its packages.
fn make_environment(environment: &Path) -> Result<()> {
    let place = environment.to_string_lossy();
    run::run(&mut run::command(
        PYTHON,
        &["-m", "venv", "--clear", &place],
    ))?;
    let pip = environment.join("bin/pip");
    let mut arguments = vec!["install", "--quiet", "--disable-pip-version-check"];
    arguments.extend(PYTHON_PACKAGES);
    run::run(&mut run::command(&pip.to_string_lossy(), &arguments))
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

/// Whether we may install.
pub(crate) fn is_root() -> bool {
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
