//! Random values of a model's types, as JSON, out of random bytes: when these run out, the rest
//! of the value is as small as its type allows. So shorter bytes make simpler values, and a
//! failure shrinks by itself.

use farcall_idl::model::{Arm, Union};
use farcall_idl::{ItemId, ItemKind, Model, Type};
use serde_json::{Map, Value, json};

/// Makes values from bytes.
pub(crate) struct Choices<'a> {
    model: &'a Model,
    bytes: &'a [u8],
    depth: usize,
    letters: &'static [char],
}

impl<'a> Choices<'a> {
    pub(crate) fn new(model: &'a Model, bytes: &'a [u8]) -> Self {
        Self {
            model,
            bytes,
            depth: 0,
            letters: &['a', 'Z', '"', '\0'],
        }
    }

    /// No string holds a byte 0: C's strings end there.
    #[allow(dead_code)]
    pub(crate) fn without_nul(mut self) -> Self {
        self.letters = &['a', 'Z', '"', 'ä'];
        self
    }

    fn byte(&mut self) -> u8 {
        let Some((first, rest)) = self.bytes.split_first() else {
            return 0;
        };
        self.bytes = rest;
        *first
    }

    /// Eight bytes, often of a special number.
    fn word(&mut self) -> u64 {
        match self.byte() {
            0..32 => 0,
            32..64 => u64::MAX,
            64..96 => 1 << 63,
            96..128 => u64::from(self.byte()),
            _ => u64::from_be_bytes([(); 8].map(|()| self.byte())),
        }
    }

    /// Anything below `n`.
    fn below(&mut self, n: usize) -> usize {
        usize::from(self.byte()) % n.max(1)
    }

    /// How many elements: fewer the deeper it gets.
    fn count(&mut self, max: Option<u32>) -> usize {
        let most = [5, 3, 2, 1].get(self.depth / 2).copied().unwrap_or(0);
        let max = usize::try_from(max.unwrap_or(u32::MAX)).unwrap_or(usize::MAX);
        self.below(most + 1).min(max)
    }

    fn opaque(&mut self, n: usize) -> Value {
        let digits: String = (0..n).map(|_| format!("{:02x}", self.byte())).collect();
        json!({ "$hex": digits })
    }

    fn text(&mut self, max: Option<u32>) -> Value {
        let n = self.count(max);
        let max = usize::try_from(max.unwrap_or(u32::MAX)).unwrap_or(usize::MAX);
        let mut text = String::new();
        for _ in 0..n {
            let letter = self.letters[self.below(4)];
            if text.len() + letter.len_utf8() <= max {
                text.push(letter);
            }
        }
        json!(text)
    }

    /// A value of the type, in the form in which it is decoded.
    pub(crate) fn value(&mut self, ty: &Type) -> Value {
        match ty {
            Type::Void => Value::Null,
            Type::Int => json!(self.word() as i32),
            Type::UInt => json!(self.word() as u32),
            Type::Hyper => json!((self.word() as i64).to_string()),
            Type::UHyper => json!(self.word().to_string()),
            Type::Float => single(f32::from_bits(self.word() as u32)),
            Type::Double => double(f64::from_bits(self.word())),
            Type::Quadruple => json!(format!("0x{:016x}{:016x}", self.word(), self.word())),
            Type::Bool => json!(self.byte() & 1 == 1),
            Type::Small {
                bits: 8,
                signed: true,
            } => json!(self.byte() as i8),
            Type::Small {
                bits: 8,
                signed: false,
            } => json!(self.byte()),
            Type::Small { signed: true, .. } => json!(self.word() as i16),
            Type::Small { signed: false, .. } => json!(self.word() as u16),
            Type::OpaqueFixed(n) => self.opaque(*n as usize),
            Type::OpaqueVar(max) => {
                let n = self.count(*max);
                self.opaque(n)
            }
            Type::String(max) => self.text(*max),
            Type::Named(id) => self.item(*id),
            Type::Array(inner, n) => self.many(*n as usize, |choices| choices.value(inner)),
            Type::Vec(inner, max) => {
                let n = self.count(*max);
                self.many(n, |choices| choices.value(inner))
            }
            Type::Optional(_) if self.depth > 8 => Value::Null,
            Type::Optional(inner) => match self.byte() & 1 {
                0 => Value::Null,
                _ => self.value(inner),
            },
            Type::List(id) => {
                let n = self.count(None);
                self.many(n, |choices| choices.item(*id))
            }
            Type::Chain(id) => {
                let n = self.count(None) + 1;
                self.many(n, |choices| choices.item(*id))
            }
        }
    }

