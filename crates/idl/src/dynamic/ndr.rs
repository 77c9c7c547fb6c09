//! Values of an `.idl` file without generated code: JSON to NDR and NDR64, and back, straight from the model.
//!
//! It is made of the shapes of [`farcall_wire::ndr`] that generated code is made of, so that both have the same bytes. Beyond what
//! the [mapping](super) says for XDR:
//!
//! | in the interface | in JSON |
//! |---|---|
//! | `hyper`, `__int3264` | a string out; a string or a number in |
//! | a UUID | a string |
//! | an enum | the value's name; the number if it has none |
//! | a bitmap | a number; names with a bar between them in |
//! | a union | `{"DISCRIMINANT": tag, "arm": value}` (the discriminant's own name if it has one); an empty arm by the tag alone |
//! | an array of bytes | `{"$base64": …}` or `{"$hex": …}`; a string or an array of numbers in |
//! | a string, an array of `wchar_t` | a string |
//! | an array of several dimensions | arrays in arrays |
//! | a null pointer | `null`; `{"$some": …}` around what may be `null` itself |
//! | structs with one unique pointer to their own kind | an array of them, without that pointer; `[]` (or `null` in) for a null pointer |
//! | a full pointer | `{"$id": n, "value": …}`, and `{"$ref": n}` for its aliases; the value alone in |
//! | a context handle | `{"$handle": "UUID"}`, `null` for none |
//! | a pipe | an array |
//! | an interface pointer | the bytes of its OBJREF |
//!
//! Fields that count others (`size_is`, `length_is`) or choose (`switch_is`) may be left out, and so may
//! pointers that are null. The arguments of an operation are an object by their names; its results are, too,
//! with the returned value as `"result"`.

mod val;
mod eval;
mod layout;
mod number;
mod composite;
mod walk;
mod from_json;
mod to_json;
mod pipes;

use farcall_wire::ndr::pickle::{Pickler, Procedure, Unpickler, Version};
use farcall_wire::ndr::{Order, OrpcThat, OrpcThis, Reader, Shape as _, Syntax, Writer};
use farcall_wire::{EncodeError, Limits};
use serde_json::{Map, Value};

pub use self::pipes::{Beside, Element, Elements, Piped};

use self::from_json::FromJson;
use self::layout::Layout;
use self::to_json::ToJson;
use self::val::Val;
use self::walk::{Dyn, Trail};
use super::{Binary, Error, json};
use crate::model::Model;
use crate::model::ndr::{
    Definitions, Interface, ItemKind, Operation, Parameter, PointerClass, Type,
};

/// The name under which the returned value stands among the results.
const RESULT: &str = "result";

/// Deepest nesting that is read.
const DEPTH: u32 = 96;

/// Encodes and decodes values of the interfaces of one `.idl` file.
///
/// ```
/// # let source = "[uuid(60a15ec5-4de8-11d7-a637-005056a20182), version(1.0)] interface echo {
/// #     void add([in] long value, [out] long *sum); }";
/// # let (model, _) = farcall_idl::parse_str("echo.idl", source, &Default::default())?;
/// use serde_json::json;
/// let codec = farcall_idl::dynamic::ndr::Codec::new(&model);
/// let (_, echo) = model.ndr().interfaces().find(|(_, it)| it.name == "echo").unwrap();
/// let bytes = codec.encode_in(&echo.operations[0], &json!({"value": 1})).unwrap();
/// assert_eq!(bytes, [1, 0, 0, 0]);
/// # Ok::<(), farcall_idl::Diagnostics>(())
/// ```
#[derive(Clone, Debug)]
pub struct Codec<'m> {
    defs: &'m Definitions,
    layout: Layout,
    limits: Limits,
    binary: Binary,
    syntax: Syntax,
    order: Order,
}

impl<'m> Codec<'m> {
    /// A codec of NDR in little-endian order with the default limits.
    pub fn new(model: &'m Model) -> Self {
        Self {
            defs: model.ndr(),
            layout: Layout::new(model.ndr()),
            limits: Limits::default(),
            binary: Binary::default(),
            syntax: Syntax::default(),
            order: Order::default(),
        }
    }

    /// Sets what decoding may cost. Values are nested no deeper than 96 levels, whatever is said.
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

    /// Sets the transfer syntax.
    #[must_use]
    pub fn syntax(mut self, syntax: Syntax) -> Self {
        self.syntax = syntax;
        self
    }

