//! The resolved model of an interface: what every language lowers to, and all that is known to
//! the emitter and to the dynamic codec.
//!
//! Every name in it is resolved and every check has been done, so whoever reads it never fails.
//! These hold for each model that `parse_str` returns:
//!
//! - names of items are unique; so are members of a struct, values of an enum, cases of a union,
//!   and the names and numbers of programs, versions and procedures;
//! - every type but [`Type::Void`] takes at least 4 bytes on the wire, and no fixed-size type
//!   takes more than 2^24;
//! - no type contains itself except behind an optional, a list or a variable-length array;
//! - a list node (see [`Struct::link`]) is named by [`Type::List`] and [`Type::Chain`] only,
//!   never by [`Type::Named`].

pub mod ndr;

use std::collections::HashMap;

use crate::diag::{SourceMap, Span};

/// One item of a [`Model`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ItemId(pub u32);

impl ItemId {
    fn index(self) -> usize {
        self.0 as usize
    }
}

/// A type as it stands in a member, an argument or a result.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Type {
    /// Nothing: no bytes.
    Void,
    /// Signed, 32 bits.
    Int,
    /// Unsigned, 32 bits.
    UInt,
    /// Signed, 64 bits.
    Hyper,
    /// Unsigned, 64 bits.
    UHyper,
    /// IEEE single precision.
    Float,
    /// IEEE double precision.
    Double,
    /// IEEE quadruple precision, 16 bytes.
    Quadruple,
    /// 0 or 1.
    Bool,
    /// The rpcgen dialect's `char` and `short`: 4 bytes on the wire.
    Small {
        /// 8 or 16.
        bits: u8,
        /// Whether it is signed.
        signed: bool,
    },
    /// `opaque x[n]`.
    OpaqueFixed(u32),
    /// `opaque x<max>`; `None` for `<>`.
    OpaqueVar(Option<u32>),
    /// `string x<max>`; `None` for `<>`.
    String(Option<u32>),
    /// An enum, struct, union or typedef.
    Named(ItemId),
    /// `T x[n]`.
    Array(Box<Type>, u32),
    /// `T x<max>`; `None` for `<>`.
    Vec(Box<Type>, Option<u32>),
    /// `T *x`.
    Optional(Box<Type>),
    /// `node *x`, where `node` is a list node: none or more of them.
    List(ItemId),
    /// A plain `node x`, where `node` is a list node: one or more of them.
    Chain(ItemId),
}

/// A member of a struct, or the value that an arm of a union carries.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Field {
    /// Its name in the interface.
    pub name: String,
    /// Its type.
    pub ty: Type,
    /// The comment in front of it or behind it, markers removed; empty if there is none.
    pub docs: String,
    /// Its declaration.
    pub span: Span,
}

/// A value of an enum.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EnumValue {
    /// Its name in the interface.
    pub name: String,
    /// Its number on the wire.
    pub value: i32,
    /// The comment in front of it or behind it.
    pub docs: String,
    /// Its definition.
    pub span: Span,
}

/// An enum. It has at least one value; no two have the same number.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Enum {
    /// The values, in source order.
    pub values: Vec<EnumValue>,
    /// Further names of values that are in `values` under another name.
    pub aliases: Vec<EnumValue>,
}

/// A struct.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Struct {
    /// The members, in wire order, without the link of a list node.
    pub fields: Vec<Field>,
    /// If the last member is an optional pointer to the struct itself (directly or through a
    /// typedef), that member's name: the struct is a list node.
    pub link: Option<String>,
}

/// What a union's discriminant is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Discriminant {
    /// Its name in the interface.
    pub name: String,
    /// Its type as written: resolves to `Int`, `UInt`, `Bool` or an enum.
    pub ty: Type,
}

/// One value of a discriminant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Case {
    /// The value on the wire; within 32 bits, signed or unsigned as the discriminant is.
    pub value: i64,
    /// The name of the enum's value; for a boolean `FALSE` or `TRUE`; for an integer the
    /// constant's name if one was written.
    pub name: Option<String>,
    /// Where it is written.
    pub span: Span,
}

/// An arm of a union.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Arm {
    /// The values that choose it: at least one; none for the default arm.
    pub cases: Vec<Case>,
    /// What it carries; `None` for `void`.
    pub field: Option<Field>,
    /// The comment in front of it.
    pub docs: String,
    /// The arm.
    pub span: Span,
}

