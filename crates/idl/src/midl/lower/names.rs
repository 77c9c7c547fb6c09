//! Declares every name: typedefs, tags, constants, values of enums, interfaces.

use super::{Context, Lower};
use crate::diag::{Diagnostic, Span};
use crate::midl::ast::{
    self, Attributes, Declaration, Declarator, EnumSpecifier, Find, Name, Specifier, Statement,
    StructSpecifier, UnionSpecifier,
};
use crate::model::ndr::{Interface, InterfaceId, ItemId, PointerClass};

/// What a name stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Symbol {
    /// A typedef that is an item.
    Type(ItemId),
    Const(ItemId),
    /// A value of an enum or bitmap, by index.
    Value(ItemId, usize),
}

/// A definition that is not lowered yet.
#[derive(Clone, Debug)]
pub(super) struct Draft<'a> {
    pub(super) name: String,
    pub(super) docs: &'a str,
    pub(super) span: Span,
    pub(super) context: Context,
    pub(super) body: Body<'a>,
    /// The attributes of the typedef that names it, and its own.
    pub(super) attributes: Vec<&'a ast::Attribute>,
}

/// What a draft defines.
#[derive(Clone, Copy, Debug)]
pub(super) enum Body<'a> {
    Struct(&'a StructSpecifier),
    Union(&'a UnionSpecifier),
    Enum(&'a EnumSpecifier),
    Bitmap(&'a EnumSpecifier),
    Typedef(&'a Declaration, &'a Declarator),
    Const(&'a ast::Const),
    Macro(i128),
}

/// Words that are types wherever they stand, so that a typedef of one says nothing new.
fn is_keyword(name: &str) -> bool {
    matches!(
        name,
        "wchar_t"
            | "error_status_t"
            | "byte"
            | "boolean"
            | "hyper"
            | "small"
            | "handle_t"
            | "__int64"
            | "__int3264"
            | "float"
            | "double"
    )
}

impl<'a> Lower<'a> {
    /// Declares the names of all files.
    pub(super) fn declare(&mut self) {
        for unit in self.units {
            let context = Context {
                interface: None,
                pointer_default: PointerClass::Unique,
                imported: unit.imported,
                prelude: unit.prelude,
                pidl: unit.file.pidl,
                ms_union: false,
            };
            self.declare_statements(&unit.file.statements, context);
            for it in &unit.constants {
                if !self.symbols.contains_key(&it.name) {
                    let name = Name {
                        text: it.name.clone(),
                        span: it.span,
                    };
                    let id =
                        self.push(it.name.clone(), "", it.span, context, Body::Macro(it.value));
                    self.symbols
                        .insert(name.text, (Symbol::Const(id), name.span));
                }
            }
        }
        self.name_unnamed();
    }

    fn declare_statements(&mut self, statements: &'a [Statement], context: Context) {
        for statement in statements {
            match statement {
                Statement::Const(it) => self.declare_const(it, context),
                Statement::Typedef(it) => self.declare_typedef(it, context),
                Statement::Tagged(it) => {
                    let docs = &it.docs;
                    self.declare_specifier(&it.specifier, "", docs, &it.attributes, context);
                }
                Statement::Operation(it) => self.declare_operation(it, context),
                Statement::Interface(it) => self.declare_interface(it, context),
                Statement::Quote(..) | Statement::Import(_) => {}
            }
        }
    }

    fn push(
        &mut self,
        name: String,
        docs: &'a str,
        span: Span,
        context: Context,
        body: Body<'a>,
    ) -> ItemId {
        let id = ItemId(u32::try_from(self.drafts.len()).unwrap_or(u32::MAX));
        self.drafts.push(Draft {
            name,
            docs,
            span,
            context,
            body,
            attributes: Vec::new(),
        });
        id
    }

    /// Gives a name its meaning; the first one stays if there is one.
    fn declare_symbol(&mut self, name: &Name, symbol: Symbol, context: Context) {
        let Some((first, place)) = self.symbols.get(&name.text).copied() else {
            self.symbols.insert(name.text.clone(), (symbol, name.span));
            return;
        };
        if context.prelude {
            return;
        }
        match (first, symbol) {
            (Symbol::Type(a), Symbol::Type(b)) if a == b => {}
            (Symbol::Type(a), Symbol::Type(b)) | (Symbol::Const(a), Symbol::Const(b)) => {
                self.twice.push((a, b));
            }
            (Symbol::Value(..) | Symbol::Const(_), Symbol::Value(..) | Symbol::Const(_)) => {
                self.values_twice.push((name.clone(), symbol, first, place));
            }
            _ => self.report_twice(&name.text, name.span, place),
        }
    }

    pub(super) fn report_twice(&mut self, name: &str, span: Span, first: Span) {
        let message = format!("`{name}` is defined twice, differently");
        let error = Diagnostic::error("E0301", span, message);
        self.diagnostics
            .push(error.label(first, "first defined here"));
    }

    fn declare_const(&mut self, it: &'a ast::Const, context: Context) {
        let id = self.push(
            it.name.text.clone(),
            &it.docs,
            it.name.span,
            context,
            Body::Const(it),
        );
        self.declare_symbol(&it.name, Symbol::Const(id), context);
    }

    fn declare_operation(&mut self, it: &'a ast::Operation, context: Context) {
        let outer = it.name.text.as_str();
        self.declare_inline(&it.result.specifier, outer, "result", context);
        for parameter in &it.parameters {
            let declarator = parameter.declarators.first();
            let name = declarator.and_then(|it| it.name.as_ref());
            let name = name.map_or("parameter", |name| name.text.as_str());
            self.declare_inline(&parameter.specifier, outer, name, context);
        }
    }

    fn declare_interface(&mut self, it: &'a ast::Interface, context: Context) {
        let known = self.interface_names.get(&it.name.text).copied();
        let id = known.unwrap_or_else(|| self.push_interface(it, context));
        self.interface_names.insert(it.name.text.clone(), id);
        let Some(body) = &it.body else {
            return;
        };
        let inner = Context {
            interface: Some(id),
            pointer_default: self.pointer_default(&it.attributes),
            ms_union: it.attributes.has("ms_union"),
            ..context
        };
        match self.bodies.get_mut(id.0 as usize) {
            Some(slot @ None) => *slot = Some((it, inner)),
            Some(Some((first, _))) if !context.prelude => {
                let place = first.name.span;
                if !self.is_same_text(it.name.span, place, it, id) {
                    self.report_twice(&it.name.text, it.name.span, place);
                }
                return;
            }
            _ => return,
        }
        if let Some(interface) = self.interfaces.get_mut(id.0 as usize) {
            interface.span = it.name.span;
            interface.docs.clone_from(&it.docs);
            interface.imported = context.imported;
        }
        self.declare_statements(body, inner);
    }

    /// Whether an interface that is there twice has the same operations.
    fn is_same_text(&self, _: Span, _: Span, it: &ast::Interface, id: InterfaceId) -> bool {
        let names = |it: &ast::Interface| -> Vec<String> {
            let statements = it.body.iter().flatten();
            let operations = statements.filter_map(|it| match it {
                Statement::Operation(it) => Some(it.name.text.clone()),
                _ => None,
            });
            operations.collect()
        };
        let first = self.bodies.get(id.0 as usize).and_then(Option::as_ref);
        first.is_some_and(|(first, _)| names(first) == names(it))
    }

    fn push_interface(&mut self, it: &'a ast::Interface, context: Context) -> InterfaceId {
        let id = InterfaceId(u32::try_from(self.interfaces.len()).unwrap_or(u32::MAX));
        self.interfaces.push(Interface {
            name: it.name.text.clone(),
            uuid: None,
            version: (0, 0),
            endpoints: Vec::new(),
            object: false,
            local: it.local,
            base: None,
            inherited: 0,
            operations: Vec::new(),
            callbacks: Vec::new(),
            imported: context.imported,
            help: String::new(),
            docs: String::new(),
            span: it.name.span,
        });
        self.bodies.push(None);
        id
    }

    /// What `pointer_default` says.
    fn pointer_default(&self, attributes: &Attributes) -> PointerClass {
        let said = attributes.find("pointer_default");
        match said.map(|it| it.raw.as_str()) {
            Some("ref") => PointerClass::Ref,
            Some("ptr" | "full") => PointerClass::Full,
            _ => PointerClass::Unique,
        }
    }

    fn declare_typedef(&mut self, it: &'a Declaration, context: Context) {
        let first_name = it.declarators.iter().find(|it| it.modifiers.is_empty());
        let first_name = first_name.or(it.declarators.first());
        let wish = first_name.and_then(|it| it.name.as_ref());
        let wish = wish.map_or("", |name| name.text.as_str());
        let tagged = self.declare_specifier(&it.specifier, wish, &it.docs, &it.attributes, context);
        let mut named = false;
        for declarator in &it.declarators {
            let Some(name) = &declarator.name else {
                continue;
            };
            if is_keyword(&name.text) || is_redundant(&it.specifier, declarator, name) {
                continue;
            }
            let own = it.attributes.iter().chain(&declarator.attributes);
            let plain = declarator.modifiers.is_empty()
                && !own.clone().any(|it| changes_values(&it.name.text));
            match tagged {
                // The struct itself has this name.
                Some(id) if plain && !named => {
                    named = true;
                    self.rename(id, name, it, &declarator.attributes);
                    self.declare_symbol(name, Symbol::Type(id), context);
                }
                _ => {
                    let body = Body::Typedef(it, declarator);
                    let id = self.push(name.text.clone(), &it.docs, name.span, context, body);
                    if let Some(draft) = self.drafts.get_mut(id.0 as usize) {
                        draft.attributes = own.collect();
                    }
                    self.declare_symbol(name, Symbol::Type(id), context);
                }
            }
        }
    }

    /// Calls a struct by the name of its typedef, whose attributes become its own.
    fn rename(&mut self, id: ItemId, name: &Name, it: &'a Declaration, more: &'a Attributes) {
        let taken = self.symbols.contains_key(&name.text);
        if let Some(draft) = self.drafts.get_mut(id.0 as usize) {
            if !taken || draft.name.is_empty() {
                draft.name.clone_from(&name.text);
                draft.span = name.span;
            }
            draft.attributes.extend(more.iter());
            if draft.docs.is_empty() {
                draft.docs = &it.docs;
            }
        }
    }

    /// Declares a type that is defined as part of something else.
    fn declare_inline(
        &mut self,
        specifier: &'a Specifier,
        outer: &str,
        inner: &str,
        context: Context,
    ) {
        let wish = match outer == inner || inner.is_empty() {
            true => format!("{outer}_item"),
            false => format!("{outer}_{inner}"),
        };
        self.declare_specifier(specifier, &wish, "", &[], context);
    }

    /// Declares the struct, union, enum or bitmap that the specifier defines, and what is in it.
    fn declare_specifier(
        &mut self,
        specifier: &'a Specifier,
        wish: &str,
        docs: &'a str,
        attributes: &'a [ast::Attribute],
        context: Context,
    ) -> Option<ItemId> {
        let (body, tag, own, span) = match specifier {
            Specifier::Struct(it) if it.body.is_some() => {
                (Body::Struct(it), &it.tag, &it.attributes, it.span)
            }
            Specifier::Union(it) if it.body.is_some() => {
                (Body::Union(it), &it.tag, &it.attributes, it.span)
            }
            Specifier::Enum(it) if it.body.is_some() => {
                (Body::Enum(it), &it.tag, &it.attributes, it.span)
            }
            Specifier::Bitmap(it) if it.body.is_some() => {
                (Body::Bitmap(it), &it.tag, &it.attributes, it.span)
            }
            Specifier::Pipe(it) | Specifier::SafeArray(it, _) => {
                self.declare_inline(&it.specifier, wish, "element", context);
                return None;
            }
            _ => return None,
        };
        let name = tag.as_ref().map_or("", |tag| tag.text.as_str());
        let place = tag.as_ref().map_or(span, |tag| tag.span);
        let id = self.push(name.to_owned(), docs, place, context, body);
        if let Some(draft) = self.drafts.get_mut(id.0 as usize) {
            draft.attributes = attributes.iter().chain(own).collect();
        }
        self.inline.insert(address(specifier), id);
        if let Some(tag) = tag {
            self.declare_tag(tag, id, context);
        }
        let path = match name.is_empty() {
            true => wish,
            false => name,
        };
        self.wish(id, path);
        self.declare_inside(id, body, path, context);
        Some(id)
    }

    /// Remembers what a type without a name would like to be called.
    fn wish(&mut self, id: ItemId, wish: &str) {
        if let Some(draft) = self.drafts.get_mut(id.0 as usize)
            && draft.name.is_empty()
        {
            draft.name = format!("?{wish}");
        }
    }

    fn declare_tag(&mut self, tag: &Name, id: ItemId, context: Context) {
        match self.tags.get(&tag.text).copied() {
            None => {
                self.tags.insert(tag.text.clone(), (id, tag.span));
            }
            Some((first, _)) if !context.prelude => self.twice.push((first, id)),
            Some(_) => {}
        }
    }

    fn declare_inside(&mut self, id: ItemId, body: Body<'a>, path: &str, context: Context) {
        match body {
            Body::Struct(it) => {
                for field in it.body.iter().flatten() {
                    self.declare_field(field, path, context);
                }
            }
            Body::Union(it) => {
                if let Some((ty, _, _)) = &it.switch {
                    self.declare_inline(&ty.specifier, path, "tag", context);
                }
                for arm in it.body.iter().flatten() {
                    if let Some(field) = &arm.declaration {
                        self.declare_field(field, path, context);
                    }
                }
            }
            Body::Enum(it) | Body::Bitmap(it) => {
                for (index, member) in it.body.iter().flatten().enumerate() {
                    self.declare_symbol(&member.name, Symbol::Value(id, index), context);
                }
            }
            Body::Typedef(..) | Body::Const(_) | Body::Macro(_) => {}
        }
    }

    fn declare_field(&mut self, field: &'a Declaration, path: &str, context: Context) {
        let first = field.declarators.first().and_then(|it| it.name.as_ref());
        let name = first.map_or("", |name| name.text.as_str());
        let wish = match name == path || name.is_empty() {
            true => format!("{path}_item"),
            false => format!("{path}_{name}"),
        };
        // What is said of the field is said of the type that is defined there.
        self.declare_specifier(&field.specifier, &wish, "", &field.attributes, context);
    }

    /// Gives types without a name one that nobody else has.
    fn name_unnamed(&mut self) {
        let mut taken: std::collections::HashSet<String> = self.symbols.keys().cloned().collect();
        taken.extend(self.tags.keys().cloned());
        for draft in &mut self.drafts {
            let Some(wish) = draft.name.strip_prefix('?') else {
                continue;
            };
            let mut name = wish.to_owned();
            while !taken.insert(name.clone()) {
                name.push('_');
            }
            draft.name = name;
        }
    }

    /// The draft's name, context and so on.
    pub(super) fn draft(&self, id: ItemId) -> &Draft<'a> {
        &self.drafts[id.0 as usize]
    }
}

/// Where a specifier is, as a key.
pub(super) fn address(specifier: &Specifier) -> usize {
    std::ptr::from_ref(specifier).addr()
}

/// `typedef struct x x;` and `typedef interface x x;` say nothing.
fn is_redundant(specifier: &Specifier, declarator: &Declarator, name: &Name) -> bool {
    let named = match specifier {
        Specifier::Named(target) => Some(target),
        Specifier::Struct(it) if it.body.is_none() => it.tag.as_ref(),
        Specifier::Union(it) if it.body.is_none() => it.tag.as_ref(),
        Specifier::Enum(it) | Specifier::Bitmap(it) if it.body.is_none() => it.tag.as_ref(),
        _ => None,
    };
    declarator.modifiers.is_empty() && named.is_some_and(|it| it.text == name.text)
}

/// Whether a typedef with the attribute is more than another name.
fn changes_values(attribute: &str) -> bool {
    matches!(
        attribute,
        "transmit_as"
            | "represent_as"
            | "wire_marshal"
            | "user_marshal"
            | "cs_char"
            | "context_handle"
            | "handle"
    )
}
