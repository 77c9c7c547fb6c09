//! Values that are known without a message: constants, values of enums, `sizeof`.

use super::Lower;
use super::names::{Body, Symbol};
use crate::diag::Span;
use crate::midl::ast::{Attributes, EnumSpecifier, Expr, ExprKind, Name, Specifier, TypeName};
use crate::model::ndr::{Base, BinaryOp, Constant, ItemId, UnaryOp};

/// Why an expression has no value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum NoValue {
    /// It depends on a message, or on C.
    Unknown(Span),
    /// It is wrong; what is wrong.
    Wrong(Span, String),
}

impl<'a> Lower<'a> {
    /// The value of an expression, as an integer.
    pub(super) fn integer(&mut self, expr: &Expr) -> Result<i128, NoValue> {
        let span = expr.span;
        match &expr.kind {
            ExprKind::Integer(value) => Ok(*value),
            ExprKind::Name(name) => self.named_value(name, span),
            ExprKind::Unary(op, x) => {
                let x = self.integer(x)?;
                unary(*op, x).ok_or_else(|| overflow(span))
            }
            ExprKind::Binary(op, x, y) => {
                if let Some(ty) = self.type_in_front(x) {
                    let y = self.integer(y)?;
                    let value = match op {
                        BinaryOp::Subtract => -y,
                        BinaryOp::Add => y,
                        _ => return Err(NoValue::Unknown(span)),
                    };
                    return Ok(self.scalar_of(&ty).map_or(value, |base| cut(base, value)));
                }
                let (x, y) = (self.integer(x)?, self.integer(y)?);
                binary(*op, x, y).ok_or_else(|| overflow(span))
            }
            ExprKind::Conditional(c, x, y) => match self.integer(c)? {
                0 => self.integer(y),
                _ => self.integer(x),
            },
            ExprKind::Cast(ty, x) => {
                let value = self.integer(x)?;
                Ok(self.scalar_of(ty).map_or(value, |base| cut(base, value)))
            }
            ExprKind::SizeOfType(ty) => self.size_of(ty).ok_or(NoValue::Unknown(span)),
            _ => Err(NoValue::Unknown(span)),
        }
    }

    /// The type whose name stands in front of a sign: `(LONG) -1`, which without knowing the name one reads as a
    /// difference.
    fn type_in_front(&self, expr: &Expr) -> Option<TypeName> {
        let ExprKind::Name(text) = &expr.kind else {
            return None;
        };
        let Some((Symbol::Type(_), _)) = self.symbols.get(text) else {
            return None;
        };
        let name = Name {
            text: text.clone(),
            span: expr.span,
        };
        Some(TypeName {
            attributes: Attributes::default(),
            specifier: Specifier::Named(name),
            modifiers: Vec::new(),
            span: expr.span,
        })
    }

    /// The value of an expression that must have one; what is wrong is said.
    pub(super) fn known(&mut self, expr: &Expr, what: &str) -> Option<i128> {
        match self.integer(expr) {
            Ok(value) => Some(value),
            Err(NoValue::Wrong(span, message)) => {
                self.error("E0306", span, message);
                None
            }
            Err(NoValue::Unknown(span)) => {
                let text = self.sources.text(span).to_owned();
                match &expr.kind {
                    ExprKind::Name(name) if self.symbols.contains_key(name) => {
                        let message = format!("`{name}` is made of itself, or is no integer");
                        self.error("E0306", span, message);
                    }
                    ExprKind::Name(name) => self.undefined("E0303", "constant", name, span),
                    _ => self.error("E0306", span, format!("{what} is not a constant: `{text}`")),
                }
                None
            }
        }
    }

