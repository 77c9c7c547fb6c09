//! Samba's interface files: all of them compile, and the Rust that is generated for them passes
//! `cargo check`.
//!
//! They are in the source package of Debian, which is downloaded below `target/` and read where
//! it lies: nothing of it is part of the project. The download needs root and `apt-get`; where it
//! may not be made, the step says so and does nothing, except in continuous integration.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use farcall_idl::Config;

use crate::step::Outcome;
use crate::{peers, run, workspace};

/// The source package.
const PACKAGE: &str = "samba";

/// What is unpacked of it.
const WANTED: [&str; 2] = ["*.idl", "*/librpc/idl/*.h"];

/// The folders of interface files, which also find each other there.
const FOLDERS: [&str; 3] = ["librpc/idl", "source4/librpc/idl", "source3/librpc/idl"];

/// Fewer files than this are not the whole set.
const FEWEST: usize = 90;

/// Fetches the files, compiles them, and checks what became of them.
pub(crate) fn check() -> Result<Outcome> {
    let place = workspace::root().join("target/corpus");
    fs::create_dir_all(&place)?;
    let root = match source(&place) {
        Ok(root) => root,
        Err(error) if run::in_ci() => return Err(error.context("fetch the source package")),
        Err(error) => {
            println!("corpus: {error:#}");
            return Ok(Outcome::nothing("the source package is not here"));
        }
    };
    let files = interface_files(&root)?;
    if files.len() < FEWEST {
        bail!(
            "only {} interface files below {}",
            files.len(),
            root.display()
        );
    }
    let crate_folder = place.join("check");
    let wrong = generate(&root, &files, &crate_folder)?;
    for error in &wrong {
        println!("{error}");
    }
    let checked = cargo_check(&crate_folder)?;
    let compiled = files.len() - wrong.len();
    let mut outcome = Outcome::pass(format!("{compiled} of {} files", files.len()));
    outcome.passed = u64::try_from(compiled)?;
    outcome.failed = u64::try_from(wrong.len())? + u64::from(!checked);
    Ok(outcome)
}

/// The unpacked source package; it is fetched if it is not there.
fn source(place: &Path) -> Result<PathBuf> {
    if let Some(root) = unpacked(place)? {
        return Ok(root);
    }
    if !(peers::is_root() && run::exists("apt-get", &["--version"])) {
        bail!("Samba's source package is fetched by root with apt-get");
    }
    download(place)?;
    unpack(place)?;
    unpacked(place)?.context("the source package has no interface files")
}

/// The folder of the package, if it was unpacked already.
fn unpacked(place: &Path) -> Result<Option<PathBuf>> {
    let folders = workspace::folders(place)?;
    Ok(folders
        .into_iter()
        .find(|folder| folder.join(FOLDERS[0]).is_dir()))
}

/// Downloads the package with lists of its own: a system has no sources of source packages.
fn download(place: &Path) -> Result<()> {
    let apt = place.join("apt");
    fs::create_dir_all(apt.join("lists/partial"))?;
    fs::write(apt.join("source.sources"), sources(Path::new("/etc/apt"))?)?;
    let settings = [
        "Dir::Etc::sourcelist=/dev/null".to_owned(),
        format!("Dir::Etc::sourceparts={}", apt.display()),
        format!("Dir::State::lists={}", apt.join("lists").display()),
        "APT::Sandbox::User=root".to_owned(),
    ];
    let apt_get = |arguments: &[&str]| {
        let mut command = run::command("apt-get", &[]);
        command.args(settings.iter().flat_map(|it| ["-o", it]));
        command
            .args(arguments)
            .current_dir(place)
            .env("LC_ALL", "C");
        run::run(command.stdin(std::process::Stdio::null()))
    };
    apt_get(&["--quiet", "update"])?;
    apt_get(&["--quiet", "source", "--download-only", PACKAGE])
}

/// The system's own sources of Debian's packages, as sources of source packages.
fn sources(etc: &Path) -> Result<String> {
    let mut stanzas = String::new();
    let parts = workspace::files(&etc.join("sources.list.d"), &["sources", "list"])?;
    for path in parts.into_iter().chain([etc.join("sources.list")]) {
        let text = fs::read_to_string(&path).unwrap_or_default();
        let is_list = path.extension().is_some_and(|it| it == "list");
        match is_list {
            true => text.lines().for_each(|line| of_line(line, &mut stanzas)),
            false => text
                .split("\n\n")
                .for_each(|stanza| of_stanza(stanza, &mut stanzas)),
        }
    }
    match stanzas.is_empty() {
        true => bail!("no sources of Debian's packages are in {}", etc.display()),
        false => Ok(stanzas),
    }
}

/// `deb [options] URI SUITE COMPONENT…`
fn of_line(line: &str, out: &mut String) {
    let mut words = line.split_whitespace();
    if words.next() != Some("deb") {
        return;
    }
    let mut words: Vec<&str> = words.collect();
    let mut key = "/usr/share/keyrings/debian-archive-keyring.gpg";
    while words.first().is_some_and(|it| it.starts_with('[')) {
        let option = words.remove(0).trim_matches(['[', ']']);
        key = option.strip_prefix("signed-by=").unwrap_or(key);
    }
    if let [uri, suite, components @ ..] = words.as_slice()
        && components.contains(&"main")
        && key.contains("debian-archive")
    {
        stanza(uri, suite, key, out);
    }
}

