//! Resolves what stands in attributes: fields, parameters, what they point to, constants.

use super::constants::{self, NoValue};
use super::flatten::{Core, Flat, Layer};
use super::names::Body;
use super::{Context, Lower};
use crate::diag::{Diagnostic, Span};
use crate::midl::ast::{self, ExprKind};
use crate::model::ndr::{
    Base, BinaryOp, Expr, Function, ItemId, Known, Place, Root, Step, Type, UnaryOp,
};

/// A field or parameter that expressions may name.
#[derive(Clone, Copy, Debug)]
pub(super) struct Entry<'a> {
    pub(super) name: &'a str,
    pub(super) declaration: &'a ast::Declaration,
    pub(super) declarator: &'a ast::Declarator,
    /// Its index among the fields or parameters of the model.
    pub(super) index: usize,
}

/// What names in an expression mean.
#[derive(Clone, Copy, Debug)]
pub(super) enum Scope<'a, 's> {
    /// Constants alone.
    None,
    Fields(&'s [Entry<'a>]),
    Parameters(&'s [Entry<'a>]),
}

impl<'a> Scope<'a, '_> {
    fn find(self, name: &str) -> Option<(Root, Entry<'a>)> {
        let (entries, root): (_, fn(usize) -> Root) = match self {
            Self::None => return None,
            Self::Fields(entries) => (entries, Root::Field),
            Self::Parameters(entries) => (entries, Root::Parameter),
        };
        let entry = entries.iter().find(|it| it.name == name)?;
        Some((root(entry.index), *entry))
    }

    fn names(self) -> Vec<&'a str> {
        match self {
            Self::None => Vec::new(),
            Self::Fields(entries) | Self::Parameters(entries) => {
                entries.iter().map(|it| it.name).collect()
            }
        }
    }
}

/// A place, and what is left of its type behind the steps.
struct Found<'a> {
    place: Place,
    flat: Flat<'a>,
}

impl<'a> Lower<'a> {
    /// The expression, resolved; what is wrong has been reported and becomes 0.
    pub(super) fn resolve(
        &mut self,
        expr: &ast::Expr,
        scope: Scope<'a, '_>,
        context: Context,
    ) -> Expr {
        match self.resolved(expr, scope, context) {
            Ok(expr) => expr,
            Err(diagnostic) => {
                if !self.lost {
                    self.diagnostics.push(*diagnostic);
                }
                Expr::Integer(0)
            }
        }
    }

    fn resolved(
        &mut self,
        expr: &ast::Expr,
        scope: Scope<'a, '_>,
        context: Context,
    ) -> Result<Expr, Box<Diagnostic>> {
        let span = expr.span;
        let resolved = match &expr.kind {
            ExprKind::Integer(value) => Expr::Integer(*value),
            ExprKind::Name(_)
            | ExprKind::Deref(_)
            | ExprKind::Member(..)
            | ExprKind::Arrow(..)
            | ExprKind::Index(..) => return self.resolve_place(expr, scope, context),
            ExprKind::Unary(op, x) => unary(*op, self.resolved(x, scope, context)?),
            ExprKind::Binary(op, x, y) => {
                let x = self.resolved(x, scope, context)?;
                let y = self.resolved(y, scope, context)?;
                binary(*op, x, y).ok_or_else(|| Box::new(overflow(span)))?
            }
            ExprKind::Conditional(c, x, y) => {
                let c = self.resolved(c, scope, context)?;
                let (x, y) = (
                    self.resolved(x, scope, context)?,
                    self.resolved(y, scope, context)?,
                );
                match c.constant() {
                    Some(0) => y,
                    Some(_) => x,
                    None => Expr::Conditional(Box::new(c), Box::new(x), Box::new(y)),
                }
            }
            ExprKind::Cast(ty, x) => {
                let x = self.resolved(x, scope, context)?;
                match (self.scalar_of(ty), x) {
                    (Some(base), Expr::Integer(value)) => {
                        Expr::Integer(constants::cut(base, value))
                    }
                    (Some(base), x) => Expr::Cast(base, Box::new(x)),
                    (None, x) => x,
                }
            }
            ExprKind::Address(x) => Expr::Address(Box::new(self.resolved(x, scope, context)?)),
            ExprKind::Call(name, arguments) => {
                self.resolve_call(name, arguments, scope, context)?
            }
            ExprKind::SizeOfType(ty) => match self.integer(expr) {
                Ok(value) => Expr::Integer(value),
                Err(_) => match self.struct_of(ty) {
                    Some(id) => Expr::SizeOf(id),
                    None => Expr::Opaque(self.sources.text(span).to_owned()),
                },
            },
            ExprKind::Text(text) | ExprKind::WideText(text) => Expr::Opaque(format!("{text:?}")),
            ExprKind::Float(_) | ExprKind::SizeOf | ExprKind::List => {
                Expr::Opaque(self.sources.text(span).to_owned())
            }
        };
        Ok(resolved)
    }

