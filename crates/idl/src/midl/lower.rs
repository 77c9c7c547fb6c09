//! From the syntax trees of all files to the model.
//!
//! Names are declared first, then each definition is lowered on its own: nothing depends on the order of definitions.
//! `names` declares, `flatten` looks through typedefs, `types` puts attributes where they act, `expressions` resolves
//! what stands in them, `items` and `operations` lower definitions, `checks` looks at the whole.

mod checks;
mod constants;
mod expressions;
mod flatten;
mod items;
mod names;
mod native;
mod operations;
mod same;
mod types;

use std::collections::{HashMap, HashSet};

pub(crate) use self::constants::{binary, cut};
use self::flatten::Flat;
use self::names::{Draft, Symbol};
use super::ast;
use super::import::{Loaded, Unit};
use crate::diag::{Diagnostic, SourceMap, Span};
use crate::model::ndr::{Definitions, Interface, InterfaceId, Item, ItemId, PointerClass};

/// How deep typedefs of typedefs, constants of constants and the like may be nested.
const DEPTH: u32 = 128;

/// Lowers all files; the definitions are as complete as the errors leave them.
pub(super) fn lower(loaded: &Loaded) -> (Definitions, Vec<Diagnostic>) {
    let mut it = Lower::new(&loaded.units, &loaded.sources, loaded.supplied);
    it.declare();
    it.lower_items();
    it.lower_interfaces();
    it.finish()
}

/// Where a definition or a use stands.
#[derive(Clone, Copy, Debug)]
pub(super) struct Context {
    /// The interface around it.
    interface: Option<InterfaceId>,
    /// What pointers without an attribute are there.
    pointer_default: PointerClass,
    imported: bool,
    prelude: bool,
    pidl: bool,
    /// `ms_union` of the interface.
    ms_union: bool,
}

/// Everything that is known so far.
pub(super) struct Lower<'a> {
    units: &'a [Unit],
    sources: &'a SourceMap,
    /// Whether well-known types are supplied without a word.
    supplied: bool,
    /// Something could not be parsed: what is undefined may be that.
    lost: bool,
    pidl: bool,
    diagnostics: Vec<Diagnostic>,
    /// Typedefs, constants, values of enums and interfaces.
    symbols: HashMap<String, (Symbol, Span)>,
    /// Interfaces have names of their own.
    interface_names: HashMap<String, InterfaceId>,
    /// Values and constants that are there twice: the second one, what it stands for, the first one.
    values_twice: Vec<(ast::Name, Symbol, Symbol, Span)>,
    /// Structs, unions, enums and bitmaps by their tags.
    tags: HashMap<String, (ItemId, Span)>,
    drafts: Vec<Draft<'a>>,
    /// The drafts of types that are defined where they are used, by their address.
    inline: HashMap<usize, ItemId>,
    /// Definitions that are there a second time: the first and the second.
    twice: Vec<(ItemId, ItemId)>,
    items: Vec<Item>,
    interfaces: Vec<Interface>,
    bodies: Vec<Option<(&'a ast::Interface, Context)>>,
    /// Typedefs that were looked through.
    flat: HashMap<ItemId, Flat<'a>>,
    /// The values of constants and enums.
    values: HashMap<ItemId, Vec<Option<i128>>>,
    /// It was said that a type has too many pointers.
    crowded: bool,
    /// How many operations interfaces have.
    slots: HashMap<InterfaceId, u16>,
    /// What is being worked out.
    depth: u32,
    /// Undefined names that were reported.
    missing: HashSet<String>,
    /// Well-known types that were used without a definition.
    borrowed: Vec<(String, Span)>,
    /// Discriminant types of unions that only their uses know.
    switches: HashMap<ItemId, crate::model::ndr::Type>,
    /// Items with something that cannot be on the wire: where, and what it is.
    unsound: HashMap<ItemId, Obstacle>,
    /// What cannot be on the wire in what is being lowered.
    obstacle: Option<Obstacle>,
}

/// Why something cannot be on the wire: an error as soon as an operation needs it.
#[derive(Clone, Debug)]
struct Obstacle {
    code: &'static str,
    span: Span,
    message: String,
    hint: Option<&'static str>,
}