    /// Sets the byte order.
    #[must_use]
    pub fn order(mut self, order: Order) -> Self {
        self.order = order;
        self
    }

    /// A value of the type, as a stub that holds nothing else.
    ///
    /// # Errors
    /// The place in the value that the type does not allow.
    pub fn encode(&self, ty: &Type, value: &Value) -> Result<Vec<u8>, Error> {
        let made = FromJson::new(self.defs).value(ty, value)?;
        let mut writer = Writer::new(self.syntax, self.order);
        let trail = Trail::default();
        let put = self.dynamic(ty, &[], &trail).put_whole(&made, &mut writer);
        put.map_err(|error| trail.lead(refused(error)))?;
        Ok(writer.into_bytes())
    }

    /// All of `bytes` as a value of the type.
    ///
    /// # Errors
    /// The place in the bytes that the type does not allow.
    pub fn decode(&self, ty: &Type, bytes: &[u8]) -> Result<Value, Error> {
        let mut reader = self.reader(bytes);
        let trail = Trail::default();
        let read = self.dynamic(ty, &[], &trail).read(&mut reader);
        let value = read.map_err(|error| trail.lead(error.into()))?;
        reader.finish()?;
        self.shown().value(ty, &value, &[])
    }

    /// The arguments of an operation, from an object by their names, or from an array of them.
    ///
    /// # Errors
    /// The place in the value that the operation does not allow.
    pub fn encode_in(&self, operation: &Operation, value: &Value) -> Result<Vec<u8>, Error> {
        let here = self.arguments(operation, value)?;
        let mut writer = Writer::new(self.syntax, self.order);
        if operation.object {
            OrpcThis::default().put(&mut writer).map_err(refused)?;
        }
        let going = operation
            .params
            .iter()
            .enumerate()
            .filter(|(_, it)| it.is_in);
        // Pipes are behind everything else (C706 14.3.9).
        for pipes in [false, true] {
            for (at, parameter) in going
                .clone()
                .filter(|(_, it)| self.is_pipe(&it.ty) == pipes)
            {
                self.put(parameter, &here, at, &mut writer)?;
            }
        }
        Ok(writer.into_bytes())
    }

    /// The arguments of an operation as an object.
    ///
    /// # Errors
    /// The place in the bytes that the operation does not allow.
    pub fn decode_in(&self, operation: &Operation, bytes: &[u8]) -> Result<Value, Error> {
        let mut here = empty(operation.params.len());
        let mut reader = self.reader(bytes);
        if operation.object {
            OrpcThis::take(&mut reader)?;
        }
        let going = operation
            .params
            .iter()
            .enumerate()
            .filter(|(_, it)| it.is_in);
        for pipes in [false, true] {
            for (at, parameter) in going
                .clone()
                .filter(|(_, it)| self.is_pipe(&it.ty) == pipes)
            {
                self.take(parameter, &mut here, at, &mut reader)?;
            }
        }
        reader.finish()?;
        let members = self.members(operation, &here, |it| it.is_in)?;
        Ok(Value::Object(members))
    }

    /// The results of an operation, from an object by their names and `"result"`; from the value itself if there is one only.
    /// `arguments` are those of the call, where results depend on them.
    ///
    /// # Errors
    /// As [`encode_in`](Self::encode_in).
    pub fn encode_out(
        &self,
        operation: &Operation,
        value: &Value,
        arguments: Option<&Value>,
    ) -> Result<Vec<u8>, Error> {
        let here = self.results(operation, value, arguments)?;
        let mut writer = Writer::new(self.syntax, self.order);
        if operation.object {
            OrpcThat::default().put(&mut writer).map_err(refused)?;
        }
        let coming = operation
            .params
            .iter()
            .enumerate()
            .filter(|(_, it)| it.is_out);
        // Pipes are in front of everything else (C706 14.3.9).
        for pipes in [true, false] {
            for (at, parameter) in coming
                .clone()
                .filter(|(_, it)| self.is_pipe(&it.ty) == pipes)
            {
                self.put(parameter, &here, at, &mut writer)?;
            }
        }
        if operation.result != Type::Void {
            let result = here.last().unwrap_or(&Val::Nothing);
            let trail = Trail::default();
            let shape = self.dynamic(&operation.result, &here, &trail);
            let put = shape.put_whole(result, &mut writer);
            put.map_err(|error| refused(error).at(RESULT))?;
        }
        Ok(writer.into_bytes())
    }

