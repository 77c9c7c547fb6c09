//! From JSON to XDR.

use farcall_wire::cursor::pad_len;
use serde_json::{Map, Value};

use crate::model::{Enum, Field, ItemId, ItemKind, Model, Struct, Type, Union};

use super::decode::range;
use super::error::Error;
use super::{DEPTH, json};

/// Writes values of one interface.
pub(crate) struct Encoder<'m> {
    model: &'m Model,
    out: Vec<u8>,
    depth: u32,
}

impl<'m> Encoder<'m> {
    pub(crate) fn new(model: &'m Model) -> Self {
        Self {
            model,
            out: Vec::new(),
            depth: DEPTH,
        }
    }

    /// What was written.
    pub(crate) fn finish(self) -> Vec<u8> {
        self.out
    }

    /// Writes a value of the type.
    pub(crate) fn value(&mut self, ty: &Type, value: &Value) -> Result<(), Error> {
        // req: xdr-4506-7-example
        match ty {
            Type::Void => match value {
                Value::Null => Ok(()),
                other => Err(expected("null", other)),
            },
            Type::Int => self.put(self.within(value, i32::MIN.into(), i32::MAX.into())? as i32),
            Type::UInt => self.put(self.within(value, 0, u32::MAX.into())? as u32),
            Type::Hyper => self.put64(self.within(value, i64::MIN.into(), i64::MAX.into())? as u64),
            Type::UHyper => self.put64(self.within(value, 0, u64::MAX.into())? as u64),
            Type::Small { bits, signed } => {
                let (low, high) = range(*bits, *signed);
                self.put(self.within(value, low.into(), high.into())? as i32)
            }
            Type::Float | Type::Double => self.float(ty, value),
            Type::Quadruple => {
                let bits = json::quadruple(value);
                let bits = bits.ok_or_else(|| {
                    expected("a quadruple", value).hint("write \"0x\" and 32 hexadecimal digits")
                })?;
                self.out.extend(bits.to_be_bytes());
                Ok(())
            }
            Type::Bool => match value {
                Value::Bool(it) => self.put(i32::from(*it)),
                other => Err(expected("true or false", other)),
            },
            Type::OpaqueFixed(n) => self.opaque_fixed(*n, value),
            Type::OpaqueVar(max) => {
                let bytes = opaque(value)?;
                self.counted(&bytes, *max)
            }
            Type::String(max) => match json::bytes(value) {
                Some(bytes) => self.counted(&bytes?, *max),
                None => match value {
                    Value::String(text) => self.counted(text.as_bytes(), *max),
                    other => Err(expected("a string", other)),
                },
            },
            Type::Named(id) => self.item(*id, value),
            Type::Array(inner, n) => self.array(inner, *n, value),
            Type::Vec(inner, max) => {
                let items = array_of(value)?;
                self.length(items.len(), *max, "elements")?;
                self.elements(inner, items)
            }
            Type::Optional(inner) => self.optional(inner, value),
            Type::List(id) => self.list(*id, array_of(value)?),
            Type::Chain(id) => match array_of(value)? {
                [] => Err(Error::new("expected at least one element, got none")),
                [first, rest @ ..] => {
                    self.item(*id, first).map_err(|e| e.at_index(0))?;
                    self.list(*id, rest)
                }
            },
        }
    }

    fn put(&mut self, word: impl Into<Word>) -> Result<(), Error> {
        self.out.extend(word.into().0);
        Ok(())
    }

    fn put64(&mut self, word: u64) -> Result<(), Error> {
        self.out.extend(word.to_be_bytes());
        Ok(())
    }

    /// The integer that the value means, if it is in the range.
    fn within(&self, value: &Value, low: i128, high: i128) -> Result<i128, Error> {
        let number = json::integer(self.model, value).ok_or_else(|| match value {
            Value::String(text) => Error::new(format!("{text:?} is no integer and no constant")),
            Value::Number(number) => Error::new(format!("{number} is no integer")),
            other => expected("an integer", other),
        })?;
        match (low..=high).contains(&number) {
            true => Ok(number),
            false => Err(Error::new(format!("{number} is not within {low}..={high}"))),
        }
    }

