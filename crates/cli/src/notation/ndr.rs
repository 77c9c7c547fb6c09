//! Types and definitions of `.idl` files in their notation, and examples of their JSON.

use farcall_idl::Model;
use farcall_idl::model::ndr::{
    Base, BinaryOp, Constant, Conversion, EnumWidth, Expr, Extent, Field, Iid, Item, ItemId,
    ItemKind, Operation, Parameter, PointerClass, Root, Step, Switch, Type, UnaryOp, Union,
};
use serde_json::{Map, Value, json};

/// How deep an example goes into recursive types.
const DEEPEST: usize = 8;

/// A declaration that grows around a name.
struct Declared {
    attributes: Vec<String>,
    base: String,
    declarator: String,
}

impl Declared {
    fn with(self, attribute: impl Into<String>) -> Self {
        let mut attributes = self.attributes;
        attributes.push(attribute.into());
        Self { attributes, ..self }
    }
}

/// `[size_is(n)] long *name`.
pub(crate) fn declare(model: &Model, ty: &Type, name: &str, names: &[&str]) -> String {
    whole(Vec::new(), declared(model, ty, name.to_owned(), names))
}

fn whole(mut attributes: Vec<String>, it: Declared) -> String {
    attributes.extend(it.attributes);
    let text = format!("{} {}", it.base, it.declarator);
    match attributes.is_empty() {
        true => text.trim_end().to_owned(),
        false => format!("[{}] {}", attributes.join(", "), text.trim_end()),
    }
}

fn plain(base: impl Into<String>, declarator: String) -> Declared {
    Declared {
        attributes: Vec::new(),
        base: base.into(),
        declarator,
    }
}

fn declared(model: &Model, ty: &Type, name: String, names: &[&str]) -> Declared {
    match ty {
        Type::Void => plain("void", name),
        Type::Base(base) => plain(word(*base), name),
        Type::Range(inner, low, high) => {
            declared(model, inner, name, names).with(format!("range({low}, {high})"))
        }
        Type::Named(id) => plain(model.ndr().item(*id).name.as_str(), name),
        Type::Union(id, switch) => {
            let it = plain(model.ndr().item(*id).name.as_str(), name);
            match switch {
                Some(switch) => it.with(format!("switch_is({})", expression(switch, names))),
                None => it,
            }
        }
        Type::Pointer(it) => {
            let inner = declared(model, &it.pointee, format!("*{name}"), names);
            match it.class {
                PointerClass::Ref => inner,
                PointerClass::Unique => inner.with("unique"),
                PointerClass::Full => inner.with("ptr"),
                PointerClass::Relative => inner.with("relative"),
                PointerClass::RelativeShort => inner.with("relative_short"),
                PointerClass::Ignore => inner.with("ignore"),
            }
        }
        Type::Array(it) => {
            let mut declarator = name;
            let (mut sizes, mut lengths) = (Vec::new(), Vec::new());
            for dim in &it.dimensions {
                extent(&dim.extent, names, &mut declarator, &mut sizes);
                let length = dim.slice.as_ref().and_then(|it| it.length.as_ref());
                lengths.extend(length.map(|it| expression(it, names)));
            }
            let mut inner = declared(model, &it.element, declarator, names);
            if !sizes.is_empty() {
                inner = inner.with(format!("size_is({})", sizes.join(", ")));
            }
            if !lengths.is_empty() {
                inner = inner.with(format!("length_is({})", lengths.join(", ")));
            }
            inner
        }
        Type::String(it) => {
            let mut declarator = name;
            let mut sizes = Vec::new();
            extent(&it.extent, names, &mut declarator, &mut sizes);
            let wide = matches!(
                it.encoding,
                farcall_idl::model::ndr::Encoding::Utf16
                    | farcall_idl::model::ndr::Encoding::Utf16Munged
            );
            let base = if wide { "wchar_t" } else { "char" };
            let text = plain(base, declarator);
            let text = match sizes.is_empty() {
                true => text,
                false => text.with(format!("size_is({})", sizes.join(", "))),
            };
            if it.terminated {
                text.with("string")
            } else {
                text
            }
        }
        Type::Interface(iid) => match iid {
            Iid::Known(id) => plain(model.ndr().interface(*id).name.as_str(), name),
            Iid::Place(expr) => {
                plain("void", name).with(format!("iid_is({})", expression(expr, names)))
            }
            Iid::Unknown => plain("IUnknown", name),
        },
        Type::Pipe(inner) => {
            let inner = declared(model, inner, String::new(), names);
            plain(format!("pipe {}", inner.base), name)
        }
        Type::ContextHandle => plain("void", format!("*{name}")).with("context_handle"),
        Type::FlaggedString(_) => plain("string", name),
        Type::StringArray(_) => plain("string_array", name),
        Type::Blob(_) => plain("DATA_BLOB", name),
        Type::Subcontext(it) => declared(model, &it.inner, name, names).with("subcontext"),
        Type::Absent => plain("void", format!("*{name}")).with("skip"),
    }
}

