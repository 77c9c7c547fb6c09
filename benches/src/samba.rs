//! A domain controller of Samba's, whose management interface is called: made once below
//! `target/samba`, and started as the interop tests of the project start theirs.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};

use crate::house::{available, is_inside};
use crate::process::Program;

const NEEDS: [&str; 2] = ["samba", "samba-tool"];
/// Where Samba's own scripts find their interpreter first.
const PATH: &str = "/usr/sbin:/usr/bin:/sbin:/bin";
const REALM: &str = "BENCH.TEST";
const DOMAIN: &str = "BENCH";
/// The endpoint mapper's port; every endpoint has the management interface.
const ADDRESS: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 135);

/// The folder of the domain, or why there is none.
pub(crate) fn build() -> Result<Result<PathBuf, String>> {
    if let Some(tool) = NEEDS.iter().find(|tool| !available(tool)) {
        return Ok(Err(format!("{tool} is not installed")));
    }
    if !is_inside() {
        return Ok(Err(
            "port 135 is only free in a network of our own".to_owned()
        ));
    }
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/samba");
    let folder = root.join("domain");
    if !folder.is_dir() {
        let unfinished = root.join("unfinished");
        if unfinished.is_dir() {
            std::fs::remove_dir_all(&unfinished)?;
        }
        std::fs::create_dir_all(&unfinished)?;
        provision(&unfinished)?;
        std::fs::rename(&unfinished, &folder)?;
    }
    configure(&folder)?;
    Ok(Ok(folder))
}

/// The program that serves.
pub(crate) fn server(folder: &Path) -> Program {
    let program = Program::new("samba".into()).with("-s");
    let program = program.with(folder.join("smb.conf"));
    program.words("-F --no-process-group -M single").at(ADDRESS)
}

fn provision(folder: &Path) -> Result<()> {
    let mut target = std::ffi::OsString::from("--targetdir=");
    target.push(folder);
    let mut command = Command::new("samba-tool");
    command.args(["domain", "provision", "--server-role=dc"]);
    command.args(["--host-name=benchdc", "--host-ip=127.0.0.1"]);
    command.args(["--dns-backend=NONE", "--adminpass=Passw0rd!Bench"]);
    command.args([
        "--option=interfaces=lo",
        "--option=bind interfaces only=yes",
    ]);
    command
        .arg(format!("--realm={REALM}"))
        .arg(format!("--domain={DOMAIN}"));
    command.arg(target).env("PATH", PATH);
    command.stdin(Stdio::null()).stdout(Stdio::null());
    eprintln!("making a domain of Samba's, once");
    let output = command
        .stderr(Stdio::piped())
        .output()
        .context("starting samba-tool")?;
    let printed = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "samba-tool: {printed}");
    Ok(())
}

fn configure(folder: &Path) -> Result<()> {
    for part in ["cache", "lock", "run", "ncalrpc"] {
        std::fs::create_dir_all(folder.join(part))?;
    }
    let at = folder.display();
    let text = format!(
        "[global]\n workgroup = {DOMAIN}\n realm = {REALM}\n netbios name = BENCHDC\n \
         server role = active directory domain controller\n server services = rpc\n \
         bind interfaces only = yes\n interfaces = lo\n private dir = {at}/private\n \
         state directory = {at}/state\n cache directory = {at}/cache\n \
         lock directory = {at}/lock\n pid directory = {at}/run\n ncalrpc dir = {at}/ncalrpc\n \
         binddns dir = {at}/bind-dns\n log file = {at}/log\n tls enabled = no\n"
    );
    std::fs::write(folder.join("smb.conf"), text).context("writing smb.conf")
}
