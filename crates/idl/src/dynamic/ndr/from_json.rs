//! From JSON to values: names resolved, counts that were left out worked out from the arrays they count.

use std::collections::HashSet;

use farcall_wire::ndr::{ContextHandle, Full, InterfacePointer, Matrix, Pipe, WideStr};
use farcall_wire::{Bytes, Str, Uuid};
use serde_json::{Map, Value};

use super::composite::choose;
use super::eval;
use super::layout::is_field;
use super::val::{Choice, Val};
use super::walk::{Kind, is_wide};
use crate::dynamic::Error;
use crate::dynamic::json;
use crate::model::ndr::{
    Array, Base, Constant, Definitions, Encoding, Expr, Extent, Field, ItemId, ItemKind, Pointer,
    PointerClass, Struct, Switch, Type, Union,
};

/// Deepest nesting of a value.
const DEPTH: u32 = 256;

/// Makes values of JSON.
pub(super) struct FromJson<'m> {
    defs: &'m Definitions,
    depth: u32,
    /// Labels of full pointers that have a value.
    labels: HashSet<u32>,
}

impl<'m> FromJson<'m> {
    pub(super) fn new(defs: &'m Definitions) -> Self {
        Self {
            defs,
            depth: 0,
            labels: HashSet::new(),
        }
    }

    /// The value of a type.
    pub(super) fn value(&mut self, ty: &'m Type, value: &Value) -> Result<Val, Error> {
        if self.depth == DEPTH {
            return Err(Error::new(format!("nested deeper than {DEPTH} levels")));
        }
        self.depth += 1;
        let made = self.any(ty, value);
        self.depth -= 1;
        made
    }

    fn any(&mut self, ty: &'m Type, value: &Value) -> Result<Val, Error> {
        match ty {
            Type::Void | Type::Absent => Ok(Val::Nothing),
            Type::Base(base) => self.base(*base, value),
            Type::Range(inner, low, high) => {
                let made = self.value(inner, value)?;
                match made.number() {
                    Some(n) if !(*low..=*high).contains(&n) => {
                        Err(Error::new(format!("{n} is not within {low}..={high}")))
                    }
                    _ => Ok(made),
                }
            }
            Type::Named(id) | Type::Union(id, _) => self.item(*id, value),
            Type::Pointer(it) => self.pointer(it, value),
            Type::Array(it) => self.array(it, value),
            Type::String(it) => text(it.encoding, value),
            Type::Interface(_) => Ok(Val::Object(InterfacePointer {
                objref: blob(value)?,
            })),
            Type::Pipe(inner) => self.pipe(inner, value),
            Type::ContextHandle => handle(value),
            Type::FlaggedString(it) => text(it.encoding, value),
            Type::StringArray(it) => texts(it.encoding, value),
            Type::Blob(_) => blob(value).map(Val::Bytes),
            Type::Subcontext(it) if it.compression.is_some() => blob(value).map(Val::Bytes),
            Type::Subcontext(it) => self.value(&it.inner, value),
        }
    }

    fn base(&self, base: Base, value: &Value) -> Result<Val, Error> {
        match (base, value) {
            (Base::Boolean, Value::Bool(it)) => Ok(Val::Int(i128::from(*it))),
            (Base::Float | Base::Double, value) => {
                let number = json::float(value).ok_or_else(|| expected("a number", value))?;
                Ok(Val::Float(number))
            }
            (Base::Uuid, Value::String(text)) => text
                .parse::<Uuid>()
                .map(Val::Uuid)
                .map_err(|error| Error::new(error.to_string())),
            (Base::Uuid, other) => Err(expected("a UUID in a string", other)),
            (Base::Ipv4 | Base::Ipv6, Value::String(text)) => address(base, text),
            (Base::Char | Base::WChar, Value::String(text)) if text.chars().count() == 1 => {
                let first = text.chars().next().map_or(0, u32::from);
                Ok(Val::Int(first.into()))
            }
            _ => self.integer(value).map(Val::Int),
        }
    }

    fn integer(&self, value: &Value) -> Result<i128, Error> {
        let number = json::number(value).or_else(|| self.constant(value.as_str()?));
        number.ok_or_else(|| match value {
            Value::String(text) => Error::new(format!("{text:?} is no integer and no constant")),
            other => expected("an integer", other),
        })
    }

    fn constant(&self, name: &str) -> Option<i128> {
        match &self.defs.item(self.defs.lookup(name)?).kind {
            ItemKind::Const {
                value: Constant::Integer(value),
                ..
            } => Some(*value),
            _ => None,
        }
    }

