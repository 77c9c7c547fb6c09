//! From a borrowing twin to the type that owns.

use proc_macro2::TokenStream;
use quote::quote;

use crate::model::{ItemId, Type};

use super::codec::{Member, Value};
use super::plan::{Form, Holder, Plan};
use super::text::ident;
use super::types::Site;

impl Plan<'_> {
    /// The owned value of what `value` refers to.
    pub(crate) fn owned(&self, ty: &Type, place: &str, value: &Value) -> TokenStream {
        if !self.lends(ty) {
            let it = value.receiver();
            return match self.copies(ty) {
                true => value.copied(),
                false => quote!(#it.clone()),
            };
        }
        let (ty, place) = self.behind(ty, place);
        let (it, referred) = (value.receiver(), value.referred());
        match ty {
            Type::OpaqueVar(_) | Type::String(_) => match self.holder(ty, place, Form::Owned) {
                Holder::Bytes => quote!(::farcall_wire::Bytes::copy_from_slice(#it)),
                Holder::Str => quote!(::farcall_wire::Str::from(#it.to_vec())),
                Holder::String => quote!(#it.to_string()),
                _ => quote!(#it.to_vec()),
            },
            Type::Array(inner, _) => {
                let one = self.owned_item(inner, place);
                if self.is_large(ty) {
                    return quote!(Box::new(#it.each_ref().map(#one)));
                }
                quote!(#it.each_ref().map(#one))
            }
            Type::Vec(inner, _) => {
                let one = self.owned_item(inner, place);
                quote!(#it.iter().map(#one).collect())
            }
            Type::List(id) | Type::Chain(id) => {
                let path = self.path(*id, Site::TWINS);
                quote!(#it.iter().map(#path::to_owned).collect())
            }
            Type::Optional(inner) => {
                if self.is_boxed(inner) {
                    let one = self.owned(inner, place, &Value::Reference(quote!(item)));
                    return quote!(#it.as_ref().map(|item| Box::new(#one)));
                }
                let one = self.owned_item(inner, place);
                quote!(#it.as_ref().map(#one))
            }
            Type::Named(id) => {
                let path = self.path(*id, Site::TWINS);
                quote!(#path::to_owned(#referred))
            }
            _ => quote!(#it.clone()),
        }
    }

    /// What makes an element own: a function or a closure.
    fn owned_item(&self, inner: &Type, place: &str) -> TokenStream {
        if let Type::Named(id) = self.behind(inner, place).0 {
            let path = self.path(*id, Site::TWINS);
            return quote!(#path::to_owned);
        }
        let one = self.owned(inner, place, &Value::Reference(quote!(item)));
        quote!(|item| #one)
    }

    /// The method `to_owned` of an item's twin.
    pub(crate) fn to_owned(&self, id: ItemId, body: TokenStream) -> TokenStream {
        let (twin, owned) = (self.path(id, Site::TWINS), self.path(id, Site::TYPES));
        quote! {
            impl #twin<'_> {
                /// The same value, which borrows nothing.
                #[allow(dead_code)]
                pub fn to_owned(&self) -> #owned { #body }
            }
        }
    }

    pub(crate) fn struct_owning(&self, id: ItemId, fields: &[Member<'_>]) -> TokenStream {
        let owned = self.path(id, Site::TYPES);
        let lines = fields.iter().map(|member| {
            let name = ident(member.name);
            let value = self.owned(&member.field.ty, &member.place, &member.value());
            quote!(#name: #value,)
        });
        self.to_owned(id, quote!(#owned { #(#lines)* }))
    }
}
