//! `farcall decode` and `farcall encode` of what an `.idl` file says.

use farcall_idl::Model;
use farcall_idl::dynamic::{self, Binary, ndr::Codec};
use farcall_idl::model::ndr::{ItemKind, Operation, Type};
use farcall_wire::ndr::{Order, Syntax};
use serde_json::Value;

use super::{Direction, What};
use crate::interface;
use crate::near::did_you_mean;
use crate::output::Failure;

/// How the bytes lie.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum Form {
    /// NDR, version 2.0
    Ndr,
    /// NDR64
    Ndr64,
}

/// What the bytes are, found in the model.
enum Found<'a> {
    Type(Type),
    In(&'a Operation),
    Out(&'a Operation),
}

fn find<'a>(what: &What, model: &'a Model) -> Result<Found<'a>, Failure> {
    if let Some(name) = &what.ty {
        return find_type(model, name).map(Found::Type);
    }
    let name = what.op.as_deref().unwrap_or_default();
    let (_, operation) = interface::find_operation(model, name)?;
    Ok(match what.dir {
        Some(Direction::Out) => Found::Out(operation),
        _ => Found::In(operation),
    })
}

fn find_type(model: &Model, name: &str) -> Result<Type, Failure> {
    let types = || {
        let items = model.ndr().items();
        items.filter(|(_, item)| item.used && !matches!(item.kind, ItemKind::Const { .. }))
    };
    if let Some((id, _)) = types().find(|(_, item)| item.name == name) {
        return Ok(Type::Named(id));
    }
    let failure = Failure::new(format!("there is no type '{name}'"));
    Err(
        match did_you_mean(name, types().map(|(_, item)| item.name.as_str())) {
            Some(hint) => failure.hint(hint),
            None => failure,
        },
    )
}

fn codec<'m>(what: &What, model: &'m Model) -> Codec<'m> {
    Codec::new(model)
        .syntax(match what.syntax {
            Form::Ndr => Syntax::Ndr,
            Form::Ndr64 => Syntax::Ndr64,
        })
        .order(match what.big_endian {
            true => Order::Big,
            false => Order::Little,
        })
}

pub(super) fn decode(
    what: &What,
    model: &Model,
    bytes: &[u8],
    binary: Binary,
) -> anyhow::Result<Result<Value, dynamic::Error>> {
    let codec = codec(what, model).binary(binary);
    Ok(match find(what, model)? {
        Found::Type(ty) => codec.decode(&ty, bytes),
        Found::In(operation) => codec.decode_in(operation, bytes),
        Found::Out(operation) => codec.decode_out(operation, bytes, None),
    })
}

pub(super) fn encode(
    what: &What,
    model: &Model,
    value: &Value,
) -> anyhow::Result<Result<Vec<u8>, dynamic::Error>> {
    let codec = codec(what, model);
    Ok(match find(what, model)? {
        Found::Type(ty) => codec.encode(&ty, value),
        Found::In(operation) => codec.encode_in(operation, value),
        Found::Out(operation) => codec.encode_out(operation, value, None),
    })
}
