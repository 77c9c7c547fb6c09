//! Unions: the discriminant, the cases, the arms.

use std::collections::HashMap;

use super::types::Behind;
use super::{DraftBody, Lower};
use crate::diag::{Diagnostic, Span};
use crate::model::{Arm, Case, Discriminant, ItemId, Type, Union};
use crate::rpcl::ast::{self, Shape, UnionBody, Value};

/// What values a discriminant may have.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Domain {
    Int,
    UInt,
    Bool,
    Enum(ItemId),
}

impl<'a> Lower<'a> {
    pub(super) fn lower_union(&mut self, body: &'a UnionBody) -> Option<Union> {
        let declarations = body
            .arms
            .iter()
            .chain(&body.defaults)
            .map(|arm| &arm.declaration);
        let names = declarations.filter_map(|it| it.name.as_ref());
        self.check_names(body.discriminant.name.iter().chain(names));
        self.check_arm_count(body);
        let domain = self.domain(body);
        let ty = self.ty(&body.discriminant);
        let mut seen: HashMap<i64, Span> = HashMap::new();
        let mut arms = Vec::new();
        for arm in &body.arms {
            let cases = self.cases(arm, domain, &mut seen);
            arms.extend(self.arm(arm, cases));
        }
        let default = body
            .defaults
            .first()
            .and_then(|arm| self.arm(arm, Vec::new()));
        self.check_default(body, domain?, &seen);
        let name = body.discriminant.name.as_ref()?.text.clone();
        let whole = arms.len() == body.arms.len() && default.is_none() == body.defaults.is_empty();
        let discriminant = Discriminant { name, ty: ty? };
        whole.then_some(Union {
            discriminant,
            arms,
            default,
        })
    }

    fn check_arm_count(&mut self, body: &UnionBody) {
        if let [first, second, ..] = body.defaults.as_slice() {
            let error = Diagnostic::error("E0207", second.span, "the union has two default arms");
            self.diagnostics
                .push(error.label(first.span, "the first default arm"));
        }
        if body.arms.is_empty() {
            let error =
                Diagnostic::error("E0409", body.discriminant.span, "the union has no cases");
            self.diagnostics
                .push(error.hint("what is always there belongs into a struct"));
        }
    }

    fn domain(&mut self, body: &'a UnionBody) -> Option<Domain> {
        let declaration = &body.discriminant;
        let plain = matches!(declaration.shape, Shape::Plain);
        let domain = match self.behind(declaration) {
            _ if !plain => None,
            Behind::Basic(Type::Int) => Some(Domain::Int),
            Behind::Basic(Type::UInt) => Some(Domain::UInt),
            Behind::Basic(Type::Bool) => Some(Domain::Bool),
            Behind::Item(id, DraftBody::Enum(_)) => Some(Domain::Enum(id)),
            _ => None,
        };
        let undefined = matches!(&declaration.specifier,
            ast::Specifier::Named(name) if self.symbol(&name.text).is_none());
        if domain.is_none() && !undefined {
            let message = "the discriminant must be an int, an unsigned int, a bool or an enum";
            self.error("E0406", declaration.span, message);
        }
        domain
    }

    fn arm(&mut self, arm: &'a ast::Arm, cases: Vec<Case>) -> Option<Arm> {
        if cases.len() != arm.cases.len() {
            return None;
        }
        let field = match arm.declaration.is_void() {
            true => None,
            false => Some(self.field(&arm.declaration)?),
        };
        Some(Arm {
            cases,
            field,
            docs: arm.docs.clone(),
            span: arm.span,
        })
    }

    // req: rpcl-4506-4.15-cases
    fn cases(
        &mut self,
        arm: &ast::Arm,
        domain: Option<Domain>,
        seen: &mut HashMap<i64, Span>,
    ) -> Vec<Case> {
        let mut cases = Vec::new();
        for value in &arm.cases {
            let Some(case) = domain.and_then(|domain| self.case(value, domain)) else {
                continue;
            };
            if let Some(first) = seen.insert(case.value, case.span) {
                let message = match &case.name {
                    Some(name) => format!("case {name} is there twice"),
                    None => format!("case {} is there twice", case.value),
                };
                let error = Diagnostic::error("E0408", case.span, message);
                self.diagnostics.push(error.label(first, "the first time"));
            }
            cases.push(case);
        }
        cases
    }

    fn case(&mut self, value: &Value, domain: Domain) -> Option<Case> {
        let span = value.span();
        let written = match value {
            Value::Name(name) => Some(name.text.clone()),
            Value::Number { .. } => None,
        };
        let (value, name) = match domain {
            Domain::UInt => (i64::from(self.unsigned(value, "the case")?), written),
            Domain::Int => (i64::from(self.signed(value, "the case")?), written),
            Domain::Bool => self.bool_case(value)?,
            Domain::Enum(id) => self.enum_case(value, id)?,
        };
        Some(Case { value, name, span })
    }

    fn bool_case(&mut self, value: &Value) -> Option<(i64, Option<String>)> {
        match self.number(value)? {
            0 => Some((0, Some("FALSE".into()))),
            1 => Some((1, Some("TRUE".into()))),
            number => {
                let message = format!("case {number} is never reached: a bool is FALSE or TRUE");
                self.error("E0407", value.span(), message);
                None
            }
        }
    }

    fn enum_case(&mut self, value: &Value, id: ItemId) -> Option<(i64, Option<String>)> {
        let number = i64::from(self.signed(value, "the case")?);
        let names = self.enums.get(&id)?;
        if let Some(name) = names.get(&number) {
            return Some((number, Some(name.clone())));
        }
        let case = match value {
            Value::Name(name) => format!("{} ({number})", name.text),
            Value::Number { .. } => number.to_string(),
        };
        let (name, span) = self.draft(id).map(|it| (it.name.clone(), it.span))?;
        let message = format!("case {case} is never reached: it is no value of enum {name}");
        let error = Diagnostic::error("E0407", value.span(), message);
        self.diagnostics.push(error.label(span, "the enum"));
        None
    }

    /// Warns of a default arm that no value chooses.
    fn check_default(&mut self, body: &UnionBody, domain: Domain, seen: &HashMap<i64, Span>) {
        let Some(default) = body.defaults.first() else {
            return;
        };
        let all = match domain {
            Domain::Bool => 2,
            Domain::Enum(id) => self.enums.get(&id).map_or(usize::MAX, HashMap::len),
            Domain::Int | Domain::UInt => usize::MAX,
        };
        if seen.len() >= all {
            let message = "the default arm is never reached: the cases cover every value";
            self.diagnostics
                .push(Diagnostic::warning("W0411", default.span, message));
        }
    }
}
