//! From the syntax tree to the model, with all checks.
//!
//! The order: every name is declared; numbers are worked out; enums, then all other items are
//! lowered; what contains itself is found; programs are lowered; at last the model is made and
//! sizes are checked in it. Each step goes on after errors, but a model comes out only if there
//! are none.

mod names;
mod values;
mod types;
mod unions;
mod programs;

use std::cell::Cell;
use std::collections::{HashMap, HashSet};

use self::names::Symbol;
pub(crate) use self::names::distance;
use super::ast::{Body, Declaration, EnumMember, File, Specifier, UnionBody, Value};
use crate::diag::{Diagnostic, Severity, Span};
use crate::model::{Item, ItemId, ItemKind, Model, Type, directly_contained};
use crate::preprocess::Preprocessed;

/// The largest type of fixed size, and the largest smallest value of any type, in bytes.
const MAX_FIXED: usize = 1 << 24;
/// How many names may be looked up to work out numbers and typedefs: hostile files have chains.
const MAX_STEPS: usize = 10_000_000;

/// Lowers a file; no model if there are errors. What `source` knows goes into the model.
pub(crate) fn lower(file: &File, source: &mut Preprocessed) -> (Option<Model>, Vec<Diagnostic>) {
    let mut it = Lower::new(file);
    it.headers = source
        .passthrough
        .iter()
        .any(|line| line.text.contains("include"));
    it.declare_all(&source.constants, &source.passed_constants);
    let kinds = it.lower_items();
    it.check_containment(&kinds);
    let programs = it.lower_programs();
    let broken = it.diagnostics.iter().any(|d| d.severity == Severity::Error);
    if broken || kinds.iter().any(Option::is_none) {
        return (None, it.diagnostics);
    }
    let drafts = it.drafts.into_iter().zip(kinds);
    let items = drafts.filter_map(
        |(
            Draft {
                name, docs, span, ..
            },
            kind,
        )| {
            Some(Item {
                name,
                docs,
                span,
                kind: kind?,
            })
        },
    );
    let passthrough = std::mem::take(&mut source.passthrough);
    let sources = std::mem::take(&mut source.sources);
    let model = Model::new(items.collect(), programs, passthrough, sources);
    check_sizes(&model, &mut it.diagnostics);
    (Some(model), it.diagnostics)
}

/// An item to be.
struct Draft<'a> {
    /// Empty until nested types get their names.
    name: String,
    docs: String,
    span: Span,
    body: DraftBody<'a>,
}

