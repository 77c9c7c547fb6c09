//! The `#` lines.

use std::path::{Path, PathBuf};

use super::expression::{self, Names};
use super::scan::{PieceKind, Scan, is_word, without_comments};
use super::{Language, MAX_DEPTH, MAX_FILES, Preprocessor};
use crate::diag::{Diagnostic, Span};

/// One `#if` that is not closed yet.
#[derive(Clone, Copy, Debug)]
struct Condition {
    span: Span,
    /// Whether what is around it is read.
    outer: bool,
    /// Whether one of its branches was read already.
    taken: bool,
    /// Whether the present branch is read.
    active: bool,
    /// Whether its `#else` was there.
    last: bool,
}

/// The conditionals that are open in a file.
#[derive(Debug, Default)]
pub(super) struct Conditions(Vec<Condition>);

impl Conditions {
    /// Whether text is read.
    pub(super) fn active(&self) -> bool {
        self.0.last().is_none_or(|it| it.active)
    }

    /// The `#if` lines that are still open.
    pub(super) fn open(self) -> impl Iterator<Item = Span> {
        self.0.into_iter().map(|it| it.span)
    }

    fn push(&mut self, span: Span, value: bool) {
        let outer = self.active();
        let active = outer && value;
        self.0.push(Condition {
            span,
            outer,
            taken: active,
            active,
            last: false,
        });
    }

    /// Whether the next branch's condition matters at all.
    fn wants_branch(&self) -> bool {
        self.0.last().is_some_and(|it| it.outer && !it.taken)
    }

    /// Goes to the next branch; false if there is no conditional or its `#else` was there.
    fn branch(&mut self, value: bool, last: bool) -> bool {
        let Some(it) = self.0.last_mut().filter(|it| !it.last) else {
            return false;
        };
        it.active = it.outer && !it.taken && value;
        it.taken |= it.active;
        it.last = last;
        true
    }
}

