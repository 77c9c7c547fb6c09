//! What is known of an `.idl` model before its first line of Rust is written: names, which types
//! are `Copy` or recursive, alignments, and which values have a second walk.
//!
//! Read first: C706 section 14.2.2 and 14.3 (alignment), MS-RPCE section 2.2.5 (NDR64).

use crate::config::Config;
use crate::model::Model;
use crate::model::ndr::{
    Arm, Array, Base, Bitmap, Definitions, Enum, EnumWidth, Extent, Field, Flags, InterfaceId,
    ItemId, ItemKind, Parameter, Pointer, PointerClass, Str, Struct, Switch, Type, Union,
};

use super::super::names::{self, PRELUDE, Scope};

/// Arrays up to this length are arrays in Rust, longer ones are vectors: only these have a
/// `Default`.
const SHORT: u32 = 32;

/// All decisions about one `.idl` file.
pub(crate) struct Plan<'m> {
    pub(crate) defs: &'m Definitions,
    pub(crate) config: &'m Config,
    facts: Vec<Facts>,
    modules: Vec<String>,
}

/// Decisions about one item.
#[derive(Clone, Debug, Default)]
struct Facts {
    /// Its name in Rust.
    name: String,
    /// The names of its members, values or variants in Rust.
    members: Vec<String>,
    recursive: bool,
    copy: bool,
    total: bool,
    /// It is a UUID under another name.
    uuid: bool,
    /// The field that points to the next of a list.
    link: Option<usize>,
}

/// Alignment in NDR and in NDR64.
pub(crate) type Aligned = (u8, u8);

fn larger(a: Aligned, b: Aligned) -> Aligned {
    (a.0.max(b.0), a.1.max(b.1))
}

impl<'m> Plan<'m> {
    pub(crate) fn new(model: &'m Model, config: &'m Config) -> Self {
        let defs = model.ndr();
        let mut plan = Self {
            defs,
            config,
            facts: vec![Facts::default(); defs.items().count()],
            modules: Vec::new(),
        };
        plan.settle();
        plan.name_items();
        plan.name_members();
        plan
    }

    fn facts(&self, id: ItemId) -> &Facts {
        &self.facts[id.0 as usize]
    }

    /// The item's name in Rust.
    pub(crate) fn name(&self, id: ItemId) -> &str {
        &self.facts(id).name
    }

    /// The name of an interface's module.
    pub(crate) fn module(&self, id: InterfaceId) -> &str {
        &self.modules[id.0 as usize]
    }

    /// The names of an item's members, values or variants, in order.
    pub(crate) fn members(&self, id: ItemId) -> &[String] {
        &self.facts(id).members
    }

    /// Whether a pointer to the item needs a box.
    pub(crate) fn is_recursive(&self, id: ItemId) -> bool {
        self.facts(id).recursive
    }

    pub(crate) fn is_copy(&self, id: ItemId) -> bool {
        self.facts(id).copy
    }

    pub(crate) fn is_total(&self, id: ItemId) -> bool {
        self.facts(id).total
    }

    /// The path of the type that stands for this item and is not generated.
    pub(crate) fn extern_path(&self, id: ItemId) -> Option<&str> {
        if self.converted(id).is_some() {
            return None;
        }
        let mapped = self.config.extern_paths.get(&self.defs.item(id).name);
        let uuid = self.facts(id).uuid.then_some("::farcall_wire::Uuid");
        mapped.map(String::as_str).or(uuid)
    }

    /// The program's own type that stands for a typedef with a conversion, if it is mapped.
    pub(crate) fn converted(&self, id: ItemId) -> Option<&str> {
        let item = self.defs.item(id);
        match &item.kind {
            ItemKind::Typedef(it) if it.conversion.is_some() => {
                self.config.extern_paths.get(&item.name).map(String::as_str)
            }
            _ => None,
        }
    }