    fn float(&mut self, ty: &Type, value: &Value) -> Result<(), Error> {
        let number = json::float(value).ok_or_else(|| {
            expected("a number", value)
                .hint("besides numbers: \"NaN\", \"Infinity\", \"-Infinity\"")
        })?;
        match ty {
            Type::Float => self.put((number as f32).to_bits()),
            _ => self.put64(number.to_bits()),
        }
    }

    fn length(&mut self, len: usize, max: Option<u32>, what: &str) -> Result<(), Error> {
        let max = max.unwrap_or(u32::MAX);
        match u32::try_from(len) {
            Ok(len) if len <= max => self.put(len),
            _ => Err(Error::new(format!(
                "{len} {what} are over the declared {max}"
            ))),
        }
    }

    fn padded(&mut self, bytes: &[u8]) {
        self.out.extend_from_slice(bytes);
        let len = self.out.len().saturating_add(pad_len(bytes.len()));
        self.out.resize(len, 0);
    }

    fn counted(&mut self, bytes: &[u8], max: Option<u32>) -> Result<(), Error> {
        self.length(bytes.len(), max, "bytes")?;
        self.padded(bytes);
        Ok(())
    }

    fn opaque_fixed(&mut self, n: u32, value: &Value) -> Result<(), Error> {
        let bytes = opaque(value)?;
        if u32::try_from(bytes.len()) != Ok(n) {
            return Err(Error::new(format!(
                "expected {n} bytes, got {}",
                bytes.len()
            )));
        }
        self.padded(&bytes);
        Ok(())
    }

    fn array(&mut self, inner: &Type, n: u32, value: &Value) -> Result<(), Error> {
        let items = array_of(value)?;
        match u32::try_from(items.len()) == Ok(n) {
            true => self.elements(inner, items),
            false => Err(Error::new(format!(
                "expected {n} elements, got {}",
                items.len()
            ))),
        }
    }

    fn elements(&mut self, inner: &Type, items: &[Value]) -> Result<(), Error> {
        for (i, item) in items.iter().enumerate() {
            self.value(inner, item).map_err(|e| e.at_index(i))?;
        }
        Ok(())
    }

    fn optional(&mut self, inner: &Type, value: &Value) -> Result<(), Error> {
        if value.is_null() {
            return self.put(0_u32);
        }
        self.put(1_u32)?;
        if !json::may_be_null(self.model, inner) {
            return self.value(inner, value);
        }
        match value.as_object().and_then(|members| members.get("$some")) {
            Some(value) => self.value(inner, value),
            None => Err(expected("null or {\"$some\": …}", value)),
        }
    }

    fn list(&mut self, id: ItemId, nodes: &[Value]) -> Result<(), Error> {
        for (i, node) in nodes.iter().enumerate() {
            self.put(1_u32)?;
            self.item(id, node).map_err(|e| e.at_index(i))?;
        }
        self.put(0_u32)
    }

    fn item(&mut self, id: ItemId, value: &Value) -> Result<(), Error> {
        let Some(left) = self.depth.checked_sub(1) else {
            return Err(Error::new(format!("nested deeper than {DEPTH} levels")));
        };
        self.depth = left;
        let model = self.model;
        match &model.item(id).kind {
            ItemKind::Const(_) => {}
            ItemKind::Typedef(ty) => self.value(ty, value)?,
            ItemKind::Struct(it) => self.structure(it, value)?,
            ItemKind::Union(it) => self.union(it, value)?,
            ItemKind::Enum(it) => {
                let number = self.enumerated(&model.item(id).name, it, value)?;
                self.put(number)?;
            }
        }
        self.depth = left.saturating_add(1);
        Ok(())
    }

    fn enumerated(&self, name: &str, it: &Enum, value: &Value) -> Result<i32, Error> {
        if let Value::String(text) = value
            && let Some(named) = it
                .values
                .iter()
                .chain(&it.aliases)
                .find(|one| one.name == *text)
        {
            return Ok(named.value);
        }
        let number = match value {
            Value::Number(_) => json::integer(self.model, value),
            _ => None,
        };
        number.and_then(|n| i32::try_from(n).ok()).ok_or_else(|| {
            let names = json::listed(it.values.iter().map(|one| one.name.as_str()));
            Error::new(format!("{value} is no value of enum {name}"))
                .hint(format!("write one of {names}, or a number"))
        })
    }

