//! `farcall describe` of an `.idl` file.

use farcall_idl::Model;
use farcall_idl::model::ndr::{Interface, ItemKind, Operation, Type};
use serde_json::{Value, json};

use crate::interface;
use crate::notation::ndr as notation;
use crate::output::Output;

/// All interfaces and operations of the file itself.
pub(super) fn overview(model: &Model, out: &Output) -> anyhow::Result<()> {
    let own = || {
        model
            .ndr()
            .interfaces()
            .filter(|(_, it)| !it.imported)
            .map(|(_, it)| it)
    };
    let types = model.ndr().items().filter(|(_, item)| {
        !item.imported && item.used && !matches!(item.kind, ItemKind::Const { .. })
    });
    if out.is_json() {
        let operations = own().flat_map(|interface| {
            interface
                .operations
                .iter()
                .map(move |it| described(model, interface, it))
        });
        let operations: Vec<Value> = operations.collect();
        let types: Vec<&str> = types.map(|(_, item)| item.name.as_str()).collect();
        return Ok(out.pretty_json(&json!({ "operations": operations, "types": types }))?);
    }
    let mut any = false;
    for interface in own() {
        out.line(out.paint().bold(head(interface)))?;
        for operation in &interface.operations {
            any = true;
            let signature = notation::signature(model, operation);
            out.line(format_args!("  {:>3}  {signature}", operation.opnum))?;
            let first = operation.docs.lines().next().unwrap_or_default();
            if !first.is_empty() {
                out.line(out.paint().dim(format_args!("       {first}")))?;
            }
        }
    }
    if !any {
        for (_, item) in types {
            out.line(notation::definition(model, item))?;
        }
    }
    Ok(())
}

fn head(interface: &Interface) -> String {
    let (major, minor) = interface.version;
    let object = if interface.object { ", object" } else { "" };
    match interface.uuid {
        Some(uuid) => format!(
            "interface {} = {uuid} v{major}.{minor}{object}",
            interface.name
        ),
        None => format!("interface {}{object}", interface.name),
    }
}

fn described(model: &Model, interface: &Interface, operation: &Operation) -> Value {
    let names: Vec<&str> = operation.params.iter().map(|it| it.name.as_str()).collect();
    let parameters: Vec<Value> = operation
        .params
        .iter()
        .map(|it| {
            let ty = notation::declare(model, &it.ty, "", &names);
            json!({ "name": it.name, "type": ty, "in": it.is_in, "out": it.is_out })
        })
        .collect();
    let (major, minor) = interface.version;
    json!({
        "interface": {
            "name": interface.name,
            "uuid": interface.uuid.map(|it| it.to_string()),
            "version": format!("{major}.{minor}"),
        },
        "name": operation.name,
        "number": operation.opnum,
        "parameters": parameters,
        "result": notation::declare(model, &operation.result, "", &[]),
        "idempotent": operation.idempotent,
        "docs": operation.docs,
    })
}

/// One operation, type or constant, with everything it is made of.
pub(super) fn detail(model: &Model, name: &str, out: &Output) -> anyhow::Result<()> {
    if let Some(id) = model.ndr().lookup(name) {
        let item = model.ndr().item(id);
        if let ItemKind::Const { .. } = item.kind {
            return Ok(out.line(notation::definition(model, item))?);
        }
        let ty = Type::Named(id);
        let example = notation::example(model, &ty);
        if out.is_json() {
            let definition = notation::definition(model, item);
            let value = json!({ "name": name, "definition": definition, "example": example });
            return Ok(out.pretty_json(&value)?);
        }
        definitions(model, &[&ty], out)?;
        return Ok(out.line(format_args!("as JSON: {example}"))?);
    }
    let (interface, operation) = interface::find_operation(model, name)?;
    let arguments = notation::example_arguments(model, operation);
    if out.is_json() {
        let mut value = described(model, interface, operation);
        value["example"] = arguments;
        return Ok(out.pretty_json(&value)?);
    }
    let place = format!("{}, operation {}", head(interface), operation.opnum);
    out.line(out.paint().dim(format_args!("/* {place} */")))?;
    if !operation.docs.is_empty() {
        out.line(format_args!("/* {} */", operation.docs))?;
    }
    let signature = notation::signature(model, operation);
    out.line(out.paint().bold(format_args!("{signature};")))?;
    let params = operation.params.iter().map(|it| &it.ty);
    let types: Vec<&Type> = params.chain([&operation.result]).collect();
    definitions(model, &types, out)?;
    Ok(out.line(format_args!("arguments as JSON: {arguments}"))?)
}

fn definitions(model: &Model, types: &[&Type], out: &Output) -> anyhow::Result<()> {
    for id in notation::items_of(model, types) {
        out.line(notation::definition(model, model.ndr().item(id)))?;
    }
    Ok(())
}
