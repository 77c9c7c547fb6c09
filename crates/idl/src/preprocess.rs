//! A small preprocessor, ours, so that interface files need no C compiler.
//!
//! It understands `#define`, `#undef`, the conditionals, `#include`, `#error`,
//! `#warning` and `#pragma once`, splices continued lines, takes `%` lines out and keeps comments.
//! The result is one text for a lexer, and for each byte of it the place where it comes from.
//! A macro that stands for an integer expression is replaced by the expression's value, and is
//! reported as a constant at the end. In `.idl` files macros may have parameters, `#` and `##`, and
//! `%` lines are nothing special; in `.x` files a macro with parameters is refused where it is used.
//!
//! What hostile files could make endless is limited: [`MAX_DEPTH`], [`MAX_FILES`],
//! [`MAX_FILE`], [`MAX_TEXT`].

pub(crate) mod scan;
pub(crate) mod expression;
mod directive;
mod files;
mod functions;

use std::cell::Cell;
use std::collections::{HashMap, HashSet};
use std::ops::Range;
use std::path::Path;

use self::directive::Conditions;
use self::expression::Names;
pub use self::files::{Files, Options};
use self::scan::{Piece, PieceKind, Scan, is_word, without_comments};
use crate::diag::{Diagnostic, FileId, SourceMap, Span};
use crate::model::Passthrough;

// req: rpcl-bounded
/// How deep includes, and macros within macros, may be nested.
pub const MAX_DEPTH: usize = 32;
/// How many files may be opened, counting a file once for each time.
pub const MAX_FILES: usize = 256;
/// The largest file, in bytes.
pub const MAX_FILE: usize = 4 << 20;
/// The largest text after all includes and replacements, in bytes.
pub const MAX_TEXT: usize = 16 << 20;

/// A `#define` without parameters that stands for an integer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct MacroConstant {
    pub(crate) name: String,
    pub(crate) value: i128,
    pub(crate) span: Span,
}

/// What is left for the lexer.
#[derive(Debug, Default)]
pub(crate) struct Preprocessed {
    /// The text.
    pub(crate) text: String,
    segments: Vec<Segment>,
    /// The lines that were passed through.
    pub(crate) passthrough: Vec<Passthrough>,
    /// The macros that stand for integers and are still defined at the end, in source order.
    pub(crate) constants: Vec<MacroConstant>,
    /// The same of `%#define` lines, for which only a C compiler is a preprocessor.
    pub(crate) passed_constants: Vec<MacroConstant>,
    /// The files.
    pub(crate) sources: SourceMap,
    /// What there was to say.
    pub(crate) diagnostics: Vec<Diagnostic>,
}

/// A stretch of the text that comes from one place.
#[derive(Clone, Copy, Debug)]
struct Segment {
    /// Where it begins in the text.
    at: usize,
    /// Where it comes from.
    origin: Span,
    /// Byte by byte; otherwise the whole stretch stands for the whole origin.
    verbatim: bool,
}

impl Preprocessed {
    /// A text that needs no preprocessing.
    pub(crate) fn verbatim(file: FileId, text: &str) -> Self {
        let mut it = Self::default();
        it.push(text, Span::new(file, 0, text.len() as u32), true);
        it
    }

    /// Where a range of the text comes from.
    pub(crate) fn origin(&self, range: Range<usize>) -> Span {
        let first = self.origin_of(range.start);
        if range.end <= range.start + 1 {
            return first;
        }
        first.to(self.origin_of(range.end - 1))
    }

    /// The macro that this byte of the text was put in for.
    pub(crate) fn replaced(&self, at: usize) -> Option<&str> {
        let index = self
            .segments
            .partition_point(|segment| segment.at <= at)
            .checked_sub(1)?;
        let segment = self
            .segments
            .get(index)
            .filter(|segment| !segment.verbatim)?;
        Some(self.sources.text(segment.origin))
    }

    fn origin_of(&self, at: usize) -> Span {
        let index = self.segments.partition_point(|segment| segment.at <= at);
        let Some(segment) = index
            .checked_sub(1)
            .and_then(|index| self.segments.get(index))
        else {
            return Span::new(FileId(0), 0, 0);
        };
        if !segment.verbatim {
            return segment.origin;
        }
        let start = segment
            .origin
            .start
            .saturating_add((at - segment.at) as u32);
        let start = start.min(segment.origin.end);
        Span {
            start,
            end: start.saturating_add(1).min(segment.origin.end),
            ..segment.origin
        }
    }

    fn push(&mut self, text: &str, origin: Span, verbatim: bool) {
        let at = self.text.len();
        self.text.push_str(text);
        match self.segments.last_mut() {
            Some(last)
                if verbatim
                    && last.verbatim
                    && last.origin.file == origin.file
                    && last.origin.end == origin.start =>
            {
                last.origin.end = origin.end;
            }
            _ => self.segments.push(Segment {
                at,
                origin,
                verbatim,
            }),
        }
    }
}

