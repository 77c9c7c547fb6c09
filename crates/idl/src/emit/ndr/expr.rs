//! Expressions of `size_is`, `switch_is` and the like, as Rust of type `i64`.
//!
//! Read first: C706 section 4.2.20. An expression that names what is not known at its place is
//! [`ANY`](farcall_wire::ndr::ANY): it is checked later, or by nobody.

use proc_macro2::{Delimiter, Literal, TokenStream, TokenTree};
use quote::quote;

use crate::model::ndr::{
    Base, BinaryOp, Expr, Function, ItemKind, Known, Place, PointerClass, Root, Step, Type, UnaryOp,
};

use super::super::text::ident;
use super::plan::Plan;

/// What a field or parameter is where an expression is printed.
pub(crate) enum Found<'a> {
    /// A place in Rust, and its type.
    Place(TokenStream, &'a Type),
    /// Its number.
    Number(TokenStream),
}

/// What an expression may name.
pub(crate) struct Env<'a> {
    /// Finds what a place begins with, if it is known there.
    pub(crate) find: &'a dyn Fn(&Place) -> Option<Found<'a>>,
    /// Whether something was asked for that is not known.
    pub(crate) missed: std::cell::Cell<bool>,
}

impl<'a> Env<'a> {
    pub(crate) fn new(find: &'a dyn Fn(&Place) -> Option<Found<'a>>) -> Self {
        Self {
            find,
            missed: std::cell::Cell::new(false),
        }
    }
}

/// An expression without a name in it.
pub(crate) fn nothing(_: &Place) -> Option<Found<'static>> {
    None
}