    fn item(&mut self, id: ItemId, value: &Value) -> Result<Val, Error> {
        let defs = self.defs;
        match &defs.item(id).kind {
            ItemKind::Enum(it) => {
                let named = it.values.iter().find(|it| value.as_str() == Some(&it.name));
                match named {
                    Some(named) => Ok(Val::Int(named.value.into())),
                    None => self.integer(value).map(Val::Int).map_err(|error| {
                        let names = it.values.iter().map(|it| it.name.as_str());
                        error.hint(format!("known are {}", json::listed(names)))
                    }),
                }
            }
            ItemKind::Bitmap(it) => {
                let bits = |name: &str| {
                    let named = it.bits.iter().find(|it| it.name == name.trim());
                    named.map(|it| i128::from(it.value.cast_unsigned()))
                };
                let all = value.as_str().and_then(|text| {
                    text.split('|')
                        .map(bits)
                        .try_fold(0, |all, one| Some(all | one?))
                });
                match all {
                    Some(all) => Ok(Val::Int(all)),
                    None => self.integer(value).map(Val::Int),
                }
            }
            ItemKind::Struct(it) => match defs.link(id) {
                Some(link) => self.list(it, link, value),
                None => self.structure(it, None, value),
            },
            ItemKind::Union(it) => self.union(it, value),
            ItemKind::Typedef(it) => self.value(&it.ty, value),
            ItemKind::ContextHandle(_) => handle(value),
            ItemKind::Pipe(inner) => self.pipe(inner, value),
            ItemKind::Const { .. } => Ok(Val::Nothing),
        }
    }

    /// Structs that make a list: at least one, without the field that points to the next one.
    fn list(&mut self, it: &'m Struct, link: usize, value: &Value) -> Result<Val, Error> {
        let Value::Array(items) = value else {
            return Err(expected("an array", value));
        };
        let each = items.iter().enumerate();
        let made = each.map(|(i, item)| {
            let made = self.structure(it, Some(link), item);
            made.map_err(|error| error.at_index(i))
        });
        made.collect::<Result<_, _>>().map(Val::Items)
    }

    fn structure(
        &mut self,
        it: &'m Struct,
        link: Option<usize>,
        value: &Value,
    ) -> Result<Val, Error> {
        let Value::Object(members) = value else {
            return Err(expected("an object", value));
        };
        let shown = it.fields.iter().enumerate();
        let shown = shown.filter(|(at, _)| link != Some(*at));
        let names: Vec<&str> = shown.map(|(_, it)| it.name.as_str()).collect();
        json::only(members, &names)?;
        let mut fields = Vec::with_capacity(it.fields.len());
        for field in &it.fields {
            fields.push(match members.get(&field.name) {
                Some(given) if is_field(field) => Some(
                    self.value(&field.ty, given)
                        .map_err(|e| e.at(&field.name))?,
                ),
                _ => None,
            });
        }
        self.complete(&it.fields, fields).map(Val::Fields)
    }

    /// Works out the fields that were left out.
    fn complete(
        &mut self,
        fields: &'m [Field],
        given: Vec<Option<Val>>,
    ) -> Result<Vec<Val>, Error> {
        let types: Vec<&'m Type> = fields.iter().map(|it| &it.ty).collect();
        let missing: Vec<usize> = (0..given.len()).filter(|at| given[*at].is_none()).collect();
        let mut values: Vec<Val> = given.into_iter().map(Option::unwrap_or_default).collect();
        // What others count first, since `value` may be made of it.
        let mut open = Vec::new();
        for at in missing {
            let field = &fields[at];
            if !is_field(field) {
                continue;
            }
            match self.derived(&types, &values, at) {
                Some(found) => values[at] = found,
                None => open.push(at),
            }
        }
        for at in open {
            let field = &fields[at];
            let computed = field
                .value
                .as_ref()
                .and_then(|it| eval::number(it, &values));
            values[at] = match computed {
                Some(number) => Val::Int(number),
                None => self
                    .absent(&field.ty)
                    .ok_or_else(|| Error::new("is missing").at(&field.name))?,
            };
        }
        self.compute(fields, &mut values);
        Ok(values)
    }

