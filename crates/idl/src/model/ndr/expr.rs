//! Expressions of attributes such as `size_is`, resolved: what stands in them is a constant, a
//! field, a parameter, or the opaque name of a function that pidl's users write by hand.
//!
//! Read first: C706 section 4.2.20 ("Array attributes"); what C's operators mean.

use super::{Base, ItemId};

/// A prefix operator.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum UnaryOp {
    /// `-`
    Minus,
    /// `~`
    Not,
    /// `!`: 1 for 0, otherwise 0.
    LogicalNot,
}

/// An operator between two operands, with C's meaning on 64-bit integers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum BinaryOp {
    /// `*`
    Multiply,
    /// `/`; a zero divisor is an error of the value.
    Divide,
    /// `%`; a zero divisor is an error of the value.
    Remainder,
    /// `+`
    Add,
    /// `-`
    Subtract,
    /// `<<`
    ShiftLeft,
    /// `>>`
    ShiftRight,
    /// `<`
    Less,
    /// `>`
    Greater,
    /// `<=`
    LessEqual,
    /// `>=`
    GreaterEqual,
    /// `==`
    Equal,
    /// `!=`
    NotEqual,
    /// `&`
    And,
    /// `^`
    Xor,
    /// `|`
    Or,
    /// `&&`
    LogicalAnd,
    /// `||`
    LogicalOr,
}

/// Where a [`Place`] begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Root {
    /// A field of the struct that the attribute stands in, by index in its `fields`. What holds a
    /// union is never named from within its arms.
    Field(usize),
    /// A parameter of the operation, by index in its `params`.
    Parameter(usize),
}

/// A step from a value to one inside it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Step {
    /// `*`: what the pointer points to. `p->x` is a `Deref` and a `Field`.
    Deref,
    /// A field of the struct, by index in its `fields`.
    Field(usize),
    /// An element of the array.
    Index(Box<Expr>),
}

/// A value that is on the wire as well.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Place {
    /// The field or parameter.
    pub root: Root,
    /// From there inward.
    pub steps: Vec<Step>,
}

/// An expression. Everything whose value is known has become an [`Expr::Integer`].
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Expr {
    /// A known value: within 64 bits, signed or unsigned.
    Integer(i128),
    /// A value on the wire; it resolves to an integer, an enum, a bitmap, a boolean, or, inside
    /// of [`Expr::Call`] only, to anything.
    Place(Place),
    /// `&x`, inside of [`Expr::Call`] only.
    Address(Box<Expr>),
    /// `op x`
    Unary(UnaryOp, Box<Expr>),
    /// `x op y`
    Binary(BinaryOp, Box<Expr>, Box<Expr>),
    /// `c ? x : y`
    Conditional(Box<Expr>, Box<Expr>, Box<Expr>),
    /// `(type)x`: cut to the type's width.
    Cast(Base, Box<Expr>),
    /// `sizeof(type)` of a struct or union: its size in C, which is known to nobody who has no C
    /// compiler. (`sizeof` of what has a fixed size is an [`Expr::Integer`].)
    SizeOf(ItemId),
    /// A function that an author of pidl files writes by hand, such as `ndr_size_dom_sid0`. Those that are
    /// understood everywhere are [`Known`] functions.
    Call(Function, Vec<Expr>),
    /// A C name or string that means something to hand-written C only, as an argument of
    /// [`Expr::Call`] or alone: `ndr->flags`.
    Opaque(String),
}

/// What a call in an expression calls.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Function {
    /// One whose meaning is known.
    Known(Known),
    /// Any other, by name.
    Named(String),
}

/// Functions of pidl's run time in expressions, whose meaning is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Known {
    /// `strlen(s)`: bytes of the string without its terminator.
    StrLen,
    /// `strlen_m(s)`: 16-bit units of the string without its terminator; 0 for null.
    StrLenM,
    /// `strlen_m_term(s)`: one more; 0 for null.
    StrLenMTerm,
    /// `strlen_m_term_null(s)`: as `StrLenMTerm`, but 0 for an empty string too.
    StrLenMTermNull,
    /// `ndr_charset_length(s, CH_UTF16)` and the like: characters with the terminator in the
    /// character set that is named.
    CharsetLength,
}

impl Expr {
    /// The value, if it is known without a message.
    pub fn constant(&self) -> Option<i128> {
        match self {
            Self::Integer(value) => Some(*value),
            _ => None,
        }
    }

    /// Calls `visit` for each place in the expression, indexes included.
    pub fn places<'a>(&'a self, visit: &mut impl FnMut(&'a Place)) {
        match self {
            Self::Integer(_) | Self::SizeOf(_) | Self::Opaque(_) => {}
            Self::Place(place) => {
                visit(place);
                for step in &place.steps {
                    if let Step::Index(index) = step {
                        index.places(visit);
                    }
                }
            }
            Self::Address(x) | Self::Unary(_, x) | Self::Cast(_, x) => x.places(visit),
            Self::Binary(_, x, y) => {
                x.places(visit);
                y.places(visit);
            }
            Self::Conditional(c, x, y) => {
                c.places(visit);
                x.places(visit);
                y.places(visit);
            }
            Self::Call(_, arguments) => arguments.iter().for_each(|it| it.places(visit)),
        }
    }

    /// Whether its value can be computed from a message: nothing in it is known to
    /// hand-written C only.
    pub fn is_computable(&self) -> bool {
        match self {
            Self::Integer(_) | Self::Place(_) => true,
            Self::SizeOf(_) | Self::Opaque(_) | Self::Call(Function::Named(_), _) => false,
            Self::Address(x) | Self::Unary(_, x) | Self::Cast(_, x) => x.is_computable(),
            Self::Binary(_, x, y) => x.is_computable() && y.is_computable(),
            Self::Conditional(c, x, y) => {
                c.is_computable() && x.is_computable() && y.is_computable()
            }
            Self::Call(Function::Known(Known::CharsetLength), arguments) => {
                arguments.first().is_some_and(Self::is_computable)
            }
            Self::Call(Function::Known(_), arguments) => arguments.iter().all(Self::is_computable),
        }
    }
}
