//! The emitter's output for small interfaces, compared with what is checked in: a change of the
//! output is reviewed as a change of these files. `FARCALL_BLESS=1` writes them anew.

#![cfg(feature = "emit")]

use std::fs;
use std::path::{Path, PathBuf};

use farcall_idl::Config;

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures")
}

fn types() -> Config {
    Config::new().no_client().no_server()
}

/// Compiles `NAME.x` and compares with `OUTPUT.rs`.
fn compare(name: &str, output: &str, config: &Config) {
    compare_file(&format!("{name}.x"), output, config);
}

/// Compiles a file and compares with `OUTPUT.rs`.
fn compare_file(name: &str, output: &str, config: &Config) {
    let source = folder().join(name);
    let code = match config.compile_file(source) {
        Ok(compiled) => compiled.code,
        Err(error) => panic!("{error}"),
    };
    let target = folder().join(output).with_extension("rs");
    if std::env::var_os("FARCALL_BLESS").is_some() {
        fs::write(&target, &code).expect("write the fixture");
    }
    let expected = fs::read_to_string(&target).unwrap_or_default();
    let differing = expected.lines().zip(code.lines()).position(|(a, b)| a != b);
    assert!(
        expected == code,
        "{} differs from line {} on; FARCALL_BLESS=1 writes it anew",
        target.display(),
        differing.unwrap_or_default() + 1,
    );
}

#[test]
fn every_type() {
    compare("types", "types", &types());
}

#[test]
fn recursive_types() {
    compare("recursive", "recursive", &types());
}

#[test]
fn names_that_rust_has_for_itself() {
    compare("names", "names", &types());
}

#[test]
fn programs_and_their_arguments() {
    compare("programs", "programs", &Config::new());
}

#[test]
fn arguments_that_borrow() {
    let config = Config::new().no_client().borrowed_arguments([
        "FIRST_NAME",
        "FIRST_LIST",
        "FIRST_BYTES",
        "FIRST_RECORD",
    ]);
    compare("lending", "lending", &config);
}

#[test]
fn every_option() {
    let config = types()
        .bytes(["data", "file.handle"])
        .string(["label", "file.path"])
        .borrowed(["listing"])
        .open_enums(["status"])
        .extern_path("foreign", "(i32, i32)")
        .type_attribute("file", "#[non_exhaustive]")
        .derive("status", "::core::default::Default");
    let config = config.extern_path("foreign", "super::Foreign");
    compare("options", "options", &config);
}

#[test]
fn every_wire_form_of_ndr() {
    let config = types()
        .transcoders()
        .bytes(["arrays.many_bytes"])
        .extern_path("text_on_wire", "super::Text");
    compare_file("shapes.idl", "shapes", &config);
}

#[test]
fn what_only_sambas_dialect_has() {
    compare_file("samba.idl", "samba", &types().transcoders());
}

#[test]
fn what_is_serialized_outside_of_calls() {
    compare_file("pickles.idl", "pickles", &types());
}

#[test]
fn files_by_others() {
    compare_file("dialect.idl", "dialect", &types().transcoders());
}

/// What is on the wire, and the program's own types in its place.
#[test]
fn types_and_calls_in_a_form_of_the_programs_own() {
    compare_file("conversions.idl", "conversions_plain", &types());
    let mut config = Config::new().call_as("RemoteNext", "crate::forms::Next");
    for (name, path) in [
        ("text", "crate::forms::Text"),
        ("temperature", "crate::forms::Celsius"),
        ("token", "crate::forms::Token"),
        ("stamp", "crate::forms::Stamp"),
        ("letter", "crate::forms::Letter"),
    ] {
        config = config.extern_path(name, path);
    }
    compare_file("conversions.idl", "conversions", &config);
}

#[test]
fn methods_of_objects() {
    compare_file("objects.idl", "objects", &types());
}

#[test]
fn interfaces_and_their_operations() {
    compare_file("operations.idl", "operations", &Config::new());
}

/// How many lines a procedure costs: printed, and kept from growing unseen.
#[test]
fn lines_for_each_procedure() {
    let idl = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../idl");
    for (name, budget) in [("calc", 110), ("nfs3", 360)] {
        let source = idl.join(name).with_extension("x");
        let (model, _) = farcall_idl::parse_file(source, &farcall_idl::Options::default())
            .unwrap_or_else(|error| panic!("{error}"));
        let code = farcall_idl::generate(&model, &Config::new());
        let lines = code.lines().count();
        let versions = model
            .programs()
            .iter()
            .flat_map(|program| &program.versions);
        let procedures: usize = versions.map(|version| version.procedures.len()).sum();
        let each = lines / procedures.max(1);
        println!("{name}: {lines} lines for {procedures} procedures, {each} each");
        assert!(
            each <= budget,
            "{name}: {each} lines a procedure, budget {budget}"
        );
    }
}
