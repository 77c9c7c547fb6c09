//! Declares every name, nested types included, and finds what a name means.

use std::collections::HashSet;

use super::{Body, Declaration, Draft, DraftBody, Lower, Outside, Specifier};
use crate::diag::{Diagnostic, Span};
use crate::model::{ItemId, Type};
use crate::preprocess::MacroConstant;
use crate::rpcl::ast::{Name, Shape, Value};

/// What a name means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Symbol {
    Type(ItemId),
    Const(ItemId),
    /// A value of an enum, and its place in it.
    Value(ItemId, usize),
    Program,
}

impl Symbol {
    fn what(self) -> &'static str {
        match self {
            Self::Type(_) => "a type",
            Self::Const(_) => "a constant",
            Self::Value(..) => "a value of an enum",
            Self::Program => "a program",
        }
    }
}

/// How many names are compared to guess what was meant, and for how many undefined ones.
const MAX_NAMES: usize = 10_000;
const MAX_GUESSES: usize = 20;

impl<'a> Lower<'a> {
    pub(super) fn declare_all(&mut self, macros: &[MacroConstant], passed: &[MacroConstant]) {
        let file = self.file;
        let defined: HashSet<&str> = file
            .definitions
            .iter()
            .map(|it| it.name.text.as_str())
            .collect();
        for it in macros
            .iter()
            .filter(|it| !defined.contains(it.name.as_str()))
        {
            let name = Name {
                text: it.name.clone(),
                span: it.span,
            };
            self.add(&name, String::new(), DraftBody::Macro(it.value));
        }
        let mut nested = Vec::new();
        for definition in &file.definitions {
            let body = match &definition.body {
                Body::Const(value) => DraftBody::Const(value),
                Body::Typedef(it) if is_redundant(it) => continue,
                Body::Typedef(it) => DraftBody::Typedef(it),
                Body::Type(specifier) => match draft_body(specifier) {
                    Some(body) => body,
                    None => continue,
                },
            };
            if self.says_again(&definition.name, body) {
                continue;
            }
            self.add(&definition.name, definition.docs.clone(), body);
            self.add_inner(&definition.name.text, body, &mut nested);
        }
        self.declare_programs(&mut nested);
        self.name_nested(nested);
        self.outside.extend(
            passed
                .iter()
                .map(|it| (it.name.clone(), Outside::Number(it.value))),
        );
    }

    fn declare_programs(&mut self, nested: &mut Vec<(ItemId, String)>) {
        let file = self.file;
        for program in &file.programs {
            self.declare(&program.name, Symbol::Program);
            self.outside
                .insert(program.name.text.clone(), Outside::Value(&program.number));
            for version in &program.versions {
                self.outside
                    .insert(version.name.text.clone(), Outside::Value(&version.number));
            }
            for procedure in program.versions.iter().flat_map(|it| &it.procedures) {
                let number = Outside::Value(&procedure.number);
                self.outside
                    .entry(procedure.name.text.clone())
                    .or_insert(number);
                let outer = &procedure.name.text;
                self.add_nested(outer, "result", &procedure.result, nested);
                for argument in &procedure.arguments {
                    let inner = argument.name.as_ref().map_or("arg", |name| &name.text);
                    self.add_nested(outer, inner, argument, nested);
                }
            }
        }
    }

    /// Adds an item that has a name.
    fn add(&mut self, name: &Name, docs: String, body: DraftBody<'a>) -> ItemId {
        let id = self.push(name.text.clone(), docs, name.span, body);
        match body {
            DraftBody::Const(_) | DraftBody::Macro(_) => self.declare(name, Symbol::Const(id)),
            _ => self.declare(name, Symbol::Type(id)),
        }
        self.declare_values(id, body);
        id
    }

    fn push(&mut self, name: String, docs: String, span: Span, body: DraftBody<'a>) -> ItemId {
        let id = ItemId(self.drafts.len() as u32);
        self.drafts.push(Draft {
            name,
            docs,
            span,
            body,
        });
        id
    }

    // req: rpcl-4506-6.4-unique
    fn declare(&mut self, name: &Name, symbol: Symbol) {
        let Some((_, first)) = self.symbols.get(&name.text) else {
            self.symbols.insert(name.text.clone(), (symbol, name.span));
            return;
        };
        let mut error = duplicate("E0301", &name.text, name.span, *first);
        if first.file != name.span.file {
            error = error.hint("a file that is included twice needs `#pragma once`");
        }
        self.diagnostics.push(error);
    }

