//! Any bytes as arguments of rpcbind's procedures, one call after the other, from any caller: what is read is written
//! alike, nothing is registered that nobody could call, nobody takes back what is another's, and rpcbind itself stays.
#![no_main]

use core::net::SocketAddr;
use farcall::generated::rpcbind::{CallArgs, Mapping as OldMapping, Netbuf, Rpcb, RpcbRmtcallargs};
use farcall_binder::registry::RPCBIND;
use farcall_binder::store::Which;
use farcall_binder::{Caller, Mapping, Memory, Owner, Policy, Registry, Slot};
use farcall_onc::uaddr::{Netid, Uaddr};
use farcall_wire::{Decode, Encode, Limits, Padding, Reader, Str, xdr};
use libfuzzer_sys::fuzz_target;
use std::future::Future;
use std::task::{Context, Poll, Waker};

/// Most mappings.
const CAPACITY: usize = 32;

/// Memory answers at once.
fn now<T>(future: impl Future<Output = T>) -> T {
    match std::pin::pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(value) => value,
        Poll::Pending => panic!("memory lets nobody wait"),
    }
}

/// Reads arguments; what they encode to is what they were.
fn read<'a, T: Decode<'a> + Encode>(r: &mut Reader<'a>) -> Option<T> {
    let before = r.rest();
    let value = T::decode(r).ok()?;
    let len = before.len() - r.rest().len();
    let again = xdr::to_vec(&value).expect("what was read has its bounds");
    assert_eq!(again, &before[..len]);
    Some(value)
}

fn caller(choice: u8) -> Caller {
    let inet = |text: &str, datagram| {
        let peer: SocketAddr = text.parse().expect(text);
        Caller::inet(
            peer,
            Some("192.0.2.1:111".parse().expect("an address")),
            datagram,
        )
    };
    match choice % 6 {
        0 => Caller::unix(0),
        1 => Caller::unix(1000),
        2 => Caller::unix(1001),
        3 => inet("127.0.0.1:40000", true),
        4 => inet("192.0.2.9:700", true),
        _ => inet("[2001:db8::9]:700", false),
    }
}

fn own() -> Mapping {
    Mapping {
        slot: Slot {
            program: RPCBIND,
            version: 4,
            netid: Netid::Udp,
        },
        address: Uaddr::Inet(([0, 0, 0, 0], 111).into()),
        owner: Owner::Superuser,
        process: None,
    }
}

fn set(registry: &Registry<Memory>, caller: &Caller, rpcb: &Rpcb) {
    let Some(netid) = Netid::parse(&rpcb.r_netid) else {
        return;
    };
    let Ok(address) = Uaddr::parse(netid, &rpcb.r_addr) else {
        return;
    };
    assert_eq!(address.to_bytes().is_empty(), false);
    let slot = Slot {
        program: rpcb.r_prog % 4 + RPCBIND - 1,
        version: rpcb.r_vers,
        netid,
    };
    let before = registry.all();
    let done = now(registry.set(caller, slot, address)).expect("memory does not fail");
    let may = caller.owner.is_some();
    assert!(
        may || !done && registry.all() == before,
        "a stranger registered something"
    );
}

fn unset(
    registry: &Registry<Memory>,
    caller: &Caller,
    program: u32,
    version: u32,
    netids: &[Netid],
) {
    let which = Which {
        program: program % 4 + RPCBIND - 1,
        version,
        netids,
    };
    let before = registry.all();
    let _ = now(registry.unset(caller, which)).expect("memory does not fail");
    let after = registry.all();
    for gone in before.iter().filter(|mapping| !after.contains(mapping)) {
        let by = caller.owner.as_ref().expect("strangers take nothing back");
        assert!(by.may_remove(&gone.owner) && which.holds(gone.slot));
    }
}

fn look(registry: &Registry<Memory>, caller: &Caller, rpcb: &Rpcb) {
    let slot = Slot {
        program: rpcb.r_prog % 4 + RPCBIND - 1,
        version: rpcb.r_vers,
        netid: caller.netid,
    };
    let exact = registry.find(caller, slot, true);
    assert!(exact.is_none() || registry.find(caller, slot, false) == exact);
    for (netid, _) in registry.list(caller, slot.program, slot.version) {
        assert_eq!(netid.family(), caller.netid.family());
    }
    let _ = (
        registry.dump(caller),
        registry.versions(slot.program, slot.netid),
    );
}

fuzz_target!(|bytes: &[u8]| {
    let limits = Limits {
        memory: 1 << 20,
        padding: Padding::Strict,
        ..Limits::default()
    };
    let policy = Policy {
        loopback: bytes.first().is_some_and(|byte| byte % 2 == 0),
        ..Policy::default()
    };
    let registry = Registry::new(Memory::with_capacity(CAPACITY), policy);
    registry.announce(vec![own()]);
    let mut r = Reader::with_limits(bytes, limits);
    while let Ok(&[procedure, who, _, _]) = r.array::<4>() {
        let caller = caller(who);
        let read_all = match procedure % 8 {
            0 => read(&mut r).map(|rpcb: Rpcb| set(&registry, &caller, &rpcb)),
            1 => read(&mut r).map(|rpcb: Rpcb| {
                let netids: Vec<Netid> = Netid::parse(&rpcb.r_netid).into_iter().collect();
                unset(&registry, &caller, rpcb.r_prog, rpcb.r_vers, &netids);
            }),
            2 => read(&mut r).map(|rpcb: Rpcb| look(&registry, &caller, &rpcb)),
            3 => read(&mut r).map(|map: OldMapping| {
                unset(&registry, &caller, map.prog, map.vers, &Netid::ALL);
            }),
            4 => read(&mut r).map(|_: CallArgs| ()),
            5 => read(&mut r).map(|_: RpcbRmtcallargs| ()),
            6 => read(&mut r).map(|netbuf: Netbuf| {
                if let Some(uaddr) = Uaddr::from_taddr(&netbuf.buf) {
                    let _ = (uaddr.to_bytes(), uaddr.to_taddr());
                }
            }),
            _ => read(&mut r).map(|text: Str| {
                for netid in Netid::ALL {
                    if let Ok(uaddr) = Uaddr::parse(netid, &text) {
                        let again = Uaddr::parse(netid, &uaddr.to_bytes());
                        assert_eq!(again, Ok(uaddr));
                    }
                }
            }),
        };
        if read_all.is_none() {
            break;
        }
    }
    let all = registry.all();
    assert!(all.len() <= CAPACITY + 1);
    assert_eq!(
        all.iter().filter(|it| it.slot.program == RPCBIND).count(),
        1
    );
});