/// Preprocesses the text of the file at `path`; the files that are read are added to `sources`.
pub(crate) fn preprocess(
    sources: SourceMap,
    path: &Path,
    text: String,
    options: &Options,
) -> Preprocessed {
    read(Preprocessor::new(options, Language::X), sources, path, text)
}

/// The same for an `.idl` or `.acf` file.
pub(crate) fn preprocess_idl(
    sources: SourceMap,
    path: &Path,
    text: String,
    options: &Options,
) -> Preprocessed {
    let it = Preprocessor::new(options, Language::Idl);
    read(it, sources, path, text)
}

fn read(mut it: Preprocessor<'_>, sources: SourceMap, path: &Path, text: String) -> Preprocessed {
    it.out.sources = sources;
    let id = it.out.sources.add(path.to_string_lossy(), text);
    it.opened = 1;
    it.file(id, path.parent().unwrap_or(Path::new("")), 0);
    it.finish()
}

/// What the text is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Language {
    X,
    Idl,
}

/// A macro's definition.
#[derive(Clone, Debug)]
struct Macro {
    body: String,
    /// The names of its parameters.
    names: Vec<String>,
    /// Where it is defined; none if by an option.
    span: Option<Span>,
    /// `#define f(x)`
    parameters: bool,
    /// Its place among all definitions.
    order: usize,
}

struct Preprocessor<'a> {
    options: &'a Options,
    language: Language,
    macros: HashMap<String, Macro>,
    once: HashSet<String>,
    defined: usize,
    opened: usize,
    /// A limit was hit: nothing more is read.
    stopped: bool,
    /// Bytes that went through macros so far.
    replaced: Cell<usize>,
    out: Preprocessed,
}

impl<'a> Preprocessor<'a> {
    fn new(options: &'a Options, language: Language) -> Self {
        let mut it = Self {
            options,
            language,
            macros: HashMap::new(),
            once: HashSet::new(),
            defined: 0,
            opened: 0,
            stopped: false,
            replaced: Cell::new(0),
            out: Preprocessed::default(),
        };
        match language {
            Language::X => it.define("RPC_HDR", "1".into(), None, None),
            Language::Idl => it.define("__midl", "801".into(), None, None),
        }
        for (name, value) in &options.defines {
            it.define(
                name,
                value.clone().unwrap_or_else(|| "1".into()),
                None,
                None,
            );
        }
        it
    }

    fn define(
        &mut self,
        name: &str,
        body: String,
        span: Option<Span>,
        parameters: Option<Vec<String>>,
    ) {
        self.defined += 1;
        let order = self.defined;
        self.macros.insert(
            name.to_owned(),
            Macro {
                body,
                span,
                parameters: parameters.is_some(),
                names: parameters.unwrap_or_default(),
                order,
            },
        );
    }

    fn error(&mut self, code: &'static str, span: Span, message: impl Into<String>) {
        self.out
            .diagnostics
            .push(Diagnostic::error(code, span, message));
    }

    /// Says that a limit is reached, once, and ends everything.
    fn stop(&mut self, span: Span, message: String) {
        if !std::mem::replace(&mut self.stopped, true) {
            self.error("E0105", span, message);
        }
    }

    /// Reads one file to its end.
    fn file(&mut self, id: FileId, directory: &Path, depth: usize) {
        let text = self
            .out
            .sources
            .file(id)
            .map(|file| file.text.clone())
            .unwrap_or_default();
        let mut conditions = Conditions::default();
        let mut taken = 0;
        for Piece { kind, range } in self.scan(&text) {
            if self.stopped {
                return;
            }
            if range.start < taken {
                continue;
            }
            let span = Span::new(id, range.start as u32, range.end as u32);
            let piece = text.get(range.clone()).unwrap_or("");
            match kind {
                PieceKind::Directive => {
                    self.directive(piece, span, &mut conditions, directory, depth);
                }
                _ if !conditions.active() => {}
                PieceKind::Percent => self.pass_through(piece, span),
                PieceKind::OpenComment => self.open_comment(span),
                PieceKind::Splice => {}
                PieceKind::Word if conditions.active() && self.is_function(piece) => {
                    taken = self.call(&text, range, id);
                }
                PieceKind::Word => {
                    let called = text
                        .get(range.end..)
                        .unwrap_or("")
                        .trim_start()
                        .starts_with('(');
                    self.word(piece, span, called);
                }
                _ => self.emit(piece, span),
            }
        }
        for open in conditions.open() {
            self.error("E0106", open, "conditional is not closed: expected #endif");
        }
    }

    fn emit(&mut self, text: &str, span: Span) {
        if self.out.text.len() + text.len() > MAX_TEXT {
            return self.stop(span, format!("text is over {MAX_TEXT} bytes"));
        }
        self.out.push(text, span, true);
    }

