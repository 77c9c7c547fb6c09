//! What definitions of each dialect mean.

use std::collections::BTreeMap;
use std::path::PathBuf;

use crate::diag::Diagnostic;
use crate::model::Model;
use crate::model::ndr::*;
use crate::preprocess::{Files, Options};

const INTERFACE: &str = "[uuid(12345778-1234-abcd-ef00-0123456789ab), version(1.0), pointer_default(unique)] interface x {";

fn files(files: &[(&str, &str)]) -> Options {
    let files = files
        .iter()
        .map(|(path, text)| (PathBuf::from(path), (*text).to_owned()));
    Options {
        files: Files::Memory(files.collect::<BTreeMap<_, _>>()),
        ..Options::default()
    }
}

fn compiled(text: &str, options: &Options) -> (Model, Vec<Diagnostic>) {
    crate::midl::parse_str("t.idl", text, options).unwrap_or_else(|errors| panic!("{errors}"))
}

fn clean(text: &str) -> Model {
    let (model, warnings) = compiled(text, &files(&[]));
    assert_eq!(warnings, [], "{text}");
    model
}

fn codes(text: &str) -> Vec<&'static str> {
    match crate::midl::parse_str("t.idl", text, &files(&[])) {
        Ok((_, warnings)) => warnings.iter().map(|it| it.code).collect(),
        Err(errors) => errors.list.iter().map(|it| it.code).collect(),
    }
}

fn fields(model: &Model, name: &str) -> Vec<Field> {
    let id = model
        .ndr()
        .lookup(name)
        .unwrap_or_else(|| panic!("no {name}"));
    match &model.ndr().item(id).kind {
        ItemKind::Struct(it) => it.fields.clone(),
        other => panic!("{other:?}"),
    }
}

fn operations(model: &Model) -> Vec<Operation> {
    let own = model.ndr().interfaces().filter(|(_, it)| !it.imported);
    own.last().unwrap().1.operations.clone()
}

fn place(index: usize) -> Expr {
    Expr::Place(Place {
        root: Root::Field(index),
        steps: Vec::new(),
    })
}

fn pointer(ty: &Type) -> &Pointer {
    match ty {
        Type::Pointer(it) => it,
        other => panic!("{other:?}"),
    }
}

fn array(ty: &Type) -> &Array {
    match ty {
        Type::Array(it) => it,
        other => panic!("{other:?}"),
    }
}

const HEAD: &str = "[uuid(12345778-1234-abcd-ef00-0123456789ab), version(1.2), pointer_default(unique), endpoint(\"ncacn_np:[\\\\pipe\\\\x]\")] interface x {";

#[test]
fn an_interface_says_who_it_is() {
    let model = clean(&format!("{HEAD} void f([in] long a); }}"));
    let (_, it) = model
        .ndr()
        .interfaces()
        .find(|(_, it)| it.name == "x")
        .unwrap();
    assert_eq!(
        it.uuid.unwrap().to_string(),
        "12345778-1234-abcd-ef00-0123456789ab"
    );
    assert_eq!(it.version, (1, 2));
    assert_eq!(it.endpoints, ["ncacn_np:[\\pipe\\x]"]);
}

#[test]
fn sizes_belong_to_levels_from_the_outside_to_the_inside() {
    let model = clean(&format!(
        "{HEAD} typedef struct {{ long n; [size_is(n)] long *a; [size_is(, n)] long **b;
           [size_is(n), length_is(n / 2)] long c[]; }} s; }}"
    ));
    let fields = fields(&model, "s");
    let a = pointer(&fields[1].ty);
    assert_eq!(a.class, PointerClass::Unique);
    assert_eq!(
        array(&a.pointee).dimensions[0].extent,
        Extent::Conformant(Some(place(0)))
    );
    let b = pointer(&pointer(&fields[2].ty).pointee);
    assert_eq!(
        array(&b.pointee).dimensions[0].extent,
        Extent::Conformant(Some(place(0)))
    );
    let half = Expr::Binary(
        BinaryOp::Divide,
        Box::new(place(0)),
        Box::new(Expr::Integer(2)),
    );
    let slice = array(&fields[3].ty).dimensions[0].slice.clone().unwrap();
    assert_eq!(slice.length, Some(half));
}

