//! What callers may do when the server decides; root makes the files that belong to others.

use std::os::unix::fs::chown;

use super::*;

fn place() -> Option<Place> {
    if !geteuid().is_root() {
        eprintln!("not run: only root can make files of other users");
        return None;
    }
    let place = Place::new();
    own(&place.path(""), 1000, 0o755);
    Some(place)
}

fn own(path: &std::path::Path, uid: u32, mode: u32) {
    chown(path, Some(uid), Some(uid)).unwrap();
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
}

#[test]
fn what_is_made_belongs_to_the_caller() {
    let Some(place) = place() else { return };
    let (root, caller) = (place.export.root(), &user(1000));
    place
        .export
        .create(caller, root, b"f", How::Guarded(mode(0o4755)))
        .unwrap();
    place
        .export
        .mkdir(caller, root, b"d", &mode(0o2775))
        .unwrap();
    place
        .export
        .symlink(caller, root, b"l", b"x", &mode(0))
        .unwrap();
    place
        .export
        .mknod(caller, root, b"p", NewNode::Fifo, &mode(0o600))
        .unwrap();
    for name in ["f", "d", "l", "p"] {
        let about = std::fs::symlink_metadata(place.path(name)).unwrap();
        assert_eq!((about.uid(), about.gid()), (1000, 1000), "{name}");
    }
    assert_eq!(
        std::fs::metadata(place.path("f")).unwrap().mode() & 0o7777,
        0o4755
    );
    let device = NewNode::Character(1, 3);
    refused(
        place.export.mknod(caller, root, b"c", device, &mode(0o666)),
        Status::Perm,
    );
    place
        .export
        .mknod(&user(0), place.file("d"), b"c", device, &mode(0o666))
        .unwrap();
    let about = std::fs::metadata(place.path("d/c")).unwrap();
    assert!(about.file_type().is_char_device());
    // The group comes from the directory: it has the set-group-id bit.
    assert_eq!((about.uid(), about.gid(), about.rdev()), (0, 1000, 0x103));
}

#[test]
fn strangers_are_kept_out() {
    let Some(place) = place() else { return };
    let root = place.export.root();
    let (file, stranger) = (place.write("f", b"secret"), &user(2000));
    own(&place.path("f"), 1000, 0o600);
    std::fs::create_dir(place.path("d")).unwrap();
    own(&place.path("d"), 1000, 0o700);
    let d = place.file("d");
    refused(place.export.read(stranger, file, 0, 9), Status::Acces);
    refused(
        place.export.write(stranger, file, 0, b"x", Stable::File),
        Status::Acces,
    );
    refused(place.export.commit(stranger, file), Status::Acces);
    refused(place.export.lookup(stranger, d, b"x"), Status::Acces);
    refused(
        place.export.readdir(stranger, d, (0, [0; 8]), 4096),
        Status::Acces,
    );
    refused(
        place
            .export
            .create(stranger, root, b"g", How::Guarded(mode(0))),
        Status::Acces,
    );
    refused(place.export.remove(stranger, root, b"f"), Status::Acces);
    refused(
        place.export.rename(stranger, (root, b"f"), (root, b"g")),
        Status::Acces,
    );
    refused(
        place.export.setattr(stranger, file, &mode(0o777), None),
        Status::Perm,
    );
    let shrink = SetAttr {
        size: Some(0),
        ..SetAttr::default()
    };
    refused(
        place.export.setattr(stranger, file, &shrink, None),
        Status::Acces,
    );
    assert_eq!(place.export.access(stranger, file, 0x3f).unwrap().0, 0);
    assert_eq!(
        place.export.access(&user(1000), file, 0x3f).unwrap().0,
        0x0d
    );
    assert_eq!(
        &place.export.read(&user(1000), file, 0, 9).unwrap().data[..],
        b"secret"
    );
    // The file is open now; that lets nobody else in.
    refused(place.export.read(stranger, file, 0, 9), Status::Acces);
}

#[test]
fn ownership_and_privilege_bits_are_guarded() {
    let Some(place) = place() else { return };
    let file = place.write("f", b"x");
    own(&place.path("f"), 1000, 0o6777);
    let owner = &user(1000);
    let give = |uid, gid| SetAttr {
        uid,
        gid,
        ..SetAttr::default()
    };
    refused(
        place
            .export
            .setattr(owner, file, &give(Some(0), None), None),
        Status::Perm,
    );
    refused(
        place
            .export
            .setattr(owner, file, &give(None, Some(0)), None),
        Status::Perm,
    );
    place
        .export
        .setattr(owner, file, &give(Some(1000), Some(1000)), None)
        .unwrap();
    own(&place.path("f"), 1000, 0o6777);
    // Writing by another takes them away.
    place
        .export
        .write(&user(2000), file, 0, b"y", Stable::File)
        .unwrap();
    assert_eq!(
        std::fs::metadata(place.path("f")).unwrap().mode() & 0o7777,
        0o777
    );
    own(&place.path("f"), 1000, 0o777);
    chown(place.path("f"), None, Some(0)).unwrap();
    place
        .export
        .setattr(owner, file, &mode(0o2755), None)
        .unwrap();
    assert_eq!(
        std::fs::metadata(place.path("f")).unwrap().mode() & 0o7777,
        0o755
    );
}

#[test]
fn sticky_directories_and_foreign_links_are_guarded() {
    let Some(place) = place() else { return };
    std::fs::create_dir(place.path("tmp")).unwrap();
    own(&place.path("tmp"), 0, 0o1777);
    std::fs::write(place.path("tmp/f"), b"").unwrap();
    own(&place.path("tmp/f"), 1000, 0o644);
    let (tmp, file) = (place.file("tmp"), place.file("tmp/f"));
    let stranger = &user(2000);
    refused(place.export.remove(stranger, tmp, b"f"), Status::Acces);
    refused(
        place.export.rename(stranger, (tmp, b"f"), (tmp, b"g")),
        Status::Acces,
    );
    refused(place.export.link(stranger, file, tmp, b"g"), Status::Perm);
    place.export.link(&user(1000), file, tmp, b"g").unwrap();
    place.export.remove(&user(1000), tmp, b"f").unwrap();
}
