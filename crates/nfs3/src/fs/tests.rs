//! The procedures against a real directory that is looked at from outside.

mod as_root;

mod model;
mod races;

use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt, symlink};
use std::path::PathBuf;

use rustix::process::geteuid;
use tempfile::TempDir;

use super::*;
use crate::attr::{Kind, SetAttr, SetTime, Time};
use crate::caller::{Caller, Policy, Squash, User};
use crate::export::Spec;
use crate::handle::Key;
use crate::network::Network;

const ME: &Caller = &Caller::Server;

struct Place {
    place: TempDir,
    export: Export,
}

impl Place {
    fn new() -> Self {
        let place = tempfile::tempdir().unwrap();
        std::fs::create_dir(place.path().join("in")).unwrap();
        let export = open(&place, 1, false);
        Self { place, export }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.place.path().join("in").join(name)
    }

    /// The server ends and starts again.
    fn restart(&mut self) {
        self.export = open(&self.place, 2, false);
    }

    fn file(&self, path: &str) -> FileId {
        let mut at = self.export.root();
        for name in path.split('/') {
            at = self.export.lookup(ME, at, name.as_bytes()).unwrap().0;
        }
        at
    }

    fn write(&self, name: &str, content: &[u8]) -> FileId {
        std::fs::write(self.path(name), content).unwrap();
        self.file(name)
    }

    fn names(&self, directory: FileId) -> Vec<Vec<u8>> {
        let page = self
            .export
            .readdir(ME, directory, (0, [0; 8]), 1 << 20)
            .unwrap();
        assert!(page.eof);
        page.entries
            .into_iter()
            .map(|(_, _, name, ())| name)
            .collect()
    }
}

fn open(place: &TempDir, verifier: u64, read_only: bool) -> Export {
    let policy = Policy {
        as_caller: false,
        squash: Squash::None,
        anonymous_uid: 65534,
        anonymous_gid: 65534,
    };
    let spec = Spec {
        directory: place.path().join("in"),
        name: b"/".to_vec(),
        read_only,
        networks: Network::LOOPBACK.to_vec(),
        flavors: Vec::new(),
        policy,
    };
    Export::new(spec, &Key::new([9; 32]), verifier).unwrap()
}

fn user(uid: u32) -> Caller {
    Caller::User(User {
        uid,
        gid: uid,
        gids: Vec::new(),
    })
}

fn mode(mode: u32) -> SetAttr {
    SetAttr {
        mode: Some(mode),
        ..SetAttr::default()
    }
}

#[track_caller]
fn refused<T: std::fmt::Debug, A>(result: Outcome<T, A>, status: Status) {
    match result {
        Ok(value) => panic!("{value:?} instead of {status:?}"),
        Err(failed) => assert_eq!(failed.status, status),
    }
}

#[test]
fn what_is_written_can_be_read_here_and_outside() {
    let place = Place::new();
    let root = place.export.root();
    let (made, wcc) = place
        .export
        .create(ME, root, b"f", How::Guarded(mode(0o640)))
        .unwrap();
    assert_eq!(made.attr.mode, 0o640);
    assert_ne!(wcc.before.unwrap().mtime, wcc.after.unwrap().mtime);
    let data: Vec<u8> = (0..3_000_000_u32).map(|n| (n % 251) as u8).collect();
    for (n, piece) in data.chunks(1 << 20).enumerate() {
        let offset = (n << 20) as u64;
        let written = place
            .export
            .write(ME, made.file, offset, piece, Stable::Unstable)
            .unwrap();
        assert_eq!(written.count as usize, piece.len());
        assert_eq!(written.wcc.before.unwrap().size, offset);
        assert_eq!(written.wcc.after.unwrap().size, offset + piece.len() as u64);
    }
    let (_, verifier) = place.export.commit(ME, made.file).unwrap();
    assert_eq!(verifier, place.export.verifier());
    assert_eq!(std::fs::read(place.path("f")).unwrap(), data);
    let read = place.export.read(ME, made.file, 1 << 20, u32::MAX).unwrap();
    assert_eq!((read.data.len(), read.eof), (1 << 20, false));
    assert_eq!(read.data[..], data[1 << 20..2 << 20]);
    let read = place.export.read(ME, made.file, 2_999_990, 100).unwrap();
    assert_eq!((&read.data[..], read.eof), (&data[2_999_990..], true));
    for offset in [3_000_000, u64::MAX] {
        let read = place.export.read(ME, made.file, offset, 100).unwrap();
        assert_eq!((read.data.len(), read.eof), (0, true));
    }
    refused(
        place
            .export
            .write(ME, made.file, u64::MAX, b"x", Stable::File),
        Status::FBig,
    );
}

