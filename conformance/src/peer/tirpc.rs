//! The demo program (`conformance/idl/demo.x`) as libtirpc and rpcgen make it.

use std::collections::hash_map::DefaultHasher;
use std::fs;
use std::hash::{Hash, Hasher};
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::{Process, Scratch};

/// Programs that are needed to build and run the pair.
pub const NEEDS: &[&str] = &["rpcgen", "gcc", "rpcbind", "rpcinfo"];

const IDL: &str = include_str!("../../idl/demo.x");
const SERVER: &str = include_str!("../../peers/demo_server.c");
const CLIENT: &str = include_str!("../../peers/demo_client.c");
const NFS_CLIENT: &str = include_str!("../../peers/nfs_client.c");

/// How the server treats its connections.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// As rpcgen makes it: one read may wait for one client.
    Blocking,
    /// As rpcbind and others set it: with a limit on records.
    NonBlocking,
}

/// The compiled pair.
#[derive(Debug)]
pub struct Pair {
    folder: PathBuf,
}

impl Pair {
    /// Builds the pair, or takes the one built before from the same sources.
    ///
    /// # Errors
    /// When rpcgen or the C compiler refuses.
    pub fn build() -> io::Result<Self> {
        let mut hash = DefaultHasher::new();
        (IDL, SERVER, CLIENT).hash(&mut hash);
        let folder = target()
            .join("peers")
            .join(format!("tirpc-{:016x}", hash.finish()));
        if !folder.is_dir() {
            let scratch = Scratch::new("tirpc")?;
            build_in(scratch.path())?;
            keep(scratch.path(), &folder, &["server", "client"])?;
        }
        Ok(Self { folder })
    }

    /// Starts the server; it registers with rpcbind and is ready.
    ///
    /// # Errors
    /// When it does not come up on at least tcp and udp for both versions.
    pub fn server(&self, mode: Mode) -> io::Result<Process> {
        let mut command = Command::new(self.folder.join("server"));
        if mode == Mode::NonBlocking {
            command.arg("non-blocking");
        }
        let server = Process::start("libtirpc server", &mut command)?;
        server.line("ready on")?;
        Ok(server)
    }

    /// Starts the server with the keys of a service, which it finds through `environment`: callers may prove themselves.
    ///
    /// # Errors
    /// As [`server`](Self::server).
    pub fn server_of(&self, service: &str, environment: &[(&str, String)]) -> io::Result<Process> {
        let mut command = Command::new(self.folder.join("server"));
        command.args(["gss", service]);
        command.envs(environment.iter().map(|(name, value)| (name, value)));
        let server = Process::start("libtirpc server", &mut command)?;
        server.line("ready on")?;
        Ok(server)
    }

    /// Runs the client under a service of RPCSEC_GSS (`none`, `integrity`, `privacy`) and gives what it printed.
    ///
    /// # Errors
    /// When it fails, with what it printed.
    pub fn client_of(
        &self,
        host: &str,
        netid: &str,
        service: &str,
        principal: &str,
        environment: &[(&str, String)],
    ) -> io::Result<String> {
        let mut command = Command::new(self.folder.join("client"));
        command.args([host, netid, service, principal]);
        command.envs(environment.iter().map(|(name, value)| (name, value)));
        printed(&mut command)
    }

    /// Starts the server as another user; only root can.
    ///
    /// # Errors
    /// As [`server`](Self::server).
    pub fn server_as(&self, uid: u32, mode: Mode) -> io::Result<Process> {
        let mut command = Command::new("setpriv");
        command.args(["--reuid", &uid.to_string(), "--clear-groups"]);
        command.arg(self.folder.join("server"));
        if mode == Mode::NonBlocking {
            command.arg("non-blocking");
        }
        let server = Process::start("libtirpc server", &mut command)?;
        server.line("ready on")?;
        Ok(server)
    }

    /// Runs the client and gives what it printed.
    ///
    /// # Errors
    /// When it fails, with what it printed.
    pub fn client(&self, host: &str, netid: &str, sys: bool) -> io::Result<String> {
        let mut command = Command::new(self.folder.join("client"));
        command.args([host, netid]).args(sys.then_some("sys"));
        printed(&mut command)
    }
}

