//! Whether two definitions of one name say the same: then the second one is forgotten.

use std::collections::{HashMap, HashSet};
use std::fmt::Write as _;

use super::Lower;
use super::names::Symbol;
use crate::diag::Span;
use crate::model::ndr::{Constant, Item, ItemId, ItemKind, Switch, Type, Typedef};

impl Lower<'_> {
    // req: idl-midl-redefinition
    /// Reports definitions that are there twice and differ; those that do not are returned.
    pub(super) fn compare_twice(&mut self) -> HashSet<ItemId> {
        let mut repeated = HashSet::new();
        let mut seen = HashSet::new();
        let pairs = std::mem::take(&mut self.twice);
        // In what is compared, the second is taken for the first.
        let first_of: HashMap<ItemId, ItemId> = pairs.iter().map(|(a, b)| (*b, *a)).collect();
        for (first, second) in pairs {
            if first == second || !seen.insert((first, second)) {
                continue;
            }
            let same = self.is_same(first, second, &first_of);
            repeated.insert(second);
            let (a, b) = (self.draft(first).span, self.draft(second).span);
            let name = self.items.get(second.0 as usize).map(|it| it.name.clone());
            if !same && !self.lost {
                let name = self.common_name(first, second).or(name).unwrap_or_default();
                self.report_twice(&name, b, a);
            }
        }
        self.compare_values();
        repeated
    }

    /// Reports values and constants that are there twice with different numbers.
    fn compare_values(&mut self) {
        for (name, second, first, place) in std::mem::take(&mut self.values_twice) {
            let a = self.value_of(first, place);
            let b = self.value_of(second, name.span);
            if a != b && !self.lost {
                self.report_twice(&name.text, name.span, place);
            }
        }
    }

    fn value_of(&mut self, symbol: Symbol, span: Span) -> Option<i128> {
        match symbol {
            Symbol::Value(id, index) => self.enum_values(id, span).get(index).copied().flatten(),
            Symbol::Const(id) => match self.items.get(id.0 as usize).map(|it| &it.kind) {
                Some(ItemKind::Const {
                    value: Constant::Integer(value),
                    ..
                }) => Some(*value),
                _ => None,
            },
            Symbol::Type(_) => None,
        }
    }

    /// The name under which both are declared.
    fn common_name(&self, first: ItemId, second: ItemId) -> Option<String> {
        let (a, b) = (self.draft(first), self.draft(second));
        let text = self.sources.text(b.span);
        let is_name =
            !text.is_empty() && text.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
        is_name
            .then(|| text.to_owned())
            .or_else(|| Some(a.name.clone()))
    }

    fn is_same(&self, first: ItemId, second: ItemId, first_of: &HashMap<ItemId, ItemId>) -> bool {
        let (Some(a), Some(b)) = (
            self.items.get(first.0 as usize),
            self.items.get(second.0 as usize),
        ) else {
            return false;
        };
        self.signature(a, first_of) == self.signature(b, first_of)
    }

    /// What a definition says, without names of its own and places.
    fn signature(&self, item: &Item, first_of: &HashMap<ItemId, ItemId>) -> String {
        let mut out = String::new();
        match &item.kind {
            ItemKind::Const { value, .. } => {
                let _ = write!(out, "const {value:?}");
            }
            ItemKind::Enum(it) => {
                for value in &it.values {
                    let _ = write!(out, "{}={},", value.name, value.value);
                }
            }
            ItemKind::Bitmap(it) => {
                let _ = write!(out, "bitmap {}", it.width);
                for value in &it.bits {
                    let _ = write!(out, "{}={},", value.name, value.value);
                }
            }
            ItemKind::Struct(it) => {
                out.push_str("struct ");
                for field in &it.fields {
                    let _ = write!(out, "{}:", field.name);
                    self.sign(&field.ty, &mut out, first_of);
                    out.push(';');
                }
            }
            ItemKind::Union(it) => {
                match &it.switch {
                    Switch::Encapsulated { ty, .. } | Switch::Separate { ty } => {
                        self.sign(ty, &mut out, first_of)
                    }
                    Switch::Outside { .. } => out.push_str("outside"),
                }
                for arm in &it.arms {
                    let cases: Vec<i64> = arm.cases.iter().map(|it| it.value).collect();
                    let _ = write!(out, "{cases:?}{}", arm.default);
                    if let Some(field) = &arm.field {
                        self.sign(&field.ty, &mut out, first_of);
                    }
                }
            }
            ItemKind::Typedef(Typedef { ty, conversion }) => {
                self.sign(ty, &mut out, first_of);
                if conversion.is_some() {
                    out.push_str(" converted");
                }
            }
            ItemKind::ContextHandle(_) => out.push_str("context handle"),
            ItemKind::Pipe(ty) => {
                out.push_str("pipe ");
                self.sign(ty, &mut out, first_of);
            }
        }
        out
    }

    fn sign(&self, ty: &Type, out: &mut String, first_of: &HashMap<ItemId, ItemId>) {
        match ty {
            Type::Named(id) | Type::Union(id, _) => {
                let id = first_of.get(id).unwrap_or(id);
                let Some(item) = self.items.get(id.0 as usize) else {
                    return;
                };
                match &item.kind {
                    ItemKind::Typedef(Typedef {
                        ty,
                        conversion: None,
                    }) if !matches!(ty, Type::Named(inner) if inner == id) => {
                        self.sign(ty, out, first_of)
                    }
                    _ => out.push_str(&item.name),
                }
            }
            Type::Pointer(it) => {
                let _ = write!(out, "*{:?} ", it.class);
                self.sign(&it.pointee, out, first_of);
            }
            Type::Array(it) => {
                let _ = write!(out, "{:?}", it.dimensions);
                self.sign(&it.element, out, first_of);
            }
            Type::Range(inner, low, high) => {
                let _ = write!(out, "{low}..{high} ");
                self.sign(inner, out, first_of);
            }
            Type::Pipe(inner) => self.sign(inner, out, first_of),
            Type::Subcontext(it) => self.sign(&it.inner, out, first_of),
            other => {
                let _ = write!(out, "{other:?}");
            }
        }
    }
}
