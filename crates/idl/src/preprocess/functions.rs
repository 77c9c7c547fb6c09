//! Macros with parameters, in `.idl` files.

use std::ops::Range;

use super::scan::{PieceKind, Scan};
use super::{Language, MAX_FILE, Preprocessor};
use crate::diag::{FileId, Span};

/// The most arguments of a call.
const MOST_ARGUMENTS: usize = 64;

impl Preprocessor<'_> {
    /// Over a file, `%` lines apart where they mean something.
    pub(super) fn scan<'t>(&self, text: &'t str) -> Scan<'t> {
        Scan::file(text, self.language == Language::X)
    }

    /// Whether it is a macro with parameters that can be used.
    pub(super) fn is_function(&self, name: &str) -> bool {
        self.language == Language::Idl && self.macros.get(name).is_some_and(|it| it.parameters)
    }

    /// A macro with parameters at `range` of a file, called or not; where its arguments end.
    pub(super) fn call(&mut self, text: &str, range: Range<usize>, id: FileId) -> usize {
        let name = text.get(range.clone()).unwrap_or("");
        let span = |end: usize| Span::new(id, range.start as u32, end as u32);
        let Some((_, end)) = arguments(text, range.end) else {
            let rest = text.get(range.end..).unwrap_or("");
            match rest.trim_start().starts_with('(') {
                true => self.stop(
                    span(range.end),
                    format!("call of macro {name} is not closed"),
                ),
                false => self.emit(name, span(range.end)),
            }
            return range.end;
        };
        let mut out = String::new();
        let whole = text.get(range.start..end).unwrap_or("");
        match self.expand(whole, &mut Vec::new(), &mut out) {
            Ok(()) => self.out.push(&out, span(end), false),
            Err(message) => self.stop(span(end), message),
        }
        end
    }

    /// The body of a macro with its parameters replaced.
    pub(super) fn substituted(&self, name: &str, arguments: &[&str]) -> Result<String, String> {
        let Some(definition) = self.macros.get(name) else {
            return Ok(String::new());
        };
        let body = definition.body.as_str();
        let mut out = String::new();
        let mut quote = false;
        for piece in Scan::part(body) {
            let word = body.get(piece.range.clone()).unwrap_or("");
            let index = definition.names.iter().position(|it| it == word);
            let argument = index.filter(|_| piece.kind == PieceKind::Word);
            let argument = argument.map(|at| arguments.get(at).copied().unwrap_or(""));
            match (word, argument) {
                // `##` is two pieces: it joins what is around it.
                ("#", _) if quote => {
                    quote = false;
                    out.truncate(out.trim_end().len());
                    out.push('\u{0}');
                }
                ("#", _) => quote = true,
                (_, Some(argument)) if quote => {
                    out.push_str(&format!("{argument:?}"));
                    quote = false;
                }
                (_, Some(argument)) => out.push_str(argument),
                _ => out.push_str(word),
            }
            if out.len() > MAX_FILE {
                return Err(format!("macros make over {MAX_FILE} bytes"));
            }
        }
        let parts = out.split('\u{0}').enumerate();
        let parts = parts.map(|(at, part)| if at > 0 { part.trim_start() } else { part });
        Ok(parts.collect())
    }
}

/// The arguments of a call whose parenthesis follows `from`, and where they end.
pub(super) fn arguments(text: &str, from: usize) -> Option<(Vec<&str>, usize)> {
    let rest = text.get(from..)?;
    let open = rest.len() - rest.trim_start().len();
    let inner = rest.get(open..)?.strip_prefix('(')?;
    let start = from + open + 1;
    let mut arguments = Vec::new();
    let (mut level, mut begin) = (0_usize, start);
    for piece in Scan::part(inner) {
        let (at, end) = (start + piece.range.start, start + piece.range.end);
        match text.get(at..end)? {
            "(" => level += 1,
            ")" if level == 0 => {
                arguments.push(text.get(begin..at)?.trim());
                return Some((arguments, end));
            }
            ")" => level -= 1,
            "," if level == 0 && arguments.len() < MOST_ARGUMENTS => {
                arguments.push(text.get(begin..at)?.trim());
                begin = end;
            }
            _ => {}
        }
        if end - start > MAX_CALL {
            return None;
        }
    }
    None
}

/// The longest call, in bytes: what is not closed is not looked for any further.
const MAX_CALL: usize = 1 << 16;
