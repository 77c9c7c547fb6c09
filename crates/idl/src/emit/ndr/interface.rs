//! An interface's module: its description, its operations with their Rust names, and the codec of
//! each operation's two messages.
//!
//! Read first: C706 section 14.1 (the order of parameters in a message): the parameters that go,
//! pipes last; in the answer pipes first, then the parameters that come back, then the result.

use std::cell::RefCell;

use proc_macro2::{Ident, Literal, TokenStream};
use quote::quote;

use crate::model::ndr::{Interface, InterfaceId, ItemKind, Operation, Parameter, Place, Type};

use super::super::names::{self, Scope};
use super::super::text::{Docs, ident, len};
use super::expr::{Env, Found, parameter_of};
use super::plan::{Plan, acts, passed};
use super::shape::Site;
use super::types::uuid;

/// Where code of an interface's module stands.
pub(crate) const INTERFACE: Site<'static> = Site::below(1);

/// Where its codecs stand.
const CODEC: Site<'static> = Site::below(2);

/// Names inside an interface's module that no argument or method takes.
const TAKEN: &[&str] = &[
    "call",
    "clone",
    "codec",
    "connect",
    "connect_with",
    "from",
    "in_process",
    "interface",
    "into",
    "it",
    "known",
    "ndr",
    "r",
    "reply",
    "result",
    "self",
    "service",
    "w",
];

/// An operation, named for Rust.
pub(crate) struct Method<'m> {
    pub(crate) operation: &'m Operation,
    pub(crate) name: String,
    /// The name of the struct of its results, if it has more than one.
    pub(crate) results: String,
    /// The parameters' names.
    args: Vec<String>,
    /// Places of in-parameters that the answer's expressions name, in the order of `known`.
    known: Vec<Place>,
}

/// How much of a message a codec is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Part {
    /// All of it.
    Whole,
    /// All but the pipes.
    Beside,
}

impl Part {
    /// What the names of its codecs end in.
    fn suffix(self) -> &'static str {
        match self {
            Self::Whole => "",
            Self::Beside => "_beside",
        }
    }
}

/// One of what an operation gives back.
pub(crate) struct Output<'m> {
    pub(crate) name: String,
    pub(crate) ty: &'m Type,
    /// The parameter; `None` is the result.
    pub(crate) parameter: Option<(usize, &'m Parameter)>,
}

impl<'m> Method<'m> {
    /// The Rust name of each parameter that goes, with the parameter.
    pub(crate) fn inputs(&self) -> impl Iterator<Item = (usize, &'m Parameter, Ident)> {
        let params = self.operation.params.iter().enumerate();
        let params = params.filter(|(_, parameter)| parameter.is_in);
        params.map(|(i, parameter)| (i, parameter, ident(&self.args[i])))
    }

    /// All parameters with their names.
    pub(crate) fn parameters(&self) -> impl Iterator<Item = (&'m Parameter, String)> {
        let names = self.args.iter().cloned();
        self.operation.params.iter().zip(names)
    }

    /// A name like this one that no parameter has.
    pub(crate) fn beside(&self, name: &str, behind: &str) -> Ident {
        let bare = name.strip_prefix("r#").unwrap_or(name);
        let mut scope = Scope::new(TAKEN);
        scope.claim_all(&self.args);
        ident(&scope.claim(&format!("{bare}{behind}")))
    }

    /// What it gives back, in Rust's order: parameters as declared, then the result.
    pub(crate) fn outputs(&self) -> Vec<Output<'m>> {
        let params = self.operation.params.iter().enumerate();
        let params = params.filter(|(_, parameter)| parameter.is_out);
        let mut outputs: Vec<Output<'m>> = params
            .map(|(i, parameter)| Output {
                name: self.args[i].clone(),
                ty: passed(parameter),
                parameter: Some((i, parameter)),
            })
            .collect();
        if self.operation.result != Type::Void {
            let mut scope = Scope::default();
            let taken: Vec<String> = outputs.iter().map(|it| it.name.clone()).collect();
            scope.claim_all(&taken);
            outputs.push(Output {
                name: scope.claim("result"),
                ty: &self.operation.result,
                parameter: None,
            });
        }
        outputs
    }

    pub(crate) fn docs(&self) -> Docs {
        let docs = Docs::of(&self.operation.docs).renamed(&self.operation.name, &self.name);
        match &self.operation.call_as {
            Some(local) => docs.note(format!("In the interface, programs call it as `{local}`.")),
            None => docs,
        }
    }

    pub(crate) fn number(&self) -> Literal {
        len(self.operation.opnum.into())
    }

    /// A name with `put_` or the like in front, as codecs have it.
    pub(crate) fn codec(&self, before: &str, behind: &str) -> Ident {
        let bare = self.name.strip_prefix("r#").unwrap_or(&self.name);
        // Behind the underscore that keeps it from a name of ours there is another one.
        let bare = match bare.strip_suffix('_') {
            Some(taken) if TAKEN.contains(&taken) && !behind.is_empty() => taken,
            _ => bare,
        };
        ident(&format!("{before}{bare}{behind}"))
    }
}

