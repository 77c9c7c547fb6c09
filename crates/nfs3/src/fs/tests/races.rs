//! Others change the directory while we serve it.

use std::sync::atomic::{AtomicBool, Ordering};

use super::*;

#[test]
fn a_directory_swapped_for_a_link_leads_nowhere_else() {
    let place = Place::new();
    let outside = place.place.path().join("outside");
    std::fs::create_dir_all(outside.join("d")).unwrap();
    std::fs::write(outside.join("d/secret"), b"s").unwrap();
    std::fs::create_dir_all(place.path("a/d")).unwrap();
    symlink(&outside, place.path("link")).unwrap();
    let (root, d) = (place.export.root(), place.file("a/d"));
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !done.load(Ordering::Relaxed) {
                // a <-> link: now a directory, now a way out.
                rustix::fs::renameat_with(
                    rustix::fs::CWD,
                    place.path("a"),
                    rustix::fs::CWD,
                    place.path("link"),
                    rustix::fs::RenameFlags::EXCHANGE,
                )
                .unwrap();
            }
        });
        for n in 0..2000 {
            let name = format!("f{n}");
            let _ = place
                .export
                .create(ME, d, name.as_bytes(), How::Unchecked(mode(0o600)));
            refused_or_gone(place.export.lookup(ME, d, b"secret"));
            if let Ok((a, attr, _)) = place.export.lookup(ME, root, b"a")
                && attr.kind == Kind::Directory
                && let Ok((inner, ..)) = place.export.lookup(ME, a, b"d")
            {
                refused_or_gone(place.export.lookup(ME, inner, b"secret"));
            }
        }
        done.store(true, Ordering::Relaxed);
    });
    assert_eq!(std::fs::read_dir(outside.join("d")).unwrap().count(), 1);
}

fn refused_or_gone<T, A>(result: Outcome<T, A>) {
    let status = result.err().map(|failed| failed.status);
    let expected = [Status::NoEnt, Status::Stale, Status::Jukebox, Status::Acces];
    assert!(
        status.is_some_and(|status| expected.contains(&status)),
        "{status:?}"
    );
}

#[test]
fn clients_that_rename_against_each_other_end_in_order() {
    let place = Place::new();
    let names = ["a", "b"];
    for name in names {
        std::fs::create_dir(place.path(name)).unwrap();
    }
    let directories = names.map(|name| place.file(name));
    for n in 0..20 {
        std::fs::write(place.path(&format!("a/f{n}")), n.to_string()).unwrap();
    }
    std::thread::scope(|scope| {
        for thread in 0..4_usize {
            let export = &place.export;
            scope.spawn(move || {
                for n in 0..500_usize {
                    let name = format!("f{}", (n * 7 + thread) % 20);
                    let from = directories[(n + thread) % 2];
                    let to = directories[(n + thread + 1) % 2];
                    let name = name.as_bytes();
                    let _ = export.rename(ME, (from, name), (to, name));
                    let _ = export.readdirplus(ME, from, (0, [0; 8]), 4096, 8192);
                }
            });
        }
    });
    let count = |name: &str| std::fs::read_dir(place.path(name)).unwrap().count();
    assert_eq!(count("a") + count("b"), 20);
    for directory in directories {
        for name in place.names(directory) {
            let (file, ..) = place.export.lookup(ME, directory, &name).unwrap();
            place.export.getattr(file).unwrap();
        }
    }
}
