//! Looks through typedefs: what is around a type's core, from the outside to the inside, wherever it was written.

use super::names::{Body, Symbol, address};
use super::native::{Native, native};
use super::{Context, Lower};
use crate::diag::{Diagnostic, Span};
use crate::midl::ast::{self, Basic, Dimension, Find, Modifier, Name, Specifier, TypeName};
use crate::model::ndr::{Base, InterfaceId, ItemId, PointerClass};

/// A pointer or a dimension around a core.
#[derive(Clone, Debug)]
pub(super) enum Layer<'a> {
    Pointer {
        /// What an attribute of a typedef says of it.
        class: Option<PointerClass>,
        /// What it is if no attribute says anything.
        default: PointerClass,
    },
    Array(&'a Dimension, Context),
    Function,
}

/// What is inside of all layers.
#[derive(Clone, Debug)]
pub(super) enum Core<'a> {
    Void(Span),
    HandleT,
    Scalar(Base),
    /// A definition; typedefs of scalars, typedefs with a conversion and context handles stay themselves.
    Item(ItemId),
    Interface(InterfaceId),
    Pipe(&'a TypeName, Context),
    Native(Native),
    /// Nobody knows; it was reported, or is only an obstacle.
    Unknown,
}

/// A type, looked through.
#[derive(Clone, Debug)]
pub(super) struct Flat<'a> {
    pub(super) layers: Vec<Layer<'a>>,
    pub(super) core: Core<'a>,
    /// A typedef on the way said `string`.
    pub(super) string: bool,
    /// A typedef on the way said `handle`.
    pub(super) handle: bool,
    /// What an attribute said of a pointer, if there is none.
    pub(super) unused: Option<PointerClass>,
    /// Attributes of typedefs on the way.
    pub(super) attributes: Vec<&'a ast::Attribute>,
}