/// A discriminated union.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Union {
    /// What chooses the arm.
    pub discriminant: Discriminant,
    /// The arms with cases, in source order.
    pub arms: Vec<Arm>,
    /// The default arm.
    pub default: Option<Arm>,
}

/// What an item is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ItemKind {
    /// A constant, from `const` or from a `#define` with a number; within -2^63..2^64.
    Const(i128),
    /// An enum.
    Enum(Enum),
    /// A struct.
    Struct(Struct),
    /// A union.
    Union(Union),
    /// Another name for a type.
    Typedef(Type),
}

/// A definition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Item {
    /// Its name in the interface. Types nested without a name are called `Outer_field`.
    pub name: String,
    /// The comment in front of it.
    pub docs: String,
    /// Its name's place, or the nested definition's.
    pub span: Span,
    /// What it is.
    pub kind: ItemKind,
}

/// An argument of a procedure. Never `void`: a procedure without arguments has none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Arg {
    /// Its name, if one was written.
    pub name: Option<String>,
    /// Its type.
    pub ty: Type,
    /// Where it is declared.
    pub span: Span,
}

/// What the author promises about a procedure, by pragma comments.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Properties {
    /// Executing it twice is as good as once (`@idempotent`).
    pub idempotent: bool,
    /// Its handler blocks its thread (`@blocking`).
    pub blocking: bool,
}

/// A procedure.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Procedure {
    /// Its number.
    pub number: u32,
    /// Its name in the interface.
    pub name: String,
    /// Its arguments, in wire order.
    pub args: Vec<Arg>,
    /// Its result.
    pub result: Type,
    /// The comment in front of it or behind it, without pragmas.
    pub docs: String,
    /// What its author promises.
    pub properties: Properties,
    /// Its definition.
    pub span: Span,
}

/// A version of a program.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Version {
    /// Its number.
    pub number: u32,
    /// Its name in the interface.
    pub name: String,
    /// Its procedures, sorted by number.
    pub procedures: Vec<Procedure>,
    /// The comment in front of it.
    pub docs: String,
    /// Its name's place.
    pub span: Span,
}

/// A program.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Program {
    /// Its number.
    pub number: u32,
    /// Its name in the interface.
    pub name: String,
    /// Its versions, sorted by number.
    pub versions: Vec<Version>,
    /// The comment in front of it.
    pub docs: String,
    /// Its name's place.
    pub span: Span,
}

/// A `%` line: text for the C compiler, which is kept and has no meaning here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Passthrough {
    /// The line without its `%`.
    pub text: String,
    /// The line.
    pub span: Span,
}

/// How many bytes an item's values take on the wire.
#[derive(Clone, Copy, Debug, Default)]
struct Extent {
    min: usize,
    fixed: Option<usize>,
}

/// An interface file and everything it includes, resolved and checked.
#[derive(Clone, Debug, Default)]
pub struct Model {
    items: Vec<Item>,
    programs: Vec<Program>,
    passthrough: Vec<Passthrough>,
    sources: SourceMap,
    by_name: HashMap<String, ItemId>,
    extents: Vec<Extent>,
    ndr: ndr::Definitions,
}

impl Model {
    /// A model of parts that are resolved and checked already.
    pub fn new(
        items: Vec<Item>,
        programs: Vec<Program>,
        passthrough: Vec<Passthrough>,
        sources: SourceMap,
    ) -> Self {
        let ids = (0..).map(ItemId);
        let by_name = items
            .iter()
            .zip(ids)
            .map(|(item, id)| (item.name.clone(), id))
            .collect();
        let extents = vec![Extent::default(); items.len()];
        let mut model = Self {
            items,
            programs,
            passthrough,
            sources,
            by_name,
            extents,
            ndr: ndr::Definitions::default(),
        };
        for id in model.innermost_first() {
            let extent = model.item_extent(id);
            if let Some(slot) = model.extents.get_mut(id.index()) {
                *slot = extent;
            }
        }
        model
    }

    /// A model of what an `.idl` file defines.
    pub fn with_ndr(
        ndr: ndr::Definitions,
        passthrough: Vec<Passthrough>,
        sources: SourceMap,
    ) -> Self {
        Self {
            ndr,
            ..Self::new(Vec::new(), Vec::new(), passthrough, sources)
        }
    }

