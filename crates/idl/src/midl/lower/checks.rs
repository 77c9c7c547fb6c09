//! What can be seen of the whole only: what is needed, what contains itself, where conformant arrays stand.

use std::collections::HashSet;

use super::Lower;
use crate::diag::{Diagnostic, Span};
use crate::model::ndr::{Extent, Interface, ItemId, ItemKind, Operation, Struct, Switch, Type};

impl Lower<'_> {
    /// Makes all checks of the whole.
    pub(super) fn check(&mut self) {
        let repeated = self.compare_twice();
        let circles = self.circles();
        let unsound = self.spread_unsound(&circles);
        self.mark_used(&repeated, &unsound);
        self.check_operations(&unsound);
        self.check_conformance();
    }

    /// Items whose values would contain themselves without an end.
    fn circles(&mut self) -> HashSet<ItemId> {
        let count = self.items.len();
        // 0: not seen, 1: being looked into, 2: done.
        let mut state = vec![0_u8; count];
        let mut found = HashSet::new();
        for start in (0..).map(ItemId).take(count) {
            let mut stack = vec![(start, false)];
            while let Some((id, done)) = stack.pop() {
                let Some(slot) = state.get_mut(id.0 as usize) else {
                    continue;
                };
                if done {
                    *slot = 2;
                    continue;
                }
                match *slot {
                    0 => *slot = 1,
                    _ => continue,
                }
                stack.push((id, true));
                for inner in self.contained(id) {
                    match state.get(inner.0 as usize) {
                        Some(1) => {
                            found.insert(inner);
                        }
                        Some(0) => stack.push((inner, false)),
                        _ => {}
                    }
                }
            }
        }
        let mut list: Vec<ItemId> = found.iter().copied().collect();
        list.sort();
        for id in list {
            if let Some(item) = self.items.get(id.0 as usize) {
                let message = format!("`{}` contains itself, without a pointer between", item.name);
                let error = Diagnostic::error("E0311", item.span, message);
                self.diagnostics
                    .push(error.hint("make the inner one a pointer"));
            }
        }
        found
    }

    /// The items whose values lie directly inside values of an item.
    fn contained(&self, id: ItemId) -> Vec<ItemId> {
        let mut out = Vec::new();
        for ty in self.types_of(id) {
            directly(ty, &mut out);
        }
        out
    }

    /// The types that an item's definition is made of.
    fn types_of(&self, id: ItemId) -> Vec<&Type> {
        let Some(item) = self.items.get(id.0 as usize) else {
            return Vec::new();
        };
        match &item.kind {
            ItemKind::Struct(it) => it.fields.iter().map(|field| &field.ty).collect(),
            ItemKind::Union(it) => {
                let arms = it.arms.iter().filter_map(|arm| arm.field.as_ref());
                let arms = arms.map(|field| &field.ty);
                let switch = match &it.switch {
                    Switch::Encapsulated { ty, .. } | Switch::Separate { ty } => Some(ty),
                    Switch::Outside { ty } => ty.as_ref(),
                };
                switch.into_iter().chain(arms).collect()
            }
            ItemKind::Typedef(it) => vec![&it.ty],
            ItemKind::Pipe(ty) => vec![ty],
            ItemKind::Const { .. }
            | ItemKind::Enum(_)
            | ItemKind::Bitmap(_)
            | ItemKind::ContextHandle(_) => Vec::new(),
        }
    }

    /// Everything that an item names, at any depth of its own definition.
    fn references(&self, id: ItemId) -> Vec<ItemId> {
        let mut out = Vec::new();
        for ty in self.types_of(id) {
            all(ty, &mut out);
        }
        out
    }

    /// All items that cannot be on the wire, since something they need cannot.
    fn spread_unsound(&self, circles: &HashSet<ItemId>) -> HashSet<ItemId> {
        let count = self.items.len();
        let mut users: Vec<Vec<ItemId>> = vec![Vec::new(); count];
        for id in (0..).map(ItemId).take(count) {
            for inner in self.references(id) {
                if let Some(list) = users.get_mut(inner.0 as usize) {
                    list.push(id);
                }
            }
        }
        let mut unsound: HashSet<ItemId> = self.unsound.keys().chain(circles).copied().collect();
        let mut open: Vec<ItemId> = unsound.iter().copied().collect();
        while let Some(id) = open.pop() {
            for user in users.get(id.0 as usize).into_iter().flatten() {
                if unsound.insert(*user) {
                    open.push(*user);
                }
            }
        }
        unsound
    }

    /// Marks what the file that was asked for defines and needs.
    fn mark_used(&mut self, repeated: &HashSet<ItemId>, unsound: &HashSet<ItemId>) {
        let mut open: Vec<ItemId> = Vec::new();
        for (item, id) in self.items.iter().zip((0..).map(ItemId)) {
            if !item.imported && !repeated.contains(&id) {
                open.push(id);
            }
        }
        for operation in self.called() {
            for parameter in &operation.params {
                all(&parameter.ty, &mut open);
            }
            all(&operation.result, &mut open);
        }
        while let Some(id) = open.pop() {
            if unsound.contains(&id) {
                continue;
            }
            let Some(item) = self.items.get_mut(id.0 as usize) else {
                continue;
            };
            if !std::mem::replace(&mut item.used, true) {
                open.extend(self.references(id));
            }
        }
    }

    /// Reports operations that need what cannot be on the wire.
    fn check_operations(&mut self, unsound: &HashSet<ItemId>) {
        if self.lost {
            return;
        }
        let mut errors = Vec::new();
        for operation in self.called() {
            let parameters = operation.params.iter().map(|it| (&it.ty, it.span));
            let result = std::iter::once((&operation.result, operation.span));
            for (ty, span) in parameters.chain(result) {
                let mut named = Vec::new();
                all(ty, &mut named);
                if let Some(id) = named.into_iter().find(|id| unsound.contains(id)) {
                    errors.extend(self.refusal(id, span, unsound));
                }
            }
        }
        self.diagnostics.append(&mut errors);
    }

    /// The operations of the interfaces that the file defines, and those that they inherit.
    fn called(&self) -> Vec<&Operation> {
        let mut open: Vec<&Interface> = self.interfaces.iter().filter(|it| !it.imported).collect();
        let mut bases = HashSet::new();
        let mut operations = Vec::new();
        while let Some(interface) = open.pop() {
            operations.extend(interface.operations.iter().chain(&interface.callbacks));
            if let Some(base) = interface.base
                && bases.insert(base)
            {
                open.extend(
                    self.interfaces
                        .get(base.0 as usize)
                        .filter(|it| it.imported),
                );
            }
        }
        operations
    }

    /// Why something that needs an item cannot be on the wire.
    fn refusal(&self, id: ItemId, span: Span, unsound: &HashSet<ItemId>) -> Option<Diagnostic> {
        let mut seen = HashSet::new();
        let mut open = vec![id];
        while let Some(id) = open.pop() {
            if let Some(obstacle) = self.unsound.get(&id) {
                return Some(obstacle.clone().needed(span));
            }
            if seen.insert(id) {
                open.extend(
                    self.references(id)
                        .into_iter()
                        .filter(|it| unsound.contains(it)),
                );
            }
        }
        None
    }

    // A conformant array that is not the last field, with anything but pidl.
    fn check_conformance(&mut self) {
        let mut errors = Vec::new();
        for (item, id) in self.items.iter().zip((0..).map(ItemId)) {
            if self.draft(id).context.pidl || item.imported {
                continue;
            }
            match &item.kind {
                ItemKind::Struct(it) => {
                    for field in it.fields.iter().filter(|field| self.is_ragged(&field.ty)) {
                        errors.push(ragged(&field.name, field.span));
                    }
                    let last = it.fields.len().saturating_sub(1);
                    let early = it.fields.iter().take(last);
                    for field in early.filter(|field| self.is_conformant(&field.ty, 0)) {
                        let message = format!(
                            "`{}` has as many elements as a message says, and is not the last field",
                            field.name
                        );
                        let error = Diagnostic::error("E0411", field.span, message);
                        let hint = "move it to the end of the struct, or make it a pointer";
                        errors.push(error.hint(hint));
                    }
                }
                ItemKind::Union(it) => {
                    let fields = it.arms.iter().filter_map(|arm| arm.field.as_ref());
                    for field in fields.filter(|field| self.is_conformant(&field.ty, 0)) {
                        let message = format!(
                            "`{}` has as many elements as a message says, and is in a union",
                            field.name
                        );
                        let error = Diagnostic::error("E0411", field.span, message);
                        errors.push(error.hint("make it a pointer"));
                    }
                }
                _ => {}
            }
        }
        for (interface, body) in self.interfaces.iter().zip(&self.bodies) {
            let pidl = body.as_ref().is_some_and(|(_, context)| context.pidl);
            let params = interface.operations.iter().flat_map(|it| &it.params);
            let wanted = !pidl && !interface.imported;
            for param in params.filter(|it| wanted && self.is_ragged(&it.ty)) {
                errors.push(ragged(&param.name, param.span));
            }
        }
        self.diagnostics.append(&mut errors);
    }

    /// Whether there is an array whose elements begin with a maximum count, which have no place there.
    fn is_ragged(&self, ty: &Type) -> bool {
        match ty {
            Type::Array(it) => self.is_conformant(&it.element, 0),
            Type::Pointer(it) => self.is_ragged(&it.pointee),
            Type::Range(inner, ..) => self.is_ragged(inner),
            _ => false,
        }
    }

    /// Whether values of the type begin with a maximum count.
    fn is_conformant(&self, ty: &Type, depth: u32) -> bool {
        if depth > super::DEPTH {
            return false;
        }
        match ty {
            Type::Array(it) => it
                .dimensions
                .iter()
                .any(|it| matches!(it.extent, Extent::Conformant(_))),
            Type::String(it) => matches!(it.extent, Extent::Conformant(_)),
            Type::Range(inner, ..) => self.is_conformant(inner, depth),
            Type::Named(id) => match self.items.get(id.0 as usize).map(|it| &it.kind) {
                Some(ItemKind::Struct(Struct { fields, .. })) => fields
                    .last()
                    .is_some_and(|field| self.is_conformant(&field.ty, depth + 1)),
                Some(ItemKind::Typedef(it)) => self.is_conformant(&it.ty, depth + 1),
                _ => false,
            },
            _ => false,
        }
    }
}

fn ragged(name: &str, span: Span) -> Diagnostic {
    let message = format!("elements of `{name}` have as many elements as a message says");
    let error = Diagnostic::error("E0411", span, message);
    error.hint("make the elements pointers, or give them a size")
}

/// The items whose values lie directly inside values of the type.
fn directly(ty: &Type, out: &mut Vec<ItemId>) {
    match ty {
        Type::Named(id) | Type::Union(id, _) => out.push(*id),
        Type::Array(it) => directly(&it.element, out),
        Type::Range(inner, ..) => directly(inner, out),
        Type::Subcontext(it) => directly(&it.inner, out),
        _ => {}
    }
}

/// All items that the type names.
fn all(ty: &Type, out: &mut Vec<ItemId>) {
    match ty {
        Type::Named(id) | Type::Union(id, _) => out.push(*id),
        Type::Array(it) => all(&it.element, out),
        Type::Range(inner, ..) | Type::Pipe(inner) => all(inner, out),
        Type::Subcontext(it) => all(&it.inner, out),
        Type::Pointer(it) => all(&it.pointee, out),
        _ => {}
    }
}
