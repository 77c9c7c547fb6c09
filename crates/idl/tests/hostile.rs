//! No file makes the compiler panic, overflow its stack, or run for long.

#![cfg(feature = "model")]

use std::collections::BTreeMap;
use std::path::PathBuf;

use farcall_idl::{Diagnostics, Files, Model, Options, parse_str};
use proptest::prelude::*;

/// Compiles, and renders what is said; reads no files.
fn compile(text: &str) -> Result<Model, Diagnostics> {
    let itself = BTreeMap::from([(PathBuf::from("h.x"), text.to_owned())]);
    let options = Options {
        files: Files::Memory(itself),
        ..Options::default()
    };
    let result = parse_str("h.x", text, &options);
    if let Err(errors) = &result {
        assert!(errors.errors() > 0);
        assert!(!errors.to_string().is_empty());
    }
    result.map(|(model, _)| model)
}

fn refused(text: &str, code: &str) {
    let errors = compile(text).expect_err("must be refused");
    assert!(
        errors.list.iter().any(|it| it.code == code),
        "{code} is not in {errors}"
    );
}

#[test]
fn deep_nesting() {
    let deep = |open: &str, close: &str| {
        format!(
            "struct s {{ {} int x; {} }};",
            open.repeat(50_000),
            close.repeat(50_000)
        )
    };
    refused(&deep("struct {", "} x;"), "E0205");
    refused(&deep("union switch (int d) { case 1:", "} x;"), "E0205");
    refused(&deep("union switch (", ") x;"), "E0201");
    refused(&"struct a {".repeat(100_000), "E0201");
    refused(&"program P { version V {".repeat(50_000), "E0201");
    refused(&"((((((((((".repeat(50_000), "E0201");
    refused(&"typedef int x[".repeat(50_000), "E0201");
}

#[test]
fn long_chains() {
    let chain = |first: &str, next: &dyn Fn(usize) -> String| {
        let rest: String = (1..10_000).map(next).collect();
        compile(&format!("{first}{rest}"))
    };
    let typedefs = chain("typedef int t0;\n", &|i| {
        format!("typedef t{} t{i};\n", i - 1)
    });
    assert!(typedefs.is_ok());
    let structs = chain("struct t0 { int x; };\n", &|i| {
        format!("struct t{i} {{ t{} x; }};\n", i - 1)
    });
    let model = structs.unwrap();
    let last = model.lookup("t9999").unwrap();
    assert!(!model.is_recursive(last));
    assert_eq!(model.fixed_len(&farcall_idl::Type::Named(last)), Some(4));
    let circle = chain("struct t0 { t9999 x; };\n", &|i| {
        format!("struct t{i} {{ t{} x; }};\n", i - 1)
    });
    assert!(circle.is_err());
    // Each constant is looked up through all before it: past the limit this is refused.
    let constants = chain("const c0 = 1;\n", &|i| {
        format!("const c{i} = c{};\n", i - 1)
    });
    assert!(constants.is_err());
    let doubling = chain("struct t0 { int x; };\n", &|i| {
        format!("struct t{i} {{ t{p} x; t{p} y; }};\n", p = i - 1)
    });
    assert!(doubling.is_err());
    let counted: String = (0..100_000).map(|i| format!("v{i},")).collect();
    assert!(compile(&format!("enum e {{ {counted} }};")).is_ok());
}

#[test]
fn giant_words_and_numbers() {
    refused(&format!("const a = {};", "9".repeat(1_000_000)), "E0204");
    assert!(compile(&format!("const {} = 1;", "a".repeat(1_000_000))).is_ok());
    refused(&format!("typedef {} x;", "a".repeat(1_000_000)), "E0302");
    refused(&"é".repeat(1_000_000), "E0203");
    refused(&"\"".repeat(1_000_000), "E0201");
    refused(&"/*".repeat(1_000_000), "E0101");
    refused("#include \"h.x\"\n", "E0105");
    refused(&"@".repeat(1_000_000), "E0203");
}

#[test]
fn many_errors_are_cut_off() {
    let text = "struct s { nothing a; 5; }; const = ;\n".repeat(20_000);
    let errors = compile(&text).unwrap_err();
    assert!(errors.list.len() <= 100);
}

/// Words that lead somewhere in the grammar.
fn word() -> impl Strategy<Value = &'static str> {
    prop::sample::select(vec![
        "struct",
        "union",
        "enum",
        "switch",
        "case",
        "default",
        "typedef",
        "const",
        "program",
        "version",
        "int",
        "unsigned",
        "hyper",
        "opaque",
        "string",
        "void",
        "bool",
        "long",
        "char",
        "a",
        "b",
        "c",
        "TRUE",
        "netobj",
        "0",
        "1",
        "-1",
        "0xffffffff",
        "4294967296",
        "{",
        "}",
        "(",
        ")",
        "[",
        "]",
        "<",
        ">",
        ";",
        ":",
        ",",
        "=",
        "*",
        "\n",
        "\n#define a",
        "\n#if ",
        "\n#endif\n",
        "\n#include \"h.x\"\n",
        "\n%x\n",
        "/* @idempotent */",
        "// x\n",
        "\"",
        "é",
        "\\\n",
        "struct a {",
        "};",
        "enum b { c = 1 };",
        "union a switch (int b) {",
        "case 1:",
        "int a;",
        "a *b;",
        "program a { version b {",
        "void c(void) = 1;",
        "} = 1; } = 2;",
    ])
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    #[test]
    fn any_text(text in "\\PC*") {
        let _ = compile(&text);
    }

    #[test]
    fn any_bytes(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        let _ = compile(&String::from_utf8_lossy(&bytes));
    }

    #[test]
    fn token_soup(words in prop::collection::vec(word(), 0..60)) {
        let _ = compile(&words.join(" "));
    }

    /// One of our own files with a piece cut out or put elsewhere.
    #[test]
    fn damaged_file(from in 0_usize..3200, len in 0_usize..80, to in 0_usize..3200) {
        let text = include_str!("../../../idl/calc.x");
        let end = text.len();
        let (from, to) = (from.min(end), to.min(end));
        let piece = text[from..(from + len).min(end)].to_owned();
        let mut damaged = text.to_owned();
        damaged.replace_range(from..(from + len).min(end), "");
        let _ = compile(&damaged);
        damaged.insert_str(to.min(damaged.len()), &piece);
        let _ = compile(&damaged);
    }
}