#[test]
fn bounds_count_from_zero() {
    let model = clean(&format!(
        "{HEAD} typedef struct {{ long n; long m; [max_is(n), first_is(m), last_is(n)] long *a; long b[3..7]; }} s; }}"
    ));
    let fields = fields(&model, "s");
    let a = &array(&pointer(&fields[2].ty).pointee).dimensions[0];
    let size = Expr::Binary(
        BinaryOp::Add,
        Box::new(place(0)),
        Box::new(Expr::Integer(1)),
    );
    assert_eq!(a.extent, Extent::Conformant(Some(size.clone())));
    let length = Expr::Binary(BinaryOp::Subtract, Box::new(size), Box::new(place(1)));
    assert_eq!(a.slice.clone().unwrap().length, Some(length));
    let b = &array(&fields[3].ty).dimensions[0];
    assert_eq!((b.extent.clone(), b.lower), (Extent::Fixed(5), 3));
}

#[test]
fn pointers_are_what_their_place_says() {
    let model = clean(
        "[uuid(12345778-1234-abcd-ef00-0123456789ab), pointer_default(ptr)] interface x {
           typedef [unique] long *U; typedef long *P;
           typedef struct { P p; U u; [ref] long *r; long **q; } s;
           void f([in] long *a, [in, unique] long *b, [in] P c, [in] U d, [out] s **e);
         }",
    );
    let class = |ty: &Type| pointer(ty).class;
    let fields = fields(&model, "s");
    let found: Vec<_> = fields.iter().map(|it| class(&it.ty)).collect();
    use PointerClass::*;
    assert_eq!(found, [Full, Unique, Ref, Full]);
    let params = &operations(&model)[0].params;
    let found: Vec<_> = params.iter().map(|it| class(&it.ty)).collect();
    assert_eq!(found, [Ref, Unique, Ref, Unique, Ref]);
    assert_eq!(class(&pointer(&params[4].ty).pointee), Full);
}

#[test]
fn strings_are_found_through_typedefs() {
    let model = clean(&format!(
        "{HEAD} typedef [string] wchar_t *W; typedef struct {{ W a; [string] char b[20]; [string] char c[4][8];
           [string] unsigned short *d; [string, size_is(9)] char *e; }} s; }}"
    ));
    let fields = fields(&model, "s");
    let text = |ty: &Type| match ty {
        Type::String(it) => (**it).clone(),
        other => panic!("{other:?}"),
    };
    let a = text(&pointer(&fields[0].ty).pointee);
    assert_eq!(
        (a.encoding, a.extent, a.terminated),
        (Encoding::Utf16, Extent::Conformant(None), true)
    );
    assert_eq!(text(&fields[1].ty).extent, Extent::Fixed(20));
    let c = array(&fields[2].ty);
    assert_eq!(c.dimensions[0].extent, Extent::Fixed(4));
    assert_eq!(text(&c.element).extent, Extent::Fixed(8));
    assert_eq!(
        text(&pointer(&fields[3].ty).pointee).encoding,
        Encoding::Utf16
    );
    let e = text(&pointer(&fields[4].ty).pointee);
    assert_eq!(e.extent, Extent::Conformant(Some(Expr::Integer(9))));
}

#[test]
fn unions_know_their_discriminants() {
    let model = clean(&format!(
        "{HEAD} typedef enum {{ RED = 1, BLUE }} colour;
         typedef union switch (colour c) u {{ case RED: case BLUE: long a; default: ; }} e;
         typedef [switch_type(short)] union {{ [case(1, 2)] long a; [default] ; }} n;
         typedef union {{ [case(1)] hyper a; }} open;
         typedef struct {{ unsigned short t; [switch_is(t)] open o; [switch_is(t)] n *p; }} s; }}"
    ));
    let union = |name: &str| match &model.ndr().item(model.ndr().lookup(name).unwrap()).kind {
        ItemKind::Union(it) => it.clone(),
        other => panic!("{other:?}"),
    };
    let e = union("e");
    assert!(
        matches!(&e.switch, Switch::Encapsulated { tag, member, .. } if tag == "c" && member == "u")
    );
    assert_eq!(e.arms[0].cases[1].name.as_deref(), Some("BLUE"));
    assert!(e.arms[1].default && e.arms[1].field.is_none());
    assert_eq!(
        union("n").switch,
        Switch::Separate {
            ty: Type::Base(Base::Short)
        }
    );
    assert_eq!(
        union("open").switch,
        Switch::Separate {
            ty: Type::Base(Base::UShort)
        }
    );
    let fields = fields(&model, "s");
    let Type::Union(_, Some(switch)) = &pointer(&fields[2].ty).pointee else {
        panic!("{:?}", fields[2].ty);
    };
    assert_eq!(**switch, place(0));
}