#[test]
fn only_regular_files_have_contents() {
    let place = Place::new();
    std::fs::create_dir(place.path("d")).unwrap();
    symlink("d", place.path("l")).unwrap();
    refused(place.export.read(ME, place.file("d"), 0, 1), Status::IsDir);
    refused(
        place
            .export
            .write(ME, place.file("d"), 0, b"x", Stable::File),
        Status::IsDir,
    );
    refused(place.export.read(ME, place.file("l"), 0, 1), Status::Inval);
    place
        .export
        .mknod(ME, place.export.root(), b"p", NewNode::Fifo, &mode(0o600))
        .unwrap();
    refused(place.export.read(ME, place.file("p"), 0, 1), Status::Inval);
    refused(place.export.commit(ME, place.file("p")), Status::Inval);
    refused(
        place.export.lookup(ME, place.file("p"), b"x"),
        Status::NotDir,
    );
    refused(
        place.export.readdir(ME, place.file("p"), (0, [0; 8]), 4096),
        Status::NotDir,
    );
    refused(place.export.readlink(place.file("d")), Status::Inval);
}

#[test]
fn nothing_leads_out_of_the_export() {
    let place = Place::new();
    std::fs::write(place.place.path().join("secret"), b"s").unwrap();
    std::fs::create_dir_all(place.path("a/b")).unwrap();
    symlink("../secret", place.path("file")).unwrap();
    symlink("..", place.path("up")).unwrap();
    symlink("/", place.path("a/root")).unwrap();
    let root = place.export.root();
    assert_eq!(place.export.lookup(ME, root, b"..").unwrap().0, root);
    assert_eq!(place.export.lookup(ME, root, b".").unwrap().0, root);
    assert_eq!(
        place.export.lookup(ME, place.file("a"), b"..").unwrap().0,
        root
    );
    assert_eq!(place.file("a/b/.."), place.file("a"));
    for name in [&b"../secret"[..], b"a/b", b"", b"/", b"a\0", b"/etc/passwd"] {
        refused(place.export.lookup(ME, root, name), Status::Acces);
        refused(
            place
                .export
                .create(ME, root, name, How::Unchecked(mode(0o600))),
            Status::Acces,
        );
        refused(place.export.remove(ME, root, name), Status::Acces);
        refused(
            place.export.rename(ME, (root, b"a"), (root, name)),
            Status::Acces,
        );
    }
    refused(
        place.export.lookup(ME, root, &[b'x'; 256]),
        Status::NameTooLong,
    );
    let (link, attr, _) = place.export.lookup(ME, root, b"file").unwrap();
    assert_eq!(attr.kind, Kind::Symlink);
    assert_eq!(place.export.readlink(link).unwrap().0, b"../secret");
    refused(place.export.read(ME, link, 0, 1), Status::Inval);
    refused(
        place.export.lookup(ME, place.file("up"), b"secret"),
        Status::NotDir,
    );
    refused(
        place.export.lookup(ME, place.file("a/root"), b"etc"),
        Status::NotDir,
    );
    // Creating over a symbolic link neither follows nor replaces it.
    refused(
        place
            .export
            .create(ME, root, b"file", How::Unchecked(mode(0o600))),
        Status::Exist,
    );
    assert_eq!(
        std::fs::read(place.place.path().join("secret")).unwrap(),
        b"s"
    );
}

