//! Lowers interfaces and their operations.

use std::collections::HashMap;

use farcall_wire::Uuid;

use super::expressions::{Entry, Scope};
use super::types::{Built, Position, Use};
use super::{Context, Lower};
use crate::diag::{Diagnostic, Span};
use crate::midl::ast::{self, Attributes, Declaration, Find, REST, Specifier, Statement};
use crate::model::ndr::{Handle, InterfaceId, Operation, Parameter, PointerClass, Type};

impl<'a> Lower<'a> {
    /// Lowers every interface.
    pub(super) fn lower_interfaces(&mut self) {
        let bodies = self.bodies.clone();
        for (body, id) in bodies.into_iter().zip((0..).map(InterfaceId)) {
            if let Some((it, context)) = body {
                self.lower_interface(id, it, context);
            }
        }
    }

    fn lower_interface(&mut self, id: InterfaceId, it: &'a ast::Interface, context: Context) {
        if !context.prelude {
            for attribute in &it.attributes {
                self.weigh(attribute);
            }
        }
        let uuid = self.uuid(&it.attributes);
        let version = self.version(&it.attributes);
        let endpoints = it.attributes.find("endpoint");
        let endpoints = endpoints.map_or(Vec::new(), |it| quoted(&it.raw));
        let base = self.base(it, id);
        let inherited = base.map_or(0, |base| self.slots(base, it.name.span));
        let object = it.attributes.has("object");
        let local = it.local || it.attributes.has("local");
        let help = it
            .attributes
            .find("helpstring")
            .map_or(Vec::new(), |it| quoted(&it.raw));
        let (operations, callbacks) = self.operations(it, context, inherited, object, local);
        if uuid.is_none() && !local && !operations.is_empty() && !context.imported {
            let message = format!("interface `{}` has operations, but no uuid", it.name.text);
            let warning = Diagnostic::warning("W0504", it.name.span, message);
            self.diagnostics.push(warning.hint("nobody can bind to it"));
        }
        let Some(interface) = self.interfaces.get_mut(id.0 as usize) else {
            return;
        };
        interface.uuid = uuid;
        interface.version = version;
        interface.endpoints = endpoints;
        interface.object = object;
        interface.local = local;
        interface.base = base;
        interface.inherited = inherited;
        interface.operations = operations;
        interface.callbacks = callbacks;
        interface.help = help.join("");
    }

    fn uuid(&mut self, attributes: &Attributes) -> Option<Uuid> {
        let attribute = attributes.find("uuid")?;
        let text: String = attribute
            .raw
            .chars()
            .filter(|c| !c.is_whitespace())
            .collect();
        let mut text = text.trim_matches(['"', '{', '}']).to_owned();
        if self.pidl && text.matches('-').count() == 4 {
            // Identities that never are on the wire, and are shorter.
            while text.len() < 36 {
                text.push('0');
            }
        }
        match text.parse() {
            Ok(uuid) => Some(uuid),
            Err(_) => {
                let message = format!("`{text}` is no UUID");
                let error = Diagnostic::error("E0502", attribute.span, message);
                let hint = "write it as 12345678-1234-1234-1234-123456789abc";
                self.diagnostics.push(error.hint(hint));
                None
            }
        }
    }

    fn version(&mut self, attributes: &Attributes) -> (u16, u16) {
        let Some(attribute) = attributes.find("version") else {
            return (0, 0);
        };
        let raw = attribute.raw.trim().trim_matches('"');
        let (major, minor) = raw.split_once('.').unwrap_or((raw, "0"));
        let number = |text: &str| {
            let value = crate::preprocess::expression::unsigned(text.trim());
            value.and_then(|it| u16::try_from(it).ok())
        };
        // A version in one number, as pidl's files have it: the minor is the high half.
        if !raw.contains('.')
            && let Some(whole) = crate::preprocess::expression::unsigned(raw)
            && let Ok(whole) = u32::try_from(whole)
        {
            return ((whole & 0xffff) as u16, (whole >> 16) as u16);
        }
        match (number(major), number(minor)) {
            (Some(major), Some(minor)) => (major, minor),
            _ => {
                let message = format!("`{raw}` is no version");
                let error = Diagnostic::error("E0502", attribute.span, message);
                self.diagnostics
                    .push(error.hint("write it as 1.0, each part within 65535"));
                (0, 0)
            }
        }
    }

    fn base(&mut self, it: &'a ast::Interface, id: InterfaceId) -> Option<InterfaceId> {
        let name = it.base.as_ref()?;
        match self.interface_names.get(&name.text).copied() {
            Some(base) if base == id => {
                self.error("E0503", name.span, "an interface cannot be its own base");
                None
            }
            Some(base) => Some(base),
            None => {
                self.undefined("E0302", "interface", &name.text, name.span);
                None
            }
        }
    }