    fn pass_through(&mut self, line: &str, span: Span) {
        let text = line
            .strip_prefix('%')
            .unwrap_or(line)
            .trim_end_matches('\r')
            .to_owned();
        self.out.passthrough.push(Passthrough { text, span });
    }

    fn open_comment(&mut self, span: Span) {
        let start = Span {
            end: span.start.saturating_add(2),
            ..span
        };
        self.error("E0101", start, "comment is not closed: expected */");
    }

    /// A word of the text: replaced if it is a macro.
    fn word(&mut self, name: &str, span: Span, called: bool) {
        let Some(definition) = self.macros.get(name) else {
            return self.emit(name, span);
        };
        if definition.parameters {
            if called {
                let message = format!("macro {name} has parameters, which is not supported");
                self.error("E0109", span, message);
            }
            return self.emit(name, span);
        }
        match self.replacement(name) {
            Ok(text) if self.out.text.len() + text.len() > MAX_TEXT => {
                self.stop(span, format!("text is over {MAX_TEXT} bytes"));
            }
            Ok(text) => self.out.push(&text, span, false),
            Err(message) => self.stop(span, message),
        }
    }

    /// What a macro stands for: the value if it is an integer, else its text.
    fn replacement(&self, name: &str) -> Result<String, String> {
        let mut text = String::new();
        let mut hidden = Vec::new();
        self.expand(name, &mut hidden, &mut text)?;
        match expression::evaluate(&text, Names::Refused) {
            Ok(value) => Ok(value.to_string()),
            Err(_) => Ok(text),
        }
    }

    /// Appends `text` to `out`, macros replaced, those in `hidden` excepted.
    fn expand(&self, text: &str, hidden: &mut Vec<String>, out: &mut String) -> Result<(), String> {
        if hidden.len() > MAX_DEPTH {
            return Err(format!("macros are nested deeper than {MAX_DEPTH} levels"));
        }
        let mut taken = 0;
        for piece in Scan::part(text) {
            if piece.range.start < taken {
                continue;
            }
            let word = text.get(piece.range.clone()).unwrap_or("");
            if piece.kind == PieceKind::Word
                && self.is_function(word)
                && !hidden.iter().any(|name| name == word)
                && let Some((arguments, end)) = functions::arguments(text, piece.range.end)
            {
                let body = self.substituted(word, &arguments)?;
                hidden.push(word.to_owned());
                self.expand(&body, hidden, out)?;
                hidden.pop();
                taken = end;
                continue;
            }
            let body = match self.macros.get(word) {
                Some(it) if piece.kind == PieceKind::Word && !it.parameters => Some(&it.body),
                _ => None,
            };
            match body {
                Some(body) if !hidden.iter().any(|name| name == word) => {
                    hidden.push(word.to_owned());
                    self.expand(body, hidden, out)?;
                    hidden.pop();
                }
                _ => out.push_str(word),
            }
            self.replaced.set(self.replaced.get() + word.len());
            if self.replaced.get() > MAX_TEXT {
                return Err(format!("macros make over {MAX_TEXT} bytes"));
            }
        }
        Ok(())
    }

    /// The macros that stand for integers, those with leading underscores excepted.
    fn constants(&self) -> Vec<MacroConstant> {
        let mut found: Vec<(usize, MacroConstant)> = Vec::new();
        for (name, it) in &self.macros {
            let (Some(span), false) = (it.span, it.parameters || name.starts_with('_')) else {
                continue;
            };
            let text = self.replacement(name).unwrap_or_default();
            if let Ok(value) = expression::evaluate(&text, Names::Refused) {
                found.push((
                    it.order,
                    MacroConstant {
                        name: name.clone(),
                        value,
                        span,
                    },
                ));
            }
        }
        found.sort_by_key(|(order, _)| *order);
        found.into_iter().map(|(_, constant)| constant).collect()
    }

    /// Takes the `%#define` lines for macros, now that no text is left that they could change.
    fn define_passed(&mut self) {
        for line in std::mem::take(&mut self.out.passthrough) {
            let define = line
                .text
                .trim_start()
                .strip_prefix('#')
                .map(str::trim_start);
            let clean = define
                .and_then(|it| it.strip_prefix("define"))
                .map(without_comments);
            let clean = clean.unwrap_or_default();
            let (name, body) = clean.trim().split_once(|c| !is_word(c)).unwrap_or_default();
            if !name.is_empty() && !self.macros.contains_key(name) {
                self.define(name, body.trim().to_owned(), Some(line.span), None);
            }
            self.out.passthrough.push(line);
        }
    }

    fn finish(mut self) -> Preprocessed {
        self.out.constants = self.constants();
        self.define_passed();
        self.out.passed_constants = self.constants();
        self.out
    }
}

#[cfg(test)]
mod tests;
