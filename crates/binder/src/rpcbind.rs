//! The three versions of the protocol over one registry: the port mapper (2) and rpcbind (3 and 4).
//!
//! Read first: RFC 1833 sections 2.2.1 (procedures of versions 3 and 4) and 3.2 (of version 2). The rules stand
//! in [`registry`](crate::registry) and, for calls that are passed on, in [`indirect`](crate::indirect); this file only
//! translates and counts. Procedure 0 is answered by the server below.

use crate::indirect::{Indirect, NotPassed, Passed, Wanted};
use crate::mapping::{Mapping, Slot};
use crate::process::Process;
use crate::registry::{Caller, Registry};
use crate::statistics::{Counts, Statistics, Version};
use crate::store::{Store, StoreError, Which};
use farcall::generated::rpcbind::{
    self, Netbuf, Pmaplist, RpList, Rpcb, RpcbEntry, RpcbEntryList, RpcbStat, RpcbsAddrlist,
    RpcbsRmtcalllist, v2, v3, v4,
};
use farcall::stub::{Registered, Target};
use farcall::{Call, Peer, Refuse, Transport};
use farcall_onc::auth::AuthStat;
use farcall_onc::uaddr::{Netid, Uaddr};
use farcall_wire::Str;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

/// rpcbind as a service: give it to [`v2::service`], [`v3::service`] and [`v4::service`].
#[derive(Debug)]
pub struct Rpcbind<S>(Arc<Shared<S>>);

/// What the versions share.
#[derive(Debug)]
struct Shared<S> {
    registry: Arc<Registry<S>>,
    statistics: Arc<Statistics>,
    indirect: Indirect,
}

impl<S: Store> Rpcbind<S> {
    /// The protocol over this registry; what it does is counted in `statistics`.
    #[must_use]
    pub fn new(registry: Arc<Registry<S>>, statistics: Arc<Statistics>) -> Self {
        Self(Arc::new(Shared {
            registry,
            statistics,
            indirect: Indirect::default(),
        }))
    }

    /// The three versions, ready to be served; their null calls are counted too.
    #[must_use]
    pub fn services(&self) -> [Registered; 3] {
        let statistics = &self.0.statistics;
        [
            v2::service(self.clone()).count_null_calls(statistics.nulls(Version::Two)),
            v3::service(self.clone()).count_null_calls(statistics.nulls(Version::Three)),
            v4::service(self.clone()).count_null_calls(statistics.nulls(Version::Four)),
        ]
    }
}

/// The numbers of procedures that are the same in all versions, or in 3 and 4.
mod number {
    pub(super) const SET: usize = 1;
    pub(super) const UNSET: usize = 2;
    pub(super) const GETADDR: usize = 3;
    pub(super) const DUMP: usize = 4;
    pub(super) const CALLIT: usize = 5;
    pub(super) const GETTIME: usize = 6;
    pub(super) const UADDR2TADDR: usize = 7;
    pub(super) const TADDR2UADDR: usize = 8;
    pub(super) const GETVERSADDR: usize = 9;
    pub(super) const INDIRECT: usize = 10;
    pub(super) const GETADDRLIST: usize = 11;
    pub(super) const GETSTAT: usize = 12;
}

impl<S> Clone for Rpcbind<S> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

/// The transports version 2 knows.
const OLD_NETIDS: [Netid; 2] = [Netid::Udp, Netid::Tcp];

/// What procedures of all versions share.
impl<S: Store> Rpcbind<S> {
    /// Counts a call, and says who makes it; a source that asks too often gets no answer.
    fn admit(&self, call: &Call, version: Version, procedure: usize) -> Result<Caller, Refuse> {
        let caller = caller(call);
        if !self.0.registry.is_heard(&caller, call.received()) {
            return Err(Refuse::NoReply);
        }
        self.0.statistics.called(version, procedure);
        Ok(caller)
    }