impl Plan<'_> {
    /// The expression, or `ANY`.
    pub(crate) fn number(&self, expr: Option<&Expr>, env: &Env<'_>) -> TokenStream {
        let Some(expr) = expr else {
            return quote!(ndr::ANY);
        };
        if let Some(value) = expr.constant() {
            return literal(value, false);
        }
        match self.expression(expr, env) {
            Some(tokens) => bare(tokens),
            None => {
                env.missed.set(true);
                quote!(ndr::ANY)
            }
        }
    }

    fn expression(&self, expr: &Expr, env: &Env<'_>) -> Option<TokenStream> {
        Some(match expr {
            Expr::Integer(value) => literal(*value, true),
            Expr::Place(place) => match (env.find)(place)? {
                Found::Number(number) => number,
                Found::Place(start, ty) => self.walk(start, ty, &place.steps, env, Last::Int)?,
            },
            Expr::Unary(op, x) => {
                let x = self.expression(x, env)?;
                match op {
                    UnaryOp::Minus => quote!(#x.wrapping_neg()),
                    UnaryOp::Not => quote!((!#x)),
                    UnaryOp::LogicalNot => quote!(i64::from(#x == 0)),
                }
            }
            Expr::Binary(op, x, y) => {
                binary(*op, self.expression(x, env)?, self.expression(y, env)?)
            }
            Expr::Conditional(c, x, y) => {
                let c = self.expression(c, env)?;
                let (x, y) = (self.expression(x, env)?, self.expression(y, env)?);
                quote!(ndr::either(#c, #x, #y))
            }
            Expr::Cast(base, x) => self.cast(*base, self.expression(x, env)?),
            Expr::Call(Function::Known(known), arguments) => self.call(*known, arguments, env)?,
            Expr::Address(_) | Expr::SizeOf(_) | Expr::Opaque(_) | Expr::Call(..) => return None,
        })
    }

    fn cast(&self, base: Base, x: TokenStream) -> TokenStream {
        let (bits, signed) = (
            Literal::u32_unsuffixed(u32::from(base.size()) * 8),
            base.is_signed(),
        );
        match base.size() {
            8.. => x,
            _ => quote!(ndr::cut(#x, #bits, #signed)),
        }
    }

    fn call(&self, known: Known, arguments: &[Expr], env: &Env<'_>) -> Option<TokenStream> {
        let Expr::Place(place) = arguments.first()? else {
            return None;
        };
        let Found::Place(start, ty) = (env.find)(place)? else {
            return None;
        };
        let len = self.walk(start, ty, &place.steps, env, Last::Text)?;
        Some(match known {
            Known::StrLen | Known::StrLenM => quote!(ndr::text_len(#len, false, false)),
            Known::StrLenMTerm => quote!(ndr::text_len(#len, true, true)),
            Known::StrLenMTermNull => quote!(ndr::text_len(#len, true, false)),
            Known::CharsetLength => quote!(ndr::text_len(#len, true, true)),
        })
    }

    /// What stands at the end of the steps from `at`, which is of type `ty`.
    fn walk(
        &self,
        at: TokenStream,
        ty: &Type,
        steps: &[Step],
        env: &Env<'_>,
        last: Last,
    ) -> Option<TokenStream> {
        let ty = self.behind(ty);
        let Some((step, rest)) = steps.split_first() else {
            return self.end(at, ty, last);
        };
        match (step, ty) {
            // A list is not null if it has an element, the one that the pointer points to.
            (Step::Deref, Type::Pointer(it))
                if it.class == PointerClass::Unique && self.list_of(&it.pointee).is_some() =>
            {
                self.walk(at, &it.pointee, rest, env, last)
            }
            (Step::Deref, Type::Pointer(it)) => match it.class {
                PointerClass::Ref => self.walk(at, &it.pointee, rest, env, last),
                PointerClass::Ignore => None,
                PointerClass::Full => {
                    let inner = self.walk(quote!(it), &it.pointee, rest, env, last)?;
                    let empty = last.empty();
                    Some(quote!(#at.value().map_or(#empty, |it| #inner)))
                }
                _ => {
                    let inner = self.walk(quote!(it), &it.pointee, rest, env, last)?;
                    let empty = last.empty();
                    Some(quote!(#at.as_ref().map_or(#empty, |it| #inner)))
                }
            },
            // A reference pointer of a parameter is not in the type, nor is an array's first element.
            (Step::Deref, _) => self.walk(at, ty, rest, env, last),
            (Step::Field(i), Type::Named(id)) => {
                let ItemKind::Struct(it) = &self.defs.item(*id).kind else {
                    return None;
                };
                let field = it.fields.get(*i).filter(|field| self.is_field(field))?;
                let name = ident(self.members(*id).get(*i)?);
                if let Some(link) = self.link(*id) {
                    let inner = self.walk(quote!(it.#name), &field.ty, rest, env, last)?;
                    let empty = last.empty();
                    return (link != *i).then(|| quote!(#at.first().map_or(#empty, |it| #inner)));
                }
                self.walk(quote!(#at.#name), &field.ty, rest, env, last)
            }
            (Step::Index(index), Type::Array(it)) if it.dimensions.len() == 1 => {
                let index = self.expression(index, env)?;
                let inner = self.walk(quote!(it), &it.element, rest, env, last)?;
                let empty = last.empty();
                Some(quote! {
                    ndr::element(&#at, #index).map_or(#empty, |it| #inner)
                })
            }
            _ => None,
        }
    }

    fn end(&self, at: TokenStream, ty: &Type, last: Last) -> Option<TokenStream> {
        match (last, ty) {
            (Last::Int, Type::Pointer(it))
                if it.class == PointerClass::Unique && self.list_of(&it.pointee).is_some() =>
            {
                Some(quote!(i64::from(!#at.is_empty())))
            }
            (Last::Int, Type::Pointer(it)) => match it.class {
                PointerClass::Ref => Some(quote!(1i64)),
                PointerClass::Full => Some(quote!(i64::from(#at != ndr::Full::Null))),
                PointerClass::Ignore => None,
                _ => Some(quote!(i64::from(#at.is_some()))),
            },
            (Last::Int, Type::Named(_)) if self.list_of(ty).is_some() || self.own(ty).is_some() => {
                None
            }
            (Last::Int, Type::Base(_) | Type::Range(..) | Type::Named(_)) => {
                Some(quote!(#at.int()))
            }
            (Last::Int, _) => None,
            (Last::Text, Type::Pointer(it)) => match it.class {
                PointerClass::Ref => self.end(at, self.behind(&it.pointee), last),
                PointerClass::Full | PointerClass::Ignore => None,
                _ => match self.behind(&it.pointee) {
                    Type::String(_) | Type::FlaggedString(_) | Type::Array(_) => {
                        Some(quote!(#at.as_ref().map(|it| it.len())))
                    }
                    inner => {
                        let inner = self.end(quote!(it), inner, last)?;
                        Some(quote!(#at.as_ref().and_then(|it| #inner)))
                    }
                },
            },
            (Last::Text, Type::String(_) | Type::FlaggedString(_) | Type::Array(_)) => {
                Some(quote!(Some(#at.len())))
            }
            (Last::Text, _) => None,
        }
    }

    /// Whether the type of what a place names is behind a pointer, so that it is known only after
    /// the second walk.
    pub(crate) fn is_deep(&self, place: &Place) -> bool {
        !place.steps.is_empty()
    }
}

/// What an expression wants at the end of a walk.
#[derive(Clone, Copy)]
enum Last {
    /// A number.
    Int,
    /// The length of a text, or none behind a null pointer.
    Text,
}

impl Last {
    fn empty(self) -> TokenStream {
        match self {
            Self::Int => quote!(0),
            Self::Text => quote!(None),
        }
    }
}

/// Without the parentheses around the whole.
fn bare(tokens: TokenStream) -> TokenStream {
    let mut trees = tokens.clone().into_iter();
    match (trees.next(), trees.next()) {
        (Some(TokenTree::Group(group)), None) if group.delimiter() == Delimiter::Parenthesis => {
            group.stream()
        }
        _ => tokens,
    }
}

fn binary(op: BinaryOp, x: TokenStream, y: TokenStream) -> TokenStream {
    match op {
        BinaryOp::Multiply => quote!(#x.wrapping_mul(#y)),
        BinaryOp::Divide => quote!(ndr::div(#x, #y)),
        BinaryOp::Remainder => quote!(ndr::rem(#x, #y)),
        BinaryOp::Add => quote!(#x.wrapping_add(#y)),
        BinaryOp::Subtract => quote!(#x.wrapping_sub(#y)),
        BinaryOp::ShiftLeft => quote!(ndr::shl(#x, #y)),
        BinaryOp::ShiftRight => quote!(ndr::shr(#x, #y)),
        BinaryOp::Less => quote!(i64::from(#x < #y)),
        BinaryOp::Greater => quote!(i64::from(#x > #y)),
        BinaryOp::LessEqual => quote!(i64::from(#x <= #y)),
        BinaryOp::GreaterEqual => quote!(i64::from(#x >= #y)),
        BinaryOp::Equal => quote!(i64::from(#x == #y)),
        BinaryOp::NotEqual => quote!(i64::from(#x != #y)),
        BinaryOp::And => quote!((#x & #y)),
        BinaryOp::Xor => quote!((#x ^ #y)),
        BinaryOp::Or => quote!((#x | #y)),
        BinaryOp::LogicalAnd => quote!(i64::from(#x != 0 && #y != 0)),
        BinaryOp::LogicalOr => quote!(i64::from(#x != 0 || #y != 0)),
    }
}

/// A number as `i64`: what is over it is cut, as C would.
pub(crate) fn literal(value: i128, suffix: bool) -> TokenStream {
    let value = match i64::try_from(value) {
        Ok(value) => value,
        Err(_) => value as i64,
    };
    let digits = value.unsigned_abs();
    if value == i64::MIN {
        return quote!(i64::MIN);
    }
    let digits = match suffix {
        true => Literal::i64_suffixed(digits as i64),
        false => Literal::i64_unsuffixed(digits as i64),
    };
    match (value < 0, suffix) {
        (true, true) => quote!((-#digits)),
        (true, false) => quote!(-#digits),
        (false, _) => quote!(#digits),
    }
}

/// Whether the place begins with this root.
pub(crate) fn field_of(place: &Place) -> Option<usize> {
    match place.root {
        Root::Field(i) => Some(i),
        Root::Parameter(_) => None,
    }
}

/// The parameter that a place begins with.
pub(crate) fn parameter_of(place: &Place) -> Option<usize> {
    match place.root {
        Root::Parameter(i) => Some(i),
        Root::Field(_) => None,
    }
}