fn extent(extent: &Extent, names: &[&str], declarator: &mut String, sizes: &mut Vec<String>) {
    match extent {
        Extent::Fixed(n) => declarator.push_str(&format!("[{n}]")),
        Extent::Conformant(size) => {
            declarator.push_str("[]");
            sizes.extend(size.as_ref().map(|it| expression(it, names)));
        }
        Extent::Computed(size) => declarator.push_str(&format!("[{}]", expression(size, names))),
        Extent::Remaining => declarator.push_str("[*]"),
    }
}

fn word(base: Base) -> &'static str {
    match base {
        Base::Boolean => "boolean",
        Base::Byte => "byte",
        Base::Char => "char",
        Base::WChar => "wchar_t",
        Base::Small => "small",
        Base::USmall => "unsigned small",
        Base::Short => "short",
        Base::UShort => "unsigned short",
        Base::Long => "long",
        Base::ULong => "unsigned long",
        Base::Hyper => "hyper",
        Base::UHyper => "unsigned hyper",
        Base::Float => "float",
        Base::Double => "double",
        Base::ErrorStatus => "error_status_t",
        Base::Int3264 => "__int3264",
        Base::UInt3264 => "unsigned __int3264",
        Base::UInt1632 => "uint1632",
        Base::DLong => "dlong",
        Base::UDLong => "udlong",
        Base::UDLongR => "udlongr",
        Base::Ipv4 => "ipv4address",
        Base::Ipv6 => "ipv6address",
        Base::Uuid => "GUID",
    }
}

/// An expression of an attribute; `names` are those of the fields or parameters around it.
fn expression(expr: &Expr, names: &[&str]) -> String {
    let inner = |it: &Expr| expression(it, names);
    match expr {
        Expr::Integer(value) => value.to_string(),
        Expr::Place(place) => {
            let (Root::Field(at) | Root::Parameter(at)) = place.root;
            let name = names.get(at).copied().unwrap_or("?").to_owned();
            place.steps.iter().fold(name, |text, step| match step {
                Step::Deref => format!("*{text}"),
                Step::Field(at) => format!("{text}.{at}"),
                Step::Index(index) => format!("{text}[{}]", inner(index)),
            })
        }
        Expr::Address(x) => format!("&{}", inner(x)),
        Expr::Unary(op, x) => {
            let op = match op {
                UnaryOp::Minus => "-",
                UnaryOp::Not => "~",
                UnaryOp::LogicalNot => "!",
            };
            format!("{op}{}", inner(x))
        }
        Expr::Binary(op, x, y) => format!("({} {} {})", inner(x), sign(*op), inner(y)),
        Expr::Conditional(c, x, y) => format!("({} ? {} : {})", inner(c), inner(x), inner(y)),
        Expr::Cast(base, x) => format!("({}){}", word(*base), inner(x)),
        Expr::SizeOf(_) => "sizeof(…)".to_owned(),
        Expr::Call(_, arguments) => {
            let arguments: Vec<String> = arguments.iter().map(inner).collect();
            format!("f({})", arguments.join(", "))
        }
        Expr::Opaque(text) => text.clone(),
    }
}

fn sign(op: BinaryOp) -> &'static str {
    use BinaryOp::*;
    match op {
        Multiply => "*",
        Divide => "/",
        Remainder => "%",
        Add => "+",
        Subtract => "-",
        ShiftLeft => "<<",
        ShiftRight => ">>",
        Less => "<",
        Greater => ">",
        LessEqual => "<=",
        GreaterEqual => ">=",
        Equal => "==",
        NotEqual => "!=",
        And => "&",
        Xor => "^",
        Or => "|",
        LogicalAnd => "&&",
        LogicalOr => "||",
    }
}