#[test]
fn handles_are_found() {
    let model = clean(&format!(
        "{HEAD} typedef [context_handle] void *H; typedef [handle] wchar_t *N;
         void a([in] handle_t b, [in] long x); void c([in] H h); void d([out] H *h);
         void e([in, string, unique] N n); void f([in, context_handle] void *h); }}"
    ));
    let found: Vec<_> = operations(&model).into_iter().map(|it| it.handle).collect();
    assert_eq!(
        found,
        [
            Handle::Explicit("b".into()),
            Handle::Context(0),
            Handle::Auto,
            Handle::Custom(0),
            Handle::Context(0),
        ]
    );
    let params = operations(&model)[0].params.clone();
    assert_eq!(params.len(), 1);
    assert_eq!(operations(&model)[4].params[0].ty, Type::ContextHandle);
}

#[test]
fn a_configuration_file_is_read_along() {
    let acf = "[implicit_handle(handle_t h), encode] interface x { include \"y\";
        typedef [represent_as(mine)] t; [comm_status, fault_status] f([in_line] a); [idempotent] g(); }";
    let idl = format!("{HEAD} typedef long t; error_status_t f([in] t a); void g(void); }}");
    let (model, warnings) = compiled(&idl, &files(&[("t.acf", acf)]));
    assert_eq!(warnings, []);
    let operations = operations(&model);
    assert!(operations[0].comm_status && operations[0].fault_status && operations[0].encode);
    assert_eq!(operations[1].handle, Handle::Implicit("h".into()));
    let id = model.ndr().lookup("t").unwrap();
    let ItemKind::Typedef(it) = &model.ndr().item(id).kind else {
        panic!("no typedef");
    };
    assert_eq!(
        it.conversion,
        Some(Conversion::RepresentAs {
            local: "mine".into()
        })
    );
    assert_eq!(operations[0].params[0].ty, pointer_free(id));
}

fn pointer_free(id: ItemId) -> Type {
    Type::Named(id)
}

#[test]
fn methods_of_objects_are_numbered_behind_those_of_their_base() {
    let (model, _) = compiled(
        "import \"oaidl.idl\";
         [object, uuid(12345778-1234-abcd-ef00-0123456789ab), dual] interface I : IDispatch {
            [propget, id(1)] HRESULT Count([out, retval] long *p);
            [local] HRESULT Next([in] void *p); [call_as(Next)] HRESULT RemoteNext([in] long n);
            HRESULT Get([in] REFIID riid, [out, iid_is(riid)] void **p, [in] IUnknown *u, [in] VARIANT v, [in] SAFEARRAY(BSTR) a);
         }",
        &files(&[]),
    );
    let operations = operations(&model);
    let found: Vec<_> = operations
        .iter()
        .map(|it| (it.opnum, it.name.as_str()))
        .collect();
    assert_eq!(found, [(7, "get_Count"), (8, "RemoteNext"), (9, "Get")]);
    let params = &operations[2].params;
    let object = pointer(&pointer(&params[1].ty).pointee);
    assert_eq!(object.class, PointerClass::Unique);
    assert!(matches!(object.pointee, Type::Interface(Iid::Place(_))));
    assert_eq!(pointer(&params[2].ty).class, PointerClass::Unique);
}

#[test]
fn a_guid_is_a_uuid() {
    let model = clean(&format!(
        "{HEAD} typedef struct {{ unsigned long a; unsigned short b; unsigned short c; byte d[8]; }} GUID;
         void f([in] GUID *g); }}"
    ));
    let params = &operations(&model)[0].params;
    let pointee = model.ndr().resolve(&pointer(&params[0].ty).pointee).clone();
    assert_eq!(pointee, Type::Base(Base::Uuid));
}