    fn structure(&mut self, it: &Struct, value: &Value) -> Result<(), Error> {
        let members = object_of(value)?;
        let names: Vec<&str> = it.fields.iter().map(|field| field.name.as_str()).collect();
        json::only(members, &names)?;
        for field in &it.fields {
            let value = self.member(members, field, &names)?;
            self.value(&field.ty, value)
                .map_err(|e| e.at(&field.name))?;
        }
        Ok(())
    }

    /// The member's value; what is optional may be left out.
    fn member<'v>(
        &self,
        members: &'v Map<String, Value>,
        field: &Field,
        names: &[&str],
    ) -> Result<&'v Value, Error> {
        match members.get(&field.name) {
            Some(value) => Ok(value),
            None if json::may_be_null(self.model, &field.ty) => Ok(&Value::Null),
            None => Err(
                Error::new(format!("member {:?} is missing", field.name)).hint(format!(
                    "the members are {}",
                    json::listed(names.iter().copied())
                )),
            ),
        }
    }

    fn union(&mut self, it: &Union, value: &Value) -> Result<(), Error> {
        let members = object_of(value)?;
        let name = &it.discriminant.name;
        let tag = members.get(name).ok_or_else(|| {
            Error::new(format!("discriminant {name:?} is missing"))
                .hint(format!("write {{\"{name}\": …}} and the arm it chooses"))
        })?;
        let chosen = self.discriminant(it, tag).map_err(|e| e.at(name))?;
        let Some(arm) = json::arm(it, chosen) else {
            let cases = it.arms.iter().flat_map(|arm| &arm.cases);
            let names: Vec<String> = cases
                .map(|case| case.name.clone().unwrap_or_else(|| case.value.to_string()))
                .collect();
            let hint = json::listed(names.iter().map(String::as_str));
            return Err(Error::new(format!("no arm for {tag}"))
                .at(name)
                .hint(format!("there are arms for {hint}")));
        };
        self.put(chosen as u32)?;
        let Some(field) = &arm.field else {
            return json::only(members, &[name]);
        };
        let key = json::arm_name(it, field);
        json::only(members, &[name, key])?;
        match members.get(key) {
            Some(value) => self.value(&field.ty, value).map_err(|e| e.at(key)),
            None if json::may_be_null(self.model, &field.ty) => self.value(&field.ty, &Value::Null),
            None => Err(Error::new(format!("arm {key:?} is missing")).hint(format!(
                "{tag} chooses it: write {{\"{name}\": {tag}, \"{key}\": …}}"
            ))),
        }
    }

    /// The number of a discriminant; its low 32 bits go on the wire.
    fn discriminant(&self, it: &Union, tag: &Value) -> Result<i64, Error> {
        if let Some((id, enumeration)) = self.model.as_enum(&it.discriminant.ty) {
            let name = &self.model.item(id).name;
            return self.enumerated(name, enumeration, tag).map(i64::from);
        }
        match self.model.resolve(&it.discriminant.ty) {
            Type::Bool => match tag {
                Value::Bool(it) => Ok(i64::from(*it)),
                other => Err(expected("true or false", other)),
            },
            Type::UInt => Ok(self.within(tag, 0, u32::MAX.into())? as i64),
            _ => Ok(self.within(tag, i32::MIN.into(), i32::MAX.into())? as i64),
        }
    }
}

/// Four bytes.
struct Word([u8; 4]);

impl From<i32> for Word {
    fn from(word: i32) -> Self {
        Self(word.to_be_bytes())
    }
}

impl From<u32> for Word {
    fn from(word: u32) -> Self {
        Self(word.to_be_bytes())
    }
}

fn expected(what: &str, got: &Value) -> Error {
    Error::new(format!("expected {what}, got {}", json::kind(got)))
}

fn array_of(value: &Value) -> Result<&[Value], Error> {
    match value {
        Value::Array(items) => Ok(items),
        other => Err(expected("an array", other)),
    }
}

fn object_of(value: &Value) -> Result<&Map<String, Value>, Error> {
    match value {
        Value::Object(members) => Ok(members),
        other => Err(expected("an object", other)),
    }
}

fn opaque(value: &Value) -> Result<Vec<u8>, Error> {
    json::bytes(value).unwrap_or_else(|| {
        Err(expected("bytes", value).hint("write {\"$hex\": \"00ff\"} or {\"$base64\": \"AP8=\"}"))
    })
}
