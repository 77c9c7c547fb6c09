//! No `.idl` or `.acf` file makes the compiler panic, overflow its stack, or run for long.

#![cfg(feature = "model")]

use std::collections::BTreeMap;
use std::path::PathBuf;

use farcall_idl::{Diagnostics, Files, Model, Options, parse_str};
use proptest::prelude::*;

const HEAD: &str = "[uuid(12345778-1234-abcd-ef00-0123456789ab)] interface x {";

/// Compiles, and renders what is said; the file may include and import itself, and is its own configuration.
fn compile(text: &str) -> Result<Model, Diagnostics> {
    let itself = ["h.idl", "h.acf", "i.idl"].map(|name| (PathBuf::from(name), text.to_owned()));
    let options = Options {
        files: Files::Memory(BTreeMap::from(itself)),
        ..Options::default()
    };
    let result = parse_str("h.idl", text, &options);
    if let Err(errors) = &result {
        assert!(errors.errors() > 0);
        assert!(!errors.to_string().is_empty());
    }
    result.map(|(model, _)| model)
}

/// The same without anything to include.
fn alone(text: &str) -> Result<Model, Diagnostics> {
    let options = Options {
        files: Files::Memory(BTreeMap::new()),
        ..Options::default()
    };
    parse_str("h.idl", text, &options).map(|(model, _)| model)
}

fn refused(text: &str, code: &str) {
    let errors = alone(text).expect_err("must be refused");
    assert!(
        errors.list.iter().any(|it| it.code == code),
        "{code} is not in {errors}"
    );
}

#[test]
fn deep_nesting() {
    let deep = |open: &str, close: &str| {
        format!(
            "{HEAD} typedef struct {{ {} long x; {} }} s; }}",
            open.repeat(20_000),
            close.repeat(20_000)
        )
    };
    refused(&deep("struct {", "} x;"), "E0205");
    refused(&deep("union switch (long d) { case 1:", "} x;"), "E0205");
    refused(
        &format!("{HEAD} const long x = {};", "(".repeat(20_000)),
        "E0205",
    );
    refused(
        &format!("{HEAD} const long x = {}1;", "-".repeat(20_000)),
        "E0205",
    );
    refused(
        &format!("{HEAD} typedef long {}x;", "*".repeat(20_000)),
        "E0205",
    );
    refused(
        &format!("{HEAD} typedef long {}x;", "(*".repeat(20_000)),
        "E0205",
    );
    refused(&"library l {".repeat(20_000), "E0205");
    refused(&"interface a {".repeat(20_000), "E0205");
    refused(&"[[[[[[[[[[".repeat(20_000), "E0201");
    refused(&"typedef [a(".repeat(20_000), "E0201");
    refused(
        &format!("{HEAD} void f([in] {}", "pipe ".repeat(20_000)),
        "E0205",
    );
    refused(
        &format!("{HEAD} const long x = {}1;", "1 + ".repeat(20_000)),
        "E0205",
    );
}

#[test]
fn long_chains() {
    let chain = |first: &str, next: &dyn Fn(usize) -> String| {
        let rest: String = (1..3_000).map(next).collect();
        alone(&format!("{HEAD} {first}{rest} }}"))
    };
    let typedefs = chain("typedef long t0;\n", &|i| {
        format!("typedef t{} t{i};\n", i - 1)
    });
    assert!(typedefs.is_ok());
    let backwards: String = (1..3_000)
        .map(|i| format!("typedef t{} t{i};\n", i + 1))
        .collect();
    assert!(alone(&format!("{HEAD} {backwards} typedef long t3000; }}")).is_err());
    let pointers = chain("typedef long t0;\n", &|i| {
        format!("typedef t{} *t{i};\n", i - 1)
    });
    let _ = pointers;
    let structs = chain("struct t0 { long x; };\n", &|i| {
        format!("struct t{i} {{ struct t{} x; }};\n", i - 1)
    });
    assert!(structs.is_ok());
    let circle = chain("struct t0 { struct t2999 x; };\n", &|i| {
        format!("struct t{i} {{ struct t{} x; }};\n", i - 1)
    });
    assert!(circle.is_err());
    let constants = chain("const long c0 = 1;\n", &|i| {
        format!("const long c{i} = c{} + 1;\n", i - 1)
    });
    assert!(constants.is_ok());
    let backwards: String = (1..3_000)
        .map(|i| format!("const long c{i} = c{};\n", i + 1))
        .collect();
    assert!(alone(&format!("{HEAD} {backwards} }}")).is_err());
    let counted: String = (0..30_000).map(|i| format!("v{i},")).collect();
    assert!(
        alone(&format!(
            "{HEAD} typedef [v1_enum] enum {{ {counted} }} e; }}"
        ))
        .is_ok()
    );
    let bases: String = (1..2_000)
        .map(|i| format!("interface i{i} : i{} {{ void f(); }};\n", i - 1))
        .collect();
    let _ = alone(&format!("interface i0 {{ void f(); }};\n{bases}"));
}