    fn many(&mut self, n: usize, mut one: impl FnMut(&mut Self) -> Value) -> Value {
        Value::Array((0..n).map(|_| one(self)).collect())
    }

    fn item(&mut self, id: ItemId) -> Value {
        self.depth += 1;
        let model = self.model;
        let value = match &model.item(id).kind {
            ItemKind::Const(_) => Value::Null,
            ItemKind::Typedef(ty) => self.value(ty),
            ItemKind::Enum(it) => json!(it.values[self.below(it.values.len())].name),
            ItemKind::Struct(it) => {
                let members = it.fields.iter();
                members
                    .map(|f| (f.name.clone(), self.value(&f.ty)))
                    .collect::<Map<_, _>>()
                    .into()
            }
            ItemKind::Union(it) => self.union(it),
        };
        self.depth -= 1;
        value
    }

    fn union(&mut self, it: &Union) -> Value {
        let (tag, arm) = self.arm(it);
        let mut members = Map::from_iter([(it.discriminant.name.clone(), tag)]);
        if let Some(field) = &arm.field {
            members.insert(field.name.clone(), self.value(&field.ty));
        }
        Value::Object(members)
    }

    /// An arm and a discriminant that chooses it; deep down the first, which ends recursion.
    fn arm<'u>(&mut self, it: &'u Union) -> (Value, &'u Arm) {
        let arms: Vec<&Arm> = it.arms.iter().chain(&it.default).collect();
        let arm = match self.depth > 8 {
            true => arms[0],
            false => arms[self.below(arms.len())],
        };
        match arm.cases.len() {
            0 => match self.other(it) {
                Some(chosen) => (self.tag(it, chosen), arm),
                None => (self.tag(it, it.arms[0].cases[0].value), &it.arms[0]),
            },
            n => {
                let chosen = arm.cases[self.below(n)].value;
                (self.tag(it, chosen), arm)
            }
        }
    }

    /// A discriminant without a case.
    fn other(&self, it: &Union) -> Option<i64> {
        let taken = |n: &i64| {
            it.arms
                .iter()
                .flat_map(|arm| &arm.cases)
                .all(|case| case.value != *n)
        };
        match self.model.as_enum(&it.discriminant.ty) {
            Some((_, named)) => named.values.iter().map(|v| i64::from(v.value)).find(taken),
            None => (0..).find(taken),
        }
    }

    fn tag(&self, it: &Union, chosen: i64) -> Value {
        if let Some((_, named)) = self.model.as_enum(&it.discriminant.ty) {
            let value = named.values.iter().find(|v| i64::from(v.value) == chosen);
            return json!(value.expect("cases name values").name);
        }
        match self.model.resolve(&it.discriminant.ty) {
            Type::Bool => json!(chosen == 1),
            _ => json!(chosen),
        }
    }
}

fn single(number: f32) -> Value {
    match number.is_finite() {
        true => double(number.to_string().parse().expect("a number's own digits")),
        false => double(f64::from(number)),
    }
}

fn double(number: f64) -> Value {
    match number {
        n if n.is_nan() => json!("NaN"),
        f64::INFINITY => json!("Infinity"),
        f64::NEG_INFINITY => json!("-Infinity"),
        n => json!(n),
    }
}
