//! What a `.x` file says, as it is written: names are not resolved and nothing is checked.

use std::collections::HashSet;

use crate::diag::Span;

/// A name and its place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Name {
    pub(crate) text: String,
    pub(crate) span: Span,
}

/// A number, or the name of one.
#[derive(Clone, Debug)]
pub(crate) enum Value {
    Number {
        value: i128,
        /// Written in hexadecimal.
        hex: bool,
        span: Span,
    },
    Name(Name),
}

impl Value {
    pub(crate) fn span(&self) -> Span {
        match self {
            Self::Number { span, .. } => *span,
            Self::Name(name) => name.span,
        }
    }
}

/// A type without what the declarator adds to it.
#[derive(Clone, Debug)]
pub(crate) enum Specifier {
    /// A type that has a keyword of its own; never `Named`.
    Basic(crate::model::Type),
    Opaque,
    String,
    Named(Name),
    Enum(Vec<EnumMember>),
    Struct(Vec<Declaration>),
    Union(Box<UnionBody>),
}

/// What the declarator adds.
#[derive(Clone, Debug)]
pub(crate) enum Shape {
    /// Nothing.
    Plain,
    /// `*`
    Pointer,
    /// `[n]`
    Fixed(Value),
    /// `<n>`, `<>`
    Variable(Option<Value>),
}

/// A member, an arm's value, an argument or a typedef.
#[derive(Clone, Debug)]
pub(crate) struct Declaration {
    pub(crate) specifier: Specifier,
    pub(crate) shape: Shape,
    /// Absent for `void`, and where an argument or result has none.
    pub(crate) name: Option<Name>,
    /// For `struct x { ... } y`: the nested type's own name.
    pub(crate) tag: Option<Name>,
    pub(crate) docs: String,
    pub(crate) span: Span,
}

impl Declaration {
    /// Whether it declares nothing.
    pub(crate) fn is_void(&self) -> bool {
        matches!(self.specifier, Specifier::Basic(crate::model::Type::Void))
            && matches!(self.shape, Shape::Plain)
    }
}

/// A value of an enum.
#[derive(Clone, Debug)]
pub(crate) struct EnumMember {
    pub(crate) name: Name,
    /// Absent if it is one more than the value before it.
    pub(crate) value: Option<Value>,
    pub(crate) docs: String,
}

/// An arm of a union.
#[derive(Clone, Debug)]
pub(crate) struct Arm {
    /// Empty for the default arm.
    pub(crate) cases: Vec<Value>,
    pub(crate) declaration: Declaration,
    pub(crate) docs: String,
    pub(crate) span: Span,
}

/// A union behind its name.
#[derive(Clone, Debug)]
pub(crate) struct UnionBody {
    pub(crate) discriminant: Declaration,
    pub(crate) arms: Vec<Arm>,
    /// The default arms: at most one is right.
    pub(crate) defaults: Vec<Arm>,
}

/// A procedure.
#[derive(Clone, Debug)]
pub(crate) struct Procedure {
    pub(crate) name: Name,
    pub(crate) number: Value,
    pub(crate) arguments: Vec<Declaration>,
    pub(crate) result: Declaration,
    pub(crate) docs: String,
    pub(crate) span: Span,
}

/// A version of a program.
#[derive(Clone, Debug)]
pub(crate) struct Version {
    pub(crate) name: Name,
    pub(crate) number: Value,
    pub(crate) procedures: Vec<Procedure>,
    pub(crate) docs: String,
}

/// A program.
#[derive(Clone, Debug)]
pub(crate) struct Program {
    pub(crate) name: Name,
    pub(crate) number: Value,
    pub(crate) versions: Vec<Version>,
    pub(crate) docs: String,
}

/// What a definition defines.
#[derive(Clone, Debug)]
pub(crate) enum Body {
    Const(Value),
    /// An enum, struct or union by its own name: the specifier is never `Named`.
    Type(Specifier),
    /// `typedef`: the declaration has a name.
    Typedef(Declaration),
}

/// A definition that has a name.
#[derive(Clone, Debug)]
pub(crate) struct Definition {
    pub(crate) name: Name,
    pub(crate) body: Body,
    pub(crate) docs: String,
}

/// A whole file, with everything that it includes.
#[derive(Clone, Debug, Default)]
pub(crate) struct File {
    pub(crate) definitions: Vec<Definition>,
    pub(crate) programs: Vec<Program>,
    /// Names of definitions that could not be parsed: they are not undefined.
    pub(crate) broken: HashSet<String>,
    /// Definitions without a name, or values of enums, could not be parsed: any name may be
    /// theirs.
    pub(crate) lost: bool,
}
