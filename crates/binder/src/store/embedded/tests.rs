//! A file holds what was registered, also after the process.

use super::*;
use crate::mapping::Slot;
use core::net::Ipv4Addr;
use farcall_dce::syntax::SyntaxId;
use farcall_dce::tower::{Protseq, Tower};
use farcall_onc::uaddr::{Netid, Uaddr};
use farcall_wire::Uuid;
use std::os::unix::fs::PermissionsExt;

fn mapping(version: u32, port: u16) -> Mapping {
    Mapping {
        slot: Slot {
            program: 7,
            version,
            netid: Netid::Tcp,
        },
        address: Uaddr::Inet(([0, 0, 0, 0], port).into()),
        owner: Owner::User(1000),
        process: Process::of(i32::try_from(std::process::id()).expect("a small number")),
    }
}

fn element(port: &str, annotation: &[u8]) -> Element {
    let host = Ipv4Addr::LOCALHOST;
    let tower = Tower::new(SyntaxId::NDR64, SyntaxId::NDR, Protseq::Tcp, port, host);
    let tower = tower.expect("a port");
    Element::new(Uuid::NIL, tower, annotation, Owner::Superuser).expect("a way")
}

async fn put(store: &Embedded, elements: &[Element]) {
    let edit = |all: &mut Vec<Element>| -> Result<(), ()> {
        *all = elements.to_vec();
        Ok(())
    };
    store
        .edit_elements(edit)
        .await
        .expect("written")
        .expect("taken");
}

#[tokio::test]
async fn what_was_registered_is_there_again_in_the_same_order() {
    let place = tempfile::tempdir().expect("a directory");
    let path = place.path().join("registry");
    let (first, second, third) = (mapping(9, 10), mapping(1, 11), mapping(5, 12));
    {
        let store = Embedded::open(&path).expect("made");
        for mapping in [&first, &second, &third] {
            let inserted = store.insert(mapping.clone()).await;
            assert_eq!(inserted, Ok(Insert::Inserted));
        }
        assert_eq!(store.insert(mapping(9, 10)).await, Ok(Insert::Same));
        assert_eq!(store.insert(mapping(9, 99)).await, Ok(Insert::Taken));
        put(&store, &[element("20", b"old"), element("21", b"")]).await;
        put(&store, &[element("21", b""), element("20", b"new")]).await;
    }
    {
        let store = Embedded::open(&path).expect("opened");
        assert_eq!(
            *store.mappings(),
            [first.clone(), second.clone(), third.clone()]
        );
        let annotated: Vec<_> = store
            .elements()
            .iter()
            .map(|it| it.annotation.clone())
            .collect();
        assert_eq!(annotated, [&b""[..], b"new"]);
        let which = Which {
            program: 7,
            version: 1,
            netids: &Netid::ALL,
        };
        let removed = store.remove(which, Owner::User(1000)).await;
        assert_eq!(removed.map(|it| it.removed), Ok(1));
        assert_eq!(store.forget(std::slice::from_ref(&third)).await, Ok(1));
        assert_eq!(store.insert(second.clone()).await, Ok(Insert::Inserted));
        put(&store, &[]).await;
    }
    let store = Embedded::open(&path).expect("opened");
    assert_eq!(
        *store.mappings(),
        [first, second],
        "the one that came again is the last"
    );
    assert!(store.elements().is_empty());
}

#[tokio::test]
async fn processes_of_an_earlier_start_of_the_machine_are_gone() {
    let place = tempfile::tempdir().expect("a directory");
    let path = place.path().join("registry");
    {
        let store = Embedded::open(&path).expect("made");
        store.insert(mapping(1, 10)).await.expect("written");
        put(&store, &[element("20", b"").by(mapping(1, 1).process)]).await;
        renew_boot(&store.inner.database, b"another start").expect("written");
    }
    let store = Embedded::open(&path).expect("opened");
    assert_eq!(store.mappings()[0].process, Some(Process::GONE));
    assert_eq!(store.elements()[0].process, Some(Process::GONE));
    drop(store);
    let again = Embedded::open(&path).expect("opened");
    assert_eq!(
        again.mappings()[0].process,
        mapping(1, 1).process,
        "the file is as it was"
    );
}

#[tokio::test]
async fn the_file_is_its_owners_alone_and_one_process_has_it() {
    let place = tempfile::tempdir().expect("a directory");
    let path = place.path().join("registry");
    let store = Embedded::open(&path).expect("made");
    let mode = std::fs::metadata(&path)
        .expect("it is there")
        .permissions()
        .mode();
    assert_eq!(mode & 0o777, 0o600);
    assert!(matches!(
        Embedded::open(&path),
        Err(StoreError::Unreachable(_))
    ));
    drop(store);
    let link = place.path().join("link");
    std::os::unix::fs::symlink(&path, &link).expect("linked");
    assert!(matches!(
        Embedded::open(&link),
        Err(StoreError::Unreachable(_))
    ));
}

#[test]
fn what_is_no_registry_is_refused_and_left_alone() {
    let place = tempfile::tempdir().expect("a directory");
    let path = place.path().join("registry");
    for content in [&b"hello"[..], &[0; 8192], &[0xff; 100_000]] {
        std::fs::write(&path, content).expect("written");
        assert!(Embedded::open(&path).is_err());
        assert_eq!(std::fs::read(&path).expect("it is there"), content);
    }
}
