//! Tests of what files come to mean. What is refused, and in which words, is in `tests/bad`.

use crate::model::{ItemKind, Model, Struct, Type, Union};
use crate::preprocess::Options;

fn model(text: &str) -> Model {
    match crate::rpcl::parse_str("t.x", text, &Options::default()) {
        Ok((model, warnings)) => {
            assert_eq!(warnings, [], "{text}");
            model
        }
        Err(errors) => panic!("{errors}"),
    }
}

fn struct_of<'m>(model: &'m Model, name: &str) -> &'m Struct {
    match &model.item(model.lookup(name).unwrap()).kind {
        ItemKind::Struct(it) => it,
        other => panic!("{name} is {other:?}"),
    }
}

fn union_of<'m>(model: &'m Model, name: &str) -> &'m Union {
    match &model.item(model.lookup(name).unwrap()).kind {
        ItemKind::Union(it) => it,
        other => panic!("{name} is {other:?}"),
    }
}

fn typedef_of<'m>(model: &'m Model, name: &str) -> &'m Type {
    match &model.item(model.lookup(name).unwrap()).kind {
        ItemKind::Typedef(it) => it,
        other => panic!("{name} is {other:?}"),
    }
}

/// The types of the members of a struct with these members.
fn types(members: &str) -> Vec<Type> {
    let model = model(&format!("struct s {{ {members} }};"));
    struct_of(&model, "s")
        .fields
        .iter()
        .map(|field| field.ty.clone())
        .collect()
}

#[test]
fn basic_types() {
    use Type::{Bool, Double, Float, Hyper, Int, Quadruple, UHyper, UInt};
    let small = |bits, signed| Type::Small { bits, signed };
    let found = types(
        "int a; unsigned int b; unsigned c; hyper d; unsigned hyper e; float f; double g; \
         quadruple h; bool i; long j; unsigned long k; long long l; unsigned long long m; \
         char n; unsigned char o; short p; unsigned short q; long int r; unsigned short int t;",
    );
    let expected = [
        Int,
        UInt,
        UInt,
        Hyper,
        UHyper,
        Float,
        Double,
        Quadruple,
        Bool,
        Int,
        UInt,
        Hyper,
        UHyper,
        small(8, true),
        small(8, false),
        small(16, true),
        small(16, false),
        Int,
        small(16, false),
    ];
    assert_eq!(found, expected);
}

#[test]
fn names_from_c() {
    use Type::{Bool, Hyper, Int, UHyper, UInt};
    let found = types("bool_t a; u_int b; uint64_t c; int32_t d; quad_t e; u_long f; u_char g;");
    let char = Type::Small {
        bits: 8,
        signed: false,
    };
    assert_eq!(found, [Bool, UInt, UHyper, Int, Hyper, UInt, char]);
    // The file's own definition goes first.
    let model = model("typedef hyper u_int; struct s { u_int x; };");
    assert_eq!(
        struct_of(&model, "s").fields[0].ty,
        Type::Named(model.lookup("u_int").unwrap())
    );
}

// req: rpcl-rpcgen-stock
#[test]
fn what_files_of_nfs_take_from_the_headers_of_rpc() {
    let model = model(
        "union who switch (unsigned int flavor) { case AUTH_SYS: authsys_parms sys; case RPCSEC_GSS: opaque_auth gss; \
         case AUTH_NONE: void; };",
    );
    let found = union_of(&model, "who");
    let cases: Vec<_> = found.arms.iter().map(|arm| arm.cases[0].value).collect();
    assert_eq!(cases, [1, 6, 0]);
    assert_eq!(struct_of(&model, "authsys_parms").fields.len(), 5);
    // What the file says itself goes first.
    let model = self::model("enum flavor { AUTH_SYS = 9 }; const X = AUTH_SYS;");
    assert!(matches!(
        model.item(model.lookup("X").unwrap()).kind,
        ItemKind::Const(9)
    ));
}

