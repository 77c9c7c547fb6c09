//! Types and definitions in the notation of interface files, and examples of their JSON.

pub(crate) mod ndr;

use farcall_idl::model::{Arg, Arm, Enum, Field, Item, Procedure, Struct, Union};
use farcall_idl::{ItemId, ItemKind, Model, Type};
use serde_json::{Map, Value, json};

/// A type alone, as it stands in an argument or a result: `string<1024>`, `double<>`, `node *`.
pub(crate) fn type_name(model: &Model, ty: &Type) -> String {
    declare(model, ty, "").trim_end().to_owned()
}

/// A declaration: `opaque data<8>`.
pub(crate) fn declare(model: &Model, ty: &Type, name: &str) -> String {
    let bound = |max: &Option<u32>| max.map_or(String::new(), |max| max.to_string());
    let item = |id: &ItemId| model.item(*id).name.as_str();
    match ty {
        Type::OpaqueFixed(n) => format!("opaque {name}[{n}]"),
        Type::OpaqueVar(max) => format!("opaque {name}<{}>", bound(max)),
        Type::String(max) => format!("string {name}<{}>", bound(max)),
        Type::Array(of, n) => format!("{} {name}[{n}]", type_name(model, of)),
        Type::Vec(of, max) => format!("{} {name}<{}>", type_name(model, of), bound(max)),
        Type::Optional(of) => format!("{} *{name}", type_name(model, of)),
        Type::List(id) => format!("{} *{name}", item(id)),
        Type::Named(id) | Type::Chain(id) => format!("{} {name}", item(id)),
        simple => format!("{} {name}", word(simple)),
    }
}

fn word(ty: &Type) -> &'static str {
    match ty {
        Type::Int => "int",
        Type::UInt => "unsigned int",
        Type::Hyper => "hyper",
        Type::UHyper => "unsigned hyper",
        Type::Float => "float",
        Type::Double => "double",
        Type::Quadruple => "quadruple",
        Type::Bool => "bool",
        Type::Small {
            bits: 8,
            signed: true,
        } => "char",
        Type::Small { bits: 8, .. } => "unsigned char",
        Type::Small { signed: true, .. } => "short",
        Type::Small { .. } => "unsigned short",
        _ => "void",
    }
}

/// `int ADD(int a, int b)`.
pub(crate) fn signature(model: &Model, procedure: &Procedure) -> String {
    let result = type_name(model, &procedure.result);
    let one = |arg: &Arg| {
        declare(model, &arg.ty, arg.name.as_deref().unwrap_or_default())
            .trim_end()
            .to_owned()
    };
    let args: Vec<String> = procedure.args.iter().map(one).collect();
    let args = match args.is_empty() {
        true => "void".to_owned(),
        false => args.join(", "),
    };
    format!("{result} {}({args})", procedure.name)
}

/// A whole definition, over several lines.
pub(crate) fn definition(model: &Model, item: &Item) -> String {
    match &item.kind {
        ItemKind::Const(value) => format!("const {} = {value};", item.name),
        ItemKind::Typedef(ty) => format!("typedef {};", declare(model, ty, &item.name)),
        ItemKind::Enum(it) => enum_definition(&item.name, it),
        ItemKind::Struct(it) => struct_definition(model, &item.name, it),
        ItemKind::Union(it) => union_definition(model, &item.name, it),
    }
}

fn enum_definition(name: &str, it: &Enum) -> String {
    let values: Vec<String> = it
        .values
        .iter()
        .map(|v| format!("    {} = {}", v.name, v.value))
        .collect();
    format!("enum {name} {{\n{}\n}};", values.join(",\n"))
}

fn struct_definition(model: &Model, name: &str, it: &Struct) -> String {
    let member = |field: &Field| format!("    {};\n", declare(model, &field.ty, &field.name));
    let mut members: String = it.fields.iter().map(member).collect();
    if let Some(link) = &it.link {
        members.push_str(&format!("    {name} *{link};\n"));
    }
    format!("struct {name} {{\n{members}}};")
}

fn union_definition(model: &Model, name: &str, it: &Union) -> String {
    let discriminant = declare(model, &it.discriminant.ty, &it.discriminant.name);
    let arms: String = it
        .arms
        .iter()
        .chain(&it.default)
        .map(|arm| arm_definition(model, arm))
        .collect();
    format!("union {name} switch ({discriminant}) {{\n{arms}}};")
}

fn arm_definition(model: &Model, arm: &Arm) -> String {
    let mut text = String::new();
    for case in &arm.cases {
        let value = case.name.clone().unwrap_or_else(|| case.value.to_string());
        text.push_str(&format!("case {value}:\n"));
    }
    if arm.cases.is_empty() {
        text.push_str("default:\n");
    }
    let carried = arm.field.as_ref().map_or("void".to_owned(), |field| {
        declare(model, &field.ty, &field.name)
    });
    text.push_str(&format!("    {carried};\n"));
    text
}

/// The items that a type names, directly or through others, each once, in the order in which a
/// reader meets them.
pub(crate) fn items_of(model: &Model, types: &[&Type]) -> Vec<ItemId> {
    let mut found = Vec::new();
    for ty in types {
        collect(model, ty, &mut found);
    }
    found
}

