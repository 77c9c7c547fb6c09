//! What the grammar reads, and where it goes on after an error.

use super::*;
use crate::diag::SourceMap;
use crate::midl::ast::{Declaration, ExprKind, Find as _, Modifier, Specifier, Statement};

fn parsed(text: &str) -> (File, Vec<Diagnostic>) {
    let mut sources = SourceMap::default();
    let id = sources.add("t.idl", text);
    let mut source = Preprocessed::verbatim(id, text);
    source.sources = sources;
    parse(&source)
}

fn clean(text: &str) -> File {
    let (file, errors) = parsed(text);
    assert_eq!(errors, [], "{text}");
    file
}

fn typedef(text: &str) -> Declaration {
    match clean(text).statements.pop() {
        Some(Statement::Typedef(it)) => it,
        other => panic!("{other:?}"),
    }
}

#[test]
fn declarators_are_read_from_the_inside_to_the_outside() {
    let shape = |text: &str| -> String {
        let it = typedef(text);
        let modifiers = it.declarators[0].modifiers.iter();
        let shape = modifiers.map(|it| match it {
            Modifier::Pointer => 'p',
            Modifier::Array(_) => 'a',
            Modifier::Function => 'f',
        });
        shape.collect()
    };
    assert_eq!(shape("typedef long *x[3];"), "ap");
    assert_eq!(shape("typedef long (*x)[3];"), "pa");
    assert_eq!(shape("typedef long *(*x)[3][4];"), "paap");
    assert_eq!(shape("typedef long (*x)(long, char);"), "pf");
    assert_eq!(shape("typedef const wchar_t * const x;"), "p");
}

#[test]
fn integers_have_many_names() {
    for (text, expected) in [
        ("unsigned long int", "ULong"),
        ("long unsigned", "ULong"),
        ("unsigned", "ULong"),
        ("long long", "Hyper"),
        ("unsigned __int3264", "UInt3264"),
        ("unsigned char", "USmall"),
        ("signed char", "Small"),
        ("short int", "Short"),
        ("hyper int", "Hyper"),
        ("unsigned __int64", "UHyper"),
    ] {
        let it = typedef(&format!("typedef {text} x;"));
        let found = format!("{:?}", it.specifier);
        assert!(
            found.contains(&format!("Scalar({expected})")),
            "{text}: {found}"
        );
        assert_eq!(it.declarators[0].name.as_ref().unwrap().text, "x");
    }
}

#[test]
fn keywords_may_be_names_of_fields() {
    let it =
        typedef("typedef struct { long version; byte pipe; [unique] long *string; long in; } x;");
    let Specifier::Struct(it) = it.specifier else {
        panic!("no struct");
    };
    assert_eq!(it.body.unwrap().len(), 4);
}

#[test]
fn slots_of_attributes_may_be_empty() {
    let it = typedef(
        "typedef [size_is(, *n + 1), uuid(8A885D04-1CEB-11C9-9FE8-08002B104860)] long **x;",
    );
    let slots = &it.attributes.find("size_is").unwrap().arguments;
    assert!(slots[0].is_none());
    assert!(matches!(
        slots[1].as_ref().unwrap().kind,
        ExprKind::Binary(..)
    ));
    let uuid = it.attributes.find("uuid").unwrap();
    assert_eq!(uuid.raw, "8A885D04-1CEB-11C9-9FE8-08002B104860");
}

#[test]
fn what_has_no_place_on_the_wire_is_passed_over() {
    let file = clean(
        "import \"unknwn.idl\", \"b.idl\"; importlib(\"stdole.tlb\");
         midl_pragma warning(disable: 2279)
         cpp_quote(\"#define A \\\"x\\\"\")
         [uuid(00000000-0000-0000-0000-000000000001)] library L {
             coclass C { [default] interface I; };
             dispinterface D { properties: methods: [id(1)] void f(); };
             module M { const long X = 1; };
             interface I { void f([in] long a); }
         };
         interface I;",
    );
    let kinds: Vec<&str> = file
        .statements
        .iter()
        .map(|it| match it {
            Statement::Import(_) => "import",
            Statement::Quote(text, _) => {
                assert_eq!(text, "#define A \"x\"");
                "quote"
            }
            Statement::Interface(_) => "interface",
            _ => "other",
        })
        .collect();
    let expected = [
        "import",
        "import",
        "quote",
        "interface",
        "interface",
        "interface",
    ];
    assert_eq!(kinds, expected);
}

#[test]
fn one_run_reports_all_errors() {
    let (file, errors) = parsed(
        "interface a { long f([in] long x; void g(); typedef struct { long x } y; void h(); }
         interface b { void i(long 5); void j(); }",
    );
    assert_eq!(errors.len(), 3, "{errors:?}");
    assert_eq!(file.statements.len(), 2);
}

#[test]
fn casts_are_told_from_parentheses() {
    let kind = |text: &str| {
        let file = clean(&format!("const long x = {text};"));
        match file.statements.into_iter().next() {
            Some(Statement::Const(it)) => it.value.kind,
            other => panic!("{other:?}"),
        }
    };
    assert!(matches!(kind("(unsigned long) 1"), ExprKind::Cast(..)));
    assert!(matches!(kind("(DWORD) X"), ExprKind::Cast(..)));
    assert!(matches!(kind("(uint32_t)-1L"), ExprKind::Cast(..)));
    assert!(matches!(kind("(X) + 1"), ExprKind::Binary(..)));
    assert!(matches!(kind("(X)"), ExprKind::Name(_)));
    assert!(matches!(kind("a ? b : c"), ExprKind::Conditional(..)));
    assert!(matches!(kind("'a'"), ExprKind::Integer(97)));
    assert!(matches!(kind("L\"x\" \"y\""), ExprKind::WideText(text) if text == "xy"));
}