#[test]
fn pidl_is_understood() {
    let model = clean(
        "[uuid(12345778-1234-abcd-ef00-0123456789ab), version(1.0)] interface p {
           typedef [public,bitmap16bit] bitmap { A = 1, B = 2 } bits;
           typedef [enum8bit] enum { X = 1 } small_enum;
           typedef [flag(NDR_NOALIGN)] struct {
             [value(2*strlen_m(s))] uint16 len;
             [charset(UTF16), size_is(len/2), length_is(len/2)] uint16 *s;
             [relative] bits *r; uint8 inline_[len]; [subcontext(4)] small_enum e;
             [flag(STR_ASCII|STR_NULLTERM)] string t; [flag(NDR_REMAINING)] DATA_BLOB rest;
           } s;
           NTSTATUS f([in,ref] s *a, [out,string,charset(UTF16)] uint16 **b);
           [todo] void g();
         }",
    );
    let fields = fields(&model, "s");
    assert!(matches!(fields[0].value, Some(Expr::Binary(..))));
    assert!(
        matches!(&pointer(&fields[1].ty).pointee, Type::String(it) if !it.terminated && it.slice.is_some())
    );
    assert_eq!(pointer(&fields[2].ty).class, PointerClass::Relative);
    assert!(matches!(
        array(&fields[3].ty).dimensions[0].extent,
        Extent::Computed(_)
    ));
    assert!(matches!(&fields[4].ty, Type::Subcontext(it) if it.header == SubcontextHeader::Long));
    assert!(
        matches!(&fields[5].ty, Type::FlaggedString(it) if it.counts == StringCounts::None && it.terminated)
    );
    assert_eq!(fields[6].ty, Type::Blob(Blob::Remaining));
    let operations = operations(&model);
    assert!(operations[1].unknown);
    assert_eq!(operations[0].result, Type::Base(Base::ErrorStatus));
}

#[test]
fn identical_definitions_are_one() {
    let twice =
        "typedef struct _A { DWORD a; } A, *PA; typedef enum { X = 1 } E; const long C = 5;";
    let text = format!(
        "import \"wtypes.idl\"; {HEAD} {twice} {twice} typedef unsigned long DWORD; void f([in] PA a); }}"
    );
    assert_eq!(codes(&text), ["W0501"]);
    let differs = format!(
        "{HEAD} typedef struct {{ long a; }} A; typedef struct {{ short a; }} A; void f([in] A a); }}"
    );
    assert_eq!(codes(&differs), ["E0301"]);
}

#[test]
fn imported_definitions_are_known_but_not_ours() {
    let other = "interface o { typedef long T; typedef struct { T t; } unused; const long N = 4; }";
    let text = format!("import \"o.idl\"; {HEAD} void f([in] T t, [in] long a[N]); }}");
    let (model, warnings) = compiled(&text, &files(&[("o.idl", other)]));
    assert_eq!(warnings, []);
    let used = |name: &str| {
        let item = model.ndr().item(model.ndr().lookup(name).unwrap());
        (item.used, item.imported)
    };
    assert_eq!(used("T"), (true, true));
    assert_eq!(used("unused"), (false, true));
}

#[test]
fn what_cannot_be_on_the_wire_matters_where_it_is_needed() {
    let unused = format!(
        "{HEAD} typedef void *HANDLE; typedef struct {{ HANDLE h; }} s; void f([in] long x); }}"
    );
    assert_eq!(codes(&unused), [] as [&str; 0]);
    let used = format!("{HEAD} typedef struct {{ void *h; }} s; void f([in] s *x); }}");
    assert_eq!(codes(&used), ["E0410"]);
    let function = format!("{HEAD} void f([in] void (*g)(long)); }}");
    assert_eq!(codes(&function), ["E0410"]);
}

#[test]
fn a_range_beside_a_size_is_of_the_number_of_elements() {
    let model = clean(&format!(
        "{HEAD} void f([in, range(0, 9)] long n, [in, range(1, 5), size_is(n ? n : 0)] long *a, [in, range(0, 7), string] char *s); }}"
    ));
    let params = &operations(&model)[0].params;
    assert!(matches!(&params[0].ty, Type::Range(inner, 0, 9) if matches!(**inner, Type::Base(_))));
    let behind = |ty: &Type| pointer(ty).pointee.clone();
    assert!(
        matches!(behind(&params[1].ty), Type::Range(inner, 1, 5) if matches!(*inner, Type::Array(_)))
    );
    assert!(
        matches!(behind(&params[2].ty), Type::Range(inner, 0, 7) if matches!(*inner, Type::String(_)))
    );
}