    /// What an `.idl` file defines; empty for `.x` files, as everything else here is for `.idl` files.
    pub fn ndr(&self) -> &ndr::Definitions {
        &self.ndr
    }

    /// All items, in source order; an item nested without a name follows the one it is nested in.
    pub fn items(&self) -> impl Iterator<Item = (ItemId, &Item)> {
        (0..).map(ItemId).zip(&self.items)
    }

    /// The item.
    ///
    /// # Panics
    /// If `id` comes from another model.
    pub fn item(&self, id: ItemId) -> &Item {
        &self.items[id.index()]
    }

    /// The item with this name in the interface.
    pub fn lookup(&self, name: &str) -> Option<ItemId> {
        self.by_name.get(name).copied()
    }

    /// All programs, in source order.
    pub fn programs(&self) -> &[Program] {
        &self.programs
    }

    /// The `%` lines, in source order.
    pub fn passthrough(&self) -> &[Passthrough] {
        &self.passthrough
    }

    /// The files that were read.
    pub fn sources(&self) -> &SourceMap {
        &self.sources
    }

    /// The files alone, when the model is not wanted after all.
    pub(crate) fn into_sources(self) -> SourceMap {
        self.sources
    }

    /// The type behind a chain of typedefs: never [`Type::Named`] of a typedef.
    pub fn resolve<'a>(&'a self, ty: &'a Type) -> &'a Type {
        let mut ty = ty;
        while let Type::Named(id) = ty
            && let ItemKind::Typedef(target) = &self.item(*id).kind
        {
            ty = target;
        }
        ty
    }

    /// The enum that the type resolves to, if it is one.
    pub fn as_enum(&self, ty: &Type) -> Option<(ItemId, &Enum)> {
        match self.resolve(ty) {
            Type::Named(id) => match &self.item(*id).kind {
                ItemKind::Enum(it) => Some((*id, it)),
                _ => None,
            },
            _ => None,
        }
    }

    /// Whether the item is a struct whose last member points to itself.
    pub fn is_list_node(&self, id: ItemId) -> bool {
        matches!(
            &self.item(id).kind,
            ItemKind::Struct(Struct { link: Some(_), .. })
        )
    }

    /// The items that the item's definition names, with repetitions.
    pub fn references(&self, id: ItemId) -> Vec<ItemId> {
        let mut found = Vec::new();
        for ty in self.types_of(id) {
            collect(ty, &mut found);
        }
        found
    }

    /// Whether values of `from` may contain values of `to`, at any depth. An item reaches itself
    /// only if it is recursive; the link of a list node does not count.
    pub fn reaches(&self, from: ItemId, to: ItemId) -> bool {
        let mut seen = vec![false; self.items.len()];
        let mut open = self.references(from);
        while let Some(id) = open.pop() {
            if id == to {
                return true;
            }
            if !std::mem::replace(&mut seen[id.index()], true) {
                open.extend(self.references(id));
            }
        }
        false
    }

    /// Whether values of the item may contain further values of it. A list node alone is not
    /// recursive: its chain is a sequence.
    pub fn is_recursive(&self, id: ItemId) -> bool {
        self.reaches(id, id)
    }

    /// The number of bytes that every value of the type takes, if they all take the same.
    pub fn fixed_len(&self, ty: &Type) -> Option<usize> {
        self.extent(ty).fixed
    }

    /// The number of bytes that a value of the type takes at least.
    pub fn min_len(&self, ty: &Type) -> usize {
        self.extent(ty).min
    }

    /// The types that the item's definition is made of, in wire order.
    fn types_of(&self, id: ItemId) -> Vec<&Type> {
        types_of(&self.item(id).kind)
    }

    /// The items in an order in which what one directly contains comes before it.
    fn innermost_first(&self) -> Vec<ItemId> {
        let mut order = Vec::with_capacity(self.items.len());
        let mut seen = vec![false; self.items.len()];
        for (root, _) in self.items() {
            let mut stack = vec![(root, false)];
            while let Some((id, done)) = stack.pop() {
                if done {
                    order.push(id);
                } else if !std::mem::replace(&mut seen[id.index()], true) {
                    stack.push((id, true));
                    let inner = directly_contained(&self.item(id).kind);
                    stack.extend(inner.into_iter().map(|id| (id, false)));
                }
            }
        }
        order
    }

