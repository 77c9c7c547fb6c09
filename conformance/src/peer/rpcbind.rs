//! rpcbind and rpcinfo from Debian. They use port 111 and `/run`, so they belong into a
//! [network](crate::network) of the test's own.

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::process::Command;

use super::{Process, find};

/// The port of rpcbind.
pub const PORT: u16 = 111;

/// Starts rpcbind and waits until it accepts over IPv4 and IPv6.
///
/// # Errors
/// When it is not installed or does not come up.
pub fn start() -> io::Result<Process> {
    let program = find("rpcbind").ok_or_else(|| io::Error::other("no rpcbind"))?;
    // -f: stay in the foreground, -w: keep registrations over a restart.
    let mut rpcbind = Process::start("rpcbind", Command::new(program).args(["-f", "-w"]))?;
    rpcbind.port((Ipv4Addr::LOCALHOST, PORT).into())?;
    rpcbind.port((Ipv6Addr::LOCALHOST, PORT).into())?;
    Ok(rpcbind)
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