    async fn set_at(
        &self,
        version: Version,
        caller: &Caller,
        slot: Slot,
        address: Uaddr,
    ) -> Result<bool, Refuse> {
        let set = self.0.registry.set(caller, slot, address).await;
        let set = set.map_err(failed)?;
        if set {
            self.0.statistics.set(version);
        }
        Ok(set)
    }

    async fn unset_all(
        &self,
        version: Version,
        caller: &Caller,
        which: Which<'_>,
    ) -> Result<bool, Refuse> {
        let unset = self.0.registry.unset(caller, which).await;
        let unset = unset.map_err(failed)?;
        if unset {
            self.0.statistics.unset(version);
        }
        Ok(unset)
    }

    fn find(&self, version: Version, caller: &Caller, slot: Slot, exact: bool) -> Option<Uaddr> {
        let found = self.0.registry.find(caller, slot, exact);
        let what = (slot.program, slot.version, slot.netid);
        self.0.statistics.asked(version, what, found.is_some());
        found
    }

    fn all(&self, caller: &Caller) -> Result<Vec<Mapping>, Refuse> {
        // An answer shorter than the question, and one that says why.
        let all = self.0.registry.dump(caller);
        all.ok_or(Refuse::Auth(AuthStat::TOOWEAK))
    }

    /// Passes a call on, or refuses as the procedure by which it came does.
    async fn pass(
        &self,
        (call, version): (&Call, Version),
        caller: &Caller,
        wanted: Wanted<'_>,
        indirect: bool,
    ) -> Result<Passed, Refuse> {
        if !indirect && !caller.is_datagram() {
            // These two are for datagrams alone.
            return Err(Refuse::NoReply);
        }
        let Shared {
            registry,
            statistics,
            indirect: passing,
        } = &*self.0;
        let allowed = registry.policy().indirect;
        let passed = passing
            .pass(registry, (call, caller), wanted, allowed)
            .await;
        if !matches!(passed, Err(NotPassed::Denied)) {
            let found = !matches!(passed, Err(NotPassed::Missing(_)));
            let Target {
                program,
                version: of,
                procedure,
            } = wanted.target;
            let what = (program, of, procedure, caller.netid);
            statistics.passed(version, what, indirect, found);
        }
        passed.map_err(|why| why.refusal(indirect))
    }
}

/// What procedures of versions 3 and 4 share.
impl<S: Store> Rpcbind<S> {
    async fn set_any(&self, call: &Call, version: Version, rpcb: &Rpcb) -> Result<bool, Refuse> {
        let caller = self.admit(call, version, number::SET)?;
        let Some(netid) = Netid::parse(&rpcb.r_netid) else {
            return Ok(false);
        };
        let Ok(address) = Uaddr::parse(netid, &rpcb.r_addr) else {
            return Ok(false);
        };
        let slot = Slot {
            program: rpcb.r_prog,
            version: rpcb.r_vers,
            netid,
        };
        self.set_at(version, &caller, slot, address).await
    }

    async fn unset_any(&self, call: &Call, version: Version, rpcb: &Rpcb) -> Result<bool, Refuse> {
        let caller = self.admit(call, version, number::UNSET)?;
        let netid = Netid::parse(&rpcb.r_netid);
        let netids = match &netid {
            Some(netid) => std::slice::from_ref(netid),
            None if rpcb.r_netid.is_empty() => &Netid::ALL,
            None => return Ok(false),
        };
        let which = Which {
            program: rpcb.r_prog,
            version: rpcb.r_vers,
            netids,
        };
        self.unset_all(version, &caller, which).await
    }

    /// The address on the transport of the call, whatever transport the arguments name.
    fn address(&self, version: Version, caller: &Caller, rpcb: &Rpcb, exact: bool) -> Str {
        let slot = Slot {
            program: rpcb.r_prog,
            version: rpcb.r_vers,
            netid: caller.netid,
        };
        let found = self.find(version, caller, slot, exact);
        found.map_or_else(Str::default, |uaddr| text(&uaddr))
    }

    fn dump_rpcb(&self, call: &Call, version: Version) -> Result<Vec<RpList>, Refuse> {
        let caller = self.admit(call, version, number::DUMP)?;
        let mappings = self.all(&caller)?;
        let node = |mapping| RpList {
            rpcb_map: rpcb(mapping),
        };
        Ok(mappings.iter().map(node).collect())
    }