/// `long f([in] long a, [out] long *b)`.
pub(crate) fn signature(model: &Model, operation: &Operation) -> String {
    let names: Vec<&str> = operation.params.iter().map(|it| it.name.as_str()).collect();
    let one = |it: &Parameter| {
        let direction = match (it.is_in, it.is_out) {
            (true, true) => vec!["in".to_owned(), "out".to_owned()],
            (false, true) => vec!["out".to_owned()],
            _ => vec!["in".to_owned()],
        };
        whole(direction, declared(model, &it.ty, it.name.clone(), &names))
    };
    let params: Vec<String> = operation.params.iter().map(one).collect();
    let params = match params.is_empty() {
        true => "void".to_owned(),
        false => params.join(", "),
    };
    let result = declare(model, &operation.result, "", &[]);
    format!("{result} {}({params})", operation.name)
}

/// A whole definition, over several lines.
pub(crate) fn definition(model: &Model, item: &Item) -> String {
    let name = &item.name;
    match &item.kind {
        ItemKind::Const { value, .. } => format!("const {name} = {};", constant(value)),
        ItemKind::Enum(it) => {
            let values = it
                .values
                .iter()
                .map(|v| format!("    {} = {}", v.name, v.value));
            let values: Vec<String> = values.collect();
            let width = match it.width {
                EnumWidth::Bits8 => "[enum8bit] ",
                EnumWidth::Bits16 => "[enum16bit] ",
                EnumWidth::Default => "",
                EnumWidth::Bits32 => "[v1_enum] ",
            };
            format!("typedef {width}enum {{\n{}\n}} {name};", values.join(",\n"))
        }
        ItemKind::Bitmap(it) => {
            let bits = it
                .bits
                .iter()
                .map(|v| format!("    {} = {:#x}", v.name, v.value));
            let bits: Vec<String> = bits.collect();
            format!(
                "typedef [bitmap{}bit] bitmap {{\n{}\n}} {name};",
                it.width,
                bits.join(",\n")
            )
        }
        ItemKind::Struct(it) => {
            let names: Vec<&str> = it.fields.iter().map(|it| it.name.as_str()).collect();
            let field = |field: &Field| {
                format!("    {};\n", declare(model, &field.ty, &field.name, &names))
            };
            let fields: String = it.fields.iter().map(field).collect();
            format!("typedef struct {{\n{fields}}} {name};")
        }
        ItemKind::Union(it) => union_definition(model, name, it),
        ItemKind::Typedef(it) => {
            let it = match &it.conversion {
                None => declared(model, &it.ty, name.clone(), &[]),
                Some(conversion) => {
                    declared(model, &it.ty, name.clone(), &[]).with(match conversion {
                        Conversion::TransmitAs { .. } => "transmit_as",
                        Conversion::RepresentAs { .. } => "represent_as",
                        Conversion::WireMarshal { .. } => "wire_marshal",
                        Conversion::UserMarshal { .. } => "user_marshal",
                        Conversion::CsChar { .. } => "cs_char",
                    })
                }
            };
            format!("typedef {};", whole(Vec::new(), it))
        }
        ItemKind::ContextHandle(_) => format!("typedef [context_handle] void *{name};"),
        ItemKind::Pipe(inner) => format!("typedef pipe {} {name};", declare(model, inner, "", &[])),
    }
}

fn union_definition(model: &Model, name: &str, it: &Union) -> String {
    let arms: String = it
        .arms
        .iter()
        .map(|arm| {
            let cases: Vec<String> = arm
                .cases
                .iter()
                .map(|case| case.name.clone().unwrap_or_else(|| case.value.to_string()))
                .collect();
            let label = match (arm.default, cases.is_empty()) {
                (true, true) => "default".to_owned(),
                (true, false) => format!("case({}), default", cases.join(", ")),
                (false, _) => format!("case({})", cases.join(", ")),
            };
            let held = arm.field.as_ref().map_or(String::new(), |field| {
                format!(" {}", declare(model, &field.ty, &field.name, &[]))
            });
            format!("    [{label}]{held};\n")
        })
        .collect();
    match &it.switch {
        Switch::Encapsulated { tag, ty, member } => {
            let tag = declare(model, ty, tag, &[]);
            format!("typedef union switch ({tag}) {member} {{\n{arms}}} {name};")
        }
        Switch::Separate { ty } => {
            let ty = declare(model, ty, "", &[]);
            format!("typedef [switch_type({ty})] union {{\n{arms}}} {name};")
        }
        Switch::Outside { .. } => format!("typedef [nodiscriminant] union {{\n{arms}}} {name};"),
    }
}