    /// How many operations an interface has, those of its bases included.
    fn slots(&mut self, id: InterfaceId, span: Span) -> u16 {
        if let Some(known) = self.slots.get(&id) {
            return *known;
        }
        let Some(Some((it, _))) = self.bodies.get(id.0 as usize).cloned() else {
            return 0;
        };
        let object = it.attributes.has("object");
        let local = it.local || it.attributes.has("local");
        let own = it
            .body
            .iter()
            .flatten()
            .filter(|statement| match statement {
                Statement::Operation(it) => {
                    let is_local = it.attributes.has("local");
                    let is_remote = it.attributes.has("call_as");
                    !it.attributes.has("callback")
                        && !it.attributes.has("noopnum")
                        && (object && !is_remote || !object && (local || !is_local))
                }
                _ => false,
            });
        let own = own.count();
        let base = self.base(it, id);
        let inherited = base.map(|base| self.deeper(span, |lower| lower.slots(base, span)));
        let inherited = inherited.flatten().unwrap_or(0);
        let own = u16::try_from(own).unwrap_or(u16::MAX);
        let all = own.saturating_add(inherited);
        self.slots.insert(id, all);
        all
    }

    fn operations(
        &mut self,
        it: &'a ast::Interface,
        context: Context,
        inherited: u16,
        object: bool,
        local: bool,
    ) -> (Vec<Operation>, Vec<Operation>) {
        let mut lists = (Vec::new(), Vec::new());
        let (mut next, mut next_callback) = (inherited, 0_u16);
        // req: idl-midl-objects
        // In interfaces of objects, a local method has a number, which the method in its place has on the wire.
        let mut places: HashMap<&str, u16> = HashMap::new();
        let statements = it.body.iter().flatten();
        for statement in statements {
            let Statement::Operation(operation) = statement else {
                continue;
            };
            if !context.prelude {
                for attribute in &operation.attributes {
                    self.weigh(attribute);
                }
            }
            let attributes = &operation.attributes;
            let call_as = attributes.find("call_as").map(|it| it.raw.as_str());
            if local || attributes.has("noopnum") {
                continue;
            }
            if attributes.has("local") {
                if object {
                    places.insert(&operation.name.text, next);
                    next = next.saturating_add(1);
                }
                continue;
            }
            let callback = attributes.has("callback");
            if callback && !context.imported && !context.prelude {
                let message = format!(
                    "`{}` is a callback, a request that a server sends back while it answers one (MS-RPCE 3.3.1.5.9): no code is made for it",
                    operation.name.text
                );
                let warning = Diagnostic::warning("W0419", operation.name.span, message);
                self.diagnostics.push(warning.hint(
                    "write it into an interface of its own, which the client serves and the server calls",
                ));
            }
            let taken = call_as
                .filter(|_| object)
                .and_then(|name| places.get(name).copied());
            let counter = if callback {
                &mut next_callback
            } else {
                &mut next
            };
            let opnum = taken.unwrap_or(*counter);
            if taken.is_none() {
                if *counter == u16::MAX {
                    self.error("E0504", operation.name.span, "over 65535 operations");
                    break;
                }
                *counter += 1;
            }
            let lowered = self.operation(operation, opnum, it, context);
            match callback {
                true => lists.1.push(lowered),
                false => lists.0.push(lowered),
            }
        }
        self.refuse_same_operations(&lists.0);
        lists
    }

    fn refuse_same_operations(&mut self, operations: &[Operation]) {
        let mut seen: HashMap<&str, Span> = HashMap::new();
        let mut errors = Vec::new();
        for operation in operations {
            if let Some(first) = seen.insert(&operation.name, operation.span) {
                let message = format!("operation `{}` is there twice", operation.name);
                let error = Diagnostic::error("E0305", operation.span, message);
                errors.push(error.label(first, "first defined here"));
            }
        }
        self.diagnostics.append(&mut errors);
    }