#[test]
fn a_directory_moved_out_of_the_export_is_gone() {
    let place = Place::new();
    std::fs::create_dir_all(place.path("a/b")).unwrap();
    let (a, b) = (place.file("a"), place.file("a/b"));
    std::fs::rename(place.path("a"), place.place.path().join("outside")).unwrap();
    refused(place.export.lookup(ME, a, b".."), Status::Stale);
    refused(place.export.lookup(ME, b, b".."), Status::Stale);
    refused(
        place.export.create(ME, b, b"f", How::Guarded(mode(0o600))),
        Status::Stale,
    );
}

#[test]
fn handles_outlive_renames_and_restarts() {
    let mut place = Place::new();
    std::fs::create_dir_all(place.path("a/b/c")).unwrap();
    let file = place.write("a/b/c/f", b"content");
    let directory = place.file("a/b");
    // Behind the server's back, then by the server.
    std::fs::rename(place.path("a/b"), place.path("moved")).unwrap();
    assert_eq!(
        &place.export.read(ME, file, 0, 100).unwrap().data[..],
        b"content"
    );
    let root = place.export.root();
    place
        .export
        .rename(ME, (root, b"moved"), (place.file("a"), b"again"))
        .unwrap();
    assert!(place.path("a/again/c/f").exists());
    assert_eq!(place.file("a/again"), directory);
    let verifier = place.export.verifier();
    place.restart();
    assert_ne!(place.export.verifier(), verifier);
    assert_eq!(place.export.root(), root);
    assert_eq!(
        &place.export.read(ME, file, 0, 100).unwrap().data[..],
        b"content"
    );
    assert_eq!(
        place.export.lookup(ME, directory, b"..").unwrap().0,
        place.file("a")
    );
    place
        .export
        .create(ME, directory, b"new", How::Guarded(mode(0o600)))
        .unwrap();
    assert!(place.path("a/again/new").exists());
}

#[test]
fn a_removed_file_is_stale_and_its_inode_number_is_not_it() {
    let place = Place::new();
    let file = place.write("f", b"1");
    assert_eq!(&place.export.read(ME, file, 0, 9).unwrap().data[..], b"1");
    place.export.remove(ME, place.export.root(), b"f").unwrap();
    refused(place.export.read(ME, file, 0, 9), Status::Stale);
    assert_eq!(place.export.getattr(file), Err(Status::Stale));
    // Removed from outside while open here.
    let file = place.write("g", b"2");
    place.export.read(ME, file, 0, 9).unwrap();
    std::fs::remove_file(place.path("g")).unwrap();
    refused(place.export.read(ME, file, 0, 9), Status::Stale);
    let reused = FileId {
        generation: 1,
        ..place.write("h", b"3")
    };
    assert_eq!(place.export.getattr(reused), Err(Status::Stale));
}

#[test]
fn create_treats_what_is_there_as_asked() {
    let place = Place::new();
    let root = place.export.root();
    place.write("f", b"content");
    std::fs::create_dir(place.path("d")).unwrap();
    refused(
        place
            .export
            .create(ME, root, b"f", How::Guarded(mode(0o600))),
        Status::Exist,
    );
    refused(
        place
            .export
            .create(ME, root, b"d", How::Unchecked(mode(0o600))),
        Status::Exist,
    );
    refused(
        place
            .export
            .create(ME, root, b".", How::Unchecked(mode(0o600))),
        Status::Exist,
    );
    let (made, _) = place
        .export
        .create(ME, root, b"f", How::Unchecked(mode(0o600)))
        .unwrap();
    assert_eq!(made.attr.size, 7);
    let empty = SetAttr {
        size: Some(0),
        ..SetAttr::default()
    };
    let (made, _) = place
        .export
        .create(ME, root, b"f", How::Unchecked(empty))
        .unwrap();
    assert_eq!(made.attr.size, 0);
    assert_eq!(std::fs::metadata(place.path("f")).unwrap().len(), 0);
}