/// A client of MOUNT and NFS version 3 on libtirpc: it mounts a path and asks for the attributes of its root.
#[derive(Debug)]
pub struct NfsClient {
    folder: PathBuf,
}

impl NfsClient {
    /// Builds it, or takes the one built before from the same source.
    ///
    /// # Errors
    /// When the C compiler refuses.
    pub fn build() -> io::Result<Self> {
        let mut hash = DefaultHasher::new();
        NFS_CLIENT.hash(&mut hash);
        let folder = target()
            .join("peers")
            .join(format!("nfs-{:016x}", hash.finish()));
        if !folder.is_dir() {
            let scratch = Scratch::new("nfs")?;
            fs::write(scratch.file("nfs.c"), NFS_CLIENT)?;
            let arguments = ["-I/usr/include/tirpc", "-o", "nfs", "nfs.c", "-ltirpc"];
            succeed(
                Command::new("gcc")
                    .args(arguments)
                    .current_dir(scratch.path()),
            )?;
            keep(scratch.path(), &folder, &["nfs"])?;
        }
        Ok(Self { folder })
    }

    /// Runs it against a host whose rpcbind knows the ports; `auth` is `sys`, or a service of RPCSEC_GSS (`none`,
    /// `integrity`, `privacy`) and a principal. Gives what it printed.
    ///
    /// # Errors
    /// When it fails, with what it printed.
    pub fn run(
        &self,
        netid: &str,
        path: &str,
        auth: &[&str],
        environment: &[(&str, String)],
    ) -> io::Result<String> {
        let mut command = Command::new(self.folder.join("nfs"));
        command.args(["127.0.0.1", netid, path]).args(auth);
        command.envs(environment.iter().map(|(name, value)| (name, value)));
        printed(&mut command)
    }
}

/// What a program that ends well prints.
fn printed(command: &mut Command) -> io::Result<String> {
    let done = command.output()?;
    let text = String::from_utf8_lossy(&done.stdout).into_owned();
    if !done.status.success() {
        let error = String::from_utf8_lossy(&done.stderr).into_owned();
        return Err(io::Error::other(format!("libtirpc client: {text}{error}")));
    }
    Ok(text)
}

/// Where cargo puts what it builds.
fn target() -> PathBuf {
    std::env::var_os("CARGO_TARGET_DIR").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("../target"),
        PathBuf::from,
    )
}

/// Builds server and client in a folder.
fn build_in(folder: &Path) -> io::Result<()> {
    for (name, text) in [("demo.x", IDL), ("server.c", SERVER), ("client.c", CLIENT)] {
        fs::write(folder.join(name), text)?;
    }
    for (flag, output) in [
        ("-h", "demo.h"),
        ("-l", "demo_clnt.c"),
        ("-c", "demo_xdr.c"),
        ("-m", "demo_svc.c"),
    ] {
        let arguments = ["-C", "-N", "-M", flag, "-o", output, "demo.x"];
        succeed(Command::new("rpcgen").args(arguments).current_dir(folder))?;
    }
    for (output, stub) in [("server", "demo_svc.c"), ("client", "demo_clnt.c")] {
        let source = format!("{output}.c");
        let sources = ["-o", output, &source, stub, "demo_xdr.c"];
        let mut command = Command::new("gcc");
        command
            .args(["-I/usr/include/tirpc", "-w"])
            .args(sources)
            .arg("-ltirpc");
        succeed(command.current_dir(folder))?;
    }
    Ok(())
}

/// Copies programs to where the next test finds them, whole or not at all.
fn keep(from: &Path, folder: &Path, programs: &[&str]) -> io::Result<()> {
    let parent = folder.parent().unwrap_or(folder);
    fs::create_dir_all(parent)?;
    let own = folder.with_extension(std::process::id().to_string());
    fs::create_dir_all(&own)?;
    for name in programs {
        fs::copy(from.join(name), own.join(name))?;
    }
    if fs::rename(&own, folder).is_err() {
        // Another test was faster with the same programs.
        fs::remove_dir_all(&own)?;
    }
    Ok(())
}

fn succeed(command: &mut Command) -> io::Result<()> {
    let done = command.output()?;
    if done.status.success() {
        return Ok(());
    }
    let error = String::from_utf8_lossy(&done.stderr).into_owned();
    Err(io::Error::other(format!(
        "{command:?} ended with {}: {error}",
        done.status
    )))
}
