//! Types, structs and the links of list nodes.

use super::names::Symbol;
use super::{DraftBody, Lower};
use crate::diag::Diagnostic;
use crate::model::{Field, ItemId, Struct, Type};
use crate::rpcl::ast::{Declaration, Shape, Specifier, Value};

/// What a type is behind its typedefs.
pub(super) enum Behind<'a> {
    /// A type with a keyword, perhaps by a name that C's headers give to it.
    Basic(Type),
    /// An enum, struct or union.
    Item(ItemId, DraftBody<'a>),
    /// An array, a string, something that is undefined.
    Other,
}

impl<'a> Lower<'a> {
    /// The type that a declaration declares.
    pub(super) fn ty(&mut self, declaration: &'a Declaration) -> Option<Type> {
        let element = match (&declaration.specifier, &declaration.shape) {
            (Specifier::Opaque, Shape::Fixed(n)) => return self.fixed(n).map(Type::OpaqueFixed),
            (Specifier::Opaque, Shape::Variable(n)) => {
                return self.bound(n.as_ref()).map(Type::OpaqueVar);
            }
            (Specifier::String, Shape::Variable(n)) => {
                return self.bound(n.as_ref()).map(Type::String);
            }
            (Specifier::Opaque, _) => return None,
            (Specifier::String, _) => Type::String(None),
            (Specifier::Basic(ty), _) => ty.clone(),
            (Specifier::Named(name), _) => self.named(name)?,
            _ => Type::Named(*self.nested.get(&std::ptr::from_ref(declaration))?),
        };
        match &declaration.shape {
            Shape::Plain => Some(self.chained(element)),
            Shape::Pointer => Some(self.pointer(element, declaration)),
            Shape::Fixed(n) => {
                let n = self.fixed(n)?;
                Some(Type::Array(Box::new(self.chained(element)), n))
            }
            Shape::Variable(n) => {
                let n = self.bound(n.as_ref())?;
                Some(Type::Vec(Box::new(self.chained(element)), n))
            }
        }
    }

    fn fixed(&mut self, value: &Value) -> Option<u32> {
        let n = self.unsigned(value, "the number of elements")?;
        if n == 0 {
            self.error(
                "E0403",
                value.span(),
                "the number of elements is 0, expected 1 or more",
            );
            return None;
        }
        Some(n)
    }

    /// The bound, if there is one; none at all if it is wrong.
    fn bound(&mut self, value: Option<&Value>) -> Option<Option<u32>> {
        let Some(value) = value else {
            return Some(None);
        };
        let n = self.unsigned(value, "the largest number of elements")?;
        if n == 0 {
            let warning =
                Diagnostic::warning("W0412", value.span(), "the bound is 0: always empty");
            self.diagnostics
                .push(warning.hint("without a number, `<>`, there is no bound"));
        }
        Some(Some(n))
    }

    /// A list node that stands by itself is a whole chain.
    fn chained(&self, ty: Type) -> Type {
        match ty {
            Type::Named(id) if self.links.contains_key(&id) => Type::Chain(id),
            other => other,
        }
    }

    fn pointer(&mut self, target: Type, declaration: &'a Declaration) -> Type {
        match self.behind(declaration) {
            Behind::Item(id, _) if self.links.contains_key(&id) => Type::List(id),
            _ => Type::Optional(Box::new(target)),
        }
    }

    /// What a declaration's type is behind its typedefs, whatever its own shape.
    pub(super) fn behind(&self, declaration: &'a Declaration) -> Behind<'a> {
        let mut declaration = declaration;
        while self.step() {
            let id = match &declaration.specifier {
                Specifier::Basic(ty) => return Behind::Basic(ty.clone()),
                Specifier::Named(name) => match self.symbol(&name.text) {
                    Some(Symbol::Type(id)) => Some(id),
                    Some(_) => None,
                    None => return self.behind_builtin(&name.text),
                },
                _ => self.nested.get(&std::ptr::from_ref(declaration)).copied(),
            };
            let Some((id, body)) = id.and_then(|id| Some((id, self.draft(id)?.body))) else {
                return Behind::Other;
            };
            match body {
                DraftBody::Typedef(target) if matches!(target.shape, Shape::Plain) => {
                    declaration = target;
                }
                DraftBody::Enum(_) | DraftBody::Struct(_) | DraftBody::Union(_) => {
                    return Behind::Item(id, body);
                }
                _ => return Behind::Other,
            }
        }
        Behind::Other
    }

    fn behind_builtin(&self, name: &str) -> Behind<'a> {
        super::names::builtin(name).map_or(Behind::Other, Behind::Basic)
    }

    /// Finds the structs whose last member is an optional pointer to themselves.
    pub(super) fn find_links(&mut self) {
        for id in self.ids() {
            let Some(DraftBody::Struct(members)) = self.draft(id).map(|draft| draft.body) else {
                continue;
            };
            let Some(last) = members.last() else { continue };
            if self.points_to(last) == Some(id) {
                let name = last
                    .name
                    .as_ref()
                    .map(|name| name.text.clone())
                    .unwrap_or_default();
                self.links.insert(id, name);
            }
        }
    }

    /// The struct that a declaration points to, itself or through a typedef, but once only.
    fn points_to(&self, declaration: &'a Declaration) -> Option<ItemId> {
        let mut declaration = declaration;
        while matches!(declaration.shape, Shape::Plain) && self.step() {
            let Specifier::Named(name) = &declaration.specifier else {
                return None;
            };
            let Some(Symbol::Type(id)) = self.symbol(&name.text) else {
                return None;
            };
            let DraftBody::Typedef(target) = self.draft(id)?.body else {
                return None;
            };
            declaration = target;
        }
        match (&declaration.shape, self.behind(declaration)) {
            (Shape::Pointer, Behind::Item(id, DraftBody::Struct(_))) => Some(id),
            _ => None,
        }
    }

    pub(super) fn lower_struct(
        &mut self,
        id: ItemId,
        members: &'a [Declaration],
    ) -> Option<Struct> {
        self.check_names(members.iter().filter_map(|member| member.name.as_ref()));
        let span = self.draft(id)?.span;
        if members.is_empty() {
            self.error("E0409", span, "the struct has no members");
        }
        let link = self.links.get(&id).cloned();
        let kept = members.len() - usize::from(link.is_some());
        let fields: Vec<Field> = members
            .iter()
            .take(kept)
            .filter_map(|member| self.field(member))
            .collect();
        (fields.len() == kept).then_some(Struct { fields, link })
    }

    /// A member, or an arm's value.
    pub(super) fn field(&mut self, declaration: &'a Declaration) -> Option<Field> {
        let Some(name) = &declaration.name else {
            self.error("E0405", declaration.span, "a member cannot be `void`");
            return None;
        };
        let ty = self.ty(declaration)?;
        let (name, docs) = (name.text.clone(), declaration.docs.clone());
        Some(Field {
            name,
            ty,
            docs,
            span: declaration.span,
        })
    }
}
