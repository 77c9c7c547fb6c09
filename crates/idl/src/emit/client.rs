//! The client's side of a version: `Client`, the object-safe trait `Calls` that stands in for it
//! in tests, and `BlockingClient`.

use proc_macro2::TokenStream;
use quote::quote;

use crate::model::Type;

use super::codec::Value;
use super::plan::Plan;
use super::program::{Method, Spot, unsuffixed};
use super::text::ident;

impl Plan<'_> {
    pub(crate) fn client(&self, methods: &[Method<'_>], spot: Spot) -> TokenStream {
        let client = self.asynchronous(methods, spot);
        let calls = self.calls(methods, spot);
        let blocking = self.blocking(methods, spot);
        quote!(#client #calls #blocking)
    }

    fn asynchronous(&self, methods: &[Method<'_>], spot: Spot) -> TokenStream {
        let calling = methods.iter().map(|method| {
            let (docs, signature) = (
                method.docs().allowing(&[]),
                self.signature(method, quote!(pub), spot),
            );
            let (result, request) = (self.result(method, spot), self.request(method, spot));
            quote! {
                #docs
                #signature -> ::farcall::Calling<#result> {
                    self.0.call(#request)
                }
            }
        });
        quote! {
            /// Calls this version on a server. Clones share one connection.
            #[derive(Clone, Debug)]
            pub struct Client(::farcall::Client);

            impl From<::farcall::Client> for Client {
                fn from(client: ::farcall::Client) -> Self {
                    Self(client)
                }
            }

            impl Client {
                /// Connects to an endpoint such as `tcp://host`. Without a port, the host's
                /// rpcbind is asked where this version is.
                ///
                /// # Errors
                /// The host, the program or the port cannot be found, or the connection is
                /// refused.
                pub async fn connect(
                    endpoint: impl ::farcall::IntoEndpoint,
                ) -> Result<Self, ::farcall::Error> {
                    ::farcall::Client::connect(endpoint, PROGRAM.number, PROGRAM.version)
                        .await
                        .map(Self)
                }

                /// As [`connect`](Self::connect), with options.
                ///
                /// # Errors
                /// As [`connect`](Self::connect).
                pub async fn connect_with(
                    endpoint: impl ::farcall::IntoEndpoint,
                    options: ::farcall::client::Options,
                ) -> Result<Self, ::farcall::Error> {
                    let (program, version) = (PROGRAM.number, PROGRAM.version);
                    ::farcall::Client::connect_with(endpoint, program, version, options)
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
                    ::farcall::Client::in_process(server).map(Self)
                }

                #(#calling)*
            }
        }
    }

    fn calls(&self, methods: &[Method<'_>], spot: Spot) -> TokenStream {
        let declared = methods.iter().map(|method| {
            let (docs, signature) = (as_client(method), self.signature(method, quote!(), spot));
            let result = self.result(method, spot);
            quote!(#docs #signature -> ::farcall::Calling<#result>;)
        });
        let forwarded = methods.iter().map(|method| {
            let (signature, name) = (self.signature(method, quote!(), spot), ident(&method.name));
            let result = self.result(method, spot);
            let passed = method.arguments().map(|(_, name)| name);
            quote! {
                #signature -> ::farcall::Calling<#result> {
                    Client::#name(self, #(#passed),*)
                }
            }
        });
        quote! {
            /// The calls of this version, for code that takes a [`Client`] or a stand-in for it.
            /// A stand-in answers with `Calling::ready`.
            pub trait Calls: Send + Sync {
                #(#declared)*
            }

            impl Calls for Client {
                #(#forwarded)*
            }
        }
    }

    fn blocking(&self, methods: &[Method<'_>], spot: Spot) -> TokenStream {
        let calling = methods.iter().map(|method| {
            let (docs, signature) = (as_client(method), self.signature(method, quote!(pub), spot));
            let (result, request) = (self.result(method, spot), self.request(method, spot));
            quote! {
                #docs
                ///
                /// # Errors
                /// Why there is no result.
                #signature -> Result<#result, ::farcall::Error> {
                    self.0.call(#request)
                }
            }
        });
        quote! {
            /// Calls this version on a server, and waits for each result.
            #[derive(Debug)]
            pub struct BlockingClient(::farcall::blocking::Client);

            impl From<::farcall::blocking::Client> for BlockingClient {
                fn from(client: ::farcall::blocking::Client) -> Self {
                    Self(client)
                }
            }

            impl BlockingClient {
                /// Connects to an endpoint such as `tcp://host`. Without a port, the host's
                /// rpcbind is asked where this version is.
                ///
                /// # Errors
                /// The host, the program or the port cannot be found, or the connection is
                /// refused.
                pub fn connect(
                    endpoint: impl ::farcall::IntoEndpoint,
                ) -> Result<Self, ::farcall::Error> {
                    ::farcall::blocking::Client::connect(endpoint, PROGRAM.number, PROGRAM.version)
                        .map(Self)
                }

                /// As [`connect`](Self::connect), with options.
                ///
                /// # Errors
                /// As [`connect`](Self::connect).
                pub fn connect_with(
                    endpoint: impl ::farcall::IntoEndpoint,
                    options: ::farcall::client::Options,
                ) -> Result<Self, ::farcall::Error> {
                    let (program, version) = (PROGRAM.number, PROGRAM.version);
                    ::farcall::blocking::Client::connect_with(endpoint, program, version, options)
                        .map(Self)
                }

                #(#calling)*
            }
        }
    }

    /// A method's visibility, name and parameters.
    fn signature(&self, method: &Method<'_>, visible: TokenStream, spot: Spot) -> TokenStream {
        let (name, allow) = (ident(&method.name), method.allow());
        let args = method.arguments().map(|(arg, name)| {
            let ty = self.borrowed_type(&arg.ty, "", spot.site);
            quote!(#name: #ty)
        });
        quote!(#allow #visible fn #name(&self, #(#args),*))
    }

    fn result(&self, method: &Method<'_>, spot: Spot) -> TokenStream {
        self.rust_type(&method.procedure.result, "", spot.site)
    }

    /// What a client hands on: description, number, arguments, and how to read the result.
    fn request(&self, method: &Method<'_>, spot: Spot) -> TokenStream {
        let number = unsuffixed(method.procedure.number);
        let arguments: Vec<_> = method
            .arguments()
            .map(|(arg, name)| {
                let value = match self.copies(&arg.ty) {
                    true => Value::Place(quote!(#name)),
                    false => Value::Reference(quote!(#name)),
                };
                (&arg.ty, value)
            })
            .collect();
        let arguments = self.encodable(&arguments);
        let decode = match &method.procedure.result {
            Type::Void => quote!(|_| Ok(())),
            ty => {
                let decode = self.decode(ty, "", spot.site);
                quote!(|r| #decode)
            }
        };
        quote!(&PROGRAM, #number, #arguments, #decode)
    }
}

/// Documentation that points at the client's method.
fn as_client(method: &Method<'_>) -> TokenStream {
    let name = method.name.strip_prefix("r#").unwrap_or(&method.name);
    let text = format!(" As [`Client::{name}`].");
    quote!(#[doc = #text])
}