fn constant(value: &Constant) -> String {
    match value {
        Constant::Integer(value) => value.to_string(),
        Constant::Float(value) => value.to_string(),
        Constant::String(text) => format!("{text:?}"),
        Constant::WideString(text) => format!("L{text:?}"),
        Constant::Null => "NULL".to_owned(),
        Constant::Uuid(uuid) => uuid.to_string(),
    }
}

/// The items that types name, directly or through others, each once, as a reader meets them.
pub(crate) fn items_of(model: &Model, types: &[&Type]) -> Vec<ItemId> {
    let mut found = Vec::new();
    for ty in types {
        collect(model, ty, &mut found);
    }
    found
}

fn collect(model: &Model, ty: &Type, found: &mut Vec<ItemId>) {
    match ty {
        Type::Array(it) => collect(model, &it.element, found),
        Type::Pointer(it) => collect(model, &it.pointee, found),
        Type::Range(inner, ..) | Type::Pipe(inner) => collect(model, inner, found),
        Type::Subcontext(it) => collect(model, &it.inner, found),
        Type::Named(id) | Type::Union(id, _) => {
            if found.contains(id) {
                return;
            }
            found.push(*id);
            match &model.ndr().item(*id).kind {
                ItemKind::Struct(it) => {
                    it.fields
                        .iter()
                        .for_each(|field| collect(model, &field.ty, found));
                }
                ItemKind::Union(it) => {
                    if let Switch::Encapsulated { ty, .. } | Switch::Separate { ty } = &it.switch {
                        collect(model, ty, found);
                    }
                    let fields = it.arms.iter().filter_map(|arm| arm.field.as_ref());
                    fields.for_each(|field| collect(model, &field.ty, found));
                }
                ItemKind::Typedef(it) => collect(model, &it.ty, found),
                ItemKind::Pipe(inner) => collect(model, inner, found),
                _ => {}
            }
        }
        _ => {}
    }
}

/// The arguments of an operation as JSON, to be changed by whoever makes a call.
pub(crate) fn example_arguments(model: &Model, operation: &Operation) -> Value {
    let going = operation.params.iter().filter(|it| it.is_in);
    let one = |it: &Parameter| (it.name.clone(), example_at(model, &it.ty, 0));
    Value::Object(going.map(one).collect())
}

/// A value of the type as JSON.
pub(crate) fn example(model: &Model, ty: &Type) -> Value {
    example_at(model, ty, 0)
}

fn example_at(model: &Model, ty: &Type, depth: usize) -> Value {
    let next = depth + 1;
    match ty {
        _ if depth > DEEPEST => Value::Null,
        Type::Void | Type::Absent | Type::ContextHandle => Value::Null,
        Type::Base(Base::Boolean) => json!(false),
        Type::Base(Base::Float | Base::Double) => json!(0.0),
        Type::Base(Base::Uuid) => json!("00000000-0000-0000-0000-000000000000"),
        Type::Base(Base::Ipv4) => json!("0.0.0.0"),
        Type::Base(Base::Ipv6) => json!("::"),
        Type::Base(base) if base.size64() == 8 => json!("0"),
        Type::Base(_) => json!(0),
        Type::Range(_, low, high) => json!((*low).max(0).min(*high) as i64),
        Type::Named(id) | Type::Union(id, _) => example_item(model, *id, next),
        Type::Pointer(it) => match it.class {
            PointerClass::Ref => example_at(model, &it.pointee, next),
            _ => Value::Null,
        },
        Type::Array(it) => match model.ndr().on_wire(&it.element) {
            Type::Base(Base::Byte | Base::Char | Base::USmall) => match it.dimensions.as_slice() {
                [dim] => match dim.extent {
                    Extent::Fixed(n) => json!({ "$hex": "00".repeat(n.min(64) as usize) }),
                    _ => json!({ "$hex": "" }),
                },
                _ => Value::Array(Vec::new()),
            },
            Type::Base(Base::WChar) => json!(""),
            element => match it.dimensions.as_slice() {
                [dim] => match dim.extent {
                    Extent::Fixed(n) => {
                        vec![example_at(model, element, next); n.min(16) as usize].into()
                    }
                    _ => vec![example_at(model, &it.element, next)].into(),
                },
                _ => Value::Array(Vec::new()),
            },
        },
        Type::String(_) | Type::FlaggedString(_) => json!(""),
        Type::Interface(_) | Type::Blob(_) => json!({ "$hex": "" }),
        Type::Pipe(inner) => vec![example_at(model, inner, next)].into(),
        Type::StringArray(_) => Value::Array(Vec::new()),
        Type::Subcontext(it) if it.compression.is_some() => json!({ "$hex": "" }),
        Type::Subcontext(it) => example_at(model, &it.inner, next),
    }
}