impl Preprocessor<'_> {
    /// One `#` line.
    pub(super) fn directive(
        &mut self,
        line: &str,
        span: Span,
        conditions: &mut Conditions,
        directory: &Path,
        depth: usize,
    ) {
        let clean = without_comments(line);
        let body = clean.get(1..).unwrap_or("").trim();
        let (name, rest) = body.split_at(body.find(|c| !is_word(c)).unwrap_or(body.len()));
        let rest = rest.trim();
        if self.conditional(name, rest, span, conditions) || !conditions.active() {
            return;
        }
        match name {
            "define" => self.define_line(rest, span),
            "undef" => self.undefine_line(rest, span),
            "include" => self.include_line(rest, span, directory, depth),
            "pragma" if rest == "once" => self.mark_once(span),
            "error" => self.error("E0108", span, format!("#error {rest}")),
            "warning" => {
                let warning = Diagnostic::warning("W0110", span, format!("#warning {rest}"));
                self.out.diagnostics.push(warning);
            }
            "" | "pragma" | "ident" | "line" => {}
            _ if name.starts_with(|c: char| c.is_ascii_digit()) => {}
            _ => self.error("E0102", span, format!("unknown directive #{name}")),
        }
    }

    /// Handles the line if it belongs to a conditional.
    fn conditional(
        &mut self,
        name: &str,
        rest: &str,
        span: Span,
        conditions: &mut Conditions,
    ) -> bool {
        let fits = match name {
            "if" => {
                let value = conditions.active() && self.condition(rest, span);
                conditions.push(span, value);
                true
            }
            "ifdef" | "ifndef" => {
                let known = self
                    .macro_name(rest, span)
                    .is_some_and(|it| self.is_defined(it));
                conditions.push(span, known == (name == "ifdef"));
                true
            }
            "elif" => {
                let value = conditions.wants_branch() && self.condition(rest, span);
                conditions.branch(value, false)
            }
            "else" => conditions.branch(true, true),
            "endif" => conditions.0.pop().is_some(),
            _ => return false,
        };
        if !fits {
            self.error("E0106", span, format!("#{name} without #if"));
        }
        true
    }

    fn is_defined(&self, name: &str) -> bool {
        self.macros.contains_key(name)
    }

    /// The name that a directive's text begins with.
    fn macro_name<'t>(&mut self, rest: &'t str, span: Span) -> Option<&'t str> {
        let end = rest.find(|c| !is_word(c)).unwrap_or(rest.len());
        let name = rest.get(..end).unwrap_or("");
        if name.is_empty() || name.starts_with(|c: char| c.is_ascii_digit()) {
            self.error("E0103", span, "expected the name of a macro");
            return None;
        }
        Some(name)
    }

    fn condition(&mut self, text: &str, span: Span) -> bool {
        let mut expanded = String::new();
        let value = self
            .replace_defined(text)
            .and_then(|text| self.expand(&text, &mut Vec::new(), &mut expanded))
            .and_then(|()| expression::evaluate(&expanded, Names::Zero));
        match value {
            Ok(value) => value != 0,
            Err(message) => {
                self.error("E0107", span, message);
                false
            }
        }
    }

    /// Each `defined NAME` and `defined(NAME)` turned into 1 or 0.
    fn replace_defined(&self, text: &str) -> Result<String, String> {
        let mut out = String::new();
        let mut pieces = Scan::part(text);
        while let Some(piece) = pieces.next() {
            let word = text.get(piece.range).unwrap_or("");
            if word != "defined" {
                out.push_str(word);
                continue;
            }
            let mut solid = pieces
                .by_ref()
                .filter(|piece| piece.kind != PieceKind::Space);
            let mut next = || {
                solid
                    .next()
                    .and_then(|piece| text.get(piece.range))
                    .unwrap_or("")
            };
            let mut name = next();
            if name == "(" {
                name = next();
                if next() != ")" {
                    return Err("expected ')' after defined(".into());
                }
            }
            if !name.starts_with(is_word) {
                return Err("expected a name after defined".into());
            }
            out.push_str(if self.is_defined(name) { "1" } else { "0" });
        }
        Ok(out)
    }

    fn define_line(&mut self, rest: &str, span: Span) {
        let Some(name) = self.macro_name(rest, span) else {
            return;
        };
        let after = rest.get(name.len()..).unwrap_or("");
        let (parameters, body) = match after.strip_prefix('(') {
            Some(rest) => {
                let (names, body) = rest.split_once(')').unwrap_or((rest, ""));
                let names = names.split(',').map(|name| name.trim().to_owned());
                (Some(names.collect::<Vec<_>>()), body.trim().to_owned())
            }
            None => (None, after.trim().to_owned()),
        };
        if let Some(old) = self.macros.get(name)
            && let Some(first) = old.span
            && (old.body != body || old.parameters != parameters.is_some())
        {
            let message = format!("macro {name} is defined again, differently");
            let warning = Diagnostic::warning("W0111", span, message);
            self.out
                .diagnostics
                .push(warning.label(first, "first defined here"));
        }
        self.define(name, body, Some(span), parameters);
    }

    fn undefine_line(&mut self, rest: &str, span: Span) {
        if let Some(name) = self.macro_name(rest, span) {
            self.macros.remove(name);
        }
    }

    fn mark_once(&mut self, span: Span) {
        if let Some(file) = self.out.sources.file(span.file) {
            self.once.insert(file.name.clone());
        }
    }

    fn include_line(&mut self, rest: &str, span: Span, directory: &Path, depth: usize) {
        let expanded = match rest.starts_with(['"', '<']) {
            true => rest.to_owned(),
            false => {
                let mut out = String::new();
                let _ = self.expand(rest, &mut Vec::new(), &mut out);
                out
            }
        };
        let text = expanded.trim();
        let quoted = text.strip_prefix('"').and_then(|it| it.strip_suffix('"'));
        let angled = text.strip_prefix('<').and_then(|it| it.strip_suffix('>'));
        match (quoted, angled) {
            (Some(path), _) => self.include(path, Some(directory), span, depth),
            (_, Some(path)) => self.include(path, None, span, depth),
            _ => self.error(
                "E0103",
                span,
                "expected #include \"file\" or #include <file>",
            ),
        }
    }

    fn include(&mut self, path: &str, beside: Option<&Path>, span: Span, depth: usize) {
        let directories = beside
            .into_iter()
            .chain(self.options.include.iter().map(PathBuf::as_path));
        let mut candidates = directories.map(|directory| directory.join(path));
        let Some(found) = candidates.find(|it| self.options.files.exists(it)) else {
            let message = format!("no file {path:?} to include");
            let hint = match self.language {
                Language::X => {
                    "name its directory with -I, or write %#include if it is for a C compiler"
                }
                Language::Idl => "name its directory with -I",
            };
            self.out
                .diagnostics
                .push(Diagnostic::error("E0104", span, message).hint(hint));
            return;
        };
        let name = found.to_string_lossy().into_owned();
        if self.once.contains(&name) {
            return;
        }
        if depth == MAX_DEPTH {
            return self.stop(
                span,
                format!("includes are nested deeper than {MAX_DEPTH} levels"),
            );
        }
        if self.opened == MAX_FILES {
            return self.stop(span, format!("over {MAX_FILES} files are included"));
        }
        self.opened += 1;
        match self.options.files.read(&found) {
            Ok(text) => {
                let id = self.out.sources.add(name, text);
                self.file(id, found.parent().unwrap_or(Path::new("")), depth + 1);
            }
            Err(error) => self.error("E0104", span, format!("cannot read {path:?}: {error}")),
        }
    }
}