    fn item_extent(&self, id: ItemId) -> Extent {
        match &self.item(id).kind {
            ItemKind::Const(_) => Extent::default(),
            ItemKind::Enum(_) => Extent {
                min: 4,
                fixed: Some(4),
            },
            ItemKind::Typedef(ty) => self.extent(ty),
            ItemKind::Struct(it) => {
                let start = Extent {
                    min: 0,
                    fixed: Some(0),
                };
                it.fields
                    .iter()
                    .fold(start, |sum, field| sum.then(self.extent(&field.ty)))
            }
            ItemKind::Union(it) => self.union_extent(it),
        }
    }

    fn union_extent(&self, it: &Union) -> Extent {
        let arms = it.arms.iter().chain(&it.default);
        let mut extents = arms.map(|arm| {
            arm.field.as_ref().map_or(
                Extent {
                    min: 0,
                    fixed: Some(0),
                },
                |f| self.extent(&f.ty),
            )
        });
        let first = extents.next().unwrap_or_default();
        let arm = extents.fold(first, |all, one| Extent {
            min: all.min.min(one.min),
            fixed: all.fixed.filter(|len| one.fixed == Some(*len)),
        });
        Extent {
            min: 4,
            fixed: Some(4),
        }
        .then(arm)
    }

    fn extent(&self, ty: &Type) -> Extent {
        let known = |len: usize| Extent {
            min: len,
            fixed: Some(len),
        };
        let at_least = |min: usize| Extent { min, fixed: None };
        match ty {
            Type::Void => known(0),
            Type::Int | Type::UInt | Type::Float | Type::Bool | Type::Small { .. } => known(4),
            Type::Hyper | Type::UHyper | Type::Double => known(8),
            Type::Quadruple => known(16),
            Type::OpaqueFixed(n) => known((*n as usize).next_multiple_of(4)),
            Type::OpaqueVar(_) | Type::String(_) | Type::Vec(..) => at_least(4),
            Type::Optional(_) | Type::List(_) => at_least(4),
            Type::Named(id) => self.extents.get(id.index()).copied().unwrap_or_default(),
            Type::Chain(id) => {
                let node = self.extents.get(id.index()).copied().unwrap_or_default();
                at_least(node.min.saturating_add(4))
            }
            Type::Array(element, n) => self.extent(element).times(*n as usize),
        }
    }
}

impl Extent {
    fn then(self, next: Extent) -> Extent {
        let both = self.fixed.zip(next.fixed);
        let fixed = both.map(|(a, b)| a.saturating_add(b));
        Extent {
            min: self.min.saturating_add(next.min),
            fixed,
        }
    }

    fn times(self, n: usize) -> Extent {
        let fixed = self.fixed.map(|len| len.saturating_mul(n));
        Extent {
            min: self.min.saturating_mul(n),
            fixed,
        }
    }
}

/// The types that a definition is made of, in wire order.
fn types_of(kind: &ItemKind) -> Vec<&Type> {
    match kind {
        ItemKind::Const(_) | ItemKind::Enum(_) => Vec::new(),
        ItemKind::Typedef(ty) => vec![ty],
        ItemKind::Struct(it) => it.fields.iter().map(|field| &field.ty).collect(),
        ItemKind::Union(it) => {
            let arms = it.arms.iter().chain(&it.default);
            let carried = arms
                .filter_map(|arm| arm.field.as_ref())
                .map(|field| &field.ty);
            std::iter::once(&it.discriminant.ty)
                .chain(carried)
                .collect()
        }
    }
}

/// The items whose values lie directly inside values of a definition.
pub(crate) fn directly_contained(kind: &ItemKind) -> Vec<ItemId> {
    types_of(kind).into_iter().filter_map(contained).collect()
}

/// The item whose values lie directly inside values of the type.
fn contained(ty: &Type) -> Option<ItemId> {
    match ty {
        Type::Named(id) | Type::Chain(id) => Some(*id),
        Type::Array(element, _) => contained(element),
        _ => None,
    }
}

/// Adds all items that the type names.
fn collect(ty: &Type, found: &mut Vec<ItemId>) {
    match ty {
        Type::Named(id) | Type::List(id) | Type::Chain(id) => found.push(*id),
        Type::Array(element, _) | Type::Vec(element, _) | Type::Optional(element) => {
            collect(element, found);
        }
        _ => {}
    }
}
