//! The codec of a union: a discriminant, and what it chooses.

use proc_macro2::TokenStream;
use quote::quote;

use crate::model::{Field, ItemId, Type, Union};

use super::codec::Value;
use super::names::{self, Scope};
use super::plan::{Choice, Form, Plan, Variant};
use super::text::{ident, int, len};
use super::types::Site;

/// What a discriminant is in generated code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Discriminant {
    Int,
    UInt,
    Bool,
    Enum(ItemId),
}

impl Plan<'_> {
    /// What chooses the union's arm. An enum that the user has elsewhere is a number here.
    pub(crate) fn discriminant(&self, it: &Union) -> Discriminant {
        match self.behind(&it.discriminant.ty, "").0 {
            Type::Bool => Discriminant::Bool,
            Type::UInt => Discriminant::UInt,
            Type::Named(id) if self.extern_path(*id).is_none() => Discriminant::Enum(*id),
            _ => Discriminant::Int,
        }
    }
}

impl Discriminant {
    pub(crate) fn rust_type(self, plan: &Plan<'_>, site: Site) -> TokenStream {
        match self {
            Self::Int => quote!(i32),
            Self::UInt => quote!(u32),
            Self::Bool => quote!(bool),
            Self::Enum(id) => plan.path(id, site),
        }
    }

