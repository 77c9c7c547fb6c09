//! Unions: an enum whose variants are the arms.
//!
//! An arm that one discriminant chooses is a plain variant. An arm of several, and the default
//! arm, keep the discriminant in front.

use proc_macro2::TokenStream;
use quote::quote;

use crate::model::ndr::{Arm, Base, EnumWidth, Field, Item, ItemId, ItemKind, Switch, Type, Union};

use super::super::text::{Docs, ident, int, len};
use super::expr::{Env, nothing};
use super::plan::Plan;
use super::shape::Site;
use super::types::unsigned;

/// An arm, worked out.
struct Variant<'p> {
    arm: &'p Arm,
    name: proc_macro2::Ident,
    field: Option<&'p Field>,
    /// Whether the variant keeps the discriminant.
    tagged: bool,
}

impl Variant<'_> {
    /// A pattern of the variant that binds what these say.
    fn pattern(&self, tag: TokenStream, field: TokenStream) -> TokenStream {
        let name = &self.name;
        match (self.tagged, self.field) {
            (false, None) => quote!(Self::#name),
            (false, Some(_)) => quote!(Self::#name(#field)),
            (true, None) => quote!(Self::#name(#tag)),
            (true, Some(_)) => quote!(Self::#name(#tag, #field)),
        }
    }

    /// The variant with this discriminant and nothing in it.
    fn empty(&self, tag: TokenStream) -> TokenStream {
        self.pattern(tag, quote!(Default::default()))
    }
}

impl<'m> Plan<'m> {
    /// A union's definition and codec.
    pub(crate) fn union(&self, id: ItemId, item: &Item, it: &Union) -> TokenStream {
        let name = ident(self.name(id));
        let docs = self.docs(id, item);
        let docs = docs.allowing(&["dead_code", "missing_docs", "clippy::large_enum_variant"]);
        let attributes = self.attributes(item, &self.derived(id));
        let variants = self.variants(id, it);
        let tag = self.tag_type(it);
        let defined = variants
            .iter()
            .map(|variant| self.variant(item, variant, &tag));
        let codec = self.union_codec(id, item, it, &variants, &tag);
        let first = variants.first().map(|variant| {
            let tag = self.tag_literal(it, variant.arm.cases.first().map_or(0, |case| case.value));
            variant.empty(tag)
        });
        quote! {
            #docs
            #attributes
            pub enum #name { #(#defined)* }

            impl Default for #name {
                fn default() -> Self { #first }
            }

            #codec
        }
    }

    fn variants<'p>(&'p self, id: ItemId, it: &'p Union) -> Vec<Variant<'p>> {
        let arms = it.arms.iter().zip(self.members(id));
        let variants = arms.map(|(arm, name)| Variant {
            arm,
            name: ident(name),
            field: arm.field.as_ref().filter(|field| {
                self.is_field(field) && !matches!(self.behind(&field.ty), Type::Void)
            }),
            tagged: arm.default || arm.cases.len() != 1,
        });
        variants.collect()
    }

    fn variant(&self, item: &Item, variant: &Variant<'_>, tag: &TokenStream) -> TokenStream {
        let name = &variant.name;
        let docs = variant.field.map_or("", |field| &field.docs);
        let original = variant.field.map(|field| field.name.as_str());
        let docs = Docs::of(docs);
        let docs = match original {
            Some(original) => docs.renamed(original, &name.to_string()),
            None => docs,
        };
        let ty = variant.field.map(|field| {
            let place = format!("{}.{}", item.name, field.name);
            self.rust_type(
                &field.ty,
                Site {
                    place: &place,
                    ..Site::TYPES
                },
            )
        });
        match (variant.tagged, ty) {
            (false, None) => quote!(#docs #name,),
            (false, Some(ty)) => quote!(#docs #name(#ty),),
            (true, None) => quote!(#docs #name(#tag),),
            (true, Some(ty)) => quote!(#docs #name(#tag, #ty),),
        }
    }

    /// The discriminant's type, resolved; `None` if nothing says.
    fn tag(&self, it: &Union) -> Option<Type> {
        let ty = match &it.switch {
            Switch::Encapsulated { ty, .. } | Switch::Separate { ty } => Some(ty),
            Switch::Outside { ty } => ty.as_ref(),
        };
        ty.map(|ty| match self.behind(ty) {
            Type::Range(inner, ..) => self.behind(inner).clone(),
            ty => ty.clone(),
        })
    }

    fn tag_type(&self, it: &Union) -> TokenStream {
        match self.tag(it) {
            Some(ty @ (Type::Base(_) | Type::Named(_))) => self.rust_type(&ty, Site::TYPES),
            _ => quote!(i64),
        }
    }

    /// A value of the discriminant's type.
    fn tag_literal(&self, it: &Union, value: i64) -> TokenStream {
        match self.tag(it) {
            Some(Type::Base(Base::Boolean)) => match value {
                0 => quote!(false),
                _ => quote!(true),
            },
            Some(Type::Base(base)) if base.is_signed() => int(value.into()),
            Some(Type::Base(base)) => int(unsigned(value, base.size() * 8)),
            Some(ty @ Type::Named(id)) => {
                let path = self.rust_type(&ty, Site::TYPES);
                let bits = match &self.defs.item(id).kind {
                    ItemKind::Enum(it) => match it.width {
                        EnumWidth::Bits8 => 8,
                        EnumWidth::Bits16 | EnumWidth::Default => 16,
                        EnumWidth::Bits32 => 32,
                    },
                    ItemKind::Bitmap(it) => it.width,
                    _ => 32,
                };
                let value = int(unsigned(value, bits));
                quote!(#path(#value))
            }
            _ => int(value.into()),
        }
    }

    /// What `int()` gives for the discriminant `value`.
    fn tag_int(&self, it: &Union, value: i64) -> TokenStream {
        let bits = match self.tag(it) {
            Some(Type::Base(base)) if !base.is_signed() => base.size() * 8,
            Some(Type::Named(id)) => match &self.defs.item(id).kind {
                ItemKind::Enum(it) => match it.width {
                    EnumWidth::Bits8 => 8,
                    EnumWidth::Bits16 | EnumWidth::Default => 16,
                    EnumWidth::Bits32 => 32,
                },
                ItemKind::Bitmap(it) => it.width,
                _ => return int(value.into()),
            },
            _ => return int(value.into()),
        };
        match bits {
            64 => int(value.into()),
            bits => int(unsigned(value, bits)),
        }
    }

    fn union_codec(
        &self,
        id: ItemId,
        item: &Item,
        it: &Union,
        variants: &[Variant<'_>],
        tag: &TokenStream,
    ) -> TokenStream {
        let (name, original, ms) = (ident(self.name(id)), &item.name, it.ms_union);
        let (ndr, ndr64) = self.arms_align(it);
        let (ndr, ndr64) = (len(ndr.into()), len(ndr64.into()));
        let tags = variants.iter().map(|variant| {
            let pattern = variant.pattern(quote!(tag), quote!(_));
            let value = match variant.tagged {
                true => quote!(*tag),
                false => self.tag_literal(it, variant.arm.cases.first().map_or(0, |c| c.value)),
            };
            quote!(#pattern => #value,)
        });
        let chosen = self.chosen(it, variants);
        let (put, take) = (
            self.arms(variants, quote!(put), quote!(w), false),
            self.arms(variants, quote!(take), quote!(r), false),
        );
        let ms = ms.then(|| {
            quote!(
                const MS: bool = true;
            )
        });
        let deep = variants.iter().any(|variant| {
            variant
                .field
                .is_some_and(|field| self.has_referents(&field.ty))
        });
        let referents = deep.then(|| {
            let put = self.arms(variants, quote!(put_referents), quote!(w), true);
            let take = self.arms(variants, quote!(take_referents), quote!(r), true);
            quote! {
                fn put_arm_referents(&self, w: &mut ndr::Writer) -> ndr::Put { #put }

                fn take_arm_referents(&mut self, r: &mut ndr::Reader<'_>) -> ndr::Take { #take }
            }
        });
        let holds = variants.iter().any(|variant| variant.field.is_some());
        let (w, r) = match holds {
            true => (quote!(w), quote!(r)),
            false => (quote!(_), quote!(_)),
        };
        quote! {
            impl ndr::Union for #name {
                type Tag = #tag;
                const NAME: &'static str = #original;
                const ARMS: ndr::Align = ndr::Align::new(#ndr, #ndr64);
                #ms

                fn tag(&self) -> #tag {
                    match self { #(#tags)* }
                }

                fn choose(tag: #tag) -> Option<Self> {
                    #chosen
                }

                fn put_arm(&self, #w: &mut ndr::Writer) -> ndr::Put { #put }

                fn take_arm(&mut self, #r: &mut ndr::Reader<'_>) -> ndr::Take { #take }

                #referents
            }
        }
    }

    fn chosen(&self, it: &Union, variants: &[Variant<'_>]) -> TokenStream {
        let cases = variants
            .iter()
            .filter(|variant| !variant.arm.cases.is_empty());
        let mut cases: Vec<TokenStream> = cases
            .filter(|variant| !variant.arm.default)
            .map(|variant| {
                let values = variant
                    .arm
                    .cases
                    .iter()
                    .map(|case| self.tag_int(it, case.value));
                let empty = variant.empty(quote!(tag));
                quote!(#(#values)|* => #empty,)
            })
            .collect();
        match variants.iter().find(|variant| variant.arm.default) {
            Some(default) => {
                let empty = default.empty(quote!(tag));
                cases.push(quote!(_ => #empty,));
            }
            None => cases.push(quote!(_ => return None,)),
        }
        quote!(Some(match tag.int() { #(#cases)* }))
    }

    /// One step of the arm that is chosen.
    fn arms(
        &self,
        variants: &[Variant<'_>],
        method: TokenStream,
        cursor: TokenStream,
        referents: bool,
    ) -> TokenStream {
        let mut rest = false;
        let mut arms = Vec::new();
        for variant in variants {
            let field = variant.field;
            let Some(field) = field.filter(|it| !referents || self.has_referents(&it.ty)) else {
                rest = true;
                continue;
            };
            let env = Env::new(&nothing);
            let shape = self.flagged_shape(&field.ty, field.flags, &env);
            let (pattern, text) = (variant.pattern(quote!(_), quote!(it)), &field.name);
            arms.push(match shape {
                None => quote!(#pattern => it.#method(#cursor).at(#text),),
                Some(shape) => quote!(#pattern => #shape.#method(it, #cursor).at(#text),),
            });
        }
        if arms.is_empty() {
            return quote!(Ok(()));
        }
        let rest = rest.then(|| quote!(_ => Ok(()),));
        quote!(match self { #(#arms)* #rest })
    }
}
