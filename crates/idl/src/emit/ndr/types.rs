//! Definitions: structs, unions, enumerations and bitmaps, handles, typedefs and constants.

use proc_macro2::{Literal, TokenStream};
use quote::quote;

use crate::model::ndr::{
    Base, Bitmap, Constant, Enum, EnumWidth, Field, Item, ItemId, ItemKind, Named, Struct, Switch,
    Type, Typedef,
};

use super::super::text::{Docs, ident, int, tokens};
use super::codec::StructCodec;
use super::plan::Plan;
use super::shape::{Site, base_type};

impl Plan<'_> {
    /// The definition of an item, and its codec.
    pub(crate) fn define(&self, id: ItemId) -> TokenStream {
        let item = self.defs.item(id);
        if self.extern_path(id).is_some() || !item.used {
            return TokenStream::new();
        }
        match &item.kind {
            ItemKind::Const { ty, value } => self.constant(id, item, ty, value),
            ItemKind::Enum(it) => self.enumeration(id, item, it),
            ItemKind::Bitmap(it) => self.bitmap(id, item, it),
            ItemKind::Struct(it) => self.structure(id, item, it),
            ItemKind::Union(it) => {
                let union = self.union(id, item, it);
                let encapsulated = matches!(it.switch, Switch::Encapsulated { .. }).then(|| {
                    let name = ident(self.name(id));
                    quote!(::farcall_wire::ndr_encapsulated!(#name);)
                });
                quote!(#union #encapsulated)
            }
            ItemKind::Typedef(it) => self.alias(id, item, it),
            ItemKind::ContextHandle(_) => self.handle(id, item),
            ItemKind::Pipe(inner) => {
                let (docs, name) = (self.docs(id, item), ident(self.name(id)));
                let docs = docs.allowing(&["dead_code"]);
                let inner = self.rust_type(inner, Site::TYPES);
                quote!(#docs pub type #name = ndr::Pipe<#inner>;)
            }
        }
    }

    pub(crate) fn docs(&self, id: ItemId, item: &Item) -> Docs {
        Docs::of(&item.docs).renamed(&item.name, self.name(id))
    }

    fn constant(&self, id: ItemId, item: &Item, ty: &Type, value: &Constant) -> TokenStream {
        let docs = self.docs(id, item).allowing(&["dead_code"]);
        let name = ident(self.name(id));
        let (ty, value) = match value {
            Constant::Integer(value) => integer(self.defs.on_wire(ty), *value),
            Constant::Float(value) => (quote!(f64), {
                let value = Literal::f64_unsuffixed(*value);
                quote!(#value)
            }),
            Constant::String(text) | Constant::WideString(text) => (quote!(&str), quote!(#text)),
            Constant::Uuid(uuid) => (quote!(::farcall_wire::Uuid), self::uuid(*uuid)),
            Constant::Null => return TokenStream::new(),
        };
        quote!(#docs pub const #name: #ty = #value;)
    }

    /// The derived traits and the attributes that the configuration adds.
    pub(crate) fn attributes(&self, item: &Item, derived: &[&str]) -> TokenStream {
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

    /// The traits of a struct or union.
    pub(crate) fn derived(&self, id: ItemId) -> Vec<&'static str> {
        let mut derived = vec!["Clone", "Debug", "PartialEq"];
        if self.is_copy(id) {
            derived.insert(1, "Copy");
        }
        if self.is_total(id) {
            derived.extend(["Eq", "Hash"]);
        }
        derived
    }

    fn structure(&self, id: ItemId, item: &Item, it: &Struct) -> TokenStream {
        let name = ident(self.name(id));
        let link = self.link(id);
        let docs = self.docs(id, item);
        let docs = match link.and_then(|at| it.fields.get(at)) {
            Some(link) => docs.line(format!(
                "One of a list: its pointer `{}` is to the next element of the `Vec` it stands in.",
                link.name
            )),
            None => docs,
        };
        let docs = docs.allowing(&["dead_code", "missing_docs"]);
        let mut derived = self.derived(id);
        derived.push("Default");
        let attributes = self.attributes(item, &derived);
        let fields = it.fields.iter().zip(self.members(id)).enumerate();
        let fields = fields.filter(|(at, (field, _))| link != Some(*at) && self.is_field(field));
        let fields = fields.map(|(_, (field, name))| self.member(item, field, name));
        let codec = StructCodec::new(self, id, item, it).print();
        quote! {
            #docs
            #attributes
            pub struct #name { #(#fields)* }

            #codec
        }
    }

    fn member(&self, item: &Item, field: &Field, name: &str) -> TokenStream {
        let docs = Docs::of(&field.docs).renamed(&field.name, name);
        let place = format!("{}.{}", item.name, field.name);
        let site = Site {
            place: &place,
            ..Site::TYPES
        };
        let (name, ty) = (ident(name), self.rust_type(&field.ty, site));
        quote!(#docs pub #name: #ty,)
    }

    fn enumeration(&self, id: ItemId, item: &Item, it: &Enum) -> TokenStream {
        let (ty, word, align) = match it.width {
            EnumWidth::Bits8 => (quote!(u8), quote!(u8), quote!(A1)),
            EnumWidth::Bits16 => (quote!(u16), quote!(u16), quote!(A2)),
            EnumWidth::Default => (quote!(u16), quote!(enum16), quote!(ENUM)),
            EnumWidth::Bits32 => (quote!(u32), quote!(u32), quote!(A4)),
        };
        let bits = match it.width {
            EnumWidth::Bits8 => 8,
            EnumWidth::Bits16 | EnumWidth::Default => 16,
            EnumWidth::Bits32 => 32,
        };
        self.newtype(id, item, &it.values, bits, (ty, word, align), "Enumeration")
    }

    fn bitmap(&self, id: ItemId, item: &Item, it: &Bitmap) -> TokenStream {
        let (ty, align) = match it.width {
            8 => (quote!(u8), quote!(A1)),
            16 => (quote!(u16), quote!(A2)),
            32 => (quote!(u32), quote!(A4)),
            _ => (quote!(u64), quote!(A8)),
        };
        let code = self.newtype(
            id,
            item,
            &it.bits,
            it.width,
            (ty.clone(), ty, align),
            "Bits",
        );
        let name = ident(self.name(id));
        quote! {
            #code
            ::farcall_wire::ndr_bits!(#name);
        }
    }

    /// A number some of whose values have names.
    fn newtype(
        &self,
        id: ItemId,
        item: &Item,
        values: &[Named],
        bits: u8,
        (ty, word, align): (TokenStream, TokenStream, TokenStream),
        what: &str,
    ) -> TokenStream {
        let name = ident(self.name(id));
        let text = format!("{what}; numbers that are not listed are kept.");
        let docs = self.docs(id, item).line(text).allowing(&["dead_code"]);
        let derived = [
            "Clone",
            "Copy",
            "Debug",
            "Default",
            "PartialEq",
            "Eq",
            "PartialOrd",
            "Ord",
            "Hash",
        ];
        let attributes = self.attributes(item, &derived);
        let constants = values.iter().zip(self.members(id)).map(|(value, member)| {
            let docs = Docs::of(&value.docs).renamed(&value.name, member);
            let (member, number) = (ident(member), int(unsigned(value.value, bits)));
            quote!(#docs pub const #member: Self = Self(#number);)
        });
        let constants = (!values.is_empty()).then(|| {
            quote! {
                #[allow(dead_code)]
                impl #name { #(#constants)* }
            }
        });
        quote! {
            #docs
            #attributes
            pub struct #name(pub #ty);

            #constants
            ::farcall_wire::ndr_number!(#name(#ty) #word #align);
        }
    }

    fn handle(&self, id: ItemId, item: &Item) -> TokenStream {
        let name = ident(self.name(id));
        let docs = self.docs(id, item).line("A context handle.".to_owned());
        let docs = docs.allowing(&["dead_code"]);
        let derived = [
            "Clone",
            "Copy",
            "Debug",
            "Default",
            "PartialEq",
            "Eq",
            "Hash",
        ];
        let attributes = self.attributes(item, &derived);
        quote! {
            #docs
            #attributes
            pub struct #name(pub ndr::ContextHandle);

            ::farcall_wire::ndr_same!(#name(ndr::ContextHandle));
        }
    }

    fn alias(&self, id: ItemId, item: &Item, it: &Typedef) -> TokenStream {
        let (docs, name) = (self.docs(id, item), ident(self.name(id)));
        let docs = docs.allowing(&["dead_code"]);
        let ty = match self.converted(id) {
            None => self.lone_type(&it.ty, Site::TYPES),
            Some(path) => tokens(path),
        };
        quote!(#docs pub type #name = #ty;)
    }
}

/// A UUID as an expression.
pub(crate) fn uuid(uuid: farcall_wire::Uuid) -> TokenStream {
    let (d1, d2, d3, d4) = uuid.fields();
    let hex = |value: u64, digits: usize| tokens(&format!("0x{value:0digits$x}"));
    let (d1, d2, d3) = (hex(d1.into(), 8), hex(d2.into(), 4), hex(d3.into(), 4));
    let d4 = d4.map(|byte| hex(byte.into(), 2));
    quote!(::farcall_wire::Uuid::new(#d1, #d2, #d3, [#(#d4),*]))
}

/// A number of an enumeration or bitmap without its sign.
pub(crate) fn unsigned(value: i64, bits: u8) -> i128 {
    let wide = i128::from(value);
    match bits {
        64 if value < 0 => wide + (1 << 64),
        64 => wide,
        bits => wide & ((1 << bits) - 1),
    }
}

/// Type and value of a constant.
fn integer(ty: &Type, value: i128) -> (TokenStream, TokenStream) {
    let fits = |base: &Base| {
        let bits = u32::from(base.size()) * 8;
        match base.is_signed() {
            true => (-(1_i128 << (bits - 1))..1 << (bits - 1)).contains(&value),
            false => (0..1_i128 << bits).contains(&value),
        }
    };
    match ty {
        Type::Base(Base::Boolean) => {
            let truth = value != 0;
            return (quote!(bool), quote!(#truth));
        }
        Type::Base(base) if base.is_integer() && *base != Base::Ipv4 && fits(base) => {
            return (base_type(*base), int(value));
        }
        _ => {}
    }
    let ty = match value {
        0..=0xffff_ffff => quote!(u32),
        -0x8000_0000..=-1 => quote!(i32),
        _ if value > i128::from(i64::MAX) => quote!(u64),
        _ => quote!(i64),
    };
    (ty, int(value))
}
