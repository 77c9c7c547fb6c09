//! Lowers constants, enums, bitmaps, structs, unions and typedefs.

use std::collections::HashSet;

use super::expressions::{Entry, Scope, default_switch};
use super::names::{Body, Draft};
use super::types::{Position, Use};
use super::{Context, Lower, Obstacle};
use crate::diag::{Diagnostic, Span};
use crate::midl::ast::{
    self, Attribute, EnumSpecifier, Expr, ExprKind, Find, Specifier, StructSpecifier, TypeName,
    UnionSpecifier,
};
use crate::midl::attributes::{self, Meaning, meaning};
use crate::model::ndr::{
    self, Arm, Base, Bitmap, Case, Constant, ContextHandle, Conversion, Enum, EnumWidth, Extent,
    Field, Flags, Item, ItemId, ItemKind, Named, Struct, Switch, Type, Typedef, Union,
};

impl<'a> Lower<'a> {
    /// Lowers every definition.
    pub(super) fn lower_items(&mut self) {
        let drafts = self.drafts.clone();
        let mut open = Vec::new();
        for (draft, id) in drafts.iter().zip((0..).map(ItemId)) {
            self.obstacle = None;
            let before = self.diagnostics.len();
            let kind = self.lower_item(id, draft, &mut open);
            if draft.context.prelude {
                self.doubt(before, draft.span);
            }
            let has = |name: &str| draft.attributes.iter().any(|it| it.name.text == name);
            if !draft.context.prelude {
                for attribute in &draft.attributes {
                    self.weigh(attribute);
                }
            }
            let interface = draft.context.interface;
            let serialized = |name: &str| has(name) || self.says(interface, name) && is_type(&kind);
            let (encode, decode) = (serialized("encode"), serialized("decode"));
            self.items.push(Item {
                name: draft.name.clone(),
                docs: draft.docs.to_owned(),
                span: draft.span,
                interface: draft.context.interface,
                imported: draft.context.imported,
                used: false,
                handwritten: has("nopush") || has("nopull"),
                public: has("public") || encode || decode,
                encode,
                decode,
                kind,
            });
            if let Some(obstacle) = self.obstacle.take() {
                self.unsound.insert(id, obstacle);
            }
        }
        self.settle_switches(&open);
    }

    /// Whether an attribute stands at an interface.
    pub(super) fn says(&self, interface: Option<ndr::InterfaceId>, name: &str) -> bool {
        let body = interface.and_then(|id| self.bodies.get(id.0 as usize)?.as_ref());
        body.is_some_and(|(it, _)| it.attributes.has(name))
    }

    /// A well-known type that has become wrong, since a file defines something that it is made of in another
    /// way, is wrong only for those who need it.
    fn doubt(&mut self, before: usize, span: Span) {
        if self.diagnostics.len() > before {
            self.diagnostics.truncate(before);
            let message = "a type that it is made of is defined in another way here";
            self.obstacle(span, message);
        }
    }

    /// Gives unions without `switch_type` the type that their uses have.
    fn settle_switches(&mut self, open: &[ItemId]) {
        for id in open {
            let found = self.switches.get(id).cloned();
            let pidl = self.draft(*id).context.pidl;
            if let Some(Item {
                kind: ItemKind::Union(union),
                ..
            }) = self.items.get_mut(id.0 as usize)
            {
                match &mut union.switch {
                    Switch::Separate { ty } if pidl => *ty = default_switch(true),
                    Switch::Separate { ty } => *ty = found.unwrap_or(default_switch(false)),
                    Switch::Outside { ty } => *ty = found,
                    Switch::Encapsulated { .. } => {}
                }
            }
        }
    }

    /// Says what is to be said about an attribute by itself.
    pub(super) fn weigh(&mut self, attribute: &Attribute) {
        let name = &attribute.name.text;
        match meaning(name) {
            Meaning::Acts | Meaning::NoEffect | Meaning::Forwards => {}
            Meaning::Refused(why) => {
                let message = format!("attribute `{name}` is not supported");
                let error = Diagnostic::error("E0412", attribute.span, message);
                self.diagnostics.push(error.hint(why));
            }
            Meaning::Unknown => {
                let message = format!("attribute `{name}` is unknown, and has no effect");
                self.warning("W0413", attribute.name.span, message);
            }
        }
        if name == "flag" {
            self.weigh_flags(attribute);
        }
    }

