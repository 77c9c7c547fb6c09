//! What can be wrong with bytes, and what can be wrong with our own values.
//!
//! A [`DecodeError`] is the peer's fault (or the network's): it says what was wrong, at which
//! offset, and in which field. An [`EncodeError`] is our caller's fault: a value that the
//! interface does not allow. Both are one pointer wide, and both allocate only once something is
//! wrong. The path is pushed while the error travels up, so success pays nothing for it.

use std::fmt;

/// What was wrong with the bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum DecodeErrorKind {
    /// The bytes ended before the value did.
    Truncated {
        /// Bytes that the value needs from this offset on.
        needed: usize,
        /// Bytes that are there.
        available: usize,
    },
    /// A count is larger than the interface or [`Limits::length`](crate::Limits::length) allows.
    TooLong {
        /// The count on the wire.
        len: u64,
        /// The largest count allowed.
        max: u64,
    },
    /// Padding is not zero, and [`Padding::Strict`](crate::Padding::Strict) was asked for.
    NonZeroPadding,
    /// A boolean that is neither 0 nor 1.
    BadBool(u32),
    /// A number that the enumeration does not list.
    BadEnum {
        /// The enumeration's name.
        name: &'static str,
        /// The number on the wire.
        value: i32,
    },
    /// A discriminant for which the union has no arm.
    BadDiscriminant {
        /// The union's name.
        name: &'static str,
        /// The discriminant on the wire.
        value: i64,
    },
    /// The value is nested deeper than [`Limits::depth`](crate::Limits::depth).
    DepthExceeded {
        /// The limit.
        limit: u32,
    },
    /// The decoded value would take more memory than [`Limits::memory`](crate::Limits::memory).
    BudgetExceeded {
        /// The limit, in bytes.
        limit: usize,
    },
    /// Bytes are left over after the value.
    TrailingBytes(usize),
    /// A string that was asked for as text is not UTF-8.
    NotUtf8,
    /// A count on the wire is not what the interface computes for it (`size_is`, `length_is`).
    BadCount {
        /// The count on the wire.
        count: u64,
        /// The count by the interface's expression.
        expected: i64,
    },
    /// A number outside the range that the interface declares.
    OutOfRange {
        /// The number on the wire.
        value: i128,
        /// The least allowed.
        min: i128,
        /// The greatest allowed.
        max: i128,
    },
    /// A union's discriminant on the wire is not what `switch_is` says.
    BadSwitch {
        /// The discriminant on the wire.
        value: i64,
        /// The discriminant by the interface's expression.
        expected: i64,
    },
    /// Decoding took more steps than the bytes present can be worth.
    FuelExceeded {
        /// The limit, in steps.
        limit: usize,
    },
    /// A field holds a value that its protocol does not allow.
    Invalid(&'static str),
}

impl fmt::Display for DecodeErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Truncated { needed, available } => {
                write!(f, "truncated: {needed} bytes needed, {available} left")
            }
            Self::TooLong { len, max } => write!(f, "length {len} is over the maximum {max}"),
            Self::NonZeroPadding => f.write_str("padding is not zero"),
            Self::BadBool(value) => write!(f, "boolean is {value}, expected 0 or 1"),
            Self::BadEnum { name, value } => write!(f, "{value} is not a value of enum {name}"),
            Self::BadDiscriminant { name, value } => {
                write!(f, "union {name} has no arm for {value}")
            }
            Self::DepthExceeded { limit } => write!(f, "nested deeper than {limit} levels"),
            Self::BudgetExceeded { limit } => {
                write!(f, "decoded value takes more than {limit} bytes of memory")
            }
            Self::TrailingBytes(n) => write!(f, "{n} bytes left over after the value"),
            Self::NotUtf8 => f.write_str("string is not UTF-8"),
            Self::BadCount { count, expected } => {
                write!(f, "count is {count}, the interface says {expected}")
            }
            Self::OutOfRange { value, min, max } => {
                write!(f, "{value} is not in the range {min} to {max}")
            }
            Self::BadSwitch { value, expected } => {
                write!(f, "discriminant is {value}, the interface says {expected}")
            }
            Self::FuelExceeded { limit } => write!(f, "decoding took more than {limit} steps"),
            Self::Invalid(what) => f.write_str(what),
        }
    }
}

/// Bytes that are not the value they should be: what, where, and in which field.
#[derive(Clone, PartialEq, Eq)]
pub struct DecodeError(Box<Fault<DecodeErrorKind>>);

/// A value of our own that the interface does not allow on the wire.
#[derive(Clone, PartialEq, Eq)]
pub struct EncodeError(Box<Fault<EncodeErrorKind>>);

/// What was wrong with a value of ours.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum EncodeErrorKind {
    /// More elements or bytes than the interface declares.
    TooLong {
        /// The value's length.
        len: usize,
        /// The declared maximum.
        max: u32,
    },
    /// An arm was given a discriminant that does not choose it: the default arm one that has an
    /// arm of its own.
    BadDiscriminant {
        /// The union's name.
        name: &'static str,
        /// The discriminant.
        value: i64,
    },
    /// A list that must hold at least one element is empty.
    EmptyChain,
    /// The value is nested deeper than any peer would accept.
    DepthExceeded {
        /// The limit.
        limit: u32,
    },
    /// The message would be longer than can be addressed.
    TooLarge,
    /// A number of elements is not what the interface computes for it (`size_is`, `length_is`).
    BadCount {
        /// The value's length.
        len: usize,
        /// The length by the interface's expression.
        expected: i64,
    },
    /// A number outside the range that the interface or its wire form allows.
    OutOfRange {
        /// The number.
        value: i128,
        /// The least allowed.
        min: i128,
        /// The greatest allowed.
        max: i128,
    },
    /// A union's arm is not the one that `switch_is` says.
    BadSwitch {
        /// The arm's discriminant.
        value: i64,
        /// The discriminant by the interface's expression.
        expected: i64,
    },
    /// A full pointer's alias comes before the value it stands for, or a label has two values.
    BadAlias(u32),
    /// A value that its wire form cannot express.
    Invalid(&'static str),
}