    /// The typedef with a conversion that the type names, if the program's own type stands for it.
    pub(crate) fn own(&self, ty: &Type) -> Option<ItemId> {
        match self.behind(ty) {
            Type::Named(id) if self.converted(*id).is_some() => Some(*id),
            _ => None,
        }
    }

    /// Whether values of the type are the program's own, and cannot be made before the pointers in them are read.
    pub(crate) fn waits(&self, ty: &Type) -> bool {
        match self.own(ty).map(|id| &self.defs.item(id).kind) {
            Some(ItemKind::Typedef(it)) => self.has_referents(&it.ty),
            _ => false,
        }
    }

    /// The type behind typedefs that are generated here.
    pub(crate) fn behind<'a>(&'a self, ty: &'a Type) -> &'a Type {
        let mut ty = ty;
        while let Type::Named(id) = ty
            && self.extern_path(*id).is_none()
            && let ItemKind::Typedef(it) = &self.defs.item(*id).kind
            && self.converted(*id).is_none()
        {
            ty = &it.ty;
        }
        ty
    }

    /// The field of a struct that points to the next one, if its values are elements of lists.
    pub(crate) fn link(&self, id: ItemId) -> Option<usize> {
        self.facts(id).link
    }

    /// The struct whose list a value of the type is.
    pub(crate) fn list_of(&self, ty: &Type) -> Option<ItemId> {
        match self.behind(ty) {
            Type::Named(id) if self.link(*id).is_some() && self.extern_path(*id).is_none() => {
                Some(*id)
            }
            _ => None,
        }
    }

    /// Whether a field is a field in Rust.
    pub(crate) fn is_field(&self, field: &Field) -> bool {
        !field.skip && !matches!(self.behind(&field.ty), Type::Absent)
    }

    fn settle(&mut self) {
        let ids: Vec<ItemId> = self.defs.items().map(|(id, _)| id).collect();
        for id in &ids {
            self.facts[id.0 as usize].uuid = self.is_uuid(*id);
            self.facts[id.0 as usize].link = self.defs.link(*id);
        }
        for id in &ids {
            let recursive = self.reaches(*id);
            let (copy, total) = (
                self.holds(*id, Self::ty_copy),
                self.holds(*id, Self::ty_total),
            );
            let facts = &mut self.facts[id.0 as usize];
            (facts.recursive, facts.copy, facts.total) = (recursive, copy && !recursive, total);
        }
    }

    /// Whether the item is a UUID: by its name and by its layout.
    fn is_uuid(&self, id: ItemId) -> bool {
        let item = self.defs.item(id);
        let name = item.name.trim_start_matches('_').to_ascii_lowercase();
        let ItemKind::Struct(it) = &item.kind else {
            return false;
        };
        let [a, b, c, rest @ ..] = &it.fields[..] else {
            return false;
        };
        let size = |field: &Field| match self.behind(&field.ty) {
            Type::Base(base) => Some(u32::from(base.size())),
            Type::Array(array) => match (&array.element, &array.dimensions[..]) {
                (Type::Base(base), [dim]) if base.size() == 1 => match dim.extent {
                    Extent::Fixed(n) => Some(n),
                    _ => None,
                },
                _ => None,
            },
            _ => None,
        };
        let bytes: Option<u32> = rest.iter().map(size).sum();
        matches!(&name[..], "guid" | "uuid" | "uuid_t" | "rpc_uuid")
            && [size(a), size(b), size(c), bytes] == [Some(4), Some(2), Some(2), Some(8)]
    }

    /// Whether values of the item contain others of the same type, boxes left out.
    fn reaches(&self, id: ItemId) -> bool {
        let mut seen = vec![false; self.facts.len()];
        let mut open = vec![id];
        while let Some(next) = open.pop() {
            let mut inside = Vec::new();
            self.types_of(next, &mut |ty| self.inside(ty, &mut inside));
            for one in inside {
                if one == id {
                    return true;
                }
                if !std::mem::replace(&mut seen[one.0 as usize], true) {
                    open.push(one);
                }
            }
        }
        false
    }

