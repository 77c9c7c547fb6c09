//! Tests of the preprocessor as a whole.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::*;

fn memory(files: &[(&str, &str)]) -> Options {
    let files = files
        .iter()
        .map(|(path, text)| (PathBuf::from(path), (*text).to_owned()));
    Options {
        files: Files::Memory(files.collect::<BTreeMap<_, _>>()),
        ..Options::default()
    }
}

fn run(text: &str, options: &Options) -> Preprocessed {
    preprocess(
        SourceMap::default(),
        Path::new("dir/main.x"),
        text.to_owned(),
        options,
    )
}

fn clean(text: &str) -> String {
    let out = run(text, &memory(&[]));
    assert_eq!(out.diagnostics, [], "{text}");
    out.text.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn codes(out: &Preprocessed) -> Vec<&'static str> {
    out.diagnostics.iter().map(|it| it.code).collect()
}

#[test]
fn replaces_macros_and_computes_numbers() {
    assert_eq!(clean("#define N 4\nint x<N>; int N1;"), "int x<4>; int N1;");
    assert_eq!(clean("#define A (1 << 4)\n#define B A+1\nB"), "17");
    assert_eq!(clean("#define A 0x10UL\nA"), "16");
    assert_eq!(clean("#define T struct\nT x"), "struct x");
    assert_eq!(clean("#define A B\n#define B A\nA B"), "A B");
    assert_eq!(clean("#define EMPTY\na EMPTY b"), "a b");
    assert_eq!(clean("#define A 1\n#undef A\nA"), "A");
    assert_eq!(clean("#define A 1\n\"A\" /* A */ 0xA"), "\"A\" /* A */ 0xA");
    assert_eq!(clean("#define A \\\n 12\nA"), "12");
    assert_eq!(clean("in\\\nt"), "int");
}

#[test]
fn follows_conditionals() {
    let text = "#if defined(RPC_HDR) && !defined RPC_XDR\nyes\n#else\nno\n#endif";
    assert_eq!(clean(text), "yes");
    assert_eq!(
        clean("#ifdef X\na\n#elif 1\nb\n#elif 1\nc\n#else\nd\n#endif"),
        "b"
    );
    assert_eq!(
        clean("#if 0\n#if 1\na\n#else\nb\n#endif\n#elif 0\n#else\nc\n#endif"),
        "c"
    );
    assert_eq!(clean("#ifndef X\na\n#endif /* not X */ b"), "a");
    assert_eq!(
        clean("#if 0\nit's \"fine\n#include \"nowhere\"\n#bogus\n%no\n#endif"),
        ""
    );
    assert_eq!(clean("/*\n#if 0\n*/ x"), "/* #if 0 */ x");
    assert_eq!(clean("#define X /* a\n b */ 7\nX"), "7");
    assert_eq!(clean("# 12 \"file.x\"\n#pragma ident \"x\"\nx"), "x");
}

#[test]
fn takes_options() {
    let mut options = memory(&[]);
    options.defines = vec![("N".into(), Some("7".into())), ("FLAG".into(), None)];
    let out = run("N FLAG\n", &options);
    assert_eq!(out.text, "7 1\n");
    assert_eq!(
        out.constants,
        [],
        "only the file's own macros are constants"
    );
}

#[test]
fn reports_constants_in_order() {
    let out = run(
        "#define B 2\n#define A -B\n#define _GUARD 1\n#define T int\n",
        &memory(&[]),
    );
    let found: Vec<_> = out
        .constants
        .iter()
        .map(|it| (it.name.as_str(), it.value))
        .collect();
    assert_eq!(found, [("B", 2), ("A", -2)]);
}

#[test]
fn passes_lines_through() {
    let out = run(
        "%#define M (N+1)\n%#define N 3 /* three */\nx\n % y\n",
        &memory(&[]),
    );
    let lines: Vec<_> = out.passthrough.iter().map(|it| it.text.as_str()).collect();
    assert_eq!(lines, ["#define M (N+1)", "#define N 3 /* three */"]);
    assert_eq!(out.text.trim(), "x\n % y");
    let found: Vec<_> = out
        .passed_constants
        .iter()
        .map(|it| (it.name.as_str(), it.value))
        .collect();
    assert_eq!(found, [("M", 4), ("N", 3)]);
}

