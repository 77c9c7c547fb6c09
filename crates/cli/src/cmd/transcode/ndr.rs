//! `farcall decode` and `farcall encode` of what an `.idl` file says.

use farcall_idl::Model;
use farcall_idl::dynamic::{self, Binary, ndr::Codec};
use farcall_idl::model::ndr::{Interface, ItemKind, Operation, Type};
use farcall_wire::Uuid;
use farcall_wire::ndr::pickle::Version;
use farcall_wire::ndr::{Order, Syntax};
use serde_json::Value;

use super::{Direction, Pickle, What};
use crate::interface;
use crate::near::did_you_mean;
use crate::output::Failure;
use crate::streams;

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
    In(&'a Interface, &'a Operation),
    Out(&'a Interface, &'a Operation),
}

fn find<'a>(what: &What, model: &'a Model) -> Result<Found<'a>, Failure> {
    if let Some(name) = &what.ty {
        return find_type(model, name).map(Found::Type);
    }
    let name = what.op.as_deref().unwrap_or_default();
    let (interface, operation) = interface::find_operation(model, name)?;
    Ok(match what.dir {
        Some(Direction::Out) => Found::Out(interface, operation),
        _ => Found::In(interface, operation),
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
    Ok(match (find(what, model)?, what.pickle) {
        (Found::Type(ty), None) => codec.decode(&ty, bytes),
        (Found::In(_, it), None) => codec.decode_in(it, bytes),
        (Found::Out(_, it), None) => codec.decode_out(it, bytes, None),
        (Found::Type(ty), Some(Pickle::One | Pickle::Two)) => codec.unpickle(&ty, bytes),
        (Found::Out(of, it), Some(Pickle::Procedure)) => codec.unpickle_out(of, it, bytes),
        (_, Some(_)) => return Err(misused(Direction::Out).into()),
    })
}

pub(super) fn encode(
    what: &What,
    model: &Model,
    value: &Value,
) -> anyhow::Result<Result<Vec<u8>, dynamic::Error>> {
    let codec = codec(what, model);
    Ok(match (find(what, model)?, what.pickle) {
        (Found::Type(ty), None) => codec.encode(&ty, value),
        (Found::In(_, it), None) => codec.encode_in(it, &filled(&codec, it, false, value)?),
        (Found::Out(_, it), None) => codec.encode_out(it, &filled(&codec, it, true, value)?, None),
        (Found::Type(ty), Some(form @ (Pickle::One | Pickle::Two))) => {
            codec.pickle(&ty, version(what, model, form), value)
        }
        (Found::In(of, it), Some(Pickle::Procedure)) => codec.pickle_in(of, it, value),
        (_, Some(_)) => return Err(misused(Direction::In).into()),
    })
}

/// The same value, with what files hold in the place of pipes that name them.
fn filled(
    codec: &Codec<'_>,
    operation: &Operation,
    comes: bool,
    value: &Value,
) -> Result<Value, Failure> {
    let Value::Object(members) = value else {
        return Ok(value.clone());
    };
    let mut members = members.clone();
    streams::whole(&codec.pipes(operation), comes, &mut members)?;
    Ok(Value::Object(members))
}

/// Forms that do not fit what is asked for.
fn misused(dir: Direction) -> Failure {
    let dir = match dir {
        Direction::In => "in",
        Direction::Out => "out",
    };
    Failure::new("this is not serialized in this form").hint(format!(
        "--pickle 1 and 2 go with --type, --pickle procedure with --op and --dir {dir}"
    ))
}

/// How a type is serialized. Version 2 names an interface: the file's first.
fn version(what: &What, model: &Model, form: Pickle) -> Version {
    if form == Pickle::One {
        return Version::One(match what.big_endian {
            true => Order::Big,
            false => Order::Little,
        });
    }
    let syntax = match what.syntax {
        Form::Ndr => Syntax::Ndr,
        Form::Ndr64 => Syntax::Ndr64,
    };
    let mut interfaces = model.ndr().interfaces().map(|(_, it)| it);
    let named = interfaces.find(|it| !it.imported && it.uuid.is_some());
    let interface = named.map_or((Uuid::NIL, 0, 0), |it| {
        (it.uuid.unwrap_or(Uuid::NIL), it.version.0, it.version.1)
    });
    Version::Two(syntax, interface)
}