    /// The discriminant `value` as a pattern and as an expression.
    fn literal(self, plan: &Plan<'_>, value: i64) -> TokenStream {
        match self {
            Self::Int | Self::UInt => int(value.into()),
            Self::Bool => match value {
                0 => quote!(false),
                _ => quote!(true),
            },
            Self::Enum(id) => {
                let named = plan.model.as_enum(&Type::Named(id));
                let values = named.map_or(&[][..], |(_, it)| &it.values);
                let at = values.iter().position(|one| i64::from(one.value) == value);
                let member = at.and_then(|at| plan.members(id).get(at));
                let (path, member) = (plan.path(id, Site::TYPES), member.map(|m| ident(m)));
                quote!(#path::#member)
            }
        }
    }

    fn decode(self, plan: &Plan<'_>) -> TokenStream {
        match self {
            Self::Int => quote!(r.i32()),
            Self::UInt => quote!(r.u32()),
            Self::Bool => quote!(r.bool()),
            Self::Enum(id) => {
                let path = plan.path(id, Site::TYPES);
                quote!(#path::decode(r))
            }
        }
    }

    /// Writes the discriminant `value`.
    fn encode(self, value: i64) -> TokenStream {
        let number = int(value.into());
        match self {
            Self::Int | Self::Enum(_) => quote!(w.i32(#number)),
            Self::UInt => quote!(w.u32(#number)),
            Self::Bool if value == 0 => quote!(w.bool(false)),
            Self::Bool => quote!(w.bool(true)),
        }
    }

    /// Writes the discriminant that the variable `kept` refers to.
    fn encode_kept(self) -> TokenStream {
        match self {
            Self::Int => quote!(w.i32(*kept)),
            Self::UInt => quote!(w.u32(*kept)),
            Self::Bool => quote!(w.bool(*kept)),
            Self::Enum(_) => quote!(kept.encode(w)),
        }
    }

    /// The discriminant in the variable `other`, as `i64`.
    fn widened(self, other: &TokenStream) -> TokenStream {
        match self {
            Self::Enum(_) => quote!(i64::from(i32::from(#other))),
            _ => quote!(i64::from(#other)),
        }
    }
}

/// A union on its way to becoming a codec.
pub(crate) struct UnionCodec<'p, 'm> {
    plan: &'p Plan<'m>,
    id: ItemId,
    item: &'m str,
    it: &'m Union,
    variants: Vec<Variant<'m>>,
    kind: Discriminant,
    site: Site,
}

impl<'p, 'm> UnionCodec<'p, 'm> {
    pub(crate) fn new(plan: &'p Plan<'m>, id: ItemId, it: &'m Union, site: Site) -> Self {
        Self {
            plan,
            id,
            item: &plan.model.item(id).name,
            it,
            variants: plan.variants(it),
            kind: plan.discriminant(it),
            site,
        }
    }

    fn place(&self, field: &Field) -> String {
        format!("{}.{}", self.item, field.name)
    }

    /// Whether cases alone cover every value that the discriminant can have.
    fn is_complete(&self) -> bool {
        let chosen = |value: i64| {
            let mut variants = self.variants.iter();
            variants.any(|v| matches!(v.choice, Choice::Case(_, case) if case == value))
        };
        match self.kind {
            Discriminant::Bool => chosen(0) && chosen(1),
            Discriminant::Enum(id) if !self.plan.is_open(id) => {
                let named = self.plan.model.as_enum(&self.it.discriminant.ty);
                named.is_some_and(|(_, it)| it.values.iter().all(|v| chosen(v.value.into())))
            }
            _ => false,
        }
    }

    /// The discriminants that have an arm of their own, as patterns.
    fn cases(&self) -> Vec<TokenStream> {
        let cases = self
            .variants
            .iter()
            .filter_map(|variant| match variant.choice {
                Choice::Case(_, value) => Some(self.kind.literal(self.plan, value)),
                Choice::Default => None,
            });
        cases.collect()
    }

    pub(crate) fn measure(&self, flat: Option<usize>) -> TokenStream {
        if let Some(flat) = flat {
            let flat = len(flat);
            return quote!(size.add(#flat); Ok(()));
        }
        let arms = self.variants.iter().map(|variant| {
            let name = ident(&variant.name);
            let carried = variant.field.map(|field| self.measure_field(field));
            match (variant.choice, carried) {
                (Choice::Case(..), None) => quote!(Self::#name => Ok(()),),
                (Choice::Case(..), Some((value, body))) => {
                    quote!(Self::#name(#value) => #body,)
                }
                (Choice::Default, None) => {
                    let check = self.check();
                    quote!(Self::#name(kept) => { #check Ok(()) })
                }
                (Choice::Default, Some((value, body))) => {
                    let check = self.check();
                    quote!(Self::#name(kept, #value) => { #check #body })
                }
            }
        });
        quote! {
            size.add(4);
            match self { #(#arms)* }
        }
    }

    /// How an arm names what it carries, and how that is measured.
    fn measure_field(&self, field: &Field) -> (TokenStream, TokenStream) {
        let value = Value::Reference(quote!(value));
        let form = self.site.form;
        let body = self
            .plan
            .measure(&field.ty, &self.place(field), &value, form);
        let name = &field.name;
        match self.plan.flat_len(&field.ty) {
            Some(_) => (quote!(_), body),
            None => (quote!(value), quote!(#body.at(#name))),
        }
    }

    /// Refuses a kept discriminant that has an arm of its own.
    fn check(&self) -> TokenStream {
        let (cases, name) = (self.cases(), self.item);
        let value = self.kind.widened(&quote!(*kept));
        quote! {
            if matches!(*kept, #(#cases)|*) {
                return Err(::farcall_wire::EncodeError::new(
                    ::farcall_wire::EncodeErrorKind::BadDiscriminant { name: #name, value: #value },
                ));
            }
        }
    }

    pub(crate) fn encode(&self) -> TokenStream {
        let arms = self.variants.iter().map(|variant| {
            let name = ident(&variant.name);
            let tag = match variant.choice {
                Choice::Case(_, value) => self.kind.encode(value),
                Choice::Default => self.kind.encode_kept(),
            };
            let kept = matches!(variant.choice, Choice::Default).then(|| quote!(kept));
            let Some(field) = variant.field else {
                return match kept {
                    None => quote!(Self::#name => #tag,),
                    Some(kept) => quote!(Self::#name(#kept) => #tag,),
                };
            };
            let value = Value::Reference(quote!(value));
            let form = self.site.form;
            let body = self
                .plan
                .encode(&field.ty, &self.place(field), &value, form);
            let kept = kept.map(|kept| quote!(#kept,));
            quote!(Self::#name(#kept value) => { #tag; #body; })
        });
        quote!(match self { #(#arms)* })
    }

    pub(crate) fn decode(&self) -> TokenStream {
        let (tag, name) = (self.kind.decode(self.plan), &self.it.discriminant.name);
        let complete = self.is_complete();
        let arms = self.variants.iter().map(|variant| match variant.choice {
            Choice::Case(_, value) => {
                let pattern = self.kind.literal(self.plan, value);
                let body = self.decode_arm(variant);
                quote!(#pattern => #body,)
            }
            Choice::Default if complete => TokenStream::new(),
            Choice::Default => {
                let body = self.decode_arm(variant);
                quote!(kept => #body,)
            }
        });
        // req: xdr-4506-4.15-union
        let otherwise = (!complete && self.it.default.is_none()).then(|| {
            let (name, value) = (self.item, self.kind.widened(&quote!(other)));
            quote! {
                other => Err(r.error(::farcall_wire::DecodeErrorKind::BadDiscriminant {
                    name: #name,
                    value: #value,
                })),
            }
        });
        quote! {
            match #tag.at(#name)? {
                #(#arms)*
                #otherwise
            }
        }
    }

    fn decode_arm(&self, variant: &Variant<'_>) -> TokenStream {
        let name = ident(&variant.name);
        let kept = matches!(variant.choice, Choice::Default);
        let Some(field) = variant.field else {
            return match kept {
                true => quote!(Ok(Self::#name(kept))),
                false => quote!(Ok(Self::#name)),
            };
        };
        let value = self.plan.decode(&field.ty, &self.place(field), self.site);
        let field = &field.name;
        match kept {
            true => quote!(#value.at(#field).map(|value| Self::#name(kept, value))),
            false => quote!(#value.at(#field).map(Self::#name)),
        }
    }

    /// The method that tells the discriminant.
    pub(crate) fn chosen(&self) -> TokenStream {
        let original = &self.it.discriminant.name;
        let taken = ["clone", "decode", "encode", "measure", "to_owned"];
        let method = ident(&Scope::new(&taken).claim(&names::snake(original)));
        let ty = self.kind.rust_type(self.plan, Site::TYPES);
        let arms = self.variants.iter().map(|variant| {
            let name = ident(&variant.name);
            let rest = variant.field.map(|_| quote!((..)));
            match variant.choice {
                Choice::Case(_, value) => {
                    let value = self.kind.literal(self.plan, value);
                    quote!(Self::#name #rest => #value,)
                }
                Choice::Default => quote!(Self::#name(kept, ..) => *kept,),
            }
        });
        let docs = format!(" `{original}`, which chooses the variant.");
        let path = self.plan.path(self.id, self.site);
        let lifetime = self.is_lent().then(|| quote!(<'_>));
        quote! {
            impl #path #lifetime {
                #[doc = #docs]
                #[allow(dead_code)]
                pub fn #method(&self) -> #ty {
                    match self { #(#arms)* }
                }
            }
        }
    }

    fn is_lent(&self) -> bool {
        self.site.form == Form::Borrowed && self.plan.twin(self.id).is_some()
    }

    /// `to_owned` of a borrowing twin.
    pub(crate) fn owning(&self) -> TokenStream {
        if !self.is_lent() {
            return TokenStream::new();
        }
        let owned = self.plan.path(self.id, Site::TYPES);
        let arms = self.variants.iter().map(|variant| {
            let name = ident(&variant.name);
            let kept = matches!(variant.choice, Choice::Default);
            let (pattern, copy) = match kept {
                true => (quote!(kept,), quote!(*kept,)),
                false => (quote!(), quote!()),
            };
            match variant.field {
                None if kept => quote!(Self::#name(kept) => #owned::#name(*kept),),
                None => quote!(Self::#name => #owned::#name,),
                Some(field) => {
                    let value = Value::Reference(quote!(value));
                    let value = self.plan.owned(&field.ty, &self.place(field), &value);
                    quote!(Self::#name(#pattern value) => #owned::#name(#copy #value),)
                }
            }
        });
        self.plan
            .to_owned(self.id, quote!(match self { #(#arms)* }))
    }
}
