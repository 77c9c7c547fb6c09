//! What is known of an interface before its first line of Rust is written: every name, and which
//! types are `Copy`, recursive, or borrow.
//!
//! It reads a model and a configuration and decides; [`types`](super::types) and
//! [`codec`](super::codec) print what was decided here.

use crate::config::Config;
use crate::model::{
    Arm, Case, Enum, Field, Item, ItemId, ItemKind, Model, Procedure, Struct, Type, Union,
};

use super::names::{self, PRELUDE, Scope};

/// Whether generated values own their strings and opaque data, or borrow them from the message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    Owned,
    Borrowed,
}

/// What holds opaque data or a string.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Holder {
    /// `Vec<u8>`, for opaque data.
    Vec,
    /// `farcall_wire::Str`, for strings.
    Str,
    /// `farcall_wire::Bytes`.
    Bytes,
    /// `String`, for strings.
    String,
    /// `&'a [u8]`.
    Slice,
    /// `&'a str`, for strings that are `String` when they own.
    Text,
}

/// Fixed arrays above this length, in bytes on the wire or in elements, are boxed: they would
/// overflow the stack.
const LARGE: usize = 4096;

/// When a variant of a generated union is chosen.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Choice<'m> {
    /// By this discriminant.
    Case(&'m str, i64),
    /// By any discriminant that no other variant has; the variant keeps it.
    Default,
}

/// A variant of a generated union.
#[derive(Clone, Debug)]
pub(crate) struct Variant<'m> {
    pub(crate) name: String,
    pub(crate) choice: Choice<'m>,
    pub(crate) field: Option<&'m Field>,
    pub(crate) docs: &'m str,
}

/// All decisions about one interface.
#[derive(Debug)]
pub(crate) struct Plan<'m> {
    pub(crate) model: &'m Model,
    pub(crate) config: &'m Config,
    facts: Vec<Facts>,
}

/// Decisions about one item.
#[derive(Clone, Debug, Default)]
struct Facts {
    /// Its name in Rust.
    name: String,
    /// The name of its borrowing twin, if it gets one.
    twin: Option<String>,
    /// The names of its members or values in Rust.
    members: Vec<String>,
    /// Its values contain others of the same type.
    recursive: bool,
    /// It is `Copy`.
    copy: bool,
    /// It is `Eq` and `Hash`.
    total: bool,
    /// It contains opaque data or strings of variable length.
    lends: bool,
    /// Measuring it checks a discriminant, so it must not be skipped.
    checked: bool,
}

impl<'m> Plan<'m> {
    pub(crate) fn new(model: &'m Model, config: &'m Config) -> Self {
        let facts = vec![Facts::default(); model.items().count()];
        let mut plan = Self {
            model,
            config,
            facts,
        };
        plan.settle_properties();
        plan.name_items();
        plan.name_members();
        plan.name_twins();
        plan
    }

    fn facts(&self, id: ItemId) -> &Facts {
        &self.facts[id.0 as usize]
    }

    /// The item's name in Rust.
    pub(crate) fn name(&self, id: ItemId) -> &str {
        &self.facts(id).name
    }

    /// The name of the item's borrowing twin, if it gets one.
    pub(crate) fn twin(&self, id: ItemId) -> Option<&str> {
        self.facts(id).twin.as_deref()
    }

    /// The names of a struct's members or an enum's values, in order.
    pub(crate) fn members(&self, id: ItemId) -> &[String] {
        &self.facts(id).members
    }

    /// Whether decoding the item must count levels.
    pub(crate) fn is_recursive(&self, id: ItemId) -> bool {
        self.facts(id).recursive
    }

    /// Whether the item is `Copy`.
    pub(crate) fn is_copy(&self, id: ItemId) -> bool {
        self.facts(id).copy
    }

    /// Whether the item is `Eq` and `Hash`.
    pub(crate) fn is_total(&self, id: ItemId) -> bool {
        self.facts(id).total
    }

