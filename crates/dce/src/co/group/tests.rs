//! Groups come and go with their members, and handles with their groups.

use super::*;
use crate::syntax::{SyntaxId, Uuid};
use std::sync::atomic::{AtomicUsize, Ordering};

const A: Kind = Kind {
    interface: SyntaxId::NDR,
    name: "policy_handle",
};
const OTHER_TYPE: Kind = Kind {
    name: "server_handle",
    ..A
};
const OTHER_INTERFACE: Kind = Kind {
    interface: SyntaxId::NDR64,
    ..A
};

#[test]
fn a_group_lives_as_long_as_a_member() {
    let groups = Groups::new(Seed::replay(1));
    let first = groups.create().unwrap();
    let second = groups.create().unwrap();
    assert_ne!(first.id(), second.id());
    assert!(first.id() != 0 && second.id() != 0);
    let joined = groups.join(first.id()).unwrap();
    assert!(Arc::ptr_eq(&joined, &first));
    let id = first.id();
    drop(first);
    assert!(groups.join(id).is_some());
    drop(joined);
    assert!(groups.join(id).is_none());
    assert_eq!(groups.len(), 1);
}

#[test]
fn a_number_means_nothing_to_another_family() {
    let tcp = Groups::new(Seed::replay(1));
    let pipe = Groups::new(Seed::replay(2));
    let group = tcp.create().unwrap();
    assert!(pipe.join(group.id()).is_none());
    assert!(pipe.join(0).is_none() && tcp.join(0).is_none());
}

#[test]
fn states_are_run_down_with_the_last_member() {
    struct State(Arc<AtomicUsize>);
    impl Drop for State {
        fn drop(&mut self) {
            self.0.fetch_add(1, Ordering::SeqCst);
        }
    }
    let down = Arc::new(AtomicUsize::new(0));
    let groups = Groups::new(Seed::replay(1));
    let group = groups.create().unwrap();
    let other = groups.join(group.id()).unwrap();
    let handle = group.open(A, Arc::new(State(down.clone()))).unwrap();
    group.open(A, Arc::new(State(down.clone()))).unwrap();
    // Another connection of the group uses the handle, and goes on using it while it is closed.
    let used = other.find(&handle, A, Strictness::Type).unwrap();
    drop(group);
    other.close(&handle, A, Strictness::Type).unwrap();
    assert_eq!(down.load(Ordering::SeqCst), 0);
    assert!(used.downcast_ref::<State>().is_some());
    drop(used);
    assert_eq!(down.load(Ordering::SeqCst), 1);
    drop(other);
    assert_eq!(down.load(Ordering::SeqCst), 2);
}

#[test]
fn a_handle_is_as_strict_as_it_is_asked_to_be() {
    let group = Groups::new(Seed::replay(1)).create().unwrap();
    let handle = group.open(A, Arc::new(())).unwrap();
    let may = |kind, strictness| group.find(&handle, kind, strictness).is_ok();
    assert_eq!(
        [Strictness::Type, Strictness::Interface, Strictness::Open].map(|strictness| [
            A,
            OTHER_TYPE,
            OTHER_INTERFACE
        ]
        .map(|kind| may(kind, strictness))),
        [
            [true, false, false],
            [true, true, false],
            [true, true, true]
        ]
    );
    assert_eq!(
        group.close(&handle, OTHER_TYPE, Strictness::Type).err(),
        Some(Mismatch)
    );
    assert_eq!(group.handles(), 1);
}

#[test]
fn handles_of_others_and_old_ones_do_not_match() {
    let groups = Groups::new(Seed::replay(1));
    let (one, two) = (groups.create().unwrap(), groups.create().unwrap());
    let handle = one.open(A, Arc::new(())).unwrap();
    assert!(two.find(&handle, A, Strictness::Open).is_err());
    let forged = ContextHandle {
        attributes: 0,
        uuid: Uuid::new(1, 2, 3, [4; 8]),
    };
    for bad in [forged, ContextHandle::default()] {
        assert_eq!(one.find(&bad, A, Strictness::Open).err(), Some(Mismatch));
    }
    one.close(&handle, A, Strictness::Type).unwrap();
    assert!(one.find(&handle, A, Strictness::Type).is_err());
    assert!(one.close(&handle, A, Strictness::Type).is_err());
}

#[test]
fn handles_are_limited() {
    let groups = Groups::with_handle_limit(Seed::replay(1), 2);
    let group = groups.create().unwrap();
    group.open(A, Arc::new(())).unwrap();
    let second = group.open(A, Arc::new(())).unwrap();
    assert_eq!(
        group.open(A, Arc::new(())).err(),
        Some(TooMany { limit: 2 })
    );
    group.close(&second, A, Strictness::Type).unwrap();
    group.open(A, Arc::new(())).unwrap();
}
