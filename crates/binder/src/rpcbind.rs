//! The three versions of the protocol over one registry: the port mapper (2) and rpcbind (3 and 4).
//!
//! Read first: RFC 1833 sections 2.2.1 (procedures of versions 3 and 4) and 3.2 (of version 2). The rules stand
//! in [`registry`](crate::registry); this file only translates. Calls are not passed on to other programs:
//! `CALLIT` and `BCAST` keep silent, as the specification wants of a call that fails, and `INDIRECT` and
//! `GETSTAT` are not there.

use crate::mapping::{Mapping, Owner, Slot};
use crate::registry::{Caller, Registry};
use crate::store::{Store, StoreError, Which};
use farcall::generated::rpcbind::{
    self, Netbuf, Pmaplist, RpList, Rpcb, RpcbEntry, RpcbEntryList, v2, v3, v4,
};
use farcall::{Call, Peer, Refuse, Transport};
use farcall_onc::auth::AuthStat;
use farcall_onc::uaddr::{Netid, Uaddr};
use farcall_wire::Str;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

/// rpcbind as a service: give it to [`v2::service`], [`v3::service`] and [`v4::service`].
#[derive(Debug)]
pub struct Rpcbind<S>(Arc<Registry<S>>);

impl<S> Rpcbind<S> {
    /// The protocol over this registry.
    #[must_use]
    pub fn new(registry: Arc<Registry<S>>) -> Self {
        Self(registry)
    }
}

impl<S> Clone for Rpcbind<S> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

/// The transports version 2 knows.
const OLD_NETIDS: [Netid; 2] = [Netid::Udp, Netid::Tcp];

/// What procedures of versions 3 and 4 share.
impl<S: Store> Rpcbind<S> {
    async fn set_any(&self, call: &Call, rpcb: &Rpcb) -> Result<bool, Refuse> {
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
        self.0
            .set(&caller(call), slot, address)
            .await
            .map_err(failed)
    }

    async fn unset_any(&self, call: &Call, rpcb: &Rpcb) -> Result<bool, Refuse> {
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
        self.0.unset(&caller(call), which).await.map_err(failed)
    }

    /// The address on the transport of the call, whatever transport the arguments name.
    fn address(&self, call: &Call, rpcb: &Rpcb, exact: bool) -> Str {
        let caller = caller(call);
        let slot = Slot {
            program: rpcb.r_prog,
            version: rpcb.r_vers,
            netid: caller.netid,
        };
        self.0
            .find(&caller, slot, exact)
            .map_or_else(Str::default, |uaddr| text(&uaddr))
    }

    fn dump_all(&self, call: &Call) -> Result<Vec<Mapping>, Refuse> {
        // An answer shorter than the question, and one that says why.
        self.0
            .dump(&caller(call))
            .ok_or(Refuse::Auth(AuthStat::TOOWEAK))
    }

    fn dump_rpcb(&self, call: &Call) -> Result<Vec<RpList>, Refuse> {
        let mappings = self.dump_all(call)?;
        Ok(mappings
            .iter()
            .map(|mapping| RpList {
                rpcb_map: rpcb(mapping),
            })
            .collect())
    }
}

impl<S: Store> v2::Server for Rpcbind<S> {
    async fn set(&self, call: &Call, map: rpcbind::Mapping) -> Result<bool, Refuse> {
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
        self.0
            .set(&caller(call), slot, address)
            .await
            .map_err(failed)
    }

    async fn unset(&self, call: &Call, map: rpcbind::Mapping) -> Result<bool, Refuse> {
        let which = Which {
            program: map.prog,
            version: map.vers,
            netids: &OLD_NETIDS,
        };
        self.0.unset(&caller(call), which).await.map_err(failed)
    }

    async fn getport(&self, call: &Call, map: rpcbind::Mapping) -> Result<u32, Refuse> {
        let Some(netid) = Netid::from_protocol(map.prot) else {
            return Ok(0);
        };
        let slot = Slot {
            program: map.prog,
            version: map.vers,
            netid,
        };
        let found = self.0.find(&caller(call), slot, false);
        Ok(found.map_or(0, |uaddr| uaddr.port().into()))
    }

    async fn dump(&self, call: &Call) -> Result<Vec<Pmaplist>, Refuse> {
        let mappings = self.dump_all(call)?;
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

    async fn callit(&self, _: &Call, _: rpcbind::CallArgs) -> Result<rpcbind::CallResult, Refuse> {
        Err(Refuse::NoReply)
    }
}

impl<S: Store> v3::Server for Rpcbind<S> {
    async fn set(&self, call: &Call, rpcb: Rpcb) -> Result<bool, Refuse> {
        self.set_any(call, &rpcb).await
    }