    fn operation(
        &mut self,
        it: &'a ast::Operation,
        opnum: u16,
        interface: &'a ast::Interface,
        context: Context,
    ) -> Operation {
        let has = |name: &str| it.attributes.has(name);
        let inherits = |name: &str| has(name) || interface.attributes.has(name);
        let unknown = has("todo");
        let mut handle = None;
        let params = self.parameters(it, context, unknown, &mut handle);
        self.obstacle = None;
        let result = match unknown {
            true => Type::Void,
            // `[string, unique] char *f(…)`: what is said of the operation is said of its result.
            false => {
                let built = self.build(Use {
                    attributes: &it.attributes,
                    specifier: &it.result.specifier,
                    modifiers: &it.result.modifiers,
                    span: it.result.span,
                    position: Position::Result,
                    scope: Scope::None,
                    context,
                    flags: &[],
                });
                built.ty
            }
        };
        self.refuse_obstacle(context, it.result.span);
        let handle = handle
            .or_else(|| self.context_parameter(&params))
            .unwrap_or_else(|| default_handle(&it.attributes, &interface.attributes));
        let (encode, decode) = (inherits("encode"), inherits("decode"));
        let result = match encode || decode {
            true => self.without_result(it, result),
            false => result,
        };
        let operation = Operation {
            opnum,
            name: operation_name(it),
            params,
            result,
            idempotent: has("idempotent"),
            broadcast: has("broadcast"),
            maybe: has("maybe"),
            message: has("message"),
            asynchronous: inherits("async"),
            call_as: it.attributes.find("call_as").map(|it| it.raw.clone()),
            handle,
            comm_status: has("comm_status"),
            fault_status: has("fault_status"),
            encode,
            decode,
            object: interface.attributes.has("object"),
            unknown,
            docs: it.docs.clone(),
            span: it.name.span,
        };
        let replies = operation.result != Type::Void || operation.params.iter().any(|it| it.is_out);
        if (operation.maybe || operation.message) && replies {
            let message = "an operation without a reply has no results";
            let error = Diagnostic::error("E0409", it.name.span, message);
            let hint = "take `maybe` or `message` away, or the [out] parameters and the result";
            self.diagnostics.push(error.hint(hint));
        }
        operation
    }

    /// What is serialized has parameters only: a result is the status of the serialization itself.
    fn without_result(&mut self, it: &ast::Operation, result: Type) -> Type {
        let status = it.attributes.has("comm_status") || it.attributes.has("fault_status");
        if result != Type::Void && !status {
            let message = format!(
                "the result of `{}` is not serialized: with `encode` and `decode` its parameters are",
                it.name.text
            );
            self.warning("W0420", it.name.span, message);
        }
        Type::Void
    }

    /// Reports what cannot be on the wire in what was just lowered.
    fn refuse_obstacle(&mut self, context: Context, span: Span) {
        let Some(obstacle) = self.obstacle.take() else {
            return;
        };
        if !context.imported && !self.lost {
            self.diagnostics.push(obstacle.needed(span));
        }
    }

    fn parameters(
        &mut self,
        it: &'a ast::Operation,
        context: Context,
        unknown: bool,
        handle: &mut Option<Handle>,
    ) -> Vec<Parameter> {
        let mut entries: Vec<Entry<'a>> = Vec::new();
        for declaration in &it.parameters {
            let Some(declarator) = declaration.declarators.first() else {
                continue;
            };
            let name = declarator
                .name
                .as_ref()
                .map_or("", |name| name.text.as_str());
            if is_async_state(declaration) {
                continue;
            }
            if name == REST {
                let message = "arguments without types cannot be on the wire";
                let error = Diagnostic::error("E0410", declarator.span, message);
                self.diagnostics
                    .push(error.hint("only a [local] function has `...`"));
                continue;
            }
            if self.is_binding(declaration, declarator, context) {
                handle.get_or_insert_with(|| Handle::Explicit(name.to_owned()));
                continue;
            }
            entries.push(Entry {
                name,
                declaration,
                declarator,
                index: entries.len(),
            });
        }
        if unknown {
            return Vec::new();
        }
        let mut seen: HashMap<&str, Span> = HashMap::new();
        for entry in &entries {
            let first = seen.insert(entry.name, entry.declarator.span);
            if let Some(first) = first.filter(|_| !entry.name.is_empty()) {
                let message = format!("parameter `{}` is there twice", entry.name);
                let error = Diagnostic::error("E0305", entry.declarator.span, message);
                self.diagnostics
                    .push(error.label(first, "first defined here"));
            }
        }
        let mut params = Vec::with_capacity(entries.len());
        for entry in &entries {
            let (param, built) = self.parameter(entry, &entries, context);
            if built.handle && param.is_in && handle.is_none() {
                *handle = Some(Handle::Custom(entry.index));
            }
            params.push(param);
        }
        params
    }

    /// Whether the parameter is a `handle_t`.
    fn is_binding(
        &mut self,
        declaration: &'a Declaration,
        declarator: &'a ast::Declarator,
        context: Context,
    ) -> bool {
        let flat = self.flatten(&declaration.specifier, &declarator.modifiers, None, context);
        matches!(flat.core, super::flatten::Core::HandleT)
    }

