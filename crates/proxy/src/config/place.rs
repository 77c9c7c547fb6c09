//! Where in a file something stands, and errors that say so.
//!
//! An error names the file, the line and the key, and says what would be right. This file knows TOML only so far as is
//! needed to say under which table and key a byte stands.

use std::fmt;
use std::ops::Range;
use std::path::{Path, PathBuf};

use crate::near::did_you_mean;

/// Where something stands.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Place {
    /// The line, counted from 1; 0 if it is not known.
    pub line: usize,
    /// The column in characters, counted from 1; 0 if it is not known.
    pub column: usize,
    /// How many characters of the line it is, as far as that is known.
    pub width: usize,
    /// The key with its table: `listen[2].tls.certificate`, `rule "helpdesk".users`. Empty at the top of the file.
    pub key: String,
}

/// What is wrong with a configuration, at one place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// The file.
    pub file: PathBuf,
    /// Where in it.
    pub place: Place,
    /// What is wrong.
    pub what: String,
    /// What would be right, if `what` does not say so.
    pub hint: Option<String>,
}

/// Everything that is wrong with a configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Faults(pub Vec<Fault>);

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.file.display())?;
        if self.place.line > 0 {
            write!(f, ":{}:{}", self.place.line, self.place.column)?;
        }
        f.write_str(": ")?;
        if !self.place.key.is_empty() {
            write!(f, "{}: ", self.place.key)?;
        }
        f.write_str(&self.what)
    }
}

impl std::error::Error for Fault {}

impl fmt::Display for Faults {
    /// One fault a line, each with its hint behind it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, fault) in self.0.iter().enumerate() {
            if index > 0 {
                f.write_str("\n")?;
            }
            write!(f, "{fault}")?;
            if let Some(hint) = &fault.hint {
                write!(f, " (hint: {hint})")?;
            }
        }
        Ok(())
    }
}

impl std::error::Error for Faults {}

/// The text of a file, in which places are found.
#[derive(Clone, Debug, Default)]
pub struct Source {
    file: PathBuf,
    text: String,
}

impl Source {
    /// The text of `file`.
    #[must_use]
    pub fn new(file: &Path, text: &str) -> Self {
        Self {
            file: file.to_owned(),
            text: text.to_owned(),
        }
    }

    /// The file's path.
    #[must_use]
    pub fn file(&self) -> &Path {
        &self.file
    }

    /// A fault at the bytes `span`; `0..0` is the file as a whole.
    #[must_use]
    pub fn fault(&self, span: Range<usize>, what: impl Into<String>) -> Fault {
        let place = match span.is_empty() && span.start == 0 {
            true => Place::default(),
            false => Place {
                width: self.text.get(span.clone()).map_or(0, width),
                ..place(&self.text, span.start)
            },
        };
        Fault {
            file: self.file.clone(),
            place,
            what: what.into(),
            hint: None,
        }
    }

    /// What the parser found wrong.
    pub(crate) fn parser(&self, error: &toml::de::Error) -> Fault {
        let message = error.message().trim().replace('\n', ", ");
        let mut fault = self.fault(error.span().unwrap_or(0..0), message);
        fault.hint = meant(&fault.what);
        fault
    }
}

/// What an unknown key or word was perhaps meant to be. The parser says it as ``unknown field `a`, expected one of `b`, `c` ``.
fn meant(message: &str) -> Option<String> {
    let message = message.strip_prefix("unknown ")?;
    let mut quoted = message.split('`').skip(1).step_by(2);
    did_you_mean(quoted.next()?, quoted)
}

