//! Alignments, and which types begin with maximum counts.
//!
//! Read first: C706 sections 14.2.2 and 14.3.7.1, MS-RPCE 2.2.5.

use farcall_wire::ndr::Align;

use crate::model::ndr::{
    Base, Blob, Definitions, EnumWidth, Extent, Field, ItemId, ItemKind, PointerClass, Struct,
    Switch, Type, Union,
};

/// Deepest nesting of types by value.
const DEPTH: u32 = 256;

/// The alignment of each struct and union, worked out once.
#[derive(Clone, Debug)]
pub(super) struct Layout {
    structs: Vec<Align>,
    /// Of unions: the strictest alignment of the arms.
    arms: Vec<Align>,
    conformant: Vec<bool>,
    /// Of structs that make lists: the field that points to the next one.
    links: Vec<Option<usize>>,
}

impl Layout {
    pub(super) fn new(defs: &Definitions) -> Self {
        let count = defs.items().count();
        let mut it = Self {
            structs: vec![Align::A1; count],
            arms: vec![Align::A1; count],
            conformant: vec![false; count],
            links: defs.items().map(|(id, _)| defs.link(id)).collect(),
        };
        let mut done = vec![false; count];
        for (id, item) in defs.items() {
            if item.used {
                it.settle(defs, id, &mut done, 0);
            }
        }
        it
    }

    /// The field of a struct that points to the next one, if its values make lists.
    pub(super) fn link(&self, id: ItemId) -> Option<usize> {
        self.links.get(id.0 as usize).copied().flatten()
    }

    /// Whether values of the type are lists.
    pub(super) fn is_list(&self, defs: &Definitions, ty: &Type) -> bool {
        matches!(defs.on_wire(ty), Type::Named(id) if self.link(*id).is_some())
    }

    /// Works out an item, those in it first.
    fn settle(&mut self, defs: &Definitions, id: ItemId, done: &mut [bool], depth: u32) {
        let Some(slot) = done.get_mut(id.0 as usize) else {
            return;
        };
        if std::mem::replace(slot, true) || depth == DEPTH {
            return;
        }
        let fields: Vec<&Field> = match &defs.item(id).kind {
            ItemKind::Struct(it) => it.fields.iter().collect(),
            ItemKind::Union(it) => it
                .arms
                .iter()
                .filter_map(|arm| arm.field.as_ref())
                .collect(),
            ItemKind::Typedef(it) => return self.settle_type(defs, &it.ty, done, depth),
            _ => return,
        };
        for field in &fields {
            self.settle_type(defs, &field.ty, done, depth);
        }
        let present = fields.iter().filter(|field| is_field(field));
        let align = present.fold(Align::A1, |all, field| all.max(self.field(defs, field)));
        let at = id.0 as usize;
        let last = fields.last().filter(|field| is_field(field));
        let conformant = last.is_some_and(|field| self.is_conformant(defs, &field.ty));
        match &defs.item(id).kind {
            ItemKind::Struct(Struct { flags, .. }) => {
                self.structs[at] = if flags.no_align { Align::A1 } else { align };
                self.conformant[at] = conformant;
            }
            _ => self.arms[at] = align,
        }
    }

    fn settle_type(&mut self, defs: &Definitions, ty: &Type, done: &mut [bool], depth: u32) {
        match ty {
            Type::Named(id) | Type::Union(id, _) => self.settle(defs, *id, done, depth + 1),
            Type::Array(it) => self.settle_type(defs, &it.element, done, depth),
            Type::Range(inner, ..) | Type::Pipe(inner) => {
                self.settle_type(defs, inner, done, depth);
            }
            Type::Subcontext(it) => self.settle_type(defs, &it.inner, done, depth),
            Type::Pointer(it) => self.settle_type(defs, &it.pointee, done, depth),
            _ => {}
        }
    }

    fn field(&self, defs: &Definitions, field: &Field) -> Align {
        match field.flags.align {
            _ if field.flags.no_align => Align::A1,
            Some(align) => self.align(defs, &field.ty).max(Align::new(align, align)),
            None => self.align(defs, &field.ty),
        }
    }