    /// The types that an item is made of.
    fn types_of<'a>(&'a self, id: ItemId, visit: &mut dyn FnMut(&'a Type)) {
        match &self.defs.item(id).kind {
            ItemKind::Struct(it) => {
                let link = self.link(id);
                let fields = it.fields.iter().enumerate();
                let fields = fields.filter(|(at, field)| link != Some(*at) && self.is_field(field));
                fields.for_each(|(_, field)| visit(&field.ty));
            }
            ItemKind::Union(it) => it.arms.iter().for_each(|arm| {
                if let Some(field) = &arm.field {
                    visit(&field.ty);
                }
            }),
            ItemKind::Typedef(it) => visit(&it.ty),
            ItemKind::Const { .. }
            | ItemKind::Enum(_)
            | ItemKind::Bitmap(_)
            | ItemKind::ContextHandle(_)
            | ItemKind::Pipe(_) => {}
        }
    }

    /// The items that a value of the type has in itself in Rust.
    fn inside(&self, ty: &Type, found: &mut Vec<ItemId>) {
        match ty {
            // A list is elsewhere, in a vector.
            Type::Named(_) if self.list_of(ty).is_some() => {}
            Type::Named(id) | Type::Union(id, _) => found.push(*id),
            Type::Range(inner, ..) => self.inside(inner, found),
            Type::Pointer(it) if it.class != PointerClass::Full => self.inside(&it.pointee, found),
            Type::Array(it) if self.is_short(it) => self.inside(&it.element, found),
            Type::Subcontext(it) => self.inside(&it.inner, found),
            _ => {}
        }
    }

    fn holds(&self, id: ItemId, good: fn(&Self, &Type, u32) -> bool) -> bool {
        good(self, &Type::Named(id), 16)
    }

    /// Whether values of the type are `Copy`; not deeper than so many levels.
    fn ty_copy(&self, ty: &Type, depth: u32) -> bool {
        let Some(depth) = depth.checked_sub(1) else {
            return false;
        };
        match ty {
            Type::Void | Type::Absent | Type::Base(_) | Type::ContextHandle => true,
            Type::Range(inner, ..) => self.ty_copy(inner, depth),
            Type::Pointer(it) if it.class == PointerClass::Ignore => true,
            Type::Array(it) => self.is_short(it) && self.ty_copy(&it.element, depth),
            Type::Named(id) => match &self.defs.item(*id).kind {
                _ if self.facts(*id).uuid => true,
                _ if self.extern_path(*id).is_some() || self.link(*id).is_some() => false,
                ItemKind::Enum(_) | ItemKind::Bitmap(_) | ItemKind::ContextHandle(_) => true,
                ItemKind::Typedef(it) => {
                    self.converted(*id).is_none() && self.ty_copy(&it.ty, depth)
                }
                ItemKind::Struct(it) => {
                    let mut fields = it.fields.iter().filter(|field| self.is_field(field));
                    fields.all(|field| self.ty_copy(&field.ty, depth))
                }
                _ => false,
            },
            _ => false,
        }
    }

    /// Whether values of the type are `Eq` and `Hash`; deeper than so many levels they are, since
    /// then they contain themselves.
    fn ty_total(&self, ty: &Type, depth: u32) -> bool {
        let Some(depth) = depth.checked_sub(1) else {
            return true;
        };
        match ty {
            Type::Base(base) => !matches!(base, Base::Float | Base::Double),
            Type::Range(inner, ..) | Type::Pipe(inner) => self.ty_total(inner, depth),
            Type::Pointer(it) => self.ty_total(&it.pointee, depth),
            Type::Array(it) => self.ty_total(&it.element, depth),
            Type::Subcontext(it) => self.ty_total(&it.inner, depth),
            Type::Named(id) | Type::Union(id, _) => {
                if self.extern_path(*id).is_some() {
                    return self.facts(*id).uuid;
                }
                let kind = &self.defs.item(*id).kind;
                let mut total = self.converted(*id).is_none();
                self.types_of(*id, &mut |ty| total = total && self.ty_total(ty, depth));
                match kind {
                    ItemKind::Pipe(inner) => self.ty_total(inner, depth),
                    _ => total,
                }
            }
            _ => true,
        }
    }

