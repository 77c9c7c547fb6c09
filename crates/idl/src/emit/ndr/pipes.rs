//! Operations with pipes: what their methods take and give, and how stub and client hand them on.
//!
//! Read first: C706 section 5.1.4 (pipes) and `farcall::pipe`, which this code stands on. What
//! stands beside the pipes has codecs of its own, whose names end in `_beside`; the codecs of whole
//! messages stay, for those that have a message at hand.

use proc_macro2::{Ident, TokenStream};
use quote::quote;

use crate::model::ndr::{ItemKind, Parameter, Type};

use super::super::text::{ident, len};
use super::expr::Env;
use super::interface::{INTERFACE, Method};
use super::plan::{Plan, passed};

/// A pipe of an operation.
pub(crate) struct Pipe<'m> {
    /// The name of the argument.
    pub(crate) name: Ident,
    element: &'m Type,
}

impl<'m> Plan<'m> {
    pub(crate) fn is_pipe(&self, ty: &Type) -> bool {
        self.element(ty).is_some()
    }

    /// The elements of a pipe.
    fn element<'a>(&'a self, ty: &'a Type) -> Option<&'a Type> {
        match self.behind(ty) {
            Type::Pipe(inner) => Some(inner),
            Type::Pointer(it) => self.element(&it.pointee),
            Type::Named(id) => match &self.defs.item(*id).kind {
                ItemKind::Pipe(inner) => Some(inner),
                _ => None,
            },
            _ => None,
        }
    }

    pub(crate) fn has_pipes(&self, method: &Method<'_>) -> bool {
        let mut params = method.operation.params.iter();
        params.any(|parameter| self.is_pipe(&parameter.ty))
    }