#[derive(Clone, Copy)]
enum DraftBody<'a> {
    Const(&'a Value),
    Macro(i128),
    Enum(&'a [EnumMember]),
    Struct(&'a [Declaration]),
    Union(&'a UnionBody),
    Typedef(&'a Declaration),
}

/// A number that is no constant of the interface.
#[derive(Clone, Copy)]
enum Outside<'a> {
    Number(i128),
    Value(&'a Value),
}

struct Lower<'a> {
    file: &'a File,
    drafts: Vec<Draft<'a>>,
    symbols: HashMap<String, (Symbol, Span)>,
    /// Numbers that C knows by these names: `%#define`, and the names of versions and procedures.
    /// They are looked at last.
    outside: HashMap<String, Outside<'a>>,
    /// The items that declarations define on the side.
    nested: HashMap<*const Declaration, ItemId>,
    /// The structs that are list nodes, and what their links are called.
    links: HashMap<ItemId, String>,
    /// For each enum that could be lowered, its numbers and their names.
    enums: HashMap<ItemId, HashMap<i64, String>>,
    /// Undefined names that were reported.
    missing: HashSet<String>,
    /// Whether the file takes something from C's headers.
    headers: bool,
    steps: Cell<usize>,
    diagnostics: Vec<Diagnostic>,
}

impl<'a> Lower<'a> {
    fn new(file: &'a File) -> Self {
        Self {
            file,
            drafts: Vec::new(),
            symbols: HashMap::new(),
            outside: HashMap::new(),
            nested: HashMap::new(),
            links: HashMap::new(),
            enums: HashMap::new(),
            missing: HashSet::new(),
            headers: false,
            steps: Cell::new(0),
            diagnostics: Vec::new(),
        }
    }

    fn error(&mut self, code: &'static str, span: Span, message: impl Into<String>) {
        self.diagnostics
            .push(Diagnostic::error(code, span, message));
    }

    fn draft(&self, id: ItemId) -> Option<&Draft<'a>> {
        self.drafts.get(id.0 as usize)
    }

    /// One more look-up; false if there have been too many.
    fn step(&self) -> bool {
        self.steps.set(self.steps.get() + 1);
        self.steps.get() <= MAX_STEPS
    }

    fn ids(&self) -> impl Iterator<Item = ItemId> + use<> {
        (0..self.drafts.len() as u32).map(ItemId)
    }

    /// Enums first: unions ask them for their values. Links next: they decide what a name means.
    fn lower_items(&mut self) -> Vec<Option<ItemKind>> {
        let mut kinds: Vec<Option<ItemKind>> = vec![None; self.drafts.len()];
        self.find_links();
        for enums in [true, false] {
            for (id, slot) in self.ids().zip(&mut kinds) {
                let Some(body) = self.draft(id).map(|draft| draft.body) else {
                    continue;
                };
                if matches!(body, DraftBody::Enum(_)) == enums {
                    *slot = self.lower_item(id, body);
                }
            }
        }
        kinds
    }

    fn lower_item(&mut self, id: ItemId, body: DraftBody<'a>) -> Option<ItemKind> {
        match body {
            DraftBody::Macro(value) => Some(ItemKind::Const(value)),
            DraftBody::Const(value) => self.lower_const(value).map(ItemKind::Const),
            DraftBody::Enum(members) => self.lower_enum(id, members).map(ItemKind::Enum),
            DraftBody::Struct(members) => self.lower_struct(id, members).map(ItemKind::Struct),
            DraftBody::Union(body) => self.lower_union(body).map(ItemKind::Union),
            DraftBody::Typedef(declaration) => self.ty(declaration).map(ItemKind::Typedef),
        }
    }

    /// Reports each circle of items that lie directly inside each other.
    fn check_containment(&mut self, kinds: &[Option<ItemKind>]) {
        let inner = |id: ItemId| {
            let kind = kinds.get(id.0 as usize).and_then(Option::as_ref);
            kind.map(directly_contained).unwrap_or_default()
        };
        let mut done = vec![false; kinds.len()];
        for root in self.ids() {
            // Path of open items; each with those inside it that are still to be visited.
            let mut path: Vec<(ItemId, Vec<ItemId>)> = vec![(root, inner(root))];
            let mut open = HashSet::from([root]);
            if std::mem::replace(&mut done[root.0 as usize], true) {
                continue;
            }
            while let Some((id, rest)) = path.last_mut() {
                let Some(next) = rest.pop() else {
                    open.remove(id);
                    path.pop();
                    continue;
                };
                if open.contains(&next) {
                    let circle = path.iter().map(|(id, _)| *id).skip_while(|id| *id != next);
                    self.report_circle(&circle.collect::<Vec<_>>());
                } else if !std::mem::replace(&mut done[next.0 as usize], true) {
                    open.insert(next);
                    path.push((next, inner(next)));
                }
            }
        }
    }

    fn report_circle(&mut self, circle: &[ItemId]) {
        let named = |id: &ItemId| self.draft(*id).map(|it| (it.name.clone(), it.span));
        let mut items = circle.iter().filter_map(named);
        let Some((name, span)) = items.next() else {
            return;
        };
        let message = format!("`{name}` contains itself");
        let mut error = Diagnostic::error("E0402", span, message)
            .hint("put a `*` in front of the inner one: then it may be absent");
        for (name, span) in items.take(8) {
            error = error.label(span, format!("by way of `{name}`"));
        }
        self.diagnostics.push(error);
    }
}

/// No fixed-size type may be larger than a message; nor may the smallest value of any type.
fn check_sizes(model: &Model, diagnostics: &mut Vec<Diagnostic>) {
    let mut check = |what: &str, ty: &Type, span: Span| {
        let len = model.min_len(ty);
        if len > MAX_FIXED {
            let message = format!("{what} takes at least {len} bytes, more than {MAX_FIXED}");
            let hint = "with `<n>` in place of `[n]` only what is there is sent";
            diagnostics.push(Diagnostic::error("E0404", span, message).hint(hint));
        }
    };
    for (_, item) in model.items() {
        match &item.kind {
            ItemKind::Typedef(ty) => check(&format!("`{}`", item.name), ty, item.span),
            ItemKind::Struct(it) => {
                for field in &it.fields {
                    check(&format!("`{}`", field.name), &field.ty, field.span);
                }
            }
            ItemKind::Union(it) => {
                for field in it
                    .arms
                    .iter()
                    .chain(&it.default)
                    .filter_map(|arm| arm.field.as_ref())
                {
                    check(&format!("`{}`", field.name), &field.ty, field.span);
                }
            }
            ItemKind::Const(_) | ItemKind::Enum(_) => {}
        }
    }
    let versions = model
        .programs()
        .iter()
        .flat_map(|program| &program.versions);
    for procedure in versions.flat_map(|version| &version.procedures) {
        check("the result", &procedure.result, procedure.span);
        for arg in &procedure.args {
            check("the argument", &arg.ty, arg.span);
        }
    }
}

#[cfg(test)]
mod tests;