    /// The path of the type that the user has for this item, if it is mapped.
    pub(crate) fn extern_path(&self, id: ItemId) -> Option<&'m str> {
        let name = &self.model.item(id).name;
        self.config.extern_paths.get(name).map(String::as_str)
    }

    /// Whether the enum keeps numbers that it does not list.
    pub(crate) fn is_open(&self, id: ItemId) -> bool {
        self.config.open_enums.contains(&self.model.item(id).name)
    }

    /// The length of every value of the type, if it is known and measuring may be skipped.
    pub(crate) fn flat_len(&self, ty: &Type) -> Option<usize> {
        self.model.fixed_len(ty).filter(|_| !self.is_checked(ty))
    }

    /// What holds the opaque data or string at `place`.
    pub(crate) fn holder(&self, ty: &Type, place: &str, form: Form) -> Holder {
        let text = matches!(ty, Type::String(_));
        let (string, bytes) = (&self.config.string, &self.config.bytes);
        let utf8 = text && (string.names(place) || string.contains(place) && !bytes.names(place));
        match (form, text) {
            (Form::Borrowed, _) if utf8 => Holder::Text,
            (Form::Borrowed, _) => Holder::Slice,
            _ if utf8 => Holder::String,
            _ if bytes.contains(place) => Holder::Bytes,
            (Form::Owned, true) => Holder::Str,
            (Form::Owned, false) => Holder::Vec,
        }
    }

    /// Whether the procedure's server gets arguments that borrow.
    pub(crate) fn lends_arguments(&self, procedure: &Procedure) -> bool {
        self.config.borrowed_arguments.contains(&procedure.name)
    }

    /// The type behind typedefs that are generated here, and the place that its configuration
    /// is looked up under.
    pub(crate) fn behind<'a>(&'a self, ty: &'a Type, place: &'a str) -> (&'a Type, &'a str) {
        let (mut ty, mut place) = (ty, place);
        while let Type::Named(id) = ty
            && self.extern_path(*id).is_none()
            && let Item {
                name,
                kind: ItemKind::Typedef(target),
                ..
            } = self.model.item(*id)
        {
            (ty, place) = (target, name);
        }
        (ty, place)
    }

    /// Whether an optional value of the type needs memory of its own.
    pub(crate) fn is_boxed(&self, inner: &Type) -> bool {
        let mut named = Vec::new();
        named_by(inner, &mut named);
        named.into_iter().any(|id| self.is_recursive(id))
    }

    /// Whether values of the type borrow in the borrowed form.
    pub(crate) fn lends(&self, ty: &Type) -> bool {
        match ty {
            Type::OpaqueVar(_) | Type::String(_) => true,
            Type::Named(id) | Type::List(id) | Type::Chain(id) => self.twin(*id).is_some(),
            Type::Array(inner, _) | Type::Vec(inner, _) | Type::Optional(inner) => {
                self.lends(inner)
            }
            _ => false,
        }
    }

    /// Whether the type is a fixed array that is boxed.
    pub(crate) fn is_large(&self, ty: &Type) -> bool {
        match ty {
            Type::OpaqueFixed(n) => *n as usize > LARGE,
            Type::Array(_, n) => *n as usize > LARGE || self.model.min_len(ty) > LARGE,
            _ => false,
        }
    }

    /// Whether the type is `Copy`, and small enough to be.
    pub(crate) fn copies(&self, ty: &Type) -> bool {
        match ty {
            _ if self.is_large(ty) => false,
            Type::OpaqueFixed(n) => *n <= 64,
            Type::Array(inner, n) => *n <= 64 && self.copies(inner),
            Type::Optional(inner) => !self.is_boxed(inner) && self.copies(inner),
            Type::Named(id) => self.is_copy(*id),
            Type::OpaqueVar(_) | Type::String(_) | Type::Vec(..) => false,
            Type::List(_) | Type::Chain(_) => false,
            _ => true,
        }
    }

    fn is_total_type(&self, ty: &Type) -> bool {
        match ty {
            Type::Float | Type::Double => false,
            Type::Named(id) | Type::List(id) | Type::Chain(id) => self.is_total(*id),
            Type::Array(inner, _) | Type::Vec(inner, _) | Type::Optional(inner) => {
                self.is_total_type(inner)
            }
            _ => true,
        }
    }

    fn holds_bytes(&self, ty: &Type) -> bool {
        match ty {
            Type::OpaqueVar(_) | Type::String(_) => true,
            Type::Named(id) | Type::List(id) | Type::Chain(id) => self.facts(*id).lends,
            Type::Array(inner, _) | Type::Vec(inner, _) | Type::Optional(inner) => {
                self.holds_bytes(inner)
            }
            _ => false,
        }
    }

    fn is_checked(&self, ty: &Type) -> bool {
        match ty {
            Type::Named(id) => self.facts(*id).checked,
            Type::Array(inner, _) => self.is_checked(inner),
            _ => false,
        }
    }

    /// Works out the properties that depend on what an item contains, until none changes.
    fn settle_properties(&mut self) {
        let ids: Vec<ItemId> = self.model.items().map(|(id, _)| id).collect();
        for id in &ids {
            let known = self.extern_path(*id).is_none();
            let facts = Facts {
                recursive: self.model.is_recursive(*id),
                copy: known,
                total: known,
                ..Facts::default()
            };
            self.facts[id.0 as usize] = facts;
        }
        loop {
            let mut settled = true;
            for id in &ids {
                settled &= !self.update(*id);
            }
            if settled {
                return;
            }
        }
    }

    /// Works out the item's properties anew; tells whether one changed.
    fn update(&mut self, id: ItemId) -> bool {
        if self.extern_path(id).is_some() {
            return false;
        }
        let types = types_of(self.model.item(id));
        let old = self.facts(id);
        let new = (
            old.copy && !self.model.is_list_node(id) && types.iter().all(|ty| self.copies(ty)),
            old.total && types.iter().all(|ty| self.is_total_type(ty)),
            old.lends || types.iter().any(|ty| self.holds_bytes(ty)),
            old.checked || self.keeps_raw(id) || types.iter().any(|ty| self.is_checked(ty)),
        );
        let changed = new != (old.copy, old.total, old.lends, old.checked);
        let facts = &mut self.facts[id.0 as usize];
        (facts.copy, facts.total, facts.lends, facts.checked) = new;
        changed
    }

    /// Whether the item is a union with a variant that keeps its discriminant.
    fn keeps_raw(&self, id: ItemId) -> bool {
        match &self.model.item(id).kind {
            ItemKind::Union(it) => {
                it.default.is_some() && *self.model.resolve(&it.discriminant.ty) != Type::Bool
            }
            _ => false,
        }
    }

    /// Names all items. Who keeps its name goes first, then source order decides.
    fn name_items(&mut self) {
        let mut scope = Scope::new(PRELUDE);
        let wanted: Vec<(ItemId, String, bool)> = self
            .model
            .items()
            .map(|(id, item)| {
                let name = match item.kind {
                    ItemKind::Const(_) => names::screaming(&item.name),
                    _ => names::camel(&item.name),
                };
                let kept = name == item.name;
                (id, name, kept)
            })
            .collect();
        for first in [true, false] {
            let round: Vec<_> = wanted.iter().filter(|(.., kept)| *kept == first).collect();
            let wishes: Vec<String> = round.iter().map(|(_, name, _)| name.clone()).collect();
            for ((id, ..), name) in round.into_iter().zip(scope.claim_all(&wishes)) {
                self.facts[id.0 as usize].name = name;
            }
        }
    }

    fn name_members(&mut self) {
        for (id, item) in self.model.items() {
            let wanted: Vec<String> = match &item.kind {
                ItemKind::Struct(it) => it.fields.iter().map(|f| names::snake(&f.name)).collect(),
                ItemKind::Enum(it) => self.value_names(id, it),
                _ => continue,
            };
            let mut scope = Scope::new(if self.is_open(id) { &[] } else { &["Self"] });
            self.facts[id.0 as usize].members = scope.claim_all(&wanted);
        }
    }

    fn value_names(&self, id: ItemId, it: &Enum) -> Vec<String> {
        let case = if self.is_open(id) {
            names::screaming
        } else {
            names::camel
        };
        it.values.iter().map(|value| case(&value.name)).collect()
    }

    /// Chooses the types that get a twin: those asked for, and what they contain.
    fn name_twins(&mut self) {
        if self.config.borrowed.is_empty() && self.config.borrowed_arguments.is_empty() {
            return;
        }
        let mut scope = Scope::new(PRELUDE);
        for facts in &self.facts {
            scope.claim(&facts.name);
        }
        let asked = self.model.items();
        let mut open: Vec<ItemId> = asked
            .filter(|(_, item)| self.config.borrowed.contains(&item.name))
            .map(|(id, _)| id)
            .collect();
        let versions = self.model.programs().iter().flat_map(|it| &it.versions);
        for procedure in versions.flat_map(|version| &version.procedures) {
            if self.lends_arguments(procedure) {
                procedure
                    .args
                    .iter()
                    .for_each(|arg| mentioned(&arg.ty, &mut open));
            }
        }
        let mut chosen = vec![false; self.facts.len()];
        while let Some(id) = open.pop() {
            let facts = self.facts(id);
            if !facts.lends || std::mem::replace(&mut chosen[id.0 as usize], true) {
                continue;
            }
            open.extend(self.model.references(id));
        }
        for (facts, chosen) in self.facts.iter_mut().zip(chosen) {
            if chosen {
                facts.twin = Some(scope.claim(&format!("{}Ref", facts.name)));
            }
        }
    }

    /// The variants that a union becomes: one for each case, and one for the rest.
    pub(crate) fn variants(&self, it: &'m Union) -> Vec<Variant<'m>> {
        let mut variants: Vec<Variant<'m>> = Vec::new();
        let boolean = *self.model.resolve(&it.discriminant.ty) == Type::Bool;
        for arm in &it.arms {
            variants.extend(arm.cases.iter().map(|case| of_case(arm, case)));
        }
        if let Some(arm) = &it.default {
            if boolean {
                variants.extend(missing_booleans(it, arm));
            } else {
                variants.push(variant("Default".to_owned(), Choice::Default, arm));
            }
        }
        let wanted: Vec<String> = variants.iter().map(|v| v.name.clone()).collect();
        let given = Scope::new(&["Self"]).claim_all(&wanted);
        for (variant, name) in variants.iter_mut().zip(given) {
            variant.name = name;
        }
        variants
    }
}

