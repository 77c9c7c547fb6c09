//! Cuts text into the pieces that matter to a preprocessor: words, comments, literals, lines
//! that are directives or are passed through. It knows nothing of macros and files.

use std::ops::Range;

/// What a piece is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PieceKind {
    /// Blanks, without line feeds.
    Space,
    /// A line feed.
    Newline,
    /// A backslash and the line feed it hides.
    Splice,
    /// A comment, block or line.
    Comment,
    /// A block comment without an end.
    OpenComment,
    /// A string or character literal; it ends with the line at the latest.
    Literal,
    /// An identifier.
    Word,
    /// Digits and what sticks to them.
    Number,
    /// A `#` line with its continuations, without the last line feed.
    Directive,
    /// A `%` line with its continuations, without the last line feed.
    Percent,
    /// Anything else: one character.
    Other,
}

/// A piece and its place.
#[derive(Clone, Debug)]
pub(crate) struct Piece {
    pub(crate) kind: PieceKind,
    pub(crate) range: Range<usize>,
}

/// Cuts a text into pieces, which together are the text.
pub(crate) struct Scan<'t> {
    text: &'t str,
    at: usize,
    /// Whether `#` at the start of a line is a line of its own.
    lines: bool,
    /// Whether `%` is, too.
    percent: bool,
    /// Nothing but blanks and comments so far on this line.
    fresh: bool,
}

impl<'t> Scan<'t> {
    /// Over a file.
    pub(crate) fn file(text: &'t str, percent: bool) -> Self {
        Self {
            text,
            at: 0,
            lines: true,
            percent,
            fresh: true,
        }
    }

    /// Over a part of a line, where `#` and `%` mean nothing.
    pub(crate) fn part(text: &'t str) -> Self {
        Self {
            text,
            at: 0,
            lines: false,
            percent: false,
            fresh: false,
        }
    }

    fn rest(&self) -> &'t str {
        self.text.get(self.at..).unwrap_or("")
    }

    /// Kind and length of the next piece.
    fn measure(&self) -> Option<(PieceKind, usize)> {
        let rest = self.rest();
        let first = rest.chars().next()?;
        let column_zero = self.at == 0 || self.text.as_bytes().get(self.at - 1) == Some(&b'\n');
        let found = match first {
            '\n' => (PieceKind::Newline, 1),
            '\\' if rest.starts_with("\\\n") => (PieceKind::Splice, 2),
            '\\' if rest.starts_with("\\\r\n") => (PieceKind::Splice, 3),
            '/' if rest.starts_with("/*") => block_comment(rest),
            '/' if rest.starts_with("//") => (PieceKind::Comment, line_len(rest)),
            '#' if self.lines && self.fresh => (PieceKind::Directive, directive_len(rest)),
            '%' if self.percent && column_zero => (PieceKind::Percent, continued_len(rest)),
            '"' | '\'' => (PieceKind::Literal, literal_len(rest, first)),
            c if is_blank(c) => (PieceKind::Space, run(rest, is_blank)),
            c if c.is_ascii_digit() => (PieceKind::Number, run(rest, is_word)),
            c if is_word(c) => (PieceKind::Word, run(rest, is_word)),
            c => (PieceKind::Other, c.len_utf8()),
        };
        Some(found)
    }
}

impl Iterator for Scan<'_> {
    type Item = Piece;

    fn next(&mut self) -> Option<Piece> {
        let (kind, len) = self.measure()?;
        let range = self.at..self.at + len;
        self.at = range.end;
        self.fresh = match kind {
            PieceKind::Newline => true,
            PieceKind::Space | PieceKind::Comment | PieceKind::Splice => self.fresh,
            _ => false,
        };
        Some(Piece { kind, range })
    }
}

fn is_blank(c: char) -> bool {
    c != '\n' && c.is_ascii_whitespace()
}

/// Whether the character may stand in an identifier.
pub(crate) fn is_word(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_'
}

fn run(text: &str, belongs: fn(char) -> bool) -> usize {
    text.find(|c| !belongs(c)).unwrap_or(text.len())
}

fn line_len(text: &str) -> usize {
    text.find('\n').unwrap_or(text.len())
}

/// A line and those that a backslash at its end adds to it.
fn continued_len(text: &str) -> usize {
    let mut end = 0;
    for line in text.split_inclusive('\n') {
        end += line.len();
        if !line.trim_end().ends_with('\\') {
            return end - usize::from(line.ends_with('\n'));
        }
    }
    end
}

fn block_comment(text: &str) -> (PieceKind, usize) {
    match text.get(2..).and_then(|inner| inner.find("*/")) {
        Some(end) => (PieceKind::Comment, end + 4),
        None => (PieceKind::OpenComment, text.len()),
    }
}

fn literal_len(text: &str, quote: char) -> usize {
    let mut escaped = false;
    for (at, c) in text.char_indices().skip(1) {
        match c {
            '\n' => return at,
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            c if c == quote => return at + 1,
            _ => {}
        }
    }
    text.len()
}

/// A directive ends at the first line feed that is neither spliced nor inside a comment.
fn directive_len(text: &str) -> usize {
    for piece in Scan::part(text) {
        if piece.kind == PieceKind::Newline {
            return piece.range.start;
        }
    }
    text.len()
}

/// The text of a directive with splices removed and each comment turned into a blank.
pub(crate) fn without_comments(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for piece in Scan::part(text) {
        match piece.kind {
            PieceKind::Comment | PieceKind::OpenComment => out.push(' '),
            PieceKind::Splice => {}
            _ => out.push_str(text.get(piece.range).unwrap_or("")),
        }
    }
    out
}
