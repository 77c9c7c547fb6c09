//! The four laws of `ARCHITECTURE.md`, checked on the source and the manifests.
//!
//! 1. The cores name no runtime, socket, file, clock, random source or `security`, and every
//!    crate depends only on the crates its floor allows.
//! 2. Generated code names `farcall_wire` and `farcall` alone.
//! 3. Cores define the security trait they need; nothing below the daemons knows `security`.
//! 4. A crate lists its modules from the ground up, and a module names only modules listed
//!    before it.
//!
//! What stands under `#[cfg(test)]`, and files named for tests, are free of laws 1 and 4.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use crate::floors::{self, FLOORS, Floor};
use crate::source::{self, Named};
use crate::step::Outcome;
use crate::workspace::{self, Package};

/// Crates of others that a core must not depend on.
const FORBIDDEN_CRATES: &[&str] = &[
    "async-std",
    "fastrand",
    "getrandom",
    "libc",
    "mio",
    "nix",
    "rand",
    "rand_core",
    "rustix",
    "smol",
    "socket2",
    "tokio",
    "tokio-util",
];

/// Neighbouring words of a path that a core must not name.
const FORBIDDEN_PAIRS: &[(&str, &str)] = &[
    ("Instant", "now"),
    ("SystemTime", "now"),
    ("net", "TcpListener"),
    ("net", "TcpStream"),
    ("net", "ToSocketAddrs"),
    ("net", "UdpSocket"),
    ("os", "fd"),
    ("os", "unix"),
    ("std", "env"),
    ("std", "fs"),
    ("std", "process"),
    ("std", "thread"),
    ("hash", "RandomState"),
    ("hash_map", "RandomState"),
];

/// What a core must not do, by the names of clippy's lints.
const CORE_LINTS: &[&str] = &[
    "arithmetic_side_effects",
    "as_conversions",
    "expect_used",
    "indexing_slicing",
    "panic",
    "unwrap_used",
];

/// What generated code may name as the root of a path.
const GENERATED_ROOTS: &[&str] = &["farcall", "farcall_wire", "core", "std", "alloc"];

/// The words by which a generated file is known; they stand in its first lines.
const GENERATED_MARK: &str = "@generated";

/// Checks all four laws and prints every breach with its place.
///
/// # Errors
/// When a manifest or a source file cannot be read.
pub(crate) fn check() -> Result<Outcome> {
    let packages = workspace::crates()?;
    let mut breaches = Vec::new();
    let mut files = 0;
    for package in &packages {
        manifest_laws(package, &mut breaches);
        let core = floors::floor(&package.name).is_some_and(|floor| floor.core);
        lint_laws(package, core, &mut breaches);
        for (path, text) in sources(&package.folder.join("src"))? {
            files += 1;
            if core {
                core_law(&path, &text, &mut breaches);
            }
        }
        order_law(package, &mut breaches)?;
    }
    let generated = generated_law(&mut breaches)?;
    for breach in &breaches {
        println!("{breach}");
    }
    let note = format!(
        "{} crates, {files} files, {generated} generated",
        packages.len()
    );
    println!("layers: {note}, {} breaches", breaches.len());
    if breaches.is_empty() {
        Ok(Outcome::pass(note))
    } else {
        Ok(Outcome::fail(format!("{} breaches", breaches.len())))
    }
}

/// The Rust files below a folder with their text, those for tests left out.
fn sources(folder: &Path) -> Result<Vec<(PathBuf, String)>> {
    let mut found = Vec::new();
    for path in workspace::files(folder, &["rs"])? {
        let for_tests = path
            .strip_prefix(folder)
            .unwrap_or(&path)
            .iter()
            .any(|part| {
                let part = part.to_string_lossy();
                part == "tests" || part == "tests.rs" || part.ends_with("_tests.rs")
            });
        if !for_tests {
            let text = fs::read_to_string(&path).with_context(|| workspace::shown(&path))?;
            found.push((path, text));
        }
    }
    Ok(found)
}

