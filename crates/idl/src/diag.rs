//! Places in source files, and what is said about them.
//!
//! A [`Diagnostic`] is neutral: it has a severity, a stable code, a message, the place it speaks
//! of, further labelled places and a hint. [`render`] draws it as plain text with the place
//! underlined; the command line may draw it in colour from the same value. Nothing here knows a
//! language.

use std::fmt::{self, Write as _};

/// One file of a [`SourceMap`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct FileId(pub u32);

/// A range of bytes in one file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Span {
    /// The file.
    pub file: FileId,
    /// Offset of the first byte.
    pub start: u32,
    /// Offset behind the last byte.
    pub end: u32,
}

impl Span {
    /// The range `start..end` of `file`.
    pub fn new(file: FileId, start: u32, end: u32) -> Self {
        Self { file, start, end }
    }

    /// From the start of `self` to the end of `other`; `self` if they are in different files.
    pub fn to(self, other: Span) -> Self {
        if self.file != other.file || other.end < self.start {
            return self;
        }
        Self {
            end: other.end,
            ..self
        }
    }
}

/// A file that was read: its name as the user wrote it, and its text.
#[derive(Clone, Debug)]
pub struct SourceFile {
    /// The name shown in diagnostics.
    pub name: String,
    /// The whole text.
    pub text: String,
}

/// All files that one compilation read, in the order in which they were opened.
#[derive(Clone, Debug, Default)]
pub struct SourceMap {
    files: Vec<SourceFile>,
}

impl SourceMap {
    /// Adds a file.
    pub fn add(&mut self, name: impl Into<String>, text: impl Into<String>) -> FileId {
        let id = FileId(u32::try_from(self.files.len()).unwrap_or(u32::MAX));
        self.files.push(SourceFile {
            name: name.into(),
            text: text.into(),
        });
        id
    }

    /// The file, if `id` comes from this map.
    pub fn file(&self, id: FileId) -> Option<&SourceFile> {
        self.files.get(id.0 as usize)
    }

    /// All files; the first is the one that the user named.
    pub fn files(&self) -> &[SourceFile] {
        &self.files
    }

    /// The text of a place; empty if the place is not in this map.
    pub fn text(&self, span: Span) -> &str {
        let range = span.start as usize..span.end as usize;
        self.file(span.file)
            .and_then(|file| file.text.get(range))
            .unwrap_or("")
    }

    /// Line and column (both from 1, the column in characters) of the place's first byte.
    pub fn line_column(&self, span: Span) -> (usize, usize) {
        let text = self.file(span.file).map_or("", |file| file.text.as_str());
        let before = text.get(..span.start as usize).unwrap_or(text);
        let line_start = before.rfind('\n').map_or(0, |at| at + 1);
        let column = before.get(line_start..).unwrap_or("").chars().count() + 1;
        (before.matches('\n').count() + 1, column)
    }
}

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Severity {
    /// The file means something, but probably not what its author thinks.
    Warning,
    /// The file means nothing, or nothing that can be put on the wire.
    Error,
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Warning => "warning",
            Self::Error => "error",
        })
    }
}

/// A further place that a diagnostic speaks of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Label {
    /// The place.
    pub span: Span,
    /// What is there, e.g. "first defined here".
    pub message: String,
}

/// One thing to say about a source file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnostic {
    /// How bad it is.
    pub severity: Severity,
    /// A stable code, e.g. `E0301`; warnings begin with `W`.
    pub code: &'static str,
    /// What is wrong, in lower case, with actual and expected value.
    pub message: String,
    /// Where.
    pub span: Span,
    /// Further places.
    pub labels: Vec<Label>,
    /// What the author may do about it.
    pub hint: Option<String>,
}

impl Diagnostic {
    /// An error without labels and hint.
    pub fn error(code: &'static str, span: Span, message: impl Into<String>) -> Self {
        let message = message.into();
        Self {
            severity: Severity::Error,
            code,
            message,
            span,
            labels: Vec::new(),
            hint: None,
        }
    }

    /// A warning without labels and hint.
    pub fn warning(code: &'static str, span: Span, message: impl Into<String>) -> Self {
        Self {
            severity: Severity::Warning,
            ..Self::error(code, span, message)
        }
    }

    /// Adds a further place.
    #[must_use]
    pub fn label(mut self, span: Span, message: impl Into<String>) -> Self {
        self.labels.push(Label {
            span,
            message: message.into(),
        });
        self
    }