    fn resolve_call(
        &mut self,
        name: &ast::Name,
        arguments: &[ast::Expr],
        scope: Scope<'a, '_>,
        context: Context,
    ) -> Result<Expr, Box<Diagnostic>> {
        if !context.pidl {
            let message = format!("`{}` cannot be called in an attribute", name.text);
            return Err(Box::new(Diagnostic::error("E0307", name.span, message)));
        }
        let function = match name.text.as_str() {
            "strlen" => Function::Known(Known::StrLen),
            "strlen_m" => Function::Known(Known::StrLenM),
            "strlen_m_term" => Function::Known(Known::StrLenMTerm),
            "strlen_m_term_null" => Function::Known(Known::StrLenMTermNull),
            "ndr_charset_length" => Function::Known(Known::CharsetLength),
            other => Function::Named(other.to_owned()),
        };
        let mut resolved = Vec::with_capacity(arguments.len());
        for argument in arguments {
            resolved.push(self.resolved(argument, scope, context)?);
        }
        Ok(Expr::Call(function, resolved))
    }

    fn struct_of(&self, ty: &ast::TypeName) -> Option<ItemId> {
        let name = match &ty.specifier {
            ast::Specifier::Named(name) => &name.text,
            ast::Specifier::Struct(it) => &it.tag.as_ref()?.text,
            _ => return None,
        };
        let symbol = self.symbols.get(name).map(|(symbol, _)| *symbol);
        match symbol {
            Some(super::names::Symbol::Type(id)) => Some(id),
            _ => self.tags.get(name).map(|(id, _)| *id),
        }
    }

    /// A name and what is behind it: a field, a parameter, a constant, or, with pidl, C.
    fn resolve_place(
        &mut self,
        expr: &ast::Expr,
        scope: Scope<'a, '_>,
        context: Context,
    ) -> Result<Expr, Box<Diagnostic>> {
        match self.place(expr, scope, context) {
            Ok(Some(found)) => return Ok(Expr::Place(found.place)),
            Ok(None) => {}
            Err(error) if context.pidl => drop(error),
            Err(error) => return Err(error),
        }
        match self.integer(expr) {
            Ok(value) => Ok(Expr::Integer(value)),
            Err(NoValue::Wrong(span, message)) => {
                Err(Box::new(Diagnostic::error("E0306", span, message)))
            }
            Err(NoValue::Unknown(_)) if context.pidl => {
                Ok(Expr::Opaque(self.sources.text(expr.span).to_owned()))
            }
            Err(NoValue::Unknown(span)) => {
                let text = self.sources.text(span).to_owned();
                let what = match scope {
                    Scope::None => "constant",
                    Scope::Fields(_) => "field or constant",
                    Scope::Parameters(_) => "parameter or constant",
                };
                let message = format!("{what} `{text}` is undefined");
                let mut error = Diagnostic::error("E0303", span, message);
                let names = scope.names();
                let near = names
                    .iter()
                    .map(|it| (crate::rpcl::lower::distance(&text, it), *it))
                    .min();
                if let Some((distance, near)) = near
                    && distance <= text.len().div_ceil(3)
                {
                    error = error.hint(format!("there is `{near}`"));
                }
                Err(Box::new(error))
            }
        }
    }

