//! `Encode` and `Decode` for each type of the interface.
//!
//! Everything of a fixed size goes through `block::<N>()`, so that its bounds are checked once;
//! arrays of numbers go through the wire's bulk functions; lists are read in a loop, and other
//! recursive types count their levels. Bounds are checked where they are declared: while
//! measuring and while decoding.

use proc_macro2::{Literal, TokenStream};
use quote::quote;

use crate::model::{Enum, Field, ItemId, ItemKind, Struct, Type, Union};

use super::names::Scope;
use super::plan::{Form, Holder, Plan};
use super::text::{ident, int, len, max};
use super::types::{Site, small};
use super::unions::UnionCodec;

/// A value of ours on its way out: an expression for it.
#[derive(Clone, Debug)]
pub(crate) enum Value {
    /// A place, such as `self.name`.
    Place(TokenStream),
    /// A reference, such as an element.
    Reference(TokenStream),
}

impl Value {
    /// By value; the type is `Copy`.
    pub(crate) fn copied(&self) -> TokenStream {
        match self {
            Self::Place(it) => it.clone(),
            Self::Reference(it) => quote!(*#it),
        }
    }

    /// By reference.
    pub(crate) fn referred(&self) -> TokenStream {
        match self {
            Self::Place(it) => quote!(&#it),
            Self::Reference(it) => it.clone(),
        }
    }

    /// For a method call.
    pub(crate) fn receiver(&self) -> TokenStream {
        match self {
            Self::Place(it) | Self::Reference(it) => it.clone(),
        }
    }
}

/// A member of a struct, worked out.
pub(crate) struct Member<'m> {
    pub(crate) field: &'m Field,
    /// Its name in Rust.
    pub(crate) name: &'m str,
    pub(crate) place: String,
    flat: Option<usize>,
}

impl Member<'_> {
    pub(crate) fn value(&self) -> Value {
        let name = ident(self.name);
        Value::Place(quote!(self.#name))
    }

    fn bare(&self) -> &str {
        self.name.strip_prefix("r#").unwrap_or(self.name)
    }
}

/// The bodies of a codec's functions.
struct Bodies {
    measure: TokenStream,
    encode: TokenStream,
    decode: TokenStream,
}

/// Members in runs: those of fixed size that follow each other, or those that are not.
fn runs<'a, 'm>(fields: &'a [Member<'m>]) -> Vec<&'a [Member<'m>]> {
    fields
        .chunk_by(|a, b| a.flat.is_some() == b.flat.is_some())
        .collect()
}

