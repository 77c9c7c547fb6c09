//! What an `.idl` file says, as it is written: names are not resolved and nothing is checked.

use crate::diag::Span;
use crate::model::ndr::{BinaryOp, UnaryOp};

/// A name and its place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Name {
    pub(crate) text: String,
    pub(crate) span: Span,
}

/// An expression.
#[derive(Clone, Debug)]
pub(crate) struct Expr {
    pub(crate) kind: ExprKind,
    pub(crate) span: Span,
}

/// What an expression is.
#[derive(Clone, Debug)]
pub(crate) enum ExprKind {
    Integer(i128),
    Float(f64),
    Text(String),
    WideText(String),
    Name(String),
    Unary(UnaryOp, Box<Expr>),
    Binary(BinaryOp, Box<Expr>, Box<Expr>),
    Conditional(Box<Expr>, Box<Expr>, Box<Expr>),
    Cast(Box<TypeName>, Box<Expr>),
    SizeOfType(Box<TypeName>),
    /// `sizeof x`: C's affair.
    SizeOf,
    Deref(Box<Expr>),
    Address(Box<Expr>),
    /// `x.name`
    Member(Box<Expr>, Name),
    /// `x->name`
    Arrow(Box<Expr>, Name),
    Index(Box<Expr>, Box<Expr>),
    Call(Name, Vec<Expr>),
    /// `{ a, b }`: the value of a constant array, which is not kept.
    List,
}

/// An attribute: `name` or `name(…)`.
#[derive(Clone, Debug)]
pub(crate) struct Attribute {
    pub(crate) name: Name,
    /// The text between the parentheses.
    pub(crate) raw: String,
    /// Whether there are parentheses.
    pub(crate) called: bool,
    /// The arguments that are expressions; a slot may be empty: `size_is(,n)`.
    pub(crate) arguments: Vec<Option<Expr>>,
    /// The argument that is a type: `switch_type(short)`.
    pub(crate) ty: Option<Box<TypeName>>,
    pub(crate) span: Span,
}

/// Attributes, in source order.
pub(crate) type Attributes = Vec<Attribute>;

/// Finds attributes by name.
pub(crate) trait Find {
    /// The first attribute with this name.
    fn find(&self, name: &str) -> Option<&Attribute>;

    /// Whether there is one.
    fn has(&self, name: &str) -> bool {
        self.find(name).is_some()
    }
}

impl Find for [Attribute] {
    fn find(&self, name: &str) -> Option<&Attribute> {
        self.iter().find(|it| it.name.text == name)
    }
}

/// What stands around a type's core, from the outside to the inside: `*x[3]` is an array of pointers.
#[derive(Clone, Debug)]
pub(crate) enum Modifier {
    Pointer,
    Array(Dimension),
    /// A function: a pointer to it cannot be on the wire.
    Function,
}

/// `[…]` of a declarator.
#[derive(Clone, Debug)]
pub(crate) struct Dimension {
    pub(crate) lower: Bound,
    pub(crate) upper: Bound,
    /// Whether there were two bounds: `[0..7]`.
    pub(crate) range: bool,
}

/// A bound of a dimension.
#[derive(Clone, Debug)]
pub(crate) enum Bound {
    /// Nothing, or `*`.
    Open,
    Known(Expr),
}

/// A type where only a type may stand: a cast, `sizeof`, an attribute.
#[derive(Clone, Debug)]
pub(crate) struct TypeName {
    pub(crate) attributes: Attributes,
    pub(crate) specifier: Specifier,
    pub(crate) modifiers: Vec<Modifier>,
    pub(crate) span: Span,
}

/// A type without what the declarator adds to it.
#[derive(Clone, Debug)]
pub(crate) enum Specifier {
    /// Words such as `unsigned long`.
    Basic(Basic, Span),
    /// A name, or `interface name`.
    Named(Name),
    Enum(Box<EnumSpecifier>),
    Bitmap(Box<EnumSpecifier>),
    Struct(Box<StructSpecifier>),
    Union(Box<UnionSpecifier>),
    Pipe(Box<TypeName>),
    /// `SAFEARRAY(type)`
    SafeArray(Box<TypeName>, Span),
}

/// A type that has keywords of its own in all dialects.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Basic {
    Void,
    HandleT,
    Scalar(crate::model::ndr::Base),
}