    /// A value on the wire; `None` if the expression does not begin with a field or parameter.
    fn place(
        &mut self,
        expr: &ast::Expr,
        scope: Scope<'a, '_>,
        context: Context,
    ) -> Result<Option<Found<'a>>, Box<Diagnostic>> {
        if let Some(name) = pidl_name(expr, scope).filter(|_| context.pidl) {
            return Ok(self.entry(name, scope, context));
        }
        match &expr.kind {
            ExprKind::Name(name) => Ok(self.entry(name, scope, context)),
            ExprKind::Deref(inner) => {
                let Some(found) = self.place(inner, scope, context)? else {
                    return Ok(None);
                };
                step_deref(found, expr.span).map(Some)
            }
            ExprKind::Arrow(inner, field) => {
                let Some(found) = self.place(inner, scope, context)? else {
                    return Ok(None);
                };
                let found = step_deref(found, inner.span)?;
                self.step_field(found, field, context).map(Some)
            }
            ExprKind::Member(inner, field) => {
                let Some(found) = self.place(inner, scope, context)? else {
                    return Ok(None);
                };
                self.step_field(found, field, context).map(Some)
            }
            ExprKind::Index(inner, index) => {
                let Some(mut found) = self.place(inner, scope, context)? else {
                    return Ok(None);
                };
                let index = self.resolved(index, scope, context)?;
                found.place.steps.push(Step::Index(Box::new(index)));
                match found.flat.layers.is_empty() {
                    true => {
                        let message = "an index behind what is no array";
                        Err(Box::new(Diagnostic::error("E0307", expr.span, message)))
                    }
                    false => {
                        found.flat.layers.remove(0);
                        Ok(Some(found))
                    }
                }
            }
            _ => Ok(None),
        }
    }

    fn entry(&mut self, name: &str, scope: Scope<'a, '_>, context: Context) -> Option<Found<'a>> {
        let (root, entry) = scope.find(name)?;
        let specifier = &entry.declaration.specifier;
        let flat = self.flatten(specifier, &entry.declarator.modifiers, None, context);
        let place = Place {
            root,
            steps: Vec::new(),
        };
        Some(Found { place, flat })
    }

    fn step_field(
        &mut self,
        mut found: Found<'a>,
        field: &ast::Name,
        context: Context,
    ) -> Result<Found<'a>, Box<Diagnostic>> {
        let fields = match (found.flat.layers.is_empty(), &found.flat.core) {
            (true, Core::Item(id)) => match self.draft(*id).body {
                Body::Struct(it) => it.body.as_deref().unwrap_or(&[]),
                _ => &[],
            },
            _ => &[],
        };
        let all = fields.iter().flat_map(|declaration| {
            declaration
                .declarators
                .iter()
                .map(move |it| (declaration, it))
        });
        let at = all.clone().position(|(_, it)| {
            let name = it.name.as_ref();
            name.is_some_and(|name| name.text == field.text)
        });
        let Some((index, (declaration, declarator))) =
            at.and_then(|at| all.clone().nth(at).map(|it| (at, it)))
        else {
            let message = format!("there is no field `{}`", field.text);
            return Err(Box::new(Diagnostic::error("E0303", field.span, message)));
        };
        found.place.steps.push(Step::Field(index));
        found.flat = self.flatten(&declaration.specifier, &declarator.modifiers, None, context);
        Ok(found)
    }

    /// The type of the value that `switch_is` names, for unions that say nothing of their discriminant.
    pub(super) fn type_of_expression(
        &mut self,
        expr: &ast::Expr,
        scope: Scope<'a, '_>,
        context: Context,
    ) -> Option<Type> {
        match &expr.kind {
            ExprKind::Cast(ty, _) => self.scalar_of(ty).map(Type::Base),
            ExprKind::Name(_) | ExprKind::Deref(_) | ExprKind::Arrow(..) | ExprKind::Member(..) => {
                let found = self.place(expr, scope, context).ok().flatten()?;
                match found.flat.core {
                    Core::Scalar(base) => Some(Type::Base(base)),
                    Core::Item(id) => Some(Type::Named(id)),
                    Core::Native(native) => Some(native.plain()),
                    _ => None,
                }
            }
            ExprKind::Binary(_, x, _) => self.type_of_expression(x, scope, context),
            _ => None,
        }
    }
}

