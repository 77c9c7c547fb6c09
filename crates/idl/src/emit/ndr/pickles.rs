//! What is serialized outside of calls: `encode` and `decode` in the interface file or its ACF.
//!
//! Read first: MS-RPCE sections 2.2.6 and 2.2.7, and `farcall_wire::ndr::pickle`. A type gets two functions in the
//! file's module `pickles`, for either version of type serialization; an operation gets them in the module
//! `pickles` of its interface, for the one form that procedures have.

use proc_macro2::{Ident, TokenStream};
use quote::quote;

use crate::model::ndr::{Interface, Item, ItemId, ItemKind, Pointer, PointerClass, Type};

use super::super::names;
use super::super::text::{ident, len};
use super::expr::{Env, nothing};
use super::interface::{Method, Part};
use super::plan::{Plan, passed};
use super::shape::Site;
use super::types::uuid;

/// Where functions of types stand.
const TYPES: Site<'static> = Site::below(1);

/// Where functions of operations stand.
const OPERATIONS: Site<'static> = Site::below(2);

impl<'m> Plan<'m> {
    // req: idl-encode-type
    /// The module of the file's types that are serialized; nothing if there are none.
    pub(crate) fn pickled_types(&self) -> Option<TokenStream> {
        let items = self.defs.items();
        let items = items.filter(|(id, it)| it.used && self.is_pickled(*id, it));
        let functions: Vec<TokenStream> = items.map(|(id, it)| self.pickled_type(id, it)).collect();
        (!functions.is_empty()).then(|| {
            quote! {
                /// Values as bytes of their own, outside any call: type serialization of either
                /// version (MS-RPCE sections 2.2.6 and 2.2.7).
                #[allow(dead_code)]
                #[allow(clippy::ptr_arg, clippy::ref_option, clippy::trivially_copy_pass_by_ref)]
                pub mod pickles {
                    #[allow(unused_imports)]
                    use ::farcall_wire::ndr::{self, Shape as _};

                    #(#functions)*
                }
            }
        })
    }

    fn is_pickled(&self, id: ItemId, item: &Item) -> bool {
        let kind = !matches!(
            item.kind,
            ItemKind::Const { .. } | ItemKind::Pipe(_) | ItemKind::ContextHandle(_)
        );
        kind && (item.encode || item.decode) && self.extern_path(id).is_none()
    }