    fn named_value(&mut self, name: &str, span: Span) -> Result<i128, NoValue> {
        match self.symbols.get(name).map(|(symbol, _)| *symbol) {
            Some(Symbol::Const(id)) => self.constant(id, span),
            Some(Symbol::Value(id, index)) => self.enum_value(id, index, span),
            Some(_) => Err(NoValue::Unknown(span)),
            None => match name {
                "TRUE" | "true" => Ok(1),
                "FALSE" | "false" | "NULL" => Ok(0),
                "LIBNDR_FLAG_OBJECT_PRESENT" if self.pidl => Ok(1 << 30),
                _ => Err(NoValue::Unknown(span)),
            },
        }
    }

    fn constant(&mut self, id: ItemId, span: Span) -> Result<i128, NoValue> {
        if let Some(known) = self.values.get(&id) {
            return known
                .first()
                .copied()
                .flatten()
                .ok_or(NoValue::Unknown(span));
        }
        let value = match self.draft(id).body {
            Body::Macro(value) => Ok(value),
            Body::Const(it) => self
                .deeper(span, |lower| lower.integer(&it.value))
                .unwrap_or(Err(NoValue::Unknown(span))),
            _ => Err(NoValue::Unknown(span)),
        };
        self.values.insert(id, vec![value.clone().ok()]);
        value
    }

    fn enum_value(&mut self, id: ItemId, index: usize, span: Span) -> Result<i128, NoValue> {
        if let Some(known) = self.values.get(&id) {
            return known
                .get(index)
                .copied()
                .flatten()
                .ok_or(NoValue::Unknown(span));
        }
        let values = self.enum_values(id, span);
        values
            .get(index)
            .copied()
            .flatten()
            .ok_or(NoValue::Unknown(span))
    }

    /// The values of an enum or a bitmap, in order; those that are wrong have been reported.
    pub(super) fn enum_values(&mut self, id: ItemId, span: Span) -> Vec<Option<i128>> {
        if let Some(known) = self.values.get(&id) {
            return known.clone();
        }
        let (Body::Enum(it) | Body::Bitmap(it)) = self.draft(id).body else {
            return Vec::new();
        };
        let values = self.deeper(span, |lower| lower.count_values(id, it));
        let values = values.unwrap_or_default();
        self.values.insert(id, values.clone());
        values
    }

    fn count_values(&mut self, id: ItemId, it: &'a EnumSpecifier) -> Vec<Option<i128>> {
        let members = it.body.as_deref().unwrap_or(&[]);
        // A value may be made of those before it: they are known under their places.
        self.values.insert(id, Vec::with_capacity(members.len()));
        let mut next = Some(0);
        for member in members {
            let value = match &member.value {
                Some(expr) => self.known(expr, "the value"),
                None => next,
            };
            next = value.and_then(|it| it.checked_add(1));
            if let Some(values) = self.values.get_mut(&id) {
                values.push(value);
            }
        }
        self.values.remove(&id).unwrap_or_default()
    }

    /// The value of a `const`.
    pub(super) fn constant_value(&mut self, expr: &Expr) -> Option<Constant> {
        match &expr.kind {
            ExprKind::Text(text) => Some(Constant::String(text.clone())),
            ExprKind::WideText(text) => Some(Constant::WideString(text.clone())),
            _ if is_real(expr) => match self.real(expr) {
                Some(value) => Some(Constant::Float(value)),
                None => self.known(expr, "the value").map(Constant::Integer),
            },
            ExprKind::Name(name) => match self.symbols.get(name).map(|(symbol, _)| *symbol) {
                Some(Symbol::Const(id)) => match self.draft(id).body {
                    Body::Const(it) => self
                        .deeper(expr.span, |lower| lower.constant_value(&it.value))
                        .flatten(),
                    _ => self.known(expr, "the value").map(Constant::Integer),
                },
                None if name == "NULL" => Some(Constant::Null),
                _ => self.known(expr, "the value").map(Constant::Integer),
            },
            _ => self.known(expr, "the value").map(Constant::Integer),
        }
    }