    /// The same about each of pidl's flags.
    fn weigh_flags(&mut self, attribute: &Attribute) {
        for name in flag_names(std::iter::once(attribute)) {
            match attributes::flag(&name) {
                Meaning::Forwards => {
                    let message = format!(
                        "with `{name}`, what relative pointers point to is written forwards all the same"
                    );
                    let warning = Diagnostic::warning("W0418", attribute.span, message);
                    let hint = "readers that follow the offsets read it; those that go by the order do not";
                    self.diagnostics.push(warning.hint(hint));
                }
                Meaning::Unknown => {
                    let message = format!("flag `{name}` is unknown, and has no effect");
                    self.warning("W0413", attribute.span, message);
                }
                Meaning::Acts | Meaning::NoEffect | Meaning::Refused(_) => {}
            }
        }
    }

    fn lower_item(&mut self, id: ItemId, draft: &Draft<'a>, open: &mut Vec<ItemId>) -> ItemKind {
        match draft.body {
            Body::Macro(value) => ItemKind::Const {
                ty: Type::Void,
                value: Constant::Integer(value),
            },
            Body::Const(it) => self.lower_const(it, draft.context),
            Body::Enum(it) => self.lower_enum(id, it, draft),
            Body::Bitmap(it) => self.lower_bitmap(id, it, draft),
            Body::Struct(it) => self.lower_struct(it, draft),
            Body::Union(it) => self.lower_union(id, it, draft, open),
            Body::Typedef(declaration, declarator) => {
                self.lower_typedef(declaration, declarator, draft)
            }
        }
    }

    fn lower_const(&mut self, it: &'a ast::Const, context: Context) -> ItemKind {
        let pointer = !it.ty.modifiers.is_empty();
        let is_list = matches!(it.value.kind, ExprKind::List);
        let value = match is_list {
            true => None,
            false => self.constant_value(&it.value),
        };
        let text = matches!(value, Some(Constant::String(_) | Constant::WideString(_)));
        let ty = match pointer || text || is_list {
            true => Type::Void,
            false => self.plain(&it.ty, context, Position::Element),
        };
        ItemKind::Const {
            ty,
            value: value.unwrap_or(Constant::Null),
        }
    }

    /// A type that is not at a place of its own.
    pub(super) fn plain(&mut self, ty: &'a TypeName, context: Context, position: Position) -> Type {
        let built = self.build(Use {
            attributes: &ty.attributes,
            specifier: &ty.specifier,
            modifiers: &ty.modifiers,
            span: ty.span,
            position,
            scope: Scope::None,
            context,
            flags: &[],
        });
        built.ty
    }

    /// The named values; those that are wrong were reported, and are 0.
    fn named(&mut self, id: ItemId, it: &'a EnumSpecifier, bounds: (i128, i128)) -> Vec<Named> {
        let values = self.enum_values(id, it.span);
        let members = it.body.as_deref().unwrap_or(&[]);
        let mut named = Vec::with_capacity(members.len());
        for (member, value) in members.iter().zip(values) {
            let mut value = value.unwrap_or(0);
            if bounds.1 == i128::from(i32::MAX) && value > bounds.1 && value <= i128::from(u32::MAX)
            {
                value -= 1 << 32;
            }
            if !(bounds.0..=bounds.1).contains(&value) {
                let (low, high) = bounds;
                let message = format!(
                    "{value} cannot be sent: values of the enum are from {low} to {high} on the wire"
                );
                let warning = Diagnostic::warning("W0416", member.name.span, message);
                if !self.draft(id).context.imported {
                    self.diagnostics
                        .push(warning.hint("write `[v1_enum]`, if the peer does so too"));
                }
                continue;
            }
            named.push(Named {
                name: member.name.text.clone(),
                value: i64::try_from(value).unwrap_or_else(|_| (value as u64).cast_signed()),
                docs: member.docs.clone(),
                span: member.name.span,
            });
        }
        named
    }