    /// Whether a `typedef` or a constant is there a second time and says the same, which C lets pass; that is warned of.
    fn says_again(&mut self, name: &Name, body: DraftBody<'a>) -> bool {
        let Some((Symbol::Type(id) | Symbol::Const(id), first)) =
            self.symbols.get(&name.text).copied()
        else {
            return false;
        };
        let same = match (self.draft(id).map(|draft| draft.body), body) {
            (Some(DraftBody::Typedef(a)), DraftBody::Typedef(b)) => is_same(a, b),
            (Some(DraftBody::Const(a)), DraftBody::Const(b)) => is_same_value(a, b),
            _ => false,
        };
        if same {
            let message = format!("`{}` is defined again, in the same way", name.text);
            let warning = Diagnostic::warning("W0308", name.span, message);
            self.diagnostics
                .push(warning.label(first, "first defined here"));
        }
        same
    }

    /// Adds the types that are nested in an item. `nested` collects those without a name, and
    /// what they would like to be called.
    fn add_inner(&mut self, outer: &str, body: DraftBody<'a>, nested: &mut Vec<(ItemId, String)>) {
        let mut inner = |it: &mut Self, declaration: &'a Declaration| {
            let name = declaration.name.as_ref().map_or("", |name| &name.text);
            it.add_nested(outer, name, declaration, nested);
        };
        match body {
            DraftBody::Struct(members) => members.iter().for_each(|member| inner(self, member)),
            DraftBody::Union(body) => {
                inner(self, &body.discriminant);
                let arms = body.arms.iter().chain(&body.defaults);
                arms.for_each(|arm| inner(self, &arm.declaration));
            }
            DraftBody::Typedef(declaration) => inner(self, declaration),
            DraftBody::Const(_) | DraftBody::Macro(_) | DraftBody::Enum(_) => {}
        }
    }

    fn add_nested(
        &mut self,
        outer: &str,
        name: &str,
        declaration: &'a Declaration,
        nested: &mut Vec<(ItemId, String)>,
    ) {
        let Some(body) = draft_body(&declaration.specifier) else {
            return;
        };
        let wish = match name == outer || name.is_empty() {
            true => format!("{outer}_item"),
            false => format!("{outer}_{name}"),
        };
        let (id, path) = match &declaration.tag {
            Some(tag) => (
                self.add(tag, declaration.docs.clone(), body),
                tag.text.clone(),
            ),
            None => {
                let id = self.push(
                    String::new(),
                    declaration.docs.clone(),
                    declaration.span,
                    body,
                );
                self.declare_values(id, body);
                nested.push((id, wish.clone()));
                (id, wish)
            }
        };
        self.nested.insert(std::ptr::from_ref(declaration), id);
        self.add_inner(&path, body, nested);
    }

    fn declare_values(&mut self, id: ItemId, body: DraftBody<'a>) {
        if let DraftBody::Enum(members) = body {
            for (index, member) in members.iter().enumerate() {
                self.declare(&member.name, Symbol::Value(id, index));
            }
        }
    }

    /// Gives nested types names that nobody else has.
    fn name_nested(&mut self, nested: Vec<(ItemId, String)>) {
        for (id, mut name) in nested {
            while self.symbols.contains_key(&name) {
                name.push('_');
            }
            if let Some(draft) = self.drafts.get_mut(id.0 as usize) {
                draft.name.clone_from(&name);
                self.symbols.insert(name, (Symbol::Type(id), draft.span));
            }
        }
    }

    /// The symbol, if the name is declared.
    pub(super) fn symbol(&self, name: &str) -> Option<Symbol> {
        self.symbols.get(name).map(|(symbol, _)| *symbol)
    }

    /// The type that a name stands for.
    pub(super) fn named(&mut self, name: &Name) -> Option<Type> {
        match self.symbols.get(&name.text).copied() {
            Some((Symbol::Type(id), _)) => Some(Type::Named(id)),
            Some((symbol, first)) => {
                let message = format!("`{}` is {}, not a type", name.text, symbol.what());
                let error = Diagnostic::error("E0304", name.span, message);
                self.diagnostics.push(error.label(first, "defined here"));
                None
            }
            None => builtin(&name.text).or_else(|| {
                self.undefined("E0302", "type", name, |symbol| {
                    matches!(symbol, Symbol::Type(_))
                });
                None
            }),
        }
    }

    /// Reports an undefined name, at its first use.
    pub(super) fn undefined(
        &mut self,
        code: &'static str,
        what: &str,
        name: &Name,
        fits: fn(&Symbol) -> bool,
    ) {
        let unread = self.file.lost || self.file.broken.contains(&name.text);
        if unread || !self.missing.insert(name.text.clone()) {
            return;
        }
        let error = Diagnostic::error(
            code,
            name.span,
            format!("{what} `{}` is undefined", name.text),
        );
        let error = match self.nearest(&name.text, fits) {
            Some(near) => error.hint(format!("there is a {what} `{near}`")),
            None => error,
        };
        let error = match (self.headers, code) {
            (true, "E0303") => error.hint(format!(
                "C's headers are not read; if one has it, say its value: -D {}=…",
                name.text
            )),
            (true, _) => {
                error.hint("C's headers are not read; an `#include` of a .x file with the type is")
            }
            (false, _) => error,
        };
        self.diagnostics.push(error);
    }

    /// The declared name that is most like this one, if one is.
    fn nearest(&self, name: &str, fits: fn(&Symbol) -> bool) -> Option<String> {
        if self.missing.len() > MAX_GUESSES {
            return None;
        }
        let names = self.symbols.iter().filter(|(_, (symbol, _))| fits(symbol));
        let near = names
            .take(MAX_NAMES)
            .map(|(known, _)| (distance(name, known), known));
        let best = near.min()?;
        (best.0 <= name.len().div_ceil(3)).then(|| best.1.clone())
    }
}