/// The length of a run of at least two members of fixed size.
fn run_len(run: &[Member<'_>]) -> Option<Literal> {
    let total = run
        .iter()
        .try_fold(0_usize, |sum, member| Some(sum + member.flat?))?;
    (run.len() > 1).then(|| len(total))
}

/// The method of `Reader` and `Writer` for a basic type.
fn word(ty: &Type) -> Option<TokenStream> {
    Some(match ty {
        Type::Int => quote!(i32),
        Type::UInt => quote!(u32),
        Type::Hyper => quote!(i64),
        Type::UHyper => quote!(u64),
        Type::Float => quote!(f32),
        Type::Double => quote!(f64),
        Type::Bool => quote!(bool),
        _ => return None,
    })
}

impl<'m> Plan<'m> {
    /// The codecs of an item, its twin's included.
    pub(crate) fn codecs(&self, id: ItemId) -> TokenStream {
        if self.extern_path(id).is_some() {
            return TokenStream::new();
        }
        let one = |site| match &self.model.item(id).kind {
            ItemKind::Struct(it) => self.struct_codec(id, it, site),
            ItemKind::Union(it) => self.union_codec(id, it, site),
            ItemKind::Enum(it) => self.enum_codec(id, it),
            ItemKind::Const(_) | ItemKind::Typedef(_) => TokenStream::new(),
        };
        let owned = one(Site::TYPES);
        let twin = self.twin(id).map(|_| one(Site::TWINS));
        quote!(#owned #twin)
    }

    /// Whether the type has `Encode` and `Decode` itself and they say all there is to say.
    pub(crate) fn is_whole(&self, ty: &Type) -> bool {
        match self.behind(ty, "").0 {
            Type::Quadruple | Type::Small { .. } | Type::Named(_) => true,
            ty => word(ty).is_some(),
        }
    }

    /// Reads a value of the type from `r`: an expression of type `Result<_, DecodeError>`.
    pub(crate) fn decode(&self, ty: &Type, place: &str, site: Site) -> TokenStream {
        let (ty, place) = self.behind(ty, place);
        if let Some(word) = word(ty) {
            return quote!(r.#word());
        }
        match ty {
            Type::OpaqueFixed(n) => {
                let n = len(*n as usize);
                if self.is_large(ty) {
                    return quote!(::farcall_wire::compose::opaque_boxed(r));
                }
                quote!(r.opaque_fixed::<#n>().copied())
            }
            Type::OpaqueVar(bound) | Type::String(bound) => {
                let bound = max(*bound);
                match self.holder(ty, place, site.form) {
                    Holder::Vec => quote!(r.opaque_vec(#bound)),
                    Holder::Bytes => quote!(r.bytes_var(#bound)),
                    Holder::Slice => quote!(r.opaque_var(#bound)),
                    Holder::Text => quote!(::farcall_wire::compose::text_slice(r, #bound)),
                    Holder::Str => quote!(::farcall_wire::xdr::string_var(r, #bound)),
                    Holder::String => quote!(::farcall_wire::compose::text_var(r, #bound)),
                }
            }
            Type::Array(inner, _) if self.is_large(ty) => {
                let one = self.reading(inner, place, site);
                let least = len(self.model.min_len(inner));
                quote!(::farcall_wire::compose::array_boxed(r, #least, #one))
            }
            Type::Array(inner, n) => self.decode_array(inner, *n, place, site),
            Type::Vec(inner, bound) => self.decode_vec(inner, *bound, place, site),
            Type::Optional(inner) => {
                let one = self.reading(inner, place, site);
                match self.is_boxed(inner) {
                    true => quote! {
                        ::farcall_wire::compose::optional(r, |r| {
                            ::farcall_wire::compose::boxed(r, #one)
                        })
                    },
                    false => quote!(::farcall_wire::compose::optional(r, #one)),
                }
            }
            Type::List(_) => quote!(::farcall_wire::xdr::list(r)),
            Type::Chain(_) => quote!(::farcall_wire::xdr::chain(r)),
            Type::Named(id) => {
                let path = self.path(*id, site);
                quote!(#path::decode(r))
            }
            Type::Quadruple => quote!(::farcall_wire::Quadruple::decode(r)),
            Type::Small { bits, signed } => {
                let small = small(*bits, *signed);
                quote!(#small::decode(r))
            }
            _ => quote!(Ok(())),
        }
    }

    /// What reads a value of the type: a function or closure of a `&mut Reader`.
    fn reading(&self, ty: &Type, place: &str, site: Site) -> TokenStream {
        match self.behind(ty, place).0 {
            Type::Named(id) => {
                let path = self.path(*id, site);
                quote!(#path::decode)
            }
            Type::Quadruple => quote!(::farcall_wire::Quadruple::decode),
            Type::Small { bits, signed } => {
                let small = small(*bits, *signed);
                quote!(#small::decode)
            }
            Type::List(_) => quote!(::farcall_wire::xdr::list),
            Type::Chain(_) => quote!(::farcall_wire::xdr::chain),
            _ => {
                let one = self.decode(ty, place, site);
                quote!(|r| #one)
            }
        }
    }

    fn decode_array(&self, inner: &Type, n: u32, place: &str, site: Site) -> TokenStream {
        let behind = self.behind(inner, place).0;
        if word(behind).is_some() && n <= 256 {
            let one = self.reading(inner, place, site);
            return quote!(::farcall_wire::compose::array_plain(r, #one));
        }
        if self.is_whole(inner) {
            return quote!(::farcall_wire::xdr::array_fixed(r));
        }
        let one = self.reading(inner, place, site);
        let least = len(self.model.min_len(inner));
        quote!(::farcall_wire::compose::array_fixed(r, #least, #one))
    }

    fn decode_vec(&self, inner: &Type, bound: Option<u32>, place: &str, site: Site) -> TokenStream {
        let bound = max(bound);
        if self.is_whole(inner) {
            return quote!(::farcall_wire::xdr::array_var(r, #bound));
        }
        let one = self.reading(inner, place, site);
        let least = len(self.model.min_len(inner));
        quote!(::farcall_wire::compose::array_var(r, #bound, #least, #one))
    }

    /// Measures a value of the type: an expression of type `Result<(), EncodeError>`.
    pub(crate) fn measure(&self, ty: &Type, place: &str, value: &Value, form: Form) -> TokenStream {
        // req: xdr-4506-bounds
        if let Some(flat) = self.flat_len(ty) {
            let flat = len(flat);
            return quote!({ size.add(#flat); Ok(()) });
        }
        let (ty, place) = self.behind(ty, place);
        let (value, it) = (value.referred(), value.receiver());
        let item = Value::Reference(quote!(item));
        match ty {
            Type::OpaqueVar(bound) | Type::String(bound) => {
                let bound = max(*bound);
                match self.holder(ty, place, form) {
                    Holder::Bytes => quote!(size.bytes_var(#value, #bound)),
                    _ => quote!(size.opaque_var(#it.len(), #bound)),
                }
            }
            Type::Array(inner, _) if self.is_whole(inner) => {
                quote!(::farcall_wire::Encode::measure_slice(#it.as_slice(), size))
            }
            Type::Array(inner, _) => {
                let one = self.measure(inner, place, &item, form);
                let it = quote!(#it.as_slice());
                quote!(::farcall_wire::compose::measure_each(#it, size, |item, size| #one))
            }
            Type::Vec(inner, bound) => {
                let bound = max(*bound);
                if self.is_whole(inner) {
                    return quote!(::farcall_wire::xdr::measure_array_var(#value, size, #bound));
                }
                let one = self.measure(inner, place, &item, form);
                let name = self.unless_flat(inner);
                quote! {
                    ::farcall_wire::compose::measure_array_var(#value, size, #bound, |#name, size| #one)
                }
            }
            Type::Optional(inner) => {
                let one = self.measure(inner, place, &item, form);
                let name = self.unless_flat(inner);
                quote! {
                    ::farcall_wire::compose::measure_optional(#value, size, |#name, size| #one)
                }
            }
            Type::List(_) => quote!(::farcall_wire::xdr::measure_list(#value, size)),
            Type::Chain(_) => quote!(::farcall_wire::xdr::measure_chain(#value, size)),
            _ => quote!(#it.measure(size)),
        }
    }

    /// The element's name in a closure that measures it, or `_` if it need not look.
    fn unless_flat(&self, inner: &Type) -> TokenStream {
        match self.flat_len(inner) {
            Some(_) => quote!(_),
            None => quote!(item),
        }
    }

    /// Writes a value of the type: an expression of type `()`.
    pub(crate) fn encode(&self, ty: &Type, place: &str, value: &Value, form: Form) -> TokenStream {
        let (ty, place) = self.behind(ty, place);
        if let Some(word) = word(ty) {
            let value = value.copied();
            return quote!(w.#word(#value));
        }
        let (value, it) = (value.referred(), value.receiver());
        match ty {
            Type::Void => quote!(()),
            Type::OpaqueFixed(_) if self.is_large(ty) => quote!(w.opaque_fixed(#it.as_slice())),
            Type::OpaqueFixed(_) => quote!(w.opaque_fixed(#value)),
            Type::OpaqueVar(_) | Type::String(_) => match self.holder(ty, place, form) {
                Holder::Bytes => quote!(w.bytes_var(#value)),
                Holder::String | Holder::Text => quote!(w.opaque_var(#it.as_bytes())),
                Holder::Slice => quote!(w.opaque_var(#it)),
                Holder::Vec => quote!(w.opaque_var(#value)),
                Holder::Str => quote!(::farcall_wire::xdr::encode_string(#value, w)),
            },
            Type::Array(inner, _) if self.is_whole(inner) => {
                quote!(::farcall_wire::Encode::encode_slice(#it.as_slice(), w))
            }
            Type::Array(inner, _) => {
                let one = self.writing(inner, place, form);
                let it = quote!(#it.as_slice());
                quote!(::farcall_wire::compose::encode_each(#it, w, #one))
            }
            Type::Vec(inner, _) if self.is_whole(inner) => {
                quote!(::farcall_wire::xdr::encode_array_var(#value, w))
            }
            Type::Vec(inner, _) => {
                let one = self.writing(inner, place, form);
                quote!(::farcall_wire::compose::encode_array_var(#value, w, #one))
            }
            Type::Optional(inner) => {
                let one = self.writing(inner, place, form);
                quote!(::farcall_wire::compose::encode_optional(#value, w, #one))
            }
            Type::List(_) => quote!(::farcall_wire::xdr::encode_list(#value, w)),
            Type::Chain(_) => quote!(::farcall_wire::xdr::encode_chain(#value, w)),
            _ => quote!(#it.encode(w)),
        }
    }

    /// What writes a value of the type: a function or closure of a reference and a `&mut Writer`.
    fn writing(&self, ty: &Type, place: &str, form: Form) -> TokenStream {
        let (behind, at) = self.behind(ty, place);
        if matches!(behind, Type::String(_)) && self.holder(behind, at, form) == Holder::Str {
            return quote!(::farcall_wire::xdr::encode_string);
        }
        let one = self.encode(ty, place, &Value::Reference(quote!(item)), form);
        quote!(|item, w| #one)
    }

    /// The two implementations around their bodies.
    fn implement(&self, id: ItemId, site: Site, bodies: Bodies) -> TokenStream {
        let path = self.path(id, site);
        let lends = site.form == Form::Borrowed && self.twin(id).is_some();
        let (on_encode, on_decode) = match lends {
            true => (quote!(#path<'_>), quote!(#path<'a>)),
            false => (quote!(#path), quote!(#path)),
        };
        let item = Type::Named(id);
        let fixed = self.flat_len(&item).map(|flat| {
            let flat = len(flat);
            quote!(const FIXED: Option<usize> = Some(#flat);)
        });
        let least = len(self.model.min_len(&item));
        let nested = self.is_recursive(id);
        let Bodies {
            measure,
            encode,
            decode,
        } = bodies;
        let (measure, decode) = match nested {
            true => (
                quote!(size.nested(|size| { #measure })),
                quote!(r.nested(|r| { #decode })),
            ),
            false => (measure, decode),
        };
        quote! {
            impl ::farcall_wire::Encode for #on_encode {
                #fixed
                #[inline]
                fn measure(
                    &self,
                    size: &mut ::farcall_wire::Size,
                ) -> Result<(), ::farcall_wire::EncodeError> {
                    #measure
                }
                #[inline]
                fn encode(&self, w: &mut ::farcall_wire::Writer<'_>) {
                    #encode
                }
            }

            impl<'a> ::farcall_wire::Decode<'a> for #on_decode {
                const MIN_LEN: usize = #least;
                #[inline]
                fn decode(
                    r: &mut ::farcall_wire::Reader<'a>,
                ) -> Result<Self, ::farcall_wire::DecodeError> {
                    #decode
                }
            }
        }
    }

    fn enum_codec(&self, id: ItemId, it: &Enum) -> TokenStream {
        let name = ident(self.name(id));
        let original = &self.model.item(id).name;
        let open = self.is_open(id);
        // req: xdr-4506-4.3-enum
        let decode = match open {
            true => quote!(r.i32().map(Self)),
            false => quote! {
                let number = r.i32()?;
                Self::try_from(number).map_err(|value| {
                    r.error(::farcall_wire::DecodeErrorKind::BadEnum { name: #original, value })
                })
            },
        };
        let bodies = Bodies {
            measure: quote!(size.add(4); Ok(())),
            encode: quote!(w.i32((*self).into());),
            decode,
        };
        let codec = self.implement(id, Site::TYPES, bodies);
        if open {
            return quote! {
                impl From<i32> for #name {
                    fn from(number: i32) -> Self { Self(number) }
                }
                impl From<#name> for i32 {
                    fn from(value: #name) -> Self { value.0 }
                }
                #codec
            };
        }
        let arms = it
            .values
            .iter()
            .zip(self.members(id))
            .map(|(value, member)| {
                let (number, member) = (int(value.value.into()), ident(member));
                quote!(#number => Ok(Self::#member),)
            });
        quote! {
            impl From<#name> for i32 {
                #[inline]
                fn from(value: #name) -> Self { value as Self }
            }
            impl TryFrom<i32> for #name {
                type Error = i32;
                /// The value with this number; the number itself if none has it.
                #[inline]
                fn try_from(number: i32) -> Result<Self, i32> {
                    match number {
                        #(#arms)*
                        other => Err(other),
                    }
                }
            }
            #codec
        }
    }

    fn struct_codec(&self, id: ItemId, it: &'m Struct, site: Site) -> TokenStream {
        let item = &self.model.item(id).name;
        let fields: Vec<Member<'_>> = it
            .fields
            .iter()
            .zip(self.members(id))
            .map(|(field, name)| Member {
                field,
                name,
                place: format!("{item}.{}", field.name),
                flat: self.flat_len(&field.ty),
            })
            .collect();
        let bodies = Bodies {
            measure: self.struct_measure(&fields, site.form),
            encode: self.struct_encode(&fields, site.form),
            decode: self.struct_decode(&fields, site),
        };
        let codec = self.implement(id, site, bodies);
        let owning = (site.form == Form::Borrowed).then(|| self.struct_owning(id, &fields));
        quote!(#codec #owning)
    }

    fn struct_measure(&self, fields: &[Member<'_>], form: Form) -> TokenStream {
        let flat: usize = fields.iter().filter_map(|member| member.flat).sum();
        let flat = (flat > 0).then(|| {
            let flat = len(flat);
            quote!(size.add(#flat);)
        });
        let rest = fields.iter().filter(|member| member.flat.is_none());
        let rest = rest.map(|member| {
            let measure = self.measure(&member.field.ty, &member.place, &member.value(), form);
            let name = &member.field.name;
            quote!(#measure.at(#name)?;)
        });
        let unused = fields.is_empty().then(|| quote!(let _ = size;));
        quote!(#unused #flat #(#rest)* Ok(()))
    }

    fn struct_encode(&self, fields: &[Member<'_>], form: Form) -> TokenStream {
        let one = |member: &Member<'_>| {
            let encode = self.encode(&member.field.ty, &member.place, &member.value(), form);
            quote!(#encode;)
        };
        let whole = runs(fields).len() == 1;
        let parts = runs(fields).into_iter().map(|run| {
            let lines = run.iter().map(one);
            match run_len(run) {
                Some(n) if whole => quote!(let w = &mut w.block::<#n>(); #(#lines)*),
                Some(n) => quote!({ let w = &mut w.block::<#n>(); #(#lines)* }),
                None => quote!(#(#lines)*),
            }
        });
        let unused = fields.is_empty().then(|| quote!(let _ = w;));
        quote!(#unused #(#parts)*)
    }

    fn struct_decode(&self, fields: &[Member<'_>], site: Site) -> TokenStream {
        let one = |member: &Member<'_>| {
            let decode = self.decode(&member.field.ty, &member.place, site);
            let name = &member.field.name;
            quote!(#decode.at(#name)?)
        };
        let runs = runs(fields);
        let first = runs.first().and_then(|run| run_len(run));
        if runs.len() <= 1 || runs.iter().all(|run| run_len(run).is_none()) {
            let block = first.map(|n| quote!(let r = &mut r.block::<#n>()?;));
            let lines = fields.iter().map(|member| {
                let (name, value) = (ident(member.name), one(member));
                quote!(#name: #value,)
            });
            let unused = fields.is_empty().then(|| quote!(let _ = r;));
            return quote!(#unused #block Ok(Self { #(#lines)* }));
        }
        let mut scope = Scope::new(&["r"]);
        let wanted: Vec<String> = fields.iter().map(|m| m.bare().to_owned()).collect();
        let locals: Vec<_> = scope.claim_all(&wanted).iter().map(|n| ident(n)).collect();
        let mut names = locals.iter();
        let parts: Vec<_> = runs
            .iter()
            .map(|run| {
                let names: Vec<_> = names.by_ref().take(run.len()).collect();
                let values = run.iter().map(one);
                match run_len(run) {
                    Some(n) => quote! {
                        let (#(#names),*) = {
                            let r = &mut r.block::<#n>()?;
                            (#(#values),*)
                        };
                    },
                    None => quote!(#(let #names = #values;)*),
                }
            })
            .collect();
        let built = fields.iter().zip(&locals).map(|(member, local)| {
            let name = ident(member.name);
            match name == *local {
                true => quote!(#name,),
                false => quote!(#name: #local,),
            }
        });
        quote!(#(#parts)* Ok(Self { #(#built)* }))
    }

    fn union_codec(&self, id: ItemId, it: &'m Union, site: Site) -> TokenStream {
        let union = UnionCodec::new(self, id, it, site);
        let bodies = Bodies {
            measure: union.measure(self.flat_len(&Type::Named(id))),
            encode: union.encode(),
            decode: union.decode(),
        };
        let codec = self.implement(id, site, bodies);
        let chosen = union.chosen();
        let owning = union.owning();
        quote!(#chosen #codec #owning)
    }
}