    fn lower_enum(&mut self, id: ItemId, it: &'a EnumSpecifier, draft: &Draft<'a>) -> ItemKind {
        let has = |name: &str| draft.attributes.iter().any(|it| it.name.text == name);
        let width = match () {
            () if has("enum8bit") => EnumWidth::Bits8,
            () if has("enum16bit") => EnumWidth::Bits16,
            () if has("v1_enum") => EnumWidth::Bits32,
            () => EnumWidth::Default,
        };
        let bounds = match width {
            EnumWidth::Bits8 => (-0x80, 0xff),
            EnumWidth::Bits16 | EnumWidth::Default => (-0x8000, 0xffff),
            EnumWidth::Bits32 => (i128::from(i32::MIN), i128::from(i32::MAX)),
        };
        let values = self.named(id, it, bounds);
        ItemKind::Enum(Enum { values, width })
    }

    fn lower_bitmap(&mut self, id: ItemId, it: &'a EnumSpecifier, draft: &Draft<'a>) -> ItemKind {
        let has = |name: &str| draft.attributes.iter().any(|it| it.name.text == name);
        let width = match () {
            () if has("bitmap8bit") => 8,
            () if has("bitmap16bit") => 16,
            () if has("bitmap64bit") => 64,
            () => 32,
        };
        let top = (1_i128 << width) - 1;
        let bits = self.named(id, it, (0, top));
        ItemKind::Bitmap(Bitmap { bits, width })
    }

    fn lower_struct(&mut self, it: &'a StructSpecifier, draft: &Draft<'a>) -> ItemKind {
        let body = it.body.as_deref().unwrap_or(&[]);
        let declared = body.iter().flat_map(|declaration| {
            declaration
                .declarators
                .iter()
                .map(move |it| (declaration, it))
        });
        let entries: Vec<Entry<'a>> = declared
            .enumerate()
            .map(|(index, (declaration, declarator))| Entry {
                name: declarator
                    .name
                    .as_ref()
                    .map_or("", |name| name.text.as_str()),
                declaration,
                declarator,
                index,
            })
            .collect();
        self.refuse_same_names(&entries);
        let names = flag_names(draft.attributes.iter().copied());
        let mut fields = Vec::with_capacity(entries.len());
        for entry in &entries {
            fields.push(self.field(entry, Scope::Fields(&entries), draft.context, &names));
        }
        if is_uuid(&fields, &draft.name) {
            return ItemKind::Typedef(Typedef {
                ty: Type::Base(Base::Uuid),
                conversion: None,
            });
        }
        if draft.context.pidl && draft.name == "policy_handle" && fields.len() == 2 {
            return ItemKind::ContextHandle(ContextHandle::default());
        }
        let has = |name: &str| draft.attributes.iter().any(|it| it.name.text == name);
        if draft.context.pidl && draft.name == "dom_sid" {
            count_identifiers(&mut fields);
        }
        ItemKind::Struct(Struct {
            fields,
            relative_base: has("relative_base"),
            flags: flags(&names, false),
        })
    }