#[test]
fn what_is_said_twice_in_the_same_way_is_said_once() {
    let said = |text: &str| match crate::rpcl::parse_str("t.x", text, &Options::default()) {
        Ok((_, warnings)) => warnings.iter().map(|it| it.code).collect::<Vec<_>>(),
        Err(errors) => errors.list.iter().map(|it| it.code).collect(),
    };
    let twice = |a: &str, b: &str| said(&format!("const N = 8; struct s {{ int x; }}; {a} {b}"));
    for same in [
        "typedef opaque handle<N>;",
        "typedef string name<>;",
        "typedef s *link;",
        "typedef unsigned int id;",
        "typedef int four[4];",
        "const M = 0x10;",
        "const M = N;",
    ] {
        assert_eq!(twice(same, same), ["W0308"], "{same}");
    }
    assert_eq!(twice("const M = 16;", "const M = 0x10;"), ["W0308"]);
    for (a, b) in [
        ("typedef opaque handle<N>;", "typedef opaque handle<8>;"),
        ("typedef opaque handle<8>;", "typedef opaque handle[8];"),
        ("typedef string name<>;", "typedef string name<9>;"),
        ("typedef int id;", "typedef unsigned int id;"),
        ("const M = 1;", "const M = 2;"),
        ("typedef int M;", "const M = 2;"),
        ("struct t { int x; };", "struct t { int x; };"),
    ] {
        assert_eq!(twice(a, b), ["E0301"], "{a} {b}");
    }
}

#[test]
fn shapes() {
    let boxed = || Box::new(Type::Int);
    let found = types(
        "int *a; int b[3]; int c<>; int d<4>; opaque e[5]; opaque f<>; opaque g<6>; string h<>; \
         string i<7>; string *j;",
    );
    let expected = [
        Type::Optional(boxed()),
        Type::Array(boxed(), 3),
        Type::Vec(boxed(), None),
        Type::Vec(boxed(), Some(4)),
        Type::OpaqueFixed(5),
        Type::OpaqueVar(None),
        Type::OpaqueVar(Some(6)),
        Type::String(None),
        Type::String(Some(7)),
        Type::Optional(Box::new(Type::String(None))),
    ];
    assert_eq!(found, expected);
}

#[test]
fn constants_stand_for_numbers_before_and_after() {
    let model = model(
        "#define D 2\nenum e { A = LATER, B, C = -1, Z = B };\n%#define PASSED 9\n\
         const LATER = 0x10;\nconst OCTAL = 017;\nstruct s { int a<B>; int b<LATER>; int c[D]; \
         int d<PASSED>; int e<FUN>; };\nunion u switch (int i) { case LATER: void; case C: int x; };\n\
         program P { version V { void FUN(void) = D; } = LATER; } = 0xffffffff;"
            .replace(", Z = B", "")
            .as_str(),
    );
    let ItemKind::Enum(it) = &model.item(model.lookup("e").unwrap()).kind else {
        panic!("an enum");
    };
    let values: Vec<i32> = it.values.iter().map(|it| it.value).collect();
    assert_eq!(values, [16, 17, -1]);
    let bounds: Vec<Type> = struct_of(&model, "s")
        .fields
        .iter()
        .map(|field| field.ty.clone())
        .collect();
    let vec = |n| Type::Vec(Box::new(Type::Int), Some(n));
    assert_eq!(
        bounds,
        [
            vec(17),
            vec(16),
            Type::Array(Box::new(Type::Int), 2),
            vec(9),
            vec(2)
        ]
    );
    let cases: Vec<_> = union_of(&model, "u")
        .arms
        .iter()
        .map(|it| it.cases[0].clone())
        .collect();
    assert_eq!(
        (cases[0].value, cases[0].name.as_deref()),
        (16, Some("LATER"))
    );
    assert_eq!((cases[1].value, cases[1].name.as_deref()), (-1, Some("C")));
    assert_eq!(
        model.item(model.lookup("D").unwrap()).kind,
        ItemKind::Const(2)
    );
    assert_eq!(
        model.item(model.lookup("OCTAL").unwrap()).kind,
        ItemKind::Const(15)
    );
    assert_eq!(model.lookup("PASSED"), None);
    assert_eq!(model.programs()[0].number, u32::MAX);
}

