//! Values of an interface without generated code: JSON to XDR and back, straight from the model.
//!
//! It serves `farcall call`, `encode` and `decode`, and it is what compiled code is compared
//! with. One mapping holds for all of it:
//!
//! | in the interface | in JSON |
//! |---|---|
//! | `int`, `unsigned`, `short`, `char` | a number |
//! | `hyper`, `unsigned hyper` | a string out; a string or a number in |
//! | `float`, `double` | a number, or `"NaN"`, `"Infinity"`, `"-Infinity"` |
//! | `quadruple` | 32 hexadecimal digits after `0x`, in a string |
//! | `bool` | `true`, `false` |
//! | `opaque` | `{"$base64": "…"}` or `{"$hex": "…"}` |
//! | `string` | a string; as `opaque` if it is not UTF-8 |
//! | an enum | the value's name; the number if it has none |
//! | a struct | an object, members in order |
//! | a union | `{"DISCRIMINANT": tag, "arm": value}`; a void arm by the tag alone |
//! | an array or a self-linked list | an array |
//! | optional data | the value or `null`; `{"$some": …}` around what may be `null` itself |
//! | `void` | `null` |
//!
//! Where an integer is expected, a constant's name in a string will do. The arguments of a
//! procedure are an object by their names or an array; a lone argument may stand for itself.
//!
//! Decoding keeps the limits of [`farcall_wire::Limits`]. Values that a type does not list are
//! let through where the bytes can say them (an unlisted number of an enum), because this is
//! also a tool to look at what others send.

pub mod error;
mod json;
mod decode;
mod encode;
pub mod ndr;

use farcall_wire::{Limits, Reader};
use serde_json::{Map, Value};

use crate::model::{Arg, ItemId, ItemKind, Model, Procedure, Type};

pub use error::Error;

/// Deepest nesting of types in a value, recursive or not, in levels.
const DEPTH: u32 = 512;

/// How bytes are shown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Binary {
    /// `{"$hex": …}` up to 32 bytes, `{"$base64": …}` above.
    #[default]
    Shortest,
    /// `{"$base64": …}` always.
    Base64,
    /// `{"$hex": …}` always.
    Hex,
}

/// Encodes and decodes values of one interface.
///
/// ```
/// # let source = "program P { version V { hyper ADD(int a, int b) = 1; } = 1; } = 0x20000001;";
/// # let (model, _) = farcall_idl::parse_str("p.x", source, &Default::default())?;
/// use serde_json::json;
/// let codec = farcall_idl::dynamic::Codec::new(&model);
/// let add = &model.programs()[0].versions[0].procedures[0];
/// let bytes = codec.encode_arguments(add, &json!({"a": 1, "b": 2})).unwrap();
/// assert_eq!(bytes, [0, 0, 0, 1, 0, 0, 0, 2]);
/// let sum = codec.decode_result(add, &[0, 0, 0, 0, 0, 0, 0, 3]).unwrap();
/// assert_eq!(sum, json!("3"));
/// # Ok::<(), farcall_idl::Diagnostics>(())
/// ```
#[derive(Clone, Debug)]
pub struct Codec<'m> {
    model: &'m Model,
    limits: Limits,
    binary: Binary,
    /// Which items count as a level when they are decoded.
    levels: Vec<bool>,
}

impl<'m> Codec<'m> {
    /// A codec with the default limits.
    pub fn new(model: &'m Model) -> Self {
        Self {
            model,
            limits: Limits::default(),
            binary: Binary::default(),
            levels: model.items().map(|(id, _)| counts(model, id)).collect(),
        }
    }

    /// Sets what decoding may cost.
    #[must_use]
    pub fn limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// Sets how bytes are shown.
    #[must_use]
    pub fn binary(mut self, binary: Binary) -> Self {
        self.binary = binary;
        self
    }

    /// A value of the type as XDR.
    ///
    /// # Errors
    /// The place in the value that the type does not allow.
    pub fn encode(&self, ty: &Type, value: &Value) -> Result<Vec<u8>, Error> {
        let mut encoder = encode::Encoder::new(self.model);
        encoder.value(ty, value)?;
        Ok(encoder.finish())
    }

    /// All of `bytes` as a value of the type.
    ///
    /// # Errors
    /// The place in the bytes that the type does not allow.
    pub fn decode(&self, ty: &Type, bytes: &[u8]) -> Result<Value, Error> {
        let mut reader = Reader::with_limits(bytes, self.limits);
        let value = self.decoder().value(ty, &mut reader)?;
        reader.finish()?;
        Ok(value)
    }