    /// The results of an operation as an object. `arguments` are those of the call, where results depend on them.
    ///
    /// # Errors
    /// As [`decode_in`](Self::decode_in).
    pub fn decode_out(
        &self,
        operation: &Operation,
        bytes: &[u8],
        arguments: Option<&Value>,
    ) -> Result<Value, Error> {
        let mut here = match arguments {
            Some(arguments) => self.arguments(operation, arguments)?,
            None => empty(operation.params.len()),
        };
        // What comes back is not known before it is read, whatever went.
        for (value, parameter) in here.iter_mut().zip(&operation.params) {
            if parameter.is_out {
                *value = Val::default();
            }
        }
        let mut reader = self.reader(bytes);
        if operation.object {
            OrpcThat::take(&mut reader)?;
        }
        let coming = operation
            .params
            .iter()
            .enumerate()
            .filter(|(_, it)| it.is_out);
        for pipes in [true, false] {
            for (at, parameter) in coming
                .clone()
                .filter(|(_, it)| self.is_pipe(&it.ty) == pipes)
            {
                self.take(parameter, &mut here, at, &mut reader)?;
            }
        }
        let mut members = Map::new();
        let mut result = None;
        if operation.result != Type::Void {
            let trail = Trail::default();
            let shape = self.dynamic(&operation.result, &here, &trail);
            let value = shape
                .read(&mut reader)
                .map_err(|e| Error::from(e).at(RESULT))?;
            result = Some(self.shown().value(&operation.result, &value, &here)?);
        }
        reader.finish()?;
        members.append(&mut self.members(operation, &here, |it| it.is_out)?);
        members.extend(result.map(|result| (RESULT.to_owned(), result)));
        Ok(Value::Object(members))
    }

    /// A value of the type as bytes of its own, outside any call (MS-RPCE sections 2.2.6 and 2.2.7): what
    /// `encode` at a type asks for.
    ///
    /// # Errors
    /// As [`encode`](Self::encode).
    pub fn pickle(&self, ty: &Type, version: Version, value: &Value) -> Result<Vec<u8>, Error> {
        let made = FromJson::new(self.defs).value(ty, value)?;
        let (ty, made) = match (self.passed(self.defs.on_wire(ty)), &made) {
            ((ty, true), Val::Pointer(Some(inner))) => (ty, &**inner),
            ((_, _), made) => (ty, made),
        };
        let trail = Trail::default();
        let shape = self.dynamic(ty, &[], &trail);
        let mut stream = Pickler::new(version);
        let put = match self.is_primitive(ty) {
            true => stream.put_bare(shape, made),
            false => stream.put(shape, made),
        };
        put.map_err(|error| trail.lead(refused(error)))?;
        Ok(stream.into_bytes())
    }

    /// The one value of such bytes, of either version: what `decode` at a type asks for.
    ///
    /// # Errors
    /// As [`decode`](Self::decode).
    pub fn unpickle(&self, ty: &Type, bytes: &[u8]) -> Result<Value, Error> {
        let mut stream = Unpickler::new(bytes, self.bounds())?;
        let (ty, _) = self.passed(self.defs.on_wire(ty));
        let trail = Trail::default();
        let shape = self.dynamic(ty, &[], &trail);
        let taken = match self.is_primitive(ty) {
            true => stream.take_bare(shape),
            false => stream.take(shape),
        };
        let value = taken.map_err(|error| trail.lead(error.into()))?;
        stream.finish()?;
        self.shown().value(ty, &value, &[])
    }

    /// The arguments of an operation as a serialized procedure: what `encode` at an operation asks for.
    ///
    /// # Errors
    /// As [`encode_in`](Self::encode_in).
    pub fn pickle_in(
        &self,
        interface: &Interface,
        operation: &Operation,
        value: &Value,
    ) -> Result<Vec<u8>, Error> {
        let codec = self.clone().syntax(Syntax::Ndr).order(Order::Little);
        let stub = codec.encode_in(operation, value)?;
        let bytes = procedure(interface, operation).to_bytes(|w| {
            w.slice(&stub);
            Ok(())
        });
        bytes.map_err(refused)
    }

