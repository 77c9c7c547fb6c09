//! Tests of the endpoint mapper's rules.

use super::*;
use crate::store::Memory;
use farcall_dce::tower::Protseq;

const CLOCK: Uuid = Uuid::new(1, 2, 3, [4; 8]);

fn id(uuid: Uuid, major: u16, minor: u16) -> SyntaxId {
    SyntaxId { uuid, major, minor }
}

fn tower(interface: SyntaxId, protseq: Protseq, endpoint: &str) -> Tower {
    Tower::new(
        interface,
        SyntaxId::NDR,
        protseq,
        endpoint,
        Ipv4Addr::UNSPECIFIED,
    )
    .expect("an endpoint of its protocol")
}

fn element(interface: SyntaxId, port: &str, owner: Owner) -> Element {
    let tower = tower(interface, Protseq::Tcp, port);
    Element::new(Uuid::NIL, tower, b"clock", owner).expect("a way to somewhere")
}

fn alice() -> Owner {
    Owner::User(1)
}

fn directory() -> Directory<Memory> {
    Directory::new(Memory::with_capacity(3))
}

fn ports(elements: &[Element]) -> Vec<u16> {
    let ports = elements.iter().filter_map(|element| element.tower.port());
    ports.collect()
}

#[tokio::test]
async fn several_ways_stand_beside_each_other_unless_replaced() {
    let directory = directory();
    let v1 = |port| element(id(CLOCK, 1, 0), port, alice());
    directory.insert(vec![v1("10")], false).await.expect("new");
    directory
        .insert(vec![v1("11")], false)
        .await
        .expect("beside");
    assert_eq!(ports(&directory.all()), [10, 11]);
    directory
        .insert(vec![v1("11")], false)
        .await
        .expect("again");
    assert_eq!(ports(&directory.all()), [10, 11]);
    let v2 = element(id(CLOCK, 2, 0), "20", alice());
    directory
        .insert(vec![v2], true)
        .await
        .expect("other version");
    directory
        .insert(vec![v1("12")], true)
        .await
        .expect("instead");
    assert_eq!(ports(&directory.all()), [20, 12]);
}

#[tokio::test]
async fn an_interface_belongs_to_whoever_registered_it_first() {
    let directory = directory();
    let by = |port, owner| vec![element(id(CLOCK, 1, 0), port, owner)];
    directory
        .insert(by("10", alice()), false)
        .await
        .expect("new");
    for (port, replace) in [("10", false), ("10", true), ("66", false), ("66", true)] {
        let poison = directory.insert(by(port, Owner::User(2)), replace).await;
        assert_eq!(poison, Err(Refused::Foreign(alice())));
        let elsewhere = vec![element(id(CLOCK, 9, 9), port, Owner::Unknown)];
        let poison = directory.insert(elsewhere, replace).await;
        assert_eq!(poison, Err(Refused::Foreign(alice())));
    }
    let theirs = by("10", alice());
    assert_eq!(
        directory.delete(&theirs, &Owner::User(2)).await,
        Err(Refused::Foreign(alice()))
    );
    directory
        .insert(by("11", Owner::Superuser), true)
        .await
        .expect("the superuser may");
    assert_eq!(ports(&directory.all()), [11]);
}

#[tokio::test]
async fn all_or_none() {
    let directory = directory();
    let one = element(id(CLOCK, 1, 0), "10", alice());
    let other = element(id(CLOCK, 1, 0), "11", alice());
    directory
        .insert(vec![one.clone()], false)
        .await
        .expect("new");
    let both = [one.clone(), other];
    let gone = directory.delete(&both, &alice()).await;
    assert_eq!(gone, Err(Refused::NotRegistered));
    assert_eq!(directory.all(), std::slice::from_ref(&one));
    let many = (20..24).map(|port| element(id(CLOCK, 1, 0), &port.to_string(), alice()));
    let full = directory.insert(many.collect(), false).await;
    assert_eq!(full, Err(Refused::Store(StoreError::Full { limit: 3 })));
    assert_eq!(directory.all(), [one]);
}

#[tokio::test]
async fn nobody_registers_what_the_mapper_serves() {
    let directory = directory();
    let own = element(id(CLOCK, 3, 0), "135", Owner::Superuser);
    directory.announce(vec![own]);
    let poison = vec![element(id(CLOCK, 3, 0), "66", Owner::Superuser)];
    let refused = directory.insert(poison, true).await;
    assert_eq!(refused, Err(Refused::Foreign(Owner::Superuser)));
    assert_eq!(ports(&directory.all()), [135]);
}

#[tokio::test]
async fn versions_as_an_inquiry_takes_them() {
    let directory = directory();
    for (major, minor, port) in [(1, 0, "10"), (1, 2, "12"), (2, 0, "20")] {
        let element = element(id(CLOCK, major, minor), port, alice());
        directory.insert(vec![element], false).await.expect("new");
    }
    for (number, taken) in [
        (1, &[10, 12, 20][..]),
        (2, &[12]),
        (3, &[]),
        (4, &[10, 12]),
        (5, &[10]),
    ] {
        let versions = Versions::from_number(number).expect("a number of the specification");
        let inquiry = Inquiry {
            interface: Some((id(CLOCK, 1, 1), versions)),
            object: None,
        };
        assert_eq!(ports(&directory.lookup(&inquiry)), taken, "{versions:?}");
    }
    assert_eq!(Versions::from_number(0), None);
    assert_eq!(Versions::from_number(6), None);
    let map = |minor| {
        let asked = tower(id(CLOCK, 1, minor), Protseq::Tcp, "");
        ports(&directory.map(None, &asked))
    };
    assert_eq!((map(0), map(1), map(3)), (vec![10, 12], vec![12], vec![]));
}

#[tokio::test]
async fn an_object_has_ways_of_its_own() {
    let directory = directory();
    let (object, other) = (Uuid::new(7, 7, 7, [7; 8]), Uuid::new(8, 8, 8, [8; 8]));
    let of = |object, port| {
        let tower = tower(id(CLOCK, 1, 0), Protseq::Tcp, port);
        Element::new(object, tower, b"", alice()).expect("a way to somewhere")
    };
    let elements = vec![of(Uuid::NIL, "10"), of(object, "77")];
    directory.insert(elements, false).await.expect("new");
    let map = |object, protseq| {
        let asked = tower(id(CLOCK, 1, 0), protseq, "");
        ports(&directory.map(object, &asked))
    };
    assert_eq!(map(None, Protseq::Tcp), [10]);
    assert_eq!(map(Some(object), Protseq::Tcp), [77]);
    assert_eq!(map(Some(other), Protseq::Tcp), [10]);
    assert_eq!(map(None, Protseq::Http), [0_u16; 0]);
    let inquiry = Inquiry {
        object: Some(object),
        interface: None,
    };
    assert_eq!(ports(&directory.lookup(&inquiry)), [77]);
}

#[test]
fn any_address_is_the_one_that_was_reached() {
    let any = element(id(CLOCK, 1, 0), "10", alice());
    let host = Ipv4Addr::new(10, 0, 0, 9);
    assert_eq!(reachable(&any, Some(host)).address(), Some(host));
    assert_eq!(reachable(&any, None), any.tower);
    let fixed = Element {
        tower: any.tower.clone().at(Ipv4Addr::LOCALHOST),
        ..any
    };
    assert_eq!(
        reachable(&fixed, Some(host)).address(),
        Some(Ipv4Addr::LOCALHOST)
    );
}