    fn decoder(&self) -> decode::Decoder<'_> {
        decode::Decoder::new(self.model, self.binary, &self.levels)
    }

    /// The arguments of a procedure as XDR: from an object by their names, from an array, or
    /// from the lone argument itself. Without arguments, from `null` or nothing in brackets.
    ///
    /// # Errors
    /// The place in the value that the procedure does not allow.
    pub fn encode_arguments(&self, procedure: &Procedure, value: &Value) -> Result<Vec<u8>, Error> {
        match &procedure.args[..] {
            [] => no_arguments(procedure, value).map(|()| Vec::new()),
            [arg] => self.encode_lone(arg, value),
            args => self.encode_all(args, value),
        }
    }

    /// A lone argument: the value itself, or with brackets around it.
    fn encode_lone(&self, arg: &Arg, value: &Value) -> Result<Vec<u8>, Error> {
        let direct = match self.encode(&arg.ty, value) {
            Ok(bytes) => return Ok(bytes),
            Err(error) => error,
        };
        let inner = match (value, &arg.name) {
            (Value::Array(items), _) if items.len() == 1 => items.first(),
            (Value::Object(members), Some(name)) if members.len() == 1 => members.get(name),
            _ => None,
        };
        match inner {
            Some(inner) => {
                let name = arg.name.as_deref().unwrap_or("0");
                self.encode(&arg.ty, inner).map_err(|e| e.at(name))
            }
            None => Err(direct),
        }
    }

    fn encode_all(&self, args: &[Arg], value: &Value) -> Result<Vec<u8>, Error> {
        let mut encoder = encode::Encoder::new(self.model);
        match value {
            Value::Array(items) if items.len() == args.len() => {
                for (i, (arg, item)) in args.iter().zip(items).enumerate() {
                    encoder.value(&arg.ty, item).map_err(|e| e.at_index(i))?;
                }
            }
            Value::Object(members) if args.iter().all(|arg| arg.name.is_some()) => {
                let names: Vec<&str> = args.iter().filter_map(|arg| arg.name.as_deref()).collect();
                json::only(members, &names)?;
                for (arg, name) in args.iter().zip(names) {
                    let item = members.get(name).unwrap_or(&Value::Null);
                    encoder.value(&arg.ty, item).map_err(|e| e.at(name))?;
                }
            }
            other => return Err(wrong_arguments(args, other)),
        }
        Ok(encoder.finish())
    }

    /// The arguments of a procedure from XDR: `null` if it has none, the value if it has one,
    /// else an object by their names, or an array if not all have names.
    ///
    /// # Errors
    /// The place in the bytes that the procedure does not allow.
    pub fn decode_arguments(&self, procedure: &Procedure, bytes: &[u8]) -> Result<Value, Error> {
        if let [arg] = &procedure.args[..] {
            return self.decode(&arg.ty, bytes);
        }
        let mut reader = Reader::with_limits(bytes, self.limits);
        let mut decoder = self.decoder();
        let mut values = Vec::new();
        for (i, arg) in procedure.args.iter().enumerate() {
            let value = decoder.value(&arg.ty, &mut reader);
            values.push(value.map_err(|e| match &arg.name {
                Some(name) => e.at(name),
                None => e.at_index(i),
            })?);
        }
        reader.finish()?;
        Ok(arranged(&procedure.args, values))
    }

    /// The result of a procedure as XDR.
    ///
    /// # Errors
    /// As [`encode`](Self::encode).
    pub fn encode_result(&self, procedure: &Procedure, value: &Value) -> Result<Vec<u8>, Error> {
        self.encode(&procedure.result, value)
    }

    /// The result of a procedure from XDR.
    ///
    /// # Errors
    /// As [`decode`](Self::decode).
    pub fn decode_result(&self, procedure: &Procedure, bytes: &[u8]) -> Result<Value, Error> {
        self.decode(&procedure.result, bytes)
    }
}

/// Whether the item counts as a level: compiled code counts structs and unions that may contain
/// themselves.
fn counts(model: &Model, id: ItemId) -> bool {
    let kind = &model.item(id).kind;
    matches!(kind, ItemKind::Struct(_) | ItemKind::Union(_)) && model.is_recursive(id)
}

/// Arguments in the brackets that suit them.
fn arranged(args: &[Arg], values: Vec<Value>) -> Value {
    if args.is_empty() {
        return Value::Null;
    }
    let names: Option<Vec<String>> = args.iter().map(|arg| arg.name.clone()).collect();
    match names {
        Some(names) => Value::Object(names.into_iter().zip(values).collect::<Map<_, _>>()),
        None => Value::Array(values),
    }
}

fn no_arguments(procedure: &Procedure, value: &Value) -> Result<(), Error> {
    let empty = match value {
        Value::Null => true,
        Value::Array(items) => items.is_empty(),
        Value::Object(members) => members.is_empty(),
        _ => false,
    };
    match empty {
        true => Ok(()),
        false => Err(Error::new(format!(
            "{} takes no arguments, got {}",
            procedure.name,
            json::kind(value)
        ))
        .hint("leave them out, or write null")),
    }
}

fn wrong_arguments(args: &[Arg], value: &Value) -> Error {
    let names: Vec<&str> = args
        .iter()
        .map(|arg| arg.name.as_deref().unwrap_or("…"))
        .collect();
    let got = match value {
        Value::Array(items) => format!("an array of {}", items.len()),
        other => json::kind(other).to_owned(),
    };
    Error::new(format!("expected {} arguments, got {got}", args.len())).hint(format!(
        "write an array [{0}], or an object by name if they all have names",
        names.join(", ")
    ))
}

#[cfg(test)]
mod tests;