    /// The value of an expression in which there is a number with a fraction.
    fn real(&mut self, expr: &Expr) -> Option<f64> {
        match &expr.kind {
            ExprKind::Float(value) => Some(*value),
            ExprKind::Unary(UnaryOp::Minus, x) => self.real(x).map(|x| -x),
            ExprKind::Cast(_, x) => self.real(x),
            ExprKind::Binary(op, x, y) => {
                let (x, y) = (self.real(x)?, self.real(y)?);
                match op {
                    BinaryOp::Add => Some(x + y),
                    BinaryOp::Subtract => Some(x - y),
                    BinaryOp::Multiply => Some(x * y),
                    BinaryOp::Divide => Some(x / y),
                    _ => None,
                }
            }
            #[allow(clippy::cast_precision_loss, reason = "as C does it")]
            _ => self.integer(expr).ok().map(|value| value as f64),
        }
    }

    /// The scalar that a type in a cast is, if it is one.
    pub(super) fn scalar_of(&mut self, ty: &TypeName) -> Option<Base> {
        if !ty.modifiers.is_empty() {
            return None;
        }
        let context = super::Context {
            interface: None,
            pointer_default: crate::model::ndr::PointerClass::Unique,
            imported: true,
            prelude: false,
            pidl: self.pidl,
            ms_union: false,
        };
        self.scalar_of_specifier(&ty.specifier, context)
    }

    fn size_of(&mut self, ty: &TypeName) -> Option<i128> {
        if ty.modifiers.is_empty() {
            return self.scalar_of(ty).map(|base| i128::from(base.size()));
        }
        None
    }
}

/// Whether there is a number with a fraction in the expression.
fn is_real(expr: &Expr) -> bool {
    match &expr.kind {
        ExprKind::Float(_) => true,
        ExprKind::Unary(_, x) | ExprKind::Cast(_, x) => is_real(x),
        ExprKind::Binary(_, x, y) => is_real(x) || is_real(y),
        _ => false,
    }
}

fn overflow(span: Span) -> NoValue {
    NoValue::Wrong(
        span,
        "the value of the expression is outside of 64 bits".into(),
    )
}

/// A value within 64 bits, signed or unsigned.
fn bounded(value: i128) -> Option<i128> {
    (i128::from(i64::MIN)..=i128::from(u64::MAX))
        .contains(&value)
        .then_some(value)
}

/// What a prefix operator makes of a value.
pub(super) fn unary(op: UnaryOp, x: i128) -> Option<i128> {
    bounded(match op {
        UnaryOp::Minus => -x,
        UnaryOp::Not => !x,
        UnaryOp::LogicalNot => i128::from(x == 0),
    })
}

/// What an operator makes of two values; `None` if there is no such value.
pub(crate) fn binary(op: BinaryOp, x: i128, y: i128) -> Option<i128> {
    use BinaryOp::*;
    let shift = || u32::try_from(y).ok().filter(|by| *by < 64);
    let value = match op {
        Multiply => x.checked_mul(y)?,
        Divide => x.checked_div(y)?,
        Remainder => x.checked_rem(y)?,
        Add => x.checked_add(y)?,
        Subtract => x.checked_sub(y)?,
        ShiftLeft => x.checked_mul(1_i128 << shift()?)?,
        ShiftRight => x >> shift()?,
        Less => i128::from(x < y),
        Greater => i128::from(x > y),
        LessEqual => i128::from(x <= y),
        GreaterEqual => i128::from(x >= y),
        Equal => i128::from(x == y),
        NotEqual => i128::from(x != y),
        And => x & y,
        Xor => x ^ y,
        Or => x | y,
        LogicalAnd => i128::from(x != 0 && y != 0),
        LogicalOr => i128::from(x != 0 || y != 0),
    };
    bounded(value)
}

/// The value in the width of a scalar.
pub(crate) fn cut(base: Base, value: i128) -> i128 {
    if !base.is_integer() {
        return value;
    }
    let bits = u32::from(base.size64()) * 8;
    let low = value & ((1_i128 << bits) - 1);
    match base.is_signed() && low >> (bits - 1) != 0 {
        true => low - (1_i128 << bits),
        false => low,
    }
}