    fn refuse_same_names(&mut self, entries: &[Entry<'a>]) {
        let mut seen = HashSet::new();
        for entry in entries {
            if !seen.insert(entry.name) {
                let first = entries.iter().find(|it| it.name == entry.name);
                let first = first.map_or(entry.declarator.span, |it| it.declarator.span);
                let message = format!("`{}` is there twice", entry.name);
                let error = Diagnostic::error("E0305", entry.declarator.span, message);
                self.diagnostics
                    .push(error.label(first, "first defined here"));
            }
        }
    }

    /// A field of a struct, or what an arm holds.
    fn field(
        &mut self,
        entry: &Entry<'a>,
        scope: Scope<'a, '_>,
        context: Context,
        inherited: &[String],
    ) -> Field {
        let declaration = entry.declaration;
        let attributes = declaration.attributes.as_slice();
        if !context.prelude {
            for attribute in attributes {
                self.weigh(attribute);
            }
        }
        let built = self.build(Use {
            attributes,
            specifier: &declaration.specifier,
            modifiers: &entry.declarator.modifiers,
            span: entry.declarator.span,
            position: Position::Field,
            scope,
            context,
            flags: inherited,
        });
        if let Some(span) = entry.declarator.bits {
            let hint = "declare the whole integer, and name its bits by constants";
            self.hinder(Obstacle {
                code: "E0206",
                span,
                message: "bit fields cannot be on the wire".to_owned(),
                hint: Some(hint),
            });
        }
        let names = flag_names(attributes.iter());
        let special = matches!(
            built.ty,
            Type::Blob(_) | Type::FlaggedString(_) | Type::StringArray(_)
        );
        let value = attributes.find("value");
        let value = value.and_then(|it| it.arguments.first()?.as_ref());
        let value = value.map(|expr| self.resolve(expr, scope, context));
        let mut ty = built.ty;
        if names.iter().any(|it| it == "REMAINING") {
            remaining(&mut ty);
        }
        Field {
            name: entry.name.to_owned(),
            skip: attributes.has("skip") || attributes.has("skip_noinit") || ty == Type::Absent,
            hidden: attributes.has("noprint")
                || names.iter().any(|it| it == "IS_SECRET" || it == "SECRET"),
            ty,
            value,
            flags: flags(&names, special),
            docs: declaration.docs.clone(),
            span: entry.declarator.span,
        }
    }

    fn lower_union(
        &mut self,
        id: ItemId,
        it: &'a UnionSpecifier,
        draft: &Draft<'a>,
        open: &mut Vec<ItemId>,
    ) -> ItemKind {
        let context = draft.context;
        let find = |name: &str| {
            draft
                .attributes
                .iter()
                .copied()
                .find(|it| it.name.text == name)
        };
        let names = flag_names(draft.attributes.iter().copied());
        let body = it.body.as_deref().unwrap_or(&[]);
        let mut arms = Vec::with_capacity(body.len());
        for arm in body {
            let cases = self.cases(&arm.cases);
            let field = arm.declaration.as_ref().map(|declaration| {
                let declarator = declaration.declarators.first();
                declarator.map(|declarator| Entry {
                    name: declarator
                        .name
                        .as_ref()
                        .map_or("", |name| name.text.as_str()),
                    declaration,
                    declarator,
                    index: 0,
                })
            });
            let field = field.flatten();
            let field = field.map(|entry| self.field(&entry, Scope::None, context, &names));
            arms.push(Arm {
                cases,
                default: arm.default,
                field,
                span: arm.span,
            });
        }
        self.check_arms(&arms, it.span);
        let switch_type = find("switch_type").and_then(|it| it.ty.as_deref());
        let said = switch_type.map(|ty| self.plain(ty, context, Position::Element));
        let switch = match &it.switch {
            Some((ty, tag, member)) => Switch::Encapsulated {
                tag: tag.text.clone(),
                ty: self.plain(ty, context, Position::Element),
                member: member
                    .as_ref()
                    .map_or("tagged_union", |member| member.text.as_str())
                    .to_owned(),
            },
            None if find("nodiscriminant").is_some() => {
                if said.is_none() {
                    open.push(id);
                }
                Switch::Outside { ty: said }
            }
            None => {
                if said.is_none() {
                    open.push(id);
                }
                let ty = said.unwrap_or(Type::Base(Base::Long));
                Switch::Separate { ty }
            }
        };
        ItemKind::Union(Union {
            switch,
            arms,
            ms_union: find("ms_union").is_some() || context.ms_union,
            flags: flags(&names, false),
            relative_base: find("relative_base").is_some(),
        })
    }

    fn cases(&mut self, cases: &'a [Expr]) -> Vec<Case> {
        let mut found = Vec::with_capacity(cases.len());
        for expr in cases {
            let Some(value) = self.known(expr, "the case") else {
                continue;
            };
            let name = match &expr.kind {
                ExprKind::Name(name) => Some(name.clone()),
                _ => None,
            };
            found.push(Case {
                value: i64::try_from(value).unwrap_or_else(|_| (value as u64).cast_signed()),
                name,
                span: expr.span,
            });
        }
        found
    }

    /// No value chooses two arms.
    fn check_arms(&mut self, arms: &[Arm], span: Span) {
        let mut seen: std::collections::HashMap<i64, Span> = std::collections::HashMap::new();
        let mut default = None;
        for arm in arms {
            for case in &arm.cases {
                if let Some(first) = seen.insert(case.value, case.span) {
                    let message = format!("two arms of the union have the case {}", case.value);
                    let error = Diagnostic::error("E0414", case.span, message);
                    self.diagnostics.push(error.label(first, "first here"));
                }
            }
            if arm.default
                && let Some(first) = default.replace(arm.span)
            {
                let error = Diagnostic::error("E0414", arm.span, "the union has two default arms");
                self.diagnostics.push(error.label(first, "first here"));
            }
            if arm.cases.is_empty() && !arm.default {
                // Unions of C that only local calls have are like that.
                self.hinder(Obstacle {
                    code: "E0414",
                    span: arm.span,
                    message: "the arm has no case, and is not the default".to_owned(),
                    hint: Some("write `[case(1)]` or `[default]` in front of it"),
                });
            }
        }
        if arms.is_empty() {
            self.error("E0414", span, "the union has no arms");
        }
    }

    fn lower_typedef(
        &mut self,
        declaration: &'a ast::Declaration,
        declarator: &'a ast::Declarator,
        draft: &Draft<'a>,
    ) -> ItemKind {
        let find = |name: &str| {
            draft
                .attributes
                .iter()
                .copied()
                .find(|it| it.name.text == name)
        };
        if let Some(attribute) = find("context_handle") {
            return self.context_handle(declaration, declarator, draft, attribute);
        }
        if let Specifier::Pipe(element) = &declaration.specifier
            && declarator.modifiers.is_empty()
        {
            let mut ty = self.plain(element, draft.context, Position::Element);
            if let Some(range) = find("range")
                && let [Some(low), Some(high)] = range.arguments.as_slice()
                && let (Some(low), Some(high)) =
                    (self.known(low, "the bound"), self.known(high, "the bound"))
            {
                ty = Type::Range(Box::new(ty), low, high);
            }
            return ItemKind::Pipe(ty);
        }
        let built = self.build(Use {
            attributes: &declaration.attributes,
            specifier: &declaration.specifier,
            modifiers: &declarator.modifiers,
            span: declarator.span,
            position: Position::Typedef,
            scope: Scope::None,
            context: draft.context,
            flags: &[],
        });
        let (ty, conversion) = self.conversion(built.ty, draft);
        ItemKind::Typedef(Typedef { ty, conversion })
    }

    fn context_handle(
        &mut self,
        declaration: &'a ast::Declaration,
        declarator: &'a ast::Declarator,
        draft: &Draft<'a>,
        attribute: &Attribute,
    ) -> ItemKind {
        let has = |name: &str| draft.attributes.iter().any(|it| it.name.text == name);
        let (specifier, modifiers) = (&declaration.specifier, &declarator.modifiers);
        let flat = self.flatten(specifier, modifiers, None, draft.context);
        self.obstacle = None;
        if flat.layers.is_empty() && !draft.context.prelude {
            let message = "a context handle is a pointer, such as `void *`";
            self.error("E0415", attribute.span, message);
        }
        ItemKind::ContextHandle(ContextHandle {
            type_strict: has("type_strict_context_handle"),
            strict: has("strict_context_handle"),
            serialize: has("context_handle_serialize"),
            no_serialize: has("context_handle_noserialize"),
        })
    }

    /// What is on the wire of a typedef, and what its values are.
    fn conversion(&mut self, ty: Type, draft: &Draft<'a>) -> (Type, Option<Conversion>) {
        let find = |name: &str| {
            draft
                .attributes
                .iter()
                .copied()
                .find(|it| it.name.text == name)
        };
        let context = draft.context;
        if let Some(wire) = find("transmit_as").and_then(|it| it.ty.as_deref()) {
            self.obstacle = None;
            let wire = self.plain(wire, context, Position::Typedef);
            return (wire, Some(Conversion::TransmitAs { local: ty }));
        }
        if let Some(wire) = find("wire_marshal").and_then(|it| it.ty.as_deref()) {
            self.obstacle = None;
            let wire = self.plain(wire, context, Position::Typedef);
            return (wire, Some(Conversion::WireMarshal { local: ty }));
        }
        let local = |name: &str| find(name).map(|it| it.raw.clone());
        let conversion = match () {
            () if find("represent_as").is_some() => {
                local("represent_as").map(|local| Conversion::RepresentAs { local })
            }
            () if find("user_marshal").is_some() => {
                local("user_marshal").map(|local| Conversion::UserMarshal { local })
            }
            () => local("cs_char").map(|local| Conversion::CsChar { local }),
        };
        (ty, conversion)
    }
}

/// The names in `flag(A|B)`, without the prefixes that differ between files.
pub(super) fn flag_names<'b>(attributes: impl Iterator<Item = &'b Attribute>) -> Vec<String> {
    let mut names = Vec::new();
    for attribute in attributes.filter(|it| it.name.text == "flag") {
        for word in attribute
            .raw
            .split(|c: char| !c.is_ascii_alphanumeric() && c != '_')
        {
            let prefixes = ["LIBNDR_FLAG_", "LIBNDR_", "NDR_"];
            let bare = prefixes.iter().find_map(|prefix| word.strip_prefix(prefix));
            let bare = bare.unwrap_or(word);
            if !bare.is_empty() {
                names.push(bare.to_owned());
            }
        }
    }
    names
}