impl<'a> Lower<'a> {
    /// Looks through a type with its declarator; `class` is what an attribute says of the first pointer.
    pub(super) fn flatten(
        &mut self,
        specifier: &'a Specifier,
        modifiers: &'a [Modifier],
        class: Option<PointerClass>,
        context: Context,
    ) -> Flat<'a> {
        let mut layers = Vec::with_capacity(modifiers.len());
        let mut class = class;
        for modifier in modifiers {
            layers.push(match modifier {
                Modifier::Pointer => Layer::Pointer {
                    class: class.take(),
                    default: context.pointer_default,
                },
                Modifier::Array(dimension) => Layer::Array(dimension, context),
                Modifier::Function => Layer::Function,
            });
        }
        let mut inner = self.flatten_specifier(specifier, context);
        if let Some(class) = class {
            // What is said of a typedef that is a pointer is said of this pointer.
            let pointer = inner.layers.iter_mut().find_map(|it| match it {
                Layer::Pointer { class, .. } => Some(class),
                _ => None,
            });
            match pointer {
                Some(slot) => *slot = Some(class),
                None => inner.unused = Some(class),
            }
        }
        layers.append(&mut inner.layers);
        if layers.len() > LAYERS {
            layers.truncate(LAYERS);
            if !self.crowded {
                self.crowded = true;
                let message = format!("over {LAYERS} pointers and arrays around one type");
                self.error("E0205", span_of(specifier), message);
            }
        }
        Flat { layers, ..inner }
    }

    fn flatten_specifier(&mut self, specifier: &'a Specifier, context: Context) -> Flat<'a> {
        let core = match specifier {
            Specifier::Basic(Basic::Void, span) => Core::Void(*span),
            Specifier::Basic(Basic::HandleT, _) => Core::HandleT,
            Specifier::Basic(Basic::Scalar(base), _) => Core::Scalar(*base),
            Specifier::Named(name) => return self.flatten_name(name, context),
            Specifier::Struct(it) => self.tagged(specifier, it.tag.as_ref(), "struct", context),
            Specifier::Union(it) => self.tagged(specifier, it.tag.as_ref(), "union", context),
            Specifier::Enum(it) => self.tagged(specifier, it.tag.as_ref(), "enum", context),
            Specifier::Bitmap(it) => self.tagged(specifier, it.tag.as_ref(), "bitmap", context),
            Specifier::Pipe(it) => Core::Pipe(it, context),
            Specifier::SafeArray(_, span) => return self.well_known("LPSAFEARRAY", *span, context),
        };
        flat(core)
    }

    /// The definition that a `struct x` and its like names or is.
    fn tagged(
        &mut self,
        specifier: &Specifier,
        tag: Option<&Name>,
        what: &str,
        context: Context,
    ) -> Core<'a> {
        if let Some(id) = self.inline.get(&address(specifier)) {
            return Core::Item(*id);
        }
        let Some(tag) = tag else {
            return Core::Unknown;
        };
        if let Some((id, _)) = self.tags.get(&tag.text) {
            return Core::Item(*id);
        }
        if let Some((Symbol::Type(id), _)) = self.symbols.get(&tag.text) {
            return Core::Item(*id);
        }
        if context.pidl {
            self.foreign(tag);
            return Core::Native(Native::Pointer);
        }
        // A struct that is only named may stand behind a pointer that never is on the wire.
        let message = format!("{what} `{}` is undefined", tag.text);
        self.obstacle(tag.span, message);
        Core::Unknown
    }

    fn well_known(&mut self, name: &str, span: Span, context: Context) -> Flat<'a> {
        match self.symbols.get(name) {
            Some((Symbol::Type(id), _)) => self.flatten_item(*id, span, context),
            _ => {
                self.undefined("E0302", "type", name, span);
                flat(Core::Unknown)
            }
        }
    }

    fn flatten_name(&mut self, name: &Name, context: Context) -> Flat<'a> {
        match self.symbols.get(&name.text).copied() {
            Some((Symbol::Type(id), _)) => {
                let borrows = self.draft(id).context.prelude && !context.prelude;
                if borrows && native(&name.text).is_some_and(|_| context.pidl) {
                    return self.flatten_native(name, context);
                }
                if borrows && !self.draft(id).context.pidl {
                    self.borrowed.push((name.text.clone(), name.span));
                }
                self.flatten_item(id, name.span, context)
            }
            Some((_, first)) => {
                let message = format!("`{}` is a value, not a type", name.text);
                let error = Diagnostic::error("E0304", name.span, message);
                self.diagnostics.push(error.label(first, "defined here"));
                flat(Core::Unknown)
            }
            None => {
                if let Some((id, _)) = self.tags.get(&name.text) {
                    return flat(Core::Item(*id));
                }
                match self.interface_names.get(&name.text) {
                    Some(id) => flat(Core::Interface(*id)),
                    None => self.flatten_native(name, context),
                }
            }
        }
    }

    fn flatten_native(&mut self, name: &Name, context: Context) -> Flat<'a> {
        match native(&name.text) {
            Some(Native::Scalar(base)) => flat(Core::Scalar(base)),
            Some(native) => flat(Core::Native(native)),
            None if context.pidl => {
                self.foreign(name);
                flat(Core::Native(Native::Pointer))
            }
            // What another file leaves out matters only to those who need it.
            None if context.imported && !context.prelude => {
                let message = format!("type `{}` is undefined", name.text);
                self.obstacle(name.span, message);
                flat(Core::Unknown)
            }
            None => {
                self.undefined("E0302", "type", &name.text, name.span);
                flat(Core::Unknown)
            }
        }
    }

    fn flatten_item(&mut self, id: ItemId, span: Span, context: Context) -> Flat<'a> {
        if !matches!(self.draft(id).body, Body::Typedef(..)) {
            return flat(Core::Item(id));
        }
        if let Some(known) = self.flat.get(&id) {
            return known.clone();
        }
        let found = self.deeper(span, |lower| lower.flatten_typedef(id, context));
        let found = found.unwrap_or_else(|| flat(Core::Unknown));
        self.flat.insert(id, found.clone());
        found
    }

    fn flatten_typedef(&mut self, id: ItemId, _: Context) -> Flat<'a> {
        let draft = self.draft(id).clone();
        let Body::Typedef(declaration, declarator) = draft.body else {
            return flat(Core::Item(id));
        };
        let attributes = &draft.attributes;
        let has = |name: &str| attributes.iter().any(|it| it.name.text == name);
        let stays = [
            "transmit_as",
            "represent_as",
            "wire_marshal",
            "user_marshal",
            "cs_char",
        ];
        let is_pipe = matches!(declaration.specifier, Specifier::Pipe(..));
        if has("context_handle") || is_pipe || stays.iter().any(|name| has(name)) {
            return flat(Core::Item(id));
        }
        let class = pointer_class(attributes.iter().copied());
        let context = draft.context;
        let mut found = self.flatten(
            &declaration.specifier,
            &declarator.modifiers,
            class,
            context,
        );
        found.string |= has("string");
        found.handle |= has("handle");
        found.attributes.extend(attributes);
        let is_scalar = matches!(found.core, Core::Scalar(_))
            || matches!(&found.core, Core::Item(inner) if matches!(self.draft(*inner).body, Body::Typedef(..)));
        if found.layers.is_empty() && is_scalar {
            found.core = Core::Item(id);
        }
        found
    }

    /// The scalar that a specifier is, through typedefs.
    pub(super) fn scalar_of_specifier(
        &mut self,
        specifier: &Specifier,
        context: Context,
    ) -> Option<Base> {
        match specifier {
            Specifier::Basic(Basic::Scalar(base), _) => Some(*base),
            Specifier::Named(name) => match self.symbols.get(&name.text).copied() {
                Some((Symbol::Type(id), _)) => self.scalar_of_item(id, name.span, context),
                Some(_) => None,
                None => match native(&name.text) {
                    Some(Native::Scalar(base)) => Some(base),
                    _ => None,
                },
            },
            _ => None,
        }
    }

    fn scalar_of_item(&mut self, id: ItemId, span: Span, context: Context) -> Option<Base> {
        match self.draft(id).body {
            Body::Typedef(declaration, declarator) if declarator.modifiers.is_empty() => self
                .deeper(span, |lower| {
                    lower.scalar_of_specifier(&declaration.specifier, context)
                })
                .flatten(),
            Body::Enum(_) => Some(Base::Long),
            _ => None,
        }
    }

    /// Says that a type must be C's, at its first use.
    fn foreign(&mut self, name: &Name) {
        if !self.lost && self.missing.insert(name.text.clone()) {
            let message = format!(
                "type `{}` is not defined here: what has it is not on the wire",
                name.text
            );
            self.warning("W0505", name.span, message);
        }
    }

    /// Reports an undefined name, at its first use.
    pub(super) fn undefined(&mut self, code: &'static str, what: &str, name: &str, span: Span) {
        if self.lost || !self.missing.insert(name.to_owned()) {
            return;
        }
        let mut error = Diagnostic::error(code, span, format!("{what} `{name}` is undefined"));
        if let Some(near) = self.nearest(name, what == "type") {
            error = error.hint(format!("there is a {what} `{near}`"));
        }
        self.diagnostics.push(error);
    }

    /// The declared name that is most like this one, if one is.
    fn nearest(&self, name: &str, types: bool) -> Option<String> {
        if self.missing.len() > MAX_GUESSES {
            return None;
        }
        let fits = |symbol: &Symbol| types == matches!(symbol, Symbol::Type(_));
        let names = self.symbols.iter().filter(|(_, (symbol, _))| fits(symbol));
        let names = names.map(|(known, _)| known).take(MAX_NAMES);
        let near = names.map(|known| (crate::rpcl::lower::distance(name, known), known));
        let best = near.min()?;
        (best.0 <= name.len().div_ceil(3)).then(|| best.1.clone())
    }
}