    /// Sets the hint.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}

/// What was said about files that could not be compiled: at least one error, in source order,
/// and the files themselves. Its `Display` is the rendered text of all of them.
#[derive(Clone, Debug)]
pub struct Diagnostics {
    /// Errors and warnings.
    pub list: Vec<Diagnostic>,
    /// The files their places point into.
    pub sources: SourceMap,
}

impl Diagnostics {
    /// How many of them are errors.
    pub fn errors(&self) -> usize {
        self.list
            .iter()
            .filter(|d| d.severity == Severity::Error)
            .count()
    }
}

impl fmt::Display for Diagnostics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&render_all(&self.list, &self.sources))
    }
}

impl std::error::Error for Diagnostics {}

/// Draws all diagnostics, a blank line between two of them.
pub fn render_all(list: &[Diagnostic], sources: &SourceMap) -> String {
    let parts: Vec<String> = list.iter().map(|d| render(d, sources)).collect();
    parts.join("\n")
}

/// Draws one diagnostic as plain text: the message, each place with its line underlined, the
/// hint. Ends with a line feed.
pub fn render(diagnostic: &Diagnostic, sources: &SourceMap) -> String {
    let places = places(diagnostic, sources);
    let widest = places.iter().map(|place| place.line).max().unwrap_or(1);
    let gutter = widest.to_string().len();
    let mut out = format!(
        "{}[{}]: {}\n",
        diagnostic.severity, diagnostic.code, diagnostic.message
    );
    let mut file = None;
    for place in &places {
        draw_place(&mut out, place, gutter, file);
        file = Some(place.file);
    }
    if let Some(hint) = &diagnostic.hint {
        let _ = writeln!(out, "{:gutter$} = hint: {hint}", "");
    }
    out
}

/// A place, worked out for drawing.
struct Place<'a> {
    file: &'a str,
    line: usize,
    column: usize,
    text: &'a str,
    width: usize,
    mark: char,
    message: &'a str,
}

/// Widest line that is drawn, in characters: no terminal shows more, and hostile files do.
const WIDEST: usize = 200;

fn places<'a>(diagnostic: &'a Diagnostic, sources: &'a SourceMap) -> Vec<Place<'a>> {
    let first = place(sources, diagnostic.span, '^', "");
    let labels = diagnostic
        .labels
        .iter()
        .map(|l| place(sources, l.span, '-', &l.message));
    std::iter::once(first).chain(labels).collect()
}

fn place<'a>(sources: &'a SourceMap, span: Span, mark: char, message: &'a str) -> Place<'a> {
    let (line, column) = sources.line_column(span);
    let (file, whole) = sources
        .file(span.file)
        .map_or(("?", ""), |f| (&f.name, &f.text));
    let text = whole.lines().nth(line - 1).unwrap_or("");
    let marked = sources
        .text(span)
        .lines()
        .next()
        .unwrap_or("")
        .chars()
        .count();
    Place {
        file,
        line,
        column,
        text,
        width: marked.max(1),
        mark,
        message,
    }
}

fn draw_place(out: &mut String, place: &Place<'_>, gutter: usize, previous: Option<&str>) {
    match previous {
        Some(file) if file == place.file => {
            let _ = writeln!(out, "{:gutter$} ...", "");
        }
        _ => {
            let arrow = if previous.is_none() { "-->" } else { ":::" };
            let _ = writeln!(
                out,
                "{:gutter$}{arrow} {}:{}:{}",
                "", place.file, place.line, place.column
            );
        }
    }
    if place.text.is_empty() {
        return;
    }
    let text: String = place
        .text
        .chars()
        .take(WIDEST)
        .map(|c| visible(c, ' '))
        .collect();
    let _ = writeln!(
        out,
        "{:gutter$} |\n{:>gutter$} | {}",
        "",
        place.line,
        text.trim_end()
    );
    if place.column > WIDEST {
        return;
    }
    let before = " ".repeat(place.column - 1);
    let marks = place
        .mark
        .to_string()
        .repeat(place.width.min(WIDEST + 1 - place.column));
    let line = format!("{:gutter$} | {before}{marks} {}", "", place.message);
    let _ = writeln!(out, "{}", line.trim_end());
}

/// Control characters would move the cursor: they are drawn as `stand_in`.
fn visible(c: char, stand_in: char) -> char {
    if c.is_control() { stand_in } else { c }
}