#[test]
fn arrays_and_results_have_pointer_attributes_too() {
    let model = clean(&format!(
        "{HEAD} [string, unique] char *f([in] long n, [in, unique, size_is(n)] long a[], [in, size_is(n)] long b[],
           [in, min_is(n)] long c[*..9]); }}"
    ));
    let operations = operations(&model);
    assert!(matches!(
        &pointer(&operations[0].result).pointee,
        Type::String(_)
    ));
    let params = &operations[0].params;
    assert_eq!(pointer(&params[1].ty).class, PointerClass::Unique);
    assert!(matches!(&params[2].ty, Type::Array(_)));
    assert!(matches!(
        &array(&params[3].ty).dimensions[0].extent,
        Extent::Conformant(Some(Expr::Binary(..)))
    ));
}

#[test]
fn macros_have_parameters() {
    let text = format!(
        "#define ARRAY(type, n) type n##_list[COUNT(n)]\n#define COUNT(x) 4\n#define TEXT(x) #x\n
         {HEAD} typedef struct {{ ARRAY(long, a); }} s; const char *T = TEXT(hi); }}"
    );
    let model = clean(&text);
    let fields = fields(&model, "s");
    assert_eq!(fields[0].name, "a_list");
    let id = model.ndr().lookup("T").unwrap();
    assert!(
        matches!(&model.ndr().item(id).kind, ItemKind::Const { value: Constant::String(text), .. } if text == "hi")
    );
}

#[test]
fn members_without_a_name_get_one() {
    let model = clean(&format!(
        "{HEAD} typedef struct {{ long kind; struct {{ long n; [size_is(n)] long *a; }};
           [switch_is(kind)] union {{ [case(1)] struct {{ long x; }}; [case(2)] struct {{ short y; }}; [default]; }}; }} s;
           void f([in] s *a); }}"
    ));
    let fields = fields(&model, "s");
    let names: Vec<&str> = fields.iter().map(|it| it.name.as_str()).collect();
    assert_eq!(names, ["kind", "unnamed", "unnamed2"]);
    let Type::Union(id, Some(_)) = &fields[2].ty else {
        panic!("{:?}", fields[2].ty)
    };
    let ItemKind::Union(union) = &model.ndr().item(*id).kind else {
        panic!("no union")
    };
    let arms = union.arms.iter().filter_map(|arm| arm.field.as_ref());
    let arms: Vec<&str> = arms.map(|it| it.name.as_str()).collect();
    assert_eq!(arms, ["unnamed", "unnamed2"]);
}

#[test]
fn what_only_c_has_is_refused_where_it_is_needed() {
    let types =
        "typedef struct { unsigned long a : 1; unsigned long : 7; unsigned long b : 24; } bits;
        typedef union { long a; short b; } choice; typedef int print(const char *format, ...);
        extern const GUID SOME_ID; static const long K = -26;";
    assert_eq!(
        codes(&format!("{HEAD} {types} void f([in] long a); }}")),
        [] as [&str; 0]
    );
    let bits = codes(&format!("{HEAD} {types} void f([in] bits *a); }}"));
    assert_eq!(bits, ["E0206"]);
    let choice = codes(&format!("{HEAD} {types} void f([in] choice *a); }}"));
    assert_eq!(choice, ["E0414"]);
    let print = codes(&format!("{HEAD} {types} void f([in] print *a); }}"));
    assert_eq!(print, ["E0410"]);
}

#[test]
fn values_that_an_enum_cannot_send_are_warned_of() {
    let text = format!(
        "{HEAD} typedef enum {{ A, B = 0x7fffffff }} e; typedef [v1_enum] enum {{ C = 0x7fffffff }} w; void f([in] e a, [in] w b); }}"
    );
    let (model, warnings) = compiled(&text, &files(&[]));
    let codes: Vec<&str> = warnings.iter().map(|it| it.code).collect();
    assert_eq!(codes, ["W0416"]);
    let values = |name: &str| match &model.ndr().item(model.ndr().lookup(name).unwrap()).kind {
        ItemKind::Enum(it) => it.values.len(),
        other => panic!("{other:?}"),
    };
    assert_eq!((values("e"), values("w")), (1, 1));
}