    fn pickled_type(&self, id: ItemId, item: &Item) -> TokenStream {
        let whole = Type::Named(id);
        let ty = self.pointed(&whole);
        let shape = self.lone_shape(ty, &Env::new(&nothing));
        let shape = shape.unwrap_or_else(|| quote!(ndr::Plain));
        let rust = self.lone_type(ty, TYPES);
        let (put, take) = match self.behind(ty) {
            Type::Base(_) => (ident("put_bare"), ident("take_bare")),
            _ => (ident("put"), ident("take")),
        };
        let bare = names::snake(&item.name);
        let encode = item.encode.then(|| {
            let name = ident(&format!("encode_{bare}"));
            let docs = format!(" A `{}` as bytes.", item.name);
            quote! {
                #[doc = #docs]
                ///
                /// # Errors
                /// What the interface does not allow.
                pub fn #name(
                    version: ndr::pickle::Version,
                    value: &#rust,
                ) -> Result<Vec<u8>, ::farcall_wire::EncodeError> {
                    let mut stream = ndr::pickle::Pickler::new(version);
                    stream.#put(#shape, value)?;
                    Ok(stream.into_bytes())
                }
            }
        });
        let decode = item.decode.then(|| {
            let name = ident(&format!("decode_{bare}"));
            let docs = format!(" A `{}` from bytes, which say their version.", item.name);
            quote! {
                #[doc = #docs]
                ///
                /// # Errors
                /// What is wrong with the bytes, others behind the value included.
                pub fn #name(
                    bytes: &[u8],
                    limits: ::farcall_wire::Limits,
                ) -> Result<#rust, ::farcall_wire::DecodeError> {
                    let mut stream = ndr::pickle::Unpickler::new(bytes, limits)?;
                    let value = stream.#take(#shape)?;
                    stream.finish()?;
                    Ok(value)
                }
            }
        });
        quote!(#encode #decode)
    }

    /// The type without reference pointers, which have no form where a value begins.
    fn pointed<'a>(&'a self, ty: &'a Type) -> &'a Type {
        let mut at = ty;
        while let Type::Pointer(it) = self.behind(at)
            && let Pointer {
                class: PointerClass::Ref,
                pointee,
                ..
            } = &**it
        {
            at = pointee;
        }
        at
    }

    /// The codecs of an operation that is serialized.
    pub(crate) fn pickled_codecs(&self, method: &Method<'m>) -> TokenStream {
        let operation = method.operation;
        let put = operation
            .encode
            .then(|| self.put_request(method, Part::Whole));
        let take = operation
            .decode
            .then(|| self.take_reply(method, Part::Whole));
        quote!(#put #take)
    }

    /// The module of an interface's operations that are serialized; nothing if there are none.
    pub(crate) fn pickled_operations(
        &self,
        interface: &Interface,
        methods: &[Method<'m>],
    ) -> Option<TokenStream> {
        let functions = methods.iter().map(|method| {
            let procedure = procedure(interface, method);
            let encode = method
                .operation
                .encode
                .then(|| self.encode(method, &procedure));
            let decode = method
                .operation
                .decode
                .then(|| self.decode(method, &procedure));
            quote!(#encode #decode)
        });
        (!methods.is_empty()).then(|| {
            quote! {
                /// Parameters as bytes of their own, outside any call.
                #[allow(clippy::ptr_arg, clippy::ref_option, clippy::too_many_arguments)]
                #[allow(clippy::trivially_copy_pass_by_ref)]
                pub mod pickles {
                    #[allow(unused_imports)]
                    use ::farcall_wire::ndr;

                    #(#functions)*
                }
            }
        })
    }

    fn encode(&self, method: &Method<'m>, procedure: &TokenStream) -> TokenStream {
        let (name, put) = (method.codec("encode_", ""), method.codec("put_", ""));
        let args = method.inputs().map(|(_, parameter, name)| {
            let ty = self.argument(passed(parameter), OPERATIONS);
            quote!(#name: #ty)
        });
        let names: Vec<Ident> = method.inputs().map(|(_, _, name)| name).collect();
        let docs = format!(
            " The `[in]` parameters of `{}` as bytes.",
            method.operation.name
        );
        quote! {
            #[doc = #docs]
            ///
            /// # Errors
            /// What the interface does not allow.
            pub fn #name(#(#args),*) -> Result<Vec<u8>, ::farcall_wire::EncodeError> {
                #procedure.to_bytes(|w| super::codec::#put(w, #(#names),*))
            }
        }
    }

    fn decode(&self, method: &Method<'m>, procedure: &TokenStream) -> TokenStream {
        let (name, take) = (method.codec("decode_", ""), method.codec("take_", "_reply"));
        let ty = self.output_of(method, OPERATIONS, Part::Whole);
        let docs = format!(
            " The `[out]` parameters of `{}` from bytes.",
            method.operation.name
        );
        quote! {
            #[doc = #docs]
            ///
            /// # Errors
            /// What is wrong with the bytes, and those of another operation.
            pub fn #name(
                bytes: &[u8],
                limits: ::farcall_wire::Limits,
            ) -> Result<#ty, ::farcall_wire::DecodeError> {
                #procedure.from_bytes(bytes, limits, super::codec::#take)
            }
        }
    }
}

/// What stands in front of the parameters.
fn procedure(interface: &Interface, method: &Method<'_>) -> TokenStream {
    let uuid = uuid(interface.uuid.unwrap_or_default());
    let (major, minor) = interface.version;
    let (major, minor) = (len(major.into()), len(minor.into()));
    let number = method.number();
    quote! {
        ndr::pickle::Procedure {
            interface: (#uuid, #major, #minor),
            number: #number,
        }
    }
}