fn variant<'m>(name: String, choice: Choice<'m>, arm: &'m Arm) -> Variant<'m> {
    Variant {
        name,
        choice,
        field: arm.field.as_ref(),
        docs: &arm.docs,
    }
}

fn of_case<'m>(arm: &'m Arm, case: &'m Case) -> Variant<'m> {
    let name = match &case.name {
        Some(name) => names::camel(name),
        None if case.value < 0 => format!("CaseMinus{}", case.value.unsigned_abs()),
        None => format!("Case{}", case.value),
    };
    let choice = Choice::Case(case.name.as_deref().unwrap_or(""), case.value);
    variant(name, choice, arm)
}

/// The booleans that have no case of their own, as variants of the default arm.
fn missing_booleans<'m>(it: &'m Union, arm: &'m Arm) -> Vec<Variant<'m>> {
    let taken = |value: i64| {
        let mut cases = it.arms.iter().flat_map(|arm| &arm.cases);
        cases.any(|case| case.value == value)
    };
    [("TRUE", 1), ("FALSE", 0)]
        .into_iter()
        .filter(|(_, value)| !taken(*value))
        .map(|(name, value)| variant(names::camel(name), Choice::Case(name, value), arm))
        .collect()
}

/// The types that a definition is made of.
fn types_of(item: &Item) -> Vec<&Type> {
    match &item.kind {
        ItemKind::Const(_) | ItemKind::Enum(_) => Vec::new(),
        ItemKind::Typedef(ty) => vec![ty],
        ItemKind::Struct(Struct { fields, .. }) => fields.iter().map(|f| &f.ty).collect(),
        ItemKind::Union(it) => {
            let arms = it.arms.iter().chain(&it.default);
            let carried = arms.filter_map(|arm| arm.field.as_ref()).map(|f| &f.ty);
            std::iter::once(&it.discriminant.ty)
                .chain(carried)
                .collect()
        }
    }
}

/// All definitions that a type mentions.
fn mentioned(ty: &Type, found: &mut Vec<ItemId>) {
    match ty {
        Type::Named(id) | Type::List(id) | Type::Chain(id) => found.push(*id),
        Type::Array(inner, _) | Type::Vec(inner, _) | Type::Optional(inner) => {
            mentioned(inner, found);
        }
        _ => {}
    }
}

fn named_by(ty: &Type, found: &mut Vec<ItemId>) {
    match ty {
        Type::Named(id) => found.push(*id),
        Type::Array(inner, _) | Type::Optional(inner) => named_by(inner, found),
        _ => {}
    }
}