#[test]
fn casts_and_numbers_of_c_are_understood() {
    let model = clean(&format!(
        "{HEAD} int const HIGH = 0x80000000; const double RATIO = 1.0 / 4; const void *NOBODY = (void *) -1; typedef long COUNT;
           void f([in] long *n, [in, size_is((COUNT)*n)] long *a); }}"
    ));
    let value = |name: &str| match &model.ndr().item(model.ndr().lookup(name).unwrap()).kind {
        ItemKind::Const { value, .. } => value.clone(),
        other => panic!("{other:?}"),
    };
    assert_eq!(value("RATIO"), Constant::Float(0.25));
    assert_eq!(value("NOBODY"), Constant::Integer(-1));
    let params = operations(&model)[0].params.clone();
    let size = &array(&pointer(&params[1].ty).pointee).dimensions[0].extent;
    assert!(matches!(
        size,
        Extent::Conformant(Some(Expr::Cast(Base::Long, _)))
    ));
}

#[test]
fn macros_may_leave_holes_in_lists_of_attributes() {
    let model = clean(
        "#define threading(x)\n[threading(both), uuid(12345778-1234-abcd-ef00-0123456789ab), threading(both)] interface x { void f([in] long a); }",
    );
    assert_eq!(operations(&model).len(), 1);
}

#[test]
fn a_file_may_define_a_well_known_type_in_its_own_way() {
    let text = "import \"oaidl.idl\"; [uuid(12345778-1234-abcd-ef00-0123456789ab)] interface x {
        typedef struct { long x; } SAFEARRAYUNION; void f([in] SAFEARRAYUNION *a); }";
    assert_eq!(codes(text), ["W0501"]);
}

#[test]
fn namespaces_are_refused_once() {
    let text = "namespace A { interface B : C { HRESULT f(); } } [uuid(12345778-1234-abcd-ef00-0123456789ab)] interface x { void f(); }";
    assert_eq!(codes(text), ["E0207"]);
}

#[test]
fn a_name_in_front_of_a_sign_is_a_cast_if_it_is_a_type() {
    let text = format!(
        "import \"basetsd.h\"; {HEAD} const void *NOBODY = (void *) ((INT_PTR) -1); const DWORD ALL = (DWORD) -1;
        typedef short small_t; const long LOW = (small_t) -1 + 3; const long N = 5; const long M = (N) -1; void f([in] WINBOOL on); }}"
    );
    let (model, _) = compiled(&text, &Options::default());
    let value = |name: &str| match &model.ndr().item(model.ndr().lookup(name).unwrap()).kind {
        ItemKind::Const {
            value: Constant::Integer(value),
            ..
        } => *value,
        other => panic!("{name} is {other:?}"),
    };
    assert_eq!(
        ["NOBODY", "ALL", "LOW", "M"].map(value),
        [-1, 0xffff_ffff, 2, 4]
    );
}

#[test]
fn headers_of_c_are_not_read_for_types_that_everybody_knows() {
    let header = "#include <crtdefs.h>\nint main(void);\ntypedef unsigned long *PDWORD;\n";
    let text = format!("import \"basetsd.h\"; {HEAD} void f([in] DWORD_PTR a); }}");
    let (_, warnings) = compiled(&text, &files(&[("basetsd.h", header)]));
    assert_eq!(warnings, []);
}

#[test]
fn what_has_no_effect_or_no_code_is_said() {
    let text = "[uuid(12345778-1234-abcd-ef00-0123456789ab)] interface x {
        typedef [public, flag(NDR_NOALIGN|NDR_RELATIVE_REVERSE)] struct { [relative] uint32 *a; [flag(NDR_FROBNICATE)] uint32 b; } s;
        [callback] void notify([in] uint32 a); void f([in] s *a); }";
    assert_eq!(codes(text), ["W0418", "W0413", "W0419"]);
    let old = format!("{HEAD} void f([in] long n, [in, size_is(n), v1_array] long a[]); }}");
    assert_eq!(codes(&old), ["E0412"]);
}