fn collect(model: &Model, ty: &Type, found: &mut Vec<ItemId>) {
    match ty {
        Type::Array(of, _) | Type::Vec(of, _) | Type::Optional(of) => collect(model, of, found),
        Type::Named(id) | Type::List(id) | Type::Chain(id) => {
            if found.contains(id) {
                return;
            }
            found.push(*id);
            for next in model.references(*id) {
                collect(model, &Type::Named(next), found);
            }
        }
        _ => {}
    }
}

/// The arguments of a procedure as JSON, to be changed by whoever makes a call: the value itself if
/// there is one, an object if there are several with names, else an array.
pub(crate) fn example_arguments(model: &Model, procedure: &Procedure) -> Value {
    let mut values = procedure.args.iter().map(|arg| example(model, &arg.ty));
    if procedure.args.len() <= 1 {
        return values.next().unwrap_or(Value::Null);
    }
    let names: Option<Vec<String>> = procedure.args.iter().map(|arg| arg.name.clone()).collect();
    match names {
        Some(names) => Value::Object(names.into_iter().zip(values).collect()),
        None => Value::Array(values.collect()),
    }
}

/// How deep an example goes into recursive types.
const DEEPEST: usize = 8;

/// A value of the type as JSON, to be changed by whoever makes a call.
pub(crate) fn example(model: &Model, ty: &Type) -> Value {
    example_at(model, ty, 0)
}

fn example_at(model: &Model, ty: &Type, depth: usize) -> Value {
    let next = depth + 1;
    match ty {
        _ if depth > DEEPEST => Value::Null,
        Type::Void | Type::Optional(_) => Value::Null,
        Type::Int | Type::UInt | Type::Small { .. } => json!(0),
        Type::Hyper | Type::UHyper => json!("0"),
        Type::Float | Type::Double => json!(0.0),
        Type::Quadruple => json!(format!("0x{}", "0".repeat(32))),
        Type::Bool => json!(false),
        Type::OpaqueFixed(n) => json!({ "$hex": "00".repeat((*n).min(64) as usize) }),
        Type::OpaqueVar(_) => json!({ "$hex": "" }),
        Type::String(_) => json!(""),
        Type::Array(of, n) => vec![example_at(model, of, next); (*n).min(16) as usize].into(),
        Type::Vec(of, _) => vec![example_at(model, of, next)].into(),
        Type::List(id) | Type::Chain(id) => vec![example_item(model, *id, next)].into(),
        Type::Named(id) => example_item(model, *id, next),
    }
}

fn example_item(model: &Model, id: ItemId, depth: usize) -> Value {
    match &model.item(id).kind {
        ItemKind::Const(value) => json!(value.to_string()),
        ItemKind::Typedef(ty) => example_at(model, ty, depth),
        ItemKind::Enum(it) => it
            .values
            .first()
            .map_or(Value::Null, |value| json!(value.name)),
        ItemKind::Struct(it) => {
            let member = |field: &Field| (field.name.clone(), example_at(model, &field.ty, depth));
            Value::Object(it.fields.iter().map(member).collect())
        }
        ItemKind::Union(it) => example_union(model, it, depth),
    }
}

/// The first arm.
fn example_union(model: &Model, it: &Union, depth: usize) -> Value {
    let Some(arm) = it.arms.first() else {
        return Value::Null;
    };
    let tag = arm.cases.first().map_or(Value::Null, |case| {
        match model.resolve(&it.discriminant.ty) {
            Type::Bool => json!(case.value != 0),
            Type::Named(_) => json!(case.name),
            _ => json!(case.value),
        }
    });
    let mut object = Map::new();
    object.insert(it.discriminant.name.clone(), tag);
    if let Some(field) = &arm.field {
        let name = match field.name == it.discriminant.name {
            true => "$value",
            false => &field.name,
        };
        object.insert(name.to_owned(), example_at(model, &field.ty, depth));
    }
    Value::Object(object)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn model() -> Model {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../idl/calc.x");
        farcall_idl::parse_file(path, &Default::default())
            .unwrap()
            .0
    }

    #[test]
    fn definitions_are_written_as_they_are_read() {
        let model = model();
        let text = |name| definition(&model, model.item(model.lookup(name).unwrap()));
        assert_eq!(text("text"), "typedef string text<1024>;");
        assert_eq!(
            text("number"),
            "struct number {\n    hyper value;\n    number *next;\n};"
        );
        assert_eq!(text("numbers"), "typedef number *numbers;");
        assert!(
            text("division_result")
                .contains("case DIVIDED_BY_ZERO:\ncase DIVISION_OVERFLOW:\n    void;\n")
        );
        assert_eq!(text("CALC_BLOCK_MAX"), "const CALC_BLOCK_MAX = 1048576;");
        let all: String = model
            .items()
            .map(|(_, item)| definition(&model, item) + "\n")
            .collect();
        assert!(
            farcall_idl::parse_str("again.x", &all, &Default::default()).is_ok(),
            "{all}"
        );
    }

    #[test]
    fn examples_have_the_form_of_their_types() {
        let model = model();
        let of = |name| example(&model, &Type::Named(model.lookup(name).unwrap()));
        assert_eq!(of("division"), json!({"dividend": "0", "divisor": "0"}));
        assert_eq!(of("numbers"), json!([{"value": "0"}]));
        assert_eq!(of("division_result")["status"], "DIVIDED");
        assert_eq!(
            of("statistics"),
            json!({"count": 0, "mean": null, "median": null})
        );
    }
}