/// The error that `name` is there a second time.
pub(super) fn duplicate(code: &'static str, name: &str, span: Span, first: Span) -> Diagnostic {
    let error = Diagnostic::error(code, span, format!("`{name}` is defined twice"));
    error.label(first, "first defined here")
}

/// `typedef struct x x;` says nothing.
fn is_redundant(declaration: &Declaration) -> bool {
    let same = match (&declaration.specifier, &declaration.name) {
        (Specifier::Named(target), Some(name)) => target.text == name.text,
        _ => false,
    };
    same && matches!(declaration.shape, Shape::Plain)
}

/// Whether two declarations say the same of types that have names.
fn is_same(a: &Declaration, b: &Declaration) -> bool {
    let specifiers = match (&a.specifier, &b.specifier) {
        (Specifier::Basic(a), Specifier::Basic(b)) => a == b,
        (Specifier::Opaque, Specifier::Opaque) | (Specifier::String, Specifier::String) => true,
        (Specifier::Named(a), Specifier::Named(b)) => a.text == b.text,
        _ => false,
    };
    specifiers
        && match (&a.shape, &b.shape) {
            (Shape::Plain, Shape::Plain)
            | (Shape::Pointer, Shape::Pointer)
            | (Shape::Variable(None), Shape::Variable(None)) => true,
            (Shape::Fixed(a), Shape::Fixed(b))
            | (Shape::Variable(Some(a)), Shape::Variable(Some(b))) => is_same_value(a, b),
            _ => false,
        }
}

fn is_same_value(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Number { value: a, .. }, Value::Number { value: b, .. }) => a == b,
        (Value::Name(a), Value::Name(b)) => a.text == b.text,
        _ => false,
    }
}

fn draft_body(specifier: &Specifier) -> Option<DraftBody<'_>> {
    match specifier {
        Specifier::Enum(members) => Some(DraftBody::Enum(members)),
        Specifier::Struct(members) => Some(DraftBody::Struct(members)),
        Specifier::Union(body) => Some(DraftBody::Union(body)),
        _ => None,
    }
}

/// The types that C's headers define for rpcgen's users.
pub(super) fn builtin(name: &str) -> Option<Type> {
    let ty = match name {
        "bool_t" => Type::Bool,
        "int32_t" => Type::Int,
        "u_int" | "u_long" | "uint" | "ulong" | "uint32_t" | "u_int32_t" => Type::UInt,
        "rpcprog_t" | "rpcvers_t" | "rpcproc_t" | "rpcprot_t" | "rpcport_t" => Type::UInt,
        "int64_t" | "quad_t" | "longlong_t" => Type::Hyper,
        "uint64_t" | "u_int64_t" | "u_quad_t" | "u_longlong_t" | "u_hyper" => Type::UHyper,
        "int8_t" => Type::Small {
            bits: 8,
            signed: true,
        },
        "uint8_t" | "u_int8_t" | "u_char" | "uchar" => Type::Small {
            bits: 8,
            signed: false,
        },
        "int16_t" => Type::Small {
            bits: 16,
            signed: true,
        },
        "uint16_t" | "u_int16_t" | "u_short" | "ushort" => Type::Small {
            bits: 16,
            signed: false,
        },
        _ => return None,
    };
    Some(ty)
}

/// How many letters must be changed, added or left out to make `a` of `b`.
pub(crate) fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().take(64).collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.chars().take(64).enumerate() {
        let mut diagonal = i;
        let mut left = i + 1;
        for (y, above) in b.iter().zip(row.iter_mut().skip(1)) {
            let cost = diagonal + usize::from(x != *y);
            diagonal = *above;
            left = cost.min(left + 1).min(*above + 1);
            *above = left;
        }
        if let Some(first) = row.first_mut() {
            *first = i + 1;
        }
    }
    row.last().copied().unwrap_or(0)
}