    async fn pass_any(
        &self,
        (call, version): (&Call, Version),
        args: &rpcbind::RpcbRmtcallargs,
        procedure: usize,
    ) -> Result<rpcbind::RpcbRmtcallres, Refuse> {
        let caller = self.admit(call, version, procedure)?;
        let target = Target {
            program: args.prog,
            version: args.vers,
            procedure: args.proc,
        };
        let wanted = Wanted {
            target,
            arguments: &args.args,
        };
        let indirect = procedure == number::INDIRECT;
        let passing = self.pass((call, version), &caller, wanted, indirect);
        let passed = passing.await?;
        Ok(rpcbind::RpcbRmtcallres {
            addr: text(&passed.address),
            results: passed.results,
        })
    }
}

impl<S: Store> v2::Server for Rpcbind<S> {
    async fn set(&self, call: &Call, map: rpcbind::Mapping) -> Result<bool, Refuse> {
        let caller = self.admit(call, Version::Two, number::SET)?;
        let (Some(netid), Ok(port)) = (Netid::from_protocol(map.prot), u16::try_from(map.port))
        else {
            return Ok(false);
        };
        let slot = Slot {
            program: map.prog,
            version: map.vers,
            netid,
        };
        let address = Uaddr::Inet(([0, 0, 0, 0], port).into());
        self.set_at(Version::Two, &caller, slot, address).await
    }

    async fn unset(&self, call: &Call, map: rpcbind::Mapping) -> Result<bool, Refuse> {
        let caller = self.admit(call, Version::Two, number::UNSET)?;
        let which = Which {
            program: map.prog,
            version: map.vers,
            netids: &OLD_NETIDS,
        };
        self.unset_all(Version::Two, &caller, which).await
    }

    async fn getport(&self, call: &Call, map: rpcbind::Mapping) -> Result<u32, Refuse> {
        let caller = self.admit(call, Version::Two, number::GETADDR)?;
        let Some(netid) = Netid::from_protocol(map.prot) else {
            return Ok(0);
        };
        let slot = Slot {
            program: map.prog,
            version: map.vers,
            netid,
        };
        let found = self.find(Version::Two, &caller, slot, false);
        Ok(found.map_or(0, |uaddr| uaddr.port().into()))
    }

    async fn dump(&self, call: &Call) -> Result<Vec<Pmaplist>, Refuse> {
        let caller = self.admit(call, Version::Two, number::DUMP)?;
        let mappings = self.all(&caller)?;
        let old = mappings.iter().filter_map(|mapping| {
            let Slot {
                program,
                version,
                netid,
            } = mapping.slot;
            let port = mapping.address.port().into();
            let map = rpcbind::Mapping {
                prog: program,
                vers: version,
                prot: netid.protocol()?,
                port,
            };
            Some(Pmaplist { map })
        });
        Ok(old.collect())
    }

    async fn callit(
        &self,
        call: &Call,
        args: rpcbind::CallArgs,
    ) -> Result<rpcbind::CallResult, Refuse> {
        let caller = self.admit(call, Version::Two, number::CALLIT)?;
        let target = Target {
            program: args.prog,
            version: args.vers,
            procedure: args.proc,
        };
        let wanted = Wanted {
            target,
            arguments: &args.args,
        };
        let passing = self.pass((call, Version::Two), &caller, wanted, false);
        let passed = passing.await?;
        Ok(rpcbind::CallResult {
            port: passed.address.port().into(),
            res: passed.results,
        })
    }
}

impl<S: Store> v3::Server for Rpcbind<S> {
    async fn set(&self, call: &Call, rpcb: Rpcb) -> Result<bool, Refuse> {
        self.set_any(call, Version::Three, &rpcb).await
    }

    async fn unset(&self, call: &Call, rpcb: Rpcb) -> Result<bool, Refuse> {
        self.unset_any(call, Version::Three, &rpcb).await
    }

