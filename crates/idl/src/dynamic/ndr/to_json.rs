//! From values to JSON, and whether what was read agrees with itself.

use farcall_wire::ndr::{ContextHandle, Full};
use serde_json::{Map, Value, json};

use super::eval;
use super::layout::is_field;
use super::val::{Choice, Val};
use crate::dynamic::{Binary, Error, json};
use crate::model::ndr::{
    Array, Base, Definitions, Extent, ItemId, ItemKind, Pointer, PointerClass, Slice, Struct,
    Switch, Type, Union,
};

/// Makes JSON of values.
pub(super) struct ToJson<'m> {
    pub(super) defs: &'m Definitions,
    pub(super) binary: Binary,
}

impl<'m> ToJson<'m> {
    /// A value of the type, after a look at its counts and discriminants; `here` is what is beside it.
    pub(super) fn value(&self, ty: &'m Type, value: &Val, here: &[Val]) -> Result<Value, Error> {
        Ok(match (ty, value) {
            (Type::Range(inner, low, high), value) => {
                match value.number() {
                    Some(n) if !(*low..=*high).contains(&n) => {
                        return Err(Error::new(format!("{n} is not within {low}..={high}")));
                    }
                    None if value.len().is_some_and(|len| len as i128 > *high) => {
                        let message = format!("more elements than {high}, the most there may be");
                        return Err(Error::new(message));
                    }
                    _ => {}
                }
                self.value(inner, value, here)?
            }
            (Type::Named(id) | Type::Union(id, _), value) => self.item(ty, *id, value, here)?,
            (Type::Base(base), value) => base_value(*base, value),
            (Type::Pointer(it), value) => self.pointer(it, value, here)?,
            (Type::Array(it), value) => self.array(it, value, here)?,
            (Type::String(it), value) => {
                if !it.terminated {
                    agree(
                        &it.extent,
                        it.slice.as_ref(),
                        value.len().unwrap_or(0),
                        here,
                    )?;
                }
                self.text(value)
            }
            (Type::Pipe(inner), Val::Pipe(it)) => self.items(inner, &it.0, here)?,
            (Type::Subcontext(it), value) if it.compression.is_none() => {
                self.value(&it.inner, value, here)?
            }
            (_, Val::Object(it)) => json::from_bytes(&it.objref, self.binary),
            (_, Val::Handle(it)) => handle(it),
            (_, value) => self.text(value),
        })
    }

    /// Strings, blobs and what is empty.
    fn text(&self, value: &Val) -> Value {
        match value {
            Val::Bytes(it) => json::from_bytes(it, self.binary),
            Val::Text(it) => match it.as_str() {
                Ok(text) => json!(text),
                Err(_) => json::from_bytes(it.as_bytes(), self.binary),
            },
            Val::Wide(it) => match it.to_text() {
                Ok(text) => json!(text),
                Err(_) => {
                    let bytes: Vec<u8> =
                        it.units().iter().flat_map(|it| it.to_le_bytes()).collect();
                    json::from_bytes(&bytes, self.binary)
                }
            },
            Val::Texts(it) => it
                .iter()
                .map(|it| self.text(&Val::Text(it.clone())))
                .collect(),
            Val::Wides(it) => it
                .iter()
                .map(|it| self.text(&Val::Wide(it.clone())))
                .collect(),
            _ => Value::Null,
        }
    }

    fn item(&self, ty: &'m Type, id: ItemId, value: &Val, here: &[Val]) -> Result<Value, Error> {
        match (&self.defs.item(id).kind, value) {
            (ItemKind::Enum(it), Val::Int(number)) => {
                let named = it.values.iter().find(|it| i128::from(it.value) == *number);
                Ok(named.map_or_else(|| integer(*number, 32), |it| json!(it.name)))
            }
            (ItemKind::Bitmap(it), Val::Int(number)) => Ok(integer(*number, it.width)),
            (ItemKind::Struct(it), Val::Fields(values)) => self.structure(it, None, values),
            (ItemKind::Struct(it), Val::Items(nodes)) => {
                let link = self.defs.link(id);
                let nodes = nodes.iter().filter_map(|node| match node {
                    Val::Fields(values) => Some(values),
                    _ => None,
                });
                let shown = nodes.enumerate().map(|(i, values)| {
                    let shown = self.structure(it, link, values);
                    shown.map_err(|error| error.at_index(i))
                });
                shown.collect()
            }
            (ItemKind::Union(it), Val::Choice(choice)) => self.union(ty, it, choice, here),
            (ItemKind::Typedef(it), value) => self.value(&it.ty, value, here),
            (ItemKind::ContextHandle(_), Val::Handle(it)) => Ok(handle(it)),
            (ItemKind::Pipe(inner), Val::Pipe(it)) => self.items(inner, &it.0, here),
            _ => Ok(Value::Null),
        }
    }

    fn structure(
        &self,
        it: &'m Struct,
        link: Option<usize>,
        values: &[Val],
    ) -> Result<Value, Error> {
        let mut members = Map::new();
        for (at, (field, value)) in it.fields.iter().zip(values).enumerate() {
            if is_field(field) && link != Some(at) {
                let value = self.value(&field.ty, value, values);
                members.insert(field.name.clone(), value.map_err(|e| e.at(&field.name))?);
            }
        }
        Ok(Value::Object(members))
    }