/// Laws 1 and 3 in a manifest: only crates of lower floors, and only those named in the table.
fn manifest_laws(package: &Package, breaches: &mut Vec<String>) {
    let Some(floor) = floors::floor(&package.name) else {
        breaches.push(format!("{}: not in the table of floors", package.name));
        return;
    };
    let folder = package
        .folder
        .file_name()
        .unwrap_or_default()
        .to_string_lossy();
    if folder != floor.folder {
        breaches.push(format!(
            "{}: lies in {folder}, expected {}",
            package.name, floor.folder
        ));
    }
    for used in package.dependencies("dependencies") {
        use_law(floor, &used, breaches);
    }
    for used in package.dependencies("dev-dependencies") {
        let higher = floors::floor(&used).is_some_and(|other| other.level >= floor.level);
        if higher && used != package.name {
            breaches.push(format!(
                "{}: tests depend on {used}, a higher floor",
                package.name
            ));
        }
    }
}

/// One dependency of a crate against the table.
fn use_law(floor: &Floor, used: &str, breaches: &mut Vec<String>) {
    if floor.core && FORBIDDEN_CRATES.contains(&used) {
        breaches.push(format!(
            "law 1: {} is a core and depends on {used}",
            floor.package
        ));
    }
    let Some(other) = FLOORS.iter().find(|other| other.package == used) else {
        return;
    };
    if !floor.may_use.contains(&used) || other.level >= floor.level {
        let law = if used == "farcall-security" { 3 } else { 1 };
        breaches.push(format!(
            "law {law}: {} (floor {}) depends on {used} (floor {})",
            floor.package, floor.level, other.level
        ));
    }
}

/// Law 1 in a source file of a core.
fn core_law(path: &Path, text: &str, breaches: &mut Vec<String>) {
    for named in source::paths(text) {
        if let Some(what) = forbidden(&named.words) {
            let (path, line) = (workspace::shown(path), named.line);
            breaches.push(format!("{path}:{line}: law 1: a core names {what}"));
        }
    }
}

/// What in a path a core must not name.
fn forbidden(words: &[String]) -> Option<String> {
    let first = words.iter().find(|word| !word.is_empty())?;
    let is_path = words.len() > 1;
    let crates = FORBIDDEN_CRATES.iter().map(|name| name.replace('-', "_"));
    if is_path
        && crates
            .chain(["farcall_security".to_owned()])
            .any(|name| name == *first)
    {
        return Some(first.clone());
    }
    let pair = words.windows(2).find(|two| {
        FORBIDDEN_PAIRS
            .iter()
            .any(|(one, other)| two[0] == *one && two[1] == *other)
    })?;
    Some(pair.join("::"))
}

/// Whether a file says that it was generated.
pub(crate) fn is_generated(text: &str) -> bool {
    let mut head = text.lines().take(8);
    head.any(|line| line.starts_with("//") && line.contains(GENERATED_MARK))
}

/// What the manifest of every crate promises about itself, and of a core besides.
fn lint_laws(package: &Package, core: bool, breaches: &mut Vec<String>) {
    let lints = package.manifest.get("lints");
    let of = |tool: &str, name: &str| {
        lints
            .and_then(|lints| lints.get(tool))
            .and_then(|tool| tool.get(name))
            .is_some()
    };
    let inherits = lints.and_then(|lints| lints.get("workspace")).is_some();
    if !inherits && !of("rust", "unsafe_code") {
        breaches.push(format!("{}: does not forbid unsafe code", package.name));
    }
    for lint in CORE_LINTS.iter().filter(|lint| core && !of("clippy", lint)) {
        breaches.push(format!("{}: is a core and allows {lint}", package.name));
    }
}

/// Law 2: generated files anywhere in the repository; tells how many there are.
fn generated_law(breaches: &mut Vec<String>) -> Result<usize> {
    let mut count = 0;
    for folder in ["crates", "conformance", "examples", "benches"] {
        for path in workspace::files(&workspace::root().join(folder), &["rs", "snap"])? {
            let text = fs::read_to_string(&path).with_context(|| workspace::shown(&path))?;
            if !is_generated(&text) {
                continue;
            }
            count += 1;
            for named in source::paths(&text) {
                let root =
                    (named.words.len() > 1 && named.words[0].is_empty()).then(|| &named.words[1]);
                if let Some(root) = root.filter(|root| !GENERATED_ROOTS.contains(&root.as_str())) {
                    let (path, line) = (workspace::shown(&path), named.line);
                    breaches.push(format!(
                        "{path}:{line}: law 2: generated code names ::{root}"
                    ));
                }
            }
        }
    }
    Ok(count)
}

