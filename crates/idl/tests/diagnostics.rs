//! Every wrong file in `bad/` is refused, with exactly the words in the `.txt` beside it.
//!
//! To write the `.txt` files anew: `UPDATE=1 cargo test -p farcall-idl --test diagnostics`; then
//! read the difference.

#![cfg(feature = "model")]

use std::path::{Path, PathBuf};

use farcall_idl::{Options, parse_str};

fn bad_files() -> Vec<PathBuf> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/bad");
    let entries = std::fs::read_dir(directory)
        .unwrap()
        .map(|entry| entry.unwrap().path());
    let mut files: Vec<PathBuf> = entries
        .filter(|path| path.extension().is_some_and(|it| it == "x" || it == "idl"))
        .collect();
    files.sort();
    files
}

#[test]
fn wrong_files_are_refused_in_these_words() {
    let mut wrong = Vec::new();
    for path in bad_files() {
        let name = path.file_name().unwrap().to_str().unwrap();
        let text = std::fs::read_to_string(&path).unwrap();
        let said = match parse_str(name, &text, &Options::default()) {
            Ok(_) => panic!("{name} is accepted"),
            Err(errors) => errors.to_string(),
        };
        let expected = path.with_extension("txt");
        if std::env::var_os("UPDATE").is_some() {
            std::fs::write(&expected, &said).unwrap();
        }
        if std::fs::read_to_string(&expected).unwrap_or_default() != said {
            wrong.push(format!("{name}:\n{said}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
