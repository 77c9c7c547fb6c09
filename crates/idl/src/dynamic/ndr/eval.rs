//! Expressions of attributes, computed from values; and backwards, from what they must give to what a field must hold.

use super::val::Val;
use crate::model::ndr::{BinaryOp, Expr, Function, Known, Place, Root, Step, UnaryOp};

/// The value of an expression; `None` if something in it is not known.
pub(super) fn number(expr: &Expr, here: &[Val]) -> Option<i128> {
    match expr {
        Expr::Integer(value) => Some(*value),
        Expr::Place(place) => value(place, here)?.number(),
        Expr::Unary(op, x) => {
            let x = number(x, here)?;
            Some(match op {
                UnaryOp::Minus => -x,
                UnaryOp::Not => !x,
                UnaryOp::LogicalNot => i128::from(x == 0),
            })
        }
        Expr::Binary(op, x, y) => binary(*op, number(x, here)?, number(y, here)?),
        Expr::Conditional(c, x, y) => match number(c, here)? {
            0 => number(y, here),
            _ => number(x, here),
        },
        Expr::Cast(base, x) => {
            let x = number(x, here)?;
            Some(crate::midl::cut(*base, x))
        }
        Expr::Call(Function::Known(known), arguments) => length(*known, arguments.first()?, here),
        Expr::Address(_) | Expr::SizeOf(_) | Expr::Opaque(_) | Expr::Call(..) => None,
    }
}

/// The same for the wire's shapes.
pub(super) fn shaped(expr: Option<&Expr>, here: &[Val]) -> i64 {
    let value = expr.and_then(|expr| number(expr, here));
    value
        .and_then(|value| i64::try_from(value).ok())
        .unwrap_or(farcall_wire::ndr::ANY)
}

fn binary(op: BinaryOp, x: i128, y: i128) -> Option<i128> {
    crate::midl::binary(op, x, y)
}

/// The value at a place; `None` if it is not known.
fn value<'v>(place: &Place, here: &'v [Val]) -> Option<&'v Val> {
    let (Root::Field(index) | Root::Parameter(index)) = place.root;
    let mut at = here.get(index)?;
    for step in &place.steps {
        at = match (step, at) {
            (Step::Deref, Val::Pointer(Some(inner))) => inner,
            (Step::Deref, Val::Full(farcall_wire::ndr::Full::Value(_, inner))) => inner,
            // What a null pointer points to counts as 0.
            (Step::Deref, Val::Pointer(None)) => at,
            (Step::Deref, Val::Items(items)) => items.first()?,
            (Step::Deref, Val::Int(_)) => at,
            (Step::Field(index), Val::Fields(fields)) => fields.get(*index)?,
            (Step::Field(_), Val::Pointer(None)) => at,
            (Step::Index(index), Val::Items(items)) => {
                let index = number(index, here)?;
                items.get(usize::try_from(index).ok()?)?
            }
            _ => return None,
        };
    }
    Some(at)
}

/// What the functions of pidl's run time say of a string.
fn length(known: Known, argument: &Expr, here: &[Val]) -> Option<i128> {
    let Expr::Place(place) = argument else {
        return None;
    };
    let found = value(place, here)?;
    let len = found.len();
    let units = i128::try_from(len.unwrap_or(0)).ok()?;
    let null = len.is_none();
    Some(match known {
        Known::StrLen | Known::StrLenM => units,
        Known::StrLenMTerm | Known::CharsetLength if null => 0,
        Known::StrLenMTerm | Known::CharsetLength => units + 1,
        Known::StrLenMTermNull if units == 0 => 0,
        Known::StrLenMTermNull => units + 1,
    })
}

/// What the field with this index must hold for the expression to give `target`; `None` if that cannot be told.
/// Says also whether the place is what a pointer there points to.
pub(super) fn solve(expr: &Expr, target: i128, index: usize) -> Option<i128> {
    match expr {
        Expr::Place(place) => {
            let (Root::Field(at) | Root::Parameter(at)) = place.root;
            let simple = place.steps.iter().all(|step| *step == Step::Deref);
            (at == index && simple).then_some(target)
        }
        Expr::Cast(_, x) => solve(x, target, index),
        Expr::Binary(op, x, y) => match (op, x.constant(), y.constant()) {
            (BinaryOp::Multiply, None, Some(k)) if k != 0 && target % k == 0 => {
                solve(x, target / k, index)
            }
            (BinaryOp::Multiply, Some(k), None) if k != 0 && target % k == 0 => {
                solve(y, target / k, index)
            }
            (BinaryOp::Divide, None, Some(k)) => solve(x, target.checked_mul(k)?, index),
            (BinaryOp::ShiftRight, None, Some(k)) if (0..64).contains(&k) => {
                solve(x, target.checked_mul(1 << k)?, index)
            }
            (BinaryOp::ShiftLeft, None, Some(k)) if (0..64).contains(&k) => {
                solve(x, target >> k, index)
            }
            (BinaryOp::Add, None, Some(k)) => solve(x, target - k, index),
            (BinaryOp::Add, Some(k), None) => solve(y, target - k, index),
            (BinaryOp::Subtract, None, Some(k)) => solve(x, target + k, index),
            (BinaryOp::And, None, Some(_)) => solve(x, target, index),
            _ => None,
        },
        Expr::Conditional(_, x, y) => solve(x, target, index).or_else(|| solve(y, target, index)),
        _ => None,
    }
}