impl<'m> Plan<'m> {
    /// The modules of all interfaces that have operations on the wire.
    pub(crate) fn interfaces(&'m self) -> TokenStream {
        let interfaces = self.defs.interfaces();
        let called = interfaces.filter(|(_, it)| !it.imported && !it.local && it.uuid.is_some());
        let modules = called.map(|(id, it)| self.interface(id, it));
        quote!(#(#modules)*)
    }

    fn interface(&'m self, id: InterfaceId, it: &'m Interface) -> TokenStream {
        let (methods, pickled): (Vec<_>, Vec<_>) = self
            .methods(id)
            .into_iter()
            .partition(|method| is_called(method.operation));
        let module = ident(self.module(id));
        let (major, minor) = it.version;
        let text = format!("Interface {}, version {major}.{minor}.", it.name);
        let docs = Docs::of(&it.docs).line(text);
        // Where all is serialized there is nobody to call.
        let calls = !methods.is_empty() || pickled.is_empty();
        let (has_client, has_server) = (
            calls && !self.config.no_client,
            calls && !self.config.no_server,
        );
        let called = has_client || has_server;
        let description = called.then(|| self.description(it, &methods));
        let all = methods.iter().chain(&pickled);
        let results = all.map(|method| self.results(method));
        let server = has_server.then(|| self.server(&methods));
        let client = has_client.then(|| self.client(&methods));
        let codecs = methods.iter().map(|method| self.codecs(method));
        let serialized = pickled.iter().map(|method| self.pickled_codecs(method));
        let codecs = codecs.chain(serialized);
        let pickles = self.pickled_operations(it, &pickled);
        let transcode = self.config.transcoders.then(|| self.transcode(&methods));
        quote! {
            #docs
            #[allow(dead_code, missing_docs)]
            #[allow(clippy::module_inception, clippy::redundant_closure)]
            pub mod #module {
                #[allow(unused_imports)]
                use ::farcall_wire::ndr::{self, Int as _};

                #description
                #(#results)*
                #server
                #client

                /// The messages of each operation: what goes, and what comes back.
                #[allow(clippy::ptr_arg, clippy::ref_option, clippy::too_many_arguments)]
                #[allow(clippy::trivially_copy_pass_by_ref, unused_variables)]
                pub mod codec {
                    #[allow(unused_imports)]
                    use ::farcall_wire::{
                        At as _,
                        ndr::{self, Int as _, Shape as _, Value as _},
                    };

                    #(#codecs)*
                    #transcode
                }

                #pickles
            }
        }
    }

