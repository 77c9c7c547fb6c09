//! Tests of the parser: where comments go, and what can be gone on after.

use std::path::Path;

use super::*;
use crate::preprocess::{Options, preprocess};
use crate::rpcl::ast::{Body, Specifier};

fn parsed(text: &str) -> (File, Vec<Diagnostic>) {
    let options = Options::default();
    parse(&preprocess(
        SourceMap::default(),
        Path::new("t.x"),
        text.to_owned(),
        &options,
    ))
}

fn clean(text: &str) -> File {
    let (file, diagnostics) = parsed(text);
    assert_eq!(diagnostics, [], "{text}");
    file
}

use crate::diag::SourceMap;

#[test]
fn comments_become_documentation() {
    let file = clean(
        "/* Not of it. */\n\n/* Of it,\n * two lines. */\n// And this.\nstruct s {\n\
         int a; /* behind a */\n/* before b */ int b; // behind b\n// before c\n\n int c;\n\
         int /* inside */ d;\n};\nconst N = 1; /* behind N */\nconst M = 2;\n",
    );
    let docs: Vec<_> = file.definitions.iter().map(|it| it.docs.as_str()).collect();
    assert_eq!(docs, ["Of it,\ntwo lines.\nAnd this.", "behind N", ""]);
    let Body::Type(Specifier::Struct(members)) = &file.definitions[0].body else {
        panic!("a struct");
    };
    let docs: Vec<_> = members.iter().map(|it| it.docs.as_str()).collect();
    assert_eq!(docs, ["behind a", "before b\nbehind b", "", ""]);
}

#[test]
fn comments_of_values_arms_and_procedures() {
    let file = clean(
        "enum e { /* of e */\n A = 1, /* one */\n B /* two */\n};\n\
         union u switch (int d) {\n/* arm */\ncase 1: int x; /* more */\ndefault: void;\n};\n\
         /* p */\nprogram P {\n/* v */\nversion V {\n/* f */ void F(/* x */ int a) = 1; /* g */\n\
         } = 1;\n} = 1;",
    );
    let Body::Type(Specifier::Enum(values)) = &file.definitions[0].body else {
        panic!("an enum");
    };
    let docs: Vec<_> = values.iter().map(|it| it.docs.as_str()).collect();
    assert_eq!(docs, ["one", "two"]);
    let Body::Type(Specifier::Union(body)) = &file.definitions[1].body else {
        panic!("a union");
    };
    assert_eq!(body.arms[0].docs, "arm\nmore");
    let program = &file.programs[0];
    let version = &program.versions[0];
    let procedure = &version.procedures[0];
    assert_eq!(
        [&program.docs, &version.docs, &procedure.docs],
        ["p", "v", "f\ng"]
    );
    assert_eq!(procedure.arguments[0].docs, "x");
}

#[test]
fn licences_are_no_documentation() {
    let file = clean("/* Copyright (c) nobody */\nconst A = 1;");
    assert_eq!(file.definitions[0].docs, "");
}

#[test]
fn goes_on_after_errors() {
    let (file, diagnostics) = parsed(
        "struct a { int; int ok; };\nconst = 3;\nenum e { X Y, Z };\nstruct b { int x; }\nstruct c { int y; };",
    );
    let names: Vec<_> = file
        .definitions
        .iter()
        .map(|it| it.name.text.as_str())
        .collect();
    assert_eq!(names, ["a", "e", "c"]);
    assert_eq!(diagnostics.len(), 4, "{diagnostics:#?}");
}

#[test]
fn numbers_have_three_bases() {
    assert_eq!(number("10"), Some((10, false)));
    assert_eq!(number("-10"), Some((-10, false)));
    assert_eq!(number("010"), Some((8, false)));
    assert_eq!(number("0XfF"), Some((255, true)));
    assert_eq!(number("-0x10"), Some((-16, true)));
    assert_eq!(number("0"), Some((0, false)));
    for wrong in ["08", "0x", "1u", "1_0", "-", "--1", "0x-1"] {
        assert_eq!(number(wrong), None, "{wrong}");
    }
}