fn example_item(model: &Model, id: ItemId, depth: usize) -> Value {
    match &model.ndr().item(id).kind {
        ItemKind::Enum(it) => it
            .values
            .first()
            .map_or(json!(0), |value| json!(value.name)),
        ItemKind::Bitmap(_) => json!(0),
        ItemKind::Struct(it) => {
            let fields = it.fields.iter().filter(|field| !field.skip);
            let one = |field: &Field| (field.name.clone(), example_at(model, &field.ty, depth));
            Value::Object(fields.map(one).collect())
        }
        ItemKind::Union(it) => example_union(model, it, depth),
        ItemKind::Typedef(it) => example_at(model, &it.ty, depth),
        ItemKind::ContextHandle(_) | ItemKind::Const { .. } => Value::Null,
        ItemKind::Pipe(inner) => vec![example_at(model, inner, depth)].into(),
    }
}

/// The first arm that has a case.
fn example_union(model: &Model, it: &Union, depth: usize) -> Value {
    let arm = it.arms.iter().find(|arm| !arm.cases.is_empty());
    let Some((arm, case)) = arm.and_then(|arm| Some((arm, arm.cases.first()?))) else {
        return json!(0);
    };
    let name = match &it.switch {
        Switch::Encapsulated { tag, .. } => tag.as_str(),
        _ => "DISCRIMINANT",
    };
    let tag = case
        .name
        .clone()
        .map_or(json!(case.value), |name| json!(name));
    let mut object = Map::new();
    object.insert(name.to_owned(), tag);
    if let Some(field) = &arm.field {
        object.insert(field.name.clone(), example_at(model, &field.ty, depth));
    }
    Value::Object(object)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn model() -> Model {
        let text =
            "[uuid(12345778-1234-abcd-ef00-0123456789ab), pointer_default(unique)] interface x {
            typedef enum { A = 1 } e;
            typedef struct { long n; [size_is(n * 2), unique] short *a; [string] wchar_t *s; } s;
            typedef union switch (long t) { case 1: e e; } u;
            long f([in] s *s, [out] u **u); }";
        farcall_idl::parse_str("t.idl", text, &Default::default())
            .unwrap()
            .0
    }

    #[test]
    fn definitions_are_written_as_they_are_read() {
        let model = model();
        let defs = model.ndr();
        let text = |name| definition(&model, defs.item(defs.lookup(name).unwrap()));
        assert_eq!(text("e"), "typedef enum {\n    A = 1\n} e;");
        assert_eq!(
            text("s"),
            "typedef struct {\n    long n;\n    [size_is((n * 2)), unique] short *a[];\n    [string, unique] wchar_t *s[];\n} s;"
        );
        let (_, interface) = defs.interfaces().find(|(_, it)| it.name == "x").unwrap();
        assert_eq!(
            signature(&model, &interface.operations[0]),
            "long f([in] s *s, [out, unique] u **u)"
        );
    }

    #[test]
    fn examples_have_the_form_of_their_types() {
        let model = model();
        let of = |name| example(&model, &Type::Named(model.ndr().lookup(name).unwrap()));
        assert_eq!(of("s"), json!({"n": 0, "a": null, "s": null}));
        assert_eq!(of("u"), json!({"t": 1, "e": "A"}));
    }
}