    /// Whether an array of one fixed dimension, or of several, is an array in Rust.
    pub(crate) fn is_short(&self, it: &Array) -> bool {
        it.dimensions
            .iter()
            .all(|dim| dim.slice.is_none() && matches!(dim.extent, Extent::Fixed(n) if n <= SHORT))
    }

    fn name_items(&mut self) {
        let wanted: Vec<String> = self
            .defs
            .items()
            .map(|(_, item)| match item.kind {
                ItemKind::Const { .. } => names::screaming(&item.name),
                _ => names::camel(&item.name),
            })
            .collect();
        let given = Scope::new(PRELUDE).claim_all(&wanted);
        for (facts, name) in self.facts.iter_mut().zip(given) {
            facts.name = name;
        }
        let interfaces = self.defs.interfaces();
        let wanted: Vec<String> = interfaces.map(|(_, it)| names::snake(&it.name)).collect();
        self.modules = Scope::new(&["core", "farcall", "farcall_wire", "ndr", "pickles", "std"])
            .claim_all(&wanted);
    }

    fn name_members(&mut self) {
        for (id, item) in self.defs.items() {
            let members = match &item.kind {
                ItemKind::Struct(it) => fields(it),
                ItemKind::Enum(Enum { values, .. })
                | ItemKind::Bitmap(Bitmap { bits: values, .. }) => {
                    let originals: Vec<&str> = values.iter().map(|it| it.name.as_str()).collect();
                    let prefix = names::common_prefix(&originals);
                    let short =
                        |name: &&str| names::screaming(name.get(prefix.len()..).unwrap_or(""));
                    let wanted: Vec<String> = originals.iter().map(short).collect();
                    Scope::new(&[]).claim_all(&wanted)
                }
                ItemKind::Union(it) => variants(it),
                _ => Vec::new(),
            };
            self.facts[id.0 as usize].members = members;
        }
    }

    /// The alignment of a value of the type inside of something else.
    pub(crate) fn align(&self, ty: &Type) -> Aligned {
        match ty {
            Type::Void | Type::Absent => (1, 1),
            Type::Base(base) => (base.align(), base.align64()),
            Type::Range(inner, ..) => self.align(inner),
            Type::Named(id) => self.item_align(*id),
            Type::Union(id, _) => self.item_align(*id),
            Type::Pointer(it) => match it.class {
                PointerClass::Relative => (4, 4),
                PointerClass::RelativeShort => (2, 2),
                _ => (4, 8),
            },
            Type::Array(it) => {
                let varying = it.dimensions.iter().any(|dim| dim.slice.is_some());
                larger(
                    self.align(&it.element),
                    if varying { (4, 8) } else { (1, 1) },
                )
            }
            Type::String(it) => {
                let unit = if is_wide(it) { (2, 2) } else { (1, 1) };
                larger(
                    unit,
                    if it.slice.is_some() || it.terminated {
                        (4, 8)
                    } else {
                        (1, 1)
                    },
                )
            }
            Type::Interface(_) | Type::ContextHandle => (4, 4),
            Type::Pipe(_) => (4, 8),
            Type::FlaggedString(it) => {
                use crate::model::ndr::StringCounts as Counts;
                match it.counts {
                    Counts::Size4 | Counts::Length4 | Counts::SizeLength4 => (4, 4),
                    Counts::Size2 | Counts::LargeSize => (2, 2),
                    Counts::None | Counts::Fixed(_) => (1, 1),
                }
            }
            Type::StringArray(_) => (1, 1),
            Type::Blob(it) => match it {
                crate::model::ndr::Blob::Counted => (4, 4),
                _ => (1, 1),
            },
            Type::Subcontext(it) => {
                use crate::model::ndr::SubcontextHeader as Header;
                match it.header {
                    Header::None | Header::Pickle => (1, 1),
                    Header::Short => (2, 2),
                    Header::Long => (4, 4),
                }
            }
        }
    }

