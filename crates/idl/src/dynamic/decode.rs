//! From XDR to JSON.

use farcall_wire::cursor::pad_len;
use farcall_wire::{DecodeErrorKind, Padding, Reader};
use serde_json::{Map, Value, json};

use crate::model::{ItemId, ItemKind, Model, Struct, Type, Union};

use super::error::Error;
use super::{Binary, DEPTH, json};

/// Reads values of one interface.
pub(crate) struct Decoder<'m> {
    model: &'m Model,
    binary: Binary,
    levels: &'m [bool],
    depth: u32,
}

impl<'m> Decoder<'m> {
    pub(crate) fn new(model: &'m Model, binary: Binary, levels: &'m [bool]) -> Self {
        Self {
            model,
            binary,
            levels,
            depth: DEPTH,
        }
    }

    /// Reads a value of the type.
    pub(crate) fn value(&mut self, ty: &Type, r: &mut Reader<'_>) -> Result<Value, Error> {
        Ok(match ty {
            Type::Void => Value::Null,
            Type::Int => json!(r.i32()?),
            Type::UInt => json!(r.u32()?),
            Type::Hyper => json!(r.i64()?.to_string()),
            Type::UHyper => json!(r.u64()?.to_string()),
            Type::Float => json::from_single(r.f32()?),
            Type::Double => json::from_double(r.f64()?),
            Type::Quadruple => json::from_quadruple(u128::from_be_bytes(*r.array()?)),
            Type::Bool => json!(r.bool()?),
            Type::Small { bits, signed } => small(*bits, *signed, r)?,
            Type::OpaqueFixed(n) => json::from_bytes(fixed(*n, r)?, self.binary),
            Type::OpaqueVar(max) => {
                json::from_bytes(r.opaque_var(max.unwrap_or(u32::MAX))?, self.binary)
            }
            Type::String(max) => self.string(r.opaque_var(max.unwrap_or(u32::MAX))?, r)?,
            Type::Named(id) => self.item(*id, r)?,
            Type::Array(inner, n) => self.elements(inner, *n as usize, r)?,
            Type::Vec(inner, max) => {
                let count = r.length(max.unwrap_or(u32::MAX))?;
                self.elements(inner, count, r)?
            }
            Type::Optional(inner) => match r.bool()? {
                false => Value::Null,
                true => {
                    let value = self.value(inner, r)?;
                    match json::may_be_null(self.model, inner) {
                        true => json!({ "$some": value }),
                        false => value,
                    }
                }
            },
            Type::List(id) => self.list(*id, Vec::new(), r)?,
            Type::Chain(id) => {
                let first = self.node(*id, 0, r)?;
                self.list(*id, vec![first], r)?
            }
        })
    }

    fn string(&self, bytes: &[u8], r: &mut Reader<'_>) -> Result<Value, Error> {
        r.charge(bytes.len())?;
        Ok(match std::str::from_utf8(bytes) {
            Ok(text) => json!(text),
            Err(_) => json::from_bytes(bytes, self.binary),
        })
    }

    fn elements(&mut self, inner: &Type, count: usize, r: &mut Reader<'_>) -> Result<Value, Error> {
        let needed = count.saturating_mul(self.model.min_len(inner));
        if needed > r.remaining() {
            let available = r.remaining();
            return Err(r
                .error(DecodeErrorKind::Truncated { needed, available })
                .into());
        }
        r.charge(count.saturating_mul(size_of::<Value>()))?;
        let mut items = Vec::with_capacity(count);
        for i in 0..count {
            items.push(self.value(inner, r).map_err(|e| e.at_index(i))?);
        }
        Ok(Value::Array(items))
    }

    /// The nodes that follow `nodes`.
    fn list(
        &mut self,
        id: ItemId,
        mut nodes: Vec<Value>,
        r: &mut Reader<'_>,
    ) -> Result<Value, Error> {
        while r.bool().map_err(|e| Error::from(e).at_index(nodes.len()))? {
            let node = self.node(id, nodes.len(), r)?;
            nodes.push(node);
        }
        Ok(Value::Array(nodes))
    }

    fn node(&mut self, id: ItemId, index: usize, r: &mut Reader<'_>) -> Result<Value, Error> {
        r.charge(size_of::<Value>())?;
        self.item(id, r).map_err(|e| e.at_index(index))
    }