    /// pidl's `value`: computed, whatever was said.
    fn compute(&self, fields: &[Field], values: &mut [Val]) {
        for (at, field) in fields.iter().enumerate() {
            let computed = field.value.as_ref().and_then(|it| eval::number(it, values));
            if let Some(number) = computed
                && matches!(values.get(at), Some(Val::Int(_) | Val::Nothing))
            {
                values[at] = Val::Int(number);
            }
        }
    }

    /// What a field that was left out holds for others to be right: a count, a discriminant.
    pub(super) fn derived(&self, types: &[&'m Type], values: &[Val], at: usize) -> Option<Val> {
        let mut demands = Vec::new();
        for (ty, value) in types.iter().zip(values) {
            self.demands(ty, value, &mut demands);
        }
        let found = demands
            .into_iter()
            .find_map(|(expr, target)| eval::solve(expr, target, at))?;
        self.wrapped(types.get(at)?, found)
    }

    /// A number in the pointers that its type has.
    fn wrapped(&self, ty: &Type, number: i128) -> Option<Val> {
        match self.defs.on_wire(ty) {
            Type::Pointer(it) => {
                let inner = Box::new(self.wrapped(&it.pointee, number)?);
                Some(match it.class {
                    PointerClass::Full => Val::Full(Full::Value(0, inner)),
                    _ => Val::Pointer(Some(inner)),
                })
            }
            Type::Base(_) | Type::Range(..) => Some(Val::Int(number)),
            Type::Named(id) => match self.defs.item(*id).kind {
                ItemKind::Enum(_) | ItemKind::Bitmap(_) => Some(Val::Int(number)),
                _ => None,
            },
            _ => None,
        }
    }

    /// What a value demands of the fields beside it: an expression, and what it must give.
    fn demands(&self, ty: &'m Type, value: &Val, out: &mut Vec<(&'m Expr, i128)>) {
        match (self.defs.on_wire(ty), value) {
            (Type::Pointer(it), Val::Pointer(Some(inner))) => {
                self.demands(&it.pointee, inner, out);
            }
            (Type::Pointer(it), Val::Full(Full::Value(_, inner))) => {
                self.demands(&it.pointee, inner, out);
            }
            (Type::Pointer(it), Val::Pointer(None) | Val::Full(Full::Null)) => {
                self.none_of(&it.pointee, out);
            }
            (Type::Array(it), value) => {
                let lens: Vec<usize> = match value {
                    Val::Matrix(matrix) => matrix.dims.clone(),
                    other => other.len().into_iter().collect(),
                };
                for (dim, len) in it.dimensions.iter().zip(&lens) {
                    demand(
                        &dim.extent,
                        dim.slice.as_ref().and_then(|it| it.length.as_ref()),
                        *len,
                        out,
                    );
                }
                if let Val::Items(items) = value
                    && let Some(first) = items.first()
                {
                    self.demands(&it.element, first, out);
                }
            }
            (Type::String(it), value) => {
                let len = value.len().unwrap_or(0) + usize::from(it.terminated);
                demand(
                    &it.extent,
                    it.slice.as_ref().and_then(|it| it.length.as_ref()),
                    len,
                    out,
                );
            }
            (Type::Union(_, Some(switch)), Val::Choice(it)) => out.push((switch, it.tag.into())),
            (Type::Range(inner, ..), value) => self.demands(inner, value, out),
            (Type::Subcontext(it), value) if it.compression.is_none() => {
                self.demands(&it.inner, value, out);
            }
            _ => {}
        }
    }

