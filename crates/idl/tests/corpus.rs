//! Interface files of others compile, read where they lie: folders in `FARCALL_IDL_CORPUS`, with `:` between them.

#![cfg(feature = "model")]

use std::path::PathBuf;

use farcall_idl::{Options, parse_file};

fn files(folder: &PathBuf) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).unwrap();
    let mut files: Vec<PathBuf> = entries
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|it| it == "idl"))
        .collect();
    files.sort();
    files
}

#[test]
fn every_file_of_the_corpus_compiles() {
    let Ok(corpus) = std::env::var("FARCALL_IDL_CORPUS") else {
        return;
    };
    let folders: Vec<PathBuf> = corpus.split(':').map(PathBuf::from).collect();
    let options = Options {
        include: folders.clone(),
        ..Options::default()
    };
    let (mut all, mut wrong) = (0, Vec::new());
    for path in folders.iter().flat_map(files) {
        all += 1;
        match parse_file(&path, &options) {
            Ok((model, warnings)) => {
                let (items, interfaces) = (
                    model.ndr().items().count(),
                    model.ndr().interfaces().count(),
                );
                println!("{}: {items} items, {interfaces} interfaces", path.display());
                let warnings = farcall_idl::diag::render_all(&warnings, model.sources());
                print!("{warnings}");
            }
            Err(errors) => wrong.push(format!("{}:\n{errors}", path.display())),
        }
    }
    println!("{} of {all} compile", all - wrong.len());
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