    /// Reads a value of an item, one level deeper.
    fn item(&mut self, id: ItemId, r: &mut Reader<'_>) -> Result<Value, Error> {
        let Some(left) = self.depth.checked_sub(1) else {
            return Err(r
                .error(DecodeErrorKind::DepthExceeded { limit: DEPTH })
                .into());
        };
        self.depth = left;
        let value = match self.levels.get(id.0 as usize).is_some_and(|counts| *counts) {
            false => self.body(id, r),
            true => {
                let mut failed = None;
                let value = r.nested(|r| match self.body(id, r) {
                    Ok(value) => Ok(value),
                    Err(error) => {
                        failed = Some(error);
                        Err(r.error(DecodeErrorKind::DepthExceeded { limit: 0 }))
                    }
                });
                value.map_err(|error| failed.unwrap_or_else(|| error.into()))
            }
        }?;
        self.depth = left.saturating_add(1);
        Ok(value)
    }

    fn body(&mut self, id: ItemId, r: &mut Reader<'_>) -> Result<Value, Error> {
        let model = self.model;
        match &model.item(id).kind {
            ItemKind::Const(_) => Ok(Value::Null),
            ItemKind::Typedef(ty) => self.value(ty, r),
            ItemKind::Struct(it) => self.structure(it, r),
            ItemKind::Union(it) => self.union(id, it, r),
            ItemKind::Enum(it) => {
                let number = r.i32()?;
                let named = it.values.iter().find(|value| value.value == number);
                Ok(named.map_or_else(|| json!(number), |value| json!(value.name)))
            }
        }
    }

    fn structure(&mut self, it: &Struct, r: &mut Reader<'_>) -> Result<Value, Error> {
        let mut members = Map::new();
        for field in &it.fields {
            r.charge(size_of::<Value>().saturating_add(field.name.len()))?;
            let value = self.value(&field.ty, r).map_err(|e| e.at(&field.name))?;
            members.insert(field.name.clone(), value);
        }
        Ok(Value::Object(members))
    }

    fn union(&mut self, id: ItemId, it: &Union, r: &mut Reader<'_>) -> Result<Value, Error> {
        let name = &it.discriminant.name;
        let position = r.position();
        let tag = self
            .value(&it.discriminant.ty, &mut Reader::new(r.rest()))
            .map_err(|e| e.at(name).offset_at(position))?;
        let chosen = match self.model.resolve(&it.discriminant.ty) {
            Type::UInt => i64::from(r.u32()?),
            _ => i64::from(r.i32()?),
        };
        let Some(arm) = json::arm(it, chosen) else {
            let union = &self.model.item(id).name;
            let message = format!("union {union} has no arm for {tag}");
            return Err(Error::new(message).offset_at(r.position()));
        };
        let mut members = Map::new();
        members.insert(name.clone(), tag);
        if let Some(field) = &arm.field {
            let value = self.value(&field.ty, r).map_err(|e| e.at(&field.name))?;
            members.insert(json::arm_name(it, field).to_owned(), value);
        }
        Ok(Value::Object(members))
    }
}

/// rpcgen's `char` and `short`.
fn small(bits: u8, signed: bool, r: &mut Reader<'_>) -> Result<Value, Error> {
    let number = match signed {
        true => i64::from(r.i32()?),
        false => i64::from(r.u32()?),
    };
    let (low, high) = range(bits, signed);
    match (low..=high).contains(&number) {
        true => Ok(json!(number)),
        false => {
            Err(Error::new(format!("{number} is not within {low}..={high}"))
                .offset_at(r.position()))
        }
    }
}

/// What a small integer can hold.
pub(crate) fn range(bits: u8, signed: bool) -> (i64, i64) {
    let values = 1_i64 << bits;
    match signed {
        true => (-values / 2, values / 2 - 1),
        false => (0, values - 1),
    }
}

fn fixed<'a>(n: u32, r: &mut Reader<'a>) -> Result<&'a [u8], Error> {
    let len = n as usize;
    let data = r.slice(len)?;
    let padding = r.slice(pad_len(len))?;
    if r.limits().padding == Padding::Strict && padding.iter().any(|byte| *byte != 0) {
        return Err(r.error(DecodeErrorKind::NonZeroPadding).into());
    }
    Ok(data)
}