    async fn unset(&self, call: &Call, rpcb: Rpcb) -> Result<bool, Refuse> {
        self.unset_any(call, &rpcb).await
    }

    async fn getaddr(&self, call: &Call, rpcb: Rpcb) -> Result<Str, Refuse> {
        Ok(self.address(call, &rpcb, false))
    }

    async fn dump(&self, call: &Call) -> Result<Vec<RpList>, Refuse> {
        self.dump_rpcb(call)
    }

    async fn callit(
        &self,
        _: &Call,
        _: rpcbind::RpcbRmtcallargs,
    ) -> Result<rpcbind::RpcbRmtcallres, Refuse> {
        Err(Refuse::NoReply)
    }

    async fn gettime(&self, _: &Call) -> Result<u32, Refuse> {
        Ok(seconds())
    }

    async fn uaddr2taddr(&self, call: &Call, uaddr: Str) -> Result<Netbuf, Refuse> {
        Ok(taddr(call, &uaddr))
    }

    async fn taddr2uaddr(&self, _: &Call, taddr: Netbuf) -> Result<Str, Refuse> {
        Ok(uaddr(&taddr))
    }
}

impl<S: Store> v4::Server for Rpcbind<S> {
    async fn set(&self, call: &Call, rpcb: Rpcb) -> Result<bool, Refuse> {
        self.set_any(call, &rpcb).await
    }

    async fn unset(&self, call: &Call, rpcb: Rpcb) -> Result<bool, Refuse> {
        self.unset_any(call, &rpcb).await
    }

    async fn getaddr(&self, call: &Call, rpcb: Rpcb) -> Result<Str, Refuse> {
        Ok(self.address(call, &rpcb, false))
    }

    async fn dump(&self, call: &Call) -> Result<Vec<RpList>, Refuse> {
        self.dump_rpcb(call)
    }

    async fn bcast(
        &self,
        _: &Call,
        _: rpcbind::RpcbRmtcallargs,
    ) -> Result<rpcbind::RpcbRmtcallres, Refuse> {
        Err(Refuse::NoReply)
    }

    async fn gettime(&self, _: &Call) -> Result<u32, Refuse> {
        Ok(seconds())
    }

    async fn uaddr2taddr(&self, call: &Call, uaddr: Str) -> Result<Netbuf, Refuse> {
        Ok(taddr(call, &uaddr))
    }

    async fn taddr2uaddr(&self, _: &Call, taddr: Netbuf) -> Result<Str, Refuse> {
        Ok(uaddr(&taddr))
    }

    async fn getversaddr(&self, call: &Call, rpcb: Rpcb) -> Result<Str, Refuse> {
        Ok(self.address(call, &rpcb, true))
    }

    async fn indirect(
        &self,
        _: &Call,
        _: rpcbind::RpcbRmtcallargs,
    ) -> Result<rpcbind::RpcbRmtcallres, Refuse> {
        Err(Refuse::ProcUnavail)
    }

    async fn getaddrlist(&self, call: &Call, rpcb: Rpcb) -> Result<Vec<RpcbEntryList>, Refuse> {
        let list = self.0.list(&caller(call), rpcb.r_prog, rpcb.r_vers);
        let entries = list.iter().map(|(netid, uaddr)| RpcbEntryList {
            rpcb_entry_map: entry(*netid, uaddr),
        });
        Ok(entries.collect())
    }

    async fn getstat(&self, _: &Call) -> Result<rpcbind::RpcbStatByvers, Refuse> {
        Err(Refuse::ProcUnavail)
    }
}

/// Who makes a call.
fn caller(call: &Call) -> Caller {
    let datagram = call.transport() == Transport::Udp;
    match call.peer() {
        Peer::Inet(peer) => Caller::inet(peer, call.local_address(), datagram),
        Peer::Unix { uid, .. } => Caller::unix(uid),
        // Whoever embeds the binder may do with it what it likes.
        Peer::InProcess => Caller {
            netid: Netid::Local,
            reached_at: None,
            owner: Some(Owner::Superuser),
        },
        _ => Caller {
            netid: Netid::Local,
            reached_at: None,
            owner: None,
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
fn taddr(call: &Call, text: &[u8]) -> Netbuf {
    match Uaddr::parse(caller(call).netid, text) {
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