#[test]
fn types_of_inherited_operations_are_needed_too() {
    let base = "[object, uuid(12345778-1234-abcd-ef00-0123456789ac)] interface IBase : IUnknown {
        typedef struct { long a; } inherited; typedef struct { long b; } idle; HRESULT f([in] inherited *a); }";
    let text = "import \"base.idl\", \"wtypes.h\"; [object, uuid(12345778-1234-abcd-ef00-0123456789ab)] interface IOwn : IBase { HRESULT g(); }";
    let (model, _) = compiled(text, &files(&[("base.idl", base)]));
    let used = |name: &str| model.ndr().item(model.ndr().lookup(name).unwrap()).used;
    assert!(used("inherited") && !used("idle"));
}

#[test]
fn elements_of_an_array_have_no_counts_of_their_own() {
    let room = |field: &str| {
        codes(&format!(
            "{HEAD} typedef struct {{ long n; [size_is(n)] char t[]; }} open; typedef struct {{ long n; long m; {field} }} s; void f([in] s *a); }}"
        ))
    };
    assert_eq!(room("[string, size_is(n, m)] char a[][];"), ["E0411"]);
    assert_eq!(room("[size_is(n)] open *a;"), ["E0411"]);
    assert_eq!(room("[string, size_is(n,)] char a[][8];"), [] as [&str; 0]);
    assert_eq!(room("[size_is(n), string] wchar_t **a;"), [] as [&str; 0]);
    assert_eq!(
        codes(&format!(
            "{HEAD} typedef struct {{ long n; [size_is(n)] char t[]; }} open; void f([in] long n, [in, size_is(n)] open a[]); }}"
        )),
        ["E0411"]
    );
}

#[test]
fn what_a_local_function_has_is_nobodys_concern() {
    clean(&format!(
        "{INTERFACE} [local] void *f(int a, ...); void g([in] long a); }}"
    ));
    assert_eq!(
        codes(&format!("{INTERFACE} void f([in] long a, ...); }}")),
        ["E0410"]
    );
}

#[test]
fn how_calls_with_a_context_handle_run_says_that_it_is_one() {
    let text = "typedef [context_handle_noserialize] void *h; void f([in] h a);";
    let model = clean(&format!("{INTERFACE} {text} }}"));
    let id = model.ndr().lookup("h").unwrap();
    let ItemKind::ContextHandle(handle) = &model.ndr().item(id).kind else {
        panic!("no context handle");
    };
    assert!(handle.no_serialize);
}

#[test]
fn an_expression_that_is_left_out_at_the_end_is_none() {
    clean(&format!(
        "{INTERFACE} void f([in] long n, [in, size_is(n, )] long *a); }}"
    ));
}

#[test]
fn what_a_program_sees_of_a_converted_type_need_not_be_on_the_wire() {
    let text = "typedef [transmit_as(long)] struct { void *p; } t; void f([in] t a);";
    let model = clean(&format!("{INTERFACE} {text} }}"));
    let operation = &operations(&model)[0];
    assert_eq!(
        model.ndr().on_wire(&operation.params[0].ty),
        &Type::Base(Base::Long)
    );
}

#[test]
fn what_an_imported_file_leaves_out_matters_to_those_who_need_it() {
    let options = files(&[(
        "o.idl",
        "typedef struct { nowhere a; } s; typedef long fine;",
    )]);
    let parsed = |text: &str| {
        let text = format!("import \"o.idl\"; {INTERFACE} {text} }}");
        crate::midl::parse_str("t.idl", &text, &options)
    };
    assert!(parsed("void f([in] fine a);").is_ok());
    let errors = parsed("void f([in] s *a);").unwrap_err();
    assert_eq!(errors.list[0].message, "type `nowhere` is undefined");
}

#[test]
fn a_file_may_be_there_for_what_it_imports() {
    let options = files(&[("o.idl", "typedef long fine;")]);
    let (model, warnings) = compiled("import \"o.idl\"; cpp_quote(\"x\")", &options);
    assert!(model.ndr().is_blank());
    assert_eq!(warnings[0].code, "W0506");
}
