//! The client's side of an interface: `Client`, the object-safe trait `Calls` that stands in for
//! it in tests, and `BlockingClient`.

use proc_macro2::TokenStream;
use quote::quote;

use super::super::text::ident;
use super::interface::Method;
use super::plan::Plan;

impl<'m> Plan<'m> {
    pub(crate) fn client(&'m self, methods: &[Method<'m>]) -> TokenStream {
        let client = self.asynchronous(methods);
        let calls = self.calls(methods);
        let blocking = self.blocking(methods);
        quote!(#client #calls #blocking)
    }

    fn asynchronous(&'m self, methods: &[Method<'m>]) -> TokenStream {
        let calling = methods.iter().map(|method| {
            let docs = method.docs().allowing(&[]);
            let (signature, output) = (self.signature(method, quote!(pub)), self.received(method));
            let (request, allow) = (self.request(method, false), self.long_type(method));
            quote! {
                #docs
                #allow
                #signature -> ::farcall::Calling<#output> {
                    #request
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

    fn calls(&'m self, methods: &[Method<'m>]) -> TokenStream {
        let declared = methods.iter().map(|method| {
            let (docs, signature) = (as_client(method), self.signature(method, quote!()));
            let output = self.received(method);
            let allow = self.long_type(method);
            quote!(#docs #allow #signature -> ::farcall::Calling<#output>;)
        });
        let forwarded = methods.iter().map(|method| {
            let (signature, name) = (self.signature(method, quote!()), ident(&method.name));
            let output = self.received(method);
            let passed = match self.local(method) {
                Some(_) => quote!(call),
                None => {
                    let names = method.inputs().map(|(_, _, name)| name);
                    quote!(#(#names),*)
                }
            };
            let allow = self.long_type(method);
            quote! {
                #allow
                #signature -> ::farcall::Calling<#output> {
                    Client::#name(self, #passed)
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

    fn blocking(&'m self, methods: &[Method<'m>]) -> TokenStream {
        let calling = methods.iter().map(|method| {
            let docs = as_client(method);
            let (name, args) = (ident(&method.name), self.called_args(method));
            let (sinks, request) = (self.blocking_sinks(method), self.request(method, true));
            let args = match (args.is_empty(), sinks.is_empty()) {
                (false, false) => quote!(#args, #sinks),
                _ => quote!(#args #sinks),
            };
            let output = self.given(method);
            quote! {
                #docs
                ///
                /// # Errors
                /// Why there is no result.
                pub fn #name(&self, #args) -> Result<#output, ::farcall::Error> {
                    #request
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

                /// As [`connect`](Self::connect), with options.
                ///
                /// # Errors
                /// As [`connect`](Self::connect).
                pub fn connect_with(
                    endpoint: impl ::farcall::IntoEndpoint,
                    options: ::farcall::client::Options,
                ) -> Result<Self, ::farcall::Error> {
                    ::farcall::blocking::Client::connect_interface_with(endpoint, &INTERFACE, options)
                        .map(Self)
                }

                #(#calling)*
            }
        }
    }

    /// A method's visibility, name and parameters.
    fn signature(&'m self, method: &Method<'m>, visible: TokenStream) -> TokenStream {
        let (name, args) = (ident(&method.name), self.called_args(method));
        quote!(#visible fn #name(&self, #args))
    }

    /// What a client asks for: interface, number, what the answer needs, how to write the
    /// arguments and how to read the answer.
    fn request(&'m self, method: &Method<'m>, blocking: bool) -> TokenStream {
        if self.has_pipes(method) {
            let request = self.request_piped(method, blocking);
            return quote!(self.0.operation_piped(#request));
        }
        if let Some(local) = self.local(method) {
            return self.request_local(method, &local);
        }
        let (number, known) = (method.number(), self.known_values(method));
        let (put, take) = (method.codec("put_", ""), method.codec("take_", "_reply"));
        let names = method.inputs().map(|(_, _, name)| name);
        quote! {
            self.0.operation(
                &INTERFACE,
                #number,
                &#known,
                |w| codec::#put(w, #(#names),*),
                codec::#take,
            )
        }
    }
}

/// Documentation that points at the client's method.
fn as_client(method: &Method<'_>) -> TokenStream {
    let name = method.name.strip_prefix("r#").unwrap_or(&method.name);
    let text = format!(" As [`Client::{name}`].");
    quote!(#[doc = #text])
}
