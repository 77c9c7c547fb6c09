//! `farcall decode` and `farcall encode`: bytes to JSON and back, without a call.

mod ndr;

use std::io::Write;
use std::path::PathBuf;

use farcall_idl::dynamic::{Binary, Codec};
use farcall_idl::model::Procedure;
use farcall_idl::{Model, Type};
use serde_json::json;

use crate::interface::{self, Source};
use crate::near::did_you_mean;
use crate::output::{Done, Failure, Output};
use crate::value;

/// What the bytes are.
#[derive(Debug, clap::Args)]
struct What {
    #[command(flatten)]
    source: Source,

    /// The bytes are a value of this type
    #[arg(
        long = "type",
        value_name = "NAME",
        required_unless_present = "op",
        conflicts_with = "op"
    )]
    ty: Option<String>,

    /// The bytes are arguments or results of this procedure
    #[arg(long, value_name = "PROCEDURE", requires = "dir")]
    op: Option<String>,

    /// Which of the two: arguments (in) or results (out)
    #[arg(long, value_enum, requires = "op")]
    dir: Option<Direction>,

    /// How the bytes of an .idl file's types lie
    #[arg(long, value_enum, default_value = "ndr")]
    syntax: ndr::Form,

    /// The bytes of an .idl file's types are in big-endian order
    #[arg(long)]
    big_endian: bool,

    /// The bytes are no message but serialized by themselves, as `encode` and `decode` have it: a type in version 1 or 2
    /// (when decoding, the bytes say which), an operation's parameters as a procedure
    #[arg(long, value_enum, value_name = "FORM")]
    pickle: Option<Pickle>,
}

/// How something is serialized.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Pickle {
    /// A type in NDR, in either byte order
    #[value(name = "1")]
    One,
    /// A type in NDR or NDR64, little-endian
    #[value(name = "2")]
    Two,
    /// The arguments (in) or results (out) of an operation
    Procedure,
}

/// Which way a procedure's values go.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Direction {
    /// Into the procedure: its arguments
    In,
    /// Out of it: its results
    Out,
}

/// Show bytes of XDR or NDR as JSON
#[derive(Debug, clap::Args)]
pub(crate) struct DecodeArgs {
    #[command(flatten)]
    what: What,

    /// The bytes in hexadecimal digits, blanks allowed
    #[arg(
        long,
        value_name = "DIGITS",
        required_unless_present = "file",
        conflicts_with = "file"
    )]
    hex: Option<String>,

    /// A file with the bytes; - is standard input
    file: Option<PathBuf>,

    /// How opaque data is shown
    #[arg(long, value_enum, default_value = "shortest")]
    opaque: Opaque,
}

/// How opaque data is shown.
#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum Opaque {
    /// Hexadecimal up to 32 bytes, base64 above
    Shortest,
    /// Base64
    Base64,
    /// Hexadecimal
    Hex,
}

/// Show JSON as bytes of XDR or NDR
#[derive(Debug, clap::Args)]
pub(crate) struct EncodeArgs {
    #[command(flatten)]
    what: What,

    /// The value: JSON, @FILE, or - for standard input; of an operation, "@FILE" in the place of a pipe's elements
    #[arg(value_name = "JSON")]
    value: Option<String>,

    /// Write the bytes themselves, not their hexadecimal digits
    #[arg(long)]
    raw: bool,
}

/// What the bytes are, found in the model.
enum Found<'a> {
    Type(Type),
    Arguments(&'a Procedure),
    Result(&'a Procedure),
}

impl What {
    fn find<'a>(&self, model: &'a Model) -> Result<Found<'a>, Failure> {
        if self.pickle.is_some() {
            return Err(Failure::new(
                "only .idl files say what is serialized (--pickle)",
            ));
        }
        if let Some(name) = &self.ty {
            return find_type(model, name).map(Found::Type);
        }
        let name = self.op.as_deref().unwrap_or_default();
        let procedure = interface::find(model, name, None, None)?.procedure;
        Ok(match self.dir {
            Some(Direction::Out) => Found::Result(procedure),
            _ => Found::Arguments(procedure),
        })
    }
}

fn find_type(model: &Model, name: &str) -> Result<Type, Failure> {
    let types = || {
        model
            .items()
            .filter(|(_, item)| !matches!(item.kind, farcall_idl::ItemKind::Const(_)))
    };
    if let Some((id, _)) = types().find(|(_, item)| item.name == name) {
        let ty = match model.is_list_node(id) {
            true => Type::Chain(id),
            false => Type::Named(id),
        };
        return Ok(ty);
    }
    let failure = Failure::new(format!("there is no type '{name}'"));
    Err(
        match did_you_mean(name, types().map(|(_, item)| item.name.as_str())) {
            Some(hint) => failure.hint(hint),
            None => failure,
        },
    )
}

pub(crate) fn decode(args: &DecodeArgs, out: &Output) -> anyhow::Result<Done> {
    let model = args.what.source.load(out)?;
    let bytes = match (&args.hex, &args.file) {
        (Some(digits), _) => value::from_hex(digits)?,
        (None, Some(file)) => value::read(file)?,
        (None, None) => Vec::new(),
    };
    let binary = match args.opaque {
        Opaque::Shortest => Binary::Shortest,
        Opaque::Base64 => Binary::Base64,
        Opaque::Hex => Binary::Hex,
    };
    let decoded = match model.ndr().is_empty() {
        false => ndr::decode(&args.what, &model, &bytes, binary)?,
        true => {
            let codec = Codec::new(&model).binary(binary);
            match &args.what.find(&model)? {
                Found::Type(ty) => codec.decode(ty, &bytes),
                Found::Arguments(procedure) => codec.decode_arguments(procedure, &bytes),
                Found::Result(procedure) => codec.decode_result(procedure, &bytes),
            }
        }
    };
    let decoded = decoded.map_err(|error| value::misfit("the bytes do not fit", &error))?;
    match out.is_json() {
        true => out.json(&decoded)?,
        false => out.pretty_json(&decoded)?,
    }
    Ok(Done::Yes)
}

pub(crate) fn encode(args: &EncodeArgs, out: &Output) -> anyhow::Result<Done> {
    let model = args.what.source.load(out)?;
    let json = value::json(args.value.as_deref())?;
    let encoded = match model.ndr().is_empty() {
        false => ndr::encode(&args.what, &model, &json)?,
        true => {
            let codec = Codec::new(&model);
            match &args.what.find(&model)? {
                Found::Type(ty) => codec.encode(ty, &json),
                Found::Arguments(procedure) => codec.encode_arguments(procedure, &json),
                Found::Result(procedure) => codec.encode_result(procedure, &json),
            }
        }
    };
    let bytes = encoded.map_err(|error| value::misfit("the value does not fit", &error))?;
    match (args.raw, out.is_json()) {
        (true, _) => std::io::stdout().lock().write_all(&bytes)?,
        (false, true) => {
            out.json(&json!({ "hex": value::to_hex(&bytes), "length": bytes.len() }))?
        }
        (false, false) => out.line(value::to_hex(&bytes))?,
    }
    Ok(Done::Yes)
}