    /// What a null pointer to an array demands: nothing to count.
    fn none_of(&self, pointee: &'m Type, out: &mut Vec<(&'m Expr, i128)>) {
        match self.defs.on_wire(pointee) {
            Type::Range(inner, ..) => self.none_of(inner, out),
            Type::Array(it) => {
                for dim in &it.dimensions {
                    let length = dim.slice.as_ref().and_then(|it| it.length.as_ref());
                    demand(&dim.extent, length, 0, out);
                }
            }
            Type::String(it) => {
                let length = it.slice.as_ref().and_then(|it| it.length.as_ref());
                demand(&it.extent, length, 0, out);
            }
            _ => {}
        }
    }

    /// What stands for something that was left out, if anything can.
    pub(super) fn absent(&self, ty: &Type) -> Option<Val> {
        match self.defs.on_wire(ty) {
            Type::Void | Type::Absent => Some(Val::Nothing),
            Type::Pointer(it) => match it.class {
                PointerClass::Ref => Some(Val::Pointer(Some(Box::new(self.absent(&it.pointee)?)))),
                PointerClass::Full => Some(Val::Full(Full::Null)),
                _ if self.is_list(it) => Some(Val::Items(Vec::new())),
                _ => Some(Val::Pointer(None)),
            },
            Type::ContextHandle => Some(Val::Handle(ContextHandle::NULL)),
            Type::Pipe(_) => Some(Val::Pipe(Pipe::default())),
            Type::Named(id) => match self.defs.item(*id).kind {
                ItemKind::ContextHandle(_) => Some(Val::Handle(ContextHandle::NULL)),
                ItemKind::Pipe(_) => Some(Val::Pipe(Pipe::default())),
                _ => None,
            },
            Type::Blob(_) => Some(Val::Bytes(Bytes::new())),
            _ => None,
        }
    }

    fn union(&mut self, it: &'m Union, value: &Value) -> Result<Val, Error> {
        let (tag_name, tag_type) = match &it.switch {
            Switch::Encapsulated { tag, ty, .. } => (tag.as_str(), Some(ty)),
            Switch::Separate { ty } => ("DISCRIMINANT", Some(ty)),
            Switch::Outside { ty } => ("DISCRIMINANT", ty.as_ref()),
        };
        let (tag, members) = match value {
            Value::Object(members) => (members.get(tag_name), Some(members)),
            other => (Some(other), None),
        };
        let tag = match (tag, tag_type) {
            (Some(tag), Some(ty)) => self.value(ty, tag).map_err(|e| e.at(tag_name))?.number(),
            (Some(tag), None) => Some(self.integer(tag).map_err(|e| e.at(tag_name))?),
            (None, _) => only_arm(it, members),
        };
        let tag = tag.and_then(|tag| i64::try_from(tag).ok());
        let tag = tag.ok_or_else(|| {
            Error::new(format!("the union's {tag_name:?} is missing"))
                .hint("write it beside the arm, or write an arm that has a case of its own")
        })?;
        let arm =
            choose(it, tag).ok_or_else(|| Error::new(format!("no arm has the case {tag}")))?;
        let field = it.arms[arm].field.as_ref();
        let names: Vec<&str> = field
            .iter()
            .map(|it| it.name.as_str())
            .chain([tag_name])
            .collect();
        if let Some(members) = members {
            json::only(members, &names)?;
        }
        let value = match field {
            None => Val::Nothing,
            Some(field) => match members.and_then(|it| it.get(&field.name)) {
                Some(given) => self
                    .value(&field.ty, given)
                    .map_err(|e| e.at(&field.name))?,
                None => self
                    .absent(&field.ty)
                    .ok_or_else(|| Error::new("is missing").at(&field.name))?,
            },
        };
        Ok(Val::Choice(Choice {
            tag,
            arm,
            value: Box::new(value),
        }))
    }

    /// Whether a pointer is to the first element of a list.
    fn is_list(&self, it: &Pointer) -> bool {
        it.class == PointerClass::Unique
            && matches!(self.defs.on_wire(&it.pointee), Type::Named(id) if self.defs.link(*id).is_some())
    }

    fn pointer(&mut self, it: &'m Pointer, value: &Value) -> Result<Val, Error> {
        match it.class {
            PointerClass::Ignore => return Ok(Val::Nothing),
            PointerClass::Full => return self.full(it, value),
            _ => {}
        }
        if self.is_list(it) {
            return match value {
                Value::Null => Ok(Val::Items(Vec::new())),
                value => self.value(&it.pointee, value),
            };
        }
        let inner = match value {
            Value::Null if it.class != PointerClass::Ref => return Ok(Val::Pointer(None)),
            Value::Object(members) if members.len() == 1 && it.class != PointerClass::Ref => {
                members.get("$some").unwrap_or(value)
            }
            other => other,
        };
        let inner = self.value(&it.pointee, inner)?;
        Ok(Val::Pointer(Some(Box::new(inner))))
    }

    fn full(&mut self, it: &'m Pointer, value: &Value) -> Result<Val, Error> {
        let label = |value: &Value| {
            let number = json::number(value).and_then(|it| u32::try_from(it).ok());
            number.filter(|it| *it > 0).ok_or_else(|| {
                Error::new("the label of a full pointer is a number of its own, from 1")
            })
        };
        match value {
            Value::Null => Ok(Val::Full(Full::Null)),
            Value::Object(members) if members.contains_key("$ref") => {
                let id = label(&members["$ref"])?;
                Ok(Val::Full(Full::Alias(id)))
            }
            Value::Object(members) if members.contains_key("$id") => {
                let id = label(&members["$id"])?;
                self.labels.insert(id);
                let inner = members.get("value").unwrap_or(&Value::Null);
                let inner = self.value(&it.pointee, inner)?;
                Ok(Val::Full(Full::Value(id, Box::new(inner))))
            }
            other => {
                let inner = self.value(&it.pointee, other)?;
                Ok(Val::Full(Full::new(inner)))
            }
        }
    }

    fn array(&mut self, it: &'m Array, value: &Value) -> Result<Val, Error> {
        if it.dimensions.len() > 1 {
            return self.matrix(it, value);
        }
        let bytes = matches!(
            self.defs.on_wire(&it.element),
            Type::Base(Base::Byte | Base::Char | Base::USmall)
        );
        let wide = matches!(self.defs.on_wire(&it.element), Type::Base(Base::WChar));
        let kind = match () {
            () if bytes => Kind::Bytes,
            () if wide => Kind::Wide,
            () => Kind::Items,
        };
        match (kind, value) {
            (Kind::Bytes, Value::String(text)) => Ok(Val::Bytes(text.clone().into_bytes().into())),
            (Kind::Bytes, Value::Object(_)) => blob(value).map(Val::Bytes),
            (Kind::Bytes, Value::Array(items)) => {
                let bytes: Result<Vec<u8>, Error> = items
                    .iter()
                    .enumerate()
                    .map(|(i, item)| {
                        let number = self.integer(item).map_err(|e| e.at_index(i))?;
                        u8::try_from(number)
                            .map_err(|_| Error::new(format!("{number} is no byte")).at_index(i))
                    })
                    .collect();
                Ok(Val::Bytes(bytes?.into()))
            }
            (Kind::Wide, Value::Array(items)) => {
                let units: Option<Vec<u16>> = items
                    .iter()
                    .map(|item| json::number(item).and_then(|it| u16::try_from(it).ok()))
                    .collect();
                let units = units.ok_or_else(|| expected("16-bit units", value))?;
                Ok(Val::Wide(WideStr::from_units(units)))
            }
            (Kind::Wide, value) => text(Encoding::Utf16, value),
            (_, Value::Array(items)) => self.items(&it.element, items).map(Val::Items),
            (_, other) => Err(expected("an array", other)),
        }
    }

    fn items(&mut self, element: &'m Type, items: &[Value]) -> Result<Vec<Val>, Error> {
        let mut made = Vec::with_capacity(items.len());
        for (i, item) in items.iter().enumerate() {
            made.push(self.value(element, item).map_err(|e| e.at_index(i))?);
        }
        Ok(made)
    }

    /// An array of several dimensions: arrays in arrays, all of the same length in each dimension.
    fn matrix(&mut self, it: &'m Array, value: &Value) -> Result<Val, Error> {
        let mut matrix = Matrix::default();
        let mut row = value;
        for _ in &it.dimensions {
            let Value::Array(items) = row else {
                return Err(expected("an array of arrays", row));
            };
            matrix.dims.push(items.len());
            row = items.first().unwrap_or(&Value::Null);
            if items.is_empty() {
                matrix.dims.resize(it.dimensions.len(), 0);
                return Ok(Val::Matrix(matrix));
            }
        }
        let dims = matrix.dims.clone();
        self.rows(&it.element, value, &dims, &mut matrix.items)?;
        Ok(Val::Matrix(matrix))
    }

    fn rows(
        &mut self,
        element: &'m Type,
        value: &Value,
        dims: &[usize],
        out: &mut Vec<Val>,
    ) -> Result<(), Error> {
        let Some((len, rest)) = dims.split_first() else {
            out.push(self.value(element, value)?);
            return Ok(());
        };
        match value {
            Value::Array(items) if items.len() == *len => {
                for (i, item) in items.iter().enumerate() {
                    self.rows(element, item, rest, out)
                        .map_err(|e| e.at_index(i))?;
                }
                Ok(())
            }
            Value::Array(items) => Err(Error::new(format!(
                "a row of {} elements, the first has {len}",
                items.len()
            ))),
            other => Err(expected("an array", other)),
        }
    }

    pub(super) fn pipe(&mut self, element: &'m Type, value: &Value) -> Result<Val, Error> {
        let items = match value {
            Value::Array(items) => self.items(element, items)?,
            Value::Object(_) => {
                let bytes = blob(value)?;
                bytes
                    .iter()
                    .map(|byte| Val::Int(i128::from(*byte)))
                    .collect()
            }
            other => return Err(expected("an array", other)),
        };
        Ok(Val::Pipe(Pipe(items)))
    }
}