/// `enum tag { … }` or `bitmap tag { … }`.
#[derive(Clone, Debug)]
pub(crate) struct EnumSpecifier {
    pub(crate) attributes: Attributes,
    pub(crate) tag: Option<Name>,
    /// Absent: names one that is defined elsewhere.
    pub(crate) body: Option<Vec<EnumMember>>,
    pub(crate) span: Span,
}

/// A value of an enum or a name of a bitmap.
#[derive(Clone, Debug)]
pub(crate) struct EnumMember {
    pub(crate) name: Name,
    pub(crate) value: Option<Expr>,
    pub(crate) docs: String,
}

/// `struct tag { … }`.
#[derive(Clone, Debug)]
pub(crate) struct StructSpecifier {
    pub(crate) attributes: Attributes,
    pub(crate) tag: Option<Name>,
    pub(crate) body: Option<Vec<Declaration>>,
    pub(crate) span: Span,
}

/// `union tag { … }` or `union tag switch (type name) member { … }`.
#[derive(Clone, Debug)]
pub(crate) struct UnionSpecifier {
    pub(crate) attributes: Attributes,
    pub(crate) tag: Option<Name>,
    /// The type and name of the discriminant, and the name of what is inside.
    pub(crate) switch: Option<(TypeName, Name, Option<Name>)>,
    pub(crate) body: Option<Vec<Arm>>,
    pub(crate) span: Span,
}

/// An arm of a union.
#[derive(Clone, Debug)]
pub(crate) struct Arm {
    pub(crate) cases: Vec<Expr>,
    pub(crate) default: bool,
    /// Absent for an empty arm.
    pub(crate) declaration: Option<Declaration>,
    pub(crate) span: Span,
}

/// One declared name.
#[derive(Clone, Debug)]
pub(crate) struct Declarator {
    /// What an attribute configuration file says about this name alone.
    pub(crate) attributes: Attributes,
    pub(crate) modifiers: Vec<Modifier>,
    /// Where its width in bits is, if it is a bit field of C.
    pub(crate) bits: Option<Span>,
    /// Absent for some parameters.
    pub(crate) name: Option<Name>,
    pub(crate) span: Span,
}

/// Fields, an arm, a parameter, or the names of a typedef.
#[derive(Clone, Debug)]
pub(crate) struct Declaration {
    pub(crate) attributes: Attributes,
    pub(crate) specifier: Specifier,
    pub(crate) declarators: Vec<Declarator>,
    pub(crate) docs: String,
}

/// The name that `...` has among parameters.
pub(crate) const REST: &str = "...";

/// An operation.
#[derive(Clone, Debug)]
pub(crate) struct Operation {
    pub(crate) attributes: Attributes,
    pub(crate) result: TypeName,
    pub(crate) name: Name,
    pub(crate) parameters: Vec<Declaration>,
    pub(crate) docs: String,
}

/// `const type name = value;`
#[derive(Clone, Debug)]
pub(crate) struct Const {
    pub(crate) ty: TypeName,
    pub(crate) name: Name,
    pub(crate) value: Expr,
    pub(crate) docs: String,
}

/// What stands in an interface, or outside of all.
#[derive(Clone, Debug)]
pub(crate) enum Statement {
    Const(Const),
    Typedef(Declaration),
    /// `struct x { … };` and the like.
    Tagged(Declaration),
    Operation(Operation),
    /// `cpp_quote("…")`
    Quote(String, Span),
    Import(Import),
    Interface(Interface),
}

/// `import "a", "b";`
#[derive(Clone, Debug)]
pub(crate) struct Import {
    pub(crate) path: String,
    pub(crate) span: Span,
}

/// An interface, a dispinterface or a module.
#[derive(Clone, Debug)]
pub(crate) struct Interface {
    pub(crate) attributes: Attributes,
    pub(crate) name: Name,
    pub(crate) base: Option<Name>,
    /// Absent: a declaration in advance.
    pub(crate) body: Option<Vec<Statement>>,
    /// `dispinterface`, `module`, `coclass`: nothing in it is on the wire.
    pub(crate) local: bool,
    pub(crate) docs: String,
}

/// A whole file, with everything that it includes.
#[derive(Clone, Debug, Default)]
pub(crate) struct File {
    pub(crate) statements: Vec<Statement>,
    /// It uses what only pidl has.
    pub(crate) pidl: bool,
    /// Something could not be parsed: any name may be its.
    pub(crate) lost: bool,
}