#[test]
fn exclusive_create_is_repeatable_by_its_maker_only() {
    let mut place = Place::new();
    let root = place.export.root();
    let verifier = [0xff, 1, 2, 3, 4, 5, 6, 7];
    let first = place
        .export
        .create(ME, root, b"f", How::Exclusive(verifier))
        .unwrap()
        .0;
    place.restart();
    let again = place
        .export
        .create(ME, root, b"f", How::Exclusive(verifier))
        .unwrap()
        .0;
    assert_eq!(again.file, first.file);
    refused(
        place.export.create(ME, root, b"f", How::Exclusive([1; 8])),
        Status::Exist,
    );
}

#[test]
fn attributes_are_set_and_guarded() {
    let place = Place::new();
    let file = place.write("f", b"content");
    let at = Time {
        seconds: 1_000_000_000,
        nanoseconds: 123_456_789,
    };
    let set = SetAttr {
        mode: Some(0o604),
        size: Some(3),
        atime: SetTime::Now,
        mtime: SetTime::At(at),
        ..SetAttr::default()
    };
    let wcc = place.export.setattr(ME, file, &set, None).unwrap();
    let outside = std::fs::metadata(place.path("f")).unwrap();
    assert_eq!((outside.mode() & 0o7777, outside.len()), (0o604, 3));
    assert_eq!(
        (outside.mtime(), outside.mtime_nsec()),
        (1_000_000_000, 123_456_789)
    );
    assert_eq!(
        (wcc.before.unwrap().size, wcc.after.unwrap().mtime),
        (7, at)
    );
    let old = Time {
        seconds: 1,
        nanoseconds: 0,
    };
    refused(
        place.export.setattr(ME, file, &mode(0o600), Some(old)),
        Status::NotSync,
    );
    let ctime = wcc.after.unwrap().ctime;
    place
        .export
        .setattr(ME, file, &mode(0o600), Some(ctime))
        .unwrap();
    let huge = SetAttr {
        size: Some(u64::MAX),
        ..SetAttr::default()
    };
    refused(place.export.setattr(ME, file, &huge, None), Status::FBig);
    let shrink = SetAttr {
        size: Some(0),
        ..SetAttr::default()
    };
    refused(
        place.export.setattr(ME, place.export.root(), &shrink, None),
        Status::IsDir,
    );
    let nobody = SetAttr {
        uid: Some(u32::MAX),
        ..SetAttr::default()
    };
    refused(place.export.setattr(ME, file, &nobody, None), Status::Inval);
}

#[test]
fn everything_can_be_made() {
    let place = Place::new();
    let root = place.export.root();
    let (made, _) = place.export.mkdir(ME, root, b"d", &mode(0o751)).unwrap();
    assert_eq!(made.attr.mode, 0o751);
    let text = b"../\xff anything";
    let (made, _) = place
        .export
        .symlink(ME, made.file, b"l", text, &mode(0o777))
        .unwrap();
    assert_eq!(place.export.readlink(made.file).unwrap().0, text);
    refused(
        place.export.symlink(ME, root, b"m", b"", &mode(0)),
        Status::Inval,
    );
    refused(
        place.export.symlink(ME, root, b"m", b"a\0b", &mode(0)),
        Status::Inval,
    );
    refused(
        place
            .export
            .symlink(ME, root, b"m", &[b'x'; 5000], &mode(0)),
        Status::NameTooLong,
    );
    place
        .export
        .mknod(ME, root, b"p", NewNode::Fifo, &mode(0o622))
        .unwrap();
    place
        .export
        .mknod(ME, root, b"s", NewNode::Socket, &mode(0o622))
        .unwrap();
    let kind = |name| {
        std::fs::symlink_metadata(place.path(name))
            .unwrap()
            .file_type()
    };
    assert!(kind("p").is_fifo() && kind("s").is_socket() && kind("d/l").is_symlink());
    refused(
        place.export.mkdir(ME, root, b"d", &mode(0o755)),
        Status::Exist,
    );
    refused(
        place.export.mkdir(ME, root, b"..", &mode(0o755)),
        Status::Exist,
    );
    let device = NewNode::Character(1, 3);
    refused(
        place
            .export
            .mknod(&user(1000), root, b"c", device, &mode(0o666)),
        Status::Acces,
    );
}

