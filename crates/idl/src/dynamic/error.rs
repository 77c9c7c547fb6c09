//! What is wrong with a value or with bytes, where, and what may help.

use std::fmt;

use farcall_wire::DecodeError;

/// Why a value was not encoded or bytes were not decoded.
#[derive(Clone, PartialEq, Eq)]
pub struct Error(Box<Fault>);

#[derive(Clone, PartialEq, Eq)]
struct Fault {
    message: String,
    /// Innermost first.
    path: Vec<Step>,
    offset: Option<usize>,
    hint: Option<String>,
}

#[derive(Clone, PartialEq, Eq)]
enum Step {
    Field(String),
    Index(usize),
}

impl Error {
    pub(crate) fn new(message: impl Into<String>) -> Self {
        Self(Box::new(Fault {
            message: message.into(),
            path: Vec::new(),
            offset: None,
            hint: None,
        }))
    }

    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.0.hint = Some(hint.into());
        self
    }

    pub(crate) fn offset_at(mut self, offset: usize) -> Self {
        self.0.offset = Some(offset);
        self
    }

    pub(crate) fn at(mut self, field: &str) -> Self {
        self.0.path.push(Step::Field(field.to_owned()));
        self
    }

    pub(crate) fn at_index(mut self, index: usize) -> Self {
        self.0.path.push(Step::Index(index));
        self
    }

    /// What is wrong, without the place.
    pub fn message(&self) -> &str {
        &self.0.message
    }

    /// The place in the value, outermost first: `entries[3].name`; empty for the whole.
    pub fn path(&self) -> String {
        use fmt::Write as _;
        let mut text = String::new();
        for step in self.0.path.iter().rev() {
            let _ = match step {
                Step::Field(name) if text.is_empty() => write!(text, "{name}"),
                Step::Field(name) => write!(text, ".{name}"),
                Step::Index(i) => write!(text, "[{i}]"),
            };
        }
        text
    }

    /// The place in the bytes, if it was bytes that were wrong.
    pub fn offset(&self) -> Option<usize> {
        self.0.offset
    }

    /// What the user may do about it.
    pub fn help(&self) -> Option<&str> {
        self.0.hint.as_deref()
    }
}

impl From<DecodeError> for Error {
    fn from(error: DecodeError) -> Self {
        Self::new(error.kind().to_string()).offset_at(error.offset())
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.0.path.is_empty() {
            write!(f, "{}: ", self.path())?;
        }
        f.write_str(&self.0.message)?;
        match self.0.offset {
            Some(offset) => write!(f, " at byte {offset}"),
            None => Ok(()),
        }
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Error({self})")
    }
}

impl std::error::Error for Error {}