#[test]
fn includes() {
    let mut options = memory(&[
        ("dir/beside.x", "beside"),
        ("inc/beside.x", "far"),
        ("inc/sub/once.x", "#pragma once\n#include \"peer.x\"\n"),
        ("inc/sub/peer.x", "peer\n"),
    ]);
    options.include = vec![PathBuf::from("inc")];
    let text = "#include \"beside.x\"\n#include <beside.x>\n#include <sub/once.x>\n#include <sub/once.x>\n#define F <beside.x>\n#include F\n";
    let out = run(text, &options);
    assert_eq!(codes(&out), [] as [&str; 0]);
    assert_eq!(
        out.text.split_whitespace().collect::<Vec<_>>(),
        ["beside", "far", "peer", "far"]
    );
    let names: Vec<_> = out
        .sources
        .files()
        .iter()
        .map(|it| it.name.as_str())
        .collect();
    let expected = [
        "dir/main.x",
        "dir/beside.x",
        "inc/beside.x",
        "inc/sub/once.x",
        "inc/sub/peer.x",
        "inc/beside.x",
    ];
    assert_eq!(names, expected);
}

#[test]
fn knows_where_text_comes_from() {
    let options = memory(&[("dir/other.x", "one two\n")]);
    let out = run(
        "#define M struct x\n#include \"other.x\"\nM three",
        &options,
    );
    let place = |word: &str| {
        let at = out.text.find(word).unwrap();
        let span = out.origin(at..at + word.len());
        (span.file.0, out.sources.text(span).to_owned())
    };
    assert_eq!(place("two"), (1, "two".into()));
    assert_eq!(place("three"), (0, "three".into()));
    assert_eq!(place("struct x"), (0, "M".into()));
    assert_eq!(out.replaced(out.text.find("struct").unwrap()), Some("M"));
    assert_eq!(out.replaced(out.text.find("three").unwrap()), None);
    // Neither the end of the text nor what is behind it is a place of its own.
    let end = out.origin(out.text.len()..out.text.len() + 9);
    assert_eq!((end.file.0, end.start, end.end), (0, 45, 45));
}

#[test]
fn limits_what_is_endless() {
    let itself = memory(&[("dir/main.x", "#include \"main.x\"\n")]);
    assert_eq!(codes(&run("#include \"main.x\"\n", &itself)), ["E0105"]);

    let many = memory(&[("dir/a.x", "a\n")]);
    assert_eq!(
        codes(&run(&"#include \"a.x\"\n".repeat(1000), &many)),
        ["E0105"]
    );

    let mut laughs = String::from("#define A0 haha haha\n");
    for i in 1..40 {
        laughs.push_str(&format!("#define A{i} A{p} A{p}\n", p = i - 1));
    }
    laughs.push_str("A25\nA39\n");
    assert_eq!(codes(&run(&laughs, &memory(&[]))), ["E0105"]);

    let mut chain = String::from("#define A0 x\n");
    for i in 1..1000 {
        chain.push_str(&format!("#define A{i} A{}\n", i - 1));
    }
    assert_eq!(codes(&run(&(chain + "A999"), &memory(&[]))), ["E0105"]);

    let nested = "#if 1\n".repeat(100_000);
    assert_eq!(run(&nested, &memory(&[])).diagnostics.len(), 100_000);
}

#[test]
fn refuses_files_it_cannot_read() {
    let options = Options::default();
    for path in ["/", "/nowhere/at/all.x"] {
        let text = format!("#include \"{path}\"\n");
        let out = preprocess(SourceMap::default(), Path::new("x"), text, &options);
        assert_eq!(codes(&out), ["E0104"], "{path}");
    }
    assert!(options.files.read(Path::new("/dev/zero")).is_err());
}
