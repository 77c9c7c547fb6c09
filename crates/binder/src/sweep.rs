//! What dead processes left behind is taken away: registrations that nobody answers for any more.
//!
//! A registration goes only if nothing speaks for it: the process that made it is gone (or was never known), and the
//! machine itself says that nobody listens at its address. Silence is no such word, and a server that was registered by
//! another process, which is gone, goes on being found. Where the process was never known, it takes the same word
//! twice, one pass after the other. Addresses of other machines are left alone.

use crate::directory::Directory;
use crate::element::Element;
use crate::mapping::Mapping;
use crate::process::Process;
use crate::registry::Registry;
use crate::store::{Store, StoreError};
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use farcall_dce::tower::Protseq;
use farcall_onc::uaddr::{Netid, Uaddr};
use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType};
use std::io::ErrorKind;
use std::net::{TcpStream, UdpSocket};
use std::os::unix::ffi::OsStrExt;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, TryRecvError, channel};
use std::thread::JoinHandle;
use std::time::Duration;

/// How long an address has to say that nobody is there.
const PATIENCE: Duration = Duration::from_millis(500);

/// Most addresses looked at in one pass; the next pass goes on where it ended.
const AT_A_TIME: usize = 64;

/// Looks after registrations again and again, on a thread of its own, until it is dropped.
#[derive(Debug)]
pub(crate) struct Sweeper {
    /// Dropped to end the thread.
    stop: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Sweeper {
    /// Begins, with a pass at once.
    pub(crate) fn start<S: Store>(
        every: Duration,
        registry: Arc<Registry<S>>,
        directory: Arc<Directory<S>>,
    ) -> std::io::Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread().build()?;
        let (stop, stopped) = channel();
        let mut sweep = Sweep::default();
        let thread = std::thread::Builder::new()
            .name("farcall-sweep".into())
            .spawn(move || {
                loop {
                    let wanted = || is_wanted(&stopped);
                    let passing = sweep.pass(&registry, &directory, &wanted);
                    match runtime.block_on(passing) {
                        Ok(0) => {}
                        Ok(gone) => tracing::info!(gone, "registrations of dead servers"),
                        Err(error) => tracing::warn!(%error, "registrations could not be swept"),
                    }
                    match stopped.recv_timeout(every) {
                        Err(RecvTimeoutError::Timeout) => {}
                        Ok(()) | Err(RecvTimeoutError::Disconnected) => return,
                    }
                }
            })?;
        Ok(Self {
            stop: Some(stop),
            thread: Some(thread),
        })
    }
}

impl Drop for Sweeper {
    fn drop(&mut self) {
        self.stop.take();
        if let Some(thread) = self.thread.take() {
            // It ends with the address it looks at.
            let _ = thread.join();
        }
    }
}

fn is_wanted(stopped: &Receiver<()>) -> bool {
    stopped.try_recv() == Err(TryRecvError::Empty)
}

/// What is known from earlier passes.
#[derive(Debug, Default)]
pub struct Sweep {
    /// Addresses looked at so far.
    at: usize,
    suspects: Vec<Mapping>,
    suspected: Vec<Element>,
}

impl Sweep {
    /// Takes away what is dead; how many are gone. It stops early when it is not `wanted` any more.
    ///
    /// # Errors
    /// What the store says.
    // req: onc-binder-sweep
    pub async fn pass<S: Store>(
        &mut self,
        registry: &Registry<S>,
        directory: &Directory<S>,
        wanted: &dyn Fn() -> bool,
    ) -> Result<usize, StoreError> {
        let mappings = registry.store().mappings();
        let orphans = mappings.iter().filter(|mapping| is_orphan(mapping.process));
        let orphans: Vec<&Mapping> = orphans.collect();
        let from = self.at;
        let refused: Vec<Mapping> = turn(from, &orphans)
            .filter(|mapping| wanted() && refuses(mapping))
            .map(Mapping::clone)
            .collect();
        let looked_at = turn(from, &orphans).count();
        let dead = convicted(&mut self.suspects, refused, |it| it.process);
        let mut gone = 0;
        if !dead.is_empty() {
            gone += registry.store().forget(&dead).await?;
        }
        let elements = registry.store().elements();
        let orphans = elements.iter().filter(|element| is_orphan(element.process));
        let orphans: Vec<&Element> = orphans.collect();
        let refused: Vec<Element> = turn(from, &orphans)
            .filter(|element| wanted() && leads_nowhere(element))
            .map(Element::clone)
            .collect();
        self.at = from.wrapping_add(looked_at.max(turn(from, &orphans).count()));
        let dead = convicted(&mut self.suspected, refused, |it| it.process);
        if !dead.is_empty() {
            gone += directory.forget(&dead).await?;
        }
        Ok(gone)
    }
}