/// Law 4 for one crate: its modules in the order of `lib.rs` (or `main.rs`).
fn order_law(package: &Package, breaches: &mut Vec<String>) -> Result<()> {
    let source_folder = package.folder.join("src");
    for root in ["lib.rs", "main.rs"] {
        let path = source_folder.join(root);
        if !path.is_file() {
            continue;
        }
        let text = fs::read_to_string(&path).with_context(|| workspace::shown(&path))?;
        let crate_face = Face::read(&text, &package.name);
        for (path, text) in sources(&source_folder)? {
            let relative = path
                .strip_prefix(&source_folder)
                .unwrap_or(&path)
                .to_path_buf();
            crate_face.check(&relative, &path, &text, breaches);
        }
    }
    Ok(())
}

/// What a crate's root lists: modules in order, and names re-exported from them.
struct Face {
    order: BTreeMap<String, usize>,
    from: BTreeMap<String, String>,
    /// The crate's own name in paths, where it names itself.
    name: String,
}

impl Face {
    fn read(text: &str, package: &str) -> Self {
        let modules = source::modules(text);
        let order: BTreeMap<String, usize> = modules
            .into_iter()
            .enumerate()
            .map(|(at, name)| (name, at))
            .collect();
        let mut from = BTreeMap::new();
        for named in source::paths(text) {
            let words: Vec<&String> = named
                .words
                .iter()
                .filter(|word| !["crate", "self"].contains(&word.as_str()))
                .collect();
            if let [first, .., last] = words.as_slice()
                && order.contains_key(*first)
            {
                from.insert((*last).clone(), (*first).clone());
            }
        }
        Self {
            order,
            from,
            name: package.replace('-', "_"),
        }
    }

    /// Law 4 for one file of the crate.
    fn check(&self, relative: &Path, path: &Path, text: &str, breaches: &mut Vec<String>) {
        let place = module_of(relative);
        let Some(own) = place.first() else {
            return;
        };
        let Some(&own_order) = self.order.get(own) else {
            return;
        };
        for named in source::paths(text) {
            let Some(target) = self.target(&place, &named) else {
                continue;
            };
            if self
                .order
                .get(&target)
                .is_some_and(|&order| order > own_order)
            {
                let (path, line) = (workspace::shown(path), named.line);
                breaches.push(format!(
                    "{path}:{line}: law 4: {own} names {target}, which is listed after it"
                ));
            }
        }
    }

    /// The top module that a path leads to, if it leads to one of this crate.
    fn target(&self, place: &[String], named: &Named) -> Option<String> {
        let mut words = named.words.as_slice();
        let mut at: Vec<String> = place.iter().chain(&named.within).cloned().collect();
        match words.first()?.as_str() {
            "crate" => at.clear(),
            "" if *words.get(1)? == self.name => {
                at.clear();
                words = &words[1..];
            }
            "super" => {
                at.pop()?;
                while words.get(1).is_some_and(|word| word == "super") {
                    at.pop()?;
                    words = &words[1..];
                }
            }
            _ => return None,
        }
        if !at.is_empty() {
            return at.first().cloned();
        }
        let first = words.get(1)?;
        if self.order.contains_key(first) {
            return Some(first.clone());
        }
        self.from.get(first).cloned()
    }
}

/// The module that a file is, from its path below `src`.
fn module_of(relative: &Path) -> Vec<String> {
    let mut place: Vec<String> = relative
        .with_extension("")
        .iter()
        .map(|part| part.to_string_lossy().into_owned())
        .collect();
    if place.last().is_some_and(|last| last == "mod") {
        place.pop();
    }
    if place.len() == 1 && ["lib", "main"].contains(&place[0].as_str()) {
        place.pop();
    }
    place
}

#[cfg(test)]
mod tests;
