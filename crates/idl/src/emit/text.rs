//! Small pieces of Rust: identifiers, numbers, documentation.
//!
//! Comments of an interface become documentation, so what Rust's documentation would take for
//! markup is escaped here. This file knows no model.

use proc_macro2::{Ident, Literal, Span, TokenStream};
use quote::{ToTokens, quote};

/// An identifier, `r#` understood.
pub(crate) fn ident(name: &str) -> Ident {
    match name.strip_prefix("r#") {
        Some(raw) => Ident::new_raw(raw, Span::call_site()),
        None => Ident::new(name, Span::call_site()),
    }
}

/// Tokens that the user wrote in the configuration; nothing if they are none.
pub(crate) fn tokens(text: &str) -> TokenStream {
    text.parse().unwrap_or_default()
}

/// A number without a suffix.
pub(crate) fn int(value: i128) -> TokenStream {
    let digits = Literal::u128_unsuffixed(value.unsigned_abs());
    match value < 0 {
        true => quote!(-#digits),
        false => quote!(#digits),
    }
}

/// A length without a suffix.
pub(crate) fn len(value: usize) -> Literal {
    Literal::usize_unsuffixed(value)
}

/// A declared maximum; without one, what a count can say.
pub(crate) fn max(max: Option<u32>) -> TokenStream {
    match max {
        None | Some(u32::MAX) => quote!(u32::MAX),
        Some(max) => Literal::u32_unsuffixed(max).into_token_stream(),
    }
}

/// The documentation of one item.
#[derive(Clone, Debug, Default)]
pub(crate) struct Docs {
    /// Line by line.
    lines: Vec<String>,
    /// What is said about it in one sentence at the end.
    notes: Vec<String>,
}

impl Docs {
    /// The documentation that a comment makes.
    pub(crate) fn of(comment: &str) -> Self {
        let lines = comment.trim().lines().map(escaped);
        Self {
            lines: lines.collect(),
            notes: Vec::new(),
        }
    }

    /// Adds to the sentence at the end.
    pub(crate) fn note(mut self, text: String) -> Self {
        self.notes.push(text);
        self
    }

    /// A paragraph of our own.
    pub(crate) fn line(mut self, text: String) -> Self {
        if !self.lines.is_empty() {
            self.lines.push(String::new());
        }
        self.lines.push(text);
        self
    }

    /// The paragraphs of one more comment.
    pub(crate) fn extended(mut self, comment: &str) -> Self {
        let more = Self::of(comment);
        if !self.lines.is_empty() && !more.lines.is_empty() {
            self.lines.push(String::new());
        }
        self.lines.extend(more.lines);
        self
    }

    /// Says what the interface calls it, if that is another name.
    pub(crate) fn renamed(self, original: &str, name: &str) -> Self {
        let bare = name.strip_prefix("r#").unwrap_or(name);
        match bare == original {
            true => self,
            false => self.note(format!("`{original}` in the interface")),
        }
    }

    /// As it is, and an attribute that silences these lints; without a word also the one that
    /// asks for documentation.
    pub(crate) fn allowing(self, lints: &[&str]) -> TokenStream {
        let silent = self.lines.is_empty() && self.notes.is_empty();
        let missing = silent && !lints.contains(&"missing_docs");
        let lints = lints
            .iter()
            .copied()
            .chain(missing.then_some("missing_docs"));
        let lints: Vec<TokenStream> = lints.map(tokens).collect();
        match lints.is_empty() {
            true => self.into_token_stream(),
            false => quote!(#self #[allow(#(#lints),*)]),
        }
    }
}

impl ToTokens for Docs {
    fn to_tokens(&self, tokens: &mut TokenStream) {
        let mut whole = self.clone();
        if !whole.notes.is_empty() {
            let notes = std::mem::take(&mut whole.notes).join(", ");
            whole = whole.line(format!("{}.", capitalized(&notes)));
        }
        for line in &whole.lines {
            let line = match line.is_empty() {
                true => String::new(),
                false => format!(" {line}"),
            };
            tokens.extend(quote!(#[doc = #line]));
        }
    }
}

fn capitalized(text: &str) -> String {
    let mut chars = text.chars();
    let first = chars.next().map(|c| c.to_ascii_uppercase());
    first.into_iter().chain(chars).collect()
}

/// A line of a comment as documentation means it.
fn escaped(line: &str) -> String {
    let line = line.trim();
    let mut text = String::with_capacity(line.len() + 8);
    if starts_markup(line) {
        text.push('\\');
    }
    for (i, word) in line.split(' ').enumerate() {
        if i > 0 {
            text.push(' ');
        }
        word_into(word, &mut text);
    }
    text
}

/// Whether the line would begin a list, a heading, a quotation or a table.
fn starts_markup(line: &str) -> bool {
    let first = line.split(' ').next().unwrap_or("");
    let marks = first.chars().all(|c| "-+=#|~".contains(c));
    !first.is_empty() && marks
}

fn word_into(word: &str, text: &mut String) {
    if word.starts_with("http://") || word.starts_with("https://") {
        let end = word.trim_end_matches(['.', ',', ';', ')']).len();
        let (address, rest) = word.split_at(end);
        text.push('<');
        text.push_str(address);
        text.push('>');
        text.push_str(rest);
        return;
    }
    for c in word.chars() {
        if "[]<>*`_\\".contains(c) && !(c == '_' && word.trim_matches('_') == word) {
            text.push('\\');
        }
        text.push(if c.is_control() { ' ' } else { c });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_are_not_markup() {
        assert_eq!(escaped("- a list"), "\\- a list");
        assert_eq!(escaped("an array a[3] <b>"), "an array a\\[3\\] \\<b\\>");
        assert_eq!(
            escaped("see https://example.com/a_b."),
            "see <https://example.com/a_b>."
        );
        assert_eq!(escaped("    indented some_name"), "indented some_name");
        assert_eq!(escaped("x * y"), "x \\* y");
    }

    #[test]
    fn numbers() {
        assert_eq!(int(-1).to_string(), "- 1");
        assert_eq!(max(None).to_string(), "u32 :: MAX");
        assert_eq!(max(Some(7)).to_string(), "7");
    }
}
