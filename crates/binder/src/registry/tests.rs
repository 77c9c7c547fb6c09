//! Who may register what, and what is found.

use super::*;
use crate::store::Memory;

const PROGRAM: u32 = 0x2000_0055;

fn registry() -> Registry<Memory> {
    let policy = Policy {
        loopback: true,
        ..Policy::default()
    };
    Registry::new(Memory::new(), policy)
}

fn slot(program: u32, version: u32, netid: Netid) -> Slot {
    Slot {
        program,
        version,
        netid,
    }
}

fn uaddr(netid: Netid, text: &str) -> Uaddr {
    Uaddr::parse(netid, text.as_bytes()).expect(text)
}

fn inet(peer: &str, reached_at: &str, datagram: bool) -> Caller {
    Caller::inet(
        peer.parse().expect(peer),
        Some(reached_at.parse().expect(reached_at)),
        datagram,
    )
}

fn loopback() -> Caller {
    inet("127.0.0.1:40000", "127.0.0.1:111", true)
}

fn stranger() -> Caller {
    inet("192.0.2.9:700", "192.0.2.1:111", true)
}

async fn set(registry: &Registry<Memory>, caller: &Caller, slot: Slot, address: &str) -> bool {
    let address = uaddr(slot.netid, address);
    registry
        .set(caller, slot, address)
        .await
        .expect("memory does not fail")
}

async fn unset(
    registry: &Registry<Memory>,
    caller: &Caller,
    version: u32,
    netids: &[Netid],
) -> bool {
    let which = Which {
        program: PROGRAM,
        version,
        netids,
    };
    registry
        .unset(caller, which)
        .await
        .expect("memory does not fail")
}

fn found(registry: &Registry<Memory>, caller: &Caller, slot: Slot, exact: bool) -> Option<String> {
    registry
        .find(caller, slot, exact)
        .map(|uaddr| uaddr.to_string())
}

#[tokio::test]
async fn only_this_machine_registers() {
    let (registry, tcp) = (registry(), slot(PROGRAM, 1, Netid::Tcp));
    assert!(!set(&registry, &stranger(), tcp, "0.0.0.0.8.1").await);
    assert!(set(&registry, &loopback(), tcp, "0.0.0.0.8.1").await);
    assert!(!unset(&registry, &stranger(), 1, &Netid::ALL).await);
    assert_eq!(registry.all().len(), 1);
    let strict = Registry::new(Memory::new(), Policy::default());
    assert!(!set(&strict, &loopback(), tcp, "0.0.0.0.8.1").await);
    assert!(set(&strict, &Caller::unix(1000), tcp, "0.0.0.0.8.1").await);
}

#[tokio::test]
async fn the_same_again_is_fine_and_another_address_is_not() {
    let (registry, tcp) = (registry(), slot(PROGRAM, 1, Netid::Tcp));
    assert!(set(&registry, &loopback(), tcp, "0.0.0.0.8.1").await);
    assert!(set(&registry, &loopback(), tcp, "0.0.0.0.8.1").await);
    assert!(!set(&registry, &loopback(), tcp, "0.0.0.0.8.2").await);
}

#[tokio::test]
async fn rpcbind_itself_and_addresses_that_are_none_cannot_be_registered() {
    let (registry, root) = (registry(), Caller::unix(0));
    assert!(
        !set(
            &registry,
            &root,
            slot(RPCBIND, 9, Netid::Tcp),
            "0.0.0.0.8.1"
        )
        .await
    );
    assert!(
        !set(
            &registry,
            &root,
            slot(PROGRAM, 1, Netid::Tcp),
            "0.0.0.0.0.0"
        )
        .await
    );
    let crossed = registry.set(
        &root,
        slot(PROGRAM, 1, Netid::Tcp6),
        uaddr(Netid::Tcp, "1.2.3.4.8.1"),
    );
    assert!(!crossed.await.expect("memory does not fail"));
    assert!(registry.all().is_empty());
}

#[tokio::test]
async fn mappings_belong_to_who_made_them() {
    let (registry, tcp) = (registry(), [Netid::Tcp]);
    let low_port = inet("127.0.0.1:700", "127.0.0.1:111", true);
    let callers = [Caller::unix(0), low_port, Caller::unix(1000), loopback()];
    for (version, caller) in (1..).zip(&callers) {
        assert!(
            set(
                &registry,
                caller,
                slot(PROGRAM, version, Netid::Tcp),
                "0.0.0.0.8.1"
            )
            .await
        );
    }
    let owners: Vec<_> = registry
        .all()
        .iter()
        .map(|mapping| mapping.owner.to_string())
        .collect();
    assert_eq!(owners, ["superuser", "superuser", "1000", "unknown"]);
    assert!(!unset(&registry, &loopback(), 1, &tcp).await);
    assert!(!unset(&registry, &Caller::unix(1001), 3, &tcp).await);
    assert!(!unset(&registry, &Caller::unix(1000), 4, &tcp).await);
    assert!(unset(&registry, &loopback(), 4, &tcp).await);
    assert!(unset(&registry, &Caller::unix(1000), 3, &tcp).await);
    assert!(unset(&registry, &callers[1], 1, &tcp).await);
    assert!(
        unset(&registry, &loopback(), 77, &tcp).await,
        "nothing to take back is no fault"
    );
    assert_eq!(registry.all().len(), 1);
}

