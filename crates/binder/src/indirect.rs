//! Calls that are passed on to another program of this machine: `CALLIT`, `BCAST` and `INDIRECT`.
//!
//! Read first: RFC 1833 sections 2.2.1 and 3.2. A call that is passed on arrives from this very machine, so whoever
//! passes on everything lends its good name to everybody. Therefore nothing is passed on unless the policy says so;
//! even then not to programs that trust their neighbours (those that rpcbind spares, too), not more than a few at a
//! time, and for other machines without the caller's claim of who it is.

use crate::mapping::Slot;
use crate::registry::{Caller, RPCBIND, Registry};
use crate::store::Store;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use farcall::stub::Raw;
use farcall::{Call, Cause, Client, Endpoint, Error, Options, Refuse, Transport};
use farcall_onc::auth::{AuthBlock, AuthStat};
use farcall_onc::msg::Target;
use farcall_onc::uaddr::{Netid, Uaddr};
use farcall_wire::DecodeError;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

/// Calls passed on at a time; the next is as one that got no answer.
const AT_A_TIME: usize = 64;

/// How long the program has to answer.
const PATIENCE: Duration = Duration::from_secs(3);

/// Longest result that goes back over UDP to another machine, in bytes.
const LONGEST_TO_STRANGERS: usize = 1024;

/// Longest result that goes back to anybody over UDP, in bytes: with the headers, what deployed peers take.
const LONGEST: usize = 8_700;

/// What is to be called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wanted<'a> {
    /// The program, its version, and the procedure.
    pub target: Target,
    /// The arguments, in XDR.
    pub arguments: &'a [u8],
}

/// What came of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Passed {
    /// Where the program is, as the caller can use it.
    pub address: Uaddr,
    /// The results, in XDR.
    pub results: Vec<u8>,
}

/// Why nothing came of it.
#[derive(Clone, Debug)]
pub enum NotPassed {
    /// This procedure is never called for others: everybody is told so.
    Denied,
    /// The program, or this version of it, is not here.
    Missing(Refuse),
    /// Nothing is passed on, too much is passed on, or the program failed.
    Failed(Refuse),
}

impl NotPassed {
    /// What the caller is told: by `INDIRECT` everything, by the others nothing but that it may not.
    #[must_use]
    pub fn refusal(self, indirect: bool) -> Refuse {
        match self {
            Self::Denied => Refuse::Auth(AuthStat::TOOWEAK),
            Self::Missing(why) | Self::Failed(why) if indirect => why,
            Self::Missing(_) | Self::Failed(_) => Refuse::NoReply,
        }
    }
}

/// Whether this procedure is never called for others. Procedure 0 may always be.
// req: onc-binder-indirect
#[must_use]
pub fn is_denied(target: Target) -> bool {
    let Target {
        program, procedure, ..
    } = target;
    match (program, procedure) {
        (_, 0) => false,
        // rpcbind itself, NFS, yppasswd, rquota: all of them. NFS beside it: its locks, its access lists and its
        // status monitor, which believe this machine as well.
        (RPCBIND | 100_003 | 100_009 | 100_011 | 100_021 | 100_024 | 100_227, _) => true,
        // MOUNT: mounting and unmounting.
        (100_005, 1 | 3 | 4) => true,
        // ypserv: whatever reads its maps. ypbind: setting the domain.
        (100_004, 3 | 4 | 5 | 8) | (100_007, 2) => true,
        _ => false,
    }
}

/// Passes calls on, a few at a time.
#[derive(Debug, Default)]
pub struct Indirect {
    running: AtomicUsize,
}

/// One call that is being passed on.
struct Running<'a>(&'a AtomicUsize);

impl Drop for Running<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}

impl Indirect {
    fn begin(&self) -> Option<Running<'_>> {
        let before = self.running.fetch_add(1, Ordering::AcqRel);
        let running = Running(&self.running);
        (before < AT_A_TIME).then_some(running)
    }

    /// Passes one call on, if `allowed`.
    ///
    /// # Errors
    /// [`NotPassed`].
    pub async fn pass<S: Store>(
        &self,
        registry: &Registry<S>,
        (call, caller): (&Call, &Caller),
        wanted: Wanted<'_>,
        allowed: bool,
    ) -> Result<Passed, NotPassed> {
        if is_denied(wanted.target) {
            return Err(NotPassed::Denied);
        }
        let found = find(registry, caller, wanted.target)?;
        let (Some(to), true) = (reach(&found.1, found.0), allowed) else {
            return Err(failed("calls are not passed on"));
        };
        let Some(_running) = self.begin() else {
            return Err(failed("too many calls are passed on already"));
        };
        let results = ask(&to, wanted, claim(call, caller)).await?;
        let longest = match (caller.is_datagram(), caller.owner.is_some()) {
            (false, _) => usize::MAX,
            (true, true) => LONGEST,
            (true, false) => LONGEST_TO_STRANGERS,
        };
        if results.len() > longest {
            return Err(failed("the result is too long"));
        }
        Ok(Passed {
            address: found.1,
            results,
        })
    }
}

fn failed(why: &str) -> NotPassed {
    NotPassed::Failed(Refuse::SystemErr(why.to_owned()))
}