    /// The alignment of a struct.
    pub(super) fn of_struct(&self, id: ItemId) -> Align {
        self.structs
            .get(id.0 as usize)
            .copied()
            .unwrap_or(Align::A1)
    }

    /// The strictest alignment of a union's arms.
    pub(super) fn of_arms(&self, id: ItemId) -> Align {
        self.arms.get(id.0 as usize).copied().unwrap_or(Align::A1)
    }

    /// The alignment of a union, its discriminant included.
    pub(super) fn of_union(&self, defs: &Definitions, id: ItemId, it: &Union) -> Align {
        let tag = match &it.switch {
            Switch::Encapsulated { ty, .. } | Switch::Separate { ty } => self.align(defs, ty),
            Switch::Outside { .. } => Align::A1,
        };
        tag.max(self.of_arms(id))
    }

    /// The alignment of a type's flat part.
    pub(super) fn align(&self, defs: &Definitions, ty: &Type) -> Align {
        match ty {
            Type::Void | Type::Absent => Align::A1,
            Type::Base(base) => of_base(*base),
            Type::Range(inner, ..) => self.align(defs, inner),
            Type::Named(id) | Type::Union(id, _) => self.of_item(defs, *id),
            Type::Pointer(it) => match it.class {
                PointerClass::Relative => Align::A4,
                PointerClass::RelativeShort => Align::A2,
                _ => Align::WIDE,
            },
            Type::Array(it) => {
                let element = self.align(defs, &it.element);
                let counted = it.dimensions.iter().any(|dim| dim.slice.is_some());
                let several = it.dimensions.len() > 1
                    && it
                        .dimensions
                        .iter()
                        .any(|dim| !matches!(dim.extent, Extent::Fixed(_)));
                match counted || several {
                    true => element.max(Align::WIDE),
                    false => element,
                }
            }
            Type::String(it) if it.terminated || it.slice.is_some() => Align::WIDE,
            Type::String(it) => match super::walk::is_wide(it.encoding) {
                true => Align::A2,
                false => Align::A1,
            },
            Type::Interface(_) | Type::ContextHandle | Type::Blob(Blob::Counted) => Align::A4,
            Type::Pipe(_) => Align::WIDE,
            Type::FlaggedString(_) | Type::StringArray(_) | Type::Blob(_) | Type::Subcontext(_) => {
                Align::A1
            }
        }
    }

    fn of_item(&self, defs: &Definitions, id: ItemId) -> Align {
        match &defs.item(id).kind {
            ItemKind::Enum(it) => match it.width {
                EnumWidth::Bits8 => Align::A1,
                EnumWidth::Bits16 => Align::A2,
                EnumWidth::Default => Align::ENUM,
                EnumWidth::Bits32 => Align::A4,
            },
            ItemKind::Bitmap(it) => Align::new(it.width / 8, it.width / 8),
            ItemKind::Struct(_) => self.of_struct(id),
            ItemKind::Union(it) => self.of_union(defs, id, it),
            ItemKind::Typedef(it) => self.align(defs, &it.ty),
            ItemKind::ContextHandle(_) => Align::A4,
            ItemKind::Pipe(_) => Align::WIDE,
            ItemKind::Const { .. } => Align::A1,
        }
    }

    /// Whether values of the type begin with maximum counts.
    pub(super) fn is_conformant(&self, defs: &Definitions, ty: &Type) -> bool {
        match ty {
            Type::Array(it) => it
                .dimensions
                .iter()
                .any(|it| matches!(it.extent, Extent::Conformant(_))),
            Type::String(it) => matches!(it.extent, Extent::Conformant(_)),
            Type::Interface(_) => true,
            Type::Range(inner, ..) => self.is_conformant(defs, inner),
            Type::Named(id) => match &defs.item(*id).kind {
                ItemKind::Struct(_) => self.conformant.get(id.0 as usize).copied().unwrap_or(false),
                ItemKind::Typedef(it) => self.is_conformant(defs, &it.ty),
                _ => false,
            },
            _ => false,
        }
    }
}

/// Whether something of the field is on the wire.
pub(super) fn is_field(field: &Field) -> bool {
    !field.skip && field.ty != Type::Absent
}

fn of_base(base: Base) -> Align {
    Align::new(base.align(), base.align64())
}