/// Adds what an array of `len` elements demands.
fn demand<'m>(
    extent: &'m Extent,
    length: Option<&'m Expr>,
    len: usize,
    out: &mut Vec<(&'m Expr, i128)>,
) {
    let len = i128::try_from(len).unwrap_or(i128::MAX);
    if let Some(length) = length {
        out.push((length, len));
    }
    if let Extent::Conformant(Some(size)) | Extent::Computed(size) = extent {
        out.push((size, len));
    }
}

/// The case of the only arm that the object has a member for.
fn only_arm(it: &Union, members: Option<&Map<String, Value>>) -> Option<i128> {
    let members = members?;
    let mut arms = it.arms.iter().filter(|arm| {
        let field = arm.field.as_ref();
        field.is_some_and(|field| members.contains_key(&field.name))
    });
    let first = arms.next()?;
    let only = arms.next().is_none();
    first
        .cases
        .first()
        .filter(|_| only)
        .map(|case| case.value.into())
}

fn text(encoding: Encoding, value: &Value) -> Result<Val, Error> {
    let made = match (value, json::bytes(value)) {
        (Value::String(text), _) if is_wide(encoding) => Val::Wide(WideStr::from(text.as_str())),
        (Value::String(text), _) => Val::Text(Str::from(text.as_str())),
        (_, Some(bytes)) if is_wide(encoding) => {
            let (units, _) =
                bytes?
                    .as_chunks::<2>()
                    .0
                    .iter()
                    .fold((Vec::new(), ()), |(mut units, ()), pair| {
                        units.push(u16::from_le_bytes(*pair));
                        (units, ())
                    });
            Val::Wide(WideStr::from_units(units))
        }
        (_, Some(bytes)) => Val::Text(Str::from(bytes?)),
        (other, None) => return Err(expected("a string", other)),
    };
    Ok(made)
}