    fn union(
        &self,
        ty: &Type,
        it: &'m Union,
        choice: &Choice,
        here: &[Val],
    ) -> Result<Value, Error> {
        if let Type::Union(_, Some(switch)) = ty
            && let Some(expected) = eval::number(switch, here)
            && expected != i128::from(choice.tag)
        {
            let message = format!("discriminant is {}, switch_is gives {expected}", choice.tag);
            return Err(Error::new(message));
        }
        let (name, tag_type) = match &it.switch {
            Switch::Encapsulated { tag, ty, .. } => (tag.as_str(), Some(ty)),
            Switch::Separate { ty } => ("DISCRIMINANT", Some(ty)),
            Switch::Outside { ty } => ("DISCRIMINANT", ty.as_ref()),
        };
        let number = Val::Int(choice.tag.into());
        let tag = match tag_type {
            Some(ty) => self.value(ty, &number, here)?,
            None => integer(choice.tag.into(), 32),
        };
        let field = it.arms.get(choice.arm).and_then(|arm| arm.field.as_ref());
        Ok(match field.filter(|field| is_field(field)) {
            None => tag,
            Some(field) => {
                let value = self.value(&field.ty, &choice.value, here);
                let value = value.map_err(|e| e.at(&field.name))?;
                json!({ name: tag, field.name.as_str(): value })
            }
        })
    }

    fn pointer(&self, it: &'m Pointer, value: &Val, here: &[Val]) -> Result<Value, Error> {
        Ok(match value {
            Val::Pointer(Some(inner)) => {
                let inner = self.value(&it.pointee, inner, here)?;
                // A reference has no null of its own; what looks like somebody else's `$some` gets another one.
                let unclear = inner.is_null() || inner.get("$some").is_some();
                match unclear && it.class != PointerClass::Ref {
                    true => json!({ "$some": inner }),
                    false => inner,
                }
            }
            // A list.
            value @ Val::Items(_) => self.value(&it.pointee, value, here)?,
            Val::Full(Full::Value(id, inner)) => {
                json!({ "$id": id, "value": self.value(&it.pointee, inner, here)? })
            }
            Val::Full(Full::Alias(id)) => json!({ "$ref": id }),
            _ => Value::Null,
        })
    }

    fn array(&self, it: &'m Array, value: &Val, here: &[Val]) -> Result<Value, Error> {
        match (it.dimensions.as_slice(), value) {
            ([dim], Val::Items(items)) => {
                agree(&dim.extent, dim.slice.as_ref(), items.len(), here)?;
                self.items(&it.element, items, here)
            }
            ([dim], value @ (Val::Bytes(_) | Val::Wide(_))) => {
                agree(
                    &dim.extent,
                    dim.slice.as_ref(),
                    value.len().unwrap_or(0),
                    here,
                )?;
                Ok(self.text(value))
            }
            (_, Val::Matrix(matrix)) => {
                let mut items = matrix.items.iter();
                self.rows(&it.element, &matrix.dims, &mut items, here)
            }
            _ => Ok(Value::Null),
        }
    }

    fn items(&self, element: &'m Type, items: &[Val], here: &[Val]) -> Result<Value, Error> {
        let each = items.iter().enumerate();
        each.map(|(i, item)| self.value(element, item, here).map_err(|e| e.at_index(i)))
            .collect()
    }

    fn rows<'v>(
        &self,
        element: &'m Type,
        dims: &[usize],
        items: &mut impl Iterator<Item = &'v Val>,
        here: &[Val],
    ) -> Result<Value, Error> {
        match dims.split_first() {
            None => match items.next() {
                Some(item) => self.value(element, item, here),
                None => Ok(Value::Null),
            },
            Some((len, rest)) => (0..*len)
                .map(|_| self.rows(element, rest, &mut *items, here))
                .collect(),
        }
    }
}

/// Compares the number of elements with what the attributes say of it.
fn agree(extent: &Extent, slice: Option<&Slice>, len: usize, here: &[Val]) -> Result<(), Error> {
    let said = match (slice, extent) {
        (Some(slice), _) => slice.length.as_ref(),
        (None, Extent::Conformant(size)) => size.as_ref(),
        (None, _) => None,
    };
    let expected = said.and_then(|expr| eval::number(expr, here));
    match expected {
        Some(expected) if i128::try_from(len) != Ok(expected) => Err(Error::new(format!(
            "{len} elements, the interface says {expected}"
        ))),
        _ => Ok(()),
    }
}

fn base_value(base: Base, value: &Val) -> Value {
    match (base, value) {
        (Base::Boolean, Val::Int(it)) => json!(*it != 0),
        (Base::Float, Val::Float(it)) => json::from_single(*it as f32),
        (_, Val::Float(it)) => json::from_double(*it),
        (_, Val::Uuid(it)) => json!(it.to_string()),
        (_, Val::Address(bytes)) => json!(address(bytes)),
        (base, Val::Int(it)) => integer(*it, base.size64() * 8),
        _ => Value::Null,
    }
}

/// A number; one of 64 bits in a string.
fn integer(number: i128, bits: u8) -> Value {
    match i64::try_from(number) {
        Ok(number) if bits < 64 => json!(number),
        _ => json!(number.to_string()),
    }
}

fn address(bytes: &[u8]) -> String {
    if let Ok(four) = <[u8; 4]>::try_from(bytes) {
        return std::net::Ipv4Addr::from(four).to_string();
    }
    match <[u8; 16]>::try_from(bytes) {
        Ok(sixteen) => std::net::Ipv6Addr::from(sixteen).to_string(),
        Err(_) => String::new(),
    }
}

fn handle(it: &ContextHandle) -> Value {
    match (it.is_null(), it.attributes) {
        (true, 0) => Value::Null,
        (_, 0) => json!({ "$handle": it.uuid.to_string() }),
        (_, attributes) => {
            json!({ "$handle": it.uuid.to_string(), "attributes": attributes })
        }
    }
}