#[test]
fn cases_have_their_values_names() {
    let model = model(
        "enum e { A = 1, B = 2 };\ntypedef e alias;\n\
         union u switch (alias d) { case 1: int a; case B: void; };\n\
         union v switch (bool d) { case 1: int a; case FALSE: void; };",
    );
    let names = |name: &str| {
        let arms = union_of(&model, name).arms.iter();
        arms.map(|arm| arm.cases[0].name.clone().unwrap())
            .collect::<Vec<_>>()
    };
    assert_eq!(names("u"), ["A", "B"]);
    assert_eq!(names("v"), ["TRUE", "FALSE"]);
}

#[test]
fn list_nodes() {
    let model = model(
        "struct a { int x; a *next; };\nstruct b { int x; blist next; };\ntypedef b *blist;\n\
         typedef c alias;\nstruct c { int x; alias *next; };\nstruct d { d *left; int x; d *right; };\n\
         struct e { e *next; int x; };\n\
         struct s { a one; a *many; blist other; alias third; alias *fourth; a five<3>; };\n\
         program P { version V { a F(b, blist) = 1; } = 1; } = 1;",
    );
    let id = |name: &str| model.lookup(name).unwrap();
    for node in ["a", "b", "c", "d"] {
        assert!(model.is_list_node(id(node)), "{node}");
        assert_eq!(struct_of(&model, node).fields.last().unwrap().name, "x");
    }
    assert_eq!(struct_of(&model, "d").link.as_deref(), Some("right"));
    assert_eq!(struct_of(&model, "d").fields[0].ty, Type::List(id("d")));
    assert!(!model.is_list_node(id("e")));
    assert_eq!(typedef_of(&model, "blist"), &Type::List(id("b")));
    let members: Vec<Type> = struct_of(&model, "s")
        .fields
        .iter()
        .map(|field| field.ty.clone())
        .collect();
    let expected = [
        Type::Chain(id("a")),
        Type::List(id("a")),
        Type::Named(id("blist")),
        Type::Named(id("alias")),
        Type::List(id("c")),
        Type::Vec(Box::new(Type::Chain(id("a"))), Some(3)),
    ];
    assert_eq!(members, expected);
    let procedure = &model.programs()[0].versions[0].procedures[0];
    assert_eq!(procedure.result, Type::Chain(id("a")));
    assert_eq!(procedure.args[0].ty, Type::Chain(id("b")));
    let recursive: Vec<&str> = model
        .items()
        .filter(|(id, _)| model.is_recursive(*id))
        .map(|(_, item)| item.name.as_str())
        .collect();
    assert_eq!(recursive, ["d", "e"]);
    assert_eq!(model.min_len(&Type::Chain(id("a"))), 8);
    assert_eq!(model.min_len(&Type::Named(id("s"))), 8 + 4 + 4 + 8 + 4 + 4);
}