    /// The results of an operation from a serialized procedure: what `decode` at an operation asks for.
    ///
    /// # Errors
    /// As [`decode_out`](Self::decode_out).
    pub fn unpickle_out(
        &self,
        interface: &Interface,
        operation: &Operation,
        bytes: &[u8],
    ) -> Result<Value, Error> {
        let mut here = empty(operation.params.len());
        let read = |r: &mut Reader<'_>| {
            let coming = operation.params.iter().enumerate();
            for (at, parameter) in coming.filter(|(_, it)| it.is_out) {
                if let Err(error) = self.take(parameter, &mut here, at, r) {
                    return Ok(Err(error));
                }
            }
            Ok(Ok(()))
        };
        procedure(interface, operation).from_bytes(bytes, self.bounds(), read)??;
        let members = self.members(operation, &here, |it| it.is_out)?;
        Ok(Value::Object(members))
    }

    /// Whether values of the type have no header of their own in a stream of version 1.
    fn is_primitive(&self, ty: &Type) -> bool {
        matches!(self.defs.on_wire(ty), Type::Base(_))
    }

    /// The operation with this name or number, and its interface, among those of the file itself first.
    pub fn operation(&self, name: &str) -> Option<(&'m Interface, &'m Operation)> {
        let number = name.parse::<u16>().ok();
        let mut found: Vec<(&Interface, &Operation)> = self
            .defs
            .interfaces()
            .flat_map(|(_, interface)| interface.operations.iter().map(move |it| (interface, it)))
            .filter(|(_, it)| it.name == name || Some(it.opnum) == number)
            .collect();
        found.sort_by_key(|(interface, _)| interface.imported);
        found.first().copied()
    }

    fn dynamic<'a>(&'a self, ty: &'a Type, here: &'a [Val], trail: &'a Trail) -> Dyn<'a> {
        Dyn {
            defs: self.defs,
            layout: &self.layout,
            ty,
            here,
            trail,
        }
    }

    fn shown(&self) -> ToJson<'m> {
        ToJson {
            defs: self.defs,
            binary: self.binary,
        }
    }

    fn reader<'b>(&self, bytes: &'b [u8]) -> Reader<'b> {
        Reader::with_limits(bytes, self.syntax, self.order, self.bounds())
    }

    fn bounds(&self) -> Limits {
        Limits {
            depth: self.limits.depth.min(DEPTH),
            ..self.limits
        }
    }

    /// What of a parameter is on the wire: a reference itself is not.
    fn passed<'t>(&self, ty: &'t Type) -> (&'t Type, bool) {
        match ty {
            Type::Pointer(it) if it.class == PointerClass::Ref => (&it.pointee, true),
            ty => (ty, false),
        }
    }

    fn put(
        &self,
        parameter: &Parameter,
        here: &[Val],
        at: usize,
        writer: &mut Writer,
    ) -> Result<(), Error> {
        let (ty, behind) = self.passed(&parameter.ty);
        let trail = Trail::default();
        let shape = self.dynamic(ty, here, &trail);
        let value = match here.get(at) {
            Some(Val::Pointer(Some(inner))) if behind => inner,
            Some(value) => value,
            None => &Val::Nothing,
        };
        let put = match walk::part(parameter.flags) {
            None => shape.put_whole(value, writer),
            Some(part) => farcall_wire::ndr::In(part, shape).put_whole(value, writer),
        };
        put.map_err(|error| trail.lead(refused(error)).at(&parameter.name))
    }

    fn take(
        &self,
        parameter: &Parameter,
        here: &mut [Val],
        at: usize,
        reader: &mut Reader<'_>,
    ) -> Result<(), Error> {
        let (ty, behind) = self.passed(&parameter.ty);
        let trail = Trail::default();
        let shape = self.dynamic(ty, here, &trail);
        let taken = match walk::part(parameter.flags) {
            None => shape.read(reader),
            Some(part) => farcall_wire::ndr::In(part, shape).read(reader),
        };
        let value = taken.map_err(|error| trail.lead(error.into()).at(&parameter.name))?;
        if let Some(slot) = here.get_mut(at) {
            *slot = match behind {
                true => Val::Pointer(Some(Box::new(value))),
                false => value,
            };
        }
        Ok(())
    }

    fn members(
        &self,
        operation: &'m Operation,
        here: &[Val],
        wanted: impl Fn(&Parameter) -> bool,
    ) -> Result<Map<String, Value>, Error>
    where
        Self: 'm,
    {
        let mut members = Map::new();
        let parameters = operation.params.iter().zip(here);
        for (parameter, value) in parameters.filter(|(it, _)| wanted(it)) {
            let value = self.shown().value(&parameter.ty, value, here);
            let value = value.map_err(|error| error.at(&parameter.name))?;
            members.insert(parameter.name.clone(), value);
        }
        Ok(members)
    }

    /// The values of all parameters that go; the others are nothing.
    fn arguments(&self, operation: &Operation, value: &Value) -> Result<Vec<Val>, Error> {
        let going = |it: &&Parameter| it.is_in;
        let names: Vec<&str> = operation
            .params
            .iter()
            .filter(going)
            .map(|it| it.name.as_str())
            .collect();
        let members = named(&names, value)?;
        self.values(
            operation,
            &members,
            |it| it.is_in,
            empty(operation.params.len()),
        )
    }

    /// The values of all parameters that come back, and of the result behind them.
    fn results(
        &self,
        operation: &Operation,
        value: &Value,
        arguments: Option<&Value>,
    ) -> Result<Vec<Val>, Error> {
        let start = match arguments {
            Some(arguments) => self.arguments(operation, arguments)?,
            None => empty(operation.params.len()),
        };
        let coming = |it: &&Parameter| it.is_out;
        let mut names: Vec<&str> = operation
            .params
            .iter()
            .filter(coming)
            .map(|it| it.name.as_str())
            .collect();
        let has_result = operation.result != Type::Void;
        if has_result {
            names.push(RESULT);
        }
        let mut members = named(&names, value)?;
        let result = members.remove(RESULT);
        let mut here = self.values(operation, &members, |it| it.is_out, start)?;
        if has_result {
            let result = result.unwrap_or_else(|| Value::from(0));
            let made = FromJson::new(self.defs).value(&operation.result, &result);
            here.push(made.map_err(|error| error.at(RESULT))?);
        }
        Ok(here)
    }

    fn values(
        &self,
        operation: &Operation,
        members: &Map<String, Value>,
        wanted: impl Fn(&Parameter) -> bool,
        mut here: Vec<Val>,
    ) -> Result<Vec<Val>, Error> {
        let mut made = FromJson::new(self.defs);
        let mut open = Vec::new();
        for (at, parameter) in operation.params.iter().enumerate() {
            if !wanted(parameter) {
                continue;
            }
            match members.get(&parameter.name) {
                None => open.push(at),
                Some(given) => {
                    let value = made.value(&parameter.ty, given);
                    here[at] = value.map_err(|error| error.at(&parameter.name))?;
                }
            }
        }
        let types: Vec<&Type> = operation.params.iter().map(|it| &it.ty).collect();
        for at in open {
            let parameter = &operation.params[at];
            let derived = made.derived(&types, &here, at);
            here[at] = derived
                .or_else(|| made.absent(&parameter.ty))
                .ok_or_else(|| Error::new("is missing").at(&parameter.name))?;
        }
        Ok(here)
    }

    fn is_pipe(&self, ty: &Type) -> bool {
        match self.defs.resolve(ty) {
            Type::Pipe(_) => true,
            Type::Pointer(it) => self.is_pipe(&it.pointee),
            Type::Named(id) => matches!(self.defs.item(*id).kind, ItemKind::Pipe(_)),
            _ => false,
        }
    }
}