impl fmt::Display for EncodeErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooLong { len, max } => write!(f, "length {len} is over the declared {max}"),
            Self::BadDiscriminant { name, value } => {
                write!(
                    f,
                    "arm of union {name} given {value}, which chooses another one"
                )
            }
            Self::EmptyChain => f.write_str("a chain of nodes holds at least one, got none"),
            Self::DepthExceeded { limit } => write!(f, "nested deeper than {limit} levels"),
            Self::TooLarge => f.write_str("message is too large to address"),
            Self::BadCount { len, expected } => {
                write!(f, "length is {len}, the interface says {expected}")
            }
            Self::OutOfRange { value, min, max } => {
                write!(f, "{value} is not in the range {min} to {max}")
            }
            Self::BadSwitch { value, expected } => {
                write!(f, "arm is for {value}, the interface says {expected}")
            }
            Self::BadAlias(label) => {
                write!(
                    f,
                    "full pointer {label} is not given its value once and first"
                )
            }
            Self::Invalid(what) => f.write_str(what),
        }
    }
}

/// One step on the way from the outermost value to the faulty one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    Field(&'static str),
    Index(usize),
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Fault<K> {
    kind: K,
    offset: usize,
    /// Innermost first: it is pushed on the way up.
    path: Vec<Step>,
}

impl<K> Fault<K> {
    fn path(&self) -> String {
        use fmt::Write as _;
        let mut text = String::new();
        for step in self.path.iter().rev() {
            let _ = match step {
                Step::Field(name) if text.is_empty() => write!(text, "{name}"),
                Step::Field(name) => write!(text, ".{name}"),
                Step::Index(i) => write!(text, "[{i}]"),
            };
        }
        text
    }
}

impl DecodeError {
    /// An error of `kind` at `offset` bytes from the start of what is being decoded.
    #[cold]
    #[inline(never)]
    pub fn new(kind: DecodeErrorKind, offset: usize) -> Self {
        Self(Box::new(Fault {
            kind,
            offset,
            path: Vec::new(),
        }))
    }

    /// What is wrong.
    pub fn kind(&self) -> &DecodeErrorKind {
        &self.0.kind
    }

    /// Where, in bytes from the start of what was being decoded.
    pub fn offset(&self) -> usize {
        self.0.offset
    }

    /// In which field, outermost first: `entries[3].name`; empty at the top.
    pub fn path(&self) -> String {
        self.0.path()
    }

    /// The same error, seen from the value that holds the field `name`.
    #[cold]
    #[must_use]
    pub fn at(mut self, name: &'static str) -> Self {
        self.0.path.push(Step::Field(name));
        self
    }

    /// The same error, seen from the array that holds the element `index`.
    #[cold]
    #[must_use]
    pub fn at_index(mut self, index: usize) -> Self {
        self.0.path.push(Step::Index(index));
        self
    }
}

impl EncodeError {
    /// An error of `kind`.
    #[cold]
    #[inline(never)]
    pub fn new(kind: EncodeErrorKind) -> Self {
        Self(Box::new(Fault {
            kind,
            offset: 0,
            path: Vec::new(),
        }))
    }

    /// What is wrong.
    pub fn kind(&self) -> &EncodeErrorKind {
        &self.0.kind
    }

    /// In which field, outermost first.
    pub fn path(&self) -> String {
        self.0.path()
    }

    /// The same error, seen from the value that holds the field `name`.
    #[cold]
    #[must_use]
    pub fn at(mut self, name: &'static str) -> Self {
        self.0.path.push(Step::Field(name));
        self
    }

    /// The same error, seen from the array that holds the element `index`.
    #[cold]
    #[must_use]
    pub fn at_index(mut self, index: usize) -> Self {
        self.0.path.push(Step::Index(index));
        self
    }
}

/// Names the field in which an error happened, on the way up.
pub trait At {
    /// The same result; an error in it now names `field`.
    #[must_use]
    fn at(self, field: &'static str) -> Self;
    /// The same result; an error in it now names the element `index`.
    #[must_use]
    fn at_index(self, index: usize) -> Self;
}

impl<T> At for Result<T, DecodeError> {
    #[inline]
    fn at(self, field: &'static str) -> Self {
        self.map_err(|e| e.at(field))
    }
    #[inline]
    fn at_index(self, index: usize) -> Self {
        self.map_err(|e| e.at_index(index))
    }
}

impl<T> At for Result<T, EncodeError> {
    #[inline]
    fn at(self, field: &'static str) -> Self {
        self.map_err(|e| e.at(field))
    }
    #[inline]
    fn at_index(self, index: usize) -> Self {
        self.map_err(|e| e.at_index(index))
    }
}

impl fmt::Display for DecodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} at byte {}", self.0.kind, self.0.offset)?;
        if !self.0.path.is_empty() {
            write!(f, " in {}", self.path())?;
        }
        Ok(())
    }
}

impl fmt::Display for EncodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0.kind)?;
        if !self.0.path.is_empty() {
            write!(f, " in {}", self.path())?;
        }
        Ok(())
    }
}

impl fmt::Debug for DecodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "DecodeError({self})")
    }
}

impl fmt::Debug for EncodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "EncodeError({self})")
    }
}

impl std::error::Error for DecodeError {}
impl std::error::Error for EncodeError {}