/// Some of them, which others follow in the next pass.
fn turn<'a, T>(from: usize, all: &'a [&'a T]) -> impl Iterator<Item = &'a T> {
    let start = from.checked_rem(all.len()).unwrap_or(0);
    let round = all.iter().cycle().skip(start);
    round.take(all.len().min(AT_A_TIME)).copied()
}

/// Those whose process is known to be gone, and those that were suspects before; the others become suspects.
fn convicted<T: PartialEq + Clone>(
    suspects: &mut Vec<T>,
    refused: Vec<T>,
    process: impl Fn(&T) -> Option<Process>,
) -> Vec<T> {
    let known = |it: &T| process(it).is_some() || suspects.contains(it);
    let (dead, new): (Vec<T>, Vec<T>) = refused.into_iter().partition(known);
    *suspects = new;
    dead
}

fn is_orphan(process: Option<Process>) -> bool {
    process.is_none_or(|process| process.is_gone())
}

/// Whether nobody listens at a mapping's address.
fn refuses(mapping: &Mapping) -> bool {
    match &mapping.address {
        Uaddr::Local(path) => socket_refuses(path),
        Uaddr::Inet(address) => {
            let Some(address) = here(*address) else {
                return false;
            };
            match mapping.slot.netid {
                Netid::Udp | Netid::Udp6 => {
                    let slot = mapping.slot;
                    datagram_refuses(address, &null_call(slot.program, slot.version))
                }
                _ => connection_refuses(address),
            }
        }
    }
}

/// Whether nobody listens where an element leads.
fn leads_nowhere(element: &Element) -> bool {
    match (element.protseq, element.tower.port()) {
        (Protseq::Tcp, Some(port)) => {
            let host = element.tower.address().unwrap_or(Ipv4Addr::UNSPECIFIED);
            here((host, port).into()).is_some_and(connection_refuses)
        }
        // A name of this machine has no owner who could be asked; its process says enough.
        (Protseq::Local, _) => element.process.is_some(),
        _ => false,
    }
}

/// The address at which this machine reaches itself there; none if it is another machine's.
fn here(address: SocketAddr) -> Option<SocketAddr> {
    let host = match address.ip() {
        any if !any.is_unspecified() => any,
        IpAddr::V4(_) => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(_) => Ipv6Addr::LOCALHOST.into(),
    };
    let ours = UdpSocket::bind((host, 0)).is_ok();
    ours.then(|| SocketAddr::new(host, address.port()))
}

fn connection_refuses(address: SocketAddr) -> bool {
    let connected = TcpStream::connect_timeout(&address, PATIENCE);
    connected.is_err_and(|error| error.kind() == ErrorKind::ConnectionRefused)
}

fn datagram_refuses(address: SocketAddr, question: &[u8]) -> bool {
    let asking = || -> std::io::Result<()> {
        let socket = UdpSocket::bind((address.ip(), 0))?;
        socket.connect(address)?;
        socket.set_read_timeout(Some(PATIENCE))?;
        socket.send(question)?;
        socket.recv(&mut [0; 64]).map(drop)
    };
    asking().is_err_and(|error| error.kind() == ErrorKind::ConnectionRefused)
}

fn socket_refuses(path: &[u8]) -> bool {
    let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
    let asking = || {
        let to = SocketAddrUnix::new(std::ffi::OsStr::from_bytes(path))?;
        let socket =
            rustix::net::socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None)?;
        rustix::net::connect(&socket, &to)
    };
    matches!(
        asking(),
        Err(rustix::io::Errno::CONNREFUSED | rustix::io::Errno::NOENT)
    )
}

/// A call of procedure 0 (RFC 5531 section 9): number, CALL, version 2, program, version, 0, no credential.
fn null_call(program: u32, version: u32) -> Vec<u8> {
    let words = [0x7377_6570, 0, 2, program, version, 0, 0, 0, 0, 0];
    words.iter().flat_map(|word| word.to_be_bytes()).collect()
}

#[cfg(test)]
mod tests;
