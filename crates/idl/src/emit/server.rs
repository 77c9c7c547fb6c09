//! The server's side of a version: the trait that a user implements, `service()`, and the stub
//! between them.

use proc_macro2::TokenStream;
use quote::quote;

use crate::model::Type;

use super::codec::Value;
use super::plan::{Form, Plan};
use super::program::{Method, Spot, unsuffixed};
use super::text::ident;
use super::types::Site;

impl Plan<'_> {
    pub(crate) fn server(&self, methods: &[Method<'_>], spot: Spot) -> TokenStream {
        let served: Vec<&Method<'_>> = methods.iter().filter(|m| !m.is_null()).collect();
        let declared = served.iter().map(|method| self.declared(method, spot));
        let arms = served.iter().map(|method| self.served(method, spot));
        let body = match served.is_empty() {
            true => quote! {
                let _ = (call, arguments, reply, &self.0);
                Err(::farcall::Refuse::ProcUnavail)
            },
            false => quote! {
                match call.procedure() {
                    #(#arms)*
                    _ => Err(::farcall::Refuse::ProcUnavail),
                }
            },
        };
        quote! {
            /// What a server of this version does. Write the methods as `async fn`.
            pub trait Server: Send + Sync + 'static {
                #(#declared)*
            }

            /// The service that a [server](::farcall::Server) takes.
            pub fn service<S: Server>(server: S) -> ::farcall::stub::Registered {
                ::farcall::stub::Registered::new(Stub(server))
            }

            struct Stub<S>(S);

            impl<S: Server> ::farcall::stub::Service for Stub<S> {
                fn program(&self) -> &'static ::farcall::stub::Program {
                    &PROGRAM
                }

                async fn call(
                    &self,
                    call: &::farcall::Call,
                    arguments: &mut ::farcall_wire::Reader<'_>,
                    reply: &mut ::farcall::stub::Reply<'_>,
                ) -> Result<(), ::farcall::Refuse> {
                    #body
                }
            }
        }
    }

    /// Where a method's arguments stand: they may borrow, its result does not.
    fn arguments_site(&self, method: &Method<'_>, spot: Spot) -> Site {
        match self.lends_arguments(method.procedure) {
            true => Site {
                form: Form::Borrowed,
                ..spot.site
            },
            false => spot.site,
        }
    }

    /// A method of the trait.
    fn declared(&self, method: &Method<'_>, spot: Spot) -> TokenStream {
        let name = ident(&method.name);
        let site = self.arguments_site(method, spot);
        let args = method.arguments().map(|(arg, name)| {
            let ty = self.rust_type(&arg.ty, "", site);
            quote!(#name: #ty)
        });
        let lends = method.arguments().any(|(arg, _)| self.lends(&arg.ty));
        let life = (site.form == Form::Borrowed && lends).then(|| quote!(<'a>));
        let result = self.rust_type(&method.procedure.result, "", spot.site);
        let (docs, allow) = (method.docs().allowing(&[]), method.allow());
        quote! {
            #docs
            #allow
            fn #name #life(
                &self,
                call: &::farcall::Call,
                #(#args),*
            ) -> impl ::core::future::Future<Output = Result<#result, ::farcall::Refuse>> + Send;
        }
    }

    /// The arm of the stub that serves a procedure.
    fn served(&self, method: &Method<'_>, spot: Spot) -> TokenStream {
        let number = unsuffixed(method.procedure.number);
        let name = ident(&method.name);
        let site = self.arguments_site(method, spot);
        let decoded = method.arguments().map(|(arg, name)| {
            let value = self.decode(&arg.ty, "", site);
            let text = arg.name.as_deref().unwrap_or("args");
            quote!(let #name = #value.at(#text)?;)
        });
        let reader = match method.args.is_empty() {
            true => TokenStream::new(),
            false => quote!(let r = &mut *arguments;),
        };
        let passed = method.arguments().map(|(_, name)| name);
        let called = quote!(self.0.#name(call, #(#passed),*).await?);
        let replied = match &method.procedure.result {
            Type::Void => quote!(#called; reply.encode(&())),
            ty => {
                let result = Value::Place(quote!(result));
                let result = self.encodable(&[(ty, result)]);
                quote!(let result = #called; reply.encode(#result))
            }
        };
        quote! {
            #number => {
                #reader
                #(#decoded)*
                call.unpacked(arguments)?;
                #replied
            }
        }
    }
}