#[test]
fn names_are_removed_and_changed() {
    let place = Place::new();
    let root = place.export.root();
    std::fs::create_dir_all(place.path("d/e")).unwrap();
    let file = place.write("f", b"x");
    refused(place.export.remove(ME, root, b"d"), Status::IsDir);
    refused(place.export.rmdir(ME, root, b"d"), Status::NotEmpty);
    refused(place.export.rmdir(ME, root, b"f"), Status::NotDir);
    refused(place.export.rmdir(ME, root, b"."), Status::Inval);
    refused(place.export.rmdir(ME, root, b".."), Status::Exist);
    refused(place.export.remove(ME, root, b"none"), Status::NoEnt);
    let d = place.file("d");
    let (attr, _) = place.export.link(ME, file, d, b"g").unwrap();
    assert_eq!(attr.unwrap().links, 2);
    refused(place.export.link(ME, file, d, b"g"), Status::Exist);
    refused(place.export.link(ME, d, d, b"h"), Status::IsDir);
    assert_eq!(place.file("d/g"), file);
    place.export.remove(ME, root, b"f").unwrap();
    assert_eq!(place.export.getattr(file).unwrap().links, 1);
    refused(
        place
            .export
            .rename(ME, (root, b"d"), (place.file("d/e"), b"x")),
        Status::Inval,
    );
    refused(
        place.export.rename(ME, (root, b"."), (root, b"x")),
        Status::Inval,
    );
    refused(
        place.export.rename(ME, (d, b"none"), (root, b"x")),
        Status::NoEnt,
    );
    place.write("over", b"old");
    let (from, to) = place.export.rename(ME, (d, b"g"), (root, b"over")).unwrap();
    assert!(from.before != from.after.map(|attr| attr.before()));
    assert!(to.before != to.after.map(|attr| attr.before()));
    assert_eq!(std::fs::read(place.path("over")).unwrap(), b"x");
    assert_eq!(place.file("over"), file);
    place.export.rmdir(ME, d, b"e").unwrap();
    place.export.rmdir(ME, root, b"d").unwrap();
    refused(
        place.export.readdir(ME, d, (0, [0; 8]), 4096),
        Status::Stale,
    );
}

#[test]
fn a_listing_survives_renames_and_keeps_to_its_counts() {
    let place = Place::new();
    let root = place.export.root();
    for n in 0..200 {
        std::fs::write(
            place.path(&format!("stay-{n:03}-{}", "x".repeat(n % 9))),
            b"",
        )
        .unwrap();
        std::fs::write(place.path(&format!("move-{n:03}")), b"").unwrap();
    }
    let (mut at, mut names, mut pages) = ((0, [0; 8]), Vec::new(), 0);
    loop {
        let page = place.export.readdir(ME, root, at, 512).unwrap();
        let size: usize = page
            .entries
            .iter()
            .map(|e| 24 + e.2.len().next_multiple_of(4))
            .sum();
        assert!(size + 104 <= 512);
        names.extend(page.entries.iter().map(|entry| entry.2.clone()));
        if page.eof {
            break;
        }
        at = (page.entries.last().unwrap().0, page.verifier);
        let old = format!("move-{pages:03}");
        let new = format!("moved-{pages:03}");
        place
            .export
            .rename(ME, (root, old.as_bytes()), (root, new.as_bytes()))
            .unwrap();
        pages += 1;
    }
    let stayed: Vec<_> = names
        .iter()
        .filter(|name| name.starts_with(b"stay"))
        .collect();
    let distinct: std::collections::BTreeSet<_> = stayed.iter().collect();
    assert_eq!((stayed.len(), distinct.len()), (200, 200));
    assert!(names.contains(&b".".to_vec()) && names.contains(&b"..".to_vec()));
    refused(
        place.export.readdir(ME, root, (0, [0; 8]), 100),
        Status::TooSmall,
    );
    refused(
        place.export.readdir(ME, root, (5, [0; 8]), 4096),
        Status::BadCookie,
    );
}

