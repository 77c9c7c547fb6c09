//! The server's side of an interface: the trait that a user implements, `service()`, and the stub
//! between them.

use proc_macro2::TokenStream;
use quote::quote;

use super::super::text::ident;
use super::interface::Method;
use super::plan::Plan;

impl<'m> Plan<'m> {
    pub(crate) fn server(&'m self, methods: &[Method<'m>]) -> TokenStream {
        let declared = methods.iter().map(|method| self.declared(method));
        let arms = methods.iter().map(|method| self.served(method));
        let body = match methods.is_empty() {
            true => quote! {
                let _ = (call, arguments, reply, &self.0);
                Err(::farcall::Refuse::ProcUnavail)
            },
            false => quote! {
                match call.opnum() {
                    #(#arms)*
                    _ => Err(::farcall::Refuse::ProcUnavail),
                }
            },
        };
        quote! {
            /// What a server of this interface does. Write the methods as `async fn`.
            #[allow(clippy::too_many_arguments)]
            pub trait Server: Send + Sync + 'static {
                #(#declared)*
            }

            /// The service that a [server](::farcall::Server) takes.
            pub fn service<S: Server>(server: S) -> ::farcall::stub::Registered {
                ::farcall::stub::Registered::interface(Stub(server))
            }

            struct Stub<S>(S);

            impl<S: Server> ::farcall::stub::Operations for Stub<S> {
                fn interface(&self) -> &'static ::farcall::stub::Interface {
                    &INTERFACE
                }

                async fn call(
                    &self,
                    call: &::farcall::Call,
                    arguments: &mut ndr::Reader<'_>,
                    reply: &mut ::farcall::stub::NdrReply<'_>,
                ) -> Result<(), ::farcall::Refuse> {
                    #body
                }
            }
        }
    }

    /// A method of the trait.
    fn declared(&'m self, method: &Method<'m>) -> TokenStream {
        let name = ident(&method.name);
        let args = self.served_args(method);
        let output = self.given(method);
        let docs = method.docs().allowing(&[]);
        quote! {
            #docs
            fn #name(
                &self,
                call: &::farcall::Call,
                #args
            ) -> impl ::core::future::Future<Output = Result<#output, ::farcall::Refuse>> + Send;
        }
    }

    /// The arm of the stub that serves an operation.
    fn served(&'m self, method: &Method<'m>) -> TokenStream {
        if self.has_pipes(method) {
            return self.served_piped(method);
        }
        if let Some(local) = self.local(method) {
            return self.served_local(method, &local);
        }
        let (number, name) = (method.number(), ident(&method.name));
        let (take, put) = (method.codec("take_", ""), method.codec("put_", "_reply"));
        let names: Vec<_> = method.inputs().map(|(_, _, name)| name).collect();
        let taken = match &names[..] {
            [] => quote!(codec::#take(arguments)?;),
            [one] => quote!(let #one = codec::#take(arguments)?;),
            _ => quote!(let (#(#names),*) = codec::#take(arguments)?;),
        };
        let (kept, known) = match self.needs_known(method) {
            true => {
                let values = self.known_values(method);
                (quote!(let known = #values;), quote!(&known))
            }
            false => (TokenStream::new(), quote!(&[])),
        };
        let (bound, it) = match method.outputs().is_empty() {
            true => (TokenStream::new(), quote!(&())),
            false => (quote!(let it =), quote!(&it)),
        };
        quote! {
            #number => {
                #taken
                call.begins();
                #kept
                #bound self.0.#name(call, #(#names),*).await?;
                reply.encode(|w| codec::#put(w, #known, #it))
            }
        }
    }
}