    async fn getaddr(&self, call: &Call, rpcb: Rpcb) -> Result<Str, Refuse> {
        let caller = self.admit(call, Version::Three, number::GETADDR)?;
        Ok(self.address(Version::Three, &caller, &rpcb, false))
    }

    async fn dump(&self, call: &Call) -> Result<Vec<RpList>, Refuse> {
        self.dump_rpcb(call, Version::Three)
    }

    async fn callit(
        &self,
        call: &Call,
        args: rpcbind::RpcbRmtcallargs,
    ) -> Result<rpcbind::RpcbRmtcallres, Refuse> {
        self.pass_any((call, Version::Three), &args, number::CALLIT)
            .await
    }

    async fn gettime(&self, call: &Call) -> Result<u32, Refuse> {
        self.admit(call, Version::Three, number::GETTIME)?;
        Ok(seconds())
    }

    async fn uaddr2taddr(&self, call: &Call, uaddr: Str) -> Result<Netbuf, Refuse> {
        let caller = self.admit(call, Version::Three, number::UADDR2TADDR)?;
        Ok(taddr(&caller, &uaddr))
    }

    async fn taddr2uaddr(&self, call: &Call, taddr: Netbuf) -> Result<Str, Refuse> {
        self.admit(call, Version::Three, number::TADDR2UADDR)?;
        Ok(uaddr(&taddr))
    }
}

impl<S: Store> v4::Server for Rpcbind<S> {
    async fn set(&self, call: &Call, rpcb: Rpcb) -> Result<bool, Refuse> {
        self.set_any(call, Version::Four, &rpcb).await
    }

    async fn unset(&self, call: &Call, rpcb: Rpcb) -> Result<bool, Refuse> {
        self.unset_any(call, Version::Four, &rpcb).await
    }

    async fn getaddr(&self, call: &Call, rpcb: Rpcb) -> Result<Str, Refuse> {
        let caller = self.admit(call, Version::Four, number::GETADDR)?;
        Ok(self.address(Version::Four, &caller, &rpcb, false))
    }

    async fn dump(&self, call: &Call) -> Result<Vec<RpList>, Refuse> {
        self.dump_rpcb(call, Version::Four)
    }

    async fn bcast(
        &self,
        call: &Call,
        args: rpcbind::RpcbRmtcallargs,
    ) -> Result<rpcbind::RpcbRmtcallres, Refuse> {
        self.pass_any((call, Version::Four), &args, number::CALLIT)
            .await
    }

    async fn gettime(&self, call: &Call) -> Result<u32, Refuse> {
        self.admit(call, Version::Four, number::GETTIME)?;
        Ok(seconds())
    }

    async fn uaddr2taddr(&self, call: &Call, uaddr: Str) -> Result<Netbuf, Refuse> {
        let caller = self.admit(call, Version::Four, number::UADDR2TADDR)?;
        Ok(taddr(&caller, &uaddr))
    }

    async fn taddr2uaddr(&self, call: &Call, taddr: Netbuf) -> Result<Str, Refuse> {
        self.admit(call, Version::Four, number::TADDR2UADDR)?;
        Ok(uaddr(&taddr))
    }

    async fn getversaddr(&self, call: &Call, rpcb: Rpcb) -> Result<Str, Refuse> {
        let caller = self.admit(call, Version::Four, number::GETVERSADDR)?;
        Ok(self.address(Version::Four, &caller, &rpcb, true))
    }

    async fn indirect(
        &self,
        call: &Call,
        args: rpcbind::RpcbRmtcallargs,
    ) -> Result<rpcbind::RpcbRmtcallres, Refuse> {
        self.pass_any((call, Version::Four), &args, number::INDIRECT)
            .await
    }

