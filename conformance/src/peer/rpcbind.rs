//! rpcbind and rpcinfo from Debian. They use port 111 and `/run`, so they belong into a
//! [network](crate::network) of the test's own.

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::process::Command;

use super::{Process, Scratch, find};

/// Makes giving up privileges do nothing.
const KEEP_USER: &str = include_str!("../../peers/keep_user.c");

/// The port of rpcbind.
pub const PORT: u16 = 111;

/// Starts rpcbind and waits until it accepts over IPv4 and IPv6.
///
/// # Errors
/// When it is not installed or does not come up.
pub fn start() -> io::Result<Process> {
    start_with(&[])
}

/// As [`start`], with options besides.
///
/// # Errors
/// As [`start`].
pub fn start_with(options: &[&str]) -> io::Result<Process> {
    let program = find("rpcbind").ok_or_else(|| io::Error::other("no rpcbind"))?;
    // -f: stay in the foreground, -w: keep registrations over a restart.
    let mut command = Command::new(program);
    command.args(["-f", "-w"]).args(options);
    // Needed until it is loaded, which it is when a port accepts.
    let _library = keep_user(&mut command)?;
    let mut rpcbind = Process::start("rpcbind", &mut command)?;
    rpcbind.port((Ipv4Addr::LOCALHOST, PORT).into())?;
    rpcbind.port((Ipv6Addr::LOCALHOST, PORT).into())?;
    Ok(rpcbind)
}

/// Starts rpcbind in another network namespace, with a `/run` of its own there, so that it passes calls on; waits until
/// it accepts at `address`.
///
/// # Errors
/// As [`start`].
pub fn start_in(namespace: &str, address: SocketAddr) -> io::Result<Process> {
    const INSIDE: &str = "mount -t tmpfs tmpfs /run && mkdir -p /run/rpcbind && chown _rpc /run/rpcbind; exec \"$0\" -f -r";
    let program = find("rpcbind").ok_or_else(|| io::Error::other("no rpcbind"))?;
    let mut command = Command::new("ip");
    let entered = ["netns", "exec", namespace, "unshare", "-m"];
    command
        .args(entered)
        .args(["sh", "-c", INSIDE])
        .arg(program);
    let _library = keep_user(&mut command)?;
    let mut rpcbind = Process::start("rpcbind", &mut command)?;
    rpcbind.port(address)?;
    Ok(rpcbind)
}

/// In a user namespace, rpcbind cannot become the user it wants to be, and ends silently.
fn keep_user(command: &mut Command) -> io::Result<Option<Scratch>> {
    if !crate::network::has_one_user() {
        return Ok(None);
    }
    let scratch = Scratch::new("rpcbind")?;
    let (source, library) = (scratch.file("keep_user.c"), scratch.file("keep_user.so"));
    std::fs::write(&source, KEEP_USER)?;
    let mut compiler = Command::new("gcc");
    let built = compiler
        .args(["-shared", "-fPIC", "-o"])
        .arg(&library)
        .arg(&source)
        .status()?;
    if !built.success() {
        return Err(io::Error::other(format!("gcc ended with {built}")));
    }
    command.env("LD_PRELOAD", &library);
    Ok(Some(scratch))
}

/// Runs rpcinfo and gives whether it succeeded and what it printed.
///
/// # Errors
/// When it is not installed.
pub fn rpcinfo(arguments: &[&str]) -> io::Result<(bool, String)> {
    let program = find("rpcinfo").ok_or_else(|| io::Error::other("no rpcinfo"))?;
    let done = Command::new(program).args(arguments).output()?;
    let mut text = String::from_utf8_lossy(&done.stdout).into_owned();
    text.push_str(&String::from_utf8_lossy(&done.stderr));
    Ok((done.status.success(), text))
}