impl Fault {
    /// The same, with what would be right.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}

/// The characters of a text's first line.
fn width(text: &str) -> usize {
    text.lines().next().map_or(0, |line| line.chars().count())
}

/// The place of the byte at `offset`.
fn place(text: &str, offset: usize) -> Place {
    let before = text.get(..offset).unwrap_or(text);
    let line = before.matches('\n').count().saturating_add(1);
    let start = before.rfind('\n').map_or(0, |at| at.saturating_add(1));
    let column = before.get(start..).unwrap_or_default().chars().count();
    Place {
        line,
        column: column.saturating_add(1),
        width: 0,
        key: key(text, line),
    }
}

/// The table and the key that line number `line` belongs to.
fn key(text: &str, line: usize) -> String {
    let mut tables: Vec<(&str, usize)> = Vec::new();
    let (mut table, mut named, mut key) = (String::new(), None, "");
    for current in text.lines().take(line).map(str::trim) {
        if let Some(header) = header(current) {
            let repeats = current.starts_with("[[");
            let count = match tables.iter_mut().find(|(name, _)| *name == header) {
                Some((_, count)) => {
                    *count = count.saturating_add(1);
                    *count
                }
                None => {
                    tables.push((header, 1));
                    1
                }
            };
            table = match repeats {
                true => format!("{header}[{count}]"),
                false => nested(header, &tables),
            };
            (named, key) = (None, "");
        } else if let Some((found, value)) = assignment(current) {
            key = found;
            if found == "name" {
                named = Some(value.trim().trim_matches(['"', '\'']).to_owned());
            }
        }
    }
    if let (Some(name), Some(at)) = (named, table.rfind('[')) {
        table.truncate(at);
        table = format!("{table} \"{name}\"");
    }
    match (table.as_str(), key) {
        ("", key) => key.to_owned(),
        (_, "") => table,
        _ => format!("{table}.{key}"),
    }
}

/// `[listen.tls]` below the second `[[listen]]` is `listen[2].tls`.
fn nested(header: &str, tables: &[(&str, usize)]) -> String {
    let Some((parent, rest)) = header.split_once('.') else {
        return header.to_owned();
    };
    match tables.iter().find(|(name, _)| *name == parent) {
        Some((_, count)) => format!("{parent}[{count}].{rest}"),
        None => header.to_owned(),
    }
}

/// What stands in the brackets of a table's header.
fn header(line: &str) -> Option<&str> {
    let inner = line.strip_prefix('[')?;
    let inner = inner.strip_prefix('[').unwrap_or(inner);
    let (inner, _) = inner.split_once(']')?;
    let word = |c: char| c.is_alphanumeric() || "-_.".contains(c);
    (!inner.is_empty() && inner.trim().chars().all(word)).then(|| inner.trim())
}

/// A key and what is behind its equals sign.
fn assignment(line: &str) -> Option<(&str, &str)> {
    let (key, value) = line.split_once('=')?;
    let key = key.trim();
    let word = |c: char| c.is_alphanumeric() || "-_.".contains(c);
    (!key.is_empty() && key.chars().all(word)).then_some((key, value))
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "\
top = 1
[limits]
header = '10s'
[[listen]]
endpoint = 'a'
[[listen]]
name = 'second'
endpoint = 'b'
[listen.tls]
key = 'k'
[[rule]]
name = \"helpdesk\"
users = [
  'a',
  'b',
]
";

    #[test]
    fn a_place_has_its_line_and_its_key() {
        for (needle, line, key) in [
            ("1\n", 1, "top"),
            ("10s", 3, "limits.header"),
            ("'a'\n", 5, "listen[1].endpoint"),
            ("'b'\n", 8, "listen \"second\".endpoint"),
            ("'k'", 10, "listen[2].tls.key"),
            ("'b',", 15, "rule \"helpdesk\".users"),
        ] {
            let offset = TEXT.find(needle).expect(needle);
            let place = place(TEXT, offset);
            assert_eq!((place.line, place.key.as_str()), (line, key), "{needle}");
        }
    }

    #[test]
    fn a_fault_is_shown_with_file_line_and_key() {
        let source = Source::new(Path::new("proxy.toml"), TEXT);
        let at = TEXT.find("10s").expect("there");
        let fault = source.fault(at..at + 3, "no duration").hint("\"10s\"");
        assert_eq!(
            Faults(vec![fault]).to_string(),
            "proxy.toml:3:11: limits.header: no duration (hint: \"10s\")"
        );
        assert_eq!(
            source.fault(at..at + 5, "x").place.width,
            4,
            "to the line's end"
        );
        let whole = source.fault(0..0, "no listener");
        assert_eq!(whole.to_string(), "proxy.toml: no listener");
    }

    #[test]
    fn any_offset_of_any_text_has_a_place() {
        for text in ["", "[", "[[", "]", "=", "[a]\n=\n[[b]]\nname", "é=1\n[é]"] {
            for offset in 0..text.len() + 3 {
                let _ = place(text, offset);
            }
        }
    }
}