#[tokio::test]
async fn another_version_is_better_than_none_unless_it_must_be_exact() {
    let registry = registry();
    for (version, address) in [(1, "0.0.0.0.8.1"), (5, "0.0.0.0.8.5"), (3, "192.0.2.7.8.3")] {
        assert!(
            set(
                &registry,
                &loopback(),
                slot(PROGRAM, version, Netid::Udp),
                address
            )
            .await
        );
    }
    let find = |version, exact| {
        found(
            &registry,
            &loopback(),
            slot(PROGRAM, version, Netid::Udp),
            exact,
        )
    };
    assert_eq!(find(1, false).as_deref(), Some("127.0.0.1.8.1"));
    assert_eq!(find(5, true).as_deref(), Some("127.0.0.1.8.5"));
    assert_eq!(find(9, false).as_deref(), Some("192.0.2.7.8.3"));
    assert_eq!(find(9, true), None);
    assert_eq!(
        found(&registry, &loopback(), slot(PROGRAM, 1, Netid::Tcp), false),
        None
    );
}

#[tokio::test]
async fn any_address_becomes_the_one_the_caller_reached() {
    let registry = registry();
    let tcp = slot(PROGRAM, 1, Netid::Tcp);
    assert!(set(&registry, &loopback(), tcp, "0.0.0.0.8.1").await);
    assert_eq!(
        found(&registry, &stranger(), tcp, true).as_deref(),
        Some("192.0.2.1.8.1")
    );
    let mapped = inet("[::ffff:192.0.2.9]:700", "[::ffff:192.0.2.1]:111", false);
    assert_eq!(mapped.netid, Netid::Tcp);
    assert_eq!(
        found(&registry, &mapped, tcp, true).as_deref(),
        Some("192.0.2.1.8.1")
    );
    let unknown = Caller {
        reached_at: None,
        ..stranger()
    };
    assert_eq!(
        found(&registry, &unknown, tcp, true).as_deref(),
        Some("0.0.0.0.8.1")
    );
}

#[tokio::test]
async fn lists_hold_the_callers_family_and_only_this_version() {
    let registry = registry();
    for (version, netid, address) in [
        (1, Netid::Tcp, "0.0.0.0.8.1"),
        (1, Netid::Udp, "0.0.0.0.8.2"),
        (2, Netid::Udp, "0.0.0.0.8.3"),
        (1, Netid::Tcp6, "::.8.1"),
        (1, Netid::Local, "/run/x"),
    ] {
        assert!(
            set(
                &registry,
                &Caller::unix(0),
                slot(PROGRAM, version, netid),
                address
            )
            .await
        );
    }
    let list = |caller: &Caller| -> Vec<String> {
        let list = registry.list(caller, PROGRAM, 1);
        list.iter()
            .map(|(netid, uaddr)| format!("{netid} {uaddr}"))
            .collect()
    };
    assert_eq!(
        list(&loopback()),
        ["tcp 127.0.0.1.8.1", "udp 127.0.0.1.8.2"]
    );
    assert_eq!(
        list(&inet("[::1]:40000", "[::1]:111", false)),
        ["tcp6 ::1.8.1"]
    );
    assert!(list(&Caller::unix(0)).is_empty());
}

#[test]
fn the_whole_list_goes_by_udp_to_this_machine_only() {
    let registry = registry();
    assert!(registry.dump(&loopback()).is_some());
    assert!(registry.dump(&stranger()).is_none());
    assert!(
        registry
            .dump(&Caller {
                netid: Netid::Tcp,
                ..stranger()
            })
            .is_some()
    );
    let open = Registry::new(
        Memory::new(),
        Policy {
            open_dump: true,
            ..Policy::default()
        },
    );
    assert!(open.dump(&stranger()).is_some());
}

#[tokio::test]
async fn what_was_registered_before_is_restored_and_nothing_is_displaced() {
    let registry = registry();
    let mapping = |program, version, address: &str| Mapping {
        slot: slot(program, version, Netid::Tcp),
        address: uaddr(Netid::Tcp, address),
        owner: Owner::User(1000),
        process: None,
    };
    let tcp = slot(PROGRAM, 1, Netid::Tcp);
    assert!(set(&registry, &Caller::unix(0), tcp, "0.0.0.0.8.1").await);
    let left = vec![
        mapping(PROGRAM, 1, "0.0.0.0.8.9"),
        mapping(PROGRAM, 2, "0.0.0.0.8.2"),
        mapping(PROGRAM, 3, "0.0.0.0.0.0"),
        mapping(RPCBIND, 4, "0.0.0.0.8.4"),
    ];
    assert_eq!(registry.restore(left).await, Ok(1));
    let all: Vec<_> = registry
        .all()
        .iter()
        .map(|it| (it.slot.version, it.address.port()))
        .collect();
    assert_eq!(all, [(1, 0x801), (2, 0x802)]);
    assert_eq!(registry.versions(PROGRAM, Netid::Tcp), Some((1, 2)));
    assert_eq!(registry.versions(PROGRAM, Netid::Udp), None);
}

#[test]
fn a_stranger_that_asks_too_often_is_not_heard_over_udp() {
    let policy = Policy {
        rate: Rate {
            per_second: 1,
            burst: 2,
        },
        ..Policy::default()
    };
    let (registry, now) = (Registry::new(Memory::new(), policy), Instant::now());
    let heard = |caller: &Caller| {
        (0..3)
            .map(|_| registry.is_heard(caller, now))
            .collect::<Vec<_>>()
    };
    assert_eq!(heard(&stranger()), [true, true, false]);
    let connected = Caller {
        netid: Netid::Tcp,
        ..stranger()
    };
    for caller in [connected, loopback(), Caller::unix(7)] {
        assert_eq!(heard(&caller), [true; 3], "{caller:?}");
    }
}