/// What flags change on the wire; `special` types have those of theirs in themselves.
pub(super) fn flags(names: &[String], special: bool) -> Flags {
    let has = |name: &str| names.iter().any(|it| it == name);
    let align = match () {
        () if special => None,
        () if has("ALIGN8") => Some(8),
        () if has("ALIGN4") => Some(4),
        () if has("ALIGN2") => Some(2),
        () => None,
    };
    let big_endian = match () {
        () if has("BIGENDIAN") || has("BIG_ENDIAN") => Some(true),
        () if has("LITTLE_ENDIAN") => Some(false),
        () => None,
    };
    Flags {
        no_align: has("NOALIGN"),
        align,
        big_endian,
        relative_reverse: has("RELATIVE_REVERSE"),
        remaining: !special && has("REMAINING"),
        no_relative_reverse: has("NO_RELATIVE_REVERSE"),
        no_ndr64: has("NO_NDR64"),
        no_unread_bytes: has("SUBCONTEXT_NO_UNREAD_BYTES"),
    }
}

/// Arrays under `NDR_REMAINING` go on to the end of the data.
fn remaining(ty: &mut Type) {
    if let Type::Array(array) = ty
        && let [dimension] = array.dimensions.as_mut_slice()
        && matches!(
            dimension.extent,
            Extent::Conformant(None) | Extent::Computed(_)
        )
    {
        dimension.extent = Extent::Remaining;
    }
}