    fn item_align(&self, id: ItemId) -> Aligned {
        match &self.defs.item(id).kind {
            ItemKind::Enum(it) => enum_align(it.width),
            ItemKind::Bitmap(it) => (it.width / 8, it.width / 8),
            ItemKind::Struct(it) => self.struct_align(it),
            ItemKind::Union(it) => match &it.switch {
                Switch::Encapsulated { ty, .. } | Switch::Separate { ty } => {
                    larger(self.align(ty), self.arms_align(it))
                }
                Switch::Outside { .. } => self.arms_align(it),
            },
            ItemKind::Typedef(it) => self.align(&it.ty),
            ItemKind::ContextHandle(_) => (4, 4),
            ItemKind::Pipe(_) => (4, 8),
            ItemKind::Const { .. } => (1, 1),
        }
    }

    pub(crate) fn struct_align(&self, it: &Struct) -> Aligned {
        if it.flags.no_align {
            return (1, 1);
        }
        let fields = it.fields.iter().filter(|field| self.is_field(field));
        fields.fold((1, 1), |all, field| larger(all, self.field_align(field)))
    }

    fn field_align(&self, field: &Field) -> Aligned {
        match field.flags.align {
            _ if field.flags.no_align => (1, 1),
            Some(align) => larger((align, align), self.align(&field.ty)),
            None => self.align(&field.ty),
        }
    }

    /// The strictest alignment of a union's arms.
    pub(crate) fn arms_align(&self, it: &Union) -> Aligned {
        let fields = it.arms.iter().filter_map(|arm| arm.field.as_ref());
        fields.fold((1, 1), |all, field| larger(all, self.field_align(field)))
    }

    /// Fewest bytes of a value's flat part.
    pub(crate) fn min(&self, ty: &Type) -> u64 {
        match ty {
            Type::Base(base) => base.size().into(),
            Type::Range(inner, ..) => self.min(inner),
            Type::Named(id) | Type::Union(id, _) => self.item_min(*id),
            Type::Pointer(it) => match it.class {
                PointerClass::RelativeShort => 2,
                _ => 4,
            },
            Type::Array(it) if it.dimensions.iter().all(|dim| dim.slice.is_none()) => {
                let mut count = 1_u64;
                for dim in &it.dimensions {
                    count = count.saturating_mul(match dim.extent {
                        Extent::Fixed(n) => n.into(),
                        _ => 0,
                    });
                }
                match count {
                    0 => 0,
                    _ => self.min(&it.element).saturating_mul(count),
                }
            }
            Type::ContextHandle => 20,
            Type::Pipe(_) | Type::Interface(_) => 4,
            _ => 0,
        }
    }

    fn item_min(&self, id: ItemId) -> u64 {
        match &self.defs.item(id).kind {
            ItemKind::Enum(it) => enum_align(it.width).0.into(),
            ItemKind::Bitmap(it) => u64::from(it.width / 8),
            ItemKind::Struct(it) => self.struct_min(it),
            ItemKind::Union(it) => match &it.switch {
                Switch::Encapsulated { ty, .. } | Switch::Separate { ty } => self.min(ty),
                Switch::Outside { .. } => 0,
            },
            ItemKind::Typedef(it) => self.min(&it.ty),
            ItemKind::ContextHandle(_) => 20,
            ItemKind::Pipe(_) => 4,
            ItemKind::Const { .. } => 0,
        }
    }

