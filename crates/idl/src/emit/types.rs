//! Definitions: constants, and the Rust type for each type of the interface.
//!
//! How a type is named and held is decided in [`plan`](super::plan); how it travels is written by
//! [`codec`](super::codec).

use proc_macro2::{Literal, TokenStream};
use quote::quote;

use crate::model::{Enum, Field, Item, ItemId, ItemKind, Struct, Type, Union};

use super::names::{Scope, screaming};
use super::plan::{Choice, Form, Holder, Plan, Variant};
use super::text::{Docs, ident, int, tokens};

/// Where generated code stands, and in which form.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Site {
    /// Whether values own or borrow.
    pub(crate) form: Form,
    /// How many modules deep below the types.
    pub(crate) depth: usize,
}

impl Site {
    /// Beside the types, owning.
    pub(crate) const TYPES: Self = Self {
        form: Form::Owned,
        depth: 0,
    };
    /// Beside the types, borrowing.
    pub(crate) const TWINS: Self = Self {
        form: Form::Borrowed,
        depth: 0,
    };
}

impl<'m> Plan<'m> {
    /// The name of an item's type, without lifetime, as it is called from `site`.
    pub(crate) fn path(&self, id: ItemId, site: Site) -> TokenStream {
        if let Some(path) = self.extern_path(id) {
            return tokens(path);
        }
        let name = match (site.form, self.twin(id)) {
            (Form::Borrowed, Some(twin)) => ident(twin),
            _ => ident(self.name(id)),
        };
        let up = (0..site.depth).map(|_| quote!(super::));
        quote!(#(#up)* #name)
    }

    /// An item's type, as it is called from `site`.
    fn named(&self, id: ItemId, site: Site) -> TokenStream {
        let path = self.path(id, site);
        match site.form {
            Form::Borrowed if self.twin(id).is_some() => quote!(#path<'a>),
            _ => path,
        }
    }

    /// The Rust type of `ty` at `place`.
    pub(crate) fn rust_type(&self, ty: &Type, place: &str, site: Site) -> TokenStream {
        match ty {
            Type::Void => quote!(()),
            Type::Int => quote!(i32),
            Type::UInt => quote!(u32),
            Type::Hyper => quote!(i64),
            Type::UHyper => quote!(u64),
            Type::Float => quote!(f32),
            Type::Double => quote!(f64),
            Type::Quadruple => quote!(::farcall_wire::Quadruple),
            Type::Bool => quote!(bool),
            Type::Small { bits, signed } => small(*bits, *signed),
            Type::OpaqueFixed(n) => array(quote!(u8), *n, self.is_large(ty)),
            Type::OpaqueVar(_) | Type::String(_) => held(self.holder(ty, place, site.form)),
            Type::Named(id) => self.named(*id, site),
            Type::Array(inner, n) => {
                let inner = self.rust_type(inner, place, site);
                array(inner, *n, self.is_large(ty))
            }
            Type::Vec(inner, _) => {
                let inner = self.rust_type(inner, place, site);
                quote!(Vec<#inner>)
            }
            Type::Optional(inner) => {
                let boxed = self.is_boxed(inner);
                let inner = self.rust_type(inner, place, site);
                match boxed {
                    true => quote!(Option<Box<#inner>>),
                    false => quote!(Option<#inner>),
                }
            }
            Type::List(id) | Type::Chain(id) => {
                let node = self.named(*id, site);
                quote!(Vec<#node>)
            }
        }
    }

    /// The type in which a client takes an argument: by value if it is `Copy`.
    pub(crate) fn borrowed_type(&self, ty: &Type, place: &str, site: Site) -> TokenStream {
        let whole = self.rust_type(ty, place, site);
        if self.copies(ty) {
            return whole;
        }
        let (behind, place) = self.behind(ty, place);
        match behind {
            Type::OpaqueVar(_) | Type::String(_) => match self.holder(behind, place, Form::Owned) {
                Holder::Vec => quote!(&[u8]),
                Holder::String => quote!(&str),
                _ => quote!(&#whole),
            },
            Type::Vec(inner, _) => {
                let inner = self.rust_type(inner, place, site);
                quote!(&[#inner])
            }
            Type::List(id) | Type::Chain(id) => {
                let node = self.named(*id, site);
                quote!(&[#node])
            }
            _ => quote!(&#whole),
        }
    }

    /// The definition of an item, its twin included.
    pub(crate) fn define(&self, id: ItemId) -> TokenStream {
        let item = self.model.item(id);
        if self.extern_path(id).is_some() {
            return TokenStream::new();
        }
        match &item.kind {
            ItemKind::Const(value) => self.constant(id, item, *value),
            ItemKind::Enum(it) if self.is_open(id) => self.open_enum(id, item, it),
            ItemKind::Enum(it) => self.closed_enum(id, item, it),
            ItemKind::Struct(it) => self.both(id, |site| self.structure(id, item, it, site)),
            ItemKind::Union(it) => self.both(id, |site| self.union(id, item, it, site)),
            ItemKind::Typedef(ty) => self.both(id, |site| self.alias(id, item, ty, site)),
        }
    }

    fn both(&self, id: ItemId, one: impl Fn(Site) -> TokenStream) -> TokenStream {
        let owned = one(Site::TYPES);
        match self.twin(id) {
            Some(_) => {
                let twin = one(Site::TWINS);
                quote!(#owned #twin)
            }
            None => owned,
        }
    }

    /// The documentation of an item in the form that `site` asks for.
    fn item_docs(&self, id: ItemId, item: &Item, site: Site) -> Docs {
        let docs = Docs::of(&item.docs).renamed(&item.name, self.name(id));
        match site.form {
            Form::Owned => docs,
            Form::Borrowed => docs.line(format!(
                "Borrows from the message; [`{}`] owns.",
                self.name(id)
            )),
        }
    }

    fn constant(&self, id: ItemId, item: &Item, value: i128) -> TokenStream {
        let docs = self
            .item_docs(id, item, Site::TYPES)
            .allowing(&["dead_code"]);
        let name = ident(self.name(id));
        let ty = match value {
            0..=0xffff_ffff => quote!(u32),
            -0x8000_0000..=-1 => quote!(i32),
            _ if value > i128::from(i64::MAX) => quote!(u64),
            _ => quote!(i64),
        };
        let value = int(value);
        quote!(#docs pub const #name: #ty = #value;)
    }

    fn alias(&self, id: ItemId, item: &Item, ty: &Type, site: Site) -> TokenStream {
        let docs = self
            .item_docs(id, item, site)
            .limited(ty)
            .allowing(&["dead_code"]);
        let name = self.named(id, site);
        let ty = self.rust_type(ty, &item.name, site);
        quote!(#docs pub type #name = #ty;)
    }

    /// The derived traits and the attributes that the configuration adds.
    fn attributes(&self, item: &Item, derived: &[&str]) -> TokenStream {
        let extra = self.config.derives.iter();
        let extra = extra.filter(|(paths, _)| paths.contains(&item.name));
        let derives = derived
            .iter()
            .copied()
            .chain(extra.map(|(_, path)| path.as_str()))
            .map(tokens);
        let attributes = self.config.attributes.iter();
        let attributes = attributes
            .filter(|(paths, _)| paths.contains(&item.name))
            .map(|(_, attribute)| tokens(attribute));
        quote!(#[derive(#(#derives),*)] #(#attributes)*)
    }

    fn derived(&self, id: ItemId) -> Vec<&'static str> {
        let mut derived = vec!["Clone", "Debug", "PartialEq"];
        if self.is_copy(id) {
            derived.insert(1, "Copy");
        }
        if self.is_total(id) {
            derived.extend(["Eq", "Hash"]);
        }
        derived
    }

    fn structure(&self, id: ItemId, item: &Item, it: &Struct, site: Site) -> TokenStream {
        let mut docs = self.item_docs(id, item, site);
        if let Some(link) = &it.link {
            docs = docs.line(format!(
                "One of a list: its link `{link}` is the next element of the `Vec` it stands in."
            ));
        }
        let fields: Vec<_> = it
            .fields
            .iter()
            .zip(self.members(id))
            .map(|(field, name)| self.member(item, field, name, site))
            .collect();
        let silent = it.fields.iter().any(|field| field.docs.trim().is_empty());
        let docs = docs.allowing(&quieted(&["dead_code"], silent));
        let attributes = self.attributes(item, &self.derived(id));
        let name = self.named(id, site);
        quote! {
            #docs
            #attributes
            pub struct #name { #(#fields)* }
        }
    }

    fn member(&self, item: &Item, field: &Field, name: &str, site: Site) -> TokenStream {
        let docs = Docs::of(&field.docs)
            .renamed(&field.name, name)
            .limited(&field.ty);
        let ident = ident(name);
        let place = format!("{}.{}", item.name, field.name);
        let ty = self.rust_type(&field.ty, &place, site);
        quote!(#docs pub #ident: #ty,)
    }

    fn closed_enum(&self, id: ItemId, item: &Item, it: &Enum) -> TokenStream {
        let silent = it.values.iter().any(|value| value.docs.trim().is_empty());
        let lints = quieted(&["dead_code", "clippy::enum_variant_names"], silent);
        let docs = self.item_docs(id, item, Site::TYPES).allowing(&lints);
        let derived = [
            "Clone",
            "Copy",
            "Debug",
            "PartialEq",
            "Eq",
            "PartialOrd",
            "Ord",
            "Hash",
        ];
        let attributes = self.attributes(item, &derived);
        let name = ident(self.name(id));
        let values = it
            .values
            .iter()
            .zip(self.members(id))
            .map(|(value, member)| {
                let docs = Docs::of(&value.docs).renamed(&value.name, member);
                let member = ident(member);
                let number = int(value.value.into());
                quote!(#docs #member = #number,)
            });
        let aliases = self.aliases(id, it);
        quote! {
            #docs
            #attributes
            #[repr(i32)]
            pub enum #name { #(#values)* }

            #aliases
        }
    }

    /// The further names of an enum's values, as constants.
    fn aliases(&self, id: ItemId, it: &Enum) -> TokenStream {
        if it.aliases.is_empty() {
            return TokenStream::new();
        }
        let mut scope = Scope::new(&[]);
        scope.claim_all(self.members(id));
        let constants = it.aliases.iter().filter_map(|alias| {
            let at = it
                .values
                .iter()
                .position(|value| value.value == alias.value)?;
            let member = ident(self.members(id).get(at)?);
            let constant = scope.claim(&screaming(&alias.name));
            let docs = Docs::of(&alias.docs).renamed(&alias.name, &constant);
            let (docs, constant) = (docs.allowing(&["dead_code"]), ident(&constant));
            Some(quote!(#docs pub const #constant: Self = Self::#member;))
        });
        let (name, constants) = (ident(self.name(id)), constants.collect::<Vec<_>>());
        quote!(impl #name { #(#constants)* })
    }

    fn open_enum(&self, id: ItemId, item: &Item, it: &Enum) -> TokenStream {
        let docs = self.item_docs(id, item, Site::TYPES);
        let docs = docs.line("Numbers that are not listed are kept.".to_owned());
        let docs = docs.allowing(&["dead_code"]);
        let derived = ["Clone", "Copy", "PartialEq", "Eq", "PartialOrd", "Ord"];
        let attributes = self.attributes(item, &[&derived[..], &["Hash"]].concat());
        let name = ident(self.name(id));
        let values = it
            .values
            .iter()
            .zip(self.members(id))
            .map(|(value, member)| {
                let docs = Docs::of(&value.docs)
                    .renamed(&value.name, member)
                    .allowing(&["dead_code"]);
                let member = ident(member);
                let number = int(value.value.into());
                quote!(#docs pub const #member: Self = Self(#number);)
            });
        let (printed, aliases) = (self.printed(id, it), self.aliases(id, it));
        quote! {
            #docs
            #attributes
            pub struct #name(
                /// The number on the wire.
                pub i32,
            );

            impl #name { #(#values)* }

            #aliases

            #printed
        }
    }

    /// `Debug` of an open enum: the name of a listed value, else the number.
    fn printed(&self, id: ItemId, it: &Enum) -> TokenStream {
        let name = ident(self.name(id));
        let text = self.name(id);
        let values = it
            .values
            .iter()
            .zip(self.members(id))
            .map(|(value, member)| {
                let (member, original) = (ident(member), &value.name);
                quote!(Self::#member => f.write_str(#original),)
            });
        quote! {
            impl ::core::fmt::Debug for #name {
                fn fmt(&self, f: &mut ::core::fmt::Formatter<'_>) -> ::core::fmt::Result {
                    match *self {
                        #(#values)*
                        Self(other) => f.debug_tuple(#text).field(&other).finish(),
                    }
                }
            }
        }
    }

    fn union(&self, id: ItemId, item: &Item, it: &'m Union, site: Site) -> TokenStream {
        let variants = self.variants(it);
        let docs = self.item_docs(id, item, site).allowing(&[
            "dead_code",
            "clippy::enum_variant_names",
            "clippy::large_enum_variant",
        ]);
        let bodies: Vec<_> = variants
            .iter()
            .map(|variant| self.variant(item, it, variant, site))
            .collect();
        let attributes = self.attributes(item, &self.derived(id));
        let name = self.named(id, site);
        quote! {
            #docs
            #attributes
            pub enum #name { #(#bodies)* }
        }
    }

    fn variant(&self, item: &Item, it: &Union, variant: &Variant<'_>, site: Site) -> TokenStream {
        let docs = Docs::of(variant.docs);
        let docs = match variant.choice {
            Choice::Default => docs.line(format!("Any other `{}`.", it.discriminant.name)),
            Choice::Case("", value) => docs.line(format!("`{}` is {value}.", it.discriminant.name)),
            Choice::Case(case, _) => docs.line(format!("`{}` is `{case}`.", it.discriminant.name)),
        };
        let raw = matches!(variant.choice, Choice::Default)
            .then(|| self.discriminant(it).rust_type(self, site));
        let carried = variant.field.map(|field| {
            let place = format!("{}.{}", item.name, field.name);
            self.rust_type(&field.ty, &place, site)
        });
        let parts: Vec<_> = raw.into_iter().chain(carried).collect();
        let docs = match variant.field {
            Some(field) => docs.extended(&field.docs).limited(&field.ty),
            None => docs,
        };
        let name = ident(&variant.name);
        match parts.is_empty() {
            true => quote!(#docs #name,),
            false => quote!(#docs #name(#(#parts),*),),
        }
    }
}

/// These lints, and the one that asks for documentation if some members are silent.
fn quieted<'a>(lints: &[&'a str], silent: bool) -> Vec<&'a str> {
    let missing = silent.then_some("missing_docs");
    lints.iter().copied().chain(missing).collect()
}

/// The type of rpcgen's `char` and `short`.
pub(crate) fn small(bits: u8, signed: bool) -> TokenStream {
    match (bits, signed) {
        (8, true) => quote!(i8),
        (8, false) => quote!(u8),
        (_, true) => quote!(i16),
        (_, false) => quote!(u16),
    }
}

fn array(element: TokenStream, n: u32, boxed: bool) -> TokenStream {
    let n = Literal::u32_unsuffixed(n);
    match boxed {
        true => quote!(Box<[#element; #n]>),
        false => quote!([#element; #n]),
    }
}

fn held(holder: Holder) -> TokenStream {
    match holder {
        Holder::Vec => quote!(Vec<u8>),
        Holder::Str => quote!(::farcall_wire::Str),
        Holder::Bytes => quote!(::farcall_wire::Bytes),
        Holder::String => quote!(String),
        Holder::Slice => quote!(&'a [u8]),
        Holder::Text => quote!(&'a str),
    }
}

impl Docs {
    /// Adds the declared bound of the type, if it has one.
    pub(crate) fn limited(self, ty: &Type) -> Self {
        match ty {
            Type::OpaqueVar(Some(max)) | Type::String(Some(max)) => {
                self.note(format!("at most {max} bytes"))
            }
            Type::Vec(_, Some(max)) => self.note(format!("at most {max} elements")),
            Type::Chain(_) => self.note("at least one".to_owned()),
            _ => self,
        }
    }
}