    fn pipes(
        &'m self,
        method: &Method<'m>,
        wanted: impl Fn(&Parameter) -> bool,
        behind: impl Fn(&Parameter) -> bool,
    ) -> Vec<Pipe<'m>> {
        let pipes = method.parameters().filter(|(it, _)| wanted(it));
        pipes
            .filter_map(|(parameter, name)| {
                let element = self.element(&parameter.ty)?;
                let name = match behind(parameter) {
                    true => method.beside(&name, "_out"),
                    false => ident(&name),
                };
                Some(Pipe { name, element })
            })
            .collect()
    }

    /// The pipes that go.
    pub(crate) fn sources(&'m self, method: &Method<'m>) -> Vec<Pipe<'m>> {
        self.pipes(method, |it| it.is_in, |_| false)
    }

    /// The pipes that come; one that goes, too, has another name here.
    pub(crate) fn sinks(&'m self, method: &Method<'m>) -> Vec<Pipe<'m>> {
        self.pipes(method, |it| it.is_out, |it| it.is_in)
    }

    /// How many pipes go and come, where the interface is described.
    pub(crate) fn counted(&'m self, method: &Method<'m>) -> Option<TokenStream> {
        let (sources, sinks) = (self.sources(method).len(), self.sinks(method).len());
        let (sources, sinks) = (len(sources), len(sinks));
        self.has_pipes(method)
            .then(|| quote!(.pipes(#sources, #sinks)))
    }

    fn element_type(&self, pipe: &Pipe<'_>) -> TokenStream {
        self.rust_type(pipe.element, INTERFACE)
    }

    /// How elements are read.
    fn take(&self, pipe: &Pipe<'_>) -> TokenStream {
        let shape = self.element_shape(pipe);
        quote!(|flow| flow.next(#shape))
    }

    /// How elements are written.
    fn put(&self, pipe: &Pipe<'_>) -> TokenStream {
        let shape = self.element_shape(pipe);
        quote!(|flow, items| flow.items(#shape, items))
    }

    fn element_shape(&self, pipe: &Pipe<'_>) -> TokenStream {
        let find = |_: &_| None;
        self.whole(pipe.element, &Env::new(&find))
    }

    /// The parameters of the server's method: those that go, then the pipes that come.
    pub(crate) fn served_args(&'m self, method: &Method<'m>) -> TokenStream {
        if let Some(local) = self.local(method) {
            return quote!(it: #local::Call);
        }
        let inputs = method.inputs().map(|(_, parameter, name)| {
            let ty = match self.element(&parameter.ty) {
                Some(element) => {
                    let element = self.rust_type(element, INTERFACE);
                    quote!(::farcall::pipe::Reader<#element>)
                }
                None => self.lone_type(passed(parameter), INTERFACE),
            };
            quote!(#name: #ty)
        });
        let sinks = self.sinks(method);
        let sinks = sinks.iter().map(|pipe| {
            let (name, element) = (&pipe.name, self.element_type(pipe));
            quote!(#name: ::farcall::pipe::Writer<#element>)
        });
        quote!(#(#inputs,)* #(#sinks),*)
    }

    /// The arm of the stub that serves an operation with pipes.
    pub(crate) fn served_piped(&'m self, method: &Method<'m>) -> TokenStream {
        let (number, name) = (method.number(), ident(&method.name));
        let take = method.codec("take_", "_beside");
        let put = method.codec("put_", "_reply_beside");
        let beside = method.inputs().filter(|(_, it, _)| !self.is_pipe(&it.ty));
        let beside: Vec<_> = beside.map(|(_, _, name)| name).collect();
        let taken = match &beside[..] {
            [] => quote!(pipes.arguments(call, codec::#take).await?;),
            [one] => quote!(let #one = pipes.arguments(call, codec::#take).await?;),
            _ => quote!(let (#(#beside),*) = pipes.arguments(call, codec::#take).await?;),
        };
        let sources = self.sources(method);
        let readers = sources.iter().enumerate().map(|(n, pipe)| {
            let (name, n, take) = (&pipe.name, len(n), self.take(pipe));
            quote!(let #name = pipes.reader(#n, #take);)
        });
        let sinks = self.sinks(method);
        let writers = sinks.iter().enumerate().map(|(n, pipe)| {
            let (name, n, put) = (&pipe.name, len(n), self.put(pipe));
            quote!(let #name = pipes.writer(#n, #put);)
        });
        let inputs = method.inputs().map(|(_, _, name)| name);
        let outs = sinks.iter().map(|pipe| &pipe.name);
        let known = self.known_values(method);
        quote! {
            #number => {
                let pipes = ::farcall::stub::Pipes::new(call, arguments)?;
                #taken
                let known: Vec<i64> = #known.into();
                #(#readers)*
                #(#writers)*
                let it = self.0.#name(call, #(#inputs,)* #(#outs),*).await?;
                pipes.reply(reply, |w| codec::#put(w, &known, &it))
            }
        }
    }

    /// The parameters of the client's method.
    pub(crate) fn called_args(&'m self, method: &Method<'m>) -> TokenStream {
        if let Some(local) = self.local(method) {
            return quote!(call: &#local::Call);
        }
        let inputs = method.inputs().map(|(_, parameter, name)| {
            let ty = match self.element(&parameter.ty) {
                Some(element) => {
                    let element = self.rust_type(element, INTERFACE);
                    quote!(::farcall::pipe::Source<#element>)
                }
                None => self.argument(passed(parameter), INTERFACE),
            };
            quote!(#name: #ty)
        });
        quote!(#(#inputs),*)
    }

    /// What takes the elements of pipes that come, where a call blocks its thread.
    pub(crate) fn blocking_sinks(&'m self, method: &Method<'m>) -> TokenStream {
        let sinks = self.sinks(method);
        let sinks = sinks.iter().map(|pipe| {
            let (name, element) = (&pipe.name, self.element_type(pipe));
            quote!(#name: impl FnMut(Vec<#element>))
        });
        quote!(#(#sinks),*)
    }

    /// What the client's method gives: the rest of the results, behind the pipes if there are any.
    pub(crate) fn received(&'m self, method: &Method<'m>) -> TokenStream {
        let rest = self.given(method);
        let sinks = self.sinks(method);
        let elements = sinks.iter().map(|pipe| {
            let element = self.element_type(pipe);
            quote!(::farcall::pipe::Elements<#element>)
        });
        match paired(elements.collect()) {
            Some(pipes) => quote!(::farcall::pipe::Receiving<#pipes, #rest>),
            None => rest,
        }
    }

    /// Several pipes make a type that is long.
    pub(crate) fn long_type(&'m self, method: &Method<'m>) -> Option<TokenStream> {
        let several = self.sinks(method).len() > 1;
        several.then(|| quote!(#[allow(clippy::type_complexity)]))
    }

    /// What a client hands on.
    pub(crate) fn request_piped(&'m self, method: &Method<'m>, blocking: bool) -> TokenStream {
        let (number, known) = (method.number(), self.known_values(method));
        let put = method.codec("put_", "_beside");
        let take = method.codec("take_", "_reply_beside");
        let beside = method.inputs().filter(|(_, it, _)| !self.is_pipe(&it.ty));
        let names = beside.map(|(_, _, name)| name);
        let sources = self.sources(method);
        let sources = sources.iter().map(|pipe| {
            let (name, put) = (&pipe.name, self.put(pipe));
            quote!(.with(#name, #put))
        });
        let sinks = self.sinks(method);
        let answer = match (blocking, sinks.is_empty()) {
            (true, _) => {
                let with = sinks.iter().map(|pipe| {
                    let (name, take) = (&pipe.name, self.take(pipe));
                    quote!(.with(#name, #take))
                });
                quote!(::farcall::stub::Sinks::new() #(#with)*, codec::#take)
            }
            (false, true) => quote!(::farcall::stub::Answer::Whole(codec::#take)),
            (false, false) => {
                let pipes = sinks.iter().enumerate().map(|(n, pipe)| {
                    let (n, take) = (len(n), self.take(pipe));
                    quote!(it.pipe(#n, #take))
                });
                let pipes = paired(pipes.collect());
                quote! {
                    ::farcall::stub::Answer::Piped(|it| {
                        let pipe = #pipes;
                        it.with(pipe, codec::#take)
                    })
                }
            }
        };
        quote! {
            &INTERFACE,
            #number,
            &#known,
            |w| codec::#put(w, #(#names),*),
            ::farcall::stub::Sources::new() #(#sources)*,
            #answer,
        }
    }
}

/// One thing as it is; several as a pair of the first and the pair of the others.
fn paired(mut parts: Vec<TokenStream>) -> Option<TokenStream> {
    let last = parts.pop()?;
    let pairs = parts.into_iter().rev();
    Some(pairs.fold(last, |rest, first| quote!((#first, #rest))))
}