/// The same in the form of Debian's control files.
fn of_stanza(text: &str, out: &mut String) {
    let field = |name: &str| {
        let mut lines = text.lines().map(str::trim);
        lines.find_map(|line| line.strip_prefix(name)?.strip_prefix(':').map(str::trim))
    };
    let is_deb = field("Types").is_some_and(|it| it.split_whitespace().any(|it| it == "deb"));
    if let (true, Some(uris), Some(suites), Some(key)) =
        (is_deb, field("URIs"), field("Suites"), field("Signed-By"))
        && key.contains("debian-archive")
    {
        stanza(uris, suites, key, out);
    }
}

fn stanza(uris: &str, suites: &str, key: &str, out: &mut String) {
    let (_, _) = (
        writeln!(out, "Types: deb-src\nURIs: {uris}\nSuites: {suites}"),
        writeln!(out, "Components: main\nSigned-By: {key}\n"),
    );
}

/// Unpacks the interface files of what was downloaded.
fn unpack(place: &Path) -> Result<()> {
    let archives = workspace::files(place, &["xz", "gz", "bz2"])?;
    let is_source = |path: &&PathBuf| {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        name.starts_with(PACKAGE) && name.contains(".orig.tar.")
    };
    let archive = archives.iter().find(is_source);
    let archive = archive.context("nothing was downloaded")?;
    let mut command = run::command("tar", &["--extract", "--wildcards", "--file"]);
    command.arg(archive).args(WANTED).current_dir(place);
    run::run(&mut command)
}

/// The interface files, each once.
fn interface_files(root: &Path) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for folder in FOLDERS {
        found.extend(workspace::files(&root.join(folder), &["idl"])?);
    }
    Ok(found)
}

/// Writes a crate with a module for each file; gives what is wrong with those that do not compile.
fn generate(root: &Path, files: &[PathBuf], folder: &Path) -> Result<Vec<String>> {
    let source = folder.join("src");
    if source.is_dir() {
        fs::remove_dir_all(&source)?;
    }
    fs::create_dir_all(&source)?;
    let includes = FOLDERS.iter().map(|it| root.join(it)).chain([root.into()]);
    let config = includes.fold(Config::new().transcoders(), Config::include);
    let mut modules =
        String::from("//! Generated; see `xtask/src/corpus.rs`.\n#![allow(missing_docs)]\n");
    let mut wrong = Vec::new();
    for (at, file) in files.iter().enumerate() {
        match config.compile_file(file) {
            Ok(compiled) => {
                let stem = file.file_stem().unwrap_or_default().to_string_lossy();
                let name = format!("m{at}_{}", stem.replace(['-', '.'], "_").to_lowercase());
                fs::write(source.join(&name).with_extension("rs"), compiled.code)?;
                writeln!(modules, "pub mod {name};")?;
            }
            Err(error) => wrong.push(format!("{}: {error}", file.display())),
        }
    }
    fs::write(source.join("lib.rs"), modules)?;
    fs::write(folder.join("Cargo.toml"), manifest())?;
    fs::copy(
        workspace::root().join("Cargo.lock"),
        folder.join("Cargo.lock"),
    )?;
    Ok(wrong)
}

/// The manifest of the generated crate.
fn manifest() -> String {
    let crates = workspace::root().join("crates");
    let (rpc, wire) = (crates.join("rpc"), crates.join("wire"));
    format!(
        "[package]\nname = \"generated\"\nversion = \"0.0.0\"\nedition = \"2024\"\npublish = false\n\n[workspace]\n\n\
         [dependencies]\nfarcall = {{ path = {rpc:?} }}\nfarcall-wire = {{ path = {wire:?} }}\n"
    )
}

/// Whether the crate passes; it shares what was built for the workspace.
fn cargo_check(folder: &Path) -> Result<bool> {
    let mut command = run::cargo(&["check", "--quiet", "--offline"]);
    let target = workspace::root().join("target");
    command.current_dir(folder).env("CARGO_TARGET_DIR", target);
    let (success, _) = run::tee(&mut command)?;
    Ok(success)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sources_of_packages_become_sources_of_source_packages() {
        let key = "/usr/share/keyrings/debian-archive-keyring.gpg";
        let expected = format!(
            "Types: deb-src\nURIs: http://a.example/debian\nSuites: bookworm\nComponents: main\nSigned-By: {key}\n\n"
        );
        let mut out = String::new();
        of_line(
            "deb http://a.example/debian bookworm main contrib",
            &mut out,
        );
        assert_eq!(out, expected);
        out.clear();
        let text = format!(
            "Types: deb\nURIs: http://a.example/debian\nSuites: bookworm\nComponents: main\nSigned-By: {key}\n"
        );
        of_stanza(&text, &mut out);
        assert_eq!(out, expected);
        out.clear();
        of_line("deb-src http://a.example/debian bookworm main", &mut out);
        of_line(
            "deb [signed-by=/usr/share/keyrings/other.gpg] http://b.example x main",
            &mut out,
        );
        of_stanza(
            "Types: deb\nURIs: http://b.example\nSuites: x\nSigned-By: /other.gpg\n",
            &mut out,
        );
        assert_eq!(out, "");
    }
}