/// What stands in front of the parameters where they are serialized.
fn procedure(interface: &Interface, operation: &Operation) -> Procedure {
    let (major, minor) = interface.version;
    Procedure {
        interface: (interface.uuid.unwrap_or_default(), major, minor),
        number: operation.opnum.into(),
    }
}

fn empty(count: usize) -> Vec<Val> {
    let mut values = Vec::new();
    values.resize_with(count, Val::default);
    values
}

/// Arguments by name: from an object, from an array, or the only one by itself.
fn named(names: &[&str], value: &Value) -> Result<Map<String, Value>, Error> {
    match value {
        Value::Null if names.len() != 1 => Ok(Map::new()),
        Value::Object(members) if json::only(members, names).is_ok() => Ok(members.clone()),
        Value::Array(items) if items.len() == names.len() && names.len() != 1 => {
            let names = names.iter().map(|name| (*name).to_owned());
            Ok(names.zip(items.iter().cloned()).collect())
        }
        other => match (names, other) {
            ([name], other) => Ok(Map::from_iter([((*name).to_owned(), other.clone())])),
            (_, Value::Object(members)) => {
                json::only(members, names)?;
                Ok(members.clone())
            }
            (_, other) => {
                let message = format!("expected an object, got {}", json::kind(other));
                Err(Error::new(message).hint(format!("write {{{}}}", names.join(", "))))
            }
        },
    }
}

fn refused(error: EncodeError) -> Error {
    Error::new(error.kind().to_string())
}

#[cfg(test)]
mod tests;