/// Where the program is: over UDP if it can be, as the specification says, within the caller's protocol family.
fn find<S: Store>(
    registry: &Registry<S>,
    caller: &Caller,
    target: Target,
) -> Result<(Netid, Uaddr), NotPassed> {
    let netids: &[Netid] = match caller.netid {
        Netid::Udp | Netid::Tcp => &[Netid::Udp, Netid::Tcp],
        Netid::Udp6 | Netid::Tcp6 => &[Netid::Udp6, Netid::Tcp6],
        Netid::Local => &[Netid::Local, Netid::Udp, Netid::Tcp],
    };
    let slot = |netid| Slot {
        program: target.program,
        version: target.version,
        netid,
    };
    for netid in netids {
        if let Some(address) = registry.find(caller, slot(*netid), true) {
            return Ok((*netid, address));
        }
    }
    let versions = netids
        .iter()
        .find_map(|netid| registry.versions(target.program, *netid));
    Err(NotPassed::Missing(match versions {
        Some((low, high)) => Refuse::ProgMismatch { low, high },
        None => Refuse::ProgUnavail,
    }))
}

/// How the program is reached from here: whatever the caller can use, over loopback if it listens everywhere.
fn reach(address: &Uaddr, netid: Netid) -> Option<Endpoint> {
    let transport = match netid {
        Netid::Udp | Netid::Udp6 => Transport::Udp,
        _ => Transport::Tcp,
    };
    match address {
        Uaddr::Inet(address) => {
            let host = match address.ip() {
                any if !any.is_unspecified() => any,
                IpAddr::V4(_) => Ipv4Addr::LOCALHOST.into(),
                IpAddr::V6(_) => Ipv6Addr::LOCALHOST.into(),
            };
            Some(Endpoint::of(
                transport,
                SocketAddr::new(host, address.port()),
            ))
        }
        Uaddr::Local(path) => {
            let path = std::str::from_utf8(path).ok()?;
            Some(Endpoint::Unix(path.into()))
        }
    }
}

/// What the call says of its caller: on this machine what it claims itself, otherwise nothing.
fn claim(call: &Call, caller: &Caller) -> AuthBlock {
    let sys = call.credential().sys().filter(|_| caller.owner.is_some());
    sys.and_then(|sys| AuthBlock::sys(sys).ok())
        .unwrap_or_default()
}

async fn ask(to: &Endpoint, wanted: Wanted<'_>, auth: AuthBlock) -> Result<Vec<u8>, NotPassed> {
    let options = Options {
        auth,
        timeout: PATIENCE,
        connect_timeout: PATIENCE,
        ..Options::default()
    };
    let Target {
        program, version, ..
    } = wanted.target;
    let asking = async {
        let client = Client::connect_with(to, program, version, options).await?;
        let calling = client.call_target(wanted.target, &Raw(wanted.arguments), whole);
        calling.await
    };
    asking
        .await
        .map_err(|error| NotPassed::Failed(refusal(&error)))
}

fn whole(r: &mut farcall_wire::Reader<'_>) -> Result<Vec<u8>, DecodeError> {
    Ok(r.take_rest()?.to_vec())
}

/// What the caller is told when the program refused.
fn refusal(error: &Error) -> Refuse {
    match error.cause() {
        Cause::ProgramUnavailable => Refuse::ProgUnavail,
        Cause::ProgramMismatch { low, high } => Refuse::ProgMismatch {
            low: *low,
            high: *high,
        },
        Cause::ProcedureUnavailable => Refuse::ProcUnavail,
        Cause::GarbageArguments => Refuse::GarbageArgs,
        Cause::Authentication(stat) => Refuse::Auth(*stat),
        _ => Refuse::SystemErr(error.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn target(program: u32, procedure: u32) -> Target {
        Target {
            program,
            version: 1,
            procedure,
        }
    }

    #[test]
    fn what_believes_this_machine_is_not_called_for_others() {
        for program in [
            RPCBIND, 100_003, 100_009, 100_011, 100_021, 100_024, 100_227,
        ] {
            assert!(is_denied(target(program, 1)), "{program}");
            assert!(!is_denied(target(program, 0)), "null is harmless");
        }
        let mount: Vec<u32> = (0..6)
            .filter(|procedure| is_denied(target(100_005, *procedure)))
            .collect();
        assert_eq!(
            mount,
            [1, 3, 4],
            "MNT, UMNT and UMNTALL, not DUMP and EXPORT"
        );
        assert!(is_denied(target(100_004, 8)) && is_denied(target(100_007, 2)));
        assert!(!is_denied(target(0x2000_0099, 1)));
    }

    #[test]
    fn only_a_few_run_at_a_time() {
        let indirect = Indirect::default();
        let mut running: Vec<_> = (0..AT_A_TIME).map(|_| indirect.begin()).collect();
        assert!(running.iter().all(Option::is_some));
        assert!(indirect.begin().is_none());
        running.pop();
        assert!(indirect.begin().is_some());
    }

    #[test]
    fn indirect_says_what_the_others_keep_to_themselves() {
        let missing = || NotPassed::Missing(Refuse::ProgUnavail);
        assert!(matches!(missing().refusal(true), Refuse::ProgUnavail));
        assert!(matches!(missing().refusal(false), Refuse::NoReply));
        let denied = NotPassed::Denied.refusal(false);
        assert!(matches!(denied, Refuse::Auth(AuthStat::TOOWEAK)));
    }
}