#[test]
fn giant_words_and_numbers() {
    refused(
        &format!("{HEAD} const long a = {}; }}", "9".repeat(1_000_000)),
        "E0204",
    );
    assert!(
        alone(&format!(
            "{HEAD} const long {} = 1; }}",
            "a".repeat(1_000_000)
        ))
        .is_ok()
    );
    refused(
        &format!("{HEAD} typedef {} x; }}", "a".repeat(1_000_000)),
        "E0302",
    );
    refused(&"é".repeat(1_000_000), "E0203");
    refused(&"\"".repeat(1_000_000), "E0201");
    refused(&"/*".repeat(1_000_000), "E0101");
    refused(&"@".repeat(1_000_000), "E0203");
    refused(
        &format!("{HEAD} typedef long x[0xffffffff][0xffffffff]; }}"),
        "E0401",
    );
}

#[test]
fn files_that_name_themselves() {
    assert!(compile("#include \"h.idl\"\n").is_err());
    let imports = format!("import \"h.idl\", \"i.idl\"; {HEAD} void f(); }}");
    let _ = compile(&imports);
}

#[test]
fn macros_that_grow() {
    let mut laughs = String::from("#define A0(x) x x\n");
    for i in 1..40 {
        laughs.push_str(&format!("#define A{i}(x) A{p}(x) A{p}(x)\n", p = i - 1));
    }
    assert!(alone(&format!("{laughs}A39(haha)\n")).is_err());
    assert!(alone(&format!("#define F(x) x\n{}", "F(".repeat(100_000))).is_err());
    assert!(alone(&format!("#define F(x) x\n{}", "F (a\n".repeat(100_000))).is_err());
}

#[test]
fn many_errors_are_cut_off() {
    let text = format!(
        "{HEAD} {}",
        "typedef struct { nothing a; 5; } s; const = ;\n".repeat(20_000)
    );
    assert!(alone(&text).unwrap_err().list.len() <= 100);
}

/// Words that lead somewhere in the grammar.
fn word() -> impl Strategy<Value = &'static str> {
    prop::sample::select(vec![
        "[uuid(12345778-1234-abcd-ef00-0123456789ab), version(1.0)]",
        "interface x {",
        "interface",
        "}",
        "};",
        "[object]",
        ": IUnknown {",
        "import \"h.idl\";",
        "import \"unknwn.idl\";",
        "library l {",
        "coclass c {",
        "dispinterface",
        "cpp_quote(\"x\")",
        "typedef",
        "struct",
        "struct s {",
        "union u {",
        "union switch (long t) {",
        "enum e {",
        "bitmap b {",
        "[bitmap8bit]",
        "case 1:",
        "default:",
        "[case(1)]",
        "[default]",
        "[switch_is(a)]",
        "[switch_type(short)]",
        "const long",
        "= 1;",
        "= a;",
        "a",
        "b",
        "s",
        "u",
        "*",
        "**",
        "(",
        ")",
        "[",
        "]",
        "[]",
        "[a]",
        "[3..5]",
        ";",
        ",",
        ":",
        "=",
        "?",
        "void",
        "long",
        "unsigned",
        "hyper",
        "char",
        "wchar_t",
        "handle_t",
        "uint32",
        "DATA_BLOB",
        "string",
        "IUnknown",
        "GUID",
        "VARIANT",
        "BSTR",
        "[in]",
        "[out]",
        "[in, out]",
        "[size_is(a)]",
        "[size_is(, a)]",
        "[length_is(a / 2)]",
        "[string]",
        "[unique]",
        "[ptr]",
        "[ref]",
        "[range(1, 2)]",
        "[context_handle]",
        "[transmit_as(long)]",
        "[represent_as(x)]",
        "[wire_marshal(a)]",
        "[iid_is(a)]",
        "[relative]",
        "[subcontext(4)]",
        "[flag(NDR_REMAINING)]",
        "[charset(UTF16)]",
        "[value(strlen_m(a))]",
        "pipe long",
        "SAFEARRAY(long)",
        "void f(",
        "long f([in] long a, [in, size_is(a)] long b[]);",
        "\n#define a",
        "\n#define F(x) x##x\n",
        "F(a)",
        "\n#if ",
        "\n#endif\n",
        "\n#include \"h.idl\"\n",
        "sizeof(a)",
        "1",
        "-1",
        "0xffffffffffffffff",
        "1.5",
        "'c'",
        "L\"x\"",
        "// x\n",
        "/* x */",
        "é",
        "\"",
        "\\\n",
    ])
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(150))]

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

    #[test]
    fn token_soup_in_an_interface(words in prop::collection::vec(word(), 0..40)) {
        let _ = compile(&format!("{HEAD} {} }}", words.join(" ")));
    }

}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(50))]

    /// One of our own files with a piece cut out or put elsewhere.
    #[test]
    fn damaged_file(from in 0_usize..4000, len in 0_usize..80, to in 0_usize..4000) {
        let text = include_str!("../../../idl/epmapper.idl");
        let floor = |at: usize| (0..=at.min(text.len())).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
        let (from, end) = (floor(from), floor(from + len));
        let piece = text[from..end.max(from)].to_owned();
        let mut damaged = text.to_owned();
        damaged.replace_range(from..end.max(from), "");
        let _ = compile(&damaged);
        let to = (0..=to.min(damaged.len())).rev().find(|at| damaged.is_char_boundary(*at)).unwrap_or(0);
        damaged.insert_str(to, &piece);
        let _ = compile(&damaged);
    }
}