    pub(crate) fn struct_min(&self, it: &Struct) -> u64 {
        let fields = it.fields.iter().filter(|field| self.is_field(field));
        fields.fold(0, |sum, field| sum.saturating_add(self.min(&field.ty)))
    }

    /// Whether values of the type have pointers in their flat part.
    pub(crate) fn has_referents(&self, ty: &Type) -> bool {
        match ty {
            Type::Range(inner, ..) => self.has_referents(inner),
            Type::Pointer(it) => it.class != PointerClass::Ignore,
            Type::Array(it) => self.has_referents(&it.element),
            Type::Named(id) | Type::Union(id, _) => {
                let mut has = self.link(*id).is_some()
                    || self.extern_path(*id).is_some() && !self.facts(*id).uuid;
                self.types_of(*id, &mut |ty| has = has || self.has_referents(ty));
                has
            }
            _ => false,
        }
    }

    /// Whether a value of the type has maximum counts in front of it.
    pub(crate) fn is_conformant(&self, ty: &Type) -> bool {
        match ty {
            Type::Range(inner, ..) => self.is_conformant(inner),
            Type::Array(it) => {
                let mut dims = it.dimensions.iter();
                dims.any(|dim| matches!(dim.extent, Extent::Conformant(_)))
            }
            Type::String(it) => matches!(it.extent, Extent::Conformant(_)),
            Type::Interface(_) => true,
            Type::Named(id) => match &self.defs.item(*id).kind {
                ItemKind::Typedef(it) => self.is_conformant(&it.ty),
                ItemKind::Struct(it) => self.conformant_field(it).is_some(),
                _ => false,
            },
            _ => false,
        }
    }

    /// The field of a struct whose maximum counts are in front of it.
    pub(crate) fn conformant_field(&self, it: &Struct) -> Option<usize> {
        let mut fields = it.fields.iter().enumerate();
        let found = fields.find(|(_, field)| self.is_field(field) && self.is_conformant(&field.ty));
        found.map(|(at, _)| at)
    }
}

/// Whether characters of a string are UTF-16.
pub(crate) fn is_wide(it: &Str) -> bool {
    use crate::model::ndr::Encoding;
    matches!(it.encoding, Encoding::Utf16 | Encoding::Utf16Munged)
}

fn enum_align(width: EnumWidth) -> Aligned {
    match width {
        EnumWidth::Bits8 => (1, 1),
        EnumWidth::Bits16 => (2, 2),
        EnumWidth::Default => (2, 4),
        EnumWidth::Bits32 => (4, 4),
    }
}

fn fields(it: &Struct) -> Vec<String> {
    let wanted: Vec<String> = it.fields.iter().map(|it| names::snake(&it.name)).collect();
    Scope::new(&["self"]).claim_all(&wanted)
}

fn variants(it: &Union) -> Vec<String> {
    let wanted: Vec<String> = it.arms.iter().map(variant).collect();
    Scope::new(&["Self", "Tag"]).claim_all(&wanted)
}

fn variant(arm: &Arm) -> String {
    if let Some(field) = &arm.field {
        return names::camel(&field.name);
    }
    match arm.cases.first() {
        _ if arm.default => "Default".to_owned(),
        Some(case) => match &case.name {
            Some(name) => names::camel(name),
            None if case.value < 0 => format!("CaseMinus{}", case.value.unsigned_abs()),
            None => format!("Case{}", case.value),
        },
        None => "Empty".to_owned(),
    }
}

/// A parameter's type without the reference pointers that have no form on the wire.
pub(crate) fn passed(parameter: &Parameter) -> &Type {
    let mut ty = &parameter.ty;
    while let Type::Pointer(it) = ty
        && let Pointer {
            class: PointerClass::Ref,
            pointee,
            ..
        } = &**it
    {
        ty = pointee;
    }
    ty
}

/// Whether flags change anything.
pub(crate) fn acts(flags: Flags) -> bool {
    flags.no_align || flags.align.is_some() || flags.big_endian.is_some() || flags.no_ndr64
}