    fn parameter(
        &mut self,
        entry: &Entry<'a>,
        entries: &[Entry<'a>],
        context: Context,
    ) -> (Parameter, Built) {
        let attributes = entry.declaration.attributes.as_slice();
        for attribute in attributes {
            self.weigh(attribute);
        }
        self.obstacle = None;
        let built = self.build(Use {
            attributes,
            specifier: &entry.declaration.specifier,
            modifiers: &entry.declarator.modifiers,
            span: entry.declarator.span,
            position: Position::Parameter,
            scope: Scope::Parameters(entries),
            context,
            flags: &[],
        });
        self.refuse_obstacle(context, entry.declarator.span);
        let is_out = attributes.has("out");
        let is_in = attributes.has("in") || !is_out;
        if is_out && !context.pidl && !self.is_reference(&built.ty) {
            let message = format!("[out] parameter `{}` is no pointer", entry.name);
            let error = Diagnostic::error("E0408", entry.declarator.span, message);
            let hint = "nothing can be written to a value: make it a pointer or an array";
            self.diagnostics.push(error.hint(hint));
        }
        let value = attributes.find("value");
        let value = value.and_then(|it| it.arguments.first()?.as_ref());
        let value = value.map(|expr| self.resolve(expr, Scope::Parameters(entries), context));
        let names = super::items::flag_names(attributes.iter());
        let name = match entry.name.is_empty() {
            true => format!("param{}", entry.index),
            false => entry.name.to_owned(),
        };
        let parameter = Parameter {
            name,
            ty: built.ty.clone(),
            is_in,
            is_out,
            value,
            flags: super::items::flags(&names, false),
            hidden: attributes.has("noprint")
                || names.iter().any(|it| it == "IS_SECRET" || it == "SECRET"),
            comm_status: attributes.has("comm_status"),
            fault_status: attributes.has("fault_status"),
            retval: attributes.has("retval"),
            optional: attributes.has("optional"),
            docs: entry.declaration.docs.clone(),
            span: entry.declarator.span,
        };
        (parameter, built)
    }

    /// Whether results can be written to a parameter of this type.
    fn is_reference(&self, ty: &Type) -> bool {
        match ty {
            Type::Range(inner, ..) => self.is_reference(inner),
            Type::Pointer(_) | Type::Array(_) | Type::String(_) | Type::Pipe(_) | Type::Absent => {
                true
            }
            Type::Named(id) => match self.items.get(id.0 as usize).map(|it| &it.kind) {
                Some(crate::model::ndr::ItemKind::Pipe(_)) => true,
                Some(crate::model::ndr::ItemKind::Typedef(it)) => {
                    it.conversion.is_some() || self.is_reference(&it.ty)
                }
                _ => false,
            },
            _ => false,
        }
    }

    /// The first [in] parameter that is a context handle.
    fn context_parameter(&self, params: &[Parameter]) -> Option<Handle> {
        let at = params
            .iter()
            .position(|it| it.is_in && self.is_context(&it.ty));
        at.map(Handle::Context)
    }

    fn is_context(&self, ty: &Type) -> bool {
        match ty {
            Type::ContextHandle => true,
            Type::Pointer(it) if it.class == PointerClass::Ref => self.is_context(&it.pointee),
            Type::Named(id) => matches!(
                self.items.get(id.0 as usize).map(|it| &it.kind),
                Some(crate::model::ndr::ItemKind::ContextHandle(_))
            ),
            _ => false,
        }
    }
}

// req: idl-c706-4.2.16-handles
/// What the ACF says of bindings.
fn default_handle(operation: &Attributes, interface: &Attributes) -> Handle {
    let find = |name: &str| operation.find(name).or_else(|| interface.find(name));
    if find("explicit_handle").is_some() {
        return Handle::Explicit("handle".into());
    }
    if let Some(implicit) = find("implicit_handle") {
        let name = implicit.raw.split_whitespace().last().unwrap_or("handle");
        return Handle::Implicit(name.trim_start_matches('*').to_owned());
    }
    Handle::Auto
}

/// The state of an asynchronous call is the caller's own affair.
fn is_async_state(declaration: &Declaration) -> bool {
    match &declaration.specifier {
        Specifier::Named(name) => {
            matches!(name.text.as_str(), "PRPC_ASYNC_STATE" | "RPC_ASYNC_STATE")
        }
        _ => false,
    }
}

/// Properties have names of their own.
fn operation_name(it: &ast::Operation) -> String {
    let name = &it.name.text;
    match () {
        () if it.attributes.has("propget") => format!("get_{name}"),
        () if it.attributes.has("propput") => format!("put_{name}"),
        () if it.attributes.has("propputref") => format!("putref_{name}"),
        () => name.clone(),
    }
}

/// The strings in the text of an attribute.
fn quoted(raw: &str) -> Vec<String> {
    let lexed = crate::midl::lexer::lex(raw);
    let texts = lexed
        .lexemes
        .iter()
        .filter(|it| it.token == crate::midl::lexer::Token::Text);
    let texts = texts.filter_map(|it| raw.get(it.range.clone()));
    texts.map(crate::midl::parser::unquoted).collect()
}