impl Obstacle {
    /// The error, with the place that needs what cannot be.
    fn needed(self, place: Span) -> Diagnostic {
        let error = Diagnostic::error(self.code, self.span, self.message);
        let error = match self.hint {
            Some(hint) => error.hint(hint),
            None => error,
        };
        match place == self.span {
            true => error,
            false => error.label(place, "needed here"),
        }
    }
}

impl<'a> Lower<'a> {
    fn new(units: &'a [Unit], sources: &'a SourceMap, supplied: bool) -> Self {
        Self {
            units,
            sources,
            supplied,
            lost: units.iter().any(|it| it.file.lost),
            pidl: units.iter().any(|it| it.file.pidl && !it.prelude),
            diagnostics: Vec::new(),
            symbols: HashMap::new(),
            interface_names: HashMap::new(),
            values_twice: Vec::new(),
            tags: HashMap::new(),
            drafts: Vec::new(),
            inline: HashMap::new(),
            twice: Vec::new(),
            items: Vec::new(),
            interfaces: Vec::new(),
            bodies: Vec::new(),
            flat: HashMap::new(),
            values: HashMap::new(),
            crowded: false,
            slots: HashMap::new(),
            depth: 0,
            missing: HashSet::new(),
            borrowed: Vec::new(),
            switches: HashMap::new(),
            unsound: HashMap::new(),
            obstacle: None,
        }
    }

    fn error(&mut self, code: &'static str, span: Span, message: impl Into<String>) {
        self.diagnostics
            .push(Diagnostic::error(code, span, message));
    }

    fn warning(&mut self, code: &'static str, span: Span, message: impl Into<String>) {
        self.diagnostics
            .push(Diagnostic::warning(code, span, message));
    }

    /// Remembers that what is being lowered cannot be on the wire, which matters if it is to be.
    fn obstacle(&mut self, span: Span, message: impl Into<String>) {
        let (code, message, hint) = ("E0410", message.into(), None);
        self.hinder(Obstacle {
            code,
            span,
            message,
            hint,
        });
    }

    /// As [`obstacle`](Self::obstacle), with a code of its own or a hint.
    fn hinder(&mut self, obstacle: Obstacle) {
        self.obstacle.get_or_insert(obstacle);
    }

    /// Runs something one level deeper; `None` if that is too deep, which is said.
    fn deeper<T>(&mut self, span: Span, part: impl FnOnce(&mut Self) -> T) -> Option<T> {
        if self.depth == DEPTH {
            let message =
                format!("definitions depend on each other over {DEPTH} levels, or in a circle");
            self.error("E0308", span, message);
            return None;
        }
        self.depth += 1;
        let done = part(self);
        self.depth -= 1;
        Some(done)
    }

    /// Warns of well-known types that were used but not defined, once.
    fn warn_borrowed(&mut self) {
        if self.supplied || self.borrowed.is_empty() {
            return;
        }
        let mut names: Vec<&str> = self
            .borrowed
            .iter()
            .map(|(name, _)| name.as_str())
            .collect();
        names.sort_unstable();
        names.dedup();
        let more = names.len().saturating_sub(8);
        let mut list = names
            .iter()
            .take(8)
            .map(|it| format!("`{it}`"))
            .collect::<Vec<_>>()
            .join(", ");
        if more > 0 {
            list.push_str(&format!(" and {more} more"));
        }
        let first = self.borrowed.iter().map(|(_, span)| *span).min();
        if let Some(span) = first {
            let message = format!("not defined in any file, but well known, and supplied: {list}");
            let warning = Diagnostic::warning("W0503", span, message);
            let hint = "import the file that defines them, or its like, for example \"wtypes.idl\"";
            self.diagnostics.push(warning.hint(hint));
        }
    }

    fn finish(mut self) -> (Definitions, Vec<Diagnostic>) {
        self.check();
        self.warn_borrowed();
        (
            Definitions::new(self.items, self.interfaces),
            self.diagnostics,
        )
    }
}

#[cfg(test)]
mod tests;
