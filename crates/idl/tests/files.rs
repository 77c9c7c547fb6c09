//! Whole interface files: ours, and those that Debian installs.

#![cfg(feature = "model")]

use std::path::{Path, PathBuf};

use farcall_idl::{ItemKind, Model, Options, parse_file};

fn ours() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../idl")
}

/// The model of a file that must be free of errors and warnings.
fn clean(path: &Path) -> Model {
    match parse_file(path, &Options::default()) {
        Ok((model, warnings)) => {
            assert!(warnings.is_empty(), "{}: {warnings:#?}", path.display());
            model
        }
        Err(errors) => panic!("{}:\n{errors}", path.display()),
    }
}

fn interface_files(directory: &Path) -> Vec<PathBuf> {
    let Ok(entries) = std::fs::read_dir(directory) else {
        return Vec::new();
    };
    let paths = entries.filter_map(|entry| Some(entry.ok()?.path()));
    let mut found: Vec<PathBuf> = paths
        .filter(|path| path.extension().is_some_and(|it| it == "x"))
        .collect();
    found.sort();
    found
}

#[test]
fn ours_are_clean() {
    let files = interface_files(&ours());
    assert!(files.len() >= 4, "{files:?}");
    for path in files {
        let model = clean(&path);
        assert!(!model.programs().is_empty(), "{}", path.display());
    }
}

/// What stock files do on purpose: two names for one value, a default arm to be safe, types from
/// another interface's header, a text for C.
const EXPECTED: [&str; 4] = ["W0414", "W0411", "W0307", "W0208"];

/// Debian's libtirpc-dev and rpcsvc-proto. They are rpcgen's own test of what it accepts.
#[test]
fn stock_files_compile() {
    let places = [
        "/usr/include/rpcsvc",
        "/usr/include/tirpc/rpc",
        "/usr/include/tirpc/rpcsvc",
    ];
    let files: Vec<PathBuf> = places
        .iter()
        .flat_map(|place| interface_files(Path::new(place)))
        .collect();
    if files.is_empty() && std::env::var_os("CI").is_none() {
        eprintln!("skipped: libtirpc-dev and rpcsvc-proto are not installed");
        return;
    }
    assert!(files.len() >= 12, "found only {files:?}");
    let mut wrong = String::new();
    for path in &files {
        match parse_file(path, &Options::default()) {
            Ok((model, warnings)) => {
                assert!(model.items().count() > 0, "{}", path.display());
                for it in warnings.iter().filter(|it| !EXPECTED.contains(&it.code)) {
                    wrong.push_str(&farcall_idl::diag::render(it, model.sources()));
                }
            }
            Err(errors) => wrong.push_str(&errors.to_string()),
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
}

#[test]
fn nfs3_is_whole() {
    let model = clean(&ours().join("nfs3.x"));
    let version = &model.programs()[0].versions[0];
    let numbers: Vec<u32> = version.procedures.iter().map(|it| it.number).collect();
    assert_eq!(numbers, (0..=21).collect::<Vec<u32>>());
    let entry = model.lookup("entry3").unwrap();
    assert!(model.is_list_node(entry));
    let ItemKind::Struct(list) = &model.item(model.lookup("dirlist3").unwrap()).kind else {
        panic!("dirlist3 is a struct");
    };
    assert_eq!(list.fields[0].ty, farcall_idl::Type::List(entry));
    // RFC 1813, 2.5: fattr3 is 5 * 4 + 2 * 8 + 2 * 4 + 2 * 8 + 3 * 8 bytes.
    let fattr = farcall_idl::Type::Named(model.lookup("fattr3").unwrap());
    assert_eq!(model.fixed_len(&fattr), Some(84));
}
