//! Who may do what: levels, nobody, other people's handles, other people's registrations (CVE-2016-2118, CVE-2021-3738,
//! CVE-2025-49760, the coercion of servers).

use farcall::generated::rpcecho::rpcecho;
use farcall_conformance::dce::{Way, runtime};
use farcall_conformance::peer::{Scratch, farcall as command};
use farcall_conformance::raw::{
    EPMAPPER, Heard, LSARPC, Line, MGMT, NDR, NETLOGON, Name, Pdu, RPCECHO, number, ptype, words,
};
use farcall_dce::security::AuthLevel;

use super::{ACCESS_DENIED, CONTEXT_MISMATCH, binder, echo, faults, serves};

/// An interface that nobody has.
const FOREIGN: Name = Name("11111111-2222-3333-4444-555555555555", 1, 0);

#[test]
fn below_the_floor_nothing_is_called() {
    if !command::available() {
        return;
    }
    let scratch = Scratch::new("rights").expect("a folder");
    let users = command::users(&scratch).expect("a file of users");
    let Some(mut echo) = echo(&["--users", &users, "--auth-floor", "integrity"]) else {
        return;
    };
    let endpoint = echo.endpoints[0].clone();
    runtime().block_on(async {
        for (level, passes) in [
            (AuthLevel::CONNECT, false),
            (AuthLevel::PKT, false),
            (AuthLevel::INTEGRITY, true),
            (AuthLevel::PRIVACY, true),
        ] {
            let client = rpcecho::Client::connect_with(&*endpoint, Way::Ntlm.options(level))
                .await
                .expect("bind");
            let sum = client.add_one(41).await;
            match sum {
                Ok(sum) => assert!(passes && sum == 42, "{level}"),
                Err(error) => assert!(
                    !passes && error.to_string().contains("0x00000005"),
                    "{level}: {error}"
                ),
            }
        }
    });
    serves(&mut echo);
}

#[test]
fn nobody_calls_where_nobody_is_let_in() {
    if !command::available() {
        return;
    }
    let scratch = Scratch::new("rights").expect("a folder");
    let users = command::users(&scratch).expect("a file of users");
    let Some(echo) = echo(&["--users", &users, "--no-anonymous"]) else {
        return;
    };
    for interface in [RPCECHO, LSARPC, NETLOGON] {
        let mut line = Line::bound(echo.address(), interface);
        for opnum in 0..8 {
            faults(
                &line.ask(&Pdu::request(2, opnum, &words(&[41]))),
                ACCESS_DENIED,
            );
        }
    }
    // Anybody may ask what is served, and whether it is.
    let mut line = Line::bound(echo.address(), MGMT);
    for opnum in [0, 2] {
        let heard = line.ask(&Pdu::request(2, opnum, &[]));
        assert!(heard.stub().is_some(), "{heard:x?}");
    }
    let endpoint = echo.endpoints[0].clone();
    runtime().block_on(async {
        let options = Way::Ntlm.options(AuthLevel::PRIVACY);
        let client = rpcecho::Client::connect_with(&*endpoint, options).await;
        assert_eq!(client.expect("bind").add_one(41).await.expect("call"), 42);
    });
}

/// Opens a policy; gives its handle.
fn open(line: &mut Line) -> Vec<u8> {
    let heard = line.ask(&Pdu::request(
        2,
        6,
        &words(&[0, 24, 0, 0, 0, 0, 0, 0x0200_0000]),
    ));
    let stub = heard.stub().unwrap_or_else(|| panic!("{heard:x?}"));
    assert_eq!((stub.len(), number(stub, 20)), (24, Some(0)));
    stub[..20].to_vec()
}

/// Closes one; gives what it was answered.
fn close(line: &mut Line, handle: &[u8]) -> Heard {
    line.ask(&Pdu::request(3, 0, handle))
}

