//! Random operations, done by the server in one directory and by the system in another: both must agree on what succeeds,
//! and in the end both directories must be the same.

use std::io;
use std::path::Path;

use super::*;

const DIRECTORIES: [&str; 4] = ["", "d0", "d1", "d0/d2"];
const NAMES: [&str; 5] = ["a", "b", "d0", "d1", "d2"];

/// A sequence of numbers that a seed decides.
struct Dice(u64);

impl Dice {
    fn throw(&mut self, sides: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 >> 33).unwrap() % sides
    }

    fn place(&mut self) -> (&'static str, &'static str) {
        (DIRECTORIES[self.throw(4)], NAMES[self.throw(5)])
    }
}

#[derive(Debug)]
enum Step {
    Create((&'static str, &'static str)),
    Write((&'static str, &'static str), u8),
    Mkdir((&'static str, &'static str)),
    Symlink((&'static str, &'static str)),
    Remove((&'static str, &'static str)),
    Rmdir((&'static str, &'static str)),
    Rename((&'static str, &'static str), (&'static str, &'static str)),
    Link((&'static str, &'static str), (&'static str, &'static str)),
}

fn step(dice: &mut Dice) -> Step {
    match dice.throw(9) {
        0 | 1 => Step::Create(dice.place()),
        2 => Step::Write(dice.place(), u8::try_from(dice.throw(256)).unwrap()),
        3 => Step::Mkdir(dice.place()),
        4 => Step::Symlink(dice.place()),
        5 => Step::Remove(dice.place()),
        6 => Step::Rmdir(dice.place()),
        7 => Step::Rename(dice.place(), dice.place()),
        _ => Step::Link(dice.place(), dice.place()),
    }
}

/// The step by the system.
fn by_system(root: &Path, step: &Step) -> io::Result<()> {
    let path = |(directory, name): (&str, &str)| root.join(directory).join(name);
    match *step {
        Step::Create(at) => std::fs::File::create_new(path(at)).map(drop),
        Step::Write(at, byte) => {
            // The server writes to regular files only, and follows nothing.
            if !std::fs::symlink_metadata(path(at))?.is_file() {
                return Err(io::ErrorKind::InvalidInput.into());
            }
            std::fs::write(path(at), [byte; 3])
        }
        Step::Mkdir(at) => std::fs::create_dir(path(at)),
        // It leads nowhere: the system would follow it on the way to other names, the server never does.
        Step::Symlink(at) => symlink("nowhere", path(at)),
        Step::Remove(at) => std::fs::remove_file(path(at)),
        Step::Rmdir(at) => std::fs::remove_dir(path(at)),
        Step::Rename(from, to) => std::fs::rename(path(from), path(to)),
        Step::Link(from, to) => std::fs::hard_link(path(from), path(to)),
    }
}

/// The step by the server.
fn by_server(export: &Export, step: &Step) -> Result<(), Status> {
    let walk = |path: &str| {
        let names = path.split('/').filter(|name| !name.is_empty());
        names.into_iter().try_fold(export.root(), |at, name| {
            export.lookup(ME, at, name.as_bytes()).map(|found| found.0)
        })
    };
    let walk = |path: &str| walk(path).map_err(|failed| failed.status);
    let file = |(directory, name): (&str, &str)| walk(&format!("{directory}/{name}"));
    let status = |failed: Failed<Wcc>| failed.status;
    match *step {
        Step::Create((directory, name)) => {
            let how = How::Guarded(mode(0o644));
            export
                .create(ME, walk(directory)?, name.as_bytes(), how)
                .map(drop)
                .map_err(status)
        }
        Step::Write(at, byte) => {
            let shrink = SetAttr {
                size: Some(0),
                ..SetAttr::default()
            };
            let file = file(at)?;
            export.setattr(ME, file, &shrink, None).map_err(status)?;
            let written = export.write(ME, file, 0, &[byte; 3], Stable::Unstable);
            written.map(drop).map_err(status)
        }
        Step::Mkdir((directory, name)) => {
            let made = export.mkdir(ME, walk(directory)?, name.as_bytes(), &mode(0o755));
            made.map(drop).map_err(status)
        }
        Step::Symlink((directory, name)) => {
            let made = export.symlink(
                ME,
                walk(directory)?,
                name.as_bytes(),
                b"nowhere",
                &SetAttr::default(),
            );
            made.map(drop).map_err(status)
        }
        Step::Remove((directory, name)) => {
            let removed = export.remove(ME, walk(directory)?, name.as_bytes());
            removed.map(drop).map_err(status)
        }
        Step::Rmdir((directory, name)) => {
            let removed = export.rmdir(ME, walk(directory)?, name.as_bytes());
            removed.map(drop).map_err(status)
        }
        Step::Rename(from, to) => {
            let (source, target) = (walk(from.0)?, walk(to.0)?);
            let old = (source, from.1.as_bytes());
            let moved = export.rename(ME, old, (target, to.1.as_bytes()));
            moved.map(drop).map_err(|failed| failed.status)
        }
        Step::Link(from, (directory, name)) => {
            let linked = export.link(ME, file(from)?, walk(directory)?, name.as_bytes());
            linked.map(drop).map_err(|failed| failed.status)
        }
    }
}

/// Everything below a directory, as text.
fn picture(path: &Path) -> Vec<String> {
    let mut lines = Vec::new();
    let mut queue = vec![path.to_owned()];
    while let Some(directory) = queue.pop() {
        for entry in std::fs::read_dir(&directory).unwrap() {
            let entry = entry.unwrap().path();
            let about = std::fs::symlink_metadata(&entry).unwrap();
            let content = match about.is_file() {
                true => format!("{:?} {}", std::fs::read(&entry).unwrap(), about.nlink()),
                false => format!("{:?}", about.file_type()),
            };
            lines.push(format!(
                "{} {content}",
                entry.strip_prefix(path).unwrap().display()
            ));
            if about.is_dir() {
                queue.push(entry);
            }
        }
    }
    lines.sort();
    lines
}

#[test]
fn the_server_does_what_the_system_does() {
    let mut succeeded = 0;
    for seed in 1..=12_u64 {
        let mut dice = Dice(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        let mut place = Place::new();
        let other = tempfile::tempdir().unwrap();
        for root in [place.path("").as_path(), other.path()] {
            std::fs::create_dir_all(root.join("d0/d2")).unwrap();
            std::fs::create_dir(root.join("d1")).unwrap();
        }
        for number in 0..150 {
            if number % 50 == 49 {
                place.restart();
            }
            let step = step(&mut dice);
            let (theirs, ours) = (
                by_system(other.path(), &step),
                by_server(&place.export, &step),
            );
            assert_eq!(
                ours.is_ok(),
                theirs.is_ok(),
                "{seed} {number} {step:?}: {ours:?} {theirs:?}"
            );
            succeeded += u32::from(ours.is_ok());
        }
        assert_eq!(
            picture(&place.path("")),
            picture(other.path()),
            "seed {seed}"
        );
    }
    assert!(succeeded > 400, "{succeeded}");
}
