//! The client's side of an interface: `Client`, the object-safe trait `Calls` that stands in for
//! it in tests, and `BlockingClient`.

use proc_macro2::TokenStream;
use quote::quote;

use super::super::text::ident;
use super::interface::{INTERFACE, Method};
use super::plan::{Plan, passed};

impl<'m> Plan<'m> {
    pub(crate) fn client(&self, methods: &[Method<'m>]) -> TokenStream {
        let client = self.asynchronous(methods);
        let calls = self.calls(methods);
        let blocking = self.blocking(methods);
        quote!(#client #calls #blocking)
    }

    fn asynchronous(&self, methods: &[Method<'m>]) -> TokenStream {
        let calling = methods.iter().map(|method| {
            let docs = method.docs().allowing(&[]);
            let (signature, output) = (
                self.signature(method, quote!(pub)),
                self.output(method, INTERFACE),
            );
            let request = self.request(method);
            quote! {
                #docs
                #signature -> ::farcall::Calling<#output> {
                    self.0.operation(#request)
                }
            }
        });
        quote! {
            /// Calls this interface on a server. Clones share one association.
            #[derive(Clone, Debug)]
            pub struct Client(::farcall::Client);

            impl From<::farcall::Client> for Client {
                fn from(client: ::farcall::Client) -> Self {
                    Self(client)
                }
            }

            #[allow(clippy::ptr_arg, clippy::ref_option, clippy::too_many_arguments)]
            impl Client {
                /// Connects to a string binding such as `ncacn_ip_tcp:host[port]`. Without a port,
                /// the host's endpoint mapper is asked where this interface is.
                ///
                /// # Errors
                /// The host, the interface or the port cannot be found, or the connection or the
                /// binding is refused.
                pub async fn connect(
                    endpoint: impl ::farcall::IntoEndpoint,
                ) -> Result<Self, ::farcall::Error> {
                    ::farcall::Client::connect_interface(endpoint, &INTERFACE).await.map(Self)
                }

                /// As [`connect`](Self::connect), with options.
                ///
                /// # Errors
                /// As [`connect`](Self::connect).
                pub async fn connect_with(
                    endpoint: impl ::farcall::IntoEndpoint,
                    options: ::farcall::client::Options,
                ) -> Result<Self, ::farcall::Error> {
                    ::farcall::Client::connect_interface_with(endpoint, &INTERFACE, options)
                        .await
                        .map(Self)
                }

                /// A client of a server in this process, without a listening socket.
                ///
                /// # Errors
                /// The process has no descriptor left.
                pub fn in_process(
                    server: &impl ::farcall::client::InProcess,
                ) -> Result<Self, ::farcall::Error> {
                    ::farcall::Client::interface_in_process(server, &INTERFACE).map(Self)
                }

                #(#calling)*
            }
        }
    }

    fn calls(&self, methods: &[Method<'m>]) -> TokenStream {
        let declared = methods.iter().map(|method| {
            let (docs, signature) = (as_client(method), self.signature(method, quote!()));
            let output = self.output(method, INTERFACE);
            quote!(#docs #signature -> ::farcall::Calling<#output>;)
        });
        let forwarded = methods.iter().map(|method| {
            let (signature, name) = (self.signature(method, quote!()), ident(&method.name));
            let output = self.output(method, INTERFACE);
            let passed = method.inputs().map(|(_, _, name)| name);
            quote! {
                #signature -> ::farcall::Calling<#output> {
                    Client::#name(self, #(#passed),*)
                }
            }
        });
        quote! {
            /// The calls of this interface, for code that takes a [`Client`] or a stand-in for it.
            /// A stand-in answers with `Calling::ready`.
            #[allow(clippy::ptr_arg, clippy::ref_option, clippy::too_many_arguments)]
            pub trait Calls: Send + Sync {
                #(#declared)*
            }

            impl Calls for Client {
                #(#forwarded)*
            }
        }
    }

    fn blocking(&self, methods: &[Method<'m>]) -> TokenStream {
        let calling = methods.iter().map(|method| {
            let (docs, signature) = (as_client(method), self.signature(method, quote!(pub)));
            let (output, request) = (self.output(method, INTERFACE), self.request(method));
            quote! {
                #docs
                ///
                /// # Errors
                /// Why there is no result.
                #signature -> Result<#output, ::farcall::Error> {
                    self.0.operation(#request)
                }
            }
        });
        quote! {
            /// Calls this interface on a server, and waits for each result.
            #[derive(Debug)]
            pub struct BlockingClient(::farcall::blocking::Client);

            impl From<::farcall::blocking::Client> for BlockingClient {
                fn from(client: ::farcall::blocking::Client) -> Self {
                    Self(client)
                }
            }

            #[allow(clippy::ptr_arg, clippy::ref_option, clippy::too_many_arguments)]
            impl BlockingClient {
                /// Connects to a string binding such as `ncacn_ip_tcp:host[port]`. Without a port,
                /// the host's endpoint mapper is asked where this interface is.
                ///
                /// # Errors
                /// The host, the interface or the port cannot be found, or the connection or the
                /// binding is refused.
                pub fn connect(
                    endpoint: impl ::farcall::IntoEndpoint,
                ) -> Result<Self, ::farcall::Error> {
                    ::farcall::blocking::Client::connect_interface(endpoint, &INTERFACE).map(Self)
                }

                #(#calling)*
            }
        }
    }

    /// A method's visibility, name and parameters.
    fn signature(&self, method: &Method<'m>, visible: TokenStream) -> TokenStream {
        let name = ident(&method.name);
        let args = method.inputs().map(|(_, parameter, name)| {
            let ty = self.argument(passed(parameter), INTERFACE);
            quote!(#name: #ty)
        });
        quote!(#visible fn #name(&self, #(#args),*))
    }

    /// What a client hands on: interface, number, what the answer needs, how to write the
    /// arguments and how to read the answer.
    fn request(&self, method: &Method<'m>) -> TokenStream {
        let (number, known) = (method.number(), self.known_values(method));
        let (put, take) = (method.codec("put_", ""), method.codec("take_", "_reply"));
        let names = method.inputs().map(|(_, _, name)| name);
        quote! {
            &INTERFACE,
            #number,
            &#known,
            |w| codec::#put(w, #(#names),*),
            codec::#take,
        }
    }
}

/// Documentation that points at the client's method.
fn as_client(method: &Method<'_>) -> TokenStream {
    let name = method.name.strip_prefix("r#").unwrap_or(&method.name);
    let text = format!(" As [`Client::{name}`].");
    quote!(#[doc = #text])
}