    /// The constant that describes an interface.
    fn description(&'m self, it: &Interface, methods: &[Method<'m>]) -> TokenStream {
        let uuid = uuid(it.uuid.unwrap_or_default());
        let (major, minor) = (len(it.version.0.into()), len(it.version.1.into()));
        let (name, endpoints) = (&it.name, &it.endpoints);
        let operations = methods.iter().map(|method| {
            let operation = method.operation;
            let (number, name) = (method.number(), &operation.name);
            let idempotent = operation.idempotent.then(|| quote!(.idempotent()));
            let broadcast = operation.broadcast.then(|| quote!(.broadcast()));
            let maybe = (operation.maybe || operation.message).then(|| quote!(.maybe()));
            let pipes = self.counted(method);
            quote!(::farcall::stub::Operation::new(#number, #name) #idempotent #broadcast #maybe #pipes,)
        });
        quote! {
            /// What the interface file says of it: its identity, its version, its operations.
            pub static INTERFACE: ::farcall::stub::Interface = ::farcall::stub::Interface {
                uuid: #uuid,
                major: #major,
                minor: #minor,
                name: #name,
                operations: &[#(#operations)*],
                endpoints: &[#(#endpoints),*],
            };
        }
    }

    /// Whether the operation is to be generated.
    fn is_wanted(&self, operation: &Operation) -> bool {
        let wanted = &self.config.operations;
        wanted.is_empty() || wanted.contains(&operation.name)
    }

    /// The operations of an interface, those of its bases included, with their names.
    fn methods(&self, id: InterfaceId) -> Vec<Method<'m>> {
        let mut operations: Vec<&'m Operation> = Vec::new();
        let mut next = Some(id);
        let mut bases = 0;
        while let Some(id) = next
            && bases < 64
        {
            let it = self.defs.interface(id);
            operations.extend(it.operations.iter().filter(|it| !it.unknown));
            (next, bases) = (it.base, bases + 1);
        }
        // A derived interface comes first, so what it has under a number of its base stays.
        operations.sort_by_key(|operation| operation.opnum);
        operations.dedup_by_key(|operation| operation.opnum);
        let originals: Vec<&str> = operations.iter().map(|it| self.shown_name(it)).collect();
        let prefix = match self.config.whole_names {
            true => "",
            false => names::common_prefix(&originals),
        };
        let wanted: Vec<String> = originals
            .iter()
            .map(|name| names::snake(name.get(prefix.len()..).unwrap_or("")))
            .collect();
        let given = Scope::new(TAKEN).claim_all(&wanted);
        let wanted: Vec<String> = originals
            .iter()
            .map(|name| names::camel(name.get(prefix.len()..).unwrap_or("")) + "Out")
            .collect();
        let results = Scope::new(&[]).claim_all(&wanted);
        let named = operations.into_iter().zip(given.into_iter().zip(results));
        named
            .filter(|(operation, _)| self.is_wanted(operation))
            .map(|(operation, (name, results))| {
                let mut method = Method {
                    operation,
                    name,
                    results,
                    args: argument_names(operation),
                    known: Vec::new(),
                };
                method.known = self.known(&method);
                method
            })
            .collect()
    }

    /// What an operation gives back, or that of it which is no pipe.
    fn outputs_of(&self, method: &Method<'m>, part: Part) -> Vec<Output<'m>> {
        let mut outputs = method.outputs();
        outputs.retain(|it| part == Part::Whole || !self.is_pipe(it.ty));
        outputs
    }

    /// The Rust type of what an operation gives back, or of that which is no pipe.
    pub(crate) fn output_of(&self, method: &Method<'m>, site: Site<'_>, part: Part) -> TokenStream {
        match &self.outputs_of(method, part)[..] {
            [] => quote!(()),
            [one] => self.lone_type(one.ty, site),
            _ => {
                let name = self.results_name(method, part);
                match site.depth {
                    1 => quote!(#name),
                    _ => quote!(super::#name),
                }
            }
        }
    }

    /// The name of the struct of an operation's results: the plain one is for whoever calls it.
    fn results_name(&self, method: &Method<'m>, part: Part) -> Ident {
        match (part, self.is_streamed(method)) {
            (Part::Whole, true) => ident(&format!("{}Whole", method.results)),
            _ => ident(&method.results),
        }
    }

    /// The struct of an operation's results, if there are several.
    fn results(&self, method: &Method<'m>) -> TokenStream {
        let whole = self.results_of(method, Part::Whole);
        let beside = self
            .is_streamed(method)
            .then(|| self.results_of(method, Part::Beside));
        quote!(#whole #beside)
    }

    fn results_of(&self, method: &Method<'m>, part: Part) -> TokenStream {
        let outputs = self.outputs_of(method, part);
        if outputs.len() < 2 {
            return TokenStream::new();
        }
        let name = self.results_name(method, part);
        let text = match part {
            Part::Whole => format!(" What `{}` gives back.", method.operation.name),
            Part::Beside => format!(
                " What `{}` gives back beside its pipes.",
                method.operation.name
            ),
        };
        let fields = outputs.iter().map(|output| {
            let docs = match output.parameter {
                Some((_, parameter)) => {
                    Docs::of(&parameter.docs).renamed(&parameter.name, &output.name)
                }
                None => Docs::of("The result."),
            };
            let (name, ty) = (ident(&output.name), self.lone_type(output.ty, INTERFACE));
            quote!(#docs pub #name: #ty,)
        });
        quote! {
            #[doc = #text]
            #[derive(Clone, Debug, Default, PartialEq)]
            pub struct #name { #(#fields)* }
        }
    }

    /// What an argument is for a caller: by value if it is `Copy`, else by reference.
    pub(crate) fn argument(&self, ty: &Type, site: Site<'_>) -> TokenStream {
        let whole = self.lone_type(ty, site);
        match self.is_passed_by_value(ty) {
            true => whole,
            false => quote!(&#whole),
        }
    }

    pub(crate) fn is_passed_by_value(&self, ty: &Type) -> bool {
        match self.behind(ty) {
            Type::Base(_) | Type::Void | Type::ContextHandle => true,
            Type::Range(inner, ..) => self.is_passed_by_value(inner),
            Type::Named(id) => {
                let kind = &self.defs.item(*id).kind;
                matches!(
                    kind,
                    ItemKind::Enum(_) | ItemKind::Bitmap(_) | ItemKind::ContextHandle(_)
                ) || self.is_copy(*id)
            }
            _ => false,
        }
    }

    /// The four functions of an operation.
    fn codecs(&self, method: &Method<'m>) -> TokenStream {
        let whole = self.codecs_of(method, Part::Whole);
        let beside = self
            .is_streamed(method)
            .then(|| self.codecs_of(method, Part::Beside));
        quote!(#whole #beside)
    }

    fn codecs_of(&self, method: &Method<'m>, part: Part) -> TokenStream {
        let (put, take) = (
            self.put_request(method, part),
            self.take_request(method, part),
        );
        let put_reply = self.put_reply(method, part);
        let take_reply = self.take_reply(method, part);
        quote!(#put #take #put_reply #take_reply)
    }

    /// Whether pipes of the operation come and go as streams: somebody calls it or serves it.
    fn is_streamed(&self, method: &Method<'m>) -> bool {
        self.has_pipes(method) && !(self.config.no_client && self.config.no_server)
    }

    /// The function that reads any message and writes it again.
    fn transcode(&self, methods: &[Method<'m>]) -> TokenStream {
        let arms = methods.iter().map(|method| {
            let number = method.number();
            let (take, put) = (method.codec("take_", ""), method.codec("put_", ""));
            let take_reply = method.codec("take_", "_reply");
            let put_reply = method.codec("put_", "_reply");
            let names: Vec<_> = method.inputs().map(|(_, _, name)| name).collect();
            let taken = match &names[..] {
                [] => quote!(#take(r)?;),
                [one] => quote!(let #one = #take(r)?;),
                _ => quote!(let (#(#names),*) = #take(r)?;),
            };
            let passed = method.inputs().map(|(_, parameter, name)| {
                match self.is_passed_by_value(passed(parameter)) {
                    true => quote!(#name),
                    false => quote!(&#name),
                }
            });
            let known = self.known_values(method);
            quote! {
                (#number, false) => {
                    #taken
                    let known: Vec<i64> = #known.into();
                    Ok(#put(w, #(#passed),*).map(|()| known))
                }
                (#number, true) => {
                    let it = #take_reply(r)?;
                    Ok(#put_reply(w, r.known(), &it).map(|()| Vec::new()))
                }
            }
        });
        quote! {
            /// Reads a message of the operation with this number, a request or a reply, and
            /// writes it again. Of a request it gives what [`ndr::Reader::known`] answers when
            /// the reply is read.
            ///
            /// # Errors
            /// What is wrong with the bytes; inside, what the interface does not allow.
            #[allow(clippy::let_unit_value, clippy::unit_arg)]
            pub fn transcode(
                opnum: u16,
                reply: bool,
                r: &mut ndr::Reader<'_>,
                w: &mut ndr::Writer,
            ) -> Result<Result<Vec<i64>, ::farcall_wire::EncodeError>, ::farcall_wire::DecodeError> {
                match (opnum, reply) {
                    #(#arms)*
                    _ => Err(r.error(::farcall_wire::DecodeErrorKind::Invalid("no such operation"))),
                }
            }
        }
    }

    /// The parameters that go, in wire order.
    fn going(&self, method: &Method<'m>, part: Part) -> Vec<(usize, &'m Parameter, Ident)> {
        let mut inputs: Vec<_> = method.inputs().collect();
        inputs.retain(|(_, it, _)| part == Part::Whole || !self.is_pipe(&it.ty));
        inputs.sort_by_key(|(_, parameter, _)| self.is_pipe(&parameter.ty));
        inputs
    }

    /// What comes back, in wire order.
    fn coming(&self, method: &Method<'m>, part: Part) -> Vec<Output<'m>> {
        let mut outputs = self.outputs_of(method, part);
        outputs.sort_by_key(|output| !self.is_pipe(output.ty));
        outputs
    }

    pub(crate) fn put_request(&self, method: &Method<'m>, part: Part) -> TokenStream {
        let name = method.codec("put_", part.suffix());
        let inputs = method.inputs();
        let inputs = inputs.filter(|(_, it, _)| part == Part::Whole || !self.is_pipe(&it.ty));
        let args = inputs.map(|(_, parameter, name)| {
            let ty = self.argument(passed(parameter), CODEC);
            quote!(#name: #ty)
        });
        let find = |place: &Place| self.parameter(method, place);
        let steps = self
            .going(method, part)
            .into_iter()
            .map(|(_, parameter, name)| {
                let env = Env::new(&find);
                let shape = self.parameter_shape(parameter, &env);
                let by_value = self.is_passed_by_value(passed(parameter));
                let place = if by_value {
                    quote!(&#name)
                } else {
                    quote!(#name)
                };
                let text = &parameter.name;
                quote!(#shape.put_whole(#place, w).at(#text)?;)
            });
        let this = object(method, &quote!(ndr::OrpcThis::default().put(w)));
        let docs = format!(" Writes the arguments of `{}`.", method.operation.name);
        quote! {
            #[doc = #docs]
            pub fn #name(w: &mut ndr::Writer, #(#args),*) -> ndr::Put {
                #this
                #(#steps)*
                Ok(())
            }
        }
    }

    fn parameter_shape(&self, parameter: &Parameter, env: &Env<'_>) -> TokenStream {
        let ty = passed(parameter);
        let shape = match acts(parameter.flags) {
            true => self.flagged_shape(ty, parameter.flags, env),
            false => self.lone_shape(ty, env),
        };
        shape.unwrap_or_else(|| quote!(ndr::Plain))
    }

    /// The shape of what stands alone, written out.
    fn lone(&self, ty: &Type, env: &Env<'_>) -> TokenStream {
        self.lone_shape(ty, env)
            .unwrap_or_else(|| quote!(ndr::Plain))
    }

    /// Finds a parameter that goes: it stands in a variable of its name.
    fn parameter(&self, method: &Method<'m>, place: &Place) -> Option<Found<'m>> {
        let at = parameter_of(place)?;
        let parameter = method.operation.params.get(at).filter(|it| it.is_in)?;
        let name = ident(&method.args[at]);
        Some(Found::Place(quote!(#name), passed(parameter)))
    }

    fn take_request(&self, method: &Method<'m>, part: Part) -> TokenStream {
        let name = method.codec("take_", part.suffix());
        let going = self.going(method, part);
        let inputs = method.inputs();
        let inputs = inputs.filter(|(_, it, _)| part == Part::Whole || !self.is_pipe(&it.ty));
        let inputs: Vec<_> = inputs.collect();
        let types: Vec<_> = inputs
            .iter()
            .map(|(_, parameter, _)| self.lone_type(passed(parameter), CODEC))
            .collect();
        let names: Vec<Ident> = inputs.into_iter().map(|(_, _, name)| name).collect();
        let (mut steps, mut checks) = (Vec::new(), Vec::new());
        let read: RefCell<Vec<usize>> = RefCell::default();
        let known = |place: &Place| {
            let known = parameter_of(place).is_some_and(|at| read.borrow().contains(&at));
            known.then(|| self.parameter(method, place)).flatten()
        };
        let all = |place: &Place| self.parameter(method, place);
        for (at, parameter, name) in &going {
            let env = Env::new(&known);
            let shape = self.parameter_shape(parameter, &env);
            let (ty, text) = (self.lone_type(passed(parameter), CODEC), &parameter.name);
            steps.push(quote!(let #name: #ty = #shape.read(r).at(#text)?;));
            read.borrow_mut().push(*at);
            let later = Env::new(&all);
            let shape = self.parameter_shape(parameter, &later);
            if env.missed.get() && !later.missed.get() {
                checks.push(quote!(r.check(#shape.check(&#name)).at(#text)?;));
            }
        }
        let (ty, value) = match (&types[..], &names[..]) {
            ([ty], [name]) => (quote!(#ty), quote!(#name)),
            _ => (quote!((#(#types),*)), quote!((#(#names),*))),
        };
        let this = object(method, &quote!(ndr::OrpcThis::take(r)));
        let docs = format!(" Reads the arguments of `{}`.", method.operation.name);
        quote! {
            #[doc = #docs]
            #[allow(clippy::type_complexity)]
            pub fn #name(
                r: &mut ndr::Reader<'_>,
            ) -> Result<#ty, ::farcall_wire::DecodeError> {
                #this
                #(#steps)*
                #(#checks)*
                Ok(#value)
            }
        }
    }

    /// The places of in-parameters that expressions of the answer name.
    fn known(&self, method: &Method<'m>) -> Vec<Place> {
        let found: RefCell<Vec<Place>> = RefCell::default();
        let find = |place: &Place| {
            let at = parameter_of(place)?;
            let parameter = method.operation.params.get(at)?;
            if parameter.is_in && !parameter.is_out && !found.borrow().contains(place) {
                found.borrow_mut().push(place.clone());
            }
            Some(Found::Number(quote!(0)))
        };
        for output in self.coming(method, Part::Whole) {
            if let Some((_, parameter)) = output.parameter {
                let env = Env::new(&find);
                self.parameter_shape(parameter, &env);
            }
        }
        // What cannot be written as a number of the arguments is not known.
        let arguments = |place: &Place| self.parameter(method, place);
        let mut places = found.into_inner();
        places.retain(|place| {
            let env = Env::new(&arguments);
            let expr = crate::model::ndr::Expr::Place(place.clone());
            self.number(Some(&expr), &env);
            !env.missed.get()
        });
        places
    }

    /// The values that the answer's expressions need of the arguments, as a slice.
    pub(crate) fn known_values(&self, method: &Method<'m>) -> TokenStream {
        let arguments = |place: &Place| self.parameter(method, place);
        let values = method.known.iter().map(|place| {
            let env = Env::new(&arguments);
            let expr = crate::model::ndr::Expr::Place(place.clone());
            self.number(Some(&expr), &env)
        });
        quote!([#(#values),*])
    }

    /// Whether the answer's expressions need anything of the arguments.
    pub(crate) fn needs_known(&self, method: &Method<'m>) -> bool {
        !method.known.is_empty()
    }

    /// Finds what the answer may name: what comes back with it, and what is known of the arguments.
    fn answered(
        &self,
        method: &Method<'m>,
        place: &Place,
        start: &dyn Fn(usize) -> Option<TokenStream>,
    ) -> Option<Found<'m>> {
        if let Some(k) = method.known.iter().position(|known| known == place) {
            let k = len(k);
            return Some(Found::Number(quote!(ndr::known(known, #k))));
        }
        let at = parameter_of(place)?;
        let parameter = method.operation.params.get(at).filter(|it| it.is_out)?;
        Some(Found::Place(start(at)?, passed(parameter)))
    }

    fn put_reply(&self, method: &Method<'m>, part: Part) -> TokenStream {
        let name = method.codec("put_", &format!("_reply{}", part.suffix()));
        let ty = self.output_of(method, CODEC, part);
        let outputs = self.outputs_of(method, part);
        let alone = outputs.len() == 1;
        let place = |output: &str| match alone {
            true => quote!(it),
            false => {
                let name = ident(output);
                quote!(it.#name)
            }
        };
        let start = |at: usize| Some(place(&method.args[at]));
        let find = |wanted: &Place| self.answered(method, wanted, &start);
        let steps = self.coming(method, part).into_iter().map(|output| {
            let env = Env::new(&find);
            let shape = match output.parameter {
                Some((_, parameter)) => self.parameter_shape(parameter, &env),
                None => self.lone(output.ty, &env),
            };
            let place = match alone {
                true => quote!(it),
                false => {
                    let place = place(&output.name);
                    quote!(&#place)
                }
            };
            let text = output
                .parameter
                .map_or("result", |(_, it)| it.name.as_str());
            quote!(#shape.put_whole(#place, w).at(#text)?;)
        });
        let that = object(method, &quote!(ndr::OrpcThat::default().put(w)));
        let docs = format!(
            " Writes the answer of `{}`; `known` is what its arguments say about it.",
            method.operation.name
        );
        quote! {
            #[doc = #docs]
            pub fn #name(w: &mut ndr::Writer, known: &[i64], it: &#ty) -> ndr::Put {
                #that
                #(#steps)*
                Ok(())
            }
        }
    }

    pub(crate) fn take_reply(&self, method: &Method<'m>, part: Part) -> TokenStream {
        let name = method.codec("take_", &format!("_reply{}", part.suffix()));
        let ty = self.output_of(method, CODEC, part);
        let outputs = self.outputs_of(method, part);
        let start = |at: usize| {
            let name = ident(&method.args[at]);
            Some(quote!(#name))
        };
        let read: RefCell<Vec<usize>> = RefCell::default();
        let some = |place: &Place| {
            let at = parameter_of(place)?;
            let out = method.operation.params.get(at)?.is_out;
            (!out || read.borrow().contains(&at))
                .then(|| self.answered(method, place, &start))
                .flatten()
        };
        let all = |place: &Place| self.answered(method, place, &start);
        let (mut steps, mut checks) = (Vec::new(), Vec::new());
        for output in self.coming(method, part) {
            let (name, ty) = (ident(&output.name), self.lone_type(output.ty, CODEC));
            let text = output
                .parameter
                .map_or("result", |(_, it)| it.name.as_str());
            let env = Env::new(&some);
            let later = Env::new(&all);
            let (shape, whole) = match output.parameter {
                Some((at, parameter)) => {
                    let shape = self.parameter_shape(parameter, &env);
                    read.borrow_mut().push(at);
                    (shape, self.parameter_shape(parameter, &later))
                }
                None => (self.lone(output.ty, &env), TokenStream::new()),
            };
            steps.push(quote!(let #name: #ty = #shape.read(r).at(#text)?;));
            if env.missed.get() && !later.missed.get() {
                checks.push(quote!(r.check(#whole.check(&#name)).at(#text)?;));
            }
        }
        let names = outputs.iter().map(|output| ident(&output.name));
        let value = match &outputs[..] {
            [] => quote!(()),
            [one] => {
                let name = ident(&one.name);
                quote!(#name)
            }
            _ => {
                let results = self.results_name(method, part);
                quote!(super::#results { #(#names),* })
            }
        };
        let known = (!method.known.is_empty()).then(|| quote!(let known = r.known();));
        let that = object(method, &quote!(ndr::OrpcThat::take(r)));
        let docs = format!(" Reads the answer of `{}`.", method.operation.name);
        quote! {
            #[doc = #docs]
            pub fn #name(
                r: &mut ndr::Reader<'_>,
            ) -> Result<#ty, ::farcall_wire::DecodeError> {
                #that
                #known
                #(#steps)*
                #(#checks)*
                Ok(#value)
            }
        }
    }
}

/// Whether something of the operation is on the wire.
fn is_called(operation: &Operation) -> bool {
    !(operation.unknown || operation.encode || operation.decode)
}

// req: idl-midl-orpc
/// What is done with what stands in front of a message of an object's method.
fn object(method: &Method<'_>, done: &TokenStream) -> TokenStream {
    match method.operation.object {
        true => quote!(#done.at("ORPC")?;),
        false => TokenStream::new(),
    }
}

fn argument_names(operation: &Operation) -> Vec<String> {
    let wanted: Vec<String> = operation
        .params
        .iter()
        .map(|it| names::snake(&it.name))
        .collect();
    Scope::new(TAKEN).claim_all(&wanted)
}
