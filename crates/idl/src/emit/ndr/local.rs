//! Operations whose callers and servers see a local form, by a type of the program's own: `call_as`.
//!
//! Read first: MIDL's `call_as` and `farcall_wire::ndr::CallAs`. What is on the wire is what the operation says; its
//! codecs stay as they are. An operation with pipes keeps its own form.

use proc_macro2::TokenStream;
use quote::quote;

use crate::model::ndr::Operation;

use super::super::text::{ident, tokens};
use super::interface::{INTERFACE, Method, Part};
use super::plan::{Plan, passed};

impl<'m> Plan<'m> {
    /// The type that says the local form of an operation.
    fn local_path(&self, operation: &Operation) -> Option<&str> {
        operation.call_as.as_ref()?;
        let path = self.config.calls_as.get(&operation.name)?;
        let pipes = operation.params.iter().any(|it| self.is_pipe(&it.ty));
        (!pipes).then_some(path)
    }

    /// The name that callers and servers see.
    pub(crate) fn shown_name<'a>(&self, operation: &'a Operation) -> &'a str {
        match (&operation.call_as, self.local_path(operation)) {
            (Some(local), Some(_)) => local,
            _ => &operation.name,
        }
    }

    /// The type that says the local form, as a `CallAs`.
    pub(crate) fn local(&self, method: &Method<'m>) -> Option<TokenStream> {
        let path = tokens(self.local_path(method.operation)?);
        Some(quote!(<#path as ndr::CallAs>))
    }

    /// What a method gives, for whoever calls or serves it.
    pub(crate) fn given(&self, method: &Method<'m>) -> TokenStream {
        match self.local(method) {
            Some(local) => quote!(#local::Outcome),
            None => self.output_of(method, INTERFACE, Part::Beside),
        }
    }

    /// The arguments, as `codec::take_…` gives them.
    fn taken(&self, method: &Method<'m>) -> TokenStream {
        let names: Vec<_> = method.inputs().map(|(_, _, name)| name).collect();
        match &names[..] {
            [one] => quote!(#one),
            _ => quote!((#(#names),*)),
        }
    }

    /// What a client asks for, in the local form.
    pub(crate) fn request_local(&self, method: &Method<'m>, local: &TokenStream) -> TokenStream {
        let (number, known) = (method.number(), self.known_values(method));
        let (put, take) = (method.codec("put_", ""), method.codec("take_", "_reply"));
        let (taken, refs) = (self.taken(method), self.refs(method));
        let read = quote! {
            |r| {
                let it = codec::#take(r)?;
                #local::outcome(it).map_err(|kind| r.error(kind))
            }
        };
        quote! {
            match #local::arguments(call) {
                Ok(#taken) => self.0.operation(
                    &INTERFACE,
                    #number,
                    &#known,
                    |w| codec::#put(w, #refs),
                    #read,
                ),
                Err(error) => self.0.operation(&INTERFACE, #number, &[], |_| Err(error), #read),
            }
        }
    }

    /// The arguments as `codec::put_…` takes them.
    fn refs(&self, method: &Method<'m>) -> TokenStream {
        let args = method.inputs().map(|(_, parameter, name)| {
            match self.is_passed_by_value(passed(parameter)) {
                true => quote!(#name),
                false => quote!(&#name),
            }
        });
        quote!(#(#args),*)
    }

    /// The arm of the stub that serves an operation in its local form.
    pub(crate) fn served_local(&self, method: &Method<'m>, local: &TokenStream) -> TokenStream {
        let (number, name) = (method.number(), ident(&method.name));
        let (take, put) = (method.codec("take_", ""), method.codec("put_", "_reply"));
        let taken = self.taken(method);
        let known = match self.needs_known(method) {
            true => self.known_values(method),
            false => quote!([]),
        };
        quote! {
            #number => {
                let #taken = codec::#take(arguments)?;
                let known: Vec<i64> = #known.into();
                let it = #local::call(#taken).map_err(|kind| arguments.error(kind))?;
                call.begins();
                let it = self.0.#name(call, it).await?;
                reply.encode(|w| codec::#put(w, &known, &#local::results(it)?))
            }
        }
    }
}