#[test]
fn nested_types_get_names() {
    let model = model(
        "struct s {\n\
           struct { int x; } point;\n\
           union switch (enum { A, B } kind) { case A: struct { int y; } deep; case B: void; } u;\n\
           enum color { RED } c;\n\
         };\n\
         const s_point = 1;\n\
         typedef struct { int x; } direct;\n\
         typedef struct { int x; } many<>;\n\
         typedef struct tag { int x; } tagged;\n\
         typedef struct tag tag;\n\
         program P { version V { struct { int r; } F(enum { X } a, struct { int z; }) = 1; } = 1; } = 1;",
    );
    let names: Vec<&str> = model.items().map(|(_, item)| item.name.as_str()).collect();
    let expected = [
        "s",
        "s_point_",
        "s_u",
        "s_u_kind",
        "s_u_deep",
        "color",
        "s_point",
        "direct",
        "many",
        "many_item",
        "tagged",
        "tag",
        "F_result",
        "F_a",
        "F_arg",
    ];
    assert_eq!(names, expected);
    let id = |name: &str| model.lookup(name).unwrap();
    assert_eq!(
        struct_of(&model, "s").fields[0].ty,
        Type::Named(id("s_point_"))
    );
    assert_eq!(
        union_of(&model, "s_u").discriminant.ty,
        Type::Named(id("s_u_kind"))
    );
    assert_eq!(struct_of(&model, "direct").fields[0].name, "x");
    assert_eq!(typedef_of(&model, "tagged"), &Type::Named(id("tag")));
}

#[test]
fn programs() {
    let model = model(
        "/* All of it. */\nprogram P {\n\
           version TWO { int B(string, unsigned b, opaque<9>) = 7; string A(void) = 3; } = 2;\n\
           version ONE { void NULL(void) = 0; } = 1;\n\
         } = 0x20000001;\nprogram Q { version ONE { int *F() = 1; } = 1; } = 2;",
    );
    let [p, q] = model.programs() else {
        panic!("two programs")
    };
    assert_eq!(
        (p.docs.as_str(), p.number, q.number),
        ("All of it.", 0x2000_0001, 2)
    );
    assert_eq!((p.versions[0].number, p.versions[1].number), (1, 2));
    let [a, b] = p.versions[1].procedures.as_slice() else {
        panic!("two procedures")
    };
    assert_eq!(
        (a.number, &a.result, a.args.len()),
        (3, &Type::String(None), 0)
    );
    let args: Vec<_> = b
        .args
        .iter()
        .map(|it| (it.name.as_deref(), it.ty.clone()))
        .collect();
    let expected = [
        (None, Type::String(None)),
        (Some("b"), Type::UInt),
        (None, Type::OpaqueVar(Some(9))),
    ];
    assert_eq!(args, expected);
    assert_eq!(
        q.versions[0].procedures[0].result,
        Type::Optional(Box::new(Type::Int))
    );
}

#[test]
fn pragmas() {
    let model = model(
        "program P { version V {\n\
           /* Reads. @idempotent, and\n * @blocking\n * more. */\n\
           void A(void) = 1;\n\
           void B(void) = 2; // @idempotent\n\
           /* mail@example.org, @param */\n\
           void C(void) = 3;\n\
         } = 1; } = 1;",
    );
    let procedures = &model.programs()[0].versions[0].procedures;
    let found: Vec<_> = procedures
        .iter()
        .map(|it| {
            (
                it.docs.as_str(),
                it.properties.idempotent,
                it.properties.blocking,
            )
        })
        .collect();
    let expected = [
        ("Reads. and\nmore.", true, true),
        ("", true, false),
        ("mail@example.org, @param", false, false),
    ];
    assert_eq!(found, expected);
}

#[test]
fn lengths() {
    let model = model(
        "enum e { A = 1, B = 2 };\nstruct s { int a; hyper b; opaque c[5]; e d[3]; };\n\
         union same switch (e d) { case A: hyper x; case B: double y; };\n\
         union void_too switch (e d) { case A: hyper x; case B: void; };\n\
         union only_void switch (e d) { case A: case B: void; };\n\
         struct open { s a; string b<>; void_too c; };",
    );
    let len = |name: &str| {
        let ty = Type::Named(model.lookup(name).unwrap());
        (model.fixed_len(&ty), model.min_len(&ty))
    };
    assert_eq!(len("s"), (Some(4 + 8 + 8 + 12), 32));
    assert_eq!(len("same"), (Some(12), 12));
    assert_eq!(len("void_too"), (None, 4));
    assert_eq!(len("only_void"), (Some(4), 4));
    assert_eq!(len("open"), (None, 32 + 4 + 4));
}