/// The C code for `dom_sid`, written by hand, has as many sub-authorities on the wire as there are, whatever
/// room the struct has for them.
fn count_identifiers(fields: &mut [Field]) {
    let count = fields.iter().position(|it| it.name == "num_auths");
    let list = fields.iter_mut().find(|it| it.name == "sub_auths");
    if let (
        Some(count),
        Some(Field {
            ty: Type::Array(array),
            ..
        }),
    ) = (count, list)
        && let [dimension] = array.dimensions.as_mut_slice()
    {
        dimension.extent = Extent::Computed(ndr::Expr::Place(ndr::Place {
            root: ndr::Root::Field(count),
            steps: Vec::new(),
        }));
    }
}

/// Whether a struct is a UUID, by its name and what is in it.
fn is_uuid(fields: &[Field], name: &str) -> bool {
    let named = matches!(
        name.trim_start_matches('_'),
        "GUID" | "UUID" | "uuid_t" | "IID" | "CLSID" | "guid_t" | "uuid" | "guid" | "dce_uuid_t"
    );
    let bytes: Vec<u64> = fields
        .iter()
        .map(|field| match &field.ty {
            Type::Base(base) => u64::from(base.size()),
            Type::Array(array) => match (&array.element, array.dimensions.as_slice()) {
                (Type::Base(base), [dimension]) if base.size() == 1 => match dimension.extent {
                    Extent::Fixed(n) => 100 + u64::from(n),
                    _ => 0,
                },
                _ => 0,
            },
            Type::Named(_) => 50,
            _ => 0,
        })
        .collect();
    let shape = matches!(
        bytes.as_slice(),
        [4 | 50, 2 | 50, 2 | 50, 108]
            | [4, 2, 2, 102, 106]
            | [4 | 50, 2 | 50, 2 | 50, 1 | 50, 1 | 50, 106]
    );
    named && shape
}

/// Whether values of the item are something by themselves.
fn is_type(kind: &ItemKind) -> bool {
    matches!(
        kind,
        ItemKind::Struct(_) | ItemKind::Union(_) | ItemKind::Typedef(_)
    )
}