fn texts(encoding: Encoding, value: &Value) -> Result<Val, Error> {
    let Value::Array(items) = value else {
        return Err(expected("an array of strings", value));
    };
    let (mut wides, mut narrow) = (Vec::new(), Vec::new());
    for (i, item) in items.iter().enumerate() {
        match text(encoding, item).map_err(|e| e.at_index(i))? {
            Val::Wide(text) => wides.push(text),
            Val::Text(text) => narrow.push(text),
            _ => {}
        }
    }
    Ok(match is_wide(encoding) {
        true => Val::Wides(wides),
        false => Val::Texts(narrow),
    })
}

fn blob(value: &Value) -> Result<Bytes, Error> {
    match (value, json::bytes(value)) {
        (_, Some(bytes)) => bytes.map(Bytes::from),
        (Value::String(text), None) => Ok(text.clone().into_bytes().into()),
        (other, None) => Err(expected("bytes", other).hint("write {\"$hex\": \"0102\"}")),
    }
}

/// A context handle by the name that it has on the wire.
fn handle(value: &Value) -> Result<Val, Error> {
    let (name, attributes) = match value {
        Value::Null => return Ok(Val::Handle(ContextHandle::NULL)),
        Value::Object(members) => (members.get("$handle"), members.get("attributes")),
        other => (Some(other), None),
    };
    let uuid = name.and_then(Value::as_str).and_then(|it| it.parse().ok());
    let uuid: Uuid = uuid.ok_or_else(|| {
        expected("a context handle", value).hint("write {\"$handle\": \"UUID\"}, or null")
    })?;
    let attributes = attributes.and_then(json::number).unwrap_or(0);
    Ok(Val::Handle(ContextHandle {
        attributes: u32::try_from(attributes).unwrap_or(0),
        uuid,
    }))
}

fn address(base: Base, text: &str) -> Result<Val, Error> {
    let bytes = match base {
        Base::Ipv4 => text
            .parse::<std::net::Ipv4Addr>()
            .map(|it| it.octets().to_vec()),
        _ => text
            .parse::<std::net::Ipv6Addr>()
            .map(|it| it.octets().to_vec()),
    };
    bytes
        .map(Val::Address)
        .map_err(|_| Error::new(format!("{text:?} is no address")))
}

fn expected(what: &str, value: &Value) -> Error {
    Error::new(format!("expected {what}, got {}", json::kind(value)))
}