    async fn getaddrlist(&self, call: &Call, rpcb: Rpcb) -> Result<Vec<RpcbEntryList>, Refuse> {
        let caller = self.admit(call, Version::Four, number::GETADDRLIST)?;
        let list = self.0.registry.list(&caller, rpcb.r_prog, rpcb.r_vers);
        let what = (rpcb.r_prog, rpcb.r_vers, caller.netid);
        let found = !list.is_empty();
        self.0.statistics.asked(Version::Four, what, found);
        let entries = list.iter().map(|(netid, uaddr)| RpcbEntryList {
            rpcb_entry_map: entry(*netid, uaddr),
        });
        Ok(entries.collect())
    }

    async fn getstat(&self, call: &Call) -> Result<rpcbind::RpcbStatByvers, Refuse> {
        let caller = self.admit(call, Version::Four, number::GETSTAT)?;
        match self.0.registry.may_have_all(&caller) {
            true => Ok(self.0.statistics.all().map(|counts| stat(&counts))),
            false => Err(Refuse::Auth(AuthStat::TOOWEAK)),
        }
    }
}

/// What one version has done, as the protocol writes it.
fn stat(counts: &Counts) -> RpcbStat {
    let asked = counts.asked.iter().map(|row| RpcbsAddrlist {
        prog: row.program,
        vers: row.version,
        success: signed(row.success),
        failure: signed(row.failure),
        netid: row.netid.name().into(),
    });
    let passed = counts.passed.iter().map(|row| RpcbsRmtcalllist {
        prog: row.program,
        vers: row.version,
        proc: row.procedure,
        success: signed(row.success),
        failure: signed(row.failure),
        indirect: signed(row.indirect),
        netid: row.netid.name().into(),
    });
    RpcbStat {
        info: counts.calls.map(signed),
        setinfo: signed(counts.set),
        unsetinfo: signed(counts.unset),
        addrinfo: asked.collect(),
        rmtinfo: passed.collect(),
    }
}

/// A count in 31 bits; it stops there.
fn signed(count: u32) -> i32 {
    i32::try_from(count).unwrap_or(i32::MAX)
}

/// Who makes a call.
fn caller(call: &Call) -> Caller {
    let datagram = call.transport() == Transport::Udp;
    match call.peer() {
        Peer::Inet(peer) => Caller::inet(peer, call.local_address(), datagram),
        Peer::Unix { uid, pid, .. } => Caller::unix(uid).of(pid.and_then(Process::of)),
        // Whoever embeds the binder may do with it what it likes.
        Peer::InProcess => Caller::unix(0),
        _ => Caller {
            owner: None,
            ..Caller::unix(0)
        },
    }
}

fn failed(error: StoreError) -> Refuse {
    Refuse::SystemErr(error.to_string())
}

fn text(uaddr: &Uaddr) -> Str {
    Str::from(uaddr.to_bytes())
}

fn rpcb(mapping: &Mapping) -> Rpcb {
    Rpcb {
        r_prog: mapping.slot.program,
        r_vers: mapping.slot.version,
        r_netid: mapping.slot.netid.name().into(),
        r_addr: text(&mapping.address),
        r_owner: mapping.owner.to_string().into(),
    }
}

fn entry(netid: Netid, uaddr: &Uaddr) -> RpcbEntry {
    RpcbEntry {
        r_maddr: text(uaddr),
        r_nc_netid: netid.name().into(),
        r_nc_semantics: netid.semantics().number(),
        r_nc_protofmly: netid.family().into(),
        r_nc_proto: netid.protocol_name().into(),
    }
}

/// Seconds since 1970, as far as 32 bits go.
fn seconds() -> u32 {
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    u32::try_from(since.as_secs()).unwrap_or(u32::MAX)
}

/// The address a text means on the transport of the call; empty if it means none.
fn taddr(caller: &Caller, text: &[u8]) -> Netbuf {
    match Uaddr::parse(caller.netid, text) {
        Ok(uaddr) => Netbuf {
            maxlen: uaddr.taddr_len(),
            buf: uaddr.to_taddr(),
        },
        Err(_) => Netbuf {
            maxlen: 0,
            buf: Vec::new(),
        },
    }
}

fn uaddr(taddr: &Netbuf) -> Str {
    Uaddr::from_taddr(&taddr.buf).map_or_else(Str::default, |uaddr| text(&uaddr))
}