#[test]
fn handles_are_their_association_group_s_and_live_as_long() {
    let Some(mut echo) = echo(&[]) else { return };
    let (mut first, group) = Line::bound_with(echo.address(), &Pdu::bind(LSARPC));
    let handle = open(&mut first);
    // Another group's client cannot use it, nor guess another.
    let (mut stranger, other) = Line::bound_with(echo.address(), &Pdu::bind(LSARPC));
    assert_ne!(group, other);
    faults(&close(&mut stranger, &handle), CONTEXT_MISMATCH);
    // (The first four bytes are attributes, of which there are none.)
    for at in [0, 4, 10, 19] {
        let mut wrong = handle.clone();
        wrong[at] ^= 1;
        faults(&close(&mut first, &wrong), CONTEXT_MISMATCH);
    }
    // The group's other connection can, also when the one that opened it is gone.
    let join = Pdu::contexts(ptype::BIND, group, &[(0, LSARPC)]);
    let (mut second, same) = Line::bound_with(echo.address(), &join);
    assert_eq!(group, same);
    drop(first);
    let heard = close(&mut second, &handle);
    assert_eq!(heard.stub(), Some(&[0; 24][..]), "{heard:x?}");
    faults(&close(&mut second, &handle), CONTEXT_MISMATCH);
    // A group without connections is gone.
    drop(second);
    super::eventually("the group outlives its connections", || {
        let mut line = Line::connect(echo.address()).expect("connect");
        matches!(line.ask(&join), Heard::Pdu(ptype::BIND_NAK, ..))
    });
    serves(&mut echo);
}

#[test]
fn nobody_stops_a_server() {
    let Some(mut echo) = echo(&[]) else { return };
    let mut line = Line::bound(echo.address(), MGMT);
    let heard = line.ask(&Pdu::request(2, 3, &[]));
    assert_eq!(
        heard.stub().and_then(|stub| number(stub, 0)),
        Some(ACCESS_DENIED),
        "{heard:x?}"
    );
    serves(&mut echo);
}

/// A tower of an interface over TCP, at a port of this machine (C706 appendices I and L).
fn tower(interface: Name, port: u16) -> Vec<u8> {
    let named = |name: Name| {
        [
            &[19, 0, 0x0d][..],
            &name.bytes()[..18],
            &[2, 0],
            &name.bytes()[18..],
        ]
        .concat()
    };
    let mut bytes = vec![5, 0];
    bytes.extend(named(interface));
    bytes.extend(named(NDR));
    bytes.extend([1, 0, 0x0b, 2, 0, 0, 0]);
    bytes.extend([1, 0, 0x07, 2, 0]);
    bytes.extend(port.to_be_bytes());
    bytes.extend([1, 0, 0x09, 4, 0, 127, 0, 0, 1]);
    assert_eq!(bytes.len(), 75);
    bytes
}

/// The arguments of `ept_insert` or `ept_delete`, up to what only one of them has.
fn entry(interface: Name) -> Vec<u8> {
    let tower = tower(interface, 4444);
    let length = u32::try_from(tower.len()).expect("a short tower");
    let mut stub = words(&[1, 1]);
    stub.extend([0; 16]);
    stub.extend(words(&[3, 0, 5]));
    stub.extend(b"evil\0\0\0\0");
    stub.extend(words(&[length, length]));
    stub.extend(tower);
    stub.push(0);
    stub
}

#[test]
fn nobody_registers_or_removes_over_the_network() {
    let Some(mut binder) = binder(&[]) else {
        return;
    };
    let mut line = Line::bound(binder.address(), EPMAPPER);
    let refused = |heard: &Heard| match heard.stub() {
        Some(stub) => number(stub, stub.len() - 4).is_some_and(|status| status != 0),
        None => heard.fault().is_some(),
    };
    for interface in [FOREIGN, EPMAPPER] {
        let insert = [entry(interface), words(&[1])].concat();
        let heard = line.ask(&Pdu::request(2, 0, &insert));
        assert!(
            refused(&heard) && heard.fault() != Some(super::BAD_STUB_DATA),
            "insert: {heard:x?}"
        );
        let heard = line.ask(&Pdu::request(3, 1, &entry(interface)));
        assert!(
            refused(&heard) && heard.fault() != Some(super::BAD_STUB_DATA),
            "delete: {heard:x?}"
        );
    }
    let endpoint = binder.endpoints[0].clone();
    let listed = command::run(&["ls", &endpoint]).expect("farcall ls");
    assert!(!listed.contains("11111111-2222"), "{listed}");
    assert!(
        listed.contains("e1af8308-5d1f-11c9-91a4-08002b14a0fa") || listed.contains("epmapper"),
        "{listed}"
    );
    assert!(binder.process.is_running().expect("look"));
}