/// What pidl calls `r->in.x`, `r->out.x` or `r->x`: the parameter or field `x`.
fn pidl_name<'e>(expr: &'e ast::Expr, scope: Scope<'_, '_>) -> Option<&'e str> {
    let is_r = |it: &ast::Expr| matches!(&it.kind, ExprKind::Name(name) if name == "r");
    let direction = |it: &ast::Expr| match &it.kind {
        ExprKind::Arrow(r, name) => is_r(r) && matches!(name.text.as_str(), "in" | "out"),
        _ => false,
    };
    if scope.find("r").is_some() {
        return None;
    }
    match &expr.kind {
        ExprKind::Member(inner, name) if direction(inner) => Some(&name.text),
        ExprKind::Arrow(r, name) if is_r(r) => Some(&name.text),
        _ => None,
    }
}

fn step_deref(mut found: Found<'_>, span: Span) -> Result<Found<'_>, Box<Diagnostic>> {
    match found.flat.layers.first() {
        Some(Layer::Pointer { .. } | Layer::Array(..)) => {
            found.flat.layers.remove(0);
            found.place.steps.push(Step::Deref);
            Ok(found)
        }
        _ => {
            let message = "what is no pointer points to nothing";
            Err(Box::new(Diagnostic::error("E0307", span, message)))
        }
    }
}

fn unary(op: UnaryOp, x: Expr) -> Expr {
    match x.constant().and_then(|x| constants::unary(op, x)) {
        Some(value) => Expr::Integer(value),
        None => Expr::Unary(op, Box::new(x)),
    }
}

/// `None` if the value is known and out of all bounds.
fn binary(op: BinaryOp, x: Expr, y: Expr) -> Option<Expr> {
    match (x.constant(), y.constant()) {
        (Some(x), Some(y)) => constants::binary(op, x, y).map(Expr::Integer),
        _ => Some(Expr::Binary(op, Box::new(x), Box::new(y))),
    }
}

fn overflow(span: Span) -> Diagnostic {
    let message = "the value of the expression is outside of 64 bits";
    Diagnostic::error("E0306", span, message)
}

/// `x + n`, with what is known added up.
pub(super) fn plus(x: Expr, n: i128) -> Expr {
    match (x, n) {
        (x, 0) => x,
        (Expr::Integer(x), n) => Expr::Integer(x + n),
        (x, n) => Expr::Binary(BinaryOp::Add, Box::new(x), Box::new(Expr::Integer(n))),
    }
}

/// `x - y`
pub(super) fn minus(x: Expr, y: Expr) -> Expr {
    match (x, y) {
        (x, Expr::Integer(0)) => x,
        (Expr::Integer(x), Expr::Integer(y)) => Expr::Integer(x - y),
        (x, y) => Expr::Binary(BinaryOp::Subtract, Box::new(x), Box::new(y)),
    }
}

/// The scalar that a discriminant is if nothing says what it is.
pub(super) fn default_switch(pidl: bool) -> Type {
    Type::Base(if pidl { Base::UInt1632 } else { Base::Long })
}