#[test]
fn readdirplus_gives_attributes_and_handles() {
    let mut place = Place::new();
    let root = place.export.root();
    place.write("f", b"12345");
    std::fs::create_dir(place.path("d")).unwrap();
    symlink("/etc", place.path("l")).unwrap();
    let page = place
        .export
        .readdirplus(ME, root, (0, [0; 8]), 4096, 8192)
        .unwrap();
    assert!(page.eof);
    assert_eq!(page.entries.len(), 5);
    for (_, inode, name, plus) in &page.entries {
        let (file, attr) = plus.unwrap();
        let now = place.export.getattr(file).unwrap();
        assert!(*inode == attr.inode && attr.same_file(&now), "{name:?}");
        if !name.starts_with(b".") {
            assert_eq!(place.export.lookup(ME, root, name).unwrap().0, file);
        }
    }
    // Two entries by the count of names, then on from there after a restart.
    let first = place
        .export
        .readdirplus(ME, root, (0, [0; 8]), 56, 8192)
        .unwrap();
    assert_eq!((first.entries.len(), first.eof), (2, false));
    place.restart();
    let at = (first.entries[1].0, first.verifier);
    let rest = place.export.readdirplus(ME, root, at, 4096, 8192).unwrap();
    assert_eq!((rest.entries.len(), rest.eof), (3, true));
    refused(
        place.export.readdirplus(ME, root, (0, [0; 8]), 4096, 200),
        Status::TooSmall,
    );
}

#[test]
fn a_read_only_export_does_not_change() {
    let mut place = Place::new();
    let (file, root) = (place.write("f", b"x"), place.export.root());
    place.export = open(&place.place, 1, true);
    let export = &place.export;
    refused(export.write(ME, file, 0, b"y", Stable::File), Status::RoFs);
    refused(export.commit(ME, file), Status::RoFs);
    refused(export.setattr(ME, file, &mode(0), None), Status::RoFs);
    refused(
        export.create(ME, root, b"g", How::Unchecked(mode(0))),
        Status::RoFs,
    );
    refused(export.mkdir(ME, root, b"g", &mode(0)), Status::RoFs);
    refused(export.symlink(ME, root, b"g", b"x", &mode(0)), Status::RoFs);
    refused(
        export.mknod(ME, root, b"g", NewNode::Fifo, &mode(0)),
        Status::RoFs,
    );
    refused(export.remove(ME, root, b"f"), Status::RoFs);
    refused(export.rmdir(ME, root, b"f"), Status::RoFs);
    refused(export.rename(ME, (root, b"f"), (root, b"g")), Status::RoFs);
    refused(export.link(ME, file, root, b"g"), Status::RoFs);
    let (granted, _) = export.access(ME, file, 0x3f).unwrap();
    assert_eq!(granted & 0x1c, 0);
    assert_eq!(&export.read(ME, file, 0, 9).unwrap().data[..], b"x");
    assert_eq!(place.names(root).len(), 3);
}

#[test]
fn the_file_system_is_described() {
    let place = Place::new();
    let root = place.export.root();
    let space = place.export.fsstat(root).unwrap();
    assert!(space.bytes[0] >= space.bytes[1] && space.bytes[1] >= space.bytes[2]);
    let limits = place.export.limits(root, u32::MAX).unwrap();
    assert_eq!(
        (limits.transfer, limits.name, limits.properties),
        (1 << 20, 255, 0x1b)
    );
    assert_eq!(place.export.limits(root, 8192).unwrap().transfer, 8192);
}

#[test]
fn a_file_without_write_permission_can_be_filled_by_its_maker() {
    let place = Place::new();
    let root = place.export.root();
    let (made, _) = place
        .export
        .create(ME, root, b"f", How::Guarded(mode(0o444)))
        .unwrap();
    place
        .export
        .write(ME, made.file, 0, b"content", Stable::File)
        .unwrap();
    assert_eq!(std::fs::read(place.path("f")).unwrap(), b"content");
}