/// The most pointers and dimensions around a type.
const LAYERS: usize = 64;
/// So many undefined names get a suggestion.
const MAX_GUESSES: usize = 16;
/// So many names are looked at for one.
const MAX_NAMES: usize = 4096;

fn span_of(specifier: &Specifier) -> Span {
    match specifier {
        Specifier::Basic(_, span) | Specifier::SafeArray(_, span) => *span,
        Specifier::Named(name) => name.span,
        Specifier::Enum(it) | Specifier::Bitmap(it) => it.span,
        Specifier::Struct(it) => it.span,
        Specifier::Union(it) => it.span,
        Specifier::Pipe(it) => it.span,
    }
}

/// A core without layers.
fn flat<'a>(core: Core<'a>) -> Flat<'a> {
    Flat {
        layers: Vec::new(),
        core,
        string: false,
        handle: false,
        unused: None,
        attributes: Vec::new(),
    }
}

/// What attributes say of the first pointer.
pub(super) fn pointer_class<'b>(
    attributes: impl Iterator<Item = &'b ast::Attribute>,
) -> Option<PointerClass> {
    let mut found = None;
    for attribute in attributes {
        found = match attribute.name.text.as_str() {
            "ref" => Some(PointerClass::Ref),
            "unique" => Some(PointerClass::Unique),
            "ptr" => Some(PointerClass::Full),
            "relative" => Some(PointerClass::Relative),
            "relative_short" => Some(PointerClass::RelativeShort),
            "ignore" => Some(PointerClass::Ignore),
            _ => found,
        };
    }
    found
}

/// Whether there is such an attribute, here or on a typedef on the way.
pub(super) fn either<'b>(
    here: &'b [ast::Attribute],
    flat: &Flat<'b>,
    name: &str,
) -> Option<&'b ast::Attribute> {
    here.find(name).or_else(|| {
        flat.attributes
            .iter()
            .copied()
            .find(|it| it.name.text == name)
    })
}
